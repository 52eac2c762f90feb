"""How to see the next forward pass of a network at little cost: by what one before it did."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from torch import Tensor, nn

from rectified.torch.counter import Counter
from rectified.torch.graph import Identity, Node, Saved, Way, activations
from rectified.torch.kept import Kept
from rectified.torch.site import Site

_Batches = tuple[list[Tensor] | None, list[Tensor] | None]


class Seen(NamedTuple):
    """An activation that was seen, in which module, and what the graph keeps of it; None where more has to be kept."""

    site: Site
    module: weakref.ref[nn.Module]
    saved: Saved | None


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
    identities : list of Identity
        By what these are known in passes that do something else.
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
    identities: list[Identity] = field(compare=False)
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
        self, returned: Any, network: nn.Module, since: int, frozen: frozenset[int], kept: Mapping[Any, Kept | None]
    ) -> tuple[list[tuple[Seen, Tensor, Tensor | None]], bool]:
        """What is kept of these activations in a pass that did something else, and whether that is all of it.

        Such a pass leaves out a part of the network, or runs one that did not run before. An activation is known by its
        identity, and where it is ahead of other layers than before by the rest of that, unless a module that was not seen
        may be the one that ran. One of several that have this in common is known by its place among them, unless these are
        modules of which some are left out. What several calls are together is not known, for others may look like it.

        Parameters
        ----------
        returned
            By the network.
        network : Module
            The network.
        since : int
            The number of the first node that it may have made.
        frozen : frozenset of int
            By ``id``, the parameters that do not learn, of which a graph tells nothing.
        kept : mapping
            As for `found`.
        """
        left: dict[int, Identity] = {}
        found: list[tuple[Seen, Tensor, Tensor | None]] = []
        for place, (seen, identity) in enumerate(zip(self.seen, self.identities, strict=True)):
            theirs = None if seen.saved is not None else kept.get(id(seen.module()))
            if seen.saved is not None or self.calls:
                left[place] = identity
            elif theirs is not None and theirs.is_unchanged:
                found.append((seen, theirs.x, theirs.y))
        modules = [seen.module() for seen in self.seen]
        unseen = {type(module) for module in network.modules() if all(module is not other for other in modules)}
        kinds = {identity.kind for seen, identity in zip(self.seen, self.identities, strict=True) if not seen.site.is_whole}
        nodes, heard = activations(returned, since, kinds), list(kept.values()).count(None)
        identified = dict(zip(nodes, Identity.of_each(nodes, returned, since), strict=True))
        for is_all in (True, False):
            expected: dict[Any, list[int]] = {}
            for place, identity in left.items():
                expected.setdefault(identity.part(is_all=is_all), []).append(place)
            for known, places in expected.items():
                same = [node for node, other in identified.items() if other.part(is_all=is_all) == known]
                if (
                    any(self.seen[place].site.is_whole for place in places)
                    or (len(same) != len(places) and any(modules[place] is not modules[places[0]] for place in places))
                    or not (is_all or unseen.isdisjoint(type(modules[place]) for place in places))
                ):
                    continue
                for node, place in zip(same, places, strict=False):
                    x, y = self._batch_of(node, self.seen[place], kept)
                    if x is not None:
                        found.append((self.seen[place], x, y))
                        del identified[node], left[place]
        is_hidden = any(self.identities[place].behind & frozen for place in left)
        return found, len(found) + heard == len(nodes) and not is_hidden

    def _batch_of(self, node: Node, seen: Seen, kept: Mapping[Any, Kept | None]) -> tuple[Tensor | None, Tensor | None]:
        """What an activation got, or gave where that tells all, and what it gave; None where that is not kept."""
        theirs = kept.get(node)
        if seen.saved is None:
            return (theirs.x, theirs.y) if theirs is not None and theirs.is_unchanged else (None, None)
        x, y = _saved_in([node], seen.saved)
        return None if x is None else x[0], None if y is None else y[0]

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
