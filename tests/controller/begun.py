"""A controller that is ended in the middle of its work, and what Helm has on record of it."""

from typing import Any

from controller.cluster import SYSTEM, Tenant, case, until
from controller.process import NAME, Controller
from dpd_operator.cluster import KubeCluster
from dpd_operator.core.release import Revision

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/{NAME}"


def page(name: str) -> dict[str, Any]:
    found = case("dpd-page")
    found["metadata"]["name"] = name
    return found


def holder(tenant: Tenant) -> str:
    return str(((tenant.kube.get(LEASE) or {}).get("spec") or {}).get("holderIdentity", ""))


def revisions(tenant: Tenant, name: str) -> tuple[Revision, ...]:
    return KubeCluster(tenant.kube, SYSTEM, "tests").revisions(f"{name}.{tenant.namespace}")


def kill_in_the_middle(tenant: Tenant, controller: Controller, name: str, count: int) -> None:
    """End the controller and its helm as soon as revision `count` of a release is begun and not yet ended."""
    until(lambda: len(revisions(tenant, name)) >= count, lambda: controller.log)
    controller.kill()
