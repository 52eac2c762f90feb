"""Bring README up to date: its tables from accuracy.json and docs/benchmark, its pictures from the library.

    python tools/figures.py

A table stands in README between two comments, of which the first names it. The documentation shows the same tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import rectified as rf
import sweep
from rectified import benchmark

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RUNS = tuple(ROOT / "docs" / "benchmark" / f"{name}.json" for name in ("in_cache", "in_memory"))
KNOWN = ("relu", "leaky_relu", "elu", "softplus", "gelu", "gelu_tanh", "silu", "mish", "sigmoid", "tanh")
KNOWN_OPERATIONS = ("value", "derivative", "backward")
STYLES = {"light": "default", "dark": "dark_background"}
"""Matplotlib's style for each background that a page may have."""


def measured() -> benchmark.Run:
    """The runs that the documentation shows, as one."""
    first, *others = (benchmark.Run.from_json(path.read_text(encoding="utf-8")) for path in RUNS)
    return replace(first, results=[result for run in (first, *others) for result in run.results])


def text(name: str) -> str:
    """A table of measured figures, or a line about them, in Markdown.

    Parameters
    ----------
    name : str
        ``"accuracy"``, ``"accuracy beside others"``, ``"accuracy of relu"``, ``"accuracy of relu beside others"``,
        ``"speed at 1000000"`` (elements), ``"overhead"`` or ``"conditions"``, under which the latter two were measured;
        after ``"known"`` a table has but the best known functions. ``"functions"`` are all, by category, and
        ``"accuracy in short"`` is the worst of those of one number.
    """
    if name == "functions":
        return functions()
    if name == "accuracy in short":
        return accuracy_in_short()
    if name.startswith("known "):
        head, rule, *rows = cells(text(name.removeprefix("known ")))
        return joined([head, rule, *(row for row in rows if row[0].strip("`") in KNOWN and row[1] in KNOWN_OPERATIONS)])
    what, _, which = re.sub(" (at|of|beside) ", " ", name).partition(" ")
    if what == "accuracy":
        return accuracy(which.removesuffix("others").strip(), which.endswith("others"))
    run = measured()
    if what == "speed":
        run = replace(run, results=[result for result in run.results if result.size == int(which)], overhead=[])
        return joined([*row[:2], *row[3:]] for row in cells(benchmark.markdown(run)))  # their number is in the name
    if what == "overhead":
        return joined(cells(benchmark.markdown(replace(run, results=[]))))
    return f"{benchmark.measured_on(run)}. In brackets the ratio to the limit: a copy (value) or a product (backward)."


def functions() -> str:
    """The functions of each category."""
    names = {category: rf.catalogue.of(category) for category in ("ridge", "radial", "fold")}
    rows = [[f"**{category}**", ", ".join(f"`{name}`" for name in found)] for category, found in names.items()]
    return joined([["category", "functions"], ["---", "---"], *rows])


def accuracy_in_short() -> str:
    """For each type the worst of all functions."""
    found = [
        (operation, dtype, figure)
        for by in sweep.recorded().values()
        for operation, of in by.items()
        for dtype, figure in of.items()
    ]
    rows = [["", "value", "derivative", "second derivative", "by a parameter"], ["---"] * 5]
    for dtype in sweep.DTYPES:
        worst = ["", "", "", ""]
        for place, kind in enumerate(("value", "derivative", "second_derivative", "derivative_wrt")):
            figures = [
                figure
                for operation, of, figure in found
                if of == dtype
                and "ulp" in figure
                and operation.partition("_wrt_")[0] + "_wrt" * ("_wrt_" in operation) == kind
            ]
            ulps = [figure["ulp"] for figure in figures]
            sampled = any(figure["stride"] not in (None, 1) for figure in figures)  # float64 always is
            worst[place] = f"{max(ulps)} ({len(ulps)} functions{', partly a sample' * sampled})" if ulps else ""
        rows.append([dtype, *worst])
    return joined(rows)


def broken() -> list[str]:
    """The figures that are larger than what is promised."""
    return [
        f"{name}, {operation}, {dtype}: {figure['ulp']} ULP, and {most} are promised"
        for name, by in sweep.recorded().items()
        for operation, of in by.items()
        for dtype, figure in of.items()
        if figure.get("ulp", 0) > (most := sweep.claimed(name, operation, dtype))
    ]


def accuracy(function: str, beside_others: bool) -> str:
    """All types of this library, or float32 beside other libraries; of one function, or of all."""
    head, rule, *rows = cells(sweep.markdown())
    ours = [head.index(dtype) for dtype in sweep.DTYPES if dtype in head]
    others = [column for column in range(2, len(head)) if column not in ours]
    rows = [row for row in rows if function in ("", row[0].strip("`"))]
    if beside_others:
        rows = [row for row in rows if any(row[column] for column in others)]
        ours = [head.index("float32")]
        head = [title.replace("float32", "rectified").removesuffix(", rectified") for title in head]
    columns = [0, 1, *ours, *(column for column in others if beside_others and any(row[column] for row in rows))]
    return joined([row[column] for column in columns if column or not function] for row in [head, rule, *rows])


def cells(markdown: str) -> list[list[str]]:
    """The table in a text, by rows."""
    rows = [row for row in markdown.splitlines() if row.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def joined(rows: Iterable[list[str]]) -> str:
    """A table from its rows."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_tables(readme: str) -> str:
    """README with its tables as they should be."""
    table = re.compile(r"(<!-- ((?!end)[^\n]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
    return table.sub(lambda found: f"{found[1]}\n{text(found[2])}\n\n", readme)


def draw(name: str, *activations: rf.Activation, folder: Path, surface: bool = False) -> None:
    """Save a picture, of curves or of a surface, twice, as ``name-light.svg`` and ``name-dark.svg`` for such pages."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    for background, style in STYLES.items():
        with plt.style.context([style, {"svg.hashsalt": name}]):  # the same picture gives the same file
            rf.plot_surface(*activations) if surface else rf.plot(*activations)
            plt.savefig(folder / f"{name}-{background}.svg", transparent=True, metadata={"Date": None})
            plt.close()


if __name__ == "__main__":
    if promises := broken():
        raise SystemExit("\n".join(["accuracy.json breaks promises, and nothing was written:", *promises]))
    draw("relu", rf.relu, rf.leaky_relu.bind(slope=0.2), folder=ROOT / "docs" / "_static")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {README.name} and its pictures")
