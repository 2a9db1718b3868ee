"""The state between supervision steps: what is done to it is done to all of its parts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trm.models.base import Output, State, join, select


def made(batch: int, counted: bool, first: int = 0) -> State:
    numbers = torch.arange(first, first + batch)
    y = numbers.view(batch, 1, 1).expand(batch, 3, 2).float()
    return State(y, -y[:, :1], 10 * numbers if counted else None)


def rows(state: State) -> list[tuple[float, ...]]:
    """Each row's numbers in y, z and, where there is one, the count; all of a part's numbers are equal."""
    parts: list[Tensor] = [state.y, state.z] + ([] if state.steps is None else [state.steps])
    for part in parts:
        assert all((row == row.flatten()[0]).all() for row in part)
    return [tuple(float(part[row].flatten()[0]) for part in parts) for row in range(len(state.y))]


def told(numbers: list[int], counted: bool) -> list[tuple[float, ...]]:
    return [(n, -n, 10 * n) if counted else (n, -n) for n in numbers]


@pytest.mark.parametrize("counted", [False, True])
def test_every_part_of_a_state_is_treated_alike(counted: bool) -> None:
    state, other = made(4, counted), made(4, counted, first=10)
    assert rows(state.take(torch.tensor([2, 0]))) == told([2, 0], counted)
    assert rows(state.take(torch.tensor([True, False, False, True]))) == told([0, 3], counted)
    assert rows(join((state, made(0, counted), other.take(torch.tensor([1]))))) == told([0, 1, 2, 3, 11], counted)
    mask = torch.tensor([True, False, True, False])
    assert rows(select(mask, state, other)) == told([0, 11, 2, 13], counted)
    assert rows(state.map(lambda part: part * 2)) == told([0, 2, 4, 6], counted)


def test_a_count_keeps_its_type_and_detaching_cuts_the_graph() -> None:
    state = made(2, counted=True)
    state = state._replace(y=state.y.clone().requires_grad_() + 0)
    assert state.y.requires_grad
    assert not state.detach().y.requires_grad
    assert rows(state.detach()) == told([0, 1], True)
    output = Output(state, torch.zeros(2, 3, 4), torch.zeros(2)).to(torch.float64)
    assert output.state.y.dtype == output.state.z.dtype == output.logits.dtype == output.halt.dtype == torch.float64
    assert output.state.steps is not None
    assert output.state.steps.dtype == torch.int64
