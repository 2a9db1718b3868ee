"""A training run, typed: everything that decides its result apart from the data's content and the machine."""

from __future__ import annotations

import itertools
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from trm.errors import BadInput
from trm.models.config import TURN, ModelConfig
from trm.tasks.arc.training import ArcSettings
from trm.tasks.custom.structure import Structure
from trm.tasks.maze.training import MazeSettings
from trm.tasks.sampler import Reveal
from trm.training.losses import LossName
from trm.training.optim import OptimizerName


class Stage(BaseModel):
    """A part of a run that trains on another task, on the same at another size, or in another way. Also written
    task:share:max_steps, with :window and :loss_limit after it where they are not the run's (task:share:max_steps::0.25
    has the run's window).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str
    share: float = Field(gt=0, le=1)  # of the run's optimiser steps
    max_steps: int = Field(ge=1)  # supervision steps a puzzle
    window: int | None = Field(None, ge=1)  # None: the run's
    loss_limit: float | None = Field(None, ge=0)  # None: the run's

    @model_validator(mode="before")
    @classmethod
    def parse(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = value.split(":")
        if not 3 <= len(parts) <= len(cls.model_fields):
            raise ValueError("write task:share:max_steps, for example maze-10x10:0.2:16; :window:loss_limit may follow")
        return {name: part for name, part in zip(cls.model_fields, parts, strict=False) if part}

    def changes(self) -> dict[str, Any]:
        """The run's settings that are others in this stage, with their values."""
        return self.model_dump(exclude={"share"}, exclude_none=True)


class RunConfig(BaseModel):
    """Defaults are the published TRM's where the paper gives one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str = "sudoku"
    data: str = "embedded"  # embedded | hub | generated (mazes) | path of a file, or of a folder of ARC tasks
    limit: int = Field(0, ge=0)  # train on the first so many rows of the data; 0 = all
    stages: tuple[Stage, ...] = ()  # what the run begins with, smaller puzzles say; `task` has the rest
    arc: ArcSettings = ArcSettings()
    maze: MazeSettings = MazeSettings()
    custom: Structure = Structure()  # what defines the task `custom`
    model: ModelConfig = ModelConfig()
    init: str = ""  # a stored model whose weights to start from; empty: fresh ones
    # Supervision
    loss: LossName = "stablemax"  # or softmax
    loss_limit: float = Field(0.0, ge=0)  # what an answer can cost at most, so that trying one pays; 0: no limit
    halt_weight: float = Field(0.5, ge=0)  # of the halting loss
    hint_weight: float = Field(1.0, ge=0)  # of the loss on hints, where `model.hints` is set
    continue_loss: bool = False  # Q-learning's second logit, as HRM
    max_steps: int = Field(16, ge=1)  # supervision steps a puzzle
    window: int = Field(1, ge=1)  # supervision steps that share one gradient and one weight update; the paper's is 1
    start_noise: float = Field(0.0, ge=0)  # standard deviation of what is added to the initial y and z of a puzzle
    carry: float = Field(0.0, ge=0, le=1)  # how often a puzzle starts from the state that the one before it left
    explore: float = Field(0.1, ge=0, le=1)  # how often a sequence must do a random number of steps before it may halt
    early_halt: bool = True  # in training, a sequence that halts leaves its slot; else each does max_steps
    # Optimiser
    optimizer: OptimizerName = "adam_atan2"  # or adamw, muon
    lr: float = Field(1e-4, gt=0)
    lr_floor: float = Field(1.0, ge=0, le=1)  # final share of lr; 1 = constant
    warmup: int = Field(2000, ge=0)  # optimiser steps in which lr rises from 0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(1.0, ge=0)
    clip: float = Field(0.0, ge=0)  # norm the gradient is cut to; 0 = off
    puzzle_lr: float = Field(1e-4, gt=0)
    puzzle_weight_decay: float = Field(1.0, ge=0)
    ema: float = Field(0.999, ge=0, lt=1)
    # Batches
    batch: int = Field(768, ge=1)  # slots over all ranks
    micro: int = Field(0, ge=0)  # slots a forward pass, to stay in cache; 0 = all of a rank's
    steps: int = Field(1000, ge=1)  # optimiser steps
    augment: bool = True  # a random symmetry of every puzzle
    reveal: Reveal = Reveal()
    seed: int = Field(0, ge=0)
    # Running
    # tf32: float32 with matrix products rounded to ten bits of mantissa, on a GPU that can; bfloat16: products in it
    precision: Literal["float32", "float64", "tf32", "bfloat16"] = "float32"
    compile: bool = False  # torch.compile, where a compiler is found
    save_every: int = Field(500, ge=1)  # steps between checkpoints
    keep_every: int = Field(0, ge=0)  # steps between averaged weights that are kept, in step-N of the folder; 0 = none
    check_every: int = Field(0, ge=0)  # steps between looks at held-out puzzles; 0 = never
    check_rows: int = Field(128, ge=1)  # puzzles of such a look
    log_every: int = Field(20, ge=1)

    @field_validator("model")
    @classmethod
    def train_one(cls, model: ModelConfig) -> ModelConfig:
        if model.turns > 1 or model.turn_steps != TURN:
            raise ValueError("networks that take turns are trained first, and put together by `trm turns`")
        return model

    @field_validator("stages")
    @classmethod
    def leave_a_rest(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        if sum(stage.share for stage in stages) >= 1:
            raise ValueError("the shares of the stages come to 1 or more; leave some of the run to its own task")
        return stages

    def shares(self) -> tuple[float, ...]:
        """Of the optimiser steps, each stage's and, at last, that of the run's own task."""
        shares = tuple(stage.share for stage in self.stages)
        return (*shares, 1 - sum(shares))

    def plan(self) -> tuple[RunConfig, ...]:
        """The settings of each stage, with those of the run's own task at last."""
        changes = (*(stage.changes() for stage in self.stages), {})
        return tuple(self.model_copy(update={**changed, "stages": ()}) for changed in changes)

    def ends(self) -> list[int]:
        """The optimiser step after the last one of each stage in `plan`."""
        return [*(round(share * self.steps) for share in itertools.accumulate(self.shares()[:-1])), self.steps]

    def puzzle_steps(self, steps: int) -> list[int]:
        """Supervision steps of single puzzles in the first `steps` optimiser steps, for each stage in `plan`."""
        ends = [min(steps, end) for end in self.ends()]
        counts = (end - first for first, end in zip([0, *ends], ends, strict=False))
        return [count * part.window * part.batch for count, part in zip(counts, self.plan(), strict=True)]

    def stage_at(self, step: int) -> int:
        """The number in `plan` of the stage in which optimiser step `step` (from 0) is done."""
        return sum(step >= end for end in self.ends()[:-1])


def override(config: RunConfig, settings: list[str]) -> RunConfig:
    """Apply `key=value` settings, dots for nested keys (`model.width=64`). Raises BadInput naming the bad one."""
    values: dict[str, Any] = config.model_dump()
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign:
            raise BadInput(f"--set {setting}: write key=value, for example --set lr=0.001")
        node: Any = values
        parts = key.split(".")
        for part in parts[:-1]:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or parts[-1] not in node:
            known = ", ".join(sorted(flat_keys(config.model_dump())))
            raise BadInput(f"--set {setting}: no setting {key!r}; there are {known}")
        old = node[parts[-1]]
        node[parts[-1]] = [part for part in value.split(",") if part] if isinstance(old, tuple | list) else value
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"setting {where}={first['input']!r}: {first['msg'].lower()}") from None


def flat_keys(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of all settings."""
    keys = []
    for key, value in values.items():
        keys += flat_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return keys
