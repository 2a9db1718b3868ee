"""The ARC tool, and the child process that it works in."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Generator
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from conftest import children

from trm.adapt import child
from trm.adapt.child import adapt_in_child
from trm.adapt.result import Result
from trm.errors import BadInput, TrmError
from trm.tasks.arc.text import ArcTask, parse
from trm.tools import ArcSolution, Progress, Stopped, call, functions

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


MAZE = "S..\n.#.\n..G"


PAIR = {"input": [[1]], "output": [[1]]}


def arc_task(count: int = 1) -> dict[str, object]:
    """A task of copying the question. The answer given for the test is wrong, and must not be used."""
    grids = [[[1, 2, 3], [4, 0, 0], [0, number, 0]] for number in range(4)]
    tests = [{"input": [[5, 1], [0, 2]], "output": [[9, 9], [9, 9]]}] * count
    return {"train": [{"input": grid, "output": grid} for grid in grids], "test": tests}


def test_arc_attempts_are_unchecked_and_see_no_answer() -> None:
    found = call("solve_arc", {"task": json.dumps(arc_task(2)), "seconds": 12})
    assert isinstance(found, ArcSolution)
    assert (found.solved, found.valid) == (False, True), found
    assert [attempts[0].grid for attempts in found.attempts] == [[[5, 1], [0, 2]]] * 2
    assert all(len(attempts) <= 2 and 0 < attempts[0].confidence <= 1 for attempts in found.attempts)
    assert 0 < found.models_that_know <= found.models
    assert found.message.startswith("Not checked: ")
    assert "Test 2, attempt 1, confidence" in found.text
    assert "\n51\n02" in found.text


def test_an_arc_task_without_a_rule_for_the_size() -> None:
    odd = [[[1]], [[1, 1]], [[1], [1]]]
    task = {"train": [{"input": [[1, 2], [3, 4]], "output": grid} for grid in odd], "test": [{"input": [[1, 2]]}]}
    found = call("solve_arc", {"task": json.dumps(task), "seconds": 5})
    assert isinstance(found, ArcSolution)
    assert found.models > 0
    assert len(found.attempts) == 1
    assert found.valid is (found.models_that_know > 0 and bool(found.attempts[0]))


@pytest.mark.parametrize("form", ["object", "fence", "twice"])
def test_an_arc_task_in_the_forms_that_models_give(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def adapt(task: ArcTask, seconds: float, in_all: bool) -> Generator[object, None, None]:
        seen.append((task.as_dict(), seconds, in_all))
        yield from ()
        raise TrmError("enough")

    monkeypatch.setattr("trm.adapt.child.adapt_in_child", adapt)
    text = json.dumps(arc_task())
    given = {"object": arc_task(), "fence": f"```json\n{text}\n```", "twice": json.dumps(text)}[form]
    with pytest.raises(TrmError, match="enough"):
        call("solve_arc", {"task": given})
    assert seen == [(arc_task(), 40, True)]


def test_the_time_to_start_counts() -> None:
    """The child trains for what is left, and reports the whole: more than an import of torch takes, and little more."""
    told = list[Progress]()
    task = parse(json.dumps(arc_task()))[0]
    *_, alone = adapt_in_child(task, 0.1)
    *_, whole = adapt_in_child(task, 0.1, in_all=True)
    assert isinstance(alone, Result)
    assert isinstance(whole, Result)
    assert whole.seconds > alone.seconds + 0.3
    found = call("solve_arc", {"task": json.dumps(arc_task()), "seconds": 0.5}, tell=told.append)
    assert isinstance(found, ArcSolution)
    assert found.seconds > 0.3
    assert {one.limit for one in told} == {0.5}
    assert told[0].doing == "starting"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "task: no task found: the object is empty"),
        ("[", "task: not"),
        (json.dumps({"a": arc_task(), "b": arc_task()}), "there are 2 tasks"),
        (json.dumps({"train": [], "test": []}), "train holds no pairs"),
        (json.dumps(arc_task(11)), "task: there are 11 tests in this task; at most 10 are accepted"),
        (
            json.dumps({**arc_task(), "train": [PAIR] * 31}),
            "task: there are 31 demonstrations in this task; at most 30 are accepted",
        ),
    ],
)
def test_what_is_no_arc_task_is_said(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        call("solve_arc", {"task": text})
    assert "\n" not in str(caught.value)


def test_adapting_apart_can_be_stopped_and_leaves_nothing_behind() -> None:
    work = adapt_in_child(parse(json.dumps(arc_task()))[0], 200.0)
    reports = [next(work) for _ in range(3)]
    assert reports[0] == child.Progress(0.0, "starting")
    assert len(children()) == 1
    work.close()
    assert children() == []


def test_adapting_apart_runs_nothing_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "torch", "trm"):
        (tmp_path / f"{name}.py").write_text(f"open('{name} was run', 'w').close()\nraise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    work = adapt_in_child(parse(json.dumps(arc_task()))[0], 200.0)
    reports = [next(work) for _ in range(2)]
    work.close()
    assert isinstance(reports[1], tuple)  # the child has imported everything and started
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py"] == []


def test_work_ends_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, steps = Event(), iter(range(9))
    stop.set()
    monkeypatch.setattr(functions, "load_solver", lambda *_: SimpleNamespace(watch=lambda *_, **__: steps))
    asked = {
        "solve_maze": {"puzzle": MAZE},
        "solve_sudoku": {"puzzle": EASY},
        "solve_arc": {"task": json.dumps(arc_task())},
    }
    for name, arguments in asked.items():
        with pytest.raises(Stopped):
            call(name, arguments, stop)
    assert next(steps) == 2  # one was taken for each puzzle
    assert children() == []


def test_adapting_that_dies_is_an_error() -> None:
    work = adapt_in_child(parse(json.dumps(arc_task()))[0], 200.0)
    next(work)
    os.kill(children()[0], signal.SIGKILL)
    with pytest.raises(TrmError, match="has died"):
        list(work)
