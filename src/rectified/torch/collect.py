"""Sees the activations of a network while it runs: hooks on all modules, and a function mode for what is no module.

The mode sees every call of PyTorch's functions, and so costs more than the hooks. At first it is on everywhere, to find the
activations and the axes of their units. Afterwards neither is needed in a pass whose graph keeps what all its activations
did: that is fetched when the network has returned. Where the graph keeps less, hooks see activations that are modules, and
the mode stays on for others. From time to time it comes back to look whether all is still so.

Nothing here changes a tensor of the network or waits for a device, and nothing is counted while gradients are computed,
when checkpointing repeats a part of the forward pass.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from threading import get_ident
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from rectified.health.history import History
from rectified.health.record import Run
from rectified.torch.by_hand import JOINED, UNKNOWN, is_transformed, whole_of
from rectified.torch.calls import Origin
from rectified.torch.exported import decomposed_in, is_compiled, is_part, name_in_graph
from rectified.torch.function_mode import FunctionMode
from rectified.torch.functions import CLAMPS, LOSSES, activation_of, call_again, is_in_place, output_of, plain_name
from rectified.torch.graph import gradients_are_computed, next_node
from rectified.torch.hooks import Hooks
from rectified.torch.kinds import kind_of, unseen_in, unwrapped
from rectified.torch.losses import Losses, is_bound, note_of_bound
from rectified.torch.network import Network
from rectified.torch.networks import Networks
from rectified.torch.opaque import hides_activation, watch_opaque
from rectified.torch.origins import Origins
from rectified.torch.plan import Draft, Plan
from rectified.torch.schedule import Schedule
from rectified.torch.site import (
    Site,
    caller,
    caller_of_part,
    is_activation,
    is_in_constructor,
    is_in_function,
    method_of,
    place_of,
)
from rectified.torch.sites import Sites
from rectified.torch.together import Together
from rectified.torch.turns import Turns

_UNCOMPILED = (
    "PyTorch compiles nothing of {0}.compile(), and what ran there was not seen: torch.compile(module) compiles it"
)
_ANOTHER_CALL = (
    "its function or a parameter of that changed, and only the first one was counted, perhaps with some calls more"
)
_OTHER_AXES = "its units were on other axes later, and only those on the first ones were counted, perhaps with some others"
_OTHER_UNITS = "it got another number of units, which were counted as a layer of their own, perhaps but for one pass"
_NO_STEPS = "no step was seen, neither of an optimizer nor in the parameters, so all that was counted is one window"
_CHANGED = "some forward passes did what none before had done, and were counted in part"

_HELD, _MADE = object(), object()  # how activations by themselves are at a place: parts of a module, or new each time
_MOST_PROBES = 4  # forward passes of a network in a constructor


class Collector:
    """Sees every activation that runs between `start` and `stop`.

    Parameters
    ----------
    only : Module, optional
        The network to look at, and at parts of it that run by themselves; by default all that run.
    every : int
        Looks at one step of so many.
    run : Run, optional
        The record to fill. In one that has begun the steps are counted on.
    after_window : callable, optional
        Called whenever a window of steps is complete, after the record was brought up to date.
    """

    def __init__(
        self,
        only: nn.Module | None = None,
        *,
        every: int = 1,
        run: Run | None = None,
        after_window: Callable[[], None] | None = None,
    ) -> None:
        if only is not None and not isinstance(only, nn.Module):
            raise TypeError(f"a network is a torch.nn.Module, not of the type {type(only).__name__}")
        if every < 1:
            raise ValueError(f"every is 1 or more, not {every}")
        self.run = Run() if run is None else run
        self._after_window = after_window
        self._handles: list[Any] = []
        self._hooks: Hooks
        self._thread = get_ident()
        began = max((1 + history.windows[-1].steps[1] for history in self._histories()), default=0)
        self.schedule = Schedule(began, every)

        self._mode = FunctionMode(self)
        self._mode_is_on = self._wants_mode = False
        self._compiled_in: FrameType | None = None
        self._until_compiled_ends = ExitStack()
        self.is_tracking = True

        self._stack: list[nn.Module] = []
        self._before: list[nn.Module | None] = []  # for each of these, the module that ran last in it
        self._root: Network | None = None
        self._needs_mode = False
        self._draft: Draft | None = None
        self._plan: Plan | None = None
        self._heard: set[int] = set()  # by ``id``, the modules that its hooks have counted
        self._first_node = 0  # of autograd's graph that the pass may have made
        self._together = Together()
        self._turns = Turns()  # outside of these
        self._hears_steps = False
        self._owners: dict[int, tuple[weakref.ref[nn.Module], int]] = {}
        self._owned = 0
        self._met_late: set[Any] = set()  # outside of networks: whose activations, of which the first was not counted
        self._alone: dict[Any, weakref.ref[nn.Module] | object] = {}  # activations, by where they are called
        self._skipped: nn.Module | None = None
        self._hidden: nn.Module | None = None
        self._kinds: dict[type, str] = {}

        self.sites = Sites()
        self.last_calls: set[Any] = set()  # of what several calls are together
        self.follows_terms = self._needs_terms = False  # now, and outside of networks
        self.origins = Origins()
        self.networks = Networks(only, self.sites, self.schedule)
        self._losses = Losses(self.networks, self.origins, self.schedule, self.run)

    # ---- from start to stop ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look."""
        from rectified.torch.compiled import watch_compiler

        warnings.filterwarnings("ignore", r"Using `torch\.compile\(module\)` when there are global hooks")
        self._hooks = Hooks(self._enter, self._leave, self._hear)
        self._handles = [
            self._hooks,
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
            watch_compiler(self),
            *watch_opaque(self),
        ]
        self._switch(True)

    def stop(self) -> None:
        """Look no longer, and bring the record up to date."""
        self.leave()
        self.update()
        if self.schedule.lacks_steps and self.run.layers and any(root.turns.has_gradients for root in self.networks):
            self.run.note(_NO_STEPS)

    def leave(self) -> None:
        """Look no longer."""
        self._switch(False)
        while self._handles:
            self._handles.pop().remove()

    def update(self) -> Run:
        """The record, with all that was seen until now."""
        with torch._C.DisableTorchFunction():  # what the counters call is no part of the program
            self._together.hand_out()
            others_learn = any(site.has_gradients for site in self.sites)
            for site in self.sites:
                if site.compares_outputs and not (site.feeds_layer or site.is_part):
                    self._losses.leave(site)
                if site.is_part:
                    continue
                if site.is_outside:
                    if others_learn and site.is_idle:
                        self.run.note(_idle(site))
                        continue
                    self.run.take_back(_idle(site))
                if not site.axes:
                    self.run.note(_unknown(site))
                else:
                    self.run.take_back(_unknown(site))  # it was told later
                    site.write(self.run, self.schedule.steps)
        return self.run

    def _is_elsewhere(self) -> bool:
        """Whether this runs in another thread than that which is looked at; then a note says so."""
        is_elsewhere = get_ident() != self._thread
        if is_elsewhere:
            self.run.note("what ran in other threads than the first was not seen")
        return is_elsewhere

    def note_unseen(self, text: str, module: nn.Module | None = None) -> None:
        """The same of what runs now, if it is looked at: of a module that begins, or of a call."""
        is_wanted = self._root is not None or self.networks.looks_at(None if module is None else unwrapped(module))
        if is_wanted and self._skipped is None and not torch.compiler.is_compiling():
            self.run.note(text)

    def _switch(self, on: bool) -> None:
        self._wants_mode = on
        on = on and self._compiled_in is None
        if on is not self._mode_is_on and self._mode.switch(on):
            self._mode_is_on = on

    @contextmanager
    def aside(self) -> Iterator[None]:
        """See nothing for a while."""
        was_on = self._mode_is_on
        self._switch(False)
        try:
            with self._hooks.aside():
                yield
        finally:
            self._switch(was_on)

    # ---- steps -----------------------------------------------------------------------------------------------------------

    def _before_step(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_dynamo_compiling() or not self._mode_is_on:
            return
        has_closure = any(map(callable, (*args[1:], *kwargs.values())))
        if get_ident() == self._thread and not (has_closure and self.schedule.outside):
            self._switch(False)

    def _after_step(self, *_: Any) -> None:
        if torch.compiler.is_dynamo_compiling() or self._is_elsewhere():
            return
        self._hears_steps = True
        if self.schedule.has_run or not self.networks:  # several steps without a pass between are those of one optimizer
            self._end_step()
        else:
            self._switch(self.schedule.is_everywhere and self._hidden is None)

    def _look_for_step(self, networks: Iterable[Network]) -> None:
        """Know of a step where no optimizer tells of any: by hand, or in compiled code."""
        if self._hears_steps:
            return
        have_learned = [network.has_learned() for network in networks]  # each of them remembers what it has now
        if any(have_learned):
            self._end_step()

    def _end_step(self) -> None:
        if self._root is not None and self._plan is not None:
            self._root.forget_plans()  # an error has ended a pass, or the network itself makes steps in one
            self._end(None)
        for site in self.sites if self.schedule.is_first else ():
            site.forget_aside()
        is_complete = self.schedule.end_step()
        self.sites.begin_pass()
        if is_complete:
            self._close_window()
        self.is_tracking = self.schedule.is_new
        self._switch(self.schedule.is_everywhere and self._hidden is None)

    def _close_window(self) -> None:
        self.update()
        self.networks.list_parts_again()
        self.schedule.begin_window(self._histories())
        if self._after_window is not None:
            self._after_window()

    def _histories(self) -> Iterator[History]:
        return (history for layer in self.run.layers.values() for history in layer.histories.values())

    # ---- modules ---------------------------------------------------------------------------------------------------------

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        # While one thread compiles, is_compiling holds in all of them; what is traced sees only is_dynamo_compiling.
        if torch.compiler.is_dynamo_compiling() or self._is_elsewhere() or torch.compiler.is_compiling():
            return
        stack = self._stack
        if self._plan is not None and module is not stack[0]:
            self._push(module)
            return
        if self._skipped is not None and not self._mode_is_on:
            return
        if stack and module is stack[0]:  # an interrupt, which no hook hears of, left the stack as it was
            self._end(None)
        kind = self._kinds.get(type(module))
        if kind is None:
            kind = self._kinds[type(module)] = kind_of(module)
            for name in decomposed_in(module):  # a graph has a class of its own
                self.note_unseen(f"{name}: what was decomposed into other functions was not seen", module)
        if kind:
            self._special(kind, module)
        if kind in ("compiled", "wrapper", "threads", "script"):
            return
        if not stack:
            if self._is_made_for_a_call(module) if is_activation(module) else self.networks.is_but_a_function(module):
                return
            self.schedule.has_run = True
            if not self._begin(module):
                return
            self.origins.in_network = True
        self._push(module)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if torch.compiler.is_compiling() or get_ident() != self._thread:
            return
        stack, plan, is_last = self._stack, self._plan, False
        if plan is not None and len(stack) == 1 and stack[0] is module and id(module) not in plan.hooked:
            self._end(output)
            return
        if stack and (stack[-1] is module or module in stack):
            while stack.pop() is not module:
                pass
            del self._before[len(stack) :]
            is_last = not stack
            if is_activation(module) and output is not None:  # after an error it is tried again, perhaps
                key = self._key(module, len(stack) - 1)
                if not self._mode_is_on:
                    if plan is None or id(module) not in plan.found_later:
                        self._see_module(module, key, args, output)
                elif self._root is not None and key not in self.sites.modules:
                    self.sites.modules[key] = []  # its function is none that is counted
                    self._root.keys.append(key)
            if stack and self._root is not None and self._root.learns(module):
                self._before[-1] = module
        if is_last:
            self._end(output)
        if module is self._skipped:
            self._skipped = None
            self._hooks.on_all()
            self._switch(self.schedule.is_everywhere)
        if module is self._hidden:
            self._hidden = None
            self._switch(self.schedule.is_everywhere or (self._root is not None and self._needs_mode))

    def _hear(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Count an activation of which the graph does not keep enough, in a network whose pass is known."""
        if torch.compiler.is_compiling() or get_ident() != self._thread or self._plan is None:
            return
        _, site = self._plan.heard.get(id(module), (None, None))
        if site is not None and id(module) not in self._heard and args:
            self._heard.add(id(module))
            self._see(site, args[0], output, module.training)

    def _push(self, module: nn.Module) -> None:
        self._stack.append(module)
        self._before.append(None)

    def _key(self, module: nn.Module, place: int) -> tuple[int, int, int]:
        """By what a call of an activation is known: the module in which it runs, and the one that ran there before."""
        if place < 0 or self._root is None:
            return id(module), 0, 0
        outer = self._stack[place]
        return id(module), id(outer) if self._root.has(outer) else 0, id(self._before[place])

    def _begin(self, module: nn.Module) -> bool:
        """Whether to look at a network that begins to run."""
        if self._skipped is not None or gradients_are_computed():
            return False
        if not self.networks.looks_at(module):
            return False
        if self.schedule.begin_forward():
            self._close_window()
        root = self.networks.of(module)
        root.passes += 1
        self._look_for_step([root])
        if module.training and not root.has_trained and torch.is_grad_enabled():
            root.has_trained = True
            for site in self.sites if self.schedule.is_first else ():
                if root.holds(site):
                    site.set_aside()  # without gradients it was none before
        is_made = root.passes <= _MOST_PROBES and self.schedule.is_first and is_in_constructor()
        note = self.networks.note_of_many(root) if root.prefix is None else ""
        if note:
            self.run.note(note)
        if is_made or note or not self.schedule.counts(root.turns, training=module.training):
            self._skipped = module
            self._switch(bool(self.schedule.outside))
            if not self._mode_is_on:
                self._hooks.on_some(module)
            return False
        is_look = self.schedule.looks_at(root, training=module.training)
        self._root = root
        self.sites.begin_pass()
        self.is_tracking = is_look or self.schedule.is_new or root.tells_sources
        self.follows_terms = root.needs_terms
        has_graph = torch.is_grad_enabled() and not is_transformed()
        plan = root.plans[module.training] if has_graph else None
        root.was_blind |= plan is None and not self.is_tracking
        self._needs_mode = root.needs_mode and plan is None
        is_alone = self.schedule.is_everywhere and is_activation(module)
        self._switch((is_look or self._needs_mode or self.is_tracking or is_alone) and self._hidden is None)
        if not self._mode_is_on and self._hidden is None:
            self._plan = plan
            self._first_node = next_node()
            few = None if plan is None or id(module) in plan.hooked else plan.hooks_on()
            self._heard = set() if plan is None or few is not None else set(plan.heard)  # hooks on all hear of others, too
            if few is not None:
                self._hooks.on_some(module, few)
        elif self.is_tracking and has_graph and root.wants_plan:
            self._draft = Draft(module.training)
        if self.is_tracking:
            self.origins.tidy()
        return True

    def _is_made_for_a_call(self, module: nn.Module) -> bool:
        """Whether an activation by itself is gone after each call, as in ``nn.Sigmoid()(y)``: it is but a function."""
        frame = caller()
        place = frame.f_code, frame.f_lasti
        first = self._alone.get(place)
        if first is None:
            first = self._alone[place] = weakref.ref(module) if caller_of_part(module) is None else _HELD
        if isinstance(first, weakref.ref) and first() is None:
            first = self._alone[place] = _MADE
            owner = method_of(frame)
            for site in self.sites.move(place, self._number_of(owner)):
                site.count_as(_trains(owner))
        return first is _MADE

    def _end(self, output: Any) -> None:
        """Do what is left to do when a network has returned something; nothing after an error."""
        root, draft, plan = self._root, self._draft, self._plan
        self._draft = self._plan = self._root = None
        self.origins.in_network = False
        self._stack.clear()
        self._before.clear()
        self._hooks.on_all()
        if root is not None and output is not None:
            if plan is not None:
                self._see_saved(root, plan, output)
            elif draft is not None:
                root.learn(draft.plan(output), training=draft.training)
        self.is_tracking = self.schedule.is_new
        self.follows_terms = self._needs_terms
        self._switch(self.schedule.is_everywhere and self._hidden is None)

    def _special(self, kind: str, module: nn.Module) -> None:
        """Do what a module of some kind needs, and say what can not be seen in it."""
        path = self._root.path(module) if self._root else ""
        where = path or type(module).__name__
        if kind == "script":
            self.note_unseen(f"{where}: what runs in torch.jit was not seen", module)
        elif kind == "threads" and len(getattr(module, "device_ids", ())) > 1:
            self.note_unseen(f"{where}: what DataParallel runs in threads was not seen; DistributedDataParallel is", module)
        elif kind == "recurrent":
            unseen = unseen_in(module)
            if unseen:
                self.note_unseen(f"{where}: {unseen}", module)
        elif kind == "compiled":
            self._hide(module)
        elif kind in ("fused", "attention") and not module.training and not _needs_gradients(module):
            if kind == "fused" and self._hidden is None:
                self.note_unseen(
                    f"{where}: in eval mode without gradients it takes PyTorch's fused path, where nothing was seen", module
                )
            self._hide(module)

    def _hide(self, module: nn.Module) -> None:
        """Keep the mode off in a module that would compute in another way if it were on."""
        if self._hidden is None:
            self._hidden = module
            self._switch(False)

    # ---- activations -----------------------------------------------------------------------------------------------------

    def _see_module(self, module: nn.Module, key: tuple[int, int, int], args: tuple[Any, ...], output: Any) -> None:
        """Count an activation that is a module, where the mode is off."""
        sites = self.sites.modules.get(key)
        use = 0
        if sites:
            use = self.sites.use(key)
            if use < len(sites) and args:
                self._see(sites[use], args[0], output, module.training)
        is_new = sites is None or 0 < len(sites) <= use
        if is_new and self._root is not None and self._hidden is None:
            self._root.look_again()
            self.run.note(_CHANGED)

    def _see_saved(self, root: Network, plan: Plan, output: Any) -> None:
        """Count what the graph keeps of the activations of a network that returned something."""
        found = plan.found(output)
        if found is None or len(self._heard) < len(plan.heard):  # a module may have another in its place
            self._see_changed(root, plan, output)
            root.forget_plans()
            return
        self._together.see(found, self.schedule.step)
        for each in found:
            if each.first.site.is_unsure:
                self._ask(root, each.first.site)
        if self.schedule.measures(root.turns):
            for _, counters, nodes, _ in found:
                for counter, node in zip(counters, nodes, strict=True):
                    node.register_prehook(root.turns.hearing(counter.see_gradients))

    def _ask(self, root: Network | None, site: Site) -> None:
        """Look closely at the next passes, since the units of an activation may be on other axes than before."""
        site.is_unsure = False
        self.run.note(_CHANGED)
        if root is None:
            self.schedule.look_at_next_step()
        else:
            root.look_again()

    def _see_changed(self, root: Network, plan: Plan, output: Any) -> None:
        """Count what is known of a pass that did something else."""
        found, is_all = plan.known_in(output, self._first_node, root.frozen(), len(self._heard))
        for (site, module, saved, *_), batch in found:
            owner = module()
            counter = None if owner is None else site.counter(owner.training)
            if counter is not None:
                with torch.no_grad():
                    counter.see(batch, batch if saved.is_output else site.again(batch), self.schedule.step)
        if not is_all:
            self.run.note(_CHANGED)

    def observe(self, function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call of what may be an activation, and count it."""
        __tracebackhide__ = True
        x = args[0] if args else kwargs.get("input")
        if not isinstance(x, Tensor):
            return function(*args, **kwargs)
        self.schedule.has_run = True
        if not self._looks():
            return function(*args, **kwargs)
        module = self._owner()
        site = self._site(function, name, x, module, args, kwargs)
        if site is None:
            return (self.follow if self.is_tracking else self.observe_whole)(function, args, kwargs)
        terms = self.origins.terms_of(name, args, kwargs) if self.is_tracking or self.follows_terms else None
        if site.is_overwritten:
            x = x.detach().clone()
        result = function(*args, **kwargs)
        y = output_of(name, result)
        if terms is not None:
            self.origins.terms.see(function, name, terms, y, site)
        if self.is_tracking:
            self._see_axes(site, self.origins.of_result(name, args, kwargs, y), y)
            self._losses.see_use_of_logits(site, x)
        self._see_call(site, x, y, module)
        return result

    def _looks(self) -> bool:
        """Whether a call that is made now may be counted."""
        if self._skipped is not None or gradients_are_computed():
            return False
        if self._stack:
            return True
        number = None if torch.is_grad_enabled() else self.schedule.forwards
        return not (self.schedule.is_left_out(number) or self._is_of_others())

    def _see_axes(self, site: Site, origin: Origin, y: Tensor) -> None:
        """Know which axes of an output count the units."""
        if origin.axes:
            site.see_axes(origin.axes, y.shape, is_split=origin.is_split)
            if not site.lies_on(origin.axes, y.ndim):
                site.ended = site.ended or _OTHER_AXES
        site.layers_behind = origin.sources
        self.origins.remember(y, origin.activated(site))

    def _see_call(self, site: Site, x: Tensor, y: Tensor, module: nn.Module | None) -> None:
        """Count the inputs and outputs of a call in a module, and know how to see the next one."""
        owner = module if module is not None or not self._stack else self._stack[0]
        if owner is None or (module is None and is_activation(owner)):
            caller_of_it = method_of(caller())
            owner = owner if caller_of_it is None else caller_of_it
        if self._see(site, x, y, _trains(owner)) and self._draft is not None and owner is not None:
            self._draft.add(site, owner, x, y)

    def observe_whole(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call that may be the last of what several are together, and count that where it is known."""
        __tracebackhide__ = True
        name, terms = plain_name(function), self.origins.terms
        given = self.origins.terms_of(name, args, kwargs) if self.follows_terms else None
        result = function(*args, **kwargs)
        term = terms.see(function, name, given, result) if type(result) is Tensor else None
        if function in self.last_calls and self._looks():
            module = self._owner()
            key, known, *_ = self._place(module, function)
            use = 0 if module is None else self.sites.use(key)
            for site in known.get(key, [])[use : use + 1]:
                path = site.input_at
                x = args[path[0]] if len(path) == 1 else None if term is None else term.at(path)
                if x is not None:
                    self._see_call(site, x, result, module)
        return result

    def _see_whole(self, function: Any, y: Tensor) -> None:
        """Count what several calls are together, if the last of them has given `y`."""
        term = self.origins.terms.get(y)
        found = whole_of(term) if term is not None and y.is_floating_point() else None
        if found is None or not self._looks():
            return
        if not self._stack and not all(part.is_outside for part in found.parts):
            return  # what a network returned is its own, whatever a loss makes of it
        x = found.input.stands_for() if found.input is not None else None
        origin = self.origins.of(y)
        if term is None or found.input is None or x is None or x.shape != y.shape:
            for part in found.parts:
                part.is_part = True
                self.run.note(f"{part.name}: {JOINED}")
            if not found.parts and self._root is not None and origin is not None and origin.axes:
                frame = caller()
                self.run.note(f"{place_of(frame.f_code, frame.f_lineno)}: {UNKNOWN}")
        elif found.parts or (origin is not None and origin.axes):
            for part in found.parts:
                self.sites.drop(part)
            module = self._owner()
            site = self._site(function, found.function, x, module, (x,), found.parameters)
            if site is not None:
                site.is_overwritten, site.again, site.factor = False, found.again, found.factor
                site.input_at = term.path_to(found.input)
                site.is_whole = True
                self._see_axes(site, origin or Origin(), y)
                self.origins.terms.activate(y, site, found.input)
                self.last_calls |= {function, *term.functions_to(site.input_at)}
                if len(site.input_at) > 1:
                    self.follows_terms = True
                    self._needs_terms |= self._root is None
                    if self._root is not None:
                        self._root.needs_terms = True
                self._see_call(site, x, y, module)

    def _see(self, site: Site, x: Tensor, y: Tensor, training: bool) -> bool:
        """Count inputs and outputs. Whether that was possible."""
        counter = site.counter(training)
        if counter is None:
            site.is_late |= not site.axes
            return False
        if type(y) is not Tensor or y.is_meta or y.is_nested or y.layout is not torch.strided or is_transformed():
            self.run.note(f"{site.name}: what ran on tensors of another kind, or under torch.func or a trace, was not seen")
            return False
        if site.is_gated:
            counter.see(*site.gate(x), self.schedule.step)
        else:
            counter.see(x, y if site.factor == 1 else y.detach() / site.factor, self.schedule.step)
        if site.is_unsure:
            self._ask(self._root, site)
        site.may_learn |= torch.is_grad_enabled()
        turns = self._turns if self._root is None else self._root.turns
        if y.requires_grad and (self.schedule.measures(turns) or (site.is_outside and site.is_idle)):
            y.register_hook(turns.hearing(counter.see_gradient))  # type: ignore[no-untyped-call]
        return True

    def _is_of_others(self) -> bool:
        """Whether a call that no module makes while it runs is made by no method of the network's either."""
        return not self.networks.are_all and not self.networks.looks_at(method_of(caller()))

    def follow(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call of what is no activation, and know where its result comes from."""
        __tracebackhide__ = True
        if hides_activation(function) and not gradients_are_computed():
            self.note_unseen(f"what {plain_name(function)} computes beside other things was not seen")
        before = self.origins.terms.get(args[0]) if args else None
        result = self.origins.follow(function, args, kwargs)
        if plain_name(function) in LOSSES and args:
            self._losses.see_use_of_logits(plain_name(function), args[0])
            self._losses.see_softmax(plain_name(function), self.origins.of(args[0]))
        is_same = bool(args) and result is args[0] and self.origins.terms.get(result) is before
        if type(result) is Tensor and not is_same:
            self._see_whole(function, result)
            if result.ndim == 0 and args:
                self._losses.see_average(plain_name(function), args[0], self._root)
            elif args:
                self._losses.see_use(plain_name(function), *args)
        return result

    def _owner(self) -> nn.Module | None:
        """The innermost module that runs and is a part of a network; None for an activation by itself."""
        root, stack = self._root, self._stack
        if root is None or not stack or is_activation(stack[0]):
            return None
        return next(module for module in reversed(stack) if root.has(module))

    def _site(
        self, function: Any, name: str, x: Tensor, module: nn.Module | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Site | None:
        """The site of a call, a new one where it was not seen before; None for a call that is no activation."""
        key, known, outer, code, line = self._place(module, function)
        root, sources = self._root, frozenset[Any]()
        if root is not None and self.is_tracking:
            sources = root.own(self.origins.sources(x))
        if root is not None and root.tells_sources:
            key = root.told_by(key, sources)
        sites = known.setdefault(key, [])
        use = 0 if module is None else self.sites.use(key)
        if use < len(sites):
            site = sites[use]
            if site.is_constant:
                if root is None or self.origins.of(x) is None:
                    return None
                site.is_part = site.is_constant = False  # a state, which a layer gave by now
                root.add(key[:-1], site)
            if self.is_tracking and not site.is_of(name, args, kwargs):
                site.ended = site.ended or _ANOTHER_CALL
            if root is not None:
                site.ran_in = root.passes
                root.needs_mode |= site.needs_mode and not site.is_part
                if sources and site.sources.isdisjoint(sources):
                    if root.own(site.sources) and not root.tells_sources:
                        self.sites.tell_sources(root, sites, self.run.layers)
                        return self._site(function, name, x, module, args, kwargs)
                    if not site.has_units_of(x.shape):
                        site.ended = _OTHER_UNITS
                        sites.clear()
                        return self._site(function, name, x, module, args, kwargs)
                    site.sources = sources
            elif self.is_tracking:
                site.see_layers(self.origins.sources(x), self.schedule.step)
            return site
        activation = activation_of(name, args, kwargs)
        if activation is None or (name in CLAMPS and activation.name != "relu" and module is None):
            return None  # what is no layer has two bounds, too
        if not x.is_floating_point():
            if x.is_complex():
                self.note_unseen(f"{name}: what it did with complex numbers was not counted")
            return None
        if code is not None and (is_compiled(function, module, code) or is_part(module, code, line)):
            return None  # the first counts for itself
        if not self.is_tracking:  # look where the units are the next time
            self.schedule.look_at_next_step()
            if root is not None:
                root.look_again()
                self.run.note(_CHANGED)
                return None
            self._met_late.add(key[0] or key[1])
        behind = self.origins.of(x)
        passed = frozenset() if behind is None else behind.passed
        same = None
        if behind is not None and sources:
            fitting = (site for site in sites if site.sources == sources and site.lies_on(behind.axes, x.ndim))
            same = next((site for site in fitting if site not in passed), None)
        if same is not None:  # as in a loop over time, where the same units get one input after another
            sites.append(same)
            return same
        if root is not None:
            root.keys.append(key)
            again = root.ran_before(key[:-1], sources)
            if again is not None:
                sites.append(again)
                return again
        network, is_alone = None if root is None else root.module(), module is None and bool(self._stack)
        holder = caller_of_part(self._stack[0]) if is_alone else method_of(caller()) if network is None else network
        place = id(self._stack[0]) if is_alone else id(module) if code is None else key[1:3]
        is_outside = network is None or is_alone or next(network.parameters(), None) is None
        layers = frozenset() if behind is None or holder is None else behind.sources
        known_there = self.sites.elsewhere(place, network, activation, layers)
        if known_there is not None and known_there not in passed:
            site = known_there
        else:
            path = self.networks.path(module, root, outer)
            if is_alone and holder is not None:
                path = self.networks.path(self._stack[0], self.networks.of(holder))
            elif code is not None:
                exported = name_in_graph(module, code, line)
                if exported is None:
                    path = f"{path}: {place_of(code, line)}" if path else place_of(code, line)
                else:
                    path = f"{path}.{exported}".strip(".")
            if root is not None and root.tells_sources:
                path += root.behind(sources)
            site = self.sites.claim(path, name, args, kwargs)
            site.sources = sources
            site.is_outside = is_outside
            site.is_late = root is None and (key[0] or key[1]) in self._met_late
            site.has_own_gradient = not torch.is_grad_enabled() and is_in_function()
            site.again = call_again(function, args, kwargs)
            is_marked = bool(kwargs.get("inplace")) or kwargs.get("out") is not None or any(each is True for each in args)
            overwrites = is_marked or is_in_place(function)
            site.is_overwritten = overwrites and not site.slopes.idempotent
            site.needs_mode = code is not None or site.is_overwritten or not args
            if holder is not None:
                self.sites.know(place, network, holder, layers, site)
        site.is_outside &= is_outside
        sites.append(site)
        term = self.origins.terms.get(x)
        owner = x if x._base is None else x._base
        if isinstance(owner, nn.Parameter) or (term is not None and term.is_learned):
            self.sites.drop(site)
        elif root is not None and behind is None and root.has_buffer(owner):
            site.is_part = site.is_constant = True
            return None
        elif name in CLAMPS and (is_bound(term, behind, activation) or (site.is_outside and self._losses.is_computed(x))):
            site.is_part = True
            self.run.note(note_of_bound(site))
        elif module is None:
            site.compares_outputs = self._losses.compares(site, x)
            self.schedule.outside.add(site)
            self.schedule.is_everywhere = True
        elif root is not None:
            root.needs_mode |= site.needs_mode
            root.add(key[:-1], site)
        return site

    def _place(
        self, module: nn.Module | None, function: Any
    ) -> tuple[Any, dict[Any, list[Site]], nn.Module | None, Any, int]:
        """By what a call is known, and among which; the module that calls its own; and the code, with the line."""
        stack, place = self._stack, len(self._stack) - 1
        while module is not None and stack[place] is not module:
            place -= 1
        if module is not None and is_activation(module):
            return self._key(module, place - 1), self.sites.modules, stack[place - 1], None, 0
        frame = caller()
        inside = module if module is not None or not stack else stack[0]
        owner = self._number_of(method_of(frame)) if inside is None else id(inside)
        outer = stack[place - 1] if module is not None and place > 0 else None
        outer = outer if self._root is not None and outer is not None and self._root.has(outer) else None
        key = owner, frame.f_code, frame.f_lasti, function, id(outer), id(self._before[place]) if stack else 0
        return key, self.sites.calls, outer, frame.f_code, frame.f_lineno

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

    # ---- compiled code ---------------------------------------------------------------------------------------------------

    def run_compiled(self, caller: FrameType, *, begins: bool) -> None:
        """See nothing while compiled code runs, which would be compiled again whenever the mode or a hook came or went.

        Parameters
        ----------
        caller : FrameType
            What runs it, from its beginning to its end.
        begins : bool
            Whether it may begin.
        """
        if get_ident() != self._thread or self._compiled_in is not (None if begins else caller):
            return
        self._compiled_in = caller if begins else None
        self._switch(self._wants_mode)
        if begins:
            self.schedule.has_run = True
            self._look_for_step(self.networks)
            self._until_compiled_ends.enter_context(self._hooks.aside())
            module = getattr(caller.f_locals.get("fn"), "__self__", None)
            if isinstance(module, nn.Module) and type(module).__module__.startswith("torch.nn."):
                self.note_unseen(_UNCOMPILED.format(type(module).__name__), module)
        else:
            self._until_compiled_ends.close()

    @contextmanager
    def hears_threads(self) -> Iterator[None]:
        """Hear of modules again while a compiler runs, for others than this thread."""
        self._until_compiled_ends.close()
        try:
            yield
        finally:
            if self._compiled_in is not None:
                self._until_compiled_ends.enter_context(self._hooks.aside())

    def network_compiled(self, local: Any) -> Network | None:
        """The network whose code is compiled, given the object whose method that is; None for code of no network."""
        outer = self._stack[0] if self._stack else local if self._hidden is None else unwrapped(self._hidden)
        return self.networks.of(outer) if isinstance(outer, nn.Module) else None


def _unknown(site: Site) -> str:
    return f"{site.name}: nothing tells which axis of its input counts the units, so it was not counted"


def _trains(owner: nn.Module | None) -> bool:
    """Whether what a module runs is in training; what none runs is where gradients are enabled."""
    return torch.is_grad_enabled() if owner is None else owner.training


def _idle(site: Site) -> str:
    return f"{site.name}: no gradient comes to it, so nothing learns through it, and it was not counted"


def _needs_gradients(module: nn.Module) -> bool:
    return torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters())
