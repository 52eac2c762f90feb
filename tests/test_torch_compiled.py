"""What is seen of code that torch.compile compiles, and that this does not change what is compiled."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from rectified.health.verdict import DEAD  # noqa: E402
from rectified.torch import watch  # noqa: E402


class Block(nn.Module):
    """A part of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.second = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.act(self.first(x)))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("way", ["as one", "in place", "blocks"])
def test_nothing_is_compiled_more_often_than_without(way: str) -> None:
    def compiled(is_watched: bool) -> Any:
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Block(), Block(), Block())
        for part in network[2:] if way == "blocks" else [network] if way == "in place" else []:
            part.compile(backend="aot_eager")
        run = torch.compile(network, backend="aot_eager") if way == "as one" else network
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        with watch(network) if is_watched else nullcontext():
            for number in range(40):
                with torch.set_grad_enabled(number % 20 < 18):
                    y = run(torch.randn(16, 4)).sum()
                if y.requires_grad:
                    y.backward()
                    optimizer.step()
        counters = torch._dynamo.utils.counters
        return counters["frames"], counters["stats"]["unique_graphs"], counters["graph_break"]

    assert compiled(True) == compiled(False)


class Step:
    """Trains a network that is an attribute of what is no module."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(self.model(x), y)


@pytest.mark.parametrize("only", [True, False])
@pytest.mark.parametrize("way", ["a global", "an attribute", "an argument", "the network alone"])
def test_a_network_in_a_step_that_is_compiled_has_its_names(way: str, only: bool) -> None:
    torch._dynamo.reset()
    model = nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 3)), nn.ReLU())
    scope = {"model": model, "F": F}
    exec("def loss(x, y):\n    return F.cross_entropy(model(x), y)", scope)
    function = {"a global": scope["loss"], "an attribute": Step(model).loss, "an argument": Step.loss}.get(way, model)
    compiled: Any = torch.compile(function, backend="aot_eager")
    loss = {
        "an argument": lambda x, y: compiled(SimpleNamespace(model=model), x, y),
        "the network alone": lambda x, y: F.cross_entropy(compiled(x), y),
    }.get(way, compiled)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model if only else None) as health:
        for _ in range(5):
            loss(torch.randn(8, 4), torch.randint(0, 3, (8,))).backward()
            optimizer.step()
    assert {name: layer.units for name, layer in health.layers.items()} == {"1.0": 8, "2": 3}
    assert ("relu_on_output", "2") in [(found.kind, found.layer) for found in health.findings]


def test_compiled_blocks_tell_an_activation_behind_them_where_its_units_are() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Block(), nn.ReLU())
    with torch.no_grad():
        network[0].second.bias[2] = -50.0
    network[0].compile(backend="aot_eager")
    with watch(network) as health:
        for x in torch.randn(5, 8, 4):
            network(x)
    inner, verdict = health.report().layers
    assert (inner.layer.name, verdict.layer.name) == ("0.act", "1")
    assert verdict.of(DEAD).tolist() == [2]
    assert health.report().notes == []


def test_what_the_compiler_leaves_as_it_is_is_said_to_be_unseen() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    network.compile(backend="aot_eager")
    with watch(network) as health:
        network(torch.randn(5, 3))
    assert list(health.layers) == []
    assert health.report().notes[0].startswith("PyTorch compiles nothing of Sequential.compile()")


class Twice(nn.Module):
    """What one activation gives is what others get: all of them count it, and the channels lie last in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.act = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()
        self.second, self.out = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.convolution(x)))
        y = F.gelu(self.second(F.max_pool2d(x, 1)))
        return self.out((torch.tanh(y) * torch.sigmoid(x) + F.silu(y)).mean((2, 3)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_inductor_stores_is_counted_where_it_lies() -> None:
    found = []
    for way in ("without", "with", "eager"):
        torch._dynamo.reset()
        torch.manual_seed(0)
        network = Twice()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        run = network if way == "eager" else torch.compile(network)
        with watch(network) if way != "without" else nullcontext() as health:
            for x in torch.randn(5, 4, 3, 8, 8):
                optimizer.zero_grad()
                F.cross_entropy(run(x), torch.tensor([0, 1, 2, 0])).backward()
                optimizer.step()
        found.append((health, list(network.state_dict().values())))
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))  # bit by bit
    seen, truth = (
        {name: layer.histories["train"].total for name, layer in health.layers.items()} for health, _ in found[1:]
    )
    assert list(seen) == list(truth)
    for name, total in truth.items():
        np.testing.assert_allclose(seen[name].fired, total.fired, atol=2)  # of 720: compiled, it computes otherwise
        np.testing.assert_allclose(seen[name].sum_output, total.sum_output, rtol=1e-3)
        np.testing.assert_allclose(seen[name].max_slope, total.max_slope, rtol=1e-3)
