"""Three lines of Python: `solver = trm.Solver("sudoku")`, `answer = solver.solve(puzzle)`, `answer.grid`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trm import store
from trm.errors import BadInput
from trm.inference import loop as solver
from trm.inference.defaults import default_weights, usual_thinking
from trm.inference.loop import Look, Thinking, Thoughts, think
from trm.inference.puzzles import Puzzle, read_puzzle
from trm.store.stored import Stored
from trm.tasks import TASKS, get_task
from trm.tasks.base import Spec, Task, Tokens, accepted, check, checkable
from trm.tasks.custom.task import FAMILY

SIZES = 16  # of a task whose models a solver keeps; all share the weights' values


@dataclass(frozen=True, eq=False)
class Board:
    """A filled board."""

    task: Task = field(repr=False)
    tokens: Tokens = field(repr=False)  # [cells]

    @property
    def grid(self) -> npt.NDArray[Any]:
        """[height, width]: digits of a Sudoku (0: blank), drawn characters of a maze, tokens of any other task."""
        to_grid = getattr(self.task, "to_grid", None)
        grid: npt.NDArray[Any] = to_grid(self.tokens) if to_grid else self.tokens.reshape(shape(self.task))
        return grid

    @property
    def text(self) -> str:
        """The board drawn; `Solver.solve` reads it too."""
        return self.task.draw(self.tokens)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class Step(Board):
    """What the model's answer was after one supervision step, and what the step changed."""

    number: int  # from 1, over all starts
    start: int  # 0 is the model's own, then come those with noise
    valid: bool  # the answer obeys the rules and keeps what was given
    confidence: float  # 0..1, that it is right: see `trm.inference.confidence_in`
    cells: npt.NDArray[np.float32] = field(repr=False)  # [height, width], probability of each cell's token
    moved_y: float  # root mean square of what the step added to y
    moved_z: float  # the same of z; 0 where the model has none
    answer: Answer | None = field(default=None, repr=False)  # what it came to, with the last step of `Solver.watch`


@dataclass(frozen=True, eq=False)
class Answer(Board):
    """What the model made of one puzzle: an answer that obeys the rules, or its best attempt."""

    question: Tokens = field(repr=False)  # [cells]
    valid: bool  # obeys the rules and keeps what was given
    confidence: float  # 0..1, the model's own belief that it is right: see `trm.inference.confidence_in`
    steps: int  # supervision steps used, over all starts
    starts: int  # how often the model began on it
    _trace: Callable[[], Iterable[Step]] = field(repr=False)

    @property
    def solved(self) -> bool:
        """Valid; a maze's path is as short as can be, too; where no rules are known, the model thinks so."""
        _, right = check(self.task, self.question[None], self.tokens[None])
        return accepted(self.task, bool(right[0]), self.confidence)

    @cached_property
    def trace(self) -> tuple[Step, ...]:
        """Every step that led to the answer. After `Solver.solve_many` they are thought through once more."""
        return tuple(self._trace())


class Solver:
    """A model at work on one task. Several threads may use one solver at a time.

    With the same seed the same puzzle gets the same answer after the same steps, whatever else it is solved with: the
    noise of a restart depends on the seed and the question alone. A batch's size can change how the last bits of a
    probability are rounded, no more (on a CPU, with the C kernels, y and z are equal to the bit).

    Args:
        task: `sudoku` or `maze`, any size that the weights allow; a registered task; `custom`, which weights define.
        weights: a shipped model's name, the folder of a model or of a training run, OWNER/NAME of a model on the hub,
            or a loaded model [default: the best that ships for the task].
        batch: puzzles that `solve_many` thinks about at once.
        thinking: how long, and until when: `steps`, `restarts`, `seed`, `seconds`, `until` and the other fields of
            `trm.inference.Thinking`. Each method takes them too, for one call. Where no rules are known to check an
            answer by, `until` is `sure` by default.

    Raises:
        BadInput: no such task or weights, or weights for another task.
        TrmError: a model of the hub cannot be downloaded.
    """

    def __init__(
        self, task: str = "sudoku", weights: str | Path | Stored | None = None, *, batch: int = 16, **thinking: Any
    ) -> None:
        loaded = weights if isinstance(weights, Stored) else store.load(str(weights or default_weights(task)))
        store.check_family(loaded.name, loaded.spec, task)
        if loaded.model.config.puzzle_ids > 1:
            raise BadInput(f"model {loaded.name!r} knows its puzzles by number, and has none for yours")
        self.stored, self.batch = loaded, batch
        self.task = loaded.spec.name if task == FAMILY else task
        if self.task in TASKS and not checkable(get_task(self.task)):
            thinking.setdefault("until", "sure")
        self.thinking = Thinking(**usual_thinking(task, thinking, loaded.model.config.round))
        self._resized = lru_cache(SIZES)(partial(store.resize, loaded))

    def solve(self, puzzle: Puzzle, **thinking: Any) -> Answer:
        """Think about one puzzle.

        Args:
            puzzle: text as `trm solve` reads it, lines of text, or [height, width] whole numbers, 0 for a blank (a
                task of your own: its tokens). Not the name of a file.
            thinking: changes to the solver's, for this call.

        Raises:
            BadInput: no puzzle, several, or one that breaks the rules: one line that names the place.
        """
        *_, last = self.watch(puzzle, **thinking)
        assert last.answer is not None
        return last.answer

    def solve_many(self, puzzles: str | Iterable[Puzzle], **thinking: Any) -> list[Answer]:
        """Think about many puzzles, of several sizes if need be, as `solve` does about one.

        Args:
            puzzles: one text that holds them all, or one by one.
            thinking: changes to the solver's, for this call; `seconds` are for all puzzles together.
        """
        how = replace(self.thinking, **thinking)
        boards = self._read(puzzles)
        sizes: dict[Spec, list[int]] = {}
        for number, (task, _) in enumerate(boards):
            sizes.setdefault(task.spec, []).append(number)
        answers: dict[int, Answer] = {}
        began = time.monotonic()
        for spec, numbers in sizes.items():
            stored, task = self._stored(spec), boards[numbers[0]][0]
            question = np.stack([boards[number][1] for number in numbers])
            if how.seconds is not None:
                how = replace(how, seconds=max(how.seconds - (time.monotonic() - began), 1e-6))
                began = time.monotonic()
            solved = solver.solve(stored, task, question, how, self.batch)
            for number, row, raw in zip(numbers, question, solved, strict=True):
                answers[number] = replayable(stored, task, row, how, raw)
        return [answers[number] for number in range(len(boards))]

    def watch(self, puzzle: Puzzle, **thinking: Any) -> Iterator[Step]:
        """The steps of thinking about one puzzle (see `solve`) as they come; the last one has the `answer`.

        Nothing goes on between the steps: who stops asking for them stops the thinking.
        """
        how = replace(self.thinking, **thinking)
        task, question = read_puzzle(puzzle, self.task)
        if len(question) != 1:
            raise BadInput(f"there are {len(question)} puzzles in this text; give them to solve_many")
        return watch(self._stored(task.spec), task, question[0], how)

    def _read(self, puzzles: str | Iterable[Puzzle]) -> list[tuple[Task, Tokens]]:
        """-> the task and the question [cells] of each."""
        if isinstance(puzzles, str):
            task, question = read_puzzle(puzzles, self.task)
            return [(task, row) for row in question]
        boards = []
        for number, puzzle in enumerate(puzzles):
            try:
                task, question = read_puzzle(puzzle, self.task)
                if len(question) != 1:
                    raise BadInput(f"there are {len(question)} puzzles in this text; give one at a time")
            except BadInput as error:
                raise BadInput(f"puzzles[{number}]: {error}") from None
            boards.append((task, question[0]))
        return boards

    def _stored(self, spec: Spec) -> Stored:
        return self.stored if spec == self.stored.spec else self._resized(spec)


def shape(task: Task) -> tuple[int, int]:
    return task.spec.height, task.spec.width


def answer_of(task: Task, question: Tokens, raw: solver.Answer, trace: Callable[[], Iterable[Step]]) -> Answer:
    return Answer(task, raw.tokens, question, raw.valid, raw.confidence, raw.steps, raw.starts, trace)


def replayable(stored: Stored, task: Task, question: Tokens, thinking: Thinking, raw: solver.Answer) -> Answer:
    """The answer to question [cells], whose trace is thought through once more when it is asked for."""
    return answer_of(task, question, raw, partial(replay, stored, task, question, thinking, raw.steps))


def watch(stored: Stored, task: Task, question: Tokens, thinking: Thinking) -> Iterator[Step]:
    """The steps of thinking about question [cells]; the last one has the answer, which keeps them all."""
    thought = Thoughts()
    kept: list[Step] = []
    for look in think(stored, task, question[None], [thought], thinking, 1):
        step = step_of(task, look, thought.steps)
        kept.append(step)
        if look.ended[0]:
            step = replace(step, answer=answer_of(task, question, thought.answer(), partial(tuple, kept)))
        yield step


def replay(stored: Stored, task: Task, question: Tokens, thinking: Thinking, steps: int) -> list[Step]:
    """The first `steps` steps of thinking about question [cells], whatever had ended it."""
    thought = Thoughts()
    endless = replace(thinking, until="end", seconds=None)
    looks = think(stored, task, question[None], [thought], endless, 1)
    return [step_of(task, look, thought.steps) for look in islice(looks, steps)]


def step_of(task: Task, look: Look, number: int) -> Step:
    """The step of a batch of one puzzle."""
    output, tokens = look.output, look.tokens[0]
    return Step(
        task,
        tokens,
        number,
        look.starts[0],
        valid=bool(look.valid[0]),
        confidence=float(look.confidence[0]),
        cells=output.logits[0].softmax(-1).amax(-1).numpy().reshape(shape(task)),
        moved_y=root_mean_square(output.state.y - look.before.y),
        moved_z=root_mean_square(output.state.z - look.before.z),
    )


def root_mean_square(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt()) if values.numel() else 0.0
