"""What the units of one layer did in one window of steps: counters that add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import ArrayLike, NDArray

from rectified.activation import Activation
from rectified.fold import Maxout


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was seen of a layer's units, in arrays with one element for each unit. ``a + b`` is the union of both.

    Attributes
    ----------
    samples : int
        How many values each unit saw: the batch times the positions.
    steps : tuple of int
        The first and the last step of the optimizer. Step 0 is before the first update.
    max_slope, min_slope : ndarray of float64
        The largest and the smallest ``|f'(x)|``; NaN for a unit of which nothing else is known.
    fired : ndarray of int64
        How many values fired: their `steepness` was not 0.
    nans : ndarray of int64
        How many values were NaN, or in a batch of PyTorch's that had NaN. They count for nothing else.
    sum_output, sum_abs_output : ndarray of float64
        The sum of ``f(x)``, and that of ``|f(x)|``.
    gradient_squares : float
        The sum, over `gradients` batches, of the squared length of the loss's gradient by the layer's output.
    gradients : int
        In how many batches that gradient was seen.
    examples : int
        How many rows the batches had: images, not their pixels. 0 where that is not known; a batch then counts as one.

    Examples
    --------
    >>> import rectified as rf
    >>> seen = Evidence.of(rf.relu, [[-1.0, 2.0], [-3.0, -4.0]])
    >>> seen.samples, seen.max_slope, seen.fired
    (2, array([0., 1.]), array([0, 1]))
    >>> (seen + Evidence.of(rf.relu, [[5.0, 6.0]], step=1)).fired
    array([1, 2])
    """

    samples: int
    steps: tuple[int, int]
    max_slope: NDArray[np.float64]
    min_slope: NDArray[np.float64]
    fired: NDArray[np.int64]
    nans: NDArray[np.int64]
    sum_output: NDArray[np.float64]
    sum_abs_output: NDArray[np.float64]
    gradient_squares: float = 0.0
    gradients: int = 0
    examples: int = 0

    @classmethod
    def of(
        cls,
        activation: Activation,
        x: ArrayLike,
        unit_axis: int = -1,
        step: int = 0,
        gradient: ArrayLike | None = None,
    ) -> Evidence:
        """Count what a function does with its inputs.

        Parameters
        ----------
        activation : Activation
            The function. Of a fold such as `rectified.maxout` each piece is a unit, whose output is what it passes on.
        x : array_like
            What goes into the function; its first axis that is not `unit_axis` counts the rows of the batch.
        unit_axis : int
            Which axis of `x` counts the units; for a fold it is the axis that is cut into groups.
        step : int
            The step of the optimizer.
        gradient : array_like, optional
            The gradient of the loss by the output.

        Returns
        -------
        Evidence
            Of this one batch.
        """
        x = _wide(x)
        if activation.category == "fold" and not isinstance(activation, Maxout):
            raise TypeError(f"{activation.name} mixes its inputs: evidence is of functions of one number, and of maxout")
        axis = normalize_axis_index(unit_axis, x.ndim)
        others = tuple(place for place in range(x.ndim) if place != axis)
        steep = steepness(activation, x, axis)
        y = np.where(steep != 0, x, 0) if isinstance(activation, Maxout) else activation(x)
        unknown = np.isnan(x)
        if unknown.any():
            y = np.where(unknown, 0, y)
        with np.errstate(over="ignore", invalid="ignore"):  # a network that overflows is a result
            return cls(
                samples=prod(x.shape[place] for place in others),
                steps=(step, step),
                max_slope=np.asarray(np.fmax.reduce(steep, axis=others, initial=np.nan), np.float64),
                min_slope=np.asarray(np.fmin.reduce(steep, axis=others, initial=np.nan), np.float64),
                fired=np.sum(steep > 0, axis=others, dtype=np.int64),
                nans=np.sum(unknown, axis=others, dtype=np.int64),
                sum_output=np.sum(y, axis=others, dtype=np.float64),
                sum_abs_output=np.sum(np.abs(y), axis=others, dtype=np.float64),
                gradient_squares=0.0 if gradient is None else float(np.square(gradient, dtype=np.float64).sum()),
                gradients=0 if gradient is None else 1,
                examples=x.shape[others[0]] if others else 1,
            )

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.fired)

    def part(self, units: slice, gradient_squares: float = 0.0, gradients: int = 0) -> Evidence:
        """The evidence of some of the units.

        Parameters
        ----------
        units : slice
            Which of them.
        gradient_squares, gradients
            Those of these units; what is known of all of them can not be divided.

        Returns
        -------
        Evidence
            Of the same steps and samples.

        Examples
        --------
        >>> import rectified as rf
        >>> Evidence.of(rf.relu, [[-1.0, 2.0, 3.0]]).part(slice(1, 3)).fired
        array([1, 1])
        """
        return Evidence(
            self.samples,
            self.steps,
            self.max_slope[units],
            self.min_slope[units],
            self.fired[units],
            self.nans[units],
            self.sum_output[units],
            self.sum_abs_output[units],
            gradient_squares,
            gradients,
            self.examples,
        )

    def parts(self, count: int, gradient_squares: Sequence[float] = (), gradients: int = 0) -> list[Evidence]:
        """The evidence of each of some layers, whose units follow one another.

        Parameters
        ----------
        count : int
            How many layers these are.
        gradient_squares, gradients
            For each layer the sum of squares, and of how many batches these are.

        Returns
        -------
        list of Evidence

        Examples
        --------
        >>> import rectified as rf
        >>> [part.fired.tolist() for part in Evidence.of(rf.relu, [[-1.0, 2.0, 3.0, 4.0]]).parts(2)]
        [[0, 1], [1, 1]]
        """
        units = self.units // count
        squares = gradient_squares or [0.0] * count
        return [
            self.part(slice(place * units, (place + 1) * units), square, gradients) for place, square in enumerate(squares)
        ]

    def __add__(self, other: Evidence) -> Evidence:
        if self.units != other.units:
            raise ValueError(f"evidence of {self.units} units and of {other.units} is not of one layer")
        with np.errstate(over="ignore", invalid="ignore"):
            return Evidence(
                samples=self.samples + other.samples,
                steps=(min(self.steps[0], other.steps[0]), max(self.steps[1], other.steps[1])),
                max_slope=np.fmax(self.max_slope, other.max_slope),
                min_slope=np.fmin(self.min_slope, other.min_slope),
                fired=self.fired + other.fired,
                nans=self.nans + other.nans,
                sum_output=self.sum_output + other.sum_output,
                sum_abs_output=self.sum_abs_output + other.sum_abs_output,
                gradient_squares=self.gradient_squares + other.gradient_squares,
                gradients=self.gradients + other.gradients,
                examples=self.examples + other.examples,
            )


def steepness(activation: Activation, x: ArrayLike, axis: int = -1) -> NDArray[np.floating]:
    """``|f'(x)|``, in the precision of `x`, and in float32 for what is shorter. A value fires where this is not 0.

    So a tail that only fades fires as long as its slope is a number that the network can have: that of GELU in float32
    down to about -14. `axis` is that of the groups of a fold.

    Examples
    --------
    >>> import numpy as np, rectified as rf
    >>> steepness(rf.gelu, np.float32([-14, -15])) > 0
    array([ True, False])
    """
    x = _wide(x)
    slope = activation.derivative(x, axis=axis) if isinstance(activation, Maxout) else activation.derivative(x)
    found: NDArray[np.floating] = np.abs(slope)
    return found


def _wide(x: ArrayLike) -> NDArray[np.floating]:
    x = np.asarray(x)
    return x.astype(np.result_type(x, np.float32), copy=False)
