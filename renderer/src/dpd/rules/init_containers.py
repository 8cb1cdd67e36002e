"""kubernetes.initContainers: one name each, and none that a container of the pod has already."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, shown
from dpd.rules import repeated

_CONTAINERS: FieldPath = ("spec", "kubernetes", "initContainers")
_OWN = ("verify-worker", "model-weights-copy", "hf-model-downloader")
_BESIDE = ("sidecar-reverse-proxy", "otel-collector", "s3-uploader")


def names_differ(endpoint: Endpoint) -> Iterator[Problem]:
    """No two init containers have one name: Kubernetes refuses the pod, and with it the Deployment."""
    for index, name, first in repeated.names(endpoint.part("kubernetes").get("initContainers") or []):
        fact = f"{shown(name)} is used twice, first in initContainers[{first}]"
        yield Problem((*_CONTAINERS, index, "name"), fact, "rename one of them")


def names_are_free(endpoint: Endpoint) -> Iterator[Problem]:
    """No init container takes the name of one that checks the pod, brings the model, or runs in the pod afterwards."""
    prefixes = ("prefill-", "decode-") if endpoint.is_disaggregated else ("",)
    workers = [f"{prefix}{endpoint.name}" for prefix in prefixes if endpoint.name]
    for index, each in enumerate(endpoint.part("kubernetes").get("initContainers") or []):
        name = each.get("name")
        if name in _OWN:
            fact = f"{shown(name)} is the endpoint's own init container"
        elif name in _BESIDE or name in workers:
            fact = f"{shown(name)} is a container of the endpoint's own pods"
        else:
            continue
        yield Problem((*_CONTAINERS, index, "name"), fact, "use another name")
