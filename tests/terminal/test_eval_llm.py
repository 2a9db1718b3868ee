"""`trm eval-llm` from end to end, and that the key is nowhere but in the request."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from llm_server import SECRET, Model, Sent, completion, serving

from trm.analysis import records
from trm.cli import main as cli
from trm.errors import BadInput
from trm.llm.http import endpoint

Result = tuple[int, str, str]
Call = Callable[..., Result]


@pytest.fixture
def call(
    model: Model, small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """`trm eval-llm` of the server for rows of the CSV, into tmp_path / "out", and whatever else is given."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def main(*arguments: str, url: str = model.url, name: str = "some/model", data: str = str(small_csv)) -> Result:
        given = ["eval-llm", url, "--model", name, "--data", data, "--retries", "0", *arguments]
        monkeypatch.setattr(sys, "argv", ["trm", *given, *([] if "--out" in given else ["--out", "out"])])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), *capsys.readouterr()

    return main


def refused(result: Result, *words: str, code: int = 2) -> None:
    """One line on standard error that holds every one of `words`, and the exit code."""
    assert (result[0], len(result[2].splitlines()), result[2][:5]) == (code, 1, "trm: ")
    assert [word for word in words if word not in result[2]] == []


def test_json(call: Call, model: Model, tmp_path: Path) -> None:
    wrong: list[str] = []

    def behaviour(question: str, before: int) -> Sent:
        if len(wrong) < 5:
            wrong.append(question)
            return completion("I cannot.")
        return model.right(question, before)

    model.behaviour = behaviour
    code, out, err = call("--json", "--skip", "3")
    assert (code, err, out.count("\n")) == (0, "", 1)
    found = json.loads(out)
    assert " ".join(found) == "task weights data rows steps exact cell valid halted seconds llm"
    assert (found["task"], found["weights"], found["data"]) == ("sudoku-4x4", "some/model", "small.csv")
    assert (found["rows"], found["steps"], len(model.asked)) == (20, [1], 20)
    assert (found["exact"], found["cell"], found["valid"]) == ([0.75], [0.75], [0.75])
    assert found["halted"] == {"exact": 0.75, "mean_steps": 1.0}
    assert (found["llm"]["answered"], found["llm"]["refused"]) == (15, 5)
    assert found["llm"] == records.read_record(tmp_path / "out/evaluation.json").about
    assert sorted(model.asked) == sorted(list(model.known)[3:23])


def test_table(call: Call, model: Model) -> None:
    code, out, err = call("--limit", "7", "--out", "a/b")
    assert (code, err) == (0, "")
    for words in (
        "some/model on 7 puzzles (small.csv)",
        "95 % interval",
        "100.0%",
        "7 answered, 0 refused",
        "700 tokens",
    ):
        assert words in out
    first = model.asked[0]
    model.behaviour = lambda question, before: (
        model.right(question, before) if question != first else Sent(200, {}, b"")
    )
    code, out, err = call("--limit", "0")
    assert (code, len(model.asked)) == (0, 47)
    assert re.search(r"3,900 tokens and up to 8,\d{3} without a reply; transcripts in", out)
    assert "some/model on 39 puzzles" in out
    assert "not counted: 1 rows that got no reply" in out


def test_embedded_puzzles_into_a_folder_of_their_own(call: Call, model: Model, tmp_path: Path) -> None:
    """The server cannot read 9x9 puzzles: all get the same grid, which is wrong."""
    model.known[""] = "123456789" * 9
    model.behaviour = lambda question, before: completion("123456789" * 9)
    for data in ("minimal", "embedded"):
        code, out, _ = call("--json", "--limit", "2", "--out", f"runs/{data}", data=data)
        assert (code, json.loads(out)["task"], json.loads(out)["exact"]) == (0, "sudoku", [0.0])
        assert (tmp_path / "runs" / data / "transcripts.jsonl").exists()


def test_bad_options(call: Call, model: Model) -> None:
    refused(call(name=" "), "--model is empty")
    refused(call("--skip", "40"), "no rows left")
    refused(call(data="none.csv"), "cannot read")
    refused(call("--out", __file__), "cannot write")
    refused(call(url="nowhere"), "the URL is no web address")
    for option, odd in (
        ("--temperature", "nan"),
        ("--timeout", "inf"),
        ("--timeout", "nan"),
        ("--budget", "-1"),
        ("--steps", "3"),  # an option of trm eval
    ):
        assert call(option, odd)[0] == 2
    assert call("--limit", "2")[0] == 0
    refused(call("--limit", "2", name="other"), "begun with another model", "choose another --out")
    assert len(model.asked) == 2


def test_the_name_of_a_model_is_needed(
    model: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["trm", "eval-llm", model.url])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert (caught.value.code, model.asked) == (2, [])
    assert "--model" in capsys.readouterr().err


def test_failures(call: Call, model: Model) -> None:
    model.behaviour = lambda question, before: Sent(500, {}, b"oh")
    refused(call("--limit", "3"), "no row got a reply: HTTP 500: oh", "the same command", code=1)
    model.behaviour = lambda question, before: Sent(401, {}, b"")
    refused(call("--limit", "3", "--concurrency", "1"), "check the key in OPENAI_API_KEY", code=1)
    assert len(model.asked) == 4


def test_the_budget_ends_with_what_there_is(call: Call, model: Model) -> None:
    code, out, err = call("--json", "--budget", "250", "--max-tokens", "9", "--limit", "6", "--concurrency", "1")
    assert (code, json.loads(out)["rows"], len(model.asked)) == (1, 3, 3)
    assert err == "trm: stopped with 3 rows left: --budget 250 is spent; to continue, give a larger one\n"
    refused(call("--skip", "20", "--budget", "9", "--max-tokens", "9"), "no row was asked: --budget 9", code=1)
    assert call("--max-tokens", "9", "--limit", "6")[0] == 0
    assert len(model.asked) == len(set(model.asked)) == 6


def test_the_key_is_nowhere(call: Call, model: Model, tmp_path: Path) -> None:
    """The server says it wherever it can; no file and no output has it."""

    def behaviour(question: str, before: int) -> Sent:
        number = len(set(model.asked))
        said = f"your key is {SECRET} " + model.known[question]
        echo = [
            completion(said, finish=SECRET),
            completion(None, refusal=said, reasoning_content=said),
            Sent(500, {"X-Key": SECRET}, SECRET.encode()),
            Sent(400, {}, json.dumps({"error": {"message": [said]}}).encode()),
            Sent(200, {}, f'{{"x": "{SECRET}"}}'.encode()),
            Sent(200, {}, b"\xff" + SECRET.encode()),
        ]
        return echo[number % len(echo)]

    model.behaviour = behaviour
    shown = "".join(map(str, call("--limit", "18") + call("--limit", "24", "--json")))
    model.behaviour = lambda question, before: Sent(401, {"WWW-Authenticate": SECRET}, SECRET.encode())
    shown += "".join(map(str, call("--limit", "40")))
    assert "your key is ***" in (tmp_path / "out/transcripts.jsonl").read_text()
    assert model.keys == {f"Bearer {SECRET}"}
    refused(call(url=f"{model.url}/{SECRET}"), "the URL holds the key")
    refused(call(name=SECRET), "--model holds the key")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 2
    for text in [shown, *(path.read_bytes().decode() for path in files), *map(str, files)]:
        assert SECRET not in text
        assert SECRET[:10] not in text


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("http://example.com/v1", "refusing to send the key unencrypted to example.com"),
        ("http://127.0.0.1.example.com", "refusing"),
        ("http://localhost.example.com", "refusing"),
        ("http://192.168.0.7:8000/v1", "refusing"),
        ("http://[2001:db8::1]/v1", "refusing"),
        ("http://0.0.0.0/v1", "refusing"),
        ("https://user:password@example.com/v1", "a name or password"),
        ("ftp://example.com", "no web address"),
        ("example.com/v1", "no web address"),
        ("https://", "no web address"),
        ("https://example.com:http/v1", "malformed"),
        ("https://[::1/v1", "malformed"),
        ("https://a..b/v1", "malformed"),
        ("https://exämple.com", "no URL may hold"),
        ("https://example.com/v1\r\nX: y", "no URL may hold"),
        ("https://example.com/v1?key=1", "not with ? or #"),
        ("", "no web address"),
    ],
)
def test_bad_addresses(base: str, words: str) -> None:
    with pytest.raises(BadInput, match=re.escape(words)) as caught:
        endpoint(base, SECRET)
    assert SECRET not in str(caught.value)
    assert "password@" not in str(caught.value)


def test_good_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for base in ("http://127.0.0.1:8000/v1", "http://localhost:8000/v1/", "http://[::1]:8000/v1/chat/completions"):
        found = endpoint(base, SECRET)
        assert (found.url.count("/v1/chat/completions"), found.local, SECRET in repr(found)) == (1, True, False)
    assert endpoint("https://api.example.com/v1", SECRET).host == "api.example.com"
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert endpoint("http://192.168.0.7:8000/v1").key == ""
    with pytest.raises(BadInput, match="OPENAI_API_KEY holds characters that no key has"):
        endpoint("https://api.example.com", "a\nb")


def test_redirects_are_not_followed(call: Call, model: Model, small_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(small_csv, monkeypatch) as other:
        for status in (301, 302, 303, 307, 308):
            location = {"Location": f"{other.url}/chat/completions"}
            model.behaviour = lambda question, before, s=status, at=location: Sent(s, at, b"")  # type: ignore[misc]
            refused(call("--concurrency", "1"), "redirects to another address", code=1)
        assert other.asked == []


def test_ctrl_c_keeps_what_there_is(call: Call, model: Model, small_csv: Path, tmp_path: Path) -> None:
    """In a process of its own, without torch, while a request is under way."""

    def behaviour(question: str, before: int) -> Sent:
        if len(model.asked) > 3:
            model.closing.wait(20)
        return model.right(question, before)

    model.behaviour = behaviour
    code = (
        "import signal, sys; from trm.cli.main import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # or it is ignored where the tests' shell does so
        "try: main()\nfinally: print('torch' in sys.modules)"
    )
    given = ["eval-llm", model.url, "--model", "some/model", "--data", str(small_csv), "--concurrency", "1"]
    command = [sys.executable, "-c", code, *given, "--limit", "6", "--out", "out"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(model.asked) < 4 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "False\n")
    assert err.strip() == "stopped; the replies so far are in out, and the same command continues from there"
    kept = [json.loads(line) for line in (tmp_path / "out/transcripts.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in kept[1:]] == ["answered"] * 3 + ["failed"]
    assert kept[-1]["lost"] > 8192  # it was sent, and its reply may have to be paid for
    before = len(model.asked)
    model.behaviour = model.right
    assert call("--limit", "6")[0] == 0
    assert len(model.asked) - before == 3
