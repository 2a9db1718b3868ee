"""Write docs/reference.md, the Python reference, from signatures and docstrings: `python scripts/reference.py`."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"
HEAD = """# Python reference

Made from the docstrings by `python scripts/reference.py`; a test keeps it up to date. The names directly under `trm`,
such as `trm.Solver` and `trm.train`, are the public API. The others are internal: they are described because they
explain the rest. They, and whatever is not listed, may change without notice. Shapes stand in
brackets, `[rows, cells]`. The ideas behind the names: [concepts.md](concepts.md)."""
SECTIONS = {  # heading -> names in trm; a name without a dot is public API
    "Solving": "Solver Answer Step load plot.animation plot.trace store.Stored inference.Thinking",
    "Training": "train get_preset RunConfig ModelConfig training.Preset training.Stage training.override "
    "tasks.sampler.Reveal tasks.maze.training.MazeSettings tasks.arc.training.ArcSettings "
    "tasks.custom.structure.Structure",
    "Evaluating": "evaluate inference.evaluate_model inference.Evaluation statistics.interval",
    "Tasks and mixers of your own": "register_task register_mixer tasks.get_task tasks.load_puzzles Task Spec Puzzles "
    "Sign tasks.base.Scored tasks.base.Hinted tasks.base.Hint",
    "Tools for language models": "tools.call tools.schemas tools.use_weights tools.solve_sudoku tools.solve_maze "
    "tools.solve_arc tools.check_answer tools.Result tools.Solution tools.ArcSolution tools.Progress tools.Stopped",
    "A page without a server": "site.build_site",
    "Errors": "BadInput TrmError",
}


def signature(name: str, function: Any) -> str:
    """As in the source, without `self`; one parameter a line where it is long."""
    parts: list[str] = []
    for key, parameter in inspect.signature(function).parameters.items():
        if key == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        text = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "") + key
        text += "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        default = parameter.default
        shown = default.__name__ if inspect.isfunction(default) else repr(default)
        parts.append(text if default is parameter.empty else f"{text} = {shown}")
    result = function.__annotations__.get("return", "None")
    end = ")" if result == "None" else f") -> {result}"
    short, long = ", ".join(parts), ",\n    ".join(parts)
    return f"{name}({short}{end}" if len(name + short + end) < 100 else f"{name}(\n    {long},\n{end}"


def bases(kind: type) -> list[type]:
    """The class and those it is derived from, as far as they are the package's; itself last."""
    return [base for base in reversed(kind.__mro__) if base.__module__.startswith("trm.")]


def fields(kind: type) -> str:
    """The annotated names in the class's body with the comments beside and above them."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines, body = source.splitlines(), ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    kept, before = [], 0
    for node in body.body:
        end = node.end_lineno or node.lineno
        if isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
            start = node.lineno - 1
            while start > before and lines[start - 1].strip().startswith("#"):
                start -= 1
            kept += lines[start:end]
        before = end
    return textwrap.dedent("\n".join(kept))


def prose(text: str) -> str:
    """A docstring as Markdown: its sections (`Args:`, `Raises:`) become lists."""
    out, section = [], ""
    for line in inspect.cleandoc(text).splitlines():
        if heading := re.fullmatch(r"(Args|Returns|Raises|Yields):", line):
            section = heading[1]
            out += [f"**{'Arguments' if section == 'Args' else section}**", ""]
        elif section and re.match(r" {4}\S", line):
            item = re.match(r"    ([\w., ]+?): (.*)", line) if section in ("Args", "Raises") else None
            out.append(f"- `{item[1]}`: {item[2]}" if item else f"- {line.strip()}")
        else:
            out.append(f"  {line.strip()}" if section and line else line)
    return "\n".join(out)


def members(kind: type) -> Iterator[tuple[str, Any, bool]]:
    """Public methods and properties that have a docstring. -> name, member, whether it is called"""
    for name, value in {name: value for base in bases(kind) for name, value in vars(base).items()}.items():
        called = inspect.isfunction(value)
        if not name.startswith("_") and value.__doc__ and (called or isinstance(value, property | cached_property)):
            yield name, value, called


def entry(path: str) -> Iterator[str]:
    """Heading, signature or fields, docstring; then the same of a class's members."""
    module, _, name = f"trm.{path}".rpartition(".")
    thing = getattr(import_module(module), name)
    yield f"### trm.{path}"
    own = isinstance(thing, type) and "__init__" in vars(thing) and "def __init__" in inspect.getsource(thing)
    code = "\n".join(filter(None, map(fields, bases(thing)))) if isinstance(thing, type) else signature(name, thing)
    if code := signature(name, thing.__init__) if own else code:
        yield f"```text\n{code}\n```"
    yield prose(thing.__doc__)
    for member, value, called in members(thing) if isinstance(thing, type) else ():
        yield f"#### {name}.{member}"
        yield (f"```text\n{signature(member, value)}\n```\n\n" if called else "") + prose(value.__doc__)


def page() -> str:
    parts = [HEAD]
    for title, names in SECTIONS.items():
        parts += [f"## {title}", *(part for name in names.split() for part in entry(name))]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
