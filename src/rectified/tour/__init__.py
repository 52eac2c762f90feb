"""The tour: a page that shows what ReLU is, what it costs, why it works and how it fails, measured while it is written."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np

import rectified as rf
from rectified import benchmark

Report = Callable[[str, float], None]


def write_tour(out: Path, *, quick: bool = False, report: Report | None = None) -> Path:
    """Measure, train, and write the page ``index.html`` with its pictures.

    Parameters
    ----------
    out : Path
        The folder to write to; it is made where it is missing.
    quick : bool
        Take small settings, to see that all works: the figures then mean little.
    report : callable, optional
        Called with the name of a step and the share of the work that is done.

    Returns
    -------
    Path
        Where ``index.html`` is.

    Raises
    ------
    ImportError
        Where scikit-learn or matplotlib is missing.
    """
    if not (find_spec("sklearn") and find_spec("matplotlib")):
        raise ImportError('the tour needs scikit-learn and matplotlib: pip install "rectified[tour]"')
    from rectified.tour import digits, experiments, sections
    from rectified.tour.page import cards, page

    def part(start: float, stop: float) -> Report:
        return lambda step, share: report(step, start + (stop - start) * share) if report else None

    began = perf_counter()
    plan = experiments.QUICK if quick else experiments.Plan()
    timed = benchmark.run(
        [rf.catalogue[name] for name in sections.TIMED],
        sizes=(1_000, 100_000) if quick else (10_000, 10_000_000),
        peers=["numpy"],
        seconds=0.002 if quick else 0.12,
        report=part(0.0, 0.2),
    )
    data = digits.load()
    by_layer = experiments.gradients_by_layer(data, plan)
    learned = experiments.learn(data, plan, part(0.2, 0.75))
    died = experiments.kill(data, plan, part(0.75, 0.9))

    drawing = part(0.9, 1.0)
    parts: list[sections.Section] = []
    writers: list[Callable[[], sections.Section]] = [
        sections.what_it_is,
        lambda: sections.speed(timed),
        lambda: sections.saturation(by_layer, plan),
        lambda: sections.learning(data, learned, plan),
        lambda: sections.death(died, learned, plan),
    ]
    for write in writers:
        drawing("drawing", len(parts) / len(writers))
        parts.append(write())

    folder = out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for picture in (picture for section in parts for picture in section.pictures):
        (folder / f"{picture.name}.svg").write_text(picture.light, encoding="utf-8")
        (folder / f"{picture.name}-dark.svg").write_text(picture.dark, encoding="utf-8")

    relu = next(r for r in reversed(timed.results) if (r.function, r.kind, r.peer) == ("relu", "value", "rectified"))
    links = {"relu": "What it is", "speed": "Cost", "saturation": "Depth", "learning": "Digits", "death": "Dead units"}
    head = [
        "<h1>ReLU, seen and measured</h1>",
        '<p class="lead">One small function made deep networks trainable. What it is, what it costs, why it works, and '
        "how it fails: every figure on this page was measured on this machine while the page was written.</p>",
        "<nav>" + "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in links.items()) + "</nav>",
        cards(
            (f"{relu.to_limit:.2f}×", f"the time of a copy: ReLU on {relu.size:,} numbers"),
            (
                sections.scientific(float(rf.sigmoid.derivative(0.0)) ** plan.deep),
                f"of a gradient is left after {plan.deep} sigmoids where they are steepest; "
                f"after {plan.deep} ReLUs that are on, all",
            ),
            (
                sections.percent(float(np.mean([run.accuracy for run in learned.runs["relu"]]))),
                "of handwritten digits that it had never seen were read right by a small ReLU network",
            ),
            (
                sections.percent(float(np.mean([run.dead[-1].mean() for run in died.clipped["relu"]])), 0),
                f"of that network's units died when its learning rate was {plan.deadly_rate:g} instead of "
                f"{learned.rates['relu']:g}",
            ),
        ),
    ]
    head.append(sections.unsteady(timed))
    if quick:
        head.append('<p class="note">A quick run on small settings: its figures mean little.</p>')
    where = ", ".join(
        f"{key} {value}" for key, value in rf.show_config("dicts").items() if key != "instruction sets present"
    )
    papers = "".join(f"<li>{escape(rf.catalogue[name].reference)}</li>" for name in experiments.ACTIVATIONS)
    foot = [
        "<footer><h3>To read</h3>",
        f"<ul>{papers}</ul>",
        f'<p class="note">Measured and written in {perf_counter() - began:.0f} s by <code>rectified tour</code>: '
        f"{escape(where)}. "
        "Seeds are fixed, so that all but the times comes out the same again on the same machine.</p></footer>",
    ]
    index = out / "index.html"
    body = [*head, *(section.html for section in parts), *foot]
    index.write_text(page("ReLU, seen and measured", body), encoding="utf-8")
    drawing("done", 1.0)
    return index
