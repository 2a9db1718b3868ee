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
from conftest import TINY, Trm, settings
from safetensors.torch import load_file

from trm import checkpoint
from trm.cli import main
from trm.config import RunConfig, override
from trm.data import Reveal, Sampler
from trm.errors import BadInput, TrmError
from trm.losses import step_loss
from trm.models import State
from trm.presets import PRESETS
from trm.run import run
from trm.store import load
from trm.tasks import load_puzzles
from trm.tasks.base import Puzzles
from trm.tasks.sudoku import Sudoku
from trm.train import NonFinite, Trainer

STEPS = 30


def tiny(data: Path, *more: str) -> RunConfig:
    return override(PRESETS["sudoku-mini"].config, [*TINY, f"data={data}", f"steps={STEPS}", "save_every=7", *more])


def trainer(data: Path, *more: str) -> Trainer:
    task = Sudoku(2, 2)
    return Trainer(tiny(data, *more), task, load_puzzles(task, str(data)), torch.device("cpu"))


@pytest.fixture(scope="module")
def uninterrupted(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of a run that nobody stopped."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole")
    assert run(tiny(small_csv), out, "tiny")
    return load_file(out / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_killed_at_random_moments_and_resumed_gives_the_same_weights(
    kind: signal.Signals, small_csv: Path, tmp_path: Path, uninterrupted: dict[str, torch.Tensor]
) -> None:
    command = [sys.executable, "-m", "trm", "train", "sudoku-mini", "--out", "run", "--threads", "1", "--procs", "1"]
    fresh = [*command, "--data", str(small_csv), "--steps", str(STEPS), *settings("save_every=7")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    rng = np.random.default_rng(int(kind))
    stops = 0
    for _ in range(8):  # two stops at most, so a run that cannot go on ends the test
        begun = (tmp_path / "run" / checkpoint.NAME).exists()
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
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == list(range(1, STEPS + 1))  # what was done twice is logged once


def test_two_processes_and_one_give_the_same_loss_curve(small_csv: Path, trm: Trm, tmp_path: Path) -> None:
    more = ("precision=float64", "micro=2", "clip=1", "steps=20", "start_noise=0.5", "model.places=open", "window=2")
    assert run(tiny(small_csv, *more), tmp_path / "one", "tiny")
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


def test_a_noisy_start_is_drawn_for_every_puzzle_anew(small_csv: Path) -> None:
    still, noisy = trainer(small_csv), trainer(small_csv, "start_noise=0.25")
    starts = [subject.refill(slice(0, 8), State(subject.slots.y, subject.slots.z)) for subject in (still, noisy)]
    for before, after in zip(*starts, strict=True):
        added = after - before
        assert added.std() == pytest.approx(0.25, rel=0.1)
        assert len({row.numpy().tobytes() for row in added}) == len(added)
    assert noisy.model.start(1).y.equal(still.model.start(1).y)  # what is stored stays as it is


def test_weights_on_the_way_are_kept(small_csv: Path, tmp_path: Path) -> None:
    assert run(tiny(small_csv, "steps=6", "keep_every=2"), tmp_path, "tiny")
    kept = {path.name: load_file(path / "model.safetensors") for path in tmp_path.glob("step-*")}
    assert sorted(kept) == ["step-2", "step-4", "step-6"]
    assert same(kept["step-6"], load_file(tmp_path / "model.safetensors"))
    assert not same(kept["step-2"], kept["step-4"])
    assert load(str(tmp_path / "step-4")).about["step"] == 4


def test_a_run_may_start_from_another_ones_weights(small_csv: Path, tmp_path: Path) -> None:
    assert run(tiny(small_csv, "steps=3"), tmp_path / "first", "tiny")
    weights = load_file(tmp_path / "first" / "model.safetensors")
    assert run(tiny(small_csv, "steps=1", "lr=1e-9", f"init={tmp_path / 'first'}"), tmp_path / "second", "tiny")
    for name, value in load_file(tmp_path / "second" / "model.safetensors").items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=1e-6)
    with pytest.raises(BadInput, match="init: tensor"):
        run(tiny(small_csv, "model.width=16", f"init={tmp_path / 'first'}"), tmp_path / "third", "tiny")


@pytest.mark.parametrize("window", [1, 3])
def test_resuming_in_the_same_process_is_exact(small_csv: Path, window: int) -> None:
    whole, first = (trainer(small_csv, f"window={window}") for _ in range(2))
    for _ in range(12):
        whole.advance()
    for _ in range(5):
        first.advance()
    second = trainer(small_csv, f"window={window}")
    second.load_state_dict(first.state_dict())
    for _ in range(7):
        second.advance()
    assert same(whole.state_dict()["ema"], second.state_dict()["ema"])
    assert whole.totals == second.totals


@pytest.mark.parametrize("micro", ["0", "3"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam_atan2", "muon"])
def test_training_lowers_the_loss(small_csv: Path, optimizer: str, micro: str) -> None:
    subject = trainer(
        small_csv, f"optimizer={optimizer}", "lr=0.01", f"micro={micro}", "steps=80", "reveal.share=0", "start_noise=0"
    )
    losses = []
    for _ in range(80):
        before = subject.totals.loss
        subject.advance()
        losses.append(subject.totals.loss - before)
    assert sum(losses[-8:]) < 0.97 * sum(losses[:8])


def test_micro_batches_do_not_change_the_result(small_csv: Path) -> None:
    a, b = trainer(small_csv, "precision=float64"), trainer(small_csv, "precision=float64", "micro=3")
    for _ in range(6):
        a.advance()
        b.advance()
    for x, y in zip(a.model.parameters(), b.model.parameters(), strict=True):
        torch.testing.assert_close(x, y)


def test_a_window_sends_the_gradient_through_its_steps_and_takes_new_puzzles_in_between(small_csv: Path) -> None:
    more = ("precision=float64", "explore=0", "max_steps=2", "window=3", "start_noise=0", "reveal.share=0")
    subject, by_hand = trainer(small_csv, *more), trainer(small_csv, *more)
    subject.learn(slice(0, 8))
    assert subject.slots.taken.tolist() == [2] * 8
    # Two steps on the first puzzle of each slot, then one on the next: as if the state began anew, by hand.
    loss = torch.zeros((), dtype=torch.float64)
    for puzzle, steps in ((0, 2), (1, 1)):
        draws = [by_hand.sampler.draw(slot, puzzle, 0.0) for slot in range(8)]
        question, answer = (torch.from_numpy(np.stack([draw[k] for draw in draws])) for k in (0, 1))
        state = by_hand.model.start(8)
        for _ in range(steps):
            output = by_hand.model(state, question)
            losses = step_loss(output, answer, by_hand.model.first_token, by_hand.config.loss)
            loss, state = loss + (losses.answer + by_hand.config.halt_weight * losses.halt).sum(), output.state
    torch.autograd.backward(loss / 24)
    for mine, theirs in zip(subject.model.parameters(), by_hand.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_with_a_limit_a_sequence_counts_the_less_the_worse_it_is(small_csv: Path) -> None:
    """The gradient of each sequence's loss, found on its own, is weighed by exp(-loss / limit)."""
    more = ("precision=float64", "start_noise=0", "reveal.share=0", "loss_limit=0.5", "halt_weight=0", "micro=3")
    subject, by_hand = trainer(small_csv, *more), trainer(small_csv, *more)
    for part in (slice(0, 3), slice(3, 6), slice(6, 8)):
        subject.learn(part)
    draws = [by_hand.sampler.draw(slot, 0, 0.0) for slot in range(8)]
    question, answer = (torch.from_numpy(np.stack([draw[k] for draw in draws])) for k in (0, 1))
    output = by_hand.model(by_hand.model.start(8), question)
    losses = step_loss(output, answer, by_hand.model.first_token, by_hand.config.loss).answer
    assert losses.max() - losses.min() > 0.01
    parameters = {name: p for name, p in by_hand.model.named_parameters() if "halt" not in name}
    expected = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for loss in losses:
        grads = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
        for total, grad in zip(expected.values(), grads, strict=True):
            total += math.exp(-loss.item() / 0.5) * grad / 8
    for name, mine in subject.model.named_parameters():
        if "halt" not in name:
            torch.testing.assert_close(mine.grad, expected[name])


def test_halted_slots_take_new_puzzles_and_others_go_on(small_csv: Path) -> None:
    subject = trainer(small_csv, "explore=0", "max_steps=3")
    for expected in ([1, 1], [2, 1], [3, 1], [1, 2], [2, 2], [3, 2], [1, 3]):
        before = subject.slots.question.clone()
        subject.advance()
        assert subject.slots.steps.tolist() == [expected[0]] * 8
        assert subject.slots.taken.tolist() == [expected[1]] * 8
        if expected[0] > 1:
            assert torch.equal(before, subject.slots.question)


@pytest.mark.parametrize("early", [True, False])
def test_a_model_that_wants_to_halt_does_so_unless_it_must_not(small_csv: Path, early: bool) -> None:
    subject = trainer(small_csv, "explore=0", "max_steps=3", f"early_halt={early}")
    with torch.no_grad():
        subject.model.frame.halt.bias.fill_(99.0)
    for _ in range(6):
        subject.advance()
    assert subject.slots.taken.tolist() == [6 if early else 2] * 8


def test_every_epoch_visits_every_puzzle_once(small_csv: Path) -> None:
    task = Sudoku(2, 2)
    puzzles = load_puzzles(task, str(small_csv))
    sampler = Sampler(puzzles, task, batch=8, seed=1, augment=False, reveal=Reveal())
    for epoch in range(3):
        drawn = [sampler.draw(s, epoch * 5 + t, 0.0).question.tobytes() for t in range(5) for s in range(8)]
        assert sorted(drawn) == sorted(row.tobytes() for row in puzzles.question)


def test_draws_depend_on_the_slot_alone_and_reveal_fades(small_csv: Path) -> None:
    task = Sudoku(2, 2)
    puzzles = load_puzzles(task, str(small_csv))
    sampler = Sampler(puzzles, task, 8, seed=1, augment=True, reveal=Reveal(share=1.0, most=1.0, until=0.5))
    late, early = sampler.draw(3, 2, 0.6), sampler.draw(3, 2, 0.0)
    shown = [sum((sampler.draw(slot, 2, at).question >= 2).sum() for slot in range(8)) for at in (0.0, 0.6)]
    assert shown[0] > shown[1]
    np.testing.assert_array_equal(late.answer, early.answer)
    assert task.valid(early.question[None], early.answer[None])[0]
    again = Sampler(puzzles, task, 8, 1, True, Reveal()).draw(3, 2, 0.0)
    np.testing.assert_array_equal(again.question, late.question)


def test_a_non_finite_loss_stops_and_keeps_the_last_checkpoint(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Trainer.advance

    def poisoned(self: Trainer) -> None:
        if self.step == 9:
            next(self.model.parameters()).data.fill_(float("nan"))
        advance(self)

    monkeypatch.setattr(Trainer, "advance", poisoned)
    with pytest.raises(TrmError, match="not finite at step 10; the checkpoint of step 7") as caught:
        run(tiny(small_csv), tmp_path, "tiny")
    assert "\n" not in str(caught.value)
    content = checkpoint.load(tmp_path)
    assert content["trainer"]["step"] == 7
    assert all(torch.isfinite(value).all() for value in content["trainer"]["model"].values())


def test_a_non_finite_gradient_leaves_the_weights_alone(small_csv: Path) -> None:
    subject = trainer(small_csv)
    weights = list(subject.model.parameters())
    weights[0].register_hook(lambda gradient: torch.full_like(gradient, math.inf))  # type: ignore[no-untyped-call]
    before = [p.detach().clone() for p in weights]
    with pytest.raises(NonFinite):
        subject.advance()
    assert all(torch.equal(a, b) for a, b in zip(before, weights, strict=True))


@pytest.mark.parametrize("name", ["loss_limit", "lr", "clip", "start_noise"])
def test_no_setting_is_infinite(name: str) -> None:
    with pytest.raises(BadInput, match=f"setting {name}='inf': input should be a finite number"):
        override(RunConfig(), [f"{name}=inf"])


def test_minutes_become_steps(small_csv: Path, tmp_path: Path) -> None:
    assert run(tiny(small_csv), tmp_path, "tiny", minutes=0.03)
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["run"]["steps"] == checkpoint.load(tmp_path)["trainer"]["step"] > 1
    assert content["run"]["steps"] != STEPS


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_checkpoint_is_one_line(small_csv: Path, tmp_path: Path, damage: bytes | None) -> None:
    run(tiny(small_csv, "steps=2"), tmp_path, "tiny")
    path = tmp_path / checkpoint.NAME
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(TrmError, match="damaged") as caught:
        run(None, tmp_path, "tiny", resume=True)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_something_else_is_one_line(small_csv: Path, tmp_path: Path) -> None:
    run(tiny(small_csv, "steps=2"), tmp_path, "tiny")
    content = checkpoint.load(tmp_path)
    for other in (torch.zeros(3), {"version": 1}):
        torch.save(other, tmp_path / checkpoint.NAME)
        with pytest.raises(TrmError, match=r"damaged .it holds something else.; start the run again in another --out"):
            run(None, tmp_path, "tiny", resume=True)
    later = json.loads(content["config"]) | {"later": 1}
    checkpoint.save(tmp_path, {**content, "config": json.dumps(later)})
    with pytest.raises(TrmError, match="another version of this program, whose setting later this one does not take"):
        run(None, tmp_path, "tiny", resume=True)


def test_other_data_and_used_folders_are_refused(small_csv: Path, tmp_path: Path) -> None:
    run(tiny(small_csv, "steps=2"), tmp_path / "run", "tiny")
    with pytest.raises(BadInput, match="already holds a run"):
        run(tiny(small_csv), tmp_path / "run", "tiny")
    with pytest.raises(BadInput, match="nothing to resume"):
        run(None, tmp_path / "new", "tiny", resume=True)
    rows = small_csv.read_text().splitlines(keepends=True)
    moved = tmp_path / "other.csv"
    moved.write_text("".join(rows[:10]))
    content = checkpoint.load(tmp_path / "run")
    config = RunConfig.model_validate_json(content["config"]).model_copy(update={"data": str(moved)})
    checkpoint.save(tmp_path / "run", {**content, "config": config.model_dump_json()})
    with pytest.raises(TrmError, match="other data"):
        run(None, tmp_path / "run", "tiny", resume=True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "batch=9", "--procs", "2"], "batch 9 does not divide over 2 processes"),
        (["--steps", "3", "--minutes", "1"], "--steps or --minutes, not both"),
        (["--resume"], "nothing to resume"),
        (["--resume", "--steps", "3"], "leave out --set, --data"),
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
