"""Settings are validated however they are made, and what is wrong with them is one line."""

from __future__ import annotations

import pytest
from conftest import Call, refused
from pydantic import ValidationError

from trm.errors import BadInput
from trm.models import ModelConfig
from trm.settings import Settings
from trm.training.config import RunConfig, Stage, override, settable
from trm.training.presets import PRESETS


def test_changed_settings_are_validated() -> None:
    run = RunConfig(batch=8, stages=(Stage(task="sudoku", share=0.5, max_steps=2),))
    other = run.changed(batch=16, model=run.model.changed(width=64))
    assert (other.batch, other.model.width, run.batch, run.model.width) == (16, 64, 8, 512)
    assert (other.stages, other.changed(batch=8, model=run.model)) == (run.stages, run)
    assert hash(other.changed(batch=8, model=run.model)) == hash(run)
    for values, message in (
        ({"batch": 0}, r"^setting batch=0: input should be greater than or equal to 1$"),
        ({"lr": float("inf")}, r"^setting lr=inf: input should be a finite number$"),
        ({"btach": 8}, r"^setting btach=8: extra inputs are not permitted$"),
        ({"model": {"width": 64, "heads": 5}}, r"^width 64 must be a multiple of twice the heads \(5\)$"),
        ({"stages": ("sudoku:0.5",)}, r"^setting stages.0='sudoku:0.5': write task:share:max_steps"),
        ({"stages": ({"max_steps": 1},)}, r"^setting stages.0.share: field required$"),
    ):
        with pytest.raises(BadInput, match=message):
            run.changed(**values)


def test_settings_are_frozen_and_equal_by_value() -> None:
    class Size(Settings):
        height: int = 3

    assert Size(height=3) == Size()
    assert {Size(): 1}[Size(height=3)] == 1
    with pytest.raises(ValidationError, match="frozen"):
        Size().height = 4  # type: ignore[misc]
    with pytest.raises(BadInput, match=r"^setting height='x': input should be a valid integer"):
        Size.validated({"height": "x"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 30}, "width 30 must be a multiple of twice the heads (8)"),
        ({"mixer": "local"}, "mixer 'local' has no puzzle embeddings and no positions"),
        (
            {"puzzle_ids": 1, "puzzle_tokens": 1, "puzzle_width": 513},
            "puzzle_width 513 does not fit in 1 puzzle",
        ),
        ({"kind": "hrm", "hints": 2}, "hints are for kind 'trm' and memory 'yz'; set hints=0"),
        ({"kind": "hrm", "memory": "single"}, "memory 'single' is a variant of kind 'trm', not of 'hrm'"),
        ({"memory": "single", "networks": "separate"}, "networks cannot be 'separate'"),
        ({"turns": 2, "memory": "scales"}, "turns are for kind 'trm', memory 'yz' and no hints"),
    ],
)
def test_models_that_contradict_themselves_cannot_be_described(
    change: dict[str, object], message: str, call: Call
) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelConfig.model_validate(change)
    assert message in str(caught.value)
    with pytest.raises(BadInput) as refusal:
        ModelConfig().changed(**change)
    assert message in str(refusal.value)
    options = [part for key, value in change.items() for part in ("--set", f"model.{key}={value}")]
    refused(call("train", "sudoku-extreme-trm-attention", *options), message)
    refused(call("describe", "sudoku-extreme-trm-attention", *options), message)


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_that_are_listed_can_be_set(preset: str) -> None:
    """And settings that are not listed are refused: they would have no effect."""
    config = PRESETS[preset].config
    listed, kind = settable(config), config.task.partition("-")[0]
    for group in ("arc", "maze", "custom"):
        assert any(key.startswith(f"{group}.") for key in listed) == (group == kind != "custom")
    for key in listed:
        assert override(config, [f"{key}={value}" for value in values(config, key)]) == config
    for key, value in (("arc.by_task", not config.arc.by_task), ("maze.near", 0.123)):
        if key not in listed:
            with pytest.raises(BadInput, match=rf"^setting {key} is for \w+: it has no effect on {config.task}$"):
                override(config, [f"{key}={value}"])


def values(config: RunConfig, key: str) -> list[object]:
    """The value of a setting that is no tuple, and none of others."""
    found: object = config
    for part in key.split("."):
        found = getattr(found, part)
    return [] if isinstance(found, tuple) else [found]


def test_settings_that_cannot_be_set(call: Call) -> None:
    for given, words in (
        ("custom.blank=3", "a custom task is declared in a file, see docs/custom.md: give --structure FILE"),
        ("custom=3", "give --structure FILE"),
        ("model=3", "no setting 'model'; there are augment, "),
        ("arc=3", "no setting 'arc'; there are augment, "),
        ("maze.near=0.5", "setting maze.near is for mazes: it has no effect on sudoku"),
    ):
        for command in ("train", "describe"):
            refused(call(command, "sudoku-mini", "--set", given), words)
    for used in ("task=maze-10x10", "stages=maze-10x10:0.5:4"):
        config = override(PRESETS["sudoku-mini"].config, ["maze.near=0.5", used])
        assert config.maze.near == 0.5
