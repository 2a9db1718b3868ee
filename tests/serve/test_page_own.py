"""Tasks of one's own on the page of `trm serve`, in Chromium: numbers, signs and colours, with and without rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browsing import CHROMIUM, Open, cell, cells, enter
from custom_cases import LATIN, write_model
from playwright.sync_api import Page, Route, expect
from serving import serving

import trm
from trm.inference.answers import Answer, Step
from trm.inference.puzzles import Puzzle, read_puzzle
from trm.serve import load_solvers
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: install it, on Debian by `make chromium`")

SHOWN = {"signs": {5: "V", 11: "XI"}, "colours": {7: "#102030", 11: "#ffd75e"}}
TASK = Custom(Structure.model_validate({**LATIN, "shape": [3, 3], "values": [0, 5, 7, 11], **SHOWN}))
ANY = Custom(Structure.model_validate({"neighbours": 4, "shape": [2, 2], "values": [0, 1], "any_size": True}))
RULE = Custom(Structure.model_validate({"neighbours": 4, "shape": [2, 3], "values": [0, 1, 12, 120]}))
STACKED = {"blank": 0, "layers": 2, "groups": [["rows"]], "layer_signs": [{"1": "<", "2": ">"}]}
SIGNED = Custom(Structure.model_validate({**STACKED, "shape": [1, 2], "values": [0, 1, 2, 10, 11, 12, 20, 21, 22]}))
SQUARE = np.array([[5, 7, 11], [7, 11, 5], [11, 5, 7]])


TASKS = {"latin": TASK, "rule": RULE, "any": ANY, "signed": SIGNED}
STROKE = 900  # milliseconds; edits that follow each other sooner are one step of Undo


class Knowing(trm.Solver):
    """Knows the square, and is sure of it in its second step."""

    def watch(self, puzzle: Puzzle, **thinking: Any) -> Iterator[Step]:
        ((task, question, _),) = read_puzzle(puzzle, self.task)
        assert isinstance(task, Custom)
        right = task.from_grid(SQUARE)
        for number, sure in ((1, 0.6), (2, 1.0)):
            chances = np.full((3, 3, 3), (1 - sure) / 2, np.float32)
            np.put_along_axis(chances, (right - 2).reshape(3, 3, 1).astype(np.int64), sure, axis=2)
            answer = Answer(task, right, question, True, 0.9, 2, 1, tuple) if number == 2 else None
            yield Step(task, right, number, 0, True, 0.9, chances, np.ones((3, 3), np.float32), 0.0, 0.0, answer)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """In place of the server of other tests: one with two tasks of one's own, the first with an example."""
    folder = tmp_path_factory.mktemp("own")
    np.savez(folder / "pairs.npz", question=np.where(np.eye(3, dtype=bool), SQUARE, 0)[None], answer=SQUARE[None])
    models = [write_model(folder / name, task) for name, task in TASKS.items()]
    solvers = load_solvers(models)
    solvers["latin"] = Knowing("custom", solvers["latin"].stored)
    with serving(solvers, shown={"latin": str(folder / "pairs.npz")}) as served:
        yield served.url


def colour(page: Page, row: int, column: int) -> str:
    return str(cell(page, row, column).evaluate("cell => getComputedStyle(cell).backgroundColor"))


def test_a_puzzle_is_solved_in_view(show: Open) -> None:
    page = show("latin")
    expect(page.get_by_role("tab", name="latin")).to_have_attribute("aria-selected", "true")
    assert cells(page) == ["V", *"...", "XI", *"...", "7"]
    expect(cell(page, 2, 2)).to_have_attribute("aria-label", "row 2, column 2: 11 (XI)")
    page.click("#solve")
    expect(page.locator("#verdict")).to_have_text("Solved in 2 steps. Checked: every declared rule is obeyed.")
    assert cells(page) == ["V", "7", "XI", "7", "XI", "V", "XI", "V", "7"]
    expect(cell(page, 1, 2)).to_have_attribute("aria-label", "row 1, column 2: 7, 100 % sure")
    assert (colour(page, 1, 2), colour(page, 1, 3)) == ("rgb(16, 32, 48)", "rgb(255, 215, 94)")
    # One step back it weighs all values, and the colour waits until it is sure.
    page.locator("#scrubber").focus()
    page.keyboard.press("ArrowLeft")
    expect(cell(page, 1, 2)).to_have_attribute("aria-label", "row 1, column 2: 7, 60 % sure, or V, XI")
    assert colour(page, 1, 2) == "rgba(0, 0, 0, 0)"
    expect(page.locator("#more")).to_be_hidden()  # another start would be the same


def test_keys_pad_and_faults(show: Open) -> None:
    page = show("latin")
    page.click("#clear")
    page.click("#solve")
    expect(page.locator("#verdict")).to_have_text("An empty board has very many answers: give some numbers.")
    cell(page, 1, 1).focus()
    for key in ("5", "ArrowRight", "7", "ArrowRight", "5"):
        page.keyboard.press(key)
    expect(page.locator("#blame")).to_contain_text("r1c1 and r1c3 of group 1 are both 5")
    wide = page.get_by_role("button", name="11 (XI)")
    assert wide.evaluate("one => [one.style.backgroundColor, one.style.color]") == ["rgb(255, 215, 94)", "rgb(0, 0, 0)"]
    wide.click()
    expect(page.locator("#blame")).to_have_text("")
    assert cells(page)[:4] == ["V", "7", "XI", "."]
    expect(page).to_have_url(re.compile(r"#latin=3x3\.1_2_3_._._._._._\.$"))
    page.wait_for_timeout(STROKE)
    page.get_by_role("button", name="Clear cell").click()
    expect(page).to_have_url(re.compile(r"#latin=3x3\.1_2_._._._._._._\.$"))
    page.keyboard.press("Control+z")
    expect(page).to_have_url(re.compile(r"#latin=3x3\.1_2_3_._._._._._\.$"))
    # The address holds the puzzle.
    again = show("latin=3x3.3_._._._._._._._2")
    assert cells(again) == ["XI", *".......", "7"]
    again = show("latin=3x3.4_._._._._._._._2")  # there is no such value
    expect(again.get_by_role("tab", name="Sudoku")).to_have_attribute("aria-selected", "true")


def test_numbers_of_several_digits_and_no_rules(show: Open) -> None:
    page = show("rule")
    expect(page.locator("#new")).to_be_hidden()  # there are no examples
    assert cells(page) == ["0"] * 6
    cell(page, 1, 1).focus()
    for key in ("1", "2", "0", "ArrowRight", "1", "2", "ArrowRight", "1", "1", "ArrowDown", "9"):
        page.keyboard.press(key)
    assert cells(page) == ["120", "12", "1", "0", "0", "0"]
    enter(page, "1 12 120\n0 0 1")
    assert cells(page) == ["1", "12", "120", "0", "0", "1"]
    enter(page, "1 12 120\n0 0 7")
    expect(page.locator("#text-error")).to_contain_text("r2c3 is 7, which is not one of the task's numbers")
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("the network is only")
    expect(page.locator("#verdict")).to_have_class("bad")


def test_further_layers_of_a_question_stay_in_sight(show: Open) -> None:
    page = show("signed")
    enter(page, "21 10")
    assert cells(page) == ["1>", "<"]
    expect(page.get_by_role("button", name="2")).to_have_count(1)  # the pad has the first layer alone
    cell(page, 1, 2).focus()
    page.keyboard.press("2")
    assert cells(page) == ["1>", "2<"]
    cell(page, 1, 1).focus()
    page.keyboard.press("Delete")
    assert cells(page) == [">", "2<"]
    page.click("#solve")
    page.wait_for_selector("#verdict.good, #verdict.bad")
    assert [text[-1] for text in cells(page)] == [">", "<"]
    cell(page, 1, 1).focus()
    page.keyboard.press("Delete")  # once more: the sign goes, too
    assert cells(page) == [".", "2<"]


def test_the_tabs_and_a_phone(show: Open) -> None:
    page = show("latin", width=360, height=780, has_touch=True, is_mobile=True)
    tabs = page.get_by_role("tab")
    assert tabs.all_text_contents() == ["Sudoku", "Maze", *TASKS, "ARC"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tabs.nth(2).focus()
    for name in ("rule", "any", "signed", "ARC", "Sudoku"):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name=name)).to_be_focused()
        expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def test_boards_of_any_size(show: Open) -> None:
    page = show("any")
    expect(page.locator("#rows")).to_have_value("2")
    enter(page, "1 0 1\n0 0 1\n1 1 1\n0 0 0")
    assert cells(page) == [*"101001111000"]
    expect(page).to_have_url(re.compile(r"#any=4x3\.1_0_1_0_0_1_1_1_1_0_0_0$"))
    again = show(page.url.partition("#")[2])
    assert cells(again) == [*"101001111000"]
    again.fill("#columns", "4")
    again.keyboard.press("Enter")
    assert cells(again) == [*"1010001011100000"]
    again.click("#solve")
    expect(again.locator("#verdict")).to_contain_text("the network is only")
    expect(again.locator("#clear")).to_be_hidden()  # it has no blank
    cell(again, 1, 1).focus()
    before = again.url
    again.keyboard.press(" ")
    again.keyboard.press("1")  # it is there
    assert again.url == before
    again.keyboard.press("0")
    expect(again).to_have_url(re.compile(r"#any=4x4\.0_0_1_0_"))
    fixed = show("rule=3x3.0_0_0_0_0_0_0_0_0")  # it is of 2x3
    expect(fixed.get_by_role("tab", name="Sudoku")).to_have_attribute("aria-selected", "true")


def test_cells_that_break_the_rules_are_marked(show: Open, url: str) -> None:
    page = show("latin")

    def wrong(route: Route) -> None:
        answer = {
            "solved": False,
            "valid": False,
            "confidence": 0.1,
            "steps": 1,
            "starts": 1,
            "text": "",
            "remarks": [],
        }
        answer |= {"grid": [[5, 5, 7]] * 3, "faults": [{"row": 1, "column": 2, "message": "5 occurs more than once"}]}
        step = {"number": 1, "start": 0, "grid": [[5, 5, 7]] * 3, "valid": False, "confidence": 0.1, "changed": []}
        step |= {"cells": [[1.0] * 3] * 3, "candidates": [[[1.0, 0, 0]] * 3] * 3, "memory": [[0.0] * 3] * 3}
        body = "".join(
            f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in (("step", step), ("answer", answer))
        )
        route.fulfill(body=body, content_type="text/event-stream")

    page.route("**/api/watch", wrong)
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("Not solved in 1 step. This is the best attempt. The marked cells")
    expect(page.locator("#board .wrong")).to_have_count(1)
