"""How to see the next forward pass of a network at little cost: by what one before it did."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from torch import Tensor, nn

from rectified.torch.counter import Counter
from rectified.torch.graph import Node, Saved, Way, activations, keeper, learned_behind, makers, next_node
from rectified.torch.site import Site

_SMALL = 2**15  # elements, of a batch that is worth a copy


class Seen(NamedTuple):
    """An activation that was seen, in which module, and what the graph keeps of it.

    Then the kind of its node, and by ``id`` the learned parameters of the layers that made what it got.
    """

    site: Site
    module: weakref.ref[nn.Module]
    saved: Saved
    kind: type
    learned: frozenset[int]


class Found(NamedTuple):
    """Activations of one function in another forward pass.

    Whose counters these are, the nodes of their outputs, and what the graph keeps of them.
    """

    first: Seen
    counters: list[Counter]
    nodes: list[Node]
    kept: list[Tensor]


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
        These activations.
    heard : dict
        By ``id``, those of the hooked modules, where each is used once and the graph tells that it was; else empty.
    groups : list of list of int
        Their places in this list: together those that may be counted together.
    """

    hooked: set[int]
    way: Way
    seen: list[Seen]
    heard: dict[int, tuple[weakref.ref[nn.Module], Site]] = field(compare=False)
    groups: list[list[int]] = field(compare=False)

    def hooks_on(self) -> list[nn.Module] | None:
        """The modules to hear of, where these are known; None for all."""
        if len(self.heard) < len(self.hooked):
            return None
        modules = [module for reference, _ in self.heard.values() if (module := reference()) is not None]
        return modules if len(modules) == len(self.heard) else None

    @cached_property
    def found_later(self) -> frozenset[int]:
        """By ``id``, the modules whose activations are fetched when the network has returned."""
        return frozenset(id(seen.module()) for seen in self.seen)

    @cached_property
    def _owners(self) -> list[weakref.ref[nn.Module]]:
        return [seen.module for seen in self.seen]

    @cached_property
    def _counters(self) -> dict[tuple[bool, ...], list[list[Counter]]]:
        """Those of each group, by the modes of all modules."""
        return {}

    def found(self, returned: Any) -> list[Found] | None:
        """The activations in another pass; None where that did something else."""
        nodes, counters = self.way.nodes(returned), self._counters_now()
        if nodes is None or counters is None:
            return None
        found = []
        for places, theirs in zip(self.groups, counters, strict=True):
            first, own = self.seen[places[0]], [nodes[place] for place in places]
            kept = first.saved.tensors(own)
            if kept is None:
                return None
            if len(nodes) - len(self.heard) > len(self.seen):
                own = [nodes[len(self.seen) + place] for place in places]
            found.append(Found(first, theirs, own, kept))
        return found

    def known_in(
        self, returned: Any, since: int, frozen: frozenset[int], heard: int
    ) -> tuple[list[tuple[Seen, Tensor]], bool]:
        """What the graph keeps of these activations in a pass that did something else, and whether that is all of it.

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
        heard : int
            How many others were counted when they ran.
        """
        expected: dict[Any, list[Seen]] = {}
        for seen in self.seen:
            expected.setdefault((seen.kind, seen.learned), []).append(seen)
        found, nodes = [], activations(returned, since, {seen.kind for seen in self.seen})
        for node in nodes:
            known = expected.get((type(node), learned_behind(makers(node) or ())))
            kept = known[0].saved.tensors([node]) if known else None
            if known and kept is not None:
                found.append((known.pop(0), kept[0]))
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


class Draft:
    """A forward pass that is looked at closely, to make a plan of it.

    Attributes
    ----------
    training : bool
        Whether the network trains.
    """

    def __init__(self, training: bool) -> None:
        self.training = training
        self._since = next_node()
        self._hooked: set[int] = set()
        self._heard: list[tuple[Site, weakref.ref[nn.Module], Node | None]] = []
        self._seen: list[Seen] = []
        self._nodes: list[Node] = []
        self._outputs: list[Node] = []
        self._makers: list[list[Node]] = []
        self._groups: dict[Any, list[int]] = {}
        self._missed: list[Site] = []

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
            form = (site.family, site.axes, saved, y.shape, y.dtype, y.device) if is_small else len(self._seen)
            self._groups.setdefault(form, []).append(len(self._seen))
            learned = learned_behind(known_by)
            self._seen.append(Seen(site, weakref.ref(module), saved, type(y.grad_fn), learned))
            self._nodes.append(node)
            self._outputs.append(y.grad_fn)
            self._makers.append(known_by)
            site.see_source(learned)
        elif site.needs_mode:
            self._missed.append(site)
        else:
            self._hooked.add(id(module))
            self._heard.append((site, weakref.ref(module), y.grad_fn))

    def plan(self, returned: Any) -> Plan | None:
        """How to see the next pass, by this one, which returned something; None where only close looks will do."""
        if not all(site.is_part for site in self._missed):
            return None
        hooked = self._hooked
        kept = [
            place for place, (site, module, *_) in enumerate(self._seen) if not (site.is_part or id(module()) in hooked)
        ]
        checked = [node for place in kept for node in self._makers[place]]
        ends = [self._nodes[place] for place in kept]
        outputs = [self._outputs[place] for place in kept]
        ends = ends if outputs == ends else ends + outputs
        heard, way = {id(module()): (module, site) for site, module, _ in self._heard}, None
        heard_nodes = [node for *_, node in self._heard if node is not None]
        if hooked and len(heard_nodes) == len(self._heard) == len(heard) == len(hooked):
            way = Way.to(ends + heard_nodes, returned, checked, self._since)
        if way is None:
            heard, way = {}, Way.to(ends, returned, checked, self._since)
        if way is None:
            return None
        groups = [[kept.index(place) for place in places if place in kept] for places in self._groups.values()]
        return Plan(hooked, way, [self._seen[place] for place in kept], heard, list(filter(None, groups)))
