"""A language model as the baseline: it is asked for the rows of `trm eval` in words and scored by the same rules.

Everything it said is kept in a folder as soon as it is there, so that a run goes on where it stopped and no answer is
paid for twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

import numpy as np

from trm.analysis import records
from trm.analysis.records import Record
from trm.errors import BadInput, TrmError
from trm.llm.http import Client, Failed, NoReply, Reply, Stopped
from trm.llm.prompts import Reader, make_prompt, refuses
from trm.llm.transcripts import EVALUATION, Job, Line, Outcome, Transcripts, go_on
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
        budget: stop before the tokens spent in this folder, earlier runs and attempts without a readable reply
            included, exceed this; 0: no limit. The last answer may exceed it.
        concurrency: requests at once.
        tick: called with the line of every row that is on the disk, and of each other once it is there.

    Returns:
        One step. `rows` are those with a reply; `about` says how many others failed or were not asked, and in `stopped`
        whether the budget leaves no more for them.

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
        spent = 0 < budget <= kept.spent
        record = score(task, puzzles, reader, job, [kept.lines.get(row) for row in rows], spent)
        if not record.rows:
            reasons = [f"got a reply: {line.why}" for row in rows if (line := kept.lines.get(row))]
            remedy = f"--budget {budget} is spent; to go on, give a larger one" if spent else go_on(folder)
            raise TrmError(f"no row {reasons[-1]}; {remedy}" if reasons else f"no row was asked: {remedy}")
        records.write_record(folder / EVALUATION, record)
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
    spent. Raises TrmError where it is no use to go on, when the requests under way are done."""
    pool, purse = Pool(client, min(concurrency, len(todo))), Purse(budget, kept.spent)
    client.lose = purse.lose
    waiting, prompts = ((row, make_prompt(task, question)) for row, question in todo.items()), dict[str, str]()
    item, silent, end = next(waiting, None), 0, None

    def keep(row: str, result: Reply | BaseException, more: int = 0) -> None:
        """`more`: tokens lost besides those that the purse knows of."""
        prompt = prompts.pop(row)
        lost, line = purse.lost[prompt] + more, None
        if isinstance(result, Reply | Failed) or (isinstance(result, NoReply) and lost):
            line = judge(reader, client, row, prompt, result, lost)
            kept.append(line)
        purse.settle(prompt, 0 if line is None else line.tokens())
        if line is not None and tick is not None:
            tick(line)

    try:
        while True:
            while end is None and item and len(prompts) < concurrency and purse.take(item[1], client.cost(item[1])):
                prompts[item[0]] = item[1]
                pool.waiting.put(item)
                item = next(waiting, None)
            if not prompts:
                break
            row, result = pool.done.get()
            keep(row, result)
            silent = 0 if isinstance(result, Reply) else silent + 1
            if end is None and not isinstance(result, Reply | Failed):
                end = result
            elif end is None and silent == GIVE_UP + concurrency:
                end = TrmError(f"{silent} rows one after another got no reply ({result}); {go_on(kept.folder)}")
            if end is not None:
                client.stop.set()  # no row is asked again, but what was sent is paid for, and its reply worth having
        if end is not None:
            raise end
    except BaseException:
        client.stop.set()
        raise
    finally:
        pool.close()
        for row, result in pool.left():
            keep(row, result)
        for row, prompt in [*prompts.items()]:  # nobody waits for them any longer
            keep(row, Stopped("stopped before a reply came"), client.cost(prompt) if prompt in client.asking else 0)


class Purse:
    """The tokens that may still be spent, for several threads.

    An attempt under way may cost all that it is allowed to, so it is only begun where all else comes to less than the
    budget: then no more than the last one exceeds it.

    Args:
        budget: tokens in all; 0: any number.
        spent: tokens spent already.
    """

    def __init__(self, budget: int, spent: int) -> None:
        self.budget, self.spent = budget, spent
        self.costs: dict[str, int] = {}  # prompt under way -> tokens of its present attempt, at most
        self.lost: dict[str, int] = {}  # and of those before, which brought no reply
        self.lock = Lock()

    def left(self) -> bool:
        return not self.budget or self.spent + sum(self.costs.values()) + sum(self.lost.values()) < self.budget

    def take(self, prompt: str, cost: int) -> bool:
        """Reserve tokens for a prompt. -> whether there are any left"""
        with self.lock:
            if able := self.left():
                self.costs[prompt], self.lost[prompt] = cost, 0
            return able

    def lose(self, prompt: str, tokens: int) -> bool:
        """An attempt brought no reply. -> whether there are tokens left for another, which are reserved"""
        with self.lock:
            cost = self.costs.pop(prompt)
            self.lost[prompt] += tokens
            able = self.left()
            self.costs[prompt] = cost
            return able

    def settle(self, prompt: str, tokens: int) -> None:
        """A prompt is done with; `tokens` are what all its attempts cost."""
        with self.lock:
            self.spent += tokens
            del self.costs[prompt], self.lost[prompt]


class Pool:
    """Threads that ask. Daemons, since a request under way cannot be interrupted and must not hold up the end."""

    def __init__(self, client: Client, count: int) -> None:
        self.client, self.count = client, count
        self.waiting: SimpleQueue[tuple[str, str] | None] = SimpleQueue()
        self.done: SimpleQueue[tuple[str, Reply | BaseException]] = SimpleQueue()
        for _ in range(count):
            Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        while (item := self.waiting.get()) is not None:
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


def judge(reader: Reader, client: Client, row: str, prompt: str, result: Reply | NoReply, lost: int = 0) -> Line:
    """What a reply, or the lack of one, comes to. `lost`: tokens of attempts that brought none."""
    host = client.endpoint.host
    if isinstance(result, NoReply):
        return Line(
            row=row,
            outcome="failed",
            why=str(result),
            prompt=prompt,
            lost=lost,
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
        lost=lost,
        attempts=result.attempts,
        seconds=round(result.seconds, 3),
        endpoint=host,
    )


# Scoring


def score(task: Task, puzzles: Puzzles, reader: Reader, job: Job, lines: list[Line | None], spent: bool) -> Record:
    """The record of the rows that have a reply; `lines` are those of each row of `puzzles`. `spent`: the budget is."""
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
        "stopped": "budget" if spent and counts["unasked"] + counts["failed"] else None,
        "cells_right": int(hits.sum()),
        "cells_scored": int(scored.sum()),
        "prompt_tokens": sum((line.usage or {}).get("prompt_tokens", 0) for line in there.values()),
        "completion_tokens": sum((line.usage or {}).get("completion_tokens", 0) for line in there.values()),
        "lost_tokens": sum(line.lost for line in there.values()),
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
