"""Functions of one number."""

from math import inf

from rectified.activation import Parameter as _Parameter
from rectified.activation import Ridge as _Ridge

relu = _Ridge(
    "relu",
    summary="The rectified linear unit: passes what is positive, and stops what is not.",
    formula="max(0, x)",
    derivative_formula="1 if x > 0 else 0",
    range=(0.0, inf),
    kink_formulas=("0",),
    also_known_as=("ReLU", "rectifier", "ramp"),
    elsewhere={"JAX": "the derivative at NaN is 0, here NaN", "PyTorch": "the derivative at NaN is 1, here NaN"},
    reference="V. Nair and G. E. Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML 2010",
)

leaky_relu = _Ridge(
    "leaky_relu",
    summary="ReLU with a small slope where ReLU is flat, so that no unit stops learning. With a learned slope it is PReLU.",
    formula="x if x > 0 else slope * x",
    derivative_formula="1 if x > 0 else slope",
    parameters={
        "slope": _Parameter(0.01, "The derivative for negative inputs; an array, such as one number a channel, broadcasts.")
    },
    range=(-inf, inf),
    kink_formulas=("0",),
    output_condition="slope >= 0",
    also_known_as=("LeakyReLU", "lrelu", "prelu"),
    elsewhere={
        "JAX": "the derivative at 0 is 1, here the slope",
        "Keras": "slope 0.3 in the layer, 0.2 in the function",
        "TensorFlow": "slope 0.2 in tf.nn.leaky_relu",
    },
    reference=(
        "A. L. Maas, A. Y. Hannun and A. Y. Ng, "
        "Rectifier Nonlinearities Improve Neural Network Acoustic Models, ICML Workshop on Deep Learning, 2013"
    ),
)

sigmoid = _Ridge(
    "sigmoid",
    summary="The logistic function: squeezes every number between 0 and 1, and saturates at both ends.",
    formula="1 / (1 + exp(-x))",
    derivative_formula="exp(-x) / (1 + exp(-x))**2",
    range=(0.0, 1.0),
    also_known_as=("logistic", "expit", "Sigmoid"),
    elsewhere={"SciPy": "called scipy.special.expit"},
    reference="D. E. Rumelhart, G. E. Hinton and R. J. Williams, Learning Representations by Back-Propagating Errors, 1986",
)

tanh = _Ridge(
    "tanh",
    summary="The hyperbolic tangent: a sigmoid between -1 and 1, centred on zero.",
    formula="tanh(x)",
    derivative_formula="1 - tanh(x)**2",
    range=(-1.0, 1.0),
    also_known_as=("Tanh", "hyperbolic_tangent"),
    reference="Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, Efficient BackProp, 1998",
)
