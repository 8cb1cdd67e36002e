"""What the scenarios do to a cluster: helm, waiting, and a crowd of clients beside it."""

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cluster import live
from cluster.kubectl import Kubectl, environment
from support import waiting
from support.paths import ROOT, TOOLS

SYSTEM = "hyperpod-inference-system"
PATIENCE_SECONDS = 300.0
CLIENTS = 3
# Answers that must come after an event before it counts as weathered.
ENOUGH = 12
until = partial(waiting.until, patience_seconds=PATIENCE_SECONDS, pause_seconds=0.5)
_CROWD = Path(__file__).with_name("crowd.py")


def helm(plane: Kubectl, *words: str | Path) -> str:
    """Run helm and return what it prints. Raises AssertionError with its complaint."""
    command = [str(TOOLS / "helm"), *map(str, words), f"--kubeconfig={plane.kubeconfig}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}\n{story(plane)}"
    return done.stdout


def doctor(plane: Kubectl, name: str, namespace: str, *more: str | Path) -> dict[str, Any]:
    """Return what `dpd doctor` says of an endpoint. Raises AssertionError with its complaint."""
    words = ("doctor", name, f"--namespace={namespace}", "--output-format=json", *map(str, more))
    command = [sys.executable, "-m", "dpd", *words, f"--kubeconfig={plane.kubeconfig}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == int(not found["healthy"])
    return found


def story(plane: Kubectl) -> str:
    """Return what a person would look at first: pods and recent events of the whole cluster."""
    pods = plane.kubectl("get", "pods", "--all-namespaces", "--output=wide").stdout
    events = plane.kubectl("get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp").stdout
    return f"{pods}\n" + "\n".join(events.splitlines()[-40:])


def items(plane: Kubectl, kind: str, namespace: str, labels: str) -> list[dict[str, Any]]:
    """Return objects by label."""
    said = plane.must("get", kind, "--namespace", namespace, f"--selector={labels}", "--output=json")
    found: list[dict[str, Any]] = json.loads(said)["items"]
    return found


def ready(plane: Kubectl, namespace: str, labels: str) -> list[str]:
    """Return the names of the pods that serve and are not on their way out."""
    return [
        each["metadata"]["name"]
        for each in items(plane, "pods", namespace, labels)
        if "deletionTimestamp" not in each["metadata"]
        and any(it["type"] == "Ready" and it["status"] == "True" for it in each["status"].get("conditions", []))
    ]


def answered(plane: Kubectl, namespace: str, name: str, command: list[str]) -> str:
    """Run a command in a pod with curl and return what it printed; attached, its first words might get lost."""
    container = {"name": name, "image": "curlimages/curl:8.15.0", "command": command}
    spec = {"restartPolicy": "Never", "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
    place = ("--namespace", namespace)
    plane.must("create", "--filename=-", text=json.dumps(pod))
    try:
        done = plane.kubectl("wait", f"pod/{name}", *place, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=2m")
        said = plane.must("logs", name, *place)
        assert done.returncode == 0, f"{said}\n{story(plane)}"
        return said
    finally:
        plane.must("delete", "pod", name, *place, "--grace-period=0", "--force")


@dataclass(frozen=True, slots=True)
class Crowd:
    """Clients that go on asking one endpoint, from a pod of its own."""

    plane: Kubectl
    namespace: str

    def answers(self) -> list[str]:
        """Return a line for each answer so far."""
        return self.plane.kubectl("logs", "crowd", "--namespace", self.namespace).stdout.splitlines()

    def go_on(self) -> None:
        """Wait for a number of further answers."""
        already = len(self.answers())
        until(lambda: len(self.answers()) >= already + ENOUGH, lambda: story(self.plane))


@contextlib.contextmanager
def crowd(plane: Kubectl, namespace: str, host: str) -> Iterator[Crowd]:
    """Let clients ask an endpoint while the block runs; not one answer may be wrong."""
    program = _CROWD.read_text(encoding="utf-8")
    container = {
        "name": "crowd",
        "image": "dpd-simulator:0.1.0",
        "command": ["python3", "-c", program, host, "443", str(CLIENTS)],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "crowd", "namespace": namespace},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    plane.must("create", "--filename=-", text=json.dumps(pod))
    found = Crowd(plane, namespace)
    try:
        found.go_on()
        yield found
        found.go_on()
        plane.must("exec", "crowd", "--namespace", namespace, "--", "touch", "/tmp/stop")
        plane.must(
            "wait", "pod/crowd", "--namespace", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=2m"
        )
        counted = Counter(found.answers())
        assert set(counted) == {"ok"}, f"{counted}\n{story(plane)}"
    finally:
        plane.must("delete", "pod", "crowd", "--namespace", namespace, "--grace-period=0", "--force")


def is_ours() -> bool:
    """Whether the cluster is the one on this machine, whose parts can be ended and started."""
    return os.environ.get("DPD_CLUSTER", str(live.KUBECONFIG)) == str(live.KUBECONFIG)
