"""Functions of one number."""

from math import inf

from rectified.activation import Parameter as _Parameter
from rectified.activation import Ridge as _Ridge

# ---- rectifiers ----------------------------------------------------------------------------------------------------------

relu = _Ridge(
    "relu",
    summary="The rectified linear unit: passes what is positive, and stops what is not.",
    formula="max(0, x)",
    derivative_formula="1 if x > 0 else 0",
    range=(0.0, inf),
    kink_formulas=("0",),
    also_known_as=("ReLU", "Relu", "rectifier", "ramp"),
    reference="V. Nair and G. E. Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML 2010",
)

leaky_relu = _Ridge(
    "leaky_relu",
    summary="ReLU with a small slope where ReLU is flat, so that no unit stops learning. "
    "PReLU is this with an array of slopes, learned by wrt='slope'; RReLU is it with random ones.",
    formula="x if x > 0 else slope * x",
    derivative_formula="1 if x > 0 else slope",
    parameters={
        "slope": _Parameter(0.01, "The derivative for negative inputs; an array, such as one number a channel, broadcasts.")
    },
    range=("-inf if slope > 0 else 0", inf),
    kink_formulas=("0 if slope != 1 else None",),
    output_condition="slope >= 0",
    also_known_as=("LeakyReLU", "LeakyRelu", "lrelu", "prelu", "PReLU", "PRelu", "rrelu", "RReLU"),
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

relu6 = _Ridge(
    "relu6",
    summary="ReLU with a ceiling at 6, so that few bits hold an output. Above it a unit learns as little as below 0.",
    formula="min(max(0, x), 6)",
    derivative_formula="1 if 0 < x < 6 else 0",
    range=(0.0, 6.0),
    kink_formulas=("0", "6"),
    also_known_as=("ReLU6",),
    reference="A. Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10, 2010",
)

clipped_relu = _Ridge(
    "clipped_relu",
    summary="ReLU with a ceiling, which keeps activations from growing without bound, as they may in a recurrent network.",
    formula="min(max(0, x), ceiling)",
    derivative_formula="1 if 0 < x < ceiling else 0",
    parameters={"ceiling": _Parameter(6.0, "The largest output, a positive number.")},
    range=("min(0, ceiling)", "ceiling"),
    kink_formulas=("0 if ceiling > 0 else None", "ceiling if ceiling > 0 else None"),
    also_known_as=("ClippedReLU",),
    elsewhere={
        "Chainer": "the ceiling is called z, 20 by default",
        "Keras": "ReLU(max_value=ceiling)",
        "PyTorch": "hardtanh(x, 0, ceiling)",
    },
    reference="A. Hannun et al., Deep Speech: Scaling up End-to-End Speech Recognition, arXiv:1412.5567, 2014",
)

threshold = _Ridge(
    "threshold",
    summary="Passes what is above a threshold, and puts a value in place of the rest. It jumps unless the two are equal.",
    formula="x if x > threshold else value",
    derivative_formula="1 if x > threshold else 0",
    parameters={
        "threshold": _Parameter(0.0, "What an input must exceed to pass."),
        "value": _Parameter(0.0, "The output for the others."),
    },
    range=("min(threshold, value)", "inf"),
    kink_formulas=("threshold",),
    output_condition="value <= threshold",
    also_known_as=("Threshold",),
    elsewhere={
        "Keras": "the value is called default_value, and neither parameter has a default",
        "PyTorch": "neither parameter has a default",
    },
    reference=(
        "R. Collobert, K. Kavukcuoglu and C. Farabet, "
        "Torch7: A Matlab-like Environment for Machine Learning, BigLearn, NIPS Workshop, 2011"
    ),
)

thresholded_relu = _Ridge(
    "thresholded_relu",
    summary="Passes what is above a threshold, unchanged, and stops the rest: sparse without a bias, but it jumps.",
    formula="x if x > alpha else 0",
    derivative_formula="1 if x > alpha else 0",
    parameters={"alpha": _Parameter(1.0, "What an input must exceed to pass.")},
    range=("min(alpha, 0)", "inf"),
    kink_formulas=("alpha",),
    output_condition="alpha >= 0",
    also_known_as=("ThresholdedReLU", "ThresholdedRelu"),
    elsewhere={"Keras": "the threshold is called theta", "PyTorch": "threshold(x, alpha, 0)"},
    reference=(
        "K. Konda, R. Memisevic and D. Krueger, Zero-Bias Autoencoders and the Benefits of Co-Adapting Features, ICLR 2015"
    ),
)

squared_relu = _Ridge(
    "squared_relu",
    summary="The square of ReLU: smooth at 0, and steeper the larger the input. A search for better transformers found it.",
    formula="max(0, x)**2",
    derivative_formula="2 * max(0, x)",
    range=(0.0, inf),
    also_known_as=("relu2", "relu_squared", "SquaredReLU", "SquareReLU", "ReLUSquared"),
    reference=(
        "D. R. So, W. Mańke, H. Liu, Z. Dai, N. Shazeer and Q. V. Le, "
        "Primer: Searching for Efficient Transformers for Language Modeling, NeurIPS 2021"
    ),
)

# ---- exponential ---------------------------------------------------------------------------------------------------------

elu = _Ridge(
    "elu",
    summary="ReLU with an exponential on the left, which ends at -alpha: outputs are nearer to zero on average.",
    formula="x if x > 0 else alpha * expm1(x)",
    derivative_formula="1 if x > 0 else alpha * exp(x)",
    parameters={
        "alpha": _Parameter(1.0, "The outputs end at -alpha on the left; for another number than 1 there is a kink.")
    },
    range=("min(0, -alpha)", inf),
    kink_formulas=("0 if alpha != 1 else None",),
    output_condition="alpha >= 0",
    output_loss="left of 0 y + alpha loses the digits that alpha and y share, and is 0 where y rounds to -alpha",
    also_known_as=("ELU", "Elu"),
    reference=(
        "D.-A. Clevert, T. Unterthiner and S. Hochreiter, "
        "Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs), ICLR 2016"
    ),
)

celu = _Ridge(
    "celu",
    summary="ELU with its exponential widened by alpha, which makes it smooth at 0 for every positive alpha.",
    formula="x if x > 0 else alpha * expm1(x / alpha)",
    derivative_formula="1 if x > 0 else exp(x / alpha)",
    parameters={
        "alpha": _Parameter(1.0, "The outputs end at -alpha on the left; a positive number, for left of 0 others give NaN.")
    },
    range=("min(0, -alpha)", inf),
    output_condition="alpha > 0",
    output_loss="left of 0 1 + y / alpha loses digits, and is 0 where y rounds to -alpha",
    also_known_as=("CELU", "Celu"),
    elsewhere={"PyTorch": "refuses alpha 0, and takes a negative one, with which the left falls as an exponential does"},
    reference="J. T. Barron, Continuously Differentiable Exponential Linear Units, arXiv:1704.07483, 2017",
)

selu = _Ridge(
    "selu",
    summary="ELU scaled so that a layer keeps zero mean and unit variance: a network that normalizes itself.",
    formula="1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * expm1(x))",
    derivative_formula="1.0507009873554805 * (1 if x >= 0 else 1.6732632423543772 * exp(x))",
    range=(-1.7580993408473766, inf),
    kink_formulas=("0",),
    output_loss="left of 0 y + 1.758… loses digits; where y is the bound, its rounding is left, 2.3e-8 in float32",
    also_known_as=("SELU", "Selu"),
    elsewhere={
        "ONNX": "the two constants are the attributes gamma and alpha",
        "PyTorch": "the derivative at 0 is 1.758…, the slope on its left; here 1.050…, that on its right",
    },
    reference="G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, Self-Normalizing Neural Networks, NIPS 2017",
)

# ---- smooth rectifiers ---------------------------------------------------------------------------------------------------

softplus = _Ridge(
    "softplus",
    summary="A smooth rectifier, whose derivative is the sigmoid: ReLU for a distribution of thresholds.",
    formula="log1p(exp(beta * x)) / beta",
    derivative_formula="1 / (1 + exp(-beta * x))",
    parameters={"beta": _Parameter(1.0, "How sharp the bend is, a positive number; it tends to ReLU as beta grows.")},
    range=("0 if beta >= 0 else -inf", "inf if beta >= 0 else 0"),
    output_condition="beta > 0",
    also_known_as=("Softplus", "SoftPlus", "SmoothReLU"),
    elsewhere={
        "NumPy": "np.logaddexp(0, x)",
        "PyTorch": "beyond beta x = 20, its threshold, the value is x and the derivative 1; here both are exact",
    },
    reference=(
        "C. Dugas, Y. Bengio, F. Bélisle, C. Nadeau and R. Garcia, "
        "Incorporating Second-Order Functional Knowledge for Better Option Pricing, NIPS 2000"
    ),
)

squareplus = _Ridge(
    "squareplus",
    summary="A smooth rectifier made of a square root: a branch of a hyperbola, which ends on the left as -b/(4x) does.",
    formula="b / (2 * (sqrt(x**2 + b) - x)) if x < 0 else (x + sqrt(x**2 + b)) / 2",
    derivative_formula="(1 + x / sqrt(x**2 + b)) / 2",
    parameters={"b": _Parameter(4.0, "How wide the bend is, a positive number; the value at 0 is half its square root.")},
    range=(0.0, inf),
    also_known_as=("Squareplus",),
    reference="J. T. Barron, Squareplus: A Softplus-Like Algebraic Rectifier, arXiv:2112.11687, 2021",
)

sparse_plus = _Ridge(
    "sparse_plus",
    summary="A rectifier whose bend is a parabola between -1 and 1. Where softplus is small on the left, it is 0.",
    formula="0 if x <= -1 else x if x >= 1 else (x + 1)**2 / 4",
    derivative_formula="min(max((x + 1) / 2, 0), 1)",
    range=(0.0, inf),
    also_known_as=("SparsePlus",),
    reference="M. Blondel, A. F. T. Martins and V. Niculae, Learning with Fenchel-Young Losses, JMLR 2020",
)

gelu = _Ridge(
    "gelu",
    summary="The input times the share of a normal distribution that lies below it: a smooth rectifier that dips below 0.",
    formula="x / 2 * erfc(-x / sqrt(2))",
    derivative_formula="erfc(-x / sqrt(2)) / 2 + x * exp(-(x**2) / 2) / sqrt(2 * pi)",
    range=(-0.16997120747990366, inf),
    also_known_as=("GELU", "Gelu", "gelu_python"),
    elsewhere={
        "JAX": "jax.nn.gelu is gelu_tanh by default",
        "Keras": "keras.ops.gelu is gelu_tanh by default",
        "PyTorch": "0 below -5.5 in float32",
    },
    reference="D. Hendrycks and K. Gimpel, Gaussian Error Linear Units (GELUs), arXiv:1606.08415, 2016",
)

gelu_tanh = _Ridge(
    "gelu_tanh",
    summary="GELU with a hyperbolic tangent in place of the normal distribution: an approximation to three digits.",
    formula="x / (1 + exp(-sqrt(8 / pi) * (x + 0.044715 * x**3)))",
    derivative_formula=(
        "(1 + (1 + sqrt(8 / pi) * x * (1 + 0.044715 * (3 * x**2))) * exp(-sqrt(8 / pi) * (x + 0.044715 * x**3)))"
        " / (1 + exp(-sqrt(8 / pi) * (x + 0.044715 * x**3)))**2"
    ),
    range=(-0.17004075057125412, inf),
    also_known_as=("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "GELUTanh", "gelu_approximate"),
    elsewhere={
        "the paper": "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), which is the same",
        "PyTorch": "gelu(x, approximate='tanh'); the derivative of large inputs is NaN",
    },
    reference="D. Hendrycks and K. Gimpel, Gaussian Error Linear Units (GELUs), arXiv:1606.08415, 2016",
)

quick_gelu = _Ridge(
    "quick_gelu",
    summary="GELU with a sigmoid for the normal distribution: SiLU with beta = 1.702, an approximation to two digits.",
    formula="x / (1 + exp(-1.702 * x))",
    derivative_formula="(1 + (1 + 1.702 * x) * exp(-1.702 * x)) / (1 + exp(-1.702 * x))**2",
    range=(-0.16361018963635353, inf),
    also_known_as=("QuickGELU", "gelu_sigmoid", "sigmoid_gelu"),
    reference="D. Hendrycks and K. Gimpel, Gaussian Error Linear Units (GELUs), arXiv:1606.08415, 2016",
)

silu = _Ridge(
    "silu",
    summary="The input times its sigmoid: a smooth rectifier that dips below 0. With a learned beta it is Swish.",
    formula="x / (1 + exp(-beta * x))",
    derivative_formula="(1 + (1 + beta * x) * exp(-beta * x)) / (1 + exp(-beta * x))**2",
    parameters={"beta": _Parameter(1.0, "How sharp the gate is, a positive number; an array broadcasts.")},
    range=(
        "-0.2784645427610738 / beta if beta > 0 else -inf",
        "inf if beta >= 0 else -0.2784645427610738 / beta",
    ),
    also_known_as=("SiLU", "Silu", "swish", "Swish", "swish1"),
    elsewhere={"ONNX": "Swish, whose beta is called alpha", "PyTorch": "without beta"},
    reference=(
        "S. Elfwing, E. Uchibe and K. Doya, Sigmoid-Weighted Linear Units for Neural Network Function Approximation in "
        "Reinforcement Learning, Neural Networks, 2018; with beta P. Ramachandran, B. Zoph and Q. V. Le, "
        "Searching for Activation Functions, arXiv:1710.05941, 2017"
    ),
)

mish = _Ridge(
    "mish",
    summary="The input times the hyperbolic tangent of its softplus: smooth, and dips a little deeper than SiLU.",
    formula="x * tanh(log1p(exp(x)))",
    derivative_formula=(
        "exp(x) * (4 * (x + 1) + (4 * x + 6) * exp(x) + 4 * exp(2 * x) + exp(3 * x)) / (2 + 2 * exp(x) + exp(2 * x))**2"
    ),
    range=(-0.30884341301725043, inf),
    also_known_as=("Mish",),
    reference="D. Misra, Mish: A Self Regularized Non-Monotonic Activation Function, BMVC 2020",
)

dish = _Ridge(
    "dish",
    summary="A smooth rectifier that dips below 0, made of a square root: near GELU, and without an exponential.",
    formula=("x / (2 * sqrt(1 + x**2) * (sqrt(1 + x**2) - x)) if x < 0 else x / 2 * (1 + x / sqrt(1 + x**2))"),
    derivative_formula="(1 + x * (2 + x**2) / sqrt(1 + x**2)**3) / 2",
    range=(-0.1501415530003888, inf),
    also_known_as=("Dish",),
    reference="D. de Kok, Dish, in the documentation of Thinc, 2022",
)

lisht = _Ridge(
    "lisht",
    summary="The input times its hyperbolic tangent: even, near x² at 0 and near |x| far from it.",
    formula="x * tanh(x)",
    derivative_formula="tanh(x) + x / cosh(x)**2",
    range=(0.0, inf),
    also_known_as=("LiSHT",),
    reference=(
        "S. K. Roy, S. Manna, S. R. Dubey and B. B. Chaudhuri, LiSHT: Non-Parametric Linearly Scaled Hyperbolic Tangent "
        "Activation Function for Neural Networks, arXiv:1901.05894, 2019"
    ),
)

logcosh = _Ridge(
    "logcosh",
    summary="The integral of tanh: x²/2 near 0, |x| - log(2) far from it. Better known as a loss.",
    formula="log(cosh(x))",
    derivative_formula="tanh(x)",
    range=(0.0, inf),
    also_known_as=("LogCosh", "log_cosh"),
    reference=(
        "R. A. Saleh and A. K. M. E. Saleh, Statistical Properties of the Log-Cosh Loss Function Used in Machine Learning, "
        "arXiv:2208.04564, 2022"
    ),
)

# ---- sigmoidal -----------------------------------------------------------------------------------------------------------

sigmoid = _Ridge(
    "sigmoid",
    summary="The logistic function: squeezes every number between 0 and 1, and saturates at both ends.",
    formula="1 / (1 + exp(-x))",
    derivative_formula="exp(-x) / (1 + exp(-x))**2",
    range=(0.0, 1.0),
    output_loss="1 - y loses the digits that y shares with 1, and is 0 beyond 17.33 in float32",
    also_known_as=("logistic", "expit", "Sigmoid"),
    elsewhere={"SciPy": "called scipy.special.expit"},
    reference="D. E. Rumelhart, G. E. Hinton and R. J. Williams, Learning Representations by Back-Propagating Errors, 1986",
)

logsigmoid = _Ridge(
    "logsigmoid",
    summary="The logarithm of the sigmoid: the log-likelihood of a logit, linear where the sigmoid underflows.",
    formula="-log1p(exp(-x))",
    derivative_formula="1 / (1 + exp(x))",
    range=(-inf, 0.0),
    also_known_as=("LogSigmoid", "log_sigmoid", "log_expit"),
    elsewhere={"SciPy": "called scipy.special.log_expit"},
    reference=(
        "T. Mikolov, I. Sutskever, K. Chen, G. S. Corrado and J. Dean, "
        "Distributed Representations of Words and Phrases and Their Compositionality, NIPS 2013"
    ),
)

tanh = _Ridge(
    "tanh",
    summary="The hyperbolic tangent: a sigmoid between -1 and 1, centred on zero.",
    formula="tanh(x)",
    derivative_formula="1 - tanh(x)**2",
    range=(-1.0, 1.0),
    output_loss="1 - y² loses the digits that it shares with 1, and is 0 beyond 9.76 in float32",
    also_known_as=("Tanh", "hyperbolic_tangent"),
    reference="Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, Efficient BackProp, 1998",
)

softsign = _Ridge(
    "softsign",
    summary="A sigmoid without an exponential: it saturates slowly, as 1/|x| does.",
    formula="x / (1 + abs(x))",
    derivative_formula="1 / (1 + abs(x))**2",
    range=(-1.0, 1.0),
    output_loss="1 - |y| loses the digits that |y| shares with 1, and is 0 beyond 3.36e7 in float32",
    also_known_as=("Softsign", "soft_sign"),
    reference="J. Turian, J. Bergstra and Y. Bengio, Quadratic Features and Deep Architectures for Chunking, NAACL 2009",
)

arctan = _Ridge(
    "arctan",
    summary="The inverse tangent: a sigmoid between -π/2 and π/2 whose derivative, 1/(1 + x²), fades slowly.",
    formula="atan(x)",
    derivative_formula="1 / (1 + x**2)",
    range=(-1.5707963267948966, 1.5707963267948966),
    also_known_as=("atan", "Atan"),
    reference="J. Kamruzzaman and S. M. Aziz, A Note on Activation Function in Multilayer Feedforward Learning, IJCNN 2002",
)

hardsigmoid = _Ridge(
    "hardsigmoid",
    summary="A sigmoid made of three lines: a gate without an exponential, shut below -3 and wholly open above 3.",
    formula="min(max(x / 6 + 1 / 2, 0), 1)",
    derivative_formula="1 / 6 if -3 < x < 3 else 0",
    range=(0.0, 1.0),
    kink_formulas=("-3", "3"),
    also_known_as=("Hardsigmoid", "hard_sigmoid", "HardSigmoid"),
    elsewhere={
        "Keras": "slope 0.2 before Keras 3",
        "ONNX": "slope 0.2",
    },
    reference="A. Howard et al., Searching for MobileNetV3, ICCV 2019",
)

hardtanh = _Ridge(
    "hardtanh",
    summary="The identity between two bounds, and constant outside: tanh made of three lines.",
    formula="min(max(min_val, x), max_val)",
    derivative_formula="1 if min_val < x < max_val else 0",
    parameters={
        "min_val": _Parameter(-1.0, "The smallest output."),
        "max_val": _Parameter(1.0, "The largest output, above the smallest."),
    },
    range=("min(min_val, max_val)", "max_val"),
    kink_formulas=("min_val if min_val < max_val else None", "max_val if min_val < max_val else None"),
    also_known_as=("Hardtanh", "hard_tanh", "HardTanh"),
    elsewhere={
        "JAX": "the bounds are -1 and 1",
        "Keras": "the bounds are -1 and 1",
        "NumPy": "np.clip, which has no derivative",
    },
    reference="R. Collobert, Large Scale Machine Learning, PhD thesis, Université Paris VI, 2004",
)

hardswish = _Ridge(
    "hardswish",
    summary="The input times its hard sigmoid: SiLU made of two lines and a parabola between them, for small machines.",
    formula="x * min(max(x / 6 + 1 / 2, 0), 1)",
    derivative_formula="0 if x <= -3 else 1 if x >= 3 else x / 3 + 1 / 2",
    range=(-0.375, inf),
    kink_formulas=("-3", "3"),
    also_known_as=("Hardswish", "hard_swish", "HardSwish", "hard_silu", "hardsilu"),
    reference="A. Howard et al., Searching for MobileNetV3, ICCV 2019",
)

sparse_sigmoid = _Ridge(
    "sparse_sigmoid",
    summary="A ramp from 0 at -1 to 1 at 1, the derivative of sparse_plus: a sigmoid that reaches its ends.",
    formula="min(max((x + 1) / 2, 0), 1)",
    derivative_formula="1 / 2 if -1 < x < 1 else 0",
    range=(0.0, 1.0),
    kink_formulas=("-1", "1"),
    also_known_as=("SparseSigmoid",),
    elsewhere={"BinaryConnect": "called the hard sigmoid (M. Courbariaux, Y. Bengio and J.-P. David, NIPS 2015)"},
    reference="M. Blondel, A. F. T. Martins and V. Niculae, Learning with Fenchel-Young Losses, JMLR 2020",
)

step = _Ridge(
    "step",
    summary="The first artificial neuron: it fires or it does not. Its derivative is 0, so nothing is learned by it.",
    formula="1 if x > 0 else 0",
    derivative_formula="0",
    range=(0.0, 1.0),
    also_known_as=("heaviside", "Heaviside", "binary_step"),
    elsewhere={"NumPy": "np.heaviside(x, 0)", "PyTorch": "torch.heaviside(x, zero), with a tensor of zero"},
    reference="W. S. McCulloch and W. Pitts, A Logical Calculus of the Ideas Immanent in Nervous Activity, 1943",
)

identity = _Ridge(
    "identity",
    summary="No activation at all. Layers with nothing else between them are one layer, however many they are.",
    formula="x",
    derivative_formula="1",
    range=(-inf, inf),
    also_known_as=("Identity", "linear"),
    reference="B. Widrow and M. E. Hoff, Adaptive Switching Circuits, IRE WESCON Convention Record, 1960",
)

# ---- shrinking -----------------------------------------------------------------------------------------------------------

hardshrink = _Ridge(
    "hardshrink",
    summary="Stops what is small, of either sign, and passes the rest unchanged. In denoising, what is small is noise.",
    formula="x if abs(x) > lambd else 0",
    derivative_formula="1 if abs(x) > lambd else 0",
    parameters={
        "lambd": _Parameter(0.5, "Up to this magnitude an input counts as small, so 0 does with 0: the derivative is 0.")
    },
    range=(-inf, inf),
    kink_formulas=("-lambd if lambd > 0 else None", "lambd if lambd > 0 else None"),
    output_condition="lambd >= 0",
    also_known_as=("Hardshrink", "hard_shrink", "HardShrink", "Shrink"),
    elsewhere={
        "Keras": "lambd is called threshold",
        "ONNX": "Shrink with its default bias, 0",
    },
    reference="D. L. Donoho and I. M. Johnstone, Ideal Spatial Adaptation by Wavelet Shrinkage, Biometrika, 1994",
)

softshrink = _Ridge(
    "softshrink",
    summary="Moves every input towards 0 by lambd, and what is nearer than that to 0 itself: it makes a sparse output.",
    formula="x - lambd if x > lambd else x + lambd if x < -lambd else 0",
    derivative_formula="1 if abs(x) > lambd else 0",
    parameters={"lambd": _Parameter(0.5, "How much is taken off; not negative. With 0, too, the derivative at 0 is 0.")},
    range=(-inf, inf),
    kink_formulas=("-lambd if lambd > 0 else None", "lambd if lambd > 0 else None"),
    output_condition="lambd >= 0",
    also_known_as=("Softshrink", "soft_shrink", "SoftShrink", "soft_threshold"),
    elsewhere={
        "Keras": "lambd is called threshold",
        "ONNX": "Shrink with lambd for its bias",
    },
    reference="D. L. Donoho, De-Noising by Soft-Thresholding, IEEE Transactions on Information Theory, 1995",
)

tanhshrink = _Ridge(
    "tanhshrink",
    summary="The input without its hyperbolic tangent: near x³/3 at 0, and shifted by 1 towards 0 far from it.",
    formula="x - tanh(x)",
    derivative_formula="tanh(x)**2",
    range=(-inf, inf),
    also_known_as=("Tanhshrink", "tanh_shrink", "TanhShrink"),
    reference=(
        "R. Collobert, K. Kavukcuoglu and C. Farabet, "
        "Torch7: A Matlab-like Environment for Machine Learning, BigLearn, NIPS Workshop, 2011"
    ),
)
