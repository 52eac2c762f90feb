"""What the tour says: five sections, each from what was measured for it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rectified as rf
from rectified import benchmark
from rectified.formula import mathml
from rectified.health.report import Report
from rectified.health.text import as_text
from rectified.tour import network, pictures
from rectified.tour.digits import SPLIT_SEED, Digits
from rectified.tour.experiments import ACTIVATIONS, Death, Learning, Plan, Run, Runs, best, sizes
from rectified.tour.page import figure, row, section, session, source, table
from rectified.tour.pictures import Picture

TIMED = ("relu", "leaky_relu", "sigmoid", "tanh")
SLOPE = 0.1  # of leaky ReLU where it is drawn: with 0.01 nobody would see it

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Section:
    """A section of the page, and its pictures."""

    html: str
    pictures: Sequence[Picture]


def percent(share: float, digits: int = 1) -> str:
    """A share, as people read it."""
    return f"{100 * share:.{digits}f}%"


def scientific(number: float) -> str:
    """A number that may be very small: ``9.5 × 10⁻⁷``."""
    if number == 0:
        return "0"
    if 0.01 <= abs(number) < 1000:
        return f"{number:.3g}"
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def spread(numbers: Sequence[float]) -> str:
    """Mean and standard deviation of shares."""
    return f"{percent(float(np.mean(numbers)))} ± {100 * np.std(numbers, ddof=1):.1f}"


# 1


def what_it_is() -> Section:
    """ReLU, its derivative, and two relatives."""
    leaky = rf.leaky_relu.bind(slope=SLOPE)
    drawn = [
        pictures.function(rf.relu, "relu"),
        pictures.function(leaky, "leaky_relu"),
        pictures.function(rf.maxout, "maxout"),
    ]
    x = np.arange(-10.0, 11.0)
    series = table(
        ("x", "relu(x)", "relu′(x)", "leaky", "leaky′"),
        [
            [f"{number:g}".replace("-", "−") for number in numbers]
            for numbers in zip(x, rf.relu(x), rf.relu.derivative(x), leaky(x), leaky.derivative(x), strict=True)
        ],
        caption=f"The series in, the series out, and the derivatives (leaky ReLU with slope {SLOPE:g})",
        kind="series",
    )
    html = section(
        "relu",
        1,
        "What ReLU is",
        """<p>The <b>rectified linear unit</b> passes what is positive and stops what is not. Its derivative says how
much of a gradient comes back through it: all of it where the unit is on, nothing where it is off.</p>""",
        f'<div class="formula"><div>{mathml(rf.relu.formula, "relu(x)")}</div>'
        f"<div>{mathml(rf.relu.derivative_formula, 'derivative(x)')}</div></div>",
        row(
            f"""<div>{
                figure(
                    drawn[0],
                    "Solid: the value. Dashed: the derivative, which jumps from 0 to 1 at the kink. Left of it both are "
                    "0, and lie on each other. Full dot: the derivative at 0. Open dot: its limit from the right. Bar: the "
                    "subdifferential, all slopes between.",
                )
            }
<p>At 0 there is no single slope: it is 0 from the left and 1 from the right. The library takes the smaller one, so that
relu′(0) = 0; <code>at_kink</code> chooses another.</p></div>""",
            series,
        ),
        session(
            [
                "import numpy as np",
                "import rectified as rf",
                "x = np.arange(-3.0, 4.0)",
                "rf.relu(x)",
                "rf.relu.derivative(x)",
                "rf.relu.derivative(0.0, at_kink=0.5)",
                "rf.relu.backward(np.full(7, 5.0), x)  # a gradient of 5 goes back through it",
                "rf.leaky_relu(x, slope=0.1)",
                "rf.maxout([1.0, 3.0, 2.0, -4.0], pieces=2)",
                "rf.maxout.derivative([1.0, 3.0, 2.0, -4.0], pieces=2)",
            ]
        ),
        "<h3>Two relatives that never switch off</h3>",
        """<p><b>Leaky ReLU</b> keeps a small slope where ReLU is flat, so that its derivative is never 0.
<b>Maxout</b> has no fixed shape: it takes the largest of a group of numbers, each from weights of its own. One of
them always is the largest, so that every group always passes a gradient. The price is the weights: twice as many for
two pieces.</p>""",
        row(
            figure(
                drawn[1], f"Leaky ReLU with slope {SLOPE:g}; the default is {rf.leaky_relu.parameters['slope'].default:g}."
            ),
            figure(
                drawn[2],
                "Maxout of two pieces, by one of them, for three values of the other. Where derivatives are equal, their "
                "dashes take turns.",
            ),
        ),
        """<p>The group may stand along any axis of an array of any number of dimensions. In a network for images it is a
group of feature maps, and pixel by pixel the largest of them goes on. Which of them that was takes two bits for three
maps, and these bits are all that the way back needs.</p>""",
        session(
            [
                "import numpy as np",
                "import rectified as rf",
                "maps = np.random.default_rng(0).normal(size=(2, 6, 4, 4))  # two images, six maps, 4 × 4 pixels",
                "y, winners = rf.maxout.forward_packed(maps, pieces=3, axis=1)",
                "y.shape",
                "winners.nbytes, maps.nbytes",
                "dmaps = rf.maxout.backward_packed(np.ones_like(y), winners, pieces=3, axis=1)",
                "dmaps[0, :3].sum(axis=0)  # of each three maps one gets the gradient, at each pixel",
            ]
        ),
    )
    return Section(html, drawn)


# 2


def speed(measured: benchmark.Run) -> Section:
    """What the functions cost on this machine."""
    by_size: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
    for size in dict.fromkeys(result.size for result in measured.results):
        ours, idioms = by_size[size] = {}, {}
        for name in TIMED:
            for kind in ("value", _backward(name)):
                label = name if kind == "value" else f"{name}, back"
                for result in measured.results:
                    if (result.size, result.function, result.kind) == (size, name, kind):
                        {"rectified": ours, "numpy": idioms}.get(result.peer, {})[label] = result
    small, large = min(by_size), max(by_size)
    drawn = [
        pictures.speeds(f"speed-{size}", f"{size:,} numbers, times a copy (back: a product)", *by_size[size])
        for size in by_size
    ]
    tables = [
        table(
            ("", "rectified", "limit", "NumPy"),
            [
                (
                    label,
                    benchmark.duration(result.seconds),
                    benchmark.duration(result.seconds / result.to_limit),
                    benchmark.duration(idioms[label].seconds),
                )
                for label, result in ours.items()
            ],
            caption=f"{size:,} numbers: the times; the limit is measured anew beside each",
        )
        for size, (ours, idioms) in by_size.items()
    ]
    near, far = by_size[small][0], by_size[large][0]
    ratios = [f"{name} {far[name].to_limit:.2f}" for name in TIMED]
    idiom = by_size[large][1]
    html = section(
        "speed",
        2,
        "What it costs",
        f"""<p>ReLU is one comparison for each number. Sigmoid and tanh need an exponential. With {small:,} numbers,
which fit into the processor's cache, ReLU took <b>{benchmark.duration(near["relu"].seconds)}</b> here, sigmoid
<b>{near["sigmoid"].seconds / near["relu"].seconds:.1f} times</b> as long and tanh
<b>{near["tanh"].seconds / near["relu"].seconds:.1f} times</b>.</p>""",
        f"""<p>With {large:,} numbers most of the work is to fetch them from memory and to bring them back, so that a
plain copy is the measure. In copies: {", ".join(ratios)}. It can be less than one,
because the library writes large results past the cache. What people write in
NumPy walks through memory once for each operator:
<code>{escape(idiom["relu"].call)}</code> took {idiom["relu"].to_limit:.1f} copies,
<code>{escape(idiom["leaky_relu"].call)}</code> {idiom["leaky_relu"].to_limit:.1f}, and
<code>{escape(idiom["sigmoid"].call)}</code> {idiom["sigmoid"].to_limit:.1f}.</p>""",
        row(
            *(
                figure(one, "Full dots: rectified. Open dots: NumPy. Dashed: the limit. The axis is logarithmic.")
                for one in drawn
            )
        ),
        row(*tables),
        unsteady(measured),
        f"""<p class="note">float32, one thread; all candidates take turns, and the median counts. The limit is
<code>np.copyto</code> for the value and <code>np.multiply</code> on the way back, where two arrays are read. Sigmoid
and tanh go back from their output, which saves the exponential: sigmoid′ = y · (1 − y), tanh′ = 1 − y².
{escape(benchmark.measured_on(measured))}.</p>""",
    )
    return Section(html, drawn)


def unsteady(measured: benchmark.Run) -> str:
    """A remark, where the same copy or product took much longer beside one function than beside another."""
    limits: dict[tuple[str, int], list[float]] = {}
    for found in measured.results:
        if found.peer == "rectified":
            call = "np.copyto" if found.kind == "value" else "np.multiply"
            limits.setdefault((call, found.size), []).append(found.seconds / found.to_limit)
    seen = [
        f"<code>{call}</code> of {size:,} numbers took {benchmark.duration(min(times))} to {benchmark.duration(max(times))}"
        for (call, size), times in limits.items()
        if max(times) > 1.5 * min(times)
    ]
    remark = "<b>The machine was not steady:</b> {}. Figures of a machine that does nothing else say more."
    return f'<p class="note">{remark.format("; ".join(seen))}</p>' if seen else ""


def _backward(name: str) -> str:
    return "backward_from_output" if name in ("sigmoid", "tanh") else "backward"


# 3


def saturation(by_layer: Mapping[str, NDArray[np.float64]], plan: Plan) -> Section:
    """Why gradients vanish."""
    names = list(by_layer)
    x = np.linspace(-8.0, 8.0, 801)
    drawn = [pictures.derivatives(x), pictures.products(x, plan.deep), pictures.gradients(by_layer)]
    rows = [
        (
            f"{point:g}".replace("-", "−"),
            *(scientific(float(ACTIVATIONS[name].derivative(point)) ** plan.deep) for name in names),
        )
        for point in (-2.0, 0.0, 0.5, 1.0, 2.0, 5.0)
    ]
    steepest = float(rf.sigmoid.derivative(0.0))
    first_to_last = {name: sizes_[0] / sizes_[-1] for name, sizes_ in by_layer.items()}
    shares = ", ".join(f"{name} <b>{scientific(share)}</b>" for name, share in first_to_last.items())
    html = section(
        "saturation",
        3,
        "Why gradients vanish",
        f"""<p>Sigmoid and tanh flatten at both ends: they <b>saturate</b>, and their derivative goes to 0. ReLU's
derivative is 1 however large x grows. That matters because on its way back through a network the gradient is
multiplied by one derivative for each layer. Sigmoid's derivative is {steepest:g} where it is steepest: through
{plan.deep} layers at most {steepest:g}<sup>{plan.deep}</sup> = <b>{scientific(steepest**plan.deep)}</b> of a gradient
is left, not counting the weights. A ReLU that is on passes 1<sup>{plan.deep}</sup> = 1.</p>""",
        row(
            figure(drawn[0], "ReLU's derivative is 1 or 0, and nothing between."),
            figure(drawn[1], "On a logarithmic axis; where ReLU's line ends, its product is 0."),
        ),
        f"""<p>In a real network: {plan.deep} hidden layers, fresh weights, the handwritten digits of the next
section. The first layer's gradient, divided by the last layer's, was {shares}. Tanh has a slope of 1 at 0, and keeps
up as long as its inputs stay near there, which the starting weights see to. Sigmoid has no such place.</p>""",
        row(
            figure(
                drawn[2],
                f"Before training, over all training images; mean of seeds {_list(plan.seeds)}. "
                "What stands on the left hardly moves when it is multiplied by a learning rate.",
            ),
            table(("x", *(f"{name}′" for name in names)), rows, caption=f"The product of {plan.deep} derivatives at x"),
        ),
    )
    return Section(html, drawn)


# 4


def learning(digits: Digits, found: Learning, plan: Plan) -> Section:
    """Handwritten digits."""
    drawn = [pictures.losses(found.runs), pictures.rates(found), pictures.depth(found.deep)]
    rows = [
        (
            name,
            spread([run.accuracy for run in runs]),
            _epochs(runs),
            _mean(runs),
            f"{1e3 * np.median([run.seconds for run in runs]):.1f} ms",
            f"{found.rates[name]:g}",
            f"{runs[0].network.size:,}",
        )
        for name, runs in found.runs.items()
    ]
    results = table(
        ("", "test accuracy", "epochs to 90%", "mean output", "an epoch", "rate", "learned numbers"),
        rows,
        caption=f"{plan.hidden_layers} hidden layers; mean ± standard deviation over seeds {_list(plan.seeds)}",
    )
    deep = table(
        ("", *(f"{rate:g}" for rate in plan.rates)),
        [(name, *(_deep_cell(run) for run in by_rate.values())) for name, by_rate in found.deep.items()],
        caption=f"{plan.deep} hidden layers, seed {plan.seeds[0]}: test accuracy by learning rate",
    )
    count = {part: len(labels) for part, (_, labels) in digits._asdict().items()}
    html = section(
        "learning",
        4,
        "A network that reads digits",
        f"""<p>Now the real thing: {sum(count.values())} handwritten digits of 8 × 8 pixels, {count["train"]} to learn from,
{count["validation"]} to choose the learning rate with, {count["test"]} to test on, which decide nothing. The network has
{plan.hidden_layers} hidden layers of {plan.units} units, and is nothing but NumPy's matrix product and an
activation's value and
<code>backward</code>. The last layer has no activation: its scores go to a softmax, and a ReLU there would cut off every
negative one. ReLU is for <b>hidden layers only</b>.</p>""",
        f"""<p>To be fair, every function has the learning rate that did best on the validation images, out of
{_list(plan.rates)} (seeds {_list(plan.search_seeds)}). The weights start as He proposed for relu and leaky_relu, as
Xavier for the others. Leaky ReLU has its default slope of {rf.leaky_relu.parameters["slope"].default:g}. A maxout
unit has two sets of weights, so that its layers have only {sizes("maxout", plan)[1]} units and all networks learn
about as many numbers. All are trained for {plan.epochs} epochs with batches of {plan.batch}, momentum
{plan.momentum:g}, and gradients clipped at length {plan.clip:g}.</p>""",
        results,
        f"""<p class="note">One image is {percent(1 / count["test"], 2)} of the test: differences below one percent or
so are luck. An epoch's time is mostly that of the matrix products, on one thread. The digits are split with seed
{SPLIT_SEED}.</p>""",
        f"<p><b>Fewer steps?</b> {_steps(found.runs)}</p>",
        row(
            figure(drawn[0], "The line is the mean over the seeds, the band goes from the smallest to the largest."),
            figure(drawn[1], "What a wrong learning rate costs, before the best one was taken."),
        ),
        f"""<p><b>Zero-centred or not?</b> The mean output is that of all hidden units after training. Tanh has
both signs, and its mean was {_mean(found.runs["tanh"])}. ReLU and sigmoid have no negative outputs, and theirs were
{_mean(found.runs["relu"])} and {_mean(found.runs["sigmoid"])}: the next layer sees inputs that all point the same
way, so that all weights of one of its units are pushed up together or down together. Leaky ReLU, with so small a
slope, changes little about that ({_mean(found.runs["leaky_relu"])}); good starting weights and normalisation are the
usual answers.</p>""",
        f"""<h3>With {plan.deep} hidden layers</h3>
<p>With few layers, sigmoid too arrives, given a rate high enough. Section 3 said what depth would do to it. So here
is the same network with {plan.deep} hidden layers, trained with every rate of the list; guessing gives about 10%.
Where the loss was lowest in the end, the test accuracy was {_deep_best(found.deep)}.</p>""",
        row(
            figure(
                drawn[2],
                "Each at the rate with the lowest loss in the end. Who stays on the dashed line has learned nothing.",
            ),
            deep,
        ),
        source("The network: copy it", inspect.getsource(network)),
    )
    return Section(html, drawn)


def _mean(runs: Runs) -> str:
    return f"{np.mean([run.mean_output for run in runs]):+.2f}".replace("-", "−")


def _median_epochs(runs: Runs, share: float = 0.9) -> float:
    """How many epochs the median run took to tell this share of the test images right; infinity where it never did."""
    needed = [int(np.argmax(run.accuracies >= share)) + 1 if run.accuracies.max() >= share else np.inf for run in runs]
    return float(np.median(needed))


def _epochs(runs: Runs) -> str:
    median = _median_epochs(runs)
    return f"{median:g}" if np.isfinite(median) else "never"


def _steps(runs: Mapping[str, Runs]) -> str:
    """Whether ReLU learned in fewer epochs than sigmoid and tanh."""
    relu = _median_epochs(runs["relu"])
    others = {name: _median_epochs(runs[name]) for name in ("sigmoid", "tanh")}
    faster = [name for name, epochs in others.items() if relu < epochs]
    not_faster = [name for name in others if name not in faster]
    counted = ", ".join(f"{name} {_epochs(runs[name])}" for name in ("relu", *others))
    first = f"Half of the runs had 90% of the test images right after so many epochs: {counted}. "
    if not faster:
        return first + "Here ReLU was ahead of neither of the two: what it saves is arithmetic."
    if not not_faster:
        return first + "Here ReLU was ahead of both."
    return first + (
        f"Here ReLU was ahead of {faster[0]}, and not of {not_faster[0]}: beside that it saves arithmetic, and no steps."
    )


def _deep_best(deep: Mapping[str, Mapping[float, Run]]) -> str:
    return ", ".join(f"{name} {_deep_cell(best(by_rate))}" for name, by_rate in deep.items())


def _deep_cell(run: Run) -> str:
    return "overflow" if run.overflowed else percent(run.accuracy)


# 5


def death(found: Death, usual: Learning, plan: Plan) -> Section:
    """Units that can not learn any more."""
    drawn = [pictures.deaths(found), pictures.accuracies(found)]
    half = plan.epochs // 2
    stayed = np.concatenate([run.dead[-1][run.dead[half - 1]] for run in found.clipped["relu"]])
    rows = [
        (
            name,
            percent(_dead(usual.runs[name])),
            percent(_accuracy(usual.runs[name])),
            percent(_dead(runs, epoch=0)),
            percent(_dead(runs)),
            spread([run.accuracy for run in runs]),
        )
        for name, runs in found.clipped.items()
    ]
    free = table(
        ("", "dead", "accuracy", "overflowed"),
        [
            (
                name,
                percent(_dead([run for run in runs if not run.overflowed]))
                if not all(run.overflowed for run in runs)
                else "–",
                percent(_accuracy(runs)),
                f"{sum(run.overflowed for run in runs)} of {len(runs)}",
            )
            for name, runs in found.free.items()
        ],
        caption=f"Rate {plan.deadly_rate:g} without clipping the gradient",
    )
    relu, leaky, maxout = (found.clipped[name] for name in plan.mortal)
    verdicts = {name: _verdicts(runs) for name, runs in found.clipped.items()}
    html = section(
        "death",
        5,
        "What goes wrong: dead units",
        f"""<p>A ReLU that is off passes no gradient. One step too large can push a unit's weights so far that it is off for
<b>every</b> image. Then its derivative is zero for every image, no gradient reaches its weights, and they stay where
they are: the unit is <b>dead</b>. To see it happen, here is the network of section 4 once more; only the learning rate is
{plan.deadly_rate:g} instead of {usual.rates["relu"]:g}.</p>""",
        row(
            figure(drawn[0], "Dead: after this epoch the derivative is zero on every one of the training images."),
            figure(drawn[1], f"Seeds {_list(plan.seeds)}: their mean, and from the smallest to the largest."),
        ),
        table(
            ("", "dead", "accuracy", "dead, 1 epoch", f"dead, {plan.epochs} epochs", "accuracy"),
            rows,
            caption=f"The first two columns: each at its own best rate. The others: all at {plan.deadly_rate:g}.",
        ),
        f"""<p>At {plan.deadly_rate:g}, <b>{percent(_dead(relu), 0)}</b> of the ReLU units were dead in the end, and
the network told
<b>{percent(_accuracy(relu), 0)}</b> of the test images right. Leaky ReLU at the same rate: {percent(_dead(leaky), 0)} dead,
{percent(_accuracy(leaky), 0)} right. Maxout: {percent(_dead(maxout), 0)} dead, {percent(_accuracy(maxout), 0)} right.
{_stayed(stayed, half)}</p>""",
        "<h3>Which units, and since when</h3>",
        f"""<p>A unit learns only where the derivative is not 0: that is the whole rule of <code>rectified.health</code>,
and it knows more than dead. <b>Saturated</b> is a unit whose derivative was at most 1% of the function's largest on
every image, <b>linear</b> is one that never bent, and <b>alive</b> are the others. It works for any network, from the
numbers that go into the activations. Here are its verdicts about the ReLU network with seed {plan.seeds[0]}. A step is
an epoch, after which each unit saw all training images.</p>""",
        f"<pre><code>{escape(as_text(Report.of([relu[0].health]), width=100))}</code></pre>",
        table(
            ("", "dead", "saturated", "linear", "alive"),
            [(name, *cells) for name, cells in verdicts.items()],
            caption=f"At {plan.deadly_rate:g}: the share of the hidden units in each state; mean of the seeds",
        ),
        f"""<p><b>Two counts of the dead.</b> In the pictures and the table above a unit is dead that was silent on all
images after the last epoch: {percent(_dead(relu))} of the ReLU units. Here it has to be silent for longer than chance
explains, by how often it fired before, and for five epochs at least: {verdicts["relu"][0]}. The others fell silent
too late for that, or fire now and then.</p>
<p>Leaky ReLU's units can not be dead, but they can be saturated: where all inputs are negative they learn a hundred times
more slowly. {verdicts["leaky_relu"][1]} of them were.</p>
<p>For PyTorch, <code>rectified run train.py</code> and <code>rectified report</code> tell the
same of any script.</p>""",
        """<p><b>What is counted.</b> For relu and leaky_relu a unit. Leaky ReLU's derivative is its slope where
ReLU's is 0, so that it can not be zero: that cure is by definition. For maxout it is a piece that is the largest for
no image; the group it belongs to still passes a gradient, through another piece.</p>""",
        "<h3>It is no licence for high rates</h3>",
        row(
            f"""<div><p>The cures keep units alive; they do not make the rate a good one: compare the two columns of
accuracies above. And so far every gradient was clipped at length {plan.clip:g}. Here is the same without clipping.
Where the numbers overflow, no unit is dead, and nothing works either.</p>
<p>A few dead units do no harm: see the first two columns. When many die, in this order: a smaller learning rate, clipped
gradients, starting weights made for ReLU (He); then leaky ReLU or maxout.</p></div>""",
            free,
        ),
    )
    return Section(html, drawn)


def _stayed(still: NDArray[np.bool_], epoch: int) -> str:
    """A sentence on those that were dead at that epoch; `still` tells which of them are dead in the end."""
    if not still.size:
        return ""
    return (
        f"How lasting is it? Of the {still.size} ReLU units, over all seeds, that were dead after epoch {epoch}, "
        f"<b>{percent(float(still.mean()), 0)}</b> were dead in the end. "
        "Only a change in the layers before, or what is left of the momentum, can wake one."
    )


def _verdicts(runs: Runs) -> list[str]:
    """The share of units that are dead, saturated, linear and alive in the end."""
    totals = [Report.of([run.health]).totals for run in runs]
    units = sum(total.units for total in totals)
    return [
        percent(sum(getattr(total, state) for total in totals) / units)
        for state in ("dead", "saturated", "linear", "alive")
    ]


def _dead(runs: Runs, epoch: int = -1) -> float:
    return float(np.mean([run.dead[epoch].mean() for run in runs]))


def _accuracy(runs: Runs) -> float:
    return float(np.mean([run.accuracy for run in runs]))


def _list(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
