"""What an Activation does: parameters, kinks, binding, folding, showing itself, and its errors, one clear line each."""

from __future__ import annotations

import doctest
import functools
import inspect
import pickle
import re
import sys
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import rectified as rf
import sweep
from oracle import stratified
from rectified import _native
from rectified.formula import evaluate

ISAS = _native.instruction_sets()
RIDGES = list(rf.catalogue.of("ridge").values())
X = np.array([-3.0, -0.5, -0.0, 0.0, 0.5, 3.0])

ridges = pytest.mark.parametrize("activation", RIDGES, ids=lambda activation: activation.name)


# ---- calling it -----------------------------------------------------------------------------------------------------


def test_what_the_functions_are() -> None:
    np.testing.assert_array_equal(rf.relu(X), [0, 0, 0, 0, 0.5, 3])
    np.testing.assert_array_equal(rf.relu.derivative(X), [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(rf.leaky_relu(X), [-3 * 0.01, -0.5 * 0.01, 0, 0, 0.5, 3])
    np.testing.assert_array_equal(rf.leaky_relu.derivative(X), [0.01, 0.01, 0.01, 0.01, 1, 1])
    np.testing.assert_allclose(rf.sigmoid(X), 1 / (1 + np.exp(-X)), rtol=1e-15)
    np.testing.assert_allclose(rf.tanh.derivative(X), 1 / np.cosh(X) ** 2, rtol=1e-14)


@ridges
def test_each_method_is_its_ufunc(activation: rf.Ridge) -> None:
    given = [parameter.default for parameter in activation.parameters.values()]
    dy = np.arange(6.0)
    for method, kind, operands in [
        (activation, "", (X,)),
        (activation.derivative, "_derivative", (X,)),
        (activation.backward, "_backward", (dy, X)),
        *(
            [(activation.backward_from_output, "_backward_from_output", (dy, activation(X)))]
            if hasattr(activation, "backward_from_output")
            else []
        ),
    ]:
        want = getattr(rf.ufuncs, activation.name + kind)(*operands, *given)
        np.testing.assert_array_equal(method(*operands), want)
        out = np.zeros(6)
        assert method(*operands, out=out) is out
        np.testing.assert_array_equal(out, want)
        np.testing.assert_array_equal(method(*operands, *given, out), want)  # a ufunc's out stands after its inputs
        np.testing.assert_array_equal(method(*operands, where=np.ones(6, bool), out=(out,)), want)
        assert method(*operands, dtype=np.float32).dtype == np.float32
        assert method(*(list(operand) for operand in operands)).dtype == np.float64
        assert isinstance(method(*(0.5 for _ in operands)), np.float64)


@ridges
def test_backward_from_output_is_backward(activation: rf.Ridge) -> None:
    if not hasattr(activation, "backward_from_output"):
        return
    x = stratified(np.float64, 4000)
    x = x[~np.isnan(x)]
    dy = np.random.default_rng(0).normal(0, 1, x.size)
    got = activation.backward_from_output(dy, activation(x))
    np.testing.assert_allclose(got, activation.backward(dy, x), rtol=0, atol=2.0**-52 * np.abs(dy).max() * 2)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softsign"])
def test_the_row_says_from_where_on_the_output_tells_nothing(name: str) -> None:
    activation = rf.catalogue[name]
    found = re.search(r"is 0 beyond ([\d.e]+) in float32", activation.output_loss)
    assert found
    bound = np.float32(found[1])
    before, beyond = np.linspace(0.99 * bound, bound, 9999, dtype=np.float32), bound * np.linspace(1, 9, 9999, dtype="f")
    slopes = [activation.backward_from_output(np.float32(1), activation(x)) for x in (before, beyond)]
    assert slopes[0].any()
    assert not slopes[1].any()


def test_selu_keeps_what_the_rounding_of_its_bound_has_lost() -> None:
    found = re.search(r"its rounding is left, ([\d.e-]+) in float32", rf.selu.output_loss)
    assert found
    left = rf.selu.backward_from_output(np.float32(1), rf.selu(np.float32(-200)))
    assert f"{left:.1e}" == f"{float(found[1]):.1e}"


@ridges
def test_the_precision_of_the_input_stays(activation: rf.Ridge) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        x = X.astype(dtype)
        for result in (activation(x), activation.derivative(x), activation.backward(x, x), activation(x[0])):
            assert result.dtype == dtype
        for by in activation.parameters:
            assert activation.derivative(x, wrt=by).dtype == activation.backward(x, x, wrt=by).dtype == dtype
        if activation.kinks:
            assert activation.derivative(x, at_kink=0.5).dtype == dtype


@ridges
def test_integers_are_promoted_as_by_numpy(activation: rf.Ridge) -> None:
    """As by exp, or beside parameters as by a product with a Python float."""
    for dtype in "bhilBHIL":
        x = np.array([0, 1, 2], dtype)
        want = (x * 0.5 if activation.parameters else np.exp(x)).dtype
        assert activation.derivative(x).dtype == want
        if activation.name != "relu":
            assert activation(x).dtype == want
    for dtype in "bhilqBHILQ":
        assert rf.relu(np.array([0, 1, 2], dtype)).dtype == np.dtype(dtype)


@pytest.mark.parametrize("number", [1000, 2, True])
@pytest.mark.parametrize("dtype", ["b", "B", "h", "i", "?", "e", "f", "d"])
def test_a_whole_number_as_a_parameter_counts_as_a_float(dtype: str, number: int) -> None:
    x, dy = np.array([-127, 0, 1], "b").astype(dtype), np.array([1, 1, 1], dtype)
    bits = rf.leaky_relu.forward_packed(x)[1]

    def results(slope: Any, at_kink: Any) -> list[Any]:
        bound = rf.leaky_relu.bind(slope=slope)
        return [
            rf.leaky_relu(x, slope),
            rf.leaky_relu(x, slope=slope),
            bound(x),
            rf.leaky_relu.derivative(x, slope),
            bound.derivative(x, at_kink=at_kink),
            bound.derivative(x, wrt="slope"),
            bound.backward(dy, x),
            bound.backward_from_output(dy, x),
            rf.silu.derivative(x, slope, order=2),
            rf.leaky_relu.forward_packed(x, slope)[0],
            bound.backward_packed(dy, bits),
            rf.gated(bound)(np.tile(x, 2)),
        ]

    for got, want in zip(results(number, 1), results(float(number), 1.0), strict=True):
        np.testing.assert_array_equal(got, want, strict=True)


def test_parameters_by_position_and_name() -> None:
    want = [-0.6, -0.1, 0, 0, 0.5, 3]
    for got in (rf.leaky_relu(X, 0.2), rf.leaky_relu(X, slope=0.2), rf.leaky_relu.bind(slope=0.2)(X)):
        np.testing.assert_allclose(got, want, rtol=1e-15)
    np.testing.assert_array_equal(rf.leaky_relu.derivative(X, 0.2), rf.leaky_relu.derivative(X, slope=0.2))
    np.testing.assert_array_equal(rf.leaky_relu.backward(X, X, 0.2), rf.leaky_relu.backward(X, X, slope=0.2))
    assert rf.leaky_relu(np.float32(-1), 0.2) == np.float32(-0.2)
    out = np.zeros(6)
    assert rf.leaky_relu(X, 0.2, out) is out
    np.testing.assert_allclose(out, want, rtol=1e-15)


def test_a_slope_for_each_channel() -> None:
    x = np.random.default_rng(0).normal(0, 1, (5, 3, 4))
    slopes = np.array([0.1, 0.0, -2.0])[:, None]
    np.testing.assert_array_equal(rf.leaky_relu(x, slopes), np.where(x > 0, x, slopes * x))
    np.testing.assert_array_equal(rf.leaky_relu.derivative(x, slope=slopes), np.where(x > 0, 1, slopes))
    np.testing.assert_array_equal(rf.leaky_relu.backward(x, x, slopes, wrt="slope"), np.where(x > 0, 0 * x, x * x))
    bound = rf.leaky_relu.bind(slope=slopes)
    np.testing.assert_array_equal(bound(x), rf.leaky_relu(x, slopes))


def test_derivative_by_the_slope() -> None:
    np.testing.assert_array_equal(rf.leaky_relu.derivative(X, wrt="slope"), np.minimum(X, 0))
    np.testing.assert_array_equal(rf.leaky_relu.derivative(X, 0.5, wrt="slope"), np.minimum(X, 0))
    np.testing.assert_array_equal(rf.leaky_relu.backward(2 * X, X, wrt="slope"), 2 * X * np.minimum(X, 0))
    np.testing.assert_array_equal(rf.leaky_relu.derivative(X, wrt="x"), rf.leaky_relu.derivative(X))


@pytest.mark.parametrize("large", [1e5, 10**6, 1e300])
def test_a_parameter_that_a_short_type_has_no_place_for(large: float) -> None:
    """NumPy casts it to an infinity, and would warn."""
    x = np.array([-2.0, 2.0])
    for dtype in (np.float16, np.float32):
        with np.errstate(all="raise"):
            for got in (
                rf.hardtanh(x.astype(dtype), -1, large),
                rf.hardtanh(x.astype(dtype), -1, max_val=large),
                rf.hardtanh.bind(max_val=large)(x.astype(dtype)),
                rf.hardtanh.forward_packed(x.astype(dtype), -1, large)[0],
            ):
                np.testing.assert_array_equal(got, rf.hardtanh(x, -1, large).astype(dtype), strict=True)


# ---- kinks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("slope", "smallest"),
    [(0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (-0.5, 0.0), (-2.0, 0.0), (3.0, 1.0), (np.inf, 1.0), (-np.inf, 0.0)],
)
def test_the_element_of_smallest_magnitude(slope: float, smallest: float, dtype: Any, isa: str) -> None:
    """0 is in the subdifferential [min(slope, 1), max(slope, 1)] unless both ends are positive."""
    x = np.array([-1, -0.0, 0.0, 1], dtype)
    derivative = sweep.compiled(isa)["leaky_relu_derivative"](x, dtype(slope))
    np.testing.assert_array_equal(derivative, np.array([slope, smallest, smallest, 1], dtype))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("at_kink", [0, 0.25, 0.5, 1])
def test_at_kink_goes_from_left_to_right(at_kink: float, isa: str) -> None:
    compiled = sweep.compiled(isa)
    np.testing.assert_array_equal(compiled["relu_derivative_at_kink"](X, at_kink), [0, 0, at_kink, at_kink, 1, 1])
    for slope in (0.5, -2.0, 3.0):
        middle = (1 - at_kink) * slope + at_kink
        want = [slope, slope, middle, middle, 1, 1]
        np.testing.assert_array_equal(compiled["leaky_relu_derivative_at_kink"](X, at_kink, slope), want)
        np.testing.assert_array_equal(
            compiled["leaky_relu_backward_at_kink"](2 * np.ones(6), X, at_kink, slope), 2 * np.array(want)
        )


def test_at_kink_by_name() -> None:
    assert rf.relu.derivative(0.0, at_kink=0.5) == np.heaviside(0, 0.5)
    assert rf.relu.backward(3.0, 0.0, at_kink=1) == 3
    assert rf.leaky_relu.derivative(0.0, slope=0.5, at_kink=0.5) == 0.75
    assert rf.leaky_relu.bind(slope=0.5).derivative(-0.0, at_kink=0) == 0.5
    assert rf.relu.derivative(-0.0) == rf.relu.derivative(0.0) == 0
    for number in (np.float64(0.5), np.array(0.5)):  # a choice, which has no type of its own
        assert rf.relu.derivative(np.float16(0), at_kink=number).dtype == np.float16
    out = np.ones(2)
    assert rf.relu.derivative(np.zeros(2), at_kink=0.5, out=out) is out
    assert out.tolist() == [0.5, 0.5]
    assert np.isnan(rf.relu.derivative(np.nan, at_kink=0.5))


# ---- zeros, bounds --------------------------------------------------------------------------------------------------


@ridges
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_zero_has_the_sign_of_the_formula(activation: rf.Ridge, dtype: Any) -> None:
    for x in (-0.0, 0.0):
        names = {"x": x, **{key: parameter.default for key, parameter in activation.parameters.items()}}
        for formula, method in ((activation.formula, activation), (activation.derivative_formula, activation.derivative)):
            want = evaluate(formula, names)
            if want == 0:
                assert np.signbit(method(dtype(x))) == np.signbit(want)


@pytest.mark.parametrize(
    ("name", "parameter", "want"),
    [
        ("hardtanh", "min_val", [-5.0, 0.2, 1.0]),
        ("hardtanh", "max_val", [-1.0, 0.2, 3.0]),
        ("clipped_relu", "ceiling", [0.0, 0.2, 3.0]),
        ("threshold", "threshold", [-5.0, 0.2, 3.0]),
        ("thresholded_relu", "alpha", [-5.0, 0.2, 3.0]),
        ("hardshrink", "lambd", [-5.0, 0.2, 3.0]),
    ],
)
def test_a_bound_that_is_nan_bounds_nothing(name: str, parameter: str, want: list[float]) -> None:
    assert rf.catalogue[name]([-5.0, 0.2, 3.0], **{parameter: np.nan}).tolist() == want


# ---- binding, copies ------------------------------------------------------------------------------------------------


def test_bind_makes_another_function() -> None:
    steep = rf.leaky_relu.bind(slope=0.2)
    assert steep is not rf.leaky_relu
    assert rf.leaky_relu.parameters["slope"].default == 0.01
    assert steep.parameters["slope"].default == 0.2
    assert steep.parameters["slope"].meaning == rf.leaky_relu.parameters["slope"].meaning
    assert steep.name == "leaky_relu"
    assert steep.derivative(-1.0) == 0.2
    assert steep.backward(2.0, -1.0) == 0.4
    assert steep(-1.0, 0.5) == -0.5
    assert steep.bind(slope=0.3)(-1.0) == -0.3
    assert rf.relu.bind()(3.0) == 3
    assert "0.2" in repr(steep)


def test_functions_with_the_same_numbers_are_equal() -> None:
    slopes, nan = np.array([0.1, 0.2]), rf.leaky_relu.bind(slope=np.nan)
    same = [
        (rf.leaky_relu.bind(slope=0.2), rf.leaky_relu.bind(slope=0.2)),
        (rf.leaky_relu.bind(slope=0.01), rf.leaky_relu),
        (rf.elu.bind(alpha=2), rf.elu.bind(alpha=2.0)),
        (rf.softmax.bind(axis=0), rf.softmax.bind(axis=np.int64(0))),
        (rf.gated(rf.leaky_relu.bind(slope=0.2)), rf.gated(rf.leaky_relu.bind(slope=0.2))),
        (rf.leaky_relu.bind(slope=slopes), rf.leaky_relu.bind(slope=slopes)),
        (nan, nan),
    ]
    for one, other in same:
        assert one == other
        assert hash(one) == hash(other)
    others = [
        (rf.leaky_relu.bind(slope=0.2), rf.leaky_relu),
        (rf.leaky_relu.bind(slope=0.2), rf.leaky_relu.bind(slope=np.float32(0.2))),
        (rf.softmax, rf.softmin),
        (rf.gated(rf.leaky_relu.bind(slope=0.2)), rf.gated(rf.leaky_relu)),
        (rf.gated(rf.relu), rf.gated(rf.relu, gate="second")),
        (rf.leaky_relu.bind(slope=slopes), rf.leaky_relu.bind(slope=slopes.copy())),
        (rf.relu, "relu"),
    ]
    for one, other in others:
        assert one != other
    assert len(set(rf.catalogue.values())) == len(rf.catalogue)


@pytest.mark.parametrize("name", ["formula", "parameters", "kinks", "category", "derivative"])
def test_what_a_row_says_cannot_be_set(name: str) -> None:
    line = f"^leaky_relu: {name} cannot be set; bind gives the function with other parameters$"
    for activation in (rf.leaky_relu, rf.leaky_relu.bind(slope=0.2)):
        before = getattr(activation, name)
        with pytest.raises(AttributeError, match=line):
            setattr(activation, name, None)
        assert getattr(activation, name) == before


@pytest.mark.parametrize(
    ("name", "parameter"), [(each.name, parameter) for each in RIDGES for parameter in each.parameters]
)
def test_nan_of_a_short_type_as_a_parameter_does_not_warn(name: str, parameter: str) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    found, x, nan = rf.catalogue[name], X.astype(bfloat16), {parameter: bfloat16("nan")}
    bound = found.bind(**nan)
    assert (np.isnan(bound(x)) == np.isnan(found(X, **{parameter: np.nan}))).all()
    assert (np.isnan(bound.range) == np.isnan(found.bind(**{parameter: np.nan}).range)).all()
    assert len(bound.kinks) == len(found.bind(**{parameter: np.nan}).kinks)
    if found.output_condition:
        with pytest.raises(ValueError, match="the output tells the derivative only for"):
            found.backward_from_output(x, x, **nan)


@pytest.mark.parametrize("module", ["pickle", "cloudpickle"])
def test_activations_pickle(module: str) -> None:
    dumps = pytest.importorskip(module).dumps
    for activation in rf.catalogue.values():
        assert pickle.loads(dumps(activation)) is activation
    for bound in (rf.leaky_relu.bind(slope=0.2), rf.maxout.bind(pieces=3)):
        copy = pickle.loads(dumps(bound))
        assert copy == bound
        assert repr(copy) == repr(bound)
        assert copy(np.arange(-3.0, 3.0)).tolist() == bound(np.arange(-3.0, 3.0)).tolist()
    for method in (rf.relu.derivative, rf.tanh.backward_from_output, rf.softmax.backward, rf.crelu.backward):
        copy = pickle.loads(dumps(method))
        assert copy.__self__ is method.__self__
        assert copy.__name__ == method.__name__


def test_a_function_bound_to_an_array_pickles() -> None:
    bound = rf.leaky_relu.bind(slope=np.array([0.1, 0.2]))
    assert pickle.loads(pickle.dumps(bound))(np.array([-1.0, -1.0])).tolist() == [-0.1, -0.2]


# ---- showing itself -------------------------------------------------------------------------------------------------


def test_repr() -> None:
    assert repr(rf.relu) == "<relu(x) = max(0, x)>"
    assert repr(rf.leaky_relu.bind(slope=0.2)) == "<leaky_relu(x, slope=0.2) = x if x > 0 else slope * x>"


@pytest.mark.parametrize("activation", rf.catalogue.values(), ids=lambda activation: activation.name)
def test_html_without_matplotlib(activation: rf.Activation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith(("matplotlib.", "rectified.plotting"))]:
        monkeypatch.delitem(sys.modules, name)
    html = activation._repr_html_()
    page = ElementTree.fromstring(f"<div>{html.replace('&nbsp;', ' ')}</div>")
    assert activation.name in "".join(page.itertext())
    assert len(page.findall(".//math")) == 2
    assert "<svg" not in html


@pytest.mark.parametrize("activation", RIDGES, ids=lambda activation: activation.name)
def test_html_has_a_picture(activation: rf.Activation) -> None:
    pytest.importorskip("matplotlib")
    html = activation._repr_html_()
    assert html.count("<math") == 2
    assert "<svg" in html


@pytest.mark.parametrize("activation", rf.catalogue.values(), ids=lambda activation: activation.name)
def test_docstring(activation: rf.Activation) -> None:
    text = activation.__doc__ or ""
    assert text.startswith(f"``{activation.signature}`` = ``{activation.formula}``")
    for part in (activation.summary, activation.reference, *activation.parameters):
        assert part in text
    example = doctest.DocTestParser().get_doctest(text, {}, activation.name, None, 0)
    assert f"rf.{activation.name}(" in example.examples[-1].source
    assert doctest.DocTestRunner().run(example).failed == 0
    assert not (type(activation).__doc__ or "").startswith("``")


@pytest.mark.parametrize("activation", [*rf.catalogue.values(), rf.relu.bind(), rf.gated(rf.tanh)], ids=lambda f: f.name)
def test_it_has_a_name_as_functions_do(activation: Any) -> None:
    @functools.wraps(activation)
    def other(x: Any) -> Any:
        return activation(x)

    assert other.__name__ == other.__qualname__ == activation.__name__ == activation.name
    assert other.__doc__ == activation.__doc__
    assert type(activation).__name__ == type(activation).__qualname__ != activation.name


def test_dir_has_what_is_there() -> None:
    for activation in rf.catalogue.values():
        assert all(hasattr(activation, name) for name in dir(activation))
    assert {"forward_packed", "backward_packed", "backward_from_output", "bind"} <= set(dir(rf.relu))


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "line"),
    [
        (lambda: rf.relu(1.0, foo=1), TypeError, "relu has no parameter 'foo'; it has no parameters"),
        (lambda: rf.leaky_relu(1.0, alpha=1), TypeError, "leaky_relu has no parameter 'alpha'; its parameters are: slope"),
        (
            lambda: rf.leaky_relu.derivative(1.0, alpha=1),
            TypeError,
            "leaky_relu has no parameter 'alpha'; its parameters are: slope",
        ),
        (lambda: rf.relu.bind(slope=1), TypeError, "relu has no parameter 'slope'; it has no parameters"),
        (
            lambda: rf.leaky_relu.bind(alpha=1),
            TypeError,
            "leaky_relu has no parameter 'alpha'; its parameters are: slope",
        ),
        (
            lambda: rf.leaky_relu(1.0, 0.1, slope=0.2),
            TypeError,
            "leaky_relu got its parameter 'slope' twice, by position and by name",
        ),
        (lambda: rf.sigmoid.derivative(1.0, at_kink=0.5), ValueError, "sigmoid has no kink for at_kink=0.5"),
        (
            lambda: rf.relu.derivative(1.0, at_kink=2),
            ValueError,
            "relu: at_kink is between 0 (left) and 1 (right), not 2",
        ),
        (
            lambda: rf.relu.backward(1.0, 1.0, at_kink=float("nan")),
            ValueError,
            "relu: at_kink is between 0 (left) and 1 (right), not nan",
        ),
        (
            lambda: rf.relu.derivative(np.zeros(2), at_kink=np.array([0, 1])),
            ValueError,
            "relu: at_kink is between 0 (left) and 1 (right), not [0 1]",
        ),
        (
            lambda: rf.relu.derivative(1.0, at_kink="left"),
            ValueError,
            "relu: at_kink is between 0 (left) and 1 (right), not left",
        ),
        (lambda: rf.relu(), TypeError, "Ridge.__call__() missing 1 required positional argument: 'x'"),
        (
            lambda: rf.leaky_relu.bind(slope="a"),
            TypeError,
            "leaky_relu: slope is a real number, or an array of them, not 'a'",
        ),
        (lambda: rf.elu.bind(alpha=1j), TypeError, "elu: alpha is a real number, or an array of them, not 1j"),
        (lambda: rf.celu.bind(alpha=None), TypeError, "celu: alpha is a real number, or an array of them, not None"),
        (
            lambda: rf.silu.bind(beta=np.array([1j])),
            TypeError,
            "silu: beta is a real number, or an array of them, not an array of complex128",
        ),
        (lambda: rf.softmax.bind(axis="a"), TypeError, "softmax: axis is a whole number, not 'a'"),
        (lambda: rf.maxout.bind(pieces=2.5), TypeError, "maxout: pieces is a whole number, not 2.5"),
        (
            lambda: rf.threshold.bind(threshold=np.zeros(2)).kinks,
            ValueError,
            "threshold: its kinks depend on threshold, an array here; bind a number",
        ),
        (
            lambda: rf.silu.bind(beta=np.ones(2)).range,
            ValueError,
            "silu: its range depends on beta, an array here; bind a number",
        ),
        (
            lambda: rf.softsign.derivative(1.0, order=2),
            ValueError,
            "softsign has no derivative of order 2: its second derivative does not exist everywhere",
        ),
        (lambda: rf.relu.derivative(1.0, wrt="y"), ValueError, "relu: wrt is one of 'x', not 'y'"),
        (
            lambda: rf.leaky_relu.derivative(1.0, wrt=["slope"]),
            ValueError,
            "leaky_relu: wrt is one of 'x', 'slope', not ['slope']",
        ),
        (
            lambda: rf.leaky_relu.backward(1.0, 1.0, wrt="y"),
            ValueError,
            "leaky_relu: wrt is one of 'x', 'slope', not 'y'",
        ),
        (
            lambda: rf.leaky_relu.derivative(1.0, wrt="slope", at_kink=0.5),
            ValueError,
            "leaky_relu: at_kink goes with wrt='x'",
        ),
        (
            lambda: rf.leaky_relu.backward_from_output(1.0, 1.0, slope=-1),
            ValueError,
            "leaky_relu: the output tells the derivative only for slope >= 0",
        ),
        (
            lambda: rf.leaky_relu.bind(slope=-1).backward_from_output(1.0, 1.0),
            ValueError,
            "leaky_relu: the output tells the derivative only for slope >= 0",
        ),
        (
            lambda: rf.leaky_relu.derivative(X, wrt=np.array(["slope"])),
            ValueError,
            "leaky_relu: wrt is one of 'x', 'slope', not array(['slope'], dtype='<U5')",
        ),
        (
            lambda: rf.elu.bind(alpha=np.ones(2)).kinks,
            ValueError,
            "elu: its kinks depend on alpha, an array here; bind a number",
        ),
        (
            lambda: rf.leaky_relu(X, "a"),
            TypeError,
            "leaky_relu: slope is a real number, or an array of them, not 'a'",
        ),
        (
            lambda: rf.leaky_relu(X, np.ones(6, complex)),
            TypeError,
            "leaky_relu: slope is a real number, or an array of them, not an array of complex128",
        ),
        (
            lambda: rf.leaky_relu.backward_from_output(X, X, "a"),
            TypeError,
            "leaky_relu: slope is a real number, or an array of them, not 'a'",
        ),
        (
            lambda: rf.leaky_relu.backward_from_output(X, X, None),
            TypeError,
            "leaky_relu: slope is a real number, or an array of them, not None",
        ),
        (
            lambda: rf.gelu.derivative(X, 2),
            TypeError,
            "gelu takes no parameter by position, so 2 is one too many; other things go by name, as order=2",
        ),
        (
            lambda: rf.leaky_relu.backward(X, X, 0.1, 0.2),
            TypeError,
            "leaky_relu takes slope by position, so 0.2 is one too many; other things go by name, as out=y",
        ),
        (
            lambda: rf.leaky_relu.forward_packed(X, 0.1, 0.2),
            TypeError,
            "leaky_relu takes slope by position, so 0.2 is one too many; other things go by name, as out=y",
        ),
        (
            lambda: rf.gelu(X, X, X),
            TypeError,
            "gelu takes no parameter by position, so an array is one too many; other things go by name, as out=y",
        ),
        (
            lambda: rf.gelu.backward(X, X, order=2),
            TypeError,
            "gelu: order=2 goes with derivative; here order is a memory layout, such as 'C'",
        ),
        (lambda: rf.maxout(1.0), ValueError, "maxout: x has no axis to fold"),
        (lambda: rf.maxout.bind(pieces=0), ValueError, "maxout: a group has at least one piece, not pieces=0"),
        (
            lambda: rf.maxout([1.0, 2, 3]),
            ValueError,
            "maxout: axis 0 has length 3, which does not divide into groups of 2",
        ),
        (
            lambda: rf.maxout.backward([1.0], [1.0, 2], pieces=0),
            ValueError,
            "maxout: axis 0 has length 2, which does not divide into groups of 0",
        ),
        (lambda: rf.maxout([1.0, 2], foo=1), TypeError, "maxout has no parameter 'foo'; its parameters are: pieces, axis"),
        (
            lambda: rf.maxout.jvp(np.zeros(2), np.zeros(6)),
            ValueError,
            "maxout: v has the shape (2,), and it should have (6,)",
        ),
        (
            lambda: rf.maxout.backward(np.zeros(4), np.zeros(6)),
            ValueError,
            "maxout: dy has the shape (4,), and the output has (3,)",
        ),
        (
            lambda: rf.maxout.derivative(np.zeros(4), out=np.zeros(3)),
            ValueError,
            "maxout: out has the shape (3,), and the result has (4,)",
        ),
    ],
)
def test_errors_are_one_clear_line(call: Any, kind: type[Exception], line: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(line)}$"):
        call()


@pytest.mark.parametrize(
    ("dtype", "name"),
    [("g", "longdouble"), ("D", "complex128"), ("O", "object"), ("U1", "str"), ("S1", "bytes"), ("m8[s]", "timedelta64")],
)
def test_what_is_no_real_number_is_named(dtype: str, name: str) -> None:
    x = np.ones(4).astype(dtype)
    for called, calls in {
        "gelu": (lambda: rf.gelu(x), lambda: rf.gelu.derivative(x, order=2), lambda: rf.gelu.backward(1.0, x)),
        "relu": (lambda: rf.relu.derivative(x, at_kink=0.5), lambda: rf.relu.forward_packed(x)),
        "softmax": (lambda: rf.softmax(x), lambda: rf.softmax.backward(X[:4], x)),
        "maxout": (lambda: rf.maxout(x), lambda: rf.maxout.forward_packed(x)),
        "glu": (lambda: rf.glu(x), lambda: rf.glu.backward(X[:2], x), lambda: rf.glu(x, out=np.ones(2))),
        "crelu": (lambda: rf.crelu(x), lambda: rf.crelu.backward(X[:4], x[:2])),
    }.items():
        for call in calls:
            with pytest.raises(TypeError, match=f"^{called} takes real numbers of at most 64 bits, not {name}$"):
                call()


def test_numpy_says_what_else_is_wrong() -> None:
    for wrong in ({"out": np.ones(6, int)}, {"dtype": complex}, {"out": "a"}):
        with pytest.raises(TypeError, match=r"Cannot cast|No loop|return arrays"):
            rf.gelu(X, **wrong)


def test_an_array_of_negative_slopes_gives_nan_from_output() -> None:
    got = rf.leaky_relu.backward_from_output(np.ones(3), np.ones(3), np.array([0.5, -1, 0]))
    np.testing.assert_array_equal(got, [1, np.nan, 1])


def test_a_missing_backward_from_output_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rf.tanh, "_plain_backward_from_output", None)
    assert not hasattr(rf.tanh, "backward_from_output")
    with pytest.raises(AttributeError, match=re.escape("tanh has no backward_from_output: use backward(dy, x)")):
        rf.tanh.backward_from_output  # noqa: B018


# ---- maxout ---------------------------------------------------------------------------------------------------------


def fold(x: Any, pieces: int, axis: int) -> Any:
    """Groups along a last axis, and x's shape with as many groups on `axis`."""
    moved = np.moveaxis(x, axis, -1)
    return moved.reshape(*moved.shape[:-1], moved.shape[-1] // pieces, pieces)


def plain_maxout(x: Any, pieces: int, axis: int) -> Any:
    return np.moveaxis(fold(x, pieces, axis).max(-1), -1, axis)


def plain_derivative(x: Any, pieces: int, axis: int) -> Any:
    groups = fold(x, pieces, axis)
    chosen = (np.arange(pieces) == groups.argmax(-1)[..., None]).astype(x.dtype)
    chosen[np.isnan(groups).any(-1)] = np.nan
    return np.moveaxis(chosen.reshape(np.moveaxis(x, axis, -1).shape), -1, axis)


def plain_backward(dy: Any, x: Any, pieces: int, axis: int) -> Any:
    return np.repeat(dy, pieces, axis) * plain_derivative(x, pieces, axis)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("pieces", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("groups", "axis"), [((4,), 0), ((4,), -1), ((3, 4), 0), ((3, 4), 1), ((2, 3, 4), 1), ((2, 3, 4), -3), ((0, 3), 1)]
)
def test_maxout_in_any_shape(groups: tuple[int, ...], axis: int, pieces: int, dtype: Any) -> None:
    random = np.random.default_rng(0)
    shape = list(groups)
    shape[axis] *= pieces
    for values in (random.normal(0, 1, shape), random.integers(0, 3, shape), random.choice([1, -np.inf, np.nan], shape)):
        x = values.astype(dtype)
        dy = random.normal(0, 1, groups).astype(dtype)
        value, derivative = plain_maxout(x, pieces, axis), plain_derivative(x, pieces, axis)
        backward = plain_backward(dy, x, pieces, axis)
        for layout in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2], x.astype(x.dtype.newbyteorder())):
            np.testing.assert_array_equal(rf.maxout(layout, pieces, axis), value, strict=True)
            np.testing.assert_array_equal(rf.maxout.derivative(layout, pieces, axis), derivative, strict=True)
            np.testing.assert_array_equal(rf.maxout.backward(dy, layout, pieces, axis), backward, strict=True)
        bound = rf.maxout.bind(pieces=pieces, axis=axis)
        np.testing.assert_array_equal(bound(x), value)
        np.testing.assert_array_equal(bound.backward(dy, x), backward)


@pytest.mark.parametrize("isa", ISAS)
def test_maxout_on_every_instruction_set(isa: str) -> None:
    compiled = sweep.compiled(isa)
    for pieces in (1, 2, 3, 4, 7):
        x = np.random.default_rng(0).choice([np.nan, -0.0, 0.0, 1, 2, 3, -np.inf, np.inf], (1301, pieces))
        for dtype in (np.float16, np.float32, np.float64):
            y = x.astype(dtype)
            np.testing.assert_array_equal(compiled["maxout"](y), y.max(-1), strict=True)
            np.testing.assert_array_equal(compiled["maxout"](y[::-2]), y[::-2].max(-1), strict=True)
            want = plain_derivative(y, pieces, -1)
            np.testing.assert_array_equal(compiled["maxout_derivative"](y), want, strict=True)
            dy = np.arange(1301).astype(dtype)
            np.testing.assert_array_equal(compiled["maxout_backward"](dy, y), dy[:, None] * want, strict=True)


@pytest.mark.parametrize("isa", ISAS)
def test_maxout_over_its_own_memory(isa: str) -> None:
    compiled = sweep.compiled(isa)
    x = np.random.default_rng(0).integers(0, 9, (1301, 3)).astype(np.float32)
    for source, target in [
        (slice(1, None), slice(None, -1)),
        (slice(None, -1), slice(1, None)),
        (slice(None), slice(None)),
    ]:
        buffer = x.copy()
        compiled["maxout_derivative"](buffer[source], out=buffer[target])
        np.testing.assert_array_equal(buffer[target], plain_derivative(x[source], 3, -1))
        buffer = x.copy()
        compiled["maxout_backward"](buffer[source][:, 0], buffer[source], out=buffer[target])
        np.testing.assert_array_equal(buffer[target], plain_backward(x[source][:, :1], x[source], 3, -1))
        buffer = x.copy()
        compiled["maxout"](buffer[source], out=buffer[target][:, 1])
        np.testing.assert_array_equal(buffer[target][:, 1], x[source].max(-1))


def test_maxout_ties_go_to_the_first() -> None:
    assert rf.maxout.derivative([2.0, 2, 1, 5, 5, 5], pieces=3).tolist() == [1, 0, 0, 1, 0, 0]
    assert np.signbit(rf.maxout([-0.0, 0.0, 0.0, -0.0])).tolist() == [True, False]


def test_maxout_out() -> None:
    x = np.random.default_rng(0).normal(0, 1, (6, 4))
    out = np.zeros((3, 8))[:, ::2]
    assert rf.maxout(x, axis=0, out=out) is out
    np.testing.assert_array_equal(out, plain_maxout(x, 2, 0))
    for room in (np.zeros((6, 8))[:, ::2], np.zeros((4, 6)).T, np.zeros((6, 4))[::-1, ::-1]):
        assert rf.maxout.derivative(x, axis=0, out=room) is room
        np.testing.assert_array_equal(room, plain_derivative(x, 2, 0))
    same = x.copy()
    assert rf.maxout.backward(out, same, axis=0, out=(same,)) is same
    np.testing.assert_array_equal(same, plain_backward(out, x, 2, 0))
    same = x.copy()
    assert rf.maxout.derivative(same, axis=0, out=same) is same
    np.testing.assert_array_equal(same, plain_derivative(x, 2, 0))
    assert rf.maxout(x, axis=0, dtype=np.float32).dtype == np.float32


def test_maxout_of_integers_and_lists() -> None:
    assert rf.maxout([[1, 5], [7, 3]]).tolist() == [[5], [7]]
    assert rf.maxout([3, 1, 2, 8], 4).tolist() == [8]
    with pytest.raises(np.exceptions.AxisError):
        rf.maxout([1.0, 2], axis=1)
    with pytest.raises(TypeError):
        rf.maxout([1j, 2j])


def test_maxout_of_nothing() -> None:
    """A group has at least one piece; no group is fine."""
    assert rf.maxout(np.zeros((0, 4))).shape == (0, 2)
    assert rf.maxout(np.zeros((4, 0))).shape == (4, 0)
    for dtype in (np.float16, np.float32, np.float64):
        assert np.isnan(rf.ufuncs.maxout(np.zeros((700, 0), dtype))).all()
        assert rf.ufuncs.maxout_derivative(np.zeros((3, 0), dtype)).shape == (3, 0)


def test_signature() -> None:
    assert str(inspect.signature(rf.leaky_relu.bind(slope=0.2))) == "(x, /, slope=0.2, **keywords)"
    assert str(inspect.signature(rf.maxout)) == "(x, /, pieces=2, axis=-1, **keywords)"
    assert "name" in inspect.signature(type(rf.relu)).parameters
