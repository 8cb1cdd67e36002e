"""A request on the fast path."""

from typing import Any

import msgspec

from dpd_router.pool import Worker
from dpd_router.types import Reason
from dpd_router.wire.exchange import Exchange


class Flight(msgspec.Struct, frozen=True):
    """One request. Times are those of the path's clock; `trial`: its worker is on trial; `stream` is
    what the body says under that name."""

    exchange: Exchange
    worker: Worker
    trial: bool
    tokens: int
    reason: Reason
    stream: Any
    began: float
    sent: float
