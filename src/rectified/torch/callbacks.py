"""Looking at a network that a trainer of another library trains."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import distributed

from rectified.health.record import Run
from rectified.health.store import erase_ranks, of_rank
from rectified.torch.collect import Collector
from rectified.torch.saving import Saver, before_ending, undisturbed
from rectified.torch.watching import Health


class _Watch:
    """From the beginning of a training to its end, or to that of the program where the trainer tells of no end.

    Attributes
    ----------
    health : Health or None
        What is known of the network in the last training; None before the first.
    """

    make: Callable[..., Any]
    trainer_handles_signals = True

    def __init__(self, data_file: str | Path | None = None, every: int = 1) -> None:
        super().__init__()
        self.health: Health | None = None
        self._arguments = data_file, every
        self._collector: Collector | None = None
        self._saver: Saver | None = None
        self._unhandle: Callable[[], None] = lambda: None

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process it begins anew."""
        return type(self).make, self._arguments

    def _begin(self, model: Any) -> None:
        self._finish()
        data_file, every = self._arguments
        run = Run(started=datetime.now(UTC).isoformat(timespec="seconds"))
        self._saver = Saver(_own(Path(data_file)), run) if data_file is not None else None
        after_window = self._saver.save_at_times if self._saver is not None else None
        self._collector = Collector(model, every=every, run=run, after_window=after_window)
        self.health = Health(self._collector)
        self._collector.start()
        atexit.register(self._finish)
        if self._saver is not None and not self.trainer_handles_signals:
            saver, collector = self._saver, self._collector
            self._unhandle = before_ending(lambda: saver.save_now(collector.update))

    def _finish(self) -> None:
        if self._collector is None:
            return
        with undisturbed():
            collector, self._collector = self._collector, None
            collector.stop()
            if self._saver is not None:
                self._saver.save()
        self._unhandle()
        atexit.unregister(self._finish)


def _own(data_file: Path) -> Path:
    """The data file of this process, which may train together with others."""
    is_one_of_several = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
    if not is_one_of_several:
        return data_file
    if distributed.get_rank() == 0:
        erase_ranks(data_file, distributed.get_world_size())
    return of_rank(data_file, distributed.get_rank())


def lightning_callback(data_file: str | Path | None = None, every: int = 1) -> Any:
    """A callback for Lightning's ``Trainer(callbacks=[...])``, whose ``health`` tells what `watch` would.

    It looks from the beginning of a fit to its end, however it ends.

    Parameters
    ----------
    data_file : path, optional
        Where to write what was seen, for ``rectified report``; by default nowhere. A training replaces what an earlier one
        wrote. Of several processes that train together each writes a file of its own beside it, for ``rectified combine``.
    every : int
        Look at one step of so many.

    Examples
    --------
    >>> from rectified.torch import lightning_callback
    >>> callback = lightning_callback(every=10)
    """

    class LightningHealth(_Watch, _base("lightning.pytorch", "pytorch_lightning", name="Callback")):  # type: ignore[misc]
        make = staticmethod(lightning_callback)

        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            self._begin(pl_module)

        def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
            self._finish()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self._finish()

    return LightningHealth(data_file, every)


def hugging_face_callback(data_file: str | Path | None = None, every: int = 1) -> Any:
    """A callback for Hugging Face's ``Trainer(callbacks=[...])``, whose ``health`` tells what `watch` would.

    It looks from the beginning of a training to its end. The trainer does not tell of an error or of Ctrl-C: after these it
    looks until the next training, or until the program ends. A signal of a scheduler or a terminal (SIGTERM, SIGHUP) that
    nothing else handles ends the program as without, once the data is written.

    Parameters
    ----------
    data_file : path, optional
        Where to write what was seen, for ``rectified report``; by default nowhere. A training replaces what an earlier one
        wrote. Of several processes that train together each writes a file of its own beside it, for ``rectified combine``.
    every : int
        Look at one step of so many.

    Examples
    --------
    >>> from rectified.torch import hugging_face_callback
    >>> callback = hugging_face_callback()
    """

    class HuggingFaceHealth(_Watch, _base("transformers", name="TrainerCallback")):  # type: ignore[misc]
        make = staticmethod(hugging_face_callback)
        trainer_handles_signals = False

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            self._begin(model)

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._finish()

    return HuggingFaceHealth(data_file, every)


def _base(*modules: str, name: str) -> Any:
    """The class that a library wants its callbacks to be of; any class where the library is not installed."""
    for module in modules:
        if find_spec(module.partition(".")[0]) is not None:
            return getattr(import_module(module), name)
    return object
