"""ARC grids as tokens, and augmentations: the symmetries that make many tasks of one.

Tokens, [900] for a board of 30x30: 0 padding, 1 end marker, colour c is c + 2. A grid lies at an offset on the board:
at (0, 0), the corner, unless training moves it. End markers fill the row below it and the column to its right, where
the board has room for them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trm.tasks.arc.text import COLOURS, SIDE, Grid
from trm.tasks.base import Tokens

Offset = tuple[int, int]  # rows, columns of the board above and to the left of a grid

CELLS = SIDE * SIDE
PAD, END, FIRST = 0, 1, 2  # FIRST: token of colour 0
# The second number in the keys of random generators, as the streams of `trm.tasks.sampler`, where 3 is START. The keys
# here have five numbers and those have four at most; numpy fills keys up with zeros to four numbers and not to five, so
# that no two of them are the same.
STREAM = 3
CORNER: Offset = (0, 0)


# Tokens


def encode(grid: Grid, offset: Offset = CORNER) -> Tokens:
    """The tokens [900] of a grid whose top left cell is at `offset`. Raises ValueError if it does not fit the board."""
    (height, width), (top, left) = grid.shape, offset
    bottom, right = top + height, left + width
    if min(height, width) < 1 or min(top, left) < 0 or max(bottom, right) > SIDE:
        raise ValueError(f"a grid of {height}x{width} does not fit on the board at {offset}")
    board = np.full((SIDE, SIDE), PAD, np.uint8)
    board[top:bottom, left:right] = grid + FIRST
    board[bottom : bottom + 1, left:right] = END
    board[top:bottom, right : right + 1] = END
    return board.reshape(-1)


def decode(tokens: Tokens, offset: Offset = CORNER) -> Grid | None:
    """The grid at `offset` in tokens [900]; None if there is none.

    What a model puts into padding is never scored, so it may be anything, and some of its end markers may be wrong.
    Among all heights and widths for which the end row and the end column each have at least half of their markers, the
    one with the fewest wrong cells is chosen: cells inside that are no colour, cells of the end row and column that are
    no marker. Among equals it is the largest. A cell inside that is no colour becomes 0, the usual background; if most
    of them are none, there is no grid.
    """
    top, left = offset
    board = tokens.reshape(SIDE, SIDE)[top:, left:]
    if (size := _closed(board)) is not None:  # no cell is wrong, so this one is the best; ten times as fast
        whole: Grid = board[: size[0], : size[1]] - np.uint8(FIRST)
        return whole
    inside, bottom, right = _faults(board)
    height, width = np.arange(1, board.shape[0] + 1)[:, None], np.arange(1, board.shape[1] + 1)
    fits = (2 * bottom <= width) & (2 * right <= height)
    cost = np.where(fits, (inside + bottom + right) * (CELLS + 1) - height * width, np.iinfo(np.int64).max)
    h, w = divmod(int(cost.argmin()), board.shape[1])
    if 2 * inside[h, w] > (h + 1) * (w + 1):
        return None
    part = board[: h + 1, : w + 1]
    grid: Grid = np.where(_coloured(part), part - np.uint8(FIRST), np.uint8(0))
    return grid


def well_formed(tokens: Tokens, offset: Offset = CORNER) -> bool:
    """Whether a rectangle of colours lies at `offset` in tokens [900], closed off by end markers. What lies beyond them
    does not matter.
    """
    top, left = offset
    return _closed(tokens.reshape(SIDE, SIDE)[top:, left:]) is not None


def locate(tokens: Tokens) -> Offset:
    """The offset of the grid in tokens [900] that `encode` made, whose first cell is the first that is not padding."""
    return divmod(int((tokens != PAD).argmax()), SIDE)


def _coloured(board: Tokens) -> npt.NDArray[np.bool_]:
    return (board >= FIRST) & (board < FIRST + COLOURS)


def _closed(board: Tokens) -> tuple[int, int] | None:
    """Height and width of the rectangle of colours at the top left, if end markers close it off; else None.

    There is one candidate: it ends where its first row and its first column have their first cell without a colour.
    """
    coloured = _coloured(board)
    height, width = (int(np.append(line, False).argmin()) for line in (coloured[:, 0], coloured[0]))
    closed = coloured[:height, :width].all()
    closed &= (board[height : height + 1, :width] == END).all() & (board[:height, width : width + 1] == END).all()
    return (height, width) if closed and height and width else None


def _faults(board: Tokens) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many cells are wrong for each size of a grid at the top left: inside it, in its end row, in its end column.

    [rows, columns] each; [i, j] is for a grid of i + 1 rows and j + 1 columns.
    """
    inside = (~_coloured(board)).cumsum(0).cumsum(1)
    ends = np.pad(board != END, ((0, 1), (0, 1)))  # markers beyond the board do not count as missing
    return inside, ends[1:, :-1].cumsum(1), ends[:-1, 1:].cumsum(0)


# Symmetries

# Number of a symmetry -> whether to transpose, then turn upside down, then mirror left to right. Numbered as in the
# published identifiers: unchanged, three quarter turns anticlockwise, mirrored left to right, upside down, along the
# main diagonal, along the other one.
DIHEDRAL = (
    (False, False, False),
    (True, True, False),
    (False, True, True),
    (True, False, True),
    (False, False, True),
    (False, True, False),
    (True, False, False),
    (True, True, True),
)
INVERSE = (0, 3, 2, 1, 4, 5, 6, 7)
SAME = tuple(range(COLOURS))


def turn(grid: Grid, dihedral: int) -> Grid:
    """The image of a grid under one of the eight symmetries of the square, as a view."""
    transposed, down, across = DIHEDRAL[dihedral]
    grid = grid.T if transposed else grid
    return grid[:: -1 if down else 1, :: -1 if across else 1]


_PROBE = np.arange(6, dtype=np.uint8).reshape(2, 3)
_NUMBER = {turn(_PROBE, number).tobytes() + bytes(turn(_PROBE, number).shape): number for number in range(8)}


@dataclass(frozen=True)
class Augmentation:
    """A symmetry of ARC tasks and a place on the board. It is invertible: `undo(apply(grid))` is the grid."""

    dihedral: int = 0  # of DIHEDRAL
    colours: tuple[int, ...] = SAME  # colour c becomes colours[c]
    offset: Offset = CORNER  # where `encode` puts the grid

    def __post_init__(self) -> None:
        if not 0 <= self.dihedral < len(DIHEDRAL) or sorted(self.colours) != list(SAME):
            raise ValueError(f"not a symmetry: dihedral {self.dihedral}, colours {self.colours}")

    def apply(self, grid: Grid) -> Grid:
        """The image of a grid [height, width], turned and recoloured."""
        return np.array(self.colours, np.uint8)[turn(grid, self.dihedral)]

    def undo(self, grid: Grid) -> Grid:
        """The grid of which this one is the image."""
        return self.inverse().apply(grid)

    def inverse(self) -> Augmentation:
        """The inverse symmetry, at the corner of the board, since a place has no inverse."""
        return Augmentation(INVERSE[self.dihedral], tuple(map(int, np.argsort(self.colours))))

    def then(self, after: Augmentation) -> Augmentation:
        """This symmetry followed by `after`, at the place of `after`."""
        probe = turn(turn(_PROBE, self.dihedral), after.dihedral)
        colours = tuple(after.colours[colour] for colour in self.colours)
        return Augmentation(_NUMBER[probe.tobytes() + bytes(probe.shape)], colours, after.offset)

    def encode(self, grid: Grid) -> Tokens:
        """Tokens [900] of the image of a grid."""
        return encode(self.apply(grid), self.offset)

    def decode(self, tokens: Tokens) -> Grid | None:
        """The grid whose image tokens [900] hold; None if there is none (see `trm.tasks.arc.augment.decode`)."""
        grid = decode(tokens, self.offset)
        return None if grid is None else self.undo(grid)


IDENTITY = Augmentation()


def random_augmentation(rng: np.random.Generator, black: bool = True) -> Augmentation:
    """A uniform random symmetry, at the corner. `black`: colour 0, mostly the background, stays as it is."""
    dihedral, fixed = int(rng.integers(len(DIHEDRAL))), int(black)
    return Augmentation(dihedral, (*range(fixed), *(fixed + rng.permutation(COLOURS - fixed)).tolist()))


def random_offset(rng: np.random.Generator, *shapes: tuple[int, ...]) -> Offset:
    """A uniform random place where grids of all these shapes fit."""
    height, width = (max(lengths) for lengths in zip(*shapes, strict=True))
    return int(rng.integers(SIDE - height + 1)), int(rng.integers(SIDE - width + 1))


# Numbered augmentations: a function of (seed, task, number), so that no table of them has to be kept.


def numbered(seed: int, id: str, number: int, black: bool = True) -> Augmentation:
    """Augmentation `number` of a task; 0 leaves it as it is."""
    return random_augmentation(_draws(seed, id, number), black) if number else IDENTITY


def still(seed: int, id: str, number: int, pairs: int) -> int:
    """Which of a task's `pairs` stays at the corner under that augmentation, where evaluation has all of them."""
    return int(_draws(seed, id, number, 1).integers(pairs))


def identifier(task: int, number: int, augmentations: int) -> int:
    """The puzzle-embedding row of a task under augmentation `number`, which is from 0 to `augmentations`. Row 0 is the
    blank one.
    """
    if not 0 <= number <= augmentations:
        raise ValueError(f"augmentation {number} is not one of 0 to {augmentations}")
    return 1 + task * (augmentations + 1) + number


def _draws(seed: int, id: str, number: int, stream: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, STREAM, zlib.crc32(id.encode()), number, stream])
