"""Drawing with Pillow on a canvas that is larger than the picture, and reduced in the end."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from trm.plot.looks import Colour

SCALE = 3  # how much larger
Ink: TypeAlias = Colour | int  # an int: a shade of grey
Point: TypeAlias = tuple[float, float]


class Pen:
    """A canvas. Positions and lengths are in pixels of the picture, from its upper left corner."""

    def __init__(self, width: int, height: int, ground: Ink, mode: str = "RGB") -> None:
        self.scale = SCALE
        self.canvas = Image.new(mode, (width * SCALE, height * SCALE), ground)
        self.draw = ImageDraw.Draw(self.canvas)

    def picture(self) -> Image.Image:
        return self.canvas.reduce(self.scale)

    def rectangle(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        left, top, right, bottom = (round(v * self.scale) for v in (x, y, x + width, y + height))
        if right > left and bottom > top:
            self.draw.rectangle((left, top, right - 1, bottom - 1), colour)

    def rounded(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        radius: float,
        colour: Ink,
        corners: tuple[bool, bool, bool, bool] = (True, True, True, True),
    ) -> None:
        """A rectangle, some of whose corners are round: upper left, upper right, lower right, lower left."""
        left, top, right, bottom = (round(v * self.scale) for v in (x, y, x + width, y + height))
        if right > left and bottom > top:
            self.draw.rounded_rectangle(
                (left, top, right - 1, bottom - 1), radius * self.scale, colour, corners=corners
            )

    def line(self, one: Point, other: Point, width: float, colour: Colour) -> None:
        """A line, level or upright, between two places."""
        (x0, y0), (x1, y1) = min(one, other), max(one, other)
        across, down = (0.0, width) if y0 == y1 else (width, 0.0)
        self.rectangle(x0 - across / 2, y0 - down / 2, x1 - x0 + across, y1 - y0 + down, colour)

    def dot(self, x: float, y: float, width: float, colour: Colour) -> None:
        self.rounded(x - width / 2, y - width / 2, width, width, width / 2, colour)

    def bend(self, centre: Point, towards: tuple[int, int], radius: float, width: float, colour: Colour) -> None:
        """A quarter of a ring around `centre`, opposite to the quarter in which the direction `towards` (x, y) lies."""
        x, y = (v * self.scale for v in centre)
        outer = (radius + width / 2) * self.scale
        begin = {(1, 1): 180, (-1, 1): 270, (-1, -1): 0, (1, -1): 90}[towards]
        box = (x - outer, y - outer, x + outer, y + outer)
        self.draw.arc(box, begin, begin + 90, colour, round(width * self.scale))

    def stamp(self, x: float, y: float, mask: Image.Image, colour: Colour) -> None:
        """Paint over what a mask, of the canvas's scale, covers."""
        left, top = round(x * self.scale), round(y * self.scale)
        self.canvas.paste(colour, (left, top, left + mask.width, top + mask.height), mask)

    def centred(self, x: float, y: float, text: str, size: float, colour: Colour, bold: bool = False) -> None:
        """Text with its middle here, as high as digits are."""
        self.write(x, y, text, size, colour, 0.5, bold)

    def write(
        self, x: float, y: float, text: str, size: float, colour: Colour, anchor: float = 0.0, bold: bool = False
    ) -> None:
        """Text that has `anchor` (0: its beginning, 1: its end) at x, and the middle of its digits at height y."""
        sign = sign_of(text, round(size * self.scale), bold)
        left, top = round(x * self.scale - anchor * sign.width), round(y * self.scale) - sign.middle
        self.canvas.paste(colour, (left, top, left + sign.mask.width, top + sign.mask.height), sign.mask)


class Sign(NamedTuple):
    """A text that has been drawn."""

    mask: Image.Image
    width: float  # of the text
    middle: int  # from the mask's upper edge to the middle of digits


@lru_cache(maxsize=2048)
def sign_of(text: str, size: int, bold: bool = False) -> Sign:
    """A text in Pillow's own font, at this size in pixels of the canvas."""
    font = ImageFont.load_default(size)
    stroke = max(round(size / 36), 1) if bold else 0
    width, (_, top, _, bottom) = font.getlength(text), font.getbbox("0", anchor="ls")
    mask = Image.new("L", (max(round(width) + 2 * stroke, 1), 2 * size))
    foot = round(1.3 * size)
    ImageDraw.Draw(mask).text((0, foot), text, 255, font, "ls", stroke_width=stroke)
    return Sign(mask, width, round(foot + (top + bottom) / 2))


def text_width(text: str, size: float) -> float:
    """How many pixels of the picture a text takes."""
    return sign_of(text, round(size * SCALE)).width / SCALE
