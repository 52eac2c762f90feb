"""Follows tensors through a network that runs, to know which axes of each count the units."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rectified.torch.by_hand import Term, Terms, is_transformed, number_in
from rectified.torch.calls import Call, Origin, Weight
from rectified.torch.functions import OF_PROBABILITIES, is_in_place, plain_name
from rectified.torch.units import chooses, origin_of, part_of, weight_of

_MOST = 4096


class Origins:
    """Where the tensors come from that are alive.

    Attributes
    ----------
    terms : Terms
        What is known of tensors that are functions of others, number by number.
    in_network : bool
        Whether a network runs, which learns its parameters. Outside of one, all that has gradients of its own is learned.
    """

    def __init__(self) -> None:
        self.in_network = False
        self.terms = Terms(self._leaf, _standing_for, Tensor.numel)
        self._known: dict[int, tuple[weakref.ref[Tensor], Origin]] = {}
        self._weights: dict[int, tuple[weakref.ref[Tensor], Weight]] = {}
        self._uses: dict[int, tuple[weakref.ref[Tensor], list[Any]]] = {}

    def follow(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call, and remember where its result comes from."""
        __tracebackhide__ = True
        name = plain_name(function)
        given = self.terms_of(name, args, kwargs)
        before = _standing_for(args[0]) if args and type(args[0]) is Tensor else None
        result = function(*args, **kwargs)
        if before is not None and result is args[0] is before() and not (result.is_inference() and is_in_place(function)):
            return result  # as dropout gives back in evaluation what it got
        if type(result) is Tensor:
            self.terms.see(function, name, given, result)
        origin = self.of(args[0] if args else kwargs.get("input"))
        if origin is not None:
            origin.go_into(name)
            if name in OF_PROBABILITIES and origin.activation is not None:
                origin.activation.leave_gradients_out()
        parts = result if isinstance(result, tuple | list) else (result,)
        if parts and isinstance(parts[0], Tensor):
            origin, shapes = self.of_result(name, args, kwargs, parts[0]), list(map(_shape, parts))
            call = self._call(name, args, kwargs, parts[0])
            for number, part in enumerate(parts):
                if isinstance(part, Tensor):
                    self.remember(part, part_of(origin, call, shapes, number))
        return result

    def terms_of(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `terms` wants to know of a call before it is made; None for one that it does not need."""
        return None if is_transformed() else self.terms.of_call(name, args, kwargs)

    def of(self, value: Any) -> Origin | None:
        """The origin of a tensor, if it is known."""
        found = self._known.get(id(value))
        return found[1] if found is not None and found[0]() is value else None

    def uses(self, value: Tensor) -> list[Any]:
        """What a tensor was given to, as far as that was put here."""
        found = self._uses.get(id(value))
        if found is None or found[0]() is not value:
            found = self._uses[id(value)] = weakref.ref(value), []
        return found[1]

    def sources(self, value: Any) -> frozenset[tuple[Hashable, ...]]:
        """The learned tensors behind a tensor, where they are known."""
        found = self.of(value)
        return found.sources if found is not None else frozenset()

    def of_result(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Origin:
        """The origin of what a call returned."""
        call = self._call(name, args, kwargs, out)
        weight = weight_of(call)
        if weight is not None and self._weight(out) is None:  # a view is known by its base
            self._weights[id(out)] = weakref.ref(out), weight
        return origin_of(call) if self.in_network or not chooses(name) else Origin()  # losses sort, and choose

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Call:
        return Call(name, args, kwargs, _shape(out) or (), self.of, _shape, self._weight)

    def _leaf(self, value: Any) -> Term | None:
        if not isinstance(value, Tensor):
            return None
        if _shape(value) is None or type(value) not in (Tensor, nn.Parameter):
            return Term()
        constant = number_in(value) if self.of(value) is None else None
        owner = value if value._base is None else value._base
        is_learned, is_many = isinstance(owner, nn.Parameter), value.numel() > 1
        return Term(_standing_for(value), constant=constant, is_learned=is_learned, is_many=is_many)

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
        if origin == Origin():
            self._known.pop(id(tensor), None)
        else:
            self._known[id(tensor)] = weakref.ref(tensor), origin

    def tidy(self) -> None:
        """Forget tensors that are gone, where there are many."""
        if len(self._known) > _MOST:
            self._known = {key: found for key, found in self._known.items() if found[0]() is not None}
        if len(self._uses) > _MOST:
            self._uses = {key: used for key, used in self._uses.items() if used[0]() is not None}
        if len(self._weights) > _MOST:
            self._weights = {key: made for key, made in self._weights.items() if made[0]() is not None}


def _standing_for(tensor: Tensor) -> Callable[[], Any]:
    kept, version = weakref.ref(tensor), _version(tensor)

    def found() -> Any:
        tensor = kept()
        return tensor if tensor is not None and _version(tensor) == version else None

    return found


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) and not value.is_nested and not is_lazy(value) else None
