"""How to see the next forward pass of a network at little cost: by what one before it did."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from torch import Tensor, nn

from rectified.torch.counter import Counter
from rectified.torch.graph import Node, Saved, Way, activations, keeper, learned_behind, makers, next_node
from rectified.torch.site import Site

_SMALL = 2**15  # elements, of a batch that is worth a copy
_Batches = tuple[list[Tensor] | None, list[Tensor] | None]


class Seen(NamedTuple):
    """An activation that was seen, in which module, and what the graph keeps of it; None where more has to be kept.

    Then the kind of its node, and by ``id`` the learned parameters of the layers that made what it got.
    """

    site: Site
    module: weakref.ref[nn.Module]
    saved: Saved | None
    kind: type
    learned: frozenset[int]


class Kept(NamedTuple):
    """What an activation got and gave, the versions of these tensors then, and the node of what it gave."""

    x: Tensor
    y: Tensor
    versions: tuple[int, int]
    node: Node | None

    @classmethod
    def of(cls, x: Any, y: Any) -> Kept | None:
        """None for what may be changed unseen."""
        if type(x) is type(y) is Tensor and not (x.is_inference() or y.is_inference()):
            return cls(x, y, (x._version, y._version), y.grad_fn)
        return None

    @property
    def is_small(self) -> bool:
        """Whether to keep it costs little."""
        return self.x.numel() <= _SMALL

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was written to the tensors since."""
        return self.versions == (self.x._version, self.y._version)


class Calls:
    """Calls of what may be activations in a pass, of which some are kept until the network returns.

    Parameters
    ----------
    are_kept : sequence of bool
        Which of them.

    Attributes
    ----------
    kept : dict
        What these did, by the nodes of what they gave.
    are_small : bool
        Whether that costs little.
    """

    def __init__(self, are_kept: Sequence[bool]) -> None:
        self._are_kept, self._count = are_kept, 0
        self.kept: dict[Node, Kept | None] = {}
        self.are_small = True

    def add(self, x: Any, y: Any) -> None:
        """There was one more."""
        if self._count < len(self._are_kept) and self._are_kept[self._count]:
            kept = Kept.of(x, y)
            if kept is not None:
                self.kept[kept.node] = kept
                self.are_small &= kept.is_small
        self._count += 1

    @property
    def are_all(self) -> bool:
        """Whether there were as many as expected."""
        return self._count == len(self._are_kept)


class Heard(NamedTuple):
    """A module whose hook tells what its activation got and gave, and whether that stays until the network returns."""

    module: weakref.ref[nn.Module]
    site: Site
    stays: bool


class Found(NamedTuple):
    """Activations of one function in another forward pass.

    Whose counters these are, the nodes of their outputs, what they got, or gave where that tells all, and what they gave;
    None where that has to be computed anew.
    """

    first: Seen
    counters: list[Counter]
    nodes: list[Node]
    x: list[Tensor]
    y: list[Tensor] | None


@dataclass(frozen=True)
class Plan:
    """How to see a forward pass without looking at each call, as long as it does what one before it did.

    Attributes
    ----------
    hooked : set of int
        By ``id``, the modules whose inputs and outputs have to be looked at, since the graph does not keep enough of them.
    way : Way
        To what the graph keeps of the other activations.
    seen : list of Seen
        These activations, and those of which is kept what stays.
    heard : dict
        By ``id``, the hooked modules, where each is used once and the graph tells that it was; else empty.
    groups : list of list of int
        Their places in this list: together those that may be counted together.
    calls : list of bool
        Which calls of what may be activations the function mode has to keep; empty where no mode is needed.
    """

    hooked: set[int]
    way: Way
    seen: list[Seen]
    heard: dict[int, Heard] = field(compare=False)
    groups: list[list[int]] = field(compare=False)
    calls: list[bool]

    def hooks_on(self) -> list[nn.Module] | None:
        """The modules to hear of, where these are known; None for all."""
        if len(self.heard) < len(self.hooked):
            return None
        modules = [module for heard in self.heard.values() if (module := heard.module()) is not None]
        return modules if len(modules) == len(self.heard) else None

    @cached_property
    def found_later(self) -> frozenset[int]:
        """By ``id``, the modules whose activations are fetched when the network has returned."""
        return frozenset(id(seen.module()) for seen in self.seen if seen.saved is not None)

    @cached_property
    def _counted_at_once(self) -> int:
        return sum(not heard.stays for heard in self.heard.values())

    @cached_property
    def _owners(self) -> list[weakref.ref[nn.Module]]:
        return [seen.module for seen in self.seen]

    @cached_property
    def _counters(self) -> dict[tuple[bool, ...], list[list[Counter]]]:
        """Those of each group, by the modes of all modules."""
        return {}

    def found(self, returned: Any, kept: Mapping[Any, Kept | None]) -> list[Found] | None:
        """The activations in another pass; None where that did something else.

        Parameters
        ----------
        returned
            By the network.
        kept : mapping
            What calls did, by their nodes; or what hooked modules did, by ``id``, and None where that was counted.
        """
        nodes, counters = self.way.nodes(returned), self._counters_now()
        if nodes is None or counters is None:
            return None
        found = []
        for places, theirs in zip(self.groups, counters, strict=True):
            first, own = self.seen[places[0]], [nodes[place] for place in places]
            if first.saved is None and self._are_counted(places, kept):
                continue
            x, y = self._kept_of(places, own, kept) if first.saved is None else _saved_in(own, first.saved)
            if x is None:
                return None
            if len(nodes) - self._counted_at_once > len(self.seen):
                own = [nodes[len(self.seen) + place] for place in places]
            found.append(Found(first, theirs, own, x, y))
        return found

    def _are_counted(self, places: list[int], kept: Mapping[Any, Kept | None]) -> bool:
        """Whether all were when they were heard, since they were large."""
        return all(kept.get(id(self.seen[place].module()), self) is None for place in places)

    def _kept_of(self, places: list[int], nodes: list[Node], kept: Mapping[Any, Kept | None]) -> _Batches:
        keys = nodes if self.calls else [id(self.seen[place].module()) for place in places]
        found = list(map(kept.get, keys))
        theirs = [each for each in found if each is not None and each.is_unchanged]
        if len(theirs) < len(found):
            return None, None
        y = [each.y for each in theirs]
        return y if self.seen[places[0]].site.slopes.idempotent else [each.x for each in theirs], y

    def known_in(
        self, returned: Any, since: int, frozen: frozenset[int], kept: Mapping[Any, Kept | None]
    ) -> tuple[list[tuple[Seen, Tensor, Tensor | None]], bool]:
        """What is kept of these activations in a pass that did something else, and whether that is all of it.

        Such a pass leaves out a part of the network, or runs one that did not run before. An activation is known by its
        kind and by the parameters behind it, and one of several that have these in common by its place among them.

        Parameters
        ----------
        returned
            By the network.
        since : int
            The number of the first node that it may have made.
        frozen : frozenset of int
            By ``id``, the parameters that do not learn, of which a graph tells nothing.
        kept : mapping
            As for `found`.
        """
        expected: dict[Any, list[Seen]] = {}
        found: list[tuple[Seen, Tensor, Tensor | None]] = []
        for seen in self.seen:
            theirs = None if seen.saved is not None else kept.get(id(seen.module()))
            if seen.saved is not None or self.calls:
                expected.setdefault((seen.kind, seen.learned), []).append(seen)
            elif theirs is not None and theirs.is_unchanged:
                found.append((seen, theirs.x, theirs.y))
        nodes, heard = activations(returned, since, {seen.kind for seen in self.seen}), list(kept.values()).count(None)
        for node in nodes:
            known = expected.get((type(node), learned_behind(makers(node) or ())))
            theirs = kept.get(node)
            if known and known[0].saved is None and theirs is not None and theirs.is_unchanged:
                found.append((known.pop(0), theirs.x, theirs.y))
                continue
            x, y = _saved_in([node], known[0].saved) if known else (None, None)
            if known and x is not None:
                found.append((known.pop(0), x[0], None if y is None else y[0]))
        left_out = [seen for others in expected.values() for seen in others]
        is_hidden = any(seen.site.is_whole or seen.learned & frozen for seen in left_out)
        return found, len(found) + heard == len(nodes) and not is_hidden

    def _counters_now(self) -> list[list[Counter]] | None:
        """The counters of each group: the same list each time, as long as no module changes its mode."""
        try:
            modes = tuple([owner().training for owner in self._owners])  # type: ignore[union-attr]
        except AttributeError:  # one is gone
            return None
        found = self._counters.get(modes)
        if found is None:
            sites = zip(self.seen, modes, strict=True)
            counters = [counter for seen, mode in sites if (counter := seen.site.counter(mode)) is not None]
            if len(counters) < len(modes):
                return None
            found = self._counters[modes] = [[counters[place] for place in places] for places in self.groups]
        return found


def _saved_in(nodes: list[Node], saved: Saved | None) -> _Batches:
    found = None if saved is None else saved.tensors(nodes)
    return found, found if saved is not None and saved.is_output else None


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
        is_small = y.numel() <= _SMALL
        known_by = None if saved is None else makers(y.grad_fn)
        if (
            saved is not None
            and known_by is not None
            and (saved.is_output or is_small)  # without the output it is computed anew
        ):
            self._see(Seen(site, weakref.ref(module), saved, type(y.grad_fn), learned_behind(known_by)), node, known_by, y)
            site.see_source(learned_behind(known_by))
            return
        is_more = site.is_whole or site.is_gated or site.factor != 1 or in_place or node is None
        is_network = not site.needs_mode and id(module) == self._network
        kept, place = None if is_more or is_network else Kept.of(x, y), None
        if kept is not None and kept.is_small:
            place = len(self._seen)
            self._kept[place], known_by = kept, makers(node) or []
            self.calls[-1:] = [True]
            self._see(Seen(site, weakref.ref(module), None, type(node), learned_behind(known_by)), node, known_by, y)
        self._others.append(_Other(site, weakref.ref(module), node, place))

    def _see(self, seen: Seen, node: Node, known_by: list[Node], y: Tensor) -> None:
        is_small, site = y.numel() <= _SMALL, seen.site
        form = (site.family, site.axes, seen.saved, y.shape, y.dtype, y.device) if is_small else len(self._seen)
        self._groups.setdefault(form, []).append(len(self._seen))
        self._seen.append(seen)
        self._nodes.append(node)
        self._outputs.append(y.grad_fn)
        self._makers.append(known_by)

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
            for place, (site, module, saved, *_) in enumerate(self._seen)
            if not site.is_part and (place in stay if saved is None else id(module()) not in modules)
        ]
        ends, outputs = ([nodes[place] for place in places] for nodes in (self._nodes, self._outputs))
        ends = ends if outputs == ends else ends + outputs
        ends += [other.node for other in hooked if are_told and other.place not in places]
        way = Way.to(ends, returned, [node for place in places for node in self._makers[place]], self._since)
        if way is None:
            return None
        heard = {id(module()): Heard(module, site, place in places) for site, module, _, place in hooked if are_told}
        groups = [[places.index(place) for place in group if place in places] for group in self._groups.values()]
        return Plan(modules, way, [self._seen[place] for place in places], heard, list(filter(None, groups)), list(calls))
