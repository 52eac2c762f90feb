"""What is known of a network: its layers with their histories, and what could not be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from secrets import randbits
from typing import Literal

from rectified.activation import Activation
from rectified.catalogue import catalogue
from rectified.health.evidence import Evidence
from rectified.health.history import History

Mode = Literal["train", "eval"]


@dataclass
class Layer:
    """An activation at its place in a network.

    Attributes
    ----------
    name : str
        Where it is. No two layers of a run share a name.
    function : str
        The function's name in the catalogue.
    units : int
        How many units there are.
    parameters : mapping of str to float
        The function's parameters, where they are not the defaults.
    note : str
        Why the units are not known for certain; empty where they are.
    feeds_loss : str
        The loss into which the outputs go as they are; empty where there is none.
    histories : dict of str to History
        The evidence, for ``"train"`` and ``"eval"`` apart.
    """

    name: str
    function: str
    units: int
    parameters: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    feeds_loss: str = ""
    histories: dict[Mode, History] = field(default_factory=dict)

    @property
    def activation(self) -> Activation:
        """The function, with its parameters."""
        return _bound(self.function, tuple(sorted(self.parameters.items())))

    def add(self, evidence: Evidence, mode: Mode = "train") -> None:
        """Count evidence.

        Raises
        ------
        ValueError
            Where it is of another number of units.
        """
        if evidence.units != self.units:
            raise ValueError(f"{self.name} has {self.units} units, and the evidence is of {evidence.units}")
        history = self.histories.get(mode)
        if history is None:
            history = self.histories[mode] = History()
        history.add(evidence)


@lru_cache
def _bound(function: str, parameters: tuple[tuple[str, float], ...]) -> Activation:
    found = catalogue[function]
    return found.bind(**{name: type(found.parameters[name].default)(value) for name, value in parameters})


@dataclass
class Run:
    """What one process saw.

    Attributes
    ----------
    command : str
        What ran, as a person would type it.
    started : str
        When, in ISO 8601.
    layers : dict of str to Layer
        By name, in the order in which they were executed first.
    notes : list of str
        What could not be seen, in sentences.
    id : int
        By which a run is known where it stands in several data files.

    Examples
    --------
    >>> import rectified as rf
    >>> run = Run()
    >>> layer = run.layer("hidden", "relu", units=2)
    >>> layer.add(Evidence.of(rf.relu, [[1.0, -1.0]]))
    >>> list(run.layers)
    ['hidden']
    """

    command: str = ""
    started: str = ""
    layers: dict[str, Layer] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    id: int = field(default_factory=lambda: randbits(62))

    def layer(self, name: str, function: str, units: int, parameters: Mapping[str, float] | None = None) -> Layer:
        """The layer of that name, which is made where it is new."""
        found = self.layers.get(name)
        if found is None:
            found = self.layers[name] = Layer(name, function, units, dict(parameters or {}))
        return found

    def note(self, text: str) -> None:
        """Say, once, what could not be seen."""
        if text not in self.notes:
            self.notes.append(text)

    def take_back(self, text: str) -> None:
        """Say no more what is not true any more."""
        if text in self.notes:
            self.notes.remove(text)
