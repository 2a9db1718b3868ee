"""Boards without their holes, and mirror images, against boards that were made symmetric and then covered."""

from __future__ import annotations

import hypothesis
import numpy as np
from arc_cases import grid, grids, same
from hypothesis import given
from hypothesis import strategies as st

from trm.adapt.symmetry import EMPTY, mirrored, repaired
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import Grid

few = hypothesis.settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def covered(board: Grid, rng: np.random.Generator, colour: int = 9) -> Grid:
    """The board with a block of 3x3 cells of another colour, in its upper half."""
    row, column = rng.integers(0, len(board) // 2 - 2), rng.integers(0, board.shape[1] - 2)
    out: Grid = board.copy()
    out[row : row + 3, column : column + 3] = colour
    return out


@few
@given(seeds, st.sampled_from(["reflection", "rows", "columns", "diagonal"]), st.integers(0, 7))
def test_a_covered_part_is_found(seed: int, kind: str, way: int) -> None:
    rng = np.random.default_rng(seed)
    part = rng.integers(0, 8, (6, 12)).astype(np.uint8)
    if kind == "diagonal":
        square = rng.integers(0, 8, (12, 12)).astype(np.uint8)
        board = np.triu(square) + np.triu(square, 1).T
        hidden = board.copy()
        hidden[1:4, 6:9] = 9
    else:
        board = {
            "reflection": np.concatenate((part, part[::-1])),
            "rows": np.concatenate((part, part)),
            "columns": np.tile(part[:, :4], (2, 3)),
        }[kind]
        hidden = covered(board, rng)
    assert same(turn(repaired(turn(hidden, way)), (0, 3, 2, 1, 4, 5, 6, 7)[way]), board)


@few
@given(seeds)
def test_a_colour_that_nothing_says_anything_about(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 8, (9, 11)).astype(np.uint8)
    assert (repaired(covered(noise, np.random.default_rng(seed))) == EMPTY).all()


@few
@given(seeds, st.permutations(range(1, 10)))
def test_names_of_colours_decide_nothing(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    part = rng.integers(0, 3, (4, 7)).astype(np.uint8)
    board = covered(np.concatenate((part, part[::-1])), rng, 3)
    number = np.arange(256, dtype=np.uint8)
    number[1:10] = order
    assert same(repaired(number[board]), number[repaired(board)])
    for one, other in zip(mirrored(number[board]), mirrored(board), strict=True):
        assert same(one, number[other])


def test_mirror_images_about_the_axes_of_objects() -> None:
    question = grid("00000000", "01002000", "00110000", "00110000", "01001000", "00000000")
    upside_down, across, both = mirrored(question)
    assert same(upside_down, np.vstack([question[::-1][:6]]))
    assert across[1].tolist() == [0, 2, 0, 0, 1, 0, EMPTY, EMPTY]
    assert both[4].tolist() == [0, 2, 0, 0, 1, 0, EMPTY, EMPTY]


@few
@given(grids)
def test_mirror_images_hold_cells_of_the_question(one: Grid) -> None:
    for board in mirrored(one):
        assert board.shape == one.shape
        assert set(np.unique(board).tolist()) <= {*np.unique(one).tolist(), EMPTY}
