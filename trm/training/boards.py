"""Programs that show a run's numbers while it trains: TensorBoard, and Weights & Biases."""

from __future__ import annotations

import importlib.util
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from trm.errors import TrmError
from trm.files import write_text
from trm.remarks import one_line, report

BoardName = Literal["tensorboard", "wandb"]
RUN_ID = "wandb-id"  # in a run's folder: the id of the run there, so that a resumed run goes on with it


class Board(Protocol):
    def add(self, numbers: Mapping[str, float], update: int) -> None: ...
    def close(self) -> None: ...


class TensorBoard:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def add(self, numbers: Mapping[str, float], update: int) -> None:
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, update)

    def close(self) -> None:
        self.writer.close()


class WandB:
    """A run of the project `trm`, or of the one that WANDB_PROJECT names, with the settings of the run.

    wandb reads its key and its mode from the environment or its own files; they are not looked at here.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        try:
            self.run = wandb.init(
                project=os.environ.get("WANDB_PROJECT") or "trm",
                name=folder.name,
                id=run_id(folder),
                resume="allow",
                dir=folder,
                config=dict(settings),
                settings=wandb.Settings(console="off", silent=True),
            )
        except (wandb.errors.Error, ValueError) as error:  # ValueError: of its variables in the environment
            offline = "WANDB_MODE=offline writes files for a later `wandb sync`"
            raise TrmError(f"report=wandb: {one_line(str(error))}; {offline}") from None
        report(f"wandb: {self.run.url or self.run.dir}")

    def add(self, numbers: Mapping[str, float], update: int) -> None:
        self.run.log(dict(numbers), step=update)

    def close(self) -> None:
        self.run.finish()


def run_id(folder: Path) -> str:
    """The id of the run in `folder`, a new one the first time."""
    path = folder / RUN_ID
    if not path.is_file():
        write_text(path, uuid.uuid4().hex + "\n")
    return path.read_text(encoding="utf-8").strip()


def check_board(name: BoardName) -> None:
    """Raise TrmError if a board is asked for that is not installed. TensorBoard is used only where it is."""
    spec = importlib.util.find_spec("wandb") if name == "wandb" else None
    if name == "wandb" and (spec is None or spec.origin is None):  # without an origin it is a folder of that name
        raise TrmError("report=wandb needs wandb, which is not installed: pip install 'trm[wandb]'")


def open_board(name: BoardName, folder: Path, settings: Mapping[str, Any]) -> Board | None:
    """The board of the run in `folder`; None without TensorBoard. Raises TrmError where wandb cannot start."""
    if name == "wandb":
        return WandB(folder, settings)
    try:
        return TensorBoard(folder)
    except ImportError:
        return None
