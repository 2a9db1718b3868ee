"""Reading pairs of grids of whole numbers from an .npz file, a CSV or plain text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trm.errors import BadInput, in_one_line
from trm.tasks.base import Ints
from trm.tasks.custom.structure import MOST, SIDE, Structure
from trm.tasks.text import (
    Line,
    TextRow,
    csv_columns,
    described,
    naming,
    printable,
    quoted,
    read_csv,
    read_file,
    text_lines,
    without_comments,
)

NUMBER = re.compile(r"[0-9]{1,9}")
BLANKS = "._?"  # a text may use one kind of these
UNITS = (10, 100, 1000, 10_000)
NONE = -1  # in place of each number of an answer that is not given


class Pairs(NamedTuple):
    """Grids as numbers."""

    shape: tuple[int, int]
    question: Ints  # [rows, cells]
    answer: Ints  # [rows, cells], NONE where there is none
    places: Sequence[str]  # [rows], where each came from, in words
    left_out: tuple[str, ...] = ()  # of the text, in words
    layers: int = 1  # of a question, see `Structure`
    unit: int = 10

    @property
    def first(self) -> Ints:
        """The first layer of the questions, [rows, cells]."""
        return self.question % self.unit if self.layers > 1 else self.question


def read_pairs(path: str, structure: Structure) -> Pairs:
    """The pairs of a file: .npz if its name ends so, else CSV or text. Raises BadInput."""
    if path.lower().endswith(".npz"):
        return read_npz(path, structure)
    return read_text(read_file(path), structure, Path(path).name)


# .npz files


def read_npz(path: str, structure: Structure) -> Pairs:
    """The arrays `question` and `answer`, whole numbers [rows, height, width] each. Raises BadInput.

    A question of several layers may be [rows, layers, height, width], too.
    """
    name = quoted(path, longest=None)
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: np.asarray(archive[key]) for key in ("question", "answer")}
            if bad := archive.zip.testzip():  # numpy stops where it has all that a damaged heading promises
                raise ValueError(f"the checksum of {bad} is wrong")
    except OSError as error:
        raise BadInput(f"cannot read {name}: {error.strerror or 'it is not an .npz file'}") from None
    except KeyError:
        raise BadInput(f"{name} needs two arrays called question and answer, [rows, height, width] each") from None
    except Exception as error:  # numpy, zipfile and zlib raise errors of many classes for damaged files
        raise BadInput(f"{name} is not an .npz file, or it is damaged: {in_one_line(error)}") from None
    layers, unit = structure.layers, int(structure.unit)
    if arrays["question"].ndim == 4:
        check_array(arrays["answer"], f"{name}, array answer")
        first = structure.values if structure.layers == 1 else ()  # those of a complete structure have all layers
        highest = max(int(arrays["answer"].max()), structure.blank or 0, *first)
        arrays["question"], layers, unit = packed(arrays["question"], structure, highest, f"{name}, array question")
    for key, array in arrays.items():
        check_array(array, f"{name}, array {key}")
    question, answer = arrays["question"], arrays["answer"]
    if layers > 1 and (answer >= unit).any():
        row, y, x = (int(at) for at in np.argwhere(answer >= unit)[0])
        high = f"r{y + 1}c{x + 1} is {answer[row, y, x]}"
        raise BadInput(f"{name}, array answer, row {row}: {high}, but numbers of a layer are less than unit = {unit}")
    if question.shape != answer.shape:
        merged = " after its layers were put together" if layers > 1 else ""
        raise BadInput(f"{name}: question is of shape {question.shape}{merged} and answer of {answer.shape}")
    rows, height, width = question.shape
    question, answer = (array.reshape(rows, height * width).astype(np.int64) for array in (question, answer))
    places = [f"{printable(Path(path).name)}, row {row}" for row in range(rows)]
    return Pairs((height, width), question, answer, places, layers=layers, unit=unit)


def packed(
    question: np.ndarray[Any, Any], structure: Structure, highest: int, name: str
) -> tuple[np.ndarray[Any, Any], int, int]:
    """Layers [rows, layers, height, width] as one: the second times the unit is added to the first, and so on.

    -> [rows, height, width], the number of layers, and the unit: a declared one, else the smallest that is above all
    numbers of the question and above `highest`. Raises BadInput.
    """
    layers = question.shape[1]
    if structure.layers > 1 and layers != structure.layers:
        raise BadInput(f"{name}: {layers} layers, but the structure declares {structure.layers}")
    for layer in range(layers):
        check_array(question[:, layer], f"{name}, layer {layer + 1}")
    if layers < 2:  # 0 layers are refused as what they are: an array without numbers
        return question[:, 0] if layers else question.reshape(0, 0, 0), 1, UNITS[0]
    declared, highest = structure.layers > 1 or structure.unit != UNITS[0], max(highest, int(question.max()))
    unit = int(structure.unit) if declared else next((one for one in UNITS if one > highest), 0)
    if not highest < unit:
        least = f"the unit, which the structure declares as {unit}" if declared else f"{UNITS[-1]}"
        raise BadInput(f"{name}: a number of one of {layers} layers must be less than {least}, and there is {highest}")
    if unit**layers > MOST + 1:
        raise BadInput(f"{name}: {layers} layers with unit = {unit} make numbers above {MOST}")
    factors = unit ** np.arange(layers, dtype=np.int64).reshape(-1, 1, 1)
    return (question.astype(np.int64) * factors).sum(1), layers, unit


def check_array(array: np.ndarray[Any, Any], name: str) -> None:
    """Raises BadInput unless the array holds grids of whole numbers from 0 to MOST."""
    if array.dtype.kind not in "iub":
        raise BadInput(f"{name} holds {array.dtype}, not whole numbers; use an integer type")
    if array.ndim != 3 or not array.size or max(array.shape[1:]) > SIDE:
        raise BadInput(f"{name} is of shape {array.shape}, not [rows, height, width] with sides of 1 to {SIDE}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > MOST:
        wrong, what = (low, "negative") if low < 0 else (high, "too large")
        row, y, x = (int(at) for at in np.argwhere(array == wrong)[0])
        raise BadInput(f"{name}, row {row}: r{y + 1}c{x + 1} is {wrong}, which is {what} (0 to {MOST})")


# Text


def read_text(text: str, structure: Structure, name: str) -> Pairs:
    """Pairs from CSV with the columns `question` and perhaps `answer`, or questions alone: grids, or one a line.

    Numbers are separated by spaces, commas, semicolons or tabs. A single word with as many characters as cells are
    expected has one digit for each cell, except in a grid of one column, where a line with one word is a row with one
    number. A dot, or another of BLANKS, is a blank. Lines that begin with # are comments. JSON is read, too. Raises
    BadInput, and TwoReadings.
    """
    if structure.layers > 1 and (stacked := read_layers(text, structure, name)):
        return stacked
    cells = math.prod(structure.shape)
    with naming(name):
        content = without_comments(text_lines(text, narrowed=True), lambda words: _holds(words, cells))
        lines = [Line(number, line.strip(" ")) for number, line in content.lines if line.strip()]
        columns = csv_columns(lines[0]) if lines else None
    name = printable(name)
    if not lines:
        raise BadInput(f"{name}: no puzzle found: it is empty")
    if not structure.shape:
        raise BadInput(f"{name}: text has no shape: declare shape = [rows, columns] in a structure file, or use .npz")
    height, width = structure.shape
    if columns:

        def parse(field: str, place: str) -> list[int]:
            return numbers(field, (cells,), structure.blank, place)

        rows = read_csv(lines, columns, "puzzle", parse, f"{name}: ")
    else:
        rows = read_grids(lines, structure, name)
    question = np.array([row.question for row in rows], np.int64)
    answer = np.array([[NONE] * cells if row.answer is None else row.answer for row in rows], np.int64)
    places = [f"{name}: line {row.line}" for row in rows]
    left_out = described(content.left_out)
    return Pairs((height, width), question, answer, places, left_out, structure.layers, structure.unit)


def read_layers(text: str, structure: Structure, name: str) -> Pairs | None:
    """Questions that JSON gives layer by layer: [layers, height, width] numbers, or several of these. None: other text.

    Where the numbers of the grids are no layer's, the grids are questions. Raises BadInput for another shape.
    """
    try:
        given = np.asarray(json.loads(text)) if text.lstrip().startswith("[") else np.empty(0)
    except (ValueError, RecursionError):  # no JSON, or lists of different lengths
        return None
    grids = given[None] if given.ndim == 3 else given
    if grids.ndim != 4 or grids.shape[1] != structure.layers or grids.dtype.kind != "i":
        return None
    if int(grids.min()) < 0 or int(grids.max()) >= structure.unit:
        return None
    rows, _, height, width = grids.shape
    if (height, width) != structure.shape:
        wanted = "x".join(map(str, structure.shape))
        raise BadInput(f"{printable(name)}: layers of {height}x{width}, but the task has grids of {wanted}")
    question = packed(grids, structure, 0, printable(name))[0].reshape(rows, -1)
    places = [f"{printable(name)}: puzzle {number}" for number in range(1, rows + 1)]
    none = np.full_like(question, NONE)
    return Pairs((height, width), question, none, places, layers=structure.layers, unit=structure.unit)


def drawn_shape(text: str) -> tuple[int, int] | None:
    """The rows and columns of the only grid in a text, drawn in lines with spaces between numbers; None: unclear."""
    rows = [line.split() for line in text.strip().splitlines() if not line.startswith("#")]
    width = len(rows[0]) if rows else 0
    clear = len(rows) > 1 and width > 1 and all(len(row) == width for row in rows)
    return (len(rows), width) if clear else None


def _holds(text: str, cells: int) -> bool:
    """Whether there are as many numbers in a text as a grid has cells."""
    words = text.split()
    return cells in (len(words), len(words[0]) if len(words) == 1 else 0)


def read_grids(lines: Sequence[Line], structure: Structure, name: str) -> list[TextRow[list[int]]]:
    """Questions of one line or of `height` lines each, as numbers. Raises BadInput."""
    height, width = structure.shape
    found: list[TextRow[list[int]]] = []
    start, grid, rows = 0, list[int](), 0  # an unfinished grid: its first line, its numbers and how many rows they are
    for number, line in lines:
        wanted = (width,) if rows else (width, height * width)
        row = numbers(line, wanted, structure.blank, f"{name}: line {number}")
        start = start if rows else number
        grid, rows = grid + row, rows + 1
        if len(grid) == height * width:
            found.append(TextRow(start, grid, None))
            grid, rows = [], 0
    if rows:
        raise BadInput(
            f"{name}: line {start}: the grid ends after {rows} row{'s' if rows > 1 else ''} instead of {height}"
        )
    return found


def numbers(text: str, wanted: tuple[int, ...], blank: int | None, place: str) -> list[int]:
    """The numbers of a line or field. Raises BadInput, naming the place, unless their count is one of `wanted`."""
    words = _words(text, wanted)
    single = len(words) == 1 and 1 not in wanted
    if single:
        words = [*words[0]]
    if len(words) not in wanted:
        counts = " or ".join(f"{count}" for count in sorted(set(wanted)))
        lost = single and 1 < len(words) < max(wanted) and text.strip().isdecimal()
        hint = "; a spreadsheet or a number may have lost leading zeros" if lost else ""
        raise BadInput(f"{place}: {len(words)} number{'s' if len(words) != 1 else ''} instead of {counts}{hint}")
    if blank is not None and len({*words} & {*BLANKS}) < 2:
        words = [str(blank) if len(word) == 1 and word in BLANKS else word for word in words]
    for at, word in enumerate(words):
        if not NUMBER.fullmatch(word):
            what = f"{quoted(word[:20])} is not a whole number from 0 to {MOST}"
            raise BadInput(f"{place}, number {at + 1}: {what}")
    return [int(word) for word in words]


def _words(text: str, wanted: tuple[int, ...]) -> list[str]:
    """The words of a line or field, which spaces, commas, semicolons or tabs separate. An empty field is a dot."""
    for delimiter in ",;\t":
        if delimiter in text:
            fields = [field.strip() or "." for field in text.strip(" ").strip("[]()").split(delimiter)]
            if len(fields) - 1 in wanted and fields[-1] == ".":
                fields.pop()  # a delimiter behind the last number
            if len(fields) in wanted and not any(" " in field for field in fields):
                return fields
    return text.strip(" ").strip("[](),").split()
