"""`benchmarks/arc.py`: which failure a result is, the comparison with what landed, and one small run."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trm.adapt.learn import AdaptSettings, Fit
from trm.adapt.result import GridVotes, Moment, Result
from trm.tasks.arc.text import ArcTask, Pair

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import arc

RIGHT, WRONG, WRONG_TOO, TALL = [[1, 2]], [[2, 1]], [[1, 1]], [[1], [2]]


def pair() -> Pair:
    return Pair(np.array([[2, 1]], np.uint8), np.array(RIGHT, np.uint8))


TASK = ArcTask("mirror", (pair(),), (pair(), pair()))


def result(*tests: list[list[list[int]]], known: bool = True, canvas: str = "the question's size") -> Result:
    return Result(
        task=TASK.id,
        asked="",
        settings={},
        seconds=1.0,
        models=[Fit(canvas, 3, 0.1, known)],
        tests=[[GridVotes(grid=grid, confidences=[0.5] * (9 - at)) for at, grid in enumerate(test)] for test in tests],
    )


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (result([RIGHT], [WRONG, RIGHT]), "solved"),
        (result([], [], canvas="drawn"), "no size rule"),
        (result([RIGHT], [RIGHT], canvas="drawn"), "solved"),
        (result([RIGHT], [WRONG], known=False), "not learnt"),
        (result([RIGHT], [RIGHT], known=False), "solved"),
        (result([RIGHT], [TALL]), "wrong size"),
        (result([RIGHT], [WRONG, WRONG_TOO]), "wrong"),
        (result([RIGHT], [WRONG, WRONG_TOO, RIGHT]), "outvoted"),
    ],
)
def test_kinds(made: Result, expected: str) -> None:
    assert arc.kind(TASK, made) == expected


def test_when_a_task_was_solved() -> None:
    made = result([RIGHT], [RIGHT])
    moments = [
        (5, [[WRONG], [RIGHT]]),
        (7, [[RIGHT], [RIGHT]]),
        (9, [[WRONG], [RIGHT]]),
        (20, [[WRONG, RIGHT], [RIGHT]]),
    ]
    made.moments = [Moment(seconds=seconds, tests=tests) for seconds, tests in moments]
    assert arc.solved_after(TASK, made) == 20
    made.moments = made.moments[:2]
    assert arc.solved_after(TASK, made) == 7
    made.moments = made.moments[:1]
    assert arc.solved_after(TASK, made) == math.inf


def test_confidence_and_whether_first_attempts_are_right(tmp_path: Path) -> None:
    made = result([RIGHT], [WRONG, RIGHT])
    pairs = arc.first_attempts(TASK, made)
    assert [right for _, right in pairs] == [True, False]
    assert [round(sure, 3) for sure, _ in pairs] == [0.5, round(0.5 * 9 / 17, 3)]
    pytest.importorskip("matplotlib")
    arc.draw({"mirror": TASK}, {"mirror": made}, 60, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_names_what_was_won_and_lost() -> None:
    kinds = {"a": "solved", "b": "wrong", "c": "solved", "d": "not learnt", "e": "solved"}
    landed = {"a": "outvoted", "b": "solved", "c": "solved", "d": "not learnt"}
    text = arc.report(kinds, landed)
    assert text.splitlines()[0] == "3 of 5 tasks solved: 60.0% (23.1% - 88.2%)"
    assert "   1  no model learned the demonstrations by heart" in text
    assert "on 4 tasks: p = 1.000" in text
    assert "won 1: a\n  lost 1: b" in text
    assert "against" not in arc.report(kinds, {})


def test_settings_are_read_by_their_types() -> None:
    settings = arc.changed(AdaptSettings(), ["width=32", "updates=3", "lr=0.02"])
    assert (settings.width, settings.updates, settings.lr) == (32, 3, 0.02)
    with pytest.raises(SystemExit, match="no setting depth; choose one of seconds"):
        arc.changed(AdaptSettings(), ["depth=2"])
    with pytest.raises(SystemExit, match=r"width=wide: .* valid integer"):
        arc.changed(AdaptSettings(), ["width=wide"])


def test_a_run_that_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two tasks, one update each: the second command runs nothing, and what it lands is what the first one printed."""
    tasks = [ArcTask(name, (pair(), pair()), (pair(),)) for name in ("one", "two")]
    monkeypatch.setattr(arc, "samples", lambda name: tasks)
    monkeypatch.setattr(arc, "LANDED", tmp_path / "landed.json")

    def run(*more: str) -> str:
        given = ["arc.py", "--out", str(tmp_path / "out"), "--set", "updates=1", "--set", "models=1", *more]
        monkeypatch.setattr(sys, "argv", given)
        arc.main()
        return capsys.readouterr().out

    first = run()
    assert "2/2 two: " in first
    assert first.endswith(run("--land"))
    record: dict[str, Any] = json.loads((tmp_path / "landed.json").read_text())
    assert set(record["60"]["tasks"]) == {"one", "two"}
    assert "on 2 tasks: p = 1.000" in run("--table")
