"""Exported files: they do what torch does, carry all that a host needs, and solve without torch."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from conftest import Call

from trm import store
from trm.cli.main import app
from trm.errors import BadInput, TrmError
from trm.inference import onnx as exported
from trm.inference.backend import Floats, Outcome
from trm.inference.loop import SearchResult, SearchState, Thinking, Until, search, think
from trm.inference.onnx import Exported, OnnxBackend, OnnxOutput, OnnxState
from trm.inference.torch_step import TorchBackend
from trm.models import ModelConfig, State, build
from trm.store import onnx_export
from trm.store.stored import Stored
from trm.tasks import get_task, load_puzzles
from trm.tasks.base import Spec
from trm.tasks.sudoku.task import Sudoku

TASK = Sudoku(2, 2)
SOLVED = TASK.read("1234341221434321").question[0]
WRONG = np.full(16, 2, np.uint8)
# From few givens to most of them, never all.
GIVEN = np.random.default_rng(0).random((9, 16)) < np.linspace(0.1, 0.9, 9)[:, None]
OPEN = np.where(GIVEN, SOLVED, 1).astype(np.uint8)
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
SMALL: dict[str, Any] = {"width": 8, "heads": 2, "layers": 1, "multiple": 8, "T": 1, "n": 1}
# Each mixer, frame and memory that makes a graph of its own; tracing takes seconds, so several to a file.
KINDS: dict[str, dict[str, Any]] = {
    "groups": {"mixer": "groups", "positions": "none"},
    "attention": {"kind": "hrm", "puzzle_ids": 3, "puzzle_tokens": 2, "puzzle_width": 12},
    "mlp": {"kind": "direct", "mixer": "mlp", "puzzle_ids": 1, "puzzle_tokens": 2, "puzzle_width": 12},
    "local": {"mixer": "local", "memory": "scales", "positions": "none"},
}


def small(kind: str, spec: Spec = TASK.spec) -> Stored:
    torch.manual_seed(3)
    config = ModelConfig(**SMALL, **KINDS[kind], halt_probability=0.7)
    model = build(config, spec).eval()
    torch.nn.init.normal_(model.frame.halt.weight)  # a fresh one never halts, whatever it looks at
    torch.nn.init.zeros_(model.frame.halt.bias)
    return Stored(model, spec, kind, {"run": {"max_steps": 7}})


def about(graph: onnx.ModelProto) -> dict[str, Any]:
    (entry,) = [entry for entry in graph.metadata_props if entry.key == "trm"]
    values: dict[str, Any] = json.loads(entry.value)
    return values


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_does_what_torch_does_and_says_how(kind: str, tmp_path: Path) -> None:
    """Written by the command from a model of 4x4 Sudokus; weights of `groups` were made for another size."""
    made = small(kind, Sudoku(2, 3).spec if kind == "groups" else TASK.spec)
    store.save_model(tmp_path, made.model, made.model.config, made.spec, kind, made.about)
    size = ["--task", TASK.spec.name] if kind == "groups" else []
    app(["export", str(tmp_path), "--to", str(tmp_path / "x.onnx"), *size], standalone_mode=False)
    content = (tmp_path / "x.onnx").read_bytes()
    stored = store.load(str(tmp_path), TASK.spec)
    graph, session = onnx.load_from_string(content), onnxruntime.InferenceSession(content)
    check_form(graph, session, content)
    check_values(stored, about(graph), session)
    check_description(json.loads((tmp_path / "x.json").read_text()), content, session)
    check_steps(stored, session)


def check_form(graph: onnx.ModelProto, session: Any, content: bytes) -> None:
    """Operations that every ONNX runtime has, names as documented, and no traces of the machine that wrote it."""
    onnx.checker.check_model(graph, full_check=True)
    assert {node.domain for node in graph.graph.node} == {""}
    assert [node.name for node in session.get_outputs()] == ["next_y", "next_z", "logits", "halt"]
    assert all(node.shape[0] == "batch" for node in (*session.get_inputs(), *session.get_outputs()))
    assert b"/trm/" not in content
    assert b"site-packages" not in content


def check_values(stored: Stored, values: dict[str, Any], session: Any) -> None:
    """What a host reads of the model."""
    wanted = {"format": 1, "name": stored.name, "first_token": stored.model.first_token, "max_steps": 7}
    wanted["halt_logit"] = pytest.approx(np.log(0.7 / 0.3))
    assert {key: values[key] for key in wanted} == wanted
    assert values["task"] == json.loads(json.dumps(asdict(TASK.spec)))
    shapes = {node.name: node.shape for node in session.get_inputs()}
    for part, key in zip(stored.model.start(2)[:2], "yz", strict=True):
        whole = np.broadcast_to(np.float32(values[f"start_{key}"]), (2, *shapes[key][1:]))
        assert np.array_equal(whole, part.numpy())


def check_description(beside: dict[str, Any], content: bytes, session: Any) -> None:
    """What is written beside the file, which tests/store/test_description.py tests, is of this file."""
    assert beside["onnx_sha256"] == hashlib.sha256(content).hexdigest()
    assert beside["values"] == ["", ".", "1", "2", "3", "4"]
    shapes = {node.name: node.shape[1:] for node in session.get_inputs()}
    for part in "yz":
        assert beside["start"][part]["shape"] == shapes[part]
        assert len(beside["start"][part]["values"]) == shapes[part][-1]


def check_steps(stored: Stored, session: Any) -> None:
    """From any state and with any batch, over two steps."""
    drawn = torch.Generator().manual_seed(1)
    for batch in (1, 3):
        question = torch.randint(1, 6, (batch, 16), generator=drawn)
        state = stored.model.start(batch).map(lambda part: torch.randn(part.shape, generator=drawn))
        ids = torch.arange(batch) % 3 if stored.model.config.puzzle_ids > 1 else None
        feed = {"y": state.y.numpy(), "z": state.z.numpy(), "question": question.numpy()}
        feed |= {} if ids is None else {"ids": ids.numpy()}
        for _ in range(2):
            with torch.no_grad():
                output = stored.model(state, question, ids)
            state = output.state
            found = [torch.from_numpy(part) for part in session.run(None, feed)]
            for ours, theirs in zip(found, (state.y, state.z, output.logits, output.halt), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
            feed |= {"y": found[0].numpy(), "z": found[1].numpy()}


def as_exported(stored: Stored) -> Exported:
    """The stored model behind the interface of an exported one."""
    model = stored.model

    @torch.inference_mode()
    def step(state: OnnxState, question: npt.NDArray[np.int64]) -> OnnxOutput:
        output = model(State(torch.from_numpy(state.y), torch.from_numpy(state.z)), torch.from_numpy(question))
        state = OnnxState(output.state.y.numpy(), output.state.z.numpy())
        return OnnxOutput(state, output.logits.numpy(), output.halt.numpy())

    y, z = (part.numpy().copy() for part in model.start(1)[:2])
    return Exported(step, OnnxState(y, z), model.first_token, model.halt_logit)


@pytest.mark.parametrize("batch", [1, 3, 20])
@pytest.mark.parametrize("until", ["halt", "valid", "sure", "end"])
def test_both_backends_read_a_step_alike(batch: int, until: Until) -> None:
    """From the same numbers of the same model: answers, confidence, probabilities, movement, and who leaves when."""
    stored = store.load("sudoku-mini", TASK.spec)
    stored.model.halt_logit = -2.0
    thinking = Thinking(9, sure=0.1, until=until, restarts=1, guesses=2)
    ours, theirs = ([SearchState() for _ in OPEN] for _ in range(2))
    pairs = zip(
        think(OnnxBackend(as_exported(stored)), TASK, OPEN, ours, thinking, batch, starts=1),
        think(TorchBackend(stored.model), TASK, OPEN, theirs, thinking, batch, starts=1),
        strict=True,
    )
    for a, b in pairs:
        for name in ("rows", "starts", "steps", "tokens", "valid", "right", "done", "over", "ended"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)
        np.testing.assert_allclose(a.confidence, b.confidence, atol=1e-6)
        np.testing.assert_array_equal(a.outcome.halts, b.outcome.halts)
        np.testing.assert_allclose(a.outcome.halting, b.outcome.halting, atol=1e-6)
        for place in range(len(a.rows)):
            pairs_of_parts = zip(*(parts_of(step.outcome, place) for step in (a, b)), strict=True)
            for first, second in pairs_of_parts:
                np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)
    for one, other in zip(ours, theirs, strict=True):
        for name in ("steps", "valid", "start", "finished", "done"):
            assert getattr(one, name) == getattr(other, name), name
        assert one.belief is not None
        assert other.belief is not None
        np.testing.assert_allclose(one.belief, other.belief, atol=1e-5)
    assert len({one.steps for one in ours}) > (until != "end")


def parts_of(outcome: Outcome[Any], place: int) -> list[Floats | float]:
    return [outcome.probabilities(place), *outcome.movement(place)]


class Stub:
    """Right from its third step on, y counting steps; its halting logit is that of `logits`, by step."""

    def __init__(self, *logits: float) -> None:
        self.logits, self.seen = logits, 0
        start = np.zeros((1, 1), np.float32)
        self.model = Exported(self.step, OnnxState(start, start), 2)

    def step(self, state: OnnxState, question: npt.NDArray[np.int64]) -> OnnxOutput:
        self.seen += len(state.y)
        y = state.y + 1
        tokens = np.where(y >= 3, SOLVED, WRONG)
        halt = np.array([self.logits[min(int(step), len(self.logits)) - 1] for step in y[:, 0]], np.float32)
        return OnnxOutput(OnnxState(y, state.z), np.eye(4, dtype=np.float32)[tokens - 2], halt)

    def run(self, thinking: Thinking, batch: int = 16) -> list[SearchResult]:
        return search(OnnxBackend(self.model), TASK, OPEN, thinking, batch)


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_who_is_done_leaves_the_batch(batch: int) -> None:
    stub = Stub(-1.0)
    for answer in stub.run(Thinking(9), batch):
        assert (answer.steps, answer.valid, answer.tokens.tolist()) == (3, True, SOLVED.tolist())
    assert stub.seen == 3 * len(OPEN)
    stub = Stub(-1.0, -1.0, -1.0, 2.0)
    for answer in stub.run(Thinking(9, until="halt"), batch):
        assert (answer.steps, answer.valid) == (4, True)
    assert stub.seen == 4 * len(OPEN)


def test_the_best_attempt_of_one_that_fails() -> None:
    """Surest at its first step; its logits are 1 for a token and 0 for three."""
    for answer in Stub(1.0, -3.0).run(Thinking(2)):
        assert (answer.steps, answer.valid, answer.tokens.tolist()) == (2, False, WRONG.tolist())
        assert answer.confidence == pytest.approx(1 / (1 + np.exp(-1.0)) * np.e / (np.e + 3))
    assert Stub(-1000.0).run(Thinking(1))[0].confidence == pytest.approx(0)


def test_a_time_limit_gives_every_puzzle_one_step() -> None:
    stub = Stub(-1.0)
    answers = stub.run(Thinking(9, seconds=1e-9), batch=2)
    assert [answer.steps for answer in answers] == [1] * len(OPEN)


def alone(name: str) -> bool:
    """Whether shipped weights are one network's: of several that take turns no file can be made."""
    model = json.loads((store.SHIPPED / name / store.CONFIG).read_text())["model"]
    return bool(model.get("turns", 1) == 1)


@pytest.mark.parametrize("name", [name for name in store.shipped_names() if alone(name)])
def test_shipped_files_are_those_of_the_shipped_weights(name: str) -> None:
    """After a change of the weights: `trm export NAME --to trm/weights/NAME/model.onnx`."""
    stored, model = store.load(name), exported.load(name, threads=1)
    task = get_task(stored.spec.name)
    part: Literal["minimal", "validation"] = "minimal" if isinstance(task, Sudoku) else "validation"
    question = load_puzzles(task, "embedded", part).question[: max(4, 20 * 81 // task.spec.cells)]
    with torch.no_grad():
        output = stored.model(stored.model.start(len(question)), torch.from_numpy(question))
    backend = OnnxBackend(model)
    found = backend.step(backend.start([None] * len(question), 0.0), question, None).output
    expected = (output.state.y, output.state.z, output.logits, output.halt)
    for ours, theirs in zip((found.state.y, found.state.z, found.logits, found.halt), expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-4)
    steps = 12 if isinstance(task, Sudoku) else 64  # a maze's news has a long way to go, there and back
    pairs = zip(
        search(backend, task, question, Thinking(steps, until="halt")),
        search(TorchBackend(stored.model), task, question, Thinking(steps, until="halt")),
        strict=True,
    )
    both = [(a, b) for a, b in pairs if max(a.steps, b.steps) < steps]
    assert len(both) >= len(question) // 4
    assert all(np.array_equal(a.tokens, b.tokens) for a, b in both)


def without(modules: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` where these modules cannot be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({modules.split()!r})); "
    command = [sys.executable, "-W", "error", "-c", blocked + arguments[0], *arguments[1:]]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_the_class_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys, trm; print(trm.Solver('sudoku', backend=sys.argv[1]).solve(sys.argv[2]).solved)"
    for backend in ("onnx", "auto"):
        done = without("torch safetensors", code, backend, EASY, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_solving_needs_no_torch(tmp_path: Path) -> None:
    main = "from trm.cli.main import main; main()"
    more = ("--backend", "onnx", "--threads", "1")
    done = without("torch safetensors", main, "solve", "sudoku", EASY, *more, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == ANSWER
    assert "│ 5 3 4 │ 6 7 8 │ 9 1 2 │" in done.stdout
    assert re.search(r"solved in \d+ steps?; every rule is obeyed", done.stdout)


def test_an_easy_puzzle_needs_no_torch_and_a_hard_one_gets_it(call: Call, tmp_path: Path) -> None:
    """The exported file answers first, and torch is there for what that does not solve."""
    main = "from trm.cli.main import main; main()"
    done = without("torch safetensors", main, "solve", "sudoku", EASY, "--threads", "1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == ANSWER
    hard = ("solve", "sudoku", EASY, "--steps", "1", "--weights", "sudoku-mini", "--threads", "1")
    refused = without("torch safetensors", main, *hard, cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "trm: this needs torch: install it (docs/quickstart.md), or solve with the onnx backend"
    )
    many = call("solve", "sudoku", EASY, *hard[3:], "--restarts", "1", "--noise", "0.5")
    assert many == call("solve", "sudoku", EASY, *hard[3:], "--restarts", "1", "--noise", "0.5", "--backend", "torch")


def test_a_folder_comes_before_what_ships(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a file lies in it that was exported from other weights."""
    shutil.copytree(store.SHIPPED / "sudoku-mini", tmp_path / "sudoku-mini")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(store.SHIPPED / "sudoku" / name, tmp_path / "sudoku-mini")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exported, "load", lambda *_: pytest.fail("asked an exported file"))
    for name in ("sudoku-mini", str(tmp_path / "sudoku-mini")):
        assert call("solve", "sudoku", EASY, "--weights", name, "--threads", "1").code == 0


def test_both_backends_print_the_same(call: Call) -> None:
    one, two = (call("solve", "sudoku", EASY, "--trace", "--backend", name) for name in ("onnx", "torch"))
    assert one == two
    assert one.code == 0
    failed = call("solve", "sudoku", EASY, "--steps", "1", "--backend", "onnx", "--weights", "sudoku-mini")
    assert failed.code == 1
    assert "not solved after 1 step" in failed.out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--backend", "onnx", "--restarts", "2"], "--backend onnx has one start a puzzle: leave out --restarts"),
        (["--backend", "onnx", "--noise", "1", "--seed", "2"], "leave out --noise, --seed, or use --backend torch"),
        (["--backend", "jax"], "--backend jax: choose auto, torch or onnx"),
        (["--backend", "onnx", "--weights", "none.onnx"], "none.onnx: no such file"),
        (["--backend", "onnx", "--weights", "runs/mine"], "`trm export runs/mine --to FILE.onnx` writes one"),
    ],
)
def test_what_cannot_be_is_said(call: Call, more: list[str], message: str) -> None:
    done = call("solve", "sudoku", EASY, *more)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_size_is_for_onnx_files(call: Call, tmp_path: Path) -> None:
    done = call("export", "sudoku-mini", "--to", str(tmp_path / "x.safetensors"), "--task", "sudoku-6x6")
    assert (done.code, list(tmp_path.iterdir())) == (2, [])
    assert "--task is for a file that ends in .onnx" in done.err


def test_files_that_are_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    content = (store.SHIPPED / "sudoku-mini" / "model.onnx").read_bytes()
    for broken in (b"", content[:1000], b"\0" * 100):
        path.write_bytes(broken)
        with pytest.raises(BadInput, match=r"x\.onnx: not a file that `trm export` wrote, or a damaged one"):
            exported.load(str(path))
    graph = onnx.load_from_string(content)
    for values, message in (({"format": 99}, "format is 99"), ({}, "or a damaged one")):
        graph.metadata_props[0].value = json.dumps(values)
        path.write_bytes(graph.SerializeToString())
        with pytest.raises(BadInput, match=message):
            exported.load(str(path))


def test_a_file_is_for_one_size(call: Call) -> None:
    done = call("solve", "sudoku", "." * 16, "--backend", "onnx")
    assert (done.code, done.out) == (2, "")
    assert "exported for sudoku of 9x9 cells, not for sudoku-4x4 of 4x4" in done.err


def test_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(TrmError, match=r"needs onnxscript: pip install 'trm\[onnx\]'"):
        onnx_export.to_onnx(small("groups"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(TrmError, match="needs onnxruntime: pip install onnxruntime"):
        exported.load("sudoku-mini")


def test_the_snippet_of_the_docs_runs(tmp_path: Path) -> None:
    """With onnxruntime and numpy alone."""
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    content = (store.SHIPPED / "sudoku" / "model.onnx").read_bytes()
    (tmp_path / "sudoku.onnx").write_bytes(content)
    beside = onnx_export.describe_file(store.load("sudoku"), content)
    (tmp_path / "sudoku.json").write_text(json.dumps(beside), encoding="utf-8")
    done = without("torch trm", snippet, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[-1] == ANSWER
