"""Supervision steps with onnxruntime and without torch: a backend for the files that `trm export` writes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput, TrmError, in_one_line
from trm.files import digest
from trm.inference.backend import Floats, Movement, movement_of
from trm.numbers import is_finite
from trm.store.seals import is_whole
from trm.store.shipped import CONFIG, SHIPPED, WEIGHTS
from trm.tasks import find_family
from trm.tasks.base import Bools, Ints, Task, Tokens
from trm.tasks.text import quoted

FORMAT = 1
LARGEST = float(np.finfo(np.float32).max)  # that a number of the model can be
FILE = "model.onnx"  # in a model's folder


class OnnxState(NamedTuple):
    """The recursion's memory between supervision steps, [batch, ...] each."""

    y: Floats
    z: Floats


class OnnxOutput(NamedTuple):
    """What an exported file computes in one supervision step."""

    state: OnnxState
    logits: Floats  # [batch, cells, tokens - first_token]
    halt: Floats  # [batch], the halting logit


StepFunction = Callable[[OnnxState, npt.NDArray[np.int64]], OnnxOutput]  # of a state and question [batch, cells]


@dataclass(frozen=True, eq=False)
class Exported:
    """An exported model: the function of one supervision step, and what a host needs besides."""

    step: StepFunction
    start: OnnxState  # of one puzzle before its first step, [1, ...]
    first_token: int  # the token that logits[..., 0] stands for
    halt_logit: float = 0.0  # the model halts where the halting logit is above it
    name: str = ""
    task: dict[str, Any] = field(default_factory=dict)  # the fields of `trm.tasks.base.Spec`
    file: str = ""  # where it was read from, and with how many threads it runs
    threads: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the name of its file: a session of onnxruntime cannot be pickled."""
        return load, (self.file, self.threads)


class Stale(BadInput):
    """The file was not exported from the weights that lie beside it."""


def check_weights(path: Path, about: dict[str, Any]) -> None:
    """Raise `Stale` if the exported file `path`, whose metadata is `about`, is not of the model in the same folder.

    Files of other models may lie there under names of their own.
    """
    weights, config = path.with_name(WEIGHTS), path.with_name(CONFIG)
    if not weights.is_file():
        return
    if path.name != FILE:
        try:
            beside = json.loads(config.read_text(encoding="utf-8"))["name"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return
        if beside != about["name"]:
            return
    known = about.get("weights_sha256")
    if known == digest(weights):
        return
    fault = "does not say from which weights it was exported" if known is None else "was exported from other weights"
    again = shlex.join(("trm", "export", str(path.parent), "--to", str(path)))
    raise Stale(f"{path} {fault}, and {weights.name} lies beside it; write it anew: {again}")


def check_about(about: dict[str, Any], widths: Sequence[Any]) -> None:
    """Raise KeyError, TypeError or ValueError for metadata of a wrong kind; `widths`: the last axes of y and z."""
    for part, width in zip("yz", widths, strict=True):
        vector = about[f"start_{part}"]
        if not isinstance(vector, list) or len(vector) != width or not all(is_finite(one, LARGEST) for one in vector):
            raise ValueError(f"start_{part} is no vector of {width} numbers")
    task, sizes = about["task"], ("height", "width", "vocab")
    counts = [about["first_token"], *(task[size] for size in sizes)]
    if not isinstance(about["name"], str) or not isinstance(task["name"], str):
        raise ValueError("a name is no text")
    whole = all(type(count) is int and count >= 0 for count in counts)
    if not whole or not is_finite(about.get("halt_logit", 0.0), LARGEST):
        raise ValueError("a number is missing or of a wrong kind")


def check_definition(definition: Any, task: dict[str, Any]) -> None:
    """Make the task that a file defines known by its name. Raises ValueError if it is not the file's own task."""
    defined = find_family(task["name"]).define(definition)
    if not fits_spec(task, defined) or defined.spec.name != task["name"]:
        raise ValueError(f"it defines {defined.spec.name}, and is for {task['name']}")


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
        f"no exported model {name!r}: `trm export {name} --to FILE.onnx` writes one, unless its networks take turns; "
        "then --weights FILE.onnx"
    )


def load(name: str, threads: int = 0) -> Exported:
    """Open an exported file.

    Args:
        name: see `find`.
        threads: of onnxruntime [default: 0, its own choice].

    Raises:
        BadInput: no such file, a damaged one, one that `trm export` did not write, one that needs puzzle numbers, or
            one that was exported from other weights than those beside it (`Stale`).
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
        content = path.read_bytes()
        if not is_whole(content):
            raise ValueError("its content is not what was written")
        # Without a fallback, of which it would print lines: there is one provider.
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"], enable_fallback=0)
        about = json.loads(session.get_modelmeta().custom_metadata_map["trm"])
        if type(about["format"]) is not int or about["format"] != FORMAT:
            raise BadInput(f"{path}: its format is {quoted(about['format'])}, and {FORMAT} is read; export it again")
        shapes = {node.name: node.shape[1:] for node in session.get_inputs()}
        check_about(about, [shapes[part][-1] for part in "yz"])
        (tokens,) = [node.shape[-1] for node in session.get_outputs() if node.name == "logits"]
        if about["first_token"] + tokens != about["task"]["vocab"]:
            raise ValueError("first_token is not that of the logits")
        check_weights(path, about)
        if definition := about.get("definition"):
            check_definition(definition, about["task"])
        # The initial state is one vector, the same at every position, whatever the shape of the state.
        y, z = (np.full((1, *shapes[part]), np.float32(about[f"start_{part}"])) for part in "yz")
        name, task, first_token = about["name"], about["task"], about["first_token"]
        halt_logit = float(about.get("halt_logit", 0.0))  # files written before it was added halt above 0
    except BadInput:
        raise
    except Exception as error:  # exceptions of onnxruntime have no base class of their own
        reason = in_one_line(error)
        raise BadInput(f"{path}: not a file that `trm export` wrote, or a damaged one ({reason})") from None
    if "ids" in shapes:
        raise BadInput(f"{path}: this model has an embedding for each puzzle of its training, and none for a new one")

    def step(state: OnnxState, question: npt.NDArray[np.int64]) -> OnnxOutput:
        y, z, logits, halt = session.run(None, {"y": state.y, "z": state.z, "question": question})
        return OnnxOutput(OnnxState(y, z), logits, halt)

    return Exported(step, OnnxState(y, z), first_token, halt_logit, name, task, str(path), threads)


@dataclass(frozen=True, eq=False)
class OnnxOutcome:
    """An `Outcome` from the arrays of an exported file."""

    before: OnnxState
    output: OnnxOutput
    first_token: int
    halt_logit: float

    @property
    def state(self) -> OnnxState:
        return self.output.state

    @property
    def tokens(self) -> Tokens:
        tokens: Tokens = (self.output.logits.argmax(-1) + self.first_token).astype(np.uint8)
        return tokens

    @property
    def halts(self) -> Bools:
        halts: Bools = self.output.halt > self.halt_logit
        return halts

    @property
    def halting(self) -> Floats:
        return sigmoid(self.output.halt)

    def confidence(self, question: Tokens) -> Floats:
        return confidence_in(question, self.output.logits, self.output.halt)

    def probabilities(self, place: int) -> Floats:
        logits = self.output.logits[place]
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        probabilities: Floats = odds / odds.sum(-1, keepdims=True)
        return probabilities

    def movement(self, place: int) -> Movement:
        y, z = (after[place] - before[place] for after, before in zip(self.state, self.before, strict=True))
        return movement_of(y, z, self.output.logits.shape[1])


@dataclass(frozen=True)
class OnnxBackend:
    """An exported model. It makes one start a puzzle: no noise is drawn here."""

    exported: Exported

    @property
    def first_token(self) -> int:
        return self.exported.first_token

    def start(self, seeds: Sequence[int | None], noise: float) -> OnnxState:
        assert all(seed is None for seed in seeds), "restarts with noise need the torch backend"
        return OnnxState(*(part.repeat(len(seeds), 0) for part in self.exported.start))

    def step(self, state: OnnxState, question: Tokens, ids: Ints | None) -> OnnxOutcome:
        assert ids is None, "a model with puzzle embeddings needs the torch backend"
        output = self.exported.step(state, question.astype(np.int64))
        return OnnxOutcome(state, output, self.first_token, self.exported.halt_logit)

    def join(self, first: OnnxState, second: OnnxState) -> OnnxState:
        return OnnxState(*(np.concatenate(parts) for parts in zip(first, second, strict=True)))

    def keep(self, state: OnnxState, rows: Bools) -> OnnxState:
        return OnnxState(*(part[rows] for part in state))


def confidence_in(question: Tokens, logits: Floats, halt: Floats) -> Floats:
    """`trm.inference.torch_step.confidence_in` in numpy: of question [batch, cells] and a step's logits and halt."""
    sure: Floats = np.where(question == 0, 1, largest_probability(logits)).min(-1) / (1 + np.exp(-halt.clip(-80)))
    return sure


def largest_probability(logits: Floats) -> Floats:
    """Probability of the likeliest token. logits [..., tokens] -> [...]"""
    # It is one over the sum of all odds relative to its own.
    certain: Floats = 1 / np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)
    return certain


def sigmoid(logits: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-logits.clip(-80)))  # clipped against overflow
    return result


def fits(model: Exported, task: Task) -> bool:
    """Whether the model is for this task in this size."""
    return not model.task or fits_spec(model.task, task)


def fits_spec(fields: dict[str, Any], task: Task) -> bool:
    """Whether the fields of a spec are those of the task in its size."""
    return all(fields[key] == getattr(task.spec, key) for key in ("height", "width", "vocab"))


def check_task(model: Exported, task: Task) -> None:
    """Raise BadInput unless the model `fits` the task."""
    ours = task.spec
    if not fits(model, task):
        theirs = f"{model.task['name']} of {model.task['height']}x{model.task['width']} cells"
        hint = f"`trm export WEIGHTS --to FILE.onnx --task {ours.name}` writes one, where the weights allow it"
        if find_family(ours.name).defined_by_weights:
            hint = "it is exported for the size in training; use the torch backend for others"
        raise BadInput(
            f"model {model.name!r} was exported for {theirs}, not for {ours.name} of {ours.height}x{ours.width}: {hint}"
        )
