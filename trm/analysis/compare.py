"""Models side by side on the same rows: what each gets right, what it costs, and whether a difference may be chance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from trm.analysis.records import Record
from trm.errors import BadInput
from trm.statistics import Paired, paired
from trm.tasks.base import Bools, Ints


@dataclass(frozen=True)
class Entry:
    """A record with what is known of its model; of a language model that is its name."""

    name: str
    source: str  # where it was found
    record: Record
    pool: str  # the same for runs whose settings differ in the seed alone
    seed: int | None = None
    weights: int | None = None  # parameters; the table of puzzle embeddings is not among them
    flops: int | None = None  # of one supervision step on one puzzle
    seconds: float | None = None  # of training
    training_flops: int | None = None


@dataclass(frozen=True)
class Line:
    """One model, or several that differ in their seed, on the common rows."""

    name: str
    entries: tuple[Entry, ...]
    exact: Bools  # [seeds, steps, rows]
    valid: Bools  # [seeds, steps, rows]
    halted: Ints  # [seeds, rows]

    @property
    def flops(self) -> int | None:
        """Of one supervision step on one puzzle."""
        return self.entries[0].flops

    def last(self) -> Bools:
        """[seeds, rows]: right after the last step."""
        return self.exact[:, -1]

    def at_halt(self) -> Bools:
        """[seeds, rows]: right at the step where the model first said so."""
        return np.take_along_axis(self.exact, self.halted[:, None] - 1, axis=1)[:, 0]

    def seconds(self) -> float | None:
        """Training time, the mean over seeds."""
        return mean_of([entry.seconds for entry in self.entries])

    def training_flops(self) -> float | None:
        return mean_of([entry.training_flops for entry in self.entries])


@dataclass(frozen=True)
class Comparison:
    """Lines on common rows; the first is the reference."""

    lines: tuple[Line, ...]
    tests: tuple[Paired | None, ...]  # of each line against the first, which has none
    task: str
    data: tuple[str, ...]  # where the rows are from, as the records name it
    rows: int  # in common
    most: int  # rows of the largest record
    steps: int


def mean_of(values: Sequence[float | None]) -> float | None:
    """None unless all are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def compare(entries: Sequence[Entry]) -> Comparison:
    """Match rows, pool seeds, test every line against the first. Raises BadInput where nothing can be compared."""
    common = common_rows([entry.record for entry in entries])
    if not common:
        raise BadInput(
            "no row is in all of them; evaluate on the same data (--data, --skip, --limit), language models too"
        )
    pools: dict[str, list[Entry]] = {}
    for entry in entries:
        pools.setdefault(entry.pool, []).append(entry)
    names = line_names(list(pools.values()))
    lines = tuple(make_line(name, pool, common) for name, pool in zip(names, pools.values(), strict=True))
    return Comparison(
        lines=lines,
        tests=(None, *(paired(line.last(), lines[0].last()) for line in lines[1:])),
        task=entries[0].record.task,
        data=tuple(dict.fromkeys(entry.record.data for entry in entries)),
        rows=len(common),
        most=max(len(entry.record.rows) for entry in entries),
        steps=max(line.exact.shape[1] for line in lines),
    )


def common_rows(found: Sequence[Record]) -> list[str]:
    """Digests of the rows that all records have, each once, in the first one's order."""
    shared = set(found[0].rows).intersection(*(record.rows for record in found))
    return [row for row in dict.fromkeys(found[0].rows) if row in shared]


def make_line(name: str, pool: list[Entry], common: list[str]) -> Line:
    exact, valid, halted = [], [], []
    for entry in pool:
        place = {row: at for at, row in reversed(list(enumerate(entry.record.rows)))}
        picked = [place[row] for row in common]
        exact.append(entry.record.right()[:, picked])
        valid.append(entry.record.obeying()[:, picked])
        halted.append(np.array(entry.record.halted)[picked])
    return Line(name, tuple(pool), np.stack(exact), np.stack(valid), np.stack(halted))


def line_names(pools: list[list[Entry]]) -> list[str]:
    """What to call each line: several seeds by what their names begin with, `wide (2 seeds)` for wide-0 and wide-1."""
    names = []
    for pool in pools:
        name = pool[0].name
        if len(pool) > 1:
            columns = zip(*(entry.name for entry in pool), strict=False)
            start = "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, columns))
            name = re.sub(r"((^|[-_.])(seed|s))?[-_.]*\d*$", "", start) or pool[0].record.name
            same = len({entry.seed for entry in pool}) < len(pool)
            name += f" ({len(pool)} {'runs' if same else 'seeds'})"
        names.append(name)
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [f"{name} ({pool[0].source})" if name in twice else name for name, pool in zip(names, pools, strict=True)]
