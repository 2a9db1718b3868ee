"""The running batch: which puzzle a slot takes and when, from which state, and what is learned from a window."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import trainer

from trm.models import State
from trm.tasks import load_puzzles
from trm.tasks.sampler import Reveal, Sampler
from trm.tasks.sudoku.task import Sudoku
from trm.training.losses import step_loss


def test_a_noisy_start_is_drawn_for_every_puzzle_anew(small_csv: Path) -> None:
    still, noisy = trainer(small_csv), trainer(small_csv, "start_noise=0.25")
    whole = slice(0, 8)
    plain, moved = (one.stage.starting_states(whole, one.stage.slots.state(whole)) for one in (still, noisy))
    for added in (moved.y - plain.y, moved.z - plain.z):
        assert added.std() == pytest.approx(0.25, rel=0.1)
        assert len({row.numpy().tobytes() for row in added}) == len(added)
    assert noisy.model.start(1).y.equal(still.model.start(1).y)  # what is stored stays as it is


def test_a_window_sends_the_gradient_through_its_steps_and_takes_new_puzzles_in_between(small_csv: Path) -> None:
    more = ("precision=float64", "explore=0", "max_steps=2", "window=3", "start_noise=0", "reveal.share=0")
    subject, by_hand = trainer(small_csv, *more), trainer(small_csv, *more)
    subject.learn(slice(0, 8))
    assert subject.stage.slots.taken.tolist() == [2] * 8
    # Two steps on the first puzzle of each slot, then one on the next: as if the state began anew, by hand.
    loss = torch.zeros((), dtype=torch.float64)
    for puzzle, steps in ((0, 2), (1, 1)):
        draws = [by_hand.stage.sampler.draw(slot, puzzle, 0.0) for slot in range(8)]
        question, answer = (torch.from_numpy(np.stack([draw[k] for draw in draws])) for k in (0, 1))
        state = by_hand.model.start(8)
        for _ in range(steps):
            output = by_hand.model(state, question)
            losses = step_loss(output, answer, by_hand.model.first_token, by_hand.config.loss)
            loss, state = loss + (losses.answer + by_hand.config.halt_weight * losses.halt).sum(), output.state
    torch.autograd.backward(loss / 24)
    for mine, theirs in zip(subject.model.parameters(), by_hand.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_with_a_limit_a_sequence_counts_the_less_the_worse_it_is(small_csv: Path) -> None:
    """The gradient of each sequence's loss, found on its own, is weighed by exp(-loss / limit)."""
    more = ("precision=float64", "start_noise=0", "reveal.share=0", "loss_limit=0.5", "halt_weight=0", "micro=3")
    subject, by_hand = trainer(small_csv, *more), trainer(small_csv, *more)
    for part in (slice(0, 3), slice(3, 6), slice(6, 8)):
        subject.learn(part)
    draws = [by_hand.stage.sampler.draw(slot, 0, 0.0) for slot in range(8)]
    question, answer = (torch.from_numpy(np.stack([draw[k] for draw in draws])) for k in (0, 1))
    output = by_hand.model(by_hand.model.start(8), question)
    losses = step_loss(output, answer, by_hand.model.first_token, by_hand.config.loss).answer
    assert losses.max() - losses.min() > 0.005
    parameters = {name: p for name, p in by_hand.model.named_parameters() if "halt" not in name}
    expected = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for loss in losses:
        grads = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
        for total, grad in zip(expected.values(), grads, strict=True):
            total += math.exp(-loss.item() / 0.5) * grad / 8
    for name, mine in subject.model.named_parameters():
        if "halt" not in name:
            torch.testing.assert_close(mine.grad, expected[name])


def test_halted_slots_take_new_puzzles_and_others_go_on(small_csv: Path) -> None:
    subject = trainer(small_csv, "explore=0", "max_steps=3")
    for expected in ([1, 1], [2, 1], [3, 1], [1, 2], [2, 2], [3, 2], [1, 3]):
        before = subject.stage.slots.question.clone()
        subject.update()
        assert subject.stage.slots.steps.tolist() == [expected[0]] * 8
        assert subject.stage.slots.taken.tolist() == [expected[1]] * 8
        if expected[0] > 1:
            assert torch.equal(before, subject.stage.slots.question)


@pytest.mark.parametrize(
    ("above", "early"), [("0.5", True), ("0.9", True), ("0.96", False), ("1", False), ("false", False)]
)
def test_a_model_that_wants_to_halt_does_so_unless_it_must_not(small_csv: Path, above: str, early: bool) -> None:
    subject = trainer(small_csv, "explore=0", "max_steps=3", "stages=", f"early_halt={above}")
    with torch.no_grad():
        subject.model.frame.halt.bias.fill_(99.0 if above == "1" else 3.0)  # 3: the odds of a probability of 0.953
    for _ in range(6):
        subject.update()
    assert subject.stage.slots.taken.tolist() == [6 if early else 2] * 8


def test_every_epoch_visits_every_puzzle_once(small_csv: Path) -> None:
    task = Sudoku(2, 2)
    puzzles = load_puzzles(task, str(small_csv))
    sampler = Sampler(puzzles, task, batch=8, seed=1, augment=False, reveal=Reveal())
    for epoch in range(3):
        drawn = [sampler.draw(s, epoch * 5 + t, 0.0).question.tobytes() for t in range(5) for s in range(8)]
        assert sorted(drawn) == sorted(row.tobytes() for row in puzzles.question)


def test_draws_depend_on_the_slot_alone_and_reveal_fades(small_csv: Path) -> None:
    task = Sudoku(2, 2)
    puzzles = load_puzzles(task, str(small_csv))
    sampler = Sampler(puzzles, task, 8, seed=1, augment=True, reveal=Reveal(share=1.0, most=1.0, until=0.5))
    late, early = sampler.draw(3, 2, 0.6), sampler.draw(3, 2, 0.0)
    shown = [sum((sampler.draw(slot, 2, at).question >= 2).sum() for slot in range(8)) for at in (0.0, 0.6)]
    assert shown[0] > shown[1]
    np.testing.assert_array_equal(late.answer, early.answer)
    assert task.valid(early.question[None], early.answer[None])[0]
    again = Sampler(puzzles, task, 8, 1, True, Reveal()).draw(3, 2, 0.0)
    np.testing.assert_array_equal(again.question, late.question)


def test_boards_are_shown_at_every_fill_until_the_end(small_csv: Path) -> None:
    task = Sudoku(2, 2)
    puzzles = load_puzzles(task, str(small_csv))
    assert [Reveal(share=1, last=0.5, until=0.5).at(done) for done in (0.0, 0.25, 0.5, 1.0)] == [1.0, 0.75, 0.5, 0.5]
    reveal = Reveal(last=0.5, until=0.5)
    sampler = Sampler(puzzles, task, 8, seed=1, augment=False, reveal=reveal)
    pairs = zip(puzzles.question, puzzles.answer, strict=True)
    whole = {answer.tobytes(): int((question == 1).sum()) for question, answer in pairs}
    shares: dict[float, list[float]] = {0.5: [], 1.0: []}
    for progress, found in shares.items():
        for slot in range(8):
            for taken in range(200):
                draw = sampler.draw(slot, taken, progress)
                unknown, most = int((draw.question == 1).sum()), whole[draw.answer.tobytes()]
                assert 1 <= unknown <= most
                assert ((draw.question == 1) | (draw.question == draw.answer)).all()
                found.append(np.log(unknown) / np.log(most))
        # Uniform logarithms have the mean 1/2, apart from rounding; half of the puzzles are whole.
        assert np.mean(found) == pytest.approx(0.75, abs=0.05)
        assert min(found) == 0.0


def test_a_puzzle_may_start_from_what_the_one_before_it_left(small_csv: Path) -> None:
    subject = trainer(small_csv, "carry=0.3", "start_noise=0")
    stage, start, whole = subject.stage, subject.model.start(8), slice(0, 8)
    first = stage.starting_states(whole, State(start.y + 1, start.z + 1))  # there was no puzzle before
    assert torch.equal(first.y, start.y)
    assert torch.equal(first.z, start.z)
    stage.refill(whole, 0.0)
    stage.slots.steps += 1
    kept = []
    for turn in range(100):
        subject.stage.slots.halt(whole, torch.tensor([True] * 7 + [False]))
        before = State(*(torch.randn(part.shape, requires_grad=True) for part in (start.y, start.z)))
        after = stage.starting_states(whole, before)
        stage.refill(whole, 0.0)
        stage.slots.steps += 1
        kept.append([torch.equal(old, new) for old, new in zip(before.y, after.y, strict=True)])
        for slot, goes_on in enumerate(kept[-1]):
            expected = before if goes_on else start
            assert torch.equal(after.y[slot], expected.y[slot])
            assert torch.equal(after.z[slot], expected.z[slot])
        assert subject.stage.slots.taken.tolist() == [turn + 2] * 7 + [1]
        # What a puzzle costs is nothing to the one before it.
        for gradient in torch.autograd.grad(after.y.sum() + after.z.sum(), (before.y, before.z)):
            assert gradient.flatten(1).any(1).tolist() == [False] * 7 + [True]
    assert all(row[7] for row in kept)
    share = np.mean([row[:7] for row in kept])
    assert 0.24 < share < 0.36
    assert len({tuple(row) for row in kept}) > 20


def test_what_is_carried_depends_on_the_slot_alone(small_csv: Path) -> None:
    """As many processes and micro-batches as one likes: the draws are those of the slot."""
    subject = trainer(small_csv, "carry=0.5")
    subject.stage.slots.steps += 1
    subject.stage.slots.taken_here += np.arange(8)
    whole = subject.stage.carried(slice(0, 8), list(range(8)))
    parts = [subject.stage.carried(slice(first, first + 2), [0, 1]) for first in range(0, 8, 2)]
    assert torch.equal(whole, torch.cat(parts))
    assert 0 < whole.sum() < 8
