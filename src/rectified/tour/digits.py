"""Real data: the 1797 handwritten digits that come with scikit-learn, as they are trained, validated and tested on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SPLIT_SEED = 0


class Part(NamedTuple):
    """Images in the shape (count, 64), and the digit that each of them shows."""

    images: NDArray[np.float32]
    labels: NDArray[np.intp]


class Digits(NamedTuple):
    """The three parts; no image is in two of them."""

    train: Part
    validation: Part
    test: Part


def load() -> Digits:
    """The digits, shuffled with a fixed seed, scaled by the mean and the standard deviation of the training part.

    Raises
    ------
    ImportError
        Where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError as missing:
        raise ImportError('the tour needs scikit-learn and matplotlib: pip install "rectified[tour]"') from missing
    source: Any = load_digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(source.target))
    test, validation = len(order) // 5, len(order) // 10
    images = source.data[order]
    seen = images[test + validation :]
    images = ((images - seen.mean()) / seen.std()).astype(np.float32)
    labels = source.target[order].astype(np.intp)
    cuts = [test, test + validation]
    parts = [Part(*part) for part in zip(np.split(images, cuts), np.split(labels, cuts), strict=True)]
    return Digits(train=parts[2], validation=parts[1], test=parts[0])
