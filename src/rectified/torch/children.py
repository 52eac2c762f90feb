"""Processes that a program starts with Python's multiprocessing, or PyTorch's, and what each of them does besides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing import spawn
from multiprocessing.process import BaseProcess
from typing import Any

Enter = Callable[[str], AbstractContextManager[None]]

_enter: Enter | None = None  # what holds in this process


def enter_in_children(enter: Enter) -> None:
    """Have each process that this one starts run in a context that `enter` makes of its name, ``1``, or ``1-2`` in that.

    `enter` is pickled for those that are no forks. Workers that load data have an empty name.
    """
    global _enter
    if _enter is None:
        BaseProcess._bootstrap = _in_context(BaseProcess._bootstrap)  # type: ignore[attr-defined]
        spawn.get_preparation_data = _with_luggage(spawn.get_preparation_data)  # type: ignore[assignment]
    _enter = enter


def _in_context(run: Callable[..., int]) -> Callable[..., int]:
    def run_in_context(process: Any, *args: Any, **kwargs: Any) -> int:
        loads_data = str(getattr(process._target, "__module__", "")).startswith("torch.utils.data.")
        with _enter("" if loads_data else "-".join(map(str, process._identity))):  # type: ignore[misc]
            return run(process, *args, **kwargs)

    return run_in_context


def _with_luggage(prepare: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """What a process that is no fork gets first; it unpacks it, and looks only at what it knows."""
    return lambda name: prepare(name) | {"rectified": _Luggage(_enter)}


class _Luggage:
    def __init__(self, enter: Enter | None) -> None:
        self._enter = enter

    def __reduce__(self) -> tuple[Any, ...]:
        return enter_in_children, (self._enter,)
