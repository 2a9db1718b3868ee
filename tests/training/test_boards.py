"""What a run reports to TensorBoard and to Weights & Biases, read back from their files."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Call

from trm.training import boards

KEY = "0123456789abcdef" * 2 + "deadbeef"
SMALL = ["--set", "model.width=16", "--set", "batch=4", "--set", "micro=4", "--set", "log_every=2"]
SMALL += ["--set", "save_every=4", "--procs", "1", "--threads", "1"]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WANDB_MODE", "offline"), ("WANDB_API_KEY", KEY), ("WANDB_SILENT", "true")):
        monkeypatch.setenv(name, value)


def train(call: Call, out: Path, *more: str, board: str = "wandb") -> Any:
    return call("train", "sudoku-mini", "--out", str(out), "--set", f"report={board}", *SMALL, *more)


def chunks(content: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: after seven bytes, LevelDB's log format."""
    at, whole = 7, b""
    while at < len(content):
        if 32768 - at % 32768 < 7:  # no header fits into the rest of the block
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


def wandb_records(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]], set[str]]:
    """The settings, the rows and the run ids in the files of all offline runs in `folder`."""
    from wandb.proto import wandb_internal_pb2

    settings, rows, ids = dict[str, Any](), list[dict[str, Any]](), set[str]()
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for chunk in chunks(path.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(chunk)  # type: ignore[attr-defined]
            if record.HasField("run"):
                ids.add(record.run.run_id)
                settings |= {one.key: json.loads(one.value_json) for one in record.run.config.update}
            if record.HasField("history"):
                rows.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item})
    return settings, rows, ids


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_gets_the_numbers_of_the_log_and_the_settings(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = train(call, out, "--updates", "6", "--set", "check_every=6", "--set", "check_rows=2", "--set", "max_steps=2")
    assert done.code == 0, done.err
    assert f"wandb: {out / 'wandb'}" in done.err
    settings, rows, ids = wandb_records(out)
    assert ids == {(out / boards.RUN_ID).read_text().strip()}
    assert (settings["task"], settings["model"]["width"], settings["report"]) == ("sudoku", 16, "wandb")
    losses = {row["_step"]: row["train/loss"] for row in rows if "train/loss" in row}
    assert losses == {line["update"]: line["loss"] for line in logged(out) if "loss" in line}
    assert len(losses) == 3
    assert [row["check/exact"] for row in rows if "check/exact" in row] == [logged(out)[-1]["check"]["exact"][-1]]
    assert not (out / "tensorboard").exists()
    files = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]  # the key is nowhere


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_a_resumed_run_goes_on_in_wandb(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trm.training.run import Run

    stops = iter([False] * 4 + [True] * 100)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "should_stop", lambda self, parent: next(stops))
        assert train(call, tmp_path / "run", "--updates", "8").code == 1
    resumed = call("train", "sudoku-mini", "--out", str(tmp_path / "run"), "--resume", "--procs", "1", "--threads", "1")
    assert resumed.code == 0, resumed.err
    _, rows, ids = wandb_records(tmp_path / "run")
    assert (len(ids), [row["_step"] for row in rows]) == (1, [2, 4, 6, 8])


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_without_a_key(tmp_path: Path) -> None:
    """In a process of its own, since wandb reads the environment once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {"HOME": str(tmp_path), "WANDB_BASE_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "trm", "train", "sudoku-mini", "--out", str(tmp_path / "run"), *SMALL]
    command += ["--updates", "2", "--set", "report=wandb"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("trm: report=wandb: No API key configured")
    assert done.stderr.endswith("WANDB_MODE=offline writes files for a later `wandb sync`\n")


def test_without_wandb(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else real(name))
    done = train(call, tmp_path / "run", "--updates", "2")
    message = "trm: report=wandb needs wandb, which is not installed: pip install 'trm[wandb]'\n"
    assert (done.code, done.err) == (1, message)
    assert not (tmp_path / "run" / "run.json").exists()


def test_tensorboard_has_the_numbers_of_the_log(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    assert train(call, out, "--updates", "4", board="tensorboard").code == 0
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    found = {event.step: event.value for event in events.Scalars("train/loss")}
    assert found == {line["update"]: pytest.approx(line["loss"], rel=1e-6) for line in logged(out)}
    assert not (out / "wandb").exists()
