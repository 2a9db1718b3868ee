"""`scripts/gpu_check.py`, on a CPU and with little work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu_check.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


def test_every_part_of_the_check(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    done = run("--device", "cpu", "--small", "--minutes", "1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["parity"]["ok"]
    assert " passed" in found["parity"]["result"]
    assert [(one["what"], one["batch"]) for one in found["shapes"]] == [("evaluation", 1), ("training", 1)]
    for one in found["shapes"]:
        assert 0 < one["share_of_rate"] < 2
        assert one["reference_over_ours"] > 0
    assert found["inference"]["puzzle_steps_per_second"] > 0
    assert [line[0] for line in found["learning"]["curve"]] == [2, 4]
    for words in ("| mlp, 97 tokens, n=6 | training | 1 |", "sudoku-search: ", "| 4 | "):
        assert words in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_gpu_it_says_so() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "gpu_check: there is no CUDA device here; --device cpu --small tries the script without one\n"
    )
