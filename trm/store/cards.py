"""The facts about the models that ship, for people who choose one. Imports no torch.

A model's `card.json` says what it is for, how well it does and how it was trained. Its figures are those of
docs/results.md.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trm.store.shipped import SHIPPED, shipped_names
from trm.tasks import family_name, find_family
from trm.tasks.family import HOMES

CARD, CONFIG, WEIGHTS = "card.json", "config.json", "model.safetensors"
FIXED = ("frame.start_y", "frame.start_z")  # stored with the weights, but drawn once and never trained


class Score(BaseModel):
    """The share of puzzles that a model answers exactly, and the work it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exact: float = Field(ge=0, le=1)
    low: float  # 95 % Wilson interval
    high: float
    rows: int = Field(ge=1)  # number of puzzles
    data: str  # which puzzles
    setting: str  # how long the model works on a puzzle
    steps: float | None  # supervision steps for a puzzle on average, over all starts; None: not measured
    milliseconds: float | None  # for a puzzle on average; None: not measured
    machine: str | None  # the machine on which milliseconds were measured

    @model_validator(mode="after")
    def check(self) -> Score:
        if not 0 <= self.low <= self.exact <= self.high <= 1:
            raise ValueError("exact must lie between low and high")
        if (self.milliseconds is None) != (self.machine is None):
            raise ValueError("milliseconds and machine belong together")
        return self


class Card(BaseModel):
    """What people need to know of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: str = Field(min_length=1)
    scores: tuple[Score, ...] = Field(min_length=1)  # the most important first
    trained: str = Field(min_length=1)  # on what and for how long, in one line
    command: str = Field(min_length=1)  # the command that trains such a model


@dataclass(frozen=True)
class ShippedModel:
    """A model that ships."""

    name: str
    task: str
    default: bool  # whether it is used for its task unless another is named
    weights: int  # number of trained weights
    bytes: int  # size of the file of weights
    card: Card

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "default": self.default,
            "weights": self.weights,
            "bytes": self.bytes,
            **self.card.model_dump(mode="json"),
        }


def shipped_models() -> list[ShippedModel]:
    """All models that ship, by task; the default of a task first, then the smaller ones."""
    families = list(HOMES)

    def order(model: ShippedModel) -> tuple[int, bool, int, str]:
        return families.index(family_name(model.task)), not model.default, model.weights, model.name

    return sorted(map(read_model, shipped_names()), key=order)


def read_model(name: str) -> ShippedModel:
    folder = SHIPPED / name
    task = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["task"]["name"]
    return ShippedModel(
        name=name,
        task=task,
        default=find_family(task).weights == name,
        weights=count_weights(folder / WEIGHTS),
        bytes=(folder / WEIGHTS).stat().st_size,
        card=Card.model_validate_json((folder / CARD).read_bytes()),
    )


def count_weights(path: Path) -> int:
    """The number of trained weights in a .safetensors file, from its header: a length of 8 bytes, then JSON."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(
        math.prod(tensor["shape"])
        for name, tensor in header.items()
        if name != "__metadata__" and not name.endswith(FIXED)
    )
