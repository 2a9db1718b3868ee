"""A custom task: pairs of grids of whole numbers, and their structure (`trm.tasks.custom.structure`).

Tokens: 0 padding (unscored), then the blank if one is declared, then the other numbers in order.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.tasks.base import Bools, Fault, Ints, Puzzles, Sign, Spec, Task, Tokens
from trm.tasks.custom.layers import check_combinations, features, signs_of, terms
from trm.tasks.custom.structure import SQUARE, Structure
from trm.tasks.custom.symmetry import images
from trm.tasks.custom.text import NONE, Pairs, read_pairs, read_text
from trm.tasks.text import printable

FAMILY = "custom"
BLANK = 1  # the token of the blank, if one is declared
FIRST = 2  # the first token after it


@dataclass(frozen=True)
class Custom(Task):
    """The task (`trm.tasks.base.Task`) of a complete structure."""

    structure: Structure

    @property
    def cell_pattern(self) -> str:
        return r"[0-9]+|\."

    @property
    def form(self) -> str:
        blank, layers = self.structure.blank, self.structure.layers
        if layers > 1:
            return f"{super().form}; each is first + {' + '.join(terms(self.structure))} of a cell's {layers} layers"
        return super().form + ("" if blank is None else "; . for an unknown cell")

    def __post_init__(self) -> None:
        if not self.structure.shape or not self.structure.values:
            raise BadInput("a custom task is defined by its data: give --data FILE")
        check_combinations(self.structure)
        for name in self.structure.symmetries:
            (_, moved, *_) = images(self._shape, [name])
            for kinds in (self.spec.groups, self.spec.related):
                groups = {frozenset(cells) for kind in kinds for cells in kind}
                for cells in groups:
                    if frozenset(moved[list(cells)].tolist()) not in groups:
                        some = ", ".join(self.spec.cell_name(cell) for cell in sorted(cells)[:5])
                        raise BadInput(f"symmetry {name!r} does not suit the groups: it moves that of {some} onto none")

    @cached_property
    def spec(self) -> Spec:
        height, width = self.structure.shape
        vocab = len(self.numbers) + 1
        # The name holds a digest of the structure, so that models of two tasks are not taken for models of one. How a
        # number is shown makes no other task.
        known = self.structure.model_dump_json(exclude_defaults=True, exclude={"signs", "layer_signs", "colours"})
        name = f"{FAMILY}-{height}x{width}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"
        # A model has symbols only where a cell holds nothing else.
        first = FIRST if self.structure.interchangeable and self.structure.layers == 1 else vocab
        kinds, related = (
            tuple(self.structure.expanded(one)) for one in (self.structure.groups, self.structure.related)
        )
        wrap, offsets, described = self.structure.wrap, self.structure.offsets, features(self.structure, self.numbers)
        return Spec(name, height, width, vocab, first, kinds, related, offsets, wrap, described)

    def sized(self, shape: tuple[int, ...]) -> Custom:
        """The task on a board of that shape. Raises BadInput unless it is its own, or any size is declared."""
        if shape == self.structure.shape or len(shape) != 2 or not self.structure.any_size:
            return self
        moves = [name for name in self.structure.symmetries if shape[0] == shape[1] or name not in SQUARE]
        return Custom(self.structure.completed(shape=shape, symmetries=moves))

    @cached_property
    def numbers(self) -> Ints:
        """[vocab - 1], the number of each token from 1 on."""
        blank = [] if self.structure.blank is None else [self.structure.blank]
        return np.array([*blank, *(value for value in self.structure.values if value not in blank)], np.int64)

    @cached_property
    def _first(self) -> Tokens:
        """[vocab], the token of the first layer of each token."""
        if self.structure.layers == 1:
            return np.arange(self.spec.vocab, dtype=np.uint8)
        number_of = {number: token for token, number in enumerate(self.numbers.tolist(), 1)}
        return np.array([0, *(number_of[number % self.structure.unit] for number in self.numbers.tolist())], np.uint8)

    def given(self, question: Tokens) -> Tokens:
        """The first layer of a question [..., cells]."""
        first: Tokens = self._first[question]
        return first

    def shown(self, question: Tokens, answer: Tokens) -> Tokens:
        """The answer [..., cells] with the question's further layers."""
        return self._with(self.given(answer), question)

    @cached_property
    def signs(self) -> tuple[Sign, ...]:
        """As declared; else the number itself, and nothing for the blank. Those of further layers stand behind it."""
        return tuple(signs_of(self.structure, self.numbers))

    @property
    def checkable(self) -> bool:
        """Whether groups are declared, by which answers can be checked."""
        return bool(self.structure.groups)

    # Reading

    def read(self, text: str) -> Puzzles:
        """Every puzzle in text or CSV (see `trm.tasks.custom.text.read_text`).

        Raises BadInput with one line that names the place.
        """
        return self.from_pairs(read_text(text, self.structure, "puzzle"))

    def read_file(self, path: str) -> Puzzles:
        """The pairs of an .npz, CSV or text file. Raises BadInput."""
        pairs = read_pairs(path, self.structure)
        if pairs.shape != self.structure.shape:
            have, wanted = ("x".join(map(str, shape)) for shape in (pairs.shape, self.structure.shape))
            hint = "" if self.structure.any_size else "; a structure with any_size = true would allow it"
            raise BadInput(f"{printable(Path(path).name)}: grids of {have}, but this task has {wanted}{hint}")
        return self.from_pairs(pairs).read_from(path)

    def from_pairs(self, pairs: Pairs) -> Puzzles:
        """Pairs as tokens. Raises BadInput for a number that the task does not have, and for broken rules."""
        question, answer = (self._tokens(part, pairs) for part in (pairs.question, pairs.answer))
        given = self.given(question)
        if self.blank and (bad := self._clashing(given)).any():
            row = int(bad.argmax())
            raise BadInput(f"{pairs.places[row]}, question: {self.clash(given[row])}")
        if (bad := answer.any(1) & ~self.valid(question, answer)).any():
            row = int(bad.argmax())
            raise BadInput(f"{pairs.places[row]}, answer: {self.fault(question[row], answer[row])}")
        left_out = (f"left out: {', '.join(pairs.left_out)}",) if pairs.left_out else ()
        return Puzzles(question, answer, remarks=left_out)

    def _tokens(self, numbers: Ints, pairs: Pairs) -> Tokens:
        """Tokens [rows, cells] of numbers [rows, cells], 0 where no answer is given. Raises BadInput."""
        tokens = self._find(numbers)
        wrong = (tokens == 0) & (numbers != NONE)
        if wrong.any():
            row, cell = (int(at) for at in np.argwhere(wrong)[0])
            raise BadInput(f"{pairs.places[row]}: {self.unknown(cell, int(numbers[row, cell]))}")
        return tokens

    def _find(self, numbers: Ints) -> Tokens:
        """The tokens of numbers [...], 0 for one that the task does not have."""
        order = np.argsort(self.numbers)
        at = np.searchsorted(self.numbers, numbers, sorter=order).clip(max=len(order) - 1)
        return np.where(self.numbers[order[at]] == numbers, order[at] + 1, 0).astype(np.uint8)

    def _with(self, first: Tokens, question: Tokens) -> Tokens:
        """`question` [...] with another first layer, `first` [...], whose tokens are those of its numbers alone."""
        if self.structure.layers == 1:
            return first
        number = np.concatenate([[0], self.numbers])
        found = self._find(number[question] - number[self.given(question)] + number[first])
        return np.where(first == 0, 0, found).astype(np.uint8)

    def unknown(self, cell: int, number: int) -> str:
        """What is wrong with a number that the task does not have, in words."""
        known = self.structure.values
        listed = ", ".join(map(str, known[:12])) + (", ..." if len(known) > 12 else "")
        return f"{self.spec.cell_name(cell)} is {number}, which is not one of the task's numbers ({listed})"

    # Symmetries

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """Both, [cells] each, in a random image under the declared symmetries, with interchangeable numbers renamed."""
        if len(self._images) > 1:
            cells = self._images[rng.integers(len(self._images))]
            question, answer = question[cells], answer[cells]
        if not self.structure.interchangeable:
            return question, answer
        tokens = np.arange(self.spec.vocab, dtype=np.uint8)
        symbols = tokens[FIRST : FIRST + len(self.structure.symbols)]
        renamed = tokens.copy()
        renamed[symbols] = symbols[rng.permutation(len(symbols))]
        renamed = self._with(renamed[self.given(tokens)], tokens)
        return renamed[question], renamed[answer]

    @property
    def _shape(self) -> tuple[int, int]:
        height, width = self.structure.shape
        return height, width

    @cached_property
    def _images(self) -> Ints:
        return images(self._shape, self.structure.symmetries)

    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """The question [cells] with round(share * blanks) random blanks filled in from the answer.

        Without a declared blank it is the question itself: nothing tells which of its cells are unknown.
        """
        easier: Tokens = question.copy()
        if self.blank:
            told = self._answers[answer] & ~self._fixed[answer] & (answer != BLANK)
            hidden = np.flatnonzero((self.given(question) == BLANK) & told)
            shown = rng.permutation(hidden)[: round(share * len(hidden))]
            easier[shown] = self._with(answer[shown], question[shown])
        return easier

    # Checking and showing

    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows [rows, cells] hold different numbers in every group and, if a blank is declared, keep the givens.

        Without groups this says little: see `checkable`.
        """
        good: Bools = self._answers[answer].all(1) & ~self._clashing(answer) & ~self._moved(question, answer).any(1)
        if self.blank:
            good &= (answer[:, self._filled] != BLANK).all(1)
        return good

    def _moved(self, question: Tokens, answer: Tokens) -> Bools:
        """Which cells [..., cells] do not keep what the question gives, or hold a fixed number that it does not."""
        given = self.given(question)
        bound = self._fixed[given] | self._fixed[answer]
        if self.blank:
            bound = bound | (given != BLANK)
        moved: Bools = bound & (given != answer)
        return moved

    @cached_property
    def _answers(self) -> Bools:
        """[vocab], which tokens an answer can hold: as declared, else all of the first layer but padding."""
        known = self.structure.answers or self.structure.values
        found: Bools = np.array([False, *np.isin(self.numbers, known)]) & (self._first == np.arange(self.spec.vocab))
        return found

    @cached_property
    def _fixed(self) -> Bools:
        """[vocab], which tokens stand in an answer where they stand in its question, and nowhere else."""
        return np.array([False, *np.isin(self.numbers, self.structure.fixed)])

    @property
    def blank(self) -> int:
        """The token of the blank; 0 if none is declared."""
        return 0 if self.structure.blank is None else BLANK

    @cached_property
    def _filled(self) -> Ints:
        """The cells that an answer must not leave blank: all if numbers are interchangeable, else those in groups."""
        if self.structure.interchangeable:
            return np.arange(self.spec.cells)
        return np.array(sorted({cell for kind in self.spec.groups for cells in kind for cell in cells}), np.int64)

    @cached_property
    def _groups(self) -> list[Ints]:
        """For each size of group, the cells [groups, size] of all groups of that size."""
        groups = [cells for kind in self.spec.groups for cells in kind]
        sizes = sorted({len(cells) for cells in groups})
        return [np.array([cells for cells in groups if len(cells) == size], np.int64) for size in sizes]

    def _clashing(self, tokens: Tokens) -> Bools:
        """Which rows of tokens [rows, cells] have a number, other than the blank, twice in a group."""
        clashing = np.zeros(len(tokens), bool)
        for cells in self._groups:
            seen = np.sort(tokens[:, cells], axis=-1)
            twice = (seen[..., 1:] == seen[..., :-1]) & (seen[..., 1:] > self.blank) & ~self._fixed[seen[..., 1:]]
            clashing |= twice.any((1, 2))
        return clashing

    def clash(self, tokens: Tokens) -> str | None:
        """Which two equal numbers of [cells] share a group, in words; None if no two do."""
        number = 0
        for kind in self.spec.groups:
            for cells in kind:
                number += 1
                seen: dict[int, int] = {}
                for cell in cells:
                    token = int(tokens[cell])
                    if token in seen and token > self.blank and not self._fixed[token]:
                        names = f"{self.spec.cell_name(seen[token])} and {self.spec.cell_name(cell)}"
                        return f"{names} of group {number} are both {self._named(token)}"
                    seen[token] = cell
        return None

    def faults(self, question: Tokens, answer: Tokens) -> list[Fault]:
        """The cells of an answer [cells] that break the declared rules; none if it is valid."""
        found, given = dict[int, str](), self.given(question)
        for cell in np.flatnonzero(self._moved(question, answer)).tolist():
            kept = self._fixed[given[cell]] or (self.blank and given[cell] != BLANK)
            found[cell] = f"{self._named(given[cell])} was given here" if kept else self._misplaced(answer[cell])
        for cell in np.flatnonzero(~self._answers[answer]).tolist():
            found[cell] = f"no answer holds {self._named(answer[cell])}" if answer[cell] else "nothing"
        if self.blank:
            for cell in self._filled[answer[self._filled] == BLANK].tolist():
                found.setdefault(cell, "blank")
        for kind in self.spec.groups:
            for cells in kind:
                count = Counter(answer[list(cells)].tolist())
                for cell in cells:
                    if answer[cell] > self.blank and count[int(answer[cell])] > 1 and not self._fixed[answer[cell]]:
                        found.setdefault(cell, f"{self._named(answer[cell])} occurs more than once in a group")
        return [Fault(cell, what) for cell, what in sorted(found.items())]

    def fault(self, question: Tokens, answer: Tokens) -> str | None:
        """What is wrong with an answer [cells], in words; None if it is valid."""
        if self.valid(question[None], answer[None])[0]:
            return None
        changed = self._moved(question, answer)
        if changed.any():
            cell, given = int(changed.argmax()), self.given(question)
            if not (self._fixed[given[cell]] or (self.blank and given[cell] != BLANK)):
                return f"{self.spec.cell_name(cell)} is {self._misplaced(answer[cell])}"
            now, was = (self._named(tokens[cell]) for tokens in (answer, given))
            return f"{self.spec.cell_name(cell)} is {now} where the question gives {was}"
        wrong = (answer > 0) & ~self._answers[answer]
        if wrong.any():
            cell = int(wrong.argmax())
            return f"{self.spec.cell_name(cell)} is {self._named(answer[cell])}, which no answer holds"
        blank = self._filled[answer[self._filled] == BLANK] if self.blank else self._filled[:0]
        if len(blank):
            return self.clash(answer) or f"{self.spec.cell_name(int(blank[0]))} is blank"
        return self.clash(answer) or f"{self.spec.cell_name(int((answer == 0).argmax()))} is nothing"

    def _misplaced(self, token: int | np.integer[Any]) -> str:
        """What is wrong with a fixed number that the question does not have there, in words."""
        return f"{self._named(token)}, which stands only where the question has it"

    def _named(self, token: int | np.integer[Any]) -> str:
        """The number of a token in words; a model may also answer with padding, which is none."""
        return str(self.numbers[int(token) - 1]) if token else "nothing"

    def to_grid(self, tokens: Tokens) -> Ints:
        """Tokens [cells] as numbers [height, width]; `from_grid` takes them back."""
        grid: Ints = self.numbers[self._filled_in(tokens) - 1].reshape(self.structure.shape)
        return grid

    @staticmethod
    def _filled_in(tokens: Tokens) -> Ints:
        """Tokens with the first one, the blank if there is one, in place of padding, with which a model may answer."""
        return tokens.astype(np.int64).clip(min=1)

    def from_grid(self, grid: npt.NDArray[np.integer[Any]]) -> Tokens:
        """The tokens [cells] of numbers [height, width], or of [layers, height, width] where questions have layers.

        Raises BadInput that names the cell.
        """
        layers, unit = self.structure.layers, self.structure.unit
        if layers > 1 and grid.ndim == 3 and len(grid) == layers and ((grid >= 0) & (grid < unit)).all():
            grid = (grid.astype(np.int64) * unit ** np.arange(layers).reshape(-1, 1, 1)).sum(0)
        if grid.shape != self.structure.shape:
            height, width = self.structure.shape
            each = f", or {layers} layers of them below {unit}" if layers > 1 else ""
            raise BadInput(f"expected a grid of {height}x{width} numbers{each}, not one of shape {grid.shape}")
        numbers = grid.astype(np.int64).reshape(1, -1)
        if (numbers < 0).any():
            cell = int((numbers < 0).argmax())
            raise BadInput(f"grid: {self.unknown(cell, int(numbers[0, cell]))}")
        pairs = Pairs((grid.shape[0], grid.shape[1]), numbers, np.full_like(numbers, NONE), ["grid"])
        question: Tokens = self.from_pairs(pairs).question[0]
        return question

    def _words(self, tokens: Tokens) -> list[str]:
        """Tokens [cells] as text, one word a cell."""
        blank = self.blank or None
        return ["." if token == blank else str(self.numbers[token - 1]) for token in self._filled_in(tokens).tolist()]

    def to_line(self, tokens: Tokens) -> str:
        """Tokens [cells] as one line, '.' for a blank; `read` takes it back."""
        return " ".join(self._words(tokens))

    def draw(self, tokens: Tokens) -> str:
        """Tokens [cells] as a line for each row, '.' for a blank; `read` takes it back."""
        height, width = self.structure.shape
        words = np.array(self._words(tokens)).reshape(height, width)
        wide = max(map(len, words.reshape(-1).tolist()))
        return "\n".join(" ".join(word.rjust(wide) for word in row) for row in words.tolist())


def task_of_run(run: Mapping[str, Any]) -> Custom:
    """The task that a model was trained for, from the settings of its run, which are stored with its weights.

    Raises KeyError, pydantic's ValidationError or BadInput if they define no task.
    """
    return Custom(Structure.model_validate(run[FAMILY]))
