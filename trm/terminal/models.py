"""The table of `trm models`."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trm.store.cards import Score, ShippedModel
from trm.terminal.console import fits

UNKNOWN = "-"
LEGEND = """\
* the default of its task
exact: share of puzzles answered exactly, with its 95 % interval
steps, ms: supervision steps and milliseconds for a puzzle, on average"""
Notes = dict[str, dict[str, int]]  # puzzles -> how a score on them was measured -> number of the note


def print_models(models: Sequence[ShippedModel], console: Console) -> None:
    """Print a table of figures, notes on how they were measured, and each model's purpose and training."""
    notes = number_notes([score for model in models for score in model.card.scores])
    table = figures(models, notes)
    narrow = not fits(table, console)
    console.print(figures(models, notes, sizes=False) if narrow else table)
    console.print(LEGEND)
    for rows, settings in notes.items():
        console.print(f"\nof {rows}:")
        console.print(numbered(settings))
    for model in models:
        console.print()
        console.print(Text(model.name, style="bold"))
        size = [f"{model.weights:,} weights, {model.bytes / 1000:.0f} kB"] if narrow else []
        lines = [*size, model.card.purpose, f"Training: {model.card.trained}.", *model.card.command.split(" && ")]
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 2)))


def number_notes(scores: Sequence[Score]) -> Notes:
    """Number the ways in which scores were measured, those on the same puzzles one after the other."""
    notes: Notes = {}
    for score in scores:
        notes.setdefault(puzzles(score), {}).setdefault(setting(score), 0)
    number = 0
    for settings in notes.values():
        for text in settings:
            number += 1
            settings[text] = number
    return notes


def puzzles(score: Score) -> str:
    return f"{score.rows:,} {score.data}"


def setting(score: Score) -> str:
    return score.setting if score.machine is None else f"{score.setting}; ms on {score.machine}"


def figures(models: Sequence[ShippedModel], notes: Notes, sizes: bool = True) -> Table:
    """A row for each score of each model. `sizes`: with two columns for its size."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Models that ship", title_justify="left")
    table.add_column("model", no_wrap=True)
    for heading in (*(("weights", "kB") if sizes else ()), "exact", "interval", "steps", "ms", "note"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in models:
        name = f"{model.name} *" if model.default else model.name
        size = [f"{model.weights:,}", f"{model.bytes / 1000:.0f}"] if sizes else []
        for score in model.card.scores:
            table.add_row(
                name,
                *size,
                f"{score.exact:.1%}",
                f"{100 * score.low:.1f}-{100 * score.high:.1f}",
                UNKNOWN if score.steps is None else f"{score.steps:,.0f}",
                UNKNOWN if score.milliseconds is None else f"{score.milliseconds:,.0f}",
                str(notes[puzzles(score)][setting(score)]),
            )
            name, size = "", [""] * len(size)
    return table


def numbered(settings: dict[str, int]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True, min_width=3)
    grid.add_column()
    for text, number in settings.items():
        grid.add_row(str(number), text)
    return grid
