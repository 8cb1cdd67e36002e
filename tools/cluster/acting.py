"""A control plane on loopback that acts: the controllers, a scheduler, and nodes that only the API server has (kwok).

What is written there runs as far as anybody can see from the API: pods are bound, have an address and are ready. Their
addresses are loopback's, so that one process can answer for all of them, and nothing of it can leave the machine.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster.control import ADDRESS, Component, ControlPlane
from kwok.provision import PROGRAM

PODS = "127.64.0.0/10"
# One of the platform's largest nodes, as its device plugins would advertise it; pods, as many as wanted.
_OFFERS = {
    "cpu": "192",
    "memory": "2048Gi",
    "pods": "1000",
    "nvidia.com/gpu": "8",
    "vpc.amazonaws.com/efa": "32",
    "hugepages-2Mi": "10Gi",
}
_TYPE = "ml.p5.48xlarge"
# Addresses of loopback are no Service's endpoints; no watch of the tests asks for them.
_CONTROLLERS = "*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"
_QUICK = ("--leader-elect=false", "--profiling=false", "--kube-api-qps=300", "--kube-api-burst=600")


@contextlib.contextmanager
def acting(plane: ControlPlane, nodes: int, ports: tuple[int, int, int]) -> Iterator[None]:
    """Run controllers, scheduler and `nodes` nodes until the block ends, on three free ports of loopback."""
    folder, keys = plane.kubeconfig.parent, plane.keys
    config = f"--kubeconfig={plane.kubeconfig}"
    secrets = [
        f"--root-ca-file={keys / 'ca.crt'}",
        f"--service-account-private-key-file={keys / 'service-account.key'}",
        "--use-service-account-credentials=true",
        f"--controllers={_CONTROLLERS}",
    ]
    served = [(f"--bind-address={ADDRESS}", f"--secure-port={port}") for port in ports[:2]]
    address = f"--server-address={ADDRESS}:{ports[2]}"
    own = (config, "--manage-all-nodes=true", "--node-lease-duration-seconds=40", f"--cidr={PODS}", address)
    components = [
        Component(folder, "kube-controller-manager", (config, *served[0], *secrets, *_QUICK)),
        Component(folder, "kube-scheduler", (config, *served[1], *_QUICK)),
        Component(folder, "kwok", own, command=(str(PROGRAM),)),
    ]
    try:
        for each in components:
            each.start()
        plane.must("create", "--filename=-", text=json.dumps(_listed([_node(number) for number in range(nodes)])))
        plane.must("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=300s")
        yield
    finally:
        for each in components:
            each.kill()


def _node(number: int) -> dict[str, Any]:
    labels = {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": _TYPE,
        "topology.kubernetes.io/zone": f"local-1{'abc'[number % 3]}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"fake-{number:04}", "labels": labels},
        "status": {"capacity": _OFFERS, "allocatable": _OFFERS},
    }


def _listed(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": items}


def words(folder: Path) -> str:
    """Return the last words of each part."""
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-800:]}" for path in sorted(folder.glob("*.log")))
