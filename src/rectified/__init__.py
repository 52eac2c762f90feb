"""Activation functions with their derivatives, accurate to the last digit and at the speed of memory, on NumPy arrays.

Every function of `rectified.catalogue` is a name of this module too:

>>> import rectified as rf
>>> rf.relu([-1.0, 2.0])
array([0., 2.])
>>> rf.relu.derivative([-1.0, 2.0])
array([0., 1.])
"""

from typing import TYPE_CHECKING, Any

from rectified import ufuncs as ufuncs
from rectified.activation import Activation as Activation
from rectified.activation import Parameter as Parameter
from rectified.activation import Ridge as Ridge
from rectified.catalogue import catalogue as catalogue
from rectified.catalogue.fold import *
from rectified.catalogue.radial import *
from rectified.catalogue.ridge import *
from rectified.config import __version__ as __version__
from rectified.config import get_num_threads as get_num_threads
from rectified.config import set_num_threads as set_num_threads
from rectified.config import show_config as show_config
from rectified.fold import Fold as Fold
from rectified.fold import gated as gated
from rectified.radial import Radial as Radial
from rectified.radial import radial as radial

if TYPE_CHECKING:
    from rectified.plotting import plot as plot
    from rectified.plotting import plot_surface as plot_surface
else:  # where a type checker would take every name for one of these
    __all__ = [  # without the pictures, which load matplotlib
        *catalogue,
        "Activation",
        "Fold",
        "Parameter",
        "Radial",
        "Ridge",
        "catalogue",
        "gated",
        "get_num_threads",
        "radial",
        "set_num_threads",
        "show_config",
        "ufuncs",
    ]

    def __getattr__(name: str) -> Any:
        if name in ("plot", "plot_surface"):  # load matplotlib only when they are used
            from rectified import plotting

            return getattr(plotting, name)
        known = catalogue._names.get(name)
        if known:  # where Python is told the name alone, it adds none that looks like it
            raise AttributeError(f"rectified has no {name}; it is rectified.{known}", name=name)
        raise AttributeError(f"module 'rectified' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "plot", "plot_surface"} - {"TYPE_CHECKING", "Any", "inf"})
