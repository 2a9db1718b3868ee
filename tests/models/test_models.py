"""The networks: symmetry by construction, sizes, and the recursion against a transcription of the paper's figure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trm.errors import BadInput
from trm.models import TRM, ModelConfig, State, build
from trm.tasks.base import Spec
from trm.tasks.sudoku.task import SIZES, Sudoku

GROUPS = ModelConfig(mixer="groups", width=16, layers=2, expansion=3, multiple=16, T=2, n=2, positions="none")
TOKENS = ModelConfig(mixer="attention", width=32, heads=2, layers=2, T=2, n=2)
PLAIN = Spec("plain", 3, 4, vocab=7, first_symbol=7)


def random_questions(task: Sudoku, rows: int, seed: int) -> torch.Tensor:
    """Sudoku-shaped noise: symmetry must hold whether or not a question is a legal puzzle."""
    rng = np.random.default_rng(seed)
    digits = rng.integers(2, task.size + 2, (rows, task.cells))
    return torch.from_numpy(np.where(rng.random(digits.shape) < 0.4, digits, 1).astype(np.uint8))


@pytest.mark.parametrize("task", SIZES.values(), ids=lambda task: task.spec.name)
def test_a_symmetric_question_gets_the_symmetric_answer(task: Sudoku) -> None:
    torch.manual_seed(1)
    model = build(GROUPS, task.spec).double().eval()
    torch.nn.init.normal_(model.frame.halt.weight)
    question = random_questions(task, 3, 2)
    rng = np.random.default_rng(3)
    for _ in range(2):
        symmetry = task.random_symmetry(rng)
        moved = torch.from_numpy(symmetry.apply(question.numpy()))
        old_symbol = torch.from_numpy(symmetry.inverse().symbols[2:].astype(np.int64)) - 2
        state, state2 = model.start(3), model.start(3)
        for _ in range(3):
            with torch.no_grad():
                state, logits, halt, *_ = model(state, question)
                state2, logits2, halt2, *_ = model(state2, moved)
            torch.testing.assert_close(halt, halt2)
            # logits2[cell, new symbol] must be logits[old cell, old symbol].
            expected = logits[:, torch.from_numpy(symmetry.cells)]
            torch.testing.assert_close(logits2, expected[:, :, old_symbol])


def test_a_change_that_is_no_symmetry_changes_the_answer() -> None:
    torch.manual_seed(1)
    task = Sudoku()
    model = build(GROUPS, task.spec).double().eval()
    question = random_questions(task, 1, 2)
    rows = torch.arange(81).view(9, 9)
    swapped = rows[[3, 1, 2, 0, 4, 5, 6, 7, 8]].reshape(-1)  # two rows of different bands
    with torch.no_grad():
        logits = model(model.start(1), question).logits[:, swapped]
        logits2 = model(model.start(1), question[:, swapped]).logits
    assert (logits - logits2).abs().max() > 1e-3


def test_groups_weights_do_not_depend_on_the_size() -> None:
    shapes = [{k: v.shape for k, v in build(GROUPS, task.spec).state_dict().items()} for task in SIZES.values()]
    assert all(shape == shapes[0] for shape in shapes)


LOCAL = ModelConfig(mixer="local", width=16, layers=1, expansion=3, multiple=16, T=1, n=2, positions="none")


def test_local_information_moves_one_cell_a_call() -> None:
    torch.manual_seed(0)
    spec = Spec("grid", 7, 9, vocab=5, first_symbol=5)
    model = build(LOCAL, spec)
    question = torch.ones(2, 63, dtype=torch.uint8)
    question[1, 3 * 9 + 4] = 2  # the middle
    with torch.no_grad():
        output = model(model.start(2), question)
    changed = (output.state.y[0] != output.state.y[1]).any(-1).view(7, 9)
    far = torch.tensor([[abs(row - 3) + abs(column - 4) for column in range(9)] for row in range(7)])
    assert torch.equal(changed, far <= 3)  # two latent updates and one of the answer


def test_local_weights_do_not_depend_on_the_size_and_the_board_may_be_moved() -> None:
    torch.manual_seed(0)
    small, large = (build(LOCAL, Spec("grid", side, side, vocab=5, first_symbol=5)) for side in (9, 12))
    large.load_state_dict(small.state_dict())
    question = torch.randint(1, 5, (1, 12, 12), dtype=torch.uint8)
    with torch.no_grad():
        whole = large(large.start(1), question.flatten(1)).logits.view(12, 12, 5)
        part = small(small.start(1), question[:, 2:11, 1:10].flatten(1)).logits.view(9, 9, 5)
    # Away from the smaller board's edge nothing tells that there is one.
    torch.testing.assert_close(part[4:5, 4:5], whole[6:7, 5:6])
    assert (part[0] - whole[2, 1:10]).abs().max() > 1e-3


def test_local_halting_sees_every_cell() -> None:
    torch.manual_seed(0)
    model = build(LOCAL, Spec("grid", 7, 9, vocab=5, first_symbol=5))
    torch.nn.init.normal_(model.frame.halt.weight)
    question = torch.ones(2, 63, dtype=torch.uint8)
    question[1, 40] = 3
    with torch.no_grad():
        halt = model(model.start(2), question).halt
    assert halt[0] != halt[1]


def reference_step(model: TRM, state: State, question: torch.Tensor) -> State:
    """Figure 3 of the paper, word for word."""
    x = model.frame.embed(question.long(), None)
    y, z = state.y, state.z
    for _ in range(model.config.T):
        for _ in range(model.config.n):
            z = model.blocks(x + y + z)
        y = model.blocks(y + z)
    return State(y, z)


@pytest.mark.parametrize("mixer", ["attention", "mlp"])
@pytest.mark.parametrize("positions", ["none", "rope", "learned"])
def test_the_recursion_is_the_papers(mixer: str, positions: str) -> None:
    torch.manual_seed(0)
    config = TOKENS.changed(mixer=mixer, positions=positions)
    model = build(config, PLAIN).double()
    question = torch.randint(0, 7, (2, 12))
    output = model(model.start(2), question)
    expected = reference_step(model, model.start(2), question)
    torch.testing.assert_close(output.state.y, expected.y)
    torch.testing.assert_close(output.state.z, expected.z)
    assert output.logits.shape == (2, 12, 7)
    assert output.halt.tolist() == [-5.0, -5.0]  # published initialisation: never halt


def test_only_the_last_recursion_carries_gradient() -> None:
    torch.manual_seed(0)
    question = torch.randint(0, 7, (2, 12))
    one, two = (build(TOKENS.changed(T=T), PLAIN).double() for T in (1, 2))
    two.load_state_dict(one.state_dict())
    with torch.no_grad():
        middle = one.recursion(one.frame.embed(question, None), one.start(2))
    one(middle, question).logits.square().sum().backward()
    two(two.start(2), question).logits.square().sum().backward()
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixer": "magic"}, "mixer 'magic' is unknown"),
        ({"mixer": "groups"}, "needs constraint groups"),
        ({"mixer": "local"}, "mixer 'local' has no puzzle embeddings and no positions"),
        ({"width": 30}, "multiple of twice the heads"),
    ],
)
def test_impossible_configurations_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        build(TOKENS.changed(**change), PLAIN)
