"""Last step: every case against every peer in turn, several rounds; then the bars, and the page's section.

Usage: run.py [--quick] [--rounds N] [--only PEER,...] [--apart NAME]. Exits 1 when a bar is missed; --quick only says
so. With --apart the page keeps its section and gets another beside it.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace

from bench.bars import Bar, bars
from bench.cases import (
    ALONE,
    BARE,
    BODIES,
    CASES,
    DIRECT,
    EVENTS,
    PD,
    REQUESTS,
    SOURCES,
    TLS,
    US,
    Case,
    Figure,
    Found,
    peers_of,
)
from bench.measure import build, chosen, measure, slow_readers, streams
from bench.peers import versions
from bench.record import Axis, Record, Table, installed, write
from bench.record import Bars as Drawn

QUICK = 1 / 8
SHOWN = (*REQUESTS, *EVENTS, *BODIES, *PD, *TLS)
ABOUT = [
    "What a request costs the router's processors, beside proxies that choose nothing (nginx and HAProxy, one process "
    "each) and two routers in Rust. Engines and clients are compiled and the same for all; every case is run against "
    "every peer in turn, and so again in every round. Ours has its access log, metrics and prefix-aware strategy on, "
    "and under PD its ledger; the proxies write no log. It runs as its image has it: the modules that every request "
    "runs through compiled, jemalloc, and Debian's Python where that has the version, since it is "
    "built as the image's is, guided by a profile; a build without takes a fifth more. The bare relay is sixty lines "
    "of Python on our own loop and parser that decide, check and tell nothing: what it costs is what the system, the "
    "loop and the parser cost, and the rest of our figure is the router's own work.",
    "A stream's events come at times of its own, so that what reaches a router does not turn on how fast it began the "
    "streams; events that come in bunches, as from one engine that steps, cost everybody less. A stream is 300 events "
    "long, or 200, and an event's figure has little of its request's in it.",
    "Medians over rounds, microseconds per unit; in brackets ours as a multiple: median, least and most of the rounds.",
]


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="an eighth of the load, one round, without what only explains our figures; nothing stored",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="names of peers, with commas between them; then nothing is stored")
    parser.add_argument("--apart", default="", metavar="NAME", help="store a section of that name beside the first one")
    options = parser.parse_args()
    build()
    rounds, share = (1, QUICK) if options.quick else (options.rounds, 1.0)
    found: dict[tuple[str, str], list[Figure]] = {}
    memory: dict[str, list[float]] = {}
    for _ in range(rounds):
        for case in CASES:
            _round(found, case, chosen(asked(case, judged=options.quick), options.only), share)
        for peer in chosen(asked(ALONE, judged=True), options.only):
            memory.setdefault(peer, []).append(streams(peer))
            print(f"{'2,000 streams':38} {peer:14} {memory[peer][-1]:6.1f} MB", flush=True)
    slow = [slow_readers(US) for _ in range(rounds)]
    judged = bars(found, memory.get(US, []), slow)
    print("\n".join(" | ".join(row) for row in [*table(found, SHOWN), *(each.row() for each in judged)]))
    if not options.quick and not options.only:
        stored = record(found, memory, judged, rounds)
        write(apart(stored, options.apart, judged) if options.apart else stored)
    return 0 if options.quick or all(each.met for each in judged) else 1


def asked(case: Case, *, judged: bool) -> list[str]:
    """Return whose figures of a case are asked for: of all, or without those that only explain ours."""
    return [each for each in peers_of(case) if not judged or each not in (BARE, SOURCES)]


def _round(found: dict[tuple[str, str], list[Figure]], case: Case, peers: Sequence[str], share: float) -> None:
    for peer in [DIRECT, *peers] if case is ALONE else peers:
        figure = measure(peer, case, share)
        found.setdefault((peer, case.name), []).append(figure)
        print(f"{case.name:38} {peer:14} {figure.said} per {case.unit}", flush=True)


def table(found: Found, cases: Sequence[Case]) -> list[list[str]]:
    """Return the medians as rows, the first with the peers' names; behind a peer's, ours as a multiple of it."""
    peers = list(peers_of(ALONE))
    rows = [["processor time, µs", *peers]]
    for case in cases:
        ours = found.get((US, case.name), [])
        cells = [_cell(ours, found.get((peer, case.name), []), peer) for peer in peers]
        rows.append([f"{case.name}, per {case.unit}", *cells])
    return rows


def _cell(ours: Sequence[Figure], theirs: Sequence[Figure], peer: str) -> str:
    if not theirs:
        return "–"
    middle = f"{statistics.median(each.cpu for each in theirs):.1f}"
    ratios = sorted(one.cpu / other.cpu for one, other in zip(ours, theirs, strict=False))
    if peer == US or not ratios:
        return middle
    return f"{middle} (× {statistics.median(ratios):.2f}, {ratios[0]:.2f}–{ratios[-1]:.2f})"


def record(found: Found, memory: dict[str, list[float]], judged: Sequence[Bar], rounds: int) -> Record:
    """Return the page's section: figures, verdicts, and both as a picture."""
    verdicts = [["bar", "most", "found", ""], *(each.row() for each in judged)]
    kept = [["memory, MB", *memory], ["2,000 streams", *(f"{statistics.median(each):.1f}" for each in memory.values())]]
    late = {peer: [each.p50 for each in found.get((peer, ALONE.name), [])] for peer in (DIRECT, *peers_of(ALONE))}
    wait = [["median latency, µs", *late], [ALONE.name, *(f"{statistics.median(each):.0f}" for each in late.values())]]
    drawn = [
        Drawn(f"Processor time per {cases[0].unit}", Axis("µs"), {case.name: _medians(found, case) for case in cases})
        for cases in (REQUESTS, EVENTS, BODIES, PD)
    ]
    return Record(
        name="peers",
        title="Beside other routers",
        place=1,
        command="make bench",
        text=[*ABOUT, f"{rounds} rounds."],
        tables=[Table(verdicts), Table(table(found, SHOWN)), Table(wait), Table(kept)],
        bars=drawn,
        versions={**versions(), **installed("uvloop", "httptools", "msgspec")},
        data={f"{peer}: {case}": [each.cpu for each in rows] for (peer, case), rows in found.items()},
    )


def apart(record: Record, name: str, judged: Sequence[Bar]) -> Record:
    """Return the section as one of another machine, to stand beside the first without saying all that again."""
    missed = "; ".join(each.what for each in judged if not each.met)
    verdict = f"Here {'these bars are missed: ' + missed if missed else 'every bar is met, too'}."
    about = "The same on another machine: ratios depend on the processor, most of all those to what is written in C."
    return replace(
        record,
        name=f"{record.name}-{name}",
        title=f"{record.title}, again: {name}",
        text=[about, verdict, record.text[-1]],
    )


def _medians(found: Found, case: Case) -> dict[str, float]:
    rows = {peer: found.get((peer, case.name), []) for peer in peers_of(case)}
    return {peer: statistics.median(each.cpu for each in figures) for peer, figures in rows.items() if figures}


if __name__ == "__main__":
    sys.exit(main())
