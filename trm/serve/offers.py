"""What a server offers: the models it was started with, the sizes they can solve, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trm import store
from trm.arc.show import PALETTE
from trm.errors import BadInput
from trm.inference.solver import Solver
from trm.serve.limits import MAX_GUESSES, MAX_NOISE, MAX_RESTARTS, MAX_SECONDS, MAX_STEPS, Limits
from trm.serve.schemas import Served, TaskInfo, Value
from trm.store.stored import Stored
from trm.tasks import family_name, find_family, get_task, resizable
from trm.tasks.arc.text import SIDE
from trm.tasks.base import Spec, Task
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import FAMILY, Custom, task_of_run
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import DIGITS, SIZES
from trm.tools.functions import DEFAULT_ARC_SECONDS, MAX_ARC_DEMONSTRATIONS, MAX_ARC_SECONDS, MAX_ARC_TESTS
from trm.tools.weights import short_name
from trm.version import __version__

FAMILIES = tuple(resizable())
ODD_MAZE = Maze(5, 7)  # weights that fit this unusual size fit any


def load_solvers(weights: Sequence[str] = ()) -> dict[str, Solver]:
    """A solver for each task that has weights: the named models, and the default ones for `sudoku` and `maze`.

    A model of any other task is served under the last part of its name: `latin` for `runs/latin`.

    Raises:
        BadInput: no such model, one for a task that is not served, or two of one name.
        TrmError: a model of the hub cannot be downloaded.
    """
    solvers: dict[str, Solver] = {}
    for name in weights:
        stored = store.load(name)
        family = family_name(stored.spec.name)
        if find_family(family).votes:
            raise BadInput(f"model {stored.name!r} is for {stored.spec.name}, whose puzzles are solved without weights")
        served = family if family in FAMILIES else short_name(name, "-") or family
        if served in solvers:
            raise BadInput(f"two models for {served}: {solvers[served].stored.name!r} and {stored.name!r}; name one")
        if served != family and served in (*FAMILIES, "arc"):
            raise BadInput(f"{name!r} is no model for {served}, and would be called so: rename its folder")
        solvers[served] = Solver(family, stored)
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
            kind=family,
            solves=family in solvers,
            why="" if family in solvers else no_weights(family),
            sizes=sizes(family, solvers.get(family)),
            side=sides[family],
            seconds=MAX_SECONDS,
            **(about(solvers[family]) if family in solvers else {"weights": None}),
        )
        for family in FAMILIES
    ]
    tasks += [own_task(name, solver, limits.side) for name, solver in solvers.items() if name not in FAMILIES]
    arc = {"solves": True, "why": "", "weights": None, "sizes": [], "side": SIDE, "seconds": DEFAULT_ARC_SECONDS}
    tasks.append(TaskInfo(name="arc", kind="arc", checkable=False, **arc))
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


def shown_task(solver: Solver) -> Task:
    """The task of a model, with the signs and colours that this model has for it; another one's may be others."""
    run = solver.stored.about.get("run", {})
    if family_name(solver.task) == FAMILY and isinstance(run, dict) and FAMILY in run:
        return task_of_run(run)
    return get_task(solver.task)


def own_task(name: str, solver: Solver, side: int) -> TaskInfo:
    """A task that is known by its model, in sizes up to `side` if it has any."""
    task = shown_task(solver)
    spec, values = task.spec, [grid_value(task, token) for token in range(1, task.spec.vocab)]
    known = task.structure if isinstance(task, Custom) else Structure()
    any_size = known.any_size
    return TaskInfo(
        name=name,
        kind="grid",
        solves=True,
        why="",
        sizes=[] if any_size else [(spec.height, spec.width)],
        side=side if any_size else max(spec.height, spec.width),
        shape=(spec.height, spec.width),
        seconds=MAX_SECONDS,
        checkable=task.checkable,
        values=[
            Value(value=value, text=sign.text, colour=sign.colour)
            for value, sign in zip(values, task.signs, strict=True)
        ],
        blank=values[task.blank - 1] if task.blank else None,
        unit=known.unit if known.layers > 1 else None,
        symbols=values[spec.first_symbol - 1 :],
        **about(solver) | {"weights": name},
    )


def grid_value(task: Task, token: int) -> int | str:
    """A token as a grid has it."""
    value: int | str = task.to_grid(np.full(task.spec.cells, token, np.uint8)).flat[0].item()
    return value


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
