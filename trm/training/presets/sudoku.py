"""Our presets for Sudoku."""

from __future__ import annotations

from trm.tasks.sampler import Reveal
from trm.training.config import Stage
from trm.training.presets.base import GROUPS, OWN_RUN, Preset

MINI = Preset(
    name="sudoku-mini",
    hardware="two CPU cores",
    time="3.3 to 5.8 minutes in bfloat16 (AMX, Zen 4); 8 to 12 estimated without",
    score="90.1 and 85.5 % of 1,000 random minimal, 60.6 and 57.6 % of 1,000 extreme embedded puzzles, 32 steps; "
    "on two processors, one seed",
    procs=2,
    config=OWN_RUN.changed(
        task="sudoku",
        model=GROUPS.changed(halt_probability=0.99),
        # First hard boards, and sequences halt as in the paper; then boards of every fill, and they halt when sure.
        stages=(Stage(share=0.65, early_halt=0.5),),
        early_halt=0.95,
        explore=0.3,
        max_steps=24,
        start_noise=0.5,
        lr=4e-3,
        ema=0.995,
        batch=16,
        micro=8,
        updates=6000,
        reveal=Reveal(share=0.9, most=0.5, until=0.65, last=0.5),
    ),
)

SUDOKU = Preset(
    name="sudoku",
    hardware="two CPU cores",
    time="124 minutes, and 25 to make the data",
    score="64.4 % of 500 unseen genuine training rows, 64 steps; the shipped weights, trained further: 62.4 %",
    procs=2,
    config=OWN_RUN.changed(
        task="sudoku",
        data="varied.csv",
        model=GROUPS.changed(width=64),
        max_steps=24,
        window=2,
        start_noise=0.5,
        lr=3e-3,
        ema=0.999,
        batch=8,
        micro=4,
        updates=69_000,
        reveal=Reveal(share=0.9, most=0.5, until=0.6),
    ),
    note="1,000 training puzzles and variations of them: "
    "trm data sudoku varied.csv --kind varied --like train.csv --rows 20000 --seed 1",
)

# The shipped weights come from two runs, the first with window 2 and at most 48 steps: see docs/results.md.
SEARCH = Preset(
    name="sudoku-search",
    hardware="two CPU cores",
    time="20 minutes of one core, after preset sudoku (124 minutes of two cores) and 31 minutes for data",
    score="88.0 % of rows 1-200, at most 2,048 steps; the shipped weights, from several runs: 86.2 % of rows 501-1,000 "
    "in at most 1,024 steps",
    procs=2,
    config=SUDOKU.config.changed(
        init="sudoku",
        loss_limit=0.25,
        max_steps=96,
        explore=0.3,
        window=4,
        lr=1e-3,
        ema=0.998,
        updates=3000,
        reveal=Reveal(),
    ),
    note=f"continues from the weights sudoku; {SUDOKU.note}",
)

GPU = Preset(
    name="sudoku-gpu",
    hardware="one NVIDIA GPU",
    time="15 minutes of an H100, extrapolated from part of a run",
    score="79.4 % of 500 unseen genuine training rows, 64 steps; from two runs, both stopped early",
    config=SUDOKU.config.changed(
        model=GROUPS.changed(width=128),
        max_steps=32,
        window=4,
        lr=2e-3,
        batch=64,
        micro=0,
        updates=15_000,
        precision="bfloat16",
        compile=True,
    ),
    note=SUDOKU.note,
)
