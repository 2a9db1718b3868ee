"""What is seen in a question, against loops and floods that are written out here."""

from __future__ import annotations

import hypothesis
import numpy as np
from arc_cases import grid, grids, same
from hypothesis import given
from hypothesis import strategies as st

from trm.adapt.marks import AWAY, enclosed, marks, roles, sights
from trm.adapt.objects import Mask, background, objects
from trm.adapt.symmetry import EMPTY
from trm.tasks.arc.augment import DIHEDRAL, turn
from trm.tasks.arc.text import Grid

SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
ODD = ("odd row", "odd column")  # they turn with the board only if its sides are odd
EXCHANGED = {"row": "column", "column": "row"}  # by a transposition
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
    for board, (down, right) in zip(sights(one), AWAY, strict=True):
        for row, column in np.ndindex(*one.shape):
            ray = [(row + k * down, column + k * right) for k in range(1, 31)]
            inside = [one[cell] for cell in ray if on_board(cell, one)]
            met = [colour for colour in inside if colour != background(one)]
            assert board[row, column] == (met[0] if met else EMPTY)


@few
@given(grids, st.integers(0, 7))
def test_marks_turn_with_the_question(one: Grid, way: int) -> None:
    turned = marks(turn(one, way))
    for name, board in marks(one).items():
        assert board.shape == one.shape
        if name not in ODD:
            other = " ".join(EXCHANGED.get(word, word) for word in name.split()) if DIHEDRAL[way][0] else name
            assert same(turn(board.astype(np.uint8), way), turned[other].astype(np.uint8)), name


def test_marks_of_objects() -> None:
    question = grid("1110003", "1010000", "1110220", "0000000", "0440020", "0400000")
    found = {name.partition(": ")[2]: cells(board) for name, board in marks(question).items() if "one colour:" in name}
    ring, pair, corner = cells(question == 1), {(2, 4), (2, 5)}, cells(question == 4)
    dot, other = {(0, 6)}, {(4, 5)}
    everything = ring | pair | corner | dot | other
    assert found == {
        "size 1": dot | other,
        "size 2": pair,
        "size 3": corner,
        "size 4": set(),
        "largest": ring,
        "smallest": dot | other,
        "second largest": corner,
        "at the edge": ring | dot | corner,
        "with a hole": ring,
        "symmetric": everything - corner,
        "unlike all others": everything,
        "boxes": everything | {(1, 1), (5, 2)},
        "1 holes": ring,
        "2 holes": set(),
        "3 holes": set(),
        "rectangle": pair | dot | other,
        "in a square box": ring | corner | dot | other,
        "of a shape of its own": ring | pair | corner,
        "of the commonest shape": dot | other,
        "middle": {(1, 1)} | pair | corner | {(5, 2)},
    }


def test_marks_of_places_and_of_the_background() -> None:
    question = grid("33333", "30300", "33300", "10000", "10001")
    found = {name: cells(board) for name, board in marks(question).items() if "object" not in name}
    top, rest = {(1, 1)}, {(1, 3), (1, 4), (2, 3), (2, 4), (3, 1), (3, 2), (3, 3), (3, 4), (4, 1), (4, 2), (4, 3)}
    every = {(row, column) for row in range(5) for column in range(5)}
    inner = {(row, column) for row in range(1, 4) for column in range(1, 4)}
    assert found["edge"] == every - inner
    assert found["odd ring"] == inner - {(2, 2)}
    assert found["odd row"] == {cell for cell in every if cell[0] in (1, 3)}
    assert found["odd column"] == {cell for cell in every if cell[1] in (1, 3)}
    assert found["middle row"] == {cell for cell in every if cell[0] == 2}
    assert found["middle column"] == {cell for cell in every if cell[1] == 2}
    assert found["row of one colour"] == {cell for cell in every if cell[0] == 0}
    assert found["column of one colour"] == set()
    assert found["enclosed"] == top
    assert [found[f"background: {name}"] for name in ("largest", "smallest", "one cell")] == [rest, top, top]
    assert [found[f"background: {name}"] for name in ("rectangle", "square")] == [top, top]
    assert [found[f"enclosed part: {name}"] for name in ("largest", "smallest", "square")] == [top, top, top]


def test_roles_of_colours() -> None:
    found = roles(grid("00120", "01120", "31110", "00003"), [0, 1, 2, 3, 5, 10])
    assert found.tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 1, 0, 0, 1],  # the commonest besides the background, and the largest object
        [0, 0, 1, 1, 0, 0, 0, 0, 1],  # two cells, as 3 has
        [0, 0, 1, 1, 0, 0, 1, 1, 1],  # two objects of one cell
        [0] * 9,
        [0] * 9,
    ]
