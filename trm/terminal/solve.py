"""`trm solve`: what the options ask for, and the answers on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from trm.errors import BadInput
from trm.tasks.base import Tokens

if TYPE_CHECKING:
    from trm.inference.solver import Answer
    from trm.inference.stages import BackendName
    from trm.tasks.base import Task


def check_backend(name: str, family: str, further: dict[str, Any]) -> BackendName:
    """`--backend NAME`, for puzzles of a family. Raises BadInput for a backend that cannot do what is asked.

    `further`: the options of further starts, by name.
    """
    from trm.inference.stages import BackendName

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
    """Find what is wrong with `--plot` before any work. Raises BadInput, and TrmError where matplotlib is missing."""
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
    """An answer as a person wants to see it. `name`: how to call the puzzle, empty where there is one only."""
    from rich.console import Console

    from trm.terminal import tables as show

    console = Console(highlight=False)
    if trace:
        show.trace(console, answer)
    else:
        console.print(show.grid(answer.task, answer.question, answer.tokens))
    console.print(name, show.verdict(answer), sep="")
    if trouble := answer.task.problem(answer.question):
        console.print(f"{name}note: {trouble}", style="yellow")
