"""Our presets for mazes.

Information moves six cells per supervision step (T=1, n=5), and the answer needs it to go from S to G and back: twice
the path, which is at least 109 moves long at 30x30.
"""

from __future__ import annotations

from trm.tasks.maze.training import MazeSettings
from trm.training.config import Stage
from trm.training.presets.base import LOCAL, OWN_RUN, Preset

GENERATED = Preset(
    name="maze-generated",
    hardware="two CPU cores",
    time="19 minutes of one core",
    score="100 % of 100 unseen genuine mazes, 64 steps (three seeds: 100, 100, 100)",
    procs=2,
    config=OWN_RUN.changed(
        task="maze",
        data="generated",
        model=LOCAL.changed(hints=24, networks="separate"),
        maze=MazeSettings(least=0.75),
        stages=(
            Stage(task="maze-10x10", share=0.2, max_steps=16),
            Stage(task="maze-14x14", share=0.35, max_steps=32),
            Stage(task="maze-20x20", share=0.2, max_steps=48),
        ),
        max_steps=64,
        window=2,
        explore=0.5,
        lr=3e-3,
        ema=0.998,
        batch=8,
        micro=8,
        updates=12_000,
    ),
    note="unlimited generated mazes, from 10x10 to 30x30",
)

MAZE = Preset(
    name="maze",
    hardware="two CPU cores",
    time="19 minutes of one core",
    score="100 % of 100 unseen genuine mazes, 64 steps (three seeds: 100, 99, 100)",
    procs=2,
    config=GENERATED.config.changed(data="hub", limit=900, maze=MazeSettings(ends=0.75, least=0.75)),
    note="windows on the first 900 of the 1,000 genuine training mazes, and those mazes with "
    "another start and goal; the last 100 are kept for the score",
)
