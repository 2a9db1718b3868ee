"""Custom tasks: what their files may hold, and what malformed files are told."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trm.errors import BadInput
from trm.tasks import load_puzzles
from trm.tasks.custom.layers import defined
from trm.tasks.custom.structure import Structure, parse, read_structure
from trm.tasks.custom.task import Custom
from trm.tasks.custom.text import read_text
from trm.training.presets.base import GROUPS, LOCAL
from trm.training.presets.custom import RELATIONS, suited

LATIN = Structure(shape=(3, 3), values=(0, 1, 2, 3), blank=0, interchangeable=True, groups=(("rows", "columns"),))
SQUARE = np.array([[1, 2, 3], [2, 3, 1], [3, 1, 2]])
TOML = 'blank = 0\ninterchangeable = true\ngroups = [["rows", "columns"]]\n'
CSV = "question,answer\n1 2 3 2 3 1 3 1 .,1 2 3 2 3 1 3 1 2\n120000000,123231312\n"


def questions(count: int, seed: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Latin squares of side 3: with some cells hidden, and complete."""
    rng = np.random.default_rng(seed)
    answer = np.array([(1 + rng.permutation(3))[SQUARE[rng.permutation(3)] - 1] for _ in range(count)])
    return np.where(rng.random(answer.shape) < 0.4, 0, answer), answer


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


# The structure


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(TOML + "shape = [3, 3]\nvalues = [3, 2, 1, 0]\n")
    content = {"shape": [3, 3], "values": [0, 1, 2, 3], "blank": 0, "interchangeable": True}
    (tmp_path / "s.json").write_text(json.dumps({**content, "groups": [["rows", "columns"]]}))
    assert read_structure(tmp_path / "s.json") == LATIN
    if sys.version_info >= (3, 11):
        assert read_structure(tmp_path / "s.toml") == LATIN


def test_groups_written_out_are_the_same_groups() -> None:
    rows = [[0, 1, 2, 3], [4, 5, 6, 7]]
    columns = [[0, 4], [1, 5], [2, 6], [3, 7]]
    short = parse({"shape": [2, 4], "groups": [["rows"], ["columns", [0, 7]]]}, "short")
    long = parse({"shape": [2, 4], "groups": [rows, [*columns, [0, 7]]]}, "long")
    assert tuple(short.expanded(short.groups)) == tuple(long.expanded(long.groups))
    assert [[list(cells) for cells in kind] for kind in short.expanded(short.groups)] == [rows, [*columns, [0, 7]]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"size": [3, 3]}, "size: is not a key of a structure; the keys are shape, any_size, values, blank, "),
        ([], "a structure is an object of keys and values"),
        ({"shape": [3]}, "shape: a shape is [rows, columns]"),
        ({"shape": [3, 0]}, "shape[1]: input should be greater than or equal to 1"),
        ({"shape": [3, 257]}, "shape[1]: input should be less than or equal to 256"),
        ({"shape": "3x3"}, "shape: write [rows, columns]"),
        ({"shape": 7}, "shape: write [rows, columns]"),
        ({"values": 7}, "values: write a list"),
        ([1], "s.toml: a structure is an object of keys and values"),
        ({"values": [1, -1]}, "values[1]: input should be greater than or equal to 0"),
        ({"values": [1, 1.5]}, "values[1]: input should be a valid integer"),
        ({"values": [True, 2]}, "values[0]: input should be a valid integer"),
        ({"values": [1, 1]}, "values: a number occurs twice"),
        ({"values": list(range(256))}, "values: tuple should have at most 255 items"),
        ({"blank": -1}, "blank: input should be greater than or equal to 0"),
        ({"blank": 10**9}, "blank: input should be less than or equal to 999999999"),
        ({"blank": 4, "values": [1, 2]}, "the blank, 4, is not among the values"),
        ({"interchangeable": 1}, "interchangeable: input should be a valid boolean"),
        ({"interchangeable": True}, "interchangeable numbers need a blank"),
        ({"interchangeable": True, "blank": 0, "values": [0, 1]}, "at least two numbers must be interchangeable"),
        ({"neighbours": 6}, "neighbours: input should be 4 or 8"),
        ({"neighbours": 4, "radius": 9}, "radius: input should be less than or equal to 8"),
        ({"radius": 2}, "radius and wrap are about neighbours"),
        ({"wrap": True}, "radius and wrap are about neighbours"),
        ({"shape": [2, 2], "related": [[[1, 4]]]}, "related group 1 names cell 4"),
        ({"groups": ["rows"]}, 'groups[0]: write kinds of groups, [["rows", "columns"]]'),
        ({"related": "rows"}, 'related: write kinds of groups, [["rows"], ["columns"]]'),
        ({"groups": [[]]}, "groups[0]: a list with nothing in it"),
        ({"groups": [["boxes"]]}, 'groups[0][0]: a group is "rows", "columns" or a list of cell numbers from 0'),
        ({"groups": [[[]]]}, "groups[0][0]: a group is"),
        ({"groups": [[[0, True]]]}, "groups[0][0]: a group is"),
        ({"groups": [[[0, -1]]]}, "groups[0][0]: a group is"),
        ({"groups": [["rows", [0, 1, 0]]]}, "groups[0][1]: a cell is in this group twice"),
        ({"shape": [2, 2], "groups": [["rows", [1, 4]]]}, "group 3 names cell 4, but a board of 2x2 has cells 0 to 3"),
        ({"shape": [3, 3], "values": [1, 2], "groups": [["rows"]]}, "group 1 has 3 cells, but there are only 2"),
        ({"signs": {"x": "o"}}, "signs: 'x' is not one of the task's numbers"),
        ({"signs": {"1": "o", "01": "x"}}, "signs: a number occurs twice"),
        ({"signs": {"1": "seven"}}, "signs: the sign of 1 must be at most 4 characters, not 'seven'"),
        ({"signs": {"1": "\n"}}, "signs: the sign of 1 must be"),
        ({"signs": {"1": 2}}, "signs[0][1]: input should be a valid string"),
        ({"signs": ["o"]}, 'signs[0]: write an object of texts by number, {"1": "o"}'),
        ({"colours": {"1": "red"}}, "colours: the colour of 1 must be written as #rrggbb, not 'red'"),
        ({"colours": {"2": "#ff0000"}, "values": [0, 1]}, "2 has a sign or a colour, but is not among the values"),
        ({"shape": [1, 2], "values": [0, 1], "blank": 0, "groups": [["rows"]]}, "there are only 1 different numbers"),
    ],
)
def test_bad_structures(content: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(content, "s.toml")
    assert str(caught.value).startswith("s.toml: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_structure_files(tmp_path: Path) -> None:
    for name, text, words in (
        ("a.toml", "blank = ", "a.toml: not TOML"),
        ("b.json", "{", "b.json: not JSON"),
        ("c.json", "[" * 100_000, "c.json: not JSON"),
        ("d.json", "\0", "NUL byte"),
    ):
        (tmp_path / name).write_text(text)
        if name.endswith(".toml") and sys.version_info < (3, 11):
            words = "needs Python 3.11"
        with pytest.raises(BadInput, match=words):
            read_structure(tmp_path / name)
    with pytest.raises(BadInput, match="cannot read"):
        read_structure(tmp_path / "none.toml")


@given(st.recursive(st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | st.sampled_from(["rows", "x", ""]),
                    lambda part: st.lists(part, max_size=4)),
       st.sampled_from([*Structure.model_fields, "unknown"]))  # fmt: skip
def test_any_structure_is_one_or_one_line_of_complaint(value: Any, key: str) -> None:
    content = {"shape": [2, 3], "blank": 0, key: value}
    try:
        structure = parse(content, "s.json")
    except BadInput as error:
        said = str(error)
        assert (said[:8], len(said.splitlines())) == ("s.json: ", 1)
    else:
        assert Structure.model_validate_json(structure.model_dump_json()) == structure
        for cells in itertools.chain(*structure.expanded(structure.groups)) if structure.shape else ():
            assert all(0 <= cell < structure.shape[0] * structure.shape[1] for cell in cells)


# The data


def test_csv_and_npz_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    question, answer = np.stack([SQUARE, SQUARE]), np.stack([SQUARE, SQUARE])
    question[0, 2, 2] = 0
    question[1].reshape(-1)[2:] = 0
    path = save(tmp_path / "a.npz", question=question, answer=answer.astype(np.uint8))
    shaped = Structure(shape=(3, 3), blank=0, interchangeable=True, groups=(("rows", "columns"),))
    assert defined(path, shaped.model_copy(update={"shape": ()})) == defined(str(tmp_path / "a.csv"), shaped) == LATIN
    task = Custom(LATIN)
    for puzzles in (load_puzzles(task, path), load_puzzles(task, str(tmp_path / "a.csv"))):
        np.testing.assert_array_equal(puzzles.question, question.reshape(2, 9) + 1)
        np.testing.assert_array_equal(puzzles.answer, answer.reshape(2, 9) + 1)


def test_any_numbers_will_do(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", question=[[[700, 5]], [[5, 9]]], answer=[[[9, 9]], [[123_456_789, 5]]])
    structure = defined(path, Structure())
    assert (structure.shape, structure.values) == ((1, 2), (5, 9, 700, 123_456_789))
    task = Custom(structure)
    assert (task.spec.vocab, task.spec.first_symbol, task.spec.groups) == (5, 5, ())
    puzzles = task.read_file(path)
    np.testing.assert_array_equal(puzzles.question, [[3, 1], [1, 2]])
    np.testing.assert_array_equal(puzzles.answer, [[2, 2], [4, 1]])
    marked = Custom(defined(path, Structure(blank=9)))
    np.testing.assert_array_equal(marked.read("700 .").question, [[3, 1]])
    assert marked.spec.vocab == 5


def bad_archives(folder: Path) -> Iterator[tuple[str, str]]:
    good = np.stack([SQUARE])
    yield save(folder / "a.npz", question=good), "needs two arrays called question and answer"
    yield save(folder / "b.npz", question=good, answer=good[:, :2]), r"question is of shape \(1, 3, 3\) and answer of"
    yield save(folder / "c.npz", question=good[0], answer=good[0]), r"array question is of shape \(3, 3\), not \[rows"
    yield save(folder / "d.npz", question=good[:0], answer=good[:0]), r"is of shape \(0, 3, 3\)"
    yield save(folder / "e.npz", question=good / 2, answer=good), "array question holds float64, not whole numbers"
    yield save(folder / "f.npz", question=good, answer=good.astype(str)), "array answer holds <U"
    yield save(folder / "g.npz", question=good, answer=-good), "array answer, row 0: r1c3 is -3, which is negative"
    yield save(folder / "h.npz", question=good * 10**9, answer=good), "r1c3 is 3000000000, which is too large"
    ragged = np.array([[1], [2, 3]], object)
    np.savez(folder / "i.npz", question=ragged, answer=ragged)
    yield str(folder / "i.npz"), "or it is damaged: Object arrays cannot be loaded"
    wide = np.arange(400).reshape(1, 20, 20)
    yield (
        save(folder / "j.npz", question=wide, answer=wide),
        "400 different numbers, but a model can tell at most 255 apart",
    )
    (folder / "k.npz").write_bytes(b"PK")
    yield str(folder / "k.npz"), "is not an .npz file"
    yield str(folder / "none.npz"), "cannot read .*none.npz.*: No such file"
    yield str(folder), "cannot read"
    np.save(folder / "l.npy", good)
    (folder / "l.npy").rename(folder / "l.npz")
    yield str(folder / "l.npz"), "is not an .npz file"


def test_bad_archives(tmp_path: Path) -> None:
    for path, words in bad_archives(tmp_path):
        with pytest.raises(BadInput, match=words) as caught:
            defined(path, Structure())
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no puzzle found: it is empty"),
        ("# nothing\n\n", "no puzzle found: it is empty"),
        ("question,answer\n", "no puzzle found: the CSV has a heading and no rows"),
        ("question,answer\n123231312\n", "line 2: 1 columns instead of 2"),
        ("question,answer\n1,2\n", "line 2, column question: 1 number instead of 9"),
        ("question,answer\n1 2 3 2 3 1 3 1 x,123231312\n", "line 2, column question, number 9: 'x' is not a whole num"),
        ("question,answer\n1 2 3 2 3 1 3 1 -2,123231312\n", "number 9: '-2' is not a whole number from 0"),
        ("question,answer\n1 2 3 2 3 1 3 1 2.0,123231312\n", "number 9: '2.0' is not"),
        ("question,answer\n1 2 3 2 3 1 3 1 1000000000,123231312\n", "number 9: '1000000000' is not"),
        ("question,answer\n\n123000000,12323131é\n", "line 3, column answer, number 9: 'é' is not"),
        ("question,answer\n123000000,123231312\n000000004,123231312\n", "line 3: r3c3 is 4, which is not one of"),
        ("question,answer\n110000000,123231312\n", "line 2, question: r1c1 and r1c2 of group 1 are both 1"),
        ("question,answer\n300000000,123231312\n", "line 2, answer: r1c1 is 1 where the question gives 3"),
        ("question,answer\n000000000,123231322\n", "line 2, answer: r3c2 and r3c3 of group 3 are both 2"),
        ("question,answer\n000000000,12323131.\n", "line 2, answer: r3c3 is blank"),
        ("123\n231\n", "line 1: the grid ends after 2 rows instead of 3"),
        ("123\n23\n", "line 2: 2 numbers instead of 3"),
        ("1234\n", "line 1: 4 numbers instead of 3 or 9"),
    ],
)
def test_bad_text(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        Custom(LATIN).read_file(str(tmp_path / "a.csv"))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_without_an_answer_are_refused_where_one_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer\n123231312,123231312\n123000000,\n")
    task = Custom(LATIN)
    assert not task.read_file(str(tmp_path / "a.csv")).answer[1].any()
    with pytest.raises(BadInput, match="puzzle 2 has no answer"):
        load_puzzles(task, str(tmp_path / "a.csv"))


def test_data_that_contradicts_the_structure(tmp_path: Path) -> None:
    question, answer = questions(4)
    path = save(tmp_path / "a.npz", question=question, answer=answer)
    for structure, words in (
        (Structure(shape=(3, 4)), "a.npz: grids of 3x3, but the structure declares 3x4"),
        (Structure(groups=(((0, 9),),)), "the structure: group 1 names cell 9"),
        (Structure(groups=(((0, 1, 2, 3, 4),),)), "the structure: group 1 has 5 cells, but there are only 4"),
    ):
        with pytest.raises(BadInput, match=words):
            defined(path, structure)
    with pytest.raises(BadInput, match="text has no shape"):
        read_text(CSV, Structure(), "a.csv")
    other = save(tmp_path / "b.npz", question=question[:, :2], answer=answer[:, :2])
    with pytest.raises(BadInput, match=r"b\.npz: grids of 2x3, but this task has 3x3"):
        Custom(defined(path, Structure())).read_file(other)
    with pytest.raises(BadInput, match=r"row 0: r1c1 is .*not one of the task's numbers"):
        Custom(Structure(shape=(3, 3), values=(7,))).read_file(path)


GOOD = io.BytesIO()
np.savez(GOOD, question=np.stack([SQUARE] * 2), answer=np.stack([SQUARE] * 2))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.tuples(st.just(".npz"), st.binary(max_size=100)),
        st.builds(  # an archive with some bytes changed or cut off
            lambda at, new, end: (".npz", (GOOD.getvalue()[:at] + new + GOOD.getvalue()[at + len(new) :])[:end]),
            st.integers(0, len(GOOD.getvalue())),
            st.binary(max_size=3),
            st.integers(0, 3000),
        ),
        st.tuples(st.just(".csv"), st.binary(max_size=60)),
        st.builds(lambda text: (".csv", b"question,answer\n" + text.encode()), st.text('0123 .,-\n"é#', max_size=60)),
    )
)
def test_any_file_is_read_or_refused_in_one_line(tmp_path: Path, file: tuple[str, bytes]) -> None:
    path = tmp_path / f"a{file[0]}"
    path.write_bytes(file[1])
    try:
        puzzles = Custom(LATIN).read_file(str(path))
    except BadInput as error:
        said = str(error)
        assert (len(said.splitlines()), "a." in said) == (1, True)
    else:
        assert puzzles.question.shape == puzzles.answer.shape == (len(puzzles), 9)
        assert (puzzles.question > 0).all()


RULES = {"groups": [["rows", "columns"]], "blank": 0, "interchangeable": True}


@pytest.mark.parametrize(
    ("declared", "model"),
    [
        ({}, RELATIONS),
        ({"groups": [["rows"]], "blank": 0}, RELATIONS),
        (RULES, GROUPS),
        ({"blank": 0, "interchangeable": True}, RELATIONS),
        ({"neighbours": 4}, LOCAL),
        ({"neighbours": 4, "groups": [["rows"]]}, RELATIONS),
        ({"neighbours": 4, "wrap": True}, RELATIONS),
        ({"neighbours": 4, "radius": 2}, RELATIONS),
        ({"neighbours": 8}, RELATIONS),
        ({**RULES, "neighbours": 8}, RELATIONS),
        ({**RULES, "related": [["rows"]]}, RELATIONS),
    ],
)
def test_the_model_is_chosen_by_the_structure(declared: dict[str, Any], model: Any) -> None:
    assert suited(Structure.model_validate(declared)) == model
