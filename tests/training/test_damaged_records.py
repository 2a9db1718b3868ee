"""The files beside the weights of a run are damaged: a message names the file and says how to go on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Call, refused

from trm.store.stored import CONFIG
from trm.training.commands import RECORD, Launch, read_launch

DAMAGES = {
    "[]": "holds a list, and should hold an object {...}",
    "null": "holds null, and should hold an object {...}",
    "3": "holds a number, and should hold an object {...}",
    '"x"': "holds text, and should hold an object {...}",
    "true": "holds true or false, and should hold an object {...}",
    "": "is damaged: it is not JSON (",
    '{"model": ': "is damaged: it is not JSON (",
    "\udcff": "is damaged: it is not JSON (",
}
UNKNOWN = "is not known; if it was with others than now, give --procs and --threads"


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run, tmp_path / "run")
    return Path("run")


@pytest.mark.parametrize("content", DAMAGES)
def test_the_description_of_a_model_is_damaged(call: Call, run: Path, content: str) -> None:
    (run / CONFIG).write_bytes(content.encode(errors="surrogateescape"))
    for command in (("eval", "run"), ("turns", "new", "run", "run"), ("solve", "sudoku", "." * 16, "--weights", "run")):
        refused(call(*command), f"model run: {CONFIG} {DAMAGES[content]}", "; copy or train it again")


@pytest.mark.parametrize("content", DAMAGES)
def test_a_run_whose_records_are_damaged_goes_on(call: Call, run: Path, content: str) -> None:
    """What they say of processes and threads is read from the other file, or said to be not known."""
    raw = content.encode(errors="surrogateescape")
    (run / RECORD).write_bytes(raw)
    done = call("train", "sudoku-mini", "--out", "run", "--resume", "--procs", "1")
    said = done.err.splitlines()[0]
    assert (done.code, said) == (
        0,
        f"trm: run/{RECORD} is damaged: how the run was started is read from {CONFIG}",
    )
    assert read_launch(run) == Launch(1, 1, 8)  # the record is written anew
    for name in (RECORD, CONFIG):
        (run / name).write_bytes(raw)
    done = call("train", "sudoku-mini", "--out", "run", "--resume", "--procs", "1")
    assert done.code == 0
    assert done.err.splitlines()[0].startswith(f"trm: run: {RECORD} and {CONFIG} damaged: with how many ")
    assert done.err.splitlines()[0].endswith(UNKNOWN)


def test_records_of_older_runs_are_not_damaged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / RECORD).write_text("{}")
    assert read_launch(run) == Launch(1, 1, 8)
    (run / RECORD).unlink()
    (run / CONFIG).unlink()
    assert read_launch(run) == Launch()
    assert capsys.readouterr().err == ""
