"""How what is counted is counted: one pass over tensors where they are, and what is done without one."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

import rectified as rf  # noqa: E402
from rectified._native import (  # noqa: E402
    follow,
    instruction_sets,
    measure,
    shares_threads,
)
from rectified.health import Evidence  # noqa: E402
from rectified.torch import in_memory, tally, watch  # noqa: E402
from rectified.torch.counter import Counter  # noqa: E402
from rectified.torch.slopes import Slopes  # noqa: E402
from rectified.torch.tally import Measure, _at_once  # noqa: E402
from rectified.ufuncs import isa  # noqa: E402


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


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("row", rf.catalogue.of("ridge").values(), ids=lambda row: row.name)
def test_all_is_measured_at_once(row: rf.Ridge, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slopes, numbers = Slopes.of(row), torch.Generator().manual_seed(0)
    known = []

    def at_once(*arguments: Any) -> Any:
        known.append(_at_once(*arguments))
        return known[-1]

    monkeypatch.setattr(in_memory, "isa", isa)
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
    assert all(each is not None for each in known)


def of_relu(batches: Any, axis: int, library: type | None = None) -> tuple[bool, NDArray[np.float32]]:
    """Whether outputs of ReLU were measured, and what was found: for each batch and unit the sums and the count."""
    first = batches[0]
    units = first.shape[axis] if axis < first.ndim else 1
    out = np.empty((3, len(batches), units), np.float32)
    return measure(isa, library, batches, batches, axis, *Slopes.of(rf.relu).in_single, out), out


def sums(y: Any, axis: int) -> Any:
    """The same by NumPy."""
    y = np.asarray(y)
    others = tuple(other for other in range(1, y.ndim) if other != axis + 1)
    return [y.sum(others, np.float64), np.abs(y).sum(others, np.float64), (y > 0).sum(others)]


def test_measuring_refuses_other_arrays() -> None:
    x, set_of = np.zeros((1, 2, 3, 4), np.float32), instruction_sets()[0]
    turns, firing, out = np.zeros(1, np.float32), np.zeros((1, 2), np.float32), np.zeros((7, 1, 3), np.float32)
    assert measure(set_of, None, x, x, 1, turns, firing, out)
    read_only = out.copy()
    read_only.flags.writeable = False
    for other in (
        (set_of, None, x, x, 1, turns, firing),
        ("avx9", None, x, x, 1, turns, firing, out),
        (set_of, None, x, x, 1.0, turns, firing, out),
        (set_of, None, x, x, 2**70, turns, firing, out),
        (set_of, None, x, [list(x[0])], 1, turns, firing, out),
        (set_of, x, x, x, 1, turns, firing, out),
        (set_of, int, x, x, 1, turns, firing, out),
        (set_of, None, x, x, 1, None, firing, out),
        (set_of, None, x, x, 1, turns, firing[:, :1].copy(), out),
        (set_of, None, x, x, 1, turns, firing, read_only),
        (set_of, None, x, x, 1, turns, firing, out.astype(float)),
    ):
        with pytest.raises((TypeError, ValueError, AttributeError, OverflowError), match=r"measure|set|exchange|large"):
            measure(*other)
    for unread in (
        (x.astype(float), x, 1),
        (x[..., ::2], x[..., ::2], 1),
        (x[:, :1].copy(), x, 1),
        (x, x, 2),
        (x, x, -1),
        (x, x, 3),
    ):
        assert not measure(set_of, None, *unread, turns, firing, out)
    assert measure(set_of, None, x, x, 1, turns, firing, out, (2, 3, 4))
    for shape in ((2, 3), (1, 3, 8), (2, 3, 4, 1), (2, 3, "4")):
        assert not measure(set_of, None, x, x, 1, turns, firing, out, shape)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="perhaps a shape"):
        measure(set_of, None, x, x, 1, turns, firing, out, [2, 3, 4])  # type: ignore[arg-type]


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("after", [1, 2, 15, 16, 17, 49, 1100])
@pytest.mark.parametrize(
    ("turns", "firing"),
    [
        ([], []),
        ([], [(-np.inf, np.inf)]),
        ([0.5], [(-1.0, 1.0)]),
        ([-1, 0.5, 2], [(-np.inf, -0.5), (0.5, np.inf)]),
        ([-1, 0.5, 2], [(-3, -1.5), (-1.5, np.inf)]),
        ([-1, 2], [(-np.inf, -2), (-1, 0), (1, 2)]),  # as no function of the catalogue
    ],
)
def test_numbers_are_measured_however_many_follow_a_unit(
    turns: list[float], firing: list[tuple[float, float]], after: int, isa: str
) -> None:
    numbers, kept = np.random.default_rng(0), len(turns) + 1
    for units, rows in ((1, 70), (3, 2), (16, 65), (37, 3)):
        x = 2 * numbers.standard_normal((2, rows, units, after)).astype(np.float32)
        y, out = np.tanh(x), np.empty((3 + 2 * kept, 2, units), np.float32)
        assert measure(isa, None, x, list(y), 1, np.float32(turns), np.float32(firing).reshape(-1, 2), out)
        total, magnitude = y.sum((1, 3), np.float64), abs(y).sum((1, 3), np.float64)
        assert (abs(out[:2] - [total, magnitude]) <= 1e-6 * magnitude).all()
        np.testing.assert_array_equal(out[2], sum(((x > low) & (x < high)).sum((1, 3)) for low, high in firing))
        above = [*(np.where(x > turn, x, np.inf) for turn in turns), x]
        np.testing.assert_array_equal(out[3 : 3 + kept], [each.min((1, 3)) for each in above])
        below = [*(np.where(x <= turn, x, -np.inf) for turn in turns), x]
        np.testing.assert_array_equal(out[3 + kept :], [each.max((1, 3)) for each in below])


@pytest.mark.parametrize("isa", instruction_sets())
def test_what_counts_as_0_does_not_fire(isa: str) -> None:
    """PyTorch can be told to take subnormal numbers for 0."""
    y = torch.tensor([[0.0, 1e-40, 1.0]]).T
    slopes, out = Slopes.of(rf.relu), np.empty((3, 1, 1), np.float32)
    fired = []
    for flushes in (False, True):
        if not torch.set_flush_denormal(flushes):
            pytest.skip("this processor can not")
        try:
            assert measure(isa, None, [y.numpy()], [y.numpy()], 1, *slopes.in_single, out)
        finally:
            torch.set_flush_denormal(False)
        fired.append(out[2, 0, 0])
    assert fired == [2, 1]


needs_exchange = pytest.mark.skipif(
    not hasattr(Tensor, "__dlpack_c_exchange_api__"), reason="this PyTorch has no such table"
)


@needs_exchange
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tensors_are_measured_where_they_are(axis: int) -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(7, 33, 5, generator=generator, requires_grad=True).relu() for _ in range(3)]
    y, one = torch.stack(batches), batches[0]
    for given in (batches, y, y.transpose(0, 3).contiguous().transpose(0, 3)[:2], y[::2]):
        is_read, found = of_relu(given, axis, Tensor)
        if given[0].is_contiguous():
            assert is_read
            np.testing.assert_allclose(found, sums([each.detach() for each in given], axis), rtol=1e-6)
        else:
            assert not is_read
    turned = one.transpose(0, 2).contiguous().transpose(0, 2)
    is_read, found = of_relu([turned] * 3, axis, Tensor)
    assert is_read
    np.testing.assert_allclose(found, sums([one.detach()] * 3, axis), rtol=1e-6)
    gaps, repeated = torch.zeros(7, 33, 6)[..., :5], torch.zeros(7, 33, 1).expand(7, 33, 5)
    for other in (one[:6], one.double(), one[None], one.to("meta"), gaps, repeated, *([] if axis == 1 else [turned])):
        assert not of_relu([one, one, other], axis, Tensor)[0]
    assert not of_relu(batches, 3, Tensor)[0]
    with pytest.raises(TypeError, match="measure takes numbers of the type Tensor"):
        of_relu([np.zeros((2, 3))], 1, Tensor)
    with pytest.raises(AttributeError, match="__dlpack_c_exchange_api__"):
        shares_threads(int)


@needs_exchange
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_tensors_are_measured_on_the_threads_that_made_them(threads: int) -> None:
    assert shares_threads(Tensor) or not sys.platform.startswith("linux")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for shape in ((3, 4, 100, 100), (129, 600)):  # the first is divided among more threads than it has batches
            x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            y = x.relu()
            is_read, found = of_relu([y, y + 1], 1, Tensor)
            assert is_read
            np.testing.assert_allclose(found, sums(torch.stack([y, y + 1]), 1), rtol=1e-6)
            out = np.empty((5, 1, shape[1]), np.float32)
            assert measure(isa, Tensor, [x], [y], 1, np.empty(0, np.float32), Slopes.of(rf.relu).in_single[1], out)
            others = [axis for axis in range(x.ndim) if axis != 1]
            np.testing.assert_array_equal(out[3:, 0], torch.stack([x.amin(others), x.amax(others)]))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU, nn.Tanh, nn.LeakyReLU, nn.Hardswish])
def test_layers_are_counted_alike_without_reading_their_memory(
    activation: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for is_read in (True, False):
        if not is_read:
            for module in ("together", "counter"):
                monkeypatch.setattr(f"rectified.torch.{module}.can_read", lambda *_: False)
            monkeypatch.setattr("rectified.torch.tally.is_read_fast", lambda *_: False)
        torch.manual_seed(0)
        network = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(6, 6), activation())))
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        with watch(network) as health:
            for step in range(40):
                network(torch.randn(5 if step % 3 else 2, 6)).square().sum().backward()
                optimizer.step()
        seen.append([layer.histories["train"].total for layer in health.layers.values()])
    for one, other in zip(*seen, strict=True):
        assert (one.samples, one.examples, one.steps) == (other.samples, other.examples, other.steps)
        for name in ("fired", "nans", "max_slope", "min_slope"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        for name in ("sum_output", "sum_abs_output"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-5)


def test_following_refuses_what_has_no_edges() -> None:
    behind = SimpleNamespace(next_functions=())
    node = SimpleNamespace(next_functions=((behind, 0),))
    look = (SimpleNamespace, 0, True, 0)
    nodes = [node]
    assert follow(nodes, ((look,), ()))
    assert nodes == [node, behind]
    assert not follow([node], ((look,), (look,)))
    assert not follow([node], (((int, 0, True, 0),),))
    assert not follow([node], (((SimpleNamespace, 0, True, 1),),))
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
        follow([node], (((SimpleNamespace, 1, True, 0),),))


@needs_exchange
def test_outputs_that_no_graph_keeps_are_not_copied() -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(rows, 33, generator=generator).relu() for rows in (200, 200, 2, 300, 1, 200) for _ in range(20)]
    batches[1][0, 2] = float("nan")
    counter = Counter(Slopes.of(rf.relu), lambda _: (1,), 1, torch.relu, lacks_axis=False)
    for batch in batches:
        counter.see(batch, batch, 0)
        assert counter._room is None
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
