"""Custom tasks whose boards may have another size than those in training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Call
from custom_cases import write_model
from serving import serving

import trm
from trm.errors import BadInput
from trm.serve import load_solvers
from trm.store import resize
from trm.tasks.custom.family import FAMILY, MOST_SIZES
from trm.tasks.custom.structure import Structure, parse
from trm.tasks.custom.task import Custom
from trm.terminal.boards import verdict

pytestmark = pytest.mark.usefixtures("forgotten")

ANY = {"any_size": True, "shape": [3, 3], "values": [0, 1, 2], "symmetries": ["turned by a quarter", "turned by half"]}
NEAR = Custom(Structure.model_validate({**ANY, "neighbours": 4}))
RNG = np.random.default_rng(0)
WIDE = RNG.integers(0, 3, (4, 5, 6))


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_model(tmp_path / "near", NEAR)


def test_grids_of_any_size_are_solved(model: str, call: Call) -> None:
    solver = trm.Solver("custom", model, steps=3, until="end")
    answers = solver.solve_many([WIDE[0], [[0, 1, 2], [1, 1, 1], [2, 0, 0]], WIDE[1].T])
    assert [answer.grid.shape for answer in answers] == [(5, 6), (3, 3), (6, 5)]
    # The network itself, at that size.
    found = trm.load(model)
    task = NEAR.sized((5, 6))
    assert {*task.structure.symmetries} == {"turned by half"}  # no square
    network = resize(found, task.spec).model
    question = torch.from_numpy(task.from_grid(WIDE[0])[None])
    state = network.start(1)
    with torch.inference_mode():
        for _ in range(3):
            output = network(state, question)
            state = output.state
    tokens = (output.logits.argmax(-1) + network.first_token).numpy().astype(np.uint8)[0]
    np.testing.assert_array_equal(tokens, answers[0].trace[-1].tokens)
    # The same as text, on the command line.
    text = "\n".join(" ".join(map(str, row)) for row in WIDE[0].tolist())
    done = call("solve", "custom", text, "--weights", model, "--steps", "3", "--json")
    assert np.shape(json.loads(done.out)["answers"][0]["grid"]) == (5, 6)
    rows = "\n".join(["0 1 2 1 1 1 2 0 0"] * 2)  # one board a line
    done = call("solve", "custom", rows, "--weights", model, "--steps", "3", "--json")
    assert [np.shape(one["grid"]) for one in json.loads(done.out)["answers"]] == [(3, 3)] * 2
    two = "0 1 2\n1 1 1\n2 0 0\n" * 2  # two boards of its own size
    done = call("solve", "custom", two, "--weights", model, "--steps", "3", "--json")
    assert [np.shape(one["grid"]) for one in json.loads(done.out)["answers"]] == [(3, 3)] * 2


def test_it_is_measured_at_the_size_of_the_file(model: str, call: Call, tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", question=WIDE, answer=WIDE)
    done = call("eval", model, "--data", str(tmp_path / "wide.npz"), "--steps", "2", "--json")
    found = json.loads(done.out)
    done = call("solve", "custom", str(tmp_path / "wide.npz"), "--weights", model, "--steps", "2", "--json")
    solved = [one["grid"] for one in json.loads(done.out)["answers"]]
    assert np.shape(solved) == WIDE.shape
    refusal = call("solve", "sudoku", str(tmp_path / "wide.npz"))
    assert (refusal.code, "an .npz file, which only custom tasks have" in refusal.err) == (2, True)
    solver = trm.Solver("custom", model, steps=2, until="end")
    right = [bool((answer.grid == true).all()) for answer, true in zip(solver.solve_many(WIDE), WIDE, strict=True)]
    assert (found["rows"], round(found["exact"][-1] * 4)) == (4, sum(right))
    assert found["task"] == NEAR.sized((5, 6)).spec.name


def test_a_server_takes_them_up_to_a_limit(model: str) -> None:
    with serving({"near": load_solvers([model])["near"]}) as served:
        body = {"task": "near", "puzzle": WIDE[0].tolist(), "steps": 1}
        assert np.shape(served.post("solve", body).json()["grid"]) == (5, 6)
        refused = served.post("solve", body | {"puzzle": [[0] * 51] * 2})
        assert (refused.status_code, "at most 50x50" in refused.json()["message"]) == (422, True)
        known = {*FAMILY.tasks, *FAMILY.sizes}
        for height in range(51, 60):
            for puzzle in ([[0] * 51] * height, "\n".join(["0 " * 51] * height)):
                assert served.post("check", body | {"puzzle": puzzle}).json()["ok"] is False
        assert {*FAMILY.tasks, *FAMILY.sizes} == known  # nothing is made for a size that is refused
        for height in range(2, 30):
            assert served.post("check", {"task": "near", "puzzle": [[0] * 7] * height}).json()["ok"]
        assert len(FAMILY.sizes) <= MOST_SIZES


def test_only_where_it_is_declared(tmp_path: Path, call: Call) -> None:
    fixed = {key: value for key, value in ANY.items() if key != "any_size"} | {"neighbours": 4}
    name = write_model(tmp_path / "fixed", Custom(Structure.model_validate(fixed)))
    with pytest.raises(BadInput, match="expected a grid of 3x3 numbers"):
        trm.Solver("custom", name).solve(WIDE[0])
    np.savez(tmp_path / "wide.npz", question=WIDE, answer=WIDE)
    done = call("eval", name, "--data", str(tmp_path / "wide.npz"))
    assert done.code == 2
    assert "grids of 5x6, but this task has 3x3; a structure with any_size = true would allow it" in done.err
    with pytest.raises(BadInput, match="any_size needs groups that any board has"):
        parse({"any_size": True, "groups": [["rows", [0, 1]]]}, "s.json")


def test_a_given_that_is_changed_is_told_where_no_rules_are_known(tmp_path: Path) -> None:
    task = Custom(Structure.model_validate({"shape": [2, 2], "values": [0, 1, 2], "blank": 0, "neighbours": 4}))
    model = write_model(tmp_path / "near", task)
    answers = trm.Solver("custom", model, steps=1).solve_many("1 1\n1 1\n\n2 2\n2 2\n\n1 2\n2 1")
    assert not all(answer.valid for answer in answers)  # the model is untrained
    for answer in answers:
        said = str(verdict(answer))
        assert ("; wrong: r" in said) != answer.valid
        assert answer.valid or "where the question gives" in said


@pytest.mark.parametrize("declared", [{"neighbours": 4}, {"groups": [["rows"]], "blank": 0}])
def test_an_answer_may_be_padding(declared: dict[str, Any]) -> None:
    """A model can say the token that is never asked for, and an untrained one does."""
    task = Custom(Structure.model_validate({"shape": [1, 3], "values": [0, 1, 2, 3], **declared}))
    question, answer = np.array([1, 2, 1], np.uint8), np.array([3, 2, 0], np.uint8)
    assert not task.valid(question[None], answer[None])[0]
    assert task.fault(question, answer) == "r1c3 is nothing"
    assert task.faults(question, answer) == [(2, "nothing")]
