"""One engine's events: heard as they come, asked for again where some are missing, forgotten where they cannot be had.

The index holds only what this engine is known to hold: whenever that is in doubt its blocks are forgotten, and the next
batches tell of new ones. Nothing here ever holds a request up.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import zmq
import zmq.asyncio

from dpd_router.kvevents.batches import Batch, apply, read
from dpd_router.kvevents.order import Order, Turn
from dpd_router.pool import Worker
from dpd_router.strategies.kvindex import Index

HIGH_WATER = 10_000
HEARTBEAT_MS = 10_000
AGAIN_SECONDS = 1.0
_END = (-1).to_bytes(8, "big", signed=True)


@dataclass(slots=True)
class Heard:
    """What feeds have heard, of all workers together. `gaps`: batches were missing; `lost`: and could not be had."""

    batches: int = 0
    gaps: int = 0
    lost: int = 0
    lives: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """Follows one worker. `seconds` is how long a repetition may take to begin, and to go on."""

    worker: Worker
    events: str
    replay: str
    index: Index[Worker]
    context: zmq.asyncio.Context
    heard: Heard
    seconds: float
    tell: Callable[[str], None]
    order: Order = field(default_factory=Order)

    async def run(self) -> None:
        """Follow for ever; what goes wrong costs what is known of this worker, and a second."""
        while True:
            try:
                with self._socket(zmq.SUB, self.events) as socket:
                    socket.subscribe(b"")
                    await self._follow(socket)
            except (zmq.ZMQError, msgspec.MsgspecError, ValueError) as error:
                self.heard.bad += 1
                self.tell(f"kv events: worker={self.worker.name} forgotten: {error}")
            self._forget(0)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self, socket: zmq.asyncio.Socket) -> None:
        await self._repeat(0)
        while True:
            _topic, number, payload = await socket.recv_multipart()
            await self._take(int.from_bytes(number, "big"), read(payload))

    async def _take(self, number: int, batch: Batch) -> None:
        turn = self.order.judge(number, batch.at)
        if turn is Turn.NEW_LIFE:
            self.heard.lives += 1
            self._forget(0)
            await self._repeat(0)
            turn = self.order.judge(number, batch.at)
        elif turn is Turn.AFTER_GAP:
            self.heard.gaps += 1
            await self._repeat(self.order.due)
            turn = self.order.judge(number, batch.at)
        if turn is Turn.AFTER_GAP:
            self.heard.lost += 1
            self._forget(number)
        if turn is not Turn.AGAIN:
            self._apply(number, batch)

    async def _repeat(self, start: int) -> None:
        """Ask for every batch from `start` on and apply what comes; where the engine has dropped some, begin anew."""
        try:
            with self._socket(zmq.DEALER, self.replay) as socket:
                await socket.send_multipart([b"", start.to_bytes(8, "big")])
                while True:
                    async with asyncio.timeout(self.seconds):
                        _empty, number, payload = await socket.recv_multipart()
                    if number == _END:
                        return
                    self._repeated(int.from_bytes(number, "big"), read(payload))
        except TimeoutError:
            return

    def _repeated(self, number: int, batch: Batch) -> None:
        if number < self.order.due:
            return
        if number > self.order.due:
            self.heard.lost += self.order.due > 0
            self._forget(number)
        self._apply(number, batch)

    def _apply(self, number: int, batch: Batch) -> None:
        apply(batch, self.index, self.worker)
        self.order.took(number, batch.at)
        self.heard.batches += 1

    def _forget(self, due: int) -> None:
        self.index.clear(self.worker)
        self.order.due, self.order.latest = due, 0.0

    def _socket(self, kind: int, address: str) -> zmq.asyncio.Socket:
        socket: zmq.asyncio.Socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.IPV6, 1)
        socket.connect(address)
        return socket
