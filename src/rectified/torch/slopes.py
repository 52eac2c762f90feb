"""Where a function is how steep: which inputs have to be kept to know the slopes of all.

Between a few points ``|f'|`` only rises or only falls. So of any number of inputs, the steepest and the flattest are among
the largest and the smallest on each side of these points, and the catalogue's derivative is needed for them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from rectified.activation import Ridge

_FADED = 1e-30  # a slope below this is in a tail, which only underflows
_NOISE = 1e-12  # of the largest slope: rounding


@dataclass(frozen=True)
class Slopes:
    """What of a function decides which inputs to keep.

    Attributes
    ----------
    turns : tuple of float
        Where ``|f'|`` turns from rising to falling, or back.
    firing : tuple of pairs of float
        The open intervals on which ``f'`` is not 0. A tail that only fades belongs to them.
    constant : float
        The slope on all of them where it is one, and 0 elsewhere; 0 for other functions.
    nonnegative : bool
        Whether no value is below 0.
    idempotent : bool
        Whether an output tells all that its input does: ``f(f(x)) = f(x)`` and ``f'(f(x)) = f'(x)``.
    """

    turns: tuple[float, ...]
    firing: tuple[tuple[float, float], ...]
    constant: float
    nonnegative: bool
    idempotent: bool

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
        y, slope = activation(x), np.abs(activation.derivative(x))
        flat = _flat(slope)
        steep = slope[slope > 0]
        return cls(
            turns=tuple(_turns(activation, x, slope)),
            firing=tuple(_firing(activation, x, flat)),
            constant=float(steep[0]) if flat.any() and steep.size and np.ptp(steep) <= _NOISE * steep[0] else 0.0,
            nonnegative=activation.range[0] >= 0,
            idempotent=bool(np.all(activation(y) == y) and np.all(np.abs(activation.derivative(y)) == slope)),
        )


def _grid(activation: Ridge) -> NDArray[np.float64]:
    magnitudes = np.concatenate([np.logspace(-6, 4, 2001), np.linspace(0, 40, 8001)])
    beside = [np.nextafter(kink, side) for kink in activation.kinks for side in (-inf, inf)]
    return np.unique(np.concatenate([-magnitudes, magnitudes, activation.kinks, beside]))


def _flat(slope: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the derivative is 0, and neither crosses it nor fades until no number is small enough."""
    flat: NDArray[np.bool_] = slope == 0
    for start, stop in _runs(flat):
        beside = [slope[place] for place in (start - 1, stop) if 0 <= place < slope.size]
        if stop - start == 1 or (beside and max(beside) < _FADED):
            flat[start:stop] = False
    return flat


def _firing(activation: Ridge, x: NDArray[np.float64], flat: NDArray[np.bool_]) -> list[tuple[float, float]]:
    def edge(outside: float, inside: float) -> float:
        """The last number where the derivative is 0."""
        while (middle := (outside + inside) / 2) not in (outside, inside):
            outside, inside = (middle, inside) if activation.derivative(middle) == 0 else (outside, middle)
        return float(outside) + 0.0

    return [
        (
            -inf if start == 0 else edge(x[start - 1], x[start]),
            inf if stop == x.size else edge(x[stop], x[stop - 1]),
        )
        for start, stop in _runs(~flat)
    ]


def _turns(activation: Ridge, x: NDArray[np.float64], slope: NDArray[np.float64]) -> list[float]:
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
