"""`benchmarks/ablations.py` and its studies: the plan, its intervals, its table, and one small run of it."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trm.analysis.cost import run_flops
from trm.tasks import get_task

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import ablations
import studies
from ablations import RESULTS, Results, Scores, table
from studies import PAPER, STUDIES, Plan, Study, Variant

DOCUMENT = Path(__file__).parents[2] / "docs/ablations.md"


VARIANTS = PAPER.variants
OURS = [(STUDIES[name], variant) for name in ("sudoku", "maze") for variant in STUDIES[name].variants]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_equal_compute_is_equal(variant: Variant) -> None:
    """To half of the distance at which weights are kept."""
    plan, spec = Plan.of(PAPER, variant, 3000), get_task("sudoku-6x6").spec
    mine = run_flops(variant.config.changed(updates=plan.compute), spec, plan.compute)
    first = run_flops(VARIANTS[0].config, spec, 3000)
    assert mine == pytest.approx(first, abs=run_flops(variant.config, spec, plan.every) * 0.51)
    assert plan.updates % plan.every == plan.compute % plan.every == 0
    config, base = variant.config.model_dump(), VARIANTS[0].config.model_dump()
    changed = {key for key in config if config[key] != base[key]}
    assert changed or variant is VARIANTS[0]
    assert not changed - {"model", "ema", "continue_loss", "early_halt", "max_steps"}  # the rest is the same for all
    assert config["lr_floor"] == 1  # so that a run may be looked at before its end


@pytest.mark.parametrize(("study", "variant"), OURS, ids=lambda one: getattr(one, "name", ""))
def test_a_run_whose_rate_falls_has_the_flops_of_the_first(study: Study, variant: Variant) -> None:
    first, plan = study.variants[0].config, Plan.of(study, variant, study.updates)
    spec = get_task(first.task).spec
    mine = run_flops(variant.config.changed(updates=plan.compute), spec, plan.compute)
    assert mine == pytest.approx(run_flops(first, spec, study.updates), rel=0.002)  # stages end at whole updates
    assert (plan.updates, plan.every) == (plan.compute, 0)
    config, base = variant.config.model_dump(), first.model_dump()
    changed = {key for key in config if config[key] != base[key]}
    assert changed <= {"model", "ema", "loss_limit", "window", "stages"}
    assert changed or variant is study.variants[0]


def test_names_are_of_one_variant() -> None:
    names = [variant.name for study in STUDIES.values() for variant in study.variants]
    assert len(set(names)) == len(names)


def test_intervals_hold_what_they_promise() -> None:
    """Of many experiments with three seeds each, 95 % of the intervals hold the truth."""
    rng = np.random.default_rng(0)
    held = [0, 0]
    for _ in range(2000):
        mine, other = (Scores(tuple(rng.normal(mean, 2, 3).tolist())) for mean in (70, 75))
        difference, half = mine.apart(other)
        held[0] += abs(mine.mean - 70) <= mine.half()
        held[1] += abs(difference + 5) <= half
    assert all(0.935 < count / 2000 < 0.965 for count in held)


def test_one_seed_has_no_interval() -> None:
    assert math.isinf(Scores((50.0,)).half())
    assert Scores((50.0,)).apart(Scores((40.0,))) == (10.0, math.inf)
    assert math.isfinite(Scores((50.0,)).apart(Scores((40.0, 41.0)))[1])


def entry(variant: Variant, seed: int, right: tuple[int, int]) -> dict[str, Any]:
    plan = Plan.of(PAPER, variant, 100)
    found = {
        str(updates): {"exact": count, "halted": {"exact": count - 1, "steps": 2.5}, "seconds": 1}
        for updates, count in zip((plan.updates, plan.compute), right, strict=True)
    }
    head = {"variant": variant.name, "seed": seed, "config": variant.digest}
    return head | {"updates": plan.updates, "compute": plan.compute, "rows": 500, "found": found}


def test_the_table(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    hrm = VARIANTS[2]
    for seed, right in enumerate((400, 410, 420)):
        results.add(entry(VARIANTS[0], seed, (right, right)))
    results.add(entry(hrm, 0, (300, 310)))
    assert not results.find(PAPER, hrm, 1, Plan.of(PAPER, hrm, 100))
    assert not results.find(PAPER, hrm, 0, Plan.of(PAPER, hrm, 200))
    lines = table(PAPER, Results(tmp_path / "results.json"), 100, 3).splitlines()
    assert len(lines) == 4
    first, second = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])
    # The deviation of 80, 82, 84 is 2; 4.303 * 2 / sqrt(3) = 4.97.
    assert first[2:5] == ["80.0, 82.0, 84.0", "82.0 ± 5.0", ""]
    assert first[-2:] == ["81.8 at 2.5", "87.4"]
    # 60 against 82: with one seed of one and three of the other, 4.303 * 2 * sqrt(1 + 1/3) = 9.94.
    assert second[2:5] == ["60.0", "60.0", "-22.0 ± 9.9"]
    assert second[6:8] == ["62.0", "62.0"]


def test_two_commands_may_add_to_one_file(tmp_path: Path) -> None:
    first, second = (Results(tmp_path / "results.json") for _ in range(2))
    first.add(entry(VARIANTS[0], 0, (400, 400)))
    second.add(entry(VARIANTS[0], 1, (410, 410)))
    first.add(entry(VARIANTS[0], 2, (420, 420)))
    assert [one["seed"] for one in Results(tmp_path / "results.json").read()] == [0, 1, 2]


def test_a_run_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(studies.STUDIES, "paper", replace(PAPER, rows=4, steps=2))
    arguments = ["--only", "T1", "--seeds", "1", "--updates", "2", "--procs", "1"]
    arguments += ["--results", str(tmp_path / "results.json"), "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", ["ablations.py", *arguments])
    ablations.main()
    shown = capsys.readouterr()
    assert "T1, seed 0: " in shown.err
    assert "| T=1, n=6 | " in shown.out
    (found,) = json.loads((tmp_path / "results.json").read_text())
    assert (found["updates"], found["compute"], found["rows"]) == (2, 3, 4)
    assert found["found"].keys() == {"2", "3"}
    assert len(list(tmp_path.glob("runs/T1-0-*/update-3/model.safetensors"))) == 1
    ablations.main()
    again = capsys.readouterr()
    assert (again.err, again.out) == ("", shown.out)


def test_the_document_has_the_table_of_the_results() -> None:
    assert RESULTS.exists()
    text, results = DOCUMENT.read_text(), Results(RESULTS)
    for study in STUDIES.values():
        found = table(study, results, study.updates, 3)
        assert found in text or len(found.splitlines()) == 2  # there is no result yet


@pytest.mark.parametrize(
    "arguments",
    [
        ["--updates", "1010"],
        ["--seeds", "7"],
        ["--only", "none"],
        ["--study", "sudoku"],
        ["--validation", "none.csv", "--study", "maze"],
    ],
)
def test_options_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ablations.py", *arguments])
    with pytest.raises(SystemExit) as stopped:
        ablations.main()
    assert stopped.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_failing_run_stops_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def fails(study: Study, variant: Variant, seed: int, plan: Plan, asked: argparse.Namespace) -> dict[str, Any]:
        started.append(variant.name)
        time.sleep(len(started) > 1)  # a training takes its time; without this many fail before the first is noticed
        raise SystemExit("trm train: no")

    monkeypatch.setattr(ablations, "run", fails)
    monkeypatch.setattr(sys, "argv", ["ablations.py", "--procs", "1", "--results", str(tmp_path / "none.json")])
    with pytest.raises(SystemExit, match="trm train: no"):
        ablations.main()
    assert len(started) < len(VARIANTS) / 2


def test_a_study_of_runs_whose_rate_falls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It trains on a file, and is measured on a file, after a few steps and at the end."""
    puzzles = tmp_path / "puzzles.csv"
    ablations.trm(["data", "sudoku", str(puzzles), "--kind", "minimal", "--rows", "8"])
    study = replace(STUDIES["sudoku"], rows=3, skip=2, steps=3, early=2)
    monkeypatch.setitem(studies.STUDIES, "sudoku", study)
    arguments = ["--study", "sudoku", "--only", "groups-n1", "--seeds", "1", "--updates", "2", "--procs", "1"]
    arguments += ["--train", str(puzzles), "--validation", str(puzzles)]
    arguments += ["--results", str(tmp_path / "results.json"), "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", ["ablations.py", *arguments])
    ablations.main()
    assert "| n=1 | " in capsys.readouterr().out
    (found,) = json.loads((tmp_path / "results.json").read_text())
    (run,) = tmp_path.glob("runs/groups-n1-0-*")
    record = json.loads((run / "run.json").read_text())
    assert record["run"]["updates"] == found["updates"] == found["compute"] > 2  # n=1 is cheaper
    assert (record["run"]["stages"][0]["share"], record["paths"]["data"]) == (0.6, str(puzzles))
    (measured,) = found["found"].values()
    assert measured.keys() == {"exact", "early", "halted", "seconds"}
    assert (found["rows"], measured["exact"]) == (3, 0)
