"""Small batches of one function and shape are counted together, as if the units of their layers were those of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rectified.torch.network import Found
from rectified.torch.tally import Measure, Measures

_MOST_ELEMENTS = 2**15  # of a batch that is worth a copy


class Together:
    """Counts what the graph keeps of the activations of a network."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, ...], _Group] = {}

    def see(self, found: Sequence[Found], step: int) -> None:
        """Count the activations of a forward pass."""
        alike: dict[Any, list[Found]] = {}
        for each in found:
            kept, site = each.kept, each.site
            is_small = kept.numel() <= _MOST_ELEMENTS
            form = (site.family, site.axis, each.is_output, kept.shape, kept.dtype, kept.device) if is_small else id(kept)
            alike.setdefault(form, []).append(each)
        for members in alike.values():
            group = self._groups.get(key := tuple([id(each.counter) for each in members]))
            if group is None:
                group = self._groups[key] = _Group(members)
            group.see(members, step)

    def hand_out(self) -> None:
        """Give each layer what was counted of it."""
        for group in self._groups.values():
            group.hand_out()
        self._groups.clear()


class _Group:
    def __init__(self, members: Sequence[Found]) -> None:
        site = members[0].site
        self._slopes, self._axis, self._again = site.slopes, site.axis or 0, site.again
        self._units = members[0].kept.shape[self._axis]
        self._counters = [each.counter for each in members]
        self._measures = Measures(self._slopes)
        self._first = self._last = -1

    def see(self, members: Sequence[Found], step: int) -> None:
        if self._first < 0:
            self._first = step
        self._last = step
        kept = [each.kept for each in members]
        x = torch.stack(kept) if len(kept) > 1 else kept[0].unsqueeze(0)
        y = x if members[0].is_output else self._again(x.flatten(0, 1)).view_as(x)
        self._measures.add(Measure.of(x, y, self._axis + 1, self._slopes).side_by_side())

    def hand_out(self) -> None:
        counted = self._measures.take()
        if counted is not None:
            for number, counter in enumerate(self._counters):
                if counter.fits(self._units):
                    place = slice(number * self._units, (number + 1) * self._units)
                    counter.add(counted.part(place), self._first, self._last)
