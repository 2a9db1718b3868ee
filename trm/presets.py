"""Named training runs, each headed by its command, the hardware it suits, the time it takes and what it scores."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from trm.config import RunConfig
from trm.data import Reveal
from trm.errors import BadInput
from trm.models.config import ModelConfig


@dataclass(frozen=True)
class Preset:
    """A configuration and what to expect of it."""

    name: str
    config: RunConfig
    hardware: str
    time: str
    score: str  # where it was measured or published, and on which rows
    procs: int = 1  # local processes that suit it on a CPU
    note: str = ""

    @property
    def command(self) -> str:
        return f"trm train {self.name}"


GROUPS = ModelConfig(mixer="groups", width=48, layers=1, expansion=3, multiple=16, T=1, n=3, positions="none")

SUDOKU_MINI = Preset(
    name="sudoku-mini",
    hardware="two CPU cores",
    time="7 minutes",
    score="to be measured",
    procs=2,
    config=RunConfig(
        task="sudoku",
        model=GROUPS,
        loss="softmax",
        max_steps=24,
        optimizer="adamw",
        lr=2e-3,
        lr_floor=0.01,
        warmup=100,
        weight_decay=0.01,
        ema=0.99,
        batch=32,
        micro=16,
        steps=3000,
        reveal=Reveal(share=0.6, most=0.5, until=0.6),
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (SUDOKU_MINI,)}


def get_preset(name: str) -> Preset:
    """Raises BadInput, with the nearest names, where there is none of that name."""
    if name not in PRESETS:
        near = ", ".join(difflib.get_close_matches(name, PRESETS, 3, 0.4)) or ", ".join(sorted(PRESETS))
        raise BadInput(f"no preset {name!r}; did you mean {near}? `trm train list` shows all")
    return PRESETS[name]


def table(presets: dict[str, Preset]) -> None:
    """Print every preset with its hardware, time and score."""
    from rich.console import Console
    from rich.table import Table

    shown = Table("preset", "hardware", "time", "score")
    for preset in presets.values():
        shown.add_row(preset.name, preset.hardware, preset.time, preset.score)
    Console().print(shown)
