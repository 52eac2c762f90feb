"""How to see the next forward pass of a network at little cost: by what one before it did."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from torch import Tensor, nn

from rectified.torch.counter import Counter
from rectified.torch.graph import Node, Saved, Way, activations, learned_behind, makers
from rectified.torch.kept import Kept
from rectified.torch.site import Site

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
