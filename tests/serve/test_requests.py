"""Requests as programs send them: HEAD, and bodies that are not called JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from serving import ASKING, EASY, Served, serving

BODY = json.dumps({"task": "sudoku", "puzzle": EASY}).encode()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving({}) as running:
        yield running


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/style.css", "/icon.svg", "/api/tasks", "/api/examples", "/api/openapi.json", "/nothing"]
)
def test_head_is_get_without_the_body(served: Served, path: str) -> None:
    head, got = (httpx.request(method, served.url + path, **ASKING) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert len(got.content) > 0
    names = ("content-type", "content-length", "content-security-policy", "cache-control")
    assert [head.headers.get(name) for name in names] == [got.headers.get(name) for name in names]


def test_head_is_not_in_the_description_and_not_for_what_takes_a_puzzle(served: Served) -> None:
    paths = served.get("/api/openapi.json").json()["paths"]
    assert {method for path in paths.values() for method in path} == {"get", "post"}
    assert httpx.head(f"{served.url}/api/solve", **ASKING).status_code == 405


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, "is 'application/x-www-form-urlencoded'"),  # curl -d
        ({"Content-Type": "text/plain; charset=utf-8"}, "is 'text/plain'"),
        ({}, "has no Content-Type"),
    ],
)
@pytest.mark.parametrize("path", ["check", "solve", "watch"])
def test_a_body_that_is_not_called_json(served: Served, path: str, headers: dict[str, str], found: str) -> None:
    refused = httpx.post(f"{served.url}/api/{path}", content=BODY, headers=headers, **ASKING)
    assert refused.status_code == 400
    message = refused.json()["message"]
    assert found in message
    assert message.endswith("send JSON, with the header Content-Type: application/json")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/ld+json"])
def test_a_body_that_is_called_json_is_read(served: Served, kind: str) -> None:
    headers = {"Content-Type": kind}
    assert httpx.post(f"{served.url}/api/check", content=BODY, headers=headers, **ASKING).json()["ok"] is True
    wrong = httpx.post(f"{served.url}/api/check", content=b'{"task": 1}', headers=headers, **ASKING).json()["message"]
    assert "Content-Type" not in wrong
