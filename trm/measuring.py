"""`trm eval`: running a model of ours on rows and printing what came of it."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from trm import show, store
from trm.errors import BadInput
from trm.evaluate import evaluate, evaluate_thinking, interval
from trm.solver import Thinking
from trm.tasks import get_task, load_puzzles


def evaluate_and_print(
    weights: str, data: str, rows: slice, steps: int, batch: int, restarts: int, noise: float, as_json: bool
) -> None:
    """Accuracy at every step, and with `restarts` that of the answers chosen among several starts. Raises BadInput."""
    stored = store.load(weights)
    task = get_task(stored.spec.name)
    minimal = data == "minimal"
    puzzles = load_puzzles(task, "embedded" if minimal else data, "minimal" if minimal else "validation").take(rows)
    if not len(puzzles):
        raise BadInput(f"no rows left: --skip {rows.start} of the data is all of it")
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        bar = progress.add_task("evaluating", total=len(puzzles))
        result = evaluate(stored.model, task, puzzles, steps, batch, progress=lambda n: progress.advance(bar, n))
        chosen = None
        if restarts:
            bar = progress.add_task("restarting", total=len(puzzles))
            thinking = Thinking(steps, restarts, noise, until="end")
            chosen = evaluate_thinking(
                stored, task, puzzles, thinking, batch, progress=lambda n: progress.advance(bar, n)
            )
    source = data if data in ("embedded", "minimal", "hub") else Path(data).name
    if as_json:
        found = {"task": task.spec.name, "weights": stored.name, "data": source, **result.as_dict()}
        if chosen is not None:
            shares = {"confidence": chosen.by_confidence / chosen.rows, "rules": chosen.by_rules / chosen.rows}
            found["restarts"] = {"starts": restarts + 1, "noise": noise, **shares, "seconds": round(chosen.seconds, 3)}
        print(json.dumps(found))
        return
    console = Console(highlight=False)
    console.print(show.accuracy(result, f"{stored.name} on {len(puzzles)} puzzles ({source})", halting=True))
    console.print(f"{len(puzzles) / result.seconds:.1f} puzzles/s at {steps} steps each")
    if chosen is not None:
        for name, right in (("confidence", chosen.by_confidence), ("rules", chosen.by_rules)):
            low, high = interval(right, chosen.rows)
            share = f"{right / chosen.rows:.1%} exact (95 % {low:.1%} - {high:.1%})"
            console.print(f"best of {restarts + 1} starts, chosen by {name}: {share}")
