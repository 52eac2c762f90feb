"""Functions of the distance to a centre, times epsilon."""

from math import inf

from rectified.activation import Parameter as _Parameter
from rectified.radial import Radial as _Radial

_EPSILON = {"epsilon": _Parameter(1.0, "What the distance is multiplied with: the larger, the narrower.")}
_HARDY = (
    "R. L. Hardy, Multiquadric Equations of Topography and Other Irregular Surfaces, Journal of Geophysical Research, 1971"
)
_WENDLAND = "H. Wendland, Scattered Data Approximation, Cambridge University Press, 2004"

gaussian = _Radial(
    "gaussian",
    summary="The bell: 1 at the centre, and nothing far from it. What most people mean by a radial basis function.",
    formula="exp(-(epsilon * x)**2)",
    derivative_formula="-2 * epsilon * (epsilon * x) * exp(-(epsilon * x)**2)",
    parameters=_EPSILON,
    range=(0.0, 1.0),
    also_known_as=("Gaussian", "rbf"),
    elsewhere={"scikit-learn": "the kernel rbf has gamma for epsilon squared"},
    reference="D. S. Broomhead and D. Lowe, Multivariable Functional Interpolation and Adaptive Networks, 1988",
)

multiquadric = _Radial(
    "multiquadric",
    summary="A cone whose tip is round. It is negative, as SciPy has it: so it is conditionally positive definite.",
    formula="-sqrt(1 + (epsilon * x)**2)",
    derivative_formula="-epsilon * (epsilon * x) / sqrt(1 + (epsilon * x)**2)",
    parameters=_EPSILON,
    range=(-inf, -1.0),
    also_known_as=("Multiquadric",),
    elsewhere={"SciPy": "scipy.interpolate.Rbf, the older one, has it positive and divides by epsilon"},
    reference=_HARDY,
)

inverse_multiquadric = _Radial(
    "inverse_multiquadric",
    summary="A bell with a tail that fades as slowly as 1/r does.",
    formula="1 / sqrt(1 + (epsilon * x)**2)",
    derivative_formula="-epsilon * (epsilon * x) / sqrt(1 + (epsilon * x)**2)**3",
    parameters=_EPSILON,
    range=(0.0, 1.0),
    also_known_as=("InverseMultiquadric",),
    elsewhere={"SciPy": "scipy.interpolate.Rbf, the older one, divides by epsilon"},
    reference=_HARDY,
)

inverse_quadratic = _Radial(
    "inverse_quadratic",
    summary="A bell with a tail that fades as 1/r² does, without an exponential.",
    formula="1 / (1 + (epsilon * x)**2)",
    derivative_formula="-2 * epsilon * (epsilon * x) / (1 + (epsilon * x)**2)**2",
    parameters=_EPSILON,
    range=(0.0, 1.0),
    also_known_as=("InverseQuadratic",),
    reference=_WENDLAND,
)

thin_plate_spline = _Radial(
    "thin_plate_spline",
    summary="How a thin sheet of metal bends that is held at points: the smoothest surface through them.",
    formula="(epsilon * x)**2 * log(epsilon * x) if x > 0 else 0",
    derivative_formula="epsilon * (epsilon * x) * (2 * log(epsilon * x) + 1) if x > 0 else 0",
    parameters=_EPSILON,
    range=("-exp(-1) / 2", inf),
    also_known_as=("ThinPlateSpline", "thin_plate"),
    reference="J. Duchon, Splines Minimizing Rotation-Invariant Semi-Norms in Sobolev Spaces, Springer, 1977",
)

cubic = _Radial(
    "cubic",
    summary="The cube of the distance: in one dimension the spline that draughtsmen bend.",
    formula="(epsilon * x)**3",
    derivative_formula="3 * epsilon * (epsilon * x)**2",
    parameters=_EPSILON,
    range=("0 if epsilon >= 0 else -inf", "inf if epsilon >= 0 else 0"),
    also_known_as=("cubic_radial",),
    reference=_WENDLAND,
)

quintic = _Radial(
    "quintic",
    summary="The fifth power of the distance, negative as SciPy has it: a smoother surface than with cubic.",
    formula="-(epsilon * x)**5",
    derivative_formula="-5 * epsilon * (epsilon * x)**4",
    parameters=_EPSILON,
    range=("-inf if epsilon > 0 else 0", "0 if epsilon >= 0 else inf"),
    also_known_as=("quintic_radial",),
    elsewhere={"SciPy": "scipy.interpolate.Rbf, the older one, has it positive"},
    reference=_WENDLAND,
)

linear_radial = _Radial(
    "linear_radial",
    summary="The distance itself, negative as SciPy has it: a cone.",
    formula="-(epsilon * x)",
    derivative_formula="-epsilon",
    parameters=_EPSILON,
    range=("-inf if epsilon > 0 else 0", "0 if epsilon >= 0 else inf"),
    also_known_as=("LinearRadial",),
    elsewhere={"SciPy": "called linear; scipy.interpolate.Rbf, the older one, has it positive"},
    reference=_WENDLAND,
)
