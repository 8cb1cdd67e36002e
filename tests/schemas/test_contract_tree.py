"""The contract beside the tree of what HyperPod's API server takes: nothing dropped, added or constrained otherwise."""

import json
from collections.abc import Iterator
from typing import Any

from schemagen.kube import kube_definition
from schemagen.sources import Schema, Sources

CONSTRAINTS = [
    *("type", "format", "default", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
]
# What is younger than the tree, with the operator's version that brought it.
LATER = {
    "spec.kubernetes.podTemplateAnnotations": "3.6",
    "spec.lmcache": "3.7",
    "spec.loadBalancer.idleTimeoutSeconds": "3.3",
    "spec.metricsCollectorResources": "3.4",
    "spec.metricsSidecarResources": "3.4",
    "spec.modelCacheConfig": "3.3",
    "spec.s3UploaderResources": "3.4",
    "spec.tolerations": "3.7",
}


def lookup(sources: Sources, path: str) -> tuple[Schema, bool]:
    """Return the schema at `path` with its references followed, and whether the field is required."""
    schema, required = sources.document, True
    for step in path.split("."):
        schema = sources.resolve(schema)
        name = step.rstrip("[]{}")
        required = name in schema.get("required", [])
        field = schema["properties"][name]
        schema = {**sources.resolve(field), **{key: field[key] for key in field if key in CONSTRAINTS}}
        if step.endswith("[]"):
            schema, required = sources.resolve(schema["items"]), False
        if step.endswith("{}"):
            schema, required = sources.resolve(schema["additionalProperties"]), False
    return schema, required


def described(sources: Sources, path: str, expected: dict[str, Any]) -> dict[str, Any]:
    """Return what the contract says about `path`, in the words of the tree."""
    schema, required = lookup(sources, path)
    found = {"required": True} if required else {}
    if "kubernetes" in expected:
        name = expected["kubernetes"]
        return {**found, "kubernetes": name if schema == kube_definition(f"io.k8s.{name}") else "another type"}
    return {**found, **{key: schema[key] for key in CONSTRAINTS if key in schema}}


def fields(tree: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for parent, members in tree.items():
        for name, expected in members.items():
            yield f"{parent}.{name}", expected


def test_the_tree_is_read_whole(contract_tree: Any) -> None:
    assert len(contract_tree) == 91
    assert sum(1 for _ in fields(contract_tree)) == 521


def test_every_field_of_the_tree_is_in_the_contract_with_exactly_its_constraints(
    sources: Sources, contract_tree: Any
) -> None:
    differences = []
    for path, expected in fields(contract_tree):
        found = described(sources, path, expected)
        if json.dumps(found, sort_keys=True) != json.dumps(expected, sort_keys=True):
            differences.append(f"{path}: expected {expected}, found {found}")
    assert differences == []


def test_every_field_of_the_contract_is_in_the_tree_or_names_the_version_that_brought_it(
    sources: Sources, contract_tree: Any
) -> None:
    unexplained, later = [], {}
    for parent, members in contract_tree.items():
        schema, _ = lookup(sources, parent)
        for name, field in schema["properties"].items():
            if name in members:
                continue
            later[f"{parent}.{name}"] = field.get("x-operator-version")
            if "x-operator-version" not in field:
                unexplained.append(f"{parent}.{name}")
    assert unexplained == []
    assert later == LATER


def test_pd_spec_names_the_operator_that_brought_it(sources: Sources) -> None:
    assert sources.definitions["Spec"]["properties"]["pdSpec"]["x-operator-version"] == "3.2"


def test_later_fields_have_their_published_shapes(sources: Sources) -> None:
    timeout, _ = lookup(sources, "spec.loadBalancer.idleTimeoutSeconds")
    assert (timeout["minimum"], timeout["maximum"], timeout["default"]) == (1, 4000, 60)
    mode, _ = lookup(sources, "spec.lmcache.mode")
    assert mode["enum"] == ["InProcess", "MultiProcess"]
    toleration, _ = lookup(sources, "spec.tolerations[]")
    assert toleration == kube_definition("io.k8s.Toleration")
    annotation, _ = lookup(sources, "spec.kubernetes.podTemplateAnnotations{}")
    assert annotation["type"] == "string"
