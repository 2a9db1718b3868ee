"""Paths that no file can have, or that another kind of thing has: exit code 2 and one line, whatever the option."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import Call, refused

import trm
from trm.cli import streams
from trm.errors import BadInput
from trm.files import check_writable, path_fault, write_text
from trm.inference.puzzles import read_argument
from trm.store import find


def readable_by_all(path: str) -> bool:
    return all(parent.stat().st_mode & 0o005 for parent in Path(path).resolve().parents)


LONG, DEEP = "x" * 300, "/".join(["x" * 200] * 30)
PATHS = {
    "long name": (LONG, "File name too long"),
    "long path": (DEEP, "File name too long"),
    "loop": ("loop", "Too many levels of symbolic links"),
    "in a loop": ("loop/x", "Too many levels of symbolic links"),
    "NUL": ("a\0b", "a NUL character"),
}
BLANK = "." * 81
TRAIN = ("train", "sudoku-mini", "--procs", "1", "--updates", "1")
TRIAL = ("sudoku-mini", "--limit", "1", "--steps", "1")
NEW = ("--kind", "minimal", "--rows", "1")
COMMANDS = [  # @ stands for the path
    ("solve", "sudoku", BLANK, "--weights", "@"),
    ("solve", "sudoku", BLANK, "--plot", "@"),
    ("eval", "@"),
    ("eval", "sudoku-mini", "--data", "@"),
    ("eval", *TRIAL, "--png", "@"),
    ("compare", "sudoku-mini", "@"),
    ("compare", "sudoku-mini", "--data", "@"),
    ("compare", *TRIAL, "--png", "@"),
    ("compare", *TRIAL, "--markdown", "@"),
    ("history", "@"),
    ("history", "run", "--png", "@"),
    ("history", "run", "--data", "@"),
    (*TRAIN, "--out", "new", "--data", "@"),
    (*TRAIN, "--out", "@"),
    ("train", "sudoku-mini", "--resume", "--out", "@"),
    (*TRAIN, "--out", "new", "--set", "init=@"),
    (*TRAIN, "--out", "new", "--set", "data=@"),
    ("train", "arc-agi-1-trm", "--out", "new", "--set", "arc.extra=@"),
    ("train", "custom", "--data", "@"),
    ("train", "custom", "--data", "pairs.csv", "--structure", "@"),
    ("train", "arc-agi-1-trm", "--out", "new", "--data", "@"),
    ("train", "maze", "--out", "new", "--data", "@"),
    ("describe", "custom", "--data", "pairs.csv", "--structure", "@"),
    ("eval-arc", "@"),
    ("eval-arc", "sudoku-mini", "--submission", "@"),
    ("eval-llm", "http://127.0.0.1:9", "--model", "m", "--data", "@"),
    ("eval-llm", "http://127.0.0.1:9", "--model", "m", "--out", "@"),
    ("adapt", "@"),
    ("adapt", "task.json", "--all", "--out", "@"),
    ("adapt", "task.json", "--plot", "@"),
    ("import", "@", "--out", "new"),
    ("import", "model.pt", "--out", "@"),
    ("export", "@", "--to", "new.onnx"),
    ("export", "sudoku-mini", "--to", "@"),
    ("turns", "new", "sudoku-mini", "@"),
    ("turns", "@", "sudoku-mini", "sudoku-mini"),
    ("data", "sudoku", "@", *NEW),
    ("data", "sudoku", "new.csv", *NEW, "--compare", "@"),
    ("data", "sudoku", "new.csv", "--kind", "varied", "--like", "@"),
    ("data", "maze", "@", "--rows", "1"),
    ("data", "maze", "new.csv", "--rows", "1", "--compare", "@"),
    ("inspect", "@"),
    ("inspect", "pairs.npz", "--against", "@"),
    ("inspect", "pairs.npz", "--structure", "@"),
    ("inspect", "pairs.npz", "--write", "@"),
    ("mcp", "--weights", "@"),
    ("serve", "--weights", "@"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with a loop of links in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(streams, "discard_output", lambda: None)  # a process that ends does not close what it opens
    Path("loop").symlink_to("loop")
    pair = {"input": [[1]], "output": [[1]]}
    Path("task.json").write_text(json.dumps({"train": [pair], "test": [pair]}))
    Path("pairs.csv").write_text("question,answer\n1 0,1 2\n")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_paths_that_cannot_be(call: Call, folder: Path, command: tuple[str, ...]) -> None:
    before = sorted(path.name for path in folder.iterdir())
    for path, words in PATHS.values():
        done = call(*[word.replace("@", path) for word in command])
        refused(done, words)
        assert len(done.err) < 600
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("option", ["eval sudoku-mini --data", "solve sudoku", "train sudoku-mini --out new --data"])
def test_what_is_no_file_to_read(call: Call, option: str) -> None:
    Path("broken").symlink_to("nowhere")
    Path("folder").mkdir()
    more = ["--procs", "1"] if "train" in option else []
    refused(call(*option.split(), "broken", *more), "cannot read 'broken': No such file or directory")
    refused(call(*option.split(), "folder", *more), "cannot read 'folder': Is a directory")
    refused(call(*option.split(), "pairs.csv/x", *more), "cannot read 'pairs.csv/x': N")


def test_what_is_no_file_to_write(call: Call) -> None:
    Path("folder").mkdir()
    Path("link").symlink_to("goal.csv")
    refused(call("data", "sudoku", "folder", *NEW), "folder is a folder; name a file")
    refused(call("data", "sudoku", "pairs.csv/x", *NEW), "cannot write pairs.csv/x: ")
    assert call("data", "sudoku", "link", *NEW, "--size", "4").code == 0  # a link to nothing yet is followed
    assert Path("goal.csv").is_file()
    name = "y" * 251 + ".csv"  # as long as a name may be
    assert call("data", "sudoku", name, *NEW, "--size", "4").code == 0
    assert Path(name).is_file()


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(readable_by_all(path) for path in (os.__file__, trm.__file__)),
    reason="only root can become a user without rights, who must be able to import modules",
)
def test_folders_closed_to_the_user(call: Call, folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o700)
    (folder / "closed" / "a.csv").touch()
    (folder / "secret.csv").touch(mode=0o600)
    for parent in (folder, *folder.parents):
        parent.chmod(0o755)
        if parent.name.startswith("pytest-of-"):
            break
    os.seteuid(65534)
    try:
        for command in (("eval", "sudoku-mini", "--data", "closed/a.csv"), ("data", "sudoku", "closed/b.csv", *NEW)):
            refused(call(*command), "closed/", "Permission denied")
        for path in ("closed/a.csv", "secret.csv"):
            refused(call("solve", "sudoku", path), "cannot read", "Permission denied")
        refused(call(*TRAIN, "--out", "closed/run"), "Permission denied")
        refused(call("data", "sudoku", "new.csv", *NEW), "cannot write new.csv: Permission denied")
    finally:
        os.seteuid(0)


def test_paths_in_python() -> None:
    for path, words in PATHS.values():
        assert words in (path_fault(path) or "")
        with pytest.raises(BadInput, match=words):
            check_writable(Path(path))
        with pytest.raises(BadInput, match=words):
            find(path)
    assert path_fault("nowhere/x") is path_fault(".") is None
    with pytest.raises(BadInput, match=r"cannot read 'x{50,}\.\.\.x+\.txt': File name too long"):
        read_argument("x" * 500 + ".txt")
    write_text(Path("é" * 127), "x")
    assert Path("é" * 127).read_text() == "x"
