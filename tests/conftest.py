"""Small puzzles and small runs that many tests share."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from browsing import browser, show, url  # noqa: F401 -- fixtures
from javascript import package, rules, script, site  # noqa: F401 -- fixtures
from llm_server import ask, model, puzzles  # noqa: F401 -- fixtures

from trm.cli import main as cli
from trm.tasks import load_puzzles
from trm.tasks.custom.family import FAMILY
from trm.tasks.sudoku.search import SudokuSearch, minimal_puzzle, random_solution
from trm.tasks.sudoku.task import Sudoku
from trm.training.config import RunConfig, override
from trm.training.presets import PRESETS
from trm.training.run import train
from trm.training.trainer import Trainer

# Tiny tensors gain nothing from threads and lose much where the machine is busy.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
# The oracles are in float32. tests/models/test_bfloat16.py turns the products of bfloat16 on where there are some.
os.environ.setdefault("TRM_BFLOAT16", "0")
# A shell's background job ignores Ctrl-C, and so would every command that a test starts and stops with it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Trm = Callable[..., subprocess.CompletedProcess[str]]


class Result(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Result]


# A run that takes a second: 4x4 Sudokus, 8 channels.
TINY = [
    "task=sudoku-4x4",
    "model.width=8",
    "model.n=2",
    "batch=8",
    "micro=0",
    "max_steps=4",
    "warmup=2",
    "log_every=1",
]


UPDATES = 30  # of `tiny`


def tiny(data: Path, *more: str) -> RunConfig:
    """The settings of a run like that on `data`, some of them others."""
    return override(PRESETS["sudoku-mini"].config, [*TINY, f"data={data}", f"updates={UPDATES}", "save_every=7", *more])


def trainer(data: Path, *more: str) -> Trainer:
    """Of such a run, before its first update."""
    task = Sudoku(2, 2)
    return Trainer(tiny(data, *more), task, load_puzzles(task, str(data)), torch.device("cpu"))


def children() -> list[int]:
    """Process numbers of those that adapt to a task for this process. Linux only."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            mine = f"PPid:\t{os.getpid()}\n" in (folder / "status").read_text()
            if mine and b"trm.adapt.child" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def settings(*more: str) -> list[str]:
    """Command-line options for a tiny run."""
    return [part for setting in (*TINY, *more) for part in ("--set", setting)]


@pytest.fixture(scope="session")
def small_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 minimal 4x4 Sudokus with answers."""
    task, rng = Sudoku(2, 2), np.random.default_rng(5)
    solver = SudokuSearch(task)
    lines = ["source,question,answer,rating"]
    for _ in range(40):
        answer = random_solution(solver, rng)
        lines.append(f"test,{task.to_line(minimal_puzzle(solver, answer, rng))},{task.to_line(answer)},0")
    path = tmp_path_factory.mktemp("data") / "small.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def trm(tmp_path: Path) -> Trm:
    """Run the command in a folder of its own, one thread."""

    def call(
        *arguments: str, stdin: str | bytes | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, "-m", "trm", *arguments],
            cwd=tmp_path,
            env=environment,
            input=stdin.decode() if isinstance(stdin, bytes) else stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return call


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command in this process: as `trm`, without the seconds that importing torch takes."""
    monkeypatch.setenv("COLUMNS", "200")

    def main(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["trm", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return Result(int(caught.value.code or 0), *capsys.readouterr())

    return main


def refused(result: Result, *words: str) -> None:
    """Exit code 2 and one line on standard error that holds every one of `words`."""
    assert (result.code, result.out, len(result.err.splitlines()), result.err[:5]) == (2, "", 1, "trm: ")
    assert [word for word in words if word not in result.err] == []


@pytest.fixture(scope="session")
def tiny_run(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three steps, whose model knows next to nothing."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    assert train(override(PRESETS["sudoku-mini"].config, [*TINY, f"data={small_csv}", "updates=3"]), folder, "tiny")
    return folder


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Custom tasks that become known in a test are unknown after it."""
    yield
    FAMILY.tasks.clear()
    FAMILY.sizes.clear()
