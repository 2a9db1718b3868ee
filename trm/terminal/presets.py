"""What `trm train list` prints."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Column, Table

from trm.training.presets import Preset


def show_presets(presets: Iterable[Preset], console: Console) -> None:
    """Print a table of the presets with the hardware, the time and the score of each."""
    presets = list(presets)
    longest = max(len(preset.name) for preset in presets)
    table = Table(Column("preset", no_wrap=True, min_width=longest), "hardware", "time", "score")
    for preset in presets:
        table.add_row(preset.name, preset.hardware, preset.time, preset.score)
    console.print(table)
