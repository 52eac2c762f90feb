"""Writing what is seen of a network while it runs, so that little is lost if the process is killed."""

from __future__ import annotations

import os
import signal
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from rectified.health.record import Run
from rectified.health.store import DataError, Writer, part
from rectified.mistake import complain

ENDING = (signal.SIGTERM, signal.SIGHUP)
_SECONDS_BETWEEN_WRITES = 60
_SECONDS_BETWEEN_SIGNALS = 0.1


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
        self._path = path.absolute()  # the working directory may change
        self._writer = Writer(path)
        self._runs = [*others, run]
        self._process = os.getpid()
        self._began = self._written = monotonic()
        self._said = ""

    @property
    def is_fork(self) -> bool:
        """Whether this is a fork, which is not what was to be looked at."""
        return os.getpid() != self._process

    def save_at_times(self) -> None:
        """Write if it is due: often at first, so that a short run leaves something if it is killed."""
        if monotonic() - self._written >= min(_SECONDS_BETWEEN_WRITES, self._written - self._began):
            self.save()

    def save(self, more: Iterable[Run] = ()) -> bool:
        """Write, and more runs as well. Where that is impossible a line says so, and the program goes on."""
        if self.is_fork:
            return False
        runs = [*self._runs, *more]
        runs = [run for run in runs if run.layers or run.notes] or runs
        with undisturbed():
            try:
                self._writer.write(runs)
            except DataError as error:
                return self._write_beside(runs, str(error))
            finally:
                self._written = monotonic()
        return True

    def _write_beside(self, runs: Sequence[Run], reason: str) -> bool:
        """Write to a file of its own, from now on, and say that once; or else say why nothing is written."""
        path = part(self._path)
        try:
            writer = Writer(path)
            writer.write(runs)
        except DataError:
            is_written = False
            with suppress(OSError):
                path.unlink()
        else:
            is_written = True
            self._writer = writer
            reason += f"; what was seen is in {path.name}, for rectified combine"
        if reason != self._said:
            complain(reason)
        self._said = reason
        return is_written

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


def before_ending(act: Callable[[], None], *, insists: bool = False) -> Callable[[], None]:
    """Do something when a terminal, a scheduler or `timeout` ends the program, which then ends as without.

    What handles these signals by itself stays. The result ends that.

    Parameters
    ----------
    act : callable
        What to do.
    insists : bool
        Whether a signal is repeated until it is heard of. Python hears of one only before the next wait, for a lock for
        instance, where it comes in the very moment in which that begins; as it does to the workers of a pool that ends.
    """
    is_main = threading.current_thread() is threading.main_thread()
    ours = [number for number in (ENDING if is_main else ()) if signal.getsignal(number) is signal.SIG_DFL]
    hush = _repeat(ours) if ours and insists else lambda: None

    def end(number: int, _: Any) -> None:
        hush()
        act()
        stop()
        os.kill(os.getpid(), number)

    def stop() -> None:
        hush()
        for number in ours:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)

    for number in ours:
        signal.signal(number, end)
    return stop


def _repeat(numbers: Iterable[int]) -> Callable[[], None]:
    """Repeat signals that the main thread got, to that thread, until the result is called.

    A program that is told of signals by itself, as with asyncio, is told as before.
    """
    main, ended = threading.get_ident(), list[bool]()
    heard, told = os.pipe()
    os.set_blocking(told, False)
    if (there := signal.set_wakeup_fd(told, warn_on_full_buffer=False)) != -1:
        signal.set_wakeup_fd(there)
        ended.append(True)

    def repeat() -> None:
        while not ended:
            received = {*os.read(heard, 64)}.intersection(numbers)
            while received and not ended:
                sleep(_SECONDS_BETWEEN_SIGNALS)
                for number in received:
                    signal.pthread_kill(main, number)

    def hush() -> None:
        if not ended and (there := signal.set_wakeup_fd(-1)) != told:
            signal.set_wakeup_fd(there)
        ended.append(True)

    start_new_thread(repeat, ())  # and not one of `threading`, which the program may count
    return hush


def before_forks_go_on(act: Callable[[], None]) -> None:
    """Do something in each fork of this process, before what it was made for.

    Signals that end the program wait until then: a fork forgets those that Python has heard of and not handled.
    """
    here = threading.local()

    def begin() -> None:
        here.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)

    def end() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, here.mask)

    def act_and_end() -> None:
        act()
        end()

    os.register_at_fork(before=begin, after_in_parent=end, after_in_child=act_and_end)


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
