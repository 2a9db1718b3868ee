"""What `trm train list` prints."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Column, Table

from trm.training.presets import Preset

WIDE = 120  # columns of a console from which on the texts have room beside each other


def show_presets(presets: Iterable[Preset], console: Console) -> None:
    """Print the presets with the hardware, the time and the score of each: as a table, or below each other."""
    presets = list(presets)
    if console.width < WIDE:
        for preset in presets:
            console.print(preset.name, style="bold")
            rows = Table.grid(padding=(0, 2))
            for label in ("hardware", "time", "score"):
                rows.add_row(label, getattr(preset, label))
            console.print(Padding(rows, (0, 0, 0, 2)))
        return
    longest = max(len(preset.name) for preset in presets)
    table = Table(Column("preset", no_wrap=True, min_width=longest), "hardware", "time", "score")
    for preset in presets:
        table.add_row(preset.name, preset.hardware, preset.time, preset.score)
    console.print(table)
