"""How cost grows, fourth step: what it costs the router to follow pods that come and go.

Usage: python -m bench.discovery [--rounds N]. The API server is one of our own that only tells of pods (bench.cluster);
the router is the real one, under TLS, and checks every pod's health as ever. Each pod is replaced once, in turn.
"""

import argparse
import asyncio
import json
import ssl
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import trustme

from bench.chart import spoken
from bench.cluster import Cluster, address, pod, serving
from bench.measure import WIRE, build
from bench.meters import used_by
from bench.peers import Place, dpd, running
from bench.record import Axis, Chart, Record, Table, installed, write
from support.ports import free_ports

COMMAND = "make growth"
PODS = (10, 100, 1_000)
SETTLE, RESTING, REPLACED_IN = 5.0, 4.0, 10.0
ABOUT = [
    "Pods that come and go, told by an API server of the harness, over TLS, 4 KB and more each. All are replaced "
    "within ten seconds, one after the other, with four events each: one leaves, one is made, that one gets an address "
    "and is ready, the first one is gone. Then once more, while one client asks for what it can get.",
    "What the router does for pods that stay, a check of health every two seconds for each, was measured before and is "
    "taken off; it is the second row.",
]


@dataclass(frozen=True)
class Cost:
    """What one round found: µs for a watch's event, share of a core while nothing changes, MB, and what became of
    requests while everything was replaced: µs of the median and of the hundredth, and how many failed.
    """

    event: float
    resting: float
    memory: float
    p50: float
    p99: float
    failed: int


def measured(pods: int) -> Cost:
    """Measure so many pods."""
    return asyncio.run(_measured(pods))


async def _measured(pods: int) -> Cost:
    cluster, ports = Cluster(), free_ports(3)
    for number in range(pods):
        cluster.tell("ADDED", pod(f"pod-{number}", address(number), ready=True))
    with tempfile.TemporaryDirectory(prefix="dpd-bench-") as name:
        folder = Path(name)
        certificate = _certificate(folder)
        async with serving(cluster, (ports[0], ports[1]), [address(n) for n in range(2 * pods)], certificate):
            place = Place(folder, ports[2], ())
            start = running(_router(place, ports), ports[2], folder)
            pid = await asyncio.to_thread(start.__enter__)
            try:
                return await _followed(cluster, pods, pid, ports[2])
            finally:
                await asyncio.to_thread(start.__exit__, None, None, None)


def _router(place: Place, ports: Sequence[int]) -> Any:
    """Return the router's command, with the discovery that its chart gives it."""
    (place.folder / "token").write_text("token")
    api = {"server": f"https://127.0.0.1:{ports[0]}", "tokenFile": f"{place.folder}/token"}
    return dpd(
        place,
        discovery={"mode": "kubernetes", **api, "caFile": f"{place.folder}/ca.crt"},
        pools={"worker": [{"selector": "app=e", "port": ports[1]}]},
    )


async def _followed(cluster: Cluster, pods: int, pid: int, port: int) -> Cost:
    await asyncio.sleep(SETTLE)
    before = used_by(pid)
    await asyncio.sleep(RESTING)
    resting = (used_by(pid).seconds - before.seconds) / RESTING
    event = await _replaced(cluster, pods, pods, pid, resting)
    load = [str(WIRE), "load", "-to", f"127.0.0.1:{port}", "-clients", "1", "-requests", "3000", "-distinct"]
    asked = await asyncio.create_subprocess_exec(*load, stdout=asyncio.subprocess.PIPE)
    await _replaced(cluster, 0, pods, pid, resting)
    told = json.loads((await asked.communicate())[0])
    return Cost(event, resting, used_by(pid).memory / 1e6, told["p50_us"], told["p99_us"], told["failed"])


async def _replaced(cluster: Cluster, first: int, pods: int, pid: int, resting: float) -> float:
    """Replace every pod by one of the numbers from `first` on; return the µs of an event beyond what is done anyway."""
    before, began, told = used_by(pid).seconds, time.monotonic(), cluster.told
    for number, old in enumerate(list(cluster.pods)):
        cluster.replace(old, f"pod-{cluster.version}", address(first + number))
        await asyncio.sleep(max(0.0, began + REPLACED_IN * number / pods - time.monotonic()))
    await asyncio.sleep(1.0)
    spent = used_by(pid).seconds - before - resting * (time.monotonic() - began)
    return max(0.0, spent) * 1e6 / (cluster.told - told)


def _certificate(folder: Path) -> ssl.SSLContext:
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(folder / "ca.crt")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert("127.0.0.1").configure_cert(made)
    return made


def record(found: dict[int, list[Cost]]) -> Record:
    """Return the page's section."""
    rows = {
        "µs for an event": [_spread([each.event for each in row]) for row in found.values()],
        "share of a core while nothing changes": [f"{median(e.resting for e in row):.1%}" for row in found.values()],
        "MB": [_spread([each.memory for each in row]) for row in found.values()],
        "median request meanwhile, µs": [_spread([each.p50 for each in row]) for row in found.values()],
        "hundredth request meanwhile, µs": [_spread([each.p99 for each in row]) for row in found.values()],
        "failed, of 3,000 each round": [str(sum(each.failed for each in row)) for row in found.values()],
    }
    points = {"an event": [[key, median(each.event for each in row)] for key, row in found.items()]}
    core = {"resting": [[key, 100 * median(each.resting for each in row)] for key, row in found.items()]}
    many = Axis("pods", log=True)
    return Record(
        name="discovery",
        title="Pods that come and go",
        place=6,
        command=COMMAND,
        text=ABOUT,
        tables=[Table([["pods", *map(spoken, found)], *([name, *cells] for name, cells in rows.items())])],
        charts=[
            Chart("Processor time of an event", many, Axis("µs", log=True), points),
            Chart("Share of a core while nothing changes", many, Axis("%", log=True), core),
        ],
        versions=installed("uvloop", "aiohttp", "msgspec"),
        data={str(key): [list(vars(each).values()) for each in row] for key, row in found.items()},
    )


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds: int = parser.parse_args().rounds
    build()
    found: dict[int, list[Cost]] = {}
    for _ in range(rounds):
        for pods in PODS:
            found.setdefault(pods, []).append(measured(pods))
            print(pods, found[pods][-1], flush=True)
    print(write(record(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
