"""The typed description of a model: everything needed, with a task's `Spec`, to build it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

TURN = 64  # supervision steps of a turn, unless `trm turns` is told another number


class ModelConfig(BaseModel):
    """Names follow the paper: T recursions a supervision step, n latent updates a recursion."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["trm", "hrm", "direct"] = "trm"
    mixer: str = "attention"  # attention | mlp | groups | local, or a name given to `trm.models.register_mixer`
    width: int = Field(512, ge=8)  # D; for `groups` the channels of one (cell, symbol) pair
    heads: int = Field(8, ge=1)  # attention only
    layers: int = Field(2, ge=1)  # of each network
    expansion: float = Field(4.0, gt=0)  # of the SwiGLU
    multiple: int = Field(256, ge=1)  # the SwiGLU's width is rounded up to a multiple of this
    T: int = Field(3, ge=1)  # recursions a supervision step; the first T-1 carry no gradient
    n: int = Field(6, ge=1)  # latent updates a recursion
    networks: Literal["shared", "separate"] = "shared"  # one network f for z and y, or f_L for z and f_H for y
    turns: int = Field(1, ge=1)  # whole networks that take turns; of trained ones, see `trm turns`
    turn_steps: int = Field(TURN, ge=1)  # supervision steps until the next one goes on
    gradient: Literal["recursion", "one_step"] = "recursion"  # through the last recursion, or its last two updates
    memory: Literal["yz", "single", "scales"] = "yz"  # y and z; one state for both; y and a z_i for each latent update
    hints: int = Field(0, ge=0)  # of the head that learns what a task tells of the way ; 0: none
    positions: Literal["none", "rope", "learned"] = "rope"
    puzzle_ids: int = Field(0, ge=0)  # rows of the puzzle-embedding table; 0: the model has none
    puzzle_tokens: int = Field(16, ge=1)  # positions that a puzzle embedding fills
    puzzle_width: int = Field(512, ge=1)  # length of an embedding, zero-padded to puzzle_tokens * width

    @model_validator(mode="before")
    @classmethod
    def read_removed(cls, values: Any) -> Any:
        """Configurations written before `places` was removed still load; `places=open` no longer exists."""
        if not isinstance(values, dict) or "places" not in values:
            return values
        if values["places"] != "all":
            raise ValueError("places='open' was removed; commit e16795c is the last that has it")
        return {key: value for key, value in values.items() if key != "places"}

    @property
    def round(self) -> int:
        """Supervision steps in which every network has its turn; 1 where there is one network."""
        return self.turns * self.turn_steps if self.turns > 1 else 1
