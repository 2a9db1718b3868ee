"""A language model as a baseline: it is asked in words for the rows of `trm eval` and scored by the same rules.

Every reply is written to a folder as soon as it arrives, so that an interrupted run can be continued and no reply is
paid for twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

import numpy as np

from trm.analysis import records
from trm.analysis.records import Record
from trm.errors import BadInput, TrmError
from trm.llm.http import Client, ClientStopped, NoReply, Reply, RowFailed
from trm.llm.prompts import Reader, make_prompt, refuses
from trm.llm.transcripts import EVALUATION, Job, Outcome, TranscriptLine, Transcripts, how_to_continue
from trm.tasks.base import Puzzles, Task, Tokens

# Stop asking after this many rows in succession without a reply, not counting those in flight.
GIVE_UP = 10

Tick = Callable[[TranscriptLine], object]


def ask_rows(
    task: Task,
    puzzles: Puzzles,
    job: Job,
    client: Client,
    folder: Path,
    budget: int = 0,
    concurrency: int = 4,
    tick: Tick | None = None,
) -> Record:
    """Ask for every row that has no reply in `folder`, and score all rows that have one.

    Args:
        task: defines the rules.
        puzzles: the rows, a part of those that the job was planned for.
        job: from `plan`.
        client: asks the model. After an error it stays stopped.
        folder: where transcripts and record are written, and where an earlier run of the same job left its own.
        budget: stop before the tokens spent in this folder exceed this, including earlier runs and attempts without a
            readable reply; 0: no limit. The last reply may exceed it.
        concurrency: requests at the same time.
        tick: called with the line of each row when it has been written, and at once for rows that have a reply.

    Returns:
        A record of one step. Its `rows` are those with a reply. Its `about` counts the rows that failed or were not
        asked; `stopped` there says whether the budget leaves nothing for them.

    Raises:
        BadInput: the folder is in use, cannot be written or holds another job.
        TrmError: the endpoint refuses access, or no row or too few got a reply.
    """
    reader = Reader.of(task)
    rows = records.digests(puzzles.question)
    with Transcripts(folder, job) as kept:
        for row in rows:
            if tick is not None and kept.has_reply(row):
                tick(kept.lines[row])
        todo = {row: question for row, question in zip(rows, puzzles.question, strict=True) if not kept.has_reply(row)}
        RowAsker(kept, task, reader, client, budget, tick).run(todo, concurrency)
        spent = 0 < budget <= kept.spent
        record = score_replies(task, puzzles, reader, job, [kept.lines.get(row) for row in rows], spent)
        if not record.rows:
            reasons = [f"got a reply: {line.why}" for row in rows if (line := kept.lines.get(row))]
            remedy = f"--budget {budget} is spent; to continue, give a larger one" if spent else how_to_continue(folder)
            raise TrmError(f"no row {reasons[-1]}; {remedy}" if reasons else f"no row was asked: {remedy}")
        records.write_record(folder / EVALUATION, record)
    return record


# Asking


class Query(NamedTuple):
    """A row to ask for."""

    row: str  # the digest of its question
    prompt: str


class Finished(NamedTuple):
    """What came of a query."""

    row: str
    result: Reply | BaseException


class RowAsker:
    """Asks for rows and keeps each reply when it arrives, until the budget is spent."""

    def __init__(
        self, kept: Transcripts, task: Task, reader: Reader, client: Client, budget: int, tick: Tick | None
    ) -> None:
        self.kept, self.task, self.reader, self.client, self.tick = kept, task, reader, client, tick
        self.budget = Budget(budget, kept.spent)
        client.on_loss = self.budget.add_loss
        self.in_flight: dict[str, str] = {}  # row -> its prompt

    def run(self, todo: Mapping[str, Tokens], concurrency: int) -> None:
        """Ask for the rows in `todo`: digest -> question [cells].

        Raises TrmError if there is no use in asking for more, once the requests in flight are done.
        """
        pool = WorkerPool(self.client, min(concurrency, len(todo)))
        queries = (Query(row, make_prompt(self.task, question)) for row, question in todo.items())
        try:
            self._ask(queries, pool, concurrency)
        except BaseException:
            self.client.stop.set()
            raise
        finally:
            pool.close()
            for row, result in pool.remaining():
                self._keep(row, result)
            for row, prompt in [*self.in_flight.items()]:  # interrupted: their replies are not waited for
                lost = self.client.cost(prompt) if prompt in self.client.in_flight else 0
                self._keep(row, ClientStopped("stopped before a reply came"), lost)

    def _ask(self, queries: Iterator[Query], pool: WorkerPool, concurrency: int) -> None:
        following, without_reply, error = next(queries, None), 0, None
        while True:
            while (
                error is None
                and following is not None
                and len(self.in_flight) < concurrency
                and self.budget.reserve(following.prompt, self.client.cost(following.prompt))
            ):
                self.in_flight[following.row] = following.prompt
                pool.submit(following)
                following = next(queries, None)
            if not self.in_flight:
                break
            row, result = pool.receive()
            self._keep(row, result)
            without_reply = 0 if isinstance(result, Reply) else without_reply + 1
            if error is None:
                error = self._reason_to_stop(result, without_reply, concurrency)
            if error is not None:
                # No row is asked again, but requests that were sent cost tokens, so wait for their replies.
                self.client.stop.set()
        if error is not None:
            raise error

    def _reason_to_stop(
        self, result: Reply | BaseException, without_reply: int, concurrency: int
    ) -> BaseException | None:
        if not isinstance(result, Reply | RowFailed):
            return result
        if without_reply == GIVE_UP + concurrency:
            remedy = how_to_continue(self.kept.folder)
            return TrmError(f"{without_reply} rows one after another got no reply ({result}); {remedy}")
        return None

    def _keep(self, row: str, result: Reply | BaseException, more: int = 0) -> None:
        """Write what came of a row. `more`: tokens lost that the budget does not know of."""
        prompt = self.in_flight.pop(row)
        lost, line = self.budget.lost[prompt] + more, None
        if isinstance(result, Reply):
            line = reply_line(self.reader, self.client, Query(row, prompt), result, lost)
        elif isinstance(result, RowFailed) or (isinstance(result, NoReply) and lost):
            line = failure_line(self.client, Query(row, prompt), result, lost)
        if line is not None:
            self.kept.append(line)
        self.budget.settle(prompt, 0 if line is None else line.tokens())
        if line is not None and self.tick is not None:
            self.tick(line)


class Budget:
    """The tokens that may still be spent, counted for several threads.

    An attempt may use as many tokens as it is allowed. It begins only if the tokens spent, lost and reserved add up to
    less than the limit, so only the last attempt can exceed it.

    Args:
        limit: tokens in all; 0: any number.
        spent: tokens spent already.
    """

    def __init__(self, limit: int, spent: int) -> None:
        self.limit, self.spent = limit, spent
        self.reserved: dict[str, int] = {}  # prompt in flight -> the most that its present attempt can cost
        self.lost: dict[str, int] = {}  # prompt in flight -> the cost of its attempts without a reply
        self.lock = Lock()

    def is_left(self) -> bool:
        return not self.limit or self.spent + sum(self.reserved.values()) + sum(self.lost.values()) < self.limit

    def reserve(self, prompt: str, tokens: int) -> bool:
        """Reserve tokens for the first attempt at a prompt. -> whether any were left"""
        with self.lock:
            if able := self.is_left():
                self.reserved[prompt], self.lost[prompt] = tokens, 0
            return able

    def add_loss(self, prompt: str, tokens: int) -> bool:
        """Count an attempt without a reply, and reserve tokens for another one. -> whether any were left"""
        with self.lock:
            reserved = self.reserved.pop(prompt)
            self.lost[prompt] += tokens
            able = self.is_left()
            self.reserved[prompt] = reserved
            return able

    def settle(self, prompt: str, tokens: int) -> None:
        """Close the account of a prompt; `tokens` is the cost of all its attempts."""
        with self.lock:
            self.spent += tokens
            del self.reserved[prompt], self.lost[prompt]


class WorkerPool:
    """Threads that ask. They are daemons: a request in flight cannot be interrupted and must not delay the exit."""

    def __init__(self, client: Client, count: int) -> None:
        self.client, self.count = client, count
        self._waiting: SimpleQueue[Query | None] = SimpleQueue()
        self._finished: SimpleQueue[Finished] = SimpleQueue()
        for _ in range(count):
            Thread(target=self._work, daemon=True).start()

    def submit(self, query: Query) -> None:
        self._waiting.put(query)

    def receive(self) -> Finished:
        """Wait for a query to be finished."""
        return self._finished.get()

    def remaining(self) -> Iterator[Finished]:
        """The queries that are finished and were not received."""
        while True:
            try:
                yield self._finished.get_nowait()
            except Empty:
                return

    def close(self) -> None:
        """Let the threads end when they have no more to do."""
        for _ in range(self.count):
            self._waiting.put(None)

    def _work(self) -> None:
        while (query := self._waiting.get()) is not None:
            try:
                result: Reply | BaseException = self.client.ask(query.prompt)
            except BaseException as error:  # raised again where it is received
                result = error
            self._finished.put(Finished(query.row, result))


# Transcripts


def failure_line(client: Client, query: Query, failure: NoReply, lost: int) -> TranscriptLine:
    """The transcript of a row without a reply. `lost`: tokens of its attempts."""
    return TranscriptLine(
        row=query.row,
        outcome="failed",
        why=str(failure),
        prompt=query.prompt,
        lost=lost,
        attempts=failure.attempts,
        seconds=round(failure.seconds, 3),
        endpoint=client.endpoint.host,
    )


def reply_line(reader: Reader, client: Client, query: Query, reply: Reply, lost: int) -> TranscriptLine:
    """The transcript of a row with a reply. `lost`: tokens of the attempts before it."""
    found: Tokens | None = None
    why: str | None = None
    outcome: Outcome
    if reply.refused:
        outcome, why = "refused", "the model or its filter refused"
    elif reply.finish == "length":
        # A grid in it is no answer, but part of the reasoning.
        outcome, why = "truncated", f"cut off after {client.max_tokens} tokens"
    elif (found := reader.find(reply.text)) is not None:
        outcome = "answered"
    elif refuses(reply.text):
        outcome, why = "refused", "it reads like a refusal and holds no grid"
    else:
        outcome, why = "unparsable", "no grid in the reply" if reply.text.strip() else "an empty reply"
    clean = client.endpoint.clean
    return TranscriptLine(
        row=query.row,
        outcome=outcome,
        why=why,
        answer=None if found is None else reader.write(found),
        prompt=query.prompt,
        reply=clean(reply.text),
        reasoning=clean(reply.reasoning) or None,
        finish_reason=reply.finish,
        usage=reply.usage,
        lost=lost,
        attempts=reply.attempts,
        seconds=round(reply.seconds, 3),
        endpoint=client.endpoint.host,
    )


# Scoring


def score_replies(
    task: Task, puzzles: Puzzles, reader: Reader, job: Job, lines: Sequence[TranscriptLine | None], spent: bool
) -> Record:
    """The record of the rows that have a reply.

    `lines` are those of each row of `puzzles`, None for a row that was not asked; `spent` says whether the budget is.
    """
    replies = {number: line for number, line in enumerate(lines) if line is not None and line.outcome != "failed"}
    part = puzzles.take([*replies])
    answer, has_answer = np.zeros_like(part.question), np.zeros(len(part), bool)
    for number, line in enumerate(replies.values()):
        if line.answer is not None:
            tokens = reader.read(line.answer)
            if tokens is None:
                raise BadInput(f"the transcript of row {line.row} is damaged: its answer is no grid; remove that line")
            answer[number], has_answer[number] = tokens, True
    scored = part.answer != 0
    hits = (answer == part.answer) & scored
    exact = has_answer & (hits.sum(1) == scored.sum(1))
    valid = has_answer & task.valid(part.question, answer) if len(part) else has_answer
    cells = {"cells_right": int(hits.sum()), "cells_scored": int(scored.sum())}
    return Record(
        name=job.model,
        task=job.task,
        data=job.data,
        rows=records.digests(part.question),
        exact=(records.pack(exact),),
        valid=(records.pack(valid),),
        halted=(1,) * len(part),
        seconds=round(sum(line.seconds for line in replies.values()), 3),
        about=describe_job(job, lines, spent, cells),
    )


def describe_job(
    job: Job, lines: Sequence[TranscriptLine | None], spent: bool, cells: Mapping[str, int]
) -> dict[str, Any]:
    """What the record says about the model: settings, what became of the rows, and the cost."""
    outcomes = Counter(line.outcome if line is not None else "unasked" for line in lines)
    asked = {line.row: line for line in lines if line is not None}.values()  # once for a row that the data has twice
    usages = [line.usage or {} for line in asked]
    return {
        "kind": "language model",
        "endpoint": ", ".join(sorted({line.endpoint for line in asked})),
        **job.model_dump(include={"model", "prompt", "max_tokens", "temperature"}),
        **{name: outcomes[name] for name in ("answered", "refused", "truncated", "unparsable", "failed", "unasked")},
        "stopped": "budget" if spent and outcomes["unasked"] + outcomes["failed"] else None,
        **cells,
        "prompt_tokens": sum(usage.get("prompt_tokens", 0) for usage in usages),
        "completion_tokens": sum(usage.get("completion_tokens", 0) for usage in usages),
        "lost_tokens": sum(line.lost for line in asked),
        "uncounted": sum(line.usage is None and line.reply is not None for line in asked),
        "attempts": sum(line.attempts for line in asked),
    }
