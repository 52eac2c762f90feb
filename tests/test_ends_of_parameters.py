"""Parameters at the ends of their types' range, where steps on the way to a result leave it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import rectified as rf
import sweep
from oracle import Oracle, kernel, operations, rounded, ulps
from rectified import _native
from sweep import claimed
from test_accuracy import HALVES

ISAS = _native.instruction_sets()
isas = pytest.mark.parametrize("isa", ISAS)


def least(dtype: Any) -> tuple[float, float, float]:
    """The smallest number, the smallest normal one, the largest one."""
    info = np.finfo(dtype)
    return float(info.smallest_subnormal), float(info.tiny), float(info.max)


def given(name: str, dtype: Any) -> tuple[list[float], list[float]]:
    """Parameters and inputs."""
    first, tiny, most = least(dtype)
    both = [1e-3, 1.0, 60.0, 1e14, 1e30, most / 2]
    match name:
        case "elu":
            return [1e20, most / 4, -most / 4], [-1e-3, -1.0, -60.0, -150.0, -220.0, -1500.0, 1.0]
        case "celu":
            return [3 * first, tiny / 4, most / 4], [-first, -5 * first, -tiny, -1.0, -most, 1.0]
        case "silu" | "softplus":
            betas = [first, tiny, -tiny, 1e-30, 1e-19, 1e-12, 1e-8, 1e-6, 100.0, 1e10, -1e20, 2e33, most**0.75]
            zero = [0.0, -0.0] if name == "silu" else []
            tails = [-z / beta for z in (0.7, 50.0, 110.0, 141.0, 170.0, 800.0) for beta in betas]
            return zero + betas, [0.0, -tiny, *both, *(-x for x in both), *(x for x in tails if abs(x) < most)]
        case "inverse_quadratic" | "inverse_multiquadric" | "multiquadric":
            large = [1e4, most**0.5, most / 4]
            return large, [first, tiny, *(z / epsilon for z in (0.5, 3.0, 1e3) for epsilon in large), 1.0, most / 2]
        case "gaussian" | "thin_plate_spline" | "cubic" | "quintic":  # powers of epsilon leave the range by themselves
            return [1e-4, 100.0], [tiny, 1e-5, 0.3, 1.0, 4.0]
        case _:
            ends = [first, tiny, first**0.5, tiny**0.5, 1e-20, 1e19, most]
            return [first, tiny, most / 4], [0.0, *ends, *(-x for x in ends)]


PARAMETERS = [(name, key) for name, found in rf.catalogue.items() if found.category != "fold" for key in found.parameters]
OPERATIONS = [
    (name, key, operation)
    for name, key in PARAMETERS
    for operation in operations(rf.catalogue[name])
    if (name, operation) != ("inverse_quadratic", "second_derivative")  # loses a digit beside the smallest normal number
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "key", "operation"), OPERATIONS)
def test_they_give_what_the_formula_does(name: str, key: str, operation: str, dtype: Any) -> None:
    parameters, inputs = given(name, dtype)
    x = np.array([each for each in inputs if name not in rf.catalogue.of("radial") or each > 0], dtype)
    for parameter in map(dtype, parameters):
        bound = rf.catalogue[name].bind(**{key: parameter})
        numbers = [dtype(value) for value in bound._defaults.values()]
        exact = Oracle(bound, operation, dtype)
        values = [exact.at(float(each), 6000) for each in x]
        with mpmath.workprec(200):
            want = np.array([rounded(+value, dtype) for value in values], dtype)
        for isa in ISAS:
            got = sweep.compiled(isa)[kernel(bound, operation)](x, *numbers)
            far = np.flatnonzero((ulps(got, want) > claimed(name, operation, x.dtype.name)) & (got != want))
            assert far.size == 0, (isa, parameter, x[far], got[far], want[far])


def is_excepted(name: str, key: str, sign: int, x: float) -> bool:
    """Where the documentation says that an infinite parameter does not give the limit."""
    match name, key, sign:
        case "celu" | "squareplus" | "thin_plate_spline", _, -1:
            return True  # whose left side, root or logarithm wants a positive number
        case ("leaky_relu", _, _) | (_, "epsilon", _):
            return x == 0  # inf * 0
        case ("clipped_relu", _, -1) | ("hardtanh", "min_val", 1) | ("hardtanh", "max_val", -1):
            return True  # an infinite bound stops nothing
    return False


def limit(name: str, key: str, sign: int, operation: str, x: float) -> float:
    """What the formula tends to while a parameter grows; NaN where it does not."""
    bound = (rf.catalogue[name].bind(**{key: sign * 2.0**exponent}) for exponent in (100, 300, 900))
    near = [Oracle(each, operation, np.float64).at(x, 4000) for each in bound]
    first, second, last = (abs(each) for each in near)
    if last < 1e-20:
        return 0.0
    if abs(near[2] - near[1]) <= 1e-9 * last:
        return float(near[2])
    return math.copysign(math.inf, near[2]) if 1e20 < last > second > first else math.nan


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("name", "key"), PARAMETERS)
def test_an_infinite_parameter_gives_the_limit(name: str, key: str, sign: int, dtype: Any) -> None:
    found = rf.catalogue[name]
    sides = (1,) if found.category == "radial" else (1, -1)
    x = np.array([side * size for size in (0.0, 1e-3, 1.0, 30.0) for side in sides]).astype(dtype)
    x = x[[not is_excepted(name, key, sign, each) for each in x.tolist()]]
    numbers = [dtype(value) for value in found.bind(**{key: sign * np.inf})._defaults.values()]
    for operation in operations(found) if x.size else ():
        want = np.array([limit(name, key, sign, operation, each) for each in x.tolist()])
        for isa in ISAS:
            got = sweep.compiled(isa)[kernel(found, operation)](x, *numbers).astype(float)
            is_limit = np.isnan(want) | np.isclose(got, want, rtol=0.01)
            assert is_limit.all(), (operation, isa, x[~is_limit], got[~is_limit], want[~is_limit])


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize("name", ["silu", "softplus", *rf.catalogue.of("radial")])
@isas
def test_what_does_not_depend_on_x_has_its_value_at_infinity(name: str, dtype: Any, isa: str) -> None:
    ends = np.array([np.inf] if name in rf.catalogue.of("radial") else [np.inf, -np.inf]).astype(dtype)
    for operation in ("value", "derivative", "second_derivative"):
        ufunc = sweep.compiled(isa).get(kernel(rf.catalogue[name], operation))
        if ufunc is None or (name, operation) == ("silu", "value"):
            continue
        for zero in (dtype(0), dtype(-0.0)):
            want = ufunc(np.ones(ends.shape, dtype), zero)
            np.testing.assert_array_equal(ufunc(ends, zero).astype(float), want.astype(float), operation)


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@isas
def test_silu_with_0_is_half_of_x(dtype: Any, isa: str) -> None:
    sizes = [0.0, 1e-3, 1.5, 300.0, 6e4, np.inf]
    x = np.array([*sizes, *(-size for size in sizes)]).astype(dtype)
    compiled = sweep.compiled(isa)
    for zero in (dtype(0), dtype(-0.0)):
        np.testing.assert_array_equal(compiled["silu"](x, zero).astype(float), x.astype(float) / 2)
        np.testing.assert_array_equal(compiled["silu_derivative"](x, zero).astype(float), 0.5)


@isas
def test_odd_subnormals_are_ties_for_silu_with_0(isa: str) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.array([1, 3, 5, 7, 0x8001, 0x8003], np.uint16).view(bfloat16)
    got = sweep.compiled(isa)["silu"](x, bfloat16(0))
    assert got.view(np.uint16).tolist() == [0, 2, 2, 4, 0x8000, 0x8002]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_number_that_the_type_has_no_place_for_is_a_limit(dtype: Any) -> None:
    x, large = np.array([-2.0, 0.0, 2.0], dtype), 1e300
    line, rectified = np.array([-2, 0, 2], dtype), np.array([0, 0, 2], dtype)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(rf.silu(x, large), rectified)
        np.testing.assert_array_equal(rf.softplus(x, large), rectified)
        np.testing.assert_array_equal(rf.silu.derivative(x, large), [0, 0.5, 1])
        np.testing.assert_array_equal(rf.softplus.derivative(x, large), [0, 0.5, 1])
        np.testing.assert_array_equal(rf.celu(x, large), line)
        np.testing.assert_array_equal(rf.celu.derivative(x, large), [1, 1, 1])
        np.testing.assert_array_equal(rf.elu(x, large), [-np.inf, 0, 2])
        np.testing.assert_array_equal(rf.elu(x, -large), [np.inf, 0, 2])
        np.testing.assert_array_equal(rf.elu.derivative(x, large), [np.inf, 1, 1])


@pytest.mark.parametrize("dtype", HALVES)
@isas
def test_silu_with_infinity_is_relu(dtype: Any, isa: str) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    got = sweep.compiled(isa)["silu"](x, dtype(np.inf))
    np.testing.assert_array_equal(got.astype(float), rf.relu(x).astype(float))


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize("name", ["silu", "softplus"])
def test_what_becomes_relu_bends_only_at_0(name: str, dtype: Any) -> None:
    x = np.array([-np.inf, -1.0, 0.0, 1e-3, np.nan]).astype(dtype)
    np.testing.assert_array_equal(
        rf.catalogue[name].derivative(x, dtype(np.inf), order=2).astype(float), [0, 0, np.inf, 0, np.nan]
    )
    assert rf.catalogue[name](dtype(0), dtype(np.inf)) == 0


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize("name", ["multiquadric", "inverse_multiquadric", "inverse_quadratic", "gaussian"])
def test_an_infinite_epsilon_leaves_no_bend_beyond_0(name: str, dtype: Any) -> None:
    for epsilon in (dtype(np.inf), dtype(-np.inf)):
        got = rf.catalogue[name].derivative(np.array([1e-3, 1, np.inf]).astype(dtype), epsilon, order=2)
        np.testing.assert_array_equal(got.astype(float), 0)


@pytest.mark.parametrize("epsilon", [1e-4, 0.06397583, 0.3, 1.3, 5.0, 100.0])
@isas
def test_inverse_quadratic_beside_other_widths(epsilon: float, isa: str) -> None:
    """Many numbers, where a sample would miss those at which three roundings add up."""
    width = np.float32(epsilon)
    r = (np.exp2(np.random.default_rng(0).uniform(-3, 3, 300_000)) / width).astype(np.float32)
    want = (1 / (1 + np.square(r.astype(float) * float(width)))).astype(np.float32)
    assert ulps(sweep.compiled(isa)["inverse_quadratic"](r, width), want).max() <= 1


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize("name", ["leaky_relu", "elu"])
@isas
def test_0_times_what_is_left_of_0_has_the_sign_of_the_product(name: str, dtype: Any, isa: str) -> None:
    x = np.array([-np.inf, -2.0, -1e-3]).astype(dtype)
    for zero in (0.0, -0.0):
        got = sweep.compiled(isa)[name](x, dtype(zero)).astype(float)
        assert [*got, *np.signbit(got)] == [0.0] * 3 + [not np.signbit(zero)] * 3


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
def test_nothing_is_known_of_a_bound_that_is_nan(dtype: Any) -> None:
    x = np.array([-5.0, 0.2, 3.0]).astype(dtype)
    assert np.isnan(rf.softshrink.derivative(x, dtype(np.nan), wrt="lambd").astype(float)).all()
    assert np.isnan(rf.softshrink(x, dtype(np.nan)).astype(float)).all()
    assert (rf.softshrink.derivative(x, dtype(np.nan)) == 1).all()


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize("name", rf.catalogue.of("radial"))
def test_a_distance_of_0_times_an_infinite_epsilon_is_nan(name: str, dtype: Any) -> None:
    found, zero, infinite = rf.catalogue[name], dtype(0), dtype(np.inf)
    assert np.isnan(float(found(zero, infinite)))
    assert np.isnan(float(found.derivative(zero, infinite))) == (name != "linear_radial")


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize(
    ("variant", "want"),
    [
        (rf.clipped_relu.bind(ceiling=np.inf), [0, 0, 1, 1]),
        (rf.hardtanh.bind(min_val=-np.inf, max_val=np.inf), [1, 1, 1, 1]),
        (rf.hardtanh.bind(min_val=-np.inf, max_val=1.0), [1, 1, 0, 0]),
    ],
    ids=lambda variant: getattr(variant, "signature", ""),
)
def test_an_infinite_bound_stops_nothing(variant: Any, want: list[int], dtype: Any) -> None:
    x = np.array([-np.inf, -2.0, 3.0, np.inf]).astype(dtype)
    one = np.ones_like(x)
    np.testing.assert_array_equal(variant.derivative(x).astype(float), want)
    np.testing.assert_array_equal(variant.derivative(x, at_kink=0.5).astype(float), want)
    np.testing.assert_array_equal(variant.backward_packed(one, variant.forward_packed(x)[1]).astype(float), want)
    np.testing.assert_array_equal(variant.backward_from_output(one, variant(x)).astype(float), want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@isas
def test_squareplus_where_its_root_vanishes(dtype: Any, isa: str) -> None:
    compiled = sweep.compiled(isa)
    x = np.array([-1.0, -least(dtype)[0], 0.0, 1e-30, 1.0, np.inf], dtype)
    np.testing.assert_array_equal(compiled["squareplus_second_derivative"](x, dtype(0)), [0, 0, np.inf, 0, 0, 0])
    ends = np.array([-1.0, 1.0], dtype)
    np.testing.assert_array_equal(compiled["squareplus_derivative"](ends, dtype(-1)), [-np.inf, np.inf])
    np.testing.assert_array_equal(compiled["squareplus_second_derivative"](ends, dtype(-1)), [-np.inf, -np.inf])


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
def test_squareplus_has_its_limit_where_b_is_infinite(dtype: Any) -> None:
    x, b = np.array([-2.0, 0.0, 2.0, np.nan]).astype(dtype), dtype(np.inf)
    np.testing.assert_array_equal(rf.squareplus(x, b).astype(float), [np.inf] * 3 + [np.nan])
    np.testing.assert_array_equal(rf.squareplus.derivative(x, b).astype(float), [0.5] * 3 + [np.nan])
    np.testing.assert_array_equal(rf.squareplus.derivative(x, b, order=2).astype(float), [0.0] * 3 + [np.nan])
    np.testing.assert_array_equal(rf.squareplus.derivative(x, b, wrt="b").astype(float), [0.0] * 3 + [np.nan])


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
def test_an_infinite_parameter_times_0_is_nan(dtype: Any) -> None:
    ends = np.array([0.0, 1.0]).astype(dtype)
    infinite = dtype(np.inf)
    np.testing.assert_array_equal(rf.leaky_relu(-ends, infinite).astype(float), [np.nan, -np.inf])
    np.testing.assert_array_equal(rf.inverse_multiquadric(ends, infinite).astype(float), [np.nan, 0])
    np.testing.assert_array_equal(rf.inverse_multiquadric.derivative(ends, infinite).astype(float), [np.nan, 0])
    np.testing.assert_array_equal(rf.multiquadric(ends, infinite).astype(float), [np.nan, -np.inf])


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
def test_celu_with_infinity_is_straight_up_to_the_largest_number(dtype: Any) -> None:
    infinite = dtype(np.inf)
    x = np.array([np.nextafter(-infinite, dtype(0)), -1.0, 0.0, 1.0]).astype(dtype)
    np.testing.assert_array_equal(rf.celu(x, infinite), x)
    np.testing.assert_array_equal(rf.celu.derivative(x, infinite).astype(float), 1.0)
    np.testing.assert_array_equal(rf.celu.derivative(x, infinite, wrt="alpha").astype(float), 0.0)


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
def test_celu_with_infinity_hands_gradients_through(dtype: Any) -> None:
    y, dy = np.array([-2.0, -1e-3, 0.0, 1.0]).astype(dtype), np.array([1.0, -0.5, 2.0, 3.0]).astype(dtype)
    np.testing.assert_array_equal(rf.celu.backward_from_output(dy, y, dtype(np.inf)).astype(float), dy.astype(float))


@pytest.mark.parametrize("alpha", [1e-38, 1e-30, 1e-20, 0.3, 7.0, 1e30, 3e38])
@isas
def test_no_alpha_of_celu_makes_gradients_from_the_output_vanish(alpha: float, isa: str) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    width = bfloat16(alpha)
    y = np.unique((np.linspace(-1, 0.1, 500) * float(width)).astype(bfloat16).view(np.uint16)).view(bfloat16)
    slope = [1 if each >= 0 else 1 + Fraction(each) / Fraction(float(width)) for each in y.astype(float).tolist()]
    for gradient in map(bfloat16, (3e-25, 1.0, -7e9, 1e20)):
        want = np.array([float(Fraction(float(gradient)) * each) for each in slope]).astype(bfloat16)
        got = sweep.compiled(isa)["celu_backward_from_output"](np.full_like(y, gradient), y, width)
        np.testing.assert_array_equal(got.astype(float), want.astype(float))


@isas
def test_silu_keeps_all_digits_of_the_product_where_its_gate_shuts(isa: str) -> None:
    x, beta = np.float32(float.fromhex("-0x1.37b69cp+71")), np.float32(float.fromhex("0x1.06ce3ap-67"))
    assert x * beta == -20
    got = sweep.compiled(isa)["silu"](x, beta)
    assert got == np.float32(rf.silu(np.float64(x), np.float64(beta)))


@pytest.mark.parametrize("alpha", [0.0, -0.5, -np.inf])
def test_left_of_0_celu_is_nan_for_what_is_not_positive(alpha: float) -> None:
    x = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_array_equal(rf.celu(x, alpha), [np.nan, 0, 1])
    np.testing.assert_array_equal(rf.celu.derivative(x, alpha), [np.nan, 1, 1])
    assert "NaN" in rf.celu.parameters["alpha"].meaning


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize("name", ["hardshrink", "softshrink"])
def test_shrinking_by_0_passes_all_on_but_has_the_slope_0_at_0(name: str, dtype: Any) -> None:
    """As the derivative's formula says, and PyTorch; there is no kink, for the sides do not differ."""
    shrink = rf.catalogue[name].bind(lambd=0.0)
    x = np.array([-2.0, -1e-5, -0.0, 0.0, 1e-5, 2.0]).astype(dtype)
    np.testing.assert_array_equal(shrink(x).astype(float), x.astype(float))
    np.testing.assert_array_equal(shrink.derivative(x).astype(float), [1, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(
        shrink.backward_packed(np.ones_like(x), shrink.forward_packed(x)[1]).astype(float), [1, 1, 0, 0, 1, 1]
    )
    assert shrink.kinks == ()
    assert rf.catalogue[name].kinks == (-0.5, 0.5)
