"""Every function by name: one row for each, in a file for each category."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rectified.activation import Activation
from rectified.catalogue import fold, radial, ridge
from rectified.catalogue.docstrings import describe

_CATEGORIES = ("ridge", "radial", "fold")
_ALL = "list(rectified.catalogue) has all names, and so has the command rectified list"


class Catalogue(Mapping[str, Activation]):
    """A read-only mapping from names to activations, in the catalogue's order.

    Other names of a function are found too, but iterating gives each function once.

    Examples
    --------
    >>> import rectified as rf
    >>> rf.catalogue["leaky_relu"]
    <leaky_relu(x, slope=0.01) = x if x > 0 else slope * x>
    >>> list(rf.catalogue.of("fold"))
    ['maxout', 'softmax', 'softmin', 'log_softmax', 'sparsemax', 'hardmax', 'glu', 'swiglu', 'geglu', 'reglu', 'crelu']
    """

    def __init__(self, activations: Iterable[Activation]) -> None:
        self._by_name = {activation.name: activation for activation in activations}
        self._names = {alias: name for name, found in self._by_name.items() for alias in (name, *found.also_known_as)}

    def __getitem__(self, name: str) -> Activation:
        known = self._names.get(name)
        if known is None:
            raise KeyError(f"no activation is called {name!r}; {self._suggestion(name) or _ALL}")
        return self._by_name[known]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"<{len(self)} activations: {', '.join(self)}>"

    def of(self, category: str) -> Catalogue:
        """The functions of one category: ``"ridge"``, ``"radial"`` or ``"fold"``."""
        if category not in _CATEGORIES:
            raise ValueError(f"no category is called {category!r}; there are {', '.join(_CATEGORIES)}")
        return Catalogue(found for found in self.values() if found.category == category)

    def _suggestion(self, name: str) -> str:
        """The functions whose names are near; empty where none is."""
        from difflib import get_close_matches

        spelt: dict[str, str] = {}
        for alias, found in self._names.items():
            spelt.setdefault(_folded(alias), found)
        near = dict.fromkeys(spelt[each] for each in get_close_matches(_folded(str(name)), spelt, n=3))
        return f"did you mean {' or '.join(near)}?" if near else ""


def _folded(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


catalogue = Catalogue(
    found
    for module in (ridge, radial, fold)
    for found in vars(module).values()
    if isinstance(found, Activation) and found.category == module.__name__.rpartition(".")[2]
)
describe(catalogue.values())
