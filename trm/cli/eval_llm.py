"""`trm eval-llm`: language models on the same puzzles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import DataOption, JsonOption, LimitOption, SkipOption, app, chosen_rows


@app.command("eval-llm", examples=["trm eval-llm http://127.0.0.1:8000/v1 --model NAME --data minimal --out llm/NAME"])
def eval_llm_command(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="Base URL of an OpenAI-compatible API, such as https://api.openai.com/v1"),
    ],
    model: Annotated[str, typer.Option("--model", help="The model's name at the endpoint")],
    data: DataOption = "embedded",
    limit: LimitOption = 20,
    skip: SkipOption = 0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Most tokens of one answer", min=1)] = 8192,
    budget: Annotated[
        int,
        typer.Option(
            "--budget", help="Stop before the tokens spent in the folder --out exceed this; 0: no limit", min=0
        ),
    ] = 0,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", help="Sampling temperature [default: the server's own]", min=0, max=2),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for the reply to one request", min=0.1, max=86400)
    ] = 600,
    retries: Annotated[
        int, typer.Option("--retries", help="Further requests for a row that got no reply", min=0, max=20)
    ] = 5,
    concurrency: Annotated[int, typer.Option("--concurrency", help="Requests at the same time", min=1, max=64)] = 4,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder where replies are kept [default: runs/llm-MODEL-DATA]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a language model on the puzzles of `trm eval`, asked in words and scored by the same rules.

    The API key, if the endpoint needs one, is read from the environment variable OPENAI_API_KEY. Every reply is kept:
    the same command again asks only for the rows that have none.
    """
    from trm.terminal.eval_llm import LlmEvalRequest, evaluate_and_print

    request = LlmEvalRequest(
        url=url,
        model=model,
        data=data,
        rows=chosen_rows(skip, limit),
        max_tokens=max_tokens,
        budget=budget,
        temperature=temperature,
        timeout=timeout,
        retries=retries,
        concurrency=concurrency,
        out=out,
        as_json=as_json,
    )
    evaluate_and_print(request)
