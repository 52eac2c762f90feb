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
    """What differs, for the layers that both reports have.

    Raises
    ------
    ValueError
        Where a layer has another number of units.
    """
    earlier = {verdict.layer.name: verdict for verdict in before.layers}
    for verdict in after.layers:
        name = verdict.layer.name
        if name not in earlier:
            continue
        if earlier[name].layer.units != verdict.layer.units:
            raise ValueError(
                f"{name} has {earlier[name].layer.units} units in one file and {verdict.layer.units} in the other"
            )
        for state in (DEAD, SATURATED, LINEAR):
            then, now = earlier[name].state == state, verdict.state == state
            entered, left = np.flatnonzero(now & ~then).tolist(), np.flatnonzero(then & ~now).tolist()
            if entered or left:
                yield Change(name, STATES[state], entered, left)


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
    lines = lines or ["no unit has changed its state"]
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
            "only_before": [name for name in names[0] if name not in names[1]],
            "only_after": [name for name in names[1] if name not in names[0]],
        }
    )
