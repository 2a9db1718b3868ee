"""What a file of pairs shows: numbers, blanks, duplicates, contradictions, groups, symmetries, and leaks to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Ints
from trm.tasks.custom.structure import VALUES, Structure
from trm.tasks.custom.symmetry import TURNS, Symmetry, images, symmetries_of
from trm.tasks.custom.text import NONE, Pairs


class Group(NamedTuple):
    """Groups of cells in which no answer has a number twice."""

    name: str  # rows, columns, boxes of 2x3, diagonals
    cells: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Leaks:
    """What two files have in common."""

    rows: int  # of the other file
    questions: int  # of them that are in the first file too
    images: int  # further ones that are one there, turned, mirrored or renamed by the symmetries that hold
    answers: int  # of them whose answer is that of a pair there, with the same or another question


@dataclass(frozen=True)
class Inspection:
    """What was found in a file of pairs."""

    rows: int
    shape: tuple[int, int]
    question_values: tuple[int, ...]  # of the first layer
    layer_values: tuple[tuple[int, ...], ...]  # of each further layer of the questions
    unit: int  # see `Structure`
    answer_values: tuple[int, ...]
    unanswered: int  # pairs without an answer, which nothing else counts
    blank: int | None  # the number that stands for an unknown cell: all others are kept in the answer
    unknown: float  # unknown cells of a question on average; without a blank, cells that the answer changes
    duplicates: int  # pairs that are there already
    contradictions: tuple[tuple[str, str], ...]  # places of one question with different answers
    groups: tuple[Group, ...]
    symmetries: tuple[Symmetry, ...]

    @property
    def interchangeable(self) -> bool:
        """Whether all numbers but the blank may be renamed."""
        renamed = [one.holds for one in self.symmetries if one.name == "numbers renamed"]
        return self.blank is not None and renamed == [True]

    def symmetric(self) -> Structure:
        """What training can use of the pairs without knowing their rules: the blank, and the symmetries that hold."""
        turns = tuple(one.name for one in self.symmetries if one.holds and one.name in TURNS)
        known = {"blank": self.blank, "interchangeable": self.interchangeable, "symmetries": turns}
        known |= {"layers": 1 + len(self.layer_values), "unit": self.unit} if self.layer_values else {}
        return Structure.model_validate(known)

    def structure(self) -> Structure:
        """The structure that the pairs suggest, to be read by someone who knows the problem."""
        lines = [one.name for one in self.groups if one.name in ("rows", "columns")]
        others = [one.cells for one in self.groups if one.name not in ("rows", "columns")]
        values = tuple(sorted({*self.question_values, *self.answer_values}))
        suggested: dict[str, Any] = {"shape": self.shape}
        if self.layer_values:  # whose combinations with the values are found in the data
            suggested |= {"layers": 1 + len(self.layer_values), "unit": self.unit}
        else:
            suggested["values"] = values
        if self.blank is not None:
            suggested["blank"] = self.blank
            suggested["interchangeable"] = self.interchangeable
        suggested["symmetries"] = self.symmetric().symmetries
        suggested["groups"] = [kind for kind in (lines, *others) if kind]
        return Structure.model_validate(suggested)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        found = asdict(self) | {"symmetries": {one.name: round(one.p, 4) for one in self.symmetries}}
        found["groups"] = [one.name for one in self.groups]
        return found | {"structure": self.structure().model_dump(mode="json", exclude_defaults=True)}


def inspect(pairs: Pairs) -> Inspection:
    """Look at the pairs of a file. Raises BadInput for a file without answers, or with too many different numbers."""
    answered = (pairs.answer != NONE).all(1)
    if not answered.any():
        raise BadInput("no pair has an answer: give a file with both, question and answer")
    question, first, answer = pairs.question[answered], pairs.first[answered], pairs.answer[answered]
    places = [place for place, good in zip(pairs.places, answered.tolist(), strict=True) if good]
    values = [tuple(np.unique(part).tolist()) for part in (first, answer)]
    layers = [question // pairs.unit**layer % pairs.unit for layer in range(1, pairs.layers)]
    if len({*values[0], *values[1]}) > VALUES:
        raise BadInput(f"{len({*values[0], *values[1]})} different numbers; a model can tell at most {VALUES} apart")
    duplicates, contradictions = repeated(question, answer, places)
    blank = find_blank(first, answer)
    symbols = np.array([value for value in sorted({*values[0], *values[1]}) if value != blank])
    grids = [part.reshape(-1, *pairs.shape) for part in (question, answer)]
    return Inspection(
        rows=len(pairs.question),
        shape=pairs.shape,
        question_values=values[0],
        layer_values=tuple(tuple(np.unique(layer).tolist()) for layer in layers),
        unit=pairs.unit,
        answer_values=values[1],
        unanswered=int((~answered).sum()),
        blank=blank,
        unknown=float((first == blank if blank is not None else first != answer).sum(1).mean()),
        duplicates=duplicates,
        contradictions=tuple(contradictions),
        groups=tuple(find_groups(answer, pairs.shape, len(symbols), blank)),
        symmetries=tuple(symmetries_of(grids[0], grids[1], symbols, pairs.unit if layers else 0))
        if len(question) > 1
        else (),
    )


def repeated(question: Ints, answer: Ints, places: Sequence[str]) -> tuple[int, list[tuple[str, str]]]:
    """-> how many pairs are there already, and the places of questions with two answers"""
    first: dict[bytes, int] = {}
    duplicates, contradictions = 0, list[tuple[str, str]]()
    for row, key in enumerate(one.tobytes() for one in question):
        before = first.setdefault(key, row)
        if before == row:
            continue
        if (answer[before] == answer[row]).all():
            duplicates += 1
        else:
            contradictions.append((places[before], places[row]))
    return duplicates, contradictions


def find_blank(question: Ints, answer: Ints) -> int | None:
    """The number of unknown cells: every cell that does not hold it is kept, and no other number does that.

    None if there is no such number, or if answers hold it in cells where it stood.
    """
    changed = np.unique(question[question != answer]).tolist()
    if len(changed) != 1 or (answer == changed[0]).any():
        return None
    blank: int = changed[0]
    return blank


def find_groups(answer: Ints, shape: tuple[int, int], symbols: int, blank: int | None) -> Iterator[Group]:
    """The kinds of groups of which none has a number twice in any answer."""
    for group in candidates(shape, symbols):
        cells = np.array(group.cells)
        inside = np.sort(answer[:, cells], -1)
        twice = inside[..., 1:] == inside[..., :-1]
        if blank is not None:
            twice &= inside[..., 1:] != blank
        if not twice.any():
            yield group


def candidates(shape: tuple[int, int], symbols: int) -> Iterator[Group]:
    """Groups that can hold different numbers: rows, columns, boxes that tile the board, and both diagonals."""
    height, width = shape
    numbers = np.arange(height * width).reshape(shape)
    if 1 < width <= symbols:
        yield Group("rows", cells_of(numbers))
    if 1 < height <= symbols:
        yield Group("columns", cells_of(numbers.T))
    for tall, wide in product(range(2, height + 1), range(2, width + 1)):
        if height % tall == 0 and width % wide == 0 and tall * wide <= symbols:
            tiles = numbers.reshape(height // tall, tall, width // wide, wide).swapaxes(1, 2)
            yield Group(f"boxes of {tall}x{wide}", cells_of(tiles.reshape(-1, tall * wide)))
    if height == width and 1 < height <= symbols:
        yield Group("diagonals", cells_of(np.stack([numbers.diagonal(), numbers[:, ::-1].diagonal()])))


def cells_of(numbers: Ints) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(group) for group in numbers.tolist())


# Two files


def leaks(pairs: Pairs, other: Pairs, found: Inspection) -> Leaks:
    """What the pairs of `other`, a file to test with, have in common with those of the file that `found` is about.

    Raises BadInput for grids of another shape.
    """
    if pairs.shape != other.shape:
        have, wanted = ("x".join(map(str, shape)) for shape in (other.shape, pairs.shape))
        raise BadInput(f"grids of {have}, but those of the other file are of {wanted}")
    questions = {one.tobytes() for one in pairs.question}
    answers = {one.tobytes() for one in pairs.answer if (one != NONE).all()}
    same = [one.tobytes() in questions for one in other.question]
    key = image_key(found)
    images = set(map(key, pairs.question))
    like = [key(one) in images for one in other.question]
    return Leaks(
        rows=len(other.question),
        questions=sum(same),
        images=sum(alike and not equal for alike, equal in zip(like, same, strict=True)),
        answers=sum(one.tobytes() in answers for one in other.answer),
    )


def image_key(found: Inspection) -> Callable[[Ints], bytes]:
    """A function of a question [cells] that is the same for its images: turned, mirrored, renamed, where that holds."""
    moved = images(found.shape, found.symmetric().symmetries)
    return lambda question: min(renamed(question[cells], found).tobytes() for cells in moved)


def renamed(cells: Ints, found: Inspection) -> Ints:
    """The cells with their numbers renamed in the order in which they come, where numbers are interchangeable."""
    if not any(one.name == "numbers renamed" and one.holds for one in found.symmetries):
        return np.array(cells)
    names = {} if found.blank is None else {found.blank: 0}
    first = cells % found.unit if found.layer_values else cells
    order: Ints = np.array([names.setdefault(cell, len(names)) for cell in first.tolist()])
    return order + (cells - first)
