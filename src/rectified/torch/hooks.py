"""Hooks on all modules, which most of them do without while it is known what a network does.

With hooks of any kind, even of others, a module takes a path that is slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import active_count
from typing import Any

from torch import nn
from torch.nn.modules.module import (
    _global_forward_hooks,
    _global_forward_pre_hooks,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

_ENOUGH = 64  # passes in which threads are heard of
_SELDOM = 8  # passes, after which it is seen whether there are new ones


class Hooks:
    """Hooks on all modules.

    Parameters
    ----------
    enter, leave : callable
        Called when a module begins, and when it ends, even with an error.
    hear : callable
        Called when one of a few has ended.
    """

    def __init__(self, enter: Callable[..., None], leave: Callable[..., None], hear: Callable[..., None]) -> None:
        self._enter, self._leave = enter, leave
        self._at_end, self._at_ends_inside = _Unsaved(leave), _Unsaved(hear)
        self._some: list[nn.Module] = []
        self._threads = self._passes = 0
        self._handles = register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)
        self._entering, self._leaving = (handle.id for handle in self._handles)

    def on_some(self, network: nn.Module, inside: Iterable[nn.Module] = ()) -> None:
        """Hear of few modules until a network ends; but of those that begin, maybe in another thread, where that is new."""
        if self._passes % _SELDOM == 0:
            threads = active_count()
            if threads != self._threads:
                self._threads, self._passes = threads, 0
        self._passes += 1
        if self._threads == 1 or self._passes > _ENOUGH:
            _global_forward_pre_hooks.pop(self._entering, None)
        _global_forward_hooks.pop(self._leaving, None)
        self._some = [network, *inside]
        for module in self._some:
            module._forward_hooks[self._leaving] = self._at_end if module is network else self._at_ends_inside

    def on_all(self) -> None:
        """Hear of every module again."""
        if self._some:
            _global_forward_pre_hooks[self._entering], _global_forward_hooks[self._leaving] = self._enter, self._leave
            for module in self._some:
                module._forward_hooks.pop(self._leaving, None)
            self._some = []

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Hear of nothing for a while."""
        hooks = [(_global_forward_pre_hooks, self._entering), (_global_forward_hooks, self._leaving)]
        put_aside = [(there, number, there.pop(number)) for there, number in hooks if number in there]
        try:
            yield
        finally:
            for there, number, hook in put_aside:
                there[number] = hook

    def remove(self) -> None:
        """Hear of nothing any more."""
        self.on_all()
        for handle in self._handles:
            handle.remove()


class _Unsaved(partial[None]):
    """A hook of a module that is not saved with it: a copy does nothing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")
