"""Follows tensors through a network that runs, to know which axis of each counts the units."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor, nn

from rectified.torch.functions import LOSSES, plain_name
from rectified.torch.units import Call, Origin, origin_of

_MOST = 4096


class Origins:
    """Where the tensors come from that are alive."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], Origin]] = {}

    def follow(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call, and remember where its result comes from."""
        result = function(*args, **kwargs)
        name = plain_name(function)
        if name in LOSSES:
            origin = self.of(args[0] if args else kwargs.get("input"))
            if origin is not None and origin.activation is not None:
                origin.activation.feeds_loss = name
        parts = result if isinstance(result, tuple | list) else (result,)
        if parts and isinstance(parts[0], Tensor):
            origin = self.of_result(name, args, kwargs, parts[0])
            for part in parts:
                if isinstance(part, Tensor):
                    self.remember(part, origin)
        return result

    def of(self, value: Any) -> Origin | None:
        """The origin of a tensor, if it is known."""
        found = self._known.get(id(value))
        return found[1] if found is not None and found[0]() is value else None

    def of_result(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Origin:
        """The origin of what a call returned."""
        return origin_of(Call(name, args, kwargs, _shape(out) or (), self.of, _shape, _is_weight))

    def remember(self, tensor: Tensor, origin: Origin) -> None:
        """Know the origin of a tensor from now on."""
        if origin.axis is None and origin.activation is None:
            self._known.pop(id(tensor), None)
        else:
            self._known[id(tensor)] = weakref.ref(tensor), origin

    def tidy(self) -> None:
        """Forget tensors that are gone, where there are many."""
        if len(self._known) > _MOST:
            self._known = {key: found for key, found in self._known.items() if found[0]() is not None}


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) and not value.is_nested else None


def _is_weight(value: Any) -> bool:
    if not isinstance(value, Tensor):
        return False
    owner = value if value._base is None else value._base
    return isinstance(owner, nn.Parameter) or (owner.is_leaf and owner.requires_grad)
