"""Runs and command lines from when an update was called a step: both still work, and the new name is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Call, Trm, settings, tiny
from safetensors.torch import load_file

from trm.analysis.collect import training_flops
from trm.analysis.history import read_history
from trm.errors import BadInput
from trm.store.provenance import trainings
from trm.store.stored import CONFIG, check_free, load
from trm.training import checkpoint
from trm.training.config import RunConfig, override
from trm.training.log import LOG, trim_log
from trm.training.run import Run, train

OLD = {"update": "step", "updates": "steps"}


def aged(value: Any) -> Any:
    """`value` with the keys that it had then."""
    if isinstance(value, dict):
        return {OLD.get(key, key): aged(part) for key, part in value.items()}
    return [aged(part) for part in value] if isinstance(value, list) else value


def age(folder: Path) -> None:
    """Rewrite a run's folder as it was written then."""
    content = checkpoint.load(folder)
    trainer = {OLD.get(key, key): value for key, value in content["trainer"].items()}
    old = {"config": json.dumps(aged(json.loads(content["config"]))), "about": aged(content["about"])}
    checkpoint.save(folder, {**content, **old, "trainer": trainer})
    for path in (folder / CONFIG, folder / "run.json"):
        path.write_text(json.dumps(aged(json.loads(path.read_text()))))
    lines = [json.dumps(aged(json.loads(line))) for line in (folder / LOG).read_text().splitlines()]
    (folder / LOG).write_text("\n".join(lines) + "\n")


@pytest.fixture
def old(small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an old run that was stopped after five of eight updates; its log goes on to the sixth."""
    folder = tmp_path / "old"
    with monkeypatch.context() as patch:
        patch.setattr(Run, "should_stop", lambda self, parent: self.trainer.update_count == 5)
        assert not train(tiny(small_csv, "updates=8"), folder, "tiny")
    age(folder)
    assert [json.loads(line)["step"] for line in (folder / LOG).read_text().splitlines()] == [1, 2, 3, 4, 5]
    with (folder / LOG).open("a") as log:
        log.write('{"step": 6}\n')
    return folder


def test_an_old_run_is_resumed_to_the_same_weights(
    old: Path, small_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny(small_csv, "updates=8"), tmp_path / "whole", "tiny")
    capsys.readouterr()
    assert train(None, old, "tiny", resume=True)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("trm: ")]
    assert told == [f"trm: {old} is from an older version: its setting steps is now updates"]
    whole, resumed = (load_file(folder / "model.safetensors") for folder in (tmp_path / "whole", old))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole.keys() | resumed.keys())
    records = [json.loads(line) for line in (old / LOG).read_text().splitlines()]
    assert [record.get("update", record.get("step")) for record in records] == list(range(1, 9))
    assert ["step" in record for record in records] == [True] * 5 + [False] * 3
    expected = [json.loads(line)["loss"] for line in (tmp_path / "whole" / LOG).read_text().splitlines()]
    assert [record["loss"] for record in records] == expected
    assert read_history(str(old)).reports.update.tolist() == list(range(1, 9))
    assert train(None, old, "tiny", resume=True)  # by now it is a run of today
    assert "older version" not in capsys.readouterr().err


def test_the_log_is_cut_by_either_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ['{"step": 1}', '{"step": 3}', '{"update": 2}', '{"update": 4}', "{", '{"seconds": 1}']
    (tmp_path / LOG).write_text("\n".join(lines))
    trim_log(tmp_path / LOG, 2)
    assert (tmp_path / LOG).read_text().splitlines() == [lines[0], lines[2]]
    assert (tmp_path / f"{LOG}.damaged").read_text().splitlines() == lines
    assert capsys.readouterr().err == (
        f"trm: {tmp_path / LOG}: damaged lines were left out (5); the log as it was is in {LOG}.damaged\n"
    )


def test_what_an_old_model_says_of_its_training(
    old: Path, small_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load(str(old))
    assert (before.about["step"], before.about["run"]["steps"]) == (5, 8)
    flops = training_flops(before)
    assert train(None, old, "tiny", resume=True)
    after = load(str(old))
    assert (after.about["update"], after.about["run"]["updates"]) == (8, 8)
    assert flops is not None
    assert training_flops(after) == flops // 5 * 8
    # Two states of one training: the later one counts.
    assert trainings({"turns": [before.about, after.about]}) == [after.about]
    capsys.readouterr()
    assert RunConfig.model_validate(before.about["run"]) == tiny(small_csv, "updates=8", "precision=float32")
    assert capsys.readouterr().err == ""


def test_a_run_has_either_name_not_both() -> None:
    assert RunConfig.model_validate({"steps": 7}).updates == 7
    with pytest.raises(ValueError, match="steps is the old name of updates: give one of them"):
        RunConfig.model_validate({"steps": 7, "updates": 8})


def test_weights_that_an_old_run_kept_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "step-3").mkdir()
    with pytest.raises(BadInput, match=r"already holds weights of a run \(step-\*\)"):
        check_free(tmp_path)


def test_old_settings_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert override(RunConfig(), ["steps=7", "lr=1"]).updates == 7
    assert capsys.readouterr().err == "trm: --set steps is now --set updates\n"


def test_old_options_are_understood(call: Call, small_csv: Path, tmp_path: Path) -> None:
    common = ("--data", str(small_csv), "--threads", "1", "--procs", "1", *settings())
    done = call("train", "sudoku-mini", "--steps", "2", "--out", str(tmp_path / "run"), *common)
    assert (done.code, done.err.splitlines()[0]) == (0, "trm: --steps is now --updates")
    assert done.err.count("is now") == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["run"]["updates"] == 2
    assert "--steps" not in call("train", "--help").out
    both = call("train", "sudoku-mini", "--steps", "2", "--updates", "3")
    assert (both.code, both.err) == (2, "trm: --steps is the old name of --updates: give one of them\n")


def test_several_processes_tell_a_new_name_once(small_csv: Path, trm: Trm) -> None:
    common = ("--data", str(small_csv), "--threads", "1", *settings())
    done = trm("train", "sudoku-mini", "--procs", "2", "--steps", "2", "--set", "steps=2", "--out", "two", *common)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "is now" in line]
    assert told == ["trm: --steps is now --updates", "trm: --set steps is now --set updates"]


@pytest.mark.parametrize(
    ("old", "halts", "now"), [(True, 0.99, 0.99), (True, 0.5, 0.5), (False, 0.99, 1.0), ("true", 0.9, 0.9)]
)
def test_early_halt_was_a_choice(old: object, halts: float, now: float) -> None:
    """A sequence left its slot where the model halts, or never."""
    values = {**RunConfig().model_dump(), "early_halt": old}
    values["model"]["halt_probability"] = halts
    assert RunConfig.validated(values).early_halt == now
