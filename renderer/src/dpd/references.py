"""Below contract and explain: what a reference within a JSON schema stands for. No I/O."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def target(whole: Schema, reference: str) -> Any:
    """Return the part of a schema that a reference such as `#/definitions/Worker` names. Raises KeyError."""
    found: Any = whole
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def resolved(whole: Schema, part: Schema) -> Schema:
    """Return a part of a schema, or what it refers to at last."""
    while "$ref" in part:
        part = target(whole, part["$ref"])
    return part
