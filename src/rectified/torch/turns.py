"""Which forward passes of a network belong together, and are counted or left out together."""

from __future__ import annotations


class Turns:
    """The steps in which one network trains, and its forward passes in evaluation, numbered."""

    def __init__(self) -> None:
        self._numbers = {True: -1, False: -1}
        self._step = -1
        self.measured: tuple[int, int] = -1, -1  # the first step of a window, and that in which gradients are

    def begin(self, step: int, *, training: bool) -> int:
        """A pass begins. The number of its turn: all passes of a step of training have one."""
        if not training or step != self._step:
            self._numbers[training] += 1
        if training:
            self._step = step
        return self._numbers[training]
