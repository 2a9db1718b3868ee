"""Every table is legible in 60 columns: no line is longer, no text is cut, and every number is whole."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from trm.analysis.history import Checks, History, Reports
from trm.arc.votes import PASSES, Pass, Score
from trm.inference.evaluation import Evaluation
from trm.store.cards import shipped_models
from trm.terminal import data, eval_arc, history, tables
from trm.terminal.console import fits, plain_console
from trm.terminal.models import print_models
from trm.terminal.presets import show_presets
from trm.training.presets import PRESETS

WIDTH = 60


def console(width: int = WIDTH) -> Console:
    return plain_console(file=io.StringIO(), width=width)


def printed(shown: Console) -> str:
    """What was printed on a console; checks that it is legible."""
    assert isinstance(shown.file, io.StringIO)
    text = shown.file.getvalue()
    assert max(map(len, text.splitlines())) <= shown.width
    assert "…" not in text
    return text


def words(text: str) -> str:
    return " ".join(text.split())


def test_presets() -> None:
    shown = console()
    show_presets(PRESETS.values(), shown)
    text = printed(shown)
    for preset in PRESETS.values():
        about = f"{preset.name} hardware {preset.hardware} time {preset.time} score {preset.score}"
        assert words(about) in words(text)


def test_models() -> None:
    shown = console()
    print_models(shipped_models(), shown)
    text = printed(shown)
    for model in shipped_models():
        for number, score in enumerate(model.card.scores):
            name = (f"{model.name} *" if model.default else model.name) if not number else ""
            figures = f"{name} {score.exact:.1%} {100 * score.low:.1f}-{100 * score.high:.1f} ".lstrip()
            assert figures in words(text)
        size = f"{model.name} {model.weights:,} weights, {model.bytes / 1000:.0f} kB {model.card.purpose}"
        assert words(size) in words(text)


RESULT = Evaluation(
    rows=500,
    cells=1000,
    exact=np.array([0, 499, 500]),
    cell=np.array([500, 999, 1000]),
    valid=np.array([0, 499, 500]),
    halted_exact=498,
    halted_steps=1234,
    seconds=1.0,
    extra={"shortest": np.array([0, 250, 500])},
)


def test_accuracy() -> None:
    shown = console()
    tables.print_accuracy(shown, RESULT, "a model with a long name on 500 puzzles (a file with a long name.csv)", True)
    text = printed(shown)
    assert re.search(r"^ +3 +100.0% +99.2-100.0 +100.0% +100.0% +100.0% *$", text, re.MULTILINE)
    assert re.search(r"^ own halt +99.6% +98.6-99.9 *$", text, re.MULTILINE)
    assert "own halt: after 2.5 steps on average" in text
    wide = console(100)
    tables.print_accuracy(wide, RESULT, "a model", True)
    assert "│ own halt, 2.5 on average │  99.6% │  98.6% - 99.9% │" in printed(wide)


def test_history() -> None:
    count = np.arange(1.0, 4.0)
    when = {"update": 1000 * count, "seconds": 3600 * count}
    reports = Reports(**when, loss=0.5 * count, exact=50 * count, ended=100 * count)
    checks = Checks(**when, exact=np.array([0.0, 499.0, 500.0]), puzzles=np.full(3, 500.0))
    table = history.table(History("a run", reports, checks), narrow=True)
    shown = console()
    assert fits(table, shown)
    shown.print(table)
    assert re.search(r"^ 3000 +180.0 +1.500 +50.0% +100.0% +99.2%-100.0% *$", printed(shown), re.MULTILINE)


def test_arc_scores() -> None:
    rules = ("published", "confidence-sum", "noisy-or")
    scores = [Score(rule, 10, 12, 1, {k: Pass(0.446, 0.118, 0.409, 5) for k in PASSES}) for rule in rules]
    assert not fits(eval_arc.score_table(scores, "t"), console())
    shown = console()
    shown.print(eval_arc.narrow_table(scores, "a model on 10 tasks (a file), 100 votes a question"))
    text = printed(shown)
    assert text.count("44.6 (11.8-40.9)") == len(rules) * len(PASSES)
    assert all(rule in text for rule in rules)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_quantiles(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = console(width)
    monkeypatch.setattr(data, "plain_console", lambda: shown)
    values = [f"{100 + percentile}.5" for percentile in data.PERCENTILES]
    lines = [data.QuantileLine("shortest paths, log10", ()), data.QuantileLine("  mazes.csv (100)", values)]
    data.print_quantiles("of each maze", lines)
    text = printed(shown)
    chosen = data.PERCENTILES if width > 80 else data.FEWER
    (line,) = (line for line in text.splitlines() if "mazes.csv" in line)
    assert re.findall(r"\d+\.5", line) == [f"{100 + percentile}.5" for percentile in chosen]
    (heads,) = (line for line in text.splitlines() if "of each maze" in line)
    assert [int(head) for head in re.findall(r"(\d+) %", heads)] == list(chosen)


def test_fits() -> None:
    assert fits("x" * 60, console())
    assert not fits("x" * 61, console())
