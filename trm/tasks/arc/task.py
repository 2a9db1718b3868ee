"""ARC-AGI as a task (`trm.tasks.base.Task`), and its pairs as token arrays.

The tokens are those of `trm.tasks.arc.augment`. An answer that is not known is all 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

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
from trm.tasks.arc.text import COLOURS, SIDE, VERSIONS, ArcTask, Pair, parse
from trm.tasks.base import Bools, Ints, Puzzles, Spec, Task, Tokens
from trm.tasks.text import quoted

# Share of pairs that `Arc.augment` leaves at the corner, where evaluation has them. The sampler of training leaves as
# many there: one of the three or four pairs of a task.
STILL = 0.25


def training_tasks(training: Iterable[ArcTask], evaluation: Iterable[ArcTask] = ()) -> tuple[ArcTask, ...]:
    """All that may be trained on: whole training tasks, and the demonstrations of the evaluation tasks."""
    return (*training, *(ArcTask(task.id, task.train, ()) for task in evaluation))


class TrainingRow(NamedTuple):
    task: int  # its number in the sequence of tasks
    number: int  # of the pair in its task, from 0, demonstrations first, then tests
    pair: Pair  # with an answer


def training_rows(tasks: Sequence[ArcTask]) -> list[TrainingRow]:
    """Every pair with an answer, in order."""
    return [
        TrainingRow(at, number, pair)
        for at, task in enumerate(tasks)
        for number, pair in enumerate(task.train + task.test)
        if pair.answer is not None
    ]


@dataclass(frozen=True)
class ArcPuzzles(Puzzles):
    """Pairs as tokens, and the tasks that they belong to, from which the sampler draws augmented pairs in training."""

    tasks: tuple[ArcTask, ...] = ()

    def about(self) -> dict[str, Any]:
        """The ids of the tasks, in the order of their embeddings, and of those whose tests are trained on too."""
        ids = [task.id for task in self.tasks]
        return {"tasks": ids, "tests_too": [task.id for task in self.tasks if task.test]}

    def content(self) -> bytes:
        """The tokens, and what augmentations depend on: the ids of the tasks, and how many pairs they have."""
        more = "".join(f"\0{task.id}\0{len(task.train)}\0{len(task.test)}" for task in self.tasks)
        return super().content() + more.encode()


def training_pairs(tasks: Sequence[ArcTask], augmentations: int = 0, remarks: tuple[str, ...] = ()) -> ArcPuzzles:
    """Every pair with an answer as tokens, not augmented; the sampler draws augmented ones.

    `ids` are the rows of the unchanged tasks in a table with `augmentations` further rows for each (see `identifier`).
    """
    rows = training_rows(tasks)
    pairs = _encoded([row.pair for row in rows], [identifier(row.task, 0, augmentations) for row in rows])
    return ArcPuzzles(pairs.question, pairs.answer, pairs.ids, remarks, tuple(tasks))


def evaluation_pairs(tested: Iterable[ArcTask], tasks: Sequence[ArcTask] = (), augmentations: int = 0) -> Puzzles:
    """Every test pair of `tested` as tokens.

    `ids` are those that `training_pairs(tasks, augmentations)` gives the task; 0, the blank row, if it is none of them.
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
    """Tokens of the question and the answer, [900] each, at the corner; an unknown answer is all 0."""
    answer = np.zeros(CELLS, np.uint8) if pair.answer is None else encode(pair.answer)
    return encode(pair.question), answer


@dataclass(frozen=True)
class Arc(Task):
    """One of the benchmarks as a task (`trm.tasks.base.Task`). Every pair of an ARC task is a puzzle of its own."""

    name: str = "arc-agi-1"

    def __post_init__(self) -> None:
        if self.name not in VERSIONS:
            raise BadInput(f"no ARC benchmark {quoted(self.name)}; choose one of {', '.join(VERSIONS)}")

    @cached_property
    def spec(self) -> Spec:
        # Colours are not interchangeable: 0 is nearly always the background.
        return Spec(self.name, SIDE, SIDE, vocab=FIRST + COLOURS, first_symbol=FIRST + COLOURS)

    def read(self, text: str) -> Puzzles:
        """The pairs of each task in `text`, JSON of one task or of many; demonstrations come first. Raises BadInput."""
        rows = [(at, pair) for at, task in enumerate(parse(text)) for pair in task.train + task.test]
        return _encoded([pair for _, pair in rows], [identifier(at, 0, 0) for at, _ in rows])

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """Both, [900] each, under one random symmetry and at one random place on the board."""
        augmentation = random_augmentation(rng)
        grids = [decode(part, locate(part)) for part in (question, answer)]
        images = [None if grid is None else augmentation.apply(grid) for grid in grids]
        shapes = [image.shape for image in images if image is not None]
        offset = CORNER if rng.random() < STILL or not shapes else random_offset(rng, *shapes)
        blank = np.zeros_like(question)
        first, second = (blank if image is None else encode(image, offset) for image in images)
        return first, second

    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """The question itself: the answer's cells have no place in it."""
        return question

    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows of `answer` [rows, 900] hold a well-formed grid at the offset of the question's."""
        return np.array([well_formed(a, locate(q)) for q, a in zip(question, answer, strict=True)], bool)

    def draw(self, tokens: Tokens) -> str:
        """The whole board of tokens [900]: digits for colours, # for end markers, . for padding."""
        signs = np.array([*"." * (PAD + 1), *"#" * END, *map(str, range(COLOURS))])
        return "\n".join("".join(row) for row in signs[tokens.reshape(SIDE, SIDE)])
