"""Going on: from any folder, with the processes and threads of before, and with the command that was printed."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Call, settings, tiny
from safetensors.torch import load_file

from trm.errors import BadInput
from trm.store.stored import CHECKPOINT
from trm.training import checkpoint
from trm.training.commands import RECORD, DataPaths, Launch, eval_command, read_launch, resume_command
from trm.training.config import RunConfig
from trm.training.log import LOG
from trm.training.run import Run, train

ODD = "it's a run, (50 %)"


def stopped(config: RunConfig, out: Path, monkeypatch: pytest.MonkeyPatch, update: int = 4) -> None:
    """Begin a run and stop it after `update` updates."""
    with monkeypatch.context() as patch:
        patch.setattr(Run, "should_stop", lambda self, parent: self.trainer.update_count == update)
        assert not train(config, out, "tiny")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(a: Path, b: Path) -> bool:
    one, two = weights(a), weights(b)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def printed(errors: str, word: str) -> list[str]:
    """The command that follows `word` in what was printed, as a shell reads it."""
    (line,) = [line for line in errors.splitlines() if word in line]
    return shlex.split(line.partition(word)[2])


def test_the_printed_command_goes_on(
    small_csv: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an odd name, a batch that two processes cannot share, and more cores than it used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    shutil.copy(small_csv, "own data.csv")
    common = ("--data", "own data.csv", "--procs", "1", "--threads", "1", *settings("batch=3"))
    with monkeypatch.context() as patch:
        patch.setattr(Run, "should_stop", lambda self, parent: self.trainer.update_count == 4)
        done = call("train", "sudoku-mini", "--out", ODD, "--updates", "8", *common)
    assert done.code == 1
    command = printed(done.err, "go on with: ")
    assert command == shlex.split(resume_command("sudoku-mini", Path(ODD), 1, 1))
    assert command[-5:] == ["--resume", "--procs", "1", "--threads", "1"]
    done = call(*command[1:])
    assert done.code == 0, done.err
    assert call("train", "sudoku-mini", "--out", "whole", "--updates", "8", *common).code == 0
    assert same(Path(ODD), Path("whole"))
    evaluation = printed(done.err, "next: ")
    assert evaluation == ["trm", "eval", ODD, "--data", "own data.csv"]  # there is no other set of 4x4 Sudokus
    assert call(*evaluation[1:]).code == 0
    done = call(*command[1:])  # once more
    assert done.code == 0
    more = printed(done.err, "this run is finished; to train on from its weights: ")
    assert more == ["trm", "train", "sudoku-mini", "--set", f"init={ODD}", "--out", "OTHER"]
    assert call(*more[1:], "--updates", "1", *common).code == 0


def test_a_run_keeps_its_processes_and_threads(
    small_csv: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without options too, and not those of the preset, which suits two processes."""
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    out = tmp_path / "run"
    stopped(tiny(small_csv, "updates=8", "batch=3"), out, monkeypatch)
    assert read_launch(out) == Launch(1, 1, 3)
    used: list[int] = []
    monkeypatch.setattr("trm.cli.train.set_threads", used.append)
    refused = call("train", "sudoku-mini", "--out", str(out), "--resume", "--procs", "2")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "batch 3 does not divide over 2 processes; --procs with a number that divides it" in refused.err
    assert call("train", "sudoku-mini", "--out", str(out), "--resume").code == 0
    assert used == [1]
    assert call("train", "sudoku-mini", "--out", str(out), "--resume", "--threads", "2").code == 0
    assert used == [1, 2]


def test_several_processes_are_started_again(
    small_csv: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    stopped(tiny(small_csv, "updates=8"), out, monkeypatch)
    record = json.loads((out / RECORD).read_text())
    (out / RECORD).write_text(json.dumps({**record, "launch": {"processes": 4, "threads": 3}}))
    started: list[int] = []

    def launched(count: int, arguments: list[str]) -> int:
        started.append(count)
        return 0

    monkeypatch.setattr("trm.training.distributed.launch", launched)
    assert call("train", "sudoku-mini", "--out", str(out), "--resume").code == 0
    assert call("train", "sudoku-mini", "--out", str(out), "--resume", "--procs", "2").code == 0
    assert started == [4, 2]


def test_how_an_older_run_was_started_is_read_from_its_model(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tiny(small_csv, "updates=8"), tmp_path, monkeypatch)
    record = json.loads((tmp_path / RECORD).read_text())
    for content in (json.dumps({key: record[key] for key in ("name", "run")}), "{", "[1]"):
        (tmp_path / RECORD).write_text(content)
        assert read_launch(tmp_path) == Launch(1, 1, 8)
    (tmp_path / "config.json").unlink()
    assert read_launch(tmp_path) == Launch()


def test_data_is_found_from_another_folder(
    small_csv: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    for folder in (home, away):
        folder.mkdir()
    monkeypatch.chdir(home)
    shutil.copy(small_csv, "mine.csv")
    stopped(tiny(Path("mine.csv"), "updates=8"), Path("run"), monkeypatch)
    assert train(tiny(small_csv, "updates=8"), tmp_path / "whole", "tiny")
    monkeypatch.chdir(away)
    Path("mine.csv").write_text("another file of the same name")
    done = call("train", "sudoku-mini", "--out", str(home / "run"), "--resume")
    assert done.code == 0, done.err
    assert same(home / "run", tmp_path / "whole")
    assert call(*printed(done.err, "next: ")[1:]).code == 0
    # What others may see of the run names no folder of this machine.
    about = json.loads((home / "run" / "config.json").read_text())["about"]
    assert (about["run"]["data"], about["data"]["source"]) == ("mine.csv", "mine.csv")


def test_a_run_that_was_moved_with_its_data_goes_on(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does one from before absolute paths were recorded."""
    for name in ("first", "old"):
        home = tmp_path / name
        home.mkdir()
        monkeypatch.chdir(home)
        shutil.copy(small_csv, "mine.csv")
        stopped(tiny(Path("mine.csv"), "updates=8"), Path("run"), monkeypatch)
        if name == "old":
            content = checkpoint.load(Path("run"))
            del content["paths"]
            checkpoint.save(Path("run"), content)
        monkeypatch.chdir(tmp_path)
        home.rename(tmp_path / "moved")
        monkeypatch.chdir(tmp_path / "moved")
        assert train(None, "run", resume=True)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "moved").rename(tmp_path / f"{name} again")


def test_data_with_resume_must_be_the_same(
    small_csv: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, moved, other = (tmp_path / f"{name}.csv" for name in ("data", "moved", "other"))
    shutil.copy(small_csv, data)
    stopped(tiny(data, "updates=8"), tmp_path / "run", monkeypatch)
    other.write_text("".join(data.read_text().splitlines(keepends=True)[:10]))
    data.rename(moved)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    resume = ("train", "sudoku-mini", "--out", str(tmp_path / "run"), "--resume")
    for more, message in (
        ((), "--data names the place where the data of"),
        (("--data", str(other)), "was trained on other data than"),
        (("--data", "embedded"), "no embedded puzzles"),
        (("--data", str(tmp_path / "none.csv")), "none.csv"),
    ):
        done = call(*resume, *more)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert message in done.err
        assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    assert call(*resume, "--data", str(moved)).code == 0
    assert train(None, tmp_path / "run", resume=True)  # and from now on it is found there
    assert train(tiny(moved, "updates=8"), tmp_path / "whole", "tiny")
    assert same(tmp_path / "run", tmp_path / "whole")


def test_paths_that_are_gone_are_left_as_they_were_typed(tmp_path: Path) -> None:
    config = RunConfig(data="a.csv").changed(arc={"extra": "b"})
    paths = DataPaths(str(tmp_path / "a.csv"), str(tmp_path / "b"))
    assert paths.applied(config) == config
    for name in ("a.csv", "b"):
        (tmp_path / name).touch()
    found = paths.applied(config)
    assert (found.data, found.arc.extra) == (paths.data, paths.extra)
    assert paths.applied(RunConfig()) == RunConfig()
    assert DataPaths.read(None) == DataPaths.read({"data": 3}) == DataPaths()


def test_a_damaged_log_is_kept_and_said(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    stopped(tiny(small_csv, "updates=8"), out, monkeypatch, 5)
    lines = (out / LOG).read_bytes().splitlines(keepends=True)
    for number, damage in enumerate((b'{"update": 2, "los\n', b"\xff\xfe\x00\n", b"[" * 5000 + b"\n", b'"x"\n'), 1):
        lines.insert(number, damage)
    content = b"".join(lines) + b'{"upd'  # cut short, as by a crash
    (out / LOG).write_bytes(content)
    capsys.readouterr()
    assert train(None, out, resume=True)
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("trm: ")]
    assert told == f"trm: {out / LOG}: damaged lines were left out (2, 3, 4, 5); the log as it was is in {LOG}.damaged"
    assert (out / f"{LOG}.damaged").read_bytes() == content
    assert [json.loads(line)["update"] for line in (out / LOG).read_text().splitlines()] == list(range(1, 9))


def test_what_comes_next_suits_the_data(tmp_path: Path) -> None:
    """Every command that is named can be run, and no name is taken for an option or for two words."""

    def following(**run: object) -> list[str]:
        (tmp_path / RECORD).write_text(json.dumps({"run": run}))
        return shlex.split(eval_command(tmp_path).command)

    folder = str(tmp_path)
    assert following(task="sudoku", data="x.csv") == ["trm", "eval", folder]
    assert following(task="arc-agi-1") == ["trm", "eval-arc", folder]
    test = str(tmp_path / "test.csv")
    made = ["trm", "data", "maze", test, "--height", "7", "--width", "9", "&&", "trm", "eval", folder, "--data", test]
    assert following(task="maze-7x9", data="generated") == made
    assert following(task="custom", data="-my pairs.csv") == ["trm", "eval", folder, "--data", "./-my pairs.csv"]
    tasks = tmp_path / "my tasks"
    tasks.mkdir()
    grid = [[1, 2], [3, 4]]
    pair = {"input": grid, "output": grid}
    for answer, more in ((grid, []), ([], ["--submission", str(tmp_path / "submission.json")])):
        (tasks / "one.json").write_text(json.dumps({"train": [pair], "test": [{"input": grid, "output": answer}]}))
        assert following(task="arc-agi-1", data=str(tasks)) == ["trm", "eval-arc", folder, "--data", str(tasks), *more]


def test_a_custom_run_says_a_command_that_works(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 4, (12, 2, 3, 3))
    np.savez("my pairs.npz", question=pairs[:, 0], answer=pairs[:, 1])
    small = [
        part
        for setting in ("model.width=8", "model.layers=1", "batch=4", "micro=0", "model.heads=1")
        for part in ("--set", setting)
    ]
    done = call(
        "train",
        "custom",
        "--data",
        "my pairs.npz",
        "--out",
        "-run",
        "--updates",
        "2",
        "--procs",
        "1",
        "--threads",
        "1",
        *small,
    )
    assert done.code == 0, done.err
    command = printed(done.err, "next: ")
    assert command == ["trm", "eval", "./-run", "--data", "my pairs.npz"]
    assert call(*command[1:]).code == 0


def test_nothing_to_resume_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"holds no {CHECKPOINT}: nothing to resume"):
        train(None, tmp_path / "none", resume=True)


def test_an_old_run_notes_where_its_data_lies(small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(small_csv, "mine.csv")
    stopped(tiny(Path("mine.csv"), "updates=8"), Path("run"), monkeypatch)
    content = checkpoint.load(Path("run"))
    del content["paths"]
    checkpoint.save(Path("run"), content)
    assert train(None, "run", resume=True)
    assert checkpoint.load(Path("run"))["paths"] == {"data": str(tmp_path / "mine.csv"), "extra": ""}
