"""A mixer of your own: a 3x3 convolution, through which every cell sees the eight around it.

Run it with `python examples/own_mixer.py [FOLDER [UPDATES]]`. It learns from mazes of 30x30 cells. Its weights do not
depend on the size, so at the end it is given a small maze. 20 updates show that it runs, but are too few to solve it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from torch import Tensor, nn

import trm
from trm.models import ModelConfig, Spec, register_mixer
from trm.models.layers import rms_norm
from trm.training.config import RunConfig
from trm.training.run import train

MAZE = """
S..#.
.#...
...#.
.#.#G
"""


class Convolution(nn.Module):
    """[batch, cells, width] -> the same shape. The residual connection and the norm are part of the mixer."""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.board = (spec.height, spec.width)
        self.around = nn.Conv2d(config.width, config.width, kernel_size=3, padding=1, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        image = h.mT.reshape(len(h), -1, *self.board)  # [batch, width, rows, columns of the board]
        return rms_norm(h + self.around(image).flatten(2).mT)


def main(folder: str = "runs/convolution", updates: str = "20") -> None:
    register_mixer("convolution", Convolution, frame="grid")
    model = ModelConfig(mixer="convolution", width=16, layers=1, multiple=16, T=1, n=3, positions="none")
    config = RunConfig(task="maze", model=model, loss="softmax", lr=0.003, warmup=5, batch=4, updates=int(updates))
    train(config, Path(folder), "convolution")
    answer = trm.Solver("maze", weights=folder, steps=16).solve(MAZE.strip())
    print(f"solved: {answer.solved}, confidence {answer.confidence:.2f}\n{answer}")


if __name__ == "__main__":
    main(*sys.argv[1:])
