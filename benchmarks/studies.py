"""The studies of benchmarks/ablations.py: what is varied, on which puzzles, and how it is measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from trm.analysis.cost import run_flops, training_cost
from trm.inference.loop import Until
from trm.tasks import get_task
from trm.training.config import RunConfig, override
from trm.training.presets import get_preset

PARTS = 20  # weights are kept so often in the time of a study's first variant


@dataclass(frozen=True)
class Variant:
    """A run that differs in one thing from the first one of its study."""

    name: str
    what: str  # for the table
    paper: str = ""  # exact answers on Sudoku-Extreme by the papers, in %
    settings: tuple[str, ...] = ()
    preset: str = "sudoku-6x6-trm-mlp"

    @property
    def config(self) -> RunConfig:
        return override(get_preset(self.preset).config, list(self.settings))

    @property
    def digest(self) -> str:
        """Of all settings but those of a custom task, so that a result is not taken for that of other ones."""
        return hashlib.sha256(self.config.model_dump_json(exclude={"custom"}).encode()).hexdigest()[:16]

    @property
    def flops(self) -> int:
        """Of a training step on one puzzle."""
        config = self.config
        return training_cost(config, get_task(config.task).spec).flops

    def update_flops(self) -> float:
        """Of an update, on average over the run."""
        config = self.config
        return run_flops(config, get_task(config.task).spec, config.updates) / config.updates


@dataclass(frozen=True)
class Study:
    """Variants that are compared on the same rows.

    Where the learning rate is constant (`columns` is `updates`), a run is measured twice: after as many updates as the
    first variant had, and after as many FLOPs. Where it falls to its end, every variant has the FLOPs of the first one,
    and its answers are read after `early` steps and at the end.
    """

    variants: tuple[Variant, ...]
    columns: Literal["updates", "steps"]
    skip: int  # rows that are left out, and how many are then measured
    rows: int
    steps: int  # of the evaluation
    until: Until = "end"
    early: int = 0
    train: bool = False  # whether it trains on a file
    validation: bool = False  # whether it is measured on a file

    @property
    def updates(self) -> int:
        return self.variants[0].config.updates

    @property
    def headings(self) -> tuple[str, str]:
        """Of the two groups of scores."""
        if self.columns == "updates":
            return "equal updates", "equal compute"
        return f"{self.early} steps", f"at most {self.steps} steps"


@dataclass(frozen=True)
class Plan:
    """Updates after which a variant is measured, and how often its weights are kept."""

    updates: int
    compute: int
    every: int

    @classmethod
    def of(cls, study: Study, variant: Variant, updates: int) -> Plan:
        """`updates`: of the study's first variant."""
        first = study.variants[0]
        if study.columns == "steps":
            compute = round(updates * first.update_flops() / variant.update_flops())
            return cls(compute, compute, 0)
        every = max(1, updates // PARTS)
        compute = every * max(1, round(updates * first.flops / variant.flops / every))
        return cls(updates, compute, every)


MLP = ("model.mixer=mlp", "model.positions=none")  # HRM and the direct model have attention
PAPER = Study(
    (
        Variant("trm", "TRM: MLP mixer, 2 layers, T=3, n=6", "87.4"),
        Variant("attention", "attention mixer", "74.7", preset="sudoku-6x6-trm-attention"),
        Variant("hrm", "HRM: 4 + 4 layers, T=2, n=2", "55.0", preset="sudoku-6x6-hrm"),
        Variant("direct", "direct: 8 layers, one pass", "0.0", preset="sudoku-6x6-direct"),
        Variant("hrm-mlp", "HRM with the MLP mixer", "", MLP, preset="sudoku-6x6-hrm"),
        Variant("direct-mlp", "direct with the MLP mixer", "", MLP, preset="sudoku-6x6-direct"),
        Variant("layers-4", "4 layers, n=3", "79.5", ("model.layers=4", "model.n=3")),
        Variant("T2-n2", "T=2, n=2", "73.7", ("model.T=2", "model.n=2")),
        Variant("T1", "T=1, n=6", "", ("model.T=1",)),
        Variant("one-step", "one-step gradient", "56.5", ("model.gradient=one_step",)),
        Variant("single", "single z", "71.9", ("model.memory=single",)),
        Variant("scales", "multi-scale z", "77.6", ("model.memory=scales",)),
        Variant("separate", "separate f_L and f_H", "82.4", ("model.networks=separate",)),
        Variant("no-ema", "no EMA", "79.9", ("ema=0",)),
        Variant("continue", "continue loss", "86.1", ("continue_loss=true",)),
        Variant("no-halting", "no halting in training", "", ("early_halt=1",)),
    ),
    columns="updates",
    skip=500,
    rows=500,
    steps=16,
)


def ours(preset: str, base: tuple[str, ...], *changes: tuple[str, str, tuple[str, ...]]) -> tuple[Variant, ...]:
    """Variants of a preset with the settings `base`: their names, what they are, and what they change in it."""
    return tuple(Variant(name, what, "", base + settings, preset) for name, what, settings in changes)


# The shipped recipe in one run: first to solve, then, with a limit on the loss and longer, to search. Width 48.
SEARCH = ("model.width=48", "updates=4000", "explore=0.3", "max_steps=96", "window=4", "loss_limit=0.25")
SUDOKU = Study(
    ours(
        "sudoku",
        (*SEARCH, "stages=:0.6:24:2:0"),
        ("groups", "`groups`: 1 layer, T=1, n=3", ()),
        ("groups-layers-2", "2 layers", ("model.layers=2",)),
        ("groups-layers-4", "4 layers", ("model.layers=4",)),
        ("groups-T2", "T=2", ("model.T=2",)),
        ("groups-T3", "T=3", ("model.T=3",)),
        ("groups-n1", "n=1", ("model.n=1",)),
        ("groups-n6", "n=6", ("model.n=6",)),
        ("groups-one-step", "one-step gradient", ("model.gradient=one_step",)),
        ("groups-window-1", "gradient through one step", ("window=1", "stages=:0.6:24:1:0")),
        ("groups-no-ema", "no EMA", ("ema=0",)),
        ("groups-no-limit", "no limit on the loss", ("loss_limit=0",)),
        ("groups-separate", "separate f_L and f_H", ("model.networks=separate",)),
    ),
    columns="steps",
    skip=0,
    rows=500,
    steps=128,
    early=32,
    until="sure",
    train=True,
    validation=True,
)

MAZE = Study(
    ours(
        "maze-generated",
        ("updates=5000", "stages=maze-10x10:0.4:16,maze-14x14:0.55:32"),
        ("local", "`local`: 1 layer, T=1, n=5", ()),
        ("local-layers-2", "2 layers", ("model.layers=2",)),
        ("local-layers-4", "4 layers", ("model.layers=4",)),
        ("local-T2", "T=2", ("model.T=2",)),
        ("local-T3", "T=3", ("model.T=3",)),
        ("local-n2", "n=2", ("model.n=2",)),
        ("local-n10", "n=10", ("model.n=10",)),
        ("local-one-step", "one-step gradient", ("model.gradient=one_step",)),
        ("local-window-1", "gradient through one supervision step", ("window=1",)),
        ("local-no-ema", "no EMA", ("ema=0",)),
        ("local-no-hints", "no hints", ("model.hints=0",)),
        ("local-limit", "a limit on the loss", ("loss_limit=0.25",)),
        ("local-shared", "one network", ("model.networks=shared",)),
    ),
    columns="steps",
    skip=0,
    rows=300,
    steps=64,
    early=32,
    validation=True,
)

STUDIES = {"paper": PAPER, "sudoku": SUDOKU, "maze": MAZE}
