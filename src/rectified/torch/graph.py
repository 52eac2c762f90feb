"""Finds in autograd's graph what activations got or gave.

For the backward pass autograd keeps the output of a ReLU, the input of a GELU. To fetch it from there, once the network has
returned, costs less than to look at all that the network does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

from torch import Tensor

Node = Any  # autograd's


class Saved(NamedTuple):
    """What a node of the graph keeps of an activation.

    Attributes
    ----------
    name : str
        The node's attribute.
    is_output : bool
        Whether it is the output, or else the input.
    """

    name: str
    is_output: bool

    @classmethod
    def of(cls, x: Tensor, y: Tensor, *, in_place: bool, is_told_by_output: bool) -> Saved | None:
        """What is kept of a call from which all can be known about it; None for nothing.

        Parameters
        ----------
        x, y : Tensor
            The input and the output.
        in_place : bool
            Whether the output took the place of the input, of which the graph then keeps a copy.
        is_told_by_output : bool
            Whether the output is enough.

        Examples
        --------
        >>> import torch
        >>> x = torch.ones(3, requires_grad=True) * 1
        >>> Saved.of(x, torch.relu(x), in_place=False, is_told_by_output=True)
        Saved(name='_saved_result', is_output=True)
        """
        node = y.grad_fn
        for name, is_output, tensor in (("_saved_result", True, y), ("_saved_self", False, x)):
            if hasattr(node, name) and (is_told_by_output or not is_output):
                kept = cls(name, is_output).tensor(node)
                is_it = kept is not None and (kept.is_set_to(tensor) or (in_place and not is_output))
                return cls(name, is_output) if is_it else None
        return None

    def tensor(self, node: Node) -> Tensor | None:
        """What a node keeps, without its graph; None where hooks of the program keep it, which may compute it anew.

        Raises
        ------
        RuntimeError
            Where it was overwritten, or is gone already.
        """
        if getattr(node, f"_raw{self.name}").unpack_hook is not None:
            return None
        found: Tensor = getattr(node, self.name).detach()
        return found


@dataclass(frozen=True)
class Way:
    """From what a network returns to some nodes of its graph: the same way in each forward pass that does the same.

    Attributes
    ----------
    starts : int
        How many tensors are returned that have a graph.
    steps : tuple of pairs of int
        For each further node, at which of those before to find it, and as which of that one's inputs.
    kinds : tuple of type
        Of all of them.
    ends : tuple of int
        Which of them are looked for.
    """

    starts: int
    steps: tuple[tuple[int, int], ...]
    kinds: tuple[type, ...]
    ends: tuple[int, ...]

    @classmethod
    def to(cls, wanted: Sequence[Node], returned: Any) -> Way | None:
        """The way to some nodes; None where one of them leads nowhere.

        Examples
        --------
        >>> import torch
        >>> y = torch.relu(torch.ones(3, requires_grad=True) * 1)
        >>> way = Way.to([y.grad_fn], y.sum() * 2)
        >>> way.steps, [kind.__name__ for kind in way.kinds]
        (((0, 0), (1, 0)), ['MulBackward0', 'SumBackward0', 'ReluBackward0'])
        >>> way.nodes((y + 1).sum() * 2) is None
        True
        """
        nodes = list(_roots(returned))
        starts = len(nodes)
        places = {node: place for place, node in enumerate(nodes)}
        steps = [(-1, 0)] * starts
        for place, node in enumerate(nodes):  # which grow meanwhile
            for number, (behind, _) in enumerate(node.next_functions):
                if behind is not None and behind not in places:
                    places[behind] = len(nodes)
                    nodes.append(behind)
                    steps.append((place, number))
        if any(node not in places for node in wanted):
            return None
        needed = set(range(starts))
        for node in wanted:
            place = places[node]
            while place not in needed:
                needed.add(place)
                place = steps[place][0]
        order = {place: number for number, place in enumerate(sorted(needed))}
        return cls(
            starts,
            tuple((order[steps[place][0]], steps[place][1]) for place in order if place >= starts),
            tuple(type(nodes[place]) for place in order),
            tuple(order[places[node]] for node in wanted),
        )

    def nodes(self, returned: Any) -> list[Node] | None:
        """The nodes at its ends in another forward pass; None where that did something else."""
        found = list(_roots(returned))
        if len(found) != self.starts:
            return None
        try:
            for place, number in self.steps:
                found.append(found[place].next_functions[number][0])
        except (AttributeError, IndexError):
            return None
        return [found[place] for place in self.ends] if tuple(map(type, found)) == self.kinds else None


def _roots(returned: Any) -> Iterator[Node]:
    """The nodes that made the tensors in what a network returns."""
    if isinstance(returned, Tensor):
        if returned.grad_fn is not None:
            yield returned.grad_fn
    elif isinstance(returned, Mapping | tuple | list):
        for part in returned.values() if isinstance(returned, Mapping) else returned:
            yield from _roots(part)
    elif is_dataclass(returned):
        for field in fields(returned):
            yield from _roots(getattr(returned, field.name))
