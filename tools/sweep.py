"""Sweep functions over their inputs and keep the worst distance from the correctly rounded result in accuracy.json.

    python tools/sweep.py                         every function and operation, all 2^32 float32 inputs
    python tools/sweep.py tanh --stride 1009      one function, a sample
    python tools/sweep.py --dtype float64         random inputs of every magnitude, point by point against mpmath
    python tools/sweep.py --dtype bfloat16        all inputs of a type with 16 bits
    python tools/sweep.py --peers --stride 1009   what other libraries reach
    python tools/sweep.py --markdown              the table of what is recorded

A sweep that finds more than is promised says so and fails. A figure in accuracy.json is the worst over all instruction sets
of the machine, and may only fall: a sweep that finds a worse one fails too, unless it looked at more inputs than the one
before. Of the sets that have no fused
multiply-add, and take ten times as long to make it of other operations, a sweep of all inputs looks at each 61st. A sweep
that was interrupted goes on where it stopped, if the function's source is the same.
"""

from __future__ import annotations

import argparse
import ast
import ctypes
import fcntl
import hashlib
import json
import math
import multiprocessing
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import rectified as rf
from rectified import _native, benchmark

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from oracle import Oracle, Worst, kernel, operations, stratified, ulps, worst  # noqa: E402

RECORD = ROOT / "accuracy.json"
STATE = ROOT / "build" / "sweep"
NATIVE = ROOT / "native"
SPARSELY = {"x86-64-v2": 61}
"""Instruction sets that are slow, and of how many inputs they are given one."""
BLOCKS = {False: 256, True: 16}
"""Into how many parts all float32 numbers are divided, when all of them are looked at, or a sample."""
ENDS = np.array([sign << 31 | size for sign in (0, 1) for size in (0, 1, 0x7F7FFFFF, 0x7F800000, 0x7FC00000)], np.uint32)
"""Zero, the smallest and the largest float32, infinity and NaN, which a sample would miss; and the same below zero."""
PORTION = 1 << 17  # fits in a cache, and is long beside the calls into NumPy that it takes
SAMPLE = 1_000
CLAIMED = {"float16": 0, "bfloat16": 0, "float32": 1, "float64": 2}
DTYPES = tuple(CLAIMED)
Function = Callable[[Any], Any]


@lru_cache
def compiled(isa: str) -> dict[str, np.ufunc]:
    """The ufuncs of one instruction set."""
    return _native.ufuncs_of(isa)


def degree(formula: ast.expr) -> float:
    """The largest power of x in a formula that is made of polynomials in x; infinite where it is not."""
    match formula:
        case ast.IfExp(body=first, orelse=second):
            return max(degree(first), degree(second))
        case ast.BinOp(op=ast.Add() | ast.Sub(), left=first, right=second):
            return max(degree(first), degree(second))
        case ast.BinOp(op=ast.Mult(), left=first, right=second):
            return degree(first) + degree(second)
        case ast.BinOp(op=ast.Div(), left=first, right=second) if degree(second) == 0:
            return degree(first)
        case ast.UnaryOp(operand=operand):
            return degree(operand)
        case ast.Call(func=ast.Name(id="abs" | "max" | "min"), args=arguments):
            return max(map(degree, arguments))
        case ast.Name(id="x"):
            return 1
    return math.inf if any(ast.unparse(node) == "x" for node in ast.walk(formula)) else 0


def claimed(name: str, operation: str, dtype: str) -> int:
    """How many ULP the operation is promised to be away at most, with any parameters."""
    if degree(ast.parse(rf.catalogue[name].formula, mode="eval").body) <= 1:
        return 0
    return CLAIMED[dtype] + (operation == "second_derivative" and dtype == "float32")


def ours(name: str, operation: str, isas: tuple[str, ...] = ()) -> dict[str, Function]:
    """The operation with its default parameters, as compiled for each instruction set."""
    activation = rf.catalogue[name]
    parameters = [parameter.default for parameter in activation.parameters.values()]

    def bound(isa: str) -> Function:
        ufunc = compiled(isa)[kernel(activation, operation)]
        return lambda x: ufunc(x, *map(x.dtype.type, parameters))

    return {isa: bound(isa) for isa in isas or _native.instruction_sets()}


def sources(header: Path) -> set[Path]:
    """A header and all that it includes."""
    included = {(header.parent / name).resolve() for name in re.findall(r'^#include "(.+)"', header.read_text(), re.M)}
    return {header}.union(*map(sources, included))


@lru_cache
def source_of(name: str) -> str:
    """A text that is another when the function's code may be."""
    struct = re.compile(rf"^struct {name} : ", re.M)
    header = next(path for path in (NATIVE / "activations").glob("*.hpp") if struct.search(path.read_text()))
    files = sources(header) | sources(NATIVE / "family.cpp") | {ROOT / "CMakeLists.txt"}
    if late := [path for path in files if path.stat().st_mtime > Path(str(_native.__file__)).stat().st_mtime]:
        raise SystemExit(f"{late[0].relative_to(ROOT)} is newer than the compiled library: run make .venv/dev first")
    code = [re.sub(r"\s*//.*", "", path.read_text()) for path in sorted(files)]
    return hashlib.sha256("".join(code).encode()).hexdigest()[:12]


SCIPY = benchmark.Peer(
    ("scipy",),
    lambda threads, dtype: nullcontext(lambda call, names: (call, {"special": import_module("scipy.special"), **names})),
    {
        "sigmoid": ("special.expit(x, out=out)",),
        "logsigmoid": ("special.log_expit(x, out=out)",),
        "softplus": ("special.softplus(x)",),
        "gelu": ("x * special.ndtr(x)",),
    },
)
PEERS = {
    "NumPy idiom": benchmark.PEERS["numpy"],
    "PyTorch": benchmark.PEERS["torch"],
    "JAX": benchmark.PEERS["jax"],
    "ONNX Runtime": benchmark.PEERS["onnxruntime"],
    "SciPy": SCIPY,
}
"""Those whose accuracy is measured. Their calls are the ones that `rectified bench` times."""


def peers(name: str, operation: str, dtype: str = "float32") -> dict[str, Function]:
    """The operation as other libraries, if they are installed, and lines of NumPy compute it."""
    able = {key: peer for key, peer in PEERS.items() if dtype in peer.dtypes and all(map(find_spec, peer.modules))}
    found = {key: of_peer(peer, rf.catalogue[name], operation) for key, peer in able.items()}
    return {key: function for key, function in found.items() if function}


def of_peer(peer: benchmark.Peer, activation: rf.Activation, operation: str) -> Function | None:
    """The operation of another library: its derivative is its backward pass of 1, from its own output if need be."""
    kinds = {"value": ["value"], "derivative": ["backward", "backward_from_output"]}.get(operation, [])
    calls = {kind: ways[0] for kind in benchmark.KINDS if (ways := peer.of(activation, kind))}
    kind = next((kind for kind in kinds if kind in calls), None)
    if kind is None or (kind == "backward_from_output" and "value" not in calls):
        return None
    for module in peer.modules:
        import_module(module)

    def computed(x: Any) -> Any:
        names = {key: parameter.default for key, parameter in activation.parameters.items()}
        names |= {"x": x, "y": x, "dy": np.ones_like(x), "out": np.empty_like(x)}
        # A library that starts threads starts them here, in the process that computes.
        with np.errstate(all="ignore"), peer.opened(1, x.dtype.name) as prepare:
            for step in ["value", kind] if kind == "backward_from_output" else [kind]:
                statement, known = prepare(calls[step], names)
                returned = eval(statement, known)
                names |= {"y": np.asarray(names["out"] if returned is None else returned)}
        return names["y"]

    return computed


def measure_bits(oracle: Oracle, contenders: dict[str, Function], bits: Any, every: bool = False) -> dict[str, Worst]:
    """The worst of each contender on float32 numbers given by their bits, ascending; with `every` a slow one gets fewer."""
    found = {key: Worst(0, 0.0) for key in contenders}
    for portion in np.split(bits, range(PORTION, bits.size, PORTION)):
        x, want = portion.view(np.float32), oracle.of_bits(portion)
        for key, function in contenders.items():
            step = SPARSELY.get(key, 1) if every else 1
            part = slice(-int(portion[0]) % step, None, step)
            if (some := x[part]).size:
                found[key] = max(found[key], worst(function(some), want[part], some))
    return found


def measure_block(oracle: Oracle, contenders: dict[str, Function], stride: int, block: int) -> tuple[int, dict[str, Worst]]:
    """The worst of each contender in one block of all float32 numbers."""
    found = {key: Worst(0, 0.0) for key in contenders}
    numbers = 2**31 + 1 if oracle.activation.category == "radial" else 2**32  # what is negative is no distance
    start, end = (place * numbers // BLOCKS[stride > 1] for place in (block, block + 1))
    for first in range(start + -start % stride, end, PORTION * stride):
        bits = np.arange(first, min(first + PORTION * stride, end), stride).astype(np.uint32)
        here = measure_bits(oracle, contenders, bits, every=stride == 1)
        found = {key: max(found[key], here[key]) for key in contenders}
    return block, found


def measure_float32(oracle: Oracle, contenders: dict[str, Function], stride: int, processes: int) -> dict[str, Worst]:
    """The worst of each contender over all float32 numbers, or over each stride-th; goes on where it stopped before."""
    name = f"{oracle.activation.name}-{oracle.operation}-{stride}-{'-'.join(contenders).replace(' ', '_')}"
    state = STATE / f"{name}-{source_of(oracle.activation.name)}-{oracle.key}.jsonl"
    state.parent.mkdir(parents=True, exist_ok=True)
    lines = state.read_text().splitlines() if state.exists() else []
    done = {block: {key: Worst(*pair) for key, pair in found.items()} for block, found in map(json.loads, lines)}
    blocks = BLOCKS[stride > 1]
    todo = [block for block in range(blocks) if block not in done]
    oracle.pieces  # noqa: B018  (computed once, before the processes part)
    global _run
    _run = partial(measure_block, oracle, contenders, stride)
    with state.open("a") as out, multiprocessing.get_context("fork").Pool(processes) as pool:
        for block, found in pool.imap_unordered(_run_block, todo):
            done[block] = found
            print(json.dumps([block, found]), file=out, flush=True)
            if sys.stderr.isatty():
                print(f"\r{name}: {len(done)} of {blocks} blocks", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    ends = measure_bits(oracle, contenders, ENDS[: 6 if oracle.activation.category == "radial" else None])
    return {key: max(ends[key], *(found[key] for found in done.values())) for key in contenders}


_run: Callable[[int], tuple[int, dict[str, Worst]]]


def _run_block(block: int) -> tuple[int, dict[str, Worst]]:
    return _run(block)


def measure_16_bits(oracle: Oracle, contenders: dict[str, Function]) -> dict[str, Worst]:
    """The worst of each contender over all numbers of float16 or bfloat16."""
    x = np.arange(1 << 16, dtype=np.uint16).view(oracle.dtype)
    want = oracle.of_bits(x.astype(np.float32).view(np.uint32))
    return {key: worst(function(x), want, x) for key, function in contenders.items()}


def measure_float64(oracle: Oracle, contenders: dict[str, Function], count: int = SAMPLE) -> dict[str, Worst]:
    """The worst of each contender over random float64 numbers of every magnitude, and beside the operation's roots.

    There an absolute error below 2^-53 counts as 2 ULP.
    """
    return measure(oracle, contenders, np.concatenate([stratified(np.float64, count), oracle.beside_roots()]))


def measure(oracle: Oracle, contenders: dict[str, Function], x: Any) -> dict[str, Worst]:
    """The worst of each contender on some numbers, point by point."""
    want = oracle.rounded(x)

    def far(got: Any) -> Worst:
        distance = ulps(got, want)
        for place in np.flatnonzero(distance > 2).tolist() if oracle.dtype == np.float64 else ():
            if oracle.is_excused(float(x[place]), float(got[place])):
                distance[place] = 2
        place = int(np.argmax(distance))
        return Worst(int(distance[place]), float(x[place]))

    return {key: far(function(x)) for key, function in contenders.items()}


def told(oracle: Oracle, function: Function, found: Worst) -> str:
    """What a function gives there, and what would be right."""
    x = np.array([found.input]).astype(oracle.dtype)
    return f": it gives {function(x)[0]}, and {oracle.rounded(x)[0]} is right"


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
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "lock").open("w") as lock:  # other sweeps may be running
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _record(oracle, found, stride, of_peers)


def _record(oracle: Oracle, found: dict[str, Worst], stride: int | None, of_peers: bool) -> str:
    everything = recorded()
    operation = everything.setdefault(oracle.activation.name, {}).setdefault(oracle.operation, {})
    old = operation.get(oracle.dtype.name, {})
    if of_peers:
        operation[oracle.dtype.name] = old | {"peers": {key: entry(value, stride) for key, value in found.items()}}
    else:
        now = max(found.values())
        is_finer = bool("ulp" in old and stride and stride < old["stride"])
        if "ulp" in old and now.ulp > old["ulp"] and not is_finer:
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
    dtypes = [dtype for dtype in DTYPES if dtype != "bfloat16" or any(dtype in by for *_, by in rows)]
    others = list(dict.fromkeys(peer for *_, by in rows for peer in by.get("float32", {}).get("peers", {})))
    lines = [["function", "operation", *dtypes, *(f"{other}, float32" for other in others)]]
    lines.append(["---"] * len(lines[0]))
    for name, operation, by in rows:
        ours = [
            cell(by.get(dtype, {})) + " (sample)" * (by.get(dtype, {}).get("stride") not in (None, 1)) for dtype in dtypes
        ]
        theirs = [cell(by.get("float32", {}).get("peers", {}).get(other, {})) for other in others]
        lines.append([f"`{name}`", operation.replace("_", " "), *ours, *theirs])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def keep_memory() -> None:
    """Have freed memory kept for the next array, where the C library can: to get it anew costs more than the work on it."""
    with suppress(AttributeError):
        for option, size in ((-3, 1 << 25), (-1, 1 << 27)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            ctypes.CDLL(None).mallopt(option, size)


def main() -> int:
    """Sweep as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [name for name, activation in rf.catalogue.items() if activation.category != "fold"]
    parser.add_argument("functions", nargs="*", metavar="function", help="one or more of: " + ", ".join(known))
    parser.add_argument("--operation", action="append", help="such as derivative_wrt_slope (default: all)")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
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
    if chosen.dtype == "bfloat16":
        import_module("ml_dtypes")
        rf.ufuncs.learn_bfloat16()
    rf.set_num_threads(1)
    keep_memory()
    status = 0
    for name in chosen.functions or known:
        for operation in operations(rf.catalogue[name]):
            if chosen.operation and operation not in chosen.operation:
                continue
            contenders = (
                peers(name, operation, chosen.dtype) if chosen.peers else ours(name, operation, tuple(chosen.isa or ()))
            )
            if not contenders:
                continue
            oracle = Oracle(rf.catalogue[name], operation, chosen.dtype)
            if chosen.dtype == "float32":
                found = measure_float32(oracle, contenders, chosen.stride, chosen.processes)
            else:
                found = (measure_float64 if chosen.dtype == "float64" else measure_16_bits)(oracle, contenders)
            most, ulp = claimed(name, operation, chosen.dtype), max(found.values()).ulp
            for key, value in found.items():
                detail = told(oracle, contenders[key], value) if value.ulp > most else ""
                where = f"{name:12} {operation:22} {chosen.dtype} {key:12}"
                print(f"{where} {value.ulp} ULP at {value.input!r}{detail}", flush=True)
            if ulp > most and not chosen.peers:
                print(f"{name:12} {operation:22} {chosen.dtype} too far: {ulp} ULP, and {most} are promised")
                status = 1
            if chosen.isa:
                continue
            stride = {"float32": chosen.stride, "float64": None}.get(chosen.dtype, 1)
            if complaint := record(oracle, found, stride, chosen.peers):
                print(f"{name:12} {operation:22} {chosen.dtype} {complaint}")
                status |= complaint.startswith("worse")
    return status


if __name__ == "__main__":
    sys.exit(main())
