"""Sees what torch.compile compiles: the counting becomes a part of the graph, before any backend gets it.

The hooks and the mode are no part of compiled code: they return at once there. Instead, each activation of a graph that was
captured is followed by one opaque operation that counts in tensors of its own. So there is no graph break, nothing to
compile again, and the operations of the network stay as they were.

PyTorch has no public place where every graph of every backend comes by. Where the private one that is used here is not as
it is known, compiled code stays as it is, and the report says that it was not seen.
"""

from __future__ import annotations

import operator
import re
import sys
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rectified.torch.functions import FUNCTIONS, activation_of, plain_name
from rectified.torch.imports import after_import
from rectified.torch.site import Site, is_activation, is_passed_through
from rectified.torch.slopes import Slopes
from rectified.torch.tally import Measure, Tally
from rectified.torch.units import Call, Origin, origin_of

if TYPE_CHECKING:
    from rectified.torch.collect import Collector

_library: Any = torch.library.Library("rectified", "DEF")  # type: ignore[no-untyped-call]
_library.define("count(Tensor(a!) sums, Tensor(b!) low, Tensor(c!) high, Tensor x, Tensor y, int axis, int place) -> ()")
_places: list[_Place] = []
_collectors: list[Collector] = []
_is_seen = True
_UNSEEN = "what torch.compile compiled was not seen, since this version of PyTorch compiles in a way that is not known here"


class _Place:
    """Where in compiled code is counted: the slopes of the function, and which passes are left out."""

    def __init__(self, slopes: Slopes, collector: Collector, mode: str) -> None:
        self.slopes = slopes
        self._collector = collector
        self._mode = mode
        self._passes = -1

    def is_left_out(self) -> bool:
        """Whether this pass is one of those between."""
        self._passes += 1
        return self._collector.is_left_out(None if self._mode == "train" else self._passes)


def _count(sums: Tensor, low: Tensor, high: Tensor, x: Tensor, y: Tensor, axis: int, place: int) -> None:
    if not _places[place].is_left_out():
        x, y = x.detach().unsqueeze(0), y.detach().unsqueeze(0)
        Tally(sums, low, high).add(Measure.of(x, y, axis + 1, _places[place].slopes))


_library.impl("count", _count, "CompositeExplicitAutograd")
_library.impl("count", lambda *_: None, "Meta")


class _Watching:
    """Ends the watching of a collector when it is removed."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._graphs = _graphs()

    def remove(self) -> None:
        if not _is_seen and _graphs() > self._graphs:
            self._collector.note(_UNSEEN)
        _collectors.remove(self._collector)
        _forget_graphs()


def watch_compiler(collector: Collector) -> _Watching:
    """Let a collector see every graph that runs from now on, until the result is removed.

    Graphs that were compiled before or during that time do the wrong counting outside of it, so they are compiled again.
    """
    _collectors.append(collector)
    after_import("torch._dynamo.output_graph", _patch)
    _forget_graphs()
    return _Watching(collector)


def _forget_graphs() -> None:
    if "torch._dynamo.output_graph" in sys.modules:
        torch.compiler.reset()


def _graphs() -> int:
    """How many graphs have been compiled, as far as PyTorch tells."""
    counters: Any = getattr(sys.modules.get("torch._dynamo.utils"), "counters", {})
    return int(counters.get("stats", {}).get("unique_graphs", 0))


def _patch(dynamo: ModuleType) -> None:
    global _is_seen
    graph_class = getattr(dynamo, "OutputGraph", None)
    compile_graph = getattr(graph_class, "call_user_compiler", None)
    _is_seen = compile_graph is not None
    if graph_class is None or compile_graph is None or hasattr(compile_graph, "__wrapped__"):
        return

    @wraps(compile_graph)
    def instrumented(self: Any, module: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        for collector in _collectors:
            try:
                instrument(collector, self, module, inputs)
            except Exception as error:  # a private interface may do anything, and the network goes on
                collector.note(f"{_UNSEEN} ({type(error).__name__}: {error})")
        return compile_graph(self, module, inputs, *rest, **options)

    graph_class.call_user_compiler = instrumented


def instrument(collector: Collector, output: Any, module: Any, inputs: Any) -> None:
    """Make counting a part of a graph.

    Parameters
    ----------
    collector : Collector
        Whose sites the activations become.
    output : OutputGraph
        The compiler's record of the graph.
    module : GraphModule
        The graph.
    inputs : sequence
        What the graph gets, parameters included.
    """
    graph = _Graph(collector, output, module, inputs)
    if collector.wants(graph.network):
        for node in list(module.graph.nodes):
            graph.see(node)
        module.recompile()


class _Graph:
    """A graph whose nodes are gone through in order."""

    def __init__(self, collector: Collector, output: Any, module: Any, inputs: Any) -> None:
        self._collector = collector
        self._sources = output.param_name_to_source
        self._local = local = dict(output.root_tx.f_locals)
        self._module = module
        placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
        self._inputs = dict(zip(placeholders, inputs, strict=False))
        self._self = local.get("self", next((value for value in local.values() if isinstance(value, nn.Module)), None))
        self.network = collector.network_compiled(self._self)
        is_training = self._self.training if isinstance(self._self, nn.Module) else torch.is_grad_enabled()
        self._mode: Any = "train" if is_training else "eval"
        self._origins: dict[Any, Origin] = {}
        self._weights = {node for node, value in self._inputs.items() if isinstance(value, nn.Parameter)}
        self._uses: dict[str, int] = {}

    def see(self, node: Any) -> None:
        if node.op == "call_function" and "checkpoint" in str(node.target):
            self._collector.note("what is checkpointed inside of compiled code was not seen")
        if node.op not in ("call_function", "call_method"):
            return
        name = FUNCTIONS.get(node.target) or plain_name(node.target)
        kwargs = dict(node.kwargs)
        out = _value(node)
        first = out[0] if isinstance(out, tuple | list) and out else out
        shape = _sizes(first) if isinstance(first, Tensor) else ()
        if node.target is operator.getitem and isinstance(_value(node.args[0]), tuple | list):
            origin = self._origins.get(node.args[0])
        else:
            origin = origin_of(
                Call(name, node.args, kwargs, shape, self._origins.get, self._shape, self._weights.__contains__)
            )
        if name in ("t", "T", "mT", "transpose", "detach", "to") and node.args[:1] and node.args[0] in self._weights:
            self._weights.add(node)
        is_activation_call = node.target in FUNCTIONS or (node.op == "call_method" and name in FUNCTIONS.values())
        if is_activation_call and isinstance(out, Tensor) and out.is_floating_point():
            site = self._site(node, name, kwargs)
            if site is not None:
                site.axis = origin.axis if site.axis is None and origin else site.axis
                if site.axis is not None:
                    self._insert(node, site, site.axis)
                origin = Origin(site.axis, site)
        if origin is not None:
            self._origins[node] = origin

    def _site(self, node: Any, name: str, kwargs: dict[str, Any]) -> Site | None:
        args = tuple(self._inputs.get(each) if isinstance(each, torch.fx.Node) else each for each in node.args)
        kwargs = {key: self._inputs.get(each) if isinstance(each, torch.fx.Node) else each for key, each in kwargs.items()}
        if activation_of(name, args, kwargs) is None:
            return None
        owner = self._owner(node)
        path = self._collector.path(owner, self.network) if owner is not None else ""
        if owner is None or not is_activation(owner):
            where = _place(node, owner or self._self)
            path = f"{path}: {where}" if path else where
        self._uses[path] = use = self._uses.get(path, 0) + 1
        return self._collector.named(path if use == 1 else f"{path} (use {use})", name, args, kwargs)

    def _insert(self, node: Any, site: Site, axis: int) -> None:
        from torch._dynamo.source import ConstantSource

        graph, module = self._module.graph, self._module
        like = _value(node)
        units = _sizes(like)[axis]
        tally = Tally.new(units, site.slopes, like.dtype, like.device)
        site.tallies.append((self._mode, tally))
        _places.append(_Place(site.slopes, self._collector, self._mode))
        names = [f"rectified_{len(_places)}_{field}" for field in Tally._fields]
        x = node.args[0] if node.args else node.kwargs["input"]
        if not site.slopes.idempotent:  # the function may be about to overwrite it
            with graph.inserting_before(node):
                x = graph.call_method("clone", (x,))
        else:
            x = node
        counters = []
        with graph.inserting_after(node):
            count = graph.call_function(torch.ops.rectified.count.default)
        with graph.inserting_before(count):
            for name, tensor in zip(names, tally, strict=True):
                module.register_buffer(name, tensor)
                self._sources[name] = ConstantSource(name)
                counters.append(graph.get_attr(name))
        count.args = (*counters, x, node, axis, len(_places) - 1)

    def _shape(self, value: Any) -> tuple[int, ...] | None:
        found = _value(value)
        return _sizes(found) if isinstance(found, Tensor) else None

    def _owner(self, node: Any) -> nn.Module | None:
        """The module in whose forward pass a node is."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        if not stack:
            return self._self if isinstance(self._self, nn.Module) else None
        first, *names = re.findall(r"\w+", stack[-1][0].removeprefix("L"))
        found: Any = self._local.get(first)
        for name in names:
            if name not in ("_modules", "modules"):
                found = getattr(found, name, None) if not name.isdigit() else getattr(found, "_modules", {}).get(name)
        return found if isinstance(found, nn.Module) else None


def _place(node: Any, owner: Any) -> str:
    """The place in the program that a node comes from, as the eager code's are named."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if not is_passed_through(frame[0])]
    if not own:
        return plain_name(node.target)
    file, line, function = own[-1]
    method = getattr(type(owner), function, None)
    code = getattr(method, "__code__", None)
    is_its = code is not None and code.co_filename == file
    return f"{file.rpartition('/')[2]}:{line} in {code.co_qualname if is_its and code else function}"


def _value(node: Any) -> Any:
    return node.meta.get("example_value") if isinstance(node, torch.fx.Node) else None


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    """The shape in plain numbers, without a guard on those that may vary."""
    return tuple(size if isinstance(size, int) else int(size.node.hint) for size in tensor.shape)
