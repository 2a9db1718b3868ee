"""Output files: what cannot be written is found before the work, and links and pipes are preserved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Call, refused

from trm.files import check_writable, write_text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "trm", "--version"], stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"trm: No space left on device\n")


def test_what_cannot_be_written_is_found_before_the_work(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path, tmp_path / "file" / "x.onnx"):
        refused(call("data", "sudoku", str(bad), "--rows", "100000"), str(bad))
        refused(call("data", "maze", str(bad), "--rows", "100000"), str(bad))
        refused(call("export", "nothing", "--to", str(bad)), str(bad))
        refused(call("eval", "sudoku-mini", "--steps", "9999", "--png", str(bad)), str(bad))
    refused(call("train", "sudoku-mini", "--out", str(tmp_path / "file" / "run")), "cannot write")
    refused(call("train", "sudoku", "--out", str(tmp_path / "run")), "varied.csv", "--kind varied")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_links_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "one")
    write_text(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "two"
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        check_writable(tmp_path / "pipe")
        write_text(tmp_path / "pipe", "three")
        assert reader.communicate()[0] == b"three"
    assert not (tmp_path / "pipe").is_file()
