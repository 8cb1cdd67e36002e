"""How a decision's cost grows: by the instructions that it takes, for time is another one's business."""

from statistics import median
from typing import Any

import pytest

from bench.choices import Decisions, along, among, record
from bench.fleet import Fleet, operations, prompt_of
from dpd_router.pool import Fits, Pool, Role, Worker
from dpd_router.strategies import KVAWARE, NAMES
from dpd_router.types import Prompt

FEW, MANY = 10, 1_000


class Looking:
    """A strategy as it must not be: it looks at everybody for each request."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def rank(self, _prompt: Prompt, most: int, fits: Fits) -> list[Worker]:
        """Return the least busy ones."""
        return [each for each in sorted(self.pool.all(), key=lambda each: each.in_flight) if fits(each)][:most]


def instructions(strategy: str, workers: int, *, pd: bool) -> float:
    """Return what the middle one of some decisions takes when every worker has a request under way."""
    ids = strategy == KVAWARE
    fleet = Fleet(strategy, workers, pd=pd)
    for number in range(workers):
        prompt = prompt_of(number % 50, ids=ids)
        fleet.tell(fleet.decide(prompt), prompt)
    return median(operations(fleet, prompt_of(number, ids=ids)) for number in range(20))


@pytest.mark.parametrize("pd", [False, True], ids=["colocated", "pd"])
@pytest.mark.parametrize("strategy", NAMES)
def test_a_decision_among_a_hundred_times_as_many_workers_takes_less_than_twice_the_instructions(
    strategy: str, *, pd: bool
) -> None:
    assert instructions(strategy, MANY, pd=pd) < 2 * instructions(strategy, FEW, pd=pd)


def test_what_looks_at_every_worker_is_noticed() -> None:
    fleet = Fleet("leastload", MANY)
    before = operations(fleet, prompt_of(1, ids=False))
    strategies: dict[Role, Any] = fleet.chooser.strategies
    strategies[Role.WORKER] = Looking(fleet.pool)
    assert operations(fleet, prompt_of(1, ids=False)) > before + MANY


@pytest.mark.parametrize("strategy", NAMES)
def test_a_decision_is_not_dearer_when_ten_times_as_many_prefixes_were_met(strategy: str) -> None:
    few, many = along(strategy, (300, 3_000), most_blocks=4_000)
    assert many.instructions < 1.2 * few.instructions


def test_the_index_holds_no_more_than_it_may_whatever_comes() -> None:
    fleet = Fleet(KVAWARE, FEW, most_blocks=500)
    chosen: Any = fleet.chooser.strategies[Role.WORKER]
    for number in range(1_000):
        prompt = prompt_of(number, ids=True)
        fleet.tell(fleet.decide(prompt), prompt)
    assert 0 < len(chosen.index) <= 500


def test_what_was_measured_becomes_tables_and_lines() -> None:
    one = among("session", FEW, pd=False, batches=2)
    assert one.instructions > 0
    rows = {"session": [one, Decisions([3.0, 5.0], 900, 1.25)]}
    made = record(rows, rows, rows, (10, 100), (1_000, 10_000))
    assert [len(table.rows) for table in made.tables] == [2] * 5
    assert made.tables[0].rows[1][2] == "4.0 (3.0–5.0) · 900"
    assert made.charts[4].lines["session"][1] == [10_000, 4.0]
