"""The tools themselves: Python functions with typed arguments that solve puzzles and check answers.

The docstrings, argument descriptions and limits are what a language model reads (see `trm.tools.calls`). torch is
imported only when the first puzzle is to be solved.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from threading import Event, Lock
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field

from trm.errors import BadInput
from trm.inference.defaults import default_weights
from trm.tasks.arc.text import ArcTask, parse
from trm.tasks.base import Task, Tokens
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.sudoku.search import TooHard, count_solutions
from trm.tasks.sudoku.task import Sudoku, sudoku_for
from trm.tools.arguments import as_text
from trm.tools.results import (
    ArcSolution,
    Attempt,
    Progress,
    Result,
    Solution,
    Solutions,
    Stopped,
    Tell,
    tell_nobody,
)

if TYPE_CHECKING:
    from trm.adapt.result import Result as AdaptResult
    from trm.inference.answers import Answer
    from trm.inference.solver import Solver

MAX_LENGTH = 20_000  # characters of a puzzle; a maze of 100x100 cells has 10,100
MAX_ARC_LENGTH = 200_000  # characters of an ARC task
MAX_STEPS = 512  # supervision steps from one start
# Many clients wait for 60 seconds: without a limit of its own a call ends before that.
MAX_SECONDS, DEFAULT_SECONDS = 60.0, 20.0  # for a Sudoku or a maze, with the time to load the weights
MAX_ARC_SECONDS, DEFAULT_ARC_SECONDS = 240.0, 60.0  # of processor time, as for `trm serve`, which begins on its own
TOOL_ARC_SECONDS = 40.0  # the tool's default, with the time to start
MAX_ARC_TESTS, MAX_ARC_DEMONSTRATIONS = 10, 30  # each pair adds to the time that an ARC task takes beyond its limit
MAX_NODES = 2000  # branch nodes of the search that counts a Sudoku's solutions

SUDOKU = (
    "4x4, 6x6, 9x9 or 16x16; one line of characters per row, or all rows in one line. Digits 1-9 and A-G; . or 0 for a "
    "blank."
)
MAZE = "One line of characters per row: # wall, . open, one S (start), one G (goal). Moves go up, down, left and right."
AS_TEXT = BeforeValidator(as_text)  # models give rows, objects and code fences too
SudokuText = Annotated[str, Field(max_length=MAX_LENGTH, description=SUDOKU), AS_TEXT]
MazeText = Annotated[str, Field(max_length=MAX_LENGTH, description=MAZE), AS_TEXT]
ArcText = Annotated[
    str, Field(max_length=MAX_ARC_LENGTH, description="The JSON of one ARC-AGI task, with train and test."), AS_TEXT
]
Steps = Annotated[
    int | None,
    Field(ge=1, le=MAX_STEPS, description="Maximum number of supervision steps from one start; null: the default."),
]
Seconds = Annotated[
    float | None, Field(gt=0, le=MAX_SECONDS, description=f"Time limit in seconds; null: {DEFAULT_SECONDS:.0f}.")
]
ArcSeconds = Annotated[
    float | None,
    Field(
        gt=0,
        le=MAX_ARC_SECONDS,
        description=f"Limit of processor time in seconds; null: {TOOL_ARC_SECONDS:.0f}.",
    ),
]
ArcPairs = Literal["demonstrations", "tests"]

chosen_weights: dict[str, str] = {}  # family -> the model named by `trm.tools.use_weights`
SOLUTIONS: dict[int, Solutions] = {0: "none", 1: "one", 2: "several"}
NOT_SHORTEST = "A path from S to G, but not a shortest one."


# The tools. Arguments behind the star are for the caller; a language model cannot give them.


def solve_sudoku(
    puzzle: SudokuText,
    steps: Steps = None,
    seconds: Seconds = None,
    *,
    stop: Event | None = None,
    tell: Tell = tell_nobody,
) -> Solution:
    """Solve a Sudoku with a small neural network and check the answer by the rules. Also reports whether the puzzle
    has no solution or several. If solved is false, best_attempt is wrong: solve the puzzle another way.
    """
    clock = Clock(seconds)
    task = sudoku_for(puzzle)
    question, remarks = read_one(task, puzzle)
    solutions: Solutions
    try:
        solutions = SOLUTIONS[count_solutions(question, task, 2, MAX_NODES)[0]]
    except TooHard:
        solutions = "not counted"
    if solutions == "none":
        message = "The puzzle has no solution, although no two of its digits clash: look for a wrong digit."
        message += noted(remarks)
        return Solution(
            solved=False, valid=False, message=message, confidence=0, steps=0, answer=None, best_attempt=None,
            solutions="none",
        )  # fmt: skip
    answer = think("sudoku", puzzle, steps, clock, stop, tell)
    return solution_of(answer, board(task, answer), outcome(task, answer, solutions), solutions)


def solve_maze(
    puzzle: MazeText,
    steps: Steps = None,
    seconds: Seconds = None,
    *,
    stop: Event | None = None,
    tell: Tell = tell_nobody,
) -> Solution:
    """Find a shortest path through a maze with a small neural network, mark it with o, and check it. If solved is
    false, best_attempt is not a shortest path: find one another way.
    """
    clock = Clock(seconds)
    task = maze_for(puzzle)
    read_one(task, puzzle)
    answer = think("maze", puzzle, steps, clock, stop, tell)
    return solution_of(answer, board(task, answer), outcome(task, answer, "not counted"), "not counted")


def solve_arc(
    task: ArcText, seconds: ArcSeconds = None, *, stop: Event | None = None, tell: Tell = tell_nobody
) -> ArcSolution:
    """Make two attempts at each test of an ARC-AGI task with small neural networks trained on its demonstrations alone.
    The attempts are not checked: compare them with the demonstrations before use. Takes the whole time limit, unless
    the networks learn the demonstrations sooner.
    """
    tasks = parse(task, place="task")
    if len(tasks) != 1:
        raise BadInput(f"task: there are {len(tasks)} tasks in this text; give one at a time")
    try:
        check_arc_size(tasks[0])
    except BadInput as error:
        raise BadInput(f"task: {error}") from None
    from trm.adapt.child import adapt_in_child
    from trm.adapt.result import Result as AdaptResult

    # Closed explicitly, so that the child process ends at once.
    limit, found = seconds or TOOL_ARC_SECONDS, None
    with closing(adapt_in_child(tasks[0], limit, in_all=True)) as reports:
        for found in until_stopped(reports, stop):
            if not isinstance(found, AdaptResult):
                tell(Progress(found.doing, limit))
    assert isinstance(found, AdaptResult)
    return arc_solution(found)


def check_answer(
    task: Annotated[Literal["sudoku", "maze"], Field(description="The kind of puzzle.")],
    puzzle: Annotated[str, Field(max_length=MAX_LENGTH, description="As for solve_sudoku or solve_maze."), AS_TEXT],
    answer: Annotated[
        str,
        Field(
            max_length=MAX_LENGTH, description="The whole board in the same form; in a maze, the path marked with o."
        ),
        AS_TEXT,
    ],
) -> Result:
    """Check an answer to a Sudoku or a maze, whoever found it. Names the cell or the rule at fault. In a maze, valid
    means any path from S to G that does not cross itself, and solved a shortest one.
    """
    kind = sudoku_for(puzzle) if task == "sudoku" else maze_for(puzzle)
    question, remarks = read_one(kind, puzzle)
    try:
        answers = kind.read_cells(answer)
    except BadInput as error:
        raise BadInput(f"answer: {error}") from None
    if len(answers) != 1:
        raise BadInput(f"answer: there are {len(answers)} boards in this text; give one")
    if fault := kind.fault(question, answers[0]):
        return Result(solved=False, valid=False, message=f"Wrong: {fault}.{noted(remarks)}")
    if not kind.right(question[None], answers)[0]:
        return Result(solved=False, valid=True, message=NOT_SHORTEST + noted(remarks))
    return Result(solved=True, valid=True, message="Right: every rule is obeyed." + noted(remarks))


# Input


def read_one(task: Task, text: str) -> tuple[Tokens, tuple[str, ...]]:
    """Read the one puzzle of `text`. -> the question [cells], and what was left out of the text. Raises BadInput."""
    puzzles = task.read(text)
    if len(puzzles.question) != 1:
        raise BadInput(f"there are {len(puzzles.question)} puzzles in this text; give one at a time")
    return puzzles.question[0], puzzles.remarks


def noted(remarks: Sequence[str]) -> str:
    """What was left out of a puzzle's text, as a sentence to follow others."""
    return f" Of the puzzle's text, {'; '.join(remarks)}." if remarks else ""


def check_arc_size(task: ArcTask) -> None:
    """Raise BadInput if an ARC task has more demonstrations or tests than are accepted."""
    limits: tuple[tuple[ArcPairs, int, int], ...] = (
        ("demonstrations", len(task.train), MAX_ARC_DEMONSTRATIONS),
        ("tests", len(task.test), MAX_ARC_TESTS),
    )
    for name, count, most in limits:
        if count > most:
            raise BadInput(f"there are {count} {name} in this task; at most {most} are accepted")


# Solving

Part = TypeVar("Part")
_loading = Lock()
LEAST = 1e-6  # seconds that are left for the first step, however long loading took


class Clock:
    """A time limit that runs from now on. seconds: None: DEFAULT_SECONDS."""

    def __init__(self, seconds: float | None) -> None:
        self.limit, self.began = seconds or DEFAULT_SECONDS, time.monotonic()

    def left(self) -> float:
        return max(LEAST, self.limit - (time.monotonic() - self.began))


def until_stopped(parts: Iterable[Part], stop: Event | None) -> Iterator[Part]:
    """Yield `parts` as they come. Raises Stopped at the first one that comes after `stop` was set."""
    for part in parts:
        if stop is not None and stop.is_set():
            raise Stopped("stopped at the caller's request")
        yield part


@lru_cache(4)
def load_solver(family: str, weights: str) -> Solver:
    from trm.inference.solver import Solver

    return Solver(family, weights)


def think(
    family: str,
    puzzle: str,
    steps: int | None,
    clock: Clock,
    stop: Event | None,
    tell: Tell,
    weights: str | None = None,
) -> Answer:
    """Solve a puzzle that has been read without errors.

    Args:
        family: the family's name.
        puzzle: its text.
        steps: maximum number of supervision steps from one start; None: the family's default.
        clock: the time limit.
        stop: see `until_stopped`.
        tell: called when the weights are to be loaded, and after every step.
        weights: the model [default: the one chosen for the family].

    Raises:
        BadInput: the family has no weights.
        Stopped: `stop` was set.
    """
    tell(Progress("loading the model", clock.limit))
    with _loading:  # one thread loads the weights while the others wait for it
        solver = load_solver(family, weights or chosen_weights.get(family) or default_weights(family))
    chosen = {} if steps is None else {"steps": steps}
    answer = None
    for step in until_stopped(solver.watch(puzzle, seconds=clock.left(), **chosen), stop):
        answer = step.answer
        tell(Progress(f"step {step.number}, start {step.start + 1}", clock.limit))
    assert answer is not None
    return answer


def board(task: Task, answer: Answer) -> str:
    """The answer's cells, a line for each row."""
    return "\n".join(task.to_line(row) for row in answer.tokens.reshape(task.spec.height, task.spec.width))


def solution_of(answer: Answer, board: str, message: str, solutions: Solutions) -> Solution:
    """The result of a tool. An answer that nothing can check is a best attempt."""
    solved = answer.solved and answer.task.checkable
    return Solution(
        solved=solved,
        valid=answer.valid,
        message=message + noted(answer.remarks),
        confidence=answer.confidence,
        steps=answer.steps,
        answer=board if solved else None,
        best_attempt=None if solved else board,
        solutions=solutions,
    )


def in_steps(answer: Answer) -> str:
    return f"{answer.steps} step{'s' if answer.steps != 1 else ''}"


def outcome(task: Sudoku | Maze, answer: Answer, solutions: Solutions) -> str:
    """The outcome of a Sudoku or a maze in one line."""
    several = " The puzzle has several solutions; this is one of them." if solutions == "several" else ""
    if answer.solved:
        return f"Solved in {in_steps(answer)} and checked: every rule is obeyed.{several}"
    fault = f"Wrong: {task.fault(answer.question, answer.tokens)}." if not answer.valid else NOT_SHORTEST
    several = " The puzzle has several solutions." if several else ""
    return f"Not solved in {in_steps(answer)}; do not use the best attempt. {fault}{several}"


def arc_solution(found: AdaptResult) -> ArcSolution:
    """The result of adapting to an ARC task, as the tool returns it."""
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
    """The outcome of an ARC task in one line; `know` of `models` reproduce every demonstration."""
    if not know:
        return "Not to be trusted: no model learned the demonstrations in the given time, so the attempts are guesses."
    return f"Not checked: {know} of {models} models reproduce every demonstration; these are their votes."
