"""Sees the activations of a network while it runs: hooks on all modules, and a function mode for what is no module.

The mode sees every call of PyTorch's functions, and so costs more than the hooks. At first it is on everywhere, to find the
activations and the axes of their units. Afterwards neither is needed in a pass whose graph keeps what all its activations
did: that is fetched when the network has returned. Where the graph keeps less, hooks see activations that are modules, and
the mode stays on for others: what small ones got and gave is kept until then, too, and the graph tells which these were.
From time to time the mode comes back to look whether all is still so.

Nothing here changes a tensor of the network or waits for a device, and nothing is counted while gradients are computed,
when checkpointing repeats a part of the forward pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import get_ident
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from rectified.health.history import History
from rectified.health.record import Run
from rectified.torch.by_hand import is_transformed
from rectified.torch.draft import Draft
from rectified.torch.exported import decomposed_in
from rectified.torch.function_mode import FunctionMode
from rectified.torch.graph import gradients_are_computed, next_node
from rectified.torch.hooks import Hooks
from rectified.torch.kept import Calls, Kept
from rectified.torch.kinds import FUSED, computes_otherwise, kind_of, unseen_in, unwrapped
from rectified.torch.lookup import Lookup
from rectified.torch.losses import Losses
from rectified.torch.network import CHANGED, Network
from rectified.torch.networks import Networks
from rectified.torch.observer import Observer
from rectified.torch.opaque import watch_opaque
from rectified.torch.origins import Origins
from rectified.torch.plan import Plan
from rectified.torch.running import Running
from rectified.torch.schedule import Schedule
from rectified.torch.site import Site, is_activation, is_in_constructor
from rectified.torch.sites import Sites
from rectified.torch.together import Together

_UNCOMPILED = (
    "PyTorch compiles nothing of {0}.compile(), and what ran there was not seen: torch.compile(module) compiles it"
)
_NO_STEPS = "no step was seen, neither of an optimizer nor in the parameters, so all that was counted is one window"
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

        self.sites, self.origins = Sites(), Origins()
        self.networks = Networks(only, self.sites, self.schedule, self.run)
        self.running = running = Running(self.networks, self.run)
        self._losses = Losses(self.networks, self.origins, self.schedule, self.run)
        self._lookup = Lookup(running, self.sites, self.origins, self._losses, self.schedule)
        self._observer = Observer(running, self._lookup, self.sites, self.origins, self._losses, self.schedule)
        self._mode = FunctionMode(self._observer, running)
        self._together = Together()

        self._needs_mode = False  # in this pass
        self._plan: Plan | None = None
        self._heard: dict[int, Kept | None] = {}  # by ``id``, its modules that were counted, or else what they did
        self._first_node = 0  # of autograd's graph that the pass may have made
        self._hidden: nn.Module | None = None  # a module that would compute in another way if the mode were on
        self._kinds: dict[type, str] = {}
        self._hears_steps = False
        self._compiled_in: FrameType | None = None
        self._until_compiled_ends = ExitStack()

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
        self._mode.switch(True)

    def stop(self) -> None:
        """Look no longer, and bring the record up to date."""
        self.leave()
        self.update()
        learns = any(network.turns.has_gradients for network in self.networks) or any(
            site.is_outside and site.has_gradients for site in self.sites
        )
        if self.schedule.lacks_steps and self.run.layers and learns:
            self.run.note(_NO_STEPS)

    def leave(self) -> None:
        """Look no longer."""
        self._mode.switch(False)
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

    @contextmanager
    def aside(self) -> Iterator[None]:
        """See nothing for a while."""
        was_on = self._mode.is_on
        self._mode.switch(False)
        try:
            with self._hooks.aside():
                yield
        finally:
            self._mode.switch(was_on)

    # ---- a network runs --------------------------------------------------------------------------------------------------

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        # While one thread compiles, is_compiling holds in all of them; what is traced sees only is_dynamo_compiling.
        if torch.compiler.is_dynamo_compiling() or self._is_elsewhere() or torch.compiler.is_compiling():
            return
        running, stack = self.running, self.running.stack
        if self._plan is not None and module is not stack[0]:
            running.push(module)
            return
        if running.skipped is not None and not self._mode.is_on:
            return
        if stack and module is stack[0]:  # an interrupt, which no hook hears of, left the stack as it was
            self._end(None)
        kind = self._kinds.get(type(module))
        if kind is None:
            kind = self._kinds[type(module)] = kind_of(module)
            for name in decomposed_in(module):  # a graph has a class of its own
                running.note_unseen(f"{name}: what was decomposed into other functions was not seen", module)
        if kind:
            self._special(kind, module)
        if kind in ("compiled", "wrapper", "threads", "script"):
            return
        if not stack:
            is_no_network = self._lookup.is_made_for_a_call if is_activation(module) else self.networks.is_but_a_function
            if is_no_network(module):
                return
            self.schedule.has_run = True
            if not self._begin(module):
                return
            self.origins.in_network = True
        running.push(module)

    def _special(self, kind: str, module: nn.Module) -> None:
        """Say what can not be seen in a module of some kind, and keep the mode off where that would compute otherwise."""
        network, unseen = self.running.network, unseen_in(module, kind)
        where = (network.path(module) if network is not None else "") or type(module).__name__
        if unseen:
            self.running.note_unseen(f"{where}: {unseen}", module)
        if self._hidden is None and computes_otherwise(module, kind):
            if kind == "fused":
                self.running.note_unseen(f"{where}: {FUSED}", module)
            self._hidden = module
            self._mode.switch(False)
            if self.running.draft is not None:
                self.running.draft.hides = True

    def _begin(self, module: nn.Module) -> bool:
        """Whether to look at a network that begins to run."""
        running, schedule = self.running, self.schedule
        if running.skipped is not None or gradients_are_computed() or not self.networks.looks_at(module):
            return False
        if schedule.begin_forward():
            self._close_window()
        network = self.networks.of(module)
        network.passes += 1
        self._look_for_step([network])
        if module.training and not network.has_trained and torch.is_grad_enabled():
            self._begin_training(network)
        is_made = network.passes <= _MOST_PROBES and schedule.is_first and is_in_constructor()
        is_one_of_many = network.prefix is None and self.networks.are_many_like(network)
        if is_made or is_one_of_many or not schedule.counts(network.turns, training=module.training):
            self._skip(module)
            return False
        is_look = schedule.looks_at(network, training=module.training)
        running.network = network
        self.sites.begin_pass()
        running.is_tracking = is_look or schedule.is_new or network.tells_sources
        running.follows_terms = network.needs_terms
        has_graph = torch.is_grad_enabled() and not is_transformed()
        plan = network.plans[module.training] if has_graph else None
        network.was_blind |= plan is None and not running.is_tracking
        self._needs_mode = network.needs_mode and plan is None
        is_close = is_look or running.is_tracking or (schedule.is_everywhere and is_activation(module))
        calls = Calls(plan.calls) if plan is not None and plan.calls and not is_close else None
        self._mode.switch((is_close or self._needs_mode or calls is not None) and self._hidden is None)
        if self._mode.is_on is (calls is not None) and self._hidden is None:
            self._plan, running.calls = plan, calls
            self._first_node = next_node()
            few = None if plan is None or id(module) in plan.hooked else plan.hooks_on()
            if few is not None:
                self._hooks.on_some(module, few)
            elif plan is not None:
                self._heard = dict.fromkeys(plan.heard)  # hooks on all hear of others, too
        elif running.is_tracking and has_graph and network.wants_plan:
            running.draft = Draft(module)
        if running.is_tracking:
            self.origins.tidy()
        return True

    def _begin_training(self, network: Network) -> None:
        """Set apart what was counted before in training mode without gradients, which was none if a step follows."""
        network.has_trained = True
        for site in self.sites if self.schedule.is_first else ():
            if network.holds(site):
                site.set_aside()

    def _skip(self, module: nn.Module) -> None:
        """Do not look at a network that begins."""
        self.running.skipped = module
        self._mode.switch(bool(self.schedule.outside))
        if not self._mode.is_on:
            self._hooks.on_some(module)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if torch.compiler.is_compiling() or get_ident() != self._thread:
            return
        running, plan, is_last = self.running, self._plan, False
        stack = running.stack
        if plan is not None and len(stack) == 1 and stack[0] is module and id(module) not in plan.hooked:
            self._end(output)
            return
        if stack and (stack[-1] is module or module in stack):
            while stack.pop() is not module:
                pass
            del running.before[len(stack) :]
            is_last = not stack
            if is_activation(module) and output is not None:  # after an error it is tried again, perhaps
                key = running.key(module, len(stack) - 1)
                if not self._mode.is_on:
                    if plan is None or id(module) not in plan.found_later:
                        self._see_module(module, key, args, output)
                elif running.network is not None and key not in self.sites.modules:
                    self.sites.modules[key] = []  # its function is none that is counted
                    running.network.keys.append(key)
            if stack and running.network is not None and running.network.learns(module):
                running.before[-1] = module
        if is_last:
            self._end(output)
        if module is running.skipped:
            running.skipped = None
            self._hooks.on_all()
            self._mode.switch(self.schedule.is_everywhere)
        if module is self._hidden:
            self._hidden = None
            self._mode.switch(self.schedule.is_everywhere or (running.network is not None and self._needs_mode))

    def _see_module(self, module: nn.Module, key: tuple[int, int, int], args: tuple[Any, ...], output: Any) -> None:
        """Count an activation that is a module, where the mode is off."""
        sites = self.sites.modules.get(key)
        use = 0
        if sites:
            use = self.sites.use(key)
            if use < len(sites) and args:
                self._observer.see(sites[use], args[0], output, module.training)
        network, is_new = self.running.network, sites is None or 0 < len(sites) <= use
        if is_new and network is not None and self._hidden is None:
            network.look_again()
            self.run.note(CHANGED)

    def _hear(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Count an activation of which the graph does not keep enough, in a network whose pass is known."""
        if torch.compiler.is_compiling() or get_ident() != self._thread or self._plan is None:
            return
        heard = self._plan.heard.get(id(module))
        if heard is not None and id(module) not in self._heard and args:
            kept = Kept.of(args[0], output) if heard.stays else None
            self._heard[id(module)] = kept = kept if kept is not None and kept.is_small else None
            if kept is None:
                self._observer.see(heard.site, args[0], output, module.training)

    def _end(self, output: Any) -> None:
        """Do what is left to do when a network has returned something; nothing after an error."""
        running, plan = self.running, self._plan
        network, draft, calls = running.network, running.draft, running.calls
        running.network = running.draft = running.calls = self._plan = None
        self.origins.in_network = False
        running.stack.clear()
        running.before.clear()
        self._hooks.on_all()
        if network is not None and output is not None:
            if plan is not None:
                self._see_saved(network, plan, output, calls)
            elif draft is not None:
                network.learn(draft.plan(output), training=draft.training)
        self._heard = {}
        running.is_tracking = self.schedule.is_new
        running.follows_terms = running.needs_terms
        self._mode.switch(self.schedule.is_everywhere and self._hidden is None)

    def _see_saved(self, network: Network, plan: Plan, output: Any, calls: Calls | None) -> None:
        """Count what the graph, hooks and the mode keep of the activations of a network that returned something."""
        kept: Mapping[Any, Kept | None] = self._heard if calls is None else calls.kept
        are_all = len(kept) == len(plan.heard) if calls is None else calls.are_all
        found = plan.found(output, kept) if are_all else None  # a module may have another in its place
        if found is None:
            self._see_changed(network, plan, output, kept)
            network.forget_plans()
            return
        if calls is not None and not calls.are_small:
            network.forget_plans()
        self._together.see(found, self.schedule.step)
        for each in found:
            if each.first.site.is_unsure:
                self._observer.look_again(network, each.first.site)
        if self.schedule.measures(network.turns):
            for each in found:
                for counter, node in zip(each.counters, each.nodes, strict=True):
                    node.register_prehook(network.turns.hearing(counter.see_gradients))

    def _see_changed(self, network: Network, plan: Plan, output: Any, kept: Mapping[Any, Kept | None]) -> None:
        """Count what is known of a pass that did something else."""
        module = network.module()
        assert module is not None  # it runs
        found, is_all = plan.known_in(output, module, self._first_node, network.frozen(), kept)
        for (site, owned_by, _), x, y in found:
            owner = owned_by()
            counter = None if owner is None else site.counter(owner.training)
            is_all &= counter is not None
            if counter is not None:
                with torch.no_grad():
                    counter.see(x, site.again(x) if y is None else y, self.schedule.step)
        if not is_all or network.has_wholes:
            self.run.note(CHANGED)

    # ---- steps and windows -----------------------------------------------------------------------------------------------

    def _before_step(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_dynamo_compiling() or not self._mode.is_on:
            return
        has_closure = any(map(callable, (*args[1:], *kwargs.values())))
        if get_ident() == self._thread and not (has_closure and self.schedule.outside):
            self._mode.switch(False)

    def _after_step(self, *_: Any) -> None:
        if torch.compiler.is_dynamo_compiling() or self._is_elsewhere():
            return
        self._hears_steps = True
        if self.schedule.has_run or not self.networks:  # several steps without a pass between are those of one optimizer
            self._end_step()
        else:
            self._mode.switch(self.schedule.is_everywhere and self._hidden is None)

    def _look_for_step(self, networks: Iterable[Network]) -> None:
        """Know of a step where no optimizer tells of any: by hand, or in compiled code."""
        if self._hears_steps:
            return
        have_learned = [network.has_learned() for network in networks]  # each of them remembers what it has now
        if any(have_learned):
            self._end_step()

    def _end_step(self) -> None:
        if self.running.network is not None and self._plan is not None:
            self.running.network.forget_plans()  # an error has ended a pass, or the network itself makes steps in one
            self._end(None)
        for site in self.sites if self.schedule.is_first else ():
            site.forget_aside()
        is_complete = self.schedule.end_step()
        self.sites.begin_pass()
        if is_complete:
            self._close_window()
        self.running.is_tracking = self.schedule.is_new
        self._mode.switch(self.schedule.is_everywhere and self._hidden is None)

    def _close_window(self) -> None:
        self.update()
        self.networks.list_parts_again()
        self.schedule.begin_window(self._histories())
        if self._after_window is not None:
            self._after_window()

    def _histories(self) -> Iterator[History]:
        return (history for layer in self.run.layers.values() for history in layer.histories.values())

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
        self._mode.bar(begins)
        if begins:
            self.schedule.has_run = True
            self._look_for_step(self.networks)
            self._until_compiled_ends.enter_context(self._hooks.aside())
            module = getattr(caller.f_locals.get("fn"), "__self__", None)
            if isinstance(module, nn.Module) and type(module).__module__.startswith("torch.nn."):
                self.running.note_unseen(_UNCOMPILED.format(type(module).__name__), module)
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
        outer = self.running.stack[0] if self.running.stack else local if self._hidden is None else unwrapped(self._hidden)
        return self.networks.of(outer) if isinstance(outer, nn.Module) else None


def _unknown(site: Site) -> str:
    return f"{site.name}: nothing tells which axis of its input counts the units, so it was not counted"


def _idle(site: Site) -> str:
    return f"{site.name}: no gradient comes to it, so nothing learns through it, and it was not counted"
