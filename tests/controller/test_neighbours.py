"""Endpoints of two tenants whose names run together in the namespace that all routers share."""

from collections.abc import Callable

import pytest

from controller.cluster import SYSTEM, Tenant, case

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("controller")]


def test_a_router_that_another_tenant_has_already_is_not_taken_over(tenant_of: Callable[[str], Tenant]) -> None:
    first, second = tenant_of("name"), tenant_of("run-name")
    document = case("dpd-page")
    first.apply({**document, "metadata": {"name": "x-run"}})
    first.until_installed("x-run")
    before = first.deployment("x-run-name-router", SYSTEM)
    second.apply({**document, "metadata": {"name": "x"}})
    seen = second.until_state("x", "DeploymentFailed")
    assert '"x-run-name-router" in namespace "hyperpod-inference-system" exists' in seen["conditions"][0]["message"]
    second.plane.must("delete", "inferenceendpointconfig", "x", "--namespace=run-name", "--timeout=60s")
    after = first.deployment("x-run-name-router", SYSTEM)
    assert all(after["metadata"][key] == before["metadata"][key] for key in ("uid", "generation"))
    assert after["spec"] == before["spec"]
