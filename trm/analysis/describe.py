"""`trm describe`: what a preset is, what it costs, and how long it would take here."""

from __future__ import annotations

import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from trm.analysis.cost import forward_cost, memory, parameters, published_count, run_flops, training_cost
from trm.models.layers import gated_width
from trm.training.config import RunConfig
from trm.training.datasets import task_of
from trm.training.presets import Preset

SIDE = 1024  # of the matrices whose product is timed
RATE_SECONDS = 0.5


def matrix_rate(device: torch.device, seconds: float = RATE_SECONDS) -> float:
    """Floating-point operations a second in float32 matrix products, on the threads torch has been given."""
    a, b = torch.randn(SIDE, SIDE, device=device), torch.randn(SIDE, SIDE, device=device)
    out = torch.empty_like(a)
    best = 0.0
    torch.mm(a, b, out=out)  # the first product sets up threads
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(4):
            torch.mm(a, b, out=out)
        out[0, 0].item()  # a GPU is done by then, not before
        best = max(best, 8 * SIDE**3 / (time.perf_counter() - began))
    return best


def facts(preset: Preset, run: RunConfig, rate: float) -> dict[str, Any]:
    """Everything that is shown, as plain numbers: sizes in bytes, times in seconds."""
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


def show(about: dict[str, Any], console: Console) -> None:
    """Print `facts`."""
    model, counts, learning, held = about["model"], about["parameters"], about["training"], about["memory"]
    mixer = "" if model["kind"] == "direct" else f", T={model['T']}, n={model['n']}"
    layers = f"{model['layers']} layer{'s' if model['layers'] > 1 else ''}"
    if model["kind"] == "hrm":
        layers += " in each of two networks"
    table = Table(title=about["preset"], title_justify="left", show_header=False)
    table.add_row("command", about["command"])
    table.add_row("hardware, time, score", f"{about['hardware']}; {about['time']}; {about['score']}")
    if about["note"]:
        table.add_row("note", about["note"])
    table.add_row("task", f"{about['task']}, {about['cells']} cells")
    table.add_row("model", f"{model['kind']}, {model['mixer']}, width {model['width']}, {layers}{mixer}")
    table.add_row("parameters", f"{counts['trained']:,} trained; {counts['as published']:,} without token embeddings")
    if counts["puzzle embeddings"]:
        table.add_row("puzzle embeddings", f"{counts['puzzle embeddings']:,} numbers beside them")
    answering = about["answering"]
    table.add_row(
        "an answer", f"up to {answering['steps']} steps of {quantity(answering['flops'], 'FLOP')} and "
        f"{quantity(answering['bytes'], 'B')} moved"
    )  # fmt: skip
    table.add_row(
        "a training step", f"{learning['batch']} puzzles, each {quantity(learning['flops'], 'FLOP')} and "
        f"{quantity(learning['bytes'], 'B')} moved"
    )  # fmt: skip
    table.add_row(
        "training", f"{learning['updates']:,} updates, {quantity(learning['puzzle_steps'], 'puzzle-steps')}, "
        f"{quantity(learning['total_flops'], 'FLOP')}"
    )  # fmt: skip
    table.add_row(
        "memory a process", f"{quantity(held['weights'], 'B')} weights and optimiser, "
        f"{quantity(held['activations'], 'B')} activations"
        + (f", {quantity(held['embeddings'], 'B')} embeddings" if held["embeddings"] > 1e6 else "")
    )  # fmt: skip
    rate, seconds = about["rate"], about["seconds"]
    table.add_row("this machine", f"{quantity(rate, 'FLOP')} a second in matrix products (measured)")
    table.add_row("at that rate", f"training {duration(seconds['training'])}, an answer {duration(seconds['answer'])}")
    console.print(table)
    console.print(
        "FLOP counts matrix products. Bytes and activations are those of plain torch; the fused kernels need less. "
        "No run reaches the full rate: count on half of it for narrow models.",
        style="dim",
    )


def quantity(value: float, unit: str) -> str:
    """Three digits and a prefix: 1.47 GB."""
    for power, prefix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return (
                f"{value / 10**power:.3g} {prefix}{unit}"
                if len(unit) < 5
                else f"{value / 10**power:.3g} {prefix} {unit}"
            )
    return f"{value:.3g} {unit}"


def duration(seconds: float) -> str:
    for size, name in ((86400.0 * 365, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "s")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds * 1000:.3g} ms"
