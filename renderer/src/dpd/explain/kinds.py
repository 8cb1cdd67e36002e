"""A field's type and bounds in words."""

import json
from collections.abc import Mapping
from typing import Any

from dpd.patterns import words

Schema = Mapping[str, Any]
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
}
_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)


def kind(schema: Schema, inner: Schema | None = None) -> str:
    """Name the type of a field; `inner` is the schema of a list's items or of a map's values."""
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity or number"
    if schema.get("type") == "array":
        return f"list of {_many(kind(inner))}" if inner else "list"
    if schema.get("type") == "object" and inner:
        return f"map to {kind(inner)}"
    said = schema.get("type", "anything")
    return " or ".join(_TYPES.get(each, each) for each in ([said] if isinstance(said, str) else said))


def bounds(schema: Schema) -> list[str]:
    """Say what values a field may have, beyond its type."""
    found = []
    if "enum" in schema:
        found.append("one of " + ", ".join(_code(each) for each in schema["enum"]))
    if "const" in schema:
        found.append(f"always {_code(schema['const'])}")
    found += [
        each
        for each in (_numbers(schema), _sizes(schema, "Length", "characters"), _sizes(schema, "Items", "items"))
        if each
    ]
    if "pattern" in schema:
        known = words(schema["pattern"])
        found.append(known[1] if known else f"matches {schema['pattern']}")
    return found


def _numbers(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low in (_INT32[0], _INT64[0]):
        low = None
    if high in (_INT32[1], _INT64[1]):
        high = None
    return _between(low, high, "")


def _sizes(schema: Schema, what: str, unit: str) -> str:
    return _between(schema.get(f"min{what}"), schema.get(f"max{what}"), f" {unit}")


def _between(low: Any, high: Any, unit: str) -> str:
    if low is not None and high is not None:
        return f"{low} to {high}{unit}"
    if low is not None:
        return f"{low}{unit} or more"
    return f"at most {high}{unit}" if high is not None else ""


def _many(name: str) -> str:
    return {"text": "texts", "object": "objects", "whole number": "whole numbers"}.get(name, name)


def _code(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) or not value else value
