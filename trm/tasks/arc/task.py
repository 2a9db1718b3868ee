"""ARC-AGI as a task: token arrays of its pairs, and the protocol `trm.tasks.base.Task`.

Tokens are those of `trm.tasks.arc.augment`. A pair's answer is unknown where its tokens are all 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from trm.errors import BadInput
from trm.tasks.arc.augment import (
    CELLS,
    CORNER,
    END,
    FIRST,
    PAD,
    decode,
    encode,
    identifier,
    locate,
    random_augmentation,
    random_offset,
    well_formed,
)
from trm.tasks.arc.text import COLOURS, SIDE, VERSIONS, ArcTask, Pair, parse, show
from trm.tasks.base import Bools, Ints, Puzzles, Spec, Task, Tokens

STILL = 0.25  # of the draws leave the grids at the corner, where evaluation has them; one pair in three or four


def training_tasks(training: Iterable[ArcTask], evaluation: Iterable[ArcTask] = ()) -> tuple[ArcTask, ...]:
    """All that may be trained on: the training tasks whole, and the demonstrations of the evaluation tasks."""
    return (*training, *(ArcTask(task.id, task.train, ()) for task in evaluation))


def training_rows(tasks: Sequence[ArcTask]) -> list[tuple[int, int, Pair]]:
    """(number of the task, number of the pair in it, pair) of every pair with an answer, in order."""
    return [
        (at, number, pair)
        for at, task in enumerate(tasks)
        for number, pair in enumerate(task.train + task.test)
        if pair.answer is not None
    ]


@dataclass(frozen=True)
class ArcPuzzles(Puzzles):
    """Pairs as tokens, and the tasks they are from, which the sampler of training augments on the fly."""

    tasks: tuple[ArcTask, ...] = ()

    def about(self) -> dict[str, Any]:
        """Which tasks, in the order of their embeddings, and which of them with their tests."""
        ids = [task.id for task in self.tasks]
        return {"tasks": ids, "tests_too": [task.id for task in self.tasks if task.test]}

    def content(self) -> bytes:
        """Augmentations depend on the ids, and on how many pairs a task has."""
        more = "".join(f"\0{task.id}\0{len(task.train)}\0{len(task.test)}" for task in self.tasks)
        return super().content() + more.encode()


def training_pairs(tasks: Sequence[ArcTask], augmentations: int = 0, remarks: tuple[str, ...] = ()) -> ArcPuzzles:
    """Every pair with an answer as tokens, not augmented: augmentations are drawn when they are needed.

    `ids` are those of each task as it is, in a table with `augmentations` more rows for each (see `identifier`).
    """
    rows = training_rows(tasks)
    pairs = _encoded([pair for _, _, pair in rows], [identifier(at, 0, augmentations) for at, _, _ in rows])
    return ArcPuzzles(pairs.question, pairs.answer, pairs.ids, remarks, tuple(tasks))


def evaluation_pairs(tested: Iterable[ArcTask], tasks: Sequence[ArcTask] = (), augmentations: int = 0) -> Puzzles:
    """Every test pair of `tested` as tokens; `ids` those that `training_pairs(tasks, augmentations)` gave the task.

    A task that was not trained on gets the blank row, 0.
    """
    known = {task.id: identifier(at, 0, augmentations) for at, task in enumerate(tasks)}
    rows = [(known.get(task.id, 0), pair) for task in tested for pair in task.test]
    return _encoded([pair for _, pair in rows], [id for id, _ in rows])


def _encoded(pairs: Sequence[Pair], ids: Sequence[int]) -> Puzzles:
    question, answer = (np.zeros((len(pairs), CELLS), np.uint8) for _ in range(2))
    for row, pair in enumerate(pairs):
        question[row], answer[row] = tokens(pair)
    rows: Ints = np.array(ids, np.int64)
    return Puzzles(question, answer, rows)


def tokens(pair: Pair) -> tuple[Tokens, Tokens]:
    """Question and answer [900] each, at the corner; an unknown answer is all 0."""
    answer = np.zeros(CELLS, np.uint8) if pair.answer is None else encode(pair.answer)
    return encode(pair.question), answer


@dataclass(frozen=True)
class Arc(Task):
    """The task `trm.tasks.base.Task` for one of the benchmarks. Every pair of a task is a puzzle of its own."""

    name: str = "arc-agi-1"

    def __post_init__(self) -> None:
        if self.name not in VERSIONS:
            raise BadInput(f"no ARC benchmark {show(self.name)}; choose one of {', '.join(VERSIONS)}")

    @cached_property
    def spec(self) -> Spec:
        # Colours are no interchangeable symbols to a model: 0 is nearly always the background.
        return Spec(self.name, SIDE, SIDE, vocab=FIRST + COLOURS, first_symbol=FIRST + COLOURS)

    def read(self, text: str) -> Puzzles:
        """The pairs of each task of `text`, JSON of one or of many: demonstrations, then tests. Raises BadInput."""
        rows = [(at, pair) for at, task in enumerate(parse(text)) for pair in task.train + task.test]
        return _encoded([pair for _, pair in rows], [identifier(at, 0, 0) for at, _ in rows])

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """One random symmetry and place on the board of both ([900] each)."""
        augmentation = random_augmentation(rng)
        grids = [decode(part, locate(part)) for part in (question, answer)]
        images = [None if grid is None else augmentation.apply(grid) for grid in grids]
        shapes = [image.shape for image in images if image is not None]
        offset = CORNER if rng.random() < STILL or not shapes else random_offset(rng, *shapes)
        blank = np.zeros_like(question)
        first, second = (blank if image is None else encode(image, offset) for image in images)
        return first, second

    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """The question itself: no cell of an ARC answer has a place in the question."""
        return question

    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows of `answer` [rows, 900] hold a grid where the question's is, closed off by end markers."""
        return np.array([well_formed(a, locate(q)) for q, a in zip(question, answer, strict=True)], bool)

    def draw(self, tokens: Tokens) -> str:
        """[900] -> the whole board: digits for colours, # for end markers, . for padding."""
        signs = np.array([*"." * (PAD + 1), *"#" * END, *map(str, range(COLOURS))])
        return "\n".join("".join(row) for row in signs[tokens.reshape(SIDE, SIDE)])
