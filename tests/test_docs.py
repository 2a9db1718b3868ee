"""The documentation is true: its Python runs, commands parse, links lead somewhere, the reference is current."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import typer
from conftest import Call

import trm
from trm.cli.main import app
from trm.store import SHIPPED, load
from trm.store.onnx_export import describe_file
from trm.tasks.family import REGISTERED, RegisteredFamily
from trm.training.config import override
from trm.training.presets import custom_run, get_preset
from trm.training.run import train

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
NOTES = sorted((ROOT / "docs" / "notes").glob("*.md"))  # history: its commands need not work any more
FENCE = re.compile(r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"

Names = dict[str, Any]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# Python


class Snippet(NamedTuple):
    code: str
    line: int
    why: str | None  # it is not run


def snippets(page: Path) -> Iterator[Snippet]:
    text = page.read_text(encoding="utf-8")
    for block in FENCE.finditer(text):
        if block["kind"] == "python":
            yield Snippet(block["code"], text[: block.start("code")].count("\n"), block["why"])


def puzzle(names: Names) -> None:
    names |= {"puzzle": PUZZLE, "puzzles": [PUZZLE, ".2.4.3...4.2...."]}


def exported(names: Names) -> None:
    content = (SHIPPED / "sudoku-mini" / "model.onnx").read_bytes()
    Path("sudoku.onnx").write_bytes(content)
    Path("sudoku.json").write_text(json.dumps(describe_file(load("sudoku-mini"), content)))


def latin(names: Names) -> None:
    """A run on 2x2 Latin squares that is as good as not trained."""
    Path("latin").mkdir()
    for path in ("squares.npz", "latin/test.npz"):
        np.savez(path, question=np.array([[[1, 0], [0, 0]]]), answer=np.array([[[1, 2], [2, 1]]]))
    structure = {"blank": 0, "interchangeable": True, "groups": [["rows", "columns"]]}
    Path("squares.json").write_text(json.dumps(structure))
    config = custom_run(get_preset("custom").config, "squares.npz", Path("squares.json"))
    train(override(config, ["updates=1", "batch=1", "micro=0", "model.width=8"]), Path("runs/latin"), "latin")


def optuna(names: Names) -> None:
    """As much of Optuna as the page uses: it is no dependency, not even of the tests."""
    trial = SimpleNamespace(number=0, suggest_float=lambda _, low, __, log: low, suggest_int=lambda _, low, __: low)
    study = SimpleNamespace(best_params={}, optimize=lambda score, n_trials: [score(trial) for _ in range(n_trials)])
    module: Any = ModuleType("optuna")
    module.create_study = lambda direction: study
    sys.modules["optuna"] = module


# What the snippets of a page find there, and what is made smaller in them.
PREPARE: dict[str, Callable[[Names], None]] = {
    "README.md": puzzle,
    "docs/concepts.md": puzzle,
    "docs/custom.md": latin,
    "docs/export.md": exported,
    "docs/training.md": optuna,
}
SMALLER = {
    "docs/training.md": {
        "slice(0, 200)": "slice(0, 2)",
        "updates=500": "updates=1",
        "steps=16": "steps=2",
        "n_trials=20": "n_trials=1",
    }
}


def run_snippets(page: Path) -> Names:
    """Run the snippets of a page one after the other in the present folder. -> the names that they defined"""
    names: Names = {}
    if prepare := PREPARE.get(name(page)):
        prepare(names)
    smaller = dict(SMALLER.get(name(page), {}))
    for snippet in snippets(page):
        code = snippet.code
        if snippet.why is None:
            for large in [large for large in smaller if large in code]:
                code = code.replace(large, smaller.pop(large))
            exec(compile("\n" * snippet.line + code, str(page), "exec"), names)
    assert not smaller, "no longer in the page"
    return names


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna", sys.modules.get("optuna"))  # restored afterwards
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if list(snippets(page))], ids=name)
def test_the_snippets_run(page: Path, folder: Path) -> None:
    run_snippets(page)


def test_the_example_of_a_tool_call(folder: Path) -> None:
    reply = run_snippets(ROOT / "docs" / "tools.md")["answer"]
    arguments = {"task": "sudoku", "puzzle": ".2.4.3...4.2....", "answer": "12343 412"}
    for text, key in ((json.dumps(arguments), "error"), (json.dumps({**arguments, "answer": "1234" * 4}), "solved")):
        message = reply(SimpleNamespace(id="7", function=SimpleNamespace(name="check_answer", arguments=text)))
        assert (message["role"], message["tool_call_id"]) == ("tool", "7")
        assert key in json.loads(message["content"])


# Commands


def command_lines(page: Path) -> Iterator[str]:
    """The shell lines of a page that call trm: those of ```sh and ```bash blocks and of indented ones."""
    text = page.read_text(encoding="utf-8")
    blocks = [block["code"] for block in FENCE.finditer(text) if block["kind"] in ("sh", "bash")]
    indented = re.findall(r"^ {4}(.*)$", FENCE.sub("", text), re.M)
    for line in "\n".join([*blocks, *indented]).replace("\\\n", " ").splitlines():
        line = line.partition(" < ")[0]  # what a shell reads for it
        if call := re.fullmatch(r"(?:\w+=\S+ )*(?:trm|.* -m trm) (.*)", line.strip()):
            yield call[1]


@cache
def whole_command() -> Any:
    return typer.main.get_command(app)


def subcommand(words: list[str]) -> tuple[Any, list[str]]:
    """-> click's command, and the words that are left for it"""
    command = whole_command()
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def check_command(line: str) -> None:
    """Have click parse a command line without running it; of `trm train` and `trm describe` the settings too."""
    words = shlex.split(line, comments=True)
    command, rest = subcommand(words)
    assert not hasattr(command, "commands"), f"trm {line}: there is no such command"
    given = command.make_context(command.name, list(rest)).params
    if command.name in ("train", "describe") and given["preset"] != "list":
        override(get_preset(given["preset"]).config, given["settings"] or [])


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_commands_parse(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = runpy.run_path(str(ROOT / "examples" / "life" / "life.py"))["Life"]
    monkeypatch.setitem(REGISTERED, "life", RegisteredFamily("life", life))  # docs/examples.md installs it
    for line in command_lines(page):
        try:
            check_command(line)
        except Exception as error:
            pytest.fail(f"trm {line}: {error!r} {error}")


@pytest.mark.parametrize("line", [line for line in command_lines(ROOT / "README.md") if not line.startswith("serve")])
def test_the_commands_of_the_readme_run(line: str, folder: Path, call: Call) -> None:
    """They end well, and their output has what their comment says of it. `trm serve` has tests of its own."""
    (folder / "examples").symlink_to(ROOT / "examples")
    said = re.findall(r"\d+ of \d+ solved|solved in \d+ steps", line.partition("#")[2])
    done = call(*shlex.split(line, comments=True))
    assert done.code == 0, done.err
    assert [words for words in said if words not in done.out + done.err] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_commands_in_the_text_exist(page: Path) -> None:
    """They may leave arguments out."""
    for span in re.findall(r"`trm\s([^`]+)`", FENCE.sub("", page.read_text(encoding="utf-8"))):
        command, rest = subcommand(span.split())
        assert command.name != "trm" or rest[0].startswith("-"), f"trm {span}"
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word for word in rest if re.match(r"--\w", word)} <= options, f"trm {span}"


def test_commands_that_are_wrong_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nA=b trm solve sudoku \\\n  x --quit  # what\n```\ntext\n\n    python -m trm evil x\n")
    assert list(command_lines(page)) == ["solve sudoku    x --quit  # what", "evil x"]
    wrong = [*command_lines(page), "train sudoku-maxi", "train sudoku-mini --set model.widht=3", "eval --steps 0 x"]
    for line in wrong:
        with pytest.raises(Exception, match=r".") as caught:
            check_command(line)
        assert caught.type.__name__ in ("AssertionError", "BadInput", "NoSuchOption", "BadParameter"), line


# Links


def links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"\w+:", link)]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    listed = set(links(ROOT / "docs" / "README.md"))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - listed == {"README.md"}


# The reference


def test_the_reference_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "reference.py"))
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert page == script["page"](), "python scripts/reference.py"
    for public in {*trm.__all__} - {"__version__", "plot"}:
        assert f"\n### trm.{public}\n" in page


def test_commands_and_settings_are_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "commands.py"))
    for path, page in ((script["COMMANDS"], script["command_page"]), (script["SETTINGS"], script["settings_page"])):
        assert path.read_text(encoding="utf-8") == page(), "python scripts/commands.py"
    settings = script["SETTINGS"].read_text(encoding="utf-8")
    for key in ("model.width", "reveal.last", "maze.near", "early_halt", "precision"):
        assert f"\n| `{key}` |" in settings
    assert not re.findall(r"\|  \|$", settings, re.M), "a setting without a meaning"


# The site, and what a forge reads


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(ROOT / "docs"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    pages = {page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not (tmp_path / f"{page}.html").exists()} == set()


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=name)
def test_files_for_the_forge(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for job in content.get("jobs", {}).values():
        for step in job["steps"]:
            called = re.match(r"make ([\w-]+)", step.get("run", ""))
            assert called is None or called[1] in targets, step
    if path.parent.name == "ISSUE_TEMPLATE" and path.stem != "config":
        assert content["name"]
        assert content["description"]
        assert all(field["type"] in ("textarea", "input") and field["attributes"]["label"] for field in content["body"])
