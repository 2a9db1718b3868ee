"""The page and its API as an ASGI application. What it needs of the disk is read when it is made, never on request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from trm.adapt.child import wall_clock_limit
from trm.errors import BadInput, TrmError
from trm.inference.solver import Solver
from trm.serve.checking import Refused, read, read_arc, shown, shown_arc
from trm.serve.events import arc_parts, given_up, last, stream
from trm.serve.examples import examples
from trm.serve.guard import Guard, problem
from trm.serve.limits import PATIENCE, RETRY, Busy, Limits, Queue, Worked
from trm.serve.offers import no_weights, offered
from trm.serve.schemas import Answer, Checked, Example, Fault, Options, Problem, Question, Served
from trm.tools.functions import ArcSolution
from trm.version import __version__

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
EVENTS = (
    "Server-sent events: a `step` (see Step) for every supervision step, or of an ARC task `progress` (see Progress); "
    "then one `answer`, as `solve` gives it, or where the work fails after all a `problem` (see Problem)."
)
REFUSALS = {
    400: "The body is not JSON, not as described, or a value is out of range.",
    403: "Another name than this server's, or another website's request.",
    408: "The request did not arrive in time.",
    413: "The request is too large.",
    422: "The puzzle is none: why, and the cells to blame.",
    429: "Every place is taken; try again after `Retry-After` seconds.",
    500: "A fault of the server's.",
    503: "No weights for this task were loaded; the work failed; or there are too many connections.",
}
FORMS = {"body", "sudoku", "maze", "arc", "text", "lines", "rows", "object"}  # parts of a place that say nothing
COUNTED, GUESSES = 81, 3000  # cells of a Sudoku whose solutions are counted for a note, and the guesses that may take


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: what a route may answer besides 200."""
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": REFUSALS[status]} for status in (403, 408, 413, 500, *statuses)
    }
    if 429 in found:
        found[429]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def create_app(solvers: Mapping[str, Solver], limits: Limits | None = None, hosts: Collection[str] = ()) -> FastAPI:
    """The application.

    Args:
        solvers: by task (see `load_solvers`); the others are shown, and refused with the reason.
        limits: [default: `Limits()`].
        hosts: names it answers to, besides localhost and addresses.
    """
    limits = limits or Limits()
    app = FastAPI(
        title="trm", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json",
        description="Puzzles solved by Tiny Recursive Models. Rows and columns count from 1.",
    )  # fmt: skip
    app.add_middleware(Guard, hosts=hosts, limits=limits)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(BadInput, refused)
    app.add_exception_handler(Busy, busy)
    app.add_exception_handler(TrmError, unable)
    app.add_exception_handler(Exception, failed)
    add_page(app)
    app.state.queue = Queue(limits.workers, limits.waiting)
    app.include_router(make_api(solvers, limits, app.state.queue), prefix="/api")
    return app


def add_page(app: FastAPI) -> None:
    """The static files, from memory."""
    for file in files("trm.serve").joinpath("static").iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        media_type = TYPES[file.name.rpartition(".")[2]]
        app.add_route(path, sender(file.read_bytes(), media_type), include_in_schema=False)


def sender(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return send


def make_api(solvers: Mapping[str, Solver], limits: Limits, queue: Queue) -> APIRouter:
    router = APIRouter()
    offer, picked = offered(solvers, limits), examples()

    def worked(asked: Question, whole: bool) -> Worked:
        """The answer alone, or all that leads to it. Nothing of the work is done yet."""
        kind, last_words = ("application/json", None) if whole else ("text/event-stream", given_up)
        if asked.task == "arc":
            parts = arc_parts(read_arc(asked.puzzle), asked.seconds, whole)
            return Worked(queue, parts, kind, wall_clock_limit(asked.seconds) + PATIENCE, last_words)
        task, question = read(asked.task, asked.puzzle, limits.side)
        if asked.task not in solvers:
            raise HTTPException(503, no_weights(asked.task))
        thinking = asked.model_dump(include=set(Options.model_fields), exclude_none=True)
        steps = solvers[asked.task].watch(shown(task, question), **thinking)
        parts = last(task, steps) if whole else stream(task, question, steps)
        return Worked(queue, parts, kind, asked.seconds + PATIENCE, last_words)

    @router.get("/tasks", responses=refusals())
    async def tasks() -> Served:
        """What can be solved here, with which weights, and the limits."""
        return offer

    @router.get("/examples", responses=refusals())
    async def some_examples() -> list[Example]:
        """A few puzzles of every kind."""
        return picked

    @router.post("/check", responses=refusals(400, 422))
    def check(asked: Question) -> Checked:
        """What the server makes of a puzzle. What is wrong with it comes with the cells it concerns, and status 200."""
        try:
            if asked.task == "arc":
                return Checked(ok=True, arc=shown_arc(read_arc(asked.puzzle)))
            task, question = read(asked.task, asked.puzzle, limits.side)
        except BadInput as error:
            return Checked(ok=False, message=str(error), **blame(error))
        note = task.problem(question, GUESSES) if task.spec.cells <= COUNTED else None
        return Checked(ok=True, note=note or "", grid=shown(task, question))

    @router.post("/solve", response_model=Answer | ArcSolution, responses=refusals(400, 422, 429, 503))
    async def solve(asked: Question) -> Response:
        """Solve a puzzle. The answer to an ARC task is two attempts a test, which cannot be checked."""
        return await run_in_threadpool(worked, asked, True)

    sent = {"description": EVENTS, "content": {"text/event-stream": {"schema": {"type": "string"}}}}

    @router.post("/watch", response_class=Response, responses={200: sent, **refusals(400, 422, 429, 503)})
    async def watch(asked: Question) -> Response:
        """Watch a puzzle being thought about. Whoever hangs up stops the thinking."""
        return await run_in_threadpool(worked, asked, False)

    return router


# Refusals, all in one form


def blame(error: BadInput) -> dict[str, Any]:
    return {"faults": error.faults, "grid": error.grid} if isinstance(error, Refused) else {}


async def http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), dict(error.headers or {}))


async def refused(request: Request, error: Exception) -> JSONResponse:
    return problem(422, str(error), faults=error.faults if isinstance(error, Refused) else ())


async def busy(request: Request, error: Exception) -> JSONResponse:
    return problem(429, str(error), {"Retry-After": str(RETRY)})


async def unable(request: Request, error: Exception) -> JSONResponse:
    return problem(503, str(error))


async def failed(request: Request, error: Exception) -> JSONResponse:
    return problem(500, "a fault of the server's; its log says more")


async def invalid(request: Request, error: Exception) -> JSONResponse:
    """What is wrong with JSON that is not as described: the first error, with its cell if it is one of a puzzle's."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    what = str(first["msg"])
    if first["type"] == "json_invalid":
        return problem(400, f"not JSON: {first['ctx']['error']}, at character {first['loc'][1]}")
    names = [part for part in first["loc"] if isinstance(part, str) and part not in FORMS]
    numbers = [part + 1 for part in first["loc"] if isinstance(part, int)]
    place = ", ".join(names[-1:] + [f"{kind} {at}" for kind, at in zip(("row", "column"), numbers, strict=False)])
    faults = [Fault(row=numbers[0], column=numbers[1], message=what)] if len(numbers) == 2 else []
    return problem(400, f"{place or 'the body'}: {what}", faults=faults)
