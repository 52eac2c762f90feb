"""Formulas: evaluated as Python, shown as MathML."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import mpmath
import pytest

import rectified as rf
from rectified.formula import evaluate, mathml


def text(markup: str) -> str:
    return "".join(ElementTree.fromstring(markup.replace("&nbsp;", " ")).itertext())


def test_evaluate_with_math() -> None:
    assert evaluate("x if x > 0 else slope * x", {"x": -2.0, "slope": 0.5}) == -1
    assert evaluate("max(0, x)", {"x": -1}) == 0
    assert evaluate("min(x, 6)", {"x": 7}) == 6
    assert evaluate("1 / (1 + exp(-x))", {"x": 1.0}) == 1 / (1 + math.exp(-1))
    assert evaluate("sqrt(pi) * len(x)", {"x": [1, 2]}) == 2 * math.sqrt(math.pi)


def test_evaluate_with_more_digits() -> None:
    with mpmath.workdps(50):
        value = evaluate("tanh(x)", {"x": mpmath.mpf(1)}, {"tanh": mpmath.tanh})
        assert abs(value - mpmath.tanh(1)) == 0
        assert value != math.tanh(1)


def test_names_win_over_functions() -> None:
    assert evaluate("e", {"e": 7}) == 7


@pytest.mark.parametrize("expression", ["__import__('os')", "open('x')", "y", "sin("])
def test_what_a_formula_cannot_say(expression: str) -> None:
    with pytest.raises((NameError, SyntaxError)):
        evaluate(expression, {"x": 1.0})


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("max(0, x)", "max(0,x)"),
        ("x if x > 0 else slope * x", "{xif x>0slope⋅xelse"),
        ("1 / (1 + exp(-x))", "11+e−x"),
        ("1 - tanh(x)**2", "1−tanh(x)2"),
        ("-(x - 1)", "−(x−1)"),
        ("(x + 1) * x", "(x+1)⋅x"),
        ("abs(x)", "|x|"),
        ("sqrt(x)", "x"),
        ("lambd * pi", "λ⋅π"),
        ("x - (1 - x)", "x−(1−x)"),
        ("0 <= x <= 1", "0≤x≤1"),
        ("(i == j) - y[j]", "[i=j]−yj"),
        ("1 - 1 / sum(t > 0 for t in y)", "1−1∑t∈y[t>0]"),
        ("(x > 0) if i == j else 0", "{[x>0]if i=j0else"),
        ("(1 if x > 0 else 0) - 1", "({1if x>00else)−1"),
        ("1 + (1 if x > 0 else 0)", "1+({1if x>00else)"),
    ],
)
def test_mathml_says(expression: str, shown: str) -> None:
    assert text(mathml(expression)) == shown


def test_mathml_has_structure() -> None:
    markup = mathml("exp(-x) / (1 + exp(-x))**2", "f(x)")
    root = ElementTree.fromstring(markup)
    assert root.tag == "math"
    assert text(markup).startswith("f(x)=")
    (fraction,) = root.iter("mfrac")
    above, below = fraction
    assert [element.text for element in above.iter("mi")] == ["e", "x"]
    assert [element.text for element in below.iter("mn")] == ["1", "2"]
    assert mathml("x**(a + b)").count("<msup>") == 1
    assert mathml("sqrt(x)").count("<msqrt>") == 1


@pytest.mark.parametrize(
    ("left", "right"), [("(x + 1)**2", "x + 1**2"), ("-(x + 1)", "-x + 1"), ("a * (b / c)", "a / b * c")]
)
def test_mathml_keeps_what_brackets_mean(left: str, right: str) -> None:
    assert mathml(left) != mathml(right)


@pytest.mark.parametrize("expression", ["(a * b)**2", "(a / b)**2", "(-x)**2", "(x**2)**3", "exp(x)**2"])
def test_a_power_holds_all_of_its_base(expression: str) -> None:
    assert "(" in text(mathml(expression))


@pytest.mark.parametrize("activation", rf.catalogue.values(), ids=lambda activation: activation.name)
def test_every_formula_is_well_formed(activation: rf.Activation) -> None:
    for formula in (activation.formula, activation.derivative_formula, *activation.kink_formulas):
        root = ElementTree.fromstring(mathml(formula, "f(x)").replace("&nbsp;", " "))
        assert root.tag == "math"
