"""The chart's own keys: what values.schema.yaml calls a default is what charts/dpd/values.yaml says."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from schemagen.sources import Schema, Sources, walk
from support.paths import CHART


@pytest.fixture(scope="session")
def values() -> Any:
    return yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def defaults(sources: Sources, schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield path and default of every field of the chart's own objects, save those that several fields share."""
    for name, field in schema.get("properties", {}).items():
        if "default" in field:
            yield (*path, name), field["default"]
        target = sources.resolve(field)
        if users(sources, field) == 1:
            yield from defaults(sources, target, (*path, name))


def users(sources: Sources, field: Schema) -> int:
    """Return how many fields refer to what `field` refers to."""
    every = [each for schema in (sources.values, *sources.definitions.values()) for _, each in walk(schema)]
    return sum(1 for each in every if "$ref" in field and each.get("$ref") == field["$ref"])


def look(values: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        values = values[step]
    return values


def test_every_default_in_the_schema_is_the_one_in_the_values(sources: Sources, values: Any) -> None:
    wrong, count = [], 0
    for path, default in defaults(sources, sources.values):
        try:
            found = look(values, path)
        except KeyError:
            continue
        count += 1
        if found != default:
            wrong.append(f"{'.'.join(path)}: the schema says {default!r}, values.yaml says {found!r}")
    assert count > 10
    assert wrong == []


def test_every_key_of_values_yaml_is_one_the_schema_knows(values: Any, values_schema: Any) -> None:
    assert set(values) <= set(values_schema["properties"])
