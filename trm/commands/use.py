"""`trm solve`: models at work."""

from __future__ import annotations

from typing import Annotated

import typer

from trm.commands.base import NoiseOption, RestartsOption, ThreadsOption, app, set_threads
from trm.errors import BadInput

DEFAULT_WEIGHTS = {"sudoku": "sudoku-extreme-cpu"}  # for `trm solve`
WeightsOption = Annotated[
    str | None, typer.Option("--weights", help="A shipped model's name, or a run's folder [default: what ships].")
]


@app.command()
def solve(
    task_name: Annotated[str, typer.Argument(metavar="TASK", help="sudoku or maze")],
    puzzle: Annotated[str, typer.Argument(help="The puzzle itself, a file, or - for standard input.")],
    weights: WeightsOption = None,
    steps: Annotated[int, typer.Option("--steps", help="From one start, at most.", min=1)] = 64,
    restarts: RestartsOption = 0,
    noise: NoiseOption = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the noise.", min=0)] = 0,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Time limit for all puzzles.", min=0.01)] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show the grid after every step.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line an answer and nothing else.")] = False,
    threads: ThreadsOption = 0,
) -> None:
    """Solve puzzles. Exit code 0 when all are solved, 1 when not, 2 when one is malformed."""
    from trm.solving import read_question, solve_and_print

    task, question = read_question(puzzle, task_name)
    if weights is None and task_name not in DEFAULT_WEIGHTS:
        raise BadInput(f"no weights for {task_name} ship with this version; train some and give --weights FOLDER")
    set_threads(threads)
    from trm.solver import Thinking

    thinking = Thinking(steps, restarts, noise, seed, seconds)
    if not solve_and_print(task, question, weights or DEFAULT_WEIGHTS[task_name], thinking, trace, quiet):
        raise typer.Exit(1)
