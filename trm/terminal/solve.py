"""`trm solve`: what the options ask for, and the answers on the terminal."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from trm.errors import BadInput
from trm.tasks.base import NO_SOLUTION

if TYPE_CHECKING:
    from trm.inference.answers import Answer
    from trm.inference.backends import BackendName
    from trm.inference.puzzles import SizedPuzzle
    from trm.inference.solver import Solver

BESIDE = 4  # puzzles that an animation shows
NAMED = 20  # unsolved puzzles whose numbers are said
SEARCHED = 300  # guesses of the search for a puzzle without a solution
SEARCHING = 2.0  # seconds for all puzzles


def check_backend(name: str, further: dict[str, Any]) -> BackendName:
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
    return backend


def check_plot(png: Path, count: int, backend: str) -> None:
    """Check `--plot` of `count` puzzles before any work is done.

    Raises BadInput, and TrmError where matplotlib is missing.
    """
    from trm import plot

    if count != 1:
        raise BadInput(f"--plot draws the trace of one puzzle, and there are {count}")
    if backend == "onnx":
        raise BadInput(f"--plot needs the torch backend: leave out --backend {backend}")
    plot.check(png)


def check_gif(path: Path, count: int) -> None:
    """Check `--gif` of `count` puzzles before any work is done.

    Raises BadInput, and TrmError where Pillow is missing.
    """
    from trm import plot

    if count > BESIDE:
        raise BadInput(f"--gif shows at most {BESIDE} puzzles side by side, and there are {count}")
    plot.check_animation(path)


def draw(answers: Sequence[Answer], png: Path | None, gif: Path | None) -> None:
    """Draw what was asked for, and say on standard error what was written."""
    if png is None and gif is None:
        return
    from trm import plot
    from trm.terminal.console import report_written

    if png is not None:
        plot.trace(answers[0], png)
        report_written(png)
    if gif is not None:
        plot.animation(answers, gif)
        report_written(gif)


def print_read(boards: Sequence[SizedPuzzle], remarks: Sequence[str]) -> None:
    """Say on standard error how many puzzles were read and what was left out, if there is something to say."""
    count = len(boards)
    if count > 1 or remarks:
        sizes = Counter(f"{board.task.spec.height}x{board.task.spec.width}" for board in boards)
        named = f"of {next(iter(sizes))} read"
        if len(sizes) > 1:
            named = "read: " + ", ".join(f"{number} of {size}" for size, number in sizes.items())
        print("; ".join([f"{count} puzzle{'s' if count > 1 else ''} {named}", *remarks]), file=sys.stderr)


def solve_and_show(solver: Solver, boards: Sequence[SizedPuzzle], trace: bool, hidden: bool) -> list[Answer]:
    """Solve puzzles, with a bar on standard error where there are many and it is a terminal.

    Args:
        solver: for their task.
        boards: the puzzles.
        trace: keep every step.
        hidden: show no bar.
    """
    from trm.inference.backends import FEW

    until = time.monotonic() + SEARCHING
    if impossible := [number for number, board in enumerate(boards) if has_no_solution(board, until)]:
        return solve_the_rest(solver, boards, impossible, trace, hidden)
    # Few puzzles, and an exported file's, are solved in no time.
    if hidden or len(boards) <= FEW or solver.backend == "onnx" or not sys.stderr.isatty():
        return solver.solve_boards(boards, trace=trace)
    from trm.terminal.console import progress_bars

    with progress_bars(hidden) as progress:
        bar = progress.add_task("solving", total=len(boards))
        return solver.solve_boards(boards, trace=trace, tick=lambda count: progress.advance(bar, count))


def has_no_solution(board: SizedPuzzle, until: float) -> bool:
    """Whether a short search finds that a puzzle has no solution. None is searched when the clock is past `until`."""
    return time.monotonic() < until and board.task.problem(board.question, SEARCHED) == NO_SOLUTION


def solve_the_rest(
    solver: Solver, boards: Sequence[SizedPuzzle], impossible: Sequence[int], trace: bool, hidden: bool
) -> list[Answer]:
    """Solve puzzles of which some have no solution: these get one start, and are named at once on standard error."""
    named, several = ", ".join(str(number + 1) for number in impossible), len(impossible) > 1
    which = f"puzzle{'s' if several else ''} {named}" if len(boards) > 1 else "the puzzle"
    print(f"{which} {'have' if several else 'has'} no solution", file=sys.stderr)
    others = [board for number, board in enumerate(boards) if number not in impossible]
    found = iter(solve_and_show(solver, others, trace, hidden) if others else ())
    wrong = iter(solver.solve_boards([boards[number] for number in impossible], trace=trace, restarts=0))
    return [next(wrong) if number in impossible else next(found) for number in range(len(boards))]


def print_answers(answers: Sequence[Answer], trace: bool, quiet: bool) -> bool:
    """Print answers. -> whether all were solved

    Each has a line for other programs; on a terminal there is none where it is longer than the terminal is wide.
    """
    for number, answer in enumerate(answers, 1):
        if not quiet:
            print_grid(answer, f"puzzle {number} of {len(answers)}: " if len(answers) > 1 else "", trace)
        line = answer.task.to_line(answer.tokens)
        if quiet or not sys.stdout.isatty() or len(line) <= shutil.get_terminal_size().columns:
            print(line)
    unsolved = [number for number, answer in enumerate(answers, 1) if not answer.solved]
    if quiet and len(answers) == 1 and unsolved:
        print("not solved", file=sys.stderr)
    if len(answers) > 1:
        named = ", ".join(map(str, unsolved[:NAMED])) + (", ..." if len(unsolved) > NAMED else "")
        which = f"; not solved: {named}" if unsolved else ""
        print(f"{len(answers) - len(unsolved)} of {len(answers)} solved{which}", file=sys.stderr)
    return not unsolved


def print_json(answers: Sequence[Answer]) -> bool:
    """Print answers as one JSON object. -> whether all were solved"""
    solved = sum(answer.solved for answer in answers)
    shown = {"puzzles": len(answers), "solved": solved, "answers": [answer.as_dict() for answer in answers]}
    print(json.dumps(shown, ensure_ascii=False))
    return solved == len(answers)


def print_grid(answer: Answer, name: str, trace: bool) -> None:
    """Print an answer for people to read. `name`: the puzzle's label, empty if there is only one puzzle."""
    from trm.terminal import boards
    from trm.terminal.console import plain_console

    console = plain_console()
    if trace:
        boards.trace(console, answer)
    else:
        console.print(boards.grid(answer.task, answer.question, answer.tokens))
    console.print(name, boards.verdict(answer), sep="")
    if answer.problem:
        console.print(f"{name}note: {answer.problem}", style="yellow")
