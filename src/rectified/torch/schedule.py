"""Which steps are counted and make a window, and during which of them everything is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rectified.health.history import History
from rectified.torch.network import Network
from rectified.torch.turns import Turns

_LOOKS = 3  # forward passes of a network, and steps, in which all is looked at at first
_LOOK_AGAIN = 256  # forward passes later at the latest
_SETTLED = 64  # forward passes without a step
_MOST_LOOKS_EVERYWHERE = 16
_WINDOW = 8  # steps, at first
_WHOLE, _GOLDEN = 1 << 32, 2654435769  # and its golden section, whose multiples are spread evenly in it


class Schedule:
    """Steps and forward passes, as they go by.

    Parameters
    ----------
    began : int
        The number of the first step.
    every : int
        One step of so many is counted.

    Attributes
    ----------
    step : int
        The one that runs.
    forwards : int
        How many forward passes there were.
    calls : int
        How many calls of activations that no network runs were counted.
    outside : set
        Activations that no network runs, and that only looking everywhere sees.
    is_everywhere : bool
        Whether to look at what no network runs, too.
    is_followed : bool
        Whether all calls of this step are followed, from its first.
    has_run : bool
        Whether anything has run in this step.
    """

    def __init__(self, began: int, every: int) -> None:
        self.step = self._window = self._began = began
        self._every, self._width = every, every * max(4, _WINDOW // every)
        self.forwards = self.calls = 0
        self.outside: set[Any] = set()
        self.is_everywhere = self.is_followed = True
        self.has_run = False
        self._looks_since, self._looks_everywhere = began, 1
        self._settles_at, self._settles_after = began + _LOOKS, _SETTLED

    # ---- what is counted -------------------------------------------------------------------------------------------------

    def counts(self, turns: Turns, *, training: bool) -> bool:
        """Whether a pass that begins is counted: one turn of so many is."""
        return self._every == 1 or self._is_chosen(turns.begin(self.step, training=training))

    def _is_chosen(self, number: int) -> bool:
        """Of so many numbers that follow each other one, at a place that differs: what the program repeats has a period."""
        block, place = divmod(number, self._every)
        return place == (block * _GOLDEN % _WHOLE) * self._every // _WHOLE

    def measures(self, turns: Turns) -> bool:
        """Whether gradients of a pass that is counted are."""
        return turns.measures(self._window, self.step, self.forwards)

    def is_left_out(self, number: int | None = None) -> bool:
        """Whether what no network runs is not counted in this step, or in the forward pass of this number."""
        return not self._is_chosen(self.step if number is None else number)

    @property
    def lacks_steps(self) -> bool:
        """Whether there were many forward passes, or calls that no network makes, and no step."""
        passes = max(self.forwards, self.calls // max(1, len(self.outside)))
        return self.step == self._began and passes > _WINDOW

    @property
    def is_first(self) -> bool:
        """Whether there was neither a step nor a window so far."""
        return self.step == self._window == self._began and self.forwards < _LOOK_AGAIN

    def end_step(self) -> bool:
        """Go on to the next step. Whether a window is complete."""
        self.step += 1
        self.has_run = False
        self.is_followed = self.is_new
        if not self.is_followed:
            self.is_everywhere = bool(self.outside)
        return self.step % self._width == 0

    @property
    def steps(self) -> tuple[int, int]:
        """The first and the last one of this window."""
        return self._window, max(self._window, self.step - 1)

    def begin_window(self, histories: Iterable[History]) -> None:
        """Go on to the next window, as wide as the widest one of the histories."""
        self._width = max([self._width, *(history.width for history in histories)])
        self._window = self.step

    # ---- what is looked at -----------------------------------------------------------------------------------------------

    @property
    def is_new(self) -> bool:
        """Whether all calls are followed, as in the steps after something new began to run."""
        return self.step < self._settles_at

    def begin_forward(self) -> bool:
        """A network begins to run. Whether a window is complete, where no step ends one."""
        self.forwards += 1
        return self.step == self._began and self.forwards % _LOOK_AGAIN == 0

    def looks_at(self, network: Network, *, training: bool) -> bool:
        """Whether a pass of a network that begins is looked at closely."""
        looks = network.looks[training]
        network.looks[training] += 1
        if self.forwards > self._settles_after and self.step == self._looks_since:
            self._settles_at = 0
            self.is_everywhere = bool(self.outside)
        return looks < _LOOKS or looks & (looks - 1) == 0 or looks % _LOOK_AGAIN == 0

    def look_everywhere(self) -> None:
        """See what no network runs, too, for a while: where a network is new, functions may come with it."""
        if not self.is_new and self._looks_everywhere < _MOST_LOOKS_EVERYWHERE:
            self._looks_everywhere += 1
            self.is_everywhere = True
            self._looks_since = self.step
            self._settles_at, self._settles_after = self.step + _LOOKS, self.forwards + _SETTLED

    def look_at_next_step(self) -> None:
        """Follow all calls until the end of the next step."""
        self._settles_at = self.step + 2
