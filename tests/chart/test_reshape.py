"""Colocated to disaggregated and back: `helm upgrade` deletes what the new manifests lack and patches the rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import LOADER, Manifest, manifests, shape_name, shapes, template

Key = tuple[str, str, str]

# What was the roles' scaling is the workers' then, and may need a server to ask.
WITHOUT_PD = ("--set", "pdSpec=null,autoscaling.prometheus.serverAddress=http://prometheus:9090")

# What the API server never lets anyone change, so that an object may keep its name only when it keeps these.
IMMUTABLE: dict[str, list[tuple[str, ...]]] = {
    "Deployment": [("spec", "selector")],
    "Service": [("spec", "clusterIP")],
    "PersistentVolume": [("spec", "csi"), ("spec", "persistentVolumeSource")],
    "PersistentVolumeClaim": [("spec", "volumeName"), ("spec", "accessModes"), ("spec", "storageClassName")],
    "Job": [("spec",)],
    "StatefulSet": [("spec", "selector"), ("spec", "serviceName"), ("spec", "volumeClaimTemplates")],
    "RoleBinding": [("roleRef",)],
    "ClusterRoleBinding": [("roleRef",)],
}


def given(values: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(values.read_text(), Loader=LOADER)
    return loaded


DISAGGREGATED = [each for each in shapes() if given(each).get("pdSpec")]
RESHAPED = pytest.mark.parametrize("values", DISAGGREGATED, ids=shape_name)


def keyed(documents: list[Manifest]) -> dict[Key, Manifest]:
    return {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in documents}


def both_shapes(values: Path) -> tuple[dict[Key, Manifest], dict[Key, Manifest]]:
    """The same values file with pdSpec and without."""
    colocated = template("helm", values, *WITHOUT_PD)
    return keyed(manifests(template("helm", values))), keyed(manifests(colocated))


def at(document: Manifest, path: tuple[str, ...]) -> Any:
    held: Any = document
    for step in path:
        held = (held or {}).get(step)
    return held


def roles(documents: dict[Key, Manifest]) -> Iterator[str]:
    for each in documents.values():
        yield each["metadata"]["labels"]["app.kubernetes.io/component"]


def test_there_are_disaggregated_shapes() -> None:
    assert len(DISAGGREGATED) >= 10


@RESHAPED
def test_nothing_outlives_the_shape_it_belongs_to(values: Path) -> None:
    for shape in both_shapes(values):
        for key, document in shape.items():
            annotations = document["metadata"].get("annotations") or {}
            assert "helm.sh/resource-policy" not in annotations, key
            # A hook is no part of the release: an upgrade leaves it behind.
            assert "helm.sh/hook" not in annotations, key


@RESHAPED
def test_an_object_that_both_shapes_have_can_become_the_other(values: Path) -> None:
    disaggregated, colocated = both_shapes(values)
    shared = disaggregated.keys() & colocated.keys()
    assert shared
    for key in shared:
        for path in IMMUTABLE.get(key[0], []):
            assert at(disaggregated[key], path) == at(colocated[key], path), (key, path)


@RESHAPED
def test_each_shape_has_its_own_workers_and_none_of_the_others(values: Path) -> None:
    disaggregated, colocated = both_shapes(values)
    assert {"prefill", "decode", "router"} <= set(roles(disaggregated))
    assert "worker" not in set(roles(disaggregated))
    assert "worker" in set(roles(colocated))
    assert not {"prefill", "decode"} & set(roles(colocated))


@RESHAPED
def test_no_selector_of_one_shape_finds_pods_of_the_other(values: Path) -> None:
    disaggregated, colocated = both_shapes(values)
    for one, other in ((disaggregated, colocated), (colocated, disaggregated)):
        pods = [
            each["spec"]["template"]["metadata"]["labels"]
            for key, each in other.items()
            if key[0] == "Deployment" and key not in one
        ]
        for key, document in one.items():
            for path in (("spec", "selector", "matchLabels"), ("spec", "podSelector", "matchLabels")):
                selector = at(document, path) if type(at(document, path[:-1])) is dict else None
                assert not any(selector and selector.items() <= labels.items() for labels in pods), key
