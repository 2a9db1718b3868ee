"""`trm adapt`: what it prints, sets of tasks in a folder, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adapt_cases import MIRROR, RECOLOUR, TWICE, few
from arc_cases import TASK, grid, write
from conftest import Call

from trm.adapt import run as adapt_run
from trm.adapt.learn import AdaptSettings, adapt
from trm.arc.votes import check_submission
from trm.tasks.arc.text import ArcTask, Pair, read_tasks


def test_one_task(call: Call, tmp_path: Path) -> None:
    write(tmp_path, (TASK, MIRROR))
    result = call(*few(str(tmp_path / "mirror.json")))
    assert result.code == 0
    assert "attempt 1: " in result.out
    assert "test 1: attempt 1 with confidence " in result.out
    result = call(*few(str(tmp_path / "mirror.json")), "--json")
    data = json.loads(result.out)
    assert (result.code, data["task"], len(data["models"]), data["models"][0]["updates"]) == (0, "mirror", 1, 3)
    assert all(0 <= sure <= 1 for sure in data["confidence"][0])
    assert data["solved"] in (True, False)


def test_where_no_size_rule_holds_the_size_is_drawn(call: Call, tmp_path: Path) -> None:
    question = grid("00", "00")
    pairs = tuple(Pair(question, np.zeros(size, np.uint8)) for size in ((3, 5), (7, 2), (1, 9)))
    write(tmp_path / "data", (ArcTask("odd", pairs, (Pair(question, None),)),))
    result = call("adapt", str(tmp_path / "data" / "odd.json"), "--updates", "30", "--models", "1", "-q")
    assert result.code == 0
    assert "test 1: attempt 1 with confidence" in result.out
    assert "by heart (drawn);" in result.out


def test_a_set_is_gone_on_with(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = write(tmp_path / "data", (RECOLOUR, MIRROR, TWICE)), tmp_path / "out"
    asked: list[str] = []

    def adapted(task: ArcTask, settings: AdaptSettings) -> Any:
        asked.append(task.id)
        return adapt(task, settings)

    monkeypatch.setattr(adapt_run, "adapt", adapted)
    arguments = [*few(str(data)), "--all", "--out", str(out)]
    first = call(*arguments)
    assert (first.code, asked) == (0, ["mirror", "recolour", "twice"])
    assert "3 tasks; " in first.out
    assert "pass@2: " in first.out
    attempts = check_submission(json.loads((out / "submission.json").read_text()), read_tasks(data))
    assert {id: len(tests) for id, tests in attempts.items()} == {"mirror": 1, "recolour": 1, "twice": 1}
    (out / "tasks" / "recolour.json").unlink()
    second = call(*arguments)
    assert asked[3:] == ["recolour"]
    assert second.out == first.out
    assert "2 of 3 tasks are done already" in second.err
    sampled = call(*few(str(data)), "--all", "--out", str(out), "--limit", "2")
    assert "2 tasks; " in sampled.out
    assert asked[4:] == []

    refused = call("adapt", str(data), "--all", "--out", str(out), "--updates", "3", "--models", "1")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "mirror.json was made with updates=2, not 3; give another --out" in refused.err
    newer = json.loads((out / "tasks" / "mirror.json").read_text())
    newer["settings"]["later"] = 1
    (out / "tasks" / "mirror.json").write_text(json.dumps(newer))
    assert "was made with later=1, not None; give another --out" in call(*arguments).err
    (out / "tasks" / "mirror.json").write_text("{")
    broken = call(*arguments)
    assert (broken.code, len(broken.err.splitlines())) == (2, 1)
    assert "mirror.json is not a result of trm adapt" in broken.err


def test_a_set_that_an_earlier_version_began_goes_on(call: Call, tmp_path: Path) -> None:
    """Its files say `steps` for updates, and nothing else is different."""
    data, out = write(tmp_path / "data", (MIRROR, TWICE)), tmp_path / "out"
    arguments = [*few(str(data)), "--all", "--out", str(out)]
    first = call(*arguments)
    file = out / "tasks" / "mirror.json"
    new = json.loads(file.read_text())
    old = json.loads(file.read_text())
    assert (old["settings"].pop("updates"), old["models"][0].pop("updates")) == (2, 3)
    old["settings"]["steps"], old["models"][0]["steps"] = 2, 3
    file.write_text(json.dumps(old))
    (out / "tasks" / "twice.json").unlink()
    second = call(*arguments)
    assert (second.code, second.out) == (0, first.out)
    assert "1 of 2 tasks are done already" in second.err
    assert json.loads(file.read_text()) == old  # not done again
    shown = json.loads(call(*few(str(data / "mirror.json")), "--out", str(out), "--json").out)
    assert {name: shown[name] for name in new} == new
    old["settings"]["steps"] = 4
    file.write_text(json.dumps(old))
    assert "mirror.json was made with updates=4, not 2; give another --out" in call(*arguments).err


def test_the_old_name_of_updates(call: Call, tmp_path: Path) -> None:
    write(tmp_path, (MIRROR,))
    arguments = ["adapt", str(tmp_path / "mirror.json"), "--models", "1", "--json"]
    new, old = call(*arguments, "--updates", "2"), call(*arguments, "--steps", "2")
    assert (new.code, old.code, new.err, old.err) == (0, 0, "", "trm: --steps is now --updates\n")
    told = [
        {name: part for name, part in json.loads(one.out).items() if name not in ("seconds", "moments")}
        for one in (new, old)
    ]
    assert told[0] == told[1]
    both = call(*arguments, "--updates", "2", "--steps", "2")
    assert (both.code, both.out, both.err) == (
        2,
        "",
        "trm: --steps is the old name of --updates; give --updates alone\n",
    )
    assert "--steps" not in call("adapt", "--help").out


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.json"], "missing.json"),
        (["bad.json"], "train pair 1, input: row 1, column 2: 12 is no colour"),
        (["both.json"], "holds 2 tasks; give a file with one task, or --all"),
        (["one.json", "--all"], "--out DIR"),
        (["one.json", "--out", "one.json"], "cannot make the folder one.json/tasks"),
        (["one.json", "--limit", "3"], "--limit works only with --all"),
        (["one.json", "--procs", "3"], "--procs works only with --all"),
        (["one.json", "--all", "--out", "x", "--plot", "x.png"], "--plot draws one task"),
        (["one.json", "--plot", "."], ". is a folder; name a file"),
        (["one.json", "--plot", "one.json/x.png"], "cannot write one.json/x.png"),
        (["one.json", "--seconds", "inf"], "--seconds must be finite"),
        ([".", "--all", "--out", "out"], "out lies in the folder of the data, .;"),
        (["arc-agi-1"], "arc-agi-1 is a set of tasks: give --all and --out DIR, or arc-agi-1:ID for one task"),
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
