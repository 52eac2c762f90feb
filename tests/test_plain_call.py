"""Calls past NumPy's machinery: which are plain, and that they do what the ufunc does."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import sys
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rectified as rf
from rectified._native import called_plainly, plain_method

HARDTANH: Any = rf.ufuncs.named("hardtanh")
SOFTMAX: Any = rf.ufuncs.named("softmax")
NUMBERS = (-1.0, 1.0)
X = np.linspace(-2, 2, 24, dtype=np.float32).reshape(4, 6)


class Held:
    """Something that can be referred to."""


class Road(called_plainly):
    """An activation as the native part sees it: what is not plain comes to its method."""

    def __init__(self, ufunc: Any, parameters: Any, *layout: Any) -> None:
        self._plain_value = self.road = ufunc, parameters, *layout

    def _evaluate(self, *operands: Any, **keywords: Any) -> Any:
        return "not plain"

    method = plain_method("road", _evaluate)

    def is_plain(self, *operands: Any, **keywords: Any) -> bool:
        called = [self(*operands, **keywords), self.method(*operands, **keywords)]
        if any(isinstance(each, str) for each in called):
            assert called == ["not plain"] * 2
            return False
        return True


BARE = Road(HARDTANH, ())


class Subclass(np.ndarray[Any, Any]):
    """An array that NumPy keeps the class of."""


def overlapping() -> tuple[Any, Any]:
    room = np.linspace(-2, 2, 25, dtype=np.float32)
    return room[:-1], room[1:]


def read_only() -> Any:
    array = np.zeros_like(X)
    array.flags.writeable = False
    return array


def shares_with_itself(x: Any) -> tuple[Any, Any]:
    return x, x


PLAIN: dict[str, Callable[[], tuple[Any, ...]]] = {
    "float32": lambda: (X.copy(), *NUMBERS),
    "float64": lambda: (X.astype(float), *NUMBERS),
    "float16": lambda: (X.astype(np.float16), *NUMBERS),
    "float16 beside a number that it rounds": lambda: (X.astype(np.float16), -1.0, 1 + 2**-11 + 2**-40),
    "float16 beside a number that it has not": lambda: (X.astype(np.float16), -1e5, 65519.0),
    "one axis": lambda: (X.ravel(), *NUMBERS),
    "whole numbers": lambda: (X.copy(), -1, 1),
    "a parameter for each": lambda: (X.copy(), -np.ones_like(X), 1.0),
    "infinite parameter": lambda: (X.copy(), -np.inf, 1.0),
    "parameter that overflows": lambda: (X.copy(), -1e300, 1.0),
    "NaN parameter": lambda: (X.copy(), -1.0, np.nan),
    "an array of parameters alone": lambda: (0.5, -np.ones(3), 1.0),
}
OTHERS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "integers": lambda: (X.astype(np.int32), *NUMBERS),
    "mixed precision": lambda: (X.copy(), -np.ones(X.shape), 1.0),
    "list": lambda: (X.tolist(), *NUMBERS),
    "numbers": lambda: (0.25, *NUMBERS),
    "no axis": lambda: (np.array(0.25, np.float32), *NUMBERS),
    "nothing": lambda: (X[:0], *NUMBERS),
    "order F": lambda: (np.asfortranarray(X), *NUMBERS),
    "strided": lambda: (X[:, ::2], *NUMBERS),
    "backwards": lambda: (X.ravel()[::-1], *NUMBERS),
    "bytes swapped": lambda: (X.astype(">f4"), *NUMBERS),
    "subclass": lambda: (X.view(Subclass), *NUMBERS),
    "broadcast": lambda: (X.copy(), -np.ones(6, np.float32), 1.0),
    "scalar of NumPy's": lambda: (X.copy(), np.float64(-1), 1.0),
    "large whole number": lambda: (X.copy(), -1, 2**24 + 1),
    "very large whole number": lambda: (X.copy(), -1, 2**200),
    "complex": lambda: (X.copy(), -1.0, 1j),
    "text": lambda: (X.copy(), -1.0, "1"),
    "too many": lambda: (X.copy(), *NUMBERS, np.empty_like(X), 1.0),
}
OUTS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "new": lambda x: (x, None),
    "beside": lambda x: (x, np.empty_like(x)),
    "in place": shares_with_itself,
    "overlapping": lambda _: overlapping(),
    "read only": lambda x: (x, read_only()),
    "another shape": lambda x: (x, np.empty(3, x.dtype)),
    "wider": lambda x: (x, np.empty(x.shape, float)),
    "narrower": lambda x: (x, np.empty(x.shape, np.float16)),
    "order F": lambda x: (x, np.empty(x.shape, x.dtype, order="F")),
    "subclass": lambda x: (x, np.empty_like(x).view(Subclass)),
    "tuple": lambda x: (x, (np.empty_like(x),)),
    "list": lambda x: (x, [0.0]),
}


def outcome(call: Callable[..., Any], *operands: Any, **keywords: Any) -> Any:
    """What comes of a call: bits and kind of the result, or the error, and the warnings."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            result = call(*operands, **keywords)
        except (TypeError, ValueError) as error:
            return type(error), [str(warning.message) for warning in found]
    array = np.asanyarray(result)
    told = [str(warning.message) for warning in found]
    return type(result), array.dtype, array.shape, array.strides, array.tobytes(), told


@pytest.mark.parametrize("name", [*PLAIN, *OTHERS])
def test_operands(name: str) -> None:
    operands = (PLAIN | OTHERS)[name]()
    with np.errstate(over="ignore"):
        expected = outcome(HARDTANH, *operands)
    assert outcome(rf.hardtanh, *operands) == expected
    assert BARE.is_plain(*operands) is (name in PLAIN)


@pytest.mark.parametrize("numbers", [NUMBERS, (-1, 1), (-np.inf, 1e300), (-1.0, 1 + 2**-8 + 2**-30), (np.nan, 3e-45)])
def test_bfloat16_is_known_once_it_was_asked_for(numbers: Any) -> None:
    x = X.astype(ml_dtypes.bfloat16)
    rf.ufuncs.learn_bfloat16()
    assert outcome(rf.hardtanh, x, *numbers) == outcome(HARDTANH, x, *map(ml_dtypes.bfloat16, numbers))
    assert BARE.is_plain(x, *numbers)
    assert not BARE.is_plain(x, np.float32(-1), 1.0)
    assert not BARE.is_plain(x.astype(ml_dtypes.float8_e5m2), *numbers)


@pytest.mark.parametrize("name", OUTS)
def test_out(name: str) -> None:
    def called(function: Any) -> Any:
        x, out = OUTS[name](X.copy())
        return outcome(function, x, *NUMBERS, out=out)

    assert called(rf.hardtanh) == called(HARDTANH)
    x, out = OUTS[name](X.copy())
    is_plain = name in ("new", "beside", "in place")
    assert BARE.is_plain(x, *NUMBERS, **({} if out is None else {"out": out})) is is_plain
    if is_plain and out is not None:
        assert BARE(x, *NUMBERS, out=out) is out


@pytest.mark.parametrize("keywords", [{"where": X > 0}, {"dtype": np.float64}, {"casting": "no"}, {"nonsense": 1}])
def test_other_keywords_are_for_numpy(keywords: dict[str, Any]) -> None:
    assert not BARE.is_plain(X, *NUMBERS, **keywords)
    assert not BARE.is_plain(X, *NUMBERS, out=np.zeros_like(X), **keywords)


@pytest.mark.parametrize(
    ("given", "keywords", "numbers"),
    [
        ((), {}, (-1.0, 1.0)),
        ((-0.5,), {}, (-0.5, 1.0)),
        ((-0.5, 0.25), {}, (-0.5, 0.25)),
        ((), {"min": -0.5}, (-0.5, 1.0)),
        ((), {"max": 0.25}, (-1.0, 0.25)),
        ((), {"max": 0.25, "min": -0.5}, (-0.5, 0.25)),
        ((-0.5,), {"max": 0.25}, (-0.5, 0.25)),
        ((-0.5,), {"min": -0.5}, None),
        ((-0.5, 0.25, 1.0), {}, None),
        ((), {"slope": 1.0}, None),
    ],
)
def test_parameters(given: tuple[float, ...], keywords: dict[str, float], numbers: tuple[float, ...] | None) -> None:
    road, out = Road(HARDTANH, {"min": -1.0, "max": 1.0}), np.empty_like(X)
    assert road.is_plain(X, *given, **keywords) is (numbers is not None)
    if numbers:
        np.testing.assert_array_equal(road(X, *given, **keywords), HARDTANH(X, *numbers))
        np.testing.assert_array_equal(road.method(X, *given, out=out, **keywords), HARDTANH(X, *numbers))


def test_parameters_that_stay() -> None:
    road = Road(HARDTANH, (-0.5, 0.25))
    np.testing.assert_array_equal(road(X), HARDTANH(X, -0.5, 0.25))
    assert road.is_plain(X, -0.5)
    assert road.is_plain(X, -0.5, 0.25)
    for others in [(-0.25,), (-0.5, 0.5), (np.nan, 0.25), (-1, 0.25), (-0.5, 0.25, 1.0)]:
        assert not road.is_plain(X, *others)
    assert not road.is_plain(X, min=-0.5)


@pytest.mark.parametrize("parameters", [None, (), {}, {"min": -1.0}])
def test_too_few_parameters(parameters: Any) -> None:
    assert not Road(HARDTANH, parameters).is_plain(X)


@pytest.mark.parametrize("road", [None, (), (HARDTANH,), (np.sum, ()), [HARDTANH, ()], 1, (HARDTANH, NUMBERS, "w", [])])
def test_what_is_no_road(road: Any) -> None:
    broken = Road(HARDTANH, NUMBERS)
    broken._plain_value = broken.road = road
    assert broken(X) == "not plain"
    assert Road.method(broken, X) == "not plain"


def test_a_method_without_its_activation() -> None:
    with pytest.raises(AttributeError, match="road"):
        Road.method(1.0, X)
    with pytest.raises(TypeError, match="str"):
        plain_method(1, print)  # type: ignore[arg-type]


ROWS: dict[str, tuple[bool, Callable[[], tuple[Any, ...]]]] = {
    "rows": (True, lambda: (X.copy(),)),
    "one row": (True, lambda: (X.ravel(),)),
    "three axes": (True, lambda: (X.reshape(2, 3, 4),)),
    "float64": (True, lambda: (X.astype(float),)),
    "float16": (True, lambda: (X.astype(np.float16),)),
    "the last axis": (True, lambda: (X.copy(), 1)),
    "the last axis from the end": (True, lambda: (X.copy(), -1)),
    "another axis": (False, lambda: (X.copy(), 0)),
    "the first axis from the end": (False, lambda: (X.copy(), -2)),
    "no such axis": (False, lambda: (X.copy(), 2)),
    "a very large axis": (False, lambda: (X.copy(), 2**70)),
    "fraction of an axis": (False, lambda: (X.copy(), 1.0)),
    "no axis": (False, lambda: (np.array(1.0, np.float32),)),
    "a number": (False, lambda: (1.0,)),
    "empty rows": (False, lambda: (X[:, :0],)),
    "order F": (False, lambda: (np.asfortranarray(X),)),
    "strided": (False, lambda: (X[:, ::2],)),
    "list": (False, lambda: (X.tolist(),)),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    is_plain, operands = ROWS[name]
    x, *axis = operands()
    if is_plain:
        assert outcome(rf.softmax, x, *axis) == outcome(SOFTMAX, x)
    assert Road(SOFTMAX, {"axis": -1}).is_plain(x, *axis) is is_plain
    assert Road(SOFTMAX, {"axis": 0}).is_plain(x) is (is_plain and np.ndim(x) == 1)
    if axis:
        assert Road(SOFTMAX, {"axis": -1}).is_plain(x, axis=axis[0]) is is_plain


@pytest.mark.parametrize("name", OUTS)
def test_out_of_rows(name: str) -> None:
    def called(function: Any) -> Any:
        x, out = OUTS[name](X.copy())
        return outcome(function, x, out=out)

    assert called(rf.softmax) == called(SOFTMAX)
    x, out = OUTS[name](X.copy())
    keywords = {} if out is None else {"out": out}
    assert Road(SOFTMAX, {"axis": -1}).is_plain(x, **keywords) is (name in ("new", "beside"))


UNITS = [rf.glu, rf.swiglu, rf.gated(rf.leaky_relu.bind(slope=0.3)), rf.gated(rf.hardtanh, gate="second"), rf.crelu]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 8), (10,), (3, 2)])
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_halves(unit: Any, shape: tuple[int, ...], dtype: Any) -> None:
    rng = np.random.default_rng(1)
    x, v = (rng.normal(size=shape).astype(dtype) for _ in "xv")
    dy = rng.normal(size=unit(x).shape).astype(dtype)
    spread = [np.repeat(each, 2, -1)[..., ::2] for each in (x, v, dy)]  # not side by side, so not plain
    for called, like in (
        (lambda x, v, dy, out=None: unit(x, out=out), dy),
        (lambda x, v, dy, out=None: unit.backward(dy, x, axis=x.ndim - 1, out=out), x),
        (lambda x, v, dy, out=None: unit.jvp(v, x, -1, out=out), dy),
    ):
        expected, out = called(*spread), np.empty_like(like)
        assert outcome(called, x, v, dy) == outcome(lambda value: value.copy(), expected)
        assert called(x, v, dy, out=out) is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", ["glu", "crelu"])
def test_which_halves_are_plain(name: str) -> None:
    unit, x = getattr(rf, name), np.ones((4, 6), np.float32)
    y = unit(x)
    road = Road(*unit._plain_value)
    assert road.is_plain(x)
    assert road.is_plain(x, axis=1)
    assert road.is_plain(x, out=np.empty_like(y))
    for keywords in ({"axis": 0}, {"out": x}, {"out": np.empty_like(y, float)}, {"dtype": np.float64}):
        assert not road.is_plain(x, **keywords)
    assert not road.is_plain(x[:, ::2])
    backward = Road(*unit._plain_backward)
    assert backward.is_plain(y, x)
    for other in (y[:2], y[:, :2].copy(), np.ones((4, 1, y.shape[1]), y.dtype), y.astype(float), 1.0):
        assert not backward.is_plain(other, x)
    assert not Road(*rf.glu._plain_value).is_plain(np.ones((4, 5), np.float32))


def test_ufuncs_that_are_no_plain_ones() -> None:
    assert not Road(rf.ufuncs.named("maxout"), {"axis": -1}).is_plain(X)
    assert not Road(np.matmul, {"axis": -1}).is_plain(X, X)
    assert not Road(np.modf, {}).is_plain(X)


def test_an_array_that_warns_when_it_is_written() -> None:
    out, _ = np.broadcast_arrays(np.zeros((1, 3)), np.zeros((1, 3)))
    x = np.ones((1, 3))
    assert outcome(rf.relu, x, out=out) == outcome(rf.ufuncs.named("relu"), x, out=out)


def test_what_a_call_holds_it_lets_go() -> None:
    x, out = np.ones(8), np.empty(8)
    before = sys.getrefcount(x), sys.getrefcount(out)
    for _ in range(100):
        rf.relu(x, out=out)
        rf.relu(x)
    assert (sys.getrefcount(x), sys.getrefcount(out)) == before
    assert sys.getrefcount(rf.relu(x)) == 1 + (sys.version_info < (3, 14))


def test_what_a_method_says_of_itself() -> None:
    assert inspect.signature(rf.relu.backward) == inspect.signature(type(rf.relu).backward.__wrapped__.__get__(rf.relu))  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(rf.relu.backward))(X, X) is not None
    assert rf.relu.backward.__doc__ == type(rf.relu).backward.__doc__


def test_objects_are_collected() -> None:
    road = Road(HARDTANH, NUMBERS)
    road.itself = road  # type: ignore[attr-defined]
    gone = weakref.ref(road)
    method = plain_method("road", lambda _: method)  # noqa: F821
    function = weakref.ref(method.__dict__.setdefault("held", Held()))
    del road, method
    gc.collect()
    assert (gone(), function()) == (None, None)


FUNCTIONS = [
    *rf.catalogue.values(),
    rf.gated(rf.elu.bind(alpha=0.5), gate="second"),
    rf.leaky_relu.bind(slope=np.array([0.1, 0.2, 0.3, 0.4])),
    rf.elu.bind(alpha=-1.0),
    rf.softmax.bind(axis=0),
]
DTYPES = [np.float32, np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
SHAPES = [(4,), (2, 4), (3, 2, 4), (0,), (2, 0), (5,), (1,), (4, 1), ()]
KINDS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x,
    "order F": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, -1)[..., ::2] if x.ndim else x,
    "backwards": lambda x: x[..., ::-1] if x.ndim else x,
    "integers": lambda x: x.astype(np.int32),
    "bytes swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "wider": lambda x: x.astype(float),
    "list": lambda x: x.tolist(),
    "number": lambda x: float(x.sum()),
    "broadcast": lambda x: x[:1] if x.ndim else x,
}
PARAMETERS = [0.5, 1.0, 0.0, -1.0, 2, 1e300, np.inf, np.nan, np.float32(0.3), True, -1, None, 2**70, "1"]


@st.composite
def calls(draw: st.DrawFn) -> tuple[Any, str, list[Any], list[Any], dict[str, Any]]:
    """A function, a method, its operands, parameters by position, and keywords; mostly plain ones."""
    function = draw(st.sampled_from(FUNCTIONS))
    names = ["derivative", "backward", "backward_from_output", "jvp"]
    method = draw(st.sampled_from(["value", *(name for name in names if hasattr(function, name))]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DTYPES))

    def operand(shape: tuple[int, ...]) -> Any:
        kind = draw(st.sampled_from(["plain"] * len(KINDS) + [*KINDS]))
        return KINDS[kind](np.asarray(rng.normal(size=shape) * 3).astype(dtype))

    operands = [operand(shape)]
    if method in ("backward", "backward_from_output", "jvp"):
        with suppress(ValueError, TypeError):
            shape = shape if method == "jvp" else function(np.ones(shape)).shape
        operands.insert(0, operand(shape))
    count = draw(st.integers(0, len(function.parameters)))
    given = [draw(st.sampled_from(PARAMETERS)) for _ in range(count)]
    named = draw(st.lists(st.sampled_from([*function.parameters, "nonsense"]), max_size=2))
    keywords = {name: draw(st.sampled_from(PARAMETERS)) for name in named}
    if draw(st.booleans()):
        out = np.full(draw(st.sampled_from([shape, shape, (*shape, 2)])), 7, dtype)
        keywords["out"] = draw(st.sampled_from([out, out, out.astype(float), (out,), operands[-1]]))
    return function, method, operands, given, keywords


@settings(max_examples=1000)
@given(calls())
def test_whatever_the_call_it_is_the_methods(call: tuple[Any, str, list[Any], list[Any], dict[str, Any]]) -> None:
    function, method, *_ = call
    name = "_evaluate" if method == "value" and hasattr(function, "_evaluate") else method
    plainly = getattr(function, method, function)
    by_method = getattr(type(function), name, type(function).__call__)
    by_method = partial(getattr(by_method, "__wrapped__", by_method), function)

    def result(called: Callable[..., Any]) -> Any:
        _, _, operands, parameters, keywords = copy.deepcopy(call)
        try:
            return *outcome(called, *operands, *parameters, **keywords), operands, keywords
        except (OverflowError, AttributeError) as error:
            return type(error)

    assert repr(result(plainly)) == repr(result(by_method))
