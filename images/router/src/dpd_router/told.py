"""Who is told of requests on the fast path."""

from collections.abc import Callable
from dataclasses import dataclass

from dpd_router.access import AccessLog
from dpd_router.metrics import Metrics
from dpd_router.record import Record


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told: `line` takes a line and a request's id, `report` one that has ended, `caller` a key's name and a
    status, `error` what went wrong here."""

    line: Callable[[str, str], None]
    report: Callable[[Record], None]
    caller: Callable[[str, int], None]
    error: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Where every request that has ended is counted and logged."""

    metrics: Metrics
    access: AccessLog

    def report(self, record: Record) -> None:
        """Count and log one."""
        self.metrics.record(record)
        self.access.record(record)
