"""What became of a network's units between two reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rectified.health.report import FORMAT, Report, ranges
from rectified.health.text import printable
from rectified.health.verdict import DEAD, LINEAR, SATURATED, STATES


class Change(NamedTuple):
    """The units of a layer that came into a state, and those that left it."""

    layer: str
    state: str
    entered: list[int]
    left: list[int]


def changes(before: Report, after: Report) -> Iterator[Change]:
    """What differs, for the layers that both reports have, with as many units."""
    earlier = {verdict.layer.name: verdict for verdict in before.layers}
    for verdict in after.layers:
        name = verdict.layer.name
        if name not in earlier or earlier[name].layer.units != verdict.layer.units:
            continue
        for state in (DEAD, SATURATED, LINEAR):
            then, now = earlier[name].state == state, verdict.state == state
            entered, left = np.flatnonzero(now & ~then).tolist(), np.flatnonzero(then & ~now).tolist()
            if entered or left:
                yield Change(name, STATES[state], entered, left)


class Resized(NamedTuple):
    """A layer whose units can not be compared, and how many there are in each report."""

    layer: str
    before: int
    after: int


def resized(before: Report, after: Report) -> list[Resized]:
    """The layers that have another number of units."""
    earlier = {verdict.layer.name: verdict.layer.units for verdict in before.layers}
    both = [verdict.layer for verdict in after.layers if verdict.layer.name in earlier]
    return [Resized(each.name, earlier[each.name], each.units) for each in both if earlier[each.name] != each.units]


def as_text(before: Report, after: Report) -> str:
    """The difference for a terminal."""
    words = {
        "dead": ("died", "came back"),
        "saturated": ("saturated", "left saturation"),
        "linear": ("linear", "bent again"),
    }
    lines = []
    for name, state, entered, left in changes(before, after):
        told = zip(words[state], (entered, left), strict=True)
        lines += [f"{name}: {word}: {ranges(units)}" for word, units in told if units]
    others = resized(before, after)
    lines = lines or [f"no unit has changed its state{' in the other layers' if others else ''}"]
    lines += [f"{name}: not compared: {then} units in the first file, {now} in the second" for name, then, now in others]
    for one, other, where in ((before, after, "first"), (after, before, "second")):
        names = {verdict.layer.name for verdict in other.layers}
        lines += [f"{v.layer.name}: only in the {where} file" for v in one.layers if v.layer.name not in names]
    return "\n".join(map(printable, lines))


def as_json(before: Report, after: Report) -> str:
    """The difference as JSON, of the form that the documentation describes."""
    names = [[verdict.layer.name for verdict in report.layers] for report in (before, after)]
    return json.dumps(
        {
            "format": FORMAT,
            "changes": [change._asdict() for change in changes(before, after)],
            "not_compared": [each._asdict() for each in resized(before, after)],
            "only_before": [name for name in names[0] if name not in names[1]],
            "only_after": [name for name in names[1] if name not in names[0]],
        }
    )
