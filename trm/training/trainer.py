"""The training loop: deep supervision over a batch whose finished sequences are replaced as they halt."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.parallel import DistributedDataParallel

from trm.errors import BadInput
from trm.models import Output, State, build, resized, select
from trm.models.frames import TokenFrame
from trm.tasks import get_task
from trm.tasks.base import Puzzles, Task
from trm.training import distributed
from trm.training.config import RunConfig
from trm.training.datasets import make_sampler, training_set
from trm.training.ema import Ema
from trm.training.halting import exploration, halted
from trm.training.hints import Hints
from trm.training.losses import limited, step_loss
from trm.training.optim import SignSgd, make_optimizers, schedule
from trm.training.sampler import carry_draw, halting_draws, start_noise


@dataclass
class Slots:
    """This rank's part of the running batch, one puzzle a slot."""

    question: Tensor  # [slots, cells]
    answer: Tensor  # [slots, cells]
    ids: Tensor  # [slots], puzzle-embedding rows
    steps: Tensor  # [slots], supervision steps done on the puzzle
    taken: Tensor  # [slots], puzzles the slot has taken so far
    halted: Tensor  # [slots] bool: takes a new puzzle at the next step
    y: Tensor  # [slots, ...]
    z: Tensor  # [slots, ...]


@dataclass
class Totals:
    """Sums since the last report. Accuracy counts sequences that halted, as the published training log does."""

    loss: float = 0.0
    halt_loss: float = 0.0
    sequences: float = 0.0
    finished: float = 0.0
    exact: float = 0.0
    steps: float = 0.0
    hint_loss: float = 0.0

    def add(self, values: Tensor) -> None:
        for field, value in zip(fields(self), values.tolist(), strict=True):
            setattr(self, field.name, getattr(self, field.name) + value)


class NonFinite(Exception):
    """The loss, or its gradient, is not a number any more."""


class Trainer:
    """Model, optimisers and running batch of one rank. `advance` is the algorithm; the rest is bookkeeping."""

    slots: Slots

    def __init__(self, config: RunConfig, task: Task, puzzles: Puzzles, device: torch.device) -> None:
        if config.batch % distributed.world():
            raise BadInput(
                f"batch {config.batch} does not divide over {distributed.world()} processes; --set batch=..."
            )
        self.config, self.device, self.step = config, device, 0
        self.task, self.puzzles = task, puzzles
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        torch.set_float32_matmul_precision("high" if config.precision == "tf32" else "highest")
        torch.manual_seed(config.seed)  # the same initial weights on every rank
        self.whole = build(config.model, task.spec).to(device, self.dtype)  # for `task`; `model` shares its weights
        self.ema = Ema(self.whole, config.ema)
        self.optimizers = make_optimizers(self.whole, config.optimizer, config.lr, config.betas, config.weight_decay)
        self.totals = Totals()
        self.stages = [self.prepared(stage.task) for stage in config.plan()]  # what cannot be done is said now
        self.stage = -1
        self.enter_stage()

    def prepared(self, name: str) -> tuple[Task, Puzzles]:
        """A stage's task and puzzles. Raises BadInput where there are none, or the model cannot be of that size."""
        if name == self.config.task:
            return self.task, self.puzzles
        task = get_task(name)
        resized(self.whole, task.spec)
        return task, training_set(self.config, task)

    def enter_stage(self) -> None:
        """Go over to the stage that the next step belongs to, unless that is the present one: every slot starts anew
        there; weights, averages and optimisers go on.
        """
        config, number = self.config, self.config.stage_at(self.step)
        if number == self.stage:
            return
        self.now = config.plan()[number]
        task, puzzles = self.stages[number]
        self.model = self.whole if task is self.task else resized(self.whole, task.spec)
        self.sampler = make_sampler(config, task, puzzles)
        frame = self.model.frame
        embedding = frame.puzzle if isinstance(frame, TokenFrame) else None
        self.sign_sgd = SignSgd(embedding, config.puzzle_lr, config.puzzle_weight_decay) if embedding else None
        net = cast(nn.Module, torch.compile(self.model)) if config.compile else self.model
        # Buffers (an embedding table may be large) are kept equal by every rank doing the same to them.
        self.net = DistributedDataParallel(net, forward_sync_buffers=False) if distributed.world() > 1 else net
        slots = self.empty_slots(config.batch // distributed.world(), task.spec.cells)
        if self.stage >= 0:
            slots.taken = self.slots.taken  # what a slot takes next depends on how many it has taken
        self.stage, self.slots = number, slots
        count = len(slots.steps)
        self.hints = Hints(task, config.model, count, task.spec.cells, self.device) if config.model.hints else None

    def start_from(self, other: nn.Module) -> None:
        """Take another model's weights, buffers and initial states. Raises BadInput where the shapes differ."""
        mine, theirs = self.model.state_dict(), other.state_dict()
        for name in sorted(mine.keys() | theirs.keys()):
            shapes = [tuple(tensors[name].shape) if name in tensors else "missing" for tensors in (mine, theirs)]
            if shapes[0] != shapes[1]:
                raise BadInput(f"init: tensor {name} is {shapes[1]} in that model and {shapes[0]} in this one")
        self.model.load_state_dict(theirs)
        self.ema = Ema(self.model, self.config.ema)

    def empty_slots(self, count: int, cells: int) -> Slots:
        """Every slot halted, so that the first step fills it."""

        def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=self.device)

        start = self.model.start(count)
        return Slots(
            question=zeros(count, cells, dtype=torch.uint8),
            answer=zeros(count, cells, dtype=torch.uint8),
            ids=zeros(count),
            steps=zeros(count),
            taken=zeros(count),
            halted=torch.ones(count, dtype=torch.bool, device=self.device),
            y=start.y.contiguous(),
            z=start.z.contiguous(),
        )

    # -- one optimiser step ------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Run `window` supervision steps on every slot, refilling those that halt, and learn from them all at once."""
        config, slots = self.config, self.slots
        factor = schedule(self.step, config.steps, config.warmup, config.lr_floor)
        measured = torch.zeros(len(fields(Totals)), dtype=torch.float64)
        count = len(slots.steps)
        size = config.micro or count
        for start in range(0, count, size):
            part = slice(start, min(start + size, count))
            last = part.stop == count
            # Gradients are averaged over ranks once, after the last part.
            wait = contextlib.nullcontext() if last or distributed.world() == 1 else self.net.no_sync()  # type: ignore[operator]
            with wait:
                measured += self.learn(part)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if not torch.isfinite(distributed.summed(torch.stack([*measured[:2], norm.cpu().double()]))).all():
            raise NonFinite  # before the weights are touched
        if config.clip:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), config.clip, norm)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = config.lr * factor
            optimizer.step()
            optimizer.zero_grad()
        if self.sign_sgd:
            self.sign_sgd.step(config.puzzle_lr * factor)
        self.ema.update(self.model)
        self.totals.add(measured)
        self.step += 1
        self.enter_stage()

    def refill(self, part: slice, state: State) -> State:
        """Give every halted slot of `part` its next puzzle. -> `state`, there the initial one or one carried over"""
        slots, over = self.slots, self.slots.halted[part].clone()  # kept by the graph
        rows = over.nonzero().flatten().tolist()
        start = self.model.start(len(over))
        if rows:
            start, left = self.noisy(start, part, rows), state.detach()
            start = select(self.carried(part, rows), left, start)
            self.take([part.start + row for row in rows])
        slots.steps[part] = slots.steps[part].masked_fill(over, 0) + 1
        return select(over, start, state)

    def carried(self, part: slice, rows: list[int]) -> Tensor:
        """Which of these rows of `part` start their next puzzle from the state they have. -> [slots of part] bool"""
        slots, config = self.slots, self.config
        kept = torch.zeros_like(slots.halted[part])
        if config.carry:
            first_slot = distributed.rank() * len(slots.steps) + part.start
            for row in rows:
                draw = carry_draw(config.seed, first_slot + row, int(slots.taken[part.start + row]))
                kept[row] = draw < config.carry
        return kept & (slots.steps[part] > 0)  # an empty slot has no state yet

    def take(self, numbers: list[int]) -> None:
        """Put the next puzzle into each of these slots."""
        slots, first_slot = self.slots, distributed.rank() * len(self.slots.steps)
        taken, progress = slots.taken[numbers].tolist(), self.step / self.config.steps
        draws = [self.sampler.draw(first_slot + i, count, progress) for i, count in zip(numbers, taken, strict=True)]
        # All at once: a copy for each puzzle is what a GPU would wait for.
        slots.question[numbers] = torch.from_numpy(np.stack([draw.question for draw in draws])).to(slots.question)
        slots.answer[numbers] = torch.from_numpy(np.stack([draw.answer for draw in draws])).to(slots.answer)
        slots.ids[numbers] = torch.tensor([draw.id for draw in draws], device=self.device)
        slots.taken[numbers] += 1
        if self.hints:
            for i, draw in zip(numbers, draws, strict=True):
                self.hints.take(i, draw.question, draw.answer)

    def noisy(self, start: State, part: slice, rows: list[int]) -> State:
        """`start` with noise in these rows of `part`, where the run has it."""
        config = self.config
        if not config.start_noise:
            return start
        start = State(start.y.clone(), start.z.clone())
        parts = (start.y, start.z)
        sizes = [values[0].numel() for values in parts]
        first_slot, taken = distributed.rank() * len(self.slots.steps) + part.start, self.slots.taken[part].tolist()
        for row in rows:
            drawn = start_noise(config.seed, first_slot + row, taken[row], sum(sizes), self.device).to(start.y)
            for values, noise in zip(parts, torch.split(drawn, sizes), strict=True):
                values[row] += config.start_noise * noise.view_as(values[row])
        return start

    def learn(self, part: slice) -> Tensor:
        """Forward and backward for the slots of `part`; stores their new state. -> the sums of `Totals`"""
        config, slots = self.now, self.slots
        state, loss = State(slots.y[part], slots.z[part]), torch.zeros((), dtype=self.dtype, device=self.device)
        measured = torch.zeros(len(fields(Totals)), dtype=torch.float64)
        for turn in range(config.window):
            state = self.refill(part, state)
            question, ids, steps = slots.question[part], slots.ids[part].clone(), slots.steps[part]
            with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                output: Output = self.net(state, question, ids)
            output = output.to(self.dtype)
            answer = slots.answer[part]
            target = self.hints.target(part, question, answer, steps) if self.hints else None
            losses = step_loss(output, answer, self.model.first_token, config.loss, target)
            state, halt_loss = output.state, losses.halt
            if config.continue_loss:
                assert output.resume is not None
                resume = self.continue_target(state, question, ids, steps)
                halt_loss = halt_loss + bce(output.resume, resume, reduction="none")
            hinted = torch.zeros_like(halt_loss)
            if self.hints:
                assert output.hints is not None
                hinted = self.hints.loss(part, output.hints, steps)
            answer_loss = limited(losses.answer, config.loss_limit) if config.loss_limit else losses.answer
            loss = loss + (answer_loss + config.halt_weight * halt_loss + config.hint_weight * hinted).sum()
            draws = self.halting_draws(turn)[part]
            least = exploration(draws, config.max_steps, config.explore).to(self.device)
            least = least if config.early_halt else torch.full_like(least, config.max_steps)
            stop = halted(output, steps, config.max_steps, least, config.continue_loss)
            slots.halted[part] = stop
            # A row with nothing to score says nothing of accuracy.
            counted = stop & (answer != 0).any(-1)
            right, done = losses.exact & counted, steps * counted
            values = (losses.answer, halt_loss, torch.ones_like(stop), counted, right, done, hinted)
            measured += torch.stack([value.detach().to(self.dtype) for value in values]).cpu().double().sum(-1)
        torch.autograd.backward(loss / (config.window * len(slots.steps)))
        slots.y[part], slots.z[part] = state.y.detach(), state.z.detach()
        return measured

    @torch.no_grad()
    def continue_target(self, state: State, question: Tensor, ids: Tensor, steps: Tensor) -> Tensor:
        """Q-learning's bootstrapped value of going on, from one more step (HRM, section 2.4). -> [slots]"""
        later: Output = self.model(state, question, ids)
        assert later.resume is not None
        best = torch.where(steps >= self.now.max_steps, later.halt, torch.maximum(later.halt, later.resume))
        return best.sigmoid()

    def halting_draws(self, turn: int) -> Tensor:
        """This rank's rows of the uniform draws for one supervision step of the window. -> [slots, 2], on the CPU"""
        number = self.step * self.now.window + turn
        draws = torch.from_numpy(halting_draws(self.config.seed, number, self.config.batch))
        count = len(self.slots.steps)
        return draws[distributed.rank() * count : (distributed.rank() + 1) * count]

    # -- saving and restoring ----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, the same whatever the number of ranks. Call it on every rank."""
        slots = {field.name: distributed.gathered(getattr(self.slots, field.name)) for field in fields(Slots)}
        totals = distributed.summed(torch.tensor(list(vars(self.totals).values()), dtype=torch.float64)).tolist()
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "ema": self.ema.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "slots": slots,
            "totals": dict(zip(vars(self.totals), totals, strict=True)),
        }

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Go on from `state_dict()`'s content. Works with another number of ranks."""
        self.step = content["step"]
        self.enter_stage()
        self.model.load_state_dict(content["model"])
        for name, value in self.ema.average.items():
            value.copy_(content["ema"][name])
        for optimizer, state in zip(self.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        count = len(self.slots.steps)
        part = slice(distributed.rank() * count, (distributed.rank() + 1) * count)
        self.slots = Slots(**{name: value[part].to(self.device).clone() for name, value in content["slots"].items()})
        if self.hints:
            for slot in (~self.slots.halted).nonzero().flatten().tolist():
                question, answer = (tokens[slot].cpu().numpy() for tokens in (self.slots.question, self.slots.answer))
                self.hints.take(slot, question, answer)
        self.totals = Totals(**content["totals"]) if distributed.rank() == 0 else Totals()  # they are of all ranks
