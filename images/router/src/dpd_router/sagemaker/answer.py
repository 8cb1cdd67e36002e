"""The path's answer to one invocation, written as SageMaker Runtime writes it.

It stands between a leg and the client's exchange. An engine's body passes as it comes, a stream's in PayloadPart
events; only what an engine refuses with is held until it is whole, for it becomes a member of a ModelError.
"""

from collections.abc import Callable

import msgspec

from dpd_router.ask import Ask
from dpd_router.errors import RouterError
from dpd_router.sagemaker.eventstream import CONTENT_TYPE, exception, parts
from dpd_router.sagemaker.faults import answer_to, in_stream, model_error
from dpd_router.types import Headers
from dpd_router.wire.exchange import Exchange, Source
from dpd_router.wire.parsing import ResponseHead

_VARIANT = (b"x-amzn-invoked-production-variant", b"AllTraffic")
_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
_CONTENT = b"content-type"
# All that an invocation's answer has of an engine's headers; the rest is between the engine and the router.
_RETURNED = frozenset({_CONTENT, b"content-encoding", b"content-length", b"transfer-encoding", _ATTRIBUTES})
_MAX_REFUSAL = 64 * 1024
_LAST_CHUNK = b"0\r\n\r\n"


class Invocation:
    """One client of the API, `streamed` or not; the path's client and the legs' sink, over its exchange."""

    raw = False

    def __init__(self, exchange: Exchange, *, streamed: bool) -> None:
        self._exchange = exchange
        exchange.tell = self.refuse
        self._streamed = streamed
        self._chunked = False
        self._refusal: list[bytes] | None = None
        self._refused_with = 0
        self._held = 0
        self._begun = False

    @property
    def ask(self) -> Ask:
        """The request as the client sent it."""
        return self._exchange.ask

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._exchange.gone

    @property
    def status(self) -> int:
        """The status that was sent; 499 when the client left before any."""
        return self._exchange.status

    @property
    def bytes_out(self) -> int:
        """Bytes of body sent so far."""
        return self._exchange.bytes_out

    @property
    def when_gone(self) -> Callable[[], None] | None:
        """What is told when the client leaves."""
        return self._exchange.when_gone

    @when_gone.setter
    def when_gone(self, tell: Callable[[], None] | None) -> None:
        self._exchange.when_gone = tell

    def explain(self, decision: Callable[[], str]) -> None:
        """Take what is to be asked for the head that says how the request was decided."""
        self._exchange.explain(decision)

    def refuse(self, error: RouterError) -> None:
        """Answer with an error; in a stream that has begun, as its last event."""
        exchange = self._exchange
        if exchange.ended or exchange.gone:
            return
        if not self._begun:
            exchange.answer(answer_to(error, self.ask.request_id))
        elif self._streamed:
            self._write(exception(*in_stream(error)))
            self._end()
        else:
            exchange.refuse(error)

    def start(self, head: ResponseHead, source: Source, *, more: bool) -> None:
        """Take an engine's head: begin the answer, or begin to hold what it refuses with."""
        if not 200 <= head.status < 300:
            self._refusal, self._refused_with = [], head.status
            return
        self._begun, self._refusal = True, None
        headers: list[tuple[bytes, bytes]] = [_VARIANT, (b"x-amzn-requestid", self.ask.request_id.encode("latin-1"))]
        if self._streamed:
            headers += _of_stream(head.headers)
        else:
            headers += [pair for pair in head.headers if pair[0].lower() in _RETURNED]
        self._chunked = (self._streamed or head.chunked) and not self._exchange.http_1_0
        chunked = self._streamed or head.chunked
        to_close = head.to_close and not self._streamed
        head = msgspec.structs.replace(head, headers=headers, chunked=chunked, to_close=to_close)
        self._exchange.start(head, source, more=more)

    def write(self, data: bytes) -> None:
        """Pass on a piece of the engine's body, without its framing."""
        if self._refusal is None:
            self._write(parts(data) if self._streamed else data)
        elif self._held < _MAX_REFUSAL:
            self._refusal.append(data[: _MAX_REFUSAL - self._held])
            self._held += len(data)

    def finish(self) -> None:
        """End an answer that came whole."""
        if self._refusal is None:
            self._end()
        else:
            words = b"".join(self._refusal)
            self._exchange.answer(model_error(self._refused_with, words, self.ask.request_id))

    def _write(self, data: bytes) -> None:
        self._exchange.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data)

    def _end(self) -> None:
        if self._chunked:
            self._exchange.write(_LAST_CHUNK)
        self._exchange.finish()


def _of_stream(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the head of a stream of events: the model's own content type moves to a header of the API."""
    made = [(_CONTENT, CONTENT_TYPE), (b"transfer-encoding", b"chunked")]
    for name, value in headers:
        if name.lower() == _CONTENT:
            made.append((b"x-amzn-sagemaker-content-type", value))
        elif name.lower() == _ATTRIBUTES:
            made.append((name, value))
    return made
