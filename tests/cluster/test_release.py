"""One release of hand-written values, with clients that go on asking while things happen to it."""

import json
from collections.abc import Iterator

import pytest

from cluster import live
from cluster.kubectl import Kubectl
from cluster.tools import SYSTEM, crowd, doctor, helm, is_ours, items, ready, story, until
from support.paths import CHART, ROOT

VALUES = ROOT / "tests/cluster/values/small.yaml"
NAMESPACE = "team-a"
NAME = "small"
HOST = f"{NAME}-{NAMESPACE}-routing-service.{SYSTEM}.svc.cluster.local"
ROUTER = f"deployment/{NAME}-{NAMESPACE}-router"
PLACE = ("--namespace", NAMESPACE)
WAIT = ("--wait", "--timeout=5m")
ROLES = {"prefill": NAMESPACE, "decode": NAMESPACE, "router": SYSTEM}

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def release(live_cluster: Kubectl) -> Iterator[Kubectl]:
    for each in (NAMESPACE, SYSTEM):
        live_cluster.kubectl("create", "namespace", each)
    helm(live_cluster, "install", NAME, CHART, *PLACE, "--values", VALUES, *WAIT)
    yield live_cluster
    helm(live_cluster, "uninstall", NAME, *PLACE, *WAIT)


def labels(role: str) -> str:
    return f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component={role}"


def pods(plane: Kubectl, role: str) -> list[str]:
    return ready(plane, ROLES[role], labels(role))


def whole(plane: Kubectl) -> bool:
    return all(len(pods(plane, role)) == 2 for role in ROLES)


def test_helm_test_is_answered_like_a_client(release: Kubectl) -> None:
    assert "Succeeded" in helm(release, "test", NAME, *PLACE)
    assert release.kubectl("get", "pod", f"{NAME}-test", *PLACE).returncode == 1


def test_the_doctor_finds_nothing_wrong_with_it(release: Kubectl) -> None:
    found = doctor(release, NAME, NAMESPACE, "--probe")
    assert (found["faults"], found["unasked"]) == ([], [])
    gone = pods(release, "decode")
    release.must("scale", f"deployment/decode-{NAME}", *PLACE, "--replicas=0")
    until(lambda: not pods(release, "decode"), lambda: story(release))
    assert "role-missing" in doctor(release, NAME, NAMESPACE)["faults"]
    release.must("scale", f"deployment/decode-{NAME}", *PLACE, "--replicas=2")
    until(lambda: whole(release) and set(gone).isdisjoint(pods(release, "decode")), lambda: story(release))


def test_an_upgrade_and_its_rollback_cost_no_request(release: Kubectl) -> None:
    before = {role: set(pods(release, role)) for role in ROLES}
    change = ("--set", "kubernetes.podTemplateAnnotations.example\\.com/turn=second", "--set", "shm.sizeLimit=2Gi")
    routers = ("--set-string", "router.resources.requests.memory=65Mi")
    with crowd(release, NAMESPACE, HOST) as clients:
        helm(release, "upgrade", NAME, CHART, *PLACE, "--values", VALUES, *change, *routers, *WAIT)
        clients.go_on()
        after = {role: set(pods(release, role)) for role in ROLES}
        helm(release, "rollback", NAME, "1", *PLACE, *WAIT)
        until(lambda: whole(release), lambda: story(release))
    assert all(before[role].isdisjoint(after[role]) for role in ROLES)


@pytest.mark.parametrize("role", ["prefill", "decode"])
def test_a_pod_that_is_deleted_under_load_costs_no_request(release: Kubectl, role: str) -> None:
    with crowd(release, NAMESPACE, HOST):
        gone = pods(release, role)[0]
        release.must("delete", "pod", gone, *PLACE, "--wait=false")
        until(lambda: gone not in pods(release, role) and whole(release), lambda: story(release))


def test_routers_are_replaced_under_load_at_no_request(release: Kubectl) -> None:
    with crowd(release, NAMESPACE, HOST):
        release.must("rollout", "restart", ROUTER, "--namespace", SYSTEM)
        release.must("rollout", "status", ROUTER, "--namespace", SYSTEM, "--timeout=5m")


def test_a_node_that_is_drained_keeps_one_of_each_role_until_there_is_another(release: Kubectl) -> None:
    until(lambda: whole(release), lambda: story(release))
    node = items(release, "nodes", "default", "")[0]["metadata"]["name"]
    selected = f"--pod-selector=app.kubernetes.io/instance={NAME}"
    how = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=15s")
    with crowd(release, NAMESPACE, HOST):
        try:
            said = release.kubectl("drain", node, selected, *how).stderr
            assert "would violate the pod's disruption budget" in said
            assert all(len(pods(release, role)) >= 1 for role in ROLES), story(release)
        finally:
            release.must("uncordon", node)
        until(lambda: whole(release), lambda: story(release))


def test_the_network_policies_select_the_pods_that_run_and_let_in_those_that_should(release: Kubectl) -> None:
    for role, namespace in ROLES.items():
        (policy,) = items(release, "networkpolicies", namespace, labels(role))
        selector = ",".join(f"{key}={value}" for key, value in policy["spec"]["podSelector"]["matchLabels"].items())
        assert sorted(ready(release, namespace, selector)) == sorted(pods(release, role))
        rules = policy["spec"]["ingress"]
        peers = {peer_pods(release, peer) for rule in rules for peer in rule.get("from", [])}
        known = {other: tuple(sorted(pods(release, other))) for other in ROLES}
        allowed = {"prefill": {"router", "decode"}, "decode": {"router", "prefill"}, "router": {"prefill"}}[role]
        assert peers == {known[other] for other in allowed}


def peer_pods(plane: Kubectl, peer: dict[str, dict[str, dict[str, str]]]) -> tuple[str, ...]:
    namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    selector = ",".join(f"{key}={value}" for key, value in peer["podSelector"]["matchLabels"].items())
    return tuple(sorted(ready(plane, namespace, selector)))


def test_collectors_pass_on_what_engines_and_proxies_count(release: Kubectl) -> None:
    pod = pods(release, "decode")[0]
    raw = release.must("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9464/proxy/metrics")
    lines = raw.splitlines()
    targets = [line for line in lines if line.startswith("up{")]
    assert len(targets) == 2
    assert all(line.endswith(" 1") for line in targets)
    assert any(line.startswith("model_invocations_total") for line in lines)
    assert any(line.startswith("vllm:") and 'dpd_role="decode"' in line for line in lines)


@pytest.mark.skipif(not is_ours(), reason="only the cluster on this machine has an API server that can be ended")
def test_an_api_server_that_begins_anew_is_not_noticed_by_clients(release: Kubectl) -> None:
    with crowd(release, NAMESPACE, HOST) as clients:
        live.restart("kube-apiserver")
        clients.go_on()
        gone = pods(release, "decode")[0]
        release.must("delete", "pod", gone, *PLACE, "--wait=false")
        until(lambda: gone not in pods(release, "decode") and whole(release), lambda: story(release))
    assert json.loads(release.must("get", "nodes", "--output=json"))["items"]
