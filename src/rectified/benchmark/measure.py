"""Times candidates against each other."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from time import process_time, sleep
from timeit import Timer
from typing import Any

import numpy as np

from rectified import ufuncs
from rectified.activation import Activation
from rectified.benchmark.peers import KINDS, LIMIT, PEERS, RECTIFIED, Peer, Prepare, installed

SIZES = (10_000, 1_000_000, 30_000_000)

_BATCH = 5e-4  # seconds: some calls for most, and short beside what a busy machine gives a process at a time
_BATCH_OF_THREADS = 1e-2  # longer, since each waits first
_MOST = sys.maxsize // 8  # of float64, for more has no address
_TOLERANCE = {"float16": 1e-2, "bfloat16": 8e-2, "float32": 1e-4, "float64": 1e-10}


@dataclass(frozen=True)
class Result:
    """One time: a function, a kind of call, a size, and who computed it.

    Attributes
    ----------
    function : str
        Its name in the catalogue.
    parameters : dict
        Its parameters.
    kind : {"value", "backward", "backward_from_output"}
        What was computed: f(x), ``dy * f'(x)``, or the same from ``y = f(x)``.
    size : int
        The number of elements of ``x``.
    dtype : str
        Their type.
    threads : int
        How many threads each candidate might use.
    peer : str
        ``"limit"`` for a copy (value) or a product (backward), ``"rectified"``, or the other library.
    call : str
        What was timed. Where a library has several ways, this is the fastest of them.
    seconds : float
        The median time of a call.
    repeats : int
        How many times the median was taken of.
    to_limit, to_rectified : float
        The time divided by the limit's, and by this library's.
    """

    function: str
    parameters: dict[str, float]
    kind: str
    size: int
    dtype: str
    threads: int
    peer: str
    call: str
    seconds: float
    repeats: int
    to_limit: float
    to_rectified: float


@dataclass(frozen=True)
class Overhead:
    """What a call or an import costs before any work is done: the median time, and that divided by its group's first."""

    group: str
    call: str
    seconds: float
    repeats: int
    ratio: float


@dataclass(frozen=True)
class Run:
    """The results of a run, and where they were measured."""

    environment: dict[str, Any]
    results: list[Result] = field(default_factory=list)
    overhead: list[Overhead] = field(default_factory=list)

    def to_json(self) -> str:
        """The run as JSON text."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Run:
        """The run that `to_json` wrote."""
        read = json.loads(text)
        results = [Result(**result) for result in read["results"]]
        return cls(read["environment"], results, [Overhead(**overhead) for overhead in read["overhead"]])


def run(
    functions: Sequence[Activation],
    *,
    sizes: Sequence[int] = SIZES,
    dtype: str = "float32",
    threads: int = 1,
    peers: Sequence[str] | None = None,
    seconds: float = 0.3,
    spread: float = 3.0,
    report: Callable[[str, float], None] | None = None,
) -> Run:
    """Time functions, value and backward, beside the limit and other libraries.

    ``x`` and ``dy`` are drawn from normal distributions, from a fixed seed.

    Parameters
    ----------
    functions : sequence of Activation
        Rows of the catalogue.
    sizes : sequence of int
        How many elements ``x`` has.
    dtype : {"float16", "bfloat16", "float32", "float64"}
        Their type. bfloat16 is that of ml_dtypes.
    threads : int
        How many threads each candidate may use. JAX takes it only where it was not imported before.
    peers : sequence of str, optional
        Names of `PEERS`; by default those that are `installed`.
    seconds : float
        How long to time each candidate, at each size.
    spread : float
        The standard deviation of ``x``, which the time of some functions depends on. That of ``dy`` is 1.
    report : callable, optional
        Called with the name of a step and the share of the work that is done.

    Returns
    -------
    Run
        The times, and where they were measured.

    Raises
    ------
    ValueError
        For a size below 1 or beyond all memory, more threads than processors, another dtype or peer, a spread below 0.0001
        or above 10,000, bfloat16 without ml_dtypes, a size that a fold cannot cut.
    RuntimeError
        When this library's call computes something else than it should.

    Notes
    -----
    A peer's call that computes something else is not timed; the notes of the environment name it.

    Examples
    --------
    >>> import rectified as rf
    >>> from rectified import benchmark
    >>> measured = benchmark.run([rf.relu], sizes=[100], peers=["numpy"], seconds=0.001)
    >>> [(result.kind, result.peer) for result in measured.results][:3]
    [('value', 'limit'), ('value', 'rectified'), ('value', 'numpy')]
    """
    if dtype not in _TOLERANCE:
        raise ValueError(f"dtype is one of {', '.join(_TOLERANCE)}, not {dtype!r}")
    if dtype == "bfloat16":
        try:
            import ml_dtypes  # noqa: F401  (NumPy knows the type by its name then)
        except ImportError:
            raise ValueError("dtype bfloat16 needs ml_dtypes: pip install ml_dtypes") from None
    if not 1e-4 <= spread <= 1e4:  # float16 has such numbers, with room for the largest ones that are drawn
        raise ValueError(f"spread is 0.0001 to 10,000, not {spread:g}")
    processors = os.cpu_count() or 1
    if not 1 <= threads <= processors:
        raise ValueError(f"threads is 1 to {processors}, the processors of this machine, not {threads}")
    for size in sizes:
        if size < 1:
            raise ValueError(f"a size is at least 1, not {size}")
        if size > _MOST:
            raise ValueError(f"a size is at most {_MOST:,}, not {size:,}")
    there = installed()
    names = there if peers is None else list(peers)
    for name in names:
        if name not in PEERS:
            raise ValueError(f"a peer is one of {', '.join(PEERS)}, not {name!r}")
        if name not in there:
            raise ValueError(f"the peer {name!r} is not installed; there are {', '.join(there)}")
    for function in (function for function in functions if function.category == "fold"):
        for size in sizes:  # one that it cannot cut it refuses, before anything is timed
            *rows, columns = _shape(function, size)
            function(np.zeros((*(1 for _ in rows), columns), dtype))
    notes = ["jax was imported before: its threads are as they were"] if "jax" in names and "jax" in sys.modules else []
    cells = [
        (place, function, kind, size)
        for size in sizes
        for place, function in enumerate(functions)
        for kind in KINDS
        if kind != "backward_from_output" or (hasattr(function, kind) and function._output_tells)
    ]
    measured: list[tuple[int, int, Result]] = []
    with ExitStack() as stack:
        everyone = {"limit": LIMIT, "rectified": RECTIFIED, **{name: PEERS[name] for name in names}}
        able = {name: peer for name, peer in everyone.items() if dtype in peer.dtypes}
        # The last one first: Numba's start sets the threads of OpenMP, which torch shares and sets after it.
        opened = {name: stack.enter_context(able[name].opened(threads, dtype)) for name in reversed(able)}
        candidates = {name: (peer, opened[name]) for name, peer in able.items()}
        for done, (place, function, kind, size) in enumerate(cells):
            step = f"{function.name}, {kind.replace('_', ' ')}, {size:,} elements"
            if report:
                report(step, done / len(cells))
            cell = _cell(function, kind, size, dtype, spread, threads, candidates, seconds, notes)
            measured += [(place, KINDS.index(kind), result) for result in cell]
            if report:
                report(step, (done + 1) / len(cells))
    measured.sort(key=lambda row: row[:2])
    return Run(_environment(threads, spread, candidates, notes), [result for *_, result in measured])


def _shape(function: Any, size: int) -> tuple[int, ...]:
    """Of so many numbers; for a fold along an axis rows of a thousand, or of fewer where that does not divide."""
    if function.category != "fold" or "pieces" in function.parameters:
        return (size,)
    columns = next((columns for columns in (1000, 100, 10, 2) if size % columns == 0), size)
    return size // columns, columns


def _data(function: Any, kind: str, size: int, dtype: str, spread: float) -> dict[str, Any]:
    """The arrays that a call may name: what it reads, and ``out`` in the shape of what it gives."""
    random = np.random.default_rng(0)
    x = (spread * random.standard_normal(size, np.float32)).astype(dtype).reshape(_shape(function, size))
    x = np.abs(x) if function.category == "radial" else x
    y = function(x)
    names = {"x": x, "y": y, "dx": np.empty_like(x), "dy": random.standard_normal(y.shape, np.float32).astype(dtype)}
    names = {key: _aligned(array) for key, array in names.items()}
    names["out"] = names["dx"] if kind != "value" or y.shape == x.shape else _aligned(y)
    return names


def _aligned(array: Any) -> Any:
    """A copy that begins where a line of the cache does: NumPy's arrays begin anywhere, which can double a time."""
    room = np.empty(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _cell(
    function: Any,
    kind: str,
    size: int,
    dtype: str,
    spread: float,
    threads: int,
    candidates: Mapping[str, tuple[Peer, Prepare]],
    seconds: float,
    notes: list[str],
) -> list[Result]:
    """All candidates for one call of one function; the notes get those that compute something else."""
    parameters = {key: parameter.default for key, parameter in function.parameters.items()}
    names: dict[str, Any] = {**_data(function, kind, size, dtype, spread), **parameters}
    operands = {"value": ["x"], "backward": ["dy", "x"], "backward_from_output": ["dy", "y"]}[kind]
    method = function if kind == "value" else getattr(function, kind)
    expected = np.array(method(*(names[operand] for operand in operands)).reshape(-1)[:10_000])
    if kind != "value":
        expected[np.isin(names["x"].reshape(-1)[: expected.size], function.kinks)] = np.nan  # there libraries differ

    timed: list[tuple[str, str, Timer]] = []
    for peer, (library, prepare) in candidates.items():
        for way in library.of(function, kind):
            call = way.format(name=function.name, parameters="".join(f", {key}" for key in parameters))
            statement, known = prepare(call, names)
            fault = peer != "limit" and _fault(library, statement, known, names["out"], expected)
            if fault and peer == "rectified":
                raise RuntimeError(f"{call} {fault}")
            if fault:
                notes.append(f"{peer}: {call} {fault}, and is not timed")
                continue
            timed.append((peer, call, Timer(statement, globals=known)))

    samples = _interleaved([timer for *_, timer in timed], seconds, threads)
    best: dict[str, tuple[float, str, int]] = {}
    for (peer, call, _), times in zip(timed, samples, strict=True):
        best[peer] = min(best.get(peer, (np.inf, "", 0)), (statistics.median(times), call, len(times)))
    limit, ours = best["limit"][0], best["rectified"][0]
    return [
        Result(function.name, parameters, kind, size, dtype, threads, peer, call, time, count, time / limit, time / ours)
        for peer, (time, call, count) in best.items()
    ]


def _fault(peer: Peer, statement: str, known: dict[str, Any], out: np.ndarray, expected: np.ndarray) -> str:
    """What is wrong with what a statement computes, where it should be a number. It also warms up what has to compile."""
    out.fill(np.nan)
    returned = eval(statement, known)
    given = out if returned is None else peer.as_array(returned)
    tolerance = _TOLERANCE[out.dtype.name]
    if given.dtype != out.dtype:
        return f"gives {given.dtype}, not {out.dtype}"
    some = given.reshape(-1)[: expected.size].astype(np.float64)
    same = np.isclose(some, expected.astype(np.float64), rtol=tolerance, atol=tolerance) | np.isnan(expected)
    return "" if same.all() else "does not compute what rectified computes"


def _interleaved(timers: Sequence[Timer], seconds: float, threads: int = 1) -> list[list[float]]:
    """The times of a call of each: in rounds of short batches, each warmed up, until each had its time."""
    batch = min(seconds, _BATCH if threads == 1 else _BATCH_OF_THREADS)
    batches = []
    for timer in timers:
        timer.timeit(1)
        batches.append(max(1, round(batch / timer.timeit(1))))
    samples: list[list[float]] = [[] for _ in timers]
    spent = [0.0] * len(timers)
    waiting = list(range(len(timers)))
    while waiting:
        for i in waiting:
            if threads > 1:
                _wait_for_others()
            if batches[i] > 1:
                timers[i].timeit(1)  # brings back what the others drove out of the cache
            elapsed = timers[i].timeit(batches[i])
            spent[i] += elapsed
            samples[i].append(elapsed / batches[i])
        waiting = [i for i in waiting if spent[i] < seconds or len(samples[i]) < 5]
    return samples


def _wait_for_others() -> None:
    """Let the threads of the library before go to sleep.

    OpenMP's look for work for some 10 ms after a call, and would have a processor that the next library needs. Linux tells
    the time of a thread that runs elsewhere as of the last tick, of which there are 100 a second or more.
    """
    for _ in range(50):
        before = process_time()
        sleep(1.2e-2)
        if process_time() - before < 2e-3:
            return


def overhead(*, seconds: float = 0.3, imports: int = 9) -> list[Overhead]:
    """What a call with one element costs beside `numpy.tanh`, and the import beside NumPy's.

    Parameters
    ----------
    seconds : float
        How long to time each call.
    imports : int
        In how many fresh processes to time the import.

    Returns
    -------
    list of Overhead
        The groups ``"one element"`` and ``"import"``, each beginning with what it is compared with.
    """
    import rectified

    calls = ["np.tanh(x)", "rf.ufuncs.relu(x)", "rf.relu(x)", "rf.relu.derivative(x)", "np.maximum(x, 0)"]
    known = {"np": np, "rf": rectified, "x": np.ones(1, np.float32)}
    samples = dict(zip(calls, _interleaved([Timer(call, globals=known) for call in calls], seconds), strict=True))
    measured = _overheads("one element", samples)

    program = (
        "from time import perf_counter as now; start = now(); import numpy; middle = now(); "
        "import rectified; print(middle - start, now() - middle)"
    )
    pairs = []
    cached = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(imports + 1):
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=cached)
        pairs.append([float(part) for part in ran.stdout.split()])
    del pairs[0]  # it may have compiled the modules
    return measured + _overheads(
        "import", dict(zip(["numpy", "rectified, after numpy"], zip(*pairs, strict=True), strict=True))
    )


def _overheads(group: str, samples: Mapping[str, Sequence[float]]) -> list[Overhead]:
    medians = {call: statistics.median(times) for call, times in samples.items()}
    first = next(iter(medians.values()))
    return [Overhead(group, call, time, len(samples[call]), time / first) for call, time in medians.items()]


def _environment(
    threads: int, spread: float, candidates: Mapping[str, tuple[Peer, Prepare]], notes: list[str]
) -> dict[str, Any]:
    modules = dict.fromkeys(module for peer, _ in candidates.values() for module in peer.modules)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads,
        "spread": spread,
        "instruction set": ufuncs.isa,
        "versions": {
            "Python": platform.python_version(),
            **{module: sys.modules[module].__version__ for module in sorted(modules, key=lambda name: name != "rectified")},
        },
        "notes": list(dict.fromkeys(notes)),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        models = []
    return models[0] if models else platform.processor() or platform.machine()
