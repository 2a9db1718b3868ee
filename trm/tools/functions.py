"""What a language model can call: puzzles solved and answers checked, as functions with typed results.

`call` runs one by name, `schemas` describes them all as OpenAI functions, `trm.tools.mcp` offers them over the Model
Context Protocol. torch is not imported before the first puzzle is to be solved.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from functools import cache, lru_cache
from threading import Event, Lock
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from trm.errors import BadInput, TrmError
from trm.inference.defaults import default_weights
from trm.tasks import family_name, resizable
from trm.tasks.arc import text as arc_read
from trm.tasks.base import Tokens
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.sudoku.search import TooHard, count_solutions
from trm.tasks.sudoku.task import SIZES, Sudoku, sudoku_for

if TYPE_CHECKING:
    from trm.adapt.result import Result as Adapted
    from trm.inference.solver import Answer, Solver

LENGTH = 20_000  # characters of a puzzle; a maze of 100x100 cells has 10,100
ARC_LENGTH = 200_000
STEPS, SECONDS = 512, 60.0  # at most
USUAL_SECONDS = 20.0
ARC_SECONDS, USUAL_ARC_SECONDS = 240.0, 60.0  # of a processor core, in `trm serve` too
ARC_TESTS, ARC_DEMONSTRATIONS = 10, 30  # of a task, at most: each adds to the time, beyond the seconds given
NODES = 2000  # of the search that counts solutions
WEIGHTS: dict[str, str] = {}  # of a task, where others are wanted than those that ship

SUDOKU = "4x4, 6x6, 9x9 or 16x16: a line of characters a row, or all in one line. Digits 1-9 and A-G; . or 0: blank."
MAZE = "A line of characters a row: # wall, . open, one S (start), one G (goal). Moves go up, down, left and right."
SudokuText = Annotated[str, Field(max_length=LENGTH, description=SUDOKU)]
MazeText = Annotated[str, Field(max_length=LENGTH, description=MAZE)]
ArcText = Annotated[str, Field(max_length=ARC_LENGTH, description="The JSON of one ARC-AGI task: train and test.")]
Steps = Annotated[
    int | None,
    Field(ge=1, le=STEPS, description="Steps of thinking from one start, at most; null: the usual number."),
]
Seconds = Annotated[
    float | None, Field(gt=0, le=SECONDS, description=f"Time for thinking, at most; null: {USUAL_SECONDS:.0f}.")
]
ArcSeconds = Annotated[
    float | None,
    Field(gt=0, le=ARC_SECONDS, description=f"Of a processor core, at most; null: {USUAL_ARC_SECONDS:.0f}."),
]
Solutions = Literal["none", "one", "several", "not counted"]


class Stopped(TrmError):
    """Whoever called does not want the answer any longer."""


Part = TypeVar("Part")


def wanted(parts: Iterable[Part], stop: Event | None) -> Iterator[Part]:
    """What comes one by one. Raises Stopped at the first that comes after `stop` was set."""
    for part in parts:
        if stop is not None and stop.is_set():
            raise Stopped("stopped: the answer is not wanted any longer")
        yield part


class Result(BaseModel):
    """What every tool returns."""

    model_config = ConfigDict(frozen=True)

    solved: bool = Field(description="The answer is right: it was checked, not just believed. If false, do not use it.")
    valid: bool = Field(description="The answer obeys the rules and keeps what the puzzle gives.")
    message: str = Field(description="The outcome in one line, and what is wrong with an answer that is not right.")

    @property
    def text(self) -> str:
        """For people, and for models that get no structured content."""
        return self.message


class Solution(Result):
    """What the model made of a puzzle."""

    confidence: float = Field(ge=0, le=1, description="The model's own belief that its answer is right.")
    steps: int = Field(ge=0, description="Steps of thinking used.")
    answer: str | None = Field(description="The solved board, a line a row; null if it was not solved.")
    best_attempt: str | None = Field(description="What the model came up with where it did not solve the puzzle.")
    solutions: Solutions = Field(description="That the puzzle has.")

    @property
    def text(self) -> str:
        board = self.answer or self.best_attempt
        return self.message if board is None else f"{self.message}\n\n{board}"


class Attempt(BaseModel):
    """One answer to a test of an ARC task."""

    model_config = ConfigDict(frozen=True)

    grid: list[list[int]] = Field(description="Colours 0-9, row by row.")
    confidence: float = Field(ge=0, le=1, description="The share of the models' votes for it, by how sure each was.")


class ArcSolution(Result):
    """What models trained on an ARC task's demonstrations answer to its tests."""

    solved: bool = Field(description="Always false: nobody can check the answer to an ARC task but by its author's.")
    valid: bool = Field(description="Every test has an attempt, by a model that reproduces all the demonstrations.")
    attempts: list[list[Attempt]] = Field(description="For each test up to two, the likelier first.")
    models: int = Field(ge=0, description="Models that were trained.")
    models_that_know: int = Field(ge=0, description="Of those, how many reproduce every demonstration.")
    seconds: float = Field(ge=0, description="Of a processor core, used.")

    @property
    def text(self) -> str:
        parts = [self.message]
        for number, attempts in enumerate(self.attempts, 1):
            for rank, attempt in enumerate(attempts, 1):
                rows = "\n".join("".join(map(str, row)) for row in attempt.grid)
                parts.append(f"Test {number}, attempt {rank}, confidence {attempt.confidence:.0%}:\n{rows}")
        return "\n\n".join(parts)


# What stands behind the star is the caller's, and no argument that a model can give.


def solve_sudoku(
    puzzle: SudokuText, steps: Steps = None, seconds: Seconds = None, *, stop: Event | None = None
) -> Solution:
    """Solve a Sudoku with a small neural network and check the answer by the rules. Says so if the puzzle has no or
    several solutions. When solved is false, best_attempt is wrong: solve the puzzle another way.
    """
    task, question = read_one("sudoku", puzzle)
    solutions: Solutions
    try:
        solutions = COUNTS[count_solutions(question, SIZES[task.spec.cells], 2, NODES)[0]]
    except TooHard:
        solutions = "not counted"
    if solutions == "none":
        message = "The puzzle has no solution, though no two of its digits clash: look for a wrong digit."
        return Solution(
            solved=False, valid=False, message=message, confidence=0, steps=0, answer=None, best_attempt=None,
            solutions="none",
        )  # fmt: skip
    return think("sudoku", task, puzzle, steps, seconds, solutions, stop)


def solve_maze(
    puzzle: MazeText, steps: Steps = None, seconds: Seconds = None, *, stop: Event | None = None
) -> Solution:
    """Find a shortest path through a maze with a small neural network, marked with o, and check it. When solved is
    false, best_attempt is no shortest path: find one another way.
    """
    task, _ = read_one("maze", puzzle)
    return think("maze", task, puzzle, steps, seconds, "not counted", stop)


def solve_arc(task: ArcText, seconds: ArcSeconds = None, *, stop: Event | None = None) -> ArcSolution:
    """Two attempts at each test of an ARC-AGI task, by small neural networks trained on its demonstrations alone. They
    are not checked: compare them with the demonstrations before use. Takes about a minute.
    """
    tasks = arc_read.parse(task, place="task")
    if len(tasks) != 1:
        raise BadInput(f"task: there are {len(tasks)} tasks in this text; give one at a time")
    pairs = (("tests", tasks[0].test, ARC_TESTS), ("demonstrations", tasks[0].train, ARC_DEMONSTRATIONS))
    for what, given, most in pairs:
        if len(given) > most:
            raise BadInput(f"task: there are {len(given)} {what} in this task, more than {most}")
    from trm.adapt.child import adapt_in_child
    from trm.adapt.result import Result as Adapted

    with closing(adapt_in_child(tasks[0], seconds or USUAL_ARC_SECONDS)) as reports:  # so that its process ends at once
        *_, found = wanted(reports, stop)
    assert isinstance(found, Adapted)
    return arc_solution(found)


def arc_solution(found: Adapted) -> ArcSolution:
    """What came of a task, as it is told."""
    attempts = [
        [Attempt(grid=grid.tolist(), confidence=sure) for grid, sure in zip(grids, sures, strict=True)]
        for grids, sures in zip(found.attempts(), found.confidence(), strict=True)
    ]
    know = sum(model.known for model in found.models)
    return ArcSolution(
        solved=False,
        valid=know > 0 and all(attempts),
        message=arc_outcome(len(found.models), know),
        attempts=attempts,
        models=len(found.models),
        models_that_know=know,
        seconds=found.seconds,
    )


def arc_outcome(models: int, know: int) -> str:
    """The outcome in one line."""
    if not models:
        return "No attempt: no rule for the size of the answer holds on the demonstrations."
    if not know:
        return "Not to be trusted: no model learnt the demonstrations in the time given, so the attempts are guesses."
    return f"Not checked: {know} of {models} models reproduce every demonstration; these are their votes."


def check_answer(
    task: Annotated[Literal["sudoku", "maze"], Field(description="What kind of puzzle it is.")],
    puzzle: Annotated[str, Field(max_length=LENGTH, description="As for solve_sudoku or solve_maze.")],
    answer: Annotated[
        str, Field(max_length=LENGTH, description="The whole board in the same form; in a maze the path marked with o.")
    ],
) -> Result:
    """Check an answer to a Sudoku or a maze, whoever found it. Says which cell or rule is at fault. In a maze, valid is
    any path that does not cross itself, and solved a shortest one.
    """
    kind, question = read_one(task, puzzle)
    try:
        answers = kind.read_cells(answer)
    except BadInput as error:
        raise BadInput(f"answer: {error}") from None
    if len(answers) != 1:
        raise BadInput(f"answer: there are {len(answers)} boards in this text; give one")
    if fault := kind.fault(question, answers[0]):
        return Result(solved=False, valid=False, message=f"Wrong: {fault}.")
    if not kind.right(question[None], answers)[0]:
        return Result(solved=False, valid=True, message=LONGER)
    return Result(solved=True, valid=True, message="Right: every rule is obeyed.")


TOOLS: dict[str, Callable[..., Result]] = {
    tool.__name__: tool for tool in (solve_sudoku, solve_maze, solve_arc, check_answer)
}
COUNTS: dict[int, Solutions] = {0: "none", 1: "one", 2: "several"}
LONGER = "A path from S to G, but not a shortest one."


def read_one(family: str, text: str) -> tuple[Sudoku | Maze, Tokens]:
    """-> the task, the one question [cells] of `text`. Raises BadInput."""
    task = sudoku_for(text) if family == "sudoku" else maze_for(text)
    question = task.read(text).question
    if len(question) != 1:
        raise BadInput(f"there are {len(question)} puzzles in this text; give one at a time")
    return task, question[0]


def use_weights(name: str) -> None:
    """Solve the puzzles of a model's task with that model: a shipped one's name, or a folder. Raises BadInput."""
    from trm import store

    stored = store.load(name)
    family = family_name(stored.spec.name)
    if family not in resizable():
        raise BadInput(f"model {name!r} is for {stored.spec.name}; there are tools for {' and '.join(resizable())}")
    if family in WEIGHTS:
        raise BadInput(f"two models for {family}: {WEIGHTS[family]!r} and {name!r}; name one")
    WEIGHTS[family] = name


_loading = Lock()


@lru_cache(4)
def load(family: str, weights: str) -> Solver:
    from trm.inference.solver import Solver

    return Solver(family, weights)


def think(
    family: str,
    task: Sudoku | Maze,
    puzzle: str,
    steps: int | None,
    seconds: float | None,
    solutions: Solutions,
    stop: Event | None,
) -> Solution:
    """Have the model solve a puzzle that has been read without errors.

    Raises BadInput where there are no weights, and Stopped.
    """
    with _loading:  # one thread loads, others wait for it
        solver = load(family, WEIGHTS.get(family) or default_weights(family))
    chosen = {} if steps is None else {"steps": steps}
    *_, last = wanted(solver.watch(puzzle, seconds=seconds or USUAL_SECONDS, **chosen), stop)
    answer = last.answer
    assert answer is not None
    board = "\n".join(task.to_line(row) for row in answer.tokens.reshape(task.spec.height, task.spec.width))
    return Solution(
        solved=answer.solved,
        valid=answer.valid,
        message=told(task, answer, solutions),
        confidence=answer.confidence,
        steps=answer.steps,
        answer=board if answer.solved else None,
        best_attempt=None if answer.solved else board,
        solutions=solutions,
    )


def told(task: Sudoku | Maze, answer: Answer, solutions: str) -> str:
    """The outcome in one line."""
    several = " The puzzle has several solutions; this is one of them." if solutions == "several" else ""
    if answer.solved:
        return f"Solved in {answer.steps} steps, and checked: every rule is obeyed.{several}"
    fault = f"Wrong: {task.fault(answer.question, answer.tokens)}." if not answer.valid else LONGER
    several = " The puzzle has several solutions." if several else ""
    return f"Not solved in {answer.steps} steps; the best attempt is not to be used. {fault}{several}"


# -- by name -----------------------------------------------------------------------------------------------------------


@cache
def arguments_of(name: str) -> type[BaseModel]:
    """The arguments of a tool as a model. Raises BadInput for a name that is none."""
    if name not in TOOLS:
        raise BadInput(f"there is no tool {name[:50]!r}; there are {', '.join(TOOLS)}")
    hints = get_type_hints(TOOLS[name], include_extras=True)
    fields: dict[str, Any] = {
        key: (hints[key], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for key, parameter in inspect.signature(TOOLS[name]).parameters.items()
        if parameter.kind is not parameter.KEYWORD_ONLY
    }
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def returned(name: str) -> type[Result]:
    """What a tool returns."""
    kind: type[Result] = get_type_hints(TOOLS[name])["return"]
    return kind


def call(name: str, arguments: Mapping[str, Any] | str, stop: Event | None = None) -> Result:
    """Run a tool as a language model asks for it.

    Args:
        name: `solve_sudoku`, `solve_maze`, `solve_arc` or `check_answer`.
        arguments: by name, or as the text of a JSON object. Those that may be null may be left out.
        stop: ends the work soon after it is set.

    Raises:
        BadInput: no such tool, other arguments than its own, or a malformed puzzle: one line to give back to the model.
        TrmError: the work could not be done, for want of memory or time; Stopped: it was not wanted any longer.
    """
    expected = arguments_of(name)
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"the arguments of {name} are no JSON: {str(error).splitlines()[0]}") from None
    try:
        given = expected.model_validate(arguments)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"][:1])
        raise BadInput(f"{where or 'the arguments'}: {' '.join(first['msg'].split())}") from None
    more = {"stop": stop} if "stop" in inspect.signature(TOOLS[name]).parameters else {}
    return TOOLS[name](**{key: getattr(given, key) for key in expected.model_fields}, **more)


def description(name: str) -> str:
    return " ".join((TOOLS[name].__doc__ or "").split())


def schemas() -> list[dict[str, Any]]:
    """The tools as OpenAI functions with strict parameters, for `tools=` of a chat completion."""
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": description(name),
                "strict": True,
                "parameters": strict(arguments_of(name).model_json_schema()),
            },
        }
        for name in TOOLS
    ]


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """What strict mode accepts: every property required and nothing else allowed, no defaults, no titles or lengths."""
    properties = {
        key: {word: value for word, value in described.items() if word not in ("title", "default", "maxLength")}
        for key, described in schema["properties"].items()
    }
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
