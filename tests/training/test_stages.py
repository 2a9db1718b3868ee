"""Stages of a run: smaller puzzles first, the same weights throughout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trm.analysis.collect import training_flops
from trm.analysis.cost import memory, run_flops, training_cost
from trm.errors import BadInput
from trm.models import ModelConfig, build, resized
from trm.store.stored import Stored
from trm.tasks import get_task
from trm.tasks.maze import training as maze_training
from trm.tasks.maze.sets import generate
from trm.tasks.maze.task import Maze
from trm.training import checkpoint
from trm.training.config import RunConfig, Stage, override
from trm.training.datasets import training_set
from trm.training.presets import PRESETS
from trm.training.run import train
from trm.training.trainer import Trainer

SMALL = ["model.width=8", "model.n=1", "batch=4", "micro=2", "updates=10", "max_steps=3", "warmup=2"]
STAGES = "stages=maze-4x4:0.2:2,maze-5x6:0.4:5"


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no test waits for mazes that it does not look at."""
    monkeypatch.setattr(maze_training, "POOL", 40)
    maze_training.pool.cache_clear()


def staged(*more: str) -> RunConfig:
    preset = PRESETS["maze-generated"].config
    return override(preset, [*SMALL, "maze.least=0.3", STAGES, "task=maze-6x6", "save_every=3", "log_every=1", *more])


def trainer(config: RunConfig) -> Trainer:
    task = get_task(config.task)
    return Trainer(config, task, training_set(config, task), torch.device("cpu"))


def test_a_run_goes_through_its_stages() -> None:
    config = staged()
    assert config.stages == (
        Stage(task="maze-4x4", share=0.2, max_steps=2),
        Stage(task="maze-5x6", share=0.4, max_steps=5),
    )
    assert [round(share, 9) for share in config.shares()] == [0.2, 0.4, 0.4]
    assert [config.stage_at(update) for update in range(11)] == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    subject = trainer(config)
    weights = {id(p) for p in subject.model.parameters()}
    cells, longest = [], []
    for _ in range(10):
        before = [p.detach().clone() for p in subject.model.parameters()]
        cells.append(subject.stage.slots.question.shape[1])
        longest.append(subject.stage.config.max_steps)
        subject.update()
        assert {id(p) for p in subject.stage.model.parameters()} == weights
        assert subject.stage.model.frame.start_y is subject.model.frame.start_y
        assert any(not torch.equal(a, b) for a, b in zip(before, subject.model.parameters(), strict=True))
    assert cells == [16] * 2 + [30] * 4 + [36] * 4
    assert longest == [2] * 2 + [5] * 4 + [3] * 4
    assert subject.stage.model is subject.model
    assert (subject.stage.slots.taken >= 3).all()


def test_a_stage_learns_in_its_own_way() -> None:
    """A stage with the run's own task and other settings is, step for step, the run that has them from the start."""
    small = [*SMALL, "limit=8", "data=embedded", "augment=false", "explore=0"]
    run = override(PRESETS["sudoku-mini"].config, [*small, "stages=:0.5:2:3:0.25:0.7", "window=2", "loss_limit=0"])
    alone = override(run, ["stages=", "max_steps=2", "window=3", "loss_limit=0.25", "early_halt=0.7"])
    assert [(part.max_steps, part.window, part.loss_limit) for part in run.plan()] == [(2, 3, 0.25), (3, 2, 0)]
    staged_run, alone_run = trainer(run), trainer(alone)
    for step in range(6):
        staged_run.update()
        alone_run.update()
        pairs = zip(staged_run.model.parameters(), alone_run.model.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) == (step < 5)


def test_a_stage_too_short_for_an_update_is_left_out() -> None:
    subject = trainer(staged("stages=maze-4x4:0.04:2,maze-5x6:0.1:5"))  # of ten updates: 0.4 and 1
    cells = []
    for _ in range(3):
        cells.append(subject.stage.slots.question.shape[1])
        subject.update()
    assert cells == [30, 36, 36]


@pytest.mark.parametrize("stop", [1, 2, 4, 6, 9])
def test_resuming_in_any_stage_is_exact(stop: int) -> None:
    whole, first, second = (trainer(staged()) for _ in range(3))
    for _ in range(10):
        whole.update()
    for _ in range(stop):
        first.update()
    second.load_state_dict(first.state_dict())
    for _ in range(10 - stop):
        second.update()
    for name, value in whole.state_dict()["ema"].items():
        assert torch.equal(value, second.state_dict()["ema"][name])


def test_bad_stages_are_refused() -> None:
    for stages, words in (
        ("maze-4x4:0.6:2,maze-5x5:0.4:2", "^the shares of the stages add up to 1 or more; leave a share"),
        ("maze-4x4:0.6", "setting stages.0=.*write task:share:max_steps"),
        ("maze-4x4:x:3", "stages.0.share"),
        ("maze-4x4:0.1:3:0", "stages.0.window"),
        ("maze-4x4:0.1:3:1:-1", "stages.0.loss_limit"),
        ("maze-4x4:0.1:3:1:1:2", "stages.0.early_halt"),
        ("maze-4x4:0.1:3:1:1:1:1", "setting stages.0=.*write task:share:max_steps"),
    ):
        with pytest.raises(BadInput, match=words):
            staged(f"stages={stages}")
    assert staged("stages=").stages == ()
    limited = Stage(task="maze-4x4", share=0.1, max_steps=3, loss_limit=0.25)
    assert staged("stages=maze-4x4:0.1:3::0.25").stages == (limited,)
    with pytest.raises(BadInput, match="task 'maze-4' is unknown"):
        trainer(staged("stages=maze-4:0.5:2"))
    with pytest.raises(BadInput, match="30x30, too small for maze-40x40"):
        trainer(staged("data=embedded", "stages=maze-5x5:0.2:2,maze-40x40:0.5:2"))
    with pytest.raises(BadInput, match="depend on the puzzle's size, so it cannot learn maze-4x4"):
        trainer(staged("model.mixer=mlp"))


def test_models_of_two_sizes_share_their_weights() -> None:
    config = ModelConfig(mixer="local", width=8, layers=1, T=1, n=1, positions="none", multiple=8)
    large = build(config, Maze(6, 6).spec)
    small = resized(large, Maze(3, 4).spec)
    for p in large.parameters():
        p.data.mul_(0.5)
    again = build(config, Maze(3, 4).spec)
    again.load_state_dict(large.state_dict())
    question = torch.from_numpy(generate("hard", 2, 1, 3, 4, 3).question)
    assert torch.equal(small(small.start(2), question).logits, again(again.start(2), question).logits)


def test_the_cost_of_a_run_is_that_of_its_stages() -> None:
    config = staged()
    puzzle_steps = config.batch * config.window
    each = [
        puzzle_steps * training_cost(config, get_task(name).spec).flops for name in ("maze-4x4", "maze-5x6", "maze-6x6")
    ]
    spec = Maze(6, 6).spec
    assert run_flops(config, spec, 10) == 2 * each[0] + 4 * each[1] + 4 * each[2]
    assert run_flops(config, spec, 3) == 2 * each[0] + each[1]
    assert run_flops(staged("stages="), spec, 3) == 3 * each[2]
    wide = staged("stages=maze-4x4:0.2:2:7,maze-5x6:0.4:5")
    assert wide.puzzle_steps(10) == [2 * 7 * wide.batch, 4 * puzzle_steps, 4 * puzzle_steps]
    assert wide.puzzle_steps(3) == [2 * 7 * wide.batch, puzzle_steps, 0]
    assert run_flops(wide, spec, 2) == 2 * 7 * each[0] * wide.batch // puzzle_steps
    about = {"run": staged("stages=").model_dump(), "update": 3}
    small = {"run": staged("stages=", "task=maze-4x4").model_dump(), "update": 7}
    stored = Stored(build(config.model, spec), spec, "maze", {**about, "init": {"name": "small", **small}})
    assert training_flops(stored) == 3 * each[2] + 7 * each[0]
    assert memory(wide, spec).activations > memory(config, spec).activations


def test_minutes_are_shared_out_over_stages(tmp_path: Path) -> None:
    assert train(staged("maze.least=0.2"), tmp_path, "maze", minutes=0.005)
    content = checkpoint.load(tmp_path)
    assert content["trainer"]["update"] == RunConfig.model_validate_json(content["config"]).updates
    assert content["trainer"]["slots"]["question"].shape == (4, 36)
