"""What runs now: the modules of a network that have begun, and how closely their calls are looked at."""

from __future__ import annotations

import torch
from torch import nn

from rectified.health.record import Run
from rectified.torch.draft import Draft
from rectified.torch.kept import Calls
from rectified.torch.kinds import unwrapped
from rectified.torch.network import Network
from rectified.torch.networks import Networks
from rectified.torch.site import is_activation


class Running:
    """The network that runs, and what is known of its pass.

    Parameters
    ----------
    networks : Networks
        All that have run.
    run : Run
        The record.

    Attributes
    ----------
    network : Network or None
        The one that runs; None outside of all.
    skipped : Module or None
        One that runs and is not looked at.
    stack : list of Module
        Its modules that have begun and not ended, from itself.
    before : list of Module or None
        For each of these, the module that ran last in it.
    draft : Draft or None
        Of a plan, in a pass of which one is made.
    calls : Calls or None
        Those of activations, where what they do is kept until the network returns.
    is_tracking : bool
        Whether all calls are followed.
    follows_terms, needs_terms : bool
        Whether calls are followed as far as that tells the inputs of what several of them are together: now, and outside of
        networks.
    """

    def __init__(self, networks: Networks, run: Run) -> None:
        self.networks, self.run = networks, run
        self.network: Network | None = None
        self.skipped: nn.Module | None = None
        self.stack: list[nn.Module] = []
        self.before: list[nn.Module | None] = []
        self.draft: Draft | None = None
        self.calls: Calls | None = None
        self.is_tracking = True
        self.follows_terms = self.needs_terms = False

    def push(self, module: nn.Module) -> None:
        """A module has begun."""
        self.stack.append(module)
        self.before.append(None)

    def owner(self) -> nn.Module | None:
        """The innermost module that runs and is a part of a network; None for an activation by itself."""
        network, stack = self.network, self.stack
        if network is None or not stack or is_activation(stack[0]):
            return None
        return next(module for module in reversed(stack) if network.has(module))

    def key(self, module: nn.Module, place: int) -> tuple[int, int, int]:
        """By what a call of an activation is known: the module in which it runs, and the one that ran there before."""
        if place < 0 or self.network is None:
            return id(module), 0, 0
        outer = self.stack[place]
        return id(module), id(outer) if self.network.has(outer) else 0, id(self.before[place])

    def note_unseen(self, text: str, module: nn.Module | None = None) -> None:
        """Say what could not be seen of a module that begins, or of a call, if it is looked at."""
        is_wanted = self.network is not None or self.networks.looks_at(None if module is None else unwrapped(module))
        if is_wanted and self.skipped is None and not torch.compiler.is_compiling():
            self.run.note(text)


def trains(owner: nn.Module | None) -> bool:
    """Whether what a module runs is in training; what none runs is where gradients are enabled."""
    return torch.is_grad_enabled() if owner is None else owner.training
