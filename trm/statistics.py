"""Intervals and paired tests for shares of rows. Numpy only."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Bools: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]

DRAWS, SEED = 10_000, 0  # of the bootstrap and of the permutation test


def interval(right: float, rows: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share."""
    z = 1.959964
    share, spread = right / rows, z * z / rows
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / rows + spread / (4 * rows))
    return max(0.0, centre - half), min(1.0, centre + half)


class Share(NamedTuple):
    """A share of rows with its 95 % interval."""

    mean: float
    low: float
    high: float


class Paired(NamedTuple):
    """One line against the first."""

    difference: float  # of the shares
    p: float  # two-sided
    name: Literal["McNemar", "sign flips"]


def share(right: Bools) -> Share:
    """The mean over seeds and rows of right [seeds, rows], and how far chance in the choice of rows may have moved it.

    Several seeds answer the same rows, so their answers are no independent draws: whole rows are drawn again.
    """
    seeds, rows = right.shape
    mean = float(right.mean())
    counts = np.bincount(right.sum(0), minlength=seeds + 1)  # rows that none, one, ... of the seeds has right
    if seeds == 1 or counts.max() == rows:  # a bootstrap of rows that are all alike would be sure of itself
        return Share(mean, *interval(round(mean * rows), rows))
    # A sample of rows matters only by these counts, so they are drawn, and not the rows.
    drawn = np.random.default_rng(SEED).multinomial(rows, counts / rows, DRAWS) @ np.arange(seeds + 1)
    low, high = np.quantile(drawn / (seeds * rows), (0.025, 0.975)).tolist()
    return Share(mean, low, high)


def paired(mine: Bools, other: Bools) -> Paired:
    """Two lines [seeds, rows] on the same rows: an exact test of two runs, a permutation test of pooled seeds."""
    difference = float(mine.mean() - other.mean())
    if len(mine) == len(other) == 1:
        return Paired(difference, mcnemar(int((mine & ~other).sum()), int((other & ~mine).sum())), "McNemar")
    # Differences of means in whole numbers, so that equal sums compare equal.
    gaps = mine.sum(0) * len(other) - other.sum(0) * len(mine)
    return Paired(difference, sign_flips(gaps), "sign flips")


def mcnemar(mine: int, other: int) -> float:
    """Two-sided p of the exact McNemar test, given how many rows only the one and only the other has right."""
    both = mine + other
    logs = [
        math.lgamma(both + 1) - math.lgamma(k + 1) - math.lgamma(both - k + 1) - both * math.log(2)
        for k in range(min(mine, other) + 1)
    ]
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


def sign_flips(gaps: Ints) -> float:
    """Two-sided p of a row-wise difference [rows] under random exchanges of the two models in each row."""
    # Rows of the same size are flipped together: how many of them are positive is binomial.
    sizes, counts = np.unique(np.abs(gaps[gaps != 0]), return_counts=True)
    positive = np.random.default_rng(SEED).binomial(counts, 0.5, (DRAWS, len(sizes)))
    sums = np.abs((2 * positive - counts) @ sizes)
    return (1 + int((sums >= abs(int(gaps.sum()))).sum())) / (1 + DRAWS)
