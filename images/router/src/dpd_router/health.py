"""Which workers are well: each is asked `GET /health`, and nothing else, every few seconds.

A prefiller that is given any prompt without a transfer dies of it, so no probe ever carries one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.pool import Pool, Worker
from dpd_router.seams import Collects
from dpd_router.types import Call


@dataclass(frozen=True, slots=True)
class Health:
    """Asks every worker. Times in seconds."""

    pool: Pool
    legs: Collects
    path: str
    interval: float
    timeout: float
    tell: Callable[[str], None]

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.round()
            await asyncio.sleep(self.interval)

    async def round(self) -> None:
        """Ask every worker once, all at the same time."""
        await asyncio.gather(*(self._check(worker) for worker in self.pool.all()))

    async def _check(self, worker: Worker) -> None:
        was = worker.up
        if await self._well(worker):
            self.pool.mark_up(worker)
        else:
            self.pool.mark_down(worker)
        if worker.up != was:
            self.tell(f"worker {'up' if worker.up else 'down'}: role={worker.address.role} worker={worker.name}")

    async def _well(self, worker: Worker) -> bool:
        for _ in range(2):  # a kept connection may have been closed just now, which says nothing of the worker
            try:
                async with asyncio.timeout(self.timeout):
                    reply = await self.legs.collect(worker, Call("GET", self.path, (), b""), "health")
            except LegDiedError:
                continue
            except (ConnectFailedError, TimeoutError):
                return False
            return reply.status == 200
        return False
