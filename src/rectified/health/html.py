"""The report as a page that needs nothing but itself: an overview, and every unit over time."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rectified.health.report import Count, Report, count, percent
from rectified.health.text import printable
from rectified.health.verdict import STATES, Verdict

_EXPLAINED = {
    "dead": "the derivative was 0 on every sample",
    "saturated": "the derivative was near 0 on every sample",
    "linear": "it never bent",
}


def page(report: Report) -> str:
    """The page, as HTML.

    Parameters
    ----------
    report : Report
        What to show.

    Returns
    -------
    str
    """
    files_here = files("rectified.health")
    style, script = (files_here.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    data = {"states": STATES, "layers": [_layer(verdict) for verdict in report.layers]}
    parts = "\n".join([*_head(report), *_list("Findings", _findings(report)), *_list("Notes", map(_shown, report.notes))])
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Which units can still learn</title>
<style>
{style}</style>
</head>
<body>
{parts}
{_overview(report)}
{_UNITS if report.layers else ""}
<script type="application/json" id="data">{_embedded(data)}</script>
<script>
{script}</script>
</body>
</html>
"""


_UNITS = """<section id="layer" hidden>
<h2></h2>
<p class="note"></p>
<div class="controls">
<div id="states" role="group" aria-label="Show units that are"></div>
<label>units <input id="find" type="search" placeholder="3, 7-9" size="10"></label>
<label>colour <select id="colour">
<option value="firing">share of firing</option><option value="slope">largest slope</option>
</select></label>
<div id="legend" aria-hidden="true"><i id="none"></i><span>0</span><i id="scale"></i><span>100%</span></div>
</div>
<div id="body">
<canvas id="map" role="img" aria-label="All units over time"></canvas>
<div id="list" tabindex="0"><div id="head" class="row"></div><div id="space" role="listbox" aria-label="Units"></div></div>
</div>
<div id="unit" hidden><h3></h3><p></p><svg role="img" aria-label="The unit over time"></svg>
<details><summary>The numbers</summary>
<div class="scroll"><table><thead></thead><tbody></tbody></table></div></details></div>
</section>"""


def _head(report: Report) -> Iterator[str]:
    totals = report.totals
    steps = [step for verdict in report.layers for step in verdict.history.total.steps]
    seen = f"{report.mode} mode, steps {min(steps):,} to {max(steps):,}" if steps else "nothing was seen"
    yield "<h1>Which units can still learn?</h1>"
    layers = len(report.layers)
    where = f"{totals.units:,} unit{'s' * (totals.units != 1)} in {layers:,} layer{'s' * (layers != 1)}"
    yield f'<p class="lead">{where}; {seen}.</p>'
    figures = [(percent(totals.alive_percent), "alive", "can learn, and bend")]
    figures += [(f"{getattr(totals, state):,}", state, meaning) for state, meaning in _EXPLAINED.items()]
    cards = (f'<div class="card {name}"><b>{value}</b> {name}<span>{text}</span></div>' for value, name, text in figures)
    yield f'<div class="cards">{"".join(cards)}</div>'


def _findings(report: Report) -> Iterator[str]:
    for found in report.findings:
        yield f"<b>{_shown(found.layer)}</b>: {_shown(found.message)} <code>{_shown(found.kind)}</code>"


def _list(title: str, items: Iterable[str]) -> Iterator[str]:
    """A list with its title; nothing where there is nothing. The items are HTML."""
    lines = [f"<li>{item}</li>" for item in items]
    if lines:
        yield f'<section id="{title.lower()}"><h2>{title}</h2><ul>{"".join(lines)}</ul></section>'


def _overview(report: Report) -> str:
    heads = ("layer", "function", "units", "samples", "steps", *_EXPLAINED, "alive", "gradient")
    head = "".join(f'<th scope="col"><button>{name}</button></th>' for name in heads)
    body = "\n".join(_row(number, verdict) for number, verdict in enumerate(report.layers))
    return (
        f'<section id="layers"><h2>Layers</h2><div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div></section>"
    )


def _row(number: int, verdict: Verdict) -> str:
    layer, total, counted = verdict.layer, verdict.history.total, count(verdict)
    norm = verdict.gradient_norm
    cells: list[tuple[float, str]] = [
        (layer.units, f"{layer.units:,}"),
        (total.samples, f"{total.samples:,}"),
        (total.steps[0], f"{total.steps[0]}–{total.steps[1]}"),
        *(
            (getattr(counted, state), f"{getattr(counted, state):,}" if getattr(counted, state) else "–")
            for state in _EXPLAINED
        ),
        (counted.alive_percent or 0.0, percent(counted.alive_percent) + _bar(counted)),
        (norm if np.isfinite(norm) else -1.0, f"{norm:.2g}" if np.isfinite(norm) else "–"),
    ]
    text = "".join(f'<td data-value="{value!r}">{shown}</td>' for value, shown in cells)
    name, function = _shown(layer.name), _shown(_function(verdict))
    return (
        f'<tr data-layer="{number}"><th scope="row" data-value="{number}"><a href="#layer={number}">{name}</a></th>'
        f'<td data-value="{function}">{function}</td>{text}</tr>'
    )


def _bar(counted: Count) -> str:
    shares = ((state, 100 * getattr(counted, state) / counted.units) for state in ("alive", *_EXPLAINED) if counted.units)
    return (
        f'<span class="bar">{"".join(f"<i class={state} style=width:{share:.2f}%></i>" for state, share in shares)}</span>'
    )


def _function(verdict: Verdict) -> str:
    return ", ".join([verdict.layer.function, *(f"{name}={value:g}" for name, value in verdict.layer.parameters.items())])


def _layer(verdict: Verdict) -> dict[str, Any]:
    """What the page's script draws from."""
    windows = verdict.history.windows
    seen = np.array([window.samples - window.nans for window in windows])
    fired, slopes = np.array([window.fired for window in windows]), np.array([window.max_slope for window in windows])
    with np.errstate(divide="ignore", invalid="ignore"):
        firing = fired / seen
        slope = slopes / (np.fmax.reduce(slopes, axis=None, initial=verdict.steepest) or 1.0)
    told = np.flatnonzero(verdict.came_back >= 0)
    return {
        "name": printable(verdict.layer.name),
        "function": _function(verdict),
        "note": printable(verdict.layer.note),
        "units": verdict.layer.units,
        "windows": [[*window.steps, window.samples] for window in windows],
        "state": _bytes(verdict.state),
        "firing": _bytes(_coded(firing)),
        "slope": _bytes(_coded(np.sqrt(slope))),
        "flat": bool(verdict.history.total.min_slope.min(initial=np.inf) == 0),
        "since": verdict.since.tolist(),
        "from_start": _bytes(verdict.from_start),
        "came_back": [[int(unit), int(verdict.died[unit]), int(verdict.came_back[unit])] for unit in told],
        "recent": list(verdict.recent.steps),
        "share": _short(verdict.firing),
        "mean": _short(verdict.mean_output),
        "score": _short(verdict.dormant_score),
    }


def _shown(text: str) -> str:
    """Text that is no markup, and that does not turn the line around."""
    return escape(printable(text))


def _coded(share: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Shares as bytes: 0 and 254 are exactly nothing and all, 255 is not known."""
    code = np.clip(np.rint(254 * np.nan_to_num(share)), 1, 253)
    code = np.where(share == 0, 0, np.where(share == 1, 254, code))
    return np.where(np.isnan(share), 255, code).astype(np.uint8)


def _bytes(numbers: ArrayLike) -> str:
    return b64encode(np.asarray(numbers).astype(np.uint8).tobytes()).decode()


def _short(numbers: NDArray[np.float64]) -> list[float | None]:
    """Four digits are enough to look at."""
    return [float(f"{number:.4g}") if np.isfinite(number) else None for number in numbers.tolist()]


def _embedded(data: dict[str, Any]) -> str:
    """JSON in which no name can end the element that it stands in."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
