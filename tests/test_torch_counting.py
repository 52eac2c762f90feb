"""How what is counted is counted: one pass over tensors where they are, and what is done without one."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

import rectified as rf  # noqa: E402
from rectified._native import (  # noqa: E402
    count_positive,
    count_positive_each,
    follow,
    instruction_sets,
    measure,
    shares_threads,
)
from rectified.health import Evidence  # noqa: E402
from rectified.torch import tally, watch  # noqa: E402
from rectified.torch.counter import Counter  # noqa: E402
from rectified.torch.slopes import Slopes  # noqa: E402
from rectified.torch.tally import Measure, _at_once, _positive, is_rectifier  # noqa: E402


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("row", rf.catalogue.of("ridge").values(), ids=lambda row: row.name)
def test_a_value_fires_for_tensors_where_it_does_for_arrays(row: rf.Ridge, dtype: str) -> None:
    limits = np.finfo("float64" if dtype == "float64" else "float32")
    slopes = Slopes.of(row)
    edges = np.ravel([*slopes.firing, *slopes.firing_in_double, *((kink, kink) for kink in row.kinks)])
    edges = edges[np.abs(edges) < limits.max].astype(limits.dtype)
    sizes = np.concatenate([np.ldexp(1.0, np.arange(limits.minexp, limits.maxexp)), np.linspace(0, 120, 3001)])
    beside = [np.nextafter(edges, limits.dtype.type(side)) for side in (-np.inf, np.inf)]
    x = torch.tensor(np.concatenate([-sizes, sizes, edges, *beside])).to(getattr(torch, dtype))
    x = x[x.isfinite()][None]  # a column for each value
    array = (x.float() if dtype == "bfloat16" else x).numpy()
    found = Measure.of(x[None], torch.from_numpy(row(array))[None], (2,), slopes).counted().evidence(row, slopes, (0, 0))
    expected = Evidence.of(row, array)
    np.testing.assert_array_equal(found.fired, expected.fired)
    np.testing.assert_array_equal(found.max_slope > 0, expected.fired)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("is_contiguous", [True, False])
@pytest.mark.parametrize("shape", [(3, 70, 37), (2, 3, 5, 1), (1, 2, 19, 3, 7), (2, 1, 4, 5000), (1, 33)])
def test_what_is_positive_is_added_up(shape: tuple[int, ...], is_contiguous: bool, threads: int) -> None:
    axis = min(2, len(shape) - 1)
    y = torch.relu(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    y.select(axis, 1).select(0, 0).fill_(float("nan"))
    y.select(axis, 2).select(0, 0).fill_(float("inf"))
    if not is_contiguous:
        y = y.transpose(0, axis).contiguous().transpose(0, axis)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        total, fired = _positive(y, axis)
    finally:
        torch.set_num_threads(before)
    others = tuple(other for other in range(1, len(shape)) if other != axis)
    expected, count = y.numpy().sum(others, np.float64), (y > 0).numpy().sum(others)
    np.testing.assert_allclose(total, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.where(np.isnan(expected), 0, fired), np.where(np.isnan(expected), 0, count))


def test_counting_refuses_other_arrays() -> None:
    y, out = np.zeros((1, 2, 3, 4), np.float32), np.zeros((1, 3), np.float32)
    for arguments in ((), (y, out), (y, out, out.astype(float)), (y[..., ::2], out, out), (y, out.T, out)):
        with pytest.raises((TypeError, ValueError), match="count_positive"):
            count_positive(*arguments)
    out.flags.writeable = False
    with pytest.raises(TypeError, match="count_positive takes C-contiguous"):
        count_positive(y, out, out)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("row", rf.catalogue.of("ridge").values(), ids=lambda row: row.name)
def test_all_is_measured_at_once(row: rf.Ridge, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slopes, numbers = Slopes.of(row), torch.Generator().manual_seed(0)
    known = []

    def at_once(*arguments: Any) -> Any:
        known.append(_at_once(*arguments))
        return known[-1]

    monkeypatch.setattr(tally, "isa", isa)
    for shape, axis in (
        ((5, 37), 1),
        ((3, 7, 45), 2),
        ((3, 7, 45), 1),
        ((4, 5, 19, 7, 3), 2),
        ((2, 150, 33), 2),
        ((2, 2, 1100), 1),
    ):
        x = 3 * torch.randn(shape, generator=numbers)
        for number, (first, step) in {
            0.0: (0, 7),
            -200.0: (1, 31),
            200.0: (2, 37),
            np.inf: (3, 61),
            np.nan: (4, 89),
        }.items():
            x.view(-1)[first::step] = number
        y = torch.from_numpy(row(x.numpy()))
        found = []
        for way in (at_once, lambda *_: None):
            monkeypatch.setattr(tally, "_at_once", way)
            found.append(vars(Measure.of(x, y, (axis,), slopes).counted()))
        sizes = np.where(np.isfinite(found[1]["magnitude"]), found[1]["magnitude"], 0)
        for name, values in found[0].items():
            tolerance = 1e-6 * sizes if name in ("total", "magnitude") else 0  # PyTorch adds up in float32
            assert np.isclose(values, found[1][name], rtol=0, atol=tolerance).all(), name
    assert is_rectifier(slopes, slopes.firing) or all(each is not None for each in known)


def test_measuring_refuses_other_arrays() -> None:
    isa, x = instruction_sets()[0], np.zeros((1, 2, 3, 4), np.float32)
    turns, firing, out = np.zeros(1, np.float32), np.zeros((1, 2), np.float32), np.zeros((7, 1, 3), np.float32)
    assert measure(isa, x, x, turns, firing, out)
    assert not measure(isa, x, x, np.zeros(2, np.float32), firing, np.zeros((9, 1, 3), np.float32))
    for other in (
        (isa, x, x, turns, firing),
        ("avx9", x, x, turns, firing, out),
        (isa, x, x.astype(float), turns, firing, out),
        (isa, x, x[..., ::2], turns, firing, out),
        (isa, x, x[:, :1].copy(), turns, firing, out),
        (isa, x, x, None, firing, out),
        (isa, x, x, turns, firing[:, :1].copy(), out),
        (isa, x, x, turns, firing, out[:, :, :2].copy()),
    ):
        with pytest.raises((TypeError, ValueError), match=r"measure|instruction set"):
            measure(*other)


needs_exchange = pytest.mark.skipif(
    not hasattr(Tensor, "__dlpack_c_exchange_api__"), reason="this PyTorch has no such table"
)


@needs_exchange
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tensors_are_counted_where_they_are(axis: int) -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(7, 33, 5, generator=generator, requires_grad=True).relu() for _ in range(3)]
    units = batches[0].shape[axis]
    total, fired = np.empty((2, 3, units), np.float32)
    assert count_positive_each(Tensor, batches, axis, total, fired)
    y = torch.stack(batches).detach().numpy()
    others = tuple(other for other in (1, 2, 3) if other != axis + 1)
    np.testing.assert_allclose(total, y.sum(others, np.float64), rtol=1e-6)
    np.testing.assert_array_equal(fired, (y > 0).sum(others))
    one = batches[0]
    turned = one.transpose(0, 2).contiguous().transpose(0, 2)
    assert count_positive_each(Tensor, [turned] * 3, axis, total, fired)
    np.testing.assert_allclose(total, y[[0] * 3].sum(others, np.float64), rtol=1e-6)
    np.testing.assert_array_equal(fired, (y[[0] * 3] > 0).sum(others))
    gaps, repeated = torch.zeros(7, 33, 6)[..., :5], torch.zeros(7, 33, 1).expand(7, 33, 5)
    for other in (one[:6], one.double(), one[None], one.to("meta"), gaps, repeated, *([] if axis == 1 else [turned])):
        assert not count_positive_each(Tensor, [one, one, other], axis, total, fired)
    assert not count_positive_each(Tensor, batches, 3, total, fired)


@needs_exchange
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_tensors_are_counted_on_the_threads_that_made_them(threads: int) -> None:
    assert shares_threads(Tensor) or not sys.platform.startswith("linux")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for shape in ((3, 4, 100, 100), (129, 600)):  # the first is divided among more threads than it has batches
            y = torch.randn(shape, generator=torch.Generator().manual_seed(0)).relu()
            total, fired = np.empty((2, 2, shape[1]), np.float32)
            assert count_positive_each(Tensor, [y, y + 1], 1, total, fired)
            others = [axis for axis in range(y.ndim) if axis != 1]
            np.testing.assert_allclose(total, torch.stack([y.sum(others), (y + 1).sum(others)]), rtol=1e-6)
            np.testing.assert_array_equal(fired, torch.stack([(y > 0).sum(others), (y + 1 > 0).sum(others)]))
    finally:
        torch.set_num_threads(before)


@needs_exchange
def test_counting_tensors_refuses_what_is_none() -> None:
    y, out = torch.zeros(2, 3), np.zeros((1, 3), np.float32)
    for arguments in (
        (),
        (int, [y], 1, out, out),
        (Tensor, [3], 1, out, out),
        (Tensor, [y], 1, out, out.T),
        (Tensor, [], 1, out, out),
    ):
        with pytest.raises((TypeError, ValueError, AttributeError), match=r"count_positive_each|__dlpack_c_exchange_api__"):
            count_positive_each(*arguments)
    with pytest.raises(AttributeError, match="__dlpack_c_exchange_api__"):
        shares_threads(int)


def test_layers_are_counted_alike_without_reading_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for can_count in (None, lambda *_: False):
        if can_count is not None:
            monkeypatch.setattr("rectified.torch.together.can_count", can_count)
        torch.manual_seed(0)
        network = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(6, 6), nn.ReLU())))
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        with watch(network) as health:
            for step in range(40):
                network(torch.randn(5 if step % 3 else 2, 6)).square().sum().backward()
                optimizer.step()
        seen.append([layer.histories["train"].total for layer in health.layers.values()])
    for one, other in zip(*seen, strict=True):
        assert (one.samples, one.examples, one.steps) == (other.samples, other.examples, other.steps)
        np.testing.assert_array_equal(one.fired, other.fired)
        np.testing.assert_allclose(one.sum_output, other.sum_output, rtol=1e-5)


def test_following_refuses_what_has_no_edges() -> None:
    behind = SimpleNamespace(next_functions=())
    node = SimpleNamespace(next_functions=((behind, 0),))
    look = (SimpleNamespace, 0, True)
    nodes = [node]
    assert follow(nodes, ((look,), ()))
    assert nodes == [node, behind]
    assert not follow([node], ((look,), (look,)))
    assert not follow([node], (((int, 0, True),),))
    assert not follow([node], ((look,), (), ()))
    for arguments in (
        (),
        ([node], [look]),
        ([node], (3,)),
        ([node], ((3,),)),
        ([SimpleNamespace(next_functions=(3,))], ((look,),)),
    ):
        with pytest.raises(TypeError, match="follow takes"):
            follow(*arguments)
    with pytest.raises(AttributeError, match="variable"):
        follow([node], (((SimpleNamespace, 1, True),),))


@needs_exchange
def test_large_outputs_that_no_graph_keeps_are_not_copied() -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(rows, 33, generator=generator).relu() for rows in (200, 200, 2, 300, 1, 200) for _ in range(20)]
    batches[1][0, 2] = float("nan")
    counter = Counter(Slopes.of(rf.relu), lambda _: (1,), 1, torch.relu, lacks_axis=False)
    for batch in batches:
        counter.see(batch, batch, 0)
        assert (counter._room is None) == (len(batch) > 2)
    (found,) = counter.evidence(rf.relu)
    kept = [batch for batch in batches if batch is not batches[1]]
    expected = Evidence.of(rf.relu, torch.cat(kept).double().numpy())
    assert (found.samples, found.examples) == (sum(map(len, batches)),) * 2
    assert found.nans.tolist() == [200 * (unit == 2) for unit in range(33)]
    others = np.arange(33) != 2
    second = Evidence.of(rf.relu, batches[1].double().numpy())
    np.testing.assert_array_equal(found.fired, expected.fired + np.where(others, second.fired, 0))
    np.testing.assert_allclose(found.sum_output, expected.sum_output + np.where(others, second.sum_output, 0), rtol=1e-6)
    assert counter.evidence(rf.relu) == []
