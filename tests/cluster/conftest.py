"""A live cluster for the scenarios: the one whose kubeconfig DPD_CLUSTER names, or one made here and ended after."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import live
from cluster.kubectl import Kubectl
from support.paths import ROOT

IMAGES = ROOT / ".cache" / "images"
# What the cluster runs, and the names of those that stand in for images of a registry.
ARCHIVES = {
    IMAGES / "dpd-operator-0.1.0.tar": "",
    IMAGES / "dpd-router-0.1.0.tar": "",
    IMAGES / "dpd-simulator-0.1.0.tar": "",
    IMAGES / "dpd-test-proxy-0.1.0.tar": "openresty/openresty:1.27.1.2-alpine",
    IMAGES / "dpd-test-curl-8.15.0.tar": "curlimages/curl:8.15.0",
}


@pytest.fixture(scope="session")
def live_cluster() -> Iterator[Kubectl]:
    given = os.environ.get("DPD_CLUSTER")
    if given:
        yield Kubectl(Path(given))
        return
    absent = [str(each) for each in ARCHIVES if not each.exists()]
    assert not absent, f"build the images first: {', '.join(absent)}"
    try:
        yield live.up(ARCHIVES)
    finally:
        live.down()
