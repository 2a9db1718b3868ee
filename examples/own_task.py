"""A task of your own: completing 5x5 Latin squares, which have each of five digits once in every row and column.

Run it with `python examples/own_task.py [FOLDER [UPDATES]]`. 200 updates take ten seconds; the model then solves 100 of
100 unseen squares.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import trm
from trm.errors import BadInput
from trm.models import ModelConfig
from trm.tasks import Puzzles, Spec, Task, Tokens, load_puzzles, register_task
from trm.tasks.base import Bools
from trm.training.config import RunConfig
from trm.training.run import train

N, BLANK, FIRST = 5, 1, 2  # token 0 is never scored, 1 is a blank cell, 2 to 6 are the digits
CELLS = np.arange(N * N).reshape(N, N)
LINES = np.concatenate([CELLS, CELLS.T])  # rows and columns, [lines, cells of a line]


class Latin(Task):
    """Latin squares of 5x5 cells; see `trm.tasks.Task` for what each method is for."""

    spec = Spec("latin", N, N, vocab=FIRST + N, first_symbol=FIRST, groups=(tuple(map(tuple, LINES.tolist())),))

    def read(self, text: str) -> Puzzles:
        signs = "".join(text.split())
        if len(signs) % (N * N) or set(signs) - set(".12345"):
            raise BadInput("a Latin square is 25 cells: digits from 1 to 5, and dots for blanks")
        question = np.array([".12345".index(sign) + BLANK for sign in signs], np.uint8).reshape(-1, N * N)
        return Puzzles(question, np.zeros_like(question))

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        cells = CELLS[rng.permutation(N)][:, rng.permutation(N)].reshape(-1)
        return question[cells], answer[cells]

    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        return np.where(rng.random(N * N) < share, answer, question)

    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        kept = ((question == BLANK) | (question == answer)).all(1)
        good: Bools = kept & (np.sort(answer[:, LINES], axis=2) == np.arange(FIRST, FIRST + N)).all((1, 2))
        return good

    def draw(self, tokens: Tokens) -> str:
        return "\n".join("".join("?.12345"[token] for token in row) for row in tokens.reshape(N, N))


def squares(part: str) -> Puzzles:
    """500 shuffled squares with 10 of their 25 cells blank, others for `train` than for any other part."""
    rng = np.random.default_rng(1 if part == "train" else 2)
    square = np.add.outer(np.arange(N), np.arange(N)) % N
    shuffled = (square[rng.permutation(N)][:, rng.permutation(N)].reshape(-1) for _ in range(500))
    answer = np.array([FIRST + rng.permutation(N)[cells] for cells in shuffled], np.uint8)
    hidden = rng.permuted(np.tile(np.arange(N * N) < 10, (len(answer), 1)), axis=1)
    return Puzzles(np.where(hidden, BLANK, answer).astype(np.uint8), answer)


def main(folder: str = "runs/latin", updates: str = "200") -> None:
    register_task("latin", Latin, squares)
    model = ModelConfig(mixer="groups", width=16, layers=1, multiple=16, T=1, n=2, positions="none")
    learning = RunConfig(
        task="latin",
        model=model,
        loss="softmax",
        optimizer="muon",
        lr=0.01,
        ema=0.98,
        batch=32,
        max_steps=8,
        warmup=5,
        updates=int(updates),
    )
    train(learning, Path(folder), "latin")
    solver = trm.Solver("latin", weights=folder, steps=16)
    answers = solver.solve_many(load_puzzles(Latin(), "embedded", "validation").question.reshape(-1, N, N)[:100])
    print(f"{sum(answer.solved for answer in answers)} of 100 unseen squares solved; one of them:\n{answers[0]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
