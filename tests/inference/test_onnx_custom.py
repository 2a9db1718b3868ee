"""Exported files of custom tasks: they hold the definition of the task, so that nothing else is needed to solve."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from conftest import Call, refused

import trm
from trm import store
from trm.errors import BadInput
from trm.models import ModelConfig, build
from trm.store.onnx_export import export_onnx
from trm.store.seals import UNSEALED, sealed
from trm.tasks.custom.family import FAMILY
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom

TASK = Custom(Structure.model_validate(
    {"groups": [["rows", "columns"]], "blank": 0, "shape": [3, 3], "values": [0, 5, 7, 11]}
))  # fmt: skip
PUZZLES = ["5 . .\n. . 11\n. 7 .", ". " * 9, "11 7 . . . . . . ."]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, exported too: tracing takes seconds."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    # With `groups` numbers may be equally likely to an untrained model, and rounding would decide.
    config = ModelConfig(mixer="relations", width=8, layers=1, multiple=8, T=1, n=1, positions="none")
    run = {"task": "custom", "custom": TASK.structure.model_dump(mode="json"), "max_steps": 4}
    store.save_model(folder / "run", build(config, TASK.spec), config, TASK.spec, "latin", {"run": run})
    export_onnx(str(folder / "run"), folder / "latin.onnx")
    return folder


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Iterator[Path]:
    """The model's folder; the task is not known by its name."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    FAMILY.tasks.clear()
    yield tmp_path / "run"
    FAMILY.tasks.clear()


@pytest.fixture
def file(model: Path) -> Path:
    return model.with_name("latin.onnx")


def test_it_solves_as_torch_does(model: Path, file: Path, call: Call) -> None:
    solver = trm.Solver("custom", str(file), backend="onnx", steps=5)
    again = pickle.loads(pickle.dumps(solver))
    answers = [one.solve_many(PUZZLES) for one in (solver, again, trm.Solver("custom", model, steps=5, restarts=0))]
    for here, there, torch_answer in zip(*answers, strict=True):
        assert (here.grid == torch_answer.grid).all()
        assert (there.grid == here.grid).all()
        assert here.confidence == pytest.approx(torch_answer.confidence, abs=1e-5)
        assert here.steps == torch_answer.steps
    assert set(np.unique([answer.grid for answer in answers[0]])) <= {0, 5, 7, 11}
    FAMILY.tasks.clear()
    done = call("solve", "custom", PUZZLES[0], "--weights", str(file), "--backend", "onnx", "--steps", "5", "--json")
    (found,) = json.loads(done.out)["answers"]
    assert found["grid"] == answers[0][0].grid.tolist()
    beside = json.loads(file.with_suffix(".json").read_text())
    assert Structure.model_validate(beside["definition"]) == TASK.structure
    assert beside["values"] == ["", ".", "5", "7", "11"]


def test_files_of_other_tasks_are_refused(file: Path, call: Call) -> None:
    name = json.loads(file.with_suffix(".json").read_text())["task"]
    assert trm.Solver(name, str(file), backend="onnx").task == name
    with pytest.raises(BadInput, match="exported for custom-3x3"):
        trm.Solver("sudoku", str(file), backend="onnx").solve("1234341221434321")
    refused(
        call("solve", "custom", PUZZLES[0], "--weights", str(file)), "is an exported file: trm solve --backend onnx"
    )
    refused(call("solve", "custom", PUZZLES[0], "--weights", "maze", "--backend", "onnx"), "solves maze, not custom")


@pytest.mark.parametrize(
    "change", [{"values": [0, 1, 2]}, {"values": [0, 1, 2, 3]}, {"shape": [3, 4]}, {"no": 1}, [1], {"first_token": 200}]
)
def test_a_definition_of_another_task_is_refused(file: Path, change: Any) -> None:
    graph = onnx.load(file)
    (entry,) = [entry for entry in graph.metadata_props if entry.key == "trm"]
    about = json.loads(entry.value)
    if change == {"first_token": 200}:
        about |= change
    else:
        about["definition"] = {**about["definition"], **change} if isinstance(change, dict) else change
    entry.value = json.dumps(about | {"file_sha256": UNSEALED})
    file.write_bytes(sealed(graph.SerializeToString(deterministic=True)))
    with pytest.raises(BadInput, match="not a file that `trm export` wrote, or a damaged one"):
        trm.Solver("custom", str(file), backend="onnx")
