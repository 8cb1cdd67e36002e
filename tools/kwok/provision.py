"""Put kwok under .cache/kwok: nodes and pods that only the API server has, as many as a test of scale wants.

A module of its own, for it does not compile against the Kubernetes of tools/cluster. Its version lives in go.mod and
nowhere else. Runs on the bare interpreter and does nothing when it is there already.
"""

import re
import sys
from pathlib import Path

import gobuild

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / ".cache" / "kwok"
PROGRAM = TARGET / "kwok"
STAMP = TARGET / ".built"
_PACKAGE = "sigs.k8s.io/kwok/cmd/kwok"


def kwok_version() -> str:
    """The version in go.mod, such as v0.7.0. Raises LookupError when it is not there."""
    found = re.search(r"^\s*sigs\.k8s\.io/kwok (v\S+)", (HERE / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise LookupError("tools/kwok/go.mod: names no version of sigs.k8s.io/kwok; add it")
    return found[1]


def main() -> int:
    """Entry point; returns the exit status."""
    wanted = gobuild.digest(HERE)
    if gobuild.is_built(STAMP, wanted):
        return 0
    if not gobuild.has_go("nodes that are not there, for the tests of scale"):
        return 2
    TARGET.mkdir(parents=True, exist_ok=True)
    print("building kwok from its Go module, two minutes from nothing", file=sys.stderr)
    gobuild.build(HERE, PROGRAM, package=_PACKAGE)
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
