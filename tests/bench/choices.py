"""How cost grows, second step: a routing decision by strategy, against workers and against distinct prefixes.

Usage: python -m bench.choices [--most-prefixes N]. Everything is measured in a process of its own, on its processor
time; against prefixes, which takes long, as many strategies at a time as there are cores. Every prefix is met as a new
one; every fourth decision is for one that was met before. Whoever is chosen tells at once what it has computed, and
forgets nothing: so kvaware's index fills up.
"""

import argparse
import gc
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from bench.chart import spoken
from bench.fleet import MOST_BLOCKS, Fleet, operations, prompt_of
from bench.meters import used_by
from bench.record import Axis, Chart, Record, Table, write
from dpd_router.strategies import KVAWARE, NAMES
from dpd_router.types import Prompt

WORKERS = (10, 100, 1_000, 10_000)
PREFIXES = (10**3, 10**4, 10**5, 10**6, 10**7)
AMONG, BATCH, BATCHES, COUNTED, KNOWN = 100, 250, 20, 51, 1_000
SEED = 7
COMMAND = "make growth"
T = TypeVar("T")
ABOUT = [
    "What it takes to choose who computes a request, by strategy: what is looked at to decide, counting the request "
    "in and later out, and for kvaware the hashes of its 128 tokens. Each worker has one request under way on the "
    "average. Under PD half of the workers are prefillers and half decoders, and both are chosen.",
    "Instructions are those of Python that one decision executes, which no other load changes: their number is the "
    "same among ten thousand workers as among ten, or grows with its logarithm. The time grows more than they do, "
    "because the order of ten thousand workers does not fit the processor's nearer caches.",
    "Of prefixes kvaware remembers no more than its `maxBlocks` (a million pairs of worker and block here, which is "
    "the default): then the index is full, what is new is left out, and memory stays what it is. prefixaware counts "
    "those of its last requests, 16,384 at most, and remembers as many that it sent elsewhere. The others keep "
    "nothing. Memory is that of the process beyond what it had at first.",
]


@dataclass(frozen=True)
class Decisions:
    """What decisions took: µs of each batch's mean one, instructions of the middle one, MB of what is kept for it."""

    micros: Sequence[float]
    instructions: int
    memory: float


Found = dict[str, list[Decisions]]
"""By strategy, one for each size."""


def among(strategy: str, workers: int, *, pd: bool, batches: int = BATCHES) -> Decisions:
    """Measure decisions among so many workers, for prompts that have all been met before."""
    before = _memory()
    fleet = Fleet(strategy, workers, pd=pd)
    kept = _memory() - before
    ids = strategy == KVAWARE
    for number in range(KNOWN):
        prompt = prompt_of(number, ids=ids)
        fleet.tell(fleet.decide(prompt), prompt)
    for number in range(workers):
        fleet.decide(prompt_of(number % KNOWN, ids=ids))
    chance = random.Random(SEED)

    def some(count: int) -> list[Prompt]:
        return [prompt_of(chance.randrange(KNOWN), ids=ids) for _ in range(count)]

    timed = [_timed(fleet, some(BATCH)) for _ in range(batches)]
    return Decisions(timed, _instructions(fleet, some(COUNTED)), kept)


def along(strategy: str, prefixes: Sequence[int], most_blocks: int = MOST_BLOCKS) -> list[Decisions]:
    """Measure decisions among a hundred workers as prefixes come, and tell of them at each of these numbers."""
    before = _memory()
    fleet, chance, found = Fleet(strategy, AMONG, most_blocks=most_blocks), random.Random(SEED), list[Decisions]()
    ids, met, times = strategy == KVAWARE, 0, list[float]()
    for end in prefixes:
        while met < end:
            fresh = range(met, min(end, met + BATCH))
            numbers = [each for new in fresh for each in ([new] if new % 4 else [new, chance.randrange(new + 1)])]
            prompts = [prompt_of(number, ids=ids) for number in numbers]
            times.append(_timed(fleet, prompts, tell=ids))
            met = fresh.stop
        kept = _memory() - before
        count = _instructions(fleet, [prompt_of(chance.randrange(met), ids=ids) for _ in range(COUNTED)])
        found.append(Decisions(times[-BATCHES:], count, kept))
    return found


def _timed(fleet: Fleet, prompts: Sequence[Prompt], *, tell: bool = False) -> float:
    """Return the µs of the mean decision; what workers tell afterwards is not in it."""
    began = time.process_time()
    chosen = [fleet.decide(each) for each in prompts]
    took = time.process_time() - began
    for worker, prompt in zip(chosen, prompts, strict=True) if tell else ():
        fleet.tell(worker, prompt)
    return took * 1e6 / len(prompts)


def _instructions(fleet: Fleet, prompts: Sequence[Prompt]) -> int:
    return int(median(operations(fleet, each) for each in prompts))


def _memory() -> float:
    gc.collect()
    return used_by(os.getpid()).memory / 1e6


def apart(work: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Do some work in a process of its own, which nothing was done in before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(work, *arguments, **named).result()


def record(colocated: Found, pd: Found, met: Found, sizes: Sequence[int], prefixes: Sequence[int]) -> Record:
    """Return the page's section: what was found by strategy, at each number of workers and of prefixes."""
    workers, come = Axis("workers", log=True), Axis("prefixes met", log=True)
    micros, instructions = Axis("µs", log=True), Axis("instructions", log=True)
    said = "µs (least–most) · instructions"
    return Record(
        name="choices",
        title="A routing decision, against workers and prefixes",
        place=4,
        command=COMMAND,
        text=ABOUT,
        tables=[
            _table(f"colocated, workers: {said}", sizes, colocated, _said),
            _table(f"PD, workers: {said}", sizes, pd, _said),
            _table("colocated, workers: MB of all that is kept of them", sizes, colocated, _megabytes),
            _table(f"prefixes met, {AMONG} workers: {said}", prefixes, met, _said),
            _table(f"prefixes met, {AMONG} workers: MB of all that is kept", prefixes, met, _megabytes),
        ],
        charts=[
            Chart("Processor time, colocated", workers, micros, _lines(sizes, colocated, _middle)),
            Chart("Processor time, PD: prefiller and decoder", workers, micros, _lines(sizes, pd, _middle)),
            Chart("Instructions, PD", workers, instructions, _lines(sizes, pd, lambda each: each.instructions)),
            Chart("Memory, colocated", workers, Axis("MB", log=True), _lines(sizes, colocated, _kept)),
            Chart(f"Processor time, {AMONG} workers", come, micros, _lines(prefixes, met, _middle)),
            Chart(f"Memory, {AMONG} workers", come, Axis("MB"), _lines(prefixes, met, _kept)),
        ],
        data={
            f"{where}: {name}": [[each.micros, each.instructions, each.memory] for each in rows]
            for where, found in (("colocated", colocated), ("PD", pd), ("prefixes", met))
            for name, rows in found.items()
        },
    )


def _table(what: str, at: Sequence[int], found: Found, cell: Callable[[Decisions], str]) -> Table:
    return Table([[what, *map(spoken, at)], *([name, *map(cell, rows)] for name, rows in found.items())])


def _lines(at: Sequence[int], found: Found, of: Callable[[Decisions], float]) -> dict[str, list[list[float]]]:
    return {name: [[x, of(each)] for x, each in zip(at, rows, strict=True)] for name, rows in found.items()}


def _middle(each: Decisions) -> float:
    return median(each.micros)


def _kept(each: Decisions) -> float:
    return max(0.1, each.memory)


def _said(each: Decisions) -> str:
    low, high = min(each.micros), max(each.micros)
    return f"{_middle(each):.1f} ({low:.1f}–{high:.1f}) · {each.instructions}"


def _megabytes(each: Decisions) -> str:
    return f"{each.memory:.1f}"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most-prefixes", type=int, default=PREFIXES[-1], help="default: 10 million: 15 minutes")
    most: int = parser.parse_args().most_prefixes
    prefixes = [each for each in PREFIXES if each <= most]
    colocated, pd = Found(), Found()
    for name in NAMES:
        for pair, found in ((False, colocated), (True, pd)):
            found[name] = [apart(among, name, workers, pd=pair) for workers in WORKERS]
            print(name, "PD" if pair else "colocated", *map(_said, found[name]), sep=" | ", flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as beside:
        met = dict(zip(NAMES, beside.map(lambda name: apart(along, name, prefixes), NAMES), strict=True))
    for name in NAMES:
        print(name, "prefixes", *(f"{_said(each)} {each.memory:.1f} MB" for each in met[name]), sep=" | ", flush=True)
    print(write(record(colocated, pd, met, WORKERS, prefixes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
