"""The default triggers read what the engines really show, by the labels that the collectors really write."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chart.helm import Manifest, manifests, named, of_kind, pod_spec, role_of, template
from dpd_sim.metrics.names import LMCACHE, VLLM
from support.paths import CHART

VALUES = CHART / "ci/shapes/dpd-values.yaml"
SERVER = "autoscaling.prometheus.serverAddress=http://prometheus:9090"
ROLES = "pdSpec.autoScalingSpec"
SHAPES = {
    "disaggregated": f"{ROLES}.prefillAutoScaling.maxReplicaCount=3,{ROLES}.decodingAutoScaling.maxReplicaCount=2",
    "colocated": "pdSpec=null,autoScalingSpec.maxReplicaCount=3",
}
SHAPED = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def rendered(shape: str) -> list[Manifest]:
    return manifests(template("helm", VALUES, "--set", f"{SERVER},{shape}"))


def scaled(documents: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Yield each ScaledObject with the Deployment it scales."""
    for each in of_kind(documents, "ScaledObject"):
        target = named(documents, "Deployment", each["spec"]["scaleTargetRef"]["name"])
        assert target["metadata"]["namespace"] == each["metadata"]["namespace"]
        yield each, target


def matchers(query: str) -> dict[str, str]:
    """Return the label matchers of a query's one selector."""
    (selector,) = re.findall(r"\{([^}]*)\}", query)
    return dict(re.findall(r'([a-z_]+)="([^"]*)"', selector))


def shown_labels(documents: list[Manifest], deployment: Manifest) -> dict[str, str]:
    """Return the labels of the engine's metrics, as the collector of that Deployment's pods writes them."""
    (collector,) = [each for each in pod_spec(deployment)["containers"] if each["name"] == "otel-collector"]
    env = {each["name"]: each.get("value", "of the pod") for each in collector["env"]}
    (volume,) = [each for each in pod_spec(deployment)["volumes"] if each["name"] == "collector-config"]
    config: Any = yaml.safe_load(named(documents, "ConfigMap", volume["configMap"]["name"])["data"]["config.yaml"])
    jobs = config["receivers"]["prometheus"]["config"]["scrape_configs"]
    (labels,) = [each["static_configs"][0]["labels"] for each in jobs if each["job_name"] == "model"]
    return {name: re.sub(r"\$\{env:(\w+)\}", lambda found: env[found[1]], value) for name, value in labels.items()}


@SHAPED
def test_a_default_trigger_finds_its_own_role_and_no_other(shape: str) -> None:
    documents = rendered(shape)
    pairs = list(scaled(documents))
    assert pairs
    everyone = [each for each in of_kind(documents, "Deployment") if role_of(each) != "router"]
    for scaled_object, target in pairs:
        for trigger in scaled_object["spec"]["triggers"]:
            asked = matchers(trigger["metadata"]["query"]).items()
            found = [each for each in everyone if asked <= shown_labels(documents, each).items()]
            assert found == [target]


@SHAPED
def test_a_default_trigger_asks_for_gauges_that_the_engines_show(shape: str) -> None:
    gauges = {each.name for each in (*VLLM, *LMCACHE) if each.kind == "gauge"}
    for scaled_object, _ in scaled(rendered(shape)):
        for trigger in scaled_object["spec"]["triggers"]:
            asked = re.findall(r"\b(?:vllm|lmcache):\w+", trigger["metadata"]["query"])
            assert len(asked) == 1
            assert set(asked) <= gauges


@SHAPED
def test_what_scales_writes_no_replicas_and_what_does_not_writes_them(shape: str) -> None:
    documents = rendered(shape)
    targets = {target["metadata"]["name"] for _, target in scaled(documents)}
    for deployment in of_kind(documents, "Deployment"):
        assert ("replicas" in deployment["spec"]) is (deployment["metadata"]["name"] not in targets)
