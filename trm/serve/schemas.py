"""The JSON of the API: requests and results. Rows and columns count from 1.

The names of the classes are those of the components in the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, create_model

from trm.inference.loop import Thinking, Until
from trm.serve.limits import MAX_FAULTS, MAX_GUESSES, MAX_NOISE, MAX_RESTARTS, MAX_SECONDS, MAX_STEPS
from trm.tasks.custom.structure import MOST, SIDE
from trm.tools.functions import DEFAULT_ARC_SECONDS, MAX_ARC_SECONDS
from trm.version import __version__

Text: TypeAlias = Annotated[
    str, Field(description="As `trm solve` reads it: one line, several lines, or a drawn grid.")
]
Line: TypeAlias = Annotated[str, Field(max_length=256)]
Lines: TypeAlias = Annotated[list[Line], Field(min_length=1, max_length=256, description="Line by line.")]
# In JSON Schema, 3.0 is an integer, but "3" and true are not. In an Annotated, WHOLE must come after the limits, or the
# OpenAPI document loses them.
WHOLE = BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
Digit: TypeAlias = Annotated[int, Field(ge=0, le=16), WHOLE]
Number: TypeAlias = Annotated[int, Field(ge=0, le=MOST), WHOLE]
Numbers: TypeAlias = Annotated[
    list[Annotated[list[Number], Field(min_length=1, max_length=SIDE)]],
    Field(min_length=1, max_length=SIDE, description="The task's numbers."),
]
Row: TypeAlias = Annotated[list[Digit], Field(min_length=1, max_length=16)]
Rows: TypeAlias = Annotated[list[Row], Field(min_length=1, max_length=16, description="Digits, with 0 for a blank.")]

UP_TO_FAULTS = f"the first {MAX_FAULTS} of them"


def kind(puzzle: Any) -> str:
    """The form of a puzzle that it is validated as, so that an error speaks of that form alone."""
    if isinstance(puzzle, list):
        return "lines" if puzzle and isinstance(puzzle[0], str) else "rows"
    return "object" if isinstance(puzzle, dict) else "text"


def lines_or_text(puzzle: Any) -> str:
    return "lines" if isinstance(puzzle, list) else "text"


class Options(BaseModel):
    """How long to work on the puzzle. A value above its maximum is refused, not reduced."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    steps: Annotated[int, Field(ge=1, le=MAX_STEPS), WHOLE] | None = Field(
        None,
        description="Maximum number of supervision steps from one start. Null here and below: the task's default.",
    )
    restarts: Annotated[int, Field(ge=0, le=MAX_RESTARTS), WHOLE] | None = Field(
        None, description="Further starts after the first."
    )
    noise: Annotated[float, Field(ge=0, le=MAX_NOISE)] | None = Field(
        None, description="Standard deviation of the noise of a further start."
    )
    guesses: Annotated[int, Field(ge=0, le=MAX_GUESSES), WHOLE] | None = Field(
        None, description="Cells guessed per further start."
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, description="Seed of noise and guesses."), WHOLE] = Thinking.seed
    seconds: float = Field(MAX_SECONDS, gt=0, le=MAX_SECONDS, description="Time limit, checked between steps.")
    until: Until | None = Field(
        None, description="What ends the work: `valid`, an answer right by the rules; `sure`, where no rules are known."
    )


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
    """An ARC task: the JSON of its file, as an object or as text. Answers to its tests are ignored."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    seconds: float = Field(
        DEFAULT_ARC_SECONDS, gt=0, le=MAX_ARC_SECONDS, description="Processor time for training models, in seconds."
    )
    task: Literal["arc"]
    puzzle: Annotated[
        Annotated[Text, Tag("text")] | Annotated[dict[str, Any], Tag("object")],
        Discriminator(kind, "puzzle", "an ARC task is an object with train and test, or the text of its file"),
    ]


class GridQuestion(Options):
    """A puzzle of a task that is known by its model: a grid of the task's numbers, see `TaskInfo.values`."""

    task: str
    puzzle: Annotated[
        Annotated[Text, Tag("text")] | Annotated[Lines, Tag("lines")] | Annotated[Numbers, Tag("rows")],
        Discriminator(kind, "puzzle", "a puzzle is text, lines of text, or rows of numbers"),
    ]


Question: TypeAlias = Annotated[SudokuQuestion | MazeQuestion | ArcQuestion, Field(discriminator="task")]
Puzzle: TypeAlias = SudokuQuestion | MazeQuestion | GridQuestion
Grid: TypeAlias = list[list[int]] | list[str]  # numbers (of a Sudoku 0: blank), lines of a maze (o: path)


def question_of(names: Sequence[str]) -> Any:
    """The type of a request's body on a server that has other tasks too, of these names."""
    if not names:
        return Question
    task: Any = (Literal[tuple(names)], ...)
    grid = create_model("GridQuestion", __base__=GridQuestion, __doc__=GridQuestion.__doc__, task=task)
    return Annotated[SudokuQuestion | MazeQuestion | ArcQuestion | grid, Field(discriminator="task")]


LEFT_OUT: Any = Field([], description="What was left out of the puzzle's text, such as comments.")


class Fault(BaseModel):
    """What is wrong with a cell or, without a column, with a whole row."""

    row: int
    column: int | None = None
    message: str


class Problem(BaseModel):
    """Why there is no answer."""

    message: str = Field(description="One line: what is wrong, where, and how to fix it.")
    faults: list[Fault] = Field([], description=f"The cells at fault, {UP_TO_FAULTS}.")


class Pair(BaseModel):
    input: list[list[int]]
    output: list[list[int]] | None = Field(description="Null if it is not known.")


class ArcPuzzle(BaseModel):
    train: list[Pair]
    test: list[Pair]


class Checked(Problem):
    """A puzzle as the server reads it, and what is wrong with it."""

    ok: bool
    message: str = Field("", description="What is wrong; empty if nothing is.")
    note: str = Field("", description="A remark on a puzzle that obeys the rules, for example that it has no solution.")
    grid: Grid | None = Field(None, description="The grid, with a blank for each cell that could not be read.")
    arc: ArcPuzzle | None = None
    remarks: list[str] = LEFT_OUT


class Step(BaseModel):
    """The model's answer after one supervision step."""

    number: int = Field(description="From 1, over all starts.")
    start: int = Field(description="0 is the first start; further starts have noise.")
    grid: Grid
    valid: bool = Field(description="The answer obeys every rule and keeps what was given.")
    confidence: float = Field(description="The model's own estimate, 0 to 1, that its answer is right.")
    cells: list[list[float]] = Field(description="The probability of the symbol in each cell.")
    candidates: list[list[list[float]]] | None = Field(
        description="In each cell, the probabilities of a Sudoku's digits from 1, or of `TaskInfo.symbols`; else null."
    )
    memory: list[list[float]] = Field(
        description="How far the step moved the model's memory z in each cell (root mean square)."
    )
    changed: list[tuple[int, int]] = Field(description="[row, column] of each cell that changed in this step.")


class Answer(BaseModel):
    """The model's answer to a puzzle, or its best attempt."""

    solved: bool = Field(
        description="The answer is valid; the path of a maze is also a shortest one. Where no rules are known "
        "(`TaskInfo.checkable`): the model is more than half sure of it."
    )
    valid: bool = Field(description="The answer obeys every rule and keeps what was given. Checked by the rules.")
    confidence: float = Field(description="The model's own estimate, 0 to 1, that its answer is right.")
    steps: int = Field(description="Supervision steps used, over all starts.")
    starts: int
    grid: Grid
    text: str = Field(description="The grid drawn.")
    faults: list[Fault] = Field(description=f"The cells that break the rules, {UP_TO_FAULTS}.")
    weights: str = Field(description="The name of the model.")
    version: str = Field(__version__, description="Of trm.")
    remarks: list[str] = Field(
        [], description="What was left out of the puzzle's text, and whether the puzzle has no solution or several."
    )


class Forming(BaseModel):
    """An attempt at an ARC test while models still train."""

    grid: list[list[int]]
    votes: int = Field(description="For it so far.")


class Progress(BaseModel):
    """Progress of the training of models on an ARC task."""

    share: float = Field(ge=0, le=1, description="Share of the time used.")
    doing: str = Field(description="The work going on.")
    attempts: list[list[Forming]] | None = Field(
        None, description="After each model: the attempts at each test, as the models so far have voted."
    )


class Value(BaseModel):
    """A value of a cell, and how the page shows it."""

    value: int | str = Field(description="As it is in a grid.")
    text: str
    colour: str = Field(description="Of the cell, as #rrggbb; empty: as others.")


class TaskInfo(BaseModel):
    name: str
    kind: Literal["sudoku", "maze", "arc", "grid"] = Field(description="`grid`: a task that is known by its model.")
    solves: bool
    why: str = Field(description="Why it cannot be solved here; empty if it can.")
    weights: str | None = Field(description="The name of the model.")
    sizes: list[tuple[int, int]] = Field(description="[rows, columns] that can be solved; empty: any up to `side`.")
    side: int = Field(description="Maximum number of rows or columns.")
    starts: int = Field(1, description="Starts from the first to the last restart, unless the request says otherwise.")
    seconds: float = Field(description="Time limit, unless the request says otherwise.")
    parameters: int | None = Field(None, description="Number of the model's weights.")
    bytes: int | None = Field(None, description="Their size.")
    shape: tuple[int, int] | None = Field(None, description="Of a `grid`: [rows, columns] of the boards in training.")
    checkable: bool = Field(True, description="Whether answers are checked by rules.")
    values: list[Value] = Field([], description="Of a `grid`: what a cell can hold.")
    blank: int | str | None = Field(None, description="Of a `grid`: the value that stands for an unknown cell, if any.")
    unit: int | None = Field(
        None, description="Of a `grid` whose questions have layers: a value less than this is of the first layer alone."
    )
    symbols: list[int | str] = Field(
        [], description="Of a `grid`: the values whose probabilities are `Step.candidates`."
    )


class Served(BaseModel):
    """What this server offers."""

    version: str
    tasks: list[TaskInfo]
    limits: dict[str, int | float] = Field(description="Maximum values of a request, and the size of the queue.")
    colours: list[str] = Field(description="Colours of ARC's ten symbols.")


class Example(BaseModel):
    task: str
    name: str
    puzzle: list[str] | list[list[int]] | ArcPuzzle
