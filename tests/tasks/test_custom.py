"""Custom tasks: their rules and symmetries, and that a run's folder holds all that is needed later."""

from __future__ import annotations

import itertools
import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Call
from hypothesis import given
from hypothesis import strategies as st

import trm
from trm.errors import BadInput
from trm.tasks import find_family, get_task
from trm.tasks.base import accepted
from trm.tasks.custom.family import FAMILY as CUSTOM
from trm.tasks.custom.structure import Structure, read_structure
from trm.tasks.custom.task import Custom
from trm.training.datasets import task_of
from trm.training.presets import PRESETS, custom_run

EXAMPLE = Path(__file__).parents[2] / "examples" / "latin"
RULES = {"groups": [["rows", "columns"]], "blank": 0, "interchangeable": True}
LATIN = Structure.model_validate({**RULES, "shape": [3, 3], "values": [0, 1, 2, 3]})
SQUARE = np.array([[1, 2, 3], [2, 3, 1], [3, 1, 2]])
TINY = ["width=8", "layers=1", "multiple=8", "n=1"]
ARGUMENTS = [part for setting in TINY for part in ("--set", f"model.{setting}")]
ARGUMENTS += ["--set", "batch=4", "--set", "micro=0", "--set", "max_steps=2", "--procs", "1", "--threads", "1"]


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """Tasks that a test registers, by loading a model, are forgotten after it."""
    yield
    forget()


def forget() -> None:
    """Forget all custom tasks, as if this were a new process."""
    CUSTOM.tasks.clear()


def squares(count: int, seed: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Latin squares of side 3: with some cells hidden, and complete."""
    rng = np.random.default_rng(seed)
    answer = np.array([(1 + rng.permutation(3))[SQUARE[rng.permutation(3)] - 1] for _ in range(count)])
    return np.where(rng.random(answer.shape) < 0.4, 0, answer), answer


# The task

CELLS = st.lists(st.integers(0, 3), min_size=6, max_size=6)
GROUP = st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)


@given(CELLS, st.lists(CELLS, min_size=1, max_size=4), st.lists(st.lists(GROUP, min_size=1, max_size=2), max_size=2),
       st.booleans(), st.booleans())  # fmt: skip
def test_valid_by_brute_force(
    question: list[int], answers: list[list[int]], kinds: list[list[list[int]]], blank: bool, renamed: bool
) -> None:
    content = {"shape": [2, 3], "values": [0, 1, 2, 3], "groups": kinds, "interchangeable": renamed and blank}
    task = Custom(Structure.model_validate({**content, "blank": 0 if blank else None}))
    answers = [*answers, [asked or answer for asked, answer in zip(question, answers[0], strict=True)]]
    right = []
    for answer in answers:
        good = True
        for group in itertools.chain(*kinds):
            numbers = [answer[cell] for cell in group]
            good &= len(set(numbers)) == len(numbers) and not (blank and 0 in numbers)
        if blank:
            good &= all(asked in (0, answer[cell]) for cell, asked in enumerate(question))
        if blank and renamed:
            good &= 0 not in answer
        right.append(good)
    tokens = np.array([question, *answers], np.uint8) + 1
    asked_too = np.repeat(tokens[:1], len(answers), 0)
    assert task.valid(asked_too, tokens[1:]).tolist() == right
    for answer, good in zip(tokens[1:], right, strict=True):
        fault = task.fault(tokens[0], answer)
        assert (fault is None) == good
        assert fault is None or "\n" not in fault
    assert task.checkable == bool(kinds)


def test_faults_in_words() -> None:
    task = Custom(LATIN)
    question, right = task.read("12.......\n").question[0], task.from_grid(SQUARE)
    assert task.fault(question, right) is None
    swapped = task.from_grid(SQUARE[:, [1, 0, 2]])
    assert task.fault(question, swapped) == "r1c1 is 2 where the question gives 1"
    doubled = right.copy()
    doubled[8] = right[7]
    assert task.fault(question, doubled) == "r3c2 and r3c3 of group 3 are both 1"
    doubled[8] = 1
    assert task.fault(question, doubled) == "r3c3 is blank"


NUMBERS = st.integers(0, 10**9 - 1) | st.integers(0, 12)


@given(st.sets(NUMBERS, min_size=1, max_size=9), st.integers(1, 3), st.integers(1, 3), st.data())
def test_grids_and_drawings_are_read_back(values: set[int], height: int, width: int, data: st.DataObject) -> None:
    numbers, cells = sorted(values), height * width
    blank = data.draw(st.sampled_from([None, *numbers]))
    task = Custom(Structure(shape=(height, width), values=tuple(numbers), blank=blank))
    grid = np.array(data.draw(st.lists(st.sampled_from(numbers), min_size=cells, max_size=cells)))
    grid = grid.reshape(height, width)
    tokens = task.from_grid(grid)
    np.testing.assert_array_equal(task.to_grid(tokens), grid)
    for text in (task.draw(tokens), task.to_line(tokens)):
        np.testing.assert_array_equal(task.read(text).question, tokens[None])
    assert len(set(map(len, task.draw(tokens).split("\n")))) == 1
    assert tokens.min() >= 1
    assert blank is None or ((tokens == 1) == (grid.reshape(-1) == blank)).all()


def test_a_number_is_a_whole_row_where_there_is_one_column() -> None:
    task = Custom(Structure(shape=(2, 1), values=(0, 1, 2, 12, 34)))
    for text, grids in (("12\n12", [[12, 12]]), ("12 34", [[12, 34]]), ("1\n2\n12 0", [[1, 2], [12, 0]])):
        assert [task.to_grid(row).reshape(-1).tolist() for row in task.read(text).question] == grids
    assert task.to_grid(task.read("question\n12").question[0]).tolist() == [[1], [2]]  # a field of a CSV is a grid


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ([[1, 2, 3]], "expected a grid of 3x3 numbers, not one of shape (1, 3)"),
        ([[1, 2, 3], [2, 3, 1], [3, 1, 4]], "grid: r3c3 is 4, which is not one of the task's numbers (0, 1, 2, 3)"),
        ([[1, 2, 3], [2, 3, 1], [3, 1, -1]], "grid: r3c3 is -1"),
        ([[1, 1, 0], [0, 0, 0], [0, 0, 0]], "grid, question: r1c1 and r1c2 of group 1 are both 1"),
    ],
)
def test_bad_grids(grid: list[list[int]], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        Custom(LATIN).from_grid(np.array(grid))
    assert words in str(caught.value)


def test_renaming_keeps_what_is_right() -> None:
    task, rng = Custom(LATIN), np.random.default_rng(0)
    question, answer = task.from_grid(SQUARE * (SQUARE != 2)), task.from_grid(SQUARE)
    seen = set()
    for _ in range(50):
        asked, right = task.augment(question, answer, rng)
        assert task.valid(asked[None], right[None])[0]
        assert ((asked == 1) == (question == 1)).all()
        seen.add(right.tobytes())
    assert len(seen) == 6  # all the ways to rename three numbers
    fixed = Custom(LATIN.model_copy(update={"interchangeable": False}))
    asked, right = fixed.augment(question, answer, rng)
    assert (asked.tolist(), right.tolist()) == (question.tolist(), answer.tolist())


def test_revealing_fills_in_blanks() -> None:
    task, rng = Custom(LATIN), np.random.default_rng(0)
    question, answer = task.from_grid(SQUARE * (SQUARE != 2)), task.from_grid(SQUARE)
    for share, blanks in ((0.0, 3), (0.3, 2), (1.0, 0)):
        easier = task.reveal(question, answer, share, rng)
        assert (easier == 1).sum() == blanks
        assert ((easier == question) | (easier == answer)).all()
    plain = Custom(Structure(shape=(3, 3), values=(0, 1, 2, 3)))
    np.testing.assert_array_equal(plain.reveal(question, answer, 1.0, rng), question)


def test_a_name_says_which_task_it_is() -> None:
    changes: list[dict[str, Any]] = [{}, {"interchangeable": False}, {"values": [0, 1, 2, 4]}, {"groups": []}]
    changes += [{"groups": [["rows"], ["columns"]]}, {"neighbours": 4, "groups": []}]
    content = LATIN.model_dump()
    names = {Custom(Structure.model_validate({**content, **change})).spec.name for change in changes}
    assert len(names) == 6
    assert all(name.startswith("custom-3x3-") for name in names)
    assert Custom(Structure.model_validate_json(LATIN.model_dump_json())).spec == Custom(LATIN).spec
    assert Custom(LATIN).spec.name == "custom-3x3-759add2d"  # stored models are found by it


# Runs


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("custom")
    question, answer = squares(20)
    np.savez(folder / "latin.npz", question=question, answer=answer)
    lines = [" ".join(map(str, grid.reshape(-1))) for grid in (*question, *answer)]
    rows = [f"{asked},{right}" for asked, right in zip(lines[:20], lines[20:], strict=True)]
    (folder / "latin.csv").write_text("\n".join(["question,answer", *rows]) + "\n")
    (folder / "latin.json").write_text(json.dumps({**RULES, "shape": [3, 3]}))
    board = np.random.default_rng(0).integers(0, 2, (20, 4, 5))
    np.savez(folder / "rule.npz", question=board, answer=10 * np.pad(board, ((0, 0), (0, 0), (1, 0)))[:, :, :-1] + 3)
    (folder / "near.json").write_text('{"neighbours": 4}')
    return folder


def test_a_run_is_all_one_needs(files: Path, tmp_path: Path, call: Call) -> None:
    data, run = str(files / "latin.npz"), str(tmp_path / "run")
    structure = ["--structure", str(files / "latin.json")]
    asked = ("train", "custom", "--data", data, *structure, "--updates", "2", "--out", run, *ARGUMENTS)
    asked += ("--set", "stages=custom:0.5:3:2")
    refused = call(*asked, "--set", "check_every=1")
    assert refused.code == 2
    assert re.fullmatch(r"trm: no held-out puzzles of task 'custom-3x3-\w+' to check .*check_every=0\n", refused.err)
    done = call(*asked)
    assert done.code == 0, done.err
    forget()
    for name in ("latin.npz", "latin.csv"):
        done = call("eval", run, "--data", str(files / name), "--steps", "2", "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["rows"] == 20
        assert json.loads(done.out)["task"].startswith("custom-3x3-")
        forget()
    solver = trm.Solver("custom", run, steps=2)
    answer = solver.solve([[1, 2, 3], [2, 3, 1], [0, 0, 0]])
    assert answer.grid.shape == (3, 3)
    assert set(answer.grid.reshape(-1).tolist()) <= {1, 2, 3}
    task = get_task(solver.task)
    assert answer.solved == answer.valid == bool(task.valid(answer.question[None], answer.tokens[None])[0])
    assert solver.solve("123\n231\n...").text == solver.solve("1 2 3 2 3 1 0 0 0").text == answer.text
    forget()
    done = call("solve", "custom", "1 2 3 2 3 1 . . .", "--weights", run, "--steps", "2", "--trace")
    assert done.code == int(not answer.solved)
    assert done.out.splitlines()[-1] == " ".join(map(str, answer.grid.reshape(-1)))
    forget()
    assert call("compare", run, "sudoku-mini", "--data", data).code == 2
    assert call("eval", run).err == (
        f"trm: task {solver.task!r} has no embedded puzzles; give a file with --data PATH\n"
    )
    assert "grids of 4x5, but this task has 3x3" in call("eval", run, "--data", str(files / "rule.npz")).err
    assert call("train", "custom", "--out", run, "--resume", "--procs", "1").code == 0  # already at its end
    assert "was trained for custom, not for sudoku" in call("solve", "sudoku", "." * 16, "--weights", run).err
    assert "was trained for sudoku, not for custom" in call("solve", "custom", "1", "--weights", "sudoku-mini").err


def test_a_task_without_rules_is_answered_by_belief(files: Path, tmp_path: Path, call: Call) -> None:
    data, run = str(files / "rule.npz"), str(tmp_path / "run")
    structure = ["--structure", str(files / "near.json")]
    done = call("train", "custom", "--data", data, *structure, "--updates", "2", "--out", run, *ARGUMENTS)
    assert done.code == 0, done.err
    assert json.loads(Path(run, "config.json").read_text())["model"]["mixer"] == "local"
    solver = trm.Solver("custom", run, steps=3)
    assert solver.thinking.until == "sure"
    answer = solver.solve(np.zeros((4, 5), int))
    assert answer.valid
    assert (answer.solved, answer.steps) == (False, 3)  # untrained, and so never sure
    assert set(answer.grid.reshape(-1).tolist()) <= {0, 1, 3, 13}
    done = call("solve", "custom", "0" * 20, "--weights", run, "--steps", "3")
    assert done.code == 1
    assert "no rules are known" in done.out
    assert "every rule is obeyed" not in done.out
    task = get_task(solver.task)
    assert [accepted(task, valid, sure) for valid, sure in ((True, 0.6), (True, 0.4), (False, 0.6))] == [1, 0, 0]
    assert accepted(get_task("sudoku"), True, 0.1)


@pytest.mark.parametrize(("mixer", "more"), [("relations", []), ("attention", ["heads=2", "positions=rope"])])
def test_where_nothing_is_declared(files: Path, call: Call, tmp_path: Path, mixer: str, more: list[str]) -> None:
    changes = [part for one in (f"mixer={mixer}", *more) for part in ("--set", f"model.{one}")] if more else []
    changes += ["--updates", "1", "--out", str(tmp_path / "run")]
    done = call("train", "custom", "--data", str(files / "rule.npz"), *ARGUMENTS, *changes)
    assert done.code == 0, done.err
    model = trm.load(str(tmp_path / "run")).model
    assert (model.config.mixer, model.first_token) == (mixer, 0)


def test_a_structure_with_all_it_may_declare(files: Path, call: Call, tmp_path: Path) -> None:
    declared = {"blank": 0, "groups": [["rows"]], "related": [["columns"]], "neighbours": 8, "wrap": True}
    (tmp_path / "all.json").write_text(json.dumps({**declared, "signs": {"1": "x"}}))
    arguments = [
        "--structure",
        str(tmp_path / "all.json"),
        *ARGUMENTS,
        "--updates",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    done = call("train", "custom", "--data", str(files / "latin.npz"), *arguments)
    assert done.code == 0, done.err
    stored = trm.load(str(tmp_path / "run"))
    assert (stored.model.config.mixer, len(stored.spec.offsets), stored.spec.wrap) == ("relations", 8, True)
    assert [len(kind) for kind in (*stored.spec.groups, *stored.spec.related)] == [3, 3]
    assert stored.spec == find_family("custom").task(stored.spec.name).spec
    answer = trm.Solver("custom", tmp_path / "run", steps=2).solve([[1, 0, 0], [0, 2, 0], [0, 0, 0]])
    assert answer.grid.shape == (3, 3)


def test_describing_and_refusing(files: Path, call: Call, tmp_path: Path) -> None:
    data, structure = str(files / "latin.npz"), str(files / "latin.json")
    about = json.loads(call("describe", "custom", "--data", data, "--structure", structure, "--json").out)
    assert (about["cells"], about["model"]["mixer"]) == (9, "groups")
    run = custom_run(PRESETS["custom"].config, data, Path(structure))
    assert task_of(run).spec == Custom(LATIN).spec
    needed = "a custom task is defined by its data: give --data FILE"
    (tmp_path / "bare.json").write_text("{}")
    for arguments, words in (
        (["train", "custom"], needed),
        (["describe", "custom"], needed),
        (["train", "sudoku-mini", "--structure", structure], "--structure is for the preset custom"),
        (["train", "custom", "--data", str(files / "none.npz")], "cannot read"),
        (["train", "custom", "--data", data, "--structure", str(tmp_path / "no.json")], "cannot read"),
        (
            [
                "train",
                "custom",
                "--data",
                data,
                "--structure",
                str(tmp_path / "bare.json"),
                "--set",
                "model.mixer=groups",
            ],
            "needs constraint groups",
        ),
        (["solve", "custom", "1"], "no weights for custom ship"),
        (["solve", "custom", "1", "--backend", "onnx"], "no weights for custom ship"),
        (["solve", "custom", "1", "--backend", "onnx", "--weights", "sudoku"], "solves sudoku, not custom"),
        (["solve", "chess", "1"], "choose sudoku, maze or custom"),
    ):
        done = call(*arguments, *(["--out", str(tmp_path / "run"), "--procs", "1"] if arguments[0] == "train" else []))
        assert (done.code, done.out) == (2, "")
        assert words in done.err
        assert done.err.count("\n") == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the standard library reads TOML from 3.11 on")
def test_the_structure_in_the_docs(tmp_path: Path) -> None:
    text = (EXAMPLE.parent.parent / "docs" / "custom.md").read_text(encoding="utf-8")
    structure, more = (
        read_structure(write(tmp_path / f"{number}.toml", block))
        for number, block in enumerate(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[:2])
    )
    assert [len(kind) for kind in structure.expanded(structure.groups)] == [14]
    assert (structure.blank, len(structure.symbols)) == (0, 7)
    assert (more.layers, more.unit, len(more.layer_signs)) == (3, 10, 2)
    named = {*structure.model_fields_set, *more.model_fields_set, "signs", "colours"}
    assert named == {*Structure.model_fields}  # every key is in the document


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# The example


def completions(square: npt.NDArray[Any]) -> int:
    """How many completions a Latin square has, counted row by row by the digits that each column still lacks."""
    digits = frozenset(range(1, 8))
    states = {tuple(digits - set(column) for column in square.T.tolist()): 1}
    for row in square.tolist():
        after: dict[tuple[frozenset[int], ...], int] = {}
        for lacking, count in states.items():
            free = [[there] if there else sorted(left - set(row)) for there, left in zip(row, lacking, strict=True)]
            for line in lines(free):
                rest = tuple(left - {digit} for digit, left in zip(line, lacking, strict=True))
                after[rest] = after.get(rest, 0) + count
        states = after
    return sum(states.values())


def lines(choices: list[list[int]]) -> Iterator[tuple[int, ...]]:
    """Ways to choose a different digit for each place."""
    if not choices:
        yield ()
        return
    for rest in lines(choices[:-1]):
        yield from ((*rest, digit) for digit in choices[-1] if digit not in rest)


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["make.py", str(tmp_path / "latin"), "8", "3"])
    runpy.run_path(str(EXAMPLE / "make.py"), run_name="__main__")
    assert "8 pairs in" in capsys.readouterr().out
    run = custom_run(PRESETS["custom"].config, str(tmp_path / "latin" / "train.npz"), EXAMPLE / "structure.json")
    assert (run.custom.shape, run.custom.values, run.model.mixer) == ((7, 7), (0, 1, 2, 3, 4, 5, 6, 7), "groups")
    seen = set()
    for name, count in (("train", 8), ("test", 3)):
        pairs = np.load(tmp_path / "latin" / f"{name}.npz")
        assert pairs["question"].shape == pairs["answer"].shape == (count, 7, 7)
        for question, answer in zip(pairs["question"], pairs["answer"], strict=True):
            assert all(sorted(line) == [1, 2, 3, 4, 5, 6, 7] for line in (*answer.tolist(), *answer.T.tolist()))
            assert ((question == 0) | (question == answer)).all()
            assert 20 < (question == 0).sum() <= 31
            assert completions(question) == 1
            seen.add(answer.tobytes())
    assert len(seen) == 11
