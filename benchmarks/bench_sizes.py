"""What a supervision step costs by the size of the board: torch, onnxruntime in Python, and onnxruntime in JavaScript.

    python benchmarks/bench_sizes.py [ROUNDS]

One puzzle on one thread, each program in a process of its own: milliseconds a step (the best of the rounds), and
the most memory that the process took. Weights are random where none ship. The last rows are custom tasks with the mixer
`relations`. JavaScript needs node and npm; without them its columns are empty. Linux only.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS, STEPS = 5, 10
SUDOKUS, MAZES, BOARDS = ("sudoku-6x6", "sudoku"), (10, 20, 30, 50), (5, 10, 20, 30)
JAVASCRIPT = """
import { readFileSync } from "node:fs";
import * as ort from "./ort.wasm.min.mjs";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync("ort-wasm-simd-threaded.wasm");
const [file, rounds, steps] = process.argv.slice(2);
const about = JSON.parse(readFileSync(file.replace(/onnx$/, "json"), "utf8"));
const session = await ort.InferenceSession.create(readFileSync(file));
const cells = about.height * about.width;
const question = new ort.Tensor("int64", new BigInt64Array(cells).fill(1n), [1, cells]);
function start({ shape, values }) {
  const filled = new Float32Array(shape.reduce((product, size) => product * size));
  for (let at = 0; at < filled.length; at++) filled[at] = values[at % values.length];
  return new ort.Tensor("float32", filled, [1, ...shape]);
}
let best = Infinity;
for (let round = 0; round < rounds; round++) {
  let [y, z] = [start(about.start.y), start(about.start.z)];
  const began = performance.now();
  for (let step = 0; step < steps; step++) {
    const result = await session.run({ y, z, question });
    ({ next_y: y, next_z: z } = result);
  }
  best = Math.min(best, (performance.now() - began) / steps);
}
console.log(best, /VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
"""


def models() -> Iterator[tuple[str, Any]]:
    """What each row is about, and a model for it."""
    from trm import store
    from trm.models import build
    from trm.tasks import get_task
    from trm.tasks.custom.family import remember
    from trm.tasks.custom.structure import Structure
    from trm.tasks.custom.task import Custom
    from trm.training.presets.custom import RELATIONS

    for name in SUDOKUS:
        spec = get_task(name).spec
        yield f"Sudoku {spec.height}x{spec.width}", store.load("sudoku", spec)
    for side in MAZES:
        yield f"maze {side}x{side}", store.load("maze", get_task(f"maze-{side}x{side}").spec)
    for side in BOARDS:
        task = Custom(Structure(shape=(side, side), values=tuple(range(10))))
        remember(task)
        about = {"run": {"task": "custom", "custom": task.structure.model_dump(mode="json")}}
        yield f"`relations` {side}x{side}", store.Stored(build(RELATIONS, task.spec), task.spec, "random", about)


def write(folder: Path, stored: Any) -> None:
    """A model, and its exported file."""
    from trm import store
    from trm.store.onnx_export import export_onnx

    store.save_model(folder, stored.model, stored.model.config, stored.spec, stored.name, stored.about)
    export_onnx(str(folder), folder / "model.onnx")


def by_torch(folder: str) -> tuple[Any, int]:
    """The backend for the model in a folder, and how many cells its boards have."""
    import torch

    from trm import store
    from trm.inference.torch_step import TorchBackend
    from trm.models.precision import pick_precision, set_precision

    torch.set_num_threads(1)
    stored = store.load(folder)
    set_precision(stored.model, pick_precision("auto", torch.device("cpu"), stored.model.config.width))
    return TorchBackend(stored.model), stored.spec.cells


def by_onnx(folder: str) -> tuple[Any, int]:
    """The same for its exported file, without torch."""
    from trm.inference import onnx

    exported = onnx.load(f"{folder}/model.onnx", 1)
    return onnx.OnnxBackend(exported), exported.task["height"] * exported.task["width"]


def timed(engine: Any, cells: int, rounds: int) -> tuple[float, int]:
    """Milliseconds a step, and the most memory of this process in kB."""
    best, question = float("inf"), np.ones((1, cells), np.uint8)
    for _ in range(rounds):
        state = engine.start([None], 0.0)
        began = time.perf_counter()
        for _ in range(STEPS):
            state = engine.step(state, question, None).state
        best = min(best, 1000 * (time.perf_counter() - began) / STEPS)
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return best, int(found[1]) if found else 0


BACKENDS = {"torch": by_torch, "onnxruntime": by_onnx}


def child(command: list[str], folder: Path) -> str:
    """What a process of its own measured, as cells of the table."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    milliseconds, kilobytes = map(float, done.stdout.split())
    return f"{milliseconds:.1f} | {kilobytes / 1024:.0f}"


def javascript(folder: Path) -> bool:
    """Write the program and its runtime. -> whether they can be run here"""
    from trm.errors import TrmError
    from trm.site.runtime import BINARY, load_runtime

    try:
        runtime = load_runtime()
    except TrmError as error:
        print(error, file=sys.stderr)
        return False
    for name, content in (*runtime.modules.items(), (BINARY, runtime.binary)):
        (folder / name).write_bytes(content)
    (folder / "measure.mjs").write_text(JAVASCRIPT)
    return shutil.which("node") is not None


def main(rounds: str = str(ROUNDS)) -> None:
    print("| one puzzle | torch: ms a step | MB | onnxruntime | MB | onnxruntime-web, in node | MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = javascript(folder)
        for number, (label, stored) in enumerate(models()):
            home = folder / str(number)
            write(home, stored)
            cells = [child([sys.executable, __file__, backend, str(home), rounds], folder) for backend in BACKENDS]
            file = str(home / "model.onnx")
            cells.append(child(["node", "measure.mjs", file, rounds, str(STEPS)], folder) if runs else " | ")
            print(f"| {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in BACKENDS:
        print(*timed(*BACKENDS[sys.argv[1]](sys.argv[2]), int(sys.argv[3])))
    else:
        main(*sys.argv[1:])
