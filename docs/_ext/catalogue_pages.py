"""One page for each function of the catalogue, and the table of them all, written while the docs build."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markup import heading, picture, table

import figures
import rectified as rf
import sweep
from rectified.formula import mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CATEGORIES = {
    "ridge": "functions of one number, applied to each element of an array",
    "radial": "functions of the distance to a centre",
    "fold": "functions of a group of numbers",
}
SERIES = (-10.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 10.0)
DERIVATIVES = {"fold": "the derivative of each output by each input of its group"}
LETTERS = {
    "fold": "The derivative is that of output *i* by input *j*, and *y* is f(x). [:formula:`i == j`] is 1 where "
    ":formula:`i == j`, and 0 elsewhere. Of gated units *a* is the first half of the axis and *b* the second, each of "
    "*n* numbers."
}
SYMBOLS = {np.inf: "∞", -np.inf: "−∞"}


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "functions"
    folder.mkdir(exist_ok=True)
    write(folder / "index.rst", index())
    for activation in rf.catalogue.values():
        write(folder / f"{activation.name}.rst", page(activation))
        figures.draw(activation.name, activation, folder=folder)
        if has_surface(activation):
            figures.draw(f"{activation.name}-surface", activation, folder=folder, surface=True)


def has_surface(activation: rf.Activation) -> bool:
    return activation.category != "ridge"


def write(path: Path, text: str) -> None:
    """Write a file whose text is new: Sphinx reads again what has changed."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def index() -> str:
    lines = heading("The functions", "=")
    for category, meaning in CATEGORIES.items():
        members = rf.catalogue.of(category)
        if not members:
            continue
        lines += [*heading(category.capitalize(), "-"), f"{category.capitalize()} functions are {meaning}.", ""]
        rows = [[paragraphs(f":doc:`{f.name}`", *other_names(f)), both_formulas(f)] for f in members.values()]
        lines += [LETTERS[category], ""] if category in LETTERS else []
        lines += table([["Function", "Formula, and derivative"], *rows], css="catalogue")
    return "\n".join([*lines, ".. toctree::", "   :hidden:", "", *(f"   {name}" for name in rf.catalogue), ""])


def other_names(activation: rf.Activation) -> list[str]:
    names = [name for name in activation.also_known_as if name.lower() != activation.name.replace("_", "")]
    return [", ".join(names)] if names else []


def both_formulas(activation: rf.Activation) -> str:
    return paragraphs(*(f":formula:`{formula}`" for formula in (activation.formula, activation.derivative_formula)))


def paragraphs(*texts: str) -> str:
    """Paragraphs of one cell of a list table."""
    return "\n\n       ".join(texts)


def page(activation: rf.Activation) -> str:
    sections = (head, facts, parameters, values, calls, accuracy, elsewhere, reference)
    return "\n".join(line for section in sections for line in section(activation)) + "\n"


def head(activation: rf.Activation) -> list[str]:
    whole, value, index = "<mi>f</mi>", "<mi>f</mi>", "j"
    if activation.name == "maxout":
        index = "i"
    elif activation.category == "fold":
        value = "<msub><mi>f</mi><mi>i</mi></msub>"
        whole = value if uses("i", activation.formula) else whole
    whole += "<mrow><mo>(</mo><mi>x</mi><mo>)</mo></mrow>"
    derivative = (
        f"<mfrac><mrow><mo>∂</mo>{value}</mrow><mrow><mo>∂</mo><msub><mi>x</mi><mi>{index}</mi></msub></mrow></mfrac>"
    )
    if activation.category != "fold":
        derivative = "<mi>f</mi><mo lspace='0' rspace='0'>′</mo><mrow><mo>(</mo><mi>x</mi><mo>)</mo></mrow>"
    return [
        *heading(activation.name, "="),
        activation.summary.replace("|", "\\|"),
        "",
        ".. raw:: html",
        "",
        '   <div class="formulas">',
        f"   {displayed(activation.formula, whole)}",
        f"   {displayed(activation.derivative_formula, derivative)}",
        "   </div>",
        "",
        *letters(activation),
        *picture(activation.name, f"{activation.name} and its derivative"),
        *(picture(f"{activation.name}-surface", f"{activation.name} from above") if has_surface(activation) else []),
        ".. code-block:: python",
        "",
        f"   rectified.{activation.signature}",
        "",
    ]


def letters(activation: Any) -> list[str]:
    """What the formulas' letters and brackets mean."""
    meanings = []
    if hasattr(activation, "gate"):
        meanings.append("*a* is the first half of the axis and *b* the second, each of *n* numbers.")
        meanings.append("The derivative is that for j = i and j = i + n; all others are 0.")
    formulas = (activation.formula, activation.derivative_formula)
    if uses("y", *formulas):
        meanings.append("*y* is f(x).")
    if conditions := numbers_by_condition(*formulas):
        meanings.append("[:formula:`{0}`] is 1 where :formula:`{0}`, and 0 elsewhere.".format(conditions[0]))
    return [" ".join(meanings), ""] if meanings else []


def uses(name: str, *formulas: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in nodes_of(*formulas))


def nodes_of(*formulas: str) -> list[ast.AST]:
    return [node for formula in formulas for node in ast.walk(ast.parse(formula))]


def numbers_by_condition(*formulas: str) -> list[str]:
    """The comparisons that a formula counts as 1 or 0."""
    nodes = nodes_of(*formulas)
    tests = [node.test for node in nodes if isinstance(node, ast.IfExp)]
    return [ast.unparse(node) for node in nodes if isinstance(node, ast.Compare) and node not in tests]


def displayed(formula: str, left: str) -> str:
    inside = mathml(formula).removeprefix("<math>").removesuffix("</math>")
    return f'<math display="block"><mrow>{left}<mo>=</mo>{inside}</mrow></math>'


def facts(activation: Any) -> list[str]:
    low, high = (SYMBOLS.get(bound, f"{bound:g}") for bound in activation.range)
    lines = [f":Values: between {low} and {high}", f":Category: {activation.category}"]
    for kink in activation.kinks:
        left, right = (float(activation.derivative(kink, at_kink=side)) for side in (0, 1))
        chosen = float(activation.derivative(kink))
        lines.append(
            f":Kink: at {kink:g} the derivative jumps from {left:g} to {right:g}; there it is {chosen:g}, "
            f"or what ``at_kink`` says (:doc:`/conventions`)"
        )
    if activation.also_known_as:
        lines.append(f":Also known as: {', '.join(activation.also_known_as)}")
    return [*lines, ""]


def parameters(activation: rf.Activation) -> list[str]:
    if not activation.parameters:
        return []
    rows = [[f"``{name}``", f"{default:g}", meaning] for name, (default, meaning) in activation.parameters.items()]
    return [*heading("Parameters", "-"), *table([["Name", "Default", "Meaning"], *rows])]


def values(activation: Any) -> list[str]:
    if activation.category == "fold":
        group = np.array([[-1.0, 3.0], [2.0, 2.0]])
        lines = f">>> x = np.{group!r}".replace("\n      ", "\n...    ").splitlines()
        for call, result in (("", activation(group)), (".derivative", activation.derivative(group))):
            lines += [f">>> rf.{activation.name}{call}(x)", *repr(result).splitlines()]
        # Blank lines part the matrices of an array, and would end a doctest block.
        return [*heading("Values", "-"), ".. code-block:: pycon", "", *(f"   {line}" for line in lines), ""]
    x = np.array([number for number in SERIES if number >= 0] if activation.category == "radial" else SERIES)
    columns = (x, activation(x), activation.derivative(x))
    rows = [[f"{number + 0.0:.6g}" for number in row] for row in zip(*columns, strict=True)]
    return [*heading("Values", "-"), *table([["x", "f(x)", "f′(x)"], *rows], css="numbers")]


def calls(activation: rf.Activation) -> list[str]:
    name, given = activation.name, "".join(f", {parameter}" for parameter in activation.parameters)
    bends = hasattr(rf.ufuncs, f"{name}_second_derivative")
    rows = [
        [f"``rf.{name}(x{given})``", "the value"],
        [f"``rf.{name}.derivative(x{given})``", DERIVATIVES.get(activation.category, "the derivative")],
        *([[f"``rf.{name}.derivative(x{given}, order=2)``", "the second derivative"]] if bends else []),
        [f"``rf.{name}.backward(dy, x{given})``", "dy · f′(x) in one pass"],
    ]
    if hasattr(activation, "backward_from_output"):
        needs = f"; needs ``{activation.output_condition}``" if activation.output_condition else ""
        loses = ". Here " + activation.output_loss.replace("|", "\\|") if activation.output_loss else ""
        rows.append([f"``rf.{name}.backward_from_output(dy, y{given})``", f"the same from y = f(x){needs}{loses}"])
    if hasattr(activation, "forward_packed"):
        kept = "and which piece won" if activation.category == "fold" else "and one bit for each element"
        rows += [
            [f"``rf.{name}.forward_packed(x{given})``", f"the value, {kept}"],
            [f"``rf.{name}.backward_packed(dy, bits{given})``", "dy · f′(x) from the bits"],
        ]
    if activation.category == "fold":
        rows.append([f"``rf.{name}.jvp(v, x{given})``", "the Jacobian times v: how the output moves when x moves by v"])
    else:
        rows += [
            [f'``rf.{name}.derivative(x{given}, wrt="{parameter}")``', f"the derivative by {parameter}"]
            for parameter in activation.parameters
        ]
    kinds = tuple(f"{name}_{kind}" for kind in ("derivative", "second_derivative", "backward", "forward_packed"))
    compiled = [name, *sorted(found for found in vars(rf.ufuncs) if found.startswith(kinds))]
    return [
        *heading("Calls", "-"),
        *table([["Call", "Gives"], *rows]),
        "Parameters that are left out have their defaults. The compiled ufuncs, which take every operand by position:",
        ", ".join(f"``rf.ufuncs.{found}``" for found in compiled) + ".",
        "",
    ]


def accuracy(activation: rf.Activation) -> list[str]:
    if activation.name not in sweep.recorded():
        return []
    lines = ["In ULP. What that is, and how it was measured: :doc:`/accuracy`.", ""]
    lines += [f".. measured:: accuracy of {activation.name}", ""]
    others = f"accuracy of {activation.name} beside others"
    if len(figures.cells(figures.text(others))) > 2:  # more than its head
        lines += ["In float32, beside others:", "", f".. measured:: {others}", ""]
    return [*heading("Accuracy", "-"), *lines]


def elsewhere(activation: rf.Activation) -> list[str]:
    rows = [[library, difference] for library, difference in activation.elsewhere.items()]
    return [*heading("Elsewhere", "-"), *table([["Library", "What differs"], *rows])] if rows else []


def reference(activation: rf.Activation) -> list[str]:
    return [*heading("Reference", "-"), f"\\{activation.reference}.", ""]
