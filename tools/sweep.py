"""Sweep functions over their inputs and keep the worst distance from the correctly rounded result in accuracy.json.

    python tools/sweep.py                         every function and operation, all 2^32 float32 inputs
    python tools/sweep.py tanh --stride 1009      one function, a sample
    python tools/sweep.py --dtype float64         random inputs of every magnitude, point by point against mpmath
    python tools/sweep.py --peers --stride 1009   what other libraries reach
    python tools/sweep.py --markdown              the table of what is recorded

A figure in accuracy.json is the worst over all instruction sets of the machine, and may only fall: a sweep that finds a
worse one says so and fails. A sweep that was interrupted goes on where it stopped, if the compiled library is the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import rectified as rf
from rectified import _native

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from oracle import Oracle, Worst, kernel, operations, stratified, worst  # noqa: E402

RECORD = ROOT / "accuracy.json"
STATE = ROOT / "build" / "sweep"
LIBRARY = hashlib.sha256(Path(str(_native.__file__)).read_bytes()).hexdigest()[:12]
BLOCK = 1 << 24
SAMPLE = 20_000
Function = Callable[[Any], Any]


@lru_cache
def compiled(isa: str) -> dict[str, np.ufunc]:
    """The ufuncs of one instruction set."""
    return _native.ufuncs_of(isa)


def ours(name: str, operation: str, isas: tuple[str, ...] = ()) -> dict[str, Function]:
    """The operation with its default parameters, as compiled for each instruction set."""
    activation = rf.catalogue[name]
    parameters = [parameter.default for parameter in activation.parameters.values()]

    def bound(isa: str) -> Function:
        ufunc = compiled(isa)[kernel(activation, operation)]
        return lambda x: ufunc(x, *parameters)

    return {isa: bound(isa) for isa in isas or _native.instruction_sets()}


def peers(name: str, operation: str) -> dict[str, Function]:
    """The operation as other libraries, if they are installed, and lines of NumPy compute it."""
    found: dict[str, Function] = {}
    if name in IDIOMS and operation in IDIOMS[name]:
        found["NumPy idiom"] = np.errstate(all="ignore")(IDIOMS[name][operation])
    if name == "sigmoid" and operation == "value" and find_spec("scipy"):
        from scipy.special import expit

        found["SciPy"] = expit
    if operation in ("value", "derivative") and name in IDIOMS:
        makers = {"PyTorch": ("torch", of_torch), "JAX": ("jax", of_jax)}
        found |= {peer: make(name, operation) for peer, (module, make) in makers.items() if find_spec(module)}
    return found


IDIOMS: dict[str, dict[str, Function]] = {
    "relu": {"value": lambda x: np.maximum(x, 0), "derivative": lambda x: (x > 0).astype(x.dtype)},
    "leaky_relu": {
        "value": lambda x: np.where(x > 0, x, x.dtype.type(0.01) * x),
        "derivative": lambda x: np.where(x > 0, x.dtype.type(1), x.dtype.type(0.01)),
    },
    "sigmoid": {
        "value": lambda x: 1 / (1 + np.exp(-x)),
        "derivative": lambda x: (s := 1 / (1 + np.exp(-x))) * (1 - s),
    },
    "tanh": {"value": np.tanh, "derivative": lambda x: 1 - np.tanh(x) ** 2},
}


def of_torch(name: str, operation: str) -> Function:
    """PyTorch, its derivative by autograd."""
    import torch

    torch.set_num_threads(1)
    function = getattr(torch.nn.functional, name)

    def derivative(x: Any) -> Any:
        leaf = torch.from_numpy(x).requires_grad_()
        function(leaf).sum().backward()
        return leaf.grad.numpy()  # type: ignore[union-attr]

    return derivative if operation == "derivative" else lambda x: function(torch.from_numpy(x)).numpy()


def of_jax(name: str, operation: str) -> Function:
    """JAX, its derivative by a vector-Jacobian product."""
    import jax

    function = getattr(jax.nn, name)

    def derivative(x: Any) -> Any:
        return jax.vjp(function, x)[1](jax.numpy.ones_like(x))[0]

    run = jax.jit(derivative if operation == "derivative" else function)
    return lambda x: np.asarray(run(x))


def measure_bits(oracle: Oracle, contenders: dict[str, Function], bits: Any) -> dict[str, Worst]:
    """The worst of each contender on float32 numbers given by their bits, ascending."""
    found = {key: Worst(0, 0.0) for key in contenders}
    for portion in np.split(bits, range(1 << 16, bits.size, 1 << 16)):  # fits in a cache
        x, want = portion.view(np.float32), oracle.of_bits(portion)
        for key, function in contenders.items():
            found[key] = max(found[key], worst(function(x), want, x))
    return found


def measure_block(oracle: Oracle, contenders: dict[str, Function], stride: int, block: int) -> tuple[int, dict[str, Worst]]:
    """The worst of each contender in one block of all float32 numbers."""
    first = block * BLOCK + -block * BLOCK % stride
    bits = np.arange(first, (block + 1) * BLOCK, stride, dtype=np.uint64).astype(np.uint32)
    return block, measure_bits(oracle, contenders, bits)


def measure_float32(oracle: Oracle, contenders: dict[str, Function], stride: int, processes: int) -> dict[str, Worst]:
    """The worst of each contender over all float32 numbers, or over each stride-th; goes on where it stopped before."""
    name = f"{oracle.activation.name}-{oracle.operation}-{stride}-{'-'.join(contenders).replace(' ', '_')}"
    state = STATE / f"{name}-{LIBRARY}.jsonl"
    state.parent.mkdir(parents=True, exist_ok=True)
    lines = state.read_text().splitlines() if state.exists() else []
    done = {block: {key: Worst(*pair) for key, pair in found.items()} for block, found in map(json.loads, lines)}
    todo = [block for block in range(2**32 // BLOCK) if block not in done]
    oracle.pieces  # noqa: B018  (computed once, before the processes part)
    global _run
    _run = partial(measure_block, oracle, contenders, stride)
    with state.open("a") as out, multiprocessing.get_context("fork").Pool(processes) as pool:
        for block, found in pool.imap_unordered(_run_block, todo):
            done[block] = found
            print(json.dumps([block, found]), file=out, flush=True)
            if sys.stderr.isatty():
                print(f"\r{name}: {len(done)} of {2**32 // BLOCK} blocks", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return {key: max(found[key] for found in done.values()) for key in contenders}


_run: Callable[[int], tuple[int, dict[str, Worst]]]


def _run_block(block: int) -> tuple[int, dict[str, Worst]]:
    return _run(block)


def measure_float16(oracle: Oracle, contenders: dict[str, Function]) -> dict[str, Worst]:
    """The worst of each contender over all float16 numbers."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    want = oracle.of_bits(x.astype(np.float32).view(np.uint32))
    return {key: worst(function(x), want, x) for key, function in contenders.items()}


def measure_float64(oracle: Oracle, contenders: dict[str, Function], count: int = SAMPLE) -> dict[str, Worst]:
    """The worst of each contender over random float64 numbers of every magnitude."""
    x = stratified(np.float64, count)
    want = oracle.rounded(x)
    return {key: worst(function(x), want, x) for key, function in contenders.items()}


def recorded() -> dict[str, Any]:
    """What accuracy.json says: function, operation, dtype."""
    found: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    return found


def entry(found: Worst, stride: int | None) -> dict[str, Any]:
    """A figure, as it is recorded."""
    where = None if found.ulp == 0 else found.input if math.isfinite(found.input) else str(found.input)
    return {"ulp": found.ulp, "input": where, "stride": stride}


def record(oracle: Oracle, found: dict[str, Worst], stride: int | None, of_peers: bool) -> str:
    """Write what was found, if it is better or better known than what is recorded; else say why not."""
    everything = recorded()
    operation = everything.setdefault(oracle.activation.name, {}).setdefault(oracle.operation, {})
    old = operation.get(oracle.dtype.name, {})
    if of_peers:
        operation[oracle.dtype.name] = old | {"peers": {key: entry(value, stride) for key, value in found.items()}}
    else:
        now = max(found.values())
        if "ulp" in old and now.ulp > old["ulp"]:
            return f"worse than the {old['ulp']} ULP that accuracy.json records"
        if "ulp" in old and stride and old["stride"] < stride:
            return f"not recorded: accuracy.json knows each {old['stride']}-th input"
        operation[oracle.dtype.name] = old | entry(now, stride)
    ordered = {name: everything[name] for name in rf.catalogue if name in everything}
    RECORD.write_text(json.dumps(ordered, indent=1) + "\n")
    return ""


def markdown() -> str:
    """The table of all figures, for the documentation."""

    def cell(figure: dict[str, Any]) -> str:
        ulp, where = figure.get("ulp"), figure.get("input")
        if ulp is None:
            return ""
        if ulp == 2**31:
            return "NaN is lost" if where == "nan" else f"NaN at {where:.4g}"
        return f"{ulp}" if ulp < 1000 else f"{ulp:.1e} at {where:.4g}"

    rows = [(name, operation, by) for name, found in recorded().items() for operation, by in found.items()]
    others = list(dict.fromkeys(peer for *_, by in rows for peer in by.get("float32", {}).get("peers", {})))
    lines = [["function", "operation", "float16", "float32", "float64", *(f"{other}, float32" for other in others)]]
    lines.append(["---"] * len(lines[0]))
    for name, operation, by in rows:
        figures = [by.get(dtype, {}) for dtype in ("float16", "float32", "float64")]
        figures += [by.get("float32", {}).get("peers", {}).get(other, {}) for other in others]
        lines.append([f"`{name}`", operation.replace("_", " "), *map(cell, figures)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Sweep as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [name for name, activation in rf.catalogue.items() if activation.category != "fold"]
    parser.add_argument("functions", nargs="*", metavar="function", help="one or more of: " + ", ".join(known))
    parser.add_argument("--operation", action="append", help="value, derivative, derivative_wrt_PARAMETER (default: all)")
    parser.add_argument("--dtype", choices=["float16", "float32", "float64"], default="float32")
    parser.add_argument("--stride", type=int, default=1, help="look at each STRIDE-th float32 (default: 1)")
    parser.add_argument(
        "--isa", action="append", choices=_native.instruction_sets(), help="default: each; one is not recorded"
    )
    parser.add_argument("--processes", type=int, default=rf.get_num_threads())
    parser.add_argument("--peers", action="store_true", help="measure the libraries beside which the table sets ours")
    parser.add_argument("--markdown", action="store_true", help="print the table of accuracy.json and measure nothing")
    chosen = parser.parse_args()
    if chosen.markdown:
        print(markdown())
        return 0
    if unknown := set(chosen.functions) - set(known):
        parser.error(f"no such function: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    rf.set_num_threads(1)
    status = 0
    for name in chosen.functions or known:
        for operation in operations(rf.catalogue[name]):
            if chosen.operation and operation not in chosen.operation:
                continue
            contenders = peers(name, operation) if chosen.peers else ours(name, operation, tuple(chosen.isa or ()))
            if not contenders:
                continue
            oracle = Oracle(rf.catalogue[name], operation, chosen.dtype)
            if chosen.dtype == "float32":
                found = measure_float32(oracle, contenders, chosen.stride, chosen.processes)
            else:
                found = {"float16": measure_float16, "float64": measure_float64}[chosen.dtype](oracle, contenders)
            for key, value in found.items():
                print(f"{name:12} {operation:22} {chosen.dtype} {key:12} {value.ulp} ULP at {value.input!r}", flush=True)
            if chosen.isa:
                continue
            stride = {"float16": 1, "float32": chosen.stride, "float64": None}[chosen.dtype]
            if complaint := record(oracle, found, stride, chosen.peers):
                print(f"{name:12} {operation:22} {chosen.dtype} {complaint}")
                status |= complaint.startswith("worse")
    return status


if __name__ == "__main__":
    sys.exit(main())
