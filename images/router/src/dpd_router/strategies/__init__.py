"""How one worker is chosen among several: one file per strategy, one interface, nothing remembered here.

A strategy orders the candidates, best first; the caller takes the first that answers. What a strategy needs to know of
the past is in the candidates, so that the pool stays the only state.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from dpd_router.strategies.prefixaware import prefixaware
from dpd_router.strategies.roundrobin import roundrobin
from dpd_router.types import Candidate

C = TypeVar("C", bound=Candidate)

Strategy = Callable[[str, Sequence[C]], list[C]]

NAMES = ("prefixaware", "roundrobin")


def strategy_named(name: str) -> "Strategy[C]":
    """Return the strategy of that name; the configuration has made sure that there is one."""
    table: dict[str, Strategy[C]] = {"prefixaware": prefixaware, "roundrobin": roundrobin}
    return table[name]


def leastload(candidates: Sequence[C]) -> list[C]:
    """Order by requests in flight; among equals the one unused the longest comes first."""
    return sorted(candidates, key=lambda each: (each.in_flight, each.last_used, each.name))
