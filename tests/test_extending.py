"""Tasks and mixers from outside the package: the examples as they stand, and what registering does."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Call
from serving import serving
from torch import Tensor, nn

import trm
from trm.errors import BadInput
from trm.models import ModelConfig, build, mixers, register_mixer
from trm.models.frames import GridFrame, SymbolFrame, TokenFrame
from trm.serve import Limits, load_solvers
from trm.serve.examples import own_examples
from trm.serve.offers import offer
from trm.tasks import Part, family, get_task, load_puzzles, register_task
from trm.tasks.base import Bools, Spec, Tokens
from trm.tasks.sudoku.task import Sudoku
from trm.tools import calls

EXAMPLES = Path(__file__).parent.parent / "examples"
SPEC = Sudoku(2, 2).spec
PARTS: tuple[Part, ...] = ("train", "validation")


@pytest.fixture(autouse=True)
def _registries() -> Iterator[None]:
    """What a test registers is gone after it."""
    registries: list[dict[str, Any]] = [family.REGISTERED, mixers.MIXERS, mixers.FRAMES, calls.TOOLS, calls.TITLES]
    before = [dict(registry) for registry in registries]
    yield
    for registry, content in zip(registries, before, strict=True):
        registry.clear()
        registry.update(content)
    calls.arguments_of.cache_clear()


def run_example(name: str, folder: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, str(folder), str(steps)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_a_task_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_example("own_task.py", tmp_path / "latin", 4, monkeypatch)
    assert "of 100 unseen squares solved" in capsys.readouterr().out
    assert (tmp_path / "latin" / "model.safetensors").is_file()
    task = get_task("latin")
    rng = np.random.default_rng(0)
    for part in PARTS:
        puzzles = load_puzzles(task, "embedded", part)
        for question, answer in zip(puzzles.question[:50], puzzles.answer[:50], strict=True):
            for asked, right in ((question, answer), task.augment(question, answer, rng)):
                grid = right.reshape(5, 5) - 1
                assert all(sorted(line) == [1, 2, 3, 4, 5] for line in [*grid.tolist(), *grid.T.tolist()])
                assert ((asked == 1) | (asked == right)).all()
                assert (asked == 1).sum() == 10
                assert task.valid(asked[None], right[None])[0]
                assert not task.valid(asked[None], np.roll(right, 1)[None] * 0 + 2)[0]
                wrong = right.copy()
                wrong[:2] = wrong[1::-1]
                assert not task.valid(asked[None], wrong[None])[0]
            np.testing.assert_array_equal(task.read(task.draw(question)).question[0], question)
            easier = task.reveal(question, answer, 0.5, rng)
            assert ((easier == question) | (easier == answer)).all()
    solver = trm.Solver("latin", weights=tmp_path / "latin", steps=2)
    answer = solver.solve("12345 2.... 3.... 4.... 5....")
    assert (answer.grid.shape, answer.steps <= 2) == ((5, 5), True)
    assert "".join(answer.grid.flat) == "".join(answer.text.split())
    np.testing.assert_array_equal(solver.solve(np.full((5, 5), 1)).grid, solver.solve("." * 25).grid)
    np.testing.assert_array_equal(solver.solve(["12345", *["....."] * 4]).grid, solver.solve("12345" + "." * 20).grid)
    with pytest.raises(BadInput, match=r"a puzzle of latin is 5 lines of 5 characters, \. 1 2 3 4 5: 25 cells, not 2"):
        solver.solve("12")
    with pytest.raises(BadInput, match=r"r2c1 is '7', which is not one of \. 1 2 3 4 5"):
        solver.solve("12345 7" + "." * 19)
    with pytest.raises(BadInput, match="a puzzle of latin is 5x5 tokens from 1 to 6, not 0 to 9"):
        solver.solve(np.full((5, 5), 9) * np.eye(5, dtype=int))


def test_a_mixer_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_example("own_mixer.py", tmp_path / "convolution", 1, monkeypatch)
    assert "confidence 0." in capsys.readouterr().out
    model = trm.load(str(tmp_path / "convolution")).model
    assert isinstance(model.frame, GridFrame)
    mixer: Any = model.blocks[0].mixer
    weight = mixer.around.weight.detach().numpy()
    h = np.random.default_rng(0).standard_normal((2, 900, 16)).astype(np.float32)
    padded = np.pad(h.reshape(2, 30, 30, 16), ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = h.reshape(2, 30, 30, 16).copy()
    for row in range(3):
        for column in range(3):
            total += padded[:, row : row + 30, column : column + 30] @ weight[:, :, row, column].T
    total /= np.sqrt((total**2).mean(-1, keepdims=True) + 1e-5)
    with torch.inference_mode():
        np.testing.assert_allclose(mixer(torch.from_numpy(h)).numpy(), total.reshape(h.shape), atol=1e-5)


class Still(nn.Module):
    """Mixes nothing."""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()

    def forward(self, h: Tensor) -> Tensor:
        return h


@pytest.mark.parametrize(("frame", "kind"), [("tokens", TokenFrame), ("grid", GridFrame), ("symbols", SymbolFrame)])
def test_the_frame_of_a_mixer(frame: mixers.FrameName, kind: type) -> None:
    register_mixer("still", Still, frame)
    model = build(ModelConfig(mixer="still", width=8, layers=1, multiple=8, T=1, n=1, positions="none"), SPEC)
    assert type(model.frame) is kind
    output = model(model.start(3), torch.ones(3, 16, dtype=torch.uint8))
    assert output.logits.shape == (3, 16, 4 if frame == "symbols" else 6)
    assert output.halt.shape == (3,)


def test_a_task_without_puzzles_of_its_own_says_so() -> None:
    with pytest.raises(BadInput, match="task 'still' is unknown"):
        get_task("still")
    register_task("still", lambda: Sudoku(2, 2))
    assert get_task("still") == Sudoku(2, 2)
    with pytest.raises(BadInput, match="no embedded puzzles"):
        load_puzzles(get_task("still"), "embedded")


class Least(trm.Task):
    """Copies what is given. Nothing but what a task must have."""

    spec = Spec("least", 2, 3, vocab=4, first_symbol=4)

    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        same: Bools = (question == answer).all(1)
        return same


def test_what_a_task_has_by_default(tmp_path: Path) -> None:
    task, rng = Least(), np.random.default_rng(0)
    question, answer = np.array([1, 2, 3, 1, 1, 1], np.uint8), np.array([1, 2, 3, 3, 2, 2], np.uint8)
    assert task.draw(question) == "1 2 3\n1 1 1"
    np.testing.assert_array_equal(
        task.read(f"{task.draw(question)}\n\n{task.draw(answer)}").question, [question, answer]
    )
    (tmp_path / "pairs.csv").write_text("question,answer\n1 2 3 1 1 1,1 2 3 3 2 2\n")
    puzzles = task.read_file(str(tmp_path / "pairs.csv"))
    np.testing.assert_array_equal(puzzles.question, [question])
    np.testing.assert_array_equal(puzzles.answer, [answer])
    for share, left in ((0, 3), (1 / 3, 2), (1, 0)):
        easier = task.reveal(question, answer, share, rng)
        assert ((easier == question) | (easier == answer)).all()
        assert (easier != answer).sum() == left
    assert all(one is other for one, other in zip(task.augment(question, answer, rng), (question, answer), strict=True))
    for text, words in (
        ("", "2 lines of 3 whole numbers, separated by spaces: 6 cells, not 0"),
        ("1 2 3 4 1 1", "r2c1 is '4', which is not one of 1 2 3"),
        ("0 1 1 1 1 1", "r1c1 is '0'"),
        ("question\n1 2", "2 cells instead of 6"),
        ("question\n1 2 3 1 1 x", "r2c3 is 'x'"),
    ):
        with pytest.raises(BadInput) as caught:
            task.read(text)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="no embedded puzzles"):
        task.puzzles("train")


@pytest.mark.parametrize("characters", ["?12", "?1234", "?112"])
def test_characters_are_one_for_each_token(characters: str) -> None:
    register_task("least", lambda: type("Wrong", (Least,), {"characters": characters})())
    with pytest.raises(BadInput, match=r"task 'least' has 4 tokens, but the characters .*: one for each"):
        get_task("least")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with the task of the example, and with others that cannot be used."""
    package = tmp_path / "site"
    (package / "puzzles-1.0.dist-info").mkdir(parents=True)
    (package / "puzzles-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: puzzles\nVersion: 1.0\n")
    (package / "puzzles-1.0.dist-info" / "entry_points.txt").write_text(
        "[trm.tasks]\nlatin = puzzles:Latin\nother = puzzles:Latin\nmissing = puzzles:Nothing\n"
        "broken = no_such_module:Task\nnumber = puzzles:sys.getrecursionlimit\n"
        "sudoku = puzzles:Latin\nmaze-5x5 = puzzles:Latin\n"
    )
    (package / "puzzles.py").write_text((EXAMPLES / "own_task.py").read_text())
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.chdir(tmp_path)
    family.register_installed.cache_clear()
    yield
    sys.modules.pop("puzzles", None)
    family.register_installed.cache_clear()


@pytest.mark.usefixtures("installed")
def test_every_command_knows_the_task_of_an_installed_package(call: Call) -> None:
    assert "latin" in call("describe", "latin").out
    done = call("train", "latin", "--updates", "2", "--procs", "1", "--threads", "1", "--set", "batch=4")
    assert done.code == 0, done.err
    assert "trm eval runs/latin" in done.err
    found = json.loads(call("eval", "runs/latin", "--limit", "4", "--steps", "2", "--json").out)
    assert (found["task"], found["rows"]) == ("latin", 4)
    done = call("solve", "latin", "12345" + "." * 20, "--weights", "runs/latin", "--steps", "2", "--json")
    (answer,) = json.loads(done.out)["answers"]
    assert (done.code, answer["solved"], np.shape(answer["grid"])) == (1, False, (5, 5))
    assert set(np.ravel(answer["grid"])) <= {*"12345"}
    tool = next(one for one in json.loads(call("mcp", "--schemas", "--weights", "runs/latin").out)
                if one["function"]["name"] == "solve_latin")  # fmt: skip
    assert "A Latin square of 5x5 cells, with each digit from 1 to 5 once" in tool["function"]["description"]
    assert "5 lines of 5 characters, . 1 2 3 4 5." in json.dumps(tool)
    solvers = load_solvers(["runs/latin"])
    offered = next(task for task in offer(solvers, Limits()).tasks if task.name == "latin")
    assert [value.value for value in offered.values] == [*".12345"]
    assert offered.symbols == [*"12345"]
    shown = next(own_examples(solvers, {}))  # those for validation
    task = get_task("latin")
    assert (shown.task, shown.name) == ("latin", "validation")
    assert "\n".join(map(str, shown.puzzle)) == task.draw(task.puzzles("validation").question[0])
    with serving({"latin": solvers["latin"]}) as served:
        solved = served.post("solve", {"task": "latin", "puzzle": ["12345", *["....."] * 4], "steps": 2}).json()
    assert solved["grid"] == ["".join(row) for row in answer["grid"]]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "task 'missing' of an installed package, puzzles:Nothing, cannot be used"),
        ("broken", "no_such_module"),
        ("number", "is no class of `trm.Task`"),
        ("other", "task 'other' of an installed package calls itself 'latin': name both alike"),
        ("chess", "arc-agi-2, broken,"),
    ],
)
def test_tasks_of_packages_that_cannot_be_used(name: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        get_task(name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert get_task("sudoku") == Sudoku()
    assert get_task("maze-5x5").spec.height == 5
