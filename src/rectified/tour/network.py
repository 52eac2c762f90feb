"""A multilayer network that tells classes apart, from NumPy's matmul and rectified's value and backward alone. Copy it.

>>> import numpy as np
>>> import rectified as rf
>>> rng = np.random.default_rng(0)
>>> points = rng.standard_normal((200, 2), dtype=np.float32)
>>> inside = (np.hypot(*points.T) < 1).astype(int)
>>> network = Network([2, 16, 2], rf.relu, seed=1)
>>> losses = list(train(network, points, inside, epochs=40, learning_rate=0.1, seed=2))
>>> losses[-1] < losses[0] / 2
True
>>> network.accuracy(points, inside) > 0.9
True
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

import rectified as rf
from rectified.health import Evidence

Array = NDArray[Any]


class Layer(NamedTuple):
    """Weights in the shape (inputs, units), and a bias for each unit."""

    weights: Array
    bias: Array


class Network:
    """Dense layers with an activation behind each but the last, which gives the classes' scores as they are.

    Parameters
    ----------
    sizes : sequence of int
        How many numbers go in, how many units each hidden layer has, how many classes come out.
    activation : Ridge or Fold
        Any function of the catalogue. A unit of a fold such as `rectified.maxout` is the largest of `pieces` linear
        functions, so that its layer has `pieces` times as many weights.
    seed : int
        For the weights.
    dtype : dtype_like
        Of all that it computes.
    """

    def __init__(
        self, sizes: Sequence[int], activation: rf.Ridge | rf.Fold, *, seed: int, dtype: DTypeLike = np.float32
    ) -> None:
        self.activation = activation
        pieces = int(activation.parameters["pieces"].default) if isinstance(activation, rf.Fold) else 1
        # He: a rectifier stops half of the signal, so its weights have twice the variance. Xavier: the others keep it as
        # it is, and so does the larger of two pieces.
        gain = 2.0 if activation.kinks else 1.0
        rng = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        for place, (inputs, units) in enumerate(pairwise(sizes), start=2):
            columns = units if place == len(sizes) else units * pieces
            weights = rng.normal(0.0, np.sqrt(gain / inputs), (inputs, columns))
            self.layers.append(Layer(weights.astype(dtype), np.zeros(columns, dtype)))

    @property
    def size(self) -> int:
        """How many numbers it learns."""
        return sum(layer.weights.size + layer.bias.size for layer in self.layers)

    def forward(self, x: Array) -> tuple[list[Array], list[Array]]:
        """What goes into each activation, then the classes' scores; and what goes into each layer."""
        sums: list[Array] = []
        inputs = [x]
        for layer in self.layers:
            sums.append(inputs[-1] @ layer.weights + layer.bias)
            if layer is not self.layers[-1]:
                inputs.append(self.activation(sums[-1]))
        return sums, inputs

    def gradients(self, x: Array, labels: Array) -> tuple[float, list[Layer]]:
        """The mean loss, and its derivative by every weight and bias."""
        sums, inputs = self.forward(x)
        loss, dy = cross_entropy(sums[-1], labels)
        gradients: list[Layer] = []
        for place in reversed(range(len(self.layers))):
            gradients.append(Layer(inputs[place].T @ dy, dy.sum(axis=0)))
            if place > 0:
                dy = self.activation.backward(dy @ self.layers[place].weights.T, sums[place - 1])
        return loss, gradients[::-1]

    def accuracy(self, x: Array, labels: Array) -> float:
        """The share of `x` that it puts into the right class."""
        return float(np.mean(self.forward(x)[0][-1].argmax(axis=1) == labels))

    def evidence(self, x: Array, step: int = 0) -> list[Evidence]:
        """What the units of each hidden layer do with `x`, for `rectified.health` to judge; of a fold, its pieces."""
        return [Evidence.of(self.activation, sums, step=step) for sums in self.forward(x)[0][:-1]]


def cross_entropy(scores: Array, labels: Array) -> tuple[float, Array]:
    """The mean of -log softmax(scores)[label], and its derivative by the scores."""
    rows = np.arange(len(labels))
    shifted = scores - scores.max(axis=1, keepdims=True)  # so that exp can not overflow
    exponentials = np.exp(shifted)
    totals = exponentials.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(totals[:, 0]) - shifted[rows, labels])
    derivative = exponentials / totals
    derivative[rows, labels] -= 1
    return float(loss), derivative / len(labels)


def train(
    network: Network,
    x: Array,
    labels: Array,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    momentum: float = 0.9,
    batch: int = 32,
    clip: float = np.inf,
) -> Iterator[float]:
    """Stochastic gradient descent: changes the network in place, and yields the mean loss of each epoch when it is over.

    A gradient whose length, over all weights and biases together, is more than `clip` is shortened to it.
    """
    rng = np.random.default_rng(seed)
    steps = [Layer(np.zeros_like(layer.weights), np.zeros_like(layer.bias)) for layer in network.layers]
    for _ in range(epochs):
        losses = []
        for chosen in np.array_split(rng.permutation(len(x)), -(-len(x) // batch)):
            loss, gradients = network.gradients(x[chosen], labels[chosen])
            losses.append(loss)
            length = float(np.sqrt(sum(np.vdot(slope, slope) for gradient in gradients for slope in gradient)))
            rate = learning_rate * min(1.0, clip / length) if length > 0 else learning_rate
            for layer, step, gradient in zip(network.layers, steps, gradients, strict=True):
                for number, change, slope in zip(layer, step, gradient, strict=True):
                    change *= momentum
                    change -= rate * slope
                    number += change
        yield float(np.mean(losses))
