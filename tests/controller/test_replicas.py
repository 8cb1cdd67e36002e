from collections.abc import Callable
from pathlib import Path

import pytest

from controller.begun import holder, page, revisions
from controller.cluster import SYSTEM, Tenant, until
from controller.process import running

pytestmark = pytest.mark.slow
Tenants = Callable[[str], Tenant]


def test_an_endpoint_that_was_deleted_while_no_controller_ran_is_removed_by_the_next_one(
    installed: Path, tenant_of: Tenants, tmp_path: Path
) -> None:
    tenant = tenant_of("alone")
    with running(installed, tmp_path, "first") as controller:
        tenant.apply(page("left"))
        tenant.until_installed("left")
        assert controller.stop() == 0
    assert holder(tenant) == "", "a controller that is told to end gives the lease back"
    tenant.plane.must("delete", "inferenceendpointconfig", "left", "--namespace=alone", "--wait=false")
    assert tenant.endpoint("left"), "it waits for a controller"
    with running(installed, tmp_path, "second"):
        until(lambda: tenant.endpoint("left") is None, lambda: tenant.endpoint("left"))
    assert tenant.belongings("left") == set()


def test_a_restarted_controller_finds_nothing_to_do_and_what_changed_meanwhile(
    installed: Path, tenant_of: Tenants, tmp_path: Path
) -> None:
    tenant = tenant_of("meanwhile")
    with running(installed, tmp_path, "first") as controller:
        tenant.apply(page("same"))
        tenant.apply(page("robbed"))
        tenant.until_installed("same")
        tenant.until_installed("robbed")
        assert controller.stop() == 0
    routing = f"/api/v1/namespaces/{SYSTEM}/services/robbed-meanwhile-routing-service"
    tenant.kube.delete(routing)
    with running(installed, tmp_path, "second"):
        until(lambda: tenant.kube.get(routing), lambda: tenant.events("robbed"))
        tenant.make_page_ready("same")
        tenant.until_state("same", "DeploymentComplete")
    assert [each.number for each in revisions(tenant, "same")] == [1]
