"""Batches measured where they lie in the CPU's memory: one pass over it, where PyTorch's functions make a dozen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rectified._native import measure, shares_threads
from rectified.torch.slopes import Slopes
from rectified.ufuncs import isa

_LIBRARY = Tensor if hasattr(Tensor, "__dlpack_c_exchange_api__") else None  # before 2.10 as arrays, on one thread
_SMALL = 2**15  # elements, for which PyTorch takes one thread
_PASSES = 3  # over memory, by all of PyTorch's threads, that one pass by one thread is worth


def is_read_fast(y: Tensor) -> bool:
    """Whether one pass over memory here costs less than PyTorch's."""
    if y.device.type != "cpu" or y.dtype != torch.float32:
        return False
    shares = _LIBRARY is not None and shares_threads(_LIBRARY)
    return shares or y.numel() <= _SMALL or torch.get_num_threads() <= _PASSES


def kinds(slopes: Slopes) -> int:
    """How many numbers are found of a unit."""
    return 3 if slopes.constant else 5 + 2 * len(slopes.turns)


def is_measured(x: Any, y: Any, axis: int, slopes: Slopes, out: NDArray[np.float32], *shape: tuple[int, ...]) -> bool:
    """Measure batches, if they can be read as they are.

    Parameters
    ----------
    x, y : list of Tensor, or Tensor
        Inputs and outputs: batches, or what has them on its first axis.
    axis : int
        That of the units in a batch.
    slopes : Slopes
        The function's.
    out : ndarray
        For each of the kinds, each batch and each unit a number: the sum of the outputs and of their magnitudes, how many
        fired; the smallest input above each turn and of all, then the largest up to each turn and of all.
    *shape : tuple of int, optional
        The shape that outputs are to have.

    Returns
    -------
    bool
        Whether all are of float32 and of one form, and lie side by side, and the outputs have that shape.
    """
    if _LIBRARY is None:
        x, y = _arrays(x), _arrays(y)
    return measure(isa, _LIBRARY, x, y, axis, *slopes.in_single, out, *shape)


def _arrays(batches: Any) -> Any:
    return [each.detach().numpy() for each in batches] if isinstance(batches, list) else batches.detach().numpy()
