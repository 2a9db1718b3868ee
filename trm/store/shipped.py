"""The models that ship with the package. Imports no torch."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "weights"

# Former names of models, which their runs and presets had too.
RENAMED = {
    "sudoku-extreme-cpu-varied": "sudoku",
    "sudoku-extreme-cpu-search": "sudoku-search",
    "sudoku-extreme-cpu-pair": "sudoku-search-x2",
    "sudoku-extreme-cpu-turns": "sudoku-search-x4",
    "maze-hard-cpu": "maze",
    "maze-hard-cpu-generated": "maze-generated",
}


def shipped_names() -> list[str]:
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))
