"""Consistent hashing: a key's worker, found from the workers' names alone, so that every router finds the same one.

Each worker has several points on a circle, each key is thrown at it several times, and the throw that lands closest
before a point decides. A worker that comes takes only keys that are now its own, one that goes gives away only its own.
More throws and points make the shares more even; sixteen of each keep them within a few percent.
"""

from bisect import bisect_left
from collections.abc import Iterator
from hashlib import blake2b
from struct import Struct
from typing import Final, Generic, TypeVar
from zlib import crc32

from dpd_router.types import Candidate

C = TypeVar("C", bound=Candidate)

POINTS_PER_DIGEST = 8
DIGESTS = 2
THROWS: Final = 16
# Of a place: so few that compiled code multiplies two without an object for each number.
_BITS: Final = 30
_CIRCLE: Final = 1 << _BITS
_MASK: Final = _CIRCLE - 1
_BELOW: Final = _BITS - 8  # those below a place's first byte
# Odd numbers of as many bits, spread.
_STEP: Final = 0x1E3779B1
_FIRST: Final = 0x21F0AAAD
_SECOND: Final = 0x31848BAB
_numbers: Final = Struct(f">{POINTS_PER_DIGEST}I").unpack
_SIZE: Final = 4 * POINTS_PER_DIGEST


def key_of(text: str) -> int:
    """Return what stands for a text on every ring: a checksum, the same in every router. Two texts that have the same
    one share a worker, no more."""
    return crc32(text.encode("utf-8", "surrogatepass"))


class Ring(Generic[C]):
    """Workers on a circle. A change of membership is paid for at the next look, once for all changes since."""

    def __init__(self) -> None:
        self._owners: dict[int, C] = {}
        self._points: list[int] = []
        self._in_order: list[C] = []
        # Where the points of each first byte begin: with a few hundred points or less, one look finds the next.
        self._begins: list[int] = []
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

    def walk(self, key: int) -> Iterator[C]:
        """Yield every worker once, the key's own first, then those that follow on the circle."""
        self._refresh()
        owners = self._in_order
        if not owners:
            return
        start = self._closest(key)
        seen: set[int] = set()
        for step in range(len(owners)):
            owner = owners[(start + step) % len(owners)]
            if id(owner) not in seen:
                seen.add(id(owner))
                yield owner

    def owner(self, key: int) -> C | None:
        """Return the key's own worker, None when there are none."""
        self._refresh()
        return self._in_order[self._closest(key)] if self._in_order else None

    def _refresh(self) -> None:
        if self._stale:
            self._points = [point for point in self._points if point in self._owners]
            self._points.sort()
            self._in_order = [self._owners[point] for point in self._points]
            self._begins = [bisect_left(self._points, byte << _BELOW) for byte in range(257)]
            self._stale = False

    def _closest(self, key: int) -> int:
        """Return the index of the point that one of the key's throws lands closest before."""
        points, begins, count = self._points, self._begins, len(self._points)
        number, closest, least = key, 0, _CIRCLE
        for _ in range(THROWS):
            # Multiplied and folded twice, so that numbers in a row are anywhere: a digest would cost ten times as much.
            number = (number + _STEP) & _MASK
            throw = ((number ^ (number >> 16)) * _FIRST) & _MASK
            throw = ((throw ^ (throw >> 15)) * _SECOND) & _MASK
            throw ^= throw >> 14
            byte = throw >> _BELOW
            at, end = begins[byte], begins[byte + 1]
            if at < end:
                at = bisect_left(points, throw, at, end)
            gap = points[at] - throw if at < count else points[0] - throw + _CIRCLE
            if gap < least:
                closest, least = at, gap
        return closest % count


def _points(name: str) -> Iterator[int]:
    for number in range(1, DIGESTS + 1):
        digest = blake2b(name.encode(), digest_size=_SIZE, salt=bytes([number])).digest()
        yield from (place & _MASK for place in _numbers(digest))
