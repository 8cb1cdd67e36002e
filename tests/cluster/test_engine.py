"""The engine itself, vLLM with LMCache and NIXL on processors, in pods: a prompt goes through prefiller and decoder."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import images
from cluster import live
from cluster.kubectl import Kubectl
from cluster.tools import SYSTEM, answered, doctor, helm, is_ours, ready
from engines.harness.build import HERE
from engines.harness.endpoint import document
from support.paths import CHART

NAMESPACE = "team-e"
NAME = "tiny"
HOST = f"{NAME}-{NAMESPACE}-routing-service.{SYSTEM}.svc.cluster.local"
IMAGE = images.IMAGES["worker-cpu"]
# Longer than the manifest's threshold of 256 tokens, whatever a token is.
LONG = "def add(left, right): return left + right. " * 60
_RETRIEVED = re.compile(r"Retrieved (\d+) out of (\d+) required tokens")

# The image is built first when it was not yet.
pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def tiny(live_cluster: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    if is_ours():
        buildah, _ = images.tools()
        live.load(images.build(buildah, IMAGE))
    for each in (NAMESPACE, SYSTEM):
        live_cluster.kubectl("create", "namespace", each)
    place = ("--namespace", NAMESPACE, "--wait", "--timeout=10m")
    helm(live_cluster, "install", NAME, CHART, *place, "--values", values(tmp_path_factory.mktemp("tiny")))
    yield live_cluster
    helm(live_cluster, "uninstall", NAME, *place)


def values(folder: Path) -> Path:
    """Values of the manifest that the tests on real engines start from, with a model that the pods make themselves."""
    found = document()
    found["metadata"]["namespace"] = NAMESPACE
    spec = found["spec"]
    mount = spec["worker"]["modelVolumeMount"]
    del spec["modelSourceConfig"]["modelLocation"]
    maker = {
        "name": "model",
        "image": IMAGE.tag,
        "command": ["python", "-c", (HERE / "model.py").read_text(encoding="utf-8"), mount["mountPath"]],
        "volumeMounts": [mount],
    }
    spec["kubernetes"] = {"volumes": [{"name": mount["name"], "emptyDir": {}}], "initContainers": [maker]}
    spec["worker"]["resources"] = {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "6Gi"}}
    manifest, rendered = folder / "endpoint.yaml", folder / "values.yaml"
    manifest.write_text(yaml.safe_dump(found), encoding="utf-8")
    command = [sys.executable, "-m", "dpd", "render", str(manifest), "-o", str(rendered)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return rendered


def test_a_real_engine_answers_a_prompt_whose_prefill_another_one_computed(tiny: Kubectl) -> None:
    body = {"model": "tiny", "max_tokens": 8, "messages": [{"role": "user", "content": LONG}]}
    url = f"http://{HOST}:443/v1/chat/completions"
    header = "Content-Type: application/json"
    curl = ["curl", "--silent", "--fail-with-body", "--header", header, "--data", json.dumps(body), url]
    answer = json.loads(answered(tiny, NAMESPACE, "ask", curl))
    assert answer["usage"]["completion_tokens"] == 8
    (decoder,) = ready(tiny, NAMESPACE, f"app={NAME},app.kubernetes.io/component=decode")
    log = tiny.must("logs", decoder, "--namespace", NAMESPACE, f"--container=decode-{NAME}")
    (counts,) = _RETRIEVED.findall(log)
    got, needed = map(int, counts)
    assert got == needed > 256
    found = doctor(tiny, NAME, NAMESPACE)
    assert (found["faults"], found["unasked"]) == ([], [])
