"""Put a real Kubernetes under .cache/cluster: `kubebox`, all of it in one program, and the platform's CRDs.

Versions live in go.mod (Kubernetes, etcd, CoreDNS) and crds.json (KEDA, Prometheus operator, cert-manager, Gateway API)
and nowhere else. Runs on the bare interpreter and does nothing when all is there. From nothing it takes some minutes.
"""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import gobuild

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / ".cache" / "cluster"
BOX = TARGET / "kubebox"
CRDS = TARGET / "crds"
STAMP = TARGET / ".built"
_NO_COMMIT = "0" * 40


def kubernetes_version() -> str:
    """The version of Kubernetes in go.mod, such as v1.36.3. Raises LookupError when it is not there."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (HERE / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise LookupError("tools/cluster/go.mod: names no version of k8s.io/kubernetes; add it")
    return found[1]


def build() -> None:
    """Build kubebox at the lowest priority. Raises CalledProcessError with the compiler's words printed."""
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    facts = {"Version": version, "Major": major, "Minor": minor, "TreeState": "clean", "Commit": _NO_COMMIT}
    symbols = [f"-X k8s.io/component-base/version.git{name}={value}" for name, value in facts.items()]
    print(f"building Kubernetes {version} from its Go modules, some minutes from nothing", file=sys.stderr)
    gobuild.build(HERE, BOX, symbols)


def download(pin: dict[str, Any]) -> Path:
    """Return the zip of a module. Raises ValueError when it is not the one that was pinned."""
    name = f"{pin['module']}@{pin['version']}"
    # Outside any module: these modules' own dependencies are nothing to us.
    done = subprocess.run(
        ["go", "mod", "download", "-json", name], cwd=TARGET, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout or "{}")
    if done.returncode:
        raise ValueError(f"{name}: cannot be downloaded: {found.get('Error', done.stderr)}")
    if found["Sum"] != pin["sum"]:
        raise ValueError(f"{name}: has checksum {found['Sum']}, and crds.json says {pin['sum']}; do not use it")
    return Path(found["Zip"])


def unpack(pin: dict[str, Any]) -> None:
    """Write the CustomResourceDefinitions of one module into CRDS."""
    prefix = f"{pin['module']}@{pin['version']}/{pin['folder']}/"
    with zipfile.ZipFile(download(pin)) as archive:
        for name in pin["files"]:
            (CRDS / name).write_bytes(archive.read(prefix + name))


def main() -> int:
    """Entry point; returns the exit status."""
    wanted = gobuild.digest(HERE, "crds.json")
    if gobuild.is_built(STAMP, wanted):
        return 0
    if not gobuild.has_go("Kubernetes for the tests"):
        return 2
    shutil.rmtree(CRDS, ignore_errors=True)
    CRDS.mkdir(parents=True)
    try:
        for pin in json.loads((HERE / "crds.json").read_text()):
            unpack(pin)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    build()
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
