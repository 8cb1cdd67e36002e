"""The controller's decisions as tables: no cluster, no clock."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.cluster import case, condition
from dpd.contract import Contract
from dpd.package import contract_schema
from dpd_operator.core import drift, lease
from dpd_operator.core.objects import Key, Ref
from dpd_operator.core.planning import Plan, Planner, Refusal, release_name
from dpd_operator.core.pods import facts_of, first_hindrance
from dpd_operator.core.release import revisions
from dpd_operator.core.roles import Role, given_up, roles
from dpd_operator.core.status import Stage, View, deadline, status
from dpd_operator.workqueue import WorkQueue

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEY = Key("default", "dpd-test")


def planned(document: dict[str, Any], made_from: str = "chart") -> Plan | Refusal:
    return Planner(Contract(contract_schema()), made_from).plan(document)


def role(component: str, *, ready: bool = True) -> Role:
    return Role(component, f"{component}-x", 1, 1, int(ready), is_ready=ready, hindrance="", status={})


def view(stage: Stage, *found: Role, words: tuple[str, ...] = (), generation: int = 1) -> View:
    spec = {"pdSpec": {"routingThreshold": 1}, "maxDeployTimeInSeconds": 60}
    return View(KEY, generation, spec, stage, words, (), found)


def test_a_plan_is_what_the_renderer_writes_and_changes_with_what_it_is_made_from() -> None:
    plan, again, other = (planned(case("dpd-page"), chart) for chart in ("one", "one", "two"))
    assert isinstance(plan, Plan)
    assert isinstance(other, Plan)
    assert plan == again
    assert plan.digest != other.digest
    assert plan.values == other.values
    assert "nameOverride: dpd-test\n" in plan.values


def test_what_the_api_server_and_the_controller_write_into_an_object_is_no_part_of_its_plan() -> None:
    document = case("dpd-page")
    stored = {**document, "status": {"state": "DeploymentComplete"}}
    stored["metadata"] = {**document["metadata"], "uid": "1", "resourceVersion": "7", "managedFields": [{}]}
    assert planned(stored) == planned(document)


def test_every_problem_of_a_manifest_is_told_at_once() -> None:
    document = case("dpd-page")
    del document["spec"]["modelName"], document["spec"]["pdSpec"]["decodingSpec"]
    found = planned(document)
    assert isinstance(found, Refusal)
    assert [each.split(":")[0] for each in found.problems] == ["spec.modelName", "spec.pdSpec.decodingSpec"]


def test_releases_of_different_endpoints_have_different_names_that_helm_takes() -> None:
    names = [Key("b", "a"), Key("a-b", "c"), Key("b", "c-a"), Key("n" * 63, "e" * 63), Key("n" * 63, "e" * 62)]
    found = [release_name(each) for each in names]
    assert found[0] == "a.b"
    assert len(set(found)) == len(names)
    assert max(map(len, found)) <= 53


@pytest.mark.parametrize(
    ("found", "wanted", "holds"),
    [
        ({"a": 1, "defaulted": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": 1}, False),
        ({"memory": "1"}, {"memory": "1000m"}, True),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, True),
        ({"memory": "1Gi"}, {"memory": "1G"}, False),
        ({}, {"env": "", "flag": False, "list": [], "nothing": None}, True),
        ([1, 2], [1], False),
        ([{"name": "a", "protocol": "TCP"}], [{"name": "a"}], True),
        ("text", ["text"], False),
    ],
)
def test_an_object_holds_what_was_wanted_or_somebody_changed_it(found: Any, wanted: Any, holds: bool) -> None:
    assert drift.holds(found, wanted) is holds


def test_only_kinds_that_somebody_looks_at_can_be_missing() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "n"}}
    assert drift.missing([service], {}, ["v1/Service"]) == [Ref("v1", "Service", "n", "s")]
    assert drift.missing([service], {}, []) == []


def test_the_state_says_what_happened_and_the_first_condition_why() -> None:
    pair = (role("prefill"), role("decode"), role("router"))
    cases = [
        (view(Stage.REFUSED, words=("spec.x: wrong; mend it",)), "DeploymentFailed", "spec.x: wrong; mend it"),
        (
            view(Stage.APPLYING, words=("the chart is being installed",)),
            "DeploymentInProgress",
            "the chart is being installed",
        ),
        (view(Stage.FAILED, *pair, words=("helm: no",)), "DeploymentFailed", "helm: no"),
        (view(Stage.APPLIED, *pair), "DeploymentComplete", "DPD prefill and decode deployments are ready"),
        (
            view(Stage.APPLIED, role("prefill", ready=False), role("decode"), role("router")),
            "DeploymentInProgress",
            "waiting for prefill (0 of 1 pod ready)",
        ),
        (view(Stage.REMOVING), "DeletionInProgress", "removing the endpoint's objects"),
        (view(Stage.STUCK, words=("helm: no",)), "DeletionFailed", "helm: no"),
    ]
    for each, state, words in cases:
        found = status(each, {}, NOW)
        assert (found["state"], found["conditions"][0]["message"]) == (state, words)
        assert found["conditions"][0]["type"] == "Ready"
        assert found["deploymentStatus"]["deploymentObjectOverallState"] == state


def test_times_move_only_when_something_changed() -> None:
    waiting = view(Stage.APPLIED, role("prefill", ready=False), role("decode"), role("router"))
    first = status(waiting, {}, NOW)
    assert status(waiting, first, NOW + timedelta(seconds=30)) == first
    ready = view(Stage.APPLIED, role("prefill"), role("decode"), role("router"))
    later = status(ready, first, NOW + timedelta(seconds=30))
    assert condition(later, "Ready")["lastTransitionTime"] == "2030-01-01T00:00:30Z"
    assert condition(later, "DecodeReady")["lastTransitionTime"] == "2030-01-01T00:00:00Z"


def test_time_to_deploy_runs_from_the_installation_and_ends_with_readiness() -> None:
    waiting = view(Stage.APPLIED, role("prefill", ready=False), role("decode"), role("router"))
    first = status(waiting, {}, NOW)
    assert deadline(waiting, first) == NOW + timedelta(seconds=60)
    late = status(waiting, first, NOW + timedelta(seconds=60))
    assert (late["state"], condition(late, "Ready")["reason"]) == ("DeploymentFailed", "DeployTimeExceeded")
    assert deadline(waiting, late) is None
    ready = view(Stage.APPLIED, role("prefill"), role("decode"), role("router"))
    assert status(ready, late, NOW + timedelta(seconds=90))["state"] == "DeploymentComplete"


def test_a_deployment_is_ready_when_its_newest_template_is() -> None:
    drawn: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n", "labels": {"app.kubernetes.io/component": "decode"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "d"}}},
    }
    ref = Ref("apps/v1", "Deployment", "n", "d")

    def seen(generation: int, **counts: int) -> Role:
        live = copy.deepcopy(drawn)
        live["metadata"]["generation"] = generation
        live["status"] = counts
        return roles([drawn], {ref: live}, ())[0]

    whole = {"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}
    assert seen(2, **whole).is_ready
    assert not seen(3, **whole).is_ready
    assert not seen(2, **{**whole, "updatedReplicas": 1}).is_ready
    assert roles([drawn], {}, ())[0].words == "0 of 2 pods ready (does not exist)"
    fixed, left = drawn, {**drawn, "spec": {"selector": {}}}
    assert given_up([fixed], [left]) == [ref]
    assert given_up([fixed], [fixed]) == []


def test_a_pod_says_what_holds_it_up() -> None:
    def pod(name: str, **found: Any) -> Any:
        return facts_of({"metadata": {"name": name, "namespace": "n"}, "status": found})

    full = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "no GPU",
    }
    pulling = {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    assert first_hindrance([pod("b", conditions=[full])]) == "b: Unschedulable, no GPU"
    assert first_hindrance([pod("a", containerStatuses=[pulling])]) == "a: c waits: ImagePullBackOff no such image"
    assert first_hindrance([pod("a", containerStatuses=[{"name": "c", "ready": True}])]) == ""


def test_a_lease_is_taken_when_it_is_free_ours_or_has_not_changed_for_its_time() -> None:
    held = {"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15}}
    seen = lease.sighted(held, None, 100.0)
    assert not lease.may_take(held, "me", seen, 115.0)
    assert lease.may_take(held, "me", seen, 115.1)
    renewed = lease.sighted({"metadata": {"resourceVersion": "2"}}, seen, 114.0)
    assert not lease.may_take(held, "me", renewed, 120.0)
    mine = lease.taken(held, "me", NOW)
    assert lease.may_take(mine, "me", seen, 100.0)
    assert mine["spec"]["leaseTransitions"] == 1
    assert lease.may_take(lease.released(mine), "other", seen, 100.0)
    assert lease.GIVE_UP_SECONDS < lease.DURATION_SECONDS


def test_a_record_that_cannot_be_read_counts_as_unfinished() -> None:
    secret = {"metadata": {"name": "s", "labels": {"version": "3"}}, "data": {"release": "bm90IGd6aXA="}}
    (found,) = revisions([secret])
    assert found.is_pending
    assert (found.number, found.objects) == (3, ())


def test_an_endpoint_is_worked_on_once_at_a_time_and_later_after_each_failure() -> None:
    clock = [0.0]
    queue = WorkQueue(lambda: clock[0])
    queue.add(KEY)
    queue.add(KEY, 5.0)
    assert queue.take() == KEY
    queue.add(KEY)
    other = Key("default", "other")
    queue.add(other)
    assert queue.take() == other, "the first one is busy"
    queue.done(KEY, is_good=True)
    assert queue.take() == KEY
    queue.done(KEY, is_good=False)
    clock[0] = 1.0
    assert queue.take() == KEY
    queue.done(KEY, is_good=False)
    clock[0] = 2.9
    queue.add(other, 0.2)
    queue.done(other, is_good=True)
    clock[0] = 3.0
    assert queue.take() == KEY
    queue.close()
    assert queue.take() is None
