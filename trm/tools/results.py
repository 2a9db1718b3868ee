"""What the tools return and raise. The field descriptions are part of the schemas that language models read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from trm.errors import TrmError

Solutions = Literal["none", "one", "several", "not counted"]


class Stopped(TrmError):
    """The caller asked the work to stop."""


class Progress(NamedTuple):
    """How far a tool has come."""

    doing: str
    limit: float  # seconds that the work may take


Tell = Callable[[Progress], object]


def tell_nobody(progress: Progress) -> None:
    """A `Tell` that does nothing."""


class Result(BaseModel):
    """What every tool returns."""

    model_config = ConfigDict(frozen=True)

    solved: bool = Field(description="The answer is right. It was checked by the rules. If false, do not use it.")
    valid: bool = Field(description="The answer obeys the rules and keeps what the puzzle gives.")
    message: str = Field(description="The outcome in one line, and what is wrong with an answer that is not right.")

    @property
    def text(self) -> str:
        """The result for people, and for clients that read no structured content."""
        return self.message


class Solution(Result):
    """The result of `solve_sudoku` and `solve_maze`."""

    confidence: float = Field(ge=0, le=1, description="The model's own estimate that its answer is right.")
    steps: int = Field(ge=0, description="Supervision steps used.")
    answer: str | None = Field(description="The solved board, one line per row; null if the puzzle was not solved.")
    best_attempt: str | None = Field(description="The model's best wrong answer; null if the puzzle was solved.")
    solutions: Solutions = Field(description="How many solutions the puzzle has.")

    @property
    def text(self) -> str:
        board = self.answer or self.best_attempt
        return self.message if board is None else f"{self.message}\n\n{board}"


class Attempt(BaseModel):
    """One answer to a test of an ARC task."""

    model_config = ConfigDict(frozen=True)

    grid: list[list[int]] = Field(description="Colours 0-9, row by row.")
    confidence: float = Field(ge=0, le=1, description="Its share of the models' votes, weighted by their confidence.")


class ArcSolution(Result):
    """The result of `solve_arc`: the answers of models trained on the task's demonstrations."""

    solved: bool = Field(description="Always false: only the author of an ARC task can check an answer to it.")
    valid: bool = Field(description="Every test has an attempt, and a model reproduces every demonstration.")
    attempts: list[list[Attempt]] = Field(description="Up to two for each test, the likelier first.")
    models: int = Field(ge=0, description="Number of models trained.")
    models_that_know: int = Field(ge=0, description="Number of those models that reproduce every demonstration.")
    seconds: float = Field(ge=0, description="Processor time used, in seconds, with the time to start.")

    @property
    def text(self) -> str:
        parts = [self.message]
        for number, attempts in enumerate(self.attempts, 1):
            for rank, attempt in enumerate(attempts, 1):
                rows = "\n".join("".join(map(str, row)) for row in attempt.grid)
                parts.append(f"Test {number}, attempt {rank}, confidence {attempt.confidence:.0%}:\n{rows}")
        return "\n\n".join(parts)
