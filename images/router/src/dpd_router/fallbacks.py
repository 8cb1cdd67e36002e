"""How many prompts decoders compute at a time because no prefiller would: beyond that, others' streams would stall."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from dpd_router.errors import UnavailableError


class Slot:
    """One prompt's place; it goes back once."""

    def __init__(self, fallbacks: "Fallbacks | None") -> None:
        self._fallbacks = fallbacks

    def free(self) -> None:
        """Give the place back; may be called more than once."""
        if self._fallbacks is not None:
            self._fallbacks.release()
        self._fallbacks = None


@dataclass(slots=True)
class Fallbacks:
    """Counts them. `per_decoder` is the cap for each decoder that is ready; `refused` those that found no place.

    `queue` is how many may wait for a place, `seconds` how long: engines that were lost are often back by then.
    """

    per_decoder: int
    retry_after: int = 5
    queue: int = 64
    seconds: float = 10.0
    active: int = 0
    refused: int = 0
    _decoders: int = 1
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def waiting(self) -> int:
        """Prompts that wait for a place."""
        return len(self._waiting)

    async def take(self, decoders: int) -> Slot:
        """Return a place until the prompt is computed, in the order of asking; `decoders` is how many are ready.

        Raises UnavailableError when none comes free in time, or too many wait already.
        """
        self._decoders = max(1, decoders)
        self._admit()
        if not self._waiting and self._free:
            self.active += 1
        elif not self.per_decoder or len(self._waiting) >= self.queue or not await self._turn():
            self.refused += 1
            text = "No prefiller can take the prompt, and the decoders compute as many as they may; try again later."
            raise UnavailableError(text, code="fallbacks_exhausted", retry_after=self.retry_after)
        return Slot(self)

    def release(self) -> None:
        """Take a place back and give it to who waits."""
        self.active -= 1
        self._admit()

    @property
    def _free(self) -> bool:
        return self.active < self.per_decoder * self._decoders

    async def _turn(self) -> bool:
        """Wait for a place; say whether there was one."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self.seconds):
                await turn
        except TimeoutError:
            return turn.done() and not turn.cancelled()  # its turn may have come at that very moment
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(turn)
        return True

    def _admit(self) -> None:
        while self._waiting and self._free:
            turn = self._waiting.popleft()
            if not turn.done():
                self.active += 1
                turn.set_result(None)
