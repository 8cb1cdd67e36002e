"""The ledger: how much of one decoder's buffer is spoken for, and who waits for room in it."""

import asyncio
from collections import deque
from contextlib import suppress


class Room:
    """One transfer's share of a ledger: it shrinks when its true size is known, and goes back once."""

    def __init__(self, ledger: "Ledger", pages: int) -> None:
        self._ledger = ledger
        self._pages = pages

    def keep(self, pages: int) -> None:
        """Give back all but `pages`; never takes more."""
        spare = max(0, self._pages - pages)
        self._pages -= spare
        self._ledger.release(spare)

    def free(self) -> None:
        """Give back what is left; may be called more than once."""
        self.keep(0)


class Ledger:
    """Pages of one decoder's buffer that transfers have taken, in the order in which they asked."""

    def __init__(self, capacity: int | None) -> None:
        self.capacity = capacity
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def reserve(self, pages: int, seconds: float) -> bool:
        """Take `pages`, waiting up to `seconds` for room; False when there was none."""
        if self.capacity is None or (not self._waiting and self.used + pages <= self.capacity):
            self.used += pages
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((pages, turn))
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            return turn.done() and not turn.cancelled()  # its turn may have come at that very moment
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(pages)
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove((pages, turn))
            self._admit()
        return True

    def release(self, pages: int) -> None:
        """Give `pages` back and let in who waits."""
        self.used -= pages
        self._admit()

    def room(self, pages: int) -> "Room":
        """Return the handle of `pages` that were just reserved."""
        return Room(self, pages)

    def _admit(self) -> None:
        while self._waiting and self.capacity is not None and self.used + self._waiting[0][0] <= self.capacity:
            pages, turn = self._waiting.popleft()
            if not turn.done():
                self.used += pages
                turn.set_result(None)
