"""`trm train`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trm.cli import names
from trm.cli.app import Command, ThreadsOption, app, set_threads
from trm.errors import BadInput
from trm.files import check_outside, check_writable, path_fault, short
from trm.launch import launched
from trm.remarks import LAUNCHED, report_rename

if TYPE_CHECKING:
    from trm.training.config import RunConfig
    from trm.training.presets import Preset

PresetArgument = Annotated[
    str,
    typer.Argument(metavar="PRESET", help="A preset's name; `trm train list` shows them", autocompletion=names.presets),
]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the run as key=value, such as lr=0.001; repeatable")
]
StructureOption = Annotated[
    Path | None, typer.Option("--structure", help="For the preset custom: a TOML or JSON file, see docs/custom.md")
]


LONGEST = 366 * 24 * 60  # minutes of --minutes


class TrainCommand(Command):
    trains = True


@app.command(
    cls=TrainCommand,
    examples=[
        "trm train list",
        "trm train sudoku-mini --out runs/mine",
        "trm train sudoku-mini --out runs/mine --resume",
    ],
)
def train(
    preset: PresetArgument,
    settings: SettingsOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="A CSV file, embedded, hub or generated (mazes); for ARC a folder of tasks, for custom an .npz or CSV "
            "file [default: the preset's]",
            autocompletion=names.any_of_or_file("embedded", "hub", "generated"),
        ),
    ] = None,
    structure: StructureOption = None,
    updates: Annotated[
        int | None, typer.Option("--updates", help="Updates of the weights [default: the preset's]", min=1)
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", hidden=True, min=1)] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", help="Train for about this long, instead of --updates", min=0.01, max=LONGEST),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder [default: runs/PRESET]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in the run's folder")] = False,
    procs: Annotated[
        int, typer.Option("--procs", help="Local processes; 0: as many as suit preset and machine", min=0)
    ] = 0,
    threads: ThreadsOption = 0,
) -> None:
    """Train a model, or continue a run. Stop it with Ctrl-C at any time: --resume continues from there."""
    from trm.training.commands import Launch, read_launch, resume_command
    from trm.training.presets import get_preset

    if preset == "list":
        list_presets()
        return
    chosen, folder = get_preset(preset), out or Path("runs") / preset
    updates = updates_asked(updates, steps, minutes)
    if resume:
        if settings or structure or updates or minutes:
            fixed = "--set, --structure, --updates and --minutes"
            raise BadInput(f"--resume goes on with the run's own settings: leave out {fixed}")
        config = None
    else:
        config = configure(chosen.config, settings or [], data, structure, updates)
        check_data(config, folder, chosen)
    check_folder(folder, resume)
    own = read_launch(folder) if resume else Launch()
    if launched() or (count := processes(procs, chosen.procs, own.processes)) == 1:
        go_on = resume_command(chosen.name, folder, procs, threads)
        train_here(config, folder, chosen.name, go_on, minutes, threads or own.threads, data)
        return
    from trm.training.distributed import launch

    batch = own.batch if config is None else config.batch
    if batch % count:
        hint = "--procs with a number that divides it" if resume else "--set batch=... or --procs 1"
        raise BadInput(f"batch {batch} does not divide over {count} processes; {hint}")
    raise typer.Exit(launch(count, sys.argv[1:]))


def list_presets() -> None:
    from trm.terminal.console import plain_console
    from trm.terminal.presets import show_presets
    from trm.training.presets import PRESETS

    show_presets(PRESETS.values(), plain_console())


def updates_asked(updates: int | None, steps: int | None, minutes: float | None) -> int | None:
    """The number of updates that the options ask for, where they do; `steps` is the old name of `updates`."""
    if steps is not None:
        if updates is not None:
            raise BadInput("--steps is the old name of --updates: give one of them")
        report_rename("--steps", "--updates")
        updates = steps
    if updates is not None and minutes is not None:
        raise BadInput("give --updates or --minutes, not both")
    return updates


def configure(
    config: RunConfig, settings: list[str], data: str | None, structure: Path | None, updates: int | None = None
) -> RunConfig:
    """A preset's configuration with the command line's changes."""
    from trm.training.config import override
    from trm.training.presets import custom_run

    config = custom_run(config, data, structure)
    if data is not None:
        settings = [*settings, f"data={data}"]
    if updates is not None:
        settings = [*settings, f"updates={updates}"]
    return override(config, settings)


def check_data(config: RunConfig, folder: Path, preset: Preset) -> None:
    """Raises BadInput if what the run begins with does not exist, or if the run's folder lies inside the data's."""
    from trm.training.commands import NO_PATHS

    if config.init:
        from trm.store import find

        find(config.init)
    for path in (config.data, config.arc.extra):
        fault = None if path in NO_PATHS else path_fault(path)
        if fault or not (path in NO_PATHS or Path(path).exists()):
            hint = f" ({preset.note})" if path == preset.config.data else ""
            raise BadInput(f"cannot read {short(path)!r}: {fault or 'No such file or directory'}{hint}")
    if config.data in NO_PATHS:
        return
    check_outside(folder, config.data)


def check_folder(folder: Path, resume: bool) -> None:
    """Raises BadInput for a folder that cannot hold the run, before any process is started."""
    from trm.store.stored import CHECKPOINT, check_free

    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file; name a folder")
    if not resume:
        check_free(folder)
    elif not (folder / CHECKPOINT).is_file():
        raise BadInput(f"{folder} holds no {CHECKPOINT}: nothing to resume; give the --out of an earlier run")
    check_writable(folder / CHECKPOINT)


def processes(asked: int, suited: int, own: int = 0) -> int:
    """How many processes to start: as many as asked for, else as the resumed run had (`own`; 0: it is not known), else
    as suit the preset and this machine's cores.
    """
    if asked or own == 1:
        return asked or own
    import torch

    from trm.devices import pick_device

    if pick_device().type == "cpu":
        return own or min(suited, os.cpu_count() or 1)
    return own if own <= torch.cuda.device_count() and own else 1


def train_here(
    config: RunConfig | None,
    folder: Path,
    name: str,
    go_on: str,
    minutes: float | None,
    threads: int,
    data: str | None,
) -> None:
    """Train in this process, which may be one of several. Exits with 1 where the run was stopped.

    Args:
        config: the run's; None: continue the run in the folder.
        folder: the run's.
        name: the preset's.
        go_on: the command that continues the run, if it is stopped.
        minutes: see `trm.training.run.train`.
        threads: of this process; 0: its share of the cores.
        data: where the data of a run that is continued lies now; None: where it was.
    """
    from trm.training import distributed
    from trm.training.commands import eval_command
    from trm.training.run import train

    process = launched()
    set_threads(threads or max(1, (os.cpu_count() or 1) // (process.local_world if process else 1)))
    command = shlex.join(["trm", *sys.argv[1:]])
    resume = config is None
    with distributed.joined() as device:
        finished = train(config, folder, name, minutes, resume, command, device, data if resume else None)
        first = distributed.rank() == 0
    if first and finished:
        step = eval_command(folder)
        remark = f"{step.remark}; " if step.remark else ""
        print(f"trained: {folder} (weights in model.safetensors); {remark}next: {step.command}", file=sys.stderr)
    elif first:
        by = "torchrun as before, and " if process and LAUNCHED not in os.environ else ""
        print(f"stopped; go on with: {by}{go_on}", file=sys.stderr)
    if process:
        # DistributedDataParallel leaves threads of gloo behind, and one that frees a tensor while the interpreter shuts
        # down aborts the process. This is rare. Everything is written by now, so the shutdown is skipped.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(not finished)
    if not finished:
        raise typer.Exit(1)
