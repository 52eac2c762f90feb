"""The command `rectified`: reads what is asked, calls the library, prints what it says."""

from __future__ import annotations

import csv
import io
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from rectified.activation import Activation, Ridge
from rectified.catalogue import catalogue
from rectified.config import __version__
from rectified.mistake import Mistake, complain

try:
    _before = set(sys.modules)

    import typer
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    _imported = sys.modules.keys() - _before
except ModuleNotFoundError as _missing:
    print(f'rectified: the command line needs {_missing.name}: pip install "rectified[cli]"', file=sys.stderr)
    raise SystemExit(2) from None

from rectified.health import commands as health

if TYPE_CHECKING:
    from rectified.benchmark import Overhead, Result

_MOST_VALUES = 100_000
_ENDINGS = (".png", ".svg", ".pdf")

app = typer.Typer(
    help="Activation functions with their derivatives, accurate to the last digit and at the speed of memory.",
    epilog="A function may carry parameters: leaky_relu:slope=0.2",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
if os.environ.get("COLUMNS") == "0":  # a terminal of unknown width, which rich would take for one without room
    del os.environ["COLUMNS"]
_console = Console(highlight=False)

Function = Annotated[
    str, typer.Argument(metavar="FUNCTION", help="A name, with parameters if you like: leaky_relu:slope=0.2")
]
Functions = Annotated[list[str], typer.Argument(metavar="FUNCTION", help="Names, such as relu leaky_relu:slope=0.2")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the command's name; by default `sys.argv` tells.

    Returns
    -------
    int
        The exit code: 0, or 2 after a mistake of the user, or 1 where a data file is to blame. One line on stderr explains.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    for name in () if given[:1] == ["run"] else ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without µ shows ?
    before = set(sys.modules)
    try:
        code = app(given or ["--help"], prog_name="rectified", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:  # not about the output
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # whoever read has read enough
            return 1
        return _refuse(f"cannot write the output: {error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Mistake as mistake:
        return _refuse(str(mistake), mistake.code)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what typer finds wrong, wherever it keeps its click
            raise
        return _refuse(_explained(error))
    if not callable(code):
        return code or 0
    _forget(_imported | (sys.modules.keys() - before))
    return _run_program(code)


def _run_program(program: Callable[[], int]) -> int:
    """Let a program end as it does, with all its errors."""
    try:
        return program()
    except Mistake as mistake:
        return _refuse(str(mistake), mistake.code)


def _forget(modules: Set[str]) -> None:
    """Let a program import anew what only the command line needed: rich draws from `random` then."""
    stay = {*sys.stdlib_module_names, "numpy", "rectified"}
    for name in modules & sys.modules.keys():
        loader = getattr(sys.modules[name], "__loader__", None)
        if name.partition(".")[0] not in stay and not isinstance(loader, ExtensionFileLoader):
            del sys.modules[name]


def _refuse(message: str, code: int = 2) -> int:
    from rectified.health.text import printable

    complain(printable(" ".join(message.split())))
    return code


def _explained(error: Any) -> str:
    """What typer finds wrong, with the commands that there are; where it asks pydantic, the value and no words about it."""
    if error.message.startswith("No such command"):
        return f"{error.message} There are {', '.join(error.ctx.command.list_commands(error.ctx))}"
    for found in getattr(error.__cause__, "errors", list)()[:1]:
        message = error.message.removeprefix("Value error, ").partition(", unable to")[0]
        subject = repr(found["input"]) if message.startswith("Input ") else ""
        error.message = subject + message.removeprefix("Input" if subject else "")
    return str(error.format_message())


def _version(wanted: bool) -> None:
    if wanted:
        print("rectified", __version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("list")
def list_functions(
    category: Annotated[str | None, typer.Option(help="Only of this category, such as ridge.")] = None,
) -> None:
    """List the functions."""
    categories = dict.fromkeys(found.category for found in catalogue.values())
    if category is not None and category not in categories:
        raise Mistake(f"there is no category {category!r}; there are {', '.join(categories)}")
    table = _table("function", "category", "f(x)", "f'(x)")
    for found in catalogue.values() if category is None else catalogue.of(category).values():
        table.add_row(Text(found.name, "bold"), found.category, _plain(found.formula), _plain(found.derivative_formula))
    _console.print(table)


@app.command()
def show(function: Function) -> None:
    """Show what is known about a function: formula, derivative, range, kinks, parameters, paper."""
    found = _function(function)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    table.add_row("f(x)", _plain(found.formula))
    table.add_row("f'(x)", _plain(found.derivative_formula))
    table.add_row("range", " to ".join(_number(bound) for bound in found.range))
    table.add_row("kinks", _kinks(found))
    for name, (default, meaning) in found.parameters.items():
        table.add_row("parameter", Text.assemble((f"{name} = {_number(default)}", "bold"), f"  {meaning}"))
    for library, difference in found.elsewhere.items():
        table.add_row(_plain(f"in {library}"), _plain(difference))
    table.add_row("also called", ", ".join(found.also_known_as) or "–")
    table.add_row("in Python", _plain(f"rectified.{found.signature}"))
    table.add_row("paper", _plain(found.reference))
    _console.print(Text.assemble((found.name, "bold"), f", {found.category}"))
    _console.print(_plain(found.summary))
    _console.print()
    _console.print(table)


@app.command()
def values(
    function: Function,
    start: Annotated[float | None, typer.Option("--from", help="The first x; by default -10, and 0 of a distance.")] = None,
    stop: Annotated[float, typer.Option("--to", help="The last x, where the steps meet it.")] = 10,
    step: Annotated[float, typer.Option("--step", help="From one x to the next.")] = 1,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, every digit.")] = False,
) -> None:
    """Print x, f(x) and f'(x) at equal steps."""
    found = _function(function)
    if not isinstance(found, Ridge):
        of_one = ", ".join(name for name, other in catalogue.items() if isinstance(other, Ridge))
        raise Mistake(f"{found.name} takes a group of numbers; values are for functions of one: {of_one}")
    if start is None:
        start = 0.0 if found.category == "radial" else -10.0
    x = np.array(_series(start, stop, step))
    rows = zip(x.tolist(), found(x).tolist(), found.derivative(x).tolist(), strict=True)
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["x", "value", "derivative"])
        writer.writerows(rows)
        return
    decimals = max(_decimals(start), _decimals(step))
    shown = f".{decimals}f" if decimals <= 12 and np.abs(x).max() < 1e12 else "g"
    cells = [(f"{at:{shown}}", f"{value:.6g}", f"{derivative:.6g}") for at, value, derivative in rows]
    headings = ("x", f"{found.name}(x)", f"{found.name}'(x)")
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    lines = ["   ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (headings, *cells)]
    _console.print(Text(lines[0], "cyan"))
    print("\n".join(lines[1:]))


@app.command()
def plot(
    functions: Functions,
    derivative: Annotated[bool, typer.Option(help="Draw the derivatives too.")] = True,
    surface: Annotated[bool, typer.Option("--surface", help="A radial function or a fold from above.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file: .png, .svg or .pdf.")] = None,
) -> None:
    """Draw functions and their derivatives, into a file or a window."""
    found = [_function(function) for function in functions]
    if output is not None and output.suffix.lower() not in _ENDINGS:
        raise Mistake(f"{output} ends in none of {', '.join(_ENDINGS)}")
    _require("plot", "matplotlib")
    backend = _load_matplotlib("agg" if output else None)
    if output is None and backend in ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template"):
        raise Mistake(f"there is no display for a window; save the picture: -o {found[0].name}.png")
    import matplotlib.pyplot as plt

    from rectified.plotting import plot as draw
    from rectified.plotting import plot_surface

    if surface and len(found) > 1:
        raise Mistake("--surface draws one function at a time")
    try:
        plot_surface(found[0]) if surface else draw(*found, derivative=derivative)
    except ValueError as error:
        raise Mistake(str(error)) from None
    if output is None:
        plt.show()
        return
    with _writing(output):
        plt.savefig(output, dpi=200)
    print(output)


@app.command()
def bench(
    functions: Annotated[
        list[str] | None, typer.Argument(metavar="FUNCTION", help="Names; by default all of the catalogue.")
    ] = None,
    sizes: Annotated[str, typer.Option(help="How many elements, with commas between.")] = "10_000,1_000_000,30_000_000",
    dtype: Annotated[str, typer.Option(help="float16, bfloat16, float32 or float64.")] = "float32",
    threads: Annotated[int, typer.Option(help="How many threads each library may use.")] = 1,
    spread: Annotated[float, typer.Option(help="The standard deviation of the inputs.")] = 3.0,
    peers: Annotated[str, typer.Option(help="Libraries, with commas between; by default all that are installed.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the time, and coarser medians.")] = False,
    overhead: Annotated[bool, typer.Option("--overhead", help="Time calls with one element, and the import, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time functions, value and backward, beside a copy and beside every library that is installed."""
    from rectified import benchmark

    found = [_function(function) for function in functions or catalogue]
    try:
        numbers = [int(size) for size in sizes.split(",")]
    except ValueError:
        raise Mistake(f"--sizes are whole numbers with commas between, such as 10_000,1_000_000, not {sizes!r}") from None
    seconds = 0.03 if quick else 0.3
    with _progress() as report:
        try:
            beside = [peer.strip() for peer in peers.split(",")] if peers else None
            run = benchmark.run(
                found,
                sizes=numbers,
                dtype=dtype,
                threads=threads,
                peers=beside,
                seconds=seconds,
                spread=spread,
                report=report,
            )
        except MemoryError:
            raise Mistake(f"there is not enough memory for {max(numbers):,} elements") from None
        except (ValueError, RuntimeError) as error:
            raise Mistake(str(error)) from None
        if overhead:
            report("one element, and the import", 1.0)
            run.overhead.extend(benchmark.overhead(seconds=seconds))
    if as_json:
        print(run.to_json())
        return
    for _, results in groupby(run.results, key=lambda result: (result.function, result.parameters)):
        _print_times(list(results))
    if run.overhead:
        _print_overhead(run.overhead)
    _console.print(_plain(benchmark.measured_on(run)), style="dim")


@app.command()
def tour(
    out: Annotated[str, typer.Option(help="The folder to write.")] = "build/tour",
    quick: Annotated[bool, typer.Option("--quick", help="Smaller experiments, to try it.")] = False,
) -> None:
    """Write a page that shows ReLU, its derivative, its speed, how it learns, how it dies and what helps."""
    if not out:
        raise Mistake("--out is a folder, such as build/tour, not ''")
    _require("tour", "matplotlib", "sklearn")
    _load_matplotlib("agg")
    from rectified.tour import write_tour

    folder = Path(out)
    with _progress() as report, _writing(folder):
        page = write_tour(folder, quick=quick, report=report)
    print(f"The tour is at {page.resolve().as_uri()}")


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    arguments: Annotated[
        list[str], typer.Argument(metavar="SCRIPT [ARGUMENT]...", help="A Python program that uses PyTorch.")
    ],
    module: Annotated[bool, typer.Option("-m", help="SCRIPT is the name of a module.")] = False,
    every: Annotated[int, typer.Option(min=1, help="Look at one step of the optimizer of so many.")] = 1,
    data_file: health.DataFile = Path(".rectified"),
    append: Annotated[bool, typer.Option("--append", help="Go on with the run in the data file.")] = False,
    parallel: Annotated[bool, typer.Option("--parallel", help="Write a file of its own, for rectified combine.")] = False,
) -> Callable[[], int]:
    """Run a program as python does, and write what the units of its networks did."""
    _require("torch", "torch")
    from rectified.torch.run import run as run_program

    return lambda: run_program(arguments, module=module, every=every, data_file=data_file, append=append, parallel=parallel)


for _command in (health.report, health.html, health.diff, health.combine, health.erase, health.debug):
    app.command()(_command)


def _function(spec: str) -> Activation:
    """The function that ``name:parameter=value,...`` means."""
    name, colon, rest = spec.partition(":")
    try:
        found = catalogue[name]
    except KeyError as unknown:
        raise Mistake(unknown.args[0]) from None
    parameters: dict[str, float] = {}
    for part in rest.split(",") if colon else ():
        key, _, text = part.partition("=")
        if not key or not text:
            raise Mistake(f"{spec}: parameters are written {name}:parameter=value,parameter=value")
        if key in parameters:
            raise Mistake(f"{spec}: {key} stands there twice")
        whole = key in found.parameters and isinstance(found.parameters[key].default, int)
        try:
            parameters[key] = int(text) if whole or text.lstrip("+-").isdecimal() else float(text)
            if parameters[key] != parameters[key]:
                raise ValueError(text)
        except ValueError:
            raise Mistake(f"{spec}: {text!r} is not a {'whole ' if whole else ''}number") from None
    try:
        return found.bind(**parameters)
    except (TypeError, ValueError) as error:
        raise Mistake(str(error)) from None


def _series(start: float, stop: float, step: float) -> list[float]:
    """From start to stop by steps of what the numbers look like: 0.1 is a tenth, so that nothing drifts."""
    for name, number in (("--from", start), ("--to", stop), ("--step", step)):
        if not math.isfinite(number):
            raise Mistake(f"{name} is a finite number, not {number}")
    if step == 0:
        raise Mistake("--step 0 leads nowhere; take another number")
    first, last, each = (Fraction(repr(number)) for number in (start, stop, step))
    if (last - first) / each < 0:
        raise Mistake(f"--step {step:g} leads away from --to {stop:g}; take {-step:g}")
    count = (last - first) // each + 1
    if count > _MOST_VALUES:
        raise Mistake(f"these are more than {_MOST_VALUES:,} values; take a larger --step")
    return [float(first + i * each) for i in range(count)]


def _decimals(number: float) -> int:
    """How many digits follow the point."""
    return max(0, -int(Decimal(repr(number)).normalize().as_tuple().exponent))


def _number(number: float) -> str:
    return f"{number:g}".replace("inf", "∞")


def _kinks(found: Activation) -> str:
    if not isinstance(found, Ridge):
        return "where two pieces of its formula meet" if "max" in found.formula or " if " in found.formula else "none"
    return ", ".join(f"{_number(x)} (where f' is taken as {_number(found.derivative(x))})" for x in found.kinks) or "none"


def _require(extra: str, *modules: str) -> None:
    for module in modules:
        if find_spec(module) is None:
            raise Mistake(f'{module} is not installed: pip install "rectified[{extra}]"')


def _load_matplotlib(backend: str | None) -> str:
    """Load it with a backend, by default that of MPLBACKEND and its settings; tell which one it is."""
    try:
        import matplotlib as mpl
        import matplotlib.pyplot as plt

        plt.switch_backend(backend or mpl.get_backend())
    except (ImportError, RuntimeError, ValueError) as error:
        raise Mistake(f"matplotlib: {error}") from None
    return mpl.get_backend().lower()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Mistake(f"cannot write {error.filename or path}: {error.strerror or error}") from None


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr, where that is a terminal; what it yields moves it."""
    if not sys.stderr.isatty():
        yield lambda step, done: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(bar_width=24), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda step, done: progress.update(task, description=step, completed=done)


def _plain(text: str) -> Text:
    """Text in which brackets are brackets, not markup."""
    return Text(text)


def _table(*headings: str, **options: Any) -> Table:
    return Table(*headings, box=box.SIMPLE_HEAD, header_style="cyan", **options)


def _print_times(results: Sequence[Result]) -> None:
    """A table of one function: who, by size; every time with its ratio to the limit."""
    from rectified.benchmark import duration, ratio

    sizes = list(dict.fromkeys(result.size for result in results))
    first = results[0]
    named = ", ".join([first.function, *(f"{key}={value:g}" for key, value in first.parameters.items())])
    table = _table("", title=f"{named}, {first.dtype}", title_justify="left", title_style="bold")
    for size in sizes:
        table.add_column(f"{size:,}", justify="right", no_wrap=True)
    for kind, of_kind in groupby(results, key=lambda result: result.kind):
        table.add_row(Text(kind.replace("_", " "), "cyan"))
        rows: dict[str, dict[int, Result]] = {}
        for result in of_kind:
            rows.setdefault(result.peer, {})[result.size] = result
        for peer, times in rows.items():
            cells = [
                Text.assemble(
                    duration(times[size].seconds), (f"{ratio(times[size].to_limit):>7}", _colour(times[size].to_limit))
                )
                for size in sizes
            ]
            name = {"limit": "copy" if kind == "value" else "product"}.get(peer, peer)
            table.add_row(Text(f"  {name}", "bold" if peer == "rectified" else ""), *cells)
        table.add_section()
    _console.print(table)


def _print_overhead(measured: Sequence[Overhead]) -> None:
    from rectified.benchmark import duration, ratio

    table = _table("", title="overhead", title_justify="left", title_style="bold")
    table.add_column("time", justify="right")
    table.add_column("ratio", justify="right")
    for group, rows in groupby(measured, key=lambda row: row.group):
        table.add_row(Text(group, "cyan"))
        for row in rows:
            table.add_row(_plain(f"  {row.call}"), duration(row.seconds), ratio(row.ratio))
        table.add_section()
    _console.print(table)


def _colour(to_limit: float) -> str:
    return "green" if to_limit <= 1.25 else "yellow" if to_limit <= 3 else "red"
