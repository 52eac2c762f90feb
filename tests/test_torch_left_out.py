"""Passes that leave a part of a network out: no activation gets what another one did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rectified as rf
from rectified.torch import watch

STEPS, BATCH = 40, 8
IN_PART = "some forward passes did what none before had done, and were counted in part"


def trained(network: nn.Module, odd: set[int]) -> Any:
    """What was seen of a network that does something else in some steps."""
    optimizer = torch.optim.SGD(network.parameters(), 0.001)
    with watch(network) as health:
        for step in range(STEPS):
            network.odd = step in odd
            optimizer.zero_grad()
            network(torch.randn(BATCH, 4)).square().mean().backward()
            optimizer.step()
    return health


class Branches(nn.Module):
    """Two activations behind one layer, of which the first never fires."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.odd = way, False
        self.layer, self.out = nn.Linear(4, 8), nn.Linear(4, 2)
        self.first, self.second, self.outs = nn.ReLU(), nn.ReLU(), nn.ModuleList(nn.Linear(8, 2) for _ in range(2))
        with torch.no_grad():
            self.layer.bias[: 8 if way in ("heads", "pooled") else 4] = -50 if way != "pooled" else 0

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        if self.way == "heads":  # each before a layer of its own
            return self.outs[1](self.second(h + 50)) if self.odd else self.outs[0](self.first(h))
        if self.way == "pooled":
            a, b = (h - 50).view(-1, 8), h.view(-1, 8)
            rest = torch.zeros(()) if self.odd else self.outs[0](self.first(a))
            return rest + self.outs[1](self.second(b * 0.5))
        a, b = h.chunk(2, -1) if self.way == "chunks" else (h[:, :4], h[:, 4:])
        if self.way == "turned around":
            a, b = self.first(a), self.second(b)
            return self.outs[0](torch.cat((b, a) if self.odd else (a, b), -1))
        return self.out((0 if self.odd else self.first(a)) + self.second(b))


@pytest.mark.parametrize("odd", [{11}, {8}, {11, 21, 31}], ids=str)
@pytest.mark.parametrize("way", ["chunks", "slices", "turned around", "heads", "pooled"])
def test_no_branch_gets_what_another_did(way: str, odd: set[int]) -> None:
    torch.manual_seed(0)
    health = trained(Branches(way), odd)
    seen = {name: layer.histories["train"].total for name, layer in health.layers.items()}
    ran = {"first": STEPS - len(odd), "second": len(odd) if way == "heads" else STEPS}
    if way == "turned around":
        ran["first"] = STEPS
    assert not seen["first"].fired.any()
    assert seen["first"].samples <= BATCH * ran["first"]
    lost = {name: passes - (seen[name].samples // BATCH if name in seen else 0) for name, passes in ran.items()}
    assert 0 <= min(lost.values()) <= max(lost.values()) <= len(odd)
    assert health.report().notes == ([IN_PART] if any(lost.values()) else [])


def gelu_by_hand(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3)))


BY_HAND: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "gelu_tanh": (gelu_by_hand, "gelu_tanh"),
    "quick_gelu": (lambda x: x * torch.sigmoid(1.702 * x), "quick_gelu"),
    "silu": (lambda x: x * torch.sigmoid(x), "silu"),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), "mish"),
    "relu": (lambda x: 0.5 * (x + x.abs()), "relu"),
    "where": (lambda x: torch.where(x > 0, x, 0.0), "relu"),
}


class ByHand(nn.Module):
    """A function that is written out, behind products that look like a part of it."""

    def __init__(self, act: Callable[[Tensor], Tensor], left_out: str) -> None:
        super().__init__()
        self.act, self.left_out, self.odd = act, left_out, False
        self.first, self.second, self.out = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2)
        self.inputs: list[np.ndarray[Any, Any]] = []

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        h = h if self.odd and self.left_out == "another" else torch.relu(h)
        h = self.second(h)
        h = -(h * h) - 40 if self.left_out == "this" else h
        if self.odd and self.left_out == "this":
            return self.out(h + 35)
        self.inputs.append(h.detach().numpy().copy())
        return self.out(self.act(h))


@pytest.mark.parametrize("odd", [{15}, {8}, {6, 9, 15}], ids=str)
@pytest.mark.parametrize("left_out", ["another", "this"])
@pytest.mark.parametrize("function", BY_HAND)
def test_nothing_else_is_taken_for_a_function_that_is_written_out(function: str, left_out: str, odd: set[int]) -> None:
    torch.manual_seed(0)
    act, name = BY_HAND[function]
    network = ByHand(act, left_out)
    health = trained(network, odd)
    x = np.concatenate(network.inputs)
    (seen,) = (layer.histories["train"].total for layer in health.layers.values() if layer.units == 5)
    assert [layer.function for layer in health.layers.values()] == ["relu", name]
    assert 0 <= len(x) - seen.samples <= BATCH * len(odd)
    assert seen.samples == len(x) or health.report().notes == [IN_PART]
    assert (seen.max_slope <= abs(rf.catalogue[name].derivative(x)).max(0) * 1.001).all()
