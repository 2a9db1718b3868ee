"""What a puzzle family offers to the rest: a typed description, token arrays, and a few functions over them.

Models never see a task, only a `Spec`; tasks never see a model. Data, model and metric meet through these types.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.tasks.text import TextRow, read_file

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
    remarks: tuple[str, ...] = ()  # what a person who trains on them should know of how they were chosen

    def __post_init__(self) -> None:
        if self.question.shape != self.answer.shape or self.question.ndim != 2:
            raise ValueError(f"question {self.question.shape} and answer {self.answer.shape} must be [rows, cells]")

    def __len__(self) -> int:
        return len(self.question)

    def take(self, rows: slice | Sequence[int] | Ints) -> Puzzles:
        return Puzzles(self.question[rows], self.answer[rows], None if self.ids is None else self.ids[rows])

    def about(self) -> dict[str, Any]:
        """What a run's record says of them besides their number and digest."""
        return {}

    def content(self) -> bytes:
        """Everything that training on them depends on, for a digest."""
        return self.question.tobytes() + self.answer.tobytes()


def from_rows(rows: Sequence[TextRow[Tokens]]) -> Puzzles:
    """Puzzles read from text, tokens [cells] each. Where no answer is given its tokens are 0."""
    answers = [np.zeros_like(row.question) if row.answer is None else row.answer for row in rows]
    return Puzzles(np.array([row.question for row in rows]), np.array(answers))


class Task(ABC):
    """One puzzle family at one size. For example `trm.tasks.sudoku.task.Sudoku`. One of your own: examples/own_task.py.

    A task must have a `spec` and the abstract methods below. The other methods have defaults that suit a task whose
    grids are shown as tokens and whose rules tell a right answer from a wrong one.
    """

    # What a task must have

    @property
    @abstractmethod
    def spec(self) -> Spec: ...

    @abstractmethod
    def read(self, text: str) -> Puzzles:
        """Parse every puzzle in `text` (answer tokens are 0 where none is given). Raises BadInput."""

    @abstractmethod
    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """One random symmetry of the task applied to one puzzle ([cells] each)."""

    @abstractmethod
    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """An easier question: `share` of the unknown cells, chosen at random, filled in from the answer."""

    @abstractmethod
    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows of `answer` [rows, cells] obey every rule and keep what `question` gives. -> [rows]"""

    @abstractmethod
    def draw(self, tokens: Tokens) -> str:
        """A grid a person can read."""

    # What a task may say of itself

    @property
    def checkable(self) -> bool:
        """Whether the rules are known, so that an answer that obeys them is right. Where they are not, thinking ends
        when the model itself is sure of its answer.
        """
        return True

    @property
    def cell_pattern(self) -> str:
        """A regular expression for what stands for a cell in `draw`."""
        return r"[^\W_]|[.#]"

    @property
    def box(self) -> tuple[int, int]:
        """Height and width of the blocks that thick lines separate in pictures."""
        return self.spec.height, self.spec.width

    def instructions(self, symbols: str) -> str:
        """What a language model is told of the rules; `symbols` [vocab] are the characters of the tokens."""
        spec = self.spec
        return (
            f"This is a puzzle of the kind {spec.name!r}: a grid of {spec.height} rows and {spec.width} columns in the "
            f"symbols {' '.join(symbols[1:])}. Its solution is a grid of the same shape in the same symbols."
        )

    # Checking

    def right(self, question: Tokens, answer: Tokens) -> Bools:
        """Which valid rows of `answer` [rows, cells] are right: all, where obeying the rules is enough. -> [rows]"""
        return np.ones(len(answer), bool)

    def fault(self, question: Tokens, answer: Tokens) -> str | None:
        """What is wrong with an answer [cells], in words; None if it is valid."""
        return None if self.valid(question[None], answer[None])[0] else "it breaks the rules"

    def faults(self, question: Tokens, answer: Tokens) -> list[tuple[int, str]]:
        """The cells of an answer [cells] that break the rules, each with what is wrong there; none if it is valid."""
        return []

    def problem(self, question: Tokens, max_nodes: int | None = None) -> str | None:
        """Why a question [cells] has no single answer, in words; None if it has one, or if a search of at most
        `max_nodes` branch nodes does not tell.
        """
        return None

    # Other forms

    def load(self, path: str) -> Puzzles:
        """The puzzles of a file. Raises BadInput."""
        return self.read(read_file(path))

    def to_line(self, tokens: Tokens) -> str:
        """[cells] -> one line."""
        return " ".join(self.draw(tokens).split())

    def to_grid(self, tokens: Tokens) -> npt.NDArray[Any]:
        """[cells] -> [height, width] for people: the tokens themselves, unless the task has numbers or characters."""
        return tokens.reshape(self.spec.height, self.spec.width)

    def from_grid(self, grid: npt.NDArray[np.integer[Any]]) -> Tokens:
        """[height, width] whole numbers as `to_grid` gives them -> [cells]. Raises BadInput."""
        spec = self.spec
        if grid.shape != (spec.height, spec.width) or not (0 <= grid.min() <= grid.max() < spec.vocab):
            wanted = f"{spec.height}x{spec.width} tokens from 0 to {spec.vocab - 1}"
            raise BadInput(
                f"a puzzle of {spec.name} is {wanted}, not {grid.min()} to {grid.max()} of shape {grid.shape}"
            )
        tokens: Tokens = grid.reshape(-1).astype(np.uint8)
        return tokens


def check(task: Task, question: Tokens, answer: Tokens) -> tuple[Bools, Bools]:
    """Of `answer` [rows, cells]: [rows] which obey the rules, and [rows] which are right, as far as rules can tell."""
    valid = task.valid(question, answer)
    right = valid.copy()
    if valid.any():
        right[valid] = task.right(question[valid], answer[valid])
    return valid, right


def checkable(task: Task) -> bool:
    return task.checkable


def settled(task: Task, question: Tokens, answer: Tokens) -> Tokens:
    """`answer` [rows, cells], and where the question leaves nothing to answer and obeys the rules, the question."""
    if not task.checkable:
        return answer
    return np.where(task.valid(question, question)[:, None], question, answer)


def accepted(task: Task, right: bool, confidence: float) -> bool:
    """Whether an answer that is `right` (see `check`) counts as solved; without rules, whether the model thinks so."""
    return right and (task.checkable or confidence > 0.5)


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
