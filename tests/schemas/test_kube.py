"""Kubernetes' own types: closed, complete, with the quantities that the package types as strings."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from schemagen.kube import kube_definition, kube_definitions
from schemagen.kubeconform import KINDS, kube_schema, kubeconform_files
from schemagen.sources import walk
from support.paths import ROOT, TOOLS

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "a"},
    "spec": {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {
                "containers": [{"name": "a", "image": "a:1", "resources": {"limits": {"cpu": 8, "memory": "1Gi"}}}]
            },
        },
    },
}


def problems(schema: Any, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(document)]


def test_names_are_those_of_the_json_and_not_of_python() -> None:
    env = kube_definition("io.k8s.EnvVar")
    assert sorted(env["properties"]) == ["name", "value", "valueFrom"]
    assert env["required"] == ["name"]
    assert env["additionalProperties"] is False
    assert "exec" in kube_definition("io.k8s.Probe")["properties"]
    assert "readOnly" in kube_definition("io.k8s.VolumeMount")["properties"]


def test_a_port_is_a_number_or_a_name() -> None:
    assert kube_definition("io.k8s.HTTPGetAction")["properties"]["port"]["type"] == ["integer", "string"]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("ResourceRequirements", "limits"),
        ("VolumeResourceRequirements", "requests"),
        ("PersistentVolumeSpec", "capacity"),
        ("PodSpec", "overhead"),
    ],
)
def test_maps_of_quantities_are_known(name: str, field: str) -> None:
    quantity = kube_definition(f"io.k8s.{name}")["properties"][field]["additionalProperties"]
    assert "pattern" in quantity


@pytest.mark.parametrize(
    ("name", "field"), [("EmptyDirVolumeSource", "sizeLimit"), ("ResourceFieldSelector", "divisor")]
)
def test_single_quantities_are_known(name: str, field: str) -> None:
    assert "pattern" in kube_definition(f"io.k8s.{name}")["properties"][field]


@pytest.mark.parametrize("text", ["8", "0.5", ".5", "500m", "1024Gi", "1e9", "1E3", "-1", "+2k", "1.5Gi"])
def test_quantities_that_kubernetes_parses_match(text: str) -> None:
    assert re.search(kube_definition("io.k8s.EmptyDirVolumeSource")["properties"]["sizeLimit"]["pattern"], text)


@pytest.mark.parametrize("text", ["", "Gi", "8 Gi", "8GB", "1gi", "8g", "one", "1e", "--1"])
def test_texts_that_are_no_quantities_do_not_match(text: str) -> None:
    assert not re.search(kube_definition("io.k8s.EmptyDirVolumeSource")["properties"]["sizeLimit"]["pattern"], text)


def test_definitions_hold_all_they_refer_to() -> None:
    found = kube_definitions("io.k8s.Pod")
    targets = {
        each["$ref"].removeprefix("#/$defs/")
        for schema in found.values()
        for _, each in walk(schema)
        if type(each.get("$ref")) is str
    }
    assert targets <= set(found)
    assert {"io.k8s.PodSpec", "io.k8s.Container", "io.k8s.ObjectMeta"} <= targets


def test_an_unknown_type_is_an_error_that_names_it() -> None:
    with pytest.raises(LookupError, match="the kubernetes package has no type EnvVra"):
        kube_definition("io.k8s.EnvVra")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_valid_standalone_schema_that_is_closed(kind: str) -> None:
    schema = kube_schema(kind)
    Draft7Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert all(
        each["$ref"].removeprefix("#/definitions/") in schema["definitions"]
        for _, each in walk(schema)
        if type(each.get("$ref")) is str
    )
    assert problems(schema, {"apiVersion": "v0", "kind": kind, "metadata": {}})[0].startswith("$.apiVersion")


def test_a_deployment_is_accepted_and_its_misspelt_keys_are_not() -> None:
    assert problems(kube_schema("Deployment"), DEPLOYMENT) == []
    text = json.dumps(DEPLOYMENT).replace('"image"', '"imag"').replace('"8"', "8").replace("1Gi", "1G i")
    found = problems(kube_schema("Deployment"), json.loads(text))
    assert len(found) == 2
    assert "'imag' was unexpected" in found[0]
    assert "'1G i' does not match" in found[1]


def test_files_are_named_as_kubeconform_looks_for_them() -> None:
    names = set(kubeconform_files())
    assert {"deployment-apps-v1.json", "service-v1.json", "networkpolicy-networking-v1.json"} <= names
    assert {"role-rbac-v1.json", "poddisruptionbudget-policy-v1.json", "ingress-networking-v1.json"} <= names


@pytest.mark.slow
def test_kubeconform_reads_them_without_a_network(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    for name, content in kubeconform_files().items():
        (schemas / name).write_text(content, encoding="utf-8")
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(yaml.safe_dump(DEPLOYMENT), encoding="utf-8")
    bad.write_text(yaml.safe_dump({**DEPLOYMENT, "sepc": {}}), encoding="utf-8")
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    command = [str(TOOLS / "kubeconform"), "-strict", "-schema-location", location]
    crds = ROOT / "charts/dpd-operator/crds/inferenceendpointconfigs.yaml"
    assert subprocess.run([*command, str(good), str(crds)], check=False).returncode == 0
    refused = subprocess.run([*command, str(bad)], check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "'sepc' not allowed" in refused.stdout
