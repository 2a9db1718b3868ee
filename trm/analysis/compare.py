"""Models side by side on the same rows: what each gets right, what it costs, and whether a difference may be chance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from trm.analysis.records import Record
from trm.errors import BadInput
from trm.statistics import Paired, paired
from trm.tasks.base import Bools, Ints


@dataclass(frozen=True)
class ComparedModel:
    """A record with what is known of its model. Of a language model only the name is known."""

    name: str
    source: str  # the argument that named it
    record: Record
    group: str  # the same for runs whose settings differ only in the seed
    seed: int | None = None
    parameters: int | None = None  # without the table of puzzle embeddings
    step_flops: int | None = None  # for one supervision step on one puzzle
    training_seconds: float | None = None
    training_flops: int | None = None


@dataclass(frozen=True)
class ModelGroup:
    """One model, or several that differ only in their seed, on the common rows."""

    name: str
    models: tuple[ComparedModel, ...]
    exact: Bools  # [seeds, steps, rows]
    valid: Bools  # [seeds, steps, rows]
    halted: Ints  # [seeds, rows], the step at which the model first said that it was done
    test: Paired | None = None  # against the first group, which has none itself

    @property
    def steps(self) -> int:
        return len(self.exact[0])

    @property
    def parameters(self) -> int | None:
        return self.models[0].parameters

    @property
    def step_flops(self) -> int | None:
        """FLOPs of one supervision step on one puzzle."""
        return self.models[0].step_flops

    @property
    def training_seconds(self) -> float | None:
        """Training time, as a mean over seeds."""
        return mean_if_known([model.training_seconds for model in self.models])

    @property
    def training_flops(self) -> float | None:
        """FLOPs of training, as a mean over seeds."""
        return mean_if_known([model.training_flops for model in self.models])

    def exact_at_end(self) -> Bools:
        """[seeds, rows]: right after the last step."""
        return self.exact[:, -1]

    def exact_at_halt(self) -> Bools:
        """[seeds, rows]: right at the step where the model first said that it was done."""
        return np.take_along_axis(self.exact, self.halted[:, None] - 1, axis=1)[:, 0]


@dataclass(frozen=True)
class Comparison:
    """Groups of models on common rows; the first group is the reference."""

    groups: tuple[ModelGroup, ...]
    task: str
    data: tuple[str, ...]  # where the rows come from, as the records name it
    rows: int  # in common
    largest: int  # rows of the largest record
    steps: int  # of the longest record


def mean_if_known(values: Sequence[float | None]) -> float | None:
    """The mean; None unless all values are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def compare(models: Sequence[ComparedModel]) -> Comparison:
    """Match rows, group runs that differ in their seed, and test every group against the first.

    Raises BadInput where the models have no row in common.
    """
    rows = common_rows([model.record for model in models])
    if not rows:
        raise BadInput(
            "the models have no row in common; evaluate all, language models too, with the same --data, --skip, --limit"
        )
    members: dict[str, list[ComparedModel]] = {}
    for model in models:
        members.setdefault(model.group, []).append(model)
    names = group_names(list(members.values()))
    groups = [make_group(name, group, rows) for name, group in zip(names, members.values(), strict=True)]
    reference = groups[0].exact_at_end()
    tested = [replace(group, test=paired(group.exact_at_end(), reference)) for group in groups[1:]]
    return Comparison(
        groups=(groups[0], *tested),
        task=models[0].record.task,
        data=tuple(dict.fromkeys(model.record.data for model in models)),
        rows=len(rows),
        largest=max(len(model.record.rows) for model in models),
        steps=max(group.steps for group in groups),
    )


def common_rows(found: Sequence[Record]) -> list[str]:
    """Digests of the rows that all records have, each once, in the order of the first record."""
    shared = set(found[0].rows).intersection(*(record.rows for record in found))
    return [row for row in dict.fromkeys(found[0].rows) if row in shared]


def make_group(name: str, models: list[ComparedModel], rows: list[str]) -> ModelGroup:
    """The models' flags on `rows`, which are digests. Where a record has a row twice, the first one counts."""
    exact, valid, halted = [], [], []
    for model in models:
        record = model.record
        place = {row: at for at, row in reversed(list(enumerate(record.rows)))}
        picked = [place[row] for row in rows]
        exact.append(record.exact_flags()[:, picked])
        valid.append(record.valid_flags()[:, picked])
        halted.append(np.array(record.halted)[picked])
    return ModelGroup(name, tuple(models), np.stack(exact), np.stack(valid), np.stack(halted))


def group_names(groups: list[list[ComparedModel]]) -> list[str]:
    """A name for each group. Several seeds get the common beginning of their names: `wide (2 seeds)` for wide-0, -1."""
    names = []
    for group in groups:
        name = group[0].name
        if len(group) > 1:
            columns = zip(*(model.name for model in group), strict=False)
            start = "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, columns))
            name = re.sub(r"((^|[-_.])(seed|s))?[-_.]*\d*$", "", start) or group[0].record.name
            same = len({model.seed for model in group}) < len(group)
            name += f" ({len(group)} {'runs' if same else 'seeds'})"
        names.append(name)
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [f"{name} ({group[0].source})" if name in twice else name for name, group in zip(names, groups, strict=True)]
