"""What lies in the package itself: the contract's schema and ledger. Reading them is I/O, so it lives apart."""

import json
from importlib.resources import files
from typing import Any


def contract_schema() -> dict[str, Any]:
    """Return the JSON schema of a whole InferenceEndpointConfig document."""
    schema: dict[str, Any] = _read("contract.schema.json")
    return schema


def ledger() -> list[dict[str, Any]]:
    """Return path, fact, remedy and `unless` of every field of spec that has no effect, or none yet."""
    found: list[dict[str, Any]] = _read("ledger.json")
    return found


def field_rows() -> dict[str, dict[str, Any]]:
    """Return what the ledger says of each field, by its name such as `Worker.image`."""
    found: dict[str, dict[str, Any]] = _read("fields.json")
    return found


def _read(name: str) -> Any:
    return json.loads(files("dpd").joinpath(name).read_text(encoding="utf-8"))
