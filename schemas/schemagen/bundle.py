"""The JSON schemas: the contract for the renderer, the values for Helm. Both with local references only."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from schemagen.kube import KUBE_PREFIX, QUANTITY
from schemagen.sources import Schema, SourceError, Sources, reference_name, references, walk

DRAFT = "http://json-schema.org/draft-07/schema#"
# Says all that the values need, and Helm, which looks at every subschema for each key of its draft, does less.
VALUES_DRAFT = "http://json-schema.org/draft-06/schema#"
LOCAL = "#/definitions/"
QUANTITY_NAME = f"{KUBE_PREFIX}Quantity"
# What stands in many places, by the name under which the values' schema has it once.
_SHARED: Mapping[str, Schema] = {
    QUANTITY_NAME: QUANTITY,
    "Texts": {"type": "array", "items": {"type": "string"}},
    "TextByName": {"type": "object", "additionalProperties": {"type": "string"}},
}
_ANNOTATIONS = frozenset({"description", "default"})
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def contract_bundle(sources: Sources) -> Schema:
    """Return the schema of a whole InferenceEndpointConfig document."""
    return _bundle(sources, {**sources.document, "$schema": DRAFT})


def values_bundle(sources: Sources) -> Schema:
    """Return the schema of the chart's values: the contract's spec at top level, the chart's own keys, Helm's global.

    A key of the spec that is not required may also be null, which means absent. Raises SourceError when a chart-only
    key has the name of a contract key.
    """
    spec = sources.definitions["Spec"]
    own = sources.values
    clash = sorted(set(spec["properties"]) & set(own["properties"]))
    if clash:
        raise SourceError(
            f"schemas/values.schema.yaml: {', '.join(clash)}: already a key of the contract; rename the chart's key"
        )
    properties = {
        key: schema if key in spec["required"] else _nullable(sources, schema)
        for key, schema in spec["properties"].items()
    }
    properties.update(own["properties"])
    properties["global"] = {"description": "Helm's values for every chart of a release.", "type": "object"}
    root = {
        "$schema": VALUES_DRAFT,
        "title": "Values of the dpd chart",
        "description": "The spec of an InferenceEndpointConfig, key by key, and the chart's own keys.",
        "type": "object",
        "additionalProperties": False,
        "required": sorted([*spec["required"], *own.get("required", [])]),
        "properties": properties,
    }
    return _inlined(_bundle(sources, root))


def _nullable(sources: Sources, schema: Schema) -> Schema:
    """Widen `schema` by null, inlining what it refers to: an anyOf would hide the path of the error inside."""
    widened = {**sources.resolve(schema), **{key: value for key, value in schema.items() if key != "$ref"}}
    widened["type"] = [widened["type"], "null"]
    return {**widened, "enum": [*widened["enum"], None]} if "enum" in widened else widened


def _bundle(sources: Sources, root: Schema) -> Schema:
    reached: dict[str, Schema] = {}
    pending = sorted(references(root))
    while pending:
        name = pending.pop()
        if name not in reached:
            reached[name] = sources.definitions[name]
            pending.extend(references(reached[name]))
    definitions = {name: localise(schema) for name, schema in reached.items()}
    return {**localise(root), "definitions": definitions}


def _inlined(bundle: Schema) -> Schema:
    """Put each definition that is referred to once where that is, and what is shared where it is meant.

    Helm compiles the schema each time it is called, and references and patterns cost it more than anything else there.
    """
    definitions = bundle["definitions"]
    used = Counter(each["$ref"] for _, each in walk(bundle) if type(each.get("$ref")) is str)
    once = {f"{LOCAL}{name}": schema for name, schema in definitions.items() if used[f"{LOCAL}{name}"] == 1}
    kept = {name: schema for name, schema in definitions.items() if f"{LOCAL}{name}" not in once}
    inlined: Schema = _filled_in({**bundle, "definitions": kept}, once)
    return {**inlined, "definitions": {**inlined["definitions"], **_SHARED}}


def _filled_in(schema: Any, targets: Mapping[str, Schema]) -> Any:
    """Replace each reference to one of `targets` by it, and what is shared by a reference to it.

    What stands beside a reference goes before what it says.
    """
    if type(schema) is list:
        return [_filled_in(each, targets) for each in schema]
    if type(schema) is not dict:
        return schema
    shared = _shared(schema)
    if shared is not None:
        return shared
    filled = {key: _filled_in(value, targets) for key, value in schema.items()}
    target = targets.get(schema["$ref"]) if type(schema.get("$ref")) is str else None
    if target is None:
        return filled
    del filled["$ref"]
    return {**_filled_in(target, targets), **filled}


def _shared(schema: Schema) -> Schema | None:
    """Return the reference that says what a schema does, where one of the shared ones does; else None."""
    core = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    names = [name for name, each in _SHARED.items() if each == core]
    annotations = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    return {**annotations, "$ref": f"{LOCAL}{names[0]}"} if names else None


def localise(schema: Any) -> Any:
    """Point references at `#/definitions` and turn integer formats, which draft-07 does not know, into bounds."""
    if type(schema) is list:
        return [localise(each) for each in schema]
    if type(schema) is not dict:
        return schema
    result = {key: localise(value) for key, value in schema.items()}
    if type(schema.get("$ref")) is str:
        result["$ref"] = f"{LOCAL}{reference_name(schema['$ref'])}"
    if type(schema.get("format")) is str and schema["format"] in _RANGES:
        low, high = _RANGES[result.pop("format")]
        result.setdefault("minimum", low)
        result.setdefault("maximum", high)
    return result
