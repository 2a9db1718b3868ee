"""`trm data`: making puzzles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import app

data_app = typer.Typer(help="Make puzzles.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("sudoku")
def data_sudoku(
    out: Annotated[Path, typer.Argument(help="The CSV to write (source,question,answer,rating).")],
    kind: Annotated[str, typer.Option("--kind", help="extreme (by search effort), minimal or varied.")] = "extreme",
    rows: Annotated[int, typer.Option("--rows", help="How many.", min=1)] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    compare: Annotated[Path | None, typer.Option("--compare", help="Rate this CSV too and print both.")] = None,
    like: Annotated[
        Path | None, typer.Option("--like", help="With --kind varied: the puzzles to vary. They come first.")
    ] = None,
    size: Annotated[int, typer.Option("--size", help="4, 6, 9 or 16; other than 9: minimal ones.")] = 9,
) -> None:
    """Make Sudokus with one solution and print the quantiles of their search effort.

    --kind varied walks from the puzzles of --like to others with other givens, about as hard: for training on few.
    """
    from trm.terminal.make import make_sudokus

    make_sudokus(out, kind, rows, seed, compare, like, size)


@data_app.command("maze")
def data_maze(
    out: Annotated[Path, typer.Argument(help="The CSV to write (source,question,answer,rating).")],
    kind: Annotated[str, typer.Option("--kind", help="hard (as the benchmark's) or perfect (no loops).")] = "hard",
    rows: Annotated[int, typer.Option("--rows", help="How many.", min=1)] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    height: Annotated[int, typer.Option("--height", min=2, max=100)] = 30,
    width: Annotated[int, typer.Option("--width", min=2, max=100)] = 30,
    least: Annotated[int | None, typer.Option("--least", help="Moves from S to G at least.", min=1)] = None,
    compare: Annotated[Path | None, typer.Option("--compare", help="Describe this file too.")] = None,
) -> None:
    """Make mazes with the benchmark's answers and print quantiles of what they are like."""
    from trm.terminal.make import make_mazes

    make_mazes(out, kind, rows, seed, height, width, least, compare)
