"""Which backends work on a puzzle: torch, an exported file, or the file first and then torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from trm.errors import NO_TORCH, BadInput, TrmError
from trm.inference import onnx
from trm.inference.backend import Backend
from trm.inference.defaults import default_weights
from trm.inference.loop import SearchState, StepBatch, Thinking, think
from trm.remarks import report
from trm.store.shipped import SHIPPED
from trm.tasks import family_name, find_family
from trm.tasks.base import Task, Tokens

if TYPE_CHECKING:
    from trm.inference.torch_step import ModelSizes
    from trm.store.stored import Stored

BackendName = Literal["torch", "onnx", "auto"]
FEW = 4  # puzzles of a call for which `auto` begins with the exported file


class BackendStage(NamedTuple):
    """A part of the work on a puzzle."""

    backend: Backend[Any]
    starts: int | None  # of each puzzle before the next stage takes over; None: this is the last stage


class Backends:
    """The backends of one solver. Several threads may use them at a time.

    With `auto` and weights that ship with an exported file, nothing is loaded before it is used. In all other cases the
    weights are loaded, and refused, at once.

    Args:
        name: `torch`, `onnx`, or `auto`: see `trm.Solver`.
        task: a family, or the name of a registered task.
        weights: see `trm.Solver`.
        threads: of the backend; 0: its own choice.
        precision: of the torch model, see `trm.Solver`.

    Raises:
        BadInput: no such backend or weights, or weights that do not fit the task.
        TrmError: a model of the hub cannot be downloaded, or onnxruntime is not installed.
    """

    def __init__(
        self, name: BackendName, task: str, weights: str | Path | Stored | None, threads: int, precision: str = "auto"
    ) -> None:
        if name not in get_args(BackendName):
            raise BadInput(f"backend must be one of {', '.join(get_args(BackendName))}, not {name!r}")
        if weights is None or isinstance(weights, str | Path):
            weights = str(weights or default_weights(task))
        self.name, self.task, self.weights, self.threads, self.precision = name, task, weights, threads, precision
        self.sizes: ModelSizes | None = None  # the torch model, once it is loaded
        self._exported: onnx.Exported | None = None
        self._stale = False  # the exported file is of other weights
        self._lock = Lock()
        if name == "onnx":
            self.exported()
        elif name == "torch" or not self.ships_exported():
            self.torch()

    def torch(self) -> ModelSizes:
        """The torch model, loaded at the first call. Raises BadInput, and TrmError where torch is not installed or a
        model of the hub cannot be downloaded.
        """
        if self.name == "onnx":
            raise BadInput("the onnx backend has no torch model: choose backend torch or auto")
        with self._lock:
            if self.sizes is None:
                try:
                    from trm.inference.torch_step import open_model
                except ModuleNotFoundError as error:
                    if error.name != "torch":
                        raise
                    raise TrmError(NO_TORCH) from None
                self.sizes = open_model(self.task, self.weights, self.threads, self.precision)
            return self.sizes

    def exported(self) -> onnx.Exported:
        """The exported file, opened at the first call. Raises BadInput, and TrmError where onnxruntime is missing."""
        with self._lock:
            if self._exported is None:
                if not isinstance(self.weights, str):
                    raise BadInput("the onnx backend is for exported files; choose backend torch for a loaded model")
                file = str(SHIPPED / self.weights / onnx.FILE) if self.name == "auto" else self.weights
                self._exported = onnx.load(file, self.threads)
            return self._exported

    def task_name(self) -> str:
        """The task's full name, where the weights define it; else as it was given."""
        if not find_family(self.task).defined_by_weights:
            return self.task
        if self.name != "onnx":
            return self.torch().stored.spec.name
        name: str = self.exported().task["name"]
        if self.task not in (name, family_name(name)):
            raise BadInput(f"model {self.exported().name!r} solves {name}, not {self.task}")
        return name

    def ships_exported(self) -> bool:
        """Whether the weights ship with an exported file. False if the working directory has a folder of that name,
        since that folder comes first and an exported file in it may be older than its weights.
        """
        weights = self.weights
        if not isinstance(weights, str):
            return False
        return not self._stale and not Path(weights).exists() and (SHIPPED / weights / onnx.FILE).is_file()

    def begins_exported(self, task: Task) -> bool:
        """Whether the exported file can make the first start. One that is of other weights is named, and not used."""
        try:
            return self.ships_exported() and onnx.fits(self.exported(), task)
        except onnx.Stale as error:
            self._stale = True
            report(f"{error}; torch is used instead")
            return False

    def stages(self, task: Task, count: int, thinking: Thinking) -> Iterator[BackendStage]:
        """The stages of the work on `count` puzzles of one size. Raises BadInput where the weights do not fit it."""
        if self.name == "onnx":
            onnx.check_task(self.exported(), task)
            yield BackendStage(onnx.OnnxBackend(self.exported()), None)
            return
        few = count <= FEW and thinking.seconds is None and task.checkable
        if self.name == "auto" and few and self.begins_exported(task):
            yield BackendStage(onnx.OnnxBackend(self.exported()), 1)
        yield BackendStage(self.torch().backend(task.spec), None)


def think_in_stages(
    stages: Iterable[BackendStage],
    task: Task,
    question: Tokens,
    searches: Sequence[SearchState],
    thinking: Thinking,
    batch: int = 16,
) -> Iterator[StepBatch[Any]]:
    """`trm.inference.loop.think` with one backend after the other; asks for the next only if a puzzle is unfinished."""
    for backend, starts in stages:
        yield from think(backend, task, question, searches, thinking, batch, starts=starts)
        if all(one.done or one.finished > thinking.restarts for one in searches):
            return
