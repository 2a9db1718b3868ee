"""A training run in its folder: start or resume, report, look at held-out puzzles, save, stop cleanly."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from pydantic import ValidationError

from trm.devices import pick_device
from trm.errors import BadInput, TrmError
from trm.files import write_text
from trm.inference.evaluate import Evaluation, evaluate
from trm.store.stored import CHECKPOINT, check_free, load, save_model
from trm.tasks import get_task
from trm.tasks.base import Puzzles, Task
from trm.training import checkpoint, distributed
from trm.training.config import RENAMED, RunConfig
from trm.training.datasets import described, held_out, task_of, training_set
from trm.training.report import Reporter
from trm.training.trainer import NonFinite, Totals, Trainer
from trm.version import __version__

LOG = "log.jsonl"


def run(
    config: RunConfig | None,
    out: Path,
    name: str,
    minutes: float | None = None,
    resume: bool = False,
    command: str = "",
    device: torch.device | None = None,
) -> bool:
    """Train to the end, or until SIGTERM or Ctrl-C. Call it on every rank.

    Args:
        config: the run; None to take the one in the checkpoint (with `resume`).
        out: the run's folder.
        name: what the trained model is called.
        minutes: choose `config.updates` to take about this long, after a short measurement.
        resume: go on from the folder's checkpoint.
        command: what the user typed, for the record.

    Returns:
        Whether the run reached its last update.

    Raises:
        BadInput: a folder in use or already holding a run, or nothing to resume.
        TrmError: a damaged checkpoint, other data than the run began with, or a loss that is not finite.
    """
    device = device or pick_device()
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        if distributed.rank() == 0:
            lock.acquire(timeout=0)
        return Run.open(config, out, name, minutes, resume, command, device).to_the_end()
    except Timeout:
        raise BadInput(f"{out} is in use by another training process; wait for it or choose another --out") from None
    finally:
        lock.release()


@dataclasses.dataclass
class Run:
    """An opened run. `seconds` counts training over all its sessions."""

    trainer: Trainer
    task: Task
    out: Path
    name: str
    about: dict[str, Any]
    held_out: Puzzles | None  # what training is checked with; None where it is not
    seconds: float = 0.0
    stopping: bool = False

    @classmethod
    def open(
        cls,
        config: RunConfig | None,
        out: Path,
        name: str,
        minutes: float | None,
        resume: bool,
        command: str,
        device: torch.device,
    ) -> Run:
        """Build the trainer, from the folder's checkpoint if `resume`."""
        content = checkpoint.load(out) if resume else None
        if content is not None:
            config, name = saved_config(content["config"], out), content["name"]
        else:
            check_free(out)
        assert config is not None
        task = task_of(config)
        puzzles = training_set(config, task)
        if minutes is not None and content is None:
            config = config.changed(updates=updates_for(minutes, config, task, puzzles, device))
        about: dict[str, Any] = {
            "command": command,
            "data": described(config, puzzles),
            "trm": __version__,
            "torch": str(torch.__version__),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {device.type}",
            "processes": distributed.world(),
            "threads": torch.get_num_threads(),
        }
        checked = 0 < config.check_every <= config.updates
        held = held_out(config, task).take(slice(0, config.check_rows)) if checked else None
        self = cls(Trainer(config, task, puzzles, device), task, out, name, about, held)
        if config.init and content is None:
            began = load(config.init, task.spec)
            self.trainer.start_from(began.model)
            about["init"] = {"name": began.name, **began.about}
        if content is not None:
            if content["about"]["data"]["sha256"] != about["data"]["sha256"]:
                raise TrmError(f"{out} was trained on other data than {config.data} now holds; start a new run")
            self.trainer.load_state_dict(content["trainer"])
            self.seconds = content["seconds"]
            about.update((key, value) for key, value in content["about"].items() if key in ("command", "init"))
        if distributed.rank() == 0:
            trim_log(out / LOG, self.trainer.update_count)
            write_text(out / "run.json", json.dumps({"name": name, "run": config.model_dump()}, indent=1) + "\n")
        return self

    def to_the_end(self) -> bool:
        """The loop: advance, now and then report, check and save."""
        trainer, config = self.trainer, self.trainer.config
        parent, saved = os.getppid(), trainer.update_count
        restore = catch_signals(self.request_stop)
        try:
            with Reporter(self.out / LOG, config, trainer.update_count, distributed.rank() == 0) as reporter:
                while trainer.update_count < config.updates and not self.should_stop(parent):
                    began = time.perf_counter()
                    trainer.advance()
                    self.seconds += time.perf_counter() - began
                    if trainer.update_count % config.log_every == 0 or trainer.update_count == config.updates:
                        reporter.totals(trainer.update_count, self.seconds, self.gather_totals())
                    if config.check_every and trainer.update_count % config.check_every == 0:
                        reporter.check(trainer.update_count, self.seconds, self.check())
                    if config.keep_every and trainer.update_count % config.keep_every == 0:
                        self.save_weights(self.out / f"update-{trainer.update_count}")
                    if trainer.update_count % config.save_every == 0 and trainer.update_count < config.updates:
                        saved = self.save()
            self.save()
        except NonFinite:
            last = f"the checkpoint of update {saved} in {self.out} is intact" if saved else "no checkpoint was due yet"
            hint = "start anew in another --out with a lower rate (--set lr=...) or --set clip=1"
            hint += f", from the weights so far if you like (--set init={self.out})" if saved else ""
            raise TrmError(f"the loss is not finite at update {trainer.update_count + 1}; {last}; {hint}") from None
        finally:
            restore()
        return trainer.update_count >= config.updates

    def request_stop(self) -> None:
        self.stopping = True

    def should_stop(self, parent: int) -> bool:
        """Whether any rank was told to stop, or lost the process that started it. The same answer on every rank."""
        alone = distributed.world() > 1 and os.getppid() != parent
        return bool(distributed.summed(torch.tensor([float(self.stopping or alone)])).item())

    def gather_totals(self) -> Totals:
        """The sums since the last report over all ranks; they start again from zero."""
        values = distributed.summed(torch.tensor(list(dataclasses.astuple(self.trainer.totals)), dtype=torch.float64))
        self.trainer.totals = Totals()
        return Totals(*values.tolist())

    def check(self) -> Evaluation | None:
        """Averaged weights on held-out puzzles, the rows shared out over ranks. The result is rank 0's to report."""
        config, model = self.trainer.config, self.trainer.whole
        assert self.held_out is not None
        mine = self.held_out.take(slice(distributed.rank(), None, distributed.world()))
        with self.trainer.ema.applied(model):
            model.eval()
            part = evaluate(model, self.task, mine, config.max_steps, device=self.trainer.device)
            model.train()
        counts = (part.exact, part.cell, part.valid, *part.extra.values())
        sums = torch.stack([torch.from_numpy(count) for count in counts])
        rest = torch.tensor([part.rows, part.cells, part.halted_exact, part.halted_steps])
        exact, cell, valid, *more = distributed.summed(sums).numpy()
        extra = dict(zip(part.extra, more, strict=True))
        rows, cells, halted_exact, halted_steps = distributed.summed(rest).tolist()
        return Evaluation(rows, cells, exact, cell, valid, halted_exact, halted_steps, part.seconds, extra=extra)

    def save(self) -> int:
        """Write the checkpoint and the averaged model. -> the number of updates done"""
        trainer = self.trainer
        state = trainer.state_dict()
        if distributed.rank() == 0:
            content = {
                "config": trainer.config.model_dump_json(),
                "name": self.name,
                "about": self.about_now(),
                "seconds": self.seconds,
                "trainer": state,
            }
            checkpoint.save(self.out, content)
        self.save_weights(self.out)
        return trainer.update_count

    def save_weights(self, folder: Path) -> None:
        """Write the averaged model."""
        trainer, config = self.trainer, self.trainer.config
        if distributed.rank() == 0:
            about = {**self.about_now(), "run": config.model_dump()}
            with trainer.ema.applied(trainer.model):
                save_model(folder, trainer.model, config.model, self.task.spec, self.name, about)

    def about_now(self) -> dict[str, Any]:
        return {**self.about, "update": self.trainer.update_count, "seconds": round(self.seconds, 1)}


def saved_config(text: str, out: Path) -> RunConfig:
    """The configuration in a checkpoint. Says which settings have other names by now, in a line on standard error.

    Raises TrmError for a setting that this version does not know.
    """
    for old in sorted(RENAMED.keys() & json.loads(text).keys()) if distributed.rank() == 0 else ():
        print(f"trm: {out} is from an older version: its setting {old} is now {RENAMED[old]}", file=sys.stderr)
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        wrote = "was written by another version of this program"
        raise TrmError(f"{out}: {CHECKPOINT} {wrote}, whose setting {where} this one does not take") from None


def catch_signals(action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` on SIGTERM and Ctrl-C instead of dying. -> a function that restores the old handlers"""
    names = (signal.SIGTERM, signal.SIGINT)
    old = [signal.signal(name, lambda *_: action()) for name in names]

    def restore() -> None:
        for name, handler in zip(names, old, strict=True):
            signal.signal(name, handler)

    return restore


def updates_for(minutes: float, config: RunConfig, task: Task, puzzles: Puzzles, device: torch.device) -> int:
    """How many updates fit in `minutes`, measured on trainers that are thrown away, one for each stage."""
    plan, seconds = config.plan(), 0.0
    budget = min(15.0, 0.1 * minutes * 60) / len(plan)
    for share, part in zip(config.shares(), plan, strict=True):
        own = part.task == config.task
        one = task if own else get_task(part.task)
        trainer = Trainer(part, one, puzzles if own else training_set(part, one), device)
        seconds += share * seconds_per_update(trainer, budget)
    return max(1, round(minutes * 60 / seconds))


def seconds_per_update(trainer: Trainer, budget: float) -> float:
    """Measured for about `budget` seconds."""
    for _ in range(3):
        trainer.advance()  # the first updates compile and allocate
    began, count = time.perf_counter(), 0
    while True:
        trainer.advance()
        count += 1
        # Every rank must stop measuring at the same update: rank 0's clock decides.
        late = time.perf_counter() - began > budget and distributed.rank() == 0
        if distributed.summed(torch.tensor([float(late)])).item():
            break
    spent = time.perf_counter() - began if distributed.rank() == 0 else 0.0
    return float(distributed.summed(torch.tensor([spent], dtype=torch.float64)).item()) / count


def trim_log(path: Path, update: int) -> None:
    """Drop what was logged after `update`: those updates are about to be done again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
            if (record["update"] if "update" in record else record["step"]) <= update:  # "step": its former name
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue  # a line cut short by a crash
    write_text(path, "".join(kept))
