"""From evidence to verdicts: which units of a layer can still learn, and since when the others can not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rectified.activation import Activation
from rectified.fold import Maxout
from rectified.health.evidence import Evidence
from rectified.health.history import History
from rectified.health.record import Layer, Mode

ALIVE, DEAD, SATURATED, LINEAR, UNSEEN = range(5)
STATES = ("alive", "dead", "saturated", "linear", "unseen")

_FEWEST = 10  # firings by which to judge how often a unit fires
_MOST_AT_ONCE = 5  # firings of one window that count: what is close in time comes together

_ROUNDING = 1 + 2.0**-23  # a slope of 0.07 is 0.0700000003 in float32


@dataclass(frozen=True)
class Rule:
    """The thresholds of the verdicts.

    Attributes
    ----------
    saturated : float
        A unit is saturated when no slope was more than this share of the function's largest.
    linear : float
        A unit is linear when its slopes differed by no more than this share of the function's largest.
    chance : float
        A unit that fired earlier is dead only if its silence is less likely than this, by how often it fired before.
    tau : float
        A unit is dormant when its score is not above.
    vanishing : float
        A layer's gradient vanishes when its length is less than this share of the largest one.
    """

    saturated: float = 0.01
    linear: float = 0.01
    chance: float = 1e-5
    tau: float = 0.025
    vanishing: float = 1e-4


RULE = Rule()


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of the units of a layer.

    Attributes
    ----------
    layer : Layer
        As the first of the runs has it.
    history : History
        The evidence of all runs together.
    state : ndarray of int
        For each unit the place of its state in `STATES`.
    since : ndarray of int
        For each unit the first step from which on its state held.
    from_start : ndarray of bool
        Whether it held from the first step that was seen.
    died, came_back : ndarray of int
        The steps at which a unit fell silent and at which it fired again, -1 where it never did that.
    recent : Evidence
        The last quarter of the windows, which the scores below are of.
    """

    layer: Layer
    history: History
    state: NDArray[np.int64]
    since: NDArray[np.int64]
    from_start: NDArray[np.bool_]
    died: NDArray[np.int64]
    came_back: NDArray[np.int64]
    recent: Evidence

    @property
    def steepest(self) -> float:
        """The function's largest slope; 0 where it has no bound."""
        return _shape(self.layer.activation).steepest

    def of(self, state: int) -> NDArray[np.int64]:
        """The units in a state."""
        return np.flatnonzero(self.state == state)

    def state_of(self, unit: int) -> str:
        """The state of a unit, in a word."""
        return STATES[self.state[unit]]

    @property
    def firing(self) -> NDArray[np.float64]:
        """For each unit the share of values on which its derivative was not 0; NaN where it saw nothing."""
        return _quotient(self.recent.fired, self.recent.samples - self.recent.nans)

    @property
    def mean_output(self) -> NDArray[np.float64]:
        """For each unit the mean of its outputs: far from 0 it is not zero-centred."""
        return _quotient(self.recent.sum_output, self.recent.samples - self.recent.nans)

    @property
    def dormant_score(self) -> NDArray[np.float64]:
        """For each unit the mean of its outputs' magnitude, by the mean of the layer's.

        References
        ----------
        G. Sokar, R. Agarwal, P. S. Castro and U. Evci,
        The Dormant Neuron Phenomenon in Deep Reinforcement Learning, ICML 2023
        """
        magnitude = _quotient(self.recent.sum_abs_output, self.recent.samples - self.recent.nans)
        known = magnitude[~np.isnan(magnitude)]
        return _quotient(magnitude, known.mean() if known.size else np.nan)

    @property
    def gradient_norm(self) -> float:
        """The root mean square, over batches, of the gradient's length; NaN where none was seen."""
        return float(np.sqrt(_quotient(self.recent.gradient_squares, self.recent.gradients)))


@np.errstate(invalid="ignore")  # the slopes at infinity may be infinite
def judge(layers: Sequence[Layer], mode: Mode, rule: Rule = RULE) -> Verdict:
    """Say for each unit of a layer which state it is in.

    A state is that of the last windows: it holds as far back as all evidence together allows. So a unit that fired and
    then never again is dead since then, unless it fired so rarely that its silence may be chance.

    Parameters
    ----------
    layers : sequence of Layer
        The same layer in each run. A unit is dead if it is dead in all of them.
    mode : {"train", "eval"}
        Which evidence counts; at least one of `layers` has some.
    rule : Rule
        The thresholds.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> import rectified as rf
    >>> layer = Layer("hidden", "relu", units=3)
    >>> for step in range(20):
    ...     x = np.array([[-1.0, 1.0, 8.0 - step], [-2.0, -1.0, 8.0 - step]])
    ...     layer.add(Evidence.of(rf.relu, x, step=step))
    >>> verdict = judge([layer], "train")
    >>> [STATES[state] for state in verdict.state], verdict.since
    (['dead', 'alive', 'dead'], array([0, 0, 8]))
    """
    histories = [layer.histories[mode] for layer in layers if mode in layer.histories]
    first = layers[0]
    together = reduce(add, histories)
    spans = [_Span.of(history) for history in histories]
    shape = _shape(first.activation)
    conditions: list[tuple[int, Callable[[Any, Any], Any]]] = [
        (LINEAR, lambda high, low: high - low <= rule.linear * shape.scale(high)),
        (SATURATED, lambda high, low: high <= rule.saturated * _ROUNDING * shape.steepest),
        (DEAD, lambda high, low: high == 0),
    ]
    state = np.where(np.isnan(together.total.max_slope), UNSEEN, ALIVE)
    since = np.full(first.units, together.windows[0].steps[0])
    from_start = np.ones(first.units, bool)
    for number, condition in conditions:
        ends = [span.end(condition, rule.chance, by_values=number == DEAD or shape.is_on_or_off) for span in spans]
        high = np.fmax.reduce([end.high for end in ends])
        low = np.fmin.reduce([end.low for end in ends])
        holds = np.all([end.holds for end in ends], axis=0) & condition(high, low)
        if number == LINEAR:  # outputs of one sign, or a slope that no other piece of the function has
            units = np.flatnonzero(holds & (np.abs(sum(end.output for end in ends)) != sum(end.magnitude for end in ends)))
            holds[units] = shape.in_one_piece(high[units], rule.linear)
        state[holds] = number
        since = np.where(holds, np.max([end.since for end in ends], axis=0), since)
        from_start = np.where(holds, np.all([end.from_start for end in ends], axis=0), from_start)
    died, came_back = _Span.of(together).revival(rule.chance)
    recent = reduce(add, map(_recent, histories))
    return Verdict(first, together, state, since, from_start, died, came_back, recent)


@dataclass(frozen=True, eq=False)
class _End:
    """The last windows of a run in which a condition holds, for each unit."""

    holds: NDArray[np.bool_]
    since: NDArray[np.int64]
    from_start: NDArray[np.bool_]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    output: NDArray[np.float64]
    magnitude: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Span:
    """The windows of a run, in arrays with a row for each window and a column for each unit."""

    firsts: NDArray[np.int64]
    samples: NDArray[np.int64]
    firings: NDArray[np.int64]
    silences: NDArray[np.int64]
    values: NDArray[np.int64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    output: NDArray[np.float64]
    magnitude: NDArray[np.float64]

    @classmethod
    def of(cls, history: History) -> _Span:
        windows = history.windows
        return cls(
            np.array([window.steps[0] for window in windows]),
            np.array([[window.samples] for window in windows]),
            np.array([_examples(window, window.fired) for window in windows]),
            np.array([_examples(window, window.samples - window.nans - window.fired) for window in windows]),
            np.array([_examples(window, window.samples - window.nans) for window in windows]),
            *(
                np.array([getattr(window, name) for window in windows])
                for name in ("max_slope", "min_slope", "sum_output", "sum_abs_output")
            ),
        )

    def end(self, condition: Callable[[Any, Any], Any], chance: float, *, by_values: bool) -> _End:
        """The longest end of the run in which all evidence together meets a condition on the slopes.

        What speaks against it earlier are windows in which it is not met, and values: all of a window where none of its
        slopes meets it; or, by values, the firings where the end is silent, and the silences where it is not. The latest
        count: a unit that had become rare is judged as a rare one.
        """
        count, units = self.high.shape
        column = np.arange(units)
        high, low = np.fmax.accumulate(self.high[::-1])[::-1], np.fmin.accumulate(self.low[::-1])[::-1]
        # A window in which a unit saw nothing says nothing against the condition.
        start = count - np.sum(condition(high, low) | np.isnan(high), axis=0)
        met = start < count
        place = np.minimum(start, count - 1)
        high, low = high[place, column], low[place, column]
        before = np.arange(count)[:, None] < start
        against = before & ~np.isnan(self.high) & ~condition(np.fmax(self.high, high), np.fmin(self.low, low))
        if by_values:
            values = np.where(high > 0, self.silences, self.firings)
        else:
            are_all = ~condition(np.fmax(self.low, high), np.fmin(self.high, low))
            values = np.where(are_all, self.values, 0)
        seen, found = _from_each(self.samples), _from_each(against)
        events = _from_each(against * values)
        shares = 1 - seen[place, 0] / np.maximum(1, seen)
        by_chance = _largest(likelihood(shares, events), before, events)
        if not by_values:
            first = np.maximum(start - np.arange(count)[:, None], 0)
            others = seen[place, 0] // max(1, self.samples.max())  # the last one may have just begun
            by_chance = np.minimum(by_chance, _largest(arrangement(first, first + others, found), before, found))
        backwards = count - 1 - place
        with np.errstate(invalid="ignore"):
            sums = [np.cumsum(rows[::-1], axis=0)[backwards, column] for rows in (self.output, self.magnitude)]
        holds = met & ~np.isnan(high) & ((found[0] == 0) | (by_chance < chance))
        return _End(holds, self.firsts[place], found[0] == 0, high, low, *sums)

    def revival(self, chance: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """When each unit that had fired fell silent, for longer than chance explains, and fired again; else -1."""
        fires = self.high > 0
        silent = (self.high == 0) & np.logical_or.accumulate(fires)
        count, units = self.high.shape
        length = longest = np.zeros(units, np.int64)
        died = came_back = started = np.full(units, -1)
        for row in range(count):
            started = np.where(silent[row] & (length == 0), self.firsts[row], started)
            length = length + silent[row] * self.samples[row]
            woke = fires[row] & (length > longest)
            longest = np.where(woke, length, longest)
            died, came_back = np.where(woke, started, died), np.where(woke, self.firsts[row], came_back)
            length = np.where(fires[row], 0, length)
        # There are about so many places at which a silence of this length could have been.
        by_chance = count * likelihood(1 - longest / max(1, self.samples.sum()), self.firings.sum(axis=0))
        found = (longest > 0) & (by_chance < chance)
        return np.where(found, died, -1), np.where(found, came_back, -1)


def likelihood(share: NDArray[np.float64], firings: NDArray[np.int64]) -> NDArray[np.float64]:
    """How likely it is that all of a unit's firings lie in a share of the run, if they can lie anywhere.

    So a unit that fired twice in a hundred windows may be silent for the second half of them, and one that fired all the
    time may not.

    Examples
    --------
    >>> import numpy as np
    >>> likelihood(np.array([0.5, 0.5]), np.array([2, 40])).round(6)
    array([0.25, 0.  ])
    """
    return np.power(share, firings)


def arrangement(first: NDArray[np.int64], windows: NDArray[np.int64], marked: NDArray[np.int64]) -> NDArray[np.float64]:
    """How likely it is that of so many windows all that are marked are among the first ones, if any may be.

    Examples
    --------
    >>> import numpy as np
    >>> arrangement(np.array([2, 3]), np.array([3, 10]), np.array([1, 3])).round(6)
    array([0.666667, 0.008333])
    """
    logarithms = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 1 + max(1, windows.max(initial=0)))))])
    chances = logarithms[first] - logarithms[first - marked] - logarithms[windows] + logarithms[windows - marked]
    return np.asarray(np.exp(chances))


def _largest(chances: NDArray[np.float64], before: NDArray[np.bool_], events: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of chances by the events from each window on, for each unit the largest by as many as tell how often it has them."""
    is_enough = before & (events >= np.minimum(events[0], _FEWEST))
    return np.where(events[0] > 0, np.max(chances, axis=0, initial=0, where=is_enough), 1.0)


def _examples(window: Evidence, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each unit the least number of examples that so many values are of, up to a few: one may have many positions."""
    examples = window.examples or window.steps[1] - window.steps[0] + 1
    least = np.ceil(values * (examples / max(1, window.samples)))
    return np.asarray(np.minimum(least, _MOST_AT_ONCE), np.int64)


def _from_each(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each window the sum over it and all that follow."""
    return np.cumsum(rows[::-1], axis=0)[::-1]


class _Shape:
    """What the verdicts need to know of a function: where it is how steep."""

    def __init__(self, activation: Activation) -> None:
        magnitudes = np.logspace(-6, 15, 6001)
        kinks = np.array(activation.kinks)
        between = (kinks[1:] + kinks[:-1]) / 2
        x = np.unique(np.concatenate([-magnitudes, [0.0], magnitudes, kinks, between]))
        if isinstance(activation, Maxout):  # by one member of a group, beside zeros
            pieces = int(activation.parameters["pieces"].default)
            group = np.zeros((x.size, pieces))
            group[:, 0] = x
            self._slopes = np.abs(activation.derivative(group, axis=-1)[:, 0])
        else:
            self._slopes = np.abs(activation.derivative(x))
        self._steepest = float(self._slopes.max())
        self._is_bounded = np.isfinite(self._steepest) and self._steepest <= 2 * self._slopes[np.abs(x) <= 1e9].max()

    @property
    def steepest(self) -> float:
        """The largest slope by which others count as flat: 0 where the slope has no bound, so that none does."""
        return self._steepest if self._is_bounded else 0.0

    @property
    def is_on_or_off(self) -> bool:
        """Whether the slope is the same wherever a value fires, so that what bends a unit are the values that do not."""
        return bool(np.isin(self._slopes, [0.0, self._steepest]).all())

    def scale(self, high: NDArray[np.float64]) -> Any:
        """What differences of slopes are measured by."""
        return self._steepest if self._is_bounded else high

    def in_one_piece(self, high: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
        """For each slope, whether the function has it, or one that differs by `share`, in one place only."""
        near = np.abs(self._slopes - high[:, None]) <= share * np.broadcast_to(self.scale(high), high.shape)[:, None]
        edges = np.diff(np.pad(near, [(0, 0), (1, 1)]), axis=1)
        return np.asarray(np.count_nonzero(edges, axis=1) <= 2)


_shape = lru_cache(_Shape)


def _recent(history: History) -> Evidence:
    windows = history.windows
    return reduce(add, windows[-max(1, len(windows) // 4) :])


def _quotient(above: Any, below: Any) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide(above, below, dtype=np.float64))
