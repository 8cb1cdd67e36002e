"""The CustomResourceDefinition: the contract as a structural schema, which knows neither references nor closed objects.

The API server prunes what a structural schema does not name, so every object stays as closed as the contract has it.
"""

from typing import Any

from schemagen.sources import Schema, Sources

GROUP = "inference.sagemaker.aws.amazon.com"
VERSION = "v1"
KIND = "InferenceEndpointConfig"
PLURAL = "inferenceendpointconfigs"

_COLUMNS = [
    ("State", "string", ".status.state"),
    ("Ready", "string", ".status.conditions[0].status"),
    ("Roles", "string", ".status.conditions[0].message"),
    ("Age", "date", ".metadata.creationTimestamp"),
]
_ONLY_IN_JSON_SCHEMA = frozenset({"$ref", "x-operator-version"})


def custom_resource_definition(sources: Sources) -> dict[str, Any]:
    """Return the CustomResourceDefinition of InferenceEndpointConfig."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL, "singular": KIND.lower()},
            "scope": "Namespaced",
            "versions": [_version(sources)],
        },
    }


def structural(sources: Sources, schema: Schema) -> Schema:
    """Return `schema` with its references replaced by what they name, in the vocabulary of a structural schema."""
    whole = {**sources.resolve(schema), **{key: value for key, value in schema.items() if key != "$ref"}}
    result = {key: value for key, value in whole.items() if key not in _ONLY_IN_JSON_SCHEMA}
    if result.get("additionalProperties") is False:
        del result["additionalProperties"]
    if "x-kubernetes-int-or-string" in result:
        del result["type"]
        result["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    for key in ("items", "additionalProperties"):
        if key in result:
            result[key] = structural(sources, result[key])
    if "properties" in result:
        result["properties"] = {name: structural(sources, each) for name, each in result["properties"].items()}
    return result


def _version(sources: Sources) -> dict[str, Any]:
    document = sources.document
    root = {
        "type": "object",
        "description": document["description"],
        "required": ["spec"],
        "properties": {
            # What the API server itself checks may only be typed here.
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(sources, document["properties"]["spec"]),
            "status": structural(sources, document["properties"]["status"]),
        },
    }
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root},
        "subresources": {
            "scale": {
                "labelSelectorPath": ".status.selector",
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
            },
            "status": {},
        },
        "additionalPrinterColumns": [{"name": name, "type": kind, "jsonPath": path} for name, kind, path in _COLUMNS],
    }
