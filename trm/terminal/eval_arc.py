"""What `trm eval-arc` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from trm.arc.evaluation import EvalRequest, EvalResult, EvaluatedModel, evaluate
from trm.arc.votes import PASSES, Score
from trm.terminal.console import fits, plain_console, progress_bars


def evaluate_and_print(request: EvalRequest, as_json: bool) -> None:
    """Evaluate, with progress on standard error, and print the scores. Raises as `trm.arc.evaluation.evaluate` does."""
    with progress_bars(as_json) as progress:
        bar = progress.add_task("answering", total=None)
        result = evaluate(request, lambda done, total: progress.update(bar, completed=done, total=total))
    for model in result.models:
        for remark in remarks(model):
            print(f"{model.name}: {remark}", file=sys.stderr)
    if as_json:
        print(json.dumps(result.as_dict()))
        return
    print_result(result)
    if request.submission is not None:
        print(f"answers to {len(result.tasks)} tasks: {request.submission}")


def remarks(model: EvaluatedModel) -> list[str]:
    """What a reader of the scores should know about the model's training."""
    found = []
    if model.not_trained_on:
        found.append(f"{model.not_trained_on} of the tasks were not in its training")
    if model.tests_trained_on:
        count = f"the tests of {model.tests_trained_on} of the tasks"
        found.append(f"{count} were in its training, so these scores do not measure generalisation")
    return found


def print_result(result: EvalResult) -> None:
    """A table of the first model's scores, one of the pooled scores, and a line with the cost."""
    console = plain_console()
    on = f"{len(result.scored)} task{'s' if len(result.scored) > 1 else ''} ({result.data})"
    votes = f"{result.fewest} to {result.votes}" if result.fewest < result.votes else f"{result.votes}"
    title = f"{result.models[0].name} on {on}, {votes} votes a question: %, with 95 % intervals"
    for scores in (result.scores(), result.pooled_scores()):
        if scores:
            table = score_table(scores, title)
            console.print(table if fits(table, console) else narrow_table(scores, title))
    console.print(f"questions: {result.questions}; {result.steps} steps for each answer; {result.seconds:.1f} s")


def score_table(scores: Sequence[Score], title: str) -> Table:
    """How often the right answer is among the first k, for each ranking rule; a column for each score."""
    table = Table("ranked by", title=title, title_justify="left", box=SIMPLE_HEAD)
    for one in scores:
        table.add_column(one.rule, no_wrap=True)
    for k in PASSES:
        table.add_row(scores[0].name(k), *(with_interval(one, k) for one in scores))
    return table


def narrow_table(scores: Sequence[Score], title: str) -> Table:
    """The same with a line for each score."""
    table = Table("ranked by", "", "", title=title, title_justify="left", box=SIMPLE_HEAD)
    for one in scores:
        for k in PASSES:
            table.add_row(one.rule if k == PASSES[0] else "", one.name(k), with_interval(one, k))
    return table


def with_interval(score: Score, k: int) -> str:
    """The share of tests that one of the first k answers solves, in per cent, with its interval."""
    one = score.passes[k]
    return f"{100 * one.share:.1f} ({100 * one.low:.1f}-{100 * one.high:.1f})"
