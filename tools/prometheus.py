"""Find Prometheus and promtool for the tests, or unpack Debian's package of them under .cache/prometheus."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from debian import alone, unpack

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "prometheus"


@dataclass(frozen=True)
class Prometheus:
    """The paths of the two programs; neither needs anything else of its package."""

    server: str
    promtool: str


def find() -> Prometheus:
    """Both on PATH, else unpacked under .cache/prometheus, downloaded if need be. Raises debian.UnavailableError."""
    server, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if server and promtool:
        return Prometheus(server, promtool)
    programs = FOLDER / "root/usr/bin"
    with alone(FOLDER):
        if not (programs / "promtool").exists():
            unpack(FOLDER, ["prometheus"])
    return Prometheus(str(programs / "prometheus"), str(programs / "promtool"))
