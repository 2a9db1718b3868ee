"""Networks that take turns, against the same networks stepped one after another by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Call, settings, tiny

from trm import store
from trm.cost import forward_cost, parameters
from trm.evaluate import evaluate
from trm.models import ModelConfig, State, build
from trm.models.turns import TurnsTRM
from trm.run import run
from trm.solver import Thinking, solve
from trm.tasks import load_puzzles
from trm.tasks.sudoku import Sudoku

TASK = Sudoku(2, 2)
GROUPS = ModelConfig(mixer="groups", width=8, layers=1, T=1, n=2, positions="none", turns=3, turn_steps=2)
ATTENTION = GROUPS.model_copy(update={"mixer": "attention", "heads": 2})


def made(config: ModelConfig) -> TurnsTRM:
    torch.manual_seed(3)
    model = build(config, TASK.spec)
    assert isinstance(model, TurnsTRM)
    return model.eval()


@pytest.fixture(scope="module")
def runs(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `a` that kept its weights after 2, 4 and 6 steps, and `b` that went on from it."""
    folder = tmp_path_factory.mktemp("runs")
    assert run(tiny(small_csv, "steps=6", "keep_every=2", "lr=0.1", "ema=0"), folder / "a", "tiny")
    assert run(tiny(small_csv, "steps=2", f"init={folder / 'a'}"), folder / "b", "tiny")
    return folder


@pytest.mark.parametrize("config", [GROUPS, ATTENTION])
@torch.inference_mode()
def test_each_network_takes_its_steps(config: ModelConfig, small_csv: Path) -> None:
    model = made(config)
    question = torch.from_numpy(load_puzzles(TASK, str(small_csv)).question[:3])
    networks = [build(config.model_copy(update={"turns": 1}), TASK.spec) for _ in range(3)]
    networks[0].load_state_dict(model.state_dict(), strict=False)
    for network, other in zip(networks[1:], model.others, strict=True):
        network.load_state_dict(other.state_dict())
    ours, theirs = model.start(3), networks[0].start(3)
    for number in (0, 0, 1, 1, 2, 2, 0, 0, 1):
        output, alone = model(ours, question), networks[number](theirs, question)
        ours, theirs = output.state, alone.state
        for mine, expected in zip(output[1:], alone[1:], strict=True):
            assert mine is expected is None or torch.equal(mine, expected)
    assert len({network.answer(theirs.y).sum().item() for network in networks}) == 3  # they are three


@torch.inference_mode()
def test_puzzles_of_a_batch_may_have_come_as_far_as_they_like(small_csv: Path) -> None:
    model, question = made(GROUPS), torch.from_numpy(load_puzzles(TASK, str(small_csv)).question[:4])
    alone = []
    for row, steps in enumerate((5, 0, 3, 2)):
        state = model.start(1)
        for _ in range(steps):
            state = model(state, question[row : row + 1]).state
        alone.append((state, model(state, question[row : row + 1])))
    state = State(*(torch.cat([before[part] for before, _ in alone]) for part in (0, 1)))
    together = model(state, question)
    for row, (_, expected) in enumerate(alone):
        torch.testing.assert_close(together.logits[row], expected.logits[0])
        torch.testing.assert_close(together.state.z[row], expected.state.z[0])
        torch.testing.assert_close(together.halt[row], expected.halt[0])


@torch.inference_mode()
def test_noise_at_the_start_moves_a_turn_by_a_step_or_two_at_most() -> None:
    model = made(GROUPS.model_copy(update={"turn_steps": 64}))
    noise = torch.randn(10_000)
    assert (model.turn(noise) == 0).all()
    assert (model.turn(noise + 64 + 5) == 1).all()
    assert (model.turn(noise + 3 * 64 + 5) == 0).all()


def test_a_step_costs_what_one_networks_does() -> None:
    one = GROUPS.model_copy(update={"turns": 1})
    assert forward_cost(GROUPS, TASK.spec) == forward_cost(one, TASK.spec)
    assert parameters(GROUPS, TASK.spec) == 3 * parameters(one, TASK.spec)


def test_weights_that_a_run_kept_take_turns(runs: Path, tmp_path: Path, call: Call, small_csv: Path) -> None:
    names = [str(runs / name) for name in ("b", "a", "a/step-2")]
    assert call("turns", str(tmp_path / "both"), *names, "--steps", "3").code == 0
    both, members = store.load(str(tmp_path / "both")), [store.load(name) for name in names]
    assert isinstance(both.model, TurnsTRM)
    assert both.model.config.turn_steps == 3
    for network, member in zip((both.model, *both.model.others), members, strict=True):
        theirs = member.model.state_dict()
        mine = {key: value for key, value in network.state_dict().items() if not key.startswith("others.")}
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert [one["step"] for one in both.about["turns"]] == [2, 6, 2]
    # b and, once, what it came from, of which another is an earlier state.
    assert store.training_seconds(both.about) == store.training_seconds(members[0].about)
    # It is evaluated and solves like any other, at another size too.
    puzzles = load_puzzles(TASK, str(small_csv))
    done = evaluate(both.model, TASK, puzzles, 9)
    alone = evaluate(members[0].model, TASK, puzzles, 9)
    assert np.array_equal(done.cell[:3], alone.cell[:3])
    assert not np.array_equal(done.cell[3:], alone.cell[3:])
    answers = solve(both, TASK, puzzles.question[:5], Thinking(steps=9, restarts=2, noise=0.5), batch=2)
    again = solve(both, TASK, puzzles.question[:5], Thinking(steps=9, restarts=2, noise=0.5), batch=5)
    assert [answer.tokens.tolist() for answer in answers] == [answer.tokens.tolist() for answer in again]
    store.resize(both, Sudoku(2, 3).spec)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "two models or more"),
        (["a", "sudoku-mini"], "another shape or task"),
        (["a", "nowhere"], "no model"),
        (["sudoku-extreme-cpu-turns", "sudoku-extreme-cpu-turns"], "already"),
    ],
)
def test_what_cannot_take_turns(runs: Path, tmp_path: Path, call: Call, names: list[str], message: str) -> None:
    paths = [str(runs / name) if (runs / name).exists() else name for name in names]
    done = call("turns", str(tmp_path / "out"), *paths)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert message in done.err
    assert not (tmp_path / "out").exists()


def test_what_networks_that_take_turns_cannot_do(runs: Path, tmp_path: Path, call: Call, small_csv: Path) -> None:
    both, out = str(tmp_path / "both"), str(tmp_path / "out")
    assert call("turns", both, str(runs / "a"), str(runs / "a/step-2")).code == 0
    train = ["train", "sudoku-mini", "--procs", "1", "--data", str(small_csv), "--out", out]
    for arguments, message in (
        (["export", both, "--to", f"{out}.onnx"], "export one of them"),
        (["export", both, "--to", f"{out}.safetensors"], "turns 2"),
        ([*train, *settings("model.turns=2")], "`trm turns`"),
        ([*train, *settings(f"init={both}")], "init: tensor others.0"),
    ):
        done = call(*arguments)
        assert done.code == 2
        assert done.err.splitlines()[-1].startswith("trm: ")
        assert message in done.err


def test_the_script_that_trains_them(call: Call, tmp_path: Path) -> None:
    """With tiny runs in place of its own. Called again, it does nothing again that is done."""
    said, train, fake, out = tmp_path / "said", tmp_path / "train.csv", tmp_path / "trm", tmp_path / "out"
    assert call("data", "sudoku", str(train), "--kind", "minimal", "--rows", "2").code == 0
    small = "--set model.width=8 --set max_steps=2 --set steps=2"
    fake.write_text(f"""#!/bin/sh
echo "$*" >>{said}
case "$*" in data*) set -- "$@" --rows 4 ;; *--resume*) ;; train*) set -- "$@" {small} ;; esac
exec {sys.executable} -m trm "$@"
""")
    fake.chmod(0o755)
    script = Path(__file__).parents[1] / "benchmarks/train_sudoku_turns.sh"
    asked, environment = ["sh", str(script), str(train), str(out), "3"], {**os.environ, "TRM": str(fake)}
    subprocess.run(asked, env=environment, check=True)
    first = said.read_text().splitlines()
    assert sorted(line.split()[0] for line in first) == ["data", *["train"] * 4, "turns"]
    assert "--resume" not in said.read_text()
    model = store.load(str(out / "turns")).model
    assert (model.config.turns, model.config.turn_steps) == (2, 64)
    for seed, name in ((3, "search3"), (4, "search4")):
        alone = store.load(str(out / name))
        assert alone.about["run"]["seed"] == alone.about["init"]["run"]["seed"] == seed
        assert alone.about["data"]["rows"] == 6
    fake.write_text(f'#!/bin/sh\necho "$*" >>{said}\n')
    subprocess.run(asked, env=environment, check=True)
    again = said.read_text().splitlines()[len(first) :]
    assert sorted(line.split()[0] for line in again) == [*["train"] * 4, "turns"]
    assert sum("--resume" in line for line in again) == 4
