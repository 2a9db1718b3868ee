"""The page without a server in Chromium: from a subfolder, with a connection and then without."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, cells, enter
from playwright.sync_api import Browser, Page, expect
from serving import EASY, MAZE, PATIENCE

OPEN = "\n".join(["S" + "." * 29, *["." * 30] * 28, "." * 29 + "G"])  # no maze of its training was without walls

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: install it, on Debian by `make chromium` as root"),
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def files_at(folder: Path) -> Iterator[str]:
    """A web server that knows nothing but files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def troubles() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    assert found == []


def open_page(browser: Browser, url: str, troubles: list[str]) -> Page:
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(url) else troubles.append(request.url))
    page.goto(url)
    expect(page.locator("#about")).not_to_be_empty()
    return page


def solve(page: Page, task: str, puzzle: str) -> None:
    page.click(f"#tab-{task}")
    enter(page, puzzle)
    page.click("#solve")
    expect(page.locator("#verdict")).to_contain_text("Checked: ")
    expect(page.locator("#verdict")).to_have_class("good")


def test_it_works_without_a_connection(browser: Browser, site: Path, tmp_path: Path, troubles: list[str]) -> None:
    """The first visit loads everything; after that the server may be gone."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "page").symlink_to(site)
    with files_at(tmp_path) as host:
        page = open_page(browser, f"{host}/some/page/", troubles)
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        solve(page, "sudoku", EASY)
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#about")).not_to_be_empty()
    solve(page, "maze", "\n".join(MAZE))
    assert "".join(cells(page)).count("S") == 1
    enter(page, "S#\n#G")
    expect(page.locator("#text-error")).to_have_text("maze 1 (line 1): no path leads from S to G")
    page.click("#tab-arc")
    page.click("#arc-solve")
    expect(page.locator("#arc-verdict")).to_contain_text("Recorded when this page was built, in 3 seconds.")
    page.context.close()


# Clicks as soon as there is a step. The test itself would be too late where the machine is busy.
STOP = """() => new Promise(done => {
    const timer = setInterval(() => {
        if (document.querySelector("#scrubber").max === "0") return;
        clearInterval(timer);
        document.querySelector("#solve").click();
        done();
    }, 1);
})"""


def test_work_can_be_stopped(browser: Browser, site: Path, troubles: list[str]) -> None:
    with files_at(site) as host:
        page = open_page(browser, f"{host}/", troubles)
        page.click("#tab-maze")
        enter(page, OPEN)
        page.click("#solve")
        expect(page.locator("#solve")).to_have_text("Stop")
        page.evaluate(STOP)
        expect(page.locator("#verdict")).to_have_text("Stopped.")
        solve(page, "sudoku", EASY)
        page.context.close()
