"""The counter of a layer in eager code: small batches wait for each other, which saves most of the calls."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rectified.activation import Ridge
from rectified.health.evidence import Evidence
from rectified.torch.slopes import Slopes
from rectified.torch.tally import Tally

_MOST_ELEMENTS = 2**17
_MOST_BATCHES = 32


class Counter:
    """Counts what the units of one layer do, in one mode, until `evidence` is taken.

    Parameters
    ----------
    slopes : Slopes
        Of the layer's function.
    """

    def __init__(self, slopes: Slopes) -> None:
        self._slopes = slopes
        self._waiting: list[Tensor] = []
        self._elements = 0
        self._axis = 0
        self._again: Callable[[Tensor], Tensor] = torch.clone
        self._steps: tuple[int, int] | None = None
        self._gradients: list[Tensor] = []
        self._tally: Tally | None = None

    def see(self, x: Tensor, y: Tensor, axis: int, step: int, again: Callable[[Tensor], Tensor]) -> None:
        """Count a batch. Afterwards its tensors may change.

        Parameters
        ----------
        x, y : Tensor
            Inputs and outputs, which need no gradient. Where the output tells all, `x` is not looked at.
        axis : int
            Of the units.
        step : int
            Of the optimizer.
        again : callable
            Gives the outputs of other inputs.
        """
        self._steps = (self._steps[0] if self._steps else step, step)
        if self._slopes.idempotent:
            x = y
        waiting = self._waiting
        if waiting and waiting[0].shape != x.shape:
            self._count_waiting()
        self._axis, self._again = axis, again
        elements = x.numel()
        if 2 * elements > _MOST_ELEMENTS:
            self._count(x.unsqueeze(0), y.unsqueeze(0))
            return
        waiting.append(x.clone())
        self._elements += elements
        if self._elements + elements > _MOST_ELEMENTS or len(waiting) == _MOST_BATCHES:
            self._count_waiting()

    def see_gradient(self, gradient: Tensor) -> None:
        """Count the gradient of the loss by the output."""
        self._gradients.append(gradient.detach().float().square().sum())

    def evidence(self, activation: Ridge, steps: tuple[int, int]) -> Evidence | None:
        """What was counted since the last time; None for nothing. Only here the device is waited for."""
        self._count_waiting()
        if self._tally is None or self._steps is None:
            return None
        found = self._tally.evidence(activation, self._slopes, self._steps, self._gradients)
        self._steps, self._gradients = None, []
        return found

    def _count_waiting(self) -> None:
        if self._waiting:
            x = torch.stack(self._waiting)
            self._waiting.clear()
            self._elements = 0
            self._count(x, x if self._slopes.idempotent else self._again(x.flatten(0, 1)).view_as(x))

    def _count(self, x: Tensor, y: Tensor) -> None:
        if self._tally is None:
            self._tally = Tally.new(x.shape[self._axis + 1], self._slopes, x)
        self._tally.see(x, y, self._axis + 1, self._slopes)
