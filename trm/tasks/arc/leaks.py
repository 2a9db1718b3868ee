"""Which training pairs give away a test pair: the same question and answer up to the eight symmetries and colours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trm.tasks.arc.augment import DIHEDRAL, turn
from trm.tasks.arc.text import COLOURS, ArcTask, Pair


class Leak(NamedTuple):
    """Training pair `pair` of task `train` (demonstrations first, then tests; from 0) is test pair `test_pair`."""

    train: str
    pair: int
    test: str
    test_pair: int
    same: bool  # exactly so, not just up to a symmetry
    given: bool  # it is also, exactly, a demonstration of that test, so whoever is asked the question has it anyway


def canonical(pair: Pair) -> bytes:
    """The same for two pairs just when a symmetry and a permutation of all ten colours turn one into the other.

    Of the eight images, each with its colours renamed 0, 1, ... in the order in which they first appear, the smallest.
    """
    if pair.answer is None:
        raise ValueError("a pair without an answer has no canonical form")
    images = []
    for dihedral in range(len(DIHEDRAL)):
        question, answer = turn(pair.question, dihedral), turn(pair.answer, dihedral)
        cells = question.tobytes() + answer.tobytes()
        first = sorted((at, colour) for colour in range(COLOURS) if (at := cells.find(colour)) >= 0)
        names = bytearray(COLOURS)
        for name, (_, colour) in enumerate(first):
            names[colour] = name
        images.append(bytes(question.shape + answer.shape) + cells.translate(bytes(names).ljust(256, b"\0")))
    return min(images)


def find_leaks(training: Iterable[ArcTask], tested: Iterable[ArcTask]) -> list[Leak]:
    """Every pair of the training tasks, their test pairs included, that equals a test pair of the tested tasks.

    Pairs without an answer are passed over. Pass `training_tasks(...)`, or a task that is in both leaks itself.
    """
    tested = tuple(tested)
    demonstrations = {(task.id, *_exact(pair)) for task in tested for pair in task.train}
    known: dict[bytes, list[tuple[str, int, Pair]]] = defaultdict(list)
    for task in tested:
        for number, pair in enumerate(task.test):
            if pair.answer is not None:
                known[canonical(pair)].append((task.id, number, pair))
    leaks = []
    for task in training:
        for number, pair in enumerate(task.train + task.test):
            if pair.answer is not None:
                for test, test_pair, other in known.get(canonical(pair), ()):
                    same, given = _exact(pair) == _exact(other), (test, *_exact(pair)) in demonstrations
                    leaks.append(Leak(task.id, number, test, test_pair, same, given))
    return leaks


def drop_leaks(
    training: Sequence[ArcTask], tested: Sequence[ArcTask], keep: bool = False
) -> tuple[tuple[ArcTask, ...], list[Leak]]:
    """The training tasks without their leaking pairs, and the leaks; a task of which nothing is left goes too.

    Pairs that are `given` stay: a test may look like one of its own demonstrations. `keep`: the published set, in which
    all of them stay; the leaks are still told.
    """
    leaks = find_leaks(training, tested)
    if keep:
        return tuple(training), leaks
    gone = {(leak.train, leak.pair) for leak in leaks if not leak.given}
    clean = []
    for task in training:
        pairs = enumerate(task.train + task.test)
        kept = [(number < len(task.train), pair) for number, pair in pairs if (task.id, number) not in gone]
        train, test = (tuple(pair for demo, pair in kept if demo is wanted) for wanted in (True, False))
        if kept:
            clean.append(ArcTask(task.id, train, test))
    return tuple(clean), leaks


def _exact(pair: Pair) -> tuple[bytes, ...]:
    return tuple(bytes(grid.shape) + grid.tobytes() for grid in (pair.question, pair.answer) if grid is not None)
