"""Ways to damage files and what is in them, and an attempt to read them."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from trm.errors import TrmError

T = TypeVar("T")

# Parts of files, names and values that do not belong there.
PIECES: tuple[bytes, ...] = (b"\0", b"\n", b" ", b'"', b",", b"7", b"-", b"#", b"NaN", b"\xff", b"\xc3\xa9", b"[]")
PIECES += (b'"train": 1, ', b'"blank": 1, ', b"9" * 5000, b"[" * 100_000)
WORDS = ((b"<i8", b"<i4"), (b"F32", b"I32"), (b"(80, 3, 3)", b"(40, 3, 3)"), (b": ", b": " + b"[" * 100_000))
NAMES = ("x", "", "a\nb", "é", "n" * 100, "\x07", "train", "output", "shape", "n", "module.frame.head.weight", "1")
ODD: tuple[Any, ...] = (None, True, False, 0, 1, -1, 10, 2.0, 1.5, 1e300, 10**400, math.nan, math.inf, "", "1", "rows")
ODD += ("a\nb", "\x07é", [], {}, [[]], [[1, 2], [3]], [[[0]]], {"a": [1]}, [[0] * 31] * 2, [[5]] * 31)
ODD_OBJECTS = (*ODD, torch.tensor([1.0, math.nan]), torch.zeros(2, 0), torch.ones(3) > 0, (1, 2), {1}, b"x", 1j)
USUAL = (torch.float32, torch.uint8, torch.int64, torch.bool)
WARPS: tuple[Callable[[Tensor], Any], ...] = (
    lambda value: value.half(),
    lambda value: value.double() * 1e300,
    lambda value: value.int(),
    lambda value: value.flatten()[:-1],
    lambda value: value.unsqueeze(0),
    lambda value: value.expand(2, *value.shape)[:0],
    lambda value: (value * math.nan if value.is_floating_point() else value.int() - 1).to(value.dtype),
    lambda value: (value * math.inf if value.is_floating_point() else value.int() + 100).to(value.dtype),
    lambda value: value.to_sparse(),
    lambda value: value.to("meta"),
    lambda value: value.to(torch.complex64),
    lambda value: value.float().to(torch.float8_e4m3fn),
    lambda value: value.tolist(),
)
ARRAYS: tuple[Callable[[Any], Any], ...] = (
    *(lambda array, kind=kind: array.astype(kind) for kind in ("u1", ">i4", "?", "f4", "U3", "O", "c8", "M8[s]")),
    lambda array: -array,
    lambda array: array * 10**9,
    lambda array: array[:0],
    lambda array: array[0],
    lambda array: array[:, :2],
    lambda array: np.asfortranarray(array),
    lambda array: np.tile(array, (1, 1, 90)),
)


def slip(whole: bytes, chance: random.Random) -> tuple[int, bytes]:
    """A place, and the file with the byte there lost, doubled or replaced."""
    at = chance.randrange(len(whole))
    put = chance.choice((b"", whole[at : at + 1] * 2, bytes([whole[at] ^ 1 << chance.randrange(8)]), *PIECES))
    return at, whole[:at] + put + whole[at + 1 :]


def hurt(whole: bytes, chance: random.Random) -> bytes:
    """The file cut off, with a part lost or doubled, something put in, another word, or one byte damaged."""
    at, end = sorted(chance.randrange(len(whole)) for _ in range(2))
    how, (word, other) = chance.randrange(6), chance.choice(WORDS)
    if how == 0:
        return whole[:at]
    if how == 1:
        return whole[:at] + whole[end:]
    if how == 2:
        return whole[:end] + whole[at:]
    if how == 3:
        return whole[:at] + chance.choice(PIECES) + whole[at:]
    return whole[:at] + whole[at:].replace(word, other, 1) if how == 4 else slip(whole, chance)[1]


def warped(tensors: dict[str, Tensor], chance: random.Random) -> dict[str, Tensor]:
    """The tensors, one of them changed in a way that a file of weights can hold, and perhaps under another name."""
    name, found = chance.choice([*tensors]), None
    while not isinstance(found, Tensor) or found.is_sparse or found.is_meta:
        found = chance.choice(WARPS)(tensors[name])
    rest = {key: value for key, value in tensors.items() if key != name}
    return {**rest, chance.choice((name, name, *NAMES[:3])): found}


def changed(value: Any, chance: random.Random, odd: tuple[Any, ...] = ODD) -> Any:
    """A copy of nested containers in which one entry is dropped, doubled, renamed, wrapped, or another value."""
    node = whole = copy.deepcopy(value)
    while node:
        keys = [*node] if isinstance(node, dict) else [*range(len(node))]
        (key,) = chance.choices(keys, [min(20, size(node[key])) for key in keys])
        inner = node[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.8:
            node = inner
            continue
        usual = isinstance(inner, Tensor) and not inner.is_sparse and not inner.is_meta and inner.dtype in USUAL
        how = chance.choice(("drop", "move", "wrap", "other", "other", *["other"] * 4 * usual))
        if how == "move" and isinstance(node, dict):
            node[chance.choice(NAMES)] = node.pop(key)
        elif how == "move":
            node.insert(key, copy.deepcopy(inner))
        elif how == "drop":
            del node[key]
        else:
            other = chance.choice(WARPS)(inner) if usual else copy.deepcopy(chance.choice(odd))
            node[key] = [inner] if how == "wrap" else other
        break
    return whole


def size(value: Any) -> int:
    """How many values nested containers hold."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max(1, sum(map(size, parts)))


def damaged(content: Any, chance: random.Random, *codecs: str) -> bytes:
    """JSON of nested containers that are changed up to twice, perhaps damaged as a file, too."""
    for _ in range(chance.randrange(3)):
        content = changed(content, chance)
    codec = chance.choice(codecs or ("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    text = json.dumps(content, ensure_ascii=chance.random() < 0.5)
    if content and isinstance(content, dict) and chance.random() < 0.05:
        text = f"{{{json.dumps(next(iter(content)))}: 1, {text[1:]}"  # its first name twice
    raw = text.encode(codec, "replace")
    return hurt(raw, chance) if chance.random() < 0.3 else raw


def attempt(read: Callable[[], T], folder: Path, *names: str) -> T | None:
    """What `read` returns; None where it refuses in one line that has all `names`. It changes no file of `folder`."""
    before = files(folder)
    found, message = None, " ".join(names)
    try:
        found = read()
    except TrmError as error:
        message = str(error)
    assert files(folder) == before
    assert message.isprintable(), message
    assert len(message) < 10_000, message
    assert [name for name in names if name not in message] == []
    assert [word for word in ("weights_only", "torch.load", "Traceback") if word in message] == []
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
