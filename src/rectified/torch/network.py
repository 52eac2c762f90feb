"""What is known of the networks that run."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from rectified.torch.by_hand import is_transformed
from rectified.torch.plan import Plan
from rectified.torch.site import Site
from rectified.torch.turns import Turns

CHANGED = "some forward passes did what none before had done, and were counted in part"
_MOST_CHANGES = 4
_MORE_LOOKS = 64
_SOME = 4  # numbers of a parameter


class Network:
    """A network: a module that is called from outside of any other.

    Attributes
    ----------
    module : weakref
        To the module.
    kind : str
        The name of its class.
    prefix : str or None
        With what its names begin, once that is known.
    looks : dict
        How many forward passes there were, in training and in evaluation; while more of them are looked at, below 0.
    needs_mode : bool
        Whether hooks see less than all of it.
    needs_terms : bool
        Whether only those who follow all calls know the inputs of what several of them are together.
    plans : dict
        How to see a pass in training and in evaluation, while there are gradients; None where that is not known.
    keys : list
        Under which the collector knows its sites.
    passes : int
        How many forward passes there were at all.
    turns : Turns
        Of these, which of them are counted.
    tells_sources : bool
        Whether calls at one place are told apart by the weights behind them.
    has_trained : bool
        Whether there was a pass in training with gradients.
    was_blind : bool
        Whether there were passes in which nothing told these weights.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = weakref.ref(module)
        self.kind = type(module).__name__
        self.prefix: str | None = None
        self.looks = {True: 0, False: 0}
        self.needs_mode = self.needs_terms = False
        self.plans: dict[bool, Plan | None] = {True: None, False: None}
        self.keys: list[Any] = []
        self.passes = 0
        self.turns = Turns()
        self.tells_sources = self.was_blind = self.has_trained = False
        self._first: _State | None = None
        self._last: weakref.ref[Tensor] | None = None
        self._sources: dict[Any, list[frozenset[Any]]] = {}
        self._places: dict[Any, list[Site]] = {}
        self._changes = 0
        self._paths: dict[int, str] = {}
        self._learning: set[int] = set()
        self._listed_at = self._parameters_listed_at = -1  # the pass
        self._parameters: set[int] = set()

    def learn(self, plan: Plan | None, *, training: bool) -> None:
        """Remember the plan of a forward pass, unless it differs from the one before."""
        known = self.plans[training]
        if known is not None and plan != known:
            self.forget_plans()
        elif self._changes < _MOST_CHANGES and (known is None or (plan and known.way.inputs < plan.way.inputs)):
            self.plans[training] = plan

    @property
    def wants_plan(self) -> bool:
        """Whether a draft may become a plan, or may at least tell which calls have several sources."""
        return self._changes < _MOST_CHANGES or not self.tells_sources

    def forget_plans(self) -> None:
        """What it does has changed: look closely again, and always where that happens often."""
        self._changes += 1
        self.plans = {True: None, False: None}
        self.look_again()

    def look_again(self) -> None:
        """Look closely at the next forward passes: at so many that what runs seldom will be among them."""
        self.looks = {True: -_MORE_LOOKS, False: -_MORE_LOOKS}

    def has(self, module: nn.Module) -> bool:
        """Whether a module is a part of it. Others, such as those that a pass makes for itself, may be gone after it."""
        root = self.module()
        if id(module) not in self._paths and self._listed_at != self.passes and root is not None:
            self._listed_at = self.passes
            self._paths = {id(part): _without_wrappers(path) for path, part in root.named_modules()}
            self._learning = {id(part) for part in root.modules() if next(part.parameters(), None) is not None}
        return id(module) in self._paths

    def own(self, sources: Iterable[Any]) -> frozenset[Any]:
        """Those of some learned tensors, or of parts of such, that are parameters of the network."""
        root = self.module()
        if sources and self._parameters_listed_at != self.passes and root is not None:
            self._parameters_listed_at = self.passes
            self._parameters = {id(each) for each in root.parameters() if isinstance(each, nn.Parameter)}
        return frozenset(source for source in sources if source[0] in self._parameters)

    def has_buffer(self, value: Any) -> bool:
        """Whether a value is one of its buffers."""
        root = self.module()
        return root is not None and any(each is value for each in root.buffers())

    def frozen(self) -> frozenset[int]:
        """By ``id``, its parameters that do not learn."""
        root = self.module()
        return frozenset(id(each) for each in (root.parameters() if root is not None else ()) if not each.requires_grad)

    def has_learned(self) -> bool:
        """Whether its first parameter that learns is another than the last time, or it or the last one was changed."""
        root = self.module()
        first = next((each for each in (root.parameters() if root is not None else ()) if each.requires_grad), None)
        if root is None or first is None:
            return False
        last = self._last() if self._last is not None else None
        if last is None:
            last = [each for each in root.parameters() if each.requires_grad][-1]
            self._last = weakref.ref(last)
        before, self._first = self._first, _State(weakref.ref(first), first._version, _some_of(first), _some_of(last))
        return before is not None and self._first.differs_from(before)

    def behind(self, sources: frozenset[Any]) -> str:
        """What to add to the name of a call to tell the parameter behind it, where that is one."""
        root = self.module()
        if root is None or len(sources) != 1:
            return ""
        ((owner, offset, *parts),) = sources
        name, parameter = next(named for named in root.named_parameters() if id(named[1]) == owner)
        owns = root.get_submodule(name.rpartition(".")[0])
        if parameter.ndim > 2 and not parts and not isinstance(owns, _ConvNd):  # the product was one with a matrix
            parts = [offset // parameter.stride(0)]
        return f" behind {name}{''.join(f'[{part}]' for part in parts)}"

    def told_by(self, key: tuple[Any, ...], sources: frozenset[Any]) -> tuple[Any, ...]:
        """A key of calls as one of those at its place that have the same weights behind them."""
        if not sources:
            return *key, sources
        known = self._sources.setdefault(key[:-1], [])
        same = next((others for others in known if not others.isdisjoint(sources)), None)
        if same is None:
            known.append(sources)
        return *key[:-1], sources if same is None else same

    def add(self, place: tuple[Any, ...], site: Site) -> None:
        """Know an activation at a place of the network, which runs now."""
        self._places.setdefault(place, []).append(site)
        site.ran_in = self.passes

    def holds(self, site: Site) -> bool:
        """Whether an activation is one of the network's."""
        return any(site in sites for sites in self._places.values())

    @property
    def has_wholes(self) -> bool:
        """Whether several calls together are an activation of it, which no graph tells by itself."""
        return any(site.is_whole and not site.is_part for sites in self._places.values() for site in sites)

    def ran_before(self, place: tuple[Any, ...], sources: frozenset[Any]) -> Site | None:
        """What ran at a place in another pass, with the same weights behind it."""
        for site in self._places.get(place, []):
            if site.sources and site.sources == sources and site.ran_in != self.passes:
                site.ran_in = self.passes
                return site
        return None

    def learns(self, module: nn.Module) -> bool:
        """Whether a module is a part of it that has parameters."""
        return self.has(module) and id(module) in self._learning

    def path(self, module: nn.Module, outer: nn.Module | None = None) -> str:
        """Where a module is in the network; its class, where it is not a part of it.

        One that stands in several places is named by the place where another module calls it.
        """
        if outer is not None and self.has(outer):
            names = [name for name, part in outer.named_children() if part is module]
            if names and id(module) in self._paths:
                return f"{self._paths[id(outer)]}.{names[0]}".strip(".")
        return self._paths[id(module)] if self.has(module) else type(module).__name__


class _State(NamedTuple):
    """What the first parameter that learns was, its version, and some numbers of it and of the last one."""

    first: weakref.ref[Tensor]
    version: int
    some: bytes
    some_of_last: bytes

    def differs_from(self, before: _State) -> bool:
        """Whether it is another, or was changed; numbers that are not known tell nothing."""
        if before.first() is not self.first() or before.version != self.version:
            return True
        return any(old and new and old != new for old, new in zip(before[2:], self[2:], strict=True))


def _some_of(parameter: Tensor) -> bytes:
    """Some of its numbers, where nothing is waited for: by ``parameter.data`` they change, and its version does not."""
    is_read = type(parameter) is nn.Parameter and parameter.device.type == "cpu" and parameter.is_contiguous()
    if not is_read or is_transformed():
        return b""
    return parameter.detach().view(-1)[:_SOME].view(torch.uint8).numpy().tobytes()


def _without_wrappers(path: str) -> str:
    """A path without what torch.compile puts around a module."""
    return ".".join(name for name in path.split(".") if name != "_orig_mod")
