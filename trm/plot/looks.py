"""How a model's thinking looks: colours, thresholds and times, in one place for animations, plots and the page.

A cell whose values are interchangeable symbols (a Sudoku's digits) shows a pencil mark for each value of probability
`LEAST` or more, arranged as the box is, or the likeliest value alone from `SURE` on. Both grow and darken with the
probability: `mark`, `digit`. In a maze each open cell glows by how far the memory z moved in it: `glow`. The path is a
line through the centres of its cells. Other tasks write each cell's value, as visible as it is probable: `visible`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Colour: TypeAlias = tuple[int, int, int]  # red, green, blue: 0 to 255
Floats: TypeAlias = npt.NDArray[np.floating]

LEAST = 0.03  # a candidate of less probability is left out
SURE = 0.85  # from this probability on, a cell shows its likeliest value alone
LEVELS = 8  # of a probability's root and of a glow that are told apart: a picture stays still while little changes
FADE = 0.75  # what is left of a glow one step later
DIM = 0.1  # a glow below is not shown
PATH, BEND, WALL_CORNER = 0.36, 0.3, 0.3  # width of a path, radius of its bends and of a wall's free corners, in cells

# In milliseconds. A step lasts STEP, and nearly SLOW at the beginning and the end.
QUESTION, SLOW, STEP, SWEEP, LAST = 1000, 480, 140, 60, 2600
EASE = 0.6  # how much of what a step lasts longer is left in the next one
SWEEPS = 9  # frames in which a right answer turns green
BAND = 0.35  # width of the green band that passes over it, as a share of the board


class Size(NamedTuple):
    """How a value of some probability is written."""

    height: float  # of the font, as a share of the cell, or of the pencil mark's part of it
    shade: float  # 0: as the background, 1: full colour


class Stop(NamedTuple):
    """A colour of a glow."""

    glow: float  # 0..1
    colour: Colour


@dataclass(frozen=True)
class Look:
    """The colours of a picture."""

    ground: Colour  # around the board
    board: Colour  # a cell
    line: Colour  # between cells
    box: Colour  # between boxes, and around the board
    ink: Colour  # titles
    soft: Colour  # other text
    track: Colour  # what is empty of a bar
    given: Colour
    model: Colour  # what the model writes: marks, digits, the path
    good: Colour
    bad: Colour
    wall: Colour
    start: Colour
    goal: Colour
    end: Colour  # the letters on S and G
    glow: tuple[Stop, ...]


def rgb(text: str) -> Colour:
    """A colour from its usual spelling, `#rrggbb`."""
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


DARK = Look(
    ground=rgb("#14161a"),
    board=rgb("#1b1e24"),
    line=rgb("#2c313a"),
    box=rgb("#646c7a"),
    ink=rgb("#ece7db"),
    soft=rgb("#9aa1ad"),
    track=rgb("#2c313a"),
    given=rgb("#f6efdd"),
    model=rgb("#86aefc"),
    good=rgb("#67cf8b"),
    bad=rgb("#ff7d74"),
    wall=rgb("#454c59"),
    start=rgb("#3fae6b"),
    goal=rgb("#e2653b"),
    end=rgb("#ffffff"),
    glow=(
        Stop(0.0, rgb("#1b1e24")),
        Stop(0.3, rgb("#4a3417")),
        Stop(0.6, rgb("#a8691d")),
        Stop(0.85, rgb("#f0ae45")),
        Stop(1.0, rgb("#fff0c4")),
    ),
)
LIGHT = Look(
    ground=rgb("#faf9f6"),
    board=rgb("#ffffff"),
    line=rgb("#e2e1dc"),
    box=rgb("#565c66"),
    ink=rgb("#1d1f23"),
    soft=rgb("#646a74"),
    track=rgb("#e2e1dc"),
    given=rgb("#1d1f23"),
    model=rgb("#2258cc"),
    good=rgb("#178044"),
    bad=rgb("#c22f26"),
    wall=rgb("#59606c"),
    start=rgb("#1f8a4c"),
    goal=rgb("#cf4a1d"),
    end=rgb("#ffffff"),
    glow=(
        Stop(0.0, rgb("#ffffff")),
        Stop(0.3, rgb("#fdf0cf")),
        Stop(0.6, rgb("#fbd07a")),
        Stop(0.85, rgb("#f09a2c")),
        Stop(1.0, rgb("#d96a0b")),
    ),
)


def look(dark: bool) -> Look:
    return DARK if dark else LIGHT


def blend(low: Colour, high: Colour, share: float) -> Colour:
    """The colour at `share` of the way from one to the other."""
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return red, green, blue


def contrast(ground: Colour) -> Colour:
    """Black or white, whichever is easier to read on `ground`."""
    red, green, blue = ground
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def mark(probability: float) -> Size:
    """A pencil mark; its height is a share of the mark's part of the cell."""
    root = steady(probability**0.5)
    return Size(0.55 + 0.6 * root, 0.2 + 0.8 * root)


def digit(probability: float) -> Size:
    """The digit of a cell of which the model is sure; its height is a share of the cell."""
    settled = steady((probability - SURE) / (1 - SURE))
    return Size(0.46 + 0.16 * settled, 0.7 + 0.3 * settled)


def visible(probability: float) -> float:
    """The shade of a value that stands alone in its cell, whatever its probability."""
    return 0.2 + 0.8 * steady(probability)


def steady(share: float) -> float:
    """The nearest of `LEVELS` + 1 shares from 0 to 1."""
    return round(min(max(share, 0.0), 1.0) * LEVELS) / LEVELS


def glow(memory: Floats, before: Floats | None = None) -> Floats:
    """The glow of cells [height, width] after a step: how far their memory moved, at most 1, or what is left of the
    glow `before`. In a start's first step every cell moves away from its initial state, so that step leaves no glow.
    """
    if before is None:
        return np.zeros_like(memory)
    glow: Floats = np.maximum(np.minimum(memory, 1.0), FADE * before)
    return glow


def glow_colour(look: Look, glow: float) -> Colour:
    """The colour of a cell that glows."""
    level = steady(glow) if glow >= DIM else 0.0
    for low, high in pairwise(look.glow):
        if level <= high.glow:
            return blend(low.colour, high.colour, (level - low.glow) / (high.glow - low.glow))
    return look.glow[-1].colour


def step_times(count: int) -> list[int]:
    """How long each of `count` steps is shown, in milliseconds."""
    edge = [min(at, count - 1 - at) for at in range(count)]
    return [round((STEP + (SLOW - STEP) * EASE**distance) / 10) * 10 for distance in edge]


def arrangement(values: int, box: Sequence[int], board: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a cell's pencil marks: those of the box where it has one place for each value."""
    if tuple(box) != tuple(board) and box[0] * box[1] == values:
        return box[0], box[1]
    columns = int(np.ceil(values**0.5))
    return -(-values // columns), columns
