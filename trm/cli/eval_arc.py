"""`trm eval-arc`: ARC models on the tests of ARC tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import JsonOption, ModelArgument, ThreadsOption, app, chosen_rows, set_threads


@app.command(
    "eval-arc",
    examples=[
        "trm eval-arc runs/arc --votes 100",
        "trm eval-arc runs/arc --data challenges.json --submission submission.json",
    ],
)
def eval_arc_command(
    model: ModelArgument,
    data: Annotated[
        str,
        typer.Option("--data", help="ARC tasks: a folder, a JSON file, or embedded: the benchmark's evaluation tasks"),
    ] = "embedded",
    limit: Annotated[int, typer.Option("--limit", help="Use at most this many tasks; 0: all", min=0)] = 0,
    skip: Annotated[int, typer.Option("--skip", help="Leave out this many tasks at the start", min=0)] = 0,
    steps: Annotated[
        int | None,
        typer.Option("--steps", help="Supervision steps for every answer [default: as many as in training]", min=1),
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", help="Augmentations of a question that the model works on at once", min=1)
    ] = 16,
    votes: Annotated[
        int | None,
        typer.Option(
            "--votes",
            help="Augmentations of each question, one vote each [default: 16, or fewer where the model has fewer "
            "embeddings for a task]",
            min=1,
        ),
    ] = None,
    submission: Annotated[
        Path | None, typer.Option("--submission", help="Write the competition's submission.json to this file")
    ] = None,
    pool: Annotated[
        list[str] | None,
        typer.Option("--pool", help="Another checkpoint whose votes are added; may be given several times"),
    ] = None,
    as_json: JsonOption = False,
    threads: ThreadsOption = 0,
) -> None:
    """Measure ARC models: the share of tests that are solved by one of their first k answers (pass@k).

    Each test question is answered under several augmentations (the published evaluation uses 1,001). The augmentations
    are undone, equal answers are counted as votes, and the votes are ranked by three rules.
    """
    set_threads(threads)
    from trm.arc.evaluation import EvalRequest
    from trm.terminal.eval_arc import evaluate_and_print

    request = EvalRequest(
        models=(model, *(pool or [])),
        data=data,
        rows=chosen_rows(skip, limit),
        steps=steps,
        batch=batch,
        votes=votes,
        submission=submission,
    )
    evaluate_and_print(request, as_json)
