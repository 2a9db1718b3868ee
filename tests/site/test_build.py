"""`trm site`: what it writes, and what it refuses."""

from __future__ import annotations

import base64
import json
import lzma
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Call
from javascript import Script

from trm.errors import BadInput, TrmError
from trm.serve.events import event
from trm.serve.examples import examples
from trm.serve.schemas import ArcPuzzle, Forming, Progress
from trm.site import build, models, recording, runtime
from trm.site.build import MARK, check_out, read_folder, static_files
from trm.store import SHIPPED
from trm.store.onnx_export import metadata_of
from trm.tasks import get_task
from trm.tasks.arc.text import ArcTask
from trm.tools.results import ArcSolution, Attempt


def test_a_site_is_complete(site: Path) -> None:
    """The files of the server's page as they are, all of them kept by the service worker, and no other host."""
    content = read_folder(site)
    served = read_folder(Path(build.__file__).parents[1] / "serve" / "static")
    assert {name for name, data in served.items() if content.get(name) != data} == {"api.js"}
    kept = re.search(r"const SITE = (\{.*\});", content["offline.js"].decode())
    assert kept is not None
    known = json.loads(kept[1])
    assert sorted(known["files"]) == sorted({"./", *content} - {"offline.js", MARK})
    assert known["version"] == json.loads(content[MARK])["version"]
    for name, data in content.items():
        if not name.startswith("runtime/") and not name.endswith(".bin"):
            hosts = set(re.findall(r"https?://[^/\s\"'`)]+", data.decode()))
            assert hosts <= {"http://www.w3.org", "https://arxiv.org"}, name  # a name, and a link to the paper
    page = content["index.html"].decode()
    assert all(not link.startswith("/") for link in re.findall(r"(?:href|src)=\"([^\"]+)\"", page))


def test_its_models_are_those_of_the_index(site: Path) -> None:
    index = json.loads((site / "data" / "models.json").read_text())
    whole = lzma.decompress((site / index["pack"]["file"]).read_bytes())
    assert len(whole) == index["pack"]["size"]
    for one in index["models"]:
        content = whole[one["from"] : one["from"] + one["size"]]
        assert metadata_of(content)["task"]["name"] == one["task"]
        shipped = SHIPPED / one["name"] / "model.onnx"
        assert content == shipped.read_bytes()
    assert index["thinking"]["sudoku"]["guesses"] == 2
    assert index["thinking"]["maze"]["steps"] == 256


def test_every_size_is_that_of_a_task() -> None:
    names = [*models.SUDOKUS, *map(models.maze_name, models.SIDES)]
    assert [get_task(name).spec.height for name in names] == [4, 6, 9, *models.SIDES]


def test_an_earlier_site_is_replaced(site: Path, tmp_path: Path) -> None:
    content = read_folder(site)
    out = tmp_path / "out"
    for data in ({**content, "old.js": b""}, content):
        build.replace(out, data)
        assert read_folder(out) == data
        check_out(out)
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_other_folders_are_refused(tmp_path: Path, call: Call) -> None:
    (tmp_path / "empty").mkdir()
    check_out(tmp_path / "empty")
    check_out(tmp_path / "new" / "deep")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / MARK).write_text('["trm site"]')
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    why = {"full": "is not a folder that trm site wrote", "file": "is a file", "link": "is a link to nothing"}
    for name, what in why.items():
        result = call("site", "--out", str(tmp_path / name), "--runtime", "none.tgz")
        assert (result.code, result.out) == (2, "")
        assert what in result.err
        assert result.err.count("\n") == 1


def test_another_runtime_is_refused(tmp_path: Path, call: Call) -> None:
    (tmp_path / "other.tgz").write_bytes(b"other")
    for name, what in (("none.tgz", "cannot read"), ("other.tgz", "is not onnxruntime-web 1.30.0")):
        result = call("site", "--out", str(tmp_path / "out"), "--runtime", str(tmp_path / name))
        assert result.code == 2
        assert what in result.err
        assert result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_npm_is_missing_or_fails(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = call("site", "--out", str(tmp_path / "out"))
    assert result.code == 1
    assert result.err.startswith("trm: npm is not installed")
    said = "npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error network there is none\nnpm error more\n"
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(shutil, "which", lambda name: "npm")
    monkeypatch.setattr(subprocess, "run", lambda *command, **how: failed)
    with pytest.raises(TrmError, match=r"\(network there is none\)"):
        runtime.download(tmp_path)
    (tmp_path / "x.tgz").write_bytes(b"not it")
    monkeypatch.setattr(subprocess, "run", lambda *command, **how: subprocess.CompletedProcess([], 0, "", ""))
    assert runtime.download(tmp_path) == tmp_path / "x.tgz"
    with pytest.raises(BadInput, match="what npm fetched"):
        runtime.unpacked(b"not it", "what npm fetched")


def test_what_python_packs_is_unpacked(rules: Script, tmp_path: Path) -> None:
    """Random bytes, long runs, repetitions far away, and a module."""
    rng = random.Random(0)
    far = rng.randbytes(3000)
    contents = [b"", b"x", bytes(5000), rng.randbytes(5000), far + rng.randbytes(90_000) + far + b"ab" * 900]
    contents += [static_files()["local/lzma.js"] * 3]
    files = []
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(models.packed(content, number))
        files.append({"packed": str(path), "size": len(content)})
    assert [base64.b64decode(one) for one in rules.run("unpack", files=files)] == contents


# Recordings


def server_events(task: ArcTask, seconds: float) -> Iterator[bytes]:
    """What the server sends in place of real work: progress too often, some of it with attempts, and an answer."""
    voted = [[Forming(grid=[[1]], votes=2)]]
    for number in range(10):
        yield event(
            "progress", Progress(share=number / 10, doing=f"{seconds}", attempts=voted if number == 7 else None)
        )
    attempts = [[Attempt(grid=[[1]], confidence=0.5)]]
    yield event("answer", ArcSolution(
        solved=False, valid=True, message="Not checked.", attempts=attempts, models=1, models_that_know=1, seconds=2.6,
    ))  # fmt: skip


def test_arc_examples_are_recorded_and_replayed(rules: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [one for one in examples() if one.task == "arc"][:1]
    monkeypatch.setattr(recording, "arc_events", server_events)
    (made,) = recording.record(chosen, 0.5)
    times = [one["milliseconds"] for one in made["events"]]
    assert times == sorted(times)
    kept = [(one["name"], one["data"].get("share"), bool(one["data"]["attempts"])) for one in made["events"]]
    assert kept == [("progress", 0, False), ("progress", 0.7, True), ("answer", None, True)]
    puzzle = chosen[0].puzzle
    assert isinstance(puzzle, ArcPuzzle)
    wanted: dict[str, Any] = {"train": made["puzzle"]["train"], "test": [{"input": puzzle.test[0].input}]}
    events = rules.run("arc", wanted=wanted, recordings=[made])
    answer = events[-1]["data"]
    assert answer.pop("message") == "Recorded when this page was built, in 3 seconds. Not checked."
    assert answer.items() <= made["events"][-1]["data"].items()
    assert all(one["data"]["doing"].startswith("recorded: ") for one in events[:-1])
    other = {**wanted, "train": wanted["train"][1:]}
    assert "replays recorded work on the examples only" in rules.run("arc", wanted=other, recordings=[made])


def test_arc_tasks_are_read(rules: Script) -> None:
    good = {"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3, 4]]}]}
    read = {**good, "test": [{"input": [[3, 4]], "output": None}]}
    assert rules.run("arc", puzzle=good) == rules.run("arc", puzzle=json.dumps(good)) == read
    bad: list[tuple[Any, str]] = [
        ("{", "this is not JSON"),
        ({"train": good["train"]}, "test has no pairs"),
        ({**good, "train": [{"input": [[1]]}]}, "train 1, output: a grid is"),
        ({**good, "test": [{"input": [[10]]}]}, "test 1, input: a grid is"),
        ({**good, "test": [{"input": [[1], [1, 2]]}]}, "test 1, input: a grid is"),
    ]
    for puzzle, why in bad:
        assert why in rules.run("arc", puzzle=puzzle)
