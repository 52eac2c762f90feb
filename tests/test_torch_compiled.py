"""What is seen of code that torch.compile compiles, and that this does not change what is compiled."""

import copy
import gc
import re
import sys
import weakref
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
from torch_networks import (  # noqa: E402
    Convolutions,
    Healthy,
    Network,
    Residual,
    Sigmoidal,
    built,
    compare,
    planted,
    told,
    train,
)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("kind", [Convolutions, Residual, Sigmoidal], ids=lambda kind: kind.__name__)
def test_a_compiled_network_learns_the_same(kind: type[Network], backend: str) -> None:
    networks = [built(kind), built(kind)]
    torch._dynamo.reset()
    without = train(networks[0], torch.compile(networks[0], backend=backend))
    with watch(networks[1]):
        with_ = train(networks[1], torch.compile(networks[1], backend=backend))
    assert all(torch.equal(a, b) for a, b in zip(without, with_, strict=True))  # bit by bit


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [Healthy, Residual])
def test_a_network_compiled_by_inductor_learns_the_same(kind: type[Network]) -> None:
    networks = [built(kind), built(kind)]
    torch._dynamo.reset()
    without = train(networks[0], torch.compile(networks[0]))
    with watch(networks[1]) as health:
        with_ = train(networks[1], torch.compile(networks[1]))
    assert all(torch.equal(a, b) for a, b in zip(without, with_, strict=True))  # bit by bit
    counted = {layer.histories["train"].total.samples for layer in health.layers.values()}
    assert counted == {64 * 20 if kind is Healthy else 8 * 36 * 20}
    assert told(health.report(), DEAD) == planted(networks[1], "dead", len(health.layers))


class Product(nn.Module):
    """The derivative of one of its functions begins with a product with 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act = nn.Linear(8, 8), nn.Linear(8, 8), nn.ELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.second(F.softplus(self.first(x))))


class Again(nn.Module):
    """What an activation gets is read again, later."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return F.leaky_relu((torch.tanh(F.selu(y)) + x) * 1.1 + y * 0.1).mean(-1)


@pytest.mark.parametrize(("kind", "functions"), [(Product, ["softplus", "elu"]), (Again, ["selu", "tanh", "leaky_relu"])])
def test_a_compiler_keeps_the_same_for_the_backward_pass(kind: type[nn.Module], functions: list[str]) -> None:
    from functorch.compile import make_boxed_func, min_cut_rematerialization_partition
    from torch._dynamo.backends.common import aot_autograd
    from torch._inductor.decomposition import select_decomp_table

    network = kind()

    def backward() -> tuple[list[Any], list[Any]]:
        kept: list[Any] = []
        computed: list[Any] = []

        def look(module: Any, _: Any) -> Any:
            for node in module.graph.nodes:
                if isinstance(node.meta.get("val"), Tensor):
                    name = re.sub(r"_\d+$", "", node.name)  # the numbers may be others
                    (kept if node.op == "placeholder" else computed).append((name, node.meta["val"].shape))
            return make_boxed_func(module.forward)

        backend = aot_autograd(
            fw_compiler=lambda module, _: make_boxed_func(module.forward),
            bw_compiler=look,
            partition_fn=min_cut_rematerialization_partition,
            decompositions=select_decomp_table(),
        )
        torch._dynamo.reset()
        torch.compile(network, backend=backend)(torch.randn(16, 8)).sum().backward()
        return sorted(kept), computed

    without = backward()
    with watch(network) as health:
        with_ = backward()
    assert with_ == without
    assert all(without)
    assert [layer.function for layer in health.layers.values()] == functions


class Mean(Network):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.act = nn.Conv2d(8, 8, 3), nn.Sigmoid()

    def batch(self) -> Tensor:
        return torch.randn(8, 8, 6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.convolution(x)).mean((2, 3))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [Mean, Residual])
def test_inductor_makes_the_same_loops(kind: type[Network]) -> None:
    from torch._inductor.utils import run_and_get_code

    network = built(kind).eval()

    def code() -> str:
        torch._dynamo.reset()
        with torch.no_grad(), torch._inductor.config.patch(fx_graph_cache=False):
            _, (found,) = run_and_get_code(torch.compile(network), network.batch())
        return re.sub(r"ptr\d+", "ptr", found)

    loops = re.findall(r"^    {\n.*?^    }\n", code(), re.DOTALL | re.MULTILINE)
    assert any("tmp_acc0" in loop for loop in loops)  # adds something up
    with watch(network) as health:
        watched = code()
    assert all(loop in watched for loop in loops)
    assert len(health.layers) == (1 if kind is Mean else 4)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_code_that_is_compiled_in_place_counts_once(backend: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.act = nn.Linear(3, 4), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return torch.ops.aten.relu.default(F.gelu(self.act(self.layer(x))))

    found = []
    for way in ("eager", "in place", "a function"):
        torch._dynamo.reset()
        network = Net()
        run: Any = network
        if way == "in place":
            network.compile(backend=backend)
        elif way == "a function":
            run = torch.compile(lambda x, network=network: network(x), backend=backend)
        with watch() as health:
            for _ in range(6):
                run(torch.randn(2, 3)).sum().backward()
        found.append([(layer.function, layer.histories["train"].total.samples) for layer in health.layers.values()])
        assert health.report().notes == []
    assert found == [[("relu", 12), ("gelu", 12), ("relu", 12)]] * 3


def test_a_graph_that_the_program_made_is_its_network() -> None:
    network = built(Healthy)
    network.tape = lambda name, x, *_: x
    traced = torch.fx.symbolic_trace(network)
    with watch() as health:
        for _ in range(3):
            traced(torch.randn(5, 8))
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [15, 15]


class Calls(nn.Module):
    """Functions, in a module and perhaps in one in it, and pieces that are no function of the catalogue."""

    def __init__(self, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.layer, self.inner, self.act = nn.Linear(8, 8), inner, nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.layer(x))
        z = self.layer(self.act(y if self.inner is None else self.inner(y)).relu())
        return torch.where(z > 0, z, z.sin())


def test_functions_in_a_graph_have_the_names_of_its_nodes() -> None:
    traced = torch.fx.symbolic_trace(Calls(Calls()))
    for node in traced.graph.nodes:
        node.type = Tensor if node.op == "call_method" else None
    traced.recompile()
    with watch() as health:
        for _ in range(3):
            traced(torch.randn(5, 8))
    assert list(health.layers) == ["gelu", "inner: gelu_1", "inner.act", "inner: relu", "act", "relu_1"]
    assert [re.sub(r"\d+", "0", note.partition(": ")[0]) for note in health.report().notes] == [
        "<eval_with_key>.0:0 in forward"
    ] * 2


def test_a_compiled_function_is_compiled_once() -> None:
    network = built(Convolutions)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    network.compile(backend="aot_eager")
    with watch() as health:
        train(network, steps=30)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [
        16 * 64 * 30,
        16 * 4 * 30,
        16 * 30,
    ]


class Blocks(nn.Module):
    """Blocks of one class, which compiled by themselves share their code; a unit of each is dead."""

    class Block(nn.Module):
        def __init__(self, dead: int) -> None:
            super().__init__()
            self.first, self.act, self.second = nn.Linear(4, 8), nn.PReLU(8), nn.Linear(8, 4)
            with torch.no_grad():
                self.first.bias[dead] = self.second.bias[0] = -50.0
                self.act.weight.fill_(dead / 8)

        def forward(self, x: Tensor) -> Tensor:
            return x + F.relu(self.second(self.act(self.first(x))))

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*map(Blocks.Block, range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("way", ["in place", "wrapped"])
def test_blocks_that_share_compiled_code_are_counted_apart(way: str) -> None:
    torch._dynamo.reset()
    network, other = Blocks(), Blocks()
    eager, inputs = copy.deepcopy(network), torch.randn(10, 16, 4)
    for blocks in (network.blocks, other.blocks):
        for number, block in enumerate(blocks):
            if way == "in place":
                block.compile(backend="aot_eager")
            else:
                blocks[number] = torch.compile(block, backend="aot_eager")
    found = []
    for watched, model in ((eager, eager), (network, network)):
        with watch(watched) as health:
            for x in inputs:
                other(x)
                model(x).sum().backward()
        found.append(health)
    assert sorted(found[0].layers) == sorted(found[1].layers)
    for name, layer in found[0].layers.items():
        compare([found[1].layers[name]], [layer.histories["train"].total])
    assert found[1].report().notes == []


def test_a_compiled_network_is_not_kept() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.PReLU(4))
    weight = weakref.ref(network[1].weight)
    with watch(network) as health:
        torch.compile(network, backend="aot_eager")(torch.randn(5, 3))
    assert [layer.units for layer in health.layers.values()] == [4]
    del network, health
    gc.collect()
    assert weight() is None


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_what_runs_between_broken_graphs_is_said_to_be_unseen() -> None:
    network = Blocks()
    network.blocks.insert(1, nn.Identity())
    network.blocks[1].register_forward_hook(lambda *_: torch._dynamo.graph_break())
    with watch(network) as health:
        torch.compile(network, backend="eager")(torch.randn(3, 4))
    assert any("between the graphs" in note for note in health.report().notes)


@pytest.mark.filterwarnings("ignore")
def test_what_runs_once_the_compiler_gives_up_is_said_to_be_unseen() -> None:
    class Counts(nn.Sequential):
        passes = 0

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            return super().forward(x) * self.passes

    network = Counts(nn.Linear(3, 4), nn.ReLU())
    with torch._dynamo.config.patch(recompile_limit=2), watch(network) as health:
        for _ in range(4):
            torch.compile(network, backend="eager")(torch.randn(5, 3))
    assert any("limit of recompilations" in note for note in health.report().notes)


def test_steps_between_are_left_out_of_compiled_code() -> None:
    network = built(Convolutions)
    compiled = torch.compile(network, backend="aot_eager")
    with watch(network, every=5) as health:
        train(network, compiled, steps=20)
        network.eval()
        with torch.no_grad():
            for _ in range(10):
                compiled(network.batch())
    for mode, passes in (("train", 4), ("eval", 2)):
        totals = [layer.histories[mode].total for layer in health.layers.values()]
        assert [total.samples for total in totals] == [16 * 64 * passes, 16 * 4 * passes, 16 * passes]
    assert health.report().notes == []


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", [Convolutions, Residual, Sigmoidal], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("way", ["as it is", "decomposed"])
def test_an_exported_network_is_seen_by_its_names(kind: type[Network], way: str) -> None:
    network = built(kind).eval()
    inputs = [network.batch() for _ in range(10)]
    exported = torch.export.export(network, (inputs[0],))
    module = exported.module() if way == "as it is" else exported.run_decompositions().module()
    found = []
    for model in (network, module):
        with watch(model) as health:
            for x in inputs:
                model(x)
        found.append(health)
    assert list(found[0].layers) == list(found[1].layers)
    for layer in found[0].layers.values():
        compare([found[1].layers[layer.name]], [layer.histories["eval"].total], *found[1].layers[layer.name].histories)
    assert told(found[0].report(), DEAD) == told(found[1].report(), DEAD) == planted(network, "dead", len(found[0].layers))
    assert found[1].report().notes == []


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("strict", [True, False])
def test_a_network_can_be_exported_meanwhile(strict: bool) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    sizes = {"dynamic_shapes": ({0: torch.export.Dim("batch", min=2)},), "strict": strict}
    without = torch.export.export(network, (x,), **sizes)
    with watch(network) as health:
        network(x)
        with_ = torch.export.export(network, (x,), **sizes)
        network(x)
    assert str(without.graph) == str(with_.graph)
    assert health.layers["1"].histories["train"].total.samples == 10


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_was_decomposed_is_not_taken_for_its_parts() -> None:
    x = torch.randn(5, 3)
    network = nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 4), nn.ReLU6(), nn.Softplus(), nn.Sigmoid())
    whole = torch.export.export(network, (x,))
    parts = whole.run_decompositions()
    for exported, names, notes in ((whole, ["1", "3", "4", "5"], []), (parts, ["3", "5"], ["silu", "softplus"])):
        running = exported.module()
        with watch() as health:
            running(x)
        assert list(health.layers) == names
        assert [note.partition(":")[0] for note in health.report().notes] == notes


def test_pytorch_is_as_it_was_once_nobody_looks() -> None:
    import torch.export._trace as trace
    from torch._dynamo.output_graph import OutputGraph

    def now() -> list[Any]:
        return [OutputGraph.call_user_compiler, trace._strict_export, *sys.meta_path]

    before = now()
    with watch():
        with watch():
            during = now()
        assert now() == during
    assert during[:2] != before[:2]
    assert now() == before


@pytest.mark.parametrize("differs", ["name", "behaviour"])
def test_where_the_compiler_is_another_it_says_that_compiled_code_was_not_seen(
    differs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rectified.torch import compiled as watching

    def fails(*_: Any) -> None:
        raise AttributeError("no such thing")

    def without_names(_: str, act: Any) -> Any:
        act(SimpleNamespace())
        return lambda: None

    monkeypatch.setattr(watching, "_is_seen", True)  # which is restored
    if differs == "name":
        monkeypatch.setattr(watching, "after_import", without_names)
    monkeypatch.setattr(watching, "instrument", fails if differs == "behaviour" else lambda *_: None)
    without = train(built(Convolutions))
    network = built(Convolutions)
    with watch(network) as health:
        with_ = train(network, torch.compile(network, backend="eager"))
    assert all(torch.equal(a, b) for a, b in zip(without, with_, strict=True))
    assert health.layers == {}
    (note,) = health.report().notes
    assert note.startswith("what torch.compile compiled was not seen")


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


class Interrupted(nn.Module):
    """A graph ends between a layer and its activation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.act, self.out = nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6)
        with torch.no_grad():
            self.layer.bias[2] = self.out.bias[3] = -50.0

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        y = self.act(y * 2 if y.sum() > 1e9 else y)
        return F.relu(self.out(y))


def test_compiled_code_is_read_where_its_numbers_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's functions would take several times as long."""
    from rectified.torch import compiled

    def slowly(*_: Any) -> None:
        raise AssertionError("measured by PyTorch's functions")

    monkeypatch.setattr(compiled.Measure, "of", slowly)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.SiLU())
    with watch(network) as health:
        code = torch.compile(network, backend="aot_eager")
        for size in (6, 6, 2, 6):
            code(torch.randn(size, 4)).sum().backward()
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [20, 20]


@pytest.mark.filterwarnings("ignore")
def test_behind_a_break_of_the_graph_units_and_names_are_the_same() -> None:
    torch._dynamo.reset()
    network = Interrupted()
    run = torch.compile(network, backend="eager")
    x = torch.randn(200, 4)
    with watch(network) as health:
        for _ in range(6):
            run(x).sum().backward()
    first, second = health.report().layers
    silent = [(y > 0).logical_not().all(0).nonzero().flatten().tolist() for y in (network.layer(x), network(x))]
    assert [first.of(DEAD).tolist(), second.of(DEAD).tolist()] == silent
    assert re.fullmatch(r"test_torch_compiled.py:\d+ in Interrupted.forward", second.layer.name)
