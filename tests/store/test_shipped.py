"""The models that ship: their former names, and the facts about them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Call, refused
from pydantic import ValidationError

import trm
from trm import store
from trm.errors import BadInput
from trm.statistics import interval
from trm.store import SHIPPED, shipped, shipped_names
from trm.store.cards import Card, ShippedModel, shipped_models
from trm.tasks import find_family, resizable


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, in a process that has not yet reported any former name."""
    monkeypatch.chdir(tmp_path)
    shipped.report_renamed.cache_clear()
    return tmp_path


def test_a_former_name_finds_the_model_and_says_so_once(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for old, new in shipped.RENAMED.items():
        assert store.find(old) == store.find(old) == SHIPPED / new
        assert capsys.readouterr() == ("", f"trm: model {old} is now {new}\n")
    assert set(shipped.RENAMED.values()) <= set(shipped_names())
    assert not shipped.RENAMED.keys() & set(shipped_names())


def test_a_former_name_loads(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trm.load("sudoku-extreme-cpu-varied").name == "sudoku"
    assert trm.load("sudoku").name == "sudoku"
    assert capsys.readouterr().err == "trm: model sudoku-extreme-cpu-varied is now sudoku\n"


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
    for name, commit in shipped.REMOVED.items():
        words = f"^model '{name}' no longer ships; use sudoku, or get it from commit {commit}$"
        with pytest.raises(BadInput, match=words):
            trm.load(name)
        refused(call("export", name, "--to", "x.onnx"), name, "sudoku", commit)
    with pytest.raises(BadInput, match="no model 'sudoku-extreme-cpu-wider': give"):
        trm.load("sudoku-extreme-cpu-wider")


def test_a_model_where_a_task_is_wanted_is_told_from_one(call: Call) -> None:
    words = "'sudoku-search' is a model, not a task: trm solve sudoku --weights sudoku-search"
    refused(call("solve", "sudoku-search", "1" + "." * 15), words)
    with pytest.raises(BadInput, match=words):
        trm.Solver("sudoku-search")


def test_names_and_cards_need_no_torch() -> None:
    code = "import sys; from trm.store.cards import shipped_models; from trm.store import shipped_names"
    code += "; assert len(shipped_models()) == len(shipped_names()) > 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


MODELS = shipped_models()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_has_a_card_that_agrees_with_its_files(model: ShippedModel) -> None:
    stored = trm.load(model.name)
    assert (stored.name, stored.spec.name) == (model.name, model.task)
    assert model.weights == sum(parameter.numel() for parameter in stored.model.parameters())
    assert model.bytes == len((SHIPPED / model.name / "model.safetensors").read_bytes())
    card = model.card
    for text in (card.purpose, card.trained, card.command, *(score.data for score in card.scores)):
        assert "\n" not in text
        assert text.strip() == text != ""
    assert not card.trained.endswith(".")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_scores_have_the_intervals_of_their_rows(model: ShippedModel) -> None:
    for score in model.card.scores:
        right = score.exact * score.rows
        assert right == pytest.approx(round(right))
        assert [score.low, score.high] == pytest.approx([round(end, 3) for end in interval(right, score.rows)])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_scores_are_those_of_the_results(model: ShippedModel) -> None:
    """docs/results.md writes `90.6 % | 87.7 - 92.9` or `100 % (96.3 - 100.0)`, and steps and seconds among words."""
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    for score in model.card.scores:
        low, high = f"{100 * score.low:.1f}", f"{100 * score.high:.1f}"
        assert re.search(rf"\b{100 * score.exact:g}(\.0)? %\D{{1,5}}{low}\D{{1,5}}{high}\b", text), score
        assert score.steps is None or re.search(rf"\b{score.steps:g} (steps|on average|\|)", text), score
        if score.milliseconds is not None and model.name != "sudoku-mini":
            assert re.search(rf"\b{score.milliseconds / 1000:g} s\b", text), score


def test_the_time_of_the_small_model_follows_from_its_rate() -> None:
    (score,) = next(model for model in MODELS if model.name == "sudoku-mini").card.scores
    assert " 850 " in (Path(__file__).parents[2] / "docs/notes/kernels.md").read_text(encoding="utf-8")
    assert (score.steps, score.milliseconds) == (32, round(1000 * 32 / 850))


def test_the_default_of_each_family_is_marked_and_comes_first() -> None:
    assert [model.name for model in MODELS if model.default] == [find_family(name).weights for name in resizable()]
    names = [model.name for model in MODELS]
    assert sorted(names) == shipped_names()
    assert names[0] == "sudoku"
    assert [model.weights for model in MODELS[1:4]] == sorted(model.weights for model in MODELS[1:4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"purpose": ""}, "purpose"),
        ({"scores": []}, "scores"),
        ({"more": 1}, "more"),
        ({"exact": 0.99}, "between low and high"),
        ({"milliseconds": 3.0}, "belong together"),
        ({"rows": 0}, "rows"),
    ],
)
def test_cards_that_are_wrong(change: dict[str, object], message: str) -> None:
    content = json.loads((SHIPPED / "sudoku" / "card.json").read_text(encoding="utf-8"))
    content["scores"] = [content["scores"][1]]
    assert Card.model_validate(content).scores[0].exact == 0.624
    place = content["scores"][0] if change.keys() & content["scores"][0].keys() else content
    place.update(change)
    with pytest.raises(ValidationError, match=message):
        Card.model_validate(content)
