"""What an activation is: a value, its derivative, the backward pass, and a row that describes them."""

from __future__ import annotations

import copyreg
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import update_wrapper
from types import MappingProxyType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self, TypeVar, cast

import numpy as np

from rectified import ufuncs
from rectified._native import called_plainly, plain_method
from rectified.formula import evaluate, mathml

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Method = TypeVar("_Method", bound=Callable[..., Any])
_loaded = sys.modules
_UFUNC_KEYWORDS = ("out", "where", "casting", "order", "dtype", "subok", "signature", "axes", "axis", "keepdims")


class Parameter(NamedTuple):
    """A parameter of an activation: its default and what it means."""

    default: float
    meaning: str


class _Signature:
    """What `inspect.signature` tells of an activation; it is missing from the class, which has the usual one."""

    def __get__(self, activation: Activation | None, _: type) -> inspect.Signature:
        if activation is None:
            raise AttributeError
        x, keywords = inspect.Parameter("x", _BY_POSITION), inspect.Parameter("keywords", inspect.Parameter.VAR_KEYWORD)
        named = (inspect.Parameter(key, _BY_BOTH, default=value) for key, value in activation._defaults.items())
        return inspect.Signature([x, *named, keywords])


class _Documentation:
    """The docstring of a class, and of its activations the one that their row makes."""

    def __init__(self, of_class: str | None) -> None:
        self.of_class = of_class

    def __get__(self, activation: Activation | None, _: type) -> str | None:
        return self.of_class if activation is None else activation._documentation()


_BY_POSITION, _BY_BOTH = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD


class Activation:
    """A function of the catalogue: call it for its value, ask it for everything else.

    Use the ones that the catalogue holds, as `rectified.relu`; this class is their common ground.

    Attributes
    ----------
    name : str
        The name in the catalogue, which is also the name of its compiled ufuncs.
    category : str
        ``"ridge"`` for a function of one number, ``"radial"`` of a distance, ``"fold"`` of a group of numbers.
    summary : str
        One sentence.
    formula, derivative_formula : str
        Python expressions in ``x`` and the parameters.
    parameters : mapping of str to Parameter
        The parameters by name, in order, with their defaults.
    kinks : tuple of float
        Where the derivative jumps, for the parameters' defaults.
    range : tuple of float
        The lower and the upper bound of the values, for the parameters' defaults.
    reference : str
        The paper that a reader should turn to.
    output_condition : str
        What parameters must fulfil for `backward_from_output`; empty where any will do.
    output_loss : str
        Where `backward_from_output` is less accurate than `backward`; empty where it is as good.
    also_known_as : tuple of str
        Other names, under which the catalogue finds it too.
    elsewhere : mapping of str to str
        What differs in other libraries, such as a default.
    """

    category: str
    __signature__ = _Signature()
    _sample: tuple[float, ...] = (-1.0, 0.0, 2.0)
    _shape = "that `x` and the parameters broadcast to"
    _raises: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        documentation: Any = _Documentation(cls.__doc__)
        cls.__doc__ = documentation
        if "_evaluate" in vars(cls):  # errors show its name, and people have called the activation
            vars(cls)["_evaluate"].__qualname__ = f"{cls.__name__}.__call__"

    def __init__(
        self,
        name: str,
        *,
        summary: str,
        formula: str,
        derivative_formula: str,
        range: tuple[float | str, float | str],
        reference: str,
        parameters: Mapping[str, Parameter] | None = None,
        kink_formulas: tuple[str, ...] = (),
        output_condition: str = "",
        output_loss: str = "",
        also_known_as: tuple[str, ...] = (),
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self.name = self.__name__ = self.__qualname__ = name
        self.summary = summary
        self.formula = formula
        self.derivative_formula = derivative_formula
        self._bounds = range
        self.reference = reference
        self.parameters: Mapping[str, Parameter] = MappingProxyType(dict(parameters or {}))
        self.kink_formulas = kink_formulas
        self.output_condition = output_condition
        self.output_loss = output_loss
        self.also_known_as = also_known_as
        self.elsewhere: Mapping[str, str] = MappingProxyType(dict(elsewhere or {}))
        self._take_defaults()

    def _take_defaults(self) -> None:
        self._defaults: dict[str, Any] = {key: parameter.default for key, parameter in self.parameters.items()}
        self._default_values = tuple(self._defaults.values())
        self._is_large = _are_large(self._default_values)
        self._output_tells = not self.output_condition or self._told_by_output(self._defaults)
        numbers = (float(each) if isinstance(each, int | float | np.generic) else id(each) for each in self._default_values)
        self._key: tuple[Any, ...] = (type(self), self.name, *numbers)  # in which an array is like itself alone

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Activation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, name) and not name.startswith("_"):
            raise AttributeError(f"{self.name}: {name} cannot be set; bind gives the function with other parameters")
        super().__setattr__(name, value)

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where the derivative jumps, for the parameters' defaults."""
        found = (self._number_from(formula, "kinks depend") for formula in self.kink_formulas)
        return tuple(kink for kink in found if kink is not None and np.isfinite(kink))

    @property
    def range(self) -> tuple[float, float]:
        """The lower and the upper bound of the values, for the parameters' defaults."""
        low, high = (
            self._number_from(bound, "range depends") if isinstance(bound, str) else bound for bound in self._bounds
        )
        return float(low), float(high)

    @np.errstate(invalid="ignore")  # ml_dtypes warns where its NaN is compared
    def _number_from(self, formula: str, what: str) -> Any:
        """What a formula in the parameters is for their defaults; it may be None."""
        try:
            found = evaluate(formula, self._defaults)
            return None if found is None else float(found)
        except (TypeError, ValueError):
            arrays = " and ".join(key for key, value in self._defaults.items() if np.ndim(value))
            raise ValueError(f"{self.name}: its {what} on {arrays}, an array here; bind a number") from None

    @property
    def signature(self) -> str:
        """How it is called: ``leaky_relu(x, slope=0.01)``."""
        return f"{self.name}({', '.join(['x', *(f'{key}={value!r}' for key, value in self._defaults.items())])})"

    def bind(self, **parameters: Any) -> Self:
        """The same function with other defaults for its parameters.

        Parameters
        ----------
        **parameters
            New defaults by name: numbers, or arrays that broadcast against ``x``.

        Returns
        -------
        Activation
            A new object; this one stays as it is. Two are equal that are the same function with the same numbers.

        Raises
        ------
        TypeError
            For a parameter that the function does not have, and for a default that is no number.
        ValueError
            For a whole number that is too large for a float, and one that can be none of a fold's, such as no pieces.

        Examples
        --------
        >>> import rectified as rf
        >>> rf.leaky_relu.bind(slope=0.2)(-1.0)
        np.float64(-0.2)
        """
        self._refuse_unknown(parameters)
        for key, value in parameters.items():
            if isinstance(value, int) and abs(value) > _LARGEST:
                raise ValueError(f"{self.name}: {key} is a number that float64 has a place for, and this one is too large")
            self._refuse_unfit(key, value)
        bound = self.__new__(type(self))
        given = {key: old._replace(default=parameters.get(key, old.default)) for key, old in self.parameters.items()}
        vars(bound).update(vars(self), parameters=MappingProxyType(given))
        bound._take_defaults()
        return bound

    def _refuse_unfit(self, key: str, value: Any) -> None:
        """A default that is neither a real number nor an array of them."""
        if isinstance(value, int | float) or _is_real(dtype := _dtype_of(value)):
            return
        given = f"an array of {dtype}" if hasattr(value, "dtype") else repr(value)
        raise TypeError(f"{self.name}: {key} is a real number, or an array of them, not {given}") from None

    def _refuse_unreal(self, operands: Iterable[Any]) -> None:
        """NumPy would speak of casting rules."""
        for dtype in map(_dtype_of, operands):
            if not _is_real(dtype):
                given = dtype.type.__name__.rstrip("_")
                raise TypeError(f"{self.name} takes real numbers of at most 64 bits, not {given}") from None

    def plot(self, *, derivative: bool = True, ax: Axes | None = None) -> Axes:
        """Draw the function, and its derivative, with matplotlib.

        Short for `rectified.plot` with this one function.
        """
        from rectified.plotting import plot

        return plot(self, derivative=derivative, ax=ax)

    def __call__(self, x: Any, /, *parameters: Any, **keywords: Any) -> Any:
        """The value, f(x)."""
        raise NotImplementedError

    def derivative(self, x: Any, /, *parameters: Any, **keywords: Any) -> Any:
        """The derivative, f'(x)."""
        raise NotImplementedError

    def backward(self, dy: Any, x: Any, /, *parameters: Any, **keywords: Any) -> Any:
        """The gradient by x, from the gradient dy by the output."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{self.signature} = {self.formula}>"

    def _repr_html_(self) -> str:
        lines = [
            f"<p><strong>{self.name}</strong>: {self.summary}</p>",
            f"<p>{mathml(self.formula, 'f(x)')}</p>",
            f"<p>{mathml(self.derivative_formula, 'derivative(x)')}</p>",
        ]
        try:
            from rectified.plotting import svg

            lines.append(svg(self))
        except (ImportError, ValueError):  # matplotlib is missing, or a parameter is an array
            pass
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Callable[..., Activation], tuple[str, dict[str, Any]]]:
        from rectified.catalogue import catalogue

        return _restored, (self.name, {} if self is catalogue.get(self.name) else self._defaults)

    def _ufunc(self, kind: str) -> np.ufunc:
        found = ufuncs.named(self.name + kind)
        if found is None:
            raise LookupError(f"no compiled function {self.name + kind}: add its struct to native/activations")
        return found

    def _array(self, x: Any) -> Any:
        """`x` as an array of any number of dimensions, all of whose numbers count."""
        if type(x) is np.ndarray:
            return x
        _refuse_mask(self.name, x)
        is_array = hasattr(x, "reshape") and hasattr(x, "__array_ufunc__") and not isinstance(x, np.matrix)
        return x if is_array else np.asarray(x)

    def _places(self, out: Any, shape: tuple[int, ...], size: int) -> tuple[Any, Any]:
        """Where a forward pass puts its value and so many bytes; None for a value that has no place yet."""
        out = (None, None) if out is None else out
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"{self.name}: out is a tuple of two arrays")
        value, packed = out
        if value is not None:
            self._refuse_layout(value, shape)
        if packed is None:
            return value, np.empty(size, np.uint8)
        self._refuse_layout(packed, (size,))
        if packed.dtype != np.uint8:
            raise TypeError(f"{self.name}: the second array of out is of uint8, not {packed.dtype}")
        return value, packed

    def _refuse_layout(self, array: Any, shape: tuple[int, ...]) -> None:
        if np.shape(array) != shape:
            fault = f"here it has {np.shape(array)}"
        elif not isinstance(array, np.ndarray):
            fault = f"not a {type(array).__name__}"
        elif not array.flags.c_contiguous:
            fault = "and this one is not contiguous"
        else:
            return
        raise ValueError(f"{self.name}: out is a C-contiguous array of shape {shape}, {fault}")

    @np.errstate(invalid="ignore")
    def _told_by_output(self, numbers: Mapping[str, Any]) -> bool:
        """Whether the output tells the derivative for these parameters; arrays give NaN where it does not."""
        scalars = all(np.ndim(numbers[key]) == 0 for key in self._defaults)
        return not scalars or bool(evaluate(self.output_condition, numbers))

    def _documentation(self) -> str:
        """A docstring from the row."""
        lines = [f"``{self.signature}`` = ``{self.formula}``", "", self.summary, ""]
        lines += [
            f"Its derivative is ``{self.derivative_formula}``; "
            f"its values lie between ``{self._bounds[0]}`` and ``{self._bounds[1]}``."
        ]
        lines += ["", "Parameters", "----------", "x : array_like", "    The input, of any shape."]
        for key, (default, meaning) in self.parameters.items():
            kind = "int" if self.category == "fold" else "array_like"
            lines += [f"{key} : {kind}, default {default}", f"    {meaning}"]
        lines += ["**keywords", "    A ufunc's keywords, such as ``out``.", "", "Returns", "-------"]
        lines += ["ndarray or scalar", f"    In the shape {self._shape}, and in the dtype of `x` where that is a float."]
        if self.parameters and self.category != "fold":
            lines += ["    A parameter with a wider dtype of its own, such as an array of float64, gives that."]
        lines += ["", "Raises", "------", "TypeError"]
        lines += [
            "    For what is no real number of at most 64 bits, such as a complex number, a longdouble, an object or a"
        ]
        lines += ["    string, and for a keyword that is none."]
        lines += [*self._raises, "", "References", "----------", self.reference, *self._examples()]
        return "\n".join(lines)

    def _examples(self) -> list[str]:
        from rectified.catalogue import catalogue

        found = catalogue.get(self.name)
        if found is None:
            return []
        call = f">>> rf.{self.name}({list(self._sample)})"
        return ["", "Examples", "--------", ">>> import rectified as rf", call, repr(found(list(self._sample)))]

    def _refuse_unknown(self, keywords: Mapping[str, Any], allowed: tuple[str, ...] = ()) -> None:
        for key in keywords:
            if key not in self.parameters and key not in allowed:
                known = f"its parameters are: {', '.join(self.parameters)}" if self.parameters else "it has no parameters"
                raise TypeError(f"{self.name} has no parameter {key!r}; {known}")


def _dtype_of(value: Any) -> np.dtype[Any]:
    found = getattr(value, "dtype", None)
    return found if isinstance(found, np.dtype) else np.asarray(value).dtype


def _is_real(dtype: np.dtype[Any]) -> bool:
    return np.can_cast(dtype, np.float64)


def _refuse_mask(name: str, x: Any) -> None:
    ma = _loaded.get("numpy.ma")
    if ma and isinstance(x, ma.MaskedArray):
        raise TypeError(f"{name}: numbers behind a mask would count; put others there, as x.filled(0) does")


def _as_floats(parameters: tuple[Any, ...]) -> tuple[Any, ...]:
    """Python's whole numbers as floats: beside an array of int8 NumPy would take 1000 for a number of a short type."""
    return tuple(float(each) if isinstance(each, int) else each for each in parameters)


_LARGEST_HALF, _LARGEST = 65504, float(np.finfo(np.float64).max)
_AS_USUAL = nullcontext()


def _are_large(parameters: Iterable[Any]) -> bool:
    """Whether there is a number that a short type has no place for: NumPy would warn of what it casts to infinity."""
    return any(isinstance(each, int | float) and abs(each) > _LARGEST_HALF for each in parameters)


def _casting(large: bool) -> AbstractContextManager[Any]:
    """In which NumPy casts a function's parameters, in silence."""
    return np.errstate(over="ignore") if large else _AS_USUAL


def _beside_bfloat16(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Python's numbers as bfloat16 where there is an array of it; by NumPy's rules both would become float32."""
    ufuncs.learn_bfloat16()
    bfloat16: Any = _loaded["ml_dtypes"].bfloat16
    for operand in operands:
        kind: Any = getattr(getattr(operand, "dtype", None), "type", None)
        if kind is bfloat16:
            break
    else:
        return operands
    return tuple(
        bfloat16(each) if isinstance(each, int | float) and not isinstance(each, np.generic) else each for each in operands
    )


def _restored(name: str, defaults: dict[str, Any]) -> Activation:
    from rectified.catalogue import catalogue

    found = catalogue[name]
    return found.bind(**defaults) if defaults else found


class _WhereCompiled:
    """A method that is absent where the function has no ufunc of its name."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        update_wrapper(cast(Any, self), method)

    def __get__(self, activation: Activation | None, _: type) -> Callable[..., Any]:
        if activation is None:
            return self._method
        name = self._method.__name__
        if ufuncs.named(f"{activation.name}_{name}") is None:
            raise AttributeError(f"{activation.name} has no {name}: its derivative takes more than two values")
        return MethodType(self._method, activation)


def _plainly(attribute: str) -> Callable[[_Method], _Method]:
    """Lets plain calls of a method go to the ufunc in this attribute, past the method and NumPy's machinery."""

    def wrapped(method: _Method) -> _Method:
        return cast(_Method, update_wrapper(plain_method(attribute, method), method))

    return wrapped


def _found_again(method: Any) -> tuple[Any, ...]:
    """How to pickle a plain method by itself, as cloudpickle does with the function of a bound one."""
    owner, _, name = method.__qualname__.rpartition(".")
    return getattr, (getattr(sys.modules[method.__module__], owner), name)


copyreg.pickle(plain_method, _found_again)


class Ridge(called_plainly, Activation):
    """A function of one number, applied to each element of an array.

    Calling it gives the value: ``f(x, *parameters, **keywords)`` with the keywords of a NumPy ufunc (``out``, ``where``,
    ``dtype``, ``casting``, ``order``, ``subok``). Parameters stand by position or by name after ``x`` and broadcast against
    it; those that are left out have their defaults.

    float16, float32 and float64 keep their dtype; integers are promoted by NumPy's rules. NaN gives NaN, infinities give
    the limits, and nothing warns.
    """

    category = "ridge"

    def _take_defaults(self) -> None:
        super()._take_defaults()
        self._default_values = _as_floats(self._default_values)
        self._plain_value = self._ufunc(""), self._defaults
        self._plain_derivative = self._ufunc("_derivative"), self._defaults
        self._plain_backward = self._ufunc("_backward"), self._defaults
        told = ufuncs.named(f"{self.name}_backward_from_output")
        fixed = self._default_values if self._output_tells else None
        self._plain_backward_from_output = told and (told, fixed if self.output_condition else self._defaults)

    def __dir__(self) -> list[str]:
        absent = {name for name in ("backward_from_output", "forward_packed", "backward_packed") if not hasattr(self, name)}
        return [name for name in super().__dir__() if name not in absent]

    def _evaluate(self, x: Any, /, *parameters: Any, **keywords: Any) -> Any:
        return self._run(self._ufunc(""), (x,), parameters, keywords)

    @_plainly("_plain_derivative")
    def derivative(
        self,
        x: Any,
        /,
        *parameters: Any,
        order: int | str = 1,
        wrt: str = "x",
        at_kink: float | None = None,
        **keywords: Any,
    ) -> Any:
        """f'(x), or f''(x), or the derivative by a parameter.

        Parameters
        ----------
        x : array_like
            Where.
        *parameters
            The function's parameters, by position or name; they broadcast against `x`.
        order : {1, 2}
            Which derivative; the second one of functions that have one everywhere. A string is the ufunc's keyword of
            this name, the memory layout of the result.
        wrt : str
            By what to differentiate: ``"x"`` or the name of a parameter.
        at_kink : float in [0, 1], optional
            At a kink take ``(1 - at_kink) * left + at_kink * right``. By default it is the element of the
            subdifferential with the smallest magnitude.
        **keywords
            A ufunc's keywords, such as ``out``.

        Returns
        -------
        ndarray or scalar
            In the dtype of the value.

        Raises
        ------
        ValueError
            For another `order` or `wrt`, for the second derivative of a function that has none somewhere, for an `at_kink`
            outside of [0, 1] or of a function without kinks.

        Examples
        --------
        >>> import rectified as rf
        >>> rf.relu.derivative([-1.0, 0.0, 2.0])
        array([0., 0., 1.])
        >>> rf.relu.derivative(0.0, at_kink=0.5)
        np.float64(0.5)
        >>> rf.leaky_relu.derivative(-3.0, wrt="slope")
        np.float64(-3.0)
        >>> rf.tanh.derivative(1.0, order=2)
        np.float64(-0.6397000084492245)
        """
        if isinstance(order, str):
            keywords["order"] = order
        elif order != 1:
            return self._run(self._second(order, wrt, at_kink), (x,), parameters, keywords)
        if wrt == "x" and at_kink is None:
            return self._run(self._ufunc("_derivative"), (x,), parameters, keywords)
        return self._run(*self._special("derivative", (x,), wrt, at_kink), parameters, keywords)

    @_plainly("_plain_backward")
    def backward(
        self, dy: Any, x: Any, /, *parameters: Any, wrt: str = "x", at_kink: float | None = None, **keywords: Any
    ) -> Any:
        """``dy * f'(x)`` in one pass, as backpropagation wants it.

        Parameters
        ----------
        dy : array_like
            The gradient by the output.
        x : array_like
            The input of the forward pass.
        *parameters, wrt, at_kink, **keywords
            As for `derivative`. With ``wrt`` a parameter's name the result is ``dy * df/dparameter``, element by element:
            sum it over the elements that share the parameter.

        Returns
        -------
        ndarray or scalar
            The gradient by the input.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> rf.relu.backward(np.array([5.0, 5.0]), np.array([-1.0, 1.0]))
        array([0., 5.])
        """
        if wrt == "x" and at_kink is None:
            return self._run(self._ufunc("_backward"), (dy, x), parameters, keywords)
        return self._run(*self._special("backward", (dy, x), wrt, at_kink), parameters, keywords)

    @_plainly("_plain_backward_from_output")
    def backward_from_output(self, dy: Any, y: Any, /, *parameters: Any, **keywords: Any) -> Any:
        """``dy * f'(x)`` from the output y = f(x) alone.

        The attribute is absent where the output does not tell the derivative.

        Parameters
        ----------
        dy : array_like
            The gradient by the output.
        y : array_like
            The output.
        *parameters, **keywords
            As for the value.

        Returns
        -------
        ndarray or scalar
            The gradient by the input.

        Raises
        ------
        ValueError
            For a parameter with which the output does not tell it, such as a negative slope of `leaky_relu`.

        Examples
        --------
        >>> import rectified as rf
        >>> rf.sigmoid.backward_from_output(1.0, 0.5)
        np.float64(0.25)
        """
        if self._plain_backward_from_output is None:
            self._refuse_absent("backward_from_output")
        if self.output_condition:
            numbers = self._defaults | dict(zip(self._defaults, parameters, strict=False)) | keywords
            try:
                is_told = self._told_by_output(numbers)
            except TypeError:
                for key in self._defaults:
                    self._refuse_unfit(key, numbers[key])
                raise
            if not is_told:
                raise ValueError(f"{self.name}: the output tells the derivative only for {self.output_condition}")
        return self._run(self._ufunc("_backward_from_output"), (dy, y), parameters, keywords)

    def _refuse_absent(self, method: str) -> NoReturn:
        raise AttributeError(f"{self.name} has no {method}: use backward(dy, x)")

    @_WhereCompiled
    def forward_packed(self, x: Any, /, *parameters: Any, out: Any = None, **keywords: Any) -> Any:
        """``(y, bits)``: the value, and one bit for each element that tells the derivative.

        ``forward_packed(x, *parameters, out=(y, bits))``. The attribute is absent where the derivative takes more than two
        values. The bits take a 32nd of the memory that float32 inputs take, which is what `backward` would need.

        Parameters
        ----------
        x : array_like
            The input, of any shape. Whatever it is, NumPy's arrays come out: one of Dask is computed at once.
        *parameters
            One number each, by position or name.
        out : tuple of ndarray, optional
            Where the results go: C-contiguous arrays, or None for a new one.

        Returns
        -------
        y : ndarray
            The value, in the shape of `x`.
        bits : ndarray of uint8
            One bit for each element of `x` in C order, as ``numpy.packbits(..., bitorder="little")`` packs them.

        References
        ----------
        A. Jain, A. Phanishayee, J. Mars, L. Tang and G. Pekhimenko, Gist: Efficient Data Encoding for Deep Neural Network
        Training, ISCA 2018

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> y, bits = rf.relu.forward_packed(np.array([-1.0, 2.0, 3.0]))
        >>> y, bits
        (array([0., 2., 3.]), array([6], dtype=uint8))
        >>> rf.relu.backward_packed(np.array([5.0, 5.0, 5.0]), bits)
        array([0., 5., 5.])
        """
        x = np.asarray(self._array(x), order="C")
        y, bits = self._places(out, x.shape, (x.size + 7) // 8)
        flat = y if y is None else y.reshape(-1)
        if x.dtype.kind in "biu":  # the value may keep them, which the packed loops do not
            self._run_packed("_forward_packed", (x.reshape(-1),), parameters, keywords, (None, bits))
            value = self(x, *parameters, out=y, **keywords)
            return np.asarray(value) if y is None else y, bits
        made, _ = self._run_packed("_forward_packed", (x.reshape(-1),), parameters, keywords, (flat, bits))
        return made.reshape(x.shape) if y is None else y, bits

    @_WhereCompiled
    def backward_packed(self, dy: Any, bits: Any, /, *parameters: Any, out: Any = None, **keywords: Any) -> Any:
        """``dy * f'(x)`` from the bits of `forward_packed`: ``backward_packed(dy, bits, *parameters, out=dx)``.

        The attribute is absent where the derivative takes more than two values. NaN in `x` counts as the side on which
        the function passes it on, and 0 as the left side where the derivative there is a third value, 0, as that of
        `leaky_relu` with a negative slope is.

        Parameters
        ----------
        dy : array_like
            The gradient by the output, in the shape of `x`.
        bits : ndarray of uint8
            What `forward_packed` returned.
        *parameters
            The same as there.
        out : ndarray, optional
            Where the result goes: a C-contiguous array.

        Returns
        -------
        ndarray
            The gradient by the input.

        Raises
        ------
        ValueError
            Where `bits` does not belong to so many elements.
        """
        dy, bits = np.asarray(self._array(dy), order="C"), np.asarray(bits)
        if bits.dtype != np.uint8 or bits.shape != ((dy.size + 7) // 8,):
            raise ValueError(
                f"{self.name}: the bits of {dy.size} elements are uint8 of shape ({(dy.size + 7) // 8},), "
                f"not {bits.dtype} of {bits.shape}"
            )
        flat = out
        if out is not None:
            self._refuse_layout(out, dy.shape)
            flat = out.reshape(-1)
        made = self._run_packed("_backward_packed", (dy.reshape(-1), bits), parameters, keywords, (flat,))
        return made.reshape(dy.shape) if out is None else out

    def _run_packed(
        self, kind: str, operands: tuple[Any, ...], given: tuple[Any, ...], keywords: dict[str, Any], out: tuple[Any, ...]
    ) -> Any:
        self._refuse_unknown(keywords)
        numbers = given + tuple(keywords.values())
        if any(np.ndim(number) for number in (*numbers, *self._default_values)):
            raise ValueError(f"{self.name}: a packed pass takes one number for each parameter")
        return self._run(self._ufunc(kind), operands, given, keywords | {"out": out})

    def _second(self, order: int, wrt: str, at_kink: float | None) -> np.ufunc:
        """The ufunc of the second derivative."""
        if order != 2:
            raise ValueError(f"{self.name}: order is 1 or 2, not {order}")
        if wrt != "x" or at_kink is not None:
            raise ValueError(f"{self.name}: the second derivative goes without wrt and at_kink")
        found = ufuncs.named(f"{self.name}_second_derivative")
        if found is None:
            raise ValueError(f"{self.name} has no derivative of order 2: its second derivative does not exist everywhere")
        return found

    def _special(
        self, kind: str, operands: tuple[Any, ...], wrt: str, at_kink: float | None
    ) -> tuple[np.ufunc, tuple[Any, ...]]:
        """The ufunc and its first operands for a derivative by a parameter, or with a choice at the kinks."""
        if at_kink is None:
            if not isinstance(wrt, str) or wrt not in self.parameters:
                known = ", ".join(repr(name) for name in ("x", *self.parameters))
                raise ValueError(f"{self.name}: wrt is one of {known}, not {wrt!r}")
            return self._ufunc(f"_{kind}_wrt_{wrt}"), operands
        if wrt != "x":
            raise ValueError(f"{self.name}: at_kink goes with wrt='x'")
        if not self.kink_formulas:
            raise ValueError(f"{self.name} has no kink for at_kink={at_kink}")
        number = np.asarray(at_kink)
        if number.ndim or number.dtype.kind not in "biuf" or not 0 <= number <= 1:
            raise ValueError(f"{self.name}: at_kink is between 0 (left) and 1 (right), not {at_kink}")
        return self._ufunc(f"_{kind}_at_kink"), (*operands, float(number))  # whose type does not count

    def _run(self, ufunc: np.ufunc, operands: tuple[Any, ...], given: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if keywords and not self._defaults.keys().isdisjoint(keywords):
            names = tuple(self._defaults)
            for name in names[: len(given)]:
                if name in keywords:
                    raise TypeError(f"{self.name} got its parameter {name!r} twice, by position and by name")
            rest = tuple(keywords.pop(name, self._defaults[name]) for name in names[len(given) :])
            return self._run(ufunc, operands, given + rest, keywords)
        everything = (*operands, *_as_floats(given), *self._default_values[len(given) :])
        if "ml_dtypes" in _loaded:
            everything = _beside_bfloat16(everything)
        try:
            with _casting(self._is_large or _are_large(given)):
                return ufunc(*everything, **keywords)
        except TypeError:
            self._refuse_unknown(keywords, _UFUNC_KEYWORDS)
            self._refuse_unreal(operands)
            for name, value in zip(self._defaults, given, strict=False):
                self._refuse_unfit(name, value)
            self._refuse_surplus(ufunc, given[len(self._defaults) :], keywords)
            raise

    def _refuse_surplus(self, ufunc: np.ufunc, more: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """What follows the parameters and is no array for a result, and a keyword of another method."""
        order = keywords.get("order")
        if order is not None and not isinstance(order, str):
            raise TypeError(
                f"{self.name}: order={order} goes with derivative; here order is a memory layout, such as 'C'"
            ) from None
        places = 0 if "out" in keywords else ufunc.nout
        wrong = [each for at, each in enumerate(more) if at >= places or not isinstance(each, np.ndarray | None)]
        if wrong:
            taken = ", ".join(self._defaults) or "no parameter"
            given = "an array" if np.ndim(wrong[0]) else repr(wrong[0])
            by_name = "order=2" if ufunc.__name__ == f"{self.name}_derivative" else "out=y"
            raise TypeError(
                f"{self.name} takes {taken} by position, so {given} is one too many; other things go by name, as {by_name}"
            ) from None
