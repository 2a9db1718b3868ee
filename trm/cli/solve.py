"""`trm solve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trm.cli import names
from trm.cli.app import (
    GuessesOption,
    JsonOption,
    NoiseOption,
    PrecisionOption,
    RestartsOption,
    ThreadsOption,
    WeightsOption,
    app,
)
from trm.devices import check_precision
from trm.errors import BadInput


@app.command(
    examples=[
        "trm solve sudoku puzzles.csv --json",
        "trm solve maze maze.txt --gif maze.gif",
        "trm solve sudoku - --seconds 10 < hard.txt",
    ]
)
def solve(
    task_name: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="sudoku, maze, custom, or a task of your own; the latter two with --weights",
            autocompletion=names.any_of(*names.SOLVED),
        ),
    ],
    puzzle: Annotated[
        str,
        typer.Argument(
            metavar="PUZZLE", help="The puzzle itself, a file, or - for standard input", autocompletion=names.paths
        ),
    ],
    weights: WeightsOption = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", help="Supervision steps per start, at most [default: 24; maze 256, custom 64]", min=1),
    ] = None,
    restarts: RestartsOption = None,
    noise: NoiseOption = None,
    guesses: GuessesOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of noise and guesses", min=0)] = 0,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Time limit for all puzzles", min=0.01)] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show the grid after every step")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw one puzzle's trace as PNG, with matplotlib")] = None,
    gif: Annotated[
        Path | None, typer.Option("--gif", help="Animate how the answers came about: a GIF, WebP or PNG, with Pillow")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one line per answer and no grids")] = False,
    as_json: JsonOption = False,
    threads: ThreadsOption = 0,
    precision: PrecisionOption = "auto",
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            help="torch; onnx: an exported file, which loads fast but cannot restart; auto: onnx for the first start "
            "of a few puzzles, torch for the rest",
            autocompletion=names.any_of("auto", "torch", "onnx"),
        ),
    ] = "auto",
) -> None:
    """Solve puzzles. Exit code 0 when all are solved, 1 when not, 2 when one is malformed or can be read in two ways.

    Standard error says how many were read, if there are several, and what was left out, such as comments.

    A Sudoku gets up to 100 further starts of 24 steps, each with noise and two guessed digits; a maze gets up to 3 of
    256 steps.
    """
    from trm.inference.puzzles import read_argument
    from trm.inference.solver import Solver
    from trm.terminal import solve as terminal

    further = {"restarts": restarts, "noise": noise, "guesses": guesses, "seed": seed}
    check_precision(precision, "--precision")
    chosen = terminal.check_backend(backend, further)
    if as_json and trace:
        raise BadInput("--json prints answers without their steps: leave out --trace, or --json")
    boards, remarks = read_argument(puzzle, task_name, weights, exported=chosen == "onnx")
    if plot is not None:
        terminal.check_plot(plot, len(boards), backend)
        chosen = "torch"
    if gif is not None:
        terminal.check_gif(gif, len(boards))
    thinking: dict[str, Any] = {**further, "steps": steps, "seconds": seconds}
    solver = Solver(task_name, weights, backend=chosen, threads=threads, precision=precision, **thinking)
    if solver.remark:
        print(solver.remark, file=sys.stderr)
    terminal.print_read(boards, remarks)
    kept = trace or plot is not None or gif is not None
    answers = terminal.solve_and_show(solver, boards, kept, quiet or as_json)
    solved = terminal.print_json(answers) if as_json else terminal.print_answers(answers, trace, quiet)
    terminal.draw(answers, plot, gif)
    if not solved:
        raise typer.Exit(1)
