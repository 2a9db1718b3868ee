"""A language model as the baseline: it is asked for the rows of `trm eval` in words and scored by the same rules.

Everything it said is kept in a folder as soon as it is there, so that a run goes on where it stopped and no answer is
paid for twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import numpy as np

from trm import records
from trm.errors import BadInput, TrmError
from trm.llm_http import Client, Failed, Reply
from trm.llm_kept import EVALUATION, Job, Line, Outcome, Transcripts, go_on
from trm.llm_text import Reader, make_prompt, refuses
from trm.records import Record
from trm.tasks.base import Puzzles, Task, Tokens

GIVE_UP = 10  # rows without a reply in succession, beside those under way, after which the endpoint is left alone


def ask_rows(
    task: Task,
    puzzles: Puzzles,
    job: Job,
    client: Client,
    folder: Path,
    budget: int = 0,
    concurrency: int = 4,
    tick: Callable[[Line], object] | None = None,
) -> Record:
    """Ask for every row that `folder` has no reply to; score all that it has.

    Args:
        task: whose rules to tell and to check.
        puzzles: the rows, some of those the job was planned for.
        job: from `plan`.
        client: whom to ask. After an error it is stopped for good.
        folder: where transcripts and record go, and where an earlier run of the same job left them.
        budget: stop before the tokens spent in this folder, earlier runs included, exceed this; 0: no limit. The last
            answer may exceed it.
        concurrency: requests at once.
        tick: called with the line of every row that is on the disk, and of each other once it is there.

    Returns:
        One step. `rows` are those with a reply; `about` says how many others failed or were not asked, and in `stopped`
        whether that was for the budget.

    Raises:
        BadInput: the folder is in use, cannot be written or holds another job.
        TrmError: the endpoint lets nobody in, or no row or too few got a reply.
    """
    reader = Reader.of(task)
    rows = records.digests(puzzles.question)
    with Transcripts(folder, job) as kept:
        for row in rows:
            if tick is not None and kept.answered(row):
                tick(kept.lines[row])
        todo = {row: question for row, question in zip(rows, puzzles.question, strict=True) if not kept.answered(row)}
        ask_all(kept, todo, task, reader, client, budget, concurrency, tick)
        record = score(task, puzzles, reader, job, [kept.lines.get(row) for row in rows])
        if not record.rows:
            reasons = [line.why for row in rows if (line := kept.lines.get(row))]
            if not reasons:
                raise TrmError(f"no row was asked: --budget {budget} is spent; to go on, give a larger one")
            raise TrmError(f"no row got a reply: {reasons[-1]}; {go_on(folder)}")
        records.save(folder / EVALUATION, record)
    return record


# Asking


def ask_all(
    kept: Transcripts,
    todo: Mapping[str, Tokens],
    task: Task,
    reader: Reader,
    client: Client,
    budget: int,
    concurrency: int,
    tick: Callable[[Line], object] | None,
) -> None:
    """Ask for the rows in `todo` (digest -> question [cells]) and keep each reply when it comes, until the budget is
    spent. Raises TrmError where it is no use to go on."""
    pool = Pool(client, min(concurrency, len(todo)))
    waiting, prompts = iter(todo.items()), dict[str, str]()
    silent = 0

    def affordable() -> bool:
        # What is under way may cost all that it is allowed to.
        reserved = len(prompts) * client.max_tokens + sum(map(len, prompts.values())) // 2
        return not budget or kept.spent + reserved < budget

    def keep(row: str, result: Reply | Failed) -> Line:
        line = judge(reader, client, row, prompts.pop(row), result)
        kept.append(line)
        if tick is not None:
            tick(line)
        return line

    try:
        while True:
            while len(prompts) < concurrency and affordable() and (item := next(waiting, None)) is not None:
                prompts[item[0]] = make_prompt(task, item[1])
                pool.waiting.put((item[0], prompts[item[0]]))
            if not prompts:
                return
            row, result = pool.done.get()
            if not isinstance(result, Reply | Failed):
                raise result
            line = keep(row, result)
            silent = silent + 1 if line.outcome == "failed" else 0
            if silent == GIVE_UP + concurrency:
                raise TrmError(f"{silent} rows one after another got no reply ({line.why}); {go_on(kept.folder)}")
    except BaseException:
        client.stop.set()
        raise
    finally:
        pool.close()
        for row, result in pool.left():
            if isinstance(result, Reply):
                keep(row, result)


class Pool:
    """Threads that ask. Daemons, since a request under way cannot be interrupted and must not hold up the end."""

    def __init__(self, client: Client, count: int) -> None:
        self.client, self.count = client, count
        self.waiting: SimpleQueue[tuple[str, str] | None] = SimpleQueue()
        self.done: SimpleQueue[tuple[str, Reply | BaseException]] = SimpleQueue()
        for _ in range(count):
            Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        while (item := self.waiting.get()) is not None and not self.client.stop.is_set():
            row, prompt = item
            try:
                result: Reply | BaseException = self.client.ask(prompt)
            except BaseException as error:  # raised again where it is received
                result = error
            self.done.put((row, result))

    def left(self) -> Iterable[tuple[str, Reply | BaseException]]:
        """What was finished and not received."""
        while True:
            try:
                yield self.done.get_nowait()
            except Empty:
                return

    def close(self) -> None:
        for _ in range(self.count):
            self.waiting.put(None)


def judge(reader: Reader, client: Client, row: str, prompt: str, result: Reply | Failed) -> Line:
    """What a reply, or the lack of one, comes to."""
    host = client.endpoint.host
    if isinstance(result, Failed):
        return Line(
            row=row,
            outcome="failed",
            why=str(result),
            prompt=prompt,
            attempts=result.attempts,
            seconds=round(result.seconds, 3),
            endpoint=host,
        )
    found: Tokens | None = None
    outcome: Outcome
    if result.refused:
        outcome, why = "refused", "the model or its filter refused"
    elif result.finish == "length":
        # Whatever grid it holds is no answer but a thought on the way to one.
        outcome, why = "truncated", f"cut off after {client.max_tokens} tokens"
    elif (found := reader.find(result.text)) is not None:
        outcome, why = "answered", None
    elif refuses(result.text):
        outcome, why = "refused", "it reads like a refusal and holds no grid"
    else:
        outcome, why = "unparsable", "no grid in the reply" if result.text.strip() else "an empty reply"
    clean = client.endpoint.clean
    return Line(
        row=row,
        outcome=outcome,
        why=why,
        answer=None if found is None else reader.write(found),
        prompt=prompt,
        reply=clean(result.text),
        reasoning=clean(result.reasoning) or None,
        finish_reason=result.finish,
        usage=result.usage,
        attempts=result.attempts,
        seconds=round(result.seconds, 3),
        endpoint=host,
    )


# Scoring


def score(task: Task, puzzles: Puzzles, reader: Reader, job: Job, lines: list[Line | None]) -> Record:
    """The record of the rows that have a reply; `lines` are those of each row of `puzzles`."""
    asked = [(number, line) for number, line in enumerate(lines) if line is not None and line.outcome != "failed"]
    part = puzzles.take([number for number, _ in asked])
    answer = np.zeros_like(part.question)
    has = np.zeros(len(part), bool)
    for number, (_, line) in enumerate(asked):
        if line.answer is not None:
            tokens = reader.read(line.answer)
            if tokens is None:
                raise BadInput(f"the transcript of row {line.row} is damaged: its answer is no grid; remove that line")
            answer[number], has[number] = tokens, True
    scored = part.answer != 0
    hits = (answer == part.answer) & scored
    exact = has & (hits.sum(1) == scored.sum(1))
    valid = has & task.valid(part.question, answer) if len(part) else has
    there = {line.row: line for line in lines if line is not None}  # a row may be in the data twice
    counts = Counter(line.outcome if line is not None else "unasked" for line in lines)
    about: dict[str, Any] = {
        "kind": "language model",
        "endpoint": ", ".join(sorted({line.endpoint for line in there.values()})),
        **job.model_dump(include={"model", "prompt", "max_tokens", "temperature"}),
        **{name: counts[name] for name in ("answered", "refused", "truncated", "unparsable", "failed", "unasked")},
        "stopped": "budget" if counts["unasked"] else None,
        "cells_right": int(hits.sum()),
        "cells_scored": int(scored.sum()),
        "prompt_tokens": sum((line.usage or {}).get("prompt_tokens", 0) for line in there.values()),
        "completion_tokens": sum((line.usage or {}).get("completion_tokens", 0) for line in there.values()),
        "uncounted": sum(line.usage is None and line.reply is not None for line in there.values()),
        "attempts": sum(line.attempts for line in there.values()),
    }
    return Record(
        name=job.model,
        task=job.task,
        data=job.data,
        rows=records.digests(part.question),
        exact=(records.pack(exact),),
        valid=(records.pack(valid),),
        halted=(1,) * len(part),
        seconds=round(sum(line.seconds for _, line in asked), 3),
        about=about,
    )
