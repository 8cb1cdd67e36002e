"""prefixaware: prompts that begin alike go to the same worker, as long as it is not busier than its share.

A hash of the prompt's beginning finds the worker on the ring: as much of it as is not too popular for one worker (see
`popular`). Nothing is exchanged, yet every router finds the same one. What is too much for one worker goes to the next
on the ring; where many in a row have their share, to the least busy.

What was sent elsewhere is remembered for a while, for there its KV is: a beginning that comes again goes to who had it.
Such a worker has less to compute, so it may have a little more than its share.
"""

from typing import Final, TypeVar

from dpd_router.strategies.base import Fits, Ordered, Share, anyone
from dpd_router.strategies.popular import KNOWN, POPULAR, Popular
from dpd_router.strategies.ring import Ring
from dpd_router.types import Candidate, Prompt

C = TypeVar("C", bound=Candidate)

# How much more than the mean a worker may have, and how many requests beyond that if it has had the prompt's beginning.
SHARE: Final = 1.25
BEYOND: Final = 2
# Workers looked at on the ring; a prefix that has filled so many is served as well by any other.
LOOKS: Final = 32
# Beginnings that were sent elsewhere and are remembered: so many for each worker, so many in all, with so many workers.
STRAYS: Final = 128
MOST: Final = 16384
WORKERS: Final = 3


class PrefixAware(Ordered[C]):
    """Orders by affinity to the prompt's leading blocks, within the bound on load."""

    def __init__(self) -> None:
        super().__init__()
        self._ring: Ring[C] = Ring()
        self.share: Share[C] = Share()
        self._popular = Popular()
        # By a beginning's key: its worker by the ring at that time, and those that had it, the latest first.
        self._strays: dict[int, tuple[C, tuple[C, ...]]] = {}

    def joined(self, worker: C) -> None:
        """Count a worker in."""
        super().joined(worker)
        self._ring.add(worker)
        self.share.put(worker)

    def left(self, worker: C) -> None:
        """Count a worker out."""
        super().left(worker)
        self._ring.remove(worker)
        self.share.drop(worker)

    def touched(self, worker: C) -> None:
        """Note a worker's load."""
        self.queue.touch(worker)
        self.share.touch(worker)

    def rank(self, prompt: Prompt, most: int, fits: Fits = anyone) -> list[C]:
        """Return who had the prompt's beginning or is near its place on the ring and has room, then the least busy."""
        key, what = self._popular.cut(prompt.lead, len(self.share))
        own, bound = self._ring.owner(key), self.share.bound(SHARE)
        if own is None:
            return []
        owner, wide = own, bound + BEYOND * (what == KNOWN)
        homes = self._homes(key, own) if key in self._strays else ()
        if homes:
            own = min(homes, key=_busy)
        if own.in_flight < wide and fits(own):
            if most == 1:
                return [own]
            return self._near(key, bound, most, fits, [own])
        found = self._near(key, bound, most, fits, [])
        if found and what != POPULAR:
            self._remember(key, owner, found[0], homes or (owner,) * (what == KNOWN))
        return found

    def _homes(self, key: int, owner: C) -> tuple[C, ...]:
        """Return who had a beginning that went elsewhere, unless its place on the ring has changed hands since."""
        was, homes = self._strays.pop(key)
        if was is not owner:
            return ()
        self._strays[key] = was, homes
        return tuple(each for each in homes if each in self.share)

    def _remember(self, key: int, owner: C, home: C, homes: tuple[C, ...]) -> None:
        """Note that a beginning went to a worker; what has not been looked for the longest is forgotten."""
        self._strays[key] = owner, (home, *[each for each in homes if each is not home][: WORKERS - 1])
        if len(self._strays) > min(MOST, STRAYS * len(self.share)):
            del self._strays[next(iter(self._strays))]

    def _near(self, key: int, bound: int, most: int, fits: Fits, found: list[C]) -> list[C]:
        """Return what was found and, up to so many, those that follow on the ring, then the least busy."""
        taken = set(map(id, found))
        for look, worker in enumerate(self._ring.walk(key)):
            if len(found) == most or look == LOOKS:
                break
            if worker.in_flight < bound and id(worker) not in taken and fits(worker):
                found.append(worker)
        if len(found) == most:
            return found
        taken = set(map(id, found))
        return found + self.queue.first(most - len(found), lambda each: id(each) not in taken and fits(each))


def _busy(worker: Candidate) -> int:
    return worker.in_flight
