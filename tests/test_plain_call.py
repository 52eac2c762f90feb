"""Calls past NumPy's machinery: which are plain, and that they do what the ufunc does."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rectified as rf
from rectified._native import call_plainly

HARDTANH: Any = rf.ufuncs.named("hardtanh")
NUMBERS = (-1.0, 1.0)
X = np.linspace(-2, 2, 24, dtype=np.float32).reshape(4, 6)


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
    "one axis": lambda: (X.ravel(), *NUMBERS),
    "whole numbers": lambda: (X.copy(), -1, 1),
    "a parameter for each": lambda: (X.copy(), -np.ones_like(X), 1.0),
    "infinite parameter": lambda: (X.copy(), -np.inf, 1.0),
    "parameter that overflows": lambda: (X.copy(), -1e300, 1.0),
    "NaN parameter": lambda: (X.copy(), -1.0, np.nan),
    "an array of parameters alone": lambda: (0.5, -np.ones(3), 1.0),
}
OTHERS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "float16": lambda: (X.astype(np.float16), *NUMBERS),
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
    assert (call_plainly(HARDTANH, operands, (), (), {}) is not None) is (name in PLAIN)


@pytest.mark.parametrize("name", OUTS)
def test_out(name: str) -> None:
    def called(function: Any) -> Any:
        x, out = OUTS[name](X.copy())
        return outcome(function, x, *NUMBERS, out=out)

    assert called(rf.hardtanh) == called(HARDTANH)
    x, out = OUTS[name](X.copy())
    found = call_plainly(HARDTANH, (x, *NUMBERS), (), (), {} if out is None else {"out": out})
    assert (found is not None) is (name in ("new", "beside", "in place"))
    if name in ("beside", "in place"):
        assert found is out


@pytest.mark.parametrize("keywords", [{"where": X > 0}, {"dtype": np.float64}, {"casting": "no"}, {"nonsense": 1}])
def test_other_keywords_are_for_numpy(keywords: dict[str, Any]) -> None:
    assert call_plainly(HARDTANH, (X, *NUMBERS), (), (), keywords) is None
    out = np.zeros_like(X)
    assert call_plainly(HARDTANH, (X, *NUMBERS), (), (), {"out": out} | keywords) is None


def test_defaults_follow_what_is_given() -> None:
    want = HARDTANH(X, -0.5, 1.0)
    np.testing.assert_array_equal(call_plainly(HARDTANH, (X,), (-0.5,), (-1.0, 1.0), {}), want)
    assert call_plainly(HARDTANH, (X,), (-0.5,), (), {}) is None


def test_an_array_that_warns_when_it_is_written() -> None:
    out, _ = np.broadcast_arrays(np.zeros((1, 3)), np.zeros((1, 3)))
    x = np.ones((1, 3))
    assert outcome(rf.relu, x, out=out) == outcome(rf.ufuncs.named("relu"), x, out=out)


@pytest.mark.parametrize(
    "arguments", [(), (HARDTANH,), (HARDTANH, [X], (), (), {}), (np.sin, (X,), (), (), ()), (1, (), (), (), {})]
)
def test_other_arguments_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="a ufunc, three tuples and a dict"):
        call_plainly(*arguments)


def test_what_a_call_holds_it_lets_go() -> None:
    x, out = np.ones(8), np.empty(8)
    before = sys.getrefcount(x), sys.getrefcount(out)
    for _ in range(100):
        rf.relu(x, out=out)
        rf.relu(x)
    assert (sys.getrefcount(x), sys.getrefcount(out)) == before
    assert sys.getrefcount(rf.relu(x)) == 1 + (sys.version_info < (3, 14))
