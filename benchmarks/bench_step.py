"""Training speed of the `groups` model in puzzle-steps a second: C kernels against plain torch.

    python benchmarks/bench_step.py

It also prints the share of this machine's rate in matrix products. Everything is measured in one run on one thread.
The best of several rounds counts, because other work can only slow a round down.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from trm.models import State, build
from trm.models.kernels.build import available
from trm.models.layers import gated_width
from trm.tasks.sudoku.task import Sudoku
from trm.training.presets import PRESETS

Clock = Callable[[], float]  # in seconds


def rate(work: Callable[[], object], rounds: int = 5, seconds: float = 1.0, clock: Clock = time.perf_counter) -> float:
    """Calls a second, the best of `rounds`."""
    best = 0.0
    for _ in range(rounds):
        began, count = clock(), 0
        while clock() - began < seconds:
            work()
            count += 1
        best = max(best, count / (clock() - began))
    return best


def matrix_rate(rows: int, width: int) -> float:
    """GFLOP/s of the product that the model does most: [rows, width] x [width, 2 * width]."""
    a, b = torch.randn(rows, width), torch.randn(width, 2 * width)
    return rate(lambda: a @ b) * 2 * rows * width * 2 * width / 1e9


def step_rate(slots: int) -> tuple[float, float]:
    """-> puzzle-steps a second (forward and backward), and GFLOP/s counting backward as twice forward."""
    config, spec = PRESETS["sudoku-mini"].config.model, Sudoku().spec
    torch.manual_seed(0)
    model = build(config, spec)
    question = torch.randint(1, spec.vocab, (slots, spec.cells))
    start = model.start(slots)
    state = State(start.y.contiguous(), start.z.contiguous())

    def work() -> None:
        output = model(state, question)
        torch.autograd.backward(output.logits.log_softmax(-1)[..., 0].sum() + output.halt.sum())

    work()
    done = rate(work) * slots
    places, width = spec.cells * spec.symbols, config.width
    hidden = gated_width(width, config.expansion, config.multiple)
    call = 2 * places * (2 * width * width + 3 * width * hidden)  # features and SwiGLU; pooling is left out
    calls = (config.n + 1) * (config.T - 1 + 3)
    return done, done * call * calls / 1e9


def main() -> None:
    torch.set_num_threads(1)
    slots = PRESETS["sudoku-mini"].config.micro
    limit = matrix_rate(slots * 729, PRESETS["sudoku-mini"].config.model.width)
    print(f"kernels: {available().reason}; matrix products on one core: {limit:.1f} GFLOP/s")
    results = {}
    for name, switch in (("kernels", "1"), ("plain torch", "0")):
        os.environ["TRM_FUSED"] = switch
        results[name], flops = step_rate(slots)
        print(f"{name:12s} {results[name]:6.1f} puzzle-steps/s a core, {flops:.1f} GFLOP/s, {flops / limit:.0%} of it")
    print(f"ratio {results['kernels'] / results['plain torch']:.2f}")


if __name__ == "__main__":
    main()
