"""Solving with a file that `trm export` wrote: numpy and onnxruntime, and no torch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput, TrmError
from trm.store.shipped import SHIPPED
from trm.tasks.base import Task, Tokens, check, settled

FORMAT = 1
FILE = "model.onnx"  # in a model's folder

Floats = npt.NDArray[np.float32]
# One supervision step: y, z, question [batch, cells] -> y, z, logits [batch, cells, tokens - first_token], halt [batch]
Step = Callable[[Floats, Floats, npt.NDArray[np.int64]], tuple[Floats, Floats, Floats, Floats]]


@dataclass(frozen=True)
class Exported:
    """A model of which only its step is known."""

    step: Step
    start: tuple[Floats, Floats]  # y and z of one puzzle before its first step, [1, ...]
    first_token: int  # the token that logits[..., 0] stands for
    name: str = ""
    task: dict[str, Any] = field(default_factory=dict)  # the fields of `trm.tasks.base.Spec`


@dataclass
class Answer:
    """What the model made of one question; the fields are those of `trm.inference.Answer`."""

    tokens: Tokens  # [cells]
    valid: bool = False
    steps: int = 0
    confidence: float = 0.0
    trace: list[Tokens] = field(default_factory=list)
    rank: tuple[float, ...] = ()  # of `tokens` among the answers so far


def find(name: str) -> Path:
    """An exported file: its path, or the folder or the shipped name of a model that has one. Raises BadInput."""
    if name.endswith(".onnx"):
        if Path(name).is_file():
            return Path(name)
        raise BadInput(f"{name}: no such file; `trm export WEIGHTS --to {name}` writes one")
    for folder in (Path(name), Path(name) / "model", SHIPPED / name):
        if (folder / FILE).is_file():
            return folder / FILE
    raise BadInput(
        f"no exported model {name!r}: `trm export {name} --to FILE.onnx` writes one, then --weights FILE.onnx"
    )


def load(name: str, threads: int = 0) -> Exported:
    """Open an exported file.

    Args:
        name: see `find`.
        threads: of onnxruntime; 0: as many as it likes.

    Raises:
        BadInput: no such file, a damaged one, one that `trm export` did not write, or one that needs puzzle numbers.
        TrmError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise TrmError("the onnx backend needs onnxruntime: pip install onnxruntime") from None
    path = find(name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the cores alone
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        about = json.loads(session.get_modelmeta().custom_metadata_map["trm"])
        if about["format"] != FORMAT:
            raise BadInput(f"{path}: its format is {about['format']}, this version reads {FORMAT}; export it again")
        shapes = {node.name: node.shape[1:] for node in session.get_inputs()}
        # The start is one vector for every place, whatever the shape of the state.
        y, z = (np.full((1, *shapes[part]), np.float32(about[f"start_{part}"])) for part in "yz")
        name, task, first_token = about["name"], about["task"], about["first_token"]
    except BadInput:
        raise
    except Exception as error:  # onnxruntime's own have no class in common
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path}: not a file that `trm export` wrote, or a damaged one ({reason})") from None
    if "ids" in shapes:
        raise BadInput(f"{path}: this model tells puzzles apart by embedding, and a puzzle on its own has none")

    def step(y: Floats, z: Floats, question: npt.NDArray[np.int64]) -> tuple[Floats, Floats, Floats, Floats]:
        y, z, logits, halt = session.run(None, {"y": y, "z": z, "question": question})
        return y, z, logits, halt

    return Exported(step, (y, z), first_token, name, task)


def solve(
    model: Exported,
    task: Task,
    question: Tokens,
    steps: int = 64,
    until: Literal["valid", "halt"] = "valid",
    seconds: float | None = None,
    batch: int = 16,
    trace: bool = False,
) -> list[Answer]:
    """Solve question [rows, cells], each from one start.

    A puzzle leaves the batch as soon as it is done, and its place goes to the next one. One that never gets there comes
    back with its most confident answer.

    Args:
        model: see `load`.
        task: whose rules to check.
        question: [rows, cells] tokens.
        steps: supervision steps a puzzle, at most.
        until: what ends the work on a puzzle: one that is right by the rules, or that the model holds for right.
        seconds: time limit for all puzzles together, looked at between steps; each gets one step at least.
        batch: puzzles worked on at once.
        trace: keep the answer after every step.

    Raises:
        BadInput: the model is for another task, or another size of it.
    """
    check_task(model, task)
    answers = [Answer(row) for row in question]
    rows: npt.NDArray[np.int64] = np.empty(0, np.int64)  # puzzle of each place in the batch
    y, z = (part[:0] for part in model.start)
    end, fresh = None if seconds is None else time.monotonic() + seconds, 0
    while len(rows) or fresh < len(question):
        more = np.arange(fresh, min(len(question), fresh + batch - len(rows)))
        fresh += len(more)
        rows = np.append(rows, more)
        y, z = (np.concatenate((a, b.repeat(len(more), 0))) for a, b in zip((y, z), model.start, strict=True))
        y, z, logits, halt = model.step(y, z, question[rows].astype(np.int64))
        tokens = settled(task, question[rows], (logits.argmax(-1) + model.first_token).astype(np.uint8))
        (valid, right), confidence = check(task, question[rows], tokens), confidence_in(question[rows], logits, halt)
        done = right.copy() if until == "valid" else halt > 0
        most = 1 if end is not None and time.monotonic() >= end else steps
        for at, row in enumerate(rows):
            answer = answers[row]
            answer.steps += 1
            if trace:
                answer.trace.append(tokens[at])
            sure = float(confidence[at])
            rank = (bool(right[at]), bool(valid[at]), sure) if until == "valid" else (sure,)
            if rank >= answer.rank:
                answer.tokens, answer.valid, answer.confidence, answer.rank = tokens[at], bool(valid[at]), sure, rank
            done[at] |= answer.steps >= most
        rows, y, z = rows[~done], y[~done], z[~done]
    return answers


def confidence_in(question: Tokens, logits: Floats, halt: Floats) -> Floats:
    """`trm.inference.confidence_in` in numpy: question [batch, cells] and a step's logits and halt -> [batch], 0..1"""
    # The probability of the likeliest token is one over the sum of all, each relative to it.
    certain = 1 / np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)
    sure: Floats = np.where(question == 0, 1, certain).min(-1) / (1 + np.exp(-halt.clip(-80)))  # clip: no overflow
    return sure


def fits(model: Exported, task: Task) -> bool:
    """Whether the model is for this task in this size."""
    ours = task.spec
    return not model.task or all(model.task[key] == getattr(ours, key) for key in ("height", "width", "vocab"))


def check_task(model: Exported, task: Task) -> None:
    """Raise BadInput unless the model `fits` the task."""
    ours = task.spec
    if not fits(model, task):
        theirs = f"{model.task['name']} of {model.task['height']}x{model.task['width']} cells"
        raise BadInput(
            f"model {model.name!r} was exported for {theirs}, not for {ours.name} of {ours.height}x{ours.width}: "
            f"`trm export WEIGHTS --to FILE.onnx --task {ours.name}` writes one, where the weights allow it"
        )
