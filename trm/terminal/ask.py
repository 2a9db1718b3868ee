"""`trm eval --llm`: what the user gave, checked; progress; the result."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from trm.analysis.records import Record
from trm.errors import BadInput, TrmError
from trm.llm.ask import ask_rows
from trm.llm.http import Client, endpoint
from trm.llm.transcripts import Line, go_on, plan
from trm.tasks import load_puzzles
from trm.tasks.base import Task
from trm.tasks.maze.task import maze_for
from trm.tasks.sudoku.task import Sudoku, sudoku_for
from trm.tasks.text import read_file

OURS = ("embedded", "minimal", "hub")  # sets of puzzles that are no files
ROWS = 20  # asked for unless --limit says otherwise: they cost money


@dataclass(frozen=True)
class Options:
    """The command's options, as they are called there."""

    llm: str
    model: str | None
    data: str = "embedded"
    limit: int | None = None
    skip: int = 0
    max_tokens: int = 8192
    budget: int = 0
    temperature: float | None = None
    timeout: float = 600.0
    retries: int = 5
    concurrency: int = 4
    out: Path | None = None
    as_json: bool = False


def evaluate_llm(options: Options) -> None:
    """Ask, score and print.

    Raises BadInput for bad options, TrmError where the endpoint fails or the budget ends before the rows do.
    """
    if not (options.model or "").strip():
        raise BadInput("--llm needs --model NAME, as the endpoint calls it")
    model = str(options.model).encode("utf-8", "replace").decode()  # an argument may hold anything
    target = endpoint(options.llm)
    client = Client(target, model, options.max_tokens, options.temperature, options.timeout, options.retries)
    if target.clean(model) != model:
        raise BadInput("--model holds the key; name a model")
    task = find_task(options.data)
    minimal = options.data == "minimal"
    whole = load_puzzles(task, "embedded" if minimal else options.data, "minimal" if minimal else "validation")
    limit = ROWS if options.limit is None else options.limit
    puzzles = whole.take(slice(options.skip, options.skip + limit if limit else None))
    if not len(puzzles):
        raise BadInput(f"no rows left: --skip {options.skip} of the data is all of it")
    name = Path(options.data).name.encode("utf-8", "replace").decode()
    job = plan(task, whole, name, client)
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{model}-{Path(name).stem}")
    folder = options.out or Path("runs") / f"llm-{slug}"
    try:
        with Bar(client, len(puzzles), options.as_json) as bar:
            record = ask_rows(task, puzzles, job, client, folder, options.budget, options.concurrency, bar.tick)
    except KeyboardInterrupt:
        print(f"stopped; {go_on(folder)}", file=sys.stderr)
        raise
    if options.as_json:
        print(json.dumps(as_dict(record)))
    else:
        show_record(record, folder)
    if record.about["stopped"]:
        left = record.about["unasked"] + record.about["failed"]
        raise TrmError(
            f"stopped with {left} rows left: --budget {options.budget} is spent; to go on, give a larger one"
        )


def find_task(data: str) -> Task:
    """The task that a set of puzzles belongs to. Raises BadInput for a file that cannot be read."""
    if data in OURS:
        return Sudoku()
    text = read_file(data)
    return maze_for(text) if "#" in text else sudoku_for(text)  # no Sudoku is written with a #


class Bar:
    """Progress on standard error, with the last trouble."""

    def __init__(self, client: Client, rows: int, hidden: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self.progress = Progress(console=console, transient=True, disable=hidden or not console.is_terminal)
        self.bar = self.progress.add_task("asking", total=rows)
        client.say = self.say

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def tick(self, line: Line) -> None:
        self.progress.update(self.bar, advance=1, description="asking")

    def say(self, why: str) -> None:
        from rich.markup import escape

        self.progress.update(self.bar, description=escape(f"asking again ({why[:60]})"))


# The result


def as_dict(record: Record) -> dict[str, object]:
    """As `trm eval --json` prints it, and what is known of the language model beside."""
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


def show_record(record: Record, folder: Path) -> None:
    """The table of `trm eval`, and a line on what became of the rows."""
    import numpy as np
    from rich.console import Console

    from trm.inference.evaluate import Evaluation  # torch comes with it: not before all is asked
    from trm.terminal.tables import accuracy

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
    console = Console(highlight=False, markup=False)
    console.print(accuracy(result, f"{record.name} on {len(record.rows)} puzzles ({record.data})", halting=False))
    became = ", ".join(f"{about[name]} {name}" for name in ("answered", "refused", "truncated", "unparsable"))
    tokens = about["prompt_tokens"] + about["completion_tokens"]
    lost = f" and up to {about['lost_tokens']:,} without a reply" if about["lost_tokens"] else ""
    console.print(f"{became}; {tokens:,} tokens{lost}; transcripts in {folder}")
    if about["failed"]:
        console.print(f"not counted: {about['failed']} rows that got no reply; the same command asks them again")
