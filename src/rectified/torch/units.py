"""Which axes of a tensor count the units: followed from the function that made them, never read from the shape.

A convolution makes its channels the axis after the batch, a linear layer the last one. Where the weights of several layers
are stacked in one tensor, another axis counts the layers. Normalization, dropout, pooling and sums of equals keep an axis,
and what moves axes moves it. Where this is not enough the axes are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from rectified.torch.functions import LOSSES, NAMES

Shape = tuple[int, ...]
Axes = tuple[int, ...]
_GONE = -1  # of an axis that the result has not
_SOFTMAX, _LOGARITHM, _LOSS_OF_LOGARITHM = "softmax", "log_softmax", "nll_loss"


class Origin(NamedTuple):
    """Where a tensor comes from.

    Attributes
    ----------
    axes : tuple of int
        The last is the axis of the units, those before it count the layers; empty where they are not known. Where a layer's
        one unit has no axis any more, that is one behind the last.
    activation : object
        The activation whose outputs these are as they were, if any.
    sources : frozenset of tuple
        The learned tensors of the layers that it is made of, by what they are known.
    passed : frozenset
        The activations that what these layers gave has gone through since.
    logits : object
        The activation of whose outputs these are the logarithms of probabilities, if any.
    is_softmax : bool
        Whether these are what softmax gave, as it was.
    is_split : bool
        Whether one axis of units has become several, as where attention tells its heads apart: all of these count them.
    """

    axes: Axes = ()
    activation: Any = None
    sources: frozenset[tuple[Hashable, ...]] = frozenset()
    passed: frozenset[Any] = frozenset()
    logits: Any = None
    is_softmax: bool = False
    is_split: bool = False

    def go_into(self, loss: str) -> None:
        """Let the activation know whose outputs a loss takes for logits, if any."""
        if loss in LOSSES and self.activation is not None:
            self.activation.feeds_loss = loss
        if loss == _LOSS_OF_LOGARITHM and self.logits is not None:
            self.logits.feeds_loss = _LOGARITHM

    def of_units(self, starts: Sequence[int]) -> Origin:
        """The origin of a part of the units, which begins at these places along the axes."""
        if not any(starts):
            return self
        mark = f"{', '.join(map(str, starts))}:"
        return self._replace(sources=frozenset((*source, mark) for source in self.sources))

    def activated(self, activation: Any) -> Origin:
        """The origin of what an activation makes of it."""
        return self._replace(activation=activation, passed=self.passed | {activation}, logits=None, is_softmax=False)


class Weight(NamedTuple):
    """A learned tensor: its owner's ``id`` and which part it is; its shape, where axes that repeat have a size of 1."""

    id: tuple[Hashable, ...]
    shape: Shape


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
    weight : callable
        Gives what is known of an argument that is learned, or None for another.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Shape
    origin: Callable[[Any], Origin | None]
    shape: Callable[[Any], Shape | None]
    weight: Callable[[Any], Weight | None]

    def get(self, place: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    @property
    def input(self) -> Any:
        """The first argument."""
        return self.get(0, "input")


def origin_of(call: Call) -> Origin:
    """The origin of what a call returns, as far as it can be known."""
    name = _plain(call.name)
    rule = _RULES.get(name)
    axes: Axes = ()
    is_split, taken = False, dict[int, int]()
    if rule is not None and call.out:
        with suppress(Exception):  # a form of the call that the rule does not know must not end a program
            axes = rule(call)
            is_split = len(axes) > 1 and _is_split(call, rule, axes)
            taken = _taken(call)
    before = call.origin(call.input) or Origin()
    same = before if name in _AS_THEY_WERE else Origin()
    logits = before.activation if name == _LOGARITHM else same.logits
    is_softmax = name == _SOFTMAX or same.is_softmax
    if is_split and rule in (_kept, _expanded) and name not in _AS_THEY_WERE and call.shape(call.input) != call.out:
        axes = ()
    if not axes or not all(0 <= axis < len(call.out) + (axis == axes[-1]) for axis in axes):
        return Origin((), same.activation, logits=logits, is_softmax=is_softmax)
    found = Origin(axes, same.activation, *_sources(call), logits, is_softmax, is_split)
    return found.of_units([taken.get(axis, 0) for axis in before.axes])


def part_of(origin: Origin, call: Call, parts: Sequence[Shape | None], number: int) -> Origin:
    """The origin of one of the tensors that a call gave, whose shapes these are, given the origin of all."""
    before, shape = call.origin(call.input), call.shape(call.input)
    if before is None or shape is None or not origin.axes or _plain(call.name) not in _DIVISIONS:
        return origin
    if len(origin.axes) < len(before.axes):  # by `unbind`
        return origin.of_units([number])
    starts = []
    for axis, place in zip(origin.axes, before.axes, strict=True):
        is_divided = max(axis - len(call.out), place - len(shape)) < 0 and call.out[axis] < shape[place]
        starts.append(sum(part[axis] for part in parts[:number] if part) if is_divided else 0)
    return origin.of_units(starts)


def is_maker(name: str) -> bool:
    """Whether a function is that of a layer, which makes units of its own."""
    return _RULES.get(_plain(name)) in _MAKERS


def weight_of(call: Call) -> Weight | None:
    """What a call returns, where it is a learned tensor in another form, or several together; None for others."""
    name = _plain(call.name)
    rule, size = _RULES.get(name), prod(call.out)
    if rule not in (_joined, _together, _kept, _product) and name not in _FORMS:
        return None
    tensors = _tensors(call)
    if rule in (_together, _kept):  # scaled, for instance, by what is no activation
        tensors = [each for each in tensors if call.weight(each) is not None or call.origin(each) is not None]
    weights = [weight for weight in map(call.weight, tensors) if weight is not None]
    if not weights or len(weights) < len(tensors):
        return None
    first, *others = weights
    if name == "expand":
        return Weight(first.id, (1,) * (len(call.out) - len(first.shape)) + first.shape)
    # What repeats along an axis must not become an axis like others.
    if rule is not _product and size > sum(prod(weight.shape) for weight in weights):
        return None
    if others:
        return Weight((*first.id, *(weight.id for weight in others)), call.out)
    part = call.get(1, "") if isinstance(call.get(1, ""), int) else repr(call.args[1:])
    return Weight(first.id if size == prod(first.shape) else (*first.id, part), call.out)


def _tensors(call: Call) -> list[Any]:
    """What of the arguments are tensors, in lists too."""
    given: list[Any] = []
    for argument in (*call.args, *call.kwargs.values()):
        given += argument if isinstance(argument, list | tuple) else [argument]
    return [argument for argument in given if call.shape(argument) is not None]


def _plain(name: str) -> str:
    """A function's name without what marks it as an operator's."""
    name = name.removeprefix("__").removesuffix("__")
    return name[1:] if name not in _RULES and name[:1] in ("i", "r") else name


def _sources(call: Call) -> tuple[frozenset[tuple[Hashable, ...]], frozenset[Any]]:
    """The weights of a call, or those behind its arguments where it has none of its own, and what these passed since."""
    tensors = _tensors(call)
    factors = tensors[1:] if "add" in call.name else tensors  # without a bias
    own = [weight.id for weight in map(call.weight, factors) if weight is not None and len(weight.shape) > 1]
    if own and _RULES.get(_plain(call.name)) in _MAKERS:
        return frozenset(own), frozenset()
    behind = [origin for origin in map(call.origin, tensors) if origin is not None]
    sources = frozenset[tuple[Hashable, ...]]().union(*(origin.sources for origin in behind))
    return sources, frozenset[Any]().union(*(origin.passed for origin in behind))


def _taken(call: Call) -> dict[int, int]:
    """For axes of which a call takes a part, where that begins."""
    name, shape = _plain(call.name), call.shape(call.input)
    if name in ("narrow", "select"):
        return {call.get(1, "dim") % len(shape or ()): call.get(2, "start" if name == "narrow" else "index")}
    if name != "getitem" or shape is None:
        return {}
    entries = [each for each in _entries(call) if each is not None]
    starts = [each if isinstance(each, int) else each.indices(size)[0] for each, size in zip(entries, shape, strict=False)]
    return {axis: start % shape[axis] for axis, start in enumerate(starts)}


def _is_split(call: Call, rule: Any, axes: Axes) -> bool:
    """Whether one axis of units has become these."""
    tensors = _tensors(call)
    known = [origin for origin in map(call.origin, tensors) if origin is not None and origin.axes]
    if rule is _reshaped and len(axes) > len(known[0].axes):
        return True
    is_made = rule in _MAKERS and any(map(call.weight, tensors))
    return not is_made and any(origin.is_split for origin in known)


def _each(rule: Callable[[Call], int | None]) -> Callable[[Call], Axes]:
    """A rule for one axis as one for several, each of which goes its own way."""

    def rule_for_all(call: Call) -> Axes:
        axes: Axes = ()
        place = -1
        while True:
            found: list[Origin] = []

            def origin(argument: Any, place: int = place, found: list[Origin] = found) -> Origin | None:
                known = call.origin(argument)
                if known is None or len(known.axes) < -place:
                    return None
                found.append(known)
                return known._replace(axes=(known.axes[place],))

            axis = rule(Call(call.name, call.args, call.kwargs, call.out, origin, call.shape, call.weight))
            if not found:
                return axes
            if axis is None or (axis == _GONE and place == -1):
                return ()
            axes = axes if axis == _GONE else (axis, *axes)
            place -= 1

    return rule_for_all


def _axis(call: Call, argument: Any) -> int | None:
    found = call.origin(argument)
    return found.axes[-1] if found and found.axes else None


def _last(call: Call) -> Axes:
    return (len(call.out) - 1,)


def _convolution(call: Call) -> Axes:
    return (len(call.out) - 1 - int(call.name[-2]),)


def _second(call: Call) -> Axes:
    return (1,)


@_each
def _kept(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    return axis if shape is not None and len(shape) == len(call.out) else None


def _channels(call: Call) -> Axes:
    """A norm with a scale for each channel tells the axis even where nothing else does."""
    found, known = _kept(call), call.origin(call.input)
    is_told = bool(found) and found[-1] < len(call.out) and not (known and known.is_split)
    return found if is_told else (1,)


def _normalized(call: Call) -> Axes:
    found, over = _kept(call), call.get(1, "normalized_shape")
    is_told = bool(found) and found[-1] < len(call.out)
    return (len(call.out) - 1,) if not is_told and isinstance(over, Sequence) and len(over) == 1 else found


@_each
def _together(call: Call) -> int | None:
    """Of operands that broadcast: the axis on which all that are known agree, seen from the end as broadcasting does."""
    operands = call.args[1:] if call.name == "where" else call.args
    axes, sources = set(), set()
    learned = [weight for weight in map(call.weight, operands) if weight is not None]
    for operand in operands:
        known, shape = call.origin(operand), call.shape(operand)
        if known is None or shape is None:
            continue
        place = known.axes[0] - len(shape)
        # A unit without an axis has at most one number that is learned.
        if all(prod(weight.shape) == 1 for weight in learned) if place == 0 else shape[place] == call.out[place]:
            axes.add(place)
            sources.add(known.sources)
    if len(axes) > 1:
        axes.discard(0)  # one number for each row, such as a weight of attention, says nothing of what it is joined with
    are_mixed = call.name == "where" and len(sources) > 1
    return len(call.out) + axes.pop() if len(axes) == 1 and not are_mixed else None


def _product(call: Call) -> Axes:
    left, right = call.args[1:3] if "add" in call.name else call.args[:2]
    if call.name == "__rmatmul__":
        left, right = right, left
    weight, place = call.weight(right), -1
    if weight is None:
        weight, place = call.weight(left), -2 if len(call.shape(right) or ()) > 1 else -1
    if weight is None:
        return _mixed(call, left, right)
    if len(weight.shape) < 2:
        return ()
    count, layers = len(call.out), () if call.name == "addbmm" else weight.shape[:-2]
    stacked = [count - len(weight.shape) + axis for axis, size in enumerate(layers) if size > 1]
    return (*stacked, count + place)


def _mixed(call: Call, left: Any, right: Any) -> Axes:
    """Rows that a matrix mixes, as a graph's does, have the units that they had."""
    found = []
    for operand, units, summed in ((left, -2, -1), (right, -1, -2)):
        known, shape = call.origin(operand), call.shape(operand)
        places = [axis - len(shape) for axis in known.axes] if known is not None and shape is not None else []
        if places and places[-1] == units:
            found.append(tuple(len(call.out) + place for place in places if place != summed))
    return found[0] if len(found) == 1 else ()


def _einsum(call: Call) -> Axes:
    equation, *given = call.args
    operands = given[0] if isinstance(given[0], Sequence) else given
    taken, put_out = equation.replace(" ", "").split("->")
    named = list(zip(taken.split(","), map(call.weight, operands), strict=True))
    (own,) = (dict(zip(letters, weight.shape, strict=True)) for letters, weight in named if weight is not None)
    others = {letter for letters, weight in named if weight is None for letter in letters}
    put_out = put_out.replace("...", "." * (len(call.out) - len(put_out) + 3))
    units = [letter for letter in put_out if letter in own and letter not in others]
    stacked = [letter for letter in put_out if letter in others and own.get(letter, 1) > 1]
    return tuple(map(put_out.index, [*stacked, *units])) if units else ()


def _reshaped(call: Call) -> Axes:
    """The axes in the new shape that have as many elements before them, and as many in them.

    Several that follow one another may become one, and one may become several.
    """
    known, shape = call.origin(call.input), call.shape(call.input)
    if known is None or shape is None:
        return ()

    def placed(first: int, last: int) -> list[int]:
        before, units = prod(shape[:first]), prod(shape[first : last + 1])
        return [axis for axis, size in enumerate(call.out) if size == units and prod(call.out[:axis]) == before][:1]

    def spread(axis: int) -> list[int]:
        before, units, count = prod(shape[:axis]), shape[axis], len(call.out)
        begin = next((each for each in range(count) if prod(call.out[:each]) == before and call.out[each] > 1), count)
        return next((list(range(begin, end)) for end in range(begin, count + 1) if prod(call.out[begin:end]) == units), [])

    axes, first, last = known.axes, known.axes[0], known.axes[-1]
    if len(call.out) == len(axes) == 1 and prod(shape[first : last + 1]) == 1:
        return (1,)  # all that is left are its samples
    found = [axis for each in axes for axis in placed(each, each)]
    if len(found) < len(axes):
        in_order = sorted(axes) if known.is_split else list(axes)
        are_neighbours = in_order == list(range(in_order[0], in_order[-1] + 1))
        found = placed(in_order[0], in_order[-1]) if are_neighbours else []
    if not found and len(axes) == 1:
        found = spread(first)
    return tuple(found) or ((len(call.out),) if len(axes) == 1 and prod(shape[first : last + 1]) == 1 else ())


@_each
def _squeezed(call: Call) -> int | None:
    axis, shape, dims = _axis(call, call.input), call.shape(call.input), call.get(1, "dim")
    if axis is None or shape is None:
        return None
    chosen = range(len(shape)) if dims is None else dims if isinstance(dims, Sequence) else [dims]
    gone = {dim % len(shape) for dim in chosen if shape[dim] == 1}
    return len(call.out) if axis in gone else axis - sum(dim < axis for dim in gone)


@_each
def _swapped(call: Call) -> int | None:
    axis, count = _axis(call, call.input), len(call.out)
    if axis is None:
        return None
    first, second = (-2, -1) if call.name in ("t", "T", "mT", "adjoint") else (call.get(1, "dim0"), call.get(2, "dim1"))
    if call.name in ("T", "t") and count != 2:
        return count - 1 - axis
    first, second = first % count, second % count
    return {first: second, second: first}.get(axis, axis)


@_each
def _permuted(call: Call) -> int | None:
    axis, count = _axis(call, call.input), len(call.out)
    dims = call.kwargs.get("dims", call.args[1:])
    dims = dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    return None if axis is None else [dim % count for dim in dims].index(axis)


@_each
def _moved(call: Call) -> int | None:
    axis, count = _axis(call, call.input), len(call.out)
    if axis is None:
        return None
    sources, destinations = (
        [dim % count for dim in (dims if isinstance(dims, Sequence) else [dims])]
        for dims in (call.get(1, "source"), call.get(2, "destination"))
    )
    order = [dim for dim in range(count) if dim not in sources]
    for destination, source in sorted(zip(destinations, sources, strict=True)):
        order.insert(destination, source)
    return order.index(axis)


def _reduced(call: Call) -> Axes:
    if call.shape(call.get(1, "other")) is not None:  # the maximum of two tensors
        return _together(call)
    known, shape = call.origin(call.input), call.shape(call.input)
    dims = call.get(1, "dim", call.kwargs.get("axis"))
    if known is None or shape is None or dims is None:
        return ()
    gone = {dim % len(shape) for dim in (dims if isinstance(dims, Sequence) else [dims])}
    if known.axes[-1] in gone:
        return ()
    left = [axis for axis in known.axes if axis not in gone]
    return tuple(left if len(call.out) == len(shape) else [axis - sum(dim < axis for dim in gone) for axis in left])


@_each
def _without(call: Call) -> int | None:
    axis, shape, dim = _axis(call, call.input), call.shape(call.input), call.get(1, "dim", 0)
    if axis is None or shape is None:
        return None
    if dim % len(shape) == axis:
        return len(call.out) if shape[axis] == 1 else _GONE
    return axis - int(dim % len(shape) < axis)


def _joined(call: Call) -> Axes:
    """Tensors of one layer are one of it, too. Those of different layers have units side by side, or are stacked."""
    tensors = call.get(0, "tensors")
    known = [origin for origin in map(call.origin, tensors) if origin is not None and origin.axes]
    dim = call.get(1, "dim", 0) % len(call.out)
    if not known or any(origin.axes != known[0].axes for origin in known):
        return ()
    axes = tuple(axis + (dim <= axis) for axis in known[0].axes) if call.name == "stack" else known[0].axes
    if dim in axes:  # beside the units of a layer stand others, of whatever
        return () if any(origin.is_split for origin in known) else axes
    sources = {origin.sources for origin in known}
    if len(known) < len(tensors):
        return ()
    if len(sources) == 1 and known[0].sources:
        return axes
    return (dim, *axes) if call.name == "stack" and len(sources) == len(known) else ()


@_each
def _indexed(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    rows = call.shape(index[0]) if index else None
    if axis is not None and shape is not None and rows is not None and all(isinstance(each, slice) for each in index[1:]):
        more = len(call.out) - len(shape)
        chosen = 1 if more == len(rows) - 1 else len(rows)  # by their numbers, or by a mask over several axes
        return axis + more if axis >= chosen else None
    if (
        axis is None
        or shape is None
        or not all(each is None or each is ... or isinstance(each, int | slice) for each in index)
    ):
        return None
    source = result = 0
    for each in _entries(call):
        if each is None:
            result += 1
            continue
        if source == axis:
            return result if not isinstance(each, int) else len(call.out) if shape[axis] == 1 else _GONE
        source += 1
        result += not isinstance(each, int)
    return len(call.out) if source == axis else None


def _entries(call: Call) -> list[Any]:
    """What is taken of each axis of a tensor that is indexed, without an ellipsis."""
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    used = sum(each is not None and each is not ... for each in index)
    place = [place for place, each in enumerate(index) if each is ...] or [len(index)]
    missing = len(call.shape(call.input) or ()) - used
    return [*index[: place[0]], *[slice(None)] * missing, *index[place[0] + 1 :]]


@_each
def _aggregated(call: Call) -> int | None:
    """Rows that are added up where others say, as a graph's messages are."""
    axis = _axis(call, call.get(3, "source", call.kwargs.get("src")))
    return None if axis is None or call.get(1, "dim") % len(call.out) == axis else axis


@_each
def _selected(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    return None if shape is None or call.get(1, "dim") % len(shape) == axis else axis


@_each
def _expanded(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    return None if axis is None or shape is None else axis + len(call.out) - len(shape)


@_each
def _attention(call: Call) -> int | None:
    return _axis(call, call.get(2, "value"))


_MOVES = "view reshape flatten unflatten squeeze unsqueeze transpose swapaxes swapdims t T mT permute movedim"
_COPIES = "contiguous clone detach to float half double bfloat16 type cuda cpu type_as"
_PARTS = "dropout getitem select narrow chunk split"
_DIVISIONS = frozenset(["chunk", "split", "tensor_split", "unbind"])
_AS_THEY_WERE = frozenset(f"{_MOVES} {_COPIES} {_PARTS} nan_to_num".split())
_FORMS = _AS_THEY_WERE | {"expand"}

_NAMES: dict[Callable[[Call], Axes], str] = {
    _last: "linear bilinear embedding embedding_bag lstm gru rnn_tanh rnn_relu multi_head_attention_forward",
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
        "max_unpool1d max_unpool2d max_unpool3d pixel_shuffle pixel_unshuffle channel_shuffle grid_sample "
        "interpolate upsample pad local_response_norm normalize softmax log_softmax celu elu selu gelu silu mish softplus "
        "logsigmoid tanhshrink rrelu abs neg exp log sqrt rsqrt square pow sin cos tan atan sinh cosh asinh erf "
        "log1p expm1 reciprocal sign round nan_to_num repeat_interleave clamp_max masked_fill real imag "
        "fake_quantize_per_tensor_affine fake_quantize_per_channel_affine fused_moving_avg_obs_fake_quant "
        f"{_COPIES} requires_grad chunk split tensor_split narrow roll flip cumsum"
    ),
    _together: "add sub mul div true_divide truediv rsub radd rmul subtract multiply divide maximum minimum where lerp",
    _product: "matmul linalg_matmul mm bmm mv addmm addmv addbmm baddbmm _sparse_mm _sparse_addmm smm hspmm",
    _einsum: "einsum",
    _reshaped: "view reshape flatten unflatten unsqueeze view_as reshape_as",
    _squeezed: "squeeze",
    _swapped: "transpose swapaxes swapdims t T mT adjoint",
    _permuted: "permute",
    _moved: "movedim moveaxis",
    _reduced: "mean sum amax amin std var logsumexp max min",
    _without: "select unbind",
    _selected: "index_select",
    _aggregated: "index_add scatter_add scatter_reduce index_reduce",
    _joined: "cat concat concatenate stack",
    _indexed: "getitem",
    _expanded: "expand expand_as repeat tile",
    _attention: "scaled_dot_product_attention",
}
_MAKERS = (_last, _convolution, _second, _product, _einsum)
_RULES = {name: rule for rule, names in _NAMES.items() for name in names.split()}
_RULES |= {f"conv_transpose{count}d": _convolution for count in (1, 2, 3)}
_RULES |= {name: _kept for name in NAMES if name not in _RULES}
