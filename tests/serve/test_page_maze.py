"""Mazes on the page of `trm serve`, in Chromium: drawn with mouse, keyboard and finger, and kept in the address."""

from __future__ import annotations

import pytest
from browsing import CHROMIUM, Open, cell, drag, enter, resize
from playwright.sync_api import expect

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: install it, on Debian by `make chromium`")


def test_a_maze_drawn_with_the_mouse(show: Open) -> None:
    page = show("maze")
    resize(page, 5, 6)
    page.click("#clear")
    expect(page.locator("#board [role=gridcell]")).to_have_count(30)
    drag(page, (1, 3), (4, 3))
    page.get_by_role("button", name="Goal").click()
    cell(page, 1, 6).click()
    walls = [(row, 3) for row in (1, 2, 3, 4)]
    for row in range(1, 6):
        for column in range(1, 7):
            kind = {(1, 1): "start", (1, 6): "goal"}.get((row, column), "wall" if (row, column) in walls else "open")
            expect(cell(page, row, column)).to_have_attribute("aria-label", f"row {row}, column {column}: {kind}")
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("Checked: the path is unbroken, keeps to open cells")
    assert page.locator("#board .path").count() == 12  # 4 down, 5 across and 4 up, less the goal
    assert str(page.locator("#path path").get_attribute("d")).count("M") == 25  # a dot a cell, and what joins them
    # Dragging G moves it, whatever the tool.
    drag(page, (1, 6), (2, 6))
    expect(cell(page, 2, 6)).to_have_attribute("aria-label", "row 2, column 6: goal")
    expect(cell(page, 1, 6)).to_have_attribute("aria-label", "row 1, column 6: open")
    # Drawing clears the answer; a stroke that starts on a wall removes walls.
    page.get_by_role("button", name="Walls").click()
    drag(page, (4, 3), (3, 3))
    expect(page.locator("#watch")).to_be_hidden()
    expect(page.locator("#board .wall")).to_have_count(2)
    expect(page.locator("#board .path")).to_have_count(0)


def test_a_maze_drawn_with_the_keyboard(show: Open) -> None:
    page = show("maze")
    enter(page, "S..\n...\n..G")
    cell(page, 1, 1).focus()
    for key in ("ArrowRight", "#", "ArrowDown", " ", "ArrowDown", "Space", "End", "ArrowUp", "g"):
        page.keyboard.press(key)
    expect(cell(page, 2, 3)).to_have_attribute("aria-label", "row 2, column 3: goal; no path leads from S to G")
    expect(page.locator("#blame li")).to_have_text("Row 2, column 3: no path leads from S to G")
    page.click("#solve")
    expect(page.locator("#blame li")).to_have_text("Row 2, column 3: no path leads from S to G")
    cell(page, 3, 2).focus()
    page.keyboard.press(".")
    expect(page.locator("#board [aria-invalid]")).to_have_count(0)
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("Solved in 6 steps")


def test_a_maze_drawn_with_a_finger(show: Open) -> None:
    page = show("maze", width=360, height=780, has_touch=True, is_mobile=True)
    page.click("#clear")
    cell(page, 1, 2).tap()
    cell(page, 2, 2).tap()
    cell(page, 1, 2).tap()
    expect(page.locator("#board .wall")).to_have_count(1)
    page.get_by_role("button", name="Start").tap()
    cell(page, 3, 3).tap()
    expect(page.locator("#board .start")).to_have_count(1)
    expect(cell(page, 3, 3)).to_have_text("S")


def test_a_high_maze_leaves_room_to_scroll(show: Open) -> None:
    page = show("maze", width=390, height=844, has_touch=True, is_mobile=True)
    resize(page, 50, 10)
    expect(page.locator("#board [role=gridcell]")).to_have_count(500)
    box = page.locator("#board").bounding_box()
    assert box is not None
    assert 0.7 * 844 < box["height"] < 0.85 * 844
    start, last = cell(page, 1, 1).bounding_box(), cell(page, 50, 9).bounding_box()  # one with a letter, one without
    assert start["height"] == pytest.approx(last["height"], abs=0.1)
    assert start["width"] == pytest.approx(start["height"], abs=0.1)


def test_a_maze_in_the_address(show: Open) -> None:
    page = show("maze")
    resize(page, 5, 7)
    page.click("#new")
    labels = "all => all.map(one => one.ariaLabel)"
    before = page.locator("#board [role=gridcell]").evaluate_all(labels)
    assert sum("start" in label or "goal" in label for label in before) == 2
    page.reload()
    expect(page.locator("#about")).not_to_be_empty()
    assert page.locator("#board [role=gridcell]").evaluate_all(labels) == before
    for damaged in ("#maze=5x7.AAAA", "#sudoku=12", "#sudoku=" + "." * 15 + "9", "#nonsense"):
        page.evaluate("hash => { location.hash = hash }", damaged)
        expect(page.locator("#tab-sudoku")).to_have_attribute("aria-selected", "true")
        expect(page.locator("#board [role=gridcell]")).to_have_count(81)
