"""Surroundings: streams that are closed or encode little, variables of torchrun and of devices, absurd values."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from conftest import Call, Result, refused, settings

from trm.cli import streams
from trm.cli.main import app
from trm.devices import pick_device
from trm.errors import BadInput, TrmError
from trm.launch import NAMES, Process, launched
from trm.training import distributed

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SOLUTION = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
LAUNCH = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
TRAIN = ["train", "sudoku-mini", "--updates", "1", "--procs", "1"]
# One of each command that needs nothing but what is here. All must refuse a wrong environment before they do anything.
EVERY = [
    ["solve", "sudoku", EASY],
    ["eval", "sudoku-mini", "--limit", "1"],
    ["eval-arc", "nothing"],
    ["site", "--out", "page", "--runtime", "nothing.tgz"],
    ["eval-llm", "http://127.0.0.1:9", "--model", "m"],
    ["compare", "sudoku-mini", "--limit", "1"],
    ["history", "nothing"],
    ["models"],
    ["describe", "sudoku-mini"],
    ["adapt", "nothing.json"],
    ["serve", "--port", "0"],
    ["mcp", "--schemas"],
    ["import", "nothing.pt", "--out", "model"],
    ["export", "sudoku-mini", "--to", "model.onnx"],
    ["push", "sudoku-mini", "me/mini", "--dry-run"],
    ["turns", "out", "sudoku-mini", "sudoku-mini"],
    ["data", "sudoku", "out.csv", "--rows", "1"],
    ["data", "maze", "out.csv", "--rows", "1"],
    ["inspect", "nothing.npz"],
]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*LAUNCH, "LOCAL_WORLD_SIZE", "TRM_DEVICE", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def shell(command: str, **environment: str) -> Result:
    """A `trm` command as a shell runs it, with redirections."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m trm {command}', sys.executable],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        timeout=120,
    )
    return Result(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def names_of_commands() -> set[str]:
    top = typer.main.get_command(app)
    return {name for name in top.commands if name not in ("train", "data")}  # type: ignore[attr-defined]


def test_every_command_is_here() -> None:
    assert {line[0] for line in EVERY} == names_of_commands() | {"data"}


# Encodings


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1", "ascii:strict", "utf-8"])
@pytest.mark.parametrize("options", ["", "--trace"])
def test_answers_in_any_encoding(encoding: str, options: str) -> None:
    result = shell(f"solve sudoku {EASY} {options}", PYTHONIOENCODING=encoding)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[-1] == SOLUTION
    if encoding not in ("utf-8", "cp437"):  # cp437 has the characters of frames
        assert result.out.isascii()
        assert lines[-15].strip("-+") == "", "an ASCII frame"
        assert "| 5 3 4 | 6 7 8 | 9 1 2 |" in lines


@pytest.mark.skipif(sys.platform == "win32", reason="locales of POSIX")
def test_the_locale_c() -> None:
    bare = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = shell(f"solve sudoku {EASY}", **bare)
    assert (result.code, result.out.splitlines()[-1], result.err) == (0, SOLUTION, "")


def encoded(monkeypatch: pytest.MonkeyPatch, call: Call, encoding: str, arguments: list[str]) -> tuple[bytes, bytes]:
    """What a command in this process writes to streams of that encoding."""
    written = []
    for name in ("stdout", "stderr"):
        written.append(io.BytesIO())
        monkeypatch.setattr(sys, name, io.TextIOWrapper(written[-1], encoding=encoding, write_through=True))
    from trm.cli import main as cli

    monkeypatch.setattr(sys, "argv", ["trm", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    return written[0].getvalue(), written[1].getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    "command",
    [
        ["models"],
        ["train", "list"],
        ["--help"],
        ["solve", "--help"],
        ["eval", "sudoku-mini", "--limit", "2", "--steps", "2"],
        ["solve", "sudoku", "☃é.txt"],
        ["eval", "☃é"],
        ["solve", "sudoku", "--nonsense-☃"],
    ],
)
def test_tables_help_and_errors_in_any_encoding(
    monkeypatch: pytest.MonkeyPatch, call: Call, encoding: str, command: list[str]
) -> None:
    out, err = encoded(monkeypatch, call, encoding, command)
    assert out or err
    assert b"Traceback" not in err
    assert (out + err).decode(encoding)
    if "☃é" in "".join(command):
        assert rb"\u2603" in err
        assert ("é".encode(encoding) if encoding == "cp1252" else rb"\xe9") in err


def test_stand_ins() -> None:
    """Each is one plain character, so that frames keep their shape; names stay legible."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii", errors=streams.HANDLER)
    streams.encode_all()
    stream.write("".join(streams.PLAIN))
    stream.write("é☃\udcff\U0001f600")
    stream.flush()
    assert written.getvalue() == "".join(streams.PLAIN.values()).encode() + rb"\xe9\u2603\udcff\U0001f600"
    assert {len(one) for one in streams.PLAIN.values()} == {1}


def test_a_handler_that_the_user_chose_stays() -> None:
    result = shell(f"solve sudoku {EASY}", PYTHONIOENCODING="ascii:replace")
    assert (result.code, result.out[:5]) == (0, "?????")


# Closed streams


@pytest.mark.skipif(sys.platform == "win32", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (f"solve sudoku {EASY} >&-", 1, "trm: standard output is closed\n"),
        (f"solve sudoku {EASY} --trace >&-", 1, "trm: standard output is closed\n"),
        (f"solve sudoku {EASY} -q <&-", 0, ""),
        (f"solve sudoku {EASY} <&- >&-", 1, "trm: standard output is closed\n"),
        ("solve sudoku - <&-", 2, "trm: standard input is closed"),
        ("models --json >&-", 1, "trm: standard output is closed\n"),
        ("--version >&-", 1, "trm: standard output is closed\n"),
        ("--help >&-", 1, "trm: standard output is closed\n"),
        ("eval nothing >&-", 2, "trm: no model 'nothing'"),
        ("mcp <&-", 2, "trm: standard input is closed"),
        ("mcp >&- </dev/null", 2, "trm: standard output is closed"),
    ],
)
def test_closed_streams(command: str, code: int, words: str) -> None:
    result = shell(command)
    assert (result.code, "Traceback" in result.err, len(result.err.splitlines()) <= 1) == (code, False, True)
    assert result.err.startswith(words)


@pytest.mark.skipif(sys.platform == "win32", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"solve sudoku {EASY} -q 2>&-", 0),
        (f"solve sudoku {EASY} 2>&- <&-", 0),
        (f"solve sudoku {EASY} 2>&- >&-", 1),
        ("solve sudoku 12 2>&-", 2),
        ("solve sudoku --nonsense 2>&-", 2),
        ("solve sudoku - <&- >&- 2>&-", 2),
    ],
)
def test_errors_do_not_go_elsewhere(command: str, code: int) -> None:
    """What is meant for a closed standard error is not printed into standard output or a file."""
    result = shell(command)
    assert (result.code, result.err) == (code, "")
    assert "trm:" not in result.out
    assert "Traceback" not in result.out
    if code == 0:
        assert result.out.splitlines()[-1] == SOLUTION


@pytest.mark.skipif(sys.platform == "win32", reason="redirections of a POSIX shell")
def test_a_file_is_not_taken_for_a_closed_stream(tmp_path: Path, small_csv: Path) -> None:
    """A run whose files would get the numbers of the streams writes whole files, and nothing else into them."""
    options = " ".join(settings("updates=2"))
    result = shell(f"train sudoku-mini --procs 1 --data {small_csv} --out run {options} <&- >&- 2>&-")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert all(line.startswith("{") for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert shell(f"eval run --data {small_csv} --limit 2 --json").code == 0


# Several processes


def test_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched() is None
    for name, value in {**LAUNCH, "RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert launched() == Process(3, 8, 1, 2)


WRONG = [
    *({name: LAUNCH[name]} for name in NAMES),
    *({key: value for key, value in LAUNCH.items() if key != name} for name in LAUNCH),
    *({**LAUNCH, name: value} for name in NAMES for value in ("x", "-1", "1.0", "1e3", "٣", "9" * 30, "nan")),
    {**LAUNCH, "RANK": "1"},
    {**LAUNCH, "RANK": "7", "WORLD_SIZE": "2"},
    {**LAUNCH, "LOCAL_RANK": "1"},
    {**LAUNCH, "WORLD_SIZE": "0"},
    {**LAUNCH, "MASTER_PORT": "70000"},
    {**LAUNCH, "MASTER_PORT": "http"},
    {**LAUNCH, "LOCAL_WORLD_SIZE": "two"},
]


@pytest.mark.parametrize("environment", WRONG, ids=str)
def test_a_launch_that_cannot_be(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Training refuses it before any work; other commands have no use for these variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    refused(call(*TRAIN, "--out", str(tmp_path / "run")), "in the environment")
    assert list(tmp_path.iterdir()) == []
    assert call("solve", "sudoku", EASY, "-q") == (0, SOLUTION + "\n", "")
    refused(call("solve", "sudoku", "12"), "2 cells")


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_torchrun_is_for_training(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
) -> None:
    for name, value in LAUNCH.items():
        monkeypatch.setenv(name, value)
    refused(call(*command), "runs in one process", "torchrun", f"trm {command[0]}")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_nobody_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**LAUNCH, "MASTER_ADDR": "256.0.0.1"}.items():
        monkeypatch.setenv(name, value)

    def fail(*_: object) -> None:
        raise ValueError("no such host\nmore")

    monkeypatch.setattr(torch.distributed, "init_process_group", fail)
    words = r"^cannot join the other processes at 256\.0\.0\.1:29511: no such host$"
    with pytest.raises(TrmError, match=words), distributed.joined():
        pass


# Devices


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "cpu:x", "meta", " ", "CUDA", "é"])
@pytest.mark.parametrize("command", [*EVERY, TRAIN, ["train", "list"]], ids=" ".join)
def test_a_device_that_is_not_there(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, command: list[str]
) -> None:
    monkeypatch.setenv("TRM_DEVICE", device)
    refused(call(*command), "TRM_DEVICE=")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadInput, match=r"^TRM_DEVICE="):
        pick_device()


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_devices_are_counted(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("TRM_DEVICE", kind)
    with pytest.raises(BadInput, match=f"of {kind}, this machine has none"):
        pick_device()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == torch.device(kind)
    monkeypatch.setenv("TRM_DEVICE", f"{kind}:2")
    with pytest.raises(BadInput, match="only"):
        pick_device()
    monkeypatch.delenv("TRM_DEVICE")
    with pytest.raises(BadInput, match="no GPU 2, only 2"):
        pick_device(2)


@pytest.mark.parametrize("device", ["", "cpu"])
def test_the_usual_device(call: Call, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setenv("TRM_DEVICE", device)
    assert call("solve", "sudoku", EASY, "-q").code == 0
    if device:
        assert pick_device() == torch.device("cpu")
