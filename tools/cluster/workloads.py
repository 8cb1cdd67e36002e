"""What the live cluster runs: the project's own images, and stand-ins for those of registries that it does not reach.

Usage: workloads.py   build what is not there yet, start the cluster with it; prints the kubeconfig's path.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import images
from cluster import live
from cluster.provision import kubernetes_version
from debian import UnavailableError
from images import Image

_STAGE = Path(".cache/images/operator")
_STAGED = ("charts/dpd", "images/operator", "renderer")
_OWN = (
    Image(str(_STAGE), "images/operator/Dockerfile"),
    Image("images/router", "images/router/Dockerfile"),
    Image("images/simulator", "images/simulator/Dockerfile"),
)
_STANDINS = Image("tests/cluster/standins", "tests/cluster/standins/Dockerfile")
_REGISTRY = (
    "openresty/openresty:1.27.1.2-alpine",
    "otel/opentelemetry-collector-contrib:0.138.0",
    "curlimages/curl:8.15.0",
)


def build() -> dict[Path, tuple[str, ...]]:
    """Build what is not there yet; return the archives, each with the names it gets beside its own.

    Raises LiveError or UnavailableError.
    """
    if os.geteuid() != 0:
        raise live.LiveError("images hold files of more than one owner: run this as root, or build them with docker")
    images.FOLDER.mkdir(parents=True, exist_ok=True)
    buildah, root = images.tools()
    images.base(buildah, root)
    _stage()
    built: dict[Path, tuple[str, ...]] = {images.build(buildah, image): () for image in _OWN}
    return built | {images.build(buildah, _STANDINS): _REGISTRY}


def _stage() -> None:
    """Lay the controller's build context out in a folder of its own: a cache may be a link that no builder follows."""
    target = images.ROOT / _STAGE
    shutil.rmtree(target, ignore_errors=True)
    for each in _STAGED:
        shutil.copytree(images.ROOT / each, target / each, ignore=shutil.ignore_patterns("__pycache__"))
    (target / ".cache/bin").mkdir(parents=True)
    shutil.copy(images.ROOT / ".cache/bin/helm", target / ".cache/bin/helm")
    shutil.copy(images.ROOT / ".dockerignore", target / ".dockerignore")


def main() -> int:
    """Entry point; returns the exit status."""
    began = time.monotonic()
    try:
        live.up(build())
    except (live.LiveError, UnavailableError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    print(f"Kubernetes {kubernetes_version()}, {time.monotonic() - began:.0f} s; export KUBECONFIG={live.KUBECONFIG}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
