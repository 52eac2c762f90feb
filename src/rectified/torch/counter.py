"""The counter of a layer in eager code: small batches wait for each other, which saves most of the calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rectified.activation import Ridge
from rectified.health.evidence import Evidence
from rectified.torch.slopes import Slopes
from rectified.torch.tally import Measure, Tally

_MOST_ELEMENTS = 2**17  # that wait
_MOST_BATCHES = 64
_MOST_MEASURES = 64


class Counter:
    """Counts what the units of one layer do, in one mode, until `evidence` is taken.

    Parameters
    ----------
    slopes : Slopes
        Of the layer's function.
    axis : int
        Of the units.
    again : callable
        Gives the outputs of other inputs.
    is_saved : bool
        Whether PyTorch saves the outputs for the backward pass, and so refuses to change them: then they need no copy.

    Attributes
    ----------
    units_changed : bool
        Whether batches were left out because they had another number of units.
    overwritten : int
        How many batches were left out because they were overwritten after all, which no training does.
    """

    def __init__(self, slopes: Slopes, axis: int, again: Callable[[Tensor], Tensor], *, is_saved: bool = False) -> None:
        self._slopes = slopes
        self._is_saved = is_saved
        self._saved: list[tuple[Tensor, int]] = []
        self._is_told_by_output = slopes.idempotent
        self._axis = axis
        self._again = again
        self.units_changed = False
        self.overwritten = 0
        self._units: int | None = None
        self._form: tuple[torch.Size, torch.dtype] | None = None
        self._room: Tensor | None = None
        self._places: Sequence[Tensor] = ()
        self._waiting = 0
        self._first = self._last = -1
        self._measures: list[Measure] = []
        self._tally: Tally | None = None
        self._gradients: list[Tensor] = []

    def see(self, x: Tensor, y: Tensor, step: int) -> None:
        """Count a batch of inputs and outputs. Afterwards the tensors may change."""
        kept = (y if self._is_told_by_output else x).detach()
        if (kept.shape, kept.dtype) != self._form and not self._fits(kept):
            return
        if self._first < 0:
            self._first = step
        self._last = step
        if not self._places:
            self._measure(kept.unsqueeze(0), y.detach().unsqueeze(0))
        elif self._is_saved and y.requires_grad:
            self._saved.append((kept, kept._version))
            if len(self._saved) == len(self._places):
                self._measure_saved()
        else:
            self._places[self._waiting].copy_(kept)
            self._waiting += 1
            if self._waiting == len(self._places):
                self._measure_waiting()

    def see_gradient(self, gradient: Tensor) -> None:
        """Count the gradient of the loss by the output."""
        self._gradients.append(gradient.detach().float().square().sum())

    def evidence(self, activation: Ridge) -> Evidence | None:
        """What was counted since the last time; None for nothing. Only here the device is waited for."""
        if self._first < 0:
            return None
        self._measure_waiting()
        self._measure_saved()
        counted = [measure.counted() for measure in self._measures]
        if self._tally is not None:
            counted.append(self._tally.take())
        steps, gradients = (self._first, self._last), self._gradients
        self._first, self._measures, self._gradients = -1, [], []
        if not counted:
            return None
        found = counted[0].evidence(activation, self._slopes, steps, gradients)
        for other in counted[1:]:
            found += other.evidence(activation, self._slopes, steps)
        return found

    def _fits(self, like: Tensor) -> bool:
        """Make room for batches like this one to wait in, none for large ones. Whether it has the units of those before."""
        units = like.shape[self._axis] if like.dim() > self._axis else -1
        if self._units not in (None, units) or not like.is_floating_point():
            self.units_changed = True
            return False
        self._measure_waiting()
        self._measure_saved()
        self._form, self._units = (like.shape, like.dtype), units
        batches = min(_MOST_BATCHES, _MOST_ELEMENTS // max(1, like.numel()))
        self._room, self._places = None, ()
        if batches > 1:
            with torch.inference_mode(False):  # or it could not change outside of it
                self._room = torch.empty((batches, *like.shape), dtype=like.dtype, device=like.device)
                self._places = self._room.unbind()
        return True

    def _measure_waiting(self) -> None:
        if self._waiting and self._room is not None:
            x = self._room[: self._waiting]
            self._waiting = 0
            self._measure(x, x if self._is_told_by_output else self._again(x.flatten(0, 1)).view_as(x))

    def _measure_saved(self) -> None:
        same = [kept for kept, version in self._saved if kept._version == version]
        self.overwritten += len(self._saved) - len(same)
        self._saved.clear()
        if same:
            x = torch.stack(same)
            self._measure(x, x)

    def _measure(self, x: Tensor, y: Tensor) -> None:
        self._measures.append(Measure.of(x, y, self._axis + 1, self._slopes))
        if len(self._measures) == _MOST_MEASURES:
            if self._tally is None:
                self._tally = Tally.new(x.shape[self._axis + 1], self._slopes, x.dtype, x.device)
            for measure in self._measures:
                self._tally.add(measure)
            self._measures.clear()
