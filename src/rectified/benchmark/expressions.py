"""Idioms of NumPy for libraries that compile expressions."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any


def in_other_words(expression: str, words: Mapping[str, str]) -> str:
    """An expression without ``:=`` and ``out=``, and with other words for some of NumPy's functions.

    Examples
    --------
    >>> in_other_words("dy * np.where((y := np.tanh(x)) > 0, y, 0)", {"where": "{1} if {0} else {2}"})
    'dy * (np.tanh(x) if np.tanh(x) > 0 else 0)'
    """
    return ast.unparse(_InOtherWords(words).visit(ast.parse(expression, mode="eval")))


def with_named_numbers(expression: str, *types: type) -> tuple[str, dict[str, Any]]:
    """An expression in which numbers of these types have names, unless they are exponents, and what the names stand for.

    Examples
    --------
    >>> with_named_numbers("(0.5 + x**2 / 3) / 3", int, float)
    ('(number_0 + x ** 2 / number_1) / number_1', {'number_0': 0.5, 'number_1': 3})
    >>> with_named_numbers("(0.5 + x**2 / 3) / 3", float)
    ('(number_0 + x ** 2 / 3) / 3', {'number_0': 0.5})
    """
    named = _WithNamedNumbers(types)
    tree = named.visit(ast.parse(expression, mode="eval"))
    return ast.unparse(tree), {name: number for number, name in named.names.items()}


class _InOtherWords(ast.NodeTransformer):
    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = words
        self.named: dict[str, ast.expr] = {}

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        self.named[node.target.id] = self.visit(node.value)
        return self.named[node.target.id]

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.named.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = []
        if isinstance(node.func, ast.Attribute) and node.func.attr in self.words:
            words = self.words[node.func.attr].format(*(f"({ast.unparse(argument)})" for argument in node.args))
            return ast.parse(words, mode="eval").body
        return node


class _WithNamedNumbers(ast.NodeTransformer):
    def __init__(self, types: tuple[type, ...]) -> None:
        self.types = types
        self.names: dict[Any, str] = {}

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        node.left = self.visit(node.left)
        if not isinstance(node.op, ast.Pow):
            node.right = self.visit(node.right)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, self.types):
            return node
        return ast.Name(self.names.setdefault(node.value, f"number_{len(self.names)}"))
