"""Looking at a network that a trainer of another library trains."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rectified.health.store import Writer
from rectified.torch.watching import Health, watch


class _Watch:
    """From the beginning of a training to its end.

    Attributes
    ----------
    health : Health or None
        What is known of the network; None before it was trained.
    """

    def __init__(self, data_file: str | Path | None = None, every: int = 1) -> None:
        super().__init__()
        self.health: Health | None = None
        self._data_file = data_file
        self._every = every
        self._context: Any = None

    def _begin(self, model: Any) -> None:
        self._finish()
        self._context = watch(model, every=self._every)
        self.health = self._context.__enter__()

    def _finish(self) -> None:
        if self._context is not None:
            context, self._context = self._context, None
            context.__exit__(None, None, None)
            if self._data_file is not None and self.health is not None:
                Writer(Path(self._data_file)).write([self.health.run])


def lightning_callback(data_file: str | Path | None = None, every: int = 1) -> Any:
    """A callback for Lightning's ``Trainer(callbacks=[...])``, whose ``health`` tells what `watch` would.

    Parameters
    ----------
    data_file : path, optional
        Where to write what was seen, for ``rectified report``; by default nowhere.
    every : int
        Look at one step of so many.

    Examples
    --------
    >>> from rectified.torch import lightning_callback
    >>> callback = lightning_callback(every=10)
    """

    class LightningHealth(_Watch, _base("lightning.pytorch", "pytorch_lightning", name="Callback")):  # type: ignore[misc]
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            self._begin(pl_module)

        def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
            self._finish()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self._finish()

    return LightningHealth(data_file, every)


def hugging_face_callback(data_file: str | Path | None = None, every: int = 1) -> Any:
    """A callback for Hugging Face's ``Trainer(callbacks=[...])``, whose ``health`` tells what `watch` would.

    Parameters
    ----------
    data_file : path, optional
        Where to write what was seen, for ``rectified report``; by default nowhere.
    every : int
        Look at one step of so many.

    Examples
    --------
    >>> from rectified.torch import hugging_face_callback
    >>> callback = hugging_face_callback()
    """

    class HuggingFaceHealth(_Watch, _base("transformers", name="TrainerCallback")):  # type: ignore[misc]
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
