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
_BITS: Final = 30  # of a place: as many as one digit of Python's numbers has, which are quick to reckon with
_CIRCLE: Final = 1 << _BITS
_MASK: Final = _CIRCLE - 1
# Folded and multiplied, a place becomes another one, anywhere: half its bits, and an odd number with bits all over.
_FOLD: Final = _BITS // 2
_FACTOR: Final = 0x21F0AAAD
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
        # The points once around the circle and to the first again; and where they begin in each of as many equal parts
        # as there are points or more, so that the next point of a place is found in a look or two.
        self._around: list[int] = []
        self._begins: list[int] = []
        self._below = 0  # bits of a place below those that name its part
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
        if not self._stale:
            return
        self._points = [point for point in self._points if point in self._owners]
        self._points.sort()
        self._in_order = [self._owners[point] for point in self._points]
        self._around = [*self._points, *(point + _CIRCLE for point in self._points[:1])]
        parts = len(self._points).bit_length()
        self._below = _BITS - parts
        self._begins = [bisect_left(self._points, part << self._below) for part in range(1 << parts)]
        self._stale = False

    def _closest(self, key: int) -> int:
        """Return the index of the point that one of the key's throws lands closest before."""
        around, begins, below = self._around, self._begins, self._below
        throw, closest, least = key & _MASK, 0, _CIRCLE
        for _ in range(THROWS):
            throw = ((throw ^ (throw >> _FOLD)) * _FACTOR) & _MASK  # a digest for it would cost ten times as much
            at = begins[throw >> below]
            while around[at] < throw:
                at += 1
            gap = around[at] - throw
            if gap < least:
                closest, least = at, gap
        return closest % len(self._in_order)


def _points(name: str) -> Iterator[int]:
    for number in range(1, DIGESTS + 1):
        digest = blake2b(name.encode(), digest_size=_SIZE, salt=bytes([number])).digest()
        yield from (place & _MASK for place in _numbers(digest))
