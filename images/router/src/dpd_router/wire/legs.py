"""The path's upstream side on real connections."""

import asyncio
from collections.abc import Callable

from dpd_router.errors import LegDiedError, shaped
from dpd_router.pool import Worker
from dpd_router.proxied import limited, unreachable
from dpd_router.stages.stream import request_message
from dpd_router.types import Call, End, Outcome, Reply
from dpd_router.wire.connections import Connections
from dpd_router.wire.deadlines import Deadlines, Watchdog
from dpd_router.wire.exchange import Answering
from dpd_router.wire.leases import Leases
from dpd_router.wire.opening import opened
from dpd_router.wire.parsing import ResponseHead
from dpd_router.wire.quick import QuickLeg
from dpd_router.wire.upstream import Upstream

MAX_COLLECTED = 16 * 1024 * 1024
MAX_ERROR = 1024 * 1024
_NO_ENGINE = "the worker's proxy had no answer of its engine"
_ERROR, _GATEWAY_TIMEOUT = 400, 504
_LATER = (429, 503)
_OF_BODY = frozenset({b"content-type", b"content-encoding", b"content-length"})


class _Collector:
    """Keeps a whole response, without its framing; of one that is far too long, the beginning."""

    raw = False

    def __init__(self) -> None:
        self._head: ResponseHead | None = None
        self._parts: list[bytes] = []
        self._size = 0

    def head(self, head: ResponseHead, *, more: bool) -> None:  # noqa: ARG002 - the seam's
        """Take the head."""
        self._head = head

    def body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._size += len(data)
        if self._size <= MAX_COLLECTED:
            self._parts.append(data)

    def reply(self) -> Reply:
        """Return the response."""
        assert self._head is not None
        return Reply(self._head.status, self._head.headers, b"".join(self._parts))


class _Relay:
    """Passes a response to a client as it comes; an error of the engine's is kept until it is whole, then shaped."""

    __slots__ = (
        "_error",
        "_exchange",
        "_first",
        "_hold",
        "_kept",
        "_now",
        "_upstream",
        "late",
        "left",
        "limited",
        "raw",
        "status",
        "told",
        "unreachable",
        "watchdog",
    )

    def __init__(
        self,
        upstream: Upstream,
        exchange: Answering,
        deadlines: Deadlines,
        *,
        streams: bool,
        hold: bool,
        first: Callable[[int], None],
    ) -> None:
        self._upstream = upstream
        self._exchange = exchange
        self._hold = hold
        self._first: Callable[[int], None] | None = first
        self._error: ResponseHead | None = None
        self._kept: list[bytes] = []
        self.watchdog = Watchdog(deadlines, streams=streams, late=self.give_up)
        self._now = upstream.now
        self.status = 0
        self.told = False
        self.left = False
        self.late = False
        self.unreachable = self.limited = False
        self.raw = exchange.raw

    def head(self, head: ResponseHead, *, more: bool) -> None:
        """Begin the client's response."""
        self.status = head.status
        if head.status >= _ERROR:
            self.unreachable, self.limited = unreachable(head.headers), limited(head.headers)
            length = head.value(b"content-length")
            if self.unreachable or (length.isdigit() and int(length) <= MAX_ERROR):
                self._error = head
                return
        self._start(head, more=more)

    def _start(self, head: ResponseHead, *, more: bool) -> None:
        self.told = True
        self._exchange.start(head, self._upstream, more=more)

    def body(self, data: bytes) -> None:
        """Pass a piece on; once for every event of a stream."""
        if self._first is not None:
            if self.unreachable:
                return
            self._begin(self._first)
        self.watchdog.heard = self._now()
        if self._error is None:
            self._exchange.write(data)
        else:
            self._kept.append(data)

    def finish(self, retry_after: int) -> None:
        """End the client's response."""
        if self._error is not None:
            self._tell(self._error, retry_after)
        self._exchange.finish()

    def _tell(self, error: ResponseHead, retry_after: int) -> None:
        body, headers = b"".join(self._kept), list(error.headers)
        better = shaped(self.status, body)
        if better is not None:
            body = better
            headers = [pair for pair in headers if pair[0].lower() not in _OF_BODY]
            headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if self.status in _LATER and not error.value(b"retry-after"):
            headers.append((b"retry-after", b"%d" % retry_after))
        self._start(ResponseHead(self.status, headers, chunked=False, to_close=error.to_close), more=bool(body))
        if body:
            self._exchange.write(body)

    def _begin(self, first: Callable[[int], None]) -> None:
        first(self.status)
        self._first = None
        self._hold = False
        self.watchdog.begun()
        if self._exchange.gone:
            self._break_off()

    def client_left(self) -> None:
        """Break the leg off, unless the decoder has yet to read what was transferred for it."""
        if self._hold:
            self._upstream.resume()
        else:
            self._break_off()

    def give_up(self) -> None:
        """Break the leg off: the engine is silent. One whose client does not read is given the time it takes."""
        if self._upstream.paused:
            self.watchdog.begun()
            return
        self.late = True
        self._upstream.abort()

    def _break_off(self) -> None:
        self.left = True
        self._upstream.abort()


class WireLegs:
    """Sends legs over kept connections. `retry_after` is for an engine's 429 and 503 that do not say it."""

    def __init__(self, connections: Connections, deadlines: Deadlines | None = None, retry_after: int = 5) -> None:
        self._connections = connections
        self._deadlines = deadlines or Deadlines()
        self._retry_after = retry_after
        self.leases = Leases(connections)

    async def collect(self, worker: Worker, call: Call, request_id: str) -> Reply:
        """Send a leg and read its reply whole. Raises ConnectFailedError, LegDiedError."""
        sink = _Collector()
        upstream = self.leases.kept(worker) or await self.opened(worker)
        name = self.leases.name(request_id)
        try:
            await upstream.begin(request_message(call, worker.name, name), sink)
        finally:
            self.leases.ended(name, upstream)
        return sink.reply()

    async def relay(
        self, worker: Worker, call: Call, client: Answering, *, hold: bool, first: Callable[[int], None]
    ) -> Outcome:
        """Send a leg and pass its reply on as it comes. Raises ConnectFailedError, LegDiedError."""
        upstream = self.leases.kept(worker) or await self.opened(worker)
        if client.gone and not hold:
            self.leases.spare(upstream)
            return Outcome(End.CLIENT_LEFT, 0)
        sink = _Relay(upstream, client, self._deadlines, streams=call.streams, hold=hold, first=first)
        client.when_gone = sink.client_left
        name = self.leases.name(client.ask.request_id)
        going = upstream.begin(request_message(call, worker.name, name), sink)
        return await self._see_through(going, sink, upstream, client, name)

    async def opened(self, worker: Worker) -> Upstream:
        """Return a new connection to a worker. Raises ConnectFailedError."""
        return await opened(self._connections, worker.address.host, worker.address.port)

    async def adopt(self, leg: QuickLeg, client: Answering, *, first: Callable[[int], None]) -> Outcome:
        """See a quick leg through that met what it does not handle. Raises LegDiedError."""
        upstream = leg.upstream
        if leg.told or leg.late:
            self.leases.ended(leg.name, upstream)
            raise LegDiedError(leg.why, told=leg.told, late=leg.late)
        if client.gone:
            upstream.forsake()
            self.leases.ended(leg.name, upstream)
            return Outcome(End.CLIENT_LEFT, 0)
        sink = _Relay(upstream, client, self._deadlines, streams=leg.streams, hold=False, first=first)
        client.when_gone = sink.client_left
        return await self._see_through(upstream.adopt(leg.kept, sink), sink, upstream, client, leg.name)

    async def _see_through(
        self, going: "asyncio.Future[None]", sink: _Relay, upstream: Upstream, client: Answering, name: str
    ) -> Outcome:
        try:
            await going
            if sink.unreachable:
                raise LegDiedError(_NO_ENGINE, late=sink.status == _GATEWAY_TIMEOUT)
            sink.finish(self._retry_after)
        except LegDiedError as died:
            if not sink.left:
                raise LegDiedError(str(died), told=sink.told, late=died.late or sink.late) from None
        finally:
            sink.watchdog.stop()
            client.when_gone = None
            self.leases.ended(name, upstream)
        return Outcome(End.CLIENT_LEFT if client.gone else End.COMPLETE, sink.status, sink.limited)
