"""Reading text, whatever the task: files, numbered lines, comments, CSV, JSON, and quoting for messages."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from trm.errors import BadInput

T = TypeVar("T")

QUESTION, ANSWER = ("question", "puzzle", "quizzes"), ("answer", "solution", "solutions")  # CSV headings in use
DELIMITERS = ",;\t"
FIELD = "field of JSON"  # what is left out of JSON
MAX_BYTES = 256 << 20  # of a file
LONGEST = 80  # characters of a value in a message
NO_BRACKETS = str.maketrans(dict.fromkeys("[](){}'\"", ""))  # takes away what programs write around cells


# Files


def decode(data: bytes, name: str) -> str:
    """The text of a file or of standard input, called `name` in messages. Raises BadInput."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"{name} is larger than {MAX_BYTES >> 20} MB; cut it into smaller files")
    coding = utf16(data)
    try:
        text = data.decode(coding or "utf-8-sig").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        kind = "UTF-16" if coding else "UTF-8"
        raise BadInput(f"{name} is not {kind} text: byte 0x{data[error.start]:02x} at position {error.start}") from None
    if "\0" in text:
        raise BadInput(
            f"{name} is not text: it holds a NUL byte in line {text[: text.index(chr(0))].count(chr(10)) + 1}"
        )
    return text


def utf16(data: bytes) -> str | None:
    """The codec of UTF-16 text: it has a byte-order mark, or every second byte is zero. None if it is no such text."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for first, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        high = data[first::2]
        if len(data) > 3 and len(data) % 2 == 0 and not any(high):
            return codec
    return None


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Put the name of the file at the beginning of the message of a BadInput that is raised in the block."""
    try:
        yield
    except TwoReadings as error:
        raise TwoReadings(f"{printable(Path(path).name)}: {error}") from None
    except BadInput as error:
        raise BadInput(f"{printable(Path(path).name)}: {error}") from None


def read_file(path: str | Path) -> str:
    """The text of a file. Raises BadInput if it cannot be read."""
    name = quoted(path, longest=400)
    try:
        with open(path, "rb") as file:
            return decode(file.read(MAX_BYTES + 1), name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"cannot read {name}: {reason}") from None


# Lines and CSV


class Line(NamedTuple):
    number: int  # from 1
    text: str


class Columns(NamedTuple):
    """Which columns of a CSV hold the questions and the answers, counted from 0."""

    question: int
    answer: int | None  # None: the CSV has no answers
    delimiter: str = ","


@dataclass(frozen=True)
class TextRow(Generic[T]):
    """A puzzle as it was read from text, and the line in which it begins."""

    line: int
    question: T
    answer: T | None  # None where none is given


class Content(NamedTuple):
    """The lines of a text that count, and how many lines of each kind do not: comments, headings."""

    lines: list[Line]
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Reading(Generic[T]):
    """The puzzles of a text, what was left out of it, and how something in it was understood, in words."""

    rows: list[TextRow[T]]
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class TwoReadings(BadInput):
    """A text can be read in two ways, and neither is certain. The message names both."""


def described(left_out: Mapping[str, int]) -> tuple[str, ...]:
    """What was left out, in words: `2 comment lines`."""
    several = {kind: kind.replace("line", "lines", 1) if "line" in kind else f"{kind}s" for kind in left_out}
    return tuple(f"{count} {several[kind] if count > 1 else kind}" for kind, count in left_out.items() if count)


def numbered_lines(text: str) -> list[Line]:
    """The lines of a text that may end in \\n, \\r\\n or \\r. Nothing is stripped but a byte-order mark."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [Line(number, line) for number, line in enumerate(lines, 1)]


def csv_fields(line: Line, delimiter: str = ",") -> list[str]:
    """The fields of a line of CSV. Raises BadInput."""
    if '"' not in line.text:
        return line.text.split(delimiter)  # ten times as fast
    try:
        return next(csv.reader([line.text], delimiter=delimiter))
    except csv.Error as error:
        raise BadInput(f"line {line.number}: not CSV: {error}") from None


def csv_columns(line: Line) -> Columns | None:
    """The columns that a CSV's heading names, and its delimiter; None if this line is no heading.

    Raises TwoReadings where two columns are named as the question, or as the answer.
    """
    if not any(name in line.text.lower() for name in QUESTION):
        return None
    for delimiter in DELIMITERS:
        names = [name.strip(' "').lower() for name in csv_fields(line, delimiter)]
        question = _column(line, names, QUESTION)
        if question is not None:
            return Columns(question, _column(line, names, ANSWER), delimiter)
    return None


def _column(line: Line, names: Sequence[str], known: Sequence[str]) -> int | None:
    """The column with one of the names `known`; None if there is none. Raises TwoReadings if there are several."""
    found = [at for at, name in enumerate(names) if name in known]
    if len(found) > 1:
        both = " and ".join(f"column {at + 1} ({names[at]})" for at in found[:2])
        raise TwoReadings(f"line {line.number}: {both} may both hold the {known[0]}; rename one of them")
    return found[0] if found else None


def first_question(lines: Sequence[Line], columns: Columns) -> str:
    """The question in the first row below a CSV's heading, to tell its size by; empty if there is none."""
    fields = csv_fields(lines[1], columns.delimiter) if len(lines) > 1 else []
    return fields[columns.question] if columns.question < len(fields) else ""


def read_csv(
    lines: Sequence[Line], columns: Columns, noun: str, parse: Callable[[str, str], T], prefix: str = ""
) -> list[TextRow[T]]:
    """The rows of a CSV.

    Args:
        lines: those that are not empty, the heading first.
        columns: what `csv_columns` found in the heading.
        noun: what a row is called in messages: a puzzle, a maze.
        parse: turns the text of a grid, and words for its place, into what a row is to hold. Raises BadInput.
        prefix: what messages begin with.

    Raises:
        BadInput: no row, a row with too few or too many columns, or one that `parse` refuses.
    """
    heading, *rest = lines
    width, rows = len(csv_fields(heading, columns.delimiter)), []
    for line in rest:
        place, fields = f"{prefix}line {line.number}", csv_fields(line, columns.delimiter)
        if len(fields) != width:
            raise BadInput(f"{place}: {len(fields)} columns instead of {width}")
        question = parse(fields[columns.question], f"{place}, column question")
        answer = "" if columns.answer is None else fields[columns.answer]
        rows.append(
            TextRow(line.number, question, parse(answer, f"{place}, column answer") if answer.strip() else None)
        )
    if not rows:
        raise BadInput(f"{prefix}no {noun} found: the CSV has a heading and no rows")
    return rows


# Comments and headings

# A line before puzzles, such as "Grid 01", "Puzzle 3 (easy):" or "```"
HEADING = re.compile(
    r"(?:(?:grid|puzzle|sudoku|maze|game|board|problem|level|no|nr|number)s?\b[\s.:#-]*[0-9]*\s*(?:\([^()]*\))?\s*:?"
    r"|```\w*)",
    re.IGNORECASE,
)
SECTION = re.compile(r"\[([A-Za-z][\w ]*)\]")  # of a file as SadMan Sudoku writes it
NUMBERED = re.compile(r"#\s*[0-9]+(?:\s*[,;:|)]\s*|\.\s+|\s+|$)")  # a comment, or the number of a puzzle


def without_comments(content: Content, is_puzzle: Callable[[str], bool]) -> Content:
    """The lines that are neither comments (#), nor headings, nor in another section than [Puzzle].

    A line such as `#1 53..7` is a puzzle and its number if no puzzle stands without a number. The same goes for the
    rows of a CSV whose first column is not the question.

    Raises TwoReadings where such a line may be either.
    """
    lines, left_out = content
    filled = [line for line in lines if line.text.strip()]
    columns = csv_columns(filled[0]) if filled and not is_comment(filled[0].text) else None
    if columns is None:
        lines, left_out = without_headings(content)
    kept, ids, comments = list[Line](), list[Line](), 0
    for line in lines:
        if not is_comment(line.text, columns):
            kept.append(line)
        elif _is_row(line, filled[0], columns, is_puzzle):
            ids.append(line)
        else:
            comments += 1
    if ids and len([line for line in kept if line.text.strip()]) > (columns is not None):
        number = re.split(r"[,;:|)\s]", ids[0].text.strip(), maxsplit=1)[0]
        raise TwoReadings(
            f"line {ids[0].number}: it may be a comment, as other lines with # are, or a puzzle with the number "
            f"{quoted(number)}; take away the # or the puzzle"
        )
    if ids and columns is None:
        ids = [Line(line.number, NUMBERED.sub("", line.text.strip(), count=1)) for line in ids]
    return Content(sorted([*kept, *ids]), {**left_out, "comment line": comments})


def is_comment(text: str, columns: Columns | None = None) -> bool:
    """Whether a line begins with #, and is not a CSV's heading. `columns`: of the CSV that the line is in."""
    if columns is not None and columns.delimiter == "\t":
        return text.lstrip(" ").startswith("#")  # a tab before it ends an empty field
    bare = text.lstrip()
    if not bare.startswith("#"):
        return False
    is_heading = bare[1:2] in DELIMITERS or text.lstrip(" ").startswith("\t")
    return not (is_heading and csv_columns(Line(1, text)))


def _is_row(line: Line, heading: Line, columns: Columns | None, is_puzzle: Callable[[str], bool]) -> bool:
    """Whether a line that begins with # looks like a puzzle with a number, or like a row of a CSV."""
    if columns is None:
        number = NUMBERED.match(line.text.strip())
        return number is not None and is_puzzle(line.text.strip()[number.end() :])
    fields = csv_fields(line, columns.delimiter)
    if columns.question == 0 or len(fields) != len(csv_fields(heading, columns.delimiter)):
        return False
    return is_puzzle(fields[columns.question]) or NUMBERED.fullmatch(fields[0].strip()) is not None


def without_headings(content: Content) -> Content:
    """The lines without headings and without sections other than [Puzzle], and how many there were."""
    lines = content.lines
    sections = [SECTION.fullmatch(line.text.strip()) for line in lines]
    has_puzzle = any(found and found[1].lower() == "puzzle" for found in sections)
    kept, headings, other, inside = list[Line](), 0, 0, True
    for line, section in zip(lines, sections, strict=True):
        if has_puzzle and section:
            inside, headings = section[1].lower() == "puzzle", headings + 1
        elif not inside:
            other += bool(line.text.strip())
        elif HEADING.fullmatch(line.text.strip()):
            headings += 1
            kept.append(Line(line.number, ""))
        else:
            kept.append(line)
    return Content(
        kept,
        {**content.left_out, "heading": content.left_out.get("heading", 0) + headings, "line outside [Puzzle]": other},
    )


# Other alphabets

WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # full-width characters to half-width ones
SPACES = dict.fromkeys(
    map(ord, "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"), " "
)
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff"), "")
_NARROW: dict[int, int | str] = {**WIDE, **SPACES, **INVISIBLE}


def narrow(text: str) -> str:
    """Full-width characters as half-width ones, and every kind of space as a plain one."""
    return text if text.isascii() else text.translate(_NARROW)


CELL = re.compile(r"\s*[\[({<](.?)[\])}>]")  # [5], ( ), <#>


def without_brackets(lines: Sequence[Line]) -> list[Line]:
    """Lines without the brackets around their cells, if every cell has them; an empty pair is a space."""
    rows = [line.text for line in lines if line.text.strip()]
    if not rows or any(len(CELL.findall(text)) < 2 or CELL.sub("", text).strip() for text in rows):
        return [*lines]
    return [
        Line(number, "".join(cell or " " for cell in CELL.findall(text)) if text.strip() else text)
        for number, text in lines
    ]


def text_lines(text: str, narrowed: bool = False) -> Content:
    """The numbered lines of a text, or of the rows of JSON (see `trm.tasks.jsontext`).

    `narrowed`: full-width characters become half-width ones, those that JSON writes as escapes, too.
    """
    text = narrow(text) if narrowed else text
    if text.lstrip("\ufeff \t\r\n")[:1] in ("[", "{"):
        from trm.tasks.jsontext import json_content

        if content := json_content(text):
            lines = [Line(number, narrow(line)) for number, line in content.lines] if narrowed else content.lines
            return Content(lines, content.left_out)
    lines = numbered_lines(text)
    if "|" in text and "--" in text:
        from trm.tasks.tables import without_tables

        return without_tables(lines)
    return Content(lines, {})


# Messages


def quoted(value: object, longest: int | None = LONGEST) -> str:
    """A value as messages show it: in quotes unless it is a number, on one line, and safe to print.

    What is longer than `longest` characters is cut in the middle; None: it is shown whole.
    """
    text = value if isinstance(value, int | float) else str(value)
    shown = repr(text) if str(text).isprintable() else ascii(text)
    return shown if longest is None or len(shown) <= longest else f"{shown[:60]}...{shown[-15:]}"


def printable(text: str) -> str:
    """Text on one line and safe to print, without quotes."""
    return quoted(text, longest=None)[1:-1]
