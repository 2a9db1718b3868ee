"""`trm solve`: what the options ask for, and the answers on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from trm.errors import BadInput
from trm.tasks.base import Tokens

if TYPE_CHECKING:
    from trm.inference.backends import BackendName
    from trm.inference.solver import Answer
    from trm.tasks.base import Task


def check_backend(name: str, family: str, further: dict[str, Any]) -> BackendName:
    """Check the value of `--backend`. -> it. Raises BadInput if there is no such backend, or it cannot do the work.

    `further`: the options of further starts, by name.
    """
    from trm.inference.backends import BackendName

    backend: BackendName | None = next((known for known in get_args(BackendName) if known == name), None)
    if backend is None:
        raise BadInput(f"--backend {name}: choose auto, torch or onnx")
    given = [f"--{option}" for option, value in further.items() if value]
    if backend == "onnx" and given:
        raise BadInput(f"--backend onnx has one start a puzzle: leave out {', '.join(given)}, or use --backend torch")
    if backend == "onnx" and family == "custom":
        raise BadInput("--backend onnx is for sudoku and maze: leave it out for a custom task")
    return backend


def check_plot(png: Path, question: Tokens, backend: str) -> None:
    """Check `--plot` before any work is done. Raises BadInput, and TrmError where matplotlib is missing."""
    from trm import plot

    if len(question) != 1:
        raise BadInput(f"--plot draws the trace of one puzzle, and there are {len(question)}")
    if backend == "onnx":
        raise BadInput(f"--plot needs the torch backend: leave out --backend {backend}")
    plot.check(png)


def print_answers(task: Task, answers: Sequence[Answer], trace: bool, quiet: bool) -> bool:
    """Print the answers to puzzles of one task. -> whether all were solved"""
    for number, answer in enumerate(answers, 1):
        if not quiet:
            print_grid(answer, f"puzzle {number} of {len(answers)}: " if len(answers) > 1 else "", trace)
        print(task.to_line(answer.tokens))
    solved = sum(answer.solved for answer in answers)
    if len(answers) > 1:
        print(f"{solved} of {len(answers)} solved", file=sys.stderr)
    return solved == len(answers)


def print_grid(answer: Answer, name: str, trace: bool) -> None:
    """Print an answer for people to read. `name`: the puzzle's label, empty if there is only one puzzle."""
    from rich.console import Console

    from trm.terminal import boards

    console = Console(highlight=False)
    if trace:
        boards.trace(console, answer)
    else:
        console.print(boards.grid(answer.task, answer.question, answer.tokens))
    console.print(name, boards.verdict(answer), sep="")
    if trouble := answer.task.problem(answer.question):
        console.print(f"{name}note: {trouble}", style="yellow")
