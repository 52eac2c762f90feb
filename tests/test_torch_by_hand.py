"""Functions that networks write with others, against the catalogue's; and what is a part of such, or of a loss."""

import math
import re
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import rectified as rf  # noqa: E402
from rectified.health import Evidence  # noqa: E402
from rectified.health.verdict import DEAD, LINEAR  # noqa: E402
from rectified.torch import watch  # noqa: E402
from torch_networks import compare  # noqa: E402

ROOT = math.sqrt(2 / math.pi)
BY_HAND: dict[str, tuple[Callable[[Tensor], Tensor], Any]] = {
    "gelu_tanh": (lambda x: 0.5 * x * (1.0 + torch.tanh(ROOT * (x + 0.044715 * torch.pow(x, 3.0)))), rf.gelu_tanh),
    "gelu_tanh factored": (
        lambda x: 0.5 * x * (1.0 + torch.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x))),
        rf.gelu_tanh,
    ),
    "gelu_tanh halved last": (lambda x: x * (1 + torch.tanh(ROOT * (x + 0.044715 * x**3))) * 0.5, rf.gelu_tanh),
    "gelu": (lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))), rf.gelu),
    "quick_gelu": (lambda x: x * torch.sigmoid(1.702 * x), rf.quick_gelu),
    "silu": (lambda x: x * torch.sigmoid(x), rf.silu),
    "silu, the other way round": (lambda x: x.sigmoid().mul(x), rf.silu),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), rf.mish),
    "mish of logarithms": (lambda x: x * torch.tanh(torch.log1p(torch.exp(x))), rf.mish),
    "lisht": (lambda x: x * torch.tanh(x), rf.lisht),
    "hardswish": (lambda x: x * F.relu6(x + 3) / 6, rf.hardswish),
    "softsign": (lambda x: x / (1 + x.abs()), rf.softsign),
    "elu": (lambda x: torch.where(x > 0, x, torch.exp(x) - 1), rf.elu),
    "leaky_relu": (lambda x: torch.max(x, 0.2 * x), rf.leaky_relu.bind(slope=0.2)),
    "leaky_relu, where": (lambda x: torch.where(x > 0, x, 0.1 * x), rf.leaky_relu.bind(slope=0.1)),
    "thresholded_relu": (lambda x: torch.where(x > 1, x, 0.0), rf.thresholded_relu),
    "hardtanh": (lambda x: torch.minimum(torch.maximum(x, torch.tensor(-1.0)), torch.tensor(1.0)), rf.hardtanh),
    "relu6": (lambda x: torch.minimum(F.relu(x), torch.tensor(6.0)), rf.relu6),
    "relu6 by a bound": (lambda x: F.relu(x).clamp(max=6), rf.relu6),
    "clipped relu": (lambda x: torch.clamp(F.relu(x), max=0.8), rf.clipped_relu.bind(ceiling=0.8)),
    "relu with a bound for safety": (lambda x: F.relu(x).clamp(max=1e4), rf.relu),
    "relu": (lambda x: x * (x > 0), rf.relu),
    "relu, the other way round": (lambda x: (x > 0) * x, rf.relu),
    "relu with a mask of floats": (lambda x: x * (x > 0).float(), rf.relu),
    "relu with a mask of its type": (lambda x: x * (x >= 0).to(x.dtype), rf.relu),
    "relu by its size": (lambda x: (x + x.abs()) / 2, rf.relu),
    "relu by masked_fill": (lambda x: x.masked_fill(x < 0, 0.0), rf.relu),
    "relu by clamp with a tensor": (lambda x: torch.clamp(x, min=torch.zeros(())), rf.relu),
    "sigmoid": (lambda x: 1 / (1 + torch.exp(-x)), rf.sigmoid),
    "sigmoid by its reciprocal": (lambda x: (1 + (-x).exp()).reciprocal(), rf.sigmoid),
    "sigmoid of two exponentials": (lambda x: x.exp() / (1 + x.exp()), rf.sigmoid),
    "softplus": (lambda x: torch.log(1 + torch.exp(x)), rf.softplus),
    "softplus by log1p": (lambda x: torch.log1p(torch.exp(x)), rf.softplus),
    "logsigmoid": (lambda x: -torch.log1p(torch.exp(-x)), rf.logsigmoid),
    "sigmoid by logsigmoid": (lambda x: F.logsigmoid(x).exp(), rf.sigmoid),
    "tanh": (lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)), rf.tanh),
    "squared_relu": (lambda x: F.relu(x) ** 2, rf.squared_relu),
    "squared_relu by square": (lambda x: torch.square(F.relu(x)), rf.squared_relu),
    "squared_relu by a product": (lambda x: F.relu(x) * F.relu(x), rf.squared_relu),
    "elu with a parameter": (lambda x: torch.where(x > 0, x, 0.5 * (torch.exp(x) - 1)), rf.elu.bind(alpha=0.5)),
    "celu with a parameter": (lambda x: torch.where(x > 0, x, 0.75 * torch.expm1(x / 0.75)), rf.celu.bind(alpha=0.75)),
    "silu with a parameter": (lambda x: x * torch.sigmoid(2.5 * x), rf.silu.bind(beta=2.5)),
}
parametrize = pytest.mark.parametrize(("function", "row"), BY_HAND.values(), ids=BY_HAND)


class Net(nn.Module):
    """Two layers with a function between them, which writes down its inputs. One of its units is far to either side."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.out, self.function = nn.Linear(3, 6), nn.Linear(6, 1), function
        self.inputs: list[Tensor] = []
        with torch.no_grad():
            self.layer.weight.mul_(3)
            self.layer.bias.copy_(torch.tensor([-40.0, 40.0, 0, 1, -3, 3]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        self.inputs.append(x.detach().clone())
        return self.out(self.function(x))


def learn(network: Net, steps: int = 30) -> list[Tensor]:
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
    for x in torch.randn(steps, 50, 3, generator=torch.Generator().manual_seed(0)):
        optimizer.zero_grad()
        network(x).mean().backward()
        optimizer.step()
    return list(network.parameters())


def truth(network: Net, row: rf.Ridge) -> Evidence:
    return reduce(add, [Evidence.of(row, x.numpy()) for x in network.inputs])


@parametrize
@pytest.mark.parametrize("way", ["trains", "without gradients"])
def test_what_a_network_writes_by_hand_is_the_function_of_the_catalogue(function: Any, row: rf.Ridge, way: str) -> None:
    networks = [Net(function), Net(function)]
    networks[1].load_state_dict(networks[0].state_dict())
    with watch(networks[1]) as health, torch.set_grad_enabled(way == "trains"):
        if way == "trains":
            assert all(map(torch.equal, learn(networks[1]), learn(networks[0])))
        else:
            for x in torch.randn(30, 50, 3):
                networks[1](x)
    (layer,) = health.layers.values()
    usual = rf.catalogue[row.name].parameters
    own = {name: each.default for name, each in row.parameters.items() if each.default != usual[name].default}
    assert (layer.function, layer.parameters) == (row.name, own)
    assert re.fullmatch(r"test_torch_by_hand.py:\d+ in <lambda>", layer.name)
    compare([layer], [truth(networks[1], row)])
    assert health.report().notes == []


@parametrize
def test_what_is_compiled_is_the_same_function(function: Any, row: rf.Ridge) -> None:
    class Bare(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return function(super().forward(x))

    network, x = Bare(nn.Linear(3, 6)), 5 * torch.randn(200, 3)
    with watch(network) as health:
        torch.compile(network, backend="aot_eager")(x)
    (layer,) = health.layers.values()
    assert layer.function == row.name
    assert re.fullmatch(r"test_torch_by_hand.py:\d+ in <lambda>", layer.name)
    compare([layer], [Evidence.of(row, network[0](x).detach().numpy())])
    assert health.report().notes == []


@pytest.mark.parametrize("is_compiled_first", [True, False])
def test_compiled_or_not_it_is_one_layer(is_compiled_first: bool) -> None:
    network = Net(BY_HAND["gelu_tanh"][0])
    network.forward = lambda x: network.out(network.function(network.layer(x)))  # type: ignore[method-assign]
    compiled = torch.compile(network, backend="aot_eager")
    with watch(network) as health:
        for step in range(8):
            (compiled if (step < 4) is is_compiled_first else network)(torch.randn(5, 3))
    (layer,) = health.layers.values()
    assert (layer.function, layer.histories["train"].total.samples) == ("gelu_tanh", 40)


def test_no_unit_is_saturated_by_a_part_of_its_function() -> None:
    network = Net(BY_HAND["gelu_tanh"][0])
    with torch.no_grad():
        network.layer.bias.fill_(60.0)  # where the tangent is flat, and GELU is steep
    with watch(network) as health:
        for x in torch.randn(30, 50, 3):
            network(x)
    (verdict,) = health.report().layers
    assert verdict.of(LINEAR).tolist() == list(range(6))


def test_large_batches_and_networks_outside_of_modules_are_seen() -> None:
    weight = torch.randn(8, 2048, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1e-3)
    with watch() as health:
        for _ in range(20):
            x = torch.randn(64, 8) @ weight
            (0.5 * x * (1 + torch.tanh(ROOT * (x + 0.044715 * x**3)))).sum().backward()
            optimizer.step()
    (layer,) = health.layers.values()
    assert (layer.function, layer.units, layer.histories["train"].total.samples) == ("gelu_tanh", 2048, 20 * 64)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.exp(x) / torch.exp(x).sum(-1, keepdim=True),
        lambda x: (x - x.max(-1, keepdim=True).values).exp() @ x.T,
        lambda x: -(x - torch.log(torch.exp(x).sum(-1, keepdim=True))).gather(1, torch.zeros(5, 1, dtype=torch.long)),
        lambda x: torch.cat([torch.sin(x), torch.cos(x / 10000 ** (torch.arange(6) / 6))], -1),
        lambda x: x + torch.exp(0.5 * x) * torch.randn(5, 6),
        lambda x: -0.5 * (1 + x - x**2 - x.exp()),
        lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-5).sqrt(),
        lambda x: torch.log(torch.exp(x) + 1e-6) + 1 / (x**2 + 1),
    ],
)
def test_what_else_is_computed_is_no_layer(function: Any) -> None:
    network = Net(function)
    network.out = nn.Identity()  # type: ignore[assignment]
    with watch(network) as health:
        for _ in range(3):
            network(torch.randn(5, 3)).sum().backward()
    assert health.layers == {}
    assert health.run.notes == []


def test_of_a_function_whose_inputs_nothing_keeps_a_note_tells() -> None:
    class Inline(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.out(1 / (1 + torch.exp(-self.layer(x))))

    network = Inline(torch.sigmoid)
    with watch(network) as health:
        for x in torch.randn(12, 5, 3):
            network(x).sum().backward()
    assert health.layers == {}
    (note,) = health.report().notes
    assert "Inline.forward: what it makes of its inputs" in note


def recurrent(a: Tensor, new: Tensor, before: Tensor) -> Tensor:
    return new + torch.sigmoid(a) * (before - new)


class Beta(nn.Module):
    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.beta, self.join = nn.Linear(3, 6), nn.Parameter(torch.ones(6)), join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.layer(x), self.beta)


@pytest.mark.parametrize(
    "join",
    [
        lambda x, beta: x * torch.sigmoid(beta * x),
        lambda x, beta: F.relu(x) - beta * F.relu(-x),
        lambda x, beta: x * torch.tanh(F.softplus(x) + beta),
        lambda x, beta: x * (0.2 + torch.tanh(x)),
    ],
)
def test_of_a_part_of_another_function_a_note_tells(join: Any) -> None:
    network = Beta(join)
    with watch(network) as health:
        for _ in range(12):
            network(torch.randn(5, 3)).sum().backward()
    assert health.layers == {}
    notes = health.report().notes
    assert notes != []
    assert all("joined with others of the same inputs" in note for note in notes)


@pytest.mark.parametrize(
    ("function", "seen"),
    [
        (lambda a, b: a * torch.sigmoid(b), ["sigmoid"]),
        (lambda a, b: torch.sigmoid(a) * torch.tanh(b) + (1 - torch.sigmoid(a)) * b, ["sigmoid", "tanh", "sigmoid"]),
        (lambda a, b: recurrent(a, torch.tanh(b), b.flip(0)), ["tanh", "sigmoid"]),
        (lambda a, b: a + torch.log(1 - torch.tanh(a) ** 2 + 1e-6), ["tanh"]),
        (lambda a, b: b * torch.log(a.sigmoid()) + (1 - b) * torch.log(1 - a.sigmoid()), ["sigmoid", "sigmoid"]),
        (lambda a, b: torch.relu(a) + torch.relu(b), ["relu", "relu"]),
        (lambda a, b: a.clamp(min=1e-6) + torch.max(a, torch.tensor(1e-6)) + a.clamp(-9, 9), []),
        (lambda a, b: torch.relu(a) * 2 + 1, ["relu"]),
    ],
)
def test_what_is_joined_with_others_stays_what_it_is(function: Any, seen: list[str]) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return function(self.a(x), self.b(x))

    network = Gated()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
    with watch(network) as health:
        for _ in range(12):
            network(torch.randn(5, 3)).sum().backward()
            optimizer.step()
    assert [layer.function for layer in health.layers.values()] == seen
    assert health.run.notes == []


def logistic(x: Tensor) -> Tensor:
    return torch.log(1 + torch.exp(x))


class Hinge(nn.Module):
    def forward(self, score: Tensor, y: Tensor) -> Tensor:
        return F.relu(1 - y * score).mean()


LOSSES: dict[str, tuple[Any, bool]] = {
    "hinge": (lambda score, y: F.relu(1 - y * score).mean(), True),
    "a hinge by clamp": (lambda score, y: (1 - y * score).clamp(min=0).sum(), True),
    "a squared hinge": (lambda score, y: (F.relu(1 - y * score) ** 2).mean(), True),
    "a hinge in a module": (Hinge(), True),
    "of a generator": (lambda score, y: F.softplus(-score).mean(), True),
    "a logistic loss": (lambda score, y: logistic(-y * score).mean(), True),
    "a hinge of scores in a row": (lambda score, y: F.relu(1 - y[:, 0] * score.squeeze()).mean(), True),
    "a hinge that is summed first": (lambda score, y: F.relu(1 - y * score).sum(1).mean(), True),
    "a hinge with a mask": (lambda score, y: (F.relu(1 - y * score) * (torch.rand(16, 1) > 0.5)).sum() / 3, True),
    "of distances": (lambda score, y: F.relu((score - y).norm(dim=1) - (score + y).norm(dim=1) + 1).mean(), True),
    "of contrasts": (lambda score, y: (y * score.norm(dim=1) + F.relu(2 - score.norm(dim=1)) ** 2).mean(), True),
    "of a generator's rival": (lambda score, y: F.softplus(score).mean(), True),
    "of pairs": (lambda score, y: -F.logsigmoid(score - score.flip(0)).mean(), True),
    "a hinge of which the true class is left out": (
        lambda score, y: F.relu(2 - y * score).masked_fill(torch.eye(16)[:, :1] > 0, 0.0).sum(1).mean(),
        True,
    ),
    "the largest of some": (lambda score, y: F.relu(1 - y * score).max(0)[0].mean(), True),
    "weighed by what is not learned": (lambda score, y: (F.relu(1 - y * score) @ torch.rand(1)).mean(), True),
    "a focal loss of probabilities": (
        lambda score, y: (
            F.binary_cross_entropy_with_logits(score, y / 2 + 0.5, reduction="none") * (1 - torch.sigmoid(score)) ** 2
        ).mean(),
        True,
    ),
    "a focal loss that takes probabilities first": (
        lambda score, y: (
            (1 - torch.sigmoid(score)) ** 2 * F.binary_cross_entropy_with_logits(score, y / 2 + 0.5, reduction="none")
        ).mean(),
        True,
    ),
    "what may be the network's": (lambda score, y: F.relu(score).sum(), False),
    "of a sigmoid": (lambda score, y: (torch.sigmoid(3 * score) - y).square().mean(), False),
}


@pytest.mark.parametrize(("loss", "is_loss"), LOSSES.values(), ids=LOSSES)
def test_a_rectifier_in_a_loss_is_no_layer(loss: Any, is_loss: bool) -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch() as health:
        for _ in range(20):
            optimizer.zero_grad()
            loss(network(torch.randn(16, 4)), torch.randn(16, 1).sign()).backward()
            optimizer.step()
    assert next(iter(health.layers)) == "1"
    assert len(health.layers) == (1 if is_loss else 2)
    notes = health.report().notes
    assert len(notes) == is_loss
    assert all("it is a part of a loss" in note or "it only bounds what it gets" in note for note in notes)


class Learned(nn.Module):
    """What a loss that learns has: a temperature, a shift, a proxy or a weight for each class, weights of the terms."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor([-1.0]))
        self.proxies, self.weights = nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.zeros(4))


def angular(net: Any, score: Tensor, y: Tensor) -> Tensor:
    cosine = F.linear(F.normalize(score), F.normalize(net.proxies))
    sine = torch.sqrt((1 - cosine**2).clamp(0, 1))
    return F.cross_entropy(cosine * 0.9 - sine * 0.4, torch.arange(16) % 5)


def of_proxies(net: Any, score: Tensor, y: Tensor) -> Tensor:
    distance = (score**2).sum(1, keepdim=True) + (net.proxies**2).sum(1) - 2 * score @ net.proxies.t()
    return F.relu(distance[:, :1] - distance + 0.2).sum(1).mean()


LOSSES_THAT_LEARN: dict[str, tuple[Any, bool]] = {
    "a hinge": (lambda net, score, y: F.relu(1 - net.scale * y * score).mean(), True),
    "a hinge by clamp": (lambda net, score, y: (net.shift - y * score).clamp(min=0).mean(), True),
    "a logistic loss": (lambda net, score, y: F.softplus(net.shift - net.scale.exp() * y * score).sum(), True),
    "of distances": (lambda net, score, y: (F.relu(2 - net.scale * score.norm(dim=1)) ** 2).mean(), True),
    "of pairs": (lambda net, score, y: -F.logsigmoid(score @ score.t() * net.scale + net.shift).mean(), True),
    "of angles": (angular, True),
    "of proxies": (of_proxies, True),
    "weights of scores": (lambda net, score, y: (torch.sigmoid(net.weights) * score - y).square().mean(), True),
    "a layer with a weight for each unit": (lambda net, score, y: (F.relu(score + y) * net.weights).sum(), False),
    "a layer whose mean is small": (
        lambda net, score, y: F.relu(score + y).mean() + F.layer_norm(F.relu(score + y), (4,)).matmul(net.weights).sum(),
        False,
    ),
    "an average that is returned": (lambda net, score, y: F.relu(score).mean(), False),
}


@pytest.mark.parametrize("way", ["apart", "within", "compiled"])
@pytest.mark.parametrize(("function", "is_loss"), LOSSES_THAT_LEARN.values(), ids=LOSSES_THAT_LEARN)
def test_an_activation_in_a_loss_that_learns_is_no_layer(function: Any, is_loss: bool, way: str) -> None:
    class Loss(Learned):
        def forward(self, score: Tensor, y: Tensor) -> Tensor:
            return function(self, score, y)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.loss = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)), Loss()

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.loss(self.network(x), y)

    whole = Whole()
    run: Any = (lambda x, y: whole.loss(whole.network(x), y)) if way == "apart" else whole
    if way == "compiled":
        torch._dynamo.reset()
        run = torch.compile(whole, backend="aot_eager")
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.01)
    with watch(None if way == "apart" else whole) as health:
        for _ in range(12):
            optimizer.zero_grad()
            run(torch.randn(16, 4), torch.randn(16, 1).sign()).backward()
            optimizer.step()
    names = list(health.layers)
    assert names[0] == ("1" if way == "apart" else "network.1")
    assert bool(names[1:]) is not is_loss


def test_what_gets_no_gradient_outside_of_a_network_is_not_counted() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch() as health:
        for x in torch.randn(20, 16, 4):
            score = network(x)
            F.mse_loss(score, x[:, :1].sign()).backward()
            (torch.sigmoid(score) > 0.5).float().mean().item()
            optimizer.step()
    assert list(health.layers) == ["1"]
    (note,) = health.report().notes
    assert note.endswith("nothing learns through it, and it was not counted")


def test_what_bounds_a_function_of_outputs_is_no_layer() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch() as health:
        for x in torch.randn(20, 16, 4):
            box, target = network(x), torch.rand(16, 4)
            low, high = torch.max(box[:, :2], target[:, :2]), torch.min(box[:, 2:], target[:, 2:])
            (-(high - low).clamp(min=0).prod(1).mean() + F.mse_loss(box, target)).backward()
            optimizer.step()
    assert list(health.layers) == ["1"]
    (note,) = health.report().notes
    assert note.endswith("it only bounds what it gets, and is no layer")


@pytest.mark.parametrize("in_module", [False, True])
def test_what_losses_compute_in_modules_and_sort_is_no_layer(in_module: bool) -> None:
    class Loss(nn.Module):
        def forward(self, score: Tensor, sign: Tensor) -> Tensor:
            errors = torch.sort((1 - score * sign).flatten())[0]
            focal = F.logsigmoid(-score * sign).exp() * (score - F.logsigmoid(score))
            return torch.dot(F.relu(errors), torch.linspace(0, 1, len(errors))) + focal.mean()

    class Sharpen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.conv1d(x[:, None], torch.tensor([[[1.0, 2.0, 1.0]]]), padding=1)[:, 0].clamp(0, 1)

    network, loss, sharpen = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)), Loss(), Sharpen()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch() as health:
        for x in torch.rand(20, 16, 4):
            with torch.no_grad():
                x = sharpen(x) if in_module else sharpen.forward(x)
            score, sign = network(x), x[:, :1].sign()
            (loss(score, sign) if in_module else loss.forward(score, sign)).backward()
            optimizer.step()
    assert list(health.layers) == ["1"]


@pytest.mark.parametrize("is_averaged_first", [True, False])
def test_what_feeds_a_layer_is_no_loss_whatever_its_mean_is_for(is_averaged_first: bool) -> None:
    encoder, decoder = nn.Linear(4, 8), nn.Linear(8, 4)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    with watch() as health:
        for x in torch.randn(20, 16, 4):
            hidden = F.relu(encoder(x) - 0.1)
            penalty = hidden.mean() if is_averaged_first else 0.0
            loss = F.mse_loss(decoder(hidden), x) + (penalty if is_averaged_first else hidden.mean())
            loss.backward()
            optimizer.step()
    (layer,) = health.layers.values()
    assert (layer.function, layer.histories["train"].total.samples) == ("relu", 20 * 16)
    assert health.report().notes == []


class Surrogate(torch.autograd.Function):
    """A step whose gradient is another function's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.relu(x).sign()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


@pytest.mark.parametrize("is_own", [True, False])
def test_a_gradient_that_the_program_defines_is_told(is_own: bool) -> None:
    network = Net(Surrogate.apply if is_own else (lambda x: F.relu(x).sign()))
    with watch(network) as health:
        for _ in range(3):
            network(torch.randn(5, 3)).sum().backward()
    (layer,) = health.layers.values()
    assert layer.note.startswith("the program defines its gradient") is is_own


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize("evaluates_first", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_what_gives_back_its_input_is_no_part_of_an_activation(
    share: float, evaluates_first: bool, gradients: bool
) -> None:
    net = nn.Sequential(nn.Linear(4, 8), Swish(), nn.Dropout(share), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def evaluate() -> None:
        net.eval()
        with torch.set_grad_enabled(gradients):
            net(torch.randn(16, 4))
        net.train()

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(net(torch.randn(16, 4)), torch.randint(0, 3, (16,))).backward()
            optimizer.step()

    with watch(net) as health:
        if evaluates_first:
            evaluate()
        train(20)
        evaluate()
        with torch.no_grad():
            net[0].weight[1] = 0
            net[0].bias[1] = -1e4
        train(80)
    (layer,) = health.layers.values()
    assert (layer.function, layer.name.partition(":")[0], health.report().notes) == ("silu", "1", [])
    samples = {mode: history.total.samples for mode, history in layer.histories.items()}
    assert samples == {"train": 1600, "eval": 16 * (1 + evaluates_first)}
    assert 1 in health.report().layers[0].of(DEAD)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("function", "bounds", "names"),
    [
        (F.softplus, (0.0, math.inf), ["softplus"]),
        (torch.sigmoid, (0, 1), ["sigmoid"]),
        (torch.relu, (0, None), ["relu"]),
        (torch.tanh, (-1, 1), ["tanh"]),
        (lambda x: x.softmax(1), (0, 1), []),
        (F.normalize, (-1, 1), []),
        (lambda x: F.linear(F.normalize(x), F.normalize(x[:8])), (-1, 1), []),
        (lambda x: F.normalize(x) * 2, (-1, 1), ["hardtanh"]),
        (lambda x: torch.sigmoid(x).view(-1, 2, 4).flatten(1), (0, 1), ["sigmoid"]),
        (lambda x: x.sinh(), (torch.zeros(8), torch.ones(8)), []),
    ],
)
def test_a_clamp_that_never_bends_is_no_layer(function: Any, bounds: Any, names: list[str], compiled: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.clamp(function(self.first(x)), *bounds))

    net = Net()
    run: Any = torch.compile(net, backend="aot_eager") if compiled else net
    with watch(net) as health:
        for _ in range(3):
            run(torch.randn(16, 4)).sum().backward()
    assert [layer.function for layer in health.layers.values()] == names


def test_a_clamp_without_an_upper_bound_is_relu() -> None:
    net = nn.Sequential(nn.Linear(4, 8), Clamping(0.0, math.inf))
    with watch(net) as health:
        net(torch.randn(16, 4))
    assert [layer.function for layer in health.layers.values()] == ["relu"]


class Clamping(nn.Module):
    def __init__(self, *bounds: float) -> None:
        super().__init__()
        self.bounds = bounds

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x, *self.bounds)


@pytest.mark.parametrize("gates", [False, True])
def test_a_sigmoid_of_logits_that_a_network_gives_its_own_loss(gates: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 1)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            logits = self.first(x)
            p = torch.sigmoid(logits)
            crossed = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
            more = self.last(p * x[:, :3]).sum() if gates else 0
            return (crossed * (1 - p * y - (1 - p) * (1 - y)) ** 2).sum() + more

    net = Net()
    with watch(net) as health:
        for _ in range(3):
            net(torch.randn(8, 4), torch.zeros(8, 3)).backward()
    assert len(health.layers) == gates
    notes = health.report().notes
    assert not notes if gates else "it is a part of a loss" in notes[0]


def test_an_activation_of_the_program_is_named_by_the_block_that_calls_it() -> None:
    class Block(nn.Module):
        def __init__(self, act: nn.Module) -> None:
            super().__init__()
            self.layer, self.act = nn.Linear(4, 4), act

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.layer(x))

    act = Clamping(0.0)
    net = nn.Sequential(Block(act), Block(act))
    with watch(net) as health:
        for _ in range(3):
            net(torch.randn(8, 4)).sum().backward()
    assert [name.partition(":")[0] for name in health.layers] == ["0.act", "1.act"]


def test_a_function_of_a_view_of_weights_is_no_layer() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.gate = nn.Linear(4, 8), nn.Parameter(torch.zeros(8))

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) * torch.sigmoid(self.gate.view(1, -1))

    net = Gated()
    with watch(net) as health:
        net(torch.randn(8, 4)).sum().backward()
    assert not health.layers
    assert health.report().notes == ["no activation was seen"]
