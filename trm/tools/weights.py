"""Models that the tools use instead of those that ship, and tools for models of tasks of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, Field

from trm.errors import BadInput
from trm.tasks import family_name, find_family, get_task, resizable
from trm.tasks.base import Task
from trm.tasks.custom.layers import of_layer, terms
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom
from trm.tasks.text import quoted
from trm.tools.arguments import as_numbers, as_text
from trm.tools.calls import TITLES, TOOLS
from trm.tools.functions import (
    MAX_LENGTH,
    Clock,
    Seconds,
    Steps,
    chosen_weights,
    in_steps,
    read_one,
    solution_of,
    think,
)
from trm.tools.results import Solution, Tell, tell_nobody

LISTED = 20  # numbers of a task, and kinds of groups, that a description lists


def use_weights(name: str) -> None:
    """Use a model for the puzzles of its family from now on. A model of any other task gets a tool of its own, which is
    called `solve_` and the last part of `name`.

    Args:
        name: a shipped model's name, the folder of a model or of a training run, or OWNER/NAME of a model on the hub.

    Raises:
        BadInput: no such model, one for ARC, a second one for the same family, or one whose tool would have the name of
            another.
        TrmError: a model of the hub cannot be downloaded.
    """
    from trm import store

    stored = store.load(name)
    family = family_name(stored.spec.name)
    if find_family(family).votes:
        raise BadInput(f"model {name!r} is for {stored.spec.name}, whose tool works without weights")
    if family not in resizable():
        add_tool(name, get_task(stored.spec.name))
        return
    if family in chosen_weights:
        raise BadInput(f"two models for {family}: {chosen_weights[family]!r} and {name!r}; name one")
    chosen_weights[family] = name


def short_name(weights: str, joint: str) -> str:
    """The last part of a model's name in small letters and digits, with `joint` for other characters; may be empty."""
    return re.sub(r"[^a-z0-9]+", joint, Path(weights).name.lower()).strip(joint)[:40]


def add_tool(weights: str, task: Task) -> None:
    """Add a tool for a model of a task. Raises BadInput if there is one of its name."""
    title = Path(weights).name or task.spec.name
    name = "solve_" + (short_name(weights, "_") or family_name(task.spec.name))
    if name in TOOLS:
        raise BadInput(f"a tool for {weights!r} would be called {name}, and there is one: rename the model's folder")
    TOOLS[name], TITLES[name] = custom_tool(name, weights, task), f"Solve a puzzle of {title[:40]}"


def custom_tool(name: str, weights: str, task: Task) -> Callable[..., Solution]:
    """The tool of a model. Its docstring and the description of its argument are what a language model reads."""
    longest = 2 * len(task.draw(np.full(task.spec.cells, task.spec.vocab - 1, np.uint8)))
    puzzle_text = Annotated[
        str,
        Field(max_length=max(MAX_LENGTH, longest), description=f"{task.form}."),
        BeforeValidator(as_text if task.characters else as_numbers),
    ]
    family = family_name(task.spec.name)

    def solve(
        puzzle: str,
        steps: Steps = None,
        seconds: Seconds = None,
        *,
        stop: Event | None = None,
        tell: Tell = tell_nobody,
    ) -> Solution:
        clock = Clock(seconds)
        read_one(task, puzzle)
        answer = think(family, puzzle, steps, clock, stop, tell, weights)
        if not task.checkable:
            sure = f"the model is {answer.confidence:.0%} sure of its best attempt, after {in_steps(answer)}"
            message = f"Not checked, as no rules are known for this task: {sure}."
        elif answer.solved:
            message = f"Solved in {in_steps(answer)} and checked: every declared rule is obeyed."
        else:
            fault = task.fault(answer.question, answer.tokens)
            message = f"Not solved in {in_steps(answer)}; do not use the best attempt. Wrong: {fault}."
        return solution_of(answer, answer.text, message, "not counted")

    solve.__name__, solve.__doc__ = name, described(task)
    solve.__annotations__ = {**solve.__annotations__, "puzzle": puzzle_text, "return": Solution}
    return solve


def described(task: Task) -> str:
    """A tool's description: what is known of the task, in sentences."""
    trained = "Solve a puzzle with a small neural network trained for it"
    if not isinstance(task, Custom):
        own_words = (type(task).__doc__ or f"A puzzle of {task.spec.name}.").strip().partition("\n\n")[0]
        return " ".join([f"{trained}.", *own_words.split(), verdict_of(task)])
    structure = task.structure
    height, width = structure.shape
    parts = [
        f"{trained}: a grid of {height}x{width} cells.",
        f"Cells hold {listed(structure.symbols)}.",
    ]
    if structure.blank is not None:
        parts.append("The other numbers of the puzzle are given, and the answer keeps them.")
    parts += [*of_layers(structure)]
    for kind in structure.groups[:LISTED]:
        own = sum(not isinstance(group, str) for group in kind)
        named = [
            *(group for group in kind if isinstance(group, str)),
            *([f"{own} group{'s' if own > 1 else ''} of cells"] if own else []),
        ]
        parts.append(f"No number occurs twice in the same one of these: {', '.join(named)}.")
    return " ".join([*parts, verdict_of(task)])


def listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) if len(numbers) <= LISTED else f"{numbers[0]} to {numbers[-1]}"


def of_layers(structure: Structure) -> Iterator[str]:
    """What is said of further layers of a puzzle, and of numbers that answers hold or keep."""
    if structure.layers > 1:
        most = [of_layer(structure, layer)[-1] for layer in range(structure.layers)]
        example = sum(number * structure.unit**layer for layer, number in enumerate(most) if layer)
        said = " and ".join(f"{number} in layer {layer}" for layer, number in enumerate(most, 1) if layer > 1)
        unknown = "" if structure.blank is None else f", where {structure.blank} is an unknown cell"
        yield f"A number in the puzzle is the cell's own{unknown}, plus {', plus '.join(terms(structure))} layer."
        if structure.blank is not None:
            yield f"For example {example + structure.blank} is an unknown cell with {said}."
        for layer in range(1, structure.layers):
            yield f"Layer {layer + 1} holds {listed(of_layer(structure, layer))}."
    for layer, signs in enumerate(structure.layer_signs, 2):
        yield f"In layer {layer} {', '.join(f'{number} means {quoted(sign)}' for number, sign in signs[:LISTED])}."
    if structure.answers:
        yield f"Only {', '.join(map(str, structure.answers[:LISTED]))} can be in an answer."
    if structure.fixed:
        yield f"{', '.join(map(str, structure.fixed[:LISTED]))} stays where it is, and stands nowhere else."


def verdict_of(task: Task) -> str:
    """What an answer's `solved` means."""
    if task.checkable:
        return "If solved is false, best_attempt is wrong: solve the puzzle another way."
    return "No rules are known, so solved is always false, and best_attempt is an answer that nothing checks."
