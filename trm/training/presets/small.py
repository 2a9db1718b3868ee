"""The papers' models at a size that a CPU core trains in minutes: hard Sudokus of 6x6, 1,000 of them for training.

Everything that the papers say about the algorithm is kept: the recursion, the loss, the optimiser, the average, 16
supervision steps and halting. Width, batch and schedule are ours, and a puzzle embedding fills one position instead of
TRM's 16. benchmarks/ablations.py compares variants of these runs.
"""

from __future__ import annotations

from trm.training.config import RunConfig
from trm.training.presets.base import Preset
from trm.training.presets.published import SUDOKU, SUDOKU_HRM, TRM_MLP, as_direct

WIDTH = 64


def at_6x6(run: RunConfig) -> RunConfig:
    """One of the papers' runs on Sudoku-Extreme, at 6x6 and with width 64."""
    return run.changed(
        task="sudoku-6x6",
        data="embedded",
        model=run.model.changed(width=WIDTH, heads=4, multiple=16, puzzle_tokens=1, puzzle_width=WIDTH),
        batch=32,
        lr=1e-3,
        puzzle_lr=1e-3,
        weight_decay=0.1,
        puzzle_weight_decay=0.1,
        warmup=100,
        ema=0.99 if run.ema else 0.0,
        updates=3000,
        check_every=0,
        precision="float32",
        compile=False,
    )


_CORE = "one CPU core"
_ROWS = "of 500 unseen hard puzzles, 16 steps"
_LATER = "still on its first plateau after these updates, see docs/ablations.md"
SMALL = (
    Preset(
        "sudoku-6x6-trm-mlp",
        at_6x6(SUDOKU.changed(model=TRM_MLP)),
        _CORE,
        "7 minutes",
        f"90.6, 85.6 and 74.0 % {_ROWS}; three seeds",
    ),
    Preset("sudoku-6x6-trm-attention", at_6x6(SUDOKU), _CORE, "10 minutes", f"0 % {_ROWS}", note=_LATER),
    Preset("sudoku-6x6-hrm", at_6x6(SUDOKU_HRM), _CORE, "8 minutes", f"0 % {_ROWS}", note=_LATER),
    Preset("sudoku-6x6-direct", at_6x6(as_direct(SUDOKU_HRM)), _CORE, "5 minutes", f"0 % {_ROWS}", note=_LATER),
)
