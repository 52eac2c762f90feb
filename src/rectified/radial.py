"""Functions of the distance to centres: one by one, and of points beside many centres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rectified.activation import Ridge, _refuse_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_BLOCK = 1 << 18
"""How many distances are worked on at a time."""

_LEAST, _MOST = 2.0**-900, 2.0**1000
"""Between these a sum of squares has all its digits."""

_KEPT = ("float16", "bfloat16", "float32", "float64")


class Radial(Ridge):
    """A function of the distance to a centre, applied to each element of an array of distances.

    It is called as a `Ridge` is. A distance is not negative: for a negative number the value and the derivatives are NaN.
    `radial` computes the distances too.
    """

    category = "radial"
    _sample = (0.0, 0.5, 2.0)


class ByCentres:
    """``radial(x, centers, function=gaussian, epsilon=1.0)`` = ``function(epsilon * |x - c|)``, and its backward pass."""

    def __repr__(self) -> str:
        return "<radial(x, centers, function=gaussian, epsilon=1.0) = function(epsilon * |x - c|)>"

    def __call__(self, x: Any, centers: Any, function: Radial | None = None, epsilon: Any = None) -> Array:
        """``function(epsilon * |x - c|)`` of every point beside every centre.

        Distances are summed from differences of coordinates, in float64, so that those of near points keep their digits.
        All is done block by block: beside the result it takes little memory. Whatever the points are, NumPy's arrays come
        out: those of Dask are computed at once.

        Parameters
        ----------
        x : array_like
            Points, in the shape (n, d).
        centers : array_like
            Centres, in the shape (k, d).
        function : Radial, optional
            A radial function of the catalogue; by default `gaussian`.
        epsilon : float or array_like
            One number, or one for each centre; by default the function's own, which is 1 where it is not bound to another.

        Returns
        -------
        ndarray
            In the shape (n, k).

        Raises
        ------
        TypeError
            For a function that is not radial, for what is no real number of at most 64 bits, for masked arrays, and for
            points and centres whose types have no other in common, which are float16 and bfloat16.
        ValueError
            For points and centres that have not as many coordinates, and for another number of epsilons.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> x, centers = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0]])
        >>> rf.radial(x, centers, rf.linear_radial)
        array([[-0.],
               [-5.]])
        """
        x, centers, function, epsilon = _checked(x, centers, function, epsilon)
        values = np.empty((len(x), len(centers)), np.result_type(x, centers))
        with np.errstate(all="ignore"):
            for part, distances in _blocks(x, centers):
                function(distances, epsilon, out=values[part], casting="same_kind")
        return values

    def backward(
        self, dy: Any, x: Any, centers: Any, function: Radial | None = None, epsilon: Any = None
    ) -> tuple[Array, Array, Any]:
        """The gradients by the points, by the centres and by epsilon.

        Parameters
        ----------
        dy : array_like
            The gradient by the output, in the shape (n, k).
        x, centers, function, epsilon
            What the value was computed from.

        Returns
        -------
        dx : ndarray
            In the shape of `x`. A point that lies on a centre gets nothing from it.
        dcenters : ndarray
            In the shape of `centers`.
        depsilon : float or ndarray
            In the shape of `epsilon`.

        Examples
        --------
        >>> import numpy as np, rectified as rf
        >>> x, centers = np.array([[3.0, 4.0]]), np.array([[0.0, 0.0]])
        >>> rf.radial.backward(np.ones((1, 1)), x, centers, rf.linear_radial)
        (array([[-0.6, -0.8]]), array([[0.6, 0.8]]), np.float64(-5.0))
        """
        x, centers, function, epsilon = _checked(x, centers, function, epsilon)
        dy = _real(dy)
        if dy.shape != (len(x), len(centers)):
            raise ValueError(f"radial: dy has the shape {dy.shape}, and the output has {(len(x), len(centers))}")
        dx, dcenters = np.zeros(x.shape), np.zeros(centers.shape)
        depsilon = np.zeros(np.shape(epsilon))
        with np.errstate(all="ignore"):
            for part, distances in _blocks(x, centers):
                gradient = dy[part].astype(np.float64)
                by_epsilon = function.backward(gradient, distances, epsilon, wrt="epsilon")
                depsilon += by_epsilon.sum(axis=0) if depsilon.ndim else by_epsilon.sum()
                function.backward(gradient, distances, epsilon, out=gradient)
                apart = distances != 0
                gradient[~apart] = 0
                for column in range(x.shape[1]):
                    moved = _differences(x[part, column], centers[:, column])
                    np.divide(moved, distances, out=moved, where=apart)
                    moved *= gradient
                    dx[part, column] = moved.sum(axis=1)
                    dcenters[:, column] -= moved.sum(axis=0)
            dtype = np.result_type(x, centers)
            return dx.astype(dtype), dcenters.astype(dtype), depsilon.astype(dtype)[()]


radial = ByCentres()


def _checked(x: Any, centers: Any, function: Radial | None, epsilon: Any) -> tuple[Array, Array, Radial, Any]:
    x, centers = (_real(each) for each in (x, centers))
    if x.ndim != 2 or centers.ndim != 2 or x.shape[1] != centers.shape[1]:
        raise ValueError(f"radial takes points (n, d) and centers (k, d), not {x.shape} and {centers.shape}")
    try:
        np.result_type(x, centers)
    except TypeError:
        raise TypeError(
            f"radial: points of {x.dtype} and centers of {centers.dtype} have no type in common; make both float32"
        ) from None
    if function is None:
        from rectified.catalogue.radial import gaussian as function
    if not isinstance(function, Radial):
        raise TypeError(f"radial takes a function of a distance, such as rectified.gaussian, not {function!r}")
    epsilon = function.parameters["epsilon"].default if epsilon is None else epsilon
    if np.shape(epsilon) not in ((), (len(centers),)):
        raise ValueError(f"radial takes one epsilon or {len(centers)}, one for each centre, not {np.shape(epsilon)}")
    return x, centers, function, epsilon


def _real(x: Any) -> Array:
    _refuse_mask("radial", x)
    found: Array = np.asarray(x)
    if not np.can_cast(found.dtype, np.float64):
        raise TypeError(f"radial takes real numbers of at most 64 bits, not {found.dtype}")
    return found if found.dtype.name in _KEPT else found.astype(np.float64)


def _differences(x: Array, centers: Array) -> Array:
    found: Array = np.subtract(x[:, None], centers[None, :], dtype=np.float64)
    return found


def _blocks(x: Array, centers: Array) -> Iterator[tuple[slice, Array]]:
    """Parts of the points, and the distances of each of them to all centres, in float64."""
    rows = max(1, _BLOCK // max(1, len(centers)))
    for start in range(0, len(x), rows):
        part = slice(start, min(start + rows, len(x)))
        squares = np.zeros((part.stop - start, len(centers)))
        for column in range(x.shape[1]):
            difference = _differences(x[part, column], centers[:, column])
            difference *= difference
            squares += difference
        lost = np.nonzero((squares < _LEAST) | (squares > _MOST))  # digits, where squares vanish or overflow
        distances: Array = np.sqrt(squares, out=squares)
        distances[lost] = _lengths(x[part][lost[0]], centers[lost[1]])
        yield part, distances


def _lengths(x: Array, centers: Array) -> Array:
    """The distances of points to as many centres, without squares."""
    lengths = np.zeros(len(x))
    for one, other in zip(x.T, centers.T, strict=True):
        np.hypot(lengths, np.subtract(one, other, dtype=np.float64), out=lengths)
    return lengths
