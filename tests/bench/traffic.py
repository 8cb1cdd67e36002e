"""How cost grows, third step: what streams, bodies and more processes cost the router.

Usage: python -m bench.traffic [--rounds N]. Processor time is the router's alone, from outside; what it does when
nobody asks (checks of health, timers) was measured before and is taken off, or one stream would pay for it.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.cases import US, Case
from bench.chart import spoken
from bench.measure import WIRE, Standing, build, command, standing
from bench.meters import used_by
from bench.peers import PEERS, Place, running
from bench.record import Axis, Chart, Points, Record, Table, installed, write
from support.ports import free_ports

COMMAND = "make growth"
STREAMS = (1, 10, 100, 1_000, 2_000, 5_000)
BODIES = (1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20)
IDLE_SECONDS, LOOKS = 3.0, 0.5
ABOUT = [
    "What the router's processor time and memory come to as streams, bodies and processes grow; it runs as in the "
    "first section, prefix-aware, with access log and metrics. Medians of the rounds, least and most in brackets.",
    "Up to 100 streams have their events 20 ms apart, more have them 500 ms apart: else engines and clients would take "
    "the whole machine. A round reads what comes to many streams at a time, so an event costs less where there are "
    "more. Under PD a body is sent twice, once to the prefiller and once to the decoder.",
]
ON_TWO = (
    "Router processes share nothing and never talk, so two are to do twice the work of one. Two cores that they share "
    "with their clients and engines cannot show that as requests in a second; what they show is that a request costs "
    "no more processor time in one of two processes than in a single one. Work for a second of processor time, times "
    "processes, is what they would do with a core for each."
)


@dataclass(frozen=True)
class Cost:
    """What one round found: µs of processor per unit, and the most memory, in MB, beyond what the router had before."""

    micros: float
    memory: float


def streams(count: int, events: int, spacing: str) -> Cost:
    """Measure so many streams at once, each with so many events."""
    case = Case(f"{count} streams", count, count, 1024, events, spacing)
    with standing(US, case) as there:
        return _cost(there, case, per_event=True)


def bodies(size: int, requests: int, *, pd: bool) -> Cost:
    """Measure requests with bodies of a size, four at a time."""
    case = Case(f"{size} bytes", 4, requests, size, pd=pd)
    with standing(US, case) as there:
        return _cost(there, case, per_event=False)


def processes(count: int, requests: int) -> tuple[float, float]:
    """Return requests for a second of processor time, and in a second, of so many processes with 64 clients in all."""
    case = Case(f"{count} processes", 64 // count, requests // count, 1024)
    with _routers(count) as there:
        _loaded(there, case, 0.1)
        before, began = sum(used_by(each.pid).seconds for each in there), time.monotonic()
        answered = _loaded(there, case, 1.0)
        seconds = time.monotonic() - began
        spent = sum(used_by(each.pid).seconds for each in there) - before
    return answered / spent, answered / seconds


def _loaded(there: Sequence[Standing], case: Case, share: float) -> int:
    """Ask all of them at the same time; return how many requests were answered."""
    loads = [_started(each, case, share) for each in there]
    return sum(_told(each, case)["requests"] for each in loads)


def _cost(there: Standing, case: Case, *, per_event: bool) -> Cost:
    _told(_started(there, Case("warm", 4, 40, 1024, pd=case.pd), 1.0), case)
    resting = _seconds_of(there.pid, IDLE_SECONDS) / IDLE_SECONDS
    before, began = used_by(there.pid), time.monotonic()
    load, most = _started(there, case, 1.0), before.memory
    while load.poll() is None:
        time.sleep(LOOKS)
        most = max(most, used_by(there.pid).memory)
    told = _told(load, case)
    spent = used_by(there.pid).seconds - before.seconds - resting * (time.monotonic() - began)
    units = told["events" if per_event else "requests"]
    return Cost(max(0.0, spent) * 1e6 / units, (most - before.memory) / 1e6)


def _seconds_of(pid: int, seconds: float) -> float:
    before = used_by(pid).seconds
    time.sleep(seconds)
    return used_by(pid).seconds - before


def _started(there: Standing, case: Case, share: float) -> "subprocess.Popen[str]":
    return subprocess.Popen(command(there.port, case, share), stdout=subprocess.PIPE, text=True)


def _told(load: "subprocess.Popen[str]", case: Case) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(load.communicate()[0])
    if told["failed"]:
        raise RuntimeError(f"{case.name}: {told['failed']} requests failed, first: {told.get('first_failure')}")
    return told


@contextlib.contextmanager
def _routers(count: int) -> Iterator[list[Standing]]:
    """Run so many routers before the same two engines until the block ends."""
    ports = free_ports(2 + count)
    with contextlib.ExitStack() as ends:
        for port in ports[:2]:
            engine = subprocess.Popen([WIRE, "engine", str(port), "0s"])
            ends.callback(engine.wait)
            ends.callback(engine.terminate)
        there = []
        for port in ports[2:]:
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="dpd-bench-")))
            pid = ends.enter_context(running(PEERS[US](Place(folder, port, ports[:2])), port, folder))
            there.append(Standing(port, pid))
        yield there


@dataclass
class Found:
    """Rounds by what grew."""

    streams: dict[int, list[Cost]]
    bodies: dict[bool, dict[int, list[Cost]]]
    processes: dict[int, list[tuple[float, float]]]


def measured(rounds: int) -> Found:
    """Measure everything, round by round."""
    found = Found({}, {False: {}, True: {}}, {})
    for _ in range(rounds):
        for count in STREAMS:
            few = count <= 100
            _add(found.streams, count, streams(count, 500 if few else 20, "20ms" if few else "500ms"))
        for pd in found.bodies:
            for size in BODIES:
                _add(found.bodies[pd], size, bodies(size, max(20, min(2_000, (100 << 20) // size)), pd=pd))
        for number in (1, 2):
            _add(found.processes, number, processes(number, 12_000))
    return found


def _add(into: dict[int, list[Any]], key: int, one: Any) -> None:
    into.setdefault(key, []).append(one)
    print(key, one, flush=True)


def record(found: Found) -> Record:
    """Return the page's section."""
    per_event = {"per event": _points(found.streams, lambda each: each.micros)}
    kept = {"router": _points(found.streams, lambda each: max(0.1, each.memory))}
    per_body = {
        ("PD" if pd else "direct"): _points(rows, lambda each: each.micros) for pd, rows in found.bodies.items()
    }
    per_kb = {name: [[x, y / (x / 1024)] for x, y in points] for name, points in per_body.items()}
    many, size = Axis("streams at once", log=True), Axis("bytes of a body", log=True)
    return Record(
        name="traffic",
        title="Streams, bodies, processes",
        place=5,
        command=COMMAND,
        text=[*ABOUT, ON_TWO],
        tables=[_streams(found), _bodies(found), _processes(found)],
        charts=[
            Chart("Processor time of an event", many, Axis("µs"), per_event),
            Chart("Memory while the streams stand", many, Axis("MB", log=True), kept),
            Chart("Processor time of a request", size, Axis("µs", log=True), per_body),
            Chart("Processor time of a KB of body", size, Axis("µs", log=True), per_kb),
        ],
        versions=installed("uvloop", "httptools", "msgspec"),
        data={
            "streams": {str(key): [[each.micros, each.memory] for each in rows] for key, rows in found.streams.items()},
            **{
                f"bodies{' PD' * pd}": {str(key): [each.micros for each in rows] for key, rows in sizes.items()}
                for pd, sizes in found.bodies.items()
            },
            "processes": {str(key): rows for key, rows in found.processes.items()},
        },
    )


def _points(rows: dict[int, list[Cost]], of: Any) -> Points:
    return [[key, median(of(each) for each in row)] for key, row in rows.items()]


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def _streams(found: Found) -> Table:
    rows = found.streams
    return Table(
        [
            ["streams", *map(spoken, rows)],
            ["µs per event", *(_spread([each.micros for each in row]) for row in rows.values())],
            ["MB for all of them", *(_spread([each.memory for each in row]) for row in rows.values())],
            ["KB for each", *(f"{median(e.memory for e in row) * 1e3 / key:.1f}" for key, row in rows.items())],
        ]
    )


def _bodies(found: Found) -> Table:
    rows = [["µs per request, bytes of a body", *map(_size, BODIES)]]
    for pd, sizes in found.bodies.items():
        rows.append(["PD" if pd else "direct", *(_spread([each.micros for each in row]) for row in sizes.values())])
    return Table(rows)


def _size(count: int) -> str:
    return f"{count >> 20}Mi" if count >> 20 else f"{count >> 10}Ki"


def _processes(found: Found) -> Table:
    one, two = ([each[0] for each in found.processes[count]] for count in (1, 2))
    ratios = [2 * b / a for a, b in zip(one, two, strict=True)]
    told = [_spread([each[1] for each in found.processes[count]]) for count in (1, 2)]
    return Table(
        [
            ["router processes", "1", "2", "2 to 1, round by round"],
            [
                "requests for a second of processor time, × processes",
                _spread(one),
                _spread([2 * v for v in two]),
                f"{median(ratios):.2f} × ({min(ratios):.2f}–{max(ratios):.2f})",
            ],
            ["requests in a second, on cores shared with clients and engines", *told, "–"],
        ]
    )


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    build()
    print(write(record(measured(parser.parse_args().rounds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
