"""Folds: their values and Jacobians, in any shape, along any axis, with infinities; and how far they round."""

from __future__ import annotations

import itertools
import os
import pickle
import re
import sys
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rectified as rf
import sweep
from oracle import finfo, rounded_to_odd, stratified, ulps
from rectified import _native
from rectified.fold import Doubled, Gated, Normalizer

ISAS = _native.instruction_sets()
FOLDS = list(rf.catalogue.of("fold").values())
NORMALIZERS = [fold for fold in FOLDS if isinstance(fold, Normalizer)]
GATED = [fold for fold in FOLDS if isinstance(fold, Gated)]
folds = pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
normalizers = pytest.mark.parametrize("fold", NORMALIZERS, ids=lambda fold: fold.name)
gates = pytest.mark.parametrize("fold", GATED, ids=lambda fold: fold.name)
isas = pytest.mark.parametrize("isa", ISAS)
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 10, 16, 17, 33, 64, 65, 100, 1001, 8193, 20011)


def rows(n: int, count: int, dtype: Any, seed: int = 0) -> Any:
    """Rows of every kind: ordinary, wide, tiny, huge, far from zero, with one that is larger by far, rising."""
    random = np.random.default_rng(seed)
    plain = random.normal(0, 1, (count, n))
    gap = plain.copy()
    gap[np.arange(count), random.integers(0, n, count)] += random.uniform(0, 130, count)
    ramp = np.broadcast_to(np.linspace(-300, 1000, n), (1, n))
    kinds = [3 * plain, 100 * plain, 1e-30 * plain, 1e30 * plain, 1e4 + 3 * plain, 505 + 9 * plain, 9 * plain - 700, gap]
    return np.concatenate([*kinds, ramp, ramp[:, ::-1], np.full((1, n), -1.7)]).astype(dtype)


def exact(x: Any, name: str) -> Any:
    """In the extended precision of the processor: eleven bits more than float64."""
    x = x.astype(np.longdouble) * (-1 if name == "softmin" else 1)
    largest = x.max(-1, keepdims=True)
    powers = np.exp(x - largest)
    if name != "log_softmax":
        return powers / powers.sum(-1, keepdims=True)
    np.put_along_axis(powers, x.argmax(-1)[..., None], 0, -1)
    return (x - largest) - np.log1p(powers.sum(-1, keepdims=True))


needs_extended = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no extended precision here")


# ---- how far they round ---------------------------------------------------------------------------------------------


@needs_extended
@isas
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_accuracy_in_rows_of_any_length_and_range(name: str, dtype: Any, isa: str) -> None:
    ufunc = sweep.compiled(isa)[name]
    for n in LENGTHS:
        x = rows(n, max(1, 4000 // n), dtype)
        want = exact(x, name).astype(dtype)
        for layout in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[:, ::2]):
            distance = ulps(ufunc(layout), want)
            assert distance.max() <= 2, (n, np.argwhere(distance > 2)[0])


@needs_extended
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_two_ulp_in_a_million(name: str) -> None:
    x = rows(1_000_000, 1, np.float32)[[0, 3, 5, 7, 8]]
    assert ulps(getattr(rf, name)(x), exact(x, name).astype(np.float32)).max() <= 2


@needs_extended
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_two_ulp_in_pairs(name: str) -> None:
    """Of two numbers the errors of both powers show."""
    random = np.random.default_rng(1)
    x = np.concatenate([random.normal(0, scale, (60_000, 2)) for scale in (0.01, 1, 8, 40, 300)]).astype(np.float32)
    assert ulps(getattr(rf, name)(x), exact(x, name).astype(np.float32)).max() <= 2


@needs_extended
@isas
def test_two_roundings_do_not_meet_in_a_share(isa: str) -> None:
    """The powers of these numbers are rounded as far as they can be, in opposite directions."""
    pairs = (
        "-8.638692855834961 -11.43604850769043",
        "-6.540465354919434 -4.583285331726074",
        "-5.86771821975708 -3.118013381958008",
    )
    x = np.array([pair.split() for pair in pairs], np.float32)
    assert ulps(sweep.compiled(isa)["softmax"](x), exact(x, "softmax").astype(np.float32)).max() <= 2


@needs_extended
@isas
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_the_smallest_normal_shares_are_three_ulp_away(dtype: Any, isa: str) -> None:
    random, tiny = np.random.default_rng(4), np.finfo(dtype).tiny
    known = {np.float32: [0.6498062, 87.30797], np.float64: [-726.0408901138485, -18.33051331006868]}
    high = random.uniform(0, 60, 100_000)
    low = high + random.uniform(np.log(tiny) - 1, np.log(tiny) + 4, high.size)
    x = np.concatenate([[known[dtype]], np.stack([low, high], -1)]).astype(dtype)
    want = exact(x, "softmax").astype(dtype)
    distance = ulps(sweep.compiled(isa)["softmax"](x), want)
    assert distance.max() <= 3
    assert (want[distance > 2] < 2 * tiny).all()


@needs_extended
@isas
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [10, 300, 2000, 20_000])
def test_many_equal_numbers_beside_the_largest(n: int, dtype: Any, isa: str) -> None:
    """Each of them loses the same digits, so that the errors of their sum do not cancel."""
    random = np.random.default_rng(2)
    x = np.repeat(random.uniform(-20, 20, (60, 1)), n, 1)
    x[:, 0] += np.log(n) + np.linspace(0, 20, 60)
    for layout in (x.astype(dtype), x[:, ::-1].astype(dtype)):
        for name in ("softmax", "log_softmax"):
            assert ulps(sweep.compiled(isa)[name](layout), exact(layout, name).astype(dtype)).max() <= 2


@pytest.mark.parametrize("n", [2, 3, 10, 100, 1000, 5000])
def test_equal_numbers_and_one_alone_have_what_they_should(n: int) -> None:
    for number in np.random.default_rng(3).normal(0, 5, 50).astype(np.float32):
        equal = np.full((1, n), number)
        np.testing.assert_array_equal(rf.softmax(equal), np.float32(1 / n))
        equal[0, 1:] -= 200
        assert rf.softmax(equal)[0, 0] == 1


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_half_precision_is_float32_rounded_once(name: str, dtype: Any) -> None:
    info = finfo(dtype)
    for n in (1, 3, 10, 100, 20000):
        x = np.random.default_rng(0).normal(0, 4, (40, n)).astype(dtype)
        got, want = getattr(rf, name)(x), exact(x.astype(np.float64), name)
        assert got.dtype == dtype
        spacing = np.ldexp(float(info.eps), np.frexp(want)[1] - 1)
        assert (abs(got - want) / np.maximum(spacing, float(info.smallest_subnormal))).max() <= 0.5003


def test_the_largest_shares_keep_their_digits_in_the_logarithm() -> None:
    x = np.array([[0.0, -30.0], [0.0, -100.0], [0.0, -17.0]], np.float32)
    want = np.stack([-np.exp(np.float64(x[:, 1])), x[:, 1]], 1).astype(np.float32)
    np.testing.assert_allclose(rf.log_softmax(x), want, rtol=2e-7)


@pytest.mark.parametrize("n", [1, 70, 129, 2049, 20_011])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_sparsemax_has_the_same_bits_on_all_instruction_sets(dtype: Any, n: int) -> None:
    """In rows of any length: its sums are exact in all digits that count, in whichever order they are made."""
    random = np.random.default_rng(n)
    scales = np.repeat([1e-3, 0.1, 1.0, 30.0], 25)[:, None]
    x = random.normal(0, scales, (100, n))
    x[::5] = np.round(8 * x[::5]) / 8  # with ties
    x, dy = x.astype(dtype), random.normal(0, 1, x.shape).astype(dtype)
    y = sweep.compiled(ISAS[0])["sparsemax"](x)
    bits = f"u{y.dtype.itemsize}"
    for name, operands in [("", (x,)), ("_backward", (dy, x)), ("_backward_from_output", (dy, y))]:
        want, *others = (sweep.compiled(isa)[f"sparsemax{name}"](*operands) for isa in ISAS)
        for got in others:
            np.testing.assert_array_equal(got.view(bits), want.view(bits))


# ---- Jacobians --------------------------------------------------------------------------------------------------------


def sample(fold: Any, shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 1.5, shape).astype(dtype)


def dense(fold: Any, x: Any) -> Any:
    """The Jacobian of each row of a matrix, by differences of float64 with the digits that they have."""
    step = 1e-6
    columns = []
    for j in range(x.shape[-1]):
        move = np.zeros(x.shape[-1])
        move[j] = step
        columns.append((fold(x + move) - fold(x - move)) / (2 * step))
    return np.stack(columns, -1)


@folds
def test_backward_and_jvp_are_products_with_the_jacobian(fold: Any) -> None:
    x = sample(fold, (5, 6))
    jacobian = dense(fold, x)
    if fold.name != "maxout":
        np.testing.assert_allclose(fold.derivative(x), jacobian, rtol=1e-6, atol=1e-8)
    v = sample(fold, (5, 6), seed=1)
    np.testing.assert_allclose(fold.jvp(v, x), (jacobian @ v[..., None])[..., 0], rtol=1e-6, atol=1e-8)
    dy = sample(fold, jacobian.shape[:-1], seed=2)
    want = (np.swapaxes(jacobian, -1, -2) @ dy[..., None])[..., 0]
    np.testing.assert_allclose(fold.backward(dy, x), want, rtol=1e-6, atol=1e-8)
    if hasattr(fold, "backward_from_output"):
        np.testing.assert_allclose(fold.backward_from_output(dy, fold(x)), want, rtol=1e-6, atol=1e-8)


@normalizers
def test_long_rows_have_the_same_gradients(fold: Any) -> None:
    """Rows that go part by part, in float32 and in half precision, whose powers are computed again."""
    for dtype, rtol in ((np.float32, 2e-4), (np.float16, 2e-2)):
        x, dy = (sample(fold, (2, 20_011), dtype, seed) for seed in (0, 1))
        wide = fold.backward(dy.astype(np.float64), x.astype(np.float64))
        scale = np.abs(wide).max()
        np.testing.assert_allclose(fold.backward(dy, x).astype(np.float64), wide, rtol=rtol, atol=rtol * scale)
        forward = fold.jvp(dy.astype(np.float64), x.astype(np.float64))
        scale = np.abs(forward).max()
        np.testing.assert_allclose(fold.jvp(dy, x).astype(np.float64), forward, rtol=rtol, atol=rtol * scale)


@folds
def test_torch_agrees(fold: Any) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    formulas = {
        "maxout": lambda x: x.unflatten(-1, (-1, 2)).amax(-1),
        "softmax": lambda x: torch.softmax(x, -1),
        "softmin": lambda x: functional.softmin(x, -1),
        "log_softmax": lambda x: torch.log_softmax(x, -1),
        "glu": functional.glu,
        "swiglu": lambda x: functional.silu(x.chunk(2, -1)[0]) * x.chunk(2, -1)[1],
        "geglu": lambda x: functional.gelu(x.chunk(2, -1)[0]) * x.chunk(2, -1)[1],
        "reglu": lambda x: torch.relu(x.chunk(2, -1)[0]) * x.chunk(2, -1)[1],
        "crelu": lambda x: torch.cat([torch.relu(x), torch.relu(-x)], -1),
    }
    if fold.name not in formulas:
        return
    x = sample(fold, (3, 7, 12))
    leaf = torch.from_numpy(x).requires_grad_()
    y = formulas[fold.name](leaf)
    np.testing.assert_allclose(fold(x), y.detach().numpy(), rtol=1e-13, atol=1e-15)
    dy = sample(fold, tuple(y.shape), seed=1)
    y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(fold.backward(dy, x), leaf.grad.numpy(), rtol=1e-10, atol=1e-14)


# ---- shapes, strides, types ---------------------------------------------------------------------------------------------


@folds
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_any_axis_and_layout(fold: Any, axis: int) -> None:
    x = sample(fold, (4, 6, 8))
    moved = np.moveaxis(x, axis, -1).copy()
    want = np.moveaxis(fold(moved), -1, axis)
    dy = sample(fold, want.shape, seed=1)
    back = np.moveaxis(fold.backward(np.moveaxis(dy, axis, -1), moved), -1, axis)
    for layout in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2], x[::-1][::-1], x.astype(">f8")):
        np.testing.assert_allclose(fold(layout, axis=axis), want, rtol=1e-14, atol=1e-300)
        np.testing.assert_allclose(fold.backward(dy, layout, axis=axis), back, rtol=1e-13, atol=1e-15)
    bound = fold.bind(axis=axis)
    np.testing.assert_allclose(bound(x), want, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(bound.jvp(x, x), fold.jvp(x, x, axis=axis))
    out = np.full((*want.shape[:-1], 2 * want.shape[-1]), 7.0)[..., ::2]
    assert fold(x, axis=axis, out=out) is out
    np.testing.assert_allclose(out, want, rtol=1e-14, atol=1e-300)
    room = np.full((*x.shape[:-1], 2 * x.shape[-1]), 7.0)[..., ::2]
    assert fold.backward(dy, x, axis=axis, out=room) is room
    np.testing.assert_allclose(room, back, rtol=1e-13, atol=1e-15)


@folds
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(17, 2), (17, 6), (41, 10), (5, 130), (3, 3000)])
def test_the_result_may_stand_over_an_operand(fold: Any, shape: tuple[int, int], dtype: Any) -> None:
    x = sample(fold, shape).astype(dtype)
    y = fold(x)
    dy = sample(fold, y.shape, seed=1).astype(dtype)
    calls = [(fold, (x,)), (fold.backward, (dy, x)), (fold.jvp, (sample(fold, shape, seed=2).astype(dtype), x))]
    if hasattr(fold, "backward_from_output"):
        calls.append((fold.backward_from_output, (dy, y)))
    for call, operands in calls:
        want = call(*operands)
        for place in [place for place, operand in enumerate(operands) if operand.shape == want.shape]:
            for rows in (0, 1):  # between the one and the other
                room = np.concatenate([operands[place], operands[place][:rows]])
                given = [*operands[:place], room[: len(want)], *operands[place + 1 :]]
                np.testing.assert_array_equal(call(*given, out=room[rows:]), want)
        for place in [place for place, operand in enumerate(operands) if operand.shape[1] == 2 * want.shape[1]]:
            for half in np.split(np.arange(operands[place].shape[1]), 2):
                given = [operand.copy() for operand in operands]
                out = given[place][:, half[0] : half[-1] + 1]
                np.testing.assert_array_equal(call(*given, out=out), want)


@folds
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_the_type_stays(fold: Any, dtype: Any) -> None:
    x = sample(fold, (3, 8)).astype(dtype)
    y = fold(x)
    assert y.dtype == dtype
    assert fold.backward(y, x).dtype == dtype
    assert fold.jvp(x, x).dtype == dtype
    wide = fold(x.astype(np.float64))
    np.testing.assert_allclose(y.astype(np.float64), wide, rtol=2e-2 if np.dtype(dtype).itemsize == 2 else 1e-5, atol=1e-6)


@folds
def test_a_ufuncs_keywords(fold: Any) -> None:
    x = sample(fold, (3, 8))
    y = fold(x)
    calls = [(fold, (x,)), (fold.backward, (y, x))]
    for call, operands in calls:
        want = call(*operands)
        assert call(*operands, dtype=np.float32).dtype == np.float32
        out = np.empty(want.shape, np.float32)
        assert call(*operands, out=(out,), casting="same_kind") is out
        np.testing.assert_array_equal(out, want.astype(np.float32))
        for wrong in (np.empty((2, 2)), [0.0]):
            with pytest.raises((TypeError, ValueError), match=r"array|shape|mismatch|broadcast"):
                call(*operands, out=wrong)
        for key in ("where", "keepdims"):
            with pytest.raises(TypeError, match=f"^{fold.name} has no parameter '{key}'"):
                call(*operands, **{key: True})


@folds
@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.3.0", reason="NumPy had no out=... then")
def test_out_may_be_an_ellipsis(fold: Any) -> None:
    x = sample(fold, (3, 8))
    y = fold(x)
    np.testing.assert_array_equal(fold(x, out=...), y)
    np.testing.assert_array_equal(fold.backward(y, x, out=...), fold.backward(y, x))


@folds
def test_a_result_is_of_a_type_of_this_machine(fold: Any) -> None:
    x = sample(fold, (3, 8)).astype(">f4")
    y = fold(x)
    for result in (y, fold.backward(y.astype(">f4"), x), fold.jvp(x, x)):
        assert result.dtype.isnative


@folds
def test_a_matrix_is_an_array(fold: Any) -> None:
    x = sample(fold, (4, 8))
    y = fold(x)
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(x)
    np.testing.assert_array_equal(fold(matrix), y, strict=True)
    np.testing.assert_array_equal(fold.backward(y, matrix), fold.backward(y, x), strict=True)
    np.testing.assert_array_equal(fold.jvp(matrix, matrix), fold.jvp(x, x), strict=True)


@folds
@pytest.mark.parametrize("axis", [0, -1])
def test_subclasses_come_back(fold: Any, axis: int) -> None:
    class Kind(np.ndarray):
        pass

    x = sample(fold, (4, 8))
    y = fold(x, axis=axis)
    kind_x, kind_y = x.view(Kind), y.view(Kind)
    for call, operands in (
        (fold, [kind_x]),
        (fold.backward, [kind_y, x]),
        (fold.backward, [y, kind_x]),
        (fold.jvp, [x, kind_x]),
    ):
        got, want = call(*operands, axis=axis), call(*map(np.asarray, operands), axis=axis)
        assert type(got) is Kind
        np.testing.assert_array_equal(np.asarray(got), want, strict=True)
    for call, operands in ((fold, [kind_x]), (fold.backward, [kind_y, kind_x])):
        assert type(call(*operands, axis=axis, subok=False)) is np.ndarray


@folds
def test_masked_numbers_are_refused(fold: Any) -> None:
    """What they hide would count: in a sum, or as the largest."""
    x = sample(fold, (3, 8))
    y = fold(x)
    hidden = [np.ma.masked_less(each, 0) for each in (x, y)]
    for call, operands in ((fold, hidden[:1]), (fold.backward, (y, hidden[0])), (fold.backward, (hidden[1], x))):
        with pytest.raises(TypeError, match=f"^{fold.name}: numbers behind a mask would count"):
            call(*operands)


@folds
@pytest.mark.parametrize("dtype", "?bBhHiIlL")
def test_products_with_the_jacobian_of_integers(fold: Any, dtype: str) -> None:
    """The negative of an unsigned number is not one, and that of the lowest is no number of its type."""
    low = 0 if dtype in "?BHIL" else np.iinfo(dtype).min
    x = np.array([[0, 1, low, 1]], dtype)
    wide = x.astype(np.float64)
    for got, want in (
        (fold.jvp(x, x), fold.jvp(wide, wide)),
        (fold.derivative(x), fold.derivative(wide)),
        (fold.backward(fold(x), x), fold.backward(fold(wide), wide)),
    ):
        np.testing.assert_allclose(got, want, rtol=2e-2, atol=2e-3)


@folds
def test_integers_lists_and_nothing(fold: Any) -> None:
    np.testing.assert_allclose(fold([[1, 2], [4, 3]]), fold(np.array([[1.0, 2], [4, 3]])), rtol=1e-15)
    assert fold(np.arange(4)).dtype == np.float64
    for shape in ((0, 4), (3, 0), (0, 0)):
        empty = fold(np.zeros(shape))
        assert empty.size == 0
        assert fold.backward(empty, np.zeros(shape)).shape == shape


@isas
@pytest.mark.parametrize("name", ["maxout", "maxout_jvp"])
def test_the_largest_of_none_is_nan(name: str, isa: str) -> None:
    ufunc = sweep.compiled(isa)[name]
    assert np.isnan(ufunc(*[np.zeros((100, 0))] * ufunc.nin)).all()


@normalizers
def test_a_group_of_one(fold: Any) -> None:
    x = np.array([[-3.0], [np.inf], [-np.inf], [np.nan]])
    want = 0.0 if fold.name == "log_softmax" else 1.0
    np.testing.assert_array_equal(fold(x), [[want], [want], [want], [np.nan]])
    np.testing.assert_array_equal(fold.backward(np.ones((1, 1)), x[:1]), [[0.0]])


@folds
@pytest.mark.parametrize("shape", [(6,), (1, 6), (50, 6), (3, 700, 4)])
def test_nothing_warns_and_nan_stays_in_its_group(fold: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).choice([np.nan, np.inf, -np.inf, 0.0, 1e308, -1e308, 1.0], shape)
    with np.errstate(all="raise"):
        y = fold(x)
        fold.backward(y, x)
        fold.jvp(x, x)
    if isinstance(fold, Normalizer):
        np.testing.assert_array_equal(np.isnan(y).all(-1), np.isnan(x).any(-1))
        np.testing.assert_array_equal(np.isnan(y).any(-1), np.isnan(x).any(-1))


@isas
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n", [3, 10, 70, 9001, 40000])
def test_infinities_share_alike(n: int, dtype: Any, isa: str) -> None:
    compiled = sweep.compiled(isa)
    one, two, none, below, late = (np.zeros(n, dtype) for _ in range(5))
    one[1] = two[[0, n - 1]] = np.inf
    none[:] = -np.inf
    below[:-1] = -np.inf
    late[-1] = np.inf
    late[0] = -np.inf
    x = np.stack([one, two, none, below, late])
    want = np.zeros(x.shape)
    want[0, 1] = want[3, -1] = want[4, -1] = 1
    want[1, [0, -1]] = 0.5
    want[2] = 1 / n
    with np.errstate(divide="ignore"):
        logarithms = np.log(want)
    for layout in (x, np.asfortranarray(x), np.repeat(x, 20, 0)[::20]):
        np.testing.assert_array_equal(compiled["softmax"](layout), want.astype(dtype))
        np.testing.assert_array_equal(compiled["softmin"](-layout), want.astype(dtype))
        np.testing.assert_array_equal(compiled["sparsemax"](layout), want.astype(dtype))
        np.testing.assert_allclose(
            compiled["log_softmax"](layout), logarithms.astype(dtype), rtol=1e-3 if dtype == np.float16 else 1e-6
        )
    np.testing.assert_array_equal(compiled["hardmax"](x).argmax(-1), x.argmax(-1))


@pytest.mark.parametrize("n", [10, 30, 70, 100, 128])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_short_rows_have_the_same_bits_everywhere(dtype: Any, n: int) -> None:
    x = np.random.default_rng(0).normal(0, 4, (100, n)).astype(dtype)
    for name in ("softmax", "softmin", "log_softmax", "sparsemax", "hardmax"):
        want = sweep.compiled(ISAS[0])[name](x)
        for isa in ISAS:
            for layout in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[:, ::2]):
                np.testing.assert_array_equal(sweep.compiled(isa)[name](layout), want)


@pytest.mark.parametrize("n", [10, 30, 70, 100, 128])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_products_of_short_rows_have_the_same_bits_everywhere(name: str, dtype: Any, n: int) -> None:
    random = np.random.default_rng(0)
    x, dy = (random.normal(0, 4, (100, n)).astype(dtype) for _ in range(2))
    for ending, operand in {"_backward": x, "_backward_from_output": rf.catalogue[name](x)}.items():
        want = sweep.compiled(ISAS[0])[name + ending](dy, operand)
        for isa in ISAS:
            for layout in (np.copy, np.asfortranarray, lambda a: np.repeat(a, 2, -1)[:, ::2]):
                got = sweep.compiled(isa)[name + ending](layout(dy), layout(operand))
                np.testing.assert_array_equal(got, want)


def test_a_row_is_not_changed_by_its_neighbours() -> None:
    x = rows(10, 30, np.float32)
    want = rf.softmax(x)
    for start in range(20):
        np.testing.assert_array_equal(rf.softmax(x[start : start + 13]), want[start : start + 13])
    for count in (1, 2, 3):
        rf.set_num_threads(count)
        many = np.tile(x, (300, 1))
        np.testing.assert_array_equal(rf.softmax(many), np.tile(want, (300, 1)))


@given(st.integers(1, 70), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_shares_add_up_to_one(n: int, count: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(0, 5, (count, n))
    for fold in (rf.softmax, rf.softmin, rf.sparsemax, rf.hardmax):
        y = fold(x)
        np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-13)
        assert (y >= 0).all()
        np.testing.assert_allclose(fold(x + 3), y, rtol=0, atol=1e-13)
        np.testing.assert_allclose(fold.jvp(np.ones_like(x), x), 0, atol=1e-13)


@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_sparsemax_is_the_nearest_distribution(n: int, seed: int) -> None:
    """What is not in the support lies below the threshold, and all in it lose the same."""
    x = np.random.default_rng(seed).normal(0, 1, n)
    y = rf.sparsemax(x)
    lost = (x - y)[y > 0]
    np.testing.assert_allclose(lost, lost[0], atol=1e-14)
    assert (x[y == 0] <= lost[0] + 1e-14).all()


@isas
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_sparsemax_ends_where_numbers_lie_on_its_threshold(dtype: Any, isa: str) -> None:
    """Whether they belong to the support is a matter of rounding; so is whether the next threshold says the same."""
    random = np.random.default_rng(0)
    x = random.integers(-8, 9, (2000, 7)) / 10
    x[:100] = [0, 2.0**-52, -(2.0**-51), 0, -0.25, -0.25, -0.25]
    x = x.astype(dtype)
    y = sweep.compiled(isa)["sparsemax"](x)
    for layout in (x[:13], np.asfortranarray(x), np.repeat(x, 2, -1)[:, ::2]):
        np.testing.assert_array_equal(sweep.compiled(isa)["sparsemax"](layout), y[: len(layout)])
    np.testing.assert_allclose(y.astype(np.float64).sum(-1), 1, rtol=8 * float(np.finfo(dtype).eps))
    for row in x[:300]:  # longer than what a register has lanes
        assert np.isfinite(sweep.compiled(isa)["sparsemax"](np.repeat(row, 40))).all()


def test_hardmax_takes_the_first() -> None:
    x = np.array([[1.0, 3, 3], [2, 2, 2], [-np.inf] * 3, [np.nan, 1, 2]])
    np.testing.assert_array_equal(rf.hardmax(x), [[0, 1, 0], [1, 0, 0], [1, 0, 0], [np.nan] * 3])
    wide = np.zeros((3, 20_000), np.float32)
    wide[:, [9000, 17_000]] = 1
    np.testing.assert_array_equal(np.flatnonzero(rf.hardmax(wide)[1]), [9000])
    np.testing.assert_array_equal(rf.hardmax.backward(np.ones((4, 3)), x), [[0] * 3] * 3 + [[np.nan] * 3])


# ---- gates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", rf.catalogue.of("ridge").values(), ids=lambda function: function.name)
@pytest.mark.parametrize("gate", ["first", "second"])
def test_gated_units_of_any_function(function: Any, gate: str) -> None:
    unit = rf.gated(function, gate=gate)
    x, dy = sample(unit, (5, 8)), sample(unit, (5, 4), seed=1)
    a, b = x[:, :4], x[:, 4:]
    gated, other = (a, b) if gate == "first" else (b, a)
    np.testing.assert_allclose(unit(x), function(gated) * other, rtol=1e-15)
    halves = [function.derivative(gated) * other * dy, function(gated) * dy]
    want = np.concatenate(halves if gate == "first" else halves[::-1], -1)
    np.testing.assert_allclose(unit.backward(dy, x), want, rtol=1e-14)
    assert pickle.loads(pickle.dumps(unit.bind(axis=0))).signature == unit.bind(axis=0).signature
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(unit))(x), unit(x))


def test_a_gate_keeps_its_functions_parameters() -> None:
    unit = rf.gated(rf.leaky_relu.bind(slope=0.5))
    assert unit([-2.0, 10.0]).tolist() == [-10]
    assert "0.5" in unit.formula


@gates
def test_the_jacobian_beside_an_infinity(fold: Any) -> None:
    x = np.array([[np.inf, 1.0, 2.0, 3.0], [1.0, 2.0, np.inf, 3.0], [np.nan, 1.0, 2.0, 3.0]])
    slopes = fold.backward(np.ones((3, 2)), x)
    want = np.zeros((3, 2, 4))
    for output in (0, 1):
        want[:, output, output::2] = slopes[:, output::2]
    np.testing.assert_array_equal(fold.derivative(x), want)
    np.testing.assert_array_equal(fold.derivative(np.swapaxes(x, 0, 1), axis=0), want)


def test_a_gate_of_parameters_of_another_type() -> None:
    x = np.arange(-3, 3, dtype=np.float32)
    wide = rf.gated(rf.leaky_relu.bind(slope=np.float64(0.5)))
    assert wide(x).dtype == wide.backward(x[:3], x).dtype == np.float64
    large = rf.gated(rf.clipped_relu.bind(ceiling=1e6))
    with np.errstate(all="raise"):
        assert large(x.astype(np.float16)).dtype == np.float16


# ---- the loops of halves ----------------------------------------------------------------------------------------------

UNITS = ("gated", "gated_backward", "gated_jvp", "doubled", "doubled_backward")
WIDTHS = (1, 2, 3, 7, 8, 9, 31, 32, 33, 50, 64, 100, 127, 128, 129, 500, 513, 1050)
units = pytest.mark.parametrize(
    ("name", "unit"),
    [
        (name, unit)
        for name in ("relu", "hardtanh", "sigmoid", "silu")
        for unit in UNITS
        if rf.ufuncs.named(f"{name}_{unit}")
    ],
)


def by_definition(compiled: Any, name: str, unit: str, given: list[Any]) -> Any:
    """What a unit makes of its operands, with the function's own ufuncs."""
    *rest, x = given
    numbers = [parameter.default for parameter in rf.catalogue[name].parameters.values()]

    def value(x: Any) -> Any:
        return compiled[name](x, *numbers)

    def slope(x: Any) -> Any:
        return compiled[f"{name}_derivative"](x, *numbers)

    formulas = {
        "gated": lambda other: (other * value(x),),
        "gated_backward": lambda dy, other: (dy * value(x), dy * (other * slope(x))),
        "gated_jvp": lambda moved_other, moved, other: (moved * (other * slope(x)) + moved_other * value(x),),
        "doubled": lambda: (value(x), value(-x)),
        "doubled_backward": lambda first, second: (first * slope(x) - second * slope(-x),),
    }
    with np.errstate(all="ignore"):
        return formulas[unit](*rest)


def unit_of(name: str, unit: str, dtype: Any, isa: str, count: int = 2100) -> tuple[Any, list[Any]]:
    """The unit, which gives a tuple, and operands of every magnitude for it."""
    rf.ufuncs.learn_bfloat16()
    ufunc = sweep.compiled(isa)[f"{name}_{unit}"]
    numbers = [dtype(parameter.default) for parameter in rf.catalogue[name].parameters.values()]

    def run(*given: Any, out: Any = ()) -> Any:
        made = ufunc(*given, *numbers, out=out or (None,) * ufunc.nout)
        return made if ufunc.nout > 1 else (made,)

    given = [
        np.random.default_rng(seed).permutation(stratified(dtype, 2 * count))[:count]
        for seed in range(ufunc.nin - len(numbers))
    ]
    return run, given


def same(got: Any, want: Any) -> None:
    """The same bits, but for those of NaN."""
    for one, other in zip(got, want, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        numbers = ~np.isnan(other)
        assert (np.isnan(one) == ~numbers).all()
        assert one[numbers].tobytes() == other[numbers].tobytes()


@isas
@units
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_halves_have_the_same_bits_in_rows_of_any_length_and_place(name: str, unit: str, dtype: Any, isa: str) -> None:
    run, given = unit_of(name, unit, dtype, isa)
    want = run(*given)
    if dtype in (np.float32, np.float64):
        same(want, by_definition(sweep.compiled(isa), name, unit, given))
    for width in WIDTHS:
        count = len(given[0]) // width
        rows, wanted = ([x[: count * width].reshape(count, width) for x in each] for each in (given, want))
        same(run(*rows), wanted)
        same(run(*map(np.asfortranarray, rows)), wanted)
        same(run(*(np.concatenate([x, x], -1)[:, :width] for x in rows)), wanted)
        same(run(*(np.repeat(x, 2, -1)[::-1, ::2][::-1] for x in rows)), wanted)
        same(run(*(x.reshape(count, 1, width, 1) for x in rows)), [x.reshape(count, 1, width, 1) for x in wanted])
        out = tuple(np.full((count, 2 * width + 1), 7, dtype)[:, width // 2 :][:, :width] for _ in want)
        run(*rows, out=out)
        same(out, wanted)


@isas
@pytest.mark.parametrize("name", rf.catalogue.of("ridge"))
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered in cast")
def test_a_product_in_half_precision_is_float64_rounded_once(name: str, isa: str) -> None:
    numbers = [parameter.default for parameter in rf.catalogue[name].parameters.values()]
    for dtype, unit in itertools.product((np.float16, ml_dtypes.bfloat16), ("gated", "gated_backward")):
        run, every = unit_of(name, unit, dtype, isa)
        usual = [np.random.default_rng(seed).normal(0, 3, 4000).astype(dtype) for seed in range(len(every))]
        wide_numbers = [np.float64(dtype(number)) for number in numbers]
        for operands in (every, usual):
            wide = sweep.compiled(isa)[f"{name}_{unit}"](*(x.astype(np.float64) for x in operands), *wide_numbers)
            want = wide if isinstance(wide, tuple) else (wide,)
            same(run(*operands), [rounded_to_odd(x).astype(dtype) for x in want])


@isas
@units
def test_halves_in_place_and_over_one_another(name: str, unit: str, isa: str) -> None:
    run, given = unit_of(name, unit, np.float32, isa)
    for width in (50, 700):
        rows = [x.reshape(-1, width) for x in given]
        want = run(*rows)
        for k in range(len(rows)):
            copies = [x.copy() for x in rows]
            for place in range(len(want)):
                out = tuple(copies[k] if place == j else np.empty_like(x) for j, x in enumerate(want))
                run(*copies, out=out)
                same(out, want)
                copies[k][:] = rows[k]
            some = [x[1:] for x in rows]
            moved = np.concatenate([some[k], some[k][:1]])
            out = (*(np.empty_like(x[1:]) for x in want[1:]), moved[1:])
            same(run(*(moved[:-1] if j == k else x for j, x in enumerate(some)), out=out), [x[1:] for x in want])


ROWWISE = [
    name
    for name, ufunc in sweep.compiled(ISAS[-1]).items()
    if ufunc.signature and "packed" not in name and name.startswith((*(fold.name for fold in FOLDS), "hardtanh_", "silu_"))
]


@given(
    st.sampled_from(ISAS),
    st.sampled_from(ROWWISE),
    st.sampled_from("efd"),
    st.integers(0, 40),
    st.one_of(st.integers(1, 4), st.integers(5, 150)),
    st.data(),
)
def test_rows_of_one_buffer(isa: str, name: str, dtype: str, count: int, width: int, data: st.DataObject) -> None:
    """Inputs and an output share memory in any way: as if the inputs had been copied first."""
    ufunc = sweep.compiled(isa)[name]
    buffer = np.random.default_rng(count).normal(0, 3, 9 + 6 * 40 * 150).astype(dtype)

    def view(core: str) -> Any:
        """Rows, or columns, that lie apart; a number of each for no core dimension."""
        shape = (count, width) if core else (count, 1)
        offset, step, gap, turned, *backward = data.draw(
            st.tuples(st.integers(0, 9), st.sampled_from([1, 1, 2, 3]), st.sampled_from([0, 0, 1, 3]), *[st.booleans()] * 3)
        )
        inner, outer = shape[::-1] if turned else shape
        room = np.lib.stride_tricks.as_strided(
            buffer[offset:], (inner, outer), (buffer.itemsize * (step * outer + gap), buffer.itemsize * step)
        )
        found = (room.T if turned else room)[tuple(slice(None, None, -1 if back else 1) for back in backward)]
        return found if core else found[:, 0]

    inputs, outputs = ([core.strip("()") for core in side.split("),(")] for side in ufunc.signature.split("->"))
    operands = [view(core) for core in inputs]
    want = ufunc(*(operand.copy() for operand in operands))
    places = [view(outputs[0]), *(operand for operand, core in zip(operands, inputs, strict=True) if core == outputs[0])]
    out = (data.draw(st.sampled_from(places)), *(None for _ in outputs[1:]))
    got = ufunc(*operands, out=out)
    same(*([each.copy() for each in (made if isinstance(made, tuple) else (made,))] for made in (got, want)))


LEVEL_3_CACHE_SIZE = 194  # glibc's number for sysconf


@isas
@pytest.mark.parametrize("unit", ["gated", "gated_backward", "doubled"])
@pytest.mark.parametrize("width", [50, 1009])
def test_halves_larger_than_the_caches(width: int, unit: str, isa: str) -> None:
    """Results that go past the caches, in rows that begin at no register, on any number of threads."""
    run, given = unit_of("relu", unit, np.float32, isa, width)
    want = run(*given)
    cache = max(os.sysconf(LEVEL_3_CACHE_SIZE), 32 << 20) if sys.platform == "linux" else 32 << 20
    count = cache // (4 * width * (len(given) + len(want))) + 10
    room = np.empty((count, 2 * width), np.float32)
    rows = [np.tile(x, (count, 1)) for x in given]
    for threads in (1, 3):
        rf.set_num_threads(threads)
        room[:] = 7
        out = (room[:, :width], room[:, width:])[: len(want)]
        run(*rows, out=out)
        for got, wanted in zip(out, want, strict=True):
            numbers = ~np.isnan(wanted)
            assert (got[:, numbers] == wanted[numbers]).all()
        assert (room[:, width * len(want) :] == 7).all()


def test_a_gates_parameters_may_be_arrays() -> None:
    x, dy = np.random.default_rng(0).normal(0, 1, (3, 5, 12)), np.random.default_rng(1).normal(0, 1, (3, 5, 6))
    slopes = np.linspace(0, 1, 6)
    unit = rf.gated(rf.leaky_relu.bind(slope=slopes))
    each = [rf.gated(rf.leaky_relu.bind(slope=slope)) for slope in slopes]
    want = np.stack([one(x)[..., k] for k, one in enumerate(each)], -1)
    np.testing.assert_array_equal(unit(x), want)
    gradients = np.stack([one.backward(dy, x)[..., [k, k + 6]] for k, one in enumerate(each)], -1)
    np.testing.assert_array_equal(unit.backward(dy, x), gradients.reshape(3, 5, 12))
    by_row = rf.ufuncs.leaky_relu_gated(x[..., 6:], x[..., :6], slopes[:5])
    np.testing.assert_array_equal(by_row, np.stack([each[k](x[:, k]) for k in range(5)], 1))


# ---- packed -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 5, 9, 17, 200])
@pytest.mark.parametrize(
    ("shape", "axis"), [((1,), 0), ((13,), -1), ((0,), 0), ((3, 700), 1), ((700, 3), 0), ((3, 5, 7), 1), ((2, 0, 3), 0)]
)
def test_packed_maxout(shape: tuple[int, ...], axis: int, pieces: int, dtype: Any) -> None:
    random = np.random.default_rng(0)
    long = list(shape)
    long[axis] *= pieces
    x, dy = random.integers(-3, 4, long).astype(dtype), random.normal(0, 1, shape).astype(dtype)
    y, winners = rf.maxout.forward_packed(x, pieces, axis)
    np.testing.assert_array_equal(y, rf.maxout(x, pieces, axis), strict=True)
    assert winners.nbytes == (dy.size * (pieces - 1).bit_length() + 7) // 8
    dx = rf.maxout.backward_packed(dy, winners, pieces, axis)
    np.testing.assert_array_equal(dx, rf.maxout.backward(dy, x, pieces, axis), strict=True)


def test_the_winners_are_numbers_of_few_bits() -> None:
    x = np.random.default_rng(0).normal(0, 1, (40, 3))
    _, winners = rf.maxout.forward_packed(x, 3)
    bits = np.unpackbits(winners, count=80, bitorder="little").reshape(40, 2)
    np.testing.assert_array_equal(bits @ [1, 2], x.argmax(-1))
    y, winners = rf.maxout.forward_packed(np.array([1.0, np.nan, np.nan, 2.0]))
    assert np.isnan(y).all()
    assert rf.maxout.backward_packed(np.array([5.0, 6.0]), winners).tolist() == [0, 5, 6, 0]


def test_packed_out_and_wrong_sizes() -> None:
    x = np.random.default_rng(0).normal(0, 1, (6, 8))
    y, winners = np.empty((6, 4)), np.empty(3, np.uint8)
    assert rf.maxout.forward_packed(x, out=(y, winners))[1] is winners
    dx = np.empty((6, 8))
    assert rf.maxout.backward_packed(y, winners, out=dx) is dx
    with pytest.raises(ValueError, match=r"the winners of 24 groups of 2 are uint8 of shape \(3,\), not uint8 of \(2,\)"):
        rf.maxout.backward_packed(y, winners[:2])
    with pytest.raises(ValueError, match="C-contiguous"):
        rf.maxout.forward_packed(x, out=(np.empty((4, 6)).T, winners))
    with pytest.raises(ValueError, match="1 to 256 pieces, not 300"):
        rf.maxout.forward_packed(np.zeros(300), 300)


# ---- errors, and other arrays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "line"),
    [
        (lambda: rf.softmax(1.0), ValueError, "softmax: x has no axis to fold"),
        (lambda: rf.softmax([1.0], foo=1), TypeError, "softmax has no parameter 'foo'; its parameters are: axis"),
        (lambda: rf.glu([1.0, 2, 3]), ValueError, "glu: axis 0 has length 3, which does not divide into 2 halves"),
        (
            lambda: rf.reglu.backward([1.0], np.zeros((2, 5)), axis=1),
            ValueError,
            "reglu: axis 1 has length 5, which does not divide into 2 halves",
        ),
        (
            lambda: rf.crelu.backward_from_output([1.0], np.zeros(5)),
            ValueError,
            "crelu: axis 0 has length 5, which does not divide into 2 halves",
        ),
        (lambda: rf.gated(rf.softmax), TypeError, "gated takes a function of one number, such as rectified.silu, not "),
        (lambda: rf.gated(rf.gaussian), TypeError, "gated takes a function of one number, such as rectified.silu, not "),
        (
            lambda: rf.glu.jvp(np.zeros(2), np.zeros(4)),
            ValueError,
            "glu: v has the shape (2,), and it should have (4,)",
        ),
        (
            lambda: rf.glu.backward(np.zeros((3, 2)), np.zeros(4)),
            ValueError,
            "glu: dy has the shape (3, 2), and the output has (2,)",
        ),
        (
            lambda: rf.crelu.backward(np.zeros(2), np.zeros(2)),
            ValueError,
            "crelu: dy has the shape (2,), and it should have (4,)",
        ),
        (
            lambda: rf.crelu.backward_from_output(np.zeros(2), np.zeros(4)),
            ValueError,
            "crelu: dy has the shape (2,), and it should have (4,)",
        ),
        (
            lambda: rf.crelu.jvp(np.ones((3, 1)), np.ones((3, 4))),
            ValueError,
            "crelu: v has the shape (3, 1), and it should have (3, 4)",
        ),
        (lambda: rf.gated(rf.relu, gate="b"), ValueError, "gate is 'first' or 'second', the half that goes through"),
        (
            lambda: rf.glu.backward(np.zeros(2), np.zeros(4), out=np.zeros(3)),
            ValueError,
            "glu: out has the shape (3,), and the result has (4,)",
        ),
    ],
)
def test_errors_are_one_clear_line(call: Any, kind: type[Exception], line: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(line)}"):
        call()


@folds
@pytest.mark.parametrize("method", ["backward", "jvp"])
def test_another_shape_is_told(fold: Any, method: str) -> None:
    x = np.zeros((4, 6))
    takes = fold(x, axis=0).shape if method == "backward" else x.shape
    for wrong in [(takes[0] + 1, 6), (takes[0], 5), (takes[0],)]:
        line = f"{fold.name}: {'dy' if method == 'backward' else 'v'} has the shape {wrong}, and "
        with pytest.raises(ValueError, match=f"^{re.escape(line)}"):
            getattr(fold, method)(np.zeros(wrong), x, axis=0)


@folds
@pytest.mark.parametrize("axis", [None, 1.0, (0,)])
def test_an_axis_is_a_whole_number(fold: Any, axis: Any) -> None:
    x = np.zeros((4, 6))
    for call in (fold, fold.derivative, partial(fold.backward, fold(x)), partial(fold.jvp, x)):
        with pytest.raises(TypeError, match=f"^{fold.name}: axis is a whole number, not {re.escape(repr(axis))}$"):
            call(x, axis=axis)


@folds
def test_a_fold_has_its_first_derivative_alone(fold: Any) -> None:
    with pytest.raises(TypeError, match=f"^{fold.name}: order=2 goes with functions of one number; here order is"):
        fold.derivative(np.zeros(4), order=2)


@folds
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dask_stays_lazy(fold: Any, dtype: Any) -> None:
    da = pytest.importorskip("dask.array")
    x = sample(fold, (12, 8), dtype)
    lazy = da.from_array(x, chunks=(5, 8))
    y = fold(x)
    for got, want in [
        (fold(lazy), y),
        (fold.backward(fold(lazy), lazy), fold.backward(y, x)),
        (fold.jvp(lazy, lazy), fold.jvp(x, x)),
    ]:
        assert isinstance(got, da.Array)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.compute(scheduler="sync"), want, strict=True)


@folds
def test_other_containers_become_arrays(fold: Any) -> None:
    torch = pytest.importorskip("torch")
    x = sample(fold, (3, 8))
    tensor = torch.from_numpy(x)
    for method in (fold, fold.derivative, lambda x: fold.jvp(x, x)):
        np.testing.assert_array_equal(method(tensor), method(x), strict=True)


def test_crelu_is_made_for_any_rectifier() -> None:
    leaky = Doubled("crelu", rf.leaky_relu, formula="x", derivative_formula="1", range=(0, 1), summary="", reference="")
    assert leaky([1.0, -2.0]).tolist() == [1, -0.02, -0.01, 2]
