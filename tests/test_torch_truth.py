"""What is seen of networks in PyTorch, against what they wrote down themselves."""

import copy
import io
import sys
from contextlib import nullcontext, suppress
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402

import rectified as rf  # noqa: E402
from rectified.health import Evidence  # noqa: E402
from rectified.health.verdict import DEAD, LINEAR, SATURATED  # noqa: E402
from rectified.torch import watch  # noqa: E402
from rectified.torch.slopes import Slopes  # noqa: E402
from rectified.torch.tally import Measure  # noqa: E402
from torch_networks import (  # noqa: E402
    NETWORKS,
    Convolutions,
    Network,
    Residual,
    Sigmoidal,
    built,
    compare,
    planted,
    told,
    train,
)


@pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.__name__)
def test_a_network_is_seen_as_it_is(kind: type[Network]) -> None:
    truth = built(kind)
    truth.tape.is_on = True
    without = train(truth)
    network = built(kind)
    with watch(network) as health:
        with_ = train(network)
    assert all(torch.equal(a, b) for a, b in zip(without, with_, strict=True))  # bit by bit
    compare(health.layers.values(), truth.tape.evidence())
    report = health.report()
    layers = len(report.layers)
    assert told(report, DEAD) == planted(network, "dead", layers)
    assert told(report, SATURATED) == planted(network, "saturated", layers)
    assert told(report, LINEAR) == planted(network, "linear", layers)
    assert report.findings == []
    assert report.notes == []


@pytest.mark.parametrize("kind", [Convolutions, Sigmoidal], ids=lambda kind: kind.__name__)
def test_training_and_evaluation_are_counted_apart(kind: type[Network]) -> None:
    truth, network = built(kind), built(kind)
    x = network.batch()
    train(truth)
    with watch(network) as health:
        train(network)
        for model in (truth.eval(), network.eval()):
            model.tape.is_on = model is truth
            for context in (torch.no_grad(), torch.inference_mode()):
                with context:
                    model(x)
        network.train()
        with torch.no_grad():
            network(x)
    compare(health.layers.values(), truth.tape.evidence(), "eval")
    assert all(layer.histories["train"].total.steps == (0, 20) for layer in health.layers.values())


@pytest.mark.parametrize("kind", [Convolutions, Residual, Sigmoidal], ids=lambda kind: kind.__name__)
def test_a_compiled_network_counts_for_itself(kind: type[Network]) -> None:
    truth, network = built(kind), built(kind)
    truth.tape.is_on = True
    train(truth)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(network, backend="aot_eager")
    with watch(network) as health:
        train(network, compiled)
    compare(health.layers.values(), truth.tape.evidence())
    counters = torch._dynamo.utils.counters
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert not counters["recompiles"]
    eager = built(kind)
    with watch(eager) as other:
        train(eager)
    assert list(health.layers) == list(other.layers)
    assert told(health.report(), DEAD) == planted(network, "dead", len(health.layers))


def _silent(x: Tensor) -> Tensor:
    return torch.relu(x)


def test_what_hooks_keep_for_the_backward_pass_is_fetched_by_it_alone() -> None:
    fetched: list[Tensor] = []

    def unpack(tensor: Tensor) -> Tensor:  # checkpointing runs a part of the network again here
        fetched.append(tensor)
        return tensor

    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.GELU())
    with watch(network) as health:
        for _ in range(10):
            with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
                y = network(torch.randn(5, 3))
            assert fetched == []
            y.sum().backward()
            assert fetched != []
            fetched.clear()
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [50, 50]


def test_autocast_in_bfloat16() -> None:
    truth, network = built(Convolutions), built(Convolutions)
    truth.tape.is_on = True
    with torch.autocast("cpu", dtype=torch.bfloat16):
        without = train(truth)
        with watch(network) as health:
            with_ = train(network)
    assert all(torch.equal(a, b) for a, b in zip(without, with_, strict=True))
    compare(health.layers.values(), truth.tape.evidence())
    assert told(health.report(), DEAD) == network.dead


def test_names_tell_the_place() -> None:
    network = Convolutions()
    with watch(network) as health:
        network(network.batch())
    names = list(health.layers)
    assert names[0] == "act"
    assert names[1].startswith("torch_networks.py:")
    assert names[1].endswith("in Convolutions.forward")
    inner = nn.Sequential(network, nn.ReLU())
    with watch() as outer:
        inner(network.batch())
    assert list(outer.layers) == ["0.act", f"0: {names[1]}", f"0: {names[2]}", "1"]


def test_each_use_of_a_module_is_a_layer() -> None:
    act = nn.ReLU()
    network = nn.Sequential(nn.Linear(3, 4), act, nn.Linear(4, 5), act)
    with watch(network) as health:
        for _ in range(12):
            network(torch.randn(2, 3))
    assert {name: layer.units for name, layer in health.layers.items()} == {"1": 4, "1 (use 2)": 5}
    assert all(layer.histories["train"].total.samples == 24 for layer in health.layers.values())


@pytest.mark.parametrize("way", ["trains", "without gradients", "compiled"])
def test_units_that_get_one_input_after_another_are_one_layer(way: str) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.new, self.old, self.gate = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(7, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.zeros(x.shape[0], 4)
            for row in x.unbind(1):
                gate = torch.sigmoid(self.gate(torch.cat([row, h], 1)))
                h = gate * torch.tanh(self.new(row) + self.old(h)) + (1 - gate) * h
            return h

    network = Recurrent()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with watch(network) as health:
        run = torch.compile(network, backend="aot_eager") if way == "compiled" else network
        for _ in range(20):
            with torch.set_grad_enabled(way != "without gradients"):
                y = run(torch.randn(5, 6, 3))
            if way != "without gradients":
                y.sum().backward()
                optimizer.step()
    assert [layer.function for layer in health.layers.values()] == ["sigmoid", "tanh"]
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [5 * 6 * 20] * 2
    assert health.report().notes == health.findings == []


@pytest.mark.parametrize("way", ["trains", "without gradients", "compiled"])
@pytest.mark.parametrize("shared", [nn.ReLU(), F.relu])
def test_what_an_activation_gave_makes_another_layer_of_its_next_use(way: str, shared: Any) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.shared = nn.Linear(3, 4), shared

        def act(self, x: Tensor) -> Tensor:
            return self.shared(x)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.act(self.layer(x)) - 0.5)  # behind the same weights

    network = Twice()
    with watch(network) as health, torch.set_grad_enabled(way != "without gradients"):
        run = torch.compile(network, backend="aot_eager") if way == "compiled" else network
        for _ in range(8):
            run(torch.randn(5, 3))
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [40, 40]


def test_modules_that_a_loop_calls_one_by_one_are_layers() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU())
    with watch() as health, torch.no_grad():
        for _ in range(5):
            x = torch.randn(2, 3)
            for module in network:
                x = module(x)
    assert [layer.units for layer in health.layers.values()] == [4, 5]
    assert sum(layer.histories["train"].total.samples for layer in health.layers.values()) == 20


def test_a_module_that_each_pass_makes_for_itself_is_a_place() -> None:
    class Silent(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.silu(x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return Silent()(nn.Sequential(self.second, nn.GELU())(nn.ReLU()(self.first(x))))

    network = Net()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch(network) as health:
        for _ in range(12):
            network(torch.randn(2, 3)).sum().backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            network(torch.randn(2, 3))
    assert [(layer.function, layer.units) for layer in health.layers.values()] == [("relu", 4), ("gelu", 5), ("silu", 5)]
    assert all(" in " in name for name in health.layers)
    for layer in health.layers.values():
        assert {mode: history.total.samples for mode, history in layer.histories.items()} == {"train": 24, "eval": 2}


def test_a_module_behind_frozen_and_behind_learning_layers_counts_once() -> None:
    act = nn.ReLU()
    network = nn.Sequential(nn.Linear(3, 4).requires_grad_(False), act, nn.Linear(4, 5), act, nn.Linear(5, 5), nn.ReLU())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with watch(network) as health:
        for _ in range(20):
            network(torch.randn(2, 3)).sum().backward()
            optimizer.step()
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [40, 40, 40]


@pytest.mark.parametrize("only", [True, False])
def test_parts_that_a_method_calls_are_parts_of_one_network(only: bool) -> None:
    class Coder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
            self.decoder = nn.Sequential(nn.Linear(4, 5), nn.ReLU())

        def encode(self, x: Tensor) -> Tensor:
            return torch.tanh(self.encoder(x))

        def step(self, x: Tensor) -> Tensor:
            return self.decoder(self.encode(x)).sum()

    network, other = Coder(), nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    with watch(network if only else None) as health:
        for _ in range(12):
            nn.parallel.DataParallel(other)(torch.ones(2, 3))
            network.step(torch.ones(2, 3)).backward()
    line = Coder.encode.__code__.co_firstlineno + 1
    names = ["encoder.1", f"test_torch_truth.py:{line} in {Coder.encode.__qualname__}", "decoder.1"]
    if not only:
        names = ["1", *(name if " in " in name else f"Coder#1.{name}" for name in names)]
    assert list(health.layers) == names
    assert {layer.histories["train"].total.samples for layer in health.layers.values()} == {24}


class Encodes(nn.Module):
    """Its methods run in its forward pass and by themselves, and so does a part of it."""

    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 8)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.linear(x))

    def __init__(self) -> None:
        super().__init__()
        self.part, self.linear, self.act, self.out = Encodes.Part(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)

    def by_module(self, x: Tensor) -> Tensor:
        return self.act(self.linear(x))

    def by_function(self, x: Tensor) -> Tensor:
        return torch.tanh(self.linear(x))

    def forward(self, x: Tensor) -> Tensor:
        x = self.part(x)
        return self.out(self.by_module(x) + self.by_function(x))


@pytest.mark.parametrize("only", [True, False])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_method_that_runs_by_itself_and_in_a_network_has_one_layer(is_first: bool, only: bool) -> None:
    network = Encodes()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def evaluate(passes: int) -> None:
        network.eval()
        with torch.no_grad():
            for _ in range(passes):
                x = network.part(torch.randn(5, 4))
                network.by_module(x), network.by_function(x)
        network.train()

    with watch(network if only else None) as health:
        evaluate(is_first)
        for step in range(40):
            network(torch.randn(3, 4)).sum().backward()
            optimizer.step()
            evaluate(step == 1)
        evaluate(80)
    assert [layer.function for layer in health.layers.values()] == ["relu", "relu", "tanh"]
    assert "act" in {name.rpartition(".")[2] for name in health.layers}
    counted = [{mode: found.total.samples for mode, found in layer.histories.items()} for layer in health.layers.values()]
    assert counted == [{"train": 120, "eval": 5 * (81 + is_first)}] * 3
    assert health.report().notes == []


def test_networks_are_numbered_by_class() -> None:
    class Critic(nn.Sequential):
        pass

    kinds = (nn.Sequential, Critic, nn.Sequential, Critic)
    networks = [kind(nn.Linear(3, 3), nn.ReLU()) for kind in kinds]
    with watch() as health:
        for network in networks:
            network(torch.randn(2, 3))
    assert list(health.layers) == ["1", "Critic#1.1", "Sequential#2.1", "Critic#2.1"]


def test_two_networks_and_a_function_outside_of_both() -> None:
    networks = [nn.Sequential(nn.Linear(3, 4), nn.ReLU()) for _ in range(2)]
    weight = torch.randn(4, 5, requires_grad=True)
    with watch() as health:
        for _ in range(10):
            x = torch.randn(2, 3)
            torch.relu(networks[1](networks[0](x)[:, :3]) @ weight)
    first, second, last = health.layers
    assert (first, second) == ("1", "Sequential#2.1")
    assert "test_torch_truth.py" in last
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [20] * 3


def test_watching_can_begin_again() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    watching = watch(network)
    with watching as first:
        network(torch.rand(4, 2))
        with watching as inner:
            network(torch.rand(5, 2))
    with watching as second:
        network(torch.rand(6, 2))
    watching(lambda: network(torch.rand(7, 2)))()
    samples = [health.layers["1"].histories["train"].total.samples for health in (first, inner, second)]
    assert samples == [9, 5, 6]


def test_where_units_are_not_known_it_says_so() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(torch.fft.fft(x).real)

    network = Net()
    with watch(network) as health:
        network(torch.randn(4, 4))
    assert health.layers == {}
    (note,) = health.report().notes
    assert "nothing tells which axis of its input counts the units" in note


def test_channels_last_and_batches_of_changing_shape() -> None:
    network = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU()).to(memory_format=torch.channels_last)
    truth = []
    with watch(network) as health:
        for size in (5, 6, 5, 5, 7):
            x = torch.randn(3, 2, size, size).to(memory_format=torch.channels_last)
            network(x)
    torch.manual_seed(0)
    inputs = [torch.randn(3, 2, size, size).to(memory_format=torch.channels_last) for size in (5, 6, 5, 5, 70, 7)]
    with watch(network) as health:
        for x in inputs:
            network(x)
    truth = [Evidence.of(rf.relu, network[0](x).detach().numpy(), 1) for x in inputs]
    compare(health.layers.values(), [sum(truth[1:], start=truth[0])])


def test_a_batch_with_nan_is_passed_over_for_its_unit() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    x = torch.randn(6, 2)
    with watch(network) as health:
        network(x)
        with torch.no_grad():
            network[0].bias[1] = float("nan")
        network(x)
    evidence = health.layers["1"].histories["train"].total
    assert evidence.nans.tolist() == [0, 6]
    assert evidence.samples == 12
    assert np.isfinite(evidence.sum_output).all()
    assert [found.kind for found in health.findings] == ["nan_inputs"]


@pytest.mark.parametrize("row", rf.catalogue.of("ridge").values(), ids=lambda row: row.name)
def test_infinite_inputs_count_as_all_others(row: rf.Ridge) -> None:
    big = float("inf")
    x = torch.tensor([[big, -big, big, 0.5, -big, -2.0], [big, -big, 0.3, 0.4, 1.0, big]])
    with np.errstate(invalid="ignore"):
        expected = Evidence.of(row, x.numpy())
    y = torch.from_numpy(row(x.numpy()))
    slopes = Slopes.of(row)
    found = Measure.of(x[None], y[None], (2,), slopes).counted().evidence(row, slopes, (0, 0))
    known = ~np.isnan(y.sum(0).numpy())  # outputs of both infinities are passed over
    for name in ("max_slope", "min_slope", "fired", "nans"):
        np.testing.assert_allclose(getattr(found, name)[known], getattr(expected, name)[known], rtol=1e-6)


@pytest.mark.parametrize(
    ("last", "loss", "kind"),
    [
        (nn.ReLU(), F.cross_entropy, "relu_on_output"),
        (nn.Sigmoid(), nn.CrossEntropyLoss(), "sigmoid_on_output"),
        (nn.Sigmoid(), F.binary_cross_entropy_with_logits, "sigmoid_on_output"),
        (nn.ReLU(), lambda y, target: F.nll_loss(F.log_softmax(y, -1).view(8, 3), target.argmax(-1)), "relu_on_output"),
        (nn.ReLU(), lambda y, target: F.nll_loss(y, target.argmax(-1)), None),
        (nn.Sigmoid(), F.binary_cross_entropy, None),
        (nn.ReLU(), F.mse_loss, None),
        (nn.LeakyReLU(), F.cross_entropy, None),
    ],
)
@pytest.mark.parametrize("only", [True, False])
def test_what_goes_into_a_loss(last: nn.Module, loss: Any, kind: str | None, only: bool) -> None:
    network = nn.Sequential(nn.Linear(4, 3), last, nn.Flatten())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch(network if only else None) as health:
        for _ in range(5):
            optimizer.zero_grad()
            loss(network(torch.randn(8, 4)), torch.rand(8, 3)).backward()
            optimizer.step()
    assert [found.kind for found in health.findings] == ([kind] if kind else [])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("only", [True, False])
def test_a_softmax_before_a_loss_of_logits(only: bool, compiled: bool) -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(-1), nn.Flatten())
    run: Any = torch.compile(network, backend="aot_eager") if compiled else network
    with watch(network if only else None) as health:
        F.nll_loss(torch.log(run(torch.randn(8, 4))), torch.randint(0, 3, (8,))).backward()
        F.cross_entropy(torch.log_softmax(run(torch.randn(8, 4)), -1), torch.randint(0, 3, (8,))).backward()
        assert health.report().notes == []
        F.cross_entropy(run(torch.randn(8, 4)), torch.randint(0, 3, (8,))).backward()
    assert health.report().notes == [
        "cross_entropy expects logits, which are any numbers, and gets what softmax gave: leave that out"
    ]
    assert not health.findings


def test_gradients_of_deep_sigmoids_vanish() -> None:
    network = nn.Sequential(*(part for _ in range(12) for part in (nn.Linear(8, 8), nn.Sigmoid())), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    norms: dict[str, float] = {}
    with watch(network) as health:
        for _ in range(10):
            F.cross_entropy(network(torch.randn(16, 8)), torch.randint(0, 4, (16,))).backward()
            optimizer.step()
    assert "vanishing_gradient" in {found.kind for found in health.findings}
    norms = {verdict.layer.name: verdict.gradient_norm for verdict in health.report().layers}
    assert 0 < norms["1"] < 1e-4 * norms["23"]


@pytest.mark.parametrize("loss", [F.binary_cross_entropy, lambda p, y: -(y * torch.log(p)).mean()])
def test_probabilities_that_are_wrong_make_no_other_gradient_vanish(loss: Any) -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4), nn.Sigmoid())
    with torch.no_grad():
        network[2].bias[0] = -25.0
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch(network) as health:
        for _ in range(20):
            loss(network(torch.randn(16, 8)), torch.ones(16, 4)).backward()
            optimizer.step()
    norms = [verdict.gradient_norm for verdict in health.report().layers]
    assert norms[0] > 0
    assert np.isnan(norms[1])
    assert health.findings == []


def test_steps_between_are_left_out() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with watch(network, every=5) as health:
        for _ in range(50):
            network(torch.randn(2, 3)).sum().backward()
            optimizer.step()
    total = health.layers["1"].histories["train"].total
    assert (total.samples, total.steps) == (20, (0, 47))
    with pytest.raises(ValueError, match="every is 1 or more, not 0"), watch(network, every=0):
        pass
    for every in (1.5, "3", True):
        with pytest.raises(TypeError, match=f"every is a whole number, not {every!r}"):
            watch(network, every=every)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a network is a torch.nn.Module, not of the type list"), watch([network]):
        pass


def test_of_two_networks_that_take_turns_both_are_seen() -> None:
    networks = [nn.Sequential(nn.Linear(3, 3), nn.ReLU()).eval() for _ in range(2)]
    with watch(every=2) as health, torch.no_grad():
        for _ in range(10):
            networks[1](networks[0](torch.randn(2, 3)))
    assert [layer.histories["eval"].total.samples for layer in health.layers.values()] == [10, 10]


def test_windows_are_limited_and_tell_when() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with watch(network) as health:
        for step in range(1200):
            if step == 800:
                with torch.no_grad():
                    network[0].bias[2] = -99.0
            network(torch.randn(4, 3)).sum().backward()
            optimizer.step()
    history = health.layers["1"].histories["train"]
    assert len(history.windows) <= 64
    assert (history.total.samples, history.total.steps) == (4 * 1200, (0, 1199))
    (verdict,) = health.report().layers
    assert verdict.of(DEAD).tolist() == [2]
    assert verdict.since[2] == 800


def test_a_network_can_be_saved_and_copied_and_is_left_as_it_was(tmp_path: Any) -> None:
    network = built(Convolutions)
    with watch(network):
        network(network.batch())
        copied = copy.deepcopy(network)
        file = io.BytesIO()
        torch.save(network, file)
    assert b"rectified.torch" not in file.getvalue()
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    x = network.batch()
    for other in (copied, loaded):
        assert torch.equal(network.eval()(x), other.eval()(x))
    modules = torch.nn.modules.module
    assert not modules._global_forward_hooks
    assert not modules._global_forward_pre_hooks
    assert torch._C._len_torch_function_stack() == 0


class Counting(TorchFunctionMode):
    """Counts what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("already", [0, 10], ids=["from the start", "later"])
@pytest.mark.parametrize("mode", [Counting, lambda: torch.device("meta")], ids=["of its own", "a device"])
def test_modes_that_the_program_begins_stay_until_it_ends_them(mode: Any, already: int) -> None:
    network, begun = built(Convolutions), mode()
    with watch(network) as health:
        train(network, steps=already)
        with begun:
            optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
            for _ in range(10):
                network(torch.ones(2, 3, 8, 8, device="cpu")).sum().backward()
                optimizer.step()
            if isinstance(begun, Counting):
                begun.calls = 0
                torch.ones(1)
                assert begun.calls == 1
            else:
                assert torch.ones(1).is_meta
        assert not torch.ones(1).is_meta
    assert torch._C._len_torch_function_stack() == 0
    samples = 16 * already + 2 * 10
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [
        64 * samples,
        4 * samples,
        samples,
    ]


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_a_network_can_be_saved_after_an_error(error: type[BaseException]) -> None:
    network = built(Convolutions)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)

    def fail(*_: Any) -> None:
        raise error

    with watch(network) as health:
        for step in range(30):
            if step == 20:
                failing = network.second.register_forward_pre_hook(fail)
                with pytest.raises(error):
                    network(network.batch())
                failing.remove()
                file = io.BytesIO()
                torch.save(network, file)
                copied = copy.deepcopy(network)
            network(network.batch()).sum().backward()
            optimizer.step()
    assert b"rectified.torch" not in file.getvalue()
    file.seek(0)
    x = network.batch()
    for other in (copied, torch.load(file, weights_only=False)):
        assert torch.equal(network(x), other(x))
    assert not network._forward_hooks
    for layer, values in zip(health.layers.values(), (64, 4, 1), strict=True):
        assert layer.histories["train"].total.samples in (16 * values * 30, 16 * values * 31)


def test_an_error_in_the_network_is_survived() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.act, self.fails = nn.Linear(3, 4), nn.ReLU(), False

        def forward(self, x: Tensor) -> Tensor:
            if self.fails:
                raise ArithmeticError
            return self.act(self.layer(x))

    network = Net()
    outer = nn.Sequential(network)
    with watch(outer) as health:
        for number in range(10):
            network.fails = number % 2 == 1
            with suppress(ArithmeticError):
                outer(torch.randn(2, 3))
    assert health.layers["0.act"].histories["train"].total.samples == 10


def test_the_fused_path_of_the_transformer_stays_and_is_named() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    x = torch.randn(3, 4, 8)
    with torch.no_grad():
        without = network.eval()(x)
        with watch(network) as health:
            with_ = network(x)
    assert torch.equal(without, with_)
    assert any("fused path" in note for note in health.report().notes)
    with watch(network.train()) as health:
        network(x)
    assert [(name.split(":")[0], layer.units) for name, layer in health.layers.items()] == [
        ("layers.0", 16),
        ("layers.1", 16),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_can_not_be_seen_is_said() -> None:
    scripted = torch.jit.trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.ones(1, 2))
    network = nn.Sequential(scripted, nn.Linear(2, 2))
    recurrent = nn.Sequential(nn.LSTM(2, 3))
    stacked = nn.RNN(2, 3, num_layers=2, nonlinearity="relu")
    cell = nn.RNNCell(2, 3, nonlinearity="relu")
    with watch() as health:
        network(torch.ones(1, 2))
        recurrent(torch.ones(1, 2))
        stacked(torch.ones(1, 2))
        cell(torch.ones(1, 2))
    notes = "; ".join(health.report().notes)
    assert "torch.jit" in notes
    assert "0: the functions inside LSTM are not seen" in notes
    assert "RNN: only the last of its layers is seen" in notes
    assert "the functions inside RNNCell are not seen" in notes


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["a function", "loaded", "an operator of its own", "fused", "AOTInductor"])
def test_what_computes_where_nothing_can_be_seen_is_said(kind: str, tmp_path: Any) -> None:
    layer = nn.Linear(3, 4)
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
    torch.jit.save(scripted, tmp_path / "scripted.pt")
    own = torch.library.Library("tests_of_rectified", "DEF")
    own.define("silu_and_double(Tensor x) -> Tensor")
    own.impl("silu_and_double", lambda x: 2 * torch.sigmoid(x) * x, "CompositeExplicitAutograd")
    runs: Any = {
        "a function": torch.jit.script(_silent),
        "loaded": torch.jit.load(tmp_path / "scripted.pt"),
        "an operator of its own": torch.ops.tests_of_rectified.silu_and_double,
        "fused": lambda x: torch._addmm_activation(torch.zeros(2), x, torch.ones(4, 2)),
        "AOTInductor": lambda x: torch._C._aoti.AOTIModelContainerRunnerCpu.run(None, [x]),
    }
    said = {"a function": "_silent: ", "an operator of its own": "silu_and_double", "fused": "_addmm_activation"}
    run = runs[kind]
    network = nn.Module()

    def forward(x: Tensor) -> Tensor:
        with suppress(TypeError):  # no library was compiled for this, which takes long
            return run(layer(x))
        return layer(x)

    network.forward = forward  # type: ignore[method-assign]
    call = torch._C.ScriptFunction.__call__
    with watch() as health, torch.no_grad():
        for _ in range(5):
            network(torch.ones(2, 3))
    (note,) = health.report().notes
    assert "not seen" in note
    assert said.get(kind, {"loaded": "torch.jit"}.get(kind, kind)) in note
    assert torch._C.ScriptFunction.__call__ is call
    with watch(layer) as health:
        network(torch.ones(2, 3))
    assert health.run.notes == []


def test_data_parallel_without_devices_is_only_a_wrapper() -> None:
    network = built(Convolutions)
    with watch() as health:
        train(network, nn.DataParallel(network))
    assert told(health.report(), DEAD) == network.dead
    assert next(iter(health.layers)) == "act"
    assert health.report().notes == []


def test_workers_that_load_data_do_no_harm() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    data = torch.utils.data.DataLoader(torch.randn(32, 3), batch_size=4, num_workers=2)
    with watch(network) as health:
        for x in data:
            network(x)
    assert health.layers["1"].histories["train"].total.samples == 32


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(
    "layer",
    [
        lambda x, weight: F.linear(torch.nested.nested_tensor([x, x[:2]]), weight),
        lambda x, weight: F.linear(x.to_mkldnn(), weight.to_mkldnn()),
    ],
    ids=["nested", "mkldnn"],
)
def test_tensors_of_another_kind_are_left_alone(layer: Any) -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(layer(x, torch.ones(4, 3)))

    with watch() as health:
        for _ in range(3):
            Net()(torch.randn(5, 3))
    assert health.layers == {}
    assert all("was not" in note for note in health.report().notes)
    assert len(health.report().notes) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_transformed_and_traced_code_is_left_alone() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    x = torch.randn(5, 3)
    with watch(network) as health:
        network(x)
        assert torch.func.vmap(network)(x).shape == (5, 4)
        torch.func.grad(lambda x: network(x).sum())(x)
        traced = torch.jit.trace(network, x, check_trace=False)
    assert health.layers["1"].histories["train"].total.samples == 5
    assert "copy_" not in str(traced.inlined_graph)
    assert "torch.func" in health.report().notes[0]


def test_outputs_that_are_overwritten_afterwards() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    inputs = torch.randn(20, 2, 3)
    truth = Evidence.of(rf.relu, network[0](inputs).detach().numpy().reshape(-1, 4))
    with watch(network) as health:
        for number, x in enumerate(inputs):
            with torch.set_grad_enabled(number % 3 != 0):
                network(x).detach().fill_(5.0)
    total = health.layers["1"].histories["train"].total
    np.testing.assert_array_equal(total.fired, truth.fired)
    np.testing.assert_allclose(total.sum_output, truth.sum_output, rtol=1e-5)


def test_inputs_without_a_batch() -> None:
    network = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh())
    inputs = torch.randn(100, 3)
    with watch(network) as health:
        for x in inputs:
            network(x)
    hidden = network[0](inputs).detach()
    truth = [Evidence.of(rf.relu, hidden.numpy()), Evidence.of(rf.tanh, network[2](hidden.relu()).detach().numpy())]
    compare(health.layers.values(), truth)


@pytest.mark.parametrize("way", ["eager", "compiled"])
@pytest.mark.parametrize("first", [(5, 3), (2, 6, 3), (3,)])
@pytest.mark.parametrize(("layer", "row"), [(nn.ReLU(), rf.relu), (nn.GELU(), rf.gelu)])
def test_batches_of_any_number_of_axes_without_rows_too(
    layer: nn.Module, row: rf.Ridge, first: tuple[int, ...], way: str
) -> None:
    network = nn.Sequential(nn.Linear(3, 6), layer, nn.Linear(6, 6), nn.ReLU())
    run = torch.compile(network, backend="eager") if way == "compiled" else network
    inputs = [torch.randn(shape) for shape in (first, (5, 3), (0, 3), (3,), (2, 6, 3))] * 3
    with watch(network) as health:
        for x in inputs:
            run(x).sum().backward()
    hidden = [network[0](x).detach() for x in inputs if len(x)]
    behind = [network[2](layer(x)).detach() for x in hidden]
    truth = [[Evidence.of(row, x.numpy()) for x in hidden], [Evidence.of(rf.relu, x.numpy()) for x in behind]]
    compare(health.layers.values(), [reduce(add, each) for each in truth])
    assert [layer_.note for layer_ in health.layers.values()] == ["", ""]


def test_images_with_and_without_a_batch() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    inputs = [torch.randn(3, 4, 4), torch.randn(5, 3, 4, 4), torch.randn(3, 4, 4)] * 3
    with watch(network) as health:
        for x in inputs:
            network(x).sum().backward()
    truth = [Evidence.of(rf.relu, network[0](x).detach().numpy(), -3) for x in inputs]
    compare(health.layers.values(), [reduce(add, truth)])


def test_a_learned_slope() -> None:
    network = nn.Sequential(nn.Conv1d(2, 3, 1), nn.PReLU(3))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([0.1, 0.2, 0.5]))
    x = torch.randn(5, 2, 7)
    with watch(network) as health:
        network(x)
        network(x)
    inputs = network[0](x).detach().numpy()
    truth = Evidence.of(rf.leaky_relu.bind(slope=np.array([0.1, 0.2, 0.5], np.float32)[:, None]), inputs, 1)
    compare(health.layers.values(), [truth + truth])


WEIGHT = nn.Parameter(torch.linspace(-1.1, 1, 24).view(6, 4))
MASKED = [(lambda y: y[torch.tensor([True, False, True])], 2), (lambda y: y[torch.eye(3, 4).bool()], 1)]


@pytest.mark.parametrize("way", ["eager", "compiled"])
@pytest.mark.parametrize(
    ("moved", "axis"),
    [
        *MASKED,
        (lambda y: y[torch.tensor([2, 0, 1])], 2),
        (lambda y: y[torch.tensor([[2, 0], [1, 1]])], 3),
        (lambda y: torch.zeros(5, 4, 4).index_add(0, torch.tensor([4, 1, 1]), y), 2),
        (lambda y: torch.zeros(3, 4, 4).scatter_add(1, torch.zeros(3, 4, 4, dtype=torch.long), y), 2),
        (lambda y: y.movedim((1, 2), (2, 1)), 1),
        (lambda y: y.repeat(2, 1, 1, 1), 3),
        (lambda y: torch.cat([torch.ones(3, 4, 4), y], 2), 2),
        (lambda y: torch.nan_to_num(y), 2),
        (lambda y: y[torch.arange(3), torch.tensor([3, 0, 1])], 1),
        (lambda y: y[torch.arange(3), -1], 1),
        (lambda y: y[:, torch.tensor([2, 0])], 2),
        (lambda y: y.transpose(0, 2)[:, torch.tensor([2, 0])], 0),
        (lambda y: y[None, 1, torch.tensor([[2], [0]])][..., None], 3),
        (lambda y: y.transpose(1, 2)[torch.arange(3), :, torch.tensor([2, 0, 1])], 1),
        (lambda y: y.permute(1, 2, 0)[torch.arange(3), :, torch.arange(3)], 1),
        (lambda y: y.permute(2, 0, 1)[:, torch.tensor([[2, 0], [1, 1]]), torch.tensor([0, 3])], 0),
        (lambda y: y.gather(1, torch.ones(3, 4, 4, dtype=torch.long)), 2),
        (lambda y: y.take_along_dim(torch.ones(3, 1, 4, dtype=torch.long), dim=1), 2),
        (lambda y: y.transpose(1, 2).sort()[0], 1),
        (lambda y: y.topk(2, 1).values, 2),
        (lambda y: y.scatter(1, torch.zeros(3, 1, 4, dtype=torch.long), 0.5), 2),
        (lambda y: y.norm(dim=1), 1),
        (lambda y: torch.linalg.vector_norm(y, dim=0), 1),
        (lambda y: y.median(1)[0], 1),
        (lambda y: y.prod(0), 1),
        (lambda y: torch.var_mean(y, 1)[1], 1),
        (lambda y: torch.addcmul(torch.ones(4, 1), y, y), 2),
        (lambda y: torch.broadcast_tensors(torch.ones(2, 1, 1, 1), y)[1] * 2, 3),
        (lambda y: torch.broadcast_to(y, (2, 3, 4, 4)), 3),
        (lambda y: torch.logaddexp(y, torch.zeros(())), 2),
        (lambda y: torch.hstack([y, y]), 2),
        (lambda y: torch.vstack([y, y]), 2),
        (lambda y: y.hsplit(2)[1], 2),
        (lambda y: y.split_with_sizes([1, 3], 1)[1], 2),
        (lambda y: torch.fft.irfft(torch.fft.rfft(y, dim=1), dim=1), 2),
        (lambda y: torch.complex(y, y).abs(), 2),
        (lambda y: torch.view_as_real(torch.complex(y, y)), 2),
        (lambda y: y.unfold(1, 2, 1), 2),
        (lambda y: torch.empty(2, 3, 4, 4).copy_(y), 3),
        (lambda y: torch.einsum("st,btu->bsu", torch.ones(2, 4), y), 2),
        (lambda y: torch.einsum("bts,bsu->but", (y @ y.mT).softmax(-1), y), 1),
        (lambda y: torch.tensordot(y, WEIGHT, ([2], [1])), 2),
        (lambda y: torch.inner(y, WEIGHT), 2),
        (lambda y: y.log2().ceil().cumprod(1).nan_to_num(-1.0, -1.0, -1.0), 2),
    ],
)
def test_units_are_followed_to_where_they_go(moved: Any, axis: int, way: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 4)
            self.weight = WEIGHT

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(moved(self.layer(x)))

    network, x = Net(), torch.randn(3, 4, 5)
    if way == "compiled" and (moved, axis) in MASKED:
        pytest.skip("the compiler breaks the graph where the number of rows depends on data")
    run = torch.compile(network, backend="eager") if way == "compiled" else network
    with watch(network) as health:
        run(x)
    compare(health.layers.values(), [Evidence.of(rf.relu, moved(network.layer(x)).detach().numpy(), axis)])


@pytest.mark.parametrize(
    "mixed",
    [
        lambda y: y[:, :, torch.tensor([2, 0, 1])],
        lambda y: y[torch.ones(3, 4, 4, dtype=torch.bool)],
        lambda y: torch.zeros(3, 4, 4).index_add(2, torch.tensor([2, 1, 1, 0]), y),
        lambda y: torch.cat([torch.ones(3, 4, 4), y], 1),
        lambda y: y.gather(2, torch.zeros(3, 4, 4, dtype=torch.long)),
        lambda y: y[torch.arange(3), :, torch.tensor([2, 0, 1])],
        lambda y: y.sort()[0],
        lambda y: y.topk(2).values,
        lambda y: y.norm(dim=2),
        lambda y: y.unfold(2, 2, 1),
        lambda y: y.take_along_dim(torch.ones(3, 4, 1, dtype=torch.long), 2),
        lambda y: y.take_along_dim(torch.arange(9)),
        lambda y: torch.einsum("btu,bsu->bts", y, y),
        lambda y: torch.einsum("btu,bsv->btsuv", y, y),
        lambda y: torch.view_as_complex(y.unflatten(2, (2, 2))).real,
    ],
)
def test_where_units_are_mixed_it_says_that_they_are_not_known(mixed: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 4)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(mixed(self.layer(x)))

    network = Net()
    with watch(network) as health:
        network(torch.randn(3, 4, 5))
    assert health.layers == {}
    (note,) = health.report().notes
    assert "nothing tells which axis" in note


@pytest.mark.parametrize("is_modulated", [True, False])
def test_groups_of_a_convolution_that_are_examples_are_no_units(is_modulated: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.style = nn.Parameter(torch.randn(6, 3, 3, 3)), nn.Linear(2, 3)

        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            if not is_modulated:
                return F.relu(F.conv2d(x[:1].flatten(0, 1)[None], self.weight[:, :1], groups=3))
            weights = self.weight * self.style(z)[:, None, :, None, None]
            y = F.conv2d(x.flatten(0, 1)[None], weights.flatten(0, 1), groups=len(x))
            return F.relu(y.view(len(x), 6, 3, 3))

    network = Net()
    with watch(network) as health:
        for _ in range(4):
            network(torch.randn(4, 3, 5, 5), torch.randn(4, 2)).sum().backward()
    assert [layer.units for layer in health.layers.values()] == ([] if is_modulated else [6])
    assert len([note for note in health.report().notes if "nothing tells" in note]) == is_modulated


@pytest.mark.parametrize(
    ("cell", "moved"),
    [
        (nn.LSTMCell(5, 4), lambda found: found[0]),
        (nn.GRUCell(5, 4), lambda found: found),
        (nn.RNNCell(5, 4), lambda found: found),
        (nn.GRUCell(5, 4), lambda y: pad_sequence([y[:3], y[:2]])),
        (nn.GRUCell(5, 4), lambda y: pack_padded_sequence(y.view(2, 3, 4), torch.tensor([3, 2]), batch_first=True).data),
        (
            nn.GRUCell(5, 4),
            lambda y: pad_packed_sequence(pack_padded_sequence(y.view(2, 3, 4), torch.tensor([2, 2]), batch_first=True))[0],
        ),
    ],
)
def test_units_of_recurrent_cells_and_of_sequences(cell: nn.Module, moved: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(moved(self.cell(x)))

    network, x = Net(), torch.randn(6, 5)
    with watch(network) as health:
        network(x)
    compare(health.layers.values(), [Evidence.of(rf.relu, moved(cell(x)).detach().numpy())])


def test_units_are_followed_through_what_imitates_quantization() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.act = nn.Linear(3, 4), nn.ReLU()
            self.imitates = torch.ao.quantization.FakeQuantize()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.imitates(self.layer(x)))

    network = Net()
    with watch(network) as health:
        for _ in range(3):
            network(torch.randn(2, 3)).sum().backward()
    assert [layer.units for layer in health.layers.values()] == [4]
    assert health.report().notes == []


def test_parameters_that_are_replaced_in_each_pass_are_those_of_one_layer() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x @ self.weight)

    network = Net()
    with watch(network) as health:
        for number in range(8):
            if number % 2:
                network.weight = nn.Parameter(torch.randn(3, 4))
            values = {"weight": network.weight.detach()}
            torch.func.functional_call(network, values if number < 4 else {}, torch.randn(2, 3))
            torch.func.grad(lambda weight: torch.func.functional_call(network, weight, torch.randn(2, 3)).sum())(values)
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [14]
    assert "some forward passes did what none before had done, and were counted in part" in health.report().notes


def test_layers_that_are_not_there_yet() -> None:
    network = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    with watch(network) as health:
        for _ in range(3):
            network(torch.ones(2, 3))
    assert [layer.units for layer in health.layers.values()] == [4]
    assert health.report().notes == []


@pytest.mark.parametrize("size", [5, 8])
def test_a_slope_for_each_channel_where_the_units_are_on_another_axis(size: int) -> None:
    network = nn.Sequential(nn.Linear(3, 8), nn.PReLU(size))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with watch(network) as health:
        for _ in range(10):
            network(torch.randn(2, size, 3)).sum().backward()
            optimizer.step()
    assert health.layers == {}
    (note,) = health.report().notes
    assert note.startswith("1: nothing tells which axis")


def test_complex_numbers() -> None:
    layer = nn.Linear(3, 4, dtype=torch.complex64)
    network = nn.Module()
    network.forward = lambda x: F.relu(torch.tanh(layer(x.to(torch.complex64))).imag)  # type: ignore[method-assign]
    with watch(network) as health:
        for _ in range(3):
            network(torch.ones(2, 3))
    assert health.report().notes == ["tanh: what it did with complex numbers was not counted"]


def test_a_second_network_of_the_same_id_is_another() -> None:
    with watch() as health:
        for _ in range(20):
            nn.Sequential(nn.Linear(2, 3), nn.ReLU())(torch.ones(1, 2))
    assert len(health.layers) == 20


def test_threads_are_named() -> None:
    from threading import Thread

    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with watch() as health:
        network(torch.ones(1, 2))
        thread = Thread(target=network, args=(torch.ones(1, 2),))
        thread.start()
        thread.join()
    assert health.layers["1"].histories["train"].total.samples == 1
    assert "other threads" in health.report().notes[0]


def runs_a_network() -> None:
    nn.Sequential(nn.Linear(2, 3), nn.ReLU())(torch.ones(1, 2))


def trains_without_modules() -> None:
    weight = nn.Parameter(torch.ones(2, 3))
    torch.relu(torch.ones(1, 2) @ weight).sum().backward()
    torch.optim.SGD([weight], lr=0.1).step()


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("act", [runs_a_network, trains_without_modules])
def test_a_thread_that_only_runs_while_a_network_does_is_named(act: Any, every: int) -> None:
    from threading import Event, Thread

    begin = Event()
    thread = Thread(target=lambda: begin.wait(60) and act())

    class Waiting(nn.Module):
        passes = 0

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            if self.passes == 20:  # long after all modules have been looked at
                begin.set()
                thread.join(60)
            return x

    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), Waiting(), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with watch(every=every) as health:
        thread.start()
        for _ in range(30):
            network(torch.randn(4, 2)).sum().backward()
            optimizer.step()
    assert not thread.is_alive()
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [120 / every]
    assert health.report().notes == ["what ran in other threads than the first was not seen"]


@pytest.mark.parametrize("act", [runs_a_network, trains_without_modules])
def test_a_thread_that_only_runs_while_another_compiles_is_named(act: Any) -> None:
    from threading import Thread

    def backend(graph: Any, inputs: Any) -> Any:
        thread = Thread(target=act)
        thread.start()
        thread.join()
        return graph.forward

    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    compiled = torch.compile(network, backend=backend)
    with watch() as health:
        for _ in range(3):
            compiled(torch.randn(4, 2))
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [12]
    assert health.report().notes == ["what ran in other threads than the first was not seen"]


def test_modules_run_without_hooks_beside_a_thread_that_runs_none() -> None:
    from threading import Event, Thread

    from torch.nn.modules import module

    class Looking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            hooked.append(bool(module._global_forward_pre_hooks))
            return x

    hooked: list[bool] = []
    end = Event()
    thread = Thread(target=end.wait, args=(60,))
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), Looking(), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with watch(network) as health:
        thread.start()
        for _ in range(120):
            network(torch.randn(4, 2)).sum().backward()
            optimizer.step()
    end.set()
    thread.join()
    assert all(hooked[:60])
    assert not any(hooked[80:120])
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [480]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_networks_that_train_in_a_thread_or_in_jit_are_left_alone() -> None:
    from threading import Thread

    networks = [nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)) for _ in range(3)]
    networks.append(torch.jit.script(networks.pop()))
    ended = []

    def learn(network: nn.Module) -> None:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(30):
            network(torch.randn(4, 2)).sum().backward()
            optimizer.step()
        ended.append(network)

    with watch() as health:
        thread = Thread(target=learn, args=networks[:1])
        thread.start()
        for network in networks[1:]:
            learn(network)
        thread.join()
    assert len(ended) == 3
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [120]
    notes = "; ".join(health.report().notes)
    assert "other threads" in notes
    assert "torch.jit" in notes


def test_parameters_that_make_their_steps_while_gradients_are_computed() -> None:
    networks = [built(Convolutions), built(Convolutions)]

    def learn(network: Network) -> list[Tensor]:
        optimizers = {parameter: torch.optim.SGD([parameter], lr=1e-4) for parameter in network.parameters()}

        def step(parameter: Tensor) -> None:
            optimizers[parameter].step()
            optimizers[parameter].zero_grad()

        for parameter in optimizers:
            parameter.register_post_accumulate_grad_hook(step)
        torch.manual_seed(0)
        for _ in range(10):
            network(network.batch()).sum().backward()
        return list(network.parameters())

    without = learn(networks[0])
    with watch(networks[1]) as health:
        with_ = learn(networks[1])
    assert all(map(torch.equal, without, with_))
    assert told(health.report(), DEAD) == networks[1].dead
    assert torch._C._len_torch_function_stack() == 0


def test_functions_outside_of_any_network_train_on() -> None:
    weights = [torch.randn(4, 4, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.SGD(weights, lr=0.01)
    with watch() as health:
        for _ in range(40):
            F.gelu(F.gelu(torch.randn(6, 4) @ weights[0]) @ weights[1]).sum().backward()
            optimizer.step()
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [240, 240]
    assert health.report().notes == []


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("place", ["method", "script"])
def test_an_activation_that_is_made_for_each_call_is_one_layer(place: str, *, grad: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 6)

        def forward(self, x: Tensor) -> Tensor:
            return nn.ReLU()(self.first(x))

        def gate(self, x: Tensor) -> Tensor:
            return nn.Sigmoid()(self.first(x))

    network = Net()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with watch() as health:
        for _ in range(12):
            network(torch.randn(2, 4)).sum().backward()
            optimizer.step()
        network.eval()
        for _ in range(12):
            with torch.set_grad_enabled(grad):
                x = torch.randn(2, 4)
                y = network.gate(x) if place == "method" else nn.Sigmoid()(network.first(x))
            if grad:
                y.sum().backward()
    relu, sigmoid = health.layers.values()
    assert {mode: history.total.samples for mode, history in relu.histories.items()} == {"train": 24}
    mode = "train" if grad and place == "script" else "eval"
    assert {mode: history.total.samples for mode, history in sigmoid.histories.items()} == {mode: 24}
    assert "(use" not in sigmoid.name


def test_functions_that_come_late_with_a_part_of_the_network_are_seen() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 5)

        def head(self, x: Tensor) -> Tensor:
            return F.relu(self.second(x))

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.first(x))

    network = Net()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with watch() as health:
        for step in range(40):
            network(torch.randn(2, 4)).sum().backward()
            if step >= 20:
                network.head(torch.randn(2, 6)).sum().backward()
            optimizer.step()
        with torch.no_grad():
            network.head(torch.randn(2, 6))
        network.eval()
        network.head(torch.randn(2, 6))
    assert [layer.units for layer in health.layers.values()] == [6, 5]
    samples = [history.total.samples for layer in health.layers.values() for history in layer.histories.values()]
    assert samples == [2 * 40, 2 * 21, 2]
    assert health.report().notes == []


@pytest.mark.parametrize(
    ("loss", "layers"), [(lambda y: torch.sigmoid(y).sum(), 2), (lambda y: F.relu(1 - y).mean(), 1)], ids=["layer", "loss"]
)
def test_the_mode_is_on_only_where_something_is_counted_by_it(loss: Any, layers: int) -> None:
    modes: list[int] = []

    class Net(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            modes.append(torch._C._len_torch_function_stack())
            return super().forward(x)

    network = Net(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with watch() as health:
        for _ in range(12):
            outside = torch._C._len_torch_function_stack()
            loss(network(torch.randn(2, 4))).backward()
            optimizer.step()
    assert (modes[0], modes[-1], outside) == (1, 0, layers - 1)
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [24] * layers


def test_the_mode_is_off_while_an_optimizer_makes_a_step_unless_it_calls_a_closure() -> None:
    modes: list[int] = []

    class Optimizer(torch.optim.Optimizer):
        def step(self, closure: Any = None) -> None:
            modes.append(torch._C._len_torch_function_stack())
            if closure is not None:
                closure()

    def loss() -> None:
        torch.sigmoid(network(torch.randn(2, 4))).sum().backward()

    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizers = [Optimizer(network.parameters(), {}) for _ in range(2)]
    with watch() as health:
        for _ in range(12):
            loss()
            for optimizer in optimizers:  # nothing runs before the second one's step
                optimizer.step()
        assert modes == [0] * 24
        for _ in range(12):
            optimizers[0].step(loss)
    assert modes[24:] == [1] * 12
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [48, 48]


def test_the_library_loads_no_torch_by_itself() -> None:
    import subprocess

    program = "import sys, rectified, rectified.health, rectified.torch, rectified.torch.run; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


class Changing(nn.Module):
    """Its activations are called as functions, until `way` changes."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.layers, self.shared, self.way = nn.ModuleList(nn.Linear(4, 4) for _ in range(3)), nn.Linear(4, 4), ""
        self.other, self.function = nn.Linear(4, 4), function

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.function(self.shared(self.function((self.other if self.way == "other" else layer)(x))))
            if self.way == "left out" and layer is self.layers[1]:
                return x
            if self.way == "changed":
                x = x + 1
        return self.function(self.shared(x)) if self.way == "longer" else x


@pytest.mark.parametrize("function", [F.relu, F.gelu, lambda x: x.clamp(min=0)], ids=["relu", "gelu", "clamp"])
@pytest.mark.parametrize(
    "way", ["", "left out", "changed", "longer", "other", "frozen", "without gradients", "evaluated", "offloaded"]
)
def test_functions_are_seen_where_gradients_need_them(way: str, function: Any) -> None:
    network = Changing(function)
    inputs = torch.randn(80, 2, 4)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with watch(network) as health:
        for step, x in enumerate(inputs):
            if step == 40:
                network.way = way
                network.requires_grad_(way != "frozen").train(way != "evaluated")
            offload = torch.autograd.graph.save_on_cpu if way == "offloaded" and step >= 40 else nullcontext
            with torch.set_grad_enabled(way != "without gradients" or step < 40), offload():
                network(x)
            optimizer.step()
    modes = {mode for layer in health.layers.values() for mode in layer.histories}
    assert modes == ({"train", "eval"} if way == "evaluated" else {"train"})
    samples = [sum(history.total.samples for history in layer.histories.values()) for layer in health.layers.values()]
    missed = 1 if way in ("frozen", "offloaded") else 0  # the pass in which it is noticed, of which the graph tells nothing
    whole = 2 * (80 - missed)
    expected = [whole, 3 * whole, whole, whole]  # the one behind `shared` is second
    expected[1] += {"left out": -2 * 40, "longer": 2 * 39 if function not in (F.relu, F.gelu) else 0}.get(way, 0)
    expected[3] -= 2 * 40 if way == "left out" else 0
    if way == "other":
        expected = [2 * 40, 3 * whole, 2 * 40, 2 * 40, 3 * 2 * 39]
    if way == "longer" and function in (F.relu, F.gelu):  # on another line
        expected.append(2 * 39)
    assert samples == expected
    is_in_part = way in ("frozen", "offloaded", "longer", "other")
    assert [note for note in health.report().notes if "counted in part" in note] == health.report().notes
    assert len(health.report().notes) == is_in_part


class Choosing(nn.Module):
    """In each pass one of its parts runs: `choice` tells which."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.kind, self.choice = nn.Linear(4, 6, bias=False), kind, 0
        self.parts = nn.ModuleList(nn.Linear(6, 8) for _ in range(4))
        self.acts = nn.ModuleList(nn.GELU() if kind == "gelu" else nn.ReLU() for _ in range(4))
        self.weights = nn.Parameter(torch.randn(4, 6, 8) / 2)
        self.shifts = torch.zeros(4, 8)
        for number in range(4):
            self.shifts[number, number] = -50.0  # the dead unit
        with torch.no_grad():
            for part, shift in zip(self.parts, self.shifts, strict=True):
                part.bias.copy_(shift)
        self.parts.requires_grad_(kind != "frozen")

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.kind == "stacked":
            return self.acts[self.choice](x @ self.weights[self.choice] + self.shifts[self.choice])
        return self.acts[self.choice](self.parts[self.choice](x))


@pytest.mark.parametrize("kind", ["relu", "gelu", "frozen", "stacked"])
def test_each_pass_counts_for_the_part_that_ran(kind: str) -> None:
    network = Choosing(kind)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    choices = [0] * 20 + [1, 0, 0, 2, 0, 3] * 20
    with watch(network) as health:
        for network.choice in choices:
            network(torch.randn(64, 4)).sum().backward()
            optimizer.step()
    found = {
        int(verdict.layer.name[-1]): (verdict.history.total.samples // 64, verdict.of(DEAD).tolist())
        for verdict in health.report().layers
    }
    assert found[0] == (20 + 60, [0])
    assert {number: dead for number, (_, dead) in found.items()} == {number: [number] for number in range(4)}
    assert all(passes in (19, 20) for number, (passes, _) in found.items() if number)  # the first has to be noticed


class Experts(nn.Module):
    """Each row goes to one expert; an expert without rows does not run. What a pass does is written down."""

    class Expert(nn.Module):
        def __init__(self, act: nn.Module, after: str) -> None:
            super().__init__()
            self.up, self.act, self.down, self.after = nn.Linear(4, 8), act, nn.Linear(8, 4), after

        def forward(self, x: Tensor) -> Tensor:
            x = self.up(x)
            return x if self.after == "outside" else self.down(F.relu(x) if self.after == "function" else self.act(x))

    def __init__(self, act: nn.Module, after: str, count: int = 4) -> None:
        super().__init__()
        self.act, self.after = act, after
        self.experts = nn.ModuleList(Experts.Expert(act, after) for _ in range(count))
        for number, expert in enumerate(self.experts):
            with torch.no_grad():
                expert.up.bias[number] = -50.0  # the dead unit
        self.chosen = torch.zeros(0, dtype=torch.long)
        self.seen: list[list[Tensor]] = [[] for _ in range(count)]

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for number, expert in enumerate(self.experts):
            rows = (self.chosen == number).nonzero().flatten()
            if len(rows):
                y = x[rows] if self.after in ("weights", "computed", "bare") else expert(x[rows])
                if self.after == "outside":
                    y = expert.down(self.act(y))
                if self.after in ("weights", "computed"):
                    weight = expert.up.weight if self.after == "weights" else torch.rot90(expert.up.weight, 4)
                    y = expert.down(F.relu(F.linear(y, weight, expert.up.bias)))
                if self.after == "bare":
                    y = expert.down(self.act(torch.addmm(expert.up.bias, y, 2 * expert.up.weight.t() / 2)))
                out = out.index_add(0, rows, y)
                self.seen[number].append(expert.up.weight.detach() @ x[rows].detach().T + expert.up.bias.detach()[:, None])
        return out


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize(
    ("act", "after"),
    [
        (nn.ReLU, "inside"),
        (nn.ReLU, "function"),
        (nn.GELU, "inside"),
        (nn.ReLU, "outside"),
        (nn.ReLU, "weights"),
        (nn.ReLU, "bare"),
    ],
)
def test_experts_that_share_an_activation_are_counted_apart(act: type[nn.Module], after: str, learns: bool) -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 4), Experts(act(), after))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-5)
    with watch(network) as health:
        for step in range(150):
            network[1].chosen = torch.randperm(4)[: 1 + step % 3][torch.randint(1 + step % 3, (12,))] % (
                2 if step < 20 else 4
            )
            with torch.set_grad_enabled(learns):
                loss = network(torch.randn(12, 4)).square().sum()
            if learns:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    truth = [torch.cat(seen, 1) for seen in network[1].seen]
    found = list(health.report().layers)
    if after in ("inside", "function"):
        assert [verdict.layer.name[:11] for verdict in found] == [f"1.experts.{number}" for number in range(4)]
    assert [verdict.of(DEAD).tolist() for verdict in found] == [[number] for number in range(4)]
    for verdict, x in zip(found, truth, strict=True):
        assert x.shape[1] - 12 * 5 <= verdict.history.total.samples <= x.shape[1]  # a new way has to be noticed
    assert health.report().notes == []


def test_experts_that_are_told_apart_by_their_order_alone_have_a_note() -> None:
    torch.manual_seed(3)
    network = Experts(nn.ReLU(), "computed")
    with watch(network) as health:
        for _ in range(40):
            network.chosen = torch.randint(4, (3,))
            network(torch.randn(3, 4)).sum().backward()
    assert any("inputs come from different layers" in note for note in health.report().notes)


@pytest.mark.parametrize("function", [F.relu, F.gelu], ids=["relu", "gelu"])
def test_what_runs_seldom_and_late_is_seen_and_a_note_tells_that_its_first_time_was_not(function: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.runs = nn.Linear(4, 6), nn.Linear(6, 5), False

        def forward(self, x: Tensor) -> Tensor:
            x = function(self.first(x))
            return function(self.second(x)) if self.runs else x

    network = Net()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with watch(network) as health:
        for step in range(100):
            network.runs = step in (30, 60, 90)
            network(torch.randn(2, 4)).sum().backward()
            optimizer.step()
    assert [layer.units for layer in health.layers.values()] == [6, 5]
    assert [layer.histories["train"].total.samples for layer in health.layers.values()] == [2 * 100, 2 * 2]
    assert health.report().notes == ["some forward passes did what none before had done, and were counted in part"]
