"""A training run, typed: everything that decides its result except the content of the data and the machine."""

from __future__ import annotations

import itertools
from functools import reduce
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from trm.errors import BadInput
from trm.models.config import TURN, ModelConfig
from trm.numbers import LARGEST_SEED
from trm.remarks import report_rename
from trm.settings import Settings
from trm.tasks.arc.training import ArcSettings
from trm.tasks.custom.structure import Structure
from trm.tasks.family import family_name
from trm.tasks.maze.training import MazeSettings
from trm.tasks.sampler import Reveal
from trm.tasks.text import quoted
from trm.training.boards import BoardName
from trm.training.losses import LossName
from trm.training.optim import OptimizerName

MOST_STEPS, WIDEST = 10**6, 10**4  # of the settings max_steps and window
FOR_FAMILIES = {"arc": "ARC", "maze": "mazes"}  # groups of settings that are for the tasks of one family
MADE = {"model.turns", "model.turn_steps"}  # settings of models that `trm turns` makes, and no run trains
RENAMED = {"steps": "updates"}  # former names of settings -> present ones


class Stage(Settings):
    """A part of a run with another task, another puzzle size or other settings.

    As text it is task:share:max_steps, optionally followed by :window, :loss_limit and :early_halt. A setting left out
    or empty is the run's: :0.5:16::0.25 has the run's task and window.
    """

    task: str | None = None  # None: the run's
    share: float = Field(gt=0, le=1)  # of the run's updates
    max_steps: int | None = Field(None, ge=1, le=MOST_STEPS)  # per puzzle, at most; None, here and below: the run's
    window: int | None = Field(None, ge=1, le=WIDEST)  # supervision steps in an update
    loss_limit: float | None = Field(None, ge=0)  # upper bound of a sequence's answer loss; 0: none
    early_halt: float | None = Field(None, gt=0, le=1)  # halting probability above which a sequence leaves its slot

    @model_validator(mode="before")
    @classmethod
    def parse(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = value.split(":")
        if not 3 <= len(parts) <= len(cls.model_fields):
            raise ValueError(
                "write task:share:max_steps, for example maze-10x10:0.2:16; :window:loss_limit:early_halt may follow"
            )
        return {name: part for name, part in zip(cls.model_fields, parts, strict=False) if part}

    def changes(self) -> dict[str, Any]:
        """The settings of the run that this stage changes, with its values."""
        return self.model_dump(exclude={"share"}, exclude_none=True)


class RunConfig(Settings):
    """The settings of a training run. Defaults are the published TRM's where the paper gives one."""

    # Task and data
    task: str = "sudoku"  # its name, with a size where it is not the usual one: maze-10x10
    data: str = "embedded"  # embedded | hub | generated (mazes) | path of a file, or of a folder of ARC tasks
    limit: int = Field(0, ge=0)  # train on only this many rows, the first ones; 0: on all
    stages: tuple[Stage, ...] = ()  # curriculum before the main task, for example smaller boards
    arc: ArcSettings = ArcSettings()
    maze: MazeSettings = MazeSettings()
    custom: Structure = Structure()  # defines the task `custom`
    # Model
    model: ModelConfig = ModelConfig()
    init: str = ""  # a stored model whose weights to start from; empty: fresh weights
    # Loss
    loss: LossName = "stablemax"  # stablemax | softmax
    loss_limit: float = Field(0.0, ge=0)  # upper bound of a sequence's answer loss, see `losses.limited`; 0: none
    halt_weight: float = Field(0.5, ge=0)  # of the halting loss
    hint_weight: float = Field(1.0, ge=0)  # of the loss on hints, where the model has `hints`
    continue_loss: bool = False  # train the continue logit by Q-learning, as HRM does
    # Supervision steps
    max_steps: int = Field(16, ge=1, le=MOST_STEPS)  # per puzzle, at most; `trm eval` and `trm solve` have --steps
    window: int = Field(1, ge=1, le=WIDEST)  # supervision steps in an update, with gradient through all; the paper: 1
    start_noise: float = Field(0.0, ge=0)  # standard deviation of the noise on a puzzle's initial y and z
    carry: float = Field(0.0, ge=0, le=1)  # share of puzzles that start from the final state of the one before
    explore: float = Field(0.1, ge=0, le=1)  # share of sequences that may not halt for a random number of steps
    # A sequence leaves its slot when its halting probability is above this; 1: each does max_steps. The paper's is 0.5.
    early_halt: float = Field(0.5, gt=0, le=1)
    # Optimiser
    optimizer: OptimizerName = "adam_atan2"  # adam_atan2 | adamw | muon
    lr: float = Field(1e-4, gt=0)  # learning rate, after the warm-up
    lr_floor: float = Field(1.0, ge=0, le=1)  # lr falls to this share of itself by the end; 1: it stays constant
    warmup: int = Field(2000, ge=0)  # updates during which lr rises from 0
    betas: tuple[float, float] = (0.9, 0.95)  # of Adam's moments
    weight_decay: float = Field(1.0, ge=0)  # decoupled: weights shrink by lr * weight_decay in an update
    clip: float = Field(0.0, ge=0)  # largest norm of the gradient; 0: any
    puzzle_lr: float = Field(1e-4, gt=0)  # of the puzzle embeddings
    puzzle_weight_decay: float = Field(1.0, ge=0)  # of the puzzle embeddings
    ema: float = Field(0.999, ge=0, lt=1)  # decay of the weight average; 0: no average
    # Updates and batches
    updates: int = Field(1000, ge=1)  # optimiser steps, all stages together
    batch: int = Field(768, ge=1, le=10**6)  # slots over all processes
    micro: int = Field(0, ge=0)  # slots per forward pass, to save memory or stay in the cache; 0: all of a process
    augment: bool = True  # show each puzzle in a random symmetry
    reveal: Reveal = Reveal()
    seed: int = Field(0, ge=0, le=LARGEST_SEED)  # of the initial weights, the order of the puzzles and all noise
    # Computing
    # Of matrix products. bfloat16: factors with 8 bits of mantissa; tf32: with 10, on a GPU that can; auto: bfloat16 or
    # float32, whichever is faster here, decided when the run starts. All else is float32, or float64 with float64.
    precision: Literal["auto", "float32", "float64", "tf32", "bfloat16"] = "auto"
    compile: bool | Literal["auto"] = False  # use torch.compile; auto: only on CUDA, if Triton is installed
    # Saving and checking
    save_every: int = Field(500, ge=1)  # updates between checkpoints
    keep_every: int = Field(0, ge=0)  # updates between averaged weights that are kept, in update-N; 0: none
    check_every: int = Field(0, ge=0)  # updates between checks on held-out puzzles; 0: none
    check_rows: int = Field(128, ge=1)  # puzzles in a check
    log_every: int = Field(20, ge=1)  # updates between lines of the log
    report: BoardName = "tensorboard"  # where the log's numbers go too: tensorboard (if it is installed) | wandb

    @model_validator(mode="before")
    @classmethod
    def read_old_names(cls, values: Any) -> Any:
        """Settings under former names, such as those of older runs, are still read."""
        if not isinstance(values, dict):
            return values
        for old, new in RENAMED.items():
            if old in values and new in values:
                raise ValueError(f"{old} is the old name of {new}: give one of them")
        values = {RENAMED.get(key, key): value for key, value in values.items()}
        early = str(values.get("early_halt")).lower()
        if early in ("true", "false"):  # it was a choice, and a sequence left where the model halts
            model = values.get("model", {})
            halts = model.get("halt_probability", 0.5) if isinstance(model, dict) else model.halt_probability
            values["early_halt"] = halts if early == "true" else 1.0
        return values

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
            raise ValueError("the shares of the stages add up to 1 or more; leave a share for the run's own task")
        return stages

    def shares(self) -> tuple[float, ...]:
        """Shares of the updates: those of the stages, then that of the run's own task."""
        shares = tuple(stage.share for stage in self.stages)
        return (*shares, 1 - sum(shares))

    def plan(self) -> tuple[RunConfig, ...]:
        """The run's settings in each stage, then those for its own task; none of them has stages."""
        return tuple(self.changed(**changes, stages=()) for changes in (*(s.changes() for s in self.stages), {}))

    def ends(self) -> list[int]:
        """For each stage in `plan`, the number of updates done when it ends."""
        return [*(round(share * self.updates) for share in itertools.accumulate(self.shares()[:-1])), self.updates]

    def puzzle_steps(self, updates: int) -> list[int]:
        """Supervision steps of single puzzles in the first `updates` updates, for each stage in `plan`."""
        ends = [min(updates, end) for end in self.ends()]
        counts = (end - first for first, end in zip([0, *ends], ends, strict=False))
        return [count * part.window * part.batch for count, part in zip(counts, self.plan(), strict=True)]

    def stage_at(self, update: int) -> int:
        """The number in `plan` of the stage to which update `update` (from 0) belongs."""
        return sum(update >= end for end in self.ends()[:-1])


def override(config: RunConfig, settings: list[str]) -> RunConfig:
    """Apply `key=value` settings, with dots for nested keys (`model.width=64`).

    A setting under its former name is applied, and its present name is printed on standard error. Raises BadInput,
    which names the bad setting; also one that would have no effect, as it is for another task.
    """
    values: dict[str, Any] = config.model_dump()
    keys = []
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign:
            raise BadInput(f"--set {quoted(setting)}: write key=value, for example --set lr=0.001")
        if key in RENAMED:
            report_rename(f"--set {key}", f"--set {RENAMED[key]}")
            key = RENAMED[key]
        node: Any = values
        parts = key.split(".")
        for part in parts[:-1]:
            node = node.get(part) if isinstance(node, dict) else None
        bad = f"--set {quoted(setting)}"
        if parts[0] == "custom":
            raise BadInput(f"{bad}: a custom task is declared in a file, see docs/custom.md: give --structure FILE")
        if not isinstance(node, dict) or parts[-1] not in node or isinstance(node[parts[-1]], dict):
            raise BadInput(f"{bad}: no setting {quoted(key)}; there are {', '.join(settable(config))}")
        keys.append(key)
        old = node[parts[-1]]
        node[parts[-1]] = [part for part in value.split(",") if part] if isinstance(old, tuple | list) else value
    changed = RunConfig.validated(values)
    for key in keys:
        group = key.partition(".")[0]
        if group in FOR_FAMILIES.keys() - families(changed) and value_of(changed, key) != value_of(config, key):
            raise BadInput(f"setting {key} is for {FOR_FAMILIES[group]}: it has no effect on {changed.task}")
    return changed


def value_of(config: RunConfig, key: str) -> Any:
    """The value of a setting, with dots for nested ones."""
    return reduce(getattr, key.split("."), config)


def families(config: RunConfig) -> set[str]:
    """The families of the tasks of a run and its stages."""
    return {family_name(part.task) for part in config.plan()}


def settable(config: RunConfig) -> list[str]:
    """The settings of a run that may be changed, sorted by name: without those for tasks of other families."""
    other = {"custom", *FOR_FAMILIES.keys() - families(config)}
    keys = flat_keys(config.model_dump())
    return sorted(key for key in keys if key.partition(".")[0] not in other and key not in MADE)


def flat_keys(values: dict[str, Any], prefix: str = "") -> list[str]:
    """The names of all settings, with dots for nested ones."""
    keys = []
    for key, value in values.items():
        keys += flat_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return keys
