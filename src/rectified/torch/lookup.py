"""Finds the site of a call: one that is known at its place, the same as one that ran elsewhere, or a new one."""

from __future__ import annotations

import weakref
from types import CodeType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rectified.activation import Ridge
from rectified.torch.by_hand import overwrites
from rectified.torch.exported import is_compiled, is_part, name_in_graph
from rectified.torch.functions import CLAMPS, activation_of, call_again
from rectified.torch.losses import Losses, is_bound, note_of_bound
from rectified.torch.network import CHANGED
from rectified.torch.origins import Origins
from rectified.torch.running import Running, trains
from rectified.torch.schedule import Schedule
from rectified.torch.site import Site, caller, caller_of_part, is_activation, is_in_function, method_of, place_of
from rectified.torch.sites import Sites

_ANOTHER_CALL = (
    "its function or a parameter of that changed, and only the first one was counted, perhaps with some calls more"
)
_OTHER_UNITS = "it got another number of units, which were counted as a layer of their own, perhaps but for one pass"

_HELD, _MADE = object(), object()  # how activations by themselves are at a place: parts of a module, or new each time


class _Call(NamedTuple):
    """A call of what may be an activation.

    The function, with its plain name; the input; the module that makes the call; and the arguments. Then by what it is
    known, the sites that are known so, the parameters behind it, the module that calls its own, the code, and the line.
    """

    function: Any
    name: str
    x: Tensor
    module: nn.Module | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    key: Any
    sites: list[Site]
    sources: frozenset[Any]
    outer: nn.Module | None
    code: CodeType | None
    line: int


class Lookup:
    """Finds the sites of calls that a network makes, or that are made outside of any."""

    def __init__(self, running: Running, sites: Sites, origins: Origins, losses: Losses, schedule: Schedule) -> None:
        self._running, self._networks, self._run = running, running.networks, running.run
        self._sites, self._origins, self._losses, self._schedule = sites, origins, losses, schedule
        self._owners: dict[int, tuple[weakref.ref[nn.Module], int]] = {}
        self._owned = 0
        self._alone: dict[Any, weakref.ref[nn.Module] | object] = {}  # activations, by where they are called
        self._met_late: set[Any] = set()  # outside of networks: whose activations, of which the first was not counted

    def site(
        self, function: Any, name: str, x: Tensor, module: nn.Module | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Site | None:
        """The site of a call, a new one where it was not seen before; None for a call that is no activation."""
        call = self._call(function, name, x, module, args, kwargs)
        use = 0 if module is None else self._sites.use(call.key)
        if use < len(call.sites):
            return self._known(call, call.sites[use])
        activation = self._activation(call)
        if activation is None:
            return None
        if not self._running.is_tracking:
            self._meet_late(call)
            if self._running.network is not None:
                return None
        site = self._same(call)
        if site is None:
            site = self._elsewhere_or_new(call, activation)
            self._see_first(call, site, activation)
        call.sites.append(site)
        return None if site.is_constant else site

    def known_here(self, module: nn.Module | None, function: Any) -> Site | None:
        """The site of a call that is the last of several, if they are known together."""
        key, known, *_ = self._place(module, function)
        use = 0 if module is None else self._sites.use(key)
        return next(iter(known.get(key, [])[use : use + 1]), None)

    def is_made_for_a_call(self, module: nn.Module) -> bool:
        """Whether an activation by itself is gone after each call, as in ``nn.Sigmoid()(y)``: it is but a function."""
        frame = caller()
        place = frame.f_code, frame.f_lasti
        first = self._alone.get(place)
        if first is None:
            first = self._alone[place] = weakref.ref(module) if caller_of_part(module) is None else _HELD
        if isinstance(first, weakref.ref) and first() is None:
            first = self._alone[place] = _MADE
            owner = method_of(frame)
            for site in self._sites.move(place, self._number_of(owner)):
                site.count_as(trains(owner))
        return first is _MADE

    # ---- the place of a call ---------------------------------------------------------------------------------------------

    def _call(
        self, function: Any, name: str, x: Tensor, module: nn.Module | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> _Call:
        network, sources = self._running.network, frozenset[Any]()
        key, known, outer, code, line = self._place(module, function)
        if network is not None and self._running.is_tracking:
            sources = network.own(self._origins.sources(x))
        if network is not None and network.tells_sources:
            key = network.told_by(key, sources)
        sites = known.setdefault(key, [])
        return _Call(function, name, x, module, args, kwargs, key, sites, sources, outer, code, line)

    def _place(
        self, module: nn.Module | None, function: Any
    ) -> tuple[Any, dict[Any, list[Site]], nn.Module | None, CodeType | None, int]:
        """By what a call is known, and among which; the module that calls its own; and the code, with the line."""
        network, stack = self._running.network, self._running.stack
        depth = len(stack) - 1
        while module is not None and stack[depth] is not module:
            depth -= 1
        if module is not None and is_activation(module):
            return self._running.key(module, depth - 1), self._sites.modules, stack[depth - 1], None, 0
        frame = caller()
        inside = module if module is not None or not stack else stack[0]
        owner = self._number_of(method_of(frame)) if inside is None else id(inside)
        outer = stack[depth - 1] if module is not None and depth > 0 else None
        outer = outer if network is not None and outer is not None and network.has(outer) else None
        before = id(self._running.before[depth]) if stack else 0
        key = owner, frame.f_code, frame.f_lasti, function, id(outer), before
        return key, self._sites.calls, outer, frame.f_code, frame.f_lineno

    def _number_of(self, owner: nn.Module | None) -> int:
        """By what a module is known that learns, and of which a method runs outside of all networks; 0 for others."""
        known = self._owners.get(id(owner))
        if known is not None and known[0]() is owner:
            return known[1]
        if owner is None or next(owner.parameters(), None) is None:
            return 0
        self._owned += 1
        self._owners[id(owner)] = weakref.ref(owner), -self._owned
        return -self._owned

    # ---- known here, the same as elsewhere, or new -----------------------------------------------------------------------

    def _known(self, call: _Call, site: Site) -> Site | None:
        """What ran at the place of a call before, or another, if other weights are behind it; None for one of a buffer."""
        network, is_tracking = self._running.network, self._running.is_tracking
        if site.is_constant:
            if network is None or self._origins.of(call.x) is None:
                return None
            site.is_part = site.is_constant = False  # a state, which a layer gave by now
            network.add(call.key[:-1], site)
        if is_tracking and not site.is_of(call.name, call.args, call.kwargs):
            site.ended = site.ended or _ANOTHER_CALL
        if network is None:
            if is_tracking:
                site.see_layers(self._origins.sources(call.x), self._schedule.step)
            return site
        site.ran_in = network.passes
        network.needs_mode |= site.needs_mode and not site.is_part
        if call.sources and site.sources.isdisjoint(call.sources):
            if network.own(site.sources) and not network.tells_sources:
                self._sites.tell_sources(network, call.sites, self._run.layers)
                return self.site(*call[:6])
            if not site.has_units_of(call.x.shape):
                site.ended = _OTHER_UNITS
                call.sites.clear()
                return self.site(*call[:6])
            site.sources = call.sources
        return site

    def _activation(self, call: _Call) -> Ridge | None:
        """The function of a call that is new; None for one that is not counted."""
        activation, code = activation_of(call.name, call.args, call.kwargs), call.code
        if activation is None or (call.name in CLAMPS and activation.name != "relu" and call.module is None):
            return None  # what is no layer has two bounds, too
        if call.x.is_complex():
            self._running.note_unseen(f"{call.name}: what it did with complex numbers was not counted")
        if not call.x.is_floating_point():
            return None
        if code is not None and (is_compiled(call.function, call.module, code) or is_part(call.module, code, call.line)):
            return None  # the first counts for itself
        return activation

    def _meet_late(self, call: _Call) -> None:
        """Look where the units are the next time, since calls are not followed now."""
        network = self._running.network
        self._schedule.look_at_next_step()
        if network is None:
            self._met_late.add(call.key[0] or call.key[1])
        else:
            network.look_again()
            self._run.note(CHANGED)

    def _same(self, call: _Call) -> Site | None:
        """The activation of the same layer that ran before: in this pass, as in a loop over time, or in another."""
        network, behind = self._running.network, self._origins.of(call.x)
        if network is None:
            return None
        if behind is not None and call.sources:
            for site in call.sites:
                is_there = site.sources == call.sources and site.lies_on(behind.axes, call.x.ndim)
                if is_there and site not in behind.passed:
                    return site
        network.keys.append(call.key)
        return network.ran_before(call.key[:-1], call.sources)

    def _elsewhere_or_new(self, call: _Call, activation: Ridge) -> Site:
        """The same activation as one in another network, or outside of any, or else a new one."""
        stack, network, behind = self._running.stack, self._running.network, self._origins.of(call.x)
        inside = None if network is None else network.module()
        alone = stack[0] if call.module is None and stack else None
        holder = caller_of_part(alone) if alone is not None else method_of(caller()) if inside is None else inside
        place = id(alone) if alone is not None else id(call.module) if call.code is None else call.key[1:3]
        is_outside = inside is None or alone is not None or next(inside.parameters(), None) is None
        layers = frozenset() if behind is None or holder is None else behind.sources
        site = self._sites.elsewhere(place, inside, activation, layers)
        if site is not None and (behind is None or site not in behind.passed):
            site.is_outside &= is_outside
            return site
        site = self._new(call, self._name(call, alone, holder))
        site.is_outside = is_outside
        if holder is not None:
            self._sites.know(place, inside, holder, layers, site)
        return site

    def _name(self, call: _Call, alone: nn.Module | None, holder: nn.Module | None) -> str:
        """Where a call is made: the path of its module, and the place in the program, unless an activation makes it."""
        network, code = self._running.network, call.code
        path = self._networks.path(call.module, network, call.outer)
        if alone is not None and holder is not None:
            path = self._networks.path(alone, self._networks.of(holder))
        elif code is not None:
            exported = name_in_graph(call.module, code, call.line)
            if exported is None:
                path = f"{path}: {place_of(code, call.line)}" if path else place_of(code, call.line)
            else:
                path = f"{path}.{exported}".strip(".")
        return path + network.behind(call.sources) if network is not None and network.tells_sources else path

    def _new(self, call: _Call, path: str) -> Site:
        function, args, kwargs = call.function, call.args, call.kwargs
        site = self._sites.claim(path, call.name, args, kwargs)
        site.sources = call.sources
        site.is_late = self._running.network is None and (call.key[0] or call.key[1]) in self._met_late
        site.has_own_gradient = not torch.is_grad_enabled() and is_in_function()
        site.again = call_again(function, args, kwargs)
        is_overwritten = overwrites(function, args, kwargs) or kwargs.get("out") is not None
        site.is_overwritten = is_overwritten and not site.slopes.idempotent
        site.needs_mode = call.code is not None or site.is_overwritten or not args
        return site

    def _see_first(self, call: _Call, site: Site, activation: Ridge) -> None:
        """Know whether a new site is one of a layer, or is of weights, of a buffer or of a loss, and is not counted."""
        network, x, behind = self._running.network, call.x, self._origins.of(call.x)
        term = self._origins.terms.get(x)
        owner = x if x._base is None else x._base
        if isinstance(owner, nn.Parameter) or (term is not None and term.is_learned):
            self._sites.drop(site)
        elif network is not None and behind is None and network.has_buffer(owner):
            site.is_part = site.is_constant = True
        elif call.name in CLAMPS and (
            is_bound(term, behind, activation) or (site.is_outside and self._losses.is_computed(x))
        ):
            site.is_part = True
            self._run.note(note_of_bound(site))
        elif call.module is None:
            site.compares_outputs = self._losses.compares(site, x)
            self._schedule.outside.add(site)
            self._schedule.is_everywhere = True
        elif network is not None:
            network.needs_mode |= site.needs_mode
            network.add(call.key[:-1], site)
