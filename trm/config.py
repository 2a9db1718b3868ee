"""A training run, typed: everything that decides its result apart from the data's content and the machine."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trm.data import Reveal
from trm.errors import BadInput
from trm.losses import LossName
from trm.models.config import ModelConfig
from trm.optim import OptimizerName


class RunConfig(BaseModel):
    """Defaults are the published TRM's where the paper gives one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = "sudoku"
    data: str = "embedded"  # embedded | hub | path of a file
    model: ModelConfig = ModelConfig()
    init: str = ""  # a stored model whose weights to start from; empty: fresh ones
    # Supervision
    loss: LossName = "stablemax"
    halt_weight: float = Field(0.5, ge=0)  # of the halting loss
    continue_loss: bool = False  # Q-learning's second logit, as HRM
    max_steps: int = Field(16, ge=1)  # supervision steps a puzzle
    start_noise: float = Field(0.0, ge=0)  # standard deviation of what is added to the initial y and z of a puzzle
    explore: float = Field(0.1, ge=0, le=1)
    # Optimiser
    optimizer: OptimizerName = "adam_atan2"
    lr: float = Field(1e-4, gt=0)
    lr_floor: float = Field(1.0, ge=0, le=1)  # final share of lr; 1 = constant
    warmup: int = Field(2000, ge=0)
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
    augment: bool = True
    reveal: Reveal = Reveal()
    seed: int = Field(0, ge=0)
    # Running
    precision: Literal["float32", "float64"] = "float32"
    compile: bool = False  # torch.compile, where a compiler is found
    save_every: int = Field(500, ge=1)  # steps between checkpoints
    check_every: int = Field(0, ge=0)  # steps between looks at held-out puzzles; 0 = never
    check_rows: int = Field(128, ge=1)
    log_every: int = Field(20, ge=1)


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
        node[parts[-1]] = value.split(",") if isinstance(old, tuple | list) else value
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
