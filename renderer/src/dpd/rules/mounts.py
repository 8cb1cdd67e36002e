"""worker.modelVolumeMount.mountPath: a folder of its own, beside what the chart mounts into the same container."""

import posixpath
from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, shown

_PATH: FieldPath = ("spec", "worker", "modelVolumeMount", "mountPath")
# Folders in which the runtime can make another one to mount on, then those that nothing can be written into.
_WRITABLE = ("/dev/shm", "/tmp", "/run/engine-metrics")  # noqa: S108 - a container's, and nothing is written here
_READ_ONLY = ("/etc/dpd-worker", "/etc/lmcache", "/etc/dpd-model")
_SOURCE = "/model-source"
_REMEDY = "write a folder of its own, as in /opt/ml/model"


def model_has_a_folder_of_its_own(endpoint: Endpoint) -> Iterator[Problem]:
    """The path is absolute, plain, and hides none of the container's other folders."""
    path = endpoint.part("worker", "modelVolumeMount").get("mountPath")
    if not path:
        return
    segments = path.split("/")
    # Two leading slashes would stay two.
    clean = posixpath.normpath("/" + path.strip("/"))
    if not path.startswith("/"):
        yield Problem(_PATH, f"{shown(path)} is relative", "start it with /, as in /opt/ml/model")
    elif ":" in path:
        yield Problem(_PATH, f"{shown(path)} has a colon in it, which Kubernetes does not allow there", _REMEDY)
    elif ".." in segments:
        yield Problem(_PATH, f"{shown(path)} has .. in it, and may come to lie anywhere", _REMEDY)
    elif clean == "/":
        yield Problem(_PATH, f"{shown(path)} is the container's root, and would hide all that is in its image", _REMEDY)
    else:
        for own in _in_the_way(clean, endpoint):
            yield Problem(_PATH, f"{shown(path)} is in the way of {own}, which the chart mounts there", _REMEDY)


def _in_the_way(path: str, endpoint: Endpoint) -> Iterator[str]:
    """Yield the first of the chart's folders that is at the path, below it, or above it and not to be written into."""
    fetched = endpoint.part("modelSourceConfig").get("prefetchEnabled")
    kept = endpoint.part("modelCacheConfig", "weightsCache").get("enabled")
    read_only = (*_READ_ONLY, _SOURCE) if fetched or kept else _READ_ONLY
    for own in (*_WRITABLE, *read_only):
        if path == own or own.startswith(f"{path}/") or (own in read_only and path.startswith(f"{own}/")):
            yield own
            return
