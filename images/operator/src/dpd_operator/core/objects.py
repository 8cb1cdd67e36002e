"""What a Kubernetes object is to us: who it is, and which endpoint or release it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Tree = Mapping[str, Any]

GROUP = "inference.sagemaker.aws.amazon.com"
VERSION = "v1"
PLURAL = "inferenceendpointconfigs"
KIND = "InferenceEndpointConfig"
FINALIZER = f"{GROUP}/dpd-operator"
# On everything the dpd chart draws, pods included.
OURS = "app.kubernetes.io/name=dpd,deploying-service=hyperpod-inference"
COMPONENT = "app.kubernetes.io/component"
_RELEASE_NAME = "meta.helm.sh/release-name"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """An endpoint's place in the cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """One object of the cluster; the namespace is empty for objects of the cluster itself."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"


def key_of(body: Tree) -> Key:
    """Return the key of a stored InferenceEndpointConfig."""
    return Key(body["metadata"]["namespace"], body["metadata"]["name"])


def ref_of(body: Tree) -> Ref:
    """Return who an object is."""
    metadata = body["metadata"]
    return Ref(body["apiVersion"], body["kind"], metadata.get("namespace") or "", metadata["name"])


def release_of(body: Tree) -> tuple[str, str]:
    """Return namespace and name of the Helm release an object belongs to; empty when it belongs to none."""
    annotations = body["metadata"].get("annotations") or {}
    return annotations.get(_RELEASE_NAMESPACE, ""), annotations.get(_RELEASE_NAME, "")


def labels_of(body: Tree) -> Mapping[str, str]:
    """Return the labels of an object."""
    return body["metadata"].get("labels") or {}


def is_leaving(body: Tree) -> bool:
    """Whether somebody asked for the object's deletion."""
    return "deletionTimestamp" in body["metadata"]
