"""The command line. Imports of torch and everything built on it wait until a command needs them."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trm.errors import BadInput, TrmError
from trm.version import __version__

if TYPE_CHECKING:
    from trm.config import RunConfig

app = typer.Typer(
    name="trm",
    help="Tiny Recursive Models: train, evaluate and use small networks that solve hard puzzles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point of the `trm` command: every expected failure is one line on standard error and an exit code."""
    try:
        try:
            app(prog_name="trm")  # `python -m trm` too
        finally:
            sys.stdout.flush()  # here, where a reader that has left can still be dealt with, and not at exit
    except TrmError as error:
        print("trm:", " ".join(str(error).splitlines()), file=sys.stderr)  # a file's name may hold anything
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has left; Python would complain about the rest of the output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        print(f"trm {__version__}")
        raise typer.Exit


DEFAULT_WEIGHTS = {"sudoku": "sudoku-extreme-cpu"}  # for `trm solve`
WeightsOption = Annotated[
    str | None, typer.Option("--weights", help="A shipped model's name, or a run's folder [default: what ships].")
]
RestartsOption = Annotated[int, typer.Option("--restarts", help="Further starts, each from another state.", min=0)]
NoiseOption = Annotated[float, typer.Option("--noise", help="How different those starts are.", min=0)]
ThreadsOption = Annotated[int, typer.Option("--threads", help="Threads a process; 0: the cores shared out.", min=0)]


@app.command()
def train(
    preset: Annotated[str, typer.Argument(help="A preset's name; `trm train list` shows them.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; may be repeated.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="A CSV of puzzles and answers, embedded, or hub.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps.", min=1)] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="About this long instead.", min=0.01)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder [default: runs/PRESET].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
    procs: Annotated[int, typer.Option("--procs", help="Local processes; 0: what the preset suits.", min=0)] = 0,
    threads: ThreadsOption = 0,
) -> None:
    """Train a model, or go on with one. Stop it with Ctrl-C whenever you like: --resume goes on from there."""
    from trm.presets import PRESETS, get_preset, table

    if preset == "list":
        table(PRESETS)
        return
    chosen = get_preset(preset)
    config = configure(chosen.config, settings or [], data, steps)
    if steps is not None and minutes is not None:
        raise BadInput("give --steps or --minutes, not both")
    if resume and (settings or data or steps or minutes):
        raise BadInput("--resume goes on with the run's own settings: leave out --set, --data, --steps and --minutes")
    folder = out or Path("runs") / preset
    check_folder(folder, resume)

    ranked = "RANK" in os.environ
    if not ranked and (count := processes(procs, chosen.procs)) > 1:
        from trm.launch import launch

        if not resume and config.batch % count:
            raise BadInput(f"batch {config.batch} does not divide over {count} processes; --set batch=... or --procs 1")
        raise typer.Exit(launch(count, sys.argv[1:]))

    from trm import ranks
    from trm.run import run

    set_threads(threads or max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    with ranks.joined() as device:
        finished = run(
            None if resume else config, folder, preset, minutes, resume, shlex.join(["trm", *sys.argv[1:]]), device
        )
        first = ranks.rank() == 0
    if first and finished:
        print(f"trained: {folder} (weights in model.safetensors); next: trm eval {folder}", file=sys.stderr)
    elif first:
        print(f"stopped; go on with: trm train {preset} --out {folder} --resume", file=sys.stderr)
    if not finished:
        raise typer.Exit(1)


def configure(config: RunConfig, settings: list[str], data: str | None, steps: int | None) -> RunConfig:
    """The preset with the command line's changes."""
    from trm.config import override

    if data is not None:
        settings = [*settings, f"data={data}"]
    if steps is not None:
        settings = [*settings, f"steps={steps}"]
    return override(config, settings)


def check_folder(folder: Path, resume: bool) -> None:
    """The errors worth finding before processes are started."""
    from trm import checkpoint

    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file; name a folder")
    there = (folder / checkpoint.NAME).is_file()
    if resume and not there:
        raise BadInput(f"{folder} holds no {checkpoint.NAME}: nothing to resume; give the --out of an earlier run")
    if there and not resume:
        raise BadInput(f"{folder} already holds a run; go on with --resume, or choose another --out")


def processes(asked: int, suited: int) -> int:
    """How many ranks to start: what was asked for, else what suits the preset on this machine's cores."""
    if asked:
        return asked
    from trm.ranks import pick_device

    return min(suited, os.cpu_count() or 1) if pick_device().type == "cpu" else 1


def set_threads(count: int) -> None:
    import torch

    if count:
        torch.set_num_threads(count)


@app.command()
def describe(
    preset: Annotated[str, typer.Argument(help="A preset's name; `trm train list` shows them.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    threads: ThreadsOption = 0,
) -> None:
    """What a preset is, what it costs, and how long it would take on this machine."""
    from trm.presets import get_preset

    chosen = get_preset(preset)
    run = configure(chosen.config, settings or [], None, None)
    set_threads(threads)
    from rich.console import Console

    from trm import describe as about
    from trm.ranks import pick_device

    found = about.facts(chosen, run, about.matrix_rate(pick_device()))
    if as_json:
        print(json.dumps(found))
    else:
        about.show(found, Console(highlight=False))


LLM_PANEL = "Asking a language model"
WEIGHTS_ONLY = ("steps", "batch", "threads")
LLM_ONLY = ("model", "max_tokens", "budget", "temperature", "timeout", "retries", "concurrency", "out")


def llm_option(name: str, help: str, min: float | None = None, max: float | None = None) -> Any:
    return typer.Option(name, help=help, min=min, max=max, rich_help_panel=LLM_PANEL)


@app.command("eval")
def evaluate_command(
    ctx: typer.Context,
    weights: Annotated[str | None, typer.Argument(help="A shipped model's name, or the folder of a run.")] = None,
    data: Annotated[str, typer.Option("--data", help="A CSV, or embedded, minimal.")] = "embedded",
    steps: Annotated[int, typer.Option("--steps", help="Supervision steps; may exceed those trained.", min=1)] = 16,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Only the first N rows; 0: all. With --llm 20.", min=0)
    ] = None,
    skip: Annotated[int, typer.Option("--skip", help="Leave out the first N rows.", min=0)] = 0,
    batch: Annotated[int, typer.Option("--batch", help="Puzzles at once.", min=1)] = 16,
    restarts: RestartsOption = 0,
    noise: NoiseOption = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    threads: ThreadsOption = 0,
    llm: Annotated[str | None, llm_option("--llm", "Base URL; the key, if any, from OPENAI_API_KEY.")] = None,
    model: Annotated[str | None, llm_option("--model", "As the endpoint calls it.")] = None,
    max_tokens: Annotated[int, llm_option("--max-tokens", "At most, for one answer.", 1)] = 8192,
    budget: Annotated[int, llm_option("--budget", "Tokens for all that --out holds; 0: no limit.", 0)] = 0,
    temperature: Annotated[float | None, llm_option("--temperature", "Else the server's own.", 0, 2)] = None,
    timeout: Annotated[float, llm_option("--timeout", "Seconds for one attempt.", 0.1, 86400)] = 600,
    retries: Annotated[int, llm_option("--retries", "Further attempts at a row.", 0, 20)] = 5,
    concurrency: Annotated[int, llm_option("--concurrency", "Requests at once.", 1, 64)] = 4,
    out: Annotated[Path | None, llm_option("--out", "Where replies are kept; else runs/llm-MODEL-DATA.")] = None,
) -> None:
    """Accuracy at every supervision step, with 95 % intervals and own halting; with --llm, a language model's.

    A language model is asked for the same rows in words. What it says is kept, and asking again goes on from there.
    """
    if (weights is None) == (llm is None):
        raise BadInput("a model or --llm, one of them. Usage: trm eval WEIGHTS, or trm eval --llm URL --model NAME")
    for name in LLM_ONLY if llm is None else WEIGHTS_ONLY:
        if (source := ctx.get_parameter_source(name)) is not None and source.name == "COMMANDLINE":
            whom = "only for language models (--llm)" if llm is None else "not for language models"
            raise BadInput(f"--{name.replace('_', '-')} is {whom}")
    if llm is not None:
        from trm.llm_cli import Options, evaluate_llm

        return evaluate_llm(Options(**{name: ctx.params[name] for name in Options.__dataclass_fields__}))
    assert weights is not None
    set_threads(threads)
    from trm.measuring import evaluate_and_print

    rows = slice(skip, skip + limit if limit else None)
    evaluate_and_print(weights, data, rows, steps, batch, restarts, noise, as_json)


@app.command()
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Runs' folders, names; first: the reference.")],
    data: Annotated[str, typer.Option("--data", help="A CSV, or embedded, minimal.")] = "embedded",
    steps: Annotated[int, typer.Option("--steps", help="Supervision steps; may exceed those trained.", min=1)] = 16,
    limit: Annotated[int, typer.Option("--limit", help="Only the first N rows; 0: all.", min=0)] = 0,
    skip: Annotated[int, typer.Option("--skip", help="Leave out the first N rows.", min=0)] = 0,
    batch: Annotated[int, typer.Option("--batch", help="Puzzles at once.", min=1)] = 16,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write the table to this file too.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Draw accuracy against compute; needs matplotlib.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    threads: ThreadsOption = 0,
) -> None:
    """Models side by side on the same rows: accuracy, cost, and a paired test against the first. Seeds are pooled."""
    set_threads(threads)
    from trm.compare_show import compare_and_print

    compare_and_print(models, data, steps, slice(skip, skip + limit if limit else None), batch, markdown, png, as_json)


@app.command()
def solve(
    task_name: Annotated[str, typer.Argument(metavar="TASK", help="sudoku or maze")],
    puzzle: Annotated[str, typer.Argument(help="The puzzle itself, a file, or - for standard input.")],
    weights: WeightsOption = None,
    steps: Annotated[int, typer.Option("--steps", help="From one start, at most.", min=1)] = 64,
    restarts: RestartsOption = 0,
    noise: NoiseOption = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the noise.", min=0)] = 0,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Time limit for all puzzles.", min=0.01)] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show the grid after every step.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line an answer and nothing else.")] = False,
    threads: ThreadsOption = 0,
) -> None:
    """Solve puzzles. Exit code 0 when all are solved, 1 when not, 2 when one is malformed."""
    from trm.solving import read_question, solve_and_print

    task, question = read_question(puzzle, task_name)
    if weights is None and task_name not in DEFAULT_WEIGHTS:
        raise BadInput(f"no weights for {task_name} ship with this version; train some and give --weights FOLDER")
    set_threads(threads)
    from trm.solver import Thinking

    thinking = Thinking(steps, restarts, noise, seed, seconds)
    if not solve_and_print(task, question, weights or DEFAULT_WEIGHTS[task_name], thinking, trace, quiet):
        raise typer.Exit(1)


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A published TRM or HRM state dict (.safetensors or a torch file).")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    task: Annotated[str | None, typer.Option("--task", help="A task's name, where the tokens do not tell.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="heads, T, n, positions, puzzle_tokens or max_steps=VALUE.")
    ] = None,
) -> None:
    """Read a published checkpoint into our format. Says what the file does not show and was assumed."""
    from trm.published import import_file

    given: dict[str, int | str] = {}
    for setting in settings or []:
        key, sign, value = setting.partition("=")
        if not sign:
            raise BadInput(f"--set {setting}: write key=value, for example --set n=6")
        given[key] = int(value) if value.isdigit() else value
    result = import_file(file, out, task, **given)
    print(f"imported to {out}", file=sys.stderr)
    if result.assumed:
        listed = ", ".join(f"{key}={value}" for key, value in result.assumed.items())
        print(f"not in the file, so assumed as published: {listed}; change with --set", file=sys.stderr)


@app.command("export")
def export_command(
    weights: Annotated[str, typer.Argument(help="A shipped model's name, or the folder of a run.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write; a torch file unless it ends in .safetensors.")],
) -> None:
    """Write a TRM or HRM as a published state dict, which `trm import` and the published code read."""
    from trm.published import export_file

    export_file(weights, to)


data_app = typer.Typer(help="Make puzzles.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("sudoku")
def data_sudoku(
    out: Annotated[Path, typer.Argument(help="The CSV to write (source,question,answer,rating).")],
    kind: Annotated[str, typer.Option("--kind", help="extreme (hard by search effort) or minimal.")] = "extreme",
    rows: Annotated[int, typer.Option("--rows", help="How many.", min=1)] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    compare: Annotated[Path | None, typer.Option("--compare", help="Rate this CSV too and print both.")] = None,
) -> None:
    """Make Sudokus with one solution and print the quantiles of their search effort."""
    from trm.making import make_sudokus

    make_sudokus(out, kind, rows, seed, compare)


@data_app.command("maze")
def data_maze(
    out: Annotated[Path, typer.Argument(help="The CSV to write (source,question,answer,rating).")],
    kind: Annotated[str, typer.Option("--kind", help="hard (as the benchmark's) or perfect (no loops).")] = "hard",
    rows: Annotated[int, typer.Option("--rows", help="How many.", min=1)] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    height: Annotated[int, typer.Option("--height", min=2, max=100)] = 30,
    width: Annotated[int, typer.Option("--width", min=2, max=100)] = 30,
    least: Annotated[int | None, typer.Option("--least", help="Moves from S to G at least.", min=1)] = None,
    compare: Annotated[Path | None, typer.Option("--compare", help="Describe this file too.")] = None,
) -> None:
    """Make mazes with the benchmark's answers and print quantiles of what they are like."""
    from trm.making import make_mazes

    make_mazes(out, kind, rows, seed, height, width, least, compare)
