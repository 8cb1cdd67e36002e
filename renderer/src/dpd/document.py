"""One document of a manifest file: its value, and where each part of it is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dpd.problems import FieldPath


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML document.

    value: the document as plain dicts, lists and scalars, nulls of mappings included.
    lines: the line (1 for the first) on which the key or item of a path is written.
    written: unquoted words that did not stay strings, as they were written (`no`, `1.10`).
    refused: paths of values the reader could not take and has said so; 0 stands there.
    """

    value: Any
    line: int
    lines: Mapping[FieldPath, int] = field(default_factory=dict)
    written: Mapping[FieldPath, str] = field(default_factory=dict)
    refused: frozenset[FieldPath] = frozenset()

    def line_of(self, path: FieldPath) -> int:
        """Return the line of `path`, or of the nearest part around it that the file really contains."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return self.line


def without_nulls(value: Any) -> Any:
    """Drop keys whose value is null, as the Kubernetes API server does; items of lists stay."""
    match value:
        case dict():
            return {key: without_nulls(each) for key, each in value.items() if each is not None}
        case list():
            return [without_nulls(each) for each in value]
        case _:
            return value


def without_paths(value: Any, paths: frozenset[FieldPath]) -> Any:
    """Copy `value` without what lies at `paths`. A list loses no single item: the whole list goes with a bad one."""
    doomed = frozenset(_nearest_key(path) for path in paths)
    return _copy(value, (), doomed)


def walk(value: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Yield every part of `value` with its path, outer parts first."""
    yield path, value
    match value:
        case dict():
            for key, each in value.items():
                yield from walk(each, (*path, key))
        case list():
            for index, each in enumerate(value):
                yield from walk(each, (*path, index))
        case _:
            pass


def _nearest_key(path: FieldPath) -> FieldPath:
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path


def _copy(value: Any, path: FieldPath, doomed: frozenset[FieldPath]) -> Any:
    match value:
        case dict():
            return {key: _copy(each, (*path, key), doomed) for key, each in value.items() if (*path, key) not in doomed}
        case list():
            return [_copy(each, (*path, index), doomed) for index, each in enumerate(value)]
        case _:
            return value
