"""What `trm data` writes and prints: new puzzles, and a table of their difficulty."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.box import HEAVY_HEAD, SIMPLE_HEAD, Box
from rich.table import Table

from trm.errors import BadInput
from trm.files import check_writable, write_text
from trm.tasks import find_family, hub, load_puzzles
from trm.tasks.base import Puzzles, Tokens
from trm.tasks.maze import sets as maze_sets
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.search import SudokuSearch, has_numba
from trm.tasks.sudoku.sets import KINDS, generate, quantiles, read_sudokus
from trm.tasks.sudoku.task import SIZES, Sudoku
from trm.tasks.sudoku.vary import vary
from trm.tasks.text import quoted
from trm.terminal.console import fits, plain_console, progress_bars, report_written
from trm.training.datasets import digest

VARIED = "varied"
PARTS = ("train", "test")  # of a public set
PERCENTILES = (5, 10, 25, 50, 75, 90, 95)
FEWER = (5, 25, 50, 75, 95)  # where there is no room for all of them
HEADING = "source,question,answer,rating"


def make_sudokus(
    out: Path, kind: str, rows: int, seed: int, compare: Path | None = None, like: Path | None = None, size: int = 9
) -> None:
    """Write new Sudokus to a CSV file and print quantiles of their search effort.

    Args:
        out: the file.
        kind: `extreme`, `minimal` or `varied`.
        rows: number of puzzles.
        seed: of the random choices; it decides all of them.
        compare: a CSV file whose puzzles are rated as well and printed below.
        like: with the kind `varied`, a CSV file of the puzzles to vary.
        size: rows of a grid.

    Raises:
        BadInput: options that do not go together, or a file that cannot be read or written.
    """
    task = sudoku_of_size(size, kind)
    if (kind == VARIED) != (like is not None):
        raise BadInput(f"--kind {VARIED} and --like FILE go together")
    check_writable(out)
    other = None if compare is None else read_sudokus(compare, task)
    given = None if like is None else read_sudokus(like, Sudoku())
    report_left_out(other, given)
    if not has_numba():
        print("without numba this may take a hundred times as long: pip install 'trm[generate]'", file=sys.stderr)
    with progress_of(rows) as tick:
        if given is not None:
            puzzles, ratings = vary(given, rows, seed, tick=tick)
        else:
            puzzles, ratings = generate(kind, rows, seed, task, tick=tick)
    write_csv(
        out,
        (
            f"trm-{kind},{task.to_line(question)},{task.to_line(answer)},{rating}"
            for question, answer, rating in zip(puzzles.question, puzzles.answer, ratings.tolist(), strict=True)
        ),
    )
    lines = [rating_line(f"{out.name} ({rows})", ratings)]
    if other is not None and compare is not None:
        solver = SudokuSearch(task, compiled=None)
        theirs = np.array([solver.rating(solver.bits(question)) for question in other.question])
        lines.append(rating_line(f"{compare.name} ({len(other)})", theirs))
    print_quantiles("guesses that a search needs", lines)


def make_benchmark(out: Path, family: str, part: str, rows: int, seed: int, without: Path | None = None) -> None:
    """Write random rows of a benchmark's public set to a CSV file, as they stand there, and print their digest.

    Args:
        out: the file.
        family: `sudoku` or `maze`.
        part: `train` or `test`.
        rows: how many, at most.
        seed: of the choice.
        without: a CSV file whose puzzles are not chosen.

    Raises:
        BadInput: no such part, or a file that cannot be read or written.
        TrmError: the set cannot be downloaded.
    """
    if part not in PARTS:
        raise BadInput(f"--part {quoted(part)}: choose {' or '.join(PARTS)}")
    check_writable(out)
    task = find_family(family).task(family)
    other = None if without is None else load_puzzles(task, str(without))
    report_left_out(other)
    lines = [] if other is None else [task.to_line(question) for question in other.question]
    found = hub.download(task, file=f"{part}.csv", rows=rows, seed=seed, without=lines)
    write_text(out, found.text)
    count = f"{len(found.puzzles):,} rows of {hub.public_set(task)}, {part}.csv"
    print(f"{count}, seed {seed}; digest {digest(found.puzzles)}")
    report_written(out)


def report_left_out(*read: Puzzles | None) -> None:
    """Say on standard error what was left out of files that were read."""
    for puzzles in read:
        for remark in puzzles.remarks if puzzles is not None else ():
            print(remark, file=sys.stderr)


def sudoku_of_size(size: int, kind: str) -> Sudoku:
    """The Sudoku of so many rows. Raises BadInput for a kind or size that cannot be made."""
    if kind not in (*KINDS, VARIED):
        raise BadInput(f"--kind {kind}: choose {', '.join(KINDS)} or {VARIED}")
    sizes = {task.size: task for task in SIZES.values()}
    if size not in sizes or (kind not in ("hard", "minimal") and size != 9):
        raise BadInput(
            f"--size {size}: choose {', '.join(map(str, sizes))}; other than 9 goes with --kind minimal or hard"
        )
    return sizes[size]


class QuantileLine(NamedTuple):
    """A line of the table."""

    label: str
    values: Sequence[str]  # one for each of PERCENTILES; none: a heading


def rating_line(name: str, ratings: npt.NDArray[np.signedinteger]) -> QuantileLine:
    return QuantileLine(name, [f"{value:.0f}" for value in quantiles(ratings.tolist(), PERCENTILES)])


def print_quantiles(head: str, lines: Sequence[QuantileLine]) -> None:
    """Print a table of quantiles, of fewer of them where the terminal is too narrow for all."""
    console = plain_console()
    table = quantile_table(head, lines, PERCENTILES, HEAVY_HEAD)
    console.print(table if fits(table, console) else quantile_table(head, lines, FEWER, SIMPLE_HEAD))


def quantile_table(head: str, lines: Sequence[QuantileLine], percentiles: Sequence[int], frame: Box) -> Table:
    """A line for each of `lines`, and a column for each of `percentiles`."""
    narrow = frame is SIMPLE_HEAD
    table = Table(head, box=frame, padding=(0, 1, 0, 0) if narrow else (0, 1), pad_edge=not narrow)
    for percentile in percentiles:
        table.add_column(f"{percentile} %", no_wrap=True)
    places = [PERCENTILES.index(percentile) for percentile in percentiles]
    for line in lines:
        table.add_row(line.label, *(line.values[place] for place in places if line.values))
    return table


class MazeSet(NamedTuple):
    """Mazes to describe in the table."""

    name: str
    maze: Maze
    question: Tokens  # [rows, cells]


def make_mazes(
    out: Path,
    kind: str,
    rows: int,
    seed: int,
    height: int,
    width: int,
    least: int | None = None,
    compare: Path | None = None,
) -> None:
    """Write new mazes to a CSV file and print quantiles of their statistics.

    Args:
        out: the file.
        kind: `hard` or `perfect`.
        rows: number of mazes.
        seed: of the random choices; it decides all of them.
        height, width: cells of every maze.
        least: moves of the shortest path, at least; None: see `trm.tasks.maze.sets.generate`.
        compare: another file of mazes, described as well.

    Raises:
        BadInput: such mazes cannot be made, or a file cannot be read or written.
    """
    check_writable(out)
    maze = Maze(height, width)
    others: list[MazeSet] = []
    if compare is not None:
        size, theirs = maze_sets.read_mazes(compare)
        report_left_out(theirs)
        others.append(MazeSet(f"{compare.name} ({len(theirs)})", size, theirs.question))
    with progress_of(rows) as tick:
        puzzles = maze_sets.generate(kind, rows, seed, height, width, least, tick=tick)
    write_csv(
        out,
        (
            f"trm-{kind},{maze.to_line(question)},{maze.to_line(answer)},"
            for question, answer in zip(puzzles.question, puzzles.answer, strict=True)
        ),
    )
    sets = [MazeSet(f"{out.name} ({rows})", maze, puzzles.question), *others]
    print_quantiles("of each maze" if others else f"of each maze of {sets[0].name}", [*maze_lines(sets)])


def maze_lines(sets: Sequence[MazeSet]) -> Iterator[QuantileLine]:
    """Quantiles of each statistic: a line, or where there are several sets a heading and a line for each."""
    summaries = [maze_sets.summary(one.maze, one.question, PERCENTILES) for one in sets]
    for statistic in summaries[0]:
        if len(sets) > 1:
            yield QuantileLine(statistic, ())
        for one, summary in zip(sets, summaries, strict=True):
            values = [f"{value:.4g}" for value in summary[statistic]]
            yield QuantileLine(f"  {one.name}" if len(sets) > 1 else statistic, values)


@contextmanager
def progress_of(rows: int) -> Iterator[Callable[[], object]]:
    """A progress bar on standard error. Call what it yields after each row."""
    with progress_bars(hidden=False) as progress:
        bar = progress.add_task("making", total=rows)
        yield lambda: progress.advance(bar)


def write_csv(path: Path, lines: Iterable[str]) -> None:
    write_text(path, "\n".join([HEADING, *lines]) + "\n")
