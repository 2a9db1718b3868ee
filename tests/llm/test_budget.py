"""The cost of asking a language model: attempts without a reply, requests in flight at the end, the budget."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from llm_server import BROKEN, BUSY, TASK, Ask, Model, Sent, completion, counts, flaky, lines

from trm.errors import TrmError
from trm.llm.http import EndpointFailed
from trm.tasks.base import Puzzles


@pytest.mark.parametrize("trouble", [None, Sent(504, {}, b"")])
def test_a_server_that_is_too_slow_is_asked_twice_and_that_is_counted(
    ask: Ask, model: Model, tmp_path: Path, trouble: Sent | None
) -> None:
    def behaviour(question: str, before: int) -> Sent:
        if trouble is None:
            model.closing.wait(60)
        return trouble or model.right(question, before)

    model.behaviour = behaviour
    with pytest.raises(TrmError, match=r"no row got a reply: .*; the replies so far are in"):
        ask(2, timeout=0.2, max_tokens=99)
    assert [line.attempts for line in lines(tmp_path)] == [2, 2]
    assert [line.tokens() for line in lines(tmp_path)] == [2 * (99 + len(line.prompt) // 2) for line in lines(tmp_path)]


def test_what_is_under_way_is_kept_when_all_has_to_stop(
    ask: Ask, model: Model, puzzles: Puzzles, tmp_path: Path
) -> None:
    first, arrived = TASK.to_line(puzzles.question[0]), Event()

    def behaviour(question: str, before: int) -> Sent:
        if question != first:
            arrived.set()
            model.closing.wait(0.5)  # the other one's refusal has been read by then
            return model.right(question, before)
        arrived.wait(60)
        return BROKEN if not before else Sent(401, {}, b"")

    model.behaviour = behaviour
    with pytest.raises(EndpointFailed, match="check the key"):
        ask(4, timeout=60)
    kept = [(line.outcome, line.lost) for line in lines(tmp_path)]
    assert set(kept) == {("failed", 100), ("answered", 0)}
    model.behaviour = model.right
    before = len(model.asked)
    assert ask(4).exact == ("1111",)
    assert len(model.asked) - before == 4 - kept.count(("answered", 0))


def test_the_budget(ask: Ask, model: Model) -> None:
    record = ask(9, budget=350, max_tokens=40, concurrency=1)  # 100 tokens a reply
    assert (len(model.asked), counts(record), record.about["stopped"]) == (4, {"answered": 4, "unasked": 5}, "budget")
    assert len(ask(9, budget=400, max_tokens=40, concurrency=1).rows) == len(model.asked) == 4
    record = ask(9, budget=1000, max_tokens=40, concurrency=1)
    assert (len(model.asked), counts(record), record.about["stopped"]) == (9, {"answered": 9}, None)


def test_the_budget_allows_for_requests_without_a_reply(ask: Ask, model: Model, tmp_path: Path) -> None:
    model.behaviour = lambda question, before: BROKEN
    with pytest.raises(
        TrmError, match=r"no row got a reply: .*; --budget 250 is spent; to continue, give a larger one"
    ):
        ask(9, budget=250, max_tokens=40, concurrency=1)
    assert ([line.tokens() for line in lines(tmp_path)], len(model.asked)) == ([300], 3)
    with pytest.raises(TrmError, match="--budget 300 is spent"):
        ask(9, budget=300, max_tokens=40, concurrency=1)
    assert len(model.asked) == 3
    model.behaviour = model.right
    record = ask(9, budget=500, max_tokens=40, concurrency=1)
    assert (len(model.asked), counts(record), record.about["stopped"]) == (5, {"answered": 2, "unasked": 7}, "budget")


def test_the_budget_and_a_server_that_is_too_slow(ask: Ask, model: Model, tmp_path: Path) -> None:
    model.behaviour = lambda question, before: (model.closing.wait(60), model.right(question, before))[1]
    with pytest.raises(TrmError, match="--budget 9000 is spent"):
        ask(20, budget=9000, concurrency=4, timeout=0.2)
    assert [line.attempts for line in lines(tmp_path)] == [1, 1]  # the first's 8192 tokens left some for the second


@pytest.mark.parametrize(
    ("trouble", "lost"),
    [
        (BUSY[0], 0),
        (BUSY[2], 0),
        (BUSY[4], None),
        (BUSY[8], None),
        (BUSY[11], None),
        (Sent(200, {}, BROKEN.body.replace(b"30", b"null")), None),
        (Sent(200, {}, BROKEN.body.replace(b"[]", b'[{"message": {"content": 5}}]')), 100),
        (BROKEN, 100),
    ],
)
def test_what_attempts_without_a_reply_cost(
    ask: Ask, model: Model, tmp_path: Path, trouble: Sent, lost: int | None
) -> None:
    flaky(model, trouble)
    record = ask(1, max_tokens=99)
    [line] = lines(tmp_path)
    lost = 99 + len(line.prompt) // 2 if lost is None else lost
    assert (line.lost, line.tokens(), record.about["lost_tokens"]) == (lost, lost + 100, lost)


def test_a_connection_that_fails_costs_nothing(ask: Ask, model: Model, tmp_path: Path) -> None:
    model.shutdown()
    model.server_close()
    with pytest.raises(TrmError):
        ask(1, retries=1)
    assert [line.tokens() for line in lines(tmp_path)] == [0]


def test_lines_of_earlier_versions_are_read(ask: Ask, model: Model, tmp_path: Path) -> None:
    ask(3)
    path = tmp_path / "out/transcripts.jsonl"
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.pop("lost") for line in kept[1:]] == [0, 0, 0]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    assert ask(3).exact == ("111",)
    assert len(model.asked) == 3


def test_the_budget_allows_for_requests_under_way(ask: Ask, model: Model) -> None:
    flaky(model, *[completion("no", usage=(10, 90))] * 9)
    ask(20, budget=300, max_tokens=90, concurrency=8)
    assert len(model.asked) == 3  # and not 8


@pytest.mark.parametrize("usage", [None, ("70", 30), (-1, 5), (True, 1), (1.5, 1)])
def test_where_tokens_are_not_counted_they_are_guessed(ask: Ask, model: Model, usage: Any) -> None:
    flaky(model, completion("x" * 600, usage=usage))
    record = ask(5, budget=100, concurrency=1, max_tokens=10)
    assert (len(model.asked), record.about["uncounted"]) == (1, 1)
