"""Follows tensors through a network that runs, to know which axes of each count the units."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rectified.torch.by_hand import Rectifiers
from rectified.torch.functions import LOSSES, plain_name
from rectified.torch.units import Axes, Call, Origin, Weight, origin_of, weight_of

_MOST = 4096


class Origins:
    """Where the tensors come from that are alive.

    Attributes
    ----------
    rectifiers : Rectifiers
        What is known of tensors that ReLUs are made of.
    in_network : bool
        Whether a network runs, which learns its parameters. Outside of one, all that has gradients of its own is learned.
    """

    def __init__(self) -> None:
        self.in_network = False
        self.rectifiers = Rectifiers(weakref.WeakValueDictionary, _is_as_made)
        self._known: dict[int, tuple[weakref.ref[Tensor], Origin]] = {}
        self._weights: dict[int, tuple[weakref.ref[Tensor], Weight]] = {}

    def follow(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call, and remember where its result comes from."""
        __tracebackhide__ = True
        result = function(*args, **kwargs)
        name = plain_name(function)
        self.rectifiers.see(name, args, result)
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

    def axes(self, value: Any) -> Axes:
        """The axes of its units, where they are known."""
        found = self.of(value)
        return found.axes if found is not None else ()

    def sources(self, value: Any) -> frozenset[tuple[Hashable, ...]]:
        """The learned tensors behind a tensor, where they are known."""
        found = self.of(value)
        return found.sources if found is not None else frozenset()

    def of_result(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Origin:
        """The origin of what a call returned."""
        call = Call(name, args, kwargs, _shape(out) or (), self.of, _shape, self._weight)
        weight = weight_of(call)
        if weight is not None and self._weight(out) is None:  # a view is known by its base
            self._weights[id(out)] = weakref.ref(out), weight
        return origin_of(call)

    def _weight(self, value: Any) -> Weight | None:
        if _shape(value) is None:
            return None
        found = self._weights.get(id(value))
        if found is not None and found[0]() is value:
            return found[1]
        owner = value if value._base is None else value._base
        has_gradient = owner.is_leaf and owner.requires_grad and not self.in_network
        if not has_gradient and not isinstance(owner, nn.Parameter):
            return None
        if value.layout is not torch.strided:
            return Weight((id(owner), 0), tuple(value.shape))
        sizes = zip(value.shape, value.stride(), strict=True)
        return Weight((id(owner), value.storage_offset()), tuple(size if stride else 1 for size, stride in sizes))

    def remember(self, tensor: Tensor, origin: Origin) -> None:
        """Know the origin of a tensor from now on."""
        if not origin.axes and origin.activation is None:
            self._known.pop(id(tensor), None)
        else:
            self._known[id(tensor)] = weakref.ref(tensor), origin

    def tidy(self) -> None:
        """Forget tensors that are gone, where there are many."""
        if len(self._known) > _MOST:
            self._known = {key: found for key, found in self._known.items() if found[0]() is not None}
        if len(self._weights) > _MOST:
            self._weights = {key: made for key, made in self._weights.items() if made[0]() is not None}


def _is_as_made(tensor: Tensor) -> bool:
    return tensor.is_inference() or tensor._version == 0


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) and not value.is_nested and not is_lazy(value) else None
