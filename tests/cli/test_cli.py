"""The command line from end to end, and that whatever is wrong with the input is one line and exit code 2."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from conftest import TINY, Call, Trm, refused
from safetensors.torch import load_file, save_file

from trm import store
from trm.cli.main import app
from trm.errors import BadInput
from trm.inference.evaluation import evaluate_model, evaluate_starts
from trm.inference.loop import Thinking, Until
from trm.inference.solver import Solver
from trm.tasks import load_puzzles
from trm.tasks.sudoku.task import Sudoku
from trm.training.config import override
from trm.training.presets import PRESETS
from trm.training.run import train

TASK = Sudoku(2, 2)
SOLVED = "1234341221434321"
OPEN = "................"  # any 4x4 solves it
IMPOSSIBLE = "123............4"  # r1c4 has to be 4 and cannot


def commands(group: Any = None, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every command and group of commands by its name, such as `data sudoku`."""
    group = group or typer.main.get_command(app)
    found = {" ".join(names): group}
    for name, command in getattr(group, "commands", {}).items():
        found |= commands(command, (*names, name))
    return found


@pytest.mark.parametrize("command", commands())
def test_help(call: Call, command: str) -> None:
    """It holds every word of the docstring and of the options' texts, brackets included."""
    result = call(*command.split(), "--help")
    assert (result.code, result.err, f"Usage: trm {command}".strip() in result.out) == (0, "", True)
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", result.out).split())
    if hasattr(commands()[command], "commands"):
        return
    callback = commands()[command].callback
    texts = [callback.__doc__]
    for parameter in inspect.signature(callback, eval_str=True).parameters.values():
        texts += [part.help for part in getattr(parameter.annotation, "__metadata__", ())]
    for text in filter(None, texts):
        assert [word for word in text.split() if word not in shown] == [], text


def test_a_default_that_is_said_in_a_help_text_is_shown(call: Call) -> None:
    for command in ("solve", "eval", "eval-arc", "eval-llm"):
        assert "[default: " in call(command, "--help").out
    assert "[default: the server's own]" in call("eval-llm", "--help").out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("eval", "missing argument 'MODEL'; usage: trm eval [OPTIONS] MODEL; see trm eval --help"),
        ("solve sudoku", "missing argument 'PUZZLE'; usage: trm solve [OPTIONS] TASK PUZZLE; see trm solve --help"),
        ("eval x --nonsense", "no such option: --nonsense"),
        ("eval x --stpes 3", "no such option: --stpes (Possible options: --skip, --steps"),
        ("eval x --steps", "option '--steps' requires an argument"),
        ("eval-llm x", "missing"),
        ("data sudoku", "see trm data sudoku --help"),
        ("eval --limit", "'--limit' requires an argument"),
        ("nothing", "no such command 'nothing'; usage: trm [OPTIONS] COMMAND [ARGS]...; see trm --help"),
    ],
)
def test_usage_errors_are_one_line(call: Call, command: str, words: str) -> None:
    refused(call(*command.split()), words)


@pytest.mark.parametrize("command", ["", "data"])
def test_no_command_at_all_is_answered_by_the_help(call: Call, command: str) -> None:
    result = call(*command.split())
    assert (result.code, result.err) == (2, "")
    assert f"Usage: trm {command}".strip() in result.out


def test_a_value_out_of_range_is_one_line(call: Call) -> None:
    refused(call("eval", "x", "--steps", "0"), "--steps", "1")
    refused(call("eval", "x", "--steps", "many"), "--steps")


def test_presets(call: Call) -> None:
    assert all(name in call("train", "list").out for name in PRESETS)
    refused(call("train", "sudoku-mimi"), "sudoku-mimi", "did you mean sudoku-mini", "trm train list")
    refused(call("train", "sudoku-mini", "--updates", "1", "--minutes", "1"), "--updates or --minutes")


@pytest.mark.parametrize("arguments", [["--version"], ["train", "list"]])
def test_a_reader_that_leaves(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        done = subprocess.run([sys.executable, "-m", "trm", *arguments], stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_model_is_not_written_over(call: Call, tiny_run: Path, small_csv: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).mkdir()
        shutil.copy(tiny_run / name, tmp_path / name / name)
        done = call("train", "sudoku-mini", "--data", str(small_csv), "--out", str(tmp_path / name))
        refused(done, "already holds a model; choose another --out")
        with pytest.raises(BadInput, match="already holds a model"):
            train(override(PRESETS["sudoku-mini"].config, [*TINY, f"data={small_csv}"]), tmp_path / name, "tiny")


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no names for open files")
def test_eval_reads_a_pipe(trm: Trm, tiny_run: Path, small_csv: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write("".join(small_csv.read_text().splitlines(keepends=True)[:4]))
    command = [sys.executable, "-m", "trm", "eval", str(tiny_run), "--data", f"/dev/fd/{reading}", "--json"]
    done = subprocess.run(command, pass_fds=[reading], capture_output=True, text=True)
    os.close(reading)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["rows"] == 3


def test_eval_json_from_outside(trm: Trm, tiny_run: Path, small_csv: Path) -> None:
    done = trm("eval", str(tiny_run), "--data", str(small_csv), "--steps", "2", "--limit", "5", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["rows"] == 5
    assert trm("--version").stdout.startswith("trm ")


@pytest.mark.parametrize(("skip", "limit", "rows"), [(0, 0, 40), (3, 18, 18), (35, 9, 5)])
def test_eval_json_is_right(call: Call, tiny_run: Path, small_csv: Path, skip: int, limit: int, rows: int) -> None:
    steps = 7  # three more than it was trained for
    where = ["--data", str(small_csv), "--skip", str(skip), "--limit", str(limit)]
    result = call("eval", str(tiny_run), *where, "--steps", str(steps), "--json")
    assert (result.code, result.err, result.out.count("\n")) == (0, "", 1)
    found = json.loads(result.out)
    assert " ".join(found) == "task weights data precision rows steps exact cell valid halted seconds"
    assert (found["task"], found["weights"], found["data"]) == ("sudoku-4x4", "tiny", "small.csv")
    assert found["steps"] == list(range(1, steps + 1))
    model, puzzles = store.load(str(tiny_run)).model, load_puzzles(TASK, str(small_csv)).take(slice(skip, skip + rows))
    assert found["rows"] == len(puzzles) == rows
    question, state = torch.from_numpy(puzzles.question), model.start(len(puzzles))
    exact, cell, valid, halts = [], [], [], []
    with torch.inference_mode():
        for _ in range(steps):
            state, logits, halt, *_ = model(state, question)
            tokens = (logits.argmax(-1) + model.first_token).numpy().astype(np.uint8)
            exact.append((tokens == puzzles.answer).all(1))
            cell.append((tokens == puzzles.answer).mean())
            valid.append(TASK.valid(puzzles.question, tokens).mean())
            halts.append((halt > 0).numpy())
    halts[-1][:] = True
    stop = np.argmax(halts, axis=0)
    for name, share in (("exact", np.mean(exact, axis=1)), ("cell", cell), ("valid", valid)):
        np.testing.assert_allclose(found[name], share, atol=1e-6)
    halted = {"exact": np.array(exact)[stop, np.arange(rows)].mean(), "mean_steps": stop.mean() + 1}
    assert found["halted"] == pytest.approx(halted, abs=1e-4)


@pytest.mark.parametrize("until", ["valid", "halt", "sure"])
def test_eval_lets_puzzles_leave_that_are_done(call: Call, until: Until) -> None:
    """At the step at which `solve`, asked for one puzzle at a time, is done, and with the answer of that step."""
    steps, stored, task = 12, store.load("sudoku-mini"), Sudoku()
    puzzles = load_puzzles(task, "embedded", "minimal").take(slice(0, 9))
    found = evaluate_model(stored.model, task, puzzles, steps, batch=4, until=until)
    alone = Solver("sudoku", stored, steps=steps, until=until, restarts=0)
    answers = [alone.solve(task.to_line(row)) for row in puzzles.question]
    ended = [answer.steps for answer in answers]
    assert found.taken == sum(ended) < steps * len(puzzles)
    assert found.rowwise is not None
    cells = np.zeros(steps, int)
    for row, (answer, truth) in enumerate(zip(answers, puzzles.answer, strict=True)):
        right = [(step.tokens == truth).sum() for step in answer.trace]
        right += [right[-1]] * (steps - len(right))
        assert found.rowwise.exact[:, row].tolist() == [count == len(truth) for count in right]
        cells += right
    assert found.cell.tolist() == cells.tolist()
    shown = call(
        "eval", "sudoku-mini", "--data", "minimal", "--limit", "9", "--until", until, "--json", "--steps", "12"
    )
    described = json.loads(shown.out)
    assert described["until"] == {"done": until, "mean_steps": pytest.approx(np.mean(ended), abs=0.01)}
    assert described["exact"] == pytest.approx((found.exact / 9).tolist(), abs=1e-6)
    assert (
        f"12 at most, until {until}"
        in call("eval", "sudoku-mini", "--data", "minimal", "--limit", "2", "--until", until, "--steps", "12").out
    )


def test_eval_prints_a_table(call: Call, tiny_run: Path, small_csv: Path) -> None:
    result = call("eval", str(tiny_run), "--data", str(small_csv), "--steps", "6")
    words = ("tiny on 40 puzzles (small.csv)", "95 % interval", "own halt", "puzzles/s at 6 steps")
    assert (result.code, [word for word in words if word not in result.out]) == (0, [])


def test_eval_with_further_starts(call: Call, tiny_run: Path, small_csv: Path) -> None:
    """The shares are those of `evaluate_starts`, whatever the model."""
    where = ["eval", str(tiny_run), "--data", str(small_csv), "--limit", "6", "--steps", "3"]
    how = ["--restarts", "4", "--noise", "0.7", "--guesses", "3"]
    puzzles, stored = load_puzzles(TASK, str(small_csv)).take(slice(0, 6)), store.load(str(tiny_run))
    for until, keys in (("valid", {"rules"}), ("end", {"confidence", "rules"}), ("sure", {"confidence", "rules"})):
        truth = evaluate_starts(stored, TASK, puzzles, Thinking(3, 4, 0.7, 3, until=until))  # type: ignore[arg-type]
        found = json.loads(call(*where, *how, "--until", until, "--json").out)["restarts"]
        shares = {"confidence": truth.by_confidence / 6, "rules": truth.by_rules / 6}
        assert found.pop("seconds") > 0
        given = {"starts": 5, "noise": 0.7, "guesses": 3, "until": until, "mean_steps": round(truth.steps / 6, 2)}
        assert found == {**given, **{key: shares[key] for key in keys}}
    shown = call(*where, *how).out
    assert "best of up to 5 starts, chosen by confidence" in shown
    refused(call(*where, "--restarts", "1", "--until", "bored"), "until must be one of valid, sure, halt, end")
    for alone in (["--guesses", "2"], ["--noise", "0.5"]):
        refused(call(*where, *alone), f"{alone[0]} is for further starts: give --restarts too")


def test_eval_of_what_is_not_there(call: Call, tiny_run: Path, small_csv: Path, tmp_path: Path) -> None:
    refused(call("eval", str(tmp_path / "no")), "no model")
    refused(call("solve", "sudoku", OPEN, "--weights", str(tmp_path)), "no model")
    refused(call("eval", "a\nb"), "no model")
    refused(call("eval", str(tiny_run), "--data", "no\n.csv"), "cannot read", "No such file")
    refused(call("eval", str(tiny_run), "--data", str(tmp_path)), "cannot read", "directory")
    refused(call("eval", str(tiny_run)), "no embedded puzzles")
    refused(call("eval", str(tiny_run), "--data", str(small_csv), "--skip", "40"), "no rows left")


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"\xff\xfe", "half"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_eval_of_damaged_files(
    call: Call, tiny_run: Path, tmp_path: Path, name: str, content: bytes | str | None
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_run, folder)
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    refused(call("eval", str(folder), "--data", "none.csv"), str(folder))


def test_eval_of_other_tensors_names_the_tensor(call: Call, tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"
    tensors = load_file(path)
    for key, value in tensors.items():
        save_file({**tensors, key: torch.zeros(*value.shape, 2)}, path)
        refused(call("eval", str(path.parent)), f"tensor {key} is ", str((*value.shape, 2)))
    save_file({**tensors, "surplus": torch.zeros(1)}, path)
    refused(call("eval", str(path.parent)), "tensor surplus", "no such tensor")
