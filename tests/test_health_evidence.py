"""The counters of units: they count what a loop would count, and they add up."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rectified as rf
from rectified.health import Evidence, History, Layer, Run
from rectified.health.history import MOST_WINDOWS

RIDGES = list(rf.catalogue.of("ridge").values())


def equal(one: Evidence, other: Evidence) -> None:
    for name, expected in vars(one).items():
        if isinstance(expected, np.ndarray):
            np.testing.assert_allclose(getattr(other, name), expected, rtol=1e-12, atol=1e-12, err_msg=name)
        else:
            assert getattr(other, name) == pytest.approx(expected), name


@pytest.mark.parametrize("activation", RIDGES, ids=lambda found: found.name)
def test_it_counts_what_a_loop_counts(activation: rf.Ridge) -> None:
    x = 3 * np.random.default_rng(0).normal(size=(4, 3, 5, 2))
    x[0, 1] = np.nan
    x[:, 2, 3] = -np.inf
    seen = Evidence.of(activation, x, unit_axis=1, step=7)
    assert (seen.samples, seen.steps, seen.units, seen.examples) == (40, (7, 7), 3, 4)
    for unit in range(3):
        numbers = [number for number in x[:, unit].ravel() if not np.isnan(number)]
        slopes = [abs(float(activation.derivative(number))) for number in numbers]
        outputs = [float(activation(number)) for number in numbers]
        assert seen.nans[unit] == 40 - len(numbers)
        assert seen.max_slope[unit] == max(slopes)
        assert seen.min_slope[unit] == min(slopes)
        assert seen.fired[unit] == sum(slope != 0 for slope in slopes)
        assert seen.sum_output[unit] == pytest.approx(sum(outputs))
        assert seen.sum_abs_output[unit] == pytest.approx(sum(map(abs, outputs)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_every_dtype_is_counted_in_double_precision(dtype: str) -> None:
    x = np.full((70_000, 2), 2).astype(dtype)
    seen = Evidence.of(rf.relu, x)
    assert seen.sum_output.tolist() == [140_000, 140_000]
    assert seen.max_slope.dtype == seen.sum_output.dtype == np.float64
    assert seen.fired.dtype == seen.nans.dtype == np.int64


def test_the_axis_is_what_it_is_told_to_be() -> None:
    x = np.ones((4, 4, 4))
    x[:, 2, :] = -1
    assert Evidence.of(rf.relu, x, unit_axis=1).fired.tolist() == [16, 16, 0, 16]
    assert Evidence.of(rf.relu, x, unit_axis=0).fired.tolist() == [12, 12, 12, 12]


def test_a_piece_of_maxout_fires_where_it_is_the_largest() -> None:
    seen = Evidence.of(rf.maxout, [[1.0, 3.0, 2.0, -4.0], [5.0, 1.0, 0.0, -9.0]])
    assert seen.fired.tolist() == [1, 1, 2, 0]
    assert seen.sum_output.tolist() == [5, 3, 2, 0]


def test_no_samples_and_nothing_but_nan_are_no_evidence() -> None:
    for x in (np.empty((0, 2)), np.full((3, 2), np.nan)):
        seen = Evidence.of(rf.relu, x)
        assert np.isnan(seen.max_slope).all()
        assert np.isnan(seen.min_slope).all()
        assert not seen.fired.any()
    later = Evidence.of(rf.relu, [[1.0, -1.0]], step=1)
    assert (seen + later).max_slope.tolist() == [1, 0]


def test_the_gradient_is_counted_by_its_square() -> None:
    seen = Evidence.of(rf.relu, [[1.0, 2.0]], gradient=[[3.0, 4.0]])
    seen += Evidence.of(rf.relu, [[1.0, 2.0]], gradient=[[0.0, 1.0]])
    seen += Evidence.of(rf.relu, [[1.0, 2.0]])
    assert (seen.gradient_squares, seen.gradients) == (26, 2)


@given(cuts=st.sets(st.integers(1, 19)), seed=st.integers(0, 9))
def test_parts_add_up_to_the_whole(cuts: set[int], seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(20, 3))
    x[x > 2] = np.nan
    parts = [Evidence.of(rf.tanh, part) for part in np.split(x, sorted(cuts))]
    total = parts[0]
    for part in parts[1:]:
        total = part + total
    equal(Evidence.of(rf.tanh, x), total)


def test_evidence_of_other_layers_is_refused() -> None:
    one, other = Evidence.of(rf.relu, [[1.0]]), Evidence.of(rf.relu, [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"^evidence of 1 units and of 2 is not of one layer$"):
        one + other
    with pytest.raises(ValueError, match=r"^hidden has 2 units, and the evidence is of 1$"):
        Layer("hidden", "relu", 2).add(one)


def steps(history: History) -> list[tuple[int, int]]:
    return [window.steps for window in history.windows]


@given(length=st.integers(1, 400), every=st.integers(1, 7), start=st.integers(0, 100))
def test_a_history_keeps_everything_in_few_windows(length: int, every: int, start: int) -> None:
    history, seen = History(), range(start, start + length, every)
    for step in seen:
        history.add(Evidence.of(rf.relu, [[step + 1.0]], step=step))
    assert len(history.windows) <= 64 == MOST_WINDOWS
    assert history.total.samples == len(seen)
    assert history.total.sum_output[0] == sum(step + 1 for step in seen)
    assert history.total.steps == (seen[0], seen[-1])
    assert all(last < first for (_, last), (first, _) in zip(steps(history), steps(history)[1:], strict=False))
    assert all(first // history.width == last // history.width for first, last in steps(history))
    assert history.width == 1 or len(seen) > MOST_WINDOWS  # no window is wider than it need be
    again = History(history.windows)
    assert steps(again) == steps(history)


def test_windows_of_processes_that_train_together_meet() -> None:
    ranks: list[History] = []
    for rank in range(2):
        ranks.append(History())
        for step in range(rank, 200):
            ranks[-1].add(Evidence.of(rf.relu, [[1.0 - rank]], step=step))
    together = ranks[0] + ranks[1]
    assert steps(together) == steps(ranks[0])
    assert together.total.fired.tolist() == [200]
    assert together.total.samples == 399


def test_wide_windows_make_the_others_wide() -> None:
    narrow, wide = History(), History()
    for step in range(32):
        narrow.add(Evidence.of(rf.relu, [[1.0]], step=step))
    for first in range(0, 32, 8):
        wide.add(Evidence.of(rf.relu, [[1.0]], step=first) + Evidence.of(rf.relu, [[1.0]], step=first + 7))
    assert steps(narrow + wide) == [(0, 7), (8, 15), (16, 23), (24, 31)]


def test_a_run_makes_each_layer_once() -> None:
    run = Run()
    kinds: list[dict[str, Any]] = [{"slope": 0.2}, {}]
    layers = [run.layer("head", "leaky_relu", 3, parameters) for parameters in kinds]
    assert layers[0] is layers[1]
    assert layers[0].activation(-1.0) == -0.2
    assert Layer("m", "maxout", 6, {"pieces": 3.0}).activation([1.0, 2.0, 3.0]) == [3.0]
