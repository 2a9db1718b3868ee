"""Puzzles of several sizes in one text: drawn ones, one a line, in a CSV or in JSON.

Such a text is read only where it is certain where each puzzle ends, so that none of them is a damaged one of another
size.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations
from typing import NamedTuple

from trm.errors import BadInput
from trm.tasks.base import Task, Tokens
from trm.tasks.family import Family
from trm.tasks.text import FIELD, HEADING, Columns, Line, csv_columns, csv_fields, described, is_comment, text_lines

MOST_LINES = 2000  # that are read one by one


class SizedPuzzle(NamedTuple):
    """A puzzle, and the task of its size."""

    task: Task
    question: Tokens  # [cells]
    remarks: tuple[str, ...] = ()  # those on its text, see `PuzzlesRead`, where the puzzle was given in Python

    @property
    def size(self) -> tuple[int, int]:
        return self.task.spec.height, self.task.spec.width


class PuzzlesRead(NamedTuple):
    """The puzzles of a text."""

    boards: list[SizedPuzzle]
    remarks: tuple[str, ...] = ()  # what was left out of the text, and how something in it was understood


def read_sizes(text: str, family: Family) -> PuzzlesRead | None:
    """The puzzles of a text, each of a size of its own; None if it is no such text, or may be a damaged one."""
    try:
        content = text_lines(text)
        filled = [line for line in content.lines if line.text.strip()]
        first = next((at for at, line in enumerate(filled) if not is_comment(line.text)), len(filled))
        columns = csv_columns(filled[first]) if first < len(filled) else None
        if columns is not None:
            found = _in_csv(filled, first, columns, family)
        elif len(filled) <= MOST_LINES:
            found = _drawn(content.lines, family, certain=FIELD in content.left_out)
        else:
            found = None
    except BadInput:
        return None
    if found is None or len({board.size for board in found.boards}) < 2:
        return None
    left_out = described(content.left_out)
    remarks = [f"left out: {', '.join(left_out)}"] if left_out else []
    return PuzzlesRead(found.boards, (*remarks, *found.remarks))


def _in_csv(lines: Sequence[Line], first: int, columns: Columns, family: Family) -> PuzzlesRead | None:
    """The puzzles of a CSV with its heading at `first`; None if it is none of mixed sizes."""
    heading, rows = lines[first], lines[first + 1 :]
    comments = [line for line in rows if is_comment(line.text, columns)]
    said = [*lines[:first], *comments]
    found = None
    with suppress(BadInput):
        found = _by_length(said, heading, [line for line in rows if line not in comments], columns, family)
    if found is None and comments:  # walls of mazes are written as #
        found = _by_length(lines[:first], heading, rows, columns, family)
    return found


def _by_length(
    said: Sequence[Line], heading: Line, rows: Sequence[Line], columns: Columns, family: Family
) -> PuzzlesRead | None:
    """The puzzles of a CSV: the rows whose questions are of one length are a CSV of their own. None unless each row is
    a puzzle. `said`: comments, which are counted once.
    """
    lengths: dict[int, list[int]] = {}
    for at, line in enumerate(rows):
        fields = csv_fields(line, columns.delimiter)
        question = fields[columns.question] if columns.question < len(fields) else ""
        lengths.setdefault(len(question.strip()), []).append(at)
    boards, remarks = dict[int, SizedPuzzle](), list[str]()
    for numbers in lengths.values():
        texts = [line.text for line in (*said, heading, *(rows[at] for at in numbers))]
        said = []
        read = _read("\n".join(texts), family)
        if len(read.boards) != len(numbers):
            return None
        boards.update(zip(numbers, read.boards, strict=True))
        remarks += read.remarks
    return PuzzlesRead([boards[at] for at in sorted(boards)], tuple(remarks)) if boards else None


def _drawn(lines: Sequence[Line], family: Family, certain: bool) -> PuzzlesRead | None:
    """Puzzles with empty lines or headings between them, or one a line.

    Where two drawn ones differ only in height, or only in width, a row or a column may be missing, and a line between
    drawn ones may be all that is left of another: None. `certain`: this is not so, as a program has written them.
    """
    boards, remarks, drawn, in_lines = list[SizedPuzzle](), list[str](), set[tuple[int, int]](), 0
    for drawing in drawings(lines):
        read = _one_a_line(drawing, family)
        if read is None:
            read = _read("\n".join(drawing), family)
            if len(read.boards) != 1:
                return None
            drawn.add(read.boards[0].size)
        else:
            in_lines += 1
        boards += read.boards
        remarks += read.remarks
    alike = any(a[0] == b[0] or a[1] == b[1] for a, b in combinations(drawn, 2))
    return None if (alike or (drawn and in_lines)) and not certain else PuzzlesRead(boards, tuple(remarks))


def _one_a_line(drawing: Sequence[str], family: Family) -> PuzzlesRead | None:
    """The puzzles of lines of which each holds a whole one; None if one of them does not."""
    boards, remarks, comments = list[SizedPuzzle](), list[str](), list[str]()
    for line in drawing:
        try:
            alone = _read(line, family)
            read = _read("\n".join([*comments, line]), family) if comments else alone
        except BadInput:
            if not is_comment(line):
                return None
            comments.append(line)  # it is counted with the next puzzle
            continue
        if len(alone.boards) != 1 or [board.size for board in read.boards] != [alone.boards[0].size]:
            return None
        boards += read.boards
        remarks += read.remarks
        comments = []
    return PuzzlesRead(boards, tuple(remarks)) if not comments else None


def _read(text: str, family: Family) -> PuzzlesRead:
    """The puzzles of a text, all of one size."""
    task = family.task_for(text)
    puzzles = task.read(text)
    return PuzzlesRead([SizedPuzzle(task, row) for row in puzzles.question], puzzles.remarks)


def drawings(lines: Sequence[Line]) -> list[list[str]]:
    """The parts between empty lines and headings."""
    found, part = list[list[str]](), list[str]()
    for _, line in [*lines, Line(0, "")]:
        if line.strip() and not HEADING.fullmatch(line.strip()):
            part.append(line)
        elif part:
            found.append(part)
            part = []
    return found
