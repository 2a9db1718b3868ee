"""`trm push`: what is written to the hub, and the card."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from conftest import Call, refused
from hub_server import COMMIT, serving_hub

import trm
from trm.statistics import interval


def test_what_is_pushed_loads_and_solves(
    tiny_run: Path, small_csv: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card has the figures that `trm compare` keeps; the model comes back by its name."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "model.safetensors"):
        (run / name).write_bytes((tiny_run / name).read_bytes())
    assert "None yet" in call("push", str(run), "me/tiny", "--dry-run").out
    call("compare", str(run), "--data", str(small_csv), "--limit", "30", "--steps", "2")
    with serving_hub({}, tmp_path / "cache", monkeypatch) as server:
        card = call("push", str(run), "me/tiny", "--dry-run", "--license", "mit").out
        assert not server.posted
        done = call("push", str(run), "me/tiny", "--license", "mit", "--private")
        assert (done.code, done.out, done.err) == (0, f"{server.url}/me/tiny/commit/{COMMIT}\n", "")
        assert server.files.keys() == {"config.json", "model.safetensors", "README.md"}
        assert server.files["README.md"].decode() == card
        loaded, stored = trm.load("me/tiny"), trm.load(str(run))
        for name, value in stored.model.state_dict().items():
            assert torch.equal(loaded.model.state_dict()[name], value)
        assert trm.Solver("sudoku", weights="me/tiny", steps=1, restarts=0).solve("." * 16).steps == 1
    assert card.startswith("---\nlicense: mit\nlibrary_name: trm\n")
    assert str(stored.about["command"]) in card
    assert stored.about["data"]["sha256"] in card
    (exact, low, high), *_ = re.findall(r"30 of small.csv \| 2 steps \| ([0-9.]+)% \| ([0-9.]+) - ([0-9.]+) \|", card)
    wanted = interval(round(float(exact) * 0.3), 30)
    assert (float(low), float(high)) == pytest.approx([100 * one for one in wanted], abs=0.051)


def test_a_model_that_ships_has_the_figures_of_its_own_card(call: Call) -> None:
    card = call("push", "sudoku-mini", "me/mini", "--dry-run").out
    assert "weights for the task `sudoku`" in card
    assert all(f"{score.exact:.1%}" in card for score in trm.store.cards.read_model("sudoku-mini").card.scores)


def test_what_the_hub_refuses_is_said(
    tiny_run: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_hub({}, tmp_path / "cache", monkeypatch) as server:
        for status, words in ((401, "log in with `hf auth login`"), (403, "log in with"), (400, "Bad request")):
            server.status = status
            done = call("push", str(tiny_run), "me/tiny")
            assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
            assert "cannot write to model me/tiny" in done.err
            assert words in done.err
        server.status, before = 0, len(server.posted)
        refused(call("push", str(tiny_run), "tiny"), "no name of a repository; write OWNER/NAME")
        refused(call("push", str(tiny_run), "me/tiny", "--license", "my own"), "--license 'my own'")
        refused(call("push", "nosuch", "me/tiny"), "no model 'nosuch'")
        assert len(server.posted) == before
