"""A leg whose answer is relayed as it comes, with no task between the two connections.

It is for what nearly every answer is: a 200 whose end is announced. Whatever else comes makes it stranded: what it has
read and not told is kept for who sees it through.
"""

from collections.abc import Callable
from typing import Final, Protocol

import httptools

from dpd_router.types import End
from dpd_router.wire.answers import AnswerHead, answer_head
from dpd_router.wire.callbacks import Unhindered
from dpd_router.wire.deadlines import Deadlines
from dpd_router.wire.exchange import Exchange
from dpd_router.wire.outbox import Outbox
from dpd_router.wire.parsing import Framing
from dpd_router.wire.upstream import Upstream

_SIZE_LINE: Final = 10  # bytes of a line that says a chunk's size, at the most
_COMPLETE: Final = End.COMPLETE
_TOO_MUCH = "the engine sent more than its response"


class Owner(Protocol):
    """Who began a leg, and does what is to be done when it is over."""

    def ended(self, leg: "QuickLeg", end: End) -> None:
        """Take a leg that has ended: COMPLETE, or CLIENT_LEFT."""

    def stranded(self, leg: "QuickLeg") -> None:
        """Take a leg that cannot go on."""


class QuickLeg(Unhindered):
    """One leg. `name` is its request's to the engine; `streams`: its answer comes as it is made.

    Of a stranded one `kept` is what came and was not told; `why` says what went wrong, empty where nothing did but that
    the answer is unlike others; `told`: the client has part of it; `late`: its engine was given up waiting for.
    """

    __slots__ = (
        "_aligned",
        "_chunked",
        "_clock",
        "_feed",
        "_framing",
        "_left",
        "_owner",
        "_write",
        "exchange",
        "first_at",
        "heard",
        "kept",
        "late",
        "moved",
        "name",
        "streams",
        "told",
        "upstream",
        "why",
    )

    # Of a body in chunks, where they are told apart: the connection's own parser.
    _framing: Framing
    _feed: Callable[[bytes], None]

    def __init__(
        self,
        upstream: Upstream,
        exchange: Exchange,
        name: str,
        owner: Owner,
        clock: Callable[[], float],
        *,
        streams: bool,
    ) -> None:
        self.upstream = upstream
        self.exchange = exchange
        self.name = name
        self.streams = streams
        self.first_at: float | None = None
        self.heard = 0.0
        self.moved = True
        self.told = self.late = False
        self.why = ""
        self.kept: list[bytes] = []
        self._owner = owner
        self._clock = clock
        self._left = 0
        self._chunked = False
        self._aligned = False
        self._write = exchange.outlet.write

    @property
    def between_chunks(self) -> bool:
        """Say whether the answer so far ends with a whole chunk."""
        return not self._chunked or self._framing.between_chunks

    def send(self, message: bytes, outbox: Outbox | None = None) -> None:
        """Send the request, with an outbox at the end of the turn."""
        self.exchange.when_gone = self.client_left
        self.upstream.lend(message, self, outbox)

    def pause(self) -> None:
        """Read no more until `resume`."""
        self.upstream.pause()

    def resume(self) -> None:
        """Read again."""
        self.upstream.resume()

    def take(self, data: bytes) -> None:
        """Take the answer's head, and what came with it."""
        head = answer_head(data)
        if head is None:
            self._strand(data)
            return
        body = data[head.end :]
        if not self._begins(head, body):
            self._strand(data)
            return
        self.told = True
        self.upstream.redirect(self._chunks if self._chunked else self._sized)
        self.exchange.start_plain(head, self, more=bool(body))
        if body:
            self._pass(body)
        if self._framing.complete if self._chunked else self._left == 0:
            self._finish()
        elif body and self._chunked:
            self.upstream.bypass(self)

    def _begins(self, head: AnswerHead, body: bytes) -> bool:
        """Say whether an answer's body begins as its head says it will."""
        if head.length is not None:
            self._left = head.length - len(body)
            return self._left >= 0
        self._chunked = True
        framing = self._framing = self.upstream.primed()
        self._feed = framing.feed
        try:
            framing.feed(body)
        except httptools.HttpParserError:
            return False
        self._align(body)
        return not framing.excess

    def _chunks(self, data: bytes) -> None:
        """Take the first piece of a body in chunks; those that follow come here directly."""
        self.first_at = self._clock()
        self.upstream.bypass(self)
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a body in chunks: once for every event of a stream, so no more is done than it takes.

        Nearly every piece is one chunk, whole and with nothing beside it. The parser need not see that: it stands where
        a chunk begins, before and after. To ask it was two thirds of what an event cost beyond a bare relay.
        """
        size = len(data) - data.find(b"\r\n", 0, _SIZE_LINE) - 4  # for the two line ends
        whole = self._aligned and size > 0 and data.startswith(b"%x\r\n" % size) and data.endswith(b"\r\n")
        if not whole and not self._parsed(data):
            return
        exchange = self.exchange
        self.moved = True
        exchange.bytes_out += len(data)
        exchange.tail = data
        self._write(data)

    def _parsed(self, data: bytes) -> bool:
        """Have the parser take a piece of a body in chunks; say whether the answer goes on."""
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._break(f"the engine's response is not HTTP/1.1: {error}")
            return False
        if self._framing.complete:
            self._last(data)
            return False
        self._align(data)
        return True

    def _align(self, data: bytes) -> None:
        """Note whether the next piece begins a chunk. Within the line of a size no chunk is open either."""
        self._aligned = self._framing.between_chunks and (not data or data.endswith(b"\r\n"))

    def _last(self, data: bytes) -> None:
        if self._framing.excess:
            self._break("the engine sent more than one response")
            return
        self._pass(data)
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection."""
        self.upstream.connection_lost(exc)

    def _sized(self, data: bytes) -> None:
        """Take a piece of a body whose length was announced."""
        self._left -= len(data)
        if self._left < 0:
            self._break(_TOO_MUCH)
            return
        self._pass(data)
        if self._left == 0:
            self._finish()

    def _pass(self, data: bytes) -> None:
        if self.first_at is None:
            self.first_at = self._clock()
        self.moved = True
        self.exchange.write(data)

    def _finish(self) -> None:
        self.upstream.returned()
        self._let_go()
        self.exchange.finish()
        self._owner.ended(self, _COMPLETE)

    def client_left(self) -> None:
        """Break the leg off: nothing waits for it in the engine."""
        self._let_go()
        self.upstream.forsake()
        self._owner.ended(self, End.CLIENT_LEFT)

    def lost(self, why: str) -> None:
        """Note that the engine has gone; whoever has taken a stranded leg over finds that out."""
        if self.kept:
            return
        self.why = why
        self._let_go()
        self._owner.stranded(self)

    def silent(self, now: float, deadlines: Deadlines) -> bool:
        """Say whether the engine has been silent for too long. To be asked again and again: what came since the last
        time is taken to have come now, and so is what could not, because the client does not read."""
        if self.moved or self.upstream.paused:
            self.moved = False
            self.heard = now
            return False
        if self.first_at is not None:
            most = deadlines.idle
        else:
            most = deadlines.first_byte if self.streams else deadlines.answer
        return now - self.heard > most

    def give_up(self) -> None:
        """Break the leg off, for its engine is silent."""
        self.late = True
        self._break("the engine was silent for too long")

    def _break(self, why: str) -> None:
        """Give the engine up."""
        self.why = why
        self._let_go()
        self.upstream.forsake()
        self._owner.stranded(self)

    def _strand(self, data: bytes) -> None:
        """Leave an answer to somebody else before anything of it was told."""
        self.kept.append(data)
        self._let_go()
        self.upstream.redirect(self.kept.append)
        self._owner.stranded(self)

    def _let_go(self) -> None:
        self.exchange.when_gone = None
