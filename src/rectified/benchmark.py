"""How long functions of the catalogue take, beside the limit that memory sets and beside other libraries.

`run` times one candidate after the other, round by round, so that a processor that changes its speed changes it for all of
them, and takes medians. Every candidate is first compared with this library: what computes something else is not timed.

A library is one entry of `PEERS`, and a function that it has is one line of that entry.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from timeit import Timer
from typing import Any

import numpy as np

from rectified import ufuncs
from rectified.activation import Activation
from rectified.config import get_num_threads, set_num_threads

KINDS = ("value", "backward", "backward_from_output")
SIZES = (10_000, 1_000_000, 30_000_000)

_Calls = Mapping[str, tuple[str | tuple[str, ...] | None, ...]]
_Prepare = Callable[[str, Mapping[str, Any]], tuple[str, dict[str, Any]]]
_BATCH = 2e-4  # seconds: long beside a look at the clock, short beside what a busy machine gives a process at a time
_TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}


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


@dataclass(frozen=True)
class Peer:
    """Another library: the modules it needs, how it is set up, and its calls.

    `calls` maps a function, or a category, to its calls in the order of `KINDS`: one text, several that do the same, or
    None. They are written in ``x``, ``dy``, ``y``, ``out`` and the function's parameters. `opened` sets the threads for as
    long as its context lasts, and gives what turns such a text into a statement and the names that it needs.
    """

    modules: tuple[str, ...]
    opened: Callable[[int, str], AbstractContextManager[_Prepare]]
    calls: _Calls
    dtypes: tuple[str, ...] = ("float16", "float32", "float64")

    def of(self, function: Activation, kind: str) -> tuple[str, ...]:
        """Its ways to compute one function."""
        place = KINDS.index(kind)
        calls = self.calls.get(function.name) or self.calls.get(function.category) or ()
        ways = calls[place] if place < len(calls) else None
        return (ways,) if isinstance(ways, str) else ways or ()


@contextmanager
def _numpy(threads: int, dtype: str) -> Iterator[_Prepare]:
    with np.errstate(all="ignore"):
        yield lambda call, names: (call, {"np": np, **names})


@contextmanager
def _limit(threads: int, dtype: str) -> Iterator[_Prepare]:
    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        if dtype == "float16":  # NumPy multiplies it by a detour that is no limit; integers of its size take memory's time
            names = {key: name.view(np.int16) if isinstance(name, np.ndarray) else name for key, name in names.items()}
        return call, {"np": np, **names}

    yield prepare


@contextmanager
def _rectified(threads: int, dtype: str) -> Iterator[_Prepare]:
    import rectified

    before = get_num_threads()
    set_num_threads(threads)
    try:
        yield lambda call, names: (call, {"rf": rectified, **names})
    finally:
        set_num_threads(before)


@contextmanager
def _torch(threads: int, dtype: str) -> Iterator[_Prepare]:
    torch = import_module("torch")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        # from_numpy shares the array's memory
        tensors = {key: torch.from_numpy(name) if isinstance(name, np.ndarray) else name for key, name in names.items()}
        return call, {"torch": torch, "aten": torch.ops.aten, **tensors}

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield prepare
    finally:
        torch.set_num_threads(before)


@contextmanager
def _jax(threads: int, dtype: str) -> Iterator[_Prepare]:
    if "jax" not in sys.modules:
        kept = os.environ.get("NPROC")
        os.environ["NPROC"] = str(threads)  # read once, when XLA makes its pool of threads
        try:
            import_module("jax").devices()
        finally:
            del os.environ["NPROC"]
            if kept is not None:
                os.environ["NPROC"] = kept
    jax = import_module("jax")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        used = [name for name in ("x", "dy", "y") if name in compile(call, call, "eval").co_names]
        function = jax.jit(eval(f"lambda {', '.join(used)}: {call}", {"jax": jax, "jnp": jax.numpy, **names}))
        return f"f({', '.join(used)}).block_until_ready()", {
            "f": function,
            **{key: jax.numpy.asarray(names[key]) for key in used},
        }

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", dtype == "float64")
    try:
        yield prepare
    finally:
        jax.config.update("jax_enable_x64", before)


@contextmanager
def _numexpr(threads: int, dtype: str) -> Iterator[_Prepare]:
    numexpr = import_module("numexpr")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        # a Python float would have float32 computed in float64
        typed = {key: np.asarray(name, dtype) for key, name in names.items()}
        return f"numexpr.evaluate({call!r}, out=out)", {"numexpr": numexpr, **typed, "out": names["out"]}

    before = numexpr.set_num_threads(threads)
    try:
        yield prepare
    finally:
        numexpr.set_num_threads(before)


@contextmanager
def _numba(threads: int, dtype: str) -> Iterator[_Prepare]:
    numba = import_module("numba")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        used = [name for name in ("x", "dy", "y") if name in compile(call, call, "exec").co_names]
        *steps, result = call.split("; ")
        body = "; ".join([*(f"{name} = {name}s[i]" for name in used), *steps, f"out[i] = {result}"])
        arguments = ", ".join(f"{name}s" for name in used)
        loop = f"def loop({arguments}, out):\n    for i in prange(out.size):\n        {body}"
        scalar = np.dtype(dtype).type
        constants = {"zero": scalar(0), "one": scalar(1)}
        constants |= {key: scalar(name) for key, name in names.items() if not isinstance(name, np.ndarray)}
        defined: dict[str, Any] = {"np": np, "prange": numba.prange, **constants}
        exec(loop, defined)
        function = numba.njit(parallel=threads > 1, error_model="numpy")(defined["loop"])
        return f"loop({', '.join(used)}, out)", {**names, "loop": function}

    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        yield prepare
    finally:
        numba.set_num_threads(before)


@contextmanager
def _onnxruntime(threads: int, dtype: str) -> Iterator[_Prepare]:
    onnxruntime, onnx = import_module("onnxruntime"), import_module("onnx")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        operator, *attributes = call.split()
        values = {key: names[value] for key, value in (attribute.split("=") for attribute in attributes)}
        make, element = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        described = [make.make_tensor_value_info(name, element, names[name].shape) for name in ("x", "out")]
        graph = make.make_graph(
            [make.make_node(operator, ["x"], ["out"], **values)], operator, described[:1], described[1:]
        )
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(names["x"]))
        binding.bind_ortvalue_output("out", onnxruntime.OrtValue.ortvalue_from_numpy(names["out"]))
        return "session.run_with_iobinding(binding)", {"session": session, "binding": binding, "out": names["out"]}

    yield prepare


_LIMIT = Peer(
    ("numpy",),
    _limit,
    {
        "ridge": ("np.copyto(out, x)", "np.multiply(x, dy, out=out)", "np.multiply(y, dy, out=out)"),
        "fold": ("np.copyto(dx, x)", "np.multiply(x, x, out=dx)"),
    },
)

_RECTIFIED = Peer(
    ("rectified",),
    _rectified,
    {
        "ridge": tuple(
            (f"rf.{{name}}{method}({operands}, out=out)", f"rf.ufuncs.{{name}}{ufunc}({operands}, out=out)")
            for method, ufunc, operands in [
                ("", "", "x{parameters}"),
                (".backward", "_backward", "dy, x{parameters}"),
                (".backward_from_output", "_backward_from_output", "dy, y{parameters}"),
            ]
        ),
        "fold": ("rf.{name}(x{parameters}, out=out)", "rf.{name}.backward(dy, x{parameters}, out=out)"),
    },
)

PEERS: dict[str, Peer] = {
    # What people write; with out= where that is one call.
    "numpy": Peer(
        ("numpy",),
        _numpy,
        {
            "relu": ("np.maximum(x, 0, out=out)", "dy * (x > 0)", "dy * (y > 0)"),
            "leaky_relu": (
                "np.where(x > 0, x, slope * x)",
                "np.where(x > 0, dy, slope * dy)",
                "np.where(y > 0, dy, slope * dy)",
            ),
            "sigmoid": ("1 / (1 + np.exp(-x))", "dy * (s := 1 / (1 + np.exp(-x))) * (1 - s)", "dy * y * (1 - y)"),
            "tanh": ("np.tanh(x, out=out)", "dy * (1 - np.tanh(x) ** 2)", "dy * (1 - y * y)"),
            "maxout": (
                "x.reshape(-1, pieces).max(axis=-1, out=out)",
                "(np.arange(pieces) == x.reshape(-1, pieces).argmax(-1)[:, None]) * dy[:, None]",
            ),
        },
    ),
    # The forms with out=, which the functions of torch.nn.functional end in.
    "torch": Peer(
        ("torch",),
        _torch,
        {
            "relu": (
                ("torch.clamp_min(x, 0, out=out)", "aten.relu.out(x, out=out)"),
                "aten.threshold_backward.grad_input(dy, x, 0, grad_input=out)",
                "aten.threshold_backward.grad_input(dy, y, 0, grad_input=out)",
            ),
            "leaky_relu": (
                ("torch._C._nn.leaky_relu(x, slope, out=out)", "aten.leaky_relu.out(x, slope, out=out)"),
                "aten.leaky_relu_backward.grad_input(dy, x, slope, False, grad_input=out)",
                "aten.leaky_relu_backward.grad_input(dy, y, slope, True, grad_input=out)",
            ),
            "sigmoid": ("torch.sigmoid(x, out=out)", None, "aten.sigmoid_backward.grad_input(dy, y, grad_input=out)"),
            "tanh": ("torch.tanh(x, out=out)", None, "aten.tanh_backward.grad_input(dy, y, grad_input=out)"),
            "maxout": (
                ("torch.amax(x.view(-1, pieces), -1, out=out)", "torch.max_pool1d(x.view(1, -1), pieces)"),
                None,
            ),
        },
    ),
    # Compiled; every result is a new array.
    "jax": Peer(
        ("jax",),
        _jax,
        {
            "relu": ("jax.nn.relu(x)", "jax.vjp(jax.nn.relu, x)[1](dy)[0]", "dy * (y > 0)"),
            "leaky_relu": (
                "jax.nn.leaky_relu(x, slope)",
                "jax.vjp(lambda x: jax.nn.leaky_relu(x, slope), x)[1](dy)[0]",
                "jnp.where(y > 0, dy, slope * dy)",
            ),
            "sigmoid": ("jax.nn.sigmoid(x)", "jax.vjp(jax.nn.sigmoid, x)[1](dy)[0]", "dy * y * (1 - y)"),
            "tanh": ("jnp.tanh(x)", "jax.vjp(jnp.tanh, x)[1](dy)[0]", "dy * (1 - y * y)"),
            "maxout": (
                "x.reshape(-1, pieces).max(-1)",
                "(jnp.arange(pieces) == x.reshape(-1, pieces).argmax(-1)[:, None]) * dy[:, None]",
            ),
        },
    ),
    "numexpr": Peer(
        ("numexpr",),
        _numexpr,
        {
            "relu": ("where(x > 0, x, 0)", "where(x > 0, dy, 0)", "where(y > 0, dy, 0)"),
            "leaky_relu": ("where(x > 0, x, slope * x)", "where(x > 0, dy, slope * dy)", "where(y > 0, dy, slope * dy)"),
            "sigmoid": ("1 / (1 + exp(-x))", "dy * exp(-x) / (1 + exp(-x)) ** 2", "dy * y * (1 - y)"),
            "tanh": ("tanh(x)", "dy * (1 - tanh(x) ** 2)", "dy * (1 - y * y)"),
        },
        dtypes=("float32", "float64"),
    ),
    # What happens to one element; Numba compiles the loop around it.
    "numba": Peer(
        ("numba",),
        _numba,
        {
            "relu": ("max(x, zero)", "dy if x > 0 else zero", "dy if y > 0 else zero"),
            "leaky_relu": ("x if x > 0 else slope * x", "dy if x > 0 else slope * dy", "dy if y > 0 else slope * dy"),
            "sigmoid": (
                "one / (one + np.exp(-x))",
                "s = one / (one + np.exp(-x)); dy * s * (one - s)",
                "dy * y * (one - y)",
            ),
            "tanh": ("np.tanh(x)", "t = np.tanh(x); dy * (one - t * t)", "dy * (one - y * y)"),
        },
        dtypes=("float32", "float64"),
    ),
    # An operator and its attributes, as a model of one node; it has no backward pass.
    "onnxruntime": Peer(
        ("onnxruntime", "onnx"),
        _onnxruntime,
        {"relu": ("Relu",), "leaky_relu": ("LeakyRelu alpha=slope",), "sigmoid": ("Sigmoid",), "tanh": ("Tanh",)},
        dtypes=("float32",),
    ),
}


def installed() -> list[str]:
    """The names of the peers that can be imported here; finding them imports nothing."""
    return [name for name, peer in PEERS.items() if all(find_spec(module) for module in peer.modules)]


def run(
    functions: Sequence[Activation],
    *,
    sizes: Sequence[int] = SIZES,
    dtype: str = "float32",
    threads: int = 1,
    peers: Sequence[str] | None = None,
    seconds: float = 0.3,
    report: Callable[[str, float], None] | None = None,
) -> Run:
    """Time functions, value and backward, beside the limit and other libraries.

    ``x`` is drawn from a normal distribution of standard deviation 3, ``dy`` of 1, both from a fixed seed.

    Parameters
    ----------
    functions : sequence of Activation
        Rows of the catalogue.
    sizes : sequence of int
        How many elements ``x`` has.
    dtype : {"float16", "float32", "float64"}
        Their type.
    threads : int
        How many threads each candidate may use. JAX takes it only where it was not imported before.
    peers : sequence of str, optional
        Names of `PEERS`; by default those that are `installed`.
    seconds : float
        How long to time each candidate, at each size.
    report : callable, optional
        Called with the name of a step and the share of the work that is done.

    Returns
    -------
    Run
        The times, and where they were measured.

    Raises
    ------
    ValueError
        For a size below 1, more threads than processors, another dtype or peer, a size that a fold cannot cut.
    RuntimeError
        When a candidate computes something else than this library does.

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
    processors = os.cpu_count() or 1
    if not 1 <= threads <= processors:
        raise ValueError(f"threads is 1 to {processors}, the processors of this machine, not {threads}")
    for size in sizes:
        if size < 1:
            raise ValueError(f"a size is at least 1, not {size}")
    names = installed() if peers is None else list(peers)
    for name in names:
        if name not in PEERS:
            raise ValueError(f"a peer is one of {', '.join(PEERS)}, not {name!r}")
    notes = ["jax was imported before: its threads are as they were"] if "jax" in names and "jax" in sys.modules else []
    cells = [
        (place, function, kind, size)
        for size in sizes
        for place, function in enumerate(functions)
        for kind in KINDS
        if kind != "backward_from_output" or hasattr(function, kind)
    ]
    measured: list[tuple[int, int, Result]] = []
    with ExitStack() as stack:
        everyone = {"limit": _LIMIT, "rectified": _RECTIFIED, **{name: PEERS[name] for name in names}}
        able = {name: peer for name, peer in everyone.items() if dtype in peer.dtypes}
        # The last one first: Numba's start sets the threads of OpenMP, which torch shares and sets after it.
        opened = {name: stack.enter_context(able[name].opened(threads, dtype)) for name in reversed(able)}
        candidates = {name: (peer, opened[name]) for name, peer in able.items()}
        for done, (place, function, kind, size) in enumerate(cells):
            step = f"{function.name}, {kind.replace('_', ' ')}, {size:,} elements"
            if report:
                report(step, done / len(cells))
            cell = _cell(function, kind, size, dtype, threads, candidates, seconds)
            measured += [(place, KINDS.index(kind), result) for result in cell]
            if report:
                report(step, (done + 1) / len(cells))
    measured.sort(key=lambda row: row[:2])
    return Run(_environment(threads, candidates, notes), [result for *_, result in measured])


def _data(function: Any, kind: str, size: int, dtype: str) -> dict[str, Any]:
    """The arrays that a call may name: what it reads, and ``out`` in the shape of what it gives."""
    random = np.random.default_rng(0)
    x = (3 * random.standard_normal(size, np.float32)).astype(dtype)
    y = function(x)
    names = {"x": x, "y": y, "dx": np.empty_like(x), "dy": random.standard_normal(y.shape, np.float32).astype(dtype)}
    names["out"] = names["dx"] if kind != "value" or y.shape == x.shape else np.empty_like(y)
    return names


def _cell(
    function: Any,
    kind: str,
    size: int,
    dtype: str,
    threads: int,
    candidates: Mapping[str, tuple[Peer, _Prepare]],
    seconds: float,
) -> list[Result]:
    """All candidates for one call of one function."""
    parameters = {key: parameter.default for key, parameter in function.parameters.items()}
    names: dict[str, Any] = {**_data(function, kind, size, dtype), **parameters}
    operands = {"value": ["x"], "backward": ["dy", "x"], "backward_from_output": ["dy", "y"]}[kind]
    method = function if kind == "value" else getattr(function, kind)
    expected = np.array(method(*(names[operand] for operand in operands))[:10_000])

    timed: list[tuple[str, str, Timer]] = []
    for peer, (library, prepare) in candidates.items():
        for way in library.of(function, kind):
            call = way.format(name=function.name, parameters="".join(f", {key}" for key in parameters))
            statement, known = prepare(call, names)
            if peer != "limit":
                _check(peer, call, statement, known, names["out"], expected, dtype)
            timed.append((peer, call, Timer(statement, globals=known)))

    samples = _interleaved([timer for *_, timer in timed], seconds)
    best: dict[str, tuple[float, str, int]] = {}
    for (peer, call, _), times in zip(timed, samples, strict=True):
        best[peer] = min(best.get(peer, (np.inf, "", 0)), (statistics.median(times), call, len(times)))
    limit, ours = best["limit"][0], best["rectified"][0]
    return [
        Result(function.name, parameters, kind, size, dtype, threads, peer, call, time, count, time / limit, time / ours)
        for peer, (time, call, count) in best.items()
    ]


def _check(
    peer: str, call: str, statement: str, known: dict[str, Any], out: np.ndarray, expected: np.ndarray, dtype: str
) -> None:
    """Raise unless the statement computes what is expected; it also warms up what compiles at the first call."""
    out.fill(np.nan)
    returned = eval(statement, known)
    given = np.asarray(out if returned is None else returned)
    tolerance = _TOLERANCE[dtype]
    if given.dtype != dtype:
        raise RuntimeError(f"{peer}: {call} gives {given.dtype}, not {dtype}")
    if not np.allclose(given.reshape(-1)[: expected.size], expected, rtol=tolerance, atol=tolerance):
        raise RuntimeError(f"{peer}: {call} does not compute what rectified computes")


def _interleaved(timers: Sequence[Timer], seconds: float) -> list[list[float]]:
    """The times of a call of each: in rounds of short batches, each warmed up, until each had its time."""
    batches = []
    for timer in timers:
        timer.timeit(1)
        batches.append(max(1, round(_BATCH / timer.timeit(1))))
    samples: list[list[float]] = [[] for _ in timers]
    spent = [0.0] * len(timers)
    waiting = list(range(len(timers)))
    while waiting:
        for i in waiting:
            if batches[i] > 1:
                timers[i].timeit(1)  # brings back what the others drove out of the cache
            elapsed = timers[i].timeit(batches[i])
            spent[i] += elapsed
            samples[i].append(elapsed / batches[i])
        waiting = [i for i in waiting if spent[i] < seconds or len(samples[i]) < 5]
    return samples


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


def _environment(threads: int, candidates: Mapping[str, tuple[Peer, _Prepare]], notes: list[str]) -> dict[str, Any]:
    modules = dict.fromkeys(module for peer, _ in candidates.values() for module in peer.modules)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads,
        "instruction set": ufuncs.isa,
        "versions": {
            "Python": platform.python_version(),
            **{module: sys.modules[module].__version__ for module in sorted(modules, key=lambda name: name != "rectified")},
        },
        "notes": notes,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        models = []
    return models[0] if models else platform.processor() or platform.machine()


def duration(seconds: float) -> str:
    """A time to three digits, in the unit that suits it.

    Examples
    --------
    >>> duration(1.234e-5)
    '12.3 µs'
    """
    units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9))
    unit, scale = next(((unit, scale) for unit, scale in units if seconds * scale >= 0.9995), units[-1])
    return f"{seconds * scale:#.3g}".rstrip(".") + f" {unit}"


def ratio(number: float) -> str:
    """A ratio, to two decimals where it is small.

    Examples
    --------
    >>> ratio(1.234), ratio(43.21)
    ('1.23×', '43×')
    """
    return f"{number:.2f}×" if number < 9.995 else f"{number:.0f}×"


def markdown(run: Run) -> str:
    """A run as Markdown tables: every time with its ratio to the limit, the fastest in bold.

    Parameters
    ----------
    run : Run
        For instance ``Run.from_json(text)`` of what ``rectified bench --json`` wrote.

    Returns
    -------
    str
        The tables, and a line that says where they were measured.
    """
    lines: list[str] = []
    if run.results:
        peers = list(dict.fromkeys(result.peer for result in run.results))
        rows: dict[tuple[str, str, int], dict[str, Result]] = {}
        for result in run.results:
            rows.setdefault((result.function, result.kind, result.size), {})[result.peer] = result
        lines += [_row(["function", "", "elements", *peers]), _row(["---", "---", *["--:"] * (len(peers) + 1)])]
        for (function, kind, size), row in rows.items():
            fastest = min((row[peer] for peer in row if peer != "limit"), key=lambda result: result.seconds)
            cells = [_markdown_cell(row.get(peer), row.get(peer) is fastest) for peer in peers]
            lines.append(_row([function, kind.replace("_", " "), f"{size:,}", *cells]))
        first = run.results[0]
        lines += ["", f"{first.dtype}; in brackets the ratio to the limit: a copy (value) or a product (backward).", ""]
    if run.overhead:
        lines += [_row(["", "", "time", "ratio"]), _row(["---", "---", "--:", "--:"])]
        for each in run.overhead:
            call = each.call if each.group == "import" else f"`{each.call}`"
            lines.append(_row([each.group, call, duration(each.seconds), ratio(each.ratio)]))
        lines.append("")
    return "\n".join([*lines, measured_on(run) + "."])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(result: Result | None, fastest: bool) -> str:
    if result is None:
        return "–"
    mark = "**" if fastest else ""
    return f"{mark}{duration(result.seconds)}{mark} ({ratio(result.to_limit)})"


def measured_on(run: Run) -> str:
    """One line: the processor, the threads, the versions, and what else to know."""
    where = run.environment
    threads = f"{where['threads']} thread{'s' if where['threads'] > 1 else ''}"
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    parts = [f"{where['processor']}, {where['instruction set']}, {threads}", versions, *where["notes"]]
    return f"Measured on {where['date']}: {'; '.join(parts)}"
