"""Presets by name: the list of them, and the names that they had before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Call, refused, settings

from trm.store import shipped_names
from trm.store.shipped import RENAMED
from trm.training.presets import OWN, PRESETS, get_preset

FORMER = {
    "sudoku-extreme-cpu-varied": "sudoku",
    "sudoku-extreme-cpu-search": "sudoku-search",
    "sudoku-extreme-gpu-varied": "sudoku-gpu",
    "maze-hard-cpu": "maze",
    "maze-hard-cpu-generated": "maze-generated",
}


def test_our_own_presets() -> None:
    names = "sudoku-mini sudoku sudoku-search sudoku-gpu maze maze-generated custom"
    assert [preset.name for preset in OWN] == names.split()
    assert all(PRESETS[preset.name] is preset for preset in OWN)


@pytest.mark.parametrize("old", FORMER)
def test_former_names_are_understood(old: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert get_preset(old) is PRESETS[FORMER[old]]
    assert capsys.readouterr() == ("", f"trm: preset {old} is now {FORMER[old]}\n")


def test_a_former_name_trains_and_resumes(call: Call, small_csv: Path, tmp_path: Path) -> None:
    common = ("--procs", "1", "--threads", "1")
    run = str(tmp_path / "run")
    small = settings("updates=2", "init=", "loss_limit=0")
    done = call("train", "sudoku-extreme-cpu-search", "--data", str(small_csv), "--out", run, *common, *small)
    told = "trm: preset sudoku-extreme-cpu-search is now sudoku-search"
    assert (done.code, done.err.splitlines()[0], done.err.count("is now")) == (0, told, 1)
    assert json.loads((tmp_path / "run/config.json").read_text())["name"] == "sudoku-search"
    assert call("train", "sudoku-extreme-cpu-search", "--out", run, "--resume", *common).code == 0
    described = call("describe", "maze-hard-cpu", "--json")
    assert (described.code, described.err) == (0, "trm: preset maze-hard-cpu is now maze\n")
    assert json.loads(described.out)["command"] == "trm train maze"


def test_a_preset_that_was_removed_names_its_successor(call: Call) -> None:
    refused(call("train", "sudoku-extreme-cpu"), "sudoku-extreme-cpu was removed", "use sudoku instead")
    refused(call("describe", "sudoku-extreme-cpu"), "use sudoku instead")


def test_models_have_new_names_too() -> None:
    assert set(RENAMED.values()) <= set(shipped_names())
    assert not RENAMED.keys() & (PRESETS.keys() | set(shipped_names()))


def test_the_list_shows_every_preset(call: Call) -> None:
    done = call("train", "list")
    assert (done.code, done.err) == (0, "")
    rows = [line for line in done.out.splitlines() if line.startswith("│ ")]
    assert {row.split("│")[1].strip() for row in rows} - {""} == set(PRESETS)
    shown = " ".join(done.out.split())
    assert all(words in shown for words in ("one NVIDIA GPU", "3 days", "87.4 % exact"))
