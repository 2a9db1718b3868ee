"""What a solver's steps look like on the wire."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
from pydantic import BaseModel

from trm.adapt.child import adapt_in_child
from trm.adapt.result import Result
from trm.errors import TrmError
from trm.inference import solver as api
from trm.serve.checking import answer_faults, shown
from trm.serve.schemas import Answer, Problem, Progress, Step
from trm.tasks.arc.text import ArcTask
from trm.tasks.base import Task, Tokens
from trm.tools.functions import arc_solution


def stream(task: Task, question: Tokens, steps: Iterator[api.Step]) -> Generator[bytes, None, None]:
    """Server-sent events: `step` for each step of thinking about question [cells], then `answer`."""
    before = question
    for step in steps:
        yield event("step", told(step, before))
        before = step.tokens
        if step.answer is not None:
            yield event("answer", concluded(task, step.answer))


def last(task: Task, steps: Iterator[api.Step]) -> Generator[bytes, None, None]:
    """Nothing for each step, then the answer as JSON."""
    for step in steps:
        yield b"" if step.answer is None else concluded(task, step.answer).model_dump_json().encode()


def arc_parts(task: ArcTask, seconds: float, whole: bool) -> Generator[bytes, None, None]:
    """Train models on an ARC task: events `progress`, then `answer`; or nothing, then the answer as JSON (`whole`)."""
    for found in adapt_in_child(task, seconds):
        if not isinstance(found, Result):
            share, doing = found
            yield b"" if whole else event("progress", Progress(share=share, doing=doing))
        elif whole:
            yield arc_solution(found).model_dump_json().encode()
        else:
            yield event("answer", arc_solution(found))


def given_up(error: TrmError) -> bytes:
    """The last event of a stream without an answer."""
    return event("problem", Problem(message=str(error)))


def event(name: str, data: BaseModel) -> bytes:
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n".encode()


def told(step: api.Step, before: Tokens) -> Step:
    """A step, and what is not as in `before` [cells]."""
    changed = np.flatnonzero(step.tokens != before)
    return Step(
        number=step.number,
        start=step.start,
        grid=shown(step.task, step.tokens),
        valid=step.valid,
        confidence=step.confidence,
        cells=np.round(step.cells.astype(np.float64), 3).tolist(),
        changed=[(cell // step.task.spec.width + 1, cell % step.task.spec.width + 1) for cell in changed.tolist()],
    )


def concluded(task: Task, answer: api.Answer) -> Answer:
    return Answer(
        solved=answer.solved,
        valid=answer.valid,
        confidence=answer.confidence,
        steps=answer.steps,
        starts=answer.starts,
        grid=shown(task, answer.tokens),
        text=answer.text,
        faults=answer_faults(task, answer.question, answer.tokens),
    )
