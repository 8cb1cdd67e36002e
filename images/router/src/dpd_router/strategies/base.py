"""What every strategy is to the rest of the router, and what several of them keep: an order, a share."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace
from math import ceil
from typing import Any, Final, Generic, Protocol, TypeVar

from dpd_router.types import Candidate, Prompt

C = TypeVar("C", bound=Candidate)
Fits = Callable[[Any], bool]

_SLACK: Final = 16


def anyone(_worker: Any) -> bool:
    """Fit whoever there is."""
    return True


class Strategy(Protocol[C]):
    """Orders the workers of one role. It is told who takes requests and how busy each is; it never waits."""

    def joined(self, worker: C) -> None:
        """Count a worker in: it takes requests from now on."""

    def left(self, worker: C) -> None:
        """Count a worker out."""

    def touched(self, worker: C) -> None:
        """Note that a worker's load or its last turn has changed; it may have left already."""

    def rank(self, prompt: Prompt, most: int, fits: Fits = anyone) -> list[C]:
        """Return the best workers for a prompt that fit, `most` at the most, the best first."""

    def held(self, prompt: Prompt, worker: C) -> int:
        """Return how many of the prompt's tokens the worker is known to have computed already."""


class Queue(Generic[C]):
    """Workers in the order of a key that changes as they work; the first few are found in logarithmic time.

    A change may leave the old entry in the heap, to be passed over until the heap is twice as long as it needs to be.
    Who was touched is put where it belongs when somebody looks: many strategies seldom do.
    """

    def __init__(self, key: Callable[[C], tuple[Any, ...]]) -> None:
        self.key = key
        self._serial = 0
        self._newest: dict[C, int] = {}
        self._moved: set[C] = set()
        self._heap: list[tuple[tuple[Any, ...], int, C]] = []

    def put(self, worker: C) -> None:
        """Add a worker, or move it to where its key now belongs."""
        self._serial += 1
        self._newest[worker] = self._serial
        entry = (self.key(worker), self._serial, worker)
        if self._heap and self._heap[0][2] is worker:
            heapreplace(self._heap, entry)  # the one chosen is mostly the first, and what it was there by is old
            return
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._newest) + _SLACK:
            self._heap = [entry for entry in self._heap if self._newest.get(entry[2]) == entry[1]]
            heapify(self._heap)

    def touch(self, worker: C) -> None:
        """Note that a worker's key has changed, if it is here."""
        if worker in self._newest:
            self._moved.add(worker)

    def drop(self, worker: C) -> None:
        """Take a worker out."""
        self._newest.pop(worker, None)
        self._moved.discard(worker)

    def first(self, most: int, fits: Fits = anyone) -> list[C]:
        """Return the first `most` workers that fit, in order."""
        for worker in self._moved:
            self.put(worker)
        self._moved.clear()
        heap, found = self._heap, list[C]()
        while heap and self._newest.get(heap[0][2]) != heap[0][1]:
            heappop(heap)
        # A heap's smallest entries hang together at its top: the next in order is always a child of one already seen.
        front = [(heap[0][:2], 0)] if heap else []
        while front and len(found) < most:
            _, at = heappop(front)
            _, serial, worker = heap[at]
            if self._newest.get(worker) == serial and fits(worker):
                found.append(worker)
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(heap):
                    heappush(front, (heap[child][:2], child))
        return found


class Share(Generic[C]):
    """How much of the load each worker has, and how much it may have."""

    def __init__(self) -> None:
        self._loads: dict[C, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return len(self._loads)

    def __contains__(self, worker: C) -> bool:
        return worker in self._loads

    def put(self, worker: C) -> None:
        """Count a worker in, at its load of now."""
        self._total += worker.in_flight - self._loads.get(worker, 0)
        self._loads[worker] = worker.in_flight

    def touch(self, worker: C) -> None:
        """Count a worker's new load, if it is counted at all."""
        counted, load = self._loads.get(worker), worker.in_flight
        if counted is not None:
            self._loads[worker] = load
            self._total += load - counted

    def drop(self, worker: C) -> None:
        """Count a worker out."""
        self._total -= self._loads.pop(worker, 0)

    def bound(self, share: float) -> int:
        """Return how many requests a worker may have with one more to be placed: `share` times the mean, rounded up."""
        return ceil(share * (self._total + 1) / (len(self._loads) or 1))


def load(worker: Candidate) -> tuple[int, int, str]:
    """Order by requests in flight; among equals the one unused the longest comes first."""
    return (worker.in_flight, worker.last_used, worker.name)


def turn(worker: Candidate) -> tuple[int, str]:
    """Order by last turn."""
    return (worker.last_used, worker.name)


class Ordered(Generic[C]):
    """A strategy that keeps its workers in an order and, unless it knows better, chooses by it."""

    def __init__(self, key: Callable[[Candidate], tuple[Any, ...]] = load) -> None:
        self.queue: Queue[C] = Queue(key)

    def joined(self, worker: C) -> None:
        """Count a worker in."""
        self.queue.put(worker)

    def left(self, worker: C) -> None:
        """Count a worker out."""
        self.queue.drop(worker)

    def touched(self, worker: C) -> None:
        """Note a worker's change."""
        self.queue.touch(worker)

    def rank(self, prompt: Prompt, most: int, fits: Fits = anyone) -> list[C]:  # noqa: ARG002 - the interface's
        """Return the first workers in order."""
        return self.queue.first(most, fits)

    def held(self, prompt: Prompt, worker: C) -> int:  # noqa: ARG002 - the interface's
        """Know of nothing."""
        return 0
