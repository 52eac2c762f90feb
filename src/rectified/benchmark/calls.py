"""What is timed: for each library, and each function that it has, the calls that compute it.

A function's calls stand in the order of `KINDS`, value, backward, backward from the output: one text, several that do the
same, or None. They are written in ``x``, ``dy``, ``y``, ``out`` and the function's parameters. A call in which a parameter
is missing holds for its default alone. A category in the place of a function stands for all of its functions.

Most lines are idioms of NumPy. JAX, NumExpr and Numba read them in their own words where they have nothing better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log, pi, sqrt

from rectified.benchmark.expressions import in_other_words

Calls = Mapping[str, tuple[str | tuple[str, ...] | None, ...]]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_GELU_TANH = f"np.tanh({sqrt(2 / pi)} * x * (1 + 0.044715 * x * x))"

_LIMIT_OF_ONE = ("np.copyto(out, x)", "np.multiply(x, dy, out=out)", "np.multiply(y, dy, out=out)")
LIMIT: Calls = {
    "ridge": _LIMIT_OF_ONE,
    "radial": _LIMIT_OF_ONE,
    # The dy of some has another shape, so that a product with x itself stands for all, which reads one array less.
    "fold": ("np.copyto(dx, x)", "np.multiply(x, x, out=dx)", "np.multiply(x, x, out=dx)"),
}

_OF_ONE = tuple(
    (f"rf.{{name}}{method}({operands}, out=out)", f"rf.ufuncs.{{name}}{ufunc}({operands}, out=out)")
    for method, ufunc, operands in [
        ("", "", "x{parameters}"),
        (".backward", "_backward", "dy, x{parameters}"),
        (".backward_from_output", "_backward_from_output", "dy, y{parameters}"),
    ]
)
RECTIFIED: Calls = {
    "ridge": _OF_ONE,
    "radial": _OF_ONE,
    "fold": (
        "rf.{name}(x{parameters}, out=out)",
        "rf.{name}.backward(dy, x{parameters}, out=out)",
        "rf.{name}.backward_from_output(dy, y{parameters}, out=out)",
    ),
}

# What people write, with out= where that is one call. What overflows on the way is written so that it does not.
_IDIOMS: dict[str, tuple[str, ...]] = {
    "relu": ("np.maximum(x, 0, out=out)", "dy * (x > 0)", "dy * (y > 0)"),
    "leaky_relu": ("np.where(x > 0, x, slope * x)", "np.where(x > 0, dy, slope * dy)", "np.where(y > 0, dy, slope * dy)"),
    "relu6": ("np.clip(x, 0, 6, out=out)", "dy * ((x > 0) & (x < 6))", "dy * ((y > 0) & (y < 6))"),
    "clipped_relu": ("np.clip(x, 0, ceiling, out=out)", "dy * ((x > 0) & (x < ceiling))", "dy * ((y > 0) & (y < ceiling))"),
    "threshold": ("np.where(x > threshold, x, value)", "dy * (x > threshold)", "dy * (y > threshold)"),
    "thresholded_relu": ("x * (x > alpha)", "dy * (x > alpha)", "dy * (y > alpha)"),
    "squared_relu": ("np.maximum(x, 0) ** 2", "2 * dy * np.maximum(x, 0)"),
    "elu": (
        "np.where(x > 0, x, alpha * np.expm1(x))",
        "np.where(x > 0, dy, dy * alpha * np.exp(x))",
        "np.where(y > 0, dy, dy * (y + alpha))",
    ),
    "celu": (
        "np.where(x > 0, x, alpha * np.expm1(x / alpha))",
        "np.where(x > 0, dy, dy * np.exp(x / alpha))",
        "np.where(y > 0, dy, dy * (y / alpha + 1))",
    ),
    "selu": (
        f"{_SELU_SCALE} * np.where(x > 0, x, {_SELU_ALPHA} * np.expm1(x))",
        f"{_SELU_SCALE} * dy * np.where(x > 0, 1, {_SELU_ALPHA} * np.exp(x))",
        f"dy * np.where(y > 0, {_SELU_SCALE}, y + {_SELU_SCALE * _SELU_ALPHA})",
    ),
    "softplus": (
        "np.maximum(x, 0) + np.log1p(np.exp(-beta * np.abs(x))) / beta",
        "dy / (1 + np.exp(-beta * x))",
        "-dy * np.expm1(-beta * y)",
    ),
    "squareplus": (
        "(x + np.sqrt(x * x + b)) / 2",
        "dy * (1 + x / np.sqrt(x * x + b)) / 2",
    ),
    "sparse_plus": (
        "np.where(x < 1, np.maximum(x + 1, 0) ** 2 / 4, x)",
        "dy * np.clip((x + 1) / 2, 0, 1)",
        "dy * np.minimum(np.sqrt(y), 1)",
    ),
    "gelu_tanh": (
        f"x / 2 * (1 + {_GELU_TANH})",
        f"dy / 2 * (1 + (t := {_GELU_TANH}) + {sqrt(2 / pi)} * x * (1 - t * t) * (1 + {3 * 0.044715} * x * x))",
    ),
    "quick_gelu": ("x / (1 + np.exp(-1.702 * x))", "dy * (s := 1 / (1 + np.exp(-1.702 * x))) * (1 + 1.702 * x * (1 - s))"),
    "silu": ("x / (1 + np.exp(-beta * x))", "dy * (s := 1 / (1 + np.exp(-beta * x))) * (1 + beta * x * (1 - s))"),
    "mish": (
        "x * np.tanh(np.log1p(np.exp(x)))",
        "dy * ((t := np.tanh(np.log1p(np.exp(x)))) + x * (1 - t * t) / (1 + np.exp(-x)))",
    ),
    "dish": ("x / 2 * (1 + x / np.sqrt(1 + x * x))", "dy / 2 * (1 + (s := x / np.sqrt(1 + x * x)) * (2 - s * s))"),
    "lisht": ("x * np.tanh(x)", "dy * ((t := np.tanh(x)) + x * (1 - t * t))"),
    "logcosh": (f"np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))) - {log(2)}", "dy * np.tanh(x)"),
    "sigmoid": ("1 / (1 + np.exp(-x))", "dy * (s := 1 / (1 + np.exp(-x))) * (1 - s)", "dy * y * (1 - y)"),
    "logsigmoid": ("np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))", "dy / (1 + np.exp(x))", "-dy * np.expm1(y)"),
    "tanh": ("np.tanh(x, out=out)", "dy * (1 - np.tanh(x) ** 2)", "dy * (1 - y * y)"),
    "softsign": ("x / (1 + np.abs(x))", "dy / (1 + np.abs(x)) ** 2", "dy * (1 - np.abs(y)) ** 2"),
    "arctan": ("np.arctan(x, out=out)", "dy / (1 + x * x)"),
    "hardsigmoid": ("np.clip(x / 6 + 0.5, 0, 1)", "dy / 6 * (np.abs(x) < 3)", "dy / 6 * ((y > 0) & (y < 1))"),
    "hardtanh": (
        "np.clip(x, min_val, max_val, out=out)",
        "dy * ((x > min_val) & (x < max_val))",
        "dy * ((y > min_val) & (y < max_val))",
    ),
    "hardswish": ("x * np.clip(x / 6 + 0.5, 0, 1)", "dy * np.where(x < 3, (x / 3 + 0.5) * (x > -3), 1)"),
    "sparse_sigmoid": ("np.clip(x / 2 + 0.5, 0, 1)", "dy / 2 * (np.abs(x) < 1)"),
    "hardshrink": ("x * (np.abs(x) > lambd)", "dy * (np.abs(x) > lambd)", "dy * (y != 0)"),
    "softshrink": ("x - np.clip(x, -lambd, lambd)", "dy * (np.abs(x) > lambd)", "dy * (y != 0)"),
    "tanhshrink": ("x - np.tanh(x)", "dy * np.tanh(x) ** 2"),
    "gaussian": ("np.exp(-((epsilon * x) ** 2))", "-2 * epsilon * (z := epsilon * x) * dy * np.exp(-z * z)"),
    "multiquadric": ("-np.sqrt(1 + (epsilon * x) ** 2)", "-epsilon * (z := epsilon * x) * dy / np.sqrt(1 + z * z)"),
    "inverse_multiquadric": (
        "1 / np.sqrt(1 + (epsilon * x) ** 2)",
        "-epsilon * (z := epsilon * x) * dy / ((q := 1 + z * z) * np.sqrt(q))",
    ),
    "inverse_quadratic": ("1 / (1 + (epsilon * x) ** 2)", "-2 * epsilon * (z := epsilon * x) * dy / (1 + z * z) ** 2"),
    "thin_plate_spline": (
        "(z := epsilon * x) * z * np.log(z)",
        "epsilon * (z := epsilon * x) * dy * (2 * np.log(z) + 1)",
    ),
    "cubic": ("(z := epsilon * x) * z * z", "3 * epsilon * dy * (z := epsilon * x) * z"),
    "quintic": ("-(z := epsilon * x) * (s := z * z) * s", "-5 * epsilon * dy * (s := (epsilon * x) ** 2) * s"),
    "linear_radial": ("-epsilon * x", "-epsilon * dy", "-epsilon * dy"),
}

NUMPY: Calls = _IDIOMS | {
    "step": ("np.heaviside(x, 0, out=out)", "np.multiply(dy, 0, out=out)"),
    "identity": ("np.copyto(out, x)", "np.copyto(out, dy)", "np.copyto(out, dy)"),
    "maxout": (
        "x.reshape(-1, pieces).max(axis=-1, out=out)",
        "(np.arange(pieces) == x.reshape(-1, pieces).argmax(-1)[:, None]) * dy[:, None]",
    ),
    "softmax": (
        "np.divide(e := np.exp(x - x.max(axis, keepdims=True)), e.sum(axis, keepdims=True), out=out)",
        None,
        "y * (dy - (dy * y).sum(axis, keepdims=True))",
    ),
    "softmin": (
        "np.divide(e := np.exp(x.min(axis, keepdims=True) - x), e.sum(axis, keepdims=True), out=out)",
        None,
        "y * ((dy * y).sum(axis, keepdims=True) - dy)",
    ),
    "log_softmax": (
        "(s := x - x.max(axis, keepdims=True)) - np.log(np.exp(s).sum(axis, keepdims=True))",
        None,
        "dy - np.exp(y) * dy.sum(axis, keepdims=True)",
    ),
    "hardmax": ("np.equal(np.arange(x.shape[axis]), x.argmax(axis, keepdims=True)).astype(x.dtype)",),
    "glu": ("(h := np.split(x, 2, axis))[0] / (1 + np.exp(-h[1]))",),
    "swiglu": ("(h := np.split(x, 2, axis))[0] / (1 + np.exp(-h[0])) * h[1]",),
    "reglu": ("np.maximum((h := np.split(x, 2, axis))[0], 0) * h[1]",),
    "crelu": ("np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis)",),
}

# The forms with out=, which the functions of torch.nn.functional end in, where there are any; no backward pass of several.
TORCH: Calls = {
    "relu": (
        ("torch.clamp_min(x, 0, out=out)", "aten.relu.out(x, out=out)"),
        "aten.threshold_backward.grad_input(dy, x, 0, grad_input=out)",
        "aten.threshold_backward.grad_input(dy, y, 0, grad_input=out)",
    ),
    "leaky_relu": (
        ("torch._C._nn.leaky_relu(x, slope, out=out)", "aten.leaky_relu.out(x, slope, out=out)"),
        "aten.leaky_relu_backward.grad_input(dy, x, slope, False, grad_input=out)",
        "aten.leaky_relu_backward.grad_input(dy, y, slope, True, grad_input=out)",
    ),
    "relu6": (
        ("torch.clamp(x, 0, 6, out=out)", "aten.hardtanh.out(x, 0, 6, out=out)"),
        "aten.hardtanh_backward.grad_input(dy, x, 0, 6, grad_input=out)",
        "aten.hardtanh_backward.grad_input(dy, y, 0, 6, grad_input=out)",
    ),
    "clipped_relu": (
        "torch.clamp(x, 0, ceiling, out=out)",
        "aten.hardtanh_backward.grad_input(dy, x, 0, ceiling, grad_input=out)",
        "aten.hardtanh_backward.grad_input(dy, y, 0, ceiling, grad_input=out)",
    ),
    "threshold": (
        "aten.threshold.out(x, threshold, value, out=out)",
        "aten.threshold_backward.grad_input(dy, x, threshold, grad_input=out)",
        "aten.threshold_backward.grad_input(dy, y, threshold, grad_input=out)",
    ),
    "thresholded_relu": (
        "aten.threshold.out(x, alpha, 0, out=out)",
        "aten.threshold_backward.grad_input(dy, x, alpha, grad_input=out)",
        "aten.threshold_backward.grad_input(dy, y, alpha, grad_input=out)",
    ),
    "squared_relu": ("torch.clamp_min(x, 0, out=out).square_()",),
    "elu": (
        "aten.elu.out(x, alpha, out=out)",
        "aten.elu_backward.grad_input(dy, alpha, 1, 1, False, x, grad_input=out)",
        "aten.elu_backward.grad_input(dy, alpha, 1, 1, True, y, grad_input=out)",
    ),
    "celu": (
        "aten.elu.out(x, alpha, 1, 1 / alpha, out=out)",
        "aten.elu_backward.grad_input(dy, alpha, 1, 1 / alpha, False, x, grad_input=out)",
        "aten.elu_backward.grad_input(dy, alpha, 1, 1 / alpha, True, y, grad_input=out)",
    ),
    "selu": (
        f"aten.elu.out(x, {_SELU_ALPHA}, {_SELU_SCALE}, out=out)",
        f"aten.elu_backward.grad_input(dy, {_SELU_ALPHA}, {_SELU_SCALE}, 1, False, x, grad_input=out)",
        f"aten.elu_backward.grad_input(dy, {_SELU_ALPHA}, {_SELU_SCALE}, 1, True, y, grad_input=out)",
    ),
    "softplus": (
        "aten.softplus.out(x, beta, 20, out=out)",
        "aten.softplus_backward.grad_input(dy, x, beta, 20, grad_input=out)",
    ),
    "squareplus": ("(x + torch.sqrt(x * x + b)) / 2",),
    "sparse_plus": ("torch.where(x < 1, torch.relu(x + 1).square_() / 4, x)",),
    "gelu": ("aten.gelu.out(x, out=out)", "aten.gelu_backward.grad_input(dy, x, grad_input=out)"),
    "gelu_tanh": (
        "aten.gelu.out(x, approximate='tanh', out=out)",
        "aten.gelu_backward.grad_input(dy, x, approximate='tanh', grad_input=out)",
    ),
    "quick_gelu": ("x * torch.sigmoid(1.702 * x)",),
    "silu": (
        ("aten.silu.out(x, out=out)", "x * torch.sigmoid(beta * x)"),
        "aten.silu_backward.grad_input(dy, x, grad_input=out)",
    ),
    "mish": ("aten.mish.out(x, out=out)", "aten.mish_backward(dy, x)"),
    "dish": ("x / 2 * (1 + x * torch.rsqrt(1 + x * x))",),
    "lisht": ("x * torch.tanh(x)",),
    "logcosh": (f"x + torch.nn.functional.softplus(-2 * x, 1, 40) - {log(2)}",),
    "sigmoid": ("torch.sigmoid(x, out=out)", None, "aten.sigmoid_backward.grad_input(dy, y, grad_input=out)"),
    "logsigmoid": ("aten.log_sigmoid.out(x, out=out)", "dy * torch.sigmoid(-x)"),
    "tanh": ("torch.tanh(x, out=out)", None, "aten.tanh_backward.grad_input(dy, y, grad_input=out)"),
    "softsign": ("x / (1 + x.abs())",),
    "arctan": ("torch.arctan(x, out=out)", "dy / (1 + x * x)"),
    "hardsigmoid": (
        "aten.hardsigmoid.out(x, out=out)",
        # its 1/6 has the digits of float32, whatever the type
        "dy / 6 * (x.abs() < 3) if double else aten.hardsigmoid_backward.grad_input(dy, x, grad_input=out)",
    ),
    "hardtanh": (
        "aten.hardtanh.out(x, min_val, max_val, out=out)",
        "aten.hardtanh_backward.grad_input(dy, x, min_val, max_val, grad_input=out)",
        "aten.hardtanh_backward.grad_input(dy, y, min_val, max_val, grad_input=out)",
    ),
    "hardswish": ("aten.hardswish.out(x, out=out)", "aten.hardswish_backward(dy, x)"),
    "sparse_sigmoid": ("torch.clamp(x / 2 + 0.5, 0, 1, out=out)",),
    "step": ("torch.gt(x, 0, out=out)", "torch.mul(dy, 0, out=out)"),
    "identity": ("out.copy_(x)", "out.copy_(dy)", "out.copy_(dy)"),
    "hardshrink": (
        "aten.hardshrink.out(x, lambd, out=out)",
        "aten.hardshrink_backward.grad_input(dy, x, lambd, grad_input=out)",
        "aten.hardshrink_backward.grad_input(dy, y, lambd, grad_input=out)",
    ),
    "softshrink": (
        "aten.softshrink.out(x, lambd, out=out)",
        "aten.softshrink_backward.grad_input(dy, x, lambd, grad_input=out)",
        "aten.softshrink_backward.grad_input(dy, y, 0, grad_input=out)",
    ),
    "tanhshrink": ("x - torch.tanh(x)",),
    "maxout": (("torch.amax(x.view(-1, pieces), -1, out=out)", "torch.max_pool1d(x.view(1, -1), pieces)"), None),
    "softmax": (
        "torch.softmax(x, axis, out=out)",
        None,
        "aten._softmax_backward_data.out(dy, y, axis, x.dtype, grad_input=out)",
    ),
    "softmin": ("torch.softmax(-x, axis, out=out)",),
    "log_softmax": (
        "torch.log_softmax(x, axis, out=out)",
        None,
        "aten._log_softmax_backward_data.out(dy, y, axis, x.dtype, out=out)",
    ),
    "glu": ("aten.glu.out(x, axis, out=out)", "aten.glu_backward.grad_input(dy, x, axis, grad_input=out)"),
    "swiglu": ("torch.mul(torch.nn.functional.silu((h := x.chunk(2, axis))[0]), h[1], out=out)",),
    "geglu": ("torch.mul(torch.nn.functional.gelu((h := x.chunk(2, axis))[0]), h[1], out=out)",),
    "reglu": ("torch.mul(torch.relu((h := x.chunk(2, axis))[0]), h[1], out=out)",),
    "crelu": ("torch.cat([torch.relu(x), torch.relu(-x)], axis, out=out)",),
    "gaussian": ("torch.exp(-((epsilon * x) ** 2))",),
    "multiquadric": ("-torch.sqrt(1 + (epsilon * x) ** 2)",),
    "inverse_multiquadric": ("torch.rsqrt(1 + (epsilon * x) ** 2)",),
    "inverse_quadratic": ("1 / (1 + (epsilon * x) ** 2)",),
    "thin_plate_spline": ("torch.xlogy((z := epsilon * x) * z, z)",),
    "cubic": ("(epsilon * x) ** 3",),
    "quintic": ("-((epsilon * x) ** 5)",),
    "linear_radial": ("torch.mul(x, -epsilon, out=out)",),
}


def _derived(rewrite: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """The idioms in another library's words."""
    return {name: tuple(rewrite(call) for call in calls) for name, calls in _IDIOMS.items()}


def _with_vjp(value: str, *from_output: str) -> tuple[str, ...]:
    return value, f"jax.vjp(lambda x: {value}, x)[1](dy)[0]", *from_output


# The values for which JAX has something better than the idiom, or than its parts.
_JAX_VALUES = {
    "relu": "jax.nn.relu(x)",
    "leaky_relu": "jax.nn.leaky_relu(x, slope)",
    "relu6": "jax.nn.relu6(x)",
    "elu": "jax.nn.elu(x, alpha)",
    "celu": "jax.nn.celu(x, alpha)",
    "selu": "jax.nn.selu(x)",
    "softplus": "jax.nn.softplus(beta * x) / beta",
    "squareplus": "jax.nn.squareplus(x, b)",
    "sparse_plus": "jax.nn.sparse_plus(x)",
    "gelu_tanh": "jax.nn.gelu(x, approximate=True)",
    "quick_gelu": "x * jax.nn.sigmoid(1.702 * x)",
    "silu": "x * jax.nn.sigmoid(beta * x)",
    "mish": "jax.nn.mish(x)",
    "sigmoid": "jax.nn.sigmoid(x)",
    "logsigmoid": "jax.nn.log_sigmoid(x)",
    "softsign": "jax.nn.soft_sign(x)",
    "hardsigmoid": "jax.nn.hard_sigmoid(x)",
    "hardswish": "jax.nn.hard_swish(x)",
    "sparse_sigmoid": "jax.nn.sparse_sigmoid(x)",
}

# Compiled; every result is a new array. The backward pass from x is what JAX makes of the value.
JAX: Calls = {
    **{
        name: _with_vjp(_JAX_VALUES.get(name, value), *from_output)
        for name, (value, _, *from_output) in _derived(
            lambda call: call.replace(", out=out", "").replace("np.", "jnp.")
        ).items()
    },
    "gelu": _with_vjp("jax.nn.gelu(x, approximate=False)"),
    "step": _with_vjp("jnp.heaviside(x, 0)"),
    "identity": _with_vjp("jnp.copy(x)"),
    "maxout": (
        "x.reshape(-1, pieces).max(-1)",
        "(jnp.arange(pieces) == x.reshape(-1, pieces).argmax(-1)[:, None]) * dy[:, None]",
    ),
    "softmax": _with_vjp("jax.nn.softmax(x, axis)"),
    "softmin": _with_vjp("jax.nn.softmax(-x, axis)"),
    "log_softmax": _with_vjp("jax.nn.log_softmax(x, axis)"),
    "glu": _with_vjp("jax.nn.glu(x, axis)"),
    "swiglu": _with_vjp("jax.nn.silu(jnp.split(x, 2, axis)[0]) * jnp.split(x, 2, axis)[1]"),
    "geglu": _with_vjp("jax.nn.gelu(jnp.split(x, 2, axis)[0], approximate=False) * jnp.split(x, 2, axis)[1]"),
    "reglu": _with_vjp("jax.nn.relu(jnp.split(x, 2, axis)[0]) * jnp.split(x, 2, axis)[1]"),
    "crelu": _with_vjp("jnp.concatenate([jax.nn.relu(x), jax.nn.relu(-x)], axis)"),
}

_NUMEXPR_WORDS = {
    "clip": "where({0} > {1}, where({0} < {2}, {0}, {2}), {1})",
    "maximum": "where({0} > {1}, {0}, {1})",
    "minimum": "where({0} < {1}, {0}, {1})",
}
NUMEXPR: Calls = {
    **_derived(lambda call: in_other_words(call, _NUMEXPR_WORDS).replace("np.", "")),
    "sigmoid": ("1 / (1 + exp(-x))", "dy * exp(-x) / (1 + exp(-x)) ** 2", "dy * y * (1 - y)"),
}

# What happens to one element; Numba compiles the loop around it.
_NUMBA_WORDS = {
    "clip": "min(max({0}, {1}), {2})",
    "maximum": "max({0}, {1})",
    "minimum": "min({0}, {1})",
    "where": "{1} if {0} else {2}",
}
NUMBA: Calls = {
    **_derived(lambda call: in_other_words(call, _NUMBA_WORDS)),
    "gelu": (
        f"x / 2 * (1 + math.erf(x / {sqrt(2)}))",
        f"dy * ((1 + math.erf(x / {sqrt(2)})) / 2 + x * np.exp(-x * x / 2) / {sqrt(2 * pi)})",
    ),
    "step": ("1 if x > 0 else 0",),
}

# An operator, its other inputs, and its attributes; it has no backward pass.
ONNXRUNTIME: Calls = {
    "relu": ("Relu",),
    "leaky_relu": ("LeakyRelu alpha=slope",),
    "relu6": ("Clip 0 6",),
    "clipped_relu": ("Clip 0 ceiling",),
    "thresholded_relu": ("ThresholdedRelu alpha=alpha",),
    "elu": ("Elu alpha=alpha",),
    "celu": ("Celu alpha=alpha",),
    "selu": ("Selu",),
    "softplus": ("Softplus",),
    "gelu": ("Gelu",),
    "gelu_tanh": ("Gelu approximate='tanh'",),
    "quick_gelu": ("com.microsoft.QuickGelu alpha=1.702",),
    "silu": ("com.microsoft.QuickGelu alpha=beta",),
    "mish": ("Mish",),
    "sigmoid": ("Sigmoid",),
    "tanh": ("Tanh",),
    "softsign": ("Softsign",),
    "arctan": ("Atan",),
    "hardsigmoid": ("HardSigmoid alpha=1/6 beta=0.5",),
    "hardtanh": ("Clip min_val max_val",),
    "hardswish": ("HardSwish",),
    "sparse_sigmoid": ("HardSigmoid alpha=0.5 beta=0.5",),
    "identity": ("Identity",),
    "hardshrink": ("Shrink lambd=lambd",),
    "softshrink": ("Shrink lambd=lambd bias=lambd",),
    "softmax": ("Softmax axis=axis",),
    "log_softmax": ("LogSoftmax axis=axis",),
    "hardmax": ("Hardmax axis=axis",),
}
