import contextlib
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.begun import LEASE, holder, kill_in_the_middle, page, revisions
from controller.cluster import SYSTEM, Tenant
from controller.process import Controller, running
from dpd_operator.cluster import KubeCluster

pytestmark = pytest.mark.slow
Tenants = Callable[[str], Tenant]
# Nobody waits for the lease of a controller that is known to be dead.
OWN = ("--lease", "second")


def test_an_upgrade_that_was_cut_off_leaves_nothing_that_the_next_manifest_does_not_want(
    installed: Path, tenant_of: Tenants, tmp_path: Path
) -> None:
    tenant = tenant_of("torn")
    document = page("torn")
    colocated = page("torn")
    del colocated["spec"]["pdSpec"]
    with running(installed, tmp_path, "first") as controller:
        tenant.apply(document)
        tenant.until_installed("torn")
        tenant.apply(colocated)
        kill_in_the_middle(tenant, controller, "torn", 2)
    left = revisions(tenant, "torn")[-1]
    tenant.apply(document)
    with running(installed, tmp_path, "second", *OWN):
        tenant.until_installed("torn")
        newest = revisions(tenant, "torn")[-1]
        assert newest.is_deployed
        found = tenant.belongings("torn")
    drawn = {f"{each.kind}/{each.namespace}/{each.name}" for each in newest.refs}
    assert {each for each in found if not each.startswith("Secret/")} == drawn
    assert left.refs - newest.refs, "the cut-off revision had nothing of its own, so this says nothing"


def test_of_two_replicas_one_acts_and_the_other_takes_over(installed: Path, tenant_of: Tenants, tmp_path: Path) -> None:
    tenant = tenant_of("pair")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(running(installed, tmp_path, "first"))
        first.until_it_leads()
        second = stack.enter_context(running(installed, tmp_path, "second"))
        tenant.apply(page("one"))
        tenant.until_installed("one")
        assert leads(first, second) == [1.0, 0.0]
        first.kill()
        tenant.apply(page("two"))
        tenant.until_installed("two")
        assert holder(tenant).startswith("second_")
        assert "pair/one: the chart is being installed" not in second.log


def leads(*replicas: Controller) -> list[float]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    texts = [opener.open(f"http://127.0.0.1:{each.metrics_port}/metrics").read().decode() for each in replicas]
    lines = [line.split() for text in texts for line in text.splitlines()]
    return [float(words[1]) for words in lines if words[0] == "dpd_operator_leader"]


def test_a_replica_whose_lease_somebody_else_takes_ends_at_once(
    installed: Path, tenant_of: Tenants, tmp_path: Path
) -> None:
    tenant = tenant_of("usurped")
    with running(installed, tmp_path, "first") as controller:
        controller.until_it_leads()
        taken = {"spec": {"holderIdentity": "another", "leaseDurationSeconds": 1}}
        tenant.kube.merge(LEASE, taken)
        assert controller.process.wait(60) != 0
        assert "the lease is lost" in controller.log
    # Another one may go on when that has run out.
    with running(installed, tmp_path, "second") as controller:
        controller.until_it_leads()


def test_a_first_installation_that_was_cut_off_is_completed_by_the_next_controller(
    installed: Path, tenant_of: Tenants, tmp_path: Path
) -> None:
    tenant = tenant_of("cut")
    pending: list[str] = []
    for name in (f"cut-{index}" for index in range(5)):
        with running(installed, tmp_path, f"first-{name}", "--lease", name) as controller:
            controller.until_it_leads()
            tenant.apply(page(name))
            kill_in_the_middle(tenant, controller, name, 1)
        pending = [name for each in revisions(tenant, name) if each.is_pending]
        if pending:
            break
    assert pending, "helm was quicker than the kill five times"
    with running(installed, tmp_path, "second", *OWN) as controller:
        controller.until_it_leads()
        tenant.until_installed(pending[0])
        assert "did not come to its end" in controller.log
    assert [each.state for each in revisions(tenant, pending[0])] == ["deployed"]
    wanted = revisions(tenant, pending[0])[0].refs
    assert all(KubeCluster(tenant.kube, SYSTEM, "tests").find(each) for each in wanted)
