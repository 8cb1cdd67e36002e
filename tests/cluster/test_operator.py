"""The controller in the cluster: the documented manifest on a node of eight GPUs, changes of it, ends in mid-work."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster import live
from cluster.kubectl import Kubectl
from cluster.tools import SYSTEM, helm, is_ours, items, ready, story, until
from support.paths import ROOT

CONTROLLER = "hyperpod-inference-operator-controller-manager"
VALUES = ROOT / "tests/cluster/values/operator.yaml"
DOCUMENTED = ROOT / "examples/llama-3.3-70b-dpd.yaml"
NAMESPACE = "team-b"
NAME = "dpd-test"
SERVICE = f"http://{NAME}-{NAMESPACE}-routing-service.{SYSTEM}.svc.cluster.local:443/v1/chat/completions"
# The documentation's: 600 times a sentence of 45 characters.
LONG = "The quick brown fox jumps over the lazy dog. " * 600

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def operator(live_cluster: Kubectl) -> Iterator[Kubectl]:
    for each in (NAMESPACE, SYSTEM):
        live_cluster.kubectl("create", "namespace", each)
    install = ("install", "dpd-operator", ROOT / "charts/dpd-operator", "--namespace", SYSTEM, "--values", VALUES)
    helm(live_cluster, *install, "--wait", "--timeout=5m")
    yield live_cluster
    # First what it made, while it can still take it away.
    live_cluster.must("delete", "inferenceendpointconfigs", "--all", "--namespace", NAMESPACE, "--timeout=5m")
    helm(live_cluster, "uninstall", "dpd-operator", "--namespace", SYSTEM, "--wait")


def documented(name: str) -> dict[str, Any]:
    """The manifest of the documentation, but for what a small machine lacks: weights, cores, the engine's image."""
    found: dict[str, Any] = yaml.safe_load(DOCUMENTED.read_text(encoding="utf-8"))
    found["metadata"].update(name=name, namespace=NAMESPACE)
    spec = found["spec"]
    spec["endpointName"] = name
    spec["modelSourceConfig"] = {"modelSourceType": "kubernetesVolume"}
    spec["kubernetes"] = {"volumes": [{"name": "model-weights", "emptyDir": {}}]}
    spec["worker"]["image"] = "dpd-simulator:0.1.0"
    for role in ("prefillSpec", "decodingSpec"):
        spec["pdSpec"][role]["resources"]["requests"].update(cpu="50m", memory="256Mi")
        spec["pdSpec"][role]["resources"]["limits"]["memory"] = "64Gi"
    return found


def apply(plane: Kubectl, document: dict[str, Any]) -> None:
    plane.must("apply", "--filename=-", text=json.dumps(document))


def complete(plane: Kubectl, name: str) -> None:
    """Wait until what was last applied is complete; one that failed is told at once."""

    def summary() -> tuple[bool, str, str]:
        found = json.loads(
            plane.must("get", "inferenceendpointconfig", name, "--namespace", NAMESPACE, "--output=json")
        )
        status = found.get("status") or {}
        message = (status.get("conditions") or [{}])[0].get("message", "")
        return status.get("observedGeneration") == found["metadata"]["generation"], status.get("state", ""), message

    def ended() -> tuple[bool, str, str] | None:
        found = summary()
        return found if found[0] and found[1] in ("DeploymentComplete", "DeploymentFailed") else None

    _, state, message = until(ended, summary)
    assert state == "DeploymentComplete", f"{message}\n{story(plane)}"


def role(name: str, component: str) -> str:
    return f"app.kubernetes.io/instance={name},app.kubernetes.io/component={component}"


def ask(plane: Kubectl, pod: str, prompt: str) -> Any:
    body = json.dumps({"model": "/opt/ml/model", "messages": [{"role": "user", "content": prompt}], "max_tokens": 8})
    how = ["--rm", "--stdin", "--quiet", "--image=curlimages/curl:8.15.0", "--restart=Never", "--namespace", NAMESPACE]
    curl = ["curl", "-s", "-k", "-X", "POST", SERVICE, "-H", "Content-Type: application/json", "-d", "@-"]
    return json.loads(plane.must("run", pod, *how, "--command", "--", *curl, text=body))


def served(answer: dict[str, Any]) -> dict[str, Any] | None:
    """Return an answer, None where nobody could give one just then."""
    if "choices" not in answer:
        assert answer["error"]["type"] == "service_unavailable_error", answer
        print(answer)
        return None
    return answer


def test_the_documented_manifest_serves_on_gpus_efa_and_huge_pages(operator: Kubectl) -> None:
    apply(operator, documented(NAME))
    complete(operator, NAME)
    columns = operator.must("get", "pods", "--all-namespaces", "--no-headers")
    counts = {line.split()[1].rsplit("-", 2)[0]: line.split()[2] for line in columns.splitlines()}
    assert counts[f"prefill-{NAME}"] == counts[f"decode-{NAME}"] == "3/3"
    assert counts[f"{NAME}-{NAMESPACE}-router"] == "2/2"
    for component in ("prefill", "decode"):
        (pod,) = items(operator, "pods", NAMESPACE, role(NAME, component))
        limits = pod["spec"]["containers"][0]["resources"]["limits"]
        asked = {key: limits.get(key) for key in ("nvidia.com/gpu", "vpc.amazonaws.com/efa", "hugepages-2Mi")}
        assert asked == {"nvidia.com/gpu": "8", "vpc.amazonaws.com/efa": "32", "hugepages-2Mi": "5Gi"}


def test_its_long_prompt_goes_through_the_prefiller_and_its_logs_say_so(operator: Kubectl) -> None:
    short = ask(operator, "curl-short", "What is disaggregated prefill-decode in one sentence?")
    long = ask(operator, "curl-long", LONG)
    assert [each["choices"][0]["finish_reason"] for each in (short, long)] == ["length", "length"]
    router, prefill, decode = (
        ready(operator, place, role(NAME, component))[0]
        for component, place in (("router", SYSTEM), ("prefill", NAMESPACE), ("decode", NAMESPACE))
    )
    told = operator.must("logs", router, "--namespace", SYSTEM, "--container=router-container")
    assert "Conditional routing: estimated_tokens=13, threshold=4096, disaggregate=False" in told
    assert "Conditional routing: estimated_tokens=6750, threshold=4096, disaggregate=True" in told
    for pod, container, said in (
        (prefill, f"prefill-{NAME}", "'pd_role': 'sender'"),
        (decode, f"decode-{NAME}", "'pd_role': 'receiver'"),
        (decode, f"decode-{NAME}", "Retrieved"),
    ):
        assert said in operator.must("logs", pod, "--namespace", NAMESPACE, f"--container={container}")


def test_it_becomes_colocated_and_disaggregated_again_by_applying(operator: Kubectl) -> None:
    disaggregated = documented(NAME)
    colocated = copy.deepcopy(disaggregated)
    colocated["spec"]["worker"]["resources"] = colocated["spec"].pop("pdSpec")["decodingSpec"]["resources"]
    for document, roles in ((colocated, {"worker"}), (disaggregated, {"prefill", "decode"})):
        apply(operator, document)
        complete(operator, NAME)
        deployments = items(operator, "deployments", NAMESPACE, f"app.kubernetes.io/instance={NAME}")
        assert {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in deployments} == roles
        # A router that is leaving may have the first prompt, and has nobody of the former shape to give it to.
        answer = until(lambda: served(ask(operator, "curl-changed", LONG)), lambda: story(operator))
        assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.skipif(not is_ours(), reason="only the cluster on this machine has an API server that can be ended")
def test_the_controller_goes_on_where_it_was_when_the_api_server_begins_anew(operator: Kubectl) -> None:
    live.restart("kube-apiserver")
    service = f"{NAME}-{NAMESPACE}-routing-service"
    operator.must("delete", "service", service, "--namespace", SYSTEM)
    operator.must("wait", f"service/{service}", "--namespace", SYSTEM, "--for=create", "--timeout=5m")
    complete(operator, NAME)


def test_a_controller_that_ends_in_the_middle_leaves_an_endpoint_that_the_next_one_completes(operator: Kubectl) -> None:
    selector = f"owner=helm,name=torn.{NAMESPACE}"
    document = documented("torn")
    # The node's huge pages are taken.
    document["metadata"]["annotations"] = {"inference.sagemaker.aws.amazon.com/dpd-transfer": "tcp"}
    apply(operator, document)
    # Helm has begun as soon as it has a record.
    until(lambda: items(operator, "secrets", SYSTEM, selector), lambda: story(operator))
    (gone,) = (each for each in ready(operator, SYSTEM, "") if each.startswith(CONTROLLER))
    operator.must("delete", "pod", gone, "--namespace", SYSTEM, "--grace-period=0", "--force")
    complete(operator, "torn")
    records = items(operator, "secrets", SYSTEM, selector)
    states = [each["metadata"]["labels"]["status"] for each in records]
    assert [each for each in states if each != "superseded"] == ["deployed"]
    operator.must("delete", "inferenceendpointconfig", "torn", "--namespace", NAMESPACE, "--timeout=3m")
    assert items(operator, "deployments,services,configmaps", NAMESPACE, "app.kubernetes.io/instance=torn") == []
