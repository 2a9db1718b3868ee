"""What the symmetries of an ARC question say about its cells: a board without its holes, and mirror images."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trm.adapt.objects import background
from trm.tasks.arc.text import Grid

EMPTY = 255  # where a board has no colour
LEAST_PAIRS, LEAST_SHARE = 6, 1 / 3  # a symmetry holds if it compares so many cells, and so many of those to compare
TELLING = 4  # and so many of them besides the commonest colour


def repaired(grid: Grid) -> Grid:
    """The board with the cells of one colour replaced by what the symmetries of all other cells say.

    These are reflections about an axis that leaves half of the board on itself, about diagonals, and shifts along the
    rows or the columns. It is the colour of which most cells can be replaced.

    Returns:
        A board of the question's size; EMPTY everywhere where less than half of such a colour could be replaced.
    """
    # In the order of their first cells, so that names of colours decide nothing.
    boards = [(_without(grid, colour), grid == colour) for colour in dict.fromkeys(grid.ravel().tolist())]
    gains = [int((hole & (board != grid)).sum() - (hole & (board == grid)).sum()) for board, hole in boards]
    best = int(np.argmax(gains))
    return boards[best][0] if gains[best] > 0 else np.full_like(grid, EMPTY)


def _without(grid: Grid, colour: int) -> Grid:
    """The board with the cells of a colour replaced where the symmetries of the other cells reach them."""
    images = _images(*grid.shape)
    board = np.append(grid.ravel(), np.uint8(EMPTY))
    known = board[:-1] != colour
    commonest = Counter(board[:-1][known].tolist()).most_common(1)[0][0] if known.any() else colour
    seen = board[images]
    pairs = known & (seen != colour) & (seen != EMPTY)
    equal = pairs & (seen == board[:-1])
    holds = (equal == pairs).all(1) & (equal.sum(1) >= max(LEAST_PAIRS, LEAST_SHARE * known.sum()))
    holds &= (equal & (board[:-1] != commonest)).sum(1) >= TELLING
    chosen, holes = images[holds], ~known
    while len(chosen) and holes.any():
        seen = board[chosen]
        answers = (seen != colour) & (seen != EMPTY)
        filled = holes & answers.any(0)
        if not filled.any():
            break
        board[:-1][filled] = np.take_along_axis(seen, answers.argmax(0)[None], 0)[0][filled]
        holes &= ~filled
    return board[:-1].reshape(grid.shape)


@lru_cache(maxsize=32)
def _images(height: int, width: int) -> npt.NDArray[np.int32]:
    """[symmetries, cells]: the number of the cell that each cell goes to; height * width where that is no cell."""
    rows, columns = np.indices((height, width))
    ways = [(rows, axis - columns) for axis in range(width // 2, width + (width - 1) // 2)]
    ways += [(axis - rows, columns) for axis in range(height // 2, height + (height - 1) // 2)]
    shifts, middle = range(-(width // 3), width // 3 + 1), (height + width) // 2 - 1
    ways += [(columns + shift, rows - shift) for shift in shifts]
    ways += [(middle + shift - columns, middle + shift - rows) for shift in shifts]
    ways += [(rows, columns + sign * shift) for shift in range(1, width // 2 + 1) for sign in (1, -1)]
    ways += [(rows + sign * shift, columns) for shift in range(1, height // 2 + 1) for sign in (1, -1)]
    images = []
    for row, column in ways:
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        images.append(np.where(inside, row * width + column, height * width).ravel())
    return np.stack(images).astype(np.int32)


def mirrored(grid: Grid) -> list[Grid]:
    """The board upside down, left to right, and both, about the axes that its objects fit best.

    Returns:
        Three boards of the question's size; EMPTY where the image has no cell.
    """
    ground = background(grid)
    down, across = _axis(grid.T, ground), _axis(grid, ground)
    upside_down = _reflected(grid.T, down).T
    return [upside_down, _reflected(grid, across), _reflected(upside_down, across)]


def _axis(grid: Grid, ground: int) -> int:
    """The sum of the numbers of a column and its image, for the left-to-right reflection that fits best.

    A reflection fits by the cells of objects that go to an equal cell in another column, less twice those that go to
    the cell of an object of another colour. Of equals it is the nearest to the board's own.
    """
    solid, columns = grid != ground, np.arange(grid.shape[1])
    last = 2 * (grid.shape[1] - 1)

    def fit(axis: int) -> float:
        image = _reflected(grid, axis)
        both = solid & (image != ground) & (image != EMPTY) & (columns != axis - columns)
        equal = int((both & (image == grid)).sum())
        return 3 * equal - 2 * int(both.sum())

    return max(sorted(range(last + 1), key=lambda axis: abs(2 * axis - last)), key=fit)


def _reflected(grid: Grid, axis: int) -> Grid:
    """The board with each column moved to the column `axis` less its number; EMPTY where none goes."""
    columns = axis - np.arange(grid.shape[1])
    inside = (columns >= 0) & (columns < grid.shape[1])
    return np.where(inside, grid[:, np.where(inside, columns, 0)], np.uint8(EMPTY))
