"""What a function of the catalogue is, mathematically: from its formula alone, and sharing nothing with the kernels.

A value is the formula itself, evaluated by mpmath with more and more digits until they settle. A derivative is the formula
again, evaluated on dual numbers whose rules come from SymPy. Both are slow, so for the many inputs of float32 they are
interpolated by polynomials of float64 whose distance from mpmath was measured; an input for which that distance leaves the
rounding open goes to mpmath after all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import mpmath
import numpy as np
import sympy
from sympy.codegen import cfunctions

from rectified import Activation
from rectified.formula import evaluate


@dataclass(frozen=True, slots=True)
class Dual:
    """A number and how fast it moves. Ordered as if it had moved a little already: that tells one side of a kink."""

    value: Any
    tangent: Any

    @staticmethod
    def of(number: Any) -> Dual:
        return number if type(number) is Dual else Dual(mpmath.mpf(number), mpmath.mpf(0))

    def __add__(self, other: Any) -> Dual:
        other = Dual.of(other)
        return Dual(self.value + other.value, self.tangent + other.tangent)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.tangent)

    def __sub__(self, other: Any) -> Dual:
        return self + -Dual.of(other)

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __mul__(self, other: Any) -> Dual:
        other = Dual.of(other)
        return Dual(self.value * other.value, self.tangent * other.value + self.value * other.tangent)

    def __truediv__(self, other: Any) -> Dual:
        other = Dual.of(other)
        quotient = self.value / other.value
        return Dual(quotient, (self.tangent - quotient * other.tangent) / other.value)

    def __rtruediv__(self, other: Any) -> Dual:
        return Dual.of(other) / self

    def __pow__(self, power: Any) -> Dual:
        if isinstance(power, Dual):
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


@lru_cache
def function(name: str) -> Callable[[Any], Any]:
    """An elementary function of numbers and of dual numbers."""
    if name == "abs":
        return abs
    of_numbers = getattr(mpmath, name)
    z = sympy.Symbol("z", real=True)
    rule = getattr(sympy, name, None) or getattr(cfunctions, name)
    slope = sympy.lambdify(z, sympy.diff(rule(z), z), "mpmath")

    def of_both(number: Any) -> Any:
        if isinstance(number, Dual):
            return Dual(of_numbers(number.value), slope(number.value) * number.tangent)
        return of_numbers(number)

    return of_both


def rounded(number: mpmath.mpf, dtype: Any) -> float:
    """The number of a floating-point type that is nearest, ties to even."""
    info = np.finfo(dtype)
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


def operations(activation: Activation) -> list[str]:
    """What is measured: the value, and its derivatives by the input and by each parameter."""
    return ["value", "derivative", *(f"derivative_wrt_{name}" for name in activation.parameters)]


def kernel(activation: Activation, operation: str) -> str:
    """The name of the ufunc that computes an operation."""
    return activation.name if operation == "value" else f"{activation.name}_{operation}"


class Oracle:
    """One operation of an activation, with parameters as a dtype stores them."""

    def __init__(self, activation: Activation, operation: str = "value", dtype: Any = np.float32) -> None:
        self.activation = activation
        self.operation = operation
        self.dtype = np.dtype(dtype)
        self.parameters = {name: float(self.dtype.type(value)) for name, (value, _) in activation.parameters.items()}
        self.by = "" if operation == "value" else operation.partition("_wrt_")[2] or "x"
        names = compile(activation.formula, "", "eval").co_names
        known = [name for name in names if name not in ("x", "max", "min", *self.parameters)]
        self._functions = {name: function(name) for name in known if callable(getattr(mpmath, name, abs))}
        self._constants = [name for name in known if name not in self._functions]
        info = np.finfo(self.dtype)
        self._floor = min(info.minexp - info.nmant, -149) - 60  # errors below 2^floor are seen by no rounding

    def sides(self, x: float, precision: int) -> tuple[mpmath.mpf, mpmath.mpf]:
        """The operation on either side of x, with so many bits: left and right. A value has only one."""
        with mpmath.workprec(precision):
            names: dict[str, Any] = {name: mpmath.mpf(value) for name, value in self.parameters.items()}
            names |= {name: +getattr(mpmath, name) for name in self._constants}
            names["x"] = mpmath.mpf(x) if math.isfinite(x) else mpmath.ldexp(math.copysign(1, x), 1 << 14)
            if not self.by:
                value = mpmath.mpf(evaluate(self.activation.formula, names, self._functions))
                return value, value
            directions = (-1, 1) if self.by == "x" and x in self.activation.kinks else (1,)
            found = []
            for direction in directions:
                moving = names | {self.by: Dual(names[self.by], mpmath.mpf(direction))}
                found.append(direction * Dual.of(evaluate(self.activation.formula, moving, self._functions)).tangent)
            return found[0], found[-1]

    def at(self, x: float, precision: int) -> mpmath.mpf:
        """The operation; at a kink the element of the subdifferential that has the smallest magnitude."""
        left, right = sorted(self.sides(x, precision))
        return left if left > 0 else right if right < 0 else mpmath.mpf(0) if left < right else left

    def exact(self, x: float) -> mpmath.mpf:
        """The operation at x to 70 bits, or to an absolute error that no rounding sees; at infinity its limit."""
        precision = 100
        while True:
            coarse, fine = self.at(x, precision), self.at(x, precision + 60)
            error = abs(fine - coarse)
            settled = fine != 0 and error <= mpmath.ldexp(abs(fine), -70)
            if settled or (precision > 40 - self._floor and error <= mpmath.ldexp(1, self._floor)):
                # An error this small decides a rounding but for a few ties in 2^40, which are exact.
                return fine
            precision = max(2 * precision, 0 if fine else 41 - self._floor)

    def rounded(self, x: Any) -> Any:
        """The operation on an array, correctly rounded, point by point."""
        values = [math.nan if n != n else rounded(self.exact(n), self.dtype) for n in np.asarray(x).ravel().tolist()]
        return np.array(values, self.dtype).reshape(np.shape(x))

    @property
    def pieces(self) -> list[Piece]:
        """The operation on all finite numbers of float32, but zero, in the order of their bits."""
        key = self.activation.name, self.operation, *self.parameters.values()
        if key not in _pieces:
            _pieces[key] = self._all_pieces()
        return _pieces[key]

    def _all_pieces(self) -> list[Piece]:
        edges = [0.0, *(2.0**e for e in range(-126, 129))]
        found: list[Piece] = []
        for sign in (1.0, -1.0):
            for low, high in pairwise(edges):
                found += self._fit(sign * low, sign * high)
        return found

    def _fit(self, low: float, high: float) -> Iterator[Piece]:
        """Pieces between two numbers; |low| < |high|, and their difference is a power of two."""
        middle = (low + high) / 2
        for degree in (4, 12):
            piece = self._polynomial(low, high, degree)
            if piece.bound < math.inf:
                break
        if piece.bound < math.inf or abs(piece.end - piece.first) <= 64:
            yield piece
        else:
            yield from self._fit(low, middle)
            yield from self._fit(middle, high)

    def _polynomial(self, low: float, high: float, degree: int) -> Piece:
        """The polynomial through Chebyshev's nodes; its bound is infinite where it leaves float32 open too often."""
        middle, half = (low + high) / 2, (high - low) / 2
        nodes, inverse = _nodes(degree)
        values = [self.exact(middle + half * node) for node in nodes]
        with mpmath.workprec(120):
            coefficients = np.array([float(mpmath.fdot(row, values)) for row in inverse])
        piece = Piece(_bits(low), _bits(high), middle, half, coefficients, math.inf)
        checks = [middle + half * check for check in (-0.984375, -0.5625, 0.1875, 0.734375, 0.984375)]
        truths = [self.exact(check) for check in checks]
        missed = max(float(abs(mpmath.mpf(float(p)) - t)) for p, t in zip(piece(np.array(checks)), truths, strict=True))
        roundings = 2 * len(coefficients) * 2.0**-53 * float(np.abs(coefficients).sum())
        bound = 4 * missed + roundings + 2.0**self._floor
        smallest = float(min(map(abs, values + truths)))
        return piece._replace(bound=bound) if bound <= 2.0**-44 * max(smallest, 2.0**-126) else piece

    def of_bits(self, bits: Any) -> Any:
        """The operation on float32 numbers given by their bits, ascending; correctly rounded to the oracle's dtype."""
        x = bits.view(np.float32)
        result = np.full(x.shape, np.nan, self.dtype)
        pieces = self.pieces
        edges = np.searchsorted(bits, [edge for piece in pieces for edge in (piece.first, piece.end)])
        open_ = np.zeros(x.shape, bool)
        for special in np.array([0.0, -0.0, math.inf, -math.inf, *self.activation.kinks], np.float32).view(np.uint32):
            open_[slice(*np.searchsorted(bits, [special, special + np.uint32(1)]))] = True
        for piece, first, end in zip(pieces, edges[::2], edges[1::2], strict=True):
            if first == end:
                continue
            near = piece(x[first:end].astype(np.float64))
            with np.errstate(all="ignore"):
                low, high = ((near + error).astype(self.dtype) for error in (-piece.bound, piece.bound))
            result[first:end] = low
            open_[first:end] |= ~(low == high)
        where = np.flatnonzero(open_)
        result[where] = self.rounded(x[where])
        return result


class Piece(NamedTuple):
    """A polynomial that is near an operation, for the float32 numbers from one bit pattern up to another."""

    first: int
    end: int
    middle: float
    half: float
    coefficients: Any
    bound: float

    def __call__(self, x: Any) -> Any:
        t = (x - self.middle) / self.half
        result = np.full(t.shape, self.coefficients[-1])
        for coefficient in self.coefficients[-2::-1]:
            result *= t
            result += coefficient
        return result


_pieces: dict[tuple[Any, ...], list[Piece]] = {}  # float16 and float32 share them


@lru_cache
def _nodes(degree: int) -> tuple[list[float], list[list[mpmath.mpf]]]:
    """Chebyshev's nodes, with few digits so that a piece's inputs are exact, and from values there to coefficients."""
    nodes = [round(math.cos(math.pi * (k + 0.5) / (degree + 1)) * 1024) / 1024 for k in range(degree + 1)]
    with mpmath.workprec(160):
        return nodes, (mpmath.matrix([[mpmath.mpf(n) ** k for k in range(degree + 1)] for n in nodes]) ** -1).tolist()


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
    kind = f"u{got.dtype.itemsize}"
    unequal = np.flatnonzero(got.view(kind) != want.view(kind))
    if not unequal.size:
        return Worst(0, float(x[0]))
    distance = ulps(got[unequal], want[unequal])
    place = int(np.argmax(distance))
    return Worst(int(distance[place]), float(x[unequal[place]]))


def stratified(dtype: Any, count: int, seed: int = 0) -> Any:
    """Numbers of every magnitude: random bits, the places where functions bend, the ends of the type, small integers."""
    random = np.random.default_rng(seed)
    info = np.finfo(dtype)
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
