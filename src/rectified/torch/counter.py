"""The counter of a layer in eager code.

Batches are read where they are. Where that can not be, small ones wait for each other, which saves most of the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import isfinite
from operator import add

import torch
from torch import Tensor

from rectified.activation import Ridge
from rectified.health.evidence import Evidence
from rectified.torch.calls import Axes
from rectified.torch.readings import Readings, can_read
from rectified.torch.slopes import Slopes
from rectified.torch.tally import Counted, Measure, Measures, norms

_MOST_ELEMENTS = 2**17  # that wait
_MOST_BATCHES = 64


class Counter:
    """Counts what the units of one layer do, in one mode, until `evidence` is taken.

    Parameters
    ----------
    slopes : Slopes
        Of the layer's function.
    axes_of : callable
        Gives the axes of the units in batches of so many axes; none where these are too few.
    layers : int
        How many layers these are of.
    again : callable
        Gives the outputs of other inputs.
    lacks_axis : bool
        Whether batches have no axis of the units, since there is one.

    Attributes
    ----------
    units : list of int or None
        How many units batches have, along each of their axes, once that is known.
    units_changed : bool
        Whether batches were left out because they had another number of units.
    has_gradients : bool
        Whether gradients count.
    has_heard : bool
        Whether any came.
    """

    def __init__(
        self,
        slopes: Slopes,
        axes_of: Callable[[int], Axes],
        layers: int,
        again: Callable[[Tensor], Tensor],
        *,
        lacks_axis: bool,
    ) -> None:
        self._slopes = slopes
        self._is_told_by_output = slopes.idempotent
        self._axes_of, self._layers = axes_of, layers
        self._axes_behind_batches: Axes = ()
        self._again, self._lacks_axis = again, lacks_axis
        self.units_changed = False
        self.has_gradients, self.has_heard = True, False
        self.units: list[int] | None = None
        self._form: tuple[torch.Size, torch.dtype] | None = None
        self._most = 1  # batches that wait
        self._places: Sequence[Tensor] = ()
        self._room: Tensor | None = None
        self._waiting = 0
        self._first = self._last = -1
        self._measures = Measures(slopes)
        self._readings: Readings | None = None
        self._counted: Counted | None = None
        self._elsewhere: list[tuple[Evidence, slice]] = []
        self._gradients: list[Tensor] = []

    def see(self, x: Tensor, y: Tensor, step: int) -> None:
        """Count a batch of inputs and outputs. Afterwards the tensors may change."""
        if self._lacks_axis:
            x, y = x.unsqueeze(-1), y.unsqueeze(-1)
        kept = y if self._is_told_by_output else x
        is_read = self._readings is not None and self._readings.see([kept], [y])
        if not (is_read or self._see_others(kept.detach(), y.detach())):
            return
        if self._first < 0:
            self._first = step
        self._last = step

    def _see_others(self, kept: Tensor, y: Tensor) -> bool:
        """Count batches that are not read, or are of another form than the last ones. Whether they are any that count."""
        if kept.numel() == 0:
            return False
        if (kept.shape, kept.dtype) != self._form:
            if not self._has_room(kept):
                return False
            if self._readings is not None and self._readings.see([kept], [y]):
                return True
        if self._most == 1:
            self._measure(kept.unsqueeze(0), y.unsqueeze(0))
            return True
        if self._room is None:
            with torch.inference_mode(False):  # or it could not change outside of it
                self._room = torch.empty((self._most, *kept.shape), dtype=kept.dtype, device=kept.device)
                self._places = self._room.unbind()
        self._places[self._waiting].copy_(kept)
        self._waiting += 1
        if self._waiting == self._most:
            self._measure_waiting()
        return True

    def add(self, evidence: Evidence, units: slice) -> None:
        """Count what was counted elsewhere, where the layer has some of the units."""
        self._elsewhere.append((evidence, units))

    def fits(self, batch: Tensor) -> bool:
        """Whether a batch has as many units as those before."""
        axes = self._axes_of(batch.ndim)
        if not axes:
            return False
        units = [batch.shape[axis] for axis in axes]
        if self.units is None:
            self.units = units
        self.units_changed |= self.units != units
        return self.units == units

    def see_gradient(self, gradient: Tensor | None) -> None:
        """Count the gradient of the loss by the output."""
        self.has_heard |= gradient is not None
        if gradient is None or not self.has_gradients or _is_of_several(gradient):
            return
        gradient = gradient.detach().unsqueeze(-1) if self._lacks_axis else gradient.detach()
        if axes := self._axes_of(gradient.ndim):
            self._gradients.append(norms(gradient, axes, self._layers))

    def see_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        """The same, for a node of autograd's graph."""
        self.see_gradient(gradients[0])

    def evidence(self, activation: Ridge) -> list[Evidence]:
        """What was counted of each layer since the last time, if anything. Only here the device is waited for."""
        found, self._elsewhere = self._elsewhere, []
        if self._first >= 0:
            self._measure_waiting()
            self._count(self._measures.take())
            counted, self._counted = self._counted, None
            if counted is not None:
                evidence = counted.evidence(activation, self._slopes, (self._first, self._last))
                found.append((evidence, slice(evidence.units)))
            self._first = -1
        if not found:
            return []
        squares, gradients = self._squares()
        (evidence, units), *others = found
        if self._layers == 1 and not others:  # as it mostly is
            return [evidence.part(units, squares[0], gradients)]
        return reduce(add, (each.part(units) for each, units in found)).parts(self._layers, squares, gradients)

    def _squares(self) -> tuple[list[float], int]:
        """Those of the gradients' lengths, added up for each layer, and of how many gradients they are."""
        norms = [norm.tolist() for norm in self._gradients]
        self._gradients = []
        rows = [row for norm in norms if all(map(isfinite, row := norm if isinstance(norm, list) else [norm]))]
        return [sum(norm * norm for norm in layer) for layer in zip(*rows, strict=True)] or [0.0] * self._layers, len(rows)

    def _has_room(self, like: Tensor) -> bool:
        """Make room for batches like this one to wait in, none for large ones. Whether it has the units of those before."""
        if not like.is_floating_point() or not self.fits(like):
            return False
        self._measure_waiting()
        self._form = like.shape, like.dtype
        axes = self._axes_of(like.ndim)
        self._axes_behind_batches = tuple(axis + 1 for axis in axes)
        self._readings = Readings(self._slopes, axes) if can_read(like, axes) else None
        if self._readings is not None:
            self._readings.expect(like.shape)
        self._most = max(1, min(_MOST_BATCHES, _MOST_ELEMENTS // max(1, like.numel())))
        self._room, self._places = None, ()
        return True

    def _measure_waiting(self) -> None:
        if self._readings is not None:
            self._count(self._readings.take())
        if self._waiting and self._room is not None:
            x = self._room[: self._waiting]
            self._waiting = 0
            y = x if self._is_told_by_output else self._again(x.flatten(0, 1)).view_as(x)
            self._measure(x, y)

    def _count(self, more: Counted | None) -> None:
        if more is not None:
            self._counted = more if self._counted is None else self._counted + more

    def _measure(self, x: Tensor, y: Tensor) -> None:
        self._measures.add(Measure.of(x, y, self._axes_behind_batches, self._slopes))


def _is_of_several(
    gradient: Tensor,
    by_vmap: Callable[[Tensor], bool] = torch._C._functorch.is_functorch_wrapped_tensor,
    by_autograd: Callable[[Tensor], bool] = torch._C._functorch.is_legacy_batchedtensor,
) -> bool:
    """Whether it stands for the gradients of several losses, as where a Jacobian is computed at once."""
    return by_vmap(gradient) or by_autograd(gradient)
