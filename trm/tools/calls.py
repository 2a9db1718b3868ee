"""Tools by name: calling one with a language model's arguments, and the schemas that describe them.

`call` runs a tool, `schemas` describes them all as OpenAI functions, and `trm.tools.mcp` offers them over the Model
Context Protocol.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache
from threading import Event
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from trm.errors import BadInput
from trm.tools.functions import check_answer, solve_arc, solve_maze, solve_sudoku
from trm.tools.results import Result

TOOLS: dict[str, Callable[..., Result]] = {
    tool.__name__: tool for tool in (solve_sudoku, solve_maze, solve_arc, check_answer)
}


def call(name: str, arguments: Mapping[str, Any] | str, stop: Event | None = None) -> Result:
    """Run a tool with the arguments that a language model gives.

    Args:
        name: `solve_sudoku`, `solve_maze`, `solve_arc` or `check_answer`.
        arguments: the arguments by name, or the text of a JSON object. Arguments that may be null may be left out.
        stop: set this event to end the work after the current supervision step.

    Raises:
        BadInput: no such tool, wrong arguments, or a malformed puzzle. The message is one line for the model to read.
        Stopped: `stop` was set.
        TrmError: the work failed, for lack of memory or time.
    """
    expected = arguments_of(name)
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"the arguments of {name} are not JSON: {str(error).splitlines()[0]}") from None
    try:
        given = expected.model_validate(arguments)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"][:1])
        raise BadInput(f"{where or 'the arguments'}: {' '.join(first['msg'].split())}") from None
    more = {"stop": stop} if "stop" in inspect.signature(TOOLS[name]).parameters else {}
    return TOOLS[name](**{key: getattr(given, key) for key in expected.model_fields}, **more)


def schemas() -> list[dict[str, Any]]:
    """The tools as OpenAI functions with strict parameters, for `tools=` of a chat completion."""
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": description(name),
                "strict": True,
                "parameters": strict(arguments_of(name).model_json_schema()),
            },
        }
        for name in TOOLS
    ]


@cache
def arguments_of(name: str) -> type[BaseModel]:
    """A model of the tool's arguments, without those that are for the caller. Raises BadInput for an unknown name."""
    if name not in TOOLS:
        raise BadInput(f"there is no tool {name[:50]!r}; there are {', '.join(TOOLS)}")
    hints = get_type_hints(TOOLS[name], include_extras=True)
    fields: dict[str, Any] = {
        key: (hints[key], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for key, parameter in inspect.signature(TOOLS[name]).parameters.items()
        if parameter.kind is not parameter.KEYWORD_ONLY
    }
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def result_of(name: str) -> type[Result]:
    """The type of a tool's result."""
    result: type[Result] = get_type_hints(TOOLS[name])["return"]
    return result


def description(name: str) -> str:
    """A tool's docstring in one line."""
    return " ".join((TOOLS[name].__doc__ or "").split())


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that strict mode accepts: all properties required, no others, no defaults, titles or lengths."""
    properties = {
        key: {word: value for word, value in described.items() if word not in ("title", "default", "maxLength")}
        for key, described in schema["properties"].items()
    }
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
