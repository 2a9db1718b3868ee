"""The state before a step of Conway's game of life: a task of one's own, with a rule that checks any answer.

    pip install ./examples/life                        # so that every command knows the task
    trm train life --out runs/life
    trm eval runs/life --rows 500 --steps 32

Many states may become the same one. Pairs come from random boards that have lived for some generations.
"""

import numpy as np

import trm

SIDE, AGE = 10, 4  # of a board, whose edges are joined, and generations before the pair
AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


def step(alive):
    """The next generation of boards [rows, SIDE, SIDE]."""
    count = sum(np.roll(alive, move, (1, 2)).astype(int) for move in AROUND)
    return (count == 3) | (alive & (count == 2))


class Life(trm.Task):
    """The state before a step of Conway's game of life on a 10x10 board whose edges are joined. The question is the
    state after the step, '-' dead and '+' alive; the answer is a state before it, '.' dead and 'o' alive.
    """

    characters = "?-+.o"
    spec = trm.Spec("life", SIDE, SIDE, vocab=5, first_symbol=5, offsets=AROUND, wrap=True)
    signs = (trm.Sign(""), trm.Sign("", "#2ea043"), trm.Sign("·"), trm.Sign("●"))

    def valid(self, question, answer):
        known = (answer >= 3).all(1)
        after = step((answer == 4).reshape(-1, SIDE, SIDE)).reshape(len(answer), -1)
        return known & (after == (question == 2)).all(1)

    def puzzles(self, part):
        rng = np.random.default_rng(["train", "validation", "minimal"].index(part))
        boards = rng.random((8000 if part == "train" else 1000, SIDE, SIDE)) < 0.35
        for _ in range(AGE):
            boards = step(boards)
        after = step(boards)
        lively = after.sum((1, 2)) >= SIDE
        question, answer = after[lively] + 1, boards[lively] + 3
        return trm.Puzzles(*(part.reshape(len(part), -1).astype(np.uint8) for part in (question, answer)))

    def augment(self, question, answer, rng):
        """The same pair moved, turned and mirrored."""
        both = np.stack([question, answer]).reshape(2, SIDE, SIDE)
        both = np.rot90(np.roll(both, rng.integers(SIDE, size=2), (1, 2)), rng.integers(4), (1, 2))
        question, answer = both[:, :, :: rng.choice([1, -1])].reshape(2, -1)
        return question, answer

    def reveal(self, question, answer, share, rng):
        return question  # a cell cannot show both states
