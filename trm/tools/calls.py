"""Tools by name: calling one with a language model's arguments, and the schemas that describe them.

`call` runs a tool, `schemas` describes them all as OpenAI functions, and `trm.tools.mcp` offers them over the Model
Context Protocol.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from trm.errors import BadInput
from trm.tools.functions import check_answer, solve_arc, solve_maze, solve_sudoku
from trm.tools.results import Result, Tell, tell_nobody

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

TOOLS: dict[str, Callable[..., Result]] = {
    tool.__name__: tool for tool in (solve_sudoku, solve_maze, solve_arc, check_answer)
}
TITLES = {
    "solve_sudoku": "Solve a Sudoku",
    "solve_maze": "Find a shortest path through a maze",
    "solve_arc": "Attempt an ARC task",
    "check_answer": "Check an answer to a Sudoku or a maze",
}
Api = Literal["chat", "responses"]


def call(name: str, arguments: Mapping[str, Any] | str, stop: Event | None = None, tell: Tell = tell_nobody) -> Result:
    """Run a tool with the arguments that a language model gives.

    Args:
        name: `solve_sudoku`, `solve_maze`, `solve_arc` or `check_answer`.
        arguments: the arguments by name, or the text of a JSON object. Arguments that may be null may be left out.
        stop: set this event to end the work after the current supervision step.
        tell: called with a `Progress` whenever there is something new to say.

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
        raise BadInput(fault(name, error.errors())) from None
    caller = {"stop": stop, "tell": tell}
    more = {key: caller[key] for key in inspect.signature(TOOLS[name]).parameters if key in caller}
    return TOOLS[name](**{key: getattr(given, key) for key in expected.model_fields}, **more)


def fault(name: str, errors: Sequence[ErrorDetails]) -> str:
    """What is wrong with the arguments of a tool, in one line: an unknown one, which may be a required one misnamed, or
    the first fault.
    """
    unknown = [error for error in errors if error["type"] == "extra_forbidden"]
    first = (*unknown, *errors)[0]
    where = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"][:1])
    if unknown:
        return f"{name} has no argument {where[:50]}; its arguments are {', '.join(arguments_of(name).model_fields)}"
    return f"{where or 'the arguments'}: {' '.join(first['msg'].split())}"


def schemas(api: Api = "chat") -> list[dict[str, Any]]:
    """The tools as OpenAI functions with strict parameters.

    Args:
        api: `chat`: for `tools=` of a chat completion; `responses`: for `tools=` of the Responses API.

    Raises:
        BadInput: no such API.
    """
    if api not in get_args(Api):
        raise BadInput(f"api must be one of {', '.join(get_args(Api))}, not {api!r}")
    functions = [
        {
            "name": name,
            "description": description(name),
            "strict": True,
            "parameters": strict(arguments_of(name).model_json_schema()),
        }
        for name in TOOLS
    ]
    if api == "responses":
        return [{"type": "function", **function} for function in functions]
    return [{"type": "function", "function": function} for function in functions]


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
