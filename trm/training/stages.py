"""The stages of a run: what each of them trains with, and how its slots get new puzzles."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trm.models import TRM, State, resized, select
from trm.models.frames import TokenFrame
from trm.tasks import get_task
from trm.tasks.base import Puzzles, Task
from trm.tasks.sampler import Sampler
from trm.training import distributed
from trm.training.config import RunConfig
from trm.training.datasets import make_sampler, training_set
from trm.training.draws import carry_draw, halting_draws, start_noise
from trm.training.halting import exploration
from trm.training.hints import Hints
from trm.training.optim import SignSgd
from trm.training.slots import Slots
from trm.training.transfer import to_device

# `forward_sync_buffers` is new in torch 2.13. The older argument turns the same off, and more that is of no use here.
NEW = "forward_sync_buffers" in signature(DistributedDataParallel).parameters
UNSYNCED: dict[str, Any] = {"forward_sync_buffers" if NEW else "broadcast_buffers": False}


@dataclass(frozen=True)
class PlannedStage:
    """A stage before training enters it."""

    config: RunConfig  # the run's settings as they are in this stage
    task: Task
    puzzles: Puzzles
    model: TRM  # the run's weights in a model for puzzles of the stage's size


@dataclass
class ActiveStage:
    """Everything that depends on the stage which training is in."""

    config: RunConfig
    model: TRM
    network: nn.Module  # `model`, compiled and averaging gradients over ranks where the run has that
    sampler: Sampler
    slots: Slots
    sign_sgd: SignSgd | None  # for the model's puzzle embeddings
    hints: Hints | None

    def starting_states(self, part: slice, state: State) -> State:
        """`state` [slots of part], with the slots that have halted reset for their next puzzle. Changes no slot.

        A reset slot begins at the model's initial state, with noise if the run has `start_noise`, or keeps the final
        state of its previous puzzle (see `carry`).
        """
        halted = self.slots.halted[part].clone()  # autograd keeps it until the backward pass, and the slots change
        rows = self.slots.ended(part)
        if not rows:
            return state
        start = self.noisy(self.model.start(len(halted)), part, rows)
        return select(halted, select(self.carried(part, rows), state.detach(), start), state)

    def carried(self, part: slice, rows: list[int]) -> Tensor:
        """Which of these rows of `part` start their next puzzle from their present state. -> [slots of part] bool"""
        config, slots = self.config, self.slots
        kept = torch.zeros_like(slots.halted[part])
        if config.carry:
            taken = slots.taken_here[part].tolist()
            for row in rows:
                kept[row] = carry_draw(config.seed, slots.first + part.start + row, taken[row]) < config.carry
        return kept & (slots.steps[part] > 0)  # an empty slot has no state yet

    def noisy(self, start: State, part: slice, rows: list[int]) -> State:
        """`start` [slots of part] with noise in these rows, where the run has it."""
        config, slots = self.config, self.slots
        if not config.start_noise:
            return start
        y, z = start.y.clone(), start.z.clone()
        sizes, taken = [y[0].numel(), z[0].numel()], slots.taken_here[part].tolist()
        for row in rows:
            drawn = start_noise(config.seed, slots.first + part.start + row, taken[row], sum(sizes), y.device).to(y)
            for values, noise in zip((y, z), torch.split(drawn, sizes), strict=True):
                values[row] += config.start_noise * noise.view_as(values[row])
        return State(y, z)

    def refill(self, part: slice, progress: float) -> None:
        """Give every halted slot of `part` its next puzzle; `progress` is the share of the run's updates done."""
        slots = self.slots
        numbers = [part.start + row for row in slots.ended(part)]
        if not numbers:
            return
        taken = slots.taken_here[numbers].tolist()
        draws = [self.sampler.draw(slots.first + i, count, progress) for i, count in zip(numbers, taken, strict=True)]
        slots.put(numbers, draws)
        if self.hints:
            for number, draw in zip(numbers, draws, strict=True):
                self.hints.take(number, draw.question, draw.answer)

    def fewest_steps(self, part: slice, update: int, number: int) -> Tensor:
        """Supervision steps that each sequence of `part` has to do before it may halt. -> [slots of part]

        Drawn anew for each supervision step of an update, `number` from 0.
        """
        config, first = self.config, self.slots.first + part.start
        count = len(self.slots.halted[part])
        if config.early_halt == 1:
            return torch.full((count,), config.max_steps, device=self.slots.steps.device)
        draws = halting_draws(config.seed, update * config.window + number, config.batch)[first : first + count]
        device = self.slots.steps.device
        if device.type == "mps":  # it has no float64
            return exploration(torch.from_numpy(draws), config.max_steps, config.explore).to(device)
        return exploration(to_device(draws, device), config.max_steps, config.explore)

    def restore(self, content: dict[str, Tensor]) -> None:
        """Go on with the slots of a checkpoint."""
        self.slots = slots = self.slots.restored(content)
        if self.hints:
            for number in (~slots.halted).nonzero().flatten().tolist():
                question, answer = slots.question[number].cpu().numpy(), slots.answer[number].cpu().numpy()
                self.hints.take(number, question, answer)


def plan_stages(config: RunConfig, task: Task, puzzles: Puzzles, model: TRM) -> list[PlannedStage]:
    """The stages of a run, that of its own `task` last.

    Raises BadInput for a stage without such a task or without puzzles, or with another puzzle size where the model's
    weights depend on it.
    """
    stages = []
    for part in config.plan():
        if part.task == config.task:
            stages.append(PlannedStage(part, task, puzzles, model))
        else:
            other = get_task(part.task)
            other_model = resized(model, other.spec)
            stages.append(PlannedStage(part, other, training_set(part, other, again=True), other_model))
    return stages


def enter(stage: PlannedStage, taken: Tensor | None = None) -> ActiveStage:
    """What this rank trains with in `stage`. All slots are empty; `taken` [slots] puzzles have been taken by each."""
    config, model, cells = stage.config, stage.model, stage.task.spec.cells
    embedding = model.frame.puzzle if isinstance(model.frame, TokenFrame) else None
    network = cast(nn.Module, torch.compile(model)) if config.compile else model
    if distributed.world() > 1:
        # Buffers (an embedding table may be large) stay equal since every rank does the same to them.
        network = DistributedDataParallel(network, **UNSYNCED)
    # The next puzzle of a slot depends on how many it has taken.
    slots = Slots.empty(model.start(config.batch // distributed.world()), cells, taken)
    return ActiveStage(
        config=config,
        model=model,
        network=network,
        sampler=make_sampler(config, stage.task, stage.puzzles),
        slots=slots,
        sign_sgd=SignSgd(embedding, config.puzzle_lr, config.puzzle_weight_decay) if embedding else None,
        hints=Hints(stage.task, config.model, len(slots), cells, slots.y.device) if config.model.hints else None,
    )
