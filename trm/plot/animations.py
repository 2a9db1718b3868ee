"""A model's thinking as an animation, drawn with Pillow, which is imported when needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trm.errors import BadInput, TrmError
from trm.files import check_writable, short, write_atomic
from trm.plot import looks

if TYPE_CHECKING:
    from trm.inference.answers import Answer

FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}


def animation(answer: Answer | Sequence[Answer], path: str | Path, *, dark: bool = True) -> None:
    """Write how a model came to an answer as an animation: a GIF, or by the file's name WebP (`.webp`) or animated PNG
    (`.png`).

    A Sudoku's cells show each candidate as a pencil mark, the larger the more probable it is. A maze's cells glow where
    the model's memory moves, and the path is a line. A right answer turns green in the end, and cells that break the
    rules turn red. Of a long trace 45 steps are shown, those between which most happened.

    Args:
        answer: of `trm.Solver`; or several, which are shown side by side.
        path: the file to write.
        dark: light on a dark ground, or dark on a light one.

    Raises:
        TrmError: Pillow is not installed.
        BadInput: the file's name ends otherwise, it cannot be written, or there is no answer.
    """
    path = Path(path)
    check_animation(path)
    answers = list(answer) if isinstance(answer, Sequence) else [answer]
    if not answers:
        raise BadInput("there is no answer to draw")
    from trm.plot.films import COLOURS, frames, in_palette, merged, only_changes

    drawn = merged(frames(answers, looks.look(dark)))
    pictures = [frame.picture for frame in drawn]
    how: dict[str, Any] = {"duration": [frame.time for frame in drawn], "loop": 0}
    kind = FORMATS[path.suffix.lower()]
    if kind == "WEBP":
        how |= {"lossless": True}
    else:
        pictures = in_palette(pictures)
    if kind == "GIF":
        pictures = only_changes(pictures)
        how |= {"transparency": COLOURS, "disposal": 1, "optimize": False}
    try:
        write_atomic(path, lambda file: pictures[0].save(file, kind, save_all=True, append_images=pictures[1:], **how))
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from None


def check_animation(path: str | Path) -> None:
    """Check before the work that an animation of it can be written.

    Raises:
        TrmError: Pillow is not installed.
        BadInput: the file's name has another ending than `FORMATS`, or it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise BadInput(f"an animation is a .gif, .webp or .png: give {short(path)} one of these endings")
    check_writable(path)
    try:
        import PIL.ImageDraw  # noqa: F401 -- only to see whether it is there
    except ImportError:
        raise TrmError("an animation needs Pillow: pip install 'trm[plot]'") from None
