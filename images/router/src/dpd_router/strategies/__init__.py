"""How one worker is chosen among several: one file per strategy, one interface, one instance for each role.

A strategy is told who is there and how busy, by the pool, and returns the best few; a choice costs the logarithm of the
number of workers, or less. It does no I/O and reads no clock.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from dpd_router.strategies.base import Fits, Strategy, anyone, load
from dpd_router.strategies.ordered import LeastLoad, RoundRobin
from dpd_router.strategies.prefixaware import PrefixAware
from dpd_router.strategies.session import Session
from dpd_router.types import Candidate

__all__ = ["KVAWARE", "NAMES", "SESSION", "Fits", "Strategy", "anyone", "leastload", "strategy_named"]

C = TypeVar("C", bound=Candidate)

KVAWARE = "kvaware"
SESSION = "session"
NAMES = ("prefixaware", KVAWARE, SESSION, "roundrobin", "leastload")


def strategy_named(name: str) -> "Strategy[C]":
    """Return a new strategy of that name; the configuration has made sure that there is one.

    kvaware is made by itself: somebody has to feed it.
    """
    table: dict[str, Callable[[], Strategy[C]]] = {
        "prefixaware": PrefixAware,
        SESSION: Session,
        "roundrobin": RoundRobin,
        "leastload": LeastLoad,
    }
    return table[name]()


def leastload(candidates: Sequence[C]) -> list[C]:
    """Order candidates by load, for those who have them at hand."""
    return sorted(candidates, key=load)
