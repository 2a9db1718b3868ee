"""The models that ship with the package, their facts, and their former names. Imports no torch."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from trm.errors import BadInput
from trm.remarks import report_rename

TASKS = ("sudoku", "maze")  # names of models that are names of tasks too
CONFIG, WEIGHTS = "config.json", "model.safetensors"  # in a model's folder
SHIPPED = Path(__file__).parents[1] / "weights"
# Former names of models, and of the presets that train them.
RENAMED = {
    "sudoku-extreme-cpu-varied": "sudoku",
    "sudoku-extreme-cpu-search": "sudoku-search",
    "sudoku-extreme-cpu-turns": "sudoku-search-x4",
    "maze-hard-cpu": "maze",
    "maze-hard-cpu-generated": "maze-generated",
}
# Models that shipped once, and the last commit that has them.
REMOVED = {
    "sudoku-extreme-cpu": "e16795c",
    "sudoku-extreme-cpu-wide": "e16795c",
    "sudoku-extreme-gpu-varied": "e16795c",
    "sudoku-extreme-cpu-pair": "efaeeb5",
    "sudoku-search-x2": "efaeeb5",
}


def shipped_names() -> list[str]:
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


def current_name(name: str) -> str:
    """The present name of a shipped model.

    The first use of a former name in a process prints one line on standard error. A name that is also that of a file or
    folder is returned as it is, since those come first.

    Raises:
        BadInput: the model no longer ships.
    """
    if Path(name).exists():
        return name
    if name in REMOVED:
        raise BadInput(f"model {name!r} no longer ships; use sudoku, or get it from commit {REMOVED[name]}")
    if name in RENAMED:
        report_renamed(name)
    return RENAMED.get(name, name)


def check_is_task(name: str) -> None:
    """Raise BadInput for the name of a model that ships, where a task is wanted."""
    if name in shipped_names() and name not in TASKS:
        task = name.partition("-")[0]
        raise BadInput(
            f"{name!r} is a model, not a task: trm solve {task} --weights {name}, or in Python "
            f'trm.Solver("{task}", weights="{name}")'
        )


@cache
def report_renamed(name: str) -> None:
    report_rename(f"model {name}", RENAMED[name])
