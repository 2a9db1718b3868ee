"""`trm eval`: a model on puzzles."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from trm.cli import names
from trm.cli.app import (
    BatchOption,
    Command,
    DataOption,
    GuessesOption,
    JsonOption,
    LimitOption,
    ModelArgument,
    NoiseOption,
    PrecisionOption,
    RestartsOption,
    SkipOption,
    StepsOption,
    ThreadsOption,
    app,
    chosen_rows,
    refuse,
    set_threads,
)
from trm.devices import check_precision
from trm.errors import BadInput

ARC_OPTIONS = ("--votes", "--submission", "--pool")


class EvalCommand(Command):
    """Refuses options from when `trm eval` was also for language models and ARC, and names the new command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        refuse_old_spelling(args)
        return super().parse_args(ctx, args)


def refuse_old_spelling(arguments: Sequence[str]) -> None:
    """Raise BadInput with the new command where an option has moved to a command of its own."""
    options = [argument.partition("=")[0] for argument in arguments]
    if "--llm" in options:
        raise BadInput("--llm is a command of its own now: trm eval-llm URL --model NAME ...")
    for option in ARC_OPTIONS:
        if option in options:
            raise BadInput(f"{option} is for ARC models: {shlex.join(('trm', 'eval-arc', *arguments))}")


@app.command(
    "eval",
    cls=EvalCommand,
    examples=[
        "trm eval sudoku-mini --data minimal --steps 32",
        "trm eval runs/mine --data puzzles.csv --until sure --json",
    ],
)
def eval_command(
    ctx: typer.Context,
    model: ModelArgument,
    data: DataOption = "embedded",
    steps: StepsOption = 16,
    limit: LimitOption = 0,
    skip: SkipOption = 0,
    batch: BatchOption = 16,
    restarts: RestartsOption = None,
    noise: NoiseOption = None,
    guesses: GuessesOption = None,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            help="When a puzzle is done: valid (its answer is right by the rules), sure (the model is confident), halt "
            "(the model would halt in training) or end (after all steps)",
            autocompletion=names.any_of("end", "valid", "sure", "halt"),
        ),
    ] = "end",
    png: Annotated[
        Path | None, typer.Option("--png", help="Draw accuracy against steps in this file; needs matplotlib")
    ] = None,
    as_json: JsonOption = False,
    threads: ThreadsOption = 0,
    precision: PrecisionOption = "auto",
) -> None:
    """Measure a model's accuracy on puzzles after every supervision step, with 95 % intervals.

    A puzzle that is done (--until) keeps its answer for all later steps. With --restarts, every puzzle is also solved
    from several starts, and the accuracy of the answers chosen among them is shown.

    For ARC models there is trm eval-arc, for language models trm eval-llm.
    """
    if not restarts:
        refuse(ctx, ("noise", "guesses"), "for further starts: give --restarts too")
    check_precision(precision, "--precision")
    set_threads(threads)
    from trm import store
    from trm.inference.loop import Thinking
    from trm.tasks.arc.text import VERSIONS
    from trm.terminal.evaluate import PuzzleEvalRequest, evaluate_and_print

    stored = store.load(model)
    if stored.spec.name in VERSIONS:
        raise BadInput(f"{model} solves {stored.spec.name}: trm eval-arc {shlex.quote(model)}")
    options = {"restarts": restarts, "noise": noise, "guesses": guesses}
    further: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    thinking = Thinking(steps, until=until, **further)  # type: ignore[arg-type]
    request = PuzzleEvalRequest(data, chosen_rows(skip, limit), thinking, batch, png, as_json, precision)
    evaluate_and_print(stored, request)
