"""Find a HAProxy for the tests, or unpack Debian's package of it under .cache/haproxy; nothing is installed."""

import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from debian import alone, unpack

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "haproxy"


@dataclass(frozen=True)
class HAProxy:
    """The program, and additions to its environment."""

    program: str
    environment: dict[str, str]


def find() -> HAProxy:
    """HAProxy on PATH, else unpacked under .cache/haproxy, downloaded if need be. Raises debian.UnavailableError."""
    found = shutil.which("haproxy")
    if found:
        return HAProxy(found, {})
    root = FOLDER / "root"
    program = root / "usr/sbin/haproxy"
    with alone(FOLDER):
        if not program.exists():
            unpack(FOLDER, ["haproxy"])
    folders = (root / "usr/lib", root / "lib")
    places = ":".join(str(each / f"{platform.machine()}-linux-gnu") for each in folders)
    return HAProxy(str(program), {"LD_LIBRARY_PATH": places})
