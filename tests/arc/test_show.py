"""Pictures of ARC tasks, in a terminal and as files."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arc_cases import TASK, grid, grids
from hypothesis import given, settings
from rich.console import Console

from trm.arc.show import PALETTE, TaskView, cells, draw, panels, picture
from trm.errors import TrmError
from trm.tasks.arc.text import ArcTask, Grid

WRONG = grid("80", "75")
RIGHT = grid("80", "77")


def test_panels_say_what_is_right() -> None:
    titles = [[panel.title for panel in line] for line in panels(TASK, [[WRONG, RIGHT]])]
    assert titles == [
        ["demonstration 1", "answer"],
        ["demonstration 2", "answer"],
        ["test 1", "attempt 1: wrong", "attempt 2: right", "truth"],
    ]
    blind = panels(TASK, [[WRONG]], truth=False)[2]
    assert [(panel.title, panel.right) for panel in blind] == [("test 1", None), ("attempt 1", None)]
    with pytest.raises(ValueError, match="attempts at 2 test pairs of 1"):
        panels(TASK, [[], []])


def printed(width: int = 80, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(TaskView(TASK, [[WRONG, RIGHT]]))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_terminal_shows_coloured_cells_two_columns_wide() -> None:
    assert [len(line) for line in cells(RIGHT).plain.split("\n")] == [4, 4]
    out = printed(force_terminal=True, color_system="truecolor")
    for colour in range(10):
        red, green, blue = (int(PALETTE[colour][at : at + 2], 16) for at in (1, 3, 5))
        assert f"48;2;{red};{green};{blue}m  " in out
    plain = printed()  # to a file or a pipe, where colours do not show
    assert "8 0" in plain
    assert "\x1b" not in plain
    assert [line.rstrip() for line in plain.split("\n")][9:12] == [
        "test 1   attempt 1: wrong   attempt 2: right   truth",
        "7 0 8    8 0                8 0                8 0",
        "         7 5                7 7                7 7",
    ]


@pytest.mark.parametrize("width", [20, 30, 45])
def test_a_narrow_terminal_breaks_between_grids(width: int) -> None:
    lines = printed(width).split("\n")
    assert max(map(len, lines)) <= width
    assert sum("attempt" in line for line in lines) == (1 if width == 45 else 2)
    assert "7 5" in "\n".join(lines)


def test_a_picture_has_every_panel(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure = draw(ArcTask("$mine^$", TASK.train, TASK.test), [[WRONG, RIGHT]])
    assert len(figure.axes) == 8
    assert {text.get_text() for text in figure.texts} >= {"$mine^$", "attempt 1: wrong", "attempt 2: right", "truth"}
    # No two grids meet, and all are inside the picture.
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 < box.x0 < box.x1 < 1 and 0 < box.y0 < box.y1 < 1 for box in boxes)
    apart: Callable[[Any, Any], bool] = lambda a, b: a.x1 < b.x0 or b.x1 < a.x0 or a.y1 < b.y0 or b.y1 < a.y0  # noqa: E731
    assert all(apart(a, b) for at, a in enumerate(boxes) for b in boxes[:at])
    picture(tmp_path / "task.png", TASK)
    assert (tmp_path / "task.png").read_bytes()[:4] == b"\x89PNG"


def test_matplotlib_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TrmError, match=r"pip install 'trm\[plot\]'"):
        picture(tmp_path / "task.png", TASK)
    assert not list(tmp_path.iterdir())


@settings(max_examples=30, deadline=None)
@given(grids)
def test_cells_keep_every_colour(one: Grid) -> None:
    text = cells(one, digits=True)
    assert [line.split() for line in text.plain.split("\n")] == [[str(c) for c in row] for row in one.tolist()]
