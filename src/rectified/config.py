"""How the library runs here: its threads, its instruction set, its versions."""

from __future__ import annotations

import atexit
import os
import platform
from typing import Literal, overload

import numpy as np

from rectified import _native, ufuncs
from rectified.mistake import refuse_setting

__version__ = "0.1.0"


def get_num_threads() -> int:
    """How many threads a large array is split over.

    Examples
    --------
    >>> import rectified as rf
    >>> rf.get_num_threads() >= 1
    True
    """
    return _native.get_num_threads()


def set_num_threads(count: int) -> None:
    """Set how many threads a large array is split over.

    The environment variable ``RECTIFIED_NUM_THREADS`` sets it before the import; without it there are as many as
    processors that the process may use. Results do not depend on it.

    Parameters
    ----------
    count : int
        At least 1.

    Raises
    ------
    ValueError
        For a number below 1 or above 1024.

    Examples
    --------
    >>> import rectified as rf
    >>> rf.set_num_threads(2)
    >>> rf.get_num_threads()
    2
    """
    _native.set_num_threads(count)


def _threads_at_start() -> int:
    wanted = os.environ.get("RECTIFIED_NUM_THREADS", "")
    if wanted:
        if not wanted.isdecimal() or not 1 <= int(wanted) <= 1024:
            refuse_setting(f"RECTIFIED_NUM_THREADS={wanted!r} is not a number of threads from 1 to 1024")
        return int(wanted)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, 1024)


set_num_threads(_threads_at_start())
atexit.register(_native.stop_threads)


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, str]: ...
def show_config(mode: str = "stdout") -> dict[str, str] | None:
    """Print what runs: versions, instruction sets, threads.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print it, or return it as a dictionary.

    Examples
    --------
    >>> import rectified as rf
    >>> sorted(rf.show_config("dicts"))
    ['NumPy', 'Python', 'instruction set', 'instruction sets present', 'rectified', 'threads']
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode is 'stdout' or 'dicts', not {mode!r}")
    found = {
        "rectified": __version__,
        "NumPy": np.__version__,
        "Python": platform.python_version(),
        "instruction set": ufuncs.isa,
        "instruction sets present": ", ".join(_native.instruction_sets()),
        "threads": str(get_num_threads()),
    }
    if mode == "dicts":
        return found
    for key, value in found.items():
        print(f"{key:25}{value}")
    return None
