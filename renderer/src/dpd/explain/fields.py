"""The contract as a book of fields: look one up by its path, list what it holds, find what was meant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dpd.explain.kinds import bounds, kind
from dpd.hints import listed, nearest
from dpd.problems import path_text
from dpd.references import Schema, resolved, target

Rows = Mapping[str, Mapping[str, Any]]
Path = tuple[str, ...]
_KUBERNETES = "io.k8s."
_MOST_PLACES = 12
_VARIABLES = ("spec", "worker", "environmentVariables")


class UnknownFieldError(Exception):
    """No field has that path; the message says which may be meant."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. schema: as written where the field stands; held: what that refers to; owner: the object around it."""

    path: Path
    schema: Schema
    held: Schema
    owner: str
    required: bool

    @property
    def name(self) -> str:
        """The field as the ledger names it, such as `Worker.image`."""
        return f"{self.owner}.{self.path[-1]}" if self.path else ""

    @property
    def description(self) -> str:
        """What the contract says of it."""
        text: str = self.schema.get("description") or self.held.get("description") or ""
        return text


class Book:
    """All fields of a document."""

    def __init__(self, schema: Schema, rows: Rows) -> None:
        """Take the JSON schema of a whole document, and what the ledger says by `Object.field`."""
        self._schema = schema
        self._rows = rows
        self.root = Field((), schema, schema, "", required=True)

    def find(self, steps: Path) -> Field:
        """Return the field of a path, of a path under spec, or the only one whose path ends so.

        Raises UnknownFieldError with what may be meant.
        """
        for start in ((), ("spec",)):
            found = self._at((*start, *steps))
            if found is not None:
                return found
        begun = [each for each in self._all(self.root) if each.path[-1:] == steps[:1]]
        alike = [end for each in begun if (end := self._at((*each.path, *steps[1:]))) is not None]
        objects = {each.name for each in alike}
        if len(alike) == 1 or (alike and len(objects) == 1 and not self.children(alike[0])):
            return alike[0]
        raise UnknownFieldError(self._several(steps, alike) if alike else self._unknown(steps))

    def children(self, field: Field) -> list[Field]:
        """Return the fields inside, in the contract's order: those that must be there first."""
        held, owner = self._inside(field)
        required = held.get("required", [])
        found = [
            Field((*field.path, key), each, resolved(self._schema, each), owner, key in required)
            for key, each in held.get("properties", {}).items()
        ]
        return sorted(found, key=lambda each: not each.required)

    def kind(self, field: Field) -> str:
        """Name the type of a field."""
        inner = field.held.get("items") or field.held.get("additionalProperties")
        return kind(field.held, resolved(self._schema, inner) if isinstance(inner, Mapping) else None)

    def bounds(self, field: Field) -> list[str]:
        """Say what values a field may have; of a list, its items too."""
        items = field.held.get("items")
        return bounds(field.held) + (bounds(resolved(self._schema, items)) if isinstance(items, Mapping) else [])

    def row(self, field: Field) -> Mapping[str, Any]:
        """Return what the ledger says of a field, or of the nearest one around it that speaks for it."""
        for size in range(len(field.path), 1, -1):
            around = self._at(field.path[:size])
            if around is not None and around.name in self._rows:
                return self._rows[around.name]
        return {}

    def places(self, field: Field) -> list[Path]:
        """Return every path at which this same field of this same object stands."""
        return [each.path for each in self._all(self.root) if each.name == field.name and each.path[0] == field.path[0]]

    def _at(self, path: Path) -> Field | None:
        field = self.root
        for index, step in enumerate(path):
            known = {each.path[-1]: each for each in self.children(field)}
            held, owner = self._inside(field)
            values = held.get("additionalProperties")
            if step in known:
                field = known[step]
            elif isinstance(values, Mapping):
                field = Field(path[: index + 1], values, resolved(self._schema, values), owner, required=False)
            else:
                return None
        return field

    def _all(self, field: Field) -> Iterator[Field]:
        """Yield every field below, Kubernetes' own types not entered."""
        for each in self.children(field):
            yield each
            if not self._inside(each)[1].startswith(_KUBERNETES):
                yield from self._all(each)

    def _inside(self, field: Field) -> tuple[Schema, str]:
        """Return the schema whose properties lie inside a field, list or not, and its name."""
        schema = field.schema
        owner = _definition(schema)
        while "$ref" in schema or schema.get("type") == "array":
            schema = target(self._schema, schema["$ref"]) if "$ref" in schema else schema.get("items", {})
            owner = _definition(schema) or owner
        return schema, owner

    def _several(self, steps: Path, alike: list[Field]) -> str:
        places = [path_text(each.path) for each in alike]
        more = f" and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
        return (
            f"{path_text(steps)}: stands in {len(places)} places; say which: {', '.join(places[:_MOST_PLACES])}{more}"
        )

    def _unknown(self, steps: Path) -> str:
        start: Path = () if self._at(steps[:1]) else ("spec",)
        path = (*start, *steps)
        size = next(size for size in range(len(path) - 1, -1, -1) if self._at(path[:size]) is not None)
        around = self._at(path[:size]) or self.root
        known = [each.path[-1] for each in self.children(around)]
        fact = f"{path_text(steps)}: no such field"
        if path[size].isupper():
            return f"{fact}; a variable of the engine is an entry of {path_text(_VARIABLES)}, by its name"
        near = nearest(path[size], known)
        if near:
            return f"{fact}; did you mean {path_text((*around.path, near, *path[size + 1 :]))}?"
        elsewhere = self._elsewhere(path[size])
        if elsewhere:
            return f"{fact}; did you mean {listed(elsewhere)}?"
        if known:
            return f"{fact}; {path_text(around.path) or 'a document'} has {', '.join(known)}"
        return f"{fact}; {path_text(around.path)} is {self.kind(around)}, with no fields inside"

    def _elsewhere(self, word: str) -> list[str]:
        """Return the paths of fields that are called like this, or nearly."""
        every = list(self._all(self.root))
        near = nearest(word, dict.fromkeys(each.path[-1] for each in every))
        found = [path_text(each.path) for each in every if each.path[-1] == near]
        return found[:3]


def _definition(schema: Schema) -> str:
    """Return the name a reference ends with, which is an object's own; empty for none."""
    name: str = schema.get("$ref", "").rpartition("/")[2]
    return name
