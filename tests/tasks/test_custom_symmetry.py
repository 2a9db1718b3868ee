"""Symmetries of a custom task: declared, or found in the pairs, and what training makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from trm.errors import BadInput
from trm.tasks.custom.structure import SQUARE, Structure, parse
from trm.tasks.custom.symmetry import TURNS, images
from trm.tasks.custom.task import Custom
from trm.training.presets import PRESETS, custom_run
from trm.training.presets.base import GROUPS
from trm.training.presets.custom import HALT, RELATIONS


def moved(grid: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The eight images of a board."""
    return [np.ascontiguousarray(np.rot90(one, turns)) for one in (grid, grid[::-1]) for turns in range(4)]


@pytest.mark.parametrize(
    ("shape", "names", "count"),
    [
        ((3, 3), [*TURNS], 8),
        ((3, 3), ["turned by a quarter"], 4),
        ((3, 3), ["turned by a quarter", "mirrored left to right"], 8),
        ((3, 3), ["rows and columns exchanged"], 2),
        ((2, 3), ["mirrored left to right", "mirrored top to bottom"], 4),
        ((2, 3), ["turned by half"], 2),
        ((2, 3), [], 1),
    ],
    ids=str,
)
def test_images_are_those_that_the_moves_generate(shape: tuple[int, int], names: list[str], count: int) -> None:
    found = images(shape, names)  # type: ignore[arg-type]  # plain text
    board = np.arange(shape[0] * shape[1]).reshape(shape)
    assert found[0].tolist() == board.reshape(-1).tolist()
    assert len({one.tobytes() for one in found}) == len(found) == count
    possible = {one.tobytes() for one in moved(board) if one.shape == shape}
    assert {one.tobytes() for one in found} <= possible
    if count == 8:
        assert {one.tobytes() for one in found} == possible


def test_training_shows_every_image_of_a_pair() -> None:
    structure = {"shape": [2, 2], "blank": 0, "values": [0, 1, 2], "interchangeable": True, "symmetries": [*TURNS]}
    task, rng = Custom(Structure.model_validate(structure)), np.random.default_rng(0)
    question, answer = np.array([1, 2, 1, 3], np.uint8), np.array([2, 2, 3, 3], np.uint8)  # 1: the blank
    seen = {b"".join(one.tobytes() for one in task.augment(question, answer, rng)) for _ in range(300)}
    expected = set()
    for names in ([0, 1, 2, 3], [0, 1, 3, 2]):
        pairs = zip(*(moved(np.array(names, np.uint8)[one.reshape(2, 2)]) for one in (question, answer)), strict=True)
        expected |= {b"".join(one.tobytes() for one in pair) for pair in pairs}
    assert seen == expected


def test_symmetries_of_squares_are_for_squares() -> None:
    for name in TURNS:
        content = {"shape": [2, 3], "symmetries": [name]}
        if name in SQUARE:
            with pytest.raises(BadInput, match=f"symmetry '{name}' is for square boards, and this one is of 2x3"):
                parse(content, "s.json")
        else:
            assert parse(content, "s.json").symmetries == (name,)
    with pytest.raises(BadInput, match="input should be 'turned by half'"):
        parse({"symmetries": ["upside down"]}, "s.json")


def test_without_a_structure_the_pairs_say_what_training_may_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    # Latin squares: everything that is looked for holds. Sums along the rows: only a flip of the rows.
    base = np.add.outer(np.arange(4), np.arange(4)) % 4
    answer = np.array([1 + rng.permutation(4)[base][rng.permutation(4)][:, rng.permutation(4)] for _ in range(200)])
    np.savez(tmp_path / "latin.npz", question=np.where(rng.random(answer.shape) < 0.5, 0, answer), answer=answer)
    grids = rng.integers(0, 3, (300, 4, 4))
    np.savez(tmp_path / "sums.npz", question=grids, answer=grids.cumsum(2) % 3)
    found = custom_run(PRESETS["custom"].config, str(tmp_path / "latin.npz"), None)
    assert (found.custom.blank, found.custom.interchangeable, found.custom.groups) == (0, True, ())
    assert {*found.custom.symmetries} == {*TURNS}
    assert found.model == RELATIONS.changed(halt_probability=HALT)
    assert (
        "found in the pairs: blank 0; symmetries that training uses: numbers renamed, turned" in capsys.readouterr().err
    )
    found = custom_run(PRESETS["custom"].config, str(tmp_path / "sums.npz"), None)
    assert (found.custom.blank, found.custom.interchangeable) == (None, False)
    assert {*found.custom.symmetries} == {"mirrored top to bottom"}
    assert "blank none; symmetries that training uses: mirrored top to bottom\n" in capsys.readouterr().err
    # What is declared is taken as it is.
    (tmp_path / "rules.json").write_text('{"blank": 0, "interchangeable": true, "groups": [["rows", "columns"]]}')
    found = custom_run(PRESETS["custom"].config, str(tmp_path / "latin.npz"), tmp_path / "rules.json")
    assert (found.model, found.custom.symmetries) == (GROUPS.changed(halt_probability=HALT), ())
    assert capsys.readouterr().err == ""


def test_few_pairs_say_nothing_of_symmetries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of pairs with the same answer only one counts, and a few of them could contradict nothing."""
    rng = np.random.default_rng(0)
    question = np.zeros((400, 4, 4), np.int64)
    answer = np.zeros_like(question)
    for row in range(400):  # the number of the quadrant in which the mark is
        y, x = rng.integers(0, 4, 2)
        question[row, y, x] = 5
        answer[row] = 1 + 2 * (y // 2) + x // 2
    np.savez(tmp_path / "few.npz", question=question, answer=answer)
    found = custom_run(PRESETS["custom"].config, str(tmp_path / "few.npz"), None)
    assert (found.custom.symmetries, found.custom.interchangeable) == ((), False)
    assert "none, as too few pairs differ in question and answer to look for any" in capsys.readouterr().err


def test_symmetries_that_move_groups_onto_none() -> None:
    content = {"shape": [3, 3], "values": [1, 2, 3], "groups": [[[0, 1, 2]]]}
    with pytest.raises(
        BadInput, match="symmetry 'turned by a quarter' does not suit the groups: it moves that of r1c1"
    ):
        Custom(Structure.model_validate({**content, "symmetries": ["turned by a quarter"]}))
    assert Custom(Structure.model_validate({**content, "symmetries": ["mirrored left to right"]})).spec.groups
    both = {**content, "groups": [["rows"], ["columns"]], "symmetries": [*TURNS]}
    assert Custom(Structure.model_validate(both)).spec.groups
