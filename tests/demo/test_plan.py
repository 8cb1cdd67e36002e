from pathlib import Path

import pytest
import yaml

from dpd_local import plan
from dpd_local.manifests import Manifests
from dpd_local.podspec import flag

LMCACHE = {
    "decode-x": {"pd_role": "receiver", "pd_peer_init_port": [7300, 7301], "pd_peer_alloc_port": [7400, 7401]},
    "prefill-x": {"pd_role": "sender", "pd_proxy_host": "router.svc", "pd_proxy_port": 7500},
}
ROUTER = {
    "listen": {"host": "0.0.0.0", "port": 8080},
    "routing": {"threshold": 7, "strategy": "roundrobin"},
    "transfer": {"connector": "lmcache", "initPorts": [7300, 7301], "allocPorts": [7400, 7401], "notify": {}},
    "pools": {"prefill": [{"host": "prefill-x.ns.svc", "port": 8081}], "decode": [{"host": "d", "port": 8081}]},
}


def deployment(name: str, containers: list[dict[str, object]], labels: dict[str, str], volumes: object) -> object:
    spec = {"containers": containers, "volumes": volumes}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {"kind": "Deployment", "metadata": {"name": name, "namespace": "ns"}, "spec": {"template": template}}


def engine(role: str) -> object:
    name = f"{role}-x"
    worker: dict[str, object] = {
        "name": name,
        "args": ["--model", "/opt/ml/model", "--host", "0.0.0.0", "--port", "8000"],
        "env": [{"name": "LMCACHE_CONFIG_FILE", "value": "/etc/lmcache/lmcache.yaml"}],
        "volumeMounts": [{"name": "cache", "mountPath": "/etc/lmcache"}],
    }
    labels = {"inference.sagemaker.aws.amazon.com/dpd-role": role}
    volumes = [{"name": "cache", "configMap": {"name": f"{name}-lmcache"}}]
    return deployment(name, [worker, {"name": "sidecar-reverse-proxy"}], labels, volumes)


def config_map(name: str, key: str, content: object) -> object:
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": {key: yaml.safe_dump(content)}}


def router() -> object:
    container: dict[str, object] = {
        "name": "router-container",
        "args": ["--config", "/etc/dpd-router/config.yaml"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/dpd-router"}],
    }
    return deployment("x-ns-router", [container], {}, [{"name": "config", "configMap": {"name": "x-ns-router"}}])


def endpoint() -> Manifests:
    maps = [config_map(f"{name}-lmcache", "lmcache.yaml", content) for name, content in LMCACHE.items()]
    maps.append(config_map("x-ns-router", "config.yaml", ROUTER))
    return Manifests(yaml.safe_dump_all([engine("prefill"), engine("decode"), router(), *maps]))


class Counter:
    def __init__(self) -> None:
        self.next = 40000

    def __call__(self, count: int) -> list[int]:
        self.next += count
        return list(range(self.next - count, self.next))


@pytest.fixture
def planned() -> plan.Plan:
    return plan.make(endpoint(), Path("/here"), Counter(), {})


def settings(process: plan.Process | None, name: str) -> dict[str, object]:
    assert process is not None
    text = next(text for path, text in process.files.items() if path.name == name)
    loaded: dict[str, object] = yaml.safe_load(text)
    return loaded


def test_an_endpoint_starts_its_engines_first_and_its_router_last(planned: plan.Plan) -> None:
    assert [each.role for each in planned.processes] == ["prefill", "decode", "router"]
    assert planned.front.role == "router"


def test_every_port_is_moved_and_no_two_are_the_same(planned: plan.Plan) -> None:
    decode = settings(planned.by_role("decode"), "lmcache.yaml")
    ports = [each.port for each in planned.processes]
    ports += [*decode["pd_peer_init_port"], *decode["pd_peer_alloc_port"]]  # type: ignore[misc]
    ports.append(settings(planned.by_role("prefill"), "lmcache.yaml")["pd_proxy_port"])  # type: ignore[arg-type]
    assert len(ports) == len(set(ports)) == 8
    assert all(port >= 40000 for port in ports)


def test_router_and_engines_agree_about_every_address(planned: plan.Plan) -> None:
    router = settings(planned.by_role("router"), "config.yaml")
    decode = settings(planned.by_role("decode"), "lmcache.yaml")
    prefill = settings(planned.by_role("prefill"), "lmcache.yaml")
    transfer = router["transfer"]
    assert isinstance(transfer, dict)
    assert transfer["initPorts"] == decode["pd_peer_init_port"]
    assert transfer["allocPorts"] == decode["pd_peer_alloc_port"]
    assert transfer["notify"] == {"host": "127.0.0.1", "port": prefill["pd_proxy_port"]}
    assert prefill["pd_proxy_host"] == "127.0.0.1"
    roles = {role: planned.by_role(role) for role in ("prefill", "decode")}
    assert router["pools"] == {r: [{"host": "127.0.0.1", "port": p.port}] for r, p in roles.items() if p}


def test_what_is_no_address_stays_as_rendered(planned: plan.Plan) -> None:
    router = settings(planned.by_role("router"), "config.yaml")
    assert router["routing"] == ROUTER["routing"]
    process = planned.by_role("decode")
    assert process is not None
    assert flag(process.command, "--model") == "/opt/ml/model"
    assert flag(process.command, "--host") == "127.0.0.1"
    assert flag(process.command, "--port") == str(process.port)
    assert process.environment["LMCACHE_CONFIG_FILE"] == "/here/decode-x/etc-lmcache/lmcache.yaml"


def test_manifests_without_an_engine_are_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="manifests: no Deployment with an engine; render charts/dpd with a values"):
        plan.make(Manifests(yaml.safe_dump_all([router()])), Path("/here"), Counter(), {})
