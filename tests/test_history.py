"""`trm history`: tables and pictures of runs' logs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Call

from trm.config import override
from trm.errors import BadInput
from trm.history import Rows, read, solved, stretches
from trm.presets import PRESETS
from trm.run import run
from trm.solver import Thinking
from trm.store import load, training_seconds, trainings

CHECK = {"rows": 200, "exact": [0.1, 0.25]}


def write(folder: Path, *records: dict[str, object], rest: str = "") -> str:
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + rest)
    return str(folder)


def trained(step: int) -> dict[str, object]:
    return {"step": step, "seconds": step * 1.5, "loss": 2.0 - step / 100, "exact": None if step == 20 else 0.5}


def test_what_a_log_says(tmp_path: Path) -> None:
    records = [trained(20), trained(40), {"step": 40, "seconds": 61.0, "check": CHECK}, trained(60)]
    history = read(write(tmp_path / "run", *records, rest='{"step": 80, "sec'))  # cut off while it was written
    np.testing.assert_allclose(history.trained, [[20, 30, 1.8, 0], [40, 60, 1.6, 0.5], [60, 90, 1.4, 0.5]])
    np.testing.assert_allclose(history.checks, [[40, 61, 50, 200]])


def test_stretches_lose_nothing() -> None:
    values = np.arange(4 * 101, dtype=float).reshape(101, 4)
    for most in (1, 7, 101, 500):
        parts = stretches(values, most)
        assert len(parts) == min(most, 101)
        assert np.array_equal(np.concatenate(parts), values)


def test_table_and_picture(call: Call, tmp_path: Path) -> None:
    one = write(tmp_path / "one", *map(trained, range(20, 400, 20)), {"step": 380, "seconds": 571.0, "check": CHECK})
    two = write(tmp_path / "two", trained(20))
    png = tmp_path / "t.png"
    done = call("history", one, two, "--png", str(png))
    assert (done.code, done.err) == (0, "")
    assert "25.0%" in done.out
    assert "19.5% - 31.4%" in done.out  # Wilson's interval of 50 of 200
    assert "check_every" in done.out  # of the second run
    assert png.read_bytes().startswith(b"\x89PNG")


def test_looks_between_reports_are_shown(call: Call, tmp_path: Path) -> None:
    looks = [
        {"step": step, "seconds": 2.0 * step, "check": {"rows": 10, "exact": [right / 10]}}
        for step, right in ((25, 1), (50, 2), (75, 3), (90, 4))
    ]
    done = call("history", write(tmp_path / "run", *map(trained, range(20, 100, 20)), *looks))
    assert [share in done.out for share in ("10.0%", "20.0%", "30.0%", "40.0%")] == [True, True, False, True]


@pytest.mark.parametrize(
    ("rest", "message"),
    [("", "nothing has been logged yet"), ("{}\n{}\n", "line 1: not a line"), ("[1]\n\n", "line 1: not a line")],
)
def test_what_is_no_log(tmp_path: Path, rest: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read(write(tmp_path / "run", rest=rest))


def test_no_folder(call: Call, tmp_path: Path) -> None:
    done = call("history", str(tmp_path / "nothing"))
    assert (done.code, done.out) == (2, "")
    assert "no log of a training" in done.err
    assert done.err.count("\n") == 1


def test_kept_weights_solve_rows_of_a_file(call: Call, small_csv: Path, tmp_path: Path) -> None:
    """A run and one that began with its weights: time goes on, shares are those of `trm eval`, provenance is whole."""
    settings = [*TINY, f"data={small_csv}", "steps=3", "keep_every=2", "lr=1e-9"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(override(PRESETS["sudoku-mini"].config, settings), one, "tiny")
    assert run(override(PRESETS["sudoku-mini"].config, [*settings, f"init={one}"]), two, "tiny")
    first, second = load(str(one)).about, load(str(two)).about
    assert second["init"] == {"name": "tiny", **first}
    assert training_seconds(second) == pytest.approx(second["seconds"] + first["seconds"])
    assert training_seconds({"seconds": 3.0, "run": {"init": "lost"}}) is None
    assert trainings(second) == [second, second["init"]]

    rows = ("--data", str(small_csv), "--skip", "1", "--limit", "3", "--steps", "2")
    png = tmp_path / "t.png"
    done = call("history", str(one), str(two), *rows, "--until", "sure", "--png", str(png))
    assert (done.code, png.read_bytes()[:4]) == (0, b"\x89PNG")
    asked = Rows(str(small_csv), slice(1, 4), Thinking(2, until="end"))
    histories = [replace(read(str(folder)), checks=solved(str(folder), asked)) for folder in (one, two)]
    assert [history.checks[:, 0].tolist() for history in histories] == [[2, 3], [2, 3]]
    logged = [json.loads(line)["seconds"] for line in (two / "log.jsonl").read_text().splitlines()]
    np.testing.assert_allclose(histories[1].trained[:, 1], np.array(logged) + first["seconds"])
    kept = [load(str(folder)).about["seconds"] for folder in (two / "step-2", two)]
    np.testing.assert_allclose(histories[1].checks[:, 1], np.array(kept) + first["seconds"])
    told = json.loads(call("eval", str(one), *rows, "--json").out)
    assert histories[0].checks[-1, 2:].tolist() == [3 * told["exact"][-1], 3]
    assert call("history", str(one), "--steps", "3").code == 2
