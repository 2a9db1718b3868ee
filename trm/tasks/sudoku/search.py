"""The classical solver, the rating built on it, and generators of puzzles with one solution.

The inner functions are written in the subset of Python that numba compiles. Uncompiled they give the same results a
hundred times more slowly, which is the better choice for a single puzzle: importing numba takes longer than solving it.
They make no random choices, so a seed gives the same puzzles either way.
"""

from __future__ import annotations

import importlib.util
from functools import cache, cached_property
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from trm.errors import TrmError
from trm.tasks.base import Tokens
from trm.tasks.sudoku.task import BLANK, FIRST, Order, Sudoku

MAX_NODES = 100_000  # branch nodes of one search; the hardest 9x9 puzzles known need a few thousand
SHORT = 300  # branch nodes of a short one. In one order of the cells a search may be lost where another is not.
KEEP = 100  # solutions that a solver keeps of a count
ORDERS = 16  # cell orders that a rating averages over


class TooHard(TrmError):
    """The search reached its limit of branch nodes, so the number of solutions is not known."""


class Count(NamedTuple):
    solutions: int  # up to the limit
    nodes: int  # branch nodes: guesses made


class Completions(NamedTuple):
    solutions: int  # up to the limit
    first: Tokens | None  # [cells]
    nodes: int  # branch nodes: guesses made


# The inner functions. Their arrays are numpy's if compiled, and lists otherwise. A set of digits is an integer with
# bit d - 1 for digit d. A unit is a row, a column or a box.
#
# given, value [cells]: the digit of a cell as a set, 0 for none
# order [cells]: the filled cells first, then the empty ones
# unit [3 * cells]: the numbers of each cell's row, column and box
# free [3 * size]: the digits that each unit still lacks
# once, twice [3 * size]: the digits with at least one, and at least two, places left in each unit


def _place(given: Any, value: Any, order: Any, unit: Any, free: Any) -> int:
    """Set up a search from the givens. -> how many cells are filled, -1 if two givens clash."""
    for u in range(len(free)):
        free[u] = (1 << (len(free) // 3)) - 1
    filled, empty = 0, len(given)
    for i in range(len(given) - 1, -1, -1):
        value[i] = bit = given[i]
        if bit == 0:
            empty -= 1
            order[empty] = i
            continue
        if free[unit[3 * i]] & free[unit[3 * i + 1]] & free[unit[3 * i + 2]] & bit == 0:
            return -1
        for k in range(3 * i, 3 * i + 3):
            free[unit[k]] ^= bit
        order[filled] = i
        filled += 1
    return filled


def _singles(filled: int, value: Any, order: Any, unit: Any, free: Any, once: Any, twice: Any) -> tuple[int, int]:
    """Fill in naked and hidden singles until there are none.

    -> (filled cells, the position in `order` of the empty cell with the fewest candidates; of several, the first in
    reading order; -1 if the grid has no solution).
    """
    while True:
        for u in range(len(free)):
            once[u] = twice[u] = 0
        for p in range(filled, len(value)):
            i = 3 * order[p]
            r, c, b = unit[i], unit[i + 1], unit[i + 2]
            left = free[r] & free[c] & free[b]
            twice[r] |= once[r] & left
            twice[c] |= once[c] & left
            twice[b] |= once[b] & left
            once[r] |= left
            once[c] |= left
            once[b] |= left
        for u in range(len(free)):
            if once[u] != free[u]:  # some digit has no place left
                return filled, -1
        before, at, fewest = filled, 0, 1 << 30
        for p in range(filled, len(value)):
            cell = order[p]
            r, c, b = unit[3 * cell], unit[3 * cell + 1], unit[3 * cell + 2]
            left = free[r] & free[c] & free[b]
            if left == 0:
                return filled, -1
            bit = left
            if left & (left - 1):
                bit = left & ((once[r] & ~twice[r]) | (once[c] & ~twice[c]) | (once[b] & ~twice[b]))
                bit &= -bit
            if bit:
                # The swap keeps the empty cells in order[filled:]; the cell that moves to p has been visited already.
                order[p] = order[filled]
                order[filled] = cell
                filled += 1
                value[cell] = bit
                free[r] ^= bit
                free[c] ^= bit
                free[b] ^= bit
                continue
            left &= left - 1
            if fewest == 2 and left & (left - 1):
                continue
            digits = 1
            while left:
                left &= left - 1
                digits += 1
            if digits < fewest or (digits == fewest and cell < order[at]):
                at, fewest = p, digits
        if filled == before:
            return filled, at


def _search(
    filled: int, value: Any, order: Any, unit: Any, free: Any, once: Any, twice: Any, frames: Any, found: Any,
    limit: int, max_nodes: int,
) -> tuple[int, int]:  # fmt: skip
    """Count solutions, up to `limit`, from a state that `_place` has set up.

    -> (solutions, branch nodes); more nodes than `max_nodes` mean that the search gave up. found [rows * cells] takes
    the first `rows` solutions. frames [3 * cells] is the stack of open branches, three numbers each: how many cells
    were filled before it, its cell, and its digits not tried yet.
    """
    count, nodes, depth = 0, 0, 0
    while True:
        filled, at = _singles(filled, value, order, unit, free, once, twice)
        if at >= 0 and filled == len(value):
            if (count + 1) * len(value) <= len(found):
                for i in range(len(value)):
                    found[count * len(value) + i] = value[i]
            count += 1
            if count >= limit:
                return count, nodes
        elif at >= 0:
            nodes += 1
            if nodes > max_nodes:
                return count, nodes
            cell = order[at]
            # Below this branch the positions up to `filled` do not move, so the cell stays where it is.
            order[at] = order[filled]
            order[filled] = cell
            frames[3 * depth] = filled
            frames[3 * depth + 1] = cell
            frames[3 * depth + 2] = free[unit[3 * cell]] & free[unit[3 * cell + 1]] & free[unit[3 * cell + 2]]
            depth += 1
        while depth > 0 and frames[3 * depth - 1] == 0:
            depth -= 1
        if depth == 0:
            return count, nodes
        start, cell, left = frames[3 * depth - 3], frames[3 * depth - 2], frames[3 * depth - 1]
        for p in range(start, filled):
            i = order[p]
            for k in range(3 * i, 3 * i + 3):
                free[unit[k]] ^= value[i]
            value[i] = 0
        bit = left & -left
        frames[3 * depth - 1] = left ^ bit
        value[cell] = bit
        for k in range(3 * cell, 3 * cell + 3):
            free[unit[k]] ^= bit
        filled = start + 1


def has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


@cache
def kernels(compiled: bool) -> tuple[Any, Any]:
    """The functions `_place` and `_search`, plain or compiled by numba. Raises TrmError if numba is not installed.

    Compiling takes seconds once; the result is cached on disk.
    """
    if not compiled:
        return _place, _search
    try:
        import numba
    except ImportError:
        raise TrmError("numba is not installed; it comes with: pip install 'trm[generate]'") from None
    compile_ = numba.njit(cache=True)
    # A copy of _search that calls the compiled _singles.
    names = {**globals(), "_singles": compile_(_singles)}
    return compile_(_place), compile_(FunctionType(_search.__code__, names, "_search"))


class SudokuSearch:
    """Counts the solutions of puzzles of one size. Must not be shared between threads.

    Puzzles are given as `bits`: [cells], 1 << (d - 1) for digit d and 0 for a blank.

    Args:
        sudoku: the size.
        compiled: whether to use numba; None: if it is installed. Results are the same either way.
    """

    def __init__(self, sudoku: Sudoku, compiled: bool | None = False) -> None:
        self.sudoku = sudoku
        self.compiled = has_numba() if compiled is None else compiled
        self._place, self._search = kernels(self.compiled)
        cells, size = sudoku.cells, sudoku.size
        unit = np.empty((cells, 3), np.int64)
        for number, group in enumerate(sudoku.groups):
            unit[group, number // size] = number
        self._unit = self._array(unit.reshape(-1))
        self._value, self._order = (self._array(np.zeros(cells, np.int64)) for _ in range(2))
        self._found = self._array(np.zeros(KEEP * cells, np.int64))
        self._free, self._once, self._twice = (self._array(np.zeros(3 * size, np.int64)) for _ in range(3))
        self._frames = self._array(np.zeros(3 * cells, np.int64))

    def _array(self, values: Order) -> Any:
        return values if self.compiled else values.tolist()

    def bits(self, tokens: Tokens) -> Any:
        """tokens [cells] -> bits [cells]"""
        shift = np.maximum(tokens.astype(np.int64) - FIRST, 0)
        return self._array(np.where(tokens >= FIRST, np.int64(1) << shift, 0))

    def tokens(self, bits: Any) -> Tokens:
        """bits [cells] -> tokens [cells]"""
        return np.array([bit.bit_length() - 1 + FIRST if bit else BLANK for bit in map(int, bits)], np.uint8)

    def count(self, bits: Any, limit: int = 2, max_nodes: int = MAX_NODES) -> Count:
        """Count solutions up to `limit`; `found` then has the first one. Raises TooHard after `max_nodes` guesses."""
        filled = self._place(bits, self._value, self._order, self._unit, self._free)
        if filled < 0:
            return Count(0, 0)
        count, nodes = self._search(
            filled, self._value, self._order, self._unit, self._free, self._once, self._twice, self._frames,
            self._found, limit, max_nodes,
        )  # fmt: skip
        if nodes > max_nodes:
            raise TooHard(f"gave up after {max_nodes} guesses with {count} solutions found; the puzzle is too open")
        return Count(int(count), int(nodes))

    def found(self) -> Tokens:
        """The first solution [cells] of the last count."""
        return self.tokens(self._found[: self.sudoku.cells])

    def effort(self, bits: Any, order: Any = None) -> int:
        """Branch nodes needed to prove that there is a single solution, MAX_NODES at most.

        `order` [cells], that of a symmetry, is the order in which the cells are visited. One order may be lucky or
        unlucky in its guesses; the mean over many tells how hard the puzzle is.
        """
        try:
            return self.count(bits if order is None else self.reorder(bits, order)).nodes
        except TooHard:
            return MAX_NODES

    def as_order(self, cells: Order) -> Any:
        """cells [cells] in the form that `reorder` takes."""
        return self._array(cells)

    def reorder(self, bits: Any, order: Any) -> Any:
        return bits[order] if self.compiled else [bits[cell] for cell in order]

    @cached_property
    def _orders(self) -> list[Any]:
        rng = np.random.default_rng(0)
        return [self._array(self.sudoku.random_symmetry(rng).cells) for _ in range(ORDERS)]

    def log_rating(self, bits: Any) -> float:
        """Mean of log(1 + effort) over ORDERS fixed orders."""
        return float(np.mean([np.log1p(self.effort(bits, order)) for order in self._orders]))

    def rating(self, bits: Any) -> int:
        """How hard a puzzle with one solution is: the geometric mean of its branch nodes over ORDERS orders; 0 if
        singles solve it.

        One order is not enough: its count varies by half, and a generator that raised it would find puzzles for which
        that order is unlucky, not hard puzzles.
        """
        return round(float(np.expm1(self.log_rating(bits))))

    def completions(self, bits: Any) -> Order:
        """The additional givens that leave exactly one solution: pairs [n, 2] of a blank cell and a digit minus 1. None
        if the puzzle has no solution, or too many to list.
        """
        cells, size = self.sudoku.cells, self.sudoku.size
        try:
            count = self.count(bits, limit=KEEP).solutions
        except TooHard:
            count = KEEP
        if not 1 <= count < KEEP:
            return np.empty((0, 2), np.int64)
        digit = np.frexp(np.asarray(self._found[: count * cells]).reshape(count, cells))[1] - 1
        times = np.bincount((np.arange(cells) * size + digit).reshape(-1), minlength=cells * size)
        return np.argwhere((times.reshape(cells, size) == 1) & (np.asarray(bits) == 0)[:, None])


def count_solutions(
    question: Tokens, sudoku: Sudoku, limit: int = 2, max_nodes: int = MAX_NODES, compiled: bool | None = False
) -> Completions:
    """The solutions of question [cells], up to `limit`. Raises TooHard after `max_nodes` guesses.

    The search fills in singles, then guesses the cell with the fewest candidates. Before a long search it tries short
    ones on the puzzle turned and mirrored.
    """
    if question.shape != (sudoku.cells,):
        raise ValueError(f"question must be [{sudoku.cells}], not {list(question.shape)}")
    solver = SudokuSearch(sudoku, compiled)
    bits = solver.bits(question)
    for order in views(sudoku) if max_nodes > SHORT else ():
        try:
            count, nodes = solver.count(solver.reorder(bits, solver.as_order(order)), limit, SHORT)
        except TooHard:
            continue
        return Completions(count, solver.found()[np.argsort(order)] if count else None, nodes)
    count, nodes = solver.count(bits, limit, max_nodes)
    return Completions(count, solver.found() if count else None, nodes)


def views(sudoku: Sudoku) -> list[Order]:
    """The cells [cells] in reading order, of the grid as it is, turned by half, upside down and mirrored."""
    grid = np.arange(sudoku.cells).reshape(sudoku.size, sudoku.size)
    return [view.reshape(-1) for view in (grid, grid[::-1, ::-1], grid[::-1], grid[:, ::-1])]


# Generators


def random_solution(solver: SudokuSearch, rng: np.random.Generator) -> Tokens:
    """A random complete grid [cells]: random digits are put into random cells, each kept if a solution remains, until
    only one does.
    """
    sudoku = solver.sudoku
    bits = solver.bits(np.zeros(sudoku.cells, np.uint8))
    for cell in rng.permutation(sudoku.cells).tolist():
        for digit in rng.permutation(sudoku.size).tolist():
            bits[cell] = 1 << digit
            try:
                count = solver.count(bits, limit=2, max_nodes=1000).solutions
            except TooHard:  # rare, and only in large grids: the digit is dropped as if no solution remained
                count = 0
            if count == 1:
                return solver.found()
            if count:
                break
    return solver.tokens(bits)


def minimise(solver: SudokuSearch, bits: Any, cells: list[int]) -> None:
    """Remove from `bits`, in place, the givens among `cells`, in that order, that are not needed for one solution."""
    for cell in cells:
        bit = bits[cell]
        if bit:
            bits[cell] = 0
            try:
                unique = solver.count(bits).solutions == 1
            except TooHard:
                unique = False
            if not unique:
                bits[cell] = bit


def minimal_puzzle(solver: SudokuSearch, solution: Tokens, rng: np.random.Generator) -> Tokens:
    """A random puzzle [cells] whose only solution is this one, and of whose givens every one is needed for that."""
    bits = solver.bits(solution)
    minimise(solver, bits, rng.permutation(len(solution)).tolist())
    return solver.tokens(bits)
