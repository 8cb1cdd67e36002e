"""A valid value for every field of the contract: the one values.yaml names, else one that the schema allows."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from schemagen.sources import Schema, Sources, reference_name

FieldPath = tuple[str, ...]
_NOTES = Path(__file__).with_name("values.yaml")
_TRIES = (0, 1, 2)
# What a note says of one field only, not of those inside it.
_OWN = frozenset({"value", "beside"})


class Samples:
    """Values to set, by the field's schema and by what values.yaml says of it."""

    def __init__(self, sources: Sources, notes: Mapping[str, Any]) -> None:
        self._sources = sources
        self._notes = notes

    def note(self, owner: str, path: FieldPath) -> Mapping[str, Any]:
        """Return what values.yaml says of a field, the most exact last: of what is around it, its object, itself."""
        dotted = spoken(path)
        around = [each for each in (spoken(path[:end]) for end in range(1, len(path))) if each in self._notes]
        shared = {key: value for name in around for key, value in self._notes[name].items() if key not in _OWN}
        exact = [self._notes[key] for key in (owner, f"{owner}.{path[-1]}", dotted) if key in self._notes]
        needed = {key: value for each in (shared, *exact) for key, value in each.get("with", {}).items()}
        return {key: value for each in (shared, *exact, {"with": needed}) for key, value in each.items()}

    def value(self, owner: str, path: FieldPath, held: Any) -> Any:
        """Return a value for a field that is neither its default nor `held`, which the manifest has."""
        note = self.note(owner, path)
        if "value" in note:
            return note["value"]
        schema = self._sources.definitions[owner]["properties"][path[-1]]
        taken = [held, schema.get("default"), self._sources.resolve(schema).get("default")]
        return next(each for each in (self._sample(schema, at) for at in _TRIES) if each not in taken)

    def least(self, owner: str) -> dict[str, Any]:
        """Return an object with no more than it must have, by its schema and by what values.yaml puts beside."""
        schema = self._sources.definitions[owner]
        held = copy.deepcopy(dict(self._notes.get(owner, {}).get("beside", {})))
        for name in set(schema.get("required", [])) - set(held):
            note = self._notes.get(f"{owner}.{name}", {})
            held[name] = note["value"] if "value" in note else self._sample(schema["properties"][name], 0)
        return held

    def _sample(self, schema: Schema, at: int) -> Any:
        name = reference_name(schema["$ref"]) if "$ref" in schema else ""
        if name and "value" in self._notes.get(name, {}):
            return self._notes[name]["value"]
        if name:
            target = self._sources.definitions[name]
            return self.least(name) if "properties" in target else self._sample(target, at)
        if "enum" in schema:
            return schema["enum"][at % len(schema["enum"])]
        if "pattern" in schema:
            raise ValueError(f"{schema['description']} Name a value in tests/contract/values.yaml")
        if schema["type"] == "array":
            return [self._sample(schema["items"], at)]
        if schema["type"] == "object":
            return {"example.com/key": self._sample(schema["additionalProperties"], at)}
        return _scalar(schema, at)


def _scalar(schema: Schema, at: int) -> Any:
    low = schema.get("minimum", 1)
    choices = {
        "boolean": (True, False, True),
        "integer": (low + 1, low + 2, low),
        "number": (1.5, 2.5, 3.5),
        "string": ("other", "another", "third"),
    }
    return choices[schema["type"]][at]


def load_samples(sources: Sources) -> Samples:
    """Read values.yaml."""
    return Samples(sources, yaml.safe_load(_NOTES.read_text(encoding="utf-8")))


def spoken(path: FieldPath) -> str:
    """Return a path as people write it: `tags[].name`."""
    return ".".join(path).replace(".[]", "[]")
