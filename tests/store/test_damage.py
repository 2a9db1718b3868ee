"""Damaged files that are not puzzles in text: each is refused in one line, or read as a plain reading has it."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import plain
import pytest
import torch
from damage import ARRAYS, ODD_OBJECTS, attempt, changed, damaged, hurt, slip, warped
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import alike
from readers import EXAMPLES, fuzz
from safetensors.torch import load_file, save_file

from trm.analysis.history import read_history
from trm.inference import onnx as exported
from trm.models import ModelConfig, build
from trm.store.convert import PREFIXES, to_published
from trm.store.onnx_export import export_onnx
from trm.store.published import import_file
from trm.store.stored import CHECKPOINT, CONFIG, WEIGHTS, load
from trm.tasks import get_task
from trm.tasks.arc.text import read_tasks, usable_id
from trm.tasks.custom.structure import MOST, Structure, read_structure
from trm.tasks.custom.text import NONE, read_pairs
from trm.training import checkpoint
from trm.training.commands import RECORD, read_launch
from trm.training.log import LOG, trim_log
from trm.training.run import Run

each = given(seed=st.integers(0, 2**32))
slow = settings(fuzz, max_examples=max(50, EXAMPLES // 5))


@fuzz
@each
def test_arc_tasks_in_files_and_folders(tmp_path: Path, seed: int) -> None:
    """One file of a folder, or the only one, is damaged: all tasks are read, or the message names the file."""
    chance, folder = random.Random(seed), tmp_path / "tasks"
    shutil.rmtree(folder, ignore_errors=True)
    odd = chance.choice(("one", "two words", "l" * 100, "tab\t", "ünï", "a.b"))
    names = chance.sample(("second", "a\nb", usable_id("a\nb")), 2)
    tasks = {name: plain.arc_task(chance) for name in (odd, *names)}
    contents = {"set": tasks} if chance.random() < 0.5 else tasks
    suffix, parts, paths = chance.choice((".json", ".JSON")), [], []
    for at, (name, content) in enumerate(contents.items()):
        paths.append(folder / ("sub" * at) / f"{name}{suffix}")
        paths[at].parent.mkdir(parents=True, exist_ok=True)
        paths[at].write_bytes(json.dumps(content).encode() if at else damaged(content, chance))
        parts.append(plain.read_tasks(plain.read_json(paths[at].read_bytes()), name))
    expected = {id: task for part in parts for id, task in part.items()} if all(parts) else {}
    twice = [len({*map(usable_id, names)}) < len(names) for names in (expected, tasks)]  # one id for two tasks
    place = chance.choice((folder, paths[0])) if len(paths) == 1 else folder
    found = attempt(lambda: read_tasks(place), tmp_path, "" if any(twice) else paths[0].name[:3])
    plain.check_tasks(found or (), {} if twice[0] else expected)


@fuzz
@each
def test_arc_answers_in_a_file_of_their_own(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    tasks = {name: plain.arc_task(chance) for name in "abc"}
    raw = damaged({name: [pair.pop("output") for pair in task["test"]] for name, task in tasks.items()}, chance)
    (tmp_path / "s_challenges.json").write_text(json.dumps(tasks))
    (tmp_path / "s_solutions.json").write_bytes(raw)
    found = attempt(lambda: read_tasks(tmp_path / "s_challenges.json"), tmp_path, "s_solutions.json")
    plain.check_tasks(found or (), plain.with_answers(tasks, plain.read_json(raw)))


# Custom tasks

LATIN = {"shape": [3, 3], "values": [0, 1, 2, 3], "blank": 0, "interchangeable": True}
LATIN["groups"] = [["rows", [0, 4, 8]], ["columns"]]
PARTS = ("question", "answer")


@fuzz
@each
def test_structures(tmp_path: Path, seed: int) -> None:
    chance, path = random.Random(seed), tmp_path / "s.json"
    rules = chance.choice((LATIN, {"shape": [3, 4], "blank": 0, "neighbours": 4}))
    path.write_bytes(damaged(rules, chance))
    found, given = attempt(lambda: read_structure(path), tmp_path, "s.json"), plain.read_json(path.read_bytes())
    assert found or json.dumps(given) != json.dumps(rules)
    if found:
        given |= {"values": sorted(given.get("values", ()))}
        assert alike(found.model_dump(), {**Structure().model_dump(), **given})


@fuzz
@each
def test_pairs_in_an_archive(tmp_path: Path, seed: int) -> None:
    chance, path = random.Random(seed), tmp_path / "a.npz"
    arrays: dict[str, Any] = {name: np.random.default_rng(seed).integers(0, 300, (80, 3, 3)) for name in PARTS}
    whole = chance.random() < 0.5
    for name in chance.choice(((), PARTS[:1], PARTS[1:], PARTS)) if whole else ():
        arrays[name] = chance.choice(ARRAYS)(arrays[name])
    chance.choice((np.savez, np.savez_compressed))(path, **arrays)
    if not whole:
        path.write_bytes(hurt(path.read_bytes(), chance))
    found = attempt(lambda: read_pairs(str(path), Structure()), tmp_path, "a.npz")
    assert (found is not None) == plain.are_pairs([*arrays.values()]) or not whole
    if found:
        for array, part in zip(arrays.values(), (found.question, found.answer), strict=True):
            assert np.array_equal(part.reshape(-1, *found.shape), array)


@fuzz
@each
def test_pairs_in_a_csv(tmp_path: Path, seed: int) -> None:
    """One byte is damaged: one number may be another, one line may be a comment, or the answers have no heading."""
    chance, path = random.Random(seed), tmp_path / "a.csv"
    rows = [[[chance.choice((0, 1, 5, 12, MOST)) for _ in range(9)] for _ in PARTS] for _ in range(3)]
    lines = [",".join(PARTS), *(",".join(" ".join(map(str, part)) for part in row) for row in rows), ""]
    at, raw = slip("\n".join(lines).encode(), chance)
    path.write_bytes(raw)
    found = attempt(lambda: read_pairs(str(path), Structure(shape=(3, 3), blank=0)), tmp_path, "a.csv")
    if found:
        wanted, line = np.array(rows).swapaxes(0, 1), raw[:at].count(b"\n")
        if len(found.question) < 3:
            assert found.left_out == ("1 comment line",)
            wanted = np.delete(wanted, line - 1, axis=1)
        lost = int((found.question != wanted[0]).sum() + (found.answer != wanted[1]).sum())
        assert lost <= 1 or (line == 0 and (found.question == wanted[0]).all() and (found.answer == NONE).all())


# Runs and models


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    for name in (CHECKPOINT, CONFIG, WEIGHTS, LOG, RECORD):
        shutil.copy(tiny_run / name, tmp_path / "run" / name)
    return tmp_path / "run"


@fuzz
@each
def test_bytes_of_a_checkpoint(tiny_run: Path, run: Path, seed: int) -> None:
    (run / CHECKPOINT).write_bytes(hurt((tiny_run / CHECKPOINT).read_bytes(), random.Random(seed)))
    found = attempt(lambda: checkpoint.load(run), run, str(run / CHECKPOINT))
    content = checkpoint.load(tiny_run)
    assert found is None or alike([found, content], [content, found])


@slow
@each
def test_contents_of_a_checkpoint(tiny_run: Path, run: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(Run, "begin_files", lambda self: None)
    content = checkpoint.load(tiny_run)
    if chance.random() < 0.7:
        content["trainer"] = changed(content["trainer"], chance, ODD_OBJECTS)
    elif chance.random() < 0.7:
        content = changed(content, chance, ODD_OBJECTS)
    else:
        content["config"] = hurt(content["config"].encode(), chance).decode("utf-8", "replace")
    torch.save(content, run / CHECKPOINT)
    resumed = attempt(lambda: Run.resumed(run, "", torch.device("cpu")), run)
    if resumed:
        state, given = resumed.trainer.state_dict(), content["trainer"]
        assert alike(state, {key: value for key, value in given.items() if key != "optimizers"})
        for optimizer, saved in zip(state["optimizers"], given["optimizers"], strict=True):
            assert alike(optimizer["state"], saved["state"])
        assert alike([resumed.seconds, resumed.name], [content["seconds"], content["name"]])
        assert alike(resumed.config.model_dump(mode="json"), json.loads(content["config"]))
        assert np.isfinite([resumed.seconds, *state["totals"].values()]).all()
        assert all(value.isfinite().all() for value in (*state["model"].values(), *state["slots"].values()))
        json.dumps(resumed.about_now())


@fuzz
@each
def test_the_description_of_a_model(tiny_run: Path, run: Path, seed: int) -> None:
    (run / CONFIG).write_bytes(damaged(json.loads((tiny_run / CONFIG).read_bytes()), random.Random(seed)))
    found = attempt(lambda: load(str(run)), run, str(run))
    if found:
        given, config = json.loads((run / CONFIG).read_bytes()), found.model.config.model_dump()
        assert alike([asdict(found.spec), config, found.about], [given["task"], given["model"], given.get("about", {})])
        assert alike([found.name, 1], [given["name"], given.get("format", 1)])
        assert config.keys() - given["model"].keys() <= {"hints", "turns", "turn_steps", "halt_probability"}  # newer


@fuzz
@each
def test_weights(tiny_run: Path, run: Path, seed: int) -> None:
    chance, tensors = random.Random(seed), load_file(tiny_run / WEIGHTS)
    if chance.random() < 0.5:
        (run / WEIGHTS).write_bytes(hurt((tiny_run / WEIGHTS).read_bytes(), chance))
    else:
        tensors = warped(tensors, chance)
        save_file(tensors, run / WEIGHTS)  # as another program would write them, without a digest
    found = attempt(lambda: load(str(run)), run, str(run))
    if found:
        assert all(value.is_floating_point() and value.float().isfinite().all() for value in tensors.values())
        assert alike(dict(found.model.state_dict()), {name: value.float() for name, value in tensors.items()})


@fuzz
@each
def test_logs(tiny_run: Path, run: Path, seed: int) -> None:
    """Lines that are whole are kept, the others are named, and the log as it was is kept beside it."""
    chance, copy = random.Random(seed), run / f"{LOG}.damaged"
    records = [json.loads(line) for line in (tiny_run / LOG).read_bytes().splitlines()]
    records += [{"update": at, "seconds": 5.5, "check": {"rows": 4, "exact": [0.25, at / 4]}} for at in (2, 3)]
    lines = [json.dumps(record).encode() for record in records]
    for at in chance.sample(range(len(lines)), 2):
        lines[at] = damaged(records[at], chance, "utf-8")
    raw = b"\n".join(lines) + chance.choice((b"", b"\n"))
    copy.unlink(missing_ok=True)
    (run / LOG).write_bytes(raw)
    found = attempt(lambda: read_history(str(run)), run, str(run))
    rows, bad = plain.read_log(raw)
    assert (found is None) == (rows[5] == [])
    if found:
        columns = [zip(*vars(part).values(), strict=True) for part in (found.checks, found.reports)]
        assert [[list(row) for row in part] for part in columns] == [rows[4], rows[5]]
        assert found.damaged == bad
    trim_log(run / LOG, 2)
    assert ((run / LOG).read_bytes(), copy.read_bytes() if copy.exists() else None) == plain.trimmed(raw, 2)


@fuzz
@each
def test_how_a_run_was_started(tiny_run: Path, run: Path, seed: int) -> None:
    (run / RECORD).write_bytes(damaged(json.loads((tiny_run / RECORD).read_bytes()), random.Random(seed), "utf-8"))
    about = json.loads((run / CONFIG).read_bytes())["about"]
    assert alike(attempt(lambda: read_launch(run), run), plain.read_launch((run / RECORD).read_bytes(), about))


@pytest.fixture(scope="module")
def graph(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "x.onnx"
    export_onnx(str(tiny_run), path)
    return path


@slow
@each
def test_bytes_of_an_exported_file(tmp_path: Path, graph: Path, capfd: pytest.CaptureFixture[str], seed: int) -> None:
    path, question = tmp_path / "x.onnx", np.array([[1, 2, 3, 4] * 4])
    content, sealed = graph.read_bytes(), seed % 2 == 0
    path.write_bytes(hurt(content if sealed else content.replace(b"file_sha256", b"none_sha256"), random.Random(seed)))
    found = attempt(lambda: exported.load(str(path), 1), tmp_path, "x.onnx")
    assert capfd.readouterr() == ("", "")
    if found and sealed:
        whole = exported.load(str(graph), 1)
        assert [found.name, found.task, found.first_token] == [whole.name, whole.task, whole.first_token]
        (state, *rest), (other, *others) = (one.step(one.start, question) for one in (found, whole))
        assert all(map(np.array_equal, (*state, *rest), (*other, *others)))


@slow
@each
def test_metadata_of_an_exported_file(tmp_path: Path, graph: Path, seed: int) -> None:
    model = onnx.load(graph)
    (entry,) = [entry for entry in model.metadata_props if entry.key == "trm"]
    about = {key: part for key, part in json.loads(entry.value).items() if key != "file_sha256"}  # as in older files
    entry.value = damaged(about, random.Random(seed), "utf-8").decode("utf-8", "replace")
    onnx.save(model, tmp_path / "x.onnx")
    found = attempt(lambda: exported.load(str(tmp_path / "x.onnx"), 1), tmp_path, "x.onnx")
    if found:
        given = json.loads(entry.value)
        assert alike([found.name, found.task, found.first_token], [given["name"], given["task"], given["first_token"]])
        assert alike([found.halt_logit, 1], [given.get("halt_logit", 0), given["format"]])
        for part, key in zip(found.start, ("start_y", "start_z"), strict=True):
            assert np.isfinite(part).all()
            assert np.array_equal(np.unique(part.reshape(-1, part.shape[-1]), axis=0), [np.float32(given[key])])


@slow
@each
def test_published_checkpoints(tmp_path: Path, seed: int) -> None:
    chance, path, out = random.Random(seed), tmp_path / "x.pt", tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    config, whole = ModelConfig(width=16, layers=1, multiple=16), chance.random() < 0.7
    state = build(config, get_task("sudoku").spec).state_dict()
    content: Any = to_published(
        config, state, chance.choice(("", "other.", *PREFIXES, "_orig_mod.module.model.inner."))
    )
    for _ in range(chance.randrange(3) if whole else 0):
        content = changed(content, chance, ODD_OBJECTS)
    torch.save(content, path, _use_new_zipfile_serialization=not whole or chance.random() < 0.8)
    if not whole:
        path.write_bytes(hurt(path.read_bytes(), chance))
    tensors = attempt(lambda: import_file(path, out).state, path)
    assert (tensors is not None) == out.exists()
    if tensors is not None:
        assert alike(to_published(config, tensors, ""), plain.unwrapped(content, PREFIXES))
        assert alike(dict(load(str(out)).model.state_dict()), {name: value.float() for name, value in tensors.items()})
