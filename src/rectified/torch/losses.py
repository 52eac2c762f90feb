"""Which activations belong to a loss, and are no layers."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from rectified.activation import Ridge
from rectified.health.record import Run
from rectified.torch.by_hand import SUMS, Term, plain
from rectified.torch.calls import Origin
from rectified.torch.functions import LOSSES
from rectified.torch.network import Network
from rectified.torch.networks import Networks
from rectified.torch.origins import Origins
from rectified.torch.schedule import Schedule
from rectified.torch.site import Site
from rectified.torch.units import is_maker

_NAMES = frozenset({"softplus", "logsigmoid"})  # with logits, where their mean is taken
_RECTIFIERS = ("relu", "logsigmoid")  # outside of networks, of what was computed of their outputs
_WEIGHTINGS = frozenset({"mul", "multiply", "div", "divide", "true_divide", "truediv"})
_STEPS = frozenset({"pow", "square", "sqrt", "abs", "absolute", "exp", "log"})  # that no layer takes by itself


class Losses:
    """What becomes of activations whose outputs go into losses, or into other layers."""

    def __init__(self, networks: Networks, origins: Origins, schedule: Schedule, run: Run) -> None:
        self._networks, self._origins = networks, origins
        self._schedule, self._run = schedule, run

    def see_average(self, name: str, x: Any, network: Network | None) -> None:
        """Do not count an activation in a loss, of which the mean is taken at once, in a network or outside of any.

        What a network returned before that is its own.
        """
        for site in in_average(name, self._origins.terms.get(x)):
            if not self._schedule.is_followed if site.is_outside else (network is None or not network.holds(site)):
                continue
            if not site.axes or self._networks.own(site.layers_behind):
                self.leave(site)

    def see_use_of_logits(self, use: Site | str, x: Any) -> None:
        """Leave activations to a loss that gets their inputs for logits, unless a layer gets their outputs."""
        if isinstance(x, Tensor):
            uses = self._origins.uses(x)
            uses.append(use)
            if LOSSES.intersection(each for each in uses if isinstance(each, str)):
                for site in (each for each in uses if isinstance(each, Site)):
                    if not site.is_part and not site.feeds_layer:
                        self.leave(site)

    def see_softmax(self, loss: str, origin: Origin | None) -> None:
        """Say where a loss that expects logits gets what softmax gave."""
        if origin is None or not origin.is_softmax:
            return
        if self._networks.are_all or not origin.sources or self._networks.own(origin.sources):
            self._run.note(note_of_softmax(loss))

    def see_use(self, name: str, x: Any, *others: Any) -> None:
        """Count activations whose outputs another layer gets, whatever else becomes of them."""
        given = [part for each in others for part in (each if isinstance(each, list | tuple) else [each])]
        if not is_maker(name) or not any(isinstance(each, nn.Parameter) or _learns(each) for each in given):
            return
        term, origin = self._origins.terms.get(x), self._origins.of(x)
        for site in {term and term.activation, *(origin.passed if origin else ())} - {None}:
            if not site.feeds_layer:
                site.feeds_layer = True
                if note_of(site) in self._run.notes:
                    self._run.take_back(note_of(site))
                    site.is_part = False
                    self._schedule.outside |= {site} if site.is_outside else set()

    def leave(self, site: Site) -> None:
        """Do not count an activation, since it is a part of a loss."""
        site.is_part = True
        self._schedule.outside.discard(site)
        self._run.note(note_of(site))

    def compares(self, site: Site, x: Tensor) -> bool:
        """Whether an activation outside of networks is a rectifier of what is computed of their outputs."""
        return site.is_outside and site.function in _RECTIFIERS and self.is_computed(x)

    def is_computed(self, x: Tensor) -> bool:
        """Whether a tensor is no output of a network, but computed of such, as what two boxes have in common."""
        term, sources = self._origins.terms.get(x), self._origins.sources(x)
        is_of_network = self._networks.own(sources) if sources else x.requires_grad
        if term is None or any(each.is_learned and each.is_many for each in term.terms):
            return False  # with a bias, for instance, it is what a layer gave that is written by hand
        return bool(term.args and self._networks and is_of_network)


def in_average(name: str, term: Term | None) -> Iterator[Any]:
    """The activations that belong to a loss, if what they get is of layers, where a term is added up to one number.

    Their inputs are computed of what layers gave. An activation of just that may be a layer, too.
    """
    if term is None or name not in SUMS:
        return
    for site in (_averaged(term), *(site for site in _computed_in(term) if not site.axes)):
        if site is not None and not site.is_part and not site.feeds_layer and _is_bounded_on_one_side(site):
            yield site


def note_of(site: Any) -> str:
    """What to say of an activation in a loss."""
    return f"{site.name}: it is a part of a loss, and no layer"


def note_of_bound(site: Any) -> str:
    """The same of a clamp."""
    return f"{site.name}: it only bounds what it gets, and is no layer"


def note_of_softmax(loss: str) -> str:
    """What to say where a loss gets what softmax gave, and expects logits."""
    return f"{loss} expects logits, which are any numbers, and gets what softmax gave: leave that out"


def is_bound(term: Term | None, origin: Origin | None, clamp: Ridge) -> bool:
    """Whether a clamp is there for safety: of 1 less a square, of a cosine, of what an activation gives within bounds."""
    given = term.activation if term is not None and term.activation is not None else origin and origin.activation
    if given is not None:
        (low, high), (lowest, highest) = clamp.range, given.activation.range
        return bool(low <= lowest and highest <= high and given.factor == 1)
    if origin is not None and (origin.is_softmax or (origin.is_normal and clamp.range == (-1, 1))):
        return True
    while term is not None and term.name not in _STEPS:
        term = term.varying[0] if len(term.varying) == 1 else None
    return term is not None


def _averaged(term: Term) -> Any:
    """The activation whose outputs, or a function of them alone, are added up; None where it is none.

    They may be weighted, and added up before. Where more than single numbers is learned, it may be a layer's.
    """
    while term.activation is None:
        if _is_of_weights(term):
            return None
        varying = [term.summed] if term.summed is not None else term.varying
        if plain(term.name) in _WEIGHTINGS and len(varying) > 1:
            varying = [each for each in varying if any(other.activation is not None for other in each.behind)]
        if len(varying) != 1:
            return None
        (term,) = varying
    return term.activation if _is_computed(term) and not _is_of_weights(term) else None


def _computed_in(term: Term) -> list[Any]:
    """The activations of which a term is a function, number by number or by sums: those whose inputs are computed."""
    waiting = [term]
    for term in waiting:  # which grow meanwhile
        behind = {each.summed for each in term.behind if each.summed is not None}
        waiting += [each for each in behind if each not in waiting]
    found = [each for term in waiting for each in term.behind if each.activation is not None]
    return [each.activation for each in found if _is_computed(each)]


def _is_computed(term: Term) -> bool:
    """Whether the inputs of this activation are not as a layer gave them, or it is one that only losses get so."""
    inputs = term.varying if term.base is None else [term.base]
    return any(each.args for each in inputs) or (term.activation.is_outside and term.activation.function in _NAMES)


def _is_of_weights(term: Term) -> bool:
    """Whether more than single numbers that are learned, such as a temperature, are behind a term."""
    return any(each.is_learned and each.is_many for each in term.behind)


def _is_bounded_on_one_side(site: Any) -> bool:
    low, high = site.activation.range
    return isfinite(low) is not isfinite(high)


def _learns(value: Any) -> bool:
    """Whether a value is a tensor that may have gradients."""
    return isinstance(value, Tensor) and (value.requires_grad or not torch.is_grad_enabled())
