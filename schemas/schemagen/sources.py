"""First stop: the hand-written YAML files, merged into one set of definitions.

`contract.schema.yaml` and `contract/*.yaml` share one namespace of `$defs`; a definition is found by its name alone, so
a reference may be written `#/$defs/X` or `FILE#/$defs/X`. Kubernetes' own types (`io.k8s.X`) are added from kube.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from schemagen.kube import KUBE_PREFIX, kube_definition

Schema = dict[str, Any]
DEFAULTS = Path("charts/dpd/values.yaml")

# Beside $ref a draft-07 validator ignores everything, so only what merely annotates may stand there.
_ANNOTATIONS = frozenset({"$ref", "default", "description", "x-operator-version"})


class SourceError(Exception):
    """A source file that cannot be used; the message holds path, fact and remedy."""


@dataclass(frozen=True)
class Sources:
    """The contract's document schema, the chart-only values, and every definition either of them uses."""

    document: Schema
    values: Schema
    definitions: Mapping[str, Schema]
    ledger: Mapping[str, Any]
    defaults: Mapping[str, Any]
    monitoring: Mapping[str, Any]

    def resolve(self, schema: Schema) -> Schema:
        """Return what `schema` refers to, through any number of references; itself when it is no reference."""
        while "$ref" in schema:
            schema = self.definitions[reference_name(schema["$ref"])]
        return schema


def load(folder: Path) -> Sources:
    """Read the sources in `folder`; raise SourceError when they do not fit together."""
    document = read(folder / "contract.schema.yaml")
    values = read(folder / "values.schema.yaml")
    definitions: dict[str, Schema] = {}
    origin: dict[str, str] = {}
    parts = [("contract.schema.yaml", document), ("values.schema.yaml", values)]
    parts += [(f"contract/{path.name}", read(path)) for path in sorted((folder / "contract").glob("*.yaml"))]
    for file, content in parts:
        for name, schema in content.pop("$defs", {}).items():
            if name in origin:
                raise SourceError(
                    f"schemas/{file}: $defs.{name}: already in schemas/{origin[name]}; rename one of them"
                )
            origin[name] = file
            definitions[name] = schema
    _add_kubernetes(definitions, [document, values])
    for name, schema in [("document", document), ("values", values), *sorted(definitions.items())]:
        _check_references(name, schema, definitions)
    more = (read(folder / "ledger.yaml"), read(folder.parent / DEFAULTS), read(folder / "monitoring.yaml"))
    return Sources(document, values, definitions, *more)


def reference_name(reference: str) -> str:
    """Return the definition a reference names: `contract.schema.yaml#/$defs/Spec` gives `Spec`."""
    _, separator, name = reference.partition("#/$defs/")
    if not separator or not name:
        raise SourceError(f"$ref {reference!r}: not understood; write '#/$defs/NAME'")
    return name


def walk(schema: Any, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every mapping inside `schema` with its path, the outermost first."""
    if type(schema) is dict:
        yield path, schema
        for key, value in schema.items():
            yield from walk(value, f"{path}.{key}" if path else str(key))
    elif type(schema) is list:
        for index, value in enumerate(schema):
            yield from walk(value, f"{path}[{index}]")


def references(schema: Schema) -> set[str]:
    """Return the names of the definitions that `schema` itself refers to."""
    return {reference_name(each["$ref"]) for _, each in walk(schema) if type(each.get("$ref")) is str}


def read(path: Path) -> Schema:
    """Return the mapping a YAML file holds; raise SourceError when it holds none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{path}: cannot be read: {reason}; restore the file or repair its YAML") from error
    if type(content) is not dict:
        raise SourceError(f"{path}: is no mapping; a source file is a mapping with a $defs key")
    return content


def _add_kubernetes(definitions: dict[str, Schema], roots: list[Schema]) -> None:
    wanted = set().union(*(references(each) for each in [*roots, *definitions.values()]))
    pending = [name for name in wanted if name.startswith(KUBE_PREFIX)]
    while pending:
        name = pending.pop()
        if name not in definitions:
            try:
                definitions[name] = kube_definition(name)
            except LookupError as error:
                raise SourceError(f"$ref '#/$defs/{name}': {error}; write the name as Kubernetes spells it") from error
            pending.extend(references(definitions[name]))


def _check_references(name: str, schema: Schema, definitions: Mapping[str, Schema]) -> None:
    for path, each in walk(schema, name):
        if type(each.get("$ref")) is not str:
            continue
        target = reference_name(each["$ref"])
        if target not in definitions:
            raise SourceError(f"{path}: refers to {target}, which no file defines; define it or repair the name")
        ignored = sorted(set(each) - _ANNOTATIONS)
        if ignored:
            raise SourceError(f"{path}: {', '.join(ignored)} beside $ref has no effect; move it into {target}")
