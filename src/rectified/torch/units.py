"""Which axes of a tensor count the units, and of which layers: followed from call to call, never read from a shape."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

from rectified.torch.axes import (
    AS_THEY_WERE,
    DIVISIONS,
    FORMS,
    MAKERS,
    RULES,
    entries,
    expanded,
    joined,
    kept,
    product,
    reshaped,
    selected,
    together,
)
from rectified.torch.calls import LOGARITHM, Axes, Call, Origin, Shape, Weight

_NORMAL = frozenset(["normalize", "cosine_similarity"])
_PRODUCTS = frozenset(["linear", "matmul", "mm", "bmm"])


def origin_of(call: Call) -> Origin:
    """The origin of what a call returns, as far as it can be known."""
    name = _plain(call.name)
    rule = RULES.get(name)
    axes: Axes = ()
    is_split, taken = False, dict[int, int]()
    if rule is not None and call.out:
        with suppress(Exception):  # a form of the call that the rule does not know must not end a program
            axes = rule(call)
            is_split = len(axes) > 1 and _is_split(call, rule, axes)
            taken = _taken(call)
    before = call.origin(call.input) or Origin()
    same = before if name in AS_THEY_WERE else Origin()
    logits = before.activation if name == LOGARITHM else same.logits
    is_softmax = name == "softmax" or same.is_softmax
    is_normal = (
        name in _NORMAL or same.is_normal or (name in _PRODUCTS and all(map(_is_normal, map(call.origin, call.args[:2]))))
    )
    if is_split and rule in (kept, expanded) and name not in AS_THEY_WERE and call.shape(call.input) != call.out:
        axes = ()
    if not axes or not all(0 <= axis < len(call.out) + (axis == axes[-1]) for axis in axes):
        return Origin((), same.activation, logits=logits, is_softmax=is_softmax, is_normal=is_normal)
    found = Origin(axes, same.activation, *_sources(call), logits, is_softmax, is_normal, is_split)
    return found.of_units([taken.get(axis, 0) for axis in before.axes])


def _is_normal(origin: Origin | None) -> bool:
    return origin is not None and origin.is_normal


def part_of(origin: Origin, call: Call, parts: Sequence[Shape | None], number: int) -> Origin:
    """The origin of one of the tensors that a call gave, whose shapes these are, given the origin of all."""
    if _plain(call.name) == "broadcast_tensors":  # each is expanded by itself
        tensors = call.input if isinstance(call.input, list | tuple) else call.args
        return origin_of(replace(call, name="expand", args=(tensors[number],), out=parts[number] or ()))
    before, shape = call.origin(call.input), call.shape(call.input)
    if before is None or shape is None or not origin.axes or _plain(call.name) not in DIVISIONS:
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
    return RULES.get(_plain(name)) in MAKERS


def chooses(name: str) -> bool:
    """Whether a function puts rows in the places of others, as sorting does."""
    return RULES.get(_plain(name)) is selected


def weight_of(call: Call) -> Weight | None:
    """What a call returns, where it is a learned tensor in another form, or several together; None for others."""
    name = _plain(call.name)
    rule, size = RULES.get(name), prod(call.out)
    if rule not in (joined, together, kept, product) and name not in FORMS:
        return None
    tensors = _tensors(call)
    if rule in (together, kept):  # scaled, for instance, by what is no activation
        tensors = [each for each in tensors if call.weight(each) is not None or call.origin(each) is not None]
    weights = [weight for weight in map(call.weight, tensors) if weight is not None]
    if not weights or len(weights) < len(tensors):
        return None
    first, *others = weights
    if name == "expand":
        return Weight(first.id, (1,) * (len(call.out) - len(first.shape)) + first.shape)
    # What repeats along an axis must not become an axis like others.
    if rule is not product and size > sum(prod(weight.shape) for weight in weights):
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
    return name[1:] if name not in RULES and name[:1] in ("i", "r") else name


def _sources(call: Call) -> tuple[frozenset[tuple[Hashable, ...]], frozenset[Any]]:
    """The weights of a call, or those behind its arguments where it has none of its own, and what these passed since."""
    tensors = _tensors(call)
    factors = tensors[1:] if "add" in call.name else tensors  # without a bias
    own = [weight.id for weight in map(call.weight, factors) if weight is not None and len(weight.shape) > 1]
    if own and RULES.get(_plain(call.name)) in MAKERS:
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
    taken = [each for each in entries(call) if each is not None]
    starts = [each if isinstance(each, int) else each.indices(size)[0] for each, size in zip(taken, shape, strict=False)]
    return {axis: start % shape[axis] for axis, start in enumerate(starts)}


def _is_split(call: Call, rule: Any, axes: Axes) -> bool:
    """Whether one axis of units has become these."""
    tensors = _tensors(call)
    known = [origin for origin in map(call.origin, tensors) if origin is not None and origin.axes]
    if rule is reshaped and len(axes) > len(known[0].axes):
        return True
    is_made = rule in MAKERS and any(map(call.weight, tensors))
    return not is_made and any(origin.is_split for origin in known)
