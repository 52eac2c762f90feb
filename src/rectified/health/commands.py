"""The commands about a network's health: report, html, diff, combine, erase, debug."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rectified.mistake import Mistake

if TYPE_CHECKING:
    from rectified.health.report import Report
    from rectified.health.verdict import Rule


class Format(StrEnum):
    """How a report is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"


class DiffFormat(StrEnum):
    """How a difference is printed."""

    text = "text"
    json = "json"


class Order(StrEnum):
    """How the layers of a report are ordered."""

    order = "order"
    name = "name"
    units = "units"
    dead = "dead"
    saturated = "saturated"
    linear = "linear"
    alive = "alive"


class Training(StrEnum):
    """In which mode the network was."""

    train = "train"
    eval = "eval"


class Subject(StrEnum):
    """What there is to debug."""

    data = "data"


DataFile = Annotated[Path, typer.Option("--data-file", help="The data file.")]
Mode = Annotated[Training | None, typer.Option(help="Evidence of this mode; by default that of training, if there is any.")]
Saturated = Annotated[
    float, typer.Option("--saturated", min=0, max=1, help="A unit is saturated up to this share of the largest slope.")
]
Linear = Annotated[
    float,
    typer.Option("--linear", min=0, max=1, help="A unit is linear when its slopes differ by no more than this share."),
]
Tau = Annotated[float, typer.Option("--tau", min=0, help="A unit is dormant up to this score.")]
Vanishing = Annotated[
    float, typer.Option("--vanishing", min=0, max=1, help="A gradient vanishes below this share of the largest.")
]


def report(
    data_file: DataFile = Path(".rectified"),
    format: Annotated[Format, typer.Option("--format", help="text, json or markdown.")] = Format.text,
    fail_under: Annotated[
        float | None,
        typer.Option("--fail-under", min=0, max=100, help="Exit with 2 if fewer percent of the units are alive."),
    ] = None,
    layer: Annotated[str | None, typer.Option("--layer", help="Only layers whose name fits, such as 'encoder.*'.")] = None,
    sort: Annotated[
        Order, typer.Option("--sort", help="By order of execution, name, units, dead, saturated, linear or alive.")
    ] = Order.order,
    mode: Mode = None,
    saturated: Saturated = 0.01,
    linear: Linear = 0.01,
    tau: Tau = 0.025,
    vanishing: Vanishing = 1e-4,
) -> None:
    """Tell which units of a network can still learn, from what `rectified run` saw."""
    from rectified.health.report import percent, some
    from rectified.health.text import as_markdown, as_text

    found = _report(data_file, mode, _rule(saturated=saturated, linear=linear, tau=tau, vanishing=vanishing))
    if layer is not None:
        names = some([verdict.layer.name for verdict in found.layers])
        found = found.only(layer)
        if not found.layers:
            raise Mistake(f"no layer's name fits {layer!r}; there {f'are {names}' if names else 'is no layer'}")
    found = found.sorted(sort)
    if format is Format.text:
        print(as_text(found, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    else:
        print(found.as_json() if format is Format.json else as_markdown(found))
    alive = found.totals.alive_percent
    if fail_under is None:
        return
    if alive is None:
        raise Mistake(f"no unit was seen, so that --fail-under {fail_under:g} can not be met")
    if alive < fail_under:
        raise Mistake(f"{percent(alive)} of the units are alive, which is less than --fail-under {fail_under:g}")


def html(
    data_file: DataFile = Path(".rectified"),
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")] = Path("htmlhealth"),
    mode: Mode = None,
    saturated: Saturated = 0.01,
    linear: Linear = 0.01,
    tau: Tau = 0.025,
    vanishing: Vanishing = 1e-4,
) -> None:
    """Write a page that shows every unit of a network over time."""
    from rectified.health.html import page

    found = _report(data_file, mode, _rule(saturated=saturated, linear=linear, tau=tau, vanishing=vanishing))
    index = out / "index.html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        index.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise Mistake(f"cannot write {error.filename or index}: {error.strerror or error}") from None
    print(f"The report is at {index.resolve().as_uri()}")


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A data file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="A later one.")],
    format: Annotated[DiffFormat, typer.Option("--format", help="text or json.")] = DiffFormat.text,
    mode: Mode = None,
    saturated: Saturated = 0.01,
    linear: Linear = 0.01,
) -> None:
    """Tell which units died and which came back between two data files."""
    from rectified.health.diff import as_json, as_text

    rule = _rule(saturated=saturated, linear=linear)
    reports = [_report(path, mode, rule) for path in (before, after)]
    print(as_text(*reports) if format is DiffFormat.text else as_json(*reports))


def combine(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Data files; by default those of several processes.")
    ] = None,
    data_file: DataFile = Path(".rectified"),
    append: Annotated[bool, typer.Option("--append", help="Keep what the data file holds already.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not delete the files that were combined.")] = False,
) -> None:
    """Put the data files of several processes or runs into one: a unit is dead if it is dead in all of them."""
    from rectified.health.report import Report, some
    from rectified.health.store import Writer, parts, read, runs_in
    from rectified.health.store import erase as erase_file

    chosen = files or parts(data_file)
    if not chosen:
        raise Mistake(f"there is nothing to combine: no file {data_file}.*")
    with _readable():
        held = runs_in(data_file)
        runs = {run.id: run for run in [*(held if append else []), *(run for path in chosen for run in read(path))]}
        with _one_network():
            Report.of(runs.values())
        Writer(data_file).write(runs.values())
    done = [] if keep else [path for path in chosen if path.resolve() != data_file.resolve()]
    with _readable():
        for path in done:
            erase_file(path)
    print(f"{data_file} holds {len(runs)} run{'s' * (len(runs) != 1)}")
    lost = len({run.id for run in held} - runs.keys())
    if lost:
        print(f"it held {lost} other{'s' * (lost != 1)}, which --append would have kept")
    if done:
        print(f"deleted, since it holds what they did: {some(list(map(str, done)))}")


def erase(
    data_file: DataFile = Path(".rectified"),
    parallel: Annotated[bool, typer.Option("--parallel", help="Delete the files of several processes, too.")] = False,
) -> None:
    """Delete the data file."""
    from rectified.health.store import erase as erase_file
    from rectified.health.store import parts

    with _readable():
        beside = parts(data_file) if parallel else []
        for path in beside:
            erase_file(path)
        if data_file.exists() or not beside:
            erase_file(data_file)


def debug(
    subject: Annotated[Subject, typer.Argument(metavar="data", help="What to show: data.")],
    data_file: DataFile = Path(".rectified"),
) -> None:
    """Show what a data file holds."""
    from rectified.health.store import VERSION, read
    from rectified.health.text import printable

    with _readable():
        runs = read(data_file)
    lines = [f"{data_file.absolute()}: {data_file.stat().st_size:,} bytes, data format {VERSION}"]
    for run in runs:
        lines += ["", f"run {run.id:x}, started {run.started or 'at an unknown time'}: {run.command or 'no command'}"]
        for layer in run.layers.values():
            lines.append(f"  {layer.name}: {layer.units:,} units of {layer.function}")
            for mode, history in layer.histories.items():
                first, last = history.total.steps
                seen = f"{history.total.samples:,} samples in {len(history.windows)} windows of {history.width} steps"
                lines.append(f"    {mode}: steps {first} to {last}, {seen}")
        lines += [f"  note: {note}" for note in run.notes]
    print("\n".join(map(printable, lines)))


def _rule(**thresholds: float) -> Rule:
    from rectified.health.verdict import Rule

    return Rule(**thresholds)


def _report(path: Path, mode: Training | None, rule: Rule) -> Report:
    from rectified.health.report import Report
    from rectified.health.store import read

    with _readable():
        runs = read(path)
    with _one_network():
        return Report.of(runs, mode.value if mode else None, rule)


@contextmanager
def _readable() -> Iterator[None]:
    from rectified.health.store import DataError

    try:
        yield
    except DataError as error:
        raise Mistake(str(error), code=1) from None


@contextmanager
def _one_network() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Mistake(str(error)) from None
