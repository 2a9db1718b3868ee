"""Shell completion: what is offered, and that a key press imports nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY

from trm.cli import names
from trm.store import shipped_names
from trm.tasks import get_task
from trm.tasks.arc.text import SAMPLES, VERSIONS
from trm.training.presets import PRESETS

CODE = """
import sys
from trm.cli.main import main
sys.argv[0] = "trm"
try:
    main()
finally:
    assert not {"torch", "numpy", "rich.console"} & set(sys.modules), sorted(sys.modules)
"""


def completed(line: str, folder: Path) -> list[str]:
    """What bash is offered at the end of a line."""
    words = line.split(" ")
    asked = {"_TRM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env={**os.environ, **asked}, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for run in ("runs/mine", "runs/other", "made"):
        (tmp_path / run).mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "config.json").touch()
    (tmp_path / "embers.csv").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("trm eval-", ["eval-arc", "eval-llm"]),
        ("trm solve ", ["sudoku", "maze", "custom"]),
        ("trm solve sudoku --weights sudoku-s", ["sudoku-search", "sudoku-search-x4"]),
        ("trm solve sudoku --weights runs/", ["runs/mine", "runs/other/"]),
        ("trm solve sudoku em", ["embers.csv"]),
        ("trm solve sudoku puzzle --backend o", ["onnx"]),
        ("trm eval ma", ["maze", "maze-generated", "made/"]),
        ("trm eval maze --data em", ["embedded", "embers.csv"]),
        ("trm eval maze --until ", ["end", "valid", "sure", "halt"]),
        ("trm compare maze su", ["sudoku", "sudoku-mini", "sudoku-search", "sudoku-search-x4"]),
        ("trm train sudoku-m", ["sudoku-mini"]),
        ("trm train li", ["list"]),
        ("trm describe custom --structure nothing", []),
        ("trm export sudoku --task sudoku-", ["sudoku-4x4", "sudoku-6x6", "sudoku-16x16"]),
        ("trm adapt arc-agi-2", ["arc-agi-2", "arc-agi-2-evaluation"]),
        ("trm data sudoku out.csv --kind ", ["extreme", "hard", "minimal", "varied"]),
    ],
)
def test_what_is_offered(folder: Path, line: str, found: list[str]) -> None:
    assert completed(line, folder) == found


def test_the_names_are_those_that_there_are() -> None:
    assert list(names.PRESETS) == list(PRESETS)
    assert set(shipped_names()) <= set(names.models(""))
    assert set(names.BENCHMARKS) == {*VERSIONS, *SAMPLES}
    assert [get_task(name).spec.name for name in names.SIZED]
    assert TINY[0].partition("=")[2] in names.SIZED


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell(shell: str, tmp_path: Path) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    for option in ("--show-completion", "--install-completion"):
        command = [sys.executable, "-m", "trm", option, shell]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert ("_TRM_COMPLETE" in done.stdout) == (option == "--show-completion")
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "_TRM_COMPLETE" in path.read_text()]
    assert len(written) == 1
