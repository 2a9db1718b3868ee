"""`trm inspect`: planted faults are found, and a symmetry is refused as seldom as promised, and where it is broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Call, refused

from trm.tasks import load_puzzles
from trm.tasks.base import Ints
from trm.tasks.custom import inspect, leaks, read_structure
from trm.tasks.custom.inspection import image_key
from trm.tasks.custom.symmetry import TURNS, exchange, p_value, symmetries_of
from trm.tasks.custom.text import NONE, Pairs
from trm.tasks.sudoku.task import Sudoku

LATIN = np.array([[1, 2, 3, 4], [2, 1, 4, 3], [3, 4, 1, 2], [4, 3, 2, 1]])


def latin(rows: int, seed: int = 0) -> tuple[Ints, Ints]:
    """Latin squares of 4x4 with 0 for unknown cells, [rows, 4, 4] each, all symmetries of which hold."""
    rng = np.random.default_rng(seed)
    answer = np.array(
        [(1 + rng.permutation(4))[LATIN[rng.permutation(4)][:, rng.permutation(4)] - 1] for _ in range(rows)]
    )
    return np.where(rng.random(answer.shape) < 0.5, 0, answer), answer


def pairs(question: Ints, answer: Ints) -> Pairs:
    rows, height, width = question.shape
    places = [f"row {row}" for row in range(rows)]
    return Pairs((height, width), question.reshape(rows, -1), answer.reshape(rows, -1), places)


def save(path: Path, question: Ints, answer: Ints) -> str:
    np.savez(path, question=question, answer=answer)
    return str(path)


# Symmetries


def test_a_symmetry_that_holds_is_seldom_refused() -> None:
    """About one time in a hundred, by the promise of a randomisation test."""
    ps = []
    for seed in range(40):
        question, answer = latin(30, seed)
        rng = np.random.default_rng(seed)
        ps += [
            p_value(question, answer, TURNS[name], rng) for name in ("turned by a quarter", "mirrored left to right")
        ]
        ps.append(p_value(question, answer, exchange(np.arange(1, 5), rng), rng))
    assert np.mean(np.array(ps) < 0.01) <= 0.04
    assert np.mean(np.array(ps) < 0.5) == pytest.approx(0.5, abs=0.14)  # p is uniform


def test_what_breaks_a_symmetry_is_found() -> None:
    """The larger one of a number and the one to its left, around the edge."""
    question = np.random.default_rng(0).integers(0, 4, (300, 6, 6))
    answer = np.maximum(question, np.roll(question, 1, 2))
    found = {one.name: one.holds for one in symmetries_of(question, answer, np.arange(4))}
    holding = {"mirrored top to bottom", "moved by a row, around the edge", "moved by a column, around the edge"}
    assert {name for name, holds in found.items() if holds} == holding


def test_boxes_break_a_quarter_turn() -> None:
    """Those of a 6x6 Sudoku are 2x3; those of 9x9 are square."""
    for sudoku, square in ((Sudoku(2, 3), False), (Sudoku(3, 3), True)):
        sets = load_puzzles(sudoku, "embedded", "train").take(slice(0, 150))
        shape = (-1, sudoku.size, sudoku.size)
        question, answer = (part.astype(np.int64).reshape(shape) for part in (sets.question, sets.answer))
        found = {one.name: one.holds for one in symmetries_of(question, answer, np.arange(2, sudoku.size + 2))}
        assert (found["turned by a quarter"], found["rows and columns exchanged"]) == (square, square)
        assert found["turned by half"]
        assert found["mirrored left to right"]
        assert found["numbers renamed"]
        assert not found["moved by a row, around the edge"]


def test_a_rectangle_is_not_turned_by_a_quarter() -> None:
    question = np.random.default_rng(0).integers(0, 3, (50, 3, 5))
    names = {one.name for one in symmetries_of(question, question, np.arange(3))}
    assert "turned by half" in names
    assert not names & {"turned by a quarter", "rows and columns exchanged", "exchanged along the other diagonal"}


def test_pairs_that_come_in_families_are_not_counted_twice() -> None:
    """Four questions with each answer: drawing for each alone would refuse what holds."""
    ps = []
    for seed in range(12):
        _, answer = latin(25, seed)
        answer = answer.repeat(4, 0)
        question = np.where(np.random.default_rng(seed).random(answer.shape) < 0.5, 0, answer)
        ps += [one.p for one in symmetries_of(question, answer, np.arange(1, 5))]
    assert np.mean(np.array(ps) < 0.01) <= 0.05
    assert symmetries_of(question[:4], answer[:4], np.arange(1, 5)) == []


def test_large_boards_are_not_looked_at_for_long() -> None:
    question = np.random.default_rng(0).integers(0, 3, (40, 90, 90))
    names = {one.name for one in symmetries_of(question, question, np.arange(3))}
    assert "turned by half" in names
    assert not names & {"moved by a row, around the edge", "moved by a column, around the edge"}
    larger = np.random.default_rng(0).integers(0, 3, (40, 200, 200))
    assert symmetries_of(larger, larger, np.arange(3)) == []


# Facts


def test_what_is_found_in_latin_squares() -> None:
    found = inspect(pairs(*latin(200)))
    assert (found.blank, found.interchangeable, found.contradictions) == (0, True, ())
    assert [group.name for group in found.groups] == ["rows", "columns"]
    assert found.unknown == pytest.approx(8, abs=0.5)
    structure = found.structure()
    assert (structure.shape, structure.values, structure.blank) == ((4, 4), (0, 1, 2, 3, 4), 0)
    assert structure.groups == (("rows", "columns"),)


def test_the_boxes_of_a_sudoku_are_found() -> None:
    sets = load_puzzles(Sudoku(2, 3), "embedded", "train").take(slice(0, 100))
    question, answer = (part.astype(np.int64).reshape(-1, 6, 6) for part in (sets.question, sets.answer))
    found = inspect(pairs(question, answer))
    assert [group.name for group in found.groups] == ["rows", "columns", "boxes of 2x3"]
    structure = found.structure()
    kinds = list(structure.expanded(structure.groups))
    assert sorted(map(sorted, kinds[1])) == sorted(sorted(map(int, box)) for box in Sudoku(2, 3).groups[12:])


def test_a_rule_has_no_blank_and_no_groups() -> None:
    question = np.random.default_rng(0).integers(0, 2, (100, 5, 5))
    answer = question | np.roll(question, 1, 1)
    found = inspect(pairs(question, answer))
    assert (found.blank, found.groups, found.interchangeable) == (None, (), False)
    assert found.unknown == pytest.approx((question != answer).sum((1, 2)).mean())
    assert inspect(pairs(question, question)).blank is None  # nothing is unknown


def test_images_are_told_by_brute_force() -> None:
    question, answer = latin(120)
    found = inspect(pairs(question, answer))
    rng, key = np.random.default_rng(1), image_key(found)
    for row in range(20):
        names = np.concatenate([[0], 1 + rng.permutation(4)])
        turned = np.rot90(question[row], int(rng.integers(4)))
        image = names[turned.T if rng.random() < 0.5 else turned]
        assert key(image.reshape(-1)) == key(question[row].reshape(-1))
        other = image.copy()
        other[0, 0] = 0 if other[0, 0] else 1
        assert key(other.reshape(-1)) != key(question[row].reshape(-1))
    common = leaks(pairs(question[:100], answer[:100]), pairs(question[90:], answer[90:]), found)
    assert (common.rows, common.questions) == (30, 10)
    turned = leaks(pairs(question[:100], answer[:100]), pairs(question[:7, ::-1], answer[:7, ::-1]), found)
    assert turned.questions + turned.images == 7


# Files with faults


def test_a_clean_file(tmp_path: Path, call: Call) -> None:
    train, test = (save(tmp_path / f"{name}.npz", *latin(80, seed)) for name, seed in (("train", 1), ("test", 2)))
    done = call("inspect", train, "--write", str(tmp_path / "s.json"))
    assert (done.code, done.err) == (0, f"wrote {tmp_path / 's.json'}\n")
    for words in ("pairs           80 of 4x4 in train.npz", "answer: 1 to 4", "rows, columns:", "none", "renamed: not"):
        assert words in done.out
    assert read_structure(tmp_path / "s.json").interchangeable
    with_json = json.loads(call("inspect", train, "--against", test, "--json").out)
    assert (with_json["rows"], with_json["groups"], with_json["leaks"]["rows"]) == (80, ["rows", "columns"], 80)
    done = call("describe", "custom", "--data", train, "--structure", str(tmp_path / "s.json"))
    assert done.code == 0, done.err


def test_contradictions(tmp_path: Path, call: Call) -> None:
    question, answer = latin(20)
    question, answer = np.concatenate([question, question[3:5]]), np.concatenate([answer, answer[3:5]])
    answer[20] = np.roll(answer[20], 1, 0)
    done = call("inspect", save(tmp_path / "a.npz", question, answer))
    assert done.code == 1
    assert "contradictions  1: one question, different answers: a.npz, row 3 and a.npz, row 20\n" in done.out
    assert "duplicates      1 pairs" in done.out


def test_leaks(tmp_path: Path, call: Call) -> None:
    question, answer = latin(60)
    train = save(tmp_path / "train.npz", question[:50], answer[:50])
    test = save(tmp_path / "test.npz", question[48:], answer[48:])
    done = call("inspect", train, "--against", test)
    assert done.code == 1
    assert "of 12 questions in test.npz, 2 are in the first file" in done.out
    refused(call("inspect", train, "--against", save(tmp_path / "w.npz", *latin(3)[:1] * 2)[:-4] + "x"), "cannot read")


def test_wrong_groups(tmp_path: Path, call: Call) -> None:
    data = save(tmp_path / "a.npz", *latin(20))
    (tmp_path / "s.json").write_text(json.dumps({"blank": 0, "groups": [[[0, 5, 10, 15]]]}))
    refused(call("inspect", data, "--structure", str(tmp_path / "s.json")), "a.npz, row", "group 1 are both")


def test_shapes_that_differ(tmp_path: Path, call: Call) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"shape": [2, 2]}))
    (tmp_path / "a.csv").write_text("question,answer\n1 2 3 4,1 2 3 4\n1 2 3 4 5 6,1 2 3 4 5 6\n")
    refused(
        call("inspect", str(tmp_path / "a.csv"), "--structure", str(tmp_path / "s.json")), "a.csv: line 3", "instead"
    )
    refused(call("inspect", str(tmp_path / "a.csv")), "declare shape")
    small = save(tmp_path / "small.npz", *(part[:, :2] for part in latin(5)))
    large = save(tmp_path / "large.npz", *latin(5))
    refused(call("inspect", large, "--against", small), "grids of 2x4, but those of the other file are of 4x4")


def test_missing_answers(tmp_path: Path, call: Call) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"shape": [2, 2]}))
    (tmp_path / "a.csv").write_text("question,answer\n1 2 3 4,1 2 3 4\n2 1 3 4,\n")
    structure = ["--structure", str(tmp_path / "s.json")]
    assert "1 of them without an answer" in call("inspect", str(tmp_path / "a.csv"), *structure).out
    (tmp_path / "b.csv").write_text("question\n1 2 3 4\n")
    refused(call("inspect", str(tmp_path / "b.csv"), *structure), "b.csv", "no pair has an answer")
    assert NONE < 0


def test_options_that_cannot_be(tmp_path: Path, call: Call) -> None:
    data = save(tmp_path / "a.npz", *latin(5))
    refused(call("inspect", data, "--write", str(tmp_path / "s.toml")), "name a file NAME.json")
    many = np.arange(600).reshape(2, 15, 20)
    refused(call("inspect", save(tmp_path / "b.npz", many, many)), "600 different numbers")
