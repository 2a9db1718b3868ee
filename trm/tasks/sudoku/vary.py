"""Variations of Sudokus: other givens, about as many and about as hard, walked to from a puzzle move by move.

A model that is equal under every symmetry of Sudoku sees nothing new in a shuffled copy, so a thousand training puzzles
are a thousand to it and are learned by heart. A puzzle with other givens is new to it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Puzzles, Tokens
from trm.tasks.sudoku.search import Solver, minimise
from trm.tasks.sudoku.sets import Ratings
from trm.tasks.sudoku.task import Sudoku

MOVES = 3  # between two puzzles of a walk
ADDED = 4  # at most so many digits of the solution are given before others are dropped
TRIES = 40  # proposals in search of MOVES moves, after which one is enough
GIVE_UP = 1000  # proposals without a move; the puzzle then comes once more
EASIER, HARDER = 0.15, 0.6  # how far the hardness, log(1 + branch nodes), may be from that of the puzzle begun with
POOL, SAMPLE = 64, 4  # orders, and how many of them a proposal is rated in
ROWS = 10  # puzzles handed to a process at once


class Variations:
    """An endless walk from one puzzle with one solution; yields (question, answer) [cells] each."""

    def __init__(self, solver: Solver, question: Tokens, answer: Tokens, rng: np.random.Generator) -> None:
        self.solver, self.rng = solver, rng
        self.bits, self.answer = solver.bits(question), solver.bits(answer)
        turns = np.random.default_rng(1)
        self.orders = [solver.sudoku.random_symmetry(turns).cells for _ in range(POOL)]
        self.level = solver.log_rating(self.bits)

    def __iter__(self) -> Iterator[tuple[Tokens, Tokens]]:
        while True:
            moved = 0
            for tried in range(GIVE_UP):
                # Most puzzles with other givens of the same solution are easier; an exchange finds other solutions.
                moved += self.accept(self.exchanged() if self.rng.random() < 0.5 else self.given_otherwise())
                if moved == MOVES or (moved and tried >= TRIES):
                    break
            yield self.solver.tokens(self.bits), self.solver.tokens(self.answer)

    def accept(self, bits: Any) -> bool:
        """Go over to `bits`, minimal now, if it is as hard as the first puzzle."""
        if bits is None:
            return False
        minimise(self.solver, bits, self.rng.permutation(len(bits)).tolist())
        if list(bits) == list(self.bits):
            return False
        orders = [self.orders[number] for number in self.rng.permutation(POOL)[:SAMPLE]]
        level = sum(math.log1p(self.solver.effort(bits, order)) for order in orders) / SAMPLE
        if not -EASIER <= level - self.level <= HARDER:
            return False
        self.bits = bits
        self.solver.count(bits)
        self.answer = self.solver.bits(self.solver.found())
        return True

    def given_otherwise(self) -> Any:
        """A few more digits of the solution, and then as many of the others dropped as can be."""
        bits = self.bits.copy()
        old, blank = (self.rng.permutation(np.flatnonzero(part)) for part in (self.filled, ~self.filled))
        for cell in blank[: self.rng.integers(1, ADDED + 1)].tolist():
            bits[cell] = self.answer[cell]
        minimise(self.solver, bits, old.tolist())
        return bits

    def exchanged(self) -> Any:
        """One given dropped and another one added that leaves one solution, often another; None if that is too open."""
        bits = self.bits.copy()
        bits[int(self.rng.choice(np.flatnonzero(self.filled)))] = 0
        pairs = self.solver.completions(bits)
        if not len(pairs):
            return None
        cell, digit = pairs[self.rng.integers(len(pairs))].tolist()
        bits[cell] = 1 << digit
        return bits

    @property
    def filled(self) -> Any:
        return np.asarray(self.bits) != 0


def _vary(job: tuple[Puzzles, list[int], int, int, bool]) -> list[list[tuple[Tokens, Tokens, int]]]:
    """Of each of the puzzles with the numbers `rows`: itself and `count` - 1 variations, with their ratings."""
    puzzles, rows, count, seed, compiled = job
    solver, found = Solver(Sudoku(), compiled), []
    for question, answer, row in zip(puzzles.question, puzzles.answer, rows, strict=True):
        walk = Variations(solver, question, answer, np.random.default_rng([seed, 2, row]))
        every = [(question, answer), *islice(walk, count - 1)]
        found.append([(q, a, solver.rating(solver.bits(q))) for q, a in every])
    return found


def vary(
    puzzles: Puzzles,
    rows: int,
    seed: int,
    compiled: bool | None = None,
    processes: int | None = None,
    tick: Callable[[], object] = lambda: None,
) -> tuple[Puzzles, Ratings]:
    """`rows` 9x9 puzzles and their ratings [rows]: `puzzles` themselves, then variations of each in turn.

    Row i is of puzzle i modulo their number. The seed decides all, whatever the number of processes (as many as there
    are cores, unless told; 1 is this one); `tick` is called after each puzzle. Raises BadInput where `rows` is too few.
    """
    have = len(puzzles)
    if not have or puzzles.question.shape[1] != 81:
        raise BadInput("variations are made of 9x9 puzzles, one at least")
    if rows < have:
        raise BadInput(f"{rows} rows do not hold the {have} puzzles to be varied: ask for that many or more")
    compiled = Solver(Sudoku(), compiled).compiled
    jobs = []
    for start in range(0, have, ROWS):
        part = list(range(start, min(start + ROWS, have)))
        piece = Puzzles(puzzles.question[part], puzzles.answer[part])
        jobs.append((piece, part, -(-rows // have), seed, compiled))
    processes = processes or os.cpu_count() or 1
    question, answer = np.zeros((2, rows, 81), np.uint8)
    rating = np.zeros(rows, np.int32)
    pool = ProcessPoolExecutor(processes) if processes > 1 else None
    try:
        for (_, part, *_), found in zip(jobs, (pool.map if pool else map)(_vary, jobs), strict=True):
            for row, every in zip(part, found, strict=True):
                for i, values in zip(range(row, rows, have), every, strict=False):
                    question[i], answer[i], rating[i] = values
                    tick()
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)
    return Puzzles(question, answer), rating
