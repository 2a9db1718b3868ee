"""The classical solver, the rating built on it, and generators of puzzles with one solution.

The inner functions are written in the part of Python that numba compiles: called plainly they give the same results
some hundred times more slowly, which is right for a single puzzle (numba takes longer to import than that takes to
solve). Random choices are all made outside of them, so a seed gives the same puzzles either way.
"""

from __future__ import annotations

import importlib.util
from functools import cache, cached_property
from types import FunctionType
from typing import Any

import numpy as np

from trm.errors import TrmError
from trm.tasks.base import Tokens
from trm.tasks.sudoku.task import BLANK, FIRST, Order, Sudoku

MAX_NODES = 100_000  # branch nodes of one search; the hardest 9x9 puzzles known need a few thousand
KEEP = 100  # solutions that a solver keeps
ORDERS = 16  # reading orders that a rating is the mean of


class TooHard(TrmError):
    """The search was stopped at its limit of branch nodes, so the number of solutions is not known."""


# The inner functions. Arrays are numpy's when compiled and lists when not. A set of digits is an integer, bit d - 1
# for digit d. given, value [cells]: the set of a cell's one digit, 0 for none. order [cells]: first the filled cells,
# then the empty ones. unit [3 * cells]: numbers of each cell's row, column and box. free [3 * size]: digits that each
# unit still lacks. once, twice [3 * size]: digits with at least one and two places left in a unit.


def _place(given: Any, value: Any, order: Any, unit: Any, free: Any) -> int:
    """Set up a search from the givens. -> how many cells they fill, -1 if two of them clash."""
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
    """Fill naked and hidden singles until there are none. -> (filled, position in `order` of the empty cell with the
    fewest candidates, the first such in reading order; -1 if the grid turned out to be impossible).
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
                # The swap keeps order[filled:] the empty cells, and what comes to p has been looked at already.
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
    """Count solutions up to `limit` from a state made by `_place`. -> (solutions, branch nodes); more nodes than
    `max_nodes` mean that it gave up. found [rows * cells] gets the first `rows` solutions. frames [3 * cells] is the
    stack of open branches: the number of cells filled before it, its cell, and the digits not yet tried.
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
            # Below this branch positions up to `filled` never move, so the cell stays where it can be found.
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
    """The functions `_place` and `_search`: plain, or compiled by numba (seconds at first, then kept on disk)."""
    if not compiled:
        return _place, _search
    try:
        import numba
    except ImportError:
        raise TrmError("numba is not installed; it comes with: pip install 'trm[generate]'") from None
    compile_ = numba.njit(cache=True)
    # A copy of _search whose _singles is the compiled one.
    names = {**globals(), "_singles": compile_(_singles)}
    return compile_(_place), compile_(FunctionType(_search.__code__, names, "_search"))


class Solver:
    """Counts the solutions of puzzles of one size. Not safe to share between threads.

    compiled: with numba or without; None: with it if it is installed.
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
        """tokens [cells] -> sets of one digit or none, as `count` takes them."""
        shift = np.maximum(tokens.astype(np.int64) - FIRST, 0)
        return self._array(np.where(tokens >= FIRST, np.int64(1) << shift, 0))

    def tokens(self, bits: Any) -> Tokens:
        """The inverse of `bits`, with blanks for no digit."""
        return np.array([bit.bit_length() - 1 + FIRST if bit else BLANK for bit in map(int, bits)], np.uint8)

    def count(self, bits: Any, limit: int = 2, max_nodes: int = MAX_NODES) -> tuple[int, int]:
        """-> (solutions up to `limit`, branch nodes). Raises TooHard. Solutions are left for `found`."""
        filled = self._place(bits, self._value, self._order, self._unit, self._free)
        if filled < 0:
            return 0, 0
        count, nodes = self._search(
            filled, self._value, self._order, self._unit, self._free, self._once, self._twice, self._frames,
            self._found, limit, max_nodes,
        )  # fmt: skip
        if nodes > max_nodes:
            raise TooHard(f"gave up after {max_nodes} guesses with {count} solutions found; the puzzle is too open")
        return int(count), int(nodes)

    def found(self) -> Tokens:
        """The first solution [cells] of the last count."""
        return self.tokens(self._found[: self.sudoku.cells])

    def effort(self, bits: Any, order: Any = None) -> int:
        """Branch nodes to prove that there is one solution; MAX_NODES stands for anything above. With `order` [cells]
        (of a symmetry) the cells are taken in that order: among many it tells luck with the branches from hardness.
        """
        try:
            return self.count(bits if order is None else self.reorder(bits, order))[1]
        except TooHard:
            return MAX_NODES

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
        """The hardness of a puzzle with one solution: the geometric mean over orders of its branch nodes, 0 if singles
        solve it. A single order is not enough: it varies by half, and a generator that raised it would only find
        puzzles in which this one order is unlucky.
        """
        return round(float(np.expm1(self.log_rating(bits))))

    def completions(self, bits: Any) -> Order:
        """[n, 2] pairs of a blank cell and a digit - 1 that, given as well, each leave exactly one solution; none if
        there are too many solutions to tell.
        """
        cells, size = self.sudoku.cells, self.sudoku.size
        try:
            count, _ = self.count(bits, limit=KEEP)
        except TooHard:
            count = KEEP
        if not 1 <= count < KEEP:
            return np.empty((0, 2), np.int64)
        digit = np.frexp(np.asarray(self._found[: count * cells]).reshape(count, cells))[1] - 1
        times = np.bincount((np.arange(cells) * size + digit).reshape(-1), minlength=cells * size)
        return np.argwhere((times.reshape(cells, size) == 1) & (np.asarray(bits) == 0)[:, None])


def count_solutions(
    question: Tokens, sudoku: Sudoku, limit: int = 2, max_nodes: int = MAX_NODES, compiled: bool | None = False
) -> tuple[int, Tokens | None, int]:
    """question [cells] -> (solutions up to `limit`, the first of them, branch nodes).

    Branch nodes are the guesses of a search by singles, then by the cell with fewest candidates. Raises TooHard after
    `max_nodes` of them.
    """
    if question.shape != (sudoku.cells,):
        raise ValueError(f"question must be [{sudoku.cells}], not {list(question.shape)}")
    solver = Solver(sudoku, compiled)
    count, nodes = solver.count(solver.bits(question), limit, max_nodes)
    return count, solver.found() if count else None, nodes


# Generators. All take a solver, whose `compiled` decides the speed and nothing else.


def random_solution(solver: Solver, rng: np.random.Generator) -> Tokens:
    """A random filled grid [cells]: random digits in random cells, each kept if a solution is left, until it is one."""
    sudoku = solver.sudoku
    bits = solver.bits(np.zeros(sudoku.cells, np.uint8))
    for cell in rng.permutation(sudoku.cells).tolist():
        for digit in rng.permutation(sudoku.size).tolist():
            bits[cell] = 1 << digit
            try:
                count, _ = solver.count(bits, limit=2, max_nodes=1000)
            except TooHard:  # rare and only in large grids: as good as impossible
                count = 0
            if count == 1:
                return solver.found()
            if count:
                break
    return solver.tokens(bits)


def minimise(solver: Solver, bits: Any, cells: list[int]) -> None:
    """Drop from `bits`, in place, every given among `cells`, in that order, that is not needed for one solution."""
    for cell in cells:
        bit = bits[cell]
        if bit:
            bits[cell] = 0
            try:
                unique = solver.count(bits)[0] == 1
            except TooHard:
                unique = False
            if not unique:
                bits[cell] = bit


def minimal_puzzle(solver: Solver, solution: Tokens, rng: np.random.Generator) -> Tokens:
    """A random puzzle [cells] with this one solution that loses it if any given is dropped."""
    bits = solver.bits(solution)
    minimise(solver, bits, rng.permutation(len(solution)).tolist())
    return solver.tokens(bits)
