"""`trm data`: new puzzles, and rows of the benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli import names
from trm.cli.app import App, Group, app

data_app = App(cls=Group, help="Puzzles to train on or to test with", no_args_is_help=True)
app.add_typer(data_app, name="data")

OutArgument = Annotated[
    Path, typer.Argument(metavar="OUT", help="CSV file to write, with the columns source, question, answer and rating")
]
RowsOption = Annotated[int, typer.Option("--rows", help="Number of puzzles", min=1)]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of all random choices", min=0)]


@data_app.command(
    "sudoku",
    examples=[
        "trm data sudoku mine.csv --kind minimal --rows 100",
        "trm data sudoku more.csv --kind varied --like train.csv --rows 1000",
    ],
)
def data_sudoku(
    out: OutArgument,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="extreme (as hard as Sudoku-Extreme), minimal (random, without superfluous digits), hard (minimal, "
            "and not solvable without guessing) or varied (see --like)",
            autocompletion=names.any_of("extreme", "hard", "minimal", "varied"),
        ),
    ] = "extreme",
    rows: RowsOption = 100,
    seed: SeedOption = 0,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="CSV file of other puzzles, rated and printed as well")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option("--like", help="With --kind varied: CSV file of the puzzles to vary; they come first in OUT"),
    ] = None,
    size: Annotated[
        int,
        typer.Option("--size", help="Rows of a grid: 4, 6, 9 or 16; sizes other than 9 need --kind minimal or hard"),
    ] = 9,
) -> None:
    """Make Sudokus with one solution each, and print quantiles of their search effort.

    The effort is the number of guesses that a backtracking search needs. --kind varied turns the puzzles of --like into
    others with different digits given and about the same effort, so that a few puzzles are enough to train on.
    """
    from trm.terminal.data import make_sudokus

    make_sudokus(out, kind, rows, seed, compare=compare, like=like, size=size)


@data_app.command("maze", examples=["trm data maze mazes.csv --rows 100 --height 20 --width 20"])
def data_maze(
    out: OutArgument,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="hard (like the Maze-Hard benchmark) or perfect (corridors without loops)",
            autocompletion=names.any_of("hard", "perfect"),
        ),
    ] = "hard",
    rows: RowsOption = 100,
    seed: SeedOption = 0,
    height: Annotated[int, typer.Option("--height", help="Rows of each maze", min=2, max=100)] = 30,
    width: Annotated[int, typer.Option("--width", help="Columns of each maze", min=2, max=100)] = 30,
    least: Annotated[
        int | None,
        typer.Option(
            "--least",
            help="Fewest moves of a shortest path from S to G [default: hard: 109 at 30x30, as in the benchmark, and "
            "about as rare at other sizes; perfect: half the longest distance from S]",
            min=1,
        ),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="File of other mazes, described and printed as well")
    ] = None,
) -> None:
    """Make mazes with answers like the benchmark's, and print quantiles of their statistics."""
    from trm.terminal.data import make_mazes

    make_mazes(out, kind, rows, seed, height, width, least=least, compare=compare)


PartOption = Annotated[str, typer.Option("--part", help="train or test", autocompletion=names.any_of("train", "test"))]
WithoutOption = Annotated[
    Path | None, typer.Option("--without", help="CSV file of puzzles that are not to be chosen again")
]


@data_app.command(
    "sudoku-extreme",
    examples=[
        "trm data sudoku-extreme train.csv --rows 1000 --seed 0",
        "trm data sudoku-extreme validation.csv --rows 1000 --seed 1 --without train.csv",
    ],
)
def data_sudoku_extreme(
    out: OutArgument,
    rows: RowsOption = 1000,
    seed: SeedOption = 0,
    part: PartOption = "train",
    without: WithoutOption = None,
) -> None:
    """Write random rows of the benchmark, from the Hugging Face hub, and print their digest.

    The whole file is downloaded once, some 700 MB for the training part; this needs pip install 'trm[hub]'. The same
    part, rows and seed give the same file.
    """
    from trm.terminal.data import make_benchmark

    make_benchmark(out, "sudoku", part, rows, seed, without)


@data_app.command("maze-hard", examples=["trm data maze-hard train.csv", "trm data maze-hard test.csv --part test"])
def data_maze_hard(
    out: OutArgument,
    rows: RowsOption = 1000,
    seed: SeedOption = 0,
    part: PartOption = "train",
    without: WithoutOption = None,
) -> None:
    """Write the benchmark's mazes, from the Hugging Face hub, and print their digest.

    Each part has 1,000 mazes; with fewer --rows, random ones are chosen. This needs pip install 'trm[hub]'.
    """
    from trm.terminal.data import make_benchmark

    make_benchmark(out, "maze", part, rows, seed, without)
