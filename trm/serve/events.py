"""What a response to `solve` or `watch` consists of: parts of the body, one for each step of the work."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from trm.adapt import child
from trm.adapt.child import adapt_in_child
from trm.adapt.result import Result
from trm.errors import TrmError
from trm.inference import answers
from trm.serve.checking import answer_faults, to_json
from trm.serve.schemas import Answer, Forming, Problem, Progress, Step
from trm.tasks.arc.text import ArcTask
from trm.tasks.base import Tokens
from trm.tools.functions import arc_solution


def step_events(
    given: Tokens, steps: Iterator[answers.Step], remarks: Sequence[str], weights: str
) -> Generator[bytes, None, None]:
    """Server-sent events: `step` for each supervision step on a question that gives `given` [cells], then `answer` with
    the remarks and the model's name.
    """
    before = given
    for step in steps:
        yield event("step", step_message(step, before))
        before = step.tokens
        if step.answer is not None:
            yield event("answer", answer_message(step.answer, remarks, weights))


def answer_json(steps: Iterator[answers.Step], remarks: Sequence[str], weights: str) -> Generator[bytes, None, None]:
    """An empty part for each supervision step, then the answer with the remarks and the model's name as JSON."""
    for step in steps:
        yield b"" if step.answer is None else answer_message(step.answer, remarks, weights).model_dump_json().encode()


def arc_events(task: ArcTask, seconds: float) -> Generator[bytes, None, None]:
    """Server-sent events: `progress` while models train on an ARC task, then `answer`."""
    for found in adapt_in_child(task, seconds):
        if isinstance(found, Result):
            yield event("answer", arc_solution(found))
        else:
            yield event("progress", progress_message(found))


def progress_message(found: child.Progress) -> Progress:
    attempts = found.attempts and [
        [Forming(grid=grid, votes=votes) for grid, votes in attempts] for attempts in found.attempts
    ]
    return Progress(share=found.share, doing=found.doing, attempts=attempts)


def arc_json(task: ArcTask, seconds: float) -> Generator[bytes, None, None]:
    """Empty parts while models train on an ARC task, then the answer as JSON."""
    for found in adapt_in_child(task, seconds):
        yield arc_solution(found).model_dump_json().encode() if isinstance(found, Result) else b""


def problem_event(error: TrmError) -> bytes:
    """The last event of a stream that ends without an answer."""
    return event("problem", Problem(message=str(error)))


def event(name: str, data: BaseModel) -> bytes:
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n".encode()


def step_message(step: answers.Step, before: Tokens) -> Step:
    """A step as the API writes it; `before` [cells] are the tokens of the step before."""
    changed = np.flatnonzero(step.tokens != before)
    width = step.task.spec.width
    return Step(
        number=step.number,
        start=step.start,
        grid=to_json(step.task, step.tokens),
        valid=step.valid,
        confidence=step.confidence,
        cells=rounded(step.cells),
        candidates=rounded(step.probabilities) if step.task.spec.symbols else None,
        memory=[[float(f"{moved:.3g}") for moved in row] for row in step.memory.tolist()],
        changed=[(cell // width + 1, cell % width + 1) for cell in changed.tolist()],
    )


def rounded(probabilities: npt.NDArray[np.float32]) -> Any:
    """Lists of the same shape, to three decimals."""
    return np.round(probabilities.astype(np.float64), 3).tolist()


def answer_message(answer: answers.Answer, remarks: Sequence[str], weights: str) -> Answer:
    """An answer as the API writes it, with the remarks on the text of the request and the name of the model."""
    return Answer(
        solved=answer.solved,
        valid=answer.valid,
        confidence=answer.confidence,
        steps=answer.steps,
        starts=answer.starts,
        grid=to_json(answer.task, answer.tokens),
        text=answer.text,
        faults=answer_faults(answer.task, answer.question, answer.tokens),
        remarks=[*remarks],
        weights=weights,
    )
