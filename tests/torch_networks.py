"""Networks with planted units, which write down what goes into each activation: the truth that the collector must find."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

import rectified as rf
from rectified.health import Evidence, Layer
from rectified.health.report import Report

LEAKY = rf.leaky_relu.bind(slope=0.2)


@dataclass
class Tape:
    """Writes down the inputs of activations, in order, where it is on."""

    is_on: bool = False
    inputs: dict[str, list[tuple[rf.Ridge, int, np.ndarray]]] = field(default_factory=dict)

    def __call__(self, name: str, x: Tensor, axis: int, function: rf.Ridge = rf.relu) -> Tensor:
        if self.is_on:
            wide = x.detach().float() if x.dtype == torch.bfloat16 else x.detach().clone()
            self.inputs.setdefault(name, []).append((function, axis, wide.numpy()))
        return x

    def evidence(self) -> list[Evidence]:
        """For each activation what it saw, by the catalogue's derivative."""
        return [
            reduce(add, [Evidence.of(function, x, axis) for function, axis, x in seen]) for seen in self.inputs.values()
        ]


class Network(nn.Module):
    """A network with a tape. `batch` draws an input; dead, saturated and linear are the planted units by activation."""

    dead: tuple[tuple[int, ...], ...] = ()
    saturated: tuple[tuple[int, ...], ...] = ()
    linear: tuple[tuple[int, ...], ...] = ()
    classes = 4
    seed = 1

    def __init__(self) -> None:
        super().__init__()
        self.tape = Tape()

    def batch(self) -> Tensor:
        raise NotImplementedError


def plant(
    bias: Tensor, dead: tuple[int, ...] = (), linear: tuple[int, ...] = (), followed_by: Tensor | None = None
) -> None:
    """Shift units so far that they never fire, or always do; weights that follow do not let the large outputs through."""
    with torch.no_grad():
        bias[list(dead)] = -15.0
        bias[list(linear)] = 15.0
        if followed_by is not None:
            followed_by[:, list(linear)] = 0.0


class Convolutions(Network):
    """Convolution, normalization, ReLU; the functional call sits behind pooling."""

    dead, linear = ((1, 5), (0,), (3,)), ((2,), (), (4,))

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.act = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.second, self.last = nn.Conv2d(8, 8, 3), nn.Linear(8 * 4, 6)
        self.out = nn.Linear(6, self.classes)
        plant(self.norm.bias, (1, 5), (2,), self.second.weight)
        plant(self.second.bias, (0,))
        plant(self.last.bias, (3,), (4,), self.out.weight)

    def batch(self) -> Tensor:
        return torch.randn(16, 3, 8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.tape("act", self.norm(self.first(x)), 1))
        x = F.max_pool2d(self.second(F.max_pool2d(x, 2)), 1)
        x = F.relu(self.tape("functional", x, 1))
        return self.out(torch.relu(self.tape("last", self.last(x.flatten(1)), 1)))


class Residual(Network):
    """Two blocks that share one ReLU, which works in place."""

    dead, linear = ((2,), (6,), (), (0,)), ((), (), (), ())

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(4))
        self.act = nn.ReLU(inplace=True)
        self.out = nn.Linear(8, self.classes)
        plant(self.norms[0].bias, (2,))
        plant(self.norms[1].bias, (6,))
        plant(self.norms[3].bias, (0,))

    def batch(self) -> Tensor:
        return torch.randn(8, 8, 6, 6)

    def forward(self, x: Tensor) -> Tensor:
        for block in (0, 2):
            y = self.act(self.tape(f"inner {block}", self.norms[block](self.convolutions[block](x)), 1))
            y = self.norms[block + 1](self.convolutions[block + 1](y))
            y += x
            x = self.act(self.tape(f"outer {block}", y, 1))
        return self.out(x.mean((2, 3)))


class EqualSizes(Network):
    """A convolution over time beside a linear layer, where channels, length and features are as many."""

    dead, linear = ((4,), (1,), (7,)), ((5,), (), ())

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.linear_, self.mixed = nn.Conv1d(8, 8, 1), nn.Linear(8, 8), nn.Linear(8, 8)
        self.relu = nn.ReLU()
        self.out = nn.Linear(8, self.classes)
        plant(self.convolution.bias, (4,), (5,), self.mixed.weight)
        plant(self.linear_.bias, (1,))
        plant(self.mixed.bias, (7,))

    def batch(self) -> Tensor:
        return torch.randn(8, 8, 8)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.tape("convolution", self.convolution(x), 1))
        b = self.relu(self.tape("linear", self.linear_(x), 2))
        c = self.mixed(a.transpose(1, 2) + b).permute(0, 2, 1)  # units to the middle
        return self.out(self.tape("mixed", c, 1).relu().mean(-1))


class Transformer(Network):
    """Blocks of attention, and of layers that widen: the activation is called as a function."""

    dead = ((3, 9), (0,))

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(4))
        self.up = nn.ModuleList(nn.Linear(8, 16) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(16, 8) for _ in range(2))
        self.drop, self.out = nn.Dropout(0.1), nn.Linear(8, self.classes)
        plant(self.up[0].bias, (3, 9))
        plant(self.up[1].bias, (0,))

    def batch(self) -> Tensor:
        return torch.randn(4, 16, 8)

    def forward(self, x: Tensor) -> Tensor:
        for k in range(2):
            y = self.norms[2 * k](x)
            x = x + self.drop(self.attention[k](y, y, y, need_weights=False)[0])
            y = self.drop(self.up[k](self.norms[2 * k + 1](x)))
            x = x + self.down[k](F.relu(self.tape(f"block {k}", y, 2)))
        return self.out(x.mean(1))


class Sigmoidal(Network):
    """Units of sigmoid and tanh that are stuck at one end, and one of a leaky ReLU that never bends."""

    saturated, linear, dead = ((0, 3), (2,), ()), ((), (), (1,)), ((), (), ())

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.sigmoid, self.leaky, self.out = nn.Sigmoid(), nn.LeakyReLU(0.2, inplace=True), nn.Linear(6, self.classes)
        with torch.no_grad():
            for layer in self.layers:
                layer.weight.mul_(3)
            self.layers[0].bias[[0, 3]] = torch.tensor([30.0, -30.0])
            self.layers[1].bias[2] = 30.0
            self.layers[1].weight[:, [0, 3]] = 0.0
            self.layers[2].bias[1] = 15.0

    def batch(self) -> Tensor:
        return torch.randn(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.sigmoid(self.tape("sigmoid", self.layers[0](x), 1, rf.sigmoid))
        y = torch.tanh(self.tape("tanh", self.layers[1](y), 1, rf.tanh))
        x = self.leaky(self.tape("leaky", self.layers[2](x), 1, LEAKY))
        return self.out(x + y)


class Recurrent(Network):
    """What a recurrent layer of ReLU gives is what its units did."""

    dead, linear = ((5,),), ((),)

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.out = nn.RNN(4, 6, nonlinearity="relu", batch_first=True), nn.Linear(6, self.classes)
        plant(self.recurrent.bias_ih_l0, (5,))

    def batch(self) -> Tensor:
        return torch.randn(8, 5, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.recurrent(x)[0]
        self.tape("recurrent", y, 2)
        return self.out(y[:, -1])


class Checkpointed(Network):
    """A part of the forward pass is repeated when gradients are computed, which is no second look."""

    dead, linear = ((2,), (1,)), ((3,), ())
    reentrant = False

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act = nn.Linear(6, 8), nn.Linear(8, 8), nn.ReLU()
        self.out = nn.Linear(8, self.classes)
        self.is_repeated = False
        plant(self.first.bias, (2,), (3,), self.second.weight)
        plant(self.second.bias, (1,))

    def batch(self) -> Tensor:
        return torch.randn(16, 6)

    def part(self, x: Tensor) -> Tensor:
        tape = self.tape if torch._C._current_graph_task_id() == -1 else (lambda name, x, axis: x)
        x = self.act(tape("first", self.first(x), 1))
        return F.relu(tape("second", self.second(x), 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(checkpoint(self.part, x.requires_grad_(), use_reentrant=self.reentrant))


class CheckpointedAgain(Checkpointed):
    """The older kind of checkpoint."""

    reentrant = True


class Plain(Network):
    """No module is an activation, and weights are multiplied by hand, from either side."""

    dead, linear = ((2,), (4,), (0,)), ((), (), (1,))
    seed = 2

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Parameter(torch.randn(6, 5) / 2), nn.Parameter(torch.randn(5, 6) / 2)
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(6)), nn.Parameter(torch.zeros(5))])
        self.stack = nn.Parameter(torch.randn(7, 5) / 2)
        self.shift = nn.Parameter(torch.zeros(7))
        self.out = nn.Linear(7, self.classes)
        plant(self.biases[0], (2,))
        plant(self.biases[1], (4,))
        plant(self.shift, (0,), (1,), self.out.weight)

    def batch(self) -> Tensor:
        return torch.randn(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tape("right", x @ self.right + self.biases[0], 1).relu_()
        x = self.tape("left", (self.left.t() @ x.t()) + self.biases[1][:, None], 0).clamp(min=0)
        x = torch.einsum("oi,ib->bo", self.stack, x) + self.shift
        return self.out(torch.clamp_min(self.tape("einsum", x, 1), 0))


class Healthy(Network):
    """Nothing is wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, self.classes))

    def batch(self) -> Tensor:
        return torch.randn(64, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body[1](self.tape("relu", self.body[0](x), 1))
        return self.body[4](self.body[3](self.tape("tanh", self.body[2](x), 1, rf.tanh)))


class Sparse(Network):
    """Each unit fires on about one input in five hundred, and all of them can learn."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(8, 32), nn.Linear(32, self.classes)
        with torch.no_grad():
            self.hidden.weight.copy_(F.normalize(self.hidden.weight))
            self.hidden.bias.fill_(-2.9)

    def batch(self) -> Tensor:
        return torch.randn(1024, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.tape("hidden", self.hidden(x), 1)))


NETWORKS: tuple[type[Network], ...] = (
    Convolutions,
    Residual,
    EqualSizes,
    Transformer,
    Sigmoidal,
    Recurrent,
    Checkpointed,
    CheckpointedAgain,
    Plain,
    Healthy,
    Sparse,
)


def train(
    network: Network, run: Callable[[Tensor], Tensor] | None = None, steps: int = 20, seed: int = 0, rate: float = 1e-4
) -> list[Tensor]:
    """Train for some steps on random labels; the parameters and buffers afterwards."""
    torch.manual_seed(seed)
    run = network if run is None else run
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    for _ in range(steps):
        x = network.batch()
        optimizer.zero_grad()
        F.cross_entropy(run(x), torch.randint(0, network.classes, (len(x),))).backward()
        optimizer.step()
    return [tensor.detach().clone() for tensor in network.state_dict().values()]


def built(network: type[Network]) -> Network:
    """A network from its seed."""
    torch.manual_seed(network.seed)
    return network()


def compare(layers: Iterator[Layer] | Any, truth: list[Evidence], mode: Any = "train", *, exact: bool = True) -> None:
    """Fail unless layers saw what the tape has."""
    seen = [layer.histories[mode].total for layer in layers if mode in layer.histories]
    assert len(seen) == len(truth)
    for found, expected in zip(seen, truth, strict=True):
        assert (found.samples, found.examples) == (expected.samples, expected.examples)
        np.testing.assert_array_equal(found.nans, expected.nans)
        if exact:
            np.testing.assert_array_equal(found.fired, expected.fired)
            np.testing.assert_allclose(found.max_slope, expected.max_slope, rtol=1e-6)
            np.testing.assert_allclose(found.min_slope, expected.min_slope, rtol=1e-6)
        scale = max(1e-30, float(np.abs(expected.sum_abs_output).max()))
        np.testing.assert_allclose(found.sum_output / scale, expected.sum_output / scale, atol=1e-5 if exact else 1e-2)
        np.testing.assert_allclose(
            found.sum_abs_output / scale, expected.sum_abs_output / scale, atol=1e-5 if exact else 1e-2
        )
        assert math.isfinite(found.gradient_squares)


def told(report: Report, state: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(verdict.of(state).tolist()) for verdict in report.layers)


def planted(network: Network, kind: str, layers: int) -> tuple[tuple[int, ...], ...]:
    return getattr(network, kind) or ((),) * layers
