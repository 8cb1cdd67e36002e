"""Text that somebody else wrote, as data; what is none is an empty object, and what that means is for the checks."""

import json
from typing import Any

import yaml

Object = dict[str, Any]


def json_object(text: str) -> Object:
    """Return the JSON object that a text is, empty when it is none."""
    try:
        return _object(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def yaml_object(text: str) -> Object:
    """Return the mapping that a YAML text is, empty when it is none."""
    try:
        return _object(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def _object(held: Any) -> Object:
    return held if isinstance(held, dict) else {}
