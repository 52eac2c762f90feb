"""Finds in autograd's graph what activations got or gave.

For the backward pass autograd keeps the output of a ReLU, the input of a GELU. To fetch it from there, once the network has
returned, costs less than to look at all that the network does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rectified._native import follow
from rectified.torch.functions import CLAMPS, NAMES

Node = Any  # autograd's
_GETTERS = {
    name: (attrgetter(f"_raw{name}.unpack_hook"), attrgetter(name))
    for name in ("_saved_result", "_saved_self", "_saved_other")
}
_MOST_LOOKED_AT = 32  # nodes
_OF_PRODUCTS = "Addmm Mm Baddbmm Bmm Addmv Mv Convolution Embedding"
_OF_FORMS = "T Transpose Permute View UnsafeView ReshapeAlias Unsqueeze Expand Clone ToCopy WeightNormInterface"
_ACTIVATIONS = {name.replace("_", "") for name in NAMES if name not in CLAMPS}
_PARTS = {"SliceBackward0": "_saved_start", "SelectBackward0": "_saved_index"}
_PRODUCTS, _FORMS = ({f"{name}Backward0" for name in names.split()} for names in (_OF_PRODUCTS, _OF_FORMS))


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
            if hasattr(node, f"_raw{name}") and (is_told_by_output or not is_output):
                saved = cls(name, is_output)
                kept = saved.tensors([node])
                is_it = kept is not None and (kept[0].is_set_to(tensor) or (in_place and not is_output))
                return saved if is_it else None
        return None

    def tensors(self, nodes: Sequence[Node]) -> list[Tensor] | None:
        """What nodes keep; None where it was overwritten, or hooks of the program keep it, which may compute it anew."""
        hook_of, tensor_of = _GETTERS[self.name]
        if list(map(hook_of, nodes)).count(None) < len(nodes):
            return None
        try:
            return list(map(tensor_of, nodes))
        except RuntimeError:
            return None


def keeper(x: Tensor, node: Node) -> tuple[Node, Saved] | None:
    """The nearest node, up to a few behind another, that keeps a tensor for its backward pass, and what of it that is."""
    waiting = [node]
    for node in waiting:  # which grow meanwhile
        for name in ("_saved_self", "_saved_other"):
            saved = Saved(name, is_output=False)
            kept = saved.tensors([node]) if hasattr(node, f"_raw{name}") else None
            if kept is not None and isinstance(kept[0], Tensor) and kept[0].is_set_to(x):
                return node, saved
        behind = [other for other, _ in node.next_functions if other is not None and other not in waiting]
        waiting += behind[: max(0, _MOST_LOOKED_AT - len(waiting))]
    return None


def makers(node: Node) -> list[Node] | None:
    """The nodes with the learned parameters of the layers that made what a node got: these tell one layer from another.

    None where a layer has none of its own: frozen layers look alike, and so do those that take a part of one tensor.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(2, 3)
    >>> y = torch.relu(layer(torch.ones(1, 2)) + 1)
    >>> [node.name() for node in makers(y.grad_fn)]
    ['AddmmBackward0']
    >>> frozen = layer.requires_grad_(False)
    >>> makers(torch.relu(frozen(torch.ones(1, 2, requires_grad=True) * 1)).grad_fn) is None
    True
    """
    found, waiting, seen = [], [node], set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if any(map(is_learned, node.next_functions)):
            found.append(node)
            continue
        behind = [other for other, _ in node.next_functions if other is not None]
        if node.name() in _PRODUCTS:
            weights = [end for end in map(_in_another_form, behind) if end is not None]
            if not weights:
                return None
            found += weights
        else:
            waiting += behind
    return found or None


def _in_another_form(node: Node) -> Node | None:
    """The node with a learned parameter that another gives in another form; None where it is no such node."""
    while node is not None and node.name() in _FORMS:
        if any(map(is_learned, node.next_functions)):
            return node
        node = node.next_functions[0][0]
    return None


def parts(node: Node) -> list[tuple[Node, str, int]]:
    """What takes a part of what layers gave, between these and a node: nodes, with the attribute that tells which part.

    Of a node that gives several results it is the number of one, and no attribute.

    Examples
    --------
    >>> import torch
    >>> y = torch.nn.Linear(2, 6)(torch.ones(1, 2))
    >>> [(name, part) for _, name, part in parts(torch.relu(y[:, 2:]).grad_fn)]
    [('_saved_start', 2)]
    >>> [(name, part) for _, name, part in parts(torch.relu(y.chunk(2, 1)[1]).grad_fn)]
    [('', 1)]
    """
    found, waiting, seen = [], [node], {node}
    for node in waiting:  # which grow meanwhile
        found += [(node, *part) for part in _parts_of(node)]
        if node.name() not in _PRODUCTS and not any(map(is_learned, node.next_functions)):
            edges = [(other, number) for other, number in node.next_functions if other is not None]
            found += [(other, "", number) for other, number in edges if number]
            waiting += [other for other in dict(edges) if other not in seen]
            seen.update(dict(edges))
    return found


def _parts_of(node: Node) -> list[tuple[str, int]]:
    name = _PARTS.get(node.name())
    return [] if name is None else [(name, int(getattr(node, name)))]


def learned_ahead(nodes: Sequence[Node], returned: Any, since: int) -> list[frozenset[int]]:
    """By ``id``, the learned parameters of the layers that get what some nodes gave, up to the next activations.

    Nodes before the number `since` were made by others.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(2, 3)
    >>> y = torch.relu(torch.ones(1, 2, requires_grad=True) * 1)
    >>> learned_ahead([y.grad_fn], layer(y * 2), 0) == [frozenset(map(id, layer.parameters()))]
    True
    """
    waiting = list(_roots(returned))
    users: dict[Node, list[Node]] = {node: [] for node in waiting}
    for node in waiting:  # which grow meanwhile
        for behind, _ in node.next_functions:
            if behind is not None and behind._sequence_nr() >= since:
                if behind not in users:
                    waiting.append(behind)
                users.setdefault(behind, []).append(node)
    own = {node: _learned_in(node) for node in users}
    ends = {node for node, learned in own.items() if learned or _kind(node) in _ACTIVATIONS}
    found = []
    for node in nodes:
        ahead = dict.fromkeys(users.get(node, ()))
        waiting = [user for user in ahead if user not in ends]
        for each in waiting:  # which grow meanwhile
            more = [user for user in users[each] if user not in ahead]
            ahead.update(dict.fromkeys(more))
            waiting += [user for user in more if user not in ends]
        found.append(frozenset().union(*(own[user] for user in ahead)))
    return found


class Identity(NamedTuple):
    """By what an activation is known in a pass that does something else.

    Attributes
    ----------
    kind : type
        Of its node.
    behind : frozenset of int
        By ``id``, the learned parameters of the layers that made what it got.
    parts : tuple
        Which parts it got of what these gave.
    ahead : frozenset of int
        The learned parameters of the layers that get what it gave.
    """

    kind: type
    behind: frozenset[int]
    parts: tuple[tuple[str, int], ...]
    ahead: frozenset[int]

    def part(self, *, is_all: bool) -> tuple[Any, ...]:
        """All of it, or all but what is ahead."""
        return self if is_all else self[:-1]

    @classmethod
    def of_each(cls, nodes: Sequence[Node], returned: Any, since: int) -> list[Identity]:
        """Those of some nodes of what a network returned, of which the first has the number `since`."""
        return [
            cls(type(node), learned_behind(makers(node) or ()), tuple(sorted(part[1:] for part in parts(node))), ahead)
            for node, ahead in zip(nodes, learned_ahead(nodes, returned, since), strict=True)
        ]


def _learned_in(node: Node) -> frozenset[int]:
    """By ``id``, the learned parameters of the layer that a node is, if it is one."""
    behind = [other for other, _ in node.next_functions if other is not None] if node.name() in _PRODUCTS else []
    weights = [end for end in map(_in_another_form, behind) if end is not None]
    return learned_behind([node, *weights])


def _kind(node: Node) -> str:
    return str(node.name()).partition("Backward")[0].lower()


def learned_behind(nodes: Iterable[Node]) -> frozenset[int]:
    """By ``id``, the learned parameters of some nodes."""
    return frozenset(id(edge[0].variable) for node in nodes for edge in node.next_functions if is_learned(edge))


def activations(returned: Any, since: int, kinds: Collection[type] = ()) -> list[Node]:
    """The nodes of activations in the graph of what a network returned, in the order of their calls.

    Parameters
    ----------
    returned
        By the network.
    since : int
        The number of the first node that it may have made.
    kinds : collection of type
        Of other nodes that may be those of activations.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(3, requires_grad=True)
    >>> [node.name() for node in activations(torch.relu(torch.tanh(x) * 2), 0)]
    ['TanhBackward0', 'ReluBackward0']
    """
    nodes = [node for node in _roots(returned) if node._sequence_nr() >= since]
    known = set(nodes)
    for node in nodes:  # which grow meanwhile
        behind = {other for other, _ in node.next_functions if other is not None and other._sequence_nr() >= since} - known
        known |= behind
        nodes += behind
    found = [node for node in known if _kind(node) in _ACTIVATIONS or type(node) in kinds]
    return sorted(found, key=lambda node: int(node._sequence_nr()))


class _Edge(NamedTuple):
    """From a node to one behind it: of which kind that is, the ``id`` of its parameter or 0, and whether to look at it.

    Last, the number of its result. Behind an input of the network there may be anything, which is no kind.
    """

    kind: type | None
    parameter: int
    is_followed: bool
    number: int


@dataclass(frozen=True)
class Way:
    """From what a network returns to some nodes of its graph: the same way in each forward pass that does the same.

    Whether a pass does the same is seen from the kinds of the nodes along the way and of those behind them, from the
    parameters among these, and from the parts that nodes take. Ways that differ in what may be behind the inputs alone are
    equal: the first of a solver's steps has nothing there.

    Attributes
    ----------
    starts : list of type
        The kinds of the nodes of what is returned.
    looks : tuple of tuple
        For each node that is looked at, in order, what is behind it.
    ends : list of int
        Which of them are wanted.
    parts : list of tuple
        Those that take a part of something, with the attribute that tells which, and that.
    """

    starts: list[type]
    looks: tuple[tuple[_Edge, ...], ...] = field(compare=False)
    ends: list[int]
    parts: list[tuple[int, str, int]]
    _looks_alike: tuple[tuple[_Edge, ...], ...] = field(repr=False)

    @property
    def inputs(self) -> int:
        """Behind how many edges there may be anything."""
        return sum(edge.kind is None for look in self.looks for edge in look)

    @classmethod
    def to(cls, wanted: Sequence[Node], returned: Any, checked: Sequence[Node] = (), since: int = 0) -> Way | None:
        """The way to some nodes, by others whose parameters and parts are checked too; None where one leads nowhere.

        Nodes before the number `since` are behind the inputs, and so are variables that are no parameters.

        Examples
        --------
        >>> import torch
        >>> y = torch.relu(torch.ones(3, requires_grad=True) * 1)
        >>> way = Way.to([y.grad_fn], y.sum() * 2)
        >>> [node.name() for node in way.nodes(y.sum() * 2)]
        ['ReluBackward0']
        >>> way.nodes((y + 1).sum() * 2) is None
        True
        """
        if any(node._sequence_nr() < since for node in (*wanted, *checked)):
            since = 0  # an activation by itself, behind a layer that ran before
        nodes = list(_roots(returned))
        starts = list(map(type, nodes))
        places = {node: place for place, node in enumerate(nodes)}
        before = [-1] * len(nodes)
        for place, node in enumerate(nodes):  # which grow meanwhile
            for behind, _ in node.next_functions:
                if behind is not None and behind not in places and not _is_behind_input(behind, since):
                    places[behind] = len(nodes)
                    nodes.append(behind)
                    before.append(place)
        if any(node not in places for node in wanted):
            return None
        along = set(range(len(starts)))
        for node in (*wanted, *checked):
            place = places[node]
            while place not in along:
                along.add(place)
                place = before[place]
        bare = {place for place in along if not any(map(is_learned, nodes[place].next_functions))}
        beside = {place for place, node in enumerate(nodes) if before[place] in bare and node.next_functions}
        order = {place: number for number, place in enumerate(sorted(along | beside))}
        looks = []
        for place in order:
            edges = nodes[place].next_functions
            first = {places[node]: number for number, (node, _) in reversed(list(enumerate(edges))) if node in places}
            followed = {number for child, number in first.items() if child in order and before[child] == place}
            looks.append(
                tuple(
                    _Edge(None, 0, False, 0)
                    if node is not None and _is_behind_input(node, since)
                    else _Edge(type(node), id(node.variable) if is_learned((node, 0)) else 0, nth in followed, number)
                    for nth, (node, number) in enumerate(edges)
                )
            )
        alike = [tuple(edge._replace(kind=edge.kind or type(None)) for edge in look) for look in looks]
        taken = [(order[places[node]], *part) for node in dict.fromkeys(checked) for part in _parts_of(node)]
        return cls(starts, tuple(looks), [order[places[node]] for node in wanted], taken, tuple(alike))

    def nodes(self, returned: Any) -> list[Node] | None:
        """The nodes at its ends in another forward pass; None where that did something else."""
        found = [returned.grad_fn] if type(returned) is Tensor else list(_roots(returned))
        if list(map(type, found)) != self.starts:
            return None
        if not follow(found, self.looks) or any(getattr(found[place], name) != part for place, name, part in self.parts):
            return None
        return [found[place] for place in self.ends]


def is_learned(edge: tuple[Node, int]) -> bool:
    """Whether an edge leads to a learned parameter, and not to an input for which there are gradients, too."""
    return isinstance(getattr(edge[0], "variable", None), nn.Parameter)


def _is_behind_input(node: Node, since: int) -> bool:
    """Whether a node is none of those that a network made, nor a learned parameter."""
    return bool(node._sequence_nr() < since or (hasattr(node, "variable") and not is_learned((node, 0))))


def next_node() -> int:
    """The number of the next node."""
    return int(torch._C._autograd._get_sequence_nr())


def gradients_are_computed(task: Callable[[], int] = torch._C._current_graph_task_id) -> bool:
    """Whether this runs inside of a backward pass."""
    return task() != -1


def _roots(returned: Any) -> Iterator[Node]:
    """The nodes that made the tensors in what a network returns."""
    if isinstance(returned, Tensor):
        if returned.grad_fn is not None:
            yield returned.grad_fn
    elif isinstance(returned, Mapping | tuple | list):
        for part in returned.values() if isinstance(returned, Mapping) else returned:
            yield from _roots(part)
    elif is_dataclass(returned):
        for part in fields(returned):
            yield from _roots(getattr(returned, part.name))
