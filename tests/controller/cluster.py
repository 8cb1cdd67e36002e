"""A cluster's users as the tests need them: the person who applies manifests, and what kcm and kubelets would do."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import yaml
from kubernetes import config

from cluster.kubectl import Kubectl
from dpd_operator.core.objects import GROUP, PLURAL, VERSION
from dpd_operator.kube import ApiServer
from support import waiting
from support.paths import CASES

SYSTEM = "hyperpod-inference-system"
PATIENCE_SECONDS = 60.0
until = partial(waiting.until, patience_seconds=PATIENCE_SECONDS, pause_seconds=0.05)


def case(name: str) -> dict[str, Any]:
    """Return the manifest of an accepted case."""
    found: dict[str, Any] = yaml.safe_load((CASES / f"accept/{name}/endpoint.yaml").read_text(encoding="utf-8"))
    return found


class Tenant:
    """One namespace and its endpoints, with the rights of cluster-admin."""

    def __init__(self, plane: Kubectl, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace
        self.kube = ApiServer(config.new_client_from_config(str(plane.kubeconfig)))
        if self.kube.get(f"/api/v1/namespaces/{namespace}") is None:
            self.kube.create("/api/v1/namespaces", {"metadata": {"name": namespace}})

    def apply(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Store a manifest, or change the stored one to it, as `kubectl apply --server-side` does."""
        placed = {**document, "metadata": {**document["metadata"], "namespace": self.namespace}}
        text = json.dumps(placed)
        said = self.plane.must("apply", "--server-side", "--filename=-", "--output=json", text=text)
        found: dict[str, Any] = json.loads(said)
        return found

    def endpoint(self, name: str) -> dict[str, Any] | None:
        """Return an endpoint as it is stored, or None."""
        return self.kube.get(f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{PLURAL}/{name}")

    def until(self, name: str, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Wait until an endpoint's status (empty before there is one) is as it should be; return it."""

        def found() -> dict[str, Any]:
            return (self.endpoint(name) or {}).get("status") or {}

        until(lambda: holds(found()), found)
        return found()

    def until_state(self, name: str, state: str) -> dict[str, Any]:
        """Wait until the status is about the stored generation and has this state."""
        wanted = (self.endpoint(name) or {"metadata": {"generation": 0}})["metadata"]["generation"]
        return self.until(name, lambda it: (it.get("state"), it.get("observedGeneration")) == (state, wanted))

    def until_installed(self, name: str) -> dict[str, Any]:
        """Wait until the stored generation is applied."""
        wanted = (self.endpoint(name) or {"metadata": {"generation": 0}})["metadata"]["generation"]
        return self.until(
            name,
            lambda it: it.get("observedGeneration") == wanted and condition(it, "Applied").get("status") == "True",
        )

    def deployment(self, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Return a Deployment. Raises LookupError when there is none."""
        found = self.kube.get(self._deployment(name, namespace))
        if found is None:
            raise LookupError(f"no Deployment {name} in {namespace or self.namespace}")
        return found

    def make_ready(self, name: str, namespace: str | None = None, pods: int | None = None) -> None:
        """Say what the controllers and kubelets of a real cluster would: all pods of a Deployment (or `pods`) serve."""
        found = self.deployment(name, namespace)
        count = found["spec"]["replicas"] if pods is None else pods
        numbers = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), count)
        status = {**numbers, "observedGeneration": found["metadata"]["generation"]}
        self.kube.merge(f"{self._deployment(name, namespace)}/status", {"status": status})

    def make_page_ready(self, name: str) -> None:
        """Let prefill, decode and router serve."""
        self.make_ready(f"prefill-{name}")
        self.make_ready(f"decode-{name}")
        self.make_ready(f"{name}-{self.namespace}-router", SYSTEM)

    def events(self, name: str) -> list[tuple[str, str]]:
        """Return type and reason of an endpoint's events, as they came."""
        listed = self.kube.get(f"/api/v1/namespaces/{self.namespace}/events") or {"items": []}
        found = [each for each in listed["items"] if each["involvedObject"]["name"] == name]
        ordered = sorted(found, key=lambda each: int(each["metadata"]["resourceVersion"]))
        return [(each["type"], each["reason"]) for each in ordered]

    def belongings(self, name: str) -> set[str]:
        """Return everything of an endpoint that is in the cluster and not on its way out, as kind/namespace/name."""
        kinds = "deployments,daemonsets,services,configmaps,serviceaccounts,poddisruptionbudgets,networkpolicies"
        more = "roles,rolebindings,ingresses,httproutes,certificates,persistentvolumeclaims,persistentvolumes"
        scaling = "scaledobjects,triggerauthentications"
        said = self.plane.must("get", f"{kinds},{more},{scaling},secrets", "--all-namespaces", "--output=json")
        found = [each for each in json.loads(said)["items"] if "deletionTimestamp" not in each["metadata"]]
        release = f"{name}.{self.namespace}"
        return {
            f"{each['kind']}/{each['metadata'].get('namespace', '')}/{each['metadata']['name']}"
            for each in found
            if each["metadata"].get("annotations", {}).get("meta.helm.sh/release-name") == release
            or each["metadata"].get("labels", {}).get("name") == release
        }

    def _deployment(self, name: str, namespace: str | None) -> str:
        return f"/apis/apps/v1/namespaces/{namespace or self.namespace}/deployments/{name}"


def condition(status: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return a condition of a status, empty when there is none."""
    return next((each for each in status.get("conditions") or [] if each["type"] == kind), {})
