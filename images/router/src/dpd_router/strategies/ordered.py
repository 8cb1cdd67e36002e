"""leastload and roundrobin: an order that the prompt plays no part in."""

from typing import TypeVar

from dpd_router.strategies.base import Ordered, load, turn
from dpd_router.types import Candidate

C = TypeVar("C", bound=Candidate)


class LeastLoad(Ordered[C]):
    """The worker with the fewest requests in flight; among equals the one unused the longest."""

    def __init__(self) -> None:
        super().__init__(load)


class RoundRobin(Ordered[C]):
    """The worker that was chosen the longest ago; one that is new is next."""

    def __init__(self) -> None:
        super().__init__(turn)
