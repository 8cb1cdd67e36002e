"""Which workers are well: each is asked `GET /health`, and nothing else, every few seconds.

A prefiller that is given any prompt without a transfer dies of it, so no probe ever carries one. A worker that is not
well is asked more often than others, so that it is missed for as short a time as possible.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.pool import Pool, Worker
from dpd_router.seams import Collects
from dpd_router.types import Call

UNWELL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Checks:
    """How workers are asked. Times in seconds; `tolerance` is how many answers in a row may be late or missing."""

    path: str = "/health"
    interval: float = 2.0
    timeout: float = 5.0
    tolerance: int = 1


@dataclass(slots=True)
class Health:
    """Asks every worker, each at its own times: one that does not answer holds nobody else's turn up."""

    pool: Pool
    legs: Collects
    checks: Checks
    tell: Callable[[str], None]
    _due: dict[Worker, float] = field(default_factory=dict)
    _late: dict[Worker, int] = field(default_factory=dict)
    _asking: dict[Worker, "asyncio.Task[None]"] = field(default_factory=dict)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Look at once: there are workers nobody has asked."""
        self._woken.set()

    async def run(self) -> None:
        """Ask for ever."""
        self.pool.changed = self.wake
        try:
            while True:
                self._woken.clear()
                self.pool.review()
                self._ask_who_is_due()
                try:
                    async with asyncio.timeout(min(self.checks.interval, UNWELL_SECONDS) / 2):
                        await self._woken.wait()
                except TimeoutError:
                    continue
        finally:
            asking = list(self._asking.values())
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    def met(self) -> bool:
        """Say whether every worker there is has been asked."""
        return all(each in self._due and each not in self._asking for each in self.pool.all())

    async def round(self) -> None:
        """Ask every worker once, all at the same time."""
        await asyncio.gather(*(self._check(worker) for worker in self.pool.all()))

    def _ask_who_is_due(self) -> None:
        loop = asyncio.get_running_loop()
        workers = self.pool.all()
        for worker in self._due.keys() - set(workers):
            del self._due[worker]
            self._late.pop(worker, None)
        for worker in workers:
            pause = self.checks.interval if worker.up else min(self.checks.interval, UNWELL_SECONDS)
            due = worker.doubted or worker not in self._due or loop.time() >= self._due[worker] + pause
            if worker not in self._asking and due:
                worker.doubted = False
                self._due[worker] = loop.time()
                self._asking[worker] = task = loop.create_task(self._check(worker))
                task.add_done_callback(partial(self._asked, worker))

    def _asked(self, worker: Worker, _task: "asyncio.Task[None]") -> None:
        self._asking.pop(worker, None)

    async def _check(self, worker: Worker) -> None:
        was = worker.up
        well = await self._well(worker)
        if well:
            self._late.pop(worker, None)
            self.pool.mark_up(worker)
        elif well is False or self._missed(worker):
            self.pool.mark_down(worker)
        if worker.up != was:
            self.tell(f"worker {'up' if worker.up else 'down'}: role={worker.address.role} worker={worker.name}")

    def _missed(self, worker: Worker) -> bool:
        """Note one more answer that did not come; say whether there were too many of them."""
        self._late[worker] = self._late.get(worker, 0) + 1
        return self._late[worker] > self.checks.tolerance

    async def _well(self, worker: Worker) -> bool | None:
        """Ask once. None when there was no answer in time, or none at all: a busy engine may be late."""
        for _ in range(2):  # a kept connection may have been closed just now, which says nothing of the worker
            try:
                async with asyncio.timeout(self.checks.timeout):
                    reply = await self.legs.collect(worker, Call("GET", self.checks.path, (), b""), "health")
            except LegDiedError:
                continue
            except TimeoutError:
                return None
            except ConnectFailedError:
                return False
            return reply.status == 200
        return None
