"""What a solver returns: boards, the steps of the thinking, and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from trm.inference.backend import Floats
from trm.inference.loop import SearchResult, StepBatch
from trm.inference.sizes import SizedPuzzle
from trm.tasks.base import Spec, Task, Tokens, accepted, check

SEARCHED = 3000  # guesses of the search for a second solution


@dataclass(frozen=True, eq=False)
class Board:
    """A filled board."""

    task: Task = field(repr=False)
    tokens: Tokens = field(repr=False)  # [cells]

    @property
    def grid(self) -> npt.NDArray[Any]:
        """[height, width]: digits of a Sudoku (0: blank), characters of a maze, tokens of any other task."""
        return self.task.to_grid(self.tokens)

    @property
    def text(self) -> str:
        """The board as text, which `Solver.solve` reads too."""
        return self.task.draw(self.tokens)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class Step(Board):
    """The model's answer after one supervision step, and what the step changed."""

    number: int  # from 1, over all starts
    start: int  # 0 begins with the model's own initial state, further starts with noise
    valid: bool  # the answer obeys the rules and keeps what was given
    confidence: float  # 0..1, the model's belief that the answer is right (see docs/concepts.md)
    # [height, width, values], of each value in each cell: the digits from 1 of a Sudoku, the tokens of any other task
    probabilities: npt.NDArray[np.float32] = field(repr=False)
    memory: npt.NDArray[np.float32] = field(repr=False)  # [height, width], how far z moved in each cell (rms)
    moved_y: float  # root mean square of what the step added to y
    moved_z: float  # the same of z; 0 where the model has none
    answer: Answer | None = field(default=None, repr=False)  # with the last step of `Solver.watch`, else None

    @property
    def cells(self) -> npt.NDArray[np.float32]:
        """[height, width], the probability of the likeliest value of each cell."""
        certain: npt.NDArray[np.float32] = self.probabilities.max(-1)
        return certain


@dataclass(frozen=True, eq=False)
class Answer(Board):
    """The answer to one puzzle: one that obeys the rules, or the model's best attempt."""

    question: Tokens = field(repr=False)  # [cells]
    valid: bool  # obeys the rules and keeps what was given
    confidence: float  # 0..1, the model's belief that the answer is right (see docs/concepts.md)
    steps: int  # supervision steps used, over all starts
    starts: int  # how often the model has started on it
    _trace: Callable[[], Iterable[Step]] = field(repr=False)
    remarks: tuple[str, ...] = ()  # what was left out of the puzzle's text, such as comments, in words

    @property
    def solved(self) -> bool:
        """Whether the answer is right: valid, and for a maze a shortest path. Where no rules are known to check it by,
        whether the confidence is above 0.5.
        """
        _, right = check(self.task, self.question[None], self.tokens[None])
        return accepted(self.task, bool(right[0]), self.confidence)

    @cached_property
    def trace(self) -> tuple[Step, ...]:
        """Every step that led to the answer. `Solver.solve_many` keeps them only if asked; else the first use computes
        them again.
        """
        return tuple(self._trace())

    @cached_property
    def problem(self) -> str:
        """Why the puzzle does not have exactly one answer, as in "it has no solution". Empty if it has, if there is no
        rule to tell by, or if a search would take too long.
        """
        return self.task.problem(self.question, SEARCHED) or ""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "question": self.task.to_line(self.question),
            "answer": self.task.to_line(self.tokens),
            "grid": self.grid.tolist(),
            "solved": self.solved,
            "valid": self.valid,
            "confidence": round(self.confidence, 6),
            "steps": self.steps,
            "starts": self.starts,
            "problem": self.problem,
            "remarks": list(self.remarks),
        }


def answer_of(puzzle: SizedPuzzle, result: SearchResult, trace: Callable[[], Iterable[Step]]) -> Answer:
    return Answer(
        puzzle.task,
        result.tokens,
        puzzle.question,
        result.valid,
        result.confidence,
        result.steps,
        result.starts,
        trace,
        puzzle.remarks,
    )


def of_values(spec: Spec, probabilities: Floats) -> Floats:
    """From probabilities [cells, tokens that the model can answer]: of the symbols where the task has some, else of all
    tokens. -> [cells, values]
    """
    if spec.symbols:
        return probabilities[:, -spec.symbols :]
    return np.pad(probabilities, ((0, 0), (spec.vocab - probabilities.shape[1], 0)))


def step_of(task: Task, batch: StepBatch[Any], place: int, number: int) -> Step:
    """The step of the puzzle at this place of a batch, its `number`-th over all starts."""
    movement, height, width = batch.outcome.movement(place), task.spec.height, task.spec.width
    return Step(
        task,
        batch.tokens[place],
        number,
        int(batch.starts[place]),
        valid=bool(batch.valid[place]),
        confidence=float(batch.confidence[place]),
        probabilities=of_values(task.spec, batch.outcome.probabilities(place)).reshape(height, width, -1),
        memory=movement.cells.reshape(height, width),
        moved_y=movement.y,
        moved_z=movement.z,
    )
