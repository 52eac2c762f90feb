"""An error's traceback as it would be if nothing had looked at the program's networks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_OWN = {str(Path(__file__).with_name(f"{name}.py")) for name in ("run", "imports", "collect", "origins", "compiled")}
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


def _cleaned(trace: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    for entry in _entries(trace):
        code = entry.tb_frame.f_code
        if code.co_filename in _OWN:
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
