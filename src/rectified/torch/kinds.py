"""Modules of PyTorch that compute in a way of their own, so that not all of it can be seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

FUSED = "in eval mode without gradients it takes PyTorch's fused path, where nothing was seen"
_KINDS = {
    "ScriptModule": "script",
    "OptimizedModule": "compiled",
    "DataParallel": "threads",
    "DistributedDataParallel": "wrapper",
    "TransformerEncoder": "fused",
    "TransformerEncoderLayer": "fused",
    "MultiheadAttention": "attention",
    "RNN": "recurrent",
    "LSTM": "recurrent",
    "GRU": "recurrent",
    "RNNCellBase": "recurrent",
}


def kind_of(module: nn.Module) -> str:
    """Which modules are special; nothing for others.

    Examples
    --------
    >>> kind_of(nn.LSTM(2, 3)), kind_of(nn.Linear(2, 3))
    ('recurrent', '')
    """
    for cls in type(module).__mro__:
        if cls.__module__.startswith("torch.") and cls.__name__ in _KINDS:
            return _KINDS[cls.__name__]
    return ""


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside of what compiles or distributes it."""
    while kind_of(module) in ("compiled", "wrapper", "threads"):
        inner = getattr(module, "_orig_mod", None) or module.module
        assert isinstance(inner, nn.Module)
        module = inner
    return module


def unseen_in(module: Any, kind: str) -> str:
    """What is not seen in a module of some kind; nothing where that is all of it, or can not be told so."""
    if kind == "script":
        return "what runs in torch.jit was not seen"
    if kind == "threads" and len(getattr(module, "device_ids", ())) > 1:
        return "what DataParallel runs in threads was not seen; DistributedDataParallel is"
    if kind != "recurrent":
        return ""
    if getattr(module, "mode", "") != "RNN_RELU":
        return f"the functions inside {type(module).__name__} are not seen"
    return "only the last of its layers is seen" if module.num_layers > 1 else ""


def computes_otherwise(module: nn.Module, kind: str) -> bool:
    """Whether a module of some kind would compute in another way than it does, if all its calls were seen."""
    if kind not in ("fused", "attention"):
        return kind == "compiled"
    needs_gradients = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters())
    return not module.training and not needs_gradients
