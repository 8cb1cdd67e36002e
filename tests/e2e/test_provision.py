import json
import socket
from pathlib import Path
from typing import Any

import pytest

from cluster import provision
from cluster.control import control_plane
from cluster.kubectl import ControlPlaneError
from support.ports import free_ports

PINS = json.loads((provision.HERE / "crds.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin["module"])
def test_a_module_that_is_not_the_pinned_one_is_not_used(pin: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has checksum h1:.*, and crds\.json says h1:other; do not use it"):
        provision.download({**pin, "sum": "h1:other"})


@pytest.mark.slow
def test_a_version_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match=r"sigs\.k8s\.io/gateway-api@v0\.0\.1-none: cannot be downloaded"):
        provision.download({"module": "sigs.k8s.io/gateway-api", "version": "v0.0.1-none", "sum": ""})


def test_the_kubernetes_that_is_built_has_a_version() -> None:
    assert provision.kubernetes_version().startswith("v1.")


def test_every_pinned_file_is_there() -> None:
    assert sorted(path.name for path in provision.CRDS.iterdir()) == sorted(
        name for pin in PINS for name in pin["files"]
    )


@pytest.mark.slow
def test_a_control_plane_that_ends_early_says_why(tmp_path: Path) -> None:
    taken, peers, secure = free_ports(3)
    early = pytest.raises(ControlPlaneError, match=r"(?s)no API server at .*its last words:.*address already in use")
    with socket.create_server(("127.0.0.1", taken)), early, control_plane(tmp_path, (taken, peers, secure)):
        pytest.fail("it came up beside another")
