"""Notices calls of what computes where nothing can be seen, so that the report can say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

import torch

from rectified.torch.functions import FUNCTIONS, NAMES, plain_name

if TYPE_CHECKING:
    from rectified.torch.collect import Collector

_LOADERS = (
    "AOTIModelPackageLoader",
    "AOTIModelContainerRunnerCpu",
    "AOTIModelContainerRunnerCuda",
)  # of what AOTInductor compiled
_OFTEN_OTHERS = {"clamp", "clamp_min", "clip", "threshold"}


class _Noticing:
    """Lets calls of a method be noticed until it is removed."""

    def __init__(self, owner: Any, method: str, notice: Callable[[Any], None]) -> None:
        self._owner, self._method = owner, method
        self._call = call = getattr(owner, method)

        @wraps(call)
        def noticed(self: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            notice(self)
            return call(self, *args, **kwargs)

        setattr(owner, method, noticed)

    def remove(self) -> None:
        setattr(self._owner, self._method, self._call)


def watch_opaque(collector: Collector) -> Iterator[_Noticing]:
    """Let a collector note what runs in torch.jit and in AOTInductor's code, until all of these are removed."""

    def notice_script(function: Any) -> None:
        collector.running.note_unseen(f"{function.name}: what runs in torch.jit was not seen")

    def notice_compiled(_: Any) -> None:
        collector.running.note_unseen("what AOTInductor compiled was not seen")

    yield _Noticing(torch._C.ScriptFunction, "__call__", notice_script)
    for name in _LOADERS:
        loader = getattr(torch._C._aoti, name, None)
        for method in ("run", "boxed_run"):
            if hasattr(loader, method):
                yield _Noticing(loader, method, notice_compiled)


@lru_cache(maxsize=1024)
def hides_activation(function: Any) -> bool:
    """Whether the name of a function says that it computes an activation beside other things.

    Examples
    --------
    >>> hides_activation(torch._addmm_activation), hides_activation(torch.ops.quantized.linear_relu)
    (True, True)
    >>> hides_activation(torch.relu), hides_activation(torch.add)
    (False, False)
    """
    words = plain_name(function).split("_")
    if function in FUNCTIONS or "rnn" in words:  # of recurrent layers other notes tell
        return False
    return "activation" in words or not {*NAMES}.difference(_OFTEN_OTHERS).isdisjoint(words)
