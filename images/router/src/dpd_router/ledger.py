"""The ledger: how much of one decoder's buffer is spoken for, and who waits for room in it.

Every router owns an equal share of each buffer, so that several of them need not talk. What a decoder itself reports as
taken and no transfer accounts for (see `drift`) is taken from all shares alike.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from dpd_router.tags import Tags


@dataclass(slots=True)
class Buffers:
    """What is known of the decoders' buffers, all of one size.

    `pages` are those of a whole buffer, None while nobody has said. `size` is a buffer's bytes per rank, from which the
    pages are learned once an engine has shown how many bytes one takes. With neither there is no limit. `routers` is
    how many there may be, `surge` how many more while they are replaced: each gets a share of its own. `queue` is how
    many requests may wait for room in one buffer, `window` how many seconds pages must be unaccounted for until they
    are taken for lost.
    """

    pages: int | None = None
    size: int | None = None
    routers: int = 1
    surge: int = 0
    queue: int = 64
    window: float = 60.0

    @property
    def limited(self) -> bool:
        """Say whether room has to be counted at all."""
        return self.pages is not None or self.size is not None

    def learn(self, page_bytes: int) -> bool:
        """Take note of what a page weighs on a rank; say whether that was news."""
        if self.pages is not None or self.size is None or page_bytes <= 0:
            return False
        self.pages = self.size // page_bytes
        return True

    @property
    def page_bytes(self) -> int | None:
        """Return what a page weighs on a rank, None while that is unknown."""
        return self.size // self.pages if self.size and self.pages else None

    def share(self, lost: int = 0) -> int | None:
        """Return the pages of one buffer that are this router's, `lost` ones apart; None while unknown or unlimited."""
        return None if self.pages is None else max(0, self.pages - lost) // (self.routers + self.surge)

    @property
    def peers(self) -> int:
        """Return the pages of one buffer that other routers may rightly hold."""
        return (self.share() or 0) * (self.routers - 1)


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
    """Pages of one decoder's buffer that transfers have taken, in the order in which they asked.

    While the size of a page is not known, one transfer is let in at a time: that is how the engine comes to show it.
    """

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        self.used = 0
        self.lost = 0
        self.tags = Tags()
        self._high = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def capacity(self) -> int | None:
        """Pages of this buffer that this router may have taken at a time; None while unknown or unlimited."""
        return self.buffers.share(self.lost)

    @property
    def waiting(self) -> int:
        """Requests that wait for room."""
        return len(self._waiting)

    async def reserve(self, pages: int, seconds: float) -> bool:
        """Take `pages`, waiting up to `seconds` for room; False when there was none, or too many wait already."""
        if not self._waiting and self._fits(pages):
            self._take(pages)
            return True
        if len(self._waiting) >= self.buffers.queue:
            return False
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
            self.admit()
        return True

    def release(self, pages: int) -> None:
        """Give `pages` back and let in who waits."""
        self.used -= pages
        self.admit()

    def room(self, pages: int) -> Room:
        """Return the handle of `pages` that were just reserved."""
        return Room(self, pages)

    def high(self) -> int:
        """Return the most pages taken at a time since this was last asked."""
        high, self._high = self._high, self.used
        return high

    def admit(self) -> None:
        """Let in who waits and fits; to be called when the capacity has changed."""
        while self._waiting and self._fits(self._waiting[0][0]):
            pages, turn = self._waiting.popleft()
            if not turn.done():
                self._take(pages)
                turn.set_result(None)

    def _take(self, pages: int) -> None:
        self.used += pages
        self._high = max(self._high, self.used)

    def _fits(self, pages: int) -> bool:
        if not self.buffers.limited:
            return True
        capacity = self.capacity
        return self.used == 0 if capacity is None else self.used + pages <= capacity
