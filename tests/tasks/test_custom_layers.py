"""Questions of several layers, numbers with an order, and numbers that answers may hold or have to keep."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Call
from custom_cases import write_model

import trm
from trm.errors import BadInput
from trm.inference.loop import guess
from trm.models import ModelConfig, build
from trm.store.stored import read_spec
from trm.tasks.base import keep_complete
from trm.tasks.custom.layers import defined
from trm.tasks.custom.structure import Structure, parse
from trm.tasks.custom.task import Custom

pytestmark = pytest.mark.usefixtures("forgotten")

SIGNED: dict[str, Any] = {"blank": 0, "layers": 3, "unit": 10, "groups": [["rows", "columns"]]}
RNG = np.random.default_rng(0)


@pytest.fixture
def stacked(tmp_path: Path) -> Path:
    """Pairs of 2x2 with two layers more: the number to the right is larger (1) or smaller (2), and the one below."""
    answer = np.array([[[1, 2], [2, 1]], [[2, 1], [1, 2]]] * 2)
    question = np.zeros((4, 3, 2, 2), int)
    question[:2, 1, 0, 0] = [1, 2]
    question[2:, 2, 0, 1] = [2, 1]
    question[:, 0, 1, 1] = answer[:, 1, 1]
    path = tmp_path / "stacked.npz"
    np.savez(path, question=question, answer=answer)
    return path


@pytest.fixture
def task(stacked: Path) -> Custom:
    return Custom(defined(str(stacked), parse(SIGNED, "s")))


def test_layers_are_read_and_written(stacked: Path, task: Custom, tmp_path: Path) -> None:
    assert task.structure.values == tuple(sorted(100 * b + 10 * a + n for n, a, b in product(range(3), repeat=3)))
    puzzles = task.read_file(str(stacked))
    archive = np.load(stacked)
    numbers = np.concatenate([[-1], task.numbers])[puzzles.question].reshape(-1, 2, 2)
    for layer, factor in enumerate((1, 10, 100)):
        np.testing.assert_array_equal(numbers // factor % 10, archive["question"][:, layer])
    np.testing.assert_array_equal([task.to_grid(row) for row in puzzles.answer], archive["answer"])
    assert task.draw(puzzles.question[0]) == "10  .\n .  1"
    # As numbers, as text and as one array.
    np.testing.assert_array_equal(task.read(task.draw(puzzles.question[0])).question, puzzles.question[:1])
    np.testing.assert_array_equal(task.from_grid(task.to_grid(puzzles.question[2])), puzzles.question[2])
    packed = tmp_path / "packed.npz"
    np.savez(packed, question=numbers, answer=archive["answer"])
    np.testing.assert_array_equal(task.read_file(str(packed)).question, puzzles.question)
    assert Custom(defined(str(packed), parse(SIGNED, "s"))).spec == task.spec
    assert defined(str(stacked), Structure()).layers == 3  # the file says so itself


def test_layers_in_json(task: Custom, stacked: Path) -> None:
    """One question layer by layer, several of them, and questions whose numbers hold all layers."""
    question = np.load(stacked)["question"]
    tokens = task.read_file(str(stacked)).question
    read = task.read(json.dumps(question[0].tolist()))
    np.testing.assert_array_equal(read.question, tokens[:1])
    assert not read.answer.any()
    np.testing.assert_array_equal(task.read(json.dumps(question.tolist())).question, tokens)
    packed = (question * np.array([1, 10, 100]).reshape(3, 1, 1)).sum(1)[:3]
    np.testing.assert_array_equal(task.read(json.dumps(packed.tolist())).question, tokens[:3])
    for grids, words in (
        (np.zeros((3, 2, 3), int), "layers of 2x3, but the task has grids of 2x2"),
        (np.full((3, 2, 2), 9), "r1c1 is 999"),
    ):
        with pytest.raises(BadInput, match=words):
            task.read(json.dumps(grids.tolist()))
    assert "4 lines" not in task.form
    assert task.form.endswith("each is first + 10 * second + 100 * third of a cell's 3 layers")


def test_an_answer_keeps_the_first_layer(task: Custom, stacked: Path) -> None:
    puzzles = task.read_file(str(stacked))
    question, answer = puzzles.question[0], puzzles.answer[0]
    first = task.given(question)
    np.testing.assert_array_equal(task.numbers[first - 1], [0, 0, 0, 1])
    every = np.array(list(product(range(task.spec.vocab), repeat=4)), np.uint8)
    every = every[RNG.permutation(len(every))[:20_000]]
    # By the numbers: those of one digit, different in each line, with what is given.
    numbers = np.concatenate([[-1], task.numbers])[every].reshape(-1, 2, 2)
    good = ((numbers > 0) & (numbers < 10)).all((1, 2)) & (numbers[:, 1, 1] == 1)
    good &= (numbers[:, 0] != numbers[:, 1]).all(1) & (numbers[:, :, 0] != numbers[:, :, 1]).all(1)
    np.testing.assert_array_equal(task.valid(np.broadcast_to(question, every.shape), every), good)
    assert task.valid(question[None], answer[None])[0]
    for row in every[:200]:
        assert bool(task.faults(question, row)) == (task.fault(question, row) is not None)
    # A question that needs no answer is its first layer.
    full = task._with(answer, question)
    np.testing.assert_array_equal(keep_complete(task, full[None], np.zeros_like(full)[None]), answer[None])
    assert task.fault(question, full) == "r1c1 is 11, which no answer holds"


def test_revealing_and_guessing_keep_the_other_layers(task: Custom, stacked: Path) -> None:
    puzzles = task.read_file(str(stacked))
    question, answer = puzzles.question[0], puzzles.answer[0]
    numbers = np.concatenate([[0], task.numbers])
    for share in (0, 0.4, 1):
        easier = task.reveal(question, answer, share, RNG)
        np.testing.assert_array_equal(numbers[easier] // 10, numbers[question] // 10)
        assert (task.given(easier) == task.given(question)).sum() == 4 - round(3 * share)
    belief = np.eye(task.spec.vocab, dtype=np.float32)[answer]
    asked = guess(task, question, belief, 0, 2, np.random.default_rng(1))
    np.testing.assert_array_equal(numbers[asked] // 10, numbers[question] // 10)
    assert (asked != question).sum() == 2
    assert not (task.given(asked) != np.where(asked == question, asked, answer))[asked != question].any()


def test_renaming_leaves_the_other_layers_alone(stacked: Path) -> None:
    task = Custom(defined(str(stacked), parse({**SIGNED, "interchangeable": True}, "s")))
    assert task.spec.symbols == 0  # no model may take a number for a mere symbol where a cell says more
    puzzles = task.read_file(str(stacked))
    numbers, seen = np.concatenate([[0], task.numbers]), set()
    for _ in range(20):
        question, answer = task.augment(puzzles.question[0], puzzles.answer[0], RNG)
        np.testing.assert_array_equal(numbers[question] // 10, numbers[puzzles.question[0]] // 10)
        assert task.valid(question[None], answer[None])[0]
        assert (task.given(question) == 1).sum() == 3
        seen.add(answer.tobytes())
    assert len(seen) == 2
    padding = np.zeros(4, np.uint8)
    np.testing.assert_array_equal(task.augment(padding, padding, RNG)[1], padding)


def test_a_model_is_told_of_each_layer(task: Custom) -> None:
    """Tokens of one number in a layer share a vector for it: their embeddings differ by that of the other layers."""
    features = np.array(task.spec.features)
    assert features.shape == (28, 9)
    assert not features[0].any()
    assert (features[1:].sum(1) == 3).all()
    config = ModelConfig(mixer="relations", width=8, layers=1, multiple=8, T=1, n=1, positions="none")
    torch.manual_seed(0)
    model = build(config, task.spec)
    tokens = torch.tensor([[int(task._find(np.array([number]))[0]) for number in (1, 11, 2, 12)]]).long()
    x = model.frame.embed(tokens, None)[0]
    torch.testing.assert_close(x[1] - x[0], x[3] - x[2])
    assert (x[1] - x[0]).norm() > 0.1
    assert read_spec({**vars(task.spec), "features": features.tolist()}) == task.spec
    for bad in (features[1:], features[:, :0], features * np.nan):
        with pytest.raises(ValueError, match="features must"):
            read_spec({**vars(task.spec), "features": bad.tolist()})


def test_numbers_with_an_order_are_described_by_it() -> None:
    task = Custom(parse({"shape": [1, 2], "values": [0, 3, 5, 6, 100], "blank": 0, "ordered": True}, "s"))
    waves = np.array(task.spec.features)[:, 5:]
    gaps = np.linalg.norm(waves[2:, None] - waves[None, 2:], axis=-1)
    assert not waves[:2].any()
    assert (gaps[0, 1:] > 0).all()
    assert gaps[0, 1] < gaps[0, 2]
    assert gaps[2, 3] < gaps[1, 3]
    plain = Custom(parse({"shape": [1, 2], "values": [0, 3, 5, 6, 100], "blank": 0}, "s"))
    assert plain.spec.features == ()
    assert plain.spec.name != task.spec.name


def test_numbers_that_answers_hold_or_keep(tmp_path: Path, call: Call) -> None:
    """1 is a wall. Answers hold walls and directions, questions hold walls, free cells and an exit."""
    declared = {"shape": [1, 3], "values": [0, 1, 2, 3], "answers": [1, 3], "fixed": [1]}
    task = Custom(parse(declared, "s"))
    tokens = np.array(list(product(range(5), repeat=3)), np.uint8)
    pairs = np.repeat(tokens, len(tokens), 0), np.tile(tokens, (len(tokens), 1))
    numbers = [np.array([-1, 0, 1, 2, 3])[part] for part in pairs]
    good = np.isin(numbers[1], [1, 3]).all(1) & ((numbers[0] == 1) == (numbers[1] == 1)).all(1)
    np.testing.assert_array_equal(task.valid(*pairs), good)
    for question, answer, fine in [*zip(*pairs, good.tolist(), strict=True)][::37]:
        assert (task.fault(question, answer) is None) == fine == (not task.faults(question, answer))
    question = task.from_grid(np.array([[1, 0, 2]]))
    words = {
        (3, 3, 3): "r1c1 is 3 where the question gives 1",
        (1, 1, 3): "r1c2 is 1, which stands only where the question has it",
        (1, 3, 2): "r1c3 is 2, which no answer holds",
    }
    for answer, fault in words.items():
        assert task.fault(question, task.from_grid(np.array([answer]))) == fault
    found = task.faults(question, task.from_grid(np.array([[3, 1, 2]])))
    assert [one.what for one in found] == [
        "1 was given here",
        "1, which stands only where the question has it",
        "no answer holds 2",
    ]
    # Pairs that contradict it are named by their row.
    data = tmp_path / "walls.npz"
    np.savez(data, question=[[[1, 0, 2]], [[1, 0, 0]]], answer=[[[1, 3, 3]], [[3, 3, 3]]])
    structure = tmp_path / "s.json"
    structure.write_text(task.structure.model_dump_json(exclude_defaults=True))
    code, _, err = call("inspect", str(data), "--structure", str(structure))
    assert code == 2
    assert "walls.npz, row 1, answer: r1c1 is 3 where the question gives 1" in err


BAD: list[tuple[dict[str, Any], str]] = [
    ({"ordered": True, "interchangeable": True, "blank": 0}, "numbers that may be renamed have no order"),
    ({"layers": 4, "unit": 1000}, "4 layers with unit = 1000 make numbers above 999999999"),
    ({"layers": 2, "blank": 12}, "the blank, 12, is none of the first layer's numbers, which are less than 10"),
    ({"values": [0, 1], "answers": [2]}, "a number of answers, 2, is not among the values"),
    ({"values": [0, 1], "fixed": [2]}, "a number that is fixed, 2, is not among the values"),
    ({"answers": [1], "fixed": [0]}, "0 is fixed, but an answer cannot hold it"),
    ({"layers": 2, "layer_signs": [{"1": "<"}, {"1": "^"}]}, "layer_signs is for the 1 layers after the first"),
    ({"layer_signs": [{"1": "right"}]}, "at most 4 characters"),
    ({"unit": 7}, "unit: input should be 10, 100, 1000 or 10000"),
    ({"layers": 0}, "layers: input should be greater than or equal to 1"),
]


@pytest.mark.parametrize(("content", "words"), BAD)
def test_bad_declarations(content: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(content, "s.json")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_layers(tmp_path: Path) -> None:
    def refused(words: str, question: Any, **declared: Any) -> None:
        np.savez(tmp_path / "a.npz", question=question, answer=np.zeros((1, 1, 2), int))
        with pytest.raises(BadInput) as caught:
            Custom(defined(str(tmp_path / "a.npz"), parse(declared, "s"))).read_file(str(tmp_path / "a.npz"))
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)

    two = np.zeros((1, 2, 1, 2), int)
    refused("2 layers, but the structure declares 3", two, layers=3)
    refused(
        "a number of one of 2 layers must be less than the unit, which the structure declares as 10, and there is 10",
        two + 10,
        layers=2,
    )
    refused("is negative", two - 1)
    refused("a number of one of 2 layers must be less than 10000, and there is 10000", two + 10_000)
    refused(
        "combinations of the layers' numbers, but",
        two + np.array([[[3, 3]], [[5, 6]]]),
        layers=2,
        unit=100,
        values=[*range(90)],
    )
    refused("values has numbers of 2 layers, but not 2: give all combinations", two[:, 0], layers=2, values=[0, 12])


def test_what_is_found_in_layers(stacked: Path, call: Call) -> None:
    code, out, _ = call("inspect", str(stacked))
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "layer 2 of the question: 0 to 2" in lines
    assert "numbers question: 0 to 2; answer: 1, 2" in lines
    assert lines[4].startswith("blank 0; all other numbers are kept in the answer; 3.0 of 4 cells unknown")


def test_a_model_of_layers_everywhere(stacked: Path, tmp_path: Path, call: Call) -> None:
    """Trained, solved, exported and shown: with numbers that hold the layers."""
    structure, run = tmp_path / "s.json", str(tmp_path / "run")
    structure.write_text(
        '{"blank": 0, "layers": 3, "ordered": true, "groups": [["rows", "columns"]], '
        '"layer_signs": [{"1": "<", "2": ">"}, {"1": "^", "2": "v"}]}'
    )
    small = ["--set", "model.width=16", "--updates", "3", "--procs", "1"]
    code, _, err = call("train", "custom", "--data", str(stacked), "--structure", str(structure), "--out", run, *small)
    assert code == 0, err
    question = np.load(stacked)["question"]
    packed = question[0, 0] + 10 * question[0, 1] + 100 * question[0, 2]
    solver = trm.Solver("custom", run, steps=2)
    answer = solver.solve(packed)
    assert answer.grid.shape == (2, 2)
    assert answer.tokens.tolist() == solver.solve("10 .\n. 1").tokens.tolist()
    assert answer.tokens.tolist() == solver.solve(question[0]).tokens.tolist()  # [layers, height, width]
    assert call("export", run, "--to", str(tmp_path / "m.onnx"))[0] == 0
    exported = trm.Solver("custom", str(tmp_path / "m.onnx"), backend="onnx", steps=2).solve(packed)
    assert exported.tokens.tolist() == answer.tokens.tolist()
    assert isinstance(answer.task, Custom)
    signs = {number: sign.text for number, sign in zip(answer.task.numbers.tolist(), answer.task.signs, strict=True)}
    assert (signs[0], signs[2], signs[12], signs[210]) == ("", "2", "2<", "<v")


def test_without_signs_of_its_own_a_number_is_shown_whole(tmp_path: Path, task: Custom) -> None:
    assert [sign.text for sign in task.signs][:4] == ["", "1", "2", "10"]
    assert trm.load(write_model(tmp_path / "model", task)).spec == task.spec
