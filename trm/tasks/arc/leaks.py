"""Training pairs that give away a test pair: the same question and answer up to the eight symmetries and colours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trm.tasks.arc.augment import DIHEDRAL, turn
from trm.tasks.arc.text import COLOURS, ArcTask, Pair


class Leak(NamedTuple):
    """Pair `pair` of training task `train` equals test pair `test_pair` of task `test`, up to a symmetry."""

    train: str  # id of a task
    pair: int  # from 0, demonstrations first, then tests
    test: str  # id of a task
    test_pair: int  # from 0
    same: bool  # it is exactly the same, not only up to a symmetry
    given: bool  # it is exactly a demonstration of the tested task too, which is shown with the question anyway


class TestedPair(NamedTuple):
    task: str  # its id
    number: int  # of the test pair, from 0
    pair: Pair


def canonical(pair: Pair) -> bytes:
    """Equal for two pairs exactly if a symmetry and a permutation of all ten colours turn one into the other.

    It is the smallest of the eight images, each with its colours renamed 0, 1, ... in the order of their first
    appearance. Raises ValueError for a pair without an answer.
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

    Pairs without an answer are skipped. Pass what `training_tasks` returns: otherwise a task in both sets leaks itself.
    """
    tested = tuple(tested)
    demonstrations = {(task.id, *_exact(pair)) for task in tested for pair in task.train}
    known: dict[bytes, list[TestedPair]] = defaultdict(list)
    for task in tested:
        for number, pair in enumerate(task.test):
            if pair.answer is not None:
                known[canonical(pair)].append(TestedPair(task.id, number, pair))
    leaks = []
    for task in training:
        for number, pair in enumerate(task.train + task.test):
            for test in known.get(canonical(pair), ()) if pair.answer is not None else ():
                same, given = _exact(pair) == _exact(test.pair), (test.task, *_exact(pair)) in demonstrations
                leaks.append(Leak(task.id, number, test.task, test.number, same, given))
    return leaks


class CleanTasks(NamedTuple):
    tasks: tuple[ArcTask, ...]
    leaks: list[Leak]  # those that were found, whether or not their pairs were dropped


def drop_leaks(training: Sequence[ArcTask], tested: Sequence[ArcTask], keep: bool = False) -> CleanTasks:
    """The training tasks without the pairs that leak. A task with no pairs left is dropped.

    Leaks that are `given` stay: a test may look like one of its own demonstrations. `keep`: every pair stays, as in the
    published set; the leaks are reported all the same.
    """
    leaks = find_leaks(training, tested)
    if keep:
        return CleanTasks(tuple(training), leaks)
    gone = {(leak.train, leak.pair) for leak in leaks if not leak.given}
    clean = []
    for task in training:
        pairs = enumerate(task.train + task.test)
        kept = [(number < len(task.train), pair) for number, pair in pairs if (task.id, number) not in gone]
        train, test = (tuple(pair for demo, pair in kept if demo is wanted) for wanted in (True, False))
        if kept:
            clean.append(ArcTask(task.id, train, test))
    return CleanTasks(tuple(clean), leaks)


def _exact(pair: Pair) -> tuple[bytes, ...]:
    """Equal for two pairs exactly if they are the same."""
    return tuple(bytes(grid.shape) + grid.tobytes() for grid in (pair.question, pair.answer) if grid is not None)
