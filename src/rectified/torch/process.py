"""The networks of a process, seen from when it imports PyTorch, and written whatever way it ends.

Processes that it starts by multiprocessing do likewise. Their data goes into its file when it ends.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from rectified.health.record import Run
from rectified.health.report import Report
from rectified.health.store import DataError, erase_children, of_child, of_children, read, runs_in
from rectified.mistake import Mistake, complain
from rectified.torch.imports import after_import
from rectified.torch.own_frames import show_warnings_in_place
from rectified.torch.saving import Saver, before_ending, before_forks_go_on, undisturbed

_OTHERS = (
    "the program started the other processes of its job by itself, and what they did was not seen: torchrun starts them so "
    "that it is"
)


class Process:
    """Looks at the networks of this process, and not at those of its forks.

    Parameters
    ----------
    data_file : Path
        Where to write.
    every : int
        Look at one step of the optimizer of so many.
    command : str
        What runs, as a person would type it.
    append : bool
        Go on with the last run in the data file, if there is one: steps are counted on from its last.
    child : str
        The name of a process that another one started. It writes beside the data file, and only if there was an activation.

    Raises
    ------
    Mistake
        Where something else is in the data file's place.
    """

    def __init__(self, data_file: Path, every: int, command: str, *, append: bool = False, child: str = "") -> None:
        path = of_child(data_file, child) if child else data_file
        started = datetime.now(UTC).isoformat(timespec="seconds")
        name = f"{command} (process {child})" if child else command
        try:
            runs = (runs_in(path) if append else []) or [Run(name, started)]
            same = [run for run in runs if process_of(run.command) == process_of(name)]
            self._run = (same or runs)[-1]
            self._run.command = name
            others = [run for run in runs if run is not self._run]
            self._saver = Saver(path, self._run, others)
        except DataError as error:
            raise Mistake(str(error), code=1) from None
        self._path = path.absolute()  # the working directory may change
        self._every = every
        self._is_child = bool(child)
        self._is_one_of_several = self._is_child or "RANK" in os.environ
        self._collector: Any = None
        if not child:
            if not append:
                erase_children(path)
            atexit.register(self._gather)

        from rectified.torch.children import enter_in_children  # which waits for them at exit, before they are gathered

        enter_in_children(partial(_look_at_child, data_file.absolute(), every, command))
        show_warnings_in_place()
        self._ends: list[Callable[[], None]] = []
        self._ends.append(after_import("torch", self._start))
        before_forks_go_on(self._leave)
        for name in ("_exit", "execv", "execve"):  # all other ways to replace the process lead to these
            setattr(os, name, self._before(getattr(os, name)))

    def _start(self, torch: ModuleType) -> None:
        from rectified.torch.collect import Collector

        self._ends.append(before_ending(self._save, insists=self._is_child))
        self._collector = Collector(every=self._every, run=self._run, after_window=self._saver.save_at_times)
        self._collector.start()

    def _leave(self) -> None:
        for end in self._ends:
            end()
        if self._collector is not None:
            self._collector.leave()

    def finish(self) -> None:
        """Look no longer, and write."""
        if not self._saver.is_fork:
            with undisturbed():
                if self._collector is not None:
                    self._collector.stop()
                    if not self._is_one_of_several and os.environ.get("WORLD_SIZE", "1") != "1":
                        self._run.note(_OTHERS)
                if self._run.layers:
                    self._saver.save()

    def _gather(self) -> None:
        """Put what processes saw that this one started into its file."""
        if self._saver.is_fork:
            return
        with undisturbed():
            children = of_children(self._path)
            try:
                runs = [run for path in children for run in read(path)]
                Report.of([self._run, *runs])
            except (DataError, ValueError) as error:
                names = ", ".join(path.name for path in children)
                self._run.notes.append(f"what other processes saw stays in files of their own, {names}: {error}")
                complain(self._run.notes[-1])
                self._saver.save()
                return
            if not any(run.layers for run in (self._run, *runs)):
                notes = len({note for run in (self._run, *runs) for note in run.notes})
                told = "a note" if notes == 1 else f"{notes} notes"
                complain(f"no activation was counted; rectified report has {told}" if notes else "no activation was seen")
            if (runs or not self._run.layers) and not self._saver.save(runs):
                return
            for path in children:
                path.unlink()

    def _before(self, end: Callable[..., Any]) -> Callable[..., Any]:
        """Write before a call that leaves nothing of this process. If the call fails, all goes on."""

        @wraps(end)
        def save_and_end(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            self._save()
            return end(*args, **kwargs)

        return save_and_end

    def _save(self) -> None:
        if self._run.layers or not self._is_child:
            self._saver.save_now(lambda: self._collector and self._collector.update())


def process_of(command: str) -> str:
    """Which of a job's processes a command names at its end.

    Examples
    --------
    >>> process_of("train.py (rank 1) (process 2)"), process_of("train.py")
    (' (rank 1) (process 2)', '')
    """
    return re.search(r"( \((rank|process) [\d-]+\))*$", command)[0]  # type: ignore[index]


@contextmanager
def _look_at_child(data_file: Path, every: int, command: str, name: str) -> Iterator[None]:
    try:
        process = Process(data_file, every, command, child=name) if name else None
    except Mistake as mistake:
        complain(str(mistake))
        process = None
    try:
        yield
    finally:
        if process is not None:
            process.finish()
