"""Pictures of the catalogue's functions, with matplotlib."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import numpy as np

from rectified.activation import Activation

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator, MultipleLocator
except ImportError as missing:
    raise ImportError('the pictures need matplotlib: pip install "rectified[plot]"') from missing

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.legend import Legend
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Function = Callable[[Array], Array]

SATURATED = 0.01
"""Where |f'| is under this share of its maximum in the picture, and not zero, the function counts as saturated."""

# M. Okabe and K. Ito, Color Universal Design, 2008, in the order of contrast to a light and to a dark background.
_ON_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_ON_DARK = ("#56B4E9", "#E69F00", "#F0E442", "#CC79A7", "#009E73", "#D55E00")

_POINTS = 2001
_USUAL = (-4.0, 4.0)
_BESIDE = 2.0  # how much of the window lies beside a kink, or more where that is far away
_FARTHEST = 8.0  # how far the window goes to show where a function saturates
_NARROW = 0.02  # of the window: where f' only passes through zero, nothing is shaded
_LANE = 0.035  # of the axes' height: the strip that shades one of several functions
_OTHERS = (-1.0, 0.0, 1.0)  # where a section through a group holds the other members
_DASHES = (3.2, 2.2)


class _Curve(NamedTuple):
    """A function of one number, to be drawn."""

    value: Function
    derivative: Function
    kinks: tuple[float, ...]
    label: str
    derivative_label: str
    heading: str = ""  # of the first of several sections
    is_section: bool = False
    start: float = -np.inf  # there is nothing to the left of it
    bounds: tuple[float, ...] = ()  # of the values


class _Zone(NamedTuple):
    """Where a derivative vanishes."""

    curve: int
    dead: bool
    start: float
    stop: float


@np.errstate(all="ignore")  # beside zero the next number is subnormal
def plot(
    *activations: Activation,
    derivative: bool = True,
    ax: Axes | None = None,
    xlim: tuple[float, float] | None = None,
) -> Axes:
    """Draw functions of the catalogue, with their derivatives, in one picture.

    The value is a solid line and the derivative a dashed one. At a kink a full dot marks the derivative that
    `Activation.derivative` returns, open dots mark the one-sided derivatives, and the bar between them is the
    subdifferential. Shaded is where the derivative vanishes: where it is zero (a dead zone), and where it is less than 1 %
    of its maximum in the picture (saturated). Where several functions have such a region, each has a strip of its own at
    the lower edge. Both axes have the same scale, so that a slope of 1 looks like 1, unless the picture would be too
    narrow for that.

    A function of a group, such as `maxout`, appears as sections: the first number that it gives, and its derivative by one
    member of the group, while the others stay at -1, 0 or 1. A radial function begins at 0. `plot_surface` shows both from
    above.

    Parameters
    ----------
    *activations : Activation
        What to draw, with numbers for their parameters.
    derivative : bool
        Whether to draw what belongs to the derivative: the dashed lines, the subdifferentials, the shading.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default it is a new figure of pyplot, with a larger legend.
    xlim : tuple of float, optional
        From where to where. By default it is -4 to 4, or farther where a function has a kink or saturates there.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture in it.

    Raises
    ------
    ImportError
        Where matplotlib is missing.
    TypeError
        For something that is not an `Activation`, or for nothing at all, and for an `ax` that is none.
    ValueError
        For a parameter that is an array, or an `xlim` that is no interval.

    Examples
    --------
    >>> import rectified as rf
    >>> from matplotlib.figure import Figure
    >>> ax = rf.plot(rf.relu, rf.leaky_relu, ax=Figure().subplots())
    >>> ax.get_xlim() == (-4, 4)
    True
    """
    curves = _curves(activations)
    _refuse_other_axes(ax)
    view = _view(curves) if xlim is None else _chosen_view(xlim)
    if ax is not None:
        _legend_with(ax, *_draw(ax, curves, view, derivative))
        return ax
    import matplotlib.pyplot as plt

    return _draw_alone(plt.figure(), curves, view, derivative)


@np.errstate(all="ignore")
def plot_surface(activation: Activation, *, ax: Axes | None = None, limit: float = 4.0) -> Axes:
    """Draw a function of two numbers as a surface, seen from above: lines of equal value, and colours between them.

    Of a radial function the two numbers are a point's coordinates, with the centre in the middle. Of a fold they are the
    two members of a group, and what is drawn is the first number that it gives.

    Parameters
    ----------
    activation : Activation
        A radial function or a fold, with numbers for its parameters.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.
    limit : float
        Both numbers go from ``-limit`` to `limit`.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture in it.

    Raises
    ------
    ImportError
        Where matplotlib is missing.
    TypeError
        For something that is not an `Activation`, and for an `ax` that is none.
    ValueError
        For a function of one number, which has no surface, or of more than two, for a parameter that is an array, or a
        `limit` that is not positive.

    Examples
    --------
    >>> import rectified as rf
    >>> from matplotlib.figure import Figure
    >>> ax = rf.plot_surface(rf.maxout, ax=Figure().subplots())
    >>> ax.get_xlabel()
    'first member of the group'
    """
    _refuse_undrawable(activation)
    _refuse_other_axes(ax)
    if not 0 < limit < np.inf:
        raise ValueError(f"limit is a positive number, not {limit}")
    along = np.linspace(-limit, limit, 161)
    first, second = np.meshgrid(along, along)
    found: Any = activation
    if found.category == "radial":
        height, names = found(np.hypot(first, second)), ("x, from the centre", "y, from the centre")
    elif found.category == "fold" and _group_of(found)[0] == 2:
        height = found(np.stack([first, second], axis=-1), axis=-1)[..., 0]
        names = ("first member of the group", "second member of the group")
    else:
        raise ValueError(f"{found.name}: a surface is of two numbers; draw radial functions, or folds of two")
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(6.4, 5.6), layout="constrained").subplots()
    low, high = float(np.nanmin(height)), float(np.nanmax(height))
    flat = high - low <= 1e-9 * max(abs(low), abs(high))
    levels = MaxNLocator(12).tick_values(low - 0.5 * flat, high + 0.5 * flat)
    dark = _is_dark(ax)
    colored = ax.contourf(along, along, height, levels=levels, cmap="cividis", alpha=0.9)
    lines = ax.contour(along, along, height, levels=levels, colors=_ink(ax), linewidths=0.6, alpha=0.8 if dark else 0.6)
    if ax.figure.get_axes() == [ax]:
        ax.figure.colorbar(colored, ax=ax, shrink=0.85).outline.set_visible(False)
    for label in ax.clabel(lines, fontsize="x-small"):
        label.set_clip_on(False)  # at the edge it would be cut
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    ax.set_title(_definition(found), fontsize="small", pad=12)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


@np.errstate(all="ignore")
def svg(activation: Activation) -> str:
    """A picture of one function as an SVG element that can stand in any page.

    It needs no other file and no font, and its ids are its own.

    Parameters
    ----------
    activation : Activation
        What to draw.

    Returns
    -------
    str
        From ``<svg`` to ``</svg>``.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `plot`.

    Examples
    --------
    >>> import rectified as rf
    >>> from rectified.plotting import svg
    >>> svg(rf.relu).startswith("<svg")
    True
    """
    curves = _curves((activation,))
    text = StringIO()
    with mpl.rc_context({"svg.fonttype": "path"}):
        figure = Figure()
        _draw_alone(figure, curves, _view(curves), derivative=True)
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    picture = text.getvalue()
    picture = picture[picture.index("<svg") :].strip()
    picture = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>r{uuid4().hex}-", picture)
    # A style sheet would reach beyond the picture; on the root element the same is inherited.
    picture = re.sub(r"<style.*?</style>", "", picture, flags=re.DOTALL)
    style = "max-width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt"
    name = escape(f"The graph of {activation.signature}")
    return picture.replace("<svg ", f'<svg role="img" aria-label="{name}" style="{style}" ', 1)


# What is drawn.


def _curves(activations: Sequence[Activation]) -> list[_Curve]:
    if not activations:
        raise TypeError("plot needs a function to draw, such as rectified.plot(rectified.relu)")
    for found in activations:
        _refuse_undrawable(found)
    return [curve for found in activations for curve in (_sections(found) if found.category == "fold" else [_whole(found)])]


def _refuse_undrawable(found: object) -> None:
    if not isinstance(found, Activation):
        raise TypeError(f"plot draws functions of rectified.catalogue, such as rectified.relu, not {found!r}")
    for name, parameter in found.parameters.items():
        if np.ndim(parameter.default) != 0:
            raise ValueError(f"{found.name}: plot needs a number for {name}; bind one, such as {name}=0.2")


def _refuse_other_axes(ax: object) -> None:
    if not isinstance(ax, Axes | None):
        raise TypeError(f"ax is an Axes of matplotlib, such as plt.gca(), not {ax!r}")


def _definition(found: Activation) -> str:
    if found.formula == found.signature:
        return found.signature
    return f"{found.signature} = ${_mathtext(found.formula)}$"


def _whole(found: Any) -> _Curve:
    label = _definition(found)
    derivative_label = f"{found.name}$^\\prime$(x) = ${_mathtext(found.derivative_formula)}$"
    start = 0.0 if found.category == "radial" else -np.inf
    return _Curve(found, found.derivative, found.kinks, label, derivative_label, start=start, bounds=found.range)


def _sections(found: Any) -> Iterator[_Curve]:
    pieces, moving = _group_of(found)

    for other in _OTHERS if pieces > 1 else _OTHERS[:1]:

        def group(x: Array, other: float = other) -> Array:
            members = np.full((*x.shape, pieces), other)
            members[..., moving] = x
            return members

        def value(x: Array, group: Callable[[Array], Array] = group) -> Array:
            result: Array = found(group(x), axis=-1)[..., 0]
            return result

        def derivative(x: Array, group: Callable[[Array], Array] = group) -> Array:
            members = group(x)
            direction = np.zeros_like(members)
            direction[..., moving] = 1
            result: Array = found.jvp(direction, members, axis=-1)[..., 0]
            return result

        shown = [f"{other:g}".replace("-", "−")] * pieces
        shown[moving] = "x"
        heading = _definition(found) if other == _OTHERS[0] else ""
        group_shown = f"({', '.join(shown)})"
        label = f"of the group {group_shown}"
        possible = sorted({0.0, *_OTHERS, *(each + side for each in _OTHERS for side in (-1.0, 1.0))})
        kinks = (
            _OTHERS
            if found.name == "maxout"
            else [kink for kink in possible if _jumps(value, [kink]) or _jumps(derivative, [kink])]
        )
        yield _Curve(value, derivative, tuple(kinks), label, f"the derivative by x of {group_shown}", heading, True)


def _group_of(found: Any) -> tuple[int, int]:
    """How many numbers make the smallest group of a fold that shows what it does, and which of them to move."""
    if "pieces" in found.parameters:
        return operator.index(found.parameters["pieces"].default), 0
    return 2, 1 if getattr(found, "gate", "first") == "second" else 0


def _sides(function: Function, x: float) -> tuple[float, float]:
    """The limits from the left and from the right."""
    left, right = function(np.nextafter(x, [-np.inf, np.inf]))
    return float(left), float(right)


def _jumps(function: Function, kinks: Sequence[float]) -> list[tuple[float, float, float]]:
    """Those of the kinks at which the function jumps, with the limits on both sides."""
    found = [(kink, *_sides(function, kink)) for kink in kinks]
    return [(kink, left, right) for kink, left, right in found if abs(right - left) > 1e-9]


def _trace(function: Function, window: tuple[float, float], kinks: Sequence[float]) -> tuple[Array, Array]:
    """The points of a line that is broken where the function jumps."""
    x = np.union1d(np.linspace(*window, _POINTS), [kink for kink in kinks if window[0] < kink < window[1]])
    y = np.asarray(function(x), dtype=np.float64)
    for kink, left, right in sorted(_jumps(function, kinks), reverse=True):  # from the right: a NaN sorts as the largest
        place = np.searchsorted(x, kink)
        if 0 < place < len(x) - 1:
            x = np.concatenate([x[:place], [kink, np.nan, kink], x[place + 1 :]])
            y = np.concatenate([y[:place], [left, np.nan, right], y[place + 1 :]])
    return x, y


def _zones(curve: _Curve, number: int, window: tuple[float, float]) -> list[_Zone]:
    x, y = _trace(curve.derivative, window, curve.kinks)
    size = np.abs(y)
    zero = size == 0
    small = (size < SATURATED * np.max(size[np.isfinite(size)], initial=0.0)) & ~zero
    found = []
    for dead, here in ((True, zero), (False, small)):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], here, [False]]).astype(int)))
        for start, end in edges.reshape(-1, 2):
            zone = _Zone(number, dead, float(x[start]), float(x[end - 1]))
            if zone.stop - zone.start > _NARROW * (window[1] - window[0]):
                found.append(zone)
    return found


# The view: from where to where on x, and how far up and down at most.


def _view(curves: Sequence[_Curve]) -> tuple[tuple[float, float], float]:
    (left, right), reach = _USUAL, _USUAL[1]
    for curve in curves:
        kinks = np.array([0.0, *curve.kinks])
        beside = np.maximum(_BESIDE, 0.25 * np.abs(kinks))
        left, right = np.min(kinks - beside, initial=left), np.max(kinks + beside, initial=right)
        near = np.concatenate([np.nextafter(kinks, -np.inf), kinks, np.nextafter(kinks, np.inf)])
        heights = np.abs([*curve.value(near), *curve.bounds])
        reach = np.max(heights[np.isfinite(heights)], initial=reach)
        for zone in _zones(curve, 0, (-_FARTHEST, _FARTHEST)):
            left = min(left, zone.stop - 1) if zone.start == -_FARTHEST else left
            right = max(right, zone.start + 1) if zone.stop == _FARTHEST else right
    left = max(left, min(curve.start for curve in curves))
    return (float(np.floor(left)), float(np.ceil(right))), float(reach)


def _chosen_view(xlim: tuple[float, float]) -> tuple[tuple[float, float], float]:
    try:
        left, right = (float(end) for end in xlim)
    except (TypeError, ValueError):
        left = right = np.nan
    if not (np.isfinite([left, right]).all() and left < right):
        raise ValueError(f"xlim is two numbers, the smaller first, such as (-4, 4), not {xlim!r}")
    return (left, right), max(1.0, abs(left), abs(right))


def _heights(lines: Sequence[Line2D], width: float, reach: float, lanes: int) -> tuple[float, float]:
    """The limits of y: all that is drawn within reach, and more where the picture would be a ribbon."""
    y = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in lines])
    y = np.clip(y[np.isfinite(y)], -reach, reach)
    low, high = y.min(initial=0.0), y.max(initial=0.0)
    short = max(0.0, 0.25 * width - (high - low)) / 2
    low, high = low - short, high + short
    margin = 0.06 * (high - low)
    return low - margin - lanes * _LANE * (high - low), high + margin


# The drawing.


def _draw(
    ax: Axes, curves: Sequence[_Curve], view: tuple[tuple[float, float], float], derivative: bool
) -> tuple[list[Artist], list[Artist], list[Artist]]:
    """Draw, and return what a legend shows: the values, the derivatives, and the marks."""
    window, reach = view
    dark = _is_dark(ax)
    palette = _ON_DARK if dark else _ON_LIGHT
    colors = [palette[number % len(palette)] for number in range(len(curves))]
    zones = [zone for number, curve in enumerate(curves) for zone in _zones(curve, number, window)] if derivative else []

    for line in (ax.axhline, ax.axvline):
        line(0, color=_ink(ax), alpha=0.45, linewidth=0.8, zorder=1.5)
    lines: list[Line2D] = []
    values: list[Artist] = []
    slopes: list[Artist] = []
    behind = len(curves) - 1
    for number, (curve, color) in enumerate(zip(curves, colors, strict=True)):
        # Where curves coincide, each still shows: values by their widths, derivatives by dashes that take turns.
        style: dict[str, Any] = {"color": color, "zorder": 2.5 + number / len(curves)}
        width = 2.4 + min(1.5, 3 / max(behind, 1)) * (behind - number)
        lines += ax.plot(*_trace(curve.value, window, curve.kinks), label=curve.label, linewidth=width, **style)
        values += [*([_blank(curve.heading)] if curve.heading else []), lines[-1]]
        if derivative:
            on, off = _DASHES
            turns = (on * number, (on, max(off, on * min(behind, 2))))
            points = _trace(curve.derivative, window, curve.kinks)
            lines += ax.plot(*points, label=curve.derivative_label, linewidth=1.9, linestyle=turns, **style)
            key = Line2D([], [], color=color, linewidth=1.9, linestyle=(0, _DASHES), label=curve.derivative_label)
            slopes += [*([_blank(" ")] if curve.heading else []), key]
    kinked = [_draw_kinks(ax, curve, color, window, derivative) for curve, color in zip(curves, colors, strict=True)]

    shaded = sorted({zone.curve for zone in zones})
    lanes = len(shaded) if len(shaded) > 1 else 0
    for zone in zones:
        lane = shaded.index(zone.curve) * _LANE
        bottom, top = (lane, lane + 0.8 * _LANE) if lanes else (0.0, 1.0)
        ax.axvspan(zone.start, zone.stop, bottom, top, **_shade(colors[zone.curve], zone.dead, bool(lanes), dark))

    ax.set_xlim(window)
    ax.set_ylim(_heights(lines, window[1] - window[0], reach, lanes))
    _dress(ax, window, "x, one member of the group" if all(curve.is_section for curve in curves) else "x")

    marks: list[Artist] = []
    if any(kinked):
        color = colors[kinked.index(True)] if kinked.count(True) == 1 else _ink(ax)
        marks.append(_kink_key(color, derivative))
    for dead in (True, False):
        owners = {zone.curve for zone in zones if zone.dead == dead}
        if owners:
            color = colors[owners.pop()] if len(owners) == 1 else _ink(ax)
            marks.append(Patch(label=_zone_label(dead, curves), **_shade(color, dead, bool(lanes), dark)))
    return values, slopes, marks


def _draw_kinks(ax: Axes, curve: _Curve, color: str, window: tuple[float, float], derivative: bool) -> bool:
    """Mark where the derivative jumps; tell whether it does."""
    jumps = [jump for jump in _jumps(curve.derivative, curve.kinks) if window[0] <= jump[0] <= window[1]]
    dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": color, "markersize": 6.5, "zorder": 5}
    for kink, left, right in jumps:
        full = float((curve.derivative if derivative else curve.value)(np.array([kink]))[0])
        if derivative:
            ax.plot([kink, kink], [left, right], color=color, alpha=0.35, linewidth=5, solid_capstyle="butt", zorder=2.2)
            ends = [end for end in (left, right) if end != full]
            ax.plot([kink] * len(ends), ends, markerfacecolor=_ground(ax), markeredgewidth=1.5, **dot)
        ax.plot([kink], [full], **dot)
    return bool(jumps)


def _kink_key(color: str, derivative: bool) -> Line2D:
    label = "kink: the derivative there, and its subdifferential" if derivative else "kink"
    bar = to_rgba(color, 0.35 if derivative else 0)
    return Line2D([], [], color=bar, linewidth=5, marker="o", markersize=6.5, mfc=color, mec=color, label=label)


def _blank(label: str) -> Line2D:
    return Line2D([], [], linestyle="none", label=label)


def _zone_label(dead: bool, curves: Sequence[_Curve]) -> str:
    if not dead:
        return f"saturated: |derivative| < {SATURATED:.0%} of its maximum"
    # A member of a group that has no gradient leaves it to another member, and so its unit is not dead.
    return "the derivative is 0" if all(curve.is_section for curve in curves) else "dead zone: the derivative is 0"


def _shade(color: str, dead: bool, is_lane: bool, dark: bool) -> dict[str, Any]:
    alpha = (0.6 if dead else 0.3) if is_lane else (0.16 if dead else 0.11) * (1.8 if dark else 1)
    return {"facecolor": to_rgba(color, alpha), "edgecolor": "none", "zorder": 0.5}


def _dress(ax: Axes, window: tuple[float, float], xlabel: str) -> None:
    if np.ptp(ax.get_ylim()) <= 2 * np.ptp(window):
        ax.set_aspect("equal", adjustable="box")
        font = float(ax.xaxis.get_ticklabels()[0].get_fontsize())
        room = int(ax.get_window_extent().width / ax.figure.dpi * 72 / (2.2 * font))
        ticks = MaxNLocator(nbins=max(2, min(15, room)), steps=[1, 2, 5, 10]).tick_values(*window)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MultipleLocator(ticks[1] - ticks[0]))
    ax.grid(True, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel(xlabel)


def _ground(ax: Axes) -> tuple[float, float, float]:
    """The colour behind the curves."""
    *color, alpha = to_rgba(ax.get_facecolor())
    if alpha == 0:
        *color, alpha = to_rgba(ax.figure.get_facecolor())
    return (color[0], color[1], color[2]) if alpha else (1.0, 1.0, 1.0)


def _is_dark(ax: Axes) -> bool:
    return float(np.dot(_ground(ax), (0.299, 0.587, 0.114))) < 0.5


def _ink(ax: Axes) -> str:
    return "white" if _is_dark(ax) else "black"


def _draw_alone(
    figure: Figure, curves: Sequence[_Curve], view: tuple[tuple[float, float], float], derivative: bool
) -> Axes:
    """Draw on an empty figure, with the legend below, and give the figure the height that this needs."""
    width = 7.5
    figure.set_size_inches(width, width)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    ax = figure.subplots()
    values, slopes, marks = _draw(ax, curves, view, derivative)
    left, right = [*values, *marks[:1]], [*slopes, *marks[1:]]
    rows = max(len(left), len(right))
    columns = [handle for side in (left, right) for handle in side + [_blank(" ")] * (rows - len(side))]
    place: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": "small", "handlelength": 2.6}
    legend = figure.legend(handles=columns, ncols=2, **place) if right else figure.legend(handles=left, **place)
    if legend.get_window_extent().width > figure.bbox.width:
        legend.remove()
        legend = figure.legend(handles=[*values, *slopes, *marks], **place)
    _shrink(legend, figure.bbox.width)
    ratio = float(np.ptp(ax.get_ylim()) / np.ptp(ax.get_xlim())) if ax.get_aspect() == 1 else 0.6
    below = legend.get_window_extent().height / figure.dpi
    figure.set_size_inches(width, (width - 0.7) * ratio + below + 0.75)
    return ax


def _legend_with(ax: Axes, values: list[Artist], slopes: list[Artist], marks: list[Artist]) -> None:
    """A legend for axes that may be small: one entry for all derivatives."""
    lines = [line for line in values if isinstance(line, Line2D) and line.get_linestyle() != "None"]
    color = lines[0].get_color() if len(lines) == 1 else _ink(ax)
    dashed = [Line2D([], [], color=color, linestyle=(0, _DASHES), label="derivative")] if slopes else []
    look: dict[str, Any] = {"fontsize": "small", "framealpha": 0.8, "edgecolor": "none", "labelspacing": 0.3}
    # A flat picture has no room inside, but above: the equal scales keep it from filling its axes.
    flat = np.ptp(ax.get_ylim()) < 0.4 * np.ptp(ax.get_xlim())
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1)} if flat else {"loc": "best"}
    legend = ax.legend(handles=[*values, *dashed, *marks], handlelength=1.8, **look, **place)
    _shrink(legend, (0.9 if flat else 0.5) * ax.get_window_extent().width)


def _shrink(legend: Legend, width: float) -> None:
    """Make the text of a legend smaller if it is wider than that, but not too small to be read."""
    share = width / legend.get_window_extent().width
    if share < 1:
        for text in legend.get_texts():
            text.set_fontsize(max(5.0, float(text.get_fontsize()) * share))


# Formulas.

_NAMES = {
    "alpha": r"\alpha",
    "beta": r"\beta",
    "epsilon": r"\varepsilon",
    "lambd": r"\lambda",
    "pi": r"\pi",
    "inf": r"\infty",
}
_RELATIONS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Gt: ">",
    ast.Lt: "<",
    ast.GtE: r"\geq",
    ast.LtE: r"\leq",
    ast.Eq: "=",
    ast.NotEq: r"\neq",
}
_FUNCTIONS = {"max", "min", "tanh", "sinh", "cosh", "sin", "cos", "tan", "arctan", "log"}


def _mathtext(expression: str) -> str:
    """A formula of the catalogue in the TeX that matplotlib understands."""
    text, depth = "", 0
    for part in re.split(r"(\\frac|[{}])", _tex(ast.parse(expression, mode="eval").body)):
        depth += {"{": 1, "}": -1}.get(part, 0)
        text += r"\dfrac" if part == r"\frac" and depth == 0 else part  # large, but not within another one
    return text


def _escaped(text: str) -> str:
    return re.sub(r"([_#$%{}])", r"\\\1", text)


def _fenced(node: ast.expr) -> str:
    is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    return f"({_tex(node)})" if is_sum or isinstance(node, ast.UnaryOp | ast.IfExp | ast.Compare) else _tex(node)


def _tex(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=value):
            return repr(value)
        case ast.Name(id=name):
            return _NAMES.get(name, name if len(name) == 1 else rf"\mathit{{{_escaped(name)}}}")
        case ast.Starred(value=value):
            return f"{_tex(value)}_1, {_tex(value)}_2, \\ldots"
        case ast.Subscript(value=value, slice=ast.Slice(lower=ast.expr() as lower, upper=None)):
            return f"{_tex(value)}[{_tex(lower)}:]"
        case ast.Subscript(value=value, slice=index):
            return f"{_tex(value)}_{{{_tex(index)}}}"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"-{_fenced(operand)}"
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base = _tex(left) if isinstance(left, ast.Name | ast.Call) else f"({_tex(left)})"
            return f"{base}^{{{_tex(right)}}}"
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"\\frac{{{_tex(left)}}}{{{_tex(right)}}}"
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return f"{_tex(left) if isinstance(left, ast.UnaryOp) else _fenced(left)} \\cdot {_fenced(right)}"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _RELATIONS:
            return f"{_tex(left)} {_RELATIONS[type(op)]} {_fenced(right)}"
        case ast.Compare(left=left, ops=ops, comparators=comparators) if all(type(op) in _RELATIONS for op in ops):
            pairs = zip(ops, comparators, strict=True)
            return " ".join([_tex(left), *(f"{_RELATIONS[type(op)]} {_tex(right)}" for op, right in pairs)])
        case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp(elt=term, generators=[one])]):
            sign = r"\sum" if name == "sum" else rf"\{name}"
            return f"{sign}_{{{_tex(one.target)} \\in {_tex(one.iter)}}} {_fenced(term)}"
        case ast.Call(func=ast.Name(id="exp"), args=[argument]):
            return f"e^{{{_tex(argument)}}}"
        case ast.Call(func=ast.Name(id="abs"), args=[argument]):
            return f"|{_tex(argument)}|"
        case ast.Call(func=ast.Name(id="sqrt"), args=[argument]):
            return f"\\sqrt{{{_tex(argument)}}}"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            function = f"\\{name}" if name in _FUNCTIONS else rf"\mathrm{{{_escaped(name)}}}"
            return f"{function}({', '.join(map(_tex, arguments))})"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return rf"{_tex(body)}\ \mathrm{{if}}\ {_tex(test)}\ \mathrm{{else}}\ {_tex(orelse)}"
    return rf"\mathrm{{{_escaped(ast.unparse(node))}}}"
