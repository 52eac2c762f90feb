"""ONNX's own tests of its operators, for every operator that is one of our functions."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import rectified as rf

pytest.importorskip("onnx")
import onnx.backend.test.case.node as node_tests
from onnx.backend.test.runner import Runner
from onnx.helper import get_attribute_value


def gelu(x: Any, approximate: bytes = b"none") -> Any:
    return {b"none": rf.gelu, b"tanh": rf.gelu_tanh}[approximate](x)


def selu(x: Any, **parameters: float) -> Any:
    return parameters["gamma"] * rf.elu(x, parameters["alpha"]) if parameters else rf.selu(x)


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    if x.dtype.kind != "f":
        pytest.skip("hardtanh does not keep integers")
    return rf.hardtanh(x, -np.inf if low is None else low, np.inf if high is None else high)


def shrink(x: Any, lambd: float = 0.5, bias: float = 0.0) -> Any:
    return {0.0: rf.hardshrink, lambd: rf.softshrink}[bias](x, lambd)


def identity(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        pytest.skip("a function of arrays, not of sequences")
    return rf.identity(x)


# From the inputs, by position, and the attributes, by name; with ONNX's defaults.
OPERATORS: dict[str, Callable[..., Any]] = {
    "Atan": lambda x: rf.arctan(x),
    "Celu": lambda x, alpha=1.0: rf.celu(x, alpha),
    "Clip": clip,
    "Elu": lambda x, alpha=1.0: rf.elu(x, alpha),
    "Gelu": gelu,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: rf.hardsigmoid(6 * (alpha * x + (beta - 0.5))),
    "HardSwish": lambda x: rf.hardswish(x),
    "Identity": identity,
    "LeakyRelu": lambda x, alpha=0.01: rf.leaky_relu(x, alpha),
    "Mish": lambda x: rf.mish(x),
    "PRelu": lambda x, slope: rf.leaky_relu(x, slope),
    "Relu": lambda x: rf.relu(x),
    "Selu": selu,
    "Shrink": shrink,
    "Sigmoid": lambda x: rf.sigmoid(x),
    "Softplus": lambda x: rf.softplus(x),
    "Softsign": lambda x: rf.softsign(x),
    "Swish": lambda x, alpha=1.0: rf.silu(x, alpha),
    "Tanh": lambda x: rf.tanh(x),
    "ThresholdedRelu": lambda x, alpha=1.0: rf.thresholded_relu(x, alpha),
}


def cases(operator: str) -> list[Any]:
    import_module(f"{node_tests.__name__}.{operator.lower()}")  # fills the list
    found = [case for case in node_tests._NodeTestCases if [node.op_type for node in case.model.graph.node] == [operator]]
    return [case for case in found if not case.name.endswith("_expanded")]  # the same in terms of other operators


CASES = [pytest.param(operator, case, id=case.name) for operator in OPERATORS for case in cases(operator)]


def test_every_operator_has_cases() -> None:
    assert {case.values[0] for case in CASES} == set(OPERATORS)


@pytest.mark.parametrize(("operator", "case"), CASES)
def test_operator(operator: str, case: Any) -> None:
    (node,) = case.model.graph.node
    attributes = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    for inputs, outputs in case.data_sets:
        given = iter(inputs)
        operands = [next(given) if name else None for name in node.input]
        result = OPERATORS[operator](*operands, **attributes)
        Runner.assert_similar_outputs(outputs, [result], case.rtol, case.atol)
