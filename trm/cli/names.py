"""Names that the shell completes: of models, presets, tasks, sets, and the values of options with few of them.

A key press waits for this, so nothing is imported that takes long. Where a value may also be a file, files that begin
with what was typed are offered, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from glob import escape, glob
from pathlib import Path

Completer = Callable[[str], list[str]]

PRESETS = (  # importing trm.training.presets takes a second; a test compares
    "sudoku-mini",
    "sudoku",
    "sudoku-search",
    "sudoku-gpu",
    "maze",
    "maze-generated",
    "custom",
    "sudoku-6x6-trm-mlp",
    "sudoku-6x6-trm-attention",
    "sudoku-6x6-hrm",
    "sudoku-6x6-direct",
    "sudoku-extreme-trm-mlp",
    "sudoku-extreme-trm-attention",
    "maze-hard-trm",
    "arc-agi-1-trm",
    "arc-agi-2-trm",
    "sudoku-extreme-hrm",
    "maze-hard-hrm",
    "arc-agi-1-hrm",
    "arc-agi-2-hrm",
    "sudoku-extreme-direct",
    "maze-hard-direct",
    "arc-agi-1-direct",
    "arc-agi-2-direct",
)
SOLVED = ("sudoku", "maze", "custom")  # tasks of trm solve
SIZED = ("sudoku", "sudoku-4x4", "sudoku-6x6", "sudoku-16x16", "maze", "maze-20x20", "arc-agi-1", "arc-agi-2")
BENCHMARKS = (
    "arc-agi-1",
    "arc-agi-2",
    "arc-agi-1-bench",
    "arc-agi-1-training",
    "arc-agi-1-evaluation",
    "arc-agi-1-evaluation-100",
    "arc-agi-2-evaluation",
)
SETS = ("embedded", "minimal", "hub")
RUNS = "runs"  # the folder in which trm train puts runs by default


def any_of(*values: str) -> Completer:
    """Completes one of `values`."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def any_of_or_file(*values: str) -> Completer:
    """Completes one of `values`, or the name of a file or folder."""
    return lambda incomplete: [*any_of(*values)(incomplete), *paths(incomplete)]


def models(incomplete: str) -> list[str]:
    """Models that ship, runs in the usual folder, and folders."""
    from trm.store.shipped import CONFIG, shipped_names

    trained = sorted(str(path.parent) for path in Path(RUNS).glob(f"*/{CONFIG}"))
    named = [name for name in (*shipped_names(), *trained) if name.startswith(incomplete)]
    return named + [path for path in paths(incomplete) if path.endswith(os.sep) and path.rstrip(os.sep) not in named]


def presets(incomplete: str) -> list[str]:
    return any_of("list", *PRESETS)(incomplete)


def paths(incomplete: str) -> list[str]:
    """Files and folders that begin with `incomplete`; hidden ones only if asked for."""
    found: Sequence[str] = sorted(glob(f"{escape(incomplete)}*"))
    return [f"{path}{os.sep}" if os.path.isdir(path) else path for path in found]
