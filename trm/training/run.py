"""A training run in its folder: start or resume, report, check on held-out puzzles, save, stop cleanly."""

from __future__ import annotations

import json
import os
import platform
import shlex
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock, Timeout
from pydantic import ValidationError

from trm.devices import pick_device
from trm.errors import BadInput, TrmError
from trm.files import write_text
from trm.inference.evaluation import Evaluation, evaluate_model
from trm.remarks import report
from trm.store.stored import CHECKPOINT, check_free, load, save_model
from trm.tasks import get_task
from trm.tasks.base import Puzzles, Task
from trm.tasks.text import quoted
from trm.training import checkpoint, distributed
from trm.training.boards import RUN_ID, check_board
from trm.training.commands import RECORD, DataPaths
from trm.training.config import RENAMED, RunConfig
from trm.training.datasets import described, held_out, task_of, training_set
from trm.training.log import LOG, trim_log
from trm.training.presets import get_preset
from trm.training.report import Reporter
from trm.training.totals import Totals
from trm.training.trainer import NonFinite, Trainer, settled
from trm.version import __version__


def train(
    config: RunConfig | str | None,
    out: str | Path,
    name: str = "",
    minutes: float | None = None,
    resume: bool = False,
    command: str = "",
    device: torch.device | None = None,
    data: str | None = None,
) -> bool:
    """Train a model to the end, or until SIGTERM or Ctrl-C. Call it on every rank.

    Args:
        config: the run's settings, or the name of a preset; None: those of the folder's checkpoint (with `resume`).
        out: the run's folder.
        name: what the trained model is called [default: as the folder].
        minutes: choose `config.updates` to take about this long, after a short measurement.
        resume: continue from the folder's checkpoint.
        command: what the user typed, for the record.
        device: where to train; None: the best there is.
        data: with `resume`: where the data of the run is now; None: where it was.

    Returns:
        Whether the run did its last update.

    Raises:
        BadInput: a folder in use or already holding a run, or nothing to resume.
        TrmError: a damaged checkpoint, other data than the run began with, or a loss that is not finite.
    """
    device, out = device or pick_device(), Path(out)
    config = get_preset(config).config if isinstance(config, str) else config
    name = name or out.name
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        if distributed.rank() == 0:
            lock.acquire(timeout=0)
        if resume:
            return Run.resumed(out, command, device, data).to_the_end()
        assert config is not None
        return Run.started(config, out, name, minutes, command, device).to_the_end()
    except Timeout:
        raise BadInput(f"{out} is in use by another training process; wait for it or choose another --out") from None
    finally:
        lock.release()


@dataclass
class Run:
    """A run that is under way, in this process."""

    trainer: Trainer
    config: RunConfig  # as it was asked for; the trainer's names its files by absolute paths where that is needed
    paths: DataPaths
    task: Task
    out: Path
    name: str
    about: dict[str, Any]  # the record of how it was trained: command, data, versions, machine
    held_out: Puzzles | None  # what training is checked with; None: it is not
    seconds: float = 0.0  # of training, all sessions together
    stopping: bool = False

    @classmethod
    def started(
        cls, config: RunConfig, out: Path, name: str, minutes: float | None, command: str, device: torch.device
    ) -> Run:
        """A new run in the folder `out`; see `train`."""
        check_free(out)
        check_board(config.report)
        task = task_of(config)
        puzzles = training_set(config, task)
        config = settled(config, device)
        if minutes is not None:
            config = config.changed(updates=updates_for(minutes, config, task, puzzles, device))
        trainer = Trainer(config, task, puzzles, device)
        self = cls.opened(trainer, config, DataPaths.of(config), puzzles, out, name, command)
        if config.init:
            began = load(config.init, task.spec)
            self.trainer.start_from(began.model)
            self.about["init"] = {"name": began.name, **began.about}
        if distributed.rank() == 0:
            (out / RUN_ID).unlink(missing_ok=True)  # of a run that ended before its first checkpoint
        self.begin_files()
        return self

    @classmethod
    def resumed(cls, out: Path, command: str, device: torch.device, data: str | None = None) -> Run:
        """The run in the folder `out`, as it was at its checkpoint; `data`: see `train`."""
        content = checkpoint.load(out)
        config, paths = saved_config(content["config"], out), DataPaths.read(content.get("paths"))
        check_board(config.report)
        if data is not None:
            config = config.changed(data=data)
            paths = replace(paths, data=DataPaths.of(config).data)
        located = paths.applied(config)
        task = task_of(config)
        puzzles = known_data(located, task, content["about"]["data"]["sha256"], out)
        trainer = Trainer(located, task, puzzles, device)
        try:
            checkpoint.check(content["trainer"], trainer)
        except checkpoint.Damage as error:
            raise checkpoint.damaged(out, str(error)) from None
        trainer.load_state_dict(content["trainer"])
        if trainer.update_count >= config.updates:
            more = f"trm train {content['name']} --set {shlex.quote(f'init={out}')} --out OTHER"
            report(f"this run is finished; to train on from its weights: {more}")
        self = cls.opened(trainer, config, DataPaths.of(located), puzzles, out, content["name"], command)
        self.seconds = content["seconds"]
        self.about |= {key: value for key, value in content["about"].items() if key in ("command", "init")}
        self.begin_files()
        return self

    @classmethod
    def opened(
        cls, trainer: Trainer, config: RunConfig, paths: DataPaths, puzzles: Puzzles, out: Path, name: str, command: str
    ) -> Run:
        """A run with nothing written yet."""
        task = task_of(config)
        about = {
            "command": command,
            "data": described(config, puzzles),
            "trm": __version__,
            "torch": str(torch.__version__),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {trainer.device.type}",
            "processes": distributed.world(),
            "threads": torch.get_num_threads(),
        }
        checked = 0 < config.check_every <= config.updates
        held = held_out(trainer.config, task).take(slice(0, config.check_rows)) if checked else None
        return cls(trainer, config, paths, task, out, name, about, held)

    def begin_files(self) -> None:
        """Write down the settings, and cut off what was logged after the checkpoint."""
        if distributed.rank() == 0:
            trim_log(self.out / LOG, self.trainer.update_count)
            launch = {key: self.about[key] for key in ("processes", "threads")}
            record = {"name": self.name, "run": self.config.model_dump(), "launch": launch, "paths": asdict(self.paths)}
            write_text(self.out / RECORD, json.dumps(record, indent=1) + "\n")

    def to_the_end(self) -> bool:
        """Do update after update, with reports, checks and checkpoints in between. -> whether the last one was done"""
        trainer, config = self.trainer, self.trainer.config
        parent, saved = os.getppid(), trainer.update_count
        restore = catch_signals(self.request_stop)
        try:
            with self.reporter() as reporter:
                while trainer.update_count < config.updates and not self.should_stop(parent):
                    began = time.perf_counter()
                    trainer.update()
                    done, ended = trainer.update_count, trainer.update_count == config.updates
                    totals = self.gather_totals() if done % config.log_every == 0 or ended else None
                    self.seconds += time.perf_counter() - began  # with the totals, for which a GPU is waited for
                    if totals is not None:
                        reporter.totals(done, self.seconds, totals)
                    if config.check_every and done % config.check_every == 0:
                        reporter.check(done, self.seconds, self.check())
                    if config.keep_every and done % config.keep_every == 0:
                        self.save_weights(self.out / f"update-{done}")
                    if done % config.save_every == 0 and not ended:
                        saved = self.save()
            self.save()
        except NonFinite as error:
            last = f"the checkpoint of update {saved} in {self.out} is intact" if saved else "no checkpoint was due yet"
            hint = "start a new run in another --out with a lower learning rate (--set lr=...) or --set clip=1"
            hint += f"; --set {shlex.quote(f'init={self.out}')} begins with the weights so far" if saved else ""
            raise TrmError(f"the loss is not finite at update {error.update}; {last}; {hint}") from None
        finally:
            restore()
        return trainer.update_count >= config.updates

    def reporter(self) -> Reporter:
        """Raises TrmError on rank 0 if it cannot start, and SystemExit on the other ranks."""
        fault: TrmError | None = None
        try:
            found = Reporter(self.out / LOG, self.trainer.config, self.trainer.update_count, distributed.rank() == 0)
        except TrmError as error:
            fault = error
        if distributed.summed(torch.tensor(int(fault is not None))).item():
            raise fault or SystemExit(1)  # rank 0 says why
        return found

    def request_stop(self) -> None:
        self.stopping = True

    def should_stop(self, parent: int) -> bool:
        """Whether any rank was told to stop, or lost the process that started it. The same answer on every rank."""
        alone = distributed.world() > 1 and os.getppid() != parent
        return bool(distributed.summed(torch.tensor([float(self.stopping or alone)])).item())

    def gather_totals(self) -> Totals:
        """The sums since the last report over all ranks; they start again from zero. Raises NonFinite."""
        self.trainer.check_finite()
        totals = self.trainer.totals.over_ranks()
        self.trainer.totals = Totals()
        return totals

    def check(self) -> Evaluation | None:
        """Evaluate the averaged weights on the held-out puzzles, shared out over ranks. Only rank 0 uses the result."""
        config, model = self.trainer.config, self.trainer.model
        self.trainer.check_finite()
        assert self.held_out is not None
        mine = self.held_out.take(slice(distributed.rank(), None, distributed.world()))
        with self.trainer.ema.applied(model):
            model.eval()
            part = evaluate_model(model, self.task, mine, config.max_steps, device=self.trainer.device)
            model.train()

        def total(count: int) -> int:
            return int(distributed.summed(torch.tensor(count)).item())

        def totals(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            summed: npt.NDArray[np.int64] = distributed.summed(torch.from_numpy(counts)).numpy()
            return summed

        return Evaluation(
            rows=total(part.rows),
            cells=total(part.cells),
            exact=totals(part.exact),
            cell=totals(part.cell),
            valid=totals(part.valid),
            halted_exact=total(part.halted_exact),
            halted_steps=total(part.halted_steps),
            seconds=part.seconds,
            extra={name: totals(counts) for name, counts in part.extra.items()},
        )

    def save(self) -> int:
        """Write the checkpoint and the averaged model. -> the number of updates done

        Raises NonFinite, and writes nothing, where a loss was not finite.
        """
        trainer = self.trainer
        trainer.check_finite()
        state = trainer.state_dict()
        if distributed.rank() == 0:
            content = {
                "config": self.config.model_dump_json(),
                "paths": asdict(self.paths),
                "name": self.name,
                "about": self.about_now(),
                "seconds": self.seconds,
                "trainer": state,
            }
            checkpoint.save(self.out, content)
        self.save_weights(self.out)
        return trainer.update_count

    def save_weights(self, folder: Path) -> None:
        """Write the averaged model. Raises NonFinite."""
        trainer, config = self.trainer, self.config
        trainer.check_finite()
        if distributed.rank() == 0:
            about = {**self.about_now(), "run": config.model_dump()}
            with trainer.ema.applied(trainer.model):
                save_model(folder, trainer.model, config.model, self.task.spec, self.name, about)

    def about_now(self) -> dict[str, Any]:
        return {**self.about, "update": self.trainer.update_count, "seconds": round(self.seconds, 1)}


def saved_config(text: str, out: Path) -> RunConfig:
    """The configuration in a checkpoint. Says on standard error which settings have a new name.

    Raises TrmError for damaged settings, and for one that this version does not know.
    """
    try:
        values = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise checkpoint.damaged(out, "config is not the settings of a run") from None
    for old in sorted(RENAMED.keys() & values.keys()):
        report(f"{out} is from an older version: its setting {old} is now {RENAMED[old]}")
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        where = quoted(".".join(map(str, error.errors()[0]["loc"])))[1:-1]
        wrote = "was written by another version of this program"
        raise TrmError(f"{out}: {CHECKPOINT} {wrote}; this version does not accept its setting {where}") from None


def known_data(config: RunConfig, task: Task, sha256: str, out: Path) -> Puzzles:
    """The puzzles that the run in `out` trains on, whose digest is `sha256`. Raises BadInput that says how to go on."""
    try:
        puzzles = training_set(config, task)
    except BadInput as error:
        raise BadInput(f"{error}; --data names the place where the data of {out} is now") from None
    if described(config, puzzles)["sha256"] != sha256:
        raise BadInput(
            f"{out} was trained on other data than {config.data} now holds; give --data with the same puzzles, or "
            "start a new run in another --out"
        )
    return puzzles


def catch_signals(action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` on SIGTERM and Ctrl-C instead of dying. -> a function that restores the old handlers"""
    old = {name: signal.signal(name, lambda *_: action()) for name in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for name, handler in old.items():
            signal.signal(name, handler)

    return restore


def updates_for(minutes: float, config: RunConfig, task: Task, puzzles: Puzzles, device: torch.device) -> int:
    """How many updates fit in `minutes`, measured on trainers that are thrown away, one for each stage."""
    plan, seconds = config.plan(), 0.0
    budget = min(15.0, 0.1 * minutes * 60) / len(plan)
    for share, part in zip(config.shares(), plan, strict=True):
        own = part.task == config.task
        one = task if own else get_task(part.task)
        trainer = Trainer(part, one, puzzles if own else training_set(part, one, again=True), device)
        try:
            seconds += share * seconds_per_update(trainer, budget)
        except NonFinite:
            raise TrmError(
                "the loss is not finite in the first updates: lower the learning rate (--set lr=...)"
            ) from None
    return max(1, round(minutes * 60 / seconds))


def seconds_per_update(trainer: Trainer, budget: float) -> float:
    """Measured for about `budget` seconds."""
    for _ in range(3):
        trainer.update()  # the first updates compile and allocate
    trainer.check_finite()  # waits for a GPU
    began, count = time.perf_counter(), 0
    while True:
        trainer.update()
        count += 1
        # Every rank must stop measuring at the same update: rank 0's clock decides.
        late = time.perf_counter() - began > budget and distributed.rank() == 0
        if distributed.summed(torch.tensor([float(late)])).item():
            break
    trainer.check_finite()  # waits for a GPU
    spent = time.perf_counter() - began if distributed.rank() == 0 else 0.0
    return float(distributed.summed(torch.tensor([spent], dtype=torch.float64)).item()) / count
