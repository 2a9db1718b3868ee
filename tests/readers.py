"""Independent readers and writers of puzzles, which know nothing of `trm`, to check what it reads against."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))  # of each hypothesis test that is marked by `fuzz`
fuzz = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
NINE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"

# Sudokus: a puzzle is a list of strings of 9 characters, '.' for a blank.


def solved_rows(chance: random.Random) -> list[str]:
    """A random complete Sudoku: a pattern whose digits, bands, rows, stacks and columns are shuffled."""
    digits = chance.sample("123456789", 9)
    lines = [
        [3 * band + line for band in chance.sample(range(3), 3) for line in chance.sample(range(3), 3)] for _ in "ab"
    ]
    return ["".join(digits[(3 * (r % 3) + r // 3 + c) % 9] for c in lines[1]) for r in lines[0]]


def sudoku_rows(chance: random.Random) -> list[str]:
    """A random Sudoku with 17 to 75 givens; it may have several solutions."""
    kept = {*chance.sample(range(81), chance.randint(17, 75))}
    rows = solved_rows(chance)
    return ["".join(c if 9 * r + i in kept else "." for i, c in enumerate(row)) for r, row in enumerate(rows)]


def candidates(rows: Sequence[str], r: int, c: int) -> str:
    """The digits that row, column and box leave for a cell."""
    if rows[r][c] != ".":
        return rows[r][c]
    near = {rows[r][k] for k in range(9)} | {rows[k][c] for k in range(9)}
    near |= {rows[3 * (r // 3) + i][3 * (c // 3) + j] for i in range(3) for j in range(3)}
    return "".join(digit for digit in "123456789" if digit not in near)


def pencil_rows(rows: Sequence[str]) -> list[str]:
    """The puzzle that a grid of candidates shows: a cell with one of them is given."""
    cells = [[candidates(rows, r, c) for c in range(9)] for r in range(9)]
    return ["".join(cell if len(cell) == 1 else "." for cell in row) for row in cells]


def blank(sign: str) -> Callable[[Sequence[str]], list[str]]:
    return lambda rows: [row.replace(".", sign) for row in rows]


def lines(rows: Sequence[str]) -> str:
    return "\n".join(rows)


def ascii_box(rows: Sequence[str]) -> str:
    bar = "+---+---+---+"
    parts = ["|" + "|".join(row[at : at + 3] for at in (0, 3, 6)) + "|" for row in rows]
    return "\n".join([bar, *parts[:3], bar, *parts[3:6], bar, *parts[6:], bar])


def numbers(rows: Sequence[str]) -> list[list[int]]:
    return [[0 if cell == "." else int(cell) for cell in row] for row in rows]


def to_wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def one_line(sign: str) -> Callable[[Sequence[str]], str]:
    return lambda rows: "".join(rows).replace(".", sign)


def nine_lines(sign: str, gap: str = "") -> Callable[[Sequence[str]], str]:
    return lambda rows: "\n".join(gap.join(row) for row in rows).replace(".", sign)


SUDOKU_FORMS: dict[str, Callable[[Sequence[str]], str]] = {
    **{f"one line, {sign!r}": one_line(sign) for sign in ".0_*xX?-"},
    **{f"nine lines, {sign!r}": nine_lines(sign) for sign in ".0_*xX?"},
    **{f"apart, {sign!r}": nine_lines(sign, " ") for sign in ".0x"},
    "a box": ascii_box,
    "a box, spaces": lambda rows: ascii_box(rows).replace(".", " "),
    "spaces": nine_lines(" "),
    "apart, spaces": nine_lines(" ", " "),
    "three characters, spaces": lambda rows: lines(["".join(f" {c} " for c in row) for row in rows]).replace(".", " "),
    "a box without a frame, spaces": lambda rows: lines(
        [line[1:-1] for line in ascii_box(rows).replace(".", " ").split("\n")[1:-1]]
    ),
    "indented": lambda rows: lines(["    " + row for row in rows]),
    "blanks behind": lambda rows: lines([row + "  " for row in rows]),
    "rating": lambda rows: "".join(rows) + " 7.2",
    "note": lambda rows: "".join(rows) + "  # diabolical, SE 9",
    "number before": lambda rows: "12: " + "".join(rows),
    "hash number": lambda rows: "#1 " + "".join(rows),
    "heading": lambda rows: "Grid 01\n" + lines(blank("0")(rows)),
    "sections": lambda rows: "#A me\n[Puzzle]\n" + lines(rows) + "\n[State]\n" + lines(["1" + "." * 8] + ["." * 9] * 8),
    "commas": lambda rows: lines([",".join(row) for row in rows]),
    "commas, nothing": lambda rows: lines([",".join(row).replace(".", "") for row in rows]),
    "semicolons": lambda rows: lines([";".join(row) for row in rows]),
    "tabs": lambda rows: lines(["\t".join(row) for row in rows]),
    "tabs, nothing": lambda rows: lines(["\t".join(row).replace(".", "") for row in rows]),
    "81 fields": lambda rows: ",".join("".join(rows)),
    "JSON": lambda rows: json.dumps(numbers(rows)),
    "JSON, indented": lambda rows: json.dumps(numbers(rows), indent=2),
    "JSON, null": lambda rows: json.dumps([[cell or None for cell in row] for row in numbers(rows)]),
    "JSON, strings": lambda rows: json.dumps([*rows]),
    "JSON, object": lambda rows: json.dumps({"id": 7, "puzzle": "".join(rows)}),
    "an array as numpy prints it": lambda rows: "[[" + "]\n [".join(" ".join(blank("0")(row)) for row in rows) + "]]",
    "Python rows": lambda rows: "".join(f"{row},\n" for row in numbers(rows)),
    "strings": lambda rows: lines([f'"{row}",' for row in rows]),
    "HoDoKu": lambda rows: f":0100:x:{''.join(rows)}:::",
    "SudokuWiki": lambda rows: "https://www.sudokuwiki.org/sudoku.htm?bd=" + "".join(blank("0")(rows)),
    "full width": lambda rows: to_wide(lines(rows)),
    "mixed width": lambda rows: lines([to_wide(row) if at % 2 else row for at, row in enumerate(rows)]),
    "no-break spaces": lambda rows: lines(["\u00a0".join(row) for row in rows]),
    "full width, spaces": lambda rows: to_wide(lines(rows)).replace("．", "\u3000"),
    "full width, pairs of spaces": lambda rows: to_wide(lines(rows)).replace("．", "  "),
    "full-width blanks": lambda rows: lines(["".join("\u3000" if c == "." else c + " " for c in row) for row in rows]),
    "table": lambda rows: lines(["| " + " | ".join(row).replace(".", " ") + " |" for row in rows]),
    "semicolon CSV": lambda rows: f"id;question\n1;{''.join(rows)}\n",
    "tab CSV": lambda rows: f"id\tquestion\n1\t{''.join(rows)}\n",
    "CSV with # in ids": lambda rows: f"id,question\n#1,{''.join(rows)}\n",
    "CSV, x": lambda rows: f"question\n{''.join(blank('x')(rows))}\n",
    "fence": lambda rows: f"```text\n{lines(rows)}\n```",
    "carriage returns": lambda rows: "\r\n".join(rows) + "\r\n",
}

# Mazes: a maze is a list of strings in the characters #.SG.


def maze_rows(chance: random.Random, closed: bool) -> list[str]:
    """A random maze with a path from S to G; `closed`: with walls all round."""
    while True:
        height, width = chance.randint(2, 9), chance.randint(2, 9)
        cells = [["#" if chance.random() < 0.35 else "." for _ in range(width)] for _ in range(height)]
        (a, b), (c, d) = chance.sample([(y, x) for y in range(height) for x in range(width)], 2)
        cells[a][b], cells[c][d] = "S", "G"
        rows = ["".join(row) for row in cells]
        if closed:
            rows = ["#" * (width + 2), *("#" + row + "#" for row in rows), "#" * (width + 2)]
        if has_path(rows):
            return rows


def maze_rows_of(height: int, width: int) -> list[str]:
    """An open maze of that size."""
    return ["S" + "." * (width - 1), *["." * width] * (height - 2), "." * (width - 1) + "G"]


def has_path(rows: Sequence[str]) -> bool:
    """Whether G can be reached from S, found by spreading."""
    reached = {(y, x) for y, row in enumerate(rows) for x, c in enumerate(row) if c == "S"}
    while True:
        near = {(y + a, x + b) for y, x in reached for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))}
        more = {(y, x) for y, x in near if 0 <= y < len(rows) and 0 <= x < len(rows[0]) and rows[y][x] != "#"} - reached
        if not more:
            return any(rows[y][x] == "G" for y, x in reached)
        reached |= more


def boxed(rows: Sequence[str]) -> str:
    edge = "─" * len(rows[0])
    return "\n".join([f"┌{edge}┐", *(f"│{row}│" for row in rows), f"└{edge}┘"])


def in_pairs(rows: Sequence[str]) -> list[str]:
    return ["".join(c + " " if c in "SG" else 2 * c for c in row) for row in rows]


def several(width: int, place: str, gap: str = "", dot: str = " ") -> Callable[[Sequence[str]], str]:
    """Cells of `width` equal characters, or with S or G in the middle or at a side; `dot` is written for open cells."""

    def written(rows: Sequence[str]) -> str:
        cells = {"#": "#" * width} | {c: f"{sign:{place}{width}}" for c, sign in {".": dot, "S": "S", "G": "G"}.items()}
        return lines([gap.join(cells[c] for c in row) for row in rows])

    return written


def padded(wide: str) -> Callable[[Sequence[str]], str]:
    """The characters `wide` in full width, and others in half width with a space behind each."""
    return lambda rows: lines(["".join(to_wide(c) if c in wide else c + " " for c in row) for row in rows])


WIDE_FORMS: dict[str, Callable[[Sequence[str]], str]] = {
    **{f"{width} characters, {place}": several(width, place) for width in (2, 3, 4, 5) for place in "<^>"},
    "3 characters, dots": several(3, "^", dot="."),
    "2 characters, then a space": several(2, "<", " "),
    "brackets": lambda rows: lines(["".join(f"[{c}]" for c in row) for row in rows]),
    "full-width walls": padded("#"),
    "full-width walls and dots": padded("#."),
    "full-width ends": lambda rows: padded("SG")(rows).replace("# ", "##").replace(". ", ".."),
    "full-width walls, spaces": lambda rows: padded("#")(rows).replace(".", " "),
}
"""Forms in which a cell is several characters wide."""

MAZE_FORMS: dict[str, Callable[[Sequence[str]], str]] = {
    **WIDE_FORMS,
    "plain": lines,
    "spaces": lambda rows: lines(blank(" ")(rows)),
    "apart": lambda rows: lines([" ".join(row) for row in rows]),
    "apart, spaces": lambda rows: lines([" ".join(row) for row in blank(" ")(rows)]),
    "further apart": lambda rows: lines(["  ".join(row) for row in rows]),
    "apart, indented": lambda rows: lines(["  " + " ".join(row) for row in rows]),
    "indented": lambda rows: lines(["   " + row for row in rows]),
    "indented, spaces": lambda rows: lines(["   " + row for row in blank(" ")(rows)]),
    "blanks behind": lambda rows: lines([row + "  " for row in rows]),
    "blanks behind one": lambda rows: lines([rows[0] + "  ", *rows[1:]]),
    "blanks behind, spaces": lambda rows: lines([row + "  " for row in blank(" ")(rows)]),
    "no-break spaces": lambda rows: lines(blank("\u00a0")(rows)),
    "S and E": lambda rows: lines(rows).replace("G", "E"),
    "A and B": lambda rows: lines(rows).replace("S", "A").replace("G", "B"),
    "1 for a wall": lambda rows: lines(rows).replace("#", "1").replace(".", "0"),
    "0 for a wall": lambda rows: lines(rows).replace("#", "0").replace(".", "1"),
    "1 for a wall, apart": lambda rows: lines([" ".join(row) for row in rows]).replace("#", "1").replace(".", "0"),
    "0 for a wall, apart": lambda rows: lines([" ".join(row) for row in rows]).replace("#", "0").replace(".", "1"),
    "0 and 1, commas": lambda rows: lines([",".join(row) for row in rows]).replace("#", "1").replace(".", "0"),
    "blocks": lambda rows: lines(rows).replace("#", "█").replace(".", " "),
    "blocks and dots": lambda rows: lines(rows).replace("#", "█"),
    "pairs of blocks": lambda rows: lines(in_pairs(rows)).replace("#", "█").replace(".", " "),
    "a box": boxed,
    "a box, spaces": lambda rows: boxed(blank(" ")(rows)),
    "commas": lambda rows: lines([",".join(row) for row in rows]),
    "semicolons": lambda rows: lines([";".join(row) for row in rows]),
    "tabs": lambda rows: lines(["\t".join(row) for row in rows]),
    "JSON": lambda rows: json.dumps([*rows]),
    "JSON, characters": lambda rows: json.dumps([[*row] for row in rows]),
    "full width": lambda rows: to_wide(lines(rows)),
    "full width, pairs of spaces": lambda rows: to_wide(lines(rows)).replace("．", "  "),
    "full width, wide spaces": lambda rows: to_wide(lines(rows)).replace("．", "\u3000"),
    "heading": lambda rows: "Maze 1:\n" + lines(rows),
    "carriage returns": lambda rows: "\r\n".join(" ".join(row) for row in rows) + "\r\n",
    "strings": lambda rows: lines([f'"{row}",' for row in rows]),
    "marked": lambda rows: lines(blank("o")(rows)),
}
