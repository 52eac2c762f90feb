"""Pictures of the catalogue's functions, with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rectified.activation import Activation


def plot(*activations: Activation, derivative: bool = True, ax: Axes | None = None) -> Axes:
    """Draw functions of the catalogue."""
    raise NotImplementedError


def svg(activation: Activation) -> str:
    """A picture of one function as an SVG element."""
    raise NotImplementedError
