"""Reading, symmetries, checking and drawing of Sudokus."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trm.errors import BadInput
from trm.tasks.base import Task, Tokens
from trm.tasks.sudoku.task import SIZES, Sudoku, sudoku_for
from trm.tasks.text import decode, read_file

TASKS = list(SIZES.values())
NINE = Sudoku()
LINE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SOLVED = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
GENUINE = Path(__file__).parents[3] / "shared" / "data" / "sudoku_extreme" / "train.csv"


def pattern(task: Sudoku) -> Tokens:
    """A solved grid of any size by formula: each row is the one above it shifted by a box, each band by one more."""
    n, h, w = task.size, task.box_height, task.box_width
    grid = [[(w * (r % h) + r // h + c) % n + 2 for c in range(n)] for r in range(n)]
    return np.array(grid, np.uint8).reshape(-1)


def naive_valid(task: Sudoku, question: Tokens, answer: Tokens) -> bool:
    """The rules, cell pair by cell pair."""
    n, h, w = task.size, task.box_height, task.box_width
    if any(not 2 <= token < n + 2 for token in answer.tolist()):
        return False
    if any(q >= 2 and q != a for q, a in zip(question.tolist(), answer.tolist(), strict=True)):
        return False
    for a, b in itertools.combinations(range(n * n), 2):
        (r, c), (s, d) = divmod(a, n), divmod(b, n)
        if (r == s or c == d or (r // h, c // w) == (s // h, d // w)) and answer[a] == answer[b]:
            return False
    return True


def failure(text: str, task: Sudoku | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        (task or sudoku_for(text)).read(text)
    return str(caught.value)


def test_the_task_keeps_its_contract() -> None:
    task: Task = NINE
    assert (task.spec.name, task.spec.vocab, task.spec.first_symbol, task.spec.symbols) == ("sudoku", 11, 2, 9)
    for task in TASKS:
        assert isinstance(task, Sudoku)
        lines, boxes = task.spec.groups
        assert (len(lines), len(boxes)) == (2 * task.size, task.size)
        for part in (lines[: task.size], lines[task.size :], boxes):
            assert sorted(itertools.chain(*part)) == list(range(task.cells))
    assert Sudoku(2, 3).spec.groups[1][1] == (3, 4, 5, 9, 10, 11)


def test_import_is_light() -> None:
    code = "import sys, trm.tasks.sudoku.search; print({'torch', 'numba', 'huggingface_hub'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def grid(line: str, width: int = 9) -> str:
    return "\n".join(line[i : i + width] for i in range(0, len(line), width))


WAYS = {
    "dots": LINE,
    "zeros": LINE.replace(".", "0"),
    "underscores": LINE.replace(".", "_"),
    "stars": LINE.replace(".", "*"),
    "dashes": LINE.replace(".", "-"),
    "nine lines": grid(LINE),
    "spaced": "\n".join(" ".join(row) for row in grid(LINE).split("\n")),
    "windows": "\ufeff" + grid(LINE).replace("\n", "\r\n") + "\r\n",
    "comments": f"# easy\n\n{grid(LINE)}\n# end\n",
    "gaps between bands": "\n\n".join(grid(LINE)[i : i + 30] for i in range(0, 90, 30)),
    "drawn": NINE.draw(NINE.read(LINE).question[0]),
    "drawn in ASCII": "+---+---+---+\n"
    + "\n".join("|" + "|".join(row[i : i + 3] for i in (0, 3, 6)) + "|" for row in grid(LINE).split("\n"))
    + "\n*-----------*",
    "csv": f"source,question,answer,rating\nme,{LINE},{SOLVED},3\n",
    "csv without answers": f"question\n{LINE}\n",
    "quoted csv": f'"rating","question"\n"1,000","{LINE}"\n',
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_reads_the_same(way: str) -> None:
    assert sudoku_for(WAYS[way]) == NINE
    puzzles = NINE.read(WAYS[way])
    assert [NINE.to_line(row) for row in puzzles.question] == [LINE]
    assert puzzles.answer.any() == (way == "csv")


def test_a_quoted_comma_hides_no_column() -> None:
    assert sudoku_for('source,question,answer\n"a, b",1.3...1.2...4..1,\n') == Sudoku(2, 2)


@pytest.mark.parametrize("task", TASKS)
def test_every_size_round_trips(task: Sudoku) -> None:
    solved = pattern(task)
    question = solved.copy()
    question[:: 3 if task.size > 4 else 5] = 1
    for text in (task.to_line(question), task.draw(question), task.to_line(question).lower()):
        assert sudoku_for(text) == task
        assert (task.read(f"{text}\n{text}").question == question).all()


def test_answers_of_the_csv_are_kept() -> None:
    puzzles = NINE.read(f"source,question,answer,rating\nx,{LINE},{SOLVED},1\nx,{LINE},,\n")
    assert NINE.to_line(puzzles.answer[0]) == SOLVED
    assert not puzzles.answer[1].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no puzzle found: the input is empty"),
        ("# only a comment\n", "no puzzle found: the input is empty"),
        (LINE[:-1], "puzzle 1 (line 1): 80 cells instead of 81 for a whole puzzle or 9 for one row"),
        (f"{LINE}\n{LINE}..", "puzzle 2 (line 2): 83 cells instead of 81 for a whole puzzle or 9 for one row"),
        (LINE.replace("7", "x", 1), "line 1, character 5: 'x' is not a digit (1-9) or a blank (. 0 _ *)"),
        (LINE.replace("7", "\u0665", 1), "line 1, character 5: '\u0665' is not a digit (1-9) or a blank (. 0 _ *)"),
        (
            f"{LINE}\n\n{LINE}\n#\n.........\n.5.....5.\n" + ".........\n" * 7,
            "puzzle 3 (line 5): two 5s in row 2: r2c2 and r2c8",
        ),
        ("5" + "." * 35 + "5" + "." * 44, "puzzle 1 (line 1): two 5s in column 1: r1c1 and r5c1"),
        ("1" + "." * 9 + "1" + "." * 70, "puzzle 1 (line 1): two 1s in box 1: r1c1 and r2c2"),
        (".........\n" * 4 + "........\n", "puzzle 1 (line 5): row 5 has 8 cells instead of 9"),
        (".........\n" * 8, "puzzle 1 (line 1): the grid ends after 8 rows instead of 9"),
        ("source,question,answer,rating\n", "no puzzle found: the CSV has a heading and no rows"),
        ("question,answer\n1,2,3\n", "line 2: 3 columns instead of 2"),
        (f"question,answer\n{LINE}.,\n", "line 2, column question: 82 cells instead of 81"),
        (f"question,answer\n{LINE},{SOLVED[:-1]}.\n", "puzzle 1 (line 2), column answer: r9c9 is blank"),
        (
            f"question,answer\n{LINE},{'12' + SOLVED[2:]}\n",
            "puzzle 1 (line 2), column answer: two 1s in row 1: r1c1 and r1c8",
        ),
        (
            f"question,answer\n{LINE},{SOLVED.translate(str.maketrans('12', '21'))}\n",
            "puzzle 1 (line 2), column answer: r2c4 is 2 where the question gives 1",
        ),
    ],
)
def test_errors_name_the_place(text: str, message: str) -> None:
    assert failure(text, NINE) == message


def test_a_digit_too_large_for_the_size() -> None:
    assert failure("5...............", Sudoku(2, 2)).endswith("'5' is not a digit (1-4) or a blank (. 0 _ *)")
    assert "(1-9, A-G)" in failure("H" + "." * 255)


def test_unsupported_boxes_are_refused() -> None:
    for height, width in ((0, 3), (5, 5), (1, 1)):
        with pytest.raises(BadInput):
            Sudoku(height, width)


# Malformed puzzles: a good one in some form, damaged in a way that makes it malformed for certain.

# No surrogates: they cannot be read from a file or printed.
JUNK = st.characters(exclude_characters='0123456789._*-|+=¦!#," \t\r\n\ufeff', codec="utf-8").filter(
    lambda c: not 0x2500 <= ord(c) < 0x2580 and not c.isspace()
)


@st.composite
def malformed(draw: st.DrawFn) -> str:
    text = WAYS[draw(st.sampled_from(sorted(set(WAYS) - {"windows", "comments", "quoted csv"})))]
    damage = draw(st.sampled_from(["junk", "cut", "longer", "clash", "nothing but"]))
    places = [i for i, c in enumerate(text) if c in "123456789" and text[: i + 1].count("\n") == text.count("\n", 0, i)]
    at = draw(st.sampled_from(places))
    if damage == "junk":
        return text[:at] + draw(JUNK) + text[at + 1 :]
    if damage == "cut":
        return text[:at] + text[at + 1 :]
    if damage == "longer":
        return text[:at] + draw(st.text("123456789", min_size=1, max_size=20)) + text[at:]
    if damage == "clash":
        other = draw(st.sampled_from([i for i in range(81) if LINE[i] != "." and i // 9 == 0 and LINE[i] != "5"]))
        return LINE[:other] + "5" + LINE[other + 1 :]
    return draw(st.text(JUNK, min_size=1, max_size=300))


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(malformed())
def test_500_malformed_puzzles_are_one_line_errors(text: str) -> None:
    message = failure(text)
    assert message.isprintable()
    assert len(message) < 200


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.one_of(st.text(max_size=400), st.text('0123456789.|-+\n,#" qusetionawr', max_size=400)), st.binary(max_size=300)
)
def test_no_other_error_whatever_the_text(text: str, data: bytes) -> None:
    def read(string: str) -> None:
        sudoku_for(string).read(string)

    trials: list[Callable[[], object]] = [
        lambda: read(text),
        lambda: read("question,answer\n" + text),
        lambda: read(decode(data, "data")),
    ]
    for trial in trials:
        message = ""
        try:
            trial()
        except BadInput as error:
            message = str(error)
        assert message == "" or message.isprintable()


def test_damaged_files(tmp_path: Path) -> None:
    for name, data, part in (
        ("empty", b"", "empty"),
        ("latin", b"1" * 20 + b"\xe9", "not UTF-8 text: byte 0xe9 at position 20"),
        ("utf16", LINE.encode("utf-16")[:-1], "not UTF-16 text: byte 0x39 at position 162"),
        ("nul", b"1\n2\0", "NUL byte in line 2"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInput, match=part) as caught:
            NINE.read(read_file(tmp_path / name))
        assert str(caught.value).isprintable()
    for path in (tmp_path, tmp_path / "absent", "nul\0in\nname"):
        with pytest.raises(BadInput, match="cannot read") as caught:
            read_file(path)
        assert str(caught.value).isprintable()


def test_a_file_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trm.tasks.text.MAX_BYTES", 100)
    (tmp_path / "large").write_text("." * 101)
    with pytest.raises(BadInput, match="larger than"):
        read_file(tmp_path / "large")


@pytest.mark.parametrize("task", TASKS)
def test_symmetries_keep_sudokus_and_undo(task: Sudoku) -> None:
    rng, solved = np.random.default_rng(1), pattern(task)
    question = task.reveal(np.ones_like(solved), solved, 0.4, rng)
    images = set()
    for _ in range(30):
        symmetry = task.random_symmetry(rng)
        moved = symmetry.apply(solved)
        images.add(moved.tobytes())
        assert naive_valid(task, symmetry.apply(question), moved)
        assert (symmetry.inverse().apply(moved) == solved).all()
        assert (symmetry.apply(symmetry.inverse().apply(question)) == question).all()
        both = np.stack([question, solved])
        assert (symmetry.apply(both)[1] == moved).all()
        assert all((a == b).all() for a, b in zip(task.augment(question, solved, rng), both, strict=True)) is False
    assert len(images) > 20


def test_6x6_is_never_transposed() -> None:
    task, rng = Sudoku(2, 3), np.random.default_rng(0)
    rows = [{i // 6 for i in task.random_symmetry(rng).cells[:6].tolist()} for _ in range(50)]
    assert all(len(row) == 1 for row in rows)
    turned = [len({i // 9 for i in NINE.random_symmetry(rng).cells[:9].tolist()}) for _ in range(50)]
    assert set(turned) == {1, 9}


def test_reveal_gives_the_share_it_says() -> None:
    puzzle, rng = NINE.read(f"question,answer\n{LINE},{SOLVED}"), np.random.default_rng(3)
    question, answer = puzzle.question[0], puzzle.answer[0]
    blanks = int((question == 1).sum())
    for share in (0.0, 0.3, 1.0):
        easier = NINE.reveal(question, answer, share, rng)
        assert int((easier == 1).sum()) == blanks - round(share * blanks)
        assert ((easier == 1) | (easier == answer)).all()
        assert ((question == 1) | (easier == question)).all()
    assert (question == puzzle.question[0]).all()
    with pytest.raises(ValueError, match="share"):
        NINE.reveal(question, answer, 1.5, rng)


@pytest.mark.parametrize("task", TASKS[:3])
def test_valid_agrees_with_the_rules(task: Sudoku) -> None:
    rng, solved = np.random.default_rng(2), pattern(task)
    answers, questions = np.repeat(solved[None], 60, 0), np.repeat(solved[None], 60, 0)
    for row in range(60):
        questions[row, rng.permutation(task.cells)[: task.cells // 2]] = rng.integers(0, 2)
        if row % 3:  # one or two cells changed, to any token at all
            answers[row, rng.integers(0, task.cells, row % 3)] = rng.integers(0, 256)
        elif row % 2:
            answers[row] = task.random_symmetry(rng).apply(solved)
    expected = [naive_valid(task, q, a) for q, a in zip(questions, answers, strict=True)]
    assert task.valid(questions, answers).tolist() == expected
    assert 5 < sum(expected) < 55


def test_names_and_clashes() -> None:
    assert (NINE.cell_name(0), NINE.cell_name(16)) == ("r1c1", "r2c8")
    assert NINE.clash(NINE.read(LINE).question[0]) is None


@pytest.mark.skipif(not GENUINE.exists(), reason="the shared benchmark rows are not here")
def test_the_benchmark_file_reads() -> None:
    text = read_file(GENUINE)
    puzzles = sudoku_for(text).read(text)
    assert len(puzzles) == 1000
    assert NINE.valid(puzzles.question, puzzles.answer).all()
