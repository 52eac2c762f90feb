"""What is wrong with a network as a whole; a healthy one has no findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rectified.health.verdict import DEAD, RULE, Rule, Verdict


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
    norms = [verdict.gradient_norm for verdict in verdicts]
    largest = max((norm for norm in norms if np.isfinite(norm)), default=0.0)
    found = []
    for verdict, norm in zip(verdicts, norms, strict=True):
        name = verdict.layer.name
        found += [Finding(kind, name, message) for kind, message in _of_layer(verdict)]
        if norm < rule.vanishing * largest and not _has_just_begun(verdict):
            strongest = verdicts[norms.index(largest)].layer.name
            message = f"the gradient has a length of {norm:.2g}, but of {largest:.2g} in {strongest}: it hardly learns"
            found.append(Finding("vanishing_gradient", name, message))
    return found


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
    total = verdict.history.total
    nans = int(total.nans.sum())
    if nans:
        yield "nan_inputs", f"some inputs were NaN, so {nans:,} of {total.samples * layer.units:,} are left out"


def _outside(low: float, high: float) -> str:
    sides = [f"below {low:g}"] * bool(np.isfinite(low)) + [f"above {high:g}"] * bool(np.isfinite(high))
    return " or ".join(sides)


def _has_just_begun(verdict: Verdict) -> bool:
    """Whether nothing is known of its gradient but that of a first step: a branch may begin with a factor of 0."""
    windows = verdict.history.windows
    return len(windows) == 1 and windows[0].steps[0] < windows[0].steps[1]
