"""`trm train`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trm.cli.app import ThreadsOption, app, set_threads
from trm.errors import BadInput
from trm.files import check_outside, check_writable
from trm.renames import report_rename

if TYPE_CHECKING:
    from trm.training.config import RunConfig
    from trm.training.presets import Preset

PresetArgument = Annotated[str, typer.Argument(metavar="PRESET", help="A preset's name; `trm train list` shows them")]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the run as key=value, such as lr=0.001; repeatable")
]
StructureOption = Annotated[
    Path | None, typer.Option("--structure", help="For the preset custom: a TOML or JSON file, see docs/custom.md")
]


@app.command()
def train(
    preset: PresetArgument,
    settings: SettingsOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="A CSV file, embedded, hub or generated (mazes); for ARC a folder of tasks, for custom an .npz or CSV "
            "file [default: the preset's]",
        ),
    ] = None,
    structure: StructureOption = None,
    updates: Annotated[
        int | None, typer.Option("--updates", help="Updates of the weights [default: the preset's]", min=1)
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", hidden=True, min=1)] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Train for about this long, instead of --updates", min=0.01)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder [default: runs/PRESET]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in the run's folder")] = False,
    procs: Annotated[
        int, typer.Option("--procs", help="Local processes; 0: as many as suit preset and machine", min=0)
    ] = 0,
    threads: ThreadsOption = 0,
) -> None:
    """Train a model, or continue a run. Stop it with Ctrl-C at any time: --resume continues from there."""
    from trm.training.presets import get_preset

    if preset == "list":
        list_presets()
        return
    chosen, folder = get_preset(preset), out or Path("runs") / preset
    updates = updates_asked(updates, steps, minutes)
    if resume:
        if settings or data or structure or updates or minutes:
            own = "--set, --data, --structure, --updates and --minutes"
            raise BadInput(f"--resume goes on with the run's own settings: leave out {own}")
        config = None
    else:
        config = configure(chosen.config, settings or [], data, structure, updates)
        check_data(config, folder, chosen)
    check_folder(folder, resume)
    if "RANK" in os.environ or (count := processes(procs, chosen.procs)) == 1:
        train_here(config, folder, chosen.name, minutes, threads)
        return
    from trm.training.distributed import launch

    if config is not None and config.batch % count:
        raise BadInput(f"batch {config.batch} does not divide over {count} processes; --set batch=... or --procs 1")
    raise typer.Exit(launch(count, sys.argv[1:]))


def list_presets() -> None:
    from rich.console import Console

    from trm.terminal.presets import show_presets
    from trm.training.presets import PRESETS

    show_presets(PRESETS.values(), Console())


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
    """Raises BadInput if the data does not exist, or if the run's folder lies inside the data's."""
    if config.data in ("", "embedded", "generated", "hub"):
        return
    if not Path(config.data).exists():
        hint = f" ({preset.note})" if config.data == preset.config.data else ""
        raise BadInput(f"cannot read {config.data!r}: No such file or directory{hint}")
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


def processes(asked: int, suited: int) -> int:
    """How many processes to start: as many as asked for, else as suit the preset and this machine's cores."""
    if asked:
        return asked
    from trm.devices import pick_device

    return min(suited, os.cpu_count() or 1) if pick_device().type == "cpu" else 1


def train_here(config: RunConfig | None, folder: Path, name: str, minutes: float | None, threads: int) -> None:
    """Train in this process, which may be one of several. Exits with 1 where the run was stopped.

    Args:
        config: the run's; None: continue the run in the folder.
        folder: the run's.
        name: the preset's.
        minutes: see `trm.training.run.train`.
        threads: of this process; 0: its share of the cores.
    """
    from trm.tasks import find_family
    from trm.training import distributed
    from trm.training.presets import get_preset
    from trm.training.run import train

    set_threads(threads or max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    command = shlex.join(["trm", *sys.argv[1:]])
    with distributed.joined() as device:
        finished = train(config, folder, name, minutes, config is None, command, device)
        first = distributed.rank() == 0
    if first and finished:
        command = "trm eval-arc" if find_family(get_preset(name).config.task).votes else "trm eval"
        print(f"trained: {folder} (weights in model.safetensors); next: {command} {folder}", file=sys.stderr)
    elif first:
        print(f"stopped; go on with: trm train {name} --out {folder} --resume", file=sys.stderr)
    if "RANK" in os.environ:
        # DistributedDataParallel leaves threads of gloo behind, and one that frees a tensor while the interpreter shuts
        # down aborts the process. This is rare. Everything is written by now, so the shutdown is skipped.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(not finished)
    if not finished:
        raise typer.Exit(1)
