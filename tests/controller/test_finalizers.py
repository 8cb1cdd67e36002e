"""The controller's finalizer, on an endpoint that somebody else writes to at the same time."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from controller.cluster import SYSTEM, Tenant, case
from dpd_operator.cluster import KubeCluster
from dpd_operator.core.objects import FINALIZER
from dpd_operator.kube import ApiServer
from dpd_operator.seams import ApiError

pytestmark = pytest.mark.slow


class Overtaken:
    """An API server at which somebody else writes between each of our first looks at an object and what follows it."""

    def __init__(self, kube: ApiServer, times: int) -> None:
        self._kube = kube
        self._times = times

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        found = self._kube.get(path, query)
        if self._times:
            self._kube.merge(path, {"metadata": {"annotations": {"example.com/turn": str(self._times)}}})
            self._times -= 1
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)


def finalizers(tenant: Tenant) -> list[str]:
    found: list[str] = (tenant.endpoint("dpd-test") or {})["metadata"].get("finalizers", [])
    return found


def test_an_endpoint_that_is_edited_meanwhile_is_held_and_let_go_all_the_same(
    tenant_of: Callable[[str], Tenant],
) -> None:
    tenant = tenant_of("overtaken")
    body = tenant.apply(case("dpd-page"))
    KubeCluster(Overtaken(tenant.kube, times=3), SYSTEM, "tests").hold(body)
    assert finalizers(tenant) == [FINALIZER]
    with pytest.raises(ApiError, match="the object has been modified"):
        KubeCluster(Overtaken(tenant.kube, times=9), SYSTEM, "tests").let_go(body)
    KubeCluster(Overtaken(tenant.kube, times=1), SYSTEM, "tests").let_go(body)
    assert finalizers(tenant) == []
    tenant.plane.must("delete", "inferenceendpointconfig", "dpd-test", "--namespace=overtaken", "--timeout=60s")
