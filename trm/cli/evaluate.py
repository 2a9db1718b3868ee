"""`trm eval`, `trm compare` and `trm history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trm.cli.app import GuessesOption, NoiseOption, RestartsOption, ThreadsOption, app, given, refuse, set_threads
from trm.errors import BadInput

LLM_PANEL = "Asking a language model"
ARC_PANEL = "ARC models"
WEIGHTS_ONLY = ("steps", "batch", "threads", "png")
STARTS = ("restarts", "noise", "guesses", "until")
ARC_ONLY = ("votes", "submission", "pool")
NOT_ARC = (*STARTS, "png")
LLM_ONLY = ("model", "max_tokens", "budget", "temperature", "timeout", "retries", "concurrency", "out")


def llm_option(name: str, help: str, min: float | None = None, max: float | None = None) -> Any:
    return typer.Option(name, help=help, min=min, max=max, rich_help_panel=LLM_PANEL)


def arc_option(name: str, help: str, min: float | None = None) -> Any:
    return typer.Option(name, help=help, min=min, rich_help_panel=ARC_PANEL)


@app.command("eval")
def evaluate_command(
    ctx: typer.Context,
    weights: Annotated[str | None, typer.Argument(help="A shipped model's name, or the folder of a run.")] = None,
    data: Annotated[
        str, typer.Option("--data", help="A CSV, or embedded, minimal; of ARC a folder or file of tasks.")
    ] = "embedded",
    steps: Annotated[int, typer.Option("--steps", help="Supervision steps; may exceed those trained.", min=1)] = 16,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Only the first N rows (ARC: tasks); 0: all. With --llm 20.", min=0)
    ] = None,
    skip: Annotated[int, typer.Option("--skip", help="Leave out the first N rows.", min=0)] = 0,
    batch: Annotated[int, typer.Option("--batch", help="Puzzles at once.", min=1)] = 16,
    restarts: RestartsOption = None,
    noise: NoiseOption = None,
    guesses: GuessesOption = None,
    until: Annotated[
        str,
        typer.Option("--until", help="A puzzle leaves when its answer is valid, sure or halt; end: after all steps."),
    ] = "end",
    png: Annotated[Path | None, typer.Option("--png", help="Draw accuracy against steps; needs matplotlib.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    threads: ThreadsOption = 0,
    votes: Annotated[
        int | None, arc_option("--votes", "Answers to a question, each under another augmentation; else 16.", 1)
    ] = None,
    submission: Annotated[Path | None, arc_option("--submission", "Write the competition's file.")] = None,
    pool: Annotated[
        list[str] | None, arc_option("--pool", "Another checkpoint, to pool votes with; may be repeated.")
    ] = None,
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

    A model of ARC answers the tests of the evaluation tasks (or of those of --data) under several augmentations. Its
    answers are turned back and put to the vote; pass@k says how often the truth is among the first k. Published: 1,001
    votes.

    A language model is asked for the same rows in words. What it says is kept, and asking again goes on from there.
    """
    if (weights is None) == (llm is None):
        raise BadInput("a model or --llm, one of them. Usage: trm eval WEIGHTS, or trm eval --llm URL --model NAME")
    if llm is None:
        refuse(ctx, LLM_ONLY, "only for language models (--llm)")
    else:
        refuse(ctx, (*WEIGHTS_ONLY, *STARTS, *ARC_ONLY), "not for language models")
        from trm.terminal.ask import Options, evaluate_llm

        return evaluate_llm(Options(**{name: ctx.params[name] for name in Options.__dataclass_fields__}))
    assert weights is not None
    set_threads(threads)
    from trm import store
    from trm.arc import evaluate as arc_eval
    from trm.tasks.arc.text import VERSIONS
    from trm.terminal import evaluate as measuring

    rows = slice(skip, skip + limit if limit else None)
    stored = store.load(weights)
    if stored.spec.name in VERSIONS:
        refuse(ctx, NOT_ARC, "not for ARC models")
        asked = arc_eval.Asked(data, rows, steps if given(ctx, "steps") else None, batch, votes, submission)
        return arc_eval.evaluate_and_print([weights, *(pool or [])], asked, as_json, stored)
    refuse(ctx, ARC_ONLY, "only for ARC models")
    if not restarts:
        refuse(ctx, ("noise", "guesses"), "of further starts: give --restarts too")
    from trm.inference.loop import Thinking

    asked_for = {"restarts": restarts, "noise": noise, "guesses": guesses}
    further: dict[str, Any] = {name: value for name, value in asked_for.items() if value is not None}
    thinking = Thinking(steps, until=until, **further)  # type: ignore[arg-type]
    measuring.evaluate_and_print(stored, data, rows, thinking, batch, as_json, png)
