"""Numbers that hold several layers of a question, and how a model is told what a number says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Ints, Sign
from trm.tasks.custom.structure import VALUES, Structure
from trm.tasks.custom.text import NONE, Pairs, read_pairs
from trm.tasks.text import printable

WAVES = 8  # features by which numbers with an order are described


def defined(data: str, structure: Structure) -> Structure:
    """`structure`, completed by the pairs of the file `data`. Raises BadInput where they contradict each other."""
    pairs, name = read_pairs(data, structure), printable(Path(data).name)
    if structure.shape and structure.shape != pairs.shape:
        declared, have = ("x".join(map(str, shape)) for shape in (structure.shape, pairs.shape))
        raise BadInput(f"{name}: grids of {have}, but the structure declares {declared}")
    values = {*structure.values}
    if not values:
        values = {int(value) for part in (pairs.first, pairs.answer) for value in np.unique(part)} - {NONE}
        values |= set() if structure.blank is None else {structure.blank}
    if pairs.layers > 1 and max(values) < pairs.unit:  # only those of the first layer
        values = {sum(cell) for cell in product(values, *further(pairs))}
    if len(values) > VALUES:
        what = "combinations of the layers' numbers" if pairs.layers > 1 else "different numbers"
        raise BadInput(f"{name}: {len(values)} {what}, but a model can tell at most {VALUES} apart")
    return structure.completed(shape=pairs.shape, values=sorted(values), layers=pairs.layers, unit=pairs.unit)


def further(pairs: Pairs) -> Iterator[list[int]]:
    """What each further layer of the questions adds to the number of a cell: nothing, or one of these."""
    for layer in range(1, pairs.layers):
        factor = pairs.unit**layer
        yield sorted({0, *(np.unique(pairs.question // factor % pairs.unit) * factor).tolist()})


def terms(structure: Structure) -> Iterator[str]:
    """What is added to the first layer's number: `10 * second`, ..."""
    names = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
    for layer in range(1, structure.layers):
        yield f"{structure.unit**layer} * {names[layer - 1]}"


def of_layer(structure: Structure, layer: int) -> list[int]:
    """The numbers that a layer, counted from 0, can hold."""
    return sorted({value // structure.unit**layer % structure.unit for value in structure.values})


def check_combinations(structure: Structure) -> None:
    """Raises BadInput unless every number of the first layer is among the values with all that is said beside it."""
    if structure.layers > 1:
        known, unit = {*structure.values}, structure.unit
        first, rest = {value % unit for value in known}, {value - value % unit for value in known}
        missing = {one + other for one in first for other in {0, *rest}} - known
        if missing:
            raise BadInput(
                f"values has numbers of {structure.layers} layers, but not {min(missing)}: give all combinations, or "
                "those of the first layer alone"
            )


def signs_of(structure: Structure, numbers: Ints) -> Iterator[Sign]:
    """How pictures show each of `numbers`: by the sign of the first layer, and behind it those of further layers."""
    own, colours = dict(structure.signs), dict(structure.colours)
    further = [dict(one) for one in structure.layer_signs]
    unit = structure.unit if structure.layers > 1 else int(numbers.max()) + 1
    for number in numbers.tolist():
        first = number % unit
        text = own.get(first, "" if first == structure.blank else str(first))
        text += "".join(known.get(number // unit**layer % unit, "") for layer, known in enumerate(further, 1))
        yield Sign(text if number == first or further else str(number), colours.get(first, ""))


def features(structure: Structure, numbers: Ints) -> tuple[tuple[float, ...], ...]:
    """What `Spec.features` says of the tokens of `numbers` [vocab - 1]: the number of each layer and, where numbers
    have an order, waves over their ranks, so that near numbers are described alike. Empty: there is no more to say
    than which number it is.
    """
    if structure.layers == 1 and not structure.ordered:
        return ()
    parts = []
    for layer in range(structure.layers):
        here = numbers // structure.unit**layer % structure.unit if structure.layers > 1 else numbers
        parts.append(here[:, None] == np.unique(here))
    if structure.ordered:
        symbols = np.array(structure.symbols)
        first = numbers % structure.unit if structure.layers > 1 else numbers
        rank = np.searchsorted(symbols, first) / max(1, len(symbols) - 1)
        waves = np.cos(np.pi * rank[:, None] * np.arange(1, WAVES + 1)) / WAVES**0.5
        parts.append(np.where(np.isin(first, symbols)[:, None], waves, 0))
    described = np.concatenate([np.zeros((1, sum(part.shape[1] for part in parts))), np.concatenate(parts, 1)])
    return tuple(map(tuple, described.round(6).tolist()))
