"""Comparing models: what `trm compare` reads, keeps and shows."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, Call, Result
from rich.console import Console
from safetensors.torch import load_file, save_file

from trm import store
from trm.analysis import collect as collecting
from trm.analysis import records
from trm.analysis.collect import collect, short_names
from trm.analysis.compare import ComparedModel, Comparison, compare
from trm.analysis.cost import forward_cost, training_cost
from trm.analysis.records import Record, pack
from trm.errors import BadInput, TrmError
from trm.inference.evaluation import evaluate_model
from trm.statistics import interval, mcnemar, paired
from trm.tasks import load_puzzles
from trm.tasks.sudoku.task import Sudoku
from trm.terminal.compare import as_dict, as_markdown, compare_and_print, show
from trm.terminal.numbers import count, rough_duration
from trm.training.config import override
from trm.training.presets import PRESETS
from trm.training.run import train

TASK = Sudoku(2, 2)
STEPS = 3


# Matching and pooling


def record(exact: Sequence[str], rows: str, halted: Sequence[int] | None = None, **more: Any) -> Record:
    """Rows are named by letters."""
    given: dict[str, Any] = {"name": "m", "task": "sudoku-4x4", "data": "d", "seconds": 1.0, **more}
    steps = tuple(halted or [len(exact)] * len(rows))
    return Record(rows=tuple(rows), exact=tuple(exact), valid=tuple(exact), halted=steps, **given)


def entry(name: str, found: Record, group: str = "", **more: Any) -> ComparedModel:
    return ComparedModel(name, f"runs/{name}", found, group or name, **more)


def test_rows_are_matched_by_what_they_ask() -> None:
    first = entry("a", record(["0000", "1100"], "abcd", [1, 1, 2, 2]), parameters=5)
    second = entry("b", record(["10101"], "xdcca"))  # c is there twice: the first counts
    found = compare([first, second])
    assert (found.rows, found.largest, found.steps, found.task, found.data) == (3, 5, 2, "sudoku-4x4", ("d",))
    one, other = found.groups
    assert one.exact.tolist() == [[[False] * 3, [True, False, False]]]  # rows a, c, d
    assert one.exact_at_halt().tolist() == [[False, False, False]]
    assert other.exact.tolist() == [[[True, True, False]]]
    assert (one.test, other.test) == (None, paired(*(np.array([records.unpack(row)]) for row in ("110", "100"))))
    with pytest.raises(BadInput, match="the models have no row in common"):
        compare([first, entry("c", record(["1"], "z"))])


def test_seeds_are_pooled() -> None:
    seeds = [entry(f"wide-s{seed}", record([row], "abcd"), "w", seed=seed) for seed, row in ((3, "1100"), (11, "0100"))]
    found = compare([seeds[0], entry("other", record(["0111"], "abcd")), seeds[1]])
    assert [group.name for group in found.groups] == ["wide (2 seeds)", "other"]
    assert found.groups[0].exact_at_end().tolist() == [[True, True, False, False], [False, True, False, False]]
    assert as_dict(found)["lines"][0]["exact_by_seed"] == [0.5, 0.25]
    assert as_dict(found)["lines"][1]["test"]["name"] == "sign flips"


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["0", "1"], "m (2 seeds)"),
        (["seed1", "seed12"], "m (2 seeds)"),
        (["mini-seed-1", "mini-seed-2"], "mini (2 seeds)"),
        (["runs_1", "runs_2"], "runs (2 seeds)"),
        (["width64-0", "width64-1"], "width64 (2 seeds)"),
    ],
)
def test_names_of_pools(names: list[str], name: str) -> None:
    entries = [entry(one, record(["1"], "a"), "pool", seed=at) for at, one in enumerate(names)]
    assert compare(entries).groups[0].name == name


def test_equal_names_are_told_apart() -> None:
    again = [entry(f"x{at}", record(["1"], "a"), "pool", seed=0) for at in (0, 1)]
    model = [ComparedModel("llm", folder, record(["1"], "a"), folder) for folder in ("p", "q")]
    names = [group.name for group in compare([*again, *model]).groups]
    assert names == ["x (2 runs)", "llm (p)", "llm (q)"]
    assert short_names(["runs/a/", "runs/b/model", "x/c", "y/c", "mini"]) == ["a", "b", "x/c", "y/c", "mini"]


# Reading


@pytest.fixture(scope="session")
def made(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs of two steps: two seeds of one model, one of another learning rate."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("made")
    for name, setting in (("same-0", "seed=0"), ("same-1", "seed=1"), ("fast", "lr=0.1")):
        settings = [*TINY, f"data={small_csv}", "updates=2", setting]
        assert train(override(PRESETS["sudoku-mini"].config, settings), folder / name, "tiny")
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of `made`, where we are."""
    shutil.copytree(made, tmp_path / "runs")
    monkeypatch.chdir(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every evaluation that is made."""
    made: list[int] = []

    def counted(model: Any, task: Any, puzzles: Any, *rest: Any) -> Any:
        made.append(len(puzzles))
        return evaluate_model(model, task, puzzles, *rest)

    monkeypatch.setattr(collecting, "evaluate_model", counted)
    return made


def test_runs_are_evaluated_and_pooled(runs: Path, small_csv: Path) -> None:
    entries = collect(["fast", "same-0", "same-1"], str(small_csv), STEPS, slice(2, 30))
    found = compare(entries)
    assert [group.name for group in found.groups] == ["fast", "same (2 seeds)"]
    assert [entry.seed for entry in found.groups[1].models] == [0, 1]
    stored, puzzles = store.load("same-0"), load_puzzles(TASK, str(small_csv)).take(slice(2, 30))
    result = evaluate_model(stored.model, TASK, puzzles, STEPS)
    assert result.rowwise is not None
    pool = found.groups[1]
    for mine, right in zip((pool.exact, pool.valid, pool.halted), result.rowwise, strict=True):
        np.testing.assert_array_equal(mine[0], right)
    config = override(PRESETS["sudoku-mini"].config, [*TINY])
    assert entries[0].parameters == sum(value.numel() for value in stored.model.parameters())
    assert entries[0].step_flops == forward_cost(config.model, TASK.spec).flops
    assert entries[0].training_flops == 2 * 8 * training_cost(config, TASK.spec).flops
    assert entries[0].training_seconds == store.load("fast").about["seconds"]


@pytest.mark.parametrize("change", [{"update": 1}, {"data": {"sha256": "of other data"}}])
def test_what_is_not_pooled(runs: Path, small_csv: Path, change: dict[str, Any]) -> None:
    path = runs / "same-1" / "config.json"
    content = json.loads(path.read_text())
    content["about"].update(change)
    path.write_text(json.dumps(content))
    entries = collect(["same-0", "same-1"], str(small_csv), STEPS, slice(0, 5))
    assert [group.name for group in compare(entries).groups] == ["same-0", "same-1"]


def test_a_record_is_used_again(runs: Path, small_csv: Path, evaluations: list[int]) -> None:
    def again(rows: int = 9, steps: int = STEPS) -> Record:
        return collect(["fast"], str(small_csv), steps, slice(0, rows))[0].record

    first = again()
    kept = next((runs / "fast" / "evaluations").iterdir())
    assert (kept.name.startswith("small.csv-"), kept.name.endswith(f"-{STEPS}.json")) == (True, True)
    assert (again(), evaluations) == (first, [9])
    again(8)
    again(9, STEPS + 1)
    assert evaluations == [9, 8, 9]
    # Damaged, or another's: evaluated again.
    for content in ("{", first.model_copy(update={"rows": first.rows[::-1]}).model_dump_json()):
        kept.write_text(content)
        assert again().exact == first.exact
    assert evaluations == [9, 8, 9, 9, 9]
    # Other weights, then the same weights with another setting.
    tensors = load_file(runs / "fast" / "model.safetensors")
    save_file({key: value + 0.1 for key, value in tensors.items()}, runs / "fast" / "model.safetensors")
    assert again() != first
    config = json.loads((runs / "fast" / "config.json").read_text())
    config["model"]["n"] = 1
    (runs / "fast" / "config.json").write_text(json.dumps(config))
    again()
    assert evaluations[5:] == [9, 9]


def test_the_package_is_not_written_to(
    runs: Path, small_csv: Path, evaluations: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("trm.store.shipped", "trm.store.stored", "trm.analysis.collect"):
        monkeypatch.setattr(f"{module}.SHIPPED", runs)
    monkeypatch.chdir(runs.parent)
    for name in ("fast", "fast", str(runs / "fast")):
        collect([name], str(small_csv), STEPS, slice(0, 3))
    assert (evaluations, (runs / "fast" / "evaluations").exists()) == ([3, 3, 3], False)


def asked(folder: Path, small_csv: Path, rows: slice) -> None:
    """A folder such as a language model's evaluation leaves; it has every second row right."""
    part = load_puzzles(TASK, str(small_csv)).take(rows)
    right = pack(at % 2 == 0 for at in range(len(part)))
    given: dict[str, Any] = {"name": "llm-7b", "task": "sudoku-4x4", "data": "small.csv", "seconds": 9.0}
    found = Record(
        rows=records.digests(part.question), exact=(right,), valid=(right,), halted=(1,) * len(part), **given
    )
    records.write_record(folder / "evaluation.json", found)


def test_a_language_model_beside_ours(runs: Path, small_csv: Path, evaluations: list[int]) -> None:
    asked(runs / "asked", small_csv, slice(4, 14))
    found = compare(collect(["asked", "fast"], str(small_csv), STEPS, slice(0, 12)))
    first, second = as_dict(found)["lines"]
    assert (found.rows, found.largest, evaluations) == (8, 12, [12])
    assert (first["name"], first["exact"], first["weights"], first["flops"]) == ("llm-7b", 0.5, None, None)
    assert second["test"]["difference"] == pytest.approx(second["exact"] - 0.5)
    # By itself it needs no data.
    assert collect(["asked"], "none.csv")[0].name == "llm-7b"
    # Where there is a model too, that is what the folder holds.
    shutil.copy(runs / "asked" / "evaluation.json", runs / "fast")
    assert collect(["fast"], str(small_csv), STEPS, slice(0, 2))[0].parameters


def test_what_cannot_be_compared(runs: Path, small_csv: Path) -> None:
    shutil.copytree(runs / "fast", runs / "copy")
    with pytest.raises(BadInput, match="fast and copy are the same model"):
        collect(["fast", "copy"], str(small_csv))
    with pytest.raises(BadInput, match="fast solves sudoku-4x4 and sudoku-mini solves sudoku:"):
        collect(["fast", "sudoku-mini"], str(small_csv))
    with pytest.raises(BadInput, match="no rows left"):
        collect(["fast"], str(small_csv), rows=slice(40, None))
    with pytest.raises(BadInput, match="no model"):
        collect(["fast", "nothing"], str(small_csv))
    (runs / "asked").mkdir()
    bad = record(["1"], "a", [2]).model_dump_json()
    for content in (
        "{}",
        "",
        bad,
        bad.replace('["1"]', '["2"]').replace("[2]", "[1]"),
        bad.replace("[2]", "[1,1]"),
        record([""], "").model_dump_json(),
    ):
        (runs / "asked" / "evaluation.json").write_text(content)
        with pytest.raises(BadInput, match=r"evaluation\.json"):
            collect(["asked"], str(small_csv))


# Showing


@pytest.fixture
def found() -> Comparison:
    """A run, a pool of two and a language model, of which the run has a row more."""
    known: dict[str, Any] = {
        "parameters": 6_830_000,
        "step_flops": 1_500_000,
        "training_seconds": 480.0,
        "training_flops": 10**12,
    }
    rows = "abcdefgh"
    one = entry("a-model-of-twenty-letters", record(["000000000", "111111101"], rows + "i", [2] * 8 + [1]), **known)
    two = [
        entry(f"wide-{seed}", record(["00000000", text], rows, [1, 2] * 4), "w", seed=seed, **known)
        for seed, text in enumerate(("11110000", "11100000"))
    ]
    return compare([one, *two, entry("qwen2.5-7b-instruct|x", record(["10000000"], rows))])


def test_markdown(found: Comparison) -> None:
    table, told = as_markdown(found).split("\n\n")
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    heads, _, one, two, llm = cells
    assert len({len(line.replace("\\|", "").strip("|").split("|")) for line in table.splitlines()}) == 1
    low, high = (f"{100 * limit:.1f}" for limit in interval(7, 8))
    assert dict(zip(heads, one, strict=True)) == {
        "model": "a-model-of-twenty-letters",
        "weights": "6.83M",
        "exact %": "87.5",
        "95 %": f"{low}-{high}",
        "seeds": "-",
        "own halt": "87.5",
        "valid": "87.5",
        "steps": "2.0/2",
        "FLOPs a puzzle": "3M",
        "training": "8.0 min",
        "training FLOPs": "1T",
        "points": "-",
        "p": "-",
    }
    again = dict(zip(heads, two, strict=True))
    assert (again["model"], again["exact %"], again["seeds"]) == ("wide (2 seeds)", "43.8", "37.5-50.0")
    assert (again["own halt"], again["steps"], again["points"]) == ("18.8", "1.5/2", "-43.8")
    assert llm[:3] == ["qwen2.5-7b-instruct\\|x", "-", "12.5"]
    assert llm[-1] == f"{mcnemar(0, 6):.2f}"
    for words in ("Rows: 8 of up to 9", "d (sudoku-4x4)", "McNemar", "sign-flip", "bootstrap", "for 2 comparisons"):
        assert words in told


def test_notes_tell_only_what_was_done(found: Comparison) -> None:
    alone = as_markdown(compare(found.groups[0].models))
    assert "Rows: 9; d (sudoku-4x4)." in alone
    assert [word for word in ("seeds", "bootstrap", "McNemar", "points", "up to") if word in alone] == []
    pools = as_markdown(compare([*found.groups[1].models, *found.groups[2].models]))
    assert "McNemar" not in pools


@pytest.mark.parametrize(("width", "missing"), [(100, []), (80, ["training"]), (60, ["weights", "steps"])])
def test_the_table_fits(found: Comparison, width: int, missing: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    show(found, Console(width=width, highlight=False))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[3].startswith("a-model-of-twenty-letters "[: 16 if width < 100 else None])
    assert any("Left out" in line for line in lines) == bool(missing)
    heads = " ".join(lines[:2]).split()
    assert [name for name in missing if name in heads] == []
    assert heads[-2:] == ["points", "p"]


def test_numbers_as_text() -> None:
    assert [count(value) for value in (None, 950, 25_730, 6_829_058, 3.09e9)] == ["-", "950", "25.7k", "6.83M", "3.09G"]
    assert [rough_duration(value) for value in (None, 9, 482, 36_000, 260_000)] == [
        "-",
        "9 s",
        "8.0 min",
        "10.0 h",
        "3.0 days",
    ]


def test_the_command(runs: Path, small_csv: Path, call: Call) -> None:
    asked(runs / "asked", small_csv, slice(0, 20))

    def command(*arguments: str) -> Result:
        where = ("--data", str(small_csv), "--steps", str(STEPS), "--skip", "2", "--limit", "10", "--threads", "1")
        return call("compare", *arguments, *where)

    done = command("fast", "same-0", "same-1", "asked", "--json", "--markdown", "out/table.md")
    assert (done.code, done.err, done.out.count("\n")) == (0, "wrote out/table.md\n", 1)
    found = json.loads(done.out)
    assert " ".join(found) == "task data rows most_rows steps lines"
    assert (found["rows"], found["steps"], found["data"]) == (10, STEPS, ["small.csv"])
    assert [line["name"] for line in found["lines"]] == ["fast", "same (2 seeds)", "llm-7b"]
    assert found["lines"][1]["sources"] == ["same-0", "same-1"]
    assert len(found["lines"][0]["exact_by_step"]) == STEPS
    entries = collect(["fast", "same-0", "same-1", "asked"], str(small_csv), STEPS, slice(2, 12))
    assert (runs / "out" / "table.md").read_text() == as_markdown(compare(entries))
    shown = command("fast", "asked")
    assert (shown.code, shown.err) == (0, "")
    assert [line.split()[0] for line in shown.out.splitlines()[3:5]] == ["fast", "llm-7b"]
    for arguments, words in (
        (("fast", "nothing"), "no model 'nothing'"),
        (("fast", "--markdown", "out"), "out is a folder"),
        (("fast", "--markdown", "out/table.md/x"), "cannot write"),
    ):
        wrong = command(*arguments)
        assert (wrong.code, wrong.out, wrong.err.count("\n"), wrong.err[:5]) == (2, "", 1, "trm: ")
        assert words in wrong.err
    assert command("--json").code == 2


def test_a_picture(runs: Path, small_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(runs / "asked", small_csv, slice(0, 10))
    path = runs / "plot.png"

    def picture(*names: str) -> None:
        compare_and_print(names, str(small_csv), STEPS, slice(0, 10), 16, None, path, True)

    pytest.importorskip("matplotlib")
    picture("fast", "same-0", "same-1", "asked")
    content = path.read_bytes()
    assert (content[:8], struct.unpack(">II", content[16:24])) == (b"\x89PNG\r\n\x1a\n", (1200, 750))
    with pytest.raises(BadInput, match="name a model of trm too"):
        picture("asked")
    assert path.read_bytes() == content
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TrmError, match=r"pip install 'trm\[plot\]'"):
        picture("nothing")
