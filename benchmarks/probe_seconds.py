"""How many Sudokus `trm solve` solves within so many seconds of one core, and how many it answers in a second.

    python benchmarks/probe_seconds.py [DATA.csv] [--rows 60] [--skip 0] [--seconds 2 30] [--threads 1]
                                       [--settings sudoku:32:1.0:2 sudoku-mini:32:1.0:2 ...]

A setting is WEIGHTS:STEPS:NOISE:GUESSES, the steps of each start; there are as many starts as the last of the seconds
allows. Puzzles are solved one by one, as the page does it. It counts processor time, so other work does little harm.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Table

import trm
from trm.tasks import evaluation_puzzles, get_task

SETTINGS = ("sudoku:32:1.0:2", "sudoku:24:0.5:2", "sudoku-mini:32:1.0:2", "sudoku-search:64:1.0:2")


def times(solver: trm.Solver, puzzles: Sequence[str], limit: float) -> list[float]:
    """Seconds of processor time until each puzzle was solved; `inf` for one that was not within the limit."""
    found = []
    for puzzle in puzzles:
        began = time.process_time()
        solved = False
        for step in solver.watch(puzzle, restarts=100_000):
            spent = time.process_time() - began
            solved = step.answer is not None and step.answer.solved
            if spent > limit:
                break
        found.append(spent if solved else float("inf"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="embedded")
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--seconds", nargs="+", type=float, default=[2, 30])
    parser.add_argument("--settings", nargs="+", default=SETTINGS)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    task = get_task("sudoku")
    questions = evaluation_puzzles(task, asked.data).question[asked.skip : asked.skip + asked.rows]
    puzzles = [task.to_line(row) for row in questions]
    columns = [f"in {limit:g} s" for limit in asked.seconds]
    table = Table("setting", *columns, "answers a second", title=f"{len(puzzles)} puzzles of {asked.data}")
    for setting in asked.settings:
        name, steps, noise, guesses = setting.split(":")
        solver = trm.Solver("sudoku", name, steps=int(steps), noise=float(noise), guesses=int(guesses))
        list(solver.watch(puzzles[0], restarts=0))  # loads and compiles
        found = times(solver, puzzles, max(asked.seconds))
        spent = sum(min(one, max(asked.seconds)) for one in found)
        shares = [f"{sum(one <= limit for one in found) / len(found):.1%}" for limit in asked.seconds]
        table.add_row(setting, *shares, f"{sum(one < float('inf') for one in found) / spent:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
