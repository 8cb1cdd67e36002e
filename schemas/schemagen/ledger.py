"""The ledger of fields: every leaf of the contract's spec with what it does here. Read beside the sources.

A leaf is a field without named fields of its own inside: a scalar, a list of scalars, a map, one of Kubernetes' types.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemagen.kube import KUBE_PREFIX
from schemagen.sources import Schema, SourceError, Sources, reference_name

FILE = "schemas/ledger.yaml"
ITEMS = "[]"
WARNINGS = {"not-drawn": "accepted, not drawn yet", "no-effect": "accepted, no effect here"}
NO_REMEDY = "remove it, or leave it: it changes nothing here"
_KEYS = frozenset({"does", "where", "remedy", "unless", *WARNINGS})
_ROOT = "Spec"

FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the spec: its path, `[]` for a list's items; the object it stands in; its row, if it has one.

    `covered` means that the warning of a field around it speaks for it.
    """

    path: FieldPath
    owner: str
    row: Mapping[str, Any] | None
    is_leaf: bool
    covered: bool = False

    @property
    def name(self) -> str:
        """The field as the ledger names it, such as `Worker.image`."""
        return f"{self.owner}.{self.path[-1]}"

    @property
    def warning(self) -> str | None:
        """What `dpd render` says of the field, without path and remedy."""
        found = [f"{words}: {self.row[key]}" for key, words in WARNINGS.items() if self.row and key in self.row]
        return found[0] if found else None


def fields(sources: Sources) -> list[Field]:
    """Return every field of the spec, parents first; raise SourceError unless ledger and contract have the same."""
    problems = [each for name, rows in sources.ledger.items() for each in _malformed(name, rows)]
    if problems:
        raise SourceError("\n".join(problems))
    found = list(_fields(sources, _ROOT, (), covered=False))
    problems = list(dict.fromkeys(_missing(found)))
    met = {each.name for each in found if not each.covered}
    for owner, rows in sources.ledger.items():
        problems += [
            f"{FILE}: {owner}.{name}: {_stranger(sources, owner, name)}"
            for name in rows
            if f"{owner}.{name}" not in met
        ]
    if problems:
        raise SourceError("\n".join(problems))
    return found


def warnings(found: list[Field]) -> list[dict[str, Any]]:
    """Return what `dpd render` must say: path, fact, remedy, and the values that need no word."""
    return [
        {
            "path": list(each.path),
            "fact": each.warning,
            "remedy": each.row.get("remedy", NO_REMEDY),
            "unless": each.row.get("unless", []),
        }
        for each in found
        if each.row and each.warning
    ]


def _fields(sources: Sources, owner: str, at: FieldPath, *, covered: bool) -> Iterator[Field]:
    for name, schema in sources.definitions[owner]["properties"].items():
        row = sources.ledger.get(owner, {}).get(name)
        inner, step = _inside(sources, schema)
        field = Field((*at, name), owner, None if covered else row, inner is None, covered)
        yield field
        if inner:
            speaks = covered or bool(field.warning and field.row and "does" not in field.row)
            yield from _fields(sources, inner, (*at, name, *step), covered=speaks)


def _inside(sources: Sources, schema: Schema) -> tuple[str | None, FieldPath]:
    """Return the definition whose fields lie inside a field, and the step to them; None for a leaf."""
    step: FieldPath = ()
    if schema.get("type") == "array":
        schema, step = schema.get("items", {}), (ITEMS,)
    name = reference_name(schema["$ref"]) if "$ref" in schema else ""
    ours = name and not name.startswith(KUBE_PREFIX) and "properties" in sources.definitions[name]
    return (name, step) if ours else (None, ())


def _missing(found: list[Field]) -> Iterator[str]:
    for each in found:
        if each.is_leaf and not each.row and not each.covered:
            yield f"{FILE}: {each.name}: has no row; say what it does here, or `not-drawn` and why"
        if not each.is_leaf and each.row and "does" in each.row:
            yield f"{FILE}: {each.name}: holds fields of its own; say in their rows what each does"


def _stranger(sources: Sources, owner: str, name: str) -> str:
    if name in sources.definitions.get(owner, {}).get("properties", {}):
        return "the row of a field around it speaks for it already; remove one of the two"
    return "no field of the contract's spec; remove the row or repair its name"


def _malformed(owner: str, rows: Any) -> Iterator[str]:
    if type(rows) is not dict:
        yield f"{FILE}: {owner}: is no mapping; give each field of {owner} a row"
        return
    for name, row in rows.items():
        keys = set(row) if type(row) is dict else set()
        said = keys & {"does", *WARNINGS}
        if not said or keys - _KEYS or len(keys & set(WARNINGS)) > 1 or ("does" in keys) != ("where" in keys):
            yield f"{FILE}: {owner}.{name}: is no row; write `does` and `where`, `not-drawn`, or `no-effect`"
        elif not keys & set(WARNINGS) and keys & {"remedy", "unless"}:
            yield f"{FILE}: {owner}.{name}: `remedy` and `unless` belong to a warning; remove them"
        elif "does" in keys and len(said) > 1 and "unless" not in keys:
            yield f"{FILE}: {owner}.{name}: does something and warns; name in `unless` the values that need no warning"
