"""A run of a network whose units are known: what the tests of rectified.health compare with."""

from __future__ import annotations

import numpy as np

import rectified as rf
from rectified.health import Evidence, Run

DEAD, ALWAYS_ON, DIED, BACK = [3, 7, 8, 9], [30], [12, 13], [20]
SATURATED = [5, 6, 7, 8, 9, 10, 11]


def planted(seed: int = 0, steps: int = 200, name: str = "net.1") -> Run:
    """A ReLU layer of 64 units and a sigmoid layer of 40.

    Some ReLUs are dead, one is always on, two die at step 120, and one is silent from step 60 to 99; some sigmoids are
    saturated.
    """
    run = Run("python train.py", "2026-11-25T18:00:00")
    rng = np.random.default_rng(seed)
    relu, sigmoid = run.layer(name, "relu", 64), run.layer("net.3", "sigmoid", 40)
    for step in range(steps):
        x = rng.normal(size=(32, 64))
        x[:, DEAD] = -1
        x[:, ALWAYS_ON] = np.abs(x[:, ALWAYS_ON]) + 0.1
        if step >= 120:
            x[:, DIED] = -5
        if 60 <= step < 100:
            x[:, BACK] = -1
        relu.add(Evidence.of(rf.relu, x, step=step, gradient=np.ones_like(x)))
        y = 2 * rng.normal(size=(32, 40))
        y[:, SATURATED] = np.where(np.arange(7) % 2, 20, -20)
        sigmoid.add(Evidence.of(rf.sigmoid, y, step=step, gradient=np.ones_like(y)))
    return run
