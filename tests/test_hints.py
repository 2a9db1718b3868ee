"""Hints on the way to the answer: what they say, where they are scored, and that a run with them goes on as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_maze import queue_search, random_questions

from trm.config import RunConfig, override
from trm.errors import BadInput
from trm.hints import Hints
from trm.models import ModelConfig, build
from trm.presets import PRESETS
from trm.sources import training_set
from trm.tasks.maze import GOAL, OPEN, PATH, START, WALL, Maze
from trm.tasks.sudoku import Sudoku
from trm.train import Trainer

MAZE = Maze(6, 7)
CPU = torch.device("cpu")
MODEL = PRESETS["maze-hard-cpu-generated"].config.model.model_copy(update={"width": 8, "multiple": 8})


def test_a_mazes_hints_are_the_distances_of_a_queue_and_lead_along_the_answer() -> None:
    for question in random_questions(MAZE, 50, 1):
        kind, moves = MAZE.hint(question)
        start, goal = (int((question == end).argmax()) for end in (START, GOAL))
        found = queue_search(MAZE, question, goal)[0]
        for cell in range(MAZE.cells):
            assert (kind[cell] > 0) == (cell in found)
            if cell in found:
                assert (kind[cell] - 1) // 4 == found[cell] % 3
                assert moves[cell] == found[cell]
        if start not in found:
            continue
        path, here = [], start
        while here != goal:
            here += (MAZE.width, -1, 1, -MAZE.width)[(int(kind[here]) - 1) % 4]
            path.append(here)
        assert sorted(path[:-1]) == np.flatnonzero(MAZE.label(question) == PATH).tolist()


def test_the_loss_counts_cells_that_news_can_have_come_to() -> None:
    torch.manual_seed(1)
    rows, steps = random_questions(MAZE, 4, 2), torch.tensor([1, 2, 3])
    hints = Hints(MAZE, MODEL.model_copy(update={"n": 2, "T": 1}), 4, MAZE.cells, CPU)
    for slot, question in enumerate(rows):
        hints.take(slot, question)
    logits = torch.randn(3, MAZE.cells, 12)
    loss = hints.loss(slice(1, 4), logits, steps)
    for row, (question, scores, done) in enumerate(zip(rows[1:], logits.tolist(), steps.tolist(), strict=True)):
        kind = MAZE.hint(question)[0]
        near = queue_search(MAZE, question, int((question == GOAL).argmax()))[0]
        parts = [
            math.log(sum(map(math.exp, scores[cell]))) - scores[cell][kind[cell] - 1]
            for cell, moves in near.items()
            if moves <= 2 * done
        ]
        assert loss[row].item() == pytest.approx(sum(parts) / len(parts), rel=1e-5)


@pytest.mark.parametrize(("task", "hints"), [(MAZE, 2), (Sudoku(2, 2), 12)])
def test_a_head_that_does_not_fit_the_task_is_refused(task: Maze | Sudoku, hints: int) -> None:
    with pytest.raises(BadInput, match=r"model.hints is .*--set model.hints=(0|12)$"):
        Hints(task, MODEL.model_copy(update={"hints": hints}), 1, task.spec.cells, CPU)


def test_models_that_cannot_have_hints_are_refused() -> None:
    for change in ({"mixer": "groups"}, {"kind": "hrm"}, {"memory": "single"}):
        with pytest.raises(BadInput, match="hints are for"):
            build(ModelConfig(hints=12, width=32, positions="none").model_copy(update=change), Sudoku().spec)


def config(*more: str) -> RunConfig:
    small = ["task=maze-6x7", "stages=", "batch=4", "micro=2", "steps=60", "window=2", "max_steps=6", "warmup=5"]
    run = PRESETS["maze-hard-cpu-generated"].config.model_copy(update={"model": MODEL})
    return override(run, [*small, *more])


def test_hints_are_learned_and_a_run_that_goes_on_is_the_run_that_never_stopped() -> None:
    torch.set_num_threads(1)
    run, losses = config(), []
    puzzles = training_set(run, MAZE)
    whole, halves = (Trainer(run, MAZE, puzzles, CPU) for _ in range(2))
    for step in range(60):
        if step == 31:
            content = halves.state_dict()
            halves = Trainer(run, MAZE, puzzles, CPU)
            halves.load_state_dict(content)
        for trainer in (whole, halves):
            trainer.advance()
        losses.append(whole.totals.hint_loss)
    assert whole.totals == halves.totals
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, halves.model.state_dict()[name]), name
    assert losses[-1] - losses[-11] < 0.9 * losses[9]


def test_without_hints_nothing_of_them_is_there() -> None:
    run = config("model.hints=0")
    trainer = Trainer(run, MAZE, training_set(run, MAZE), CPU)
    trainer.advance()
    assert trainer.hints is None
    assert trainer.totals.hint_loss == 0
    assert not [name for name in trainer.model.state_dict() if "hint" in name]


def test_a_cell_from_which_no_path_leads_has_no_hint() -> None:
    question = np.array([START, OPEN, GOAL, WALL, OPEN, OPEN] + [WALL] * 36, np.uint8)
    kind, _ = MAZE.hint(question)
    assert kind[:6].tolist() == [11, 7, 1, 0, 0, 0]
