"""Tools for models of custom tasks: what they say of the task, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import Call
from custom_cases import RULE, TASK, write_model
from mcp import Client
from mcp_client import ask, text

from trm import tools
from trm.errors import BadInput
from trm.tasks.custom.family import FAMILY
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom
from trm.tools import Solution, calls
from trm.tools.mcp import make_server


@pytest.fixture(autouse=True)
def _tools() -> Iterator[None]:
    """Forget the tools and tasks that a test adds."""
    names = set(calls.TOOLS)
    yield
    for name in calls.TOOLS.keys() - names:
        del calls.TOOLS[name], calls.TITLES[name]
    calls.arguments_of.cache_clear()
    FAMILY.tasks.clear()


def solve(name: str, **arguments: Any) -> Solution:
    result = tools.call(name, arguments)
    assert isinstance(result, Solution)
    return result


def test_a_tool_with_the_words_of_its_task(tmp_path: Path, call: Call) -> None:
    model = write_model(tmp_path / "My Latin-3", TASK)
    tools.use_weights(model)
    (mine,) = [one["function"] for one in tools.schemas() if one["function"]["name"] == "solve_my_latin_3"]
    for words in ("a grid of 3x3 cells. Cells hold 5, 7, 11.", "rows, columns.", "1 group of cells", "keeps them"):
        assert words in mine["description"]
    assert "3 lines of 3 whole numbers" in mine["parameters"]["properties"]["puzzle"]["description"]
    jsonschema.validate({"puzzle": "5 . .", "steps": None, "seconds": 3}, mine["parameters"])
    with pytest.raises(BadInput, match="would be called solve_my_latin_3, and there is one"):
        tools.use_weights(model)
    del calls.TOOLS["solve_my_latin_3"], calls.TITLES["solve_my_latin_3"]
    printed = json.loads(call("mcp", "--schemas", "--weights", model).out)
    assert [one["function"] for one in printed if one["function"]["name"] == "solve_my_latin_3"] == [mine]


@pytest.mark.parametrize(
    "puzzle",
    [
        "5 7 11\n7 11 5\n11 5 .",
        "```\n5 7 11\n7 11 5\n11 5 .\n```",
        [[5, 7, 11], [7, 11, 5], [11, 5, 0]],
        [[5, 7, 11], [7, 11, 5], [11, 5, None]],
        ["5 7 11", "7 11 5", "11 5 ."],
        "[[5, 7, 11], [7, 11, 5], [11, 5, 0]]",
        [5, 7, 11, 7, 11, 5, 11, 5, 0],
    ],
)
def test_puzzles_in_the_forms_that_models_write(tmp_path: Path, puzzle: Any) -> None:
    tools.use_weights(write_model(tmp_path / "latin", TASK))
    found = solve("solve_latin", puzzle=puzzle, steps=2)
    shown = found.answer or found.best_attempt
    assert shown is not None
    rows = [line.split() for line in shown.splitlines()]
    assert rows[:2] == [["5", "7", "11"], ["7", "11", "5"]] or not found.solved
    assert found.solved == (rows == [["5", "7", "11"], ["7", "11", "5"], ["11", "5", "7"]])
    assert ("checked" if found.solved else "Wrong: ") in found.message


@pytest.mark.parametrize(
    ("puzzle", "words"),
    [
        ("5 5 .\n. . .\n. . .", "r1c1 and r1c2 of group 1 are both 5"),
        ("5 6 .\n. . .\n. . .", "r1c2 is 6, which is not one of the task's numbers"),
        ("5 7", "numbers instead of"),
        (5, "puzzle: "),
    ],
)
def test_malformed_puzzles_are_one_line(tmp_path: Path, puzzle: Any, words: str) -> None:
    tools.use_weights(write_model(tmp_path / "latin", TASK))
    with pytest.raises(BadInput) as caught:
        tools.call("solve_latin", {"puzzle": puzzle})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_layers_are_explained_and_read(tmp_path: Path) -> None:
    """With layers a dot would drop what the other layers say, so the words do not offer it."""
    values = [100 * b + 10 * a + n for n in range(4) for a in range(3) for b in (0, 1)]
    declared = {"shape": [2, 2], "blank": 0, "layers": 3, "groups": [["rows"], ["columns"]], "values": sorted(values)}
    tools.use_weights(write_model(tmp_path / "signs", Custom(Structure.model_validate(declared))))
    said = f"{calls.description('solve_signs')} {calls.arguments_of('solve_signs').model_json_schema()}"
    for words in (
        "Cells hold 1, 2, 3.",
        "where 0 is an unknown cell, plus 10 * second, plus 100 * third layer",
        "For example 120 is an unknown cell with 2 in layer 2 and 1 in layer 3.",
        "Layer 2 holds 0, 1, 2. Layer 3 holds 0, 1.",
        "first + 10 * second + 100 * third of a cell's 3 layers",
    ):
        assert words in said
    assert "; ." not in said
    grid, layers = [[120, 0], [0, 10]], [[[0, 0], [0, 0]], [[2, 0], [0, 1]], [[1, 0], [0, 0]]]
    found = [solve("solve_signs", puzzle=one, steps=2) for one in (grid, layers, json.dumps(layers), "120 0\n0 10")]
    assert len({(one.best_attempt, one.answer) for one in found}) == 1


def test_what_no_rule_checks_is_not_called_solved(tmp_path: Path) -> None:
    tools.use_weights(write_model(tmp_path / "rule", RULE))
    assert "solved is always false" in calls.description("solve_rule")
    assert "; ." not in str(calls.arguments_of("solve_rule").model_json_schema())  # it has no blank
    found = solve("solve_rule", puzzle=[[0, 1, 400], [0, 0, 1]], steps=3)
    assert (found.solved, found.answer, found.steps) == (False, None, 3)
    assert found.best_attempt is not None
    assert "Not checked, as no rules are known" in found.message


def test_over_the_protocol(tmp_path: Path) -> None:
    tools.use_weights(write_model(tmp_path / "latin", TASK))

    async def session(client: Client) -> None:
        (tool,) = [one for one in (await client.list_tools()).tools if one.name == "solve_latin"]
        assert tool.title == "Solve a puzzle of latin"
        result = await client.call_tool("solve_latin", {"puzzle": "5 . .\n. 7 .\n. . .", "steps": 2})
        assert result.structured_content is not None
        assert not result.is_error
        assert result.structured_content["steps"] == 2
        bad = await client.call_tool("solve_latin", {"puzzle": "5 5 .\n. . .\n. . ."})
        assert bad.is_error
        assert "both 5" in text(bad)

    ask(make_server(), session)
