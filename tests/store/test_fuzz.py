"""Damaged files that are not puzzles in text: each is refused in one line, or read as a plain reading has it."""

from __future__ import annotations

import codecs
import copy
import json
import math
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import EXAMPLES, fuzz
from safetensors.torch import load_file, save_file
from torch import Tensor

from trm.analysis.history import read_history
from trm.errors import TrmError
from trm.inference import onnx as exported
from trm.models import ModelConfig, build
from trm.store.convert import published_name, to_published
from trm.store.onnx_export import export_onnx
from trm.store.published import import_file
from trm.store.stored import CHECKPOINT, CONFIG, OTHERS, WEIGHTS, load
from trm.tasks import get_task
from trm.tasks.arc.text import ArcTask, read_tasks, usable_id
from trm.tasks.custom.structure import MOST, Structure, read_structure
from trm.tasks.custom.text import NONE, read_pairs
from trm.training import checkpoint
from trm.training.commands import read_launch
from trm.training.run import Run, trim_log

T = TypeVar("T")
LOG, RECORD, _, ONNX = OTHERS
SEEDS = st.integers(0, 2**32)
slow = settings(fuzz, max_examples=max(50, EXAMPLES // 10))

# Damage

DEEP = b"[" * 100_000
PIECES = (b"\0", b"\n", b'"', b",", b"7", b"-", b"NaN", b"\xff", b"\xc3\xa9", b"[]", b'"train": 1, ', b"9" * 5000, DEEP)
NAMES = ("x", "", "a\nb", "é", "n" * 100, "\x07", "train", "output", "module.x", "_orig_mod.module.frame.head.weight")
ODD = (None, True, False, 0, 1, -1, 10, 2.0, 1.5, 1e300, 10**30, math.nan, math.inf, "", "1", "rows", "a\nb", "\x07é")
ODD += ([], {}, [[]], [[1, 2], [3]], [[[0]]], {"a": [1]}, [[0] * 31] * 2, [[5]] * 31)
ODD_TENSORS = (torch.tensor([1.0, math.nan]), torch.zeros(2, 0), torch.ones(2, 2), torch.ones(3) > 0, (1, 2), {1}, b"x")
WARPS: tuple[Callable[[Tensor], Any], ...] = (
    lambda value: value.half(),
    lambda value: value.double() * 1e300,
    lambda value: value.int(),
    lambda value: value.flatten()[:-1],
    lambda value: value.unsqueeze(0),
    lambda value: value[:0] if value.ndim else value.expand(0),
    lambda value: torch.full_like(value, math.nan) if value.is_floating_point() else value - 1,
    lambda value: torch.where(torch.arange(value.numel()).view(value.shape) == 0, -math.inf, value.float()),
    lambda value: value.to_sparse(),
    lambda value: value.to("meta"),
    lambda value: value.to(torch.complex64),
    lambda value: value.float().to(torch.float8_e4m3fn),
    lambda value: value.tolist(),
)


def hurt(whole: bytes, chance: random.Random) -> bytes:
    """Cut off, with a part missing or doubled, with something put in, or with a bit flipped."""
    at, end = sorted(chance.randrange(len(whole)) for _ in range(2))
    bit = bytes([whole[at] ^ 1 << chance.randrange(8)])
    put = chance.choice(PIECES)
    near = min(end, at + chance.randrange(9))
    ways = ((0, at, b""), (0, at, whole[near:]), (0, end, whole[at:]), (0, at, put + whole[at:]), (0, at, bit))
    _, kept, rest = chance.choice(ways)
    return whole[:kept] + (bit + whole[at + 1 :] if rest is bit else rest)
