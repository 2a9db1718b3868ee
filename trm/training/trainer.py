"""The training loop: deep supervision over a batch whose sequences are replaced as they halt."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.utils._triton import has_triton

from trm.errors import BadInput
from trm.models import Output, State, build
from trm.models.config import log_odds
from trm.models.precision import pick_precision, set_precision
from trm.tasks.base import Puzzles, Task
from trm.training import distributed
from trm.training.config import RunConfig
from trm.training.ema import Ema
from trm.training.halting import halted
from trm.training.losses import limited, step_loss
from trm.training.optim import make_optimizers, schedule
from trm.training.stages import enter, plan_stages
from trm.training.totals import Sums, Totals

NEVER = 2**62  # no update has this number


class NonFinite(Exception):
    """The loss, or its gradient, is infinite or not a number."""

    def __init__(self, update: int) -> None:
        super().__init__(f"not finite at update {update}")
        self.update = update  # the first one, from 1


class Losses(NamedTuple):
    """The losses of one supervision step, [slots] each."""

    total: Tensor  # what is minimised: the weighted sum of the others
    answer: Tensor  # without `loss_limit`
    halt: Tensor
    hint: Tensor
    exact: Tensor  # bool: every scored cell is right


def settled(config: RunConfig, device: torch.device) -> RunConfig:
    """The same settings with the precision `auto` replaced by the faster one here; rank 0 decides for all ranks."""
    if config.precision != "auto":
        return config
    faster = pick_precision("auto", device, config.model.width) == "bfloat16"
    return config.changed(precision="bfloat16" if of_rank_0(faster) else "float32")


def of_rank_0(choice: bool) -> bool:
    """The choice of rank 0, on every rank."""
    return bool(distributed.summed(torch.tensor(int(choice and distributed.rank() == 0))).item())


class Trainer:
    """The training of one rank. `update` is the algorithm, in the order in which things happen.

    Args:
        config: the run's settings.
        task: the run's own task; stages may have others.
        puzzles: what is trained on, of that task.
        device: where the model is trained.

    Raises BadInput where the batch, a stage or the model does not suit the rest.
    """

    def __init__(self, config: RunConfig, task: Task, puzzles: Puzzles, device: torch.device) -> None:
        ranks = distributed.world()
        if config.batch % ranks:
            raise BadInput(f"batch {config.batch} does not divide over {ranks} processes; --set batch=...")
        config = settled(config, device)
        if config.compile == "auto":  # not in `settled`, so that a run may go on where there is no compiler
            config = config.changed(compile=of_rank_0(device.type == "cuda" and has_triton()))
        self.config, self.device = config, device
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        torch.set_float32_matmul_precision("high" if config.precision == "tf32" else "highest")
        torch.manual_seed(config.seed)  # the same initial weights on every rank
        self.model = build(config.model, task.spec).to(device, self.dtype)
        set_precision(self.model, "bfloat16" if config.precision == "bfloat16" else "float32")
        self.ema = Ema(self.model, config.ema)
        self.optimizers = make_optimizers(self.model, config.optimizer, config.lr, config.betas, config.weight_decay)
        self.stages = plan_stages(config, task, puzzles, self.model)  # all of them now, so that errors are found early
        self.update_count = 0
        self.stage_number = config.stage_at(0)
        self.stage = enter(self.stages[self.stage_number])
        self.sums = Sums(device)  # since the last report
        self.first_bad = torch.tensor(NEVER, device=device)  # the first update that was not finite

    @property
    def totals(self) -> Totals:
        """What was summed up since the last report. Reading it waits for the device."""
        return self.sums.read()

    @totals.setter
    def totals(self, totals: Totals) -> None:
        self.sums.set(totals)

    # -- one update --------------------------------------------------------------------------------------------------

    def update(self) -> None:
        """Do `window` supervision steps on every slot, then change the weights once.

        A GPU is waited for only until it has done the previous forward pass, which says which slots halt.
        `check_finite` and `totals` read the results.
        """
        loss, count = torch.zeros((), dtype=self.dtype, device=self.device), len(self.stage.slots)
        size = self.config.micro or count
        for start in range(0, count, size):
            part = slice(start, min(start + size, count))
            with self.averaging(last=part.stop == count):
                loss += self.learn(part)
        norm = nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
        bad = ~(loss.isfinite() & norm.isfinite())
        self.first_bad = torch.where(bad & (self.first_bad == NEVER), self.update_count + 1, self.first_bad)
        self.optimise(norm)
        self.ema.update(self.model)
        self.update_count += 1
        self.enter_stage()

    def check_finite(self) -> None:
        """Raise NonFinite if some update on any rank was not finite. Weights that came after it are worth nothing."""
        first = int(distributed.smallest(self.first_bad.cpu()).item())
        if first != NEVER:
            raise NonFinite(first)

    def averaging(self, last: bool) -> contextlib.AbstractContextManager[object]:
        """Within it, a backward pass averages the gradients over ranks only if it is the `last` one of the update."""
        wait = distributed.world() > 1 and not last
        return cast(Any, self.stage.network).no_sync() if wait else contextlib.nullcontext()

    def learn(self, part: slice) -> Tensor:
        """Do the supervision steps of one update on the slots of `part`, and the backward pass through all of them.

        Slots that halt take a new puzzle at the next step. -> a number that is finite only if every loss is
        """
        stage, config, slots = self.stage, self.stage.config, self.stage.slots
        state = slots.state(part)
        loss = torch.zeros((), dtype=self.dtype, device=self.device)
        parts = loss.clone()  # `loss_limit` would hide an infinite loss of the answer
        for number in range(config.window):
            state = stage.starting_states(part, state)
            stage.refill(part, self.update_count / config.updates)
            slots.steps[part] += 1
            output = self.forward(part, state)
            losses = self.losses(part, output)
            loss = loss + losses.total.sum()
            parts += (losses.answer + losses.halt).detach().sum()
            fewest = stage.fewest_steps(part, self.update_count, number)
            above = log_odds(config.early_halt)
            stop = halted(output, slots.steps[part], config.max_steps, fewest, config.continue_loss, above)
            slots.halt(part, stop)
            self.count(part, losses, stop)
            state = output.state
        torch.autograd.backward(loss / (config.window * len(slots)))
        slots.store(part, state)
        return loss.detach() + parts

    def forward(self, part: slice, state: State) -> Output:
        """One supervision step on the slots of `part`, from `state`."""
        slots = self.stage.slots
        ids = slots.ids[part].clone()  # a copy: needed until the update, and before that slots may take new puzzles
        output: Output = self.stage.network(state, slots.question[part], ids)
        return output.to(self.dtype)

    def losses(self, part: slice, output: Output) -> Losses:
        """The losses of a supervision step on the slots of `part`."""
        config, slots, hints = self.stage.config, self.stage.slots, self.stage.hints
        question, answer, steps = slots.question[part], slots.answer[part], slots.steps[part]
        target = hints.target(part, question, answer, steps) if hints else None
        step = step_loss(output, answer, self.stage.model.first_token, config.loss, target)
        halt = step.halt
        if config.continue_loss:
            assert output.resume is not None
            goal = self.continue_target(output.state, question, slots.ids[part], steps)
            halt = halt + bce(output.resume, goal, reduction="none")
        hint = torch.zeros_like(halt)
        if hints:
            assert output.hints is not None
            hint = hints.loss(part, output.hints, steps)
        limit = config.loss_limit
        total = limited(step.answer, limit) if limit else step.answer
        total = total + config.halt_weight * halt + config.hint_weight * hint
        return Losses(total, step.answer, halt, hint, step.exact)

    @torch.no_grad()
    def continue_target(self, state: State, question: Tensor, ids: Tensor, steps: Tensor) -> Tensor:
        """Q-learning's bootstrapped value of going on, from one more step (HRM, section 2.4). -> [slots of part]"""
        later: Output = self.stage.model(state, question, ids)
        assert later.resume is not None
        last = steps >= self.stage.config.max_steps
        return torch.where(last, later.halt, torch.maximum(later.halt, later.resume)).sigmoid()

    def count(self, part: slice, losses: Losses, stop: Tensor) -> None:
        """Add a supervision step to the totals; `stop` [slots of part] says which sequences end with it."""
        slots = self.stage.slots
        finished = stop & (slots.answer[part] != 0).any(-1)  # a sequence with no scored cell says nothing of accuracy
        self.sums.add(
            loss=losses.answer,
            halt_loss=losses.halt,
            sequences=torch.ones_like(stop),
            finished=finished,
            exact=losses.exact & finished,
            steps=slots.steps[part] * finished,
            hint_loss=losses.hint,
        )

    def optimise(self, norm: Tensor) -> None:
        """Change the weights by their gradients, whose norm is `norm`, and clear the gradients."""
        config = self.config
        factor = schedule(self.update_count, config.updates, config.warmup, config.lr_floor)
        if config.clip:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), config.clip, norm)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = config.lr * factor
            optimizer.step()
            optimizer.zero_grad()
        if self.stage.sign_sgd:
            self.stage.sign_sgd.step(config.puzzle_lr * factor)

    def enter_stage(self) -> None:
        """Go on to the stage of the next update, if it is another. Its slots are empty at first.

        Weights, weight average and optimisers go on.
        """
        number = self.config.stage_at(self.update_count)
        if number != self.stage_number:
            self.stage_number, self.stage = number, enter(self.stages[number], self.stage.slots.taken)

    # -- saving and restoring ----------------------------------------------------------------------------------------

    def start_from(self, other: nn.Module) -> None:
        """Take another model's weights, buffers and initial states. Raises BadInput where the shapes differ."""
        mine, theirs = self.model.state_dict(), other.state_dict()
        for name in sorted(mine.keys() | theirs.keys()):
            shapes = [tuple(tensors[name].shape) if name in tensors else "missing" for tensors in (mine, theirs)]
            if shapes[0] != shapes[1]:
                raise BadInput(f"init: tensor {name} is {shapes[1]} in that model and {shapes[0]} in this one")
        self.model.load_state_dict(theirs)
        self.ema = Ema(self.model, self.config.ema)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next update depends on, the same for any number of ranks. Call it on every rank."""
        return {
            "update": self.update_count,
            "model": self.model.state_dict(),
            "ema": self.ema.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "slots": self.stage.slots.gathered(),
            "totals": vars(self.totals.over_ranks()),
        }

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Go on from the content of `state_dict()`, with any number of ranks now."""
        self.update_count = content["update"] if "update" in content else content["step"]  # its former name
        self.enter_stage()
        self.model.load_state_dict(content["model"])
        for name, value in self.ema.average.items():
            value.copy_(content["ema"][name])
        for optimizer, saved in zip(self.optimizers, content["optimizers"], strict=True):
            # Their settings are those of the run; torch would take over whatever else the file has.
            optimizer.load_state_dict({**optimizer.state_dict(), "state": saved["state"]})
        self.stage.restore(content["slots"])
        self.totals = Totals(**content["totals"]) if distributed.rank() == 0 else Totals()  # sums over all ranks
