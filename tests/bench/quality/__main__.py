"""Last step: every strategy on every workload, from one prefiller to 64; the page's section. `python -m bench.quality`.

Exits 1 when a bar is missed. Minutes, on every core there is; `--bars` asks only what the bars need and stores nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median

from bench.quality.play import Outcome, play
from bench.quality.players import ORACLE
from bench.quality.shapes import SHAPES
from bench.quality.verdict import SEEDS, Found, bars, judged, requests
from bench.record import Axis, Chart, Record, Table, write
from dpd_router.strategies import NAMES

COUNTS = (1, 2, 4, 8, 16, 32, 64)
PLAYERS = (ORACLE, *NAMES)
TABLE_COUNT = 16
ROUTERS = 2
ABOUT = [
    "Simulated, not measured: the router's own strategies choose among prefillers whose clock is virtual. A "
    "prefiller takes one prompt after the other, keeps a million tokens of KV in pages of 256 and throws out what it "
    "has not used for the longest; a prompt takes what the simulator of engines says, less what is cached. The load "
    "would keep the prefillers busy half of the time if nothing were ever computed twice, so a strategy that finds "
    "little drowns.",
    "The oracle knows every cache, also what it will hold when the prompt's turn comes, and takes who holds the most "
    "of it within prefixaware's own bounds on load; it looks no further ahead than that, so it can be beaten. Hits "
    "are prompt tokens that need not be computed; load is seconds of work, the most loaded prefiller's to the mean "
    "(heavy tails make it uneven under every strategy); TTFT is from arrival to the end of the prefill.",
]


def one(asked: tuple[int, str, int, int, int]) -> Outcome:
    """Run one of all; its place in SHAPES, strategy, prefillers, seed, routers."""
    at, strategy, count, seed, routers = asked
    return play(SHAPES[at], strategy, count, seed, requests(SHAPES[at], count), routers)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", action="store_true")
    print(f"seeds {', '.join(map(str, SEEDS))}")
    if parser.parse_args().bars:
        found = bars()
        print("\n".join(" | ".join(each.row()) for each in found))
        return 0 if all(each.met for each in found) else 1
    runs = [(at, name, count) for at in range(len(SHAPES)) for name in PLAYERS for count in COUNTS]
    keys = [*((*run, 1) for run in runs), *((at, "prefixaware", TABLE_COUNT, ROUTERS) for at in range(len(SHAPES)))]
    asked = [(at, name, count, seed, routers) for at, name, count, routers in keys for seed in SEEDS]
    played: dict[tuple[int, str, int, int], list[Outcome]] = {}
    with ProcessPoolExecutor() as pool:
        for (at, name, count, seed, routers), outcome in zip(asked, pool.map(one, asked), strict=True):
            played.setdefault((at, name, count, routers), []).append(outcome)
            print(f"{SHAPES[at].name:14} {name:12} {count:3} seed {seed}: {_said(outcome)}", flush=True)
    record = _record(
        {(SHAPES[at].name, name, count): each for (at, name, count, routers), each in played.items() if routers == 1},
        {SHAPES[at].name: each for (at, _, _, routers), each in played.items() if routers != 1},
    )
    write(record)
    print("\n".join(" | ".join(row) for row in record.tables[0].rows[1:]))
    return 0 if "FAIL" not in str(record.tables[0].rows) else 1


def _said(each: Outcome) -> str:
    return f"hits {each.rate:.3f}, load {each.work_imbalance:.2f}, TTFT p99 {each.p99:.2f} s"


def _record(found: Found, apart: dict[str, list[Outcome]]) -> Record:
    verdicts = [["bar", "most", "found", ""], *(each.row() for each in judged(found))]
    shapes = [["workload", "what it is like"], *([each.name, each.about] for each in SHAPES)]
    return Record(
        name="quality",
        title="How well prefillers are chosen",
        place=9,
        command="python -m bench.quality",
        text=[*ABOUT, f"Seeds {', '.join(map(str, SEEDS))}; in tables the median, in brackets least and most."],
        tables=[Table(verdicts), Table(shapes), Table(_rows(found)), Table(_routers(found, apart))],
        charts=_charts(found),
        data={
            f"{shape}: {name}: {count}": [
                [round(value, 4) for value in (each.rate, each.work_imbalance, each.request_imbalance, each.p99)]
                for each in outcomes
            ]
            for (shape, name, count), outcomes in found.items()
        },
    )


def _rows(found: Found) -> list[list[str]]:
    """Return every strategy on every workload, with TABLE_COUNT prefillers."""
    head = [f"{TABLE_COUNT} prefillers", "hits", "load", "requests, most to mean", "TTFT p99", "to round robin's"]
    rows = [head]
    for shape in SHAPES:
        turns = found[shape.name, "roundrobin", TABLE_COUNT]
        for name in PLAYERS:
            outcomes = found[shape.name, name, TABLE_COUNT]
            ratios = [each.p99 / other.p99 for each, other in zip(outcomes, turns, strict=True)]
            rows.append(
                [
                    f"{shape.name}, {name}",
                    _spread([each.rate for each in outcomes]),
                    _spread([each.work_imbalance for each in outcomes]),
                    _spread([each.request_imbalance for each in outcomes]),
                    f"{_spread([each.p99 for each in outcomes])} s",
                    f"× {_spread(ratios)}",
                ]
            )
    return rows


def _routers(found: Found, apart: dict[str, list[Outcome]]) -> list[list[str]]:
    """Return what it costs that two routers never talk: each sees half of the requests, by chance."""
    rows = [[f"prefixaware, {TABLE_COUNT} prefillers, hits", "one router", "two routers"]]
    for shape in SHAPES:
        together = found[shape.name, "prefixaware", TABLE_COUNT]
        rows.append([shape.name, *(_spread([each.rate for each in some]) for some in (together, apart[shape.name]))])
    return rows


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def _charts(found: Found) -> list[Chart]:
    across = Axis("prefillers")
    charts = list[Chart]()
    for shape in SHAPES:
        for title, axis in (("hits", Axis("share")), ("TTFT p99", Axis("s", log=True))):
            lines = {
                name: [
                    [count, median(_value(title, each) for each in found[shape.name, name, count])] for count in COUNTS
                ]
                for name in PLAYERS
            }
            charts.append(Chart(f"{shape.name}: {title}", across, axis, lines))
    return charts


def _value(title: str, outcome: Outcome) -> float:
    return outcome.rate if title == "hits" else outcome.p99


if __name__ == "__main__":
    sys.exit(main())
