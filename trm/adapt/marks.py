"""What is seen in an ARC question before any training: marks of its cells, what its rays meet, roles of its colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from trm.adapt.objects import Mask, as_key, background, content, is_symmetric, objects
from trm.tasks.arc.text import COLOURS, Grid

EMPTY = 255  # where a board has no colour
SIZES = (1, 2, 3, 4)  # cells of an object that have a mark of their own
ROLES = 4


def enclosed(free: Mask) -> Mask:
    """The free cells from which no way over edges of free cells leads out of the board."""
    labels, _ = ndimage.label(free)
    border = np.unique(np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1])))
    out: Mask = free & ~np.isin(labels, border)
    return out


def marks(grid: Grid) -> list[Mask]:
    """Marks of cells, each a board: properties of the objects they belong to, and of their place."""
    ground = background(grid)
    free = grid == ground
    rows, columns = np.indices(grid.shape)
    edge = (rows == 0) | (columns == 0) | (rows == grid.shape[0] - 1) | (columns == grid.shape[1] - 1)
    boards = [enclosed(free), edge, rows % 2 == 1, columns % 2 == 1]
    for same in (False, True):
        boards += _object_marks(grid, objects(grid, ground, same), edge)
    return boards


def _object_marks(grid: Grid, masks: Sequence[Mask], edge: Mask) -> list[Mask]:
    """The cells of objects by size (of `SIZES`, largest, smallest, second largest), at an edge, with holes, symmetric,
    unlike all others; and the boxes around objects.
    """
    sizes = [int(mask.sum()) for mask in masks]
    boxes = [ndimage.find_objects(mask.astype(np.int8))[0] for mask in masks]
    looks = [content(grid, mask) for mask in masks]
    keys = [as_key(look) for look in looks]
    seen, ranks = Counter(keys), sorted(set(sizes))
    tests = [[size == wanted for size in sizes] for wanted in SIZES]
    tests += [[size in ranks[-1:] for size in sizes], [size in ranks[:1] for size in sizes]]
    tests += [[size in ranks[1:-1][-1:] for size in sizes]]
    tests += [[bool((mask & edge).any()) for mask in masks]]
    tests += [[bool((ndimage.binary_fill_holes(mask) & ~mask).any()) for mask in masks]]
    tests += [[is_symmetric(look) for look in looks]]
    tests += [[seen[key] == 1 for key in keys]]
    boards = [np.zeros(grid.shape, bool) for _ in range(len(tests) + 1)]
    for board, test in zip(boards, tests, strict=False):
        for mask, true in zip(masks, test, strict=True):
            board |= mask & true
    for box in boxes:
        boards[-1][box] = True
    return boards


def sights(grid: Grid) -> list[Grid]:
    """For each cell the first colour besides the background that is above, below, to its left, to its right.

    Returns:
        Four boards; EMPTY where there is none.
    """
    seen = np.where(grid == background(grid), EMPTY, grid).astype(np.uint8)
    down = _last_seen(seen)
    up = _last_seen(seen[::-1])[::-1]
    right = _last_seen(seen.T).T
    left = _last_seen(seen.T[::-1])[::-1].T
    return [down, up, right, left]


def _last_seen(board: Grid) -> Grid:
    """For each cell the last colour in its column before it."""
    out = np.full_like(board, EMPTY)
    for row in range(1, len(board)):
        out[row] = np.where(board[row - 1] == EMPTY, out[row - 1], board[row - 1])
    return out


def roles(grid: Grid, colours: Sequence[int]) -> npt.NDArray[np.float32]:
    """What distinguishes colours in a question: background; commonest, rarest besides it; whether it is there at all.

    Returns:
        [colours, ROLES] of 0 and 1.
    """
    ground, counts = background(grid), np.bincount(grid.ravel(), minlength=COLOURS)
    others = counts.copy()
    others[ground] = 0
    most, least = (others == others.max()), (others == others[others > 0].min(initial=grid.size))
    boards = [np.arange(COLOURS) == ground, most & (others > 0), least & (others > 0), counts > 0]
    return np.stack(boards, 1)[list(colours)].astype(np.float32)
