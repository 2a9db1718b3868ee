"""ARC grids as tokens, and the symmetries that make many tasks of one.

Tokens, [900] for a board of 30x30: 0 padding, 1 end marker, colour c is c + 2. The grid lies at an offset, (0, 0)
unless training moves it; end markers lie in the row below it and in the column right of it, where there is room.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trm.tasks.arc.text import COLOURS, SIDE, Grid
from trm.tasks.base import Tokens

Offset = tuple[int, int]  # rows, columns

CELLS = SIDE * SIDE
PAD, END, FIRST = 0, 1, 2  # FIRST: token of colour 0
STREAM = 3  # of random numbers; those of trm.training.sampler are 0 to 2
CORNER: Offset = (0, 0)


# Tokens


def encode(grid: Grid, offset: Offset = CORNER) -> Tokens:
    """A grid, its top left cell at `offset` -> [900]. Raises ValueError if it reaches over the board's edge."""
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
    """The grid at `offset` of [900]; None where there is none.

    A model's padding is never scored, so anything may stand there, and its end markers may be wrong here and there.
    Of all heights and widths whose end row and end column each hold at least half the markers they should, the one
    with the fewest wrong cells is taken (inside: not a colour; end row and column: not a marker), the largest of
    equals. A cell inside without a colour becomes 0, the usual background; if most have none, there is no grid.
    """
    top, left = offset
    board = tokens.reshape(SIDE, SIDE)[top:, left:]
    if (size := _closed(board)) is not None:  # nothing is wrong, so nothing else can be the best; ten times as fast
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
    """Whether [900] holds, at `offset`, a rectangle of colours closed off by end markers, whatever lies beyond them."""
    top, left = offset
    return _closed(tokens.reshape(SIDE, SIDE)[top:, left:]) is not None


def locate(tokens: Tokens) -> Offset:
    """Where the grid of an encoding [900] lies: its first cell comes before all else that is not padding."""
    return divmod(int((tokens != PAD).argmax()), SIDE)


def _coloured(board: Tokens) -> npt.NDArray[np.bool_]:
    return (board >= FIRST) & (board < FIRST + COLOURS)


def _closed(board: Tokens) -> tuple[int, int] | None:
    """Height and width of the rectangle of colours at the top left, if end markers close it off; there can be one only:
    it ends at the first cell without a colour of its first row and column."""
    coloured = _coloured(board)
    height, width = (int(np.append(line, False).argmin()) for line in (coloured[:, 0], coloured[0]))
    closed = coloured[:height, :width].all()
    closed &= (board[height : height + 1, :width] == END).all() & (board[:height, width : width + 1] == END).all()
    return (height, width) if closed and height and width else None


def _faults(board: Tokens) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Wrong cells of a grid of [i + 1, j + 1] at the top left: inside, in its end row, in its end column."""
    inside = (~_coloured(board)).cumsum(0).cumsum(1)
    ends = np.pad(board != END, ((0, 1), (0, 1)))  # beyond the board no marker is missing
    return inside, ends[1:, :-1].cumsum(1), ends[:-1, 1:].cumsum(0)


# Symmetries

# number -> transposed, then upside down, then left to right; numbered as in the published identifiers:
# as it is, three quarter turns against the clock, mirrored left to right, upside down, both diagonals
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
    """One of the eight symmetries of the square; a view."""
    transposed, down, across = DIHEDRAL[dihedral]
    grid = grid.T if transposed else grid
    return grid[:: -1 if down else 1, :: -1 if across else 1]


_PROBE = np.arange(6, dtype=np.uint8).reshape(2, 3)
_NUMBER = {turn(_PROBE, number).tobytes() + bytes(turn(_PROBE, number).shape): number for number in range(8)}


@dataclass(frozen=True)
class Augmentation:
    """A symmetry of ARC tasks and a place on the board. Invertible: `undo(apply(grid))` is the grid."""

    dihedral: int = 0  # of DIHEDRAL
    colours: tuple[int, ...] = SAME  # colour c becomes colours[c]
    offset: Offset = CORNER  # where `encode` puts the grid

    def __post_init__(self) -> None:
        if not 0 <= self.dihedral < len(DIHEDRAL) or sorted(self.colours) != list(SAME):
            raise ValueError(f"not a symmetry: dihedral {self.dihedral}, colours {self.colours}")

    def apply(self, grid: Grid) -> Grid:
        """[height, width] -> the same, turned and recoloured"""
        return np.array(self.colours, np.uint8)[turn(grid, self.dihedral)]

    def undo(self, grid: Grid) -> Grid:
        return self.inverse().apply(grid)

    def inverse(self) -> Augmentation:
        """At the corner of the board: a place on it has no inverse."""
        return Augmentation(INVERSE[self.dihedral], tuple(map(int, np.argsort(self.colours))))

    def then(self, after: Augmentation) -> Augmentation:
        """This one first and `after` next, at the place of `after`."""
        probe = turn(turn(_PROBE, self.dihedral), after.dihedral)
        colours = tuple(after.colours[colour] for colour in self.colours)
        return Augmentation(_NUMBER[probe.tobytes() + bytes(probe.shape)], colours, after.offset)

    def encode(self, grid: Grid) -> Tokens:
        """A grid of the task as it is -> tokens [900] of its image"""
        return encode(self.apply(grid), self.offset)

    def decode(self, tokens: Tokens) -> Grid | None:
        """Tokens [900] of an image -> the grid of the task as it is; None where there is none (see `decode`)"""
        grid = decode(tokens, self.offset)
        return None if grid is None else self.undo(grid)


IDENTITY = Augmentation()


def random_augmentation(rng: np.random.Generator, black: bool = True) -> Augmentation:
    """Uniform among the symmetries, at the corner; `black`: colour 0, mostly the background, stays as it is."""
    dihedral, fixed = int(rng.integers(len(DIHEDRAL))), int(black)
    return Augmentation(dihedral, (*range(fixed), *(fixed + rng.permutation(COLOURS - fixed)).tolist()))


def random_offset(rng: np.random.Generator, *shapes: tuple[int, ...]) -> Offset:
    """Uniform among the places where grids of all these shapes fit."""
    height, width = (max(lengths) for lengths in zip(*shapes, strict=True))
    return int(rng.integers(SIDE - height + 1)), int(rng.integers(SIDE - width + 1))


# Numbered augmentations: a function of (seed, task, number), so that no table of them need be kept.


def numbered(seed: int, id: str, number: int, black: bool = True) -> Augmentation:
    """Augmentation `number` of a task; 0 leaves it as it is."""
    return random_augmentation(_draws(seed, id, number), black) if number else IDENTITY


def still(seed: int, id: str, number: int, pairs: int) -> int:
    """Which of the task's `pairs` is never moved on the board under that augmentation, so that all are seen there."""
    return int(_draws(seed, id, number, 1).integers(pairs))


def identifier(task: int, number: int, augmentations: int) -> int:
    """Puzzle-embedding row of task `task` under augmentation `number`, 0 to `augmentations`; row 0 is left blank."""
    if not 0 <= number <= augmentations:
        raise ValueError(f"augmentation {number} is not one of 0 to {augmentations}")
    return 1 + task * (augmentations + 1) + number


def _draws(seed: int, id: str, number: int, stream: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, STREAM, zlib.crc32(id.encode()), number, stream])
