"""The puzzles that the scripts in examples/ make, by solvers of their own: row by row, all lines tried."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from trm.tasks.custom.structure import read_structure
from trm.training.config import RunConfig
from trm.training.presets import PRESETS
from trm.training.presets.custom import custom_run

EXAMPLES = Path(__file__).parents[1] / "examples"
Grid = npt.NDArray[Any]
Lines = list[tuple[int, ...]]


def make(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *counts: str) -> dict[str, Any]:
    """Run a script that makes pairs. -> the arrays of its files by name"""
    monkeypatch.setattr(sys, "argv", [name, str(folder), *counts])
    runpy.run_path(str(EXAMPLES / name / f"{name}.py"), run_name="__main__")
    return {path.stem: np.load(path) for path in folder.iterdir()}


def settings(name: str, data: Path) -> RunConfig:
    return custom_run(PRESETS["custom"].config, str(data), EXAMPLES / name / "structure.json")


def fillings(lines: Lines, rows: int, fits: Callable[[Lines], bool]) -> Iterator[Lines]:
    """All grids of `rows` lines, each of `lines`, of which every beginning fits."""

    def search(grid: Lines) -> Iterator[Lines]:
        if len(grid) == rows:
            yield grid
            return
        for line in lines:
            if fits([*grid, line]):
                yield from search([*grid, line])

    return search([])


def test_takuzu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make("takuzu", tmp_path, monkeypatch, "3", "1")
    assert {name: file["question"].shape for name, file in files.items()} == {
        "train": (3, 8, 8),
        "test": (1, 8, 8),
        "large": (1, 10, 10),
    }
    for file in files.values():
        for question, answer in zip(file["question"], file["answer"], strict=True):
            side = len(question)
            lines = [line for line in product((1, 2), repeat=side) if line.count(1) == side // 2 and unlike(line)]
            assert {*map(tuple, answer.tolist()), *map(tuple, answer.T.tolist())} <= {*lines}
            assert (question == np.where(question, answer, 0)).all()
            if side > 8:  # which takes minutes
                continue

            def fits(grid: Lines, known: Grid = question) -> bool:
                if any(there not in (0, cell) for there, cell in zip(known[len(grid) - 1], grid[-1], strict=True)):
                    return False
                return all(unlike(column) and max(map(column.count, (1, 2))) <= 4 for column in zip(*grid, strict=True))

            assert [*fillings(lines, side, fits)] == [[tuple(row) for row in answer.tolist()]]
    assert settings("takuzu", tmp_path / "train.npz").model.mixer == "relations"


def unlike(line: tuple[int, ...]) -> bool:
    """Whether no three equal numbers stand side by side."""
    return all(len({*line[at : at + 3]}) > 1 for at in range(len(line) - 2))


def test_futoshiki(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make("futoshiki", tmp_path, monkeypatch, "6", "2")
    lines = [*permutations(range(1, 6))]
    for name, count in (("train", 6), ("test", 2)):
        assert files[name]["question"].shape == (count, 3, 5, 5)
        for (numbers, right, below), answer in zip(files[name]["question"], files[name]["answer"], strict=True):
            assert (right > 0).sum() + (below > 0).sum() == 16

            def fits(grid: Lines, numbers: Grid = numbers, right: Grid = right, below: Grid = below) -> bool:
                row, line = len(grid) - 1, grid[-1]
                if any(there not in (0, cell) for there, cell in zip(numbers[row], line, strict=True)):
                    return False
                if any(one[x] == line[x] for one in grid[:-1] for x in range(5)):
                    return False
                signs = [(right[row, x], line[x], line[x + 1]) for x in range(4)]
                signs += [(below[row - 1, x], grid[-2][x], line[x]) for x in range(5)] if row else []
                return all(not sign or (one < other) == (sign == 1) for sign, one, other in signs)

            assert [*fillings(lines, 5, fits)] == [[tuple(row) for row in answer.tolist()]]
    run = settings("futoshiki", tmp_path / "train.npz")
    assert (run.model.mixer, run.custom.layers, len(run.custom.values)) == ("relations", 3, 54)


def test_exits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever follows the directions reaches an exit in as few moves as a wave from all exits takes."""
    files = make("exits", tmp_path, monkeypatch, "4", "2")
    moves = {3: (-1, 0), 4: (0, -1), 5: (0, 1), 6: (1, 0)}
    for file in files.values():
        for question, answer in zip(file["question"], file["answer"], strict=True):
            free, far = np.pad(question, 1) > 0, np.full(np.add(question.shape, 2), 10_000)
            far[np.pad(question, 1) == 2] = 0
            for _ in range(question.size):
                near = np.minimum.reduce([np.roll(far, move, (0, 1)) for move in moves.values()])
                far = np.where(free, np.minimum(far, near + 1), 10_000)
            np.testing.assert_array_equal(answer[question != 1], question[question != 1])
            for y, x in np.argwhere(question == 1) + 1:
                shortest = [name for name, (down, over) in moves.items() if far[y + down, x + over] == far[y, x] - 1]
                assert answer[y - 1, x - 1] == min(shortest)
    assert read_structure(EXAMPLES / "exits" / "structure.json").any_size


def test_life() -> None:
    """A state before a step leads to the state after it, by the neighbours counted one by one."""
    life = runpy.run_path(str(EXAMPLES / "life" / "life.py"))["Life"]()
    pairs = life.puzzles("validation").take(slice(0, 20))
    good = []
    rng = np.random.default_rng(0)
    other = np.where(rng.random(pairs.answer.shape) < 0.02, 7 - pairs.answer, pairs.answer)
    answers = np.where(rng.random((20, 1)) < 0.5, pairs.answer, other).astype(np.uint8)
    for question, answer in zip(pairs.question.reshape(-1, 10, 10), answers.reshape(-1, 10, 10), strict=True):
        alive = {(y, x) for y, x in np.argwhere(answer == 4).tolist()}
        around = [(y, x) for y, x in product((-1, 0, 1), repeat=2) if y or x]
        count = {
            (y, x): sum(((y + down) % 10, (x + over) % 10) in alive for down, over in around)
            for y, x in product(range(10), repeat=2)
        }
        after = {cell for cell, near in count.items() if near == 3 or (near == 2 and cell in alive)}
        wanted = {(y, x) for y, x in np.argwhere(np.isin(question, [2, 6, 8])).tolist()}
        known = [(y, x) in alive for y, x in np.argwhere(question > 4).tolist()]
        good.append(after == wanted and known == (question[question > 4] > 6).tolist())
    assert life.valid(pairs.question, answers).tolist() == good
    assert 0 < sum(good) < 20
    assert life.valid(pairs.question, pairs.answer).all()
    images = [
        life.augment(question, answer, rng) for question, answer in zip(pairs.question, pairs.answer, strict=True)
    ]
    moved = [np.stack(part) for part in zip(*images, strict=True)]
    assert life.valid(*moved).all()
    assert all((one != other).any() for one, other in combinations(moved[0], 2))
    assert life.read(life.draw(moved[0][3])).question.tolist() == [moved[0][3].tolist()]
    question, answer = pairs.question[0], pairs.answer[0]
    easier = life.reveal(question, answer, 0.4, rng)
    assert ((question < 3).sum(), (easier < 3).sum()) == (25, 15)
    assert life.valid(easier[None], answer[None])[0]
    np.testing.assert_array_equal(np.isin(easier, [2, 6, 8]), np.isin(question, [2, 6, 8]))
    np.testing.assert_array_equal(life.shown(question, answer)[question > 4], question[question > 4])
