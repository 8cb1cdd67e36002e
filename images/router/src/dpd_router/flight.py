"""A request on the fast path."""

from typing import Any, Final

from dpd_router.types import Reason
from dpd_router.wire.exchange import Exchange
from dpd_router.worker import Worker


class Flight:
    """One request. Times are those of the path's clock; `trial`: its worker is on trial; `stream` is
    what the body says under that name."""

    __slots__ = ("began", "exchange", "reason", "sent", "stream", "tokens", "trial", "worker")

    def __init__(  # noqa: PLR0913 - it has as many fields
        self,
        exchange: Exchange,
        worker: Worker,
        tokens: int,
        reason: Reason,
        stream: Any,
        began: float,
        sent: float,
        *,
        trial: bool,
    ) -> None:
        self.exchange: Final = exchange
        self.worker: Final = worker
        self.tokens: Final = tokens
        self.reason: Final = reason
        self.stream: Final = stream
        self.began: Final = began
        self.sent: Final = sent
        self.trial: Final = trial
