"""A canvas's rule applied to the pairs of a task: what a model is trained on, in all eight symmetries of the square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from trm.adapt.canvas import Canvas
from trm.adapt.model import Batch
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import COLOURS, ArcTask, Grid

S = TypeVar("S", bound=np.generic)
EMPTY = 255  # where a board has no colour
TILES = 3  # rows and columns of tiles that are told apart
KINDS = 2 + 2 * TILES


def palette(task: ArcTask) -> list[int]:
    """The colours of a task, test answers apart: what a model may answer with; black always."""
    grids = [pair.question for pair in (*task.train, *task.test)] + [
        p.answer for p in task.train if p.answer is not None
    ]
    return sorted({0}.union(*(np.unique(grid).tolist() for grid in grids)))


def names(task: ArcTask, colours: Sequence[int], few: bool) -> list[int]:
    """Which colours a model may tell apart: number 1 is black, 0 is no name.

    `few`: beside black, only colours that some answer has and its question has not, which could not be given without a
    name, and those that come or go in every demonstration. Otherwise all that every demonstration has.
    """
    made, always, moving = set[int](), set(colours), set(colours)
    for pair in task.train:
        question, answer = pair.question, pair.answer
        assert answer is not None
        before, after = set(np.unique(question).tolist()), set(np.unique(answer).tolist())
        made |= after - before
        always &= after | before
        if question.shape == answer.shape:
            changed = question != answer
            moving &= set(np.unique(question[changed]).tolist()) | set(np.unique(answer[changed]).tolist())
        else:
            moving.clear()
    chosen = sorted({0} | made | (moving if few else always))
    return [chosen.index(colour) + 1 if colour in chosen else 0 for colour in colours]


@dataclass(frozen=True)
class Example:
    """A question on its canvas, boards of one size; a colour is its number in the task's palette, or EMPTY."""

    planes: list[Grid]
    places: list[Grid]  # 0 or 1: in the answer, in the first plane, in each row and each column of tiles
    target: Grid
    view: int = 0

    def turned(self, dihedral: int) -> Example:
        planes, places = ([turn(board, dihedral) for board in boards] for boards in (self.planes, self.places))
        return Example(planes, places, turn(self.target, dihedral), dihedral)

    def cut(self, board: npt.NDArray[S]) -> npt.NDArray[S]:
        """The part of a board that is the answer's."""
        inside = self.places[0] > 0
        part: npt.NDArray[S] = board[np.ix_(inside.any(1), inside.any(0))]
        return part


def example(canvas: Canvas, colours: Sequence[int], question: Grid, answer: Grid | None) -> Example | None:
    """None where the canvas's rule has nothing to say of the question."""
    laid = canvas.lay(question)
    if laid is None:
        return None
    size, planes = laid
    height, width = (max(lengths) for lengths in zip(size, *(plane.shape for plane in planes), strict=True))
    number = np.zeros(COLOURS, np.uint8)
    number[list(colours)] = range(len(colours))

    def board(grid: Grid, fill: int = EMPTY) -> Grid:
        return np.pad(grid, ((0, height - grid.shape[0]), (0, width - grid.shape[1])), constant_values=fill)

    places = [board(np.ones(shape, np.uint8), 0) for shape in (size, planes[0].shape)]
    for index, length in zip(np.indices((height, width)), question.shape, strict=True):
        places += [(index // length == tile).astype(np.uint8) for tile in range(TILES)]
    target = np.full((1, 1), EMPTY, np.uint8) if answer is None else number[answer]
    return Example([board(number[plane]) for plane in planes], places, board(target))


def collate(examples: Sequence[Example]) -> Batch:
    """Examples of one canvas -> a batch as large as the largest of them."""
    shape = tuple(max(one.target.shape[axis] for one in examples) for axis in (0, 1))

    def stack(boards: Sequence[Grid], fill: int) -> npt.NDArray[np.int64]:
        out = np.full((len(boards), *shape), fill)
        for to, board in zip(out, boards, strict=True):
            to[: board.shape[0], : board.shape[1]] = np.where(board == EMPTY, -1, board.astype(np.int64))
        return out

    return Batch(
        torch.from_numpy(
            np.stack([stack(boards, -1) for boards in zip(*(e.planes for e in examples), strict=True)], 1)
        ),
        torch.from_numpy(
            np.stack([stack(boards, 0) for boards in zip(*(e.places for e in examples), strict=True)], -1)
        ).float(),
        torch.from_numpy(stack([np.ones_like(e.target) for e in examples], 0) > 0),
        torch.tensor([e.view for e in examples]),
        torch.from_numpy(stack([e.target for e in examples], -1)),
    )
