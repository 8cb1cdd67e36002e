"""session: what one session sends goes to one worker for as long as that worker is there.

The session's name is put on the ring, so routers agree without talking, and workers that come and go move few sessions.
A session stays with a busy worker: that is what it is for. A request without a session goes to the least busy.
"""

from typing import TypeVar

from dpd_router.strategies.base import Fits, Ordered, anyone
from dpd_router.strategies.ring import Ring, key_of
from dpd_router.types import Candidate, Prompt

C = TypeVar("C", bound=Candidate)


class Session(Ordered[C]):
    """Orders by the session's place on the ring."""

    def __init__(self) -> None:
        super().__init__()
        self._ring: Ring[C] = Ring()

    def joined(self, worker: C) -> None:
        """Count a worker in."""
        super().joined(worker)
        self._ring.add(worker)

    def left(self, worker: C) -> None:
        """Count a worker out."""
        super().left(worker)
        self._ring.remove(worker)

    def rank(self, prompt: Prompt, most: int, fits: Fits = anyone) -> list[C]:
        """Return the session's worker and those that follow it on the ring."""
        if not prompt.session:
            return self.queue.first(most, fits)
        found: list[C] = []
        for worker in self._ring.walk(key_of(prompt.session)):
            if len(found) == most:
                break
            if fits(worker):
                found.append(worker)
        return found
