"""One connection to an engine, one exchange at a time.

A response's head is parsed; its body goes to the sink as raw bytes, and the parser only says where it ends. One
callback a read: no task, no queue, no copy.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

import httptools
import msgspec

from dpd_router.errors import LegDiedError
from dpd_router.types import Headers

MAX_HEAD = 64 * 1024
# A machine that is gone says nothing, and a leg that waits would wait without end: it is asked after a minute and taken
# for gone after two. Deadlines do not do it: a prefill is let run after its own, for its pages stay where they are.
_PROBES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
_END_OF_HEAD = b"\r\n\r\n"


class ResponseHead(msgspec.Struct, frozen=True):
    """A response's head. `to_close`: the body ends with the connection."""

    status: int
    headers: Headers
    chunked: bool
    to_close: bool

    def value(self, name: bytes) -> bytes:
        """Return the first header of that name, in lower case; empty when there is none."""
        for key, value in self.headers:
            if len(key) == len(name) and key.lower() == name:
                return value
        return b""


class Sink(Protocol):
    """Where a response goes. `raw`: bodies come as they are on the wire, framing included."""

    @property
    def raw(self) -> bool:
        """Whether the body is wanted with its framing."""

    def head(self, head: ResponseHead, *, more: bool) -> None:
        """Take the head; comes once, and first. `more`: what came with it follows at once."""

    def body(self, data: bytes) -> None:
        """Take a piece of the body."""


def _drop(_data: bytes) -> None:
    """Take a piece that nobody waits for; what is idle must not keep its last request alive."""


class _Framing:
    """What the parser is told to note: the head, and where chunks and the message end; one message after another."""

    raw = True
    take: Callable[[bytes], None]  # where pieces of the body go, of those that are not passed on as they came

    def __init__(self) -> None:
        self.restart()
        self._parser = httptools.HttpResponseParser(self)
        self.feed: Callable[[bytes], None] = self._parser.feed_data  # raises HttpParserError

    def restart(self) -> None:
        """Forget the last message, which is over."""
        self.headers: list[tuple[bytes, bytes]] = []
        self.started = False
        self.complete = False
        self.excess = False
        self.chunked = False
        self.sized = False
        self.between_chunks = True
        self.keep_alive = False

    def close(self) -> None:
        """Let go of the parser, which refers back here: one cycle less to collect for every connection."""
        vars(self).pop("_parser", None)
        vars(self).pop("feed", None)

    def status(self) -> int:
        """Return the status of the head that was parsed last."""
        return self._parser.get_status_code()

    def on_message_begin(self) -> None:
        """Note that there is more than one message, when one is over already."""
        self.excess = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head, and what it says of the body's framing; trailers are left out."""
        if self.started:
            return
        self.headers.append((name, value))
        lower = name.lower()
        if lower == b"content-length":
            self.sized = True
        elif lower == b"transfer-encoding":
            self.chunked = True

    def on_headers_complete(self) -> None:
        """Note that the head is over."""
        self.started = True
        self.keep_alive = self._parser.should_keep_alive()  # cannot be asked once the message is over

    def on_chunk_header(self) -> None:
        """Note that a chunk began."""
        self.between_chunks = False

    def on_chunk_complete(self) -> None:
        """Note that a chunk ended."""
        self.between_chunks = True

    def on_message_complete(self) -> None:
        """Note that the response is over."""
        self.complete = True


class _Unwrapping(_Framing):
    """The same, and the body without its framing, which goes to `take`."""

    raw = False

    def on_body(self, data: bytes) -> None:
        """Pass on a piece of the body. It is here and not above because the parser copies a body only for who asks."""
        self.take(data)


class Upstream(asyncio.Protocol):
    """A connection to an engine. `now` is the loop's time; `idle_since` is when it last became free."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._transport: asyncio.Transport | None = None
        self._sink: Sink | None = None
        self._done: asyncio.Future[None] | None = None
        self._framing = _Framing()
        self._pending = b""
        self.reusable = False
        self.paused = False
        self.idle_since = 0.0
        self.key: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        for level, option, value in _PROBES:
            sock.setsockopt(level, option, value)

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
        sink, framing = self._sink, self._framing
        if sink is None:
            self.abort()  # nobody asked
            return
        try:
            if not framing.started:
                data = self._take_head(data)
                sink, framing = self._sink, self._framing  # others, after an interim response or a failure
                if sink is None or not framing.started:
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
        framing = self._framing
        if framing.started and exc is None and not (framing.chunked or framing.sized):
            self._finish(reusable=False)
        else:
            self._fail("the engine closed the connection")
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

    def _restart(self) -> None:
        sink = self._sink
        assert sink is not None
        self._pending = b""
        if sink.raw == self._framing.raw:
            self._framing.restart()
        else:
            self._framing.close()
            self._framing = _Framing() if sink.raw else _Unwrapping()
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

    def _finish(self, *, reusable: bool) -> None:
        self._sink = None
        self._framing.take = _drop
        self.idle_since = self.now()
        self.reusable = reusable
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, why: str) -> None:
        self._sink = None
        self._framing.take = _drop
        self.reusable = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(LegDiedError(why))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
