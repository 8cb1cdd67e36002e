"""session: what one session sends goes to one worker for as long as that worker is there.

The session's name is put on the ring, so routers agree without talking, and workers that come and go move few sessions.
A session stays with a busy worker: that is what it is for. A request without a session goes to the least busy.
"""

from typing import Generic, TypeVar

from dpd_router.strategies.base import Fits, Queue, anyone, load
from dpd_router.strategies.ring import Ring
from dpd_router.types import Candidate, Prompt

C = TypeVar("C", bound=Candidate)


class Session(Generic[C]):
    """Orders by the session's place on the ring."""

    def __init__(self) -> None:
        self._ring: Ring[C] = Ring()
        self._queue: Queue[C] = Queue(load)

    def joined(self, worker: C) -> None:
        """Count a worker in."""
        self._ring.add(worker)
        self._queue.put(worker)

    def left(self, worker: C) -> None:
        """Count a worker out."""
        self._ring.remove(worker)
        self._queue.drop(worker)

    def touched(self, worker: C) -> None:
        """Note a worker's load."""
        self._queue.touch(worker)

    def rank(self, prompt: Prompt, most: int, fits: Fits = anyone) -> list[C]:
        """Return the session's worker and those that follow it on the ring."""
        if not prompt.session:
            return self._queue.first(most, fits)
        found: list[C] = []
        for worker in self._ring.walk(prompt.session.encode("utf-8", "surrogatepass")):
            if len(found) == most:
                break
            if fits(worker):
                found.append(worker)
        return found
