"""Sudoku of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late

if TYPE_CHECKING:
    from trm.tasks.sudoku.search import TooHard, count_solutions
    from trm.tasks.sudoku.sets import fingerprint, generate, read_sudokus
    from trm.tasks.sudoku.task import SIZES, Sudoku, Symmetry, sudoku_for

__all__ = [
    "SIZES",
    "Sudoku",
    "Symmetry",
    "TooHard",
    "count_solutions",
    "fingerprint",
    "generate",
    "read_sudokus",
    "sudoku_for",
]

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "search": "TooHard count_solutions",
            "sets": "fingerprint generate read_sudokus",
            "task": "SIZES Sudoku Symmetry sudoku_for",
        },
    )
