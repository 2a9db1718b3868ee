"""Which steps of a trace a picture shows: those at which something happened."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trm.plot.looks import Floats, glow

if TYPE_CHECKING:
    from trm.inference.answers import Answer, Step


def chosen_step(answer: Answer) -> Step:
    """The step that the answer was taken from."""
    same = [step for step in answer.trace if np.array_equal(step.tokens, answer.tokens)]
    return max(same or answer.trace, key=lambda step: step.confidence)


def start_positions(steps: Sequence[Step]) -> list[int]:
    """The index of the first step of each start."""
    return [at for at, step in enumerate(steps) if at == 0 or step.start != steps[at - 1].start]


def glows(steps: Sequence[Step]) -> list[Floats]:
    """The glow of the cells [height, width] after each step."""
    found: list[Floats] = []
    for at, step in enumerate(steps):
        first = at == 0 or step.start != steps[at - 1].start
        found.append(glow(step.memory, None if first else found[-1]))
    return found


def changes(steps: Sequence[Step]) -> npt.NDArray[np.float64]:
    """How much happened in each step: [steps], in total 2 at most.

    The sum of two shares: of how far the probabilities moved in all steps together, and of how far the memory did. A
    start's first step has 0, since it comes from no other.
    """
    moved, memory = np.zeros(len(steps)), np.zeros(len(steps))
    for at in range(1, len(steps)):
        before, step = steps[at - 1], steps[at]
        if step.start == before.start:
            moved[at] = np.abs(step.probabilities - before.probabilities).sum()
            memory[at] = np.minimum(step.memory, 1).sum()
    total: npt.NDArray[np.float64] = moved / max(moved.sum(), 1e-9) + memory / max(memory.sum(), 1e-9)
    return total


def shown_steps(steps: Sequence[Step], chosen: Step, most: int) -> list[Step]:
    """At most `most` >= 3 steps: the first, the last, the chosen one, the best before a restart, and others.

    The others are placed so that about as much happened before each of them, as `changes` says.
    """
    if len(steps) <= most:
        return list(steps)
    kept = {0, chosen.number - 1, len(steps) - 1}
    kept |= set(best_before_restarts(steps)[: (most - len(kept) + 1) // 2])
    happened = np.cumsum(changes(steps) + 1e-9)
    while len(kept) < most:
        edges = sorted(kept)
        # Halve the widest gap: the one in which most happened, of those that hide a step.
        gaps = [(happened[end - 1] - happened[begin], begin, end) for begin, end in pairwise(edges)]
        _, begin, end = max(gap for gap in gaps if gap[2] - gap[1] > 1)
        half = (happened[begin] + happened[end - 1]) / 2
        kept.add(begin + 1 + int(np.abs(happened[begin + 1 : end] - half).argmin()))
    return [steps[at] for at in sorted(kept)]


def best_before_restarts(steps: Sequence[Step]) -> list[int]:
    """The index of the most confident step of each start but the last, the most confident of them first."""
    starts = start_positions(steps)
    best = [max(range(first, end), key=lambda at: steps[at].confidence) for first, end in pairwise(starts)]
    return sorted(best, key=lambda at: -steps[at].confidence)
