"""Batches of one function and shape are counted together, as if the units of their layers were those of one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rectified.torch.counter import Counter
from rectified.torch.network import Found
from rectified.torch.site import Site
from rectified.torch.tally import Measure, Measures


class Together:
    """Counts what the graph keeps of the activations of a network."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, ...], _Group] = {}

    def see(self, found: Sequence[Found], step: int) -> None:
        """Count the activations of a forward pass."""
        for (site, _, saved), counters, _, kept in found:
            shape = kept[0].shape
            if all(batch.shape == shape for batch in kept):
                self._see(site, counters, kept, step, is_output=saved.is_output)
            else:
                for counter, batch in zip(counters, kept, strict=True):
                    self._see(site, [counter], [batch], step, is_output=saved.is_output)

    def _see(self, site: Site, counters: list[Counter], batches: list[Tensor], step: int, *, is_output: bool) -> None:
        shape, axis = batches[0].shape, site.axis or 0
        if 0 in shape:
            return
        units = shape[axis] if axis < len(shape) else -1
        key = (units, *map(id, counters))
        group = self._groups.get(key)
        if group is None:
            fitting = [counter.fits(units) for counter in counters]
            if not all(fitting):
                for counter, batch, fits in zip(counters, batches, fitting, strict=True):
                    if fits:
                        self._see(site, [counter], [batch], step, is_output=is_output)
                return
            group = self._groups[key] = _Group(site, units, counters)
        group.see(batches, step, is_output=is_output)

    def hand_out(self) -> None:
        """Give each layer what was counted of it."""
        for group in self._groups.values():
            group.hand_out()
        self._groups.clear()


class _Group:
    def __init__(self, site: Site, units: int, counters: list[Counter]) -> None:
        self._site, self._axis, self._units = site, site.axis or 0, units
        self._counters = counters
        self._measures = Measures(site.slopes, len(counters))
        self._room: Tensor | None = None
        self._first = self._last = -1

    def see(self, batches: list[Tensor], step: int, *, is_output: bool) -> None:
        if self._first < 0:
            self._first = step
        self._last = step
        x = self._stacked(batches)
        y = x if is_output else self._site.again(x.flatten(0, 1)).view_as(x)
        self._measures.add(Measure.of(x, y, self._axis + 1, self._site.slopes))

    def _stacked(self, batches: list[Tensor]) -> Tensor:
        """All in one, in the room of those before: new room each time costs more than the copy."""
        first = batches[0]
        if len(batches) == 1:
            return first.unsqueeze(0)
        shape = len(batches), *first.shape
        if self._room is None or self._room.shape != shape:
            with torch.inference_mode(False):  # or it could not change outside of it
                self._room = torch.empty(shape, dtype=first.dtype, device=first.device)
        return torch.stack(batches, out=self._room)

    def hand_out(self) -> None:
        counted = self._measures.take()
        if counted is None:
            return
        evidence = counted.evidence(self._site.activation, self._site.slopes, (self._first, self._last))
        for number, counter in enumerate(self._counters):
            counter.add(evidence, slice(number * self._units, (number + 1) * self._units))
