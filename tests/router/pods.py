"""Pods of a real API server, made and changed through it as kubelets and controllers would; no node is behind them."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.control import ControlPlane

ROLE = "inference.sagemaker.aws.amazon.com/dpd-role"
REVISION = "inference.sagemaker.aws.amazon.com/dpd-revision"


@dataclass
class Pods:
    """The pods of one endpoint in one namespace."""

    plane: ControlPlane
    namespace: str

    def make(self, name: str, role: str, ip: str = "", *, ready: bool = True, revision: str = "r1") -> str:
        """Create a pod, with a status when it has an address; return its uid."""
        labels = {"app": "e", ROLE: role, REVISION: revision}
        document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": labels,
                "annotations": {"kubectl.kubernetes.io/default-container": "engine"},
            },
            # A pod of a node is deleted by its kubelet: here nobody confirms, so it stays as one that is leaving.
            "spec": {
                "nodeName": "node",
                "containers": [{"name": "engine", "image": "e"}, {"name": "proxy", "image": "p"}],
            },
        }
        made = json.loads(self.plane.must("create", "-o", "json", "-f", "-", text=json.dumps(document)))
        if ip:
            self.status(name, ip, ready=ready)
        return str(made["metadata"]["uid"])

    def status(self, name: str, ip: str, *, ready: bool, restarts: int = 0, proxy_restarts: int = 0) -> None:
        """Write a pod's status."""
        status = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [container("engine", restarts), container("proxy", proxy_restarts)],
        }
        patch = json.dumps({"status": status})
        self._run("patch", "pod", name, "--subresource=status", "--type=merge", f"--patch={patch}")

    def leave(self, name: str) -> None:
        """Ask a pod to leave: it gets a deletion timestamp."""
        self._run("delete", "pod", name, "--wait=false")

    def remove(self, name: str) -> None:
        """Take a pod away at once."""
        self._run("delete", "pod", name, "--force", "--grace-period=0", "--wait=false")

    def _run(self, *arguments: str) -> None:
        self.plane.must(*arguments, f"--namespace={self.namespace}")


def container(name: str, restarts: int) -> dict:
    state: dict = {"running": {}}
    return {"name": name, "restartCount": restarts, "ready": True, "image": "i", "imageID": "i", "state": state}


def token_of(plane: ControlPlane, folder: Path, namespace: str, account: str) -> Path:
    """Write a token of a service account and return the file."""
    file = folder / f"{namespace}-{account}.token"
    file.write_text(plane.must("create", "token", account, "--namespace", namespace))
    return file
