"""The evidence of a layer over time, in a limited number of windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add

from rectified.health.evidence import Evidence

MOST_WINDOWS = 64


class History:
    """Windows of evidence, each of `width` steps: window k holds the steps from ``k * width`` on.

    When there are more than 64 windows, the width is doubled, and neighbours become one. So the windows of two processes
    that trained together cover the same steps.

    Parameters
    ----------
    windows : iterable of Evidence
        What is known already.

    Attributes
    ----------
    width : int
        How many steps a window holds, a power of two; it is 1 at first.

    Examples
    --------
    >>> import rectified as rf
    >>> history = History()
    >>> for step in range(100):
    ...     history.add(Evidence.of(rf.relu, [[1.0], [-1.0]], step=step))
    >>> history.width, len(history.windows), history.windows[-1].steps
    (2, 50, (98, 99))
    >>> history.total.samples
    200
    """

    def __init__(self, windows: Iterable[Evidence] = ()) -> None:
        self.width = 1
        self._windows: dict[int, Evidence] = {}
        for window in windows:
            self.add(window)

    @property
    def windows(self) -> Sequence[Evidence]:
        """From the first to the last."""
        return [self._windows[place] for place in sorted(self._windows)]

    @property
    def total(self) -> Evidence:
        """All of it, as one."""
        return reduce(add, self._windows.values())

    def add(self, evidence: Evidence) -> None:
        """Count evidence in the window of its first step."""
        first, last = evidence.steps
        while last - first >= self.width:
            self._widen()
        self._put(evidence)
        while len(self._windows) > MOST_WINDOWS:
            self._widen()

    def __add__(self, other: History) -> History:
        return History([*self.windows, *other.windows])

    def _widen(self) -> None:
        narrow, self._windows = self.windows, {}
        self.width *= 2
        for window in narrow:
            self._put(window)

    def _put(self, evidence: Evidence) -> None:
        place = evidence.steps[0] // self.width
        there = self._windows.get(place)
        self._windows[place] = evidence if there is None else there + evidence
