"""Points beside centres: against SciPy's distances and PyTorch's gradients."""

from __future__ import annotations

import tracemalloc
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import rectified as rf

FUNCTIONS = list(rf.catalogue.of("radial").values())
functions = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)


def points(n: int, k: int, d: int, dtype: Any = np.float64) -> tuple[Any, Any]:
    random = np.random.default_rng(n + k + d)
    return random.normal(0, 1, (n, d)).astype(dtype), random.normal(0, 1, (k, d)).astype(dtype)


@functions
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "k", "d"), [(7, 5, 3), (1, 1, 1), (0, 4, 2), (4, 0, 2), (3, 3, 0), (700, 900, 2)])
def test_value(function: Any, dtype: Any, n: int, k: int, d: int) -> None:
    distance = pytest.importorskip("scipy.spatial.distance")
    x, centers = points(n, k, d, dtype)
    got = rf.radial(x, centers, function, 0.7)
    assert got.dtype == dtype
    assert got.shape == (n, k)
    distances = distance.cdist(x.astype(float), centers.astype(float)) if d else np.zeros((n, k))
    want = function(distances, 0.7)
    # Where a compiler has fused SciPy's squares and sums, a distance is another in its last digit.
    last_digit = np.spacing(distances) * np.abs(function.derivative(distances, 0.7))
    assert np.isclose(got, want, rtol=1e-6 if dtype == np.float32 else 1e-13, atol=last_digit).all()


def test_the_function_is_the_gaussian_and_epsilon_one_for_each_centre() -> None:
    x, centers = points(6, 3, 2)
    np.testing.assert_array_equal(rf.radial(x, centers), rf.radial(x, centers, rf.gaussian, 1.0))
    widths = np.array([0.5, 1.0, 2.0])
    each = [rf.radial(x, centers[i : i + 1], epsilon=width)[:, 0] for i, width in enumerate(widths)]
    np.testing.assert_array_equal(rf.radial(x, centers, epsilon=widths), np.stack(each, 1))


@pytest.mark.parametrize("dtype", [ml_dtypes.int4, ml_dtypes.float8_e5m2, np.int8, bool])
def test_what_is_no_float_of_ours_becomes_float64(dtype: Any) -> None:
    x, centers = np.array([[1], [0]]).astype(dtype), np.array([[0]]).astype(dtype)
    np.testing.assert_array_equal(rf.radial(x, centers), [[rf.gaussian(1.0)], [1.0]], strict=True)


def test_it_shows_itself() -> None:
    assert repr(rf.radial) == "<radial(x, centers, function=gaussian, epsilon=1.0) = function(epsilon * |x - c|)>"


def test_near_points_keep_their_digits() -> None:
    """|x|^2 + |c|^2 - 2 x c would give 0 or noise."""
    x = np.full((1, 3), 1000.0, np.float32)
    centers = np.nextafter(x, np.float32(2000))
    step = float(np.spacing(np.float32(1000)))
    got = rf.radial(x, centers, rf.linear_radial)
    np.testing.assert_allclose(got, -step * np.sqrt(3), rtol=1e-6)


def test_a_function_that_is_bound_keeps_its_epsilon() -> None:
    x, centers = points(6, 3, 2)
    narrow, dy = rf.gaussian.bind(epsilon=3.0), np.ones((6, 3))
    np.testing.assert_array_equal(rf.radial(x, centers, narrow), rf.radial(x, centers, rf.gaussian, 3.0))
    np.testing.assert_array_equal(rf.radial(x, centers, narrow, 1.0), rf.radial(x, centers))
    for mine, want in zip(
        rf.radial.backward(dy, x, centers, narrow), rf.radial.backward(dy, x, centers, rf.gaussian, 3.0), strict=True
    ):
        np.testing.assert_array_equal(mine, want)


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e-140, 1e140, 1e200, 3e307])
def test_distances_whose_squares_are_no_numbers(size: float) -> None:
    x, centers = np.array([[3 * size, 0.0], [0.0, 0.0]]), np.array([[0.0, 4 * size]])
    np.testing.assert_allclose(rf.radial(x, centers, rf.linear_radial), [[-5 * size], [-4 * size]], rtol=1e-14)
    dx, dcenters, depsilon = rf.radial.backward(np.array([[1.0], [0.0]]), x, centers, rf.linear_radial)
    np.testing.assert_allclose(dx, [[-0.6, 0.8], [0, 0]], rtol=1e-13)
    np.testing.assert_allclose(dcenters, [[0.6, -0.8]], rtol=1e-13)
    np.testing.assert_allclose(depsilon, -5 * size, rtol=1e-14)


@functions
@pytest.mark.parametrize("epsilon", [0.8, np.array([0.5, 1.0, 1.5, 2.0])])
def test_backward(function: Any, epsilon: Any) -> None:
    torch = pytest.importorskip("torch")
    x, centers = points(9, 4, 3)
    dy = np.random.default_rng(0).normal(0, 1, (9, 4))
    leaves = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in (x, centers, epsilon)]
    scaled = leaves[2] * (leaves[0][:, None] - leaves[1][None]).square().sum(-1).sqrt()
    formulas = {
        "gaussian": torch.exp(-(scaled**2)),
        "multiquadric": -torch.sqrt(1 + scaled**2),
        "inverse_multiquadric": torch.rsqrt(1 + scaled**2),
        "inverse_quadratic": 1 / (1 + scaled**2),
        "thin_plate_spline": torch.xlogy(scaled**2, scaled),
        "cubic": scaled**3,
        "quintic": -(scaled**5),
        "linear_radial": -scaled,
    }
    formulas[function.name].backward(torch.from_numpy(dy))
    got = rf.radial.backward(dy, x, centers, function, epsilon)
    for mine, leaf in zip(got, leaves, strict=True):
        np.testing.assert_allclose(mine, leaf.grad.numpy(), rtol=1e-11, atol=1e-13)
        assert np.shape(mine) == tuple(leaf.shape)


def test_a_point_on_a_centre_is_not_moved_by_it() -> None:
    x = np.array([[1.0, 2.0], [0.0, 0.0]])
    for function in FUNCTIONS:
        dx, dcenters, _ = rf.radial.backward(np.ones((2, 1)), x, x[:1], function)
        assert dx[0].tolist() == [0, 0]
        np.testing.assert_array_equal(dcenters[0], -dx[1])


def test_blocks_do_not_show_and_bound_the_memory() -> None:
    x, centers = points(3000, 400, 5)
    whole = rf.radial(x, centers)
    np.testing.assert_array_equal(whole[2000:2010], rf.radial(x[2000:2010], centers))
    tracemalloc.start()
    rf.radial(x, centers)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < whole.nbytes + 12_000_000


def test_no_warning_and_nan_stays() -> None:
    x = np.array([[np.nan], [np.inf], [1e200]])
    with np.errstate(all="raise"):
        got = rf.radial(x, np.array([[np.inf], [0.0]]))
        rf.radial.backward(np.ones((3, 2)), x, np.array([[np.inf], [0.0]]))
        short = np.array([[1e20]], np.float32)
        gradients = rf.radial.backward([[1.0]], short, 0 * short, rf.cubic)
    np.testing.assert_array_equal(got, [[np.nan, np.nan], [np.nan, 0], [0, 0]])
    assert [float(np.squeeze(each)) for each in gradients] == [np.inf, -np.inf, np.inf]


@pytest.mark.parametrize(
    ("call", "kind", "line"),
    [
        (lambda: rf.radial(np.zeros((2, 3)), np.zeros((2, 2))), ValueError, r"\(2, 3\) and \(2, 2\)"),
        (lambda: rf.radial(np.zeros(2), np.zeros((2, 2))), ValueError, r"points \(n, d\) and centers \(k, d\)"),
        (lambda: rf.radial(np.zeros((2, 2)), np.zeros((2, 2)), rf.relu), TypeError, "such as rectified.gaussian"),
        (
            lambda: rf.radial.backward(np.zeros((2, 1)), np.zeros((2, 2)), np.zeros((2, 2))),
            ValueError,
            r"dy has the shape \(2, 1\), and the output has \(2, 2\)",
        ),
        (lambda: rf.radial(np.zeros((0, 2)), np.zeros((3, 2)), epsilon=[1, 2]), ValueError, r"one epsilon or 3.*\(2,\)"),
        (lambda: rf.radial(np.zeros((2, 1)), np.zeros((1, 1)), epsilon=[[1], [2]]), ValueError, r"epsilon.*\(2, 1\)"),
        (lambda: rf.radial(np.zeros((2, 2), complex), np.zeros((0, 2))), TypeError, "real numbers.*not complex128"),
        (lambda: rf.radial(np.zeros((2, 2)), np.zeros((2, 2), "m8[s]")), TypeError, "real numbers.*not timedelta64"),
        (lambda: rf.radial.backward([[1j]], [[0]], [[1]]), TypeError, "real numbers.*not complex128"),
        (lambda: rf.radial(np.ma.masked_less([[1.0]], 2), [[0]]), TypeError, "^radial: numbers behind a mask would count"),
        (
            lambda: rf.radial(np.zeros((1, 1), np.float16), np.zeros((1, 1), ml_dtypes.bfloat16)),
            TypeError,
            "^radial: points of float16 and centers of bfloat16 have no type in common; make both float32$",
        ),
    ],
)
def test_errors_are_one_clear_line(call: Any, kind: type[Exception], line: str) -> None:
    with pytest.raises(kind, match=line):
        call()


@functions
def test_a_negative_distance_is_none(function: Any) -> None:
    assert np.isnan(function(-1.0))
    assert np.isnan(function.derivative(-1.0))
    assert np.isnan(function.derivative(-1.0, wrt="epsilon"))
    assert function(-0.0) == function(0.0)
