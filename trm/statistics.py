"""Confidence intervals and paired tests for the share of rows that a model answers right. Numpy only."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Bools: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

DRAWS, SEED = 10_000, 0  # for the bootstrap and the permutation test


def interval(right: float, rows: int) -> tuple[float, float]:
    """95 % Wilson score interval of the share `right / rows`. -> (low, high)"""
    z = 1.959964
    share, spread = right / rows, z * z / rows
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / rows + spread / (4 * rows))
    return max(0.0, centre - half), min(1.0, centre + half)


class Share(NamedTuple):
    """A share of rows, with its 95 % interval."""

    mean: float
    low: float
    high: float


class Paired(NamedTuple):
    """A model compared with another one on the same rows."""

    difference: float  # between the shares of right rows
    p: float  # two-sided p-value
    name: Literal["McNemar", "sign flips", "seeds and rows"]  # the test


def share(right: Bools) -> Share:
    """The share of true values in right [seeds, rows], with an interval for the random choice of rows.

    Several seeds answer the same rows, so their answers are not independent: the bootstrap draws whole rows.
    """
    seeds, rows = right.shape
    mean = float(right.mean())
    counts = np.bincount(right.sum(0), minlength=seeds + 1)  # number of rows that 0, 1, ... seeds have right
    if seeds == 1 or counts.max() == rows:  # a bootstrap of equal rows would give an empty interval
        return Share(mean, *interval(round(mean * rows), rows))
    # The share depends on a sample of rows only through these counts, so the counts are drawn.
    drawn = np.random.default_rng(SEED).multinomial(rows, counts / rows, DRAWS) @ np.arange(seeds + 1)
    low, high = np.quantile(drawn / (seeds * rows), (0.025, 0.975)).tolist()
    return Share(mean, low, high)


def paired(mine: Bools, other: Bools) -> Paired:
    """Compare two models by their right rows, [seeds, rows] each, on the same rows.

    Two single runs are compared by McNemar's exact test. Where one of them has several seeds, a permutation test over
    rows compares them: it is about these runs, not about other seeds. Where both have, a t test counts both: the
    variance between seeds, and that of the differences between rows.
    """
    difference = float(mine.mean() - other.mean())
    if len(mine) == len(other) == 1:
        return Paired(difference, mcnemar(int((mine & ~other).sum()), int((other & ~mine).sum())), "McNemar")
    # The differences as whole numbers, so that equal sums compare equal.
    gaps = mine.sum(0) * len(other) - other.sum(0) * len(mine)
    if min(len(mine), len(other)) == 1:
        return Paired(difference, sign_flips(gaps), "sign flips")
    rows = float(gaps.var()) / (len(mine) * len(other)) ** 2 / len(gaps)  # variance of the mean over other rows
    return Paired(difference, student(mine.mean(1), other.mean(1), rows), "seeds and rows")


def student(mine: Floats, other: Floats, more: float = 0.0) -> float:
    """Two-sided p-value of Student's t test of equal variance between two samples, of two values or more each.

    `more`: further variance of the difference of their means.
    """
    freedom, gap = len(mine) + len(other) - 2, abs(mine.mean() - other.mean())
    gap = gap if gap > 1e-12 else 0.0  # equal means, but for rounding
    squares = sum(((sample - sample.mean()) ** 2).sum() for sample in (mine, other))
    spread = math.sqrt(squares / freedom * (1 / len(mine) + 1 / len(other)) + more)
    # With t = tan(angle) * sqrt(freedom), the density of the angle is the cosine to the power of freedom - 1.
    angles = np.linspace(0, math.pi / 2, 10_001)
    inside = np.concatenate([[0], np.cumsum((density := np.cos(angles) ** (freedom - 1))[1:] + density[:-1])])
    angle = math.atan2(gap, spread * math.sqrt(freedom))
    return float(1 - np.interp(angle, angles, inside / inside[-1]))


def mcnemar(mine: int, other: int) -> float:
    """Two-sided p-value of McNemar's exact test, from the numbers of rows that only one of the two has right."""
    both = mine + other
    logs = [
        math.lgamma(both + 1) - math.lgamma(k + 1) - math.lgamma(both - k + 1) - both * math.log(2)
        for k in range(min(mine, other) + 1)
    ]
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


def sign_flips(gaps: Ints) -> float:
    """Two-sided p-value of row-wise differences [rows] when the two models are exchanged at random in each row."""
    # Differences of the same size are flipped together: the number of positive ones is binomial.
    sizes, counts = np.unique(np.abs(gaps[gaps != 0]), return_counts=True)
    positive = np.random.default_rng(SEED).binomial(counts, 0.5, (DRAWS, len(sizes)))
    sums = np.abs((2 * positive - counts) @ sizes)
    return (1 + int((sums >= abs(int(gaps.sum()))).sum())) / (1 + DRAWS)
