"""What activations did in a pass, where that is kept until the network has returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from rectified.torch.graph import Node

SMALL = 2**15  # elements, which cost little to keep or to copy


class Kept(NamedTuple):
    """What an activation got and gave, the versions of these tensors then, and the node of what it gave."""

    x: Tensor
    y: Tensor
    versions: tuple[int, int]
    node: Node | None

    @classmethod
    def of(cls, x: Any, y: Any) -> Kept | None:
        """None for what may be changed unseen."""
        if type(x) is type(y) is Tensor and not (x.is_inference() or y.is_inference()):
            return cls(x, y, (x._version, y._version), y.grad_fn)
        return None

    @property
    def is_small(self) -> bool:
        """Whether to keep it costs little."""
        return self.x.numel() <= SMALL

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was written to the tensors since."""
        return self.versions == (self.x._version, self.y._version)


class Calls:
    """Calls of what may be activations in a pass, of which some are kept until the network returns.

    Parameters
    ----------
    are_kept : sequence of bool
        Which of them.

    Attributes
    ----------
    kept : dict
        What these did, by the nodes of what they gave.
    are_small : bool
        Whether that costs little.
    """

    def __init__(self, are_kept: Sequence[bool]) -> None:
        self._are_kept, self._count = are_kept, 0
        self.kept: dict[Node, Kept | None] = {}
        self.are_small = True

    def add(self, x: Any, y: Any) -> None:
        """There was one more."""
        if self._count < len(self._are_kept) and self._are_kept[self._count]:
            kept = Kept.of(x, y)
            if kept is not None:
                self.kept[kept.node] = kept
                self.are_small &= kept.is_small
        self._count += 1

    @property
    def are_all(self) -> bool:
        """Whether there were as many as expected."""
        return self._count == len(self._are_kept)
