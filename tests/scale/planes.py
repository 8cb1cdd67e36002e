"""A control plane that acts, with as many nodes as a scenario wants."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster.acting import acting
from cluster.control import ControlPlane, control_plane, install_platform
from cluster.provision import STAMP
from kwok.provision import STAMP as KWOK
from support.paths import ROOT
from support.ports import free_ports

OWN_CRD = ROOT / "charts/dpd-operator/crds/inferenceendpointconfigs.yaml"


@contextlib.contextmanager
def plane_with(folder: Path, nodes: int, crds: Sequence[Path] = (OWN_CRD,)) -> Iterator[ControlPlane]:
    """Run an API server, controllers, a scheduler and nodes until the block ends."""
    assert STAMP.exists(), "there is no Kubernetes to run: `make kubernetes` builds it"
    assert KWOK.exists(), "there are no nodes to run it on: `make kwok` builds them"
    ports = free_ports(6)
    with control_plane(folder, ports[:3]) as plane:
        install_platform(plane, crds)
        with acting(plane, nodes, (ports[3], ports[4], ports[5])):
            yield plane
