"""One client's connection: requests in, one at a time and in order, responses out.

While a request is being served the connection is still read, which is how a client's leaving is noticed; a client that
sends the next request early has it kept, and is read no further until its turn comes.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from dpd_router.errors import RequestTimeoutError, RouterError, UnavailableError
from dpd_router.stages.stream import response_head
from dpd_router.wire.exchange import Exchange
from dpd_router.wire.heads import Heads
from dpd_router.wire.held import Held
from dpd_router.wire.incoming import Incoming
from dpd_router.wire.reader import Admit, Limits, RequestReader
from dpd_router.wire.running import then

# How long a refused client may go on sending: closing at once would destroy the answer on its way.
LINGER_SECONDS = 2.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
Serve = Callable[[Exchange], Coroutine[Any, Any, None] | None]
"""Answers an exchange: at once, and then says so to it when it is over, or in what is returned."""


class Doors:
    """What all connections share: whether the house still takes guests, who is inside, and what they brought.

    `serving` counts the requests that are being answered; `tasks` are those of whom it takes one.
    """

    def __init__(self, held: Held | None = None) -> None:
        self.held = held or Held()
        self.heads = Heads()
        self.open = True
        self.serving = 0
        self.inside: set[Downstream] = set()
        self.tasks: set[asyncio.Task[None]] = set()


class Downstream:
    """A server-side connection; `serve` answers one exchange, and must end it; `admit` sees each head.

    `turned_away` is told what is answered here, before there is an exchange.
    """

    def __init__(
        self,
        serve: Serve,
        turned_away: Callable[[RouterError], None],
        limits: Limits,
        doors: Doors,
        new_id: Callable[[], str],
        admit: Admit,
    ) -> None:
        self._serve = serve
        self._tell = turned_away
        self._limits = limits
        self._doors = doors
        self._new_id = new_id
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(limits, new_id, admit, doors.held, doors.heads)
        self._waiting: deque[Incoming] = deque()
        self._error: RouterError | None = None
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._since = self._loop.time()
        self._turned_away = False
        self._held_back = False
        self._choked_at = 0.0
        self.choked = False
        self.write: Callable[[bytes], None] = _nowhere
        """Sends bytes to the client: the transport's own, for it is called for every event of a stream."""

    @property
    def lingering(self) -> bool:
        """Say whether another request would be taken after this one."""
        return self._doors.open and self._error is None and not self._reader.closing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in."""
        self._transport = transport  # type: ignore[assignment]
        self.write = self._transport.write  # type: ignore[union-attr]
        self._doors.inside.add(self)
        if len(self._doors.inside) > self._limits.connections:
            text = "The router holds as many connections as it may; try again later."
            self._error = UnavailableError(text, code="too_many_connections", retry_after=1)
            self._next()

    def data_received(self, data: bytes) -> None:
        """Take bytes; serve the request they complete, or keep it until its turn."""
        if self._error is not None:
            return
        if not self._reader.busy:
            self._since = self._loop.time()
        self._waiting.extend(self._reader.feed(data))
        self._error = self._reader.error
        if self._current is None and not self.choked:
            self._next()
        elif self._waiting or self._error is not None:
            self._hold()

    def eof_received(self) -> bool:
        """Take the client's end of sending for its leaving: nobody can tell the two apart."""
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell the exchange that its client has left."""
        self._doors.inside.discard(self)
        self._transport = None
        self.write = _nowhere
        self._reader.drop()
        self._doors.held.give(sum(len(each.ask.body) for each in self._waiting))
        self._waiting.clear()
        if self._current is not None:
            self._current.leave()

    def pause_writing(self) -> None:
        """Let the engine wait for the client."""
        self.choked = True
        self._choked_at = self._loop.time()
        if self._current is not None:
            self._current.choke()

    def resume_writing(self) -> None:
        """Let the engine go on."""
        self.choked = False
        if self._current is not None:
            self._current.unchoke()
        elif self._transport is not None and not (self._turned_away or self._transport.is_closing()):
            if self._held_back:
                self._read_on(self._transport)
            self._next()

    def close(self) -> None:
        """Close, after what was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def retire(self, silent: float) -> bool:
        """Close when nothing came for `silent` seconds; say whether a request is or may yet be under way.

        A client that connects, or sends on a kept connection, does not know that the house closes: to close on its
        request would be to lose it. Whatever is answered from now on is its connection's last.
        """
        young = self._loop.time() - self._since <= silent
        if self._current is not None or self._waiting or young:
            return True
        if not self._reader.busy:
            self.close()
        return False

    def cut(self, error: RouterError) -> bool:
        """Tell the client of a request that is under way that it is not answered any further; say if there is one."""
        current = self._current
        if current is None or not current.cut(error):
            return False
        if current.abrupt:
            self._reset()
        else:
            self.close()
        return True

    def expire(self, now: float) -> None:
        """End a connection whose client is idle for too long, or too slow to send its request or to read its answer."""
        limits = self._limits
        if self.choked and now - self._choked_at > limits.stalled_seconds and self._transport is not None:
            self._transport.abort()
        if self._current is not None or self._waiting:
            return
        waited = now - self._since
        if self._turned_away:
            if waited > LINGER_SECONDS:
                self.close()
        elif self._reader.busy:
            most = min(limits.head_seconds, limits.request_seconds) if self._reader.in_head else limits.request_seconds
            if waited > most:
                self._error = RequestTimeoutError("The request did not arrive in time.")
                self._next()
        elif waited > limits.idle_seconds:
            self.close()

    def _next(self) -> None:
        """Serve the next request, answer a broken one, or go on reading."""
        if self._waiting:
            self._current = exchange = Exchange(self._waiting.popleft(), self, self._over)
            self._doors.serving += 1
            answering = self._serve(exchange)
            if answering is not None:
                self._task = task = self._loop.create_task(then(answering, partial(self._ran, exchange)))
                self._doors.tasks.add(task)
        elif self._error is not None:
            self._turn_away(self._error)
        elif self._reader.continue_owed:
            self._reader.continue_owed = False
            self.write(_CONTINUE)

    def _ran(self, exchange: Exchange) -> None:
        """Let go of the task that answered."""
        if self._task is not None:
            self._doors.tasks.discard(self._task)
            self._task = None
        self._over(exchange)

    def _over(self, exchange: Exchange) -> None:
        """Go on after a request, or end with it."""
        self._doors.serving -= 1
        self._doors.held.give(len(exchange.ask.body))
        self._current = None
        self._since = self._loop.time()
        if exchange.abrupt:
            self._reset()
        elif not exchange.ended or not exchange.keep_alive:
            self.close()
        elif self._transport is not None and not self.choked:  # else what waits would be answered into memory
            if self._held_back:
                self._read_on(self._transport)
            self._next()

    def _read_on(self, transport: asyncio.Transport) -> None:
        self._held_back = False
        transport.resume_reading()

    def _hold(self) -> None:
        self._held_back = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _reset(self) -> None:
        """Close with a reset: the end of what was sent must not pass for the end of the answer."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def _turn_away(self, error: RouterError) -> None:
        self._turned_away = True
        self._reader.drop()
        body = error.body()
        headers = [*error.headers(), (b"content-length", b"%d" % len(body))]
        self.write(response_head(error.status, headers, self._new_id(), keep_alive=False) + body)
        self._tell(error)
        self._since = self._loop.time()
        if self._transport is not None and not self._transport.is_closing() and self._transport.can_write_eof():
            self._transport.write_eof()


def _nowhere(_data: bytes) -> None:
    """Send nothing: nobody is there."""
