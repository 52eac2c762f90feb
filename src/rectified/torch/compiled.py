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
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import wraps
from itertools import count
from math import prod
from threading import local
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rectified.torch.by_hand import JOINED, UNKNOWN, Term, Terms, number_in, overwrites, whole_of
from rectified.torch.calls import Axes, Call, Origin, Shape, Weight
from rectified.torch.functions import CLAMPS, FUNCTIONS, GATED, LOSSES, activation_of, plain_name
from rectified.torch.imports import after_import
from rectified.torch.losses import in_average, is_bound, note_of, note_of_bound, note_of_softmax
from rectified.torch.readings import Readings, can_read
from rectified.torch.site import Site, is_activation, traced_caller
from rectified.torch.slopes import Slopes
from rectified.torch.tally import Counted, Measure, Measures, Tally
from rectified.torch.turns import Turns
from rectified.torch.units import is_maker, origin_of, part_of, weight_of

if TYPE_CHECKING:
    from rectified.torch.collect import Collector
    from rectified.torch.network import Network

_library: Any = torch.library.Library("rectified", "DEF")  # type: ignore[no-untyped-call]
_library.define(
    "count(Tensor(a!) sums, Tensor(b!) low, Tensor(c!) high, Tensor x, Tensor y, int[] axes, int place) -> ()",
    tags=(torch.Tag.flexible_layout,),  # it asks for no order in memory, which would be that of the network, too
)
_RESUMED = re.compile(r"torch_dynamo_resume_in_(.+)_at_\d+")  # behind a graph that could not go on
_places: dict[int, _Place] = {}  # while their collectors look
_numbers = count()
_collectors: list[Collector] = []
_calls = local()  # of compiled code: the last is the one that runs
_patches = ExitStack()  # of PyTorch, while one of these looks
_is_seen = True
_UNSEEN = "what torch.compile compiled was not seen, since this version of PyTorch compiles in a way that is not known here"


class _Code:
    """What was compiled: for which module first, and how to find out which one runs, for modules of a class share it.

    It lasts as long as the collector looks, so it keeps no modules. The source is the compiler's name of the module.
    """

    def __init__(self, collector: Collector, translated: Any, source: str) -> None:
        first = _module_at(_names(source), translated.f_locals, translated.f_globals)
        self.collector = collector
        self.network = network = collector.network_compiled(first)
        self.is_wanted = collector.networks.wants(network)
        is_training = first.training if isinstance(first, nn.Module) else torch.is_grad_enabled()
        self.mode: Any = "train" if is_training else "eval"
        self._name, self._file = translated.f_code.co_name, translated.f_code.co_filename
        self._source = _names(source)
        self._first = weakref.ref(first) if isinstance(first, nn.Module) else lambda: None

    def another(self) -> nn.Module | None:
        """The module that runs, if it is another than the first."""
        frame, others = _last_call()
        if self not in others:
            while frame is not None and (frame.f_code.co_name != self._name or frame.f_code.co_filename != self._file):
                frame = frame.f_back
            module = None if frame is None else _module_at(self._source, frame.f_locals, frame.f_globals)
            others[self] = module if module is not self._first() else None
        return others[self]

    def network_of(self, module: nn.Module) -> Network | None:
        """The network of another module; None where it is not looked at."""
        network = self.network
        if network is None or not network.has(module):
            network = self.collector.network_compiled(module)
        return network if self.collector.networks.wants(network) else None


class _Place:
    """Where in compiled code is counted: the slopes of the function, and which passes are left out.

    The counters of the first module are in the graph. `among` gives the site in another; None where it is not looked at.
    """

    def __init__(self, code: _Code, slopes: Slopes, among: Callable[[nn.Module], Site | None], is_split: bool) -> None:
        self.slopes = slopes
        self._is_split = is_split
        self.tally: Tally | None = None
        self.measures = Measures(slopes)
        self._readings: Readings | None = None
        self._code = code
        self._among = among
        self._others: weakref.WeakKeyDictionary[nn.Module, _Place | None] = weakref.WeakKeyDictionary()
        self._turns = Turns()

    def is_of(self, collector: Collector) -> bool:
        """Whether a collector counts here."""
        return self._code.collector is collector

    def is_left_out(self) -> bool:
        """Whether this pass is one of those between."""
        return not self._code.collector.schedule.counts(self._turns, training=self._code.mode == "train")

    def running(self, y: Tensor, axes: Axes) -> _Place | None:
        """The place in the module that runs."""
        module = self._code.another()
        if module is None:
            return self if self._code.is_wanted else None
        if module not in self._others:
            site, other = self._among(module), _Place(self._code, self.slopes, self._among, self._is_split)
            self._others[module] = None if site is None else other
            if site is not None:
                site.see_axes(axes, y.shape, is_split=self._is_split)
                other.tally = Tally.new(prod(y.shape[axis] for axis in axes), self.slopes, y.dtype, y.device)
                site.taking += [(self._code.mode, take) for take in (other.tally.take, *other.takes)]
        return self._others[module]

    @property
    def takes(self) -> tuple[Callable[[], Counted | None], ...]:
        """What gives what waits here."""
        return self.measures.take, self._take_read

    def read(self, x: Tensor, y: Tensor, axes: Axes) -> bool:
        """Count inputs and outputs where they lie, if they can be read."""
        if self._readings is None:
            self._readings = Readings(self.slopes, axes)
        if self._readings.see([x], [y]):
            return True
        if y.shape == self._readings.shape or not can_read(y, axes):
            return False
        self._readings.expect(y.shape)
        return self._readings.see([x], [y])

    def _take_read(self) -> Counted | None:
        return None if self._readings is None else self._readings.take()


def _count(sums: Tensor, low: Tensor, high: Tensor, x: Tensor, y: Tensor, axes: Sequence[int], place: int) -> None:
    known = _places.get(place)
    here = None if known is None else known.running(y, tuple(axes))
    if here is not None and not here.is_left_out() and y.numel() > 0 and not here.read(x, y, tuple(axes)):
        measure = Measure.of(
            x.detach().unsqueeze(0), y.detach().unsqueeze(0), tuple(axis + 1 for axis in axes), here.slopes
        )
        if x.device.type == "cpu":
            here.measures.add(measure)
        else:  # a device may run this again by itself
            (here.tally or Tally(sums, low, high)).add(measure)


_library.impl("count", _count, "CompositeExplicitAutograd")
_library.impl("count", lambda *_: None, "Meta")


class _Watching:
    """Ends the watching of a collector when it is removed."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._graphs = _graphs()
        self._breaks, self._limits = _breaks(), _limits()

    def remove(self) -> None:
        if not _is_seen and _graphs() > self._graphs:
            self._collector.run.note(_UNSEEN)
        if _breaks() > self._breaks:
            self._collector.run.note("what ran between the graphs into which torch.compile broke a network was not seen")
        if _limits() > self._limits:
            self._collector.run.note("what ran after torch.compile had reached its limit of recompilations was not seen")
        _collectors.remove(self._collector)
        for number in [number for number, place in _places.items() if place.is_of(self._collector)]:
            del _places[number]
        if not _collectors:
            _patches.close()
        _forget_graphs()


def watch_compiler(collector: Collector) -> _Watching:
    """Let a collector see every graph that runs from now on, until the result is removed.

    Graphs that were compiled before or during that time do the wrong counting outside of it, so they are compiled again.
    """
    if not _collectors:
        for name, patch in _PATCHES.items():
            _patches.callback(after_import(name, patch))
    _collectors.append(collector)
    _forget_graphs()
    return _Watching(collector)


def _forget_graphs() -> None:
    if "torch._dynamo.output_graph" in sys.modules:
        torch.compiler.reset()


def _graphs() -> int:
    """How many graphs have been compiled, as far as PyTorch tells."""
    return int(_counters().get("stats", {}).get("unique_graphs", 0))


def _breaks() -> int:
    """How often a graph could not go on."""
    return sum(_counters().get("graph_break", {}).values())


def _limits() -> int:
    """How often code had to be compiled again too many times, and runs as it is since then."""
    return sum(count for reason, count in _counters().get("unimplemented", {}).items() if "recompile limit" in reason)


def _counters() -> Any:
    return getattr(sys.modules.get("torch._dynamo.utils"), "counters", {})


def _patch(dynamo: ModuleType) -> None:
    global _is_seen
    graph_class = getattr(dynamo, "OutputGraph", None)
    compile_graph = getattr(graph_class, "call_user_compiler", None)
    _is_seen = compile_graph is not None
    if graph_class is None or compile_graph is None:
        return

    @wraps(compile_graph)
    def instrumented(self: Any, module: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        known = []
        for collector in _collectors:
            try:
                known.append((collector, instrument(collector, self, module, inputs)))
            except Exception as error:  # a private interface may do anything, and the network goes on
                collector.run.note(f"{_UNSEEN} ({type(error).__name__}: {error})")
        with ExitStack() as stack:
            for collector in _collectors:
                stack.enter_context(collector.hears_threads())
            return _remembered(compile_graph(self, module, inputs, *rest, **options), known)

    graph_class.call_user_compiler = instrumented
    _patches.callback(setattr, graph_class, "call_user_compiler", compile_graph)


def _last_call() -> tuple[Any, dict[_Code, nn.Module | None]]:
    """The frame that called compiled code, and which module runs there, if another than the code's first."""
    found: tuple[Any, dict[_Code, nn.Module | None]] = getattr(_calls, "last", (None, {}))
    return found


def _remembered(compiled: Callable[..., Any], known: list[tuple[Collector, dict[int, Origin]]]) -> Callable[..., Any]:
    """Know which frame calls compiled code, and let what runs after it know which of its outputs are of activations."""

    def run(*args: Any) -> Any:
        before = _last_call()
        _calls.last = sys._getframe(1), {}
        try:
            outputs = compiled(*args)
        finally:
            _calls.last = before
        for collector, origins in known:
            if collector.running.is_tracking:
                for place, origin in origins.items():
                    collector.origins.remember(outputs[place], origin)
        return outputs

    return run if known else compiled


def _patch_calls(eval_frame: ModuleType) -> None:
    """Let collectors know when compiled code begins and ends."""
    set_callback = getattr(eval_frame, "_maybe_set_eval_frame", None)
    if set_callback is None:
        return

    @wraps(set_callback)
    def set_apart(callback: Any) -> Any:
        caller = sys._getframe(1)
        if caller.f_code.co_name == "compile_wrapper":
            for collector in _collectors:
                collector.run_compiled(caller, begins=callable(callback))
        return set_callback(callback)

    eval_frame._maybe_set_eval_frame = set_apart  # type: ignore[attr-defined]
    _patches.callback(setattr, eval_frame, "_maybe_set_eval_frame", set_callback)


def _patch_export(trace: ModuleType) -> None:
    export = getattr(trace, "_strict_export", None)
    if export is None:
        return

    @wraps(export)
    def export_unseen(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        looking = _collectors.copy()
        _collectors.clear()  # what is exported does not count
        with ExitStack() as stack:
            stack.callback(_collectors.extend, looking)
            for collector in looking:  # modules with hooks can not be traced
                stack.enter_context(collector.aside())
            return export(*args, **kwargs)

    trace._strict_export = export_unseen  # type: ignore[attr-defined]
    _patches.callback(setattr, trace, "_strict_export", export)


def _patch_inductor(inductor: ModuleType) -> None:
    """Let inductor make the loops of a network as if nothing of it were counted.

    Else values that are counted would be stored, since they have two readers, and loops that also write copies would be cut
    into other pieces for the threads. Sums would be added up in another order. What is stored anyway needs no copy.
    """
    graph_class, ir = getattr(inductor, "GraphLowering", None), getattr(inductor, "ir", None)
    begin, run_node = getattr(graph_class, "__init__", None), getattr(graph_class, "run_node", None)
    is_stored = getattr(getattr(ir, "IRNode", None), "is_realized_node", None)
    if graph_class is None or begin is None or run_node is None or is_stored is None:
        return

    @wraps(begin)
    def begin_with_others(self: Any, module: Any, *args: Any, **kwargs: Any) -> None:
        order = {node: place for place, node in enumerate(module.graph.nodes)}
        for node in filter(_is_copy, order):
            min(node.users, key=order.__getitem__).prepend(node)  # when all else is made, it is known what that stores
        begin(self, module, *args, **kwargs)

    @wraps(run_node)
    def run_apart(self: Any, node: Any) -> Any:
        if not _is_copy(node):
            with _unread([node], _is_copy):
                return run_node(self, node)
        box, (source, factor) = self.env[node.args[0]], node.args
        stored = getattr(box.data, "data", None) if type(box.data).__name__ == "StorageBox" else None
        if source.op != "placeholder" and factor == 1 and is_stored(stored):
            return box
        result = run_node(self, node)
        result.realize()
        getattr(self, "no_fuse_buffer_names", set()).add(result.get_name())
        return result

    for name, method, patched in (("__init__", begin, begin_with_others), ("run_node", run_node, run_apart)):
        setattr(graph_class, name, patched)
        _patches.callback(setattr, graph_class, name, method)


def _patch_partitioner(partitioners: ModuleType) -> None:
    """Let a compiler choose what it keeps for the backward pass as if nothing of the network were counted.

    What it chooses depends on who reads a value, and on how many operations lie between.
    """
    choose = getattr(partitioners, "choose_saved_values_set", None)
    if choose is None or "fw_order" not in getattr(getattr(partitioners, "NodeInfo", None), "__dataclass_fields__", ()):
        return

    @wraps(choose)
    def choose_apart(graph: Any, known: Any, *args: Any, **kwargs: Any) -> Any:
        nodes = list(graph.nodes)
        counting: set[Any] = set()
        for node in nodes:
            if node.op != "output" and (_is_counting(node) or not counting.isdisjoint(node.all_input_nodes)):
                counting.add(node)
        for node in reversed(nodes):
            if node.users and counting.issuperset(node.users):
                counting.add(node)
        order = dict.fromkeys(counting, 0)
        order.update((node, place) for place, node in enumerate(each for each in known.fw_order if each not in counting))
        with _unread(nodes, counting.__contains__):
            return choose(graph, replace(known, fw_order=order), *args, **kwargs)

    partitioners.choose_saved_values_set = choose_apart  # type: ignore[attr-defined]
    _patches.callback(setattr, partitioners, "choose_saved_values_set", choose)


@contextmanager
def _unread(nodes: Iterable[Any], is_hidden: Callable[[Any], bool]) -> Iterator[None]:
    """Hide some readers of nodes from who asks for these."""
    users = [(node, node.users) for node in nodes]
    for node, all_users in users:
        node.users = {user: None for user in all_users if not is_hidden(user)}
    try:
        yield
    finally:
        for node, all_users in users:
            node.users = all_users


def _is_counting(node: Any) -> bool:
    """Whether a node of a graph counts, however a compiler has wrapped it."""
    counts = torch.ops.rectified.count.default
    return node.target is counts or (node.op == "call_function" and bool(node.args) and node.args[0] is counts)


def _is_copy(node: Any) -> bool:
    """Whether a node of a graph is there to be counted, and for nothing else."""
    return bool(node.users) and all(map(_is_counting, node.users))


_PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "torch._dynamo.output_graph": _patch,
    "torch._dynamo.eval_frame": _patch_calls,
    "torch.export._trace": _patch_export,
    "torch._functorch.partitioners": _patch_partitioner,
    "torch._inductor.graph": _patch_inductor,
}


def instrument(collector: Collector, output: Any, module: Any, inputs: Any) -> dict[int, Origin]:
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

    Returns
    -------
    dict
        The origins of some of its outputs, by their places.
    """
    graph = _Graph(collector, output, module, inputs)
    for node in list(module.graph.nodes):
        graph.see(node)
    graph.count()
    module.recompile()
    return graph.outputs()


class _Graph:
    """A graph whose nodes are gone through in order."""

    def __init__(self, collector: Collector, output: Any, module: Any, inputs: Any) -> None:
        self._collector = collector
        self._sources = output.param_name_to_source
        self._frame = output.root_tx
        self._module = module
        placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
        self._inputs = dict(zip(placeholders, inputs, strict=False))
        local = self._frame.f_locals
        known = [name for name in ("self", *local) if isinstance(local.get(name), nn.Module)]
        self._source = f"L['{known[0]}']" if known else ""  # of the module whose code this is, or that it gets
        self._codes: dict[str, _Code] = {}
        given = ((node, collector.origins.of(value)) for node, value in self._inputs.items())
        self._origins: dict[Any, Origin] = {node: origin for node, origin in given if origin is not None}
        parameters = ((node, value) for node, value in self._inputs.items() if isinstance(value, nn.Parameter))
        self._weights = {node: Weight((node, 0), tuple(value.shape)) for node, value in parameters}
        self._uses: dict[tuple[str, str], int] = {}
        self._places: dict[Site, tuple[str, str]] = {}
        self._alike: dict[Any, list[tuple[Site, Callable[[nn.Module], Site | None]]]] = {}
        self._changes: dict[Any, int] = {}
        self._terms = Terms(self._leaf, self._standing_for, lambda node: prod(self._shape(node) or ()))
        self._averages: list[tuple[str, Term | None]] = []
        self._found: list[tuple[Any, Any, Site, Axes, Callable[[nn.Module], Site | None]]] = []

    def see(self, node: Any) -> None:
        if node.op == "call_function" and "checkpoint" in str(node.target):
            self._collector.run.note("what is checkpointed inside of compiled code was not seen")
        if node.op not in ("call_function", "call_method"):
            return
        name = FUNCTIONS.get(node.target) or plain_name(node.args[1] if node.target is getattr else node.target)
        kwargs = dict(node.kwargs)
        out = _value(node)
        first = out[0] if isinstance(out, tuple | list) and out else out
        shape = _sizes(first) if isinstance(first, Tensor) else ()
        if node.target is operator.getitem and isinstance(_value(node.args[0]), tuple | list):
            origin = self._part_of(*node.args)
        else:
            call = self._call(name, node, shape)
            origin, weight = origin_of(call), weight_of(call)
            if weight is not None:
                self._weights[node] = weight
        function = node.target if callable(node.target) else getattr(Tensor, node.target, None)
        is_tensor = isinstance(out, Tensor)
        given = self._terms.of_call(name, node.args, kwargs) if is_tensor and function is not None else None
        if given is not None and node.args and overwrites(function, node.args, kwargs):
            self._changes[node.args[0]] = self._changes.get(node.args[0], 0) + 1
        is_activation_call = node.target in FUNCTIONS or (node.op == "call_method" and name in FUNCTIONS.values())
        site, source = None, node.args[0] if node.args else kwargs.get("input")
        is_floating = isinstance(out, Tensor) and out.is_floating_point()
        if is_activation_call and name == GATED:
            self._collector.run.note("gated linear units in compiled code were not seen")
        elif is_activation_call and is_floating and not getattr(self._terms.of(source), "is_learned", False):
            site, among = self._site(node, name, source, node.args, kwargs)
            before = self._terms.get(source), self._origins.get(source)
            if site is not None and name in CLAMPS and is_bound(*before, site.activation):
                site.is_part = True
                self._collector.run.note(note_of_bound(site))
        term = self._terms.see(function, name, given, node, site)
        found = whole_of(term) if term is not None and site is None and is_floating else None
        if found is not None:
            source = found.input.stands_for() if found.input is not None else None
            is_of_layer = origin is not None and bool(origin.axes)
            if source is not None and self._shape(source) == shape and (found.parts or is_of_layer):
                for part in found.parts:
                    self._uses[self._places[part]] -= not part.is_part
                    self._collector.sites.drop(part)
                site, among = self._site(node, found.function, source, (source,), found.parameters)
            if site is not None:
                site.again, site.factor, site.is_whole = found.again, found.factor, True
                self._terms.activate(node, site, found.input)
            for part in found.parts if site is None else ():
                part.is_part = True
                self._collector.run.note(f"{part.name}: {JOINED}")
            if source is None and is_of_layer and not found.parts:
                self._collector.run.note(f"{_place(node, self._owner(node))}: {UNKNOWN}")
        if site is not None:
            origin = origin or Origin()
            if len(shape) in origin.axes:  # the axis of its one unit is gone
                origin = origin._replace(axes=())
            site.layers_behind = origin.sources
            if origin.axes:
                site.see_axes(origin.axes, shape, is_split=origin.is_split)
            axes = origin.axes if origin.axes and site.takes(origin.axes) else site.axes_of(len(shape))
            if axes:
                self._found.append((node, source, site, axes, among))
            origin = origin._replace(axes=axes).activated(site)
        if origin is not None:
            self._origins[node] = origin
        self._see_use(name, source, is_sum=is_tensor and not shape)

    def _call(self, name: str, node: Any, shape: Shape) -> Call:
        return Call(name, node.args, dict(node.kwargs), shape, self._origins.get, self._shape, self._weights.get)

    def _part_of(self, whole: Any, number: int) -> Origin | None:
        """The origin of one of several results."""
        origin = self._origins.get(whole)
        shapes = [_sizes(part) if isinstance(part, Tensor) else None for part in _value(whole)]
        return origin and part_of(origin, self._call(plain_name(whole.target), whole, shapes[0] or ()), shapes, number)

    def _see_use(self, name: str, source: Any, *, is_sum: bool) -> None:
        """Know what becomes of the outputs of activations: another layer or a loss gets them, or they are added up."""
        origin = self._origins.get(source) if isinstance(source, torch.fx.Node) else None
        if is_sum:
            self._averages.append((name, self._terms.get(source)))
        if origin is not None and is_maker(name):
            for site in origin.passed:
                site.feeds_layer = True
        if origin is not None:
            origin.go_into(name)
            if origin.is_softmax and name in LOSSES:
                self._collector.run.note(note_of_softmax(name))

    def count(self) -> None:
        """Make the counting of what was seen a part of the graph, but for what belongs to a loss."""
        for node, _, site, *_ in self._found:
            site.feeds_layer |= any(user.op == "output" for user in node.users)  # in another graph, maybe
        for name, term in self._averages:
            for site in in_average(name, term):
                if not site.axes or site.layers_behind:
                    site.is_part = True
                    self._collector.run.note(note_of(site))
        for node, source, site, axes, among in self._found:
            if not site.is_part:
                self._insert(node, source, site, axes, among)

    def outputs(self) -> dict[int, Origin]:
        """Where the outputs come from that are of a layer; its weights have other names outside."""
        (nodes,) = next(node for node in self._module.graph.nodes if node.op == "output").args
        known = {place: self._origins[node] for place, node in enumerate(nodes) if node in self._origins}
        none = frozenset[Any]()
        return {place: origin._replace(sources=none, passed=none) for place, origin in known.items() if origin.axes}

    def _leaf(self, value: Any) -> Term | None:
        if not isinstance(value, torch.fx.Node):
            return None
        given = self._inputs.get(value)
        constant = number_in(given) if value not in self._origins else None
        is_learned, is_many = isinstance(given, nn.Parameter), prod(self._shape(value) or ()) > 1
        return Term(self._standing_for(value), constant=constant, is_learned=is_learned, is_many=is_many)

    def _standing_for(self, node: Any) -> Callable[[], Any]:
        changes = self._changes.get(node, 0)
        return lambda: node if self._changes.get(node, 0) == changes else None

    def _site(
        self, node: Any, name: str, source: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Site | None, Callable[[nn.Module], Site | None]]:
        """The site of a call, and what gives that in another module of the same code."""
        origin = self._origins.get(source)
        args = tuple(self._inputs.get(each) if isinstance(each, torch.fx.Node) else each for each in args)
        kwargs = {key: self._inputs.get(each) if isinstance(each, torch.fx.Node) else each for key, each in kwargs.items()}
        owner, code, collector = self._owner(node), self._code(node), self._collector
        activation = activation_of(name, args, kwargs)
        is_constant = origin is None and code.network is not None and code.network.has_buffer(self._inputs.get(source))
        if activation is None or is_constant or (name in CLAMPS and activation.name != "relu" and owner is None):
            return None, lambda module: None
        where = _place(node, owner) if owner is None or not is_activation(owner) else ""
        outer = self._owner(node, 2)
        path = collector.networks.path(owner, code.network, outer) if owner is not None and code.is_wanted else ""
        alike = (path, where, activation.name, origin.sources) if origin is not None and origin.sources else node
        for same, others in self._alike.get(alike, []):
            if origin is None or same not in origin.passed:  # as in a loop over time
                return same, others
        self._uses[path, where] = use = self._uses.get((path, where), 0) + 1
        given, named = args[1:], {key: value for key, value in kwargs.items() if key != "input"}

        def site(path: str, given: tuple[Any, ...], known: Callable[..., Site]) -> Site:
            found = f"{path}: {where}" if path and where else path or where
            return known(found if use == 1 else f"{found} (use {use})", name, (None, *given), named)

        first = self._at(self._sources_of(node)[:1])
        paths = {} if first is None else {part: path for path, part in first.named_modules()}

        def among(module: nn.Module) -> Site | None:
            network = code.network_of(module)
            if network is None or owner not in paths or outer not in (None, *paths):
                return None
            part = module.get_submodule(paths[owner])
            other = None if outer is None else module.get_submodule(paths[outer])
            learned = (part.weight,) if isinstance(part, nn.PReLU) else given
            return site(collector.networks.path(part, network, other), learned, collector.sites.named)

        made = site(path, given, collector.sites.named if code.is_wanted else Site)
        self._places[made] = path, where
        self._alike.setdefault(alike, []).append((made, among))
        return made, among

    def _insert(self, node: Any, source: Any, site: Site, axes: Axes, among: Callable[[nn.Module], Site | None]) -> None:
        from torch._dynamo.source import ConstantSource

        graph, module = self._module.graph, self._module
        like = _value(node)
        units = prod(_sizes(like)[axis] for axis in axes)
        tally = Tally.new(units, site.slopes, like.dtype, like.device)
        number, code = next(_numbers), self._code(node)
        _places[number] = place = _Place(code, site.slopes, among, site.is_split)
        site.taking += [(code.mode, take) for take in (tally.take, *place.takes)]
        names = [f"rectified_{number}_{field}" for field in Tally._fields]
        # A compiler should take the same parts of the network together as without. So what is counted are copies, products
        # with 1, which can be fused like all else; and what can not be comes after all that reads the originals. No network
        # calls this overload of the product, so the copies are never taken for a part of it.
        order = {each: place for place, each in enumerate(graph.nodes)}
        readers = [node, *(each for each in (*source.users, *node.users) if each.op != "output")]
        product = torch.ops.aten.mul.Scalar
        x = y = graph.create_node("call_function", product, (node, 1 if site.factor == 1 else 1 / site.factor))
        node.append(y)
        if not site.slopes.idempotent:
            x = graph.create_node("call_function", product, (source, 1))
            node.prepend(x)  # the function may be about to overwrite it
        last = max(readers, key=order.__getitem__)
        counters = []
        with graph.inserting_after(y if last is node else last):
            counting = graph.call_function(torch.ops.rectified.count.default)
        with graph.inserting_before(counting):
            for name, tensor in zip(names, tally, strict=True):
                module.register_buffer(name, tensor)
                self._sources[name] = ConstantSource(name)
                counters.append(graph.get_attr(name))
        counting.args = (*counters, x, y, axes, number)

    def _shape(self, value: Any) -> tuple[int, ...] | None:
        found = _value(value)
        return _sizes(found) if isinstance(found, Tensor) else None

    def _sources_of(self, node: Any) -> list[str]:
        """The names of the modules in whose forward passes a node is, from the outermost."""
        sources = [source for source, _ in (node.meta.get("nn_module_stack") or {}).values()]
        is_method = bool(self._source) and (not sources or sources[0].startswith(f"{self._source}."))
        return [self._source, *sources] if is_method else sources

    def _code(self, node: Any) -> _Code:
        source = next(iter(self._sources_of(node)), "")
        if source not in self._codes:
            self._codes[source] = _Code(self._collector, self._frame, source)
        return self._codes[source]

    def _owner(self, node: Any, depth: int = 1) -> nn.Module | None:
        """The module in whose forward pass a node is; of depth 2 the one that called it."""
        sources = self._sources_of(node)
        return self._at(sources[-depth:]) if len(sources) >= depth else None

    def _at(self, sources: list[str]) -> nn.Module | None:
        return _module_at(_names(sources[0]), self._frame.f_locals, self._frame.f_globals) if sources else None


def _names(source: str) -> list[str]:
    """The parts of a name that the compiler gives, such as ``L['self'].model``."""
    return [name for name in re.findall(r"\w+", source) if name not in ("_modules", "modules")]


def _module_at(names: list[str], local: Mapping[str, Any], everywhere: Mapping[str, Any]) -> nn.Module | None:
    """The module that has a name; None where there is none."""
    found: Any = local if names[:1] == ["L"] else everywhere
    for name in names[1:]:
        if isinstance(found, Mapping):
            found = found.get(name)
        elif name.isdigit():
            found = found[int(name)] if isinstance(found, list | tuple) else getattr(found, "_modules", {}).get(name)
        else:
            found = getattr(found, name, None)
    return found if isinstance(found, nn.Module) else None


def _place(node: Any, owner: Any) -> str:
    """The place in the program that a node comes from, as the eager code's are named."""
    caller = traced_caller(node.meta.get("stack_trace"))
    if caller is None:
        return plain_name(node.target)
    file, line, function = caller
    function = _RESUMED.sub(r"\1", function)
    method = getattr(type(owner), function, None)
    code = getattr(method, "__code__", None)
    is_its = code is not None and code.co_filename == file
    return f"{file.rpartition('/')[2]}:{line} in {code.co_qualname if is_its and code else function}"


def _value(node: Any) -> Any:
    return node.meta.get("example_value") if isinstance(node, torch.fx.Node) else None


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    """The shape in plain numbers, without a guard on those that may vary."""
    return tuple(size if isinstance(size, int) else int(size.node.hint) for size in tensor.shape)
