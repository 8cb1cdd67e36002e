"""What the NetworkPolicies let through, worked out as a plugin does, against what the configurations connect to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import Manifest, manifests, named, of_kind, pod_spec, role_of, shape_name, shapes, template


def given(values: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(values.read_text())
    return loaded


DISAGGREGATED = [each for each in shapes() if given(each).get("pdSpec")]
BY_LMCACHE = [each for each in DISAGGREGATED if given(each).get("transfer", {}).get("connector") != "nixl"]
ROUTED = [
    each
    for each in shapes()
    if each in DISAGGREGATED or (given(each).get("intelligentRoutingSpec") or {}).get("enabled")
]
UNROUTED = [each for each in shapes() if each not in ROUTED]


def of(values: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("values", values, ids=shape_name)


METRICS = {"proxy-metrics", "otel-metrics"}


@dataclass(frozen=True)
class Pod:
    """Whom a policy sees: a namespace by its name, labels."""

    namespace: str
    labels: tuple[tuple[str, str], ...]

    def has(self, selector: Any) -> bool:
        return set(selector["matchLabels"].items()) <= set(self.labels)


STRANGER = Pod("elsewhere", (("app", "curl"),))


def pod_of(deployment: Manifest) -> Pod:
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    return Pod(deployment["metadata"]["namespace"], tuple(labels.items()))


def is_peer(peer: Any, pod: Pod) -> bool:
    wanted = peer["namespaceSelector"]["matchLabels"]
    return wanted == {"kubernetes.io/metadata.name": pod.namespace} and pod.has(peer["podSelector"])


def is_open(documents: list[Manifest], source: Pod, target: Pod, port: int) -> bool:
    """Whether `source` may reach `port` of `target`: one rule of one policy that holds for it suffices."""
    policies = [
        each
        for each in of_kind(documents, "NetworkPolicy")
        if each["metadata"]["namespace"] == target.namespace and target.has(each["spec"]["podSelector"])
    ]
    assert policies, "nothing rules who may reach this pod"
    rules = [rule for each in policies for rule in each["spec"]["ingress"]]
    return any(
        ("from" not in rule or any(is_peer(peer, source) for peer in rule["from"]))
        and ("ports" not in rule or port in [each["port"] for each in rule["ports"]])
        for rule in rules
    )


def rendered(values: Path) -> tuple[list[Manifest], dict[str, Pod]]:
    """The manifests, and the pods by their role."""
    documents = manifests(template("helm", values))
    return documents, {role_of(each): pod_of(each) for each in of_kind(documents, "Deployment")}


def router_config(documents: list[Manifest]) -> Any:
    (router,) = [each for each in of_kind(documents, "Deployment") if role_of(each) == "router"]
    return yaml.safe_load(named(documents, "ConfigMap", router["metadata"]["name"])["data"]["config.yaml"])


def metrics_ports(deployment: Manifest) -> Iterator[int]:
    for container in pod_spec(deployment)["containers"]:
        yield from (each["containerPort"] for each in container.get("ports", []) if each.get("name") in METRICS)


@of(UNROUTED)
def test_everyone_reaches_workers_that_have_no_router(values: Path) -> None:
    documents, pods = rendered(values)
    assert is_open(documents, STRANGER, pods["worker"], 8081)


@of(ROUTED)
def test_the_router_reaches_every_pool_and_strangers_reach_none(values: Path) -> None:
    documents, pods = rendered(values)
    for role, pool in router_config(documents)["pools"].items():
        for entry in pool:
            assert is_open(documents, pods["router"], pods[role], entry["port"])
            assert not is_open(documents, STRANGER, pods[role], entry["port"])


@of(shapes())
def test_nobody_reaches_an_engine_past_its_proxy(values: Path) -> None:
    documents, pods = rendered(values)
    engine = given(values)["worker"]["modelInvocationPort"]["containerPort"]
    for role in pods.keys() - {"router"}:
        assert not is_open(documents, STRANGER, pods[role], engine)
        assert "router" not in pods or not is_open(documents, pods["router"], pods[role], engine)


@of(ROUTED)
def test_clients_reach_the_router(values: Path) -> None:
    documents, pods = rendered(values)
    assert is_open(documents, STRANGER, pods["router"], router_config(documents)["listen"]["port"])


@of(DISAGGREGATED)
def test_a_transfer_passes_between_the_roles_of_one_endpoint_and_from_nobody_else(values: Path) -> None:
    documents, pods = rendered(values)
    transfer = {"initPorts": [], "allocPorts": [], **router_config(documents)["transfer"]}
    twin = Pod(pods["prefill"].namespace, tuple({**dict(pods["prefill"].labels), "app": "another"}.items()))
    abroad = Pod("elsewhere", pods["prefill"].labels)
    for port in (*transfer["initPorts"], *transfer["allocPorts"], 45678):
        assert is_open(documents, pods["prefill"], pods["decode"], port)
        assert is_open(documents, pods["decode"], pods["prefill"], port)
        for other in (STRANGER, twin, abroad, pods["router"], pods["decode"]):
            assert not is_open(documents, other, pods["decode"], port)


@of(BY_LMCACHE)
def test_the_router_hears_of_transfers_from_prefillers_alone(values: Path) -> None:
    documents, pods = rendered(values)
    port = router_config(documents)["transfer"]["notify"]["port"]
    assert is_open(documents, pods["prefill"], pods["router"], port)
    assert not any(is_open(documents, each, pods["router"], port) for each in (STRANGER, pods["decode"]))


@of(shapes())
def test_every_metrics_port_can_be_read(values: Path) -> None:
    documents, _ = rendered(values)
    for deployment in of_kind(documents, "Deployment"):
        for port in metrics_ports(deployment):
            assert is_open(documents, STRANGER, pod_of(deployment), port)
