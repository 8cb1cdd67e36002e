"""Find Prometheus and promtool for tests and demo, or unpack Debian's package of them under .cache/prometheus.

Usage: prometheus.py, which prints the path of prometheus.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from debian import UnavailableError, alone, unpack

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


if __name__ == "__main__":
    try:
        print(find().server)
    except UnavailableError as problem:
        sys.exit(f"prometheus: {problem}; install it, with promtool, where PATH finds it")
