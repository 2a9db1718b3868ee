"""Tasks of one's own in the API of `trm serve`: what is offered, and reading, solving and watching their puzzles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from conftest import Call
from custom_cases import LATIN, RULE, TASK, write_model
from serving import Served, events, serving

import trm
from trm.errors import BadInput
from trm.serve import Limits, create_app, load_solvers
from trm.serve.checking import answer_faults
from trm.serve.examples import SHOWN, own_examples
from trm.serve.offers import offer
from trm.tasks import get_task
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom

ROWS = [[5, 0, 0], [0, 0, 11], [0, 7, 0]]
SQUARE = np.array([[5, 7, 11], [7, 11, 5], [11, 5, 7]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models. The pairs that the first one learned from are still there."""
    folder = tmp_path_factory.mktemp("own")
    answer = np.stack([SQUARE] * 30)
    np.savez(folder / "pairs.npz", question=np.where(np.arange(9).reshape(3, 3) % 2, 0, answer), answer=answer)
    signs = {"signs": {5: "V"}, "colours": {7: "#ff0000"}}
    shown = Custom(Structure.model_validate({**LATIN, "shape": [3, 3], "values": [0, 5, 7, 11], **signs}))
    assert shown.spec.name == TASK.spec.name  # the same task, whatever its numbers look like
    write_model(folder / "My Latin", shown, data=str(folder / "pairs.npz"))
    write_model(folder / "rule", RULE, data=str(folder / "gone.npz"))
    return folder


@pytest.fixture(scope="module")
def solvers(folder: Path) -> dict[str, trm.Solver]:
    found = load_solvers([str(folder / "My Latin"), str(folder / "rule")])
    assert [*found] == ["my-latin", "rule", "sudoku", "maze"]
    return {name: solver for name, solver in found.items() if name in ("my-latin", "rule")}


@pytest.fixture(scope="module")
def served(solvers: dict[str, trm.Solver]) -> Iterator[Served]:
    with serving(solvers) as running:
        yield running


def test_what_is_offered(served: Served) -> None:
    tasks = {task["name"]: task for task in served.get("/api/tasks").json()["tasks"]}
    assert [(task["name"], task["kind"]) for task in tasks.values()] == [
        ("sudoku", "sudoku"), ("maze", "maze"), ("my-latin", "grid"), ("rule", "grid"), ("arc", "arc")
    ]  # fmt: skip
    latin, rule = tasks["my-latin"], tasks["rule"]
    assert latin["values"] == [
        {"value": 0, "text": "", "colour": ""},
        {"value": 5, "text": "V", "colour": ""},
        {"value": 7, "text": "7", "colour": "#ff0000"},
        {"value": 11, "text": "11", "colour": ""},
    ]
    assert (latin["blank"], latin["symbols"], latin["checkable"], latin["sizes"]) == (0, [5, 7, 11], True, [[3, 3]])
    assert [value["value"] for value in rule["values"]] == [0, 1, 400]
    assert (rule["blank"], rule["symbols"], rule["checkable"], rule["sizes"]) == (None, [], False, [[2, 3]])
    assert (latin["weights"], rule["weights"]) == ("my-latin", "rule")


def test_examples_are_those_it_was_trained_on(served: Served, folder: Path) -> None:
    shown = [one for one in served.get("/api/examples").json() if one["task"] in ("my-latin", "rule")]
    question = np.load(folder / "pairs.npz")["question"]
    assert shown == [{"task": "my-latin", "name": "pairs.npz", "puzzle": one.tolist()} for one in question[:SHOWN]]


def test_examples_from_a_file(solvers: dict[str, trm.Solver], folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "more.npz", question=SQUARE[None] * 0, answer=SQUARE[None])
    with serving(solvers, shown={"my-latin": str(tmp_path / "more.npz")}) as running:
        (mine,) = [one for one in running.get("/api/examples").json() if one["task"] == "my-latin"]
    assert mine == {"task": "my-latin", "name": "more.npz", "puzzle": (SQUARE * 0).tolist()}
    with pytest.raises(BadInput, match="No such file"):
        create_app(solvers, shown={"my-latin": str(tmp_path / "none.npz")})
    with pytest.raises(BadInput, match="examples of chess: no such model; there are my-latin, rule"):
        create_app(solvers, shown={"chess": str(tmp_path / "more.npz")})


@pytest.mark.parametrize(
    "puzzle", [ROWS, "5 . .\n. . 11\n. 7 .", ["5 0 0", "0 0 11", "0 7 0"], json.dumps(ROWS)], ids=str
)
def test_answers_are_those_of_python(served: Served, solvers: dict[str, trm.Solver], puzzle: Any) -> None:
    expected = solvers["my-latin"].solve(ROWS, steps=4)
    found = served.post("solve", {"task": "my-latin", "puzzle": puzzle, "steps": 4}).json()
    assert found["grid"] == expected.grid.tolist()
    assert (found["solved"], found["steps"], found["weights"]) == (expected.solved, expected.steps, "my-latin")
    assert found["confidence"] == pytest.approx(expected.confidence, abs=1e-6)
    checked = served.post("check", {"task": "my-latin", "puzzle": puzzle}).json()
    assert (checked["ok"], checked["grid"]) == (True, ROWS)


def test_every_step_is_watched(served: Served, solvers: dict[str, trm.Solver]) -> None:
    body = {"task": "my-latin", "puzzle": ROWS, "steps": 3, "until": "end"}
    *steps, (last, answer) = events(served.post("watch", body).text)
    assert [name for name, _ in steps] == ["step"] * 3
    assert last == "answer"
    expected = solvers["my-latin"].solve(ROWS, steps=3, until="end")
    for (_, step), true in zip(steps, expected.trace, strict=True):
        assert step["grid"] == true.grid.tolist()
        np.testing.assert_allclose(step["candidates"], true.probabilities, atol=6e-4)
    assert answer["grid"] == expected.grid.tolist()


def test_without_rules_the_model_says_when_it_is_done(served: Served, solvers: dict[str, trm.Solver]) -> None:
    puzzle = [[0, 1, 400], [0, 0, 1]]
    body = {"task": "rule", "puzzle": puzzle, "steps": 5}
    expected = solvers["rule"].solve(puzzle, steps=5)
    assert solvers["rule"].thinking.until == "sure"
    found = served.post("solve", body).json()
    assert (found["grid"], found["steps"]) == (expected.grid.tolist(), expected.steps)
    assert found["solved"] == (found["confidence"] > 0.5)
    step = events(served.post("watch", body).text)[0][1]
    assert step["candidates"] is None


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"puzzle": [[5, 6, 0], [0] * 3, [0] * 3]}, 422, "r1c2 is 6, which is not one of the task's numbers"),
        ({"puzzle": [[5, 5, 0], [0] * 3, [0] * 3]}, 422, "both 5"),
        ({"puzzle": [[5, 0, 0]]}, 422, "3x3"),
        ({"puzzle": "5 7"}, 422, "2 numbers"),
        ({"puzzle": "5 . . . . . . . .\n7 . . . . . . . ."}, 422, "there are 2 puzzles"),
        ({"puzzle": [[-1]]}, 400, "row 1, column 1"),
        ({"puzzle": [[True]]}, 400, "row 1, column 1"),
        ({"puzzle": [[[1, 0], [0, 0]]]}, 400, "row 1, column 1: a cell is one number, not a list"),
        ({"puzzle": {}}, 400, "a puzzle is text, lines of text, or rows of numbers"),
        ({"task": "latin"}, 400, "'my-latin', 'rule'"),
        ({"steps": 0}, 400, "steps"),
    ],
    ids=str,
)
def test_what_is_refused(served: Served, change: dict[str, Any], status: int, words: str) -> None:
    body = {"task": "my-latin", "puzzle": ROWS, **change}
    for path in ("solve", "watch"):
        refused = served.post(path, body)
        assert refused.status_code == status
        message = refused.json()["message"]
        assert words in message
        assert "\n" not in message
    checked = served.post("check", body)
    assert (checked.status_code, words in checked.json()["message"]) == (200 if status == 422 else status, True)


def test_the_description_names_the_tasks(served: Served) -> None:
    schemas = served.get("/api/openapi.json").json()["components"]["schemas"]
    jsonschema.Draft202012Validator.check_schema(schemas["GridQuestion"])
    assert schemas["GridQuestion"]["properties"]["task"]["enum"] == ["my-latin", "rule"]
    with serving({}) as plain:
        assert "GridQuestion" not in plain.get("/api/openapi.json").json()["components"]["schemas"]


def test_cells_at_fault_are_named(served: Served, solvers: dict[str, trm.Solver]) -> None:
    task = get_task(solvers["my-latin"].task)
    numbers = [0, 5, 7, 11]
    question, answer = (
        np.array([1 + numbers.index(number) for row in rows for number in row], np.uint8)
        for rows in (ROWS, [[7, 5, 5], [7, 11, 0], [11, 7, 5]])
    )
    found = {(fault.row, fault.column): fault.message for fault in answer_faults(task, question, answer)}
    again = "occurs more than once in a group"
    assert found == {
        (1, 1): "5 was given here", (2, 3): "11 was given here",
        (1, 2): f"5 {again}", (1, 3): f"5 {again}", (2, 1): f"7 {again}", (3, 3): f"5 {again}",
    }  # fmt: skip
    assert answer_faults(task, question, task.from_grid(np.array([[5, 11, 7], [7, 5, 11], [11, 7, 5]]))) == []


def test_a_models_own_signs(folder: Path, tmp_path: Path) -> None:
    plain = write_model(tmp_path / "plain", TASK)
    tasks = offer(load_solvers([str(folder / "My Latin"), plain]), Limits()).tasks
    texts = {task.name: [value.text for value in task.values] for task in tasks if task.kind == "grid"}
    assert texts == {"my-latin": ["", "V", "7", "11"], "plain": ["", "5", "7", "11"]}


@pytest.mark.parametrize("data", [5, ["x"], None, "", "/dev/null", "."])
def test_a_strange_name_of_the_training_data_is_no_example(tmp_path: Path, data: Any) -> None:
    solvers = load_solvers([write_model(tmp_path / "latin", TASK, data=data)])
    assert [*own_examples(solvers, {})] == []


def test_a_downloaded_model_opens_no_file(folder: Path, solvers: dict[str, trm.Solver]) -> None:
    mine = solvers["my-latin"].stored
    assert mine.local
    assert [*own_examples({"latin": trm.Solver("custom", replace(mine, local=False))}, {})] == []


def test_models_that_cannot_be_served(folder: Path, tmp_path: Path) -> None:
    latin = str(folder / "My Latin")
    with pytest.raises(BadInput, match="two models for my-latin"):
        load_solvers([latin, latin])
    taken = write_model(tmp_path / "maze", RULE)
    with pytest.raises(BadInput, match="is no model for maze, and would be called so: rename its folder"):
        load_solvers([taken])


@pytest.mark.parametrize("examples", ["latin", "=x.npz", "latin="])
def test_examples_on_the_command_line(call: Call, examples: str) -> None:
    done = call("serve", "--port", "0", "--examples", examples)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "write NAME=FILE" in done.err
