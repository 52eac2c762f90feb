"""How far results are from the correctly rounded ones, on every instruction set; accuracy.json may only get better."""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
import types
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import rectified as rf
import sweep
from oracle import (
    Oracle,
    Worst,
    finfo,
    in_exact_numbers,
    kernel,
    operations,
    rounded,
    rounded_to_odd,
    stratified,
    ulps,
    worst,
)
from rectified import _native
from rectified.formula import evaluate
from sweep import claimed

try:
    from ml_dtypes import bfloat16
except ImportError:
    HALVES = [np.float16]
else:
    rf.ufuncs.learn_bfloat16()
    HALVES = [np.float16, bfloat16]

FUNCTIONS = [name for name, activation in rf.catalogue.items() if activation.category != "fold"]
CASES = [(name, operation) for name in FUNCTIONS for operation in operations(rf.catalogue[name])]
DERIVATIVES = [(name, operation) for name, operation in CASES if operation != "value"]
BACKWARDS = [(name, operation) for name, operation in DERIVATIVES if operation != "second_derivative"]
FROM_OUTPUT = [name for name in FUNCTIONS if hasattr(rf.catalogue[name], "backward_from_output")]
ISAS = _native.instruction_sets()
STRIDE = 8191

cases = pytest.mark.parametrize(("name", "operation"), CASES)
derivatives = pytest.mark.parametrize(("name", "operation"), DERIVATIVES)
backwards = pytest.mark.parametrize(("name", "operation"), BACKWARDS)
functions = pytest.mark.parametrize("name", FUNCTIONS)
isas = pytest.mark.parametrize("isa", ISAS)
halves = pytest.mark.parametrize("dtype", HALVES)
dtypes = pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])


def inside(name: str, x: Any) -> Any:
    """Those numbers that the function is defined for: a distance is not negative."""
    return x[x >= 0] if rf.catalogue[name].category == "radial" else x


def backward(operation: str) -> str:
    """The kind of ufunc that multiplies a derivative by dy."""
    return operation.replace("derivative", "backward")


@lru_cache
def oracle(name: str, operation: str, dtype: Any = np.float32) -> Oracle:
    return Oracle(rf.catalogue[name], operation, dtype)


@lru_cache
def parameters(name: str, dtype: Any) -> list[Any]:
    return [dtype(parameter.default) for parameter in rf.catalogue[name].parameters.values()]


def check(name: str, operation: str, dtype: str, found: dict[str, Any]) -> None:
    record = sweep.recorded().get(name, {}).get(operation, {}).get(dtype)
    assert record, f"accuracy.json lacks it: run tools/sweep.py {name} --dtype {dtype}"
    assert record["ulp"] <= claimed(name, operation, dtype)
    whole = None if dtype == "float64" else 1
    assert record["stride"] == whole, f"accuracy.json has a sample: run tools/sweep.py {name} without --stride"
    assert max(found.values()).ulp <= record["ulp"], found


# ---- the figures ----------------------------------------------------------------------------------------------------


@lru_cache
def sample_of_float32(*places: float) -> Any:
    """Each STRIDE-th float32, each that is a bfloat16, and all near certain places, such as where tables end."""
    tables = re.findall(r" end = (\S+)f;", (sweep.NATIVE / "tables.hpp").read_text())
    assert tables
    ends = [1e-45, 2.0**-126, 2.0**-12, 0.5, 1, 2, 8.66, 9.01, 14.2, 16.6, 17.3, 43.7, 51.98, 87.3, 88.72, 103.97, 3e38]
    centres = np.array([*map(float.fromhex, tables), *ends, *map(abs, places)], np.float32).view(np.uint32).astype(np.int64)
    positive = np.clip(np.concatenate([centres[:, None] + np.arange(-1000, 1000), [np.arange(2000)]]), 0, 0x7F800001)
    spread = [np.arange(0, 2**32, STRIDE), np.arange(0, 2**32, 2**16)]
    return np.unique(np.concatenate([*spread, *positive, *(positive + 2**31)])).astype(np.uint32)


@cases
def test_float32(name: str, operation: str) -> None:
    exact = oracle(name, operation)
    bits = sample_of_float32(*exact.activation.kinks, *exact.roots)
    found = sweep.measure_bits(exact, sweep.ours(name, operation), bits)
    assert list(found) == ISAS
    check(name, operation, "float32", found)


@halves
@cases
def test_16_bits(name: str, operation: str, dtype: Any) -> None:
    found = sweep.measure_16_bits(oracle(name, operation, dtype), sweep.ours(name, operation))
    check(name, operation, np.dtype(dtype).name, found)


@cases
def test_float64(name: str, operation: str) -> None:
    found = sweep.measure_float64(oracle(name, operation, np.float64), sweep.ours(name, operation), 600)
    check(name, operation, "float64", found)


OTHER_PARAMETERS = {
    "slope": (0.2, -0.5, 3.0, 0.0, 1e-30, -1e-42),
    "ceiling": (1.0, 20.5),
    "threshold": (-1.5, 0.3),
    "value": (0.0, -20.0),
    "alpha": (0.01, 0.5, 3.0, 1e-4, 1e4),
    "beta": (0.1, 1.702, 20.0, 1e-4, 1e4),
    "b": (0.01, 1.0, 30.0, 1e-4, 1e4),
    "min_val": (-2.5, 0.0),
    "max_val": (0.0, 6.0),
    "lambd": (0.3, 2.0),
    "epsilon": (0.3, 5.0, 1e-4, 100.0, -1.3),
}
NO_NUMBER = [("thin_plate_spline", -1.3)]  # the logarithm of a negative number
VARIANTS = [
    rf.catalogue[name].bind(**{parameter: value})
    for name in FUNCTIONS
    for parameter, (default, _) in rf.catalogue[name].parameters.items()
    for value in OTHER_PARAMETERS.get(parameter, (default / 2, 2 * default))
    if value != default and (name, value) not in NO_NUMBER
]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.signature)


@variants
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_other_parameters(variant: Any, dtype: Any) -> None:
    kinks = np.array(variant.kinks, dtype)
    x = np.concatenate([stratified(dtype, 120), kinks, *(np.nextafter(kinks, dtype(end)) for end in (-np.inf, np.inf))])
    check_variant(variant, x[np.isfinite(x)])  # formulas such as 0 x leave infinity open


@pytest.mark.parametrize(
    ("variant", "operation", "largest", "known"),
    [
        (rf.silu.bind(beta=0.6325493), "derivative", 1.1, -2.0211303),
        (rf.silu.bind(beta=0.07488819), "derivative", 1.1, -17.071644),
        (rf.thin_plate_spline.bind(epsilon=1.1011336), "derivative", 1.1, 0.55082387),
        (rf.inverse_quadratic.bind(epsilon=0.6618199), "second_derivative", 2 * 0.66**2, 0.87236768),
        (rf.inverse_multiquadric.bind(epsilon=0.13130647), "second_derivative", 0.131**2, 5.3851633),
    ],
    ids=lambda given: getattr(given, "signature", None),
)
def test_the_absolute_error_of_float32_beside_roots(
    variant: Any, operation: str, largest: float, known: float | None
) -> None:
    """So close that a pair of float32 has not all digits, as at the inputs that are known."""
    exact = Oracle(variant, operation, np.float32)
    near = np.unique(np.append(exact.beside_roots(), np.float32(known)))
    x = np.unique(np.concatenate([near, *(np.nextafter(near, np.float32(end)) for end in (-np.inf, np.inf))]))
    assert exact.roots
    want = [exact.exact(float(each)) for each in x]
    for isa in ISAS:
        got = sweep.compiled(isa)[kernel(variant, operation)](
            x, np.float32(next(iter(variant.parameters.values())).default)
        )
        errors = np.array([float(abs(value - float(result))) for value, result in zip(want, got, strict=True)])
        promised = ulps(got, np.array(want, float).astype(np.float32)) <= sweep.claimed(variant.name, operation, "float32")
        assert not promised[x == np.float32(known)].any()
        far = ~promised & (errors >= 2.0**-52 * largest)
        assert not far.any(), (isa, x[far], got[far])
        assert (np.abs(got[~promised]) < 2.0**-28 * largest).all()


@variants
@halves
def test_other_parameters_in_half_precision(variant: Any, dtype: Any) -> None:
    """Correctly rounded, but for what lies nearer to a tie than float64 tells, as 1.44 (e^x - 1) may where x is tiny."""
    x = stratified(dtype, 240)
    x = x[np.isfinite(x)]
    for operation in operations(variant):
        with np.errstate(under="ignore"):
            exact = Oracle(variant, operation, dtype)
        given, want = list(map(dtype, exact.parameters.values())), exact.rounded(x)
        for isa in ISAS:
            got = sweep.compiled(isa)[kernel(variant, operation)](x, *given)
            for place in np.flatnonzero(ulps(got, want)):
                tie, number = (float(got[place]) + float(want[place])) / 2, exact.exact(float(x[place]))
                assert abs(number - tie) <= 2.0**-50 * abs(tie), (operation, x[place], got[place], want[place])


@pytest.mark.parametrize("epsilon", [1e-30, 3e-9, 1e6, 1e30])
@pytest.mark.parametrize("name", rf.catalogue.of("radial"))
def test_epsilon_of_unusual_size(name: str, epsilon: float) -> None:
    """Steps on the way to a result leave the range of float32."""
    x = stratified(np.float32, 120)
    check_variant(rf.catalogue[name].bind(epsilon=epsilon), x[np.isfinite(x) & (x != 0)])


@pytest.mark.parametrize("epsilon", [1e-4, 0.3, 22.5, 100.0])
@pytest.mark.parametrize("name", rf.catalogue.of("radial"))
def test_distances_at_the_ends_of_float64(name: str, epsilon: float) -> None:
    """Subnormal ones, which lose digits in a product; and those with a power that is subnormal, or no number."""
    random = np.random.default_rng(0)
    exponents = [random.uniform(*ends, 15) for ends in ((-1074, -1000), (-545, -500), (200, 320))]
    check_variant(rf.catalogue[name].bind(epsilon=epsilon), np.exp2(np.concatenate(exponents)))


@pytest.mark.parametrize(
    ("alpha", "x"),
    [
        (3914.365478515625, -0.9358742833137512),
        (437.46490478515625, -1.7089029550552368),
        (125.29875183105469, -3.994061678613825e-11),
        (0.00777495838701725, -4.16166521520219e-21),
    ],
)
def test_celu_beside_a_quotient_with_a_rest(alpha: float, x: float) -> None:
    """The quotient is no float32, and its square misses twice what it lacks."""
    check_variant(rf.celu.bind(alpha=alpha), np.float32([x]))


def check_variant(variant: Any, x: Any) -> None:
    dtype = x.dtype.type
    for operation in operations(variant):
        with np.errstate(under="ignore"):
            exact = Oracle(variant, operation, dtype)
        given = list(map(dtype, exact.parameters.values()))
        contenders = {
            isa: lambda x, isa=isa: sweep.compiled(isa)[kernel(variant, operation)](x, *given)  # noqa: B023
            for isa in ISAS
        }
        found = sweep.measure(exact, contenders, x)
        assert max(found.values()).ulp <= claimed(variant.name, operation, x.dtype.name), (operation, found)


@halves
@functions
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_half_precision_is_float64_rounded_once(name: str, dtype: Any) -> None:
    x = stratified(dtype, 2000)
    x = inside(name, x[np.isfinite(x)])
    dy = np.random.default_rng(0).permutation(x) if x.min() < 0 else -x[::-1]
    dy[::97], dy[50::97] = np.inf, -np.inf
    defaults = parameters(name, dtype)
    extremes = [dtype(size) for size in (1e-30, 1e-4, 0.3, 20, 1e4, 1e30) if 0 < float(dtype(size)) < np.inf]
    for given in [
        defaults,
        *([*defaults[:k], value, *defaults[k + 1 :]] for k in range(len(defaults)) for value in extremes),
    ]:
        for operation, isa in itertools.product(operations(rf.catalogue[name]), ISAS):
            ufunc = sweep.compiled(isa)[kernel(rf.catalogue[name], operation)]
            wanted = [(ufunc, (x,))]
            if (name, operation) in BACKWARDS:
                wanted.append((sweep.compiled(isa)[f"{name}_{backward(operation)}"], (dy, x)))
            for each, operands in wanted:
                want = each(*(np.asarray(operand, np.float64) for operand in (*operands, *given)))
                ends = [rounded_to_odd(want * (1 + end * 2.0**-50)).astype(dtype) for end in (-1, 1)]  # two at a tie
                got = each(*operands, *given)
                assert ((got == ends[0]) | (got == ends[1]) | np.isnan(got) & np.isnan(want)).all(), (operation, given)


@halves
@backwards
def test_backward_in_half_precision_is_rounded_once(name: str, operation: str, dtype: Any) -> None:
    x = stratified(dtype, 400)
    x = inside(name, x[np.isfinite(x)])
    dy = np.random.default_rng(0).normal(0, 1, x.size).astype(dtype)
    exact = oracle(name, operation, dtype).exact
    with mpmath.workprec(200):
        products = [float(factor) * exact(float(number)) for factor, number in zip(dy, x, strict=True)]
        ends = [[rounded(product * (1 + end * mpmath.ldexp(1, -50)), dtype) for product in products] for end in (-1, 1)]
    low, high = np.array(ends, dtype)  # two numbers where it is a tie, or hardly none
    for isa in ISAS:
        got = sweep.compiled(isa)[f"{name}_{backward(operation)}"](dy, x, *parameters(name, dtype))
        assert ((got == low) | (got == high)).all(), isa


@halves
@pytest.mark.parametrize(
    ("name", "slope", "given"),
    [
        ("sigmoid", lambda y: y - y * y, []),
        ("tanh", lambda y: 1 - y * y, []),
        ("elu", lambda y, alpha: y + alpha if y <= 0 else 1, [1]),
        ("elu", lambda y, alpha: y + alpha if y <= 0 else 1, [0.7]),
        ("celu", lambda y, alpha: (y + alpha) / alpha if y < 0 else 1, [0.7]),
    ],
)
def test_ties_of_backward_from_output_in_half_precision_go_to_even(name: str, slope: Any, given: Any, dtype: Any) -> None:
    """A slope of few digits makes many; float64 would make some where there is none."""
    random = np.random.default_rng(0)
    tiny = max(float(finfo(dtype).smallest_subnormal) ** 0.5, 2.0**-45)
    sizes = np.concatenate([random.uniform(0, 1, 1000), np.arange(500) % 65 / 64, tiny ** random.uniform(0, 2, 200)])
    y = (sizes * min(given, default=1)).astype(dtype)
    if name != "sigmoid":
        y[::2] = -y[::2]
    dy = np.concatenate([random.normal(0, 1, 1200), random.integers(-100, 100, 500)]).astype(dtype)
    numbers = [dtype(number) for number in given]
    with mpmath.workprec(600):
        want = [
            rounded(mpmath.mpf(float(factor)) * slope(mpmath.mpf(float(number)), *map(float, numbers)), dtype)
            for factor, number in zip(dy, y, strict=True)
        ]
    for isa in ISAS:
        got = sweep.compiled(isa)[f"{name}_backward_from_output"](dy, y, *numbers)
        np.testing.assert_array_equal(got.astype(float), want, isa)


@isas
@halves
@pytest.mark.parametrize("ufunc", [*(f"{name}_backward_from_output" for name in FROM_OUTPUT), "hardswish_backward"])
def test_results_in_half_precision_do_not_depend_on_their_neighbours(ufunc: str, dtype: Any, isa: str) -> None:
    """Whatever the output: also what no input has."""
    random = np.random.default_rng(0)
    y = random.permutation(np.arange(1 << 16, dtype=np.uint16)).view(dtype)
    dy = random.choice(np.array([0, 1, -3, 1e-4, 1e-30, np.inf], dtype), y.size)
    name, _, _ = ufunc.partition("_backward")
    compiled, given = sweep.compiled(isa)[ufunc], parameters(name, dtype)
    want = compiled(dy, y, *given)
    for order in (np.argsort(y.view(np.uint16) & 0x7FFF), random.permutation(y.size)):
        got, there = compiled(dy[order], y[order], *given), want[order]
        assert ((got.view(np.uint16) == there.view(np.uint16)) | np.isnan(got) & np.isnan(there)).all()


@isas
@halves
@functions
def test_half_precision_is_the_same_from_tables(name: str, dtype: Any, isa: str) -> None:
    """There is a table where numbers lie side by side, and as many came before."""
    random = np.random.default_rng(0)
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    factors = [
        random.normal(0, 1, x.size).astype(dtype),
        random.integers(-16, 16, x.size).astype(dtype),
        random.permutation(x),
    ]
    given = parameters(name, dtype)
    for operation in operations(rf.catalogue[name]):
        calls = [(kernel(rf.catalogue[name], operation), (x,))]
        if (name, operation) in BACKWARDS:
            calls += [(f"{name}_{backward(operation)}", (dy, x)) for dy in factors]
        for ufunc, operands in calls:
            compiled = sweep.compiled(isa)[ufunc]
            apart = [np.repeat(operand, 2)[::2] for operand in operands]
            want = compiled(*apart, *given)
            for count in (x.size, x.size - 3):
                beside = [operand[:count].copy() for operand in operands]
                got = compiled(*beside, *given)
                compiled(*beside, *given, out=beside[0])
                for each in (got, beside[0]):
                    same = each.view(np.uint16) == want[:count].view(np.uint16)
                    assert (same | np.isnan(each) & np.isnan(want[:count])).all(), (ufunc, count)


@isas
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@backwards
def test_backward_is_the_product(name: str, operation: str, dtype: Any, isa: str) -> None:
    x = stratified(dtype, 8000)
    dy = np.random.default_rng(0).permutation(x)
    compiled, given = sweep.compiled(isa), parameters(name, dtype)
    with np.errstate(all="ignore"):
        want = dy * compiled[f"{name}_{operation}"](x, *given)
    got = compiled[f"{name}_{backward(operation)}"](dy, x, *given)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(want)[~np.isnan(want)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FROM_OUTPUT)
def test_backward_from_output(name: str, dtype: Any) -> None:
    """A rounded output belongs to an input nearby, where the derivative is f' + (y - f) f'' / f'."""
    value, slope, bend = (oracle(name, operation, dtype) for operation in ("value", "derivative", "second_derivative"))
    given = parameters(name, dtype)
    x = stratified(dtype, 80)
    x = inside(name, x[np.isfinite(x)])
    outputs = [sweep.compiled(isa)[name](x, *given) for isa in ISAS]
    ufuncs = [sweep.compiled(isa)[f"{name}_backward_from_output"] for isa in ISAS]
    slopes = [ufunc(dtype(1), y, *given) for ufunc, y in zip(ufuncs, outputs, strict=True)]
    for place in np.flatnonzero(np.isfinite(outputs).all(axis=0)).tolist():
        at = float(x[place])
        want, exact = slope.exact(at), value.at(at, 1200)  # digits enough for what is lacking to 1
        drift = abs(bend.exact(at) / want) if want else mpmath.mpf(0)
        digits = 2 * claimed(name, "derivative", x.dtype.name)
        for y, got in zip(outputs, slopes, strict=True):
            error = abs(got[place] - rounded(want, dtype))
            with mpmath.workprec(1200):
                allowed = 2 * float(drift * abs(float(y[place]) - exact)) + digits * float(np.spacing(abs(got[place])))
            assert error <= allowed, (at, y[place], got[place], float(want))


# ---- what the figures do not say ------------------------------------------------------------------------------------


@dtypes
@cases
@pytest.mark.filterwarnings("ignore:invalid value encountered in isnan")  # bfloat16's own
def test_nan_gives_nan_and_infinity_the_limit(name: str, operation: str, dtype: Any) -> None:
    ends, given = np.array([-np.inf, np.inf], dtype), parameters(name, dtype)
    limits = oracle(name, operation, dtype).rounded(ends)
    size = np.dtype(dtype).itemsize
    bits = np.array([0, 1, 1 << (8 * size - 1)], f"u{size}")
    nans = np.concatenate(
        [
            (np.array(np.nan, dtype).view(bits.dtype) | bits).view(dtype),
            (np.array(np.inf, dtype).view(bits.dtype) + bits[1:2]).view(dtype),
        ]
    )
    assert np.isnan(nans).all()
    for isa in ISAS:
        compiled = sweep.compiled(isa)
        ufunc = compiled[kernel(rf.catalogue[name], operation)]
        np.testing.assert_array_equal(ufunc(ends, *given).astype(np.float64), limits.astype(np.float64))
        assert np.isnan(ufunc(nans, *given)).all()
        if (name, operation) in BACKWARDS:
            product = compiled[f"{name}_{backward(operation)}"]
            assert np.isnan(product(dtype(1), nans, *given)).all()
            assert np.isnan(product(nans, dtype(-1), *given)).all()


FAR = [(name, epsilon) for name in rf.catalogue.of("radial") for epsilon in (0.5, -1.5)]
FAR.remove(("thin_plate_spline", -1.5))  # the logarithm of a negative number


@dtypes
@pytest.mark.parametrize(("name", "epsilon"), FAR)
def test_infinitely_far_from_a_centre_all_have_their_limits(name: str, epsilon: float, dtype: Any) -> None:
    variant, far = rf.catalogue[name].bind(epsilon=epsilon), np.array([np.inf], dtype)
    for operation in operations(variant):
        want = Oracle(variant, operation, dtype).rounded(far).astype(np.float64)
        for isa in ISAS:
            got = sweep.compiled(isa)[kernel(variant, operation)](far, dtype(epsilon))
            np.testing.assert_array_equal(got.astype(np.float64), want)


@dtypes
@functions
def test_signs_of_zero_are_those_of_the_formula(name: str, dtype: Any) -> None:
    activation = rf.catalogue[name]
    names = {key: parameter.default for key, parameter in activation.parameters.items()}
    for x in inside(name, np.array([0.0, -0.0, 0.25, -0.25, 1.0, -1.0, 8.0, -8.0])).tolist():
        for kind, formula in (("", activation.formula), ("_derivative", activation.derivative_formula)):
            stated = evaluate(formula, {"x": x, **names})
            if stated != 0 or (x and oracle(name, kind.strip("_") or "value").at(x, 300) != 0):
                continue
            for isa in ISAS:
                found = float(sweep.compiled(isa)[name + kind](dtype(x), *parameters(name, dtype)))
                assert found == 0
                assert math.copysign(1, found) == math.copysign(1, stated), (kind, x, isa)


@dtypes
@cases
def test_what_rounds_to_zero_keeps_its_sign(name: str, operation: str, dtype: Any) -> None:
    sizes = np.array([finfo(dtype).smallest_subnormal, 20, 130, 1000, min(1e30, float(finfo(dtype).max))], dtype)
    for x in inside(name, np.concatenate([sizes, -sizes])):
        exact, again = (oracle(name, operation).at(float(x), precision) for precision in (4000, 4600))
        if abs(exact - again) >= abs(exact):  # 0, or all digits cancel
            continue
        for isa in ISAS:
            found = float(sweep.compiled(isa)[kernel(rf.catalogue[name], operation)](x, *parameters(name, dtype)))
            assert found != 0 or math.copysign(1, found) == (1 if exact > 0 else -1), (x, isa)


@isas
def test_tails(isa: str) -> None:
    compiled = sweep.compiled(isa)
    for dtype in (np.float32, np.float64):
        assert compiled["sigmoid_derivative"](dtype(20)) == pytest.approx(2.0611536e-9, rel=1e-6)
        assert compiled["tanh_derivative"](dtype(12)) == pytest.approx(4 * math.exp(-24), rel=1e-6)
        smallest = float(np.finfo(dtype).smallest_subnormal)
        last = dtype(math.log(smallest) - 0.5)  # e^last lies between half of it and all of it
        assert compiled["sigmoid"](last) == smallest
        assert compiled["sigmoid_derivative"](last) == compiled["sigmoid_derivative"](-last) == smallest
        assert compiled["sigmoid"](last - 1) == compiled["sigmoid_derivative"](1 - last) == 0


UNPACKED = {isa: {name: ufunc for name, ufunc in sweep.compiled(isa).items() if "packed" not in name} for isa in ISAS}
RIDGES = {isa: {name: ufunc for name, ufunc in UNPACKED[isa].items() if ufunc.signature is None} for isa in ISAS}


def operands(ufunc: np.ufunc, dtype: Any) -> list[Any]:
    """Numbers of every magnitude in every order, as many as the ufunc takes; for a fold in groups of three."""
    numbers = [np.random.default_rng(k).permutation(stratified(dtype, 2000))[:1998] for k in range(ufunc.nin)]
    if ufunc.signature:
        core = ufunc.signature.partition("->")[0].split("),")
        numbers = [x.reshape(-1, 3) if dims.strip("()") else x[::3] for x, dims in zip(numbers, core, strict=True)]
    return numbers


@isas
@dtypes
def test_nothing_warns(dtype: Any, isa: str) -> None:
    with np.errstate(all="raise"):
        for ufunc in UNPACKED[isa].values():
            given = operands(ufunc, dtype)
            ufunc(*given)
            ufunc(*(each[:1] for each in given))


@isas
@dtypes
def test_flushed_subnormals_are_kept_here(dtype: Any, isa: str) -> None:
    torch = pytest.importorskip("torch")
    wanted = {name: ufunc(*operands(ufunc, dtype)) for name, ufunc in RIDGES[isa].items()}
    given = {name: operands(ufunc, dtype) for name, ufunc in RIDGES[isa].items()}
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush")
    try:
        assert np.float32(1e-40) * np.float32(1) == 0, "nothing flushes: this test sees nothing"
        got = {name: ufunc(*given[name]) for name, ufunc in RIDGES[isa].items()}
    finally:
        torch.set_flush_denormal(False)
    for name in given:
        assert got[name].tobytes() == wanted[name].tobytes(), name


@dtypes
@pytest.mark.parametrize("name", sorted(UNPACKED[ISAS[0]]))
def test_instruction_sets_agree(name: str, dtype: Any) -> None:
    first, *others = (UNPACKED[isa][name] for isa in ISAS)
    given = operands(first, dtype)
    if name.endswith("_from_output"):
        given[1] = UNPACKED[ISAS[0]][name.removesuffix("_backward_from_output")](given[1], *given[2:])
    if dtype is np.float64:  # x86-64-v2's fma is exact as long as the low half of a product is a number
        most = 300.0 if "softm" in name else 2.0**200  # the powers of e are numbers too
        given = [np.where((np.abs(each) > 2.0**-200) & (np.abs(each) < most), each, 1.5) for each in given]
    want = np.stack(first(*given)) if first.nout > 1 else first(*given)
    for other in others:
        got = np.stack(other(*given)) if first.nout > 1 else other(*given)
        bits = f"u{want.dtype.itemsize}"
        assert ((got.view(bits) == want.view(bits)) | (np.isnan(got) & np.isnan(want))).all()


# ---- second oracles -------------------------------------------------------------------------------------------------


@isas
@pytest.mark.parametrize("name", [name for name in sweep.SCIPY.calls if name in FUNCTIONS])
def test_scipy_agrees_in_float64(name: str, isa: str) -> None:
    pytest.importorskip("scipy")
    x = np.random.default_rng(0).normal(0, 5, 20000)
    scipy = sweep.of_peer(sweep.SCIPY, rf.catalogue[name], "value")
    assert scipy
    np.testing.assert_allclose(sweep.ours(name, "value", (isa,))[isa](x), scipy(x), rtol=1e-13)


TORCH: dict[str, Callable[..., Any]] = {
    "clipped_relu": lambda torch, x, ceiling: torch.nn.functional.hardtanh(x, 0, ceiling),
    "thresholded_relu": lambda torch, x, alpha: torch.nn.functional.threshold(x, alpha, 0),
    "squared_relu": lambda torch, x: torch.relu(x).square(),
    "squareplus": lambda torch, x, b: (x + torch.sqrt(x**2 + b)) / 2,
    "sparse_plus": lambda torch, x: torch.where(x > 1, x, torch.relu(x + 1) ** 2 / 4),
    "gelu_tanh": lambda torch, x: x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)),
    "quick_gelu": lambda torch, x: x * torch.sigmoid(1.702 * x),
    "silu": lambda torch, x, beta: x * torch.sigmoid(beta * x),
    "dish": lambda torch, x: x / 2 * (1 + x / torch.sqrt(1 + x**2)),
    "lisht": lambda torch, x: x * torch.tanh(x),
    "logcosh": lambda torch, x: torch.log(torch.cosh(x)),
    "arctan": lambda torch, x: torch.atan(x),
    "hardsigmoid": lambda torch, x: torch.nn.functional.relu6(x + 3) / 6,  # its own has the 1/6 of float32 in its backward
    "sparse_sigmoid": lambda torch, x: torch.clamp((x + 1) / 2, 0, 1),
    "step": lambda torch, x: (x > 0) + 0 * x,
    "identity": lambda torch, x: x * 1,
    "gaussian": lambda torch, x, epsilon: torch.exp(-((epsilon * x) ** 2)),
    "multiquadric": lambda torch, x, epsilon: -torch.sqrt(1 + (epsilon * x) ** 2),
    "inverse_multiquadric": lambda torch, x, epsilon: torch.rsqrt(1 + (epsilon * x) ** 2),
    "inverse_quadratic": lambda torch, x, epsilon: 1 / (1 + (epsilon * x) ** 2),
    "thin_plate_spline": lambda torch, x, epsilon: torch.xlogy((epsilon * x) ** 2, epsilon * x),
    "cubic": lambda torch, x, epsilon: (epsilon * x) ** 3,
    "quintic": lambda torch, x, epsilon: -((epsilon * x) ** 5),
    "linear_radial": lambda torch, x, epsilon: -epsilon * x,
}
"""What PyTorch has under another name, or has not, and then as people write it."""


@pytest.fixture
def torch_in_one_thread() -> Iterator[Any]:
    """In a second thread PyTorch's first square roots are at times 5e-10 off, as of 2.13.0."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)


@isas
@functions
def test_torch_agrees_where_it_is_right(name: str, isa: str, torch_in_one_thread: Any) -> None:
    torch = torch_in_one_thread
    if name not in TORCH and not hasattr(torch.nn.functional, name):
        pytest.skip("PyTorch has no function of that name")
    x = inside(name, np.random.default_rng(0).normal(0, 2, 5000))
    leaf = torch.from_numpy(x).requires_grad_()
    given = parameters(name, np.float64)
    y = TORCH[name](torch, leaf, *given) if name in TORCH else getattr(torch.nn.functional, name)(leaf, *map(float, given))
    y.sum().backward()
    compiled = sweep.compiled(isa)
    np.testing.assert_allclose(compiled[name](x, *given), y.detach().numpy(), rtol=1e-13, atol=2**-50)
    np.testing.assert_allclose(compiled[f"{name}_derivative"](x, *given), leaf.grad.numpy(), rtol=1e-13, atol=2**-50)


# ---- the oracle itself ----------------------------------------------------------------------------------------------


@derivatives
def test_oracle_differentiates(name: str, operation: str) -> None:
    """Against mpmath's difference quotients."""
    found = oracle(name, operation)
    for x in inside(name, np.array([-11.25, -2.5, -0.1, 1e-9, 0.3, 0.9, 7.5])).tolist():
        names = {**found.parameters, "x": mpmath.mpf(x)}

        def value(moved: Any, names: dict[str, Any] = names) -> Any:
            return evaluate(found.formula, names | {found.by: moved}, vars(mpmath.mp) | vars(mpmath))

        with mpmath.workprec(400):
            quotient = mpmath.diff(value, names[found.by], h=mpmath.mpf(2) ** -120)
        assert abs(found.exact(x) - quotient) <= abs(quotient) * 2.0**-60


@cases
def test_oracle_interpolates_within_its_bound(name: str, operation: str) -> None:
    found = oracle(name, operation)
    random = np.random.default_rng(0)
    bits = np.unique(random.integers(0, 2**32, 100, np.uint32))
    np.testing.assert_array_equal(found.of_bits(bits), found.rounded(bits.view(np.float32)))
    pieces = [piece for piece in found.pieces if piece.bound < math.inf]
    for number in random.integers(0, len(pieces), 60).tolist():
        piece = pieces[number]
        x = np.sort(random.integers(piece.first, piece.end, 4100, np.uint32)).view(np.float32)
        place = int(random.integers(0, x.size))
        exact = found.exact(float(x[place]))
        for some, here in ((x, place), (x[place : place + 1], 0)):  # many get a polynomial of their own
            near, bound = piece.near(some)
            near = float(np.broadcast_to(near, some.shape)[here])
            assert abs(near - exact) <= (bound or 2.0**-51 * abs(near))


@dtypes
def test_oracle_rounds_to_nearest_even(dtype: Any) -> None:
    wide = np.float32 if np.dtype(dtype).name == "bfloat16" else np.float64  # what NumPy rounds to it at once
    with np.errstate(all="ignore"):
        x = np.concatenate([stratified(wide, 4000), stratified(np.float32, 4000).astype(wide)])
        x = x[np.isfinite(x)]
        want = x.astype(dtype)
        between = (want[:-1].astype(wide) + np.nextafter(want[:-1], dtype(np.inf)).astype(wide)) / 2
        x = np.concatenate([x, between[np.isfinite(between)]])
        want = x.astype(dtype)
    np.testing.assert_array_equal([rounded(mpmath.mpf(each), dtype) for each in x.tolist()], want.astype(np.float64))


@pytest.mark.parametrize(("x", "want"), [(3, 2), (-3, -1), (5, 3), (-5, -2)])
def test_oracle_decides_what_looks_like_a_tie(x: int, want: int) -> None:
    """For odd multiples of the smallest number x / 2 is one, but x sigmoid(x) is x / 2 + x^2 / 4."""
    row = types.SimpleNamespace(name="silu", formula="x / (1 + exp(-x))", parameters={})
    found = Oracle(row)  # type: ignore[arg-type]
    number, nearest = (np.array([count * 2.0**-149], np.float32) for count in (x, want))
    np.testing.assert_array_equal(found.rounded(number), nearest)
    (piece,) = (piece for piece in found.pieces if piece.first <= number.view(np.uint32)[0] < piece.end)
    np.testing.assert_array_equal(piece.near(number)[0].astype(np.float32), nearest)


@dtypes
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_distances(dtype: Any) -> None:
    one, tiny, huge = dtype(1), dtype(finfo(dtype).smallest_subnormal), dtype(finfo(dtype).max)
    got = np.array([one, tiny, 0.0, huge, np.nan, np.nan, -one], dtype)
    want = np.array([np.nextafter(one, dtype(2)), -tiny, -0.0, np.inf, np.nan, 1, np.nextafter(-one, dtype(0))], dtype)
    far = 1 << (8 * np.dtype(dtype).itemsize - 1)
    assert ulps(got, want).tolist() == [1, 2, 0, 1, 0, far, 1]
    assert ulps(want, got).tolist() == [1, 2, 0, 1, 0, far, 1]
    x = np.arange(7).astype(dtype)
    for most, places in ((far, [0, 5]), (2, [0, 1, 2, 3, 4]), (1, [2, 3, 4, 6]), (0, [2, 4])):
        assert worst(got[places], want[places], x[places]).ulp == most


def test_beside_a_root_the_absolute_error_counts() -> None:
    """Not in a tail, however small the derivative is there."""
    row = types.SimpleNamespace(name="silu", formula="x / (1 + exp(-x))", parameters={})
    found = Oracle(row, "derivative", np.float64)  # type: ignore[arg-type]
    (root,) = found.roots
    assert root == pytest.approx(-1.27846454276107)
    for x, excused in (
        (root, True),
        (-1.25, True),
        (-2.0, True),
        (-3.0, False),
        (-40.0, False),
        (40.0, False),
        (0.5, False),
    ):
        exact = float(found.exact(x))
        assert found.is_excused(x, exact + 2.0**-54) == excused
        assert not found.is_excused(x, exact + 2.0**-52)


@cases
def test_a_wrong_kernel_is_found(name: str, operation: str) -> None:
    """One input in the sample is off by three: the sweep says by how much, and where."""
    bits = sample_of_float32()[::50]
    right = sweep.ours(name, operation, (ISAS[-1],))[ISAS[-1]]

    def wrong(x: Any) -> Any:
        result = right(x)
        place = np.flatnonzero(x == x0)
        result[place] = (result[place].view(np.uint32) + np.uint32(3)).view(np.float32)
        return result

    x0 = bits.view(np.float32)[np.searchsorted(bits, 0x3FC00000)]
    found = sweep.measure_bits(oracle(name, operation), {"wrong": wrong}, bits)["wrong"]
    assert found.ulp >= 2
    assert found.input == x0


@derivatives
def test_derivative_formula_is_the_derivative(name: str, operation: str) -> None:
    if operation != "derivative":
        return
    found = oracle(name, operation, np.float64)
    for x in inside(name, np.array([-30.5, -2.0, -0.1, -1e-9, *found.activation.kinks, 0.25, 1.0, 12.0, 30.5])).tolist():
        with mpmath.workprec(400):
            names = {**{key: mpmath.mpf(value) for key, value in found.parameters.items()}, "x": mpmath.mpf(x)}
            stated = evaluate(in_exact_numbers(found.activation.derivative_formula), names, vars(mpmath))
            assert abs(stated - found.at(x, 400)) <= mpmath.ldexp(1, -200)


@pytest.mark.parametrize("activation", [*map(rf.catalogue.get, FUNCTIONS), *VARIANTS], ids=lambda found: found.signature)
def test_kinks_are_where_the_sides_differ(activation: Any) -> None:
    found = Oracle(activation, "derivative", np.float64)
    for kink in found.activation.kinks:
        left, right = (found.side(kink, 200, direction) for direction in (-1, 1))
        assert abs(left - right) > 0.01
        for direction in (-math.inf, math.inf):
            near = found.at(math.nextafter(kink, direction), 200)
            assert abs(near - (left if direction < 0 else right)) < 0.01


# ---- the sweep ------------------------------------------------------------------------------------------------------


def test_the_record_only_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "RECORD", tmp_path / "accuracy.json")

    def record(ulp: int, stride: int, of_peers: bool = False) -> tuple[str, dict[str, Any]]:
        found = {"one": Worst(0, 1.0), "other": Worst(ulp, 2.5)}
        said = sweep.record(oracle("tanh", "value"), found, stride, of_peers)
        return said, sweep.recorded()["tanh"]["value"]["float32"]

    first = {"ulp": 2, "input": 2.5, "stride": 100}
    assert record(10**9, 7, of_peers=True)[1].keys() == {"peers"}
    assert record(2, 100)[0] == ""
    (tmp_path / "accuracy.json").unlink()
    assert record(2, 100) == ("", first)
    assert record(3, 100) == ("worse than the 2 ULP that accuracy.json records", first)
    assert record(1, 1000) == ("not recorded: accuracy.json knows each 100-th input", first)
    assert record(3, 10) == ("", first | {"ulp": 3, "stride": 10})  # a sample may have missed the worst
    assert record(1, 1) == ("", first | {"ulp": 1, "stride": 1})
    assert record(2, 1) == ("worse than the 1 ULP that accuracy.json records", first | {"ulp": 1, "stride": 1})
    assert record(10**9, 7, of_peers=True)[1]["peers"]["other"] == {"ulp": 10**9, "input": 2.5, "stride": 7}
    assert record(0, 1)[1].keys() == {"ulp", "input", "stride", "peers"}
    *_, row = sweep.markdown().splitlines()
    assert row == "| `tanh` | value |  | 0 |  | 0 | 1.0e+09 at 2.5 |"


@pytest.mark.parametrize(
    ("name", "operation", "dtype", "most"),
    [
        ("relu", "value", "float64", 0),
        ("tanh", "value", "float16", 0),
        ("tanh", "derivative", "float32", 1),
        ("tanh", "second_derivative", "float32", 2),
        ("tanh", "second_derivative", "float64", 2),
    ],
)
def test_a_sweep_fails_where_a_promise_is_broken(
    name: str,
    operation: str,
    dtype: str,
    most: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sweep, "RECORD", tmp_path / "accuracy.json")
    monkeypatch.setattr(sweep, "keep_memory", lambda: None)
    monkeypatch.setattr(sys, "argv", ["sweep.py", name, "--operation", operation, "--dtype", dtype])
    for ulp in (most, most + 1):
        for measure in ("measure_16_bits", "measure_float32", "measure_float64"):
            monkeypatch.setattr(sweep, measure, lambda _, whose, *__, ulp=ulp: dict.fromkeys(whose, Worst(ulp, 1.0)))
        (tmp_path / "accuracy.json").unlink(missing_ok=True)
        assert sweep.main() == (ulp > most)
        printed = capsys.readouterr().out
        assert (f"{ulp} ULP, and {most} are promised" in printed) == (": it gives " in printed) == (ulp > most)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_sweep_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "STATE", tmp_path)
    contenders = {"ours": sweep.ours("tanh", "value")[ISAS[-1]], "NumPy": lambda x: np.where(abs(x) < 1e30, x, np.sign(x))}
    found = sweep.measure_float32(oracle("tanh", "value"), contenders, stride=200_003, processes=2)
    assert found["ours"].ulp <= 1
    assert found["NumPy"].ulp > 10**8
    (state,) = tmp_path.iterdir()
    lines = state.read_text().splitlines()
    assert len(lines) == sweep.BLOCKS[True]
    state.write_text("".join(f"{line}\n" for line in lines[:-2]))
    monkeypatch.setattr(
        sweep,
        "measure_block",
        lambda oracle, contenders, stride, block: (block, {"ours": Worst(9, 9.0), "NumPy": Worst(0, 0.0)}),
    )
    again = sweep.measure_float32(oracle("tanh", "value"), contenders, stride=200_003, processes=1)
    kept = max(json.loads(line)[1]["NumPy"] for line in lines[:-2])
    assert again == {"ours": Worst(9, 9.0), "NumPy": Worst(*kept)}
    assert sorted(state.read_text().splitlines()[:-2]) == sorted(lines[:-2])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", ["tanh", "gaussian"])
def test_a_sample_has_the_ends(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "STATE", tmp_path)
    ours = sweep.ours(name, "value")[ISAS[-1]]
    ends = [-0.0, np.inf, np.nan, 1e-45, np.float32(3.4028235e38), *([] if name == "gaussian" else [-np.inf, -1e-45])]

    def wrong_at(end: float) -> Any:
        return lambda x: np.where((x == end) | (np.isnan(x) & np.isnan(end)), np.float32(7), ours(x))

    contenders = {repr(end): wrong_at(end) for end in ends}
    found = sweep.measure_float32(oracle(name, "value"), contenders, stride=500_000_003, processes=1)
    assert all(worst.ulp > 1000 for worst in found.values()), found


def test_what_is_wrong_is_shown_beside_what_is_right() -> None:
    told = sweep.told(Oracle(rf.tanh, "value", np.float16), lambda x: x * np.float16(np.nan), Worst(1 << 15, -np.inf))
    assert told == ": it gives nan, and -1.0 is right"


@functions
def test_the_peers_can_be_measured(name: str) -> None:
    x = inside(name, np.random.default_rng(0).normal(0, 2, 50).astype(np.float32))
    for operation in ("value", "derivative"):
        for peer, function in sweep.peers(name, operation).items():
            np.testing.assert_allclose(function(x), oracle(name, operation).rounded(x), rtol=1e-3, atol=1e-5, err_msg=peer)
