"""What a preset is, and the settings that our own presets share."""

from __future__ import annotations

from dataclasses import dataclass

from trm.models.config import ModelConfig
from trm.training.config import RunConfig


@dataclass(frozen=True)
class Preset:
    """A named run, and what to expect of it."""

    name: str
    config: RunConfig
    hardware: str  # the hardware that the run is meant for
    time: str  # how long training takes on it
    score: str  # measured or published, with the rows it is for
    procs: int = 1  # local processes to start on a CPU
    note: str = ""

    @property
    def command(self) -> str:
        return f"trm train {self.name}"


# Models
GROUPS = ModelConfig(mixer="groups", width=48, layers=1, expansion=3, multiple=16, T=1, n=3, positions="none")
LOCAL = ModelConfig(mixer="local", width=32, layers=1, expansion=3, multiple=16, T=1, n=5, positions="none")

# A tiny model that learns in minutes to hours. Each preset adds its task, its model, its rate and its size.
OWN_RUN = RunConfig(loss="softmax", optimizer="muon", lr_floor=0.01, warmup=50, weight_decay=0.01)
