"""What a model of an ARC task is trained on: its pairs on a canvas, in all eight symmetries of the square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm.adapt.canvas import Canvas
from trm.adapt.marks import roles
from trm.adapt.model import Batch
from trm.adapt.objects import Box, bounding_box
from trm.adapt.symmetry import EMPTY
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import COLOURS, ArcTask, Grid

S = TypeVar("S", bound=np.generic)
OUTSIDE = COLOURS  # the colour of what is not answer, where the size is drawn
TILES = 3  # rows and columns of tiles that have a place of their own


def namings(task: ArcTask) -> list[list[int]]:
    """Which colours a model may tell apart by a name, by the demonstrations.

    Returns:
        Choices of few, more, and all colours, each with black first. There are always black and the colours that some
        answer has and its question has not: a model could not give them without a name. Then come those that come or go
        in every demonstration; then those that all demonstrations have; at last those of any demonstration. Equal
        choices are there once.
    """
    made, always, moving, any_of = set[int](), set(range(COLOURS)), set(range(COLOURS)), set[int]()
    for pair in task.train:
        question, answer = pair.question, pair.answer
        assert answer is not None
        before, after = set(np.unique(question).tolist()), set(np.unique(answer).tolist())
        made |= after - before
        always &= after | before
        any_of |= after | before
        if question.shape == answer.shape:
            changed = question != answer
            moving &= set(np.unique(question[changed]).tolist()) | set(np.unique(answer[changed]).tolist())
        else:
            moving.clear()
    choices = [sorted({0} | made | more) for more in (moving, always, any_of)]
    return [choice for at, choice in enumerate(choices) if choice not in choices[:at]]


@dataclass(frozen=True)
class Example:
    """A question on its canvas. All boards have one size; they hold colours as numbers in `colours`."""

    planes: npt.NDArray[np.uint8]  # [planes, height, width]; EMPTY where a plane has no colour
    places: npt.NDArray[np.uint8]  # [places, ...] of 0 and 1: in the answer, in the first plane, in each row and column
    #                                of tiles; marks
    target: Grid  # the answer, EMPTY around it and where it is not known
    colours: list[int]  # those that the answer may have, by their number: the named ones, and those of the question
    roles: npt.NDArray[np.float32]  # [colours, ROLES]
    view: int = 0  # the symmetry of the square that the boards are turned by

    def turned(self, dihedral: int) -> Example:
        """The upright example turned by one of the eight symmetries."""
        planes, places = (
            np.stack([turn(board, dihedral) for board in boards]) for boards in (self.planes, self.places)
        )
        return Example(planes, places, turn(self.target, dihedral), self.colours, self.roles, dihedral)

    def crop(self, board: npt.NDArray[S]) -> npt.NDArray[S]:
        """The part of a board where the answer lies."""
        inside = self.places[0] > 0
        part: npt.NDArray[S] = board[np.ix_(inside.any(1), inside.any(0))]
        return part

    def answer(self, numbers: npt.NDArray[np.int64]) -> Grid:
        """The answer on a board of numbers in `colours`: where the size is drawn, what is not outside, with black in
        its holes. An answer of which nothing is drawn is a single black cell.
        """
        grid = np.array(self.colours, np.uint8)[self.crop(numbers)]
        box = bounding_box(grid != OUTSIDE) or Box(0, 0, 1, 1)
        return np.where(box.crop(grid) == OUTSIDE, np.uint8(0), box.crop(grid))


def example(canvas: Canvas, named: Sequence[int], question: Grid, answer: Grid | None) -> Example | None:
    """A pair on its canvas.

    Args:
        canvas: the rule that gives the answer's size and the planes.
        named: the colours that have a name (see `namings`); with OUTSIDE where the size is drawn.
        question: [height, width].
        answer: None where it is not known.

    Returns:
        None where the canvas's rule does not apply to the question.
    """
    layout = canvas.rule(question)
    if layout is None:
        return None
    shapes = [layout.size, *(plane.shape for plane in layout.planes)]
    height, width = (max(lengths) for lengths in zip(*shapes, strict=True))
    colours = [*named, *(c for c in np.unique(question).tolist() if c not in named)]
    number = np.full(256, EMPTY, np.uint8)
    number[colours] = range(len(colours))

    def board(grid: Grid, fill: int = EMPTY) -> Grid:
        return np.pad(grid, ((0, height - grid.shape[0]), (0, width - grid.shape[1])), constant_values=fill)

    places = [board(np.ones(shape, np.uint8), 0) for shape in (layout.size, layout.planes[0].shape)]
    for index, length in zip(np.indices((height, width)), question.shape, strict=True):
        places += [(index // length == tile).astype(np.uint8) for tile in range(TILES)]
    places += [board(mark.astype(np.uint8), 0) for mark in layout.marks]
    target = np.full((1, 1), EMPTY, np.uint8) if answer is None else number[answer]
    return Example(
        np.stack([board(number[plane]) for plane in (*layout.planes, *layout.derived)]),
        np.stack(places),
        board(target, int(number[OUTSIDE]) if answer is not None else EMPTY),
        colours,
        roles(question, colours),
    )


def collate(examples: Sequence[Example]) -> Batch:
    """Make a batch of examples of one canvas, padded to the size of the largest."""
    shape = tuple(max(one.target.shape[axis] for one in examples) for axis in (0, 1))

    def stack(boards: Sequence[npt.NDArray[np.uint8]], fill: int) -> Tensor:
        out = np.full((len(boards), *boards[0].shape[:-2], *shape), fill, np.uint8)
        for to, board in zip(out, boards, strict=True):
            to[..., : board.shape[-2], : board.shape[-1]] = board
        return torch.from_numpy(out)

    def colours(boards: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
        out = stack(boards, EMPTY).long()
        return out.masked_fill_(out == EMPTY, -1)

    count = max(len(one.colours) for one in examples)  # with fewer, the last are colours that are nowhere
    return Batch(
        planes=colours([one.planes for one in examples]),
        places=stack([one.places for one in examples], 0).permute(0, 2, 3, 1).float(),
        canvas=stack([np.ones_like(one.target) for one in examples], 0) > 0,
        roles=torch.from_numpy(
            np.stack([np.pad(one.roles, ((0, count - len(one.roles)), (0, 0))) for one in examples])
        ),
        view=torch.tensor([one.view for one in examples]),
        target=colours([one.target for one in examples]),
    )
