"""What looking at a network costs: the time that a step of training takes with it and without, and the ratio.

Times are the processor's, of one thread, so that other programs disturb them little.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import fmean, quantiles
from time import process_time

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rectified.torch.collect import Collector

_WINDOW = 32  # steps, after 1024 to 2048 of them


class Calls(nn.Module):
    """Linear layers with an activation that is called as a function."""

    def __init__(self, layers: int, units: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(units, units) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        return x


class ConvolutionCalls(nn.Module):
    """The convolutional network, with its activations called as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(16), nn.BatchNorm2d(32)])
        self.hidden, self.output = nn.Linear(32 * 16, 128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.max_pool2d(F.relu(norm(convolution(x))), 2)
        return self.output(F.relu(self.hidden(F.adaptive_avg_pool2d(x, 4).flatten(1))))


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


def compare(model: nn.Module, x: Tensor, rounds: int, parts: int) -> tuple[float, dict[str, float]]:
    """The seconds of a step, and its ratio in each way to that.

    The ways take turns. Each time they train for two windows, and the second is timed in parts. Of each part the lower
    quartile of the rounds counts, since what other programs do can only add to it. Before that each way runs for 256 steps,
    in which the units are found.
    """
    step = stepping(model, x)
    ways: dict[str, Collector | None] = {"without": None, "with": Collector(model), "every 10": Collector(model, every=10)}
    times: dict[str, list[list[float]]] = {way: [[] for _ in range(parts)] for way in ways}
    for number in range(-4, rounds):
        for way, collector in ways.items():
            if collector is not None:
                collector.start()
            for _ in range(_WINDOW):
                step()
            for part in times[way]:
                start = process_time()
                for _ in range(_WINDOW // parts):
                    step()
                if number >= 0:
                    part.append((process_time() - start) / (_WINDOW // parts))
            if collector is not None:
                collector.stop()
    seconds = {way: fmean(quantiles(part, n=4)[0] for part in found) for way, found in times.items()}
    without = seconds.pop("without")
    return without, {way: found / without for way, found in seconds.items()}


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=24)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--only", default="")
    given = arguments.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    image, numbers = torch.randn(32, 3, 32, 32), torch.randn(64, 32)
    tiny = [layer for _ in range(25) for layer in (nn.Linear(32, 32), nn.ReLU())]
    networks = {
        "CNN, modules": (convolutions(), image, 16),
        "CNN, functions": (ConvolutionCalls(), image, 16),
        "25 tiny layers, modules": (nn.Sequential(*tiny), numbers, 4),
        "25 tiny layers, functions": (Calls(25, 32), numbers, 4),
    }
    print(f"{'network':28}{'step':>10}{'with':>10}{'every 10':>10}")
    for name, (model, x, parts) in networks.items():
        if given.only in name:
            seconds, ratios = compare(model, x, given.rounds, parts)
            columns = "".join(f"{'×' + format(ratios[way], '.3f'):>10}" for way in ("with", "every 10"))
            print(f"{name:28}{seconds * 1e3:7.2f} ms{columns}", flush=True)


if __name__ == "__main__":
    main()
