"""`trm history`: how runs learned, from their logs and the weights they kept, as a table and as a picture."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from trm import plot
from trm.devices import pick_device
from trm.errors import BadInput
from trm.inference.evaluate import evaluate
from trm.inference.loop import Thinking
from trm.inference.rows import rows_for
from trm.plot import COLOURS, new_figure, plain, save
from trm.statistics import interval
from trm.store.provenance import training_seconds, trainings
from trm.store.stored import CONFIG, load
from trm.tasks import find_family
from trm.training.run import LOG

POINTS = 60  # of a curve of losses, each the mean of a stretch of the log
ROWS = 12  # of the table, at most


@dataclass(frozen=True)
class History:
    """A run's log: its training loss, and what its averaged weights did on held-out puzzles.

    Seconds count from the beginning of the first training, that of the weights which the run began with.
    """

    name: str
    trained: npt.NDArray[np.float64]  # [reports, 5]: step, seconds, loss of the answer, sequences exact, and ended
    checks: npt.NDArray[np.float64]  # [checks, 4]: step, seconds, exact at the last step, puzzles


def read(run: str) -> History:
    """The log of a run's folder. Raises BadInput: there is none, it is empty, or it is no log of a training."""
    path = Path(run) / LOG
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise BadInput(f"{run}: no log of a training ({path.name}: {reason}); name the folder of a run") from None
    trained: list[tuple[float, ...]] = []
    checks: list[tuple[float, ...]] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if "check" in record:
                found = record["check"]
                rows = (found["exact"][-1] * found["rows"], found["rows"])
                checks.append((record["step"], record["seconds"], *map(float, rows)))
            else:
                ended = record["finished"]
                trained.append((record["step"], record["seconds"], record["loss"], record["exact"] * ended, ended))
        except (ValueError, TypeError, KeyError, IndexError):
            if number == len(lines):
                break  # cut off while it was written
            raise BadInput(f"{path}, line {number}: not a line of a training's log") from None
    if not trained:
        raise BadInput(f"{run}: nothing has been logged yet")
    history = History(Path(run).name, np.array(trained, float), np.array(checks, float).reshape(-1, 4))
    for values in (history.trained, history.checks):
        values[:, 1] += seconds_before(Path(run))
    return history


def seconds_before(run: Path) -> float:
    """How long the weights that a run began with were trained; 0 for fresh ones, or where that is not known."""
    try:
        about = json.loads((run / CONFIG).read_text(encoding="utf-8"))["about"]
        began = trainings(about)[1:]
        return (training_seconds(began[0]) if began else None) or 0.0
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return 0.0  # nothing is saved yet


@dataclass(frozen=True)
class Rows:
    """What kept weights are asked to solve."""

    data: str  # a set's name or a file
    which: slice
    thinking: Thinking


def solved(run: str, rows: Rows) -> npt.NDArray[np.float64]:
    """`History.checks` of the weights that a run kept (`keep_every`), and of its last ones.

    Raises BadInput: there are no such weights, no such rows, or they do not go together; ARC, which is scored by votes.
    """
    folders = [folder for folder in (Path(run), *Path(run).glob("step-*")) if (folder / CONFIG).is_file()]
    if not folders:
        raise BadInput(f"{run} holds no weights yet; it saves them every so many steps (save_every, keep_every)")
    found: dict[int, tuple[float, ...]] = {}
    before = seconds_before(Path(run))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(Path(run).name, total=None)
        for folder in folders:
            kept = load(str(folder))
            if find_family(kept.spec.name).votes:
                raise BadInput(f"{run}: ARC is scored by votes over augmentations: trm eval for each of its weights")
            stored, task, puzzles = rows_for(kept, rows.data, rows.which)
            step, device = stored.about.get("step", 0), pick_device()
            if step in found:
                continue  # the run's last weights, kept as well
            progress.update(bar, total=len(folders) * len(puzzles))
            watch = functools.partial(progress.advance, bar)
            model = stored.model.to(device)
            how = rows.thinking
            result = evaluate(model, task, puzzles, how.steps, 16, device, watch, how.until)
            found[step] = (step, stored.about.get("seconds", 0.0) + before, int(result.exact[-1]), result.rows)
    return np.array([found[step] for step in sorted(found)], float)


def show(runs: Sequence[str], png: Path | None, rows: Rows | None) -> None:
    """Print a table of each run, and draw them all. Raises BadInput, and TrmError where matplotlib is missing."""
    if png is not None:
        plot.check(png)
    histories = [read(run) for run in runs]
    if rows is not None:
        histories = [replace(one, checks=solved(run, rows)) for one, run in zip(histories, runs, strict=True)]
    console = Console(highlight=False)
    for history in histories:
        console.print(table(history))
        if not len(history.checks):
            console.print("no held-out puzzles were looked at: train with --set check_every=500, or give --data")
    if png is not None:
        draw(histories, png)


def table(history: History) -> Table:
    """Equal stretches of a run, each with its mean loss and the last look at held-out puzzles in it."""
    heads = ("step", "minutes", "loss", "exact in\ntraining", "held-out\nexact", "95 %")
    shown = Table(*heads if len(history.checks) else heads[:4], title=history.name)
    parts, before = stretches(history.trained, ROWS), -1.0
    for part in parts:
        step, seconds = part[-1, :2]
        until = np.inf if part is parts[-1] else step  # a look may be newer than the last report
        inside = history.checks[(history.checks[:, 0] > before) & (history.checks[:, 0] <= until)]
        before = step
        held = []
        if len(inside):
            right, rows = inside[-1, 2:]
            low, high = interval(right, int(rows))
            held = [f"{right / rows:.1%}", f"{low:.1%} - {high:.1%}"]
        exact, ended = part[:, 3:].sum(0)
        share = f"{exact / ended:.1%}" if ended else ""
        shown.add_row(f"{step:.0f}", f"{seconds / 60:.1f}", f"{part[:, 2].mean():.3f}", share, *held)
    return shown


def stretches(values: npt.NDArray[np.float64], most: int) -> list[npt.NDArray[np.float64]]:
    """[reports, ...] in up to `most` parts of about equal length, none empty."""
    return [part for part in np.array_split(values, min(most, len(values))) if len(part)]


def draw(histories: Sequence[History], path: Path) -> None:
    """Held-out accuracy, where there is any, and training loss against minutes, as a PNG.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the file cannot be written.
    """
    checked = any(len(history.checks) for history in histories)
    figure = new_figure(8, 6.5 if checked else 4)
    axes = figure.subplots(1 + checked, 1, sharex=True, squeeze=False)[:, 0]
    for number, history in enumerate(histories):
        colour = COLOURS[number % len(COLOURS)]
        means = np.array([[part[-1, 1] / 60, part[:, 2].mean()] for part in stretches(history.trained, POINTS)])
        axes[-1].plot(*means.T, color=colour, linewidth=1.8, label=history.name)
        if len(history.checks):
            minutes, rows = history.checks[:, 1] / 60, history.checks[:, 3]
            band = np.array([interval(right, int(n)) for right, n in history.checks[:, 2:]])
            axes[0].fill_between(minutes, *(100 * band.T), color=colour, alpha=0.12, linewidth=0)
            shares = 100 * history.checks[:, 2] / rows
            axes[0].plot(minutes, shares, ".-", color=colour, linewidth=1.8, markersize=5)
    if checked:
        axes[0].set_ylabel("held-out puzzles exact, %")
        axes[0].set_ylim(0, 100)
    axes[-1].set_ylabel("training loss")
    axes[-1].set_xlabel("minutes of training")
    for one in axes:
        plain(one)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    save(figure, path)
