"""`trm inspect`: reading the files, and what was found in them on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from trm.errors import BadInput
from trm.files import check_writable, write_text
from trm.tasks.custom.inspection import Inspection, Leaks, inspect, leaks
from trm.tasks.custom.layers import defined
from trm.tasks.custom.structure import Structure, read_structure
from trm.tasks.custom.symmetry import LEVEL, Symmetry
from trm.tasks.custom.task import Custom
from trm.tasks.custom.text import read_pairs
from trm.tasks.text import naming, printable
from trm.terminal.console import report_written

SHOWN = 5  # contradictions, and numbers at either end of a list
WIDE = 16  # columns of the names


def run(data: str, against: str | None, declared: Path | None, write: Path | None, as_json: bool) -> bool:
    """Inspect a file and print what was found. -> whether there are contradictions or leaks. Raises BadInput."""
    if write is not None:
        if write.suffix != ".json":
            raise BadInput(f"--write {printable(write.name)}: a structure is written as JSON, so name a file NAME.json")
        check_writable(write)
    structure = Structure() if declared is None else read_structure(declared)
    pairs = read_pairs(data, structure)
    with naming(data):
        found = inspect(pairs)
    if declared is not None:
        Custom(defined(data, structure)).read_file(data)  # refuses the first pair that contradicts it
    common = None
    if against is not None:
        other = read_pairs(against, structure.model_copy(update={"layers": pairs.layers, "unit": pairs.unit}))
        with naming(against):
            common = leaks(pairs, other, found)
    if as_json:
        print(json.dumps(found.as_dict() | ({} if common is None else {"leaks": asdict(common)})))
    else:
        for name, text in lines(found, data, against, common):
            print(f"{name:<{WIDE}}{text}")
    if write is not None:
        write_text(write, json.dumps(found.structure().model_dump(mode="json", exclude_defaults=True)) + "\n")
        report_written(write)
    return bool(found.contradictions or (common and (common.questions or common.images)))


def lines(found: Inspection, data: str, against: str | None, common: Leaks | None) -> Iterator[tuple[str, str]]:
    """A name and a text for each finding."""
    height, width = found.shape
    missing = f", {found.unanswered:,} of them without an answer, which are left out below" if found.unanswered else ""
    yield "pairs", f"{found.rows:,} of {height}x{width} in {printable(Path(data).name)}{missing}"
    yield "numbers", f"question: {listed(found.question_values)}; answer: {listed(found.answer_values)}"
    for number, values in enumerate(found.layer_values, 2):
        yield "", f"layer {number} of the question: {listed(values)}"
    cells = f"{found.unknown:.1f} of {height * width}"
    if found.blank is None:
        yield "blank", f"none: an answer changes {cells} cells of its question on average"
    else:
        yield "blank", f"{found.blank}; all other numbers are kept in the answer; {cells} cells unknown on average"
    yield "duplicates", f"{found.duplicates:,} pairs that are there already" if found.duplicates else "none"
    few = "; ".join(f"{one} and {other}" for one, other in found.contradictions[:SHOWN])
    more = ", ..." if len(found.contradictions) > SHOWN else ""
    count = len(found.contradictions)
    yield "contradictions", f"{count:,}: one question, different answers: {few}{more}" if count else "none"
    names = ", ".join(group.name for group in found.groups)
    yield "groups", f"{names}: no answer has a number twice in one" if names else "none of rows, columns and boxes"
    if not found.symmetries:
        yield (
            "symmetries",
            "not looked for: too few pairs have a question and an answer of their own, or the boards are too large",
        )
    for number, symmetry in enumerate(found.symmetries):
        yield "" if number else "symmetries", verdict(symmetry)
    if common is not None and against is not None:
        images = f", {common.images:,} more are images of one" if found.symmetries else ""
        there = f"{common.questions:,} are in the first file{images}; {common.answers:,} answers are there too"
        yield "leaks", f"of {common.rows:,} questions in {printable(Path(against).name)}, {there}"
    known = found.structure().model_dump(mode="json", exclude_defaults=True)
    yield "structure", json.dumps({key: value for key, value in known.items() if key != "values"})


def verdict(symmetry: Symmetry) -> str:
    said = "not contradicted" if symmetry.holds else "does not hold"
    return f"{symmetry.name}: {said} (p {'<' if symmetry.p < LEVEL else '='} {max(symmetry.p, LEVEL):.2f})"


def listed(values: tuple[int, ...]) -> str:
    """Numbers in a few words: 1 to 9, or some of them."""
    if len(values) > 2 and values == tuple(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    if len(values) <= 2 * SHOWN:
        return ", ".join(map(str, values))
    ends = [", ".join(map(str, part)) for part in (values[:SHOWN], values[-SHOWN:])]
    return f"{ends[0]}, ..., {ends[1]} ({len(values)} numbers)"
