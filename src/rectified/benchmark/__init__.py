"""How long functions of the catalogue take, beside the limit that memory sets and beside other libraries.

`run` times one candidate after the other, round by round, so that a processor that changes its speed changes it for all of
them, and takes medians. Every candidate is first compared with this library: what computes something else is not timed.
"""

from rectified.benchmark.measure import SIZES, Overhead, Result, Run, overhead, run
from rectified.benchmark.peers import KINDS, PEERS, Peer, installed
from rectified.benchmark.report import duration, markdown, measured_on, ratio

__all__ = [
    "KINDS",
    "PEERS",
    "SIZES",
    "Overhead",
    "Peer",
    "Result",
    "Run",
    "duration",
    "installed",
    "markdown",
    "measured_on",
    "overhead",
    "ratio",
    "run",
]
