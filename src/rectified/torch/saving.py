"""Writing what is seen of a network while it runs, so that little is lost if the process is killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from rectified.health.record import Run
from rectified.health.store import DataError, Writer
from rectified.mistake import complain

ENDING = (signal.SIGTERM, signal.SIGHUP)
_SECONDS_BETWEEN_WRITES = 60


class Saver:
    """Writes a run's record, unless this is a fork of the process that looks.

    Parameters
    ----------
    path : Path
        The data file.
    run : Run
        The record.
    others : sequence of Run
        What else the file holds, and is to hold.

    Raises
    ------
    DataError
        Where something else is in the data file's place.
    """

    def __init__(self, path: Path, run: Run, others: Sequence[Run] = ()) -> None:
        self._writer = Writer(path)
        self._runs = [*others, run]
        self._process = os.getpid()
        self._began = self._written = monotonic()

    @property
    def is_fork(self) -> bool:
        """Whether this is a fork, which is not what was to be looked at."""
        return os.getpid() != self._process

    def save_at_times(self) -> None:
        """Write if it is due: often at first, so that a short run leaves something if it is killed."""
        if monotonic() - self._written >= min(_SECONDS_BETWEEN_WRITES, self._written - self._began):
            self.save()

    def save(self, more: Iterable[Run] = ()) -> None:
        """Write, and more runs as well. Where that is impossible a line says so, and the program goes on."""
        if self.is_fork:
            return
        runs = [*self._runs, *more]
        with undisturbed():
            try:
                self._writer.write([run for run in runs if run.layers or run.notes] or runs)
            except DataError as error:
                complain(str(error))
        self._written = monotonic()

    def save_now(self, update: Callable[[], object]) -> None:
        """Write all that was seen until now, whatever the program is doing."""
        if self.is_fork:
            return
        with undisturbed():
            try:
                update()
                self.save()
            except Exception as error:  # in the middle of something; the program ends as it would
                complain(f"the last of the data was lost ({type(error).__name__}: {error})")


def before_ending(act: Callable[[], None]) -> Callable[[], None]:
    """Do something when a terminal, a scheduler or `timeout` ends the program, which then ends as without.

    What handles these signals by itself stays. The result ends that.
    """

    def end(number: int, _: Any) -> None:
        act()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    is_main = threading.current_thread() is threading.main_thread()
    ours = [number for number in (ENDING if is_main else ()) if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)

    def stop() -> None:
        for number in ours:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)

    return stop


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that end the program wait."""
    waiting: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()  # others can not change what signals do
    before = {number: signal.getsignal(number) for number in ((signal.SIGINT, *ENDING) if is_main else ())}
    changed = [number for number, handler in before.items() if handler is not None]
    for number in changed:
        signal.signal(number, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, before[number])
        for received in waiting:
            os.kill(os.getpid(), received)
