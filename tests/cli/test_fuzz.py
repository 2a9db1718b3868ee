"""Input that nobody would write on purpose: damaged CSV files, strange environments, absurd options and settings.

Each is taken as it is meant, or refused in one line.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import csv_cases as cases
import pytest
import torch
import typer
from commands import MUST, NUMERIC, OPTIONS, Option, check_failure, settings, texts, values_of
from conftest import Call
from csv_cases import Pair
from hypothesis import assume, given
from hypothesis import strategies as st
from readers import fuzz, maze_rows
from strange import DEVICES, ENCODINGS, NUMBERS, RANKS, TERMINAL, Values, environment, launch_of, whole

from trm.cli import main as cli
from trm.cli import streams
from trm.cli.app import check_environment
from trm.devices import pick_device
from trm.errors import BadInput, TrmError
from trm.launch import launched, others_print_first
from trm.llm.http import endpoint
from trm.models.kernels import build as kernels
from trm.remarks import report
from trm.tasks import Task, load_puzzles
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import Sudoku
from trm.terminal.console import plain_console
from trm.training.config import RENAMED, RunConfig, override
from trm.training.presets import PRESETS


def outcome(call: Callable[[], Any], *names: str) -> Any:
    """What a function returns, or `refused`: in one printable line that is not too long and has all `names`."""
    try:
        return call()
    except BadInput as error:
        message = str(error)
    assert message.isprintable(), message
    assert len(message) < 2500
    assert [name for name in names if name not in message] == []
    return "refused"


# CSV files

FILES = ("mine.csv", "a b;ü☃.CSV", "x\x1b[1m.csv", "two\nlines.csv", "[red].csv", "caf\udce9.csv")
CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")
LATIN = Structure(shape=(3, 3), values=(0, 1, 2, 3), blank=0, interchangeable=True, groups=(("rows", "columns"),))
PLAIN = Structure(shape=(2, 3), values=tuple(range(13)))


class Kind(NamedTuple):
    task: Task
    pairs: list[Pair]
    cells: Callable[[str], str]  # writes the cells of a puzzle in one way


def some_puzzles(chance: random.Random) -> Kind:
    rows = maze_rows(chance, chance.random() < 0.5)
    kinds = [
        Kind(Sudoku(), cases.sudoku_pairs(chance), cases.digits),
        Kind(Sudoku(2, 2), cases.small_pairs(chance), cases.digits),
        Kind(Maze(len(rows), len(rows[0])), cases.maze_pairs(chance, rows), cases.maze_cells),
        Kind(Custom(LATIN), cases.latin_pairs(chance), cases.numbers_of),
        Kind(Custom(PLAIN), cases.number_pairs(chance), cases.numbers_of),
    ]
    return chance.choice(kinds)


def read(kind: Kind, path: Path) -> tuple[list[Pair], int]:
    """The puzzles of a file, and how many lines were left out of it, as the remarks say."""
    puzzles = load_puzzles(kind.task, str(path))
    texts = [[kind.cells(kind.task.to_line(row)) for row in part] for part in (puzzles.question, puzzles.answer)]
    counts = re.findall(r"([0-9]+) (?:comment line|heading|line)", " ".join(puzzles.remarks))
    return [*map(Pair, *texts)], sum(map(int, counts))


@fuzz
@given(st.integers(0, 2**32))
def test_csv_files_of_any_layout_are_read(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    kind = some_puzzles(chance)
    lines = cases.csv_text(chance, cases.csv_rows(chance, kind.pairs), chance.choice(",;\t")).split("\n")
    comments, maze = chance.randint(0, 2), isinstance(kind.task, Maze)
    assume(maze or not any(line.lstrip().startswith("#") for line in lines))  # which may be a number, or a comment
    for extra in ["Maze 2:" if maze else "# from a book"] * comments + ["", " "] * chance.randint(0, 1):
        lines.insert(chance.randint(0, len(lines)), extra)
    path = tmp_path / chance.choice(FILES)
    path.write_bytes(chance.choice(("\n", "\r\n", "\r")).join(lines).encode(chance.choice(CODECS)))
    assert read(kind, path) == ([Pair(*map(kind.cells, pair)) for pair in kind.pairs], comments)


@fuzz
@given(st.integers(0, 2**32))
def test_damaged_csv_files_are_refused_or_read_as_they_stand(tmp_path: Path, seed: int) -> None:
    """Every puzzle that is read stands in the file, and every line is read, or the heading, or said to be left out."""
    chance = random.Random(seed)
    kind = some_puzzles(chance)
    whole_rows = cases.with_columns_changed(chance, cases.csv_rows(chance, kind.pairs))
    text = cases.csv_text(chance, whole_rows, chance.choice(",;\t"))
    rows = {line for line in text.split("\n")[1:] if not line.startswith("#")}
    for _ in range(chance.randint(0, 2)):
        text = chance.choice((cases.with_a_slip, cases.with_lines_changed))(chance, text)
    codec = chance.choice(("utf-8",) * 6 + (*CODECS, "latin-1", "cp1252", "utf-32", "utf-7", "cp037"))
    raw = bytearray(text.encode(codec, "replace"))
    if raw and chance.random() < 0.1:
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    path = tmp_path / chance.choice(FILES)
    path.write_bytes(raw)
    result = outcome(lambda: read(kind, path), path.name if path.name.isprintable() else ascii(path.name)[1:-1])
    if result == "refused":
        return
    found, left_out = result
    seen = raw.decode(codec if codec in CODECS else "utf-8")
    rest = cases.unread(cases.filled_lines(seen), found, kind.cells)
    assert len(rest) in (left_out, left_out + 1)
    assert len(rest) == left_out or any(cases.names_a_question(line) for line in rest)
    for line in rows & {*rest}:
        assert any(cases.holds(line, pair, None, kind.cells) for pair in found), line
    assert "\0" not in seen


# The environment


@fuzz
@given(st.tuples(*[st.sampled_from("012348")] * 4, st.sampled_from(("", None, "1", "2", "4"))), st.data())
def test_any_launch(usual: tuple[str | None, ...], data: st.DataObject) -> None:
    values = dict(zip(RANKS, data.draw(st.sampled_from((usual, usual, ("",) * 5))), strict=True))
    values |= data.draw(st.dictionaries(st.sampled_from(RANKS), st.sampled_from(NUMBERS), max_size=3))
    values["MASTER_ADDR"] = data.draw(st.sampled_from(("localhost", "\x1b", "", None)))
    torchrun, trains = data.draw(st.booleans()), data.draw(st.booleans())
    meant = launch_of(values)
    with environment({**values, "TORCHELASTIC_RUN_ID": "1" if torchrun else None, "TRM_DEVICE": None}):
        assert outcome(launched) == meant
        assert others_print_first() == (torchrun and isinstance(meant, tuple) and meant[0] > 0)
        refused = meant == "refused" if trains else isinstance(meant, tuple)
        assert outcome(lambda: check_environment(trains, "trm x")) == ("refused" if refused else None)
        with contextlib.redirect_stderr(io.StringIO()) as said:
            report("a\nb\x1b[1m")
    if meant != "refused":
        assert said.getvalue() == ("trm: a b\\x1b[1m\n" if meant is None or meant[0] == 0 else "")


@fuzz
@given(st.sampled_from(DEVICES), st.integers(0, 2))
def test_any_device(name: str, gpus: int) -> None:
    have = {"cpu": 1, "cuda": gpus, "mps": min(gpus, 1)}
    there = [text for kind, count in have.items() for at in range(count) for text in (kind, f"{kind}:{at}")]
    with (
        environment({"TRM_DEVICE": name}),
        patch.object(torch.backends.mps, "is_available", lambda: gpus > 0),
        patch.multiple(torch.cuda, is_available=lambda: gpus > 0, device_count=lambda: gpus, set_device=lambda _: None),
    ):
        found = outcome(pick_device)
    if not name:
        assert found == torch.device("cuda:0" if gpus else "cpu")
    else:
        assert found == (torch.device(name) if name in there else "refused")


@fuzz
@given(st.text(st.sampled_from("sk-aZ9_ \t\n\x1bé☃\udcff\"'"), max_size=12))
def test_any_key_and_any_compiler(text: str) -> None:
    with environment({"OPENAI_API_KEY": text, "CC": text}):
        found = outcome(lambda: endpoint("http://127.0.0.1:9").key)
        try:
            compiler = kernels._compiler()[0]
        except kernels._Unavailable as error:
            compiler = str(error)
    assert found == ("refused" if re.search(r"[^!-~]", text.strip()) else text.strip())
    assert Path(compiler).is_file() or compiler.startswith("no C compiler: ")


@fuzz
@given(st.dictionaries(st.sampled_from(TERMINAL), st.sampled_from(NUMBERS)))
def test_any_terminal(values: Values) -> None:
    said = io.StringIO()
    with environment(values):
        streams.forget_sizes()
        plain_console(file=said).print("solved " * 50)
        left = [os.environ.get(name, "80") for name in TERMINAL[:3]]
    assert re.sub(r"\s", "", said.getvalue()) == "solved" * 50
    assert all(whole(text, 1, 9999) for text in left)


@fuzz
@given(st.text(st.sampled_from("─│é☃%~漢") | st.characters(exclude_categories=["Cc"])), st.sampled_from(ENCODINGS))
def test_any_text_to_a_stream_of_any_encoding(text: str, codec: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=codec, newline="")
    with contextlib.redirect_stdout(stream):
        streams.encode_all()
    stream.write(text + "\n")  # before which some encoders hold a character back
    stream.flush()
    assert raw.getvalue().decode(codec) == "".join(written(character, codec) for character in text) + "\n"


def written(character: str, codec: str) -> str:
    """A character, or what stands for it where the encoding lacks it."""
    with contextlib.suppress(UnicodeError):
        return character.encode(codec).decode(codec)
    return streams.PLAIN.get(character) or character.encode("unicode_escape").decode().replace("%", "?")


# Options and settings


@fuzz
@given(st.sampled_from(sorted(PRESETS)), st.lists(settings(), min_size=1, max_size=2), st.data())
def test_any_settings(preset: str, given: list[str], data: st.DataObject) -> None:
    """They are refused, or have the values that they say, and all others stay."""
    old = PRESETS[preset].config
    before = values_of(old)
    key = data.draw(st.sampled_from([*before]))
    if isinstance(before[key], int | float | str) and not key.startswith("custom."):  # which a file declares
        assert override(old, [f"{key}={before[key]}"]) == old
    with contextlib.redirect_stderr(io.StringIO()):
        new = outcome(lambda: override(old, given))
    if new == "refused":
        return
    assert RunConfig.validated(json.loads(new.model_dump_json())) == new == RunConfig.validated(new.model_dump())
    assert (len(new.plan()), new.ends()[-1]) == (len(new.stages) + 1, new.updates)
    said = dict(setting.split("=", 1) for setting in given)
    said = {RENAMED.get(key, key): text for key, text in said.items()}
    for key, value in values_of(new).items():
        text = said.get(key, "")
        if key not in said:
            assert value == before[key]
        elif isinstance(value, bool):
            assert text.lower() in (("true", "yes", "1") if value else ("false", "0"))
        elif key == "early_halt" and text.lower() in ("true", "false"):  # what it was before it was a probability
            assert value in (1.0, new.model.halt_probability)
        elif isinstance(value, int | float):
            assert value == float(text)
        elif isinstance(value, str):
            assert value == text


@pytest.fixture
def quick(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """`call` in an empty folder, without what takes time: making the command anew, and downloads."""

    def unreachable(*_: object) -> None:
        raise TrmError("no network here")

    monkeypatch.chdir(tmp_path)
    Path("block").touch()
    monkeypatch.setattr(cli, "app", typer.main.get_command(cli.app))
    monkeypatch.setattr("trm.hub.fetch", unreachable)
    monkeypatch.setattr(streams, "discard_output", lambda: None)  # a process that ends does not close what it opens
    return call


@fuzz
@given(st.data())
def test_any_options(quick: Call, data: st.DataObject) -> None:
    command = data.draw(st.sampled_from(sorted(MUST)))
    line = command.split()
    for option in data.draw(st.lists(st.sampled_from(OPTIONS[command]), min_size=1, max_size=3)):
        name, text = (
            data.draw(st.sampled_from(option.names)),
            data.draw(settings() if "--set" in option.names else texts),
        )
        line += [name] if option.kind is bool else data.draw(st.sampled_from(([name, text], [f"{name}={text}"])))
    check_failure(quick(*line, *MUST[command]))


@fuzz
@given(st.sampled_from(NUMERIC), st.data())
def test_a_number_is_taken_within_its_limits_only(quick: Call, chosen: tuple[str, Option], data: st.DataObject) -> None:
    command, option = chosen
    edges = st.sampled_from([int(edge) + step for edge in (option.least, option.most) for step in (-1, 0, 1)])
    text = str(data.draw(texts | edges | st.integers() | st.floats()))
    name = max(option.names, key=len)
    result = quick(*command.split(), f"{name}={text}", *MUST[command])
    check_failure(result)
    assert (re.match(f"trm: {name}(:| must| is empty)", result.err) is None) == option.takes(text)
