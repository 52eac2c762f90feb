"""Functions of a group of numbers."""

from math import inf

from rectified.activation import Parameter as _Parameter
from rectified.catalogue import ridge as _ridge
from rectified.fold import Doubled as _Doubled
from rectified.fold import Gated as _Gated
from rectified.fold import Maxout as _Maxout
from rectified.fold import Normalizer as _Normalizer

_BRIDLE = "J. S. Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs, Neurocomputing, 1990"
_SHAZEER = "N. Shazeer, GLU Variants Improve Transformer, 2020, https://arxiv.org/abs/2002.05202"

maxout = _Maxout(
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

# ---- distributions -------------------------------------------------------------------------------------------------------

softmax = _Normalizer(
    "softmax",
    summary="Positive shares that add up to 1: what a classifier's scores become when they are read as probabilities.",
    formula="exp(x[i]) / sum(exp(t) for t in x)",
    derivative_formula="y[i] * ((i == j) - y[j])",
    range=(0.0, 1.0),
    also_known_as=("Softmax", "softargmax"),
    elsewhere={
        "JAX": "NaN for infinity in a group; here infinities share 1",
        "PyTorch": "NaN for infinity in a group, and where all are minus infinity; here they share 1",
    },
    reference=_BRIDLE,
)

softmin = _Normalizer(
    "softmin",
    summary="Softmax of the negative numbers: the smallest gets the largest share.",
    formula="exp(-x[i]) / sum(exp(-t) for t in x)",
    derivative_formula="y[i] * (y[j] - (i == j))",
    range=(0.0, 1.0),
    also_known_as=("Softmin",),
    reference="I. Goodfellow, Y. Bengio and A. Courville, Deep Learning, MIT Press, 2016, section 6.2.2",
)

log_softmax = _Normalizer(
    "log_softmax",
    summary="The logarithm of softmax, with all digits where that has rounded to 0 or 1: what a loss is made of.",
    formula="x[i] - log(sum(exp(t) for t in x))",
    derivative_formula="(i == j) - exp(y[j])",
    range=(-inf, 0.0),
    also_known_as=("LogSoftmax", "logsoftmax"),
    reference="P. Blanchard, D. J. Higham and N. J. Higham, Accurately Computing the Log-Sum-Exp and Softmax Functions, "
    "IMA Journal of Numerical Analysis, 2021",
)

sparsemax = _Normalizer(
    "sparsemax",
    summary="The distribution that is nearest to the numbers: shares that add up to 1, of which many are exactly 0.",
    formula="max(x[i] - max((sum(sorted(x)[k:]) - 1) / (len(x) - k) for k in range(len(x))), 0)",
    derivative_formula="(i == j) - 1 / sum(t > 0 for t in y) if y[i] * y[j] > 0 else 0",
    range=(0.0, 1.0),
    also_known_as=("Sparsemax",),
    reference="A. F. T. Martins and R. F. Astudillo, From Softmax to Sparsemax, ICML 2016",
)

hardmax = _Normalizer(
    "hardmax",
    summary="1 for the largest, the first of them where several are equal, and 0 for the others. No gradient passes it.",
    formula="1 if i == x.index(max(*x)) else 0",
    derivative_formula="0",
    range=(0.0, 1.0),
    also_known_as=("Hardmax", "one_hot_argmax"),
    reference=_BRIDLE,
)

# ---- gates ---------------------------------------------------------------------------------------------------------------

glu = _Gated(
    "glu",
    _ridge.sigmoid,
    "second",
    summary="The gated linear unit: the first half of the axis, as far as the sigmoid of the second half lets it through.",
    also_known_as=("GLU",),
    elsewhere={"Shazeer": "the half through the sigmoid is the first, as in swiglu, geglu and reglu here"},
    reference="Y. N. Dauphin, A. Fan, M. Auli and D. Grangier, Language Modeling with Gated Convolutional Networks, "
    "ICML 2017",
)

swiglu = _Gated(
    "swiglu",
    _ridge.silu,
    "first",
    summary="A gated unit whose gate is SiLU of the first half; the second half is what it lets through.",
    also_known_as=("SwiGLU",),
    reference=_SHAZEER,
)

geglu = _Gated(
    "geglu",
    _ridge.gelu,
    "first",
    summary="A gated unit whose gate is GELU of the first half; the second half is what it lets through.",
    also_known_as=("GEGLU",),
    elsewhere={"diffusers": "the half through GELU is the second"},
    reference=_SHAZEER,
)

reglu = _Gated(
    "reglu",
    _ridge.relu,
    "first",
    summary="A gated unit whose gate is ReLU of the first half; the second half is what it lets through.",
    also_known_as=("ReGLU",),
    reference=_SHAZEER,
)

crelu = _Doubled(
    "crelu",
    _ridge.relu,
    summary="ReLU of the numbers, and beside it ReLU of their negatives: nothing is lost, and no unit dies.",
    formula="max(x[i], 0) if i < len(x) else max(-x[i - len(x)], 0)",
    derivative_formula="(x[j] > 0) if i == j else -(x[j] < 0) if i == j + len(x) else 0",
    range=(0.0, inf),
    also_known_as=("CReLU", "concatenated_relu"),
    reference="W. Shang, K. Sohn, D. Almeida and H. Lee, Understanding and Improving Convolutional Neural Networks via "
    "Concatenated Rectified Linear Units, ICML 2016",
)
