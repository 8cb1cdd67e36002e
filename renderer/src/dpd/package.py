"""What lies in the package itself: the generated schema of the contract. Reading it is I/O, so it lives apart."""

import json
from importlib.resources import files
from typing import Any


def contract_schema() -> dict[str, Any]:
    """Return the JSON schema of a whole InferenceEndpointConfig document."""
    text = files("dpd").joinpath("contract.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
