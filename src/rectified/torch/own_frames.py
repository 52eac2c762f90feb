"""Errors and warnings of a program as they would be if nothing had looked at its networks: without frames of ours.

These belong to functions that make calls of the program. Each says so by ``__tracebackhide__``, as it would to pytest. What
else is ours counts, and an error in it is one of this library.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
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
    """Let a warning that names another line since the collector made calls name the line that it names without."""
    show = warnings.showwarning
    is_moved = False

    def show_in_place(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
        nonlocal is_moved
        named, place = (None, None) if is_moved else _places(sys._getframe(1), filename, lineno)
        if named is None or place is None:
            show(message, category, filename, lineno, file, line)
            return
        named.f_globals.get("__warningregistry__", {}).pop((str(message), category, lineno), None)  # it is not shown there
        frame, lineno = place
        names = frame.f_globals
        registry = names.setdefault("__warningregistry__", {})
        is_moved = True
        try:
            warnings.warn_explicit(message, category, frame.f_code.co_filename, lineno, names.get("__name__"), registry)
        finally:
            is_moved = False

    warnings.showwarning = show_in_place


def _places(frame: FrameType | None, filename: str, lineno: int) -> tuple[FrameType | None, tuple[FrameType, int] | None]:
    """The frame that a warning names, and which it would name without frames of ours, if that is another."""
    while frame is not None and frame.f_code.co_filename == warnings.__file__:
        frame = frame.f_back
    names = []
    while frame is not None:
        names.append(frame)
        frame = frame.f_back
    level = next(
        (at for at, each in enumerate(names) if (each.f_code.co_filename, each.f_lineno) == (filename, lineno)), None
    )
    if level is None:
        return None, None
    kept = list(_without_own(names))
    place = kept[level] if level < len(kept) else None
    return names[level], None if place is None or place[0] is names[level] else place


def _without_own(frames: Sequence[FrameType]) -> Iterator[tuple[FrameType, int]]:
    """Frames from the last one, as they would be without those of ours, and their lines."""
    after: CodeType | None = None
    left_out = 0
    for frame in frames:
        code = frame.f_code
        if left_out:
            left_out -= 1
        elif _passes_on(code):
            after = code
            continue
        elif after is not None and code.co_name == "handle_torch_function":
            left_out = 1  # the function that looked for a mode, which came again
        elif not (code.co_qualname == _WITH_HOOKS and not _has_hooks(frame.f_locals["self"])):
            yield frame, frame.f_lineno
        after = None


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
    held = [each for name in names for each in (vars(module).get(name), everywhere.get(f"_global{name}")) if each]
    return not all(_is_own(hook) for hooks in held for hook in hooks.values())


def _is_own(hook: object) -> bool:
    return str(getattr(getattr(hook, "func", hook), "__module__", "")).startswith(f"{__package__}.")


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
