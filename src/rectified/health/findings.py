"""What is wrong with a network as a whole; a healthy one has no findings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from rectified.health.verdict import DEAD, RULE, Rule, Verdict

_ENOUGH = 10  # batches without a gradient: a part that few examples go through has some, where these are in no loss


class Finding(NamedTuple):
    """Something to look at: what kind it is, in which layer, and a sentence."""

    kind: str
    layer: str
    message: str


def find(verdicts: Sequence[Verdict], rule: Rule = RULE) -> list[Finding]:
    """What the verdicts say about the network.

    Returns
    -------
    list of Finding
        Of these kinds: ``<function>_on_output`` where an activation that can not give every number stands before a loss
        that expects logits, ``mostly_dead``, ``vanishing_gradient``, ``nan_inputs``.
    """
    networks = [list(network) for _, network in groupby(sorted(verdicts, key=_network), _network)]
    unknown = {verdict.layer.name: message for network in networks for verdict, message in _with_nan(network)}
    weak = {verdict.layer.name: message for network in networks for verdict, message in _without_gradient(network, rule)}
    found = []
    for verdict in verdicts:
        name = verdict.layer.name
        found += [Finding(kind, name, message) for kind, message in _of_layer(verdict)]
        if name in unknown:
            found.append(Finding("nan_inputs", name, unknown[name]))
        if name in weak:
            found.append(Finding("vanishing_gradient", name, weak[name]))
    return found


def _network(verdict: Verdict) -> str:
    """With what the names of a network begin that is not the first."""
    found = re.match(r"\w+#\d+", verdict.layer.name)
    return found[0] if found else ""


def _without_gradient(network: Sequence[Verdict], rule: Rule) -> Iterator[tuple[Verdict, str]]:
    """The layers that get none, and those whose gradient is lost by and by from one layer to the next.

    Where one step loses so much, it is none of the gradient's way: one layer has another loss, or a branch of its own.
    """
    known = [(norm, verdict) for verdict in network if np.isfinite(norm := verdict.gradient_norm)]
    times = max((sum(window.gradients > 0 for window in verdict.history.windows) for verdict in network), default=0)
    for place, (norm, verdict) in enumerate(known):
        largest, strongest = max(known, key=itemgetter(0)) if norm == 0 else (norm, verdict)
        for its, later in known[place + 1 :]:
            if its > largest >= rule.vanishing * its:
                largest, strongest = its, later
        is_certain = norm > 0 or _without(verdict) >= min(times, _ENOUGH)
        if norm < rule.vanishing * largest and is_certain and not _has_just_begun(verdict):
            message = f"the gradient has a length of {norm:.2g}, but of {largest:.2g} in {strongest.layer.name}"
            yield verdict, f"{message}: it hardly learns"


def _of_layer(verdict: Verdict) -> Iterator[tuple[str, str]]:
    layer = verdict.layer
    low, high = layer.activation.range
    if layer.feeds_loss and np.isfinite([low, high]).any():
        yield (
            f"{layer.function}_on_output",
            f"{layer.feeds_loss} expects logits, which are any numbers, and {layer.function} gives none "
            f"{_outside(low, high)}: leave it out",
        )
    dead = len(verdict.of(DEAD))
    if 2 * dead > layer.units:
        yield "mostly_dead", f"{dead:,} of {layer.units:,} units are dead"


def _with_nan(network: Sequence[Verdict]) -> Iterator[tuple[Verdict, str]]:
    """The first layer that got NaN; those behind it have them from there."""
    found = [verdict for verdict in network if verdict.history.total.nans.any()]
    for first in found[:1]:
        total, others = first.history.total, len(found) - 1
        message = f"some inputs were NaN, so {total.nans.sum():,} of {total.samples * first.layer.units:,} are left out"
        yield first, f"{message}, and of {others} layer{'s'[: others > 1]} behind it" if others else message


def _outside(low: float, high: float) -> str:
    sides = [f"below {low:g}"] * bool(np.isfinite(low)) + [f"above {high:g}"] * bool(np.isfinite(high))
    return " or ".join(sides)


def _without(verdict: Verdict) -> int:
    """How many batches there were since the last one with a gradient."""
    last = takewhile(lambda window: window.gradient_squares == 0, reversed(verdict.history.windows))
    return sum(window.gradients for window in last)


def _has_just_begun(verdict: Verdict) -> bool:
    """Whether nothing is known of its gradient but that of a first step: a branch may begin with a factor of 0."""
    windows = verdict.history.windows
    return len(windows) == 1 and windows[0].steps[0] < windows[0].steps[1]
