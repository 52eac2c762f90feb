"""Calls of PyTorch's functions, and what is known of the tensors that they get."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rectified.torch.functions import LOSSES

Shape = tuple[int, ...]
Axes = tuple[int, ...]
LOGARITHM, _LOSS_OF_LOGARITHM = "log_softmax", "nll_loss"


class Origin(NamedTuple):
    """Where a tensor comes from.

    Attributes
    ----------
    axes : tuple of int
        The last is the axis of the units, those before it count the layers; empty where they are not known. Where a layer's
        one unit has no axis any more, that is one behind the last.
    activation : object
        The activation whose outputs these are as they were, if any.
    sources : frozenset of tuple
        The learned tensors of the layers that it is made of, by what they are known.
    passed : frozenset
        The activations that what these layers gave has gone through since.
    logits : object
        The activation of whose outputs these are the logarithms of probabilities, if any.
    is_softmax : bool
        Whether these are what softmax gave, as it was.
    is_normal : bool
        Whether these are unit vectors, or their products: cosines.
    is_split : bool
        Whether one axis of units has become several, as where attention tells its heads apart: all of these count them.
    """

    axes: Axes = ()
    activation: Any = None
    sources: frozenset[tuple[Hashable, ...]] = frozenset()
    passed: frozenset[Any] = frozenset()
    logits: Any = None
    is_softmax: bool = False
    is_normal: bool = False
    is_split: bool = False

    def go_into(self, loss: str) -> None:
        """Let the activation know whose outputs a loss takes for logits, if any."""
        if loss in LOSSES and self.activation is not None:
            self.activation.feeds_loss = loss
        if loss == _LOSS_OF_LOGARITHM and self.logits is not None:
            self.logits.feeds_loss = LOGARITHM

    def of_units(self, starts: Sequence[int]) -> Origin:
        """The origin of a part of the units, which begins at these places along the axes."""
        if not any(starts):
            return self
        mark = f"{', '.join(map(str, starts))}:"
        return self._replace(sources=frozenset((*source, mark) for source in self.sources))

    def activated(self, activation: Any) -> Origin:
        """The origin of what an activation makes of it."""
        return self._replace(
            activation=activation, passed=self.passed | {activation}, logits=None, is_softmax=False, is_normal=False
        )


class Weight(NamedTuple):
    """A learned tensor: its owner's ``id`` and which part it is; its shape, where axes that repeat have a size of 1."""

    id: tuple[Hashable, ...]
    shape: Shape


@dataclass(frozen=True)
class Call:
    """A call of one of PyTorch's functions, on tensors or on what stands for them in a graph.

    Attributes
    ----------
    name : str
        The function's plain name.
    args : tuple
        Its arguments.
    kwargs : dict
        Its keyword arguments.
    out : tuple of int
        The shape of the result, or of its first tensor.
    origin : callable
        Gives the origin of an argument, or None for one that has none.
    shape : callable
        Gives the shape of an argument, or None for one that is no tensor.
    weight : callable
        Gives what is known of an argument that is learned, or None for another.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Shape
    origin: Callable[[Any], Origin | None]
    shape: Callable[[Any], Shape | None]
    weight: Callable[[Any], Weight | None]

    def get(self, place: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    @property
    def input(self) -> Any:
        """The first argument."""
        return self.get(0, "input")
