"""Thinking on demand: steps, restarts, what ends it and which answer is chosen, with a model made for the purpose."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Literal, cast
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor

from trm.inference.answers import Answer
from trm.inference.evaluation import evaluate_starts
from trm.inference.loop import SearchResult, SearchState, Thinking, guess, search, think
from trm.inference.onnx import Exported, OnnxBackend, OnnxOutput, OnnxState
from trm.inference.torch_step import TorchBackend, confidence_in
from trm.models import TRM, Output, State
from trm.store.stored import Stored
from trm.tasks.base import Puzzles
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import Sudoku
from trm.terminal.solve import print_answers

TASK = Sudoku(2, 2)
SOLVED = TASK.read("1234341221434321").question[0]
WRONG = np.full(16, 2, np.uint8)
OPEN = np.where(np.arange(7)[:, None] == np.arange(16), SOLVED, 1).astype(np.uint8)  # one given each


CERTAIN = np.e / (np.e + 3)  # the probability of each of the stub's tokens


class Stub:
    """Right from its third step on if y, the noise it started with, is above `lucky`; z counts steps by thousands."""

    first_token = 2

    def __init__(
        self,
        lucky: float = 0.5,
        halt: Callable[[Tensor, Tensor], Tensor] = lambda luck, step: luck,
        halt_logit: float = 0.0,
    ) -> None:
        self.lucky, self.halt, self.halt_logit = lucky, halt, halt_logit
        self.seen = 0  # rows of all batches

    def start(self, batch: int) -> State:
        return State(torch.zeros(batch, 1), torch.zeros(batch, 1))

    def __call__(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        self.seen += len(question)
        z = state.z + 1000
        luck, step = state.y[:, 0], (z[:, 0] / 1000).round()
        right = ((luck > self.lucky) & (step >= 3)).unsqueeze(1)
        tokens = torch.where(right, torch.from_numpy(SOLVED), torch.from_numpy(WRONG)).long()
        logits = torch.nn.functional.one_hot(tokens - 2, 4).float()
        return Output(State(state.y, z), logits, self.halt(luck, step))


def run(model: Stub, thinking: Thinking, batch: int = 3) -> list[SearchResult]:
    return search(TorchBackend(model), TASK, OPEN, thinking, batch)


def noise(thinking: Thinking, row: int, start: int) -> float:
    """What the stub is given as its luck."""
    if not start:
        return 0.0
    seed = int(np.random.SeedSequence([thinking.seed, crc32(OPEN[row].tobytes()), start]).generate_state(1)[0])
    return thinking.noise * float(torch.randn(1, generator=torch.Generator().manual_seed(seed)))


def test_one_start_is_the_models_own() -> None:
    lucky, unlucky = run(Stub(lucky=-1), Thinking(steps=5)), run(Stub(), Thinking(steps=5))
    for answer in lucky:
        assert (answer.valid, answer.steps, answer.starts, answer.tokens.tolist()) == (True, 3, 1, SOLVED.tolist())
    for answer in unlucky:
        assert (answer.valid, answer.steps, answer.starts, answer.tokens.tolist()) == (False, 5, 1, WRONG.tolist())


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_restarts_go_on_until_the_rules_are_obeyed(batch: int) -> None:
    thinking = Thinking(steps=4, restarts=6, noise=0.8, seed=3)
    for row, answer in enumerate(run(Stub(), thinking, batch=batch)):
        first = next((start for start in range(7) if noise(thinking, row, start) > 0.5), None)
        if first is None:
            assert (answer.valid, answer.steps, answer.starts) == (False, 28, 7)
        else:
            assert (answer.valid, answer.steps, answer.starts) == (True, 4 * first + 3, first + 1)


def test_the_seed_and_the_noise_decide() -> None:
    def starts(**changes: float) -> list[int]:
        return [answer.starts for answer in run(Stub(), Thinking(4, 6, **changes))]  # type: ignore[arg-type]

    assert starts(seed=1) == starts(seed=1) != starts(seed=2)
    assert starts(noise=0.0) == [7] * len(OPEN)
    assert starts(noise=50.0) != starts(noise=1.0)


def test_the_most_confident_of_all_answers() -> None:
    """Of several starts, each surest at its second step, when its answer is still wrong."""
    thinking = Thinking(steps=4, restarts=5, until="end")
    model = Stub(halt=lambda luck, step: torch.where(step == 2, luck + 2, luck))
    for row, answer in enumerate(run(model, thinking)):
        best = max(noise(thinking, row, start) for start in range(6))
        assert answer.confidence == pytest.approx(CERTAIN / (1 + np.exp(-best - 2)), rel=1e-5)
        assert (answer.tokens.tolist(), answer.valid, answer.steps) == (WRONG.tolist(), False, 24)
        assert (answer.found is not None) == (best > 0.5)
    assert model.seen == 24 * len(OPEN)


def test_the_models_own_halt() -> None:
    model = Stub(lucky=-1, halt=lambda luck, step: step - 3.5)  # sure at step 4, right at 3
    for answer in run(model, Thinking(steps=9, restarts=2, until="halt")):
        assert (answer.steps, answer.starts, answer.valid) == (4, 1, True)
    assert model.seen == 4 * len(OPEN)  # those that are done leave the batch


@pytest.mark.parametrize(("probability", "steps"), [(0.5, 4), (0.95, 7), (0.97, 7), (0.98, 8)])
def test_it_halts_from_the_probability_that_is_stored_with_it(probability: float, steps: int) -> None:
    logit = math.log(probability / (1 - probability))  # 2.9, 3.5 and 3.9
    model = Stub(lucky=-1, halt=lambda luck, step: step - 3.5, halt_logit=logit)
    assert [answer.steps for answer in run(model, Thinking(steps=9, until="halt"))] == [steps] * len(OPEN)


def test_until_it_is_sure() -> None:
    model = Stub(lucky=-1, halt=lambda luck, step: step - 3.5)
    for sure, steps in ((0.9 * CERTAIN, 6), (0.05 * CERTAIN, 1), (0.95, 18)):  # sigmoid(2.5) is more than 0.9
        for answer in run(model, Thinking(steps=9, restarts=1, until="sure", sure=sure)):
            assert (answer.steps, answer.valid) == (steps, steps > 2)


def test_cells_that_are_not_scored_do_not_count() -> None:
    logits = torch.tensor([[[9.0, 0.0], [0.0, 0.1]]])
    output = Output(State(torch.zeros(1, 1), torch.zeros(1, 1)), logits, torch.tensor([0.0]))
    confidences = [float(confidence_in(np.array([[1, last]], np.uint8), output)[0]) for last in (0, 1)]
    assert confidences == pytest.approx([0.5 / (1 + np.exp(-9)), 0.5 / (1 + np.exp(-0.1))])


class Wavering:
    """Fills the grid by the rules where cell 15 was given rightly; its belief in cell 15 is two in three for that."""

    first_token = 2
    halt_logit = 0.0

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def start(self, batch: int) -> State:
        return State(torch.zeros(batch, 1), torch.zeros(batch, 1))

    def __call__(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        self.asked += question.tolist()
        knows = question[:, 15] == int(SOLVED[15])
        tokens = torch.where(knows.unsqueeze(1), torch.from_numpy(SOLVED), torch.from_numpy(WRONG)).long()
        logits = torch.nn.functional.one_hot(tokens - 2, 4).float() * 99
        logits[:, 15] = torch.tensor([1, 1, 1, 1]) * -99.0
        logits[:, 15, SOLVED[15] - 2] = np.log(2)
        logits[:, 15, (SOLVED[15] - 1) % 4] = 0.0
        return Output(state, logits, torch.zeros(len(question)))


def test_guesses_are_drawn_from_the_belief_and_the_answer_keeps_the_question() -> None:
    question = np.where(np.arange(16) == 15, 1, SOLVED).astype(np.uint8)[None]  # the last cell is unknown
    counts = []
    for seed in range(60):
        model = Wavering()
        thinking = Thinking(steps=1, restarts=9, noise=0.0, guesses=1, seed=seed)
        (answer,) = search(TorchBackend(model), TASK, question, thinking)
        first, *later = model.asked
        assert first == question[0].tolist()
        assert all(asked[:15] == first[:15] for asked in later)
        assert answer.valid == (later[-1][15] == SOLVED[15])
        assert answer.starts == len(later) + 1
        counts.append(len(later))
    # Geometric with mean 1.5, cut off at 9.
    assert 1.2 < np.mean(counts) < 1.9


def test_no_more_cells_are_guessed_than_are_unknown() -> None:
    rng = np.random.default_rng(0)
    belief = np.eye(4, dtype=np.float32)[SOLVED - 2]
    for row in OPEN:
        for count in (0, 3, 16):
            asked = guess(TASK, row, belief, 2, count, rng)
            changed = asked != row
            assert changed.sum() == min(count, (row == 1).sum())
            assert (asked[changed] == SOLVED[changed]).all()


def test_every_step_of_every_start_is_shown() -> None:
    thinking = Thinking(steps=4, restarts=6, noise=0.8, seed=3)
    searches = [SearchState() for _ in OPEN]
    traces: list[list[bool]] = [[] for _ in OPEN]
    places: list[list[tuple[int, int]]] = [[] for _ in OPEN]
    for step in think(TorchBackend(Stub()), TASK, OPEN, searches, thinking, batch=3):
        for row, start, number, tokens in zip(step.rows, step.starts, step.steps, step.tokens, strict=True):
            traces[row].append(tokens.tolist() == SOLVED.tolist())
            places[row].append((int(start), int(number)))
    every = [(start, number) for start in range(7) for number in range(1, 5)]
    for answer, trace, place in zip(run(Stub(), thinking), traces, places, strict=True):
        assert trace == [False] * (answer.steps - 1) + [answer.valid]
        assert place == every[: answer.steps]


def test_a_time_limit_ends_it_with_an_answer_for_every_puzzle(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    answers = run(Stub(), Thinking(steps=1000, restarts=3, seconds=10))
    assert [answer.steps for answer in answers] == [10] * 3 + [1] * 4
    assert not any(answer.valid for answer in answers)


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_work_goes_on_at_the_next_start(batch: int) -> None:
    """Whoever made the first start; what it found out is not found out again."""
    thinking = Thinking(steps=4, restarts=6, noise=0.8, seed=3)
    searches = [SearchState() for _ in OPEN]
    first, second, whole = Stub(), Stub(), Stub()
    for step in think(TorchBackend(first), TASK, OPEN, searches, thinking, batch, starts=1):
        assert not step.ended.any()
    assert first.seen == 4 * len(OPEN)
    assert [(one.finished, one.done, one.steps) for one in searches] == [(1, False, 4)] * len(OPEN)
    starts = [
        int(start)
        for step in think(TorchBackend(second), TASK, OPEN, searches, thinking, batch)
        for start in step.starts
    ]
    assert min(starts) == 1
    expected = run(whole, thinking, batch)
    assert [told(one.result()) for one in searches] == [told(answer) for answer in expected]
    assert first.seen + second.seen == whole.seen
    idle = Stub()
    assert list(think(TorchBackend(idle), TASK, OPEN, searches, thinking, batch)) == []  # done, or without starts left
    assert idle.seen == 0


def told(answer: SearchResult) -> tuple[object, ...]:
    return answer.tokens.tolist(), answer.valid, answer.steps, answer.confidence, answer.starts


def test_guesses_rest_on_the_first_start_whoever_made_it() -> None:
    question = np.where(np.arange(16) == 15, 1, SOLVED).astype(np.uint8)[None]
    thinking = Thinking(steps=1, restarts=9, noise=0.0, guesses=1, seed=4)
    searches, first, second = [SearchState()], Wavering(), Wavering()
    list(think(TorchBackend(first), TASK, question, searches, thinking, starts=1))
    list(think(TorchBackend(second), TASK, question, searches, thinking))
    whole = Wavering()
    (expected,) = search(TorchBackend(whole), TASK, question, thinking)
    assert (told(searches[0].result()), first.asked + second.asked) == (told(expected), whole.asked)
    assert second.asked != []


def test_a_question_without_blanks_is_its_own_answer_unless_the_models_is_wanted() -> None:
    question = np.stack((SOLVED, OPEN[0]))
    for keep, first in ((True, SOLVED), (False, WRONG)):
        searches = [SearchState(), SearchState()]
        step = next(think(TorchBackend(Stub()), TASK, question, searches, Thinking(), keep_given=keep))
        assert step.tokens.tolist() == [first.tolist(), WRONG.tolist()]
        assert step.done.tolist() == [keep, False]


def test_shares_by_confidence_and_by_rules() -> None:
    thinking = Thinking(steps=4, restarts=2, noise=0.6, until="end")
    model = Stub(halt=lambda luck, step: -luck.abs())  # surest of its own start, which is wrong
    ticks: list[int] = []
    puzzles = Puzzles(OPEN, np.tile(SOLVED, (len(OPEN), 1)))
    found = evaluate_starts(Stored(cast(TRM, model), TASK.spec, "stub"), TASK, puzzles, thinking, 3, ticks.append)
    lucky = sum(max(noise(thinking, row, start) for start in range(3)) > 0.5 for row in range(len(OPEN)))
    assert (found.rows, found.by_confidence, found.by_rules) == (len(OPEN), 0, lucky)
    assert 0 < lucky < len(OPEN)
    assert (found.steps, sum(ticks)) == (12 * len(OPEN), len(OPEN))


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_longer_path_is_not_solved(backend: Literal["torch", "onnx"], capsys: pytest.CaptureFixture[str]) -> None:
    """By a model that knows the long way round at once and the short one from its third step on."""
    task = Maze(2, 3)
    question = task.read("S.G\n...").question
    wrong, detour, direct = (
        np.array(row, np.uint8) for row in ([3, 2, 4, 2, 2, 2], [3, 2, 4, 5, 5, 5], [3, 5, 4, 2, 2, 2])
    )

    def logits(step: int) -> np.ndarray:
        tokens = (wrong, detour, direct)[min(step, 3) - 1]
        return (4 - step) * np.eye(6, dtype=np.float32)[tokens][None]  # less and less sure

    class Model:
        first_token = 0
        halt_logit = 0.0

        def start(self, batch: int) -> State:
            return State(torch.zeros(batch, 1), torch.zeros(batch, 1))

        def __call__(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
            z = state.z + 1
            return Output(State(state.y, z), torch.from_numpy(logits(int(z[0, 0]))), torch.zeros(1))

    def exported(state: OnnxState, question: object) -> OnnxOutput:
        z = state.z + 1
        return OnnxOutput(OnnxState(state.y, z), logits(int(z[0, 0])), np.zeros(1, np.float32))

    def result(steps: int) -> SearchResult:
        if backend == "torch":
            return search(TorchBackend(Model()), task, question, Thinking(steps))[0]
        start = OnnxState(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
        return search(OnnxBackend(Exported(exported, start, 0)), task, question, Thinking(steps))[0]

    for steps, best in ((1, wrong), (2, detour), (5, direct)):
        found = result(steps)
        assert found.tokens.tolist() == best.tolist()
        assert (found.steps, found.valid) == (min(steps, 3), steps > 1)
        answer = Answer(task, found.tokens, question[0], found.valid, found.confidence, found.steps, 1, list)
        assert print_answers([answer], trace=False, quiet=False) is (steps == 5)
        said = {1: "breaks the rules", 2: "a path, but not a shortest one", 5: "solved in 3 steps"}[steps]
        assert said in capsys.readouterr().out
