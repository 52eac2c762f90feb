"""Compute the constants of the kernels with mpmath and write native/tables.hpp.

Run it after changing a degree or an interval; the header it writes is committed, so that building needs no mpmath.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 60
HEADER = Path(__file__).parents[1] / "native" / "tables.hpp"


def rounded(value: mp.mpf, kind: type[np.floating], bits: int | None = None) -> mp.mpf:
    """The nearest number of a floating-point type, or one with only so many bits."""
    if value == 0:
        return mp.mpf(0)
    precision = bits or np.finfo(kind).nmant + 1
    with mp.workprec(precision):
        return +value


def literal(value: mp.mpf, kind: type[np.floating]) -> str:
    """A C++ hexadecimal floating-point literal."""
    return float(value).hex() + ("f" if kind is np.float32 else "")


def fit(
    target: Callable[[mp.mpf], mp.mpf],
    low: mp.mpf,
    high: mp.mpf,
    powers: Sequence[int],
    weight: Callable[[mp.mpf], mp.mpf],
    kind: type[np.floating],
) -> list[mp.mpf]:
    """Fit a polynomial of the given powers, its coefficients rounded to `kind` one after the other, lowest first.

    Weighted least squares on Chebyshev nodes; what rounding a coefficient loses, the later ones take up.
    """
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (k + mp.mpf(1) / 2) / 80) for k in range(80)]
    found: list[mp.mpf] = []
    for start in range(len(powers)):
        rest = powers[start:]
        matrix = mp.matrix(len(nodes), len(rest))
        right = mp.matrix(len(nodes), 1)
        for i, x in enumerate(nodes):
            known = sum((c * x**p for c, p in zip(found, powers, strict=False)), mp.mpf(0))
            right[i] = (target(x) - known) * weight(x)
            for j, power in enumerate(rest):
                matrix[i, j] = x**power * weight(x)
        found.append(rounded(mp.lu_solve(matrix, right)[0], kind))
    return found


def exponential(kind: type[np.floating], steps: int, high_bits: int, counts: Sequence[int]) -> dict[str, list[mp.mpf]]:
    """Constants of exp(x) = 2^k 2^(j/steps) e^r, |r| <= ln(2)/(2 steps): e^r = 1 + r + r^2 tail(r).

    2^(j/steps) is power (1 + power_rest), when j has been added to the bits of power where the exponent's last bit less
    log2(steps) stands: so the bits of k steps + j make it a power of two at once. What `tail` loses counts beside 1; what
    `relative_tail` loses counts beside e^r - 1. `whole_tail` is for |r| <= ln(2)/2.
    """
    step = mp.log(2) / steps
    powers = [mp.mpf(2) ** (mp.mpf(j) / steps) for j in range(steps)]
    high = [rounded(p, kind) for p in powers]
    rest = [rounded(p / h - 1, kind) for p, h in zip(powers, high, strict=True)]
    unit = (1 << np.finfo(kind).nmant) // steps
    power = [from_bits(bits_of(h, kind) - j * unit, kind) for j, h in enumerate(high)]
    step_high = rounded(step, kind, high_bits)
    half = step / 2

    def tail(r: mp.mpf) -> mp.mpf:  # (e^r - 1 - r) / r^2
        return mp.nsum(lambda n: r**n / mp.factorial(n + 2), [0, 30])

    return {
        "steps_per_unit": [rounded(1 / step, kind)],
        "step_high": [step_high],
        "step_low": [rounded(step - step_high, kind)],
        "power": power,
        "power_rest": rest,
        "tail": fit(tail, -half, half, range(counts[0]), lambda r: r**2, kind),
        "relative_tail": fit(tail, -half, half, range(counts[1]), abs, kind),
        "whole_tail": fit(tail, -half * steps, half * steps, range(counts[2]), lambda r: r**2, kind),
    }


def logarithm(kind: type[np.floating], count: int) -> dict[str, list[mp.mpf]]:
    """Constants of log(1 + e) = 2 atanh(s) = 2 s + s^3 tail(s^2), s = e / (2 + e), for e in [0, 1]."""

    def tail(u: mp.mpf) -> mp.mpf:
        return mp.nsum(lambda n: 2 * u**n / (2 * n + 3), [0, 80])

    return {"tail": fit(tail, mp.mpf(0), mp.mpf(1) / 9, range(count), lambda u: u, kind)}


def arctangent(kind: type[np.floating], count: int) -> dict[str, list[mp.mpf]]:
    """Constants of atan(r) = r + r^3 tail(r^2) for r in [0, 1]."""

    def tail(square: mp.mpf) -> mp.mpf:
        r = mp.sqrt(square)
        return (mp.atan(r) / r - 1) / square

    return {"tail": fit(tail, mp.mpf(0), mp.mpf(1), range(count), lambda square: square, kind)}


def shrunk_tanh(kind: type[np.floating], count: int) -> dict[str, list[mp.mpf]]:
    """Constants of x - tanh(x) = x^3 (1/3 + x^2 tail(x^2)) for x in [0, 1/2]."""

    def tail(square: mp.mpf) -> mp.mpf:
        x = mp.sqrt(square)
        return ((x - mp.tanh(x)) / x**3 - mp.mpf(1) / 3) / square

    return {"tail": fit(tail, mp.mpf(0), mp.mpf(1) / 4, range(count), lambda square: square, kind)}


def gamma_of_two(kind: type[np.floating], count: int) -> dict[str, list[mp.mpf]]:
    """Constants of 1 - (1 + a) e^-a = a^2 (1/2 - a tail(a)) for a in [0, 1/4]: the lower incomplete gamma function of 2."""

    def tail(a: mp.mpf) -> mp.mpf:
        return (mp.mpf(1) / 2 - (1 - (1 + a) * mp.exp(-a)) / a**2) / a

    return {"tail": fit(tail, mp.mpf(0), mp.mpf(1) / 4, range(count), lambda a: a, kind)}


def from_bits(bits: int, kind: type[np.floating] = np.float32) -> mp.mpf:
    return mp.mpf(float(np.array(bits, f"u{kind().itemsize}").view(kind)))


def bits_of(value: mp.mpf, kind: type[np.floating] = np.float32) -> int:
    return int(kind(value).view(f"u{kind().itemsize}"))


def rows(
    name: str,
    function: Callable[[mp.mpf], mp.mpf],
    shift: float,
    degree: int,
    place: float,
    less: int = 0,
    *,
    odd: bool = False,
    count: int = 8,
) -> list[list[mp.mpf]]:
    """Tabulate a smooth, positive function for float32: 8 polynomials, or 16, of a distance y from a center.

    A row has the center, the value there, and by powers of y what the slope (function(center + y) - value) / y is beyond
    `less`. a + shift tells the row: its octaves are cut in the middle, and its leading bits, modulo `count`, number it. A
    center is that float near a place in the row, 0 to 1, whose value lies nearest to a float32 (Gal's accurate tables),
    so that the table adds no rounding error of its own. The first row of an odd function has even powers about 0, and of
    these no constant where `less` stands for it.
    """
    first = bits_of(mp.mpf(shift)) >> 22
    table: list[list[mp.mpf]] = [[]] * count
    worst = mp.mpf(0)
    for i in range(count):
        low, high = (from_bits((first + k) << 22) - shift for k in (i, i + 1))
        about_0 = odd and i == 0
        near = bits_of(low + (high - low) * place)

        def misses(bits: int) -> mp.mpf:
            value = function(from_bits(bits))
            return abs(rounded(value, np.float32) - value) / value

        center = mp.mpf(0) if about_0 else from_bits(min(range(near - 1000, near + 1000), key=misses))
        value = rounded(function(center), np.float32)

        def slope(y: mp.mpf, center: mp.mpf = center, value: mp.mpf = value) -> mp.mpf:
            return (function(center + y) - value) / y - less

        def weight(y: mp.mpf, center: mp.mpf = center, width: mp.mpf = high - low) -> mp.mpf:
            return (abs(y) + width / 50) / function(center + y)

        powers = range(2 if less else 0, degree, 2) if about_0 else range(degree)
        found = dict(zip(powers, fit(slope, low - center, high - center, powers, weight, np.float32), strict=True))
        for k in range(101):
            y = low - center + (high - low) * (k + mp.mpf(1) / 3) / 102
            exact = function(center + y)
            worst = max(worst, abs(value + y * (less + sum(c * y**power for power, c in found.items())) - exact) / exact)
        table[(first + i) % count] = [center, value, *(found.get(power, mp.mpf(0)) for power in range(degree))]
    print(f"{name}: relative error 2^{float(mp.log(worst, 2)):.1f} up to {float(high):g}")
    return table


def half_erfcx(a: mp.mpf) -> mp.mpf:
    """Phi(-a) e^(a^2/2)."""
    return mp.exp(a**2 / 2) * mp.erfc(a / mp.sqrt(2)) / 2


def gelu_slope(a: mp.mpf) -> mp.mpf:
    """gelu'(-a) e^(a^2/2)."""
    return half_erfcx(a) - a / mp.sqrt(2 * mp.pi)


def gated_slope(a: mp.mpf, z: mp.mpf, slope: mp.mpf) -> mp.mpf:
    """Of x s(z(x)), for the logistic s and an odd z, the derivative at -a times e^z; z and its slope are those at a."""
    e = mp.exp(-z)
    return (1 + e - a * slope) / (1 + e) ** 2


def silu_slope(a: mp.mpf) -> mp.mpf:
    """silu'(-a) e^a."""
    return gated_slope(a, a, mp.mpf(1))


def gelu_tanh_slope(a: mp.mpf) -> mp.mpf:
    """gelu_tanh'(-a) e^z(a), with z = 2 sqrt(2 / pi) (a + 0.044715 a^3)."""
    factor, cubic = 2 * mp.sqrt(2 / mp.pi), mp.mpf("0.044715")
    return gated_slope(a, factor * (a + cubic * a**3), factor * (1 + 3 * cubic * a**2))


def lisht_slope(a: mp.mpf) -> mp.mpf:
    """tanh(a) + a / cosh(a)^2."""
    return mp.tanh(a) + a * mp.sech(a) ** 2


def by_inverse(function: Callable[[mp.mpf], mp.mpf], count: int) -> list[mp.mpf]:
    """A polynomial in q = 1 - 8 / (a + 4) for a function of a in [0, 40], in float64; its relative error counts."""

    def of_q(q: mp.mpf) -> mp.mpf:
        return function(8 / (1 - q) - 4)

    return fit(of_q, mp.mpf(-1), 1 - mp.mpf(8) / 44, range(count), lambda q: 1 / of_q(q), np.float64)


def without_root(function: Callable[[mp.mpf], mp.mpf], guess: float) -> tuple[mp.mpf, Callable[[mp.mpf], mp.mpf]]:
    """A function's root, and the function divided by (root - a)."""
    root = mp.findroot(function, guess)

    def quotient(a: mp.mpf) -> mp.mpf:
        return function(a) / (root - a) if abs(a - root) > mp.mpf(10) ** -15 else -mp.diff(function, root)

    return root, quotient


def array(name: str, values: Sequence[mp.mpf], kind: type[np.floating]) -> str:
    scalar = "float" if kind is np.float32 else "double"
    texts = [literal(v, kind) for v in values]
    if len(texts) == 1:
        return f"    static constexpr {scalar} {name} = {texts[0]};"
    lines = [", ".join(texts[i : i + 4]) for i in range(0, len(texts), 4)]
    body = ",\n        ".join(lines)
    return f"    alignas(64) static constexpr {scalar} {name}[{len(texts)}] = {{\n        {body}}};"


def tabulated(name: str, shift: float, table: list[list[mp.mpf]], constants: Sequence[str] = ()) -> list[str]:
    columns = [c for column in zip(*table, strict=True) for c in column]
    text = ["", f"struct {name}_table {{  // by columns", *constants, f"    static constexpr int rows = {len(table)};"]
    return [*text, f"    static constexpr float shift = {shift}f;", array("column", columns, np.float32), "};"]


def header() -> str:
    text = [
        "// Written by tools/tables.py. Do not edit.",
        "// clang-format off",
        "#pragma once",
        "",
        "namespace rectified::RECTIFIED_TARGET {",
        "",
        "template <class T>",
        "struct exponential_table;",
    ]
    for kind, steps, high_bits, counts in ((np.float32, 8, 12, (3, 3, 5)), (np.float64, 16, 37, (5, 6, 11))):
        scalar = "float" if kind is np.float32 else "double"
        text += ["", "template <>", f"struct exponential_table<{scalar}> {{", f"    static constexpr int steps = {steps};"]
        text += [array(name, values, kind) for name, values in exponential(kind, steps, high_bits, counts).items()]
        text += ["};"]
    text += ["", "template <class T>", "struct logarithm_table;"]
    for kind, count in ((np.float32, 4), (np.float64, 10)):
        scalar = "float" if kind is np.float32 else "double"
        text += ["", "template <>", f"struct logarithm_table<{scalar}> {{"]
        text += [array(name, values, kind) for name, values in logarithm(kind, count).items()]
        text += ["};"]
    text += ["", "template <class T>", "struct arctangent_table;"]
    for kind, count in ((np.float32, 9), (np.float64, 20)):
        scalar = "float" if kind is np.float32 else "double"
        text += ["", "template <>", f"struct arctangent_table<{scalar}> {{"]
        text += [array(name, values, kind) for name, values in arctangent(kind, count).items()]
        text += ["};"]
    for name, constants, counts in (("shrunk_tanh", shrunk_tanh, (5, 10)), ("gamma_of_two", gamma_of_two, (4, 9))):
        text += ["", "template <class T>", f"struct {name}_table;"]
        for kind, count in zip((np.float32, np.float64), counts, strict=True):
            scalar = "float" if kind is np.float32 else "double"
            text += ["", "template <>", f"struct {name}_table<{scalar}> {{"]
            text += [array(key, values, kind) for key, values in constants(kind, count).items()]
            text += ["};"]
    for name, shift, table in (  # where tanh is small, its distance from the center is rounded less coarsely
        ("tanh", 0.75, rows("tanh", mp.tanh, 0.75, 8, place=0.25, less=1, odd=True)),
        ("lisht_slope", 0.75, rows("lisht'", lisht_slope, 0.75, 9, place=0.25, odd=True)),
        ("gelu", 1.0, rows("gelu", half_erfcx, 1.0, 8, place=0.5)),
    ):
        text += tabulated(name, shift, table)
    # Where a row rises steeply, a center near its beginning leaves less to cancel there.
    for name, function, shift, degree, count, place in (
        ("gelu", gelu_slope, 1.0, 7, 8, 0.5),
        ("gelu_tanh", gelu_tanh_slope, 0.75, 8, 8, 0.35),
        ("silu", silu_slope, 0.5, 7, 16, 0.5),
    ):
        root, quotient = without_root(function, 1.25 if name == "silu" else 0.75)
        split = f"    static constexpr double root = {float(root).hex()}, root_rest = {float(root - float(root)).hex()};"
        table = rows(f"{name}'", quotient, shift, degree, place=place, count=count)
        text += tabulated(f"{name}_slope", shift, table, [split])
    text += ["", "struct gelu_polynomial {"]
    text += [array("ratio", by_inverse(lambda a: half_erfcx(a) * (a + 4), 25), np.float64)]
    text += [array("slope", by_inverse(without_root(gelu_slope, 0.75)[1], 24), np.float64), "};"]
    text += ["", "}  // namespace rectified::RECTIFIED_TARGET", ""]
    return "\n".join(text)


if __name__ == "__main__":
    HEADER.write_text(header())
    print(f"wrote {HEADER}")
