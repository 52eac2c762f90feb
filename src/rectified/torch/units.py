"""Which axis of a tensor counts the units: followed from the function that made them, never read from the shape.

A convolution makes its channels the axis after the batch, a linear layer the last one. Normalization, dropout, pooling and
sums of equals keep it, and what moves axes moves it. Where this is not enough the axis is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from rectified.torch.functions import NAMES

Shape = tuple[int, ...]


class Origin(NamedTuple):
    """Where a tensor comes from.

    Attributes
    ----------
    axis : int or None
        The axis of the units, where it is known.
    activation : object
        The activation whose outputs these are as they were, if any.
    """

    axis: int | None
    activation: Any = None


@dataclass(frozen=True)
class Call:
    """A call of one of PyTorch's functions, on tensors or on what stands for them in a graph.

    Attributes
    ----------
    name : str
        The function's plain name.
    args : tuple
        Its arguments.
    kwargs : dict
        Its keyword arguments.
    out : tuple of int
        The shape of the result, or of its first tensor.
    origin : callable
        Gives the origin of an argument, or None for one that has none.
    shape : callable
        Gives the shape of an argument, or None for one that is no tensor.
    is_weight : callable
        Whether an argument is learned.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Shape
    origin: Callable[[Any], Origin | None]
    shape: Callable[[Any], Shape | None]
    is_weight: Callable[[Any], bool]

    def get(self, place: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    @property
    def input(self) -> Any:
        """The first argument."""
        return self.get(0, "input")


def origin_of(call: Call) -> Origin:
    """The origin of what a call returns, as far as it can be known."""
    name = call.name.removeprefix("__").removesuffix("__")
    rule = _RULES.get(name) or _RULES.get(name[1:] if name[:1] in ("i", "r") else "")
    axis = None
    if rule is not None and call.out:
        with suppress(TypeError, ValueError, LookupError, AttributeError):  # a form of the call that the rule does not know
            axis = rule(call)
    before = call.origin(call.input) if name in _AS_THEY_WERE else None
    is_known = axis is not None and 0 <= axis < len(call.out)
    return Origin(axis if is_known else None, before.activation if before else None)


def _axis(call: Call, argument: Any) -> int | None:
    found = call.origin(argument)
    return found.axis if found else None


def _last(call: Call) -> int | None:
    return len(call.out) - 1


def _convolution(call: Call) -> int | None:
    return len(call.out) - 1 - int(call.name[-2])


def _second(call: Call) -> int | None:
    return 1


def _kept(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    return axis if shape is not None and len(shape) == len(call.out) else None


def _channels(call: Call) -> int | None:
    """A norm with a scale for each channel tells the axis even where nothing else does."""
    found = _kept(call)
    return 1 if found is None else found


def _normalized(call: Call) -> int | None:
    found, over = _kept(call), call.get(1, "normalized_shape")
    return len(call.out) - 1 if found is None and isinstance(over, Sequence) and len(over) == 1 else found


def _together(call: Call) -> int | None:
    """Of operands that broadcast: the axis on which all that are known agree, seen from the end as broadcasting does."""
    operands = call.args[1:] if call.name == "where" else call.args
    axes = set()
    for operand in operands:
        axis, shape = _axis(call, operand), call.shape(operand)
        if axis is not None and shape is not None and shape[axis] == call.out[axis - len(shape)]:
            axes.add(axis - len(shape))
    return len(call.out) + axes.pop() if len(axes) == 1 else None


def _product(call: Call) -> int | None:
    left, right = call.args[1:3] if call.name in ("addmm", "baddbmm") else call.args[:2]
    if call.name == "__rmatmul__":
        left, right = right, left
    if call.is_weight(right):
        return len(call.out) - 1
    return len(call.out) - 2 if call.is_weight(left) else None


def _einsum(call: Call) -> int | None:
    equation, *operands = call.args
    if not isinstance(equation, str) or "..." in equation or "->" not in equation or len(operands) != 2:
        return None
    taken, given = equation.replace(" ", "").split("->")
    letters = dict(zip(taken.split(","), operands, strict=True))
    weights = [used for used, operand in letters.items() if call.is_weight(operand)]
    if len(weights) != 1:
        return None
    (other,) = letters.keys() - set(weights)
    own = [letter for letter in given if letter in weights[0] and letter not in other]
    return given.index(own[0]) if len(own) == 1 else None


def _reshaped(call: Call) -> int | None:
    """The axis in the new shape that has as many elements before it, and as many in it."""
    axis, shape = _axis(call, call.input), call.shape(call.input)
    if axis is None or shape is None:
        return None
    before, units = prod(shape[:axis]), shape[axis]
    places = [place for place, size in enumerate(call.out) if size == units and prod(call.out[:place]) == before]
    return places[0] if places else None


def _swapped(call: Call) -> int | None:
    axis, count = _axis(call, call.input), len(call.out)
    if axis is None:
        return None
    first, second = (-2, -1) if call.name in ("t", "T", "mT", "adjoint") else (call.get(1, "dim0"), call.get(2, "dim1"))
    if call.name in ("T", "t") and count != 2:
        return count - 1 - axis
    first, second = first % count, second % count
    return {first: second, second: first}.get(axis, axis)


def _permuted(call: Call) -> int | None:
    axis, count = _axis(call, call.input), len(call.out)
    dims = call.kwargs.get("dims", call.args[1:])
    dims = dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    return None if axis is None else [dim % count for dim in dims].index(axis)


def _moved(call: Call) -> int | None:
    axis, count = _axis(call, call.input), len(call.out)
    source, destination = call.get(1, "source"), call.get(2, "destination")
    if axis is None or not isinstance(source, int) or not isinstance(destination, int):
        return None
    order = [dim for dim in range(count) if dim != source % count]
    order.insert(destination % count, source % count)
    return order.index(axis)


def _reduced(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    dims = call.get(1, "dim", call.kwargs.get("axis"))
    if axis is None or shape is None or dims is None:
        return None
    gone = {dim % len(shape) for dim in (dims if isinstance(dims, Sequence) else [dims])}
    if axis in gone:
        return None
    return axis if len(call.out) == len(shape) else axis - sum(dim < axis for dim in gone)


def _without(call: Call) -> int | None:
    axis, shape, dim = _axis(call, call.input), call.shape(call.input), call.get(1, "dim", 0)
    if axis is None or shape is None or dim % len(shape) == axis:
        return None
    return axis - int(dim % len(shape) < axis)


def _joined(call: Call) -> int | None:
    tensors = call.get(0, "tensors")
    axes = {_axis(call, tensor) for tensor in tensors} if isinstance(tensors, Sequence) else {None}
    axis = axes.pop()
    if axes or axis is None:
        return None
    return axis + (call.get(1, "dim", 0) % len(call.out) <= axis) if call.name == "stack" else axis


def _indexed(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    if (
        axis is None
        or shape is None
        or not all(each is None or each is ... or isinstance(each, int | slice) for each in index)
    ):
        return None
    used = sum(each is not None and each is not ... for each in index)
    place = [place for place, each in enumerate(index) if each is ...] or [len(index)]
    index = (*index[: place[0]], *[slice(None)] * (len(shape) - used), *index[place[0] + 1 :])
    source = result = 0
    for each in index:
        if each is None:
            result += 1
            continue
        if source == axis:
            return None if isinstance(each, int) else result
        source += 1
        result += not isinstance(each, int)
    return None


def _expanded(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    return None if axis is None or shape is None else axis + len(call.out) - len(shape)


def _attention(call: Call) -> int | None:
    return _axis(call, call.get(2, "value"))


_MOVES = "view reshape flatten unflatten squeeze unsqueeze transpose swapaxes swapdims t T mT permute movedim"
_COPIES = "contiguous clone detach to float half double bfloat16 type cuda cpu type_as"
_PARTS = "dropout getitem select narrow chunk split"
_AS_THEY_WERE = frozenset(f"{_MOVES} {_COPIES} {_PARTS}".split())

_NAMES: dict[Callable[[Call], int | None], str] = {
    _last: "linear bilinear embedding lstm gru rnn_tanh rnn_relu multi_head_attention_forward",
    _convolution: "conv1d conv2d conv3d",
    _second: "convolution",  # of any dimension, always with a batch
    _channels: (
        "batch_norm instance_norm group_norm "
        "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training native_group_norm"
    ),
    _normalized: "layer_norm rms_norm native_layer_norm",
    _kept: (
        "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout "
        "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices "
        "avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d lp_pool3d "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
        "interpolate upsample pad local_response_norm normalize softmax log_softmax celu elu selu gelu silu mish softplus "
        "logsigmoid tanhshrink rrelu abs neg exp log sqrt rsqrt square pow sin cos erf clamp_max masked_fill "
        f"{_COPIES} requires_grad chunk split tensor_split narrow roll flip cumsum index_select"
    ),
    _together: "add sub mul div true_divide truediv rsub radd rmul subtract multiply divide maximum minimum where lerp",
    _product: "matmul mm bmm addmm baddbmm",
    _einsum: "einsum",
    _reshaped: "view reshape flatten unflatten squeeze unsqueeze view_as reshape_as",
    _swapped: "transpose swapaxes swapdims t T mT adjoint",
    _permuted: "permute",
    _moved: "movedim moveaxis",
    _reduced: "mean sum amax amin std var logsumexp max min",
    _without: "select unbind",
    _joined: "cat concat concatenate stack",
    _indexed: "getitem",
    _expanded: "expand expand_as",
    _attention: "scaled_dot_product_attention",
}
_RULES = {name: rule for rule, names in _NAMES.items() for name in names.split()}
_RULES |= {f"conv_transpose{count}d": _convolution for count in (1, 2, 3)}
_RULES |= {name: _kept for name in NAMES if name not in _RULES}
