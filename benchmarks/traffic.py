"""How many bytes functions move to and from memory, for each that they must move.

    python benchmarks/traffic.py [swiglu softmax …]

A function must read its input once and write its output once. What it moves are the misses of the last cache, as valgrind's
cachegrind counts them on a cache of 1 MiB (``apt-get install valgrind``). The input is 32 MiB of float32, in rows of 8 KiB.
"""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np

import rectified as rf

LINE = 64  # bytes
SHAPE = (4096, 2048)
CALLS = (1, 3)


def call(name: str, times: int) -> None:
    """Call a function so many times; its arrays are made, and the code has been read, before the first."""
    x = np.ones(SHAPE, np.float32)
    function = rf.catalogue[name]
    y = function(x)
    for _ in range(times):
        function(x, out=y)


def misses(name: str, times: int) -> int:
    """How often a process that makes so many calls misses the last cache with data."""
    options = ["--cache-sim=yes", "--cachegrind-out-file=/dev/null", f"--LL=1048576,16,{LINE}"]
    command = ["valgrind", "--tool=cachegrind", *options, sys.executable, __file__, name, str(times)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"LLd misses: +([\d,]+)", done.stderr)
    assert found, done.stderr
    return int(found[1].replace(",", ""))


def main() -> None:
    """Print a line for each function."""
    for name in sys.argv[1:] or ["swiglu", "geglu", "reglu", "glu", "softmax", "relu", "gelu"]:
        first, last = (misses(name, times) for times in CALLS)
        moved = (last - first) / (CALLS[1] - CALLS[0]) * LINE
        x = np.empty(SHAPE, np.float32)
        must = x.nbytes + rf.catalogue[name](x).nbytes
        print(f"{name:12} moves {moved / 2**20:6.1f} MiB, must move {must / 2**20:4.0f}: {moved / must:.3f}")


if __name__ == "__main__":
    call(sys.argv[1], int(sys.argv[2])) if sys.argv[2:] and sys.argv[2].isdigit() else main()
