"""Reading what nobody waits for: the only way to free a decoder's pages is to have them read."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from dpd_router.background import Background
from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.handoff import Handoff
from dpd_router.pool import Pool, Worker
from dpd_router.seams import Collects
from dpd_router.stages.decode import drain
from dpd_router.types import Params, Request

BUSY = 503


@dataclass(frozen=True, slots=True)
class Drains:
    """Sends drains. What they free is given back when it is free, or gone with its decoder, or given up.

    A decoder that turns a drain away is asked again, `tries` times in all, with `pause` seconds more before each than
    before the last. Pages of a drain that was given up show in the decoder's metrics, where the ledger hears of them.
    """

    pool: Pool
    legs: Collects
    background: Background
    tries: int = 4
    pause: float = 0.25
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    async def now(self, request: Request, handoff: Handoff, decoder: Worker, *, sure: bool = True) -> str:
        """Drain and return the decoder's status, `none` when none could be asked.

        `sure`: all pages were written and none was read. Where that is not known others' pages must be out of the way.
        """
        status = 0
        try:
            if sure or handoff.share is None:
                status = await self._read(request, handoff, decoder)
            if handoff.share is not None and (not sure or status == 0 or status >= 500):
                self.pool.retire(handoff.tag)
                async with handoff.share.alone():
                    # What a prefiller asked for as it died may reach the decoder after the news of its death.
                    await asyncio.sleep(2 * self.pause)
                    status = await self._read(request, handoff, decoder) or status
            return str(status or "none")
        finally:
            handoff.free()

    def later(self, request: Request, handoff: Handoff, decoder: Worker, *, sure: bool = True) -> None:
        """Drain in the background."""
        self.background.start(self.now(request, handoff, decoder, sure=sure))

    async def _read(self, request: Request, handoff: Handoff, decoder: Worker) -> int:
        """Have the pages read; return the last status."""
        assert handoff.params is not None
        status = 0
        for number in range(self.tries):
            await asyncio.sleep(number * self.pause)
            status = await self._ask(request, handoff.params, self._reader(handoff, decoder))
            if not (400 <= status < 500 or status == BUSY):  # turned away, it did not begin
                break
        return status

    def _reader(self, handoff: Handoff, decoder: Worker) -> Worker:
        """Return who shall read: the decoder itself, or one in its stead when it is down and any can."""
        if decoder.up or handoff.origin is None:
            return decoder
        return next(iter(self.pool.readers(handoff.origin)), decoder)

    async def _ask(self, request: Request, params: Params, decoder: Worker) -> int:
        """Return the decoder's status, 0 when it gave none."""
        # An id of its own: an engine may refuse two requests of one id, and others of this request may be under way.
        request_id = f"{request.request_id}-drain-{next(self.numbers)}"
        try:
            with self.pool.flight(decoder):
                return (await self.legs.collect(decoder, drain(request, params), request_id)).status
        except ConnectFailedError:
            self.pool.mark_down(decoder)
        except LegDiedError:
            pass  # it may have been read
        return 0
