"""A live cluster for the scenarios: the one whose kubeconfig DPD_CLUSTER names, or one made here and ended after."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import live, workloads
from cluster.kubectl import Kubectl
from cluster.provision import BOX
from support.paths import TOOLS


@pytest.fixture(scope="session")
def live_cluster() -> Iterator[Kubectl]:
    given = os.environ.get("DPD_CLUSTER")
    if given:
        yield Kubectl(Path(given))
        return
    assert not live.KUBECONFIG.exists(), "a cluster is there: end it (make cluster-down) or name it in DPD_CLUSTER"
    archives = workloads.build()
    try:
        yield live.up(archives)
    finally:
        live.down()
    assert live.remains() == []


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which kubectl and helm are those of this repository."""
    (tmp_path / "kubectl").symlink_to(BOX.resolve())
    (tmp_path / "helm").symlink_to((TOOLS / "helm").resolve())
    return f"{tmp_path}:{os.environ['PATH']}"
