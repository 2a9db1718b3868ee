"""The tools for language models: results for good, bad and impossible puzzles, and the schemas."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import torch
from conftest import Call, refused
from hypothesis import given
from hypothesis import strategies as st

from trm import store, tools
from trm.errors import BadInput, TrmError
from trm.inference import answers
from trm.models import ModelConfig, build
from trm.tasks import find_family, get_task, load_puzzles
from trm.tasks.base import Tokens
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.sudoku.search import count_solutions
from trm.tasks.sudoku.task import Sudoku
from trm.tools import Progress, Solution, call, functions

NINE = Sudoku()
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
DONE = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
MAZE = "S..\n.#.\n..G"
LONGER = "S..\no#G\no#o\nooo"  # three moves are enough


@pytest.fixture(autouse=True)
def _weights() -> Iterator[None]:
    """Forget the weights that a test chose."""
    yield
    functions.chosen_weights.clear()


def solution(name: str, **arguments: Any) -> Solution:
    result = call(name, arguments)
    assert isinstance(result, Solution)
    assert (result.answer is not None) == result.solved
    assert result.text.startswith(result.message)
    assert "\n" not in result.message
    return result


def test_a_sudoku() -> None:
    found = solution("solve_sudoku", puzzle=EASY)
    _, right, _ = count_solutions(NINE.read(EASY).question[0], NINE)
    assert right is not None
    assert found.answer is not None
    assert found.answer.replace("\n", "") == NINE.to_line(right) == DONE
    assert found.answer.count("\n") == 8
    assert found.text.endswith(found.answer)
    assert (found.solved, found.valid, found.best_attempt, found.solutions) == (True, True, None, "one")
    assert found.steps > 0
    assert 0 < found.confidence <= 1
    assert call("solve_sudoku", json.dumps({"puzzle": EASY, "steps": None, "seconds": 30})) == found


def test_what_is_left_out_of_a_text_is_said() -> None:
    words, board = "Of the puzzle's text, left out: 1 comment line.", "# a comment\n1...\n..2.\n.3..\n...4\n"
    found = solution("solve_sudoku", puzzle=board)
    assert words in found.message
    assert words in solution("solve_sudoku", puzzle="# none\n123.\n...4\n....\n....\n").message
    for answer in ("1234" * 4, found.answer):
        assert words in call("check_answer", {"task": "sudoku", "puzzle": board, "answer": answer}).message


def test_a_sudoku_with_several_solutions() -> None:
    found = solution("solve_sudoku", puzzle="1.....3..4......")
    assert (found.solved, found.solutions) == (True, "several")
    assert "several solutions" in found.message
    assert found.answer is not None
    grid = [[int(sign) for sign in line] for line in found.answer.split()]
    assert grid[0][0] == 1
    boxes = [[grid[y + i][x + j] for i in (0, 1) for j in (0, 1)] for y in (0, 2) for x in (0, 2)]
    for group in (*grid, *map(list, zip(*grid, strict=True)), *boxes):
        assert sorted(group) == [1, 2, 3, 4]


def test_a_sudoku_without_a_solution() -> None:
    found = solution("solve_sudoku", puzzle="123............4")  # r1c4 has to be 4 and cannot
    assert (found.solved, found.valid, found.solutions, found.best_attempt) == (False, False, "none", None)
    assert "no solution" in found.message


def test_a_sudoku_that_is_not_solved() -> None:
    hard = load_puzzles(NINE, "embedded", "validation").question[7]
    found = solution("solve_sudoku", puzzle=NINE.to_line(hard), seconds=1e-6)
    assert (found.solved, found.valid, found.solutions, found.steps) == (False, False, "one", 1)
    assert found.best_attempt is not None
    attempt = NINE.read_cells(found.best_attempt)[0]
    fault = NINE.fault(hard, attempt)
    assert fault
    assert fault in found.message
    assert found.text.endswith(found.best_attempt)


def test_what_is_too_open_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "MAX_NODES", 0)
    found = solution("solve_sudoku", puzzle="1.....3..4......")
    assert (found.solved, found.solutions) == (True, "not counted")


class Fixed:
    """A solver that always gives the same answer."""

    def __init__(self, board: str) -> None:
        self.board = board

    def watch(self, puzzle: str, **_: Any) -> Iterator[SimpleNamespace]:
        task = maze_for(puzzle)
        question = functions.read_one(task, puzzle)[0]
        tokens: Tokens = task.read_cells(self.board)[0]
        valid = bool(task.valid(question[None], tokens[None])[0])
        answer = answers.Answer(task, tokens, question, valid, 0.5, 3, 1, list)
        yield SimpleNamespace(answer=answer, number=3, start=0)


@pytest.mark.parametrize(
    ("board", "solved", "valid", "words"),
    [
        ("Soo\n.#o\n..G", True, True, "Solved in 3 steps and checked"),
        (LONGER, False, True, "not a shortest one"),
        ("S..\n.#.\n..G", False, False, "is cut off at"),
    ],
)
def test_a_maze(board: str, solved: bool, valid: bool, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "load_solver", lambda *_: Fixed(board))
    monkeypatch.setattr(type(find_family("maze")), "weights", "any")
    puzzle = board.replace("o", ".")
    found = solution("solve_maze", puzzle=puzzle)
    assert (found.solved, found.valid, found.solutions) == (solved, valid, "not counted")
    assert words in found.message
    assert (found.answer or found.best_attempt) == board


def test_answers_of_an_untrained_maze_model_are_not_called_solved(tmp_path: Path) -> None:
    config = ModelConfig(mixer="local", width=8, layers=1, multiple=8, T=1, n=1, positions="none")
    torch.manual_seed(0)
    store.save_model(tmp_path, build(config, Maze(3, 3).spec), config, Maze(3, 3).spec, "untrained", {})
    tools.use_weights(str(tmp_path))
    found = solution("solve_maze", puzzle=MAZE, steps=2)
    starts = 1 + find_family("maze").thinking["restarts"]
    assert (found.solved, found.valid, found.answer, found.steps) == (False, False, None, 2 * starts)
    with pytest.raises(BadInput, match="two models for maze"):
        tools.use_weights(str(tmp_path))


def test_missing_and_wrong_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(type(find_family("maze")), "weights", None)
    with pytest.raises(BadInput, match="no weights for maze ship"):
        call("solve_maze", {"puzzle": MAZE})
    with pytest.raises(BadInput, match="no model"):
        tools.use_weights("nothing")
    config = ModelConfig(width=8, heads=1, layers=1, multiple=8, T=1, n=1)
    spec = get_task("arc-agi-1").spec
    store.save_model(tmp_path, build(config, spec), config, spec, "arc", {})
    with pytest.raises(BadInput, match="whose tool works without weights"):
        tools.use_weights(str(tmp_path))


@pytest.mark.parametrize(
    ("task", "puzzle", "answer", "solved", "valid", "words"),
    [
        ("sudoku", EASY, DONE, True, True, "Right"),
        ("sudoku", EASY, NINE.draw(NINE.read(DONE).question[0]), True, True, "Right"),
        ("sudoku", EASY, "4" + DONE[1:], False, False, "two 4s in row 1: r1c1 and r1c3"),
        ("sudoku", EASY, "." + DONE[1:], False, False, "r1c1 is blank"),
        ("sudoku", "6" + EASY[1:4] + "." * 77, DONE, False, False, "r1c1 is 5 where the question gives 6"),
        ("maze", MAZE, "Soo\n.#o\n..G", True, True, "Right"),
        ("maze", LONGER.replace("o", "."), LONGER, False, True, "not a shortest one"),
        ("maze", MAZE, MAZE, False, False, "cut off"),
        ("maze", MAZE, "Soo\n.oo\n..G", False, False, "r2c2 is o where the question has #"),
        ("maze", MAZE, "...\n.#.\n..G", False, False, "r1c1 is . where the question has S"),
    ],
)
def test_answers_checked(task: str, puzzle: str, answer: str, solved: bool, valid: bool, words: str) -> None:
    result = call("check_answer", {"task": task, "puzzle": puzzle, "answer": answer})
    assert (result.solved, result.valid) == (solved, valid)
    assert words in result.message


@given(st.lists(st.integers(1, 4), min_size=16, max_size=16), st.sets(st.integers(0, 15), max_size=4))
def test_answers_checked_by_brute_force(cells: list[int], given_cells: set[int]) -> None:
    latin = [1, 2, 3, 4, 3, 4, 1, 2, 2, 1, 4, 3, 4, 3, 2, 1]
    for answer in (cells, latin, [*latin[:15], cells[0]]):
        groups = [[4 * i + j for j in range(4)] for i in range(4)] + [[4 * i + j for i in range(4)] for j in range(4)]
        groups += [[y, y + 1, y + 4, y + 5] for y in (0, 2, 8, 10)]
        right = all(len({answer[cell] for cell in group}) == 4 for group in groups)
        right &= all(answer[cell] == latin[cell] for cell in given_cells)
        puzzle = "".join(str(latin[cell]) if cell in given_cells else "." for cell in range(16))
        result = call("check_answer", {"task": "sudoku", "puzzle": puzzle, "answer": "".join(map(str, answer))})
        assert result.valid == result.solved == right


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("solve", {}, "there is no tool 'solve'; there are solve_sudoku, solve_maze, solve_arc, check_answer"),
        ("solve_sudoku", {}, "puzzle: Field required"),
        (
            "solve_sudoku",
            {"puzzle": EASY, "moves": 3},
            "has no argument moves; its arguments are puzzle, steps, seconds",
        ),
        ("check_answer", {"\n": 1}, "check_answer has no argument \\n; its arguments are task, puzzle, answer"),
        ("solve_sudoku", {"puzzle": EASY, "steps": 0}, "steps: Input should be greater than or equal to 1"),
        ("solve_sudoku", {"puzzle": EASY, "steps": 513}, "steps: Input should be less than or equal to 512"),
        ("solve_sudoku", {"puzzle": EASY, "steps": 1.5}, "steps: Input should be a valid integer"),
        ("solve_sudoku", {"puzzle": EASY, "seconds": 61}, "seconds: Input should be less than or equal to 60"),
        ("solve_sudoku", {"puzzle": EASY, "seconds": float("nan")}, "seconds: Input should be"),
        ("solve_sudoku", {"puzzle": ["5"]}, "1 cell"),
        ("solve_sudoku", {"puzzle": []}, "the JSON is [], which is no puzzle"),
        ("solve_sudoku", {"puzzle": [[17] * 9] * 9}, "a cell holds 17; numbers of cells are 0 (blank) to 16"),
        ("solve_sudoku", {"puzzle": json.dumps([[-1] * 9] * 9)}, "a cell holds -1; numbers"),
        ("solve_sudoku", {"puzzle": {1, 2}}, "puzzle: Input should be a valid string"),
        ("solve_sudoku", {"puzzle": [float("nan")]}, "puzzle: Input should be a valid string"),
        ("solve_sudoku", {"puzzle": [[0] * 200] * 100}, "puzzle: String should have at most 20000 characters"),
        ("solve_sudoku", {"puzzle": "." * 20_001}, "puzzle: String should have at most 20000 characters"),
        ("solve_sudoku", {"puzzle": "\ud800"}, "puzzle: Input should be a valid string"),
        ("solve_sudoku", {"puzzle": ""}, "the input is empty"),
        ("solve_sudoku", {"puzzle": "55" + EASY[2:]}, "two 5s in row 1: r1c1 and r1c2"),
        ("solve_sudoku", {"puzzle": EASY[1:]}, "80 cells instead of 81"),
        ("solve_sudoku", {"puzzle": f"{EASY}\n{EASY}"}, "there are 2 puzzles in this text"),
        ("solve_maze", {"puzzle": "S..\n.#.\n.#."}, "there is no G"),
        ("solve_maze", {"puzzle": "S#G\n.#.\n.#."}, "no path leads from S to G"),
        ("solve_maze", {"puzzle": "x"}, "'x' is not a wall"),
        ("check_answer", {"task": "chess", "puzzle": EASY, "answer": DONE}, "task: Input should be 'sudoku' or 'maze'"),
        ("check_answer", {"task": "sudoku", "puzzle": EASY, "answer": DONE[:16]}, "answer: puzzle 1"),
        ("check_answer", {"task": "sudoku", "puzzle": EASY, "answer": "\n"}, "answer: no grid found"),
        ("check_answer", {"task": "maze", "puzzle": MAZE, "answer": "  "}, "answer: no maze found"),
        ("check_answer", {"task": "maze", "puzzle": MAZE, "answer": f"{MAZE}\n\n{MAZE}"}, "answer: there are 2 boards"),
        ("solve_sudoku", "{", "the arguments of solve_sudoku are not JSON"),
        ("solve_sudoku", "[" * 100_000, "the arguments of solve_sudoku are not JSON"),
        ("solve_sudoku", "[]", "the arguments: Input should be"),
    ],
)
def test_bad_calls(name: str, arguments: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        call(name, arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


SIGNS = st.text(st.sampled_from('12345 .#SGo\n\t|-é\0,questionaw"'), max_size=120)


@given(st.sampled_from(["sudoku", "maze"]), SIGNS, SIGNS)
def test_any_text_is_an_answer_or_one_line_of_complaint(task: str, puzzle: str, answer: str) -> None:
    for text in (puzzle, MAZE if task == "maze" else EASY):
        try:
            said = call("check_answer", {"task": task, "puzzle": text, "answer": answer}).message
        except TrmError as error:
            said = str(error)
        assert len(said.splitlines()) == 1


def test_progress_is_told_and_the_time_to_load_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    told, given_seconds = list[Progress](), list[float]()

    class Loaded(Fixed):
        def watch(self, puzzle: str, **how: Any) -> Iterator[SimpleNamespace]:
            given_seconds.append(how["seconds"])
            yield SimpleNamespace(answer=None, number=1, start=0)
            (last,) = super().watch(puzzle)
            yield SimpleNamespace(answer=last.answer, number=2, start=1)

    def load(*_: str) -> Loaded:
        assert [one.doing for one in told] == ["loading the model"]
        time.sleep(0.3)
        return Loaded("Soo\n.#o\n..G")

    monkeypatch.setattr(functions, "load_solver", load)
    assert call("solve_maze", {"puzzle": MAZE}, tell=told.append).solved
    assert [one.doing for one in told] == ["loading the model", "step 1, start 1", "step 2, start 2"]
    assert {one.limit for one in told} == {functions.DEFAULT_SECONDS}
    (seconds,) = given_seconds
    assert 0 < seconds < functions.DEFAULT_SECONDS - 0.25
    told.clear()
    assert call("solve_maze", {"puzzle": MAZE, "seconds": 0.1}, tell=told.append).solved
    assert 0 < given_seconds[-1] < 1e-3


def test_without_limits_of_its_own_a_call_ends_before_clients_give_up() -> None:
    assert max(functions.DEFAULT_SECONDS, functions.TOOL_ARC_SECONDS) <= 40
    for tool in tools.schemas():
        parameters = tool["function"]["parameters"]["properties"]
        if "seconds" in parameters:
            default = functions.TOOL_ARC_SECONDS if "task" in parameters else functions.DEFAULT_SECONDS
            assert parameters["seconds"]["description"].endswith(f"null: {default:.0f}.")


def test_schemas_for_the_responses_api(call: Call) -> None:
    listed = json.loads(call("mcp", "--schemas", "--responses").out)
    assert listed == tools.schemas("responses")
    assert [set(tool) for tool in listed] == [{"type", "name", "description", "strict", "parameters"}] * 4
    assert [tool.pop("type") for tool in listed] == ["function"] * 4
    assert listed == [tool["function"] for tool in tools.schemas()]
    refused(call("mcp", "--responses"), "--responses is for --schemas")
    with pytest.raises(BadInput, match="api must be one of chat, responses"):
        tools.schemas("assistants")  # type: ignore[arg-type]


def test_schemas_are_strict_and_true(call: Call) -> None:
    listed = json.loads(call("mcp", "--schemas").out)
    assert listed == tools.schemas()
    assert [tool["function"]["name"] for tool in listed] == list(tools.TOOLS)
    allowed = {"type", "anyOf", "enum", "description", "minimum", "maximum", "exclusiveMinimum"}
    for tool in listed:
        assert set(tool) == {"type", "function"}
        function = tool["function"]
        assert set(function) == {"name", "description", "strict", "parameters"}
        assert (tool["type"], function["strict"]) == ("function", True)
        assert "\n" not in function["description"]
        schema = function["parameters"]
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["required"] == list(schema["properties"])
        assert (schema["type"], schema["additionalProperties"]) == ("object", False)
        for described in schema["properties"].values():
            assert set(described) <= allowed
            for branch in described.get("anyOf", []):
                assert set(branch) <= allowed


@pytest.mark.parametrize("steps", [None, 0, 1, 512, 513, 2.5])
def test_schemas_accept_what_the_tools_accept(steps: float | None) -> None:
    schema = next(tool["function"]["parameters"] for tool in tools.schemas())
    arguments = {"puzzle": "no puzzle", "steps": steps, "seconds": None}
    try:
        jsonschema.validate(arguments, schema)
        fits = True
    except jsonschema.ValidationError:
        fits = False
    with pytest.raises(BadInput) as caught:
        call("solve_sudoku", arguments)
    assert str(caught.value).startswith("steps") != fits


def test_the_snippets_of_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    shown = json.loads(blocks[-1][1])
    assert shown == next(tool for tool in tools.schemas() if tool["function"]["name"] == "check_answer")
    space: dict[str, Any] = {}
    exec(next(code for language, code in blocks if language == "python"), space)
    for puzzle, key in ((EASY, "solved"), ("55", "error")):
        arguments = json.dumps({"puzzle": puzzle, "steps": None, "seconds": None})
        function = SimpleNamespace(name="solve_sudoku", arguments=arguments)
        message = space["answer"](SimpleNamespace(id="call_1", function=function))
        assert (message["role"], message["tool_call_id"]) == ("tool", "call_1")
        assert json.loads(message["content"])[key]


def test_the_schemas_and_a_check_need_no_torch() -> None:
    arguments = {"task": "sudoku", "puzzle": EASY, "answer": DONE}
    code = "import sys\nfrom trm import tools\nassert 'pydantic' not in sys.modules\nassert tools.schemas()\n"
    code += f"assert tools.call('check_answer', {arguments}).solved\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_size_of_sudoku_is_read() -> None:
    for size in (4, 6, 9, 16):
        last = "469G"[(4, 6, 9, 16).index(size)]
        board = "\n".join(["." + last + "." * (size - 2)] + ["." * size] * (size - 1))
        result = call("check_answer", {"task": "sudoku", "puzzle": board, "answer": board})
        assert result.message == "Wrong: r1c1 is blank."
