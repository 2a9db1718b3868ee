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
from trm.inference.loop import Thinking, Until, search
from trm.inference.torch_step import TorchBackend
from trm.tasks import get_task, load_puzzles


def main(weights: str = "sudoku", data: str = "minimal", rows: str = "300", steps: str = "64") -> None:
    stored = store.load(weights)
    task, backend = get_task(stored.spec.name), TorchBackend(stored.model)
    minimal = data == "minimal"
    puzzles = load_puzzles(task, "embedded" if minimal else data, "minimal" if minimal else "validation")
    puzzles = puzzles.take(slice(0, int(rows)))
    rates = {}
    for until in reversed(get_args(Until)):  # "end", every step of every puzzle, comes first
        began = time.perf_counter()
        results = search(backend, task, puzzles.question, Thinking(int(steps), until=until))
        rates[until] = len(puzzles) / (time.perf_counter() - began)
        exact = np.mean([(result.tokens == truth).all() for result, truth in zip(results, puzzles.answer, strict=True)])
        mean = np.mean([result.steps for result in results])
        ratio = rates[until] / rates["end"]
        print(
            f"until {until:5}  exact {exact:6.1%}  {mean:5.1f} steps  {rates[until]:6.1f} puzzles/s  {ratio:4.1f} times"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
