"""Who is told of requests on the fast path."""

from collections.abc import Callable
from dataclasses import dataclass

from dpd_router.record import Record


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told: `line` takes a line and a request's id, `report` one that has ended, `caller` a key's name and a
    status, `error` what went wrong here."""

    line: Callable[[str, str], None]
    report: Callable[[Record], None]
    caller: Callable[[str, int], None]
    error: Callable[[str], None]
