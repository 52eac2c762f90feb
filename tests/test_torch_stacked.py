"""Layers whose weights are stacked in one tensor, such as experts: a unit of each is one of its own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import rectified as rf  # noqa: E402
from rectified.health import Evidence  # noqa: E402
from rectified.health.verdict import DEAD  # noqa: E402
from rectified.torch import watch  # noqa: E402
from rectified.torch.calls import Call, Weight  # noqa: E402
from rectified.torch.units import origin_of  # noqa: E402
from torch_networks import compare  # noqa: E402

LAYERS, ROWS, INPUTS, UNITS, HEADS = 4, 12, 5, 8, 3
DEAD_UNITS = [[0], [1], [2], [3]]

Product = Callable[[Tensor, Tensor], Tensor]


class Stacked(nn.Module):
    """Layers whose weights are one parameter. In each another unit is dead."""

    def __init__(self, product: Product, function: Any = F.relu, *, is_named: bool = False) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(LAYERS, INPUTS, UNITS) / 2)
        self.biases = nn.Parameter(torch.zeros(LAYERS, 1, UNITS))
        self.act = function() if is_named else function
        self.product = product
        with torch.no_grad():
            for layer, (unit,) in enumerate(DEAD_UNITS):
                self.biases[layer, 0, unit] = -50.0

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.product(x, self))


def rows(x: Tensor) -> Tensor:
    return x.expand(LAYERS, ROWS, INPUTS).contiguous()


def by_baddbmm(x: Tensor, net: Any) -> Tensor:
    return torch.baddbmm(net.biases, rows(x), net.weights)


PRODUCTS: dict[str, Any] = {
    "bmm": lambda x, net: torch.bmm(rows(x), net.weights) + net.biases,
    "baddbmm": by_baddbmm,
    "matmul": lambda x, net: rows(x).matmul(net.weights) + net.biases,
    "matmul of the same rows": lambda x, net: x @ net.weights + net.biases,
    "weights from the left": lambda x, net: (net.weights.mT @ x.T + net.biases.mT).mT,
    "einsum": lambda x, net: torch.einsum("end,edh->enh", rows(x), net.weights) + net.biases,
    "einsum with an ellipsis": lambda x, net: torch.einsum("...nd,...dh->...nh", rows(x), net.weights) + net.biases,
    "einsum of the same rows": lambda x, net: torch.einsum("nd,edh->neh", x, net.weights) + net.biases[:, 0],
    "einsum with more axes": lambda x, net: torch.einsum("...d,edh->...eh", x[None], net.weights)[0] + net.biases[:, 0],
    "einsum of a list": lambda x, net: torch.einsum("end,edh->enh", [rows(x), net.weights]) + net.biases,
    "moved": lambda x, net: by_baddbmm(x, net).permute(2, 0, 1),
    "weights in another form": lambda x, net: (
        rows(x) @ net.weights.mT.to(torch.float64).float().contiguous().mT + net.biases
    ),
    "weights that are put together": lambda x, net: rows(x) @ torch.stack(list(net.weights)) + net.biases,
    "outputs that are put together": lambda x, net: torch.stack(
        [x @ weight + bias for weight, bias in zip(net.weights, net.biases, strict=True)], 1
    ),
    "normalized": lambda x, net: F.dropout(by_baddbmm(x, net) * 2 / 2, 0.0),
}


def truth(net: Stacked, inputs: Tensor, row: Any = rf.relu) -> list[Evidence]:
    """What each layer does with all inputs, by the rule."""
    found = []
    for weight, bias in zip(net.weights.detach().numpy(), net.biases.detach().numpy(), strict=True):
        found.append(Evidence.of(row, inputs.flatten(0, 1).numpy() @ weight + bias))
    return found


FUNCTIONS = [
    (F.relu, False),
    (nn.ReLU, True),
    (F.leaky_relu, False),
    (nn.LeakyReLU, True),
    (lambda x: x.clamp(min=0), False),
]


@pytest.mark.parametrize("way", PRODUCTS)
@pytest.mark.parametrize("learns", [True, False])
def test_each_stacked_layer_has_units_of_its_own(way: str, learns: bool) -> None:
    inputs = torch.randn(20, ROWS, INPUTS)
    for function, is_named in FUNCTIONS:
        net = Stacked(PRODUCTS[way], function, is_named=is_named)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
        with watch(net) as health:
            for x in inputs:
                with torch.set_grad_enabled(learns):
                    y = net(x)
                if learns:
                    y.sum().backward()
                    optimizer.step()
        layers = list(health.report().layers)
        assert [verdict.layer.name[-4:] for verdict in layers] == [f" [{place}]" for place in range(LAYERS)]
        assert [verdict.layer.units for verdict in layers] == [UNITS] * LAYERS
        row = rf.catalogue[layers[0].layer.function]
        compare(health.layers.values(), truth(net, inputs, row))
        assert health.report().notes == []
        if row is rf.relu:
            assert [verdict.of(DEAD).tolist() for verdict in layers] == DEAD_UNITS


def test_the_gradient_of_each_stacked_layer_is_its_own() -> None:
    net = Stacked(by_baddbmm, nn.Sigmoid, is_named=True)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    scale = torch.tensor([1.0, 10.0, 0.0, 1e-6])[:, None, None]
    with watch(net) as health:
        for _ in range(10):
            (net(torch.randn(ROWS, INPUTS)) * scale).sum().backward()
            optimizer.step()
    norms = [verdict.gradient_norm for verdict in health.report().layers]
    np.testing.assert_allclose(norms, scale.flatten() * np.sqrt(ROWS * UNITS), rtol=1e-5)
    assert [found.layer for found in health.findings if found.kind == "vanishing_gradient"] == ["act [2]"]


@pytest.mark.parametrize(
    "way", [way for way in PRODUCTS if way not in ("einsum with more axes", "weights in another form")]
)
def test_stacked_layers_in_compiled_code(way: str) -> None:
    torch._dynamo.reset()
    inputs = torch.randn(10, ROWS, INPUTS)
    net = Stacked(PRODUCTS[way])
    with watch(net) as health:
        compiled = torch.compile(net, backend="aot_eager")
        for x in inputs:
            compiled(x).sum().backward()
    compare(health.layers.values(), truth(net, inputs))
    assert [verdict.of(DEAD).tolist() for verdict in health.report().layers] == DEAD_UNITS


def test_an_exported_network_has_its_stacked_layers() -> None:
    inputs = torch.randn(5, ROWS, INPUTS)
    for way in ("bmm", "baddbmm", "matmul", "einsum"):
        net = Stacked(PRODUCTS[way])
        module = torch.export.export(net, (inputs[0],)).module()
        with watch(module) as health:
            for x in inputs:
                module(x)
        compare(health.layers.values(), truth(net, inputs), *next(iter(health.layers.values())).histories)


class Attention(nn.Module):
    """Scores are a product of two activations, whatever becomes of them."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.up, self.slots, self.function = nn.Linear(8, 16), nn.Parameter(torch.randn(1, 3, 8)), function

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.bmm(self.query(x), self.key(x).transpose(1, 2))
        x = torch.bmm(self.function(scores), self.value(x))
        slots = self.slots.expand(len(x), -1, -1)
        x = x + torch.bmm(torch.bmm(slots, x.transpose(1, 2)).softmax(1).transpose(1, 2), slots)
        return F.relu(self.up(x))


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("function", [nn.ReLU(), F.relu], ids=["module", "function"])
def test_parts_of_a_stack_that_run_one_by_one_are_told_apart(learns: bool, in_order: bool, function: Any) -> None:
    seen: list[list[Tensor]] = [[] for _ in range(LAYERS)]

    def one_by_one(x: Tensor, net: Any) -> Tensor:
        total = torch.zeros(())
        for layer in torch.randperm(LAYERS)[:2].sort().values.tolist() if in_order else torch.randperm(LAYERS)[:2].tolist():
            y = torch.addmm(net.biases[layer], x, net.weights[layer])
            seen[layer].append(y.detach())
            total = total + function(y).sum()
        return total

    net = Stacked(one_by_one, lambda x: x)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with watch(net) as health:
        for x in torch.randn(60, ROWS, INPUTS):
            with torch.set_grad_enabled(learns):
                y = net(x)
            if learns:
                y.backward()
                optimizer.step()
    found = {tuple(verdict.of(DEAD).tolist()): verdict for verdict in health.report().layers}
    assert sorted(found) == [(0,), (1,), (2,), (3,)]
    assert {name[-10:] for name in health.layers} == {f"weights[{layer}]" for layer in range(LAYERS)}
    assert len(health.layers) == LAYERS
    assert [found[layer,].history.total.samples for layer in range(LAYERS)] == [ROWS * len(each) for each in seen]
    assert health.report().notes == []


@pytest.mark.parametrize("function", [lambda x: x.softmax(-1), F.relu], ids=["softmax", "relu"])
def test_attention_is_no_stack_of_layers(function: Any) -> None:
    net = Attention(function)
    with watch(net) as health:
        for _ in range(5):
            net(torch.randn(4, 6, 8)).sum().backward()
    assert [layer.units for layer in health.layers.values()] == [16]
    notes = health.report().notes
    assert len(notes) == (function is F.relu)
    assert all("nothing tells which axis" in note for note in notes)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x, net: by_baddbmm(x, net).flatten(0, 1),
        lambda x, net: by_baddbmm(x, net).index_select(0, torch.tensor([2, 0, 1])),
        lambda x, net: torch.cat([x @ net.weights[0], x @ net.weights[1]]),
        lambda x, net: torch.where(x[:, :1] > 0, x @ net.weights[0], x @ net.weights[1]),
        lambda x, net: torch.bmm(x[:, None], net.weights[torch.randint(LAYERS, (ROWS,))]),
    ],
    ids=["flat", "selected", "side by side", "chosen", "gathered"],
)
def test_where_layers_can_not_be_told_apart_it_says_so(mixed: Product) -> None:
    net = Stacked(mixed)
    with watch(net) as health:
        for _ in range(5):
            net(torch.randn(ROWS, INPUTS))
    assert health.layers == {}
    (note,) = health.report().notes
    assert "nothing tells which axis of its input counts the units" in note


def test_layers_that_become_one_are_one() -> None:
    for mixed, units in (
        (lambda x, net: by_baddbmm(x, net).permute(1, 0, 2).reshape(ROWS, -1), LAYERS * UNITS),
        (lambda x, net: by_baddbmm(x, net).sum(0), UNITS),
        (lambda x, net: torch.addbmm(net.biases[0], rows(x), net.weights), UNITS),
        (lambda x, net: torch.cat([x @ weight for weight in net.weights], 1), LAYERS * UNITS),
        (lambda x, net: torch.stack([x @ net.weights[1], x[:1].sum() + x @ net.weights[1]]), UNITS),
    ):
        net = Stacked(mixed)
        with watch(net) as health:
            for _ in range(3):
                net(torch.randn(ROWS, INPUTS))
        assert [layer.units for layer in health.layers.values()] == [units]
        assert health.report().notes == []


def test_very_many_layers_are_one_with_a_note() -> None:
    weights = nn.Parameter(torch.randn(300, 2, 3))
    net = nn.Module()
    net.forward = lambda x: torch.einsum("bpd,pdh->bph", x, weights).relu()  # type: ignore[method-assign]
    with watch(net) as health:
        net(torch.randn(5, 300, 2))
        net(torch.randn(5, 300, 2)).sum().backward()
    (layer,) = health.layers.values()
    assert (layer.units, layer.histories["train"].total.samples) == (900, 10)
    assert layer.note == "its units are those of 300 layers, which follow one another"


def test_another_number_of_stacked_layers_is_said() -> None:
    net = Stacked(lambda x, net: torch.bmm(x, net.weights[: len(x)]))
    with watch(net) as health:
        for count in (4, 4, 2, 4):
            net(torch.randn(count, ROWS, INPUTS))
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [ROWS * 3] * LAYERS
    assert all("number of units changed" in layer.note for layer in health.layers.values())


def test_what_repeats_along_an_axis_is_no_layer() -> None:
    slots = Weight((0, 0), (1, 3, 8))
    shapes = {"slots": (4, 3, 8), "x": (4, 8, 6)}
    call = Call("bmm", ("slots", "x"), {}, (4, 3, 6), {}.get, shapes.get, {"slots": slots}.get)
    assert origin_of(call).axes == (1,)


def test_a_weight_that_is_computed_is_one() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.scale = nn.Parameter(torch.randn(INPUTS, UNITS)), nn.Parameter(torch.ones(UNITS))
            self.low, self.high = nn.Parameter(torch.randn(INPUTS, 2)), nn.Parameter(torch.randn(2, UNITS))

        def forward(self, x: Tensor) -> Tensor:
            y = x @ (F.normalize(self.weight, dim=0) * self.scale + self.low @ self.high)
            return F.relu(y) + F.relu(x @ self.weight.exp()) + F.relu(F.linear(x, self.weight.t().bfloat16().float()))

    net = Net()
    with watch(net) as health:
        for _ in range(3):
            net(torch.randn(ROWS, INPUTS))
    assert [layer.units for layer in health.layers.values()] == [UNITS] * 3
    assert health.report().notes == []


@pytest.mark.parametrize("way", ["by position", "by name", "within"])
def test_an_input_is_no_weight_even_if_it_has_gradients(way: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mixing", torch.randn(INPUTS, UNITS))

        def forward(self, x: Tensor) -> Tensor:
            return F.relu((x.detach().requires_grad_() if way == "within" else x) @ self.mixing)

    net = Net()
    with watch(net) as health:
        for _ in range(3):
            x = torch.randn(ROWS, INPUTS, requires_grad=True)
            (net(x=x) if way == "by name" else net(x)).sum().backward()
    assert health.layers == {}
    (note,) = health.report().notes
    assert "nothing tells which axis" in note


@pytest.mark.parametrize("first", [nn.LayerNorm(INPUTS, elementwise_affine=False), nn.Linear(INPUTS, INPUTS, bias=False)])
def test_inputs_with_gradients_are_no_layers_that_differ(first: nn.Module) -> None:
    net = nn.Sequential(first, nn.ReLU(), nn.Linear(INPUTS, 1))
    with watch(net) as health:
        for _ in range(20):
            x = torch.randn(ROWS, INPUTS, requires_grad=True)
            torch.autograd.grad(net(x).sum(), x, create_graph=True)[0].square().sum().backward()
    (layer,) = health.layers.values()
    assert layer.histories["train"].total.samples == 20 * ROWS
    assert layer.note == ""


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("is_sparse", [True, False])
def test_rows_that_a_graph_mixes_have_the_units_that_they_had(is_sparse: bool) -> None:
    graph = torch.rand(ROWS, ROWS).round() / ROWS
    net = Stacked(
        lambda x, net: (torch.sparse.mm if is_sparse else torch.mm)(adjacency, x @ net.weights[0]) + net.biases[2]
    )
    adjacency = graph.to_sparse() if is_sparse else graph
    inputs = torch.randn(5, ROWS, INPUTS)
    with watch(net) as health:
        for x in inputs:
            net(x)
    mixed = graph @ inputs @ net.weights[0].detach() + net.biases[2].detach()
    compare(health.layers.values(), [Evidence.of(rf.relu, mixed.flatten(0, 1).numpy())])
    assert health.report().notes == []


def test_layers_whose_outputs_a_gate_adds_up_are_one() -> None:
    net = Stacked(lambda x, net: (x[:, :LAYERS, None].softmax(1).mT @ by_baddbmm(x, net).transpose(0, 1)).squeeze(1))
    with watch(net) as health:
        for _ in range(3):
            net(torch.randn(ROWS, INPUTS))
    assert [layer.units for layer in health.layers.values()] == [UNITS]


def test_weights_that_rows_choose_are_no_stack() -> None:
    for gathered in (
        lambda net: net.weights[torch.randint(LAYERS, (ROWS,))],
        lambda net: net.weights.mT[torch.randint(LAYERS, (ROWS,)), :, :].mT,
        lambda net: net.weights[torch.randint(LAYERS, (ROWS,)), ..., None].squeeze(-1),
        lambda net: net.weights.index_select(0, torch.randint(LAYERS, (ROWS,))),
        lambda net: net.weights[:1].expand(ROWS, -1, -1).contiguous() * torch.rand(ROWS, 1, 1),
    ):
        net = Stacked(lambda x, net, gathered=gathered: torch.bmm(x[:, None], gathered(net)))
        with watch(net) as health:
            for _ in range(3):
                net(torch.randn(ROWS, INPUTS))
        assert health.layers == {}
        (note,) = health.report().notes
        assert "nothing tells which axis" in note


class Attending(nn.Module):
    """Attention with features of queries and keys in each head, and an activation behind it: of a layer each."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(INPUTS, HEADS * UNITS) for _ in range(3))
        self.last = nn.Linear(HEADS * UNITS, 2)
        with torch.no_grad():
            self.query.bias[UNITS + 3] = self.value.bias[2 * UNITS] = -50.0

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            layer(x).view(*x.shape[:2], HEADS, UNITS).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        query = F.relu(F.dropout(query, 0.0))
        key = F.elu(key) + 1
        if torch.compiler.is_compiling():  # where PyTorch can not differentiate the other form
            y = F.scaled_dot_product_attention(query, key, value)
        else:
            y = torch.matmul(torch.softmax(query @ key.mT, -1), value)
        return self.last(F.relu(y.transpose(1, 2).flatten(2)))


class Decoding(nn.Module):
    """A layer whose outputs become an image; one of channels whose groups are exchanged; and one that is enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(INPUTS, 6 * 3 * 3)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        with torch.no_grad():
            self.first.bias[11] = self.second.bias[1] = -50.0

    def forward(self, x: Tensor) -> Tensor:
        image = self.first(x).view(-1, 6, 3, 3)
        y = F.silu(self.norm(F.relu(image)))
        y = self.second(y).view(-1, 2, 3, 3, 3).transpose(1, 2).reshape(-1, 6, 3, 3)
        return F.relu(y).flatten(1).sum(1) + F.relu(F.interpolate(image, scale_factor=2)).sum((1, 2, 3))


@pytest.mark.parametrize("compiled", [False, True])
def test_an_axis_of_units_that_became_several_counts_all_of_them(compiled: bool) -> None:
    found = {}
    for net, shape in ((Attending(), (ROWS, 7, INPUTS)), (Decoding(), (ROWS, INPUTS))):
        run: Any = torch.compile(net, backend="aot_eager") if compiled else net
        with watch(net) as health:
            for _ in range(5):
                run(torch.randn(shape)).sum().backward()
        found[type(net)] = [
            (layer.function, layer.units, layer.histories["train"].total.samples) for layer in health.layers.values()
        ]
        dead = [verdict.of(DEAD).tolist() for verdict in health.report().layers]
        notes = health.report().notes
        if isinstance(net, Attending):
            assert UNITS + 3 in dead[0]
            assert 2 * UNITS in dead[2]
            assert not notes
        else:
            assert 11 in dead[0]
            assert dead[2] == [2]  # the second in the first group is the first in the second
            (note,) = notes  # an image that was enlarged has other units
            assert "nothing tells which axis" in note
    assert found[Attending] == [(name, HEADS * UNITS, 5 * ROWS * 7) for name in ("relu", "elu", "relu")]
    assert found[Decoding] == [("relu", 54, 5 * ROWS), ("silu", 6, 9 * 5 * ROWS), ("relu", 6, 9 * 5 * ROWS)]


def test_one_of_a_stack_is_a_layer_like_others() -> None:
    net = Stacked(lambda x, net: by_baddbmm(x, net)[1])
    inputs = torch.randn(5, ROWS, INPUTS)
    with watch(net) as health:
        for x in inputs:
            net(x)
    compare(health.layers.values(), [truth(net, inputs)[1]])
    assert health.report().notes == []


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_joined_with_places_of_an_image_has_no_units(compiled: bool) -> None:
    class Levels(nn.Module):
        """As of a detector: of a level with one place the axes of the units would be known."""

        def __init__(self) -> None:
            super().__init__()
            self.layer, self.pool = nn.Conv2d(3, 2 * 4, 1), nn.AdaptiveAvgPool2d(1)

        def level(self, x: Tensor) -> Tensor:
            y = self.layer(x)
            return y.view(len(x), -1, 4, *y.shape[2:]).permute(0, 3, 4, 1, 2).reshape(len(x), -1, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = torch.cat([self.level(x), self.level(self.pool(x))], 1)
            none = y[:0] if torch.compiler.is_compiling() else y[y.sum(2) > 99]
            return none[:, :2].sum() + torch.sigmoid(y).sum()

    net = Levels()
    run: Any = torch.compile(net, backend="aot_eager") if compiled else net
    with watch(net) as health:
        for _ in range(3):
            run(torch.randn(3, 3, 5, 5)).backward()
    assert not health.layers
    assert any("nothing tells which axis" in note for note in health.report().notes)


class InParts(nn.Module):
    """A layer whose units an activation gets in parts, one after another."""

    def __init__(self, parts: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(INPUTS, LAYERS * UNITS), nn.Linear(UNITS, 2)
        self.parts = parts
        with torch.no_grad():
            self.layer.bias[[unit + layer * UNITS for layer, (unit,) in enumerate(DEAD_UNITS)]] = -50.0

    def forward(self, x: Tensor) -> Tensor:
        return self.last(sum(F.relu(part) for part in self.parts(self.layer(x))))


PARTS: dict[str, Callable[[Tensor], Any]] = {
    "chunk": lambda y: y.chunk(LAYERS, -1),
    "split": lambda y: y.split([UNITS] * LAYERS, 1),
    "slices": lambda y: [y[:, place : place + UNITS] for place in range(0, LAYERS * UNITS, UNITS)],
    "narrow": lambda y: [y.narrow(1, place, UNITS) for place in range(0, LAYERS * UNITS, UNITS)],
    "unbind": lambda y: y.view(-1, LAYERS, UNITS).unbind(1),
    "numbers": lambda y: [y.unflatten(1, (LAYERS, UNITS))[:, place] for place in range(LAYERS)],
    "select": lambda y: [y.view(-1, LAYERS, UNITS).select(-2, place) for place in range(LAYERS)],
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_parts_of_a_layer_are_layers_of_their_own(parts: Callable[[Tensor], Any], compiled: bool) -> None:
    net = InParts(parts)
    run: Any = torch.compile(net, backend="aot_eager") if compiled else net
    inputs = torch.randn(40, ROWS, INPUTS)
    with watch(net) as health:
        for x in inputs:
            run(x).sum().backward()
        torch.optim.SGD(net.parameters(), lr=0.0).step()
    y = net.layer(inputs).detach().flatten(0, 1).numpy()
    compare(health.layers.values(), [Evidence.of(rf.relu, part) for part in np.split(y, LAYERS, 1)])
    assert health.report().notes == []


@pytest.mark.parametrize("compiled", [False, True])
def test_rows_that_an_activation_gets_in_parts_are_of_one_layer(compiled: bool) -> None:
    net = InParts(lambda y: y.view(2, -1, 4, UNITS).transpose(0, 1).flatten(1, 2).unbind(1))
    net.layer = nn.Linear(INPUTS, UNITS)
    run: Any = torch.compile(net, backend="aot_eager") if compiled else net
    with watch(net) as health:
        for _ in range(5):
            run(torch.randn(2 * 4 * 6, INPUTS)).sum().backward()
    assert [(layer.units, layer.histories["train"].total.samples) for layer in health.layers.values()] == [(UNITS, 240)]


def test_a_unit_without_an_axis_may_be_divided() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(INPUTS, 1)

        def forward(self, x: Tensor) -> Tensor:
            first, second = self.layer(x).squeeze(-1).chunk(2)
            return F.relu(torch.cat([first, second])) + torch.stack(self.layer(x).squeeze(-1).unbind(0))

    net = Net()
    with watch(net) as health:
        net(torch.randn(ROWS, INPUTS)).sum().backward()
    assert [layer.units for layer in health.layers.values()] == [1]
