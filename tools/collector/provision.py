"""Put a collector for the tests under .cache/collector, built from the modules that the chart's configurations name.

Versions live in go.mod and nowhere else. Runs on the bare interpreter and does nothing when it is there already.
"""

import sys
from pathlib import Path

import gobuild

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / ".cache" / "collector"
PROGRAM = TARGET / "otelcol"
STAMP = TARGET / ".built"


def main() -> int:
    """Entry point; returns the exit status."""
    wanted = gobuild.digest(HERE)
    if gobuild.is_built(STAMP, wanted):
        return 0
    if not gobuild.has_go("the tests' collector"):
        return 2
    TARGET.mkdir(parents=True, exist_ok=True)
    print("building a collector from its Go modules, about a minute from nothing", file=sys.stderr)
    gobuild.build(HERE, PROGRAM)
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
