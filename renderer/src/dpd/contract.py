"""Second stop of a manifest: does the document have the shape the contract gives an InferenceEndpointConfig?

The schema says what is allowed, `wording` says it in sentences. No I/O: the schema comes in as data.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft7Validator, validators
from jsonschema.exceptions import ValidationError

from dpd import wording
from dpd.document import Document, without_nulls
from dpd.hints import nearest
from dpd.problems import FieldPath, Problem, shown
from dpd.references import resolved, target
from dpd.wording import Finding

API_VERSION = "inference.sagemaker.aws.amazon.com/v1"
KIND = "InferenceEndpointConfig"


# In a schema `$` is the end of the text; Python's also matches before a line break at the end.
_END = re.compile(r"(\\.|\[(?:\\.|[^\]\\])*\])|\$")


@cache
def _exact(pattern: str) -> re.Pattern[str]:
    """Return a schema's pattern as Python reads it; there are as many as the schema has."""
    return re.compile(_END.sub(lambda found: found[1] or r"\Z", pattern))


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _exact(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


# The library does not annotate this function.
_extend: Any = validators.extend


class _Parts:
    """The validators of a schema's parts, each made once; left alone, the library makes them anew for each value."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        keywords = {"pattern": _pattern, "properties": self._properties, "items": self._items, "$ref": self._ref}
        self.whole = _extend(Draft7Validator, keywords)(schema)
        self._schema = schema
        self._made: dict[int, Any] = {}

    def _errors(self, instance: Any, part: Any) -> Iterator[ValidationError]:
        made = self._made.get(id(part))
        if made is None:
            made = self._made[id(part)] = self.whole.evolve(schema=part)
        errors: Iterator[ValidationError] = made.iter_errors(instance)
        return errors

    def _below(self, instance: Any, part: Any, step: str | int) -> Iterator[ValidationError]:
        for error in self._errors(instance, part):
            error.path.appendleft(step)
            yield error

    def _properties(self, _validator: Any, properties: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, dict):
            for key, part in properties.items():
                if key in instance:
                    yield from self._below(instance[key], part, key)

    def _items(self, _validator: Any, part: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, list):
            for index, each in enumerate(instance):
                yield from self._below(each, part, index)

    def _ref(self, _validator: Any, ref: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        return self._errors(instance, target(self._schema, ref))


class Contract:
    """The contract's schema, ready to check documents against."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Take the JSON schema of a whole document, as draft 7 writes it: no list of schemas for `items`."""
        self._schema = schema
        self._validator = _Parts(schema).whole

    @property
    def spec_keys(self) -> tuple[str, ...]:
        """The keys of `spec` in the contract's order."""
        return tuple(self._properties(self._schema["properties"]["spec"]))

    def spec_paths(self, depth: int) -> list[FieldPath]:
        """Return the paths of all fields at most `depth` levels below `spec`, Kubernetes' own types not entered."""
        found = self._paths(self._schema["properties"]["spec"], ("spec",))
        return [each for each in found if len(each) <= depth + 1]

    def problems(self, document: Document) -> list[Problem]:
        """Return everything the contract holds against `document`, in no particular order."""
        stranger = _stranger(document.value)
        if stranger:
            return stranger
        errors = self._validator.iter_errors(without_nulls(document.value))
        found = [_finding(each) for each in errors]
        unknown = [each for each in found if each.keyword == "additionalProperties"]
        problems = [each for error in unknown for each in self._unknown_keys(error)]
        meant = {(*each.path[:-1], self._meant(each.path, unknown)) for each in problems}
        for finding in found:
            if finding.keyword != "additionalProperties":
                problems.extend(each for each in wording.explain(finding, document.written) if each.path not in meant)
        return problems

    def _unknown_keys(self, error: Finding) -> Iterator[Problem]:
        path = error.path
        known = _known_keys(error)
        for key in sorted(set(error.value) - set(known)):
            yield wording.unknown_key((*path, key), known, self._homes(key))

    def _meant(self, path: FieldPath, unknown: list[Finding]) -> str | None:
        parents = [each for each in unknown if each.path == path[:-1]]
        return nearest(str(path[-1]), _known_keys(parents[0])) if parents else None

    def _homes(self, key: str) -> list[FieldPath]:
        return [path for path in self._paths(self._schema["properties"]["spec"], ("spec",)) if path[-1] == key]

    def _paths(self, schema: Mapping[str, Any], path: FieldPath) -> Iterator[FieldPath]:
        if "io.k8s." in schema.get("$ref", ""):
            return
        for key, each in self._properties(schema).items():
            yield (*path, key)
            yield from self._paths(each, (*path, key))

    def _properties(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = resolved(self._schema, schema).get("properties", {})
        return properties


def _finding(error: ValidationError) -> Finding:
    return Finding(
        keyword=str(error.validator),
        wanted=error.validator_value,
        value=error.instance,
        path=tuple(error.absolute_path),
        schema=error.schema if isinstance(error.schema, Mapping) else {},
    )


def _known_keys(error: Finding) -> list[str]:
    return list(error.schema.get("properties", {}))


def _stranger(value: Any) -> list[Problem]:
    """Say why a document cannot be an InferenceEndpointConfig at all, in which case nothing else is worth saying."""
    if not isinstance(value, dict):
        fact = f"the document is {wording.type_of(value)}, not a mapping"
        return [Problem((), fact, f"start it with apiVersion: {API_VERSION}")]
    kind, version = value.get("kind"), value.get("apiVersion")
    if isinstance(kind, str) and kind != KIND:
        near = f"did you mean {KIND}?" if nearest(kind, [KIND]) else "keep it in a file of its own for kubectl apply"
        return [Problem(("kind",), f"{shown(kind)} is not rendered, only {KIND} is", near)]
    if isinstance(version, str) and version != API_VERSION:
        older = ": v1alpha1 has no pdSpec" if version == f"{API_VERSION}alpha1" else ""
        return [Problem(("apiVersion",), f"{shown(version)} is not supported{older}", f"write {API_VERSION}")]
    return []
