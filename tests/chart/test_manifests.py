"""What holds for every manifest that the chart renders, whatever the values."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import (
    KUBE_VERSION,
    Manifest,
    manifests,
    named,
    of_kind,
    pod_spec,
    role_of,
    shape_name,
    shapes,
    template,
    workers,
)
from dpd_router.config.load import from_document
from schemagen.kubeconform import kubeconform_files
from support.paths import TOOLS

# Kinds of other projects: Kubernetes' own schemas know nothing of them, a real API server judges them in tests/e2e.
SCALING = ("ScaledObject", "TriggerAuthentication")
PLATFORM_KINDS = (*SCALING, "Gateway", "HTTPRoute", "Certificate", "Issuer", "PodMonitor", "PrometheusRule")

SHAPES = pytest.mark.parametrize("values", shapes(), ids=shape_name)


def rendered(values: Path) -> list[Manifest]:
    return manifests(template("helm", values))


def given(values: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(values.read_text())
    return loaded


def own_containers(deployment: Manifest) -> Iterator[Any]:
    yield from pod_spec(deployment)["containers"]


@pytest.fixture(scope="session")
def kube_schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kube")
    for name, content in kubeconform_files().items():
        (folder / name).write_text(content)
    return folder


def kubeconform(schemas: Path, manifests: Path) -> subprocess.CompletedProcess[str]:
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    skipped = ",".join(PLATFORM_KINDS)
    command = [TOOLS / "kubeconform", "-strict", "-summary", "-skip", skipped, "-schema-location", location, manifests]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_kubernetes_own_schemas_accept_every_manifest(kube_schemas: Path, tmp_path: Path) -> None:
    for values in shapes():
        (tmp_path / f"{shape_name(values)}.yaml").write_text(template("helm", values))
    done = kubeconform(kube_schemas, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(shapes())} files - Valid: " in done.stdout
    platform = [each for values in shapes() for each in rendered(values) if each["kind"] in PLATFORM_KINDS]
    assert f"Invalid: 0, Errors: 0, Skipped: {len(platform)}" in done.stdout


def test_kubernetes_own_schemas_refuse_a_misspelt_field(kube_schemas: Path, tmp_path: Path) -> None:
    text = template("helm", shapes()[0]).replace("terminationGracePeriodSeconds", "terminationGraceSeconds")
    (tmp_path / "wrong.yaml").write_text(text)
    done = kubeconform(kube_schemas, tmp_path)
    assert done.returncode == 1
    assert "terminationGraceSeconds" in done.stdout


@SHAPES
def test_no_container_may_do_more_than_it_must(values: Path) -> None:
    allowed = (given(values).get("podSecurity") or {}).get("worker") or {}
    for deployment in of_kind(rendered(values), "Deployment"):
        for index, container in enumerate(own_containers(deployment)):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert context["capabilities"]["drop"] == ["ALL"]
            assert set(context["capabilities"].get("add", [])) <= {"IPC_LOCK"}
            if index or role_of(deployment) == "router" or not allowed:
                assert context["runAsNonRoot"] is True
                assert context["runAsUser"] > 0
                assert context["readOnlyRootFilesystem"] is True
        # The router watches pods, and nobody else asks the API server for anything.
        assert pod_spec(deployment)["automountServiceAccountToken"] is (role_of(deployment) == "router")


@SHAPES
def test_every_image_says_its_version(values: Path) -> None:
    for deployment in of_kind(rendered(values), "Deployment"):
        for container in own_containers(deployment):
            assert re.search(r"(:[^/:@]+|@sha256:[0-9a-f]{64})$", container["image"])
            assert not container["image"].endswith(":latest")


@SHAPES
def test_every_name_fits_kubernetes(values: Path) -> None:
    for document in rendered(values):
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", document["metadata"]["name"])
        for value in document["metadata"]["labels"].values():
            assert re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value)


@SHAPES
def test_no_two_manifests_share_a_name(values: Path) -> None:
    keys = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in rendered(values)]
    assert len(keys) == len(set(keys))


# Where a role's own KV cache is: a store behind it that a decoder must not open, a file that a decoder must not read.
OF_A_CACHE = ("LMCACHE_CONFIG_FILE", "LMCACHE_REMOTE_URL")


@SHAPES
def test_both_roles_have_the_same_environment_word_for_word_but_for_where_a_cache_is(values: Path) -> None:
    containers = [pod_spec(each)["containers"][0] for each in workers(rendered(values))]
    shared = [[each for each in container["env"] if each["name"] not in OF_A_CACHE] for container in containers]
    assert shared
    assert all(each == shared[0] for each in shared)


@SHAPES
def test_a_decoder_opens_no_store_and_reads_no_file_but_the_charts(values: Path) -> None:
    decoders = [each for each in workers(rendered(values)) if role_of(each) == "decode"]
    for each in decoders:
        env = {each["name"]: each.get("value") for each in pod_spec(each)["containers"][0]["env"]}
        assert "LMCACHE_REMOTE_URL" not in env
        assert env.get("LMCACHE_CONFIG_FILE") in (None, "/etc/lmcache/lmcache.yaml")


@SHAPES
def test_the_users_variables_reach_the_engine_untouched_and_in_order(values: Path) -> None:
    wanted = given(values)["worker"].get("environmentVariables") or []
    for deployment in workers(rendered(values)):
        env = pod_spec(deployment)["containers"][0]["env"]
        assert [each["name"] for each in env[:2]] == ["POD_IP", "POD_NAME"]
        assert env[2 : 2 + len(wanted)] == wanted
        assert len({each["name"] for each in env}) == len(env)


@SHAPES
def test_every_variable_that_another_refers_to_comes_first(values: Path) -> None:
    for deployment in workers(rendered(values)):
        env = pod_spec(deployment)["containers"][0]["env"]
        seen: set[str] = set()
        for variable in env:
            if variable["name"].startswith("LMCACHE_PD_"):
                assert set(re.findall(r"\$\(([A-Z_]+)\)", variable.get("value", ""))) <= seen
            seen.add(variable["name"])


@SHAPES
def test_every_mounted_configuration_is_rendered_and_every_mount_has_its_volume(values: Path) -> None:
    documents = rendered(values)
    for deployment in of_kind(documents, "Deployment"):
        spec = pod_spec(deployment)
        for volume in spec["volumes"]:
            if "configMap" in volume:
                found = named(documents, "ConfigMap", volume["configMap"]["name"])
                assert found["metadata"]["namespace"] == deployment["metadata"]["namespace"]
        volumes = [volume["name"] for volume in spec["volumes"]]
        assert len(volumes) == len(set(volumes))
        for container in own_containers(deployment):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= set(volumes)


@SHAPES
def test_every_configuration_is_yaml_of_a_mapping(values: Path) -> None:
    for config in of_kind(rendered(values), "ConfigMap"):
        for name, content in config["data"].items():
            if name.endswith(".yaml"):
                assert type(yaml.safe_load(content)) is dict


@SHAPES
def test_every_service_reaches_pods_and_a_port_they_have(values: Path) -> None:
    documents = rendered(values)
    for service in of_kind(documents, "Service"):
        (target,) = [
            each
            for each in of_kind(documents, "Deployment")
            if service["spec"]["selector"].items() <= each["spec"]["template"]["metadata"]["labels"].items()
            and each["metadata"]["namespace"] == service["metadata"]["namespace"]
        ]
        ports = [port["name"] for each in own_containers(target) for port in each.get("ports", [])]
        assert len(ports) == len(set(ports))
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports)


@SHAPES
def test_a_deployment_selects_its_own_pods_and_no_other_deployments(values: Path) -> None:
    deployments = of_kind(rendered(values), "Deployment")
    for deployment in deployments:
        selector = deployment["spec"]["selector"]["matchLabels"].items()
        matching = [each for each in deployments if selector <= each["spec"]["template"]["metadata"]["labels"].items()]
        assert matching == [deployment]


@SHAPES
def test_router_and_workers_agree_on_addresses_and_ports(values: Path) -> None:
    documents = rendered(values)
    routers = [each for each in of_kind(documents, "Deployment") if role_of(each) == "router"]
    for router in routers:
        name = router["metadata"]["name"]
        config = yaml.safe_load(named(documents, "ConfigMap", name)["data"]["config.yaml"])
        for role, (pool,) in config["pools"].items():
            (deployment,) = [each for each in workers(documents) if role_of(each) == role]
            assert deployment["metadata"]["namespace"] == config["discovery"]["namespace"]
            selected = dict(term.split("=") for term in pool["selector"].split(","))
            assert deployment["spec"]["selector"]["matchLabels"] == selected
            found = named(documents, "Service", deployment["metadata"]["name"])
            assert [port["port"] for port in found["spec"]["ports"]] == [pool["port"]]
        if config.get("transfer", {}).get("connector") == "nixl":
            agree_on_who_is_asked(documents, config)
        elif "transfer" in config:
            agree_on_the_transfer(documents, config)


@SHAPES
def test_the_router_reads_the_configuration_it_is_given(values: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")  # as in any pod
    documents = rendered(values)
    for router in of_kind(documents, "Deployment"):
        if role_of(router) == "router":
            found = named(documents, "ConfigMap", router["metadata"]["name"])
            config = from_document(yaml.safe_load(found["data"]["config.yaml"]))
            assert config.endpoint == found["metadata"]["labels"]["app.kubernetes.io/instance"]
            assert config.timing.grace < pod_spec(router)["terminationGracePeriodSeconds"]


def agree_on_who_is_asked(documents: list[Manifest], config: Any) -> None:
    for worker in workers(documents):
        (engine, *_) = pod_spec(worker)["containers"]
        connector = json.loads(engine["args"][engine["args"].index("--kv-transfer-config") + 1])
        role = {"prefill": "kv_producer", "decode": "kv_consumer"}[role_of(worker)]
        assert (connector["kv_connector"], connector["kv_role"]) == ("NixlConnector", role)
        told = {each["name"]: each for each in engine["env"]}
        assert told["VLLM_NIXL_SIDE_CHANNEL_HOST"]["value"] == "$(POD_IP)"
        assert told["POD_IP"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
    assert set(config["transfer"]) == {"connector"}  # a prefiller says in its reply where it is asked


def agree_on_the_transfer(documents: list[Manifest], config: Any) -> None:
    found = {role_of(each): each for each in workers(documents)}
    files = {role: lmcache_of(documents, found[role]) for role in ("prefill", "decode")}
    assert files["decode"]["pd_peer_init_port"] == config["transfer"]["initPorts"]
    assert files["decode"]["pd_peer_alloc_port"] == config["transfer"]["allocPorts"]
    assert files["prefill"]["pd_proxy_port"] == config["transfer"]["notify"]["port"]
    service, namespace, _ = files["prefill"]["pd_proxy_host"].split(".", 2)
    notified = named(documents, "Service", service)
    assert notified["metadata"]["namespace"] == namespace
    assert files["prefill"]["pd_proxy_port"] in [port["port"] for port in notified["spec"]["ports"]]
    shared = ("chunk_size", "save_unfull_chunk", "pre_caching_hash_algorithm", "transfer_channel", "nixl_backends")
    assert {key: files["prefill"][key] for key in shared} == {key: files["decode"][key] for key in shared}


def lmcache_of(documents: list[Manifest], deployment: Manifest) -> dict[str, Any]:
    """What LMCache reads: the chart's file, if it reads that, and over it the connector's own settings."""
    name = f"{deployment['metadata']['name']}-lmcache"
    file = named(documents, "ConfigMap", name)["data"].get("lmcache.yaml", "{}")
    args = pod_spec(deployment)["containers"][0]["args"]
    extra = json.loads(args[args.index("--kv-transfer-config") + 1])["kv_connector_extra_config"]
    over = {key.removeprefix("lmcache."): value for key, value in extra.items() if key.startswith("lmcache.")}
    return {**yaml.safe_load(file), **over}


def test_the_kubernetes_version_is_one_that_the_chart_supports() -> None:
    assert tuple(map(int, KUBE_VERSION.split("."))) >= (1, 27)
