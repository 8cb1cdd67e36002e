"""A live cluster for the scenarios: the one whose kubeconfig DPD_CLUSTER names, or one made here and ended after."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import images
from cluster import live
from cluster.kubectl import Kubectl
from images import Image
from support.paths import ROOT, TOOLS

_STAGE = Path(".cache/images/operator")
_STAGED = ("charts/dpd", "images/operator", "renderer")
# What the cluster runs, and for what stands in for an image of a registry, that image's name.
_IMAGES = {
    Image(str(_STAGE), "images/operator/Dockerfile"): "",
    Image("images/router", "images/router/Dockerfile"): "",
    Image("images/simulator", "images/simulator/Dockerfile"): "",
    Image("tests/cluster/proxy", "tests/cluster/proxy/Dockerfile"): "openresty/openresty:1.27.1.2-alpine",
    Image("tests/cluster/curl", "tests/cluster/curl/Dockerfile"): "curlimages/curl:8.15.0",
}


@pytest.fixture(scope="session")
def live_cluster() -> Iterator[Kubectl]:
    given = os.environ.get("DPD_CLUSTER")
    if given:
        yield Kubectl(Path(given))
        return
    archives = build_images()
    try:
        yield live.up(archives)
    finally:
        live.down()


def build_images() -> dict[Path, str]:
    """Build what is not there yet; return the archives."""
    images.FOLDER.mkdir(parents=True, exist_ok=True)
    buildah, root = images.tools()
    images.base(buildah, root)
    stage()
    return {images.build(buildah, image): name for image, name in _IMAGES.items()}


def stage() -> None:
    """Lay the controller's build context out in a folder of its own: a cache may be a link that no builder follows."""
    target = ROOT / _STAGE
    shutil.rmtree(target, ignore_errors=True)
    for each in _STAGED:
        shutil.copytree(ROOT / each, target / each, ignore=shutil.ignore_patterns("__pycache__"))
    (target / ".cache/bin").mkdir(parents=True)
    shutil.copy(TOOLS / "helm", target / ".cache/bin/helm")
    shutil.copy(ROOT / ".dockerignore", target / ".dockerignore")
