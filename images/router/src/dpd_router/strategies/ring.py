"""Consistent hashing: a key's worker, found from the workers' names alone, so that every router finds the same one.

Each worker has several points on a circle, each key is thrown at it several times, and the throw that lands closest
before a point decides. A worker that comes takes only keys that are now its own, one that goes gives away only its own.
More throws and points make the shares more even; 8 and 16 keep them within a few percent.
"""

from bisect import bisect_left
from collections.abc import Iterator
from hashlib import blake2b
from struct import Struct
from typing import Generic, TypeVar

from dpd_router.types import Candidate

C = TypeVar("C", bound=Candidate)

POINTS_PER_DIGEST = 8
DIGESTS = 2
_CIRCLE = 1 << 64
_numbers = Struct(f">{POINTS_PER_DIGEST}Q").unpack
_SIZE = 8 * POINTS_PER_DIGEST


class Ring(Generic[C]):
    """Workers on a circle. A change of membership is paid for at the next look, once for all changes since."""

    def __init__(self) -> None:
        self._owners: dict[int, C] = {}
        self._points: list[int] = []
        self._stale = False

    def add(self, worker: C) -> None:
        """Put a worker's points on the circle."""
        for point in _points(worker.name):
            if point not in self._owners:
                self._owners[point] = worker
                self._points.append(point)
        self._stale = True

    def remove(self, worker: C) -> None:
        """Take a worker's points off the circle."""
        for point in _points(worker.name):
            if self._owners.get(point) is worker:
                del self._owners[point]
        self._stale = True

    def walk(self, key: bytes) -> Iterator[C]:
        """Yield every worker once, the key's own first, then those that follow on the circle."""
        self._refresh()
        points, owners = self._points, self._owners
        if not points:
            return
        start = self._closest(key)
        seen: set[int] = set()
        for step in range(len(points)):
            owner = owners[points[(start + step) % len(points)]]
            if id(owner) not in seen:
                seen.add(id(owner))
                yield owner

    def owner(self, key: bytes) -> C | None:
        """Return the key's own worker, None when there are none."""
        self._refresh()
        return self._owners[self._points[self._closest(key)]] if self._points else None

    def _refresh(self) -> None:
        if self._stale:
            self._points = [point for point in self._points if point in self._owners]
            self._points.sort()
            self._stale = False

    def _closest(self, key: bytes) -> int:
        """Return the index of the point that one of the key's throws lands closest before."""
        points, count = self._points, len(self._points)
        closest, least = 0, _CIRCLE
        for throw in _throws(key):
            at = bisect_left(points, throw)
            gap = points[at] - throw if at < count else points[0] - throw + _CIRCLE
            if gap < least:
                closest, least = at, gap
        return closest % count


def _points(name: str) -> Iterator[int]:
    for number in range(1, DIGESTS + 1):
        yield from _numbers(blake2b(name.encode(), digest_size=_SIZE, salt=bytes([number])).digest())


def _throws(key: bytes) -> tuple[int, ...]:
    """Return where a key is thrown at the circle; its salt, 0, is none of the points'."""
    return _numbers(blake2b(key, digest_size=_SIZE).digest())
