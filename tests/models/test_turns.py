"""Networks that take turns, against the same networks stepped one after another by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Call, settings, tiny

from trm import Solver, store
from trm.analysis.cost import forward_cost, parameters
from trm.inference.evaluation import evaluate_model
from trm.inference.loop import Thinking, search
from trm.inference.torch_step import TorchBackend
from trm.models import ModelConfig, build
from trm.models.base import join
from trm.models.turns import TurnsTRM
from trm.tasks import load_puzzles
from trm.tasks.base import Spec
from trm.tasks.sudoku.task import Sudoku
from trm.training.run import train

TASK = Sudoku(2, 2)
GROUPS = ModelConfig(mixer="groups", width=8, layers=1, T=1, n=2, positions="none", turns=3, turn_steps=2)
ATTENTION = GROUPS.changed(mixer="attention", heads=2)


def made(config: ModelConfig) -> TurnsTRM:
    torch.manual_seed(3)
    model = build(config, TASK.spec)
    assert isinstance(model, TurnsTRM)
    return model.eval()


@pytest.fixture(scope="module")
def runs(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `a` that kept its weights after 2, 4 and 6 updates, and `b` that went on from it."""
    folder = tmp_path_factory.mktemp("runs")
    assert train(tiny(small_csv, "updates=6", "keep_every=2", "lr=0.1", "ema=0"), folder / "a", "tiny")
    assert train(tiny(small_csv, "updates=2", f"init={folder / 'a'}"), folder / "b", "tiny")
    return folder


@pytest.mark.parametrize("config", [GROUPS, ATTENTION])
@torch.inference_mode()
def test_each_network_takes_its_steps(config: ModelConfig, small_csv: Path) -> None:
    model = made(config)
    question = torch.from_numpy(load_puzzles(TASK, str(small_csv)).question[:3])
    networks = [build(config.changed(turns=1), TASK.spec) for _ in range(3)]
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
    state = join([before for before, _ in alone])
    together = model(state, question)
    for row, (_, expected) in enumerate(alone):
        torch.testing.assert_close(together.logits[row], expected.logits[0])
        torch.testing.assert_close(together.state.z[row], expected.state.z[0])
        assert together.state.steps is not None
        assert together.state.steps[row] == (6, 1, 4, 3)[row]
        torch.testing.assert_close(together.halt[row], expected.halt[0])


def test_turns_change_after_their_steps_and_come_round_again() -> None:
    """Whatever noise a restart has: it is added to y and z alone."""
    model = made(GROUPS.changed(turn_steps=64))
    assert model.turn(torch.arange(4 * 64)).tolist() == [0] * 64 + [1] * 64 + [2] * 64 + [0] * 64
    start, own = TorchBackend(model).start([None, 5], noise=100.0), model.start(1)
    assert start.steps is not None
    assert start.steps.tolist() == [0, 0]
    assert torch.equal(start.y[:1], own.y)
    assert torch.equal(start.z[:1], own.z)
    drawn = torch.Generator().manual_seed(5)  # y comes first
    assert torch.equal(start.y[1], own.y[0] + 100.0 * torch.randn(own.y[0].shape, generator=drawn))
    assert torch.equal(start.z[1], own.z[0] + 100.0 * torch.randn(own.z[0].shape, generator=drawn))


def test_a_step_costs_what_one_networks_does() -> None:
    one = GROUPS.changed(turns=1)
    assert forward_cost(GROUPS, TASK.spec) == forward_cost(one, TASK.spec)
    assert parameters(GROUPS, TASK.spec) == 3 * parameters(one, TASK.spec)


def test_weights_that_a_run_kept_take_turns(runs: Path, tmp_path: Path, call: Call, small_csv: Path) -> None:
    names = [str(runs / name) for name in ("b", "a", "a/update-2")]
    assert call("turns", str(tmp_path / "both"), *names, "--steps", "3").code == 0
    both, members = store.load(str(tmp_path / "both")), [store.load(name) for name in names]
    assert isinstance(both.model, TurnsTRM)
    assert both.model.config.turn_steps == 3
    for network, member in zip((both.model, *both.model.others), members, strict=True):
        theirs = member.model.state_dict()
        mine = {key: value for key, value in network.state_dict().items() if not key.startswith("others.")}
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert [one["update"] for one in both.about["turns"]] == [2, 6, 2]
    # b and, once, what it came from, of which another is an earlier state.
    assert store.training_seconds(both.about) == store.training_seconds(members[0].about)
    # It is evaluated and solves like any other, at another size too.
    puzzles = load_puzzles(TASK, str(small_csv))
    done = evaluate_model(both.model, TASK, puzzles, 9)
    alone = evaluate_model(members[0].model, TASK, puzzles, 9)
    assert np.array_equal(done.cell[:3], alone.cell[:3])
    assert not np.array_equal(done.cell[3:], alone.cell[3:])
    backend, thinking = TorchBackend(both.model), Thinking(steps=9, restarts=2, noise=0.5)
    answers = search(backend, TASK, puzzles.question[:5], thinking, batch=2)
    again = search(backend, TASK, puzzles.question[:5], thinking, batch=5)
    assert [answer.tokens.tolist() for answer in answers] == [answer.tokens.tolist() for answer in again]
    store.resize(both, Sudoku(2, 3).spec)


def test_a_training_that_was_resumed_counts_once(runs: Path) -> None:
    """As another machine or number of threads would have it."""
    first, last = store.load(str(runs / "a/update-2")).about, store.load(str(runs / "a")).about
    both = {"turns": [{**first, "threads": 7, "machine": "another", "torch": "older"}, last]}
    assert store.trainings(both) == [last]
    assert store.trainings({"turns": [{**first, "command": "another"}, last]}) == [
        {**first, "command": "another"},
        last,
    ]


def test_they_are_not_pooled_with_the_first_of_them(runs: Path, tmp_path: Path, call: Call, small_csv: Path) -> None:
    both = str(tmp_path / "both")
    assert call("turns", both, str(runs / "a"), str(runs / "b")).code == 0
    done = call("compare", str(runs / "a"), both, "--data", str(small_csv), "--json")
    assert (done.code, "16 steps use only 1 of the 2 networks" in done.err) == (0, True)
    assert [line["name"] for line in json.loads(done.out)["lines"]] == ["a", "both"]


def test_too_few_steps_for_all_of_them_are_told(runs: Path, tmp_path: Path, call: Call, small_csv: Path) -> None:
    both, puzzle = str(tmp_path / "both"), small_csv.read_text().splitlines()[1].split(",")[1]
    assert call("turns", both, str(runs / "a"), str(runs / "a/update-2"), "--steps", "40").code == 0
    evaluation = ["eval", both, "--data", str(small_csv), "--limit", "2", "--steps"]
    solving = ["solve", "sudoku", puzzle, "--weights", both, "--restarts", "0"]
    for arguments, told in (
        ([*evaluation, "40"], True),
        ([*evaluation, "80"], False),
        ([*solving, "--steps", "79"], True),
        (solving, False),
    ):
        assert ("of the 2 networks" in call(*arguments).err) == told
    assert Solver("sudoku", both).thinking.steps == 80
    assert Solver("sudoku", both, steps=7).thinking.steps == 7
    assert Solver("sudoku", str(runs / "a")).thinking.steps == 24


def test_how_far_z_moved_does_not_count_the_steps(runs: Path, tmp_path: Path, call: Call, small_csv: Path) -> None:
    """While it is the first one's turn, all is as with that one alone."""
    assert call("turns", str(tmp_path / "both"), str(runs / "a"), str(runs / "a/update-2")).code == 0
    puzzle = load_puzzles(TASK, str(small_csv)).question[0]
    both, alone = (Solver("sudoku", name, steps=5, restarts=0) for name in (str(tmp_path / "both"), str(runs / "a")))
    text = Sudoku(2, 2).to_line(puzzle)
    for mine, expected in zip(both.watch(text), alone.watch(text), strict=True):
        assert (mine.moved_y, mine.moved_z) == (expected.moved_y, expected.moved_z)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "two models or more"),
        (["a", "sudoku-mini"], "another shape or task"),
        (["a", "nowhere"], "no model"),
        (["a", "sudoku-search-x4"], "sudoku-search-x4 is already"),
        (["maze", "maze-generated"], "maze cannot take turns: turns are for"),
        (["arc", "arc"], "by numbers of its own"),
    ],
)
def test_what_cannot_take_turns(runs: Path, tmp_path: Path, call: Call, names: list[str], message: str) -> None:
    arc = ModelConfig(width=8, heads=2, layers=1, positions="none", puzzle_ids=3, puzzle_width=8)
    spec = Spec("arc-agi-1", 30, 30, vocab=12, first_symbol=12)
    store.save_model(tmp_path / "arc", build(arc, spec), arc, spec, "arc", {})
    places = {
        name: str(folder / name) for folder in (runs, tmp_path) for name in ("a", "arc") if (folder / name).exists()
    }
    done = call("turns", str(tmp_path / "out"), *(places.get(name, name) for name in names))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert message in done.err
    assert not (tmp_path / "out").exists()


def test_they_are_written_over_nothing(runs: Path, tmp_path: Path, call: Call) -> None:
    """The folder comes first, and is easily forgotten."""
    shutil.copytree(runs, tmp_path / "runs")
    names = [str(tmp_path / "runs" / name) for name in ("a", "b", "a/update-2")]
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    done = call("turns", *names)
    assert (done.code, "already holds a run" in done.err) == (2, True)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_what_networks_that_take_turns_cannot_do(runs: Path, tmp_path: Path, call: Call, small_csv: Path) -> None:
    both, out = str(tmp_path / "both"), str(tmp_path / "out")
    assert call("turns", both, str(runs / "a"), str(runs / "a/update-2")).code == 0
    train = ["train", "sudoku-mini", "--procs", "1", "--data", str(small_csv), "--out", out]
    for arguments, message in (
        (["export", both, "--to", f"{out}.onnx"], "has no ONNX form; export one network"),
        (["export", both, "--to", f"{out}.safetensors"], "turns 2"),
        ([*train, *settings("model.turns=2")], "`trm turns`"),
        ([*train, *settings(f"init={both}")], "init: tensor others.0"),
    ):
        done = call(*arguments)
        assert done.code == 2
        assert done.err.splitlines()[-1].startswith("trm: ")
        assert message in done.err


@pytest.fixture
def script(call: Call, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs scripts/train_search_x2.sh TRAIN.csv OUT and what it is called with; `trm` is the shell's `fake`."""
    train, path = tmp_path / "train.csv", Path(__file__).parents[2] / "scripts/train_search_x2.sh"
    assert call("data", "sudoku", str(train), "--kind", "minimal", "--rows", "2").code == 0

    def start(fake: str, *seeds: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "trm").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path / "said"}\n{fake}\n')
        (tmp_path / "trm").chmod(0o755)
        asked = ["sh", str(path), str(train), str(tmp_path / "out"), *seeds]
        environment = {**os.environ, "TRM": str(tmp_path / "trm")}
        return subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=100, check=False)

    return start


def test_the_script_that_trains_them(script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """With tiny runs in place of its own. Called again, it does nothing again that is done."""
    small = "--set model.width=8 --set max_steps=2 --set updates=2"
    done = script(f"""
case "$*" in data*) set -- "$@" --rows 4 ;; *--resume*) ;; train*) set -- "$@" {small} ;; esac
exec {sys.executable} -m trm "$@"
""", "3")  # fmt: skip
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "said").read_text().splitlines()
    assert sorted(line.split()[0] for line in first) == ["data", *["train"] * 4, "turns"]
    assert not any("--resume" in line for line in first)
    model = store.load(str(tmp_path / "out/turns")).model
    assert (model.config.turns, model.config.turn_steps) == (2, 64)
    for seed, name in ((3, "search3"), (4, "search4")):
        alone = store.load(str(tmp_path / "out" / name))
        assert alone.about["run"]["seed"] == alone.about["init"]["run"]["seed"] == seed
        assert alone.about["data"]["rows"] == 6
    assert script("", "3").returncode == 0
    again = (tmp_path / "said").read_text().splitlines()[len(first) :]
    assert [line.split()[0] for line in again] == ["train"] * 4
    assert all("--resume" in line for line in again)


@pytest.mark.parametrize("failing", ["3", "4"])
def test_where_one_network_of_the_script_fails_both_end(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, failing: str
) -> None:
    """At once, and what is wrong is seen: the other would take an hour."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/data.csv").touch()
    said = tmp_path / "said"
    done = script(f"""
case "$*" in *begin{failing}*)
  until grep -q ready {said}; do sleep 0.05; done
  echo "trm: no room" >&2; exit 1 ;;
esac
trap 'echo ended >>{said}; kill $!; exit' TERM
echo ready >>{said}
sleep 1000 & wait
""", "3", "4")  # fmt: skip
    assert done.returncode == 1
    assert "trm: no room" in done.stderr
    for _ in range(100):
        if "ended" in said.read_text():
            break
        time.sleep(0.1)
    assert "ended" in said.read_text()
    assert "turns" not in {line.split()[0] for line in said.read_text().splitlines()}


@pytest.mark.parametrize(
    ("seeds", "message"), [((), "usage"), (("3", "-4"), "whole numbers"), (("x",), "whole"), (("3", "3"), "differ")]
)
def test_what_the_script_refuses(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, seeds: tuple[str, ...], message: str
) -> None:
    done = script("", *seeds)
    assert (done.returncode, message in done.stderr, (tmp_path / "out").exists()) == (2, True, False)
