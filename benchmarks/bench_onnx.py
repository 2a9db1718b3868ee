"""onnxruntime against torch on 1,000 minimal Sudokus: agreement, speed as a ratio, and the time of a cold answer.

    python benchmarks/bench_onnx.py [WEIGHTS] [ROWS]

Both take the same steps in the same loop. They alternate every 100 puzzles, so that other work on the machine slows
both alike. A cold answer is the whole command `trm solve`, with the start of Python.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from trm import store
from trm.inference import onnx
from trm.inference.backend import Backend, Floats
from trm.inference.loop import SearchResult, Thinking, search
from trm.inference.onnx import OnnxBackend
from trm.inference.torch_step import TorchBackend
from trm.tasks import load_puzzles
from trm.tasks.base import Tokens
from trm.tasks.sudoku.task import Sudoku

PART, STEPS = 100, 32


def first_step(by_torch: TorchBackend, by_onnx: OnnxBackend, question: Tokens) -> dict[str, float]:
    """The largest difference between the backends after one step, for each of its results."""
    seeds = [None] * len(question)
    ours = by_torch.step(by_torch.start(seeds, 0.0), question, None).output
    theirs = by_onnx.step(by_onnx.start(seeds, 0.0), question, None).output
    pairs: dict[str, tuple[torch.Tensor, Floats]] = {
        "y": (ours.state.y, theirs.state.y),
        "z": (ours.state.z, theirs.state.z),
        "logits": (ours.logits, theirs.logits),
        "halt": (ours.halt, theirs.halt),
    }
    return {name: float(np.abs(a.numpy() - b).max()) for name, (a, b) in pairs.items()}


def cold(backend: str, line: str, weights: str) -> float:
    """Seconds of the whole command, the best of five."""
    command = [sys.executable, "-m", "trm", "solve", "sudoku", line, "--backend", backend, "--weights", weights]
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=False)
        best = min(best, time.perf_counter() - began)
    return best


def report_agreement(by_torch: Sequence[SearchResult], by_onnx: Sequence[SearchResult]) -> None:
    pairs = list(zip(by_torch, by_onnx, strict=True))
    both = [(a, b) for a, b in pairs if max(a.steps, b.steps) < STEPS]
    same = sum(np.array_equal(a.tokens, b.tokens) for a, b in both)
    alike = sum(a.steps == b.steps for a, b in pairs)
    print(f"both halt on {len(both)} before step {STEPS}, with the same answer on {same}; as many steps on {alike}")


def main(weights: str = "sudoku", rows: str = "1000") -> None:
    task, threads = Sudoku(), torch.get_num_threads()
    question = load_puzzles(task, "embedded", "minimal").question[: int(rows)]
    by_torch, by_onnx = TorchBackend(store.load(weights).model), OnnxBackend(onnx.load(weights, threads))
    backends: dict[str, Backend[Any]] = {"torch": by_torch, "onnxruntime": by_onnx}
    worst: dict[str, float] = {}
    seconds, results = dict.fromkeys(backends, 0.0), {name: list[SearchResult]() for name in backends}
    for at in range(0, len(question), PART):
        part = question[at : at + PART]
        for name, difference in first_step(by_torch, by_onnx, part).items():
            worst[name] = max(worst.get(name, 0.0), difference)
        for name, backend in backends.items():
            began = time.perf_counter()
            results[name] += search(backend, task, part, Thinking(STEPS, until="halt"))
            seconds[name] += time.perf_counter() - began
    print(f"{weights}, {len(question)} minimal Sudokus, {threads} threads")
    print("largest difference at step 1:", ", ".join(f"{name} {value:.1e}" for name, value in worst.items()))
    report_agreement(results["torch"], results["onnxruntime"])
    rates = {name: sum(result.steps for result in results[name]) / seconds[name] for name in backends}
    print(", ".join(f"{name} {rate:.1f} puzzle-steps/s" for name, rate in rates.items()))
    print(f"ratio onnxruntime / torch {rates['onnxruntime'] / rates['torch']:.2f}")
    line = task.to_line(question[0])
    print(", ".join(f"a cold answer with {name} {cold(name, line, weights):.2f} s" for name in ("onnx", "torch")))


if __name__ == "__main__":
    main(*sys.argv[1:])
