"""An activation at one place of a network, as it is seen while the network runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rectified.activation import Ridge
from rectified.catalogue import catalogue
from rectified.health.evidence import Evidence
from rectified.health.record import Mode, Run
from rectified.torch.calls import Axes
from rectified.torch.counter import Counter
from rectified.torch.functions import GATED, activation_of, gate_of
from rectified.torch.kinds import unwrapped
from rectified.torch.slopes import Slopes
from rectified.torch.tally import Counted

_MOST_LAYERS = 256  # that are told apart by names
_APPLY = torch.autograd.Function.apply.__func__.__code__  # type: ignore[attr-defined]
_UNITS_CHANGED = "its number of units changed, and only the first number was counted"
_ITS_OWN = 3  # references to a copy that no one else has: the frame's, ours, and that of the call which counts them
_SLOPES: dict[tuple[Any, ...], Slopes] = {}
_TORCH = Path(torch.__file__).parent
_PASSED_THROUGH = {
    str(_TORCH / file)
    for file in (
        "_ops.py",
        "_tensor.py",
        "overrides.py",
        "nn/functional.py",
        "nn/modules/activation.py",
        "nn/modules/container.py",
        "nn/modules/module.py",
    )
} | {str(path) for path in Path(__file__).parent.glob("*.py")}


class Site:
    """An activation at one place: its name, its function, and its counters.

    Parameters
    ----------
    name : str
        Where it is.
    function : str
        The plain name of PyTorch's function.
    args, kwargs
        Of the call that was seen first.

    Attributes
    ----------
    axes : tuple of int
        Of the stacked layers, and of the units, where they are known, in the tensor that was seen first.
    dimensions : int
        How many axes that had.
    lacks_axis : bool
        Whether it has one unit, and no axis of its own for that.
    is_unsure : bool
        Whether there were tensors with another number of axes, of which no call has told those of the units.
    ended : str
        Why it is counted no longer, where it is not.
    layers : tuple of int
        How many layers are stacked; empty where one is.
    is_split : bool
        Whether several axes count the units of one layer.
    sources : frozenset
        The parameters of the network behind the input, where they are known.
    layers_behind : frozenset
        The same, of any network.
    is_mixed : bool
        Whether inputs came from different layers.
    is_part : bool
        Whether it is a part of what is counted elsewhere, or not at all.
    is_constant : bool
        Whether it got nothing but a buffer of the network so far.
    is_outside : bool
        Whether it runs in nothing that learns.
    is_late : bool
        Whether it ran before anything told that it is one, or where its units are.
    compares_outputs : bool
        Whether it is a rectifier of what is computed of a network's outputs, as hinge losses are, outside of any.
    feeds_layer : bool
        Whether another layer is known to get its outputs as they are.
    is_gated : bool
        Whether it is the gate of a gated unit, whose input and output are those of the whole.
    is_whole : bool
        Whether it is what several calls are together.
    factor : float
        By what the program multiplies the outputs, as a part of it.
    input_at : tuple of int
        Where the input is, among the arguments of the last call, or of a call that made one of these.
    ran_in : int
        The last pass of its network in which it is known to have run.
    feeds_loss : str
        The loss into which the outputs go as they are.
    is_overwritten : bool
        Whether the output takes the place of an input that it does not tell.
    needs_mode : bool
        Whether hooks do not see it.
    again : callable
        Gives the outputs of other inputs.
    family : int
        The same for sites of one function.
    may_learn : bool
        Whether it ran where gradients are enabled.
    has_own_gradient : bool
        Whether a function of autograd that the program defines calls it, and says what its gradient is.
    taking : list of tuple
        For each place in compiled code the mode, and what gives that which was counted since the last time.
    """

    def __init__(self, name: str, function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.name = name
        self.axes: Axes = ()
        self.dimensions = 0
        self._axes_in: dict[int, Axes | None] = {}  # by the number of all axes; None where a call has yet to tell them
        self.lacks_axis = self.is_unsure = False
        self.ended = ""
        self.layers: tuple[int, ...] = ()
        self._stacked = 1
        self.is_split = False
        self._layers_in: tuple[int, frozenset[Any]] = (-1, frozenset())
        self.feeds_loss = ""
        self.sources: frozenset[Any] = frozenset()
        self.layers_behind: frozenset[Any] = frozenset()
        self._learned: set[int] = set()
        self.is_mixed = False
        self.is_part = self.is_constant = False
        self.input_at: tuple[int, ...] = ()
        self.is_outside = self.is_late = self.is_whole = self.feeds_layer = self.compares_outputs = False
        self.factor = 1.0
        self.ran_in = -1
        self.is_overwritten = self.may_learn = self.has_own_gradient = False
        self.needs_mode = False
        self.again: Callable[[Tensor], Tensor] = torch.clone
        self._call = function, (None, *args[1:]), {key: value for key, value in kwargs.items() if key != "input"}
        self.is_gated = function == GATED
        self._activation = activation = self._now()
        self._parameters = _own_parameters(activation)
        self._is_learned = is_learned(activation)
        self._has_channels = any(np.size(parameter.default) > 1 for parameter in activation.parameters.values())
        self.function = activation.name
        self.slopes = slopes_of(activation)
        self.family = id(self if self._is_learned else self.slopes)
        self._counters: dict[bool, Counter] = {}
        self._aside: Counter | None = None
        self._has_gradients = True
        self.taking: list[tuple[Mode, Callable[[], Counted | None]]] = []

    @property
    def is_idle(self) -> bool:
        """Whether it ran where gradients are enabled, but none came to it."""
        return self.may_learn and not self.has_gradients

    @property
    def has_gradients(self) -> bool:
        """Whether gradients came to it."""
        return any(counter.has_heard for counter in self._counters.values())

    @property
    def activation(self) -> Ridge:
        """The catalogue's function, with what its parameters are now."""
        return self._now() if self._is_learned else self._activation

    def _now(self) -> Ridge:
        found = activation_of(*self._call)
        assert found is not None
        return found

    def counter(self, training: bool) -> Counter | None:
        """The counter of a mode; None where the units are not known, or nothing is counted."""
        if self.is_part or self.ended:
            return None
        found = self._counters.get(training)
        if found is None and self.axes:
            found = self._counters[training] = Counter(
                self.slopes, self.axes_of, prod(self.layers), self.again, lacks_axis=self.lacks_axis
            )
            found.has_gradients = self._has_gradients
        return found

    def see_axes(self, axes: Axes, shape: Sequence[int], *, is_split: bool) -> None:
        """Know which axes of an output of this shape count the units, of one layer if they are split, unless that is known.

        What has a parameter for each channel has its channels on the second axis, and no other will do.
        """
        if not self.takes(axes):
            return
        if not self.axes:
            self.lacks_axis = axes[-1] == len(shape)
            shape = (*shape, 1) if self.lacks_axis else shape
            self.axes, self.dimensions = axes, len(shape)
            layers = () if is_split else tuple(shape[axis] for axis in axes[:-1])
            self._stacked, self.is_split = prod(layers), is_split
            self.layers = layers if self._stacked <= _MOST_LAYERS else ()
        elif self.lacks_axis:
            shape = (*shape, 1)
        if self._axes_in.get(len(shape)) is None:
            self._axes_in[len(shape)] = axes

    def takes(self, axes: Axes) -> bool:
        """Whether the units can be on these axes."""
        return axes == (1,) or not self._has_channels

    def lies_on(self, axes: Axes, dimensions: int) -> bool:
        """Whether in tensors of so many axes the units are on these, as far as is known."""
        return self._axes_in.get(dimensions + self.lacks_axis) in (None, axes) or not self.takes(axes)

    def has_units_of(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape has as many units as those that were counted, as far as that is known."""
        shape = (*shape, 1) if self.lacks_axis else shape
        axes = self._axes_in.get(len(shape)) or ()
        counted = [counter.units for counter in self._counters.values() if counter.units is not None]
        return not axes or all(units == [shape[axis] for axis in axes] for units in counted)

    def axes_of(self, dimensions: int) -> Axes:
        """The axes in a tensor that has so many; none where nothing tells them."""
        found = self._axes_in.get(dimensions)
        if found is None and self.axes:
            self.is_unsure |= dimensions not in self._axes_in
            self._axes_in.setdefault(dimensions)
        return found or ()

    def is_of(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether a call is of the same function with the same parameters, unless these are learned."""
        if self.is_part or self.is_whole or self._is_learned:
            return True
        found = activation_of(name, args, kwargs)
        return found is None or (found.name, _own_parameters(found)) == (self.function, self._parameters)

    def gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the gate gets and gives, where a gated unit gets `x`."""
        return gate_of(x, *self._call[1:])

    def leave_gradients_out(self) -> None:
        """Do not count the gradients of the loss by the outputs, since they say nothing about the layer."""
        self._has_gradients = False
        for counter in self._counters.values():
            counter.has_gradients = False

    def see_source(self, parameters: frozenset[int]) -> None:
        """Know, by ``id``, which parameters made the input. If these have nothing in common, it has several sources."""
        self.is_mixed |= bool(self._learned) and self._learned.isdisjoint(parameters)
        self._learned |= parameters

    def see_layers(self, sources: frozenset[Any], step: int) -> None:
        """Know what made the input outside of networks. If two have nothing in common in one step, they are two."""
        last, self._layers_in = self._layers_in, (step, sources)
        self.is_mixed |= bool(sources and last[1]) and last[0] == step and last[1].isdisjoint(sources)

    def count_as(self, training: bool) -> None:
        """Put what was counted in one mode into this one."""
        counter = self._counters.pop(not training, None)
        if counter is not None:
            self._counters.setdefault(training, counter)

    def set_aside(self) -> None:
        """Keep what was counted in training apart: it is none, if a step follows."""
        self._aside = self._counters.pop(True, None)

    def forget_aside(self) -> None:
        """A step has followed."""
        self._aside = None

    def write(self, run: Run, steps: tuple[int, int]) -> None:
        """Put what was counted since the last time into a run's record; `steps` are those of compiled code."""
        activation = self.activation
        modes: dict[bool, Mode] = {True: "train", False: "eval"}
        names = [f"{self.name} {list(place)}" for place in np.ndindex(self.layers)] if self.layers else [self.name]
        counters = [*self._counters.items(), *([(True, self._aside)] if self._aside is not None else [])]
        counted = [(modes[training], counter.evidence(activation)) for training, counter in counters]
        for mode, take in self.taking:
            found = take()
            if found is not None and found.samples:
                counted.append((mode, found.evidence(activation, self.slopes, steps).parts(prod(self.layers))))
        for mode, parts in counted:
            for name, part in zip(names, parts, strict=False):
                self._write_layer(run, name, part, mode)
        note = self.ended or (_UNITS_CHANGED if any(counter.units_changed for counter in self._counters.values()) else "")
        for name in names:
            if note and name in run.layers:
                run.layers[name].note = note

    def _write_layer(self, run: Run, name: str, evidence: Evidence, mode: Mode) -> None:
        layer = run.layer(name, self.function, evidence.units, self._parameters)
        layer.feeds_loss = self.feeds_loss
        is_another = (layer.function, layer.parameters) != (self.function, self._parameters)
        if layer.units != evidence.units:
            layer.note = _UNITS_CHANGED
        elif is_another:
            layer.note = "its function changed, and only the first one was counted"
        elif self.has_own_gradient:
            layer.note = "the program defines its gradient, and the verdicts are those of the function's derivative"
        elif self._stacked > 1 and not self.layers:
            layer.note = f"its units are those of {self._stacked} layers, which follow one another"
        elif self.is_late:
            layer.note = "it ran before its units were known, and that was not counted"
        elif self.is_mixed:
            layer.note = "its inputs come from different layers at different times, whose units were counted as one"
        if layer.units == evidence.units and not is_another:
            layer.add(evidence, mode)


def slopes_of(activation: Ridge) -> Slopes:
    """The slopes of a function, found once; of one whose parameters are learned those at their defaults."""
    if is_learned(activation):
        found = catalogue[activation.name]
        assert isinstance(found, Ridge)
        return slopes_of(found)
    key = activation.name, *((name, parameter.default) for name, parameter in activation.parameters.items())
    if key not in _SLOPES:
        _SLOPES[key] = Slopes.of(activation)
    return _SLOPES[key]


def is_learned(activation: Ridge) -> bool:
    """Whether parameters of a function are arrays."""
    return any(np.ndim(parameter.default) for parameter in activation.parameters.values())


def caller() -> FrameType:
    """The frame of the code that called one of PyTorch's functions, perhaps through modes of the program."""
    frame = sys._getframe(4)  # nearer ones are the collector's
    while frame.f_back is not None and (
        frame.f_code.co_filename in _PASSED_THROUGH or frame.f_code.co_name == "__torch_function__"
    ):
        frame = frame.f_back
    return frame


def method_of(frame: FrameType) -> nn.Module | None:
    """The module whose method runs; None for another function."""
    code = frame.f_code
    if not code.co_argcount:
        return None
    variables = frame.f_locals
    owner = variables.get(code.co_varnames[0])
    if type(variables) is dict and sys.getrefcount(variables) == _ITS_OWN:  # before Python 3.13 a copy, which the frame
        for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):  # keeps: all that they refer to would stay
            variables.pop(name, None)
    return owner if isinstance(owner, nn.Module) else None


def is_in_constructor() -> bool:
    """Whether a module is being made by what runs, as where it asks a part of it for the shape of its outputs."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not (frame.f_code.co_name == "__init__" and method_of(frame) is not None):
        frame = frame.f_back
    return frame is not None


def is_in_function() -> bool:
    """Whether a function of autograd runs that the program defines, with a gradient of its own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _APPLY and not frame.f_locals["cls"].__module__.startswith("torch."):
            return True
        frame = frame.f_back
    return False


def caller_of_part(part: nn.Module) -> nn.Module | None:
    """The outermost module of which a method runs that has called a part of it; None where there is none."""
    found = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = method_of(frame)
        if owner is not None and any(module is part for module in owner.modules()):
            found = unwrapped(owner)
        frame = frame.f_back
    return found if found is not part else None


def traced_caller(trace: str | None) -> tuple[str, str, str] | None:
    """The same in a trace that is text, as graphs keep it: the file, the line and the function, if there is any."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', trace or "")
    return next((frame for frame in reversed(frames) if frame[0] not in _PASSED_THROUGH), None)


def is_activation(module: nn.Module) -> bool:
    """Whether a module is one of PyTorch's activations; the file has attention, too."""
    return type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, nn.MultiheadAttention)


def place_of(code: CodeType, line: int) -> str:
    """A place in a program: ``net.py:42 in Net.forward``."""
    file = code.co_filename
    if file.startswith("<eval_with_key>"):  # of torch.fx, which adds from where
        file = file.partition(" ")[0]
    return f"{Path(file).name}:{line} in {code.co_qualname}"


def _own_parameters(activation: Ridge) -> dict[str, float]:
    """The parameters that are numbers, and not the defaults."""
    usual = catalogue[activation.name].parameters
    return {
        name: float(parameter.default)
        for name, parameter in activation.parameters.items()
        if np.ndim(parameter.default) == 0 and parameter.default != usual[name].default
    }
