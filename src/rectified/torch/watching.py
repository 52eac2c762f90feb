"""Looking at a network from Python."""

from __future__ import annotations

from contextlib import ContextDecorator
from datetime import UTC, datetime
from typing import SupportsIndex

from torch import nn

from rectified.health.findings import Finding
from rectified.health.record import Layer, Mode, Run
from rectified.health.report import Report
from rectified.torch.collect import Collector


class Health:
    """What is known of a network, as far as it has run.

    Parameters
    ----------
    collector : Collector
        That looks at the network.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    @property
    def run(self) -> Run:
        """All that was seen, as `rectified.health` keeps it."""
        return self._collector.update()

    @property
    def layers(self) -> dict[str, Layer]:
        """The layers by name, in the order in which they ran first."""
        return self.run.layers

    @property
    def findings(self) -> list[Finding]:
        """What is wrong with the network as a whole."""
        return list(self.report().findings)

    def report(self, mode: Mode | None = None) -> Report:
        """Verdicts, findings, totals, and what could not be seen.

        Parameters
        ----------
        mode : {"train", "eval"}, optional
            Which evidence counts; by default that of training, if there is any.
        """
        return Report.of([self.run], mode)


class Watching(ContextDecorator):
    """What `watch` gives: each time that it is entered it looks anew."""

    def __init__(self, model: nn.Module | None, every: int) -> None:
        if isinstance(every, bool) or not isinstance(every, SupportsIndex):
            raise TypeError(f"every is a whole number, not {every!r}")
        self._model = model
        self._every = every
        self._collectors: list[Collector] = []

    def __enter__(self) -> Health:
        run = Run(started=datetime.now(UTC).isoformat(timespec="seconds"))
        collector = Collector(self._model, every=self._every, run=run)
        collector.start()
        self._collectors.append(collector)
        return Health(collector)

    def __exit__(self, *_: object) -> None:
        self._collectors.pop().stop()


def watch(model: nn.Module | None = None, *, every: int = 1) -> Watching:
    """Look at a network's units for as long as the context lasts.

    Parameters
    ----------
    model : Module, optional
        The network, of which parts may run by themselves, too; by default all that run.
    every : int
        Look at one step of so many.

    Returns
    -------
    Watching
        A context, or a decorator, that gives a `Health`: what is known, during the context and after it. It can be entered
        again, and looks anew then.

    Examples
    --------
    >>> import torch
    >>> from rectified.torch import watch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    >>> _ = torch.nn.init.constant_(model[0].bias, 0.0)
    >>> model[0].bias.data[1] = -9.0
    >>> with watch(model) as health:
    ...     _ = model(torch.linspace(-1, 1, 64).view(32, 2))
    >>> [(verdict.layer.name, verdict.state_of(1)) for verdict in health.report().layers]
    [('1', 'dead')]
    """
    return Watching(model, every)
