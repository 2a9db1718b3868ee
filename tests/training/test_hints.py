"""Hints on the way to the answer: what they say, where they are scored, and that a run with them goes on as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from maze_cases import queue_search, random_questions

from trm.errors import BadInput
from trm.models import ModelConfig, build
from trm.tasks.base import Tokens
from trm.tasks.maze.task import GOAL, OPEN, PATH, START, WALL, Maze
from trm.tasks.sudoku.task import Sudoku
from trm.training.config import RunConfig, override
from trm.training.datasets import training_set
from trm.training.hints import Hints
from trm.training.presets import PRESETS
from trm.training.trainer import Trainer

MAZE = Maze(6, 7)
CPU = torch.device("cpu")
MODEL = PRESETS["maze-generated"].config.model.changed(width=8, multiple=8)


def solvable(count: int, seed: int) -> list[tuple[Tokens, Tokens]]:
    """Random questions that have a path, with their answers."""
    return [(q, MAZE.label(q)) for q in random_questions(MAZE, count, seed) if MAZE.moves(q[None])[0] > 0]


def route(question: Tokens) -> tuple[dict[int, int], list[int]]:
    """Moves from G to every cell that can be reached, by a queue; the cells between S and G, where the hints point."""
    start, goal = (int((question == end).argmax()) for end in (START, GOAL))
    found, path, here = queue_search(MAZE, question, goal)[0], list[int](), start
    kind = MAZE.hint(question, MAZE.label(question)).kind
    while here != goal:
        here += (MAZE.width, -1, 1, -MAZE.width)[(int(kind[here]) - 1) % 4]
        path.append(here)
    return found, path[:-1]


def test_a_mazes_hints_are_the_distances_of_a_queue_and_lead_along_the_answer() -> None:
    for question, answer in solvable(50, 1):
        hint, (found, path) = MAZE.hint(question, answer), route(question)
        for cell in range(MAZE.cells):
            assert (hint.kind[cell] > 0) == (cell in found)
            if cell in found:
                assert (hint.kind[cell] - 1) // 4 == found[cell] % 3
                assert hint.moves[cell] == found[cell]
        assert sorted(path) == np.flatnonzero(answer == PATH).tolist()
        # S hears of G after as many moves as the path has; cell number i of it is i + 1 further.
        due = {cell: (len(path) + 1, len(path) + 2 + i) for i, cell in enumerate(path)}
        assert [(int(a), int(b)) for a, b in zip(hint.open, hint.known, strict=True)] == [
            due.get(cell, (0, 0)) for cell in range(MAZE.cells)
        ]


def asked(token: int, due: tuple[int, int], done: int, question: int) -> int:
    """What a cell's answer is asked to be after `done` steps of n = 2, T = 1: two moves each, three at most."""
    if due[1] <= 2 * done:
        return token
    return question if due[0] > 3 * done else 0


def test_cells_are_asked_for_what_they_can_know() -> None:
    torch.manual_seed(1)
    pairs = solvable(9, 2)[:4]
    steps = torch.tensor([1, 2, 4])
    hints = Hints(MAZE, MODEL.changed(n=2, T=1), 4, MAZE.cells, CPU)
    for slot, (question, answer) in enumerate(pairs):
        hints.take(slot, question, answer)
    questions, answers = (torch.from_numpy(np.stack(rows)) for rows in zip(*pairs[1:], strict=True))
    logits = torch.randn(3, MAZE.cells, 24)
    target = hints.target(slice(1, 4), questions, answers, steps)
    loss = hints.loss(slice(1, 4), logits, steps)
    kinds = set()
    for row, (question, answer) in enumerate(pairs[1:]):
        done, parts = int(steps[row]), list[float]()
        (found, path), kind = route(question), MAZE.hint(question, answer).kind
        for cell, scores in enumerate(logits[row].tolist()):
            due = (len(path) + 1, len(path) + 2 + path.index(cell)) if cell in path else (0, 0)
            want = asked(int(answer[cell]), due, done, int(question[cell]))
            assert target[row, cell] == want
            kinds.add((cell in path, want))
            if cell in found and found[cell] <= 2 * done and want:
                number = int(kind[cell]) - 1 + 12 * (want == PATH)
                parts.append(math.log(sum(map(math.exp, scores))) - scores[number])
        assert loss[row].item() == pytest.approx(sum(parts) / len(parts), rel=1e-5)
    assert kinds >= {(True, PATH), (True, OPEN), (True, 0), (False, OPEN)}  # or the mazes are too easy to tell


@pytest.mark.parametrize(("task", "hints"), [(MAZE, 12), (Sudoku(2, 2), 24)])
def test_a_head_that_does_not_fit_the_task_is_refused(task: Maze | Sudoku, hints: int) -> None:
    with pytest.raises(BadInput, match=r"model.hints is .*--set model.hints=(0|24)$"):
        Hints(task, MODEL.changed(hints=hints), 1, task.spec.cells, CPU)


def test_models_that_cannot_have_hints_are_refused() -> None:
    for change in ({"mixer": "groups"}, {"kind": "hrm"}, {"memory": "single"}):
        with pytest.raises(BadInput, match="hints are for"):
            build(ModelConfig(hints=24, width=32, positions="none").changed(**change), Sudoku().spec)


def config(*more: str) -> RunConfig:
    small = ["task=maze-6x7", "stages=", "batch=4", "micro=2", "updates=120", "window=2", "max_steps=6", "warmup=5"]
    run = PRESETS["maze-generated"].config.changed(model=MODEL)
    return override(run, [*small, *more])


def test_hints_are_learned_and_a_run_that_goes_on_is_the_run_that_never_stopped() -> None:
    torch.set_num_threads(1)
    run, losses = config(), []
    puzzles = training_set(run, MAZE)
    whole, halves = (Trainer(run, MAZE, puzzles, CPU) for _ in range(2))
    for step in range(120):
        if step == 61:
            content = halves.state_dict()
            halves = Trainer(run, MAZE, puzzles, CPU)
            halves.load_state_dict(content)
        for trainer in (whole, halves):
            trainer.update()
        losses.append(whole.totals.hint_loss)
    assert whole.totals == halves.totals
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, halves.model.state_dict()[name]), name
    assert losses[-1] - losses[-11] < 0.9 * losses[9]


def test_without_hints_nothing_of_them_is_there() -> None:
    run = config("model.hints=0")
    trainer = Trainer(run, MAZE, training_set(run, MAZE), CPU)
    trainer.update()
    assert trainer.stage.hints is None
    assert trainer.totals.hint_loss == 0
    assert not [name for name in trainer.model.state_dict() if "hint" in name]


def test_a_cell_from_which_no_path_leads_has_no_hint() -> None:
    question = np.array([START, OPEN, GOAL, WALL, OPEN, OPEN] + [WALL] * 36, np.uint8)
    kind = MAZE.hint(question, MAZE.label(question)).kind
    assert kind[:6].tolist() == [11, 7, 1, 0, 0, 0]
