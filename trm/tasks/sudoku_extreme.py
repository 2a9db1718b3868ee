"""Extreme Sudokus by local search: a walk among puzzles with one solution, from easy ones up to a wanted rating."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trm.tasks.base import Tokens
from trm.tasks.sudoku_search import Solver, minimal_puzzle, minimise, random_solution

# Hardness is measured in log(1 + branch nodes), the mean over reading orders.
POOL = 256  # orders that the walk draws from, other than those of the rating, lest it climb on their luck
TRIES = 8  # orders that a proposal is compared in
DOUBT = 0.7  # a proposal this much worse after one order (after n: divided by sqrt n) is dropped without the others
TEMPERATURE = 0.1
NEAR = 0.08  # accepted distance between rating and target
CLUES = 28  # givens during the walk; minimal puzzles have fewer, but their neighbours are few and slow to find
PROPOSALS = 8  # for each given dropped
APART = 25  # moves between two puzzles of one walk
PATIENCE = 4000  # steps without a puzzle before the walk starts again


class Walk:
    """The state of one walk: a puzzle with one solution, not necessarily minimal, and what is known of its effort.

    A move drops one given and adds another that makes the solution unique again: any digit that does so, so the
    solution changes along the way.
    """

    def __init__(self, solver: Solver, rng: np.random.Generator) -> None:
        self.solver, self.rng = solver, rng
        turns = np.random.default_rng(1)
        self.pool = [solver.sudoku.random_symmetry(turns).cells.tolist() for _ in range(POOL)]
        self.restart()

    def restart(self) -> None:
        """Begin from a random minimal puzzle with random givens added up to CLUES."""
        solution = random_solution(self.solver, self.rng)
        self.bits = self.solver.bits(minimal_puzzle(self.solver, solution, self.rng))
        blank = self.rng.permutation(np.flatnonzero(np.asarray(self.bits) == 0))
        answer = self.solver.bits(solution)
        for cell in blank[: max(0, CLUES - len(solution) + len(blank))].tolist():
            self.bits[cell] = answer[cell]
        self.known: dict[int, float] = {}  # number of an order in the pool -> log effort of `bits`
        self.moves = APART  # since the last puzzle taken

    def effort(self, bits: Any, order: int) -> float:
        return math.log1p(self.solver.effort(bits, self.pool[order]))

    def here(self, order: int) -> float:
        if order not in self.known:
            self.known[order] = self.effort(self.bits, order)
        return self.known[order]

    def step(self, target: float) -> float:
        """Try one move toward `target`, by annealing. -> an estimate of the hardness before it."""
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
            # Accepting if it is at most this far off is Metropolis' rule, with the random number drawn first.
            limit = abs(level - target) - TEMPERATURE * math.log(1 - rng.random())
            efforts, change = {}, 0.0
            for n, order in enumerate(orders, 1):
                efforts[order] = self.effort(puzzle, order)
                change += efforts[order] - self.here(order)
                doubt = DOUBT / math.sqrt(n) if n < TRIES else 0.0
                if abs(level + change / n - target) > limit + doubt:
                    break
            else:
                self.bits, self.known = puzzle, efforts
                self.moves += 1
                break
        return level

    def reach(self, target: float) -> Tokens:
        """Walk until a puzzle [cells], made minimal, has a log rating near `target`."""
        steps = 0
        while True:
            level = self.step(target)
            steps += 1
            if self.moves >= APART and abs(level - target) < 2 * NEAR:
                bits = self.bits.copy()
                minimise(self.solver, bits, self.rng.permutation(len(bits)).tolist())
                if abs(self.solver.log_rating(bits) - target) < NEAR:
                    self.moves = 0
                    return self.solver.tokens(bits)
            if steps == PATIENCE:
                self.restart()
                steps = 0


def extreme_walk(solver: Solver, rng: np.random.Generator, targets: Sequence[float]) -> Iterator[Tokens]:
    """Minimal puzzles [cells] with ratings near each of the `targets`, best ascending: most of the work is the way up.

    Successive ones are APART moves from each other; a random symmetry hides what likeness is left.
    """
    walk = Walk(solver, rng)
    for target in targets:
        yield solver.sudoku.random_symmetry(rng).apply(walk.reach(math.log1p(target)))


def extreme_puzzle(solver: Solver, rng: np.random.Generator, target: float) -> Tokens:
    """One puzzle from a walk of its own: seconds, for the usual ratings of 80 and more, when compiled."""
    return next(extreme_walk(solver, rng, [target]))
