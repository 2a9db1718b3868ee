"""Boards drawn with Pillow: pencil marks, mazes that glow, and numbers. `trm.plot.looks` has the rules of all three."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from trm.plot import looks
from trm.plot.looks import Colour, Floats, Look, blend
from trm.plot.pen import Pen

if TYPE_CHECKING:
    from trm.inference.answers import Answer, Step
    from trm.tasks.base import Sign

Walls: TypeAlias = npt.NDArray[np.bool_]

SIDE, LARGEST = 360, 64  # pixels of a board's longer side, about; of a cell, at most
WALL, START, GOAL, MARKED = "#SGo"  # characters of a maze's grid; all others are open
MOST_MARKS = 16  # values, for which there is room in a cell


@dataclass(frozen=True)
class Moment:
    """What a board shows."""

    step: Step | None  # None: the question alone
    glow: Floats  # [height, width]
    swept: float = 0.0  # how far the green over a right answer has come: from 0, nowhere, to 1 + BAND, everywhere
    faults: frozenset[int] = frozenset()  # cells to mark as wrong


def last_moment(answer: Answer, step: Step | None) -> Moment:
    """The end: a right answer is green all over, and of any other the cells that break the rules are marked."""
    dark = np.zeros((answer.task.spec.height, answer.task.spec.width))
    if answer.solved:
        return Moment(step, dark, swept=1 + looks.BAND)
    faults = answer.task.faults(answer.question, answer.tokens)
    return Moment(step, dark, faults=frozenset(fault.cell for fault in faults))


@dataclass(frozen=True)
class Board:
    """One answer's boards. `paint` draws one of them."""

    answer: Answer
    look: Look

    @property
    def rows(self) -> int:
        return self.answer.task.spec.height

    @property
    def columns(self) -> int:
        return self.answer.task.spec.width

    @cached_property
    def kind(self) -> str:
        """`maze`, `marks` (symbols as pencil marks) or `numbers`."""
        spec = self.answer.task.spec
        if self.answer.grid.dtype.kind == "U" and set(self.question.flat) <= set("#.SGo"):
            return "maze"
        return "marks" if 1 < spec.symbols <= MOST_MARKS else "numbers"

    @cached_property
    def question(self) -> npt.NDArray[Any]:
        """[height, width], as people see it."""
        return self.answer.task.to_grid(self.answer.question)

    @cached_property
    def marks(self) -> tuple[int, int]:
        """Rows and columns of a cell's pencil marks."""
        task = self.answer.task
        return looks.arrangement(task.spec.symbols, task.box, (self.rows, self.columns))

    @cached_property
    def cell(self) -> int:
        """Pixels of a cell's side."""
        least = {"maze": 6, "marks": 12 * max(self.marks) if self.kind == "marks" else 0, "numbers": 14}[self.kind]
        return min(max(SIDE // max(self.rows, self.columns), least), LARGEST)

    @cached_property
    def signs(self) -> tuple[Sign, ...]:
        """How each token from 1 on is written."""
        return self.answer.task.signs

    @cached_property
    def walls(self) -> Image.Image:
        return wall_mask(self.question == WALL, self.cell)

    @cached_property
    def order(self) -> Floats:
        """[height, width], 0..1: when the green reaches a cell. It goes along a maze's path, else slantwise."""
        slant = np.add.outer(np.arange(self.rows), np.arange(self.columns)) / max(self.rows + self.columns - 2, 1)
        return path_order(self.answer.grid) if self.kind == "maze" else slant

    def paint(self, pen: Pen, left: float, top: float, moment: Moment) -> None:
        """Draw the board with its upper left corner here."""
        place = Place(pen, self, left, top)
        pen.rectangle(left, top, self.columns * self.cell, self.rows * self.cell, self.look.board)
        {"maze": paint_maze, "marks": paint_marks, "numbers": paint_numbers}[self.kind](place, moment)

    def image(self, moment: Moment) -> Image.Image:
        """The board alone, larger than in an animation."""
        edge = 2  # pixels, for the thick line around it
        pen = Pen(self.columns * self.cell + 2 * edge, self.rows * self.cell + 2 * edge, self.look.board)
        self.paint(pen, edge, edge, moment)
        return pen.canvas

    def green(self, moment: Moment, row: int, column: int) -> float:
        """How bright the green band is in a cell, 0..1; 0 where it has not come yet, and some of it stays behind."""
        past = moment.swept - float(self.order[row, column])
        return 0.0 if past <= 0 else max(1 - past / looks.BAND, 0.0)

    def reached(self, moment: Moment, row: int, column: int) -> bool:
        """Whether the green has come to a cell."""
        return moment.swept > float(self.order[row, column])


@dataclass(frozen=True)
class Place:
    """Where a board is drawn."""

    pen: Pen
    board: Board
    left: float
    top: float

    def corner(self, row: int, column: int) -> tuple[float, float]:
        return self.left + column * self.board.cell, self.top + row * self.board.cell

    def centre(self, row: int, column: int) -> tuple[float, float]:
        x, y = self.corner(row, column)
        return x + self.board.cell / 2, y + self.board.cell / 2

    def fill(self, row: int, column: int, colour: Colour) -> None:
        x, y = self.corner(row, column)
        self.pen.rectangle(x, y, self.board.cell, self.board.cell, colour)

    def lines(self, down: int, across: int) -> None:
        """Thin lines between cells, then thick ones between boxes and around the board."""
        board, look = self.board, self.board.look
        for colour, thick in ((look.line, False), (look.box, True)):
            for row in range(board.rows + 1):
                if (row % down == 0) == thick:
                    x, y = self.corner(row, 0)
                    self.pen.rectangle(x - thick, y - thick, board.columns * board.cell + 2 * thick, 1 + thick, colour)
            for column in range(board.columns + 1):
                if (column % across == 0) == thick:
                    x, y = self.corner(0, column)
                    self.pen.rectangle(x - thick, y - thick, 1 + thick, board.rows * board.cell + 2 * thick, colour)


def tint(place: Place, moment: Moment, row: int, column: int, own: str = "", shade: float = 1.0) -> Colour:
    """The background of a cell: green as the band passes, red where the cell is wrong. Fills it.

    `own`: the colour of its value, or nothing; `shade`: how much of it is seen.
    """
    board, look = place.board, place.board.look
    colour = blend(look.board, looks.rgb(own), shade) if own else look.board
    if row * board.columns + column in moment.faults:
        colour = blend(look.board, look.bad, 0.22)
    elif board.reached(moment, row, column):
        colour = blend(colour, look.good, 0.10 + 0.30 * board.green(moment, row, column))
    if colour != look.board:
        place.fill(row, column, colour)
    return colour


def writing(place: Place, moment: Moment, row: int, column: int, ground: Colour, own: str = "") -> Colour:
    """The colour of what the model writes in a cell on this ground; `own` as in `tint`."""
    board, look = place.board, place.board.look
    if row * board.columns + column in moment.faults:
        return look.bad
    if own:
        return looks.contrast(ground)
    return look.good if board.reached(moment, row, column) else look.model


def paint_marks(place: Place, moment: Moment) -> None:
    """A board of symbols: what is given, pencil marks, and the digits of which the model is sure."""
    board, look, pen = place.board, place.board.look, place.pen
    symbols = board.signs[board.answer.task.spec.first_symbol - 1 :]
    for cell, (row, column) in enumerate(np.ndindex(board.rows, board.columns)):
        x, y = place.centre(row, column)
        value = int(board.answer.question[cell]) - board.answer.task.spec.first_symbol
        if value >= 0:
            own = symbols[value].colour
            ground = tint(place, moment, row, column, own)
            ink = writing(place, moment, row, column, ground, own)
            ink = ink if own or cell in moment.faults else look.given
            pen.centred(x, y, symbols[value].text, 0.6 * board.cell, ink, bold=True)
        elif moment.step is None:
            tint(place, moment, row, column)
        else:
            chances = moment.step.probabilities[row, column]
            best = int(chances.argmax())
            done = bool(moment.faults) or board.reached(moment, row, column)
            sure = done or chances[best] >= looks.SURE
            size = looks.digit(1.0 if done else float(chances[best]))
            own = symbols[best].colour if sure else ""
            ground = tint(place, moment, row, column, own, size.shade)
            colour = writing(place, moment, row, column, ground, own)
            if sure:
                pen.centred(x, y, symbols[best].text, size.height * board.cell, blend(ground, colour, size.shade))
            else:
                pencil(place, (row, column), chances, ground, colour)
    place.lines(*board.answer.task.box)


def pencil(place: Place, at: tuple[int, int], chances: Floats, ground: Colour, colour: Colour) -> None:
    """The pencil marks of a cell."""
    board = place.board
    down, across = board.marks
    x, y = place.corner(*at)
    inset = 0.04 * board.cell
    wide, high = (board.cell - 2 * inset) / across, (board.cell - 2 * inset) / down
    for value in np.flatnonzero(chances >= looks.LEAST).tolist():
        size = looks.mark(float(chances[value]))
        label = board.signs[board.answer.task.spec.first_symbol - 1 + value].text
        middle = x + 0.5 + inset + (value % across + 0.5) * wide, y + 0.5 + inset + (value // across + 0.5) * high
        height = size.height * min(wide, high)
        place.pen.centred(*middle, label, height, blend(ground, colour, size.shade))


def paint_numbers(place: Place, moment: Moment) -> None:
    """A board of any other task: each cell's value, as visible as it is probable."""
    board, look = place.board, place.board.look
    question, task = board.answer.question, board.answer.task
    shown = question if moment.step is None else task.shown(question, moment.step.tokens)
    chances = np.ones((board.rows, board.columns)) if moment.step is None else moment.step.cells
    size = min(0.55, 1.1 / max(1, *(len(sign.text) for sign in board.signs))) * board.cell
    for cell, (row, column) in enumerate(np.ndindex(board.rows, board.columns)):
        sign, shade = board.signs[max(1, int(shown[cell])) - 1], looks.visible(float(chances[row, column]))
        ground = tint(place, moment, row, column, sign.colour, shade)
        colour = writing(place, moment, row, column, ground, sign.colour)
        given = shown[cell] == question[cell] and colour == look.model
        ink = blend(ground, look.given if given else colour, shade)
        place.pen.centred(*place.centre(row, column), sign.text, size, ink)
    place.lines(*task.box)


# Mazes


def paint_maze(place: Place, moment: Moment) -> None:
    """A maze: the glow of its open cells, walls, the path, and both ends."""
    board, look = place.board, place.board.look
    for row, column in np.argwhere((board.question != WALL) & (moment.glow >= looks.DIM)).tolist():
        place.fill(row, column, looks.glow_colour(look, float(moment.glow[row, column])))
    place.pen.stamp(place.left, place.top, board.walls, look.wall)
    if moment.step is not None:
        paint_path(place, moment, moment.step)
    for row, column in np.argwhere((board.question == START) | (board.question == GOAL)).tolist():
        x, y = place.centre(row, column)
        letter, side = str(board.question[row, column]), board.cell + 2
        place.pen.rounded(
            x - side / 2, y - side / 2, side, side, 0.28 * side, look.start if letter == START else look.goal
        )
        place.pen.centred(x, y, letter, 0.72 * side, look.end, bold=True)
    for cell in moment.faults:
        place.pen.dot(*place.centre(*divmod(cell, board.columns)), 0.7 * board.cell, look.bad)


def paint_path(place: Place, moment: Moment, step: Step) -> None:
    """The path as far as the model has found it, a line through the cells that belong to it."""
    board, look, cells = place.board, place.board.look, step.cells
    part = np.pad((step.grid == MARKED) | (step.grid == START) | (step.grid == GOAL), 1)
    for row, column in np.argwhere(part[1:-1, 1:-1]).tolist():
        beside = [(x, y) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)) if part[row + 1 + y, column + 1 + x]]
        reached = board.reached(moment, row, column)
        ink = blend(look.board, look.good if reached else look.model, looks.visible(float(cells[row, column])))
        paint_link(place, place.centre(row, column), beside, ink)


def paint_link(place: Place, centre: tuple[float, float], beside: list[tuple[int, int]], colour: Colour) -> None:
    """The path's part in one cell, to the neighbours that lie `beside` it; a bend is round."""
    (x, y), half = centre, place.board.cell / 2
    width, radius = looks.PATH * place.board.cell, looks.BEND * place.board.cell
    bends = len(beside) == 2 and beside[0][0] * beside[1][0] + beside[0][1] * beside[1][1] == 0
    inner = radius if bends else 0.0
    for dx, dy in beside:
        near, far = (x + dx * inner, y + dy * inner), (x + dx * half, y + dy * half)
        place.pen.line(near, far, width, colour)
    if bends:
        (ax, ay), (bx, by) = beside
        place.pen.bend((x + (ax + bx) * radius, y + (ay + by) * radius), (ax + bx, ay + by), radius, width, colour)
    else:
        place.pen.dot(x, y, width, colour)


def wall_mask(walls: Walls, cell: int) -> Image.Image:
    """Where the walls are, drawn once: 255 on a wall. Corners that touch no other wall are round."""
    height, width = walls.shape
    pen = Pen(width * cell, height * cell, 0, mode="L")
    for row, column in np.argwhere(walls).tolist():
        corners = free_corners(walls, row, column)
        pen.rounded(column * cell, row * cell, cell, cell, looks.WALL_CORNER * cell, 255, corners)
    return pen.canvas


def free_corners(walls: Walls, row: int, column: int) -> tuple[bool, bool, bool, bool]:
    """Which corners of a wall touch no other wall: upper left, upper right, lower right, lower left."""
    near = np.pad(walls, 1)
    up, down, left, right = (bool(near[row + 1 + y, column + 1 + x]) for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1)))
    return not (up or left), not (up or right), not (down or right), not (down or left)


def path_order(grid: npt.NDArray[Any]) -> Floats:
    """[height, width], 0..1: how far along the path from S each of its cells is; all other cells have 1."""
    part = (grid == MARKED) | (grid == GOAL)
    order = np.ones(grid.shape)
    edge = [(y, x) for y, x in np.argwhere(grid == START).tolist()]
    found: list[tuple[int, int]] = []
    while edge:
        found += edge
        beside = [(y + dy, x + dx) for y, x in edge for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        edge = [at for at in dict.fromkeys(beside) if inside(at, grid.shape) and part[at]]
        for at in edge:
            part[at] = False
    for place, at in enumerate(found):
        order[at] = place / max(len(found) - 1, 1)
    return order


def inside(at: tuple[int, int], shape: tuple[int, ...]) -> bool:
    return 0 <= at[0] < shape[0] and 0 <= at[1] < shape[1]
