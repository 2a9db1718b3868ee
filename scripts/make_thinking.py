"""Draw docs/thinking.gif, with which the README opens: `python scripts/make_thinking.py [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

import trm
from trm.inference import Answer
from trm.tasks import get_task, load_puzzles

PICTURE = Path(__file__).parent.parent / "docs" / "thinking.gif"
SUDOKU, MAZE = 312, 0  # rows of the embedded validation sets, from 0: among the hardest twenty, and any maze


def solved(name: str, row: int) -> Answer:
    """The answer of the default weights to one row, from one start."""
    task = get_task(name)
    question = load_puzzles(task, "embedded", "validation").question[[row]]
    return trm.Solver(name).solve_tokens(task, question, trace=True, steps=64, restarts=0, guesses=0)[0]


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    trm.plot.animation([solved("sudoku", SUDOKU), solved("maze", MAZE)], path)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
