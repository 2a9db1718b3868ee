"""Check this project on a machine with an NVIDIA GPU, in about ten minutes and without a network.

    python scripts/gpu_check.py                    # writes gpu-check.json and prints tables
    python scripts/gpu_check.py --minutes 5 --data train.csv

In this order: the recordings of the published code and the tests of tests/test_gpu.py on the GPU; the paper's three
shapes in training and evaluation, as a share of the rate of bfloat16 matrix products and against plain torch
(benchmarks/reference.py); how many puzzle-steps a second `sudoku-search` answers; and, for the rest of the time, the
training of the paper's MLP model, with its accuracy on puzzles that it is not trained on.

`--device cpu --small` runs the same code with little work, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from bench_paper import CASES, Case  # noqa: E402 - the folder is no package

from trm.analysis.cost import forward_cost, training_cost  # noqa: E402
from trm.analysis.describe import matrix_rate  # noqa: E402
from trm.files import write_text  # noqa: E402
from trm.inference.evaluation import evaluate_model  # noqa: E402
from trm.models import State  # noqa: E402
from trm.models.precision import in_precision, placed, set_precision  # noqa: E402
from trm.store import load  # noqa: E402
from trm.tasks import load_puzzles  # noqa: E402
from trm.tasks.sudoku.task import Sudoku  # noqa: E402
from trm.training.config import override  # noqa: E402
from trm.training.presets import get_preset  # noqa: E402
from trm.training.run import train  # noqa: E402

MOST = {"mlp": 768, "attention": 768, "maze": 96}  # puzzles at once, where there is memory for them
TESTS = ("tests/models/test_golden.py", "tests/test_gpu.py")
TINY = ("width=16", "heads=1", "T=1", "n=1", "puzzle_width=16")  # of models with --small


@dataclass(frozen=True)
class Check:
    device: torch.device
    small: bool
    end: float  # by time.monotonic

    def seconds(self, work: Callable[[], object]) -> float:
        """The best time of a few calls, after one that compiles and allocates."""
        times = []
        for _ in range(2 if self.small else 6):
            self.wait()
            began = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - began)
        return min(times[1:])

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()


def parity(check: Check) -> dict[str, Any]:
    """The tests that compare with the published code's recordings, and the GPU with the CPU."""
    environment = os.environ | {"TRM_DEVICE": check.device.type}
    command = [sys.executable, "-m", "pytest", "-v", "--durations=0", *(TESTS[1:] if check.small else TESTS)]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        return {"ok": False, "result": "the tests took more than four minutes", "failed": []}
    lines = done.stdout.splitlines() or [done.stderr.strip() or "no output"]
    return {
        "ok": done.returncode == 0,
        "result": lines[-1],
        "failed": [one for one in lines if one.startswith("FAILED")],
    }


def paper_shapes(check: Check) -> list[dict[str, Any]]:
    """A line for each of the paper's shapes, in training and in evaluation."""
    rate = matrix_rate(check.device, "bfloat16" if check.device.type == "cuda" else "float32")
    cases = [(name, preset) for name, (preset, _) in CASES.items()][: 1 if check.small else None]
    return [line for name, preset in cases for line in paper_shape(check, name, preset, rate)]


def paper_shape(check: Check, name: str, preset: str, rate: float) -> list[dict[str, Any]]:
    """The two lines of one shape; `rate` is that of matrix products, in operations a second."""
    kind = "maze" if "maze" in preset else get_preset(preset).config.model.mixer
    batch = 1 if check.small else fitting(check, preset, MOST[kind])
    case, found = on_device(check, preset, batch), []
    for what, flops, ours, reference in (
        ("evaluation", forward_cost(case.run.model, case.spec).flops, case.our_forward, case.reference_forward),
        ("training", training_cost(case.run, case.spec).flops, case.our_training, case.reference_training),
    ):
        mine, theirs = (check.seconds(reduced(check, work)) for work in (ours, reference))
        found.append(
            {
                "shape": name,
                "what": what,
                "batch": batch,
                "puzzle_steps_per_second": round(batch / mine, 1),
                "share_of_rate": round(flops * batch / mine / rate, 4),
                "reference_over_ours": round(theirs / mine, 3),
            }
        )
    return found


def on_device(check: Check, preset: str, batch: int) -> Case:
    """Our model and the reference on the device, ours compiled where that is the default."""
    with torch.device(check.device):
        case = Case(preset, batch)
    if check.device.type == "cuda":
        set_precision(case.ours, "bfloat16")
        case.ours.compile()
    case.state = State(*(part.to(check.device) for part in (case.state.y, case.state.z)))
    return case


def reduced(check: Check, work: Callable[[], object]) -> Callable[[], object]:
    """The same in bfloat16 on a GPU, for the reference too."""

    def run() -> None:
        with in_precision("bfloat16" if check.device.type == "cuda" else "float32", check.device):
            work()

    return run


def fitting(check: Check, preset: str, most: int) -> int:
    """As many puzzles as fit into a third of the memory that is free, `most` at most."""
    if check.device.type != "cuda":
        return 1
    torch.cuda.empty_cache()
    config = get_preset(preset).config
    saved = training_cost(config, Case(preset, 1).spec).saved
    return int(max(1, min(most, torch.cuda.mem_get_info()[0] / 3 // saved)))


def inference(check: Check) -> dict[str, Any]:
    """Puzzle-steps a second of `sudoku-search` on the embedded extreme puzzles, without leaving early."""
    stored = load("sudoku-search")
    model = placed(stored.model, check.device)
    rows, steps, batch = (8, 2, 8) if check.small else (1000, 64, 500)
    puzzles = load_puzzles(Sudoku(), "embedded", "validation").take(slice(0, rows))
    evaluate_model(model, Sudoku(), puzzles.take(slice(0, 8)), 2, 8, check.device)
    result = evaluate_model(model, Sudoku(), puzzles, steps, batch, check.device)
    rate = rows * steps / result.seconds
    return {"rows": rows, "steps": steps, "exact": int(result.exact[-1]), "puzzle_steps_per_second": round(rate, 1)}


def learning(check: Check, data: str) -> dict[str, Any]:
    """Train the paper's MLP model until the time is over. -> its accuracy on held-out puzzles by update"""
    settings = ["warmup=200", "check_every=100", "check_rows=256", "log_every=20", f"data={data}"]
    if check.small:
        settings += [*(f"model.{one}" for one in TINY), "batch=4", "updates=4", "check_every=2", "check_rows=2"]
        settings += ["max_steps=2", "model.puzzle_tokens=1"]
    config = override(get_preset("sudoku-extreme-trm-mlp").config, settings)
    minutes = None if check.small else max(0.2, (check.left - 20) / 60)
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder), "gpu-check", minutes, command="scripts/gpu_check.py", device=check.device)
        lines = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    checks = [line for line in lines if "check" in line]
    return {
        "data": Path(data).name,
        "rows": f"{config.check_rows} embedded extreme puzzles, {config.max_steps} steps",
        "puzzle_steps_per_second": [line for line in lines if "loss" in line][-1]["puzzle_steps_per_second"],
        "losses": [[line["update"], round(line["loss"], 4)] for line in lines if "loss" in line][
            :: 1 + len(lines) // 50
        ],
        "curve": [[one["update"], round(one["seconds"], 1), one["check"]["exact"][-1]] for one in checks],
    }


def machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {"device": name, "torch": str(torch.__version__), "cuda": torch.version.cuda}


def show(found: dict[str, Any]) -> None:
    """Print everything as Markdown."""
    print(f"{found['machine']['device']}, torch {found['machine']['torch']}, CUDA {found['machine']['cuda']}\n")
    print(f"parity: {found['parity']['result']}\n")
    print(
        "| shape | | puzzles at once | puzzle-steps a second | share of the matrix rate | reference's time over ours |"
    )
    print("|---|---|---:|---:|---:|---:|")
    for one in found["shapes"]:
        numbers = f"{one['batch']} | {one['puzzle_steps_per_second']:,.0f} | {one['share_of_rate']:.1%}"
        print(f"| {one['shape']} | {one['what']} | {numbers} | {one['reference_over_ours']:.2f} |")
    search, trained = found["inference"], found["learning"]
    print(f"\nsudoku-search: {search['puzzle_steps_per_second']:,.0f} puzzle-steps a second")
    print(
        f"\nTRM-MLP, {trained['puzzle_steps_per_second']:,.0f} puzzle-steps a second, trained on {trained['data']}:\n"
    )
    print(f"| update | seconds | exact, {trained['rows']} |\n|---:|---:|---:|")
    for update, seconds, exact in trained["curve"]:
        print(f"| {update:,} | {seconds:,.0f} | {exact:.1%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="time for everything [10]")
    parser.add_argument("--device", default="cuda", help="cuda or cpu [cuda]")
    parser.add_argument("--data", default="embedded", help="training puzzles, such as rows of Sudoku-Extreme")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="file to write [gpu-check.json]")
    parser.add_argument("--small", action="store_true", help="little work, to try the script")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu_check: there is no CUDA device here; --device cpu --small tries the script without one")
    device = torch.device(asked.device)
    check = Check(device, asked.small, time.monotonic() + 60 * asked.minutes)
    found: dict[str, Any] = {"machine": machine(device)}
    for name, work in (
        ("parity", lambda: parity(check)),
        ("shapes", lambda: paper_shapes(check)),
        ("inference", lambda: inference(check)),
        ("learning", lambda: learning(check, asked.data)),
    ):
        print(f"{name} ...", file=sys.stderr)
        found[name] = work()
        write_text(asked.out, json.dumps(found, indent=1) + "\n")  # what is known so far
    show(found)
    sys.exit(0 if found["parity"]["ok"] else 1)


if __name__ == "__main__":
    main()
