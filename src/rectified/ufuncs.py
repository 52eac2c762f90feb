"""The compiled ufuncs, by name: ``relu``, ``relu_derivative``, ``relu_backward``, and so on for every function.

They take every operand by position and have no defaults; `rectified.Activation` fills those in. Which instruction set they
are compiled for is decided when this module is imported: the best one that the machine has, or the one that the environment
variable ``RECTIFIED_ISA`` names.

bfloat16 is a dtype of the package ml_dtypes: import that first, or call an activation once, and the ufuncs know it.
"""

import os
import sys

import numpy as np

from rectified import _native
from rectified.mistake import refuse_setting


def _chosen() -> str:
    present = _native.instruction_sets()
    wanted = os.environ.get("RECTIFIED_ISA") or present[-1]
    if wanted not in present:
        refuse_setting(f"RECTIFIED_ISA={wanted!r} is not an instruction set of this machine; it has {', '.join(present)}")
    return wanted


isa: str = _chosen()

for _name, _ufunc in _native.ufuncs_of(isa).items():
    _ufunc.__module__ = __name__  # where pickle finds it
    globals()[_name] = _ufunc


def __getattr__(name: str) -> np.ufunc:
    raise AttributeError(f"rectified.ufuncs has no ufunc {name!r}")


_knows_bfloat16 = False


def learn_bfloat16() -> None:
    """Add the loops for bfloat16, if ml_dtypes has been imported and they are not there yet.

    Importing this module does so, and calling an activation.
    """
    global _knows_bfloat16
    if not _knows_bfloat16 and "ml_dtypes" in sys.modules:
        _native.add_bfloat16(sys.modules["ml_dtypes"].bfloat16)
        _knows_bfloat16 = True


learn_bfloat16()


def named(name: str) -> np.ufunc | None:
    """The ufunc of that name, or None."""
    found = globals().get(name)
    return found if isinstance(found, np.ufunc) else None
