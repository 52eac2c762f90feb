"""Batches of one function and shape are counted together, as if the units of their layers were those of one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from operator import add
from typing import Any

import torch
from torch import Tensor

from rectified.torch.counter import Counter
from rectified.torch.plan import Found
from rectified.torch.readings import Readings, can_read
from rectified.torch.site import Site
from rectified.torch.tally import Measure, Measures

_MOST_ELEMENTS = 2**17  # of batches that wait


class Together:
    """Counts what the graph keeps of the activations of a network."""

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = {}

    def see(self, found: Sequence[Found], step: int) -> None:
        """Count the activations of a forward pass."""
        for (site, _, _), counters, _, x, y in found:
            group = self._groups.get(id(counters))
            if group is None:
                group = self._groups[id(counters)] = _Group(site, counters, is_output=y is x, has_outputs=y is not None)
            if not group.see(x, y, step):
                with torch.no_grad():
                    for counter, batch, output in zip(counters, x, y or map(site.again, x), strict=True):
                        counter.see(batch, output, step)

    def hand_out(self) -> None:
        """Give each layer what was counted of it."""
        for group in self._groups.values():
            group.hand_out()
        self._groups.clear()


class _Group:
    """Layers whose batches have one shape. What was counted of each, or else the batches, wait for those of other steps."""

    def __init__(self, site: Site, counters: list[Counter], *, is_output: bool, has_outputs: bool) -> None:
        self._site, self._is_output, self._has_outputs = site, is_output, has_outputs
        self._axes = tuple(axis + 1 for axis in site.axes)
        self._counters = counters
        self._measures = Measures(site.slopes, len(counters))
        self._readings = Readings(site.slopes, site.axes, len(counters))
        self._are_read = False
        self._form: tuple[torch.Size, torch.dtype] | None = None
        self._units = -1
        self._room: Tensor | None = None
        self._places: Sequence[Any] = ()
        self._waiting = 0
        self._first = self._last = -1

    def see(self, x: list[Tensor], y: list[Tensor] | None, step: int) -> bool:
        """Count a batch of each layer. Whether all have one shape, and the units of those before."""
        is_read = self._are_read and y is not None and self._readings.see(x, y)
        if not (is_read or self._see_others(x, y)):
            return False
        if self._first < 0:
            self._first = step
        self._last = step
        return True

    def _see_others(self, x: list[Tensor], y: list[Tensor] | None) -> bool:
        """The same for batches that are not read, or are of another form than the last ones."""
        first = x[0]
        if (first.shape, first.dtype) != self._form and not self._has_room(first):
            return False
        if self._are_read and y is not None:
            return self._readings.see(x, y)
        if self._places:
            if not _stacked(x, self._places[self._waiting]):
                return False
            self._waiting += 1
            if self._waiting == len(self._places):
                self._measure_waiting()
        else:
            self._measure(first.detach().unsqueeze(0))
        return True

    def hand_out(self) -> None:
        """Give each layer what was counted of it."""
        self._measure_waiting()
        counted = [found for take in (self._readings.take, self._measures.take) if (found := take()) is not None]
        if not counted:
            return
        evidence = reduce(add, counted).evidence(self._site.activation, self._site.slopes, (self._first, self._last))
        for number, counter in enumerate(self._counters):
            counter.add(evidence, slice(number * self._units, (number + 1) * self._units))

    def _has_room(self, like: Tensor) -> bool:
        """Make room for batches like this one. Whether they have the units of those before."""
        self._measure_waiting()
        self._form = None
        if like.numel() == 0 or like.ndim != self._site.dimensions:
            return False
        fitting = [counter.fits(like) for counter in self._counters]
        if not all(fitting):
            return False
        self._form, self._units = (like.shape, like.dtype), prod(like.shape[axis] for axis in self._site.axes)
        self._make_room(like)
        return True

    def _make_room(self, like: Tensor) -> None:
        layers = len(self._counters)
        self._room, self._places = None, ()
        self._are_read = can_read(like, self._site.axes)
        if self._are_read:
            self._readings.expect(like.shape)
        steps = max(1, _MOST_ELEMENTS // (layers * like.numel()))
        if layers * steps > 1 and not (self._are_read and self._has_outputs):
            with torch.inference_mode(False):  # or it could not change outside of it
                self._room = torch.empty((steps * layers, *like.shape), dtype=like.dtype, device=like.device)
                self._places = [self._room[step * layers : (step + 1) * layers] for step in range(steps)]

    def _measure_waiting(self) -> None:
        if self._waiting and self._room is not None:
            waiting, self._waiting = self._waiting, 0
            self._measure(self._room[: waiting * len(self._counters)])

    def _measure(self, x: Tensor) -> None:
        with torch.no_grad():
            y = x if self._is_output else self._site.again(x.flatten(0, 1)).view_as(x)
        form = (-1, len(self._counters), *x.shape[1:])
        if not (self._are_read and all(map(self._readings.see, x.view(form), y.view(form)))):
            self._measures.add(Measure.of(x, y, self._axes, self._site.slopes))


def _stacked(batches: list[Tensor], place: Tensor) -> bool:
    """Copy batches to a place, which costs less than new room each time. Whether they have its shape."""
    try:
        with torch.no_grad():
            torch.stack(batches, out=place)
    except RuntimeError:
        return False
    return True
