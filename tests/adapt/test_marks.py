"""What is seen in a question, against loops and floods that are written out here."""

from __future__ import annotations

import hypothesis
import numpy as np
from arc_cases import grid, grids, same
from hypothesis import given
from hypothesis import strategies as st

from trm.adapt.marks import EMPTY, enclosed, marks, roles, sights
from trm.adapt.objects import Mask, background, objects
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import Grid

SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
DIRECTED = (2, 3)  # marks of every other row and column, which turn with the board only if its sides are odd
few = hypothesis.settings(max_examples=25, deadline=None)


def on_board(cell: tuple[int, int], board: np.ndarray) -> bool:
    return min(cell) >= 0 and cell[0] < board.shape[0] and cell[1] < board.shape[1]


def flood(free: Mask, start: tuple[int, int], moves: tuple[tuple[int, int], ...]) -> set[tuple[int, int]]:
    """The free cells that can be reached."""
    found, waiting = {start}, [start]
    while waiting:
        row, column = waiting.pop()
        for down, right in moves:
            cell = (row + down, column + right)
            if cell not in found and on_board(cell, free) and free[cell]:
                found.add(cell)
                waiting.append(cell)
    return found


def cells(mask: Mask) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for row, column in zip(*mask.nonzero(), strict=True)}


@few
@given(grids, st.booleans())
def test_objects_are_what_a_flood_reaches(one: Grid, alike: bool) -> None:
    ground = background(one)
    expected = list[set[tuple[int, int]]]()
    for start in sorted(cells(one != ground)):
        if not any(start in found for found in expected):
            free = (one == one[start]) if alike else (one != ground)
            expected.append(flood(free, start, SIDES + CORNERS))
    assert [cells(mask) for mask in objects(one, ground, alike)] == expected


@few
@given(grids)
def test_enclosed_cells_have_no_way_out(one: Grid) -> None:
    free = one == background(one)
    height, width = one.shape

    def at_edge(cell: tuple[int, int]) -> bool:
        return cell[0] in (0, height - 1) or cell[1] in (0, width - 1)

    expected = {cell for cell in cells(free) if not any(map(at_edge, flood(free, cell, SIDES)))}
    assert cells(enclosed(free)) == expected


@few
@given(grids)
def test_sights(one: Grid) -> None:
    for board, (down, right) in zip(sights(one), ((-1, 0), (1, 0), (0, -1), (0, 1)), strict=True):
        for row, column in np.ndindex(*one.shape):
            ray = [(row + k * down, column + k * right) for k in range(1, 31)]
            inside = [one[cell] for cell in ray if on_board(cell, one)]
            met = [colour for colour in inside if colour != background(one)]
            assert board[row, column] == (met[0] if met else EMPTY)


@few
@given(grids, st.integers(0, 7))
def test_marks_turn_with_the_question(one: Grid, way: int) -> None:
    for at, (plain, turned) in enumerate(zip(marks(one), marks(turn(one, way)), strict=True)):
        assert plain.shape == one.shape
        if at not in DIRECTED:
            assert same(turn(plain.astype(np.uint8), way), turned.astype(np.uint8))


def test_marks_of_objects() -> None:
    question = grid("1110003", "1010000", "1110220", "0000000", "0440020", "0400000")
    of_one_colour = [cells(mask) for mask in marks(question)[-12:]]
    ring, pair, corner = cells(question == 1), {(2, 4), (2, 5)}, cells(question == 4)
    dot, other = {(0, 6)}, {(4, 5)}
    assert of_one_colour[:4] == [dot | other, pair, corner, set()]  # one to four cells
    assert of_one_colour[4:7] == [ring, dot | other, corner]  # largest, smallest, second largest
    assert of_one_colour[7:9] == [ring | dot | corner, ring]  # at an edge, with a hole
    assert of_one_colour[9:11] == [
        ring | pair | dot | other,
        ring | pair | corner | dot | other,
    ]  # symmetric, unlike all
    assert of_one_colour[11] == ring | {(1, 1)} | pair | corner | {(5, 2)} | dot | other  # the boxes around them


def test_roles_of_colours() -> None:
    found = roles(grid("0012", "0112", "0111"), [0, 1, 2, 5])
    assert found.tolist() == [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]]
