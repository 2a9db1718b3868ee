"""What a puzzle family offers to the rest: a typed description, token arrays, and a few functions over them.

Models never see a task, only a `Spec`; tasks never see a model. Data, model and metric meet through these types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
A = TypeVar("A")


@dataclass(frozen=True)
class Spec:
    """The shape of a task's tokens: all that a model needs to know to be built for it."""

    name: str
    height: int
    width: int
    vocab: int  # tokens are 0 .. vocab - 1; 0 is padding and is never scored
    first_symbol: int  # tokens from here on are interchangeable symbols (digits of a Sudoku); vocab if there are none
    groups: tuple[tuple[tuple[int, ...], ...], ...] = ()  # kind of constraint -> groups of that kind -> cell numbers

    @property
    def cells(self) -> int:
        return self.height * self.width

    @property
    def symbols(self) -> int:
        return self.vocab - self.first_symbol

    def cell_name(self, cell: int) -> str:
        """'r2c8' for cell 16 of nine columns."""
        return f"r{cell // self.width + 1}c{cell % self.width + 1}"


@dataclass(frozen=True)
class Puzzles:
    """Questions and their answers as tokens. Invariant: same shape, row i of one belongs to row i of the other."""

    question: Tokens  # [rows, cells]
    answer: Tokens  # [rows, cells]
    ids: Ints | None = None  # [rows], the puzzle-embedding row of each; None: all 0

    def __post_init__(self) -> None:
        if self.question.shape != self.answer.shape or self.question.ndim != 2:
            raise ValueError(f"question {self.question.shape} and answer {self.answer.shape} must be [rows, cells]")

    def __len__(self) -> int:
        return len(self.question)

    def take(self, rows: slice | Sequence[int] | Ints) -> Puzzles:
        return Puzzles(self.question[rows], self.answer[rows], None if self.ids is None else self.ids[rows])


class Task(Protocol):
    """One puzzle family at one size. For example `trm.tasks.sudoku.task.Sudoku`. One of your own: examples/own_task.py.

    `trm.Solver` shows tokens as the numbers they are, and takes them so, unless a task also has `to_grid(tokens
    [cells])`, an array [height, width] for people, and its inverse `from_grid`, which raises BadInput. A task whose
    answers `valid` cannot tell to be right has `checkable = False`: see `checkable`; one in which obeying the rules is
    not enough has `shortest(question, answer)`, like `valid`: which answers are as short as can be. A task with files
    that are no text has `load(path)`, which returns their puzzles or raises BadInput.
    """

    @property
    def spec(self) -> Spec: ...

    def read(self, text: str) -> Puzzles:
        """Parse every puzzle in `text` (answer tokens are 0 where none is given). Raises BadInput."""
        ...

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """One random symmetry of the task applied to one puzzle ([cells] each)."""
        ...

    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """An easier question: `share` of the unknown cells, chosen at random, filled in from the answer."""
        ...

    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows of `answer` [rows, cells] obey every rule and keep what `question` gives. -> [rows]"""
        ...

    def draw(self, tokens: Tokens) -> str:
        """A grid a person can read."""
        ...


def checkable(task: Task) -> bool:
    """Whether the rules of the task are known, so that an answer that obeys them is right. Where they are not, thinking
    ends where the model itself is sure of its answer.
    """
    return bool(getattr(task, "checkable", True))


def check(task: Task, question: Tokens, answer: Tokens) -> tuple[Bools, Bools]:
    """Of `answer` [rows, cells]: [rows] which obey the rules, and [rows] which are right, as far as rules can tell."""
    valid, shortest = task.valid(question, answer), getattr(task, "shortest", None)
    right = valid.copy()
    if shortest is not None and valid.any():
        right[valid] = shortest(question[valid], answer[valid])
    return valid, right


def keep_complete(task: Task, question: Tokens, answer: Tokens) -> Tokens:
    """`answer` [rows, cells], and where the question leaves nothing to answer and obeys the rules, the question."""
    if not checkable(task):
        return answer
    return np.where(task.valid(question, question)[:, None], question, answer)


def accepted(task: Task, right: bool, confidence: float) -> bool:
    """Whether an answer that is `right` (see `check`) counts as solved; without rules, whether the model thinks so."""
    return right and (checkable(task) or confidence > 0.5)


@dataclass(frozen=True)
class Hint(Generic[A]):
    """What the cells of a puzzle can know on the way to the answer, and when, in moves from cell to neighbour: so far
    must news have come. Arrays [cells], or tensors [slots, cells].
    """

    kind: A  # 1 to `Hinted.hints`; 0: nothing to know
    moves: A  # until that is known
    open: A  # until the answer can be known at all; 0 where it is as the question has it
    known: A  # until it is known; 0 there too


@runtime_checkable
class Hinted(Protocol):
    """A task that can tell, in training, what a cell might think on the way to the answer."""

    @property
    def hints(self) -> int:
        """Kinds of hint."""
        ...

    def hint(self, question: Tokens, answer: Tokens) -> Hint[Ints]:
        """question, answer: [cells]"""
        ...


@runtime_checkable
class Scored(Protocol):
    """A task that tells more of an answer than whether it is exact and valid."""

    def scores(self, question: Tokens, answer: Tokens) -> dict[str, Bools]:
        """By the name to show: which rows of `answer` [rows, cells] are right in that sense. -> [rows] each"""
        ...
