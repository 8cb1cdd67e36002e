"""One API server for whoever asks for it, with the platform's CRDs and our own installed."""

import contextlib
from collections.abc import Iterator

import pytest

from cluster.control import ControlPlane, control_plane, install_platform
from cluster.provision import STAMP
from e2e.admission import Admission
from support.direct import Direct
from support.paths import ROOT
from support.ports import free_ports

OWN_CRD = ROOT / "charts/dpd-operator/crds/inferenceendpointconfigs.yaml"


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    assert STAMP.exists(), "there is no Kubernetes to run: `make kubernetes` builds it"
    with control_plane(tmp_path_factory.mktemp("control-plane"), free_ports(3)) as plane:
        install_platform(plane, [OWN_CRD])
        yield plane


@pytest.fixture(scope="session")
def admission(api_server: ControlPlane) -> Admission:
    return Admission(api_server)


@pytest.fixture(scope="session")
def direct(admission: Admission) -> Iterator[Direct]:
    admission.make_namespaces(["hyperpod-inference-system"])
    with contextlib.closing(Direct(admission.plane)) as direct:
        yield direct
