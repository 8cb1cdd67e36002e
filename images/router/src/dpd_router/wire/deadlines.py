"""How long a leg may take: to its first byte, and then from one byte to the next. One timer a leg, none a byte."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Times in seconds: to the first byte of a stream, to an answer that comes whole, between two bytes of either."""

    first_byte: float = 300.0
    answer: float = 3600.0
    idle: float = 300.0


class Watchdog:
    """Calls `late` when a leg has been silent for too long.

    `heard` is when a piece last came, or none could because the client does not read: whoever relays sets it.
    """

    __slots__ = ("_idle", "_late", "_limit", "_loop", "_set", "_timer", "heard")

    def __init__(self, deadlines: Deadlines, *, streams: bool, late: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle = deadlines.idle
        self._limit = deadlines.first_byte if streams else deadlines.answer
        self._late = late
        self.heard = self._loop.time()
        self._set = self._limit
        self._timer = self._loop.call_later(self._limit, self._look)

    def begun(self) -> None:
        """Count from piece to piece from now on."""
        self._limit = self._idle
        self.heard = self._loop.time()
        if self._limit < self._set:  # else it rings no later than it has to, and sees what is left then
            self._timer.cancel()
            self._arm(self._limit)

    def stop(self) -> None:
        """Look no more, and let go of who was to be called."""
        self._timer.cancel()
        self._late = _nobody

    def _look(self) -> None:
        left = self.heard + self._limit - self._loop.time()
        if left <= 0:
            self._set = inf  # none is set
            self._late()
        else:
            self._arm(left)

    def _arm(self, seconds: float) -> None:
        self._set = seconds
        self._timer = self._loop.call_later(seconds, self._look)


def _nobody() -> None:
    """Be called in place of a leg that has ended."""
