"""Sets of Sudokus: those that ship with the package, generated ones, and users' files.

The embedded sets hold no row of the benchmark, Sudoku-Extreme, nor were they made from its rows. All that they take
from it is the distribution of its ratings (`EXTREME`; see `trm.tasks.sudoku.search.Solver.rating`). `build_embedded`
makes such sets. It made the two extreme ones that ship with APART = 5 and, for the last targets, more patience and a
wider tolerance (docs/notes), so today's code makes others of the same kind. `build_small` makes the sets of 6x6.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.files import write_atomic
from trm.tasks.base import Puzzles, Tokens
from trm.tasks.sudoku.extreme import Walk
from trm.tasks.sudoku.search import SudokuSearch, TooHard, minimal_puzzle, random_solution
from trm.tasks.sudoku.task import FIRST, Sudoku, sudoku_for
from trm.tasks.text import naming, read_file

Ratings = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

DATA = Path(__file__).parents[2] / "data"
EMBEDDED = {"train": "extreme", "validation": "extreme", "minimal": "minimal"}  # name -> kind
SMALL = ("train", "validation")  # sets of 6x6, both of the kind `hard`
SETS = {81: tuple(EMBEDDED), 36: SMALL}  # cells -> names
KINDS = ("extreme", "hard", "minimal")

CHAIN = 250  # extreme puzzles from one walk

# share of the puzzles of Sudoku-Extreme -> the highest rating among them; smoothed, from its 1,000 training rows
EXTREME = (
    (0.0, 0), (0.1, 0), (0.15, 2), (0.2, 3), (0.25, 4), (0.3, 41), (0.35, 60), (0.4, 73), (0.45, 83), (0.5, 93),
    (0.55, 101), (0.6, 109), (0.65, 119), (0.7, 129), (0.75, 140), (0.8, 154), (0.85, 174), (0.9, 202), (0.95, 247),
    (0.99, 346), (1.0, 400),
)  # fmt: skip


class RatedPuzzles(NamedTuple):
    puzzles: Puzzles
    ratings: Ratings  # [rows], see `trm.tasks.sudoku.search.Solver.rating`


def quantiles(ratings: Sequence[int] | Ratings, at: Sequence[float] = (5, 10, 25, 50, 75, 90, 95)) -> list[float]:
    """The `at` percentiles of ratings [rows]."""
    return [float(value) for value in np.percentile(np.asarray(ratings), at)]


# Embedded sets and files


def embedded(name: str, sudoku: Sudoku | None = None) -> Puzzles:
    """`train` and `validation` (extreme puzzles, of 6x6 hard ones) or `minimal` (random minimal ones, 9x9 only).

    Each has 1,000 puzzles, and no two of one size are equivalent. Raises BadInput where there is no such set.
    """
    return _stored(name, sudoku or Sudoku()).puzzles


def ratings(name: str, sudoku: Sudoku | None = None) -> Ratings:
    """[rows] ratings of the puzzles of an embedded set."""
    return _stored(name, sudoku or Sudoku()).ratings


def _stored(name: str, sudoku: Sudoku) -> RatedPuzzles:
    names = SETS.get(sudoku.cells, ())
    if not names:
        raise BadInput(f"task {sudoku.spec.name!r} has no embedded puzzles; give a file with --data PATH")
    if name not in names:
        raise BadInput(f"no embedded set {name!r} of {sudoku.spec.name}; there are: {', '.join(names)}")
    with np.load(DATA / f"{sudoku.spec.name}_{name}.npz") as arrays:
        return RatedPuzzles(Puzzles(arrays["question"], arrays["answer"]), arrays["rating"])


def read_sudokus(path: str | Path, sudoku: Sudoku | None = None) -> Puzzles:
    """The puzzles of a file in any form that `Sudoku.read` takes. Missing answers are found by search.

    Args:
        path: of the file.
        sudoku: the size of the puzzles; None: the size of the file's first one.

    Raises:
        BadInput: no such file, a bad puzzle, or one without a single solution.
    """
    text = read_file(path)
    with naming(path):
        sudoku = sudoku or sudoku_for(text)
        return complete(sudoku.read(text).read_from(path), sudoku)


def complete(puzzles: Puzzles, sudoku: Sudoku) -> Puzzles:
    """The same puzzles with every missing answer found by search. Raises BadInput for one without a single solution."""
    missing = np.flatnonzero(~puzzles.answer.any(1)).tolist()
    if not missing:
        return puzzles
    answer = puzzles.answer.copy()
    solver = SudokuSearch(sudoku, compiled=None if len(missing) > 100 else False)
    for row in missing:
        try:
            count = solver.count(solver.bits(puzzles.question[row])).solutions
        except TooHard as error:
            raise BadInput(f"puzzle {row + 1}: {error}") from None
        if count != 1:
            raise BadInput(f"puzzle {row + 1} has {'no solution' if count == 0 else 'more than one solution'}")
        answer[row] = solver.found()
    return replace(puzzles, answer=answer)


# Generation


def generate(
    kind: str,
    rows: int,
    seed: int,
    sudoku: Sudoku | None = None,
    avoid: Collection[int] = (),
    compiled: bool | None = None,
    tick: Callable[[], object] = lambda: None,
) -> RatedPuzzles:
    """Puzzles with one solution each. The seed alone decides which.

    No two questions are symmetric images of each other. From 9x9 on no two answers are either; there are only 2
    different ones of 4x4, and 49 of 6x6.

    Args:
        kind: `minimal` (random givens are removed from a random grid), `hard` (those of them with a rating above
            0: a search has to guess) or `extreme` (as hard as Sudoku-Extreme; 9x9).
        rows: how many.
        seed: of the random numbers.
        sudoku: the size; None: 9x9.
        avoid: fingerprints that no question, and from 9x9 on no answer, may have.
        compiled: whether to search with numba; None: if it is installed. The puzzles are the same either way.
        tick: called after each puzzle.

    Raises:
        BadInput: no such kind, or too few different puzzles of this size.
    """
    sudoku = sudoku or Sudoku()
    if kind not in KINDS:
        raise BadInput(f"no kind of puzzle {kind!r}; there are: {', '.join(KINDS)}")
    if kind == "extreme" and sudoku != Sudoku():
        raise BadInput("extreme puzzles are generated at 9x9 only; use the kind minimal or hard")
    solver, seen = SudokuSearch(sudoku, compiled), set(avoid)
    question, answer = np.zeros((2, rows, sudoku.cells), np.uint8)
    rating = np.zeros(rows, np.int32)
    refused = 0

    def take(row: int, tokens: Tokens) -> bool:
        """Store a question, unless an equivalent one has been seen, or it is too easy."""
        nonlocal refused
        bits = solver.bits(tokens)
        solver.count(bits)
        solution = solver.found()
        parts = (tokens, solution) if sudoku.size >= 9 else (tokens,)
        marks = {int(fingerprint(sudoku, part[None], solution[None])[0]) for part in parts}
        effort = 0 if marks & seen else solver.rating(bits)
        if marks & seen or (kind == "hard" and effort == 0):
            refused += 1
            if refused > 100 * rows:
                raise BadInput(f"found fewer than {rows} inequivalent puzzles of this size and kind")
            return False
        seen.update(marks)
        question[row], answer[row], rating[row] = tokens, solution, effort
        tick()
        return True

    if kind == "extreme":
        _fill_extreme(solver, rows, seed, take)
    else:
        _fill_minimal(solver, rows, seed, take)
    return RatedPuzzles(Puzzles(question, answer), rating)


def _fill_minimal(solver: SudokuSearch, rows: int, seed: int, take: Callable[[int, Tokens], bool]) -> None:
    for row in range(rows):
        # Each row has a generator of its own, so that no row depends on what was refused before.
        rng = np.random.default_rng([seed, 0, row])
        while not take(row, minimal_puzzle(solver, random_solution(solver, rng), rng)):
            pass


def _fill_extreme(solver: SudokuSearch, rows: int, seed: int, take: Callable[[int, Tokens], bool]) -> None:
    rng = np.random.default_rng([seed, 1])
    # One target from each of `rows` equal slices of the distribution, in random order.
    share = (rng.permutation(rows) + rng.random(rows)) / max(rows, 1)
    at, highest = zip(*EXTREME, strict=True)
    # Whole numbers: no puzzle has a rating between 0 and 1.
    targets = np.log1p(np.rint(np.expm1(np.interp(share, at, np.log1p(highest)))))
    for start in range(0, rows, CHAIN):
        walk = Walk(solver, np.random.default_rng([seed, 1, start]))
        wanted = dict(enumerate(targets[start : start + CHAIN].tolist(), start))
        while wanted:
            row, tokens = walk.reach(wanted)
            # Puzzles of one walk still resemble each other; a random symmetry hides it.
            if take(row, solver.sudoku.random_symmetry(walk.rng).apply(tokens)):
                del wanted[row]


def build_embedded(seed: int = 1, rows: int = 1000, folder: Path = DATA) -> None:
    """Write three sets like those that ship. The same seed and numpy give the same bytes. Takes hours."""
    avoid: set[int] = set()
    for number, (name, kind) in enumerate(EMBEDDED.items()):
        puzzles, rating = generate(kind, rows, seed * len(EMBEDDED) + number, avoid=avoid)
        for tokens in (puzzles.question, puzzles.answer):
            avoid.update(fingerprint(Sudoku(), tokens, puzzles.answer).tolist())
        write_set(folder / f"sudoku_{name}.npz", puzzles, rating)


def build_small(seed: int = 1, rows: int = 1000, folder: Path = DATA) -> None:
    """Write the two sets of 6x6 that ship. The same seed and numpy give the same bytes."""
    sudoku = Sudoku(2, 3)
    puzzles, rating = generate("hard", rows * len(SMALL), seed, sudoku)
    for number, name in enumerate(SMALL):
        part = slice(number * rows, (number + 1) * rows)
        write_set(folder / f"{sudoku.spec.name}_{name}.npz", puzzles.take(part), rating[part])


def write_set(path: Path, puzzles: Puzzles, rating: Ratings) -> None:
    """Write question, answer [rows, cells] (tokens) and rating [rows] to a compressed .npz file."""
    write_atomic(
        path,
        lambda file: np.savez_compressed(file, question=puzzles.question, answer=puzzles.answer, rating=rating),
    )


# Equivalence


def fingerprint(sudoku: Sudoku, question: Tokens, answer: Tokens) -> Hashes:
    """A hash [rows] of each puzzle: equal for puzzles that are symmetric images of each other, and in practice for no
    others.

    `fingerprint(sudoku, answer, answer)` compares solutions.

    Colour refinement: each cell begins with a colour that says whether it is given and how its lines relate to the
    others (`_relations`), and is then recoloured by the colours in its row, column and box and of its digit. The sum of
    the hashed colours depends on no order of the cells, so no canonical form has to be searched for.

    Args:
        sudoku: the size.
        question: [rows, cells]
        answer: [rows, cells], complete.
    """
    n, square = sudoku.size, sudoku.box_height == sudoku.box_width
    given, digits = question >= FIRST, (answer - np.uint8(FIRST)).astype(np.int64)
    total = _refine(sudoku, given, digits)
    if square:
        turned = (tokens.reshape(-1, n, n).transpose(0, 2, 1).reshape(-1, n * n) for tokens in (given, digits))
        total = _mix(total) + _mix(_refine(sudoku, *turned))  # a sum: the order does not matter
    return total


def _refine(sudoku: Sudoku, given: npt.NDArray[np.bool_], digits: npt.NDArray[np.int64]) -> Hashes:
    """The hash that transposing still changes: given, digits [rows, cells] -> [rows]."""
    n, rows = sudoku.size, len(given)
    grid = digits.reshape(rows, n, n)
    lines = np.concatenate(
        [_relations(grid, sudoku.box_height), _relations(grid.transpose(0, 2, 1), sudoku.box_width)], 1
    )
    unit = np.empty((n * n, 3), np.int64)  # numbers of a cell's row, column and box among all groups
    for number, group in enumerate(sudoku.groups):
        unit[group, number // n] = number
    colour = _mix(given + lines[:, unit[:, 0]]) + _mix(lines[:, unit[:, 1]])
    by_digit = np.argsort(digits, axis=1, kind="stable").reshape(rows, n, n)  # [rows, digit, its cells]
    salts = np.arange(1, 5, dtype=np.uint64) << np.uint64(60)
    for _ in range(5):
        mixed = _mix(colour)
        groups = mixed[:, sudoku.groups].sum(2)
        same = np.take_along_axis(mixed[:, None], by_digit, 2).sum(2)
        around = [
            groups[:, unit[:, 0]],
            groups[:, unit[:, 1]],
            groups[:, unit[:, 2]],
            np.take_along_axis(same, digits, 1),
        ]
        for part, salt in zip(around, salts, strict=True):
            mixed = mixed + _mix(part ^ salt)
        colour = mixed
    total: Hashes = _mix(colour).sum(1)
    return total


def _relations(grid: npt.NDArray[np.int64], band: int) -> Hashes:
    """[rows, n, n] digits -> [rows, n]: for each line, a hash of how each of the others permutes its digits.

    In a full grid all cells look alike at first, so the colours need this as a start. A permutation is described by
    its cycle lengths, which do not depend on the names of the digits: they follow from how many digits are back in
    their places after 1, 2 .. n applications.
    """
    rows, n, _ = grid.shape
    where = np.argsort(grid, axis=2)  # [rows, line, digit] -> column
    step = np.take_along_axis(grid[:, None].repeat(n, 1), where[:, :, None].repeat(n, 2), 3)  # [rows, from, to, digit]
    near = np.arange(n) // band
    hashes = np.broadcast_to(near[:, None] == near, (rows, n, n)).astype(np.uint64)
    power = step
    for _ in range(n):
        hashes = _mix(hashes + (power == np.arange(n)).sum(3).astype(np.uint64))
        power = np.take_along_axis(step, power, 3)
    total: Hashes = hashes.sum(2)
    return total


def _mix(values: Hashes) -> Hashes:
    """Scramble 64-bit numbers (the finaliser of splitmix64), so that their sums tell multisets apart."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed
