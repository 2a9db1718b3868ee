"""What a language model said, in a folder: the job, then a line for each row, on the disk as soon as it is there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from trm.errors import BadInput, TrmError
from trm.llm.http import Client
from trm.llm.prompts import version
from trm.tasks.base import Puzzles, Task

TRANSCRIPTS, EVALUATION = "transcripts.jsonl", "evaluation.json"

Outcome = Literal["answered", "refused", "truncated", "unparsable", "failed"]


class Job(BaseModel):
    """What makes replies comparable: the first line of the transcripts, and the same whenever the run goes on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    task: str
    data: str  # where the rows are from
    rows: str  # a digest of all of them
    model: str
    prompt: str  # the version of its wording
    max_tokens: int
    temperature: float | None


class Line(BaseModel):
    """One row that was asked. `failed`: no reply, to be asked again; every other outcome counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str  # the digest of its question
    outcome: Outcome
    why: str | None = None  # there is no answer
    answer: str | None = None  # a character for each cell
    prompt: str
    reply: str | None = None
    reasoning: str | None = None  # where the server gives it apart
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    lost: int = 0  # tokens that attempts without a readable reply may have cost; lines of earlier versions say nothing
    attempts: int
    seconds: float
    endpoint: str  # its host

    def tokens(self) -> int:
        """What it cost; a guess on the high side where the server does not say."""
        if self.usage is not None:
            return self.lost + sum(self.usage.values())
        said = "" if self.reply is None else self.prompt + self.reply + (self.reasoning or "")
        return self.lost + len(said) // 2


def plan(task: Task, puzzles: Puzzles, data: str, client: Client) -> Job:
    """The job of asking for rows of `puzzles`, the whole set called `data`."""
    rows = hashlib.sha256(puzzles.question.tobytes() + puzzles.answer.tobytes()).hexdigest()[:16]
    return Job(
        task=task.spec.name,
        data=data,
        rows=rows,
        model=client.model,
        prompt=version(task),
        max_tokens=client.max_tokens,
        temperature=client.temperature,
    )


class Transcripts:
    """The file of a job's lines, open for more. `lines`: the latest of each row; `spent`: tokens of all lines.

    Raises BadInput for a folder that is in use, cannot be written, is damaged or holds something else.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder, self.path = folder, folder / TRANSCRIPTS
        self.lines: dict[str, Line] = {}
        self.spent = 0
        self.lock = FileLock(folder / ".lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.lock.acquire(timeout=0)
        except Timeout:
            raise BadInput(f"{folder} is in use by another process; wait for it or choose another --out") from None
        except OSError as error:
            raise BadInput(f"cannot write in {folder}: {error.strerror}; choose another --out") from None
        try:
            self.file = self.open(job)
        except BaseException:
            self.lock.release()
            raise

    def __enter__(self) -> Transcripts:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.lock.release()

    def open(self, job: Job) -> BinaryIO:
        try:
            if not self.path.exists() and (self.folder / EVALUATION).exists():
                raise BadInput(f"{self.folder} holds the evaluation of another model; choose another --out")
            # Unbuffered, so that a line is written in one piece.
            file = self.path.open("r+b" if self.path.exists() else "x+b", buffering=0)
            try:
                whole = self.read(file.read(), job)
                file.truncate(whole)
                file.seek(whole)
                if not whole:
                    self.write(file, job)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise BadInput(f"cannot write {self.path}: {error.strerror}; choose another --out") from None
        return file

    def read(self, data: bytes, job: Job) -> int:
        """Take in the lines of an earlier run. -> the length of those that are whole: a crash may leave half of one"""
        whole = data.rfind(b"\n") + 1
        for number, text in enumerate(data[:whole].splitlines(), 1):
            try:
                if number > 1:
                    self.take(Line.model_validate_json(text))
                elif differing := differences(Job.model_validate_json(text), job):
                    raise BadInput(f"{self.folder} was begun with another {differing}; choose another --out")
            except ValidationError:
                remedy = "remove it, and its row is asked again" if number > 1 else "choose another --out"
                raise BadInput(f"{self.path}, line {number} is damaged: {remedy}") from None
        return whole

    def append(self, line: Line) -> None:
        """Raises TrmError if the disk does not take it."""
        try:
            self.write(self.file, line)
        except OSError as error:
            raise TrmError(f"cannot write {self.path}: {error.strerror}; {go_on(self.folder)}") from None
        self.take(line)

    def write(self, file: BinaryIO, line: Job | Line) -> None:
        text = line.model_dump_json().encode() + b"\n"
        while text:
            text = text[file.write(text) :]
        os.fsync(file.fileno())

    def take(self, line: Line) -> None:
        self.spent += line.tokens()
        self.lines[line.row] = line

    def answered(self, row: str) -> bool:
        return row in self.lines and self.lines[row].outcome != "failed"


def differences(before: Job, now: Job) -> str:
    """The settings that differ, with what they were; empty if none do."""
    old, new = before.model_dump(), now.model_dump()
    return ", ".join(f"{name} ({old[name]!r}, now {new[name]!r})" for name in old if old[name] != new[name])


def go_on(folder: Path) -> str:
    return f"what was answered is in {folder}, and the same command goes on from there"
