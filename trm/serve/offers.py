"""What a server offers: the models it was started with, the sizes they can solve, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trm import store
from trm.arc.show import PALETTE
from trm.errors import BadInput
from trm.inference.solver import Solver
from trm.serve.limits import MAX_GUESSES, MAX_NOISE, MAX_RESTARTS, MAX_SECONDS, MAX_STEPS, Limits
from trm.serve.schemas import Served, TaskInfo
from trm.store.stored import Stored
from trm.tasks import family_name, find_family, resizable
from trm.tasks.arc.text import SIDE
from trm.tasks.base import Spec
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import DIGITS, SIZES
from trm.tools.functions import DEFAULT_ARC_SECONDS, MAX_ARC_DEMONSTRATIONS, MAX_ARC_SECONDS, MAX_ARC_TESTS
from trm.version import __version__

FAMILIES = tuple(resizable())
ODD_MAZE = Maze(5, 7)  # weights that fit this unusual size fit any


def load_solvers(weights: Sequence[str] = ()) -> dict[str, Solver]:
    """A solver for each task that has weights: the named models, and the default ones for the other tasks.

    Raises:
        BadInput: no such model, one for a task that is not served, or two for one task.
        TrmError: a model of the hub cannot be downloaded.
    """
    solvers: dict[str, Solver] = {}
    for name in weights:
        stored = store.load(name)
        family = family_name(stored.spec.name)
        if family not in FAMILIES:
            raise BadInput(f"model {stored.name!r} is for {stored.spec.name}; only {' and '.join(FAMILIES)} are served")
        if family in solvers:
            raise BadInput(f"two models for {family}: {solvers[family].stored.name!r} and {stored.name!r}; name one")
        solvers[family] = Solver(family, stored)
    missing = [family for family in FAMILIES if family not in solvers and find_family(family).weights]
    return solvers | {family: Solver(family) for family in missing}


def no_weights(family: str) -> str:
    return f"no weights for {family} are loaded; train some and start trm serve with --weights FOLDER"


def offer(solvers: Mapping[str, Solver], limits: Limits) -> Served:
    """The tasks, weights and limits of a server."""
    sides = {"sudoku": len(DIGITS), "maze": limits.side}
    tasks = [
        TaskInfo(
            name=family,
            solves=family in solvers,
            why="" if family in solvers else no_weights(family),
            sizes=sizes(family, solvers.get(family)),
            side=sides[family],
            seconds=MAX_SECONDS,
            **(about(solvers[family]) if family in solvers else {"weights": None}),
        )
        for family in FAMILIES
    ]
    arc = TaskInfo(name="arc", solves=True, why="", weights=None, sizes=[], side=SIDE, seconds=DEFAULT_ARC_SECONDS)
    tasks.append(arc)
    numbers = {
        "steps": MAX_STEPS,
        "restarts": MAX_RESTARTS,
        "noise": MAX_NOISE,
        "guesses": MAX_GUESSES,
        "seconds": MAX_SECONDS,
        "arc_seconds": MAX_ARC_SECONDS,
        "arc_demonstrations": MAX_ARC_DEMONSTRATIONS,
        "arc_tests": MAX_ARC_TESTS,
        "body_bytes": limits.body,
        "workers": limits.workers,
        "waiting": limits.waiting,
    }
    return Served(version=__version__, tasks=tasks, limits=numbers, colours=list(PALETTE))


def about(solver: Solver) -> dict[str, Any]:
    """What is said of a solver's model."""
    weights = list(solver.stored.model.parameters())
    return {
        "weights": solver.stored.name,
        "starts": solver.thinking.restarts + 1,
        "parameters": sum(one.numel() for one in weights),
        "bytes": sum(one.numel() * one.element_size() for one in weights),
    }


def sizes(family: str, solver: Solver | None) -> list[tuple[int, int]]:
    """[rows, columns] that a solver's weights fit; empty if they fit mazes of any size.

    Weights that learned Sudokus of one size solve smaller ones, but no larger ones.
    """
    specs = [task.spec for task in SIZES.values() if solver is None or task.size <= solver.stored.spec.height]
    if family == "maze":
        specs = [ODD_MAZE.spec] if solver is None else [ODD_MAZE.spec, solver.stored.spec]
    able = [(spec.height, spec.width) for spec in specs if solver is None or fits(solver.stored, spec)]
    return [] if (ODD_MAZE.height, ODD_MAZE.width) in able else able


def fits(stored: Stored, spec: Spec) -> bool:
    try:
        store.resize(stored, spec)
    except BadInput:
        return False
    return True
