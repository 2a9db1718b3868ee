"""`trm solve`: reading what the user gave, solving it, printing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trm.errors import BadInput
from trm.tasks.base import Tokens
from trm.tasks.maze import Maze, maze_for
from trm.tasks.sudoku import Sudoku, decode, read_file, sudoku_for
from trm.tasks.sudoku_search import TooHard, count_solutions

if TYPE_CHECKING:
    from trm.solver import Thinking


SIZES: dict[str, Callable[[str], Sudoku | Maze]] = {"sudoku": sudoku_for, "maze": maze_for}


def read_question(argument: str, family: str = "sudoku") -> tuple[Sudoku | Maze, Tokens]:
    """A puzzle on the command line, a file of them, or `-` for standard input. -> the task, [rows, cells]"""
    if family not in SIZES:
        raise BadInput(f"task {family!r} is unknown; choose {' or '.join(SIZES)}")
    if argument == "-":
        text = decode(sys.stdin.buffer.read(), "standard input")
    elif looks_like_path(argument):
        text = read_file(argument)
    else:
        text = argument
    task = SIZES[family](text)
    return task, task.read(text).question


def looks_like_path(argument: str) -> bool:
    """A file that exists, or something that can only have been meant as one."""
    try:
        if Path(argument).exists():
            return True
    except (OSError, ValueError):  # too long for a name, or a NUL byte: a puzzle then
        return False
    return "\n" not in argument and (os.sep in argument or argument.lower().endswith((".txt", ".csv", ".sdk")))


def problem(task: Sudoku | Maze, question: Tokens) -> str | None:
    """Why a question [cells] has no single answer, in words; None if it has one, or if that is too hard to tell."""
    if isinstance(task, Maze):
        return None  # a maze without a path was refused
    try:
        count, _, _ = count_solutions(question, task, limit=2)
    except TooHard:
        return None
    return {0: "it has no solution", 2: "it has more than one solution"}.get(count)


def solve_and_print(
    task: Sudoku | Maze, question: Tokens, weights: str, thinking: Thinking, trace: bool, quiet: bool
) -> bool:
    """Solve every row of question [rows, cells] and print the answers. -> whether all were solved"""
    from rich.console import Console

    from trm import show, store
    from trm.solver import solve

    stored = store.load(weights, task.spec)
    answers = solve(stored, task, question, thinking, trace=trace)
    console = Console(highlight=False)
    for number, (row, answer) in enumerate(zip(question, answers, strict=True), 1):
        if quiet:
            print(task.to_line(answer.tokens))
            continue
        name = f"puzzle {number} of {len(answers)}: " if len(answers) > 1 else ""
        if trace:
            show.trace(console, task, row, answer)
        else:
            console.print(show.grid(task, row, answer.tokens))
        console.print(name, show.verdict(answer), sep="")
        if trouble := problem(task, row):
            console.print(f"{name}note: {trouble}", style="yellow")
        print(task.to_line(answer.tokens))
    solved = sum(answer.valid for answer in answers)
    if len(answers) > 1:
        print(f"{solved} of {len(answers)} solved", file=sys.stderr)
    return solved == len(answers)
