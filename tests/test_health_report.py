"""The reports: what they say, in which form, and with which exit code."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import rectified as rf
from planted import ALWAYS_ON, BACK, DEAD, DIED, SATURATED, planted
from rectified.cli import main
from rectified.health import Evidence, Run
from rectified.health.html import page
from rectified.health.report import Report, percent, ranges
from rectified.health.store import Writer, part, read
from rectified.health.text import as_markdown, as_text

NAME = "a|b <script>*x*</script>$x$\n\x1b[31m\u202e"


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.of([planted()])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Writer(Path(".rectified")).write([planted(steps=150)])
    return tmp_path / ".rectified"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return (code, *capsys.readouterr())

    return run


def untrained() -> Run:
    run = Run()
    for name, units in (("small", 3), ("large", 10_000)):
        x = np.tile([[1.0], [-1.0]], units)
        x[:, :1] = -1
        run.layer(name, "relu", units).add(Evidence.of(rf.relu, x))
    return run


# ---- numbers ---------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 60)))
def test_ranges_name_the_units_and_no_others(units: set[int]) -> None:
    named = set()
    for part_of in filter(None, ranges(sorted(units)).split(", ")):
        low, _, high = part_of.partition("-")
        named |= set(range(int(low), int(high or low) + 1))
        assert int(low) - 1 not in units
        assert int(high or low) + 1 not in units
    assert named == units


@given(st.integers(1, 10_000_000), st.data())
def test_only_all_is_100_percent_and_only_none_is_0(units: int, data: st.DataObject) -> None:
    alive = data.draw(st.integers(0, units))
    shown = percent(100 * alive / units)
    assert (shown == "100%") == (alive == units)
    assert (shown == "0%") == (alive == 0)
    assert re.fullmatch(r"100%|0%|\d\d?\.\d%", shown)
    assert abs(float(shown.rstrip("%")) - 100 * alive / units) <= 0.1


# ---- JSON ------------------------------------------------------------------------------------------------------------


def test_json_has_the_documented_form(report: Report) -> None:
    found = json.loads(report.as_json())
    assert list(found) == ["format", "layers", "totals", "findings", "notes"]
    assert found["format"] == 1
    relu, sigmoid = found["layers"]
    assert list(relu)[:10] == [
        *("name", "function", "units", "samples", "steps", "dead", "saturated", "linear", "alive_percent", "windows")
    ]
    assert list(relu)[10:] == ["parameters", "mode", "unseen", "histories", "scores"]
    assert (relu["name"], relu["function"], relu["units"]) == ("net.1", "relu", 64)
    assert (relu["samples"], relu["steps"]) == (6400, [0, 199])
    assert relu["dead"] == sorted(DEAD + DIED)
    assert (relu["saturated"], relu["linear"]) == ([], ALWAYS_ON)
    assert (sigmoid["dead"], sigmoid["saturated"], sigmoid["linear"]) == ([], SATURATED, [])
    assert relu["alive_percent"] == 100 * 57 / 64
    assert relu["histories"] == [
        *({"unit": unit, "state": "dead", "since": 0, "from_start": True} for unit in DEAD),
        *({"unit": unit, "state": "dead", "since": 120, "from_start": False} for unit in DIED),
        {"unit": BACK[0], "state": "alive", "died": 60, "came_back": 100},
        {"unit": ALWAYS_ON[0], "state": "linear", "since": 0, "from_start": True},
    ]
    assert len(relu["windows"]) == 50
    assert relu["windows"][0] | {"mean_output": 0, "share_of_firing": 0} == {
        "samples": 128,
        "steps": [0, 3],
        "silent": 4,
        "share_of_firing": 0,
        "mean_output": 0,
        "gradient_norm": np.sqrt(32 * 64),
    }
    assert relu["windows"][-1]["silent"] == 6
    scores = relu["scores"]
    assert list(scores) == [
        *("samples", "steps", "share_of_firing", "mean_output", "dormant_score", "dormant", "gradient_norm"),
    ]
    assert scores["dormant"] == sorted(DEAD + DIED)
    assert [len(scores[name]) for name in ("share_of_firing", "mean_output", "dormant_score")] == [64, 64, 64]
    assert found["totals"] == {
        **{"units": 104, "dead": 6, "saturated": 7, "linear": 1, "unseen": 0},
        **{"alive": 90, "alive_percent": 100 * 90 / 104},
    }
    assert found["findings"] == found["notes"] == []


def test_a_unit_stands_in_one_list_at_most() -> None:
    run = Run()
    rng = np.random.default_rng(0)
    for name in rf.catalogue.of("ridge"):
        activation = rf.catalogue[name]
        run.layer(name, name, 300).add(
            Evidence.of(activation, 10.0 ** rng.uniform(-6, 3, (3, 300)) * rng.choice([-1, 1], 300))
        )
    for layer in json.loads(Report.of([run]).as_json())["layers"]:
        together = [unit for name in ("dead", "saturated", "linear", "unseen") for unit in layer[name]]
        assert len(together) == len(set(together))


def test_json_has_no_nan() -> None:
    run = Run(notes=["a note"])
    run.layer("overflow", "relu", 2).add(Evidence.of(rf.relu, [[np.nan, np.inf], [np.nan, -np.inf]], gradient=[[np.inf]]))
    run.layers["overflow"].feeds_loss = "cross_entropy"
    found = json.loads(Report.of([run]).as_json(), parse_constant=lambda name: pytest.fail(name))
    (layer,) = found["layers"]
    assert layer["scores"]["mean_output"] == [None, None]
    assert layer["unseen"] == [0]
    assert found["notes"] == ["a note"]
    assert [finding["kind"] for finding in found["findings"]] == ["relu_on_output", "nan_inputs"]
    assert all(list(finding) == ["kind", "layer", "message"] for finding in found["findings"])


def test_layers_stand_in_the_order_of_first_execution() -> None:
    runs = [Run(), Run()]
    for run, names in zip(runs, ("zxc", "zayc"), strict=True):
        for name in names:
            run.layer(name, "relu", 1).add(Evidence.of(rf.relu, [[1.0]]))
    assert [verdict.layer.name for verdict in Report.of(runs).layers] == ["z", "x", "c", "a", "y"]


def test_without_evidence_there_is_a_report_still() -> None:
    empty = Report.of([Run()])
    found = json.loads(empty.as_json())
    assert (found["totals"]["alive_percent"], found["notes"]) == (None, ["no activation was seen"])
    assert as_text(empty).splitlines()[-4].split() == ["total", "0", "0", "0", "0", "–"]
    assert "no activation was seen" in as_text(empty).splitlines()[-1]


def test_what_notes_say_of_several_uses_stands_once() -> None:
    run = Run(notes=["a: unknown", "b: unknown", *(f"a (use {use}): unknown" for use in (3, 4, 5)), "b (use 2): a loss"])
    run.layer("c (use 2)", "relu", 1).note = run.layer("c (use 3)", "relu", 1).note = "mixed"
    for layer in run.layers.values():
        layer.add(Evidence.of(rf.relu, np.array([[1.0], [-1.0]])))
    expected = ["a (uses 1, 3-5): unknown", "b: unknown", "b (use 2): a loss", "c (uses 2-3): mixed"]
    report = Report.of([run])
    assert report.notes == json.loads(report.as_json())["notes"] == expected
    assert all(note in str(report) for note in expected)
    assert len(run.notes) == 6


def test_there_are_two_modes() -> None:
    with pytest.raises(ValueError, match="'train' or 'eval', not 'test'"):
        Report.of([Run()], "test")  # type: ignore[arg-type]


# ---- text ------------------------------------------------------------------------------------------------------------


def test_text_says_what_is_the_matter(report: Report) -> None:
    lines = as_text(report).splitlines()
    assert lines[0] == "train mode"
    assert lines[2].split() == [
        "layer",
        "function",
        "units",
        "samples",
        "steps",
        *("dead", "saturated", "linear", "alive", "which"),
    ]
    cells = ["net.1", "relu", "64", "6,400", "0-199", "6", "0", "1", "89.1%"]
    assert lines[4].split() == [*cells, "dead", "from", "the", "start:", "3,", "7-9"]
    assert [line.strip() for line in lines[5:8]] == [
        *("dead since step 120: 12-13", "linear from the start: 30", "died and came back: 20"),
    ]
    assert lines[8].split() == [
        *("net.3", "sigmoid", "40", "6,400", "0-199", "0", "7", "0", "82.5%", "saturated", "from", "the", "start:", "5-11"),
    ]
    assert lines[-3].split() == ["total", "104", "6", "7", "1", "86.5%"]
    assert lines[-1].startswith("linear: can learn")
    assert "linear: can learn" not in as_text(Report.of([untrained()]))
    assert len({line.index("dead from") for line in lines if "dead from" in line}) == 1


def test_a_report_is_printed_as_its_text(report: Report) -> None:
    assert str(report) == as_text(report)
    assert report._repr_html_().startswith("<pre>train mode\n")


@pytest.mark.parametrize("width", [40, 80, 100, 125, 140])
def test_text_fits_the_terminal_where_it_can(report: Report, width: int) -> None:
    text = as_text(report, width)
    assert "dead since step 120: 12-13" in text
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width


def test_long_names_are_folded_in_a_terminal() -> None:
    run = Run()
    for name in ("", "x" * 150):
        run.layer(name, "relu", 1).add(Evidence.of(rf.relu, [[1.0], [-2.0]]))
    text = as_text(Report.of([run]), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("x") == 150
    assert "x" * 150 in as_text(Report.of([run]))


def test_many_units_are_cut_short() -> None:
    run = Run()
    x = np.where(np.arange(1000) % 2, 1.0, -1.0)
    run.layer("hidden", "relu", 1000).add(Evidence.of(rf.relu, [x, -np.abs(x)]))
    text = as_text(Report.of([run]))
    assert "dead from the start: 0, 2, 4, " in text
    assert ", 38, and 480 more ranges" in text


def test_many_deaths_at_many_times_are_cut_short() -> None:
    run = Run()
    for step in range(64):
        x = np.where(np.arange(30) < step - 10, -1.0, 1.0) * np.ones((30, 1))
        x[::2] = -1
        run.layer("hidden", "relu", 30).add(Evidence.of(rf.relu, x, step=step))
    assert "dead since steps 11 to 40: 0-29" in as_text(Report.of([run]))


def test_names_do_nothing_to_a_terminal_or_a_page() -> None:
    run = Run(notes=[NAME])
    run.layer(NAME, "relu", 1).add(Evidence.of(rf.relu, [[-1.0]]))
    text = as_text(Report.of([run]))
    for shown in (text, page(Report.of([run]))):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", shown)
    assert len([line for line in text.splitlines() if "a|b <script>*x*</script>" in line]) == 3
    cells = (
        r"| a\|b \<script\>\*x\*\</script\>\$x\$"
        + "\N{REPLACEMENT CHARACTER}" * 2
        + r"\[31m"
        + "\N{REPLACEMENT CHARACTER} | relu | 1 |"
    )
    assert cells in as_markdown(Report.of([run]))


def test_columns_stand_below_each_other_whatever_the_letters() -> None:
    run = Run()
    for name in ("plain", "\u7f51\u7edc.\u5c42", "\N{FIRE}", "ne\N{COMBINING ACUTE ACCENT}t", "\u1112\u1161\u11ab"):
        run.layer(name, "relu", 1).add(Evidence.of(rf.relu, [[-1.0]]))
    lines = as_text(Report.of([run])).splitlines()[2:]
    assert len({cell_len(normalize("NFC", line).partition("relu")[0]) for line in lines if "relu" in line}) == 1
    assert len({cell_len(normalize("NFC", line).partition("dead from")[0]) for line in lines if "relu" in line}) == 1
    assert cell_len(lines[1]) == max(map(cell_len, lines[2:7]))


def test_markdown_is_a_table(report: Report) -> None:
    *lines, empty, meaning = as_markdown(report).splitlines()
    assert (empty, meaning.partition(":")[0]) == ("", "linear")
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == len(lines) * [11]
    assert lines[0].split(" | ")[0] == "| layer"
    assert re.fullmatch(r"(\| (---|--:) )+\|", lines[1])
    assert lines[2].endswith(
        "| dead from the start: 3, 7-9<br>dead since step 120: 12-13<br>linear from the start: 30<br>"
        "died and came back: 20 |"
    )
    assert lines[-1].startswith("| total in train mode |")


# ---- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("data")
def test_report_prints_the_report(run: Callable[..., tuple[int, str, str]], data: Path) -> None:
    expected = Report.of(read(data))
    assert run("report") == (0, as_text(expected) + "\n", "")
    assert run("report", "--data-file", str(data), "--format", "markdown") == (0, as_markdown(expected) + "\n", "")
    assert run("report", "--format", "json") == (0, expected.as_json() + "\n", "")


@pytest.mark.parametrize(("limit", "code"), [("86.53", 0), ("86.54", 2), ("95", 2), ("0", 0), ("100", 2)])
@pytest.mark.usefixtures("data")
def test_fail_under_compares_before_it_rounds(limit: str, code: int, run: Callable[..., tuple[int, str, str]]) -> None:
    found, out, err = run("report", "--fail-under", limit, "--format", "json")
    assert found == code
    assert json.loads(out)["totals"]["alive_percent"] == 100 * 90 / 104
    message = f"rectified: 86.5% of the units are alive, which is less than --fail-under {limit}\n"
    assert err == (message if code else "")


def test_99_9_percent_is_less_than_100(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    Writer(tmp_path / "data").write([untrained()])
    code, out, err = run("report", "--data-file", str(tmp_path / "data"), "--fail-under", "100", "--layer", "large")
    assert code == 2
    assert " 99.9%" in out
    assert "100%" not in out
    assert err == "rectified: 99.9% of the units are alive, which is less than --fail-under 100\n"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("act [0]", ["act [0]"]), ("act 0", ["act 0"]), ("act*", ["act 0", "act [0]"]), ("act [0-3]", ["act 0"])],
)
def test_a_layer_is_found_by_its_name_whatever_that_is(pattern: str, names: list[str]) -> None:
    run = Run()
    for name in ("act 0", "act [0]", "other"):
        run.layer(name, "relu", 1).add(Evidence.of(rf.relu, [[1.0]]))
    assert [verdict.layer.name for verdict in Report.of([run]).only(pattern).layers] == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("order", ["small", "large", "b"]),
        ("name", ["b", "large", "small"]),
        ("units", ["large", "small", "b"]),
        ("dead", ["small", "large", "b"]),
        ("alive", ["b", "small", "large"]),
        ("saturated", ["b", "small", "large"]),
        ("linear", ["small", "large", "b"]),
    ],
)
def test_layers_are_sorted(order: str, names: list[str], tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    layers = untrained()
    layers.layer("b", "sigmoid", 1).add(Evidence.of(rf.sigmoid, [[20.0]]))
    Writer(tmp_path / "data").write([layers])
    code, out, _ = run("report", "--data-file", str(tmp_path / "data"), "--sort", order, "--format", "json")
    assert code == 0
    assert [layer["name"] for layer in json.loads(out)["layers"]] == names


@pytest.mark.usefixtures("data")
def test_layers_are_chosen_by_a_pattern(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run("report", "--layer", "*.3", "--format", "json")
    assert code == 0
    assert [layer["name"] for layer in json.loads(out)["layers"]] == ["net.3"]
    assert json.loads(out)["totals"]["units"] == 40
    assert run("report", "--layer", "conv*") == (2, "", "rectified: no layer's name fits 'conv*'; there are net.1, net.3\n")
    with_many = Run()
    for number in range(300):
        with_many.layer(f"{NAME}{number}", "relu", 1).add(Evidence.of(rf.relu, [[1.0]]))
    Writer(Path(".rectified")).write([with_many])
    _, _, said = run("report", "--layer", "conv*")
    assert said.endswith(" and 290 others\n")
    assert said[:-1].isprintable()


@pytest.mark.usefixtures("data")
def test_thresholds_are_options_of_the_report(run: Callable[..., tuple[int, str, str]]) -> None:
    def total(name: str, *options: str) -> int:
        return int(json.loads(run("report", "--format", "json", *options)[1])["totals"][name])

    assert total("saturated") == 7
    assert total("saturated", "--saturated", "0") == 0
    assert total("linear", "--linear", "1") > total("linear")


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "--fail-under", "101"],
        ["report", "--format", "xml"],
        ["report", "--sort", "colour"],
        ["report", "--saturated", "2"],
        ["report", "--mode", "test"],
        ["diff", ".rectified"],
        ["debug"],
        ["debug", "code"],
        ["combine"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("data")
def test_a_mistake_is_one_line_and_2(arguments: list[str], run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("rectified: ")
    assert err.count("\n") == 1


def test_parts_are_combined_into_the_evidence_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    where = Path(".rectified")
    ranks = [untrained(), untrained()]
    ranks[1].layers["small"].add(Evidence.of(rf.relu, [[1.0, 1.0, 1.0]]))  # alive in this rank
    for rank in ranks:
        Writer(part(where)).write([rank])
    Path(".rectified.toml").touch()
    assert run("combine")[0] == 1  # this one is not a data file, so nothing happens
    assert not where.exists()
    Path(".rectified.toml").unlink()
    assert run("combine", "--keep") == (0, ".rectified holds 2 runs\n", "")
    assert len(list(tmp_path.iterdir())) == 3
    code, out, err = run("combine")
    assert (code, err) == (0, "")
    assert out.startswith(".rectified holds 2 runs\ndeleted, since it holds what they did: .rectified.")
    assert [path.name for path in tmp_path.iterdir()] == [".rectified"]
    assert {found.id for found in read(where)} == {rank.id for rank in ranks}
    assert Report.of(read(where)).totals.dead == 1
    Writer(Path("third")).write([untrained()])
    assert run("combine", "--append", "--keep", "third") == (0, ".rectified holds 3 runs\n", "")
    told = ".rectified holds 3 runs\ndeleted, since it holds what they did: third\n"
    assert run("combine", "--append", "third") == (0, told, "")  # it was there already
    assert not Path("third").exists()
    Writer(Path("fourth")).write([untrained()])
    told = ".rectified holds 1 run\nit held 3 others, which --append would have kept\n"
    assert run("combine", "--keep", "fourth") == (0, told, "")


def test_runs_of_different_networks_are_not_combined(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    other = Run()
    other.layer("small", "tanh", 3).add(Evidence.of(rf.tanh, [[1.0, 2.0, 3.0]]))
    for name, found in (("a", untrained()), ("b", other)):
        Writer(tmp_path / name).write([found])
    code, out, err = run("combine", str(tmp_path / "a"), str(tmp_path / "b"), "--data-file", str(tmp_path / "c"))
    assert (code, out) == (2, "")
    assert (
        err == "rectified: small has 3 units of relu in one run and 3 units of tanh in another: take runs of one network\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_diff_tells_what_died_and_what_came_back(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    files = [str(tmp_path / name) for name in "ab"]
    for path, dead, extra in zip(files, ([1, 2], [2, 5, 6, 7]), ("early", "late"), strict=True):
        x = np.tile([[1.0], [-1.0]], 9)
        x[:, dead] = -1
        found = Run()
        found.layer("hidden", "relu", 9).add(Evidence.of(rf.relu, x))
        found.layer(extra, "relu", 1).add(Evidence.of(rf.relu, [[1.0], [-1.0]]))
        Writer(Path(path)).write([found])
    told = "hidden: died: 5-7\nhidden: came back: 1\nearly: only in the first file\nlate: only in the second file\n"
    assert run("diff", *files) == (0, told, "")
    assert json.loads(run("diff", *files, "--format", "json")[1]) == {
        "format": 1,
        "changes": [{"layer": "hidden", "state": "dead", "entered": [5, 6, 7], "left": [1]}],
        "not_compared": [],
        "only_before": ["early"],
        "only_after": ["late"],
    }
    assert run("diff", files[0], files[0]) == (0, "no unit has changed its state\n", "")


def test_diff_compares_the_layers_that_have_as_many_units(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    files = [str(tmp_path / name) for name in "ab"]
    for path, units in zip(files, (2, 3), strict=True):
        found = Run()
        found.layer("hidden", "relu", units).add(Evidence.of(rf.relu, np.ones((1, units))))
        found.layer("last", "relu", 1).add(Evidence.of(rf.relu, [[1.0], [-1.0]] if units == 2 else [[-1.0]]))
        Writer(Path(path)).write([found])
    line = "hidden: not compared: 2 units in the first file, 3 in the second\n"
    assert run("diff", *files) == (0, f"last: died: 0\n{line}", "")
    told = json.loads(run("diff", *files, "--format", "json")[1])
    assert told["not_compared"] == [{"layer": "hidden", "before": 2, "after": 3}]
    assert [change["layer"] for change in told["changes"]] == ["last"]


def test_erase_deletes_the_data_file_and_no_other(data: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    other = data.parent / "notes"
    other.write_text("mine")
    assert run("erase", "--data-file", str(other))[0] == 1
    Writer(part(data)).write([planted(steps=2)])
    assert run("erase") == (0, "", "")
    (beside,) = (path.name for path in data.parent.iterdir() if path.name != "notes")
    line = f"there is no data file .rectified, but {beside}: rectified erase --parallel deletes them"
    assert run("erase") == (1, "", f"rectified: {line}\n")
    assert run("erase", "--parallel") == (0, "", "")
    assert [path.name for path in data.parent.iterdir()] == ["notes"]
    assert run("erase") == run("erase", "--parallel") == (1, "", "rectified: there is no data file .rectified\n")


def test_debug_shows_what_a_file_holds(data: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run("debug", "data")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{data}: {data.stat().st_size:,} bytes, data format 1"
    assert re.fullmatch(r"run [0-9a-f]+, started 2026-11-25T18:00:00: python train.py", lines[2])
    assert lines[3:5] == ["  net.1: 64 units of relu", "    train: steps 0 to 149, 4,800 samples in 38 windows of 4 steps"]
