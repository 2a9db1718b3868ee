"""What was once wrong with layers, answers and fixed numbers: each of these was found by a reader of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Call
from custom_cases import write_model

import trm
from trm.errors import BadInput
from trm.inference.loop import guess
from trm.tasks.custom.inspection import inspect, leaks
from trm.tasks.custom.layers import defined
from trm.tasks.custom.structure import Structure, parse
from trm.tasks.custom.task import Custom
from trm.tasks.custom.text import Pairs, read_pairs
from trm.tasks.family import REGISTERED
from trm.tools.weights import described
from trm.training.presets import PRESETS
from trm.training.presets.custom import custom_run

pytestmark = pytest.mark.usefixtures("forgotten")

RNG = np.random.default_rng(0)
STACKED: dict[str, Any] = {"shape": [1, 2], "blank": 0, "layers": 2, "values": [0, 1, 2, 10, 11, 12]}


def save(path: Path, question: Any, answer: Any) -> str:
    np.savez(path, question=question, answer=answer)
    return str(path)


def read(path: str, **declared: Any) -> Pairs:
    return read_pairs(path, parse(declared, "s"))


def test_the_unit_is_above_the_answers_too(tmp_path: Path) -> None:
    layers = np.stack([np.zeros((40, 3, 3), int), RNG.integers(0, 3, (40, 3, 3))], axis=1)
    path = save(tmp_path / "big.npz", layers, RNG.integers(1, 13, (40, 3, 3)))
    pairs = read(path)
    assert (pairs.layers, pairs.unit) == (2, 100)
    assert inspect(pairs).symmetries  # this never ended
    assert defined(path, Structure()).values[:14] == (*range(13), 100)
    assert read(path, values=[*range(13), 999]).unit == 1000
    with pytest.raises(
        BadInput, match=r"array answer, row \d+: r\dc\d is 1\d, but numbers of a layer are less than unit"
    ):
        read(save(tmp_path / "packed.npz", layers[:, 0], np.full((40, 3, 3), 12)), layers=2)
    with pytest.raises(BadInput, match="which the structure declares as 10, and there is 12"):
        read(path, layers=2)
    assert read(path, unit=1000).unit == 1000


def test_layers_are_named_in_what_is_wrong_with_them(tmp_path: Path) -> None:
    question = np.zeros((5, 3, 2, 2), int)
    question[1, 2, 0, 1] = -1
    with pytest.raises(BadInput, match=r"layer 3, row 1: r1c2 is -1, which is negative"):
        read(save(tmp_path / "a.npz", question, np.zeros((5, 2, 2), int)))
    with pytest.raises(BadInput, match="20 layers with unit = 10 make numbers above 999999999"):
        read(save(tmp_path / "b.npz", np.zeros((5, 20, 2, 2), int), np.zeros((5, 2, 2), int)))
    one = read(save(tmp_path / "c.npz", np.full((5, 1, 2, 2), 20_000), np.zeros((5, 2, 2), int)))
    assert (one.layers, int(one.question[0, 0])) == (1, 20_000)


def test_a_model_for_layers_whose_numbers_may_be_renamed(tmp_path: Path, call: Call) -> None:
    answer = np.stack([RNG.permutation(4) + 1 for _ in range(60)]).reshape(-1, 1, 4)
    question = np.stack([np.where(RNG.random(answer.shape) < 0.5, answer, 0), RNG.integers(0, 3, answer.shape)], axis=1)
    path = save(tmp_path / "a.npz", question, answer)
    suggested = tmp_path / "s.json"
    call("inspect", path, "--write", str(suggested))
    run = custom_run(PRESETS["custom"].config, path, suggested)
    assert (run.custom.interchangeable, run.custom.layers, run.model.mixer) == (True, 2, "relations")


def test_leaks_are_found_whatever_the_second_file_holds(tmp_path: Path, call: Call) -> None:
    question = np.zeros((30, 2, 2, 2), int)
    question[:, 1] = RNG.integers(0, 10, (30, 2, 2))
    more = np.concatenate([question, np.full((1, 2, 2, 2), 12)])
    answer = np.ones((31, 2, 2), int)
    first, second = save(tmp_path / "a.npz", more, answer), save(tmp_path / "b.npz", question, answer[:30])
    code, out, _ = call("inspect", first, "--against", second)
    assert code == 1
    assert "30 are in the first file" in " ".join(out.split())
    pairs = read(first)
    assert leaks(pairs, pairs, inspect(pairs)).questions == 31


def test_guesses_are_what_an_answer_can_hold() -> None:
    task = Custom(parse({**STACKED, "answers": [1, 2]}, "s"))
    question = task.from_grid(np.array([[10, 0]]))
    numbers = np.concatenate([[-1], task.numbers])
    for seed in range(50):
        belief = np.random.default_rng(seed).random((2, task.spec.vocab)).astype(np.float32)
        asked = numbers[guess(task, question, belief, 0, 2, np.random.default_rng(seed))]
        assert (asked // 10).tolist() == [1, 0]
        assert {*(asked % 10).tolist()} <= {0, 1, 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**STACKED, "values": [0, 1, 2, 10, 21]}, "values has numbers of 2 layers, but not 11: give all combinations"),
        ({"blank": 0, "interchangeable": True, "answers": [1]}, "declare no answers and nothing fixed with them"),
        ({"blank": 0, "interchangeable": True, "fixed": [1]}, "declare no answers and nothing fixed with them"),
        ({"blank": 0, "fixed": [0]}, "the blank, 0, cannot be fixed"),
        ({"shape": [1, 2], "values": [0, 1], "layer_signs": [{"1": "<"}]}, "layer_signs is for the 0 layers after"),
        ({**STACKED, "signs": {"12": "x"}}, "12 has a sign or a colour, but numbers of a layer are less than 10"),
        ({**STACKED, "layer_signs": [{"77": "x"}]}, "77 has a sign or a colour"),
        (
            {"shape": [1, 3], "values": [0, 1, 2, 3], "blank": 0, "answers": [1, 2], "groups": [["rows"]]},
            "group 1 has 3 cells, but there are only 2 different numbers",
        ),
    ],
)
def test_declarations_that_cannot_be(content: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        Custom(parse(content, "s.json"))
    assert words in str(caught.value)


def test_boards_of_several_sizes_may_have_groups(tmp_path: Path) -> None:
    square, small = np.array([[1, 2], [2, 1]]), np.full((2, 2), 9)
    small[0, 0] = 1
    path = save(tmp_path / "a.npz", np.where([square == 1, small == 9], [square, small], 0), [square, small])
    task = Custom(defined(path, parse({"blank": 0, "fixed": [9], "groups": [["rows", "columns"]]}, "s")))
    puzzles = task.read_file(path)
    assert task.valid(puzzles.question, puzzles.answer).all()
    assert [task.faults(*pair) for pair in zip(puzzles.question, puzzles.answer, strict=True)] == [[], []]


def test_a_language_model_is_told_of_the_layers() -> None:
    signs = [{"1": "<", "2": ">"}]
    task = Custom(parse({**STACKED, "layer_signs": signs, "answers": [1, 2], "fixed": [1]}, "s"))
    text = described(task)
    assert "plus 10 * second layer." in text
    assert "In layer 2 1 means '<', 2 means '>'." in text
    assert "Only 1, 2 can be in an answer. 1 stays where it is, and stands nowhere else." in text


def test_padding_is_shown_as_a_blank(tmp_path: Path) -> None:
    task = Custom(parse(STACKED, "s"))
    tokens = np.array([0, 2], np.uint8)
    assert (task.draw(tokens), task.to_grid(tokens).tolist()) == (". 1", [[0, 1]])
    solver = trm.Solver("custom", write_model(tmp_path / "model", task), steps=1)
    assert solver.solve("10 .").grid.max() < 20


def test_features_of_a_task_are_checked() -> None:
    class Bare(trm.Task):
        spec = trm.Spec("bare", 1, 2, vocab=4, first_symbol=4, features=((0.0,), (1.0,)))

        def valid(self, question: Any, answer: Any) -> Any:
            return np.ones(len(answer), bool)

    trm.register_task("bare", Bare)
    try:
        with pytest.raises(
            BadInput, match="task 'bare': features must have as many numbers, 1 to 1024, for each of the 4"
        ):
            trm.get_preset("bare")
    finally:
        del REGISTERED["bare"]
