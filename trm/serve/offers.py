"""What a server offers: the models it was started with, the sizes they can do, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trm import store
from trm.arc.show import PALETTE
from trm.errors import BadInput
from trm.inference import solver as api
from trm.serve import limits as most
from trm.serve.limits import Limits
from trm.serve.schemas import Served, TaskInfo
from trm.store.stored import Stored
from trm.tasks import family_name, find_family, resizable
from trm.tasks.arc import text as arc_read
from trm.tasks.base import Spec
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import DIGITS, SIZES
from trm.tools.functions import MAX_ARC_DEMONSTRATIONS, MAX_ARC_SECONDS, MAX_ARC_TESTS
from trm.version import __version__

FAMILIES = tuple(resizable())
ANY = Maze(5, 7)  # weights that can do this one can do any


def load_solvers(weights: Sequence[str] = ()) -> dict[str, api.Solver]:
    """A solver for each task that has weights: those named, else those that ship.

    Raises:
        BadInput: no such model, one for a task that is not served, or two for one task.
        TrmError: a model of the hub cannot be downloaded.
    """
    solvers: dict[str, api.Solver] = {}
    for name in weights:
        stored = store.load(name)
        family = family_name(stored.spec.name)
        if family not in FAMILIES:
            raise BadInput(f"model {stored.name!r} is for {stored.spec.name}; {' and '.join(FAMILIES)} are served")
        if family in solvers:
            raise BadInput(f"two models for {family}: {solvers[family].stored.name!r} and {stored.name!r}; name one")
        solvers[family] = api.Solver(family, stored)
    missing = [family for family in FAMILIES if family not in solvers and find_family(family).weights]
    return solvers | {family: api.Solver(family) for family in missing}


def no_weights(family: str) -> str:
    return f"no weights for {family} are loaded; train some and start trm serve with --weights FOLDER"


def offered(solvers: Mapping[str, api.Solver], limits: Limits) -> Served:
    sides = {"sudoku": len(DIGITS), "maze": limits.side}
    tasks = [
        TaskInfo(
            name=family,
            solves=family in solvers,
            why="" if family in solvers else no_weights(family),
            weights=solvers[family].stored.name if family in solvers else None,
            sizes=sizes(family, solvers.get(family)),
            side=sides[family],
        )
        for family in FAMILIES
    ]
    tasks.append(TaskInfo(name="arc", solves=True, why="", weights=None, sizes=[], side=arc_read.SIDE))
    numbers = {
        "steps": most.STEPS,
        "restarts": most.RESTARTS,
        "noise": most.NOISE,
        "guesses": most.GUESSES,
        "seconds": most.SECONDS,
        "arc_seconds": MAX_ARC_SECONDS,
        "arc_demonstrations": MAX_ARC_DEMONSTRATIONS,
        "arc_tests": MAX_ARC_TESTS,
        "body_bytes": limits.body,
        "workers": limits.workers,
        "waiting": limits.waiting,
    }
    return Served(version=__version__, tasks=tasks, limits=numbers, colours=list(PALETTE))


def sizes(family: str, solver: api.Solver | None) -> list[tuple[int, int]]:
    """[rows, columns] that a solver's weights can do; of mazes none, where they can do any."""
    specs = [task.spec for task in SIZES.values()]
    if family == "maze":
        specs = [ANY.spec] if solver is None else [ANY.spec, solver.stored.spec]
    able = [(spec.height, spec.width) for spec in specs if solver is None or fits(solver.stored, spec)]
    return [] if (ANY.height, ANY.width) in able else able


def fits(stored: Stored, spec: Spec) -> bool:
    try:
        store.resize(stored, spec)
    except BadInput:
        return False
    return True
