"""The page and its API as an ASGI application. Everything it needs of the disk is read when it is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from trm.adapt.child import wall_clock_limit
from trm.errors import BadInput
from trm.inference.puzzles import SizedPuzzle
from trm.inference.solver import Solver
from trm.serve.checking import BadPuzzle, arc_to_json, read_arc, read_board, to_json
from trm.serve.events import answer_json, arc_events, arc_json, problem_event, step_events
from trm.serve.examples import examples, own_examples
from trm.serve.guard import Guard
from trm.serve.limits import GRACE, Limits, Queue, WorkResponse
from trm.serve.offers import FAMILIES, no_weights, offer
from trm.serve.refusals import add_handlers, refusals
from trm.serve.schemas import Answer, Checked, Example, Options, Progress, Puzzle, Question, Served, Step, question_of
from trm.tasks.base import NO_SOLUTION
from trm.tools.results import ArcSolution
from trm.version import __version__

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
EVENTS = (
    "Server-sent events: a `step` (see Step) for every supervision step, or `progress` (see Progress) while models "
    "train on an ARC task; then one `answer`, as `solve` returns it, or a `problem` (see Problem) if the work fails."
)
COUNTED, COUNT_NODES = 81, 3000  # largest board, in cells, whose solutions `check` counts; branch nodes for it


class Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the schemas of the events. To FastAPI an event is just text."""
        document = super().openapi()
        kinds: list[tuple[type[BaseModel], Literal["serialization"]]]
        kinds = [(Step, "serialization"), (Progress, "serialization")]
        _, found = models_json_schema(kinds, ref_template="#/components/schemas/{model}")
        document["components"]["schemas"].update(found["$defs"])
        return document


def create_app(
    solvers: Mapping[str, Solver],
    limits: Limits | None = None,
    hosts: Collection[str] = (),
    shown: Mapping[str, str] | None = None,
) -> FastAPI:
    """The application.

    Args:
        solvers: by task (see `load_solvers`). A task without a solver is shown, but a request to solve it is refused.
        limits: [default: `Limits()`].
        hosts: host names that the server answers to, besides localhost and addresses.
        shown: files of example puzzles for tasks that are known by their model, by the name of the task [default: the
            file that the model was trained on, if it is still there].

    Raises BadInput for a file of examples that cannot be read, or for a task that is not there.
    """
    limits = limits or Limits()
    app = Application(
        title="trm", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json",
        description="Puzzles solved by Tiny Recursive Models. Rows and columns count from 1.",
    )  # fmt: skip
    app.add_middleware(Guard, hosts=hosts, limits=limits)
    add_handlers(app)
    add_page(app)
    app.state.queue = Queue(limits.workers, limits.waiting)
    picked = [*examples(), *own_examples(solvers, shown or {})]
    app.include_router(make_api(Service(solvers, limits, app.state.queue), picked), prefix="/api")
    return app


def add_page(app: FastAPI) -> None:
    """Serve the static files from memory."""
    for file in files("trm.serve").joinpath("static").iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        media_type = TYPES[file.name.rpartition(".")[2]]
        app.add_route(path, sender(file.read_bytes(), media_type), include_in_schema=False)


def sender(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return send


@dataclass(frozen=True)
class Service:
    """What the API does with a puzzle."""

    solvers: Mapping[str, Solver]
    limits: Limits
    queue: Queue

    def read(self, question: Puzzle) -> SizedPuzzle:
        """The puzzle of a request. Raises as `read_board` does."""
        name = question.task if question.task in FAMILIES else self.solvers[question.task].task
        return read_board(name, question.puzzle, self.limits.side)

    def check(self, question: Question) -> Checked:
        """Read a puzzle. What is wrong with it is part of the result."""
        try:
            if question.task == "arc":
                return Checked(ok=True, arc=arc_to_json(read_arc(question.puzzle)))
            task, tokens, remarks = self.read(question)
        except BadPuzzle as error:
            return Checked(ok=False, message=str(error), faults=error.faults, grid=error.grid)
        except BadInput as error:
            return Checked(ok=False, message=str(error))
        note = task.problem(tokens, COUNT_NODES) if task.spec.cells <= COUNTED else None
        return Checked(ok=True, note=note or "", grid=to_json(task, tokens), remarks=[*remarks])

    def work(self, question: Question, events: bool) -> WorkResponse:
        """A response that solves a puzzle while it is sent: as server-sent events, or the answer alone as JSON.

        Raises:
            BadInput: the puzzle cannot be used.
            HTTPException: there are no weights for it.
        """
        media_type, error_part = ("text/event-stream", problem_event) if events else ("application/json", None)
        if question.task == "arc":
            arc_parts = arc_events if events else arc_json
            parts = arc_parts(read_arc(question.puzzle), question.seconds)
            return WorkResponse(self.queue, parts, media_type, wall_clock_limit(question.seconds) + GRACE, error_part)
        task, tokens, remarks = self.read(question)
        if question.task not in self.solvers:
            raise HTTPException(503, no_weights(question.task))
        problem = task.problem(tokens, COUNT_NODES) if task.spec.cells <= COUNTED else None
        remarks = (*remarks, problem) if problem else remarks
        options = question.model_dump(include=set(Options.model_fields), exclude_none=True)
        if problem == NO_SOLUTION:  # further starts would find none either
            options["restarts"] = 0
        # As a grid, not as text: the text of a board with few digits does not show its size.
        solver = self.solvers[question.task]
        steps = solver.watch(to_json(task, tokens), **options)
        weights = solver.stored.name if question.task in FAMILIES else question.task
        given = task.given(tokens)
        parts = step_events(given, steps, remarks, weights) if events else answer_json(steps, remarks, weights)
        return WorkResponse(self.queue, parts, media_type, question.seconds + GRACE, error_part)


def make_api(service: Service, picked: list[Example]) -> APIRouter:
    """The routes of the API. Their docstrings are part of its OpenAPI document."""
    router, served = APIRouter(), offer(service.solvers, service.limits)

    @router.get("/tasks", responses=refusals())
    async def tasks() -> Served:
        """The tasks that can be solved here, the weights used for each, and the limits."""
        return served

    @router.get("/examples", responses=refusals())
    async def some_examples() -> list[Example]:
        """A few puzzles of every task."""
        return picked

    for path, route in (("/tasks", tasks), ("/examples", some_examples)):  # starlette does this for the other files
        router.add_api_route(path, route, methods=["HEAD"], include_in_schema=False)

    def check(question: Question) -> Checked:
        """Read a puzzle without solving it. If it is wrong, the status is still 200, and the result names the cells."""
        return service.check(question)

    async def solve(question: Question) -> Response:
        """Solve a puzzle. The answer to an ARC task is up to two attempts at each test, which cannot be checked."""
        return await run_in_threadpool(service.work, question, events=False)

    async def watch(question: Question) -> Response:
        """Solve a puzzle and watch every step. The work stops when the client disconnects."""
        return await run_in_threadpool(service.work, question, events=True)

    wrong, failing = refusals(400, 422), refusals(400, 422, 429, 503)
    sent = {"description": EVENTS, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    asked = question_of([name for name in service.solvers if name not in FAMILIES])
    for taker in (check, solve, watch):
        taker.__annotations__["question"] = asked
    router.add_api_route("/check", check, methods=["POST"], responses=wrong)
    router.add_api_route("/solve", solve, methods=["POST"], responses=failing, response_model=Answer | ArcSolution)
    router.add_api_route("/watch", watch, methods=["POST"], responses={200: sent, **failing}, response_class=Response)

    return router
