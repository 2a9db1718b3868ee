"""The notebook of the examples: it runs, and the outputs that are kept in it belong to its cells."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).parent.parent / "examples" / "watch_it_think.ipynb"


def kinds(notebook: Any) -> list[list[str]]:
    """For each cell of code, the kinds of its outputs: text, or the formats of what is shown."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[" ".join(sorted(out.get("data", {"text": 0}))) for out in cell.outputs] for cell in cells]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::ResourceWarning")  # jupyter's
def test_the_notebook_runs_and_keeps_its_outputs(tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    kept = nbformat.read(NOTEBOOK, as_version=4)
    shutil.copy(NOTEBOOK.with_name("maze.txt"), tmp_path)  # what it reads
    again = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(again, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert kinds(again) == kinds(kept)
    assert {path.name for path in tmp_path.iterdir()} == {"maze.txt"}  # it leaves no files
    texts = [out.text for cell in again.cells if cell.cell_type == "code" for out in cell.outputs if "text" in out]
    assert sum("solved: True" in text for text in texts) == 2
    assert "24 of 24 solved" in "".join(texts)
