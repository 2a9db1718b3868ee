"""What `trm adapt` solves of 80 training tasks of ARC-AGI-1 (`arc-agi-1-bench`), against the version that landed last.

    python benchmarks/arc.py --seconds 60 --out runs/bench-60 --procs 2      # 80 minutes of one core, or less
    python benchmarks/arc.py --seconds 60 --out runs/wide-60 --set width=32  # something else than the default
    python benchmarks/arc.py --seconds 60 --out runs/wide-60 --table         # from the tasks that are done
    python benchmarks/arc.py --seconds 60 --out runs/bench-60 --land         # keep it in benchmarks/arc.json
    python benchmarks/arc.py --seconds 60 --out runs/bench-60 --table --plot docs/arc-seconds.png

Where only some tasks are kept there, only these are compared.

Tasks that are done in the folder are not run again. The time is processor time, so other work changes little. The
table compares task by task (McNemar's exact test), names the tasks that were won and lost, and sorts the failures.
Test answers are looked at only here, after the task is done.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from trm.adapt.canvas import DRAWN
from trm.adapt.learn import AdaptSettings, settled
from trm.adapt.result import Result, is_solved
from trm.adapt.run import read_done, run_many
from trm.files import write_text
from trm.plot import COLOURS, check, new_figure, plain, save
from trm.statistics import interval, mcnemar
from trm.tasks.arc.text import ArcTask, samples

SAMPLE, LANDED = "arc-agi-1-bench", Path(__file__).with_suffix(".json")
SOLVED = "solved"
BINS = 5  # of confidence, in the plot
FAILURES = {
    "no size rule": "no rule for the size of the answer holds, so it is drawn",
    "not learnt": "no model learned the demonstrations by heart",
    "wrong size": "learned, and no answer has the right size",
    "wrong": "learned, and the right answer is never among the votes",
    "outvoted": "learned, and the right answer is among the votes, behind two others",
}


def kind(task: ArcTask, result: Result) -> str:
    """`SOLVED`, or how the task failed: the first of `FAILURES` that fits one of its tests."""
    if is_solved(task, result):
        return SOLVED
    if all(model.canvas == DRAWN for model in result.models):
        return "no size rule"
    if not any(model.known for model in result.models):
        return "not learnt"
    truths = [pair.answer for pair in task.test if pair.answer is not None]
    voted = [[answer.grid for answer in answers] for answers in result.tests]
    tests = list(zip(truths, voted, strict=True))
    if any(all((len(grid), len(grid[0])) != truth.shape for grid in grids) for truth, grids in tests):
        return "wrong size"
    return "wrong" if any(truth.tolist() not in grids for truth, grids in tests) else "outvoted"


def report(kinds: Mapping[str, str], landed: Mapping[str, str]) -> str:
    """The table, from the kind of every task that is done, by id."""
    solved, tasks = sum(kind == SOLVED for kind in kinds.values()), len(kinds)
    low, high = interval(solved, tasks)
    lines = [f"{solved} of {tasks} tasks solved: {solved / tasks:.1%} ({low:.1%} - {high:.1%})"]
    counts = Counter(kinds.values())
    lines += [f"{counts[name]:4}  {what}" for name, what in FAILURES.items()]
    both = sorted(kinds.keys() & landed.keys())
    won = [id for id in both if kinds[id] == SOLVED != landed[id]]
    lost = [id for id in both if kinds[id] != SOLVED == landed[id]]
    if both:
        lines.append(f"against what landed, on {len(both)} tasks: p = {mcnemar(len(won), len(lost)):.3f}")
        lines += [f"  {word} {len(ids)}: {' '.join(ids)}" for word, ids in (("won", won), ("lost", lost))]
    return "\n".join(lines)


def solved_after(task: ArcTask, result: Result) -> float:
    """Seconds after which the attempts solved the task for good; infinite if they do not."""
    truths = [pair.answer.tolist() for pair in task.test if pair.answer is not None]
    after = math.inf
    for moment in result.moments:
        right = all(truth in attempts for truth, attempts in zip(truths, moment.tests, strict=True))
        after = min(after, moment.seconds) if right else math.inf
    return after


def first_attempts(task: ArcTask, result: Result) -> list[tuple[float, bool]]:
    """For each test the confidence of the first attempt, and whether it is right."""
    tests = zip(result.confidence(), result.attempts(), task.test, strict=True)
    return [(sure[0], np.array_equal(grids[0], pair.answer)) for sure, grids, pair in tests if pair.answer is not None]


def draw(tasks: Mapping[str, ArcTask], results: Mapping[str, Result], seconds: float, path: Path) -> None:
    """Write a PNG: the share of solved tasks against time, and of right first attempts against their confidence."""
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    times = np.sort([solved_after(tasks[id], result) for id, result in results.items()])
    times = times[np.isfinite(times)]
    shares = 100 * np.arange(len(times) + 1) / len(results)
    left.step([1, *times, seconds], [*shares, shares[-1]], where="post", color=COLOURS[0], linewidth=1.8)
    left.set_xscale("log")
    left.xaxis.set_major_formatter("{x:g}")
    left.set_xlim(1, seconds)
    left.set_xlabel("seconds of a core a task")
    left.set_ylabel(f"solved by two attempts, % of {len(results)} tasks")
    pairs = np.array([pair for id, result in results.items() for pair in first_attempts(tasks[id], result)])
    bins = np.minimum((pairs[:, 0] * BINS).astype(int), BINS - 1)
    for number in sorted(set(bins.tolist())):
        sure, true = pairs[bins == number].T
        low, high = interval(int(true.sum()), len(true))
        right.plot([100 * sure.mean()] * 2, [100 * low, 100 * high], color=COLOURS[0], alpha=0.35)
        right.plot(100 * sure.mean(), 100 * true.mean(), "o", color=COLOURS[0])
        right.annotate(f" {len(true)}", (100 * sure.mean(), 100 * true.mean()), fontsize=8)
    right.plot([0, 100], [0, 100], color=COLOURS[-1], linewidth=0.8, linestyle="--")
    right.set_xlabel("confidence of the first attempt, %")
    right.set_ylabel("right, % (95 % interval, number of tests)")
    for axes in (left, right):
        axes.set_ylim(0, 100)
        plain(axes)
    save(figure, path)


def changed(settings: AdaptSettings, given: Sequence[str]) -> AdaptSettings:
    """The settings with `name=value` for some of them."""
    types = get_type_hints(AdaptSettings)
    values: dict[str, Any] = {}
    for one in given:
        name, _, value = one.partition("=")
        if name not in types:
            raise SystemExit(f"no setting {name}; choose one of {', '.join(types)}")
        try:
            values[name] = TypeAdapter(types[name]).validate_strings(value)
        except ValidationError as error:
            raise SystemExit(f"{name}={value}: {error.errors()[0]['msg']}") from None
    return replace(settings, **values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time for a task")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, one file a task")
    parser.add_argument("--procs", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--plot", type=Path, help="draw solved tasks against seconds, and confidence, in this PNG")
    parser.add_argument("--land", action="store_true", help="keep the outcome in benchmarks/arc.json")
    asked = parser.parse_args()

    if asked.plot:
        check(asked.plot)
    settings = settled(changed(AdaptSettings(seconds=asked.seconds), asked.set))
    tasks = {task.id: task for task in samples(SAMPLE)}
    results = read_done(tasks.values(), settings, asked.out)
    waiting = [task for id, task in tasks.items() if id not in results]
    for result in [] if asked.table else run_many(waiting, settings, asked.out, asked.procs):
        results[result.task] = result
        print(f"{len(results)}/{len(tasks)} {result.task}: {kind(tasks[result.task], result)}", flush=True)
    if not results:
        raise SystemExit(f"no task is done in {asked.out}")
    kinds = {id: kind(tasks[id], results[id]) for id in sorted(results)}
    record: dict[str, Any] = json.loads(LANDED.read_text()) if LANDED.exists() else {}
    name = f"{asked.seconds:g}"
    print(report(kinds, record.get(name, {}).get("tasks", {})))
    if asked.plot:
        draw(tasks, results, asked.seconds, asked.plot)
    if asked.land:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        write_text(LANDED, json.dumps(record | {name: {"commit": commit, "tasks": kinds}}, indent=1) + "\n")


if __name__ == "__main__":
    main()
