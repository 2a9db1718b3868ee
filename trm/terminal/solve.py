"""`trm solve`: reading what the user gave, solving it, printing it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trm.errors import BadInput
from trm.store.shipped import SHIPPED
from trm.tasks.base import Task, Tokens, accepted, check

if TYPE_CHECKING:
    from trm.inference import onnx as onnx_solve
    from trm.inference.loop import Thinking
    from trm.store.stored import Stored
    from trm.terminal.tables import Shown

FEW = 4  # questions for which an exported file is asked before torch is imported


def solve_and_print(
    task: Task,
    question: Tokens,
    stored: Stored,
    thinking: Thinking,
    trace: bool,
    quiet: bool,
    png: Path | None = None,
) -> bool:
    """Solve every row of question [rows, cells] and print the answers. -> whether all were solved

    `png`: where to draw the trace of the only row.
    """
    from trm.inference.loop import solve

    answers = solve(stored, task, question, thinking, trace=trace)
    solved = print_answers(task, question, answers, trace, quiet)
    if png is not None:
        from trm import plot
        from trm.inference import solver as api

        plot.trace(api.replayable(stored, task, question[0], thinking, answers[0]), png)
    return solved


def quick_answers(
    task: Task, question: Tokens, weights: str, steps: int, threads: int, trace: bool
) -> list[onnx_solve.Answer] | None:
    """Answers to a few questions [rows, cells] from one start each, by the exported file that ships with the weights.

    torch takes seconds to import, and most puzzles need no further start. None where there are many questions, where no
    such file ships or fits the task, or unless all of them are solved: then all of the thinking is called for. A folder
    of that name comes before what ships, and an exported file in it may be older than its weights.
    """
    from trm.inference import onnx as onnx_solve

    file = SHIPPED / weights / onnx_solve.FILE
    if len(question) > FEW or not task.checkable or Path(weights).exists() or not file.is_file():
        return None
    model = onnx_solve.load(str(file), threads)
    if not onnx_solve.fits(model, task):
        return None
    answers = onnx_solve.solve(model, task, question, steps, trace=trace)
    return answers if all(right(task, question, answers)) else None


def check_backend(backend: str, family: str, given: dict[str, Any]) -> None:
    """Raise BadInput for a backend that there is not, or that cannot do what is asked. `given`: options of further
    starts.
    """
    if backend not in ("auto", "torch", "onnx"):
        raise BadInput(f"--backend {backend}: choose auto, torch or onnx")
    if backend == "onnx" and any(given.values()):
        what = f"leave out {', '.join(f'--{name}' for name, value in given.items() if value)}, or use --backend torch"
        raise BadInput(f"--backend onnx has one start a puzzle: {what}")
    if backend == "onnx" and family == "custom":
        raise BadInput("--backend onnx is for sudoku and maze: leave it out for a custom task")


def check_plot(png: Path, question: Tokens, backend: str) -> None:
    """Find what is wrong with `--plot` before any work. Raises BadInput, and TrmError where matplotlib is missing."""
    from trm import plot

    if len(question) != 1:
        raise BadInput(f"--plot draws the trace of one puzzle, and there are {len(question)}")
    if backend == "onnx":
        raise BadInput(f"--plot needs the torch backend: leave out --backend {backend}")
    plot.check(png)


def print_answers(task: Task, question: Tokens, answers: Sequence[Shown], trace: bool, quiet: bool) -> bool:
    """Print the answers to question [rows, cells]. -> whether all were solved"""
    checked = right(task, question, answers)
    for number, (row, answer, good) in enumerate(zip(question, answers, checked, strict=True), 1):
        if not quiet:
            name = f"puzzle {number} of {len(answers)}: " if len(answers) > 1 else ""
            print_grid(task, row, answer, good, name, trace)
        print(task.to_line(answer.tokens))
    solved = sum(accepted(task, good, answer.confidence) for good, answer in zip(checked, answers, strict=True))
    if len(answers) > 1:
        print(f"{solved} of {len(answers)} solved", file=sys.stderr)
    return solved == len(answers)


def right(task: Task, question: Tokens, answers: Sequence[Shown]) -> list[bool]:
    """Which answers to question [rows, cells] are right, as far as rules can tell."""
    found: list[bool] = check(task, question, np.stack([answer.tokens for answer in answers]))[1].tolist()
    return found


def print_grid(task: Task, question: Tokens, answer: Shown, good: bool, name: str, trace: bool) -> None:
    """What a person wants to see of an answer, which is `good` or not; question [cells], `name` says which puzzle."""
    from rich.console import Console

    from trm.terminal import tables as show

    console = Console(highlight=False)
    if trace:
        show.trace(console, task, question, answer)
    else:
        console.print(show.grid(task, question, answer.tokens))
    console.print(name, show.verdict(task, answer, good), sep="")
    if trouble := task.problem(question):
        console.print(f"{name}note: {trouble}", style="yellow")
