"""One controller beside one API server, for the tests of a module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.control import ControlPlane
from controller.cluster import SYSTEM, Tenant
from controller.process import Controller, install, running


@pytest.fixture(scope="session")
def installed(api_server: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of an installed controller of which no replica runs."""
    Tenant(api_server, SYSTEM)
    return install(api_server, tmp_path_factory.mktemp("controller"))


@pytest.fixture(scope="module")
def controller(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with running(installed, tmp_path_factory.mktemp("running")) as controller:
        controller.until_it_leads()
        yield controller


@pytest.fixture
def tenant_of(api_server: ControlPlane) -> Callable[[str], Tenant]:
    return lambda namespace: Tenant(api_server, namespace)
