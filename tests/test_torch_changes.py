"""Networks that do now this, now that: with the axes of their units, with a function, or in turns with others."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rectified as rf
from rectified.health.verdict import DEAD
from rectified.torch import watch

UNITS, BATCH, PASSES, SILENT = 8, 16, 40, 1


class Changing(nn.Module):
    """Units that all fire but one, wherever they are."""

    def __init__(self, layer: nn.Module, forward: Callable[[Changing, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.act, self.passes, self._forward = layer, nn.ReLU(), 0, forward
        with torch.no_grad():
            layer.bias[SILENT] = -15

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return self._forward(self, x)


def norm(net: Changing, x: Tensor) -> Tensor:
    return net.act(net.layer(x if net.passes % 2 else x[..., 0]))


def squeezed(net: Changing, x: Tensor) -> Tensor:
    return F.relu(net.layer(x if net.passes > 4 else x[..., :1]).squeeze(-1))


def both_ways(net: Changing, x: Tensor) -> Tensor:
    return net.act(net.layer(x)).mean(2) + net.act(net.layer(x.flip(2)).transpose(1, 2)).mean(1)


def train(net: nn.Module, batches: Sequence[Any], *, lr: float = 1e-4) -> Any:
    optimizer = torch.optim.SGD(net.parameters(), lr)
    with watch(net) as health:
        for batch in batches:
            optimizer.zero_grad()
            net(*batch).square().mean().backward()
            optimizer.step()
    return health


@pytest.mark.parametrize(
    ("layer", "forward", "layers"),
    [
        (nn.BatchNorm1d(UNITS), norm, 1),
        (nn.Conv1d(UNITS, UNITS, 1), squeezed, 1),
        (nn.Conv1d(UNITS, UNITS, 1), both_ways, 2),
    ],
)
def test_units_are_found_on_other_axes(layer: nn.Module, forward: Any, layers: int) -> None:
    health = train(Changing(layer, forward), [(torch.randn(BATCH, UNITS, UNITS),) for _ in range(PASSES)])
    assert [verdict.of(DEAD).tolist() for verdict in health.report().layers] == [[SILENT]] * layers
    assert all(not verdict.layer.note for verdict in health.report().layers)


@pytest.mark.parametrize("at", [2, 20])
def test_units_that_move_to_another_axis_are_counted_no_longer(at: int) -> None:
    def moving(net: Changing, x: Tensor) -> Tensor:
        y = net.layer(x)
        return F.relu(y.transpose(1, 2) if net.passes >= at else y)

    net = Changing(nn.Linear(UNITS, UNITS), moving)
    verdict = train(net, [(torch.randn(BATCH, UNITS, UNITS),) for _ in range(PASSES)]).report().layers[0]
    assert "on other axes later" in verdict.layer.note
    assert verdict.history.total.samples < PASSES * BATCH * UNITS


class Given(nn.Module):
    """A linear layer, and the activation that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(UNITS, UNITS)
        with torch.no_grad():
            self.layer.bias[SILENT] = -15

    def forward(self, x: Tensor, function: Any, *parameters: float) -> Tensor:
        return function(self.layer(x), *parameters)


def test_two_functions_at_one_place_are_two_layers() -> None:
    calls = [F.relu, F.leaky_relu] * (PASSES // 2)
    layers = train(Given(), [(torch.randn(BATCH, UNITS), function) for function in calls]).report().layers
    found = {verdict.layer.function: (verdict.history.total.samples, verdict.of(DEAD).tolist()) for verdict in layers}
    assert found == {"relu": (PASSES // 2 * BATCH, [SILENT]), "leaky_relu": (PASSES // 2 * BATCH, [])}


def test_another_parameter_at_one_place_is_told() -> None:
    slopes = [0.0] * 10 + [0.5] * 200
    health = train(Given(), [(torch.randn(BATCH, UNITS), F.leaky_relu, slope) for slope in slopes])
    (layer,) = health.layers.values()
    assert "a parameter of that changed" in layer.note


@pytest.mark.parametrize("every", [1, 2, 10])
def test_networks_that_take_turns_are_all_seen(every: int) -> None:
    nets = [nn.Sequential(nn.Linear(UNITS, UNITS), nn.ReLU()) for _ in range(2)]
    optimizers = [torch.optim.SGD(net.parameters(), 1e-4) for net in nets]
    with watch(every=every) as health:
        for _ in range(100):
            for net, optimizer in zip(nets, optimizers, strict=True):
                optimizer.zero_grad()
                net(torch.randn(BATCH, UNITS)).sum().backward()
                optimizer.step()
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [100 // every * BATCH] * 2
    assert all(np.isfinite(verdict.gradient_norm) for verdict in health.report().layers)


@pytest.mark.parametrize("every", [1, 3])
def test_gradients_of_a_network_whose_first_step_gets_none_are_measured(every: int) -> None:
    maker, judge = (nn.Sequential(nn.Linear(UNITS, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS)) for _ in range(2))
    optimizers = [torch.optim.SGD(net.parameters(), 1e-3) for net in (maker, judge)]
    with watch(every=every) as health:
        for _ in range(PASSES):
            for own in (False, True):
                made = maker(torch.randn(BATCH, UNITS))
                judge(made if own else made.detach()).square().mean().backward()
                optimizers[not own].step()
                optimizers[own].zero_grad()
    report = health.report()
    assert [verdict.history.total.samples for verdict in report.layers] == [-(-2 * PASSES // every) * BATCH] * 2
    assert all(verdict.gradient_norm > 0 for verdict in report.layers)


def by_hand(parameters: list[nn.Parameter]) -> Callable[[], None]:
    def step() -> None:
        with torch.no_grad():
            for parameter in parameters:
                parameter -= 1e-3 * parameter.grad  # type: ignore[operator]

    return step


def wrapped(parameters: list[nn.Parameter]) -> Callable[[], None]:
    class Outer(torch.optim.Optimizer):
        def __init__(self) -> None:
            self.inner = torch.optim.SGD(parameters, 1e-3)
            super().__init__(parameters, {})

        def step(self, closure: Any = None) -> Any:
            return self.inner.step(closure)

    return Outer().step


def one_for_each(parameters: list[nn.Parameter]) -> Callable[[], None]:
    optimizers = [torch.optim.SGD([parameter], 1e-3) for parameter in parameters]
    return lambda: [optimizer.step() for optimizer in optimizers] and None


def compiled(parameters: list[nn.Parameter]) -> Callable[[], None]:
    torch._dynamo.reset()
    return torch.compile(torch.optim.SGD(parameters, 1e-3).step, backend="eager")


def by_data(parameters: list[nn.Parameter]) -> Callable[[], None]:
    def step() -> None:
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.data.add_(parameter.grad, alpha=-1e-3)

    return step


def by_data_of_the_last(parameters: list[nn.Parameter]) -> Callable[[], None]:
    return by_data(parameters[-1:])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [by_hand, by_data, by_data_of_the_last, wrapped, one_for_each, compiled])
def test_a_step_is_one_however_it_is_made(make: Callable[[list[nn.Parameter]], Callable[[], None]]) -> None:
    net = nn.Sequential(nn.Linear(UNITS, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS))
    step = make(list(net.parameters()))
    with watch(net) as health:
        for number in range(3 * PASSES):
            if number == PASSES:
                with torch.no_grad():
                    net[0].bias[SILENT] = -100
            net.zero_grad()
            net(torch.randn(BATCH, UNITS)).square().mean().backward()
            step()
    verdict = health.report().layers[0]
    assert verdict.history.total.steps == (0, 3 * PASSES - 1)
    assert (verdict.of(DEAD).tolist(), verdict.since[SILENT]) == ([SILENT], PASSES)


@pytest.mark.parametrize("passes", [8, 9, 2 * PASSES])
def test_where_no_step_is_known_a_note_tells(passes: int) -> None:
    net = nn.Sequential(nn.Linear(UNITS, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS))
    with watch(net) as health:
        for _ in range(passes):
            net(torch.randn(BATCH, UNITS)).square().mean().backward()
    assert [note.partition(",")[0] for note in health.report().notes] == ["no step was seen"] * (passes > 8)


@pytest.mark.parametrize("every", [1, 3])
def test_steps_of_a_network_of_functions_are_counted_behind_a_module(every: int) -> None:
    weight = torch.randn(UNITS, UNITS, requires_grad=True)
    optimizer = torch.optim.SGD([weight], 1e-3)
    with watch(every=every) as health:
        nn.Linear(UNITS, UNITS)(torch.randn(BATCH, UNITS))
        for _ in range(3 * PASSES):
            F.relu(torch.randn(BATCH, UNITS) @ weight).sum().backward()
            optimizer.step()
    (verdict,) = health.report().layers
    assert verdict.history.total.samples == 3 * PASSES // every * BATCH


@pytest.mark.parametrize("every", [2, 3, 10])
@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_what_is_counted_has_no_period(every: int, tasks: int) -> None:
    net = nn.Sequential(nn.Linear(tasks, tasks), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(tasks))
        net[0].bias.fill_(-0.5)
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    with watch(net, every=every) as health:
        for number in range(600):
            net(torch.eye(tasks)[[number % tasks]]).sum().backward()
            optimizer.step()
    (verdict,) = health.report().layers
    assert verdict.history.total.samples == 600 // every
    assert not verdict.of(DEAD).size
    assert np.abs(verdict.history.total.fired * every * tasks / 600 - 1).max() < 0.5


def test_evaluation_before_each_step_is_seen() -> None:
    net = nn.Sequential(nn.Linear(UNITS, UNITS), nn.ReLU())
    optimizer = torch.optim.SGD(net.parameters(), 1e-4)
    with watch(net, every=2) as health:
        for _ in range(PASSES):
            net.eval()(torch.randn(BATCH, UNITS))
            net.train()(torch.randn(BATCH, UNITS)).sum().backward()
            optimizer.step()
    (layer,) = health.layers.values()
    assert {layer.histories[mode].total.samples for mode in ("train", "eval")} == {PASSES // 2 * BATCH}


@pytest.mark.parametrize("lose", [lambda y: y.squeeze(-1), lambda y: y.view(-1), lambda y: y[:, 0], lambda y: y.flatten()])
def test_one_unit_without_an_axis_is_a_unit(lose: Callable[[Tensor], Tensor]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(UNITS, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(lose(self.layer(x)))

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with watch(net) as health:
        for _ in range(PASSES):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(net(torch.randn(BATCH, UNITS)), torch.rand(BATCH)).backward()
            optimizer.step()
    (layer,) = health.layers.values()
    assert (layer.units, layer.histories["train"].total.samples) == (1, PASSES * BATCH)
    assert [found.kind for found in health.findings] == ["sigmoid_on_output"]
    assert np.isfinite(health.report().layers[0].gradient_norm)


@pytest.mark.parametrize("first", [1, BATCH])
@pytest.mark.parametrize(
    "lose", [lambda y: y.squeeze(-1) * 2 + 1, lambda y: y.flatten(), lambda y: y.view(-1), lambda y: y[:, 0]]
)
def test_one_unit_is_known_beside_one_row(lose: Callable[[Tensor], Tensor], first: int) -> None:
    net = Changing(nn.Linear(UNITS, 2), lambda net, x: F.relu(lose(net.layer(x)[:, :1])))
    verdict = train(net, [(torch.randn(first, UNITS),), *[(torch.randn(BATCH, UNITS),)] * 9]).report().layers[0]
    assert (verdict.layer.units, verdict.history.total.samples) == (1, first + 9 * BATCH)


def test_a_weight_for_each_row_leaves_the_units_where_they_are() -> None:
    attention = nn.Linear(UNITS, 1)

    def forward(net: Changing, x: Tensor) -> Tensor:
        y = net.layer(x)
        weights = torch.softmax(F.leaky_relu(attention(y).squeeze(-1)).view(-1, 4), 1).flatten()
        return F.relu(torch.zeros_like(y).index_add(0, torch.arange(BATCH) // 4, weights[:, None] * y))

    net = Changing(nn.Linear(UNITS, UNITS), forward)
    verdicts = train(net, [(torch.randn(BATCH, UNITS),) for _ in range(PASSES)]).report().layers
    assert [(verdict.layer.function, verdict.layer.units) for verdict in verdicts] == [("leaky_relu", 1), ("relu", UNITS)]
    assert SILENT in verdicts[1].of(DEAD)


@pytest.mark.parametrize("norm", [nn.LayerNorm(36), nn.BatchNorm1d(36)])
def test_a_norm_has_units_of_its_own(norm: nn.Module) -> None:
    with torch.no_grad():
        norm.weight[:30], norm.bias[:30] = 0, -3
    net = Changing(nn.Conv2d(3, 2, 3), lambda net, x: F.relu(norm(net.layer(x)[:, :1].flatten(1))))
    verdict = train(net, [(torch.randn(64, 3, 8, 8),)] * 5).report().layers[0]
    assert verdict.of(DEAD).tolist() == list(range(30))


def test_parameters_may_be_tensors() -> None:
    x = torch.randn(BATCH, UNITS)
    for parameters in ((F.leaky_relu, torch.tensor(0.1)), (F.hardtanh, torch.tensor(-1.0), torch.tensor(1.0))):
        (layer,) = train(Given(), [(x, *parameters)] * 5).layers.values()
        assert layer.histories["train"].total.samples == 5 * BATCH


@pytest.mark.parametrize("passes", [6, 100])
@pytest.mark.parametrize(
    "act",
    [F.relu, lambda x: torch.where(x > 0, x, 0.0), lambda x: x * (x > 0), lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))],
    ids=["relu", "where", "product", "gelu"],
)
def test_all_passes_of_what_no_module_holds_are_counted(act: Callable[[Tensor], Tensor], passes: int) -> None:
    """What a program writes over its tensors makes no end of calls that are functions of each other."""
    tensors = [torch.randn(shape, requires_grad=True) for shape in ((UNITS, UNITS), (UNITS,), (UNITS, 2))]
    weight, bias, out = tensors
    with watch() as health:
        for _ in range(passes):
            loss = (act(torch.randn(BATCH, UNITS) @ weight + bias) @ out).square().mean()
            gradients = torch.autograd.grad(loss, tensors)
            with torch.no_grad():
                for tensor, gradient in zip(tensors, gradients, strict=True):
                    tensor -= 1e-4 * gradient
    (layer,) = health.layers.values()
    assert layer.histories["train"].total.samples == passes * BATCH
    assert [note.partition(",")[0] for note in health.report().notes] == ["no step was seen"] * (passes > 8)


LATE = "it ran before its units were known, and that was not counted"


class ByMethod(nn.Module):
    """A layer written by hand, whose forward pass another method calls; some of its units are dead."""

    def __init__(self, *dead: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 6)), nn.Parameter(torch.zeros(6))
        self.act = nn.ReLU()
        with torch.no_grad():
            self.bias[[*dead]] = -99.0

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x @ self.weight + self.bias)

    def squared(self, x: Tensor) -> Tensor:
        return self.forward(x).pow(2).mean(1)

    def by_module(self, x: Tensor) -> Tensor:
        return self.act(x @ self.weight + self.bias).mean(1)


@pytest.mark.parametrize("method", ["forward", "squared", "by_module"])
@pytest.mark.parametrize("in_turns", [False, True])
def test_networks_that_run_by_a_method_are_told_apart(method: str, in_turns: bool) -> None:
    networks = ByMethod(0, 1), ByMethod(4, 5)
    optimizers = [torch.optim.SGD(network.parameters(), lr=1e-4) for network in networks]
    with watch() as health:
        for step in range(40):
            number = step % 2 if in_turns else step // 20
            getattr(networks[number], method)(torch.randn(32, 4)).neg().exp().mean().backward()
            optimizers[number].step()
    assert [verdict.of(DEAD).tolist() for verdict in health.report().layers] == [[0, 1], [4, 5]]
    samples = [layer.histories["train"].total.samples for layer in health.layers.values()]
    assert samples == [32 * 20, 32 * (20 if in_turns else 19)]
    assert [LATE in note for note in health.report().notes] == ([] if in_turns else [True])


def test_what_a_function_computes_later_is_told_of() -> None:
    first, second = (torch.randn(4, 8, requires_grad=True) for _ in "12")
    optimizer = torch.optim.SGD([first, second], lr=1e-3)
    with watch() as health:
        for step in range(40):
            x = torch.randn(16, 4)
            hidden = F.relu(x @ first).mean() if step <= 20 else torch.sigmoid(x @ second).neg().exp().mean()
            hidden.backward()
            optimizer.step()
    relu, sigmoid = (layer.histories["train"].total for layer in health.layers.values())
    assert (relu.samples, sigmoid.samples, sigmoid.steps) == (16 * 21, 16 * 18, (22, 39))
    (note,) = health.report().notes
    assert LATE in note
    assert "in test_what" in note


def test_functions_of_two_networks_at_one_place_are_told_of() -> None:
    def network(x: Tensor, weights: list[Tensor]) -> Tensor:
        return torch.relu(x @ weights[0]) @ weights[1]

    first, second = ([torch.randn(4, 6).requires_grad_(), torch.randn(6, 1).requires_grad_()] for _ in range(2))
    optimizer = torch.optim.SGD([*first, *second], lr=1e-3)
    with watch() as health:
        for _ in range(10):
            x = torch.randn(32, 4)
            (network(x, first) - network(x, second)).square().mean().backward()
            optimizer.step()
    (note,) = health.report().notes
    assert "its inputs come from different layers" in note


@pytest.mark.parametrize("gradients", [False, True])
def test_what_a_constructor_asks_a_part_is_no_training(gradients: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten())
            with torch.no_grad():
                self.part[0].weight[0], self.part[0].bias[0] = -1, 0.5
            with torch.set_grad_enabled(gradients):
                self.last = nn.Linear(self.part(torch.zeros(1, 1, 5, 5)).shape[1], 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.part(x))

    with watch() as health:
        network = Net()
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
        for _ in range(10):
            network(torch.rand(8, 1, 5, 5) + 1).mean().backward()
            optimizer.step()
    (verdict,) = health.report().layers
    assert verdict.history.total.samples == 10 * 8 * 9
    assert 0 in verdict.of(DEAD)


def test_what_ran_without_gradients_before_a_training_is_none() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
    with watch(network) as health:
        with torch.no_grad():
            network(torch.zeros(1, 4))
        assert health.layers["1"].histories["train"].total.samples == 1
    with watch(network) as health:
        with torch.no_grad():
            network(torch.zeros(1, 4))
        for _ in range(10):
            network(torch.randn(8, 4)).mean().backward()
            optimizer.step()
        with torch.no_grad():
            network(torch.zeros(1, 4))
    assert health.layers["1"].histories["train"].total.samples == 81


def test_what_a_function_has_let_go_of_is_gone() -> None:
    def train(network: nn.Module, *, looks_itself: bool) -> tuple[Any, bool]:
        let_go = torch.randn(4, 3)
        own = locals() if looks_itself else {}
        exec("made = 1")
        F.relu(network(let_go)).sum().backward()
        kept, is_there = weakref.ref(let_go), "let_go" in own
        del let_go
        assert "made" in locals() or sys.version_info >= (3, 13)
        return kept(), is_there

    with watch():
        assert train(nn.Linear(3, 2), looks_itself=False)[0] is None
        assert train(nn.Linear(3, 2), looks_itself=True)[1]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("way", ["modules", "functions"])
def test_a_network_that_another_module_holds_in_each_step(way: str, depth: int) -> None:
    first, last = nn.Linear(3, 16), nn.Linear(16, 3)
    network = nn.Sequential(first, nn.Tanh(), last) if way == "modules" else InTurns(first, last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch() as health:
        for _ in range(40):
            held = network
            for _ in range(depth):
                held = nn.Sequential(held)
            outputs = held(torch.randn(8, 3))
            del held
            outputs.square().mean().backward()
            optimizer.step()
    (layer,) = health.layers.values()
    assert layer.histories["train"].total.samples == 320
    assert health.report().notes == []


@pytest.mark.parametrize("way", ["modules", "functions"])
def test_a_jacobian_that_is_computed_at_once(way: str) -> None:
    first, last = nn.Linear(3, 16), nn.Linear(16, 3)
    hidden = nn.Sequential(first, nn.Tanh(), last)
    network = hidden if way == "modules" else InTurns(first, last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch(network) as health:
        for _ in range(10):
            x = torch.randn(8, 3, requires_grad=True)
            y = network(x)
            several = torch.eye(3)[:, None].expand(3, 8, 3)
            (jacobian,) = torch.autograd.grad(y, x, several, create_graph=True, is_grads_batched=True)
            (jacobian.square().mean() + y.square().mean()).backward()
            optimizer.step()
    (layer,) = health.layers.values()
    assert layer.histories["train"].total.samples == 80
    assert health.report().notes == []


class InTurns(nn.Module):
    """Two layers, and a function between."""

    def __init__(self, first: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.first, self.last = first, last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x)))


def test_of_very_many_passes_in_a_step_the_gradients_of_the_first_are_measured() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)

    def passes(count: int) -> None:
        for _ in range(count):
            network(torch.randn(8, 3)).sum().backward()

    with watch(network) as health:
        passes(100)
        optimizer.step()
        network.eval()
        passes(200)
    (layer,) = health.layers.values()
    assert [history.total.gradients for history in layer.histories.values()] == [64, 0]


class Held(nn.Module):
    """A layer with a buffer, in whose place there may be what the layer gave last."""

    def __init__(self, *, is_state: bool) -> None:
        super().__init__()
        self.layer, self._is_state = nn.Linear(UNITS, UNITS), is_state
        self.register_buffer("held", torch.zeros(BATCH, UNITS))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = F.relu(self.layer(x)) + self.held.clamp(0, 1)
            self.held = x.detach() if self._is_state else self.held
        return x


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("is_state", "is_compiled", "layers"),
    [(False, False, ["relu"]), (False, True, ["relu"]), (True, False, ["hardtanh", "hardtanh", "relu"])],
)
def test_a_bound_on_a_buffer_is_no_layer_unless_that_is_a_state(
    is_state: bool, is_compiled: bool, layers: list[str]
) -> None:
    net = Held(is_state=is_state)
    health = train(torch.compile(net) if is_compiled else net, [(torch.randn(BATCH, UNITS),) for _ in range(PASSES)])
    assert sorted(layer.function for layer in health.layers.values()) == layers
    assert health.report().notes == []


class Sloped(nn.Module):
    """Units with a slope that is learned."""

    def __init__(self, *, is_named: bool) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(UNITS, UNITS), nn.Linear(UNITS, 1)
        self.slope, self._is_named = nn.Parameter(torch.full((UNITS,), 0.25)), is_named

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return self.last(F.prelu(y, weight=self.slope) if self._is_named else F.prelu(y, self.slope))


@pytest.mark.parametrize(("is_named", "change_at"), [(False, PASSES // 2), (True, PASSES)])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_learned_slope_may_have_a_name_and_another_type_later(mode: str, is_named: bool, change_at: int) -> None:
    net = Sloped(is_named=is_named).train(mode == "train")
    with watch(net) as health:
        for step in range(PASSES):
            if step == change_at:
                net.double()
            with torch.set_grad_enabled(mode == "train"):
                net(torch.randn(BATCH, UNITS, dtype=net.slope.dtype))
    (layer,) = health.layers.values()
    total = layer.histories[mode].total
    assert (total.samples, total.min_slope.tolist()) == (PASSES * BATCH, [0.25] * UNITS)


@pytest.mark.parametrize("act", [nn.ReLU, nn.GELU])
def test_a_layer_that_loses_units_in_training(act: type[nn.Module]) -> None:
    network = nn.Sequential(nn.Linear(4, 16), act(), nn.Linear(16, 2))
    old = list(network.parameters())  # or others would have their ids

    def train(steps: int) -> None:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        for _ in range(steps):
            network(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()

    with watch(network) as health:
        train(40)
        network[0].weight, network[0].bias, network[2].weight = (
            nn.Parameter(part) for part in (old[0].data[:8], old[1].data[:8], old[2].data[:, :8])
        )
        with torch.no_grad():
            network[0].bias[:3] = -1e4
        train(100)
    first, second = health.report().layers
    assert (first.layer.units, first.history.total.samples) == (16, 8 * 40)
    assert (second.layer.units, second.history.total.samples) == (8, 8 * 99)
    assert (first.of(DEAD).tolist(), second.of(DEAD).tolist()) == ([], [0, 1, 2])
    assert "another number of units" in first.layer.note


class Bounded(nn.Module):
    """A network whose graph does not keep what its activations get, and which does more when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.act, self.other, self.late = nn.Tanh(), nn.Sigmoid(), nn.SiLU()
        self.more = ""
        self.hooked: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.act(self.first(x))
        self.hooked.append(bool(nn.modules.module._global_forward_hooks))
        if self.more == "leaves out":
            return self.last(hidden)
        hidden = self.other(self.second(hidden))
        if self.more == "again":
            hidden = self.act(hidden)
        if self.more == "adds":
            hidden = hidden + self.late(self.second(hidden))
        return self.last(hidden)


@pytest.mark.parametrize("more", ["", "leaves out", "again", "adds", "replaced"])
def test_only_modules_whose_activations_no_graph_keeps_are_heard_of(more: str) -> None:
    network = Bounded()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    seen: dict[str, list[Tensor]] = {"act": [], "other": [], "late": []}
    for name, inputs in seen.items():
        getattr(network, name).register_forward_pre_hook(lambda _, args, inputs=inputs: inputs.append(args[0].detach()))
    with watch(network) as health:
        for step in range(60):
            if step == 30:
                network.more = more
                if more == "replaced":
                    network.act = nn.Tanh()
                    network.act.register_forward_pre_hook(lambda _, args: seen["act"].append(args[0].detach()))
            network(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    assert not any(network.hooked[9:16])
    samples = {name: layer.histories["train"].total.samples for name, layer in health.layers.items()}
    lost = sum(8 * len(inputs) for inputs in seen.values()) - sum(samples.values())
    assert lost == {"": 0, "leaves out": 0}.get(more, 8)
    notes = health.report().notes
    assert ("counted in part" in str(notes)) == bool(lost)
    assert {name.partition(" ")[0] for name in samples} == {"act", "other", *(["late"] if more == "adds" else [])}
    act, other = (verdict for verdict in health.report().layers[:2])
    assert other.history.total.samples == 8 * len(seen["other"])
    if more in ("", "leaves out"):
        x = torch.cat(seen["act"]).numpy()
        np.testing.assert_allclose(act.history.total.sum_output, rf.tanh(x).sum(0), rtol=1e-4)


class Overwriting(nn.Module):
    """A network that overwrites what its activation got, and writes down what that was, and whether it has hooks."""

    def __init__(self, act: Any, since: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 2)
        self.act, self.since = act, since
        self.seen: list[Tensor] = []
        self.hooked: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        self.seen.append(x.detach().clone())
        hidden = self.act(x)
        self.hooked.append(bool(nn.modules.module._global_forward_hooks))
        if len(self.seen) > self.since:
            x.detach().fill_(40)
        return self.second(hidden)


@pytest.mark.parametrize("since", [0, 30, 60])
@pytest.mark.parametrize("act", [nn.Tanh(), torch.tanh], ids=["module", "function"])
def test_inputs_that_are_overwritten_are_counted_before(act: Any, since: int) -> None:
    network = Overwriting(act, since)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    with watch(network) as health:
        for _ in range(60):
            network(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    (layer,), notes = health.report().layers, str(health.report().notes)
    lost = 8 if since == 30 else 0  # those of the first pass in which it came
    assert layer.history.total.samples == 8 * 60 - lost
    assert ("counted in part" in notes) == bool(lost)
    assert any(network.hooked[9:16]) == (since == 0 and act is torch.tanh)
    x = torch.cat([seen for number, seen in enumerate(network.seen) if not lost or number != since]).numpy()
    np.testing.assert_allclose(layer.history.total.max_slope, rf.tanh.derivative(x).max(0), rtol=1e-5)
    np.testing.assert_allclose(layer.history.total.min_slope, rf.tanh.derivative(x).min(0), rtol=1e-5)
    np.testing.assert_allclose(layer.history.total.sum_output, rf.tanh(x).sum(0), rtol=1e-4)


@pytest.mark.parametrize("act", [nn.Sigmoid(), torch.sigmoid], ids=["module", "function"])
def test_batches_that_become_large_are_counted(act: Any) -> None:
    network = Overwriting(act, since=100)
    with watch(network) as health:
        for step in range(40):
            network(torch.randn(8 if step < 12 or step % 2 == 0 else 8192, 4)).square().mean().backward()
            torch.optim.SGD(network.parameters(), lr=1e-3).step()
    (layer,) = health.report().layers
    x = torch.cat(network.seen).numpy()
    assert (layer.history.total.samples, health.report().notes) == (len(x), [])
    assert any(network.hooked[17:31]) == (act is torch.sigmoid)
    np.testing.assert_allclose(layer.history.total.sum_output, rf.sigmoid(x).sum(0), rtol=1e-4)


@pytest.mark.parametrize("way", ["solver", "attack", "both"])
def test_a_pass_is_known_whatever_is_behind_its_inputs(way: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.act, self.second = nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 3)
            self.hooked: list[bool] = []

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.act(self.first(x))
            self.hooked.append(bool(nn.modules.module._global_forward_hooks))
            return self.second(hidden)

    network = Net()
    with torch.no_grad():
        network.first.bias[2] = -1e4
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    with watch(network) as health:
        for step in range(30):
            x = torch.randn(5, 3)
            if way == "both" and step % 2:
                x = x * torch.ones(3, requires_grad=True)
            elif way != "solver" and step % 3:
                x.requires_grad_()
            for number in range(1 if way == "attack" else 4):
                x = x + 0.1 * network(x) if number % 2 else network(x) - x
            optimizer.zero_grad()
            x.square().sum().backward()
            optimizer.step()
    assert not any(network.hooked[17:30])
    (verdict,) = health.report().layers
    assert verdict.history.total.samples == 5 * len(network.hooked)
    assert verdict.of(DEAD).tolist() == [2]
    assert not health.report().notes


def test_a_call_that_is_tried_again_after_an_error_is_counted_once() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 2)])

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                try:
                    x = layer(x, lengths=None)
                except TypeError:
                    x = layer(x)
            return x

    network = Net()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch(network) as health:
        for _ in range(20):
            network(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [160, 160]
    assert health.report().notes == []


def test_of_networks_that_come_and_go_the_first_are_counted_and_those_that_stay() -> None:
    def passes(network: nn.Module, count: int) -> None:
        for _ in range(count):
            network(torch.randn(8, 3)).sum().backward()

    with watch() as health:
        for _ in range(60):
            passes(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), 5)
        network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        passes(network, 30)
        for _ in range(40):
            passes(InTurns(nn.Linear(3, 4), nn.Linear(4, 2)), 20)
    kinds = [layer.function for layer in health.layers.values()]
    samples = [layer.histories["train"].total.samples for layer in health.layers.values()]
    assert kinds == ["relu"] * 33 + ["tanh"] * 40  # those had more than a few passes each
    assert samples == [8 * 5] * 32 + [8 * 14] + [8 * 20] * 40
    (note,) = (note for note in health.report().notes if "come and gone" in note)
    assert note.startswith("Sequential: 32 networks")
