"""On which axes of a result the units are, given those of the arguments: a rule for each of PyTorch's functions.

A convolution makes its channels the axis after the batch, a linear layer the last one. Where the weights of several layers
are stacked in one tensor, another axis counts the layers. Normalization, dropout, pooling and sums of equals keep an axis,
and what moves axes moves it. Where this is not enough the axes are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from rectified.torch.calls import Axes, Call, Origin
from rectified.torch.functions import NAMES

_GONE = -1  # of an axis that the result has not


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
def kept(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    return axis if shape is not None and len(shape) == len(call.out) else None


def _channels(call: Call) -> Axes:
    """A norm with a scale for each channel tells the axis even where nothing else does."""
    found, known = kept(call), call.origin(call.input)
    is_told = bool(found) and found[-1] < len(call.out) and not (known and known.is_split)
    return found if is_told else (1,)


def _normalized(call: Call) -> Axes:
    found, over = kept(call), call.get(1, "normalized_shape")
    is_told = bool(found) and found[-1] < len(call.out)
    return (len(call.out) - 1,) if not is_told and isinstance(over, Sequence) and len(over) == 1 else found


@_each
def together(call: Call) -> int | None:
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


def product(call: Call) -> Axes:
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


def _contracted(call: Call) -> Axes:
    """Where a weight has one axis that nothing is added up along, that is the last one."""
    weight, dims = call.weight(call.get(1, "other")), call.get(2, "dims", 2)
    count = 1 if call.name == "inner" else dims if isinstance(dims, int) else len(dims[1])
    return (len(call.out) - 1,) if weight is not None and len(weight.shape) == count + 1 else ()


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
    inputs = [
        (_spelled(letters, len(call.shape(operand) or ())), operand)
        for letters, operand in zip(taken.split(","), operands, strict=True)
    ]
    put_out = _spelled(put_out, len(call.out))
    if not any(map(call.weight, operands)):
        return _mixed_by_letters(call, inputs, put_out)
    named = [(letters, call.weight(operand)) for letters, operand in inputs]
    (own,) = (dict(zip(letters, weight.shape, strict=True)) for letters, weight in named if weight is not None)
    others = {letter for letters, weight in named if weight is None for letter in letters}
    units = [letter for letter in put_out if letter in own and letter not in others]
    stacked = [letter for letter in put_out if letter in others and own.get(letter, 1) > 1]
    return tuple(map(put_out.index, [*stacked, *units])) if units else ()


def _spelled(letters: str, dimensions: int) -> str:
    """The letters with one for each axis of an ellipsis, which are the same from the end, as in broadcasting."""
    return letters.replace("...", "0123456789"[10 - (dimensions - len(letters) + 3) :])


def _mixed_by_letters(call: Call, inputs: Sequence[tuple[str, Any]], put_out: str) -> Axes:
    """Numbers that others weigh, as attention does, have the units that they had, if these are not added up."""
    found = set()
    for letters, operand in inputs:
        known = call.origin(operand)
        places = [letters[axis] for axis in known.axes] if known is not None else []
        if places and places[-1] in put_out:
            found.add(tuple(map(put_out.index, (letter for letter in places if letter in put_out))))
    return found.pop() if len(found) == 1 else ()


def reshaped(call: Call) -> Axes:
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
        if begin == 0:
            return []  # there it is examples that were beside the units, as groups of a convolution for instance
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
    first, second = (
        (-2, -1) if call.name in ("t", "T", "mT", "H", "mH", "adjoint") else (call.get(1, "dim0"), call.get(2, "dim1"))
    )
    if call.name in ("T", "t", "H") and count != 2:
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
        return together(call)
    known, shape = call.origin(call.input), call.shape(call.input)
    dims = call.get(_PLACES.get(call.name, 1), "dim", call.kwargs.get("axis", -1 if call.name in _OF_THE_LAST else None))
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


def joined(call: Call) -> Axes:
    """Tensors of one layer are one of it, too. Those of different layers have units side by side, or are stacked."""
    tensors = call.get(0, "tensors")
    known = [origin for origin in map(call.origin, tensors) if origin is not None and origin.axes]
    dim = _STACKED_ON.get(call.name, call.get(1, "dim", 0)) % len(call.out)
    is_another = call.name in _STACKED_ON and len(call.shape(tensors[0]) or ()) != len(call.out)
    if not known or is_another or any(origin.axes != known[0].axes for origin in known):
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
    if axis is None or shape is None:
        return None
    found, source = [], 0  # what is left after single places are taken, with the axes of these in the tensor
    for each in entries(call):
        axes = range(source, source + (0 if each is None else _width(call, each)))
        source = axes.stop
        if not isinstance(each, int):
            found.append((each, axes))
        elif axis in axes:
            return len(call.out) if shape[axis] == 1 else _GONE
    place = next(place for place, (_, axes) in enumerate(found) if axis in axes)
    is_whole = [each is None or isinstance(each, slice) for each, _ in found]
    if not is_whole[place]:
        return None
    chosen = [number for number, whole in enumerate(is_whole) if not whole]
    more = len(call.out) - sum(is_whole)  # axes that those have together, at the front if they do not stand side by side
    are_apart = bool(chosen) and chosen[-1] - chosen[0] >= len(chosen)
    return sum(is_whole[:place]) + (more if are_apart or not all(is_whole[:place]) else 0)


def entries(call: Call) -> list[Any]:
    """What is taken of each axis of a tensor that is indexed, without an ellipsis."""
    index = _index(call)
    used = sum(_width(call, each) for each in index if each is not None and each is not ...)
    place = [place for place, each in enumerate(index) if each is ...] or [len(index)]
    missing = len(call.shape(call.input) or ()) - used
    return [*index[: place[0]], *[slice(None)] * missing, *index[place[0] + 1 :]]


def _index(call: Call) -> tuple[Any, ...]:
    return call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)


def _width(call: Call, entry: Any) -> int:
    """Of how many axes an index chooses: of several it is a mask, which leaves one of them."""
    rows, index, shape = call.shape(entry), _index(call), call.shape(call.input) or ()
    if rows is None or len(rows) < 2:
        return 1
    others = sum(isinstance(each, int) for each in index) - sum(each is None for each in index)
    return 1 if len(call.out) == len(shape) - others + len(rows) - 1 else len(rows)


@_each
def _aggregated(call: Call) -> int | None:
    """Rows that are added up where others say, as a graph's messages are."""
    axis = _axis(call, call.get(3, "source", call.kwargs.get("src")))
    return None if axis is None or call.get(1, "dim") % len(call.out) == axis else axis


@_each
def selected(call: Call) -> int | None:
    """Rows that are chosen, sorted or overwritten along an axis, each in the place of another."""
    axis, shape, usual = _axis(call, call.input), call.shape(call.input), -1 if call.name in ("sort", "topk") else 0
    dim = call.get(_PLACES.get(call.name, 1), "dim", call.kwargs.get("axis", usual))
    are_others = dim is None or shape is None or len(call.out) != len(shape) or dim % len(shape) == axis
    return None if are_others else axis


@_each
def _in_front(call: Call) -> int | None:
    """What has more axes behind those that there were, or one less."""
    axis, shape = _axis(call, call.input), call.shape(call.input)
    is_kept = shape is not None and (call.name != "unfold" or (len(call.args) == 4 and call.args[1] % len(shape) != axis))
    return axis if axis is not None and is_kept and axis < len(call.out) else None


@_each
def _copied(call: Call) -> int | None:
    axis, shape = _axis(call, call.get(1, "src")), call.shape(call.get(1, "src"))
    return None if axis is None or shape is None else axis + len(call.out) - len(shape)


def _transformed(call: Call) -> Axes:
    axes = kept(call)
    return axes if len(axes) == 1 else ()


def _packed(call: Call) -> Axes:
    """Sequences of rows, as recurrent networks get them."""
    given = call.get(0, "sequences")
    first = given[0] if isinstance(given, Sequence) else given
    known, shape = call.origin(first), call.shape(first)
    return (len(call.out) - 1,) if known is not None and shape and known.axes == (len(shape) - 1,) else ()


@_each
def expanded(call: Call) -> int | None:
    axis, shape = _axis(call, call.input), call.shape(call.input)
    return None if axis is None or shape is None else axis + len(call.out) - len(shape)


@_each
def _attention(call: Call) -> int | None:
    return _axis(call, call.get(2, "value"))


_PLACES = {  # of the axis among the arguments, where it is not the second
    "topk": 2,
    "take_along_dim": 2,
    "kthvalue": 2,
    "segment_reduce": 4,
    "norm": 2,
    "vector_norm": 2,
    "linalg_norm": 2,
    "linalg_vector_norm": 2,
}
_OF_THE_LAST = frozenset(["mode", "kthvalue"])  # axis, where none is given
_STACKED_ON = {"hstack": 1, "vstack": 0, "dstack": 2}

_MOVES = "view reshape flatten unflatten squeeze unsqueeze transpose swapaxes swapdims t T mT permute movedim"
_COPIES = "contiguous clone detach to float half double bfloat16 type cuda cpu type_as"
_PARTS = "dropout getitem select narrow chunk split"
_CUTS = "chunk split tensor_split split_with_sizes unsafe_chunk unsafe_split hsplit vsplit dsplit"
DIVISIONS = frozenset(["unbind", *_CUTS.split()])
AS_THEY_WERE = frozenset(f"{_MOVES} {_COPIES} {_PARTS} nan_to_num".split())
FORMS = AS_THEY_WERE | {"expand"}

_NAMES: dict[Callable[[Call], Axes], str] = {
    _last: (
        "linear bilinear embedding embedding_bag lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell "
        "multi_head_attention_forward conv_tbc"
    ),
    _convolution: "conv1d conv2d conv3d",
    _second: "convolution",  # of any dimension, always with a batch
    _channels: (
        "batch_norm instance_norm group_norm "
        "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training native_group_norm"
    ),
    _normalized: "layer_norm rms_norm native_layer_norm",
    kept: (
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
        "logcumsumexp cumprod cummax cummin logit lgamma digamma erfc erfinv exp2 log2 log10 sinc asin acos atanh acosh "
        "ceil floor trunc frac positive renorm softmin gumbel_softmax bernoulli masked_scatter index_put diff tril triu "
        f"{_COPIES} {_CUTS} requires_grad narrow roll flip cumsum"
    ),
    together: (
        "add sub mul div true_divide truediv rsub radd rmul subtract multiply divide maximum minimum where lerp addcmul "
        "addcdiv fmax fmin fmod remainder mod float_power atan2 hypot copysign logaddexp xlogy heaviside complex polar"
    ),
    product: "matmul linalg_matmul mm bmm mv addmm addmv addbmm baddbmm _sparse_mm _sparse_addmm smm hspmm",
    _einsum: "einsum",
    _contracted: "tensordot inner",
    reshaped: "view reshape flatten unflatten unsqueeze view_as reshape_as",
    _squeezed: "squeeze",
    _swapped: "transpose swapaxes swapdims t T mT H mH adjoint",
    _permuted: "permute",
    _moved: "movedim moveaxis",
    _reduced: (
        "mean sum amax amin std var logsumexp max min prod nansum nanmean median nanmedian mode kthvalue aminmax std_mean "
        "var_mean norm vector_norm linalg_norm linalg_vector_norm"
    ),
    _without: "select unbind",
    selected: "index_select gather take_along_dim sort topk msort scatter index_copy index_fill segment_reduce",
    _aggregated: "index_add scatter_add scatter_reduce index_reduce",
    joined: "cat concat concatenate stack hstack vstack dstack",
    _indexed: "getitem",
    expanded: "expand expand_as broadcast_to repeat tile",
    _in_front: "unfold view_as_real view_as_complex",
    _copied: "copy",
    _transformed: " ".join(f"fft_{form}fft{count}" for form in ("", "i", "r", "ir") for count in ("", "2", "n")),
    _packed: "_pack_padded_sequence _pad_packed_sequence pad_sequence",
    _attention: "scaled_dot_product_attention",
}
MAKERS = (_last, _convolution, _second, product, _einsum, _contracted)
RULES = {name: rule for rule, names in _NAMES.items() for name in names.split()}
RULES |= {f"conv_transpose{count}d": _convolution for count in (1, 2, 3)}
RULES |= {name: kept for name in NAMES if name not in RULES}
