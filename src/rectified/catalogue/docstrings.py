"""The docstrings of the compiled ufuncs, from the rows of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from rectified import ufuncs
from rectified._native import document
from rectified.activation import Activation

_KINDS = {
    "": ("x", "The value."),
    "_derivative": ("x", "The derivative."),
    "_second_derivative": ("x", "The second derivative."),
    "_derivative_at_kink": ("x at_kink", "The derivative, and at a kink the number between its left and its right side."),
    "_backward": ("dy x", "The derivative times ``dy``, in one pass: the gradient by the input."),
    "_backward_at_kink": ("dy x at_kink", "The derivative times ``dy``, and at a kink the number between its two sides."),
    "_backward_from_output": ("dy y", "The derivative times ``dy``, from the output alone."),
    "_jvp": ("u x", "The Jacobian times a vector."),
    "_forward_packed": ("x", "The value, and the bits that tell the derivative."),
    "_backward_packed": ("dy bits", "The derivative times ``dy``, from the bits of the forward pass."),
    "_gated": ("a x", "A gated unit, ``a * f(x)``."),
    "_gated_backward": ("dy a x", "The gradients of a gated unit, ``a * f(x)``, by ``a`` and by ``x``."),
    "_gated_jvp": ("v w a x", "How a gated unit, ``a * f(x)``, moves with ``a`` and ``x``."),
    "_doubled": ("x", "The values for ``x`` and for ``-x``."),
    "_doubled_backward": ("dy dz x", "The gradient by the input of the values for ``x`` and for ``-x``."),
}
_OPERANDS = {
    "x": "The input.",
    "y": "The output.",
    "dy": "The gradient by the output.",
    "dz": "The gradient by the second output.",
    "u": "How the input moves.",
    "v": "How ``a`` moves.",
    "w": "How ``x`` moves.",
    "a": "What is multiplied with the gate, which the function makes of ``x``.",
    "bits": "What the forward pass has packed.",
    "at_kink": "From 0, the left side, to 1, the right one.",
}


def describe(activations: Iterable[Activation]) -> None:
    """Give the ufuncs of these functions their docstrings."""
    for activation in activations:
        kinds = dict(_KINDS)
        for name in activation.parameters:
            kinds[f"_derivative_wrt_{name}"] = ("x", f"The derivative by {name}.")
            kinds[f"_backward_wrt_{name}"] = ("dy x", f"The derivative by {name} times ``dy``.")
        for kind, (operands, what) in kinds.items():
            ufunc = ufuncs.named(activation.name + kind)
            if ufunc is not None:
                document(ufunc, _docstring(activation, operands.split(), what))


def _docstring(activation: Activation, operands: list[str], what: str) -> str:
    meanings = {name: _OPERANDS[name] for name in operands}
    if activation.category != "fold":  # whose parameters say along which axis, and are no operands
        meanings |= {name: parameter.meaning for name, parameter in activation.parameters.items()}
    described = "\n".join(f"{name} : array_like\n    {meaning}" for name, meaning in meanings.items())
    return f"""{what} The operands are {", ".join(meanings)}.

{activation.summary}

``f(x) = {activation.formula}``, and its derivative is ``{activation.derivative_formula}``.

Parameters
----------
{described}
**kwargs
    For other keyword-only arguments, see the :ref:`ufunc docs <ufuncs.kwargs>`.

See Also
--------
rectified.{activation.name} : The same with defaults for the parameters."""
