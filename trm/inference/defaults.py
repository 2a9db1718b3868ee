"""What is used for a task unless the user says otherwise: weights, and how long to think."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trm.errors import BadInput
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.sudoku.task import Sudoku, sudoku_for

SIZES: dict[str, Callable[[str], Sudoku | Maze]] = {"sudoku": sudoku_for, "maze": maze_for}


# The best that ship, for `trm solve` and `trm.Solver`.
DEFAULT_WEIGHTS = {"sudoku": "sudoku", "maze": "maze"}


USUAL_STEPS = 64  # of a task that is not among the following


# Settings of `trm.inference.Thinking` with which they solve most of what they can (docs/notes/sudoku.md).
USUAL_THINKING: dict[str, dict[str, Any]] = {
    "sudoku": {"steps": 32, "restarts": 100, "guesses": 2, "noise": 0.5},
    "maze": {"steps": 256, "restarts": 3, "noise": 0.5},  # at 5 moves a step, there and back: paths of some 600
}


def default_weights(family: str) -> str:
    """The weights that are used for a task unless others are named. Raises BadInput where none ship."""
    weights = DEFAULT_WEIGHTS.get(family.split("-")[0])
    if weights is None:
        raise BadInput(f"no weights for {family} ship with this version; train some and name their folder as weights")
    return weights


def usual_thinking(family: str, given: dict[str, Any], least: int = 1) -> dict[str, Any]:
    """A task's settings of `Thinking`, of `least` steps or more; those that are `given` (not None) take precedence."""
    chosen = {name: value for name, value in given.items() if value is not None}
    usual = USUAL_THINKING.get(family.split("-")[0], {"steps": USUAL_STEPS})
    return {**usual, "steps": max(usual["steps"], least), **chosen}
