"""Replies of a language model, kept in a folder: a job, then a line for each row, written as soon as it is there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from trm.errors import BadInput, TrmError
from trm.llm.http import Client
from trm.llm.prompts import prompt_version
from trm.tasks.base import Puzzles, Task

TRANSCRIPTS, EVALUATION = "transcripts.jsonl", "evaluation.json"

Outcome = Literal["answered", "refused", "truncated", "unparsable", "failed"]


class Job(BaseModel):
    """The settings that replies depend on. They are the first line of the file, and no later run may change them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    task: str
    data: str  # the file or set that the rows are from
    rows: str  # a digest of all of them
    model: str
    prompt: str  # the version of its wording
    max_tokens: int
    temperature: float | None


class TranscriptLine(BaseModel):
    """One row that was asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str  # the digest of its question
    outcome: Outcome  # `failed`: there was no reply, so the row is asked again; every other outcome counts
    why: str | None = None  # the reason, if there is no answer
    answer: str | None = None  # a character for each cell
    prompt: str
    reply: str | None = None
    reasoning: str | None = None  # if the server returns it apart from the reply
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    lost: int = 0  # tokens that attempts without a readable reply may have cost; missing in files of earlier versions
    attempts: int
    seconds: float
    endpoint: str  # its host

    def tokens(self) -> int:
        """What the row cost; an upper estimate if the server does not count tokens."""
        if self.usage is not None:
            return self.lost + sum(self.usage.values())
        said = "" if self.reply is None else self.prompt + self.reply + (self.reasoning or "")
        return self.lost + len(said) // 2


def plan(task: Task, puzzles: Puzzles, data: str, client: Client) -> Job:
    """The job of asking for rows of `puzzles`, the whole set that is called `data`."""
    rows = hashlib.sha256(puzzles.question.tobytes() + puzzles.answer.tobytes()).hexdigest()[:16]
    return Job(
        task=task.spec.name,
        data=data,
        rows=rows,
        model=client.model,
        prompt=prompt_version(task),
        max_tokens=client.max_tokens,
        temperature=client.temperature,
    )


class Transcripts:
    """A job's file, open for more lines.

    `lines` holds the latest line of each row, `spent` the tokens of all lines. Raises BadInput for a folder that is in
    use, cannot be written, is damaged or holds another job.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder, self.path = folder, folder / TRANSCRIPTS
        self.lines: dict[str, TranscriptLine] = {}
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
            self.file = self._open(job)
        except BaseException:
            self.lock.release()
            raise

    def __enter__(self) -> Transcripts:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.lock.release()

    def append(self, line: TranscriptLine) -> None:
        """Write a line and sync it to disk. Raises TrmError if that fails."""
        try:
            self._write(self.file, line)
        except OSError as error:
            raise TrmError(f"cannot write {self.path}: {error.strerror}; {how_to_continue(self.folder)}") from None
        self._add(line)

    def has_reply(self, row: str) -> bool:
        return row in self.lines and self.lines[row].outcome != "failed"

    def _open(self, job: Job) -> BinaryIO:
        try:
            if not self.path.exists() and (self.folder / EVALUATION).exists():
                raise BadInput(f"{self.folder} holds the evaluation of another model; choose another --out")
            # Unbuffered, so that a line is written in one piece.
            file = self.path.open("r+b" if self.path.exists() else "x+b", buffering=0)
            try:
                whole = self._read(file.read(), job)
                file.truncate(whole)
                file.seek(whole)
                if not whole:
                    self._write(file, job)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise BadInput(f"cannot write {self.path}: {error.strerror}; choose another --out") from None
        return file

    def _read(self, data: bytes, job: Job) -> int:
        """Take in the lines of an earlier run. -> the length of the whole lines: a crash may leave half of one"""
        whole = data.rfind(b"\n") + 1
        for number, text in enumerate(data[:whole].splitlines(), 1):
            try:
                if number > 1:
                    self._add(TranscriptLine.model_validate_json(text))
                elif differing := differences(Job.model_validate_json(text), job):
                    raise BadInput(f"{self.folder} was begun with another {differing}; choose another --out")
            except ValidationError:
                remedy = "remove it, and its row is asked again" if number > 1 else "choose another --out"
                raise BadInput(f"{self.path}, line {number} is damaged: {remedy}") from None
        return whole

    def _write(self, file: BinaryIO, line: Job | TranscriptLine) -> None:
        text = line.model_dump_json().encode() + b"\n"
        while text:
            text = text[file.write(text) :]
        os.fsync(file.fileno())

    def _add(self, line: TranscriptLine) -> None:
        self.spent += line.tokens()
        self.lines[line.row] = line


def differences(before: Job, now: Job) -> str:
    """The settings that differ, with their earlier values; empty if none do."""
    old, new = before.model_dump(), now.model_dump()
    return ", ".join(f"{name} ({old[name]!r}, now {new[name]!r})" for name in old if old[name] != new[name])


def how_to_continue(folder: Path) -> str:
    """A clause for messages."""
    return f"the replies so far are in {folder}, and the same command continues from there"
