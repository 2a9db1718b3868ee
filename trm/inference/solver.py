"""Solving in Python: `trm.Solver("sudoku").solve(puzzle).grid`. torch is imported when a solver needs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trm.devices import check_precision
from trm.errors import BadInput, UnknownArgument
from trm.inference.answers import Answer, Step, answer_of, step_of
from trm.inference.backends import BackendName, Backends, BackendStage, think_in_stages
from trm.inference.defaults import usual_thinking
from trm.inference.loop import SearchState, Thinking
from trm.inference.onnx import FILE
from trm.inference.puzzles import Puzzle, SizedPuzzle, read_puzzle
from trm.numbers import check_threads, whole_number
from trm.store.shipped import check_is_task
from trm.tasks import find_family, get_task
from trm.tasks.base import Spec, Task, Tokens

if TYPE_CHECKING:
    from trm.store.stored import Stored


Tick = Callable[[int], object]  # called with a number of puzzles


def ignore_tick(finished: int) -> None:
    """A `Tick` that does nothing."""


class Solver:
    """A model that solves puzzles of one task. Several threads may use one solver at a time. It can be pickled and sent
    to other processes, which load its model themselves.

    A puzzle and a seed always give the same answer after the same steps, whatever other puzzles are solved with it: the
    noise of a restart depends on the seed and the question alone. The size of a batch can only change how the last bits
    of a probability are rounded (on a CPU, with the C kernels, y and z are bit-identical).

    Args:
        task: `sudoku` or `maze`, any size that the weights allow; a registered task; or `custom`, which its weights
            define.
        weights: a shipped model's name, the folder of a model or of a training run, OWNER/NAME of a model on the hub,
            or a loaded model [default: the best that ships for the task]. With the onnx backend: an exported file, or
            a shipped name or folder that has one.
        backend: `torch`, `onnx` or `auto`. `onnx` runs an exported file: it starts fast, needs no torch, and makes one
            start a puzzle. `auto` lets the exported file that ships with the weights make the first start, and torch
            the others; it is as `torch` where there is no such file, for more than 4 puzzles in a call, and with a time
            limit. Backends differ in the last bits of a probability, so with `auto` they can depend on what else is
            solved in a call, which they do not by default.
        batch: puzzles that `solve_many` works on at once.
        threads: of the backend; with torch this is a setting of the whole process [default: the backend's own].
        precision: of torch's matrix products: `float32`, `bfloat16`, or `auto` for whichever is faster here. A loaded
            model keeps it.
        thinking: how long to work, and until when: `steps`, `restarts`, `seed`, `seconds`, `until` and the other fields
            of `trm.inference.Thinking`. Each method takes them too, for one call. Where no rules are known to check an
            answer by, `until` is `sure` by default.

    Raises:
        BadInput: no such task, weights, backend or argument; weights for another task; or restarts with the onnx
            backend.
        TrmError: a model of the hub cannot be downloaded, or onnxruntime is not installed.
    """

    def __init__(
        self,
        task: str = "sudoku",
        weights: str | Path | Stored | None = None,
        *,
        backend: BackendName = "torch",
        batch: int = 16,
        threads: int = 0,
        precision: str = "auto",
        **thinking: Any,
    ) -> None:
        if not isinstance(task, str):
            raise BadInput(f"task must be the name of a task, not {task!r}")
        check_is_task(task)
        find_family(task)  # refuses a task that there is not
        check_names(thinking, ("weights", "backend", "batch", "threads", "precision"))
        self.backend, self.batch = backend, whole_number("batch", batch, 1)
        self._made = SolverArguments(
            task, fixed(weights), backend, check_threads(threads), check_precision(precision), dict(thinking)
        )
        self._backends = Backends(backend, task, weights, self._made.threads, precision)
        stored = self._backends.sizes.stored if self._backends.sizes else None  # auto: perhaps not loaded yet
        self.task = self._backends.task_name()
        if not get_task(self.task).checkable:
            thinking.setdefault("until", "sure")
        if backend == "onnx":
            check_one_start(thinking)
            thinking = {**thinking, "restarts": 0, "guesses": 0}
        self.thinking = Thinking(**usual_thinking(task, thinking, stored.model.config.round if stored else 1))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the arguments it was made with. Raises BadInput for a solver of a loaded model."""
        if not isinstance(self._made.weights, str | None):
            raise BadInput(
                f"a solver of a loaded model ({self._made.weights.name!r}) cannot be pickled: make it with the name or "
                "the folder of its weights"
            )
        return make_again, (self._made, self.batch, self.thinking)

    @property
    def stored(self) -> Stored:
        """The model in torch; with `auto` it may be loaded now. Raises BadInput for the onnx backend."""
        return self._backends.torch().stored

    @property
    def remark(self) -> str:
        """What a user should know about these settings, in a line; else empty."""
        if not self._backends.sizes:
            return ""
        from trm.models.turns import unasked

        return unasked(self.stored.model.config, self.thinking.steps)

    def solve(self, puzzle: Puzzle, **thinking: Any) -> Answer:
        """Solve one puzzle.

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

    def solve_many(self, puzzles: str | Iterable[Puzzle], *, trace: bool = False, **thinking: Any) -> list[Answer]:
        """Solve many puzzles, which may differ in size, as `solve` does one.

        Args:
            puzzles: one text that holds them all, or one by one.
            trace: keep every step for `Answer.trace` [default: compute the steps again when they are asked for].
            thinking: changes to the solver's, for this call; `seconds` are for all puzzles together.

        Raises:
            BadInput: as `solve`; for puzzles given one by one it names the puzzle.
        """
        return self.solve_boards(self._read(puzzles), trace=trace, **thinking)

    def solve_boards(
        self, boards: Sequence[SizedPuzzle], *, trace: bool = False, tick: Tick = ignore_tick, **thinking: Any
    ) -> list[Answer]:
        """Solve puzzles that have been read, of any sizes.

        `trace` and `thinking` are as in `solve_many`. `tick` is called with the number of puzzles finished, whenever
        some are.
        """
        how = self._changed(thinking)
        sizes: dict[Spec, list[int]] = {}
        for number, board in enumerate(boards):
            sizes.setdefault(board.task.spec, []).append(number)
        answers: dict[int, Answer] = {}
        began = time.monotonic()
        for numbers in sizes.values():
            if how.seconds is not None:
                how = replace(how, seconds=max(how.seconds - (time.monotonic() - began), 1e-6))
                began = time.monotonic()
            solved = self._solve([boards[number] for number in numbers], how, len(boards), trace, tick)
            answers.update(zip(numbers, solved, strict=True))
        return [answers[number] for number in range(len(boards))]

    def solve_tokens(self, task: Task, question: Tokens, *, trace: bool = False, **thinking: Any) -> list[Answer]:
        """Solve puzzles that have been read: question [rows, cells] of one size, whose `task` this is.

        `trace` and `thinking` are as in `solve_many`.
        """
        return self._solve([SizedPuzzle(task, row) for row in question], self._changed(thinking), len(question), trace)

    def watch(self, puzzle: Puzzle, **thinking: Any) -> Iterator[Step]:
        """The supervision steps of solving one puzzle (see `solve`) as they come; the last one has the `answer`.

        A generator: it computes only while you iterate.
        """
        how = self._changed(thinking)
        boards = read_puzzle(puzzle, self.task)
        if len(boards) != 1:
            raise BadInput(f"there are {len(boards)} puzzles in this text; give them to solve_many")
        stages = self._backends.stages(boards[0].task, 1, how)
        return watch(chain([next(stages)], stages), boards[0], how)  # weights that do not fit are refused now

    def _changed(self, thinking: dict[str, Any]) -> Thinking:
        """The solver's settings with changes for one call. Raises BadInput."""
        check_names(thinking)
        if self.backend == "onnx":
            check_one_start(thinking)
        return replace(self.thinking, **thinking)

    def _read(self, puzzles: str | Iterable[Puzzle]) -> list[SizedPuzzle]:
        if isinstance(puzzles, str):
            return read_puzzle(puzzles, self.task)
        boards = []
        for number, puzzle in enumerate(puzzles):
            try:
                found = read_puzzle(puzzle, self.task)
                if len(found) != 1:
                    raise BadInput(f"there are {len(found)} puzzles in this text; give one at a time")
            except BadInput as error:
                raise BadInput(f"puzzles[{number}]: {error}") from None
            boards += found
        return boards

    def _solve(
        self, boards: Sequence[SizedPuzzle], how: Thinking, count: int, trace: bool, tick: Tick = ignore_tick
    ) -> list[Answer]:
        """Answers to puzzles of one size in a call with `count` puzzles of any size."""
        if not boards:
            return []
        used: list[BackendStage] = []
        task, question = boards[0].task, np.stack([board.question for board in boards])
        searches, kept = [SearchState() for _ in boards], [list[Step]() for _ in boards]
        stages = noted(self._backends.stages(task, count, how), used)
        for batch in think_in_stages(stages, task, question, searches, how, self.batch):
            for place, row in enumerate(batch.rows.tolist() if trace else ()):
                kept[row].append(step_of(task, batch, place, searches[row].steps))
            if finished := int(batch.ended.sum()):
                tick(finished)
        answers = []
        for board, search, steps in zip(boards, searches, kept, strict=True):
            result = search.result()
            again = partial(tuple, steps) if trace else partial(replay, used, board, how, result.steps)
            answers.append(answer_of(board, result, again))
        return answers


@dataclass(frozen=True)
class SolverArguments:
    """What a solver was made with, to make it again in another process."""

    task: str
    weights: str | Stored | None  # a folder is absolute
    backend: BackendName
    threads: int
    precision: str
    thinking: dict[str, Any]  # as given, not the settings that follow from it


def make_again(made: SolverArguments, batch: int, thinking: Thinking) -> Solver:
    """A solver like the one that was made with these arguments, with its present batch and settings."""
    solver = Solver(
        made.task,
        made.weights,
        backend=made.backend,
        batch=batch,
        threads=made.threads,
        precision=made.precision,
        **made.thinking,
    )
    solver.thinking = thinking
    return solver


def fixed(weights: str | Path | Stored | None) -> str | Stored | None:
    """Weights in such a way that they are the same from another working directory. Raises BadInput."""
    if isinstance(weights, str | Path):
        if not str(weights):
            raise BadInput("weights is empty: give a model's name or folder, or None for the model that ships")
        return str(Path(weights).absolute()) if holds_model(Path(weights)) else str(weights)
    if weights is not None and not hasattr(weights, "model"):
        raise BadInput(f"weights must be a model's name or folder, or a loaded model, not {weights!r}")
    return weights


def holds_model(path: Path) -> bool:
    """Whether it is a file, or a folder that comes before the shipped model of that name."""
    names = [f"{folder}{name}" for folder in ("", "model/") for name in ("config.json", FILE)]
    return path.is_file() or any((path / name).is_file() for name in names)


def check_names(thinking: dict[str, Any], others: Sequence[str] = ()) -> None:
    """Raise UnknownArgument for a keyword argument that is no setting of `Thinking`.

    `others`: further arguments of the function, one of which may be meant.
    """
    known = [one.name for one in fields(Thinking)]
    for name in thinking:
        if name not in known:
            near = get_close_matches(name, [*known, *others], 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise UnknownArgument(f"no argument {name!r}{hint}; the settings of Thinking are {', '.join(known)}")


def check_one_start(thinking: dict[str, Any]) -> None:
    """Raise BadInput where settings of further starts are given for the onnx backend."""
    given = [name for name in ("restarts", "noise", "guesses", "seed") if thinking.get(name)]
    if given:
        raise BadInput(f"the onnx backend has one start a puzzle: leave out {', '.join(given)}, or choose torch")


def noted(stages: Iterable[BackendStage], used: list[BackendStage]) -> Iterator[BackendStage]:
    """The stages, each noted in `used` when it begins."""
    for stage in stages:
        used.append(stage)
        yield stage


def watch(stages: Iterable[BackendStage], puzzle: SizedPuzzle, thinking: Thinking) -> Iterator[Step]:
    """The steps of solving a puzzle; the last one has the answer, which keeps them all."""
    search = SearchState()
    kept: list[Step] = []
    for batch in think_in_stages(stages, puzzle.task, puzzle.question[None], [search], thinking):
        step = step_of(puzzle.task, batch, 0, search.steps)
        kept.append(step)
        if batch.ended[0]:
            step = replace(step, answer=answer_of(puzzle, search.result(), partial(tuple, kept)))
        yield step


def replay(stages: Sequence[BackendStage], puzzle: SizedPuzzle, thinking: Thinking, steps: int) -> list[Step]:
    """The first `steps` steps of solving a puzzle once more, whatever ended the work."""
    search = SearchState()
    endless = replace(thinking, until="end", seconds=None)
    batches = think_in_stages(stages, puzzle.task, puzzle.question[None], [search], endless)
    return [step_of(puzzle.task, batch, 0, search.steps) for batch in islice(batches, steps)]
