"""`trm solve` from end to end, and that whatever is wrong with a puzzle is one line and exit code 2."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import Call, Result, Trm, refused
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from rich.console import Console

from trm import store
from trm.errors import BadInput
from trm.inference.answers import Answer, Step
from trm.inference.puzzles import SizedPuzzle, read_argument
from trm.inference.solver import Solver
from trm.models import ModelConfig, build
from trm.tasks import get_task, load_puzzles
from trm.tasks.base import Tokens
from trm.tasks.sudoku.task import Sudoku
from trm.terminal import boards

TASK = Sudoku(2, 2)
CHARACTERS = st.one_of(st.sampled_from(".0123456789ABCG_*|-+=#,\"' \t\r\n\0\ufeff─│é²😀\u2028"), st.characters())


SOLVED = "1234341221434321"


OPEN = "................"  # any 4x4 solves it


IMPOSSIBLE = "123............4"  # r1c4 has to be 4 and cannot


def made_steps(answers: list[Tokens]) -> list[Step]:
    """A trace with these answers [cells]."""
    cells = np.ones((4, 4), np.float32)
    return [
        Step(TASK, tokens, n, 0, False, 0.5, cells[..., None], cells, 0.0, 0.0) for n, tokens in enumerate(answers, 1)
    ]


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that knows one answer and takes two steps to find it."""
    right = TASK.read(SOLVED).question[0]

    def solve(self: Solver, boards: Sequence[SizedPuzzle], *, trace: bool) -> list[Answer]:
        question = np.array([board.question for board in boards])
        first = np.where(question == 1, 2, question).astype(np.uint8)
        steps = [made_steps([start, right]) if trace else [] for start in first]
        return [
            Answer(TASK, right, row, True, 0.9, 2, 1, partial(tuple, kept))
            for row, kept in zip(question, steps, strict=True)
        ]

    monkeypatch.setattr(Solver, "solve_boards", solve)


@pytest.mark.usefixtures("oracle")
def test_solve_prints_the_answer(call: Call, tiny_run: Path) -> None:
    options = ["--weights", str(tiny_run)]
    verdict = "solved in 2 steps; every rule is obeyed"
    shown = f"{TASK.draw(TASK.read(SOLVED).question[0])}\n{verdict}\n{SOLVED}\n"
    assert call("solve", "sudoku", "12..341.2143432.", *options) == (0, shown, "")
    assert call("solve", "sudoku", "12..341.2143432.", *options, "-q") == (0, SOLVED + "\n", "")
    traced = call("solve", "sudoku", "12..341.2143432.", *options, "--trace").out
    assert re.findall("step.*changed", traced) == ["step 1: 4 cells changed", "step 2: 3 cells changed"]


@pytest.mark.usefixtures("oracle")
def test_solve_takes_files_and_standard_input(call: Call, tiny_run: Path, tmp_path: Path, small_csv: Path) -> None:
    options = ["--weights", str(tiny_run), "--quiet"]
    drawn = TASK.draw(TASK.read(OPEN).question[0]).encode()
    (tmp_path / "drawn.txt").write_bytes(drawn)
    assert call("solve", "sudoku", str(tmp_path / "drawn.txt"), *options) == (0, SOLVED + "\n", "")
    two = Result(0, f"{SOLVED}\n" * 2, "2 puzzles of 4x4 read\n2 of 2 solved\n")
    assert call("solve", "sudoku", "-", *options, stdin=drawn + b"\n\n" + drawn) == two
    assert call("solve", "sudoku", f"{OPEN}\n{OPEN}", *options) == two
    (tmp_path / "three.csv").write_text("question,answer\n" + f"{OPEN},\n" * 3)
    assert (
        call("solve", "sudoku", str(tmp_path / "three.csv"), *options).err == "3 puzzles of 4x4 read\n3 of 3 solved\n"
    )
    assert call("solve", "sudoku", str(small_csv), *options).code == 1  # the one answer is not that of these


@pytest.mark.usefixtures("oracle")
def test_solve_says_what_it_left_out(call: Call, tiny_run: Path) -> None:
    options = ["--weights", str(tiny_run)]
    done = call("solve", "sudoku", "-", *options, stdin=f"# mine\n{OPEN} 7.2".encode())
    assert done.err == "1 puzzle of 4x4 read; left out: 1 comment line, 1 note\n"
    assert call("solve", "sudoku", f"# mine\n{OPEN}", *options, "-q") == (
        0,
        SOLVED + "\n",
        "1 puzzle of 4x4 read; left out: 1 comment line\n",
    )
    assert call("solve", "sudoku", f"# mine\n{OPEN}\n{OPEN}", *options, "-q").err == (
        "2 puzzles of 4x4 read; left out: 1 comment line\n2 of 2 solved\n"
    )
    refused(call("solve", "sudoku", "nosuch.sdm", *options), "cannot read 'nosuch.sdm': No such file")
    refused(call("solve", "maze", "S..G."), "a maze of 1x5 cells is not supported")


@pytest.mark.usefixtures("oracle")
def test_answers_as_json(call: Call, tiny_run: Path) -> None:
    options = ["--weights", str(tiny_run), "--json"]
    done = call("solve", "sudoku", f"{OPEN}\n{SOLVED[:-1]}.", *options)
    found = json.loads(done.out)
    assert (done.code, done.err, done.out.count("\n")) == (0, "2 puzzles of 4x4 read\n", 1)
    assert (found["puzzles"], found["solved"]) == (2, 2)
    first, second = found["answers"]
    assert first == {
        "question": OPEN,
        "answer": SOLVED,
        "grid": [[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]],
        "solved": True,
        "valid": True,
        "confidence": 0.9,
        "steps": 2,
        "starts": 1,
        "problem": "it has more than one solution",
        "remarks": [],
    }
    assert (second["question"], second["problem"]) == (SOLVED[:-1] + ".", "")
    refused(call("solve", "sudoku", OPEN, *options, "--trace"), "leave out --trace, or --json")


def test_what_cannot_be_solved_as_json(call: Call, tiny_run: Path) -> None:
    done = call("solve", "sudoku", IMPOSSIBLE, "--weights", str(tiny_run), "--steps", "2", "--json", "--restarts", "0")
    (found,) = json.loads(done.out)["answers"]
    assert (done.code, found["solved"], found["problem"]) == (1, False, "it has no solution")
    assert done.err == "the puzzle has no solution\n"


@pytest.mark.usefixtures("tiny_run")
def test_a_puzzle_without_a_solution_gets_one_start(call: Call, tiny_run: Path) -> None:
    options = ["--weights", str(tiny_run), "--steps", "2", "--restarts", "5", "--json"]
    done = call("solve", "sudoku", f"{IMPOSSIBLE}\n{'.' * 15}1\n{IMPOSSIBLE}", *options)
    answers = json.loads(done.out)["answers"]
    assert [answer["question"] for answer in answers] == [IMPOSSIBLE, "." * 15 + "1", IMPOSSIBLE]
    assert [answer["starts"] for answer in answers] == [1, 6, 1]
    assert done.err.splitlines()[1] == "puzzles 1, 3 have no solution"


@pytest.mark.parametrize("line", ["-" * 16, "--34\n3412\n2143\n432-"])
def test_a_puzzle_that_begins_like_an_option(trm: Trm, tiny_run: Path, line: str) -> None:
    done = trm("solve", "sudoku", line, "--weights", str(tiny_run), "--steps", "2", "-q", "--restarts", "0")
    assert len(done.stdout) == 17
    assert (done.returncode, done.stderr) in ((1, "not solved\n"), (0, ""))


def test_solve_fails_and_says_so(trm: Trm, tiny_run: Path) -> None:
    done = trm(
        "solve", "sudoku", "-", "--weights", str(tiny_run), "--steps", "3", "--trace", stdin=f"{OPEN}\n{IMPOSSIBLE}"
    )
    assert (done.returncode, done.stderr) == (
        1,
        "2 puzzles of 4x4 read\npuzzle 2 has no solution\n0 of 2 solved; not solved: 1, 2\n",
    )
    assert done.stdout.count("step 3: ") == 2
    for words in ("2 of 2: not solved after 3", "1 of 2: note: it has more than", "2 of 2: note: it has no solution"):
        assert f"puzzle {words}" in done.stdout


def test_a_trace_on_a_terminal_changes_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "FRAME_SECONDS", 0)
    written = io.StringIO()
    rows = TASK.read(f"{OPEN}\n{IMPOSSIBLE}\n{SOLVED}").question
    console = Console(file=written, force_terminal=True, width=80, height=40, legacy_windows=False)
    steps = made_steps([rows[1], rows[2]])
    boards.trace(console, Answer(TASK, rows[2], rows[0], True, 0.5, 2, 1, partial(tuple, steps)))
    step_1, up, step_2 = map(written.getvalue().index, ("step 1: 4 cells", "\x1b[1A", "step 2: 13 cells"))
    assert step_1 < up < step_2


@pytest.mark.parametrize(
    ("puzzle", "words"),
    [
        ("12", ["puzzle 1 (line 1): 2 cells instead of 81"]),
        ("11..............", ["puzzle 1 (line 1): two 1s in row 1: r1c1 and r1c2"]),
        ("1234x...........", ["line 1, character 5: 'x' is not a digit"]),
        ("no/such/file", ["cannot read 'no/such/file'"]),
        ("none.csv", ["cannot read 'none.csv'"]),
        (".", ["cannot read '.'", "directory"]),
        ("-", ["no puzzle found"]),
        ("", ["''"]),
        ("\udcff\0", ["line 1, character 1"]),
    ],
)
def test_malformed_puzzles(call: Call, puzzle: str, words: list[str]) -> None:
    refused(call("solve", "sudoku", puzzle), *words)
    refused(call("solve", "chess", puzzle), "task 'chess' is unknown")


NAMES = ["foo.opensudoku", "my+puzzle.sdm", "puzzles (1).txt", "puzzles (1).sudokus", "mine [1].ss", "my+puzzles"]
NAMES += ["two words", "l'été.sdx", "@list.sudokus", "b%20c.sdm", r"C:\x\y.sdm", "v1.2.sdm", "1-29.sdm", "../x"]


@pytest.mark.parametrize("task", ["sudoku", "maze"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_as_a_file_and_is_none(call: Call, name: str, task: str) -> None:
    refused(call("solve", task, name), f"cannot read {name!r}: No such file or directory")


CELLS = ["53..7h....6..195....98.", "53..7..../6..195..../.98....6.", "S...T...", "A.B.C.D.E.F.G..AH", "5" * 300]
CELLS += ['{"puzzle": "12"}', "..a", "1.2.3", "12"]


@pytest.mark.parametrize("text", CELLS)
def test_a_damaged_puzzle_is_not_taken_for_the_name_of_a_file(call: Call, text: str) -> None:
    done = call("solve", "sudoku", text)
    refused(done)
    assert "cannot read" not in done.err


def test_solve_reads_mazes_too(call: Call, tmp_path: Path) -> None:
    maze = "S.\n#G\n"
    spec = get_task("maze-2x2").spec
    config = ModelConfig(mixer="local", width=8, layers=1, multiple=8, T=1, n=1, positions="none")
    store.save_model(tmp_path / "maze", build(config, spec), config, spec, "maze", {})
    (tmp_path / "maze.txt").write_text(maze)
    done = call("solve", "maze", str(tmp_path / "maze.txt"), "--weights", str(tmp_path / "maze"), "--steps", "2")
    assert done.code in (0, 1)
    assert len(done.out.splitlines()) == 4  # the board, the verdict, the answer in one line
    assert call("solve", "maze", maze, "--restarts", "0").code in (0, 1)  # by what ships
    refused(call("solve", "maze", "S.\n#.\n", "--weights", "sudoku-mini"), "maze 1", "no G")
    refused(call("solve", "maze", maze, "--weights", "sudoku-mini"), "was trained for sudoku, not for maze")


def test_a_malformed_puzzle_is_refused_before_torch_is_loaded() -> None:
    code = "import sys; from trm.cli.main import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "solve", "sudoku", "12"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "False\n")


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A good puzzle or CSV with some characters replaced, taken out or put in; or anything at all."""
    rows = "question,answer\n" + f"{OPEN},{SOLVED}\n" * 2
    whole = [SOLVED, OPEN, "." * 81, TASK.draw(TASK.read(OPEN).question[0]), rows]
    text = draw(st.one_of(st.sampled_from(whole), st.text(CHARACTERS, max_size=90)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(CHARACTERS, max_size=2)) + text[at + draw(st.integers(0, 3)) :]
    return text


def from_file(text: str) -> None:
    """As `trm eval --data` reads it."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(text.encode("utf-8", "surrogatepass"))
        file.flush()
        load_puzzles(TASK, file.name)


@pytest.mark.parametrize("read", [read_argument, from_file])
@examples(max_examples=500, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(text=damaged())
def test_500_malformed_inputs(read: Callable[[str], object], text: str) -> None:
    assume(text != "-")  # standard input
    message = ""
    try:
        read(text)
    except BadInput as error:
        message = str(error)
    assume(message)  # an input that turned out well does not count as an example
    assert len(message.splitlines()) == 1
