"""onnxruntime against torch on 1,000 minimal Sudokus: agreement, throughput as a ratio, and the time of a cold answer.

    python benchmarks/bench_onnx.py [WEIGHTS] [ROWS]

Both do the same steps in the same host loop, in turns of 100 puzzles, so that other work slows both.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import numpy.typing as npt
import torch

from trm import store
from trm.inference import onnx as onnx_solve
from trm.inference.onnx import Answer, Exported, Floats
from trm.models import State
from trm.store.stored import Stored
from trm.tasks import load_puzzles
from trm.tasks.base import Tokens
from trm.tasks.sudoku.task import Sudoku

TURN, STEPS = 100, 32


def torch_model(stored: Stored) -> Exported:
    """The stored model behind the interface of an exported one."""
    model = stored.model

    @torch.inference_mode()
    def step(y: Floats, z: Floats, question: npt.NDArray[np.int64]) -> tuple[Floats, Floats, Floats, Floats]:
        output = model(State(torch.from_numpy(y), torch.from_numpy(z)), torch.from_numpy(question))
        y, z, logits, halt = (part.numpy() for part in (output.state.y, output.state.z, output.logits, output.halt))
        return y, z, logits, halt

    start = model.start(1)
    return Exported(step, (start.y.numpy().copy(), start.z.numpy().copy()), model.first_token)


def first_step(model: Exported, question: Tokens) -> list[Floats]:
    y, z = (part.repeat(len(question), 0) for part in model.start)
    return list(model.step(y, z, question.astype(np.int64)))


def cold(backend: str, line: str, weights: str) -> float:
    """Seconds of the whole command, the best of five."""
    command = [sys.executable, "-m", "trm", "solve", "sudoku", line, "--backend", backend, "--weights", weights]
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=False)
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    weights = sys.argv[1] if len(sys.argv) > 1 else "sudoku"
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    task = Sudoku()
    question = load_puzzles(task, "embedded", "minimal").question[:rows]
    threads = torch.get_num_threads()
    models = {"torch": torch_model(store.load(weights)), "onnxruntime": onnx_solve.load(weights, threads)}
    worst = dict.fromkeys(("y", "z", "logits", "halt"), 0.0)
    seconds, answers = dict.fromkeys(models, 0.0), {name: list[Answer]() for name in models}
    for at in range(0, len(question), TURN):
        part = question[at : at + TURN]
        for name, a, b in zip(worst, *(first_step(model, part) for model in models.values()), strict=True):
            worst[name] = max(worst[name], float(np.abs(a - b).max()))
        for name, model in models.items():
            began = time.perf_counter()
            answers[name] += onnx_solve.solve(model, task, part, STEPS, until="halt")
            seconds[name] += time.perf_counter() - began
    print(f"{weights}, {len(question)} minimal Sudokus, {threads} threads")
    print("largest difference at step 1:", ", ".join(f"{name} {value:.1e}" for name, value in worst.items()))
    pairs = list(zip(*answers.values(), strict=True))
    both = [(a, b) for a, b in pairs if max(a.steps, b.steps) < STEPS]
    same = sum(np.array_equal(a.tokens, b.tokens) for a, b in both)
    alike = sum(a.steps == b.steps for a, b in pairs)
    print(f"both halt on {len(both)} before step {STEPS}, with the same answer on {same}; as many steps on {alike}")
    rates = {name: sum(answer.steps for answer in answers[name]) / seconds[name] for name in models}
    print(", ".join(f"{name} {rate:.1f} puzzle-steps/s" for name, rate in rates.items()))
    print(f"ratio onnxruntime / torch {rates['onnxruntime'] / rates['torch']:.2f}")
    line = task.to_line(question[0])
    print(", ".join(f"a cold answer with {name} {cold(name, line, weights):.2f} s" for name in ("onnx", "torch")))


if __name__ == "__main__":
    main()
