"""Bring README up to date: its tables from accuracy.json and docs/benchmark.json, its pictures from the library.

    python tools/figures.py

A table stands in README between two comments, of which the first names it. The documentation shows the same tables.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import rectified as rf
import sweep
from rectified import benchmark

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
STYLES = {"light": "default", "dark": "dark_background"}
"""Matplotlib's style for each background that a page may have."""


def measured() -> benchmark.Run:
    """The run that the documentation shows."""
    return benchmark.Run.from_json((ROOT / "docs" / "benchmark.json").read_text(encoding="utf-8"))


def text(name: str) -> str:
    """A table of measured figures, or a line about them, in Markdown.

    Parameters
    ----------
    name : str
        ``"accuracy"``, ``"accuracy of relu"``, ``"speed at 1000000"`` (elements), ``"overhead"`` or ``"conditions"``, under
        which the latter two were measured.
    """
    what, _, which = re.sub(" (at|of) ", " ", name).partition(" ")
    if what == "accuracy":
        head, rule, *rows = sweep.markdown().splitlines()
        return "\n".join([head, rule, *(row for row in rows if not which or row.startswith(f"| `{which}` |"))])
    run = measured()
    if what == "speed":
        run = replace(run, results=[result for result in run.results if result.size == int(which)], overhead=[])
        lines = [row.split(" | ") for row in benchmark.markdown(run).splitlines() if row.startswith("|")]
        return "\n".join(" | ".join([*row[:2], *row[3:]]) for row in lines)  # their number is in the name
    if what == "overhead":
        return benchmark.markdown(replace(run, results=[])).partition("\n\n")[0]
    return f"{benchmark.measured_on(run)}. In brackets the ratio to the limit: a copy (value) or a product (backward)."


def with_tables(readme: str) -> str:
    """README with its tables as they should be."""
    table = re.compile(r"(<!-- ((?!end)[^\n]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
    return table.sub(lambda found: f"{found[1]}\n{text(found[2])}\n\n", readme)


def draw(name: str, *activations: rf.Activation, folder: Path) -> None:
    """Save a picture twice, for a light and for a dark page, as ``name-light.svg`` and ``name-dark.svg``."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    for background, style in STYLES.items():
        with plt.style.context([style, {"svg.hashsalt": name}]):  # the same picture gives the same file
            rf.plot(*activations)
            plt.savefig(folder / f"{name}-{background}.svg", transparent=True, metadata={"Date": None})
            plt.close()


if __name__ == "__main__":
    draw("relu", rf.relu, rf.leaky_relu.bind(slope=0.2), folder=ROOT / "docs" / "_static")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {README.name} and its pictures")
