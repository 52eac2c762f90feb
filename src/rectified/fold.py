"""Folds: functions of a group of numbers along an axis."""

from __future__ import annotations

import ast
import operator
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from rectified import ufuncs
from rectified._native import called_plainly
from rectified.activation import Activation, Parameter, Ridge, _beside_bfloat16, _casting, _plainly

_KEYWORDS = ("out", "casting", "order", "dtype", "subok", "signature")
_AXIS = Parameter(-1, "The axis along which the group's members stand.")
_OWN: Any = ...
"""In a call the axis that the function is bound to; None would be taken for all axes at once."""


class Fold(Activation):
    """A function of groups of numbers along an axis.

    Calling it gives the value: ``f(x, axis=-1, **keywords)`` with the keywords of a generalized ufunc (``out``, ``dtype``,
    ``casting``, ``order``, ``subok``). What becomes of the axis the class of the function says.

    float16, float32 and float64 keep their dtype; integers are promoted by NumPy's rules. NaN in a group makes all that the
    group gives NaN, and nothing warns.
    """

    category = "fold"
    _sample = (1.0, 3.0, 2.0, 2.0)
    _raises = ("ValueError", "    Where `x` has no such axis, or one of an unfit length.")

    def _refuse_unfit(self, key: str, value: Any) -> None:
        try:
            operator.index(value)
        except TypeError:
            raise TypeError(f"{self.name}: {key} is a whole number, not {value!r}") from None

    def derivative(self, x: Any, /, *parameters: Any, **keywords: Any) -> Any:
        """The Jacobian matrix: of each output by each input of its group.

        Parameters
        ----------
        x : array_like
            The input.
        *parameters, **keywords
            As for the value, without ``out``.

        Returns
        -------
        ndarray
            In the shape of `x` without its axis, then the outputs, then the inputs.

        Examples
        --------
        >>> import rectified as rf
        >>> rf.softmax.derivative([1.0, 1.0])
        array([[ 0.25, -0.25],
               [-0.25,  0.25]])
        """
        axis = keywords.pop("axis", parameters[-1] if parameters else self._defaults["axis"])
        x, place = self._with_axis(x, axis)
        rows = np.moveaxis(x, place, -1)[..., None, :]
        basis = np.eye(x.shape[place], dtype=x.dtype if x.dtype.kind != "b" else np.int8)
        return np.swapaxes(self.jvp(basis, rows, axis=-1, **keywords), -1, -2)

    def jvp(self, v: Any, x: Any, /, *parameters: Any, **keywords: Any) -> Any:
        """The Jacobian times a vector: how the output moves when the input moves by `v`.

        Parameters
        ----------
        v : array_like
            In the shape of `x`.
        x : array_like
            The input.
        *parameters, **keywords
            As for the value.

        Returns
        -------
        ndarray
            In the shape of the output.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> rf.softmax.jvp(np.array([1.0, 0.0]), np.array([1.0, 1.0]))
        array([ 0.25, -0.25])
        """
        raise NotImplementedError

    def _with_axis(self, x: Any, axis: Any) -> tuple[Any, int]:
        """`x` as an array, and the place of its axis, counted from the end."""
        x = self._array(x)
        if x.ndim == 0:
            raise ValueError(f"{self.name}: x has no axis to fold")
        axis = self._defaults["axis"] if axis is _OWN else axis
        self._refuse_unfit("axis", axis)
        return x, normalize_axis_index(operator.index(axis), x.ndim) - x.ndim

    def _refuse_unlike(self, of: str, array: Any, place: int, shape: tuple[int, ...]) -> None:
        """An array that lacks the axis, or has another length there, and one that does not broadcast."""
        has_axis = array.ndim >= -place and array.shape[place] == shape[place]
        if not has_axis or not _do_broadcast(array.shape, shape):
            raise ValueError(f"{self.name}: {of} has the shape {array.shape}, and it should have {shape}")

    def _refuse_gradient(self, dy: Any, shape: tuple[int, ...]) -> None:
        """A gradient that has not the shape of the output, and does not broadcast to it."""
        try:
            fits = np.broadcast_shapes(dy.shape, shape) == shape
        except (TypeError, ValueError):  # Dask may have yet to know a length
            fits = False
        if not fits:
            raise ValueError(f"{self.name}: dy has the shape {dy.shape}, and the output has {shape}")

    def _refuse_unknown(self, keywords: Mapping[str, Any], allowed: tuple[str, ...] = ()) -> None:
        order = keywords.get("order")
        if not isinstance(order, str | None):
            raise TypeError(
                f"{self.name}: order={order} goes with functions of one number; here order is a memory layout, such as 'C'"
            )
        super()._refuse_unknown(keywords, allowed)

    def _place(self, keywords: dict[str, Any], shape: tuple[int, ...]) -> Any:
        """Where the keywords say that a result of this shape goes, which they then say no more; None for a new array."""
        out = keywords.pop("out", None)
        out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        out = None if out is ... else out
        if out is not None and (not isinstance(out, np.ndarray) or out.shape != shape):
            raise ValueError(f"{self.name}: out has the shape {np.shape(out)}, and the result has {shape}")
        return out

    def _run(
        self, ufunc: np.ufunc, operands: tuple[Any, ...], axes: list[tuple[int, ...]], keywords: dict[str, Any]
    ) -> Any:
        self._refuse_unknown(keywords, _KEYWORDS)
        if "ml_dtypes" in sys.modules:
            ufuncs.learn_bfloat16()
        try:
            return ufunc(*operands, axes=axes, **keywords)
        except TypeError:
            self._refuse_unreal(operands)
            raise


class Normalizer(called_plainly, Fold):
    """A fold that gives as many numbers as it takes: what each member of a group is worth beside the others.

    The group is all of an axis.
    """

    _shape = "of `x`"

    def __init__(self, name: str, **row: Any) -> None:
        super().__init__(name, parameters={"axis": _AXIS}, **row)

    def _take_defaults(self) -> None:
        super()._take_defaults()
        backward = self._ufunc("_backward")
        self._jvp = ufuncs.named(f"{self.name}_jvp") or backward  # the same where the Jacobian is symmetric
        self._plain_value = self._ufunc(""), self._defaults
        self._plain_backward = backward, self._defaults
        self._plain_backward_from_output = self._ufunc("_backward_from_output"), self._defaults
        self._plain_jvp = self._jvp, self._defaults

    def _evaluate(self, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        return self._along(self._ufunc(""), x, axis, keywords)

    @_plainly("_plain_backward")
    def backward(self, dy: Any, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        """The gradient by `x`, from the gradient `dy` by the output.

        Parameters
        ----------
        dy, x : array_like
            The gradient by the output, and the input of the forward pass.
        axis : int, optional
            As for the value.
        **keywords
            A ufunc's keywords.

        Returns
        -------
        ndarray
            In the shape of `x`.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> rf.softmax.backward(np.array([1.0, 0.0]), np.array([1.0, 1.0]))
        array([ 0.25, -0.25])
        """
        return self._along(self._ufunc("_backward"), x, axis, keywords, dy=dy)

    @_plainly("_plain_backward_from_output")
    def backward_from_output(self, dy: Any, y: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        """The gradient by the input, from the gradient `dy` by the output y = f(x) and from that output alone.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> rf.softmax.backward_from_output(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
        array([ 0.25, -0.25])
        """
        return self._along(self._ufunc("_backward_from_output"), y, axis, keywords, dy=dy)

    @_plainly("_plain_jvp")
    def jvp(self, v: Any, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        return self._along(self._jvp, x, axis, keywords, v=v)

    def _along(self, ufunc: np.ufunc, x: Any, axis: int, keywords: dict[str, Any], **others: Any) -> Any:
        x, place = self._with_axis(x, axis)
        arrays = {of: self._array(each) for of, each in others.items()}
        for of, array in arrays.items():
            self._refuse_unlike(of, array, place, x.shape)
        return self._run(ufunc, (*arrays.values(), x), [(place,)] * (ufunc.nin + 1), keywords)


class Maxout(Fold):
    """A fold that cuts its axis into groups of `pieces` neighbours, and puts one number in the place of each group."""

    _shape = "of `x` with a shorter axis"

    def _refuse_unfit(self, key: str, value: Any) -> None:
        super()._refuse_unfit(key, value)
        if key == "pieces" and value < 1:
            raise ValueError(f"{self.name}: a group has at least one piece, not pieces={value}")

    def __init__(self, name: str, **row: Any) -> None:
        super().__init__(name, **row)
        self._value = self._ufunc("")
        self._derivative = self._ufunc("_derivative")
        self._backward = self._ufunc("_backward")

    def __call__(self, x: Any, /, pieces: int | None = None, axis: int = _OWN, **keywords: Any) -> Any:
        groups, place = self._groups(x, pieces, axis)
        return self._run(self._value, (groups,), [(place,), ()], keywords)

    def derivative(self, x: Any, /, pieces: int | None = None, axis: int = _OWN, **keywords: Any) -> Any:
        """The derivative of each group's value by each of its members, in the shape of `x`.

        Parameters
        ----------
        x : array_like
            The input.
        pieces, axis : int, optional
            As for the value.
        **keywords
            A ufunc's keywords.

        Returns
        -------
        ndarray
            In the shape of `x`.

        Raises
        ------
        ValueError
            Where the axis does not divide into groups of `pieces`.

        Examples
        --------
        >>> import rectified as rf
        >>> rf.maxout.derivative([1.0, 3.0, 2.0, 2.0])
        array([0., 1., 1., 0.])
        """
        groups, place = self._groups(x, pieces, axis)
        return self._in_shape_of(x, self._derivative, (groups,), [(place,), (place,)], keywords)

    def backward(self, dy: Any, x: Any, /, pieces: int | None = None, axis: int = _OWN, **keywords: Any) -> Any:
        """The gradient by `x`, from the gradient `dy` by the output, in one pass.

        Parameters
        ----------
        dy : array_like
            In the shape of the output.
        x : array_like
            The input of the forward pass.
        pieces, axis : int, optional
            As for the value.
        **keywords
            A ufunc's keywords.

        Returns
        -------
        ndarray
            In the shape of `x`.

        Raises
        ------
        ValueError
            Where the axis does not divide into groups of `pieces`.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> rf.maxout.backward(np.array([10.0, 20.0]), np.array([1.0, 3.0, 2.0, 2.0]))
        array([ 0., 10., 20.,  0.])
        """
        groups, place = self._groups(x, pieces, axis)
        dy = self._array(dy)
        self._refuse_gradient(dy, (*groups.shape[:place], *groups.shape[groups.ndim + place + 1 :]))
        return self._in_shape_of(x, self._backward, (dy, groups), [(), (place,), (place,)], keywords)

    def jvp(self, v: Any, x: Any, /, pieces: int | None = None, axis: int = _OWN, **keywords: Any) -> Any:
        groups, place = self._groups(x, pieces, axis)
        v = self._array(v)
        self._refuse_unlike("v", v, place, np.shape(x))
        moved, _ = self._groups(v, pieces, place)
        return self._run(self._ufunc("_jvp"), (moved, groups), [(place,), (place,), ()], keywords)

    def forward_packed(self, x: Any, /, pieces: int | None = None, axis: int = _OWN, *, out: Any = None) -> tuple[Any, Any]:
        """``(y, winners)``: the value, and which piece won in each group, in as few bits as tell it.

        One bit for two pieces, two for up to four, and so on. That is all that `backward_packed` needs: for two pieces of
        float32 a 64th of the memory of the input.

        Parameters
        ----------
        x : array_like
            The input, of any shape. Whatever it is, NumPy's arrays come out: one of Dask is computed at once.
        pieces, axis : int, optional
            As for the value; up to 256 pieces.
        out : tuple of ndarray, optional
            Where the results go: C-contiguous arrays, or None for a new one.

        Returns
        -------
        y : ndarray
            The value.
        winners : ndarray of uint8
            For each element of `y` in C order the number of the piece, the lowest bit first. Of equal pieces it is the
            first, and of a group with NaN the first NaN.

        Raises
        ------
        ValueError
            Where the axis does not divide into groups of `pieces`, or for more than 256 pieces.

        References
        ----------
        A. Jain, A. Phanishayee, J. Mars, L. Tang and G. Pekhimenko, Gist: Efficient Data Encoding for Deep Neural Network
        Training, ISCA 2018

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> y, winners = rf.maxout.forward_packed(np.array([1.0, 3.0, 2.0, 2.0]))
        >>> y, winners
        (array([3., 2.]), array([1], dtype=uint8))
        >>> rf.maxout.backward_packed(np.array([10.0, 20.0]), winners)
        array([ 0., 10., 20.,  0.])
        """
        x = np.asarray(self._array(x), order="C")
        groups, place = self._groups(x, pieces, axis)
        shape = (*groups.shape[:place], *groups.shape[groups.ndim + place + 1 :])
        pieces = self._packable(groups.shape[place])
        before, count = int(np.prod(groups.shape[:place])), int(np.prod(shape))
        y, winners = self._places(out, shape, (count * (pieces - 1).bit_length() + 7) // 8)
        after = count // before if before else 1
        made, _ = self._run(
            self._ufunc("_forward_packed"),
            (groups.reshape(before, pieces, after),),
            [(0, 1, 2), (0, 1), (0,)],
            {"out": (y if y is None else y.reshape(before, after), winners)},
        )
        return made.reshape(shape) if y is None else y, winners

    def backward_packed(
        self, dy: Any, winners: Any, /, pieces: int | None = None, axis: int = _OWN, *, out: Any = None
    ) -> Any:
        """The gradient by the input from what `forward_packed` kept.

        Parameters
        ----------
        dy : array_like
            The gradient by the output, in its shape.
        winners : ndarray of uint8
            What `forward_packed` returned.
        pieces, axis : int, optional
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
            Where `winners` does not belong to so many groups.
        """
        dy, place = self._with_axis(dy, axis)
        dy = np.asarray(dy, order="C")
        winners = np.asarray(winners)
        pieces = self._packable(operator.index(self._defaults["pieces"] if pieces is None else pieces))
        size = (dy.size * (pieces - 1).bit_length() + 7) // 8
        if winners.dtype != np.uint8 or winners.shape != (size,):
            raise ValueError(
                f"{self.name}: the winners of {dy.size} groups of {pieces} are uint8 of shape ({size},), "
                f"not {winners.dtype} of {winners.shape}"
            )
        place += dy.ndim
        shape = (*dy.shape[:place], dy.shape[place] * pieces, *dy.shape[place + 1 :])
        ufunc = self._ufunc("_backward_packed")
        dx = np.empty(shape, _type_made_by(ufunc, (dy, winners))) if out is None else out
        self._refuse_layout(dx, shape)
        before = int(np.prod(dy.shape[: place + 1]))
        after = dy.size // before if before else 1
        self._run(
            ufunc,
            (dy.reshape(before, after), winners),
            [(0, 1), (0,), (0, 1, 2)],
            {"out": (dx.reshape(before, pieces, after),)},
        )
        return dx

    def _packable(self, pieces: int) -> int:
        if not 1 <= pieces <= 256:
            raise ValueError(f"{self.name}: a packed pass takes 1 to 256 pieces, not {pieces}")
        return pieces

    def _groups(self, x: Any, pieces: int | None, axis: int) -> tuple[Any, int]:
        """`x` with its axis split into groups and their members, and the place of the members' axis from the end."""
        x, place = self._with_axis(x, axis)
        pieces = operator.index(self._defaults["pieces"] if pieces is None else pieces)
        length = x.shape[place]
        before = x.ndim + place
        if pieces < 1 or length % pieces:
            raise ValueError(
                f"{self.name}: axis {before} has length {length}, which does not divide into groups of {pieces}"
            )
        return x.reshape(*x.shape[:before], length // pieces, pieces, *x.shape[before + 1 :]), place

    def _in_shape_of(
        self, x: Any, ufunc: np.ufunc, operands: tuple[Any, ...], axes: list[tuple[int, ...]], keywords: dict[str, Any]
    ) -> Any:
        """What a ufunc gives for groups, put back into the shape that their axis came from."""
        shape = np.shape(x)
        out = self._place(keywords, shape)
        if out is None:
            return self._run(ufunc, operands, axes, keywords).reshape(shape)
        self._run(ufunc, operands, axes, {**keywords, "out": out.reshape(operands[-1].shape)})
        return out


class _OfHalves(called_plainly, Fold):
    """A fold with two halves of its axis on one side, and a function of one number between its sides."""

    def __init__(self, name: str, function: Ridge, **row: Any) -> None:
        self.function = function
        self._has_numbers = all(np.ndim(number) == 0 for number in function._default_values)
        super().__init__(name, **row)

    def _road(self, ufunc: np.ufunc, layout: str) -> Any:
        """For plain calls: of each array and of the result, whether it is a whole or halves, which may be reversed."""
        return ufunc, self._defaults, layout, self.function._default_values

    def _made(self, ufunc: np.ufunc, operands: tuple[Any, ...], place: int, /, **keywords: Any) -> Any:
        """What a ufunc makes of these numbers."""
        try:
            return self._made_of_rows(ufunc, operands, place, **keywords)
        except TypeError:
            self._refuse_unreal(operands)
            raise

    def _made_of_rows(self, ufunc: np.ufunc, operands: tuple[Any, ...], place: int, /, **keywords: Any) -> Any:
        """What a ufunc makes of rows; where the axis is another one, or broadcast, of numbers that are rows of one."""
        are_rows = place == -1 and self._has_numbers and _are_rows(operands[0], operands[-1])
        if are_rows and operands[0].dtype.kind == operands[-1].dtype.kind == "f":
            everything = (*operands, *self.function._default_values)
        else:
            everything = self._with_parameters(operands)
        if not isinstance(operands[-1], np.ndarray):  # Dask makes arrays of Python's numbers, which then have a type
            dtype = _type_made_by(ufunc, everything)
            everything = tuple(dtype.type(each) if type(each) in (int, float) else each for each in everything)
        if are_rows:
            with _casting(self.function._is_large):
                return ufunc(*everything, **keywords)
        out = keywords.pop("out", None)
        if out is not None:
            out = out if isinstance(out, tuple) else (out,)
            keywords["out"] = tuple(each[..., None] for each in out)
        with _casting(self.function._is_large):
            made = ufunc(*(each[..., None] for each in operands), *everything[len(operands) :], **keywords)
        made = out or tuple(each[..., 0] for each in (made if ufunc.nout > 1 else (made,)))
        return made if ufunc.nout > 1 else made[0]

    def _with_parameters(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        everything = (*operands, *self.function._default_values)
        return _beside_bfloat16(everything) if "ml_dtypes" in sys.modules else everything

    def _halves(self, y: Any, place: int) -> tuple[Any, Any]:
        half, rest = divmod(y.shape[place], 2)
        if rest:
            raise ValueError(
                f"{self.name}: axis {place + y.ndim} has length {2 * half + 1}, which does not divide into 2 halves"
            )
        if place == -1:
            return y[..., :half], y[..., half:]
        after = (slice(None),) * (-place - 1)
        return y[(..., slice(None, half), *after)], y[(..., slice(half, None), *after)]

    def _both(
        self, ufunc: np.ufunc, operands: tuple[Any, ...], place: int, shape: tuple[int, ...], keywords: dict[str, Any]
    ) -> Any:
        """The two halves that a ufunc gives, in one array: written there, or, where they are no arrays of NumPy, joined."""
        self._refuse_unknown(keywords, _KEYWORDS)
        out = self._place(keywords, shape)
        if not isinstance(operands[-1], np.ndarray):
            return _joined(self._in_order(self._made(ufunc, operands, place, **keywords)), place, out)
        if out is None:
            dtype = keywords.get("dtype")
            dtype = self._type_made_by(ufunc, operands) if dtype is None else dtype
            arrays: list[Any] = [each for each in operands if isinstance(each, np.ndarray)]
            like = next((each for each in arrays if type(each) is not np.ndarray), arrays[-1])
            out = np.empty_like(
                like, dtype, "F" if keywords.get("order") == "F" else "C", keywords.get("subok", True), shape
            )
        self._made(ufunc, operands, place, out=self._in_order(self._halves(out, place)), **keywords)
        return out

    def _type_made_by(self, ufunc: np.ufunc, operands: tuple[Any, ...]) -> Any:
        try:
            return _type_made_by(ufunc, self._with_parameters(operands))
        except TypeError:
            self._refuse_unreal(operands)
            raise

    def _in_order(self, halves: tuple[Any, Any]) -> tuple[Any, Any]:
        """The halves as the function sees them: its ufuncs take and give the one that goes through it last."""
        return halves


class Gated(_OfHalves):
    """A fold of two halves of an axis: one half goes through a function, and the other is multiplied with it.

    The output has half as many numbers along the axis. A gate is what the function makes of its half: it lets the other
    half through, or not.
    """

    _shape = "of `x` with half of the axis"

    def __init__(self, name: str, function: Ridge, gate: str, **row: Any) -> None:
        if gate not in ("first", "second"):
            raise ValueError(f"gate is 'first' or 'second', the half that goes through the function, not {gate!r}")
        self.gate = gate
        self._value, self._backward, self._jvp = (function._ufunc(f"_gated{kind}") for kind in ("", "_backward", "_jvp"))
        gated, other = ("a", "b") if gate == "first" else ("b", "a")
        value, slope = (_in_terms_of(f, function, gated) for f in (function.formula, function.derivative_formula))
        by_gate, by_other = f"({slope}) * {other}", f"{value}"
        first, second = (by_gate, by_other) if gate == "first" else (by_other, by_gate)
        product = f"({value}) * {other}" if gate == "first" else f"{other} * ({value})"
        super().__init__(
            name,
            function,
            parameters={"axis": Parameter(-1, "The axis that is cut into two halves.")},
            formula=ast.unparse(ast.parse(product)),
            derivative_formula=ast.unparse(ast.parse(f"({first}) if j < n else ({second})")),
            range=(-np.inf, np.inf),
            **row,
        )

    def _take_defaults(self) -> None:
        super()._take_defaults()
        self._key = *self._key, self.function, self.gate
        halves = "h" if self.gate == "second" else "r"
        self._plain_value = self._road(self._value, f"{halves}w")
        self._plain_backward = self._road(self._backward, f"w{halves}{halves}")
        self._plain_jvp = self._road(self._jvp, f"{halves}{halves}w")

    def _evaluate(self, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        self._refuse_unknown(keywords, _KEYWORDS)
        x, place = self._with_axis(x, axis)
        return self._made(self._value, self._in_order(self._halves(x, place)), place, **keywords)

    @_plainly("_plain_backward")
    def backward(self, dy: Any, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        """The gradient by `x`, from the gradient `dy` by the output.

        Parameters
        ----------
        dy : array_like
            In the shape of the output.
        x : array_like
            The input of the forward pass.
        axis : int, optional
            As for the value.
        **keywords
            A ufunc's keywords.

        Returns
        -------
        ndarray
            In the shape of `x`.

        Raises
        ------
        ValueError
            Where the axis does not divide into two halves.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> rf.reglu.backward(np.array([10.0]), np.array([2.0, 3.0]))
        array([30., 20.])
        """
        x, place = self._with_axis(x, axis)
        halves, dy = self._halves(x, place), self._array(dy)
        self._refuse_gradient(dy, halves[0].shape)
        operands = (dy, *self._in_order(halves))
        return self._both(self._backward, operands, place, x.shape, keywords)

    def derivative(self, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        x, place = self._with_axis(x, axis)
        slopes = self.backward(np.ones((), x.dtype), np.moveaxis(x, place, -1), axis=-1, **keywords)
        blocks = (
            np.where(np.eye(half.shape[-1], dtype=bool), half[..., None, :], slopes.dtype.type(0))
            for half in self._halves(slopes, -1)
        )  # a product with 0 would be NaN beside an infinity
        return np.concatenate(tuple(blocks), -1)

    @_plainly("_plain_jvp")
    def jvp(self, v: Any, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        self._refuse_unknown(keywords, _KEYWORDS)
        x, place = self._with_axis(x, axis)
        v = self._array(v)
        self._refuse_unlike("v", v, place, x.shape)
        operands = (*self._in_order(self._halves(v, place)), *self._in_order(self._halves(x, place)))
        return self._made(self._jvp, operands, place, **keywords)

    def __reduce__(self) -> Any:
        from rectified.catalogue import catalogue

        if self.name in catalogue:
            return super().__reduce__()
        return _restored, (self.function, self.gate, self._defaults)

    def _in_order(self, halves: tuple[Any, Any]) -> tuple[Any, Any]:
        return halves if self.gate == "second" else halves[::-1]


class Doubled(_OfHalves):
    """A fold that gives twice as many numbers along its axis: a rectifier's output for x, then that for -x."""

    _shape = "of `x` with twice the axis"

    def __init__(self, name: str, function: Ridge, **row: Any) -> None:
        self._value, self._backward = (function._ufunc(f"_doubled{kind}") for kind in ("", "_backward"))
        super().__init__(name, function, parameters={"axis": Parameter(-1, "The axis that becomes twice as long.")}, **row)

    def _take_defaults(self) -> None:
        super()._take_defaults()
        self._plain_value = self._road(self._value, "wh")
        self._plain_backward = self._road(self._backward, "hww")

    def _evaluate(self, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        x, place = self._with_axis(x, axis)
        return self._both(self._value, (x,), place, _doubled(x.shape, place), keywords)

    @_plainly("_plain_backward")
    def backward(self, dy: Any, x: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        """The gradient by `x`, from the gradient `dy` by the output.

        Parameters
        ----------
        dy : array_like
            In the shape of the output.
        x : array_like
            The input of the forward pass.
        axis : int, optional
            As for the value.
        **keywords
            A ufunc's keywords.

        Returns
        -------
        ndarray
            In the shape of `x`.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> rf.crelu.backward(np.array([1.0, 2.0, 3.0, 4.0]), np.array([5.0, -5.0]))
        array([ 1., -4.])
        """
        self._refuse_unknown(keywords, _KEYWORDS)
        x, place = self._with_axis(x, axis)
        dy = self._array(dy)
        self._refuse_unlike("dy", dy, place, _doubled(x.shape, place))
        return self._made(self._backward, (*self._halves(dy, place), x), place, **keywords)

    def backward_from_output(self, dy: Any, y: Any, /, axis: int = _OWN, **keywords: Any) -> Any:
        """The gradient by the input, from the gradient `dy` by the output and from that output alone.

        It needs no input to be kept, but takes longer than `backward`: it reads twice as many numbers, in several passes.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> rf.crelu.backward_from_output(np.array([1.0, 2.0, 3.0, 4.0]), np.array([5.0, 0.0, 0.0, 5.0]))
        array([ 1., -4.])
        """
        y, place = self._with_axis(y, axis)
        dy = self._array(dy)
        backward = self.function.backward
        first, second = self._halves(y, place)
        self._refuse_unlike("dy", dy, place, y.shape)
        to_first, to_second = self._halves(dy, place)
        by_second = backward(to_second, second)  # first of all, for the result may stand over its operands
        by_first = backward(to_first, first, **keywords)
        with np.errstate(all="ignore"):
            return np.subtract(by_first, by_second, **keywords)

    def jvp(self, v: Any, x: Any, /, axis: int = _OWN, *, out: Any = None, **keywords: Any) -> Any:
        self._refuse_unknown(keywords)
        x, place = self._with_axis(x, axis)
        v = self._array(v)
        self._refuse_unlike("v", v, place, x.shape)
        if x.dtype.kind in "biu":  # whose negative may not be of its type
            x = x.astype(np.result_type(x.dtype, np.float16))
        backward = self.function.backward
        return _joined((backward(v, x), np.negative(backward(v, -x))), place, out)


def gated(function: Ridge, *, gate: str = "first") -> Gated:
    """The gated unit of a function: ``f(a) * b`` for the two halves a and b of an axis.

    Parameters
    ----------
    function : Ridge
        Any function of one number, with the parameters that it is bound to.
    gate : {"first", "second"}
        Which half goes through the function. ``"first"`` is Shazeer's order, `swiglu`'s; ``"second"``, ``a * f(b)``, is
        PyTorch's, `glu`'s.

    Returns
    -------
    Gated
        A function like those of the catalogue, with ``backward`` and ``jvp``.

    Raises
    ------
    TypeError
        For something that is no function of one number.
    ValueError
        For another `gate`.

    References
    ----------
    N. Shazeer, GLU Variants Improve Transformer, 2020, https://arxiv.org/abs/2002.05202

    Examples
    --------
    >>> import rectified as rf
    >>> rf.gated(rf.tanh)
    <gated_tanh(x, axis=-1) = tanh(a) * b>
    >>> rf.gated(rf.relu)([2.0, -1.0, 10.0, 10.0])
    array([20.,  0.])
    """
    if not isinstance(function, Ridge) or function.category != "ridge":
        raise TypeError(f"gated takes a function of one number, such as rectified.silu, not {function!r}")
    return Gated(
        f"gated_{function.name}",
        function,
        gate,
        summary=f"A half of the axis, through {function.name}, is the gate of the other half.",
        reference="N. Shazeer, GLU Variants Improve Transformer, 2020",
    )


def _restored(function: Ridge, gate: str, defaults: dict[str, Any]) -> Gated:
    return gated(function, gate=gate).bind(**defaults)


def _in_terms_of(formula: str, function: Ridge, variable: str) -> str:
    """A formula with another name for x, and with numbers for its parameters."""
    names: dict[str, ast.expr] = {"x": ast.Name(variable)}
    names |= {name: ast.Constant(value) for name, value in function._defaults.items()}

    class Renaming(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return names.get(node.id, node)

    return ast.unparse(Renaming().visit(ast.parse(formula, mode="eval")))


def _are_rows(x: Any, y: Any) -> bool:
    """Whether the last axis is that of neighbours in memory, and nothing broadcasts."""
    if type(x) is not np.ndarray or type(y) is not np.ndarray or x.shape != y.shape:
        return False
    return bool(x.strides[-1] == x.itemsize and y.strides[-1] == y.itemsize)


def _doubled(shape: tuple[int, ...], place: int) -> tuple[int, ...]:
    """The shape with twice this axis, which is counted from the end."""
    return (*shape[:place], 2 * shape[place], *shape[place:][1:])


def _do_broadcast(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether these shapes do, as far as they are known: Dask has NaN for a length that it has yet to compute."""
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(one == two or 1 in (one, two) or np.isnan(one + two) for one, two in pairs)


def _joined(halves: tuple[Any, Any], place: int, out: Any) -> Any:
    first = halves[0]
    if out is None and isinstance(first, np.ndarray):  # of which concatenate would not keep the subclass
        out = np.empty_like(first, order="C", shape=_doubled(first.shape, place))
    return np.concatenate(halves, axis=place, **({} if out is None else {"out": out}))  # Dask's knows no out


def _type_made_by(ufunc: np.ufunc, operands: tuple[Any, ...]) -> Any:
    """The type of a ufunc's result."""
    if "ml_dtypes" in sys.modules:
        ufuncs.learn_bfloat16()
    types = (
        type(each) if type(each) in (int, float) else getattr(each, "dtype", None) or np.asarray(each).dtype
        for each in operands
    )
    return ufunc.resolve_dtypes((*types, *(None,) * ufunc.nout))[-1]
