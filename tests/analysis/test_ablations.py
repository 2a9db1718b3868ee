"""`benchmarks/ablations.py`: its plan, its intervals, its table, and one small run of it."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trm.analysis.cost import run_flops
from trm.tasks import get_task

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import ablations
from ablations import RESULTS, VARIANTS, Plan, Results, Scores, table

DOCUMENT = Path(__file__).parents[2] / "docs/ablations.md"


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_equal_compute_is_equal(variant: ablations.Variant) -> None:
    """To half of the distance at which weights are kept."""
    plan, spec = Plan.of(variant, 3000), get_task("sudoku-6x6").spec
    mine = run_flops(variant.config.changed(updates=plan.compute), spec, plan.compute)
    first = run_flops(VARIANTS[0].config, spec, 3000)
    assert mine == pytest.approx(first, abs=run_flops(variant.config, spec, plan.every) * 0.51)
    assert plan.updates % plan.every == plan.compute % plan.every == 0
    config, base = variant.config.model_dump(), VARIANTS[0].config.model_dump()
    changed = {key for key in config if config[key] != base[key]}
    assert changed or variant is VARIANTS[0]
    assert not changed - {"model", "ema", "continue_loss", "early_halt", "max_steps"}  # the rest is the same for all
    assert config["lr_floor"] == 1  # so that a run may be looked at before its end


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


def entry(variant: ablations.Variant, seed: int, right: tuple[int, int]) -> dict[str, Any]:
    plan = Plan.of(variant, 100)
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
    assert not results.find(hrm, 1, Plan.of(hrm, 100))
    assert not results.find(hrm, 0, Plan.of(hrm, 200))
    lines = table(Results(tmp_path / "results.json"), 100, 3).splitlines()
    assert len(lines) == 4
    first, second = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])
    # The deviation of 80, 82, 84 is 2; 4.303 * 2 / sqrt(3) = 4.97.
    assert first[2:5] == ["80.0, 82.0, 84.0", "82.0 ± 5.0", ""]
    assert first[-2:] == ["81.8 at 2.5", "87.4"]
    # 60 against 82: with one seed of one and three of the other, 4.303 * 2 * sqrt(1 + 1/3) = 9.94.
    assert second[2:5] == ["60.0", "60.0", "-22.0 ± 9.9"]
    assert second[6:8] == ["62.0", "62.0"]


def test_a_run_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ablations, "ROWS", 4)
    monkeypatch.setattr(ablations, "STEPS", 2)
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
    assert table(Results(RESULTS), VARIANTS[0].config.updates, 3) in DOCUMENT.read_text()


@pytest.mark.parametrize("arguments", [["--updates", "1010"], ["--seeds", "7"], ["--only", "none"]])
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

    def fails(variant: ablations.Variant, seed: int, plan: Plan, runs: Path) -> dict[str, Any]:
        started.append(variant.name)
        raise SystemExit("trm train: no")

    monkeypatch.setattr(ablations, "run", fails)
    monkeypatch.setattr(sys, "argv", ["ablations.py", "--procs", "1", "--results", str(tmp_path / "none.json")])
    with pytest.raises(SystemExit, match="trm train: no"):
        ablations.main()
    assert len(started) < len(VARIANTS)
