"""Directives for tables that are read from the library and from its measurements."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive
from markup import table

import figures
import rectified as rf

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Measured(Directive):
    """A table of measured figures, by the name that `figures.text` knows it under."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        for source in (figures.ROOT / "accuracy.json", *figures.RUNS):
            self.state.document.settings.env.note_dependency(str(source))
        self.state_machine.insert_input(translated(figures.text(self.arguments[0])), __file__)
        return []


def translated(markdown: str) -> list[str]:
    """Tables and paragraphs of Markdown in reStructuredText."""
    lines: list[str] = []
    for block in markdown.replace("`", "``").split("\n\n"):
        if block.startswith("|"):
            head, _, *rows = figures.cells(block)
            rows = [[short(cell, title) for cell, title in zip(row, head, strict=True)] for row in rows]
            lines += table([head, *rows], css="measured" if head[1] in ("", "operation") else "measured one-label")
        else:
            lines += [*block.splitlines(), ""]
    return lines


def short(cell: str, title: str) -> str:
    """A time does not part from its unit, and the limit is 1 by itself."""
    cell = re.sub(r" (?=[nµm]?s\b)", "\u00a0", cell)
    return cell.removesuffix(" (1.00×)") if title == "limit" else cell


class CompiledUfuncs(Directive):
    """Every ufunc with the number of its inputs."""

    def run(self) -> list[nodes.Node]:
        ufuncs = {name: found for name, found in vars(rf.ufuncs).items() if isinstance(found, np.ufunc) and name[0] != "_"}
        rows = [[f"``{name}``", str(found.nin), found.signature or "element by element"] for name, found in ufuncs.items()]
        self.state_machine.insert_input(table([["Ufunc", "Inputs", "Works"], *rows]), __file__)
        return []


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("measured", Measured)
    app.add_directive("compiled-ufuncs", CompiledUfuncs)
    return {"parallel_read_safe": True}
