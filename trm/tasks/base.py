"""What a task is to the rest of the package: a typed description, token arrays, and functions over them.

Models never see a task, only its `Spec`, and tasks never see a model. Data, models and scores meet through these types.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.tasks.text import TextRow, csv_columns, naming, numbered_lines, printable, quoted, read_csv, read_file

Tokens = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
A = TypeVar("A")
Groups = tuple[tuple[int, ...], ...]  # of one kind: the cells of each
Offsets = tuple[tuple[int, int], ...]  # rows down and columns to the right
Part = Literal["train", "validation", "minimal"]  # of a set of puzzles
MOST_FEATURES = 1 << 10  # of a token
NO_SOLUTION = "it has no solution"  # a `Task.problem`


@dataclass(frozen=True)
class Spec:
    """The shape of a task's tokens: all that is needed to build a model for it."""

    name: str
    height: int
    width: int
    vocab: int  # tokens are 0 .. vocab - 1; 0 is padding and is never scored
    first_symbol: int  # tokens from here on are interchangeable symbols (digits of a Sudoku); vocab: there are none
    groups: tuple[Groups, ...] = ()  # kinds of groups of cells that hold different symbols
    # What else the mixer `relations` reads from:
    related: tuple[Groups, ...] = ()  # kinds of groups of cells that depend on each other in any way
    offsets: Offsets = ()  # the cells that a cell depends on, seen from it
    wrap: bool = False  # the board's edges are joined
    # How each token is described to a model, [vocab][features]; empty: each token has a vector of its own.
    features: tuple[tuple[float, ...], ...] = ()

    @property
    def cells(self) -> int:
        return self.height * self.width

    @property
    def symbols(self) -> int:
        return self.vocab - self.first_symbol

    def cell_name(self, cell: int) -> str:
        """The cell as messages name it: 'r2c8' for cell 16 of a board of nine columns."""
        return f"r{cell // self.width + 1}c{cell % self.width + 1}"


def features_fault(features: Any, vocab: int) -> str:
    """What is wrong with the `features` of a `Spec`, in words; empty: nothing."""
    if not isinstance(features, tuple) or not all(isinstance(row, tuple) for row in features):
        return "features must be a tuple of tuples"
    lengths = {len(row) for row in features}
    if features and not (len(features) == vocab and len(lengths) == 1 and 0 < max(lengths) <= MOST_FEATURES):
        return f"features must have as many numbers, 1 to {MOST_FEATURES}, for each of the {vocab} tokens"
    if not all(type(one) in (int, float) and abs(one) <= 1e6 for row in features for one in row):
        return "features must be numbers from -1e6 to 1e6"
    return ""


@dataclass(frozen=True)
class Puzzles:
    """Questions and their answers as tokens. Row i of one belongs to row i of the other."""

    question: Tokens  # [rows, cells]
    answer: Tokens  # [rows, cells], all 0 in a row whose answer is not known
    ids: Ints | None = None  # [rows], the puzzle-embedding row of each; None: all 0
    remarks: tuple[str, ...] = ()  # how they were chosen, and what was left out, for people to read

    def __post_init__(self) -> None:
        if self.question.shape != self.answer.shape or self.question.ndim != 2:
            raise ValueError(f"question {self.question.shape} and answer {self.answer.shape} must be [rows, cells]")

    def __len__(self) -> int:
        return len(self.question)

    def take(self, rows: slice | Sequence[int] | Ints) -> Puzzles:
        """Some of the rows. The remarks stay: they are about the whole."""
        ids = None if self.ids is None else self.ids[rows]
        return Puzzles(self.question[rows], self.answer[rows], ids, self.remarks)

    def read_from(self, path: str | Path) -> Puzzles:
        """The same puzzles, whose remarks begin with the name of the file that they were read from."""
        name = printable(Path(path).name)
        return replace(self, remarks=tuple(f"{name}: {remark}" for remark in self.remarks))

    def about(self) -> dict[str, Any]:
        """What the record of a run says about them, besides their number and digest."""
        return {}

    def content(self) -> bytes:
        """Everything about them that training depends on, to compute a digest of."""
        return self.question.tobytes() + self.answer.tobytes()


def from_rows(rows: Sequence[TextRow[Tokens]], left_out: Sequence[str] = ()) -> Puzzles:
    """Puzzles from rows of text, tokens [cells] each. An answer that is not given becomes all 0.

    `left_out`: what was in the text besides, in words.
    """
    answers = [np.zeros_like(row.question) if row.answer is None else row.answer for row in rows]
    remarks = (f"left out: {', '.join(left_out)}",) if left_out else ()
    return Puzzles(np.array([row.question for row in rows]), np.array(answers), remarks=remarks)


def lines(height: int, width: int) -> tuple[Groups, Groups]:
    """All rows, and all columns, of a board as two kinds of groups."""
    rows = tuple(tuple(range(row * width, (row + 1) * width)) for row in range(height))
    columns = tuple(tuple(range(column, height * width, width)) for column in range(width))
    return rows, columns


class Fault(NamedTuple):
    cell: int
    what: str  # what is wrong there, in words


class Sign(NamedTuple):
    """How pictures and the page show a token."""

    text: str
    colour: str = ""  # of the cell, as #rrggbb; empty: as all others


class Task(ABC):
    """One puzzle family at one size, for example `trm.tasks.sudoku.Sudoku`. One of your own: examples/own_task.py.

    A task must have a `spec` and `valid`. The other methods have defaults, which suit a task whose grids are written as
    `characters`, or as tokens, and whose rules tell right answers from wrong ones.
    """

    characters: ClassVar[str] = ""  # how each token from 0 on is written, if it is one character: "?.123"

    @property
    def blank(self) -> int:
        """The token of an unknown cell; 0 if there is none."""
        return 0

    # What a task must have

    @property
    @abstractmethod
    def spec(self) -> Spec: ...

    @abstractmethod
    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows of `answer` [rows, cells] obey every rule and keep what `question` gives: [rows]."""

    # What training needs

    def puzzles(self, part: Part) -> Puzzles:
        """The task's own set: puzzles to train on (`train`), or others to test with. Raises BadInput if it has none."""
        raise BadInput(f"task {self.spec.name!r} has no embedded puzzles; give a file with --data PATH")

    def given(self, question: Tokens) -> Tokens:
        """What a question [..., cells] says of its answer: the question itself, unless its cells say more than that."""
        return question

    def shown(self, question: Tokens, answer: Tokens) -> Tokens:
        """The tokens [..., cells] by which pictures show an answer on its question: the answer, unless the question's
        cells say more than what they give.
        """
        return answer

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """The image of a puzzle, [cells] each, under a random symmetry of the task; by default the puzzle itself."""
        return question, answer

    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """An easier question [cells]: a random `share` of the unknown cells is filled in from the answer.

        By default those cells are unknown in which the two differ.
        """
        unknown = rng.permutation(np.flatnonzero(question != answer))
        shown = unknown[: round(share * len(unknown))]
        easier: Tokens = question.copy()
        easier[shown] = answer[shown]
        return easier

    # Reading and writing

    def read(self, text: str) -> Puzzles:
        """Every puzzle in `text`; an answer that is not given is all 0.

        By default puzzles are written as `draw` writes them, cell by cell, or as CSV with the columns `question` and
        perhaps `answer`. Raises BadInput, which names the place.
        """
        lines = [line for line in numbered_lines(text) if line.text.strip()]
        columns = csv_columns(lines[0]) if lines else None
        if columns:
            return from_rows(read_csv(lines, columns, "puzzle", self._one, ""))
        words = self._split(text)
        cells = self.spec.cells
        if not words or len(words) % cells:
            raise BadInput(f"a puzzle of {self.spec.name} is {self.form}: {cells} cells, not {len(words)}")
        question = np.stack([self._parsed(words[at : at + cells], "") for at in range(0, len(words), cells)])
        return Puzzles(question, np.zeros_like(question))

    def _one(self, field: str, place: str) -> Tokens:
        """The tokens [cells] of a field. Raises BadInput, which begins with the place."""
        words = self._split(field)
        if len(words) != self.spec.cells:
            raise BadInput(f"{place}: {len(words)} cells instead of {self.spec.cells}")
        return self._parsed(words, f"{place}: ")

    def _split(self, text: str) -> list[str]:
        return [*"".join(text.split())] if self.characters else text.split()

    def _parsed(self, words: Sequence[str], place: str) -> Tokens:
        """The tokens of as many words as there are cells. Raises BadInput for the first that is none."""
        written = self.characters or [str(token) for token in range(self.spec.vocab)]
        known = {word: token for token, word in enumerate(written) if token}
        for cell, word in enumerate(words):
            if word not in known:
                known_words = " ".join([*known][:20])
                raise BadInput(
                    f"{place}{self.spec.cell_name(cell)} is {quoted(word[:20])}, which is not one of {known_words}"
                )
        return np.array([known[word] for word in words], np.uint8)

    def draw(self, tokens: Tokens) -> str:
        """Tokens [cells] as a grid that people can read, and that `read` takes back."""
        joint = "" if self.characters else " "
        words = [self.characters[token] if self.characters else str(token) for token in tokens.tolist()]
        width = self.spec.width
        return "\n".join(joint.join(words[at : at + width]) for at in range(0, len(words), width))

    @property
    def form(self) -> str:
        """How a puzzle is written, in a few words."""
        what = (
            f"characters, {' '.join(self.characters[1:])}" if self.characters else "whole numbers, separated by spaces"
        )
        return f"{self.spec.height} lines of {self.spec.width} {what}"

    # What a task may say about itself

    @property
    def checkable(self) -> bool:
        """Whether the rules are known, so that answers can be checked by them. Where they are not, a solver stops when
        the model is sure of its answer.
        """
        return True

    @property
    def cell_pattern(self) -> str:
        """A regular expression that matches the text of one cell in `draw`."""
        return r"[^\W_]|[.#]"

    @property
    def signs(self) -> tuple[Sign, ...]:
        """How each token from 1 on is shown: as `to_line` or `to_grid` write it, unless a task says otherwise."""
        spec, written = self.spec, []
        for token in range(1, spec.vocab):
            tokens = np.full(spec.cells, token, np.uint8)
            line = "".join(self.to_line(tokens).split())
            written.append(Sign(line[0] if len(line) == spec.cells else str(self.to_grid(tokens).flat[0])))
        return tuple(written)

    @property
    def box(self) -> tuple[int, int]:
        """Height and width of the blocks that pictures separate by thick lines."""
        return self.spec.height, self.spec.width

    def instructions(self, symbols: str) -> str:
        """The rules, as a language model is told them; `symbols` [vocab] are the characters of the tokens."""
        spec = self.spec
        return (
            f"This is a puzzle of the kind {spec.name!r}: a grid of {spec.height} rows and {spec.width} columns in the "
            f"symbols {' '.join(symbols[1:])}. Its solution is a grid of the same shape in the same symbols."
        )

    # Checking

    def right(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows of a valid `answer` [rows, cells] are right: [rows]. All of them, unless a task asks for more than
        its rules do, as mazes ask for a shortest path.
        """
        return np.ones(len(answer), bool)

    def fault(self, question: Tokens, answer: Tokens) -> str | None:
        """What is wrong with an answer [cells], in words; None if it is valid."""
        return None if self.valid(question[None], answer[None])[0] else "it breaks the rules"

    def faults(self, question: Tokens, answer: Tokens) -> list[Fault]:
        """The cells of an answer [cells] that break the rules; none if it is valid, or if the task names no cells."""
        return []

    def problem(self, question: Tokens, max_nodes: int | None = None) -> str | None:
        """Why a question [cells] does not have exactly one answer, in words: NO_SOLUTION if it has none. None if it has
        one, or if a search of at most `max_nodes` guesses does not tell.
        """
        return None

    # Files, lines and grids

    def read_file(self, path: str) -> Puzzles:
        """The puzzles of a file. Raises BadInput, which names the file."""
        text = read_file(path)
        with naming(path):
            return self.read(text).read_from(path)

    def to_line(self, tokens: Tokens) -> str:
        """Tokens [cells] as one line."""
        return " ".join(self.draw(tokens).split())

    def to_grid(self, tokens: Tokens) -> npt.NDArray[Any]:
        """Tokens [cells] as people see them, [height, width]: characters, if the task has them, else the tokens."""
        grid = np.array([*self.characters])[tokens] if self.characters else tokens
        return grid.reshape(self.spec.height, self.spec.width)

    def from_grid(self, grid: npt.NDArray[np.integer[Any]]) -> Tokens:
        """The tokens [cells] of a grid [height, width] of whole numbers: tokens by default. Raises BadInput."""
        spec = self.spec
        if grid.shape != (spec.height, spec.width) or not (1 <= grid.min() <= grid.max() < spec.vocab):
            wanted = f"{spec.height}x{spec.width} tokens from 1 to {spec.vocab - 1}"
            raise BadInput(
                f"a puzzle of {spec.name} is {wanted}, not {grid.min()} to {grid.max()} of shape {grid.shape}"
            )
        tokens: Tokens = grid.reshape(-1).astype(np.uint8)
        return tokens


def check(task: Task, question: Tokens, answer: Tokens) -> tuple[Bools, Bools]:
    """Which rows of `answer` [rows, cells] are valid, and which of them are right: [rows] each."""
    valid = task.valid(question, answer)
    right = valid.copy()
    if valid.any():
        right[valid] = task.right(question[valid], answer[valid])
    return valid, right


def keep_complete(task: Task, question: Tokens, answer: Tokens) -> Tokens:
    """`answer` [rows, cells], but the question itself in rows where it is already a valid answer."""
    if not task.checkable:
        return answer
    given = task.given(question)
    return np.where(task.valid(question, given)[:, None], given, answer)


def accepted(task: Task, right: bool, confidence: float) -> bool:
    """Whether an answer counts as solved: it is `right` (see `check`) and, where the rules are not known, the model's
    confidence in it is above one half.
    """
    return right and (task.checkable or confidence > 0.5)


@dataclass(frozen=True)
class Hint(Generic[A]):
    """What each cell of a puzzle can know on the way to the answer, and from when on.

    Information spreads from cell to neighbouring cell, so time is counted in moves: how far information must have come.
    Arrays [cells], or tensors [slots, cells].
    """

    kind: A  # the intermediate result that the cell is to know, 1 to `Hinted.hints`; 0: none
    moves: A  # after so many the cell can know its `kind`
    open: A  # before so many no cell can know this cell's answer; 0 where the answer is the question's own token
    known: A  # after so many the cell itself can know its answer; 0 where the answer is the question's own token


@runtime_checkable
class Hinted(Protocol):
    """A task that has hints: intermediate results that training can ask of each cell, besides the answer."""

    @property
    def hints(self) -> int:
        """How many kinds of hint there are."""
        ...

    def hint(self, question: Tokens, answer: Tokens) -> Hint[Ints]:
        """The hints of one puzzle; question, answer: [cells]."""
        ...


@runtime_checkable
class Scored(Protocol):
    """A task with scores of its own, which evaluation reports beside `exact` and `valid`."""

    def scores(self, question: Tokens, answer: Tokens) -> dict[str, Bools]:
        """For each score, by the name to show: which rows of `answer` [rows, cells] count as right: [rows]."""
        ...
