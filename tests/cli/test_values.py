"""Values of options that no command can use, and names that look like markup: one line each, and no work done."""

from __future__ import annotations

import inspect
import io
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import torch
import typer
from conftest import Call, refused

from trm.cli.main import app
from trm.errors import BadInput
from trm.numbers import LARGEST, most_threads
from trm.settings import Settings

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
TRAIN = ["train", "sudoku-mini", "--updates", "1", "--procs", "1"]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def number_options() -> list[tuple[str, str]]:
    """Every option of every command that takes a number, after the name of its command."""
    found = []

    def walk(command: Any, names: tuple[str, ...]) -> None:
        for name, one in getattr(command, "commands", {}).items():
            walk(one, (*names, name))
        kinds = inspect.signature(command.callback, eval_str=True).parameters if command.callback else {}
        for parameter in command.params:
            kind = kinds[parameter.name].annotation if parameter.name in kinds else None
            given = get_args(kind)[0] if get_origin(kind) is Annotated else kind
            if parameter.param_type_name == "option" and {int, float} & {given, *get_args(given)}:
                found.append((" ".join(names), max(parameter.opts, key=len)))

    walk(typer.main.get_command(app), ())
    return found


MUST = {  # what a command cannot do without
    "solve": ["sudoku", EASY],
    "eval-llm": ["http://127.0.0.1:9", "--model", "m"],
    "train": ["sudoku-mini"],
    "describe": ["sudoku-mini"],
    "data sudoku": ["out.csv"],
    "data maze": ["out.csv"],
    "turns": ["out", "a", "b"],
    "import": ["nothing.pt", "--out", "model"],
    "adapt": ["nothing.json"],
    "serve": [],
    "site": ["--out", "page"],
    "mcp": [],
}


def test_number_options_are_found() -> None:
    found = number_options()
    assert len(found) > 50
    assert {("train", "--minutes"), ("solve", "--seed"), ("adapt", "--seconds"), ("data maze", "--least")} <= {*found}


@pytest.mark.parametrize(("command", "option"), number_options())
def test_absurd_numbers(call: Call, tmp_path: Path, command: str, option: str) -> None:
    """Each is one line and exit code 2, and nothing has been done."""
    for value in ("1" + "0" * 30, "9" * 5000, "-1" + "0" * 30, "inf", "-inf", "nan", "1e400", "x"):
        refused(call(*command.split(), *MUST.get(command, ["nothing"]), option, value), option)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["solve", "sudoku", EASY], TRAIN, ["eval", "sudoku-mini"], ["serve"]])
def test_more_threads_than_a_machine_can_use(call: Call, tmp_path: Path, command: list[str]) -> None:
    before = torch.get_num_threads()
    for count in (100_000, most_threads() + 1):
        refused(call(*command, "--threads", str(count)), "--threads", str(count), str(most_threads()))
    assert (torch.get_num_threads(), list(tmp_path.iterdir())) == (before, [])
    refused(call("train", "sudoku-mini", "--procs", "100000"), "--procs")


@pytest.mark.parametrize("value", ["inf", "nan", "1e300", "-1", "1e6"])
def test_minutes(call: Call, tmp_path: Path, value: str) -> None:
    refused(call("train", "sudoku-mini", "--minutes", value, "--out", str(tmp_path / "run")), "--minutes")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "setting",
    [
        "updates=99999999999",
        f"seed={2**63}",
        "lr=inf",
        "lr=1e300",
        "betas=0.9,nan",
        "betas=0.9,1e20",
        "batch=1000000000",
        "model.width=1000000000",
        "model.width=9000",
        "model.layers=1000000000",
        "model.T=1e9",
        "stages=sudoku-4x4:0.5:99999999999",
        "reveal.share=nan",
    ],
)
def test_absurd_settings(call: Call, tmp_path: Path, setting: str) -> None:
    for command in ("train", "describe"):
        out = ["--out", str(tmp_path / "run")] if command == "train" else []
        refused(call(command, "sudoku-mini", "--set", setting, *out))
    assert list(tmp_path.iterdir()) == []


def test_settings_of_every_kind_have_limits() -> None:
    class Small(Settings):
        count: int = 1
        share: float = 1.0
        pair: tuple[float, float] = (0.0, 0.0)
        flag: bool = True

    Small.validated({"count": LARGEST, "share": -float(LARGEST), "pair": (1, LARGEST)})
    for wrong in ({"count": LARGEST + 1}, {"share": -1e300}, {"pair": (0, 1e10)}):
        with pytest.raises(BadInput, match=f"setting {next(iter(wrong))} must be at most"):
            Small.validated(wrong)


@pytest.mark.parametrize(
    "command",
    [
        [*TRAIN, "--out", ""],
        [*TRAIN, "--out="],
        [*TRAIN, "--data", ""],
        [*TRAIN, "--set", "lr=1", "--set", ""],
        ["solve", "sudoku", EASY, "--weights", ""],
        ["solve", "sudoku", EASY, "--plot", ""],
        ["eval", ""],
        ["eval", "sudoku-mini", "--png", ""],
        ["compare", "sudoku-mini", "", "--limit", "1"],
        ["compare", "sudoku-mini", "--markdown", ""],
        ["adapt", "x.json", "--out", ""],
        ["import", "x.pt", "--out", ""],
        ["export", "sudoku-mini", "--to", ""],
        ["data", "sudoku", ""],
        ["serve", "--host", ""],
        ["eval-arc", "x", "--submission", ""],
    ],
    ids=repr,
)
def test_empty_values(call: Call, tmp_path: Path, command: list[str]) -> None:
    refused(call(*command), "is empty")
    assert list(tmp_path.iterdir()) == []


def test_memory_that_is_not_there(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MemoryError(), RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory")):

        def fail(*_: object, error: Exception = error, **settings: object) -> None:
            raise error

        monkeypatch.setattr("trm.inference.puzzles.read_argument", fail)
        result = call("solve", "sudoku", EASY)
        assert (result.code, result.out, result.err.startswith("trm: not enough memory")) == (1, "", True)


# Names

NAMES_OF_FILES = ["[red]x", "[/red]", "[bold", ":smile:", "[link=x]y", "a[0]b", "\\[x]"]


@pytest.mark.parametrize("name", NAMES_OF_FILES)
def test_names_are_printed_as_they_are(call: Call, tmp_path: Path, small_csv: Path, tiny_run: Path, name: str) -> None:
    data, folder = tmp_path / f"{name.replace('/', '')}.csv", tmp_path / f"{name.replace('/', '')}-run"
    data.write_text(small_csv.read_text())
    folder.symlink_to(tiny_run)
    shown = call("eval", str(folder), "--data", str(data), "--limit", "3", "--steps", "1")
    assert (shown.code, f"({data.name})" in shown.out) == (0, True)
    for command in (["history", str(folder)], ["compare", str(folder), "--data", str(data), "--steps", "1"]):
        shown = call(*command)
        assert (shown.code, shown.err) == (0, "")
    assert data.name in shown.out
    refused(call("solve", "sudoku", f"no-{name}.csv"), f"no-{name}.csv".replace("\\", "\\\\"))
    made = call("data", "sudoku", str(data.with_suffix(".new")), "--rows", "1", "--kind", "minimal", "--size", "4")
    assert (made.code, data.with_suffix(".new").name in made.out) == (0, True)


def test_progress_shows_names_as_they_are() -> None:
    from rich.console import Console

    from trm.terminal.console import progress_bars
    from trm.terminal.progress import Bars

    written = io.StringIO()
    progress = progress_bars(hidden=False)
    progress.disable = False  # though nobody sees it
    progress.live.console = Console(file=written, force_terminal=True, width=200, color_system=None)
    with progress:
        for name in NAMES_OF_FILES:
            Bars(progress).begin(name, 3)
    assert [name for name in NAMES_OF_FILES if f"evaluating {name}" not in written.getvalue()] == []
