"""The pictures, compared by their data."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

import rectified as rf
from rectified.activation import Activation
from rectified.plotting import SATURATED, svg

RIDGES = list(rf.catalogue.of("ridge").values())


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    import matplotlib.pyplot as plt

    backend = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


class Drawn(Activation):
    """A row that the catalogue does not have."""

    category = "ridge"

    def __init__(self, name: str, value: Any, derivative: Any, **row: Any) -> None:
        self._drawn = (value, derivative)
        super().__init__(name, summary="", reference="", range=(-np.inf, np.inf), **row)

    def __call__(self, x: Any) -> Any:
        return self._drawn[0](np.asarray(x))

    def derivative(self, x: Any) -> Any:
        return self._drawn[1](np.asarray(x))


HARDTANH = Drawn(
    "hardtanh",
    lambda x: np.clip(x, -1, 1),
    lambda x: np.where(abs(x) < 1, 1.0, 0.0),
    formula="max(-1, min(1, x))",
    derivative_formula="1 if abs(x) < 1 else 0",
    kink_formulas=("-1", "1"),
)


def axes(**size: Any) -> Axes:
    return Figure(**size).subplots()


def figure_of(ax: Axes) -> Any:
    return ax.figure


def curves(ax: Axes, *, dashed: bool = False) -> list[Line2D]:
    return [line for line in ax.lines if np.size(line.get_xdata()) > 100 and (line.is_dashed() == dashed)]


def points(line: Line2D) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def dots(ax: Axes) -> dict[str, set[tuple[float, float]]]:
    """Where the full and the open dots are."""
    found: dict[str, set[tuple[float, float]]] = {"full": set(), "open": set()}
    for line in ax.lines:
        if line.get_marker() == "o":
            full = to_rgb(line.get_markerfacecolor()) == to_rgb(line.get_color())
            found["full" if full else "open"] |= {(float(x), float(y)) for x, y in zip(*points(line), strict=True)}
    return found


def bars(ax: Axes) -> list[list[tuple[float, float]]]:
    return [list(zip(*(p.tolist() for p in points(line)), strict=True)) for line in ax.lines if line.get_linewidth() == 5]


def spans(ax: Axes) -> list[tuple[float, float]]:
    return [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches if isinstance(p, Rectangle)]


def legend(ax: Axes) -> list[str]:
    found = ax.get_legend() or next(iter(ax.figure.legends))
    assert isinstance(found, Legend)
    return [text.get_text() for text in found.get_texts() if text.get_text().strip()]


def overlap(one: Any, other: Any) -> bool:
    return bool(one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1)


@pytest.mark.parametrize("found", RIDGES, ids=lambda found: found.name)
def test_the_lines_are_the_function_and_its_derivative(found: Any) -> None:
    ax = rf.plot(found, ax=axes())
    for function, dashed in ((found, False), (found.derivative, True)):
        (line,) = curves(ax, dashed=dashed)
        x, y = points(line)
        apart = np.isfinite(x) & ~np.isin(x, found.kinks)
        np.testing.assert_array_equal(y[apart], function(x[apart]))
        assert (x[0], x[-1]) == ax.get_xlim()


def test_value_and_derivative_have_one_colour_and_functions_have_different_ones() -> None:
    ax = rf.plot(rf.relu, rf.sigmoid, rf.tanh, ax=axes())
    colors = [line.get_color() for line in curves(ax)]
    assert colors == [line.get_color() for line in curves(ax, dashed=True)]
    assert len(set(colors)) == 3


def test_the_derivative_breaks_at_a_kink_and_the_value_does_not() -> None:
    ax = rf.plot(rf.relu, ax=axes())
    x, y = points(curves(ax, dashed=True)[0])
    (gap,) = np.flatnonzero(np.isnan(y))
    assert (x[gap - 1], y[gap - 1], x[gap + 1], y[gap + 1]) == (0, 0, 0, 1)
    assert not np.isnan(points(curves(ax)[0])[1]).any()


@pytest.mark.parametrize(
    ("found", "sides"),
    [
        (rf.relu, {0: (0, 1)}),
        (rf.leaky_relu.bind(slope=0.2), {0: (0.2, 1)}),
        (rf.leaky_relu.bind(slope=-1.0), {0: (-1, 1)}),
        (HARDTANH, {-1: (0, 1), 1: (1, 0)}),
        (rf.leaky_relu.bind(slope=1.0), {}),
        (rf.sigmoid, {}),
    ],
    ids=lambda value: value.signature if isinstance(value, Activation) else "",
)
def test_kinks_are_marked_with_their_subdifferential(found: Any, sides: dict[float, tuple[float, float]]) -> None:
    ax = rf.plot(found, ax=axes())
    assert bars(ax) == [[(kink, left), (kink, right)] for kink, (left, right) in sides.items()]
    full = {(kink, float(found.derivative(kink))) for kink in sides}
    assert dots(ax) == {"full": full, "open": {(kink, side) for kink in sides for side in sides[kink]} - full}


def test_without_derivative_only_the_values_and_their_kinks_are_drawn() -> None:
    ax = rf.plot(HARDTANH, derivative=False, ax=axes())
    assert not curves(ax, dashed=True)
    assert not spans(ax)
    assert dots(ax) == {"full": {(-1, -1), (1, 1)}, "open": set()}


def test_a_dead_zone_is_shaded_and_named() -> None:
    ax = rf.plot(rf.relu, ax=axes())
    assert spans(ax) == [(-4, 0)]
    assert "dead zone: the derivative is 0" in legend(ax)
    assert sorted(spans(rf.plot(HARDTANH, ax=axes()))) == [(-4, -1), (1, 4)]


@pytest.mark.parametrize("found", [rf.sigmoid, rf.tanh], ids=lambda found: found.name)
def test_saturation_is_shaded_and_named_and_in_sight(found: Any) -> None:
    ax = rf.plot(found, ax=axes())
    (left, end), (start, right) = sorted(spans(ax))
    assert (left, right) == ax.get_xlim()
    limit = SATURATED * found.derivative(0.0)
    step = 0.02
    assert found.derivative(start) < limit < found.derivative(start - step)
    assert found.derivative(end) < limit < found.derivative(end + step)
    assert any(text.startswith("saturated") for text in legend(ax))
    assert not any("dead" in text for text in legend(ax))


def test_what_neither_dies_nor_saturates_is_not_shaded() -> None:
    assert not spans(rf.plot(rf.leaky_relu, ax=axes()))
    square = Drawn("square", lambda x: x**2, lambda x: 2 * x, formula="x**2", derivative_formula="2 * x")
    assert not spans(rf.plot(square, ax=axes())), "a derivative that passes through zero"


def test_shades_of_several_functions_do_not_overlap() -> None:
    ax = rf.plot(rf.relu, rf.sigmoid, rf.tanh, ax=axes())
    boxes = [patch.get_window_extent() for patch in ax.patches]
    assert len(boxes) == 5
    assert not any(overlap(one, other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_a_slope_of_one_looks_like_one() -> None:
    for ax in (rf.plot(rf.relu), rf.plot(rf.sigmoid, ax=axes(figsize=(9, 2)))):
        figure_of(ax).draw_without_rendering()
        (x0, y0), (x1, y1) = ax.transData.transform([(0, 0), (1, 1)])
        assert x1 - x0 == pytest.approx(y1 - y0)


def test_the_window_shows_the_kinks_and_all_of_the_curve() -> None:
    relu6 = Drawn(
        "relu6",
        lambda x: np.clip(x, 0, 6),
        lambda x: np.where((x > 0) & (x < 6), 1.0, 0.0),
        formula="min(max(0, x), 6)",
        derivative_formula="1 if 0 < x < 6 else 0",
        kink_formulas=("0", "6"),
    )
    ax = rf.plot(relu6, ax=axes())
    assert ax.get_xlim() == (-4, 8)
    assert ax.get_ylim()[0] < 0
    assert ax.get_ylim()[1] > 6
    assert rf.plot(rf.relu, ax=axes()).get_xlim() == (-4, 4)
    assert rf.plot(rf.relu, xlim=(-1, 20), ax=axes()).get_ylim()[1] > 20


@pytest.mark.parametrize(
    ("found", "kink", "low", "high"),
    [
        (rf.hardshrink.bind(lambd=20), 20, -20, 20),
        (rf.thresholded_relu.bind(alpha=20), 20, 0, 20),
        (rf.thresholded_relu.bind(alpha=-20), -20, -20, 0),
        (rf.threshold.bind(threshold=20, value=-30), 20, -30, 20),
        (rf.hardtanh.bind(min_val=-1e3, max_val=1e3), 1e3, -1e3, 1e3),
        (rf.elu.bind(alpha=50), 0, -49, 50),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_large_parameters_stay_in_sight(found: rf.Ridge, kink: float, low: float, high: float) -> None:
    """The values beside the jumps, and those that a function saturates at; and more than a strip beside a kink."""
    ax = rf.plot(found, ax=axes())
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert bottom < low <= high < top
    beside = 0.08 * (right - left)
    assert left + beside < kink < right - beside


def test_formula_and_parameters_stand_in_the_legend() -> None:
    texts = legend(rf.plot(rf.leaky_relu.bind(slope=0.2), rf.sigmoid))
    assert r"leaky_relu(x, slope=0.2) = $x\ \mathrm{if}\ x > 0\ \mathrm{else}\ \mathit{slope} \cdot x$" in texts
    assert r"sigmoid(x) = $\dfrac{1}{1 + e^{-x}}$" in texts
    assert r"sigmoid$^\prime$(x) = $\dfrac{e^{-x}}{(1 + e^{-x})^{2}}$" in texts


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("1 - (x - 1)", "1 - (x - 1)"),
        ("(x + 1) * -x", r"(x + 1) \cdot (-x)"),
        (
            "alpha * sqrt(abs(x)) if x <= lambd else inf",
            r"\alpha \cdot \sqrt{|x|}\ \mathrm{if}\ x \leq \lambda\ \mathrm{else}\ \infty",
        ),
        ("x / (1 + x / 2)", r"\dfrac{x}{1 + \frac{x}{2}}"),
        ("my_max(*x)", r"\mathrm{my\_max}(x_1, x_2, \ldots)"),
        ("x.index(0)", r"\mathrm{x.index(0)}"),
    ],
)
def test_formulas_are_set_as_mathematics(formula: str, shown: str) -> None:
    found = Drawn("f", lambda x: x, lambda x: x * 0 + 1.0, formula=formula, derivative_formula="1")
    ax = rf.plot(found, ax=axes())
    assert legend(ax)[0] == f"f(x) = ${shown}$"
    figure_of(ax).draw_without_rendering()  # matplotlib understands it


@pytest.mark.parametrize("found", rf.catalogue.values(), ids=lambda found: found.name)
def test_everything_in_the_catalogue_is_drawn_within_its_figure(found: Activation) -> None:
    ax = rf.plot(found)
    figure = figure_of(ax)
    figure.draw_without_rendering()
    (key,) = figure.legends
    assert ax.get_window_extent().width > 0.8 * figure.bbox.width
    assert not overlap(ax.get_tightbbox(), key.get_window_extent())
    for box in (ax.get_tightbbox(), key.get_window_extent()):
        assert box is not None
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1 + 1


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_fold_is_drawn_as_sections(pieces: int) -> None:
    ax = rf.plot(rf.maxout.bind(pieces=pieces), ax=axes())
    others = (-1.0, 0.0, 1.0) if pieces > 1 else (-np.inf,)
    lines = curves(ax)
    assert len(lines) == len(others)
    for line, other in zip(lines, others, strict=True):
        x, y = points(line)
        np.testing.assert_array_equal(y, np.maximum(x, other))
    full = {(other, 1.0) for other in others if pieces > 1}
    assert dots(ax) == {"full": full, "open": {(other, 0.0) for other, _ in full}}
    assert sorted(spans(ax)) == [(-4, other) for other in others if pieces > 1]
    assert not any("dead" in text for text in legend(ax)), "another member of the group has the gradient"


def test_colours_stand_out_from_light_and_dark() -> None:
    def luminance(color: Any) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    seen: dict[str, list[float]] = {}
    for style, ground in (("default", "white"), ("dark_background", "black")):
        with mpl.style.context(style):
            ax = rf.plot(rf.relu, rf.tanh, rf.sigmoid, ax=axes())
        seen[ground] = [luminance(line.get_color()) for line in curves(ax)]
        for color in seen[ground]:
            low, high = sorted([color, luminance(ground)])
            assert (high + 0.05) / (low + 0.05) >= 3, "the least contrast for graphics in WCAG 2.2"
    assert min(seen["black"]) > max(seen["white"])


def test_pyplot_is_left_alone_when_axes_are_given() -> None:
    import matplotlib.pyplot as plt

    settings = dict(mpl.rcParams)
    ax = axes()
    assert rf.plot(rf.relu, ax=ax) is ax
    svg(rf.relu)
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings


def test_without_axes_the_figure_is_pyplots() -> None:
    import matplotlib.pyplot as plt

    assert rf.relu.plot().figure is plt.gcf()


@pytest.mark.parametrize("found", rf.catalogue.values(), ids=lambda found: found.name)
def test_svg_is_one_element_that_needs_nothing_else(found: Activation) -> None:
    pictures = [svg(found), svg(found)]
    page = ElementTree.fromstring(f"<div>{''.join(pictures)}</div>")
    assert [child.tag for child in page] == ["{http://www.w3.org/2000/svg}svg"] * 2
    ids = [element.attrib["id"] for element in page.iter() if "id" in element.attrib]
    assert ids
    assert len(ids) == len(set(ids))
    for picture in pictures:
        used = set(re.findall(r'href="([^"]*)"|url\(([^)]*)\)', picture))
        assert used
        assert {one or other for one, other in used} <= {f"#{name}" for name in ids}
        assert not re.search(r"<style|<script|<image|<\?xml|<!DOCTYPE", picture)
    assert found._repr_html_().count("<svg") == 1


def test_a_function_whose_parameter_is_an_array_shows_itself_without_a_picture() -> None:
    assert "<svg" not in rf.leaky_relu.bind(slope=np.array([0.1, 0.2]))._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        ((), {}, TypeError, r"needs a function to draw, such as rectified\.plot\(rectified\.relu\)"),
        (("relu",), {}, TypeError, r"such as rectified\.relu, not 'relu'"),
        ((rf.leaky_relu.bind(slope=np.array([0.1, 0.2])),), {}, ValueError, r"needs a number for slope"),
        ((rf.relu,), {"xlim": (4, -4)}, ValueError, r"such as \(-4, 4\), not \(4, -4\)"),
        ((rf.relu,), {"xlim": 4}, ValueError, r"not 4"),
        ((rf.relu,), {"xlim": (0, np.inf)}, ValueError, r"xlim is two numbers"),
        ((rf.relu,), {"ax": 3}, TypeError, r"^ax is an Axes of matplotlib, such as plt\.gca\(\), not 3$"),
    ],
)
def test_bad_input_gives_one_clear_line(arguments: Any, keywords: Any, error: type[Exception], message: str) -> None:
    import matplotlib.pyplot as plt

    with pytest.raises(error, match=message) as caught:
        rf.plot(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    assert plt.get_fignums() == []


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_a_surface_shows_all_of_its_labels() -> None:
    ax = rf.plot_surface(rf.crelu, ax=axes())
    labels = [text for text in ax.texts if text.get_text()]
    assert labels
    assert not any(text.get_clip_on() for text in labels)


@pytest.mark.parametrize(
    ("found", "keywords", "error", "message"),
    [
        (3, {}, TypeError, r"^plot draws functions of rectified\.catalogue, such as rectified\.relu, not 3$"),
        (rf.maxout, {"ax": 3}, TypeError, r"^ax is an Axes of matplotlib, such as plt\.gca\(\), not 3$"),
        (rf.maxout, {"limit": np.nan}, ValueError, r"^limit is a positive number, not nan$"),
        (rf.maxout, {"limit": 0}, ValueError, r"^limit is a positive number, not 0$"),
        (rf.gaussian.bind(epsilon=np.ones(2)), {}, ValueError, r"^gaussian: plot needs a number for epsilon"),
    ],
)
def test_bad_input_of_a_surface_gives_one_clear_line(
    found: Any, keywords: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rf.plot_surface(found, **keywords)


def test_a_flat_surface_has_levels_that_can_be_read() -> None:
    ax = rf.plot_surface(rf.gaussian.bind(epsilon=0.0), ax=axes())
    levels: Any = ax.collections[0].levels  # type: ignore[attr-defined]
    assert np.diff(levels).min() > 0.01


def test_a_folds_derivatives_are_told_apart_and_small_axes_explain_kinks() -> None:
    texts = legend(rf.plot(rf.maxout))
    assert len(texts) == len(set(texts))
    ax = rf.plot(rf.relu, ax=axes())
    assert any(text.startswith("kink") for text in legend(ax))
    found: Any = ax.get_legend()
    (dashed,) = [line for line in found.get_lines() if line.get_label() == "derivative"]
    assert dashed.get_color() == curves(ax)[0].get_color()


def test_a_strict_errstate_changes_nothing() -> None:
    with np.errstate(all="raise"):
        rf.relu.plot()
        rf.plot_surface(rf.softmax)
        assert "<svg" in rf.relu._repr_html_()


def test_importing_the_library_does_not_import_matplotlib() -> None:
    run("import sys, rectified; assert 'matplotlib' not in sys.modules")


def test_drawing_on_axes_does_not_import_pyplot() -> None:
    run("""
        import sys, rectified as rf
        from matplotlib.figure import Figure
        rf.plot(rf.relu, ax=Figure().subplots())
        rf.relu._repr_html_()
        assert "matplotlib.pyplot" not in sys.modules
    """)


def test_without_matplotlib_the_error_names_the_extra() -> None:
    run("""
        import sys
        sys.modules["matplotlib"] = None
        import rectified as rf
        for draw in (lambda: rf.plot(rf.relu), rf.relu.plot):
            try:
                draw()
            except ImportError as error:
                assert str(error) == 'the pictures need matplotlib: pip install "rectified[plot]"'
            else:
                raise AssertionError("no error")
        assert "<math>" in rf.relu._repr_html_()
    """)
