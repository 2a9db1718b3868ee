"""Variations of Sudokus: puzzles with other givens, about as many and about as hard.

A model that is equivariant under every symmetry of Sudoku learns nothing from a shuffled copy of a puzzle, so it soon
knows a thousand training puzzles by heart. A puzzle with other givens is new to it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Puzzles, Tokens
from trm.tasks.sudoku.search import SudokuSearch, minimise
from trm.tasks.sudoku.sets import RatedPuzzles
from trm.tasks.sudoku.task import Sudoku

MOVES = 3  # between two puzzles of a walk
ADDED = 4  # at most so many digits of the solution are added before other givens are removed
TRIES = 40  # proposals, after which one move instead of MOVES is enough
GIVE_UP = 1000  # proposals without a move, after which the same puzzle is yielded again
EASIER, HARDER = 0.15, 0.6  # how far the hardness, log(1 + branch nodes), may be from that of the first puzzle
POOL, SAMPLE = 64, 4  # cell orders, and how many of them a proposal is rated in
ROWS = 10  # puzzles that a process is given at a time


class Variation(NamedTuple):
    question: Tokens  # [cells]
    answer: Tokens  # [cells]


class Variations:
    """An endless random walk from a puzzle with one solution. Iterating yields the puzzles along it."""

    def __init__(self, solver: SudokuSearch, question: Tokens, answer: Tokens, rng: np.random.Generator) -> None:
        self.solver, self.rng = solver, rng
        self.bits, self.answer = solver.bits(question), solver.bits(answer)
        turns = np.random.default_rng(1)
        self.orders = [solver.sudoku.random_symmetry(turns).cells for _ in range(POOL)]
        self.level = solver.log_rating(self.bits)

    def __iter__(self) -> Iterator[Variation]:
        while True:
            moved = 0
            for tried in range(GIVE_UP):
                # New givens of the same solution mostly make easier puzzles; an exchange finds other solutions.
                moved += self.accept(self.exchanged() if self.rng.random() < 0.5 else self.given_otherwise())
                if moved == MOVES or (moved and tried >= TRIES):
                    break
            yield Variation(self.solver.tokens(self.bits), self.solver.tokens(self.answer))

    def accept(self, bits: Any) -> bool:
        """Make a proposal minimal, and move to it if it is about as hard as the first puzzle."""
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
        """The puzzle with a few more givens from its solution, and without the old givens that are then superfluous."""
        bits = self.bits.copy()
        old, blank = (self.rng.permutation(np.flatnonzero(part)) for part in (self.filled, ~self.filled))
        for cell in blank[: self.rng.integers(1, ADDED + 1)].tolist():
            bits[cell] = self.answer[cell]
        minimise(self.solver, bits, old.tolist())
        return bits

    def exchanged(self) -> Any:
        """The puzzle with one given replaced by another that leaves one solution, often a different one.

        None if no such given was found.
        """
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


class Job(NamedTuple):
    """Puzzles that one process varies."""

    puzzles: Puzzles
    rows: list[int]  # their numbers in the whole set
    each: int  # puzzles to return for each, itself included
    seed: int
    compiled: bool


def _run(job: Job) -> list[RatedPuzzles]:
    """For each puzzle of a job: itself and its variations."""
    solver, made = SudokuSearch(Sudoku(), job.compiled), []
    for question, answer, row in zip(job.puzzles.question, job.puzzles.answer, job.rows, strict=True):
        walk = Variations(solver, question, answer, np.random.default_rng([job.seed, 2, row]))
        every = [Variation(question, answer), *islice(walk, job.each - 1)]
        puzzles = Puzzles(np.array([one.question for one in every]), np.array([one.answer for one in every]))
        ratings = np.array([solver.rating(solver.bits(question)) for question in puzzles.question], np.int32)
        made.append(RatedPuzzles(puzzles, ratings))
    return made


def vary(
    puzzles: Puzzles,
    rows: int,
    seed: int,
    compiled: bool | None = None,
    processes: int | None = None,
    tick: Callable[[], object] = lambda: None,
) -> RatedPuzzles:
    """The 9x9 puzzles themselves, then variations of each in turn: row i comes from puzzle i modulo their number.

    Args:
        puzzles: at least one, each with its only solution.
        rows: how many puzzles to return, `puzzles` included.
        seed: of the random numbers. It alone decides the result, whatever the number of processes.
        compiled: whether to search with numba; None: if it is installed. The puzzles are the same either way.
        processes: how many to share the work among; 1: none besides this one; None: one for each core.
        tick: called after each puzzle.

    Raises:
        BadInput: puzzles of another size, or `rows` fewer than them.
    """
    have = len(puzzles)
    if not have or puzzles.question.shape[1] != 81:
        raise BadInput("only 9x9 puzzles can be varied, and at least one is needed")
    if rows < have:
        raise BadInput(f"{rows} rows are fewer than the {have} puzzles to be varied: ask for at least that many")
    compiled = SudokuSearch(Sudoku(), compiled).compiled
    parts = [list(range(start, min(start + ROWS, have))) for start in range(0, have, ROWS)]
    jobs = [Job(puzzles.take(part), part, -(-rows // have), seed, compiled) for part in parts]
    processes = processes or os.cpu_count() or 1
    question, answer = np.zeros((2, rows, 81), np.uint8)
    ratings = np.zeros(rows, np.int32)
    pool = ProcessPoolExecutor(processes) if processes > 1 else None
    try:
        for job, made in zip(jobs, (pool.map if pool else map)(_run, jobs), strict=True):
            for row, found in zip(job.rows, made, strict=True):
                places = slice(row, rows, have)
                own = slice(0, len(ratings[places]))
                question[places], answer[places] = found.puzzles.question[own], found.puzzles.answer[own]
                ratings[places] = found.ratings[own]
                for _ in ratings[places]:
                    tick()
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)
    return RatedPuzzles(Puzzles(question, answer), ratings)
