"""The typed description of a model: with a task's `Spec`, everything that is needed to build it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from trm.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self

MOST_WEIGHTS = 2 * 10**9  # that a model may have, about; 8 GB. More is a slip of the keyboard
TURN = 64  # supervision steps of a turn, unless `trm turns` is told another number


def layers_in_words(layers: int | Sequence[int]) -> str:
    """`ModelConfig.layers` for people."""
    if isinstance(layers, int):
        return f"{layers} layer{'s' if layers > 1 else ''}"
    return f"{layers[0]} and {layers[1]} layers"


class ModelConfig(Settings):
    """A model's shape. Names follow the paper: T recursions per supervision step, n latent updates per recursion."""

    # Network
    kind: Literal["trm", "hrm", "direct"] = "trm"  # direct: the network alone, without recursion
    mixer: str = (
        "attention"  # attention | mlp | groups | local | relations, or a name given to `trm.models.register_mixer`
    )
    width: int = Field(512, ge=8, le=8192)  # D; for `groups` the channels of one (cell, symbol) pair
    heads: int = Field(8, ge=1, le=8192)  # of the mixer `attention`
    # Of each network; or a pair, of f_L and of f_H (networks=separate, and HRM): --set model.layers=2,4
    layers: int | tuple[int, int] = 2
    expansion: float = Field(4.0, gt=0, le=100)  # of the SwiGLU
    multiple: int = Field(256, ge=1, le=65536)  # the SwiGLU's hidden width is rounded up to a multiple of this
    positions: Literal["none", "rope", "learned"] = "rope"  # how a token's position is encoded
    # Recursion
    T: int = Field(3, ge=1, le=10000)  # recursions per supervision step; the first T-1 carry no gradient
    n: int = Field(6, ge=1, le=10000)  # latent updates per recursion
    networks: Literal["shared", "separate"] = "shared"  # one network f for z and y, or f_L for z and f_H for y
    gradient: Literal["recursion", "one_step"] = "recursion"  # through the last recursion, or its last two updates
    memory: Literal["yz", "single", "scales"] = "yz"  # y and z; one state for both; y and a z_i for each latent update
    turns: int = Field(1, ge=1, le=10000)  # trained networks that take turns (see `trm turns`)
    turn_steps: int = Field(TURN, ge=1)  # supervision steps of a turn
    # Heads and embeddings
    # The model halts above this probability of a right answer, the sigmoid of the halting logit; the paper's is 0.5. At
    # 0.5 a model often halts at an easy puzzle a step before the answer is complete.
    halt_probability: float = Field(0.5, gt=0, lt=1)
    hints: int = Field(0, ge=0, le=10000)  # logits per cell of the head that learns a task's hints; 0: no such head
    puzzle_ids: int = Field(0, ge=0)  # rows of the puzzle-embedding table; 0: no puzzle embeddings
    puzzle_tokens: int = Field(16, ge=1, le=10000)  # positions that a puzzle embedding fills
    puzzle_width: int = Field(512, ge=1)  # length of a puzzle embedding, zero-padded to puzzle_tokens * width

    @model_validator(mode="before")
    @classmethod
    def read_removed(cls, values: Any) -> Any:
        """Configurations written before `places` was removed still load; `places=open` no longer exists."""
        if not isinstance(values, dict) or "places" not in values:
            return values
        if values["places"] != "all":
            raise ValueError("places='open' was removed; commit e16795c is the last that has it")
        return {key: value for key, value in values.items() if key != "places"}

    @field_validator("layers", mode="before")
    @classmethod
    def read_layers(cls, value: Any) -> Any:
        """A number, or two of them; as text with a comma."""
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
        numbers = [int(part) for part in parts if type(part) is int or (isinstance(part, str) and part.isdecimal())]
        fits = len(numbers) == len(parts) == 2 or (
            len(numbers) == len(parts) == 1 and not isinstance(value, list | tuple)
        )
        if not fits or not all(1 <= one <= 1000 for one in numbers):
            raise ValueError("write the number of layers, from 1 to 1,000, or two such numbers, as in 2,4")
        return numbers[0] if len(numbers) == 1 else tuple(numbers)

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        """Refuse settings that contradict each other."""
        for contradiction in self._contradictions():
            raise ValueError(contradiction)
        return self

    def _contradictions(self) -> Iterator[str]:
        """A message for each contradiction. `trm.models.build` checks what depends on a task's `Spec` or the frame."""
        inside = max(self.depths) * self.width**2 * (4 + 3 * self.expansion) * self.turns
        if max(inside, self.puzzle_ids * self.puzzle_width) > MOST_WEIGHTS:
            yield f"a model of this size has more than {MOST_WEIGHTS:,} weights; set a smaller width or fewer layers"
        if self.mixer == "local" and (self.puzzle_ids or self.positions != "none"):
            yield "mixer 'local' has no puzzle embeddings and no positions: set puzzle_ids=0 and positions=none"
        if self.mixer == "relations" and (self.puzzle_ids or self.positions == "rope"):
            yield "mixer 'relations' has no puzzle embeddings and no rope: set puzzle_ids=0 and positions=none"
        if self.mixer == "attention" and self.width % (2 * self.heads):
            yield f"width {self.width} must be a multiple of twice the heads ({self.heads})"
        if self.puzzle_ids and self.puzzle_width > self.puzzle_tokens * self.width:
            room = f"{self.puzzle_tokens} puzzle_tokens of width {self.width}"
            yield f"puzzle_width {self.puzzle_width} does not fit in {room}"
        if self.hints and (self.kind, self.memory) != ("trm", "yz"):
            yield "hints are for kind 'trm' and memory 'yz'; set hints=0"
        if self.memory != "yz" and self.kind != "trm":
            yield f"memory {self.memory!r} is a variant of kind 'trm', not of {self.kind!r}"
        if not isinstance(self.layers, int) and self.kind != "hrm" and self.networks == "shared":
            yield f"layers {self.layers} are of two networks: set networks=separate, or one number"
        if self.memory == "single" and self.networks != "shared":
            yield f"memory 'single' has one update, so networks cannot be {self.networks!r}"
        if self.turns > 1 and (self.kind, self.memory, self.hints) != ("trm", "yz", 0):
            yield "turns are for kind 'trm', memory 'yz' and no hints"

    @property
    def depths(self) -> tuple[int, int]:
        """Layers of the network that updates z, f_L, and of the one that updates y, f_H."""
        return (self.layers, self.layers) if isinstance(self.layers, int) else self.layers

    @property
    def halt_logit(self) -> float:
        """The halting logit above which the model halts: the logarithm of the odds of `halt_probability`."""
        return log_odds(self.halt_probability)

    @property
    def round(self) -> int:
        """Supervision steps in which every network has its turn; 1 where there is one network."""
        return self.turns * self.turn_steps if self.turns > 1 else 1


def log_odds(probability: float) -> float:
    """The logarithm of the odds of a probability: of 0.5 it is 0, of 1 infinite."""
    return math.log(probability / (1 - probability)) if probability < 1 else math.inf
