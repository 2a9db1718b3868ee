"""CSV files of puzzles: written in many ways, damaged, and read by a reader that knows nothing of `trm`."""

from __future__ import annotations

import csv
import io
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from readers import solved_rows

NAMES = {"question": ("question", "puzzle", "quizzes"), "answer": ("answer", "solution", "solutions")}
OTHER = ("", "0", "3", "7.5", "a b", "kaggle", "é", "#4", "x,y", "test", "81")  # in columns that nobody reads
BETWEEN = re.compile(r"""[\s,;:|#"'()\[\]=&/]+""")


class Pair(NamedTuple):
    question: str
    answer: str


class Heading(NamedTuple):
    """The delimiter of a CSV, and its columns."""

    delimiter: str
    question: int
    answer: int


def csv_rows(chance: random.Random, pairs: Sequence[Pair]) -> list[list[str]]:
    """A heading and rows, with the columns in any order and others beside them."""
    columns = ["question", "answer", *chance.sample(["source", "rating", "id", "note"], chance.randint(0, 3))]
    chance.shuffle(columns)
    names = [chance.choice(NAMES.get(name, (name,))) for name in columns]
    rows = [[pair._asdict().get(name) or chance.choice(OTHER) for name in columns] for pair in pairs]
    return [[chance.choice((name, name.title(), name.upper())) for name in names], *rows]


def csv_text(chance: random.Random, rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """As the module csv writes it, with as many quotation marks as are needed, or with all."""
    out, full = io.StringIO(), chance.random() < 0.5
    csv.writer(out, "unix", delimiter=delimiter, quoting=csv.QUOTE_ALL if full else csv.QUOTE_MINIMAL).writerows(rows)
    return out.getvalue()


def filled_lines(text: str) -> list[str]:
    """The lines that are not empty, without characters of no width."""
    return [line for line in re.split(r"\r\n|\r|\n", re.sub("[\u200b\ufeff]", "", text)) if line.strip()]


def heading(line: str) -> Heading | None:
    """The columns that a line of a CSV names; None where it names none, or two of a kind, or may be a comment."""
    for delimiter in ",;\t" if not line.lstrip().startswith("#") else "":
        fields = next(csv.reader([line], delimiter=delimiter))
        names = [re.sub("[\"']", "", field).strip().lower() for field in fields]
        at = [[number for number, name in enumerate(names) if name in known] for known in NAMES.values()]
        if [*map(len, at)] == [1, 1]:
            return Heading(delimiter, at[0][0], at[1][0])
    return None


def names_a_question(line: str) -> bool:
    return any(name in re.sub("[\"']", "", line.lower()) for name in NAMES["question"])


def holds(line: str, pair: Pair, columns: Heading | None, cells: Callable[[str], str]) -> bool:
    """Whether a line has this question and answer, as `cells` writes them: in their columns, where these are known."""
    fields = next(csv.reader([line], delimiter=columns.delimiter)) if columns else [line]
    for part, at in zip(pair, columns[1:] if columns else (0, 0), strict=True):
        field = unicodedata.normalize("NFKC", fields[at]) if at < len(fields) else ""
        texts = [
            cells(text) for text in (field, field.replace("-", ""), *re.split(r'[,;\t"]', field), *BETWEEN.split(field))
        ]
        if part not in texts and part not in [text.replace("o", ".") for text in texts]:  # o is open in a question
            return False
    return True


def unread(lines: Sequence[str], found: Sequence[Pair], cells: Callable[[str], str]) -> list[str]:
    """The lines of a CSV that are none of the rows `found`, which must stand in the others in this order."""
    columns, rest, at = next(filter(None, map(heading, lines)), None), list[str](), 0
    for line in lines:
        if at < len(found) and holds(line, found[at], columns, cells):
            at += 1
        else:
            rest.append(line)
    assert at == len(found), f"not in the file: {found[at]}"
    return rest


def digits(text: str) -> str:
    """The cells of a Sudoku, with any sign for a blank and anything between them."""
    return "".join("." if c in "0_*.xX?-" else c for c in text if c not in " |,;'\"[]()+=!")


def maze_cells(text: str) -> str:
    """The cells of a maze in one line."""
    return text.replace(" ", ".")


def numbers_of(text: str) -> str:
    """The numbers of a grid, with spaces between them; 0 for a blank."""
    words = re.sub(r"[][(),;\s]+", " ", text).split()
    words = [*words[0]] if len(words) == 1 else words
    return " ".join("0" if word in "._?" else str(int(word)) if word.isdecimal() else word for word in words)


def marked(rows: Sequence[str]) -> str:
    """The cells of a maze with a shortest path marked, found by spreading."""
    cells, width = [*"".join(rows)], len(rows[0])
    before = {cells.index("S"): -1}
    queue = [*before]
    for at in queue:
        for near in (
            at - width,
            at + width,
            *([at - 1] if at % width else []),
            *([at + 1] if (at + 1) % width else []),
        ):
            if 0 <= near < len(cells) and cells[near] != "#" and near not in before:
                before[near] = at
                queue.append(near)
    at = before[cells.index("G")]
    while cells[at] != "S":
        cells[at], at = "o", before[at]
    return "".join(cells)


# Puzzles


def sudoku_pairs(chance: random.Random) -> list[Pair]:
    return [hidden(chance, "".join(solved_rows(chance))) for _ in range(chance.randint(1, 4))]


def small_pairs(chance: random.Random) -> list[Pair]:
    """4x4 Sudokus."""
    renamed = [str.maketrans("1234", "".join(chance.sample("1234", 4))) for _ in range(chance.randint(1, 4))]
    return [hidden(chance, "1234341221434321".translate(names)) for names in renamed]


def maze_pairs(chance: random.Random, rows: list[str]) -> list[Pair]:
    """A maze, and perhaps some of its mirror images."""
    images = [rows, rows[::-1], [row[::-1] for row in rows]][: chance.randint(1, 3)]
    return [Pair("".join(image), marked(image)) for image in images]


def latin_pairs(chance: random.Random) -> list[Pair]:
    """3x3 grids in which no row or column has a number twice."""
    squares = [chance.choice(("123231312", "321213132")) for _ in range(chance.randint(1, 4))]
    gap = chance.choice(("", " "))
    return [Pair(*map(gap.join, hidden(chance, square))) for square in squares]


def number_pairs(chance: random.Random) -> list[Pair]:
    """2x3 grids of numbers to 12, without any rule."""
    grids = [
        [" ".join(str(chance.randint(0, 12)) for _ in range(6)) for _ in "qa"] for _ in range(chance.randint(1, 4))
    ]
    return [Pair(*grid) for grid in grids]


def hidden(chance: random.Random, answer: str) -> Pair:
    """A question in which about half of the answer's cells are blank."""
    return Pair("".join(cell if chance.random() < 0.5 else "." for cell in answer), answer)


# Damage

ODD = (
    "\0",
    "\x0b",
    "\x1c",
    "\x85",
    "\u2028",
    "\ufeff",
    "\u200b",
    "\xa0",
    "\x1b",
    "１",
    "²",
    "٣",
    "é",
    "\r",
    "\n",
    '""',
)
ODD += ("e+5", "10", *"\"'#,;\t|.0xXAE?-*_ 19oSG[]")
COMMENTS = ("# hi", "#", " # x", "#1", "# 3 5", "Puzzle 3", "```", "[Puzzle]", "level", "", " ", "\t", "\x0c")
HEADINGS = ("question", "answer", "puzzle", "solution", "quizzes", "x", "", "Answer ", " question", "question2", "#")


def with_columns_changed(chance: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """Rows in which a column is lost, doubled, or has changed places with another: with its heading or without."""
    a, b = (chance.randrange(len(rows[0])) for _ in "ab")
    how = chance.choice(("nothing",) * 8 + ("lose", "double", "swap", "headings"))
    changed = [row[:] for row in rows]
    for row in changed[: 1 if how == "headings" else None]:
        if how == "lose":
            del row[a]
        elif how == "double":
            row.insert(a, row[a])
        elif how != "nothing":
            row[a], row[b] = row[b], row[a]
    return changed


def with_a_slip(chance: random.Random, text: str) -> str:
    """A character is lost, doubled, moved or another, or the text ends early."""
    at = chance.randrange(len(text) + 1)
    start, rest, odd = text[:at], text[at:], chance.choice(ODD)
    return start + chance.choice(
        (rest[1:], rest[:1] + rest, rest[1:2] + rest[:1] + rest[2:], odd + rest, *[odd + rest[1:]] * 3, "")
    )


def with_lines_changed(chance: random.Random, text: str) -> str:
    """A line is lost, doubled, moved, put in, made a comment or joined to the next; or a column has another name."""
    lines = text.split("\n")
    at, to = (chance.randrange(len(lines)) for _ in "ab")
    how = chance.randrange(7)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(to, lines[at])
    elif how == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif how == 3:
        lines.insert(at, chance.choice(COMMENTS))
    elif how == 4:
        lines[at] = "#" + lines[at]
    elif how == 5:
        lines[at : at + 2] = ["".join(lines[at : at + 2])]
    else:
        names = re.split(r"([,;\t])", lines[0])
        names[chance.randrange(0, len(names), 2)] = chance.choice(HEADINGS)
        lines[0] = "".join(names)
    return "\n".join(lines)
