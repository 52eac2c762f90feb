"""Sees calls of PyTorch's functions: counts those that are activations, and follows the others as far as is needed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rectified.torch.by_hand import JOINED, UNKNOWN, Whole, is_transformed, whole_of
from rectified.torch.calls import Origin
from rectified.torch.functions import LOSSES, output_of, plain_name
from rectified.torch.graph import gradients_are_computed
from rectified.torch.lookup import Lookup
from rectified.torch.losses import Losses
from rectified.torch.network import CHANGED, Network
from rectified.torch.opaque import hides_activation
from rectified.torch.origins import Origins
from rectified.torch.running import Running, trains
from rectified.torch.schedule import Schedule
from rectified.torch.site import Site, caller, is_activation, method_of, place_of
from rectified.torch.sites import Sites
from rectified.torch.turns import Turns

_OTHER_TENSORS = "what ran on tensors of another kind, or under torch.func or a trace, was not seen"
_OTHER_AXES = "its units were on other axes later, and only those on the first ones were counted, perhaps with some others"


class Observer:
    """Sees calls, in networks and outside of them.

    Attributes
    ----------
    last_calls : set
        Functions of which a call may be the last of what several are together.
    """

    def __init__(
        self, running: Running, lookup: Lookup, sites: Sites, origins: Origins, losses: Losses, schedule: Schedule
    ) -> None:
        self._running, self._networks, self._run = running, running.networks, running.run
        self._lookup, self._sites, self._origins = lookup, sites, origins
        self._losses, self._schedule = losses, schedule
        self._turns = Turns()  # outside of networks
        self.last_calls: set[Any] = set()

    def keep(self, function: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call, and keep what it does if it may be of an activation."""
        __tracebackhide__ = True
        result, calls = function(*args, **kwargs), self._running.calls
        if name is not None and calls is not None:
            x = args[0] if args else kwargs.get("input")
            if isinstance(x, Tensor):
                calls.add(x, output_of(name, result))
        return result

    def observe(self, function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call of what may be an activation, and count it."""
        __tracebackhide__ = True
        x = args[0] if args else kwargs.get("input")
        if not isinstance(x, Tensor):
            return function(*args, **kwargs)
        self._schedule.has_run = True
        if self._running.draft is not None:
            self._running.draft.calls.append(False)
        if not self._looks():
            return function(*args, **kwargs)
        module = self._running.owner()
        site = self._lookup.site(function, name, x, module, args, kwargs)
        if site is None:
            return (self.follow if self._running.is_tracking else self.observe_whole)(function, args, kwargs)
        follows_terms = self._running.is_tracking or self._running.follows_terms
        terms = self._origins.terms_of(name, args, kwargs) if follows_terms else None
        if site.is_overwritten:
            x = x.detach().clone()
        result = function(*args, **kwargs)
        y = output_of(name, result)
        if terms is not None:
            self._origins.terms.see(function, name, terms, y, site)
        if self._running.is_tracking:
            self._see_axes(site, self._origins.of_result(name, args, kwargs, y), y)
            self._losses.see_use_of_logits(site, x)
        self._see_call(site, x, y, module)
        return result

    def follow(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call of what is no activation, and know where its result comes from."""
        __tracebackhide__ = True
        name = plain_name(function)
        if hides_activation(function) and not gradients_are_computed():
            self._running.note_unseen(f"what {name} computes beside other things was not seen")
        before = self._origins.terms.get(args[0]) if args else None
        result = self._origins.follow(function, args, kwargs)
        if name in LOSSES and args:
            self._losses.see_use_of_logits(name, args[0])
            self._losses.see_softmax(name, self._origins.of(args[0]))
        is_same = bool(args) and result is args[0] and self._origins.terms.get(result) is before
        if type(result) is Tensor and not is_same:
            self._see_whole(function, result)
            if result.ndim == 0 and args:
                self._losses.see_average(name, args[0], self._running.network)
            elif args:
                self._losses.see_use(name, *args)
        return result

    def observe_whole(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call that may be the last of what several are together, and count that where it is known."""
        __tracebackhide__ = True
        name, terms = plain_name(function), self._origins.terms
        given = self._origins.terms_of(name, args, kwargs) if self._running.follows_terms else None
        result = function(*args, **kwargs)
        term = terms.see(function, name, given, result) if type(result) is Tensor else None
        if function in self.last_calls and self._looks():
            module = self._running.owner()
            site = self._lookup.known_here(module, function)
            if site is not None:
                path = site.input_at
                x = args[path[0]] if len(path) == 1 else None if term is None else term.at(path)
                if x is not None:
                    self._see_call(site, x, result, module)
        return result

    def _looks(self) -> bool:
        """Whether a call that is made now may be counted."""
        if self._running.skipped is not None or gradients_are_computed():
            return False
        if self._running.stack:
            return True
        number = None if torch.is_grad_enabled() else self._schedule.forwards
        if self._schedule.is_left_out(number):
            return False
        return self._networks.are_all or self._networks.looks_at(method_of(caller()))  # a method may run by itself

    def _see_axes(self, site: Site, origin: Origin, y: Tensor) -> None:
        """Know which axes of an output count the units."""
        if origin.axes:
            site.see_axes(origin.axes, y.shape, is_split=origin.is_split)
            if not site.lies_on(origin.axes, y.ndim):
                site.ended = site.ended or _OTHER_AXES
        site.layers_behind = origin.sources
        self._origins.remember(y, origin.activated(site))

    def _see_call(self, site: Site, x: Tensor, y: Tensor, module: nn.Module | None) -> None:
        """Count the inputs and outputs of a call in a module, and know how to see the next one."""
        stack, draft = self._running.stack, self._running.draft
        owner = module if module is not None or not stack else stack[0]
        if owner is None or (module is None and is_activation(owner)):
            caller_of_it = method_of(caller())
            owner = owner if caller_of_it is None else caller_of_it
        if self.see(site, x, y, trains(owner)) and draft is not None and owner is not None:
            draft.add(site, owner, x, y)

    def see(self, site: Site, x: Tensor, y: Tensor, training: bool) -> bool:
        """Count inputs and outputs. Whether that was possible."""
        counter = site.counter(training)
        if counter is None:
            site.is_late |= not site.axes
            return False
        if type(y) is not Tensor or y.is_meta or y.is_nested or y.layout is not torch.strided or is_transformed():
            self._run.note(f"{site.name}: {_OTHER_TENSORS}")
            return False
        if site.is_gated:
            counter.see(*site.gate(x), self._schedule.step)
        else:
            counter.see(x, y if site.factor == 1 else y.detach() / site.factor, self._schedule.step)
        network = self._running.network
        if site.is_unsure:
            self.look_again(network, site)
        site.may_learn |= torch.is_grad_enabled()
        turns = self._turns if network is None else network.turns
        self._schedule.calls += site.is_outside
        if y.requires_grad and (self._schedule.measures(turns) or (site.is_outside and site.is_idle)):
            y.register_hook(turns.hearing(counter.see_gradient))  # type: ignore[no-untyped-call]
        return True

    def look_again(self, network: Network | None, site: Site) -> None:
        """Look closely at the next passes, since the units of an activation may be on other axes than before."""
        site.is_unsure = False
        self._run.note(CHANGED)
        if network is None:
            self._schedule.look_at_next_step()
        else:
            network.look_again()

    def _see_whole(self, function: Any, y: Tensor) -> None:
        """Count what several calls are together, if the last of them has given `y`."""
        term = self._origins.terms.get(y)
        found = whole_of(term) if term is not None and y.is_floating_point() else None
        if found is None or not self._looks():
            return
        if not self._running.stack and not all(part.is_outside for part in found.parts):
            return  # what a network returned is its own, whatever a loss makes of it
        x = found.input.stands_for() if found.input is not None else None
        origin = self._origins.of(y) or Origin()
        if x is None or x.shape != y.shape:
            for part in found.parts:
                part.is_part = True
                self._run.note(f"{part.name}: {JOINED}")
            if not found.parts and self._running.network is not None and origin.axes:
                frame = caller()
                self._run.note(f"{place_of(frame.f_code, frame.f_lineno)}: {UNKNOWN}")
        elif found.parts or origin.axes:
            for part in found.parts:
                self._sites.drop(part)
            module = self._running.owner()
            site = self._lookup.site(function, found.function, x, module, (x,), found.parameters)
            if site is not None:
                self._see_axes(site, origin, y)
                self._know_whole(site, function, found, y)
                self._see_call(site, x, y, module)

    def _know_whole(self, site: Site, function: Any, whole: Whole, y: Tensor) -> None:
        """Know what several calls are together by the last of them, as long as that gets the inputs in the same way."""
        assert whole.input is not None
        site.is_overwritten, site.again, site.factor = False, whole.again, whole.factor
        site.input_at = whole.term.path_to(whole.input)
        site.is_whole = True
        self._origins.terms.activate(y, site, whole.input)
        self.last_calls |= {function, *whole.term.functions_to(site.input_at)}
        if len(site.input_at) > 1:
            self._running.follows_terms = True
            if self._running.network is None:
                self._running.needs_terms = True
            else:
                self._running.network.needs_terms = True
