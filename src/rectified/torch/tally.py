"""Counting in tensors: a fixed number of operations a batch, on any device, in eager and in compiled code.

A batch in which a unit got NaN, or outputs of both infinities, is passed over for this unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import inf, prod
from operator import add
from threading import local
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import threshold

from rectified.activation import Ridge
from rectified.health.evidence import Evidence, steepness
from rectified.torch.calls import Axes
from rectified.torch.in_memory import is_measured, is_read_fast, kinds
from rectified.torch.slopes import Slopes, split

_ALL = ((-inf, inf),)
_MOST_MEASURES = 64  # that wait
_MOST_ROOMS = 64  # and views of them
_rooms = local()


class Measure(NamedTuple):
    """What was measured of some batches of one shape: tensors with a row for each batch and a column for each unit.

    Attributes
    ----------
    values, examples : int
        How many values of each unit a batch has, and how many rows they are in.
    total : Tensor
        The sum of the outputs.
    magnitude : Tensor
        The sum of their magnitudes.
    fired : Tensor or None
        How many values fired; None where all do.
    low, high : sequence of Tensor
        The smallest input above, and the largest up to, each turn of the slope; last, the smallest and the largest of all.
    """

    values: int
    examples: int
    total: Tensor
    magnitude: Tensor
    fired: Tensor | None
    low: Sequence[Tensor]
    high: Sequence[Tensor]

    @classmethod
    def of(cls, x: Tensor, y: Tensor, axes: Axes, slopes: Slopes) -> Measure:
        """Measure batches, which the first axis counts.

        Parameters
        ----------
        x, y : Tensor
            Inputs and outputs.
        axes : tuple of int
            Those of the units, which get a column each.
        slopes : Slopes
            The function's.
        """
        (x, axis), (y, axis) = _on_one_axis(_wide(x), axes), _on_one_axis(_wide(y), axes)
        others = [other for other in range(1, x.ndim) if other != axis]
        values, examples = prod(x.shape[other] for other in others), x.shape[others[0]] if others else 1
        if (found := _at_once(x, y, axis - 1, slopes)) is not None:
            half = (len(found) + 3) // 2
            return cls(values, examples, found[0], found[1], found[2], found[3:half], found[half:])
        order = _order_in_memory(y) if x.stride() == y.stride() else None
        if order is not None:
            x, y, axis = x.permute(order), y.permute(order), order.index(axis)
            others = [other for other in range(1, x.ndim) if other != axis]
        firing = slopes.firing_in_double if x.dtype == torch.float64 else slopes.firing
        total = _sum(y, axis)
        magnitude = total if slopes.nonnegative else _sum(y.abs(), axis)
        fired: Tensor | None
        if slopes.idempotent and slopes.nonnegative and firing == ((0.0, inf),):  # a rectifier, whose input is its output
            fired = _sum(torch.sign(y, out=_scratch(y)), axis)
        else:
            fired = None if firing == _ALL else _fired(x, axis, firing)
        low: list[Tensor] = []
        high: list[Tensor] = []
        if not slopes.constant:
            opposite = x.neg() if slopes.turns else x
            for turn in slopes.turns:  # threshold(x, t, inf) is x above t, and much faster than where
                up_to, below = split(turn, np.float64 if x.dtype == torch.float64 else np.float32)
                low.append(_extreme(threshold(x, up_to, inf), others, torch.amin))
                high.append(_extreme(threshold(opposite, below, inf), others, torch.amin).neg())
            low.append(_extreme(x, others, torch.amin))
            high.append(_extreme(x, others, torch.amax))
        return cls(values, examples, total, magnitude, fired, low, high)

    @classmethod
    def joined(cls, parts: Sequence[Measure]) -> Measure:
        """The rows of several measures of equally large batches."""
        first, *others = parts
        if not others:
            return first
        total = torch.cat([part.total for part in parts])
        magnitude = total if first.magnitude is first.total else torch.cat([part.magnitude for part in parts])
        fired = None if first.fired is None else torch.cat([part.fired for part in parts if part.fired is not None])
        low = [torch.cat(rows) for rows in zip(*(part.low for part in parts), strict=True)]
        high = [torch.cat(rows) for rows in zip(*(part.high for part in parts), strict=True)]
        return cls(first.values, first.examples, total, magnitude, fired, low, high)

    def side_by_side(self, layers: int) -> Measure:
        """Rows of several layers in turn, as if their units were those of one."""
        if layers == 1:
            return self

        def wide(rows: Tensor) -> Tensor:
            return rows.reshape(len(rows) // layers, -1)

        total = wide(self.total)
        return Measure(
            self.values,
            self.examples,
            total,
            total if self.magnitude is self.total else wide(self.magnitude),
            None if self.fired is None else wide(self.fired),
            list(map(wide, self.low)),
            list(map(wide, self.high)),
        )

    def counted(self) -> Counted:
        """The same as arrays. Here the device is waited for."""
        total = _array(self.total)
        fired = np.full_like(total, self.values) if self.fired is None else _array(self.fired)
        magnitude = total if self.magnitude is self.total else _array(self.magnitude)
        extremes = [_array(row) for row in (*self.low, *self.high)]
        return Counted.of(self.values, self.examples, total, magnitude, fired, extremes)


@dataclass(frozen=True)
class Counted:
    """Counters in arrays, with a column for each unit."""

    samples: int
    examples: int
    nans: NDArray[np.int64]
    fired: NDArray[np.float64]
    total: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    low: NDArray[np.floating]
    high: NDArray[np.floating]

    @classmethod
    def of(
        cls,
        values: int,
        examples: int,
        total: NDArray[np.floating],
        magnitude: NDArray[np.floating],
        fired: NDArray[np.floating],
        extremes: Sequence[NDArray[np.floating]],
    ) -> Counted:
        """What was measured of batches, each with so many values of a unit in so many rows: arrays as of a `Measure`."""
        rows, units = total.shape
        output = np.add.reduce(total, 0, np.float64)
        nans, skipped = np.zeros(units, np.int64), None
        if np.isnan(output).any():  # else no row has NaN
            skipped = np.isnan(total)
            nans = values * np.add.reduce(skipped, 0, np.int64)
            is_positive = magnitude is total
            total, fired = np.where(skipped, 0, total), np.where(skipped, 0, fired)
            magnitude = total if is_positive else np.where(skipped, 0, magnitude)
            output = np.add.reduce(total, 0, np.float64)
        half = len(extremes) // 2
        low, high = np.empty((half, units), total.dtype), np.empty((half, units), total.dtype)
        for place in range(half):
            least, most = extremes[place], extremes[half + place]
            if skipped is not None:
                least, most = np.where(skipped, inf, least), np.where(skipped, -inf, most)
            np.minimum.reduce(least, 0, out=low[place])
            np.maximum.reduce(most, 0, out=high[place])
        return cls(
            samples=values * rows,
            examples=examples * rows,
            nans=nans,
            fired=np.add.reduce(fired, 0, np.float64),
            total=output,
            magnitude=output if magnitude is total else np.add.reduce(magnitude, 0, np.float64),
            low=low,
            high=high,
        )

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            self.samples + other.samples,
            self.examples + other.examples,
            self.nans + other.nans,
            self.fired + other.fired,
            self.total + other.total,
            self.magnitude + other.magnitude,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    def evidence(
        self, activation: Ridge, slopes: Slopes, steps: tuple[int, int], gradient_squares: float = 0.0, gradients: int = 0
    ) -> Evidence:
        """What the counters say, with the catalogue's derivative of the inputs that were kept."""
        seen, fired = self.samples - self.nans, self.fired
        if slopes.constant:
            steepest, flattest = (np.where(mark, slopes.constant, 0.0) for mark in (fired > 0, fired == seen))
            if not seen.all():
                steepest[seen == 0] = flattest[seen == 0] = np.nan
        else:
            steepest, flattest = _extremes(activation, self.low, self.high)
        return Evidence(
            samples=self.samples,
            steps=steps,
            max_slope=steepest,
            min_slope=flattest,
            fired=fired.astype(np.int64),
            nans=self.nans.astype(np.int64),
            sum_output=self.total,
            sum_abs_output=self.magnitude,
            gradient_squares=gradient_squares,
            gradients=gradients,
            examples=self.examples,
        )


class Tally(NamedTuple):
    """Counters in tensors that stay where they are, so that compiled code can hold on to them.

    Attributes
    ----------
    sums : Tensor
        Rows: how many values were seen, in how many rows of batches, and how many were passed over, and fired; the sum of
        the outputs, and that of their magnitudes.
    low, high : Tensor
        As of a `Measure`.
    """

    sums: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def new(cls, units: int, slopes: Slopes, dtype: torch.dtype, device: torch.device) -> Tally:
        """Nothing counted so far."""
        kept = 0 if slopes.constant else 1 + len(slopes.turns)
        exact = torch.float32 if device.type == "mps" else torch.float64
        with torch.inference_mode(False):  # or they could not change outside of it
            limits = torch.full((kept, units), inf, dtype=_working(dtype), device=device)
            return cls(torch.zeros((6, units), dtype=exact, device=device), limits, -limits)

    def add(self, measure: Measure) -> None:
        """Count what was measured, without waiting for the device."""
        values, total = measure.values, measure.total
        skipped = total.isnan()
        every = torch.full_like(total, values)
        fired = every if measure.fired is None else measure.fired
        examples = torch.full_like(total, measure.examples)
        rows = torch.stack((every, examples, every, fired, total, measure.magnitude))
        rows[2].masked_fill_(~skipped, 0)
        rows[3:].masked_fill_(skipped, 0)
        self.sums.add_(rows.sum(1))
        if measure.low:
            low, high = torch.stack(list(measure.low)), torch.stack(list(measure.high))
            self.low.copy_(torch.minimum(self.low, low.masked_fill_(skipped, inf).amin(1)))
            self.high.copy_(torch.maximum(self.high, high.masked_fill_(skipped, -inf).amax(1)))

    def take(self) -> Counted:
        """What was counted; the counters begin again. Here the device is waited for."""
        samples, examples, nans, fired, total, magnitude = _array(self.sums).astype(np.float64)
        low, high = _array(self.low).copy(), _array(self.high).copy()
        self.sums.zero_()
        self.low.fill_(inf)
        self.high.fill_(-inf)
        numbers = (int(samples.max(initial=0)), int(examples.max(initial=0)), nans.astype(np.int64))
        return Counted(*numbers, fired, total, magnitude, low, high)


class Measures:
    """Measures of the same units, until they are taken.

    Parameters
    ----------
    slopes : Slopes
        Of the units' function.
    layers : int
        So many have their rows in each measure.
    """

    def __init__(self, slopes: Slopes, layers: int = 1) -> None:
        self._slopes = slopes
        self._layers = layers
        self._waiting: list[Measure] = []
        self._tally: Tally | None = None

    def add(self, measure: Measure) -> None:
        """Count what was measured, without waiting for the device."""
        self._waiting.append(measure)
        if len(self._waiting) == _MOST_MEASURES:
            if self._tally is None:
                like = measure.low[0] if measure.low else measure.total
                self._tally = Tally.new(like.shape[1] * self._layers, self._slopes, like.dtype, like.device)
            for joined in self._joined():
                self._tally.add(joined)

    def take(self) -> Counted | None:
        """What was counted since the last time; None for nothing. Here the device is waited for."""
        counted = [measure.counted() for measure in self._joined()]
        if self._tally is not None:
            counted.append(self._tally.take())
            self._tally = None
        return reduce(add, counted) if counted else None

    def _joined(self) -> list[Measure]:
        """Those that wait, which then wait no longer."""
        sizes: dict[tuple[Any, ...], list[Measure]] = {}
        for each in self._waiting:
            sizes.setdefault((each.values, each.examples, each.total.device), []).append(each)
        self._waiting = []
        return [Measure.joined(parts).side_by_side(self._layers) for parts in sizes.values()]


def _array(tensor: Tensor) -> NDArray[np.floating]:
    found: NDArray[np.floating] = tensor.cpu().numpy()
    return found


def _working(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _wide(values: Tensor) -> Tensor:
    """Half precision is too narrow to add up in."""
    return values if values.dtype == torch.float32 else values.to(_working(values.dtype))


def _on_one_axis(values: Tensor, axes: Axes) -> tuple[Tensor, int]:
    """The same values, where one axis counts all units, and that axis."""
    if len(axes) == 1:
        return values, axes[0]
    axis = values.ndim - len(axes)
    return values.movedim(axes, tuple(range(axis, values.ndim))).flatten(axis), axis


def _order_in_memory(values: Tensor) -> list[int] | None:
    """The axes in the order in which they lie in memory, behind the first, where that is not their own: channels last."""
    if values.is_contiguous():
        return None
    order = [0, *sorted(range(1, values.ndim), key=values.stride, reverse=True)]
    return order if values.permute(order).is_contiguous() else None


def is_dense(values: Tensor) -> bool:
    """Whether the numbers lie side by side, in whatever order of the axes."""
    return values.is_contiguous() or _order_in_memory(values.unsqueeze(0)) is not None


def norms(values: Tensor, axes: Axes, layers: int) -> Tensor:
    """The length of a tensor, or of what it has for each of some layers."""
    values = _wide(values)
    found: Tensor
    if layers == 1:
        found = torch.linalg.vector_norm(values)
    else:
        values, axis = _on_one_axis(values, axes)
        found = torch.linalg.vector_norm(values.reshape(-1, layers, values.shape[axis] // layers), dim=(0, 2))
    return found


def _sum(values: Tensor, axis: int) -> Tensor:
    """Over all but the batches and the units. What follows the units goes first, which is faster than all together."""
    if values.ndim == 2:  # each batch is one row, and what is summed may be overwritten later
        return values.clone()
    if values.ndim > axis + 1:
        if values.is_contiguous():
            values = values.flatten(axis + 1).sum(-1)
        else:
            values = values.sum(list(range(axis + 1, values.ndim)))
    if axis == 1:
        return values
    return values.sum(1) if axis == 2 else values.sum(list(range(1, axis)))


def _extreme(values: Tensor, others: list[int], extreme: Callable[..., Tensor]) -> Tensor:
    return extreme(values, others) if others else values.clone()


def _at_once(x: Tensor, y: Tensor, axis: int, slopes: Slopes) -> list[Tensor] | None:
    """All that a measure has, in one pass over memory. None where that can not be, or would take longer."""
    if x.dtype != torch.float32 or y.dtype != torch.float32 or not is_read_fast(y):
        return None
    out = np.empty((kinds(slopes), len(y), y.shape[axis + 1]), np.float32)
    return list(torch.from_numpy(out).unbind()) if is_measured(x, y, axis, slopes, out) else None


def _fired(x: Tensor, axis: int, firing: Sequence[tuple[float, float]]) -> Tensor:
    """How many values lie in one of the open intervals. Marks that are floats are made and summed faster than bools."""
    marks = _scratch(x)
    fired: Any = 0
    for low, high in firing:
        if low == -inf:
            torch.lt(x, high, out=marks)
        else:
            torch.gt(x, low, out=marks)
            if high != inf:
                marks.mul_(x < high)
        fired = fired + _sum(marks, axis)
    return fired if firing else _sum(marks.zero_(), axis)


def _scratch(like: Tensor) -> Tensor:
    """Room for marks that are soon forgotten. On a CPU, large room that is new each time costs more than the marks."""
    if like.device.type != "cpu" or not like.is_contiguous():
        return torch.empty_like(like)
    rooms: dict[Any, Tensor] = vars(_rooms)
    view = rooms.get((like.dtype, like.shape))
    if view is None:
        room = rooms.get(like.dtype)
        if room is None or room.numel() < like.numel() or len(rooms) > _MOST_ROOMS:
            rooms.clear()
            with torch.inference_mode(False):
                room = rooms[like.dtype] = torch.empty(like.numel(), dtype=like.dtype)
        view = rooms[like.dtype, like.shape] = room[: like.numel()].view(like.shape)
    return view


def _extremes(
    activation: Ridge, low: NDArray[np.floating], high: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest and the smallest slope in each column.

    On one side of a turn an infinite number stands for no input. One that is an input is among the extremes of all.
    """
    x = np.concatenate([low, high])
    none = np.isinf(x)
    none[[len(low) - 1, -1]] = low[-1] > high[-1]
    slope = np.asarray(steepness(activation, x), np.float64)
    slope[none] = np.nan
    return np.fmax.reduce(slope, axis=0), np.fmin.reduce(slope, axis=0)
