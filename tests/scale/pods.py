"""The pods of one endpoint's two Deployments, as many as wanted, on nodes that only the API server has."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kubernetes import config

from cluster.control import ControlPlane
from dpd_operator.kube import ApiServer
from dpd_operator.seams import ApiError
from router.pods import REVISION, ROLE
from support import waiting

_PODS = "/api/v1/namespaces/default/pods"
_LABEL = {"labelSelector": "app=e"}
_until = partial(waiting.until, patience_seconds=900.0, pause_seconds=0.2)


@dataclass
class Leaving:
    """When the API server told of each pod that it leaves, by the pod's address, on the system's monotonic clock."""

    told: dict[str, float] = field(default_factory=dict)

    def heard(self, event: dict[str, Any]) -> None:
        """Note one event of a watch."""
        body = event["object"]
        is_leaving = event["type"] == "DELETED" or "deletionTimestamp" in body["metadata"]
        if event["type"] != "BOOKMARK" and is_leaving:
            self.told.setdefault(body["status"].get("podIP", ""), time.monotonic())

    def until(self, count: int) -> None:
        """Wait until so many are on their way out, or gone. Raises TimeoutError."""
        _until(lambda: len(self.told) >= count, lambda: f"{len(self.told)} pods leave")


class Pods:
    """Prefillers and decoders of the endpoint `e` in the namespace `default`, and the account that a router has."""

    def __init__(self, plane: ControlPlane) -> None:
        """Make both Deployments without any pod, and the account with a router's rights."""
        self._kube = ApiServer(config.new_client_from_config(str(plane.kubeconfig)))
        self._plane = plane
        documents = [_deployment("prefill"), _deployment("decode"), *_account()]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        plane.must("apply", "--filename=-", text=text)

    def scale(self, prefillers: int, decoders: int) -> None:
        """Ask for so many of each."""
        for role, count in (("prefill", prefillers), ("decode", decoders)):
            self._plane.must("scale", f"deployment/{role}-e", f"--replicas={count}")

    def until_ready(self, count: int) -> None:
        """Wait until so many serve and no other is there. Raises TimeoutError."""

        def counts() -> tuple[int, int]:
            items = (self._kube.get(_PODS, _LABEL) or {})["items"]
            return len(items), sum(map(_serves, items))

        _until(lambda: counts() == (count, count), lambda: f"pods, and of them ready: {counts()}")

    @contextlib.contextmanager
    def leaving(self) -> Iterator[Leaving]:
        """Note who leaves while the block runs."""
        leaving, ended = Leaving(), threading.Event()
        version = (self._kube.get(_PODS, {**_LABEL, "limit": "1"}) or {})["metadata"]["resourceVersion"]

        def follow() -> None:
            while not ended.is_set():
                with contextlib.suppress(ApiError):
                    for event in self._kube.watch(_PODS, {**_LABEL, "resourceVersion": version}):
                        leaving.heard(event)

        threading.Thread(target=follow, daemon=True).start()
        try:
            yield leaving
        finally:
            ended.set()


def _serves(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _deployment(role: str) -> dict[str, Any]:
    labels = {"app": "e", ROLE: role, REVISION: "r1"}
    container = {"name": f"{role}-e", "image": "none"}
    pod = {"metadata": {"labels": labels}, "spec": {"automountServiceAccountToken": False, "containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{role}-e", "namespace": "default"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "e", ROLE: role}}, "template": pod},
    }


def _account() -> list[dict[str, Any]]:
    place = {"name": "router", "namespace": "default"}
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", **place}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": place, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "router"},
            "subjects": [subject],
        },
    ]
