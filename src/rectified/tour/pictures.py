"""The tour's pictures: each is drawn twice, for a light and for a dark page, as SVG on a transparent ground."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    MultipleLocator,
    NullFormatter,
    NullLocator,
    PercentFormatter,
)
from numpy.typing import NDArray

import rectified as rf
from rectified.benchmark import Result
from rectified.plotting import plot
from rectified.tour.experiments import ACTIVATIONS, Death, Learning, Run, Runs, best


@dataclass(frozen=True)
class Theme:
    """Colours for one kind of page."""

    ink: str
    ground: str
    colors: Mapping[str, str]


# M. Okabe and K. Ito, Color Universal Design, 2008; on dark some are lighter than there.
LIGHT = Theme(
    ink="#26303a",
    ground="#ffffff",
    colors={"relu": "#0072B2", "leaky_relu": "#D55E00", "maxout": "#009E73", "sigmoid": "#B8578F", "tanh": "#C98A00"},
)
DARK = Theme(
    ink="#d5dbe3",
    ground="#161a20",
    colors={"relu": "#56B4E9", "leaky_relu": "#F08A4B", "maxout": "#2FCB9B", "sigmoid": "#E39AC6", "tanh": "#E9C13C"},
)

WIDTH, HEIGHT = 4.7, 3.3


@dataclass(frozen=True)
class Picture:
    """A picture for each theme, and in words what it shows."""

    name: str
    alt: str
    light: str
    dark: str


Draw = Callable[[Axes, Theme], None]


def picture(name: str, alt: str, draw: Draw, height: float = HEIGHT) -> Picture:
    """Draw it for both themes."""
    return Picture(name, alt, *(_svg(name, draw, theme, height) for theme in (LIGHT, DARK)))


def _svg(name: str, draw: Draw, theme: Theme, height: float) -> str:
    ink = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), theme.ink)
    style: dict[Any, Any] = {
        "svg.fonttype": "path",
        "svg.hashsalt": name,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": theme.ground,
        "axes.grid": True,
        "grid.alpha": 0.18,
        "grid.color": theme.ink,
        "legend.frameon": False,
        **ink,
    }
    text = StringIO()
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH, height), facecolor=theme.ground)
        ax = figure.subplots()
        draw(ax, theme)
        # The functions know their ground while they draw; the page has its own.
        figure.set_facecolor("none")
        ax.set_facecolor("none")
        figure.savefig(
            text,
            format="svg",
            bbox_inches="tight",
            pad_inches=0.03,
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
    found = text.getvalue()
    return found[found.index("<svg") :]


# What a function is.


def function(activation: rf.Activation, name: str) -> Picture:
    """A function and its derivative."""

    def draw(ax: Axes, _: Theme) -> None:
        plot(activation, ax=ax)
        inside = ax.get_legend()
        assert inside is not None
        entries = {
            label.get_text(): handle for label, handle in zip(inside.get_texts(), inside.legend_handles, strict=True)
        }
        handles: Any = list(entries.values())
        ax.legend(handles, list(entries), loc="upper left", bbox_to_anchor=(0, -0.16), fontsize=9.5)

    return picture(name, f"The graph of {activation.signature} and of its derivative", draw, height=4.4)


# Speed.


def speeds(name: str, title: str, ours: Mapping[str, Result], idioms: Mapping[str, Result]) -> Picture:
    """How many copies, or products, each call costs."""

    def draw(ax: Axes, theme: Theme) -> None:
        places = np.arange(len(ours))[::-1]
        for place, (label, result) in zip(places, ours.items(), strict=True):
            color = theme.colors[result.function]
            ends = (result.to_limit, idioms[label].to_limit)
            ax.plot(ends, [place, place], color=color, linewidth=2, alpha=0.5)
            ax.plot(ends[0], place, "o", color=color, markersize=8)
            ax.plot(ends[1], place, "o", color=color, markersize=8, markerfacecolor=theme.ground, markeredgewidth=1.8)
            for end, other in (ends, ends[::-1]):
                aside: Any = {"xytext": (-8, 0), "ha": "right"} if end < other else {"xytext": (8, 0), "ha": "left"}
                ax.annotate(
                    f"{end:.2f}×" if end < 0.995 else f"{end:.1f}×" if end < 9.95 else f"{end:.0f}×",
                    (end, place),
                    textcoords="offset points",
                    va="center",
                    fontsize=8.5,
                    bbox={"facecolor": theme.ground, "edgecolor": "none", "pad": 0.6},
                    **aside,
                )
        ax.axvline(1, color=theme.ink, linestyle=(0, (3, 2)), linewidth=1.2, zorder=1)
        ax.set_yticks(places, list(ours))
        ax.grid(visible=False, axis="y")
        ax.set_xscale("log")
        times = [found.to_limit for found in [*ours.values(), *idioms.values()]]
        ax.set_xlim(min(times) / 2.2, max(times) * 2)
        ax.xaxis.set_major_locator(FixedLocator([0.5, 1, 2, 5, 10, 20, 50]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}×"))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_title(title, loc="left", fontsize=10)

    return picture(name, f"The time of each function beside a copy or a product: {title}", draw, height=4.2)


# Saturation.


def derivatives(x: NDArray[np.float64]) -> Picture:
    """The derivatives of three functions on one axis."""

    def draw(ax: Axes, theme: Theme) -> None:
        for name in ("sigmoid", "tanh", "relu"):
            y = np.array(ACTIVATIONS[name].derivative(x))
            if name == "relu":
                y[np.searchsorted(x, 0.0)] = np.nan  # a jump is not a slope
            ax.plot(x, y, color=theme.colors[name], linewidth=2.4, label=f"{name}′")
        ax.set_xlabel("x")
        ax.xaxis.set_major_locator(MultipleLocator(2))
        ax.set_title("the derivative f′(x)", loc="left", fontsize=10)
        ax.legend(ncols=1, loc="upper left")

    return picture("derivatives", "The derivatives of sigmoid, tanh and relu", draw)


def products(x: NDArray[np.float64], layers: int) -> Picture:
    """The derivatives to the power of the number of layers."""

    def draw(ax: Axes, theme: Theme) -> None:
        for name in ("sigmoid", "tanh", "relu"):
            y = np.array(ACTIVATIONS[name].derivative(x)) ** layers
            y[y == 0] = np.nan
            ax.plot(x, y, color=theme.colors[name], linewidth=2.4, label=f"{name}′")
        _logarithmic(ax)
        ax.set_ylim(1e-30, 1e2)
        ax.set_xlabel("x")
        ax.xaxis.set_major_locator(MultipleLocator(2))
        ax.set_title(f"{layers} of them multiplied, f′(x)$^{{{layers}}}$", loc="left", fontsize=10)

    return picture("products", f"The derivatives to the power of {layers}, on a logarithmic axis", draw)


def gradients(by_layer: Mapping[str, NDArray[np.float64]]) -> Picture:
    """How large the gradient is in each layer."""

    def draw(ax: Axes, theme: Theme) -> None:
        for name, sizes in by_layer.items():
            ax.plot(np.arange(1, len(sizes) + 1), sizes, "o-", color=theme.colors[name], linewidth=2.2, label=name)
        _logarithmic(ax)
        ax.set_xlabel("layer, from the input to the output")
        ax.set_title("gradient of the weights (root mean square)", loc="left", fontsize=10)
        ax.legend(loc="lower right")
        ax.set_xticks(range(1, len(sizes) + 1))

    return picture("gradients", "The size of the gradient in each layer of a deep network, on a logarithmic axis", draw)


# Learning.


def losses(runs: Mapping[str, Runs]) -> Picture:
    """The training loss by epoch."""

    def draw(ax: Axes, theme: Theme) -> None:
        for name, found in runs.items():
            _band(ax, theme, name, np.array([run.losses for run in found]))
        _logarithmic(ax)
        _epochs(ax)
        ax.set_title("loss on the training images", loc="left", fontsize=10)
        ax.legend(ncols=2, fontsize=9)

    return picture("losses", "The training loss by epoch, for each function", draw)


def rates(learning: Learning) -> Picture:
    """The validation accuracy by learning rate."""

    def draw(ax: Axes, theme: Theme) -> None:
        for name, found in learning.search.items():
            y = [np.mean([run.validation_accuracy for run in runs]) for runs in found.values()]
            ax.plot(list(found), y, "o-", color=theme.colors[name], linewidth=2.2, label=name)
            best = learning.rates[name]
            ax.plot(best, y[list(found).index(best)], "o", markersize=11, markerfacecolor="none", color=theme.colors[name])
        ax.set_xscale("log")
        ax.set_xticks(list(found), [f"{rate:g}" for rate in found])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("learning rate")
        ax.set_ylim(0, 1.02)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set_title("accuracy on the validation images (ring: best)", loc="left", fontsize=10)
        ax.legend(loc="lower center", fontsize=9)

    return picture("rates", "The validation accuracy by learning rate, for each function", draw)


def depth(deep: Mapping[str, Mapping[float, Run]]) -> Picture:
    """The training loss by epoch with many layers, each at the rate with the lowest loss in the end."""

    def draw(ax: Axes, theme: Theme) -> None:
        for name, found in deep.items():
            losses = best(found).losses
            ax.plot(np.arange(1, len(losses) + 1), losses, color=theme.colors[name], linewidth=2.4, label=name)
        ax.axhline(np.log(10), color=theme.ink, linestyle=(0, (3, 2)), linewidth=1)
        _logarithmic(ax)
        _epochs(ax)
        ax.set_title("loss on the training images (dashed: guessing)", loc="left", fontsize=10)
        ax.legend(loc="lower left", fontsize=9)

    return picture("depth", "The training loss by epoch with many hidden layers", draw)


# Death.


def deaths(death: Death) -> Picture:
    """The share of dead units by epoch."""

    def draw(ax: Axes, theme: Theme) -> None:
        for name, found in death.clipped.items():
            _band(ax, theme, name, np.array([run.dead.mean(axis=1) for run in found]))
        _percent(ax, "dead hidden units")

    return picture("deaths", "The share of dead hidden units by epoch", draw)


def accuracies(death: Death) -> Picture:
    """The test accuracy by epoch."""

    def draw(ax: Axes, theme: Theme) -> None:
        for name, found in death.clipped.items():
            _band(ax, theme, name, np.array([run.accuracies for run in found]))
        _percent(ax, "accuracy on the test images")

    return picture("accuracies", "The test accuracy by epoch, at the deadly rate", draw)


def _logarithmic(ax: Axes) -> None:
    ax.set_yscale("log")
    ax.yaxis.set_minor_locator(NullLocator())


def _epochs(ax: Axes) -> None:
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _percent(ax: Axes, title: str) -> None:
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    _epochs(ax)
    ax.set_title(title, loc="left", fontsize=10)
    ax.legend(fontsize=9)


def _band(ax: Axes, theme: Theme, name: str, by_seed: NDArray[np.float64]) -> None:
    """The mean over the seeds, on a band from the smallest to the largest."""
    epochs = np.arange(1, by_seed.shape[1] + 1)
    ax.fill_between(epochs, by_seed.min(axis=0), by_seed.max(axis=0), color=theme.colors[name], alpha=0.18, linewidth=0)
    ax.plot(epochs, by_seed.mean(axis=0), color=theme.colors[name], linewidth=2.4, label=name)
