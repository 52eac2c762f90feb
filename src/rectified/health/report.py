"""The report about a network: verdicts, findings, totals, and their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from html import escape
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rectified.health.findings import Finding, find
from rectified.health.record import Layer, Mode, Run
from rectified.health.verdict import ALIVE, DEAD, LINEAR, RULE, SATURATED, UNSEEN, Rule, Verdict, judge

FORMAT = 1
_MOST_NAMES = 10
_USE = re.compile(r" \(use (\d+)\)")


class Count(NamedTuple):
    """How many units there are, and how many are in which state."""

    units: int
    dead: int
    saturated: int
    linear: int
    unseen: int

    @property
    def alive(self) -> int:
        """Those that can learn, and that bend."""
        return self.units - self.dead - self.saturated - self.linear - self.unseen

    @property
    def alive_percent(self) -> float | None:
        """Of those that saw anything; None where none did."""
        known = self.units - self.unseen
        return 100 * self.alive / known if known else None


@dataclass(frozen=True)
class Report:
    """What is known of the units of a network.

    Attributes
    ----------
    mode : {"train", "eval"}
        Which evidence it is from.
    rule : Rule
        The thresholds.
    layers : sequence of Verdict
        In the order in which they were executed first.
    findings : sequence of Finding
        What is wrong with the network as a whole.
    notes : sequence of str
        What could not be seen.
    """

    mode: Mode
    rule: Rule
    layers: Sequence[Verdict]
    findings: Sequence[Finding]
    notes: Sequence[str]

    @classmethod
    def of(cls, runs: Iterable[Run], mode: Mode | None = None, rule: Rule = RULE) -> Report:
        """Judge what runs of one network saw.

        Parameters
        ----------
        runs : iterable of Run
            A unit is dead if it is dead in all of them.
        mode : {"train", "eval"}, optional
            Which evidence counts; by default that of training, if there is any.
        rule : Rule
            The thresholds.

        Raises
        ------
        ValueError
            Where a layer has not the same units or function in all runs, or where there is no such mode.
        """
        if mode not in (None, "train", "eval"):
            raise ValueError(f"a mode is 'train' or 'eval', not {mode!r}")
        runs = list(runs)
        layers: dict[str, list[Layer]] = {}
        for layer in (layer for run in runs for layer in run.layers.values()):
            layers.setdefault(layer.name, []).append(layer)
        for name, same in layers.items():
            kinds = list(dict.fromkeys(f"{layer.units} units of {layer.function}" for layer in same))
            if len(kinds) > 1:
                raise ValueError(f"{name} has {' in one run and '.join(kinds[:2])} in another: take runs of one network")
        modes = {mode for same in layers.values() for layer in same for mode in layer.histories}
        chosen: Mode = mode or ("eval" if modes == {"eval"} else "train")
        seen = {name: same for name, same in layers.items() if any(chosen in layer.histories for layer in same)}
        verdicts = [judge(same, chosen, rule) for same in seen.values()]
        notes = list(dict.fromkeys(note for run in runs for note in run.notes))
        notes += [f"{verdict.layer.name}: {verdict.layer.note}" for verdict in verdicts if verdict.layer.note]
        absent = [name for name in layers if name not in seen]
        if absent:
            notes.append(f"{some(absent)}: {'they' if absent[1:] else 'it'} did not run in {chosen} mode")
        if not layers and not notes:
            notes.append("no activation was seen")
        return cls(chosen, rule, verdicts, find(verdicts, rule), _of_all_uses(notes))

    def sorted(self, order: str) -> Report:
        """The report with its layers in another order.

        Parameters
        ----------
        order : str
            ``"order"`` of first execution; ``"name"``; ``"alive"``, from the smallest percentage; ``"units"``, ``"dead"``,
            ``"saturated"`` or ``"linear"``, from the largest number.
        """

        def place(verdict: Verdict) -> Any:
            if order == "name":
                return verdict.layer.name
            if order == "alive":
                return count(verdict).alive_percent or 0.0
            return 0 if order == "order" else -getattr(count(verdict), order)

        return replace(self, layers=sorted(self.layers, key=place))

    def only(self, pattern: str) -> Report:
        """The report about the layer of a name, or those whose name fits a pattern such as ``encoder.*``."""
        all_names = {verdict.layer.name for verdict in self.layers}
        names = {pattern} & all_names or {name for name in all_names if fnmatchcase(name, pattern)}
        kept = [verdict for verdict in self.layers if verdict.layer.name in names]
        return replace(self, layers=kept, findings=[found for found in self.findings if found.layer in names])

    def __str__(self) -> str:
        from rectified.health.text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<pre>{escape(str(self))}</pre>"

    @property
    def totals(self) -> Count:
        """The counts of all layers together."""
        counts = [count(verdict) for verdict in self.layers]
        return Count(*(sum(column) for column in zip(*counts, strict=True))) if counts else Count(0, 0, 0, 0, 0)

    def as_json(self) -> str:
        """The report as JSON, of the form that the documentation describes."""
        return json.dumps(
            {
                "format": FORMAT,
                "layers": [self._layer(verdict) for verdict in self.layers],
                "totals": _count(self.totals),
                "findings": [found._asdict() for found in self.findings],
                "notes": list(self.notes),
            },
            allow_nan=False,
        )

    def _layer(self, verdict: Verdict) -> dict[str, Any]:
        layer, total, counted = verdict.layer, verdict.history.total, count(verdict)
        return {
            "name": layer.name,
            "function": layer.function,
            "units": layer.units,
            "samples": total.samples,
            "steps": list(total.steps),
            "dead": verdict.of(DEAD).tolist(),
            "saturated": verdict.of(SATURATED).tolist(),
            "linear": verdict.of(LINEAR).tolist(),
            "alive_percent": counted.alive_percent,
            "windows": [_window(verdict, number) for number in range(len(verdict.history.windows))],
            "parameters": dict(layer.parameters),
            "mode": self.mode,
            "unseen": verdict.of(UNSEEN).tolist(),
            "histories": _histories(verdict),
            "scores": {
                "samples": verdict.recent.samples,
                "steps": list(verdict.recent.steps),
                "share_of_firing": _finite(verdict.firing),
                "mean_output": _finite(verdict.mean_output),
                "dormant_score": _finite(verdict.dormant_score),
                "dormant": np.flatnonzero(verdict.dormant_score <= self.rule.tau).tolist(),
                "gradient_norm": _finite(np.array([verdict.gradient_norm]))[0],
            },
        }


def count(verdict: Verdict) -> Count:
    """How many units of a layer are in which state."""
    return Count(verdict.layer.units, *(len(verdict.of(state)) for state in (DEAD, SATURATED, LINEAR, UNSEEN)))


def percent(share: float | None, decimals: int = 1) -> str:
    """A percentage that is 0 or 100 only where nothing or all is meant.

    Examples
    --------
    >>> percent(100.0), percent(99.99), percent(0.01), percent(0.0), percent(None)
    ('100%', '99.9%', '0.1%', '0%', '–')
    """
    if share is None:
        return "–"
    if share in (0, 100):
        return f"{share:.0f}%"
    least = 10.0**-decimals
    return f"{min(max(share, least), 100 - least):.{decimals}f}%"


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many others there are.

    Examples
    --------
    >>> some(["a", "b"]), some([*"abcdefghijklm"])
    ('a, b', 'a, b, c, d, e, f, g, h, i, j and 3 others')
    """
    others = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {others:,} others" if others > 0 else "")


def ranges(units: Iterable[int]) -> str:
    """Whole numbers, from the smallest, with neighbours as a range.

    Examples
    --------
    >>> ranges([3, 7, 8, 9])
    '3, 7-9'
    """
    runs = (list(run) for _, run in groupby(enumerate(units), key=lambda pair: pair[1] - pair[0]))
    return ", ".join(f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else str(run[0][1]) for run in runs)


def _of_all_uses(notes: Iterable[str]) -> list[str]:
    """Notes, with one for those that say the same of several uses of an activation.

    Examples
    --------
    >>> _of_all_uses(["act: not seen", "act (use 2): not seen", "act (use 4): not seen", "gate (use 2): not seen"])
    ['act (uses 1-2, 4): not seen', 'gate (use 2): not seen']
    """
    same: dict[str, dict[int, str]] = {}
    for note in notes:
        use = _USE.search(note)
        same.setdefault(_USE.sub("", note, count=1), {})[int(use[1]) if use else 1] = note
    return [
        _USE.sub(f" (use{'s' * (len(uses) > 1)} {ranges(sorted(uses))})", uses[max(uses)], count=1)
        for uses in same.values()
    ]


def _window(verdict: Verdict, number: int) -> dict[str, Any]:
    window = verdict.history.windows[number]
    seen = window.samples - window.nans
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [window.fired.sum() / seen.sum(), window.sum_output.sum() / seen.sum()]
        norm = np.sqrt(np.float64(window.gradient_squares) / window.gradients)
    firing, mean, norm = _finite(np.array([*shares, norm]))
    return {
        "samples": window.samples,
        "steps": list(window.steps),
        "silent": int(np.count_nonzero(window.max_slope == 0)),
        "share_of_firing": firing,
        "mean_output": mean,
        "gradient_norm": norm,
    }


def _histories(verdict: Verdict) -> list[dict[str, Any]]:
    told = np.flatnonzero(~np.isin(verdict.state, (ALIVE, UNSEEN)) | (verdict.came_back >= 0))
    found = []
    for unit in told.tolist():
        history: dict[str, Any] = {"unit": unit, "state": verdict.state_of(unit)}
        if verdict.state[unit] not in (ALIVE, UNSEEN):
            history |= {"since": int(verdict.since[unit]), "from_start": bool(verdict.from_start[unit])}
        if verdict.came_back[unit] >= 0:
            history |= {"died": int(verdict.died[unit]), "came_back": int(verdict.came_back[unit])}
        found.append(history)
    return found


def _count(counted: Count) -> dict[str, Any]:
    return counted._asdict() | {"alive": counted.alive, "alive_percent": counted.alive_percent}


def _finite(numbers: NDArray[np.float64]) -> list[float | None]:
    """As JSON has it, which knows no NaN."""
    return [number if np.isfinite(number) else None for number in numbers.tolist()]
