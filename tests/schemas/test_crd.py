"""The CustomResourceDefinition: structural, whole, small enough for the API server, with columns people can read."""

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from schemagen.crd import structural
from schemagen.sources import Sources, walk
from support.paths import ROOT

FILE = ROOT / "charts/dpd-operator/crds/inferenceendpointconfigs.yaml"
FORBIDDEN = {
    "$ref",
    "definitions",
    "$defs",
    "const",
    "patternProperties",
    "dependencies",
    "x-operator-version",
    "$schema",
}


@pytest.fixture(scope="session")
def version(crd: Any) -> Any:
    (only,) = crd["spec"]["versions"]
    return only


@pytest.fixture(scope="session")
def root(version: Any) -> Any:
    return version["schema"]["openAPIV3Schema"]


def nodes(schema: Any, path: str = "$") -> list[tuple[str, Any]]:
    """Return every schema of a structural schema with its path."""
    found = [(path, schema)]
    for name, each in schema.get("properties", {}).items():
        found += nodes(each, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            found += nodes(schema[key], f"{path}.{key}")
    return found


def test_it_defines_the_kind_the_manifests_name(crd: Any, version: Any) -> None:
    assert crd["apiVersion"] == "apiextensions.k8s.io/v1"
    assert crd["metadata"]["name"] == "inferenceendpointconfigs.inference.sagemaker.aws.amazon.com"
    assert crd["spec"]["group"] == "inference.sagemaker.aws.amazon.com"
    assert crd["spec"]["scope"] == "Namespaced"
    assert crd["spec"]["names"] == {
        "kind": "InferenceEndpointConfig",
        "listKind": "InferenceEndpointConfigList",
        "plural": "inferenceendpointconfigs",
        "singular": "inferenceendpointconfig",
    }
    assert (version["name"], version["served"], version["storage"]) == ("v1", True, True)


def test_it_has_the_status_and_scale_subresources(version: Any) -> None:
    assert version["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


def test_a_listing_shows_state_readiness_roles_and_age(version: Any) -> None:
    columns = [(each["name"], each["type"], each["jsonPath"]) for each in version["additionalPrinterColumns"]]
    assert columns == [
        ("State", "string", ".status.state"),
        ("Ready", "string", ".status.conditions[0].status"),
        ("Roles", "string", ".status.conditions[0].message"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ]


def test_it_is_structural(root: Any) -> None:
    every = nodes(root)
    assert len(every) > 1000
    for path, schema in every:
        either = "x-kubernetes-int-or-string" in schema
        assert ("type" in schema) != either, path
        assert type(schema.get("type", "")) is str, path
        assert FORBIDDEN.isdisjoint(schema), path
        assert type(schema.get("additionalProperties", {})) is dict, path
        assert not {"properties", "additionalProperties"} <= set(schema), path
        assert "anyOf" not in schema or schema["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
        assert ("items" in schema) == (schema.get("type") == "array"), path


def test_it_never_prunes_what_the_contract_takes(root: Any) -> None:
    """Objects without properties would lose all their keys."""
    for path, schema in nodes(root):
        if schema.get("type") == "object" and path != "$.metadata":
            kept = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"} & set(schema)
            assert kept, path


def test_keys_of_map_lists_are_required(root: Any) -> None:
    maps = [(path, each) for path, each in nodes(root) if each.get("x-kubernetes-list-type") == "map"]
    assert len(maps) > 4
    for path, each in maps:
        assert set(each["x-kubernetes-list-map-keys"]) <= set(each["items"]["required"]), path


def test_every_default_is_valid_where_it_stands(root: Any) -> None:
    defaults = [(path, each) for path, each in nodes(root) if "default" in each]
    assert len(defaults) > 80
    for path, each in defaults:
        assert list(Draft7Validator(each).iter_errors(each["default"])) == [], path


def test_it_holds_the_spec_and_status_of_the_contract(root: Any, contract: Any) -> None:
    spec, status = root["properties"]["spec"], root["properties"]["status"]
    assert set(spec["properties"]) == set(contract["definitions"]["Spec"]["properties"])
    assert spec["required"] == contract["definitions"]["Spec"]["required"]
    assert set(status["properties"]) == set(contract["definitions"]["Status"]["properties"])
    assert root["required"] == ["spec"]


def test_it_has_no_rules_over_several_fields(root: Any) -> None:
    assert [path for path, each in walk(root) if "x-kubernetes-validations" in each] == []


def test_it_fits_the_api_server_and_the_annotation_of_client_side_apply(crd: Any) -> None:
    assert FILE.stat().st_size < 256 * 1024
    assert len(json.dumps(crd, separators=(",", ":"))) < 256 * 1024


def test_its_yaml_has_neither_aliases_nor_tabs() -> None:
    text = FILE.read_text(encoding="utf-8")
    kinds = {type(event) for event in yaml.parse(text, Loader=yaml.SafeLoader)}
    assert yaml.AliasEvent not in kinds
    assert "\t" not in text
    assert text.endswith("\n")


def test_a_quantity_becomes_an_int_or_string_with_its_pattern(sources: Sources) -> None:
    limits = structural(sources, sources.definitions["ResourceRequirements"])["properties"]["limits"]
    quantity = limits["additionalProperties"]
    assert quantity["x-kubernetes-int-or-string"] is True
    assert quantity["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert "KMGTPE" in quantity["pattern"]
    assert "type" not in quantity


def test_what_stands_beside_a_reference_wins_over_what_it_refers_to(sources: Sources) -> None:
    field = structural(sources, {"$ref": "#/$defs/ResourceRequirements", "description": "Mine."})
    assert field["description"] == "Mine."
    assert set(field["properties"]) == {"claims", "limits", "requests"}


def test_the_chart_says_what_it_installs() -> None:
    chart = yaml.safe_load((ROOT / "charts/dpd-operator/Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["apiVersion"], chart["type"], chart["version"]) == ("v2", "application", "0.1.0")
    assert "CustomResourceDefinition of InferenceEndpointConfig and the controller" in chart["description"]
