"""Tool calls, in their least form: when a call is forced, the answer is that call with made-up arguments."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dpd_sim.core.text import fingerprint
from dpd_sim.http.errors import ApiError

MOST = 10_000  # items or characters


@dataclass(frozen=True, slots=True)
class Call:
    """A forced call: the function's name and its arguments as JSON text."""

    name: str
    text: str
    required: bool

    @property
    def call_id(self) -> str:
        """A stable id, so that two engines answer alike."""
        return f"chatcmpl-tool-{fingerprint(self.name + self.text)}"


def choose(body: Mapping[str, Any], auto_allowed: bool) -> Call | None:
    """What `tools` and `tool_choice` force; None when the model is free to answer in text. Raises ApiError."""
    offered, choice = body.get("tools") or [], body.get("tool_choice")
    functions = {name: tool for tool in offered if (name := _name(tool))}
    if len(functions) != len(offered):
        raise ApiError("tools: every tool needs type function and a function with a name", param="tools")
    if choice is None:
        choice = "auto" if offered else "none"
    if choice == "none":
        return None
    if not offered:
        raise ApiError("When using `tool_choice`, `tools` must be set.", param="tool_choice")
    if choice == "auto":
        if not auto_allowed:
            raise ApiError('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
        return None
    name = next(iter(functions)) if choice == "required" else _chosen(choice)
    if name not in functions:
        raise ApiError(f"The tool specified in `tool_choice` does not match any of the specified `tools`: {name}")
    return Call(name, _made_up(_arguments, functions[name], "tools"), choice == "required")


def _name(tool: Any) -> str | None:
    if type(tool) is not dict or type(tool.get("function")) is not dict:
        return None
    name = tool["function"].get("name")
    return name if type(name) is str and name else None


def _chosen(choice: Any) -> str:
    name = _name(choice)
    if name is None:
        raise ApiError("tool_choice: none, auto, required or a named function is required", param="tool_choice")
    return name


def _arguments(tool: Mapping[str, Any]) -> Any:
    return example({"type": "object", **(tool["function"].get("parameters") or {})})


def guided(body: Mapping[str, Any]) -> str:
    """The text that `response_format` forces, "" when it forces none. Raises ApiError."""
    wanted = body.get("response_format") or {}
    match wanted.get("type", "text"):
        case "text":
            return ""
        case "json_object":
            return "{}"
        case "json_schema":
            named = wanted.get("json_schema")
            schema = named.get("schema") if type(named) is dict else None
            if type(schema) is not dict:
                raise ApiError("response_format: json_schema needs a schema", param="response_format")
            return _made_up(example, schema, "response_format")
        case other:
            raise ApiError(f"response_format: unknown type {other!r}", param="response_format")


def _made_up(make: Callable[[Any], Any], given: Any, param: str) -> str:
    """What `make` makes up, as JSON. Raises ApiError when no sense can be made of what was given."""
    try:
        return json.dumps(make(given))
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        raise ApiError(f"{param}: not a schema that can be followed ({error!r})", param=param) from None


def example(schema: Mapping[str, Any]) -> Any:
    """A value that a plain JSON schema accepts: types, enums, required properties and item counts are honoured."""
    if schema.get("enum"):
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            properties = schema.get("properties") or {}
            return {name: example(properties.get(name) or {}) for name in schema.get("required") or list(properties)}
        case "array":
            return [example(schema.get("items") or {})] * _count(schema.get("minItems", 1))
        case "integer":
            return int(schema.get("minimum", 1))
        case "number":
            return float(schema.get("minimum", 1.5))
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "a" * _count(schema.get("minLength", 1))


def _count(least: Any) -> int:
    if least > MOST:
        raise ValueError(f"{least} is more than this engine makes up")
    return max(1, int(least))
