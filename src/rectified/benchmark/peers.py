"""Other libraries: the modules that each needs, how it is set up, and what turns its calls into statements."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from rectified.activation import Activation
from rectified.benchmark import calls
from rectified.benchmark.calls import Calls
from rectified.benchmark.expressions import with_named_numbers
from rectified.catalogue import catalogue
from rectified.config import get_num_threads, set_num_threads

KINDS = ("value", "backward", "backward_from_output")
DTYPES = ("float16", "bfloat16", "float32", "float64")

Prepare = Callable[[str, Mapping[str, Any]], tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Peer:
    """Another library: the modules it needs, how it is set up, its calls, and the types that it has.

    `opened` sets the threads for as long as its context lasts, and gives what turns a call into a statement and the names
    that it needs. `as_array` is what its results are in NumPy.
    """

    modules: tuple[str, ...]
    opened: Callable[[int, str], AbstractContextManager[Prepare]]
    calls: Calls
    dtypes: tuple[str, ...] = DTYPES
    as_array: Callable[[Any], np.ndarray] = np.asarray

    def of(self, function: Activation, kind: str) -> tuple[str, ...]:
        """Its ways to compute one function, with the parameters that it has."""
        place = KINDS.index(kind)
        calls = self.calls.get(function.name) or self.calls.get(function.category) or ()
        found = calls[place] if place < len(calls) else None
        ways = (found,) if isinstance(found, str) else found or ()
        if function.name not in self.calls:
            return ways
        usual = catalogue[function.name].parameters
        unusual = [key for key, parameter in function.parameters.items() if parameter.default != usual[key].default]
        return tuple(way for way in ways if all(re.search(rf"\b{key}\b", way) for key in unusual))


@contextmanager
def _numpy(threads: int, dtype: str) -> Iterator[Prepare]:
    with np.errstate(all="ignore"):
        yield lambda call, names: (call, {"np": np, **names})


@contextmanager
def _limit(threads: int, dtype: str) -> Iterator[Prepare]:
    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        # Short types NumPy multiplies by a detour that is no limit; integers of their size take memory's time.
        if dtype.endswith("16"):
            names = {key: name.view(np.int16) if isinstance(name, np.ndarray) else name for key, name in names.items()}
        return call, {"np": np, **names}

    yield prepare


@contextmanager
def _rectified(threads: int, dtype: str) -> Iterator[Prepare]:
    import rectified

    before = get_num_threads()
    set_num_threads(threads)
    try:
        yield lambda call, names: (call, {"rf": rectified, **names})
    finally:
        set_num_threads(before)


def _as_tensor(array: np.ndarray) -> Any:
    """A tensor that shares the array's memory."""
    torch = import_module("torch")
    if array.dtype != "bfloat16":
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)


def _of_tensor(tensor: Any) -> np.ndarray:
    torch = import_module("torch")
    if tensor.dtype != torch.bfloat16:
        return np.asarray(tensor)
    return np.asarray(tensor.view(torch.int16)).view("bfloat16")


@contextmanager
def _torch(threads: int, dtype: str) -> Iterator[Prepare]:
    torch = import_module("torch")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        tensors = {key: _as_tensor(name) if isinstance(name, np.ndarray) else name for key, name in names.items()}
        return call, {"torch": torch, "aten": torch.ops.aten, "double": dtype == "float64", **tensors}

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield prepare
    finally:
        torch.set_num_threads(before)


@contextmanager
def _jax(threads: int, dtype: str) -> Iterator[Prepare]:
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


def _typed(call: str, names: Mapping[str, Any], dtype: str, *types: type) -> tuple[str, dict[str, Any]]:
    """A call whose parameters, and numbers of some types, have the arrays' type: Python's would take float32 to float64."""
    call, numbers = with_named_numbers(call, *types)
    numbers |= {key: name for key, name in names.items() if not isinstance(name, np.ndarray)}
    return call, {**names, **{key: np.dtype(dtype).type(number) for key, number in numbers.items()}}


@contextmanager
def _numexpr(threads: int, dtype: str) -> Iterator[Prepare]:
    numexpr = import_module("numexpr")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        call, known = _typed(call, names, dtype, float)
        return f"numexpr.evaluate({call!r}, out=out)", {"numexpr": numexpr, **known}

    before = numexpr.set_num_threads(threads)
    try:
        yield prepare
    finally:
        numexpr.set_num_threads(before)


@contextmanager
def _numba(threads: int, dtype: str) -> Iterator[Prepare]:
    numba = import_module("numba")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        call, known = _typed(call, names, dtype, int, float)
        used = [name for name in ("x", "dy", "y") if name in compile(call, call, "eval").co_names]
        arguments = ", ".join(f"{name}s" for name in (*used, "out"))
        elements = "; ".join(f"{name} = {name}s[i]" for name in used)
        loop = f"def loop({arguments}):\n    for i in prange(outs.size):\n        {elements}; outs[i] = {call}"
        scope: dict[str, Any] = {"np": np, "math": math, "prange": numba.prange, **known}
        exec(loop, scope)
        function = numba.njit(parallel=threads > 1, error_model="numpy")(scope["loop"])
        return f"loop({', '.join((*used, 'out'))})", {**names, "loop": function}

    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        yield prepare
    finally:
        numba.set_num_threads(before)


@contextmanager
def _onnxruntime(threads: int, dtype: str) -> Iterator[Prepare]:
    onnxruntime, onnx = import_module("onnxruntime"), import_module("onnx")

    def prepare(call: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        make, element = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        operator, *operands = call.split()
        domain, _, operator = operator.rpartition(".")
        attributes = dict(operand.split("=") for operand in operands if "=" in operand)
        inputs = {text: eval(text, dict(names)) for text in operands if "=" not in text}
        node = make.make_node(
            operator,
            ["x", *inputs],
            ["out"],
            domain=domain,
            **{key: eval(value, dict(names)) for key, value in attributes.items()},
        )
        described = [make.make_tensor_value_info(name, element, names[name].shape) for name in ("x", "out")]
        constants = [make.make_tensor(name, element, [], [number]) for name, number in inputs.items()]
        graph = make.make_graph([node], operator, described[:1], described[1:], constants)
        versions = [make.make_opsetid("", 20), make.make_opsetid("com.microsoft", 1)]
        model = make.make_model(graph, opset_imports=versions, ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(names["x"]))
        binding.bind_ortvalue_output("out", onnxruntime.OrtValue.ortvalue_from_numpy(names["out"]))
        return "session.run_with_iobinding(binding)", {"session": session, "binding": binding, "out": names["out"]}

    yield prepare


_OF_NUMPY = ("float16", "float32", "float64")
LIMIT = Peer(("numpy",), _limit, calls.LIMIT)
RECTIFIED = Peer(("rectified",), _rectified, calls.RECTIFIED)
PEERS: dict[str, Peer] = {
    "numpy": Peer(("numpy",), _numpy, calls.NUMPY, dtypes=_OF_NUMPY),
    "torch": Peer(("torch",), _torch, calls.TORCH, as_array=_of_tensor),
    "jax": Peer(("jax",), _jax, calls.JAX, dtypes=_OF_NUMPY),  # whose bfloat16 has its kinks elsewhere
    "numexpr": Peer(("numexpr",), _numexpr, calls.NUMEXPR, dtypes=("float32", "float64")),
    "numba": Peer(("numba",), _numba, calls.NUMBA, dtypes=("float32", "float64")),
    "onnxruntime": Peer(("onnxruntime", "onnx"), _onnxruntime, calls.ONNXRUNTIME, dtypes=("float32",)),
}


def installed() -> list[str]:
    """The names of the peers that can be imported here; finding them imports nothing."""
    return [name for name, peer in PEERS.items() if all(find_spec(module) for module in peer.modules)]
