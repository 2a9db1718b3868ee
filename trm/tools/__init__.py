"""Tools for language models: functions that solve puzzles and check answers, with typed results.

They are imported when they are first used: `trm mcp --help` needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late

if TYPE_CHECKING:
    from trm.tools.calls import TOOLS, call, schemas
    from trm.tools.functions import check_answer, solve_arc, solve_maze, solve_sudoku
    from trm.tools.results import ArcSolution, Progress, Result, Solution, Stopped
    from trm.tools.weights import use_weights

__all__ = [
    "TOOLS",
    "ArcSolution",
    "Progress",
    "Result",
    "Solution",
    "Stopped",
    "call",
    "check_answer",
    "schemas",
    "solve_arc",
    "solve_maze",
    "solve_sudoku",
    "use_weights",
]

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "calls": "TOOLS call schemas",
            "functions": "check_answer solve_arc solve_maze solve_sudoku",
            "results": "ArcSolution Progress Result Solution Stopped",
            "weights": "use_weights",
        },
    )
