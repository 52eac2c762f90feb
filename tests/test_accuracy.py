"""How far results are from the correctly rounded ones, on every instruction set; accuracy.json may only get better."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import rectified as rf
import sweep
from oracle import Oracle, Worst, kernel, operations, rounded, stratified, ulps, worst
from rectified import _native
from rectified.formula import evaluate

FUNCTIONS = [name for name, activation in rf.catalogue.items() if activation.category != "fold"]
CASES = [(name, operation) for name in FUNCTIONS for operation in operations(rf.catalogue[name])]
DERIVATIVES = [(name, operation) for name, operation in CASES if operation != "value"]
ISAS = _native.instruction_sets()
CLAIMED = {"float16": 0, "float32": 1, "float64": 2}
EXACT = {"relu", "leaky_relu"}
STRIDE = 4093

cases = pytest.mark.parametrize(("name", "operation"), CASES)
derivatives = pytest.mark.parametrize(("name", "operation"), DERIVATIVES)
isas = pytest.mark.parametrize("isa", ISAS)
dtypes = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])


@lru_cache
def oracle(name: str, operation: str, dtype: Any = np.float32) -> Oracle:
    return Oracle(rf.catalogue[name], operation, dtype)


@lru_cache
def parameters(name: str) -> list[float]:
    return [parameter.default for parameter in rf.catalogue[name].parameters.values()]


def check(name: str, operation: str, dtype: str, found: dict[str, Any]) -> None:
    record = sweep.recorded()[name][operation][dtype]
    assert record["ulp"] <= (0 if name in EXACT else CLAIMED[dtype])
    assert record["stride"] == (None if dtype == "float64" else 1), "a claim about all inputs needs all inputs"
    assert max(found.values()).ulp <= record["ulp"], found


# ---- the figures ----------------------------------------------------------------------------------------------------


@lru_cache
def sample_of_float32() -> Any:
    """Each STRIDE-th float32, and all of them where functions end, saturate, underflow or bend."""
    places = np.array(
        [1e-45, 2.0**-126, 2.0**-12, 0.5, 1, 2, 8.66, 9.01, 16.6, 17.3, 43.7, 51.98, 87.3, 88.72, 103.97, 3e38]
    )
    windows = [place + np.arange(-1000, 1000) for place in places.astype(np.float32).view(np.uint32).astype(np.int64)]
    positive = np.clip(np.concatenate([*windows, np.arange(2000)]), 0, 0x7F800001)
    return np.unique(np.concatenate([np.arange(0, 2**32, STRIDE), positive, positive + 2**31])).astype(np.uint32)


@cases
def test_float32(name: str, operation: str) -> None:
    found = sweep.measure_bits(oracle(name, operation), sweep.ours(name, operation), sample_of_float32())
    assert list(found) == ISAS
    check(name, operation, "float32", found)


@cases
def test_float16(name: str, operation: str) -> None:
    found = sweep.measure_float16(oracle(name, operation, np.float16), sweep.ours(name, operation))
    check(name, operation, "float16", found)


@cases
def test_float64(name: str, operation: str) -> None:
    found = sweep.measure_float64(oracle(name, operation, np.float64), sweep.ours(name, operation), 3000)
    check(name, operation, "float64", found)


@isas
@pytest.mark.parametrize("slope", [0.2, -0.5, 3.0, 0.0, 1.0, 1e-30, -1e-42])
@pytest.mark.parametrize("operation", ["value", "derivative"])
def test_other_slopes(slope: float, operation: str, isa: str) -> None:
    with np.errstate(under="ignore"):
        bound = Oracle(rf.leaky_relu.bind(slope=slope), operation)
    x = stratified(np.float32, 800)
    x = x[np.isfinite(x)]  # formulas such as 0 x leave infinity open
    ufunc = sweep.compiled(isa)[kernel(rf.leaky_relu, operation)]
    assert worst(ufunc(x, np.float32(slope)), bound.rounded(x), x).ulp == 0


@isas
@cases
def test_backward_in_half_precision_is_rounded_once(name: str, operation: str, isa: str) -> None:
    if operation == "value":
        return
    x = stratified(np.float16, 800)
    x = x[np.isfinite(x)]
    dy = np.random.default_rng(0).normal(0, 1, x.size).astype(np.float16)
    got = sweep.compiled(isa)[f"{name}_{operation.replace('derivative', 'backward')}"](dy, x, *parameters(name))
    exact = oracle(name, operation, np.float16).exact
    with mpmath.workprec(200):
        want = [rounded(float(factor) * exact(float(number)), np.float16) for factor, number in zip(dy, x, strict=True)]
    assert worst(got, np.array(want, np.float16), x).ulp == 0


@isas
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@derivatives
def test_backward_is_the_product(name: str, operation: str, dtype: Any, isa: str) -> None:
    x = stratified(dtype, 20000)
    dy = np.random.default_rng(0).permutation(x)
    compiled, given = sweep.compiled(isa), parameters(name)
    with np.errstate(all="ignore"):
        want = dy * compiled[f"{name}_{operation}"](x, *given)
    got = compiled[f"{name}_{operation.replace('derivative', 'backward')}"](dy, x, *given)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(want)[~np.isnan(want)])


FROM_OUTPUT = {
    "relu": lambda y: (y > 0).astype(y.dtype),
    "leaky_relu": lambda y: np.where(y > 0, 1, y.dtype.type(np.float32(0.01))),
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: (1 - y) * (1 + y),
}


@isas
@pytest.mark.parametrize("name", FROM_OUTPUT)
def test_backward_from_output(name: str, isa: str) -> None:
    compiled, given = sweep.compiled(isa), parameters(name)
    y = compiled[name](stratified(np.float32, 20000), *given)
    y = y[~np.isnan(y)]
    got = compiled[f"{name}_backward_from_output"](np.float32(1), y, *given)
    assert worst(got, FROM_OUTPUT[name](y.astype(np.longdouble)).astype(np.float32), y).ulp <= (name not in EXACT)


def test_every_function_with_backward_from_output_is_tested_here() -> None:
    assert set(FROM_OUTPUT) == {name for name in FUNCTIONS if hasattr(rf.catalogue[name], "backward_from_output")}


# ---- what the figures do not say ------------------------------------------------------------------------------------


@isas
@dtypes
@cases
def test_nan_gives_nan_and_infinity_the_limit(name: str, operation: str, dtype: Any, isa: str) -> None:
    ufunc = sweep.compiled(isa)[kernel(rf.catalogue[name], operation)]
    ends = np.array([-np.inf, np.inf], dtype)
    np.testing.assert_array_equal(ufunc(ends, *parameters(name)), oracle(name, operation, dtype).rounded(ends))
    bits = np.array([0, 1, 1 << (8 * np.dtype(dtype).itemsize - 1)], f"u{np.dtype(dtype).itemsize}")
    nans = np.concatenate(
        [
            (np.array(np.nan, dtype).view(bits.dtype) | bits).view(dtype),
            (np.array(np.inf, dtype).view(bits.dtype) + bits[1:2]).view(dtype),
        ]
    )
    assert np.isnan(nans).all()
    assert np.isnan(ufunc(nans, *parameters(name))).all()
    if operation != "value":
        backward = sweep.compiled(isa)[f"{name}_{operation.replace('derivative', 'backward')}"]
        assert np.isnan(backward(dtype(1), nans, *parameters(name))).all()
        assert np.isnan(backward(nans, dtype(-1), *parameters(name))).all()


@isas
@dtypes
def test_signs_of_zero(dtype: Any, isa: str) -> None:
    zeros = np.array([0.0, -0.0], dtype)
    compiled = sweep.compiled(isa)

    def negative(values: Any) -> list[bool]:
        assert (values == 0).all()
        return np.signbit(values).tolist()

    assert negative(compiled["relu"](zeros)) == [False, False]
    assert negative(compiled["relu_derivative"](zeros)) == [False, False]
    assert negative(compiled["leaky_relu"](zeros, dtype(0.01))) == [False, True]
    assert negative(compiled["tanh"](zeros)) == [False, True]
    tiny = np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(compiled["tanh"](np.array([tiny, -tiny])), [tiny, -tiny])
    assert negative(compiled["relu"](np.array([-1, -np.inf], dtype))) == [False, False]


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


def operands(ufunc: np.ufunc, dtype: Any) -> list[Any]:
    """Numbers of every magnitude in every order, as many as the ufunc takes."""
    return [np.random.default_rng(k).permutation(stratified(dtype, 4000))[:4000] for k in range(ufunc.nin)]


@isas
@dtypes
def test_nothing_warns(dtype: Any, isa: str) -> None:
    with np.errstate(all="raise"):
        for ufunc in sweep.compiled(isa).values():
            given = operands(ufunc, dtype)
            if ufunc.signature:  # a fold: of pairs
                given[-1] = given[-1].reshape(-1, 2)
                given[:-1] = [each[: len(given[-1])] for each in given[:-1]]
            ufunc(*given)
            ufunc(*(each[:1] for each in given))


@isas
@dtypes
def test_flushed_subnormals_are_kept_here(dtype: Any, isa: str) -> None:
    torch = pytest.importorskip("torch")
    compiled = {name: ufunc for name, ufunc in sweep.compiled(isa).items() if ufunc.signature is None}
    wanted = {name: ufunc(*operands(ufunc, dtype)) for name, ufunc in compiled.items()}
    given = {name: operands(ufunc, dtype) for name, ufunc in compiled.items()}
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush")
    try:
        assert np.float32(1e-40) * np.float32(1) == 0, "nothing flushes: this test sees nothing"
        got = {name: ufunc(*given[name]) for name, ufunc in compiled.items()}
    finally:
        torch.set_flush_denormal(False)
    for name in compiled:
        assert got[name].tobytes() == wanted[name].tobytes(), name


@dtypes
@pytest.mark.parametrize("name", sorted(sweep.compiled(ISAS[0])))
def test_instruction_sets_agree(name: str, dtype: Any) -> None:
    first, *others = (sweep.compiled(isa)[name] for isa in ISAS)
    given = operands(first, dtype)
    if first.signature:
        given = [each[: 1000 * (k + 1)] for k, each in enumerate(given, 2 - first.nin)]
        given[-1] = given[-1].reshape(1000, 2)
    if name.endswith("_from_output"):
        given[1] = sweep.compiled(ISAS[0])[name.removesuffix("_backward_from_output")](given[1], *given[2:])
    for other in others:
        np.testing.assert_array_equal(other(*given), first(*given))


# ---- second oracles -------------------------------------------------------------------------------------------------


@isas
def test_scipy_agrees_in_float64(isa: str) -> None:
    expit = pytest.importorskip("scipy.special").expit
    x = stratified(np.float64, 20000)
    x = x[x > -708]  # where the result is a normal number: expit flushes others
    np.testing.assert_allclose(sweep.compiled(isa)["sigmoid"](x), expit(x), rtol=1e-15)


@isas
@pytest.mark.parametrize("name", FUNCTIONS)
def test_torch_agrees_where_it_is_right(name: str, isa: str) -> None:
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, name)
    x = np.random.default_rng(0).normal(0, 2, 20000)
    leaf = torch.from_numpy(x).requires_grad_()
    y = function(leaf)
    y.sum().backward()
    compiled = sweep.compiled(isa)
    np.testing.assert_allclose(compiled[name](x, *parameters(name)), y.detach().numpy(), rtol=1e-15)
    np.testing.assert_allclose(
        compiled[f"{name}_derivative"](x, *parameters(name)), leaf.grad.numpy(), rtol=1e-15, atol=2**-52
    )


# ---- the oracle itself ----------------------------------------------------------------------------------------------


@derivatives
def test_oracle_differentiates(name: str, operation: str) -> None:
    """Against mpmath's difference quotients."""
    found = oracle(name, operation)
    for x in (-11.25, -2.5, -0.1, 1e-9, 0.3, 1.0, 7.5):
        names = {**found.parameters, "x": mpmath.mpf(x)}

        def value(moved: Any, names: dict[str, Any] = names) -> Any:
            return evaluate(found.activation.formula, names | {found.by: moved}, vars(mpmath.mp) | vars(mpmath))

        with mpmath.workprec(300):
            quotient = mpmath.diff(value, names[found.by], h=mpmath.mpf(2) ** -80)
        assert abs(found.exact(x) - quotient) <= abs(quotient) * 2.0**-60


@cases
def test_oracle_interpolates_within_its_bound(name: str, operation: str) -> None:
    found = oracle(name, operation)
    bits = np.unique(np.random.default_rng(0).integers(0, 2**32, 1500, np.uint32))
    np.testing.assert_array_equal(found.of_bits(bits), found.rounded(bits.view(np.float32)))
    random = np.random.default_rng(1)
    for number in random.integers(0, len(found.pieces), 300).tolist():
        piece = found.pieces[number]
        x = np.array(random.integers(piece.first, piece.end), np.uint32).view(np.float32).astype(np.float64).reshape(1)
        assert abs(mpmath.mpf(float(piece(x)[0])) - found.exact(float(x[0]))) <= piece.bound


@dtypes
def test_oracle_rounds_to_nearest_even(dtype: Any) -> None:
    with np.errstate(all="ignore"):
        x = np.concatenate([stratified(np.float64, 4000), stratified(np.float32, 4000).astype(np.float64)])
        x = x[np.isfinite(x)]
        want = x.astype(dtype)
        between = (want[:-1].astype(np.float64) + np.nextafter(want[:-1], dtype(np.inf)).astype(np.float64)) / 2
        x = np.concatenate([x, between[np.isfinite(between)]])
        want = x.astype(dtype)
    np.testing.assert_array_equal([rounded(mpmath.mpf(each), dtype) for each in x.tolist()], want)


@dtypes
def test_distances(dtype: Any) -> None:
    one, tiny, huge = dtype(1), np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    got = np.array([one, tiny, 0.0, huge, np.nan, np.nan, -one], dtype)
    want = np.array([np.nextafter(one, dtype(2)), -tiny, -0.0, np.inf, np.nan, 1, np.nextafter(-one, dtype(0))], dtype)
    far = 1 << (8 * np.dtype(dtype).itemsize - 1)
    assert ulps(got, want).tolist() == [1, 2, 0, 1, 0, far, 1]
    assert ulps(want, got).tolist() == [1, 2, 0, 1, 0, far, 1]


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
    for x in (-30.5, -2.0, -0.1, -1e-9, *found.activation.kinks, 0.25, 1.0, 12.0, 30.5):
        with mpmath.workprec(400):
            names = {**{key: mpmath.mpf(value) for key, value in found.parameters.items()}, "x": mpmath.mpf(x)}
            stated = evaluate(found.activation.derivative_formula, names, vars(mpmath))
            assert abs(stated - found.at(x, 400)) <= mpmath.ldexp(1, -200)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_kinks_are_where_the_sides_differ(name: str) -> None:
    found = oracle(name, "derivative")
    for kink in found.activation.kinks:
        left, right = found.sides(kink, 200)
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
    assert record(3, 1) == ("worse than the 2 ULP that accuracy.json records", first)
    assert record(1, 1000) == ("not recorded: accuracy.json knows each 100-th input", first)
    assert record(1, 1) == ("", first | {"ulp": 1, "stride": 1})
    assert record(10**9, 7, of_peers=True)[1]["peers"]["other"] == {"ulp": 10**9, "input": 2.5, "stride": 7}
    assert record(0, 1)[1].keys() == {"ulp", "input", "stride", "peers"}
    *_, row = sweep.markdown().splitlines()
    assert row == "| `tanh` | value |  | 0 |  | 0 | 1.0e+09 at 2.5 |"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_sweep_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "STATE", tmp_path)
    contenders = {"ours": sweep.ours("tanh", "value")[ISAS[-1]], "NumPy": lambda x: x}
    found = sweep.measure_float32(oracle("tanh", "value"), contenders, stride=200_003, processes=2)
    assert found["ours"].ulp <= 1
    assert found["NumPy"].ulp > 10**8
    (state,) = tmp_path.iterdir()
    lines = state.read_text().splitlines()
    assert len(lines) == 2**32 // sweep.BLOCK
    state.write_text("".join(f"{line}\n" for line in lines[:-2]))
    monkeypatch.setattr(
        sweep,
        "measure_block",
        lambda oracle, contenders, stride, block: (block, {"ours": Worst(9, 9.0), "NumPy": Worst(0, 0.0)}),
    )
    again = sweep.measure_float32(oracle("tanh", "value"), contenders, stride=200_003, processes=1)
    assert again == {"ours": Worst(9, 9.0), "NumPy": found["NumPy"]}
    assert sorted(state.read_text().splitlines()[:-2]) == sorted(lines[:-2])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_peers_can_be_measured(name: str) -> None:
    bits = sample_of_float32()[::2000]
    for operation in ("value", "derivative"):
        found = sweep.measure_bits(oracle(name, operation), sweep.peers(name, operation), bits)
        assert "NumPy idiom" in found
        if operation == "value":
            assert found["NumPy idiom"].ulp <= (10**7 if name == "sigmoid" else 1)
