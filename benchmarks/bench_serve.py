"""`trm serve` under load: latency and memory.

    python benchmarks/bench_serve.py [ROUNDS]

Each round sends 200 requests at once and 1,000 malformed ones, and has 50 clients hang up in the middle of an
answer. The server is a process of its own, started by the command. A client that is turned away comes back after
`Retry-After` seconds. Memory is the server's resident set after each round; it stays flat if nothing leaks.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from trm.tasks import load_puzzles
from trm.tasks.sudoku.task import Sudoku

CROWD, MALFORMED, LEAVERS = 200, 1000, 50
TASK = Sudoku()
PUZZLES = [TASK.to_line(row) for row in load_puzzles(TASK, "embedded", "minimal").question[:CROWD]]


def memory(process: int) -> float:
    """Resident MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) / 1024


async def solve(client: httpx.AsyncClient, puzzle: str, statuses: Counter[int]) -> float:
    """Seconds until there is an answer, turned away or not. `seconds` are few, so that the crowd gets through."""
    began = time.perf_counter()
    while True:
        answer = await client.post("/api/solve", json={"task": "sudoku", "puzzle": puzzle, "restarts": 0, "seconds": 5})
        statuses[answer.status_code] += 1
        if answer.status_code != 429:
            return time.perf_counter() - began
        await asyncio.sleep(int(answer.headers["Retry-After"]) * random.uniform(1, 2))


async def one_by_one(client: httpx.AsyncClient) -> list[float]:
    return [await solve(client, puzzle, Counter()) for puzzle in PUZZLES[:20]]


async def crowd(client: httpx.AsyncClient) -> tuple[list[float], Counter[int]]:
    statuses: Counter[int] = Counter()
    return await asyncio.gather(*(solve(client, puzzle, statuses) for puzzle in PUZZLES)), statuses


async def malformed(client: httpx.AsyncClient, rng: random.Random) -> Counter[int]:
    statuses: Counter[int] = Counter()

    async def send(gate: asyncio.Semaphore) -> None:
        async with gate:
            path, headers = rng.choice(["solve", "watch", "check"]), {"Content-Type": "application/json"}
            answer = await client.post(f"/api/{path}", content=broken(rng), headers=headers)
            statuses[answer.status_code] += 1

    gate = asyncio.Semaphore(50)
    await asyncio.gather(*(send(gate) for _ in range(MALFORMED)))
    return statuses


def broken(rng: random.Random) -> bytes:
    """A body with something wrong: bytes, JSON cut short or changed, odd values, wrong puzzles, too much of it."""
    values: list[Any] = [
        None,
        True,
        -1,
        10**30,
        1e308,
        "",
        "\0" * 9,
        "5" * 81,
        [[9] * 9] * 9,
        [],
        {},
        [[[]]],
        "x" * 300_000,
    ]
    whole = json.dumps({"task": rng.choice(["sudoku", "maze", "arc", "?"]), "puzzle": rng.choice(values)}).encode()
    changed = bytearray(whole)
    changed[rng.randrange(len(changed))] = rng.randrange(256)
    return rng.choice([rng.randbytes(rng.randrange(200)), whole[: rng.randrange(len(whole))], bytes(changed), whole])


async def leave(client: httpx.AsyncClient) -> float:
    """Hang up after the first event, many times. -> seconds until the server has a free place and answers"""
    body = {"task": "sudoku", "puzzle": PUZZLES[0], "until": "end", "steps": 256, "restarts": 255}
    for _ in range(LEAVERS):
        async with client.stream("POST", "/api/watch", json=body) as answer:
            if answer.status_code == 200:
                await anext(answer.aiter_bytes())
    return await solve(client, PUZZLES[0], Counter())


def shown(seconds: list[float]) -> str:
    middle, high, most = np.percentile(seconds, [50, 95, 100])
    return f"median {middle:.2f} s, 95 % within {high:.2f} s, slowest {most:.2f} s"


async def run(url: str, process: int, rounds: int) -> None:
    # The server closes what has been idle for five seconds, perhaps just as a request is sent there.
    limits = httpx.Limits(max_connections=CROWD, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits, trust_env=False) as client:
        print("one by one:", shown(await one_by_one(client)))
        print(f"memory {memory(process):.0f} MB")
        for number in range(1, rounds + 1):
            seconds, statuses = await crowd(client)
            print(f"round {number}: {CROWD} at once: {shown(seconds)}; statuses {dict(sorted(statuses.items()))}")
            statuses = await malformed(client, random.Random(number))
            print(f"  {MALFORMED} malformed: statuses {dict(sorted(statuses.items()))}")
            assert not any(status >= 500 and status != 501 and status != 503 for status in statuses)
            print(f"  {LEAVERS} clients hang up mid-stream; the next answer takes {await leave(client):.2f} s")
            print(f"  memory {memory(process):.0f} MB", flush=True)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    command = [sys.executable, "-m", "trm", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        try:
            asyncio.run(run(url, server.pid, rounds))
        finally:
            ended = server.poll()
            server.terminate()
            if ended is not None:
                print(f"the server has ended by itself, exit code {ended}", file=sys.stderr)
    assert ended is None


if __name__ == "__main__":
    main()
