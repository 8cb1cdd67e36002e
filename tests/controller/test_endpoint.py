import copy
from collections.abc import Callable
from typing import Any

import pytest

from controller.cluster import SYSTEM, Tenant, case, condition
from controller.process import Controller
from dpd_operator.core.objects import FINALIZER

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("controller")]
Tenants = Callable[[str], Tenant]


def named(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = copy.deepcopy(document)
    found["metadata"]["name"] = name
    return found


def test_the_pages_manifest_becomes_a_ready_endpoint_that_says_so_and_leaves_nothing_behind(tenant_of: Tenants) -> None:
    tenant = tenant_of("default")
    tenant.apply(case("dpd-page"))
    seen = tenant.until_installed("dpd-test")
    assert seen["state"] == "DeploymentInProgress"
    assert seen["deploymentStatus"]["deploymentObjectOverallState"] == "DeploymentInProgress"
    assert seen["conditions"][0]["message"] == (
        "waiting for prefill (0 of 1 pod ready), decode (0 of 1 pod ready), router (0 of 1 pod ready)"
    )
    tenant.make_ready("prefill-dpd-test")
    tenant.make_ready("decode-dpd-test")
    seen = tenant.until("dpd-test", lambda it: condition(it, "DecodeReady").get("status") == "True")
    assert seen["conditions"][0]["message"] == "waiting for router (0 of 1 pod ready)"
    tenant.make_ready("dpd-test-default-router", SYSTEM)
    seen = tenant.until_state("dpd-test", "DeploymentComplete")
    assert seen["conditions"][0]["message"] == "DPD prefill and decode deployments are ready"
    assert (seen["replicas"], seen["selector"]) == (2, "app=dpd-test,deploying-service=hyperpod-inference")
    assert seen["metricsStatus"] == {
        "enabled": True,
        "state": "Enabled",
        "metricsScrapeIntervalSeconds": 15,
        "modelMetrics": {"path": "/metrics", "port": 8000},
    }
    listed = tenant.plane.must("get", "inferenceendpointconfig", "dpd-test").splitlines()
    assert listed[0].split() == ["NAME", "STATE", "READY", "ROLES", "AGE"]
    assert "DeploymentComplete   True    DPD prefill and decode deployments are ready" in listed[1]
    assert (tenant.endpoint("dpd-test") or {})["metadata"]["finalizers"] == [FINALIZER]
    assert tenant.events("dpd-test") == [("Normal", "DeploymentInProgress"), ("Normal", "DeploymentComplete")]
    assert any(SYSTEM in each for each in tenant.belongings("dpd-test"))
    tenant.plane.must("delete", "inferenceendpointconfig", "dpd-test", "--timeout=60s")
    assert tenant.belongings("dpd-test") == set()


def test_a_bad_manifest_is_refused_with_all_its_problems_and_starts_nothing(tenant_of: Tenants) -> None:
    tenant = tenant_of("bad")
    document = named(case("dpd-page"), "wrong")
    document["spec"]["worker"]["args"] += ["--kv-transfer-config", "{}"]
    del document["spec"]["pdSpec"]["prefillSpec"]["resources"]
    tenant.apply(document)
    seen = tenant.until_state("wrong", "DeploymentFailed")
    assert "spec.pdSpec.prefillSpec" in seen["conditions"][0]["message"]
    assert seen["conditions"][0]["reason"] == "InvalidManifest"
    assert seen["deploymentStatus"]["deploymentObjectOverallState"] == "DeploymentFailed"
    assert tenant.belongings("wrong") == set()
    assert tenant.events("wrong") == [("Warning", "DeploymentFailed")]


def test_a_running_endpoint_that_gets_a_bad_manifest_keeps_running_as_it_was(
    tenant_of: Tenants, controller: Controller
) -> None:
    tenant = tenant_of("edited")
    good = named(case("dpd-page"), "kept")
    tenant.apply(good)
    tenant.until_installed("kept")
    tenant.make_page_ready("kept")
    tenant.until_state("kept", "DeploymentComplete")
    before = tenant.deployment("prefill-kept")["metadata"]["generation"]
    bad = copy.deepcopy(good)
    bad["spec"]["pdSpec"]["prefillSpec"]["resources"] = {"limits": {"cpu": "1"}}
    tenant.apply(bad)
    seen = tenant.until_state("kept", "DeploymentFailed")
    assert "nvidia.com/gpu" in seen["conditions"][0]["message"]
    assert condition(seen, "PrefillReady")["status"] == "True"
    assert tenant.deployment("prefill-kept")["metadata"]["generation"] == before
    tenant.apply(good)
    assert tenant.until_state("kept", "DeploymentComplete")["conditions"][0]["status"] == "True"
    assert tenant.deployment("prefill-kept")["metadata"]["generation"] == before
    assert "a fault of ours" not in controller.log
