"""Change one thing in a model at a time, with several seeds: the tables of docs/ablations.md.

    python benchmarks/ablations.py                       # train what is missing, then print the table; two runs at once
    python benchmarks/ablations.py --only hrm --seeds 1  # one run
    python benchmarks/ablations.py --table               # print the table from the results so far
    python benchmarks/ablations.py --study sudoku --train train.csv --validation validation.csv
    python benchmarks/ablations.py --study maze --validation mazes.csv

Every run is a `trm train` of its own on one thread, and is measured by `trm eval`. Results are kept in a file, one
entry for each variant and seed, so a run that was stopped goes on, and one that is done is not repeated. What is varied
and how it is measured: benchmarks/studies.py.
"""

from __future__ import annotations

import argparse
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
from typing import Any

from filelock import FileLock
from studies import PARTS, STUDIES, Plan, Study, Variant

from trm.analysis.cost import parameters
from trm.files import write_text
from trm.tasks import get_task

RESULTS = Path(__file__).with_suffix(".json")
RUNS = Path("runs/ablations")
# 97.5 % quantiles of Student's t, for 1 to 10 degrees of freedom
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


# Results


class Results:
    """The entries of a file. Several threads and several commands may add to it at a time."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, FileLock(path.with_name(f".{path.name}.lock"))

    def read(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.path.read_text()) if self.path.exists() else []
        return found

    def find(self, study: Study, variant: Variant, seed: int, plan: Plan) -> dict[str, Any] | None:
        """The entry of a run with these settings."""
        wanted = head(study, variant, seed, plan)
        return next((one for one in self.read() if wanted.items() <= one.items()), None)

    def add(self, entry: dict[str, Any]) -> None:
        with self.lock:
            entries = [*self.read(), entry]
            write_text(self.path, "[\n" + ",\n".join(json.dumps(one) for one in entries) + "\n]\n")


def head(study: Study, variant: Variant, seed: int, plan: Plan) -> dict[str, Any]:
    """What tells an entry from others."""
    found = {"variant": variant.name, "seed": seed, "config": variant.digest}
    found |= {"updates": plan.updates, "compute": plan.compute, "rows": study.rows}
    if study.columns == "steps":
        found |= {"skip": study.skip, "steps": study.steps, "early": study.early, "until": study.until}
    return found


def run(study: Study, variant: Variant, seed: int, plan: Plan, asked: argparse.Namespace) -> dict[str, Any]:
    """Train and measure. -> the entry. Exits where a command fails."""
    folder = asked.runs / f"{variant.name}-{seed}-{variant.digest}-{max(plan.updates, plan.compute)}"
    train = ["train", variant.preset, "--out", str(folder), "--procs", "1", "--threads", "1"]
    data = ["--data", str(asked.train)] if study.train else []
    if (folder / "checkpoint.pt").exists():
        train += ["--resume", *data]
    else:
        train += ["--updates", str(max(plan.updates, plan.compute)), *data]
        every = plan.every or 500
        for setting in (*variant.settings, f"seed={seed}", f"keep_every={plan.every}", f"save_every={every}"):
            train += ["--set", setting]
    trm(train)
    measured = {}
    for updates in sorted({plan.updates, plan.compute}):
        measured[str(updates)] = measure(study, folder / f"update-{updates}" if plan.every else folder, asked)
    return head(study, variant, seed, plan) | {"found": measured, "machine": machine(), "commit": commit()}


def measure(study: Study, model: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Rows that are answered exactly: after the last step, after the study's `early` ones, and by the model's halt."""
    options = ["--skip", str(study.skip), "--limit", str(study.rows), "--steps", str(study.steps)]
    options += ["--until", study.until, "--threads", "1", "--json"]
    if study.validation:
        options += ["--data", str(asked.validation)]
    found = json.loads(trm(["eval", str(model), *options]))
    if found["rows"] != study.rows:
        sys.exit(
            f"{asked.validation or 'the set'} has {found['rows']} rows after {study.skip}; {study.rows} are needed"
        )
    halted = {"exact": round(found["halted"]["exact"] * study.rows), "steps": found["halted"]["mean_steps"]}
    about = json.loads((model / "config.json").read_text())["about"]
    counts = {"exact": round(found["exact"][-1] * study.rows), "halted": halted, "seconds": about["seconds"]}
    return counts | ({"early": round(found["exact"][study.early - 1] * study.rows)} if study.early else {})


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


def scores(study: Study, entries: Iterable[dict[str, Any]]) -> tuple[Scores, Scores]:
    """Of one variant, in the two groups of the table."""
    counts = []
    for one in entries:
        last = one["found"][str(one["compute"])]
        first = one["found"][str(one["updates"])]["exact"] if study.columns == "updates" else last["early"]
        counts.append((100 * first / one["rows"], 100 * last["exact"] / one["rows"]))
    first, second = zip(*counts, strict=True)
    return Scores(first), Scores(second)


def table(study: Study, results: Results, updates: int, seeds: int) -> str:
    """Markdown: a line for each variant of which there is a result."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for variant in study.variants:
        found = [results.find(study, variant, seed, Plan.of(study, variant, updates)) for seed in range(seeds)]
        if any(found):
            by_name[variant.name] = [one for one in found if one]
    against = "against TRM" if study.columns == "updates" else "against the first"
    early, late = study.headings
    heads = ["variant", "weights", f"{early}: each seed", "mean", against, "FLOPs", f"{late}: each seed", "mean"]
    heads += [against, "own halt", *(["paper"] if study.columns == "updates" else [])]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(['---', '---:', '---', '---:', '---:', '---:', '---'])}|"]
    lines[1] += "---:|" * (len(heads) - 7)
    first = by_name.get(study.variants[0].name)
    for variant in study.variants:
        if variant.name in by_name:
            lines.append("| " + " | ".join(cells(study, variant, by_name[variant.name], first)) + " |")
    return "\n".join(lines)


def cells(
    study: Study, variant: Variant, entries: list[dict[str, Any]], first: list[dict[str, Any]] | None
) -> list[str]:
    """One line of the table; `first` has the entries of the variant that is compared with."""
    config = variant.config
    found = [variant.what, f"{parameters(config.model, get_task(config.task).spec):,}"]
    for group, mine in enumerate(scores(study, entries)):
        found += [", ".join(f"{value:.1f}" for value in mine.values), f"{mine.mean:.1f} {plus_minus(mine.half())}"]
        if variant is study.variants[0] or first is None:
            found.append("")
        else:
            difference, half = mine.apart(scores(study, first)[group])
            found.append(f"{difference:+.1f} {plus_minus(half)}")
        if not group:
            found.append(f"{variant.update_flops() / study.variants[0].update_flops():.2f}")
    halts = [one["found"][str(one["compute"])]["halted"] for one in entries]
    exact = statistics.fmean(100 * halt["exact"] / one["rows"] for halt, one in zip(halts, entries, strict=True))
    steps = statistics.fmean(one["steps"] for one in halts)
    return [*found, f"{exact:.1f} at {steps:.1f}", *([variant.paper] if study.columns == "updates" else [])]


def plus_minus(half: float) -> str:
    return f"± {half:.1f}" if math.isfinite(half) else ""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--study", choices=STUDIES, default="paper", help="what is varied [paper]")
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="variants to train")
    parser.add_argument("--seeds", type=int, choices=range(1, 6), default=3, help="seeds of each variant, from 0 [3]")
    parser.add_argument("--updates", type=int, help="of the first variant [its own]")
    parser.add_argument("--train", type=Path, help="file of training puzzles, for --study sudoku")
    parser.add_argument("--validation", type=Path, help="file of puzzles, for --study sudoku and maze")
    parser.add_argument("--procs", type=int, default=2, help="runs at once [2]")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of results")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs")
    asked = parser.parse_args()
    study = STUDIES[asked.study]
    names = [one.name for one in study.variants]
    for name in asked.only or ():
        if name not in names:
            parser.error(f"--only {name}: study {asked.study} has {', '.join(names)}")
    for option in ("train", "validation"):
        if getattr(study, option) and not asked.table and not (getattr(asked, option) or Path()).is_file():
            parser.error(f"--study {asked.study} needs --{option} FILE")
    asked.updates = asked.updates or study.updates
    if study.columns == "updates" and asked.updates % Plan.of(study, study.variants[0], asked.updates).every:
        parser.error(f"--updates {asked.updates}: give a multiple of {PARTS}")
    return asked


def main() -> None:
    asked = options()
    study, results = STUDIES[asked.study], Results(asked.results)

    def one(variant: Variant, seed: int) -> None:
        plan, began = Plan.of(study, variant, asked.updates), time.monotonic()
        if results.find(study, variant, seed, plan):
            return
        entry = run(study, variant, seed, plan, asked)
        results.add(entry)
        exact = [mine.mean for mine in scores(study, [entry])]
        took = (time.monotonic() - began) / 60
        print(f"{variant.name}, seed {seed}: {exact[0]:.1f} %, {exact[1]:.1f} %; {took:.1f} minutes", file=sys.stderr)

    if not asked.table:
        chosen = [variant for variant in study.variants if not asked.only or variant.name in asked.only]
        with ThreadPoolExecutor(asked.procs) as pool:  # all variants of one seed first
            futures = [pool.submit(one, variant, seed) for seed in range(asked.seeds) for variant in chosen]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    print(table(study, results, asked.updates, asked.seeds))


if __name__ == "__main__":
    main()
