"""Extreme Sudokus by local search: a walk among puzzles with one solution, from easy ones up to a wanted rating."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from trm.tasks.base import Tokens
from trm.tasks.sudoku.search import Solver, minimal_puzzle, minimise, random_solution

# Hardness is measured in log(1 + branch nodes), the mean over reading orders.
POOL = 256  # orders that the walk draws from, other than those of the rating, lest it climb on their luck
TRIES = 4  # orders that a proposal is compared in
DOUBT = 0.35  # a proposal this much worse after one order (after n: divided by sqrt n) is dropped without the others
TEMPERATURE = 0.1
NEAR = 0.12  # accepted distance between rating and target
CLUES = 28  # givens during the walk; minimal puzzles have fewer, but their neighbours are few and slow to find
PROPOSALS = 8  # for each given dropped
APART = 20  # moves between two puzzles of one walk; a third of the givens are then still the same
SURE = 24  # orders that tell whether the walk has come closer
GAIN = 0.05  # by how much closer that must be to be a place to come back to
PATIENCE = 150  # steps without coming closer before it goes back there
RETURNS = 4  # times it does so before it starts again elsewhere


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
        self.anchor = self.state()

    def state(self) -> tuple[Any, dict[int, float], int]:
        return self.bits, self.known, self.moves  # replaced and never changed in place, save for more of what is known

    def distance(self, target: float, orders: int) -> float:
        chosen = self.rng.permutation(POOL)[:orders].tolist()
        return abs(sum(map(self.here, chosen)) / orders - target)

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

    def reach(self, targets: Mapping[int, float]) -> tuple[int, Tokens]:
        """Walk toward the nearest target until a puzzle, made minimal, has a log rating near any of them. -> the key of
        that target, the puzzle [cells]. Most of the work is the way up, so walk to many targets in turn.
        """
        aim = self.nearest(targets)
        closest, self.anchor = self.distance(aim, SURE), self.state()
        steps = returns = 0
        while True:
            level = self.step(aim)
            steps += 1
            if self.moves >= APART and (found := self.take(targets, level)):
                return found
            here = abs(level - aim)
            if here < closest - GAIN and (surely := self.distance(aim, SURE)) < closest - GAIN:
                closest, self.anchor = surely, self.state()
                steps = returns = 0
            elif steps == PATIENCE:
                self.bits, self.known, self.moves = self.anchor
                steps, returns = 0, returns + 1
                if returns == RETURNS:
                    self.restart()
                    aim = self.nearest(targets)
                    closest, returns = self.distance(aim, SURE), 0

    def nearest(self, targets: Mapping[int, float]) -> float:
        """The target that is closest to where the walk is."""
        level = sum(map(self.here, range(SURE))) / SURE
        return min(targets.values(), key=lambda target: abs(target - level))

    def take(self, targets: Mapping[int, float], level: float) -> tuple[int, Tokens] | None:
        """The puzzle as it is, made minimal, if it then meets a target; `level` is an estimate of its hardness."""
        if min(abs(level - target) for target in targets.values()) > 2 * NEAR:
            return None
        bits = self.bits.copy()
        minimise(self.solver, bits, self.rng.permutation(len(bits)).tolist())
        rating = self.solver.log_rating(bits)
        key = min(targets, key=lambda key: abs(rating - targets[key]))
        if abs(rating - targets[key]) > NEAR:
            return None
        self.moves = 0
        return key, self.solver.tokens(bits)


def extreme_puzzle(solver: Solver, rng: np.random.Generator, target: float) -> Tokens:
    """One minimal puzzle [cells] of a rating near `target`; compiled, half a minute for the usual 100."""
    return Walk(solver, rng).reach({0: math.log1p(target)})[1]
