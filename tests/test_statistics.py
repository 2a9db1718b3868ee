"""The statistics of comparing models against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from trm.analysis import records
from trm.statistics import interval, mcnemar, paired, share, sign_flips, student
from trm.tasks.base import Bools


@pytest.mark.parametrize("both", range(11))
def test_mcnemar_enumerated(both: int) -> None:
    """Every way in which the rows that only one of them has right can fall to the two, all as likely."""
    wins = [sum(ways) for ways in itertools.product((0, 1), repeat=both)]
    for mine in range(both + 1):
        far = [win for win in wins if abs(2 * win - both) >= abs(2 * mine - both)]
        assert mcnemar(mine, both - mine) == pytest.approx(len(far) / len(wins), rel=1e-12)


def test_mcnemar_of_many_rows() -> None:
    exact = 2 * sum(math.comb(2000, k) for k in range(901)) / 2**2000
    assert mcnemar(1100, 900) == mcnemar(900, 1100) == pytest.approx(exact, rel=1e-9)
    assert mcnemar(100_000, 0) == 0


@pytest.mark.parametrize("gaps", [[3, 1, -1, 2, 0, 2, 1, -2, 3], [1] * 8, [2, -2], [0, 0], [5, 1, 1, 1, -1, -1, 3]])
def test_sign_flips_enumerated(gaps: list[int]) -> None:
    sums = [int(np.dot(signs, gaps)) for signs in itertools.product((1, -1), repeat=len(gaps))]
    exact = np.mean([abs(total) >= abs(sum(gaps)) for total in sums])
    assert sign_flips(np.array(gaps)) == pytest.approx(exact, abs=0.015)
    assert sign_flips(np.array(gaps)) == sign_flips(-np.array(gaps))


def flags(*rows: str) -> Bools:
    return np.array([records.unpack(row) for row in rows])


def test_which_test_is_used() -> None:
    one, other = flags("1111111000"), flags("1000000001")
    single = paired(one, other)
    assert (single.p, single.name) == (mcnemar(6, 1), "McNemar")
    assert single.difference == pytest.approx(0.5)
    assert paired(one, one) == (0.0, 1.0, "McNemar")
    both = paired(flags("1111111000", "1111110000"), flags("1000000000", "1000000001"))
    assert both.name == "seeds and rows"
    gaps = np.array([0, 1, 1, 1, 1, 1, 0.5, 0, 0, -0.5])
    assert both.p == pytest.approx(student(np.array([0.7, 0.6]), np.array([0.1, 0.2]), gaps.var() / 10))
    assert both.p > student(np.array([0.7, 0.6]), np.array([0.1, 0.2]))
    pooled = paired(flags("1111111000", "1111110000"), other)
    assert pooled.name == "sign flips"
    assert pooled.difference == pytest.approx(0.45)
    assert pooled.p == sign_flips(np.array([0, 2, 2, 2, 2, 2, 1, 0, 0, -2]))
    assert paired(flags("10", "01"), flags("01", "10")).p == 1
    # Groups of two and of three seeds: means are compared, not sums.
    assert paired(np.repeat(one, 2, 0), np.repeat(one, 3, 0)) == (0.0, 1.0, "seeds and rows")


# 97.5 % quantiles of Student's t, from a printed table
@pytest.mark.parametrize(("freedom", "quantile"), [(2, 4.303), (3, 3.182), (4, 2.776), (6, 2.447), (10, 2.228)])
def test_student_by_the_table(freedom: int, quantile: float) -> None:
    mine, other = np.array([1.0, -1.0]), np.resize([1.0, -1.0], freedom)
    other -= other.mean()
    squares = 2 + (other**2).sum()
    spread = math.sqrt(squares / freedom * (1 / 2 + 1 / freedom))
    assert student(mine + quantile * spread, other) == pytest.approx(0.05, abs=1e-4)
    assert student(other, mine - quantile * spread) == pytest.approx(0.05, abs=1e-4)
    assert student(mine, other) == pytest.approx(1)


def test_equal_models_with_seeds_of_their_own_seldom_differ() -> None:
    """Of seeds that vary, as the permutation test over rows alone would often say."""
    rng = np.random.default_rng(3)
    for of_rows, of_seeds in ((0, 0.3), (3, 0.2), (3, 0.3), (2, 0.15)):
        found = []
        for _ in range(200):
            odds = 1 + rng.normal(0, of_seeds, (6, 1)) + rng.normal(0, of_rows, (2, 300)).repeat(3, 0)
            right = rng.random((6, 300)) < 1 / (1 + np.exp(-odds))
            found.append(paired(right[:3], right[3:]).p)
        assert np.mean(np.array(found) < 0.05) <= 0.07


def test_intervals() -> None:
    rng = np.random.default_rng(1)
    right = rng.random((3, 80)) < rng.random(80)
    assert share(right[:1]) == (right[0].mean(), *interval(int(right[0].sum()), 80))
    found = share(right)
    drawn = rng.integers(80, size=(20_000, 80))
    means = right.mean(0)[drawn].mean(1)
    assert tuple(found) == pytest.approx((right.mean(), *np.quantile(means, (0.025, 0.975))), abs=0.006)
    # The same rows over again tell no more than once: an interval for seeds * rows would be narrower by sqrt(3).
    same = share(np.repeat(right[:1], 3, 0))
    assert same[1:] == pytest.approx(share(right[:1])[1:], abs=0.02)
    assert share(np.ones((3, 80), bool)) == (1, *interval(80, 80))
    assert share(flags("1010", "0101")) == (0.5, *interval(2, 4))


def test_the_bootstrap_covers() -> None:
    """About 95 of 100 intervals hold the truth, for seeds that mostly fail on the same rows."""
    rng, hits = np.random.default_rng(2), 0
    for _ in range(200):
        found = share(rng.random((3, 100)) < rng.beta(1, 2, 100))  # mean 1/3
        hits += found.low <= 1 / 3 <= found.high
    assert 0.9 <= hits / 200 <= 0.985
