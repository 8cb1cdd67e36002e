import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpd.contract import Contract
from dpd.ledger import Row, rows
from dpd.yamlout import Entry, write
from support.paths import CASES, CHART, TOOLS

pytestmark = pytest.mark.slow

RESOURCES = {"limits": {"memory": "300Mi"}}
SCALING = {"minReplicaCount": 2, "maxReplicaCount": 3}
WORKSPACE = "https://aps-workspaces.us-west-2.amazonaws.com/workspaces/ws-1"
TRIGGER = {"serverAddress": WORKSPACE, "query": "up", "targetValue": 3}

# A value for each field, neither its default nor what the base says. Whether it must show is for the ledger to say.
FIELDS: dict[str, Any] = {
    "endpointName": "other",
    "InitialReplicaCount": 3,
    "pdSpec.autoScalingSpec": {"prefillAutoScaling": {**SCALING, "prometheusTrigger": TRIGGER}},
    "pdSpec.topologySpec.placementGroup": "group",
    "modelSourceConfig.prefetchEnabled": True,
    "kvCacheSpec.enableL2Cache": True,
    "kvCacheSpec.cacheConfigFile": "chunk_size: 16",
    "lmcache.mode": "MultiProcess",
    "modelCacheConfig": {},
    "loadBalancer.routingAlgorithm": "round_robin",
    "loadBalancer.idleTimeoutSeconds": 90,
    "tlsConfig": {"tlsCertificateOutputS3Uri": "s3://certificates/here"},
    "dnsConfig": {"hostedZoneId": "Z0123456789ABC"},
    "dataCapture": {"s3Uri": "s3://captures/here"},
    "worker.requestLimits": {"maxConcurrentRequests": 3},
    "kvCacheSpec.l2CacheSpec": {"l2CacheBackend": "redis"},
    "tags": [{"name": "team", "value": "search"}],
    "s3UploaderResources": RESOURCES,
    "instanceType": "ml.p5e.48xlarge",
    "invocationEndpoint": "v1/completions",
    "kubernetes.initContainers": [{"name": "first", "image": "busybox:1.37.0"}],
    "kubernetes.podTemplateAnnotations": {"example.com/a": "b"},
    "kubernetes.schedulerName": "gang",
    "kubernetes.serviceAccountName": "reader",
    "kubernetes.volumes": [{"name": "scratch", "emptyDir": {}}],
    "kvCacheSpec.enableL1Cache": False,
    "loadBalancer.healthCheckPath": "/healthz",
    "maxDeployTimeInSeconds": 60,
    "metrics.enabled": False,
    "metrics.metricsScrapeIntervalSeconds": 60,
    "metrics.modelMetrics": {"path": "/other"},
    "modelName": "Other",
    "modelVersion": "2",
    "modelSourceConfig.modelLocation": "elsewhere",
    "modelSourceConfig.modelSourceType": "huggingface",
    "modelSourceConfig.s3Storage": {"bucketName": "other", "region": "us-west-2"},
    "pdSpec.decodingSpec": {"resources": {"limits": {"nvidia.com/gpu": 8}}, "replicas": 3},
    "pdSpec.prefillSpec": {"resources": {"limits": {"nvidia.com/gpu": 8}}, "nodeSelector": {"pool": "a"}},
    "pdSpec.routingThreshold": 5,
    "pdSpec.topologySpec.availabilityZone": "us-west-2b",
    "metricsSidecarResources": RESOURCES,
    "metricsCollectorResources": RESOURCES,
    "tolerations": [{"operator": "Exists"}],
    "worker.args": ["--tensor-parallel-size", "8", "--seed", "4"],
    "worker.command": ["vllm", "serve"],
    "worker.environmentVariables": [{"name": "A", "value": "b"}],
    "worker.image": "other:1",
    "worker.modelVolumeMount.mountPath": "/other",
    "worker.probes": {"livenessProbe": {"httpGet": {"path": "/x", "port": 8000}}},
    "worker.workingDir": "/work",
}
# Values of which only some are drawn; Helm refuses these.
REFUSED = {"intelligentRoutingSpec.routingStrategy": "kvaware", "worker.modelInvocationPort.name": "grpc"}
# Drawn only in another shape, or together with another field; each has an accepted case of its own.
ELSEWHERE = {
    "instanceTypes", "nodeAffinity", "replicas", "modelSourceConfig.fsxStorage", "modelSourceConfig.huggingFaceModel",
    "intelligentRoutingSpec.enabled", "worker.resources", "worker.modelInvocationPort", "worker.modelVolumeMount",
    "pdSpec.topologySpec", "autoScalingSpec", "intelligentRoutingSpec.autoScalingSpec",
}  # fmt: skip


def helm(values: dict[str, Any], folder: Path, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    file = folder / "values.yaml"
    file.write_text(write((), (Entry(key, each) for key, each in values.items())), encoding="utf-8")
    command = [TOOLS / "helm", "template", "x", chart, "--values", file]
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)


def manifests(values: dict[str, Any], folder: Path) -> str:
    done = helm(values, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def changed(base: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    values = copy.deepcopy(base)
    holder = values
    *outer, last = dotted.split(".")
    for key in outer:
        holder = holder.setdefault(key, {})
    holder[last] = value
    if dotted == "modelSourceConfig.modelSourceType":
        values["modelSourceConfig"]["huggingFaceModel"] = {"modelId": "a/b"}
    return values


def covers(row: Row, dotted: str) -> bool:
    return row.path == tuple(dotted.split("."))[: len(row.path)]


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CASES / "accept/dpd-page/values.yaml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def drawn_base(base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return manifests(base, tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("dotted", sorted(FIELDS))
def test_a_field_shows_in_the_manifests_unless_the_ledger_says_otherwise(
    dotted: str, base: dict[str, Any], drawn_base: str, tmp_path: Path
) -> None:
    is_drawn = manifests(changed(base, dotted, FIELDS[dotted]), tmp_path) != drawn_base
    assert is_drawn is not any(covers(row, dotted) for row in rows())


@pytest.mark.parametrize("dotted", sorted(REFUSED))
def test_a_value_that_the_ledger_tells_of_is_refused(dotted: str, base: dict[str, Any], tmp_path: Path) -> None:
    assert any(covers(row, dotted) for row in rows())
    assert helm(changed(base, dotted, REFUSED[dotted]), tmp_path).returncode != 0


def test_every_field_of_the_contract__in_the_ledger(contract: Contract) -> None:
    told = {*FIELDS, *REFUSED, *ELSEWHERE}
    fields = [".".join(str(step) for step in path[1:]) for path in contract.spec_paths(depth=2)]
    silent = [
        each
        for each in fields
        if each not in told
        and not any(other.startswith(f"{each}.") for other in told)
        and not any(each.startswith(f"{other}.") for other in told)
    ]
    assert silent == []
