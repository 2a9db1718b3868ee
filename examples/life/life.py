"""The state before a step of Conway's game of life: a task of one's own, with a rule that checks any answer.

    pip install ./examples/life                        # so that every command knows the task
    trm train life --set model.n=5 --out runs/life
    trm eval runs/life --steps 32

Three of four cells of the state before are known. Several states may fit: any that becomes the state after is right.
"""

import numpy as np

import trm

SIDE, AGE = 10, 20  # of a board, whose edges are joined, and generations before the pair
AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
DEAD, ALIVE = 3, 4  # tokens of answers
ALIVE_AFTER = (2, 6, 8)  # of questions
# What a model is told of each token: whether the cell was unknown, dead, alive before the step, and dead, alive after.
FEATURES = (
    *((0, 0, 0, 0, 0), (1, 0, 0, 1, 0), (1, 0, 0, 0, 1), (0, 1, 0, 0, 0), (0, 0, 1, 0, 0)),
    *((0, 1, 0, 1, 0), (0, 1, 0, 0, 1), (0, 0, 1, 1, 0), (0, 0, 1, 0, 1)),
)


def step(alive):
    """The next generation of boards [rows, SIDE, SIDE]."""
    count = sum(np.roll(alive, move, (1, 2)).astype(int) for move in AROUND)
    return (count == 3) | (alive & (count == 2))


class Life(trm.Task):
    """The state before a step of Conway's game of life, on a 10x10 board whose edges are joined. The answer has '.' for
    a dead cell and 'o' for one that is alive. The question has the state after the step: '-' dead, '+' alive. Where the
    state before is known, too, it has 'a' (dead, then dead), 'b' (dead, then alive), 'c' (alive, then dead) or 'd'.
    """

    characters = "?-+.oabcd"
    spec = trm.Spec("life", SIDE, SIDE, 9, first_symbol=9, offsets=AROUND, wrap=True, features=FEATURES)
    signs = tuple(
        trm.Sign(text, "#2ea043" if after else "")
        for text, after in zip("  ·●··●●", (0, 1, 0, 0, 0, 1, 0, 1), strict=True)
    )

    def given(self, question):
        return np.array([0, 1, 2, 3, 4, DEAD, DEAD, ALIVE, ALIVE], np.uint8)[question]

    def shown(self, question, answer):
        return np.where(answer == ALIVE, 7, 5) + np.isin(question, ALIVE_AFTER)

    def valid(self, question, answer):
        given = self.given(question)
        kept = ((answer == DEAD) | (answer == ALIVE)) & ((given < DEAD) | (given == answer))
        before, after = (
            np.reshape(part, (-1, SIDE, SIDE)) for part in (answer == ALIVE, np.isin(question, ALIVE_AFTER))
        )
        return kept.all(1) & (step(before) == after).all((1, 2))

    def puzzles(self, part):
        rng = np.random.default_rng(["train", "validation", "minimal"].index(part))
        before = rng.random((6000 if part == "train" else 800, SIDE, SIDE)) < 0.35
        for _ in range(AGE):
            before = step(before)
        after = step(before)
        lively = after.sum((1, 2)) >= SIDE
        before, after = (part[lively].reshape(-1, SIDE * SIDE) for part in (before, after))
        known = rng.permuted(np.tile(np.arange(SIDE * SIDE) % 4 > 0, (len(after), 1)), axis=1)
        question = np.where(known, 5 + 2 * before + after, 1 + after)
        return trm.Puzzles(question.astype(np.uint8), np.where(before, ALIVE, DEAD).astype(np.uint8))

    def augment(self, question, answer, rng):
        """The same pair moved, turned and mirrored."""
        both = np.stack([question, answer]).reshape(2, SIDE, SIDE)
        both = np.rot90(np.roll(both, rng.integers(SIDE, size=2), (1, 2)), rng.integers(4), (1, 2))
        question, answer = both[:, :, :: rng.choice([1, -1])].reshape(2, -1)
        return question, answer

    def reveal(self, question, answer, share, rng):
        """A random share of what is unknown of the state before is told."""
        unknown = rng.permutation(np.flatnonzero(question < DEAD))
        shown = unknown[: round(share * len(unknown))]
        easier = question.copy()
        easier[shown] += np.where(answer[shown] == ALIVE, 6, 4).astype(np.uint8)
        return easier
