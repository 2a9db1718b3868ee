"""`trm history`: tables and pictures of runs' logs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Call, settings

from trm.analysis.history import Checks, CheckSettings, Columns, Reports, check_kept, read_history
from trm.errors import BadInput
from trm.inference.loop import Thinking
from trm.models import ModelConfig, build
from trm.store.provenance import training_seconds, trainings
from trm.store.stored import load, save_model
from trm.tasks import get_task
from trm.training.config import override
from trm.training.presets import PRESETS
from trm.training.run import Run, train

NAMES = ("update", "seconds", "exact", "puzzles")
CHECK = {"rows": 200, "exact": [0.1, 0.25]}


def same(one: Columns, other: Columns) -> None:
    """Fail unless both have the same columns."""
    assert type(one) is type(other)
    for name, column in vars(one).items():
        np.testing.assert_allclose(column, getattr(other, name))


def write(folder: Path, *records: dict[str, object], rest: str = "") -> str:
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + rest)
    return str(folder)


def trained(step: int) -> dict[str, object]:
    ended = 0 if step == 20 else step
    return {"update": step, "seconds": step * 1.5, "loss": 2.0 - step / 100, "exact": ended and 0.5, "finished": ended}


def test_what_a_log_says(tmp_path: Path) -> None:
    records = [trained(20), trained(40), {"update": 40, "seconds": 61.0, "check": CHECK}, trained(60)]
    history = read_history(
        write(tmp_path / "run", *records, rest='{"update": 80, "sec')
    )  # cut off while it was written
    reports = Reports.of(
        [
            {"update": 20, "seconds": 30, "loss": 1.8, "exact": 0, "ended": 0},
            {"update": 40, "seconds": 60, "loss": 1.6, "exact": 20, "ended": 40},
            {"update": 60, "seconds": 90, "loss": 1.4, "exact": 30, "ended": 60},
        ]
    )
    same(history.reports, reports)
    same(history.checks, Checks.of([{"update": 40, "seconds": 61, "exact": 50, "puzzles": 200}]))
    renamed = [{"step" if name == "update" else name: part for name, part in one.items()} for one in records]
    again = read_history(write(tmp_path / "older", *renamed))
    same(again.reports, reports)
    same(again.checks, history.checks)


def test_stretches_lose_nothing() -> None:
    numbers = np.arange(4 * 101, dtype=float).reshape(101, 4).tolist()
    checks = Checks.of([dict(zip(NAMES, row, strict=True)) for row in numbers])
    for most in (1, 7, 101, 500):
        parts = checks.stretches(most)
        assert len(parts) == min(most, 101)
        assert min(map(len, parts)) > 0
        for at, name in enumerate(NAMES):
            joined = np.concatenate([getattr(part, name) for part in parts])
            assert joined.tolist() == [row[at] for row in numbers]
    assert Checks.of([]).stretches(3) == []


def test_table_and_picture(call: Call, tmp_path: Path) -> None:
    one = write(tmp_path / "one", *map(trained, range(20, 400, 20)), {"update": 380, "seconds": 571.0, "check": CHECK})
    two = write(tmp_path / "two", trained(20))
    png = tmp_path / "t.png"
    done = call("history", one, two, "--png", str(png))
    assert (done.code, done.err) == (0, f"wrote {png}\n")
    assert "25.0%" in done.out
    assert "19.5% - 31.4%" in done.out  # Wilson's interval of 50 of 200
    assert "check_every" in done.out  # of the second run
    assert png.read_bytes().startswith(b"\x89PNG")


def test_looks_between_reports_are_shown(call: Call, tmp_path: Path) -> None:
    looks = [
        {"update": step, "seconds": 2.0 * step, "check": {"rows": 10, "exact": [right / 10]}}
        for step, right in ((25, 1), (50, 2), (75, 3), (90, 4))
    ]
    done = call("history", write(tmp_path / "run", *map(trained, range(20, 100, 20)), *looks))
    assert [share in done.out for share in ("10.0%", "20.0%", "30.0%", "40.0%")] == [True, True, False, True]


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("", "nothing has been logged yet"),
        ("{}\n{}\n", "no line of log.jsonl is"),
        ("[1]\n\n", "no line of log.jsonl is"),
    ],
)
def test_what_is_no_log(tmp_path: Path, rest: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_history(write(tmp_path / "run", rest=rest))


def test_damaged_lines_are_left_out_and_said(call: Call, tmp_path: Path) -> None:
    """Wherever they are; the other lines say what they said."""
    run = Path(write(tmp_path / "run", *map(trained, range(20, 220, 20))))
    whole = read_history(str(run))
    lines = (run / "log.jsonl").read_bytes().splitlines()
    damage = (
        b"{",
        b"\xff\xfe",
        b"[" * 9000,
        b'{"update": 1e999}',
        b'"x"',
        json.dumps({**trained(50), "loss": float("nan")}).encode(),
        json.dumps({**trained(50), "update": 10**400}).encode(),
        json.dumps({**trained(50), "exact": "half"}).encode(),
        b'{"update": 3, "seconds": 1, "check": 5}',
    )
    for number, line in enumerate(damage):
        lines.insert(2 * number, line)
    (run / "log.jsonl").write_bytes(b"\n".join(lines) + b'\n{"upda')
    found = read_history(str(run))
    assert found.damaged == tuple(range(1, 2 * len(damage), 2))
    same(found.reports, whole.reports)
    done = call("history", str(run))
    assert done.code == 0
    assert done.err == f"trm: {run / 'log.jsonl'}: damaged lines are left out: 1, 3, 5, 7, 9, ...\n"


def test_no_folder(call: Call, tmp_path: Path) -> None:
    done = call("history", str(tmp_path / "nothing"))
    assert (done.code, done.out) == (2, "")
    assert "no log of a training" in done.err
    assert done.err.count("\n") == 1


def test_kept_weights_solve_rows_of_a_file(call: Call, small_csv: Path, tmp_path: Path) -> None:
    """A run and one that began with its weights: time goes on, shares are those of `trm eval`, provenance is whole."""
    shape = ["model.width=48", "model.n=3", "start_noise=0"]  # of weights that solve some rows
    common = [*TINY, *shape, f"data={small_csv}", "updates=3", "keep_every=2", "lr=1e-9"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert train(override(PRESETS["sudoku-mini"].config, [*common, "init=sudoku-mini"]), one, "tiny")
    assert train(override(PRESETS["sudoku-mini"].config, [*common, f"init={one}"]), two, "tiny")
    (one / "update-mine").mkdir()  # not a run's
    first, second = load(str(one)).about, load(str(two)).about
    assert second["init"] == {"name": "tiny", **first}
    mini = load("sudoku-mini").about
    assert training_seconds(second) == pytest.approx(second["seconds"] + first["seconds"] + training_seconds(mini))
    assert training_seconds({"seconds": 3.0, "run": {"init": "lost"}}) is None
    assert trainings(second)[:3] == [second, second["init"], second["init"]["init"]]

    rows = ("--data", str(small_csv), "--skip", "10", "--limit", "20", "--steps", "1")
    png = tmp_path / "t.png"
    done = call("history", str(one), str(two), *rows, "--until", "sure", "--png", str(png))
    assert (done.code, png.read_bytes()[:4]) == (0, b"\x89PNG")
    asked = CheckSettings(str(small_csv), slice(10, 30), Thinking(1, until="end"))
    histories = [replace(read_history(str(folder)), checks=check_kept(str(folder), asked)) for folder in (one, two)]
    assert [history.checks.update.tolist() for history in histories] == [[2, 3], [2, 3]]
    logged = [json.loads(line)["seconds"] for line in (two / "log.jsonl").read_text().splitlines()]
    before = first["seconds"] + training_seconds(mini)
    np.testing.assert_allclose(histories[1].reports.seconds, np.array(logged) + before)
    kept = [load(str(folder)).about["seconds"] for folder in (two / "update-2", two)]
    np.testing.assert_allclose(histories[1].checks.seconds, np.array(kept) + before)
    for until, thinking in (("end", Thinking(1, until="end")), ("sure", Thinking(1, until="sure"))):
        told = json.loads(call("eval", str(one), *rows, "--until", until, "--json").out)
        checks = check_kept(str(one), replace(asked, thinking=thinking))
        right = checks.exact[-1]
        assert (right, checks.puzzles[-1]) == (round(20 * told["exact"][-1]), 20)
        assert 0 < right < 20
    assert call("history", str(one), "--steps", "3").code == 2


def test_kept_weights_of_a_run_that_goes_on(call: Call, small_csv: Path, tmp_path: Path) -> None:
    """Weights are shown in the order of their steps, whatever was saved last; what is not whole yet is left out."""
    config = override(PRESETS["sudoku-mini"].config, [*TINY, f"data={small_csv}", "updates=4", "keep_every=1"])
    folder = tmp_path / "run"
    assert train(config, folder, "tiny")
    asked = CheckSettings(str(small_csv), slice(0, 2), Thinking(1, until="end"))
    assert check_kept(str(folder), asked).update.tolist() == [1, 2, 3, 4]
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((folder / "update-2" / name).read_bytes())  # of the last checkpoint
    (folder / "update-3" / "config.json").unlink()
    assert check_kept(str(folder), asked).update.tolist() == [1, 2, 4]
    (folder / "config.json").unlink()
    assert check_kept(str(folder), asked).update.tolist() == [1, 2, 4]
    (folder / "checkpoint.pt").unlink()
    (folder / "model.safetensors").unlink()
    refused = call("train", "sudoku-mini", *settings(f"data={small_csv}"), "--out", str(folder))
    assert (refused.code, "already holds weights of a run (update-*)" in refused.err) == (2, True)
    with pytest.raises(BadInput, match="holds no weights yet"):
        check_kept(write(tmp_path / "new", trained(20)), asked)


def test_time_counts_from_what_is_known(small_csv: Path, tmp_path: Path) -> None:
    """Where an earlier training's time is not known, both curves count from the run's own beginning."""
    config = override(PRESETS["sudoku-mini"].config, [*TINY, f"data={small_csv}", "updates=2"])
    assert train(config, tmp_path / "run", "tiny")
    path = tmp_path / "run" / "config.json"
    content = json.loads(path.read_text())
    content["about"]["run"]["init"] = "lost"
    content["about"]["seconds"] = 7.5
    path.write_text(json.dumps(content))
    points = check_kept(str(tmp_path / "run"), CheckSettings(str(small_csv), slice(0, 2), Thinking(1, until="end")))
    assert points.seconds[0] == 7.5


def test_a_resumed_run_keeps_what_it_began_with(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [*TINY, f"data={small_csv}", "updates=4", "save_every=2"]
    config = override(PRESETS["sudoku-mini"].config, more)
    assert train(config, tmp_path / "one", "tiny")
    monkeypatch.setattr(Run, "should_stop", lambda self, parent: self.trainer.update_count == 2)
    began = override(config, [f"init={tmp_path / 'one'}"])
    assert not train(began, tmp_path / "two", "tiny")
    monkeypatch.undo()
    assert train(None, tmp_path / "two", "", resume=True)
    assert load(str(tmp_path / "two")).about["init"] == {"name": "tiny", **load(str(tmp_path / "one")).about}


def test_arc_is_not_scored_row_by_row(tmp_path: Path) -> None:
    folder = tmp_path / "arc"
    spec, config = get_task("arc-agi-1").spec, ModelConfig(width=8, heads=1, layers=1, T=1, n=1)
    save_model(folder, build(config, spec), config, spec, "arc", {})
    with pytest.raises(BadInput, match="ARC is scored by votes"):
        check_kept(str(folder), CheckSettings("embedded", slice(0, 1), Thinking(1, until="end")))
