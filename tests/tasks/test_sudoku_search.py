"""The search, the generators and equivalence; the oracle is a solver of another kind."""

from __future__ import annotations

import itertools
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from trm.errors import BadInput, TrmError
from trm.tasks.base import Tokens
from trm.tasks.sudoku.extreme import extreme_puzzle
from trm.tasks.sudoku.search import SudokuSearch, TooHard, count_solutions, kernels, minimal_puzzle, random_solution
from trm.tasks.sudoku.sets import (
    complete,
    fingerprint,
    generate,
    read_sudokus,
    write_set,
)
from trm.tasks.sudoku.task import SIZES, Sudoku

TASKS = list(SIZES.values())
NINE = Sudoku()
SHARED = Path(__file__).parents[3] / "shared" / "data" / "sudoku_extreme"
# The first puzzle of Project Euler, and one that is known to need guesses.
EASY = "..3.2.6..9..3.5..1..18.64....81.29..7.......8..67.82....26.95..8..2.3..9..5.1.3.."
HARD = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."


def exact_cover(task: Sudoku, question: Tokens, limit: int) -> list[Tokens]:
    """Knuth's algorithm X over dictionaries of sets, which shares no code with the search."""
    n, h, w = task.size, task.box_height, task.box_width
    meets = {
        (r, c, d): (("cell", r, c), ("row", r, d), ("column", c, d), ("box", r // h, c // w, d))
        for r, c, d in itertools.product(range(n), repeat=3)
    }
    options: dict[tuple[object, ...], set[tuple[int, int, int]]] = {}
    for option, conditions in meets.items():
        for condition in conditions:
            options.setdefault(condition, set()).add(option)

    def select(option: tuple[int, int, int]) -> list[set[tuple[int, int, int]]]:
        removed = []
        for condition in meets[option]:
            for other in options[condition]:
                for elsewhere in meets[other]:
                    if elsewhere != condition:
                        options[elsewhere].remove(other)
            removed.append(options.pop(condition))
        return removed

    def unselect(option: tuple[int, int, int], removed: list[set[tuple[int, int, int]]]) -> None:
        for condition in reversed(meets[option]):
            options[condition] = removed.pop()
            for other in options[condition]:
                for elsewhere in meets[other]:
                    if elsewhere != condition:
                        options[elsewhere].add(other)

    found: list[Tokens] = []
    chosen: list[tuple[int, int, int]] = []

    def search() -> None:
        if not options:
            answer = np.zeros(n * n, np.uint8)
            for r, c, d in chosen:
                answer[r * n + c] = d + 2
            found.append(answer)
            return
        condition = min(options, key=lambda condition: len(options[condition]))
        for option in sorted(options[condition]):
            chosen.append(option)
            removed = select(option)
            search()
            unselect(option, removed)
            chosen.pop()
            if len(found) >= limit:
                return

    for cell, token in enumerate(question.tolist()):
        if token >= 2:
            option = (cell // n, cell % n, token - 2)
            if any(condition not in options for condition in meets[option]):
                return []
            chosen.append(option)
            select(option)
    search()
    return found


@cache
def compiled_solver() -> SudokuSearch:
    pytest.importorskip("numba")
    return SudokuSearch(NINE, compiled=True)


def tokens(line: str, task: Sudoku = NINE) -> Tokens:
    question: Tokens = task.read(line).question[0]
    return question


@pytest.mark.parametrize("task", TASKS[:3])
def test_the_search_agrees_with_exact_cover(task: Sudoku) -> None:
    rng, solver = np.random.default_rng(1), SudokuSearch(task)
    counts = set()
    for trial in range(24):
        solution = random_solution(solver, rng)
        question = minimal_puzzle(solver, solution, rng)
        given, blank = np.flatnonzero(question >= 2), np.flatnonzero(question == 1)
        if trial % 3 == 1:  # several solutions, mostly
            question[rng.choice(given, 2, replace=False)] = 1
        elif trial % 3 == 2:  # none, mostly
            cell = int(rng.choice(blank))
            question[cell] = (solution[cell] - 2 + 1) % task.size + 2
        expected = exact_cover(task, question, limit=20)
        count, answer, _ = count_solutions(question, task, limit=20)
        counts.add(min(count, 2))
        assert count == len(expected)
        if count == 0:
            assert answer is None
        else:
            assert answer is not None
            if count < 20:  # with more, the two may have found different ones
                assert any((answer == other).all() for other in expected)
            assert task.valid(question[None], answer[None])[0]
    assert counts == {0, 1, 2}


def test_known_puzzles() -> None:
    count, answer, guesses = count_solutions(tokens(EASY), NINE)
    assert answer is not None
    assert (count, guesses) == (1, 0)
    assert NINE.to_line(answer).startswith("483921657967345821")
    count, answer, guesses = count_solutions(tokens(HARD), NINE)
    assert count == 1
    assert guesses > 10


def test_limits_and_impossible_questions() -> None:
    blank = np.ones(81, np.uint8)
    assert count_solutions(blank, NINE, limit=2)[0] == 2
    assert count_solutions(blank, NINE, limit=50)[0] == 50
    assert count_solutions(np.ones(16, np.uint8), Sudoku(2, 2), limit=1000)[0] == 288  # all 4x4 Sudokus
    twice = blank.copy()
    twice[[0, 8]] = 5
    assert count_solutions(twice, NINE) == (0, None, 0)
    with pytest.raises(TooHard, match="gave up after 3 guesses"):
        count_solutions(tokens(HARD), NINE, max_nodes=3)
    with pytest.raises(ValueError, match="must be"):
        count_solutions(np.ones(80, np.uint8), NINE)


def test_a_search_that_is_lost_in_one_order_of_the_cells() -> None:
    """More than 100,000 guesses in reading order, and 25 upside down."""
    question = tokens(".....6....59.....82....8....45........3........6..3.54...325..6..................")
    with pytest.raises(TooHard):
        SudokuSearch(NINE).count(SudokuSearch(NINE).bits(question), max_nodes=2000)
    count, answer, guesses = count_solutions(question, NINE)
    assert answer is not None
    assert (count, guesses) == (2, 25)
    assert NINE.valid(question[None], answer[None])[0]
    assert NINE.problem(question, max_nodes=3000) == "it has more than one solution"


@pytest.mark.parametrize("task", TASKS[:3])
def test_minimal_puzzles_are_minimal_and_unique(task: Sudoku) -> None:
    rng, solver = np.random.default_rng(4), SudokuSearch(task)
    for _ in range(4):
        solution = random_solution(solver, rng)
        question = minimal_puzzle(solver, solution, rng)
        assert task.valid(question[None], solution[None])[0]
        answers = exact_cover(task, question, limit=2)
        assert len(answers) == 1
        assert (answers[0] == solution).all()
        for cell in np.flatnonzero(question >= 2):
            fewer = question.copy()
            fewer[cell] = 1
            assert len(exact_cover(task, fewer, limit=2)) == 2


def test_16x16_works() -> None:
    pytest.importorskip("numba")
    task = Sudoku(4, 4)
    solver, rng = SudokuSearch(task, compiled=True), np.random.default_rng(0)
    solution = random_solution(solver, rng)
    assert task.valid(solution[None], solution[None])[0]
    question = task.reveal(np.ones(256, np.uint8), solution, 0.55, rng)
    count, answer, _ = count_solutions(question, task, compiled=True)
    assert answer is not None
    assert task.valid(question[None], answer[None])[0]
    assert count_solutions(question, task)[0] == count


def test_plain_and_compiled_agree() -> None:
    fast, slow = compiled_solver(), SudokuSearch(NINE)
    for number in range(6):
        made = []
        for solver in (fast, slow):
            rng = np.random.default_rng(number)
            solution = random_solution(solver, rng)
            made.append((solution, minimal_puzzle(solver, solution, rng)))
        assert all((a == b).all() for a, b in zip(*made, strict=True))
        question = made[0][1]
        assert fast.rating(fast.bits(question)) == slow.rating(slow.bits(question))
        opened = question.copy()
        opened[np.flatnonzero(question >= 2)[0]] = 1
        assert (fast.completions(fast.bits(opened)) == slow.completions(slow.bits(opened))).all()


def test_extreme_puzzles_are_the_same_compiled_or_not() -> None:
    fast, slow = compiled_solver(), SudokuSearch(NINE)
    for target in (0, 2):
        made = [extreme_puzzle(solver, np.random.default_rng(5), target) for solver in (fast, slow)]
        assert (made[0] == made[1]).all()
        assert fast.rating(fast.bits(made[0])) == target


def test_completions_are_those_that_leave_one_solution() -> None:
    task = Sudoku(2, 3)
    solver, rng = SudokuSearch(task), np.random.default_rng(8)
    question = minimal_puzzle(solver, random_solution(solver, rng), rng)
    question[np.flatnonzero(question >= 2)[0]] = 1
    expected = []
    for cell in np.flatnonzero(question == 1):
        for digit in range(6):
            more = question.copy()
            more[cell] = digit + 2
            if len(exact_cover(task, more, limit=2)) == 1:
                expected.append([int(cell), digit])
    assert solver.completions(solver.bits(question)).tolist() == expected
    assert expected


def test_numba_is_asked_for_by_name_when_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    kernels.cache_clear()
    with pytest.raises(TrmError, match=r"pip install 'trm\[generate\]'"):
        SudokuSearch(NINE, compiled=True)
    kernels.cache_clear()


def test_generation_is_seeded_and_avoids() -> None:
    task = Sudoku(2, 3)
    first, rating = generate("minimal", 6, 1, task, compiled=False)
    again, _ = generate("minimal", 6, 1, task, compiled=False)
    other, _ = generate("minimal", 6, 2, task, compiled=False)
    assert (first.question == again.question).all()
    assert (first.question != other.question).any()
    assert rating.shape == (6,)
    marks = fingerprint(task, first.question, first.answer).tolist()
    assert len(set(marks)) == 6
    apart, _ = generate("minimal", 4, 1, task, avoid=marks[:1], compiled=False)
    assert marks[0] not in fingerprint(task, apart.question, apart.answer).tolist()


def test_what_cannot_be_generated_is_said() -> None:
    with pytest.raises(BadInput, match="no kind of puzzle 'easy'"):
        generate("easy", 1, 1)
    with pytest.raises(BadInput, match="9x9 only"):
        generate("extreme", 1, 1, Sudoku(2, 2))
    with pytest.raises(
        BadInput, match="found fewer than 2 inequivalent puzzles"
    ):  # every 2x2 puzzle with one given is the same
        generate("minimal", 2, 1, Sudoku(1, 2), compiled=False)


@pytest.mark.parametrize("task", TASKS)
def test_fingerprints_see_through_symmetries_only(task: Sudoku) -> None:
    rng = np.random.default_rng(6)
    n, h, w = task.size, task.box_height, task.box_width
    solution = np.array([(w * (r % h) + r // h + c) % n + 2 for r in range(n) for c in range(n)], np.uint8)
    question = task.reveal(np.ones_like(solution), solution, 0.4, rng)
    moved = [task.random_symmetry(rng) for _ in range(8)]
    questions = np.array([question, *(symmetry.apply(question) for symmetry in moved)])
    answers = np.array([solution, *(symmetry.apply(solution) for symmetry in moved)])
    assert len(set(fingerprint(task, questions, answers).tolist())) == 1
    assert len(set(fingerprint(task, answers, answers).tolist())) == 1
    changed = np.repeat(question[None], task.cells, 0)
    for cell in range(task.cells):
        changed[cell, cell] = 1 if question[cell] >= 2 else solution[cell]
    # This grid has symmetries of its own, so a few of the changes are equivalent; for a 4x4 that is most of them.
    different = set(fingerprint(task, changed, np.repeat(solution[None], task.cells, 0)).tolist())
    assert len(different) > (task.cells // 2 if n > 4 else 3)
    assert fingerprint(task, question[None], solution[None])[0] not in different


def test_fingerprints_tell_random_grids_apart() -> None:
    solver, rng = compiled_solver(), np.random.default_rng(7)
    grids = np.array([random_solution(solver, rng) for _ in range(60)])
    assert len(set(fingerprint(NINE, grids, grids).tolist())) == 60


def test_files_are_loaded_and_completed(tmp_path: Path) -> None:
    path = tmp_path / "two.txt"
    path.write_text(f"{EASY}\n{HARD}\n")
    puzzles = read_sudokus(path)
    assert NINE.valid(puzzles.question, puzzles.answer).all()
    assert (read_sudokus(path, NINE).answer == puzzles.answer).all()
    assert complete(puzzles, NINE) is puzzles
    for line, reason in (
        ("." * 81, "puzzle 2 has more than one solution"),
        (EASY[:-1] + "4", "puzzle 2 has no solution"),
    ):
        path.write_text(f"{EASY}\n{line}\n")
        with pytest.raises(BadInput, match=reason):
            read_sudokus(path)
    path.write_text("1..." * 4)
    with pytest.raises(BadInput, match="16 cells instead of 81"):
        read_sudokus(path, NINE)
    path.write_text("question\n12..34..2..14...\n")
    assert read_sudokus(path).question.shape == (1, 16)


def test_a_set_is_written_the_same_every_time(tmp_path: Path) -> None:
    puzzles, rating = generate("minimal", 3, 1, Sudoku(2, 3), compiled=False)
    for name in ("a", "b"):
        write_set(tmp_path / f"{name}.npz", puzzles, rating)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
