"""Prompts for a language model, and a reader that finds the grid in its reply, whatever the reply holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Spec, Task, Tokens

UNKNOWN = "?"  # stands for token 0
CELL = re.compile(r"[^\W_]|[.#]")  # characters that stand for cells in a task's drawing
BLANKS = "._0?"  # ways to leave a cell of a symbol puzzle open; * and - are decoration in prose
# Everything that people and models put around and between cells, such as box drawings and invisible parts of emoji.
DECORATION = (
    " \t|¦!,;'\"`()[]{}+-=*~/\\&$:><"
    "\xa0\u202f\u3000\ufeff\u2060\ufe0f\u20e3"  # wide and invisible characters
    + "".join(map(chr, [*range(0x2000, 0x200E), *range(0x2500, 0x2580)]))
)
FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*\w*\s*")
LABEL = re.compile(r"[^:=]{0,60}?[:=]|\W*(?:row|r)\s*\d+\b|\s*\d+[.)]\s", re.IGNORECASE)  # `Row 3:`, `| r3 |`, `3.`
# Lists of the digits in a column or a box are checks, not rows of the answer.
OTHER_LINES = re.compile(r"\b(?:col\w*|c|box\w*|b|block\w*|sub\w*|region\w*|square\w*)\W*\d", re.IGNORECASE)
REFUSAL = re.compile(
    r"\W*(?:i['’]?m (?:very )?sorry|sorry|i (?:can(?:not|['’]t)|won['’]t|am (?:unable|not able)))", re.IGNORECASE
)


# The question


def alphabet(task: Task) -> str:
    """The character that the task draws for each token, [vocab]; `.` for a token drawn as a space.

    Raises BadInput for a task that does not draw one character per token.
    """
    spec = task.spec
    found = UNKNOWN
    for token in range(1, spec.vocab):
        text = task.draw(np.full(spec.cells, token, np.uint8))
        drawn = CELL.findall(text.replace(" ", ".") if text.isspace() else text)
        if len(drawn) != spec.cells or drawn[0] in found:
            raise BadInput(f"task {spec.name!r} cannot be put in words: a token has no character of its own")
        found += drawn[0]
    return found


def make_prompt(task: Task, question: Tokens) -> str:
    """The prompt for question [cells]: the rules, the grid as rows of text, and the form of the answer."""
    spec, symbols = task.spec, alphabet(task)
    rules = task.instructions(symbols)
    # Spaces between cells, because a model's tokens would otherwise hold several cells each.
    rows = "\n".join(" ".join(symbols[token] for token in row) for row in question.reshape(spec.height, spec.width))
    return (
        f"{rules}\n\n{rows}\n\nThink step by step. Finish with a line that says ANSWER: and below it the whole "
        f"solution in a fenced block: exactly {spec.height} lines of {spec.width} symbols, and nothing after it."
    )


def prompt_version(task: Task) -> str:
    """A digest of the wording. It changes whenever the prompt of this task does."""
    return hashlib.sha256(make_prompt(task, np.ones(task.spec.cells, np.uint8)).encode()).hexdigest()[:12]


# The answer


@dataclass(frozen=True)
class Reader:
    """Finds the last grid of a task in prose. One reader serves many replies."""

    spec: Spec
    characters: str  # [vocab], one for each token
    token: dict[str, int]  # character -> token
    named: dict[str, str]  # a number above 9 -> the character of that symbol
    drop: dict[int, None] = field(repr=False)  # for str.translate: decoration that is not also a symbol

    @staticmethod
    def of(task: Task) -> Reader:
        """Raises BadInput for a task that cannot be written as text."""
        spec, characters = task.spec, alphabet(task)
        token = {character: number for number, character in enumerate(characters) if number}
        if spec.first_symbol == 2:  # token 1 is the blank of a symbol puzzle
            token = dict.fromkeys(BLANKS, 1) | token
        for character in characters[1:]:
            for other in (character.lower(), character.upper()):
                token.setdefault(other, token[character])
        symbols = characters[spec.first_symbol :]
        named = {str(number): character for number, character in enumerate(symbols, 1) if number > 9}
        return Reader(spec, characters, token, named, {ord(c): None for c in DECORATION if c not in token})

    def find(self, text: str) -> Tokens | None:
        """The last grid in `text`, [cells], with 1 for cells of a symbol puzzle left open; None if there is no grid.

        A grid is a sequence of lines with one symbol per column, whether drawn, spaced, labelled, in a table or as
        JSON; or all its cells in one run of symbols.
        """
        found = None
        for candidate in self.candidates(text):
            found = candidate
        return None if found is None else self.read(found)

    def read(self, characters: str) -> Tokens | None:
        """Tokens [cells] from one character per cell; None for any other text."""
        if len(characters) != self.spec.cells or not self.known(characters):
            return None
        return np.array([self.token[character] for character in characters], np.uint8)

    def write(self, tokens: Tokens) -> str:
        """One character per cell for tokens [cells]. The inverse of `read`."""
        return "".join(self.characters[token] for token in tokens)

    def known(self, characters: str) -> bool:
        return set(characters) <= self.token.keys()

    def candidates(self, text: str) -> Iterator[str]:
        """The cells of every grid in `text`, in order."""
        blocks: list[list[str]] = [[]]  # cells of lines without prose; a ruled or empty line ends a block
        for line in [*text.splitlines(), "```"]:
            cells = None if FENCE.fullmatch(line) else self.cells(line)
            if cells is None:  # prose or a fence, which ends a grid
                yield from self.grid(blocks)
                yield from self.runs(line)
                blocks = [[]]
                continue
            if blocks[-1] and (not cells or LABEL.match(line)):
                blocks.append([])
            if cells:
                blocks[-1].append(cells)

    def cells(self, line: str) -> str | None:
        """The symbols of a line that holds only symbols, decoration and perhaps a label; None for any other line."""
        line = line.replace("\\hline", "")
        whole = line.translate(self.drop)
        if not whole or (len(whole) == self.spec.width and self.known(whole)):
            return whole
        if row := self.numbers(line):
            return row
        if not (label := LABEL.match(line)):
            return whole if self.known(whole) else None
        if OTHER_LINES.search(label[0]):
            return None
        cells = line[label.end() :].translate(self.drop)
        if len(cells) in (self.spec.width, self.spec.cells) and self.known(cells):
            return cells
        return self.numbers(line[label.end() :])

    def numbers(self, line: str) -> str | None:
        """A row, or the whole grid, with symbols above 9 written as numbers, such as 10 for A; None for other text."""
        if not self.named:
            return None
        cells = "".join(self.named.get(field, field) for field in re.findall(r"\w+|[.?]", line))
        return cells if len(cells) in (self.spec.width, self.spec.cells) and self.known(cells) else None

    def grid(self, blocks: list[list[str]]) -> Iterator[str]:
        """The last grid in consecutive blocks of lines: made of whole blocks if possible, else of any lines."""
        height, width, total = self.spec.height, self.spec.width, self.spec.cells
        for end in range(len(blocks), 0, -1):
            rows: list[str] = []
            for block in reversed(blocks[max(0, end - height) : end]):
                if len(rows) < height:
                    rows = block + rows
            if len(rows) == height and all(len(row) == width for row in rows):
                return (yield "".join(rows))
            if rows and len(rows[-1]) == total:  # the whole grid in one line
                return (yield rows[-1])
        lines = [line for block in blocks for line in block]
        for first in range(len(lines) - height, -1, -1):
            if all(len(row) == width for row in lines[first : first + height]):
                return (yield "".join(lines[first : first + height]))
        if sum(map(len, lines)) == total:  # other line breaks, such as JSON with one number per line
            yield "".join(lines)

    def runs(self, line: str) -> Iterator[str]:
        """Words of prose, or text in brackets, that are a whole grid."""
        for word in (*line.split(), line[line.find("[") : line.rfind("]") + 1]):
            cells = word.translate(self.drop)
            if len(cells) == self.spec.cells + 1:
                cells = cells.removesuffix(".")
            if len(cells) == self.spec.cells and self.known(cells):
                yield cells


def refuses(text: str) -> bool:
    """Whether prose without a grid begins like a refusal."""
    return REFUSAL.match(text) is not None
