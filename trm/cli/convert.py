"""`trm import`, `trm export` and `trm push`: published checkpoints, files for other programs, and the hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trm.cli import names
from trm.cli.app import ModelArgument, app
from trm.errors import BadInput
from trm.files import check_writable


@app.command(
    "import",
    examples=[
        "trm import model.safetensors --out mlp",
        "trm import sapientinc/HRM-checkpoint-sudoku-extreme --file checkpoint --out hrm",
        "trm import step_723914 --task arc-agi-2 --identifiers identifiers.json --out arc",
    ],
)
def import_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="State dict of a published TRM or HRM: a .safetensors file, the index of several, a torch file; or, "
            "with --file, OWNER/NAME of a repository on the Hugging Face hub",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the model to; it must not hold a model or a run")],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help="Task of the model [default: the published task with as many tokens]",
            autocompletion=names.any_of(*names.SIZED),
        ),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", help="The checkpoint's path in the repository that SOURCE names")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Commit, branch or tag of it [default: the newest commit]")
    ] = None,
    identifiers: Annotated[
        str | None,
        typer.Option(
            "--identifiers",
            help="For ARC: identifiers.json of the data set that the model was trained on, a file here or, with "
            "--file, in the repository",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting that the file does not hold, as KEY=VALUE: heads, T, n, positions, puzzle_tokens or "
            "max_steps; may be given several times [default: as published]",
        ),
    ] = None,
) -> None:
    """Convert a published checkpoint to a model folder. Settings that had to be assumed are printed.

    With --file the checkpoint is downloaded from the hub first, which needs pip install 'trm[hub]'.
    """
    from trm.hub import fetch
    from trm.store.published import download, import_file
    from trm.store.stored import HUB_NAME, check_new

    given: dict[str, int | str] = {}
    for setting in settings or []:
        key, sign, value = setting.partition("=")
        if not sign:
            raise BadInput(f"--set {setting}: write key=value, for example --set n=6")
        given[key] = int(value) if value.isdecimal() and len(value) < 10 else value
    check_new(out)  # before anything is downloaded
    if file is None:
        if revision is not None:
            raise BadInput("--revision is for a repository on the hub: give --file too")
        if not Path(source).exists() and HUB_NAME.fullmatch(source):
            raise BadInput(f"{source}: no such file; of a repository on the hub --file says which file is meant")
        path, origin = Path(source), None
    elif not HUB_NAME.fullmatch(source):
        raise BadInput(f"{source} is no repository on the hub, which --file is for: write OWNER/NAME")
    else:
        path, origin = download(source, file, revision), f"{source}/{file}"
    names_file = None if identifiers is None else Path(identifiers)
    if identifiers is not None and file is not None and not Path(identifiers).exists():
        names_file = fetch(source, identifiers, "model", revision)
    result = import_file(path, out, task, origin, names_file, **given)
    print(f"imported to {out}", file=sys.stderr)
    if result.assumed:
        listed = ", ".join(f"{key}={value}" for key, value in result.assumed.items())
        print(f"not in the file, so assumed as published: {listed}; change with --set", file=sys.stderr)


@app.command("export", examples=["trm export sudoku --to sudoku.onnx", "trm export runs/mine --to mine.safetensors"])
def export_command(
    model: ModelArgument,
    to: Annotated[
        Path,
        typer.Option("--to", help="File to write: .onnx for onnxruntime, .safetensors, or any other name for torch"),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help="For .onnx: a task of another size, such as sudoku-6x6 [default: the model's own]",
            autocompletion=names.any_of(*names.SIZED),
        ),
    ] = None,
) -> None:
    """Write a model to a file for other programs.

    An .onnx file holds one supervision step; docs/export.md says how to use it. Models whose networks take turns cannot
    be written this way. Any other file holds the state dict of a TRM or HRM under the published names, which trm import
    and the published code can read.
    """
    from trm.store.stored import check_not_ours
    from trm.terminal.console import report_written

    check_not_ours(to, "--to")
    check_writable(to)
    if to.suffix == ".onnx":
        from trm.store.onnx_export import export_onnx
        from trm.tasks import get_task

        export_onnx(model, to, None if task is None else get_task(task).spec)
        report_written(to)
        report_written(to.with_suffix(".json"))
        return
    if task is not None:
        raise BadInput("--task is for a file that ends in .onnx; a state dict has no size")
    from trm.store.published import export_file

    export_file(model, to)
    report_written(to)


@app.command("push", examples=["trm push runs/mine OWNER/NAME --private", "trm push runs/mine OWNER/NAME --dry-run"])
def push_command(
    model: ModelArgument,
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the Hugging Face hub")],
    licence: Annotated[
        str, typer.Option("--license", help="Licence of the weights, as the hub names it")
    ] = "apache-2.0",
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the model card and write nothing")] = False,
) -> None:
    """Write a model to the Hugging Face hub, with a card.

    The card has the model's figures with rows and intervals, the training command and the licence. The figures are
    those that trm compare has kept beside the weights. Log in first with hf auth login, or set HF_TOKEN; this needs pip
    install 'trm[hub]'. trm solve --weights OWNER/NAME uses such a model, and so does trm.load.
    """
    from trm.analysis.publish import model_card, push

    if dry_run:
        print(model_card(model, repo, licence), end="")
    else:
        print(push(model, repo, licence, private))
