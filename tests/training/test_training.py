"""Runs: resuming, several processes, slots, and stopping when something is wrong."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import UPDATES, Trm, settings, tiny, trainer
from safetensors.torch import load_file

from trm.cli.main import main
from trm.errors import BadInput, TrmError
from trm.store.stored import CHECKPOINT, load
from trm.tasks.base import Puzzles
from trm.training import checkpoint
from trm.training.config import RunConfig, override
from trm.training.presets import PRESETS
from trm.training.run import train
from trm.training.trainer import NonFinite, Trainer


@pytest.fixture(scope="module")
def uninterrupted(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of a run that nobody stopped."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole")
    assert train(tiny(small_csv), out, "tiny")
    return load_file(out / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_killed_at_random_moments_and_resumed_gives_the_same_weights(
    kind: signal.Signals, small_csv: Path, tmp_path: Path, uninterrupted: dict[str, torch.Tensor]
) -> None:
    command = [sys.executable, "-m", "trm", "train", "sudoku-mini", "--out", "run", "--threads", "1", "--procs", "1"]
    fresh = [*command, "--data", str(small_csv), "--updates", str(UPDATES), *settings("save_every=7")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    rng = np.random.default_rng(int(kind))
    stops = 0
    for _ in range(8):  # two stops at most, so a run that cannot go on ends the test
        begun = (tmp_path / "run" / CHECKPOINT).exists()
        arguments = [*command, "--resume"] if begun else fresh
        process = subprocess.Popen(arguments, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        log = tmp_path / "run" / "log.jsonl"
        logged = log.read_text().count("\n") if log.exists() else 0
        goal = logged + int(rng.integers(3, 12))
        while stops < 2 and process.poll() is None:
            if log.exists() and log.read_text().count("\n") >= goal:
                time.sleep(rng.random() * 0.02)
                process.send_signal(kind)
                break
            time.sleep(0.002)
        _, errors = process.communicate(timeout=60)
        assert b"Traceback" not in errors, errors.decode()
        if process.returncode == 0:
            break
        assert process.returncode == (1 if kind == signal.SIGTERM else -signal.SIGKILL)
        stops += 1
    assert process.returncode == 0, errors.decode()
    assert stops >= 2
    assert same(load_file(tmp_path / "run" / "model.safetensors"), uninterrupted)
    updates = [json.loads(line)["update"] for line in log.read_text().splitlines()]
    assert updates == list(range(1, UPDATES + 1))  # what was done twice is logged once


def test_two_processes_and_one_give_the_same_loss_curve(small_csv: Path, trm: Trm, tmp_path: Path) -> None:
    more = ("precision=float64", "micro=2", "clip=1", "updates=20", "start_noise=0.5", "window=2")
    assert train(tiny(small_csv, *more), tmp_path / "one", "tiny")
    common = ["--data", str(small_csv), "--threads", "1", *settings(*more)]
    done = trm("train", "sudoku-mini", "--out", "two", "--procs", "2", *common)
    assert done.returncode == 0, done.stderr
    curves = []
    for name in ("one", "two"):
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        curves.append([[json.loads(line)[key] for key in ("loss", "halt_loss", "exact")] for line in lines])
    assert len(curves[0]) == 20
    np.testing.assert_allclose(curves[0], curves[1], rtol=0, atol=1e-6)
    # The running batch is saved whole, so a run may go on with another number of processes.
    one, two = (checkpoint.load(tmp_path / name)["trainer"]["slots"] for name in ("one", "two"))
    for key in one:
        torch.testing.assert_close(one[key], two[key])


def test_a_mistake_that_every_process_finds_is_told_once(trm: Trm) -> None:
    done = trm("train", "sudoku-mini", "--out", "two", "--procs", "2", "--data", "nowhere.csv")
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["trm: cannot read 'nowhere.csv': No such file or directory"]


def test_weights_on_the_way_are_kept(small_csv: Path, tmp_path: Path) -> None:
    assert train(tiny(small_csv, "updates=6", "keep_every=2"), tmp_path, "tiny")
    kept = {path.name: load_file(path / "model.safetensors") for path in tmp_path.glob("update-*")}
    assert sorted(kept) == ["update-2", "update-4", "update-6"]
    assert same(kept["update-6"], load_file(tmp_path / "model.safetensors"))
    assert not same(kept["update-2"], kept["update-4"])
    assert load(str(tmp_path / "update-4")).about["update"] == 4


def test_a_run_may_start_from_another_ones_weights(small_csv: Path, tmp_path: Path) -> None:
    assert train(tiny(small_csv, "updates=3"), tmp_path / "first", "tiny")
    weights = load_file(tmp_path / "first" / "model.safetensors")
    assert train(tiny(small_csv, "updates=1", "lr=1e-9", f"init={tmp_path / 'first'}"), tmp_path / "second", "tiny")
    for name, value in load_file(tmp_path / "second" / "model.safetensors").items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=1e-6)
    with pytest.raises(BadInput, match="init: tensor"):
        train(tiny(small_csv, "model.width=16", f"init={tmp_path / 'first'}"), tmp_path / "third", "tiny")


@pytest.mark.parametrize("window", [1, 3])
def test_resuming_in_the_same_process_is_exact(small_csv: Path, window: int) -> None:
    whole, first = (trainer(small_csv, f"window={window}") for _ in range(2))
    for _ in range(12):
        whole.update()
    for _ in range(5):
        first.update()
    second = trainer(small_csv, f"window={window}")
    second.load_state_dict(first.state_dict())
    for _ in range(7):
        second.update()
    assert same(whole.state_dict()["ema"], second.state_dict()["ema"])
    assert whole.totals == second.totals


@pytest.mark.parametrize("micro", ["0", "3"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam_atan2", "muon"])
def test_training_lowers_the_loss(small_csv: Path, optimizer: str, micro: str) -> None:
    subject = trainer(
        small_csv,
        f"optimizer={optimizer}",
        "lr=0.01",
        f"micro={micro}",
        "updates=160",
        "reveal.share=0",
        "start_noise=0",
    )
    losses = []
    for _ in range(160):
        before = subject.totals.loss
        subject.update()
        losses.append(subject.totals.loss - before)
    assert sum(losses[-8:]) < 0.97 * sum(losses[:8])


def test_micro_batches_do_not_change_the_result(small_csv: Path) -> None:
    a, b = trainer(small_csv, "precision=float64"), trainer(small_csv, "precision=float64", "micro=3")
    for _ in range(6):
        a.update()
        b.update()
    for x, y in zip(a.model.parameters(), b.model.parameters(), strict=True):
        torch.testing.assert_close(x, y)


def poison(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let update `number` of any trainer begin with weights that are not finite."""
    update = Trainer.update

    def poisoned(self: Trainer) -> None:
        if self.update_count == number - 1:
            next(self.model.parameters()).data.fill_(float("nan"))
        update(self)

    monkeypatch.setattr(Trainer, "update", poisoned)


def test_a_non_finite_loss_stops_and_keeps_the_last_checkpoint(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 10)
    with pytest.raises(TrmError, match="not finite at update 10; the checkpoint of update 7") as caught:
        train(tiny(small_csv), tmp_path, "tiny")
    assert "\n" not in str(caught.value)
    content = checkpoint.load(tmp_path)
    assert content["trainer"]["update"] == 7
    assert all(torch.isfinite(value).all() for value in content["trainer"]["model"].values())


def test_a_non_finite_gradient_is_known_by_its_update(small_csv: Path) -> None:
    subject = trainer(small_csv)
    subject.update()
    subject.check_finite()
    weights = next(subject.model.parameters())
    handle = weights.register_hook(lambda gradient: torch.full_like(gradient, math.inf))  # type: ignore[no-untyped-call]
    subject.update()
    handle.remove()
    subject.update()  # whatever comes after it
    with pytest.raises(NonFinite) as caught:
        subject.check_finite()
    assert caught.value.update == 2


@pytest.mark.parametrize("event", ["save_every", "keep_every", "log_every"])
def test_nothing_is_reported_or_stored_after_a_non_finite_loss(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    poison(monkeypatch, 3)
    often = {"save_every": 1000, "keep_every": 0, "log_every": 1000} | {event: 4}
    with pytest.raises(TrmError, match="not finite at update 3; no checkpoint was due yet"):
        train(tiny(small_csv, *(f"{name}={value}" for name, value in often.items())), tmp_path, "tiny")
    assert not (tmp_path / "checkpoint.pt").exists()
    assert not list(tmp_path.rglob("model.safetensors"))
    assert (tmp_path / "log.jsonl").read_text() == ""


@pytest.mark.parametrize("name", ["loss_limit", "lr", "clip", "start_noise"])
def test_no_setting_is_infinite(name: str) -> None:
    with pytest.raises(BadInput, match=f"setting {name}='inf': input should be a finite number"):
        override(RunConfig(), [f"{name}=inf"])


def test_minutes_become_updates(small_csv: Path, tmp_path: Path) -> None:
    assert train(tiny(small_csv), tmp_path, "tiny", minutes=0.03)
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["run"]["updates"] == checkpoint.load(tmp_path)["trainer"]["update"] > 1
    assert content["run"]["updates"] != UPDATES


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_checkpoint_is_one_line(small_csv: Path, tmp_path: Path, damage: bytes | None) -> None:
    train(tiny(small_csv, "updates=2"), tmp_path, "tiny")
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(TrmError, match="damaged") as caught:
        train(None, tmp_path, "tiny", resume=True)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_something_else_is_one_line(small_csv: Path, tmp_path: Path) -> None:
    train(tiny(small_csv, "updates=2"), tmp_path, "tiny")
    content = checkpoint.load(tmp_path)
    for other, reason in ((torch.zeros(3), "it holds something else"), ({"version": 1}, "config is missing")):
        torch.save(other, tmp_path / CHECKPOINT)
        with pytest.raises(TrmError, match=f"is damaged: {reason}.*; restore it from a copy, or start a new run in"):
            train(None, tmp_path, "tiny", resume=True)
    later = json.loads(content["config"]) | {"later": 1}
    checkpoint.save(tmp_path, {**content, "config": json.dumps(later)})
    with pytest.raises(
        TrmError, match="another version of this program; this version does not accept its setting later"
    ):
        train(None, tmp_path, "tiny", resume=True)


def test_other_data_and_used_folders_are_refused(small_csv: Path, tmp_path: Path) -> None:
    train(tiny(small_csv, "updates=2"), tmp_path / "run", "tiny")
    with pytest.raises(BadInput, match="already holds a run"):
        train(tiny(small_csv), tmp_path / "run", "tiny")
    with pytest.raises(BadInput, match="nothing to resume"):
        train(None, tmp_path / "new", "tiny", resume=True)
    rows = small_csv.read_text().splitlines(keepends=True)
    moved = tmp_path / "other.csv"
    moved.write_text("".join(rows[:10]))
    content = checkpoint.load(tmp_path / "run")
    config = RunConfig.model_validate_json(content["config"]).changed(data=str(moved))
    checkpoint.save(tmp_path / "run", {**content, "config": config.model_dump_json()})
    with pytest.raises(TrmError, match="other data"):
        train(None, tmp_path / "run", "tiny", resume=True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "batch=9", "--procs", "2"], "batch 9 does not divide over 2 processes"),
        (["--updates", "3", "--minutes", "1"], "--updates or --minutes, not both"),
        (["--resume"], "nothing to resume"),
        (["--resume", "--updates", "3"], "leave out --set, --structure"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    more: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["trm", "train", "sudoku-mini", "--out", str(tmp_path / "run"), *more])
    with pytest.raises(SystemExit) as caught:
        main()
    errors = capsys.readouterr().err
    assert caught.value.code == 2
    assert message in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr", "write key=value"),
        ("learning_rate=1", "no setting 'learning_rate'"),
        ("model.depth=1", "no setting 'model.depth'"),
        ("lr=fast", "setting lr='fast'"),
        ("batch=0", "setting batch='0'"),
        ("loss=mse", "setting loss='mse'"),
    ],
)
def test_bad_settings_are_named(setting: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        override(PRESETS["sudoku-mini"].config, [setting])


def test_puzzles_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        Puzzles(np.zeros((2, 16), np.uint8), np.zeros((3, 16), np.uint8))
