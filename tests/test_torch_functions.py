"""Which calls of functions are activations, and which one each is."""

import re
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import rectified as rf  # noqa: E402
from rectified.health import Evidence  # noqa: E402
from rectified.health.verdict import SATURATED  # noqa: E402
from rectified.torch import watch  # noqa: E402
from torch_networks import compare  # noqa: E402

FUNCTIONS: list[tuple[str, Any, Any]] = [
    ("F.relu", F.relu, rf.relu),
    ("F.relu in place", lambda x: F.relu(x, inplace=True), rf.relu),
    ("F.relu by name", lambda x: F.relu(input=x), rf.relu),
    ("torch.relu", torch.relu, rf.relu),
    ("Tensor.relu", Tensor.relu, rf.relu),
    ("torch.relu_", torch.relu_, rf.relu),
    ("Tensor.relu_", Tensor.relu_, rf.relu),
    ("clamp(min=0)", lambda x: x.clamp(min=0), rf.relu),
    ("torch.clamp", lambda x: torch.clamp(x, 0), rf.relu),
    ("clamp_", lambda x: x.clamp_(min=0.0), rf.relu),
    ("clamp_min", lambda x: x.clamp_min(0), rf.relu),
    ("maximum", lambda x: torch.maximum(x, torch.zeros_like(x)), rf.relu),
    ("maximum, the other way round", lambda x: torch.maximum(torch.tensor(0.0), x), rf.relu),
    ("max", lambda x: torch.max(x, x.new_zeros(())), rf.relu),
    ("Tensor.maximum", lambda x: x.maximum(torch.zeros(1)), rf.relu),
    ("where", lambda x: torch.where(x > 0, x, 0), rf.relu),
    ("where with zeros", lambda x: torch.where(x.ge(0), x, torch.zeros_like(x)), rf.relu),
    ("F.relu6", F.relu6, rf.relu6),
    ("F.leaky_relu", lambda x: F.leaky_relu(x, 0.2), rf.leaky_relu.bind(slope=0.2)),
    ("F.leaky_relu_", lambda x: F.leaky_relu_(x, negative_slope=0.2), rf.leaky_relu.bind(slope=0.2)),
    ("F.prelu", lambda x: F.prelu(x, torch.tensor([0.3])), rf.leaky_relu.bind(slope=0.3)),
    ("F.threshold", lambda x: F.threshold(x, 0.1, -0.5), rf.threshold.bind(threshold=0.1, value=-0.5)),
    ("nn.ReLU6", nn.ReLU6(), rf.relu6),
    ("F.hardtanh", lambda x: F.hardtanh(x, -0.5, 0.5), rf.hardtanh.bind(min_val=-0.5, max_val=0.5)),
    ("F.hardsigmoid", F.hardsigmoid, rf.hardsigmoid),
    ("F.hardswish", F.hardswish, rf.hardswish),
    ("F.softsign", F.softsign, rf.softsign),
    ("torch.sigmoid", torch.sigmoid, rf.sigmoid),
    ("Tensor.sigmoid_", Tensor.sigmoid_, rf.sigmoid),
    ("torch.tanh", torch.tanh, rf.tanh),
    ("Tensor.tanh_", Tensor.tanh_, rf.tanh),
    ("torch.tanh into another", lambda x: torch.tanh(x.detach(), out=torch.empty(0)), rf.tanh),
    ("torch.tanh into its input", lambda x: torch.tanh(x.detach(), out=x.detach()), rf.tanh),
    ("F.hardshrink", F.hardshrink, rf.hardshrink),
    ("F.elu in place by its place", lambda x: F.elu(x, 0.5, True), rf.elu.bind(alpha=0.5)),
    ("torch.special.expit", torch.special.expit, rf.sigmoid),
    ("aten.relu", torch.ops.aten.relu, rf.relu),
    ("aten.relu_", torch.ops.aten.relu_, rf.relu),
    ("aten.relu.default", torch.ops.aten.relu.default, rf.relu),
    ("aten.relu_.default", torch.ops.aten.relu_.default, rf.relu),
    ("aten.gelu", lambda x: torch.ops.aten.gelu(x, approximate="tanh"), rf.gelu_tanh),
    ("aten.clamp_min_", lambda x: torch.ops.aten.clamp_min_(x, 0), rf.relu),
    ("aten.elu", lambda x: torch.ops.aten.elu(x, 0.5, 1, 1), rf.elu.bind(alpha=0.5)),
    ("aten.elu as selu", lambda x: torch.ops.aten.elu(x, 1.6732632423543772, 1.0507009873554805), rf.selu),
    ("_nn.silu_", torch._C._nn.silu_, rf.silu),
    ("_nn.elu_", lambda x: torch._C._nn.elu_(x, 0.5), rf.elu.bind(alpha=0.5)),
    ("_nn.hardtanh_", lambda x: torch._C._nn.hardtanh_(x, -0.5, 0.5), rf.hardtanh.bind(min_val=-0.5, max_val=0.5)),
    ("clamp between 0 and 6", lambda x: x.clamp(0, 6), rf.relu6),
    ("clamp_ between -1 and 1", lambda x: torch.clamp_(x, min=-1, max=1.0), rf.hardtanh),
    ("clip", lambda x: torch.clip(x, 0, 2), rf.hardtanh.bind(min_val=0.0, max_val=2.0)),
    ("Tensor.clip_", lambda x: x.clip_(0.0), rf.relu),
    ("torch.atan", torch.atan, rf.arctan),
    ("Tensor.arctan_", Tensor.arctan_, rf.arctan),
    ("F.rrelu", F.rrelu, rf.leaky_relu.bind(slope=(1 / 8 + 1 / 3) / 2)),
    ("F.rrelu that draws slopes", lambda x: F.rrelu(x, 0.1, 0.5, training=True), rf.leaky_relu.bind(slope=0.3)),
    ("torch.rrelu_", lambda x: torch.rrelu_(x, 0.1, upper=0.5, training=True), rf.leaky_relu.bind(slope=0.3)),
    ("nn.Softplus", nn.Softplus(2.0), rf.softplus.bind(beta=2.0)),
    ("nn.LogSigmoid", nn.LogSigmoid(), rf.logsigmoid),
    ("F.softshrink", lambda x: F.softshrink(x, 0.3), rf.softshrink.bind(lambd=0.3)),
    *(
        (f"F.{name}", getattr(F, name), rf.catalogue[name])
        for name in ("elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "logsigmoid", "tanhshrink")
        if name in list(rf.catalogue)
    ),
]


@pytest.mark.parametrize(("function", "row"), [each[1:] for each in FUNCTIONS], ids=[each[0] for each in FUNCTIONS])
def test_functions_of_every_kind(function: Any, row: rf.Ridge) -> None:
    layer = nn.Linear(3, 8)
    with torch.no_grad():
        layer.weight.mul_(4)
        layer.bias.copy_(torch.tensor([-90.0, 90.0, 0, 1, -1, 5, -5, 0]))
    inputs = [torch.randn(40 + number // 5, 3) for number in range(10)]

    outputs = []

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            outputs.append(function(layer(x)))
            return outputs[-1]

    truth = reduce(add, (Evidence.of(row, layer(x).detach().numpy()) for x in inputs))
    network = Net()
    with watch(network) as health:
        for x in inputs:
            network(x)
    (found,) = health.layers.values()
    assert found.function == row.name
    assert found.name.startswith("test_torch_functions.py:")
    y = torch.cat(outputs).detach().double().numpy()  # of slopes that were drawn, if so
    compare([found], [replace(truth, sum_output=y.sum(0), sum_abs_output=abs(y).sum(0))])


def test_a_clamp_that_is_no_activation() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    with watch() as health:
        y = network(torch.ones(1, 2))
        y.clamp(min=1e-6)
        y.clamp(-1, 1)
        y.clamp(0, 1)
    assert health.layers == {}


@pytest.mark.parametrize(("function", "row"), [each[1:] for each in FUNCTIONS], ids=[each[0] for each in FUNCTIONS])
def test_functions_of_every_kind_learn(function: Any, row: rf.Ridge) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.out = nn.Linear(3, 8), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(function(self.layer(x)))

    def learn(network: nn.Module) -> list[Tensor]:
        torch.manual_seed(0)  # for slopes that are drawn
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        for x in torch.randn(12, 5, 3, generator=torch.Generator().manual_seed(0)):
            optimizer.zero_grad()
            network(x).sum().backward()
            optimizer.step()
        return list(network.parameters())

    networks = [Net(), Net()]
    networks[1].load_state_dict(networks[0].state_dict())
    with watch(networks[1]) as health:
        seen = learn(networks[1])
    assert all(map(torch.equal, seen, learn(networks[0])))
    (layer,) = health.layers.values()
    assert (layer.function, layer.histories["train"].total.samples) == (row.name, 60)


def seen_behind_a_layer(function: Any, way: str) -> Any:
    class Net(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return function(super().forward(x))

    network = Net(nn.Linear(3, 4))
    with watch(network) as health:
        (torch.compile(network, backend="eager") if way == "compiled" else network)(torch.randn(5, 3))
    return health


@pytest.mark.parametrize("way", ["eager", "compiled"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + x.max(0).values + torch.max(x, 0)[0] + torch.max(x),
        lambda x: torch.max(x, x.flip(0)),
        lambda x: torch.maximum(x, torch.zeros_like(x).add_(1)),
        lambda x: torch.where(x.flip(0) > 0, x, 0.0),
        lambda x: torch.where(x > 0, x, x.flip(0)),
        lambda x: x * torch.max(torch.ones(4), torch.zeros(4)),
    ],
)
def test_what_is_like_a_rectifier_and_is_none(function: Any, way: str) -> None:
    health = seen_behind_a_layer(function, way)
    assert health.layers == {}
    assert health.run.notes == []


LEARNED = nn.Parameter(torch.linspace(-1, 1, 4))


@pytest.mark.parametrize("way", ["eager", "compiled"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.where(x > 1, x, 0.5),
        lambda x: torch.where(x < 0, x, 0.0),
        lambda x: torch.maximum(x, x**2),
        lambda x: torch.max(x, LEARNED),
    ],
)
def test_of_pieces_that_are_no_known_function_a_note_tells(function: Any, way: str) -> None:
    health = seen_behind_a_layer(function, way)
    assert health.layers == {}
    (note,) = health.report().notes
    assert re.fullmatch(r"test_torch_functions.py:\d+ in <lambda>: what it makes .* so it was not counted", note)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.max(x, torch.zeros_like(x)),
        lambda x: torch.maximum(torch.tensor(0.0), x),
        lambda x: x.maximum(x.new_zeros(1)),
        lambda x: torch.where(x > 0, x, 0),
        lambda x: torch.where(x.gt(0), x, torch.zeros(())),
    ],
)
def test_rectifiers_of_other_functions_in_compiled_code(function: Any) -> None:
    class Net(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return function(super().forward(x))

    network, x = Net(nn.Linear(3, 4)), torch.randn(50, 3)
    with watch(network) as health:
        torch.compile(network, backend="aot_eager")(x)
    compare(health.layers.values(), [Evidence.of(rf.relu, network[0](x).detach().numpy())])


@pytest.mark.parametrize("way", ["module", "function", "channels"])
def test_of_a_gated_unit_the_gate_is_seen(way: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv1d(3, 8, 1) if way == "channels" else nn.Linear(3, 8)
            self.act, self.inputs = nn.GLU(1 if way == "channels" else -1), []
            with torch.no_grad():
                self.layer.bias[1], self.layer.bias[6] = 90.0, -90.0  # one is no gate

        def forward(self, x: Tensor) -> Tensor:
            x = self.layer(x)
            self.inputs.append(x.detach().clone())
            return F.glu(x) if way == "function" else self.act(x)

    def learn(network: nn.Module) -> list[Tensor]:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        for x in torch.randn(20, 5, 3, 4 if way == "channels" else 3, generator=torch.Generator().manual_seed(0)):
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
        return list(network.parameters())

    networks = [Net(), Net()]
    networks[1].load_state_dict(networks[0].state_dict())
    with watch(networks[1]) as health:
        assert all(map(torch.equal, learn(networks[1]), learn(networks[0])))
    (verdict,) = health.report().layers
    assert verdict.layer.function == "sigmoid"
    axis = 1 if way == "channels" else -1
    gates = [x.chunk(2, axis)[1].numpy() for x in networks[1].inputs]
    compare([verdict.layer], [reduce(add, [Evidence.of(rf.sigmoid, x, axis) for x in gates])])
    assert verdict.of(SATURATED).tolist() == [2]
