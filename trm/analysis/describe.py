"""What a preset is, what it costs, and how long it would take on this machine."""

from __future__ import annotations

import time
from typing import Any

import torch

from trm.analysis.cost import forward_cost, memory, parameters, published_count, run_flops, training_cost
from trm.models.layers import gated_width
from trm.training.config import RunConfig
from trm.training.datasets import task_of
from trm.training.presets import Preset

SIDE = 1024  # of the matrices whose product is timed
RATE_SECONDS = 0.5


def matrix_rate(device: torch.device, seconds: float = RATE_SECONDS) -> float:
    """Floating-point operations per second in float32 matrix products, on the threads that torch may use.

    Args:
        device: where to measure.
        seconds: for how long.
    """
    a, b = torch.randn(SIDE, SIDE, device=device), torch.randn(SIDE, SIDE, device=device)
    out = torch.empty_like(a)
    best = 0.0
    torch.mm(a, b, out=out)  # the first product starts the threads
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(4):
            torch.mm(a, b, out=out)
        out[0, 0].item()  # waits for a GPU to finish
        best = max(best, 8 * SIDE**3 / (time.perf_counter() - began))
    return best


def facts(preset: Preset, run: RunConfig, rate: float) -> dict[str, Any]:
    """Describe a preset.

    Args:
        preset: its name, command, hardware, time and score are copied.
        run: its settings, or changed ones.
        rate: floating-point operations per second of this machine.

    Returns:
        Everything that `trm describe` shows, ready for JSON: sizes in bytes, times in seconds.
    """
    spec = task_of(run).spec
    forward, learning = forward_cost(run.model, spec), training_cost(run, spec)
    held = memory(run, spec, preset.procs)
    total = run_flops(run, spec, run.updates)
    return {
        "preset": preset.name,
        "command": preset.command,
        "hardware": preset.hardware,
        "time": preset.time,
        "score": preset.score,
        "note": preset.note,
        "task": spec.name,
        "cells": spec.cells,
        "model": run.model.model_dump(),
        "swiglu_width": gated_width(run.model.width, run.model.expansion, run.model.multiple),
        "parameters": {
            "trained": parameters(run.model, spec),
            "as published": published_count(run.model, spec),
            "puzzle embeddings": held.embeddings // (8 if run.precision == "float64" else 4),
        },
        "answering": {"flops": forward.flops, "bytes": forward.bytes, "steps": run.max_steps},
        "training": {
            "flops": learning.flops,
            "bytes": learning.bytes,
            "updates": run.updates,
            "batch": run.batch,
            "puzzle_steps": sum(run.puzzle_steps(run.updates)),
            "total_flops": total,
        },
        "memory": held._asdict(),
        "rate": rate,
        "seconds": {"training": total / rate, "answer": run.max_steps * forward.flops / rate},
    }
