"""The prefiller's half of a transfer: per rank, one REQ pair to each receiver and one PUSH to the router.

Nothing here has a time-out, because nothing in the real sender has: a receiver that never answers stops this rank, and
with it the engine's step, while the HTTP server goes on answering /health.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import zmq
import zmq.asyncio

from dpd_sim.pd import wire

Pause = Callable[[float], Awaitable[None]]


class TransferError(Exception):
    """A write that failed, or a request this sender cannot place; it takes the engine down."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Where one rank's chunks go: from a request's `disagg_spec`."""

    req_id: str
    host: str
    init_port: int
    alloc_port: int

    @classmethod
    def of(cls, params: Mapping[str, Any], rank: int) -> "Spec":
        """Read a request's transfer for one rank.

        Raises TransferError when the request has none, or its port lists do not reach this rank.
        """
        spec = params.get("disagg_spec")
        try:
            return cls(
                str(spec["req_id"]),  # type: ignore[index]
                str(spec["receiver_host"]),  # type: ignore[index]
                int(spec["receiver_init_port"][rank]),  # type: ignore[index]
                int(spec["receiver_alloc_port"][rank]),  # type: ignore[index]
            )
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise TransferError(f"disagg_spec {spec!r}, rank {rank}: {type(error).__name__}: {error}") from error


@dataclass(slots=True)
class _Peer:
    run: bytes
    init: zmq.asyncio.Socket
    alloc: zmq.asyncio.Socket


class SenderRank:
    """One rank's connections."""

    def __init__(self, context: zmq.asyncio.Context, rank: int, router: str, pause: Pause):
        self._context = context
        self._rank = rank
        self._pause = pause
        self._peers: dict[str, _Peer] = {}
        self._sockets: list[zmq.asyncio.Socket] = []
        self._notices = self._socket(zmq.PUSH, router)

    async def send(self, spec: Spec, request: wire.AllocRequest, seconds_per_page: float, spoilt: bool = False) -> int:
        """Reserve pages for chunks and write those that are not there yet; returns how many were written.

        What is `spoilt` was computed from another text's KV: its pages come to hold nothing that could be read.
        """
        peer = await self._peer(spec)
        await peer.alloc.send(wire.pack(request))
        reply = wire.unpack_pages(await peer.alloc.recv())
        skipped = set(reply.already_sent_indexes)
        keys = [key for position, key in enumerate(request.keys) if position not in skipped]
        await self._pause(seconds_per_page * len(keys))
        written = wire.PageWrite(peer.run, [], []) if spoilt else wire.PageWrite(peer.run, keys, reply.remote_indexes)
        await peer.init.send(wire.pack(written))
        done = wire.unpack_answer(await peer.init.recv())
        if done != wire.PageWriteDone(True):
            raise TransferError(f"rank {self._rank}: NIXL write to {spec.host}:{spec.init_port} failed: stale peer")
        return len(keys)

    async def notify(self, req_id: str) -> None:
        """Tell the router that this rank has written everything; waits when a thousand notices are unread."""
        await self._notices.send(wire.pack(wire.ProxyNotif(req_id)))

    def close(self) -> None:
        """Close every socket at once, dropping what was not sent."""
        for socket in self._sockets:
            socket.close(linger=0)

    async def _peer(self, spec: Spec) -> _Peer:
        name = f"{spec.host}:{spec.init_port}"
        if name not in self._peers:
            init = self._socket(zmq.REQ, f"tcp://{name}")
            alloc = self._socket(zmq.REQ, f"tcp://{spec.host}:{spec.alloc_port}")
            await init.send(wire.pack(wire.NixlInitRequest(b"sender-%d" % self._rank)))
            answer = wire.unpack_answer(await init.recv())
            await init.send(wire.pack(wire.NixlMemRegRequest(f"sender-{self._rank}", b"")))
            await init.recv()
            run = answer.remote_meta_bytes if type(answer) is wire.NixlInitResponse else b""
            self._peers[name] = _Peer(run, init, alloc)
        return self._peers[name]

    def _socket(self, kind: int, address: str) -> zmq.asyncio.Socket:
        socket = self._context.socket(kind)
        self._sockets.append(socket)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(address)
        return socket


async def at_once(works: list[Awaitable[Any]]) -> list[Any]:
    """Run the ranks' work side by side; the first failure cancels the rest and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
