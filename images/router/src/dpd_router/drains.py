"""Reading what nobody waits for: the only way to free a decoder's pages is to have them read."""

from collections.abc import Callable
from dataclasses import dataclass

from dpd_router.background import Background
from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.pool import Pool, Worker
from dpd_router.seams import Collects
from dpd_router.stages.decode import drain
from dpd_router.types import Params, Request


@dataclass(frozen=True, slots=True)
class Drains:
    """Sends drains. `free` is called when the pages are free, or gone with their decoder."""

    pool: Pool
    legs: Collects
    background: Background

    async def now(self, request: Request, params: Params, decoder: Worker, free: Callable[[], None]) -> str:
        """Drain and return the decoder's status, `none` when it could not be asked."""
        # Its own request id: an engine may refuse two requests of one id, and the other may still be under way.
        request_id = request.request_id + "-drain"
        try:
            with self.pool.flight(decoder):
                reply = await self.legs.collect(decoder, drain(request, params), request_id)
            return str(reply.status)
        except (ConnectFailedError, LegDiedError):
            return "none"
        finally:
            free()

    def later(self, request: Request, params: Params, decoder: Worker, free: Callable[[], None]) -> None:
        """Drain in the background."""
        self.background.start(self.now(request, params, decoder, free))
