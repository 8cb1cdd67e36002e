"""Put a program under .cache/grafana that reads a dashboard as Grafana's own types have it, for the tests.

Versions live in go.mod and nowhere else. Runs on the bare interpreter and does nothing when it is there already.
"""

import sys
from pathlib import Path

import gobuild

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / ".cache" / "grafana"
PROGRAM = TARGET / "dashboard"
STAMP = TARGET / ".built"


def main() -> int:
    """Entry point; returns the exit status."""
    wanted = gobuild.digest(HERE)
    if gobuild.is_built(STAMP, wanted):
        return 0
    if not gobuild.has_go("what the tests read dashboards with"):
        return 2
    TARGET.mkdir(parents=True, exist_ok=True)
    gobuild.build(HERE, PROGRAM)
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
