"""Functions of the catalogue as programs write them with others: ``x * torch.sigmoid(x)``, ``torch.where(x > 0, x, 0)``.

Of a tensor it is known which calls made each of its numbers out of one number of another. Where several of them come
together, what they make of a few numbers is compared with what the functions of the catalogue make of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rectified.catalogue import catalogue
from rectified.torch.functions import GATED, NAMES, RECURRENT, is_in_place, plain_name

JOINED = "its outputs are joined with others of the same inputs, so it was not counted by itself"
UNKNOWN = "what it makes of its inputs is no function of the catalogue, or these were gone, so it was not counted"
_MOST, _FARTHEST = 48, 12  # terms behind one, and how deep; what is farther away is none of its parts
_MOST_KNOWN = 4096
_MOST_INPUTS = 12  # that are tried
_TOLERANCE = 1e-5  # constants are written with some eight digits; GELU and its approximation differ by fifty times that
_ZERO = 1e-12  # what is no more is 0: a bound of 1e-6 is there for safety
_POINTS = np.concatenate([[-100.0, -30.0, -1.0, 1.0, 30.0, 100.0], np.linspace(-7.3, 7.9, 97)])
_ONE, _STEEP = 3, 5  # places of 1, and of a number where what is no sigmoid is steep
_LEAST = int(np.where(_POINTS > 0, _POINTS, np.inf).argmin())

_CONSTANTS = {"zeros": 0.0, "zeros_like": 0.0, "new_zeros": 0.0, "ones": 1.0, "ones_like": 1.0, "new_ones": 1.0}
_FILLED = {"tensor": 0, "scalar_tensor": 0, "as_tensor": 0, "full": 1, "full_like": 1}  # the number's place
_TYPES = "to float double half bfloat16 type type_as _to_copy clone contiguous positive"
_LINES = "add sub subtract rsub neg negative mul multiply div divide true_divide truediv"
_COMPARISONS = "gt ge lt le greater greater_equal less less_equal invert logical_not sign sgn heaviside"
_OTHERS = (
    "pow rpow square sqrt rsqrt reciprocal rdiv abs absolute exp expm1 log log1p erf erfc sin cos sinh cosh asinh where "
    "masked_fill addcmul addcdiv rtruediv"
)
_EXTREMES = "maximum minimum max min"
_CASTS = frozenset(_TYPES.split())
_AFFINE = _CASTS | {*_LINES.split()}
_TWO = frozenset(_EXTREMES.split())
_OF_TENSORS = _TWO | {"where"}  # and not of numbers
_BOUNDS = frozenset(f"{_EXTREMES} clamp clamp_min clamp_max clip".split())
_ELEMENTWISE = _AFFINE | _BOUNDS | NAMES.keys() - {RECURRENT, GATED} | {*f"{_COMPARISONS} {_OTHERS}".split()}
_SEEN = _ELEMENTWISE | {*_CONSTANTS, *_FILLED}
_NO_ACTIVATIONS = ("identity", "step")  # the slope of a step is 0 wherever it has one: it is a part of others
_EXPONENTIALS = frozenset({"exp", "expm1"})
_NEGATIONS = frozenset({"neg", "negative"})
_ENDS_OF_CHAINS = frozenset(f"{_LINES} reciprocal rdiv rtruediv log log1p".split())
_POWERS = frozenset({"pow", "square"})
_RELU = "relu"
_OF_RELU = "squared_relu"  # told by ReLU's outputs as well as by its inputs
SUMS = frozenset({"mean", "sum"})


class Term:
    """A tensor, or what stands for one in a graph, as a function of others: number by number.

    Parameters
    ----------
    stands_for : callable
        Gives the tensor; None once it is gone, or is another.
    is_learned : bool
        Whether its numbers are parameters, or made of such alone.
    is_many : bool
        Whether there may be more of these than one.
    summed : Term, optional
        What was added up to make it. It is no function of that, number by number.

    Attributes
    ----------
    activation : object
        The activation whose outputs it stands for, if any.
    base : Term or None
        The inputs of that activation, where it is several calls together.
    behind : frozenset of Term
        Those that it is a function of, itself included.
    is_exponential : bool
        Whether an exponential is among the calls that made it.
    """

    def __init__(
        self,
        stands_for: Callable[[], Any] = lambda: None,
        *,
        function: Any = None,
        name: str = "",
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        constant: float | None = None,
        activation: Any = None,
        is_learned: bool = False,
        is_many: bool = True,
        summed: Term | None = None,
    ) -> None:
        self.stands_for = stands_for
        self.summed = summed
        self.activation = activation
        self.base: Term | None = None
        self.name, self.constant, self.is_learned, self.is_many = name, constant, is_learned, is_many
        self._function, self.args, self._kwargs = function, args, dict(kwargs or {})
        self._overwrites = function is not None and overwrites(function, args, self._kwargs)
        behind = frozenset().union(*(each.behind for each in self.terms))
        if len(behind) >= _MOST:
            behind = self._near(behind)
        if len(behind) >= _MOST:
            self._forget()
            behind = frozenset()
        self.is_exponential: bool = name in _EXPONENTIALS or any(each.is_exponential for each in self.terms)
        self.behind: frozenset[Term] = behind | ({self} if constant is None else set())
        self.depth: int = 1 + max((each.depth for each in behind), default=0)

    def _near(self, behind: frozenset[Term]) -> frozenset[Term]:
        """Those of some terms that are near; of what the others were made is forgotten, for chains may have no end."""
        depth = max(each.depth for each in behind) - _FARTHEST
        for each in behind:
            if each.depth <= depth:
                each._forget()
        return frozenset(each for each in behind if each.depth > depth)

    def _forget(self) -> None:
        self._function, self.args, self._kwargs = None, (), {}

    @property
    def terms(self) -> list[Term]:
        """Those that it is made of at once."""
        return [each for each in (*self.args, *self._kwargs.values()) if isinstance(each, Term)]

    @property
    def varying(self) -> list[Term]:
        """Those of them that are no constants and not learned."""
        return [each for each in self.terms if each.constant is None and not each.is_learned]

    def value(self, base: Term, x: Tensor, known: dict[Term, Any] | None = None) -> Any:
        """What it is where another is `x`.

        Raises
        ------
        LookupError
            Where it is a function of more than that.
        """
        known = {base: x} if known is None else known
        if self.constant is not None:
            return self.constant
        if self not in known:
            if self._function is None:
                raise LookupError
            args = [each.value(base, x, known) if isinstance(each, Term) else each for each in self.args]
            kwargs = {
                key: each.value(base, x, known) if isinstance(each, Term) else each for key, each in self._kwargs.items()
            }
            known[self] = self._call(args, kwargs, x)
        return known[self]

    def _call(self, args: list[Any], kwargs: dict[str, Any], x: Tensor) -> Any:
        if self.name in _CASTS:
            return args[0] if not isinstance(args[0], Tensor) or args[0].is_floating_point() else args[0].to(x.dtype)
        if self.name in _OF_TENSORS:
            args = [x.new_tensor(each) if isinstance(each, int | float) else each for each in args]
        if self._overwrites:
            args[0] = args[0].clone()
        return self._function(*args, **kwargs)

    def at(self, path: tuple[int, ...]) -> Any:
        """The tensor at the end of a way by the arguments of calls; None where it is gone, or the way leads nowhere."""
        term: Any = self
        for place in path:
            term = term.args[place] if isinstance(term, Term) and place < len(term.args) else None
        return term.stands_for() if isinstance(term, Term) else None

    def functions_to(self, path: tuple[int, ...]) -> set[Any]:
        """The functions of the calls along such a way."""
        term, found = self, set()
        for place in path:
            found.add(term._function)
            term = term.args[place]
        return found

    def path_to(self, other: Term) -> tuple[int, ...]:
        """The shortest such way; none where there is none."""
        ways: list[tuple[Term, tuple[int, ...]]] = [(self, ())]
        for term, path in ways:  # which grow meanwhile
            if term is other:
                return path
            behind = [(each, (*path, place)) for place, each in enumerate(term.args) if isinstance(each, Term)]
            ways += [(each, longer) for each, longer in behind if other in each.behind]
        return ()


class Whole(NamedTuple):
    """What several calls are together.

    Attributes
    ----------
    function : str
        The name in the catalogue; empty where it is no function of it.
    parameters : dict
        Of that function, those that are not the defaults.
    factor : float
        By what its values are multiplied.
    term, input : Term
        The outputs, and the inputs, where these are known.
    parts : list
        The activations in it, which are none by themselves.
    """

    function: str
    parameters: dict[str, float]
    factor: float
    term: Term
    input: Term | None
    parts: list[Any]

    def again(self, x: Tensor) -> Tensor:
        """The outputs of other inputs."""
        assert self.input is not None
        with torch.no_grad():
            found: Tensor = self.term.value(self.input, x)
            return found / self.factor if self.factor != 1 else found


def number_in(value: Any) -> float | None:
    """The number that a tensor of one is, where it can be had without waiting for a device and is not learned."""
    is_plain = type(value) is Tensor and value.device.type == "cpu" and not (value.requires_grad or value.is_complex())
    return float(value) if is_plain and value.numel() == 1 and not is_transformed() else None


def is_transformed(
    dispatch: Callable[[], int] = torch._C._len_torch_dispatch_stack,
    transform: Callable[[], Any] = torch._C._functorch.peek_interpreter_stack,
    trace: Callable[[], Any] = torch._C._get_tracing_state,
) -> bool:
    """Whether what runs is traced, or transformed by torch.func: then more operations would be in the result."""
    return bool(dispatch()) or transform() is not None or trace() is not None


def overwrites(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call that is seen overwrites its first argument.

    Examples
    --------
    >>> import operator
    >>> overwrites(operator.imul, (), {}), overwrites(operator.mul, (), {}), overwrites(torch.celu, (), {"inplace": True})
    (True, False, True)
    """
    name = plain_name(function)
    is_named_so = is_in_place(function) or (name[:1] == "i" and name != plain(name))
    return is_named_so or bool(kwargs.get("inplace")) or any(each is True for each in args)


def plain(name: str) -> str:
    """A function's name without what marks it as an operator's, or as in place.

    Examples
    --------
    >>> plain("__rsub__"), plain("imul"), plain("maximum")
    ('rsub', 'mul', 'maximum')
    """
    name = name.removeprefix("__").removesuffix("__")
    return name[1:] if name[:1] == "i" and name[1:] in _ELEMENTWISE else name


class Terms:
    """What is known of tensors, or of what stands for them in a graph.

    Parameters
    ----------
    leaf : callable
        Gives a term for one of which nothing else is known; None for what is no tensor.
    standing_for : callable
        Gives what gives a tensor, as long as it is there and nothing has changed it.
    size : callable
        How many numbers one has.
    """

    def __init__(
        self,
        leaf: Callable[[Any], Term | None],
        standing_for: Callable[[Any], Callable[[], Any]],
        size: Callable[[Any], int],
    ) -> None:
        self._leaf, self._standing_for, self._size = leaf, standing_for, size
        self._known: dict[int, Term] = {}
        self._most = _MOST_KNOWN

    def of(self, value: Any) -> Any:
        """The term of a tensor; what is none stays as it is."""
        known = self.get(value)
        if known is None:
            known = self._leaf(value)
            if known is None:
                return value
            self._keep(value, known)
        return known

    def get(self, value: Any) -> Term | None:
        """The term of a tensor, if it is known."""
        known = self._known.get(id(value))
        return known if known is not None and known.stands_for() is value else None

    def of_call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What `see` wants to know of a call before it is made; None for one that it does not need."""
        if plain(name) not in _SEEN and name not in SUMS:
            return None
        return tuple(map(self.of, args)), {key: self.of(value) for key, value in kwargs.items()}

    def see(self, function: Any, name: str, given: Any, result: Any, activation: Any = None) -> Term | None:
        """Know what a call gave, and the activation that it is, if it is one. None where no numbers made single ones."""
        if given is None:
            return None
        args, kwargs = given
        term = self._made(function, plain(name), args, kwargs, result, activation)
        if term is not None:
            self._keep(result, term)
        return term

    def _made(
        self, function: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any, activation: Any
    ) -> Term | None:
        stands_for = self._standing_for(result)
        if name in _CONSTANTS:
            return Term(stands_for, constant=_CONSTANTS[name])
        if name in _FILLED:
            number = args[_FILLED[name]] if len(args) > _FILLED[name] else kwargs.get("fill_value")
            return Term(stands_for, constant=number) if isinstance(number, int | float) else None
        if name in SUMS:
            return Term(stands_for, summed=args[0]) if args and isinstance(args[0], Term) else None
        term = Term(stands_for, function=function, name=name, args=args, kwargs=kwargs, activation=activation)
        size = self._size(result)
        if term.terms and not term.varying and any(each.is_learned for each in term.terms):
            return Term(stands_for, is_learned=True, is_many=size > 1)
        is_reduced = any((other := each.stands_for()) is not None and self._size(other) > size for each in term.terms)
        return None if is_reduced or not term.varying or kwargs.get("out") is not None else term

    def activate(self, value: Any, activation: Any, base: Term | None) -> None:
        """Know that several calls together, the last of which gave a tensor, are an activation of another term."""
        term = self._known[id(value)]
        term.activation, term.base = activation, base

    def _keep(self, value: Any, term: Term) -> None:
        """Know a tensor from now on; those that are gone are forgotten, where there are many."""
        self._known[id(value)] = term
        if len(self._known) > self._most:
            self._known = {key: term for key, term in self._known.items() if term.stands_for() is not None}
            self._most = max(_MOST_KNOWN, 2 * len(self._known))


def whole_of(term: Term) -> Whole | None:
    """What a term is together with those behind it, if that is more than a function of one of them.

    A function of the catalogue is known by its values. Where it is none, an activation whose values are joined with others
    that have the same inputs is a part nevertheless: that it does not bend says nothing about the whole.
    """
    varying = term.varying
    behind = [each.behind for each in varying]
    shared = frozenset.intersection(*behind) if len(varying) > 1 else frozenset()
    if not shared and not (len(varying) == 1 and _may_end_chain(term, varying[0])):
        return None
    is_chain = not shared and term.name in _ENDS_OF_CHAINS
    inputs = [each for each in (shared or behind[0]) if each.constant is None and not each.is_learned]
    if is_chain:
        inputs = [each for each in inputs if not each.is_exponential]
        kept = [each for each in inputs if each.stands_for() is not None]
        if not kept and any(_function_of(term, base) is not None for base in inputs):
            return Whole("", {}, 1.0, term, None, [])
        inputs = kept
    is_negated = term.name in _NEGATIONS
    for base in sorted(inputs, key=lambda each: each.depth if is_negated else -each.depth)[:_MOST_INPUTS]:
        found = _function_of(term, base)
        if found is not None:
            function, parameters, factor = found
            parts = [each.activation for each in term.behind if base in each.behind and each is not base]
            parts = [part for part in parts if part is not None]
            if parts and is_chain and not (is_negated and function == "logsigmoid"):
                return None  # the logarithm of a probability, for instance, belongs to a loss
            if function == _RELU and len(varying) == 1 and _rectifies(varying[0]):
                return None  # it is bounded for safety
            if function == _OF_RELU and len(varying) == 1 and varying[0].activation in parts:
                base = varying[0]
            return Whole(function, parameters, factor, term, base, parts)
    gates = {gate for gate in map(_gate, varying) if gate is not None and gate not in shared and gate.behind & shared}
    parts = [
        each.activation
        for gate in gates
        for each in gate.behind
        if each.activation is not None and each not in shared and each.behind & shared
    ]
    is_learned = term.name in _TWO and any(each.is_learned for each in term.terms)  # where it bends
    return Whole("", {}, 1.0, term, None, parts) if parts or is_learned or (shared and term.name in _OF_TENSORS) else None


def _may_end_chain(term: Term, before: Term) -> bool:
    """Whether a call without a second path to the same number may be the last of what is a function of the catalogue."""
    if term.name in _POWERS or term.name == "exp":  # of a logsigmoid
        return before.activation is not None
    if term.name in _BOUNDS and (len(term.terms) > 1 or _rectifies(before)):
        return True
    return before.is_exponential and term.name in _ENDS_OF_CHAINS


def _rectifies(term: Term) -> bool:
    return term.activation is not None and term.activation.function == _RELU


def _gate(term: Term) -> Term | None:
    """The activation whose values a term has, perhaps shifted and scaled."""
    while term.activation is None:
        varying = term.varying
        if term.name not in _AFFINE or len(varying) != 1:
            return None
        (term,) = varying
    return term


def _function_of(term: Term, base: Term) -> tuple[str, dict[str, float], float] | None:
    """The function of the catalogue that a term is of another, its parameters, and by what it is multiplied."""
    try:
        with torch.no_grad():
            values = term.value(base, torch.from_numpy(_POINTS)).double().numpy()
    except (LookupError, RuntimeError, TypeError, ValueError, AttributeError):
        return None
    if values.shape != _POINTS.shape or not np.isfinite(values).all():
        return None
    names, rows, peaks = _rows()
    others = _with_parameters(values)
    rows = np.vstack([rows, *(catalogue[name](_POINTS, **parameters) for name, parameters in others)])
    peaks = [*peaks, *[_STEEP] * len(others)]
    factors = values[peaks] / rows[range(len(rows)), peaks]
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(values - factors[:, None] * rows) / np.abs(factors[:, None])
        near = away <= np.where(rows == 0, _ZERO, _TOLERANCE * (1 + np.abs(rows)))
    found = np.flatnonzero(near.all(axis=1) & (factors != 0))
    if not found.size:
        return None
    name, parameters = [*((name, {}) for name in names), *others][found[0]]
    return name, parameters, float(factors[found[0]])


def _with_parameters(values: NDArray[np.float64]) -> list[tuple[str, dict[str, float]]]:
    """Functions with the parameters that a few of the values tell, if they are those of these functions."""
    with np.errstate(all="ignore"):
        left, one = values[[0, _ONE]] / (values[_STEEP] / _POINTS[_STEEP])
        ceiling = values[_STEEP] / (values[_LEAST] / _POINTS[_LEAST])
    found: list[tuple[str, dict[str, float]]] = []
    if _POINTS[0] * (1 - _TOLERANCE) < left < 0:  # else it may be a line
        alpha = {"alpha": -left}
        found = [("leaky_relu", {"slope": left / _POINTS[0]}), ("elu", alpha), ("celu", alpha)]
    if values[0] == 0 and values[_STEEP] == values[_STEEP - 1] and 0 < ceiling < _POINTS[_STEEP - 1]:
        found.append(("clipped_relu", {"ceiling": ceiling}))
    if 0.5 < one < 1:
        found.append(("silu", {"beta": np.log(one / (1 - one))}))
    return [(name, {key: float(f"{number:.9g}") for key, number in parameters.items()}) for name, parameters in found]


@lru_cache
def _rows() -> tuple[list[str], NDArray[np.float64], list[int]]:
    """The functions of the catalogue, their values, and where these are large but not extreme."""
    names = [name for name in catalogue.of("ridge") if name not in _NO_ACTIVATIONS]
    rows = np.array([catalogue[name](_POINTS) for name in names], np.float64)
    peaks = np.argmax(np.where(np.abs(_POINTS) < 10, np.abs(rows), -1), axis=1)
    return names, rows, peaks.tolist()
