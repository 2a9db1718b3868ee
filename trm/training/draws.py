"""Random numbers of training, each a pure function of the seed and of counters (see `trm.tasks.sampler`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm.tasks.sampler import CARRY, HALTING, START


def halting_draws(seed: int, step: int, batch: int) -> npt.NDArray[np.float64]:
    """Uniform draws [batch, 2] for halting exploration at supervision step `step` of the run, for the global batch."""
    return np.random.default_rng([seed, HALTING, step]).random((batch, 2))


def carry_draw(seed: int, slot: int, taken: int) -> float:
    """Uniform in [0, 1): whether `slot` keeps its state for the puzzle it takes after `taken` others."""
    return float(np.random.default_rng([seed, CARRY, slot, taken]).random())


def start_noise(seed: int, slot: int, taken: int, count: int, device: torch.device) -> Tensor:
    """Normal draws [count] for the state from which `slot` starts on the puzzle it takes after `taken` others.

    A device other than the CPU draws its own: numpy's would take it longer than the rest of a training step.
    """
    key = [seed, START, slot, taken]
    if device.type == "cpu":
        return torch.from_numpy(np.random.default_rng(key).standard_normal(count, np.float32))
    state = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    return torch.randn(count, generator=torch.Generator(device).manual_seed(state), device=device)
