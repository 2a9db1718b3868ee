"""Mazes: the shortest path from S to G."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late

if TYPE_CHECKING:
    from trm.tasks.maze.sets import MazeFile, fingerprint, generate, read_mazes
    from trm.tasks.maze.task import Maze, maze_for
    from trm.tasks.maze.training import MazeSettings

__all__ = [
    "Maze",
    "MazeFile",
    "MazeSettings",
    "fingerprint",
    "generate",
    "maze_for",
    "read_mazes",
]

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "sets": "MazeFile fingerprint generate read_mazes",
            "task": "Maze maze_for",
            "training": "MazeSettings",
        },
    )
