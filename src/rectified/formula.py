"""The catalogue's formulas: Python expressions that people read, programs evaluate and pages show as mathematics."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from html import escape
from types import CodeType
from typing import Any

_GREEK = {"alpha": "α", "beta": "β", "epsilon": "ε", "lambd": "λ", "inf": "∞", "pi": "π"}
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "−",
    ast.Gt: "&gt;",
    ast.Lt: "&lt;",
    ast.GtE: "≥",
    ast.LtE: "≤",
    ast.Eq: "=",
    ast.NotEq: "≠",
}


def evaluate(expression: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """The value of a formula.

    Parameters
    ----------
    expression : str
        A formula of the catalogue.
    names : mapping
        What its variables stand for: ``x`` and the parameters.
    functions : mapping, optional
        What its functions are; Python's `math` by default, and for instance mpmath's for more digits.

    Examples
    --------
    >>> evaluate("x if x > 0 else slope * x", {"x": -2.0, "slope": 0.5})
    -1.0
    """
    return eval(_compiled(expression), (_MATH if functions is None else _scope(functions)) | dict(names))


def _scope(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    return {"__builtins__": _BUILTINS, **functions}


_BUILTINS = {found.__name__: found for found in (abs, max, min, len, sum, sorted, range)}


_MATH = _scope(vars(math))


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> CodeType:
    return compile(expression, "<formula>", "eval")


def mathml(expression: str, left: str = "") -> str:
    """A formula as a MathML element, which browsers show without help; `left` is the side before the equals sign.

    A comparison that is used as a number stands in brackets: ``[i = j]`` is 1 where i = j, and 0 elsewhere.

    Examples
    --------
    >>> mathml("max(0, x)")
    '<math><mrow><mi>max</mi><mo>(</mo><mn>0</mn><mo>,</mo><mi>x</mi><mo>)</mo></mrow></math>'
    """
    before = f"{_markup(ast.parse(left, mode='eval').body)}<mo>=</mo>" if left else ""
    return f"<math>{_row(before + _condition(ast.parse(expression, mode='eval').body))}</math>"


def _row(content: str) -> str:
    return content if content.startswith("<mrow>") and content.count("<mrow>") == 1 else f"<mrow>{content}</mrow>"


def _fenced(node: ast.expr, in_power: bool = False) -> str:
    content = _markup(node)
    loose = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow) if in_power else (ast.Add, ast.Sub)
    is_loose = isinstance(node, ast.BinOp) and isinstance(node.op, loose)
    is_exponential = in_power and isinstance(node, ast.Call) and ast.unparse(node.func) == "exp"
    if is_loose or is_exponential or isinstance(node, ast.UnaryOp | ast.IfExp):
        return f"<mrow><mo>(</mo>{content}<mo>)</mo></mrow>"
    return content


def _markup(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=value):
            return f"<mn>{value!r}</mn>"
        case ast.Name(id=name):
            return f"<mi>{escape(_GREEK.get(name, name))}</mi>"
        case ast.Starred(value=value):  # a group's members
            members = [f"<msub>{_markup(value)}<mn>{number}</mn></msub>" for number in (1, 2)]
            return "<mo>,</mo>".join([*members, "<mo>…</mo>"])
        case ast.Subscript(value=value, slice=ast.Slice(lower=ast.expr() as lower, upper=None)):
            return f"<mrow>{_markup(value)}<mo>[</mo>{_markup(lower)}<mo>:</mo><mo>]</mo></mrow>"
        case ast.Subscript(value=value, slice=index):
            return f"<msub>{_markup(value)}<mrow>{_markup(index)}</mrow></msub>"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"<mrow><mo>−</mo>{_fenced(operand)}</mrow>"
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"<msup><mrow>{_fenced(left, in_power=True)}</mrow><mrow>{_markup(right)}</mrow></msup>"
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"<mfrac><mrow>{_markup(left)}</mrow><mrow>{_markup(right)}</mrow></mfrac>"
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return f"<mrow>{_fenced(left)}<mo>⋅</mo>{_fenced(right)}</mrow>"
        case ast.BinOp(left=left, op=op, right=right):
            before = _fenced(left) if isinstance(left, ast.IfExp) else _markup(left)
            after = _fenced(right) if isinstance(op, ast.Sub) or isinstance(right, ast.IfExp) else _markup(right)
            return f"<mrow>{before}<mo>{_OPERATORS[type(op)]}</mo>{after}</mrow>"
        case ast.Compare():  # Iverson's bracket
            return f'<mrow><mo stretchy="false">[</mo>{_condition(node)}<mo stretchy="false">]</mo></mrow>'
        case ast.Call(func=function, args=[ast.GeneratorExp(elt=term, generators=[one])]):
            name = '<mo movablelimits="false">∑</mo>' if ast.unparse(function) == "sum" else _markup(function)
            below = f"<mrow>{_markup(one.target)}<mo>∈</mo>{_markup(one.iter)}</mrow>"
            return f"<mrow><munder>{name}{below}</munder>{_fenced(term)}</mrow>"
        case ast.Call(func=ast.Name(id="exp"), args=[argument]):
            return f"<msup><mi>e</mi><mrow>{_markup(argument)}</mrow></msup>"
        case ast.Call(func=ast.Name(id="abs"), args=[argument]):
            return f"<mrow><mo>|</mo>{_markup(argument)}<mo>|</mo></mrow>"
        case ast.Call(func=ast.Name(id="sqrt"), args=[argument]):
            return f"<msqrt>{_markup(argument)}</msqrt>"
        case ast.Call(func=function, args=arguments):
            inside = "<mo>,</mo>".join(_markup(a) for a in arguments)
            return f"<mrow>{_markup(function)}<mo>(</mo>{inside}<mo>)</mo></mrow>"
        case ast.IfExp():
            return _cases(node)
    return f"<mtext>{escape(ast.unparse(node))}</mtext>"


def _condition(node: ast.expr) -> str:
    """What holds or does not; `_markup` makes a number of it."""
    if not isinstance(node, ast.Compare):
        return _markup(node)
    parts = [_markup(node.left)]
    for comparison, right in zip(node.ops, node.comparators, strict=True):
        parts.append(f"<mo>{_OPERATORS[type(comparison)]}</mo>{_markup(right)}")
    return f"<mrow>{''.join(parts)}</mrow>"


def _cases(node: ast.expr) -> str:
    rows = []
    while isinstance(node, ast.IfExp):
        rows.append((_markup(node.body), f"<mtext>if&nbsp;</mtext>{_condition(node.test)}"))
        node = node.orelse
    rows.append((_markup(node), "<mtext>else</mtext>"))
    cell = '<mtd style="text-align:left"><mrow>{}</mrow></mtd>'
    cells = "".join(f"<mtr>{cell.format(value)}{cell.format(condition)}</mtr>" for value, condition in rows)
    return f'<mrow><mo stretchy="true">{{</mo><mtable>{cells}</mtable></mrow>'
