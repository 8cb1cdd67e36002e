"""The router's end: unready at once, no new work, streams to their end, transfers drained; the rest is told, then cut.

Who is still there when most of the grace is over is told so, and from then on treated like a client that left: a leg
whose pages the decoder has not read is still held, a prefill is still seen through and drained. Nothing is cancelled
before the very end.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dpd_router.background import Background
from dpd_router.errors import UnavailableError
from dpd_router.wire.downstream import Doors

LAST_SHARE = 0.1  # of the grace, for what those who were told leave behind
LAST_SECONDS = 10.0
SILENT_SECONDS = 1.0  # how long a connection brings nothing until it is closed under its client's hands
_LOOK_SECONDS = 0.02
TURNS = 3  # of the loop, so that one of them reads and accepts


@dataclass(frozen=True, slots=True)
class Leaving:
    """Ends a router. `close` takes no more connections; times in seconds, `leave` before that and `grace` in all."""

    doors: Doors
    background: Background
    close: Callable[[], None]
    leave: float
    grace: float
    retry_after: int
    tell: Callable[[str], None]

    async def run(self) -> None:
        """Go, within the grace."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.grace
        self.doors.open = False  # /health says so, and every answer is its connection's last
        await asyncio.sleep(min(self.leave, self.grace))  # whoever balances is still sending: it is served
        for _ in range(TURNS):
            await asyncio.sleep(0)  # a busy machine lets much come in before a timer is seen: it is taken in first
        self.close()
        last = deadline - min(LAST_SECONDS, self.grace * LAST_SHARE)
        await self._retire(last)
        await self._wait(last - loop.time())
        text = "The router is shutting down; try again."
        error = UnavailableError(text, code="shutting_down", retry_after=self.retry_after)
        cut = sum(connection.cut(error) for connection in list(self.doors.inside))
        await self._wait(deadline - loop.time())
        await end(list(self.doors.tasks))
        left = await self.background.finish(max(0.0, deadline - loop.time()))
        for connection in list(self.doors.inside):
            connection.close()
        self.tell(f"router stopped: requests_cut={cut} transfers_left={left}")

    async def _retire(self, last: float) -> None:
        """Close connections as they fall silent, until all have, or `last` on the loop's clock."""
        loop, silent = asyncio.get_running_loop(), min(SILENT_SECONDS, self.grace * LAST_SHARE)
        # Every one is asked, every time: who is silent closes now, and not when an earlier one has fallen silent too.
        while sum(each.retire(silent) for each in list(self.doors.inside)) and loop.time() < last:  # noqa: ASYNC110
            await asyncio.sleep(silent / 10)

    async def _wait(self, seconds: float) -> None:
        """Wait until nobody is being served, so many seconds at the most."""
        clock = asyncio.get_running_loop().time
        last = clock() + seconds
        while self.doors.serving and clock() < last:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(_LOOK_SECONDS)


async def end(tasks: "list[asyncio.Task[Any]]") -> None:
    """Cancel tasks and wait until they are over."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
