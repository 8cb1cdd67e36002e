"""What decoders say of their buffers: read from their metrics now and then, compared with the ledgers.

A ledger is a belief. Here it is held against what LMCache reports: pages that nobody accounts for are alarmed and
taken from what may be reserved until they are gone. The same figures tell what a page weighs, where nobody said.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.ledger import Buffers
from dpd_router.pool import Pool, Role, Worker
from dpd_router.seams import Collects
from dpd_router.types import Call

BYTES, OBJECTS = "lmcache:local_cache_usage", "lmcache:active_memory_objs_count"
PATH = "/metrics"


@dataclass(frozen=True, slots=True)
class Reading:
    """One decoder's figures: pages taken on its fullest rank, and the bytes of a page, 0 when none is taken."""

    pages: int
    page_bytes: int


def reading(text: str) -> Reading | None:
    """Return what an engine's metrics say of its buffer; None when they say nothing."""
    taken: dict[str, float] = {}
    objects: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("lmcache:"):
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            if name in (BYTES, OBJECTS):
                (taken if name == BYTES else objects)[labels] = _number(value)
    if not objects:
        return None
    pages = max(objects.values())
    weights = [taken.get(labels, 0.0) / count for labels, count in objects.items() if count > 0]
    return Reading(int(pages), int(max(weights, default=0.0)))


@dataclass(frozen=True, slots=True)
class Usage:
    """Looks at every decoder. `interval` in seconds, 0 for never; `alarm` takes a line that someone should read.

    `counts`: there are buffers, so there should be something to count by.
    """

    pool: Pool
    buffers: Buffers
    legs: Collects
    interval: float
    timeout: float
    tell: Callable[[str], None]
    alarm: Callable[[str], None]
    counts: bool = False

    async def run(self) -> None:
        """Look for ever; say so when nothing is counted that should be."""
        if self.counts and not self.buffers.limited:
            self.alarm(
                "transfer: neither pagesPerDecoder nor bufferBytes, so nothing bounds what is written into a decoder's "
                "buffer, and a full one wedges its prefillers; set one of them"
            )
        while self.interval and self.buffers.limited:
            await asyncio.sleep(self.interval)
            await self.round()

    async def round(self) -> None:
        """Look at every decoder once, at all of them at the same time."""
        await asyncio.gather(*(self._look(worker) for worker in self.pool.ready(Role.DECODE)))

    async def _look(self, worker: Worker) -> None:
        held = worker.ledger.high()
        found = await self._read(worker)
        if found is None:
            worker.drift.observed = None
            return
        if self.buffers.learn(found.page_bytes):
            self.tell(
                f"buffer measured: a page takes {found.page_bytes} bytes on {worker.name}, so a buffer of "
                f"{self.buffers.size} bytes has {self.buffers.pages} pages"
            )
            for each in self.pool.ready(Role.DECODE):
                each.ledger.admit()
        self._reconcile(worker, found.pages, held)

    def _reconcile(self, worker: Worker, observed: int, held: int) -> None:
        lost = worker.drift.look(asyncio.get_running_loop().time(), observed, held)
        before, worker.ledger.lost = worker.ledger.lost, lost
        if lost > max(before, self.buffers.peers):
            self.alarm(
                f"buffer drift: {lost} pages of {worker.name} are taken and no transfer accounts for them; they are "
                "left out of what is reserved until they are free; if they stay, restart that decoder"
            )
        elif lost < before:
            self.tell(f"buffer drift: {lost} of {before} pages of {worker.name} are left")
            worker.ledger.admit()

    async def _read(self, worker: Worker) -> Reading | None:
        try:
            async with asyncio.timeout(self.timeout):
                reply = await self.legs.collect(worker, Call("GET", PATH, (), b""), "usage")
        except (ConnectFailedError, LegDiedError, TimeoutError):
            return None
        return reading(reply.body.decode("utf-8", "replace")) if reply.status == 200 else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
