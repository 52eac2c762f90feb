"""Programs that do something else now and then are counted to the last sample: what, and when, is drawn."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from rectified.torch import watch
from rectified.torch.graph import gradients_are_computed

MODULES = [nn.Tanh, nn.Sigmoid, nn.SiLU, nn.ReLU, nn.GELU, nn.ELU, nn.Softplus, nn.Hardswish, nn.ReLU6, nn.Hardsigmoid]
FUNCTIONS: list[Callable[[Tensor], Tensor]] = [
    *(torch.tanh, torch.sigmoid, F.silu, F.relu, F.gelu, F.elu, F.softplus, F.hardswish),
    *(lambda x: x.clamp(min=0), lambda x: x.relu(), lambda x: x * torch.sigmoid(x)),
]
KEEP_THEIR_OUTPUT = (nn.Tanh, nn.Sigmoid, torch.tanh, torch.sigmoid)


class Block(nn.Module):
    """A layer with an activation, which remembers what this got and does otherwise when told to."""

    def __init__(self, units: int, draw: random.Random, *, is_convolution: bool) -> None:
        super().__init__()
        self.layer = nn.Conv1d(units, units, 3, padding=1) if is_convolution else nn.Linear(units, units)
        self.act: Any = draw.choice(MODULES)() if draw.random() < 0.6 else draw.choice(FUNCTIONS)
        self.is_residual = draw.random() < 0.4
        self.is_left_out = self.overwrites = self.fails = False
        self.got: dict[bool, list[Tensor]] = {True: [], False: []}

    def forward(self, x: Tensor) -> Tensor:
        if self.is_left_out:
            return x
        hidden = self.layer(x)
        if not gradients_are_computed():  # by checkpointing, again
            self.got[self.training].append(hidden.detach().float().clone())
        y = self.act(hidden)
        if self.overwrites and (self.act in KEEP_THEIR_OUTPUT or isinstance(self.act, nn.Tanh | nn.Sigmoid)):
            hidden.detach().add_(100)
        if self.fails:
            raise KeyError
        return x + y if self.is_residual else y


class Net(nn.Module):
    """Some blocks."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self.units, self.is_convolutional = draw.choice([3, 8, 17]), draw.random() < 0.35
        blocks = [Block(self.units, draw, is_convolution=self.is_convolutional) for _ in range(draw.randint(1, 6))]
        self.blocks, self.last = nn.ModuleList(blocks), nn.Linear(self.units, 2)
        self.checkpoints = self.turns_around = False

    def forward(self, x: Tensor) -> Tensor:
        for block in reversed(self.blocks) if self.turns_around else self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpoints else block(x)
        return self.last(x.mean(-1) if self.is_convolutional else x)


def happens(event: str, network: Net, block: Any, data: Callable[[int], Tensor]) -> None:
    """Something that a program does beside a step of training."""
    flags = {"leaves out": (block, "is_left_out"), "overwrites": (block, "overwrites")}
    flags |= {"checkpoints": (network, "checkpoints"), "turns around": (network, "turns_around")}
    if event in flags:
        owner, name = flags[event]
        setattr(owner, name, not getattr(owner, name))
    elif event == "replaces" and isinstance(block.act, nn.Module):
        block.act = type(block.act)()
    elif event == "freezes":
        block.requires_grad_(not next(block.parameters()).requires_grad)
    elif event == "passes":
        network(data(3))
    elif event in ("evaluates", "infers"):
        network.eval()
        with torch.inference_mode(event == "infers"):
            network(data(16))
        network.train()


EVENTS = ["leaves out", "overwrites", "checkpoints", "turns around", "replaces", "freezes", "passes", "evaluates", "infers"]


@pytest.mark.parametrize("seed", range(29))
def test_whatever_a_program_does_is_counted(seed: int) -> None:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    network, rate = Net(draw), draw.choice([0, 0.05, 0.2])
    optimizer, happened = torch.optim.SGD(network.parameters(), 1e-3), []

    def data(examples: int) -> Tensor:
        return torch.randn(examples, network.units, *([6] if network.is_convolutional else []))

    with watch(network) as health:
        for step in range(draw.randint(20, 70)):
            if draw.random() < rate:
                happened.append((step, draw.choice(EVENTS)))
                happens(happened[-1][1], network, draw.choice(list(network.blocks)), data)
            optimizer.zero_grad()
            loss = network(data(draw.choice([2, 64]) if draw.random() < rate / 10 else 16)).square().mean()
            if loss.requires_grad:
                loss.backward()
            optimizer.step()
    is_in_part = any("in part" in note for note in health.report().notes)
    for place, block in enumerate(network.blocks):
        for training, got in block.got.items():
            x = torch.cat(got).double().numpy() if got else np.empty((0, network.units))
            x = np.moveaxis(x, 1, -1).reshape(-1, network.units)
            mode = "train" if training else "eval"
            layers = [layer for name, layer in health.layers.items() if name.startswith(f"blocks.{place}")]
            total = [layer.histories[mode].total for layer in layers if mode in layer.histories]
            samples = sum(each.samples for each in total)
            if is_in_part:
                assert 0 <= len(x) - samples <= 64 * 6 * len(happened), happened  # a pass each
            else:
                assert samples == len(x), happened
                if samples:
                    output = sum(each.sum_output for each in total)
                    np.testing.assert_allclose(output, layers[0].activation(x).sum(0), rtol=1e-4, atol=2e-2)
