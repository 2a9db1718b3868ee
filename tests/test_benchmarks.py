"""The benchmarks run: each for a moment, with as little work as it can do. What they measure is not looked at."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import bench_paper
import bench_precision
import bench_sizes
import bench_step


def test_ours_and_the_reference_agree_at_full_size() -> None:
    """One of the paper's models, forward and backward, as the benchmark calls them."""
    preset, _ = bench_paper.CASES["mlp, 97 tokens, n=6"]
    assert bench_paper.agree(bench_paper.Case(preset, 1)) < 1e-3


def test_calls_a_second_by_any_clock() -> None:
    calls, seconds = list[int](), iter(range(100))
    found = bench_step.rate(lambda: calls.append(1), 1, 5.0, lambda: float(next(seconds)))
    assert found * 6 == pytest.approx(len(calls)) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="it reads a process's memory from /proc")
def test_a_board_in_both_backends(tmp_path: Path) -> None:
    label, stored = next(bench_sizes.models())
    bench_sizes.write(tmp_path, stored)
    assert label == "Sudoku 6x6"
    for backend in bench_sizes.BACKENDS.values():
        engine, cells = backend(str(tmp_path))
        milliseconds, kilobytes = bench_sizes.timed(engine, cells, 1)
        assert cells == 36
        assert 0 < milliseconds < 1e5
        assert kilobytes > 10_000


@pytest.mark.parametrize("row", [row for row in bench_precision.table() if "tokens" not in row])
def test_a_row_of_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], row: str) -> None:
    """Each in every precision of this machine, once."""
    for name, least in (("HARD", 1), ("STEPS", 2), ("UPDATES", 1)):
        monkeypatch.setattr(bench_precision, name, least)
    unit, precisions, make = bench_precision.table()[row]
    found = {}
    for precision in precisions:
        work, units = make(precision)
        work()
        found[f"now {precision}"] = float(units)
    bench_precision.show(row, unit, found, [found])
    assert f"{row}, {unit}/s: now float32" in capsys.readouterr().out
