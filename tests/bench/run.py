"""Second step: every case against every peer in turn, several rounds; then a table of ratios.

Usage: run.py [--quick] [--rounds N] [--only PEER,...]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.meters import used_by
from bench.peers import CACHE, PEERS, Place, running
from support.ports import free_ports

HERE = Path(__file__).resolve().parent
WIRE = CACHE / "wire"


@dataclass(frozen=True)
class Case:
    """One load. The figure is microseconds of the router's processors per unit: a request, or an event of a stream."""

    name: str
    clients: int
    requests: int
    bytes: int
    events: int = 0
    spacing: str = "0s"
    pd: bool = False

    @property
    def unit(self) -> str:
        """What the figure is per."""
        return "event" if self.spacing != "0s" else "request"

    def flags(self) -> list[str]:
        """The load's flags."""
        numbers = {"clients": self.clients, "requests": self.requests, "bytes": self.bytes, "events": self.events}
        return [part for key, value in numbers.items() for part in (f"-{key}", str(value))] + ["-distinct"]


CASES = (
    Case("1 KB, one at a time", 1, 3000, 1024),
    Case("1 KB, 64 at a time", 64, 12000, 1024),
    Case("events 20 ms apart, 64 streams", 64, 192, 1024, 100, "20ms"),
    Case("events 20 ms apart, 256 streams", 256, 512, 1024, 100, "20ms"),
    Case("32 KB, 8 events", 16, 3000, 32 << 10, 8),
    Case("128 KB, 8 events", 16, 1500, 128 << 10, 8),
    Case("PD, 32 KB, 8 events", 16, 2000, 32 << 10, 8, pd=True),
    Case("PD, 128 KB, 8 events", 16, 1000, 128 << 10, 8, pd=True),
)
US = "dpd"
PD_PEERS = ("dpd", "vllm-router")


@dataclass(frozen=True)
class Figure:
    """One measurement: microseconds of processor per unit, median latency in microseconds, memory in MB."""

    cpu: float
    p50: float
    memory: float

    @property
    def said(self) -> str:
        """All three, for people."""
        return f"{self.cpu:8.1f} µs, p50 {self.p50:9.0f} µs, {self.memory:6.1f} MB,"


Found = dict[tuple[str, str], list[Figure]]


def build() -> None:
    """Compile the engine and the clients."""
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", str(WIRE), "."], cwd=HERE / "wire", check=True)


def measure(peer: str, case: Case, share: float) -> Figure:
    """Start engines and a peer, warm it up, and run one load. Raises RuntimeError when a request failed."""
    ports = free_ports(5)
    with tempfile.TemporaryDirectory(prefix="dpd-bench-") as name:
        engines = [subprocess.Popen([WIRE, "engine", str(port), case.spacing]) for port in ports[1:]]
        try:
            place = Place(Path(name), ports[0], ports[1:3], ports[3:] if case.pd else ())
            with running(PEERS[peer](place), ports[0], Path(name)) as pid:
                _load(ports[0], case, 0.1)
                before = used_by(pid)
                told = _load(ports[0], case, share)
                after = used_by(pid)
        finally:
            for each in engines:
                each.terminate()
                each.wait()
    if told["failed"]:
        raise RuntimeError(f"{peer}, {case.name}: {told['failed']} requests failed, first: {told.get('first_failure')}")
    units = told["events"] if case.unit == "event" else told["requests"]
    return Figure((after.seconds - before.seconds) * 1e6 / units, told["p50_us"], after.memory / 1e6)


def _load(port: int, case: Case, share: float) -> dict[str, Any]:
    flags = case.flags()
    flags[3] = str(max(case.clients, int(case.requests * share)))
    command = [str(WIRE), "load", "-to", f"127.0.0.1:{port}", *flags]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def table(found: Found, peers: Sequence[str], cases: Sequence[Case]) -> str:
    """Return the medians as a Markdown table; behind each peer's, ours as a multiple of it: median, least and most."""
    lines = [f"| processor µs | {' | '.join(peers)} |", f"|---|{'---|' * len(peers)}"]
    for case in cases:
        cells = [_cell(found.get((US, case.name), []), found.get((peer, case.name), []), peer) for peer in peers]
        lines.append(f"| {case.name}, per {case.unit} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(ours: Sequence[Figure], theirs: Sequence[Figure], peer: str) -> str:
    if not theirs:
        return "–"
    median = f"{statistics.median(each.cpu for each in theirs):.1f}"
    ratios = sorted(one.cpu / other.cpu for one, other in zip(ours, theirs, strict=False))
    if peer == US or not ratios:
        return median
    return f"{median} (ours × {statistics.median(ratios):.2f}, {ratios[0]:.2f}–{ratios[-1]:.2f})"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sixth of the load, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PEERS), help="names of peers, with commas between them")
    options = parser.parse_args()
    build()
    peers = options.only.split(",")
    rounds, share = (1, 1 / 6) if options.quick else (options.rounds, 1.0)
    found: Found = {}
    for _ in range(rounds):
        for case in CASES:
            for peer in (each for each in peers if not case.pd or each in PD_PEERS):
                figure = measure(peer, case, share)
                found.setdefault((peer, case.name), []).append(figure)
                print(f"{case.name:34} {peer:14} {figure.said} per {case.unit}", flush=True)
    print(table(found, peers, CASES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
