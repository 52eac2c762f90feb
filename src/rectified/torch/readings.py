"""What is counted of batches that are read where they lie in the CPU's memory, with no tensor made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rectified.torch.calls import Axes
from rectified.torch.in_memory import is_measured, is_read_fast, kinds
from rectified.torch.slopes import Slopes
from rectified.torch.tally import Counted, is_dense

_MOST_BATCHES = 64  # whose counts wait
_MOST_NUMBERS = 2**16  # of these counts


def can_read(y: Tensor, axes: Axes) -> bool:
    """Whether `Readings` can read outputs like these, and fast, which have their units on some axes."""
    are_first = axes[:-1] == tuple(range(len(axes) - 1))
    return are_first and is_dense(y) and is_read_fast(y)


class Readings:
    """Counts what some layers do, whose batches have one shape at a time, until that is taken.

    Parameters
    ----------
    slopes : Slopes
        Of their function.
    axes : tuple of int
        Those of the units.
    layers : int
        How many there are.

    Attributes
    ----------
    shape : Size
        What the batches are expected to have.
    """

    def __init__(self, slopes: Slopes, axes: Axes, layers: int = 1) -> None:
        self._slopes, self._axes, self._stacks, self._layers = slopes, axes, len(axes) - 1, layers
        self.shape = self._shape_of_layer = torch.Size()
        self._waiting = 0
        self._all: NDArray[np.float32] = np.empty(0, np.float32)
        self._rows: list[NDArray[np.float32]] = []  # each of them
        self._counted: Counted | None = None

    def see(self, x: Sequence[Tensor] | Tensor, y: Sequence[Tensor] | Tensor) -> bool:
        """Count an input and an output of each layer. Whether all could be read, and have the shape that is expected."""
        if not self._rows or (self._stacks and y[0].shape != self.shape):
            return False
        if self._stacks:
            x, y = self._each(x), self._each(y)
        row = self._rows[self._waiting]
        if not is_measured(x, y, self._axes[-1] - self._stacks, self._slopes, row, self._shape_of_layer):
            return False
        self._waiting += 1
        if self._waiting == len(self._rows):
            self._add_up()
        return True

    def expect(self, shape: torch.Size) -> None:
        """Make room for what is counted of batches of another shape."""
        self._add_up()
        form = kinds(self._slopes), self._layers * prod(shape[: self._stacks]), shape[self._axes[-1]]
        most = max(1, min(_MOST_BATCHES, _MOST_NUMBERS // prod(form)))
        self.shape, self._shape_of_layer, self._all = shape, shape[self._stacks :], np.empty((most, *form), np.float32)
        self._rows = list(self._all)

    def take(self) -> Counted | None:
        """What was counted since the last time; None for nothing."""
        self._add_up()
        counted, self._counted = self._counted, None
        return counted

    def _each(self, batches: Iterable[Tensor]) -> list[Tensor]:
        """The layers that lie in one batch."""
        return [layer for batch in batches for layer in batch.detach().flatten(0, self._stacks - 1).unbind()]

    def _add_up(self) -> None:
        if not self._waiting:
            return
        rows = self._all[: self._waiting].transpose(1, 0, 2, 3).reshape(self._all.shape[1], self._waiting, -1)
        others = [size for axis, size in enumerate(self.shape) if axis not in self._axes]
        total, magnitude, fired, *extremes = rows
        counted = Counted.of(prod(others), others[0] if others else 1, total, magnitude, fired, extremes)
        self._counted = counted if self._counted is None else self._counted + counted
        self._waiting = 0
