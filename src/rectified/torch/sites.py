"""The activations that were seen: by what the next call of each is known, and by names that no other has."""

from __future__ import annotations

import weakref
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from torch import nn

from rectified.activation import Ridge
from rectified.torch.functions import activation_of
from rectified.torch.network import Network
from rectified.torch.site import Site

_MOST_USES = 16  # of one activation in one forward pass; later ones count as the last


class Sites:
    """Activations at all places.

    Attributes
    ----------
    modules, calls : dict
        Those that are modules, and those that are calls of functions, in the order in which they run in a forward pass: by
        keys of the collector.
    """

    def __init__(self) -> None:
        self.modules: dict[tuple[Any, ...], list[Site]] = {}
        self.calls: dict[tuple[Any, ...], list[Site]] = {}
        self._uses: dict[Any, int] = {}
        self._named: dict[str, Site] = {}
        self._claimed: set[str] = set()
        self._places: dict[Any, list[tuple[weakref.ref[nn.Module] | None, list[weakref.ref[Any]], Site]]] = {}

    def __iter__(self) -> Iterator[Site]:
        """Those that have a name."""
        return iter(self._named.values())

    def begin_pass(self) -> None:
        """No activation was used so far."""
        self._uses.clear()

    def use(self, key: Any) -> int:
        """The how manyth of its kind a use is in a forward pass."""
        use = min(self._uses.get(key, 0), _MOST_USES - 1)
        self._uses[key] = use + 1
        return use

    def forget(self, keys: Iterable[tuple[Any, ...]]) -> None:
        """Know nothing by these keys any more."""
        for key in keys:
            self.calls.pop(key, None)
            self.modules.pop(key, None)

    def move(self, place: tuple[Any, ...], owner: int) -> list[Site]:
        """Know the calls at a place of a program as those of another owner, outside of all networks. They are returned."""
        moved = {(owner, *key[1:-1], 0): self.calls.pop(key) for key in [*self.calls] if key[1:3] == place}
        self.calls |= moved
        return [site for sites in moved.values() for site in sites]

    def drop(self, part: Site) -> None:
        """Do not count a part of a whole, which may have its name."""
        part.is_part = True
        if self._named.get(part.name) is part:
            del self._named[part.name]
            self._claimed.discard(part.name)

    def know(self, place: Any, network: nn.Module | None, holder: nn.Module, layers: frozenset[Any], site: Site) -> None:
        """Know an activation behind these layers at a place of a program, in a network or a method of a module."""
        ids = {layer[0] for layer in layers}
        owners: list[weakref.ref[Any]] = [weakref.ref(each) for each in holder.parameters() if id(each) in ids]
        self._places.setdefault(place, []).append(
            (None if network is None else weakref.ref(network), owners or [weakref.ref(holder)], site)
        )

    def elsewhere(self, place: Any, network: nn.Module | None, function: Ridge, layers: frozenset[Any]) -> Site | None:
        """The same activation as one that ran in another network, or outside of any, behind the same layers."""
        for other, owners, site in self._places.get(place, []):
            is_same = other is None if network is None else other is not None and other() is network
            is_there = all(owner() is not None for owner in owners)  # or others have their ids
            if is_there and not is_same and layers and site.layers_behind == layers and site.function == function.name:
                return site
        return None

    def claim(self, path: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Site:
        """A site with a name that no other call has. One of the same function that compiled code has is taken over."""
        use, activation = 1, activation_of(name, args, kwargs)
        function = "" if activation is None else activation.name
        while (found := path if use == 1 else f"{path} (use {use})") in self._claimed or (
            found in self._named and self._named[found].function != function
        ):
            use += 1
        self._claimed.add(found)
        return self.named(found, name, args, kwargs)

    def named(self, path: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Site:
        """The site of a name. Of another function it gets one that tells which: a part may be where a whole is known."""
        site, activation = self._named.get(path), activation_of(name, args, kwargs)
        if site is not None and activation is not None and site.function != activation.name:
            path = f"{path} ({activation.name})"
            site = self._named.get(path)
        if site is None:
            site = self._named[path] = Site(path, name, args, kwargs)
        return site

    def tell_sources(self, root: Network, mixed: Iterable[Site], recorded: Container[str]) -> None:
        """Tell calls at one place of a network apart by the weights behind them, since they come in another order.

        Parameters
        ----------
        root : Network
            The network.
        mixed : iterable of Site
            The calls at the place where that was seen.
        recorded : container of str
            The names that stand in the record, and stay as they are.
        """
        for site in mixed:
            site.is_mixed |= root.was_blind
            name = site.name.partition(" (use ")[0] + root.behind(site.sources)
            if site.name not in recorded and name not in self._claimed:
                site.name = name
                self._claimed.add(name)
        root.tells_sources = root.needs_mode = True
        for known in (self.modules, self.calls):
            for key in list(root.keys):
                for site in known.pop(key, []):
                    told = root.told_by(key, site.sources)
                    sites = known.setdefault(told, [])
                    if site not in sites:
                        sites.append(site)
                    root.keys.append(told)
        self.begin_pass()
