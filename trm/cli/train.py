"""`trm train` and `trm describe`."""

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

StructureOption = Annotated[
    Path | None, typer.Option("--structure", help="Of the preset custom: a TOML or JSON file, see docs/custom.md.")
]


@app.command()
def train(
    preset: Annotated[str, typer.Argument(help="A preset's name; `trm train list` shows them.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; may be repeated.")] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="A CSV, embedded, hub, generated (mazes); of ARC a folder; of custom an .npz."),
    ] = None,
    structure: StructureOption = None,
    updates: Annotated[int | None, typer.Option("--updates", help="Updates of the weights.", min=1)] = None,
    steps: Annotated[int | None, typer.Option("--steps", hidden=True, min=1)] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="About this long instead.", min=0.01)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder; else runs/PRESET.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
    procs: Annotated[int, typer.Option("--procs", help="Local processes; 0: what the preset suits.", min=0)] = 0,
    threads: ThreadsOption = 0,
) -> None:
    """Train a model, or go on with one. Stop it with Ctrl-C whenever you like: --resume goes on from there."""
    from trm.training.presets import PRESETS, get_preset, table

    if preset == "list":
        table(PRESETS)
        return
    chosen = get_preset(preset)
    if steps is not None:
        if updates is not None:
            raise BadInput("--steps is the old name of --updates: give one of them")
        report_rename("--steps", "--updates")
        updates = steps
    if updates is not None and minutes is not None:
        raise BadInput("give --updates or --minutes, not both")
    if resume and (settings or data or structure or updates or minutes):
        own = "--set, --data, --structure, --updates and --minutes"
        raise BadInput(f"--resume goes on with the run's own settings: leave out {own}")
    config = chosen.config if resume else configure(chosen.config, settings or [], data, structure, updates)
    folder = out or Path("runs") / preset
    if not resume and config.data not in ("", "embedded", "generated", "hub"):
        if not Path(config.data).exists():
            hint = f" ({chosen.note})" if config.data == chosen.config.data else ""
            raise BadInput(f"cannot read {config.data!r}: No such file or directory{hint}")
        check_outside(folder, config.data)
    check_folder(folder, resume)

    ranked = "RANK" in os.environ
    if not ranked and (count := processes(procs, chosen.procs)) > 1:
        from trm.training.distributed import launch

        if not resume and config.batch % count:
            raise BadInput(f"batch {config.batch} does not divide over {count} processes; --set batch=... or --procs 1")
        raise typer.Exit(launch(count, sys.argv[1:]))

    from trm.training import distributed
    from trm.training.run import run

    set_threads(threads or max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    with distributed.joined() as device:
        finished = run(
            None if resume else config, folder, preset, minutes, resume, shlex.join(["trm", *sys.argv[1:]]), device
        )
        first = distributed.rank() == 0
    if first and finished:
        print(f"trained: {folder} (weights in model.safetensors); next: trm eval {folder}", file=sys.stderr)
    elif first:
        print(f"stopped; go on with: trm train {preset} --out {folder} --resume", file=sys.stderr)
    if ranked:
        # DistributedDataParallel leaves gloo's threads behind, and one that lets go of a tensor while the interpreter
        # shuts down aborts the process: rarely, and all is written by now, so there is nothing to shut down for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(not finished)
    if not finished:
        raise typer.Exit(1)


def configure(
    config: RunConfig, settings: list[str], data: str | None, structure: Path | None, updates: int | None = None
) -> RunConfig:
    """The preset with the command line's changes."""
    from trm.training.config import override
    from trm.training.custom import custom_run

    config = custom_run(config, data, structure)
    if data is not None:
        settings = [*settings, f"data={data}"]
    if updates is not None:
        settings = [*settings, f"updates={updates}"]
    return override(config, settings)


def check_folder(folder: Path, resume: bool) -> None:
    """The errors worth finding before processes are started."""
    from trm.store.stored import CHECKPOINT, check_free

    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file; name a folder")
    if not resume:
        check_free(folder)
    elif not (folder / CHECKPOINT).is_file():
        raise BadInput(f"{folder} holds no {CHECKPOINT}: nothing to resume; give the --out of an earlier run")
    check_writable(folder / CHECKPOINT)


def processes(asked: int, suited: int) -> int:
    """How many ranks to start: what was asked for, else what suits the preset on this machine's cores."""
    if asked:
        return asked
    from trm.devices import pick_device

    return min(suited, os.cpu_count() or 1) if pick_device().type == "cpu" else 1
