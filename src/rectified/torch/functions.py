"""Which of PyTorch's functions are functions of the catalogue, and which are losses that expect logits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import isinf
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket
from torch.nn import functional

from rectified.activation import Ridge
from rectified.catalogue import catalogue

LOSSES = frozenset({"cross_entropy", "binary_cross_entropy_with_logits", "multilabel_soft_margin_loss", "soft_margin_loss"})
"""Functions that expect logits."""

OF_PROBABILITIES = frozenset({"binary_cross_entropy", "log"})
"""Functions whose slope has no bound near 0, so that a gradient by their input is no measure."""

_RENAMED = {"negative_slope": "slope", "weight": "slope"}
CLAMPS = ("clamp", "clamp_min", "clip")
RECURRENT = "rnn_relu"
GATED = "glu"  # by the sigmoid of half of its input
_RANDOM = "rrelu"
_SCALES_OF_SELU = (1.6732632423543772, 1.0507009873554805)  # of ELU: for inputs below 0, and for all outputs


def plain_name(function: Any) -> str:
    """What a function of PyTorch does: its name without what marks it as in place, or the name of a tensor's attribute.

    Examples
    --------
    >>> import torch
    >>> plain_name(torch.Tensor.add_), plain_name(torch.Tensor.T.__get__), plain_name("relu")
    ('add', 'T', 'relu')
    >>> plain_name(torch.ops.aten.relu_.default)
    'relu'
    """
    name: str = function if isinstance(function, str) else getattr(function, "__name__", "")
    if isinstance(function, OpOverload):
        name = name.partition(".")[0]
    if name == "__get__":
        return str(getattr(function.__self__, "__name__", ""))
    return name if name.startswith("__") else name.rstrip("_")


def is_in_place(function: Any) -> bool:
    """Whether its name says that a function overwrites its input.

    Examples
    --------
    >>> is_in_place(torch.relu), is_in_place(torch.relu_), is_in_place(torch.ops.aten.relu_.default)
    (False, True, True)
    """
    name: str = function.__name__
    return name.partition(".")[0].endswith("_")


_ALIASES = {
    "prelu": "leaky_relu",
    "_prelu_kernel": "leaky_relu",
    RECURRENT: "relu",
    GATED: "sigmoid",
    _RANDOM: "leaky_relu",
    "expit": "sigmoid",
    "log_sigmoid": "logsigmoid",
    "atan": "arctan",
    "arctan": "arctan",
}
NAMES: Mapping[str, str] = {
    **{name: name for name in catalogue.of("ridge") if hasattr(functional, name)},
    **_ALIASES,
    **dict.fromkeys(CLAMPS, "relu"),
}
"""The functions that are looked at, by their plain names, and their names in the catalogue."""


def _forms(name: str) -> Iterator[Any]:
    for form in (name, f"{name}_"):
        packet = getattr(torch.ops.aten, form, None)
        for owner in (functional, torch, Tensor, torch.special, torch._C._nn):
            yield getattr(owner, form, None)
        yield from (packet, getattr(packet, "default", None))


FUNCTIONS: Mapping[Any, str] = {found: name for name in NAMES for found in _forms(name) if found is not None}
"""The same by the functions themselves, which are faster to find."""


def activation_of(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Ridge | None:
    """The catalogue's function, with the parameters of a call; None for a call that is none, such as another clamp.

    Parameters
    ----------
    name : str
        A plain name of `NAMES`, or a name of the catalogue.
    args, kwargs
        Of the call: the input, then the parameters.
    """
    if name in CLAMPS:
        bounds = dict(zip(("min", "max"), args[1:], strict=False)) | dict(kwargs)
        low, high = (
            None if isinstance(bound, float) and isinf(bound) else bound for bound in map(bounds.get, ("min", "max"))
        )
        if high is None:
            return _row("relu") if isinstance(low, int | float) and low == 0 else None
        if not isinstance(low, int | float) or not isinstance(high, int | float):
            return None
        if (low, high) != (-1, 1) and not low == 0 < high:
            return None  # others are as likely there for safety
        name, args, kwargs = "hardtanh", (None, float(low), float(high)), {}
    if name == _RANDOM:
        name, args, kwargs = "leaky_relu", (None, _mean_slope(args, kwargs)), {}
    if name == GATED:
        return _row("sigmoid")
    if name == RECURRENT:
        return _row("relu")
    scales = (*args[2:], *map(kwargs.get, ("scale", "input_scale"), (1, 1)))
    if name == "elu" and any(scale != 1 for scale in scales if scale is not False):  # where it may be `inplace`, too
        return _row("selu") if tuple(args[1:]) == _SCALES_OF_SELU else None
    row = _row("gelu_tanh" if name == "gelu" and kwargs.get("approximate") == "tanh" else NAMES.get(name, name))
    if row is None:
        return None
    given = dict(zip(_parameters(name), args[1:], strict=False)) | dict(kwargs)
    known = {_RENAMED.get(key, key): value for key, value in given.items()}
    numbers = {key: _number(value) for key, value in known.items() if key in row.parameters}
    if name == "hardtanh" and tuple(numbers.values()) == (0, 6):  # so PyTorch's module calls it
        return _row("relu6")
    usual = {key: parameter.default for key, parameter in row.parameters.items()}
    return row.bind(**numbers) if any(numbers[key] is not usual[key] for key in numbers) else row


def _row(name: str) -> Ridge | None:
    found = catalogue.get(name)
    return found if isinstance(found, Ridge) else None


def _number(value: Any) -> Any:
    """A parameter as NumPy has it; a learned one as an array."""
    if not isinstance(value, Tensor):
        return value
    found = value.detach().cpu().double().numpy()
    return found.reshape(found.shape or 1) if found.ndim or value.requires_grad else found.item()


@lru_cache
def _parameters(name: str) -> tuple[str, ...]:
    """The names of the parameters after the input, in PyTorch's order where it tells it."""
    try:
        return tuple(inspect.signature(getattr(functional, name)).parameters)[1:]
    except (TypeError, ValueError, AttributeError):
        return tuple(catalogue[NAMES.get(name, name)].parameters)


def _mean_slope(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    """That of a leaky ReLU with random slopes: the one that it has in evaluation."""
    lower, upper = (
        args[place] if len(args) > place else kwargs.get(name, usual)
        for place, (name, usual) in enumerate({"lower": 1 / 8, "upper": 1 / 3}.items(), 1)
    )
    return (float(lower) + float(upper)) / 2


def output_of(name: str, result: Any) -> Tensor:
    """The tensor of outputs in what a function returns."""
    found: Tensor = result[0] if name == RECURRENT else result
    return found


def gate_of(x: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """What the gate of a gated unit gets and gives."""
    dim = args[1] if len(args) > 1 else kwargs.get("dim", -1)
    with torch.no_grad():
        gate = x.detach().chunk(2, dim)[1]
        return gate, torch.sigmoid(gate)


def call_again(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Callable[[Tensor], Tensor]:
    """The same call on another input, never in place, with what its learned parameters are then."""
    rest = tuple(value for value in args[1:] if value is not True)
    kept = {key: value for key, value in kwargs.items() if key not in ("inplace", "input", "out")}
    is_operator = isinstance(function, OpOverload | OpOverloadPacket)
    is_internal = getattr(function, "__module__", "") == torch._C._nn.__name__
    owner = torch.ops.aten if is_operator else torch._C._nn if is_internal else functional
    name = plain_name(function)
    if name == GATED:
        return torch.sigmoid
    if name == _RANDOM:  # which must not draw other numbers
        slope = _mean_slope(args, kwargs)
        return lambda x: functional.leaky_relu(x, slope)
    plain = getattr(owner, name, getattr(torch, name, function))
    if not any(isinstance(value, Tensor) for value in (*rest, *kept.values())):
        return lambda x: plain(x, *rest, **kept)

    def again(x: Tensor) -> Tensor:
        def fitting(value: Any) -> Any:  # the network may have another type by now, or be elsewhere
            return value.detach().to(x) if isinstance(value, Tensor) else value

        found: Tensor = plain(x, *map(fitting, rest), **{key: fitting(value) for key, value in kept.items()})
        return found

    return again
