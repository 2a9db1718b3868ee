"""`trm models`: the table and the JSON."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import pytest
from conftest import Call
from rich.console import Console

from trm.store import shipped_names
from trm.store.cards import shipped_models
from trm.terminal.models import print_models

MODELS = shipped_models()


def printed(width: int) -> list[str]:
    file = io.StringIO()
    print_models(MODELS, Console(file=file, width=width, highlight=False))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_is_legible(width: int) -> None:
    lines = printed(width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    for model in MODELS:
        name = f" {model.name} * " if model.default else f" {model.name} "
        (row,) = (line for line in lines if line.startswith(name))
        score = model.card.scores[0]
        figures = [f"{model.weights:,}", f"{model.bytes / 1000:.0f}", f"{100 * score.exact:.1f}%"]
        figures.append(f"{100 * score.low:.1f}-{100 * score.high:.1f}")
        assert row.removeprefix(name).split()[:4] == figures
    words = " ".join(" ".join(lines).split())
    for model in MODELS:
        assert f"{model.name} {model.card.purpose} Training: {model.card.trained}." in words
        for command in model.card.command.split(" && "):
            assert command in words


def test_every_score_has_the_note_that_says_how_it_was_measured() -> None:
    lines = printed(200)
    notes: dict[str, tuple[str, str]] = {}
    rows = ""
    for line in lines:
        if line.startswith("of "):
            rows = line[3:].rstrip(": ")
        elif rows and line[:4].strip().isdigit():
            notes[line[:4].strip()] = (rows, line[4:].rstrip())
    assert list(notes) == [str(number) for number in range(1, len(notes) + 1)]
    table = [line.split() for line in lines if re.search(r"\d%", line)]
    expected = [score for model in MODELS for score in model.card.scores]
    assert len(table) == len(expected)
    for cells, score in zip(table, expected, strict=True):
        rows, how = notes[cells[-1]]
        assert rows == f"{score.rows:,} {score.data}"
        assert how.split("; ms on ")[0] == score.setting
        assert cells[-3] == ("-" if score.steps is None else f"{score.steps:,.0f}")


def test_json(call: Call) -> None:
    found = json.loads(call("models", "--json").out)
    assert [model["name"] for model in found] == [model.name for model in MODELS]
    assert sorted(model["name"] for model in found) == shipped_names()
    sudoku = found[0]
    assert list(sudoku) == ["name", "task", "default", "weights", "bytes", "purpose", "scores", "trained", "command"]
    assert (sudoku["name"], sudoku["task"], sudoku["default"], sudoku["weights"]) == ("sudoku", "sudoku", True, 45570)
    assert sudoku["scores"][0] | {"exact": 1.0, "rows": 100, "steps": 287, "milliseconds": None} == sudoku["scores"][0]


def test_the_command_needs_no_torch() -> None:
    code = (
        "import sys\nfrom trm.cli.main import main\nsys.argv = ['trm', 'models']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "sudoku-search-x4" in done.stdout
