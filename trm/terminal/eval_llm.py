"""What `trm eval-llm` checks beforehand, shows meanwhile and prints."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trm.analysis.records import Record
from trm.errors import BadInput, TrmError
from trm.llm.ask import ask_rows
from trm.llm.http import Client, endpoint
from trm.llm.transcripts import TranscriptLine, how_to_continue, plan
from trm.tasks import SETS, evaluation_puzzles
from trm.tasks.base import Task
from trm.tasks.maze.task import maze_for
from trm.tasks.sudoku.task import Sudoku, sudoku_for
from trm.tasks.text import read_file


@dataclass(frozen=True)
class LlmEvalRequest:
    """Which language model to ask for which rows, and how."""

    url: str
    model: str
    data: str  # a set or a file
    rows: slice
    max_tokens: int = 8192
    budget: int = 0
    temperature: float | None = None
    timeout: float = 600.0
    retries: int = 5
    concurrency: int = 4
    out: Path | None = None
    as_json: bool = False

    @property
    def model_name(self) -> str:
        """As valid Unicode: a command-line argument may hold anything."""
        return self.model.encode("utf-8", "replace").decode()

    @property
    def data_name(self) -> str:
        """The data without its folder, as valid Unicode."""
        return Path(self.data).name.encode("utf-8", "replace").decode()

    @property
    def folder(self) -> Path:
        """Where replies are kept."""
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.model_name}-{Path(self.data_name).stem}")
        return self.out or Path("runs") / f"llm-{slug}"


def evaluate_and_print(request: LlmEvalRequest) -> None:
    """Ask, score and print.

    Raises BadInput for bad options, TrmError if the endpoint fails or the budget is spent before all rows are asked.
    """
    client = make_client(request)
    task = find_task(request.data)
    whole = evaluation_puzzles(task, request.data)
    puzzles = whole.take(request.rows)
    if not len(puzzles):
        raise BadInput(f"no rows left: --skip {request.rows.start} leaves out all of the data")
    for remark in puzzles.remarks:
        print(remark, file=sys.stderr)
    job = plan(task, whole, request.data_name, client)
    try:
        with ProgressBar(client, len(puzzles), request.as_json) as bar:
            record = ask_rows(
                task, puzzles, job, client, request.folder, request.budget, request.concurrency, bar.advance
            )
    except KeyboardInterrupt:
        print(f"stopped; {how_to_continue(request.folder)}", file=sys.stderr)
        raise
    if request.as_json:
        print(json.dumps(record_as_dict(record)))
    else:
        print_record(record, request.folder)
    if record.about["stopped"]:
        left = record.about["unasked"] + record.about["failed"]
        raise TrmError(
            f"stopped with {left} rows left: --budget {request.budget} is spent; to continue, give a larger one"
        )


def make_client(request: LlmEvalRequest) -> Client:
    """Raises BadInput for a bad URL or name."""
    if not request.model.strip():
        raise BadInput("--model is empty: give the model's name at the endpoint")
    target, model = endpoint(request.url), request.model_name
    if target.clean(model) != model:
        raise BadInput("--model holds the key; name a model")
    return Client(target, model, request.max_tokens, request.temperature, request.timeout, request.retries)


def find_task(data: str) -> Task:
    """The task that a set or file of puzzles belongs to. Raises BadInput for a file that cannot be read."""
    if data in SETS:
        return Sudoku()
    text = read_file(data)
    if "#" not in text:
        return sudoku_for(text)
    kinds: tuple[Callable[[str], Task], ...] = (sudoku_for, maze_for)
    for kind in kinds:  # a # is a wall of a maze, or begins a comment in a file of Sudokus
        with suppress(BadInput):
            task = kind(text)
            task.read(text)
            return task
    # Neither: the message is to be about what it was meant to be.
    return sudoku_for(text) if text.count("#") < sum(map(text.count, "123456789")) else maze_for(text)


class ProgressBar:
    """Progress on standard error, with the reason for the latest retry."""

    def __init__(self, client: Client, rows: int, hidden: bool) -> None:
        from trm.terminal.console import progress_bars

        self.progress = progress_bars(hidden)
        self.bar = self.progress.add_task("asking", total=rows)
        client.on_retry = self.show_retry

    def __enter__(self) -> ProgressBar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def advance(self, line: TranscriptLine) -> None:
        self.progress.update(self.bar, advance=1, description="asking")

    def show_retry(self, why: str) -> None:
        self.progress.update(self.bar, description=f"asking again ({why[:60]})")


# The result


def record_as_dict(record: Record) -> dict[str, Any]:
    """The keys of `trm eval --json`, and under `llm` what is known of the language model."""
    rows, about = len(record.rows), record.about
    exact, valid = (round(float(flags.mean()), 6) for flags in (record.exact_flags(), record.valid_flags()))
    return {
        "task": record.task,
        "weights": record.name,
        "data": record.data,
        "rows": rows,
        "steps": [1],
        "exact": [exact],
        "cell": [round(about["cells_right"] / about["cells_scored"], 6)],
        "valid": [valid],
        "halted": {"exact": exact, "mean_steps": 1.0},
        "seconds": record.seconds,
        "llm": about,
    }


def print_record(record: Record, folder: Path) -> None:
    """The table of `trm eval`, and a line on what became of the rows."""
    import numpy as np

    from trm.inference.evaluation import Evaluation  # imports torch, so not before everything is asked
    from trm.terminal.console import plain_console
    from trm.terminal.tables import print_accuracy

    about, exact = record.about, record.exact_flags().sum(1)
    result = Evaluation(
        rows=len(record.rows),
        cells=about["cells_scored"],
        exact=exact,
        cell=np.array([about["cells_right"]]),
        valid=record.valid_flags().sum(1),
        halted_exact=int(exact[0]),
        halted_steps=len(record.rows),
        seconds=record.seconds,
    )
    console = plain_console()
    print_accuracy(console, result, f"{record.name} on {len(record.rows)} puzzles ({record.data})", halting=False)
    outcomes = ", ".join(f"{about[name]} {name}" for name in ("answered", "refused", "truncated", "unparsable"))
    tokens = about["prompt_tokens"] + about["completion_tokens"]
    lost = f" and up to {about['lost_tokens']:,} without a reply" if about["lost_tokens"] else ""
    console.print(f"{outcomes}; {tokens:,} tokens{lost}; transcripts in {folder}")
    if about["failed"]:
        console.print(f"not counted: {about['failed']} rows that got no reply; the same command asks them again")
