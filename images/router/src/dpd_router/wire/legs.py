"""The path's upstream side on real connections."""

from collections.abc import Callable

from dpd_router.errors import LegDiedError
from dpd_router.pool import Worker
from dpd_router.stages.stream import request_message
from dpd_router.types import Call, End, Outcome, Reply
from dpd_router.wire.connections import Connections
from dpd_router.wire.exchange import Answering
from dpd_router.wire.upstream import ResponseHead, Upstream

MAX_COLLECTED = 16 * 1024 * 1024


class _Collector:
    """Keeps a whole response, without its framing; of one that is far too long, the beginning."""

    raw = False

    def __init__(self) -> None:
        self._head: ResponseHead | None = None
        self._parts: list[bytes] = []
        self._size = 0

    def head(self, head: ResponseHead) -> None:
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
    """Passes a response to a client as it comes."""

    def __init__(self, upstream: Upstream, exchange: Answering, *, hold: bool, first: Callable[[int], None]) -> None:
        self._upstream = upstream
        self._exchange = exchange
        self._hold = hold
        self._first: Callable[[int], None] | None = first
        self.status = 0
        self.left = False
        self.raw = exchange.raw

    def head(self, head: ResponseHead) -> None:
        """Begin the client's response."""
        self.status = head.status
        self._exchange.start(head, self._upstream)

    def body(self, data: bytes) -> None:
        """Pass a piece on."""
        if self._first is not None:
            self._begin()
        self._exchange.write(data)

    def _begin(self) -> None:
        if self._first is not None:
            self._first(self.status)
        self._first = None
        self._hold = False
        if self._exchange.gone:
            self._break_off()

    def client_left(self) -> None:
        """Break the leg off, unless the decoder has yet to read what was transferred for it."""
        if self._hold:
            self._upstream.resume()
        else:
            self._break_off()

    def _break_off(self) -> None:
        self.left = True
        self._upstream.abort()


class WireLegs:
    """Sends legs over kept connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def collect(self, worker: Worker, call: Call, request_id: str) -> Reply:
        """Send a leg and read its reply whole. Raises ConnectFailedError, LegDiedError."""
        sink = _Collector()
        upstream = await self._connections.acquire(worker.address.host, worker.address.port)
        try:
            await upstream.begin(request_message(call, worker.name, request_id), sink)
        finally:
            self._connections.release(upstream)
        return sink.reply()

    async def relay(
        self, worker: Worker, call: Call, client: Answering, *, hold: bool, first: Callable[[int], None]
    ) -> Outcome:
        """Send a leg and pass its reply on as it comes. Raises ConnectFailedError, LegDiedError."""
        upstream = await self._connections.acquire(worker.address.host, worker.address.port)
        if client.gone and not hold:
            self._connections.release(upstream)
            return Outcome(End.CLIENT_LEFT, 0)
        sink = _Relay(upstream, client, hold=hold, first=first)
        client.when_gone = sink.client_left
        try:
            await upstream.begin(request_message(call, worker.name, client.ask.request_id), sink)
            client.finish()
        except LegDiedError:
            if not sink.left:
                raise
        finally:
            client.when_gone = None
            self._connections.release(upstream)
        return Outcome(End.CLIENT_LEFT if client.gone else End.COMPLETE, sink.status)
