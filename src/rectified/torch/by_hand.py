"""ReLU as programs write it by other functions: ``torch.maximum(x, zeros)``, ``torch.where(x > 0, x, 0)``.

That a tensor is zero is known from the call that made it: to look into it would wait for a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor

RECTIFIERS = frozenset({"maximum", "max", "where"})
_ZEROS = frozenset({"zeros", "zeros_like", "new_zeros"})
_COMPARISONS = frozenset({"gt", "__gt__", "greater", "ge", "__ge__", "greater_equal"})
_TENSORS = frozenset({"tensor", "scalar_tensor"})


def _forms(name: str) -> list[Any]:
    packet = getattr(torch.ops.aten, name, None)
    return [getattr(torch, name, None), getattr(Tensor, name, None), packet, getattr(packet, "default", None)]


PARTS: Mapping[Any, str] = {
    form: name for name in (*_ZEROS, *_COMPARISONS, *_TENSORS) for form in _forms(name) if form is not None
}
"""The functions that make what such a ReLU needs, and their plain names."""


class Rectifiers:
    """What is known of tensors, or of what stands for them in a graph.

    Parameters
    ----------
    kind : callable
        Makes a mapping, in which tensors are by their ``id``.
    is_as_made : callable
        Whether nothing has changed a tensor since.
    """

    def __init__(self, kind: Callable[[], MutableMapping[int, Any]], is_as_made: Callable[[Any], bool]) -> None:
        self._zeros, self._masks, self._masked = kind(), kind(), kind()
        self._is_as_made = is_as_made

    def see(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        """Know what a call made."""
        if name in _ZEROS or (name in _TENSORS and args and _is_number_zero(args[0])):
            self._zeros[id(result)] = result
        elif name in _COMPARISONS and len(args) == 2 and self._is_zero(args[1]):
            self._masks[id(result)], self._masked[id(result)] = result, args[0]

    def input_of(self, name: str, args: tuple[Any, ...]) -> Any:
        """What a call is the ReLU of; None where it is none."""
        if name == "where" and len(args) == 3 and self._is_zero(args[2]):
            mask, x, _ = args
            return x if self._masks.get(id(mask)) is mask and self._masked.get(id(mask)) is x else None
        if name != "where" and len(args) == 2:
            return next((x for x, other in (args, args[::-1]) if not _is_number_zero(other) and self._is_zero(other)), None)
        return None

    def _is_zero(self, value: Any) -> bool:
        return _is_number_zero(value) or (self._zeros.get(id(value)) is value and self._is_as_made(value))


def _is_number_zero(value: Any) -> bool:
    return isinstance(value, int | float) and value == 0
