"""The report as text for a terminal, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from textwrap import wrap
from unicodedata import category, east_asian_width, normalize

import numpy as np
from numpy.typing import NDArray

from rectified.health.report import Count, Report, count, percent, ranges
from rectified.health.verdict import DEAD, LINEAR, SATURATED, STATES, UNSEEN, Verdict

_HEADINGS = ("layer", "function", "units", "samples", "steps", "dead", "saturated", "linear", "alive", "which")
_TEXTS = (0, 1, 9)  # the other columns are numbers
_NARROWEST = 12  # a column of names
_MOST_RANGES = 20
_MOST_STEPS = 4
_LINEAR = "linear: can learn, but does not bend: its slope is the same for all samples"


def as_text(report: Report, width: int | None = None) -> str:
    """The report for a terminal.

    Parameters
    ----------
    report : Report
        What to show.
    width : int, optional
        How wide the terminal is; by default lines are as long as they are.

    Returns
    -------
    str
    """
    rows = [_HEADINGS, *_rows(report), _total(report)]
    widths = [max(columns(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    if width:
        widths[0] = min(widths[0], max(_NARROWEST, width - sum(widths[1:]) - 2 * len(widths[1:])))
    left = sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        name, *cells, last = row
        name, *more = (wrap(name, widths[0]) if width else []) or [name]
        which = last.split("\n")
        first = "  ".join(
            _filled(cell, size) if column in _TEXTS else cell.rjust(size)
            for column, (cell, size) in enumerate(zip([name, *cells], widths, strict=True))
        )
        if width and width < left + 30:  # there is room below
            below = which if row is not _HEADINGS else []
            lines += [first, *more, *(f"  {part}" for line in below for part in wrap(line, max(20, width - 2)))]
            continue
        folded = [part for line in which for part in (wrap(line, width - left) if width else [line])]
        lines += [
            f"{_filled(start, left)}{part}".rstrip() for start, part in zip_longest([first, *more], folded, fillvalue="")
        ]
    lines.insert(1, "-" * max(map(columns, lines)))
    lines.insert(-1, lines[1])
    if report.totals.linear:
        lines += ["", *(wrap(_LINEAR, width) if width else [_LINEAR])]
    for title, items in _sections(report):
        lines += ["", title, *(f"  {printable(item)}" for item in items)]
    return "\n".join([f"{report.mode} mode", "", *lines])


def as_markdown(report: Report) -> str:
    """The report in GitHub's Markdown."""
    rows = [_HEADINGS, tuple("---" if column in _TEXTS else "--:" for column in range(len(_HEADINGS)))]
    total = f"total in {report.mode} mode", *_total(report)[1:]
    rows += [tuple("<br>".join(map(_escaped, cell.split("\n"))) for cell in row) for row in (*_rows(report), total)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if report.totals.linear:
        lines += ["", _LINEAR]
    for title, items in _sections(report):
        lines += ["", f"**{title}**", "", *(f"- {_escaped(item)}" for item in items)]
    return "\n".join(lines)


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    for verdict in report.layers:
        layer, total = verdict.layer, verdict.history.total
        function = ", ".join([layer.function, *(f"{name}={value:g}" for name, value in layer.parameters.items())])
        seen = f"{total.samples:,}", f"{total.steps[0]}-{total.steps[1]}"
        yield (
            printable(layer.name),
            function,
            f"{layer.units:,}",
            *seen,
            *_counts(count(verdict)),
            "\n".join(_which(verdict)),
        )


def _total(report: Report) -> tuple[str, ...]:
    totals = report.totals
    return "total", "", f"{totals.units:,}", "", "", *_counts(totals), ""


def _counts(counted: Count) -> tuple[str, ...]:
    return f"{counted.dead:,}", f"{counted.saturated:,}", f"{counted.linear:,}", percent(counted.alive_percent)


def _sections(report: Report) -> Iterator[tuple[str, list[str]]]:
    if report.findings:
        yield "findings", [f"{found.layer}: {found.message} ({found.kind})" for found in report.findings]
    if report.notes:
        yield "notes", list(report.notes)


def _which(verdict: Verdict) -> Iterator[str]:
    """Which units are in which state, and since when."""
    for state in (DEAD, SATURATED, LINEAR):
        units = verdict.of(state)
        from_start = verdict.from_start[units]
        if from_start.any():
            yield f"{STATES[state]} from the start: {_short(units[from_start])}"
        units = units[~from_start]
        since = np.unique(verdict.since[units])
        for step in since if len(since) <= _MOST_STEPS else ():
            yield f"{STATES[state]} since step {step}: {_short(units[verdict.since[units] == step])}"
        if len(since) > _MOST_STEPS:
            yield f"{STATES[state]} since steps {since[0]} to {since[-1]}: {_short(units)}"
    unseen = verdict.of(UNSEEN)
    if unseen.size:
        yield f"each batch had NaN: {_short(unseen)}"
    back = np.flatnonzero((verdict.came_back >= 0) & (verdict.state != DEAD))
    if back.size:
        yield f"died and came back: {_short(back)}"


def _short(units: NDArray[np.int64]) -> str:
    parts = ranges(units.tolist()).split(", ")
    more = f", and {len(parts) - _MOST_RANGES} more ranges" if len(parts) > _MOST_RANGES else ""
    return ", ".join(parts[:_MOST_RANGES]) + more


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: wide letters take two, marks on a letter none.

    Examples
    --------
    >>> columns("net"), columns("网络"), columns("ne\N{COMBINING ACUTE ACCENT}t")
    (3, 4, 3)
    """
    return sum(_columns(letter) for letter in normalize("NFC", text))


def _columns(letter: str) -> int:
    if category(letter) in ("Mn", "Me"):
        return 0
    return 2 if east_asian_width(letter) in "WF" else 1


def _filled(text: str, size: int) -> str:
    return text + " " * (size - columns(text))


def printable(text: str) -> str:
    """Text whose control characters do nothing to a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#&~$])", r"\\\1", printable(text))
