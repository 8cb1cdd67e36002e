"""An endpoint whose router asks for API keys and speaks TLS and nothing else, as a client and `dpd doctor` find it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cluster.kubectl import Kubectl
from cluster.tools import SYSTEM, answered, doctor, helm
from support.paths import CHART, ROOT

VALUES = ROOT / "tests/cluster/values/small.yaml"
NAMESPACE = "team-d"
NAME = "secured"
HOST = f"{NAME}-{NAMESPACE}-routing-service.{SYSTEM}.svc.cluster.local"
KEY = "a-key-of-search"
SECURED = (
    "router.tls.mode=strict",
    "router.tls.existingSecret=secured-tls",
    "router.auth.existingSecret=secured-keys",
    "router.replicas=1",
    "pdSpec.prefillSpec.replicas=1",
    "pdSpec.decodingSpec.replicas=1",
)

pytestmark = pytest.mark.timeout(600)


def secret(name: str, entries: dict[str, bytes]) -> str:
    data = {key: base64.b64encode(value).decode() for key, value in entries.items()}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(live_cluster: Kubectl, authority: trustme.CA) -> Iterator[Kubectl]:
    for each in (NAMESPACE, SYSTEM):
        live_cluster.kubectl("create", "namespace", each)
    made = authority.issue_cert(HOST)
    certificate = {"tls.crt": made.cert_chain_pems[0].bytes(), "tls.key": made.private_key_pem.bytes()}
    for name, entries in (("secured-tls", certificate), ("secured-keys", {"search": KEY.encode()})):
        live_cluster.must("apply", "--namespace", SYSTEM, "--filename=-", text=secret(name, entries))
    flags = [word for each in SECURED for word in ("--set", each)]
    place = ("--namespace", NAMESPACE, "--wait", "--timeout=5m")
    helm(live_cluster, "install", NAME, CHART, *place, "--values", VALUES, *flags)
    yield live_cluster
    helm(live_cluster, "uninstall", NAME, *place)
    live_cluster.must("delete", "secret", "secured-tls", "secured-keys", "--namespace", SYSTEM)


def status(plane: Kubectl, authority: trustme.CA, pod: str, scheme: str, *headers: str) -> str:
    """Ask from a pod of the cluster that trusts the authority; return the answer's status."""
    body = json.dumps({"model": "/opt/ml/model", "max_tokens": 4, "messages": [{"role": "user", "content": "Hello."}]})
    said = [word for each in ("Content-Type: application/json", *headers) for word in ("--header", each)]
    trusted = authority.cert_pem.bytes().decode()
    script = 'printf "%s" "$0" > /tmp/ca.crt && exec curl --silent --output /dev/null --cacert /tmp/ca.crt "$@"'
    words = ["--write-out", "%{http_code}", "--data", body, *said, f"{scheme}://{HOST}:443/v1/chat/completions"]
    return answered(plane, NAMESPACE, pod, ["sh", "-c", script, trusted, *words])


def test_it_answers_who_has_a_key_over_tls_and_nobody_else(secured: Kubectl, authority: trustme.CA) -> None:
    assert status(secured, authority, "ask-with-key", "https", f"Authorization: Bearer {KEY}") == "200"
    assert status(secured, authority, "ask-without-key", "https") == "401"
    assert status(secured, authority, "ask-in-plain", "http", f"Authorization: Bearer {KEY}") == "400"


def test_helm_test_and_the_doctor_find_nothing_wrong_with_it(secured: Kubectl, tmp_path: Path) -> None:
    assert "Succeeded" in helm(secured, "test", NAME, "--namespace", NAMESPACE)
    held = tmp_path / "key"
    held.write_text(KEY)
    found = doctor(secured, NAME, NAMESPACE, "--probe", "--key-file", held)
    assert (found["faults"], found["unasked"]) == ([], [])


def test_the_doctor_tells_whoever_brings_no_key_or_a_wrong_one(secured: Kubectl, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the router asks for an API key; give one with --key-file FILE"):
        doctor(secured, NAME, NAMESPACE, "--probe")
    held = tmp_path / "key"
    held.write_text("a-key-of-nobody")
    assert doctor(secured, NAME, NAMESPACE, "--probe", "--key-file", held)["faults"] == ["probe"]
