"""`trm solve`: models at work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import GuessesOption, NoiseOption, RestartsOption, ThreadsOption, app, set_threads

WeightsOption = Annotated[
    str | None, typer.Option("--weights", help="A shipped model's name, or a run's folder; else what ships.")
]


@app.command()
def solve(
    task_name: Annotated[str, typer.Argument(metavar="TASK", help="sudoku, maze, or custom with --weights")],
    puzzle: Annotated[str, typer.Argument(help="The puzzle itself, a file, or - for standard input.")],
    weights: WeightsOption = None,
    steps: Annotated[int | None, typer.Option("--steps", help="From one start, at most.", min=1)] = None,
    restarts: RestartsOption = None,
    noise: NoiseOption = None,
    guesses: GuessesOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Of noise and guesses.", min=0)] = 0,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Time limit for all puzzles.", min=0.01)] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show the grid after every step.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw one puzzle's trace, a PNG; needs matplotlib.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line an answer and nothing else.")] = False,
    threads: ThreadsOption = 0,
    backend: Annotated[
        str, typer.Option("--backend", help="torch; onnx: an exported file, quick to start; auto: that first.")
    ] = "auto",
) -> None:
    """Solve puzzles. Exit code 0 when all are solved, 1 when not, 2 when one is malformed.

    A Sudoku that is not solved in 32 steps gets up to 100 further starts, each with two digits guessed and some noise,
    unless --restarts says otherwise. A maze gets up to 256 steps and 3 further starts.
    """
    from trm.inference.defaults import default_weights, usual_thinking
    from trm.inference.puzzles import read_question
    from trm.terminal.solve import check_backend, check_plot, print_answers, quick_answers, solve_and_print

    further = {"restarts": restarts, "noise": noise, "guesses": guesses}
    check_backend(backend, task_name, {**further, "seed": seed})
    task, question = read_question(puzzle, task_name, weights)
    name = weights or default_weights(task_name)
    settings = usual_thinking(task_name, {"steps": steps, **further})
    answers = None
    if plot is not None:
        check_plot(plot, question, backend)
    elif backend == "onnx":
        from trm.inference import onnx as onnx_solve

        model = onnx_solve.load(name, threads)
        answers = onnx_solve.solve(model, task, question, settings["steps"], seconds=seconds, trace=trace)
    elif backend == "auto" and seconds is None:
        answers = quick_answers(task, question, name, settings["steps"], threads, trace)
    if answers is not None:
        solved = print_answers(task, question, answers, trace, quiet)
    else:
        set_threads(threads)
        from trm import store
        from trm.inference.loop import Thinking, Until
        from trm.models.turns import unasked
        from trm.tasks.base import checkable

        until: Until = "valid" if checkable(task) else "sure"
        stored = store.load(name, task.spec)
        settings = usual_thinking(task_name, {"steps": steps, **further}, stored.model.config.round)
        if note := unasked(stored.model.config, settings["steps"]):
            print(note, file=sys.stderr)
        thinking = Thinking(**settings, seed=seed, seconds=seconds, until=until)
        solved = solve_and_print(task, question, stored, thinking, trace, quiet, plot)
    if not solved:
        raise typer.Exit(1)
