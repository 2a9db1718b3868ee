"""Strange values for the environment, options and settings, and what is meant by them. Knows nothing of `trm`."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from encodings.aliases import aliases
from unittest.mock import patch

Values = Mapping[str, str | None]  # of variables in the environment; None: it is not set

NUMBERS: tuple[str | None, ...] = (
    *(None, "", "0", "1", "2", "3", "8", "007", " 1 ", "-1", "+1", "1.0", "1e3", "x", "nan", "٣", "²", "9" * 30),
    *("9" * 5000, "65535", "65536", "1000000", "1000001", "0x1", "1_0", "\x1b", "☃", "\udcff", "1\n2"),
)
FIGURES: tuple[str, ...] = (
    *("0", "1", "-1", "2", "16", "64", "0.5", "0.95", "1e-4", "1e400", "1e308", "1e-320", "nan", "inf", "-inf", "+5"),
    *("9" * 30, "9" * 5000, "-" + "9" * 30, "5.0", "1_000", " 3 ", "0x10", "0.1.2", "٣", "²", "true", "False", "yes"),
)
WORDS: tuple[str, ...] = (
    *("None", "[]", "{}", '"3"', "'3'", "a b", "é", "☃", "a=b", "nothing", "sudoku-4x4", "maze-99x99", "hrm", "mlp"),
    *("local", "none", "single", "adamw", "float64", "embedded", "rows", "/dev/null", "..", "\udcff"),
)
LISTS: tuple[str, ...] = (
    *("sudoku-4x4:0.5:4", "maze-10x10:0.2:16::0.25", "x:nan:3", "sudoku:0.5:5000000", "sudoku-4x4:0.5:4:99999"),
    *("0.9,0.99", "0.9,", ",", "[1,2]", "nan,1"),
)
ODD_TEXTS = ("", "\n", "a\nb", "\x1b[31m", "\udcff", "x" * 300, "=", "--", "-h", "\U0001f600", "\xa0")
ODD_KEYS: tuple[str, ...] = (
    *("", "x", "model", "arc", "model.", ".", "lr.x", "stages.0", "LR", " lr", "é", "\x1b", "\n", "steps", "a.b.c"),
    *("model.places", "model.__class__", "\udcff", "path", "out"),
)
RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT", "LOCAL_WORLD_SIZE")
TERMINAL = ("COLUMNS", "LINES", "TERMINAL_WIDTH", "NO_COLOR", "TERM")
KINDS = ("cpu", "cuda", "mps", "CPU", "meta", "xla", "", " ", "é", "\udcff", "cuda\n")
PLACES = ("", ":", ":0", ":1", ":2", ":00", ":01", ":-1", ":x", ":٣", ":²", ":99999", ":" + "9" * 99, "\n")
DEVICES = tuple(kind + place for kind in KINDS for place in PLACES)


def writes_ascii(codec: str) -> bool:
    with contextlib.suppress(LookupError, UnicodeError):
        return bool("| a1\\".encode(codec).decode(codec) == "| a1\\" and io.TextIOWrapper(io.BytesIO(), codec))
    return False


ENCODINGS = sorted(filter(writes_ascii, {*aliases.values()}))


@contextlib.contextmanager
def environment(values: Values) -> Iterator[None]:
    """With these variables set, and those that are None not set."""
    with patch.dict(os.environ, {name: value for name, value in values.items() if value is not None}):
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
        yield


def whole(text: str | None, least: int, most: int) -> int | None:
    """The number that a text is, if it is one from `least` to `most`."""
    number = int(text) if text and re.fullmatch(r"\s*[0-9]{1,11}\s*", text, re.ASCII) else -1
    return number if least <= number <= most else None


def launch_of(values: Values) -> tuple[int, int, int, int] | str | None:
    """What torchrun says: the rank, of how many, and the same on this machine; `refused` if that is nonsense."""
    if not any(values[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")):
        return None
    world = whole(values["WORLD_SIZE"], 1, 10**6) or 0
    here = whole(values["LOCAL_WORLD_SIZE"] or "1", 1, world)
    rank = whole(values["RANK"], 0, world - 1)
    local = whole(values["LOCAL_RANK"], 0, (here if here and values["LOCAL_WORLD_SIZE"] else world) - 1)
    port = whole(values["MASTER_PORT"], 1, 65535)
    if rank is None or local is None or here is None or port is None or not values["MASTER_ADDR"]:
        return "refused"
    return rank, world, local, here
