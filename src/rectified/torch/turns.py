"""Which forward passes of a network belong together, and are counted or left out together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MOST_MEASURED = 64  # passes of a step


class Turns:
    """The steps in which one network trains, and its forward passes in evaluation, numbered."""

    def __init__(self) -> None:
        self._numbers = {True: -1, False: -1}
        self._step = -1
        self._measured, self._heard_in = (-1, -1), -1
        self._pass, self._passes = -1, 0

    def begin(self, step: int, *, training: bool) -> int:
        """A pass begins. The number of its turn: all passes of a step of training have one."""
        if not training or step != self._step:
            self._numbers[training] += 1
        if training:
            self._step = step
        return self._numbers[training]

    def measures(self, window: int, step: int, forwards: int) -> bool:
        """Whether gradients of a pass in a step are measured: those of the first step of a window in which some come.

        Of its passes, which in evaluation are all that follow, it is the first ones.
        """
        if self._measured[0] != window or self._heard_in < window:
            if self._measured != (window, step):
                self._passes = 0
            self._measured = window, step
        if self._pass != forwards:
            self._passes += 1
            self._pass = forwards
        return self._measured[1] == step and (self._passes <= _MOST_MEASURED or self._heard_in < window)

    @property
    def has_gradients(self) -> bool:
        """Whether any gradient came."""
        return self._heard_in >= 0

    def hearing(self, see: Callable[[Any], None]) -> Callable[[Any], None]:
        """A hook on gradients that are measured."""

        def hook(gradients: Any) -> None:
            self._heard_in = self._measured[0]
            see(gradients)

        return hook
