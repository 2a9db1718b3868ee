"""How much faster the models are in bfloat16 than in float32, and than in another checkout of this repository.

    python benchmarks/bench_precision.py [--rows WORDS] [--rounds 3] [--against FOLDER]

Everything runs on one thread and counts the processor time of its own process. What is compared takes turns, and the
best round counts, because other work can only slow a round down. Every checkout works in a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_paper import CASES, SIDE, Case
from bench_step import rate

from trm import store
from trm.adapt.canvas import canvases
from trm.adapt.learn import AdaptSettings, TaskModel
from trm.analysis.cost import training_cost
from trm.inference.loop import Thinking, search
from trm.inference.torch_step import TorchBackend
from trm.tasks import get_task, load_puzzles
from trm.tasks.arc.text import ArcTask, Pair
from trm.training.presets import PRESETS
from trm.training.trainer import Trainer

try:
    from trm.models.kernels.build import processor_multiplies_bfloat16
    from trm.models.precision import set_precision

    BOTH = ("float32", "bfloat16") if processor_multiplies_bfloat16() else ("float32",)
except ImportError:  # a checkout from before there was a choice
    BOTH = ("float32",)
# Until `trm adapt` has a precision to choose, its row is in float32 alone.
ADAPT = BOTH if "precision" in AdaptSettings.__dataclass_fields__ else ("float32",)

Work = tuple[Callable[[], object], float]  # what is timed, and how many units of its row it does
# Unit; what this checkout can do it in, where `reference` is in float32; what makes the work in one of these.
Row = tuple[str, Sequence[str], Callable[[str], Work]]
Found = dict[str, float]  # "now float32" and the like -> units a second
HERE = Path(__file__).resolve().parent.parent  # this checkout, of which the other one takes the weights
ROUND = 1.0  # seconds that a round lasts, or one call where that takes longer
HARD, STEPS = 32, 256  # Sudokus to solve, steps for each
GRID, DEMONSTRATIONS, COLOURS, UPDATES = 13, 3, 5, 12  # of the ARC task, and updates in a call
SIDES = ("now bfloat16", "now float32", "now reference", "then bfloat16", "then float32")
RATIOS = [(a, b) for a, b in itertools.combinations(SIDES, 2) if a in SIDES[:2]]  # where both were measured


def training(preset: str, precision: str) -> Work:
    """Updates of a preset at the size of its own task, on the rows that ship. Units: puzzle-steps."""
    config = PRESETS[preset].config.changed(stages=(), precision=precision)
    task = get_task(config.task)
    trainer = Trainer(config, task, load_puzzles(task, "embedded", "validation"), torch.device("cpu"))
    return trainer.update, config.batch * config.window


def paper(name: str, learn: bool, precision: str) -> Work:
    """A step of one of the paper's models, or of the reference. Units: puzzle-steps."""
    case = Case(*CASES[name])
    if precision == "reference":
        return (case.reference_training if learn else case.reference_forward), case.batch
    if precision == "bfloat16":
        set_precision(case.ours, "bfloat16")
    return (case.our_training if learn else case.our_forward), case.batch


def adapting(precision: str) -> Work:
    """Training on one generated ARC task of a usual size, which cannot be learned by heart. Units: updates."""
    grids = np.random.default_rng(0).integers(0, COLOURS, (DEMONSTRATIONS + 1, 2, GRID, GRID)).astype(np.uint8)
    pairs = tuple(Pair(question, answer) for question, answer in grids)
    task = ArcTask("made", pairs[:-1], pairs[-1:])
    values: dict[str, Any] = {"precision": precision} if len(ADAPT) > 1 else {}
    settings = AdaptSettings(seconds=None, updates=UPDATES, **values)
    return lambda: TaskModel(task, canvases(task), 0, settings).train(float("inf"), lambda fit: None), UPDATES


def solving(precision: str) -> Work:
    """The first rows of the embedded validation set until the model is sure, with these weights. Units: puzzles."""
    stored, task = store.load(str(HERE / "trm" / "weights" / "sudoku-search")), get_task("sudoku")
    if precision == "bfloat16":
        set_precision(stored.model, "bfloat16")
    question = load_puzzles(task, "embedded", "validation").take(slice(0, HARD)).question
    return lambda: search(TorchBackend(stored.model), task, question, Thinking(STEPS, until="sure")), HARD


def product(rows: int, inner: int, columns: int, precision: str) -> Work:
    """Matrix products [rows, inner] x [inner, columns] of torch alone. Units: GFLOP."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    out = torch.mm(a, b)
    return lambda: torch.mm(a, b, out=out), 2 * rows * inner * columns / 1e9


def table() -> dict[str, Row]:
    rows: dict[str, Row] = {
        "train sudoku-mini": ("puzzle-steps", BOTH, partial(training, "sudoku-mini")),
        # the product that it does most, with its micro-batches of 8
        "product 5832x48x96": ("GFLOP", BOTH, partial(product, 8 * 729, 48, 96)),
        f"product {SIDE}x{SIDE}x{SIDE}": ("GFLOP", BOTH, partial(product, SIDE, SIDE, SIDE)),
        "train maze": ("puzzle-steps", BOTH, partial(training, "maze")),
    }
    for name, (verb, learn) in itertools.product(CASES, (("evaluate", False), ("train", True))):
        rows[f"{verb} {name}"] = ("puzzle-steps", ["reference", *BOTH], partial(paper, name, learn))
    rows["adapt"] = ("updates", ADAPT, adapting)
    rows["solve with sudoku-search"] = ("puzzles", BOTH, solving)
    return rows


def answer_parent() -> None:
    """Answer every line [row, precision] with units a second of processor time, and null by forgetting all work."""
    torch.set_num_threads(1)
    rows, works = table(), dict[tuple[str, str], Work]()
    print(json.dumps({name: row[1] for name, row in rows.items()}), flush=True)
    for line in sys.stdin:
        if (asked := json.loads(line)) is None:
            works.clear()
        elif (key := tuple(asked)) not in works:
            works[key] = rows[key[0]][2](key[1])
            works[key][0]()  # to warm up
        found = rate(works[key][0], 1, ROUND, time.process_time) * works[key][1] if asked else None
        print(json.dumps(found), flush=True)


class Checkout:
    """A process that measures what one checkout does."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder.resolve()), "OMP_NUM_THREADS": "1"}
        command, pipe = [sys.executable, str(Path(__file__).resolve()), "--worker"], subprocess.PIPE
        self.process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        self.precisions: dict[str, list[str]] = self.read()

    def read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline() or sys.exit("a measurement failed: see above"))

    def ask(self, *content: str) -> Any:
        print(json.dumps(content or None), file=self.process.stdin, flush=True)
        return self.read()


def measure(rows: Sequence[str], checkouts: dict[str, Checkout], rounds: int) -> list[Found]:
    """The best of the rounds for each of these rows, which take turns."""
    best: list[Found] = [{} for _ in rows]
    for _ in range(rounds):
        for (row, found), (when, checkout) in itertools.product(zip(rows, best, strict=True), checkouts.items()):
            for precision in checkout.precisions[row]:
                name, value = f"{when} {precision}", checkout.ask(row, precision)
                found[name] = max(value, found.get(name, 0.0))
    for checkout in checkouts.values():
        checkout.ask()
    return best


def show(name: str, unit: str, found: Found, products: Sequence[Found] = ()) -> None:
    """Print the rates of a row, their ratios, and with `products` the shares of their rates that `sudoku-mini` has."""
    config = PRESETS["sudoku-mini"].config
    print(f"{name}, {unit}/s: " + ", ".join(f"{side} {value:.4g}" for side, value in found.items()))
    if ratios := [f"{a} / {b} {found[a] / found[b]:.2f}" for a, b in RATIOS if {a, b} <= found.keys()]:
        print(f"    {', '.join(ratios)}")
    for side, value in found.items() if products else ():
        gflop = value * training_cost(config, get_task(config.task).spec).flops / 1e9
        shares = " and ".join(f"{gflop / rates[side]:.0%}" for rates in products)
        print(f"    {side}: {gflop:.4g} GFLOP/s in its matrix products, {shares} of the rates of the next rows")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help="only rows whose names contain this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout: ratios of now over then")
    asked = parser.parse_args()
    if "bfloat16" not in BOTH:
        print("no bfloat16 products (the processor has none, or TRM_BFLOAT16=0): float32 alone")
    checkouts = {"now": Checkout(HERE)}
    if asked.against:
        checkouts["then"] = Checkout(asked.against)
    rows, first = table(), list(table())[:3]  # training and the products that it is compared with take turns
    for group in [first, *([name] for name in rows if name not in first)]:
        if any(asked.rows in name for name in group):
            best = measure(group, checkouts, asked.rounds)
            for number, (name, found) in enumerate(zip(group, best, strict=True)):
                show(name, rows[name][0], found, best[1:] if group == first and not number else ())


if __name__ == "__main__":
    answer_parent() if sys.argv[1:] == ["--worker"] else main()
