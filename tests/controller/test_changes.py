import copy
from collections.abc import Callable
from typing import Any

import pytest

from controller.cluster import SYSTEM, Tenant, case, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("controller")]
Tenants = Callable[[str], Tenant]
Document = dict[str, Any]


def page(name: str) -> Document:
    found = case("dpd-page")
    found["metadata"]["name"] = name
    return found


def colocated(document: Document) -> Document:
    found = copy.deepcopy(document)
    del found["spec"]["pdSpec"]
    return found


def installed(tenant: Tenant, document: Document) -> str:
    tenant.apply(document)
    name: str = document["metadata"]["name"]
    tenant.until_installed(name)
    return name


def deployments(tenant: Tenant, name: str) -> set[str]:
    return {each.split("/")[-1] for each in tenant.belongings(name) if each.startswith("Deployment/")}


def test_an_endpoint_changes_its_shape_there_and_back(tenant_of: Tenants) -> None:
    tenant = tenant_of("shapes")
    document = page("shape")
    name = installed(tenant, document)
    router = "shape-shapes-router"
    assert deployments(tenant, name) == {"prefill-shape", "decode-shape", router}
    installed(tenant, colocated(document))
    assert deployments(tenant, name) == {"shape", router}
    tenant.make_ready(name)
    tenant.make_ready(router, SYSTEM)
    assert tenant.until_state(name, "DeploymentComplete")["conditions"][0]["message"] == "Deployment shape is ready"
    installed(tenant, document)
    assert deployments(tenant, name) == {"prefill-shape", "decode-shape", router}


def test_what_somebody_deletes_or_changes_is_put_right(tenant_of: Tenants) -> None:
    tenant = tenant_of("drifting")
    name = installed(tenant, page("drift"))
    routing = f"/api/v1/namespaces/{SYSTEM}/services/drift-drifting-routing-service"
    settings = "/api/v1/namespaces/drifting/configmaps/decode-drift-lmcache"
    policy = "/apis/networking.k8s.io/v1/namespaces/drifting/networkpolicies/prefill-drift"
    right = (tenant.kube.get(settings) or {})["data"]
    tenant.kube.delete(routing)
    until(lambda: tenant.kube.get(routing), tenant.plane.kubeconfig.exists)
    tenant.kube.merge(settings, {"data": {"lmcache.yaml": "chunk_size: 1\n"}})
    until(lambda: (tenant.kube.get(settings) or {})["data"] == right, lambda: tenant.kube.get(settings))
    tenant.kube.delete(policy)
    until(lambda: tenant.kube.get(policy), lambda: tenant.events(name))
    tenant.plane.must("scale", "deployment/decode-drift", "--namespace=drifting", "--replicas=4")
    until(lambda: tenant.deployment("decode-drift")["spec"]["replicas"] == 1, lambda: tenant.deployment("decode-drift"))
    # A repair that is under way may find the next thing to be put right, and tells of both at once.
    until(lambda: 1 <= tenant.events(name).count(("Warning", "Repaired")) <= 4, lambda: tenant.events(name))
    tenant.until_installed(name)


def test_two_endpoints_of_one_name_are_two(tenant_of: Tenants) -> None:
    first, second = tenant_of("east"), tenant_of("west")
    installed(first, page("twin"))
    installed(second, page("twin"))
    mine, other = first.belongings("twin"), second.belongings("twin")
    assert mine
    assert not mine & other
    first.plane.must("delete", "inferenceendpointconfig", "twin", "--namespace=east", "--timeout=60s")
    assert first.belongings("twin") == set()
    assert second.belongings("twin") == other


def test_the_number_of_pods_is_the_autoscalers_once_it_is_asked_for(tenant_of: Tenants) -> None:
    tenant = tenant_of("scaled")
    document = case("autoscaled-colocated")
    name = document["metadata"]["name"]
    fixed = copy.deepcopy(document)
    del fixed["spec"]["autoScalingSpec"]
    fixed["spec"]["replicas"] = 3
    installed(tenant, fixed)
    assert tenant.deployment(name)["spec"]["replicas"] == 3
    document["spec"]["replicas"] = 3
    installed(tenant, document)
    assert any(each.startswith("ScaledObject/") for each in tenant.belongings(name))
    assert tenant.deployment(name)["spec"]["replicas"] == 3
    tenant.plane.must("scale", f"deployment/{name}", "--namespace=scaled", "--replicas=5")
    document["spec"]["worker"]["environmentVariables"] = [{"name": "MARK", "value": "1"}]
    installed(tenant, document)
    assert tenant.deployment(name)["spec"]["replicas"] == 5
    assert ("Warning", "Repaired") not in tenant.events(name)


def test_an_endpoint_is_scaled_through_its_own_subresource(tenant_of: Tenants) -> None:
    tenant = tenant_of("sized")
    name = installed(tenant, case("colocated"))
    tenant.plane.must("scale", f"inferenceendpointconfig/{name}", "--namespace=sized", "--replicas=2")
    tenant.until_installed(name)
    assert tenant.deployment(name)["spec"]["replicas"] == 2
    tenant.make_ready(name)
    assert tenant.until_state(name, "DeploymentComplete")["replicas"] == 2


def test_an_endpoint_that_takes_too_long_has_failed_until_it_is_ready(tenant_of: Tenants) -> None:
    tenant = tenant_of("slow")
    document = case("colocated")
    document["spec"] |= {"maxDeployTimeInSeconds": 1, "replicas": 1}
    name = document["metadata"]["name"]
    tenant.apply(document)
    seen = tenant.until_state(name, "DeploymentFailed")
    assert seen["conditions"][0]["reason"] == "DeployTimeExceeded"
    assert seen["conditions"][0]["message"] == (
        "not ready after maxDeployTimeInSeconds (1): waiting for worker (0 of 1 pod ready)"
    )
    tenant.make_ready(name)
    tenant.until_state(name, "DeploymentComplete")
    tenant.make_ready(name, pods=0)
    seen = tenant.until(name, lambda it: it["conditions"][0]["status"] == "False")
    assert seen["state"] == "DeploymentComplete"
    reasons = [reason for _, reason in tenant.events(name)]
    assert reasons[:3] == ["DeploymentInProgress", "DeploymentFailed", "DeploymentComplete"]
