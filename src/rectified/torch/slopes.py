"""Where a function is how steep: which inputs have to be kept to know the slopes of all.

Between a few points ``|f'|`` only rises or only falls. So of any number of inputs, the steepest and the flattest are among
the largest and the smallest on each side of these points, and the catalogue's derivative is needed for them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from rectified.activation import Ridge
from rectified.health.evidence import steepness

Intervals = tuple[tuple[float, float], ...]

_NOISE = 1e-12  # of the largest slope: rounding


@dataclass(frozen=True)
class Slopes:
    """What of a function decides which inputs to keep.

    Attributes
    ----------
    turns : tuple of float
        Where ``|f'|`` turns from rising to falling, or back.
    firing, firing_in_double : tuple of pairs of float
        The open intervals on which ``f'`` is not 0 in float32, and in float64, where tails fade later.
    constant : float
        The slope on all of them where it is one, and 0 elsewhere; 0 for other functions.
    nonnegative : bool
        Whether no value is below 0.
    idempotent : bool
        Whether an output tells all that its input does: ``f(f(x)) = f(x)`` and ``f'(f(x)) = f'(x)``.
    """

    turns: tuple[float, ...]
    firing: Intervals
    firing_in_double: Intervals
    constant: float
    nonnegative: bool
    idempotent: bool

    @cached_property
    def in_single(self) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
        """In float32 the turns, where inputs are kept, and the intervals that fire."""
        turns = None if self.constant else np.array([split(turn, np.float32)[0] for turn in self.turns], np.float32)
        return turns, np.array(self.firing, np.float32).reshape(-1, 2)

    @classmethod
    def of(cls, activation: Ridge) -> Slopes:
        """Find them from the values and the derivative.

        Examples
        --------
        >>> import rectified as rf
        >>> Slopes.of(rf.hardtanh).firing
        ((-1.0, 1.0),)
        >>> len(Slopes.of(rf.hardswish).turns)
        3
        """
        x = _grid(activation)
        y, slope = activation(x), steepness(activation, x)
        steep = slope[slope > 0]
        is_constant = 0 < steep.size < slope.size and np.ptp(steep) <= _NOISE * steep[0]
        return cls(
            turns=tuple(_turns(activation, x, slope)),
            firing=_firing(activation, np.float32),
            firing_in_double=_firing(activation, np.float64),
            constant=float(steep[0]) if is_constant else 0.0,
            nonnegative=activation.range[0] >= 0,
            idempotent=bool(np.all(activation(y) == y) and np.all(steepness(activation, y) == slope)),
        )


def split(number: float, kind: type[np.floating]) -> tuple[float, float]:
    """The largest number of a type that is not above a number, and the one that is next below its opposite.

    Examples
    --------
    >>> split(0.5, np.float64)
    (0.5, -0.5000000000000001)
    """
    near = kind(number)
    largest = near if float(near) <= number else np.nextafter(near, kind(-inf))
    return float(largest), float(np.nextafter(-largest, kind(-inf)))


def _grid(activation: Ridge) -> NDArray[np.float64]:
    magnitudes = np.concatenate([np.logspace(-6, 4, 2001), np.linspace(0, 40, 8001)])
    beside = [np.nextafter(kink, side) for kink in activation.kinks for side in (-inf, inf)]
    return np.unique(np.concatenate([-magnitudes, magnitudes, activation.kinks, beside]))


def _firing(activation: Ridge, dtype: type[np.floating]) -> Intervals:
    limits = np.finfo(dtype)
    magnitudes = np.ldexp(1.0, np.arange(limits.minexp - limits.nmant, limits.maxexp))
    x = np.unique(np.concatenate([_grid(activation), -magnitudes, magnitudes]).astype(dtype))

    def edge(outside: np.floating, inside: np.floating) -> float:
        """The last number where the derivative is 0."""
        while (middle := outside / 2 + inside / 2) not in (outside, inside):
            outside, inside = (middle, inside) if steepness(activation, middle) == 0 else (outside, middle)
        return float(outside) + 0.0

    return tuple(
        (
            -inf if start == 0 else edge(x[start - 1], x[start]),
            inf if stop == x.size else edge(x[stop], x[stop - 1]),
        )
        for start, stop in _runs(steepness(activation, x) > 0)
    )


def _turns(activation: Ridge, x: NDArray[np.float64], slope: NDArray[np.floating]) -> list[float]:
    change = np.diff(slope)
    moving = np.flatnonzero(np.abs(change) > _NOISE * slope[np.abs(x) <= 100].max())
    found = []
    for before, after in pairwise(moving):
        if np.sign(change[before]) != np.sign(change[after]):
            found.append(_turn(activation, x[before], x[after + 1], np.sign(change[before])))
    return found


def _turn(activation: Ridge, low: float, high: float, sign: float) -> float:
    """The place between two numbers at which the slope is largest, or smallest for a sign of -1."""
    while True:
        x = np.unique(np.linspace(low, high, 33))
        best = int(np.argmax(sign * np.abs(activation.derivative(x))))
        if x.size < 33 or high - low <= _NOISE:
            return float(x[best])
        low, high = x[max(best - 1, 0)], x[min(best + 1, x.size - 1)]


def _runs(marks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The first place of each run of marks, and the place after its last."""
    edges = np.flatnonzero(np.diff(np.pad(marks, 1).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
