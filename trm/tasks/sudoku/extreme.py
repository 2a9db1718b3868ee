"""Extreme Sudokus by local search: a walk among puzzles with one solution, from an easy one to a given rating."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from trm.tasks.base import Tokens
from trm.tasks.sudoku.search import SudokuSearch, minimal_puzzle, minimise, random_solution

# Hardness is log(1 + branch nodes), averaged over cell orders.
POOL = 256  # orders that the walk draws from; with those of the rating it would exploit unlucky ones
TRIES = 4  # orders in which a proposal is compared
DOUBT = 0.35  # a proposal that is this much worse in one order (in n orders: divided by sqrt n) is dropped at once
TEMPERATURE = 0.1  # of the annealing, in units of hardness
NEAR = 0.12  # accepted distance between rating and target
CLUES = 28  # givens during the walk; minimal puzzles have fewer, but their neighbours are few and slow to find
PROPOSALS = 8  # new givens that are tried for each one removed
APART = 20  # moves between two puzzles of one walk; a third of their givens are then still the same
SURE = 24  # orders that decide whether the walk has come closer
GAIN = 0.05  # how much closer it must have come to set a new anchor
PATIENCE = 150  # attempts without coming closer, after which it returns to the anchor
RETURNS = 4  # returns to one anchor, after which it restarts from another puzzle


class WalkState(NamedTuple):
    """A place of a walk. Moves replace the values and change none of them, except that more efforts become known."""

    bits: Any  # [cells], a puzzle with one solution, not necessarily minimal
    efforts: dict[int, float]  # number of an order in the pool -> log effort of the puzzle
    moves: int  # since the last puzzle was taken


class Reached(NamedTuple):
    key: int  # of the target
    puzzle: Tokens  # [cells]


class Walk:
    """A walk from puzzle to puzzle.

    A move removes one given and adds another one that leaves a single solution again, not necessarily the same one.
    """

    def __init__(self, solver: SudokuSearch, rng: np.random.Generator) -> None:
        self.solver, self.rng = solver, rng
        turns = np.random.default_rng(1)
        self.pool = [solver.sudoku.random_symmetry(turns).cells.tolist() for _ in range(POOL)]
        self.restart()

    def restart(self) -> None:
        """Begin with a random minimal puzzle and add random givens up to CLUES."""
        solution = random_solution(self.solver, self.rng)
        self.bits = self.solver.bits(minimal_puzzle(self.solver, solution, self.rng))
        blank = self.rng.permutation(np.flatnonzero(np.asarray(self.bits) == 0))
        answer = self.solver.bits(solution)
        for cell in blank[: max(0, CLUES - len(solution) + len(blank))].tolist():
            self.bits[cell] = answer[cell]
        self.efforts: dict[int, float] = {}  # as in `WalkState`
        self.moves = APART
        self.anchor = self.state()

    def state(self) -> WalkState:
        return WalkState(self.bits, self.efforts, self.moves)

    def distance(self, target: float, orders: int) -> float:
        """How far the hardness, averaged over that many random orders, is from `target`."""
        chosen = self.rng.permutation(POOL)[:orders].tolist()
        return abs(sum(map(self.here, chosen)) / orders - target)

    def effort(self, bits: Any, order: int) -> float:
        """The log effort of a puzzle in order number `order` of the pool."""
        return math.log1p(self.solver.effort(bits, self.pool[order]))

    def here(self, order: int) -> float:
        """`effort` of the present puzzle."""
        if order not in self.efforts:
            self.efforts[order] = self.effort(self.bits, order)
        return self.efforts[order]

    def move(self, target: float) -> float:
        """Try one move towards `target`, by annealing. -> an estimate of the hardness before it."""
        rng, solver = self.rng, self.solver
        orders = rng.permutation(POOL)[:TRIES].tolist()
        level = sum(map(self.here, orders)) / TRIES
        opened = self.bits.copy()
        dropped = int(rng.choice(np.flatnonzero(np.asarray(opened))))
        opened[dropped] = 0
        for cell, digit in rng.permutation(solver.completions(opened))[:PROPOSALS].tolist():
            if cell == dropped and 1 << digit == self.bits[cell]:
                continue
            puzzle = opened.copy()
            puzzle[cell] = 1 << digit
            # The rule of Metropolis with its random number drawn first: accept what is at most this far off the target.
            limit = abs(level - target) - TEMPERATURE * math.log(1 - rng.random())
            efforts, change = {}, 0.0
            for n, order in enumerate(orders, 1):
                efforts[order] = self.effort(puzzle, order)
                change += efforts[order] - self.here(order)
                doubt = DOUBT / math.sqrt(n) if n < TRIES else 0.0
                if abs(level + change / n - target) > limit + doubt:
                    break
            else:
                self.bits, self.efforts = puzzle, efforts
                self.moves += 1
                break
        return level

    def reach(self, targets: Mapping[int, float]) -> Reached:
        """Walk towards the nearest target until the puzzle, made minimal, has a log rating near one of them.

        The climb from an easy puzzle takes most of the time, so one walk should serve many targets.
        """
        aim = self.nearest(targets)
        closest, self.anchor = self.distance(aim, SURE), self.state()
        tries = returns = 0
        while True:
            level = self.move(aim)
            tries += 1
            if self.moves >= APART and (found := self.take(targets, level)):
                return found
            here = abs(level - aim)
            if here < closest - GAIN and (surely := self.distance(aim, SURE)) < closest - GAIN:
                closest, self.anchor = surely, self.state()
                tries = returns = 0
            elif tries == PATIENCE:
                self.bits, self.efforts, self.moves = self.anchor
                tries, returns = 0, returns + 1
                if returns == RETURNS:
                    self.restart()
                    aim = self.nearest(targets)
                    closest, returns = self.distance(aim, SURE), 0

    def nearest(self, targets: Mapping[int, float]) -> float:
        """The target that is closest to the present hardness."""
        level = sum(map(self.here, range(SURE))) / SURE
        return min(targets.values(), key=lambda target: abs(target - level))

    def take(self, targets: Mapping[int, float], level: float) -> Reached | None:
        """The present puzzle, made minimal, if it then meets a target. `level` is an estimate of its hardness."""
        if min(abs(level - target) for target in targets.values()) > 2 * NEAR:
            return None
        bits = self.bits.copy()
        minimise(self.solver, bits, self.rng.permutation(len(bits)).tolist())
        rating = self.solver.log_rating(bits)
        key = min(targets, key=lambda key: abs(rating - targets[key]))
        if abs(rating - targets[key]) > NEAR:
            return None
        self.moves = 0
        return Reached(key, self.solver.tokens(bits))


def extreme_puzzle(solver: SudokuSearch, rng: np.random.Generator, target: float) -> Tokens:
    """One minimal puzzle [cells] with a rating near `target`. A rating of 100 takes half a minute with numba."""
    return Walk(solver, rng).reach({0: math.log1p(target)}).puzzle
