"""The data file: an SQLite database that holds what was seen of a network.

Every write is one transaction, so that a process that is killed while it writes loses nothing that was written before.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from glob import escape
from pathlib import Path
from re import fullmatch
from secrets import randbits
from socket import gethostname
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from rectified.catalogue import catalogue
from rectified.health.evidence import Evidence
from rectified.health.record import Layer, Mode, Run

DEFAULT = Path(".rectified")
VERSION = 1
_APPLICATION = int.from_bytes(b"rctf", "big")
_ARRAYS = {
    "max_slope": "<f8",
    "min_slope": "<f8",
    "fired": "<i8",
    "nans": "<i8",
    "sum_output": "<f8",
    "sum_abs_output": "<f8",
}
_COLUMNS = ("layer", "mode", "first_step", "last_step", "samples", "examples", "gradient_squares", "gradients", *_ARRAYS)
_PATIENCE = 10  # seconds, with whatever holds the file
_MOST = 2**53  # counts up to here are exact in float64
_Windows = dict[tuple[int, str, Mode], dict[int, Evidence]]  # by run, layer and mode; then by the first step

SCHEMA = """
CREATE TABLE run (                  -- a process that trained or used the network
    id INTEGER PRIMARY KEY,         -- random, so that runs of many files can stand in one
    started TEXT NOT NULL,          -- ISO 8601
    command TEXT NOT NULL,
    notes TEXT NOT NULL             -- what could not be seen: a JSON list of sentences
);
CREATE TABLE layer (                -- an activation at its place in the network
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id),
    place INTEGER NOT NULL,         -- in the order of first execution, from 0
    name TEXT NOT NULL,
    function TEXT NOT NULL,         -- its name in rectified.catalogue
    parameters TEXT NOT NULL,       -- those that are not the defaults: a JSON object of numbers
    units INTEGER NOT NULL,
    note TEXT NOT NULL,             -- why the units are not known for certain, or nothing
    feeds_loss TEXT NOT NULL,       -- the loss that takes the outputs as they are, or nothing
    UNIQUE (run, name)
);
CREATE TABLE evidence (             -- what was seen of a layer in one window of steps
    layer INTEGER NOT NULL REFERENCES layer (id),
    mode TEXT NOT NULL,             -- 'train' or 'eval'
    first_step INTEGER NOT NULL,    -- of the optimizer
    last_step INTEGER NOT NULL,
    samples INTEGER NOT NULL,       -- values seen by each unit
    examples INTEGER NOT NULL,      -- rows of the batches they came in, or 0
    gradient_squares REAL NOT NULL, -- of the gradient by the layer's output: the sum of squared lengths
    gradients INTEGER NOT NULL,     -- and the number of batches in that sum
    max_slope BLOB NOT NULL,        -- a number for each unit, little-endian, compressed by zlib:
    min_slope BLOB NOT NULL,        --   float64, the largest and the smallest |f'(x)|
    fired BLOB NOT NULL,            --   int64, values with f'(x) != 0
    nans BLOB NOT NULL,             --   int64, values that were NaN, or in a batch that had NaN
    sum_output BLOB NOT NULL,       --   float64, the sum of f(x)
    sum_abs_output BLOB NOT NULL,   --   float64, the sum of |f(x)|
    PRIMARY KEY (layer, mode, first_step)
);
"""


class DataError(Exception):
    """A data file that can not be read or written, in one line."""


def read(path: Path) -> list[Run]:
    """The runs that a data file holds.

    Raises
    ------
    DataError
        For a file that is missing, damaged, of another program or of a newer version. It stays as it is.
    """
    if not path.exists():
        others = [other.name for other in parts(path)]
        if others:
            raise DataError(f"there is no data file {path}, but {', '.join(others)}: rectified combine makes one of them")
        raise DataError(f"there is no data file {path}: rectified run script.py writes one")
    runs = runs_in(path)
    if not runs:
        raise DataError(f"{path} is empty: nothing has been written to it yet")
    return runs


class Writer:
    """Writes runs to a data file, as often as you like: each time what has changed since.

    What the file held before is replaced by the first write, and not sooner.

    Parameters
    ----------
    path : Path
        The data file.

    Raises
    ------
    DataError
        Where a file of another program, of a newer version, or a damaged one is there, which stays as it is; where there is
        no folder; and where what is there is read-only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()  # the working directory may change
        self._written: _Windows = {}
        runs_in(path)
        folder = self._path.resolve().parent
        if not folder.is_dir():
            raise DataError(f"cannot write {path}: there is no folder {folder}")
        if not all(os.access(needed, os.W_OK) for needed in (folder, path) if needed.exists()):
            raise DataError(f"cannot write {path}: it is read-only")

    def write(self, runs: Iterable[Run]) -> None:
        """Write what is new in `runs`.

        Raises
        ------
        DataError
            Where the file can not be written.
        """
        _refuse_foreign(self._path)
        with _open(self._path, create=True) as connection:
            _create(connection)
            connection.execute("BEGIN IMMEDIATE")
            known = {row[0] for row in connection.execute("SELECT id FROM run")}
            written = self._written if {run for run, _, _ in self._written} <= known else {}
            if not written:
                for table in ("evidence", "layer", "run"):
                    connection.execute(f"DELETE FROM {table}")
            now: _Windows = {}
            for run in runs:
                now |= _write_run(connection, run, written)
            connection.execute("COMMIT")
        self._written = now


def part(path: Path) -> Path:
    """A data file of its own for this process, beside `path`, for `rectified combine` to find.

    Examples
    --------
    >>> from pathlib import Path
    >>> part(Path(".rectified")).name.startswith(".rectified.")
    True
    """
    return path.with_name(f"{path.name}.{gethostname()}.{os.getpid()}.{randbits(32):08x}")


def of_rank(path: Path, rank: int) -> Path:
    """The same for a process of several that train together."""
    return path.with_name(f"{path.name}.rank{rank}")


def erase_ranks(path: Path, first: int) -> None:
    """Delete the data files that such processes of these ranks and higher ones left beside `path`."""
    ranks = {found: found.name.removeprefix(f"{path.name}.rank") for found in parts(path)}
    _erase_all(found for found, rank in ranks.items() if rank.isdecimal() and int(rank) >= first)


def of_child(path: Path, name: str) -> Path:
    """The same for a process that another one started."""
    return path.with_name(f"{path.name}.process{name}")


def of_children(path: Path) -> list[Path]:
    """The data files of such processes beside `path`."""
    prefix = f"{path.name}.process"
    return [found for found in parts(path) if fullmatch(r"\d+(-\d+)*", found.name.removeprefix(prefix))]


def erase_children(path: Path) -> None:
    """Delete them."""
    _erase_all(of_children(path))


def _erase_all(paths: Iterable[Path]) -> None:
    """Delete data files, and leave what is none."""
    for path in paths:
        with suppress(DataError):
            erase(path)


def parts(path: Path) -> list[Path]:
    """The data files that processes wrote beside `path`."""
    beside = path.parent.glob(f"{escape(path.name)}.*")
    return sorted(found for found in beside if not found.name.endswith("-journal"))


def erase(path: Path) -> None:
    """Delete a data file.

    Raises
    ------
    DataError
        Where there is none, or where the file is not a data file.
    """
    if not path.exists():
        others = ", ".join(other.name for other in parts(path))
        raise DataError(
            f"there is no data file {path}" + (f", but {others}: rectified erase --parallel deletes them" if others else "")
        )
    _refuse_foreign(path)
    try:
        path.unlink()
    except OSError as error:
        raise DataError(f"cannot delete {path}: {error.strerror}") from None


def runs_in(path: Path) -> list[Run]:
    """What a data file holds: nothing where there is none, or none so far. Errors are those of `read`."""
    if not path.exists():
        return []
    _refuse_foreign(path)
    with _open(path) as connection:
        connection.execute("BEGIN")
        is_whole = connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
        if not is_whole or connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise sqlite3.DatabaseError
        is_new = connection.execute("PRAGMA user_version").fetchone() == (0,)
        rows = [] if is_new else connection.execute("SELECT * FROM run ORDER BY started, id").fetchall()
        return [_read_run(connection, *row) for row in rows]


def _refuse_foreign(path: Path) -> None:
    """Let data files of this version pass, and empty files."""
    if path.exists() and not path.is_file():
        raise DataError(f"cannot read {path}: it is not a file")
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    if head and (not head.startswith(b"SQLite format 3\0") or head[68:72] != _APPLICATION.to_bytes(4, "big")):
        raise DataError(f"{path} is not a data file of rectified: it was left as it is; --data-file names another place")
    version = int.from_bytes(head[60:64], "big")
    if version > VERSION:
        raise DataError(
            f"{path} has the data format {version}, and this version of rectified reads {VERSION}: update rectified"
        )


@contextmanager
def _open(path: Path, create: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection, whose errors are the user's to understand."""
    address = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    try:
        with closing(sqlite3.connect(address, timeout=_PATIENCE, isolation_level=None, uri=True)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # which says that it lacks a table or a column
            raise DataError(f"cannot use {path}: {error}") from None
        raise DataError(f"{path} is damaged: rectified erase deletes it") from None
    except (sqlite3.Error, zlib.error, ValueError, TypeError, LookupError, AttributeError):
        raise DataError(f"{path} is damaged: rectified erase deletes it") from None


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables where they are missing, in a transaction so small that it does not reach the file in parts."""
    connection.execute("PRAGMA auto_vacuum = FULL")
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone() == (0,):
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
    connection.execute("COMMIT")


def _write_run(connection: sqlite3.Connection, run: Run, written: _Windows) -> _Windows:
    """Write what is not in `written`; what stands in the file then."""
    connection.execute(
        "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?)", [run.id, run.started, run.command, json.dumps(run.notes)]
    )
    now: _Windows = {}
    for place, layer in enumerate(run.layers.values()):
        row = [run.id, place, layer.name, layer.function, json.dumps(dict(layer.parameters))]
        (number,) = connection.execute(
            "INSERT INTO layer (run, place, name, function, parameters, units, note, feeds_loss) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET place = excluded.place, "
            "parameters = excluded.parameters, note = excluded.note, feeds_loss = excluded.feeds_loss RETURNING id",
            [*row, layer.units, layer.note, layer.feeds_loss],
        ).fetchone()
        for mode, history in layer.histories.items():
            key = run.id, layer.name, mode
            before = written.get(key, {})
            now[key] = {window.steps[0]: window for window in history.windows}
            connection.executemany(
                "DELETE FROM evidence WHERE layer = ? AND mode = ? AND first_step = ?",
                [(number, mode, first) for first in before.keys() - now[key].keys()],
            )
            connection.executemany(
                f"INSERT OR REPLACE INTO evidence VALUES ({', '.join('?' * len(_COLUMNS))})",
                [_row(number, mode, window) for first, window in now[key].items() if before.get(first) is not window],
            )
    return now


def _row(layer: int, mode: str, window: Evidence) -> list[Any]:
    packed = [zlib.compress(getattr(window, name).astype(dtype).tobytes(), 1) for name, dtype in _ARRAYS.items()]
    numbers = (window.samples, window.examples, window.gradient_squares, window.gradients)
    return [layer, mode, *window.steps, *numbers, *packed]


def _read_run(connection: sqlite3.Connection, id: int, started: str, command: str, notes: str) -> Run:
    run = Run(command, started, notes=[str(note) for note in json.loads(notes)], id=id)
    of_run = "SELECT id, name, function, units, parameters, note, feeds_loss FROM layer WHERE run = ? ORDER BY place"
    of_layer = f"SELECT {', '.join(_COLUMNS[1:])} FROM evidence WHERE layer = ? ORDER BY first_step"
    for number, name, function, units, parameters, note, feeds_loss in connection.execute(of_run, [id]).fetchall():
        if function not in catalogue:
            raise DataError(f"{name} has the function {function!r}, which this version of rectified does not know")
        if not _are_texts(started, command, name, note, feeds_loss) or not _are_counts(units):
            raise ValueError
        known = {str(key): float(number) for key, number in json.loads(parameters).items()}
        layer = run.layers[name] = Layer(name, function, units, known, note, feeds_loss)
        _ = layer.activation  # which takes no other parameters than its own
        for mode, first, last, samples, examples, squares, gradients, *packed in connection.execute(of_layer, [number]):
            arrays: dict[str, Any] = {
                key: _unpacked(data, _ARRAYS[key], units) for key, data in zip(_ARRAYS, packed, strict=True)
            }
            are_counts = _are_counts(first, last, samples, examples, gradients)
            if mode not in get_args(Mode) or not are_counts or first > last or not float(squares) >= 0:
                raise ValueError
            numbers = {"gradient_squares": float(squares), "gradients": gradients, "examples": examples}
            layer.add(Evidence(samples, (first, last), **arrays, **numbers), mode)
    return run


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def _are_counts(*values: object) -> bool:
    return all(isinstance(value, int) and 0 <= value < _MOST for value in values)


def _unpacked(data: bytes, dtype: str, units: int) -> NDArray[Any]:
    numbers = np.frombuffer(zlib.decompressobj().decompress(data, 8 * units + 1), dtype)
    if numbers.size != units:
        raise ValueError
    return numbers
