"""The networks that run: which modules are one, what is known of each, and names that no two of them share."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Any

from torch import nn

from rectified.health.record import Run
from rectified.torch.kinds import unwrapped
from rectified.torch.network import Network
from rectified.torch.schedule import Schedule
from rectified.torch.site import caller_of_part
from rectified.torch.sites import Sites

_MOST_GONE, _FEW = 32, 16  # networks of a class that had so few passes, as a copy for each task has
_MANY = (
    "{0}: {1} networks of this class have come and gone after a few passes, and of others the first {2} were not counted"
)


class Networks:
    """All networks that have run and are still there; of these only one is looked at, with its parts, where it is given."""

    def __init__(self, only: nn.Module | None, sites: Sites, schedule: Schedule, run: Run) -> None:
        self._only = None if only is None else Network(unwrapped(only))
        self._sites, self._schedule, self._run = sites, schedule, run
        self._known: dict[int, Network] = {}  # by ``id``
        self._held: dict[int, weakref.ref[nn.Module]] = {}  # by ``id``, what they hold, or they themselves
        self._named: Counter[str] = Counter()  # by class
        self._gone: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Network]:
        """In the order in which they ran first."""
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def of(self, module: nn.Module) -> Network:
        """What is known of a network. What is known of those that are gone is forgotten, for others may get their ids."""
        network = self._known.get(id(module))
        if network is None or network.module() is not module:
            for key in [key for key, other in self._known.items() if other.module() is None]:
                gone = self._known.pop(key)
                self._gone[gone.kind] += gone.prefix is not None and gone.passes <= _FEW
                self._sites.forget(gone.keys)
            network = self._known[id(module)] = Network(module)
            self._held = {key: held for key, held in self._held.items() if held() is not None}
            self._held[id(_held_in(module))] = weakref.ref(_held_in(module))
            self._schedule.look_everywhere()
        return network

    @property
    def are_all(self) -> bool:
        """Whether all that run are looked at."""
        return self._only is None

    def looks_at(self, module: nn.Module | None) -> bool:
        """Whether a module is looked at, or what runs outside of any, where it is None."""
        return self._only is None or (module is not None and self._only.has(module))

    def wants(self, network: Network | None) -> bool:
        """The same of what a network runs."""
        return self.looks_at(None if network is None else network.module())

    def list_parts_again(self) -> None:
        """The network that is looked at may have new parts."""
        if self._only is not None:
            self._only.passes += 1

    def is_but_a_function(self, module: nn.Module) -> bool:
        """Whether nothing in a module learns, as in losses, or only a network that another module has held before."""
        network = self._known.get(id(module))
        if (network is not None and network.module() is module) or (self._only is not None and self._only.has(module)):
            return False
        held = _held_in(module)
        known = self._held.get(id(held))
        is_known = known is not None and known() is held
        return (held is not module and is_known) or next(module.parameters(), None) is None

    def are_many_like(self, network: Network) -> bool:
        """Whether a new network is one of a class of which many have come and gone; then a note says so."""
        are_many = network.passes <= _FEW and self._gone[network.kind] >= _MOST_GONE
        if are_many:
            self._run.note(_MANY.format(network.kind, _MOST_GONE, _FEW))
        return are_many

    def own(self, sources: frozenset[Any]) -> bool:
        """Whether one of some learned tensors is a parameter of any of them."""
        return any(network.own(sources) for network in self)

    def path(self, module: nn.Module | None, network: Network | None, outer: nn.Module | None = None) -> str:
        """Where a module that another calls is in a network. Names in a further network begin with its class.

        Where a method of a module calls parts of it, as training steps do, these are parts of one network.
        """
        if network is None or module is None:
            return ""
        outermost = network.module()
        if network.prefix is None and outermost is not None:
            holder = caller_of_part(outermost) if self._only is None else self._only.module()
            if holder is not None and holder is not outermost:
                network.prefix = self.path(outermost, self.of(holder))
        if network.prefix is None:
            self._named[network.kind] += 1
            network.prefix = f"{network.kind}#{self._named[network.kind]}" if self._named.total() > 1 else ""
        return f"{network.prefix}.{network.path(module, outer)}".strip(".")


def _held_in(module: nn.Module) -> nn.Module:
    """What a module is that holds one other and nothing else: that, or what it holds; of others they themselves."""
    while len(module._modules) == 1 and not module._parameters:
        (child,) = module._modules.values()
        if child is None:
            break
        module = child
    return module
