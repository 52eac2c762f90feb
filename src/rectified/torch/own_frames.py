"""Errors and warnings of a program as they would be if nothing had looked at its networks: without frames of ours.

These belong to functions that make calls of the program. Each says so by ``__tracebackhide__``, as it would to pytest. What
else is ours counts, and an error in it is one of this library.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

_HERE = str(Path(__file__).parent)
_WITH_HOOKS = "Module._call_impl.<locals>.inner"


def without_own_frames(error: BaseException) -> BaseException:
    """The same error. The frames of the collector are gone from its traceback, and from those of the errors behind it.

    With them go the frames of PyTorch that would not be there either: those by which a function calls a mode, and those by
    which a module calls hooks.
    """
    waiting: list[BaseException | None] = [error]
    seen = set()
    while waiting:
        found = waiting.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            found.__traceback__ = _cleaned(found.__traceback__)
            waiting += [found.__cause__, found.__context__]
            waiting += found.exceptions if isinstance(found, BaseExceptionGroup) else ()
    return error


def show_warnings_in_place() -> None:
    """Let a warning that names a line of the collector, which made the call, name the line of the program."""
    show = warnings.showwarning

    def show_in_place(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
        frame: FrameType | None = sys._getframe(1) if filename.startswith(_HERE) else None
        while frame is not None and not _passes_on(frame.f_code):
            frame = frame.f_back
        if frame is None:
            show(message, category, filename, lineno, file, line)
            return
        while frame.f_back is not None and _passes_on(frame.f_code):
            frame.f_globals.get("__warningregistry__", {}).clear()  # where a warning is known that was shown here once
            frame = frame.f_back
        if frame.f_code.co_name == "handle_torch_function" and frame.f_back is not None and frame.f_back.f_back is not None:
            frame = frame.f_back.f_back
        names = frame.f_globals
        registry = names.setdefault("__warningregistry__", {})
        warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, names.get("__name__"), registry)

    warnings.showwarning = show_in_place


def _cleaned(trace: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    for entry in _entries(trace):
        code = entry.tb_frame.f_code
        if _passes_on(code):
            while kept and kept[-1].tb_frame.f_code.co_filename.startswith("<frozen importlib"):
                kept.pop()
            if kept and kept[-1].tb_frame.f_code.co_name == "handle_torch_function":
                del kept[-2:]  # and the function that looked for a mode, which comes again
        elif code.co_qualname == _WITH_HOOKS and kept and not _has_hooks(entry.tb_frame.f_locals["self"]):
            kept[-1] = _without_hooks(kept[-1])
        else:
            kept.append(entry)
    trace = None
    for entry in reversed(kept):
        trace = TracebackType(trace, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return trace


def _passes_on(code: CodeType) -> bool:
    """Whether a function of ours makes calls of the program."""
    return "__tracebackhide__" in code.co_varnames and code.co_filename.startswith(_HERE)


def _entries(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _has_hooks(module: object) -> bool:
    """Whether a module calls hooks of the program."""
    everywhere = vars(sys.modules["torch.nn.modules.module"])
    names = [f"_{direction}{moment}_hooks" for direction in ("forward", "backward") for moment in ("", "_pre")]
    return any(vars(module).get(name) or everywhere.get(f"_global{name}") for name in names)


def _without_hooks(entry: TracebackType) -> TracebackType:
    """The entry of a module's call, at the line where PyTorch calls what has no hooks."""
    from torch import nn

    try:
        nn.Module()()
    except NotImplementedError as error:
        for found in _entries(error.__traceback__):
            if found.tb_frame.f_code is entry.tb_frame.f_code:
                return TracebackType(None, entry.tb_frame, found.tb_lasti, found.tb_lineno)
    return entry
