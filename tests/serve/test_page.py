"""The page of `trm serve` in Chromium: every task, good and bad input, keyboard, mouse and touch, wide and narrow."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from browsing import CHROMIUM, Open, cell, cells, enter, resize, script, shorter
from playwright.sync_api import Route, expect
from serving import EASY, Gated, serving, wait_until

from trm.plot import looks
from trm.tasks.sudoku.search import count_solutions
from trm.tasks.sudoku.task import Sudoku

NINE = Sudoku()
FRAME = 200  # milliseconds for which the page shows each frame

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: install it, on Debian by `make chromium` as root"),
]


def solution(line: str, task: Sudoku = NINE) -> list[str]:
    _, answer, _ = count_solutions(task.read(line).question[0], task)
    assert answer is not None
    return [*task.to_line(answer)]


def test_thinking_looks_as_in_pictures() -> None:
    script = (files("trm.serve") / "static" / "looks.js").read_text(encoding="utf-8")
    found = {name: float(value) for name, value in re.findall(r"export const (\w+) = ([\d.]+);", script)}
    assert found == {name: getattr(looks, name) for name in ("LEAST", "SURE", "FADE", "DIM")}


# Sudoku


def test_a_sudoku_is_solved_in_view(show: Open) -> None:
    page = show()
    enter(page, EASY)
    assert cells(page) == [*EASY]
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("Checked: every row, column and box is right")
    expect(page.locator("#verdict")).to_have_class("good")
    expect(page.locator("#board.done")).to_be_visible()
    assert cells(page) == solution(EASY)
    expect(cell(page, 1, 1)).to_have_attribute("aria-label", "row 1, column 1: 5, given")
    assert " % sure" in str(page.locator("#board [role=gridcell]").nth(2).get_attribute("aria-label"))
    # The scrubber goes back to the puzzle and through the steps again.
    scrubber = page.locator("#scrubber")
    steps = int(str(scrubber.get_attribute("max")))
    assert page.locator("#verdict").inner_text().startswith(f"Solved in {steps} step")
    scrubber.focus()
    page.keyboard.press("Home")
    assert cells(page) == [*EASY]
    page.keyboard.press("ArrowRight")
    # The model now has an answer in every blank cell, and candidates where it is not sure.
    assert page.locator("#board [aria-label*=' % sure']").count() == 51
    marked = page.locator("#board .open-minded")
    assert marked.count() > 0
    label, marks = str(marked.first.get_attribute("aria-label")), marked.first.locator("i")
    sizes = [
        float(size) for size in marks.evaluate_all("all => all.map(one => one.style.getPropertyValue('--chance'))")
    ]
    assert 0.03 <= min(sizes) <= max(sizes) < 0.85
    assert f": {marks.nth(sizes.index(max(sizes))).get_attribute('data-value')}, {100 * max(sizes):.0f} % sure" in label
    expect(page.locator("#step")).to_contain_text("step 1")
    assert str(scrubber.get_attribute("aria-valuetext")).startswith("step 1")
    for _ in range(steps - 1):
        page.click("#on")
    assert cells(page) == solution(EASY)
    expect(page.locator("#on")).to_be_disabled()
    page.click("#back")
    expect(page.locator("#step")).to_contain_text(f"step {steps - 1}")
    percent = page.locator("#confidence-text").inner_text()
    assert page.locator("#confidence").get_attribute("aria-valuenow") == percent.split()[0]


def test_it_plays_by_itself(show: Open) -> None:
    page = show("maze", paused=True, reduced_motion="no-preference")  # every solution takes 6 steps
    step, toggle = page.locator("#step"), page.locator("#toggle")
    page.click("#solve")
    expect(page.locator("#verdict")).to_have_text("Answered after 6 steps …")
    expect(step).to_have_text("the puzzle")
    expect(toggle).to_have_text("Pause")
    for number in range(1, 7):
        page.clock.run_for(FRAME)
        expect(step).to_contain_text(f"step {number}")
    expect(page.locator("#verdict")).not_to_contain_text("Checked")
    page.clock.run_for(FRAME)
    expect(page.locator("#verdict")).to_contain_text("Checked")
    expect(toggle).to_have_text("Play")
    toggle.click()
    expect(toggle).to_have_text("Pause")
    page.clock.run_for(2 * FRAME)
    toggle.click()
    expect(toggle).to_have_text("Play")
    page.clock.run_for(4 * FRAME)
    expect(step).to_contain_text("step 2")


def test_it_moves_on_load(show: Open) -> None:
    page = show("")
    expect(page.locator("#verdict")).to_contain_text("Solved in")
    expect(page.locator("#what")).to_contain_text("A network of 46 thousand weights (182 kB)")
    page.locator("#what a").click()
    expect(page.locator("#how p").first).to_be_visible()


def test_it_can_be_stopped(show: Open) -> None:
    solver = Gated(1000)
    with serving({"maze": solver}) as served:
        page = show("maze", at=served.url)
        page.click("#solve")
        expect(page.locator("#solve")).to_have_text("Stop")
        solver.let(3)
        expect(page.locator("#scrubber")).to_have_attribute("max", "3")
        expect(page.locator("#verdict")).to_have_text("Thinking …")
        page.click("#solve")
        expect(page.locator("#verdict")).to_have_text("Stopped.")
        expect(page.locator("#solve")).to_have_text("Solve")
        expect(page.locator("#step")).to_contain_text("step 3")
        wait_until(lambda: solver.let_go(served.queue))
        assert solver.done < 100
        page.close()  # so that it sends no request to a server that is gone


def test_typing_with_the_keyboard_alone(show: Open) -> None:
    page = show()
    page.click("#clear")
    page.locator("#tab-sudoku").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "gridcell"  # the whole board is one tab stop
    for key in ("5", "ArrowRight", "3", "x", "ArrowDown", "End", "7", "Control+Home", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
    wanted = ["."] * 81
    wanted[0], wanted[1], wanted[17] = "5", "3", "7"
    assert cells(page) == wanted
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "solve"


def test_digits_that_clash_are_shown_at_their_cells(show: Open) -> None:
    page = show()
    page.click("#clear")
    cell(page, 2, 3).click()
    page.keyboard.press("4")
    cell(page, 2, 8).click()
    page.locator("#pad").get_by_role("button", name="4").click()
    for row, column in ((2, 3), (2, 8)):
        expect(cell(page, row, column)).to_have_attribute("aria-invalid", "true")
        assert str(cell(page, row, column).get_attribute("aria-label")).endswith("4 occurs more than once in row 2")
    assert page.locator("#board [aria-invalid]").count() == 2
    page.get_by_role("button", name="Row 2, column 3").click()
    assert page.evaluate("document.activeElement.ariaLabel").startswith("row 2, column 3")
    page.click("#solve")
    expect(page.locator("#solve")).to_have_text("Solve")
    expect(cell(page, 2, 3)).to_have_attribute("aria-invalid", "true")
    cell(page, 2, 3).focus()
    page.keyboard.press("Delete")
    expect(page.locator("#board [aria-invalid]")).to_have_count(0)
    expect(page.locator("#blame li")).to_have_count(0)


def test_pasted_text(show: Open) -> None:
    page = show()
    enter(page, EASY.replace("7", "x", 1))
    expect(cell(page, 1, 5)).to_have_attribute("aria-invalid", "true")
    assert "'x' is not a digit (1-9) or a blank" in str(cell(page, 1, 5).get_attribute("title"))
    expect(page.locator("#text-error")).to_contain_text("line 1, character 5: 'x' is not a digit")
    enter(page, EASY[:80])
    expect(page.locator("#text-error")).to_contain_text("80 cells instead of 81")
    enter(page, "<img src=x onerror=alert(1)>")
    expect(page.locator("#text-error")).to_contain_text("character 1: '<' is not a digit")
    page.evaluate(  # what Ctrl+V does anywhere on the page, without a clipboard
        "text => { const data = new DataTransfer(); data.setData('text', text); document.body.dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})) }",
        EASY,
    )
    expect(cell(page, 1, 5)).to_have_attribute("aria-label", "row 1, column 5: 7, given")  # the cell that was wrong
    assert cells(page) == [*EASY]


def test_a_puzzle_without_a_solution_is_not_solved(show: Open) -> None:
    page = show()
    page.route("**/api/watch", lambda route: shorter(route, steps=3, restarts=0))
    enter(page, "123............4")
    expect(page.locator("#blame")).to_contain_text("it has no solution")
    page.click("#solve")
    expect(page.locator("#verdict")).to_have_text("Not tried: it has no solution.")
    expect(page.locator("#watch")).to_be_hidden()
    page.get_by_role("button", name="Try anyway").click()
    expect(page.locator("#verdict")).to_contain_text("Not solved in 3 steps. This is the best attempt.")
    expect(page.locator("#verdict")).to_have_class("bad")
    expect(page.locator("#step")).to_have_text("best attempt")
    assert page.locator("#board [aria-invalid]").count() > 1
    expect(page.locator("#blame")).to_contain_text("it has no solution")
    page.get_by_role("button", name="Keep going").click()
    expect(page.locator("#verdict")).to_contain_text("Not solved in 6 steps.")


def test_an_empty_board_is_answered_at_once(show: Open) -> None:
    page = show()
    page.click("#clear")
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("An empty board has very many answers")
    expect(page.locator("#solve")).to_have_text("Solve")


@pytest.mark.parametrize("size", [4, 6, 16])
def test_other_sizes(show: Open, size: int) -> None:
    page = show()
    page.select_option("#kind", f"{size}x{size}")
    expect(page.locator("#board [role=gridcell]")).to_have_count(size**2)
    expect(page.locator("#pad button")).to_have_count(size + 1)
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("No model here solves 16x16" if size == 16 else "Checked")
    page.click("#clear")
    assert set(cells(page)) == {"."}
    expect(page.locator("#kind")).to_have_value(f"{size}x{size}")


# New puzzles, and the address


@pytest.mark.parametrize("kind", ["easy", "hard", "extreme", "6x6"])
def test_a_new_puzzle_has_one_solution(show: Open, kind: str) -> None:
    page = show()
    page.select_option("#kind", kind)
    first = "".join(cells(page))
    page.click("#new")
    second = "".join(cells(page))
    assert first != second
    task = Sudoku(2, 3) if kind == "6x6" else NINE
    for line in (first, second):
        assert count_solutions(task.read(line).question[0], task)[0] == 1
    assert (81 - first.count(".") == 36) == (kind == "easy")


def test_the_address_holds_the_puzzle(show: Open) -> None:
    page = show()
    enter(page, EASY)
    assert page.evaluate("location.hash") == f"#sudoku={EASY}"
    page.wait_for_timeout(900)  # edits that follow each other at once are one
    cell(page, 1, 3).click()
    page.keyboard.press("4")
    changed = "".join(cells(page))
    assert changed == f"{EASY[:2]}4{EASY[3:]}"
    page.keyboard.press("Control+z")
    expect(cell(page, 1, 3)).to_have_attribute("aria-label", "row 1, column 3: blank")
    page.go_forward()
    expect(cell(page, 1, 3)).to_have_attribute("aria-label", "row 1, column 3: 4, given")
    page.click("#undo")
    expect(cell(page, 1, 3)).to_have_attribute("aria-label", "row 1, column 3: blank")
    page.reload()
    expect(page.locator("#about")).not_to_be_empty()
    assert cells(page) == [*EASY]
    page.locator("#board .current").press("Enter")
    expect(page.locator("#verdict")).to_contain_text("Solved")


def test_a_task_without_weights_says_so(show: Open) -> None:
    with serving({}) as served:
        page = show("maze", at=served.url)
        expect(page.locator("#notice")).to_contain_text("not solve yet: no weights for maze are loaded; train some")
        expect(page.locator("#solve")).to_be_disabled()
        page.click("#new")
        expect(page.locator("#board [role=gridcell]")).to_have_count(64)
        page.close()  # so that it sends no request to a server that is gone


# The page as a whole


def test_tabs_work_as_tabs_do(show: Open) -> None:
    page = show()
    page.locator("#tab-sudoku").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-maze")).to_be_focused()
    expect(page.locator("#tab-maze")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("grid", name="Maze, 8 rows, 8 columns")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tabpanel", name="ARC")).to_be_visible()
    expect(page.locator("#play")).to_be_hidden()


def test_a_server_that_is_busy_or_gone(show: Open) -> None:
    page = show()
    held: list[Route] = []
    page.route("**/api/check", lambda route: held.append(route))
    with page.expect_request("**/api/check"):
        page.click("#new")
    busy = {"message": "the server is busy with 18 puzzles; try again in 2 seconds", "faults": []}
    page.route("**/api/watch", lambda route: route.fulfill(status=429, json=busy))
    page.click("#solve")
    expect(page.locator("#blame")).to_have_text(busy["message"])
    with page.expect_response("**/api/check"):
        held.pop().continue_()
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(page.locator("#blame")).to_have_text(busy["message"])  # a late result of a check does not replace it
    page.unroute("**/api/watch")
    page.route("**/api/watch", lambda route: route.fulfill(status=200, content_type="text/event-stream", body=""))
    page.click("#solve")
    expect(page.locator("#blame")).to_have_text("The connection broke before the answer came.")
    expect(page.locator("#watch")).to_be_hidden()
    page.unroute("**/api/watch")
    said = 'event: problem\ndata: {"message": "no memory is left", "faults": []}\n\n'
    page.route("**/api/watch", lambda route: route.fulfill(status=200, content_type="text/event-stream", body=said))
    page.click("#solve")
    expect(page.locator("#blame")).to_have_text("no memory is left")
    expect(page.locator("#solve")).to_have_text("Solve")
    page.unroute("**/api/watch")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_everything_can_be_read_and_has_a_name(show: Open, scheme: str, width: int) -> None:
    page = show(width=width, color_scheme=scheme)
    enter(page, EASY)
    page.route("**/api/watch", lambda route: shorter(route, steps=1, restarts=0))  # an uncertain answer with faults
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("solved", ignore_case=True)
    for task in ("sudoku", "maze", "arc"):
        if task != "sudoku":
            page.click(f"#tab-{task}")
        if task == "maze":
            resize(page, 30, 30)
            page.click("#new")
        assert page.evaluate(script("page_faint.js")) == [], task
        assert page.evaluate(script("page_nameless.js")) == [], task
        assert page.evaluate("document.documentElement.scrollWidth") <= width, task
