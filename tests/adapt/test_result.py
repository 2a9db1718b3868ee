"""The file of a result."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from adapt_cases import MIRROR, SMALL
from arc_cases import grid

from trm.adapt.learn import Adaptation, Fit, Moment
from trm.adapt.result import Result, is_solved, make_folder, read_result, result_path, write_result
from trm.arc.votes import Votes
from trm.errors import BadInput
from trm.tasks.arc.text import ArcTask, Pair

SETTINGS = replace(SMALL, updates=7)


def result(task: ArcTask) -> Result:
    """Three votes: two for the right answer, with the lower confidences, and one for another grid."""
    answer = task.test[0].answer
    assert answer is not None
    right, wrong = (bytes(one.shape) + one.tobytes() for one in (np.ascontiguousarray(answer), grid("12")))
    votes = Votes({task.id: [{wrong: [0.9], right: [0.25, 0.5]}]})
    moments = [Moment(0.514, [[grid("12")]]), Moment(1.2, [[answer, grid("12")]])]
    return Result.of(task, Adaptation(votes, [Fit("a canvas", 7, 0.5, True)], 1.234, moments), SETTINGS)


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    made = result(MIRROR)
    make_folder(tmp_path)
    assert read_result(tmp_path, MIRROR, SETTINGS) is None
    write_result(tmp_path, made)
    assert read_result(tmp_path, MIRROR, SETTINGS) == made
    data = json.loads(result_path(tmp_path, "mirror").read_text())
    assert (data["format"], data["seconds"], data["settings"]) == (2, 1.23, asdict(SETTINGS))
    assert data["models"] == [{"canvas": "a canvas", "updates": 7, "loss": 0.5, "known": True}]


def test_attempts_are_ranked_by_votes() -> None:
    made, answer = result(MIRROR), MIRROR.test[0].answer
    assert answer is not None
    assert [attempt.tolist() for attempt in made.attempts()[0]] == [answer.tolist(), [[1, 2]]]
    assert made.confidence() == [[0.25, 0.3]]  # of three votes
    assert is_solved(MIRROR, made)
    question = MIRROR.test[0].question
    assert is_solved(ArcTask("mirror", MIRROR.train, (Pair(question, grid("9")),)), made) is False
    assert is_solved(ArcTask("mirror", MIRROR.train, (Pair(question, None),)), made) is None


def test_a_file_of_an_earlier_version_is_the_same_result(tmp_path: Path) -> None:
    """It says `steps` for updates."""
    made = result(MIRROR)
    data = json.loads(made.model_dump_json())
    for part in (data["settings"], *data["models"]):
        part["steps"] = part.pop("updates")
    make_folder(tmp_path)
    result_path(tmp_path, "mirror").write_text(json.dumps(data))
    assert read_result(tmp_path, MIRROR, SETTINGS) == made
    with pytest.raises(BadInput, match=r"mirror\.json was made with updates=7, not 8; give another --out"):
        read_result(tmp_path, MIRROR, replace(SETTINGS, updates=8))


@pytest.mark.parametrize(
    ("found", "damaged"),
    [
        ('"tests":', '"test":'),
        ('"format":2', '"format":3'),
        ('"known":true', '"known":"perhaps"'),
        ("[[1,2]]", "[[1,12]]"),
        ("{", ""),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, found: str, damaged: str) -> None:
    make_folder(tmp_path)
    text = result(MIRROR).model_dump_json()
    assert found in text
    result_path(tmp_path, "mirror").write_text(text.replace(found, damaged))
    with pytest.raises(BadInput, match=r"mirror\.json is not a result of trm adapt"):
        read_result(tmp_path, MIRROR, SETTINGS)
