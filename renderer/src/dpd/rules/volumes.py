"""kubernetes.volumes: names the chart needs for itself, and the volume that holds the model."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.hints import nearest
from dpd.problems import FieldPath, Problem, shown

_VOLUMES: FieldPath = ("spec", "kubernetes", "volumes")
_MODEL: FieldPath = ("spec", "worker", "modelVolumeMount", "name")
# HyperPod's own names first, then those only this chart takes.
RESERVED = (
    "shm",
    "model-weights-copy",
    "parallel-copy-configmap",
    "lmcache-config",
    "gated-model-downloader-configmap",
    "tmp",
    "engine-metrics",
    "tiered-cache",
    "proxy-config",
    "proxy-tmp",
    "worker-checks",
    "collector-config",
)


def names_are_free(endpoint: Endpoint) -> Iterator[Problem]:
    """No volume takes a name that the pod has already."""
    model = endpoint.part("worker", "modelVolumeMount").get("name")
    source = endpoint.part("modelSourceConfig").get("modelSourceType", "kubernetesVolume")
    first: dict[str, int] = {}
    for index, each in enumerate(endpoint.part("kubernetes").get("volumes") or []):
        name, where = each.get("name", ""), (*_VOLUMES, index, "name")
        if name in RESERVED:
            yield Problem(where, f"{shown(name)} is reserved for the endpoint's own volume", "use another name")
        elif name == model and source != "kubernetesVolume":
            fact = f"{shown(name)} is the volume that modelSourceType {source} makes for the model"
            yield Problem(where, fact, "use another name")
        elif name in first:
            yield Problem(where, f"{shown(name)} is used twice, first in volumes[{first[name]}]", "rename one of them")
        first.setdefault(name, index)
    if model in RESERVED:
        yield Problem(_MODEL, f"{shown(model)} is reserved for the endpoint's own volume", "use another name")


def model_volume_exists(endpoint: Endpoint) -> Iterator[Problem]:
    """modelSourceType kubernetesVolume names a volume that is there."""
    model = endpoint.part("worker", "modelVolumeMount").get("name")
    if endpoint.part("modelSourceConfig").get("modelSourceType") != "kubernetesVolume" or not model:
        return
    names = [each.get("name", "") for each in endpoint.part("kubernetes").get("volumes") or []]
    if model not in names and endpoint.is_sound(("spec", "kubernetes")):
        near = nearest(model, names)
        hint = f"did you mean {near}?" if near else "add a volume of that name there"
        fact = f"{shown(model)} is none of kubernetes.volumes, and modelSourceType is kubernetesVolume"
        yield Problem(_MODEL, fact, hint)
