"""The decoder's half of a transfer: for each rank a buffer of pages behind two REP sockets.

Each socket is served by one loop that handles one request at a time. That is the point: when the buffer is full the
alloc loop spins for room inside one request, and every sender of that rank waits behind it.
"""

import asyncio
from collections.abc import Callable

import zmq
import zmq.asyncio

from dpd_sim.core.keys import check_key
from dpd_sim.core.pages import PageBuffer
from dpd_sim.pd import wire

SPIN_SECONDS = 0.01
FULL = "Failed to allocate memory object, retrying..."
Log = Callable[[int, str, str], None]
"""(rank, level, text)"""


class ReceiverRank:
    """One rank's sockets and pages. Binding raises zmq.ZMQError when an address cannot be had."""

    def __init__(self, rank: int, run: bytes, buffer: PageBuffer, log: Log):
        self.buffer = buffer
        self.full_spins = 0
        self._rank = rank
        self._run = run
        self._log = log

    async def serve_init(self, socket: zmq.asyncio.Socket) -> None:
        """Answer handshakes and page writes until cancelled."""
        while True:
            message = wire.unpack_init(await socket.recv())
            await socket.send(wire.pack(self._init_answer(message)))

    async def serve_alloc(self, socket: zmq.asyncio.Socket) -> None:
        """Answer page requests until cancelled; an exception ends the loop for good and leaves its sender waiting."""
        try:
            while True:
                request = wire.unpack_alloc(await socket.recv())
                await socket.send(wire.pack(await self._allocate(request)))
        except (ValueError, zmq.ZMQError) as error:
            self._log(self._rank, "ERROR", f"alloc loop ended: {error}")

    def _init_answer(self, message: wire.InitMessage) -> wire.InitAnswer:
        match message:
            case wire.NixlInitRequest():
                return wire.NixlInitResponse(self._run)
            case wire.NixlMemRegRequest():
                return wire.NixlMemRegResponse(str(self.buffer.capacity).encode())
            case wire.PageWrite():
                return wire.PageWriteDone(self._written(message))

    def _written(self, message: wire.PageWrite) -> bool:
        if message.peer != self._run:
            return False
        for at, key in zip(message.indexes, message.keys, strict=True):
            self.buffer.write(at, key)
        return True

    async def _allocate(self, request: wire.AllocRequest) -> wire.AllocResponse:
        already: list[int] = []
        pages: list[int] = []
        for position, key in enumerate(request.keys):
            check_key(key)
            if self.buffer.hold_again(key):
                already.append(position)
                continue
            while (at := self.buffer.reserve(key)) is None:
                self.full_spins += 1
                self._log(self._rank, "WARNING", FULL)
                await asyncio.sleep(SPIN_SECONDS)
            pages.append(at)
        return wire.AllocResponse(already, pages)
