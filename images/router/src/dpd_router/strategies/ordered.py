"""leastload and roundrobin: an order that the prompt plays no part in."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from dpd_router.strategies.base import Fits, Queue, anyone, load, turn
from dpd_router.types import Candidate, Prompt

C = TypeVar("C", bound=Candidate)


class _Ordered(Generic[C]):
    def __init__(self, key: Callable[[Candidate], tuple[Any, ...]]) -> None:
        self._queue: Queue[C] = Queue(key)

    def joined(self, worker: C) -> None:
        """Count a worker in."""
        self._queue.put(worker)

    def left(self, worker: C) -> None:
        """Count a worker out."""
        self._queue.drop(worker)

    def touched(self, worker: C) -> None:
        """Note a worker's change."""
        self._queue.touch(worker)

    def rank(self, prompt: Prompt, most: int, fits: Fits = anyone) -> list[C]:  # noqa: ARG002 - the interface's
        """Return the first workers in order."""
        return self._queue.first(most, fits)


class LeastLoad(_Ordered[C]):
    """The worker with the fewest requests in flight; among equals the one unused the longest."""

    def __init__(self) -> None:
        super().__init__(load)


class RoundRobin(_Ordered[C]):
    """The worker that was chosen the longest ago; one that is new is next."""

    def __init__(self) -> None:
        super().__init__(turn)
