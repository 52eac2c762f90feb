"""Names in what torch.export or torch.fx made, whose code is one function for all modules; its graph tells them."""

from __future__ import annotations

import linecache
from pathlib import Path
from types import CodeType
from typing import Any

from torch import nn
from torch._ops import OpOverload
from torch.fx import GraphModule

from rectified.torch.functions import CLAMPS, NAMES, plain_name
from rectified.torch.site import traced_caller


def is_compiled(function: Any, module: nn.Module | None, code: CodeType) -> bool:
    """Whether code that calls a function was compiled: made from a graph that is not what the program itself made."""
    if not code.co_filename.startswith("<eval_with_key>"):
        return False
    return not (_is_exported(module) if isinstance(function, OpOverload) else _is_of(module, code))


def name_in_graph(module: nn.Module | None, code: CodeType, line: int) -> str | None:
    """The name of a call as it was in the network that was exported, or that of its node; None for a call in other code.

    Examples
    --------
    >>> import torch
    >>> module = torch.export.export(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), (torch.ones(1, 2),)).module()
    >>> code = type(module).forward.__code__
    >>> {"0", "1"} < {name_in_graph(module, code, line) for line in range(20)}
    True
    """
    node = _node(module, code, line)
    if node is None:
        return None
    modules = list(node.meta.get("nn_module_stack", {}).values())
    if not modules:
        return str(node.name)
    path, kind = modules[-1]
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    caller = traced_caller(node.meta.get("stack_trace"))
    place = f"{Path(caller[0]).name}:{caller[1]} in {kind.rpartition('.')[2]}.{caller[2]}" if caller else str(node.name)
    is_module = kind.startswith("torch.nn.")
    return path if is_module else f"{path}: {place}" if path else place


def is_part(module: nn.Module | None, code: CodeType, line: int) -> bool:
    """Whether a call is a part of an activation that was decomposed, as ``sigmoid`` is of ``silu``."""
    node = _node(module, code, line)
    return node is not None and _whole(node) is not None


def decomposed_in(module: nn.Module) -> list[str]:
    """The activations of what was exported that were decomposed into other functions."""
    nodes = module.graph.nodes if isinstance(module, GraphModule) and _is_exported(module) else ()
    return sorted({whole for node in nodes if (whole := _whole(node)) is not None})


def _whole(node: Any) -> str | None:
    """The activation that a node is a part of; None where it is none, or all of it."""
    whole, name = plain_name(node.meta.get("original_aten")), plain_name(node.target)
    return whole if whole in NAMES and whole not in CLAMPS and NAMES[whole] != NAMES.get(name) else None


def _node(module: nn.Module | None, code: CodeType, line: int) -> Any:
    """The node that a line of a graph's code was made from; None for other code."""
    if not isinstance(module, GraphModule) or not _is_of(module, code):
        return None
    variable = next(iter(linecache.getline(code.co_filename, line).split()), "")
    return next((node for node in module.graph.nodes if node.name == variable), None)


def _is_exported(module: nn.Module | None) -> bool:
    return any(cls.__module__.startswith("torch.export") for cls in type(module).__mro__)


def _is_of(module: nn.Module | None, code: CodeType) -> bool:
    return isinstance(module, GraphModule) and code is type(module).forward.__code__
