"""The paper-size TRM (width 512, two layers, T=3) against plain torch and the rate of matrix products on this machine.

    python benchmarks/bench_paper.py

Every figure is from one run on all cores. In each round, our model, the reference and large square matrix products
of as many FLOPs run one after the other. Shares and ratios are medians over the rounds, because the rate of a
machine may change within seconds. FLOPs are those of the model's matrix products as counted by
trm/analysis/cost.py, so work that is done twice does not count. The reference has the same weights and is written
from the paper's description alone (benchmarks/reference.py).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from reference import ReferenceTRM, stablemax_loss
from torch import Tensor

from trm.analysis.cost import forward_cost, training_cost
from trm.models import State, build
from trm.models.frames import PuzzleEmbedding
from trm.models.trm import TRM
from trm.tasks import get_task
from trm.training.losses import step_loss
from trm.training.presets import PRESETS

# name -> preset, puzzles at once
CASES = {
    "mlp, 97 tokens, n=6": ("sudoku-extreme-trm-mlp", 8),
    "attention, 97 tokens, n=6": ("sudoku-extreme-trm-attention", 8),
    "attention, 916 tokens, n=4": ("maze-hard-trm", 1),
}
ROUNDS = 3
SIDE = 1024


class Case:
    """Our model and the reference with the same weights, and one batch."""

    def __init__(self, preset: str, batch: int) -> None:
        self.run, self.spec = PRESETS[preset].config, get_task(PRESETS[preset].config.task).spec
        self.batch, config = batch, self.run.model
        torch.manual_seed(0)
        self.ours: TRM = build(config, self.spec)
        tokens = self.spec.cells + config.puzzle_tokens
        self.reference = ReferenceTRM(config.mixer, tokens, self.spec.vocab, config.T, config.n)
        ours = self.ours.state_dict()
        names = {name: name if name.startswith("blocks") else f"frame.{name}" for name in self.reference.state_dict()}
        self.reference.load_state_dict({name: ours[source] for name, source in names.items()})
        self.question = torch.randint(1, self.spec.vocab, (batch, self.spec.cells))
        self.answer = torch.randint(1, self.spec.vocab, (batch, self.spec.cells))
        self.x = self.ours.frame.embed(self.question, None).detach()
        start = self.ours.start(batch)
        self.state = State(start.y.contiguous(), start.z.contiguous())

    def our_forward(self) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            output = self.ours(self.state, self.question)
        return output.logits, output.halt

    def reference_forward(self) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            _, _, logits, halt = self.reference(self.x, self.state.y, self.state.z)
        return logits[:, -self.spec.cells :], halt

    def our_training(self) -> dict[str, Tensor]:
        self.ours.zero_grad()
        output = self.ours(self.state, self.question)
        torch.autograd.backward(step_loss(output, self.answer, 0, "stablemax").answer.mean())
        for module in self.ours.modules():
            if isinstance(module, PuzzleEmbedding):
                module.used.clear()  # as the optimiser does
        return {name: p.grad for name, p in self.ours.named_parameters() if p.grad is not None}

    def reference_training(self) -> dict[str, Tensor]:
        self.reference.zero_grad()
        _, _, logits, _ = self.reference(self.x, self.state.y, self.state.z)
        torch.autograd.backward(stablemax_loss(logits[:, -self.spec.cells :], self.answer))
        return {name: p.grad for name, p in self.reference.named_parameters() if p.grad is not None}


def products(flops: int) -> Callable[[], object]:
    """Square products of about that many operations."""
    a, b, out = (torch.randn(SIDE, SIDE) for _ in range(3))

    def work() -> None:
        for _ in range(max(1, round(flops / (2 * SIDE**3)))):
            torch.mm(a, b, out=out)

    return work


def taking_turns(works: Sequence[Callable[[], object]]) -> list[list[float]]:
    """Seconds of each of them in each of ROUNDS rounds, after one to warm up."""
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(ROUNDS + 1):
        for taken, work in zip(seconds, works, strict=True):
            began = time.perf_counter()
            work()
            if turn:
                taken.append(time.perf_counter() - began)
    return seconds


def median_ratio(a: Sequence[float], b: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(a, b, strict=True))


def peak(side: str, name: str) -> int:
    """Bytes that a training step adds to the most memory ever in use, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, side, name], capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout))


def measure_peak(side: str, name: str) -> None:
    case = Case(*CASES[name])
    # Not getrusage's, which begins with what the parent process had. Linux only.
    Path("/proc/self/clear_refs").write_text("5")
    before = high_water()
    case.our_training() if side == "ours" else case.reference_training()
    print(json.dumps(high_water() - before))


def high_water() -> int:
    """The most bytes that this process had in memory since the mark was last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def agree(case: Case) -> float:
    """The largest difference between the two in outputs and in gradients, relative to the largest value of each."""
    pairs = list(zip(case.our_forward(), case.reference_forward(), strict=True))
    ours, theirs = case.our_training(), case.reference_training()
    pairs += [(ours[name], grad) for name, grad in theirs.items() if name in ours]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs if b.abs().max() > 0)


def main() -> None:
    print(f"{torch.get_num_threads()} threads; shares of the rate of {SIDE}x{SIDE} products in the same round")
    for name, (preset, batch) in CASES.items():
        case = Case(preset, batch)
        flops = forward_cost(case.run.model, case.spec).flops * batch
        learning = training_cost(case.run, case.spec).flops * batch
        print(f"{name}, {batch} at once: largest relative difference {agree(case):.1e}")
        pairs: list[tuple[str, int, list[Callable[[], object]]]] = [
            ("evaluation", flops, [case.our_forward, case.reference_forward]),
            ("training", learning, [case.our_training, case.reference_training]),
        ]
        for what, count, works in pairs:
            ours, theirs, limit = taking_turns([*works, products(count)])
            rates = [count / statistics.median(seconds) / 1e9 for seconds in (ours, theirs, limit)]
            print(
                f"  {what:10s}  ours {rates[0]:5.1f} GFLOP/s, {median_ratio(limit, ours):4.0%}   "
                f"reference {rates[1]:5.1f}, {median_ratio(limit, theirs):4.0%}   products {rates[2]:5.1f}   "
                f"reference's time over ours {median_ratio(theirs, ours):.2f}",
                flush=True,
            )
        held = [peak(side, name) / 2**20 for side in ("ours", "reference")]
        print(f"  memory of a training step: ours {held[0]:.0f} MB, reference {held[1]:.0f} MB")


if __name__ == "__main__":
    measure_peak(*sys.argv[1:]) if len(sys.argv) > 1 else main()
