"""A rectifier's outputs, counted where they lie in the CPU's memory: one pass over it, and no tensor is made."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor

from rectified._native import count_positive_each, shares_threads
from rectified.torch.calls import Axes
from rectified.torch.slopes import Slopes
from rectified.torch.tally import Counted, is_dense, is_read_fast, is_rectifier

_MOST_BATCHES = 16  # whose counts wait


def can_count(y: Tensor, axes: Axes, slopes: Slopes) -> bool:
    """Whether `Positives` can read outputs like these, and fast, which have their units on some axes."""
    if not (is_rectifier(slopes, slopes.firing) and hasattr(Tensor, "__dlpack_c_exchange_api__")):
        return False
    is_possible = y.device.type == "cpu" and y.dtype == torch.float32 and is_dense(y)
    are_first = axes[:-1] == tuple(range(len(axes) - 1))
    return is_possible and are_first and (shares_threads(Tensor) or is_read_fast(y))


class Positives:
    """Counts the outputs of some layers, which have one shape at a time, until they are taken.

    Parameters
    ----------
    axes : tuple of int
        Those of the units.
    layers : int
        How many there are.
    """

    def __init__(self, axes: Axes, layers: int = 1) -> None:
        self._axes, self._stacks, self._layers = axes, len(axes) - 1, layers
        self._shape = torch.Size()
        self._waiting = 0
        self._counted: Counted | None = None

    def see(self, batches: list[Tensor]) -> bool:
        """Count an output of each layer. Whether all could be read."""
        if batches[0].shape != self._shape:
            self._make_room(batches[0].shape)
        if self._stacks:
            batches = [layer for batch in batches for layer in batch.detach().flatten(0, self._stacks - 1).unbind()]
        if not count_positive_each(Tensor, batches, self._axes[-1] - self._stacks, *self._places[self._waiting]):
            return False
        self._waiting += 1
        if self._waiting == len(self._places):
            self._add_up()
        return True

    def take(self) -> Counted | None:
        """What was counted since the last time; None for nothing."""
        self._add_up()
        counted, self._counted = self._counted, None
        return counted

    def _make_room(self, shape: torch.Size) -> None:
        self._add_up()
        each, units = prod(shape[: self._stacks]), shape[self._axes[-1]]
        self._shape = shape
        self._rows = np.empty((2, _MOST_BATCHES, self._layers * each, units), np.float32)
        self._places = list(zip(*self._rows, strict=True))

    def _add_up(self) -> None:
        if not self._waiting:
            return
        total, fired = self._rows.reshape(2, len(self._places), -1)[:, : self._waiting]
        counted = Counted.of_positive(self._shape, self._axes, total, fired)
        self._counted = counted if self._counted is None else self._counted + counted
        self._waiting = 0
