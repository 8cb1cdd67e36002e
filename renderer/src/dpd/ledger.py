"""What the contract accepts and nothing is drawn for, so that nothing is silently ignored.

The rows are generated from the ledger of fields, schemas/ledger.yaml; this module finds the ones that speak of a spec.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from dpd.package import ledger
from dpd.problems import FieldPath

Note = tuple[str, str]
_ITEMS = "[]"


@dataclass(frozen=True, slots=True)
class Row:
    """A field under spec (`[]` for a list's items), what is said of it, and the values that need no word."""

    path: tuple[str, ...]
    fact: str
    remedy: str
    unless: tuple[Any, ...] = ()


@cache
def rows() -> tuple[Row, ...]:
    """Return the rows that lie in the package; they never change while it runs."""
    return tuple(Row(tuple(each["path"]), each["fact"], each["remedy"], tuple(each["unless"])) for each in ledger())


def undrawn(spec: Mapping[str, Any]) -> Iterator[tuple[FieldPath, Note]]:
    """Yield path, fact and remedy of every field in `spec` that is accepted and has no effect, or none yet."""
    for row in rows():
        for path, found in _held(spec, row.path):
            if not any(found == each and type(found) is type(each) for each in row.unless):
                yield path, (row.fact, row.remedy)


def _held(held: Any, path: Sequence[str], at: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Yield every value at `path`, with its own path; nothing where a field is absent."""
    if not path:
        yield at, held
    elif path[0] == _ITEMS:
        for index, each in enumerate(held):
            yield from _held(each, path[1:], (*at, index))
    elif held.get(path[0]) is not None:
        yield from _held(held[path[0]], path[1:], (*at, path[0]))
