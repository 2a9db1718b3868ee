"""For the tests of the page: finding a browser, and reading and using the page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright
from serving import PATIENCE, Pathfinder, serving

import trm

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
REFUSAL = "the server responded with a status of"  # in the console; each test checks whether it is expected
HOUR = 3600  # seconds, later than any page is opened
expect.set_options(timeout=1000 * PATIENCE)

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving({"sudoku": trm.Solver("sudoku"), "maze": Pathfinder(6)}) as served:
        yield served.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=1000 * PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Browser, url: str) -> Iterator[Open]:
    """Opens the page. With `paused`, the page's clock runs only when the test moves it.

    In every test no script may fail, and nothing may be fetched from another host.
    """
    troubles: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and REFUSAL not in message.text:
            troubles.append(message.text)

    def open_page(
        task: str = "sudoku", width: int = 1280, height: int = 900, at: str = url, paused: bool = False, **more: Any
    ) -> Page:
        more = {"reduced_motion": "reduce", **more}
        context = browser.new_context(viewport={"width": width, "height": height}, **more)
        context.set_default_timeout(1000 * PATIENCE)
        contexts.append(context)
        page = context.new_page()
        if paused:
            page.clock.install(time=0)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", note)
        page.on("request", lambda request: None if request.url.startswith(at) else troubles.append(request.url))
        page.goto(f"{at}/#{task}" if task else at)
        expect(page.locator("#about")).not_to_be_empty()
        if paused:
            page.clock.pause_at(HOUR)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def cells(page: Page) -> list[str]:
    return [text or "." for text in page.locator("#board [role=gridcell]").all_text_contents()]


def cell(page: Page, row: int, column: int) -> Any:
    return page.locator(f"#board [aria-label^='row {row}, column {column}:']")


def enter(page: Page, text: str) -> None:
    """Enter a puzzle as text."""
    if not page.locator("#text").is_visible():
        page.locator("#as-text summary").click()
    page.fill("#text", text)
    page.click("#use")
    expect(page.locator("#as-text")).not_to_have_attribute("aria-busy", "true")


def resize(page: Page, rows: int, columns: int) -> None:
    """Give the maze another size."""
    page.fill("#rows", str(rows))
    page.fill("#columns", str(columns))
    page.keyboard.press("Enter")


def drag(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """One quick stroke."""
    for place, act in ((start, page.mouse.down), (end, page.mouse.up)):
        box = cell(page, *place).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        act()


def shorter(route: Route, **thinking: int) -> None:
    """Change the options of the request, so that it takes less time."""
    route.continue_(post_data=json.dumps(json.loads(route.request.post_data or "") | thinking))


def script(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
