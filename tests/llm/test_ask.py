"""A language model as the baseline: how replies are scored, and what happens where there are none."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from llm_server import BUSY, SECRET, TASK, Ask, Model, Sent, completion, counts, flaky, lines

from trm.analysis import records
from trm.errors import BadInput, TrmError
from trm.llm.ask import GIVE_UP
from trm.llm.http import EndpointFailed, read_all, retry_after
from trm.tasks.base import Puzzles
from trm.tasks.sudoku.task import Sudoku

# Replies


def test_right_answers_count_and_everything_is_kept(ask: Ask, model: Model, puzzles: Puzzles, tmp_path: Path) -> None:
    record = ask(12, name="some/model", max_tokens=99, temperature=0.5, concurrency=3)
    assert (record.exact, record.valid, record.halted) == (("1" * 12,), ("1" * 12,), (1,) * 12)
    assert record.rows == records.digests(puzzles.question[:12])
    assert record == records.read_record(tmp_path / "out/evaluation.json")
    assert sorted(model.asked) == sorted(TASK.to_line(row) for row in puzzles.question[:12])
    assert model.keys == {f"Bearer {SECRET}"}
    asked = {key: value for key, value in model.bodies[0].items() if key != "messages"}
    assert asked == {"model": "some/model", "max_tokens": 99, "temperature": 0.5, "stream": False}
    assert {line.row for line in lines(tmp_path)} == set(record.rows)
    for line in lines(tmp_path):
        assert line.answer in model.known.values()
        assert "That was fun!" in str(line.reply)
        assert (line.finish_reason, line.attempts) == ("stop", 1)
        assert line.usage == {"prompt_tokens": 70, "completion_tokens": 30}
        assert "think step by step" in line.prompt.lower()
    assert (record.about["prompt_tokens"], record.about["completion_tokens"]) == (12 * 70, 12 * 30)
    assert (record.about["endpoint"], record.about["model"]) == (f"127.0.0.1:{model.server_port}", "some/model")


def test_wrong_answers_do_not_count(ask: Ask, model: Model, puzzles: Puzzles) -> None:
    def behaviour(question: str, before: int) -> Sent:
        right = model.known[question]
        wrong = str(int(right[5]) % 4 + 1)
        return completion({0: right, 1: right[:5] + wrong + right[6:], 2: right[:5] + "." + right[6:]}[order[question]])

    order = {TASK.to_line(row): number % 3 for number, row in enumerate(puzzles.question[:6])}
    model.behaviour = behaviour
    record = ask(6)
    assert (record.exact, record.valid) == (("100100",), ("100100",))
    assert (record.about["cells_right"], record.about["cells_scored"]) == (6 * 16 - 4, 6 * 16)


def test_another_solution_is_valid_and_not_exact(ask: Ask, model: Model) -> None:
    grids = TASK.read("1234341221434321\n2143432112343412").question
    whole = Puzzles(np.ones((1, 16), np.uint8), grids[:1])
    model.behaviour = lambda question, before: completion("2143432112343412")
    record = ask(1, whole=whole)
    assert (record.exact, record.valid, record.about["cells_right"]) == (("0",), ("1",), 0)


def test_replies_without_an_answer_are_wrong_and_not_asked_again(ask: Ask, model: Model, puzzles: Puzzles) -> None:
    def behaviour(question: str, before: int) -> Sent:
        right = model.known[question]
        return [
            completion(right),
            completion(right, finish="length"),
            completion(None, refusal="No."),
            completion(right, finish="content_filter"),
            completion("I'm sorry, but I can't help with that."),
            completion(right[:15]),
            completion(None, reasoning_content=right),
            completion([{"type": "text", "text": right[:8]}, {"type": "text", "text": right[8:]}]),
        ][order[question]]

    order = {TASK.to_line(row): number for number, row in enumerate(puzzles.question[:8])}
    model.behaviour = behaviour
    record = ask(8)
    assert record.exact == record.valid == ("10000001",)
    assert counts(record) == {"answered": 2, "refused": 3, "truncated": 1, "unparsable": 2}
    again = ask(8)
    assert (again, len(model.asked)) == (record, 8)


# Trouble


@pytest.mark.parametrize("trouble", BUSY, ids=lambda sent: f"{sent.status} {sent.body[:12]!r}")
def test_trouble_that_passes(ask: Ask, model: Model, tmp_path: Path, trouble: Sent) -> None:
    flaky(model, trouble, trouble)
    assert ask(2).exact == ("11",)
    assert [line.attempts for line in lines(tmp_path)] == [3, 3]


@pytest.mark.parametrize("trouble", [BUSY[2], BUSY[4], BUSY[11]])
def test_trouble_that_stays_fails_the_row_and_a_resume_asks_it_again(
    ask: Ask, model: Model, puzzles: Puzzles, tmp_path: Path, trouble: Sent
) -> None:
    bad = {TASK.to_line(row) for row in puzzles.question[1:3]}
    model.behaviour = lambda question, before: trouble if question in bad else model.right(question, before)
    record = ask(5, retries=2)
    assert counts(record) == {"answered": 3, "failed": 2}
    assert record.rows == records.digests(puzzles.question[[0, 3, 4]])
    assert record.exact == ("111",)
    assert Counter(model.asked) == {question: 3 if question in bad else 1 for question in model.asked}
    assert all(line.why and line.why.isprintable() for line in lines(tmp_path) if line.outcome == "failed")
    before = len(model.asked)
    model.behaviour = model.right
    assert counts(ask(5)) == {"answered": 5}
    assert set(model.asked[before:]) == bad
    assert len(model.asked) == before + 2


def test_a_refused_request_is_not_repeated(ask: Ask, model: Model, puzzles: Puzzles) -> None:
    first = TASK.to_line(puzzles.question[0])
    error = b'{"error": {"message": "context too long"}}'
    model.behaviour = lambda question, before: (
        Sent(400, {}, error) if question == first else model.right(question, before)
    )
    assert counts(ask(3)) == {"answered": 2, "failed": 1}
    assert len(model.asked) == 3


def test_a_server_that_hangs_is_asked_again(ask: Ask, model: Model, tmp_path: Path) -> None:
    def behaviour(question: str, before: int) -> Sent:
        if not before:
            model.closing.wait(5)
        return model.right(question, before)

    model.behaviour = behaviour
    assert ask(2, timeout=0.2).exact == ("11",)
    assert [line.attempts for line in lines(tmp_path)] == [2, 2]


@pytest.mark.parametrize(("seconds", "error"), [(-1, TimeoutError), (60, OSError)])
def test_a_reply_that_never_ends_is_cut_off(seconds: float, error: type[Exception]) -> None:
    class Drip:
        length = None

        def read1(self, count: int) -> bytes:
            return b"x" * count

    with pytest.raises(error):
        read_all(Drip(), time.monotonic() + seconds)


def test_retry_after_is_honoured(ask: Ask, model: Model) -> None:
    flaky(model, Sent(429, {"Retry-After": "0.4"}, b""))
    assert ask(1).exact == ("1",)
    assert model.times[1] - model.times[0] >= 0.4
    assert retry_after({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}) > 1e9
    assert [retry_after({"Retry-After": odd}) for odd in ("", "-3", "nan", "x", "Fri, 99 Jan")] == [0] * 5


def test_a_server_that_asks_for_an_hour_is_left_alone(ask: Ask, model: Model) -> None:
    model.behaviour = lambda question, before: Sent(429, {"Retry-After": "3600"}, b"")
    with pytest.raises(TrmError, match="asks to wait 3600 s"):
        ask(2)
    assert len(model.asked) == 2


def test_nobody_there(ask: Ask, model: Model) -> None:
    model.shutdown()
    model.server_close()
    with pytest.raises(TrmError, match=r"no row got a reply: connection failed \(ConnectionRefusedError"):
        ask(2, retries=1)


def test_an_endpoint_that_always_fails_is_given_up(ask: Ask, model: Model) -> None:
    model.behaviour = lambda question, before: Sent(500, {}, b"")
    with pytest.raises(TrmError, match="rows one after another got no reply"):
        ask(40, retries=0, concurrency=1)
    assert len(model.asked) == GIVE_UP + 1


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b'{"error": {"message": "Incorrect API key: sk-secret/0123456789-abcdef"}}', "check the key in OPENAI"),
        (403, b'{"error": "sk-secret\\/0123456789-abcdef"}', "check the key in OPENAI_API_KEY"),
        (404, b"no such model", "check the URL and --model"),
        (429, b'{"error": {"code": "insufficient_quota", "message": "pay"}}', "refuses further requests"),
        (307, b"", "redirects to another address"),
    ],
)
def test_what_no_row_survives_stops_at_once(ask: Ask, model: Model, status: int, body: bytes, words: str) -> None:
    flaky(model, *[Sent(status, {"Location": "http://127.0.0.1:1/"}, body)] * 9)
    with pytest.raises(EndpointFailed) as caught:
        ask(8, concurrency=1)
    message = str(caught.value)
    assert (words in message, SECRET in message, len(message.splitlines())) == (True, False, 1)
    assert len(model.asked) == 1
    model.behaviour = model.right
    assert ask(8).exact == ("1" * 8,)


def test_the_other_name_of_max_tokens(ask: Ask, model: Model) -> None:
    error = b'{"error": {"message": "Use \'max_completion_tokens\' instead.", "param": "max_tokens"}}'
    model.behaviour = lambda question, before: (
        Sent(400, {}, error) if "max_tokens" in model.bodies[-1] else model.right(question, before)
    )
    assert ask(2, concurrency=1, max_tokens=77).exact == ("11",)
    assert [body.get("max_completion_tokens") for body in model.bodies] == [None, 77, 77]


# The folder


def test_going_on_asks_only_for_what_is_missing(ask: Ask, model: Model, tmp_path: Path) -> None:
    path = tmp_path / "out/transcripts.jsonl"
    ask(3)
    ask(5)
    assert len(set(model.asked)) == len(model.asked) == 5
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rstrip().rfind(b"\n") + 40])  # the last line is cut, as by a crash
    assert ask(5).exact == ("11111",)
    assert (len(model.asked), len(set(model.asked))) == (6, 5)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 9999)
    ask(5)
    assert path.read_bytes() == whole
    path.write_bytes(whole[:30])  # the first one too
    assert ask(2).exact == ("11",)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": "other"}, "model ('m', now 'other')"),
        ({"data": "other"}, "data ('small', now 'other')"),
        ({"max_tokens": 5}, "max_tokens (8192, now 5)"),
        ({"temperature": 1.0}, "temperature (None, now 1.0)"),
        ({"whole": None}, "rows ("),
        ({"wording": "Please solve this."}, "prompt ("),
    ],
)
def test_another_job_is_refused(
    ask: Ask, model: Model, puzzles: Puzzles, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], word: str
) -> None:
    ask(2)
    if "whole" in change:
        change = {"whole": puzzles.take(slice(9))}
    if wording := change.pop("wording", None):
        monkeypatch.setattr(Sudoku, "instructions", lambda task, symbols: wording)
    with pytest.raises(BadInput, match=f"begun with another {re.escape(word)}"):
        ask(2, **change)
    assert len(model.asked) == 2


def test_a_folder_that_will_not_do(ask: Ask, tmp_path: Path) -> None:
    ask(2)
    out = tmp_path / "out"
    with FileLock(out / ".lock"), pytest.raises(BadInput, match="in use by another process"):
        ask(2)
    kept = (out / "transcripts.jsonl").read_text().splitlines()
    (out / "transcripts.jsonl").write_text("\n".join([kept[0], kept[1][:50], kept[2], ""]))
    with pytest.raises(BadInput, match=r"transcripts.jsonl, line 2 is damaged"):
        ask(2)
    (out / "transcripts.jsonl").unlink()
    with pytest.raises(BadInput, match="holds the evaluation of another model"):
        ask(2)
    (out / "evaluation.json").unlink()
    (out / ".lock").unlink(missing_ok=True)
    out.rmdir()
    out.write_text("")
    with pytest.raises(BadInput, match="cannot write in"):
        ask(2)


def test_a_question_that_comes_twice_is_asked_once(ask: Ask, model: Model, puzzles: Puzzles) -> None:
    record = ask(3, whole=puzzles.take([0, 1, 0]))
    assert (record.exact, len(record.rows), len(model.asked)) == (("111",), 3, 2)
