"""`trm eval`: running a model of ours on rows and printing what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from trm import plot
from trm.devices import pick_device
from trm.inference.evaluate import StartsResult, evaluate, evaluate_starts
from trm.inference.loop import Thinking
from trm.inference.rows import SETS, rows_for
from trm.models.turns import unasked
from trm.statistics import interval
from trm.store.stored import Stored
from trm.terminal import tables as show


def evaluate_and_print(
    stored: Stored, data: str, rows: slice, thinking: Thinking, batch: int, as_json: bool, png: Path | None = None
) -> None:
    """Accuracy at every step, and with restarts that of the answers chosen among several starts. Raises BadInput.

    With `png`, a picture of accuracy against steps too; raises TrmError where matplotlib is not installed.
    """
    if png is not None:
        plot.check(png)
    steps = thinking.steps
    stored, task, puzzles = rows_for(stored, data, rows)
    if note := unasked(stored.model.config, steps):
        print(note, file=sys.stderr)
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        bar = progress.add_task("evaluating", total=len(puzzles))
        until, device = "end" if thinking.restarts else thinking.until, pick_device()
        model = stored.model.to(device)
        result = evaluate(model, task, puzzles, steps, batch, device, lambda n: progress.advance(bar, n), until)
        chosen = None
        if thinking.restarts:
            model.to("cpu")  # where the solver is at home
            bar = progress.add_task("restarting", total=len(puzzles))
            chosen = evaluate_starts(stored, task, puzzles, thinking, batch, lambda n: progress.advance(bar, n))
    source = data if data in SETS else Path(data).name
    title = f"{stored.name} on {len(puzzles)} puzzles ({source})"
    if png is not None:
        plot.accuracy(result, title, png)
    if as_json:
        found = {"task": task.spec.name, "weights": stored.name, "data": source, **result.as_dict()}
        if until != "end":
            found["until"] = {"done": until, "mean_steps": round(result.taken / result.rows, 2)}
        if chosen is not None:
            how = {name: getattr(thinking, name) for name in ("noise", "guesses", "until")}
            shares = {name: right / chosen.rows for name, right in choices(chosen, thinking).items()}
            cost = {"mean_steps": round(chosen.steps / chosen.rows, 2), "seconds": round(chosen.seconds, 3)}
            found["restarts"] = {"starts": thinking.restarts + 1, **how, **shares, **cost}
        print(json.dumps(found))
        return
    console = Console(highlight=False)
    console.print(show.accuracy(result, title, halting=True))
    mean = result.taken / result.rows
    each = f"{steps} steps each" if until == "end" else f"{mean:.0f} steps each, {steps} at most, until {until}"
    console.print(f"{len(puzzles) / result.seconds:.1f} puzzles/s at {each}")
    if chosen is not None:
        for name, right in choices(chosen, thinking).items():
            low, high = interval(right, chosen.rows)
            share = f"{right / chosen.rows:.1%} exact (95 % {low:.1%} - {high:.1%})"
            console.print(f"best of up to {thinking.restarts + 1} starts, chosen by {name}: {share}")
        console.print(f"{chosen.steps / chosen.rows:.0f} steps a puzzle, {chosen.rows / chosen.seconds:.1f} puzzles/s")


def choices(chosen: StartsResult, thinking: Thinking) -> dict[str, int]:
    """How the answers were chosen -> rows right. Where the rules end the thinking, they are what chooses."""
    rules = {"rules": chosen.by_rules}
    return rules if thinking.until == "valid" else {"confidence": chosen.by_confidence, **rules}
