"""Sentences for what the contract's schema finds: one fact and one remedy per error of the validator."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dpd.hints import listed, nearest
from dpd.patterns import words
from dpd.problems import FieldPath, Problem, path_text, short, shown

_TYPES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}
_HOW_TO_WRITE = {
    "object": "write `key: value` lines under it",
    "array": "write a list, each item behind a dash",
    "boolean": "write true or false",
    "integer": "write a whole number without quotes",
    "number": "write a number without quotes",
    "string": "write one word or sentence",
}
_REQUIRED = {
    "metadata": ("required", "add it with a name"),
    "spec.pdSpec.prefillSpec": (
        "required when pdSpec is set",
        "add it, or remove pdSpec for a colocated endpoint",
    ),
    "spec.pdSpec.decodingSpec": (
        "required when pdSpec is set",
        "add it, or remove pdSpec for a colocated endpoint",
    ),
}
_FEW = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """One error of the schema validator.

    keyword: the schema keyword that failed, and `wanted`, its argument; value and path: what failed and where;
    schema: the schema around the keyword.
    """

    keyword: str
    wanted: Any
    value: Any
    path: FieldPath
    schema: Mapping[str, Any]


def type_of(value: Any) -> str:
    """Name the YAML type of `value` with its article."""
    match value:
        case None:
            return "empty"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "a mapping"


def unknown_key(path: FieldPath, known: list[str], homes: list[FieldPath]) -> Problem:
    """Say that a key is not in the contract. `known`: keys allowed beside it; `homes`: paths where it is allowed."""
    near = nearest(str(path[-1]), known)
    if near:
        remedy = f"did you mean {near}?"
    elif len(homes) == 1:
        remedy = f"it belongs at {path_text(homes[0])}"
    elif known and len(known) <= _FEW:
        remedy = f"known here: {', '.join(known)}"
    else:
        remedy = "remove it"
    return Problem(path, "unknown key", remedy)


def explain(error: Finding, written: Mapping[FieldPath, str]) -> Iterator[Problem]:
    """Yield the problems of one error. `written`: words as they stand in the file where YAML changed their type."""
    path = error.path
    if error.keyword == "required":
        missing = [key for key in error.wanted if key not in error.value]
        yield from (_missing((*path, key)) for key in missing)
        return
    as_written = short(written.get(path) or "") or _say(error.value)
    explain_one = _EXPLAINED.get(error.keyword, _other)
    fact, remedy = explain_one(error, as_written)
    yield Problem(path, fact, remedy)


def _missing(path: FieldPath) -> Problem:
    fact, remedy = _REQUIRED.get(path_text(path), ("required", "add it"))
    return Problem(path, fact, remedy)


def _say(value: Any) -> str:
    match value:
        case str():
            return shown(value)
        case dict() | list() | None:
            return type_of(value)
        case _:
            return short(json.dumps(value))


def _type(error: Finding, as_written: str) -> tuple[str, str]:
    wanted = _wanted_types(error)
    names = listed([_TYPES.get(each, each) for each in wanted])
    value = error.value
    is_scalar = isinstance(value, str | int | float | bool)
    fact = f"{as_written} is {type_of(value)}, not {names}" if is_scalar else f"is {type_of(value)}, not {names}"
    if "string" in wanted and is_scalar:
        return fact, f'put it in quotes: "{as_written}"'
    if "integer" in wanted and isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        return fact, f"write {value} without quotes"
    return fact, _HOW_TO_WRITE.get(wanted[0], "write it so")


def _wanted_types(error: Finding) -> list[str]:
    return [error.wanted] if isinstance(error.wanted, str) else list(error.wanted)


def _enum(error: Finding, as_written: str) -> tuple[str, str]:
    allowed = [str(each) for each in error.wanted]
    near = nearest(str(error.value), allowed)
    hint = f"did you mean {near}? (one of {', '.join(allowed)})" if near else f"write {listed(allowed)}"
    return f"{as_written} is not known here", hint


def _const(error: Finding, as_written: str) -> tuple[str, str]:
    return f"is {as_written}", f"write {error.wanted}"


def _pattern(error: Finding, as_written: str) -> tuple[str, str]:
    pattern = str(error.wanted)
    fact, remedy = words(pattern) or (f"does not match {pattern}", _described(error))
    return f"{as_written} {fact}", remedy


def _described(error: Finding) -> str:
    description = str(error.schema.get("description", "")).strip().rstrip(".")
    return f"write what is meant here: {description}" if description else "correct it"


def _minimum(error: Finding, as_written: str) -> tuple[str, str]:
    return f"{as_written} is less than {error.wanted}", f"write {error.wanted} or more"


def _maximum(error: Finding, as_written: str) -> tuple[str, str]:
    return f"{as_written} is more than {error.wanted}", f"write {error.wanted} or less"


def _too_long(error: Finding, _as_written: str) -> tuple[str, str]:
    over = len(error.value) - error.wanted
    unit = "character" if isinstance(error.value, str) else "item"
    plural = "" if over == 1 else "s"
    return f"has {len(error.value)} {unit}s, {error.wanted} are allowed", f"drop {over} {unit}{plural}"


def _too_short(error: Finding, _as_written: str) -> tuple[str, str]:
    if not error.value:
        return "is empty", "fill it in, or remove it"
    return f"has {len(error.value)}, at least {error.wanted} are needed", "add what is missing"


def _other(error: Finding, as_written: str) -> tuple[str, str]:
    return f"{as_written} does not fit ({error.keyword})", _described(error)


_EXPLAINED: Mapping[str, Callable[[Finding, str], tuple[str, str]]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _too_short,
    "minItems": _too_short,
    "maxLength": _too_long,
    "maxItems": _too_long,
}
