"""What a function of the catalogue is, mathematically: from its formula alone, and sharing nothing with the kernels.

A value is the formula itself, evaluated by mpmath with more and more digits until they settle. A derivative is the formula
again, evaluated on dual numbers whose rules come from SymPy; a second derivative is made of the derivative's formula in the
same way. All of them are slow, so for the many inputs of float32 they are interpolated by polynomials of float64 whose
distance from mpmath was measured; an input for which that distance leaves the rounding open goes to mpmath after all.
"""

from __future__ import annotations

import ast
import hashlib
import math
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np
import sympy
from sympy.codegen import cfunctions

import rectified as rf
from rectified import Activation, formula
from rectified.formula import evaluate

KEPT = Path(__file__).parents[1] / "build" / "oracle"
"""Where the polynomials of earlier runs lie."""


@dataclass(slots=True, repr=False)  # mpmath writes its operands into errors; huge ones have too many digits
class Dual:
    """A number and how fast it moves. Ordered as if it had moved a little already: that tells one side of a kink."""

    value: Any
    tangent: Any

    @staticmethod
    def of(number: Any) -> Dual:
        return number if type(number) is Dual else Dual(mpmath.mpf(number), mpmath.mpf(0))

    def __add__(self, other: Any) -> Dual:
        if type(other) is not Dual:
            return Dual(self.value + other, self.tangent)
        return Dual(self.value + other.value, self.tangent + other.tangent)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.tangent)

    def __sub__(self, other: Any) -> Dual:
        return self + -other

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __mul__(self, other: Any) -> Dual:
        if type(other) is not Dual:
            return Dual(self.value * other, self.tangent * other)
        return Dual(self.value * other.value, self.tangent * other.value + self.value * other.tangent)

    def __truediv__(self, other: Any) -> Dual:
        if type(other) is not Dual:
            return Dual(self.value / other, self.tangent / other)
        quotient = self.value / other.value
        return Dual(quotient, (self.tangent - quotient * other.tangent) / other.value)

    def __rtruediv__(self, other: Any) -> Dual:
        quotient = other / self.value
        return Dual(quotient, -quotient * self.tangent / self.value)

    def __pow__(self, power: Any) -> Dual:
        if type(power) is Dual:
            return Dual.of(function("exp")(power * function("log")(self)))
        return Dual(self.value**power, power * self.value ** (power - 1) * self.tangent)

    def __abs__(self) -> Dual:
        return -self if self < 0 else self

    def __lt__(self, other: Any) -> bool:
        other = Dual.of(other)
        return bool((self.value, self.tangent) < (other.value, other.tangent))

    def __gt__(self, other: Any) -> bool:
        return Dual.of(other) < self

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __ge__(self, other: Any) -> bool:
        return not self < other

    __radd__ = __add__
    __rmul__ = __mul__


def _exp(x: Any) -> Any:
    """The exponential function; no rounding sees what it is left of -2^40.

    Of a large whole number mpmath would multiply e with itself, which takes long.
    """
    if abs(x) < 1 << 20 or mpmath.isinf(x):
        return mpmath.exp(x)
    x = max(x, -mpmath.mpf(1 << 40))
    with mpmath.workprec(mpmath.mp.prec + max(0, mpmath.mag(x)) + 20):
        doublings = int(mpmath.nint(x / mpmath.ln2))
        part = mpmath.exp(x - doublings * mpmath.ln2)
    return mpmath.ldexp(part, doublings)


def _erfc(x: Any) -> Any:
    """The complementary error function, also of numbers so large that mpmath refuses them."""
    return mpmath.erfc(max(min(x, 1 << 20), -(1 << 20)))


_BOUNDED = {"exp": _exp, "erfc": _erfc}


@lru_cache
def function(name: str) -> Callable[[Any], Any]:
    """An elementary function of numbers and of dual numbers."""
    if name == "abs":
        return abs
    if name == "mpf":
        return mpmath.mpf
    of_numbers = _BOUNDED.get(name) or getattr(mpmath, name)
    z, value = sympy.symbols("z value", real=True)
    rule = getattr(sympy, name, None) or getattr(cfunctions, name)
    # 1 - tanh^2 would cancel
    derivative = sympy.sech(z) ** 2 if name == "tanh" else sympy.diff(rule(z), z)
    slope = sympy.lambdify((z, value), derivative.subs(rule(z), value), [_BOUNDED, "mpmath"])

    def of_both(number: Any) -> Any:
        if type(number) is not Dual:
            return of_numbers(number)
        value = of_numbers(number.value)
        return Dual(value, slope(number.value, value) * number.tangent)

    return of_both


def finfo(dtype: Any) -> Any:
    """The limits of a floating-point type; NumPy does not know those of bfloat16."""
    if np.dtype(dtype).name != "bfloat16":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


def rounded(number: mpmath.mpf, dtype: Any) -> float:
    """The number of a floating-point type that is nearest, ties to even."""
    info = finfo(dtype)
    sign, mantissa, exponent, length = number._mpf_
    top = exponent + length  # |number| < 2^top
    if top > info.maxexp:
        return -math.inf if sign else math.inf
    last = max(top - info.nmant - 1, info.minexp - info.nmant)
    shift = last - exponent
    if mantissa == 0 or top < last:
        return 0.0
    if shift > 0:
        mantissa, rest = divmod(mantissa, 1 << shift)
        half = 1 << (shift - 1)
        mantissa += rest > half or (rest == half and mantissa & 1)
    else:
        mantissa <<= -shift
    if int(mantissa) >> max(info.maxexp - last, 0):
        return -math.inf if sign else math.inf
    return math.ldexp(-int(mantissa) if sign else int(mantissa), last)


def rounded_to_odd(x: Any) -> Any:
    """float32 beside float64, for rounding it again: where digits are lost, the neighbour whose last digit is odd."""
    near = x.astype(np.float32)
    is_even = (near != x) & np.isfinite(near) & (near.view(np.uint32) % 2 == 0)
    return np.where(is_even, np.nextafter(near, np.where(x > near, np.float32(np.inf), np.float32(-np.inf))), near)


def ulps(got: Any, want: Any) -> Any:
    """How many numbers of their type lie between two arrays, element by element; NaN is far from every number but NaN."""
    kind = np.dtype(f"u{got.dtype.itemsize}")
    sign = kind.type(1 << (8 * kind.itemsize - 1))
    a, b = (np.where(n & sign, sign - (n & ~sign), sign + n) for n in (got.view(kind), want.view(kind)))
    distance = np.maximum(a, b) - np.minimum(a, b)
    nan, expected = np.isnan(got), np.isnan(want)
    distance[nan | expected] = sign
    distance[nan & expected] = 0
    return distance


@lru_cache
def in_exact_numbers(expression: str) -> str:
    """A formula in which quotients of numbers are mpmath's: Python's 1 / 6 has but 53 bits."""
    return ast.unparse(_ExactNumbers().visit(ast.parse(expression, mode="eval")))


class _ExactNumbers(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.BinOp:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div) and isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            node.left = ast.Call(ast.Name("mpf"), [node.left], [])
        return node


def operations(activation: Activation) -> list[str]:
    """What is measured: the value, and its derivatives by the input, once and twice, and by each parameter."""
    second = ["second_derivative"] if rf.ufuncs.named(f"{activation.name}_second_derivative") else []
    return ["value", "derivative", *second, *(f"derivative_wrt_{name}" for name in activation.parameters)]


def kernel(activation: Activation, operation: str) -> str:
    """The name of the ufunc that computes an operation."""
    return activation.name if operation == "value" else f"{activation.name}_{operation}"


def data_operands(ufunc: str) -> int:
    """How many operands are arrays by nature; the others are parameters."""
    for unit, count in {"_gated": 2, "_gated_backward": 3, "_gated_jvp": 4, "_doubled": 1, "_doubled_backward": 3}.items():
        if ufunc.endswith(unit):
            return count
    return 2 if "_backward" in ufunc else 1


class Oracle:
    """One operation of an activation, with parameters as a dtype stores them."""

    def __init__(self, activation: Activation, operation: str = "value", dtype: Any = np.float32) -> None:
        self.activation = activation
        self.operation = operation
        self.dtype = np.dtype(dtype)
        self.parameters = {name: float(self.dtype.type(value)) for name, (value, _) in activation.parameters.items()}
        self.by = "" if operation == "value" else operation.partition("_wrt_")[2] or "x"
        self.formula = in_exact_numbers(
            activation.derivative_formula if operation == "second_derivative" else activation.formula
        )
        nodes = list(ast.walk(ast.parse(self.formula)))
        called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
        named = {node.id for node in nodes if isinstance(node, ast.Name)}
        self._functions = {name: function(name) for name in called - {"max", "min"}}
        self._constants = named - called - {"x", *self.parameters}
        self._has_sides = not called.isdisjoint(("abs", "max", "min")) or any(isinstance(n, ast.Compare) for n in nodes)
        info = finfo(self.dtype)
        self._floor = min(info.minexp - info.nmant, -149) - 60  # errors below 2^floor are seen by no rounding
        self._of_distance = getattr(activation, "category", "") == "radial"  # NaN for what is negative

    def side(self, x: float, precision: int, direction: int = 1) -> mpmath.mpf:
        """The operation with so many bits, at a kink on one side of it: -1 on the left, 1 on the right."""
        with mpmath.workprec(precision):
            names: dict[str, Any] = {name: mpmath.mpf(value) for name, value in self.parameters.items()}
            names |= {name: +getattr(mpmath, name) for name in self._constants}
            names["x"] = mpmath.mpf(x) if math.isfinite(x) else mpmath.ldexp(math.copysign(1, x), 1100)
            if self._of_distance and x == 0:
                names["x"] = mpmath.ldexp(1, -1100)  # the limit, where the formula has none
            if not self.by:
                return mpmath.mpf(evaluate(self.formula, names, self._functions))
            names[self.by] = Dual(names[self.by], mpmath.mpf(direction))
            return direction * Dual.of(evaluate(self.formula, names, self._functions)).tangent

    def at(self, x: float, precision: int) -> mpmath.mpf:
        """The operation; at a kink the element of the subdifferential that has the smallest magnitude."""
        right = self.side(x, precision)
        if not self.by or not self._has_sides:
            return right
        left, right = sorted((self.side(x, precision, -1), right))
        return left if left > 0 else right if right < 0 else mpmath.mpf(0) if left < right else left

    def exact(self, x: float) -> mpmath.mpf:
        """The operation at x to 70 bits, or to an absolute error that no rounding sees; at infinity its limit."""
        return self._settled(lambda precision: self.at(x, precision))[0]

    def _settled(self, at: Callable[[int], mpmath.mpf], precision: int = 100) -> tuple[mpmath.mpf, int]:
        """What `at` gives for a precision at which it no longer changes, and that precision."""
        while True:
            coarse, fine = at(precision), at(precision + 60)
            error = abs(fine - coarse)
            settled = fine != 0 and error <= mpmath.ldexp(abs(fine), -70)
            if settled or (precision > 40 - self._floor and error <= mpmath.ldexp(1, self._floor)):
                return fine, precision + 60
            precision = max(2 * precision, 0 if fine else 41 - self._floor)

    def rounded(self, x: Any) -> Any:
        """The operation on an array, correctly rounded, point by point."""
        inside = (lambda n: n >= 0) if self._of_distance else (lambda n: n == n)
        values = [self._rounded(n) if inside(n) else math.nan for n in np.asarray(x).ravel().tolist()]
        return np.array(values, self.dtype).reshape(np.shape(x))

    def _rounded(self, x: float) -> float:
        value = self.exact(x)
        with mpmath.workprec(200):
            low, high = (rounded(value + side * mpmath.ldexp(value, -70), self.dtype) for side in (-1, 1))
        if low == high:
            return low
        # A tie, as far as 70 bits tell: x / 2 + x^2 is not one, but looks like it where x is very small.
        precision = 300 - 64 * self._floor
        value = self.at(x, precision)
        with mpmath.workprec(precision - 100):
            return rounded(+value, self.dtype)

    @cached_property
    def roots(self) -> list[float]:
        """Where the operation crosses zero, but for 0 itself."""

        def positive(x: float) -> bool:
            return bool(self.at(x, 200) > 0)

        found = []
        for sign in (1.0,) if self._of_distance else (1.0, -1.0):
            grid = [sign * math.ldexp(1 + part / 8, exponent) for exponent in range(-7, 7) for part in range(8)]
            above = [positive(x) for x in grid]
            for place, (before, after) in enumerate(pairwise(above)):
                if before == after:
                    continue
                low, high = grid[place : place + 2]
                while (middle := (low + high) / 2) not in (low, high):
                    low, high = (middle, high) if positive(middle) == before else (low, middle)
                sides = self.at(low * (1 - 2.0**-30), 200), self.at(low * (1 + 2.0**-30), 200)
                if min(sides) < 0 < max(sides) and max(map(abs, sides)) < 2.0**-20:
                    found.append(high)
        return found

    def beside_roots(self) -> Any:
        """Numbers of the dtype at every distance from the roots."""
        near = [root * (1 + sign * 2.0**-bits) for root in self.roots for sign in (-1, 1) for bits in range(3, 54)]
        return np.array(near + self.roots).astype(self.dtype)

    def is_excused(self, x: float, got: float) -> bool:
        """Whether the operation is small at x because it crosses zero nearby, and the error is below 2^-53."""
        if not any(0.5 <= x / root <= 2 for root in self.roots):
            return False
        exact = self.exact(x)
        with mpmath.workprec(200):
            return bool(abs(exact) < 0.125 and abs(got - exact) < mpmath.ldexp(1, -53))

    @cached_property
    def key(self) -> str:
        """A text that is another when the results may be others."""
        facts = _SOURCES, mpmath.__version__, self.formula, self.by, sorted(self.parameters.items()), self._floor
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]

    @cached_property
    def pieces(self) -> list[Piece]:
        """The operation on all numbers of float32 but NaN, in the order of their bits."""
        key = self.key
        if key not in _pieces:
            path = KEPT / f"{self.activation.name}-{self.operation}-{key}.npy"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = path.with_suffix(f".{os.getpid()}.npy")
                np.save(temporary, [piece.row() for piece in self._all_pieces()])
                temporary.replace(path)
            _pieces[key] = [Piece.of(row) for row in np.load(path).tolist()]
        return _pieces[key]

    @cached_property
    def _edges(self) -> list[int]:
        return [piece.first for piece in self.pieces]

    def _all_pieces(self) -> Iterator[Piece]:
        edges = [0.0, *(2.0**e for e in range(-126, 129))]
        for sign, zero in ((1.0, 0), (-1.0, 1 << 31))[: 1 if self._of_distance else 2]:
            yield Piece.unknown(zero, zero + 1)
            for low, high in pairwise(edges):
                yield from self._fit(sign * low, sign * high)
            yield Piece.unknown(zero + 0x7F800000, zero + 0x7F800001)

    def _fit(self, low: float, high: float) -> Iterator[Piece]:
        """Pieces between two numbers; |low| < |high|, and their difference is a power of two."""
        tiny = abs(high) <= 2.0**-60
        piece = (tiny and self._line(low, high)) or self._polynomial(low, high)
        if piece and len(piece.coefficients) == 2 and not tiny:
            piece = self._line(low, high) or piece
        if piece:
            yield piece
        elif _bits(high) - _bits(low) <= 64:
            yield Piece.unknown(_bits(low), _bits(high))
        else:
            middle = (low + high) / 2
            yield from self._fit(low, middle)
            yield from self._fit(middle, high)

    def _line(self, low: float, high: float) -> Piece | None:
        """The line that the operation is between two numbers, with coefficients of float32, or a third of such a line.

        Many of its results are ties, so it has to be exact. Half of the subnormal numbers are ties too for what begins as
        x / 2: there the next term decides, and the line leans to its side, by a digit that no other rounding sees.
        """
        points = [low + (high - low) * part for part in (0.015625, 0.984375, 0.3125, 0.6875)]
        values = [self.side(x, 600) for x in points]
        with mpmath.workprec(600):
            for divisor in (1, 3):
                (x0, y0), (x1, y1) = zip(points[:2], values[:2], strict=True)
                slope = float(np.float32(float(divisor * (y1 - y0) / (x1 - x0))))
                start = float(np.float32(float(divisor * y0 - mpmath.mpf(slope) * x0)))
                if not math.isfinite(start) or not math.isfinite(slope):
                    continue
                lines = [start + mpmath.mpf(slope) * x for x in points]
                rests = [divisor * value - line for value, line in zip(values, lines, strict=True)]
                if all(abs(rest) <= mpmath.ldexp(abs(line), -500) for rest, line in zip(rests, lines, strict=True)):
                    digit = _digit(slope) * float(np.spacing(np.float32(min(abs(low), abs(high)))))  # of all slope x
                    if not start or not slope or abs(start) + abs(slope * high) < 2.0**50 * min(digit, _digit(start)):
                        return Piece.line(low, high, start, slope, divisor)
                elif start == 0 and divisor == 1:
                    sides = {mpmath.sign(rest) * mpmath.sign(x) for rest, x in zip(rests, points, strict=True)}
                    small = all(abs(rest) < mpmath.ldexp(abs(line), -54) for rest, line in zip(rests, lines, strict=True))
                    if small and len(sides) == 1:
                        return Piece.line(low, high, 0.0, math.nextafter(slope, int(sides.pop()) * math.inf), 1)
        return None

    def _polynomial(self, low: float, high: float) -> Piece | None:
        """The polynomial through Chebyshev's points, if it leaves float32 open seldom enough."""
        middle, half = (low + high) / 2, (high - low) / 2
        precision = 160
        checks: dict[float, mpmath.mpf] = {}
        values: dict[float, mpmath.mpf] = {}
        for degree in _DEGREES:
            nodes, inverse = _nodes(degree)
            for check in _CHECKS[:degree]:
                if check not in checks:
                    checks[check], precision = self._settled(partial(self.side, middle + half * check), precision - 60)
            values |= {node: self.side(middle + half * node, precision) for node in nodes if node not in values}
            with mpmath.workprec(160):
                ordered = [values[node] for node in nodes]
                coefficients = [float(mpmath.fdot(row, ordered)) for row in inverse]
            allowed = 2.0**-43 * max(float(min(map(abs, [*checks.values(), *values.values()]))), 2.0**-126)
            if abs(coefficients[-1]) > max(allowed, 2.0**-15 * max(map(abs, coefficients))):
                continue  # far from the end of its series
            missed = max(_distance(coefficients, check, truth) for check, truth in checks.items())
            bound = 4 * missed + 2.0**self._floor
            if bound <= allowed:
                shorter, dropped = _shortened(np.array(coefficients), allowed / 8)
                return Piece(_bits(low), _bits(high), middle, half, shorter, bound + dropped)
        return None

    def of_bits(self, bits: Any) -> Any:
        """The operation on float32 numbers given by their bits, ascending; correctly rounded to the oracle's dtype."""
        if self._of_distance and (negative := bits >> 31 != 0).any():
            want = self.rounded(np.where(negative, bits, 0x7FC00000).astype(np.uint32).view(np.float32))  # NaN but for -0
            if not negative.all():
                want[~negative] = self.of_bits(bits[~negative])
            return want
        x = bits.view(np.float32)
        by_way_of_float32 = self.dtype.itemsize == 2 and self.dtype != np.float16
        dtype = np.dtype(np.float32) if by_way_of_float32 else self.dtype
        want = np.full(x.shape, np.nan, dtype)
        open_ = []
        first, last = (bisect_right(self._edges, int(bit)) for bit in (bits[0], bits[-1]))
        pieces = self.pieces[max(first - 1, 0) : last]
        edges = np.searchsorted(bits, np.array([edge for piece in pieces for edge in (piece.first, piece.end)], np.uint32))
        with np.errstate(all="ignore"):
            for piece, start, end in zip(pieces, edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                if start == end:
                    continue
                near, bound = piece.near(x[start:end])
                if not bound and self.dtype.itemsize == 2:  # x - tanh(x) is no line, but so near to one that it makes ties
                    bound = 2.0**-50 * np.abs(near)
                low, high = (near - bound).astype(dtype), (near + bound).astype(dtype)
                unsure = low != high
                if by_way_of_float32:  # where a second rounding may be of a tie that the first one made
                    unsure |= low.view(np.uint32) & 0xFFFF == 0x8000
                if low.shape:
                    want[start:end] = low
                    open_.append(start + np.flatnonzero(unsure))
                else:  # a constant
                    want[start:end] = near
                    open_.append(np.arange(start, end if unsure else start))
                if bits[start] == piece.first:  # where it may jump or bend
                    open_.append(np.array([start]))
        want = want.astype(self.dtype, copy=False)
        where = np.unique(np.concatenate(open_)) if open_ else []
        if len(where):
            want[where] = self.rounded(x[where])
        return want


class Piece(NamedTuple):
    """A polynomial that is near an operation, for the float32 numbers from one bit pattern up to another.

    Its variable is (x - middle) / half, which lies between -1 and 1. The bound does not contain what is lost when it is
    computed. With a bound of 0 it is the line (coefficients[0] + coefficients[1] x) / half, and nothing is lost.
    """

    first: int
    end: int
    middle: float
    half: float
    coefficients: Any
    bound: float

    @staticmethod
    def unknown(first: int, end: int) -> Piece:
        """No polynomial: all goes to mpmath."""
        return Piece(first, end, 0.0, 1.0, np.zeros(1), math.inf)

    @staticmethod
    def line(low: float, high: float, start: float, slope: float, divisor: int) -> Piece:
        """The line (start + slope x) / divisor."""
        return Piece(_bits(low), _bits(high), 0.0, divisor, np.array([start, slope]), 0.0)

    @staticmethod
    def of(row: list[float]) -> Piece:
        first, end, middle, half, bound, count, *coefficients = row
        return Piece(int(first), int(end), middle, half, np.array(coefficients[: int(count)]), bound)

    def row(self) -> list[float]:
        """The piece as numbers, always as many."""
        count = len(self.coefficients)
        padding = [0.0] * (_DEGREES[-1] + 1 - count)
        return [self.first, self.end, self.middle, self.half, self.bound, count, *self.coefficients, *padding]

    def near(self, x: Any) -> tuple[Any, float]:
        """The polynomial on ascending numbers of the piece, and how far from the operation that may be."""
        middle, half, coefficients, bound = self.middle, self.half, self.coefficients, self.bound
        if not bound:
            start, slope = coefficients
            if slope:
                start = x.astype(np.float64) * slope + start
            return (start / half if half != 1 else start), 0.0
        if x.size >= 4096 and len(coefficients) > 2:  # a polynomial of their own has a lower degree
            ends = float(x[0]), float(x[-1])
            middle, half = (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2
            coefficients = _moved(coefficients, (middle - self.middle) / self.half, half / self.half)
            coefficients, dropped = _shortened(coefficients, max(bound, 2.0**-46 * abs(coefficients[0])))
            bound += dropped
        bound += (4 * len(coefficients) + 2) * 2.0**-53 * float(np.abs(coefficients).sum())
        *rest, result = coefficients
        if not rest:
            return result, bound
        t = x.astype(np.float64)
        t -= middle
        t *= 1 / half
        result = t * result
        result += rest.pop()
        while rest:
            result *= t
            result += rest.pop()
        return result, bound


_pieces: dict[str, list[Piece]] = {}  # float16 and float32 share them
_SOURCES = [Path(source).read_bytes() for source in (__file__, formula.__file__)]
_DEGREES = (2, 5, 10, 20)
_CHECKS = (-0.46875, 0.5859375, -0.953125, 0.109375, 0.7734375)


@lru_cache
def _nodes(degree: int) -> tuple[list[float], list[list[mpmath.mpf]]]:
    """Chebyshev's points, with few digits so that a piece's inputs are exact, and from values there to coefficients."""
    nodes = [round(math.cos(math.pi * k / degree) * 1023) / 1024 for k in range(degree + 1)]
    with mpmath.workprec(200):
        return nodes, (mpmath.matrix([[mpmath.mpf(n) ** k for k in range(degree + 1)] for n in nodes]) ** -1).tolist()


def _digit(x: float) -> float:
    """The last digit of a float that is not 0; of 0 the first."""
    numerator, denominator = x.as_integer_ratio()
    return (numerator & -numerator) / denominator


def _distance(coefficients: list[float], place: float, truth: mpmath.mpf) -> float:
    """How far a polynomial is from what it should be at one place."""
    with mpmath.workprec(120):
        return float(abs(mpmath.polyval(coefficients[::-1], place) - truth))


_ORDER = np.arange(_DEGREES[-1] + 1)
_BINOMIALS = np.array([[math.comb(k, j) for k in _ORDER.tolist()] for j in _ORDER.tolist()], np.longdouble)
_LACKING = np.maximum(_ORDER - _ORDER[:, None], 0)


def _moved(coefficients: Any, middle: float, half: float) -> Any:
    """A polynomial for the part of [-1, 1] that has another middle and half width."""
    n = len(coefficients)
    powers = np.longdouble(middle) ** _ORDER[:n]
    sums = (_BINOMIALS[:n, :n] * powers[_LACKING[:n, :n]]) @ coefficients
    return (sums * np.longdouble(half) ** _ORDER[:n]).astype(np.float64)


def _shortened(coefficients: Any, allowed: float) -> tuple[Any, float]:
    """A polynomial on [-1, 1] without its last terms, which are together at most so large; and how large they are."""
    tails = np.cumsum(np.abs(coefficients[:0:-1]))
    count = int(np.searchsorted(tails, allowed, side="right"))
    return (coefficients[:-count], float(tails[count - 1])) if count else (coefficients, 0.0)


def _bits(x: float) -> int:
    """The bits of a float32, also of the number after the largest; at 0 those of the first number on that side."""
    if x == 0:
        return 1 + (int(math.copysign(1, x) < 0) << 31)
    if abs(x) == 2.0**128:
        return 0x7F800000 | (int(x < 0) << 31)
    return int(np.float32(x).view(np.uint32))


class Worst(NamedTuple):
    """The largest distance that was found, and where."""

    ulp: int
    input: float


def worst(got: Any, want: Any, x: Any) -> Worst:
    """The largest distance between two arrays, and the input there."""
    for _ in range(2):
        kind = f"i{got.dtype.itemsize}"
        steps = got.view(kind) - want.view(kind)  # between numbers of the same sign
        ends = int(steps.min()), int(steps.max())
        if ends == (0, 0):
            return Worst(0, float(x[0]))
        if ends[0] >= -1 and ends[1] <= 1 and not np.isnan(got.max()):
            return Worst(1, float(x[np.argmax(steps != 0)]))
        got, want = (np.where(each == 0, each.dtype.type(0), each) for each in (got, want))  # without the sign of zero
    unequal = np.flatnonzero(steps)
    distance = ulps(got[unequal], want[unequal])
    place = int(np.argmax(distance))
    return Worst(int(distance[place]), float(x[unequal[place]]))


def stratified(dtype: Any, count: int, seed: int = 0) -> Any:
    """Numbers of every magnitude: random bits, the places where functions bend, the ends of the type, small integers."""
    random = np.random.default_rng(seed)
    info = finfo(dtype)
    size = np.dtype(dtype).itemsize
    eighth = count // 8
    signs = random.choice([-1.0, 1.0], eighth)
    ends = 1.1 * math.log(float(info.smallest_subnormal)), -1.1 * math.log(float(info.tiny))
    strata = [
        random.integers(0, 1 << (8 * size), 3 * eighth, f"u{size}").view(dtype),
        random.normal(0, 2, eighth),
        random.uniform(-40, 40, eighth),
        random.uniform(*ends, eighth),
        signs * (1 + random.normal(0, 1e-3, eighth)),
        signs * random.integers(0, 50, eighth) * float(info.smallest_subnormal),
        np.arange(-20, 21),
        [info.max, info.min, info.tiny, -info.tiny, info.eps, -info.eps, np.inf, -np.inf, np.nan, 0.0, -0.0],
    ]
    return np.concatenate([np.asarray(stratum).astype(dtype) for stratum in strata])
