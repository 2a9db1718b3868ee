"""Change one thing in the papers' models at a time, with several seeds: the table of docs/ablations.md.

    python benchmarks/ablations.py                       # train what is missing, then print the table; two runs at once
    python benchmarks/ablations.py --only hrm --seeds 1  # one run
    python benchmarks/ablations.py --table               # print the table from the results so far

Every run is a `trm train` of its own on one thread, and is measured by `trm eval` on rows 501-1,000 of the embedded
validation puzzles. Results are kept in a file, one entry for each variant and seed, so a run that was stopped goes on,
and one that is done is not repeated.

A variant is measured twice: after as many updates as the first one had, and after as many FLOPs (as counted by
trm/analysis/cost.py). Both come from one run, since the learning rate is constant after the warm-up.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from trm.analysis.cost import parameters, training_cost
from trm.files import write_text
from trm.tasks import get_task
from trm.training.config import RunConfig, override
from trm.training.presets import get_preset

RESULTS = Path(__file__).with_suffix(".json")
RUNS = Path("runs/ablations")
SKIP, ROWS, STEPS = 500, 500, 16  # of the evaluation
PARTS = 20  # weights are kept so often in the time of the first variant
# 97.5 % quantiles of Student's t, for 1 to 10 degrees of freedom
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class Variant:
    """A run that differs in one thing from the first one."""

    name: str
    what: str  # for the table
    paper: str = ""  # exact answers on Sudoku-Extreme by the papers, in %
    settings: tuple[str, ...] = ()
    preset: str = "sudoku-6x6-trm-mlp"

    @property
    def config(self) -> RunConfig:
        return override(get_preset(self.preset).config, list(self.settings))

    @property
    def digest(self) -> str:
        """Of all settings, so that a result is not taken for that of other ones."""
        return hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()[:16]

    @property
    def flops(self) -> int:
        """Of a training step on one puzzle."""
        config = self.config
        return training_cost(config, get_task(config.task).spec).flops


MLP = ("model.mixer=mlp", "model.positions=none")  # HRM and the direct model have attention
VARIANTS = (
    Variant("trm", "TRM: MLP mixer, 2 layers, T=3, n=6", "87.4"),
    Variant("attention", "attention mixer", "74.7", preset="sudoku-6x6-trm-attention"),
    Variant("hrm", "HRM: 4 + 4 layers, T=2, n=2", "55.0", preset="sudoku-6x6-hrm"),
    Variant("direct", "direct: 8 layers, one pass", "0.0", preset="sudoku-6x6-direct"),
    Variant("hrm-mlp", "HRM with the MLP mixer", "", MLP, preset="sudoku-6x6-hrm"),
    Variant("direct-mlp", "direct with the MLP mixer", "", MLP, preset="sudoku-6x6-direct"),
    Variant("layers-4", "4 layers, n=3", "79.5", ("model.layers=4", "model.n=3")),
    Variant("T2-n2", "T=2, n=2", "73.7", ("model.T=2", "model.n=2")),
    Variant("T1", "T=1, n=6", "", ("model.T=1",)),
    Variant("one-step", "one-step gradient", "56.5", ("model.gradient=one_step",)),
    Variant("single", "single z", "71.9", ("model.memory=single",)),
    Variant("scales", "multi-scale z", "77.6", ("model.memory=scales",)),
    Variant("separate", "separate f_L and f_H", "82.4", ("model.networks=separate",)),
    Variant("no-ema", "no EMA", "79.9", ("ema=0",)),
    Variant("continue", "continue loss", "86.1", ("continue_loss=true",)),
    Variant("no-halting", "no halting in training", "", ("early_halt=1",)),
)


@dataclass(frozen=True)
class Plan:
    """Updates after which a variant is measured, and how often its weights are kept."""

    updates: int
    compute: int
    every: int

    @classmethod
    def of(cls, variant: Variant, updates: int) -> Plan:
        """`updates`: of the first variant."""
        every = max(1, updates // PARTS)
        compute = every * max(1, round(updates * VARIANTS[0].flops / variant.flops / every))
        return cls(updates, compute, every)


# Results


class Results:
    """The entries of a file. They may be added from several threads."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, Lock()
        self.entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []

    def find(self, variant: Variant, seed: int, plan: Plan) -> dict[str, Any] | None:
        """The entry of a run with these settings."""
        wanted = {"variant": variant.name, "seed": seed, "config": variant.digest}
        wanted |= {"updates": plan.updates, "compute": plan.compute, "rows": ROWS}
        return next((one for one in self.entries if wanted.items() <= one.items()), None)

    def add(self, entry: dict[str, Any]) -> None:
        with self.lock:
            self.entries.append(entry)
            write_text(self.path, "[\n" + ",\n".join(json.dumps(one) for one in self.entries) + "\n]\n")


def run(variant: Variant, seed: int, plan: Plan, runs: Path) -> dict[str, Any]:
    """Train and measure. -> the entry. Exits where a command fails."""
    folder = runs / f"{variant.name}-{seed}-{variant.digest}"
    train = ["train", variant.preset, "--out", str(folder), "--procs", "1", "--threads", "1"]
    if (folder / "checkpoint.pt").exists():
        train += ["--resume"]
    else:
        train += ["--updates", str(max(plan.updates, plan.compute))]
        for setting in (*variant.settings, f"seed={seed}", f"keep_every={plan.every}", f"save_every={plan.every}"):
            train += ["--set", setting]
    trm(train)
    entry: dict[str, Any] = {"variant": variant.name, "seed": seed, "config": variant.digest}
    entry |= {"updates": plan.updates, "compute": plan.compute, "rows": ROWS, "found": {}}
    for updates in sorted({plan.updates, plan.compute}):
        options = ["--skip", str(SKIP), "--limit", str(ROWS), "--steps", str(STEPS), "--threads", "1", "--json"]
        found = json.loads(trm(["eval", str(folder / f"update-{updates}"), *options]))
        about = json.loads((folder / f"update-{updates}" / "config.json").read_text())["about"]
        entry["found"][str(updates)] = {
            "exact": round(found["exact"][-1] * ROWS),
            "halted": {"exact": round(found["halted"]["exact"] * ROWS), "steps": found["halted"]["mean_steps"]},
            "seconds": about["seconds"],
        }
    return entry | {"machine": machine(), "commit": commit()}


def trm(arguments: Sequence[str]) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run([sys.executable, "-m", "trm", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"trm {' '.join(arguments)}\n{done.stderr}")
    return done.stdout


def machine() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


def commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip()


# The table


@dataclass(frozen=True)
class Scores:
    """Exact answers of several seeds, in %."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def squares(self) -> float:
        """The sum of squared deviations from the mean."""
        return sum((value - self.mean) ** 2 for value in self.values)

    def half(self) -> float:
        """Half of the 95 % interval of the mean over seeds; infinite for one seed."""
        freedom = len(self.values) - 1
        if not freedom:
            return math.inf
        return STUDENT[freedom - 1] * math.sqrt(self.squares / freedom / len(self.values))

    def apart(self, other: Scores) -> tuple[float, float]:
        """The difference to `other`, and half of its 95 % interval (two samples of equal variance)."""
        freedom = len(self.values) + len(other.values) - 2
        if not freedom:
            return self.mean - other.mean, math.inf
        variance = (self.squares + other.squares) / freedom
        size = math.sqrt(variance * (1 / len(self.values) + 1 / len(other.values)))
        return self.mean - other.mean, STUDENT[freedom - 1] * size


def scores(entries: Iterable[dict[str, Any]], at: str) -> Scores:
    """Of one variant: `at` is `updates` or `compute`."""
    return Scores(tuple(100 * one["found"][str(one[at])]["exact"] / one["rows"] for one in entries))


def table(results: Results, updates: int, seeds: int) -> str:
    """Markdown: a line for each variant of which there is a result."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for variant in VARIANTS:
        found = [results.find(variant, seed, Plan.of(variant, updates)) for seed in range(seeds)]
        if any(found):
            by_name[variant.name] = [one for one in found if one]
    lines = [
        "| variant | weights | equal updates: each seed | mean | against TRM | FLOPs | equal compute: each seed | mean "
        "| against TRM | own halt | paper |",
        "|---|---:|---|---:|---:|---:|---|---:|---:|---:|---:|",
    ]
    first = by_name.get(VARIANTS[0].name)
    for variant in VARIANTS:
        if variant.name in by_name:
            lines.append("| " + " | ".join(cells(variant, by_name[variant.name], first)) + " |")
    return "\n".join(lines)


def cells(variant: Variant, entries: list[dict[str, Any]], first: list[dict[str, Any]] | None) -> list[str]:
    """One line of the table; `first` has the entries of the variant that is compared with."""
    config = variant.config
    found = [variant.what, f"{parameters(config.model, get_task(config.task).spec):,}"]
    for at in ("updates", "compute"):
        mine = scores(entries, at)
        found += [", ".join(f"{value:.1f}" for value in mine.values), f"{mine.mean:.1f} {plus_minus(mine.half())}"]
        if variant is VARIANTS[0] or first is None:
            found.append("")
        else:
            difference, half = mine.apart(scores(first, at))
            found.append(f"{difference:+.1f} {plus_minus(half)}")
        if at == "updates":
            found.append(f"{variant.flops / VARIANTS[0].flops:.2f}")
    halts = [one["found"][str(one["compute"])]["halted"] for one in entries]
    exact = statistics.fmean(100 * halt["exact"] / one["rows"] for halt, one in zip(halts, entries, strict=True))
    steps = statistics.fmean(one["steps"] for one in halts)
    return [*found, f"{exact:.1f} at {steps:.1f}", variant.paper]


def plus_minus(half: float) -> str:
    return f"± {half:.1f}" if math.isfinite(half) else ""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in VARIANTS], help="variants to train")
    parser.add_argument("--seeds", type=int, choices=range(1, 6), default=3, help="seeds of each variant, from 0 [3]")
    parser.add_argument("--updates", type=int, default=get_preset(VARIANTS[0].preset).config.updates, help="of TRM")
    parser.add_argument("--procs", type=int, default=2, help="runs at once [2]")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of results")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs")
    asked = parser.parse_args()
    if asked.updates % Plan.of(VARIANTS[0], asked.updates).every:
        parser.error(f"--updates {asked.updates}: give a multiple of {PARTS}")
    return asked


def main() -> None:
    asked = options()
    results = Results(asked.results)

    def one(variant: Variant, seed: int) -> None:
        plan, began = Plan.of(variant, asked.updates), time.monotonic()
        if results.find(variant, seed, plan):
            return
        entry = run(variant, seed, plan, asked.runs)
        results.add(entry)
        exact = [100 * entry["found"][str(at)]["exact"] / ROWS for at in (plan.updates, plan.compute)]
        took = (time.monotonic() - began) / 60
        print(f"{variant.name}, seed {seed}: {exact[0]:.1f} %, {exact[1]:.1f} %; {took:.1f} minutes", file=sys.stderr)

    if not asked.table:
        chosen = [variant for variant in VARIANTS if not asked.only or variant.name in asked.only]
        with ThreadPoolExecutor(asked.procs) as pool:  # all variants of one seed first
            futures = [pool.submit(one, variant, seed) for seed in range(asked.seeds) for variant in chosen]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    print(table(results, asked.updates, asked.seeds))


if __name__ == "__main__":
    main()
