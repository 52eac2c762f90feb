"""What looking at a network costs: the time that a step of training takes with it and without, and the ratio.

Two clocks tell the time: one on the wall, and that of the processors, which counts all threads. How far the second time
without is from the first is the noise.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import random
from collections.abc import Callable
from itertools import product
from multiprocessing.connection import Connection
from time import perf_counter, process_time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rectified.torch.collect import Collector

_CLOCKS = {"wall": perf_counter, "processors": process_time}
_STEPS = 32  # that are timed at once
_PROCESSES = 4  # for each way, where code is compiled
_TRIM, _MMAP = -1, -3  # mallopt's options


def replaced(model: nn.Module, activation: str) -> nn.Module:
    """The same network with activations of another class of `torch.nn` in place of its ReLUs."""
    for name, part in model.named_modules():
        if isinstance(part, nn.ReLU):
            model.set_submodule(name, getattr(nn, activation)())
    return model


class Calls(nn.Module):
    """Linear layers with an activation that is called as a function."""

    def __init__(self, layers: int, units: int, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(units, units) for _ in range(layers))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.function(layer(x))
        return x


class ConvolutionCalls(nn.Module):
    """The convolutional network, with its activations called as functions."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.convolutions = nn.ModuleList([nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(16), nn.BatchNorm2d(32)])
        self.hidden, self.output = nn.Linear(32 * 16, 128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.max_pool2d(self.function(norm(convolution(x))), 2)
        return self.output(self.function(self.hidden(F.adaptive_avg_pool2d(x, 4).flatten(1))))


def convolutions() -> nn.Module:
    """The same with modules."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32 * 16, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def stepping(model: nn.Module, x: Tensor) -> Callable[[], None]:
    """A step of training."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    target = torch.randint(0, 10, (len(x),))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()

    return step


def keep_memory() -> bool:
    """Let the C library, where it is GNU's, keep what is freed for the steps that follow; whether it does.

    By itself it gives memory back at the end of a step or not, by chance: a step has up to 2000 page faults of a
    microsecond each, or none, whether the network is looked at or not.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    return adjust is not None and bool(adjust(_TRIM, 2**31 - 1) and adjust(_MMAP, 2**25))


def otherwise_placed() -> list[bytearray]:
    """Memory that moves what is allocated while it is kept, by chance.

    How a step's tensors lie to each other makes up to 3 percent of its time, and without this stays as it is in a process.
    """
    return [bytearray(random.randrange(2**10, 2**16)) for _ in range(random.randrange(2, 64))][::2]


def compare(
    model: nn.Module, x: Tensor, rounds: int, before: int
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """By each clock the seconds of a step, and in each way the quartiles of its ratio to that over the rounds.

    In a round the ways take turns, and the order turns around each time. What disturbs a whole round cancels out, and the
    median leaves out rounds in which one way was disturbed. That is after so many steps, in which the units are found and
    windows become longer.
    """
    step = stepping(model, x)
    ways: dict[str, Collector | None] = {
        "without": None,
        "without again": None,
        "with": Collector(model),
        "every 10": Collector(model, every=10),
    }
    times: dict[str, list[NDArray[np.float64]]] = {way: [] for way in ways}
    order = list(ways)
    for number in range(rounds):
        for way in order:
            collector, placed = ways[way], otherwise_placed()
            if collector is not None:
                collector.start()
            for _ in range(8 if number else before):
                step()
            begin = np.array([clock() for clock in _CLOCKS.values()])
            for _ in range(_STEPS):
                step()
            end = np.array([clock() for clock in _CLOCKS.values()])
            times[way].append((end - begin) / _STEPS)
            if collector is not None:
                collector.stop()
            del placed
        order.reverse()
    return quartiles(times)


def compiled_steps(way: str, threads: int, x: Tensor, before: int, connection: Connection) -> None:
    """Time steps of the compiled network whenever asked, in a process of its own: code is compiled for one way."""
    keep_memory()
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    model = convolutions()
    moved = [torch.empty(random.randrange(2**18)) for _ in range(4)]  # what the compiled code allocates lies behind
    collector = {"with": Collector(model), "every 10": Collector(model, every=10)}.get(way)
    if collector is not None:
        collector.start()
    step = stepping(torch.compile(model), x)
    for _ in range(before):
        step()
    del moved
    while connection.recv():
        placed = otherwise_placed()
        for _ in range(8):
            step()
        begin = np.array([clock() for clock in _CLOCKS.values()])
        for _ in range(_STEPS):
            step()
        connection.send((np.array([clock() for clock in _CLOCKS.values()]) - begin) / _STEPS)
        del placed


def compare_compiled(
    threads: int, x: Tensor, rounds: int, before: int
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """The same for a network that is compiled, in several processes each way, for some are faster from beginning to end."""
    spawn, ends = multiprocessing.get_context("spawn"), {}
    order = ["without", "without again", "with", "every 10"]
    for way, number in product(order, range(_PROCESSES)):
        ends[way, number], other = spawn.Pipe()
        spawn.Process(target=compiled_steps, args=(way, threads, x, before, other), daemon=True).start()
    times: dict[str, list[NDArray[np.float64]]] = {way: [] for way in order}
    for number in range(rounds):
        for way in order:
            end = ends[way, number % _PROCESSES]
            end.send(True)
            times[way].append(end.recv())
        order.reverse()
    for end in ends.values():
        end.send(False)
    return quartiles(times)


def quartiles(times: dict[str, list[NDArray[np.float64]]]) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """The median seconds without, and the quartiles of the ratios to these in the same round."""
    found = {way: np.array(each) for way, each in times.items()}
    without = found.pop("without")
    return np.median(without, axis=0), {
        way: np.quantile(each / without, [0.25, 0.5, 0.75], axis=0) for way, each in found.items()
    }


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=24)
    arguments.add_argument("--before", type=int, default=1024, help="steps that are not timed, at the beginning")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--batch", type=int, default=48, help="images; a step is to take about 15 ms")
    arguments.add_argument("--only", default="")
    arguments.add_argument("--activation", default="ReLU", help="of torch.nn, and as a function")
    arguments.add_argument("--malloc", action="store_true", help="leave the C library's memory as it is")
    given = arguments.parse_args()
    if not given.malloc:
        keep_memory()
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    images, numbers = torch.randn(given.batch, 3, 32, 32), torch.randn(64, 32)
    tiny = [layer for _ in range(25) for layer in (nn.Linear(32, 32), nn.ReLU())]
    function = getattr(F, given.activation.lower())
    networks: dict[str, tuple[nn.Module | None, Tensor]] = {
        "CNN, modules": (replaced(convolutions(), given.activation), images),
        "CNN, functions": (ConvolutionCalls(function), images),
        "CNN, compiled": (None, images),
        "25 tiny layers, modules": (replaced(nn.Sequential(*tiny), given.activation), numbers),
        "25 tiny layers, functions": (Calls(25, 32, function), numbers),
    }
    ways = ("without again", "with", "every 10")
    print(f"{'median and quartiles':26}{'clock':12}{'step':>10}{''.join(f'{way:>22}' for way in ways)}")
    for name, (model, x) in networks.items():
        if given.only in name:
            options = x, given.rounds, given.before
            seconds, ratios = compare_compiled(given.threads, *options) if model is None else compare(model, *options)
            for place, clock in enumerate(_CLOCKS):
                columns = "".join("   ×{1:.3f} ({0:.3f}–{2:.3f})".format(*ratios[way][:, place]) for way in ways)
                print(f"{name:26}{clock:12}{seconds[place] * 1e3:7.2f} ms{columns}", flush=True)


if __name__ == "__main__":
    main()
