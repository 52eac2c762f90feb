"""Sees every call of PyTorch's functions, whatever modes of its own the program has."""

from __future__ import annotations

from typing import Any

import torch
from torch._C import _len_torch_function_stack, _pop_torch_function_stack, _push_on_torch_function_stack
from torch.overrides import TorchFunctionMode

from rectified.torch.functions import FUNCTIONS
from rectified.torch.observer import Observer
from rectified.torch.running import Running


class FunctionMode(TorchFunctionMode):
    """Hands all calls to an observer; what is compiled goes past it.

    Attributes
    ----------
    is_on : bool
        Whether it gets them.
    """

    def __init__(self, observer: Observer, running: Running) -> None:
        super().__init__()
        self._observer, self._running = observer, running
        self.is_on = self._is_wanted = self._is_barred = False

    def switch(self, on: bool) -> None:
        """Begin or end, as soon as it is not barred."""
        self._is_wanted = on
        on = on and not self._is_barred
        if on is not self.is_on and self._put(on):
            self.is_on = on

    def bar(self, is_barred: bool) -> None:
        """Be off for a while, or as before."""
        self._is_barred = is_barred
        self.switch(self._is_wanted)

    def _put(self, on: bool) -> bool:
        """Begin or end, whatever modes of its own the program has begun meanwhile: they stay, on top, where they end.

        Whether that was possible: inside of a call that it handles, the mode is put aside, and comes back afterwards.
        """
        modes = [_pop_torch_function_stack() for _ in range(_len_torch_function_stack())]
        found = self in modes
        if found:
            modes.remove(self)
        if on:  # PyTorch looks for the mode of a default device below all others
            default = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
            modes.insert(len(modes) - (default in modes), self)
        for mode in reversed(modes):
            _push_on_torch_function_stack(mode)
        return on or found

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        __tracebackhide__ = True
        if torch.compiler.is_compiling():
            return func(*args, **(kwargs or {}))
        name = FUNCTIONS.get(func)
        if self._running.calls is not None:
            return self._observer.keep(func, name, args, kwargs or {})
        if name is not None:
            return self._observer.observe(func, name, args, kwargs or {})
        if self._running.is_tracking:
            return self._observer.follow(func, args, kwargs or {})
        if func in self._observer.last_calls:
            return self._observer.observe_whole(func, args, kwargs or {})
        return func(*args, **kwargs) if kwargs else func(*args)
