"""`trm data`: making puzzles and showing what they are like."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from trm.errors import BadInput
from trm.files import check_writable, write_text
from trm.tasks.base import Tokens
from trm.tasks.maze import sets as maze_data
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.search import Solver, has_numba
from trm.tasks.sudoku.sets import KINDS, generate, quantiles, read_sudokus
from trm.tasks.sudoku.task import SIZES
from trm.tasks.sudoku.vary import vary

VARIED = "varied"
PERCENTILES = (5, 10, 25, 50, 75, 90, 95)


def make_sudokus(
    out: Path, kind: str, rows: int, seed: int, compare: Path | None, like: Path | None = None, size: int = 9
) -> None:
    """Write `rows` new puzzles of `kind` to the CSV `out`; print quantiles of their search effort.

    With `compare`, another CSV's puzzles are rated too and both are printed. Without numba, says that it is slow.
    Raises BadInput.
    """
    if kind not in (*KINDS, VARIED):
        raise BadInput(f"--kind {kind}: choose {', '.join(KINDS)} or {VARIED}")
    if (kind == VARIED) != (like is not None):
        raise BadInput(f"--kind {VARIED} and --like FILE go together")
    sizes = {task.size: task for task in SIZES.values()}
    if size not in sizes or (kind != "minimal" and size != 9):
        raise BadInput(f"--size {size}: choose {', '.join(map(str, sizes))}; other than 9 goes with --kind minimal")
    check_writable(out)
    task = sizes[size]
    other = None if compare is None else read_sudokus(compare, task)
    given = None if like is None else read_sudokus(like, SIZES[81])
    if not has_numba():
        print("without numba this may take a hundred times as long: pip install 'trm[generate]'", file=sys.stderr)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("making", total=rows)
        if given is not None:
            puzzles, rating = vary(given, rows, seed, tick=lambda: progress.advance(bar))
        else:
            puzzles, rating = generate(kind, rows, seed, task, tick=lambda: progress.advance(bar))
    lines = ["source,question,answer,rating"]
    for question, answer, effort in zip(puzzles.question, puzzles.answer, rating.tolist(), strict=True):
        lines.append(f"trm-{kind},{task.to_line(question)},{task.to_line(answer)},{effort}")
    write_text(out, "\n".join(lines) + "\n")
    table = Table("guesses that a search needs", *(f"{share} %" for share in PERCENTILES))
    add(table, f"{out.name} ({rows})", rating)
    if other is not None and compare is not None:
        solver = Solver(task, compiled=None)
        theirs = np.array([solver.rating(solver.bits(question)) for question in other.question])
        add(table, f"{compare.name} ({len(other)})", theirs)
    Console().print(table)


def add(table: Table, name: str, rating: npt.NDArray[np.signedinteger]) -> None:
    table.add_row(name, *(f"{value:.0f}" for value in quantiles(rating.tolist(), PERCENTILES)))


def make_mazes(
    out: Path, kind: str, rows: int, seed: int, height: int, width: int, least: int | None, compare: Path | None
) -> None:
    """Write `rows` new mazes of `kind` to the CSV `out`; print quantiles of what they are like.

    With `compare`, those of another file's mazes are printed too. Raises BadInput.
    """
    check_writable(out)
    maze = Maze(height, width)
    sets: list[tuple[str, Maze, Tokens]] = []
    if compare is not None:
        size, theirs = maze_data.read_mazes(compare)
        sets.append((f"{compare.name} ({len(theirs)})", size, theirs.question))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("making", total=rows)
        puzzles = maze_data.generate(kind, rows, seed, height, width, least, tick=lambda: progress.advance(bar))
    lines = ["source,question,answer,rating"]
    for question, answer in zip(puzzles.question, puzzles.answer, strict=True):
        lines.append(f"trm-{kind},{maze.to_line(question)},{maze.to_line(answer)},")
    write_text(out, "\n".join(lines) + "\n")
    sets.insert(0, (f"{out.name} ({rows})", maze, puzzles.question))
    found = [(name, maze_data.summary(size, questions, PERCENTILES)) for name, size, questions in sets]
    table = Table("of each maze", "set", *(f"{share} %" for share in PERCENTILES))
    for what in found[0][1]:
        for name, values in found:
            table.add_row(what, name, *(f"{value:.4g}" for value in values[what]))
    Console().print(table)
