"""What the tests of the page do with a browser: finding it, and reading and using the page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, expect

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


def cells(page: Page) -> list[str]:
    return [text or "." for text in page.locator("#board [role=gridcell]").all_text_contents()]


def cell(page: Page, row: int, column: int) -> Any:
    return page.locator(f"#board [aria-label^='row {row}, column {column}:']")


def enter(page: Page, text: str) -> None:
    """Put text in the box for it."""
    if not page.locator("#text").is_visible():
        page.locator("#as-text summary").click()
    page.fill("#text", text)
    page.click("#use")
    expect(page.locator("#as-text")).not_to_have_attribute("aria-busy", "true")


def drag(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """One quick stroke."""
    for place, act in ((start, page.mouse.down), (end, page.mouse.up)):
        box = cell(page, *place).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        act()


def shorter(route: Route, **thinking: int) -> None:
    """The same request with less thinking."""
    route.continue_(post_data=json.dumps(json.loads(route.request.post_data or "") | thinking))


def script(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
