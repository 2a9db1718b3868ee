"""What `trm describe` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from trm.models.config import layers_in_words
from trm.terminal.numbers import duration, quantity

LARGE = 1e6  # bytes of puzzle embeddings that are worth mentioning
REMARK = (
    "FLOP counts matrix products. Bytes and activations are those of plain torch; the fused kernels need less. "
    "Training never reaches the full rate: narrow models reach about two fifths of it in float32, a smaller share in "
    "bfloat16. Other work on the machine disturbs what is measured."
)


def show(facts: dict[str, Any], console: Console) -> None:
    """Print a table of `trm.analysis.describe.facts`."""
    table = Table(title=facts["preset"], title_justify="left", show_header=False)
    for label, text in (*preset_rows(facts), *cost_rows(facts)):
        table.add_row(label, text)
    console.print(table)
    console.print(REMARK, style="dim")


def preset_rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text of each row about the preset and its model."""
    counts = facts["parameters"]
    yield "command", facts["command"]
    yield "hardware, time, score", f"{facts['hardware']}; {facts['time']}; {facts['score']}"
    if facts["note"]:
        yield "note", facts["note"]
    yield "task", f"{facts['task']}, {facts['cells']} cells"
    yield "model", model_line(facts["model"])
    yield "parameters", f"{counts['trained']:,} trained; {counts['as published']:,} without token embeddings"
    if counts["puzzle embeddings"]:
        yield "puzzle embeddings", f"{counts['puzzle embeddings']:,} numbers in addition"


def model_line(model: dict[str, Any]) -> str:
    """A model's kind and size in one line."""
    layers = layers_in_words(model["layers"])
    if model["kind"] == "hrm" and isinstance(model["layers"], int):
        layers += " in each of two networks"
    recursion = "" if model["kind"] == "direct" else f", T={model['T']}, n={model['n']}"
    return f"{model['kind']}, {model['mixer']}, width {model['width']}, {layers}{recursion}"


def cost_rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text of each row about compute, memory and time."""
    answering, training, held = facts["answering"], facts["training"], facts["memory"]
    flops, moved = quantity(answering["flops"], "FLOP"), quantity(answering["bytes"], "B")
    yield "an answer", f"up to {answering['steps']} steps of {flops} and {moved} moved"
    flops, moved = quantity(training["flops"], "FLOP"), quantity(training["bytes"], "B")
    yield "a training step", f"{training['batch']} puzzles, each {flops} and {moved} moved"
    puzzles, flops = quantity(training["puzzle_steps"], "puzzle-steps"), quantity(training["total_flops"], "FLOP")
    yield "training", f"{training['updates']:,} updates, {puzzles}, {flops}"
    embeddings = f", {quantity(held['embeddings'], 'B')} embeddings" if held["embeddings"] > LARGE else ""
    weights, activations = quantity(held["weights"], "B"), quantity(held["activations"], "B")
    yield "memory per process", f"{weights} weights and optimiser, {activations} activations{embeddings}"
    seconds = facts["seconds"]
    chosen = facts["precision"]
    yield "precision", f"{chosen['precision']}: {chosen['why']}"
    rate = quantity(facts["rate"], "FLOP")
    yield "this machine", f"{rate} per second in {chosen['precision']} matrix products (measured)"
    yield "at that rate", f"training {duration(seconds['training'])}, an answer {duration(seconds['answer'])}"
    yield "placement", placement_line(facts["placement"])


def placement_line(placement: dict[str, Any]) -> str:
    """Which processes and threads train fastest, in one line."""
    if "why" in placement:
        return str(placement["why"])
    rates = placement["puzzle_steps_per_second"]
    measured = ", ".join(f"{name} {quantity(rate, 'puzzle-steps')} per second" for name, rate in rates.items())
    return f"{placement['options']} is faster: {measured} (measured)"
