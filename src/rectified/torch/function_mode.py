"""Sees every call of PyTorch's functions, whatever modes of its own the program has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch._C import _len_torch_function_stack, _pop_torch_function_stack, _push_on_torch_function_stack
from torch.overrides import TorchFunctionMode

from rectified.torch.functions import FUNCTIONS

if TYPE_CHECKING:
    from rectified.torch.collect import Collector


class FunctionMode(TorchFunctionMode):
    """Hands all calls to the collector; what is compiled goes past it."""

    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self._collector = collector

    def switch(self, on: bool) -> bool:
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
        if name is not None:
            return self._collector.observe(func, name, args, kwargs or {})
        if self._collector.is_tracking:
            return self._collector.follow(func, args, kwargs or {})
        if func in self._collector.last_calls:
            return self._collector.observe_whole(func, args, kwargs or {})
        return func(*args, **kwargs) if kwargs else func(*args)
