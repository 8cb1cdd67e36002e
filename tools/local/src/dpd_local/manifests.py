"""First stop: the objects that Helm rendered, by kind and name."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Object = Mapping[str, Any]
ROLE_LABEL = "inference.sagemaker.aws.amazon.com/dpd-role"
PROXY_CONTAINER = "sidecar-reverse-proxy"
ROUTER_CONTAINER = "router-container"


class Manifests:
    """The objects of one release; reading only."""

    def __init__(self, text: str) -> None:
        self._objects: list[Object] = [each for each in yaml.safe_load_all(text) if each]

    def of_kind(self, kind: str) -> Iterator[Object]:
        """Every object of a kind, in the order of rendering."""
        return (each for each in self._objects if each["kind"] == kind)

    def config_map(self, name: str) -> Mapping[str, str]:
        """The data of a ConfigMap. Raises KeyError with what is there when it is missing."""
        found = {each["metadata"]["name"]: each.get("data", {}) for each in self.of_kind("ConfigMap")}
        if name not in found:
            raise KeyError(f"ConfigMap {name}: not among the rendered ones ({', '.join(sorted(found))})")
        data: Mapping[str, str] = found[name]
        return data

    def router(self) -> Object | None:
        """The router's Deployment, if the endpoint has one."""
        return next((each for each in self.of_kind("Deployment") if container(each, ROUTER_CONTAINER)), None)

    def workers(self) -> dict[str, Object]:
        """The engines' Deployments by role: prefill, decode, or worker when colocated."""
        deployments = [each for each in self.of_kind("Deployment") if container(each, PROXY_CONTAINER)]
        return {pod(each)["metadata"]["labels"].get(ROLE_LABEL, "worker"): each for each in deployments}


def pod(deployment: Object) -> Object:
    """The pod template of a Deployment."""
    template: Object = deployment["spec"]["template"]
    return template


def container(deployment: Object, name: str) -> Object | None:
    """A container of a Deployment by its name."""
    return next((each for each in pod(deployment)["spec"]["containers"] if each["name"] == name), None)


def worker_container(deployment: Object) -> Object:
    """The engine's container: the first one, as `kubectl logs` without -c would choose."""
    first: Object = pod(deployment)["spec"]["containers"][0]
    return first
