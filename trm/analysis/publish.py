"""A model for the Hugging Face hub: its files, and a card that says what it does and how it was trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from trm import store
from trm.analysis.collect import EVALUATIONS
from trm.analysis.records import Record, read_record
from trm.errors import BadInput
from trm.hub import upload
from trm.models.config import layers_in_words
from trm.statistics import interval
from trm.store.cards import CARD, Card
from trm.store.shipped import CONFIG, SHIPPED, WEIGHTS
from trm.store.stored import HUB_NAME, Stored
from trm.tasks import family_name, resizable
from trm.tasks.arc.identifiers import FILE as IDENTIFIERS

README = "README.md"
LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]*")  # as the hub names licences


class Figure(NamedTuple):
    """A row of the card's table."""

    rows: str
    setting: str
    exact: str
    interval: str


def push(name: str, repo: str, licence: str = "apache-2.0", private: bool = False) -> str:
    """Write a model to the hub: config.json, model.safetensors and a card. -> the address of the commit

    Args:
        name: see `trm.store.find`.
        repo: OWNER/NAME; it is made if it does not exist.
        licence: of the weights, as the hub names it.
        private: whether a new repository is private.

    Raises:
        BadInput: no such model, or no such name of a repository or a licence.
        TrmError: huggingface_hub is not installed, or the hub does not take the files.
    """
    card = model_card(name, repo, licence)
    folder = store.find(name)
    names = (CONFIG, WEIGHTS, *([IDENTIFIERS] if (folder / IDENTIFIERS).is_file() else []))
    files = {file: (folder / file).read_bytes() for file in names}
    return upload(repo, {**files, README: card.encode()}, private)


def model_card(name: str, repo: str, licence: str = "apache-2.0") -> str:
    """The card of a model as Markdown, with arguments and errors as for `push`.

    Its figures are those of the records that `trm compare` keeps beside the weights, or of a shipped model's own card.
    """
    if not HUB_NAME.fullmatch(repo):
        raise BadInput(f"{repo!r} is no name of a repository; write OWNER/NAME")
    if not LICENCE.fullmatch(licence):
        raise BadInput(f"--license {licence!r}: write it as the hub does, for example apache-2.0, mit or other")
    stored, folder = store.load(name), store.find(name)
    task, family = stored.spec.name, family_name(stored.spec.name)
    weights = sum(one.numel() for one in stored.model.parameters())
    parts = [
        f"---\nlicense: {licence}\nlibrary_name: trm\ntags:\n- trm\n- recursive-reasoning\n- {family}\n---",
        f"# {repo.partition('/')[2]}",
        f"A Tiny Recursive Model of {weights:,} weights for the task `{task}`. It revises its own answer step by step. "
        f"{describe_model(stored)}",
        "## Use",
        f"```python\n{usage(repo, task)}\n```",
        "## Figures",
        table(figures(folder)),
        "## Training",
        "\n".join(f"- {line}" for line in training(stored.about)),
    ]
    return "\n\n".join(parts) + "\n"


def describe_model(stored: Stored) -> str:
    config = stored.model.config
    return (
        f"Mixer `{config.mixer}`, width {config.width}, {layers_in_words(config.layers)}, "
        f"T={config.T}, n={config.n}; it halts above a probability of {config.halt_probability:g}."
    )


def usage(repo: str, task: str) -> str:
    """Python that uses the model."""
    if family_name(task) in resizable():
        return (
            f'import trm\n\nsolver = trm.Solver("{family_name(task)}", weights="{repo}")\nprint(solver.solve(puzzle))'
        )
    return f'import trm\n\nmodel = trm.load("{repo}").model'


def figures(folder: Path) -> list[Figure]:
    """What is known of the model's accuracy. Raises BadInput for a damaged record."""
    if folder.parent == SHIPPED:
        card = Card.model_validate_json((folder / CARD).read_bytes())
        scores = card.scores
        return [Figure(f"{s.rows:,}: {s.data}", s.setting, f"{s.exact:.1%}", share(s.low, s.high)) for s in scores]
    found = [read_record(path) for path in sorted((folder / EVALUATIONS).glob("*.json"))]
    return [figure for record in found for figure in of_record(record)]


def of_record(record: Record) -> list[Figure]:
    exact = record.exact_flags()
    rows, last = exact.shape[1], int(exact[-1].sum())
    halted = int(sum(exact[step - 1, row] for row, step in enumerate(record.halted)))
    mean = sum(record.halted) / rows
    return [
        Figure(f"{rows:,} of {record.data}", setting, f"{right / rows:.1%}", share(*interval(right, rows)))
        for setting, right in ((f"{len(exact)} steps", last), (f"own halt, {mean:.1f} steps on average", halted))
    ]


def share(low: float, high: float) -> str:
    return f"{100 * low:.1f} - {100 * high:.1f}"


def table(found: list[Figure]) -> str:
    """Figures as a Markdown table."""
    if not found:
        return "None yet: `trm compare` measures a model and keeps its figures for this card."
    rows = ["| rows | steps | exact | 95 % interval |", "|---|---|---|---|"]
    return "\n".join([*rows, *(f"| {' | '.join(figure)} |" for figure in found)])


def training(about: dict[str, Any]) -> list[str]:
    """How the weights were made, in lines."""
    data = about.get("data") if isinstance(about.get("data"), dict) else {}
    lines = [f"command: `{about['command']}`" if about.get("command") else "command: not known"]
    if data:
        lines.append(f"data: {data.get('source')}, {data.get('rows'):,} rows, digest {data.get('sha256')}")
    if about.get("update") and about.get("seconds"):
        lines.append(f"{about['update']:,} updates in {about['seconds'] / 60:.1f} minutes on {about.get('machine')}")
    lines.append(f"made with trm {about.get('trm', 'unknown')} and torch {about.get('torch', 'unknown')}")
    return lines
