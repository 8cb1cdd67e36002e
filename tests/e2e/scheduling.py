"""A real scheduler beside the API server, nodes that exist only there, and the pods that Deployments would make."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.control import ControlPlane
from cluster.provision import BOX

PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
CAPACITY = {
    "cpu": "192",
    "memory": "2048Gi",
    "pods": "110",
    "nvidia.com/gpu": "8",
    "vpc.amazonaws.com/efa": "32",
    "hugepages-2Mi": "10256Mi",
}


@dataclass(frozen=True)
class Node:
    """A node of eight GPUs: its name, zone, instance type, further labels, and the key of a taint, if it has one."""

    name: str
    zone: str
    instance_type: str = "ml.p5.48xlarge"
    labels: tuple[tuple[str, str], ...] = ()
    taint: str = ""


@contextlib.contextmanager
def scheduler(plane: ControlPlane, folder: Path) -> Iterator[None]:
    """Run kube-scheduler until the block ends."""
    command = [BOX, "kube-scheduler", f"--kubeconfig={plane.kubeconfig}", "--leader-elect=false", "--secure-port=0"]
    with (folder / "kube-scheduler.log").open("wb") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def nodes(plane: ControlPlane, *wanted: Node) -> Iterator[None]:
    """Let these nodes exist, ready and empty, until the block ends."""
    for node in wanted:
        labels = {"topology.kubernetes.io/zone": node.zone, "node.kubernetes.io/instance-type": node.instance_type}
        metadata = {"name": node.name, "labels": {**labels, **dict(node.labels)}}
        plane.must(
            "create", "--filename=-", text=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        )
        # A node is born tainted, until somebody says that it is ready.
        taints = [{"key": node.taint, "effect": "NoSchedule"}] if node.taint else []
        _patch(plane, node.name, {"spec": {"taints": taints}})
        ready = [{"type": "Ready", "status": "True", "reason": "Test", "message": ""}]
        status = {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": ready}
        _patch(plane, node.name, {"status": status}, "--subresource=status")
    try:
        yield
    finally:
        for node in wanted:
            plane.must("delete", "node", node.name)


def pods(deployment: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Return what a Deployment would make: `count` pods of its template."""
    template, name = deployment["spec"]["template"], deployment["metadata"]["name"]
    namespace = deployment["metadata"]["namespace"]
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": f"{name}-{index}", "namespace": namespace},
            "spec": template["spec"],
        }
        for index in range(count)
    ]


def places(plane: ControlPlane, namespace: str, names: list[str]) -> dict[str, str]:
    """Wait until the scheduler has spoken of every pod; return each one's node, empty for one that fits nowhere."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    spoken: dict[str, str] = {}
    while time.monotonic() < deadline:
        found = json.loads(plane.must("get", "pods", "--namespace", namespace, "--output=json"))["items"]
        spoken = {
            each["metadata"]["name"]: each["spec"].get("nodeName", "")
            for each in found
            if each["spec"].get("nodeName") or each["status"].get("conditions")
        }
        if set(names) <= spoken.keys():
            return {name: spoken[name] for name in names}
        time.sleep(_PAUSE_SECONDS)
    raise TimeoutError(f"{namespace}: the scheduler said nothing of {sorted(set(names) - spoken.keys())}")


def _patch(plane: ControlPlane, name: str, patch: Mapping[str, Any], *flags: str) -> None:
    plane.must("patch", "node", name, "--type=merge", f"--patch={json.dumps(patch)}", *flags)
