"""Running a Python program as python does, and writing what its networks' units did, whatever way it ends."""

from __future__ import annotations

import builtins
import os
import runpy
import shlex
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from importlib.util import find_spec
from pathlib import Path
from pkgutil import get_importer
from types import ModuleType
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
    program = _program(arguments, module)
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


def _program(arguments: Sequence[str], module: bool) -> _Script | _Module:
    name = arguments[0]
    if module:
        if not sys.flags.safe_path:
            sys.path[0] = os.getcwd()
        package = name.partition(".")[0]
        if package and package not in sys.modules and find_spec(package) is None:
            raise Mistake(f"no module named {name} can be run", code=1)
        return _Module(name, arguments)
    archive = get_importer(_absolute(name))
    if archive is None:
        return _Script(arguments)
    if archive.find_spec("__main__") is None:
        raise Mistake(f"cannot run {name}: there is no module __main__ in it", code=1)
    return _Module("__main__", arguments, archive=_absolute(name))


class _Script:
    """A file, of source or compiled."""

    def __init__(self, arguments: Sequence[str]) -> None:
        __tracebackhide__ = True
        file = _absolute(arguments[0])
        loader = (SourcelessFileLoader if file.endswith(".pyc") else SourceFileLoader)("__main__", file)
        try:
            source = loader.get_data(file)
        except OSError as error:
            raise Mistake(f"cannot run {arguments[0]}: {error.strerror}") from None
        with _without_own_frames():
            if isinstance(loader, SourceFileLoader):
                self._code: Any = compile(source, file, "exec", dont_inherit=True)
            else:
                self._code = loader.get_code("__main__")
        self._arguments = arguments
        self._names = {"__file__": file, "__cached__": None, "__loader__": loader}

    def execute(self) -> None:
        __tracebackhide__ = True
        if not sys.flags.safe_path:
            sys.path[0] = str(Path(self._arguments[0]).resolve().parent)
        names = _main(self._arguments)
        names |= self._names
        with _without_own_frames():
            exec(self._code, names)


class _Module:
    """A module, or that of a folder or an archive, which python runs by `runpy`, too."""

    def __init__(self, name: str, arguments: Sequence[str], archive: str = "") -> None:
        self._name = name
        self._arguments = arguments
        self._archive = archive

    def execute(self) -> None:
        __tracebackhide__ = True
        if self._archive:
            sys.path[: not sys.flags.safe_path] = [self._archive]  # it stands there even with -P
        _main(self._arguments if self._archive else ["-m", *self._arguments[1:]])
        with _without_own_frames():
            runpy._run_module_as_main(self._name, alter_argv=not self._archive)  # type: ignore[attr-defined]


def _main(arguments: Sequence[str]) -> dict[str, Any]:
    """The names of a new `__main__`."""
    main = ModuleType("__main__")
    names = vars(main)
    names["__builtins__"] = builtins
    if "__annotations__" in vars(sys.modules["__main__"]):  # python gives it, up to a version
        names["__annotations__"] = {}
    sys.modules["__main__"] = main
    sys.argv = list(arguments)
    return names


def _absolute(path: str) -> str:
    """As python names it: with what leads nowhere, such as ``./``."""
    return os.path.join(os.getcwd(), path)


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
