"""ARC tasks on the page of `trm serve`, in Chromium: shown, solved, stopped."""

from __future__ import annotations

import json
import re

import pytest
from browsing import CHROMIUM, Open
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: install it, on Debian by `make chromium`")

COPY = {
    "train": [{"input": [[1, 2], [colour, 0]], "output": [[1, 2], [colour, 0]]} for colour in (0, 3, 4, 6)],
    "test": [{"input": [[5, 1], [0, 2]]}],
}


def test_an_arc_task(show: Open) -> None:
    page = show("arc")
    expect(page.locator("#arc-pairs figure")).to_have_count(4)
    task = {"train": [{"input": [[0, 2]], "output": [[3], [4]]}], "test": [{"input": [[5]]}]}
    page.set_input_files("#arc-file", {"name": "mine.json", "mimeType": "", "buffer": json.dumps(task).encode()})
    expect(page.locator("#arc-name")).to_have_text("mine.json: 1 demonstration, 1 test")
    labels = [picture.get_attribute("aria-label") for picture in page.locator("#arc-pairs canvas").all()]
    assert labels == [
        "demonstration 1, question, 1 rows of 2: 0 2",
        "demonstration 1, answer, 2 rows of 1: 3; 4",
        "test 1, question, 1 rows of 1: 5",
    ]
    pixel = "canvas => [...canvas.getContext('2d').getImageData(canvas.width * 3 / 4, canvas.height / 2, 1, 1).data]"
    assert page.locator("#arc-pairs canvas").first.evaluate(pixel) == [0xFF, 0x41, 0x36, 0xFF]
    expect(page.locator("#arc-reveal")).to_be_hidden()  # there is no answer to show
    page.locator("#arc summary").click()
    page.fill("#arc-text", json.dumps(task).replace("5", "12"))
    page.click("#arc-use")
    expect(page.locator("#arc-error")).to_contain_text("test pair 1, input: row 1, column 1: 12 is no colour (0-9)")
    expect(page.locator("#arc-pairs figure")).to_have_count(0)
    expect(page.locator("#arc-solve")).to_be_disabled()


def test_answers_are_hidden_until_asked_for(show: Open) -> None:
    page = show("arc")
    pictures = page.locator("#arc-pairs figure").last.locator("canvas")
    expect(pictures).to_have_count(1)
    page.get_by_role("button", name="Show the known answers").click()
    expect(pictures).to_have_count(2)
    expect(page.locator("#arc-reveal")).to_be_hidden()


def test_attempts_are_shown_as_they_form(show: Open) -> None:
    page = open_task(show)
    forming = {
        "share": 0.5,
        "doing": "model 1",
        "attempts": [[{"grid": [[7, 7]], "votes": 5}, {"grid": [[8]], "votes": 1}]],
    }
    said = f"event: progress\ndata: {json.dumps(forming)}\n\n"
    page.route("**/api/watch", lambda route: route.fulfill(status=200, content_type="text/event-stream", body=said))
    page.click("#arc-solve")
    captions = page.locator("#arc-attempts figcaption")
    expect(captions).to_have_text(["test 1, attempt 1: 5 votes so far", "test 1, attempt 2: 1 vote so far"])
    page.unroute("**/api/watch")


def open_task(show: Open) -> Page:
    page = show("arc")
    page.set_input_files("#arc-file", {"name": "mine.json", "mimeType": "", "buffer": json.dumps(COPY).encode()})
    expect(page.locator("#arc-name")).to_have_text("mine.json: 4 demonstrations, 1 test")
    return page


def test_an_arc_task_is_solved(show: Open) -> None:
    page = open_task(show)
    page.fill("#arc-seconds", "3")
    page.click("#arc-solve")
    expect(page.locator("#arc-doing")).to_contain_text(re.compile(r"model \d"), timeout=60_000)
    expect(page.locator("#arc-verdict")).to_contain_text("Not ", timeout=90_000)  # "checked", or "to be trusted"
    expect(page.locator("#arc-work")).to_be_hidden()
    first = page.locator("#arc-attempts figure").first
    expect(first.locator("figcaption")).to_contain_text("test 1, attempt 1: ")
    expect(first.locator("canvas").last).to_have_attribute(
        "aria-label", re.compile("attempt 1.*, answer, 2 rows of 2: ")
    )
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_training_that_fails_says_why(show: Open) -> None:
    page = open_task(show)
    said = 'event: progress\ndata: {"share": 0.5, "doing": "model 1"}\n\n'
    said += 'event: problem\ndata: {"message": "no memory is left"}\n\n'
    page.route("**/api/watch", lambda route: route.fulfill(status=200, content_type="text/event-stream", body=said))
    page.click("#arc-solve")
    expect(page.locator("#arc-error")).to_have_text("no memory is left")
    expect(page.locator("#arc-work")).to_be_hidden()
    page.unroute("**/api/watch")


def test_training_is_stopped_and_forgotten(show: Open) -> None:
    page = open_task(show)
    page.click("#arc-solve")
    expect(page.locator("#arc-work")).to_be_visible()
    page.click("#arc-solve")
    expect(page.locator("#arc-verdict")).to_have_text("Stopped.")
    page.click("#arc-solve")
    expect(page.locator("#arc-verdict")).to_contain_text("Training")
    page.select_option("#arc-example", "0")
    expect(page.locator("#arc-verdict")).to_have_text("")
    expect(page.locator("#arc-solve")).to_have_text("Solve")
    page.fill("#arc-seconds", "0")
    page.click("#arc-solve")
    expect(page.locator("#arc-work")).to_be_hidden()
