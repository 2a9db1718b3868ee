"""Small ARC tasks that tests of adapting share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trm.adapt.learn import AdaptSettings
from trm.tasks.arc.text import ArcTask, Grid, Pair

RNG = np.random.default_rng(0)
SMALL = AdaptSettings(seconds=None, updates=100, models=1, width=16, n=1, supervised=2, lr=0.02)


def task_of(answer: Callable[[Grid], Grid], *questions: Grid, id: str = "made") -> ArcTask:
    """A task whose rule is `answer`. The last question is the test."""
    pairs = tuple(Pair(question, answer(question)) for question in questions)
    return ArcTask(id, pairs[:-1], pairs[-1:])


def noise(*shapes: tuple[int, int], colours: int = 4) -> list[Grid]:
    """Random grids of these shapes."""
    return [RNG.integers(0, colours, shape).astype(np.uint8) for shape in shapes]


RECOLOUR = task_of(
    lambda q: np.where(q == 1, 2, q).astype(np.uint8),
    *noise((4, 4), (4, 5), (5, 4), (5, 5), (4, 6), (4, 4)),
    id="recolour",
)
MIRROR = task_of(lambda q: q[:, ::-1], *noise((3, 3), (2, 4), (4, 3), (3, 4)), id="mirror")
TWICE = task_of(lambda q: np.kron(q, np.ones((2, 2), np.uint8)), *noise((2, 2), (2, 3), (3, 1), (1, 2)), id="twice")


def few(*arguments: str) -> list[str]:
    """The command line of `trm adapt` with little training."""
    return ["adapt", *arguments, "--updates", "2", "--models", "1"]
