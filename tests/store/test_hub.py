"""Downloads from a local server that answers as the hub does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Call, refused
from hub_server import REPO, Hub, serving_hub
from huggingface_hub import close_session

import trm
from trm.errors import BadInput, TrmError
from trm.models import ModelConfig, build
from trm.store.stored import save_model
from trm.tasks import find_family, hub, load_puzzles
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom
from trm.tasks.maze.sets import embedded
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import Sudoku
from trm.training.datasets import digest, training_set
from trm.training.presets import PRESETS

TASK = Sudoku(2, 2)


@pytest.fixture
def served(small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with 40 rows to train on and 10 to test on, and an empty cache."""
    lines = small_csv.read_bytes().splitlines(keepends=True)
    files = {"train.csv": b"".join(lines), "test.csv": b"".join(lines[:11])}
    with serving_hub(files, tmp_path / "cache", monkeypatch) as server:
        yield server


def fails(message: str, **arguments: object) -> None:
    """Downloading raises a TrmError of one line that holds `message`."""
    with pytest.raises(TrmError) as caught:
        hub.download(TASK, **arguments)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_seed_decides_which_rows(served: Hub, small_csv: Path) -> None:
    everything = {row.tobytes() for row in load_puzzles(TASK, str(small_csv)).question}
    first, again, other = (hub.download(TASK, rows=12, seed=seed).puzzles for seed in (1, 1, 2))
    assert len(first) == len(other) == 12
    np.testing.assert_array_equal(first.question, again.question)
    np.testing.assert_array_equal(first.answer, again.answer)
    assert (first.question != other.question).any()
    assert {row.tobytes() for row in first.question} <= everything
    assert TASK.valid(first.question, first.answer).all()
    assert served.got == ["train.csv"]  # from the second time on it was in the cache


def test_more_rows_than_there_are_gives_all_in_their_order(served: Hub, small_csv: Path) -> None:
    np.testing.assert_array_equal(hub.download(TASK).puzzles.question, load_puzzles(TASK, str(small_csv)).question)


def test_mazes_come_from_a_set_of_their_own(served: Hub) -> None:
    mazes = embedded("train")
    served.place = "datasets/sapientinc/maze-30x30-hard-1k"
    write = Maze().to_line
    rows = [f"hard,{write(q)},{write(a)},110\n" for q, a in zip(mazes.question[:12], mazes.answer[:12], strict=True)]
    served.files["train.csv"] = "".join(["source,question,answer,rating\n", *rows]).encode()
    run = PRESETS["maze"].config.changed(limit=5)
    puzzles = training_set(run, Maze())
    np.testing.assert_array_equal(puzzles.question, mazes.question[:5])
    np.testing.assert_array_equal(puzzles.answer, mazes.answer[:5])


def test_a_task_without_a_public_set_says_so(served: Hub) -> None:
    task = Custom(Structure(shape=(3, 3), values=(0, 1, 2, 3)))
    with pytest.raises(BadInput, match=f"no public set of puzzles is known for task '{task.spec.name}'; give"):
        load_puzzles(task, "hub")


def test_lines_are_chosen_once_each_and_end_where_they_should(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"heading\r\n" + b"\r\n".join(b"%d" % number for number in range(2, 102)))
    lines, text = hub.sample(path, 30, seed=3)
    assert text == b"heading\n" + b"".join(b"%d\n" % number for number in lines[1:])
    assert len(set(lines)) == 31
    assert lines[1:] != sorted(lines[1:])


def test_training_and_evaluation_take_different_files(served: Hub) -> None:
    assert len(load_puzzles(TASK, "hub")) == 40
    assert len(load_puzzles(TASK, "hub", "validation")) == 10
    assert served.got == ["train.csv", "test.csv"]


def test_the_cache_serves_when_the_hub_does_not(served: Hub) -> None:
    before = hub.download(TASK).puzzles
    served.status = 503
    np.testing.assert_array_equal(hub.download(TASK).puzzles.question, before.question)


def test_what_is_missing_is_named(served: Hub) -> None:
    fails(f"train.txt of dataset {REPO}: there is no such file", file="train.txt")
    fails("dataset nobody/nothing: there is no such dataset", repo="nobody/nothing")
    fails("dataset a b c", repo="a b c")


def test_an_unreachable_hub_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Hub({})
    server.server_close()  # nothing listens on its port now
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts, 23 s in all
    fails(f"dataset {REPO}: {server.url} cannot be reached")
    close_session()


def test_a_failing_hub_is_reported(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    served.status = 503
    fails("cannot be reached and the file is not in the cache")


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    fails("pip install 'trm[hub]'")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the input is empty"),
        (b"source,question,answer\n", "the CSV has a heading and no rows"),
        (b"question,answer\n1234341221434321,1234341221434321\n123,123\n", "line 3, column question: 3 cells"),
        (b"question,answer\n1234341221434321,1234341221434321\n1,2,3\n", "line 3: 3 columns instead of 2"),
        (b"question,answer\n1234341221434321,\n", "a puzzle has no answer"),
        (b"question,answer\n1234341221434321,4321432143214321\n", "(line 2), column answer"),
        (b"question,answer\n\xff\xfe\n", "not UTF-8"),
        (b"PK\x03\x04\0\0\n\0\n", "NUL"),
        (b"<html>\n<body>Sign in</body>\n", "train.csv"),
    ],
)
def test_a_malformed_file_is_reported_with_its_line(served: Hub, content: bytes, message: str) -> None:
    served.files["train.csv"] = content
    fails(message)
    fails(f"dataset {REPO}, train.csv: ")


def test_a_model_of_the_hub_loads_by_its_name(served: Hub, tmp_path: Path) -> None:
    config = ModelConfig(mixer="groups", width=8, layers=1, multiple=8, T=1, n=1)
    saved = build(config, TASK.spec)
    save_model(tmp_path / "saved", saved, config, TASK.spec, "tiny", {"by": "a test"})
    served.files = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    served.place = "someone/tiny-4x4"
    loaded = trm.load("someone/tiny-4x4")
    assert (loaded.name, loaded.about, loaded.spec) == ("tiny", {"by": "a test"}, TASK.spec)
    for name, value in saved.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], value, rtol=0, atol=0)
    with pytest.raises(TrmError, match="model nobody/nothing: there is no such model"):
        trm.load("nobody/nothing")
    with pytest.raises(BadInput, match=r"no model .*none/here"):  # a path, even if it could be a name of the hub's
        trm.load(str(tmp_path / "none/here"))


def test_the_folder_of_runs_is_never_taken_for_an_owner_on_the_hub(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="no model 'runs/mine': give the folder of a training run"):
        trm.load("runs/mine")
    assert not served.got


def test_rows_of_a_benchmark_by_command(
    served: Hub, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of rows as they stand, and a second one that shares none with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(find_family("sudoku"), "task", lambda name: TASK)
    done = call("data", "sudoku-extreme", "train.csv", "--rows", "15", "--seed", "3")
    puzzles = load_puzzles(TASK, "train.csv")
    assert done.out == f"15 rows of {REPO}, train.csv, seed 3; digest {digest(puzzles)}\n"
    assert (done.code, done.err) == (0, "wrote train.csv\n")
    heading, *rows = served.files["train.csv"].decode().splitlines()
    first = Path("train.csv").read_text().splitlines()
    assert first[0] == heading
    assert set(first[1:]) <= set(rows)
    assert call("data", "sudoku-extreme", "rest.csv", "--seed", "3", "--without", "train.csv").code == 0
    assert sorted(first[1:] + Path("rest.csv").read_text().splitlines()[1:]) == sorted(rows)
    refused(call("data", "sudoku-extreme", "x.csv", "--part", "all"), "--part 'all': choose train or test")
    assert call("data", "sudoku-extreme", "test.csv", "--part", "test").out.startswith("10 rows")
