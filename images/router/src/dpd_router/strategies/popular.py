"""How much of a prompt's beginning chooses its worker: as much as is not yet too popular for one worker.

A short beginning keeps together what shares most of its KV. One that so many prompts have that a single worker could
not take them is no help: prompts that share it are told apart by what follows, and each worker comes to hold it. What
is popular is counted from the requests themselves, so routers that see alike shares of them come to the same.
"""

from typing import Final

from dpd_router.strategies.ring import key_of

CUTS: Final = (1024, 2048, 4096)
# A beginning is popular with half of the requests that are one worker's fair part, and so many at least.
PART: Final = 0.5
LEAST: Final = 8
# Requests that are looked back on: so many for each worker, within limits.
PER_WORKER: Final = 256
WINDOW: Final = (1024, 16384)

NEW: Final = 0
KNOWN: Final = 1
POPULAR: Final = 2


class Popular:
    """Counts of beginnings, halved again and again. It holds few more of them than the requests it looks back on."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._popular: set[int] = set()
        self._seen = 0
        self._until = 0

    def cut(self, lead: str, workers: int) -> tuple[int, int]:
        """Return the key of the shortest beginning that is not popular among so many workers, and what it is: a text
        with no beginning that is not popular counts whole."""
        self._seen += 1
        if self._seen > self._until:
            self._age(workers)
        for end in CUTS:
            if end >= len(lead):
                break
            key = key_of(lead[:end])
            what = self._count(key, workers)
            if what != POPULAR:
                return key, what
        key = key_of(lead)
        return key, self._count(key, workers)

    def _count(self, key: int, workers: int) -> int:
        """Count a beginning; return what it is."""
        count = self._counts.get(key)
        if count is None:
            self._counts[key] = 1
            return NEW
        self._counts[key] = count = count + 1
        if key in self._popular:
            return POPULAR
        if count < LEAST or count < PART * self._seen / workers:
            return KNOWN
        self._popular.add(key)
        return POPULAR

    def _age(self, workers: int) -> None:
        """Forget half of everything, and what was not seen since the last time. What was popular stays so above half
        of what made it so: it is not to flicker."""
        if self._until:
            least = max(LEAST, PART * self._seen / workers) / 2
            self._popular = {key for key in self._popular if self._counts[key] >= least}
            self._counts = {key: count // 2 for key, count in self._counts.items() if count}
            self._seen //= 2
        self._until = min(WINDOW[1], max(WINDOW[0], PER_WORKER * workers))
