"""`trm data`: making puzzles and showing how hard they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from trm.errors import BadInput
from trm.files import write_text
from trm.tasks.sudoku import Sudoku
from trm.tasks.sudoku_data import KINDS, generate, load_csv, quantiles
from trm.tasks.sudoku_search import Solver

PERCENTILES = (5, 10, 25, 50, 75, 90, 95)


def make_sudokus(out: Path, kind: str, rows: int, seed: int, compare: Path | None) -> None:
    """Write `rows` new 9x9 puzzles of `kind` to the CSV `out`; print quantiles of their search effort.

    With `compare`, another CSV's puzzles are rated too and both are printed. Raises BadInput.
    """
    if kind not in KINDS:
        raise BadInput(f"--kind {kind}: choose {' or '.join(KINDS)}")
    task = Sudoku()
    other = None if compare is None else load_csv(compare)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("making", total=rows)
        puzzles, rating = generate(kind, rows, seed, tick=lambda: progress.advance(bar))
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
