"""What the tour trains and measures on the digits, from fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import rectified as rf
from rectified import health
from rectified.tour.digits import Digits
from rectified.tour.network import Network, train

ACTIVATIONS: Mapping[str, Any] = {name: rf.catalogue[name] for name in ("sigmoid", "tanh", "relu", "leaky_relu", "maxout")}


@dataclass(frozen=True)
class Plan:
    """How much is trained, and with what."""

    units: int = 64
    hidden_layers: int = 3
    deep: int = 10
    epochs: int = 20
    batch: int = 32
    momentum: float = 0.9
    clip: float = 1.0
    rates: tuple[float, ...] = (0.01, 0.03, 0.1, 0.2, 0.5)
    search_seeds: tuple[int, ...] = (101, 102)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    deadly_rate: float = 0.5
    deep_names: tuple[str, ...] = ("sigmoid", "tanh", "relu")
    mortal: tuple[str, ...] = ("relu", "leaky_relu", "maxout")


QUICK = Plan(units=24, epochs=3, rates=(0.1, 0.5), search_seeds=(101,), seeds=(1, 2))


@dataclass(frozen=True)
class Run:
    """One training: what was seen after each epoch, and the network at the end."""

    network: Network
    losses: NDArray[np.float64]
    seconds: NDArray[np.float64]
    accuracies: NDArray[np.float64]
    health: health.Run
    """What the hidden units did with the training images, after each epoch that was looked at."""
    mean_output: float
    validation_accuracy: float

    @property
    def accuracy(self) -> float:
        """The share of the test images that it tells right in the end."""
        return float(self.accuracies[-1])

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Which units had a derivative of 0 on every image, in the shape (epochs looked at, units of all hidden layers)."""
        windows = (layer.histories["train"].windows for layer in self.health.layers.values())
        return np.array([np.concatenate([seen.max_slope == 0 for seen in epoch]) for epoch in zip(*windows, strict=True)])

    @property
    def overflowed(self) -> bool:
        """Whether its numbers grew beyond what float32 holds."""
        return not all(np.isfinite(layer.weights).all() for layer in self.network.layers)


Runs = Sequence[Run]
Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Learning:
    """The search for a learning rate, what was trained with the best one, and the same with many layers: by function."""

    search: Mapping[str, Mapping[float, Runs]]
    rates: Mapping[str, float]
    runs: Mapping[str, Runs]
    deep: Mapping[str, Mapping[float, Run]]


@dataclass(frozen=True)
class Death:
    """At the deadly rate, with the gradient clipped and not: by function."""

    clipped: Mapping[str, Runs]
    free: Mapping[str, Runs]


class _Job(NamedTuple):
    """What to train."""

    name: str
    rate: float
    seed: int
    clip: float
    hidden_layers: int


def sizes(name: str, plan: Plan, hidden_layers: int | None = None) -> list[int]:
    """The network's layers, with as many units as bring its size next to that of a ReLU network with `plan.units`."""

    def with_units(units: int) -> list[int]:
        return [64, *[units] * (hidden_layers or plan.hidden_layers), 10]

    wanted = Network(with_units(plan.units), rf.relu, seed=0).size
    distances = {
        units: abs(Network(with_units(units), ACTIVATIONS[name], seed=0).size - wanted)
        for units in range(plan.units // 2, plan.units + 1)
    }
    return with_units(min(distances, key=lambda units: distances[units]))


def learn(digits: Digits, plan: Plan, report: Report) -> Learning:
    """Train with every function: first with each learning rate, then with the one that did best on the validation part."""

    def usual(name: str, rate: float, seed: int) -> _Job:
        return _Job(name, rate, seed, plan.clip, plan.hidden_layers)

    def deep(name: str, rate: float) -> _Job:
        return _Job(name, rate, plan.seeds[0], plan.clip, plan.deep)

    # The functions take turns, so that a busy moment of the machine does not fall on one of them.
    search = [usual(name, rate, seed) for seed in plan.search_seeds for rate in plan.rates for name in ACTIVATIONS]
    done = _train_all(search, digits, plan, lambda step, share: report(f"looking for a rate: {step}", share / 3))
    searched = {
        name: {rate: [done[usual(name, rate, seed)] for seed in plan.search_seeds] for rate in plan.rates}
        for name in ACTIVATIONS
    }
    rates = {
        name: max(found, key=lambda rate: np.mean([run.validation_accuracy for run in found[rate]]))
        for name, found in searched.items()
    }
    chosen = [usual(name, rates[name], seed) for seed in plan.seeds for name in ACTIVATIONS]
    done |= _train_all(chosen, digits, plan, lambda step, share: report(f"learning: {step}", (1 + share) / 3))
    tried = [deep(name, rate) for rate in plan.rates for name in plan.deep_names]
    done |= _train_all(tried, digits, plan, lambda step, share: report(f"many layers: {step}", (2 + share) / 3))
    return Learning(
        search=searched,
        rates=rates,
        runs={name: [done[usual(name, rates[name], seed)] for seed in plan.seeds] for name in ACTIVATIONS},
        deep={name: {rate: done[deep(name, rate)] for rate in plan.rates} for name in plan.deep_names},
    )


def kill(digits: Digits, plan: Plan, report: Report) -> Death:
    """Train at the rate that kills units."""

    def deadly(name: str, seed: int, clip: float) -> _Job:
        return _Job(name, plan.deadly_rate, seed, clip, plan.hidden_layers)

    clips = (plan.clip, np.inf)
    jobs = [deadly(name, seed, clip) for clip in clips for seed in plan.seeds for name in plan.mortal]
    done = _train_all(jobs, digits, plan, lambda step, share: report(f"a deadly rate: {step}", share), watched=True)
    return Death(
        *({name: [done[deadly(name, seed, clip)] for seed in plan.seeds] for name in plan.mortal} for clip in clips)
    )


def best(runs: Mapping[float, Run]) -> Run:
    """Of runs with several rates the one whose loss is lowest in the end."""
    return min(runs.values(), key=lambda run: np.nan_to_num(run.losses[-1], nan=np.inf))


def gradients_by_layer(digits: Digits, plan: Plan) -> dict[str, NDArray[np.float64]]:
    """The gradient's root mean square in the weights of each layer of a deep network before training.

    From the first layer to the last; the geometric mean over the seeds.
    """
    found: dict[str, NDArray[np.float64]] = {}
    with one_thread():
        for name in plan.deep_names:
            logarithms = []
            for seed in plan.seeds:
                network = Network(sizes(name, plan, plan.deep), ACTIVATIONS[name], seed=seed)
                _, gradients = network.gradients(*digits.train)
                logarithms.append([np.log(np.mean(np.square(layer.weights, dtype=float))) / 2 for layer in gradients])
            found[name] = np.exp(np.mean(logarithms, axis=0))
    return found


def _train_all(jobs: Sequence[_Job], digits: Digits, plan: Plan, report: Report, watched: bool = False) -> dict[_Job, Run]:
    done: dict[_Job, Run] = {}
    for job in jobs:
        report(f"{job.name}, rate {job.rate:g}, seed {job.seed}", len(done) / len(jobs))
        done[job] = _run(job, digits, plan, watched)
    return done


def _run(job: _Job, digits: Digits, plan: Plan, watched: bool) -> Run:
    """Train, and look at the units after each epoch, or only after the last."""
    network = Network(sizes(job.name, plan, job.hidden_layers), ACTIVATIONS[job.name], seed=job.seed)
    epochs = train(
        network,
        *digits.train,
        epochs=plan.epochs,
        learning_rate=job.rate,
        seed=job.seed,
        momentum=plan.momentum,
        batch=plan.batch,
        clip=job.clip,
    )
    losses, seconds, accuracies, seen = [], [], [], health.Run()
    # Numbers that overflow at a rate that is too high are a result, which the page states.
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        start = perf_counter()
        for epoch, loss in enumerate(epochs, start=1):
            seconds.append(perf_counter() - start)
            losses.append(loss)
            accuracies.append(network.accuracy(*digits.test))
            if watched or epoch == plan.epochs:
                for place, evidence in enumerate(network.evidence(digits.train.images, step=epoch), start=1):
                    seen.layer(f"hidden {place}", job.name, evidence.units).add(evidence)
            start = perf_counter()
        outputs = network.forward(digits.train.images)[1][1:]
        return Run(
            network=network,
            losses=np.array(losses),
            seconds=np.array(seconds),
            accuracies=np.array(accuracies),
            health=seen,
            mean_output=float(np.mean([layer.mean() for layer in outputs])),
            validation_accuracy=network.accuracy(*digits.validation),
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrix products on one thread: with matrices as small as here, a second one costs more than it gives."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    with threadpool_limits(1):
        yield
