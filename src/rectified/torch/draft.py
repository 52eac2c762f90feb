"""A forward pass that is looked at closely, of which the plan for those that follow is made."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from rectified.torch.graph import Identity, Node, Saved, Way, keeper, learned_behind, makers, next_node, parts
from rectified.torch.kept import SMALL, Kept
from rectified.torch.plan import Heard, Plan, Seen
from rectified.torch.site import Site


class _Other(NamedTuple):
    """An activation of which the graph keeps too little, in which module, its node, and its place if all of it is kept."""

    site: Site
    module: weakref.ref[nn.Module]
    node: Node | None
    place: int | None


class Draft:
    """A forward pass that is looked at closely, to make a plan of it.

    Attributes
    ----------
    training : bool
        Whether the network trains.
    calls : list of bool
        For each call of what may be an activation, whether what it did can be kept.
    hides : bool
        Whether the function mode was off in a part of the network.
    """

    def __init__(self, network: nn.Module) -> None:
        self.training, self._network = network.training, id(network)
        self.calls: list[bool] = []
        self.hides = False
        self._since = next_node()
        self._others: list[_Other] = []
        self._seen: list[Seen] = []
        self._nodes: list[Node] = []
        self._outputs: list[Node] = []
        self._makers: list[list[Node]] = []
        self._parts: list[list[tuple[Node, str, int]]] = []
        self._kept: dict[int, Kept] = {}
        self._groups: dict[Any, list[int]] = {}

    def add(self, site: Site, module: nn.Module, x: Tensor, y: Tensor) -> None:
        """An activation was seen, while a module ran."""
        in_place = site.is_overwritten or y is x
        node, saved = y.grad_fn, None
        if not (site.is_whole or site.is_gated):
            saved = Saved.of(x, y, in_place=in_place, is_told_by_output=site.slopes.idempotent)
        elif site.is_whole and node is not None:
            node, saved = keeper(x, node) or (node, None)
        is_small = y.numel() <= SMALL
        known_by = None if saved is None else makers(y.grad_fn)
        if (
            saved is not None
            and known_by is not None
            and (saved.is_output or is_small)  # without the output it is computed anew
        ):
            self._see(Seen(site, weakref.ref(module), saved), node, known_by, y)
            site.see_source(learned_behind(known_by))
            return
        is_more = site.is_whole or site.is_gated or site.factor != 1 or in_place or node is None
        is_network = not site.needs_mode and id(module) == self._network
        kept, place = None if is_more or is_network else Kept.of(x, y), None
        if kept is not None and kept.is_small:
            place = len(self._seen)
            self._kept[place], known_by = kept, makers(node) or []
            self.calls[-1:] = [True]
            self._see(Seen(site, weakref.ref(module), None), node, known_by, y)
        self._others.append(_Other(site, weakref.ref(module), node, place))

    def _see(self, seen: Seen, node: Node, known_by: list[Node], y: Tensor) -> None:
        is_small, site = y.numel() <= SMALL, seen.site
        form = (site.family, site.axes, seen.saved, y.shape, y.dtype, y.device) if is_small else len(self._seen)
        self._groups.setdefault(form, []).append(len(self._seen))
        self._seen.append(seen)
        self._nodes.append(node)
        self._outputs.append(y.grad_fn)
        self._makers.append(known_by)
        self._parts.append(parts(y.grad_fn))

    def plan(self, returned: Any) -> Plan | None:
        """How to see the next pass, by this one, which returned something; None where only close looks will do."""
        stay = {place for place, kept in self._kept.items() if kept.is_unchanged}
        others = [other for other in self._others if not other.site.is_part]
        if any(other.site.needs_mode for other in others):
            are_kept = not self.hides and all(other.place in stay for other in others)
            return self._plan(returned, stay, [], self.calls) if are_kept else None
        hooked = [other for other in self._others if not other.site.needs_mode]
        modules = {id(other.module()) for other in hooked if other.node is not None}
        are_told = 0 < len(modules) == len(hooked)
        told = self._plan(returned, stay, hooked, are_told=True) if are_told else None
        return told or self._plan(returned, set(), hooked)

    def _plan(
        self, returned: Any, stay: set[int], hooked: Sequence[_Other], calls: Sequence[bool] = (), *, are_told: bool = False
    ) -> Plan | None:
        """The same, where some of what is kept stays, and modules are hooked, of which the graph may tell that they ran."""
        modules = {id(other.module()) for other in hooked}
        places = [
            place
            for place, (site, module, saved) in enumerate(self._seen)
            if not site.is_part and (place in stay if saved is None else id(module()) not in modules)
        ]
        ends, outputs = ([nodes[place] for place in places] for nodes in (self._nodes, self._outputs))
        ends = ends if outputs == ends else ends + outputs
        ends += [other.node for other in hooked if are_told and other.place not in places]
        checked = [node for place in places for node in (*self._makers[place], *(part[0] for part in self._parts[place]))]
        way = Way.to(ends, returned, checked, self._since)
        if way is None:
            return None
        heard = {id(module()): Heard(module, site, place in places) for site, module, _, place in hooked if are_told}
        groups = [[places.index(place) for place in group if place in places] for group in self._groups.values()]
        seen, identities = [self._seen[place] for place in places], Identity.of_each(outputs, returned, self._since)
        return Plan(modules, way, seen, identities, heard, list(filter(None, groups)), list(calls))
