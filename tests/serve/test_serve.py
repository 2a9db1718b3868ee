"""The API of `trm serve`: the page's files, what is offered, solving, watching and checking."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import children
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import EASY, MAZE, PATIENCE, Pathfinder, Served, events, serving, wait_until

import trm
from trm.models import ModelConfig, build
from trm.serve import load_solvers
from trm.serve.checking import answer_faults
from trm.store.stored import Stored, save_model
from trm.tasks import find_family
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.search import count_solutions
from trm.tasks.sudoku.task import Sudoku

NINE, FOUR = Sudoku(), Sudoku(2, 2)
DIGITS = [[int(sign.replace(".", "0")) for sign in EASY[at : at + 9]] for at in range(0, 81, 9)]
SHORT = {"steps": 3, "restarts": 1, "seed": 7, "until": "end"}
ARC = {"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3, 0]]}]}


@pytest.fixture(scope="module")
def sudoku() -> trm.Solver:
    return trm.Solver("sudoku")


@pytest.fixture(scope="module")
def served(sudoku: trm.Solver) -> Iterator[Served]:
    with serving({"sudoku": sudoku, "maze": Pathfinder()}) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """One connection, for tests that send many requests."""
    with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as client:
        yield client


# The page's files


def test_the_page_is_complete_and_isolated(served: Served) -> None:
    html = served.get("/")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    names = [f"/{name}" for name in re.findall(r'(?:src|href)="\./([^"]+)"', html.text)]
    scripts = {name: served.get(name).text for name in names}
    for text in list(scripts.values()):
        for name in re.findall(r'from "\./([^"]+)"', text):
            scripts[f"/{name}"] = served.get(f"/{name}").text
    assert {"/app.js", "/board.js", "/player.js", "/style.css", "/icon.svg"} <= scripts.keys()
    for name, text in {"/": html.text, **scripts}.items():
        answer = served.get(name)
        assert answer.status_code == 200, name
        assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
        text = text.replace('<a href="https://arxiv.org/abs/2510.04871">', "")  # a link, which loads nothing by itself
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), f"{name} names another host"


@pytest.mark.parametrize(
    "path", ["/docs", "/static/app.js", "/app.py", "/../app.py", "/..%2fapp.py", "/%2e%2e/app.py", "/api/x"]
)
def test_there_is_nothing_else(served: Served, path: str) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as line:  # a client would normalise the path
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(4096), b"")).decode()
    assert answer.startswith("HTTP/1.1 404")
    assert json.loads(answer.rpartition("\r\n\r\n")[2]) == {"message": "Not Found", "faults": []}


# What is offered


def test_what_is_offered(served: Served) -> None:
    offer = served.get("/api/tasks").json()
    tasks = {task["name"]: task for task in offer["tasks"]}
    assert tasks["sudoku"]["weights"] == "sudoku"
    assert tasks["sudoku"]["sizes"] == [[4, 4], [6, 6], [9, 9]]  # the weights have learned 9x9
    stored = trm.load("sudoku")
    assert tasks["sudoku"]["parameters"] == sum(part.numel() for part in stored.model.parameters())
    assert (tasks["sudoku"]["starts"], tasks["sudoku"]["seconds"], tasks["arc"]["parameters"]) == (101, 30, None)
    assert (tasks["maze"]["weights"], tasks["maze"]["sizes"], tasks["maze"]["side"]) == ("pathfinder", [], 50)
    assert (tasks["arc"]["solves"], tasks["arc"]["weights"], tasks["arc"]["checkable"]) == (True, None, False)
    assert offer["limits"] | {"steps": 256, "seconds": 30, "body_bytes": 262144, "workers": 2} == offer["limits"]
    assert len(offer["colours"]) == 10


def test_the_examples_are_puzzles(served: Served) -> None:
    examples = served.get("/api/examples").json()
    assert [example["task"] for example in examples] == ["sudoku"] * 40 + ["maze"] * 4 + ["arc"] * 2
    assert len({json.dumps(example["puzzle"]) for example in examples}) == len(examples)
    for example in examples:
        found = served.post("check", {"task": example["task"], "puzzle": example["puzzle"]}).json()
        assert (found["ok"], found["message"], found["note"]) == (True, "", ""), example["name"]
    sizes = {len(example["puzzle"]) for example in examples if example["task"] == "sudoku"}
    assert sizes == {4, 6, 9, 16}


def test_sizes_that_weights_do_not_fit_are_not_offered() -> None:
    config = ModelConfig(width=8, heads=2, n=1, T=1, mixer="mlp", positions="none")
    fixed = Stored(build(config, FOUR.spec), FOUR.spec, "fixed")
    with serving({"sudoku": trm.Solver("sudoku", fixed)}) as served:
        tasks = {task["name"]: task for task in served.get("/api/tasks").json()["tasks"]}
        assert tasks["sudoku"]["sizes"] == [[4, 4]]
        refused = served.post("solve", {"task": "sudoku", "puzzle": EASY})
        assert refused.status_code == 422
        assert "tensor" in refused.json()["message"]
        assert served.post("solve", {"task": "sudoku", "puzzle": "." * 16, "steps": 1}).status_code == 200
        assert (
            tasks["maze"]["why"]
            == "no weights for maze are loaded; train some and start trm serve with --weights FOLDER"
        )
        missing = served.post("watch", {"task": "maze", "puzzle": MAZE})
        assert (missing.status_code, missing.json()["message"]) == (503, tasks["maze"]["why"])


def test_weights_that_come_to_ship_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, spec = ModelConfig(width=8, n=1, T=1, mixer="local", positions="none", puzzle_ids=0), Maze(5, 5).spec
    save_model(tmp_path, build(config, spec), config, spec, "mine", {})
    monkeypatch.setattr(type(find_family("maze")), "weights", str(tmp_path))
    with serving(load_solvers()) as served:
        tasks = {task["name"]: task for task in served.get("/api/tasks").json()["tasks"]}
        assert (tasks["maze"]["solves"], tasks["maze"]["weights"], tasks["maze"]["sizes"]) == (True, "mine", [])
        assert served.post("solve", {"task": "maze", "puzzle": MAZE, "steps": 1}).status_code == 200


# Solving


@pytest.mark.parametrize(
    "puzzle", [EASY, DIGITS, [EASY[at : at + 9] for at in range(0, 81, 9)], NINE.draw(NINE.read(EASY).question[0])]
)
def test_solving(served: Served, puzzle: Any) -> None:
    answer = served.post("solve", {"task": "sudoku", "puzzle": puzzle})
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    _, solution, _ = count_solutions(NINE.read(EASY).question[0], NINE)
    assert solution is not None
    assert found["grid"] == NINE.to_grid(solution).tolist()
    assert (found["text"], found["solved"], found["valid"], found["faults"]) == (NINE.draw(solution), True, True, [])
    assert (found["weights"], found["version"]) == ("sudoku", trm.__version__)


def test_what_is_asked_for_is_done(served: Served, sudoku: trm.Solver) -> None:
    found = served.post("solve", {"task": "sudoku", "puzzle": EASY, **SHORT}).json()
    truth = sudoku.solve(EASY, **SHORT)
    assert (
        (found["steps"], found["starts"], found["solved"]) == (truth.steps, truth.starts, truth.solved) == (6, 2, True)
    )
    assert found["confidence"] == pytest.approx(truth.confidence, abs=1e-5)


def test_watching_tells_what_the_solver_does(served: Served, sudoku: trm.Solver) -> None:
    body = {"task": "sudoku", "puzzle": EASY, **SHORT}
    answer = served.post("watch", body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    sent = events(answer.text)
    assert [name for name, _ in sent] == ["step"] * 6 + ["answer"]
    before = np.array(DIGITS)
    for (_, found), truth in zip(sent, sudoku.watch(EASY, **SHORT), strict=False):
        assert (found["number"], found["start"], found["valid"]) == (truth.number, truth.start, truth.valid)
        assert found["grid"] == truth.grid.tolist()
        assert found["confidence"] == pytest.approx(truth.confidence, abs=1e-5)
        np.testing.assert_allclose(found["cells"], truth.cells, atol=1.1e-3)
        np.testing.assert_allclose(found["candidates"], truth.probabilities, atol=1.1e-3)
        np.testing.assert_allclose(found["memory"], truth.memory, rtol=6e-3)
        changed = {(int(row) + 1, int(column) + 1) for row, column in np.argwhere(before != truth.grid)}
        assert set(map(tuple, found["changed"])) == changed
        before = truth.grid
    assert sent[-1][1] == served.post("solve", body).json()


def test_a_maze(served: Served) -> None:
    sent = events(served.post("watch", {"task": "maze", "puzzle": "\n".join(MAZE)}).text)
    assert [step["valid"] for name, step in sent if name == "step"] == [False, False, False, True]
    answer = sent[-1][1]
    assert answer["grid"] == ["S#..", "oo#G", "#ooo"]
    assert (answer["solved"], answer["text"]) == (True, "S#..\noo#G\n#ooo")
    half = served.post("solve", {"task": "maze", "puzzle": MAZE, "steps": 2}).json()
    assert (half["solved"], half["valid"]) == (False, False)
    assert half["faults"] == [{"row": 2, "column": 2, "message": "the path is cut off at r2c2"}]


def test_a_large_board_with_few_digits_keeps_its_size(served: Served) -> None:
    empty = [[0] * 16 for _ in range(16)]
    empty[3][3] = 2
    assert (
        len(served.post("solve", {"task": "sudoku", "puzzle": empty, "steps": 1, "restarts": 0}).json()["grid"]) == 16
    )


def test_what_is_left_out_of_a_text_is_said(served: Served) -> None:
    question = {"task": "sudoku", "puzzle": f"# from a book\n{EASY}", "steps": 1, "restarts": 0}
    remarks = ["left out: 1 comment line"]
    assert served.post("check", question).json()["remarks"] == remarks
    assert served.post("solve", question).json()["remarks"] == remarks
    assert events(served.post("watch", question).text)[-1][1]["remarks"] == remarks


def test_a_puzzle_that_cannot_be_solved_is_called_so(served: Served) -> None:
    question = {"task": "sudoku", "puzzle": "123............4", "steps": 1, "restarts": 0}
    answer = served.post("solve", question).json()
    assert (answer["solved"], answer["remarks"]) == (False, ["it has no solution"])


def test_failure_is_reported_with_the_cells_that_clash(served: Served) -> None:
    found = served.post("solve", {"task": "sudoku", "puzzle": "123............4", "steps": 4, "restarts": 0}).json()
    assert (found["solved"], found["valid"], found["steps"]) == (False, False, 4)
    grid = np.array(found["grid"])
    assert {(fault["row"], fault["column"]) for fault in found["faults"]} == brute_clashes(grid) != set()


# Checking


def brute_clashes(grid: Any) -> set[tuple[int, int]]:
    """Cells of a 4x4 that share a digit with another of their row, column or box."""
    cells = [(row, column) for row in range(4) for column in range(4) if grid[row][column]]
    return {
        (r + 1, c + 1)
        for r, c in cells
        for y, x in cells
        if (r, c) != (y, x) and grid[r][c] == grid[y][x] and (r == y or c == x or (r // 2, c // 2) == (y // 2, x // 2))
    }


@given(st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_every_cell_at_fault_is_named(client: httpx.Client, grid: list[list[int]]) -> None:
    found = client.post("/api/check", json={"task": "sudoku", "puzzle": grid}).json()
    fives = {(row + 1, column + 1) for row in range(4) for column in range(4) if grid[row][column] == 5}
    without = [[digit % 5 for digit in line] for line in grid]
    at_fault = {(fault["row"], fault["column"]) for fault in found["faults"]}
    assert at_fault == fives | brute_clashes(without)
    assert found["ok"] == (not at_fault)
    assert found["grid"] == without
    refused = client.post("/api/solve", json={"task": "sudoku", "puzzle": grid, "steps": 1, "restarts": 0})
    assert refused.status_code == (422 if at_fault else 200)
    assert refused.json()["faults"] == found["faults"] or not at_fault


@pytest.mark.parametrize(
    ("task", "puzzle", "message", "faults"),
    [
        ("sudoku", EASY.replace("7", "x", 1), "line 1, character 5: 'x' is not a digit", [(1, 5)]),
        ("sudoku", "1 2 | 3 .\n. . | . .\n----+----\n. . | Q 3\n. . | . .", "'Q' is not", [(3, 3)]),
        ("sudoku", EASY[:80], "80 cells instead of 81", []),
        ("sudoku", ["1234", "....", "...", "...."], "row 3 has 3 cells instead of 4", [(3, None)]),
        ("sudoku", "", "the input is empty", []),
        ("sudoku", f"{EASY}\n{EASY}", "there are 2 puzzles in this text; give one at a time", []),
        ("sudoku", "question\nx", "1 cells instead of 81", []),
        ("maze", ["S.", "G"], "row 2 has 1 cells instead of 2", [(2, None)]),
        ("maze", ["S.x", "..G"], "'x' is not a wall", [(1, 3)]),
        ("maze", ["SS", ".G"], "more than one S (start): r1c1, r1c2", [(1, 1), (1, 2)]),
        ("maze", ["..", ".G"], "there is no S", []),
        ("maze", ["S#", "#G"], "no path leads from S to G", [(2, 2)]),
        ("maze", ["S" + "." * 50, "." * 50 + "G"], "2x51 cells are too many; at most 50x50 are accepted", []),
        ("arc", {**ARC, "test": [{"input": [[3, 12]]}]}, "test pair 1, input: row 1, column 2: 12 is no colour", []),
        ("arc", "[", "not JSON", []),
        ("arc", "{}", "no task found", []),
    ],
)
def test_what_is_wrong_and_where(served: Served, task: str, puzzle: Any, message: str, faults: list[Any]) -> None:
    found = served.post("check", {"task": task, "puzzle": puzzle}).json()
    assert found["ok"] is False
    assert message in found["message"]
    places = [(fault["row"], fault["column"]) for fault in found["faults"]]
    assert places == faults
    refused = served.post("watch", {"task": task, "puzzle": puzzle})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/json")
    assert refused.json() == {"message": found["message"], "faults": found["faults"]}


def test_what_can_be_read_is_given_back(served: Served) -> None:
    broken = EASY.replace("7", "x", 1)
    found = served.post("check", {"task": "sudoku", "puzzle": broken}).json()
    assert found["grid"] == [
        [0 if (row, column) == (0, 4) else DIGITS[row][column] for column in range(9)] for row in range(9)
    ]
    maze = served.post("check", {"task": "maze", "puzzle": "S x\n  G\n"}).json()
    assert maze["grid"] == ["S..", "..G"]
    notes = [
        served.post("check", {"task": "sudoku", "puzzle": puzzle}).json()["note"]
        for puzzle in ("." * 16, "123............4")
    ]
    assert notes == ["it has more than one solution", "it has no solution"]
    arc = served.post("check", {"task": "arc", "puzzle": json.dumps(ARC)}).json()["arc"]
    assert arc == {"train": ARC["train"], "test": [{"input": [[3, 0]], "output": None}]}


def test_arc_attempts(served: Served) -> None:
    copy = [{"input": [[1, 2], [colour, 0]], "output": [[1, 2], [colour, 0]]} for colour in (0, 3, 4, 6)]
    asked = {"task": "arc", "puzzle": {"train": copy, "test": [{"input": [[5, 1], [0, 2]], "output": [[9]]}]}}
    answer = served.post("solve", {**asked, "seconds": 3}).json()
    assert (answer["solved"], answer["valid"]) == (False, answer["models_that_know"] > 0)
    assert np.array(answer["attempts"][0][0]["grid"]).shape == (2, 2)
    assert answer["message"].startswith("Not ")  # "checked", or "to be trusted"
    refused = served.post("solve", {**asked, "seconds": 241})
    assert (refused.status_code, refused.json()["message"]) == (
        400,
        "seconds: Input should be less than or equal to 240",
    )
    refused = served.post("watch", {**asked, "puzzle": {"train": [], "test": []}})
    assert (refused.status_code, refused.json()["message"]) == (422, "input: task 'task': train holds no pairs")


def test_hanging_up_ends_the_training(served: Served) -> None:
    task = {"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3, 0]]}]}
    request = json.dumps({"task": "arc", "puzzle": task, "seconds": 240}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    connection.request("POST", "/api/watch", request, {"Content-Type": "application/json"})
    response = connection.getresponse()
    first = response.readline() + response.readline()
    assert first.startswith(b'event: progress\ndata: {"share":0.0,"doing":"starting",')
    assert len(children()) == 1
    response.close()
    connection.close()
    wait_until(lambda: not children())


def test_faults_of_answers() -> None:
    question = FOUR.read("1...............").question[0]
    answer = question.copy()
    answer[:] = FOUR.read("2134341212434321").question[0]
    answer[15] = 1
    messages = {(fault.row, fault.column): fault.message for fault in answer_faults(FOUR, question, answer)}
    assert messages[1, 1] == "1 was given here"
    assert messages[4, 4] == "no digit"
    maze = Maze(2, 2)
    right = maze.label(maze.read("S.\n.G").question[0])
    assert answer_faults(maze, maze.read("S.\n.G").question[0], right) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_snippets_of_the_docs_run(served: Served) -> None:
    text = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    outputs = []
    for snippet in snippets:
        command = snippet.replace("127.0.0.1:8000", f"127.0.0.1:{served.port}")
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
        outputs.append(done.stdout)
    assert json.loads(outputs[0])["solved"] is True
    assert [name for name, _ in events(outputs[1])] == ["step", "answer"]
    assert json.loads(outputs[2])["faults"][0]["message"] == "1 occurs more than once in row 1 and box 1"
    (python,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(python, scope)
    assert scope["app"].state.queue.capacity == 5
