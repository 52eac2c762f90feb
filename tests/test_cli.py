"""The command line: what it prints, and one line for every mistake."""

import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

import rectified as rf
from rectified import benchmark
from rectified.cli import app, main

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must succeed without a word on stderr, and gives its output."""

    def run(*arguments: str) -> str:
        assert main(arguments) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run


@pytest.fixture
def mistake(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail with one line on stderr and nothing else, and gives that line."""

    def run(*arguments: str) -> str:
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("rectified: ")
        assert printed.err.count("\n") == 1
        return printed.err.removeprefix("rectified: ").rstrip()

    return run


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rectified", *arguments], **{"capture_output": True, "text": True, "check": False, **options}
    )


def table(text: str) -> list[list[float]]:
    """The numbers of the lines that hold nothing else."""
    rows = []
    for line in text.splitlines():
        try:
            rows.append([float(cell) for cell in line.split()])
        except ValueError:
            continue
    return [row for row in rows if row]


def test_alone_it_helps(run: Callable[..., str]) -> None:
    helped = run()
    assert "Usage: rectified" in helped
    assert all(command in helped for command in ("list", "show", "values", "plot", "bench", "tour"))


def test_version(run: Callable[..., str]) -> None:
    assert run("--version") == f"rectified {rf.__version__}\n"


def test_list_names_every_function(run: Callable[..., str]) -> None:
    listed = run("list")
    assert [
        line.split()[0] for line in listed.splitlines() if line.split()[1:2] in (["ridge"], ["radial"], ["fold"])
    ] == list(rf.catalogue)


def test_list_of_a_category(run: Callable[..., str]) -> None:
    listed = run("list", "--category", "fold").split()
    assert "maxout" in listed
    assert "relu" not in listed


@pytest.mark.parametrize("name", rf.catalogue)
def test_show_tells_the_row(name: str, run: Callable[..., str]) -> None:
    found = rf.catalogue[name]
    shown = " ".join(run("show", name).split())
    for text in (
        found.summary,
        found.formula,
        found.derivative_formula,
        found.reference,
        found.signature,
        *found.also_known_as,
        *(parameter.meaning for parameter in found.parameters.values()),
        *found.elsewhere,
    ):
        assert " ".join(text.split()) in shown


def test_show_with_a_parameter(run: Callable[..., str]) -> None:
    shown = run("show", "LeakyReLU:slope=0.25")
    assert "slope = 0.25" in shown
    assert "0 (where f' is taken as 0.25)" in shown


def test_values_of_a_series(run: Callable[..., str]) -> None:
    rows = table(run("values", "relu", "--from", "-10", "--to", "10", "--step", "1"))
    assert rows == [[x, max(0, x), float(x > 0)] for x in range(-10, 11)]


def test_values_of_a_distance_begin_at_0(run: Callable[..., str]) -> None:
    assert table(run("values", "linear_radial")) == [[x, -x, -1] for x in range(11)]


def test_values_do_not_drift(run: Callable[..., str]) -> None:
    rows = list(csv.DictReader(run("values", "tanh", "--from", "-1", "--to", "1", "--step", "0.1", "--csv").splitlines()))
    assert [row["x"] for row in rows] == [str(i / 10) for i in range(-10, 11)]
    for row in rows:
        x = float(row["x"])
        assert float(row["value"]) == rf.tanh(x)
        assert float(row["derivative"]) == rf.tanh.derivative(x)


@pytest.mark.parametrize(
    ("start", "stop", "step", "expected"),
    [
        ("3", "1", "-1", [3.0, 2.0, 1.0]),
        ("0", "1", "0.4", [0.0, 0.4, 0.8]),
        ("2", "2", "5", [2.0]),
        ("1e300", "3e300", "1e300", [1e300, 2e300, 3e300]),
        ("-1e-300", "0", "1e-300", [-1e-300, 0.0]),
    ],
)
def test_values_step_exactly(start: str, stop: str, step: str, expected: list[float], run: Callable[..., str]) -> None:
    series = ["--from", start, "--to", stop, "--step", step]
    rows = csv.DictReader(run("values", "leaky_relu:slope=0.5", *series, "--csv").splitlines())
    assert [float(row["x"]) for row in rows] == expected
    assert [row[0] for row in table(run("values", "relu", *series))] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("ending", "beginning"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")]
)
def test_plot_writes_a_picture(ending: str, beginning: bytes, tmp_path: Path, run: Callable[..., str]) -> None:
    path = tmp_path / f"picture{ending}"
    assert run("plot", "relu", "leaky_relu:slope=0.2", "--derivative", "-o", str(path)) == f"{path}\n"
    assert path.read_bytes().startswith(beginning)


def test_plot_without_derivative_is_another_picture(tmp_path: Path, run: Callable[..., str]) -> None:
    drawn = {}
    for flag in ("--derivative", "--no-derivative"):
        run("plot", "relu", flag, "-o", str(tmp_path / "relu.svg"))
        drawn[flag] = len(list(ElementTree.parse(tmp_path / "relu.svg").iter()))
    assert drawn["--no-derivative"] < drawn["--derivative"]


def test_plot_opens_a_window_where_there_is_a_display(monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]) -> None:
    import matplotlib.pyplot as plt

    windows: list[Sequence[int]] = []
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "QtAgg")
    monkeypatch.setattr(plt, "switch_backend", lambda _: None)
    monkeypatch.setattr(plt, "show", lambda: windows.append(plt.get_fignums()))
    plt.close("all")
    run("plot", "relu")
    plt.close("all")
    assert windows == [[1]]


@pytest.fixture
def numpy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rectified.benchmark.measure.installed", lambda: ["numpy"])


@pytest.mark.usefixtures("numpy_alone")
def test_bench_as_json(run: Callable[..., str]) -> None:
    measured = benchmark.Run.from_json(run("bench", "relu", "--sizes", "10,100", "--quick", "--json"))
    assert {(result.function, result.size, result.dtype) for result in measured.results} == {
        ("relu", 10, "float32"),
        ("relu", 100, "float32"),
    }
    assert {"limit", "rectified", "numpy"} <= {result.peer for result in measured.results}


@pytest.mark.usefixtures("numpy_alone")
def test_bench_beside_chosen_peers(run: Callable[..., str]) -> None:
    measured = benchmark.Run.from_json(run("bench", "relu", "--sizes", "10", "--quick", "--json", "--peers", "numpy"))
    assert {result.peer for result in measured.results} == {"limit", "rectified", "numpy"}


@pytest.mark.usefixtures("numpy_alone")
def test_bench_beside_a_peer_that_is_not_there(mistake: Callable[..., str]) -> None:
    assert mistake("bench", "relu", "--peers", "nympy").startswith("a peer is one of numpy, ")
    assert mistake("bench", "relu", "--peers", "numpy,torch") == "the peer 'torch' is not installed; there are numpy"


def test_bench_as_json_has_the_overhead_when_asked(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    row = benchmark.Overhead("import", "numpy", 0.1, 9, 1.0)
    monkeypatch.setattr(benchmark, "overhead", lambda **_: [row])
    read = json.loads(run("bench", "sigmoid", "--sizes", "10", "--quick", "--json", "--overhead", "--dtype", "float64"))
    assert read["overhead"] == [{"group": "import", "call": "numpy", "seconds": 0.1, "repeats": 9, "ratio": 1.0}]


@pytest.mark.usefixtures("numpy_alone")
def test_bench_prints_a_table_for_each_function(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    row = benchmark.Overhead("import", "numpy", 0.1, 9, 1.0)
    monkeypatch.setattr(benchmark, "overhead", lambda **_: [row])
    printed = run("bench", "leaky_relu", "leaky_relu:slope=0.2", "--sizes", "10,1_000", "--quick", "--overhead")
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert lines.count("leaky_relu, slope=0.01, float32") == lines.count("leaky_relu, slope=0.2, float32") == 1
    assert lines.count("10 1,000") == 2
    assert "numpy 100 ms 1.00×" in lines
    for kind, limit in (("value", "copy"), ("backward", "product"), ("backward from output", "product")):
        place = lines.index(kind)
        assert lines[place + 1].split()[0] == limit
        assert lines[place + 1].count("1.00×") == 2
        assert lines[place + 2].split()[0] == "rectified"


def test_tour_writes_and_says_where(tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    tour = pytest.importorskip("rectified.tour")
    calls = []

    def write_tour(out: Path, *, quick: bool, report: Callable[[str, float], None]) -> Path:
        calls.append((out, quick))
        report("the first step", 0.5)
        return out / "index.html"

    monkeypatch.setattr(tour, "write_tour", write_tour, raising=False)
    said = run("tour", "--out", str(tmp_path), "--quick")
    assert calls == [(tmp_path, True)]
    assert said == f"The tour is at {(tmp_path / 'index.html').as_uri()}\n"


def test_tour_into_a_place_that_cannot_be_written(
    tmp_path: Path, mistake: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tour = pytest.importorskip("rectified.tour")
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(tour, "write_tour", lambda out, **_: (out / "tour").mkdir(parents=True), raising=False)
    assert mistake("tour", "--out", str(file)) == f"cannot write {file}/tour: Not a directory"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["show", "rleu"], "no activation is called 'rleu'; did you mean relu"),
        (["plot", "relu", "zzz"], "no activation is called 'zzz'; list(rectified.catalogue) has all names"),
        (["values", "[bold]"], "no activation is called '[bold]'"),
        (["bench", "relo"], "no activation is called 'relo'; did you mean relu"),
        (["show", "leaky_relu:slop=2"], "leaky_relu has no parameter 'slop'; its parameters are: slope"),
        (["show", "relu:slope=2"], "relu has no parameter 'slope'; it has no parameters"),
        (["show", "leaky_relu:slope=steep"], "leaky_relu:slope=steep: 'steep' is not a number"),
        (["plot", "maxout:pieces=2.5", "-o", "x.png"], "maxout:pieces=2.5: '2.5' is not a whole number"),
        (["plot", "maxout:pieces=0", "-o", "x.png"], "maxout: a group has at least one piece, not pieces=0"),
        (["show", "maxout:pieces=0"], "maxout: a group has at least one piece, not pieces=0"),
        (
            ["show", f"leaky_relu:slope={'9' * 320}"],
            "leaky_relu: slope is a number that float64 has a place for",
        ),
        (["show", "leaky_relu:slope=nan"], "leaky_relu:slope=nan: 'nan' is not a number"),
        (["show", "leaky_relu:slope"], "leaky_relu:slope: parameters are written leaky_relu:parameter=value"),
        (["show", "leaky_relu:"], "leaky_relu:: parameters are written leaky_relu:parameter=value"),
        (["show", "leaky_relu:slope=1,slope=2"], "leaky_relu:slope=1,slope=2: slope stands there twice"),
        (["list", "--category", "bridge"], "there is no category 'bridge'; there are ridge, radial, fold"),
        (["values", "relu", "--step", "0"], "--step 0 leads nowhere"),
        (["values", "relu", "--step", "-2"], "--step -2 leads away from --to 10; take 2"),
        (["values", "relu", "--from", "3", "--to", "1"], "--step 1 leads away from --to 1; take -1"),
        (["values", "relu", "--step", "1e-5"], "these are more than 100,000 values; take a larger --step"),
        (["values", "relu", "--step", "5e-324"], "these are more than 100,000 values"),
        (["values", "relu", "--to", "inf"], "--to is a finite number, not inf"),
        (["values", "relu", "--from", "nan"], "--from is a finite number, not nan"),
        (["values", "relu", "--from", "low"], "Invalid value for '--from': 'low' "),
        (["report", "--fail-under", "101"], "Invalid value for '--fail-under': "),
        (["report", "--format", "x"], "Invalid value for '--format': 'x' is not one of 'text', 'json', 'markdown'"),
        (["report", "--sort", "Input"], "Invalid value for '--sort': 'Input' is not one of 'order', "),
        (["debug", "x"], "Invalid value for 'data': 'x' is not one of 'data'"),
        (["values", "maxout"], "maxout takes a group of numbers; values are for functions of one: relu, "),
        (["plot", "relu", "-o", "relu.gif"], "relu.gif ends in none of .png, .svg, .pdf"),
        (["plot", "relu", "-o", "relu"], "relu ends in none of .png, .svg, .pdf"),
        (["plot", "relu", "-o", "/nowhere/relu.png"], "cannot write /nowhere/relu.png: No such file or directory"),
        (["bench", "relu", "--sizes", "many"], "--sizes are whole numbers with commas between"),
        (["bench", "relu", "--sizes", "0"], "a size is at least 1, not 0"),
        (["bench", "relu", "--sizes", str(10**15)], "there is not enough memory for 1,000,000,000,000,000 elements"),
        (["bench", "relu", "--sizes", str(10**20)], "a size is at most 1,152,921,504,606,846,975, not 100,000,000,000,"),
        (
            ["bench", "relu", "--sizes", "9", "--peers", "numpy", "--quick", "--spread", "1e300"],
            "spread is 0.0001 to 10,000, not 1e+300",
        ),
        (["bench", "relu", "--dtype", "int8"], "dtype is one of float16, bfloat16, float32, float64, not 'int8'"),
        (["bench", "relu", "--threads", "0"], "threads is 1 to "),
        (["bench", "relu", "--threads", "9999"], "threads is 1 to "),
        (["bench", "maxout", "--sizes", "3"], "maxout: axis 0 has length 3, which does not divide into groups of 2"),
        (["show"], "Missing argument 'FUNCTION'"),
        (["plot"], "Missing argument 'FUNCTION"),
        (["lst"], "No such command 'lst'"),
        (["zz"], "No such command 'zz'. There are list, show, values, plot, bench, tour, run, report, html, diff, "),
        (["tour", "--out", ""], "--out is a folder, such as build/tour, not ''"),
        (["show", "relu", "--colour"], "No such option"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_mistake_is_one_line(arguments: list[str], line: str, mistake: Callable[..., str]) -> None:
    assert mistake(*arguments).startswith(line)


def test_plot_without_a_display_says_how_to_save(mistake: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "agg")
    assert mistake("plot", "tanh") == "there is no display for a window; save the picture: -o tanh.png"


@pytest.mark.parametrize(
    ("arguments", "backend", "line"),
    [
        ("plot relu", "zz", "matplotlib: Key backend: 'zz' is not a valid value for backend; "),
        ("plot relu -o relu.png", "zz", "matplotlib: Key backend: 'zz' is not a valid value for backend; "),
        ("plot relu", "module://zz", "matplotlib: No module named 'zz'"),
        ("plot relu", "TkAgg", "there is no display for a window; save the picture: -o relu.png"),
        ("tour", "zz", "matplotlib: Key backend: 'zz' is not a valid value for backend; "),
    ],
)
def test_a_backend_that_cannot_draw_is_one_line(arguments: str, backend: str, line: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    ran = process(*arguments.split(), env={**environment, "MPLBACKEND": backend}, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"rectified: {line}")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "line"),
    [
        ("RECTIFIED_ISA", "'zz' is not an instruction set of this machine; it has "),
        ("RECTIFIED_NUM_THREADS", "'zz' is not a number of threads from 1 to 1024"),
    ],
)
@pytest.mark.parametrize("way", ["script", "module"])
def test_a_setting_that_forbids_the_import_is_one_line(way: str, variable: str, line: str, tmp_path: Path) -> None:
    script = tmp_path / "rectified"
    script.write_text("from rectified.cli import main; main()")
    command = [sys.executable, str(script)] if way == "script" else [sys.executable, "-m", "rectified"]
    ran = subprocess.run(
        [*command, "list"], env={**os.environ, variable: "zz"}, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"rectified: {variable}={line}")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "module", "extra"),
    [
        (["plot", "relu", "-o", "relu.png"], "matplotlib", "plot"),
        (["tour"], "matplotlib", "tour"),
        (["tour"], "sklearn", "tour"),
    ],
)
def test_a_missing_extra_names_the_command(
    arguments: list[str], module: str, extra: str, mistake: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert mistake(*arguments) == f'{module} is not installed: pip install "rectified[{extra}]"'


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_without_its_own_extra_it_says_so(module: str) -> None:
    program = f"import runpy, sys; sys.modules[{module!r}] = None; runpy.run_module('rectified', run_name='__main__')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == f'rectified: the command line needs {module}: pip install "rectified[cli]"\n'


def test_a_mistake_leaves_the_process_with_2() -> None:
    ran = process("show", "rleu")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("rectified: no activation is called 'rleu'")


def test_output_to_a_pipe_has_no_escapes() -> None:
    for arguments in (["list"], ["show", "leaky_relu"], ["values", "relu"]):
        ran = process(*arguments, env={**os.environ, "NO_COLOR": "1"})
        assert ran.returncode == 0
        assert "\x1b" not in ran.stdout
        assert ran.stderr == ""


def test_no_color_is_heeded_on_a_terminal() -> None:
    result = CliRunner().invoke(app, ["list"], env={"NO_COLOR": "1", "TERM": "xterm-256color"})
    assert result.exit_code == 0
    assert "\x1b[3" not in result.output


@pytest.mark.parametrize(("arguments", "word"), [("list", "leaky_relu"), ("show relu", "rectifier"), ("--help", "values")])
def test_a_terminal_of_unknown_width_is_served(arguments: str, word: str) -> None:
    ran = process(*arguments.split(), env={**os.environ, "COLUMNS": "0"})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert word in ran.stdout


def test_a_terminal_without_unicode_is_served() -> None:
    ran = process("show", "relu", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "0 to ?" in ran.stdout


@pytest.mark.parametrize("options", [["--csv"], []], ids=["csv", "table"])
def test_a_reader_who_leaves_early_is_no_error(options: list[str]) -> None:
    command = [sys.executable, "-m", "rectified", "values", "relu", "--to", "50000", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == ""


@pytest.mark.parametrize("command", ["list", "values relu", "values relu --to 50000 --csv", "--help"])
def test_a_full_disk_is_one_line(command: str) -> None:
    with open("/dev/full", "w") as full:
        ran = process(*command.split(), capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (ran.returncode, ran.stderr) == (1, "rectified: cannot write the output: No space left on device\n")


@pytest.mark.parametrize(("closed", "gone"), [(">&-", "stdout"), ("2>&-", "stderr"), (">&- 2>&-", "stdout stderr")])
def test_what_is_printed_to_a_closed_stream_is_gone_as_with_python(closed: str, gone: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "program.py").write_text("print('a word')")
    for arguments, code, out, err in (
        ("list", 0, True, ""),
        ("values relu", 0, True, ""),
        ("report", 1, False, "rectified: there is no data file .rectified: rectified run script.py writes one\n"),
        ("run program.py", 0, True, "rectified: no activation was seen\n"),
        ("report", 0, True, ""),
    ):
        command = f'"{sys.executable}" -m rectified {arguments} {closed}'
        ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert ran.returncode == code
        assert bool(ran.stdout) == (out and "stdout" not in gone)
        assert ran.stderr == ("" if "stderr" in gone else err)


def test_nothing_heavy_is_loaded_for_a_small_question() -> None:
    program = (
        "import sys; from rectified.cli import main; main(['values', 'relu']); "
        "print({'torch', 'matplotlib', 'rectified.benchmark', 'sklearn'} & set(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stderr == "set()\n"


def test_the_numbers_are_the_librarys(run: Callable[..., str]) -> None:
    rows = table(run("values", "sigmoid", "--from", "20", "--to", "20"))
    assert math.isclose(rows[0][2], rf.sigmoid.derivative(20.0), rel_tol=1e-5)
