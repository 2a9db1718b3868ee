"""Every refusal in one form: a status code and a `Problem` as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from trm.errors import BadInput, TrmError
from trm.serve.checking import BadPuzzle
from trm.serve.limits import RETRY_AFTER, Busy
from trm.serve.schemas import Fault, Problem
from trm.tasks.text import quoted

REASONS = {
    400: "The body is not JSON, not as described, or a value is out of range.",
    403: "The request names another host than this server, or comes from another website.",
    408: "The request did not arrive in time.",
    413: "The request is too large.",
    422: "The puzzle is not valid: why, and the cells at fault.",
    429: "The server is busy; try again after `Retry-After` seconds.",
    500: "A fault of the server.",
    503: "No weights for this task are loaded, the work failed, or there are too many connections.",
}
ALWAYS = (403, 408, 413, 500)  # possible for every route
UNNAMED = {"body", "sudoku", "maze", "arc", "text", "lines", "rows", "object"}  # parts of a location that name nothing


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the refusals of a route, which are `statuses` and those that every route has."""
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": REASONS[status]} for status in (*ALWAYS, *statuses)
    }
    if 429 in found:
        found[429]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def add_handlers(app: FastAPI) -> None:
    """Answer every exception with a `Problem`."""
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(BadInput, bad_input)
    app.add_exception_handler(Busy, busy)
    app.add_exception_handler(TrmError, failed)
    app.add_exception_handler(Exception, server_fault)


def refusal(
    status: int, message: str, headers: Mapping[str, str] | None = None, faults: Sequence[Fault] = ()
) -> JSONResponse:
    return JSONResponse(Problem(message=message, faults=list(faults)).model_dump(), status, headers)


def faults_of(error: Exception) -> list[Fault]:
    return error.faults if isinstance(error, BadPuzzle) else []


async def http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    unread = error.detail == "There was an error parsing the body"  # FastAPI's words for bytes that are no text
    message = "the body cannot be read: send JSON in UTF-8" if unread else str(error.detail)
    return refusal(error.status_code, message, dict(error.headers or {}))


async def bad_input(request: Request, error: Exception) -> JSONResponse:
    return refusal(422, str(error), faults=faults_of(error))


async def busy(request: Request, error: Exception) -> JSONResponse:
    return refusal(429, str(error), {"Retry-After": str(RETRY_AFTER)})


async def failed(request: Request, error: Exception) -> JSONResponse:
    return refusal(503, str(error))


async def server_fault(request: Request, error: Exception) -> JSONResponse:
    return refusal(500, "internal error of the server; see its log")


async def invalid(request: Request, error: Exception) -> JSONResponse:
    """A body that is not JSON or not as described: its first error, with the cell if it concerns one of a puzzle."""
    assert isinstance(error, RequestValidationError)
    if why := not_called_json(request):
        return refusal(400, why)
    first = error.errors()[0]
    what = str(first["msg"])
    if first["type"] == "int_type" and isinstance(first["input"], list):
        what = "a cell is one number, not a list; where a task has layers it holds them all, see unit in GET tasks"
    if first["type"] == "json_invalid":
        return refusal(400, f"not JSON: {first['ctx']['error']}, at character {first['loc'][1]}")
    if first["type"] in ("union_tag_not_found", "union_tag_invalid"):
        served = first.get("ctx", {}).get("expected_tags", "see GET tasks")
        why = f"{quoted(str(first['ctx']['tag']))} is not served" if "tag" in first["ctx"] else "is missing"
        return refusal(400, f"task {why}; name one of those that are: {served}")
    names = [part for part in first["loc"] if isinstance(part, str) and part not in UNNAMED]
    numbers = [part + 1 for part in first["loc"] if isinstance(part, int)]
    place = ", ".join(names[-1:] + [f"{kind} {at}" for kind, at in zip(("row", "column"), numbers, strict=False)])
    faults = [Fault(row=numbers[0], column=numbers[1], message=what)] if len(numbers) == 2 else []
    return refusal(400, f"{place or 'the body'}: {what}", faults=faults)


def not_called_json(request: Request) -> str | None:
    """Why a body was not read as JSON although it may be some: its Content-Type. None if that is right."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return None
    found = f"the Content-Type of the body is {quoted(kind)}" if kind else "the body has no Content-Type"
    return f"{found}: send JSON, with the header Content-Type: application/json"
