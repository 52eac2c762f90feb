"""Counting in tensors: a fixed number of operations a batch, on any device, in eager and in compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rectified.activation import Ridge
from rectified.health.evidence import Evidence
from rectified.torch.slopes import Slopes


class Tally(NamedTuple):
    """The counters of one layer, with a column for each unit.

    Attributes
    ----------
    sums : Tensor
        Rows: how many values fired, the sum of the outputs, that of their magnitudes, how many values were passed over
        because of NaN, how many there were.
    low, high : Tensor
        The smallest input above, and the largest up to, each turn of the slope; last, the smallest and the largest of all.
    """

    sums: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def new(cls, units: int, slopes: Slopes, like: Tensor) -> Tally:
        """Nothing seen so far, on the device of a tensor."""
        exact = torch.float32 if like.device.type == "mps" else torch.float64
        kept = 0 if slopes.constant else 1 + len(slopes.turns)
        with torch.inference_mode(False):  # or they could not change outside of it
            limits = torch.full((kept, units), inf, dtype=_working(like.dtype), device=like.device)
            return cls(torch.zeros((5, units), dtype=exact, device=like.device), limits, -limits)

    def see(self, x: Tensor, y: Tensor, axis: int, slopes: Slopes) -> None:
        """Count batches of one shape.

        A batch in which a unit got NaN, or outputs of both infinities, is passed over for this unit.

        Parameters
        ----------
        x, y : Tensor
            Inputs and outputs; the first axis counts the batches.
        axis : int
            The axis of the units.
        slopes : Slopes
            The function's.
        """
        x, y = _by_unit(x, axis), _by_unit(y, axis)
        values = x.shape[1] * x.shape[3]
        total = _sum(y)
        skipped = total.isnan()
        fired = _fired(x, slopes.firing) if slopes.firing != ((-inf, inf),) else torch.zeros_like(total)
        absolute = total if slopes.nonnegative else _sum(y.abs())
        nans = values * skipped.to(total.dtype)
        counted = torch.stack((fired, total, absolute)).masked_fill_(skipped, 0)
        every = torch.full_like(total, values)
        self.sums.add_(torch.cat((counted, torch.stack((nans, every)))).sum(1))
        if slopes.constant:
            return
        low, high = [], []
        for turn in slopes.turns:
            above = x > (_downwards(turn) if x.dtype == torch.float32 else turn)
            low.append(torch.where(above, x, inf).amin((1, 3)))
            high.append(torch.where(above, -inf, x).amax((1, 3)))
        low.append(x.amin((1, 3)))
        high.append(x.amax((1, 3)))
        torch.minimum(self.low, torch.stack(low).masked_fill_(skipped, inf).amin(1), out=self.low)
        torch.maximum(self.high, torch.stack(high).masked_fill_(skipped, -inf).amax(1), out=self.high)

    def evidence(
        self, activation: Ridge, slopes: Slopes, steps: tuple[int, int], gradients: Sequence[Tensor] = ()
    ) -> Evidence:
        """What was counted; the counters begin again. Here, and only here, the device is waited for."""
        fired, output, magnitude, nans, samples = self.sums.cpu().double().numpy()
        low, high = self.low.cpu().numpy(), self.high.cpu().numpy()
        squares = torch.stack(list(gradients)).cpu().double().numpy() if gradients else np.zeros(0)
        squares = squares[np.isfinite(squares)]
        seen = samples - nans
        if slopes.constant:
            steepest = np.where(fired > 0, slopes.constant, 0.0)
            flattest = np.where(fired == seen, slopes.constant, 0.0)
            steepest, flattest = (np.where(seen > 0, slope, np.nan) for slope in (steepest, flattest))
        else:
            steepest, flattest = _extremes(activation, np.concatenate([low, high]))
            if slopes.firing == ((-inf, inf),):
                fired = np.where(steepest > 0, seen, 0)
        found = Evidence(
            samples=int(samples.max(initial=0)),
            steps=steps,
            max_slope=steepest,
            min_slope=flattest,
            fired=fired.astype(np.int64),
            nans=nans.astype(np.int64),
            sum_output=output.copy(),
            sum_abs_output=magnitude.copy(),
            gradient_squares=float(squares.sum()),
            gradients=squares.size,
        )
        self.sums.zero_()
        self.low.fill_(inf)
        self.high.fill_(-inf)
        return found


def _by_unit(values: Tensor, axis: int) -> Tensor:
    """As batches, values before the units, units, values after them; half precision is widened."""
    if not values.is_contiguous():
        values, axis = values.movedim(axis, -1), values.ndim - 1
    values = values.flatten(1, axis - 1) if axis > 1 else values.unsqueeze(1)
    values = values.flatten(3) if values.ndim > 3 else values.unsqueeze(3)
    return values.to(_working(values.dtype))


def _working(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _sum(values: Tensor) -> Tensor:
    """For each batch and unit. One axis after the other is faster than both together."""
    return (values.squeeze(3) if values.shape[3] == 1 else values.sum(3)).sum(1)


def _fired(x: Tensor, firing: Sequence[tuple[float, float]]) -> Tensor:
    """How many values lie in one of the open intervals. Marks that are floats are made and summed faster than bools."""
    counts = []
    for low, high in firing:
        marks = torch.empty_like(x)
        if low == -inf:
            torch.lt(x, high, out=marks)
        else:
            torch.gt(x, low, out=marks)
            if high != inf:
                marks.mul_(x < high)
        counts.append(_sum(marks))
    return counts[0] if len(counts) == 1 else torch.stack(counts).sum(0)


def _downwards(number: float) -> float:
    """The largest float32 that is not above a number."""
    near = np.float32(number)
    return float(near if float(near) <= number else np.nextafter(near, np.float32(-inf)))


def _extremes(activation: Ridge, x: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest and the smallest slope in each column; infinite inputs stand for none."""
    slope = np.abs(np.asarray(activation.derivative(x), np.float64))
    slope[np.isinf(x)] = np.nan
    return np.fmax.reduce(slope, axis=0), np.fmin.reduce(slope, axis=0)
