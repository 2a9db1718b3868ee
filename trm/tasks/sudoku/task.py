"""Sudoku at any size: symmetries, checking and drawing; `trm.tasks.sudoku.text` reads them.

Tokens: 0 not given (unscored), 1 blank, digit d is d + 1. Cells are numbered row by row from 0; messages call the first
one r1c1. A grid of `size` rows has boxes of `box_height` rows and `box_width` columns, size = box_height * box_width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.tasks.base import NO_SOLUTION, Bools, Fault, Puzzles, Spec, Task, Tokens, from_rows
from trm.tasks.sudoku.text import BLANK, BLANKS, DIGITS, FIRST, FRAME, Reader, cells_of

__all__ = ["BLANK", "BLANKS", "DIGITS", "FIRST", "FRAME", "SIZES", "Order", "Sudoku", "Symmetry", "sudoku_for"]

Order = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Symmetry:
    """A permutation of cells and digits that turns Sudokus into Sudokus: new[i] = symbols[old[cells[i]]]."""

    cells: Order  # [cells]
    symbols: Tokens  # [vocab]; tokens 0 and 1 stay as they are

    def apply(self, tokens: Tokens) -> Tokens:
        """tokens [..., cells] -> [..., cells]"""
        return self.symbols[tokens[..., self.cells]]

    def inverse(self) -> Symmetry:
        return Symmetry(np.argsort(self.cells), np.argsort(self.symbols).astype(np.uint8))


@dataclass(frozen=True)
class Sudoku(Task):
    """Sudokus of one size: a task (`trm.tasks.base.Task`). Boxes of 2x2, 2x3, 3x3, 4x4 give sizes 4, 6, 9, 16."""

    box_height: int = 3
    box_width: int = 3

    def __post_init__(self) -> None:
        if min(self.box_height, self.box_width) < 1 or not 2 <= self.size <= len(DIGITS):
            raise BadInput(f"boxes of {self.box_height}x{self.box_width} cells are not supported (at most 16 digits)")

    @property
    def size(self) -> int:
        return self.box_height * self.box_width

    @property
    def cells(self) -> int:
        return self.size**2

    @cached_property
    def spec(self) -> Spec:
        grid, n = np.arange(self.cells).reshape(self.size, self.size), self.size
        boxes = grid.reshape(n // self.box_height, self.box_height, n // self.box_width, self.box_width)
        groups = [np.concatenate([grid, grid.T]), boxes.transpose(0, 2, 1, 3).reshape(n, n)]
        kinds = tuple(tuple(tuple(map(int, group)) for group in kind) for kind in groups)
        name = "sudoku" if n == 9 else f"sudoku-{n}x{n}"
        return Spec(name, n, n, vocab=n + FIRST, first_symbol=FIRST, groups=kinds)

    @cached_property
    def groups(self) -> Order:
        """[3 * size, size] cell numbers: rows, columns, boxes."""
        return np.array([group for kind in self.spec.groups for group in kind])

    # Reading

    def read(self, text: str) -> Puzzles:
        """Every puzzle in `text`: one a line, or grids (drawn or plain), or CSV with a heading, or one of the forms in
        `trm.tasks.sudoku.forms`.

        Only a CSV, and a line with a puzzle and its solution, hold answers; elsewhere they are all 0. Lines that begin
        with # are comments; `remarks` count what was left out. Raises BadInput with one line that names the place, and
        TwoReadings where a text can be read in two ways.
        """
        reading = Reader(self.size).read(text)
        rows, puzzles = reading.rows, from_rows(reading.rows, reading.left_out)
        puzzles = replace(puzzles, remarks=(*reading.remarks, *puzzles.remarks))
        starts = [row.line for row in rows]
        self._check_givens(puzzles.question, starts)
        self._check_answers(puzzles, starts)
        return puzzles

    def read_cells(self, text: str) -> Tokens:
        """Tokens [rows, cells] of grids as `read` takes them, but not CSV. Their digits may clash. Raises BadInput for
        what is no grid.
        """
        return Reader(self.size).read_cells(text)

    def _check_givens(self, question: Tokens, starts: Sequence[int]) -> None:
        """Raises BadInput for the first of the puzzles [rows, cells] that repeats a digit; row i begins in line
        `starts[i]`.
        """
        seen = np.sort(question[:, self.groups], axis=2)
        bad = ((seen[..., 1:] == seen[..., :-1]) & (seen[..., 1:] >= FIRST)).any((1, 2))
        if bad.any():
            row = int(bad.argmax())
            raise BadInput(f"puzzle {row + 1} (line {starts[row]}): {self.clash(question[row])}")

    def _check_answers(self, puzzles: Puzzles, starts: Sequence[int]) -> None:
        """Raises BadInput for the first answer that is given but is no solution of its question."""
        given = np.flatnonzero(puzzles.answer.any(1))
        bad = given[~self.valid(puzzles.question[given], puzzles.answer[given])]
        if not len(bad):
            return
        row = int(bad[0])
        what = self.fault(puzzles.question[row], puzzles.answer[row])
        raise BadInput(f"puzzle {row + 1} (line {starts[row]}), column answer: {what}")

    # Checking

    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows [rows, cells] hold every digit once in every row, column and box, and keep every given."""
        n = self.size
        kept: Bools = ((question < FIRST) | (question == answer)).all(1)
        in_range = (answer >= FIRST) & (answer < FIRST + n)
        # A bit for each digit: a group is right exactly if the bits of its `size` cells make up the full mask.
        bits = np.where(in_range, np.uint32(1) << (np.where(in_range, answer, FIRST) - np.uint32(FIRST)), np.uint32(0))
        grid = bits.reshape(-1, n // self.box_height, self.box_height, n // self.box_width, self.box_width)
        full = np.uint32((1 << n) - 1)
        for axes in ((3, 4), (1, 2), (2, 4)):
            kept &= (np.bitwise_or.reduce(grid, axis=axes) == full).all((1, 2))
        return kept

    def fault(self, question: Tokens, answer: Tokens) -> str | None:
        """What is wrong with an answer [cells], in words; None if it is valid."""
        if (answer < FIRST).any():
            return f"{self.cell_name(int((answer < FIRST).argmax()))} is blank"
        if (fault := self.clash(answer)) is not None:
            return fault
        changed = (question >= FIRST) & (question != answer)
        if not changed.any():
            return None
        cell = int(changed.argmax())
        given, found = self.to_line(question)[cell], self.to_line(answer)[cell]
        return f"{self.cell_name(cell)} is {found} where the question gives {given}"

    def clash(self, tokens: Tokens) -> str | None:
        """Which two equal digits of [cells] share a row, column or box, in words; None if no two do."""
        for number, group in enumerate(self.groups.tolist()):
            seen: dict[int, int] = {}
            for cell in group:
                token = int(tokens[cell])
                if token >= FIRST and token in seen:
                    kind = ("row", "column", "box")[number // self.size]
                    names = f"{self.cell_name(seen[token])} and {self.cell_name(cell)}"
                    return f"two {DIGITS[token - FIRST]}s in {kind} {number % self.size + 1}: {names}"
                seen[token] = cell
        return None

    def faults(self, question: Tokens, answer: Tokens) -> list[Fault]:
        """The cells of an answer [cells] that break the rules; none if it is valid."""
        given = np.flatnonzero((question >= FIRST) & (question != answer)).tolist()
        found = [Fault(cell, f"{DIGITS[question[cell] - FIRST]} was given here") for cell in given]
        found += [Fault(cell, "no digit") for cell in np.flatnonzero(answer < FIRST).tolist()]
        return found + self.clashes(answer)

    def clashes(self, tokens: Tokens) -> list[Fault]:
        """The cells of [cells] whose digit occurs again in their row, column or box."""
        where: dict[int, list[str]] = {}
        for number, group in enumerate(self.groups.tolist()):
            count = Counter(tokens[group].tolist())
            for cell in group:
                if tokens[cell] >= FIRST and count[int(tokens[cell])] > 1:
                    place = f"{('row', 'column', 'box')[number // self.size]} {number % self.size + 1}"
                    where.setdefault(cell, []).append(place)
        return [
            Fault(cell, f"{DIGITS[tokens[cell] - FIRST]} occurs more than once in {' and '.join(places)}")
            for cell, places in sorted(where.items())
        ]

    def problem(self, question: Tokens, max_nodes: int | None = None) -> str | None:
        """Why a question [cells] does not have exactly one solution, in words. None if it has, or if a search of at
        most `max_nodes` guesses does not tell.
        """
        from trm.tasks.sudoku.search import MAX_NODES, TooHard, count_solutions

        try:
            found = count_solutions(question, self, limit=2, max_nodes=max_nodes or MAX_NODES)
        except TooHard:
            return None
        return {0: NO_SOLUTION, 2: "it has more than one solution"}.get(found.solutions)

    # Symmetries

    def random_symmetry(self, rng: np.random.Generator) -> Symmetry:
        """A uniform random symmetry. Digits, bands, rows of a band, stacks and columns of a stack are permuted; where
        boxes are square, half of the symmetries transpose too.
        """

        def lines(group: int) -> Order:
            blocks = rng.permutation(self.size // group)
            return np.concatenate([block * group + rng.permutation(group) for block in blocks])

        grid = np.arange(self.cells).reshape(self.size, self.size)
        grid = grid[lines(self.box_height)][:, lines(self.box_width)]
        if self.box_height == self.box_width and rng.integers(2):
            grid = grid.T
        symbols = np.concatenate([[0, BLANK], FIRST + rng.permutation(self.size)]).astype(np.uint8)
        return Symmetry(grid.reshape(-1), symbols)

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """The image of both, [cells] each, under one random symmetry."""
        symmetry = self.random_symmetry(rng)
        return symmetry.apply(question), symmetry.apply(answer)

    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """The question [cells] with round(share * blanks) random blanks filled in from the answer; 0 <= share <= 1."""
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, not {share}")
        hidden = np.flatnonzero((question == BLANK) & (answer >= FIRST))
        shown = rng.permutation(hidden)[: round(share * len(hidden))]
        easier: Tokens = question.copy()
        easier[shown] = answer[shown]
        return easier

    # Showing

    @property
    def box(self) -> tuple[int, int]:
        return self.box_height, self.box_width

    def instructions(self, symbols: str) -> str:
        return (
            f"Solve this Sudoku of {self.size} rows and {self.size} columns. Fill in the empty cells, written as '.', "
            f"so that every row, every column and every box holds each of the symbols {' '.join(symbols[FIRST:])} "
            f"exactly once. The boxes are {self.box_height} rows high and {self.box_width} columns wide. Given symbols "
            "stay as they are."
        )

    def cell_name(self, cell: int) -> str:
        """The cell as messages name it: 'r2c8' for cell 16 of a 9x9."""
        return self.spec.cell_name(cell)

    def to_line(self, tokens: Tokens) -> str:
        """Tokens [cells] in the usual form of one line, '.' for a blank; `read` takes it back."""
        return "".join("." if token < FIRST else DIGITS[token - FIRST] for token in tokens.tolist())

    def to_grid(self, tokens: Tokens) -> Order:
        """Tokens [cells] as digits [size, size], 0 for a blank; `from_grid` takes it back."""
        return np.maximum(tokens.astype(np.int64) - BLANK, 0).reshape(self.size, self.size)

    def from_grid(self, grid: npt.NDArray[np.integer]) -> Tokens:
        """The tokens [cells] of digits [size, size], 0 for a blank. Raises BadInput that names the cell."""
        if grid.shape != (self.size, self.size):
            raise BadInput(f"expected a grid of {self.size}x{self.size} digits, not one of shape {grid.shape}")
        wrong = ((grid < 0) | (grid > self.size)).reshape(-1)
        if wrong.any():
            cell = int(wrong.argmax())
            what = f"not a digit (1-{self.size}) or 0 for a blank"
            raise BadInput(f"{self.cell_name(cell)} is {grid.reshape(-1)[cell]}, {what}")
        tokens = (grid.reshape(-1) + BLANK).astype(np.uint8)
        if (fault := self.clash(tokens)) is not None:
            raise BadInput(fault)
        return tokens

    def draw(self, tokens: Tokens) -> str:
        """Tokens [cells] as a grid with drawn boxes; `read` takes it back."""
        line, n, width = self.to_line(tokens), self.size, self.box_width
        bar = "─" * (2 * width + 1)
        top, middle, bottom = (a + b.join([bar] * (n // width)) + c for a, b, c in ("┌┬┐", "├┼┤", "└┴┘"))
        out = [top]
        for row in range(n):
            if row and row % self.box_height == 0:
                out.append(middle)
            parts = [" ".join(line[row * n + at : row * n + at + width]) for at in range(0, n, width)]
            out.append("│ " + " │ ".join(parts) + " │")
        return "\n".join([*out, bottom])


SIZES = {task.cells: task for task in (Sudoku(2, 2), Sudoku(2, 3), Sudoku(3, 3), Sudoku(4, 4))}


def sudoku_for(text: str) -> Sudoku:
    """The task in the size of the first puzzle in `text`. 9x9 where that is unclear; its `read` then says why."""
    return SIZES[cells_of(text)]
