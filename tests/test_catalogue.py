"""The catalogue: complete rows, each with its compiled functions; read-only; found under every name."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import rectified as rf
from oracle import data_operands
from rectified import _native
from rectified.fold import Doubled, Gated, Maxout
from rectified.formula import evaluate

ROWS = pytest.mark.parametrize("activation", rf.catalogue.values(), ids=lambda activation: activation.name)
ISAS = _native.instruction_sets()


def expected(activation: rf.Activation) -> tuple[set[str], set[str]]:
    """The names of the ufuncs that a row must have, and of those that it may have."""
    if activation.category == "fold":
        if isinstance(activation, Gated | Doubled):  # made of those of its ridge function
            return set(), set()
        kinds, optional = ["", "_backward"], ["_derivative", "_jvp", "_backward_from_output"]
    else:
        details = [f"_wrt_{parameter}" for parameter in activation.parameters]
        details += ["_at_kink"] if activation.kink_formulas else []
        kinds = ["", "_derivative", "_backward"]
        kinds += [kind + detail for kind in ("_derivative", "_backward") for detail in details]
        kinds += ["_gated", "_gated_backward", "_gated_jvp"] if activation.category == "ridge" else []
        optional = ["_backward_from_output", "_second_derivative", "_doubled", "_doubled_backward"]
    optional += ["_forward_packed", "_backward_packed"]
    return {activation.name + kind for kind in kinds}, {activation.name + kind for kind in optional}


@pytest.mark.parametrize("isa", ISAS)
def test_rows_and_compiled_functions_are_the_same(isa: str) -> None:
    compiled = set(_native.ufuncs_of(isa))
    needed: set[str] = set()
    allowed: set[str] = set()
    for activation in rf.catalogue.values():
        must, may = expected(activation)
        needed |= must
        allowed |= may
    assert needed - compiled == set(), "rows without a struct"
    assert compiled - needed - allowed == set(), "structs without a row"


@ROWS
def test_operands_are_data_and_parameters(activation: rf.Activation) -> None:
    if activation.category == "fold":
        return
    names, optional = expected(activation)
    for name in names | {name for name in optional if hasattr(rf.ufuncs, name)}:
        ufunc = getattr(rf.ufuncs, name)
        data = data_operands(name)
        assert ufunc.nin == data + len(activation.parameters) + name.endswith("_at_kink")
        assert ufunc.nout == 1 + name.endswith(("_forward_packed", "_gated_backward", "_doubled"))
        assert ufunc.__name__ == name


@ROWS
def test_rows_are_complete(activation: rf.Activation) -> None:
    assert activation.name.isidentifier()
    assert getattr(rf, activation.name) is activation
    assert activation.category in ("ridge", "radial", "fold")
    assert len(activation.summary) > 20
    assert activation.summary.endswith(".")
    low, high = activation.range
    assert low < high
    assert len(activation.reference) > 20
    assert any(str(year) in activation.reference for year in range(1940, 2030))
    assert len(activation.also_known_as) >= 1
    assert all(isinstance(text, str) and text for text in activation.elsewhere.values())
    for key, (default, meaning) in activation.parameters.items():
        assert key.isidentifier()
        assert math.isfinite(default)
        assert meaning.endswith(".")
        assert key in activation.signature


@ROWS
def test_formulas_name_nothing_but_x_and_the_parameters(activation: rf.Activation) -> None:
    known = {"x", *activation.parameters, *vars(math), "abs", "max", "min", "len"}
    if activation.category == "fold":
        known |= {"y", "a", "b", "i", "j", "k", "n", "t", "sum", "sorted", "range"}
    for formula in (activation.formula, activation.derivative_formula, *activation.kink_formulas):
        names = {node.id for node in ast.walk(ast.parse(formula, mode="eval")) if isinstance(node, ast.Name)}
        assert names <= known


@ROWS
def test_values_are_what_the_formula_says(activation: rf.Activation) -> None:
    defaults = {key: parameter.default for key, parameter in activation.parameters.items()}
    if activation.category == "fold":
        for group in ([1.0, 3.0], [2.0, 2.0], [-1.0, -4.0], [0.5, 0.25, -0.5, 2.0]):
            value, derivative = activation(group), activation.derivative(group)
            half = len(group) // 2
            for i in range(len(value)):
                names: dict[str, Any] = {"x": group, "y": value.tolist(), "i": i, "n": half, **defaults}
                if isinstance(activation, Maxout):
                    names |= {"x": group[2 * i : 2 * i + 2]}
                if isinstance(activation, Gated):
                    names |= {"a": group[i], "b": group[half + i]}
                assert value[i] == pytest.approx(evaluate(activation.formula, names), rel=1e-13)
                for j in range(2) if isinstance(activation, Maxout) else range(len(group)):
                    stated = evaluate(
                        activation.derivative_formula, names | {"i" if isinstance(activation, Maxout) else "j": j}
                    )
                    if isinstance(activation, Maxout):
                        assert derivative[2 * i + j] == stated
                    elif isinstance(activation, Gated) and j % half != i:
                        assert derivative[i, j] == 0
                    else:
                        assert derivative[i, j] == pytest.approx(float(stated), rel=1e-9, abs=1e-15)
        return
    for x in (-5.0, -1.0, 0.0, 0.5, 4.0)[2 if activation.category == "radial" else 0 :]:
        names = {"x": x, **defaults}
        assert activation(x) == pytest.approx(evaluate(activation.formula, names), rel=1e-13)
        assert activation.derivative(x) == pytest.approx(evaluate(activation.derivative_formula, names), rel=1e-9)


@ROWS
def test_range(activation: rf.Activation) -> None:
    if activation.category == "fold":
        return
    start = 0 if activation.category == "radial" else -50
    values = activation(np.concatenate([np.linspace(start, 50, 10001), [-np.inf, np.inf][start == 0 :]]))
    low, high = activation.range
    for bound, reached in ((low, values.min()), (high, values.max())):
        assert reached == pytest.approx(bound, abs=1e-5)  # beside a minimum that lies between two of these inputs
    assert low - 1e-15 <= values.min()
    assert values.max() <= high + 1e-15


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        *(("silu", {"beta": beta}) for beta in (-2.0, 0.0, 1e-320, 0.5, 30.0)),
        *(("softplus", {"beta": beta}) for beta in (-1.0, 2.0)),
        *(("elu", {"alpha": alpha}) for alpha in (-1.0, 0.0, 2.0)),
        *(("leaky_relu", {"slope": slope}) for slope in (-1.0, 0.0, 2.0)),
        *(("clipped_relu", {"ceiling": ceiling}) for ceiling in (-1.0, 0.0, 2.0, math.inf)),
        *(("hardtanh", {"min_val": 2.0, "max_val": high}) for high in (1.0, 2.0, 3.0)),
        *((name, {"epsilon": -2.0}) for name in ("cubic", "quintic", "linear_radial")),
    ],
)
def test_range_follows_the_parameters(name: str, parameters: dict[str, float]) -> None:
    function = rf.catalogue[name].bind(**parameters)
    low, high = function.range
    values = function(np.linspace(0 if function.category == "radial" else -50, 50, 10001))
    assert low - 1e-15 <= values.min()
    assert values.max() <= high + 1e-15
    for bound, reached in ((low, values.min()), (high, values.max())):
        assert math.isinf(bound) or reached == pytest.approx(bound, abs=1e-3)


@ROWS
def test_kinks_follow_the_parameters(activation: rf.Activation) -> None:
    assert len(activation.kinks) <= len(activation.kink_formulas)
    for kink in activation.kinks:
        left, right = activation.derivative(kink, at_kink=0), activation.derivative(kink, at_kink=1)
        assert left != right
        assert activation.derivative(np.nextafter(kink, -np.inf)) == pytest.approx(left, abs=1e-15)
        assert activation.derivative(np.nextafter(kink, np.inf)) == pytest.approx(right, abs=1e-15)


@pytest.mark.parametrize(
    ("activation", "kinks"),
    [
        (rf.leaky_relu.bind(slope=1.0), ()),
        (rf.clipped_relu.bind(ceiling=math.inf), (0,)),
        (rf.clipped_relu.bind(ceiling=-1.0), ()),
        (rf.hardtanh.bind(min_val=-math.inf), (1,)),
        (rf.hardtanh.bind(min_val=2.0), ()),
        (rf.threshold.bind(threshold=math.nan), ()),
    ],
)
def test_kinks_that_no_number_reaches_are_none(activation: rf.Activation, kinks: tuple[float, ...]) -> None:
    assert activation.kinks == kinks


def test_it_is_a_read_only_mapping() -> None:
    assert isinstance(rf.catalogue, Mapping)
    assert list(rf.catalogue)[:3] == ["relu", "leaky_relu", "relu6"]
    assert len(rf.catalogue) == len(list(rf.catalogue)) == len(rf.catalogue.items())
    assert all(rf.catalogue[name].name == name for name in rf.catalogue)
    with pytest.raises(TypeError):
        rf.catalogue["relu"] = rf.tanh  # type: ignore[index]
    with pytest.raises(TypeError):
        rf.relu.parameters["slope"] = 1  # type: ignore[index]
    with pytest.raises(TypeError):
        rf.relu.elsewhere["here"] = "there"  # type: ignore[index]


def test_other_names_find_a_function_too() -> None:
    assert rf.catalogue["ReLU"] is rf.relu
    for name in ("prelu", "PReLU", "PRelu", "RReLU", "LeakyRelu"):
        assert rf.catalogue[name] is rf.leaky_relu
    assert rf.catalogue["Relu"] is rf.relu
    assert rf.catalogue["gelu_pytorch_tanh"] is rf.gelu_tanh
    assert [rf.catalogue[name].name for name in ("gelu_python", "ReLUSquared", "hardsilu", "swish1")] == [
        "gelu",
        "squared_relu",
        "hardswish",
        "silu",
    ]
    names = [alias for found in rf.catalogue.values() for alias in (found.name, *found.also_known_as)]
    assert len(names) == len(set(names)), "a name stands for two functions"
    assert all(name in rf.catalogue for name in names)
    assert "ReLU" not in list(rf.catalogue)


def test_categories() -> None:
    for category in ("ridge", "radial", "fold"):
        found = rf.catalogue.of(category)
        assert all(activation.category == category for activation in found.values())
    assert {*rf.catalogue.of("ridge"), *rf.catalogue.of("radial"), *rf.catalogue.of("fold")} == set(rf.catalogue)
    with pytest.raises(ValueError, match=r"'ridges'.*ridge"):
        rf.catalogue.of("ridges")


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("leaky-relu", "no activation is called 'leaky-relu'; did you mean leaky_relu"),
        ("Leaky ReLU", "no activation is called 'Leaky ReLU'; did you mean leaky_relu"),
        ("sigmiod", "no activation is called 'sigmiod'; did you mean sigmoid"),
        ("zzzz", r"no activation is called 'zzzz'; list\(rectified\.catalogue\) has all names"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(wrong: str, line: str) -> None:
    assert wrong not in rf.catalogue
    assert rf.catalogue.get(wrong) is None
    with pytest.raises(KeyError, match=line):
        rf.catalogue[wrong]


@pytest.mark.parametrize(("name", "known"), [("swish", "silu"), ("PReLU", "leaky_relu")])
def test_the_module_points_from_another_name_to_the_function(name: str, known: str) -> None:
    with pytest.raises(AttributeError, match=f"^rectified has no {name}; it is rectified.{known}$") as raised:
        getattr(rf, name)
    assert raised.value.obj is None  # or Python would ask whether swish was to be dish


def test_what_is_no_name_is_not_in_it() -> None:
    assert 3 not in rf.catalogue
    assert None not in rf.catalogue
    with pytest.raises(KeyError, match="3"):
        rf.catalogue[3]  # type: ignore[index]


def test_the_module_lists_what_it_has() -> None:
    assert {"relu", "radial", "plot", "plot_surface"} <= set(dir(rf))
    assert all(hasattr(rf, name) for name in dir(rf))
    assert "inf" not in dir(rf)


def test_a_star_brings_the_functions_and_their_tools() -> None:
    names: dict[str, Any] = {}
    exec("from rectified import *", names)
    assert (
        {"relu", "softmax", "catalogue", "gated", "Ridge", "set_num_threads"} <= names.keys() <= {"__builtins__", *dir(rf)}
    )
    assert "plot" not in names


def test_every_public_name_is_documented() -> None:
    for name, found in vars(rf).items():
        if not name.startswith("_") and not inspect.ismodule(found) and name not in ("TYPE_CHECKING", "Any"):
            assert inspect.getdoc(found), name
