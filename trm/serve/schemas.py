"""What the API takes and gives, as JSON. Rows and columns count from 1."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from trm.inference.loop import Thinking, Until
from trm.serve import limits
from trm.tools.functions import DEFAULT_ARC_SECONDS, MAX_ARC_SECONDS

Text: TypeAlias = Annotated[str, Field(description="As `trm solve` reads it: one line, lines, or a drawn grid.")]
Line: TypeAlias = Annotated[str, Field(max_length=256)]
Lines: TypeAlias = Annotated[list[Line], Field(min_length=1, max_length=256, description="Line by line.")]
# 3.0 is an integer to JSON Schema, and "3" and true are none. Behind the limits, or the description would lose them.
WHOLE = BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
Digit: TypeAlias = Annotated[int, Field(ge=0, le=16), WHOLE]
Row: TypeAlias = Annotated[list[Digit], Field(min_length=1, max_length=16)]
Rows: TypeAlias = Annotated[list[Row], Field(min_length=1, max_length=16, description="Digits, 0 for a blank.")]

MOST_FAULTS = f"of many the first {limits.FAULTS}"


def kind(puzzle: Any) -> str:
    """By which of its forms a puzzle is checked, so that an error speaks of that one alone."""
    if isinstance(puzzle, list):
        return "lines" if puzzle and isinstance(puzzle[0], str) else "rows"
    return "object" if isinstance(puzzle, dict) else "text"


def lines_or_text(puzzle: Any) -> str:
    return "lines" if isinstance(puzzle, list) else "text"


class Options(BaseModel):
    """How long to think. More than a maximum is refused, not cut."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    steps: Annotated[int, Field(ge=1, le=limits.STEPS), WHOLE] | None = Field(
        None, description="Supervision steps from one start, at most. Null here and below: what suits the task."
    )
    restarts: Annotated[int, Field(ge=0, le=limits.RESTARTS), WHOLE] | None = Field(None, description="Further starts.")
    noise: Annotated[float, Field(ge=0, le=limits.NOISE)] | None = Field(
        None, description="How different those starts are."
    )
    guesses: Annotated[int, Field(ge=0, le=limits.GUESSES), WHOLE] | None = Field(
        None, description="Cells that further starts take for granted."
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, description="Of noise and guesses."), WHOLE] = Thinking.seed
    seconds: float = Field(limits.SECONDS, gt=0, le=limits.SECONDS, description="Time limit, looked at between steps.")
    until: Until = Field(Thinking.until, description="What ends the thinking; `valid`: an answer that obeys the rules.")


class SudokuQuestion(Options):
    """A Sudoku of 4, 6, 9 or 16 rows."""

    task: Literal["sudoku"]
    puzzle: Annotated[
        Annotated[Text, Tag("text")] | Annotated[Lines, Tag("lines")] | Annotated[Rows, Tag("rows")],
        Discriminator(kind, "puzzle", "a Sudoku is text, lines of text, or rows of digits (0: blank)"),
    ]


class MazeQuestion(Options):
    """A maze: `#` wall, `.` open, `S` start, `G` goal."""

    task: Literal["maze"]
    puzzle: Annotated[Annotated[Text, Tag("text")] | Annotated[Lines, Tag("lines")], Discriminator(lines_or_text)]


class ArcQuestion(BaseModel):
    """An ARC task: the JSON of its file, as an object or as text. Answers to its tests are not looked at."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    seconds: float = Field(
        DEFAULT_ARC_SECONDS, gt=0, le=MAX_ARC_SECONDS, description="Of a processor core, for training models."
    )
    task: Literal["arc"]
    puzzle: Annotated[
        Annotated[Text, Tag("text")] | Annotated[dict[str, Any], Tag("object")],
        Discriminator(kind, "puzzle", "an ARC task is an object with train and test, or the text of its file"),
    ]


Question: TypeAlias = Annotated[SudokuQuestion | MazeQuestion | ArcQuestion, Field(discriminator="task")]
Grid: TypeAlias = list[list[int]] | list[str]  # digits of a Sudoku (0: blank), lines of a maze (o: path)


class Fault(BaseModel):
    """What is wrong with a cell, or with a whole row (no column)."""

    row: int
    column: int | None = None
    message: str


class Problem(BaseModel):
    """Why there is no answer."""

    message: str = Field(description="One line: what is wrong, where, and how to mend it.")
    faults: list[Fault] = Field([], description=f"The cells it concerns, where it concerns cells; {MOST_FAULTS}.")


class Pair(BaseModel):
    input: list[list[int]]
    output: list[list[int]] | None = Field(description="Null where it is not known.")


class ArcPuzzle(BaseModel):
    train: list[Pair]
    test: list[Pair]


class Checked(Problem):
    """What was made of a puzzle, and what is wrong with it."""

    ok: bool
    message: str = Field("", description="What is wrong; empty where nothing is.")
    note: str = Field("", description="What is odd about a puzzle that obeys the rules, such as: it has no solution.")
    grid: Grid | None = Field(None, description="As far as it could be read; cells that could not are blank.")
    arc: ArcPuzzle | None = None


class Step(BaseModel):
    """The model's answer after one supervision step."""

    number: int = Field(description="From 1, over all starts.")
    start: int = Field(description="0 is the model's own, then come those with noise.")
    grid: Grid
    valid: bool = Field(description="It obeys every rule and keeps what was given.")
    confidence: float = Field(description="0 to 1: the model's own belief that it is right.")
    cells: list[list[float]] = Field(description="The probability of each cell's symbol.")
    changed: list[tuple[int, int]] = Field(description="[row, column] of cells that are not as a step before.")


class Answer(BaseModel):
    """What the model made of the puzzle: an answer, or its best attempt."""

    solved: bool = Field(description="Valid; a maze's path is as short as can be, too.")
    valid: bool = Field(description="It obeys every rule and keeps what was given. Checked, not believed.")
    confidence: float = Field(description="0 to 1: the model's own belief that it is right.")
    steps: int
    starts: int
    grid: Grid
    text: str = Field(description="The grid drawn.")
    faults: list[Fault] = Field(description=f"Where it breaks the rules; {MOST_FAULTS}.")


class Progress(BaseModel):
    """How far the training of models on an ARC task has come."""

    share: float = Field(ge=0, le=1, description="Of the time.")
    doing: str


class TaskInfo(BaseModel):
    name: Literal["sudoku", "maze", "arc"]
    solves: bool
    why: str = Field(description="Why it cannot be solved here; empty where it can.")
    weights: str | None = Field(description="Name of the model.")
    sizes: list[tuple[int, int]] = Field(description="[rows, columns] that can be solved; empty: any, up to `side`.")
    side: int = Field(description="The most rows or columns of a puzzle.")


class Served(BaseModel):
    """What this server offers."""

    version: str
    tasks: list[TaskInfo]
    limits: dict[str, int | float] = Field(description="The most a request may ask for, and how many are served.")
    colours: list[str] = Field(description="Of ARC's ten symbols.")


class Example(BaseModel):
    task: Literal["sudoku", "maze", "arc"]
    name: str
    puzzle: list[str] | ArcPuzzle
