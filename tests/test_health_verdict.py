"""The verdicts, against units that were planted and against a pass over the same data by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import rectified as rf
from planted import ALWAYS_ON, BACK, DEAD, DIED, SATURATED, planted
from rectified.health import Evidence, Layer, Run
from rectified.health import verdict as verdicts
from rectified.health.report import Report
from rectified.health.verdict import STATES, Rule, Verdict, judge

RIDGES = list(rf.catalogue.of("ridge").values())


def layer(activation: Any, batches: Iterable[Any], name: str = "layer", **parameters: float) -> Layer:
    made: Layer | None = None
    for step, batch in enumerate(batches):
        evidence = Evidence.of(activation.bind(**parameters), batch, step=step)
        made = made or Layer(name, activation.name, evidence.units, parameters)
        made.add(evidence)
    assert made is not None
    return made


def states(*layers: Layer, rule: Rule = verdicts.RULE) -> list[str]:
    return [STATES[state] for state in judge(layers, "train", rule).state]


def named(found: Verdict, state: str) -> list[int]:
    return found.of(STATES.index(state)).tolist()


def by_hand(activation: rf.Ridge, columns: Sequence[np.ndarray], steepest: float) -> list[str]:
    """The rule as it is written down, for all the inputs of each unit."""
    found = []
    for column in columns:
        slopes = np.abs(activation.derivative(column))
        if not slopes.any():
            found.append("dead")
        elif slopes.max() <= 0.01 * steepest:
            found.append("saturated")
        else:
            found.append("alive")
    return found


@pytest.mark.parametrize("activation", RIDGES, ids=lambda found: found.name)
def test_dead_and_saturated_units_of_every_function(activation: rf.Ridge) -> None:
    rng = np.random.default_rng(0)
    grid = np.concatenate([np.linspace(-60, 60, 24_001), [-1e4, 1e4]])
    slopes = np.abs(activation.derivative(grid))
    steepest = 0.0 if slopes[-1] > 1e3 else slopes.max()  # without bound no slope is small beside the largest
    pools = {"dead": grid[slopes == 0], "saturated": grid[(slopes > 0) & (slopes < 0.009 * steepest)], "alive": grid}
    planted = [name for name in ("dead", "saturated", "alive") if pools[name].size for _ in range(5)]
    columns = [rng.choice(pools[name], 600) for name in planted]
    found = [name.replace("linear", "alive") for name in states(layer(activation, np.split(np.array(columns).T, 20)))]
    assert found == by_hand(activation, columns, steepest)
    if activation.name != "step":
        assert found == planted


@pytest.mark.parametrize("activation", RIDGES, ids=lambda found: found.name)
def test_a_unit_on_one_straight_piece_is_linear_and_no_other(activation: rf.Ridge) -> None:
    bounds = [-40.0, *activation.kinks, 40.0]
    rng = np.random.default_rng(1)
    pieces = [rng.uniform(low + 0.01, high - 0.01, 400) for low, high in pairwise(bounds)]
    for piece, found in zip(pieces, states(layer(activation, np.split(np.array(pieces).T, 10))), strict=True):
        slopes = np.abs(activation.derivative(piece))
        if np.ptp(slopes) == 0 and slopes[0] > 0.01 * np.abs(activation.derivative(np.linspace(-40, 40, 8001))).max():
            assert found == "linear"
        elif np.ptp(slopes) > 0.05 * slopes.max() and slopes.max() > 0.1:
            assert found == "alive"
    assert states(layer(activation, [rng.uniform(-40, 40, (50, 3)) for _ in range(10)])) == (
        3 * [{"identity": "linear", "step": "dead"}.get(activation.name, "alive")]
    )


@pytest.mark.parametrize(
    ("activation", "inputs", "expected"),
    [
        (rf.softshrink, [2.0, 3.0], "linear"),
        (rf.softshrink, [-2.0, 3.0], "alive"),  # the slope is 1 on both sides, and 0 between
        (rf.hardshrink, [-2.0, 3.0], "alive"),
        (rf.tanh, [-0.05, 0.05], "linear"),
        (rf.tanh, [-1.0, 1.0], "alive"),  # the slopes are equal, and the piece between is not straight
        (rf.tanh, [1.0, 1.001], "linear"),
        (rf.squared_relu, [1.0, 1.001], "linear"),
        (rf.squared_relu, [0.001, 0.002], "alive"),
        (rf.leaky_relu, [-1.0, -3.0], "saturated"),  # its slope there is 1 %
        (rf.leaky_relu, [1.0, 3.0], "linear"),
        (rf.relu, [0.0, -1.0], "dead"),
        (rf.relu, [5e-324, -1.0], "alive"),
        (rf.sigmoid, [2000.0, -2000.0], "dead"),
        (rf.sigmoid, [20.0, -20.0], "saturated"),
        (rf.relu, [np.nan, np.nan], "unseen"),
        (rf.relu, [np.nan, -1.0], "dead"),
        (rf.relu, [np.inf, 1.0], "linear"),
    ],
    ids=lambda given: getattr(given, "name", str(given)),
)
def test_corners(activation: rf.Ridge, inputs: list[float], expected: str) -> None:
    assert states(layer(activation, [np.array(inputs)[:, None]])) == [expected]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_slope_of_one_percent_is_saturated_in_every_precision(dtype: str) -> None:
    assert states(layer(rf.leaky_relu, [np.full((5, 1), -1.0, dtype)])) == ["saturated"]
    assert states(layer(rf.leaky_relu, [np.full((5, 1), -1.0, dtype)], slope=0.02)) == ["linear"]
    seven = layer(rf.leaky_relu, [np.full((5, 1), -1.0, dtype)], slope=0.07)
    assert states(seven, rule=Rule(saturated=0.07)) == ["saturated"]


def test_a_fading_tail_fires_as_far_as_the_precision_reaches() -> None:
    tail = [[-20.0], [-30.0]]
    assert states(layer(rf.gelu, [np.float64(tail)])) == ["saturated"]
    assert states(layer(rf.gelu, [np.float32(tail)])) == ["dead"]
    assert states(layer(rf.sigmoid, [np.float16(tail)])) == ["saturated"]  # its slope is less than float16 has
    for dtype in (np.float16, np.float32, np.float64):
        seen = Evidence.of(rf.gelu, dtype([[-20.0], [-10.0], [1.0]]))
        assert seen.fired == 2 + (dtype is np.float64)


def test_parameters_count() -> None:
    x = np.full((5, 1), 10.0)
    assert states(layer(rf.clipped_relu, [x])) == ["dead"]
    assert states(layer(rf.clipped_relu, [x], ceiling=20.0)) == ["linear"]
    assert states(layer(rf.maxout, [np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 5.0]])], pieces=3)) == ["dead", "dead", "linear"]


def test_thresholds_are_options() -> None:
    tail = layer(rf.sigmoid, [[[4.0], [4.1]]])
    assert states(tail) == ["linear"]
    assert states(tail, rule=Rule(linear=1e-3)) == ["alive"]
    assert states(tail, rule=Rule(saturated=0.1)) == ["saturated"]


def test_planted_units_are_found_and_dated() -> None:
    relu, sigmoid = Report.of([planted()]).layers
    assert named(relu, "dead") == sorted(DEAD + DIED)
    assert named(relu, "linear") == ALWAYS_ON
    assert named(relu, "saturated") == named(sigmoid, "dead") == named(sigmoid, "linear") == []
    assert named(sigmoid, "saturated") == SATURATED
    assert relu.from_start[DEAD].all()
    assert not relu.from_start[DIED].any()
    assert relu.since[DEAD].tolist() == 4 * [0]
    assert relu.since[DIED].tolist() == [120, 120]
    assert np.flatnonzero(relu.came_back >= 0).tolist() == BACK
    assert (relu.died[BACK], relu.came_back[BACK]) == (60, 100)


def test_one_value_keeps_a_unit_from_being_dead_from_the_start() -> None:
    batches = [np.full((10, 1), -1.0) for _ in range(100)]
    assert states(layer(rf.relu, batches)) == ["dead"]
    batches[99][4] = 1e-30
    assert states(layer(rf.relu, batches)) == ["alive"]


def test_a_unit_that_died_in_the_first_steps_is_dead_since_then() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(32, 5)) - 100 * (step >= 3) for step in range(800)]
    found = judge([layer(rf.relu, batches)], "train")
    assert named(found, "dead") == [0, 1, 2, 3, 4]
    assert set(found.since) == {16}  # the first window that it was silent in
    assert not found.from_start.any()


@pytest.mark.parametrize(("steps", "batch"), [(30, 64), (100, 32), (400, 16)])
def test_rarely_firing_units_are_not_dead(steps: int, batch: int) -> None:
    rng = np.random.default_rng(steps)
    rates = 10 ** rng.uniform(-4.5, -1, 3000)
    batches = [np.where(rng.random((batch, 3000)) < rates, 1.0, -1.0) for _ in range(steps)]
    found = judge([layer(rf.relu, batches)], "train")
    fired = (np.array(batches) > 0).any(axis=(0, 1))
    assert 0 < fired.sum() < 3000
    np.testing.assert_array_equal(found.state == STATES.index("dead"), ~fired)
    assert not (found.came_back >= 0).any()


def test_what_never_fired_before_has_not_come_back() -> None:
    x = np.linspace(-1, 1, 200).reshape(20, 10, 1) + np.array([0.0, 2.0])
    x[8:14, :, 1] = -1
    found = judge([layer(rf.relu, x)], "train")
    assert found.came_back.tolist() == [-1, 14]


STEPS = np.arange(800)


@pytest.mark.parametrize(
    "rates",
    [
        np.maximum(0.3 * np.exp(-STEPS / 80), 1 / 2000),  # often at first, and then for one in 2000 examples
        np.where(STEPS < 100, 0.3, 1 / 500),
        np.where(np.random.default_rng(1).random(800) < 0.03, 0.5, 0.0),  # in bursts
    ],
    ids=["fades", "falls", "bursts"],
)
def test_units_that_became_rare_are_not_dead(rates: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    batches = [np.where(rng.random((64, 300)) < rate, 1.0, -1.0) for rate in rates]
    fired = np.array([(batch > 0).any(axis=0) for batch in batches])
    made = Layer("layer", "relu", 300)
    for step, batch in enumerate(batches):
        made.add(Evidence.of(rf.relu, batch, step=step))
        if step % 100 == 99 and step < 799:
            dead = judge([made], "train").state == STATES.index("dead")
            assert np.count_nonzero(dead & fired[step + 1 :].any(axis=0)) <= 3  # 1 % that happened to be silent for long


@pytest.mark.parametrize(("rate", "died"), [(0.5, 16), (0.5, 400), (0.5, 704), (0.02, 400), (0.005, 208)])
def test_units_that_died_are_dead_since_then(rate: float, died: int) -> None:
    rng = np.random.default_rng(0)
    batches = [np.where(rng.random((64, 200)) < rate * (step < died), 1.0, -1.0) for step in STEPS]
    last = STEPS.size - 1 - (np.array(batches) > 0).any(axis=1)[::-1].argmax(axis=0)
    found = judge([layer(rf.relu, batches)], "train")
    assert found.of(STATES.index("dead")).size == 200
    assert found.since.tolist() == (16 * (last // 16 + 1)).tolist()  # windows of 16 steps


@pytest.mark.parametrize("activation", [rf.relu, rf.hardtanh, rf.softshrink], ids=lambda found: found.name)
@pytest.mark.parametrize(("rate", "bent"), [(0.5, 16), (0.5, 40), (0.5, 704), (0.02, 400), (0.005, 208)])
def test_units_that_bend_no_longer_are_linear_since_then(activation: rf.Ridge, rate: float, bent: int) -> None:
    rng = np.random.default_rng(0)
    on, off = (1.5, 0.2) if activation is rf.softshrink else (0.5, -1.5)
    batches = [np.where(rng.random((64, 200)) < rate * (step < bent), off, on) for step in STEPS]
    last = STEPS.size - 1 - (np.array(batches) == off).any(axis=1)[::-1].argmax(axis=0)
    found = judge([layer(activation, batches)], "train")
    assert found.of(STATES.index("linear")).size == 200
    assert found.since.tolist() == (16 * (last // 16 + 1)).tolist()


@pytest.mark.parametrize(
    "rates",
    [np.full(800, 1 / 200), np.full(800, 1 / 2000), np.maximum(0.3 * np.exp(-STEPS / 80), 1 / 2000)],
    ids=["seldom", "rarely", "fades"],
)
def test_units_that_are_rarely_off_are_not_linear(rates: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    batches = [np.where(rng.random((64, 300)) < rate, -1.0, 1.0) for rate in rates]
    off = np.array([(batch < 0).any(axis=0) for batch in batches])
    made = Layer("layer", "relu", 300)
    for step, batch in enumerate(batches):
        made.add(Evidence.of(rf.relu, batch, step=step))
        if step % 20 == 19:
            linear = judge([made], "train").state == STATES.index("linear")
            assert linear[~off[: step + 1].any(axis=0)].all()
            assert np.count_nonzero(linear & off[: step + 1].any(axis=0)) <= 3  # 1 % that happened to be on for long


def test_where_a_function_bends_at_values_that_fire_windows_count() -> None:
    x = np.where(np.arange(64) < 3, -1.0, 1.0).reshape(64, 1, 1).repeat(32, axis=1)
    x[:, :16] = 1.0
    assert states(layer(rf.relu, x)) == ["linear"]
    assert states(layer(rf.leaky_relu, x)) == ["alive"]
    assert states(layer(rf.gelu, 20 * x)) == ["alive"]
    x[:6, 16:] = -1.0
    assert states(layer(rf.leaky_relu, x)) == ["linear"]


@pytest.mark.parametrize("activation", [rf.leaky_relu, rf.gelu, rf.tanh, rf.sigmoid, rf.silu], ids=lambda found: found.name)
@pytest.mark.parametrize(("bent", "steps"), [(16, 120), (40, 1000), (62, 1000)])
def test_windows_of_which_every_slope_speaks_against_it_count_by_their_values(
    activation: rf.Ridge, bent: int, steps: int
) -> None:
    later = {"tanh": 40.0, "sigmoid": 40.0}.get(activation.name, 1e3)
    x = np.where(np.arange(steps) < bent, -0.3, later).reshape(steps, 1, 1).repeat(8, axis=1)
    found = judge([layer(activation, x)], "train")
    assert STATES[found.state[0]] == ("saturated" if later == 40 else "linear")
    assert found.since[0] - bent in range(16)


def test_units_whose_slopes_are_seldom_large_are_not_saturated() -> None:
    rng = np.random.default_rng(0)
    rates = np.maximum(0.3 * np.exp(-STEPS / 80), 1 / 2000)
    made = Layer("layer", "tanh", 300)
    for step, rate in enumerate(rates):
        made.add(Evidence.of(rf.tanh, np.where(rng.random((64, 300)) < rate, 0.5, 8.0), step=step))
        if step % 20 == 19:
            assert np.count_nonzero(judge([made], "train").state == STATES.index("saturated")) <= 3


def test_positions_of_one_image_are_not_as_many_images() -> None:
    x = np.full((100, 4, 8, 8), -1.0)
    x[0, 0] = 1.0  # one image out of 100, at all its 64 positions
    x[:60, 1] = 1.0
    x[:, 2:] = -x[:, :2]
    found = judge([layer_of_images(x)], "train")
    assert [STATES[state] for state in found.state] == ["alive", "dead", "alive", "linear"]


def layer_of_images(x: np.ndarray) -> Layer:
    made = Layer("conv", "relu", x.shape[1])
    for step, image in enumerate(x):
        made.add(Evidence.of(rf.relu, image[None], unit_axis=1, step=step))
    return made


def test_a_unit_is_dead_only_if_it_is_dead_in_every_run() -> None:
    rng = np.random.default_rng(0)
    runs = []
    for dead, died in (([1, 2], [5]), ([2, 3], [4, 5])):
        batches = [rng.normal(size=(16, 8)) for _ in range(100)]
        for step, batch in enumerate(batches):
            batch[:, dead] = -1
            batch[:, died if step >= 50 else []] = -1
        runs.append(layer(rf.relu, batches))
    found = judge(runs, "train")
    assert named(found, "dead") == [2, 5]
    assert found.since[[2, 5]].tolist() == [0, 50]
    short = layer(rf.relu, [rng.normal(size=(16, 8)) for _ in range(10)])  # alive, in a run that was over sooner
    assert named(judge([*runs, short], "train"), "dead") == []


def test_train_and_eval_are_counted_apart() -> None:
    run = Run()
    hidden = run.layer("hidden", "relu", 1)
    hidden.add(Evidence.of(rf.relu, [[1.0], [-1.0]]), "train")
    hidden.add(Evidence.of(rf.relu, [[-1.0]]), "eval")
    assert [Report.of([run], mode).totals.dead for mode in (None, "train", "eval")] == [0, 0, 1]
    only_eval = run.layer("other", "relu", 1)
    only_eval.add(Evidence.of(rf.relu, [[-1.0]]), "eval")
    assert Report.of([run]).notes == ["other: it did not run in train mode"]
    assert [verdict.layer.name for verdict in Report.of([run], "eval").layers] == ["hidden", "other"]
    del run.layers["hidden"]
    assert Report.of([run]).mode == "eval"


def test_many_layers_that_did_not_run_are_one_note() -> None:
    run = Run()
    run.layer("other", "relu", 1).add(Evidence.of(rf.relu, [[-1.0]]), "eval")
    for number in range(300):
        run.layer(f"{number}", "relu", 1).add(Evidence.of(rf.relu, [[-1.0]]))
    (note,) = Report.of([run], "eval").notes
    assert note == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 290 others: they did not run in eval mode"


def test_the_scores_are_those_of_the_last_quarter() -> None:
    batches = [np.array([[1.0, 3.0], [-1.0, -1.0]]) * (100 if step < 6 else 1) for step in range(8)]
    found = judge([layer(rf.relu, batches)], "train")
    assert found.recent.steps == (6, 7)
    assert found.firing.tolist() == [0.5, 0.5]
    assert found.mean_output.tolist() == [0.5, 1.5]
    assert found.dormant_score.tolist() == [0.5, 1.5]
    assert np.isnan(found.gradient_norm)
    seen = Layer("layer", "relu", 1)
    for gradient in (3.0, 4.0):
        seen.add(Evidence.of(rf.relu, [[1.0]], gradient=[[gradient]]))
    assert judge([seen], "train").gradient_norm == pytest.approx(np.sqrt(12.5))


# ---- findings --------------------------------------------------------------------------------------------------------


def findings(*layers: Layer) -> list[tuple[str, str]]:
    run = Run(layers={each.name: each for each in layers})
    return [(found.kind, found.layer) for found in Report.of([run]).findings]


def test_a_healthy_network_has_no_findings() -> None:
    rng = np.random.default_rng(0)
    names = ("relu", "leaky_relu", "tanh", "sigmoid", "hardswish")
    layers = [layer(rf.catalogue[name], [rng.normal(size=(32, 20)) for _ in range(20)], name) for name in names]
    layers[1].feeds_loss = "cross_entropy"  # it gives every number
    assert findings(*layers) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("relu", "cross_entropy expects logits, which are any numbers, and relu gives none below 0: leave it out"),
        (
            "sigmoid",
            "cross_entropy expects logits, which are any numbers, and sigmoid gives none below 0 or above 1: leave it out",
        ),
    ],
)
def test_an_activation_on_the_output_is_found(name: str, message: str) -> None:
    last = layer(rf.catalogue[name], [np.random.default_rng(0).normal(size=(32, 10))])
    last.feeds_loss = "cross_entropy"
    assert Report.of([Run(layers={"layer": last})]).findings == [(f"{name}_on_output", "layer", message)]


@pytest.mark.parametrize(("dead", "expected"), [(5, []), (6, [("mostly_dead", "layer")])])
def test_more_than_half_of_a_layer_dead_is_found(dead: int, expected: list[tuple[str, str]]) -> None:
    x = np.tile([[1.0], [-1.0]], 10)
    x[:, :dead] = -1
    assert findings(layer(rf.relu, [x])) == expected


def with_gradients(name: str, size: float, windows: int = 2, steps: int = 1) -> Layer:
    made = Layer(name, "tanh", 1)
    for window in range(windows):
        each = [Evidence.of(rf.tanh, [[1.0], [-2.0]], step=window * steps + step) for step in range(1, steps)]
        made.add(sum(each, Evidence.of(rf.tanh, [[1.0], [-2.0]], step=window * steps, gradient=[[size]])))
    return made


def test_a_vanishing_gradient_is_found() -> None:
    assert findings(with_gradients("first", 1e-3), with_gradients("last", 1.0)) == []
    layers = {name: with_gradients(name, size) for name, size in (("first", 1e-5), ("second", 1e-3), ("last", 0.82))}
    message = "the gradient has a length of 1e-05, but of 0.82 in last: it hardly learns"
    assert Report.of([Run(layers=layers)]).findings == [("vanishing_gradient", "first", message)]
    assert findings(with_gradients("first", 0.0), with_gradients("last", 1.0)) == [("vanishing_gradient", "first")]
    assert findings(with_gradients("first", 0.0), with_gradients("last", 0.0)) == []
    assert findings(with_gradients("first", np.nan), with_gradients("last", np.inf)) == []
    begun = with_gradients("first", 0.0, windows=1, steps=8)
    assert len(begun.histories["train"].windows) == 1
    assert findings(begun, with_gradients("last", 1.0)) == []
    no_training = with_gradients("first", 0.0, windows=1)
    assert findings(no_training, with_gradients("last", 1.0, windows=1)) == [("vanishing_gradient", "first")]


def test_a_gradient_of_0_counts_where_enough_batches_say_so() -> None:
    def seen(name: str, gradients: dict[int, float]) -> Layer:
        made = Layer(name, "tanh", 1)
        for step, size in gradients.items():
            made.add(Evidence.of(rf.tanh, [[1.0], [-2.0]], step=step, gradient=[[size]]))
        return made

    def found(gradients: dict[int, float], steps: int) -> bool:
        layers = seen("expert", gradients), seen("router", dict.fromkeys(range(steps), 1.0))
        return findings(*layers) == [("vanishing_gradient", "expert")]

    assert not found({11: 0.0}, 12)  # one batch, of which no example has a loss
    assert not found({2: 0.0, 7: 0.0, 11: 0.0}, 12)
    assert not found(dict.fromkeys(range(0, 200, 11), 0.1) | dict.fromkeys(range(160, 200, 5), 0.0), 200)
    assert found({0: 0.0}, 1)
    assert found(dict.fromkeys(range(5), 0.0), 5)
    assert found(dict.fromkeys(range(0, 200, 11), 0.0), 200)
    assert found(dict.fromkeys(range(20), 0.1) | dict.fromkeys(range(10, 20), 0.0), 20)  # cut off half-way


def test_a_weak_gradient_beside_other_losses_has_not_vanished() -> None:
    weak = ("vanishing_gradient", "a")
    assert findings(with_gradients("value", 1e3), with_gradients("policy", 1e-2)) == []
    assert findings(with_gradients("policy", 1e-2), with_gradients("value", 1e3)) == []
    assert findings(with_gradients("1", 1e7), with_gradients("Net#2.1", 1e-2), with_gradients("Net#2.3", 0.1)) == []
    sizes = {"gate": 1.0, "a": 1e-6, "Net#2.1": 1e3, "b": 1e-3, "Net#2.3": 1e3, "c": 1.0}
    assert findings(*(with_gradients(name, size) for name, size in sizes.items())) == [weak]
    layers = {name: with_gradients(name, size) for name, size in sizes.items()}
    assert Report.of([Run(layers=layers)], rule=Rule(vanishing=0)).findings == []
    assert findings(with_gradients("stem", 1.0), with_gradients("a", 0.0), with_gradients("b", 1.0)) == [weak]


def test_nan_is_found_and_is_neither_dead_nor_alive() -> None:
    x = np.array([[np.nan, 1.0], [np.nan, -1.0]])
    run = Run(layers={"layer": layer(rf.relu, [x])})
    report = Report.of([run])
    assert report.findings == [("nan_inputs", "layer", "some inputs were NaN, so 2 of 4 are left out")]
    assert (report.totals.unseen, report.totals.alive, report.totals.alive_percent) == (1, 1, 100)
    names = ["1", "3", "Net#2.1", "5", "Net#2.3"]
    layers = {name: replace(layer(rf.relu, [x]), name=name) for name in names}
    found = Report.of([Run(layers=layers)]).findings
    assert [name for _, name, _ in found] == ["1", "Net#2.1"]
    assert [message.rpartition(", and of ")[2] for *_, message in found] == ["2 layers behind it", "1 layer behind it"]
