"""The models that ship: their former names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Call, refused

import trm
from trm import store
from trm.errors import BadInput
from trm.store import SHIPPED, shipped, shipped_names


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, in a process that has not yet reported any former name."""
    monkeypatch.chdir(tmp_path)
    shipped.report_renamed.cache_clear()
    return tmp_path


def test_a_former_name_finds_the_model_and_says_so_once(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for old, new in shipped.RENAMED.items():
        assert store.find(old) == store.find(old) == SHIPPED / new
        assert capsys.readouterr() == ("", f"trm: model {old} is now called {new}\n")
    assert set(shipped.RENAMED.values()) <= set(shipped_names())
    assert not shipped.RENAMED.keys() & set(shipped_names())


def test_a_former_name_loads(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trm.load("sudoku-extreme-cpu-varied").name == "sudoku"
    assert trm.load("sudoku").name == "sudoku"
    assert capsys.readouterr().err == "trm: model sudoku-extreme-cpu-varied is now called sudoku\n"


def test_a_folder_of_a_former_name_comes_first(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("maze-hard-cpu", "sudoku-extreme-cpu"):
        folder = fresh / name
        folder.mkdir()
        for file in ("config.json", "model.safetensors"):
            (folder / file).write_bytes((SHIPPED / "sudoku-mini" / file).read_bytes())
        assert store.find(name) == Path(name)
        assert trm.load(name).name == "sudoku-mini"
    assert capsys.readouterr() == ("", "")


def test_a_model_that_no_longer_ships_is_refused_with_the_way_to_get_it(fresh: Path, call: Call) -> None:
    for name in shipped.REMOVED:
        with pytest.raises(
            BadInput, match=f"^model '{name}' no longer ships; use sudoku, or get it from commit e16795c$"
        ):
            trm.load(name)
        refused(call("export", name, "--to", "x.onnx"), name, "sudoku", "e16795c")
    with pytest.raises(BadInput, match="no model 'sudoku-extreme-cpu-wider': give"):
        trm.load("sudoku-extreme-cpu-wider")


def test_names_need_no_torch() -> None:
    code = "import sys; from trm.store import shipped_names; assert shipped_names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
