"""Put a collector for the tests under .cache/collector, built from the modules that the chart's configurations name.

Versions live in go.mod and nowhere else. Runs on the bare interpreter and does nothing when it is there already.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / ".cache" / "collector"
PROGRAM = TARGET / "otelcol"
STAMP = TARGET / ".built"


def digest() -> str:
    """What the collector is made from, as one word."""
    files = sorted(path for pattern in ("*.go", "go.mod", "go.sum", "provision.py") for path in HERE.glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def build() -> None:
    """Build the collector at the lowest priority. Raises CalledProcessError with the compiler's words printed."""
    nice = ["nice", "-n", "19"] if shutil.which("nice") else []
    flags = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
    print("building a collector from its Go modules, about a minute from nothing", file=sys.stderr)
    command = [*nice, "go", "build", *flags, "-o", str(PROGRAM), "."]
    subprocess.run(command, cwd=HERE, check=True, env={**os.environ, "CGO_ENABLED": "0"})


def main() -> int:
    """Entry point; returns the exit status."""
    wanted = digest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        STAMP.touch()
        return 0
    if not shutil.which("go"):
        print("go: not on PATH; install Go 1.26 or newer, it builds the tests' collector", file=sys.stderr)
        return 2
    TARGET.mkdir(parents=True, exist_ok=True)
    build()
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
