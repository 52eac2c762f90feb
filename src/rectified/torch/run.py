"""Running a Python program as python does, and writing what its networks' units did, whatever way it ends."""

from __future__ import annotations

import builtins
import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from rectified.health.store import DataError, Writer, erase_ranks, of_rank, part, runs_in
from rectified.mistake import Mistake, complain
from rectified.torch.own_frames import without_own_frames
from rectified.torch.process import Process, process_of

_NAME = " (rank {})"


def run(
    arguments: Sequence[str],
    *,
    module: bool = False,
    every: int = 1,
    data_file: Path,
    append: bool = False,
    parallel: bool = False,
) -> int:
    """Run a program in this process.

    Parameters
    ----------
    arguments : sequence of str
        The script, or the module's name, and what follows it.
    module : bool
        Whether it is a module's name.
    every : int
        Look at one step of the optimizer of so many.
    data_file : Path
        Where to write what was seen. A process that torchrun started has a file of its own beside it.
    append : bool
        Go on with the last run in the data file, if there is one: steps are counted on from its last.
    parallel : bool
        Write to a file that has a name of its own, for ``rectified combine``.

    Returns
    -------
    int
        0; a program that ends otherwise does so as if python ran it.

    Raises
    ------
    Mistake
        Where there is no such program, or the data file is none.
    """
    if append and parallel:
        raise Mistake("--append goes on with a data file, and --parallel begins a new one: leave one of them out")
    program = _Program.of_module(arguments) if module else _Program.of_script(arguments)
    command = shlex.join([*(["-m"] if module else []), *arguments])
    rank = os.environ.get("RANK", "")
    if parallel:
        data_file = part(data_file)
    elif rank.isdecimal():
        command += _NAME.format(int(rank))
        data_file = _of_rank(data_file, int(rank), append)
    process = Process(data_file, every, command, append=append)
    try:
        program.execute()
    finally:
        process.finish()
    return 0


class _Program:
    """A program's code, and the names that python gives it."""

    def __init__(self, code: CodeType, arguments: Sequence[str], folder: str, names: dict[str, Any]) -> None:
        self._code = code
        self._arguments = list(arguments)
        self._folder = folder
        self._names = names

    @classmethod
    def of_script(cls, arguments: Sequence[str]) -> _Program:
        __tracebackhide__ = True
        path = Path(arguments[0])
        if path.is_dir():
            path /= "__main__.py"
        try:
            source = path.read_bytes()
        except OSError as error:
            raise Mistake(f"cannot run {path}: {error.strerror}") from None
        with _without_own_frames():
            code = compile(source, path.absolute(), "exec", dont_inherit=True)
        file = str(path.absolute())
        names = {"__file__": file, "__cached__": None, "__loader__": SourceFileLoader("__main__", file)}
        return cls(code, arguments, str(path.resolve().parent), names)

    @classmethod
    def of_module(cls, arguments: Sequence[str]) -> _Program:
        name = arguments[0]
        sys.path[0] = os.getcwd()
        try:
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.submodule_search_locations is not None:
                spec = importlib.util.find_spec(f"{name}.__main__")
        except ModuleNotFoundError:
            spec = None
        loader: Any = spec and spec.loader
        code = loader.get_code(spec.name) if spec and hasattr(loader, "get_code") else None
        if spec is None or code is None:
            raise Mistake(f"no module named {name} can be run")
        names = {"__file__": spec.origin, "__cached__": spec.cached, "__loader__": loader}
        names |= {"__spec__": spec, "__package__": spec.parent}
        return cls(code, [str(spec.origin), *arguments[1:]], os.getcwd(), names)

    def execute(self) -> None:
        __tracebackhide__ = True
        main = ModuleType("__main__")
        main.__dict__.update({"__builtins__": builtins, **self._names})
        sys.modules["__main__"] = main
        sys.argv = self._arguments
        if not sys.flags.safe_path:
            sys.path[0] = self._folder
        with _without_own_frames():
            exec(self._code, main.__dict__)


class _without_own_frames:  # noqa: N801 - used as a statement
    """Lets python show an error as if nothing stood between it and the program."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is not None:
            show = sys.excepthook

            def show_cleaned(kind: Any, error: Any, _: Any) -> None:
                without_own_frames(error.with_traceback(trace))
                show(kind, error, error.__traceback__)

            sys.excepthook = show_cleaned


def _of_rank(data_file: Path, rank: int, append: bool) -> Path:
    """The data file of this process, of several that train together."""
    path = of_rank(data_file, rank)
    size = os.environ.get("WORLD_SIZE", "")
    count = int(size) if size.isdecimal() else 0
    if not append:
        if rank == 0 and count:
            erase_ranks(data_file, count)  # which an earlier job left that had more of them
    elif data_file.exists() and not path.exists():
        try:
            _take_over(data_file, path, rank, count)
        except DataError as error:
            raise Mistake(str(error), code=1) from None
    return path


def _take_over(data_file: Path, path: Path, rank: int, count: int) -> None:
    """Go on with what `rectified combine` put into one file. The first process has, too, what no other goes on with."""
    others = {_NAME.format(other) for other in range(count) if other != rank}
    runs = [run for run in runs_in(data_file) if process_of(run.command) not in others]
    if rank:
        runs = [run for run in runs if process_of(run.command) == _NAME.format(rank)]
    if runs:
        Writer(path).write(runs)
    else:
        complain(f"{data_file} holds no run of rank {rank}, so its steps are counted from 0")
