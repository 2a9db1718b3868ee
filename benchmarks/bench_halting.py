"""Puzzles solved a second when finished puzzles leave the batch, against taking every step.

    python benchmarks/bench_halting.py [WEIGHTS] [DATA] [ROWS] [STEPS]

Rows and weights are the same in all cases. DATA is `minimal` or a file with answers. The first line, `until end`,
takes every step; the other lines say how many times as many puzzles they solve a second.
"""

from __future__ import annotations

import sys
import time
from typing import get_args

import numpy as np

from trm import store
from trm.inference.loop import Thinking, Until, solve
from trm.tasks import get_task, load_puzzles


def main(weights: str = "sudoku", data: str = "minimal", rows: str = "300", steps: str = "64") -> None:
    stored = store.load(weights)
    task = get_task(stored.spec.name)
    source, part = ("embedded", "minimal") if data == "minimal" else (data, "validation")
    puzzles = load_puzzles(task, source, part).take(slice(0, int(rows)))  # type: ignore[arg-type]
    rates = {}
    for until in reversed(get_args(Until)):  # "end", every step of every puzzle, comes first
        began = time.perf_counter()
        answers = solve(stored, task, puzzles.question, Thinking(int(steps), until=until))
        rates[until] = len(puzzles) / (time.perf_counter() - began)
        exact = np.mean([(answer.tokens == truth).all() for answer, truth in zip(answers, puzzles.answer, strict=True)])
        mean = np.mean([answer.steps for answer in answers])
        ratio = rates[until] / rates["end"]
        print(
            f"until {until:5}  exact {exact:6.1%}  {mean:5.1f} steps  {rates[until]:6.1f} puzzles/s  {ratio:4.1f} times"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
