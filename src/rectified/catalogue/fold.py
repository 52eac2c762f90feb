"""Functions of a group of numbers."""

from math import inf

from rectified.activation import Fold as _Fold
from rectified.activation import Parameter as _Parameter

maxout = _Fold(
    "maxout",
    summary="The largest of a group of numbers: a convex function that the network shapes itself. Ties go to the first.",
    formula="max(*x)",
    derivative_formula="1 if i == x.index(max(*x)) else 0",
    parameters={
        "pieces": _Parameter(2, "How many neighbours make a group."),
        "axis": _Parameter(-1, "The axis that is cut into groups; its length is a multiple of pieces."),
    },
    range=(-inf, inf),
    also_known_as=("Maxout",),
    reference="I. J. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville and Y. Bengio, Maxout Networks, ICML 2013",
)
