"""Beside the values' schema: which of the chart's own keys have a default that its templates rely on.

A values file that sets such a key to null takes the default away, and Helm does so before it asks the schema; the chart
has this list to look for them.
"""

from collections.abc import Mapping
from typing import Any

# Read as they are, whatever they say: nothing there is what many people mean.
_OPEN = frozenset({"resources"})
_NOTHING: tuple[Any, ...] = ({}, [], "", None)


def present(defaults: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return for each section of values.yaml, by its dotted path, the keys in it that must not be null.

    A key at the top that is no section stands for itself, with nothing in it.
    """
    held = {key: value for key, value in defaults.items() if value not in _NOTHING}
    found: dict[str, list[str]] = {key: [] for key in held}
    for key, value in held.items():
        match value:
            case dict():
                found.update(_sections(key, value))
    return found


def _sections(path: str, section: Mapping[str, Any]) -> dict[str, list[str]]:
    held = {key: value for key, value in section.items() if value not in _NOTHING and key not in _OPEN}
    found = {path: list(held)}
    for key, value in held.items():
        match value:
            case dict():
                found.update(_sections(f"{path}.{key}", value))
    return found
