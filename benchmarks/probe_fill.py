"""How many Sudokus a model solves when only so many cells are unknown.

    python benchmarks/probe_fill.py [WEIGHTS ...] [--rows 200] [--seed 0] [--steps 32] [--kinds minimal extreme]
                                    [--unknown 1 2 3 5 10 20 30 40 50] [--solve] [--embedded]

New puzzles are generated, or with --embedded those that ship are used: an extreme one takes some 20 s to make. Their
cells are filled in from the answer until so many are unknown. A table for each model: the share solved in one start by
the last step, and at the step at which the model halts by itself; with --solve, the share that `trm.solve` solves with
its default settings too. Without WEIGHTS: every Sudoku model that ships.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

import trm
from trm import store
from trm.inference.evaluation import Evaluation, evaluate_model
from trm.store.shipped import shipped_names
from trm.store.stored import Stored
from trm.tasks import evaluation_puzzles
from trm.tasks.base import Puzzles
from trm.tasks.sudoku.sets import generate
from trm.tasks.sudoku.task import Sudoku

FILLS = (1, 2, 3, 5, 10, 20, 30, 40, 50)
TASK = Sudoku()


class Counts(NamedTuple):
    """Puzzles solved with so many unknown cells."""

    last: int  # by the last step
    halt: int  # at the step at which the model halts
    mean: float  # supervision steps until then
    solved: int | None  # with default settings; None: not asked for


def filled(puzzles: Puzzles, unknown: int, seed: int) -> Puzzles:
    """The puzzles with cells filled in from the answer until no more than `unknown` are left."""
    question = puzzles.question.copy()
    for row, (asked, answer) in enumerate(zip(question, puzzles.answer, strict=True)):
        rng = np.random.default_rng([seed, unknown, row])
        places = rng.permutation(np.flatnonzero(asked != answer))[unknown:]
        asked[places] = answer[places]
    return Puzzles(question, puzzles.answer)


def puzzles_of(kind: str, rows: int, seed: int, embedded: bool) -> Puzzles:
    """So many puzzles of a kind: new ones, or the first of the embedded sets, on which no model was trained."""
    if embedded:
        return evaluation_puzzles(TASK, "minimal" if kind == "minimal" else "embedded").take(slice(rows))
    return generate(kind, rows, seed).puzzles


def count(stored: Stored, puzzles: Puzzles, steps: int, solve: bool) -> Counts:
    found: Evaluation = evaluate_model(stored.model, TASK, puzzles, steps)
    solved = None
    if solve:
        answers = trm.Solver("sudoku", weights=stored).solve_tokens(TASK, puzzles.question)
        pairs = zip(answers, puzzles.answer, strict=True)
        solved = sum(one.solved and bool((one.tokens == answer).all()) for one, answer in pairs)
    return Counts(int(found.exact[-1]), found.halted_exact, found.halted_steps / found.rows, solved)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--kinds", nargs="+", default=["minimal", "extreme"])
    parser.add_argument("--unknown", nargs="+", type=int, default=FILLS)
    parser.add_argument("--solve", action="store_true")
    parser.add_argument("--embedded", action="store_true")
    asked = parser.parse_args()
    names = asked.weights or [name for name in shipped_names() if store.load(name).spec.name == "sudoku"]
    sets = {kind: puzzles_of(kind, asked.rows, asked.seed, asked.embedded) for kind in asked.kinds}
    for name in names:
        stored = store.load(name)
        for kind, puzzles in sets.items():
            title = f"{name}, {asked.rows} {kind} puzzles (seed {asked.seed}), {asked.steps} steps"
            table = Table("unknown cells", "last step", "own halt", "steps", "default settings", title=title)
            for unknown in asked.unknown:
                counts = count(stored, filled(puzzles, unknown, asked.seed), asked.steps, asked.solve)
                shares = [f"{number / len(puzzles):.1%}" for number in counts[:2]]
                solved = "" if counts.solved is None else f"{counts.solved / len(puzzles):.1%}"
                table.add_row(str(unknown), *shares, f"{counts.mean:.1f}", solved)
            Console().print(table)


if __name__ == "__main__":
    main()
