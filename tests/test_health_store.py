"""The data file: what goes in comes out, whatever happens while it is written, and foreign files stay as they are."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rectified as rf
from planted import planted
from rectified.cli import main
from rectified.health import Evidence, Run, store
from rectified.health.record import Mode
from rectified.health.store import DataError, Writer, read

MODES: tuple[Mode, ...] = ("train", "eval")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".rectified"


def same(one: Run, other: Run) -> None:
    assert (one.id, one.command, one.started, one.notes) == (other.id, other.command, other.started, other.notes)
    assert list(one.layers) == list(other.layers)
    for layer, again in zip(one.layers.values(), other.layers.values(), strict=True):
        for name in ("name", "function", "units", "parameters", "note", "feeds_loss"):
            assert getattr(layer, name) == getattr(again, name)
        assert layer.histories.keys() == again.histories.keys()
        for mode, history in layer.histories.items():
            windows = zip(history.windows, again.histories[mode].windows, strict=True)
            for window, after in windows:
                for name, expected in vars(window).items():
                    np.testing.assert_array_equal(getattr(after, name), expected, err_msg=name)


def everything() -> Run:
    run = planted()
    run.notes += ["a note", 'of "two" 行']
    layer = run.layer("head'; DROP TABLE run; --", "leaky_relu", 2, {"slope": 0.1})
    layer.note, layer.feeds_loss = "who knows", "cross_entropy"
    layer.add(Evidence.of(rf.leaky_relu, [[np.nan, 1e300], [np.nan, -np.inf]]), "eval")
    layer.add(Evidence.of(rf.leaky_relu, [[1.0, 2.0]], step=2**40), "train")
    run.layer("never ran", "tanh", 5)
    return run


def test_what_goes_in_comes_out(path: Path) -> None:
    runs = [everything(), Run("later", "2027")]
    Writer(path).write(runs)
    for one, other in zip(runs, read(path), strict=True):
        same(one, other)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_writing_again_and_again_is_like_writing_once(path: Path) -> None:
    run, writer = Run(), Writer(path)
    rng = np.random.default_rng(0)
    for step in range(150):
        for mode in MODES:
            run.layer("hidden", "tanh", 3).add(Evidence.of(rf.tanh, rng.normal(size=(4, 3)), step=step), mode)
        if step % 11 == 0:
            run.notes.append(f"note {step}")
            run.layer(f"new at {step}", "relu", 1)
            run.layers["hidden"].note = f"since {step}"
            writer.write([run])
            same(run, read(path)[0])


def test_a_second_write_touches_what_has_changed_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, writer = planted(), Writer(path)
    writer.write([run])
    rows: list[str] = []
    monkeypatch.setattr(
        store, "_row", lambda layer, mode, window, row=store._row: rows.append(mode) or row(layer, mode, window)
    )
    run.layers["net.1"].add(Evidence.of(rf.relu, np.ones((1, 64)), step=199))
    writer.write([run])
    assert rows == ["train"]
    same(run, read(path)[0])


def test_the_first_write_replaces_what_was_there(path: Path) -> None:
    Writer(path).write([planted(), planted(1)])
    size = path.stat().st_size
    writer = Writer(path)
    assert len(read(path)) == 2
    writer.write([Run("new")])
    assert [run.command for run in read(path)] == ["new"]
    assert path.stat().st_size < size / 2


def test_a_file_that_was_deleted_meanwhile_is_written_anew(path: Path) -> None:
    run, writer = planted(), Writer(path)
    writer.write([run])
    path.unlink()
    writer.write([run])
    same(run, read(path)[0])


CRASH = """
import os, signal, sys, zlib
from pathlib import Path
import numpy as np
import rectified as rf
from rectified.health import Evidence, Run
from rectified.health.store import Writer

run, writer = Run(), Writer(Path(sys.argv[1]))
rng = np.random.default_rng(0)
def train(step):
    for name in "abcdef":
        run.layer(name, "tanh", 60_000).add(Evidence.of(rf.tanh, rng.normal(size=(2, 60_000)), step=step))
train(0)
if sys.argv[2] == "later":
    writer.write([run])
    train(1)
compress, calls = zlib.compress, iter(range(33))
def crash(*arguments):
    if next(calls, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return compress(*arguments)
zlib.compress = crash
writer.write([run])
"""


@pytest.mark.parametrize("when", ["later", "first"])
def test_a_crash_while_writing_loses_nothing_that_was_written(when: str, path: Path) -> None:
    if when == "first":  # of this process, over an older file
        Writer(path).write([planted()])
    ran = subprocess.run([sys.executable, "-c", CRASH, str(path), when], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert path.with_name(f"{path.name}-journal").stat().st_size > 0  # it was in the midst of it
    (run,) = read(path)
    if when == "first":
        assert list(run.layers) == ["net.1", "net.3"]
        return
    rng = np.random.default_rng(0)
    for layer in run.layers.values():
        (window,) = layer.histories["train"].windows
        expected = Evidence.of(rf.tanh, rng.normal(size=(2, 60_000)))
        np.testing.assert_array_equal(window.sum_output, expected.sum_output)


def test_a_crash_in_the_very_first_write_leaves_an_empty_file(path: Path) -> None:
    subprocess.run([sys.executable, "-c", CRASH, str(path), "first"], check=False)
    with pytest.raises(DataError, match=r"\.rectified is empty: nothing has been written to it yet$"):
        read(path)
    Writer(path).write([planted()])
    assert read(path)


def changed(path: Path, change: Callable[[bytearray], None]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def foreign_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE run (id INTEGER)")
    connection.close()


def value(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def with_number(column: str, number: float) -> Callable[[Path], None]:
    return lambda path: value(path, f"UPDATE evidence SET {column} = ? WHERE rowid = 1", number)


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda path: path.write_text("coverage's?"), "is not a data file of rectified: it was left as it is"),
        (foreign_database, "is not a data file of rectified: it was left as it is"),
        (
            lambda path: value(path, "PRAGMA user_version = 2"),
            "has the data format 2, and this version of rectified reads 1: update",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:20_000]), "is damaged"),
        (lambda path: changed(path, lambda data: data.__setitem__(slice(4096, 4500), b"?" * 404)), "is damaged"),
        (lambda path: value(path, "UPDATE evidence SET fired = substr(fired, 1, 20)"), "is damaged"),
        (lambda path: value(path, "UPDATE evidence SET nans = 'text'"), "is damaged"),
        (lambda path: value(path, "UPDATE layer SET units = 3"), "is damaged"),
        (lambda path: value(path, "UPDATE layer SET parameters = '[1'"), "is damaged"),
        (lambda path: value(path, "UPDATE layer SET parameters = '[1]'"), "is damaged"),
        (lambda path: value(path, """UPDATE layer SET parameters = '{"slope": 1}'"""), "is damaged"),
        (lambda path: value(path, "UPDATE evidence SET samples = 'text'"), "is damaged"),
        (lambda path: value(path, "UPDATE evidence SET gradient_squares = 'text'"), "is damaged"),
        *(
            (with_number(column, number), "is damaged")
            for column in ("samples", "examples", "gradients", "gradient_squares", "first_step", "last_step")
            for number in (-1, *(() if column == "gradient_squares" else (0.5, 1e308, 2**62, float("inf"))))
        ),
        (lambda path: value(path, "UPDATE layer SET units = ?", 2**62), "is damaged"),
        (lambda path: value(path, "UPDATE layer SET name = ? WHERE place = 0", b"name"), "is damaged"),
        (lambda path: value(path, "UPDATE evidence SET mode = 'test'"), "is damaged"),
        (lambda path: value(path, "UPDATE layer SET run = 7"), "is damaged"),
        (lambda path: value(path, "DELETE FROM layer"), "is damaged"),
        (lambda path: value(path, "DROP TABLE evidence"), "is damaged: rectified erase deletes it"),
        (lambda path: value(path, "UPDATE layer SET function = 'gelu3'"), "has the function 'gelu3', which this version"),
        (lambda path: path.unlink(), "there is no data file"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot read"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is not a file"),
        (lambda path: path.write_bytes(b""), "is empty: nothing has been written to it yet"),
    ],
)
@pytest.mark.parametrize("command", ["report", "html", "combine"])
def test_a_bad_file_is_one_line_and_stays_as_it_is(
    command: str, harm: Callable[[Path], None], line: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Writer(path).write([planted(steps=3)])
    harm(path)
    before = path.read_bytes() if path.is_file() else None
    arguments = {
        "report": ["report", "--data-file", str(path)],
        "html": ["html", "--data-file", str(path), "--out", str(path.parent / "page")],
        "combine": ["combine", str(path), "--data-file", str(path.parent / "combined")],
    }[command]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("rectified: ")
    assert line in printed.err
    assert printed.err.count("\n") == 1
    assert (path.read_bytes() if path.is_file() else None) == before
    assert {file.name for file in path.parent.iterdir()} <= {path.name}


@pytest.mark.parametrize("content", [b"not a data file", b"SQLite format 3\0" + bytes(200)])
def test_a_writer_refuses_a_foreign_file_before_anything_runs(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a data file of rectified: it was left as it is"):
        Writer(path)
    assert path.read_bytes() == content


def test_a_writer_refuses_a_damaged_file_before_anything_runs(path: Path) -> None:
    Writer(path).write([planted(steps=3)])
    changed(path, lambda data: data.__setitem__(slice(100, 600), b"?" * 500))
    before = path.read_bytes()
    with pytest.raises(DataError, match="is damaged"):
        Writer(path)
    assert path.read_bytes() == before


def test_a_writer_refuses_what_is_damaged_near_its_end(path: Path) -> None:
    Writer(path).write([planted(steps=3)])
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"is damaged: rectified erase deletes it$"):
        Writer(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line(path: Path) -> None:
    Writer(path).write([Run()])
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read(path)


def test_a_file_that_is_being_written_can_be_read(path: Path) -> None:
    Writer(path).write([planted()])
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    busy.execute("DELETE FROM evidence")
    assert len(read(path)) == 1
    busy.execute("ROLLBACK")
    busy.close()


def test_a_place_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^cannot write .*/nowhere/data: there is no folder .*/nowhere$"):
        Writer(tmp_path / "nowhere" / "data")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere" / "data")
    with pytest.raises(DataError, match=r"^cannot write .*/link: there is no folder .*/nowhere$"):
        Writer(link)


@pytest.mark.parametrize("what", ["the folder", "the file"])
def test_what_is_read_only_is_refused_before_anything_runs(what: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Writer(path).write([Run()])
    fixed = path if what == "the file" else path.parent
    monkeypatch.setattr(os, "access", lambda at, _: at != fixed)
    with pytest.raises(DataError, match=r"^cannot write .*/\.rectified: it is read-only$"):
        Writer(path)


def test_a_file_that_can_not_be_deleted_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(_: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    Writer(path).write([Run()])
    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(DataError, match=r"^cannot delete .*/\.rectified: Read-only file system$"):
        store.erase(path)


def test_the_schema_is_the_documented_one(path: Path) -> None:
    Writer(path).write([Run()])
    connection = sqlite3.connect(path)
    tables = [row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")]
    connection.close()
    assert tables == [statement.strip() for statement in store.SCHEMA.split(";") if statement.strip()]
    # SQLite keeps both of these numbers where its file format says, so that `file` and others can read them too.
    head = path.read_bytes()[:100]
    assert head[68:72] == b"rctf"
    assert int.from_bytes(head[60:64], "big") == store.VERSION


def test_parts_are_found_and_no_two_are_the_same(path: Path) -> None:
    names = [store.part(path) for _ in range(20)]
    assert len(set(names)) == 20
    for name in names:
        name.touch()
    (path.parent / f"{names[0].name}-journal").touch()
    assert store.parts(path) == sorted(names)
