"""`trm eval-arc` end to end: with models that know the answers, and with one that was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arc_cases import EACH, TASK, TASKS, TINY, config, write
from conftest import Call, Result
from torch import Tensor

from trm import store
from trm.arc.evaluation import EvalRequest, ModelPredictor, evaluate, training_of
from trm.arc.votes import PASSES, RULES, augmented, collect, score_submission
from trm.models import Output, State
from trm.statistics import interval
from trm.store.stored import Stored
from trm.tasks import get_task
from trm.tasks.arc.augment import CELLS, END
from trm.tasks.arc.text import ArcTask, Pair, read_tasks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "tasks", TASKS)


class Taught:
    """A model that says for each question [900] what it was taught, and nothing but end markers for any other."""

    first_token = 0
    halt_logit = 0.0

    def __init__(self, answers: dict[bytes, Any], halt: float = 1.0) -> None:
        self.config = config(Path("x")).model
        self.answers, self.halt, self.ids, self.steps = answers, halt, list[int](), 0

    def to(self, device: torch.device) -> Taught:
        return self

    def start(self, batch: int) -> State:
        return State(torch.zeros(batch), torch.zeros(batch))

    def __call__(self, state: State, question: Tensor, ids: Tensor) -> Output:
        self.ids += ids.tolist()
        self.steps += 1
        nothing = np.full(CELLS, END, np.uint8)
        tokens = np.stack([self.answers.get(row.tobytes(), nothing) for row in question.numpy()])
        logits = torch.nn.functional.one_hot(torch.from_numpy(tokens).long(), 12).float()
        done = state.y + 1
        return Output(State(done, done), logits, self.halt * done)


def taught(tasks: tuple[ArcTask, ...], count: int = EACH) -> Stored:
    """Knows the answers to all tests under the first `count` augmentations, and was trained on `TASKS`."""
    answers = {}
    for task in tasks:
        for augmentation in augmented(count, 3)(task):
            for pair in task.test:
                assert pair.answer is not None
                answers[augmentation.encode(pair.question).tobytes()] = augmentation.encode(pair.answer)
    ids = [task.id for task in TASKS]
    about = {"run": config(Path("x")).model_dump(), "data": {"tasks": ids, "tests_too": []}}
    return Stored(Taught(answers), get_task("arc-agi-1").spec, "taught", about)  # type: ignore[arg-type]


def test_predictions_are_turned_back() -> None:
    stored = taught(TASKS)
    predictor = ModelPredictor(stored, training_of(stored), steps=2, batch=4)
    for at, task in enumerate(TASKS):
        votes = collect(predictor, [task], augmented(EACH, 3))
        ((truth, sure),) = votes.ballots[task.id][0].items()
        answer = task.test[0].answer
        assert answer is not None
        assert truth == bytes(answer.shape) + answer.tobytes()
        assert sure == [pytest.approx(1 / (1 + np.exp(-2)))] * EACH  # the halting logit of the last step
        model: Any = stored.model
        # Four at a time for two steps, then the other two: the embedding of each augmentation.
        rows = [1 + EACH * at + number for number in range(EACH)]
        assert model.ids == rows[:4] * 2 + rows[4:] * 2
        model.ids.clear()


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Stored]:
    """Models by name, in place of folders."""
    found = {"oracle": taught(TASKS), "half": taught(TASKS[:1]), "empty": taught(())}
    monkeypatch.setattr(store, "load", lambda name: found[name])
    monkeypatch.setattr(store, "find", Path)
    return found


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(("name", "right"), [("oracle", 3), ("half", 1), ("empty", 0)])
def test_the_whole_evaluation(call: Call, folder: Path, tmp_path: Path, name: str, right: int) -> None:
    file = tmp_path / "out" / "submission.json"
    done = call("eval-arc", name, "--data", str(folder), "--json", "--submission", str(file))
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    found = json.loads(done.out)
    counts = {"tasks": 3, "scored": 3, "questions": 3, "votes": EACH, "steps": 2}
    assert {key: found[key] for key in counts} == counts
    assert (found["task"], found["weights"], found["data"]) == ("arc-agi-1", "taught", "tasks")
    assert found["models"] == [{"name": "taught", "not_trained_on": 0, "tests_trained_on": 0}]
    assert [scores["rule"] for scores in found["scores"]] == list(RULES)
    for scores in found["scores"]:
        for k in PASSES:
            assert scores[f"pass@{k}"]["share"] == pytest.approx(right / 3, abs=1e-6)
            assert scores[f"pass@{k}"]["interval"] == pytest.approx(interval(right, 3), abs=1e-6)
    official = score_submission(json.loads(file.read_text()), read_tasks(folder))
    assert official.passes[2].outputs == right


def test_votes_and_steps_are_as_asked(call: Call, models: dict[str, Stored], folder: Path) -> None:
    done = call(
        "eval-arc", "oracle", "--data", str(folder), "--votes", "2", "--steps", "5", "--skip", "1", "--limit", "1"
    )
    assert done.code == 0
    model: Any = models["oracle"].model
    assert (model.ids, model.steps) == ([1 + EACH, 2 + EACH] * 5, 5)
    shown = " ".join(done.out.split())
    for words in (
        "taught on 1 task (tasks), 2 votes a question",
        "published",
        "noisy-or",
        "pass@100",
        "100.0 (20.7-100.0)",
    ):
        assert words in shown


@pytest.mark.usefixtures("models")
def test_every_augmentation_has_a_vote(folder: Path) -> None:
    for ballots in evaluate(EvalRequest(("oracle",), str(folder))).single.ballots.values():
        assert [[len(votes) for votes in ballot.values()] for ballot in ballots] == [[EACH]]


@pytest.mark.usefixtures("models")
def test_progress_counts_the_answers_of_all_models(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    evaluate(EvalRequest(("half", "oracle"), str(folder)), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(EACH * questions, EACH * 6) for questions in range(1, 7)]  # three questions to each of two models


@pytest.mark.usefixtures("models")
def test_pooled_votes_are_called_so(call: Call, folder: Path, tmp_path: Path) -> None:
    data = ["--data", str(folder)]
    file = tmp_path / "submission.json"
    call("eval-arc", "empty", "--pool", "oracle", *data, "--submission", str(file))
    assert score_submission(json.loads(file.read_text()), read_tasks(folder)).passes[1].outputs == 3
    found = json.loads(call("eval-arc", "half", "--pool", "empty", "--pool", "oracle", *data, "--json").out)
    assert [model["name"] for model in found["models"]] == ["taught", "empty", "oracle"]
    assert found["scores"][0]["pass@2"]["outputs"] == 1
    assert found["pooled"][0]["pass@2 pooled over 3 checkpoints"]["outputs"] == 3
    shown = call("eval-arc", "half", "--pool", "oracle", *data).out
    assert shown.count("published") == 2
    assert "pass@2 pooled over 2 checkpoints" in " ".join(shown.split())


def refused(result: Result, words: str) -> None:
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)
    assert words in result.err


def test_what_cannot_be_evaluated(call: Call, models: dict[str, Stored], folder: Path, tmp_path: Path) -> None:
    def failure(*arguments: str, words: str, data: Path = folder) -> None:
        refused(call("eval-arc", *arguments, "--data", str(data)), words)

    failure("oracle", "--votes", "7", words="has 6 embeddings for a task")
    failure("oracle", "--pool", "oracle", words="counted twice")
    failure("oracle", "--skip", "3", words="no tasks left")
    failure("oracle", "--submission", str(tmp_path), words="is a folder")
    failure("oracle", "--submission", str(folder / "taska.json" / "x"), words="cannot write")
    failure("oracle", words="cannot read", data=tmp_path / "none.json")
    failure("oracle", words="trained on none of these 1 tasks", data=write(tmp_path / "new", (TASK,)))
    models["oracle"].about.pop("data")
    failure("oracle", words="does not say which ARC tasks")
    models["half"].about["data"]["tasks"].append("another")
    failure("half", words="has 19 puzzle embeddings, but by its config.json it needs 25")


def test_models_of_puzzles_are_sent_to_trm_eval(call: Call) -> None:
    refused(call("eval-arc", "sudoku-mini"), "sudoku-mini solves sudoku, not ARC: trm eval sudoku-mini")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["oracle", "--votes", "3"], "--votes is for ARC models: trm eval-arc oracle --votes 3"),
        (["half", "--pool=a b"], "--pool is for ARC models: trm eval-arc half '--pool=a b'"),
        (["--submission", "x", "half"], "--submission is for ARC models: trm eval-arc --submission x half"),
        (["half", "--steps", "2"], "half solves arc-agi-1: trm eval-arc half"),
        (["--llm", "http://localhost", "--model", "m"], "trm eval-llm URL --model NAME"),
        (["half", "--votes", "3", "--llm=http://localhost"], "trm eval-llm URL --model NAME"),
    ],
)
def test_old_spellings_are_answered_with_the_new_command(call: Call, arguments: list[str], words: str) -> None:
    refused(call("eval", *arguments), words)


@pytest.mark.usefixtures("models")
def test_unknown_answers_are_written_and_not_scored(call: Call, folder: Path, tmp_path: Path) -> None:
    hidden = ArcTask(TASKS[0].id, TASKS[0].train, (Pair(TASKS[0].test[0].question, None),))
    data = write(tmp_path / "hidden", (hidden,))
    refused(call("eval-arc", "oracle", "--data", str(data)), "no test answer in")
    done = call("eval-arc", "oracle", "--data", str(data), "--json", "--submission", str(tmp_path / "s.json"))
    found = json.loads(done.out)
    assert (found["tasks"], found["scored"], "scores" in found) == (1, 0, False)
    assert TASKS[0].test[0].answer is not None
    written = json.loads((tmp_path / "s.json").read_text())[hidden.id][0]
    assert written["attempt_1"] == TASKS[0].test[0].answer.tolist()
    write(folder, (hidden, TASK))  # of four tasks, one cannot be scored and one was not trained on
    both = evaluate(EvalRequest(("oracle",), str(folder), submission=tmp_path / "s.json"))
    assert (len(both.tasks), len(both.scored)) == (4, 3)
    assert both.models[0].not_trained_on == 1


def test_what_was_trained_on_is_said(models: dict[str, Stored], folder: Path, call: Call) -> None:
    models["oracle"].about["data"]["tests_too"] = [TASKS[0].id]
    write(folder, (TASK,))
    errors = call("eval-arc", "oracle", "--data", str(folder)).err
    assert errors.splitlines() == [
        "taught: 1 of the tasks were not in its training",
        "taught: the tests of 1 of the tasks were in its training, so these scores do not measure generalisation",
    ]


def test_from_training_to_a_score(call: Call, folder: Path, tmp_path: Path) -> None:
    """The commands, with a model that has learnt nothing yet."""
    settings = [part for setting in TINY for part in ("--set", setting)]
    arguments = ["train", "arc-agi-1-trm", *settings, "--updates", "2", "--data", str(folder), "--threads", "1"]
    refused(call(*arguments, "--out", str(tmp_path / "bad")), "--set model.puzzle_ids=19")
    for seed in ("0", "1"):
        done = call(*arguments, "--set", "model.puzzle_ids=19", "--set", f"seed={seed}", "--out", str(tmp_path / seed))
        assert done.code == 0, done.err
    pooled = ["--pool", str(tmp_path / "1")]
    done = call(
        "eval-arc", str(tmp_path / "0"), *pooled, "--data", str(folder), "--json", "--votes", "3", "--threads", "1"
    )
    found = json.loads(done.out)
    assert (found["weights"], found["votes"], found["steps"]) == ("arc-agi-1-trm", 3, 2)
    # By hand: the averaged model asked one question at a time.
    stored = store.load(str(tmp_path / "0"))
    training = training_of(stored)
    assert training.places == {"taska": 0, "taskb": 1, "taskc": 2}
    votes = collect(ModelPredictor(stored, training, 2, 1), read_tasks(folder), augmented(3, 0))
    whole = evaluate(EvalRequest((str(tmp_path / "0"),), str(folder), votes=3)).single
    assert {id: [set(ballot) for ballot in ballots] for id, ballots in whole.ballots.items()} == {
        id: [set(ballot) for ballot in ballots] for id, ballots in votes.ballots.items()
    }
    refused(call("compare", str(tmp_path / "0"), str(tmp_path / "1"), "--threads", "1"), "scored by votes")
