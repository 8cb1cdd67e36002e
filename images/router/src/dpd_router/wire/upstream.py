"""One connection to an engine, one exchange at a time.

A response's head is parsed; its body goes to the sink as raw bytes, and the parser only says where it ends. One
callback a read: no task, no queue, no copy.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import httptools

from dpd_router.errors import LegDiedError
from dpd_router.wire.callbacks import Reader, Unhindered, callbacks
from dpd_router.wire.options import acknowledge_less, probe
from dpd_router.wire.outbox import Outbox
from dpd_router.wire.parsing import Framing, ResponseHead, Sink, Unwrapping

MAX_HEAD = 64 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"
_CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_CLOSED = "the engine closed the connection"


class Borrower(Protocol):
    """Who reads a connection's bytes itself."""

    def take(self, data: bytes) -> None:
        """Take bytes as they came."""

    def lost(self, why: str) -> None:
        """Note that no more will come."""


def _drop(_data: bytes) -> None:
    """Take a piece that nobody waits for; what is idle must not keep its last request alive."""


class Upstream(Unhindered):
    """A connection to an engine. `now` is the loop's time; `idle_since` is when it last became free."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._transport: asyncio.Transport | None = None
        self._sink: Sink | None = None
        self._done: asyncio.Future[None] | None = None
        self._framing = Framing()
        self._borrower: Borrower | None = None
        self._take: Callable[[bytes], None] | None = None
        self._lost: Exception | None = None
        self._bypassed = False
        self._pending = b""
        self.reusable = False
        self.paused = False
        self.idle_since = 0.0
        self.key: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = transport  # type: ignore[assignment]
        probe(transport)

    def begin(self, message: bytes, sink: Sink) -> "asyncio.Future[None]":
        """Send a request; the future is done when the response has ended, LegDiedError when it broke off."""
        self.reusable = False
        self._sink = sink
        self._restart()
        self._done = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            self._fail("the connection was closed")
        else:
            self._transport.write(message)
        return self._done

    def lend(self, message: bytes, borrower: Borrower, outbox: Outbox | None = None) -> None:
        """Send a request whose answer a borrower reads; it is told when the connection is lost, or was already.

        With an outbox it is sent at the end of the turn.
        """
        self.reusable = False
        self._borrower = borrower
        self._take = borrower.take
        if self._transport is None or self._transport.is_closing():
            self._fail("the connection was closed")
        elif outbox is None:
            self._transport.write(message)
        else:
            outbox.put(self, message, borrower)

    def post(self, message: bytes, borrower: object) -> None:
        """Send a borrower's request, unless the borrower has let go."""
        if self._borrower is borrower and self._transport is not None and not self._transport.is_closing():
            self._transport.write(message)

    def redirect(self, take: Callable[[bytes], None]) -> None:
        """Give the borrower's bytes to another of its functions from now on."""
        self._take = take

    def bypass(self, reader: Reader) -> None:
        """Have the transport itself give a borrower what comes, for there will be much; it tells of the end, too."""
        if self._transport is not None:
            self._bypassed = True
            acknowledge_less(self._transport)
            self._transport.set_protocol(callbacks(reader))

    def _unborrowed(self) -> None:
        self._borrower = self._take = None
        if self._bypassed:
            self._bypassed = False
            if self._transport is not None:
                self._transport.set_protocol(callbacks(self))

    def primed(self) -> Framing:
        """Return a parser that stands where a body in chunks begins; it is this connection's own."""
        if self._framing.raw and not self._framing.closed:
            self._framing.restart()
        else:
            self._framing.close()
            self._framing = Framing()
        self._framing.feed(_CHUNKED_HEAD)
        return self._framing

    def returned(self) -> None:
        """Take the connection back from a borrower that has read its answer to the end."""
        self._unborrowed()
        self._rest(reusable=True)

    def adopt(self, pieces: Sequence[bytes], sink: Sink) -> "asyncio.Future[None]":
        """Take the connection back from a borrower that could make nothing of `pieces`, and go on as after `begin`."""
        self._unborrowed()
        self._sink = sink
        self._framing.close()  # it may stand in the middle of a message
        self._restart()
        self._done = done = self._loop.create_future()
        for piece in pieces:
            self.data_received(piece)
        if self._transport is None:
            self.connection_lost(self._lost)
        return done

    def forsake(self) -> None:
        """Take the connection back from a borrower that gives its answer up, and close it at once."""
        self._unborrowed()
        self.abort()

    @property
    def usable(self) -> bool:
        """Say whether another request may be sent: the last one ended well and the engine has not closed."""
        return self.reusable and self._transport is not None and not self._transport.is_closing()

    @property
    def between_chunks(self) -> bool:
        """Say whether the response so far ends with a whole chunk."""
        return self._framing.between_chunks

    def data_received(self, data: bytes) -> None:
        """Pass on what came: once for every event of a stream, so no more calls are made here than it takes."""
        if self._take is not None:
            self._take(data)
        elif self._sink is None:
            self.abort()  # nobody asked
        else:
            self._parse(data, self._sink, self._framing)

    def _parse(self, data: bytes, sink: Sink, framing: Framing) -> None:
        try:
            if not framing.started:
                data = self._take_head(data)
                framing = self._framing  # another, after an interim response
                if self._sink is None or not framing.started:
                    return
            if data:
                if framing.complete:
                    self._fail("the engine sent more than its response")
                    return
                framing.feed(data)
                if framing.excess:
                    self._fail("the engine sent more than one response")
                    return
                if framing.raw:
                    sink.body(data)
        except httptools.HttpParserError as error:
            self._fail(f"the engine's response is not HTTP/1.1: {error}")
            return
        if framing.complete:
            self._finish(reusable=framing.keep_alive and not self._ended())

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange with the connection."""
        self.reusable = False
        self._lost = exc
        framing = self._framing
        if self._borrower is not None:
            self._transport = None
            self._fail(_CLOSED)
            return
        if framing.started and exc is None and not (framing.chunked or framing.sized):
            self._finish(reusable=False)
        else:
            self._fail(_CLOSED)
        self._framing.close()
        self._transport = None

    def pause(self) -> None:
        """Read no more until `resume`: the client is slower than the engine."""
        self.paused = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self.paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once, and with it the exchange."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()
        self._fail("the router closed the connection")

    def close(self) -> None:
        """Close an idle connection."""
        self.reusable = False
        if self._transport is not None:
            self._transport.close()
        else:
            self._framing.close()

    def _restart(self) -> None:
        sink = self._sink
        assert sink is not None
        self._pending = b""
        if sink.raw == self._framing.raw and not self._framing.closed:
            self._framing.restart()
        else:
            self._framing.close()
            self._framing = Framing() if sink.raw else Unwrapping()
        self._framing.take = sink.body

    def _ended(self) -> bool:
        """Say whether the sink broke the exchange off while it was given its last bytes."""
        return self._sink is None

    def _take_head(self, data: bytes) -> bytes:
        """Return what of `data` belongs to the body; interim responses are skipped."""
        data = self._pending + data
        self._pending = b""
        while not self._framing.started:
            end = data.find(_END_OF_HEAD)
            if end < 0:
                self._pending = data
                if len(data) > MAX_HEAD:
                    self._fail("the engine's response head is too large")
                return b""
            assert self._sink is not None
            self._framing.feed(data[: end + 4])
            data = data[end + 4 :]
            status = self._framing.status()
            if 100 <= status < 200:
                self._restart()
                continue
            framing = self._framing
            to_close = not (framing.chunked or framing.sized or framing.complete)
            self._sink.head(ResponseHead(status, framing.headers, framing.chunked, to_close), more=bool(data))
        return data

    def _rest(self, *, reusable: bool) -> None:
        if self.paused:
            self.resume()  # whoever is next would wait for a client that is not its own
        self.idle_since = self.now()
        self.reusable = reusable

    def _finish(self, *, reusable: bool) -> None:
        self._sink = None
        self._framing.take = _drop
        self._rest(reusable=reusable)
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, why: str) -> None:
        self._sink = None
        self._framing.take = _drop
        self.reusable = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(LegDiedError(why))
        borrower, self._borrower, self._take = self._borrower, None, None
        if borrower is not None:
            borrower.lost(why)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
