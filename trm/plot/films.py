"""The frames of an animation, drawn with Pillow: what is shown when, and the panel around a board."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from trm.plot import looks
from trm.plot.boards import Board, Moment, last_moment
from trm.plot.looks import Look
from trm.plot.pen import Pen, text_width
from trm.plot.steps import chosen_step, glows, shown_steps

if TYPE_CHECKING:
    from trm.inference.answers import Answer, Step

MOST = 45  # steps of an answer that are shown
BAR = "sure of the cells"
MARGIN, HEAD, FOOT = 24, 34, 30  # pixels around a panel, above its board and below it
NARROW = 192  # pixels, the least width of a panel without its margins
TITLE, SMALL = 17, 13  # sizes of text
COLOURS = 48  # of a film


class Shot(NamedTuple):
    """A frame of one answer."""

    moment: Moment
    words: str  # where in the work it is
    tone: str  # the colour of the words, as `Look` calls it
    sure: float  # 0..1, the mean probability of the cells' values
    time: int  # milliseconds


def film(answer: Answer, most: int = MOST) -> list[Shot]:
    """The frames of one answer: the question, the steps at which something happened, and how it ended."""
    trace, chosen = answer.trace, chosen_step(answer)
    glow = glows(trace)
    shown = shown_steps(trace, chosen, most)
    blank = Moment(None, np.zeros_like(glow[0]))
    shots = [Shot(blank, f"step 0 of {answer.steps}", "soft", 0.0, looks.QUESTION)]
    for step, time in zip(shown, looks.step_times(len(shown)), strict=True):
        moment = Moment(step, glow[step.number - 1])
        shots.append(Shot(moment, progress(answer, step), "soft", sureness(step), time))
    return shots + ending(answer, Moment(chosen, glow[-1]))


def sureness(step: Step) -> float:
    return float(step.cells.mean())


def progress(answer: Answer, step: Step) -> str:
    start = f"start {step.start + 1}, " if answer.starts > 1 else ""
    return f"{start}step {step.number} of {answer.steps}"


def ending(answer: Answer, moment: Moment) -> list[Shot]:
    """A right answer turns green; of any other the cells that break the rules turn red."""
    words = f"in {answer.steps} step{'s' * (answer.steps > 1)}"
    words += f", {answer.starts} starts" if answer.starts > 1 else ""
    last, sure = last_moment(answer, moment.step), sureness(chosen_step(answer))
    if not answer.solved:
        return [Shot(last, f"not solved {words}", "bad", sure, looks.LAST)]
    shots = []
    for number in range(1, looks.SWEEPS + 1):
        swept = number / (looks.SWEEPS + 1) * (1 + looks.BAND)
        passing = replace(moment, glow=moment.glow * looks.FADE**number, swept=swept)
        shots.append(Shot(passing, f"solved {words}", "good", sure, looks.SWEEP))
    return [*shots, Shot(last, f"solved {words}", "good", sure, looks.LAST)]


# Panels


def panel_size(board: Board) -> tuple[int, int]:
    """Width and height in pixels."""
    wide, high = board.columns * board.cell, board.rows * board.cell
    return max(wide, NARROW) + 2 * MARGIN, high + 2 * MARGIN + HEAD + FOOT


def panel(board: Board, shot: Shot) -> Image.Image:
    """A board with what it is, where in the work it is, and a bar for how sure the model is of the cells."""
    look, (width, height) = board.look, panel_size(board)
    pen = Pen(width, height, look.ground)
    left, right, top = MARGIN, width - MARGIN, MARGIN + HEAD
    board.paint(pen, (width - board.columns * board.cell) // 2, top, shot.moment)
    name = board.answer.task.spec.name.capitalize()
    size = TITLE * min(1.0, (right - left) / (text_width(f"{name}    {shot.words}", TITLE)))
    pen.write(left, MARGIN + 10, name, size, look.ink)
    pen.write(right, MARGIN + 10, shot.words, size, getattr(look, shot.tone), anchor=1.0)
    middle = height - MARGIN - SMALL / 2
    pen.write(left, middle, BAR, SMALL, look.soft)
    pen.write(right, middle, f"{shot.sure:.0%}", SMALL, look.soft, anchor=1.0)
    begin = left + text_width(BAR, SMALL) + 10
    length = right - text_width("100%", SMALL) - 10 - begin
    pen.rounded(begin, middle - 2, length, 4, 2, look.track)
    if shot.sure * length >= 4:
        pen.rounded(begin, middle - 2, shot.sure * length, 4, 2, look.good if shot.tone == "good" else look.model)
    return pen.picture()


class Frame(NamedTuple):
    """A picture and for how many milliseconds it is shown."""

    picture: Image.Image
    time: int


def frames(answers: Sequence[Answer], look: Look) -> Iterator[Frame]:
    """The frames of several answers side by side: all take their steps together, and keep their last frame."""
    boards = [Board(answer, look) for answer in answers]
    films = [film(answer) for answer in answers]
    longest = max(films, key=len)
    sizes = [panel_size(board) for board in boards]
    drawn = [panel(board, shots[0]) for board, shots in zip(boards, films, strict=True)]
    for number, shots in enumerate(zip_longest(*films)):
        picture = Image.new("RGB", (sum(width for width, _ in sizes), max(height for _, height in sizes)), look.ground)
        left = 0
        for place, (board, shot, (width, _)) in enumerate(zip(boards, shots, sizes, strict=True)):
            if shot is not None:
                drawn[place] = panel(board, shot)
            picture.paste(drawn[place], (left, 0))
            left += width
        yield Frame(picture, longest[number].time)


def merged(drawn: Iterable[Frame]) -> list[Frame]:
    """The frames without those that repeat the one before, which is shown longer."""
    kept: list[Frame] = []
    for frame in drawn:
        if kept and kept[-1].picture.tobytes() == frame.picture.tobytes():
            kept[-1] = Frame(frame.picture, kept[-1].time + frame.time)
        else:
            kept.append(frame)
    return kept


# Palettes


def in_palette(pictures: Sequence[Image.Image], colours: int = COLOURS) -> list[Image.Image]:
    """The pictures in one palette for all; a colour that is not in it becomes the nearest that is."""
    coded = [np.asarray(picture).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32) for picture in pictures]
    used = [np.unique(code, return_counts=True) for code in coded]
    known = np.unique(np.concatenate([codes for codes, _ in used]))
    counts = np.zeros(len(known), np.int64)
    for codes, often in used:
        counts[np.searchsorted(known, codes)] += often
    parts = np.stack([known >> 16 & 255, known >> 8 & 255, known & 255], 1).astype(np.int64)
    chosen, nearest = choose_colours(parts, counts, colours)
    palette = parts[chosen].astype(np.uint8).tobytes()
    return [with_palette(nearest[np.searchsorted(known, code)], palette) for code in coded]


def choose_colours(
    parts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], most: int
) -> tuple[list[int], npt.NDArray[np.uint8]]:
    """Which colours of parts [colours, 3] make the palette, and the place in it of the nearest to each: [colours].

    The most frequent comes first, then always the one whose pixels are furthest off, in squares and in all.
    """
    chosen: list[int] = []
    nearest = np.zeros(len(parts), np.uint8)
    off = np.full(len(parts), 3 * 255**2, np.int64)
    while len(chosen) < most and off.any():
        chosen.append(int((counts * off).argmax()))
        now = np.square(parts - parts[chosen[-1]]).sum(1)
        nearest[now < off] = len(chosen) - 1
        off = np.minimum(off, now)
    return chosen, nearest


def only_changes(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Pictures in one palette, all but the first with the colour `COLOURS`, which is transparent, where nothing
    changed. A GIF of them is far smaller.
    """
    indices = [np.asarray(picture) for picture in pictures]
    palette = bytes(pictures[0].getpalette() or [])
    changed = [np.where(now == before, COLOURS, now).astype(np.uint8) for before, now in pairwise(indices)]
    return [pictures[0], *(with_palette(index, palette) for index in changed)]


def with_palette(index: npt.NDArray[np.uint8], palette: bytes) -> Image.Image:
    picture = Image.fromarray(index)
    picture.putpalette(palette)
    return picture
