"""What a preset is, what it costs, and how long it would take on this machine."""

from __future__ import annotations

import time
from typing import Any

import torch

from trm.analysis.cost import forward_cost, memory, parameters, published_count, run_flops, training_cost
from trm.analysis.placement import placement
from trm.models.kernels.build import turned_off
from trm.models.layers import gated_width
from trm.models.precision import GAIN, gain
from trm.training.config import RunConfig
from trm.training.datasets import task_of
from trm.training.presets import Preset

SIDE = 1024  # of the matrices whose product is timed
RATE_SECONDS = 0.5


def matrix_rate(device: torch.device, precision: str = "float32", seconds: float = RATE_SECONDS) -> float:
    """Floating-point operations per second in matrix products, on the threads that torch may use.

    Args:
        device: where to measure.
        precision: of the products, one that a run may have.
        seconds: for how long.
    """
    dtype = {"bfloat16": torch.bfloat16, "float64": torch.float64}.get(precision, torch.float32)
    a, b = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    best, before = 0.0, torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else before)
    torch.mm(a, b, out=out)  # the first product starts the threads
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(4):
            torch.mm(a, b, out=out)
        out[0, 0].item()  # waits for a GPU to finish
        best = max(best, 8 * SIDE**3 / (time.perf_counter() - began))
    torch.set_float32_matmul_precision(before)
    return best


def precision_facts(run: RunConfig, device: torch.device) -> dict[str, Any]:
    """Which precision a run would have on this device, and why.

    Returns:
        The precision, the reason, and the measured gain of bfloat16 over float32: None where it is not measured.
    """
    if run.precision != "auto":
        return {"precision": run.precision, "gain": None, "why": "as set"}
    found = gain(device, run.model.width)
    if not found:
        off = device.type == "cpu" and turned_off("TRM_BFLOAT16")
        kind = "processor" if device.type == "cpu" else "device"
        why = "bfloat16 is turned off by TRM_BFLOAT16=0" if off else f"this {kind} has no bfloat16 products"
        return {"precision": "float32", "gain": None, "why": why}
    why = f"bfloat16 is measured {found:.2f} times as fast as float32 at width {run.model.width}"
    if found >= GAIN:
        return {"precision": "bfloat16", "gain": found, "why": why}
    return {"precision": "float32", "gain": found, "why": f"{why}; it must be {GAIN} times"}


def facts(preset: Preset, run: RunConfig, device: torch.device) -> dict[str, Any]:
    """Describe a preset. This takes measurements, of a few seconds.

    Args:
        preset: its name, command, hardware, time and score are copied.
        run: its settings, or changed ones.
        device: of this machine.

    Returns:
        Everything that `trm describe` shows, ready for JSON: sizes in bytes, times in seconds.
    """
    spec = task_of(run).spec
    forward, learning = forward_cost(run.model, spec), training_cost(run, spec)
    held = memory(run, spec, preset.procs)
    total = run_flops(run, spec, run.updates)
    chosen = precision_facts(run, device)
    rate = matrix_rate(device, chosen["precision"])
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
        "precision": chosen,
        "rate": rate,
        "placement": placement(run, chosen["precision"], device, rate),
        "seconds": {"training": total / rate, "answer": run.max_steps * forward.flops / rate},
    }
