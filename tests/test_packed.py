"""Packed passes: the same numbers as the ordinary ones, with one bit an element kept between them."""

from __future__ import annotations

import inspect
import pydoc
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import rectified as rf
from rectified import ufuncs

PACKED = [f for f in rf.catalogue.of("ridge").values() if ufuncs.named(f"{f.name}_forward_packed")]
functions = pytest.mark.parametrize("function", PACKED, ids=lambda function: function.name)
DTYPES = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]
SHAPES = [(), (0,), (1,), (7,), (8,), (9,), (511,), (513,), (3, 5, 7), (600_011,)]


def numbers(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Any:
    """Halves, so that every kink is met, and others between them."""
    random = np.random.default_rng(seed)
    return np.asarray(
        np.where(random.random(shape) < 0.3, random.integers(-12, 13, shape) / 2, random.normal(0, 3, shape)), dtype
    )


def test_who_has_them() -> None:
    names = {function.name for function in PACKED}
    assert {"relu", "leaky_relu", "relu6", "hardtanh"} <= names
    assert not {"sigmoid", "tanh", "gelu"} & names
    with pytest.raises(AttributeError, match="sigmoid has no forward_packed: its derivative takes more than two values"):
        rf.sigmoid.forward_packed  # noqa: B018
    assert not hasattr(rf.tanh, "backward_packed")


@functions
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_they_are_the_ordinary_passes(function: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    x, dy = numbers(shape, dtype), numbers(shape, dtype, 1)
    y, bits = function.forward_packed(x)
    assert y.dtype == x.dtype
    assert y.shape == x.shape
    assert bits.shape == ((x.size + 7) // 8,)
    np.testing.assert_array_equal(y, function(x))
    dx = function.backward_packed(dy, bits)
    assert dx.dtype == dy.dtype
    np.testing.assert_array_equal(dx, function.backward(dy, x))


@functions
def test_the_bits_are_numpys(function: Any) -> None:
    x = numbers((1001,), np.float32)
    _, bits = function.forward_packed(x)
    slopes = function.derivative(x)
    steep = np.unpackbits(bits, count=x.size, bitorder="little").astype(bool)
    assert len(set(slopes[steep])) <= 1
    assert len(set(slopes[~steep])) <= 1
    padding = np.unpackbits(bits, bitorder="little")[x.size :]
    assert not padding.any()


@functions
def test_integers_and_layouts(function: Any) -> None:
    x = np.arange(-12, 12).reshape(4, 6)
    y, bits = function.forward_packed(x)
    np.testing.assert_array_equal(y, function(x), strict=True)
    turned = np.asfortranarray(x.astype(np.float32))
    np.testing.assert_array_equal(function.forward_packed(turned)[1], bits)
    np.testing.assert_array_equal(function.forward_packed(turned[:, ::-1])[0], function(turned[:, ::-1]))


@functions
def test_the_types_are_those_of_the_ordinary_passes(function: Any) -> None:
    rf.ufuncs.learn_bfloat16()
    for dtype in ("b", "H", "i", "?", "e", ">f4", ml_dtypes.bfloat16):
        x = np.array([0, 1, 1], dtype)
        y, bits = function.forward_packed(x)
        np.testing.assert_array_equal(y, function(x), strict=True)
        assert function.backward_packed(x, bits).dtype == function.backward(x, x).dtype
    wide = [np.float64(parameter.default) for parameter in function.parameters.values()]
    y, bits = function.forward_packed(np.ones(3, np.float32), *wide)
    assert y.dtype == function(np.ones(3, np.float32), *wide).dtype
    assert function.backward_packed(np.ones(3, np.float32), bits, *wide).dtype == y.dtype


def test_whole_numbers_keep_their_digits() -> None:
    x = np.array([-(2**53) - 1, 2**53 + 1])
    y, bits = rf.relu.forward_packed(x)
    assert (y.tolist(), bits.tolist()) == ([0, 2**53 + 1], [2])
    assert rf.relu.forward_packed(x, out=(y, None))[0] is y
    assert isinstance(rf.relu.forward_packed(3)[0], np.ndarray)


def test_the_method_tells_what_it_is() -> None:
    for method in (rf.relu.forward_packed, rf.relu.backward_packed):
        name = method.__name__
        assert inspect.getdoc(method) == inspect.getdoc(getattr(rf.Ridge, name))
        assert pydoc.render_doc(method).count(name) > 1
        assert "Parameters" in pydoc.render_doc(method)
    assert [*inspect.signature(rf.relu.forward_packed).parameters] == ["x", "parameters", "out", "keywords"]


def test_parameters_and_out() -> None:
    x = np.array([-2.0, 0.0, 3.0])
    y, bits = np.empty(3), np.empty(1, np.uint8)
    assert rf.leaky_relu.forward_packed(x, slope=0.5, out=(y, bits))[0] is y
    np.testing.assert_array_equal(y, [-1, 0, 3])
    dx = np.empty(3)
    assert rf.leaky_relu.backward_packed(np.ones(3), bits, 0.5, out=dx) is dx
    np.testing.assert_array_equal(dx, [0.5, 0.5, 1])
    np.testing.assert_array_equal(rf.leaky_relu.bind(slope=0.25).backward_packed(np.ones(3), bits), [0.25, 0.25, 1])


def test_out_holds_one_of_two() -> None:
    x, y, bits = np.array([-2.0, 0.0, 3.0, 4.0]), np.empty(4), np.empty(1, np.uint8)
    for function in (rf.relu, rf.maxout):
        want = function.forward_packed(x)
        place = y[: want[0].size]
        for out in ((None, bits), (place, None), (None, None)):
            made = function.forward_packed(x, out=out)
            for got, wanted, given in zip(made, want, out, strict=True):
                np.testing.assert_array_equal(got, wanted, strict=True)
                assert given is None or got is given


def test_bad_input() -> None:
    x = np.ones(10)
    _, bits = rf.relu.forward_packed(x)
    with pytest.raises(ValueError, match=r"the bits of 10 elements are uint8 of shape \(2,\), not uint8 of \(1,\)"):
        rf.relu.backward_packed(x, bits[:1])
    with pytest.raises(ValueError, match="uint8"):
        rf.relu.backward_packed(x, bits.astype(int))
    with pytest.raises(ValueError, match="C-contiguous"):
        rf.relu.backward_packed(x, bits, out=np.empty(20)[::2])
    with pytest.raises(ValueError, match="C-contiguous"):
        rf.relu.forward_packed(x, out=(np.empty(9), bits))
    with pytest.raises(ValueError, match="one number for each parameter"):
        rf.leaky_relu.forward_packed(x, np.ones(10))
    with pytest.raises(TypeError, match="slop"):
        rf.leaky_relu.forward_packed(x, slop=1)
    with pytest.raises(TypeError, match="leaky_relu has no parameter 'dtype'"):
        rf.leaky_relu.forward_packed(x, dtype=np.float32)
    for function in (rf.relu, rf.maxout):
        y, packed = function.forward_packed(x)
        with pytest.raises(TypeError, match=f"^{function.name}: the second array of out is of uint8, not int8$"):
            function.forward_packed(x, out=(y, packed.view(np.int8)))
        with pytest.raises(TypeError, match="out is a tuple of two arrays"):
            function.forward_packed(x, out=np.empty(10))
        with pytest.raises(ValueError, match=r"out is a C-contiguous array of shape \(\d+,\), here it has \(0,\)"):
            function.forward_packed(x, out=([], bits))
    with pytest.raises(ValueError, match=r"array of shape \(10,\), and this one is not contiguous$"):
        rf.relu.forward_packed(x, out=(np.empty(20)[::2], None))
    with pytest.raises(ValueError, match=r"array of shape \(2,\), not a list$"):
        rf.relu.forward_packed(x, out=(None, [0, 0]))
    with pytest.raises(ValueError, match=r"out is a C-contiguous array of shape \(10,\), here it has \(1, 10\)"):
        rf.relu.backward_packed(x, bits, out=(np.empty(10),))
    with pytest.raises(TypeError, match="relu: numbers behind a mask would count"):
        rf.relu.forward_packed(np.ma.masked_less(x, 0))


@functions
def test_nan_is_passed_on(function: Any) -> None:
    y, _ = function.forward_packed(np.array([np.nan, 1.0]))
    assert np.isnan(y[0])


@pytest.mark.parametrize("slope", [-2.0, -0.5])
def test_a_third_value_at_a_kink_is_that_of_the_left(slope: float) -> None:
    x, dy = np.array([-1.0, -0.0, 0.0, 1.0]), np.ones(4)
    _, bits = rf.leaky_relu.forward_packed(x, slope)
    np.testing.assert_array_equal(rf.leaky_relu.backward_packed(dy, bits, slope), [slope, slope, slope, 1])
    np.testing.assert_array_equal(rf.leaky_relu.backward(dy, x, slope), [slope, 0, 0, 1])
