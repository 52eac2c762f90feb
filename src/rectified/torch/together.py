"""Batches of one function and shape are counted together, as if the units of their layers were those of one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rectified.torch.network import Found, Plan
from rectified.torch.site import Site
from rectified.torch.tally import Measure, Measures


class Together:
    """Counts what the graph keeps of the activations of a network."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, ...], _Group] = {}

    def see(self, plan: Plan, found: Sequence[Found], step: int) -> None:
        """Count the activations of a forward pass."""
        for places in plan.groups:
            site, _, saved = plan.seen[places[0]]
            members = [found[place] for place in places]
            shape = members[0].kept.shape
            alike = [members] if all(each.kept.shape == shape for each in members) else [[each] for each in members]
            for each in alike:
                self._group(site, each).see(each, step, is_output=saved.is_output)

    def hand_out(self) -> None:
        """Give each layer what was counted of it."""
        for group in self._groups.values():
            group.hand_out()
        self._groups.clear()

    def _group(self, site: Site, members: Sequence[Found]) -> _Group:
        units = members[0].kept.shape[site.axis or 0]
        key = (units, *[id(each.counter) for each in members])
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(site, units, members)
        return group


class _Group:
    def __init__(self, site: Site, units: int, members: Sequence[Found]) -> None:
        self._slopes, self._axis, self._again = site.slopes, site.axis or 0, site.again
        self._units = units
        self._counters = [each.counter for each in members]
        self._measures = Measures(site.slopes)
        self._first = self._last = -1

    def see(self, members: Sequence[Found], step: int, *, is_output: bool) -> None:
        if self._first < 0:
            self._first = step
        self._last = step
        kept = [each.kept for each in members]
        x = torch.stack(kept) if len(kept) > 1 else kept[0].unsqueeze(0)
        y = x if is_output else self._again(x.flatten(0, 1)).view_as(x)
        self._measures.add(Measure.of(x, y, self._axis + 1, self._slopes).side_by_side())

    def hand_out(self) -> None:
        counted = self._measures.take()
        if counted is not None:
            for number, counter in enumerate(self._counters):
                if counter.fits(self._units):
                    place = slice(number * self._units, (number + 1) * self._units)
                    counter.add(counted.part(place), self._first, self._last)
