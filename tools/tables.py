"""Compute the constants of the kernels with mpmath and write native/tables.hpp.

Run it after changing a degree or an interval; the header it writes is committed, so that building needs no mpmath.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 60
BETA = mp.mpf("1.702")  # of quick_gelu
# Times this the eight powers of 2^(1/8) differ from float32 by almost the same.
RATIO_FACTOR = mp.mpf(float.fromhex("0x1.0e5cd865a581dp+0"))
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

    In float32 `ratio_power` and `ratio_tail` are less, for powers of which only ratios count: so they may all be wrong by
    the same factor. That lets r^4/24 be taken for its best multiple of r^2, but for a constant.
    """
    step = mp.log(2) / steps
    powers = [mp.mpf(2) ** (mp.mpf(j) / steps) for j in range(steps)]
    high = [rounded(p, kind) for p in powers]
    rest = [rounded(p / h - 1, kind) for p, h in zip(powers, high, strict=True)]
    unit = (1 << np.finfo(kind).nmant) // steps
    step_high = rounded(step, kind, high_bits)
    half = step / 2

    def tail(r: mp.mpf) -> mp.mpf:  # (e^r - 1 - r) / r^2
        return mp.nsum(lambda n: r**n / mp.factorial(n + 2), [0, 30])

    def steps_taken_away(high: list[mp.mpf]) -> list[mp.mpf]:
        return [from_bits(bits_of(h, kind) - j * unit, kind) for j, h in enumerate(high)]

    constants = {
        "steps_per_unit": [rounded(1 / step, kind)],
        "step_high": [step_high],
        "step_low": [rounded(step - step_high, kind)],
        "power": steps_taken_away(high),
        "power_rest": rest,
        "tail": fit(tail, -half, half, range(counts[0]), lambda r: r**2, kind),
        "relative_tail": fit(tail, -half, half, range(counts[1]), abs, kind),
    }
    if kind is np.float64:
        constants["whole_tail"] = fit(tail, -half * steps, half * steps, range(counts[2]), lambda r: r**2, kind)
    else:
        constants["ratio_power"] = steps_taken_away([rounded(RATIO_FACTOR * p, kind) for p in powers])
        constants["ratio_tail"] = [rounded(c, kind) for c in ((1 + half**2 / 12) / 2, (1 + half**2 / 20) / 6)]
        print_losses(constants, RATIO_FACTOR, powers, half)
    return constants


def print_losses(constants: dict[str, list[mp.mpf]], factor: mp.mpf, powers: list[mp.mpf], half: mp.mpf) -> None:
    """How far from a common factor the powers of steps are, and the polynomial in the rest of the argument."""
    unit = (1 << np.finfo(np.float32).nmant) // len(powers)
    given = [from_bits(bits_of(p) + j * unit) for j, p in enumerate(constants["ratio_power"])]
    r = [half * k / 200 for k in range(-200, 201)]
    rise = [(1 + x + x**2 * mp.polyval(constants["ratio_tail"][::-1], x)) / mp.exp(x) for x in r]
    for what, ratios in ("powers", [g / (factor * p) for g, p in zip(given, powers, strict=True)]), ("polynomial", rise):
        print(f"softmax's {what}: but for a common factor wrong by 2^{float(mp.log(max(ratios) - min(ratios), 2)):.1f}")


def logarithm(kind: type[np.floating], count: int) -> dict[str, list[mp.mpf]]:
    """Constants of log(1 + e) = 2 atanh(s) = 2 s + s^3 tail(s^2), s = e / (2 + e), for e in [0, 1]."""

    def tail(u: mp.mpf) -> mp.mpf:
        return mp.nsum(lambda n: 2 * u**n / (2 * n + 3), [0, 80])

    return {"tail": fit(tail, mp.mpf(0), mp.mpf(1) / 9, range(count), lambda u: u, kind)}


def octave() -> dict[str, list[mp.mpf]]:
    """Constants of log(m) = log(1 + u) - log(inverse), u = m inverse - 1, for float32 between the roots of 1/2 and of 2.

    A row takes a sixteenth of the octave's bits, and log(1 + u) is u + u^2 tail(u). The inverse has so few bits that u is
    exact where log(m) is small, and the row with 1 in it has 1. The high part of a logarithm has so few that the sum with
    the high parts of up to 2^7 log(2) is exact.
    """
    start = bits_of(mp.sqrt(mp.mpf(1) / 2))
    ends = list(pairwise(from_bits(start + (i << 19)) for i in range(17)))
    inverses = []
    for low, high in ends:
        few = [mp.mpf(i) / 32 for i in range(22, 47)]
        inverses.append(min(few, key=lambda inverse: max(abs(low * inverse - 1), abs(high * inverse - 1))))
        if low < 1 < high:
            inverses[-1] = mp.mpf(1)
    logs = [-mp.log(inverse) for inverse in inverses]
    high_parts = [mp.nint(log * 2**16) / 2**16 for log in [*logs, mp.log(2)]]
    low_parts = [log - part for log, part in zip([*logs, mp.log(2)], high_parts, strict=True)]
    reach = max(abs(m * inverse - 1) for inverse, both in zip(inverses, ends, strict=True) for m in both)

    def tail(u: mp.mpf) -> mp.mpf:
        return mp.nsum(lambda n: (-1) ** (n + 1) * u**n / (n + 2), [0, 40])

    return {
        "start": [ends[0][0]],
        "inverse": inverses,
        "high": high_parts[:-1],
        "low": low_parts[:-1],
        "of_2_high": high_parts[-1:],
        "of_2_low": low_parts[-1:],
        "tail": fit(tail, -reach, reach, range(6), abs, np.float32),
    }


def arctangent(kind: type[np.floating], count: int) -> dict[str, list[mp.mpf]]:
    """Constants of atan(r) = r + r^3 tail(r^2) for r in [0, 1]."""

    def tail(square: mp.mpf) -> mp.mpf:
        r = mp.sqrt(square)
        return (mp.atan(r) / r - 1) / square

    return {"tail": fit(tail, mp.mpf(0), mp.mpf(1), range(count), lambda square: square, kind)}


def cubic_tanhshrink(x: mp.mpf) -> mp.mpf:
    """(x - tanh(x)) / x^3."""
    return (x - mp.tanh(x)) / x**3 if x else mp.mpf(1) / 3


def shrunk_tanh(count: int) -> dict[str, list[mp.mpf]]:
    """Constants of x - tanh(x) = x^3 (1/3 + x^2 tail(x^2)) for x in [0, 1/2], in float64."""

    def tail(square: mp.mpf) -> mp.mpf:
        return (cubic_tanhshrink(mp.sqrt(square)) - mp.mpf(1) / 3) / square

    return {"tail": fit(tail, mp.mpf(0), mp.mpf(1) / 4, range(count), lambda square: square, np.float64)}


def gamma_of_two(kind: type[np.floating], count: int) -> dict[str, list[mp.mpf]]:
    """Constants of 1 - (1 + a) e^-a = a^2 (1/2 - a tail(a)) for a in [0, 1/4]: the lower incomplete gamma function of 2."""

    def tail(a: mp.mpf) -> mp.mpf:
        return (mp.mpf(1) / 2 - (1 - (1 + a) * mp.exp(-a)) / a**2) / a

    return {"tail": fit(tail, mp.mpf(0), mp.mpf(1) / 4, range(count), lambda a: a, kind)}


def from_bits(bits: int, kind: type[np.floating] = np.float32) -> mp.mpf:
    return mp.mpf(float(np.array(bits, f"u{kind().itemsize}").view(kind)))


def bits_of(value: mp.mpf, kind: type[np.floating] = np.float32) -> int:
    return int(kind(value).view(f"u{kind().itemsize}"))


def polynomials(
    name: str,
    function: Callable[[mp.mpf], mp.mpf],
    sections: Sequence[tuple[int, mp.mpf, mp.mpf, mp.mpf]],
    degree: int,
    less: int = 0,
    *,
    odd: bool = False,
    steep: bool = False,
) -> list[list[mp.mpf]]:
    """Tabulate a smooth function for float32: polynomials of a distance y from a center, one for each section.

    A section is its row in the table, its ends, and where about its center is. A row has the center, the value there, and
    by powers of y what the slope (function(center + y) - value) / y is beyond `less`. A center is a root, or 0, or else
    that float nearby whose value lies nearest to a float32 (Gal's accurate tables), so that the table adds no rounding
    error of its own. About 0 an odd function has even powers, and of these no constant where `less` stands for it. With
    `steep` rows have one more number, after the value: at a root, where the slope is all there is, the power of two next to
    it, with which a product is exact.
    """
    table: list[list[mp.mpf]] = [[]] * len(sections)
    worst = mp.mpf(0)
    for row, low, high, near in sections:

        def misses(bits: int) -> mp.mpf:
            value = function(from_bits(bits))
            return abs(rounded(value, np.float32) - value) / abs(value)

        center, is_root = rounded(near, np.float32), abs(function(near)) < mp.mpf(10) ** -30
        if not is_root and near != 0:
            center = from_bits(min(range(bits_of(near) - 1000, bits_of(near) + 1000), key=misses))
        value, constant = rounded(function(center), np.float32), mp.mpf(less)
        powers = list(range(2 if less else 0, degree, 2) if odd and near == 0 else range(degree))
        if steep and is_root:
            steepness = mp.diff(function, center)
            constant = mp.sign(steepness) * mp.mpf(2) ** mp.nint(mp.log(abs(steepness), 2))
        apart = constant - less

        def slope(y: mp.mpf, center: mp.mpf = center, value: mp.mpf = value, less: mp.mpf = constant) -> mp.mpf:
            return (function(center + y) - value) / y - less

        def weight(y: mp.mpf, center: mp.mpf = center, width: mp.mpf = high - low) -> mp.mpf:
            return (abs(y) + width / 50) / abs(function(center + y))

        found = dict(zip(powers, fit(slope, low - center, high - center, powers, weight, np.float32), strict=True))
        for k in range(101):
            y = low - center + (high - low) * (k + mp.mpf(1) / 3) / 102
            rise = constant + sum(c * y**power for power, c in found.items())
            worst = max(worst, abs((value + y * rise) / function(center + y) - 1))
        columns = [center, value, *([apart] if steep else []), *(found.get(power, mp.mpf(0)) for power in range(degree))]
        table[row] = columns
    print(f"{name}: relative error 2^{float(mp.log(worst, 2)):.1f} up to {float(high):g}")
    return table


def growing_sections(count: int, shift: float) -> list[tuple[int, mp.mpf, mp.mpf]]:
    """Sections of the numbers from 0 on, which grow, with the row of each.

    Those of a + shift are octaves cut in the middle; its leading bits, modulo `count`, number the row.
    """
    first = bits_of(mp.mpf(shift)) >> 22
    ends = [from_bits((first + k) << 22) - shift for k in range(count + 1)]
    return [((first + i) % count, ends[i], ends[i + 1]) for i in range(count)]


def even_sections(count: int, width: float, first: int) -> list[tuple[int, mp.mpf, mp.mpf]]:
    """Sections of equal width, about the multiples of it from `first` on, or from 0."""
    ends = [(i - mp.mpf(1) / 2) * width for i in range(first, first + count + 1)]
    if first == 0:
        ends[0] = mp.mpf(0)
    return [((first + i) % count, ends[i], ends[i + 1]) for i in range(count)]


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
    """Polynomials about a place in each section, 0 to 1; in the first one of an odd function about 0."""
    sections = [
        (row, low, high, mp.mpf(0) if odd and low == 0 else low + (high - low) * place)
        for row, low, high in growing_sections(count, shift)
    ]
    return polynomials(name, function, sections, degree, less, odd=odd)


def with_center(
    function: Callable[[mp.mpf], mp.mpf], row: int, low: mp.mpf, high: mp.mpf, root: mp.mpf | None
) -> tuple[int, mp.mpf, mp.mpf, mp.mpf]:
    """A section with its center: a root, or 0 where the value is a float32 there.

    Elsewhere the center's value is the harmonic mean of those at the ends: then what rounding the slope costs is the least.
    """
    if low <= 0 < high and rounded(function(mp.mpf(0)), np.float32) == function(mp.mpf(0)):
        return row, low, high, mp.mpf(0)
    if root is not None and low < root < high:
        return row, low, high, root
    mean = 2 / (1 / function(low) + 1 / function(high)) if low else function(high / 2)
    return row, low, high, mp.findroot(lambda x: function(x) - mean, (low, high), solver="anderson")


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


def tanh_argument(a: mp.mpf) -> mp.mpf:
    """z(a) = 2 sqrt(2 / pi) (a + 0.044715 a^3), which gelu_tanh takes the logistic function of."""
    return 2 * mp.sqrt(2 / mp.pi) * (a + mp.mpf("0.044715") * a**3)


def gelu_tanh_slope(a: mp.mpf) -> mp.mpf:
    """gelu_tanh'(-a) e^z(a)."""
    return gated_slope(a, tanh_argument(a), mp.diff(tanh_argument, a))


def gelu_tanh_slope_near(a: mp.mpf) -> mp.mpf:
    """gelu_tanh'(-a)."""
    return gelu_tanh_slope(a) * mp.exp(-tanh_argument(a))


def lisht_slope(a: mp.mpf) -> mp.mpf:
    """tanh(a) + a / cosh(a)^2."""
    return mp.tanh(a) + a * mp.sech(a) ** 2


def normal_tail(a: mp.mpf) -> mp.mpf:
    """Phi(-a)."""
    return mp.erfc(a / mp.sqrt(2)) / 2


def softplus(a: mp.mpf) -> mp.mpf:
    """log(1 + e^-a)."""
    return mp.log(1 + mp.exp(-a))


def mish_gate(x: mp.mpf) -> mp.mpf:
    return mp.tanh(softplus(-x))


def mish_slope(x: mp.mpf) -> mp.mpf:
    return mish_gate(x) + x * mp.sech(softplus(-x)) ** 2 / (1 + mp.exp(-x))


def dish_slope(a: mp.mpf) -> mp.mpf:
    """dish'(-a)."""
    return (1 - a * (2 + a**2) / mp.sqrt(1 + a**2) ** 3) / 2


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


def tabulated(
    name: str, shift: float, table: list[list[mp.mpf]], constants: Sequence[str] = (), per_unit: mp.mpf | None = None
) -> list[str]:
    columns = [c for column in zip(*table, strict=True) for c in column]
    text = ["", f"struct {name}_table {{  // by columns", *constants, f"    static constexpr int rows = {len(table)};"]
    if per_unit is None:
        text += [f"    static constexpr float shift = {shift}f;"]
    else:
        text += [array("per_unit", [rounded(per_unit, np.float32)], np.float32)]
    return [*text, array("column", columns, np.float32), "};"]


def in_the_middle(
    name: str,
    function: Callable[[mp.mpf], mp.mpf],
    degree: int,
    *,
    width: float = 0,
    first: int = 0,
    shift: float = 0,
    root: float | None = None,
) -> list[str]:
    """A function where inputs mostly lie, in even sections of a width, or in growing ones.

    One that has a root there, or goes through 0 at another slope than 1/2, is steep.
    """
    steep = root is not None or first < 0
    found = None if root is None else mp.findroot(function, root)
    sections = even_sections(16, width, first) if width else growing_sections(16, shift)
    end = mp.floor(sections[-1][2] * 256) / 256
    table = polynomials(name, function, [with_center(function, *s, found) for s in sections], degree, steep=steep)
    constants = [array("end", [end], np.float32), f"    static constexpr bool steep = {str(steep).lower()};"]
    return tabulated(f"{name}_near", shift, table, constants, 1 / mp.mpf(width) if width else None)


def middles() -> Iterator[list[str]]:
    """All of them: what a function is left of 0, at -a, or its derivative there; of mish everything."""
    yield in_the_middle("gelu_left", lambda a: a * normal_tail(a), 9, width=0.36)
    yield in_the_middle("gelu_slope", lambda a: gelu_slope(a) * mp.exp(-(a**2) / 2), 7, width=0.26, root=0.75)
    yield in_the_middle("gelu_tanh_left", lambda a: a / (1 + mp.exp(tanh_argument(a))), 9, width=0.34)
    yield in_the_middle("gelu_tanh_slope", gelu_tanh_slope_near, 9, width=0.27, root=0.75)
    yield in_the_middle("silu_slope", lambda a: silu_slope(a) * mp.exp(-a), 7, width=0.55, root=1.25)
    yield in_the_middle("quick_gelu_slope", lambda a: silu_slope(BETA * a) * mp.exp(-BETA * a), 7, width=0.32, root=0.75)
    yield in_the_middle("softplus_left", softplus, 6, width=0.6)
    yield in_the_middle("cubic_tanhshrink", cubic_tanhshrink, 7, width=0.58)
    yield in_the_middle("mish_value", lambda x: x * mish_gate(x), 8, width=0.7, first=-8)
    yield in_the_middle("mish_slope", mish_slope, 8, width=0.6, first=-8, root=-1.2)
    yield in_the_middle("dish_left", lambda a: a * (1 - a / mp.sqrt(1 + a**2)) / 2, 8, shift=0.5)
    yield in_the_middle("dish_slope", dish_slope, 9, shift=0.5, root=0.8)
    yield in_the_middle("inverse_multiquadric_slope", lambda r: r / mp.sqrt(1 + r**2) ** 3, 9, shift=0.5)


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
    for kind, steps, high_bits, counts in ((np.float32, 8, 12, (3, 3)), (np.float64, 16, 37, (5, 6, 11))):
        scalar = "float" if kind is np.float32 else "double"
        text += ["", "template <>", f"struct exponential_table<{scalar}> {{", f"    static constexpr int steps = {steps};"]
        text += [array(name, values, kind) for name, values in exponential(kind, steps, high_bits, counts).items()]
        if kind is np.float32:
            text += [f"    static constexpr double ratio_factor = {float(RATIO_FACTOR).hex()};"]
        text += ["};"]
    text += ["", "template <class T>", "struct logarithm_table;"]
    for kind, count in ((np.float32, 4), (np.float64, 10)):
        scalar = "float" if kind is np.float32 else "double"
        text += ["", "template <>", f"struct logarithm_table<{scalar}> {{"]
        text += [array(name, values, kind) for name, values in logarithm(kind, count).items()]
        text += ["};"]
    text += ["", "struct octave_table {"]
    text += [array(name, [rounded(v, np.float32) for v in values], np.float32) for name, values in octave().items()]
    text += ["};"]
    text += ["", "template <class T>", "struct arctangent_table;"]
    for kind, count in ((np.float32, 9), (np.float64, 20)):
        scalar = "float" if kind is np.float32 else "double"
        text += ["", "template <>", f"struct arctangent_table<{scalar}> {{"]
        text += [array(name, values, kind) for name, values in arctangent(kind, count).items()]
        text += ["};"]
    text += ["", "template <class T>", "struct gamma_of_two_table;"]
    for kind, count in ((np.float32, 4), (np.float64, 9)):
        scalar = "float" if kind is np.float32 else "double"
        text += ["", "template <>", f"struct gamma_of_two_table<{scalar}> {{"]
        text += [array(name, values, kind) for name, values in gamma_of_two(kind, count).items()]
        text += ["};"]
    text += ["", "struct shrunk_tanh_table {"]
    text += [array(name, values, np.float64) for name, values in shrunk_tanh(10).items()]
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
    for near in middles():
        text += near
    text += ["", "struct gelu_polynomial {"]
    text += [array("ratio", by_inverse(lambda a: half_erfcx(a) * (a + 4), 25), np.float64)]
    text += [array("slope", by_inverse(without_root(gelu_slope, 0.75)[1], 24), np.float64), "};"]
    text += ["", "}  // namespace rectified::RECTIFIED_TARGET", ""]
    return "\n".join(text)


if __name__ == "__main__":
    HEADER.write_text(header())
    print(f"wrote {HEADER}")
