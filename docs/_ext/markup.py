"""Pieces of reStructuredText."""

from __future__ import annotations

from collections.abc import Sequence


def heading(text: str, underline: str) -> list[str]:
    return [text, underline * len(text), ""]


def table(cells: Sequence[Sequence[str]], css: str = "") -> list[str]:
    """A list table; the first row is its head."""
    lines = [".. list-table::", "   :header-rows: 1"]
    lines += [f"   :class: {css}"] if css else []
    lines.append("")
    for row in cells:
        lines += [f"   {'*' if place == 0 else ' '} - {cell}" for place, cell in enumerate(row)]
    return [*lines, ""]


def picture(path: str, description: str) -> list[str]:
    """A picture that is there twice, for a light and for a dark page."""
    lines = []
    for background in ("light", "dark"):
        lines += [f".. image:: {path}-{background}.svg", f"   :alt: {description}"]
        lines += [f"   :class: only-{background}", "   :align: center", ""]
    return lines
